use std::collections::BTreeSet;

use mayfly_core::consent::ConsentRole;
use mayfly_core::{ConsentPolicy, Outcome, Partition, Refusal, Visitor, limits};

use super::*;
use crate::bots::BotKind;
use crate::cookie::VisitorCookie;
use crate::refusal::Reason;

#[tokio::test]
async fn a_browser_gets_one_visitor_by_the_probe_and_keeps_it() {
    let world = World::new().await;
    let PixelAnswer::Probe { location, set_cookie } = world.pixel(PAGE, "").await else {
        panic!("no probe")
    };
    assert_eq!(location, format!("?{PAGE}&mf_probe=1"));
    assert!(set_cookie.contains("Max-Age=600") && set_cookie.contains("HttpOnly"));
    assert_eq!((world.counted(), world.metrics.probes()), (0, 1), "no hit yet");

    let answer = world.pixel(&location[1..], pair(&set_cookie)).await;
    assert_eq!(outcome(&answer), Outcome::Stored);
    let cookie = cookie_of(&answer);
    assert!(cookie.starts_with("mf_id=") && cookie.contains("Max-Age=7776000"));
    let again = world.pixel(PAGE, pair(&cookie)).await;
    let kept = PixelAnswer::Gif { verdict: Some(Outcome::Stored.into()), set_cookies: Vec::new() };
    assert_eq!(again, kept, "not renewed on the day of issue");
    let visitors: BTreeSet<_> = world.stored().await.iter().map(|h| h.visitor).collect();
    assert_eq!(visitors.len(), 1);
    assert_eq!(world.collector.visitor(pair(&cookie), noon()).await, visitors.first().copied());

    let tomorrow = PixelRequest {
        query: PAGE,
        cookie: Some(pair(&cookie)),
        now: noon().plus_secs(86_400),
        ..a_request()
    };
    assert_ne!(cookie_of(&world.collector.pixel(&tomorrow).await), cookie, "renewed once a day");
}

#[tokio::test]
async fn a_client_without_cookies_spends_no_ordinal() {
    let world = World::new().await;
    let answer = world.pixel(&format!("{PAGE}&mf_probe=1"), "").await;
    assert_eq!(verdict(&answer), Reason::NoCookie.into());
    let answer = world.pixel(&format!("{PAGE}&mf_probe=1"), "mf_probe=forged").await;
    assert_eq!(outcome(&answer), Outcome::Cookieless);
    assert!(world.stored().await.is_empty());
}

#[tokio::test]
async fn parallel_requests_with_one_probe_get_one_visitor() {
    let world = World::new().await;
    let PixelAnswer::Probe { set_cookie, .. } = world.pixel(PAGE, "").await else {
        panic!("no probe")
    };
    let mut tasks = Vec::new();
    for n in 0..20 {
        let (collector, cookie) = (world.collector.clone(), pair(&set_cookie).to_owned());
        tasks.push(tokio::spawn(async move {
            let query = format!("{PAGE}{n}");
            let request = PixelRequest { query: &query, cookie: Some(&cookie), ..a_request() };
            outcome(&collector.pixel(&request).await)
        }));
    }
    for task in tasks {
        assert_eq!(task.await.unwrap(), Outcome::Stored);
    }
    let hits = world.stored().await;
    let visitors: BTreeSet<_> = hits.iter().map(|h| h.visitor).collect();
    assert_eq!((hits.len(), visitors.len()), (20, 1));
}

#[tokio::test]
async fn cookies_that_are_not_ours_count_as_none() {
    let world = World::new().await;
    let own = world.browser().await;
    let visitor = world.collector.visitor(&own, noon()).await.unwrap();
    let identity = world.store.identity();
    let make = |visitor, keys: &KeyRing| {
        let (store, realm) = (identity.store, identity.realm);
        let cookie = VisitorCookie { store, realm, visitor, issued: TODAY };
        format!("mf_id={}", cookie.encode(keys))
    };
    assert_eq!(outcome(&world.pixel(PAGE, &make(visitor, &world.keys)).await), Outcome::Stored);
    let never = Visitor { ordinal: 4_000_000_000, ..visitor };
    let beyond = Visitor { partition: Partition(identity.partitions), ..visitor };
    for (what, cookie) in [
        ("another key", make(visitor, &KeyRing::generate().unwrap())),
        ("never issued", make(never, &world.keys)),
        ("no such partition", make(beyond, &world.keys)),
        ("truncated", own[..own.len() - 1].to_owned()),
        ("forged", own.replace("mf_id=A", "mf_id=B")),
        ("empty", "mf_id=".to_owned()),
    ] {
        let answer = world.pixel(PAGE, &cookie).await;
        assert!(matches!(answer, PixelAnswer::Probe { .. }), "{what}: {answer:?}");
    }
    world.collector.erase(visitor);
    let answer = world.pixel(PAGE, &own).await;
    assert!(matches!(answer, PixelAnswer::Probe { .. }), "erased: {answer:?}");
}

#[tokio::test]
async fn every_bad_request_has_its_outcome_and_all_are_counted() {
    let world = World::new().await;
    let own = world.browser().await;
    let before = world.counted();
    let many = format!("{own}; {}", "c=1; ".repeat(10_000));
    let long = format!("{PAGE}&t={}", "x".repeat(64 * 1024));
    let cases = [
        (PAGE, &*own, Outcome::Stored),
        (PAGE, "mf_optout=1", Outcome::OptedOut),
        ("%", "mf_optout=1", Outcome::OptedOut),
        (&*long, &*own, Outcome::OverLimit),
        (PAGE, &*many, Outcome::OverLimit),
        ("s=news&u=%FF", &*own, Outcome::Malformed),
        ("s=news&u=%zz", &*own, Outcome::Malformed),
        ("s=news", &*own, Outcome::Malformed),
        ("s=news&u=javascript:1", &*own, Outcome::Malformed),
        ("s=other&u=https://n.example/", &*own, Outcome::UnknownSite),
        ("u=https://n.example/", &*own, Outcome::UnknownSite),
        ("s=news&u=https://evil.example/", &*own, Outcome::WrongOrigin),
        ("s=news&u=https://n.example/&e=A", &*own, Outcome::Malformed),
        ("s=news&u=https://n.example/&mf_probe=1", "", Outcome::Cookieless),
    ];
    for (query, cookie, expected) in cases {
        let got = outcome(&world.pixel(query, cookie).await);
        assert_eq!(got, expected, "{}", &query[..query.len().min(40)]);
    }
    assert_eq!(world.counted() - before, cases.len() as u64, "outcomes sum to hits received");
}

#[tokio::test]
async fn headers_speak_for_the_page_and_against_it() {
    let world = World::new().await;
    let own = world.browser().await;
    let base = PixelRequest { cookie: Some(&own), ..a_request() };
    let at = |query, referer, origin, gpc| PixelRequest { query, referer, origin, gpc, ..base };
    let page = Some("https://n.example/from-referer");
    for (request, expected) in [
        (at("s=news", page, None, None), Outcome::Stored),
        (at("s=news", page, None, Some("1")), Outcome::OptedOut),
        (at(PAGE, Some("https://evil.example/"), None, None), Outcome::WrongOrigin),
        (at(PAGE, None, Some("https://evil.example"), None), Outcome::WrongOrigin),
        (at(PAGE, None, Some("null"), None), Outcome::WrongOrigin),
        (at(PAGE, None, Some("https://n.example"), Some("0")), Outcome::Stored),
    ] {
        assert_eq!(outcome(&world.collector.pixel(&request).await), expected, "{request:?}");
    }
}

#[tokio::test]
async fn a_url_has_at_most_its_versions_a_day() {
    let world = World::new().await;
    let own = world.browser().await;
    for n in 0..limits::PAGE_VERSIONS_PER_DAY + 8 {
        let query = format!("s=news&u=https://n.example/v&t=title{n}");
        assert_eq!(outcome(&world.pixel(&query, &own).await), Outcome::Stored);
    }
    let keys: BTreeSet<_> = world.stored().await.iter().filter_map(|h| h.page).collect();
    assert_eq!(keys.len(), limits::PAGE_VERSIONS_PER_DAY + 1, "and the page of the first visit");
    let keys: Vec<_> = keys.into_iter().collect();
    let pages = world.store.pages(&keys).await.unwrap();
    assert!(pages.iter().all(Option::is_some), "every hit's page is there");
}

#[tokio::test]
async fn a_site_brings_so_many_new_pages_a_day_and_no_more() {
    let world = World::new().await;
    let mut few = site();
    few.plan.pages_per_day = 3;
    world.collector.set_sites([few].into_iter().collect());
    let own = world.browser().await;
    for n in 0..9 {
        let query = format!("s=news&u=https://n.example/{}", n % 6);
        assert_eq!(outcome(&world.pixel(&query, &own).await), Outcome::Stored, "{n}");
    }
    let hits = world.stored().await;
    let pages: BTreeSet<_> = hits.iter().filter_map(|hit| hit.page).collect();
    assert_eq!((hits.len(), pages.len()), (10, 3), "the others are kept without their page");
    assert_eq!(hits.iter().filter(|hit| hit.page.is_none()).count(), 5);
}

#[tokio::test]
async fn the_same_hit_within_a_second_is_one_and_a_refused_one_is_none() {
    let world = World::new().await;
    let own = world.browser().await;
    let at = |query, ms: i64| {
        let now = Timestamp::from_millis(noon().plus_secs(60).millis() + ms);
        PixelRequest { query, cookie: Some(&own), now, ..a_request() }
    };
    let click = "s=news&u=https%3A%2F%2Fn.example%2Fa&e=ad_click";
    let engaged = "s=news&u=https%3A%2F%2Fn.example%2Fa&e=engagement&d=1000";
    for (query, ms, expected) in [
        (PAGE, 0, Outcome::Stored),
        (PAGE, 999, Outcome::Duplicate),
        (PAGE, 1999, Outcome::Stored),
        (click, 1999, Outcome::Stored),
        (click, 1999, Outcome::Duplicate),
        (engaged, 2000, Outcome::Stored),
        (engaged, 2000, Outcome::Stored),
    ] {
        let got = outcome(&world.collector.pixel(&at(query, ms)).await);
        assert_eq!(got, expected, "{query} at {ms}");
    }
    world.collector.shutdown().await;
    for _ in 0..2 {
        let got = outcome(&world.collector.pixel(&at("s=news&u=https://n.example/b", 0)).await);
        assert_eq!(got, Outcome::Shed, "what was not taken may be sent again");
    }
}

#[tokio::test]
async fn automata_are_refused_by_name_and_by_pace_unless_their_site_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::on(StoreUrl::File(folder.path().join("store")), folder).await;
    let own = world.browser().await;
    let slow = |config: &mut CollectorConfig| config.hits_per_minute_max = 3;
    let spill = tempfile::tempdir().unwrap();
    let (collector, metrics) =
        collector_on(spill.path(), &world.store, &world.keys, slow, None).await;
    let ask = async |n: i64, agent: Option<&'static str>| {
        let query = format!("{PAGE}{n}");
        let hints = Hints { user_agent: agent, ..Hints::default() };
        let now = noon().plus_secs(120 + n);
        let request = PixelRequest { query: &query, cookie: Some(&own), hints, now, ..a_request() };
        verdict(&collector.pixel(&request).await)
    };
    let browser = a_request().hints.user_agent;
    for n in 0..3 {
        assert_eq!(ask(n, browser).await, Outcome::Stored.into());
    }
    assert_eq!(ask(4, browser).await, Reason::TooFast.into());
    assert_eq!(ask(60, browser).await, Outcome::Stored.into(), "another minute");
    assert_eq!(ask(61, None).await, Reason::Bot(BotKind::NoAgent).into());
    let crawler = Some("Mozilla/5.0 (compatible; Googlebot/2.1)");
    assert_eq!(ask(62, crawler).await, Reason::Bot(BotKind::Listed).into());
    assert_eq!((metrics.hits(Outcome::Bot), metrics.refusals(Reason::TooFast)), (3, 1));
    let keeps = Site { keeps_bots: true, ..site() };
    collector.set_sites([keeps].into_iter().collect());
    for n in 63..70 {
        assert_eq!(ask(n, crawler).await, Outcome::Stored.into());
    }
}

/// What the tag reads in an answer.
fn told(answer: &PixelAnswer) -> (Option<Outcome>, Option<&str>, Option<&str>) {
    let PixelAnswer::Tag { verdict, probe, id, .. } = answer else { panic!("{answer:?}") };
    (verdict.map(|v| v.outcome), probe.as_deref(), id.as_deref())
}

#[tokio::test]
async fn the_tag_keeps_an_id_where_cookies_do_not_stick() {
    let world = World::new().await;
    let origin = Some("https://n.example");
    let post = async |query: &str, cookie: Option<&str>, s: i64| {
        let now = noon().plus_secs(s);
        let request = PixelRequest { query, cookie, origin, is_post: true, now, ..a_request() };
        world.collector.pixel(&request).await
    };
    let answer = post(&format!("{PAGE}&j=1&fp="), None, 0).await;
    let (None, Some(probe), None) = told(&answer) else { panic!("{answer:?}") };
    assert!(matches!(answer, PixelAnswer::Tag { is_readable: true, .. }));

    let answer = post(&format!("{PAGE}&j=1&fp={probe}"), None, 2).await;
    let (Some(Outcome::Stored), None, Some(id)) = told(&answer) else { panic!("{answer:?}") };
    let again = post(&format!("{PAGE}&j=1&fp={id}"), None, 4).await;
    assert_eq!(told(&again), (Some(Outcome::Stored), None, None), "known, not renewed");
    let beacon = format!("{PAGE}&e=engagement&d=3000&fp={id}");
    assert_eq!(told(&post(&beacon, None, 6).await).0, Some(Outcome::Stored));
    let visitors: BTreeSet<_> = world.stored().await.iter().map(|h| h.visitor).collect();
    assert_eq!((world.stored().await.len(), visitors.len()), (3, 1));

    let stranger = format!("{PAGE}&e=engagement&d=3000&fp=");
    assert_eq!(told(&post(&stranger, None, 8).await).0, Some(Outcome::Cookieless));
    let other = Site::new(SiteId(2), "other", vec![Origin::Any]);
    world.collector.set_sites([site(), other].into_iter().collect());
    let stolen = format!("s=other&u=https://o.example/&j=1&fp={id}");
    assert!(told(&post(&stolen, None, 9).await).1.is_some(), "it is good for its site alone");
    // Where the cookie does stick, it counts.
    let own = world.browser().await;
    let both = post(&format!("{PAGE}&j=1&fp={id}"), Some(&own), 10).await;
    assert_eq!(told(&both), (Some(Outcome::Stored), None, None));
    let visitors: BTreeSet<_> = world.stored().await.iter().map(|h| h.visitor).collect();
    assert_eq!(visitors.len(), 2);
}

#[tokio::test]
async fn without_consent_nothing_is_stored_or_set_and_the_reason_is_told() {
    let world = World::new().await;
    let mut strict = site();
    strict.consent.policy = ConsentPolicy::Tcf;
    strict.consent.role = Some(ConsentRole::Vendor(999));
    world.collector.set_sites([strict].into_iter().collect());
    let many = "CPA9dwAPA9dwAKjACBENAPCIAEBAAECAAIAAAAAAAAAA";
    for (consent, refusal) in [
        ("", Refusal::Absent),
        ("&gdpr=1", Refusal::Absent),
        ("&gdpr=1&gdpr_consent=XX", Refusal::Invalid),
        (&format!("&gdpr_consent={many}"), Refusal::Invalid),
        ("&coppa=1", Refusal::Child),
        ("&gpc=1", Refusal::Gpc),
        ("&pc=1", Refusal::PreChoice),
        ("&us_privacy=1YYN", Refusal::Refused),
    ] {
        let answer = world.pixel(&format!("{PAGE}{consent}"), "").await;
        let expected = Some(Reason::Consent(refusal).into());
        assert_eq!(
            answer,
            PixelAnswer::Gif { verdict: expected, set_cookies: Vec::new() },
            "{consent}"
        );
        assert!(world.metrics.refusals(Reason::Consent(refusal)) > 0);
    }
    assert!(matches!(world.pixel(&format!("{PAGE}&gdpr=0"), "").await, PixelAnswer::Probe { .. }));
    assert_eq!((world.metrics.probes(), world.stored().await.len()), (1, 0));
}

#[tokio::test]
async fn before_the_store_is_open_every_hit_is_refused_and_counted() {
    let metrics = CollectorMetrics::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = CollectorConfig::new(folder.path().to_owned(), || Duration::ZERO);
    let collector = Collector::new(config, metrics.clone());
    let request = PixelRequest { query: PAGE, ..a_request() };
    assert_eq!(verdict(&collector.pixel(&request).await), Reason::NotOpen.into());
    assert_eq!(metrics.hits(Outcome::StoreFailed), 1);
}

#[tokio::test]
async fn new_visitors_reach_new_partitions() {
    let world = World::new().await;
    let before = world.store.identity().partitions;
    world.store.raise_partitions(before * 2).await.unwrap();
    world.collector.raise_partitions(before * 2);
    let mut partitions = BTreeSet::new();
    for _ in 0..4 * before {
        let own = world.browser().await;
        partitions.insert(world.collector.visitor(&own, noon()).await.unwrap().partition.0);
    }
    assert!(partitions.iter().any(|&p| p >= before), "{partitions:?}");
}

#[tokio::test]
async fn what_a_request_carries_around_is_small() {
    let world = World::new().await;
    let request = PixelRequest { query: PAGE, ..a_request() };
    // It is moved several times on its way; a store's own work, of kilobytes, is not in it.
    assert!(size_of_val(&world.collector.pixel(&request)) < 4096);
}
