//! Small values come back; damaged ones are refused.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn pages_come_back(
        url in ".{0,40}", title in ".{0,40}",
        keywords in vec(".{0,9}", 0..4), categories in vec(".{0,9}", 0..4),
    ) {
        let boxed = |texts: Vec<String>| texts.into_iter().map(Into::into).collect();
        let page = Page {
            url: url.into(),
            title: title.into(),
            keywords: boxed(keywords),
            categories: boxed(categories),
        };
        let bytes = encode_page(&page);
        prop_assert_eq!(decode_page(&bytes).unwrap(), (page, None));
        for end in 0..bytes.len() {
            prop_assert!(decode_page(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn memberships_come_back(members in vec(any::<u32>(), 0..50), version in any::<u32>()) {
        let membership = Membership {
            segment: SegmentId(4),
            version,
            as_of: Timestamp::from_millis(-7),
            members: members.into_iter().collect(),
        };
        let bytes = encode_membership(&membership);
        prop_assert_eq!(decode_membership(SegmentId(4), &bytes).unwrap(), membership.clone());
        for end in 0..bytes.len() {
            prop_assert!(decode_membership(SegmentId(4), &bytes[..end]).is_err());
        }
        let erased = encode_bitmap(&membership.members);
        prop_assert_eq!(decode_bitmap(&erased).unwrap(), membership.members);
    }

    #[test]
    fn any_bytes_never_panic(mut bytes in vec(any::<u8>(), 0..80)) {
        bytes.insert(0, 2);
        drop(decode_consent(&bytes));
        bytes[0] = VERSION;
        drop((decode_page(&bytes), decode_consent(&bytes), decode_bitmap(&bytes)));
        drop((decode_membership(SegmentId(1), &bytes), decode_catalog(1, &bytes)));
        drop((decode_identity(&bytes), decode_visitor(&bytes)));
    }
}

#[test]
fn the_rest_comes_back() {
    for state in [ConsentState::default(), super::super::fixtures::consent()] {
        let bytes = encode_consent(&state);
        assert_eq!(decode_consent(&bytes).unwrap(), state);
        for end in 0..bytes.len() {
            assert!(decode_consent(&bytes[..end]).is_err());
        }
    }
    let visitor = Visitor { partition: Partition(1023), ordinal: u32::MAX };
    assert_eq!(decode_visitor(&encode_visitor(visitor)).unwrap(), visitor);
    let at = Timestamp::from_millis(1_795_000_000_123);
    let version = CatalogVersion { version: 9, at, by: "ann".into(), bytes: vec![0, 1, 255] };
    assert_eq!(decode_catalog(9, &encode_catalog(&version)).unwrap(), version);
    let mut identity = Identity {
        store: StoreId(1),
        realm: RealmId(1),
        realm_name: "main".into(),
        partitions: 16,
        seed: u64::MAX,
        created: at,
    };
    assert_eq!(decode_identity(&encode_identity(&identity)).unwrap(), identity);
    identity.partitions = 17;
    assert!(decode_identity(&encode_identity(&identity)).is_err(), "not a power of two");
}
