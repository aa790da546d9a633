//! A load of which every hit is accounted for. Each has an id, a page of its own and a known
//! visitor; the [`Ledger`] knows which were acknowledged, what must be held in the end, and asks
//! whether it is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{Answer, Http};
use crate::program::Program;

/// Clients that send at once.
const SENDERS: u64 = 2;
/// Hits in one request.
const HITS: u64 = 8;
/// Between two requests of one client.
const PACE: Duration = Duration::from_millis(15);
/// Visitors of a load.
const VISITORS: u64 = 60;
/// Hits in one request when everything is sent again.
const AGAIN: usize = 500;

/// The rule of the category that half of all hits fall in.
const RULE: &str = r#"path startswith "/sport/""#;

/// A definitions file with this rule for `Sports`.
fn definitions(rule: &str) -> String {
    format!(
        "format = 1\n\n[[site]]\nkey = \"news\"\norigins = [\"https://news.example\"]\n\n\
         [[category]]\nname = \"Sports\"\nrule = '{rule}'\n\n\
         [[segment]]\nname = \"fans\"\nrule = 'visited(\"Sports\", within 30d) >= 2'\n"
    )
}

/// Applies the definitions that a load is made for.
pub(crate) fn define(program: &Program) {
    apply(program, RULE);
}

fn apply(program: &Program, rule: &str) {
    let file = definitions(rule);
    let answer = program.admin().send("POST", "/api/v1/definitions/apply", &[], file.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// One hit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Sent {
    visitor: u64,
    /// Also its id.
    page: String,
}

impl Sent {
    fn json(&self) -> Value {
        json!({
            "id": self.page,
            "visitor": {"space": "crm", "id": self.visitor.to_string()},
            "site": "news",
            "url": format!("https://news.example{}", self.page),
        })
    }

    fn is_sport(&self) -> bool {
        self.page.starts_with("/sport/")
    }
}

/// What was sent, and what was answered.
#[derive(Default, Debug)]
pub(crate) struct Ledger {
    /// Hits that were answered `stored` or `spilled`.
    pub(crate) acknowledged: Vec<Sent>,
    /// Hits that were refused, or whose answer never came: held or not.
    pub(crate) unsure: Vec<Sent>,
    /// Answers to hits by outcome.
    pub(crate) outcomes: BTreeMap<String, u64>,
}

impl Ledger {
    /// Sends hits and notes what is answered.
    fn send(&mut self, http: &Http, hits: Vec<Sent>) {
        let body: Value = hits.iter().map(Sent::json).collect();
        let answer = http.post("/api/v1/hits", &body);
        if answer.status == 0 {
            self.unsure.extend(hits);
            return;
        }
        let refused = self.note(&answer);
        for (index, hit) in hits.into_iter().enumerate() {
            let sure = !refused.contains(&index);
            if sure { &mut self.acknowledged } else { &mut self.unsure }.push(hit);
        }
    }

    /// Adds up the outcomes of an answer; answers the indexes of what was not kept.
    fn note(&mut self, answer: &Answer) -> BTreeSet<usize> {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        for (outcome, n) in answer["outcomes"].as_object().unwrap() {
            *self.outcomes.entry(outcome.clone()).or_default() += n.as_u64().unwrap();
        }
        let refused = answer["refused"].as_array().unwrap();
        refused.iter().map(|r| r["index"].as_u64().unwrap() as usize).collect()
    }

    /// Everything of another ledger, too.
    pub(crate) fn join(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.unsure.extend(other.unsure);
        for (outcome, n) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += n;
        }
    }

    /// How many visitors have a hit in the category.
    pub(crate) fn visitors_of_sport(&self) -> u64 {
        let all = self.acknowledged.iter().chain(&self.unsure).filter(|hit| hit.is_sport());
        all.map(|hit| hit.visitor).collect::<BTreeSet<_>>().len() as u64
    }

    /// Hits that had this outcome.
    pub(crate) fn count(&self, outcome: &str) -> u64 {
        self.outcomes.get(outcome).copied().unwrap_or(0)
    }

    /// Hits that had an answer.
    pub(crate) fn answered(&self) -> u64 {
        self.outcomes.values().sum()
    }

    /// One hit of each visitor that loads have: from here on all of them are known.
    pub(crate) fn of_all_visitors(program: &Program) -> Self {
        Self::of_visitors(program, 0..VISITORS)
    }

    /// One hit of each of so many visitors that no load has.
    pub(crate) fn of_new_visitors(program: &Program, n: u64) -> Self {
        Self::of_visitors(program, VISITORS..VISITORS + n)
    }

    fn of_visitors(program: &Program, visitors: Range<u64>) -> Self {
        let mut ledger = Self::default();
        let n = visitors.end - visitors.start;
        let hit = |visitor| Sent { visitor, page: format!("/sport/greeting-{visitor}") };
        ledger.send(&program.admin(), visitors.map(hit).collect());
        assert_eq!(ledger.count("stored"), n, "{:?}", ledger.outcomes);
        ledger
    }

    /// Sends every hit again, under its id. Of those that were acknowledged so many were not held
    /// any more, and are again now; of the others each is held now.
    pub(crate) fn send_again(&self, program: &Program) -> u64 {
        let send = |hits: &[Sent]| {
            let mut found = Self::default();
            for hits in hits.chunks(AGAIN) {
                let body: Value = hits.iter().map(Sent::json).collect();
                found.note(&program.admin().post("/api/v1/hits", &body));
            }
            let (stored, duplicate) = (found.count("stored"), found.count("duplicate"));
            assert_eq!(stored + duplicate, hits.len() as u64, "{found:?}");
            stored
        };
        send(&self.unsure);
        send(&self.acknowledged)
    }

    /// Nothing that was acknowledged is lost; and [`Self::check_all`].
    pub(crate) fn check(&self, program: &Program) {
        assert_eq!(self.send_again(program), 0, "acknowledged and not held");
        self.check_all(program);
    }

    /// Compares what is held, what is counted, and what is counted after a rebuild with the ledger:
    /// everything that was ever sent, once.
    pub(crate) fn check_all(&self, program: &Program) {
        let all: Vec<&Sent> = self.acknowledged.iter().chain(&self.unsure).collect();
        self.check_held(program, &all);
        self.check_counts(program, &all, "as they grew");
        apply(program, r#"path startswith "/other/""#);
        apply(program, RULE);
        self.check_counts(program, &all, "rebuilt");
        let audit = program.admin().get("/api/v1/audit/retention").json();
        assert_eq!(audit["findings"], json!([]), "{audit}");
    }

    /// Each visitor has exactly its pages, each once.
    fn check_held(&self, program: &Program, all: &[&Sent]) {
        let mut expected: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for hit in all {
            expected.entry(hit.visitor).or_default().push(hit.page.clone());
        }
        for (visitor, mut pages) in expected {
            let mut held = held(program, &format!("crm:{visitor}"));
            pages.sort_unstable();
            held.sort_unstable();
            assert_eq!(held, pages, "the hits of visitor {visitor}");
        }
    }

    /// As many visitors have at least k hits in the category as the ledger says, for every k.
    fn check_counts(&self, program: &Program, all: &[&Sent], when: &str) {
        let mut hits: BTreeMap<u64, u64> = BTreeMap::new();
        for hit in all.iter().filter(|hit| hit.is_sport()) {
            *hits.entry(hit.visitor).or_default() += 1;
        }
        let steps: BTreeSet<u64> = hits.values().copied().collect();
        let most = steps.last().copied().unwrap_or(0) + 1;
        for k in steps.into_iter().chain([1, most]) {
            let expected = hits.values().filter(|n| **n >= k).count() as u64;
            let counted = count(program, &format!(r#"visited("Sports", within 30d) >= {k}"#));
            assert_eq!(counted, expected, "visitors with {k} hits or more, {when}");
        }
    }
}

/// The pages of everything that is held about a visitor.
pub(crate) fn held(program: &Program, visitor: &str) -> Vec<String> {
    let answer = program.admin().get(&format!("/api/v1/visitors/{visitor}"));
    assert_eq!(answer.status, 200, "{visitor}: {}", answer.text());
    let answer = answer.json();
    let page = |hit: &Value| {
        let url = hit["url"].as_str().expect("every hit has its page");
        url.trim_start_matches("https://news.example").to_owned()
    };
    answer["hits"].as_array().unwrap().iter().map(page).collect()
}

/// How many visitors an expression is true for, now.
pub(crate) fn count(program: &Program, rule: &str) -> u64 {
    program.until("count", |program| {
        let answer = program.admin().post("/api/v1/insights/count", &json!({"rule": rule}));
        assert!(answer.status == 200 || answer.status >= 500, "{rule}: {}", answer.text());
        (answer.status == 200).then(|| answer.json()["held"].as_u64().unwrap())
    })
}

/// A metric's value, summed over its labels; 0 when there is none.
pub(crate) fn metric(program: &Program, name: &str) -> u64 {
    let text = program.http.get("/metrics").text();
    let is_it =
        |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
    let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
    text.lines().filter(is_it).map(value).sum::<f64>() as u64
}

/// A load that runs until it is stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    senders: Vec<JoinHandle<Ledger>>,
}

impl Load {
    /// Starts to send. `name` keeps the pages of several loads on one store apart.
    pub(crate) fn start(program: &Program, name: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let sender = |sender| {
            let (http, name, stop) = (program.admin(), name.to_owned(), Arc::clone(&stop));
            thread::spawn(move || send_until(&stop, &http, &format!("{name}-{sender}")))
        };
        let senders = (0..SENDERS).map(sender).collect();
        Self { stop, senders }
    }

    /// Starts to send, and stops after this long.
    pub(crate) fn run(program: &Program, name: &str, how_long: Duration) -> Ledger {
        let load = Self::start(program, name);
        thread::sleep(how_long);
        load.stop()
    }

    /// Stops, once what is under way is answered.
    pub(crate) fn stop(self) -> Ledger {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Ledger::default();
        self.senders.into_iter().for_each(|sender| all.join(sender.join().unwrap()));
        all
    }
}

fn send_until(stop: &AtomicBool, http: &Http, name: &str) -> Ledger {
    let mut ledger = Ledger::default();
    // Each load sends other visitors' hits, also when all of them are short.
    let own = name.bytes().fold(0, |sum, byte| scattered(sum ^ u64::from(byte)));
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        let hit = |n: u64| {
            let part = if n.is_multiple_of(2) { "sport" } else { "other" };
            Sent { visitor: scattered(own ^ n) % VISITORS, page: format!("/{part}/{name}-{n}") }
        };
        ledger.send(http, (n..n + HITS).map(hit).collect());
        n += HITS;
        thread::sleep(PACE);
    }
    ledger
}

/// A number that looks random and is the same each time (splitmix64).
pub(crate) fn scattered(n: u64) -> u64 {
    let n = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
