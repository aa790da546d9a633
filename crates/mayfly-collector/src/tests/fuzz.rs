//! Every parser of the open side on bytes that are nearly what it reads: sound inputs, changed at
//! random. `MAYFLY_FUZZ_S` is how long each parser is tried, seconds; CI takes longer than a
//! developer's run. What a parser panics on is printed.

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use mayfly_core::consent::ac::AdditionalConsent;
use mayfly_core::consent::gpp::Gpp;
use mayfly_core::consent::tcf::TcString;
use mayfly_core::consent::usp::UsPrivacy;
use mayfly_core::consent::{ConsentPolicy, ConsentRole, ConsentRules, Signals, decide};
use mayfly_core::language::language;
use mayfly_core::{Day, RealmId, Referrer, StoreId, Timestamp};

use crate::body::parse_hit_line;
use crate::bots::Bots;
use crate::canonical::canonical_url;
use crate::client::client;
use crate::cookie::{ProbeCookie, VisitorCookie};
use crate::cookie_header::CookieNames;
use crate::hygiene::{Stripped, clean_url};
use crate::{BodyFormat, BodyItems, Hints, KeyRing, OwnCookies, PixelQuery};

/// The longest input, bytes: beyond every limit of the parsers.
const LONGEST: usize = 64 * 1024;

/// Pieces that mean something to some parser.
const WORDS: [&[u8]; 32] = [
    b"%",
    b"%00",
    b"%2",
    b"&",
    b"=",
    b";",
    b",",
    b"~",
    b".",
    b"_",
    b"-",
    b"\0",
    b"\xff",
    b"\xc3",
    b"\r\n",
    b"\"",
    b"\\",
    b"{",
    b"[",
    b"]",
    b"}",
    b"://",
    b"@",
    b"#",
    b"?",
    b"q=0.",
    b"*",
    b"1e999",
    b"\\ud800",
    b"\xdd\xff\xff\xff\xff",
    b"\x81",
    b"9999999999999999999",
];

/// Numbers at random (xorshift64*); the seed is printed with what it led to.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).unwrap();
        Self(u64::from_le_bytes(seed) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).unwrap() % limit.max(1)
    }

    /// One of these, changed in a few places.
    fn nearly(&mut self, sound: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = sound[self.below(sound.len())].clone();
        for _ in 0..=self.below(6) {
            self.change(&mut bytes, sound);
        }
        bytes.truncate(LONGEST);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, sound: &[Vec<u8>]) {
        let at = self.below(bytes.len() + 1);
        let to = (at + self.below(16)).min(bytes.len());
        match self.below(7) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..to)),
            2 => drop(bytes.splice(at..at, WORDS[self.below(WORDS.len())].iter().copied())),
            3 => drop(bytes.splice(at..to, WORDS[self.below(WORDS.len())].iter().copied())),
            4 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            5 => {
                let part = bytes[at..to].repeat(1 + self.below(200));
                drop(bytes.splice(at..at, part));
            }
            _ => {
                let other = &sound[self.below(sound.len())];
                let from = self.below(other.len() + 1);
                drop(bytes.splice(at.., other[from..].iter().copied()));
            }
        }
    }
}

/// Tries a parser on its sound inputs and on what is nearly one, for so long as is asked for.
fn fuzz(sound: &[&[u8]], parse: impl Fn(&[u8])) {
    let seconds = std::env::var("MAYFLY_FUZZ_S").ok().and_then(|s| s.parse().ok()).unwrap_or(0.3);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let sound: Vec<Vec<u8>> = sound.iter().map(|own| own.to_vec()).collect();
    sound.iter().for_each(|own| parse(own));
    let mut random = Random::new();
    while Instant::now() < end {
        for _ in 0..64 {
            let bytes = random.nearly(&sound);
            let done = catch_unwind(AssertUnwindSafe(|| parse(&bytes)));
            assert!(done.is_ok(), "it panics on b\"{}\"", bytes.escape_ascii());
        }
    }
}

/// The same for a parser of texts.
fn fuzz_text(sound: &[&str], parse: impl Fn(&str)) {
    let sound: Vec<&[u8]> = sound.iter().map(|own| own.as_bytes()).collect();
    fuzz(&sound, |bytes| parse(&String::from_utf8_lossy(bytes)));
}

const TCF: [&str; 2] = [
    "COw4XqLOw4XqLAAAAAENAXCf-v-gAAAfwIAAACngAI8AEFABgACAA4A.IAPPwAPrwA",
    "CPA9dwAPA9dwAKjACBENAPCIAEBAAECAAIAAAAAAAAAA.YAAAAAAAAAAA",
];
const GPP: [&str; 2] =
    ["DBACMYA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN", "DBABLA~BVAUAAAAAWA.QA"];

#[test]
fn consent_strings() {
    let all = [TCF[0], TCF[1], GPP[0], GPP[1], "1YNN", "1---", "2~1.35.41~dv.9.21", "1~7.12"];
    let role = Some(ConsentRole::Vendor(755));
    let rules = ConsentRules { policy: ConsentPolicy::Any, role, ..ConsentRules::default() };
    fuzz_text(&all, |text| {
        if let Ok(tc) = TcString::decode(text) {
            black_box((tc.vendor_consents.contains(755), tc.vendor_li.members()));
        }
        if let Ok(gpp) = Gpp::decode(text) {
            black_box((gpp.us().count(), gpp.tcf_eu().is_some(), gpp.us_privacy().is_some()));
        }
        black_box((UsPrivacy::decode(text).is_ok(), AdditionalConsent::decode(text).is_ok()));
        for name in ["gdpr_consent", "gpp", "gpp_sid", "us_privacy", "addtl_consent", "gdpr"] {
            let mut said = Signals::default();
            said.choice.take(name, text);
            black_box(decide(&rules, &said).is_ok());
        }
    });
}

#[test]
fn queries_and_urls() {
    let url = "https://u:p@news.example:8443/a/../b/jan%40x.nl;jsessionid=1?id=7&utm_source=x#frag";
    let query = "s=news&u=https%3A%2F%2Fnews.example%2F&t=%C3%B6&e=signup&a.plan=gold&x.mood=1&j=1";
    fuzz_text(&[url, query, "s=news&u=http://b%C3%BCcher.example/", "s=&u=//x&ms=1e9"], |text| {
        if let Ok(query) = PixelQuery::parse(text) {
            black_box(query.url);
        }
        if let Ok(url) = canonical_url(text) {
            let clean = clean_url(url.as_str(), |name| name == "id", &mut Stripped::default());
            let again = clean.as_deref().unwrap_or(url.as_str());
            assert!(canonical_url(again).is_ok(), "what is stored can be read: {again}");
        }
        black_box(Referrer::of(text, "news.example"));
    });
}

#[test]
fn cookies() {
    let (keys, names) = (KeyRing::generate().unwrap(), CookieNames::new("mf", false));
    let here = (StoreId(1), RealmId(1));
    let header = "a=b; mf_id=AQAAAAB; mf_probe_0a=AQ; mf_optout=1; =; mf_id=\"x\"";
    fuzz_text(&[header, "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygp"], |text| {
        if let Ok(own) = OwnCookies::find(text, &names) {
            black_box((own.visitors().count(), own.probes().count()));
        }
        let now = Timestamp::from_secs(1_795_000_000);
        assert!(VisitorCookie::decode(text, &keys, here, Day(20_778)).is_err(), "forged: {text}");
        assert!(ProbeCookie::decode(text, &keys, now).is_err(), "forged: {text}");
    });
}

#[test]
fn bodies() {
    let json = br#"[{"site":"news","url":"https://n.example/","visitor":{"space":"crm","id":"1"},
        "attributes":{"plan":"gold","n":1.5},"keywords":["a"],"time":"2026-11-22T10:00:00Z"}]"#;
    let lines = b"{\"site\":\"news\",\"url\":\"https://n.example/\",\"cookie\":\"x\"}\n{}\n";
    let packed = b"\x91\x82\xa4site\xa4news\xa3url\xb2https://n.example/";
    fuzz(&[json, lines, packed], |bytes| {
        for kind in ["application/json", "application/x-ndjson", "application/msgpack"] {
            black_box(BodyItems::read(bytes, BodyFormat::of_content_type(kind)).len());
        }
        black_box(parse_hit_line(bytes).is_ok());
    });
}

#[test]
fn clients() {
    let bots = Bots::new().unwrap();
    let agents = [
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "\"Chromium\";v=\"128\", \"Not;A=Brand\";v=\"24\"",
        "nl-BE,nl;q=0.8,en-US;q=0.5,*;q=0.1",
    ];
    fuzz_text(&agents, |text| {
        let said = Some(text);
        let hints = Hints { user_agent: said, ua: said, mobile: said, platform: said };
        black_box((bots.judge(&hints), client(&hints)));
        black_box(language(text));
    });
}
