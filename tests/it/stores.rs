//! The same story on all three stores: embedded, a real Redis, a real Redis Cluster.

use mayfly_store::contract::servers::{RedisCluster, RedisServer};
use serde_json::{Value, json};

use crate::program::{Program, Setup};

const DEFINITIONS: &str = r#"
format = 1

[[site]]
key = "shop"
origins = ["https://shop.example"]

[[category]]
name = "Shoes"
rule = 'path startswith "/shoes/"'

[[segment]]
name = "shoe-lovers"
rule = 'visited("Shoes", within 30d) >= 3'
"#;

fn hit(visitor: u32, n: u32) -> Value {
    json!({
        "id": format!("{visitor}-{n}"),
        "visitor": {"space": "crm", "id": visitor.to_string()},
        "site": "shop",
        "url": format!("https://shop.example/shoes/{n}"),
    })
}

/// Visitor v has v hits: of 1 to 9, those from 3 on are members.
fn all_hits() -> Value {
    (1..10).flat_map(|visitor| (0..visitor).map(move |n| hit(visitor, n))).collect()
}

fn held(setup: &Setup) -> Value {
    setup.json(&["segment", "count", "shoe-lovers"])["held"].clone()
}

/// Sends everything twice, stops, starts, crashes, starts; then erases a member.
fn tell(setup: Setup) {
    let file = setup.write("mayfly.toml", DEFINITIONS).display().to_string();
    let program = setup.start();
    program.setup().ok(&["apply", &file]);
    let send = |program: &Program| {
        let answer = program.admin().post("/api/v1/hits", &all_hits());
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["outcomes"].clone()
    };
    assert_eq!(send(&program), json!({"stored": 45}));
    assert_eq!(send(&program), json!({"duplicate": 45}));
    assert_eq!(held(program.setup()), json!(7));
    assert_eq!(program.http.post("/api/v1/hits", &all_hits()).status, 401, "without a token");

    let program = {
        let program = program.stop().start();
        program.kill().start()
    };
    assert_eq!(held(program.setup()), json!(7), "after a stop and a crash");
    assert_eq!(send(&program), json!({"duplicate": 45}));

    program.setup().ok(&["visitor", "erase", "crm:9"]);
    assert_eq!(held(program.setup()), json!(6), "at once");
    assert_eq!(program.setup().run(&["visitor", "show", "crm:9"]).code, 1);
    program.setup().ok(&["retention", "audit"]);
    program.stop();
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

#[test]
fn redis_cluster() {
    let cluster = RedisCluster::start(&["--appendonly", "yes"]).unwrap();
    tell(Setup::new().env("MAYFLY_STORE__URL", &cluster.url()));
}
