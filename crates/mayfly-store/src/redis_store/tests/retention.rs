//! Every key that holds behaviour has its expiry, and the audit would notice one without.

use mayfly_core::{ConsentState, Page, SegmentId};

use super::people::{fold, own};
use super::*;
use crate::redis_store::conn::Command;
use crate::redis_store::keys::{Kind, Life, Named};
use crate::{Audit, Claim, EntryId, Finding, ForeignId, Membership, ToIntern};

/// A store with a key of every kind that holds behaviour.
async fn full() -> (RedisServer, RedisStore) {
    let (server, store) = fresh().await;
    let page = Page { url: "https://a.example/".into(), ..Page::default() };
    let state = ConsentState::default();
    let values =
        ToIntern { pages: vec![(&page, today(), None)], consents: vec![(&state, today())] };
    store.intern(&values).await.unwrap();
    let id = ForeignId { space: "crm".into(), hash: 7 };
    let visitor = Visitor { partition: P, ordinal: 1 };
    let until = now().plus_secs(86_400);
    store.claim_ids(&[Claim { id, visitor, takes_over: false, until }], now()).await.unwrap();
    store.append(&[&batch(1, &[with_id(1, 1)])], now()).await.unwrap();
    let lease = own(&store).await;
    let cursor = fold(&store, &lease, EntryId::ZERO).await;
    store.seal(&lease, today(), cursor).await.unwrap();
    store.append(&[&batch(2, &[hit(2, today())])], now()).await.unwrap();
    let members = [1].into_iter().collect();
    let member = Membership { segment: SegmentId(1), version: 1, as_of: now(), members };
    store.checkpoint(&lease, &[], &[member], now()).await.unwrap();
    (server, store)
}

async fn findings(store: &RedisStore) -> Vec<Finding> {
    store.audit(now()).await.unwrap().findings
}

#[tokio::test]
async fn the_audit_finds_each_key_whose_expiry_was_taken_or_moved() {
    let (server, store) = full().await;
    let Audit { seen, oldest, findings: none } = store.audit(now()).await.unwrap();
    assert_eq!(none, []);
    assert_eq!(oldest, Some(today()));
    let behaviour: Vec<String> = server
        .cli(["KEYS", "mf:*"])
        .unwrap()
        .lines()
        .filter(|name| {
            let named = Named::read(name).unwrap();
            assert!(seen.contains_key(named.kind.label()), "{name}");
            named.life(store.inner.retention, now(), now()) != Life::Kept
        })
        .map(Into::into)
        .collect();
    let kinds: std::collections::BTreeSet<Kind> =
        behaviour.iter().map(|name| Named::read(name).unwrap().kind).collect();
    assert_eq!(kinds.len(), 10, "all but what is being built: {kinds:?}");
    for name in behaviour {
        let at = server.cli(["EXPIRETIME", &name]).unwrap();
        server.cli(["PERSIST", &name]).unwrap();
        assert_eq!(findings(&store).await, [Finding::NoExpiry(name.as_str().into())]);
        let later = (at.parse::<i64>().unwrap() + 3 * 86_400).to_string();
        server.cli(["EXPIREAT", &name, &later]).unwrap();
        let slack = [Kind::Ids, Kind::Page, Kind::Consent];
        if !slack.contains(&Named::read(&name).unwrap().kind) {
            assert_eq!(findings(&store).await, [Finding::LivesTooLong(name.as_str().into())]);
        }
        server.cli(["EXPIREAT", &name, &at]).unwrap();
    }
    server.cli(["SET", "mf:{7.1.1}:surprise", "1"]).unwrap();
    assert_eq!(findings(&store).await, [Finding::Unknown("mf:{7.1.1}:surprise".into())]);
}

#[tokio::test]
async fn days_go_with_the_retention_and_a_jumping_clock_drops_nothing() {
    let (_server, store) = fresh().await;
    let oldest = today().minus(89);
    let hits = [hit(1, oldest), hit(2, oldest.minus(1)), hit(3, today())];
    store.append(&[&batch(1, &hits)], now()).await.unwrap();
    let days = async || {
        let heads = store.heads(&[P]).await.unwrap();
        heads[0].iter().map(|head| head.day).collect::<Vec<_>>()
    };
    assert_eq!(days().await, [oldest, today()], "day 90 back was never stored");
    assert_eq!(store.expire(now()).await.unwrap(), []);
    let jumped = now().plus_secs(100 * 86_400);
    assert_eq!(store.expire(jumped).await.unwrap(), []);
    assert_eq!(days().await, [oldest, today()]);
    let tomorrow = now().plus_secs(86_400);
    assert_eq!(store.expire(tomorrow).await.unwrap(), [oldest]);
    assert_eq!(days().await, [today()]);
}

#[tokio::test]
async fn interning_only_prolongs() {
    let (server, store) = fresh().await;
    let page = Page { url: "https://a.example/".into(), ..Page::default() };
    let intern = async |day: Day| {
        let values = ToIntern { pages: vec![(&page, day, None)], consents: Vec::new() };
        let key = store.intern(&values).await.unwrap().pages[0];
        let name = crate::redis_store::keys::page(key);
        server.cli(["EXPIRETIME", &name]).unwrap().parse::<i64>().unwrap()
    };
    let until = |day: Day| day.plus(90).start().secs();
    assert_eq!(intern(today().minus(3)).await, until(today().minus(3)));
    assert_eq!(intern(today()).await, until(today()));
    assert_eq!(intern(today().minus(9)).await, until(today()));
}

#[tokio::test]
async fn another_page_under_the_key_takes_the_next_and_at_most_eight_do() {
    let (server, store) = fresh().await;
    let page = Page { url: "https://a.example/".into(), ..Page::default() };
    let values = ToIntern { pages: vec![(&page, today(), None)], consents: Vec::new() };
    let base = page.key(store.identity().seed);
    for step in 0..8 {
        let key = PageKey(base.0.wrapping_add(step));
        assert_eq!(store.intern(&values).await.unwrap().pages, [key]);
        server.cli(["SET", &crate::redis_store::keys::page(key), "other", "KEEPTTL"]).unwrap();
    }
    let full = store.intern(&values).await.unwrap_err();
    assert!(matches!(full, StoreError::InternFull), "{full:?}");
}

#[tokio::test]
async fn a_membership_that_nobody_writes_any_more_goes_while_others_stay() {
    let (server, store) = fresh().await;
    let lease = own(&store).await;
    let write = async |segment: u32, days_ago: i64| {
        let as_of = now().plus_secs(-86_400 * days_ago);
        let members = [1].into_iter().collect();
        let member = Membership { segment: SegmentId(segment), version: 1, as_of, members };
        store.checkpoint(&lease, &[], &[member], now()).await.unwrap();
    };
    write(7, 0).await;
    write(8, 1).await;
    let key = store.keys().segments(P);
    assert_eq!(server.cli(["HLEN", &key]).unwrap(), "2");
    // As it stands there two days on, when segment 8 is no more.
    let members = [1].into_iter().collect();
    let as_of = now().plus_secs(-86_400 * 3);
    let old = Membership { segment: SegmentId(8), version: 1, as_of, members };
    let bytes = crate::codec::records::encode_membership(&old);
    store.conn().one::<i64>(Command::new("HSET", &key).text("8").bytes(&bytes)).await.unwrap();
    write(7, 0).await;
    assert_eq!(server.cli(["HKEYS", &key]).unwrap(), "7");
}
