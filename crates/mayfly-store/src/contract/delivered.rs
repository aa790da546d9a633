//! What deliveries remember.

use std::collections::BTreeMap;

use mayfly_core::{Day, Partition, PartnerId, Timestamp, Visitor};
use roaring::RoaringBitmap;

use super::{Opener, PARTITION};
use crate::{EntryId, LedgerRow, MatchNews, MatchNote, Sent, Store};

const ACME: PartnerId = PartnerId(1);
const OTHER: PartnerId = PartnerId(70_000);

const fn visitor(ordinal: u32) -> Visitor {
    Visitor { partition: PARTITION, ordinal }
}

async fn note(store: &Store, ordinal: u32, partner: PartnerId, uid: &str, now: Timestamp) {
    let uid = Some(uid).filter(|uid| !uid.is_empty()).map(Into::into);
    let note = MatchNote { visitor: visitor(ordinal), partner, uid };
    store.note_matches(&[note], now).await.unwrap();
}

async fn news(store: &Store, partner: PartnerId, after: EntryId) -> Vec<(EntryId, MatchNews)> {
    store.match_news(PARTITION, partner, after, 1000).await.unwrap()
}

fn gone(uid: &str) -> MatchNews {
    MatchNews::Gone(uid.into())
}

/// New ids, ids that another one follows, that are taken back, and those of the erased; of told
/// partners alone, in order, and none for what is merely seen again.
pub async fn news_tell_what_happened_to_matches(opener: &Opener) {
    let store = opener.open().await;
    let noon = opener.noon();
    note(&store, 1, ACME, "before", noon).await;
    store.tell(&[ACME]);
    note(&store, 1, ACME, "before", noon).await;
    note(&store, 70_000, ACME, "a", noon).await;
    note(&store, 70_000, OTHER, "z", noon).await;
    note(&store, 70_000, ACME, "a", noon.plus_secs(86_400)).await;
    note(&store, 70_000, ACME, "b", noon).await;
    note(&store, 2, ACME, "", noon).await;
    note(&store, 1, ACME, "", noon).await;
    store.erase(&[visitor(70_000), visitor(3)], noon).await.unwrap();
    let all = news(&store, ACME, EntryId::ZERO).await;
    let told: Vec<MatchNews> = all.iter().map(|(_, news)| news.clone()).collect();
    let matched = MatchNews::Matched(70_000);
    let expected = [matched.clone(), gone("a"), matched, gone("before"), gone("b")];
    assert_eq!(told, expected);
    assert!(all.windows(2).all(|two| two[0].0 < two[1].0));
    assert!(news(&store, OTHER, EntryId::ZERO).await.is_empty());
    assert_eq!(news(&store, ACME, all[2].0).await, all[3..]);
    let two = store.match_news(PARTITION, ACME, EntryId::ZERO, 2).await.unwrap();
    assert_eq!(two, all[..2]);
    assert!(store.match_news(Partition(4), ACME, EntryId::ZERO, 2).await.unwrap().is_empty());
    // Later ones come after all of before, also when the store was opened anew.
    drop(store);
    let store = opener.open().await;
    store.tell(&[ACME]);
    note(&store, 5, ACME, "c", noon.plus_secs(-3600)).await;
    let later = news(&store, ACME, all[4].0).await;
    assert_eq!(later.len(), 1);
    assert_eq!(later[0].1, MatchNews::Matched(5));
}

/// Nothing of them is left in an audit, either.
pub async fn news_are_forgotten_when_told_or_old(opener: &Opener) {
    let store = opener.open().await;
    let noon = opener.noon();
    store.tell(&[ACME]);
    for ordinal in 1..4 {
        note(&store, ordinal, ACME, &format!("u{ordinal}"), noon).await;
    }
    let all = news(&store, ACME, EntryId::ZERO).await;
    store.forget_news(PARTITION, ACME, all[1].0).await.unwrap();
    assert_eq!(news(&store, ACME, EntryId::ZERO).await, all[2..]);
    let audit = store.audit(noon).await.unwrap();
    assert_eq!(audit.findings, []);
    // The clock is believed day by day.
    for day in 1..=32 {
        store.expire(noon.plus_secs(day * 86_400)).await.unwrap();
    }
    let audit = store.audit(noon.plus_secs(32 * 86_400)).await.unwrap();
    assert_eq!(audit.findings, []);
}

/// Written over, removed when empty; other destinations and partitions are not touched.
pub async fn who_was_sent_is_kept_by_code(opener: &Opener) {
    let store = opener.open().await;
    let noon = opener.noon();
    let days = |days: &[(u16, &[u32])]| -> BTreeMap<Day, RoaringBitmap> {
        let rows = days.iter();
        rows.map(|(day, own)| (opener.today.plus(*day), own.iter().copied().collect())).collect()
    };
    let fans = Sent { code: "11".into(), until: days(&[(1, &[1, 2]), (30, &[70_000])]) };
    let odd = Sent { code: "a:\"b\"/ü".into(), until: days(&[(7, &[3])]) };
    let rows = [(PARTITION, fans.clone()), (PARTITION, odd.clone()), (Partition(4), fans.clone())];
    store.put_sent(7, &rows, noon).await.unwrap();
    store.put_sent(8, &[(PARTITION, odd.clone())], noon).await.unwrap();
    assert_eq!(store.sent(7, PARTITION).await.unwrap(), [fans.clone(), odd.clone()]);
    let mut fewer = fans.clone();
    fewer.add(opener.today.plus(60), &RoaringBitmap::from_iter([2, 9]));
    fewer.remove(&RoaringBitmap::from_iter([1]));
    let none = Sent { code: odd.code.clone(), ..Sent::default() };
    store.put_sent(7, &[(PARTITION, fewer.clone()), (PARTITION, none)], noon).await.unwrap();
    let expected = Sent { code: "11".into(), until: days(&[(30, &[70_000]), (60, &[2, 9])]) };
    assert_eq!(store.sent(7, PARTITION).await.unwrap(), std::slice::from_ref(&expected));
    assert_eq!(expected.all().iter().collect::<Vec<_>>(), [2, 9, 70_000]);
    assert_eq!(store.sent(7, Partition(4)).await.unwrap(), [fans]);
    assert_eq!(store.sent(8, PARTITION).await.unwrap(), [odd]);
    assert_eq!(store.audit(noon).await.unwrap().findings, []);
    drop(store);
    let store = opener.open().await;
    assert_eq!(store.sent(7, PARTITION).await.unwrap(), [expected]);
}

/// The newest first, each written again as it goes on.
pub async fn the_ledger_keeps_the_newest(opener: &Opener) {
    let store = opener.open().await;
    let row = |number: u64, text: &str| LedgerRow { number, bytes: text.into() };
    store.write_ledger(7, &row(0, "standing")).await.unwrap();
    for number in 1..=1005 {
        store.write_ledger(7, &row(number, "begun")).await.unwrap();
    }
    store.write_ledger(7, &row(1005, "done")).await.unwrap();
    store.write_ledger(8, &row(1, "other")).await.unwrap();
    let newest = store.ledger(7, u64::MAX, 2).await.unwrap();
    assert_eq!(newest, [row(1005, "done"), row(1004, "begun")]);
    assert_eq!(store.ledger(7, 1004, 1).await.unwrap(), [row(1003, "begun")]);
    assert_eq!(store.ledger(7, 2, 9).await.unwrap(), [row(1, "begun"), row(0, "standing")]);
    assert_eq!(store.ledger(7, u64::MAX, 2000).await.unwrap().len(), 1002);
    assert_eq!(store.ledger(8, u64::MAX, 9).await.unwrap(), [row(1, "other")]);
    assert!(store.ledger(9, u64::MAX, 9).await.unwrap().is_empty());
}
