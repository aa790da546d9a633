//! Partners' audiences come in: by file and API, into segments, and on to a receiver.

use base64::Engine;
use mayfly_store::contract::servers::{RedisCluster, RedisServer};
use serde_json::{Value, json};

use crate::consent::{NO, YES, under, view};
use crate::http::{Browser, Http};
use crate::program::Setup;
use crate::story::{DEFINITIONS, Story, strict};

/// What acme fills, and a segment of it that acme receives.
const IMPORTS: &str = r#"
[[category]]
name = "Acme > Buyers"
[category.import]
partner = "acme"
code = "b"
basis = "contract of 2026-11-01"
ENDS

[[category]]
name = "Acme > Owners"
[category.import]
partner = "acme"
code = "o"
basis = "contract of 2026-11-01"

[[segment]]
name = "buyers"
rule = 'visited("Acme > Buyers", within 30d)'
"#;

fn definitions(ends: &str) -> String {
    let (before, after) = DEFINITIONS.split_at(DEFINITIONS.find("[[segment]]").unwrap());
    let imports = IMPORTS.replace("ENDS", ends);
    let after = after
        .replace("code = \"s-22\" }", "code = \"s-22\" }, { segment = \"buyers\", code = \"33\" }");
    format!("{before}{imports}{after}").replace("LABEL", "summer")
}

fn import(story: &Story, name: &str, text: &str, more: &[&str]) -> Value {
    let setup = story.program.setup();
    let file = setup.write(name, text).display().to_string();
    let arguments = [&["import", &file, "--partner", "acme"], more].concat();
    setup.json(&arguments)
}

fn counts(receipt: &Value, names: &[&str]) -> Vec<u64> {
    let counts = receipt["counts"].as_object().unwrap();
    let parts =
        counts.iter().filter(|(name, _)| !["received", "removed_unnamed"].contains(&name.as_str()));
    let sum: u64 = parts.map(|(_, n)| n.as_u64().unwrap()).sum();
    assert_eq!(json!(sum), counts["received"], "{receipt:#}");
    names.iter().map(|name| counts[*name].as_u64().unwrap()).collect()
}

fn take_in(setup: Setup) {
    let story = Story::with(setup, strict, |_| definitions(""));
    let [mut ann, _bob, _carl] = ["ann", "bob", "carl"].map(|uid| story.visitor("/other", uid));
    let mut dora = story.visitor("/other", "dora");
    let out = dora.post("/optout", &[("sec-fetch-site", "same-origin")], b"action=out");
    assert_eq!(out.status, 200);
    files_say_who_is_in(&story);
    files_say_who_is_not(&story);
    ids_of_other_spaces_and_calls(&story);
    story.program.setup().ok(&["visitor", "erase", "acme:carl"]);
    story.until(&[]);
    let answer = ann.send("DELETE", "/api/v1/me", &[]);
    assert_eq!(answer.status, 200);
    let gone = import(&story, "again.csv", "uid,segment\nann,b\nbob,b\n", &[]);
    assert_eq!(counts(&gone, &["unknown_id", "stored"]), [1, 1]);
    story.until(&[("bob", "33")]);
    // From the hits that are stored: members are who they were.
    let setup = story.program.kill();
    let program = setup.start();
    assert_eq!(program.setup().json(&["segment", "count", "buyers"])["held"], json!(1));
    let story = Story { program, partner: story.partner };
    // A licence that is over takes everyone out, here and there.
    story.apply(&definitions("ends = 2026-01-31"));
    story.until(&[]);
    let late = import(&story, "late.csv", "uid,segment\nbob,b\n", &[]);
    assert_eq!(counts(&late, &["licence_over", "stored"]), [1, 0]);
    assert_eq!(story.program.setup().json(&["segment", "count", "buyers"])["held"], json!(0));
    let audit = story.program.setup().json(&["retention", "audit"]);
    assert_eq!(audit["findings"], json!([]), "{audit:#}");
    story.program.stop();
}

fn files_say_who_is_in(story: &Story) {
    let text = "uid,segment\nann,b\nbob,b\nann,b\nann,x\nnobody,b\ndora,b\n,b\n";
    let first = import(story, "buyers.csv", text, &[]);
    let names = ["stored", "repeated", "unknown_code", "unknown_id", "suppressed", "bad"];
    assert_eq!(counts(&first, &names), [2, 1, 1, 2, 0, 1], "{first:#}");
    assert_eq!(first["bad_lines"], json!([{"line": 8, "reason": "bad_id"}]));
    assert_eq!(first["unknown_codes"], json!({"x": 1}));
    // Those who come are members at once, and delivered.
    assert_eq!(story.program.setup().json(&["segment", "count", "buyers"])["held"], json!(2));
    story.until(&[("ann", "33"), ("bob", "33")]);
    let why = story.program.setup().ok(&["segment", "why", "buyers", "--visitor", "acme:ann"]);
    assert!(why.contains("declared by acme"), "{why}");
    let again = import(story, "buyers.csv", text, &[]);
    assert_eq!(counts(&again, &["stored", "unchanged", "repeated"]), [0, 2, 1]);
    // It is no visit: nobody was seen, and no other category grows.
    let seen = |rule: &str| {
        story.program.setup().json(&["segment", "count", "--rule", rule])["held"].clone()
    };
    assert_eq!(seen("visited(\"*\", within 7d)"), json!(4));
    assert_eq!(seen("visited(\"*\", within 7d) >= 2"), json!(0));
    assert_eq!(seen("visited(\"Acme\", within 7d)"), json!(0));
}

fn files_say_who_is_not(story: &Story) {
    let fewer = "uid,segment\nann,b\ncarl,b\n";
    let overwritten = import(story, "b.csv", fewer, &["--mode", "overwrite"]);
    assert_eq!(counts(&overwritten, &["stored", "unchanged", "removed_unnamed"]), [1, 1, 1]);
    story.until(&[("ann", "33"), ("carl", "33")]);
    // Lines that cannot be read may name somebody: nobody is taken out by them.
    let broken = story.program.setup().write("broken.csv", "uid,segment\nann,b\ncarl;b\n");
    let broken = broken.display().to_string();
    let told = ["import", &broken, "--partner", "acme", "--mode", "overwrite"];
    let told = story.program.setup().run(&told);
    assert!(told.code == 1 && told.stderr.contains("the first is line 3"), "{told:?}");
    let removed = import(story, "b.tsv", "uid\tsegment\top\nann\tb\tremove\nbob\tb\tremove\n", &[]);
    assert_eq!(counts(&removed, &["removed", "unchanged"]), [1, 1]);
    story.until(&[("carl", "33")]);
    // And comes back within the same second, as it may be.
    let back = import(story, "b.jsonl", "{\"uid\":\"ann\",\"add\":[\"b\"]}\n", &[]);
    assert_eq!(counts(&back, &["stored"]), [1]);
    story.until(&[("ann", "33"), ("carl", "33")]);
    // Adobe's: each user in it is in what it says, and nobody else is touched.
    let name = "ftp_dpm_77_1767693600.overwrite";
    let own = import(story, name, "ann\td_sid=o\n", &[]);
    assert_eq!(own["mode"], json!("overwrite_users"), "{own:#}");
    assert_eq!(own["counts"]["bad"], json!(0), "{own:#}");
    assert_eq!(counts(&own, &["stored", "removed_unnamed"]), [1, 1]);
    story.until(&[("carl", "33")]);
}

/// The partner's own token, and ids that it shares with the site.
fn ids_of_other_spaces_and_calls(story: &Story) {
    let setup = story.program.setup();
    let hits: Vec<Value> = (0..300)
        .map(|n| {
            json!({"site": "shop", "url": "https://shop.example/other",
                   "visitor": {"space": "crm", "id": format!("c{n}")}})
        })
        .collect();
    assert_eq!(story.program.admin().post("/api/v1/hits", &json!(hits)).status, 200);
    // One of them says no: soon nothing more is taken in of him.
    let no = json!([{"site": "shop", "url": "https://shop.example/other",
                     "visitor": {"space": "crm", "id": "c0"}, "consent": {"gpc": true}}]);
    assert_eq!(story.program.admin().post("/api/v1/hits", &no).status, 200);
    story.program.until("know of the no", |_| {
        let told = import(story, "one.csv", "uid,segment\nc0,o\n", &["--ids", "crm"]);
        (counts(&told, &["suppressed"]) == [1]).then_some(())
    });
    let made = setup.json(&["token", "create", "theirs", "--role", "partner", "--partner", "acme"]);
    let secret = made["secret"].as_str().unwrap().to_owned();
    let with = |secret: &str| {
        let http = story.program.http.clone();
        http.with("authorization", &format!("Bearer {secret}"))
    };
    let theirs = with(&secret);
    let send = |path: &str, body: &[u8]| theirs.send("POST", path, &[], body);
    let all: String = (0..300).map(|n| format!("c{n}\n")).collect();
    let path = "/api/v1/partners/acme/audiences?format=csv&code=o";
    let admin = story.program.admin();
    let crm = |more: &str, body: &str| {
        admin.send("POST", &format!("{path}&ids=crm{more}"), &[], body.as_bytes())
    };
    let told = crm("", &format!("uid\n{all}"));
    assert_eq!(told.status, 200, "{}", told.text());
    let told = told.json();
    assert_eq!(counts(&told, &["stored", "suppressed"])[1], 1, "{told:#}");
    let held = setup.json(&["segment", "count", "--rule", "visited(\"Acme > Owners\", within 1d)"]);
    assert!([300, 301].map(|n| json!(n)).contains(&held["held"]), "ann, and c0 if he came before");
    // A file that would empty an audience by mistake.
    let few = crm("&mode=overwrite", "uid\nc1\n");
    assert_eq!((few.status, few.json()["error"]["code"].clone()), (409, json!("would_drop")));
    // A partner is told no figures: not how many are in it, not whether one id is known.
    let few = send(&format!("{path}&mode=overwrite"), b"uid\nann\n");
    assert_eq!((few.status, few.json()["error"]["code"].clone()), (409, json!("would_empty")));
    let one = send(path, b"uid\nann\nann\nnobody\n").json();
    assert_eq!((one["exact"].clone(), one["counts"]["received"].clone()), (json!(false), json!(3)));
    for count in ["unknown_id", "repeated", "unchanged", "stored"] {
        assert_eq!(one["counts"][count], json!(null), "{one:#}");
    }
    // An audience that the file names is overwritten also where nobody in it is known.
    let none = crm("&mode=overwrite&allow_drop=true", "uid\nstranger\n");
    assert_eq!(none.status, 200, "{}", none.text());
    let held = setup.json(&["segment", "count", "--rule", "visited(\"Acme > Owners\", within 1d)"]);
    assert_eq!(held["held"], json!(0), "{}", none.text());
    calls_are_refused(story, (path, &theirs));
}

/// What may not come in, from whom.
fn calls_are_refused(story: &Story, (path, theirs): (&str, &Http)) {
    let (setup, admin) = (story.program.setup(), story.program.admin());
    let send = |path: &str, body: &[u8]| theirs.send("POST", path, &[], body);
    let of = |answer: crate::http::Answer| answer.json()["error"]["code"].clone();
    let code = |path: &str, body: &[u8]| of(admin.send("POST", path, &[], body));
    // Others' ids are not a partner's to ask about.
    assert_eq!(of(send(&format!("{path}&ids=crm"), b"uid\nc1\n")), json!("not_for_partners"));
    assert_eq!(of(send(&path.replace("csv", "parquet"), b"PAR1")), json!("not_for_partners"));
    assert_eq!(code(&format!("{path}&ids=partner_uid"), b"uid\n1:ann\n"), json!("bad_space"));
    let base = "/api/v1/partners/acme/audiences";
    assert_eq!(code(base, b"uid\n"), json!("no_format"));
    assert_eq!(code(&format!("{base}?format=xls"), b"uid\n"), json!("bad_query"));
    assert_eq!(code(&format!("{base}?format=csv"), b"a,b\n"), json!("bad_import"));
    assert_eq!(code(&format!("{base}?format=csv"), b""), json!("bad_import"));
    assert_eq!(code(&format!("{base}?format=csv"), b"\x1f\x8bno gzip"), json!("bad_import"));
    assert_eq!(code(&format!("{base}?format=parquet"), b"PAR1PAR1"), json!("bad_import"));
    assert_eq!(code(&format!("{base}?format=csv&code=zz"), b"uid\n"), json!("audience_not_found"));
    let other = "/api/v1/partners/other/audiences?format=csv";
    assert_eq!(of(send(other, b"uid\n")), json!("forbidden"));
    let mine = theirs.get(base);
    assert!(mine.json()["imports"].as_array().unwrap().len() >= 8, "{}", mine.text());
    let viewer = setup.json(&["token", "create", "looker", "--role", "viewer"]);
    let viewer = format!("Bearer {}", viewer["secret"].as_str().unwrap());
    let viewer = story.program.http.clone().with("authorization", &viewer);
    let refused = viewer.send("POST", path, &[], b"uid\n");
    assert_eq!(refused.status, 403);
    assert_eq!(story.program.http.send("POST", path, &[], b"uid\n").status, 401);
    // Nothing of what came lies about.
    let left = std::fs::read_dir(setup.data().join("imports")).map_or(0, Iterator::count);
    assert_eq!(left, 0);
    let metrics = story.program.http.get("/metrics").text();
    assert!(metrics.contains("mayfly_import_pairs_total{result=\"suppressed\"} 2"), "{metrics}");
}

#[test]
fn audiences_come_in_on_the_embedded_store() {
    take_in(Setup::new());
}

#[test]
fn audiences_come_in_on_redis() {
    let server = RedisServer::start(&[]).unwrap();
    take_in(Setup::new().env("MAYFLY_STORE__URL", &server.url()));
}

#[test]
fn audiences_come_in_on_a_cluster() {
    let cluster = RedisCluster::start(&[]).unwrap();
    take_in(Setup::new().env("MAYFLY_STORE__URL", &cluster.url()));
}

/// Files as others write them: DuckDB's Parquet, packed by gzip and Zstandard.
#[test]
fn files_of_other_tools_are_read() {
    let Some(python) = std::env::var_os("MAYFLY_READERS") else {
        println!("skipped: no reader is installed (tests/readers/install.sh)");
        return;
    };
    let story = Story::with(Setup::new(), strict, |_| definitions(""));
    let _visitors: Vec<Browser> =
        ["ann", "bob", "77"].map(|uid| story.visitor("/other", uid)).into();
    let folder = story.program.setup().data();
    let script = "
import sys, duckdb
folder = sys.argv[1]
duckdb.sql(\"create table t as select * from (values ('ann', 'b', 1.5), ('bob', 'b', 2.5)) v(uid, segment, x)\")
duckdb.sql(f\"copy t to '{folder}/a.parquet'\")
duckdb.sql(f\"copy (select 77 as uid, 'b' as segment, 'add' as op) to '{folder}/b.parquet' (compression zstd)\")
duckdb.sql(f\"copy (select 'remove' as op, 'ann' as uid, 'b' as segment) to '{folder}/c.csv.gz' (header, compression gzip)\")
duckdb.sql(f\"copy (select 'bob' as uid, ['b'] as remove) to '{folder}/d.jsonl.zst' (format json, compression zstd)\")
";
    let done =
        std::process::Command::new(python).arg("-c").arg(script).arg(&folder).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    for (name, stored, removed) in
        [("a.parquet", 2, 0), ("b.parquet", 1, 0), ("c.csv.gz", 0, 1), ("d.jsonl.zst", 0, 1)]
    {
        let file = folder.join(name).display().to_string();
        let receipt = story.program.setup().json(&["import", &file, "--partner", "acme"]);
        assert_eq!(counts(&receipt, &["stored", "removed"]), [stored, removed], "{receipt:#}");
    }
    story.until(&[("77", "33")]);
}

/// A customer data platform speaks Segment's form: traits that are codes, ids that are hashes.
#[test]
fn traits_of_a_platform_come_in() {
    let story = Story::with(Setup::new(), strict, |_| definitions(""));
    let hash = |n: u8| format!("{n:064x}");
    let _one = story.visitor("/other", &hash(1));
    let _two = story.visitor("/other", &hash(2));
    let setup = story.program.setup();
    let made = setup.json(&["token", "create", "cdp", "--role", "partner", "--partner", "acme"]);
    let key = made["secret"].as_str().unwrap().to_owned();
    let key = base64::engine::general_purpose::STANDARD.encode(format!("{key}:"));
    let cdp = story.program.http.clone().with("authorization", &format!("Basic {key}"));
    let identify =
        |user: &str, traits: Value| json!({"type": "identify", "userId": user, "traits": traits});
    let batch = json!({"batch": [
        identify(&hash(1), json!({"b": true, "plan": "gold", "other": true})),
        identify(&hash(2), json!({"b": true, "o": false})),
        identify("ann@shop.example", json!({"b": true})),
        {"type": "track", "userId": hash(1), "event": "Bought"},
    ]});
    let answer = cdp.post("/v1/batch", &batch);
    assert_eq!((answer.status, answer.json()), (200, json!({"success": true})));
    story.until(&[(&hash(1), "33"), (&hash(2), "33")]);
    let own = setup.json(&["partner", "imports", "acme"])["imports"][0].clone();
    assert_eq!(counts(&own, &["stored", "bad", "unchanged"]), [2, 1, 1], "{own:#}");
    let one = json!({"userId": hash(1), "traits": {"b": false}});
    assert_eq!(cdp.post("/v1/identify", &one).status, 200);
    story.until(&[(&hash(2), "33")]);
    assert_eq!(story.program.http.post("/v1/identify", &one).status, 401);
    assert_eq!(story.program.admin().post("/v1/identify", &one).status, 403);
    assert_eq!(cdp.post("/v1/identify", &json!([1])).status, 400);
    assert!(!story.program.log().contains("ann@"));
}

/// What a partner declared of him is no reason to keep somebody who takes his consent back.
#[test]
fn who_withdraws_is_in_no_audience_any_more() {
    let setup = Setup::new().env("MAYFLY_PRIVACY__WITHDRAWAL_GRACE_S", "1");
    let consent = "key = \"shop\"\nconsent = \"tcf\"\nrole = \"vendor\"\nvendor_id = 999";
    let own = |_: &str| {
        let own = definitions("").replace("key = \"shop\"", consent);
        own.replace("vendor_id = 7", "processor = true")
    };
    let story = Story::with(setup, strict, own);
    let mut ann = Browser::new(&story.program.http);
    assert_eq!(view(&mut ann, "shop", "1", &under(YES)), "stored");
    story.set_uid(&mut ann, "ann");
    let told = import(&story, "b.csv", "uid,segment\nann,b\n", &[]);
    assert_eq!(counts(&told, &["stored"]), [1], "{told:#}");
    assert_eq!(view(&mut ann, "shop", "2", &under(NO)), "no_consent; refused");
    story.program.until("erase him", |program| {
        let held = program.setup().json(&["segment", "count", "buyers"])["held"].clone();
        let all =
            program.setup().json(&["segment", "count", "--rule", "visited(\"*\", within 1d)"]);
        (held == json!(0) && all["held"] == json!(0)).then_some(())
    });
}
