//! What every pixel request pays before its hit is made: query, cookie, canonical URL.

#![expect(clippy::unwrap_used, reason = "benches stop at the first thing that is wrong")]

use std::hint::black_box;

use criterion::Criterion;
use mayfly_benches::{PARTITION, TODAY};
use mayfly_collector::{
    CookieNames, KeyRing, OwnCookies, PixelQuery, VisitorCookie, canonical_url,
};
use mayfly_core::{RealmId, StoreId, Visitor};

const QUERY: &str = "s=news&u=https%3A%2F%2Fnews.example%2Fsport%2Ffootball%2F1%3Fpage%3D2%26\
    utm_source%3Dmail&r=https%3A%2F%2Fwww.google.com%2F&t=The%20derby%2C%20minute%20by%20minute\
    &k=football,derby,league&a.section=sport&a.price=12.5&cb=1763760000123";
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
    let mut group = criterion.benchmark_group("cookie");
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
    criterion.final_summary();
}
