//! The visitor's door: what is held about a browser, in words; erased, refused, taken back.

use serde_json::json;

use crate::http::{Answer, Browser, Http};
use crate::program::{Program, Setup};

const DEFINITIONS: &str = r#"
format = 1
[[site]]
key = "news"
origins = ["https://news.example"]
[[category]]
name = "Sports"
rule = 'path startswith "/sport"'
[[segment]]
name = "seen"
rule = 'visited("*", within 30d)'
"#;

fn start(placement: &str) -> Program {
    let setup = Setup::new().env("MAYFLY_COLLECTOR__PLACEMENT", placement);
    let setup = setup.env("MAYFLY_PRIVACY__CONTROLLER", "The Daily <News>");
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.start();
    program.setup().ok(&["apply", &file]);
    program
}

/// A form of our own page, as a browser sends it.
fn post(program: &Program, browser: &mut Browser, path: &str, form: &str, from: &str) -> Answer {
    let cookies: Vec<String> = browser.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let headers = [
        ("cookie".to_owned(), cookies.join("; ")),
        ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
        ("sec-fetch-site".to_owned(), from.to_owned()),
    ];
    let answer = program.http.send("POST", path, &headers, form.as_bytes());
    for (_, value) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
        browser.keep(value);
    }
    answer
}

fn tell(placement: &str) {
    let program = start(placement);
    let mut browser = Browser::new(&program.http);
    assert_eq!(browser.hit("news", "https://news.example/sport/<b>").outcome(), "stored");
    let page = browser.get("/privacy?lang=nl");
    assert_eq!(page.status, 200);
    let text = page.text();
    assert!(text.contains("lang=\"nl\"") && text.contains("news.example/sport/"), "{text}");
    assert!(text.contains("The Daily &lt;News&gt;") && !text.contains("<script"), "{text}");
    assert!(
        page.header("content-security-policy").is_some_and(|p| p.contains("default-src 'none'"))
    );
    assert_eq!(page.header("cache-control"), Some("no-store, private"));
    let download = browser.get("/api/v1/me?download=1");
    assert_eq!(download.json()["hits"][0]["falls_in"], json!(["Sports"]));
    assert!(text.contains(">Sports<"), "{text}");
    assert!(download.header("content-disposition").is_some_and(|d| d.starts_with("attachment")));

    let visitor = download.json()["visitor"].as_str().unwrap().to_owned();
    let forged = post(&program, &mut browser, "/privacy", "action=erase", "cross-site");
    assert_eq!(forged.status, 403, "{}", forged.text());
    let answer = post(&program, &mut browser, "/privacy", "action=erase&lang=da", "same-origin");
    assert_eq!((answer.status, browser.cookies.contains_key("mf_id")), (200, false));
    assert!(answer.text().contains("lang=\"da\""));
    let shown = program.admin().get(&format!("/api/v1/visitors/{visitor}")).json();
    assert_eq!(shown["hits"], json!([]), "erased");
    assert_eq!(browser.hit("news", "https://news.example/2").outcome(), "stored", "someone new");

    post(&program, &mut browser, "/optout", "action=out&lang=ro", "same-origin");
    let cookies = &browser.cookies;
    assert!(cookies.contains_key("mf_optout") && !cookies.contains_key("mf_id"), "{cookies:?}");
    assert_eq!(browser.hit("news", "https://news.example/3").outcome(), "opted_out");
    assert!(browser.get("/optout").text().contains("value=\"in\""), "the way back");
    let forged = post(&program, &mut browser, "/optout", "action=in", "cross-site");
    assert_eq!(forged.status, 403);
    post(&program, &mut browser, "/optout", "action=in", "same-origin");
    assert_eq!(browser.hit("news", "https://news.example/4").outcome(), "stored");
    program.stop();
}

#[test]
fn shown_erased_refused_and_taken_back_in_first_party() {
    tell("first_party");
}

#[test]
fn the_same_in_third_party() {
    tell("third_party");
}

#[test]
fn the_same_in_chips() {
    tell("chips");
}

#[test]
fn programs_read_what_we_keep_and_honour() {
    let setup = Setup::new()
        .env("MAYFLY_HTTP__PREFIX", "/m")
        .env("MAYFLY_COLLECTOR__COOKIE_PREFIX", "xy")
        .env("MAYFLY_COLLECTOR__COOKIE_SECURE", "true");
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.start();
    program.setup().ok(&["apply", &file]);
    let gpc = program.http.get("/.well-known/gpc.json");
    assert_eq!((gpc.status, &gpc.json()["gpc"]), (200, &json!(true)));
    let storage = program.http.get("/m/device-storage.json").json();
    let names: Vec<_> = storage["disclosures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["identifier"].clone())
        .collect();
    assert_eq!(json!(names), json!(["__Host-xy_id", "__Host-xy_probe", "__Host-xy_optout"]));
    assert_eq!(storage["disclosures"][0]["maxAgeSeconds"], json!(7_776_000));

    let mut browser = Browser::new(&program.http);
    let answer = browser.get("/m/p.gif?s=news&u=https%3A%2F%2Fnews.example%2F1");
    assert_eq!(answer.outcome(), "stored");
    let set = answer.header("set-cookie").unwrap();
    assert!(set.starts_with("__Host-xy_id=") && set.contains("Secure") && set.contains("Path=/"));
    assert_eq!(browser.get("/p.gif?s=news").status, 404, "everything is renamed");
    let snippet =
        program.setup().ok(&["site", "snippet", "news", "--server", "https://px.example"]);
    let src = snippet.split("src=\"https://px.example").nth(1).unwrap().split('"').next().unwrap();
    let tag = program.http.get(src);
    assert_eq!(tag.header("cache-control"), Some("public, max-age=31536000, immutable"));
    let latest = program.http.get("/m/tag.js");
    assert_eq!((latest.status, &latest.body), (200, &tag.body));
    let etag = latest.header("etag").unwrap();
    assert_eq!(program.http.clone().with("if-none-match", etag).get("/m/tag.js").status, 304);
    let old = program.http.get("/m/tag.0000000000000000.js");
    assert_eq!((old.status, old.header("cache-control")), (200, Some("public, max-age=3600")));
    program.stop();
}

/// What the tag reads may be read by pages of the site, and by nobody else.
#[test]
fn the_tags_answer_is_for_pages_of_its_site() {
    let program = start("first_party");
    let ask = |http: &Http, origin: &str| {
        let kind = ("content-type".to_owned(), "text/plain;charset=UTF-8".to_owned());
        let body = b"s=news&u=https%3A%2F%2Fnews.example%2F&j=1&fp=";
        http.clone().with("origin", origin).send("POST", "/p.gif", &[kind], body)
    };
    let own = ask(&program.http, "https://news.example");
    assert_eq!(own.header("access-control-allow-origin"), Some("https://news.example"));
    assert_eq!(own.header("access-control-allow-credentials"), Some("true"));
    let probe = own.json()["probe"].as_str().unwrap().to_owned();
    assert!(own.json()["outcome"].is_null());
    assert!(
        !own.header("set-cookie").unwrap().contains(&probe),
        "a page learns the cookie's probe"
    );
    let foreign = ask(&program.http, "https://evil.example");
    assert_eq!(foreign.header("access-control-allow-origin"), None);
    assert_eq!(foreign.json()["outcome"], json!("wrong_origin"));
    program.stop();
}

/// In a jar of its own for each site our pages know nobody: the site's page makes a link.
#[test]
fn a_page_of_the_site_makes_a_link_for_its_visitor() {
    let program = start("chips");
    let mut browser = Browser::new(&program.http);
    assert_eq!(browser.hit("news", "https://news.example/sport/1").outcome(), "stored");
    program.until("make him a member", |_| {
        (browser.get("/api/v1/me").json()["segments"] == json!(["seen"])).then_some(())
    });
    let cookies: Vec<String> = browser.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let ask = |origin: &str, site: &str| {
        let headers =
            [("cookie".to_owned(), cookies.join("; ")), ("origin".to_owned(), origin.to_owned())];
        program.http.send("GET", &format!("/api/v1/me/link?s={site}"), &headers, b"")
    };
    let foreign = ask("https://evil.example", "news");
    assert!(foreign.json()["as"].is_null(), "{}", foreign.text());
    assert_eq!(foreign.header("access-control-allow-origin"), None);
    assert!(ask("https://news.example", "nowhere").json()["as"].is_null());
    let own = ask("https://news.example", "news");
    assert_eq!(own.header("access-control-allow-origin"), Some("https://news.example"));
    let pass = own.json()["as"].as_str().unwrap().to_owned();

    // Our own page, where the browser shows none of that jar.
    let mut top = Browser::new(&program.http);
    let held = top.get(&format!("/api/v1/me?s=news&as={pass}")).json();
    assert_eq!(held["segments"], json!([]), "the site's page could read it, and none is for it");
    assert_eq!(held["hits"][0]["url"], "https://news.example/sport/1");
    assert!(top.get(&format!("/privacy?s=news&as={pass}")).text().contains("/sport/1"));
    assert!(top.get(&format!("/api/v1/me?s=other&as={pass}")).json()["visitor"].is_null());
    let form = format!("action=out&s=news&as={pass}");
    let out = post(&program, &mut top, "/optout", &form, "same-origin");
    assert!(out.text().contains("role=\"status\""), "{}", out.text());
    assert!(out.header("set-cookie").is_none(), "the no is for the site's jar");
    let told = browser.hit("news", "https://news.example/sport/2");
    assert_eq!(told.outcome(), "opted_out");
    assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), ["mf_optout"]);
    program.stop();
}
