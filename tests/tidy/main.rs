//! The rules of the tree, as tests. Each failure says what is wrong, where, and what to do.
//!
//! [`walls`] keeps the crates apart, [`shape`] keeps files small and words plain, [`tables`] keeps
//! the pages in `docs/` true to the code, [`deploy`] tries the files in `deploy/` on the programs
//! they are for. Run alone: `cargo test -p mayfly-tests --test tidy`.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is wrong")]

mod deploy;
mod shape;
mod tables;
mod tree;
mod walls;

/// Fails with every fault at once; `what_to_do` heads the list.
fn refuse(what_to_do: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what_to_do}\n  {}\n", faults.join("\n  "));
}
