//! The contract suite on the embedded store.

use mayfly_store::contract::Opener;

mayfly_store::contract_tests!(Opener::embedded());
