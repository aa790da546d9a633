use mayfly_core::{Candidate, Outcome, Page};

use super::*;
use crate::body::{BodyFormat, BodyItems};
use crate::refusal::Reason;
use crate::server_hits::HitsAnswer;
use crate::submission::{Submission, SubmittedClient, VisitorRef};

fn hit(id: &str, crm: &str, time_s: i64) -> String {
    format!(
        r#"{{"id":"{id}","visitor":{{"space":"crm","id":"{crm}"}},"site":"news",
        "time":{},"url":"https://n.example/{id}"}}"#,
        time_s * 1000
    )
    .replace('\n', "")
}

async fn post(world: &World, hits: &[String]) -> HitsAnswer {
    let body = format!("[{}]", hits.join(","));
    world.collector.hits(BodyItems::read(body.as_bytes(), BodyFormat::Json), noon()).await
}

fn count(answer: &HitsAnswer, outcome: Outcome) -> u64 {
    answer.counts[outcome.index()]
}

#[tokio::test]
async fn the_same_id_twice_is_a_duplicate_and_a_foreign_id_is_one_visitor() {
    let world = World::new().await;
    let now = noon().secs();
    let first = [hit("h1", "a", now), hit("h2", "a", now), hit("h3", "b", now - 86_400)];
    assert_eq!(count(&post(&world, &first).await, Outcome::Stored), 3);
    let again = post(&world, &[hit("h1", "a", now), hit("h4", "b", now)]).await;
    assert_eq!((count(&again, Outcome::Duplicate), count(&again, Outcome::Stored)), (1, 1));
    assert_eq!(again.refused[0].index, 0);
    let mut by_visitor = std::collections::BTreeMap::new();
    for hit in world.stored().await {
        *by_visitor.entry(hit.visitor).or_insert(0) += 1;
    }
    assert_eq!(by_visitor.into_values().collect::<Vec<_>>(), [2, 2]);
}

#[tokio::test]
async fn one_body_with_the_same_id_twice_stores_it_once() {
    let world = World::new().await;
    let now = noon().secs();
    let answer = post(&world, &[hit("h", "a", now), hit("h", "a", now)]).await;
    assert_eq!((count(&answer, Outcome::Stored), count(&answer, Outcome::Duplicate)), (1, 1));
    assert_eq!(world.stored().await.len(), 1);
}

#[tokio::test]
async fn each_item_has_its_outcome_by_index() {
    let world = World::new().await;
    let now = noon().secs();
    let day = 86_400;
    let answer = post(
        &world,
        &[
            hit("future", "a", now + 301),
            hit("old", "a", now - 91 * day),
            hit("before1970", "a", -5),
            hit("ok", "a", now - 89 * day),
            "{}".to_owned(),
            hit("site", "a", now).replace("news", "other"),
        ],
    )
    .await;
    let outcomes: Vec<_> = answer.refused.iter().map(|r| (r.index, r.verdict.outcome)).collect();
    let expected = [
        (0, Outcome::FromFuture),
        (1, Outcome::TooOld),
        (2, Outcome::TooOld),
        (4, Outcome::Malformed),
        (5, Outcome::UnknownSite),
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(count(&answer, Outcome::Stored), 1);
    assert_eq!((answer.counts.iter().sum::<u64>(), world.counted()), (6, 6));
}

#[tokio::test]
async fn a_body_refused_whole_counts_as_one_hit() {
    let world = World::new().await;
    let body = format!("[{}", hit("h", "a", noon().secs()));
    let answer =
        world.collector.hits(BodyItems::read(body.as_bytes(), BodyFormat::Json), noon()).await;
    assert_eq!(answer.whole, Some(Reason::BadJson));
    assert_eq!((answer.counts.iter().sum::<u64>(), world.counted()), (1, 1));
}

#[tokio::test]
async fn an_erased_visitors_foreign_id_begins_anew() {
    let world = World::new().await;
    let now = noon().secs();
    post(&world, &[hit("h1", "a", now)]).await;
    let old = world.stored().await[0].visitor;
    world.store.erase(&[old], noon()).await.unwrap();
    world.collector.erase(old);
    assert_eq!(count(&post(&world, &[hit("h2", "a", now)]).await, Outcome::Stored), 1);
    let hits = world.stored().await;
    assert_eq!(hits.len(), 1, "the erased visitor's hit is invisible");
    assert_ne!(hits[0].visitor, old);
}

#[tokio::test]
async fn submissions_name_visitors_by_number_and_by_cookie() {
    let world = World::new().await;
    let own = world.browser().await;
    let visitor = world.collector.visitor(&own, noon()).await.unwrap();
    let cookie = own.strip_prefix("mf_id=").unwrap();
    let submission = |visitor| {
        let page = Page { url: "https://n.example/x".into(), ..Page::default() };
        let candidate = Candidate { page, ..Candidate::default() };
        Submission {
            site: "news".into(),
            visitor,
            candidate,
            fleeting: Vec::new(),
            client: SubmittedClient::default(),
            hit_id: None,
        }
    };
    let never = mayfly_core::Visitor { ordinal: 4_000_000_000, ..visitor };
    let verdicts = world
        .collector
        .submit(
            vec![
                submission(VisitorRef::Known(visitor)),
                submission(VisitorRef::Cookie(cookie.into())),
                submission(VisitorRef::Cookie("forged".into())),
                submission(VisitorRef::Known(never)),
            ],
            noon(),
        )
        .await;
    let outcomes: Vec<_> = verdicts.iter().map(|v| v.outcome).collect();
    let (stored, bad) = (Outcome::Stored, Outcome::Malformed);
    assert_eq!(outcomes, [stored, stored, bad, bad]);
    assert!(world.stored().await.iter().all(|h| h.visitor == visitor));
}
