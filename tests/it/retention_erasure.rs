//! A visitor who was erased is found nowhere: not in answers, and none of his bytes in the store's
//! folder, the spill, Redis' dump and rewritten log, or an export; nor of a page that he alone
//! read.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::UNIX_EPOCH;

use mayfly_core::Timestamp;
use mayfly_store::contract::servers::RedisServer;
use serde_json::{Value, json};

use crate::http::Browser;
use crate::program::{Program, Setup};

const DEFINITIONS: &str = r#"
format = 1

[[site]]
key = "news"
origins = ["https://news.example"]

[[segment]]
name = "readers"
rule = 'visited("*", within 90d)'
"#;

/// Words that nothing else says: in the visitor's own attribute and in the address of a page that
/// he alone reads; and in his foreign id.
const SECRET: &str = "Qx7ZsecretV9kW";
const FOREIGN: &str = "Qx7ZforeignV9kW";

fn hit(visitor: &str, age: u16, own: bool) -> Value {
    let now = UNIX_EPOCH.elapsed().unwrap().as_secs();
    let now = Timestamp::from_secs(i64::try_from(now).unwrap());
    let (attribute, path) = if own { (SECRET, SECRET) } else { ("plain", "all") };
    json!({
        "visitor": {"space": "crm", "id": visitor}, "site": "news",
        "time": now.plus_secs(-86_400 * i64::from(age)).millis(),
        "url": format!("https://news.example/{age}/{path}"),
        "attributes": {"note": attribute},
    })
}

/// Files under a folder that hold a word.
pub(crate) fn holding(folder: &Path, word: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, word));
            continue;
        }
        // A store that tidies up may just have removed it.
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            read => read.unwrap(),
        };
        if bytes.windows(word.len()).any(|w| w == word.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Ten readers and the one to erase, whose hits on three days say the word.
fn load(program: &Program) -> String {
    let victim = format!("{FOREIGN}-1");
    let mut hits: Vec<Value> = (0..10).map(|n| hit(&n.to_string(), n % 4, false)).collect();
    hits.extend([0, 1, 40].map(|age| hit(&victim, age, true)));
    hits.push(hit(&victim, 2, false));
    let answer = program.admin().post("/api/v1/hits", &json!(hits)).json();
    assert_eq!(answer["outcomes"], json!({"stored": hits.len()}));
    format!("crm:{victim}")
}

fn start(setup: Setup) -> Program {
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.start();
    program.setup().ok(&["apply", &file]);
    program
}

fn exported(setup: &Setup, folder: &str) -> String {
    let to = setup.data().with_file_name(folder);
    let out = to.display().to_string();
    let manifest = setup.json(&["export", "run", "readers", "--to", &out, "--format", "jsonl"]);
    let file = manifest["files"][0]["name"].as_str().unwrap();
    fs::read_to_string(to.join(file)).unwrap()
}

/// Erases the visitor at once; he is in no answer and no export any more.
fn erase(setup: &Setup, id: &str) {
    let held = || setup.json(&["segment", "count", "readers"])["held"].as_u64().unwrap();
    let before = held();
    let visitor = setup.json(&["visitor", "show", id])["visitor"].as_str().unwrap().to_owned();
    let named = format!("\"{visitor}\"");
    assert!(exported(setup, "before").contains(&named));
    let answer = setup.json(&["visitor", "erase", id, "--now"]);
    assert_eq!(answer["bytes_gone"], json!(true), "{answer}");
    assert_eq!(held(), before - 1);
    assert_eq!(setup.run(&["visitor", "show", id]).code, 1);
    assert_eq!(setup.json(&["visitor", "show", &visitor])["hits"], json!([]));
    assert!(!exported(setup, "after").contains(&named));
    setup.ok(&["retention", "audit"]);
    let others = setup.json(&["visitor", "show", "crm:2"])["hits"].clone();
    assert_eq!(others[0]["url"], json!("https://news.example/2/all"), "what others read stays");
}

#[test]
fn no_byte_of_an_erased_visitor_stays_in_the_embedded_store() {
    // Hits of many days open as many files: that may take its time.
    let program = start(Setup::new().env("MAYFLY_STORE__DEADLINE_MS", "20000"));
    let victim = load(&program);
    let data = program.setup().data();
    assert_ne!(holding(&data, SECRET), [""; 0], "it is there to be found");
    assert_eq!(holding(&data, FOREIGN), [""; 0], "a foreign id is never stored as it is");
    erase(program.setup(), &victim);
    assert_eq!(holding(&data, SECRET), [""; 0], "while running");
    let setup = program.stop();
    assert_eq!(holding(&data, SECRET), [""; 0], "after a stop");
    let program = setup.start();
    assert_eq!(holding(&data, SECRET), [""; 0], "after a start");
    assert_eq!(program.setup().json(&["segment", "count", "readers"])["held"], json!(10));
}

#[test]
fn nor_in_redis_its_dump_its_log_or_the_spill() {
    // Without compression, so that a word can be found in the files.
    let options = ["--appendonly", "yes", "--rdbcompression", "no"];
    let server = RedisServer::start(&options).unwrap();
    let program = start(Setup::new().env("MAYFLY_STORE__URL", &server.url()));
    let victim = load(&program);
    let folder = program.setup().data();
    // A browser, one of whose hits waits in the spill while Redis does not answer.
    let mut browser = Browser::new(&program.http);
    assert_eq!(browser.hit("news", "https://news.example/1").outcome(), "stored");
    let pixel = format!("/p.gif?s=news&u=https%3A%2F%2Fnews.example%2F{SECRET}&a.note={SECRET}");
    server.pause().unwrap();
    assert_eq!(browser.get(&pixel).outcome(), "spilled");
    assert_ne!(holding(&folder, SECRET), [""; 0], "it is there to be found");
    server.resume().unwrap();
    program.until("drain the spill", |_| holding(&folder, SECRET).is_empty().then_some(()));
    let mine = program.http.clone().with("cookie", &format!("mf_id={}", browser.cookies["mf_id"]));
    program.until("show both hits", |_| {
        let hits = mine.get("/api/v1/me").json()["hits"].as_array().map_or(0, Vec::len);
        (hits == 2).then_some(())
    });
    server.cli(["SAVE"]).unwrap();
    assert_ne!(holding(server.dir(), SECRET), [""; 0], "it is there to be found");
    assert_eq!(holding(server.dir(), FOREIGN), [""; 0], "a foreign id is never stored as it is");
    erase(program.setup(), &victim);
    erase(program.setup(), &browser.cookies["mf_id"]);
    assert_eq!(mine.get("/api/v1/me").json()["hits"], json!([]));
    server.cli(["SAVE"]).unwrap();
    server.cli(["BGREWRITEAOF"]).unwrap();
    program.until("see the log rewritten", |_| {
        let info = server.cli(["INFO", "persistence"]).unwrap();
        let is_over = |sign: &str| info.lines().any(|line| line.trim() == sign);
        (is_over("aof_rewrite_in_progress:0") && is_over("aof_rewrite_scheduled:0")).then_some(())
    });
    assert_eq!(holding(server.dir(), SECRET), [""; 0]);
    assert_eq!(holding(&folder, SECRET), [""; 0]);
}
