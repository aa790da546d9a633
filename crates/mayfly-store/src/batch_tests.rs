//! Batches survive the spill file whole, or are refused; `without` drops exactly what it names.

use mayfly_core::{
    Attribute, ConsentKey, Event, HitParts, PageKey, Referrer, SiteId, Value, Visitor,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const PARTITION: Partition = Partition(5);

fn new_hit(day: u16, ordinal: u32, id: Option<i64>) -> NewHit {
    let value = Value::Number(f64::from(ordinal));
    let hit = Hit::restore(HitParts {
        visitor: Visitor { partition: PARTITION, ordinal },
        time: Day(day).at_second(ordinal % 86_400),
        site: SiteId(2),
        page: Some(PageKey(77)),
        event: Event::Engagement,
        engaged_s: 9,
        referrer: Referrer::default(),
        context: Default::default(),
        attributes: vec![Attribute { name: "n".into(), value }],
        consent: ConsentKey(1),
        fired: Vec::new(),
    });
    NewHit { hit, id }
}

fn new_hits() -> impl Strategy<Value = Vec<NewHit>> {
    vec((20_000u16..20_004, any::<u32>(), proptest::option::of(any::<i64>())), 0..20)
        .prop_map(|all| all.into_iter().map(|(d, o, id)| new_hit(d, o, id)).collect())
}

fn encode(hits: &[NewHit]) -> Batch {
    Batch::encode(LaneId(u64::MAX), 3, PARTITION, Day(20_004), hits)
}

/// Hits with their ids and indexes, in any order.
fn contents(batch: &Batch) -> Vec<(u32, Hit, Option<i64>)> {
    let mut hits = Vec::new();
    for entry in &batch.entries {
        let what = Corruption::Batch;
        let decoded = hits::decode(&entry.bytes, PARTITION, entry.day, what).unwrap();
        assert_eq!(decoded.len(), entry.hits as usize);
        assert!(decoded.iter().all(|hit| hit.day() == entry.day));
        hits.extend(decoded);
    }
    let id = |index| batch.ids.iter().find(|id| id.index == index).map(|id| id.hash);
    let mut all: Vec<_> =
        batch.order.iter().zip(hits).map(|(&index, hit)| (index, hit, id(index))).collect();
    all.sort_by_key(|(index, ..)| *index);
    all
}

proptest! {
    #[test]
    fn a_batch_holds_its_hits(hits in new_hits()) {
        let batch = encode(&hits);
        let expected: Vec<_> =
            (0..).zip(&hits).map(|(i, new)| (i, new.hit.clone(), new.id)).collect();
        prop_assert_eq!(contents(&batch), expected);
        prop_assert_eq!(batch.hits(), hits.len());
        prop_assert!(batch.days().is_sorted());
        prop_assert_eq!(Batch::from_bytes(&batch.to_bytes()).unwrap(), batch);
    }

    #[test]
    fn without_drops_what_it_names_and_keeps_indexes(
        hits in new_hits(),
        gone in vec(0u32..20, 0..8),
        more in vec(0u32..20, 0..8),
    ) {
        let batch = encode(&hits);
        let rest = batch.without(&gone).unwrap().without(&more).unwrap();
        let mut expected = contents(&batch);
        expected.retain(|(index, ..)| !gone.contains(index) && !more.contains(index));
        prop_assert_eq!(contents(&rest), expected);
        prop_assert_eq!((rest.lane, rest.number, rest.received), (batch.lane, 3, batch.received));
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_noticed(
        hits in new_hits(),
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
    ) {
        let mut bytes = encode(&hits).to_bytes();
        for end in 0..bytes.len() {
            prop_assert!(Batch::from_bytes(&bytes[..end]).is_err());
        }
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(Batch::from_bytes(&bytes).is_err());
    }
}
