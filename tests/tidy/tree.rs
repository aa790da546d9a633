//! The files of the tree, and the part of a Rust file that is the product.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that are no part of the tree: what was built, run or fetched.
const NOT_OURS: [&str; 3] = [".git", "mayfly-data", "node_modules"];

/// One text file of the tree.
pub(crate) struct Source {
    /// Its path from the root, with `/`.
    pub(crate) path: String,
    /// What it holds.
    pub(crate) text: String,
}

/// The root of the tree.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Reads a file that must be there.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Every text file with this ending (`""` = all).
pub(crate) fn files(ending: &str) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root(), &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/"))
        .filter(|path| path.ends_with(ending))
        .filter_map(|path| {
            let text = fs::read_to_string(root().join(&path)).ok()?;
            Some(Source { path, text })
        })
        .collect()
}

/// Every Rust file.
pub(crate) fn rust() -> Vec<Source> {
    files(".rs")
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !NOT_OURS.contains(&name.as_str()) && !name.starts_with("target") {
                walk(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}

impl Source {
    /// The crate it belongs to: `mayfly-store` of `crates/mayfly-store/src/lib.rs`.
    pub(crate) fn package(&self) -> &str {
        self.path.strip_prefix("crates/").and_then(|p| p.split('/').next()).unwrap_or("")
    }

    /// Whether the file as a whole is there for tests.
    pub(crate) fn is_test(&self) -> bool {
        let file = self.path.rsplit('/').next().unwrap_or("");
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.contains("/contract/")
            || file == "tests.rs"
            || file.ends_with("_tests.rs")
            || file == "fixtures.rs"
    }

    /// The numbered lines that are product code: no comments, nothing from the tests at the end
    /// of the file on. Empty for a file of tests.
    pub(crate) fn product(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> =
            if self.is_test() { Vec::new() } else { self.text.lines().collect() };
        let end = lines
            .windows(2)
            .position(|w| {
                w[0].trim() == "#[cfg(test)]" && (w[1].contains("mod ") || w[1].contains("#[path"))
            })
            .unwrap_or(lines.len());
        lines
            .into_iter()
            .take(end)
            .enumerate()
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(i, line)| (i + 1, line))
    }
}
