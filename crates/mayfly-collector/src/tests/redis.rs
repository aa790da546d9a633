//! What a server forgets: on a real `redis-server` that is killed and comes back with an old dump.

use mayfly_core::{Outcome, limits};
use mayfly_store::contract::servers::RedisServer;

use super::spill::{BURST, burst};
use super::*;

/// A collector on a server, one burst of hits in its dump and a second one after it.
async fn with_unsaved_burst() -> (RedisServer, World, String) {
    let server = RedisServer::start(&[]).unwrap();
    let url = StoreUrl::parse(&server.url()).unwrap();
    let world = World::on(url, tempfile::tempdir().unwrap()).await;
    let own = world.browser().await;
    world.collector.tick(noon(), generation(&world).await);
    assert_eq!(burst(&world.collector, &own, 1).await, [Outcome::Stored; BURST]);
    assert_eq!(server.cli(["SAVE"]).unwrap(), "OK");
    assert_eq!(burst(&world.collector, &own, 2).await, [Outcome::Stored; BURST]);
    (server, world, own)
}

/// The store's generation, as soon as it answers.
async fn generation(world: &World) -> u64 {
    for _ in 0..500 {
        if let Ok(health) = world.store.health(noon()).await {
            return health.generation;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the server does not come back");
}

/// So many hits are there, and the page of each; read through connections of their own.
async fn check(server: &RedisServer, hits: usize) {
    let config = StoreConfig::new(StoreUrl::parse(&server.url()).unwrap());
    let store = Store::open(&config, noon()).await.unwrap();
    let stored = stored_in(&store).await;
    assert_eq!(stored.len(), hits);
    let keys: Vec<_> = stored.iter().filter_map(|h| h.page).collect();
    let pages = store.pages(&keys).await.unwrap();
    assert!(pages.iter().all(Option::is_some), "a hit's page was lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_forgot_is_sent_again_once() {
    let (mut server, world, own) = with_unsaved_burst().await;
    server.kill().unwrap();
    server.run().unwrap();
    let generation = generation(&world).await;
    world.collector.tick(noon(), generation);
    assert!(
        burst(&world.collector, &own, 3).await.iter().all(|o| o.is_kept()),
        "hits are taken meanwhile"
    );
    for _ in 0..20 {
        world.collector.tick(noon(), generation);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.collector.shutdown().await;
    check(&server, 1 + 3 * BURST).await;
    assert!(world.metrics.resent_batches() > 0);
    assert_eq!(world.metrics.lost_hits(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_met_before_the_tick_is_closed() {
    let (mut server, world, own) = with_unsaved_burst().await;
    server.kill().unwrap();
    server.run().unwrap();
    let generation = generation(&world).await;
    assert!(burst(&world.collector, &own, 3).await.iter().all(|o| o.is_kept()));
    for _ in 0..20 {
        world.collector.tick(noon(), generation);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.collector.shutdown().await;
    check(&server, 1 + 3 * BURST).await;
    assert_eq!(world.metrics.lost_hits(), 0);
}

/// The burst is lost by the server, which answered last at `answered` and is back at `later`.
async fn lost_and_back(answered: Timestamp, later: Timestamp) -> (RedisServer, World) {
    let (mut server, world, own) = with_unsaved_burst().await;
    let before = generation(&world).await;
    world.collector.tick(answered, before);
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.kill().unwrap();
    server.run().unwrap();
    let generation = generation(&world).await;
    world.collector.tick(later, generation);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(burst(&world.collector, &own, 3).await.iter().all(|o| o.is_kept()));
    for _ in 0..20 {
        world.collector.tick(later, generation);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.collector.shutdown().await;
    (server, world)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_old_to_be_sent_again_is_counted_to_the_hit() {
    // The newest hit came some seconds after noon.
    let later = noon().plus_secs(limits::RESEND_SECONDS + 10);
    let (server, world) = lost_and_back(later, later).await;
    check(&server, 1 + 2 * BURST).await;
    assert_eq!(world.metrics.lost_hits(), BURST as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_outage_makes_nothing_too_old() {
    let later = noon().plus_secs(10 * limits::RESEND_SECONDS);
    let (server, world) = lost_and_back(noon(), later).await;
    check(&server, 1 + 3 * BURST).await;
    assert_eq!(world.metrics.lost_hits(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_server_takes_nothing_and_nothing_is_pretended() {
    let (server, world, own) = with_unsaved_burst().await;
    assert_eq!(server.cli(["FLUSHALL"]).unwrap(), "OK");
    let outcomes = burst(&world.collector, &own, 3).await;
    assert_eq!(outcomes, [Outcome::StoreFailed; BURST]);
    assert_eq!(burst(&world.collector, &own, 4).await, [Outcome::StoreFailed; BURST]);
    assert!(!world.folder.path().join("spill").exists(), "nothing is promised for later");
}
