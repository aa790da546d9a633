//! What is wrong with a text that a person wrote: which kind, where, and what would be right.
//!
//! A [`Problem`] prints like a compiler's message: what, where, the line with carets, help. The
//! texts of all kinds stand in one place, [`kind`].

use std::fmt;
use std::ops::Range;

use mayfly_core::limits;

mod destination;
mod help;
mod import;
pub mod kind;
mod nearest;
mod partner;

pub use destination::DestinationFault;
pub use import::ImportFault;
pub use kind::ProblemKind;
pub use nearest::nearest;
pub(crate) use nearest::one_slip;
pub use partner::PartnerFault;

/// What a problem is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject {
    /// A definitions file; lines and columns count in the file.
    File,
    /// An expression or rule that was given by itself.
    Text,
    /// The stored rule of this category, which the file does not mention.
    StoredCategory(Box<str>),
    /// The stored rule of this segment, which the file does not mention.
    StoredSegment(Box<str>),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File | Self::Text => Ok(()),
            Self::StoredCategory(name) => write!(f, "the rule of category \"{name}\", "),
            Self::StoredSegment(name) => write!(f, "the rule of segment \"{name}\", "),
        }
    }
}

/// One thing that is wrong, and its place.
///
/// ```
/// use mayfly_segments::Rule;
///
/// let problem = Rule::parse("hots == \"a.example\"").unwrap_err();
/// assert_eq!((problem.line, problem.column), (1, 1));
/// let text = problem.to_string();
/// assert!(text.contains("there is no field `hots`"), "{text}");
/// assert!(text.contains("the nearest name is `host`"), "{text}");
/// assert!(text.contains("^^^^"), "{text}");
/// ```
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub struct Problem {
    /// What is wrong.
    pub kind: ProblemKind,
    /// What it is about.
    pub subject: Subject,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Characters that the carets mark, at least 1.
    pub width: u32,
    /// The line, cut to about 100 characters around the place.
    pub excerpt: Box<str>,
    /// Characters that were cut off the start of the line.
    pub cut: u32,
}

impl Problem {
    /// What is wrong, in one sentence.
    #[must_use]
    pub fn message(&self) -> String {
        self.kind.to_string()
    }

    /// What would be right, when that is known.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        self.kind.help()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(f, "{}", self.kind)?;
        writeln!(f, "{margin}--> {}line {}, column {}", self.subject, self.line, self.column)?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {}", self.excerpt)?;
        let indent = " ".repeat(self.column.saturating_sub(self.cut as usize + 1));
        write!(f, "{margin} | {indent}{}", "^".repeat(self.width as usize))?;
        match self.help() {
            Some(help) => write!(f, "\n{margin} = {help}"),
            None => Ok(()),
        }
    }
}

/// A kind of problem and the bytes it is about; becomes a [`Problem`] when the text is known.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: ProblemKind,
    pub(crate) span: Range<usize>,
}

impl Fault {
    pub(crate) fn new(kind: ProblemKind, span: Range<usize>) -> Self {
        Self { kind, span }
    }
}

/// The first [`limits::PROBLEMS`] problems; one more says that there are others.
pub(crate) fn listed(problems: impl Iterator<Item = Problem>) -> Vec<Problem> {
    let mut listed: Vec<Problem> = problems.take(limits::PROBLEMS + 1).collect();
    if let Some(more) = listed.get_mut(limits::PROBLEMS) {
        more.kind = ProblemKind::AndMore;
    }
    listed
}

/// A text within a larger one: where the spans of its faults lie.
#[derive(Clone, Debug)]
pub(crate) struct Source<'a> {
    subject: Subject,
    whole: &'a str,
    /// Where the text begins in `whole`, when it stands there byte for byte.
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    /// Byte `n` of the text is byte `start + n` of the whole.
    Verbatim { start: usize },
    /// The text has escapes: all its faults point at the whole value.
    Escaped(Range<usize>),
}

impl<'a> Source<'a> {
    /// A text by itself.
    pub(crate) fn new(subject: Subject, whole: &'a str) -> Self {
        Self { subject, whole, place: Place::Verbatim { start: 0 } }
    }

    /// A value that takes `span` (with its quotes) in a definitions file.
    pub(crate) fn within(file: &'a str, span: Range<usize>, value: &str) -> Self {
        let raw = file.get(span.clone()).unwrap_or_default();
        // Only a value without escapes equals what stands between the quotes.
        let place = match raw.find(value) {
            Some(at) if !value.is_empty() && quotes_only(&raw[..at], &raw[at + value.len()..]) => {
                Place::Verbatim { start: span.start + at }
            }
            Some(_) | None => Place::Escaped(span),
        };
        Self { subject: Subject::File, whole: file, place }
    }

    /// The problem of a fault in this text.
    pub(crate) fn problem(&self, fault: Fault) -> Problem {
        let span = match &self.place {
            Place::Verbatim { start } => start + fault.span.start..start + fault.span.end,
            Place::Escaped(span) => span.clone(),
        };
        locate(self.subject.clone(), self.whole, fault.kind, span)
    }
}

fn quotes_only(before: &str, after: &str) -> bool {
    let quotes = |c: char| matches!(c, '"' | '\'' | '\n' | '\r');
    before.chars().all(quotes) && after.chars().all(quotes)
}

/// Characters shown of a long line before and after the place.
const EXCERPT_CHARS: usize = 50;

fn locate(subject: Subject, whole: &str, kind: ProblemKind, span: Range<usize>) -> Problem {
    let start = floor(whole, span.start);
    let end = floor(whole, span.end.max(start));
    let line_start = whole[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = whole[start..].find('\n').map_or(whole.len(), |at| start + at);
    let line = whole[line_start..line_end].trim_end_matches('\r');
    let before = whole[line_start..start].chars().count();
    let marked = whole[start..end.min(line_end)].chars().count();
    let cut = before.saturating_sub(EXCERPT_CHARS);
    let width = marked.clamp(1, EXCERPT_CHARS);
    let excerpt: String =
        line.chars().skip(cut).take(before - cut + width + EXCERPT_CHARS).collect();
    Problem {
        kind,
        subject,
        line: whole[..start].matches('\n').count() + 1,
        column: before + 1,
        width: u32::try_from(width).unwrap_or(1),
        excerpt: excerpt.replace(|c: char| c.is_control(), " ").into(),
        cut: u32::try_from(cut).unwrap_or(0),
    }
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(span: Range<usize>, source: &Source<'_>) -> Problem {
        source.problem(Fault::new(ProblemKind::UnclosedText, span))
    }

    #[test]
    fn places_in_a_file_are_those_of_the_file() {
        let file = "a = 1\nrule = 'x == y'\n";
        let p = sample(5..6, &Source::within(file, 13..21, "x == y"));
        assert_eq!((p.line, p.column, &*p.excerpt), (2, 14, "rule = 'x == y'"));
        let escaped = "rule = \"a\\\"b\"";
        let p = sample(2..3, &Source::within(escaped, 7..13, "a\"b"));
        assert_eq!((p.line, p.column, p.width), (1, 8, 6));
    }

    #[test]
    fn long_lines_are_cut_and_odd_spans_do_not_panic() {
        let text = "ä".repeat(500);
        let p = sample(601..603, &Source::new(Subject::Text, &text));
        assert_eq!((p.column, p.cut), (301, 250));
        assert!(p.to_string().lines().all(|l| l.chars().count() < 120));
        for span in [0..0, 1..1, 999..5000, 5000..6000] {
            assert!(!sample(span, &Source::new(Subject::Text, &text)).to_string().is_empty());
        }
    }
}
