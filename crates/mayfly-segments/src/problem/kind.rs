//! Every kind of problem with its text: the one place where they are put into words.

use mayfly_core::limits;

use super::{DestinationFault, ImportFault, PartnerFault};

/// What is wrong. The fields are for programs; [`std::fmt::Display`] puts it into words.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum ProblemKind {
    // ---- texts of rules and expressions ----
    /// Something else should stand here.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What the grammar allows here.
        expected: &'static str,
        /// What stands here.
        found: Box<str>,
        /// A word that is allowed here and near to what was found.
        nearest: Option<Box<str>>,
    },
    /// A quoted text has no closing quote.
    #[error("this text has no closing quote")]
    UnclosedText,
    /// No token begins so.
    #[error("{found:?} has no meaning here")]
    BadCharacter {
        /// The character.
        found: char,
    },
    /// A number that is none.
    #[error("{found} is not a number that can be used here")]
    BadNumber {
        /// What stands here.
        found: Box<str>,
    },
    /// The text is longer than [`limits::RULE_BYTES`].
    #[error("the text has more than {} bytes", limits::RULE_BYTES)]
    TooLong,
    /// Nested deeper than [`limits::RULE_DEPTH`].
    #[error("nested more than {} deep", limits::RULE_DEPTH)]
    TooDeep,
    /// The language has it, this version does not.
    #[error("{what} are not supported by this version")]
    NotYet {
        /// The construct, in the plural.
        what: &'static str,
    },
    // ---- rules ----
    /// In a filter: a field misspelt, or an attribute?
    #[error("`{name}` may be the field `{field}` or an attribute")]
    FieldOrAttribute {
        /// As written.
        name: Box<str>,
        /// The field.
        field: Box<str>,
    },
    /// A filter over an attribute that is never stored.
    #[error("x. attributes are never stored, so that no segment can look at them")]
    FleetingFilter,
    /// No such field.
    #[error("there is no field `{name}`")]
    UnknownField {
        /// As written.
        name: Box<str>,
        /// The nearest field.
        nearest: Option<Box<str>>,
    },
    /// The operator has no meaning for the field.
    #[error("`{operator}` cannot be used with `{field}`")]
    OperatorMismatch {
        /// The field.
        field: Box<str>,
        /// The operator.
        operator: &'static str,
    },
    /// An ordered comparison with something that is no number.
    #[error("`{operator}` compares numbers; {found} is a text")]
    NumberNeeded {
        /// The operator.
        operator: &'static str,
        /// What stands there.
        found: Box<str>,
    },
    /// A regular expression that cannot be compiled.
    #[error("this regular expression cannot be used: {source}")]
    BadRegex {
        /// What the compiler said.
        source: Box<regex::Error>,
    },
    /// A regular expression longer than [`limits::REGEX_BYTES`].
    #[error("a regular expression may have {} bytes", limits::REGEX_BYTES)]
    RegexTooLong,
    /// The text to look for is empty, so that every page would match.
    #[error("an empty text is in every text")]
    EmptyText,
    /// Engagement is never a hit, so a rule for it would never count anything.
    #[error("engagement adds seconds to the categories of its page; it is never a hit of its own")]
    EngagementRule,
    // ---- expressions ----
    /// No such category.
    #[error("there is no category \"{name}\"")]
    UnknownCategory {
        /// As written.
        name: Box<str>,
        /// The nearest name.
        nearest: Option<Box<str>>,
    },
    /// No such segment.
    #[error("there is no segment \"{name}\"")]
    UnknownSegment {
        /// As written.
        name: Box<str>,
        /// The nearest name.
        nearest: Option<Box<str>>,
    },
    /// No such word list.
    #[error("there is no word list \"{name}\"")]
    UnknownList {
        /// As written.
        name: Box<str>,
        /// The nearest name.
        nearest: Option<Box<str>>,
    },
    /// A phrase of signs alone.
    #[error("there is no word in this text")]
    NoWord,
    /// A condition over a sensitive category.
    #[error("\"{name}\" is sensitive: nothing falls in it")]
    SensitiveCategory {
        /// As written.
        name: Box<str>,
    },
    /// A sensitive category that a file wants to be none.
    #[error("only the privacy role takes the mark off a sensitive category")]
    StaysSensitive,
    /// Not the name of a standard.
    #[error("\"{name}\" is no standard taxonomy")]
    BadStandard {
        /// As written.
        name: Box<str>,
    },
    /// A file that maps no standard to another.
    #[error("this is no mapping table of the IAB: it has not two columns of ids")]
    NotAMapping,
    /// No such site.
    #[error("there is no site \"{name}\"")]
    UnknownSite {
        /// As written.
        name: Box<str>,
        /// The nearest key.
        nearest: Option<Box<str>>,
    },
    /// No such partner.
    #[error("there is no partner \"{name}\"")]
    UnknownPartner {
        /// As written.
        name: Box<str>,
        /// The nearest key.
        nearest: Option<Box<str>>,
    },
    /// Segments that need one another.
    #[error("segments go round in a circle: {}", path.join(" needs "))]
    Cycle {
        /// The segments, the first one again at the end.
        path: Vec<String>,
    },
    /// The expression holds for a visitor that has no hits at all: for everyone.
    #[error("`{branch}` holds for a visitor without any hit, so the expression matches everyone")]
    TrueForNoHits {
        /// The branch that makes it so.
        branch: Box<str>,
    },
    /// A comparison that all visitors or none meet.
    #[error("every visitor has 0 or more: this comparison is always {result}")]
    NoComparison {
        /// What it always is.
        result: bool,
    },
    /// The window goes beyond the retention.
    #[error("the window goes {days} days back; hits are kept for {retention} days")]
    WindowTooLong {
        /// Days back, counting today as one.
        days: u32,
        /// Days of retention.
        retention: u16,
    },
    /// A window without a day.
    #[error("this window holds no day")]
    WindowEmpty,
    /// More hours than [`limits::WINDOW_HOURS`].
    #[error("the window goes {hours} hours back; hours are counted up to {}", limits::WINDOW_HOURS)]
    TooManyHours {
        /// Hours back, counting the current one.
        hours: u32,
    },
    /// One end of a window in hours, the other in days; or `earlier than` hours.
    #[error("this window mixes hours and days")]
    MixedWindow,
    /// A sequence of something else than hits.
    #[error("a sequence begins with visited(…)")]
    SequenceMeasure,
    /// A sequence of more than [`limits::SEQUENCE_STEPS`].
    #[error("a sequence has at most {} categories", limits::SEQUENCE_STEPS)]
    TooManySteps,
    /// What follows may follow at once, or after the retention.
    #[error("what follows must follow within 1s to {days}d")]
    StepTime {
        /// Days of retention.
        days: u16,
    },
    /// More traced tallies than [`limits::TRACES`].
    #[error(
        "more than {} conditions with hours, filters or sequences in all segments together",
        limits::TRACES
    )]
    TooManyTraces,
    /// The threshold is above what is counted exactly.
    #[error("the threshold is above {highest}, the most that is counted exactly")]
    ThresholdTooHigh {
        /// The highest threshold of the measure.
        highest: u32,
    },
    /// `at least k of` n, with k outside 1 to n.
    #[error("at least {least} of {branches} is never or always true")]
    BadQuorum {
        /// k.
        least: u32,
        /// n.
        branches: usize,
    },
    /// More leaves than [`limits::LEAVES`].
    #[error("more than {} leaves, with other segments put in", limits::LEAVES)]
    TooManyLeaves,
    // ---- definitions files ----
    /// No day of the calendar.
    #[error("{found:?} is no date")]
    BadDate {
        /// As written.
        found: Box<str>,
    },
    /// A segment ends before it starts.
    #[error("the last day is before the first")]
    EndsBeforeStart,
    /// The file is not TOML.
    #[error("{}", source.message())]
    Toml {
        /// What the parser said.
        source: Box<toml::de::Error>,
    },
    /// `format` is missing or another.
    #[error("a definitions file begins with `format = 1`")]
    Format,
    /// A key that has no meaning.
    #[error("[[{table}]] has no key `{key}`")]
    UnknownKey {
        /// The table; `definitions` at the top.
        table: &'static str,
        /// The key.
        key: Box<str>,
        /// The nearest key.
        nearest: Option<Box<str>>,
    },
    /// A key that must be there is not.
    #[error("[[{table}]] needs `{key}`")]
    MissingKey {
        /// The table.
        table: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A value of the wrong type.
    #[error("`{key}` must be {expected}")]
    WrongType {
        /// The key.
        key: Box<str>,
        /// What it must be.
        expected: &'static str,
    },
    /// Two keys that exclude each other.
    #[error("`{one}` and `{other}` exclude each other")]
    Both {
        /// One key.
        one: &'static str,
        /// The other key.
        other: &'static str,
    },
    /// The same name twice.
    #[error("{what} \"{name}\" is defined twice")]
    Twice {
        /// Site, category, segment.
        what: &'static str,
        /// Its name.
        name: Box<str>,
    },
    /// A value that a form has not.
    #[error("\"{value}\" is none of {allowed}")]
    UnknownValue {
        /// As written.
        value: Box<str>,
        /// What may stand there.
        allowed: Box<str>,
    },
    /// A share that is none.
    #[error("a share is more than 0 and less than 100 percent, to two decimals")]
    BadShare,
    /// A file that is none of the standard taxonomies.
    #[error(
        "this is no taxonomy of the IAB: there is no column `Unique ID` in the first two lines"
    )]
    NotATaxonomy,
    /// A name that cannot be one.
    #[error("\"{name}\" cannot be the name of a {what}")]
    BadName {
        /// Site, category, segment.
        what: &'static str,
        /// The name.
        name: Box<str>,
    },
    /// A word that is none of those allowed.
    #[error("\"{word}\" is none of {}", allowed.join(", "))]
    UnknownWord {
        /// As written.
        word: Box<str>,
        /// What may stand there.
        allowed: Vec<&'static str>,
    },
    /// A site that reads TC strings and does not say as what.
    #[error("reading TC strings needs a role")]
    ConsentRole,
    /// Something is wrong with a partner.
    #[error("{fault}")]
    Partner {
        /// What.
        fault: PartnerFault,
    },
    /// Something is wrong with a destination.
    #[error("{fault}")]
    Destination {
        /// What.
        fault: DestinationFault,
    },
    /// A `[category.import]` that cannot be, or a condition over it.
    #[error("{fault}")]
    Import {
        /// What is wrong with it.
        fault: ImportFault,
    },
    /// A time zone that is not known.
    #[error("\"{name}\" is no time zone")]
    TimeZone {
        /// As written.
        name: Box<str>,
    },
    /// A number outside its range.
    #[error("`{key}` must be a whole number from {least} to {most}")]
    NumberRange {
        /// The key.
        key: &'static str,
        /// The lowest.
        least: u32,
        /// The highest.
        most: u32,
    },
    /// An origin that is none.
    #[error("\"{origin}\" is not an origin")]
    BadOrigin {
        /// As written.
        origin: Box<str>,
    },
    /// Not the beginning of a path.
    #[error("\"{path}\" is not the beginning of a path")]
    BadPath {
        /// As written.
        path: Box<str>,
    },
    /// More than the limit.
    #[error("more than {limit} {what}")]
    TooMany {
        /// What, in the plural.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A category that would become its own descendant.
    #[error("\"{name}\" would come to lie under itself")]
    UnderItself {
        /// The category.
        name: Box<str>,
    },
    /// Problems beyond the first [`limits::PROBLEMS`] are not listed.
    #[error("and more; the first {} are listed", limits::PROBLEMS)]
    AndMore,
}
