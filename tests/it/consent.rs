//! Consent, seen from outside: what is kept, what is not and why, and what taking it back erases.

use std::fs;
use std::path::Path;

use mayfly_store::contract::servers::RedisServer;
use serde_json::{Value, json};

use crate::http::{Browser, encoded};
use crate::program::{Program, Setup};

/// A vendor (999), two sites that share a scope and one that does not; one for children.
const DEFINITIONS: &str = r#"
format = 1

[[site]]
key = "news"
origins = ["https://news.example"]
consent = "tcf"
role = "vendor"
vendor_id = 999
consent_scope = "papers"

[[site]]
key = "paper"
origins = ["https://paper.example"]
consent = "tcf"
role = "vendor"
vendor_id = 999
consent_scope = "papers"

[[site]]
key = "shop"
origins = ["https://shop.example"]

[[site]]
key = "kids"
origins = ["https://kids.example"]
audience = "children"

[[segment]]
name = "seen"
rule = 'visited("*", within 30d)'
on_page = true
"#;

/// Storage, profiles and more for vendor 999, chosen on 2026-11-01.
pub(crate) const YES: &str = "CQtAQoAQtAQoAAHABBENEsFgALqAAAAAAAAAHzwAQHzgABAAAAAA.IHzwAQHzgAAA";
/// Nothing, chosen on 2026-11-20.
pub(crate) const NO: &str = "CQt-4cAQt-4cAAHABBENEsFgAAAAAAAAAAAAHzwAQHzgABAAAAAA.IHzwAQHzgAAA";
/// Nothing, chosen on 2026-10-01.
const OLD_NO: &str = "CQraFkAQraFkAAHABBENEsFgAAAAAAAAAAAAHzwAQHzgABAAAAAA.IHzwAQHzgAAA";
/// Storage and profiles, where vendor 999 was not shown.
const HIDDEN: &str = "CQtAQoAQtAQoAAHABBENEsFgAKAAAAAAAAAAHzwAQHzgABAAAAAA.IADwAQADgAAA";

fn start(setup: Setup) -> Program {
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.start();
    program.setup().ok(&["apply", &file]);
    program
}

/// A page view under a consent string; answers outcome and reason.
pub(crate) fn view(browser: &mut Browser, site: &str, page: &str, consent: &str) -> String {
    let (url, from) = (pixel(site, page, consent), format!("https://{site}.example/"));
    let mut answer = browser.send("GET", &url, &[("referer", &from)]);
    if let Some(again) = answer.header("location").map(|query| format!("/p.gif{query}")) {
        answer = browser.send("GET", &again, &[("referer", &from)]);
    }
    answer.header("x-mayfly-outcome").unwrap_or_default().to_owned()
}

fn pixel(site: &str, page: &str, consent: &str) -> String {
    let url = encoded(&format!("https://{site}.example/{page}"));
    format!("/p.gif?s={site}&u={url}{consent}")
}

pub(crate) fn under(string: &str) -> String {
    format!("&gdpr=1&gdpr_consent={string}")
}

#[test]
fn without_consent_nothing_is_kept_or_set_and_the_reason_is_counted() {
    let program = start(Setup::new());
    for (site, consent, expected) in [
        ("news", "", "no_consent; absent"),
        ("news", &under("XX"), "no_consent; invalid"),
        ("news", &under(NO), "no_consent; refused"),
        ("news", &under(HIDDEN), "no_consent; not_disclosed"),
        ("news", "&pc=1", "no_consent; pre_choice"),
        ("news", "&us_privacy=1YYN", "no_consent; refused"),
        ("shop", &under(NO), "no_consent; refused"),
        ("shop", "&gpp=DBABLA~BVQVAAAAAQA.YA&gpp_sid=7", "opted_out; gpc"),
        ("shop", "&coppa=1", "no_consent; child"),
        ("kids", "", "no_consent; child"),
        ("shop", "&gpc=1", "opted_out; gpc"),
    ] {
        let mut browser = Browser::new(&program.http);
        assert_eq!(view(&mut browser, site, "1", consent), expected, "{site} {consent}");
        assert!(browser.cookies.is_empty(), "{site} {consent}: {:?}", browser.cookies);
    }
    let metrics = program.http.get("/metrics").text();
    for line in ["{reason=\"refused\"} 3", "{reason=\"child\"} 2", "{reason=\"gpc\"} 2"] {
        assert!(metrics.contains(&format!("mayfly_refusals_total{line}")), "{line}\n{metrics}");
    }
    let mut browser = Browser::new(&program.http);
    assert_eq!(view(&mut browser, "news", "1", &under(YES)), "stored");
    assert_eq!(view(&mut browser, "news", "2", "&gdpr=0"), "stored");
    let me = browser.get("/api/v1/me").json();
    assert_eq!(me["hits"][0]["consent"]["tcf"], json!(YES));
    assert_eq!(me["hits"][0]["consent"]["allowed"]["share"], json!(true));
    assert_eq!(me["hits"][1]["consent"]["gdpr"], json!(false));
    program.stop();
}

fn stored(program: &Program, visitor: &str) -> Vec<String> {
    let shown = program.admin().get(&format!("/api/v1/visitors/{visitor}")).json();
    let hits = shown["hits"].as_array().cloned().unwrap_or_default();
    hits.iter().map(|hit| hit["url"].as_str().unwrap_or_default().to_owned()).collect()
}

/// A yes on three sites, and a no on one: what came under its scope goes, the rest stays.
fn tell_of_withdrawal(setup: Setup) {
    let program = start(setup.env("MAYFLY_PRIVACY__WITHDRAWAL_GRACE_S", "1"));
    let mut browser = Browser::new(&program.http);
    for (site, page) in [("news", "1"), ("news", "2"), ("paper", "3"), ("shop", "4")] {
        assert_eq!(view(&mut browser, site, page, &under(YES)), "stored");
    }
    let before = browser.get("/api/v1/me").json()["visitor"].as_str().unwrap().to_owned();
    for consent in [under(OLD_NO), under("XX"), "&gpc=1".to_owned(), under(NO) + "&pc=1"] {
        view(&mut browser, "news", "5", &consent);
    }
    // Any page may show this as an image; what comes from nowhere takes nothing back either.
    browser.get(&pixel("news", "5", &under(NO)));
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(
        stored(&program, &before).len(),
        4,
        "an older, broken, undecided or foreign no takes nothing back"
    );

    assert_eq!(view(&mut browser, "paper", "6", &under(NO)), "no_consent; refused");
    program.until("hide him", |program| stored(program, &before).is_empty().then_some(()));
    let held = |program: &Program| {
        program.admin().get("/api/v1/segments/seen").json()["held"].as_u64().unwrap()
    };
    // The same browser goes on on the other site, under another number.
    program.until("have the rest go on", |_| {
        let mut same = browser.clone();
        let me = same.get("/api/v1/me").json();
        let after = me["visitor"].as_str().unwrap_or_default();
        let urls: Vec<&str> =
            me["hits"].as_array()?.iter().filter_map(|hit| hit["url"].as_str()).collect();
        let done = after != before && urls.first() == Some(&"https://shop.example/4");
        (done && urls.iter().all(|url| url.contains("shop.example"))).then_some(())
    });
    assert_eq!(held(&program), 1);
    assert!(program.http.get("/metrics").text().contains("mayfly_withdrawals_total 1"));
    assert_eq!(view(&mut browser, "shop", "7", ""), "stored", "under the new number");
    let program = program.stop().start();
    assert!(stored(&program, &before).is_empty(), "also after a restart");
    tell_of_two_scopes(&program);
    tell_of_the_tags_visitor(&program);
    program.stop();
}

/// A no in two scopes before the first is erased: both go.
fn tell_of_two_scopes(program: &Program) {
    let mut browser = Browser::new(&program.http);
    for site in ["paper", "shop"] {
        assert_eq!(view(&mut browser, site, "1", &under(YES)), "stored");
    }
    for site in ["paper", "shop"] {
        view(&mut browser, site, "2", &under(NO));
    }
    program.until("erase both", |_| {
        let me = browser.get("/api/v1/me").json();
        me["visitor"].is_null().then_some(())
    });
}

/// Who is known by the id that the tag keeps takes back as any other.
fn tell_of_the_tags_visitor(program: &Program) {
    let tag = |fp: &str, consent: &str| {
        let url = encoded("https://news.example/tag");
        let body = format!("s=news&u={url}&j=1&fp={fp}{consent}");
        let origin = ("origin".to_owned(), "https://news.example".to_owned());
        program.http.send("POST", "/p.gif", &[origin], body.as_bytes()).json()
    };
    let probe = tag("", &under(YES))["probe"].as_str().unwrap().to_owned();
    let id = tag(&probe, &under(YES))["id"].as_str().unwrap().to_owned();
    let held = || program.http.get(&format!("/api/v1/me?s=news&fp={id}")).json();
    assert_eq!(held()["hits"].as_array().unwrap().len(), 1);
    assert_eq!(tag(&id, &under(NO))["outcome"], "no_consent");
    program.until("erase him", |_| held()["visitor"].is_null().then_some(()));
}

#[test]
fn a_newer_no_erases_its_scope_on_the_embedded_store() {
    tell_of_withdrawal(Setup::new());
}

#[test]
fn a_newer_no_erases_its_scope_on_redis() {
    let server = RedisServer::start(&[]).unwrap();
    tell_of_withdrawal(Setup::new().env("MAYFLY_STORE__URL", &server.url()));
}

/// A consent platform that says no for everyone at once: they are hidden, and nobody is erased.
#[test]
fn a_broken_consent_platform_erases_nobody() {
    let program = start(Setup::new().env("MAYFLY_PRIVACY__WITHDRAWAL_GRACE_S", "4"));
    let mut browsers: Vec<Browser> = (0..30).map(|_| Browser::new(&program.http)).collect();
    for browser in &mut browsers {
        assert_eq!(view(browser, "news", "1", &under(YES)), "stored");
    }
    let held = |program: &Program| {
        program.admin().get("/api/v1/segments/seen").json()["held"].as_u64().unwrap()
    };
    assert_eq!(held(&program), 30);
    for browser in &mut browsers {
        view(browser, "news", "2", &under(NO));
    }
    program.until("hide them", |program| (held(program) == 0).then_some(()));
    std::thread::sleep(std::time::Duration::from_secs(6));
    let metrics = program.http.get("/metrics").text();
    assert!(metrics.contains("mayfly_withdrawals_held 30"), "{metrics}");
    assert!(program.log().contains("a consent platform may be broken"), "{}", program.log());
    let waiting = fs::read_to_string(program.setup().data().join("withdrawals.json")).unwrap();
    let waiting: Value = serde_json::from_str(&waiting).unwrap();
    assert_eq!(waiting.as_array().map(Vec::len), Some(30));
    // Their hits are still there: who looks at the store without what waits sees them.
    let setup = program.stop();
    fs::remove_file(setup.data().join("withdrawals.json")).unwrap();
    let program = setup.start();
    assert_eq!(held(&program), 30);
    program.stop();
}

#[test]
fn strings_are_explained_under_the_names_of_the_reference() {
    let setup = Setup::new();
    let explain = |string: &str| setup.json(&["consent", "explain", string]);
    let tc = explain(YES);
    assert_eq!(
        (&tc["kind"], &tc["decoded"]["purposes_consent"]),
        (&json!("tcf"), &json!([1, 3, 4, 5, 7, 9]))
    );
    assert_eq!(tc["decoded"]["vendor_consents"], json!([999]));
    assert_eq!(tc["decision"]["kept"], json!(true));
    let broken = explain("CX");
    assert_eq!((&broken["kind"], broken.get("decoded")), (&json!("tcf"), None));
    assert!(broken["error"].as_str().is_some_and(|e| e.contains("ends before")), "{broken}");
    assert_eq!(broken["decision"]["reason"], json!("invalid"));
    let usp = explain("1YYN");
    assert_eq!((&usp["kind"], &usp["decoded"]["OptOutSale"]), (&json!("usp"), &json!("Y")));
    let words = setup.ok(&["consent", "explain", NO]);
    assert!(words.contains("nothing is stored: the visitor said no"), "{words}");

    let program = start(setup);
    let words = program.setup().ok(&["consent", "explain", HIDDEN, "--site", "news"]);
    assert!(words.contains("for site news") && words.contains("did not show us"), "{words}");
    let told =
        program.setup().json(&["consent", "explain", YES, "--site", "news", "--receiver", "7"]);
    assert_eq!(told["decision"]["receiver"]["permitted"], json!(false), "{told}");
    program.stop();
}

/// Every valid string that is known from the libraries' own tests, through the command line.
#[test]
fn the_vectors_are_explained_as_they_expect() {
    let data = std::env::var("MAYFLY_DATA").unwrap_or_else(|_| "../../shared/data".into());
    let vectors = Path::new(&data).join("../protocols/vectors");
    if !vectors.is_dir() {
        println!("skipped: {} is not there", vectors.display());
        return;
    }
    let setup = Setup::new();
    let read = |name: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(vectors.join(name)).unwrap()).unwrap()
    };
    let mut compared = 0;
    for (file, key, kind) in
        [("tcf_v2_valid.json", "tc_string", "tcf"), ("gpp_valid.json", "gpp_string", "gpp")]
    {
        for vector in read(file)["vectors"].as_array().unwrap().iter().step_by(5) {
            let string = vector[key].as_str().unwrap();
            let told = setup.json(&["consent", "explain", string]);
            assert_eq!(told["kind"], json!(kind), "{string}");
            for (field, expected) in vector["expected"].as_object().unwrap() {
                assert_eq!(&told["decoded"][field], expected, "{field} of {string}");
            }
            compared += 1;
        }
    }
    assert!(compared > 20, "{compared}");
}
