//! A rule base that was in use (Mozilla's interests: 7,082 hosts, some with words of the path, in
//! 58 categories) against a plain lookup in its own file. Skipped where the data is absent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use serde_json::Value;

use crate::program::Setup;

/// What holds on a host's pages: `__ANY` on all, `__HOME` on its first, else where all words of the
/// key are in the path.
type Keys = BTreeMap<String, BTreeSet<String>>;

fn hosts() -> Option<BTreeMap<String, Keys>> {
    let own = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let data = std::env::var_os("MAYFLY_DATA").map_or_else(own, PathBuf::from);
    let file = data.join("mozilla-interest/models/en-US/rules/58-cat.json");
    let Ok(text) = std::fs::read_to_string(file) else {
        eprintln!("skipped: no mozilla-interest in ../shared/data (MAYFLY_DATA)");
        return None;
    };
    let all: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_str(&text).unwrap();
    let names = |value: &Value| -> BTreeSet<String> {
        match value.as_array() {
            Some(all) => all.iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
            None => BTreeSet::from([value.as_str().unwrap().to_owned()]),
        }
    };
    let keys =
        |own: BTreeMap<String, Value>| own.iter().map(|(k, v)| (k.clone(), names(v))).collect();
    Some(all.into_iter().map(|(host, own)| (host, keys(own))).collect())
}

fn rule(host: &str, key: &str) -> String {
    match key {
        "__ANY" => format!("host == \"{host}\""),
        "__HOME" => format!("host == \"{host}\" and path == \"/\""),
        words => {
            let words: Vec<String> = words.split(' ').map(|word| format!("\"{word}\"")).collect();
            format!("host == \"{host}\" and path mentions all ({})", words.join(", "))
        }
    }
}

/// The plain lookup.
fn looked_up(keys: &Keys, path: &str) -> BTreeSet<String> {
    let words: BTreeSet<&str> = path.split('/').collect();
    let holds = |key: &str| match key {
        "__ANY" => true,
        "__HOME" => path == "/",
        all => all.split(' ').all(|word| words.contains(word)),
    };
    keys.iter().filter(|(key, _)| holds(key)).flat_map(|(_, names)| names.clone()).collect()
}

#[test]
fn every_host_falls_where_its_own_file_says() {
    let Some(hosts) = hosts() else { return };
    let mut rules: BTreeMap<&str, String> = BTreeMap::new();
    for (host, keys) in &hosts {
        for (key, names) in keys {
            for name in names {
                let all = rules.entry(name).or_default();
                writeln!(all, "  {{ rule = '{}' }},", rule(host, key)).unwrap();
            }
        }
    }
    let mut text = "format = 1\n".to_owned();
    for (name, all) in &rules {
        writeln!(text, "[[category]]\nname = \"{name}\"\nrules = [\n{all}]").unwrap();
    }
    let names: Vec<&str> = rules.keys().copied().collect();
    let mut tests = 0;
    for (host, keys) in &hosts {
        let paths = keys.keys().filter(|key| !key.starts_with("__"));
        let paths = paths.map(|key| format!("/{}", key.replace(' ', "/")));
        for path in paths.chain(["/".to_owned(), "/a/b".to_owned()]) {
            let found = looked_up(keys, &path);
            // Some of the others, each time others.
            let others = names.iter().cycle().skip(tests % names.len()).take(12);
            let without: Vec<_> = others.filter(|name| !found.contains(**name)).collect();
            writeln!(text, "[[test]]\nhit = {{ url = \"https://{host}{path}\" }}").unwrap();
            writeln!(text, "in = {found:?}\nnot_in = {without:?}").unwrap();
            tests += 1;
        }
    }
    assert!(hosts.len() > 7000 && tests > 15_000, "{} hosts, {tests} tests", hosts.len());
    let text = text.replace("in = {", "in = [").replace("}\nnot_in", "]\nnot_in");
    let setup = Setup::new();
    let file = setup.write("interests.toml", &text).display().to_string();
    let told = setup.ok(&["test", &file]);
    assert!(told.contains(&format!("{tests} passed, 0 failed")), "{told}");
}
