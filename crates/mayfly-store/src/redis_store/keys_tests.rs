use super::super::cluster::slot;
use super::*;

const KEYS_OF: RealmId = RealmId(7);

fn all(keys: &Keys) -> Vec<(Kind, String)> {
    let (p, day) = (Partition(5), Day(20_778));
    let id = ForeignId { space: "crm".into(), hash: 9 };
    vec![
        (Kind::Hits, keys.hits(p, day)),
        (Kind::Past, keys.past(p, day)),
        (Kind::PastAside, keys.past_aside(&Lease { partition: p, token: 9 }, day)),
        (Kind::Cells, keys.cells(p, day)),
        (Kind::Lane, keys.lane(p, LaneId(3))),
        (Kind::HitIds, keys.hit_ids(p, day, -3)),
        (Kind::Segments, keys.segments(p)),
        (Kind::Names, keys.names(p, names_start(day), 300)),
        (Kind::Matches, keys.matches(p, PartnerId(3), names_start(day), 300)),
        (Kind::Partners, keys.partners(p)),
        (Kind::News, keys.news(p, PartnerId(3))),
        (Kind::Sent, keys.sent(p, 3)),
        (Kind::Erased, keys.erased(p)),
        (Kind::Next, keys.next(p)),
        (Kind::Lease, keys.lease(p)),
        (Kind::Dirty, keys.dirty(p)),
        (Kind::Page, page(PageKey(1))),
        (Kind::Consent, consent(ConsentKey(1))),
        (Kind::Ids, ids(&id)),
        (Kind::Identity, identity()),
        (Kind::Clock, clock()),
        (Kind::Entry, entry(CatalogName::Keys)),
        (Kind::Ledger, ledger(3)),
    ]
}

#[test]
fn every_name_is_read_back_and_unknown_names_are_not() {
    let keys = Keys::new(KEYS_OF);
    let all = all(&keys);
    let kinds: Vec<_> = all.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, Kind::ALL, "a builder for every kind, in the order of the table");
    for (kind, name) in &all {
        assert_eq!(Named::read(name).map(|n| n.kind), Some(*kind), "{name}");
    }
    let names = Named::read(&keys.names(Partition(0), Day(20_770), 1)).and_then(|n| n.day);
    assert_eq!(names, Some(Day(20_770)));
    for name in ["mf:", "mf:x", "mf:{1.2.3}:hits", "mf:{1.2.3}:hits:x", "mf:{", "other:1"] {
        assert_eq!(Named::read(name), None, "{name}");
    }
}

#[test]
fn a_period_is_not_forgotten_before_it_is_over() {
    let (start, short) = (Day(20_770), Retention::new(5).unwrap());
    assert_eq!(names_until(start, short), Day(20_780).start());
    assert_eq!(names_until(start, Retention::default()), Day(20_860).start());
    // A match is never kept longer than its day.
    assert_eq!(period_start(Day(20_778), short), Day(20_778));
    assert_eq!(period_start(Day(20_778), Retention::default()), start);
}

#[test]
fn a_partition_stands_in_the_slot_of_its_reversed_bits() {
    let keys = Keys::new(KEYS_OF);
    for p in 0..64 {
        for name in [keys.next(Partition(p)), keys.hits(Partition(p), Day(1))] {
            assert_eq!(slot(&name), slot_of(Partition(p)), "{name}");
        }
    }
    assert_eq!(slot_of(Partition(1)), 8192);
    assert_eq!(slot_of(Partition(3)), 12_288);
}

#[test]
fn slots_are_even_on_any_number_of_masters() {
    for partitions in [16u16, 64] {
        for masters in [3u16, 4, 6, 8] {
            let mut load = vec![0u16; usize::from(masters)];
            for p in 0..partitions {
                // `redis-cli --cluster create` gives master i the i-th equal range.
                let share = f64::from(SLOTS) / f64::from(masters);
                let master = (0..masters)
                    .rfind(|&m| f64::from(slot_of(Partition(p))) >= (share * f64::from(m)).round());
                load[usize::from(master.unwrap())] += 1;
            }
            let (low, high) = (load.iter().min().unwrap(), load.iter().max().unwrap());
            assert!(high - low <= 1, "{partitions} on {masters}: {load:?}");
        }
    }
}

#[test]
fn the_table_of_keys_names_every_key_and_no_other() {
    let table: Vec<&str> = include_str!("mod.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `"))
        .flat_map(|line| line.split('|').next())
        .flat_map(|cell| cell.trim().trim_end_matches('`').split("`, `"))
        .collect();
    let patterns: Vec<_> = Kind::ALL.into_iter().map(Kind::pattern).collect();
    assert_eq!(table, patterns);
    for kind in Kind::ALL {
        assert!(kind.pattern().contains(kind.label()), "{kind:?}");
    }
}
