//! Matches with partners.

use mayfly_core::{PartnerId, Visitor};
use roaring::RoaringBitmap;

use super::{Opener, PARTITION};
use crate::{Match, MatchNote, Noted, Store};

const ACME: PartnerId = PartnerId(1);
const OTHER: PartnerId = PartnerId(70_000);

const fn visitor(ordinal: u32) -> Visitor {
    Visitor { partition: PARTITION, ordinal }
}

fn note(ordinal: u32, partner: PartnerId, uid: &str) -> MatchNote {
    let uid = Some(uid).filter(|uid| !uid.is_empty()).map(Into::into);
    MatchNote { visitor: visitor(ordinal), partner, uid }
}

async fn noted(store: &Store, note: MatchNote, now: mayfly_core::Timestamp) -> Noted {
    store.note_matches(&[note], now).await.unwrap()[0]
}

/// Each with its day and generation; other partners and visitors are not touched.
pub async fn a_match_is_new_renewed_changed_and_forgotten(opener: &Opener) {
    let store = opener.open().await;
    let (noon, first) = (opener.noon(), opener.noon().plus_secs(-11 * 86_400));
    let of = |uid: &str, generation, back: u16| {
        Some(Match { uid: uid.into(), generation, seen: opener.today.minus(back) })
    };
    assert_eq!(noted(&store, note(1, ACME, ""), first).await, Noted::Absent);
    assert_eq!(noted(&store, note(1, ACME, "a\"b"), first).await, Noted::New);
    assert_eq!(noted(&store, note(1, ACME, "a\"b"), first).await, Noted::Known);
    // Through periods, for which no key knows of the other.
    for back in (0..11).rev() {
        let then = opener.noon().plus_secs(-86_400 * i64::from(back));
        assert_eq!(noted(&store, note(1, ACME, "a\"b"), then).await, Noted::Renewed, "{back}");
        let own = store.matches_of(visitor(1), &[ACME], noon).await.unwrap();
        assert_eq!(own, [of("a\"b", 0, back)]);
    }
    assert_eq!(noted(&store, note(1, OTHER, "z"), noon).await, Noted::New);
    assert_eq!(noted(&store, note(1, ACME, "c"), noon).await, Noted::Changed);
    let before = noon.plus_secs(-86_400);
    let early = noted(&store, note(1, ACME, "c"), before).await;
    assert_eq!(early, Noted::Known, "a clock that goes back takes no day away");
    let own = store.matches_of(visitor(1), &[ACME, OTHER], noon).await.unwrap();
    assert_eq!(own, [of("c", 1, 0), of("z", 0, 0)]);
    assert_eq!(store.matches_of(visitor(2), &[ACME], noon).await.unwrap(), [None]);
    assert_eq!(noted(&store, note(1, ACME, ""), noon).await, Noted::Forgotten);
    let own = store.matches_of(visitor(1), &[ACME, OTHER], noon).await.unwrap();
    assert_eq!(own, [None, of("z", 0, 0)]);
}

/// By ordinal, only those that are asked for; few and many, over key boundaries.
pub async fn matches_are_read_for_many_visitors(opener: &Opener) {
    let store = opener.open().await;
    let noon = opener.noon();
    let uid = |ordinal: u32| format!("u{ordinal}");
    let old: Vec<MatchNote> = (1..300).map(|n| note(n, ACME, "old")).collect();
    store.note_matches(&old, noon.plus_secs(-20 * 86_400)).await.unwrap();
    let new: Vec<MatchNote> = (1..300).step_by(2).map(|n| note(n, ACME, &uid(n))).collect();
    let answers = store.note_matches(&new, noon).await.unwrap();
    assert!(answers.iter().all(|noted| *noted == Noted::Changed));
    for wanted in [(1..300).collect::<Vec<u32>>(), vec![2, 3, 127, 128, 129, 255, 4_000_000]] {
        let asked: RoaringBitmap = wanted.iter().copied().collect();
        let found = store.matches(PARTITION, ACME, &asked, noon).await.unwrap();
        let found: Vec<(u32, String)> =
            found.into_iter().map(|(ordinal, own)| (ordinal, own.uid.into())).collect();
        let expected = wanted.into_iter().filter(|n| *n < 300);
        let expected: Vec<_> =
            expected.map(|n| (n, if n % 2 == 1 { uid(n) } else { "old".into() })).collect();
        assert_eq!(found, expected);
    }
    let all: RoaringBitmap = (0..300).collect();
    assert!(store.matches(PARTITION, OTHER, &all, noon).await.unwrap().is_empty());
}

/// Of many at once for one visitor the generations count every change.
pub async fn notes_at_once_lose_nothing(opener: &Opener) {
    let store = opener.open().await;
    let noon = opener.noon();
    let tasks = (0..20).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let own = note(1, ACME, &format!("u{n}"));
            let others = [own, note(2 + n, ACME, "x"), note(1, PartnerId(100 + n), "y")];
            store.note_matches(&others, noon).await.unwrap()
        })
    });
    let mut answers = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        answers.push(task.await.unwrap());
    }
    assert_eq!(answers.iter().filter(|of| of[0] == Noted::New).count(), 1);
    assert_eq!(answers.iter().filter(|of| of[0] == Noted::Changed).count(), 19);
    let own = store.matches_of(visitor(1), &[ACME], noon).await.unwrap();
    assert_eq!(own[0].as_ref().map(|own| own.generation), Some(19));
    let partners: Vec<PartnerId> = (0..20).map(|n| PartnerId(100 + n)).collect();
    let all = store.matches_of(visitor(1), &partners, noon).await.unwrap();
    assert!(all.iter().all(|own| own.as_ref().is_some_and(|own| *own.uid == *"y")));
    let asked: RoaringBitmap = (2..22).collect();
    assert_eq!(store.matches(PARTITION, ACME, &asked, noon).await.unwrap().len(), 20);
}

/// At once, for good, and nobody else's.
pub async fn an_erased_visitor_has_no_match(opener: &Opener) {
    let store = opener.open().await;
    let noon = opener.noon();
    let notes = [note(1, ACME, "a"), note(1, OTHER, "b"), note(2, ACME, "c")];
    store.note_matches(&notes, noon.plus_secs(-15 * 86_400)).await.unwrap();
    store.erase(&[visitor(1)], noon).await.unwrap();
    let only_two = async |store: &Store| {
        assert_eq!(store.matches_of(visitor(1), &[ACME, OTHER], noon).await.unwrap(), [None, None]);
        let asked: RoaringBitmap = (0..10).collect();
        let found = store.matches(PARTITION, ACME, &asked, noon).await.unwrap();
        assert_eq!(found.iter().map(|(n, own)| (*n, &*own.uid)).collect::<Vec<_>>(), [(2, "c")]);
    };
    only_two(&store).await;
    assert_eq!(noted(&store, note(1, ACME, "again"), noon).await, Noted::Erased);
    only_two(&store).await;
    drop(store);
    only_two(&opener.open().await).await;
}

/// It is kept as long as a hit of the day on which it was last seen.
pub async fn a_match_goes_with_its_day(opener: &Opener) {
    let store = opener.open().await;
    let (noon, last) = (opener.noon(), opener.noon().plus_secs(-89 * 86_400));
    noted(&store, note(1, ACME, "a"), last).await;
    let ends = store.match_ends(last.day().unwrap());
    let most = last.day().unwrap().plus(90);
    assert!((most.minus(9)..=most).contains(&ends), "{ends:?}");
    let tomorrow = noon.plus_secs(86_400);
    assert_eq!(store.matches_of(visitor(1), &[ACME], tomorrow).await.unwrap(), [None]);
    store.expire(tomorrow).await.unwrap();
    let audit = store.audit(tomorrow).await.unwrap();
    assert_eq!(audit.findings, []);
}
