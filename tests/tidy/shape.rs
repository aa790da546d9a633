//! Sizes, names and words.

use crate::refuse;
use crate::tree;

/// The most lines of a Rust file.
const FILE_LINES: usize = 500;
/// The most characters of a Rust line.
const LINE_CHARS: usize = 100;
/// Names of attics: modules that say nothing about what is in them.
const ATTICS: [&str; 8] =
    ["util", "utils", "common", "helper", "helpers", "manager", "misc", "types"];

/// Words that mean "not done". Split, so that this file does not hold them.
const UNDONE: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
];

/// The mark of a test that does not run by itself. Split, as above.
const NOT_RUN: &str = concat!("#[ign", "ore");
/// Files that may hold such, because what they mark is no test.
const NO_TESTS: [(&str, &str); 3] = [
    ("crates/mayfly-store/src/codec/fixtures.rs", "writes the fixtures of a new format"),
    ("crates/mayfly-store/src/redis_store/tests/measure.rs", "measures"),
    ("crates/mayfly-store/tests/crash.rs", "is the process that a test starts and kills"),
];

/// Places on one machine that mean nothing on another.
const ELSEWHERE: [&str; 4] = [
    concat!("/wo", "rk/"),
    concat!("/tmp/", "brief"),
    concat!("/ro", "ot/"),
    concat!("CARGO_", "REGISTRIES"),
];

#[test]
fn files_are_short_and_lines_narrow() {
    let mut faults = Vec::new();
    for source in tree::rust() {
        let lines = source.text.lines().count();
        if lines > FILE_LINES {
            faults.push(format!("{}: {lines} lines; split it by concern", source.path));
        }
        for (n, line) in (1..).zip(source.text.lines()) {
            // What rustfmt leaves long is text in quotes; rows of tables cannot be broken.
            let is_whole = line.contains('"') || line.trim_start().starts_with("//! |");
            if line.chars().count() > LINE_CHARS && !is_whole {
                faults.push(format!("{}:{n}: wider than {LINE_CHARS}", source.path));
            }
        }
    }
    refuse("Sizes:", &faults);
}

#[test]
fn no_module_is_an_attic() {
    let mut faults = Vec::new();
    for source in tree::rust() {
        let stem = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
        let name = stem.rsplit('/').next().unwrap_or("");
        if ATTICS.contains(&name) {
            faults.push(source.path);
        }
    }
    refuse("Name these files after what they do:", &faults);
}

#[test]
fn every_file_begins_with_its_duty() {
    let mut faults = Vec::new();
    for source in tree::rust() {
        let is_beside_its_module = source.path.starts_with("crates/") && source.is_test();
        if !source.text.starts_with("//!") && !is_beside_its_module {
            faults.push(source.path);
        }
    }
    refuse("Begin with `//!` and a sentence: what this file does, and its limits:", &faults);
}

#[test]
fn nothing_is_left_undone() {
    let mut faults = Vec::new();
    for source in tree::rust() {
        for (n, line) in (1..).zip(source.text.lines()) {
            let is_test = NO_TESTS.iter().all(|(path, _)| *path != source.path);
            let is_skipped = line.contains(NOT_RUN) && is_test;
            if is_skipped || UNDONE.iter().any(|word| line.contains(word)) {
                faults.push(format!("{}:{n}: {}", source.path, line.trim()));
            }
        }
    }
    refuse("Do it, or leave it out of the tree:", &faults);
}

#[test]
fn nothing_names_the_machine_it_was_made_on() {
    let mut faults = Vec::new();
    for source in tree::files("") {
        for (n, line) in (1..).zip(source.text.lines()) {
            if ELSEWHERE.iter().any(|place| line.contains(place)) {
                faults.push(format!("{}:{n}: {}", source.path, line.trim()));
            }
        }
    }
    refuse("These lines are true on one machine only:", &faults);
}

#[test]
fn the_lock_file_names_the_public_registry_only() {
    let lock = tree::read("Cargo.lock");
    let public = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let foreign = lock.lines().filter(|l| l.starts_with("source = ") && *l != public);
    refuse("Other sources in Cargo.lock:", &foreign.map(str::to_owned).collect::<Vec<_>>());
}

#[test]
fn scripts_stop_at_the_first_failure() {
    let mut faults = Vec::new();
    for source in tree::files("") {
        if source.text.starts_with("#!/usr/bin/env bash")
            && !source.text.contains("\nset -euo pipefail\n")
        {
            faults.push(source.path);
        }
    }
    refuse("Add `set -euo pipefail`:", &faults);
}
