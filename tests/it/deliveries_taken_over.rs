//! Two processes on one Redis: one delivers, and the other one goes on where it ends, dies, or
//! stands still.

use mayfly_store::contract::servers::RedisServer;
use serde_json::{Value, json};

use crate::http::Browser;
use crate::program::{Program, Setup};
use crate::story::{DEFINITIONS, Story, strict};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// The story on a Redis, with so many visitors a batch and a request a second, and another process
/// that may deliver as well.
fn two(server: &RedisServer, batch: u32) -> (Story, Program) {
    let setup = || {
        Setup::new().env("MAYFLY_STORE__URL", &server.url()).env("MAYFLY_WORKER__CHECKPOINT_S", "1")
    };
    let story = Story::with(setup(), strict, |text| slow(text, batch));
    let second = setup()
        .env("MAYFLY_DELIVERY__ALLOW_HOSTS", "localhost")
        .env("MAYFLY_WORKER__LEASE_S", "5")
        .env("MAYFLY_SECRET_ACME_TOKEN", "s3cret")
        .start();
    (story, second)
}

fn slow(text: &str, batch: u32) -> String {
    let more = format!("minimum = 1\nbatch = {batch}\nper_minute = 60");
    text.replace("LABEL", "summer").replace("minimum = 1", &more)
}

/// Waits until a process that stood still knows that it lost its partitions.
fn lost(program: &Program) {
    program.until("know that it lost its partitions", |own| {
        let metrics = own.http.get("/metrics").text();
        metrics.contains("\nmayfly_partitions_owned 0\n").then_some(())
    });
}

#[test]
fn another_process_goes_on_with_deliveries() {
    let server = RedisServer::start(&[]).unwrap();
    let (story, second) = two(&server, 1);
    let _all: Vec<Browser> = NAMES.map(|uid| story.visitor("/cars/1", uid)).into();
    story.program.until("begin", |_| (!story.partner.members().is_empty()).then_some(()));
    story.program.kill();
    let expected: Vec<(String, String)> =
        NAMES.iter().map(|uid| ((*uid).to_owned(), "11".to_owned())).collect();
    second.until("go on with the rest", |_| (story.partner.members() == expected).then_some(()));
    story.partner.check();
    // Who leaves now is told by this process.
    let mut last = Browser::new(&second.http);
    let hit = last.hit("shop", "https://shop.example/boats/1");
    assert_eq!(hit.outcome(), "stored");
    let uid = last.send("GET", "/setuid?p=acme&gdpr=0&uid=z", &[]);
    assert_eq!(uid.status, 200);
    let there = |uid: &str| story.partner.members().iter().any(|(own, _)| own == uid);
    second.until("tell of who came", |_| there("z").then_some(()));
    assert_eq!(last.send("DELETE", "/api/v1/me", &[]).status, 200);
    second.until("tell of who went", |_| (!there("z")).then_some(()));
    second.stop();
}

/// It stands still between two requests; meanwhile another one tells of all, and that they left.
fn stood_still(batch: u32) {
    let server = RedisServer::start(&[]).unwrap();
    let (story, second) = two(&server, batch);
    story.apply(&slow(DEFINITIONS, batch).replace("batch", "paused = true\nbatch"));
    let all = NAMES.map(|uid| {
        let mut browser = story.visitor("/cars/1", uid);
        story.hit(&mut browser, "/boats/1");
        browser
    });
    story.apply(&slow(DEFINITIONS, batch));
    story.program.until("begin", |_| (!story.partner.members().is_empty()).then_some(()));
    story.program.signal("STOP");
    second.until("go on with the rest", |_| (story.partner.members().len() == 10).then_some(()));
    for own in all {
        let answer = own.through(&second.http).send("DELETE", "/api/v1/me", &[]);
        assert_eq!(answer.status, 200);
    }
    second.until("tell of who went", |_| story.partner.members().is_empty().then_some(()));
    let ledger = || {
        second.until("be done", |own| {
            let all = own.setup().json(&["delivery", "list"])["deliveries"].clone();
            (all[0]["status"] == json!("done")).then_some(all)
        })
    };
    let before: (Value, usize) = (ledger(), story.requests());
    story.program.signal("CONT");
    lost(&story.program);
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!((ledger(), story.requests()), before);
    story.partner.check();
}

#[test]
fn a_process_that_stood_still_sends_no_batch() {
    stood_still(1);
}

#[test]
fn a_process_that_stood_still_sends_no_rest_of_a_batch() {
    stood_still(100);
}

/// What visitors chose while a process stood still counts when it delivers again.
#[test]
fn a_process_that_stood_still_hears_what_was_chosen_meanwhile() {
    let server = RedisServer::start(&[]).unwrap();
    let (story, second) = two(&server, 100);
    let ann = story.visitor("/cars/1", "ann");
    story.until(&[("ann", "11")]);
    story.settled();
    story.program.signal("STOP");
    second.until("deliver from now on", |own| {
        let metrics = own.http.get("/metrics").text();
        metrics.contains("\nmayfly_partitions_owned 16\n").then_some(())
    });
    // The hit is kept, and nothing may be passed on.
    let page = "/p.gif?s=shop&u=https%3A%2F%2Fshop.example%2Fcars%2F2&gdpr=1";
    let mut ann = ann.through(&second.http);
    assert_eq!(ann.send("GET", page, &[]).outcome(), "stored");
    second.until("tell that she went", |_| story.partner.members().is_empty().then_some(()));
    std::thread::sleep(std::time::Duration::from_secs(2));
    story.program.signal("CONT");
    lost(&story.program);
    second.stop();
    let _bob = story.visitor("/cars/1", "bob");
    story.until(&[("bob", "11")]);
}
