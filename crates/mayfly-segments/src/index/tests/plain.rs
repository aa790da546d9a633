//! The plain model: definitions as closures over raw hits, memberships by counting hits one by one.

use std::collections::BTreeSet;

use mayfly_core::{
    Admitted, Attribute, CategoryId, ConsentKey, Day, Event, Hit, HitParts, Hour, Ordinal, Page,
    PageKey, Partition, Referrer, SiteId, Value, Visitor,
};
use proptest::prelude::*;

use crate::expr::Sample;
use crate::leaf::Measure;

pub(super) const RETENTION_DAYS: u16 = 10;
/// The number of the category that a partner fills.
const DECLARED: CategoryId = CategoryId(1);
pub(super) const PATHS: [&str; 4] = ["A", "A > B", "A > B > C", "D"];

pub(super) fn pages() -> Vec<Page> {
    [("/x/1", ""), ("/x/2", "Zebra"), ("/y/1", ""), ("/q", "zebra crossing"), ("/q/2", "")]
        .into_iter()
        .map(|(path, title)| Page {
            url: format!("https://a.example{path}").into(),
            title: title.into(),
            ..Page::default()
        })
        .collect()
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Raw {
    pub(super) day: Day,
    pub(super) second: u32,
    pub(super) ordinal: Ordinal,
    pub(super) page: usize,
    pub(super) event: Event,
    pub(super) engaged_s: u16,
    pub(super) v: Option<u8>,
    /// A partner declares it: in, or no more; all else does not count.
    pub(super) declared: Option<bool>,
}

impl Raw {
    pub(super) fn hit(&self) -> Hit {
        if let Some(is_in) = self.declared {
            let visitor = Visitor { partition: Partition(0), ordinal: self.ordinal };
            let time = self.day.at_second(self.second);
            let hit = Admitted::declared(DECLARED, is_in, time).unwrap();
            return hit.into_hit(visitor, None, ConsentKey(0));
        }
        let v = self.v.map(|v| Attribute { name: "v".into(), value: Value::Number(f64::from(v)) });
        Hit::restore(HitParts {
            visitor: Visitor { partition: Partition(0), ordinal: self.ordinal },
            time: self.day.at_second(self.second),
            site: SiteId(1),
            page: Some(PageKey(self.page as u64)),
            event: self.event.clone(),
            engaged_s: self.engaged_s,
            referrer: Referrer::default(),
            context: Default::default(),
            attributes: v.into_iter().collect(),
            consent: ConsentKey(0),
            fired: Vec::<CategoryId>::new(),
        })
    }

    fn view(&self) -> bool {
        matches!(self.event, Event::PageView | Event::Engagement)
    }
}

/// Rules of which each category has one: the text, and the same by hand.
type Rule = (&'static str, fn(&Raw) -> bool);
pub(super) const RULES: [Rule; 6] = [
    ("", |_| false),
    ("path startswith '/x'", |h| h.view() && h.page < 2),
    ("path startswith '/y' or title contains 'zebra'", |h| h.view() && [1, 2, 3].contains(&h.page)),
    ("event == 'ad_click' and path startswith '/x'", |h| h.event == Event::AdClick && h.page < 2),
    ("a.v >= 3", |h| h.view() && h.v.is_some_and(|v| v >= 3)),
    ("not title exists or a.v exists", |h| {
        h.view() && (![1, 3].contains(&h.page) || h.v.is_some())
    }),
];

#[derive(Clone, Debug)]
pub(super) enum Tree {
    /// Percent.
    Sample(u8),
    /// Category (4 = every hit), measure, window's ends in days ago, comparison, number.
    Leaf(usize, Measure, (u16, u16), &'static str, u32),
    /// The same with the window's ends in hours ago, and only hits with `v` at least this.
    Hours(usize, Measure, (u16, u16), Option<u8>, u32),
    /// Category, oldest day, and then each: category, within so many seconds; so often.
    Then(usize, u16, Vec<(usize, u32)>, Option<u8>, u32),
    Not(Box<Tree>),
    And(Vec<Tree>),
    Or(Vec<Tree>),
    AtLeast(usize, Vec<Tree>),
}

#[derive(Clone, Debug)]
pub(super) struct Plain {
    pub(super) rules: [usize; 4],
    pub(super) trees: Vec<Tree>,
}

impl Tree {
    pub(super) fn text(&self) -> String {
        let list = |trees: &[Tree], between: &str| {
            trees.iter().map(Self::text).collect::<Vec<_>>().join(between)
        };
        match self {
            Self::Leaf(category, measure, (newest, oldest), comparison, number) => {
                let (what, path) = (word(*measure), named(*category));
                let window = match (*newest, *oldest) {
                    (0, n) => format!("within {}d", n + 1),
                    (n, last) if last == RETENTION_DAYS - 1 => format!("earlier than {n}d"),
                    (n, m) => format!("between {m}d and {n}d ago"),
                };
                format!("{what}({path}, {window}) {comparison} {number}")
            }
            Self::Hours(category, measure, (newest, oldest), v, number) => {
                let only = v.map_or(String::new(), |v| format!(", v >= {v}"));
                let window = match *newest {
                    0 => format!("within {}h", oldest + 1),
                    newest => format!("between {oldest}h and {newest}h ago"),
                };
                format!("{}({}, {window}{only}) >= {number}", word(*measure), named(*category))
            }
            Self::Then(category, oldest, then, v, number) => {
                let only = v.map_or(String::new(), |v| format!(", v >= {v}"));
                let step = |(category, within): &(usize, u32)| {
                    format!(" then visited({}{only}) within {within}s", named(*category))
                };
                let steps: String = then.iter().map(step).collect();
                let window = format!("within {}d", oldest + 1);
                format!("visited({}, {window}){steps} >= {number}", named(*category))
            }
            Self::Sample(percent) => format!("sample({percent}%, \"s\")"),
            Self::Not(tree) => format!("not ({})", tree.text()),
            Self::And(trees) => format!("({})", list(trees, " and ")),
            Self::Or(trees) => format!("({})", list(trees, " or ")),
            Self::AtLeast(k, trees) => format!("at least {k} of ({})", list(trees, ", ")),
        }
    }

    /// Whether it may change within a day.
    pub(super) fn has_hours(&self) -> bool {
        match self {
            Self::Hours(..) => true,
            Self::Leaf(..) | Self::Then(..) | Self::Sample(_) => false,
            Self::Not(tree) => tree.has_hours(),
            Self::And(trees) | Self::Or(trees) | Self::AtLeast(_, trees) => {
                trees.iter().any(Self::has_hours)
            }
        }
    }

    fn holds(&self, plain: &Plain, hits: &[&Raw], now: Hour) -> bool {
        let count = |trees: &[Self]| trees.iter().filter(|t| t.holds(plain, hits, now)).count();
        let today = now.day();
        match self {
            Self::Hours(category, measure, (newest, oldest), v, number) => {
                let within = |h: &&&Raw| {
                    let ago = now.0.checked_sub(h.hit().time.hour().unwrap().0);
                    ago.is_some_and(|ago| (u32::from(*newest)..=u32::from(*oldest)).contains(&ago))
                };
                let of = hits.iter().filter(within).filter(|h| plain.falls(h, *category));
                sum(*measure, of.filter(|h| v.is_none() || h.v >= *v)) >= *number
            }
            Self::Then(category, oldest, then, v, number) => {
                let mut own: Vec<&Raw> = hits.to_vec();
                own.retain(|h| h.event != Event::Engagement);
                // Hits of one visitor often repeat: each is looked at once.
                let apart: Vec<(&Raw, usize)> =
                    own.chunk_by(|a, b| a == b).map(|same| (same[0], same.len())).collect();
                let within = |h: &Raw| today.0.checked_sub(h.day.0).is_some_and(|n| n <= *oldest);
                let own: Vec<&Raw> = apart.iter().map(|(h, _)| *h).collect();
                let starts = apart.iter().filter(|(h, _)| {
                    within(h) && plain.falls(h, *category) && plain.followed(h, &own, then, *v)
                });
                starts.map(|(_, times)| times).sum::<usize>() >= *number as usize
            }
            Self::Leaf(category, measure, (newest, oldest), comparison, number) => {
                let within = |h: &&&Raw| {
                    let ago = today.0.checked_sub(h.day.0);
                    ago.is_some_and(|ago| (*newest..=*oldest).contains(&ago))
                };
                let of = hits.iter().filter(within).filter(|h| plain.falls(h, *category));
                let sum = sum(*measure, of);
                match *comparison {
                    ">=" => sum >= *number,
                    ">" => sum > *number,
                    "<" => sum < *number,
                    "<=" => sum <= *number,
                    "==" => sum == *number,
                    "!=" => sum != *number,
                    other => unreachable!("{other}"),
                }
            }
            Self::Sample(percent) => hits.first().is_some_and(|hit| {
                Sample::new(f64::from(*percent), "s").unwrap().holds(hit.hit().visitor)
            }),
            Self::Not(tree) => !tree.holds(plain, hits, now),
            Self::And(trees) => count(trees) == trees.len(),
            Self::Or(trees) => count(trees) > 0,
            Self::AtLeast(k, trees) => count(trees) >= *k,
        }
    }
}

/// A visitor's hits without what was taken back.
fn standing<'r>(own: &[&'r Raw]) -> Vec<&'r Raw> {
    let mut standing: Vec<&Raw> = Vec::new();
    for hit in own {
        match hit.declared {
            Some(false) => standing.retain(|h| h.declared.is_none() || h.day != hit.day),
            // Said twice on a day, it is said.
            Some(true) if standing.iter().any(|h| h.declared.is_some() && h.day == hit.day) => {}
            Some(true) | None => standing.push(hit),
        }
    }
    standing
}

/// What a measure makes of some hits.
fn sum<'a>(measure: Measure, of: impl Iterator<Item = &'a &'a Raw>) -> u32 {
    let is_hit = |h: &&&Raw| h.event != Event::Engagement;
    match measure {
        Measure::Visited => of.filter(is_hit).count() as u32,
        Measure::Engaged => of.map(|h| u32::from(h.engaged_s)).sum(),
        Measure::Days => of.filter(is_hit).map(|h| h.day).collect::<BTreeSet<_>>().len() as u32,
    }
}

fn word(measure: Measure) -> &'static str {
    match measure {
        Measure::Visited => "visited",
        Measure::Engaged => "engaged",
        Measure::Days => "days",
    }
}

/// A category's path, in quotes.
fn named(category: usize) -> String {
    match category {
        5 => "\"E\"".to_owned(),
        _ => format!("\"{}\"", PATHS.get(category).unwrap_or(&"*")),
    }
}

impl Plain {
    /// Whether the steps follow a hit, one after the other.
    fn followed(&self, hit: &Raw, own: &[&Raw], then: &[(usize, u32)], v: Option<u8>) -> bool {
        let Some(((category, within), rest)) = then.split_first() else { return true };
        own.iter().any(|next| {
            let later = next.hit().time.secs() - hit.hit().time.secs();
            (1..=i64::from(*within)).contains(&later)
                && self.falls(next, *category)
                && (v.is_none() || next.v >= v)
                && self.followed(next, own, rest, v)
        })
    }

    /// Whether a hit falls in the category or in one below it.
    fn falls(&self, hit: &Raw, category: usize) -> bool {
        if hit.declared.is_some() {
            return category == 5;
        }
        match category {
            5 => false,
            0..=2 => (category..3).any(|below| RULES[self.rules[below]].1(hit)),
            3 => RULES[self.rules[3]].1(hit),
            _ => true,
        }
    }

    pub(super) fn members(&self, segment: usize, hits: &[Raw], now: Hour) -> Vec<Ordinal> {
        let mut ordinals: Vec<Ordinal> = hits.iter().map(|h| h.ordinal).collect();
        ordinals.sort_unstable();
        ordinals.dedup();
        ordinals.retain(|o| {
            let own: Vec<&Raw> = hits.iter().filter(|h| h.ordinal == *o).collect();
            let own = standing(&own);
            self.trees[segment].holds(self, &own, now)
        });
        ordinals
    }

    /// The definitions file.
    pub(super) fn file(&self) -> String {
        // The first of all, so that its number is known.
        let mut file = "format = 1\n[[category]]\nname = \"E\"\n[category.import]\n\
                        partner = \"p\"\ncode = \"1\"\nbasis = \"a contract\"\n\
                        [[partner]]\nkey = \"p\"\nprocessor = true\n"
            .to_owned();
        for (path, rule) in PATHS.iter().zip(self.rules) {
            file += &format!("[[category]]\nname = \"{path}\"\n");
            if rule > 0 {
                file += &format!("rule = \"{}\"\n", RULES[rule].0);
            }
        }
        for (at, tree) in self.trees.iter().enumerate() {
            file += &format!("[[segment]]\nname = \"s{at}\"\nrule = '{}'\n", tree.text());
        }
        file
    }
}

fn leaf() -> impl Strategy<Value = Tree> {
    let window = (0..RETENTION_DAYS, 0..RETENTION_DAYS).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let comparison = prop::sample::select(vec![">=", ">", "<", "<=", "==", "!="]);
    let number = prop_oneof![1u32..5, Just(60), Just(254)];
    let measure = prop::sample::select(vec![Measure::Visited, Measure::Engaged, Measure::Days]);
    (0usize..6, measure, window, comparison, number).prop_map(
        |(category, measure, window, cmp, n)| {
            let n = if measure == Measure::Days { 1 + n % u32::from(RETENTION_DAYS) } else { n };
            Tree::Leaf(category, measure, window, cmp, n)
        },
    )
}

fn hours() -> impl Strategy<Value = Tree> {
    let measure = prop::sample::select(vec![Measure::Visited, Measure::Engaged, Measure::Days]);
    let only = prop::option::of(0u8..5);
    (0usize..5, measure, 0u16..72, 0u16..72, only, 1u32..4)
        .prop_map(|(category, m, a, b, v, n)| Tree::Hours(category, m, (a.min(b), a.max(b)), v, n))
}

fn then() -> impl Strategy<Value = Tree> {
    let within = prop_oneof![1u32..20_000, Just(86_400), Just(3 * 86_400)];
    let steps = prop::collection::vec((0usize..5, within), 1..4);
    (0usize..5, 0..RETENTION_DAYS, steps, prop::option::of(0u8..4), 1u32..3)
        .prop_map(|(category, oldest, steps, v, n)| Tree::Then(category, oldest, steps, v, n))
}

fn tree() -> impl Strategy<Value = Tree> {
    let sample = (1u8..100).prop_map(Tree::Sample);
    let leaf = prop_oneof![9 => leaf(), 1 => sample, 2 => hours(), 2 => then()];
    let any_tree = leaf.prop_recursive(3, 12, 4, |inner| {
        let some = prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            inner.prop_map(|t| Tree::Not(Box::new(t))),
            some.clone().prop_map(Tree::And),
            some.clone().prop_map(Tree::Or),
            (some, 0usize..4).prop_map(|(trees, k)| Tree::AtLeast(1 + k % trees.len(), trees)),
        ]
    });
    // Nobody without a hit may be a member.
    any_tree.prop_map(|tree| {
        let hit = |measure| Tree::Leaf(4, measure, (0, RETENTION_DAYS - 1), ">=", 1);
        Tree::And(vec![tree, Tree::Or(vec![hit(Measure::Visited), hit(Measure::Engaged)])])
    })
}

pub(super) fn plain() -> impl Strategy<Value = Plain> {
    (prop::array::uniform4(0..RULES.len()), prop::collection::vec(tree(), 1..4))
        .prop_map(|(rules, trees)| Plain { rules, trees })
}
