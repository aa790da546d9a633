use mayfly_core::Outcome;

use super::*;

/// How many hits a burst has.
pub(super) const BURST: usize = 300;

/// Sends a burst of pixels at once; answers their outcomes.
pub(super) async fn burst(collector: &Collector, cookie: &str, round: usize) -> Vec<Outcome> {
    let mut tasks = Vec::new();
    for n in 0..BURST {
        let (collector, cookie) = (collector.clone(), cookie.to_owned());
        tasks.push(tokio::spawn(async move {
            let query = format!("s=news&u=https://n.example/{round}/{n}");
            let request = PixelRequest { query: &query, cookie: Some(&cookie), ..a_request() };
            outcome(&collector.pixel(&request).await)
        }));
    }
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

/// Ticks until the spill is drained.
async fn drained(collector: &Collector, folder: &std::path::Path) {
    for _ in 0..10_000 {
        collector.tick(noon(), Some(0));
        tokio::task::yield_now().await;
        let left = std::fs::read_dir(folder.join("spill")).map_or(0, Iterator::count);
        if left == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the spill was not drained");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_timed_out_but_was_executed_is_counted_once() {
    let world = World::new().await;
    let own = world.browser().await;
    // Pages are interned and known, so that the next appends reach the store whole.
    assert_eq!(burst(&world.collector, &own, 1).await, [Outcome::Stored; BURST]);
    let (hasty, metrics) =
        collector_on(world.folder.path(), &world.store, &world.keys, |_| {}, Some(Duration::ZERO))
            .await;
    assert_eq!(burst(&hasty, &own, 1).await, [Outcome::Spilled; BURST]);
    assert_eq!(burst(&hasty, &own, 2).await, [Outcome::Spilled; BURST], "pages not known yet");
    hasty.shutdown().await;
    assert_eq!(metrics.hits(Outcome::Spilled), 2 * BURST as u64);

    let (patient, _) =
        collector_on(world.folder.path(), &world.store, &world.keys, |_| {}, None).await;
    drained(&patient, world.folder.path()).await;
    patient.shutdown().await;
    let hits = world.stored().await;
    assert_eq!(hits.len(), 1 + 3 * BURST, "each exactly once");
    let keys: Vec<_> = hits.iter().filter_map(|h| h.page).collect();
    let pages = world.store.pages(&keys).await.unwrap();
    assert!(pages.iter().all(Option::is_some), "pages come out of the spill before their hits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_spill_refuses_and_counts() {
    let world = World::new().await;
    let own = world.browser().await;
    let (hasty, metrics) = collector_on(
        world.folder.path(),
        &world.store,
        &world.keys,
        |config| config.spill_bytes = 64,
        Some(Duration::ZERO),
    )
    .await;
    assert_eq!(burst(&hasty, &own, 1).await, [Outcome::StoreFailed; BURST]);
    assert_eq!(metrics.hits(Outcome::StoreFailed), BURST as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_in_the_middle_loses_nothing() {
    let world = World::new().await;
    let own = world.browser().await;
    let sender = {
        let (collector, own) = (world.collector.clone(), own.clone());
        tokio::spawn(async move { burst(&collector, &own, 1).await })
    };
    tokio::task::yield_now().await;
    world.collector.shutdown().await;
    let outcomes = sender.await.unwrap();
    let stored = outcomes.iter().filter(|&&o| o == Outcome::Stored).count();
    let shed = outcomes.iter().filter(|&&o| o == Outcome::Shed).count();
    assert_eq!(stored + shed, BURST, "{outcomes:?}");
    assert_eq!(world.stored().await.len(), 1 + stored);
    assert_eq!(world.counted(), 1 + BURST as u64);
}

#[tokio::test]
async fn a_dropped_request_still_has_its_outcome() {
    let world = World::new().await;
    let own = world.browser().await;
    let request = PixelRequest { query: PAGE, cookie: Some(&own), ..a_request() };
    // Polled once and dropped: the hit is queued, its answer is nobody's.
    let answered = tokio::select! {
        biased;
        _ = world.collector.pixel(&request) => true,
        () = std::future::ready(()) => false,
    };
    assert!(!answered, "the store takes longer than nothing");
    world.collector.shutdown().await;
    assert_eq!(world.metrics.hits(Outcome::Stored), 2);
}

#[tokio::test]
async fn queued_answers_at_once_and_stores_all_the_same() {
    let world = World::new().await;
    let own = world.browser().await;
    let queued = |config: &mut CollectorConfig| config.ack = crate::Ack::Queued;
    let (collector, metrics) =
        collector_on(world.folder.path(), &world.store, &world.keys, queued, None).await;
    let request = PixelRequest { query: PAGE, cookie: Some(&own), ..a_request() };
    let answer = collector.pixel(&request).await;
    assert_eq!(answer, PixelAnswer::Gif { verdict: None, set_cookies: Vec::new() });
    collector.shutdown().await;
    assert_eq!((metrics.hits(Outcome::Stored), world.stored().await.len()), (1, 2));
    let later = PixelRequest { now: noon().plus_secs(9), ..request };
    assert_eq!(outcome(&collector.pixel(&later).await), Outcome::Shed, "after the end");
}
