//! Erasure down to the bytes.

use std::path::Path;

use mayfly_core::{CategoryId, Cell, CellEntry, CellId, DayCells};

use super::*;
use crate::{Claim, DayCheckpoint, DayHeader, EntryId, ForeignId, Lease, Leased};

const MARKER: &str = "marker-of-the-erased";

fn visitor(ordinal: Ordinal) -> Visitor {
    Visitor { partition: P, ordinal }
}

pub(super) async fn own(store: &RedisStore) -> Lease {
    match store.lease(P, None, "here:1", 600, now()).await.unwrap() {
        Leased::Granted(lease) => lease,
        held @ Leased::Held { .. } => panic!("{held:?}"),
    }
}

/// A checkpoint of one cell that goes as far as the log.
pub(super) async fn fold(store: &RedisStore, lease: &Lease, from: EntryId) -> EntryId {
    let head = store.heads(&[P]).await.unwrap()[0].last().copied().unwrap();
    let id = CellId { category: CategoryId::ALL, since: 1 };
    let entry = CellEntry { ordinal: 1, count: 1, seconds: 0 };
    let cells = DayCells::from([(id, Cell { entries: vec![entry] })]);
    let header = DayHeader { cursor: head.last, complete: 1 };
    let changed = [CategoryId::ALL].into();
    let day = DayCheckpoint { day: head.day, from, header, cells: &cells, changed: &changed };
    store.checkpoint(lease, &[day], &[], now()).await.unwrap();
    head.last
}

fn files_hold(dir: &Path, text: &str) -> bool {
    std::fs::read_dir(dir).unwrap().any(|file| {
        let path = file.unwrap().path();
        if path.is_dir() {
            return files_hold(&path, text);
        }
        let bytes = std::fs::read(&path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

fn rewrite(server: &RedisServer) {
    server.cli(["SAVE"]).unwrap();
    server.cli(["BGREWRITEAOF"]).unwrap();
    while server.cli(["INFO", "persistence"]).unwrap().lines().any(|line| {
        let line = line.trim_end();
        line == "aof_rewrite_in_progress:1" || line == "aof_rewrite_scheduled:1"
    }) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn nothing_of_an_erased_visitor_is_left_in_the_files() {
    // Plain files: what is compressed could not be searched.
    let plain = ["--appendonly", "yes", "--rdbcompression", "no", "--aof-use-rdb-preamble", "no"];
    let server = RedisServer::start(&plain).unwrap();
    let store = open(&server.url()).await.unwrap();
    let marked = Event::Own(MARKER.into());
    let hits = [
        NewHit { hit: hit_of(marked.clone(), 1, today()), id: None },
        hit(2, today()),
        NewHit { hit: hit_of(marked, 1, today()), id: None },
    ];
    store.append(&[&batch(1, &hits[..2]), &batch(2, &hits[2..])], now()).await.unwrap();
    let lease = own(&store).await;
    let cursor = fold(&store, &lease, EntryId::ZERO).await;
    // Hits that come while the day is sealed share a node of the log with those that go.
    store.append(&[&batch(3, &[hit(4, today())])], now()).await.unwrap();
    rewrite(&server);
    assert!(files_hold(server.dir(), MARKER), "the search finds what is there");
    store.seal(&lease, today(), cursor).await.unwrap();
    store.erase(&[visitor(1)], now()).await.unwrap();
    assert!(store.read_visitor(visitor(1), today()..today().plus(1)).await.unwrap().is_empty());
    let sealed = store.seal(&lease, today(), cursor).await.unwrap();
    assert_eq!((sealed.hits, sealed.dropped), (1, 2));
    rewrite(&server);
    assert!(!files_hold(server.dir(), MARKER));
    let read = |ordinal| store.read_visitor(visitor(ordinal), today()..today().plus(1));
    assert_eq!((read(2).await.unwrap().len(), read(4).await.unwrap().len()), (1, 1));
    assert_eq!(logged(&store).await, [4], "the log goes on with its ids");
}

#[tokio::test]
async fn erased_visitors_lose_their_ids_and_another_process_sees_it_at_once() {
    let (server, store) = fresh().await;
    let other = open(&server.url()).await.unwrap();
    let id = ForeignId { space: "crm".into(), hash: 1 << 100 };
    let claim = |ordinal| Claim {
        id: id.clone(),
        visitor: visitor(ordinal),
        takes_over: false,
        until: now().plus_secs(86_400),
    };
    let twice = [claim(1), claim(2)];
    assert_eq!(store.claim_ids(&twice, now()).await.unwrap(), [visitor(1), visitor(1)]);
    assert_eq!(other.lookup_ids(std::slice::from_ref(&id)).await.unwrap(), [Some(visitor(1))]);
    store.erase(&[visitor(1)], now()).await.unwrap();
    assert_eq!(other.lookup_ids(std::slice::from_ref(&id)).await.unwrap(), [None]);
    assert_eq!(server.cli(["KEYS", "mf:ids:*"]).unwrap(), "");
    assert_eq!(other.claim_ids(&[claim(2)], now()).await.unwrap(), [visitor(2)]);
    assert!(other.erased(P).await.unwrap().contains(1));
}
