//! How a receiver comes to know that somebody left, and how we come to know that it does.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{SystemTime, UNIX_EPOCH};

use mayfly_store::contract::servers::RedisServer;
use serde_json::{Value, json};

use crate::http::Browser;
use crate::program::Setup;
use crate::receiver::Fails;
use crate::story::{DEFINITIONS, Story, strict};

fn summer() -> String {
    DEFINITIONS.replace("LABEL", "summer")
}

/// Erasing says who is told of it, and each destination until when it was told of everything.
fn receipts(setup: Setup) {
    let story = Story::begin(setup);
    let _both = ["ann", "bob"].map(|uid| story.visitor("/cars/1", uid));
    story.until(&[("ann", "11"), ("bob", "11")]);
    story.settled();
    let mut stranger = Browser::new(&story.program.http);
    story.hit(&mut stranger, "/cars/1");
    let stranger = stranger.get("/api/v1/me").json()["visitor"].as_str().unwrap().to_owned();
    let told = story.program.setup().json(&["visitor", "erase", &stranger]);
    assert_eq!(told["destinations"], json!([]), "nobody was told of him");
    let erased = story.program.setup().json(&["visitor", "erase", "acme:ann"]);
    let told = json!([{"name": "acme", "state": "serving", "schedule": "every 1s"}]);
    assert_eq!(erased["destinations"], told, "{erased:#}");
    let again = erased["visitor"].as_str().unwrap();
    let again = story.program.setup().ok(&["visitor", "erase", again]);
    assert!(again.contains("it was erased before"), "{again}");
    let receipt = story.program.until("be told of the erasure", |_| {
        let own = story.destination();
        // RFC 3339 in one zone and of one length is ordered as text.
        (own["told_until"].as_str() > erased["erased_at"].as_str()).then_some(own)
    });
    assert_eq!(story.partner.members(), [("bob".to_owned(), "11".to_owned())], "{receipt:#}");
    let listed = story.program.setup().ok(&["delivery", "list"]);
    assert!(listed.contains(receipt["told_until"].as_str().unwrap()), "{listed}");
    // While the receiver cannot be told, it is not said to be.
    story.partner.fails((0..100).map(|_| Fails::Status(503, "", "")));
    let erased = story.program.setup().json(&["visitor", "erase", "acme:bob"]);
    story.until_state("waiting");
    let own = story.destination();
    assert!(own["told_until"].as_str() <= erased["erased_at"].as_str(), "{own:#}");
}

#[test]
fn erasure_has_a_receipt_of_each_destination() {
    receipts(Setup::new());
}

#[test]
fn erasure_has_a_receipt_of_each_destination_on_redis() {
    let server = RedisServer::start(&[]).unwrap();
    receipts(Setup::new().env("MAYFLY_STORE__URL", &server.url()));
}

/// A destination is not taken out by the way while somebody is there; it is still found by the
/// name that a delivery had.
#[test]
fn a_destination_with_members_stays() {
    let story = Story::begin(Setup::new());
    let _ann = story.visitor("/cars/1", "ann");
    story.until(&[("ann", "11")]);
    story.settled();
    let renamed = summer()
        .replace("name = \"acme\"\npartner", "name = \"acme-us\"\nwas = [\"acme\"]\npartner");
    story.apply(&renamed);
    let shown = story.program.setup().json(&["delivery", "show", "acme-1"]);
    assert_eq!(shown["destination"], json!("acme"), "{shown:#}");
    let without = &summer()[..summer().find("[[destination]]").unwrap()];
    let file = story.program.setup().write("without.toml", without).display().to_string();
    let planned = story.program.setup().ok(&["plan", &file, "--prune"]);
    assert!(planned.contains("destination acme-us would go with 1 still there"), "{planned}");
    let refused = story.program.setup().run(&["apply", &file, "--prune"]);
    assert!(refused.code == 1 && refused.stderr.contains("segments = []"), "{refused:?}");
    let from = renamed.find("segments = [").unwrap();
    let to = from + renamed[from..].find(']').unwrap();
    story.apply(&format!("{}segments = [{}", &renamed[..from], &renamed[to..]));
    story.until(&[]);
    story.program.until("let it go", |_| {
        (story.program.setup().run(&["apply", &file, "--prune"]).code == 0).then_some(())
    });
}

/// The files of a destination that is no more are nobody's to read.
#[test]
fn files_go_with_their_destination() {
    let at = summer().find("[destination.request]").unwrap();
    let own = summer()[..at].replace("secrets = { token = \"acme_token\" }\n", "ids = \"ours\"\n");
    let files = format!("{own}[destination.files]\nfolder = \"acme\"\n")
        .replace("vendor_id = 7", "processor = true");
    let setup = Setup::new();
    let folder = setup.data().join("exports").join("acme");
    let story = Story::with(setup, strict, |_| files.clone());
    let mut browser = Browser::new(&story.program.http);
    story.hit(&mut browser, "/cars/1");
    let lies = || fs::read_dir(&folder).map_or(0, Iterator::count);
    story.program.until("write a set", |_| (lies() == 2).then_some(()));
    let last = story.program.until("note it", |_| {
        let last = story.program.setup().json(&["delivery", "show", "acme"]);
        (last["status"] == json!("done")).then_some(last)
    });
    assert_eq!(last["batches"][0]["visitors"], json!(1), "{last:#}");
    assert_eq!(last["batches"][0]["pairs"], json!(1), "{last:#}");
    let without = &files[..files.find("[[destination]]").unwrap()];
    let file = story.program.setup().write("without.toml", without).display().to_string();
    story.program.setup().ok(&["apply", &file, "--prune", "--allow-drop"]);
    story.program.until("remove the files", |_| (!folder.exists()).then_some(()));
    // So are those of one that went while nothing ran.
    story.apply(&files);
    story.program.until("write a set again", |_| (lies() == 2).then_some(()));
    let setup = story.program.stop();
    setup.ok(&["apply", &file, "--prune", "--allow-drop"]);
    let program = setup.start();
    program.until("remove the files that were left", |_| (!folder.exists()).then_some(()));
}

/// Two browsers with one id at the partner: it stays when the one that came last leaves, and goes
/// when the segment is too small for both.
#[test]
fn an_id_stays_when_the_browser_that_came_last_leaves() {
    let cars = "rule = 'visited(\"Cars\", within 30d)'";
    let but = "rule = 'visited(\"Cars\", within 30d) and not visited(\"Boats\", within 30d)'";
    let definitions = summer().replace(cars, but);
    let story = Story::with(Setup::new(), strict, |_| definitions.clone());
    let _first = story.visitor("/cars/1", "twin");
    let last = story.visitor("/cars/2", "twin");
    story.until(&[("twin", "11")]);
    story.settled();
    // Who shares ids is looked at once a day, and at the start.
    let Story { program, partner } = story;
    let story = Story { program: program.stop().start(), partner };
    let mut last = last.through(&story.program.http);
    story.hit(&mut last, "/boats/1");
    story.until(&[("twin", "11"), ("twin", "s-22")]);
    story.settled();
    let removed = story
        .partner
        .look(|known| known.asked.iter().filter(|own| own.path.contains("/11?op=remove")).count());
    assert_eq!(removed, 0, "the other one is to be there");
    story.apply(&definitions.replace("minimum = 1", "minimum = 5"));
    story.until(&[]);
}

/// What a person should look at is told by `doctor`.
#[test]
fn doctor_knows_open_secrets_and_ended_terms() {
    let story = Story::begin(Setup::new());
    let _ann = story.visitor("/cars/1", "ann");
    story.until(&[("ann", "11")]);
    let setup = story.program.setup();
    setup.ok(&["doctor"]);
    let folder = setup.data().join("secrets");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("acme_token");
    fs::write(&file, "s3cret\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let open = setup.run(&["doctor"]);
    let told = format!(
        "destination acme has a secret that others on this machine can read: chmod 600 {}",
        file.display()
    );
    assert!(open.code == 1 && open.stdout.contains(&told), "{open:?}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let terms = "[destination.terms]\ncontract = \"c\"\nends = 2026-01-31\n\n[destination.request]";
    story.apply(&summer().replace("[destination.request]", terms));
    story.until(&[]);
    let ended = setup.run(&["doctor"]);
    assert!(ended.stdout.contains("its terms ended on 2026-01-31"), "{ended:?}");
    assert_eq!(story.destination()["state"], json!("ended"));
}

/// Nobody is sent for longer than his id is known: after that he could be told nothing.
#[test]
fn a_time_to_live_ends_with_the_id() {
    let server = RedisServer::start(&[]).unwrap();
    let long = |text: &str| text.replace("LABEL", "x").replace("within 30d", "within 90d");
    let setup = Setup::new().env("MAYFLY_STORE__URL", &server.url());
    let story = Story::with(setup, strict, long);
    let days = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86_400;
    let today = days();
    let _ann = story.visitor("/cars/1", "ann");
    story.until(&[("ann", "11")]);
    let ttl: u64 =
        story.partner.look(|known| known.members.values().next().unwrap().parse().unwrap());
    // Ids of ten days are forgotten together there.
    let ends = today - today % 10 + 90;
    let left = (ends - today) * 86_400;
    assert!(today != days() || (left - 86_400 - 60..=left).contains(&ttl), "{ttl} of {left}");
}

/// A no that another process hears counts for a delivery that is under way.
#[test]
fn a_no_in_another_process_counts_within_seconds() {
    let server = RedisServer::start(&[]).unwrap();
    let slow = |text: &str| {
        let own = text.replace("LABEL", "x").replace("minimum = 1", "minimum = 1\nids = \"ours\"");
        own.replace("minimum = 1", "minimum = 1\nbatch = 1\nper_minute = 60\npaused = true")
    };
    let setup = Setup::new().env("MAYFLY_STORE__URL", &server.url());
    let story = Story::with(setup, strict, slow);
    let other = Setup::new().env("MAYFLY_STORE__URL", &server.url()).start();
    let mut all: Vec<((u16, u32), Browser)> = (0..12)
        .map(|_| {
            let mut browser = Browser::new(&story.program.http);
            story.hit(&mut browser, "/cars/1");
            let me = browser.get("/api/v1/me").json();
            let (partition, ordinal) = me["visitor"].as_str().unwrap().split_once('.').unwrap();
            ((partition.parse().unwrap(), ordinal.parse().unwrap()), browser)
        })
        .collect();
    all.sort_by_key(|(place, _)| *place);
    let (_, last) = all.pop().unwrap();
    story.apply(&slow(DEFINITIONS).replace("paused = true", "paused = false"));
    story.program.until("begin", |_| (!story.partner.members().is_empty()).then_some(()));
    let mut last = last.through(&other.http);
    let page = "/p.gif?s=shop&u=https%3A%2F%2Fshop.example%2Fcars%2F2";
    let referer = ("referer", "https://shop.example/cars/2");
    assert_eq!(last.send("GET", page, &[referer, ("sec-gpc", "1")]).outcome(), "opted_out");
    story.program.until("tell of the others", |_| {
        (story.partner.members().len() == all.len()).then_some(())
    });
    story.settled();
    let told: BTreeSet<String> = story.partner.look(|known| {
        let adds = known.asked.iter().filter(|own| own.path.ends_with("op=add"));
        let bodies: Vec<Value> = adds.map(|own| own.json()).collect();
        let users = bodies.iter().flat_map(|own| own["users"].as_array().unwrap());
        users.map(|own| own["id"].to_string()).collect()
    });
    assert_eq!(told.len(), all.len(), "he was not told of at all");
    other.stop();
}
