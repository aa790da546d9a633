//! Whether an automaton asked, as far as it says so itself.
//!
//! The patterns are those of the npm package `crawler-user-agents` (its licence lies beside them),
//! matched in one pass over the agent, whatever their number. An automaton that says that it is a
//! browser is not found here.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::Regex;

use crate::client::{AGENT_BYTES, Hints, agent_of, head};

#[cfg(test)]
mod tests;

/// One regular expression a line; case counts.
const PATTERNS: &str = include_str!("bots/patterns.txt");
/// No browser's agent is shorter, bytes.
const AGENT_BYTES_MIN: usize = 10;

/// Why a client counts as an automaton.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum BotKind {
    /// Its agent matches a known pattern.
    Listed,
    /// It has no user agent.
    NoAgent,
    /// Its headers are ones that no browser sends.
    Impossible,
}

impl BotKind {
    /// Every kind, in the order of their stored numbers.
    pub const ALL: [Self; 3] = [Self::Listed, Self::NoAgent, Self::Impossible];

    /// The name in reports.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::NoAgent => "no_agent",
            Self::Impossible => "impossible",
        }
    }
}

/// The compiled patterns. Costs milliseconds to make and is then shared by all requests.
#[derive(Clone, Debug)]
pub struct Bots {
    /// The patterns that are plain texts: nearly all.
    texts: AhoCorasick,
    /// The others.
    others: Regex,
}

impl Bots {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// Never with the patterns as shipped; a test sees to it.
    pub fn new() -> Result<Self, BadPatterns> {
        let (mut texts, mut others) = (Vec::new(), Vec::new());
        for pattern in PATTERNS.lines().filter(|line| !line.is_empty()) {
            match plain(pattern) {
                Some(text) => texts.push(text),
                None => others.push(pattern),
            }
        }
        // Not one big regex: its states are made while matching, and agents of many kinds make
        // it throw them away all the time. This one's are all there, and take 0.4 MB.
        let kind = Some(AhoCorasickKind::ContiguousNFA);
        let texts = AhoCorasick::builder().kind(kind).build(texts).map_err(|_| BadPatterns)?;
        let others = Regex::new(&others.join("|")).map_err(|_| BadPatterns)?;
        Ok(Self { texts, others })
    }

    /// Why the client is an automaton; `None` for what may be a browser. Of agents longer than
    /// [`AGENT_BYTES`] the beginning is judged.
    #[must_use]
    pub fn judge(&self, hints: &Hints<'_>) -> Option<BotKind> {
        self.judge_agent(agent_of(hints)).or_else(|| impossible_hints(hints))
    }

    /// Why an agent is an automaton's, by itself.
    pub(crate) fn judge_agent(&self, agent: &str) -> Option<BotKind> {
        // Access logs write a missing agent as a hyphen.
        if matches!(agent, "" | "-") {
            return Some(BotKind::NoAgent);
        }
        if self.texts.is_match(agent) || self.others.is_match(agent) {
            return Some(BotKind::Listed);
        }
        impossible_agent(agent).then_some(BotKind::Impossible)
    }
}

/// The patterns that were built in do not compile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadPatterns;

impl std::fmt::Display for BadPatterns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the built-in patterns of automata do not compile")
    }
}

impl std::error::Error for BadPatterns {}

/// The text that a pattern matches, if it matches one only.
fn plain(pattern: &str) -> Option<String> {
    let (mut text, mut chars) = (String::new(), pattern.chars());
    while let Some(char) = chars.next() {
        match char {
            '\\' => text.push(chars.next().filter(char::is_ascii_punctuation)?),
            '.' | '[' | ']' | '(' | ')' | '{' | '}' | '*' | '+' | '?' | '|' | '^' | '$' => {
                return None;
            }
            _ => text.push(char),
        }
    }
    Some(text)
}

/// An agent that no browser has. In doubt it is one that some browser has.
fn impossible_agent(agent: &str) -> bool {
    agent.len() < AGENT_BYTES_MIN
        || agent.bytes().any(|byte| byte.is_ascii_control())
        || !agent.chars().any(char::is_alphabetic)
        || agent.starts_with("Mozilla/") && !agent.contains([' ', '+', '('])
        // Automata say where one can read about them; browsers have no need to.
        || agent.contains("://")
}

/// [`BotKind::Impossible`] for hints that no browser sends.
pub(crate) fn impossible_hints(hints: &Hints<'_>) -> Option<BotKind> {
    let says = |hint: Option<&str>, value| hint.is_some_and(|hint| hint.trim() == value);
    let is_headless =
        hints.ua.is_some_and(|brands| head(brands, AGENT_BYTES).contains("HeadlessChrome"));
    // There is no telephone with Windows whose browser sends hints.
    let is_windows_phone = says(hints.mobile, "?1") && says(hints.platform, "\"Windows\"");
    (is_headless || is_windows_phone).then_some(BotKind::Impossible)
}
