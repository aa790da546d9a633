//! A shop, its visitors, and a partner to whom segments are delivered.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::Browser;
use crate::program::{Program, Setup};
use crate::receiver::{Asked, Known, Receiver};

/// What is defined; `BASE` is where the partner is, `LABEL` a label of a segment.
pub(crate) const DEFINITIONS: &str = r#"
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
pub(crate) fn strict(asked: &Asked, known: &mut Known) -> (u16, Vec<u8>) {
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

    /// Waits until the destination stands so, and nothing is under way.
    pub(crate) fn until_state(&self, state: &str) -> Value {
        self.program.until(&format!("be {state}"), |_| {
            let own = self.destination();
            let is_under_way = own["last"]["status"] == json!("running");
            (own["state"] == json!(state) && !is_under_way).then_some(own)
        })
    }

    /// Waits until nothing waits to be told.
    pub(crate) fn settled(&self) {
        self.program.until("tell its partner of everything", |_| {
            let own = self.destination();
            let is_on = ["serving", "ended"].iter().any(|state| own["state"] == json!(state));
            // Its row is written last.
            let is_under_way = own["last"]["status"] == json!("running");
            let is_done = is_on && own["waiting_since"].is_null() && !is_under_way;
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
        (n("matched"), n("wanted") + n("held_back") + n("together")),
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
