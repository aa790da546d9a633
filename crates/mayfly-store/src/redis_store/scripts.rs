//! The Lua scripts: each is one atomic step on keys of one slot. What a script does, its keys,
//! arguments and answers stand at the head of its file.

use std::sync::LazyLock;

use super::conn::Command;

/// A script and its hash.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) text: &'static str,
    sha: LazyLock<String>,
}

macro_rules! scripts {
    ($($name:ident = $file:literal),+ $(,)?) => {
        $(pub(super) static $name: Script = Script {
            text: include_str!($file),
            sha: LazyLock::new(|| redis::Script::new(include_str!($file)).get_hash().to_owned()),
        };)+
    };
}

scripts! {
    APPEND = "lua/append.lua",
    CHECKPOINT = "lua/checkpoint.lua",
    CLAIM = "lua/claim.lua",
    CREATE = "lua/create.lua",
    ERASE = "lua/erase.lua",
    FORGET = "lua/forget.lua",
    INTERN = "lua/intern.lua",
    LEASE = "lua/lease.lua",
    MARK = "lua/mark.lua",
    MATCH = "lua/match.lua",
    NAMES = "lua/names.lua",
    ORDINALS = "lua/ordinals.lua",
    RAISE = "lua/raise.lua",
    RELEASE = "lua/release.lua",
    SEAL = "lua/seal.lua",
    WRITE_CATALOG = "lua/write_catalog.lua",
}

impl Script {
    /// A call on these keys (at least one, all of one slot); arguments follow.
    pub(super) fn on(&'static self, keys: &[String]) -> Command {
        let key = keys.first().map_or("", String::as_str);
        let mut command = Command::routed("EVALSHA", key);
        command.script = Some(self);
        keys.iter().fold(command.text(&self.sha).number(keys.len() as u64), |c, key| c.text(key))
    }
}
