//! Secrets of destinations: by name, from the environment or a folder. No definition, export or
//! log holds one.

use std::path::{Path, PathBuf};

use mayfly_segments::Destination;

/// What stands before a secret's name in the environment.
pub(crate) const PREFIX: &str = "MAYFLY_SECRET_";

/// Values by what they are used for.
pub(crate) type Secrets = Vec<(Box<str>, Box<str>)>;

/// A secret that is not there.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the secret {name:?} is neither in {PREFIX}{} nor a file of that name in the folder of secrets", name.to_uppercase())]
pub(crate) struct NoSecret {
    /// Its name.
    pub(crate) name: Box<str>,
}

/// The secrets of a destination by what they are used for.
pub(crate) fn of(destination: &Destination, folder: &Path) -> Result<Secrets, NoSecret> {
    let found = destination.secrets.iter().map(|(used_for, name)| {
        let variable = format!("{PREFIX}{}", name.to_uppercase());
        // Names are of a-z, 0-9 and _: none leads out of the folder.
        let read = || std::fs::read_to_string(folder.join(&**name)).ok();
        let value = std::env::var(variable).ok().or_else(read);
        let value = value.map(|value| value.trim_end_matches(['\r', '\n']).into());
        value.map(|value| (used_for.clone(), value)).ok_or_else(|| NoSecret { name: name.clone() })
    });
    found.collect()
}

/// A secret's file of a destination that others than its owner can read.
pub(crate) fn open_to_all(destination: &Destination, folder: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mut files = destination.secrets.iter().map(|(_, name)| folder.join(&**name));
    let is_open = |file: &PathBuf| {
        std::fs::metadata(file).is_ok_and(|about| about.permissions().mode() & 0o077 != 0)
    };
    files.find(is_open).map(|file| file.display().to_string())
}

/// The value that is used for something.
pub(crate) fn used_for<'s>(secrets: &'s Secrets, what: &str) -> Option<&'s str> {
    secrets.iter().find(|(own, _)| **own == *what).map(|(_, value)| &**value)
}
