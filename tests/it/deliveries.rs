//! Deliveries to a partner that takes requests from a template: who comes, stays, goes, and why.

use std::time::Duration;

use mayfly_store::contract::servers::{RedisCluster, RedisServer};
use serde_json::json;

use crate::http::Browser;
use crate::program::Setup;
use crate::receiver::Known;
use crate::story::{DEFINITIONS, Story, adds_up};

fn deliver(setup: Setup) {
    let story = Story::begin(setup);
    let mut ann = story.visitor("/cars/1", "ann");
    story.until(&[("ann", "11")]);
    members_come(&story, &mut ann);
    ids_change_and_go(&story, &mut ann);
    choices_count(&story);
    labels_and_rules_take_away(&story);
    nothing_is_forgotten_by_a_restart(story);
}

fn members_come(story: &Story, ann: &mut Browser) {
    let mut nasty = story.visitor("/boats/1", "a\"b\\c");
    story.until(&[("ann", "11"), ("a\"b\\c", "s-22")]);
    story.hit(ann, "/boats/2");
    story.until(&[("ann", "11"), ("ann", "s-22"), ("a\"b\\c", "s-22")]);
    // Until the visitor would lapse: 30 days, or 7, from the end of today on.
    let ttl = |known: &mut Known, code: &str| -> i64 {
        known.members[&("ann".to_owned(), code.to_owned())].parse().unwrap()
    };
    let day = 86_400;
    let (cars, boats) = story.partner.look(|known| (ttl(known, "11"), ttl(known, "s-22")));
    assert!((29 * day..=30 * day).contains(&cars), "{cars}");
    assert!((6 * day..=7 * day).contains(&boats), "{boats}");
    // Who has no id there is not sent, and counted.
    let mut stranger = Browser::new(&story.program.http);
    story.hit(&mut stranger, "/cars/1");
    nasty.send("DELETE", "/api/v1/me", &[]);
    story.until(&[("ann", "11"), ("ann", "s-22")]);
    story.settled();
    let last = story.destination()["last"].clone();
    assert_eq!(last["pairs"]["gone"], json!(2), "the id leaves both codes: {last:#}");
    assert_eq!(last["pairs"]["without_id"], json!(1));
    let all = story.deliveries();
    assert_eq!(all.last().unwrap()["mode"], json!("full"), "the first is a full one");
    all.iter().for_each(adds_up);
    let shown = story.program.setup().ok(&["delivery", "show", "acme"]);
    assert!(shown.contains("with an id") && shown.contains("1 without"), "{shown}");
}

fn ids_change_and_go(story: &Story, ann: &mut Browser) {
    story.set_uid(ann, "ann-2");
    story.until(&[("ann-2", "11"), ("ann-2", "s-22")]);
    // Taken back by the partner: it is told to forget what it had.
    story.set_uid(ann, "");
    story.until(&[]);
    story.set_uid(ann, "ann-3");
    story.until(&[("ann-3", "11"), ("ann-3", "s-22")]);
    // One that the partner does not know is rejected, counted, and not sent again and again.
    let _unknown = story.visitor("/cars/1", "unknown-1");
    let rejected = story.program.until("hear of a rejected id", |_| {
        let last = story.destination()["last"].clone();
        (last["pairs"]["rejected"]["unknown_user"] == json!(1)).then_some(last)
    });
    adds_up(&rejected);
    let before = story.requests();
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(story.requests(), before);
}

fn choices_count(story: &Story) {
    let mut bob = story.visitor("/cars/1", "bob");
    story.until(&[("ann-3", "11"), ("ann-3", "s-22"), ("bob", "11")]);
    let page = "/p.gif?s=shop&u=https%3A%2F%2Fshop.example%2Fcars%2F2";
    let referer = ("referer", "https://shop.example/cars/2");
    let said = |bob: &mut Browser, headers: &[(&str, &str)], expected: &str| {
        // The newest choice counts; within one second a no wins.
        std::thread::sleep(Duration::from_millis(1100));
        assert_eq!(bob.send("GET", page, headers).outcome(), expected);
    };
    // Nothing is kept of a hit that says no; and nothing is passed on any more.
    said(&mut bob, &[referer, ("sec-gpc", "1")], "opted_out");
    story.until(&[("ann-3", "11"), ("ann-3", "s-22")]);
    story.settled();
    let last = story.destination()["last"].clone();
    assert_eq!(last["pairs"]["not_allowed"], json!(1), "{last:#}");
    // What he says later counts, when the partner finds him again.
    said(&mut bob, &[], "stored");
    story.set_uid(&mut bob, "bob");
    story.until(&[("ann-3", "11"), ("ann-3", "s-22"), ("bob", "11")]);
    let opted_out = bob.post("/optout", &[("sec-fetch-site", "same-origin")], b"action=out");
    assert_eq!(opted_out.status, 200, "{}", opted_out.text());
    story.until(&[("ann-3", "11"), ("ann-3", "s-22")]);
    story.settled();
}

fn labels_and_rules_take_away(story: &Story) {
    story.apply(&DEFINITIONS.replace("LABEL", "internal"));
    story.until(&[("ann-3", "11")]);
    let shown = story.program.setup().ok(&["delivery", "show", "acme"]);
    assert!(shown.contains("a label forbids it"), "{shown}");
    // Renamed in the same file: the same segment under the same code.
    let renamed = DEFINITIONS.replace("LABEL", "summer").replace("\"drivers\"", "\"motorists\"");
    let renamed =
        renamed.replacen("name = \"motorists\"", "name = \"motorists\"\nwas = [\"drivers\"]", 1);
    story.apply(&renamed);
    story.until(&[("ann-3", "11"), ("ann-3", "s-22")]);
    // Another code: the old one is left, the new one entered.
    story.apply(&renamed.replace("code = \"11\"", "code = \"12\""));
    story.until(&[("ann-3", "12"), ("ann-3", "s-22")]);
    story.apply(&renamed);
    story.until(&[("ann-3", "11"), ("ann-3", "s-22")]);
    // Too few of them: below the minimum they go, and come back from 1.2 times of it on.
    story.apply(&renamed.replace("minimum = 1", "minimum = 5"));
    story.until(&[]);
    let shown = story.program.setup().ok(&["delivery", "show", "acme"]);
    assert!(shown.contains("too small to be sent"), "{shown}");
    let other = |n: usize| story.visitor("/cars/1", &format!("o{n}"));
    let mut others: Vec<Browser> = (0..3).map(other).collect();
    // Five, with the one that the partner does not know, would stay, and are too few to come back.
    std::thread::sleep(Duration::from_millis(3000));
    story.until(&[]);
    others.push(other(3));
    let all = ["ann-3", "o0", "o1", "o2", "o3"].map(|uid| (uid, "11"));
    story.until(&all);
    // Everything that is mapped goes with the mapping.
    story.apply(&renamed.replace("{ segment = \"motorists\", code = \"11\" }, ", ""));
    story.until(&[("ann-3", "s-22")]);
    story.apply(&renamed);
    let mut all = all.to_vec();
    all.push(("ann-3", "s-22"));
    story.until(&all);
    others.iter_mut().for_each(|own| drop(own.send("DELETE", "/api/v1/me", &[])));
    story.until(&[("ann-3", "11"), ("ann-3", "s-22")]);
    story.deliveries().iter().for_each(adds_up);
}

fn nothing_is_forgotten_by_a_restart(story: Story) {
    story.settled();
    let before = story.requests();
    let Story { program, partner } = story;
    let program = program.kill().start();
    let story = Story { program, partner };
    let _carl = story.visitor("/cars/1", "carl");
    story.until(&[("ann-3", "11"), ("ann-3", "s-22"), ("carl", "11")]);
    assert_eq!(story.requests(), before + 1, "only what changed is sent");
    let preview = story.program.setup().ok(&["delivery", "dry-run", "acme", "--full"]);
    assert!(preview.contains("Bearer (secret)") && preview.contains("carl"), "{preview}");
    assert_eq!(story.requests(), before + 1, "a dry run sends nothing");
    story.program.setup().ok(&["delivery", "run", "acme", "--full"]);
    story.program.until("send everything", |_| {
        let last = story.destination()["last"].clone();
        (last["mode"] == json!("full") && last["status"] == json!("done")).then_some(())
    });
    assert_eq!(story.requests(), before + 3, "a request for each code");
    story.until(&[("ann-3", "11"), ("ann-3", "s-22"), ("carl", "11")]);
    let metrics = story.program.http.get("/metrics").text();
    assert!(metrics.contains("mayfly_delivery_held{destination=\"acme\"} 0"));
    assert!(metrics.contains("mayfly_delivery_waiting_seconds{destination=\"acme\"} 0\n"));
    assert!(!story.program.log().contains("s3cret"));
    let exported = story.program.setup().ok(&["definitions", "export"]);
    assert!(exported.contains("acme_token") && !exported.contains("s3cret"));
    let audit = story.program.setup().json(&["retention", "audit"]);
    assert_eq!(audit["findings"], json!([]), "{audit:#}");
    story.program.stop();
}

#[test]
fn who_comes_stays_and_goes_is_told_on_the_embedded_store() {
    deliver(Setup::new());
}

#[test]
fn who_comes_stays_and_goes_is_told_on_redis() {
    let server = RedisServer::start(&[]).unwrap();
    deliver(Setup::new().env("MAYFLY_STORE__URL", &server.url()));
}

#[test]
fn who_comes_stays_and_goes_is_told_on_a_cluster() {
    let cluster = RedisCluster::start(&[]).unwrap();
    deliver(Setup::new().env("MAYFLY_STORE__URL", &cluster.url()));
}

/// A no that came before anybody received anything counts when somebody does.
fn a_no_counts_from_its_day_on(setup: Setup) {
    let (before, destination) = DEFINITIONS.split_at(DEFINITIONS.find("[[destination]]").unwrap());
    let story = Story::with(setup, crate::story::strict, |_| before.replace("LABEL", "summer"));
    let visitor = || {
        let mut browser = Browser::new(&story.program.http);
        story.hit(&mut browser, "/cars/1");
        browser
    };
    let (_yes, mut no) = (visitor(), visitor());
    let opted_out = no.post("/optout", &[("sec-fetch-site", "same-origin")], b"action=out");
    assert_eq!(opted_out.status, 200, "{}", opted_out.text());
    let ours = destination.replacen("minimum", "ids = \"ours\"\nminimum", 1);
    story.apply(&format!("{before}{ours}").replace("LABEL", "summer"));
    let is_told = || (story.partner.members().len() == 1).then_some(());
    story.program.until("tell of the one who said nothing", |_| is_told());
    story.settled();
    assert_eq!(story.partner.members().len(), 1);
    let last = story.destination()["last"].clone();
    assert_eq!(last["pairs"]["not_allowed"], json!(1), "{last:#}");
}

#[test]
fn a_no_counts_from_its_day_on_embedded() {
    a_no_counts_from_its_day_on(Setup::new());
}

#[test]
fn a_no_counts_from_its_day_on_redis() {
    let server = RedisServer::start(&[]).unwrap();
    a_no_counts_from_its_day_on(Setup::new().env("MAYFLY_STORE__URL", &server.url()));
}

/// Two browsers whom the partner calls by one id: as long as one of them is to be there, it is.
fn one_id_stays_for_two(setup: Setup) {
    let story = Story::begin(setup);
    let mut first = story.visitor("/cars/1", "twin");
    story.until(&[("twin", "11")]);
    let mut second = story.visitor("/cars/2", "twin");
    story.hit(&mut second, "/cars/3");
    story.settled();
    // The first leaves the segment, and the second does not.
    story.hit(&mut first, "/boats/1");
    story.until(&[("twin", "11"), ("twin", "s-22")]);
    let fewer = DEFINITIONS.replace("LABEL", "summer").replace(
        "rule = 'visited(\"Cars\", within 30d)'",
        "rule = 'visited(\"Cars\", within 30d) and not visited(\"Boats\", within 30d)'",
    );
    story.apply(&fewer);
    story.program.until("take the first out", |program| {
        let held = program.setup().json(&["segment", "count", "drivers"])["held"].clone();
        (held == json!(1)).then_some(())
    });
    std::thread::sleep(Duration::from_millis(2500));
    story.settled();
    story.until(&[("twin", "11"), ("twin", "s-22")]);
    // The first is erased: his id goes, and comes back for the second.
    assert_eq!(first.send("DELETE", "/api/v1/me", &[]).status, 200);
    story.until(&[("twin", "11")]);
    std::thread::sleep(Duration::from_millis(2500));
    story.settled();
    story.until(&[("twin", "11")]);
    story.deliveries().iter().for_each(adds_up);
}

#[test]
fn one_id_stays_for_two_on_the_embedded_store() {
    one_id_stays_for_two(Setup::new());
}

#[test]
fn one_id_stays_for_two_on_redis() {
    let server = RedisServer::start(&[]).unwrap();
    one_id_stays_for_two(Setup::new().env("MAYFLY_STORE__URL", &server.url()));
}

/// What was delivered is counted for an invoice, said on a label, and ends with its terms.
#[test]
fn a_feed_is_counted_labelled_and_ends() {
    let with = |terms: &str| {
        let own = DEFINITIONS.replace("LABEL", "summer");
        own.replace("[destination.request]", &format!("{terms}\n[destination.request]"))
    };
    let terms = "[destination.terms]\ncontract = \"of 2026\"\nprice = \"1.20 EUR\"";
    let story = Story::with(Setup::new(), crate::story::strict, |_| with(terms));
    let mut ann = story.visitor("/cars/1", "ann");
    let _bob = story.visitor("/cars/1", "bob");
    let _unknown = story.visitor("/cars/1", "unknown-1");
    story.until(&[("ann", "11"), ("bob", "11")]);
    story.settled();
    story.program.setup().ok(&["delivery", "run", "acme", "--full"]);
    story.program.until("send everything", |_| {
        let last = story.destination()["last"].clone();
        let is_again = last["id"] != json!("acme-1") && last["mode"] == json!("full");
        (is_again && last["status"] == json!("done")).then_some(())
    });
    let usage = || story.program.setup().json(&["delivery", "usage", "acme"]);
    let own = usage();
    let code = own["months"][0]["codes"][0].clone();
    assert_eq!(
        (own["terms"]["price_cpm"].clone(), code["code"].clone()),
        (json!("1.20 EUR"), json!("11"))
    );
    // Who was rejected was not delivered.
    assert_eq!((code["added"].clone(), code["removed"].clone()), (json!(2), json!(0)), "{own:#}");
    assert!(code["refreshed"].as_u64() >= Some(2) && code["most"].as_u64() >= Some(2), "{own:#}");
    let shown = story.program.setup().ok(&["delivery", "usage", "acme"]);
    assert!(shown.contains("of 2026: 1.20 EUR CPM") && shown.contains("most at once"), "{shown}");
    let label = story.program.setup().ok(&["delivery", "label", "acme"]);
    let row = label.lines().find(|line| line.starts_with("\"11\"")).unwrap();
    for fact in [
        "\"drivers\"",
        "\"Browser\"",
        "\"web_usage\"",
        "\"Observed/Known\"",
        "\"Monthly\"",
        "\"shop.example\"",
        "\"Intra-day\"",
        "\"visited(\"\"Cars\"\", within 30d)\"",
    ] {
        assert!(row.contains(fact), "{fact}: {label}");
    }
    // Past its end everyone leaves.
    story.apply(&with(&format!("{terms}\nends = 2026-01-31")));
    story.until(&[]);
    story.settled();
    let own = usage()["months"][0]["codes"][0].clone();
    assert_eq!(own["removed"].as_u64(), Some(2), "{own:#}");
    story.hit(&mut ann, "/cars/2");
    std::thread::sleep(Duration::from_millis(2500));
    story.until(&[]);
}
