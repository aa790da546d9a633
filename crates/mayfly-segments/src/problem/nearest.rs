//! The name a person probably meant.

/// Of these names the one nearest to `wanted`, unless none is near: at most a third of the
/// characters may differ. Names are compared without regard to case.
#[must_use]
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<Box<str>> {
    let wanted: Vec<char> = wanted.to_lowercase().chars().take(LONGEST).collect();
    let limit = wanted.len().div_ceil(3);
    names
        .filter_map(|name| {
            let chars: Vec<char> = name.to_lowercase().chars().take(LONGEST).collect();
            let apart = chars.len().abs_diff(wanted.len());
            if apart > limit {
                return None;
            }
            Some((distance(&wanted, &chars), name)).filter(|(d, _)| *d <= limit)
        })
        .min()
        .map(|(_, name)| name.into())
}

/// Of these names the one that `wanted` is but one slip away from.
pub(crate) fn one_slip<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = wanted.chars().take(LONGEST).collect();
    let near = |name: &&str| distance(&wanted, &name.chars().collect::<Vec<_>>()) == 1;
    names.into_iter().find(near)
}

/// Characters compared of a name.
const LONGEST: usize = 256;

/// Insertions, deletions, replacements and swaps of neighbours, one row at a time (optimal string
/// alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(x != y);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *y && b[j - 1] == *x {
                let before: &Vec<usize> = &before;
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let names = ["Sports > Football", "Sports", "Betting"];
        let near = |w| nearest(w, names.into_iter());
        assert_eq!(near("Sports > Fotball").as_deref(), Some("Sports > Football"));
        assert_eq!(near("sport").as_deref(), Some("Sports"));
        assert_eq!(near("Bettnig").as_deref(), Some("Betting"));
        assert_eq!(near("Gardening"), None);
        assert_eq!(near(""), None);
    }

    #[test]
    fn distances_count_single_slips() {
        let d = |a: &str, b: &str| {
            distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>())
        };
        for (a, b, n) in [
            ("kitten", "sitting", 3),
            ("", "abc", 3),
            ("abc", "", 3),
            ("flaw", "lawn", 2),
            ("titel", "title", 1),
        ] {
            assert_eq!(d(a, b), n, "{a} {b}");
        }
    }
}
