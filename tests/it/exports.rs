//! Deliveries to files, and how a partner pulls them.

use std::fs;
use std::path::Path;
use std::process::Command;

use mayfly_store::contract::servers::RedisServer;
use serde_json::{Value, json};

use crate::http::{Answer, Http};
use crate::program::Setup;
use crate::receiver::Known;
use crate::story::Story;

const FILES: &str = r#"
[[partner]]
key = "other"
vendor_id = 8

[[destination]]
name = "acme-NAME"
partner = "acme"
country = "NL"
transfer = "within"
schedule = "every 1s"
minimum = 1
segments = [{ segment = "drivers", code = "11" }]
[destination.files]
folder = "acme-NAME"
"#;

fn nothing(_: &crate::receiver::Asked, _: &mut Known) -> (u16, Vec<u8>) {
    (200, b"{}".to_vec())
}

fn begin(formats: &[(&str, &str)]) -> Story {
    begin_from(Setup::new(), formats)
}

fn begin_from(setup: Setup, formats: &[(&str, &str)]) -> Story {
    let story = Story::with(setup, nothing, |text| {
        let mut all = text.replace("minimum = 1", "minimum = 1\npaused = true");
        for (name, more) in formats {
            let own = FILES.replace("NAME", name);
            let own =
                if all.contains("\"other\"") { own.split_once("\n\n").unwrap().1 } else { &own };
            all.push_str(&format!("{own}{more}\n"));
        }
        all
    });
    let _ann = story.visitor("/cars/1", "ann,\"a");
    let _bob = story.visitor("/cars/2", "bob");
    story
}

/// The names of a destination's files once it is served and everything is there.
fn files(story: &Story, name: &str, sets: usize) -> Vec<String> {
    story.program.until(&format!("write files for {name}"), |program| {
        let listed = program.admin().get(&format!("/exports/acme-{name}/")).json();
        let names: Vec<String> = listed["files"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|own| own["name"].as_str().unwrap().to_owned())
            .collect();
        let done = names.iter().filter(|name| name.ends_with(".info")).count();
        let shown = program.admin().get(&format!("/api/v1/destinations/acme-{name}")).json();
        (done == sets && shown["waiting_since"].is_null()).then_some(names)
    })
}

fn read(story: &Story, name: &str, file: &str) -> Vec<u8> {
    let answer = story.program.admin().get(&format!("/exports/acme-{name}/{file}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.body
}

fn unpacked(file: &Path, packed: &[u8]) -> String {
    fs::write(file, packed).unwrap();
    let unpacked = Command::new("gzip").arg("-dc").arg(file).output().unwrap();
    String::from_utf8(unpacked.stdout).unwrap()
}

#[test]
fn a_partner_pulls_what_changed() {
    pulled(Setup::new());
}

#[test]
fn a_partner_pulls_what_changed_on_redis() {
    let server = RedisServer::start(&[]).unwrap();
    pulled(Setup::new().env("MAYFLY_STORE__URL", &server.url()));
}

fn pulled(setup: Setup) {
    let story = begin_from(setup, &[("csv", "packing = \"gzip\"")]);
    let mut carl = None;
    // Both may come in one set, or in two.
    let sets = story.program.until("send both", |program| {
        let all = program.admin().get("/api/v1/destinations/acme-csv").json();
        let last = all["last"]["pairs"]["wanted"] == json!(2) && all["waiting_since"].is_null();
        last.then(|| all["last"]["id"].as_str().unwrap().rsplit_once('-').unwrap().1.to_owned())
    });
    let sets: usize = sets.parse().unwrap();
    carl.replace(story.visitor("/cars/3", "carl"));
    let names = files(&story, "csv", sets + 1);
    let newest = names.iter().rfind(|name| name.ends_with(".csv.gz")).unwrap();
    assert!(newest.starts_with("mayfly_acme-csv_iter_"), "{newest}");
    let packed = read(&story, "csv", newest);
    let file = story.program.setup().write("newest.csv.gz", "");
    let text = unpacked(&file, &packed);
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(rows.len(), 2, "{text}");
    assert!(rows[0] == "uid,segment,op,expires" && rows[1].starts_with("carl,11,add,20"), "{text}");
    let control = names.iter().rfind(|name| name.ends_with(".info")).unwrap();
    let control: Value = serde_json::from_slice(&read(&story, "csv", control)).unwrap();
    assert_eq!(control["Files"][0]["FileName"], json!(newest));
    assert_eq!(control["Totals"]["TotalNumberLines"], json!(1));
    as_the_standard_says(&story, newest, &packed);
    drop(carl.take().unwrap().send("DELETE", "/api/v1/me", &[]));
    let names = files(&story, "csv", sets + 2);
    let last = names.iter().rfind(|name| name.ends_with(".csv.gz")).unwrap();
    let text = unpacked(&file, &read(&story, "csv", last));
    assert!(text.contains("\ncarl,11,remove,\n"), "{text}");
}

/// Tokens, ETag, ranges.
fn as_the_standard_says(story: &Story, file: &str, whole: &[u8]) {
    let setup = story.program.setup();
    let token = |arguments: &[&str]| {
        let secret = setup.ok(&[&["token", "create"], arguments].concat());
        story.program.http.clone().with("authorization", &format!("Bearer {}", secret.trim()))
    };
    let theirs = token(&["acme", "--role", "partner", "--partner", "acme"]);
    let others = token(&["other", "--role", "partner", "--partner", "other"]);
    let nobodys = token(&["nobody", "--role", "partner"]);
    let path = format!("/exports/acme-csv/{file}");
    let status = |http: &Http, path: &str| http.get(path).status;
    assert_eq!(status(&theirs, &path), 200);
    assert_eq!(status(&theirs, "/exports/acme-csv/"), 200);
    assert_eq!(status(&story.program.http, &path), 401);
    for http in [&others, &nobodys] {
        assert_eq!((status(http, &path), status(http, "/exports/acme-csv/")), (404, 404));
    }
    for wrong in ["/exports/acme-csv/..%2f..%2fadmin.token", "/exports/..%2f/admin.token"] {
        assert_eq!(status(&theirs, wrong), 404, "{wrong}");
    }
    assert_eq!(status(&theirs, "/exports/none/x.csv"), 404);
    let unknown = setup.run(&["token", "create", "x", "--role", "partner", "--partner", "acne"]);
    assert!(unknown.stderr.contains("the nearest is \"acme\""), "{}", unknown.stderr);
    let etag = theirs.get(&path).header("etag").unwrap().to_owned();
    let with = |name: &str, value: &str| -> Answer { theirs.clone().with(name, value).get(&path) };
    assert_eq!(with("if-none-match", &etag).status, 304);
    let head = theirs.send("HEAD", &path, &[], b"");
    assert_eq!((head.status, head.header("etag")), (200, Some(etag.as_str())));
    assert_eq!(status(&theirs, "/exports/acme-csv"), 200);
    let hit = json!([{"visitor": {"space": "crm", "id": "1"}, "site": "shop", "url": "https://shop.example/"}]);
    assert_eq!(theirs.post("/api/v1/hits", &hit).status, 403, "it is for files alone");
    let part = with("range", "bytes=2-5");
    assert_eq!((part.status, &part.body[..]), (206, &whole[2..6]));
    let range = format!("bytes 2-5/{}", whole.len());
    assert_eq!(part.header("content-range"), Some(range.as_str()));
    assert_eq!(with("range", "bytes=-3").body, &whole[whole.len() - 3..]);
    assert_eq!(with("range", "bytes=99999-").status, 416);
    let other = theirs.clone().with("if-range", "\"other\"").with("range", "bytes=2-5").get(&path);
    assert_eq!((other.status, other.body.len()), (200, whole.len()));
}

/// A file that a person makes for a receiver holds what that one may have.
#[test]
fn an_export_for_a_destination_has_its_ids_and_its_consent() {
    let story = begin(&[("csv", "")]);
    let mut stranger = crate::http::Browser::new(&story.program.http);
    story.hit(&mut stranger, "/cars/9");
    let mut no = story.visitor("/cars/9", "no");
    let gpc = [("referer", "https://shop.example/"), ("sec-gpc", "1")];
    no.send("GET", "/p.gif?s=shop&u=https%3A%2F%2Fshop.example%2Fcars%2F2", &gpc);
    let setup = story.program.setup();
    let to = setup.data().join("made").display().to_string();
    let made = story.program.until("hear the no", |_| {
        let line = ["export", "run", "drivers", "sailors", "--to", &to, "--for", "acme-csv"];
        let made = setup.json(&line);
        (made["pairs"]["wanted"] == json!(2)).then_some(made)
    });
    assert_eq!((&made["pairs"]["members"], &made["pairs"]["without_id"]), (&json!(4), &json!(1)));
    let file = made["files"][0]["name"].as_str().unwrap();
    let text = fs::read_to_string(Path::new(&to).join(file)).unwrap();
    let mut lines: Vec<&str> = text.lines().map(|own| own.rsplit_once(',').unwrap().0).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["\"ann,\"\"a\",11,add", "bob,11,add", "uid,segment,op"]);
    let unknown = setup.run(&["export", "run", "drivers", "--to", &to, "--for", "acme-cvs"]);
    assert!(unknown.stderr.contains("the nearest is \"acme-csv\""), "{}", unknown.stderr);
}

/// Partners read with programs of their own: Python's csv, DuckDB, pyroaring.
#[test]
fn files_are_read_by_the_tools_that_partners_use() {
    let Some(python) = std::env::var_os("MAYFLY_READERS") else {
        eprintln!("skipped: MAYFLY_READERS names no Python with duckdb and pyroaring");
        return;
    };
    let story = begin(&[
        ("csv", ""),
        ("tsv", "format = \"tsv\"\npacking = \"zstd\""),
        ("jsonl", "format = \"jsonl\"\npacking = \"gzip\""),
        ("parquet", "format = \"parquet\""),
    ]);
    for name in ["csv", "tsv", "jsonl", "parquet"] {
        story.program.until("send both", |program| {
            let all = program.admin().get(&format!("/api/v1/destinations/acme-{name}")).json();
            let is_done = all["last"]["pairs"]["wanted"] == json!(2);
            (is_done && all["waiting_since"].is_null()).then_some(())
        });
    }
    let setup = story.program.setup();
    let exports = setup.data().join("exports");
    let to = exports.display().to_string();
    setup.ok(&["export", "run", "drivers", "--to", &to, "--format", "roaring"]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/readers/read_back.py");
    let done = Command::new(python).arg(script).arg(&exports).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("csv, tsv, jsonl, parquet and roaring agree"), "{said}");
}
