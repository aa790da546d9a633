//! What a page and a server learn of a visitor: names, OpenRTB, key-values, interests; the present
//! page counted; consent, origins and scopes of tokens.

use mayfly_store::contract::servers::RedisServer;
use serde_json::{Value, json};

use crate::http::{Browser, encoded};
use crate::program::{Program, Setup};

const DEFINITIONS: &str = r#"
format = 1

[[site]]
key = "news"
origins = ["https://news.example"]
consent = "gpp"

[[site]]
key = "shop"
origins = ["https://shop.example"]

[[category]]
name = "Sports > Football"
iab = "content-3.1:533"
rule = 'path startswith "/football/"'

[[category]]
name = "Cars"
rule = 'path startswith "/cars/"'

[[segment]]
name = "fans"
rule = 'visited("Sports", within 30d)'
on_page = true
iab = "audience-1.1:686"

[[segment]]
name = "fans of two"
rule = 'days("*", within 30d) and visited("Sports > Football", within 24h) >= 2'
on_page = ["shop"]

[[segment]]
name = "drivers"
rule = 'visited("Cars", within 30d)'
"#;

fn start(setup: Setup) -> (Program, Browser) {
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.env("MAYFLY_HTTP__DOMAIN", "dmp.example").start();
    program.setup().ok(&["apply", &file]);
    let mut browser = Browser::new(&program.http);
    assert_eq!(browser.hit("shop", "https://shop.example/football/1").outcome(), "stored");
    assert_eq!(browser.hit("shop", "https://shop.example/cars/1").outcome(), "stored");
    program.until("hold the visitor", |program| {
        let drivers = program.setup().json(&["segment", "count", "drivers"]);
        (drivers["held"] == json!(1)).then_some(())
    });
    (program, browser)
}

const SHOP: [(&str, &str); 1] = [("origin", "https://shop.example")];

fn ask(browser: &mut Browser, query: &str) -> Value {
    let answer = browser.send("GET", &format!("/api/v1/me/segments{query}"), &SHOP);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.header("access-control-allow-origin").is_some());
    assert!(answer.header("cache-control").unwrap().contains("no-store"));
    answer.json()
}

fn present(path: &str) -> String {
    format!("u={}", encoded(&format!("https://shop.example{path}")))
}

fn tell(setup: Setup) {
    let (program, mut browser) = start(setup);
    of_the_page(&program, &mut browser);
    who_says_no(&mut browser);
    in_other_forms(&program, &mut browser);
    server_to_server(&program, &browser);
    program.stop();
}

fn of_the_page(program: &Program, browser: &mut Browser) {
    assert_eq!(ask(browser, ""), json!({"segments": ["fans"]}), "drivers are for no page");
    let football = present("/football/2");
    let both = json!({"segments": ["fans", "fans of two"]});
    assert_eq!(ask(browser, &format!("?{football}")), both, "the present page counts");
    assert_eq!(ask(browser, ""), json!({"segments": ["fans"]}), "and is not stored");
    let mut stranger = Browser::new(&program.http);
    assert_eq!(ask(&mut stranger, ""), json!({"segments": []}));
    assert_eq!(ask(&mut stranger, &format!("?{football}")), json!({"segments": ["fans"]}));
    assert!(stranger.cookies.is_empty(), "a question makes no visitor");
    let elsewhere = browser.send(
        "GET",
        &format!("/api/v1/me/segments?s=shop&{football}"),
        &[("origin", "https://evil.example")],
    );
    assert_eq!(elsewhere.header("access-control-allow-origin"), None);
    assert_eq!(elsewhere.json(), json!({"segments": []}), "no site's page is no page");
    let nowhere = |browser: &mut Browser, query: &str| {
        browser.send("GET", &format!("/api/v1/me/segments{query}"), &[]).json()
    };
    assert_eq!(nowhere(browser, ""), json!({"segments": ["fans"]}), "no site's own");
    assert_eq!(nowhere(browser, "?us_privacy=1YYN"), json!({"segments": []}), "a no is a no");
    for (query, status, code) in
        [("?format=xml", 400, "bad_query"), ("?u=nonsense", 422, "bad_hit")]
    {
        let answer = browser.send("GET", &format!("/api/v1/me/segments{query}"), &SHOP);
        assert_eq!((answer.status, answer.json()["error"]["code"].clone()), (status, json!(code)));
    }
}

fn who_says_no(browser: &mut Browser) {
    let football = present("/football/2");
    for no in ["us_privacy=1YYN", "gpc=1", "coppa=1"] {
        assert_eq!(ask(browser, &format!("?{no}")), json!({"segments": []}), "{no}");
        let contextual = ask(browser, &format!("?{no}&{football}"));
        assert_eq!(contextual, json!({"segments": ["fans"]}), "{no}: of the page alone");
        assert_eq!(ask(browser, &format!("?{no}&interests=5"))["interests"], json!([]));
    }
    for unreadable in ["us_privacy=1YYN&d=x", "us_privacy=1YYN&e=No%20Event"] {
        let answer = ask(browser, &format!("?{unreadable}"));
        assert_eq!(answer, json!({"segments": []}), "{unreadable}: a no may stand beside it");
    }
    let mut out = browser.clone();
    out.cookies.insert("mf_optout".to_owned(), "1".to_owned());
    assert_eq!(ask(&mut out, &format!("?{football}")), json!({"segments": []}), "nothing at all");
    // Silence, where the site asks for a string: what is held was allowed when it came.
    let news = [("origin", "https://news.example")];
    let answer = browser.send("GET", "/api/v1/me/segments", &news);
    assert_eq!(answer.json(), json!({"segments": ["fans"]}));
    let answer = browser.send("GET", "/api/v1/me/segments?format=kv", &news);
    assert_eq!(answer.json(), json!({"mf_seg": []}), "nothing to pass on without a string");
}

fn in_other_forms(program: &Program, browser: &mut Browser) {
    let id = |name: &str| {
        program.setup().json(&["segment", "count", name])["id"].as_u64().unwrap().to_string()
    };
    let fans = id("fans");
    let football = present("/football/2");
    let ping = format!("/p.gif?s=shop&e=engagement&d=9000&{}", present("/cars/1"));
    assert_eq!(browser.get(&ping).outcome(), "stored");
    let ortb2 = json!({
        "user": {"data": [
            {"name": "dmp.example", "ext": {"segtax": 4}, "segment": [{"id": "686"}]},
            {"name": "dmp.example", "segment": [{"id": fans, "name": "fans"}]},
        ]},
    });
    assert_eq!(ask(browser, "?format=ortb2"), ortb2);
    let content = json!({"content": {"data": [
        {"name": "dmp.example", "ext": {"segtax": 9}, "segment": [{"id": "533"}]},
    ]}});
    assert_eq!(ask(browser, &format!("?format=ortb2&{football}"))["site"], content);
    assert_eq!(ask(browser, "?format=kv"), json!({"mf_seg": [fans]}));
    let interests = ask(browser, &format!("?interests=1&{football}"))["interests"].clone();
    assert_eq!(interests, json!([{"category": "Sports > Football", "hits": 2}]));
    let both = ask(browser, "?interests=10")["interests"].clone();
    let once = |path: &str| json!({"category": path, "hits": 1});
    assert_eq!(both, json!([once("Cars"), once("Sports > Football")]), "engagement is no hit");
    let news = [("origin", "https://news.example")];
    let answer = browser.send("GET", "/api/v1/me/segments?interests=10", &news);
    assert_eq!(answer.json()["interests"], json!([]), "hits of other sites are not told");
}

fn server_to_server(program: &Program, browser: &Browser) {
    let cookie = &browser.cookies["mf_id"];
    let body = json!({"visitors": [{"cookie": cookie}, cookie, {"space": "crm", "id": "none"}]});
    let answer = program.admin().post("/api/v1/lookup", &body).json();
    let names = json!(["fans", "drivers"]);
    assert_eq!(answer["visitors"][0], json!({"known": true, "segments": names}), "{answer}");
    assert_eq!(answer["visitors"][1], answer["visitors"][0]);
    assert_eq!(answer["visitors"][2], json!({"known": false, "segments": []}));
    assert!(answer["as_of"].is_string());

    let with = |args: &[&str]| {
        let secret = program.setup().ok(&[&["token", "create"], args].concat());
        program.http.clone().with("authorization", &format!("Bearer {}", secret.trim()))
    };
    let news = with(&["n", "--role", "site_owner", "--site", "news"]);
    let segments = |answer: Value| answer["visitors"][0]["segments"].clone();
    assert_eq!(segments(news.post("/api/v1/lookup", &body).json()), json!(["fans"]));
    let shown = program.setup().json(&["segment", "sample", "fans", "--number", "1"]);
    let number = shown["sample"][0].clone();
    let by_number = json!({"visitors": [number]});
    let known = |answer: Value| answer["visitors"][0]["known"].clone();
    assert_eq!(known(program.admin().post("/api/v1/lookup", &by_number).json()), json!(true));
    assert_eq!(known(news.post("/api/v1/lookup", &by_number).json()), json!(false));
    let viewer = with(&["v", "--role", "viewer"]);
    assert_eq!(viewer.post("/api/v1/lookup", &body).status, 403);
    let many: Vec<&str> = vec!["crm:1"; 1001];
    let answer = program.admin().post("/api/v1/lookup", &json!({"visitors": many}));
    assert_eq!(answer.json()["error"]["code"], json!("too_many"));

    // A token for one site sends hits of that site alone, and sees no other's pixels.
    let hit = |site: &str| {
        json!({"site": site, "visitor": {"space": "crm", "id": "1"},
            "url": format!("https://{site}.example/"), "consent": {"gpp": "DBAA"}})
    };
    let answer = news.post("/api/v1/hits", &json!([hit("shop")])).json();
    assert_eq!(answer["outcomes"], json!({"unknown_site": 1}));
    assert_eq!(news.get("/api/v1/sites/shop/tail").status, 403);
    assert_eq!(news.get("/api/v1/sites/news/tail").status, 200);
    let unknown =
        program.setup().run(&["token", "create", "x", "--role", "partner", "--site", "no"]);
    assert!(unknown.stderr.contains("no site \"no\""), "{}", unknown.stderr);
    let list = program.setup().ok(&["token", "list"]);
    let line: Vec<_> = list.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()).collect();
    assert!(line.iter().any(|words| words.starts_with(&["n", "site_owner", "news"])), "{list}");
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
