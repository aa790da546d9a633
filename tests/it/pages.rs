//! The pages about deliveries: every definition that they show can be applied.

use std::fs;

use crate::program::Setup;

const PAGES: [&str; 6] = ["", "-xandr", "-trade-desk", "-google", "-template", "-files"];

/// What the pages take for granted.
const BEFORE: &str = r#"
[[segment]]
name = "football-fans"
rule = 'visited("*", within 30d)'
[[segment]]
name = "summer-sale"
rule = 'visited("*", within 7d)'
"#;

const PARTNER: &str = "[[partner]]\nkey = \"acme\"\nvendor_id = 7\n";

const DESTINATION: &str = r#"
[[destination]]
name = "shown"
partner = "acme"
country = "US"
transfer = "clauses"
secrets = { token = "acme_token" }
segments = [{ segment = "football-fans", code = "1" }]
"#;

/// The blocks of a page that are definitions.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    for block in page.split("```toml\n").skip(1) {
        blocks.push(block.split("```").next().unwrap().to_owned());
    }
    blocks
}

#[test]
fn what_the_pages_about_deliveries_show_can_be_applied() {
    let program = Setup::new().start();
    let (mut number, docs) = (0, concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/deliver"));
    for name in PAGES {
        let page = fs::read_to_string(format!("{docs}{name}.md")).unwrap();
        for block in blocks(&page) {
            number += 1;
            let partner = if block.contains("[[partner]]") { "" } else { PARTNER };
            let whole = block.contains("[[destination]]");
            let (destination, block) = match block.split_once("[destination.") {
                // What stands before its way belongs to the destination.
                Some((own, way)) if !whole => {
                    (format!("{DESTINATION}{own}"), format!("[destination.{way}"))
                }
                _ => (String::new(), block.clone()),
            };
            let text = format!("format = 1\n{BEFORE}{partner}{destination}{block}");
            let file = program.setup().write("page.toml", &text).display().to_string();
            let done = program.setup().run(&["plan", &file]);
            assert_eq!(done.code, 0, "docs/deliver{name}.md:\n{text}\n{}", done.stderr);
        }
    }
    assert!(number >= 9, "{number} blocks");
}

#[test]
fn what_the_page_about_imports_shows_can_be_applied() {
    let program = Setup::new().start();
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/import.md");
    let page = fs::read_to_string(page).unwrap();
    let all = blocks(&page);
    assert_eq!(all.len(), 1);
    let text = format!("format = 1\n{}", all[0]);
    let file = program.setup().write("page.toml", &text).display().to_string();
    program.setup().ok(&["apply", &file]);
    let lines = page.split("$ cat buyers.csv\n").nth(1).unwrap().split("$ mayfly").next().unwrap();
    let file = program.setup().write("buyers.csv", lines).display().to_string();
    let receipt = program.setup().json(&["import", &file, "--partner", "acme"]);
    assert_eq!(receipt["counts"]["unknown_id"], serde_json::json!(2), "{receipt:#}");
}
