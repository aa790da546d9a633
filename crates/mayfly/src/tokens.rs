//! Access tokens: a name, a role, and the hash of a random secret. The secret is shown once.
//!
//! One table says what each role may do ([`Role::may`]).

use mayfly_core::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes of randomness in a token; printed as twice as many hex digits.
const SECRET_BYTES: usize = 32;

/// What a token's holder is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Role {
    /// Sees rounded sizes.
    Viewer,
    /// Sends hits; sees rounded sizes.
    SiteOwner,
    /// Defines taxonomy and segments, exports.
    AdOps,
    /// Shows and erases visitors, audits the retention.
    Privacy,
    /// Sees status and metrics.
    Operator,
    /// Sends hits of its own.
    Partner,
    /// Everything.
    Admin,
}

/// What a call needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Right {
    /// Send hits server to server.
    SendHits,
    /// Read definitions and sizes.
    Read,
    /// Read members one by one.
    ReadMembers,
    /// Look segments of visitors up.
    LookUp,
    /// Plan, apply and test definitions; note replayed files.
    Define,
    /// Read and erase what is held about a visitor; audit.
    People,
    /// Read status and health.
    Operate,
    /// Make and revoke tokens.
    Tokens,
}

impl Role {
    /// The one table of rights.
    #[must_use]
    pub const fn may(self, right: Right) -> bool {
        match self {
            Self::Viewer => matches!(right, Right::Read),
            Self::SiteOwner => matches!(right, Right::Read | Right::SendHits | Right::LookUp),
            Self::AdOps => {
                matches!(
                    right,
                    Right::Read
                        | Right::ReadMembers
                        | Right::LookUp
                        | Right::Define
                        | Right::SendHits
                )
            }
            Self::Privacy => matches!(right, Right::Read | Right::People),
            Self::Operator => matches!(right, Right::Read | Right::Operate),
            Self::Partner => matches!(right, Right::SendHits),
            Self::Admin => true,
        }
    }

    /// Whether sizes are shown exactly; else two significant digits and nothing under the floor.
    #[must_use]
    pub const fn sees_exact(self) -> bool {
        !matches!(self, Self::Viewer | Self::SiteOwner | Self::Partner)
    }
}

/// One token, as kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Token {
    /// Its name, unique.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Hex of the secret's SHA-256.
    pub sha256: String,
    /// When it was made, epoch milliseconds.
    pub created_ms: i64,
    /// The keys of the sites that it is for; empty = all.
    #[serde(default)]
    pub sites: Vec<String>,
    /// The key of the partner that it is for: it may pull this partner's files.
    #[serde(default)]
    pub partner: Option<String>,
}

/// What a token is for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scope {
    /// The keys of its sites; empty = all.
    pub sites: Vec<String>,
    /// The key of its partner.
    pub partner: Option<String>,
}

/// All tokens: the catalog's entry.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tokens {
    /// Format of this record.
    format: u8,
    tokens: Vec<Token>,
}

impl Tokens {
    /// Reads the catalog's entry; `None` when it is no such record.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|t: &Self| t.format <= 1)
    }

    /// The catalog's entry.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The tokens, by name.
    #[must_use]
    pub fn all(&self) -> &[Token] {
        &self.tokens
    }

    /// Adds (or replaces, by name) the token of `secret`.
    pub fn put(&mut self, name: &str, (role, scope): (Role, Scope), secret: &str, now: Timestamp) {
        self.format = 1;
        self.revoke(name);
        let (sha256, created_ms) = (hash(secret), now.millis());
        let Scope { sites, partner } = scope;
        let token = Token { name: name.to_owned(), role, sha256, created_ms, sites, partner };
        self.tokens.push(token);
        self.tokens.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Removes a token; whether there was one.
    pub fn revoke(&mut self, name: &str) -> bool {
        let before = self.tokens.len();
        self.tokens.retain(|t| t.name != name);
        self.tokens.len() < before
    }

    /// The token of this secret. Comparing hashes leaks nothing useful by its timing: the hash
    /// of a guess tells nothing about the secret.
    #[must_use]
    pub fn find(&self, secret: &str) -> Option<&Token> {
        let hash = hash(secret);
        self.tokens.iter().find(|t| t.sha256 == hash)
    }
}

/// A new secret from the system's randomness.
///
/// # Errors
/// The system's, when it has none.
pub fn new_secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0u8; SECRET_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(hex(&bytes))
}

fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, b| {
        // Writing to a String cannot fail.
        write!(text, "{b:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_by_secret_until_revoked_and_never_kept_in_clear() {
        let mut tokens = Tokens::default();
        let secret = new_secret().unwrap();
        tokens.put("ci", (Role::SiteOwner, Scope::default()), &secret, Timestamp::from_secs(1));
        let bytes = tokens.to_bytes();
        assert!(!String::from_utf8(bytes.clone()).unwrap().contains(&secret));
        let mut read = Tokens::from_bytes(&bytes).unwrap();
        assert_eq!(read.find(&secret).unwrap().name, "ci");
        assert!(read.find("guess").is_none());
        assert!(read.revoke("ci") && !read.revoke("ci"));
        assert!(read.find(&secret).is_none());
    }

    #[test]
    fn the_lesser_roles_cannot_read_people_or_make_tokens() {
        for role in [Role::Viewer, Role::SiteOwner, Role::AdOps, Role::Operator, Role::Partner] {
            assert!(!role.may(Right::People) && !role.may(Right::Tokens), "{role:?}");
        }
        assert!(!Role::Viewer.sees_exact() && Role::AdOps.sees_exact());
    }
}
