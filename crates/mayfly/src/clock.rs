//! The one place that reads the clock. Everything below takes the time as an argument.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mayfly_core::Timestamp;

/// Now.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Time since the first call, from a clock that never goes back: for latencies only.
#[must_use]
pub fn stopwatch() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

/// An instant as RFC 3339 text in UTC, whole seconds.
#[must_use]
pub fn text(at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.secs()).map_or_else(|_| String::new(), |t| t.to_string())
}
