//! Categories and segments: what hits mean and who is a member. Pure: no files, no network, no
//! async, no clock; days and instants are arguments.
//!
//! Read in this order: [`definitions`] (what people write and what is kept of it), [`rule`] and
//! [`classify`] (hits to categories), [`expr`] and [`leaf`] (segments over categories),
//! [`compiled`] (both ready for work), [`arrival`] (what is asked while a hit comes), [`tally`],
//! `trace` and [`evaluate`] (who is a member), [`why`] (one visitor explained), [`index`] (one
//! partition's state in memory), [`problem`] (what is told when a text is wrong).
//!
//! Laws: cells are a function of hits and definitions; a membership is a function of cells and the
//! current UTC day. `index` keeps both as hits come, days pass and definitions change, and is
//! tested against a plain evaluation over raw hits.

pub mod arrival;
pub mod classify;
pub mod compiled;
pub mod definitions;
pub mod destination;
pub mod evaluate;
pub mod expr;
pub mod index;
pub mod leaf;
mod lex;
pub mod lint;
pub mod problem;
pub mod rule;
pub mod tally;
mod trace;
pub mod why;

pub use arrival::Arrival;
pub use classify::{Classifier, Fired, PageMemo};
pub use compiled::{Compiled, CompiledSegment};
pub use definitions::{
    Applied, Category, Change, Definitions, DefinitionsError, DefinitionsFile, Fact, Fixture, How,
    Mapping, Noun, OnPage, RuleText, Segment, Sensitivity, Taxonomy, is_standard,
};
pub use destination::{Destination, DestinationId};
pub use evaluate::Evaluation;
pub use expr::Expression;
pub use index::{
    Built, CellsBuilder, DayNotLoaded, Flip, Folded, Index, MembersChanged, Preparation, Seen,
};
pub use leaf::{Leaf, Measure, Plan, TallyKey, Unit, Window};
pub use lint::{Lint, LintKind};
pub use problem::{Problem, ProblemKind, Subject, nearest};
pub use rule::{Evidence, Facts, HitFacts, PageFacts, Rule, SiteFacts};
pub use tally::Tally;
pub use why::{Condition, Nearest, Part, PartKind, Why};
