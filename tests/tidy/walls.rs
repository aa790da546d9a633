//! The walls between the crates (`docs/ARCHITECTURE.md`), read from manifests and source text.

use std::collections::BTreeMap;

use crate::refuse;
use crate::tree::{self, Source};

/// Which of our crates each crate may use.
const MAY_USE: [(&str, &[&str]); 6] = [
    ("mayfly-core", &[]),
    ("mayfly-segments", &["mayfly-core"]),
    ("mayfly-store", &["mayfly-core"]),
    ("mayfly-collector", &["mayfly-core", "mayfly-segments", "mayfly-store"]),
    ("mayfly-export", &["mayfly-core", "mayfly-segments", "mayfly-store"]),
    (
        "mayfly",
        &["mayfly-core", "mayfly-segments", "mayfly-store", "mayfly-collector", "mayfly-export"],
    ),
];

/// Foreign crates with a wall: only these of ours may use them.
const ONLY: [(&str, &[&str]); 10] = [
    // HTTP, command line and settings.
    ("actix-web", &["mayfly"]),
    ("ureq", &["mayfly"]),
    ("clap", &["mayfly"]),
    ("config", &["mayfly"]),
    ("anyhow", &["mayfly"]),
    // Bytes at rest. The collector reads MessagePack bodies, which come from the network.
    ("fjall", &["mayfly-store"]),
    ("redis", &["mayfly-store"]),
    ("rmp-serde", &["mayfly-store", "mayfly-collector"]),
    // Async and metrics: core, segments and export are plain functions.
    ("tokio", &["mayfly", "mayfly-store", "mayfly-collector"]),
    ("prometheus", &["mayfly", "mayfly-collector"]),
];

/// Everything `mayfly-core` may use.
const CORE_DEPENDENCIES: [&str; 2] = ["url", "xxhash-rust"];

/// Text that product code must not hold, and the paths that may, each with its reason.
struct Ban {
    text: &'static str,
    instead: &'static str,
    allowed: &'static [(&'static str, &'static str)],
}

const THE_PROGRAM: (&str, &str) = ("crates/mayfly/src/", "the binary is where the world begins");
const THE_STORE: (&str, &str) = ("crates/mayfly-store/src/embedded", "bytes at rest");
const EXPORTS: (&str, &str) = ("crates/mayfly-export/src/", "files are what it makes");
const SPILL: (&str, &str) = ("crates/mayfly-collector/src/spill", "the spill is a file");
const TIMINGS: (&str, &str) =
    ("crates/mayfly-collector/src/", "durations for metrics, never an hour or a day");

const BANS: [Ban; 9] = [
    Ban {
        text: "SystemTime::now",
        instead: "take the time as an argument",
        allowed: &[THE_PROGRAM],
    },
    Ban {
        text: "Instant::now",
        instead: "take the time as an argument",
        allowed: &[THE_PROGRAM, TIMINGS],
    },
    Ban { text: "std::env", instead: "take the setting as an argument", allowed: &[THE_PROGRAM] },
    Ban {
        text: "std::fs",
        instead: "leave files to store, export and spill",
        allowed: &[THE_PROGRAM, THE_STORE, EXPORTS, SPILL],
    },
    Ban {
        text: "tokio::fs",
        instead: "leave files to store, export and spill",
        allowed: &[THE_PROGRAM],
    },
    Ban {
        text: "Hit::restore(",
        instead: "make hits by Hit::admit; only a store reads back what it was given",
        allowed: &[("crates/mayfly-store/src/", "it reads back what it was given")],
    },
    Ban { text: "#[allow(", instead: "use #[expect(…, reason = \"…\")]", allowed: &[] },
    Ban { text: "unsafe ", instead: "do without", allowed: &[] },
    Ban { text: "std::process::exit", instead: "return an ExitCode", allowed: &[THE_PROGRAM] },
];

fn manifest(package: &str) -> toml::Table {
    tree::read(&format!("crates/{package}/Cargo.toml")).parse().unwrap()
}

fn packages() -> Vec<String> {
    let folders = std::fs::read_dir(tree::root().join("crates")).unwrap();
    let mut names: Vec<_> =
        folders.map(|f| f.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The names of a package's dependencies (not those of its tests).
fn dependencies(package: &str) -> Vec<String> {
    let manifest = manifest(package);
    let table = manifest.get("dependencies").and_then(toml::Value::as_table);
    table.into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

#[test]
fn crates_use_only_crates_of_lower_layers() {
    let may_use: BTreeMap<_, _> = MAY_USE.into_iter().collect();
    let mut faults = Vec::new();
    for package in packages() {
        let Some(allowed) = may_use.get(package.as_str()) else {
            faults.push(format!("{package} has no row in MAY_USE"));
            continue;
        };
        for used in dependencies(&package) {
            if used.starts_with("mayfly") && !allowed.contains(&used.as_str()) {
                faults.push(format!("{package} uses {used}"));
            }
        }
    }
    refuse("Walls of docs/ARCHITECTURE.md; move the code to the layer it belongs to:", &faults);
}

#[test]
fn foreign_crates_stay_behind_their_walls() {
    let mut faults = Vec::new();
    for package in packages() {
        for used in dependencies(&package) {
            let walled = ONLY.iter().find(|(name, _)| *name == used);
            if walled.is_some_and(|(_, users)| !users.contains(&package.as_str())) {
                faults.push(format!("{package} uses {used}"));
            }
            if package == "mayfly-core" && !CORE_DEPENDENCIES.contains(&used.as_str()) {
                faults.push(format!("{package} uses {used}; nouns need next to nothing"));
            }
        }
    }
    refuse("A wall of tests/tidy/walls.rs stands between these:", &faults);
}

#[test]
fn clocks_files_and_the_environment_stay_where_they_belong() {
    let mut faults = Vec::new();
    for source in tree::rust().iter().filter(|s| s.path.starts_with("crates/")) {
        for ban in &BANS {
            if !ban.allowed.iter().any(|(path, _)| source.path.starts_with(path)) {
                faults.extend(found(source, ban));
            }
        }
    }
    refuse("Walls of docs/ARCHITECTURE.md:", &faults);
}

fn found(source: &Source, ban: &Ban) -> Vec<String> {
    let fault = |n: usize| format!("{}:{n}: `{}`: {}", source.path, ban.text, ban.instead);
    source.product().filter(|(_, l)| l.contains(ban.text)).map(|(n, _)| fault(n)).collect()
}

#[test]
fn core_and_segments_are_not_async() {
    let mut faults = Vec::new();
    for source in tree::rust() {
        if ["mayfly-core", "mayfly-segments", "mayfly-export"].contains(&source.package()) {
            let lines = source.product().filter(|(_, l)| l.contains("async "));
            faults.extend(lines.map(|(n, _)| format!("{}:{n}", source.path)));
        }
    }
    refuse("These crates are plain functions; waiting belongs to the store and above:", &faults);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let mut faults = Vec::new();
    for package in packages() {
        let manifest = manifest(&package);
        let lints = manifest.get("lints").and_then(|l| l.get("workspace"));
        if lints.and_then(toml::Value::as_bool) != Some(true) {
            faults.push(format!("crates/{package}/Cargo.toml"));
        }
        if manifest.get("package").and_then(|p| p.get("description")).is_none() {
            faults.push(format!("crates/{package}/Cargo.toml has no description"));
        }
    }
    refuse("Add `[lints] workspace = true` and a description to:", &faults);
}

#[test]
fn every_wall_still_has_something_behind_it() {
    let used: Vec<String> = packages().iter().flat_map(|p| dependencies(p)).collect();
    let stale = ONLY.iter().filter(|(name, _)| !used.iter().any(|u| u == name));
    refuse(
        "Rows of ONLY that guard a crate nobody uses; take them out:",
        &stale.map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>(),
    );
}
