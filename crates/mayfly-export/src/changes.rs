//! What a destination has not been told yet: who is to be in a segment against who was sent.

use std::collections::{BTreeMap, BTreeSet};

use mayfly_core::{Day, Ordinal};
use mayfly_store::Sent;
use roaring::RoaringBitmap;

/// What changed under one code, in one partition.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CodeChanges {
    /// Not there yet.
    pub adds: RoaringBitmap,
    /// There, and about to be forgotten by the destination though they stay.
    pub refreshes: RoaringBitmap,
    /// There, and no longer to be.
    pub removes: RoaringBitmap,
}

impl CodeChanges {
    /// What changed between who was sent and who is to be there, on `today`. A visitor is refreshed
    /// on the day before the destination forgets him; `again` says from which visitor on everybody
    /// is sent again.
    #[must_use]
    pub fn between(
        sent: &Sent,
        wanted: &RoaringBitmap,
        today: Day,
        again: Option<Ordinal>,
    ) -> Self {
        let live: RoaringBitmap =
            sent.until.range(today.plus(1)..).fold(RoaringBitmap::new(), |all, (_, own)| all | own);
        let soon = today.plus(1);
        let ends = sent.until.range(soon..=soon).map(|(_, own)| own & wanted);
        let mut refreshes = ends.fold(RoaringBitmap::new(), |all, own| all | own);
        if let Some(from) = again {
            let mut all = &live & wanted;
            all.remove_range(..from);
            refreshes |= all;
        }
        // Whoever was ever sent is told to leave: not every destination forgets by itself.
        Self { adds: wanted - live, refreshes, removes: sent.all() - wanted }
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.adds.is_empty() && self.refreshes.is_empty() && self.removes.is_empty()
    }

    /// Every visitor for whom something changed.
    #[must_use]
    pub fn visitors(&self) -> RoaringBitmap {
        &self.adds | &self.refreshes | &self.removes
    }
}

/// When members lapse: the first day on which each is one no more, if no more hits come.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Lapses(pub BTreeMap<Day, RoaringBitmap>);

impl Lapses {
    /// The day of a visitor; none for who is not known to lapse.
    #[must_use]
    pub fn of(&self, ordinal: Ordinal) -> Option<Day> {
        self.0.iter().find(|(_, own)| own.contains(ordinal)).map(|(day, _)| *day)
    }

    /// Who is in several segments of one code lapses with the last of them.
    #[must_use]
    pub fn joined(self, other: Self) -> Self {
        let mut days: BTreeMap<Day, RoaringBitmap> = BTreeMap::new();
        let all: BTreeSet<Day> = self.0.keys().chain(other.0.keys()).copied().collect();
        let mut later = RoaringBitmap::new();
        for day in all.into_iter().rev() {
            let one = |own: &Self| own.0.get(&day).cloned().unwrap_or_default();
            let own = (one(&self) | one(&other)) - &later;
            later |= &own;
            if !own.is_empty() {
                days.insert(day, own);
            }
        }
        Self(days)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ordinals: &[u32]) -> RoaringBitmap {
        ordinals.iter().copied().collect()
    }

    #[test]
    fn everyone_is_added_refreshed_or_removed_at_his_time() {
        let today = Day(100);
        let mut sent = Sent { code: "11".into(), ..Sent::default() };
        sent.add(Day(100), &set(&[1, 2])); // forgotten there since midnight
        sent.add(Day(101), &set(&[3, 4])); // forgotten tomorrow
        sent.add(Day(130), &set(&[5, 6]));
        let wanted = set(&[1, 3, 5, 7]);
        let found = CodeChanges::between(&sent, &wanted, today, None);
        assert_eq!(found.adds, set(&[1, 7]));
        assert_eq!(found.refreshes, set(&[3]));
        assert_eq!(found.removes, set(&[2, 4, 6]));
        let full = CodeChanges::between(&sent, &wanted, today, Some(0));
        assert_eq!((full.adds, full.refreshes), (set(&[1, 7]), set(&[3, 5])));
        assert_eq!(full.removes, found.removes);
        // Those up to 4 were told already: of them what changed is told.
        let rest = CodeChanges::between(&sent, &wanted, today, Some(6));
        assert_eq!((rest.adds, rest.refreshes), (set(&[1, 7]), set(&[3])));
        assert_eq!(
            CodeChanges::between(&sent, &set(&[]), today, None).removes,
            set(&[1, 2, 3, 4, 5, 6])
        );
        assert!(CodeChanges::between(&Sent::default(), &set(&[]), today, Some(0)).is_empty());
    }

    #[test]
    fn of_two_segments_the_later_day_counts() {
        let one = Lapses([(Day(5), set(&[1, 2])), (Day(9), set(&[3]))].into());
        let other = Lapses([(Day(5), set(&[3])), (Day(7), set(&[2, 4]))].into());
        let joined = one.joined(other);
        let days: Vec<_> = (1..6).map(|ordinal| joined.of(ordinal)).collect();
        assert_eq!(days, [Some(Day(5)), Some(Day(7)), Some(Day(9)), Some(Day(7)), None]);
    }
}
