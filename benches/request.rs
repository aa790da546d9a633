//! What every pixel request pays before its hit is made: query, cookie, canonical URL, client,
//! automata, consent; and all of it but the cookie in one go.

#![expect(clippy::unwrap_used, reason = "benches stop at the first thing that is wrong")]

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use mayfly_benches::{PARTITION, TODAY};
use mayfly_collector::bots::Bots;
use mayfly_collector::client::client;
use mayfly_collector::{
    Collector, CollectorConfig, CollectorMetrics, CookieNames, Hints, KeyRing, OwnCookies,
    PixelQuery, PixelRequest, VisitorCookie, canonical_url,
};
use mayfly_core::consent::{ConsentPolicy, ConsentRole, ConsentRules, Signals, decide};
use mayfly_core::language::language;
use mayfly_core::{Origin, RealmId, Site, SiteId, StoreId, Visitor};

const QUERY: &str = "s=news&u=https%3A%2F%2Fnews.example%2Fsport%2Ffootball%2F1%3Fpage%3D2%26\
    utm_source%3Dmail&r=https%3A%2F%2Fwww.google.com%2F&t=The%20derby%2C%20minute%20by%20minute\
    &k=football,derby,league&a.section=sport&a.price=12.5&cb=1763760000123";
const AGENT: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like \
    Gecko) Chrome/128.0.0.0 Safari/537.36";
const LANGUAGES: &str = "nl-BE,nl;q=0.9,en;q=0.8";
/// Storage, profiles and more for vendor 999.
const TC_STRING: &str = "CQtAQoAQtAQoAAHABBENEsFgALqAAAAAAAAAHzwAQHzgABAAAAAA.IHzwAQHzgAAA";
const PLAIN: &str = "https://news.example/sport/football/1?page=2";
const TRACKED: &str = "https://News.Example:443/sport/football/1?page=2&utm_source=mail&\
    utm_campaign=spring&gclid=EAIaIQobChMI#top";

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let keys = KeyRing::generate().unwrap();
    let here = (StoreId(7), RealmId(1));
    let visitor = Visitor { partition: PARTITION, ordinal: 123_456 };
    let cookie = VisitorCookie { store: here.0, realm: here.1, visitor, issued: TODAY };
    let value = cookie.encode(&keys);
    let header = format!("_ga=GA1.2.3.4; theme=dark; mf_id={value}; consent=yes");

    let names = CookieNames::default();
    let mut group = criterion.benchmark_group("request");
    group.bench_function("query: parse", |bench| {
        bench.iter(|| PixelQuery::parse(black_box(QUERY)).unwrap());
    });
    group.bench_function("header: find ours", |bench| {
        bench.iter(|| OwnCookies::find(black_box(&header), &names).unwrap());
    });
    group.bench_function("visitor: verify", |bench| {
        bench.iter(|| VisitorCookie::decode(black_box(&value), &keys, here, TODAY).unwrap());
    });
    group.bench_function("visitor: sign", |bench| bench.iter(|| black_box(&cookie).encode(&keys)));
    for (name, url) in [("plain", PLAIN), ("tracked", TRACKED)] {
        group.bench_function(format!("canonical_url: {name}"), |bench| {
            bench.iter(|| canonical_url(black_box(url)).unwrap());
        });
    }
    group.finish();
    ask_who(&mut criterion);
    take_apart(&mut criterion);
    criterion.final_summary();
}

/// Client, automata, languages, consent: each by itself.
fn ask_who(criterion: &mut Criterion) {
    let hints = Hints { user_agent: Some(AGENT), ..Hints::default() };
    let (bots, rules) = (Bots::new().unwrap(), rules());
    let mut said = Signals::default();
    said.choice.take("gdpr_consent", TC_STRING);
    decide(&rules, &said).unwrap();
    let mut group = criterion.benchmark_group("request");
    group.bench_function("automata: a browser", |bench| {
        bench.iter(|| bots.judge(black_box(&hints)));
    });
    group.bench_function("client: device, system, browser", |bench| {
        bench.iter(|| client(black_box(&hints)));
    });
    group.bench_function("language", |bench| bench.iter(|| language(black_box(LANGUAGES))));
    group.bench_function("consent: decode a TC string and decide", |bench| {
        bench.iter(|| decide(&rules, black_box(&said)));
    });
    group.finish();
}

/// Everything that is done with a request before the store, but for the cookie; with and without
/// a site that asks for consent.
fn take_apart(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let config = CollectorConfig::new(folder.path().to_owned(), || Duration::ZERO);
    let collector = Collector::new(config, CollectorMetrics::new().unwrap());
    let origins = || vec![Origin::parse("https://news.example").unwrap()];
    let mut asks = Site::new(SiteId(2), "asks", origins());
    asks.consent = rules();
    collector.set_sites([Site::new(SiteId(1), "news", origins()), asks].into_iter().collect());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut group = criterion.benchmark_group("request");
    for (name, query) in [
        ("all of it: no consent asked for", QUERY.to_owned()),
        (
            "all of it: a TC string",
            QUERY.replacen("s=news", &format!("s=asks&gdpr=1&gdpr_consent={TC_STRING}"), 1),
        ),
    ] {
        let request = PixelRequest {
            query: &query,
            hints: Hints { user_agent: Some(AGENT), ..Hints::default() },
            language: Some(LANGUAGES),
            now: TODAY.at_second(43_200),
            ..PixelRequest::default()
        };
        let examined = runtime.block_on(collector.examine(&request));
        assert!(examined.hit.is_ok() && examined.consent.is_ok(), "{examined:?}");
        group.bench_function(name, |bench| {
            bench.iter(|| runtime.block_on(collector.examine(black_box(&request))));
        });
    }
    group.finish();
}

fn rules() -> ConsentRules {
    let role = Some(ConsentRole::Vendor(999));
    ConsentRules { policy: ConsentPolicy::Tcf, role, ..ConsentRules::default() }
}
