//! Visitors are read and erased; days go.

use mayfly_core::{Day, Hit, Page, SegmentId, Visitor};
use roaring::RoaringBitmap;

use super::{
    Opener, PARTITION, append, cells, checkpoint, head, hit, hit_in, own, seal_all, whole_day,
};
use crate::{Claim, EntryId, ForeignId, Membership, Store, ToIntern};

const ONE: Visitor = Visitor { partition: PARTITION, ordinal: 1 };
const TWO: Visitor = Visitor { partition: PARTITION, ordinal: 2 };

/// Days ascending, each by time, from blocks and log; nobody else's.
pub async fn a_visitor_is_read_by_time(opener: &Opener) {
    let store = opener.open().await;
    let lease = own(&store, opener.noon()).await;
    let (today, before) = (opener.today, opener.today.minus(1));
    let sealed: Vec<Hit> = (0..1500).map(|i| hit(before, i % 300, 10 + i)).collect();
    append(&store, 1, opener.noon(), &sealed).await;
    seal_all(&store, &lease, before).await;
    append(&store, 2, opener.noon(), &[hit(before, 1, 3), hit(today, 1, 9), hit(today, 2, 1)])
        .await;
    append(&store, 3, opener.noon(), &[hit(today, 1, 4)]).await;
    let read = store.read_visitor(ONE, before..today.plus(1)).await.unwrap();
    let mut expected = vec![hit(before, 1, 3)];
    expected.extend(sealed.iter().filter(|hit| hit.visitor == ONE).cloned());
    expected.extend([hit(today, 1, 4), hit(today, 1, 9)]);
    assert_eq!(read, expected);
    assert_eq!(store.read_visitor(ONE, today..today.plus(1)).await.unwrap().len(), 2);
    assert!(store.read_visitor(ONE, today..today).await.unwrap().is_empty());
}

fn id(hash: u128) -> ForeignId {
    ForeignId { space: "crm".into(), hash }
}

fn claim(opener: &Opener, hash: u128, visitor: Visitor) -> Claim {
    Claim { id: id(hash), visitor, takes_over: false, until: opener.noon().plus_secs(86_400) }
}

/// Visitors 1 and 2 in log, cells, a segment, with a foreign id each.
async fn two_visitors(opener: &Opener, store: &Store, day: Day) -> crate::Lease {
    let lease = own(store, opener.noon()).await;
    append(store, 1, opener.noon(), &[hit(day, 1, 1), hit(day, 2, 2), hit(day, 1, 3)]).await;
    let last = head(store, day).await;
    let both = cells(&[0, 3], &[(1, 2, 4), (2, 1, 2)]);
    checkpoint(store, &lease, day, (EntryId::ZERO, last), &both).await.unwrap();
    let members: RoaringBitmap = [1, 2].into_iter().collect();
    let as_of = opener.noon();
    let membership = Membership { segment: SegmentId(1), version: 1, as_of, members };
    store.checkpoint(&lease, &[], &[membership], as_of).await.unwrap();
    let claims = [claim(opener, 1, ONE), claim(opener, 2, TWO)];
    store.claim_ids(&claims, opener.noon()).await.unwrap();
    lease
}

/// Gone from every read at once and after reopening; ids are free; others stay.
pub async fn erased_is_invisible_at_once(opener: &Opener) {
    let store = opener.open().await;
    let day = opener.today.minus(1);
    two_visitors(opener, &store, day).await;
    store.erase(&[ONE], opener.noon()).await.unwrap();
    only_two_is_there(&store, day).await;
    drop(store);
    let store = opener.open().await;
    only_two_is_there(&store, day).await;
    let three = Visitor { ordinal: 3, ..ONE };
    let owner = store.claim_ids(&[claim(opener, 1, three)], opener.noon()).await.unwrap();
    assert_eq!(owner, [three]);
}

async fn only_two_is_there(store: &Store, day: Day) {
    assert_eq!(whole_day(store, day, 9).await, [hit(day, 2, 2)]);
    let new = store.read_new(PARTITION, day, EntryId::ZERO, 9).await.unwrap();
    assert_eq!(new.len(), 1, "the entry stays, its hit goes");
    assert_eq!(new[0].hits, [hit(day, 2, 2)]);
    assert!(store.read_visitor(ONE, day..day.plus(1)).await.unwrap().is_empty());
    let left = cells(&[0, 3], &[(2, 1, 2)]);
    assert_eq!(store.cells(PARTITION, day, None).await.unwrap().cells, left);
    let members = &store.memberships(PARTITION).await.unwrap()[0].members;
    assert_eq!(members.iter().collect::<Vec<_>>(), [2]);
    let found = store.lookup_ids(&[id(1), id(2)]).await.unwrap();
    assert_eq!(found, [None, Some(TWO)]);
    assert!(store.erased(PARTITION).await.unwrap().contains(1));
    assert!(store.erased(mayfly_core::Partition(0)).await.unwrap().is_empty());
}

/// The next sealing leaves them out, also of blocks that were sealed before.
pub async fn erased_hits_are_not_sealed(opener: &Opener) {
    let store = opener.open().await;
    let day = opener.today.minus(1);
    let lease = two_visitors(opener, &store, day).await;
    seal_all(&store, &lease, day).await;
    store.erase(&[TWO], opener.noon()).await.unwrap();
    append(&store, 2, opener.noon(), &[hit(day, 2, 7), hit(day, 4, 8)]).await;
    let sealed = seal_all(&store, &lease, day).await;
    assert_eq!((sealed.hits, sealed.dropped), (3, 2));
    let left = [hit(day, 1, 1), hit(day, 1, 3), hit(day, 4, 8)];
    assert_eq!(whole_day(&store, day, 9).await, left);
}

/// What only the erased visitor read goes when his hits do; what others read, too, stays.
pub async fn a_page_goes_with_its_only_reader(opener: &Opener) {
    let store = opener.open().await;
    let day = opener.today.minus(1);
    let lease = own(&store, opener.noon()).await;
    let page =
        |path: &str| Page { url: format!("https://a.example/{path}").into(), ..Page::default() };
    let pages = ["mine", "first mine", "first yours", "ours", "yours"].map(page);
    let readers = [Some(ONE), Some(ONE), Some(TWO), None, Some(TWO)];
    let told = |readers: [Option<Visitor>; 5]| {
        pages.iter().zip(readers).map(|(page, reader)| (page, day, reader)).collect::<Vec<_>>()
    };
    let values = ToIntern { pages: told(readers), consents: Vec::new() };
    let keys = store.intern(&values).await.unwrap();
    assert_eq!(store.intern(&values).await.unwrap(), keys, "the same again changes nothing");
    let second = [Some(ONE), Some(TWO), Some(ONE), Some(ONE), Some(TWO)];
    let values = ToIntern { pages: told(second), consents: Vec::new() };
    assert_eq!(store.intern(&values).await.unwrap(), keys, "a second reader changes no key");

    let read = |(second, key): (u32, &mayfly_core::PageKey)| {
        let hit = hit(day, ONE.ordinal, second);
        Hit::restore(mayfly_core::HitParts { page: Some(*key), ..(*hit).clone() })
    };
    let hits: Vec<Hit> = (10..).zip(&keys.pages).map(read).collect();
    append(&store, 1, opener.noon(), &hits).await;
    store.erase(&[ONE], opener.noon()).await.unwrap();
    seal_all(&store, &lease, day).await;
    let left = store.pages(&keys.pages).await.unwrap();
    let mut all = pages.clone().map(Some);
    all[0] = None;
    assert_eq!(left, all);
    assert_eq!(store.intern(&values).await.unwrap(), keys, "and comes back when it is read anew");
    assert_eq!(store.pages(&keys.pages).await.unwrap(), pages.map(Some));
}

/// A hundred days ahead: no day goes.
pub async fn a_clock_that_jumps_drops_nothing(opener: &Opener) {
    let store = opener.open().await;
    let oldest = opener.today.minus(89);
    append(&store, 1, opener.noon(), &[hit(oldest, 1, 1), hit(opener.today, 1, 1)]).await;
    assert!(store.expire(opener.noon()).await.unwrap().is_empty());
    let jumped = opener.noon().plus_secs(100 * 86_400);
    assert!(store.expire(jumped).await.unwrap().is_empty());
    assert!(store.expire(jumped.plus_secs(86_399)).await.unwrap().is_empty());
    assert_eq!(whole_day(&store, oldest, 9).await.len(), 1);
    assert_eq!(whole_day(&store, opener.today, 9).await.len(), 1);
    append(&store, 2, jumped, &[hit(opener.today, 2, 2)]).await;
    assert_eq!(whole_day(&store, opener.today, 9).await.len(), 2, "what is spilled still comes");
}

/// After all kinds of writes every key has its expiry, and none outlives what is allowed.
pub async fn an_audit_finds_nothing(opener: &Opener) {
    let store = opener.open().await;
    let (day, oldest) = (opener.today.minus(1), opener.today.minus(89));
    let lease = two_visitors(opener, &store, day).await;
    seal_all(&store, &lease, day).await;
    let other = mayfly_core::Partition(1);
    let new = crate::NewHit { hit: hit_in(other, oldest, 1, 1), id: Some(5) };
    let batch =
        crate::Batch::encode(crate::LaneId(5), 1, other, opener.today, std::slice::from_ref(&new));
    store.append(&[&batch], opener.noon()).await.unwrap();
    store.lease_ordinals(PARTITION, 0).await.unwrap();
    let page = Page { url: "https://a.example/".into(), ..Page::default() };
    store
        .intern(&ToIntern { pages: vec![(&page, oldest, None)], consents: Vec::new() })
        .await
        .unwrap();
    store.erase(&[TWO], opener.noon()).await.unwrap();
    store.expire(opener.noon()).await.unwrap();
    let audit = store.audit(opener.noon()).await.unwrap();
    assert_eq!(audit.findings, []);
    assert_eq!(audit.oldest, Some(oldest));
    assert!(audit.seen.values().sum::<u64>() > 5, "{audit:?}");
}
