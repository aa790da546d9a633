//! Deliveries that fail: what goes later, what a person has to look at, what is refused.

use std::time::Duration;

use serde_json::json;

use crate::program::Setup;
use crate::receiver::{Fails, Receiver};
use crate::story::{DEFINITIONS, Story, adds_up, strict};

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
        let doctor = story.program.setup().run(&["doctor"]);
        assert!(
            doctor.code == 1 && doctor.stdout.contains("destination acme is held"),
            "{doctor:?}"
        );
        assert!(
            held["held"]["code"].as_str().unwrap().starts_with(&status.to_string()),
            "{held:#}"
        );
        let before = story.requests();
        let said = story.program.setup().ok(&["delivery", "run", "acme"]);
        assert!(said.contains("a batch is held"), "{said}");
        std::thread::sleep(Duration::from_millis(2000));
        let preview = story.program.setup().ok(&["delivery", "dry-run", "acme"]);
        assert!(preview.contains("acme is held") && preview.contains(&uid), "{preview}");
        assert_eq!(story.requests(), before, "nothing is sent meanwhile, whoever asks for it");
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
    assert!(nothing.stderr.contains("nothing is held"), "{}", nothing.stderr);
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

/// What a partner took of a batch before it refused the rest leaves again, also where the batch is
/// given up, and is not sent twice where that would do harm.
#[test]
fn what_was_taken_in_part_leaves_again() {
    let once = |text: &str| {
        text.replace("LABEL", "x").replace("minimum = 1", "minimum = 1\nidempotent = false")
    };
    let paused = |text: &str| once(text).replace("minimum = 1", "minimum = 1\npaused = true");
    let story = Story::with(Setup::new(), strict, paused);
    let mut ann = story.visitor("/cars/1", "ann");
    story.hit(&mut ann, "/boats/1");
    story.partner.fails([Fails::Not, Fails::Status(401, "", "{}")]);
    story.apply(&once(DEFINITIONS));
    let held = story.until_state("held");
    assert_eq!(held["held"]["code"], json!("may_have_arrived"));
    assert_eq!(story.partner.members().len(), 1, "a half of it");
    std::thread::sleep(Duration::from_millis(1100));
    let page = "/p.gif?s=shop&u=https%3A%2F%2Fshop.example%2Fcars%2F2";
    let referer = ("referer", "https://shop.example/cars/2");
    assert_eq!(ann.send("GET", page, &[referer, ("sec-gpc", "1")]).outcome(), "opted_out");
    story.program.setup().ok(&["delivery", "resume", "acme"]);
    story.until(&[]);
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
