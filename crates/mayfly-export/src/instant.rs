//! Instants as partners write them.

use mayfly_core::Timestamp;

/// `2026-01-06T10:00:00Z`; the beginning of 1970 for an instant that no calendar has.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.secs()).unwrap_or_default().to_string()
}
