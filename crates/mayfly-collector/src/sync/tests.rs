//! Id sync with a real store; time is given.

use mayfly_core::consent::{ConsentRole, Receiver};
use mayfly_core::{ConsentPolicy, Partner, PartnerId, PartnerKind, SyncUrl, Visitor};
use mayfly_store::Noted;

use super::*;
use crate::tests::{World, noon, site};

const BASE: &str = "https://dmp.example";

fn partner(id: u32, key: &str) -> Partner {
    let text = format!(
        "https://{key}.example/get?r={{{{redirect_url}}}}&g={{{{gdpr}}}}&us={{{{our_uid}}}}"
    );
    Partner {
        sync: SyncUrl::parse(&text).ok(),
        hosts: vec![format!("cb.{key}.example").into()],
        ..Partner::new(PartnerId(id), key, Receiver::vendor(7))
    }
}

fn partners() -> Vec<Partner> {
    let google = PartnerKind::Google { network: "nid".into() };
    vec![
        partner(1, "acme"),
        Partner { bidder: "betaads".into(), uid_macro: "[UID]".into(), ..partner(2, "beta") },
        Partner { kind: google, sync: None, ..partner(3, "google") },
    ]
}

async fn world() -> (World, String, Visitor) {
    let world = World::new().await;
    let sites: crate::SiteTable = [site()].into_iter().collect();
    world.collector.set_sites(sites.with_partners(partners()));
    let cookie = world.browser().await;
    let visitor = world.collector.visitor(&cookie, noon()).await.unwrap();
    (world, cookie, visitor)
}

fn asks<'r>(query: &'r str, cookies: &'r str) -> SyncRequest<'r> {
    SyncRequest { query, cookies, gpc: None, base: BASE, now: noon() }
}

async fn uid(world: &World, visitor: Visitor, partner: u32) -> Option<String> {
    let found = world.store.matches_of(visitor, &[PartnerId(partner)], noon()).await.unwrap();
    found.into_iter().next().flatten().map(|own| own.uid.into())
}

/// The value of a parameter in a URL.
fn parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    url.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn a_browser_is_led_to_partners_and_back_with_their_ids() {
    let (world, cookie, visitor) = world().await;
    let start = world.collector.sync(&asks("p=acme,betaads&gdpr=0", &cookie)).await.unwrap();
    let to = start.location.unwrap();
    assert!(
        to.starts_with("https://acme.example/get?r=https%3A%2F%2Fdmp.example%2Fsetuid"),
        "{to}"
    );
    assert_eq!(parameter(&to, "g").unwrap(), "0");
    let name = parameter(&to, "us").unwrap();
    assert_eq!(name, world.collector.pseudonym(visitor, PartnerId(1)).unwrap());
    // The partner puts its id in place of the macro, and leads back.
    let back = parameter(&to, "r").unwrap().replace("$UID", "acme-1");
    let query = back.split_once('?').unwrap().1;
    let answer = world.collector.set_uid(&asks(query, &cookie)).await.unwrap();
    assert_eq!(answer.outcome, SyncOutcome::Noted(Noted::New));
    assert_eq!(uid(&world, visitor, 1).await.unwrap(), "acme-1");
    // And on to the next one.
    let on = answer.location.unwrap();
    assert_eq!(on, "https://dmp.example/sync?p=beta&gdpr=0");
    let query = on.split_once('?').unwrap().1;
    let next = world.collector.sync(&asks(query, &cookie)).await.unwrap().location.unwrap();
    let back = parameter(&next, "r").unwrap();
    assert!(back.ends_with("&uid=[UID]") && back.contains("bidder=betaads"), "{back}");
    let query = back.replace("[UID]", "b%201");
    let query = query.split_once('?').unwrap().1;
    let answer = world.collector.set_uid(&asks(query, &cookie)).await.unwrap();
    assert_eq!((answer.outcome, answer.location), (SyncOutcome::Noted(Noted::New), None));
    // Both are young: nobody is asked again until two weeks are over.
    let again = world.collector.sync(&asks("p=acme,beta&gdpr=0", &cookie)).await.unwrap();
    assert_eq!((again.outcome, again.location), (SyncOutcome::Fresh, None));
    let later = noon().plus_secs(14 * 86_400);
    let request = SyncRequest { now: later, ..asks("p=acme&gdpr=0", &cookie) };
    assert_eq!(world.collector.sync(&request).await.unwrap().outcome, SyncOutcome::Led);
    let ids = world.collector.uids(&asks("gdpr=0", &cookie)).await.unwrap();
    let expected = [("acme", "acme-1"), ("betaads", "b 1")];
    assert_eq!(ids, expected.map(|(name, uid)| (name.into(), uid.into())));
    let none = async |query: &str, cookies: &str| {
        world.collector.uids(&asks(query, cookies)).await.unwrap().is_empty()
    };
    assert!(none("", &format!("{cookie}; mf_optout=1")).await);
    assert!(none("gpc=1", &cookie).await && none("us_privacy=1YYN", &cookie).await);
}

#[tokio::test]
async fn what_is_no_id_is_not_kept_and_an_empty_one_takes_the_match_away() {
    let (world, cookie, visitor) = world().await;
    for bad in ["0", "OPTOUT", "%24UID", "%5BUID%5D", "a%09b", &"x".repeat(600)] {
        let query = format!("bidder=acme&uid={bad}");
        let answer = world.collector.set_uid(&asks(&query, &cookie)).await.unwrap();
        assert!(matches!(answer.outcome, SyncOutcome::BadUid(_)), "{bad}: {answer:?}");
    }
    assert_eq!(uid(&world, visitor, 1).await, None);
    for (said, expected) in [
        ("a", Noted::New),
        ("a", Noted::Known),
        ("b%22%2C", Noted::Changed),
        ("", Noted::Forgotten),
        ("", Noted::Absent),
        ("c", Noted::New),
    ] {
        let query = format!("p=acme&uid={said}&f=b");
        let answer = world.collector.set_uid(&asks(&query, &cookie)).await.unwrap();
        assert_eq!(answer.outcome, SyncOutcome::Noted(expected), "{said}");
        assert!(answer.is_frame);
    }
    let answer = world.collector.set_uid(&asks("p=acme&userid=x", &cookie)).await.unwrap();
    assert_eq!(answer.outcome, SyncOutcome::BadUid(BadUid::Absent), "a slip takes nothing away");
    for n in 0..limits::UID_CHANGES_PER_DAY {
        world.collector.set_uid(&asks(&format!("p=beta&uid=b{n}"), &cookie)).await.unwrap();
    }
    let more = asks("p=beta&uid=more", &cookie);
    let answer = world.collector.set_uid(&more).await.unwrap();
    assert_eq!(answer.outcome, SyncOutcome::TooOften, "each id leaves a trace");
    let tomorrow = SyncRequest { now: noon().plus_secs(86_400), ..more };
    let answer = world.collector.set_uid(&tomorrow).await.unwrap();
    assert_eq!(answer.outcome, SyncOutcome::Noted(Noted::Changed));
    // Whom the partner calls so is found by it, and it is the newest who counts.
    world.collector.set_uid(&asks("p=acme&uid=z", &cookie)).await.unwrap();
    let other = world.browser().await;
    let newest = world.collector.visitor(&other, noon()).await.unwrap();
    world.collector.set_uid(&asks("p=acme&uid=z", &other)).await.unwrap();
    let id = world.collector.uid_id(PartnerId(1), "z").unwrap();
    assert_eq!(world.store.lookup_ids(&[id]).await.unwrap(), [Some(newest)]);
}

#[tokio::test]
async fn a_partner_is_told_our_name_only_where_it_registered() {
    let (world, cookie, visitor) = world().await;
    let asks_for = |to: &str| {
        let to: String = url::form_urlencoded::byte_serialize(to.as_bytes()).collect();
        format!("p=acme&gdpr=0&r={to}")
    };
    let to =
        "https://cb.acme.example/x?id=${OUR_UID}&g=${GDPR}&c=${GDPR_CONSENT_7}&d=${GDPR_CONSENT_8}";
    let answer = world.collector.sync(&asks(&asks_for(to), &cookie)).await.unwrap();
    let name = world.collector.pseudonym(visitor, PartnerId(1)).unwrap();
    let expected = format!("https://cb.acme.example/x?id={name}&g=0&c=&d=");
    assert_eq!((answer.outcome, answer.location), (SyncOutcome::Told, Some(expected)));
    assert_eq!(name.len(), 22);
    assert_ne!(Some(&name), world.collector.pseudonym(visitor, PartnerId(2)).as_ref());
    let id = world.collector.pseudonym_id(PartnerId(1), &name).unwrap();
    assert_eq!(world.store.lookup_ids(&[id]).await.unwrap(), [Some(visitor)]);
    for bad in [
        "https://evil.example/${OUR_UID}",
        "https://cb.acme.example.evil.example/${OUR_UID}",
        "https://cb.acme.example@evil.example/${OUR_UID}",
        "http://cb.acme.example/${OUR_UID}",
        "//cb.acme.example/${OUR_UID}",
        "javascript:alert(1)",
        "https://cb.beta.example/${OUR_UID}",
    ] {
        let answer = world.collector.sync(&asks(&asks_for(bad), &cookie)).await;
        assert_eq!(answer, Err(BadSync::Target), "{bad}");
    }
    let silent = world.collector.sync(&asks(&asks_for("https://cb.acme.example/"), &cookie)).await;
    assert_eq!(silent, Err(BadSync::NoMacro));
}

#[tokio::test]
async fn google_is_answered_as_it_asks() {
    let (world, cookie, visitor) = world().await;
    let tells = async |query: &str| world.collector.set_uid(&asks(query, &cookie)).await.unwrap();
    let told = tells("p=google&google_gid=CAESEabc&google_cver=1").await;
    assert_eq!(told.outcome, SyncOutcome::Noted(Noted::New));
    assert_eq!(uid(&world, visitor, 3).await.unwrap(), "CAESEabc");
    let asked = asks("p=google,acme&account=news&coppa=0&gpp=DBAA", &cookie);
    let mut own = partners();
    own[2].sync =
        SyncUrl::parse("https://cm.g.doubleclick.net/pixel?google_nid=nid&google_cm").ok();
    own[2].sync_days = 0;
    let sites: crate::SiteTable = [site()].into_iter().collect();
    world.collector.set_sites(sites.with_partners(own));
    let led = world.collector.sync(&asked).await.unwrap();
    let handed = "&account=news&coppa=0&gpp=DBAA&then=acme";
    let to = led.location.unwrap_or_default();
    assert!(to.ends_with(handed), "Google hands on what is added: {to}");
    let failed = tells("p=google&google_error=5&google_gid=CAESEnew").await;
    assert_eq!(failed.outcome, SyncOutcome::BadUid(BadUid::Nobody));
    assert_eq!(uid(&world, visitor, 3).await.unwrap(), "CAESEabc");
    let pushed = tells("p=google&google_push=AYg5qP%2B%2F").await;
    let name = world.collector.pseudonym(visitor, PartnerId(3)).unwrap();
    let expected = format!(
        "https://cm.g.doubleclick.net/pixel?google_nid=nid&google_push=AYg5qP%2B%2F&google_hm={name}"
    );
    assert_eq!((pushed.outcome, pushed.location), (SyncOutcome::Told, Some(expected)));
    let stranger = world.collector.set_uid(&asks("p=google&google_push=x", "")).await.unwrap();
    let bare = "https://cm.g.doubleclick.net/pixel?google_nid=nid&google_push=x";
    assert_eq!(stranger.location.unwrap(), bare, "it must come back, with a name or without");
}

#[tokio::test]
async fn nothing_is_done_where_the_choice_does_not_allow_it() {
    let (world, cookie, visitor) = world().await;
    let outcome = async |request: &SyncRequest<'_>| {
        world.collector.set_uid(request).await.map(|answer| answer.outcome)
    };
    let asked = |query| asks(query, &cookie);
    let gpc = SyncRequest { gpc: Some("1"), ..asked("p=acme&uid=a") };
    assert_eq!(outcome(&gpc).await, Ok(SyncOutcome::Refused(Refusal::Gpc)));
    let out = format!("{cookie}; mf_optout=1");
    let refused = Ok(SyncOutcome::Refused(Refusal::OptedOut));
    assert_eq!(outcome(&asks("p=acme&uid=a", &out)).await, refused);
    let said = outcome(&asked("p=acme&uid=a&gpc=1")).await;
    assert_eq!(said, Ok(SyncOutcome::Refused(Refusal::Gpc)), "also where no header says so");
    let child = Ok(SyncOutcome::Refused(Refusal::Child));
    assert_eq!(outcome(&asked("p=acme&uid=a&coppa=1")).await, child);
    for (query, bad) in [
        ("uid=a", BadSync::NoPartner),
        ("p=nobody&uid=a", BadSync::UnknownPartner),
        ("p=a,b,c,d,e,f&uid=a", BadSync::TooManyPartners),
        ("p=acme&uid=a&f=x", BadSync::Form),
        ("p=acme&uid=a&gdpr=2", BadSync::Gdpr),
        ("p=acme&uid=a&gdpr=1", BadSync::ConsentMissing),
        ("p=acme&uid=a&gdpr=1&gdpr_consent=xyz", BadSync::ConsentInvalid),
        ("p=acme&uid=a&gpp=DBAA&gpp_sid=two", BadSync::ConsentInvalid),
    ] {
        assert_eq!(outcome(&asked(query)).await, Err(bad), "{query}");
    }
    let long = format!("p=acme&uid={}", "x".repeat(limits::QUERY_BYTES));
    assert_eq!(outcome(&asked(&long)).await, Err(BadSync::TooLong));
    assert_eq!(outcome(&asks("p=acme&uid=a", "")).await, Ok(SyncOutcome::NoVisitor));
    // Where a site asks for a choice, silence is none, unless another site is named that does not.
    let mut strict = site();
    strict.id = mayfly_core::SiteId(2);
    strict.key = "strict".into();
    strict.consent.policy = ConsentPolicy::Tcf;
    strict.consent.role = Some(ConsentRole::Vendor(999));
    let sites: crate::SiteTable = [site(), strict].into_iter().collect();
    world.collector.set_sites(sites.with_partners(partners()));
    let silent = Ok(SyncOutcome::Refused(Refusal::Absent));
    assert_eq!(outcome(&asked("p=acme&uid=a")).await, silent);
    // Of the two sites' rules each must allow it: one asks for a TC string.
    assert_eq!(outcome(&asked("p=acme&uid=a&us_privacy=1---")).await, silent);
    let nowhere = Err(BadSync::UnknownSite);
    assert_eq!(outcome(&asked("p=acme&uid=a&account=nws")).await, nowhere);
    assert_eq!(outcome(&asked("p=acme&uid=a&account=strict")).await, silent);
    assert_eq!(uid(&world, visitor, 1).await, None);
    // The partner brings the site back.
    let led = asked("p=acme,beta&account=news");
    let led = world.collector.sync(&led).await.unwrap().location.unwrap();
    let back = parameter(&led, "r").unwrap();
    assert!(back.contains("bidder=acme&account=news&then=beta&"), "{back}");
    let open = outcome(&asked("p=acme&uid=a&account=news")).await;
    assert_eq!(open, Ok(SyncOutcome::Noted(Noted::New)));
    let elsewhere = outcome(&asked("p=acme&uid=b&gdpr=0")).await;
    assert_eq!(elsewhere, Ok(SyncOutcome::Noted(Noted::Changed)));
}

#[tokio::test]
async fn prebid_is_told_whose_ids_are_missing() {
    let (world, cookie, _) = world().await;
    let asked = async |cookies: &str, wanted: &Wanted| {
        world.collector.cookie_sync(&asks("", cookies), wanted).await.unwrap()
    };
    let all = Wanted { limit: 10, ..Wanted::default() };
    let answer = asked(&cookie, &all).await;
    let names: Vec<&str> = answer.bidders.iter().map(|own| &*own.name).collect();
    assert_eq!((names.as_slice(), answer.has_any), (["acme", "betaads"].as_slice(), false));
    assert!(answer.bidders[0].url.contains("%26uid%3D%24UID"), "{}", answer.bidders[0].url);
    assert_eq!(answer.left_out, [("google".into(), "no_way")]);
    world.collector.set_uid(&asks("p=acme&uid=a", &cookie)).await.unwrap();
    let some = Wanted { bidders: Some(vec!["acme".into(), "nobody".into()]), ..all.clone() };
    let answer = asked(&cookie, &some).await;
    assert!(answer.has_any && answer.bidders.is_empty());
    assert_eq!(answer.left_out, [("nobody".into(), "unknown"), ("acme".into(), "fresh")]);
    let coop = Wanted { is_coop: true, ..some };
    assert_eq!(asked(&cookie, &coop).await.bidders.len(), 1);
    let filtered = |image| FilterSettings { image, iframe: Filter::All };
    for (filter, left) in [
        (Filter::None, 0),
        (Filter::Only(vec!["betaads".into()]), 1),
        (Filter::Except(vec!["beta".into()]), 0),
    ] {
        let wanted = Wanted { filter: filtered(filter), ..all.clone() };
        assert_eq!(asked(&cookie, &wanted).await.bidders.len(), left);
    }
    let none = Wanted { limit: 0, ..all.clone() };
    assert!(asked(&cookie, &none).await.left_out.contains(&("betaads".into(), "limit")));
    let answer = asked("", &all).await;
    assert!(answer.bidders.is_empty() && answer.left_out.iter().all(|own| own.1 == "no_visitor"));
}

/// Two at once lose nothing: each partner's id is there, whoever came first.
#[tokio::test]
async fn syncs_at_once_lose_nothing() {
    let (world, cookie, visitor) = world().await;
    let all: Vec<Partner> = (1..=40).map(|n| partner(n, &format!("p{n}"))).collect();
    let sites: crate::SiteTable = [site()].into_iter().collect();
    world.collector.set_sites(sites.with_partners(all));
    let tasks = (1..=40).map(|n| {
        let (collector, cookie) = (world.collector.clone(), cookie.clone());
        tokio::spawn(async move {
            let query = format!("p=p{n}&uid=u{n}");
            collector.set_uid(&asks(&query, &cookie)).await.unwrap().outcome
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        assert_eq!(task.await.unwrap(), SyncOutcome::Noted(Noted::New));
    }
    for n in 1..=40 {
        assert_eq!(uid(&world, visitor, n).await, Some(format!("u{n}")));
    }
}

#[tokio::test]
async fn an_erased_visitor_is_nobody_to_partners() {
    let (world, cookie, visitor) = world().await;
    world.collector.set_uid(&asks("p=acme&uid=a", &cookie)).await.unwrap();
    world.store.erase(&[visitor], noon()).await.unwrap();
    world.collector.erase(visitor);
    let answer = world.collector.set_uid(&asks("p=acme&uid=b", &cookie)).await.unwrap();
    assert_eq!(answer.outcome, SyncOutcome::NoVisitor);
    assert!(world.collector.uids(&asks("", &cookie)).await.unwrap().is_empty());
}

#[test]
fn every_result_is_documented() {
    let page = include_str!("../../../../docs/sync.md");
    for label in SyncOutcome::LABELS {
        assert!(page.contains(&format!("`{label}`")), "{label}");
    }
}
