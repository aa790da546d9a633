//! What a worker relies on: leases, checkpoints, cells, memberships, sealing.

use std::collections::BTreeMap;

use mayfly_core::{CategoryId, DayCells, Hit, SegmentId, limits};
use roaring::RoaringBitmap;

use super::{
    Opener, PARTITION, append, categories, cells, checkpoint, head, hit, own, seal_all, sorted,
    whole_day,
};
use crate::{
    Appended, Batch, DayCheckpoint, DayCursor, DayHeader, EntryId, LaneId, Leased, Membership,
    StoreError,
};

/// One owner until he gives it back; whoever lost it is fenced off.
pub async fn a_partition_has_one_owner(opener: &Opener) {
    let store = opener.open().await;
    let now = opener.noon();
    let first = own(&store, now).await;
    let other = store.lease(PARTITION, None, "there", 60, now).await.unwrap();
    assert_eq!(other, Leased::Held { address: "here".into() });
    let again = store.lease(PARTITION, Some(&first), "here", 60, now).await.unwrap();
    assert_eq!(again, Leased::Granted(first.clone()));
    store.release(&first).await.unwrap();
    let second = own(&store, now).await;
    assert_ne!(first.token, second.token);
    store.release(&first).await.unwrap();
    let lost = checkpoint(&store, &first, opener.today, Default::default(), &DayCells::new()).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost { partition: PARTITION })), "{lost:?}");
    let lost = store.seal(&first, opener.today, EntryId::ZERO).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost { .. })), "{lost:?}");
    let held = store.lease(PARTITION, Some(&first), "here", 60, now).await.unwrap();
    assert_eq!(held, Leased::Held { address: "here".into() });
}

/// Refused when another moved the cursor; then nothing of it is written.
pub async fn a_checkpoint_needs_lease_and_cursor(opener: &Opener) {
    let store = opener.open().await;
    let lease = own(&store, opener.noon()).await;
    let day = opener.today;
    let at = |ms| EntryId { ms, seq: 1 };
    let first = cells(&[0, 5], &[(1, 1, 0)]);
    checkpoint(&store, &lease, day, (EntryId::ZERO, at(1)), &first).await.unwrap();
    let other = cells(&[0, 5], &[(1, 2, 0), (2, 1, 3)]);
    let moved = checkpoint(&store, &lease, day, (EntryId::ZERO, at(2)), &other).await;
    assert!(matches!(moved, Err(StoreError::CursorMoved { .. })), "{moved:?}");
    assert_eq!(store.cells(PARTITION, day, None).await.unwrap().cells, first);
    checkpoint(&store, &lease, day, (at(1), at(2)), &other).await.unwrap();
    drop(store);
    let stored = opener.open().await.cells(PARTITION, day, None).await.unwrap();
    assert_eq!(stored.cells, other);
    assert_eq!(stored.header, DayHeader { cursor: at(2), complete: 1 });
}

/// All, or those asked for; categories that are gone are gone, untouched ones stay.
pub async fn cells_come_back_all_or_some(opener: &Opener) {
    let store = opener.open().await;
    let lease = own(&store, opener.noon()).await;
    let day = opener.today;
    let all: Vec<u32> = (0..100).collect();
    let mut written = cells(&all, &[(1, 1, 0), (7, 255, 65_535), (4_000_000, 0, 1)]);
    checkpoint(&store, &lease, day, Default::default(), &written).await.unwrap();
    assert_eq!(store.cells(PARTITION, day, None).await.unwrap().cells, written);
    let some = [CategoryId(7), CategoryId(39), CategoryId(1000)];
    let read = store.cells(PARTITION, day, Some(&some)).await.unwrap().cells;
    let mut expected = written.clone();
    expected.retain(|id, _| some.contains(&id.category));
    assert_eq!(read, expected);
    let (empty, some) = (day.minus(1), some.to_vec());
    let wanted = BTreeMap::from([(empty, some.clone()), (day, some)]);
    let read = store.cells_of_days(PARTITION, &wanted).await.unwrap();
    assert_eq!(read, BTreeMap::from([(empty, DayCells::new()), (day, expected)]));
    let gone: Vec<u32> = (0..100).filter(|n| n % 32 == 7).collect();
    let changed = categories(&cells(&gone, &[]));
    written.retain(|id, _| !changed.contains(&id.category));
    let header = DayHeader { cursor: EntryId { ms: 1, seq: 0 }, complete: 2 };
    let from = EntryId::ZERO;
    let day_of = DayCheckpoint { day, from, header, cells: &written, changed: &changed };
    store.checkpoint(&lease, &[day_of], &[], opener.noon()).await.unwrap();
    let stored = store.cells(PARTITION, day, None).await.unwrap();
    assert_eq!((stored.cells, stored.header), (written, header));
}

/// A cell larger than a chunk stands alone, and leaves nothing behind when it shrinks.
pub async fn a_cell_may_grow_large_and_small_again(opener: &Opener) {
    let store = opener.open().await;
    let lease = own(&store, opener.noon()).await;
    let many: Vec<(u32, u8, u16)> =
        (0..60_000u32).map(|i| (i * 37, (i % 250 + 1) as u8, (i * 7 % 9000) as u16)).collect();
    assert!(many.len() * 2 > limits::CHUNK_BYTES);
    let large = cells(&[5, 37], &many);
    let small = cells(&[5, 37], &many[..3]);
    let mut from = EntryId::ZERO;
    for (ms, written) in [(1, &small), (2, &large), (3, &small), (4, &DayCells::new())] {
        let to = EntryId { ms, seq: 0 };
        let changed = categories(&small);
        let header = DayHeader { cursor: to, complete: 1 };
        let day = opener.today;
        let day_of = DayCheckpoint { day, from, header, cells: written, changed: &changed };
        store.checkpoint(&lease, &[day_of], &[], opener.noon()).await.unwrap();
        let stored = store.cells(PARTITION, day, None).await.unwrap().cells;
        assert!(stored == *written, "checkpoint {ms}");
        let one = store.cells(PARTITION, day, Some(&[CategoryId(37)])).await.unwrap().cells;
        assert_eq!(one.len(), written.len() / 2);
        from = to;
    }
}

/// Saved by a checkpoint, read back after reopening, the newest of each segment.
pub async fn memberships_come_back(opener: &Opener) {
    let store = opener.open().await;
    let lease = own(&store, opener.noon()).await;
    let of = |segment, version, members: &[u32]| Membership {
        segment: SegmentId(segment),
        version,
        as_of: opener.noon(),
        members: members.iter().copied().collect::<RoaringBitmap>(),
    };
    let first = [of(1, 1, &[1, 2, 70_000]), of(2, 1, &[])];
    store.checkpoint(&lease, &[], &first, opener.noon()).await.unwrap();
    let second = of(1, 2, &[5]);
    store.checkpoint(&lease, &[], std::slice::from_ref(&second), opener.noon()).await.unwrap();
    drop(store);
    let mut stored = opener.open().await.memberships(PARTITION).await.unwrap();
    stored.sort_by_key(|membership| membership.segment);
    assert_eq!(stored, [second, first[1].clone()]);
}

/// Sorted by visitor and time, trimmed from the log, each hit once whatever the pieces.
pub async fn sealing_keeps_every_hit(opener: &Opener) {
    let store = opener.open().await;
    let lease = own(&store, opener.noon()).await;
    let day = opener.today.minus(1);
    let hits: Vec<Hit> = (0..2500u32).map(|i| hit(day, i * 7919 % 640, i)).collect();
    for (lane, part) in hits.chunks(100).enumerate() {
        append(&store, lane as u64, opener.noon(), part).await;
    }
    let last = head(&store, day).await;
    let sealed = seal_all(&store, &lease, day).await;
    assert_eq!((sealed.hits, sealed.dropped), (2500, 0));
    assert!((2..=3).contains(&sealed.blocks), "{sealed:?}");
    assert!(store.read_new(PARTITION, day, EntryId::ZERO, 10).await.unwrap().is_empty());
    assert_eq!(head(&store, day).await, last);
    let mut expected = hits;
    expected.sort_by_key(|hit| (hit.visitor.ordinal, hit.time));
    for max_hits in [1, 1000, 100_000] {
        assert!(whole_day(&store, day, max_hits).await == expected, "pieces of {max_hits}");
    }
}

/// Blocks and log are read as one; sealing again merges them.
pub async fn a_late_hit_is_sealed_again(opener: &Opener) {
    let store = opener.open().await;
    let lease = own(&store, opener.noon()).await;
    let day = opener.today.minus(1);
    let early = [hit(day, 5, 50), hit(day, 1, 10)];
    append(&store, 1, opener.noon(), &early).await;
    seal_all(&store, &lease, day).await;
    let late = [hit(day, 1, 5), hit(day, 9, 1)];
    append(&store, 2, opener.noon(), &late).await;
    let all = sorted([early, late].concat());
    assert_eq!(sorted(whole_day(&store, day, 1).await), all);
    assert_eq!(seal_all(&store, &lease, day).await.hits, 4);
    assert_eq!(whole_day(&store, day, 100).await, all);
    drop(store);
    assert_eq!(whole_day(&opener.open().await, day, 100).await, all);
}

/// They count as no hit, are read a few at a time, and are gone from the log when their day is
/// sealed, also where no hit came at all.
pub async fn entries_without_hits_go_with_sealing(opener: &Opener) {
    let store = opener.open().await;
    let lease = own(&store, opener.noon()).await;
    let day = opener.today.minus(1);
    for number in 1..=3 {
        let beat = Batch::heartbeat(LaneId(7), number, PARTITION, day);
        let stored = store.append(&[&beat], opener.noon()).await.unwrap();
        assert_eq!(stored, [Appended::Stored]);
    }
    assert_eq!(whole_day(&store, day, 1).await, []);
    let read = |max| store.read_new(PARTITION, day, EntryId::ZERO, max);
    assert_eq!(read(100).await.unwrap().len(), 3);
    assert_eq!(seal_all(&store, &lease, day).await.hits, 0);
    assert_eq!(read(100).await.unwrap(), [], "the log is empty");
    let late = [hit(day, 1, 5)];
    append(&store, 2, opener.noon(), &late).await;
    assert_eq!(seal_all(&store, &lease, day).await.hits, 1);
    assert_eq!(whole_day(&store, day, 100).await, late);
}

/// What is not in the cells yet is not sealed.
pub async fn sealing_needs_the_cursor(opener: &Opener) {
    let store = opener.open().await;
    let lease = own(&store, opener.noon()).await;
    let day = opener.today.minus(1);
    append(&store, 1, opener.noon(), &[hit(day, 1, 1)]).await;
    let last = head(&store, day).await;
    let early = store.seal(&lease, day, last).await;
    assert!(matches!(early, Err(StoreError::CursorMoved { .. })), "{early:?}");
    assert_eq!(store.read_new(PARTITION, day, EntryId::ZERO, 10).await.unwrap().len(), 1);
}

/// A reader in the middle of a day that is sealed begins again.
pub async fn a_day_that_moves_while_it_is_read_says_so(opener: &Opener) {
    let store = opener.open().await;
    let lease = own(&store, opener.noon()).await;
    let day = opener.today.minus(1);
    for lane in 1..=3 {
        append(&store, lane, opener.noon(), &[hit(day, lane as u32, 1)]).await;
    }
    let page = store.read_day(PARTITION, day, DayCursor::Start, 1).await.unwrap();
    let next = page.next.expect("there is more");
    seal_all(&store, &lease, day).await;
    let moved = store.read_day(PARTITION, day, next, 1).await;
    assert!(matches!(moved, Err(StoreError::DayMoved)), "{moved:?}");
    assert_eq!(whole_day(&store, day, 1).await.len(), 3);
}
