//! Any hits come back; any bytes are refused or read, never worse.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

const PARTITION: Partition = Partition(3);
const DAY: Day = Day(20_778);

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Value::Number),
        ".{0,20}".prop_map(|text| Value::Text(text.into())),
    ]
}

fn attribute() -> impl Strategy<Value = Attribute> {
    ("[a-c]{1,2}", value()).prop_map(|(name, value)| Attribute { name: name.into(), value })
}

fn event() -> impl Strategy<Value = Event> {
    "page_view|engagement|ad_impression|ad_click|conversion|import|own[a-c]"
        .prop_map(|name| Event::parse(&name).unwrap())
}

fn campaign() -> impl Strategy<Value = Option<Campaign>> {
    let texts = ("[a-b]{0,1}", "[a-b]{0,1}", ".{0,3}");
    option::of(texts.prop_map(|(source, medium, name)| Campaign {
        source: source.into(),
        medium: medium.into(),
        name: name.into(),
    }))
}

fn context() -> impl Strategy<Value = Context> {
    let client = (0usize..2, 0usize..8, 0usize..9);
    let place = ("|[a-z]{2}", "|NL|BE", "|[A-Z0-9]{1,3}");
    let network = option::of(0u64..3);
    let all = (client, place, network);
    all.prop_map(|((device, os, browser), (language, country, region), network)| Context {
        client: Client {
            device: Device::ALL[device],
            os: Os::ALL[os],
            browser: Browser::ALL[browser],
        },
        language: Language::parse(&language),
        geo: Geo::new(&country, &region),
        network: network.map(NetworkToken),
    })
}

/// Any hit of the partition and day; its values few enough to be shared.
pub(crate) fn hit() -> impl Strategy<Value = Hit> {
    let who = (prop_oneof![0u32..300, any::<u32>()], 0u32..86_400);
    let place = (0u32..3, option::of(prop_oneof![0u64..20, any::<u64>()]), event(), 0u16..4000);
    let from = ("[a-z]{0,3}", 0usize..6, 0u64..3, campaign());
    let extra = (vec(attribute(), 0..3), vec(any::<u32>().prop_map(CategoryId), 0..3));
    let all = (who, place, from, context(), extra);
    all.prop_map(|(who, place, from, context, (attributes, fired))| {
        Hit::restore(HitParts {
            visitor: Visitor { partition: PARTITION, ordinal: who.0 },
            time: DAY.at_second(who.1),
            site: SiteId(place.0),
            page: place.1.map(PageKey),
            event: place.2,
            engaged_s: place.3,
            referrer: Referrer {
                host: from.0.into(),
                kind: ReferrerKind::ALL[from.1],
                campaign: from.3.map(Box::new),
            },
            context,
            attributes,
            consent: ConsentKey(from.2),
            fired,
        })
    })
}

fn encoded(hits: &[Hit]) -> Vec<u8> {
    encode(&hits.iter().collect::<Vec<_>>())
}

fn decoded(bytes: &[u8]) -> Result<Vec<Hit>, StoreError> {
    decode(bytes, PARTITION, DAY, Corruption::Entry)
}

proptest! {
    #[test]
    fn hits_come_back_in_order(hits in vec(hit(), 0..60)) {
        prop_assert_eq!(decoded(&encoded(&hits)).unwrap(), hits);
    }

    #[test]
    fn cut_and_changed_bytes_never_panic(
        hits in vec(hit(), 1..8),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let bytes = encoded(&hits);
        for end in 0..bytes.len() {
            prop_assert!(decoded(&bytes[..end]).is_err(), "cut at {}", end);
        }
        let mut changed = bytes;
        for (at, byte) in changes {
            let at = at.index(changed.len());
            changed[at] = byte;
        }
        if let Ok(hits) = decoded(&changed) {
            prop_assert!(hits.len() <= changed.len());
        }
    }

    #[test]
    fn any_bytes_never_panic(mut bytes in vec(any::<u8>(), 0..200)) {
        drop(decoded(&bytes));
        bytes.insert(0, super::super::VERSION);
        drop(decoded(&bytes));
        bytes[0] = VERSION;
        drop(decoded(&bytes));
    }
}

#[test]
fn a_newer_version_is_named_as_such() {
    let mut bytes = encoded(&[]);
    bytes[0] = VERSION + 1;
    assert!(matches!(decoded(&bytes), Err(StoreError::Corrupt { what: Corruption::Version })));
    assert!(matches!(decoded(&[]), Err(StoreError::Corrupt { what: Corruption::Entry })));
}

/// Hits as a learning site has them: one site, page views, few pages for many visitors.
fn typical(n: u32) -> Vec<Hit> {
    let hit = |i: u32| {
        Hit::restore(HitParts {
            visitor: Visitor {
                partition: PARTITION,
                ordinal: i.wrapping_mul(2_654_435_761) % 2000,
            },
            time: DAY.at_second(30_000 + i / 50),
            site: SiteId(1),
            page: Some(PageKey(u64::from(i % 300).wrapping_mul(0x9e37_79b9_7f4a_7c15))),
            event: Event::PageView,
            engaged_s: 0,
            referrer: Referrer::default(),
            context: Default::default(),
            attributes: Vec::new(),
            consent: ConsentKey(77),
            fired: Vec::new(),
        })
    };
    (0..n).map(hit).collect()
}

#[test]
fn a_typical_hit_costs_few_bytes() {
    let size = |n: u32| encoded(&typical(n)).len() as f64 / f64::from(n);
    assert!(size(32) < 15.0, "{}", size(32));
    assert!(size(100) < 13.0, "{}", size(100));
    let blocks = super::super::blocks::seal(typical(1000), &roaring::RoaringBitmap::new()).blocks;
    let sealed = blocks.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() as f64 / 1000.0;
    assert!(sealed < 9.3, "{sealed}");
}
