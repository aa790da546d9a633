//! Deliveries to a partner that takes requests from a template: who comes, stays, goes, and why.

use std::time::{Duration, Instant};

use mayfly_store::contract::servers::{RedisCluster, RedisServer};
use serde_json::{Value, json};

use crate::http::Browser;
use crate::program::{Program, Setup};
use crate::receiver::{Asked, Fails, Known, Receiver};

const DEFINITIONS: &str = r#"
format = 1

[[site]]
key = "shop"
origins = ["https://shop.example"]

[[category]]
name = "Cars"
rule = 'path startswith "/cars/"'

[[category]]
name = "Boats"
rule = 'path startswith "/boats/"'

[[segment]]
name = "drivers"
rule = 'visited("Cars", within 30d)'

[[segment]]
name = "sailors"
rule = 'visited("Boats", within 7d)'
labels = ["LABEL"]

[[partner]]
key = "acme"
vendor_id = 7

[[destination]]
name = "acme"
partner = "acme"
country = "US"
transfer = "clauses"
schedule = "every 1s"
minimum = 1
forbidden_labels = ["internal"]
secrets = { token = "acme_token" }
segments = [{ segment = "drivers", code = "11" }, { segment = "sailors", code = "s-22" }]

[destination.request]
url = "BASE/segments/{{ segment|urlencode }}?op={{ op }}"
add = '{"users": [{% for i in items %}{"id": {{ i.uid }}, "ttl": {{ i.ttl_s }}}{% if not loop.last %},{% endif %}{% endfor %}]}'
remove = '{"users": [{% for i in items %}{"id": {{ i.uid }}}{% if not loop.last %},{% endif %}{% endfor %}]}'
headers = { Authorization = "Bearer {{ secret.token }}" }
answer = { failed = "/failed", failed_item = "/id", failed_code = "/why", again = ["busy"] }
"#;

/// What the partner's documentation says, and nothing more.
fn strict(asked: &Asked, known: &mut Known) -> (u16, Vec<u8>) {
    if asked.header("authorization") != "Bearer s3cret" {
        return (401, b"{}".to_vec());
    }
    let refused = |known: &mut Known, why: &str| {
        known.faults.push(format!(
            "{why}: {} {}",
            asked.path,
            String::from_utf8_lossy(&asked.body)
        ));
        (400, b"{}".to_vec())
    };
    let path = asked.path.strip_prefix("/segments/").and_then(|own| own.split_once("?op="));
    let Some((segment, op)) = path.filter(|_| asked.method == "POST") else {
        return refused(known, "no such path");
    };
    let body = asked.json();
    let Some(users) = body["users"].as_array().filter(|users| !users.is_empty()) else {
        return refused(known, "no users");
    };
    let mut failed = Vec::new();
    for user in users {
        let Some(id) = user["id"].as_str() else { return refused(known, "no id") };
        if id.starts_with("unknown") {
            failed.push(json!({"id": id, "why": "unknown_user"}));
            continue;
        }
        match (op, user["ttl"].as_i64()) {
            ("add", Some(60..=7_776_000)) => known.add(id, segment, &user["ttl"]),
            ("remove", None) => known.remove(id, segment),
            _ => return refused(known, "a wrong time to live"),
        }
    }
    (200, json!({"failed": failed}).to_string().into_bytes())
}

/// A running program with a partner.
pub(crate) struct Story {
    pub(crate) program: Program,
    pub(crate) partner: Receiver,
}

impl Story {
    pub(crate) fn begin(setup: Setup) -> Self {
        Self::with(setup, strict, |text| text.replace("LABEL", "summer"))
    }

    pub(crate) fn with(
        setup: Setup,
        protocol: crate::receiver::Protocol,
        change: impl Fn(&str) -> String,
    ) -> Self {
        let partner = Receiver::speaking(protocol);
        let setup = setup
            .env("MAYFLY_DELIVERY__ALLOW_HOSTS", "localhost")
            .env("MAYFLY_DELIVERY__TIMEOUT_S", "2")
            .env("MAYFLY_WORKER__LEASE_S", "5")
            .env("MAYFLY_SECRET_ACME_TOKEN", "s3cret");
        let own = Self { program: setup.start(), partner };
        own.apply(&change(DEFINITIONS));
        own
    }

    /// Applies definitions; the partner's address is put in.
    pub(crate) fn apply(&self, text: &str) {
        let text = text.replace("BASE", &self.partner.url());
        let file = self.program.setup().write("mayfly.toml", &text).display().to_string();
        self.program.setup().ok(&["apply", &file, "--allow-drop"]);
    }

    /// A visitor of a page, whom the partner calls so.
    pub(crate) fn visitor(&self, page: &str, uid: &str) -> Browser {
        let mut browser = Browser::new(&self.program.http);
        self.hit(&mut browser, page);
        self.set_uid(&mut browser, uid);
        browser
    }

    pub(crate) fn hit(&self, browser: &mut Browser, page: &str) {
        let hit = browser.hit("shop", &format!("https://shop.example{page}"));
        assert_eq!(hit.outcome(), "stored");
    }

    pub(crate) fn set_uid(&self, browser: &mut Browser, uid: &str) {
        let uid = crate::http::encoded(uid);
        let answer = browser.send("GET", &format!("/setuid?p=acme&gdpr=0&uid={uid}"), &[]);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Waits until the partner's members are these.
    pub(crate) fn until(&self, expected: &[(&str, &str)]) {
        let mut expected: Vec<(String, String)> =
            expected.iter().map(|(uid, code)| ((*uid).to_owned(), (*code).to_owned())).collect();
        expected.sort();
        let begun = Instant::now();
        while self.partner.members() != expected {
            let (told, shown) = (self.partner.members(), self.destination());
            let is_late = begun.elapsed() > Duration::from_secs(40);
            assert!(!is_late, "the partner knows {told:?}, not {expected:?}\n{shown:#}");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.partner.check();
    }

    /// The destination as the API shows it.
    pub(crate) fn destination(&self) -> Value {
        self.program.admin().get("/api/v1/destinations/acme").json()
    }

    /// Waits until the destination stands so.
    pub(crate) fn until_state(&self, state: &str) -> Value {
        self.program.until(&format!("be {state}"), |_| {
            let own = self.destination();
            (own["state"] == json!(state)).then_some(own)
        })
    }

    /// Waits until nothing waits to be told.
    pub(crate) fn settled(&self) {
        self.program.until("tell its partner of everything", |_| {
            let own = self.destination();
            let is_done = own["state"] == json!("serving") && own["waiting_since"].is_null();
            is_done.then_some(())
        });
    }

    /// Every delivery so far, the newest first.
    pub(crate) fn deliveries(&self) -> Vec<Value> {
        let all = self.program.setup().json(&["delivery", "list", "--limit", "1000"]);
        all["deliveries"].as_array().unwrap().clone()
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.partner.look(|known| known.asked.len())
    }
}

/// The parts of each line are as many as the line says.
pub(crate) fn adds_up(delivery: &Value) {
    let n = |name: &str| delivery["pairs"][name].as_u64().unwrap();
    let rejected: u64 = delivery["pairs"]["rejected"]
        .as_object()
        .unwrap()
        .values()
        .map(|n| n.as_u64().unwrap())
        .sum();
    for (all, parts) in [
        (n("members"), n("allowed") + n("not_allowed")),
        (n("allowed"), n("matched") + n("without_id")),
        (n("matched"), n("wanted") + n("held_back")),
        (n("wanted"), n("unchanged") + n("adds") + n("refreshes")),
        (
            n("adds") + n("refreshes") + n("removes") + n("gone"),
            n("sent") + n("left_out") + n("unsent"),
        ),
        (n("sent"), n("accepted") + rejected),
    ] {
        assert_eq!(all, parts, "{delivery:#}");
    }
}

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
    // Too few of them: below the minimum they go, and come back from 1.2 times of it on.
    story.apply(&renamed.replace("minimum = 1", "minimum = 3"));
    story.until(&[]);
    let shown = story.program.setup().ok(&["delivery", "show", "acme"]);
    assert!(shown.contains("too small to be sent"), "{shown}");
    let mut others: Vec<Browser> =
        (0..2).map(|n| story.visitor("/cars/1", &format!("o{n}"))).collect();
    story.until(&[("ann-3", "11"), ("o0", "11"), ("o1", "11")]);
    // Everything that is mapped goes with the mapping.
    story.apply(&renamed.replace("{ segment = \"motorists\", code = \"11\" }, ", ""));
    story.until(&[("ann-3", "s-22")]);
    story.apply(&renamed);
    story.until(&[("ann-3", "11"), ("ann-3", "s-22"), ("o0", "11"), ("o1", "11")]);
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

/// Each way to fail, then what is right: nothing is lost, nothing is told twice where that matters.
#[test]
fn what_a_partner_cannot_take_now_goes_later() {
    let story = Story::begin(Setup::new());
    for (n, fails) in [
        Fails::Status(500, "", "{}"),
        Fails::Status(503, "retry-after: 1\r\n", "sorry"),
        Fails::Status(429, "", "{}"),
        Fails::Status(200, "", "this is no JSON"),
        Fails::Half,
        Fails::Cuts,
        Fails::TakesAndHangsUp,
        Fails::Hangs,
    ]
    .into_iter()
    .enumerate()
    {
        story.partner.fails([fails.clone()]);
        let uid = format!("u{n}");
        let browser = story.visitor("/cars/1", &uid);
        let waiting = story.until_state("waiting");
        assert_eq!(waiting["last"]["status"], json!("waiting"), "{fails:?}");
        adds_up(&waiting["last"]);
        story.program.until(&format!("get over {fails:?}"), |_| {
            let there = story.partner.members();
            (there == [(uid.clone(), "11".to_owned())]).then_some(())
        });
        let serving = story.until_state("serving");
        assert_eq!(serving["failures"], json!(0));
        drop(browser.clone().send("DELETE", "/api/v1/me", &[]));
        story.until(&[]);
        story.settled();
    }
    // What the partner asks for is kept to: nothing comes for so long.
    story.partner.fails([Fails::Status(429, "retry-after: 4\r\n", "{}")]);
    let begun = story.requests();
    let _last = story.visitor("/cars/1", "patient");
    story.until(&[("patient", "11")]);
    let at = story
        .partner
        .look(|known| known.asked[begun..].iter().map(|own| own.at.unwrap()).collect::<Vec<_>>());
    assert!(at[1] - at[0] >= Duration::from_secs(4), "{:?}", at[1] - at[0]);
}

/// What a person has to look at is kept, shown, and goes on when he says so.
#[test]
fn what_a_partner_refuses_is_held_until_a_person_looks() {
    let story = Story::begin(Setup::new());
    for status in [401, 302] {
        story.partner.fails([Fails::Status(status, "location: http://10.0.0.1/\r\n", "{}")]);
        let uid = format!("u{status}");
        let browser = story.visitor("/cars/1", &uid);
        let held = story.until_state("held");
        assert!(
            held["held"]["code"].as_str().unwrap().starts_with(&status.to_string()),
            "{held:#}"
        );
        let before = story.requests();
        std::thread::sleep(Duration::from_millis(2000));
        assert_eq!(story.requests(), before, "nothing is sent meanwhile");
        let listed = story.program.setup().ok(&["delivery", "list"]);
        assert!(listed.contains(&format!("held: {status}")), "{listed}");
        story.program.setup().ok(&["delivery", "resume", "acme"]);
        story.until(&[(&uid, "11")]);
        drop(browser.clone().send("DELETE", "/api/v1/me", &[]));
        story.until(&[]);
        story.settled();
    }
    let nothing = story.program.setup().run(&["delivery", "drop", "acme"]);
    assert_eq!(nothing.code, 1);
    assert!(nothing.stderr.contains("holds no batch"), "{}", nothing.stderr);
    // Dropped: it is not sent again, and what comes later is.
    story.partner.fails([Fails::Status(403, "", "{}")]);
    let _poison = story.visitor("/cars/1", "poison");
    let held = story.until_state("held");
    assert_eq!(held["held"]["pairs"], json!(1), "{held:#}");
    story.program.setup().ok(&["delivery", "drop", "acme"]);
    let _later = story.visitor("/cars/1", "later");
    story.until(&[("later", "11")]);
    let metrics = story.program.http.get("/metrics").text();
    assert!(metrics.contains("mayfly_delivery_held{destination=\"acme\"} 0"), "{metrics}");
}

/// A batch that may have arrived is not sent twice where that would do harm.
#[test]
fn what_may_have_arrived_is_held_where_twice_does_harm() {
    let once = |text: &str| {
        text.replace("LABEL", "x").replace("minimum = 1", "minimum = 1\nidempotent = false")
    };
    let story = Story::with(Setup::new(), strict, once);
    story.partner.fails([Fails::TakesAndHangsUp]);
    let _ann = story.visitor("/cars/1", "ann");
    let held = story.until_state("held");
    assert_eq!(held["held"]["code"], json!("may_have_arrived"));
    assert_eq!(held["held"]["pairs"], json!(1));
    assert_eq!(story.requests(), 1);
    // The partner has it: a person who asked there drops it here.
    story.program.setup().ok(&["delivery", "drop", "acme"]);
    let _bob = story.visitor("/cars/1", "bob");
    story.until(&[("ann", "11"), ("bob", "11")]);
    assert_eq!(story.requests(), 2);
    // So it is when the process ends while the partner has it.
    story.partner.fails([Fails::Hangs]);
    let _carl = story.visitor("/cars/1", "carl");
    story.program.until("send it", |_| (story.requests() == 3).then_some(()));
    let Story { program, partner } = story;
    let story = Story { program: program.kill().start(), partner };
    let held = story.until_state("held");
    assert_eq!(held["held"]["code"], json!("may_have_arrived"));
    story.program.setup().ok(&["delivery", "resume", "acme"]);
    story.until(&[("ann", "11"), ("bob", "11"), ("carl", "11")]);
}

/// Killed again and again while it delivers, it tells everything.
#[test]
fn killed_at_any_moment_it_loses_nothing() {
    let small =
        |text: &str| text.replace("LABEL", "x").replace("minimum = 1", "minimum = 1\nbatch = 3");
    let mut story = Story::with(Setup::new(), strict, small);
    let mut expected = Vec::new();
    for round in 0..4 {
        for n in 0..20 {
            let uid = format!("r{round}n{n}");
            drop(story.visitor("/cars/1", &uid));
            expected.push((uid, "11".to_owned()));
        }
        // At another moment each time.
        std::thread::sleep(Duration::from_millis(300 + 170 * round));
        let Story { program, partner } = story;
        story = Story { program: program.kill().start(), partner };
    }
    expected.sort();
    story
        .program
        .until("tell its partner of all", |_| (story.partner.members() == expected).then_some(()));
    story.partner.check();
    story.until_state("serving");
    let sent: usize = story.partner.look(|known| {
        let users = |own: &Asked| own.json()["users"].as_array().map_or(0, Vec::len);
        known.asked.iter().map(users).sum()
    });
    assert!(sent <= expected.len() + 4 * 3, "each crash repeats one batch at most: {sent}");
}

/// Addresses inside private ranges, and hosts without TLS, are for those who are allowed by name.
#[test]
fn what_leads_inside_is_refused() {
    for (base, code) in [
        ("https://127.0.0.1:1", "private_address"),
        ("https://[::1]:1", "private_address"),
        ("https://10.0.0.1", "private_address"),
        ("http://acme.example", "insecure"),
        ("https://nobody.invalid", "dns"),
        ("https://localhost:1", "connection_refused"),
    ] {
        let partner = Receiver::speaking(strict);
        let setup = Setup::new()
            .env("MAYFLY_SECRET_ACME_TOKEN", "s3cret")
            .env("MAYFLY_DELIVERY__ALLOW_HOSTS", "localhost");
        let story = Story { program: setup.start(), partner };
        story.apply(&DEFINITIONS.replace("LABEL", "x").replace("BASE", base));
        let _ann = story.visitor("/cars/1", "ann");
        story.program.until(&format!("say {code}"), |_| {
            (story.destination()["last"]["code"] == json!(code)).then_some(())
        });
    }
}
