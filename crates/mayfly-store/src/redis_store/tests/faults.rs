//! Servers that refuse, vanish or hang.

use super::*;
use crate::{Appended, EntryId, ForeignId, Warning};

async fn refusal(url: &str) -> StoreError {
    open(url).await.expect_err("the server must be refused")
}

#[tokio::test]
async fn servers_that_cannot_hold_a_store_are_refused() {
    let server = RedisServer::start(&["--requirepass", "right"]).unwrap();
    let wrong = format!("redis://:wrong@127.0.0.1:{}", server.port());
    let error = refusal(&wrong).await;
    assert!(matches!(error, StoreError::Login { .. }), "{error:?}");
    assert!(!error.to_string().contains("wrong"));
    assert!(matches!(refusal(&server.url()).await, StoreError::Login { .. }));
    let right = format!("redis://:right@127.0.0.1:{}", server.port());
    open(&right).await.unwrap();

    let server = RedisServer::start(&["--maxmemory-policy", "volatile-ttl"]).unwrap();
    assert!(matches!(refusal(&server.url()).await, StoreError::Evicting { .. }));
    server.set("maxmemory-policy", "noeviction").unwrap();
    let primary = server.port().to_string();
    let replica = RedisServer::start(&["--replicaof", "127.0.0.1", &primary]).unwrap();
    assert!(matches!(refusal(&replica.url()).await, StoreError::Replica { .. }));

    let missing = StoreConfig { create: false, ..config(&server.url()) };
    let error = RedisStore::open(&missing, now()).await.unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error:?}");
    assert_eq!(server.cli(["DBSIZE"]).unwrap(), "0");
}

#[tokio::test]
async fn nobody_at_the_address_is_said_within_the_deadline() {
    let url = {
        let server = RedisServer::start(&[]).unwrap();
        server.url()
    };
    let error = refusal(&url).await;
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_store_is_opened_again_as_the_one_it_was_and_by_its_realm_only() {
    let (server, store) = fresh().await;
    let again = open(&server.url()).await.unwrap();
    assert_eq!(store.identity(), again.identity());
    let other = StoreConfig { realm: "other".into(), ..config(&server.url()) };
    let error = RedisStore::open(&other, now()).await.unwrap_err();
    assert!(matches!(error, StoreError::OtherRealm { .. }), "{error:?}");
    store.raise_partitions(32).await.unwrap();
    assert_eq!(open(&server.url()).await.unwrap().identity().partitions, 32);
    assert!(matches!(again.raise_partitions(32).await, Err(StoreError::Conflict { .. })));
    store.lease_ordinals(Partition(31), 0).await.unwrap();
}

#[tokio::test]
async fn an_emptied_server_is_noticed_and_nothing_is_made_anew() {
    let (server, store) = fresh().await;
    store.append(&[&batch(1, &[hit(1, today())])], now()).await.unwrap();
    server.cli(["FLUSHALL"]).unwrap();
    let visitor = Visitor { partition: P, ordinal: 1 };
    let id = ForeignId { space: "crm".into(), hash: 1 };
    let claim = crate::Claim { id, visitor, takes_over: false, until: now().plus_secs(60) };
    let gone = |error: StoreError| assert!(matches!(error, StoreError::Gone { .. }), "{error:?}");
    gone(store.append(&[&batch(2, &[hit(2, today())])], now()).await.unwrap_err());
    gone(store.lease_ordinals(P, 0).await.unwrap_err());
    gone(store.lease(P, None, "here", 10, now()).await.unwrap_err());
    gone(store.claim_ids(&[claim], now()).await.unwrap_err());
    gone(store.erase(&[visitor], now()).await.unwrap_err());
    gone(store.read_new(P, today(), crate::EntryId::ZERO, 1).await.unwrap_err());
    gone(store.health(now()).await.unwrap_err());
    gone(store.write_catalog(crate::CatalogName::Keys, 0, vec![1], "me", now()).await.unwrap_err());
    assert_eq!(server.cli(["DBSIZE"]).unwrap(), "0");

    let other = open(&server.url()).await.unwrap();
    assert_ne!(other.identity().store, store.identity().store);
    gone(store.append(&[&batch(2, &[hit(2, today())])], now()).await.unwrap_err());
    gone(store.health(now()).await.unwrap_err());
}

#[tokio::test]
async fn a_server_restarted_empty_is_noticed_and_restarts_raise_the_generation() {
    let mut server = RedisServer::start(&["--appendonly", "yes"]).unwrap();
    let store = open(&server.url()).await.unwrap();
    store.append(&[&batch(1, &[hit(1, today())])], now()).await.unwrap();
    assert_eq!(store.health(now()).await.unwrap().generation, 0);
    server.kill().unwrap();
    server.run().unwrap();
    let health = loop {
        match store.health(now()).await {
            Err(error) if error.is_transient() => {}
            health => break health.unwrap(),
        }
    };
    assert_eq!(health.generation, 1);
    assert!(!health.warnings.contains(&Warning::NotDurable));
    assert_eq!(logged(&store).await, [1], "what was acknowledged is still there");

    server.kill().unwrap();
    std::fs::remove_dir_all(server.dir().join("appendonlydir")).unwrap();
    server.run().unwrap();
    let error = loop {
        match store.append(&[&batch(2, &[hit(2, today())])], now()).await {
            Err(error) if error.is_transient() => {}
            answer => break answer.unwrap_err(),
        }
    };
    assert!(matches!(error, StoreError::Gone { .. }), "{error:?}");
}

#[tokio::test]
async fn a_write_that_timed_out_and_was_executed_counts_once() {
    let server = RedisServer::start(&[]).unwrap();
    let config = StoreConfig { deadline: Duration::from_millis(200), ..config(&server.url()) };
    let store = RedisStore::open(&config, now()).await.unwrap();
    let batch = batch(1, &[hit(1, today()), hit(2, today())]);
    store.append(&[&batch], now()).await.unwrap();
    let batch = super::batch(2, &[hit(3, today())]);
    server.pause().unwrap();
    let error = store.append(&[&batch], now()).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    server.resume().unwrap();
    let answer = loop {
        match store.append(&[&batch], now()).await {
            Err(error) if error.is_transient() => {}
            answer => break answer.unwrap(),
        }
    };
    assert_eq!(answer, [Appended::Done]);
    assert_eq!(logged(&store).await, [1, 2, 3]);
}

#[tokio::test]
async fn a_server_that_forgot_its_scripts_loses_no_place_in_a_lane() {
    let (server, store) = fresh().await;
    let (a, b) = (batch(1, &[hit(1, today())]), batch(2, &[hit(2, today())]));
    server.cli(["SCRIPT", "FLUSH"]).unwrap();
    let answers = store.append(&[&a, &b], now()).await.unwrap();
    assert_eq!(answers, [Appended::Stored, Appended::Stored]);
    assert_eq!(logged(&store).await, [1, 2]);
    let gap = store.append(&[&batch(4, &[hit(9, today())])], now()).await.unwrap();
    assert_eq!(gap, [Appended::Gap { last: 2 }]);
}

#[tokio::test]
async fn ids_seen_today_or_the_day_before_or_twice_in_a_batch_are_duplicates() {
    let (_server, store) = fresh().await;
    let yesterday = Batch::encode(LANE, 1, P, today().minus(1), &[with_id(1, -5)]);
    store.append(&[&yesterday], now()).await.unwrap();
    let mixed = batch(2, &[with_id(2, 6), with_id(3, -5), with_id(4, 7), with_id(5, 7)]);
    let answers = store.append(&[&mixed], now()).await.unwrap();
    assert_eq!(answers, [Appended::Duplicates(vec![1, 3])]);
    assert_eq!(logged(&store).await, [1], "nothing was done");
    let rest = mixed.without(&[1, 3]).unwrap();
    assert_eq!(store.append(&[&rest], now()).await.unwrap(), [Appended::Stored]);
    assert_eq!(logged(&store).await, [1, 2, 4]);
}

#[tokio::test]
async fn what_an_operator_should_change_is_said() {
    let (server, store) = fresh().await;
    let health = store.health(now().plus_secs(-10)).await.unwrap();
    assert_eq!(health.warnings, [Warning::NotDurable, Warning::ClockSkew]);
    assert!(health.skew_ms.unwrap() > 9000 && health.bytes > 0);
    server.set("maxmemory", &health.bytes.to_string()).unwrap();
    let health = store.health(now()).await.unwrap();
    assert_eq!(health.warnings, [Warning::NotDurable, Warning::AlmostFull]);
}

/// `deploy/redis.conf`, line by line, as options of a server.
#[tokio::test]
async fn the_settings_we_ship_give_no_reason_to_warn() {
    let settings = include_str!("../../../../../deploy/redis.conf");
    let lines = settings.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let options: Vec<String> = lines
        .filter_map(|line| line.split_once(' '))
        .flat_map(|(name, value)| [format!("--{name}"), value.trim_matches('"').to_owned()])
        .collect();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    assert!(options.len() > 10);
    let server = RedisServer::start(&options).unwrap();
    let store = open(&server.url()).await.unwrap();
    assert_eq!(store.health(now()).await.unwrap().warnings, []);
    assert_eq!(
        server.cli(["CONFIG", "GET", "stream-node-max-bytes"]).unwrap().lines().last(),
        Some("1024")
    );
}

#[tokio::test]
async fn a_log_begun_anew_goes_on_after_its_cursor_though_the_clock_stands_before_it() {
    let (server, store) = fresh().await;
    let dirty = store.keys().dirty(P);
    let (ms, day) = (now().millis() + 5_000_000, today().0.to_string());
    server.cli(["HSET", &dirty, &day, &format!("{ms}-3")]).unwrap();
    store.append(&[&batch(1, &[hit(1, today())])], now()).await.unwrap();
    let cursor = EntryId { ms: u64::try_from(ms).unwrap(), seq: 3 };
    let new = store.read_new(P, today(), cursor, 9).await.unwrap();
    assert_eq!(new.len(), 1);
    assert_eq!((new[0].id.ms, new[0].id.seq), (cursor.ms, 4));
    store.append(&[&batch(2, &[hit(2, today())])], now()).await.unwrap();
    assert_eq!(logged(&store).await, [1, 2]);
}

/// A lease ends with the server that granted it: what its worker folded may be lost with it.
#[tokio::test]
async fn a_worker_of_the_server_before_writes_no_cells() {
    let mut server = RedisServer::start(&["--appendonly", "yes"]).unwrap();
    let store = open(&server.url()).await.unwrap();
    store.append(&[&batch(1, &[hit(1, today())])], now()).await.unwrap();
    let lease = super::people::own(&store).await;
    let cursor = super::people::fold(&store, &lease, EntryId::ZERO).await;
    server.stop().unwrap();
    server.run().unwrap();
    let sealed = loop {
        match store.seal(&lease, today(), cursor).await {
            Err(error) if error.is_transient() => {}
            sealed => break sealed,
        }
    };
    assert!(matches!(sealed, Err(StoreError::LeaseLost { .. })), "{sealed:?}");
    let renewed = store.lease(P, Some(&lease), "old", 30, now()).await.unwrap();
    assert!(matches!(renewed, crate::Leased::Held { .. }), "{renewed:?}");
    let anew = super::people::own(&store).await;
    assert_eq!(store.seal(&anew, today(), cursor).await.unwrap().hits, 1);
}
