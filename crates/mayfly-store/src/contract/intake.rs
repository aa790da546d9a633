//! How hits come in: batches, ids, interning, ordinals, foreign ids.

use std::collections::BTreeSet;

use mayfly_core::{Choice, ConsentState, Hit, Ordinal, Page, Partition, Visitor};

use super::{Opener, PARTITION, append, batch, hit, sorted, whole_day};
use crate::{Appended, Batch, Claim, EntryId, ForeignId, LaneId, NewHit, ToIntern};

/// A batch sent again, also after reopening, is `Done`, and its hits are there once.
pub async fn a_batch_is_stored_once(opener: &Opener) {
    let hits = [hit(opener.today, 1, 10), hit(opener.today, 2, 11)];
    let sent = batch(7, 1, opener.today, &hits);
    let store = opener.open().await;
    let now = opener.noon();
    assert_eq!(store.append(&[&sent], now).await.unwrap(), [Appended::Stored]);
    assert_eq!(store.append(&[&sent], now).await.unwrap(), [Appended::Done]);
    drop(store);
    let store = opener.open().await;
    assert_eq!(store.append(&[&sent], now).await.unwrap(), [Appended::Done]);
    assert_eq!(whole_day(&store, opener.today, 100).await, hits);
}

/// A number that skips one is refused and names the last taken.
pub async fn a_lane_has_no_gaps(opener: &Opener) {
    let store = opener.open().await;
    let now = opener.noon();
    let numbered = |n| batch(8, n, opener.today, &[hit(opener.today, 1, n as u32)]);
    let answers = store.append(&[&numbered(2)], now).await.unwrap();
    assert_eq!(answers, [Appended::Gap { last: 0 }]);
    for n in 1..=3 {
        assert_eq!(store.append(&[&numbered(n)], now).await.unwrap(), [Appended::Stored]);
    }
    let answers = store.append(&[&numbered(5)], now).await.unwrap();
    assert_eq!(answers, [Appended::Gap { last: 3 }]);
    assert_eq!(whole_day(&store, opener.today, 100).await.len(), 3);
}

/// Batches of one lane in one group, one of them twice.
pub async fn one_group_takes_batches_of_one_lane_in_order(opener: &Opener) {
    let store = opener.open().await;
    let numbered = |n| batch(8, n, opener.today, &[hit(opener.today, 1, n as u32)]);
    let (one, two, four) = (numbered(1), numbered(2), numbered(4));
    let answers = store.append(&[&one, &two, &two, &four], opener.noon()).await.unwrap();
    let gap = Appended::Gap { last: 2 };
    assert_eq!(answers, [Appended::Stored, Appended::Stored, Appended::Done, gap]);
    assert_eq!(whole_day(&store, opener.today, 100).await.len(), 2);
}

fn with_ids(opener: &Opener, number: u64, ids: &[Option<i64>]) -> (Batch, Vec<Hit>) {
    let hits: Vec<Hit> =
        (0..ids.len() as u32).map(|i| hit(opener.today, i, 100 * number as u32 + i)).collect();
    let new: Vec<NewHit> =
        hits.iter().zip(ids).map(|(hit, &id)| NewHit { hit: hit.clone(), id }).collect();
    (Batch::encode(LaneId(9), number, PARTITION, opener.today, &new), hits)
}

/// Ids of today, of yesterday and of the same batch are seen; without them the batch is taken.
pub async fn an_id_seen_before_is_a_duplicate(opener: &Opener) {
    let store = opener.open().await;
    let now = opener.noon();
    let yesterday = NewHit { hit: hit(opener.today, 9, 9), id: Some(-5) };
    let before = opener.today.minus(1);
    let old = Batch::encode(LaneId(1), 1, PARTITION, before, std::slice::from_ref(&yesterday));
    assert_eq!(store.append(&[&old], now).await.unwrap(), [Appended::Stored]);
    let (first, mut hits) = with_ids(opener, 1, &[Some(1), None, Some(2)]);
    assert_eq!(store.append(&[&first], now).await.unwrap(), [Appended::Stored]);
    let (second, more) = with_ids(opener, 2, &[Some(3), Some(2), None, Some(3), Some(-5), Some(4)]);
    let answer = store.append(&[&second], now).await.unwrap();
    assert_eq!(answer, [Appended::Duplicates(vec![1, 3, 4])]);
    let rest = second.without(&[1, 3, 4]).unwrap();
    assert_eq!(store.append(&[&rest], now).await.unwrap(), [Appended::Stored]);
    hits.extend([&more[0], &more[2], &more[5], &yesterday.hit].map(Hit::clone));
    assert_eq!(sorted(whole_day(&store, opener.today, 100).await), sorted(hits));
}

/// A resent batch is `Done`, not a list of its own ids.
pub async fn ids_of_a_batch_taken_before_are_not_looked_at(opener: &Opener) {
    let store = opener.open().await;
    let (sent, _) = with_ids(opener, 1, &[Some(1), Some(2)]);
    assert_eq!(store.append(&[&sent], opener.noon()).await.unwrap(), [Appended::Stored]);
    assert_eq!(store.append(&[&sent], opener.noon()).await.unwrap(), [Appended::Done]);
}

/// A batch over several days fills each day's log.
pub async fn days_of_a_batch_are_kept_apart(opener: &Opener) {
    let store = opener.open().await;
    let day = |back: u16| opener.today.minus(back);
    let hits = [hit(day(0), 1, 1), hit(day(2), 1, 2), hit(day(0), 2, 3), hit(day(1), 2, 4)];
    append(&store, 1, opener.noon(), &hits).await;
    assert_eq!(whole_day(&store, day(0), 9).await, [hits[0].clone(), hits[2].clone()]);
    assert_eq!(whole_day(&store, day(1), 9).await, [hits[3].clone()]);
    assert_eq!(whole_day(&store, day(2), 9).await, [hits[1].clone()]);
    let heads = store.heads(&[Partition(0), PARTITION]).await.unwrap();
    assert!(heads[0].is_empty());
    let days: Vec<_> = heads[1].iter().map(|head| head.day).collect();
    assert_eq!(days, [day(2), day(1), day(0)]);
}

/// The day that is 89 days back is there, the one 90 days back is not; the batch counts as taken.
pub async fn days_out_of_retention_are_not_kept(opener: &Opener) {
    let store = opener.open().await;
    let (kept, gone) = (opener.today.minus(89), opener.today.minus(90));
    append(&store, 1, opener.noon(), &[hit(kept, 1, 1), hit(gone, 1, 1)]).await;
    assert_eq!(whole_day(&store, kept, 9).await.len(), 1);
    assert!(whole_day(&store, gone, 9).await.is_empty());
}

/// Each entry once, ascending, whatever the size of the pieces; nothing after the head.
pub async fn new_entries_are_read_in_order_and_by_pieces(opener: &Opener) {
    let store = opener.open().await;
    for lane in 1..=10 {
        let hits = [hit(opener.today, lane, 1), hit(opener.today, lane, 2)];
        append(&store, u64::from(lane), opener.noon(), &hits).await;
    }
    for max_hits in [1, 5, 100] {
        let (mut after, mut hits) = (EntryId::ZERO, Vec::new());
        loop {
            let read = store.read_new(PARTITION, opener.today, after, max_hits).await.unwrap();
            let Some(last) = read.last() else { break };
            assert!(read[0].id > after && read.is_sorted_by_key(|entry| entry.id));
            after = last.id;
            hits.extend(read.into_iter().flat_map(|entry| entry.hits));
        }
        assert_eq!(after, super::head(&store, opener.today).await);
        let ordinals: Vec<u32> = hits.iter().map(|hit| hit.visitor.ordinal).collect();
        assert_eq!(ordinals, (1..=10).flat_map(|n| [n, n]).collect::<Vec<_>>());
    }
}

/// Pages and consent states have one key each, keep it, and come back.
pub async fn equal_values_have_one_key(opener: &Opener) {
    let store = opener.open().await;
    let page = |title: &str| Page {
        url: "https://a.example/x".into(),
        title: title.into(),
        keywords: vec!["k".into()],
        categories: vec!["IAB1".into(), "IAB2".into()],
    };
    let (a, b) = (page("a"), page("b"));
    let choice = Choice { tcf: Some("CX".into()), gpp_sid: Some("2".into()), ..Choice::default() };
    let (yes, silent) =
        (ConsentState { choice, ..ConsentState::default() }, ConsentState::default());
    let (today, later) = (opener.today, opener.today.plus(1));
    let values = ToIntern {
        pages: vec![(&a, today, None), (&b, today.minus(3), None), (&a, later, None)],
        consents: vec![(&yes, today), (&silent, today)],
    };
    let keys = store.intern(&values).await.unwrap();
    assert_eq!(keys.pages[0], keys.pages[2]);
    assert_ne!(keys.pages[0], keys.pages[1]);
    assert_eq!(store.intern(&values).await.unwrap(), keys);
    drop(store);
    let store = opener.open().await;
    assert_eq!(store.intern(&values).await.unwrap(), keys);
    let unknown = mayfly_core::PageKey(keys.pages[0].0.wrapping_add(99));
    let pages = store.pages(&[keys.pages[1], unknown, keys.pages[0]]).await.unwrap();
    assert_eq!(pages, [Some(b), None, Some(a)]);
    let consents = store.consents(&keys.consents).await.unwrap();
    assert_eq!(consents, [Some(yes), Some(silent)]);
}

/// Blocks never overlap: asked for at once, after reopening, above a block known of.
pub async fn no_ordinal_is_leased_twice(opener: &Opener) {
    let store = opener.open().await;
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        asked.spawn(async move { store.lease_ordinals(PARTITION, 0).await.unwrap() });
    }
    let mut blocks = asked.join_all().await;
    drop(store);
    let store = opener.open().await;
    blocks.push(store.lease_ordinals(PARTITION, 0).await.unwrap());
    let above = blocks.iter().map(|block| block.end).max().unwrap() + 5000;
    blocks.push(store.lease_ordinals(PARTITION, above).await.unwrap());
    assert!(blocks.last().unwrap().start >= above);
    blocks.push(store.lease_ordinals(PARTITION, 0).await.unwrap());
    let all: BTreeSet<Ordinal> = blocks.iter().cloned().flatten().collect();
    assert_eq!(all.len(), blocks.iter().map(ExactSizeIterator::len).sum::<usize>());
    assert!(!all.contains(&0), "ordinal 0 is never issued");
}

/// The first claim wins, two in one call agree, and lookups say so.
pub async fn an_id_stands_for_its_first_claimant(opener: &Opener) {
    let store = opener.open().await;
    let now = opener.noon();
    let id = |space: &str, hash| ForeignId { space: space.into(), hash };
    let visitor = |ordinal| Visitor { partition: PARTITION, ordinal };
    let claim = |id: &ForeignId, ordinal| Claim {
        id: id.clone(),
        visitor: visitor(ordinal),
        takes_over: false,
        until: now.plus_secs(10 * 86_400),
    };
    let (a, b, c) = (id("crm", 1), id("ifa", 1), id("crm", 2));
    let claims = [claim(&a, 1), claim(&b, 2), claim(&a, 3)];
    let owners = store.claim_ids(&claims, now).await.unwrap();
    assert_eq!(owners, [visitor(1), visitor(2), visitor(1)]);
    let owners = store.claim_ids(&[claim(&b, 9), claim(&c, 9)], now).await.unwrap();
    assert_eq!(owners, [visitor(2), visitor(9)]);
    let newest = Claim { takes_over: true, ..claim(&b, 7) };
    assert_eq!(store.claim_ids(&[newest], now).await.unwrap(), [visitor(7)]);
    // Erased with the one who has it now, not with the one who had it.
    store.erase(&[visitor(2)], now).await.unwrap();
    assert_eq!(store.lookup_ids(std::slice::from_ref(&b)).await.unwrap(), [Some(visitor(7))]);
    store.erase(&[visitor(7)], now).await.unwrap();
    assert_eq!(store.lookup_ids(&[b]).await.unwrap(), [None]);
    let found = store.lookup_ids(&[c, id("other", 1), a]).await.unwrap();
    assert_eq!(found, [Some(visitor(9)), None, Some(visitor(1))]);
}
