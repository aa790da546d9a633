//! The API as a whole: what it describes is there, lists come in pages, what did not change is not
//! sent again; and a page explained.

use mayfly_store::contract::servers::RedisServer;
use serde_json::{Value, json};

use crate::program::{Program, Setup};

const DEFINITIONS: &str = r#"
format = 1

[[site]]
key = "news"
origins = ["https://news.example"]

[[category]]
name = "Sports > Football"
iab = "content-3.1:533"
rule = 'path startswith "/football/" or title contains any ("goal", "derby")'

[[category]]
name = "Sports > Football > Women"
rule = 'path startswith "/football/" and title contains "women"'

[[segment]]
name = "fans"
rule = 'visited("Sports", within 30d)'
owner = "ann"
labels = ["summer"]
ends = 2020-12-31

[[segment]]
name = "all"
rule = 'visited("*", within 30d)'
"#;

fn tell(setup: Setup) {
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.start();
    program.setup().ok(&["apply", &file]);
    described(&program);
    in_pages(&program);
    unchanged(&program);
    explained(&program);
    program.stop();
}

/// Each operation is there and wants a token; other methods are told which there are.
fn described(program: &Program) {
    let document = program.http.get("/api/v1/openapi.json").json();
    assert_eq!(document["openapi"], json!("3.1.0"));
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 25);
    for (path, operations) in paths {
        let path = format!("/api/v1{path}").replace(['{', '}'], "").replace("version", "1");
        let mut path = path.replace("/id", "/1") + "?";
        for (_, operation) in operations.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().unwrap().iter();
            for needed in parameters.filter(|p| p["in"] == "query" && p["required"] == true) {
                path += &format!("&{}=x", needed["name"].as_str().unwrap());
            }
        }
        for method in ["GET", "POST", "DELETE", "PUT"] {
            let answer = program.http.send(method, &path, &[], b"");
            let is_there = operations.get(method.to_lowercase()).is_some();
            let (status, code) =
                if is_there { (401, "unauthorized") } else { (405, "wrong_method") };
            assert_eq!(answer.status, status, "{method} {path}");
            assert_eq!(answer.json()["error"]["code"], json!(code));
            assert_eq!(answer.header("allow").is_some(), !is_there);
        }
    }
    // Every form that is referred to is there.
    let text = document.to_string();
    for name in text.split("#/components/schemas/").skip(1) {
        let name = name.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
    }
}

fn in_pages(program: &Program) {
    let admin = program.admin();
    let all = admin.get("/api/v1/categories").json();
    let rows = all["categories"].as_array().unwrap();
    assert_eq!((rows.len(), &all["next"]), (3, &Value::Null));
    let (mut after, mut paths) = (json!(0), Vec::new());
    while !after.is_null() {
        let page = admin.get(&format!("/api/v1/categories?limit=1&after={after}")).json();
        paths.extend(page["categories"].as_array().unwrap().iter().map(|c| c["path"].clone()));
        after = page["next"].clone();
    }
    assert_eq!(paths, rows.iter().map(|c| c["path"].clone()).collect::<Vec<_>>());
    let football = rows.iter().find(|c| c["path"] == json!("Sports > Football")).unwrap();
    assert_eq!(football["iab"], json!(["content-3.1:533"]));
    let one = admin.get(&format!("/api/v1/categories/{}?days=7", football["id"])).json();
    assert_eq!((&one["held"], &one["days"], &one["exact"]), (&json!(0), &json!(7), &json!(true)));
    let first = admin.get("/api/v1/segments?limit=1").json();
    let fans = &first["segments"][0];
    let said = (&fans["owner"], &fans["labels"], &fans["ends"], &fans["on_page"]);
    assert_eq!(said, (&json!("ann"), &json!(["summer"]), &json!("2020-12-31"), &json!(false)));
    let second = admin.get(&format!("/api/v1/segments?after={}", first["next"])).json();
    assert_eq!((&second["segments"][0]["name"], &second["next"]), (&json!("all"), &Value::Null));
    for (path, code) in [
        ("/api/v1/segments?limit=0", "out_of_range"),
        ("/api/v1/segments?limit=x", "bad_query"),
        ("/api/v1/categories?limt=3", "bad_query"),
        ("/api/v1/categories/99", "category_not_found"),
        ("/api/v1/categories/1?days=91", "out_of_range"),
    ] {
        assert_eq!(admin.get(path).json()["error"]["code"], json!(code), "{path}");
    }
}

fn unchanged(program: &Program) {
    for path in ["/api/v1/categories", "/api/v1/definitions"] {
        let tag = program.admin().get(path).header("etag").unwrap().to_owned();
        let again = program.admin().with("if-none-match", &tag).get(path);
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        let other = program.admin().with("if-none-match", "\"definitions-0\"").get(path);
        assert_eq!(other.status, 200);
    }
}

fn explained(program: &Program) {
    let (url, title) = ("https://news.example/football/1", "The derby, live");
    let args = ["page", "why", url, "--site", "news", "--title", title];
    let why = program.setup().json(&args);
    assert_eq!(why["categories"], json!(["Sports", "Sports > Football"]), "{why}");
    let [fires, nearly] = ["fires", "nearly"].map(|rows| why[rows].as_array().unwrap().clone());
    assert_eq!((fires.len(), nearly.len()), (1, 1), "{why}");
    let tests = &fires[0]["tests"];
    assert_eq!((&tests[0]["found"], &tests[0]["span"]), (&json!("/football/1"), &json!([0, 10])));
    assert_eq!(tests[1]["span"], json!([4, 9]), "the derby");
    let stands_in_the_way = json!([{"test": "title contains \"women\"", "holds": false,
        "found": "the derby, live", "span": null}]);
    assert_eq!(nearly[0]["tests"], stands_in_the_way);
    let text = program.setup().ok(&args);
    assert!(text.contains("       the derby, live\n           ^^^^^\n"), "{text}");
    let nowhere = program.setup().ok(&["page", "why", "https://news.example/", "--site", "news"]);
    assert!(nowhere.contains("in no category"), "{nowhere}");
    let all = program.setup().json(&["segment", "count", "all"]);
    assert_eq!(all["held"], json!(0), "nothing is stored");
    let wrong = program.setup().run(&["page", "why", "nonsense", "--site", "news"]);
    assert!(wrong.code == 1 && wrong.stderr.contains("bad_url"), "{}", wrong.stderr);
    let wrong = program.setup().run(&["page", "why", url, "--site", "nws"]);
    assert!(wrong.code == 1 && wrong.stderr.contains("nws"), "{}", wrong.stderr);
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
