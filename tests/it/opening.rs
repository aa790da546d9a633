//! Stores that cannot be opened, or not yet: the program ends with exit code 1, or stays red, and
//! says what is wrong, where, and what to do.

use std::fs;
use std::process::Command;
use std::time::Duration;

use mayfly_store::contract::servers::RedisServer;
use serde_json::json;

use crate::http::Browser;
use crate::ledger::{self, Load, metric};
use crate::program::{Program, Setup, free_port};

/// Neither server nor command opens the store; both say all of this.
fn is_refused(setup: &Setup, says: &[&str]) {
    for command in [&["serve", "--bind", "127.0.0.1:0"][..], &["segment", "list"]] {
        let done = setup.run(command);
        assert_eq!(done.code, 1, "mayfly {command:?}\n{}{}", done.stdout, done.stderr);
        for part in says {
            assert!(done.stderr.contains(part), "{command:?} does not say {part:?}: {done:?}");
        }
    }
}

/// An installation whose embedded store is in this folder.
fn at(folder: &str) -> Setup {
    Setup::new().env("MAYFLY_STORE__URL", &format!("file://{folder}"))
}

/// Why `/ready` is red.
fn reasons(program: &Program) -> String {
    let answer = program.http.get("/ready");
    assert_eq!(answer.status, 503, "{}", answer.text());
    answer.json()["reasons"].to_string()
}

/// A folder with a store that was made, and is closed.
fn made() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store").display().to_string();
    at(&store).start().stop();
    (folder, store)
}

#[test]
fn a_folder_in_a_place_where_none_can_be() {
    let place = tempfile::NamedTempFile::new().unwrap();
    let store = format!("{}/store", place.path().display());
    let done = at(&store).run(&["serve", "--bind", "127.0.0.1:0"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.contains(&store) && done.stderr.contains("cannot be"), "{done:?}");
}

#[test]
fn a_store_on_a_disk_that_is_read_only() {
    let (folder, store) = made();
    let place = folder.path().display();
    let bound = format!("mount --bind '{place}' '{place}'\nmount -o remount,bind,ro '{place}'");
    let setup = at(&store).mounts(&bound);
    is_refused(&setup, &[&store, "cannot be written", "Read-only file system"]);
}

#[test]
fn a_store_that_another_process_has() {
    let program = Setup::new().start();
    let store = program.setup().data().join("store").display().to_string();
    is_refused(&at(&store), &[&store, "in use by another process"]);
    program.stop();
}

#[test]
fn a_store_of_another_format() {
    let (_folder, store) = made();
    let file = format!("{store}/format");
    let mut bytes = fs::read(&file).unwrap();
    bytes[0] = 9;
    fs::write(&file, &bytes).unwrap();
    is_refused(&at(&store), &[&store, "has format 9; this program reads 1"]);
    bytes[0] = 1;
    fs::write(&file, bytes).unwrap();
    at(&store).start().stop();
}

#[test]
fn a_redis_that_refuses_the_password() {
    let server = RedisServer::start(&["--requirepass", "right"]).unwrap();
    let url = format!("redis://:wrong@127.0.0.1:{}", server.port());
    let setup = Setup::new().env("MAYFLY_STORE__URL", &url);
    is_refused(&setup, &[&server.port().to_string(), "refuses the login", "store.url"]);
    assert!(!setup.run(&["segment", "list"]).stderr.contains("wrong"), "no password is printed");
}

#[test]
fn a_redis_that_may_throw_keys_away() {
    let server = RedisServer::start(&["--maxmemory-policy", "allkeys-lru"]).unwrap();
    let setup = Setup::new().env("MAYFLY_STORE__URL", &server.url());
    let repair = "redis-cli CONFIG SET maxmemory-policy noeviction";
    is_refused(&setup, &[&server.port().to_string(), "allkeys-lru", repair]);
    server.set("maxmemory-policy", "noeviction").unwrap();
    setup.start().stop();
}

#[test]
fn a_redis_that_is_a_replica() {
    let primary = RedisServer::start(&[]).unwrap();
    let of = ["--replicaof", "127.0.0.1", &primary.port().to_string()];
    let replica = RedisServer::start(&of).unwrap();
    let setup = Setup::new().env("MAYFLY_STORE__URL", &replica.url());
    is_refused(&setup, &[&replica.port().to_string(), "read-only replica", "primary"]);
}

#[test]
fn a_redis_that_comes_later() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    let mut server = RedisServer::start(&["--appendonly", "yes"]).unwrap();
    let never = Setup::new().env("MAYFLY_STORE__URL", &url).run(&["segment", "list"]);
    assert_eq!(never.code, 1, "{never:?}");
    assert!(never.stderr.contains("does not answer"), "{never:?}");

    let port = server.port();
    server.stop().unwrap();
    let setup = Setup::new().env("MAYFLY_STORE__URL", &format!("redis://127.0.0.1:{port}"));
    let program = setup.spawn(&[]);
    program.until("say why it waits", |p| reasons(p).contains("does not answer").then_some(()));
    let answer = Browser::new(&program.http).hit("news", "https://news.example/");
    assert_eq!((answer.status, answer.outcome()), (200, "store_failed"), "nobody is known yet");
    server.run().unwrap();
    program.wait_until_ready();
    ledger::define(&program);
    let mut all = Load::run(&program, "first", Duration::from_millis(500));

    // Known from before, it takes hits while the store is still away: of known visitors too.
    let mut known = Browser::new(&program.http);
    assert_eq!(known.hit("news", "https://news.example/other/known").outcome(), "stored");
    let setup = program.stop();
    server.stop().unwrap();
    let program = setup.spawn(&[]);
    let cookieless = metric(&program, "mayfly_hits_total");
    program.until("take hits", |p| p.log().contains("hits are taken meanwhile").then_some(()));
    assert!(reasons(&program).contains("does not answer"));
    let hit = json!([{"site": "news", "visitor": {"space": "crm", "id": "1"},
        "url": "https://news.example/other/early", "id": "early"}]);
    let early = program.admin().post("/api/v1/hits", &hit);
    assert_eq!(early.status, 200, "{}", early.text());
    let again = known.hit("news", "https://news.example/other/known");
    assert_eq!(again.outcome(), "spilled", "{again:?}");
    server.run().unwrap();
    program.wait_until_ready();
    program.until("drain the spill", |p| (metric(p, "mayfly_spill_bytes") == 0).then_some(()));
    assert_eq!(metric(&program, "mayfly_hits_total"), cookieless + 2);
    all.join(Load::run(&program, "second", Duration::from_millis(500)));
    all.check(&program);
    program.stop();
}

#[test]
fn a_disk_that_runs_full() {
    let setup = Setup::new().mounts(
        "token=$(cat \"$DATA/admin.token\")\n\
         mount -t tmpfs -o size=160m mayfly \"$DATA\"\n\
         echo \"$token\" > \"$DATA/admin.token\"",
    );
    let data = setup.data();
    fs::write(data.join("admin.token"), "secret-of-the-test").unwrap();
    let program = setup.start();
    let seen = format!("/proc/{}/root{}", program.pid(), data.display());
    ledger::define(&program);
    let mut all = Load::run(&program, "before", Duration::from_millis(500));
    assert!(all.unsure.is_empty(), "{:?}", all.outcomes);

    fill(&format!("{seen}/filler"));
    all.join(Load::run(&program, "full", Duration::from_secs(3)));
    assert!(all.count("store_failed") > 0, "{:?}", all.outcomes);
    assert_eq!(metric(&program, "mayfly_hits_total"), all.answered());
    let said = program.until("turn red", |p| {
        let answer = p.http.get("/ready");
        (answer.status == 503).then(|| answer.text())
    });
    assert!(said.contains("space") || said.contains("restart"), "{said}");

    // What was acknowledged is on the disk: a copy of it, taken as the server stands.
    program.signal("STOP");
    let after = Setup::new();
    fs::create_dir_all(after.data()).unwrap();
    for part in ["store", "spill", "admin.token"] {
        let from = format!("{seen}/{part}");
        // There need not be a spill.
        Command::new("cp").args(["-a", &from]).arg(after.data()).status().unwrap();
    }
    program.kill();
    let program = after.start();
    all.check(&program);
    program.stop();
}

/// Writes a file until the disk takes no more.
fn fill(path: &str) {
    use std::io::Write;
    let mut file = fs::File::create(path).unwrap();
    for size in [1 << 20, 1 << 12, 1] {
        let piece = vec![0_u8; size];
        while file.write_all(&piece).is_ok() {}
    }
}
