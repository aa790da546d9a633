//! Definitions that change under stored hits: what was there before is seen by what is new, `plan`
//! tells what `apply` does, names may change without anybody leaving.

use std::collections::BTreeSet;

use mayfly_core::{Day, Timestamp};
use serde_json::{Value, json};

use crate::program::{Program, Setup};

const SITE: &str = "format = 1\n[[site]]\nkey = \"news\"\norigins = [\"https://news.example\"]\n";

/// An installation whose store may take its time: hits over 90 days open 90 days.
fn setup() -> Setup {
    Setup::new().env("MAYFLY_STORE__DEADLINE_MS", "20000")
}

fn category(name: &str, rule: &str) -> String {
    format!("[[category]]\nname = \"{name}\"\nrule = '{rule}'\n")
}

fn segment(name: &str, rule: &str) -> String {
    format!("[[segment]]\nname = \"{name}\"\nrule = '{rule}'\n")
}

/// A definitions file with these parts, as an argument.
fn file(setup: &Setup, parts: &[String]) -> String {
    setup.write("mayfly.toml", &(SITE.to_owned() + &parts.concat())).display().to_string()
}

fn apply(setup: &Setup, parts: &[String]) -> Value {
    setup.json(&["apply", &file(setup, parts)])
}

fn hit(visitor: &str, path: &str, title: &str, age: u16) -> Value {
    let now = Timestamp::from_secs(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64);
    let day: Day = now.day().unwrap().minus(age);
    let time = if age == 0 { now } else { day.at_second(u32::from(age) * 900) };
    json!({
        "visitor": {"space": "crm", "id": visitor}, "site": "news", "time": time.millis(),
        "url": format!("https://news.example{path}"), "title": title,
    })
}

fn send(program: &Program, hits: &[Value]) {
    let answer = program.admin().post("/api/v1/hits", &json!(hits)).json();
    assert_eq!(answer["outcomes"], json!({"stored": hits.len()}), "{answer}");
}

/// Which of these visitors the segment holds; both ways to ask agree.
fn members(setup: &Setup, segment: &str, visitors: &[&str]) -> BTreeSet<String> {
    let listed = setup.json(&["segment", "members", segment])["members"].clone();
    let mut found = BTreeSet::new();
    for id in visitors {
        let shown = setup.json(&["visitor", "show", &format!("crm:{id}")]);
        let is_listed = listed.as_array().unwrap().contains(&shown["visitor"]);
        let is_told = shown["segments"].as_array().unwrap().contains(&json!(segment));
        assert_eq!(is_listed, is_told, "{segment}, {id}: {listed} against {shown}");
        if is_listed {
            found.insert((*id).to_owned());
        }
    }
    assert_eq!(found.len(), listed.as_array().unwrap().len(), "{segment}: nobody else is in it");
    found
}

fn set(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn a_hit_keeps_the_title_that_it_saw_through_every_rebuild() {
    let program = setup().start();
    let all = ["early", "late", "both"];
    let parts = |word: &str| {
        let rule = format!("title contains \"{word}\"");
        [category("Word", &rule), segment("readers", r#"visited("Word", within 30d)"#)]
    };
    apply(program.setup(), &parts("derby"));
    send(&program, &[hit("early", "/1", "The derby", 2), hit("both", "/1", "The derby", 2)]);
    send(&program, &[hit("late", "/1", "The final", 1), hit("both", "/1", "The final", 0)]);
    assert_eq!(members(program.setup(), "readers", &all), set(&["both", "early"]));

    apply(program.setup(), &parts("final"));
    assert_eq!(members(program.setup(), "readers", &all), set(&["both", "late"]), "rebuilt");
    let program = program.stop().start();
    assert_eq!(members(program.setup(), "readers", &all), set(&["both", "late"]), "loaded");
    apply(program.setup(), &parts("derby"));
    let program = program.kill().start();
    assert_eq!(members(program.setup(), "readers", &all), set(&["both", "early"]), "crashed");

    let shown = program.setup().json(&["visitor", "show", "crm:both"]);
    let titles = [0, 1].map(|n| shown["hits"][n]["title"].clone());
    assert_eq!(titles, [json!("The derby"), json!("The final")]);
}

#[test]
fn a_new_category_sees_all_past_hits_at_once_and_plan_tells_what_apply_does() {
    let program = setup().start();
    let setup = program.setup();
    let before = [category("Cars", r#"path startswith "/cars/""#), segment("drivers", CARS)];
    apply(setup, &before);
    // Visitor n reads n pages of /tea/ and one of /cars/, on days spread over the retention.
    let visitors: Vec<String> = (1..=30).map(|n| n.to_string()).collect();
    let hits: Vec<Value> = (1..=30u16)
        .flat_map(|n| {
            let tea = (0..n).map(move |i| (n, i, "tea", (n * 7 + i * 3) % 89));
            tea.chain([(n, 0, "cars", n)])
        })
        .map(|(n, i, topic, age)| hit(&n.to_string(), &format!("/{topic}/{i}"), "", age))
        .collect();
    send(&program, &hits);
    let ids: Vec<&str> = visitors.iter().map(String::as_str).collect();
    let was = members(setup, "drivers", &ids);
    assert_eq!(was.len(), 14, "ages 1 to 14");

    let after = [
        category("Cars", r#"path startswith "/cars/" or path == "/tea/20""#),
        category("Tea", r#"path startswith "/tea/""#),
        segment("drivers", CARS),
        segment("tea-lovers", r#"visited("Tea", within 90d) >= 12"#),
    ];
    let planned = setup.json(&["plan", &file(setup, &after)]);
    assert_eq!(setup.run(&["segment", "count", "tea-lovers"]).code, 1, "plan changes nothing");
    assert_eq!(members(setup, "drivers", &ids), was);
    let applied = apply(setup, &after);
    assert_eq!(applied["changes"], planned["changes"]);
    assert_eq!(planned["changes"].as_array().unwrap().len(), 3, "{planned}");
    assert_eq!(setup.json(&["segment", "count", "tea-lovers"])["held"], json!(19), "12 to 30");

    // Those who read /tea/20 within 14 days come in; whoever was in stays.
    let lately = |n: &u16| *n > 20 && (n * 7 + 60) % 89 < 15;
    let drivers: BTreeSet<String> =
        (1..=30u16).filter(|n| *n <= 14 || lately(n)).map(|n| n.to_string()).collect();
    assert!(drivers.len() > was.len());
    assert_eq!(members(setup, "drivers", &ids), drivers);
    let row = |name: &str, now: usize, after: usize| {
        let entered = after - now;
        json!({"name": name, "now": now, "after": after, "entered": entered, "left": 0})
    };
    let rows = [row("drivers", was.len(), drivers.len()), row("tea-lovers", 0, 19)];
    assert_eq!(planned["segments"], json!(rows));
}

const CARS: &str = r#"visited("Cars", within 15d)"#;

#[test]
fn nobody_enters_a_paused_segment_and_a_stop_loses_no_member() {
    let program = setup().start();
    let segment = |more: &str| segment("drivers", CARS) + more;
    let cars = category("Cars", r#"path startswith "/cars/""#);
    apply(program.setup(), &[cars, segment("")]);
    send(&program, &[hit("a", "/cars/1", "", 3), hit("b", "/tea/1", "", 3)]);
    assert_eq!(members(program.setup(), "drivers", &["a", "b"]), set(&["a"]));
    apply(program.setup(), &[segment("paused = true\n")]);
    send(&program, &[hit("b", "/cars/1", "", 0)]);
    assert_eq!(members(program.setup(), "drivers", &["a", "b"]), set(&["a"]), "paused");
    let program = program.stop().start();
    assert_eq!(members(program.setup(), "drivers", &["a", "b"]), set(&["a"]), "after a stop");
    let program = program.kill().start();
    assert_eq!(members(program.setup(), "drivers", &["a", "b"]), set(&["a"]), "after a crash");
    apply(program.setup(), &[segment("paused = false\n")]);
    assert_eq!(members(program.setup(), "drivers", &["a", "b"]), set(&["a", "b"]), "no longer");
}

#[test]
fn a_rename_keeps_ids_and_members_and_only_prune_removes() {
    let program = setup().start();
    let setup = program.setup();
    let cars = |name: &str, was: &str| {
        category(name, r#"path startswith "/cars/""#) + &format!("was = [{was}]\n")
    };
    let tea = [category("Tea", r#"path startswith "/tea/""#), segment("tea", TEA)];
    apply(setup, &[cars("Cars", ""), segment("drivers", CARS), tea.concat()]);
    send(&program, &[hit("a", "/cars/1", "", 3), hit("b", "/tea/1", "", 5)]);
    let id = |name: &str| {
        let path = format!("/api/v1/segments/{name}");
        program.admin().get(&path).json()["id"].clone()
    };
    let old = id("drivers");

    let renamed = [
        cars("Vehicles > Cars", "\"Cars\""),
        segment("owners", r#"visited("Vehicles > Cars", within 15d)"#) + "was = [\"drivers\"]\n",
    ];
    let change = apply(setup, &renamed)["changes"].to_string();
    assert!(change.contains("(was Cars)") && change.contains("(was drivers)"), "{change}");
    assert_eq!(id("owners"), old);
    assert_eq!(members(setup, "owners", &["a", "b"]), set(&["a"]));
    assert_eq!(id("drivers"), old, "the old name leads there, too");
    let parent = setup.json(&["segment", "count", "--rule", r#"visited("Vehicles", within 90d)"#]);
    assert_eq!(parent["held"], json!(1), "the new parent has the hits of before");
    assert_eq!(members(setup, "tea", &["a", "b"]), set(&["b"]), "what is not named stays");

    let removes = setup.json(&["plan", &file(setup, &renamed), "--prune"]);
    let gone = json!({"name": "tea", "now": 1, "after": 0, "entered": 0, "left": 1});
    assert!(removes["segments"].as_array().unwrap().contains(&gone), "{removes}");
    let pruned = setup.json(&["apply", &file(setup, &renamed), "--prune"]);
    assert_eq!(pruned["changes"], removes["changes"]);
    assert_eq!(pruned["changes"], json!(["- category Tea", "- segment tea"]));
    assert_eq!(setup.run(&["segment", "count", "tea"]).code, 1);
    assert_eq!(members(setup, "owners", &["a", "b"]), set(&["a"]));

    // What comes back is another one, and sees the past again.
    apply(setup, &tea);
    assert_ne!(id("tea"), old);
    assert_eq!(members(setup, "tea", &["a", "b"]), set(&["b"]));
}

const TEA: &str = r#"visited("Tea", within 90d)"#;

/// Each of several people adds a segment of his own, all at the same moment: who is told that it is
/// applied finds it there, and nobody's stands in the way of the next.
#[test]
fn changes_made_at_the_same_time_lose_nothing() {
    let program = setup().start();
    // Many, so that a change takes its time.
    let many = (0..1000).map(|n| category(&format!("c{n}"), &format!("path == \"/{n}\"")));
    apply(program.setup(), &many.collect::<Vec<_>>());
    let add = |name: String| {
        let text = SITE.to_owned() + &segment(&name, r#"visited("*", within 90d)"#);
        program.admin().send("POST", "/api/v1/definitions/apply", &[], text.as_bytes()).status
    };
    let mut applied = Vec::new();
    for round in 0..10 {
        let answers: Vec<(String, u16)> = std::thread::scope(|scope| {
            let names = (0..4).map(|n| format!("round-{round}-{n}"));
            let tasks: Vec<_> =
                names.map(|name| (name.clone(), scope.spawn(|| add(name)))).collect();
            tasks.into_iter().map(|(name, task)| (name, task.join().unwrap())).collect()
        });
        assert!(answers.iter().all(|(_, status)| [200, 409].contains(status)), "{answers:?}");
        applied.extend(answers.into_iter().filter(|(_, status)| *status == 200));
    }
    assert!(applied.len() >= 10, "in each round one is first: {applied:?}");
    let there = program.admin().get("/api/v1/segments").text();
    for (name, _) in applied {
        assert!(there.contains(&format!("\"{name}\"")), "{name} was applied and is gone");
    }
}
