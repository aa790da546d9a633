//! The pages about deliveries: every definition that they show can be applied.

use std::fs;

use crate::program::Setup;

const PAGES: [&str; 8] = [
    "deliver",
    "deliver-xandr",
    "deliver-trade-desk",
    "deliver-google",
    "deliver-template",
    "deliver-files",
    "feeds",
    "cdp",
];

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
pub(crate) fn blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    for block in page.split("```toml\n").skip(1) {
        blocks.push(block.split("```").next().unwrap().to_owned());
    }
    blocks
}

#[test]
fn what_the_pages_about_deliveries_show_can_be_applied() {
    let program = Setup::new().start();
    let (mut number, docs) = (0, concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"));
    for name in PAGES {
        let page = fs::read_to_string(format!("{docs}/{name}.md")).unwrap();
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
            assert_eq!(done.code, 0, "docs/{name}.md:\n{text}\n{}", done.stderr);
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

/// The questions of the page about analysis get answers from DuckDB.
#[test]
fn what_the_page_about_analysis_asks_is_answered() {
    let Some(python) = std::env::var_os("MAYFLY_READERS") else {
        eprintln!("skipped: MAYFLY_READERS names no Python with duckdb");
        return;
    };
    let program = Setup::new().env("MAYFLY_PRIVACY__RAW_EXPORT", "true").start();
    let setup = program.setup();
    let text = "format = 1\n[[site]]\nkey = \"news\"\norigins = [\"*\"]\n[[category]]\n\
                name = \"Sports\"\nrule = 'path startswith \"/sport\"'\n[[segment]]\n\
                name = \"fans\"\nrule = 'visited(\"Sports\", within 7d)'\n";
    setup.ok(&["apply", &setup.write("a.toml", text).display().to_string()]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now_ms = u64::try_from(now.as_millis()).unwrap();
    let hits: Vec<serde_json::Value> = (0..40)
        .map(|n: u64| {
            let (from, ago) = (n % 20, if n < 20 { 0 } else { 86_400_000 * (n % 9) });
            let referrer = ["https://a.example/", "https://b.example/"][usize::from(from > 9)];
            serde_json::json!({"site": "news", "url": "https://n.example/sport/1", "referrer": referrer,
                   "time": now_ms - ago, "visitor": {"space": "crm", "id": format!("c{from}")}})
        })
        .collect();
    assert_eq!(program.admin().post("/api/v1/hits", &serde_json::json!(hits)).status, 200);
    let folder = setup.data().join("analysis");
    let to = folder.display().to_string();
    let days = setup.json(&["export", "days", "--to", &to, "--days", "14"]);
    assert!(days["rows"].as_u64().unwrap() >= 14, "{days:#}");
    let hits = setup.json(&["export", "hits", "--to", &to, "--days", "14"]);
    let all: u64 =
        hits["files"].as_array().unwrap().iter().map(|f| f["hits"].as_u64().unwrap()).sum();
    assert_eq!(all, 40, "{hits:#}");
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/analysis.md");
    let page = fs::read_to_string(page).unwrap();
    let questions: Vec<&str> =
        page.split("```sql\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert_eq!(questions.len(), 3);
    for question in questions {
        let script = "import duckdb, sys; print(duckdb.sql(sys.argv[1]).fetchall())";
        let done = std::process::Command::new(&python)
            .current_dir(setup.data())
            .args(["-c", script, question])
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{question}\n{}", String::from_utf8_lossy(&done.stderr));
        assert!(told.contains("('"), "{question}\n{told}");
    }
    // Counts are those that the program tells itself, and hits are for the privacy role alone.
    let today = program.admin().get("/api/v1/insights/days/1999-01-01");
    assert_eq!((today.status, today.json()["error"]["code"].clone()), (404, "day_not_kept".into()));
    let made = setup.json(&["token", "create", "ads", "--role", "ad_ops"]);
    let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
    let day = hits["files"][0]["file"].as_str().unwrap();
    let day = day.trim_start_matches("hits-").trim_end_matches(".parquet");
    let ads = program.http.clone().with("authorization", &bearer);
    assert_eq!(ads.get(&format!("/api/v1/hits/days/{day}")).status, 403);
    assert_eq!(ads.get(&format!("/api/v1/insights/days/{day}")).status, 200);
}
