//! Deliveries upset from outside: a full disk, other definitions, another process, a refusal that
//! passes, what lies about.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::http::Browser;
use crate::program::Setup;
use crate::receiver::Fails;
use crate::story::{DEFINITIONS, Story, adds_up, strict};

/// The shop's definitions with files instead of requests.
fn files(more: &str) -> String {
    let at = DEFINITIONS.find("[destination.request]").unwrap();
    let own = DEFINITIONS[..at].replace("LABEL", "x");
    let own = own.replace("secrets = { token = \"acme_token\" }\n", "ids = \"ours\"\n");
    let own = own.replace("vendor_id = 7", "processor = true");
    format!("{own}\n[destination.files]\nfolder = \"acme\"\n{more}\n")
}

/// A disk that is full while a file is written: no part of it stays, and it is told.
#[test]
fn a_full_disk_leaves_no_part_of_a_file() {
    let line = "mkdir -p $DATA/exports\nmount -t tmpfs -o size=64k none $DATA/exports";
    let codes: Vec<String> =
        (0..40).map(|n| format!("{{ segment = \"drivers\", code = \"{n:0>100}\" }}")).collect();
    let text = files("");
    let from = text.find("segments = [").unwrap();
    let to = from + text[from..].find('\n').unwrap();
    let text = format!("{}segments = [{}]{}", &text[..from], codes.join(", "), &text[to..]);
    let story = Story::with(Setup::new().mounts(line), strict, |_| text.clone());
    for _ in 0..30 {
        let mut browser = Browser::new(&story.program.http);
        story.hit(&mut browser, "/cars/1");
    }
    let waiting = story.program.until("find the disk full", |_| {
        let own = story.destination();
        (own["last"]["code"] == json!("disk_full")).then_some(own)
    });
    adds_up(&waiting["last"]);
    assert_eq!(waiting["last"]["pairs"]["sent"], json!(0), "{waiting:#}");
    // What lies there is seen by the program alone, and told by it: whole sets, no parts.
    let listed = story.program.admin().get("/exports/acme/").json();
    let names: Vec<&str> =
        listed["files"].as_array().unwrap().iter().filter_map(|own| own["name"].as_str()).collect();
    let sets = names.iter().filter(|name| name.ends_with(".info")).count();
    assert_eq!(names.len(), sets * 2, "{names:?}");
    // With less to write it goes on.
    story.apply(&files("packing = \"zstd\""));
    story.program.until("write what fits", |_| {
        let own = story.destination()["last"].clone();
        (own["status"] == json!("done") && own["pairs"]["accepted"] != json!(0)).then_some(())
    });
    story.program.stop();
}

/// Other definitions while a delivery runs: what was not sent yet is counted anew, and goes.
#[test]
fn other_definitions_end_a_delivery_and_begin_the_next() {
    let slow = |text: &str| {
        let own = text.replace("LABEL", "summer");
        own.replace("minimum = 1", "minimum = 1\nbatch = 1\nper_minute = 60\npaused = true")
    };
    let story = Story::with(Setup::new(), strict, slow);
    let names = ["a", "b", "c", "d", "e", "f"];
    let _all: Vec<Browser> = names.map(|uid| story.visitor("/cars/1", uid)).into();
    story.apply(&slow(DEFINITIONS).replace("paused = true", "paused = false"));
    story.program.until("begin", |_| (story.partner.members().len() >= 2).then_some(()));
    // The partner's limit is another one, and a segment has another name meanwhile.
    let faster = DEFINITIONS
        .replace("LABEL", "summer")
        .replace("minimum = 1", "minimum = 1\nbatch = 3\nper_minute = 600")
        .replace("name = \"drivers\"", "name = \"motorists\"\nwas = [\"drivers\"]")
        .replace("segment = \"drivers\"", "segment = \"motorists\"");
    story.apply(&faster);
    story.until(&names.map(|uid| (uid, "11")));
    story.settled();
    let all = story.deliveries();
    all.iter().for_each(adds_up);
    assert!(all.iter().any(|own| own["code"] == json!("changed")), "{all:#?}");
}

/// A refusal that passes: the removal of an id that is nobody's is told again.
#[test]
fn a_removal_that_is_refused_for_now_is_told_again() {
    let story = Story::begin(Setup::new());
    let mut ann = story.visitor("/cars/1", "ann");
    story.until(&[("ann", "11")]);
    story.settled();
    // The removal goes to both codes: the first is busy.
    let busy = "{\"failed\": [{\"id\": \"ann\", \"why\": \"busy\"}]}";
    story.partner.fails([Fails::Status(200, "", busy)]);
    assert_eq!(ann.send("DELETE", "/api/v1/me", &[]).status, 200);
    story.until(&[]);
    let all = story.deliveries();
    all.iter().for_each(adds_up);
    assert!(all.iter().any(|own| own["pairs"]["rejected"]["busy"] == json!(1)), "{all:#?}");
}

/// What lies in a folder before a destination has it is nobody's to read; `run` leaves a paused
/// destination alone.
#[test]
fn old_files_go_and_a_pause_is_kept() {
    let setup = Setup::new();
    let folder = setup.data().join("exports").join("acme");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("old.csv"), "uid\nsomebody\n").unwrap();
    let text = files("keep_days = 30");
    let paused = text.replace("minimum = 1", "minimum = 1\npaused = true");
    let story = Story::with(setup, strict, |_| paused.clone());
    let mut browser = Browser::new(&story.program.http);
    story.hit(&mut browser, "/cars/1");
    story.program.until("remove the old file", |_| {
        fs::read_dir(&folder).unwrap().next().is_none().then_some(())
    });
    story.program.setup().ok(&["delivery", "run", "acme"]);
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(story.destination()["state"], json!("paused"));
    assert!(fs::read_dir(&folder).unwrap().next().is_none());
    story.apply(&text);
    story.program.until("write the first set", |_| {
        (fs::read_dir(&folder).unwrap().count() == 2).then_some(())
    });
}

/// An answer that nobody would read: it arrived, and smaller batches have shorter ones; where twice
/// does harm a person looks.
#[test]
fn an_answer_without_end_does_not_block() {
    let long: &'static str = Box::leak(format!("\"{}\"", "x".repeat(1 << 21)).into_boxed_str());
    let story = Story::begin(Setup::new());
    story.partner.fails([Fails::Status(200, "", long)]);
    let _both = ["ann", "bob"].map(|uid| story.visitor("/cars/1", uid));
    story.until(&[("ann", "11"), ("bob", "11")]);
    story.settled();
    let once = DEFINITIONS.replace("LABEL", "summer");
    let once = once.replace("minimum = 1", "minimum = 1\nidempotent = false");
    story.apply(&once);
    story.partner.fails([Fails::Status(200, "", long)]);
    let _carl = story.visitor("/cars/1", "carl");
    let held = story.until_state("held");
    assert_eq!(held["held"]["code"], json!("long_answer"), "{held:#}");
}

/// Who says no after a delivery began, and before his batch, is not sent.
#[test]
fn a_no_between_building_and_sending_counts() {
    let slow = |text: &str| {
        let own = text.replace("LABEL", "summer");
        own.replace("minimum = 1", "minimum = 1\nbatch = 1\nper_minute = 60\npaused = true")
    };
    let story = Story::with(Setup::new(), strict, slow);
    let mut all: Vec<((u16, u32), String, Browser)> = (0..8)
        .map(|n| {
            let uid = format!("u{n}");
            let mut browser = story.visitor("/cars/1", &uid);
            let me = browser.get("/api/v1/me").json();
            let (partition, ordinal) = me["visitor"].as_str().unwrap().split_once('.').unwrap();
            ((partition.parse().unwrap(), ordinal.parse().unwrap()), uid, browser)
        })
        .collect();
    // Batches go by partition and ordinal: this one is the last.
    all.sort_by_key(|(place, ..)| *place);
    let (_, last, mut browser) = all.pop().unwrap();
    story.apply(&slow(DEFINITIONS).replace("paused = true", "paused = false"));
    story.program.until("begin", |_| (!story.partner.members().is_empty()).then_some(()));
    let page = "/p.gif?s=shop&u=https%3A%2F%2Fshop.example%2Fcars%2F2";
    let referer = ("referer", "https://shop.example/cars/2");
    browser.send("GET", page, &[referer, ("sec-gpc", "1")]);
    let others: Vec<(&str, &str)> = all.iter().map(|(_, uid, _)| (&**uid, "11")).collect();
    story.until(&others);
    story.settled();
    let told = story.partner.look(|known| {
        let bodies = known.asked.iter().map(|own| String::from_utf8_lossy(&own.body).into_owned());
        bodies.collect::<String>()
    });
    assert!(!told.contains(&format!("\"{last}\", \"ttl\"")), "{told}");
    let all = story.deliveries();
    all.iter().for_each(adds_up);
    assert!(all.iter().any(|own| own["pairs"]["left_out"] == json!(1)), "{all:#?}");
}
