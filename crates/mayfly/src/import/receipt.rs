//! What became of a file.

use std::collections::BTreeMap;

use mayfly_core::limits;
use mayfly_export::{BadRow, ImportFormat};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ImportMode;
use crate::app::rounded;
use crate::clock;

/// How many pairs of id and code came, and what became of each. `received` is the sum of all the
/// others but `removed_unnamed`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Pairs, and lines that could not be read.
    pub(crate) received: u64,
    /// Lines that could not be read.
    pub(crate) bad: u64,
    /// They name no audience, or one that is not defined.
    pub(crate) unknown_code: u64,
    /// Their audience's licence is over.
    pub(crate) licence_over: u64,
    /// Their audience is sensitive.
    pub(crate) sensitive: u64,
    /// Nobody here has the id.
    pub(crate) unknown_id: u64,
    /// He said no, or is about to be erased.
    pub(crate) suppressed: u64,
    /// The file said it before.
    pub(crate) repeated: u64,
    /// It was so already today; or he was not in it anyway.
    pub(crate) unchanged: u64,
    /// He is in it from now on, or still is.
    pub(crate) stored: u64,
    /// He is in it no more, as the file says.
    pub(crate) removed: u64,
    /// He is in it no more, for the file does not name him.
    pub(crate) removed_unnamed: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        let own = [
            (&mut self.received, other.received),
            (&mut self.bad, other.bad),
            (&mut self.unknown_code, other.unknown_code),
            (&mut self.licence_over, other.licence_over),
            (&mut self.sensitive, other.sensitive),
            (&mut self.unknown_id, other.unknown_id),
            (&mut self.suppressed, other.suppressed),
            (&mut self.repeated, other.repeated),
            (&mut self.unchanged, other.unchanged),
            (&mut self.stored, other.stored),
            (&mut self.removed, other.removed),
            (&mut self.removed_unnamed, other.removed_unnamed),
        ];
        own.into_iter().for_each(|(own, more)| *own += more);
    }

    /// Their names, in the order of what is looked at first.
    pub(crate) fn rows(&self) -> [(&'static str, u64); 11] {
        [
            ("bad", self.bad),
            ("unknown_code", self.unknown_code),
            ("licence_over", self.licence_over),
            ("sensitive", self.sensitive),
            ("unknown_id", self.unknown_id),
            ("suppressed", self.suppressed),
            ("repeated", self.repeated),
            ("unchanged", self.unchanged),
            ("stored", self.stored),
            ("removed", self.removed),
            ("removed_unnamed", self.removed_unnamed),
        ]
    }
}

/// The receipt of a file.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) number: u64,
    pub(crate) partner: String,
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    pub(crate) format: Option<ImportFormat>,
    pub(crate) mode: ImportMode,
    pub(crate) by: String,
    pub(crate) began_ms: i64,
    pub(crate) ended_ms: i64,
    pub(crate) counts: Counts,
    /// The first lines that could not be read, and why.
    pub(crate) bad_lines: Vec<(u64, String)>,
    /// Codes that are not defined, and how often they came.
    pub(crate) unknown_codes: BTreeMap<String, u64>,
    /// By the partner's code: who came, who left.
    pub(crate) audiences: BTreeMap<String, (u64, u64)>,
}

impl Receipt {
    /// Notes a line that says nothing.
    pub(super) fn note_bad(&mut self, (line, why): (u64, BadRow)) {
        self.counts.received += 1;
        self.counts.bad += 1;
        if self.bad_lines.len() < limits::IMPORT_BAD {
            self.bad_lines.push((line, why.label().to_owned()));
        }
    }

    /// Notes a pair whose audience is not defined.
    pub(super) fn note_unknown(&mut self, code: Option<&str>) {
        self.counts.unknown_code += 1;
        let code = code.unwrap_or("(none)");
        if let Some(times) = self.unknown_codes.get_mut(code) {
            *times += 1;
        } else if self.unknown_codes.len() < limits::IMPORT_BAD {
            let short = code.chars().take(limits::NAME_BYTES).collect();
            *self.unknown_codes.entry(short).or_default() += 1;
        }
    }

    /// Whether another one of the same kind and day follows it.
    pub(super) fn is_followed_by(&self, next: &Self) -> bool {
        let day = |own: &Self| mayfly_core::Timestamp::from_millis(own.began_ms).day();
        (&self.name, &self.by, self.mode, day(self)) == (&next.name, &next.by, next.mode, day(next))
    }

    /// Takes the place of one that it follows: of both together.
    pub(super) fn follow(&mut self, before: Self) {
        (self.number, self.began_ms) = (before.number, before.began_ms);
        self.bytes += before.bytes;
        self.counts.add(&before.counts);
        self.bad_lines.splice(..0, before.bad_lines);
        self.bad_lines.truncate(limits::IMPORT_BAD);
        for (code, (came, left)) in before.audiences {
            let own = self.audiences.entry(code).or_default();
            *own = (own.0 + came, own.1 + left);
        }
    }

    /// As it is told. Who is not to see exact sizes is told rounded ones of what is held here.
    pub(crate) fn shown(&self, is_exact: bool) -> Value {
        // To tens: else one id more would tell whether it is known.
        let seen = |n: u64| if is_exact { Some(n) } else { rounded(n / 10 * 10) };
        let told = ["bad", "unknown_code", "licence_over", "sensitive"];
        let rows = self.counts.rows().into_iter().map(|(name, n)| {
            let n = if told.contains(&name) { Some(n) } else { seen(n) };
            (name.to_owned(), json!(n))
        });
        let counts = std::iter::once(("received".to_owned(), json!(self.counts.received)));
        let at = |ms| clock::text(mayfly_core::Timestamp::from_millis(ms));
        let bad = self.bad_lines.iter().map(|(line, why)| json!({"line": line, "reason": why}));
        let audiences = self.audiences.iter().map(
            |(code, (came, left))| json!({"code": code, "came": seen(*came), "left": seen(*left)}),
        );
        json!({
            "id": format!("{}-{}", self.partner, self.number.saturating_sub(super::LAST)),
            "partner": self.partner,
            "file": self.name,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "format": self.format,
            "mode": self.mode,
            "by": self.by,
            "began": at(self.began_ms),
            "ended": at(self.ended_ms),
            "counts": counts.chain(rows).collect::<serde_json::Map<_, _>>(),
            "bad_lines": bad.collect::<Vec<_>>(),
            "unknown_codes": self.unknown_codes,
            "audiences": audiences.collect::<Vec<_>>(),
            "exact": is_exact,
        })
    }
}
