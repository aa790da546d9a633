//! The IAB Tech Lab's own files, as published: every row with its id, sensitive ones marked; and
//! its mapping tables.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mayfly_store::contract::servers::RedisServer;
use serde_json::json;

use crate::program::Setup;

/// Files, standards, rows, rows that the file marks as sensitive (of Audience 1.0 those that 1.1
/// dropped). Counted apart, by another program.
const FILES: [(&str, &str, u64, u64); 6] = [
    ("Content Taxonomies/Content Taxonomy 1.0.tsv", "content-1.0", 392, 0),
    ("Content Taxonomies/Content Taxonomy 2.2.tsv", "content-2.2", 1196, 64),
    ("Content Taxonomies/Content Taxonomy 3.1.tsv", "content-3.1", 704, 63),
    ("Audience Taxonomies/Audience Taxonomy 1.0.tsv", "audience-1.0", 1679, 121),
    ("Audience Taxonomies/Audience Taxonomy 1.1.tsv", "audience-1.1", 1558, 0),
    ("Ad Product Taxonomies/Ad Product Taxonomy 2.0.tsv", "ad-product-2.0", 583, 0),
];

fn folder() -> Option<PathBuf> {
    let own = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let data = std::env::var_os("MAYFLY_DATA").map_or_else(own, PathBuf::from);
    Some(data.join("iab-taxonomies")).filter(|folder| folder.is_dir())
}

/// The ids of a standard in an exported definitions file.
fn ids(export: &str, standard: &str) -> BTreeSet<String> {
    let texts = export.split('"').filter_map(|text| text.strip_prefix(standard)?.strip_prefix(':'));
    texts.map(str::to_owned).collect()
}

fn tell(setup: Setup) {
    let Some(folder) = folder() else {
        eprintln!("skipped: no iab-taxonomies in ../shared/data (MAYFLY_DATA)");
        return;
    };
    let mine =
        "format = 1\n[[category]]\nname = \"Automotive\"\nrule = 'path startswith \"/cars\"'\n";
    let mine = setup.write("mine.toml", mine).display().to_string();
    let program = setup.start();
    let setup = program.setup();
    setup.ok(&["apply", &mine]);
    for (file, standard, categories, sensitive) in FILES {
        let path = folder.join(file).display().to_string();
        let load = || setup.json(&["taxonomy", "load", &path]);
        let answer = load();
        assert_eq!(
            (&answer["standard"], &answer["sensitive"]),
            (&json!(standard), &json!(sensitive))
        );
        let export = setup.ok(&["definitions", "export"]);
        assert_eq!(ids(&export, standard).len() as u64, categories, "{file}: {answer}");
        let again = load();
        assert_eq!((&again["added"], &again["changed"]), (&json!(0), &json!(0)), "{file}");
    }
    let export = setup.ok(&["definitions", "export"]);
    let (all, newer) = (ids(&export, "audience-1.0"), ids(&export, "audience-1.1"));
    assert!(newer.is_subset(&all) && all.len() - newer.len() == 121, "1.1 dropped the rest");
    mapped(setup, &folder);
    let export = setup.ok(&["definitions", "export"]);
    assert!(export.contains("path startswith"), "my rule stays");
    // The whole of it can be planned and applied again as a file.
    let file = setup.write("all.toml", &export).display().to_string();
    assert!(setup.ok(&["apply", &file]).contains("nothing to change"));
    let renamed = setup.data().join("mine.tsv");
    fs::copy(folder.join(FILES[2].0), &renamed).unwrap();
    let done = setup.run(&["taxonomy", "load", &renamed.display().to_string()]);
    assert!(done.code == 1 && done.stderr.contains("--standard"), "{done:?}");
    program.stop();
}

/// Categories with an id of Content 1.0 get that of 2.0, as the table says.
fn mapped(setup: &Setup, folder: &Path) {
    let table = folder.join("Taxonomy Mappings/Content 1.0 to Content 2.0.tsv");
    let table = table.display().to_string();
    let done = setup.ok(&["taxonomy", "map", &table]);
    assert!(done.contains("content-1.0 to content-2.0: "), "{done}");
    let export = setup.ok(&["definitions", "export"]);
    let of =
        |id: &str| export.lines().find(|line| line.contains(&format!("\"{id}\""))).unwrap_or("");
    assert!(of("content-1.0:IAB1-3").contains("content-2.0:201"), "{}", of("content-1.0:IAB1-3"));
    assert!(setup.ok(&["taxonomy", "map", &table]).contains(": 0 categories"), "twice");
    let wrong = folder.join("Taxonomy Mappings/CTV Genre Mapping.tsv").display().to_string();
    let refused = setup.run(&["taxonomy", "map", &wrong]);
    assert!(refused.code == 1 && refused.stderr.contains("--from"), "{refused:?}");
}

#[test]
fn embedded() {
    tell(Setup::new());
}

#[test]
fn redis() {
    let server = RedisServer::start(&["--appendonly", "yes"]).unwrap();
    tell(Setup::new().env("MAYFLY_STORE__URL", &server.url()));
}
