//! What the benches measure on: generated traffic and definitions, the same in every run.
//!
//! Shapes, not data: pages and visitors are skewed as on real sites (few have much, many have
//! little). The figures on real data come from the scripts beside this package.

#![expect(clippy::unwrap_used, reason = "benches stop at the first thing that is wrong")]

use std::sync::Arc;

use mayfly_core::{
    ConsentKey, Day, Event, Hit, HitParts, Page, PageKey, Partition, Referrer, Retention, SiteId,
    Visitor,
};
use mayfly_segments::{Compiled, Definitions, DefinitionsFile};

/// The day that all benches take for today.
pub const TODAY: Day = Day(20_778);
/// The partition that all hits are of.
pub const PARTITION: Partition = Partition(3);
/// Modules of [`courses`], after those of the OULAD set.
pub const MODULES: u32 = 7;
/// Activity types of a module, likewise.
pub const ACTIVITIES: u32 = 12;

/// A small random generator (splitmix64): the same numbers from the same seed, everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n` (at most 2^32), each as likely.
    pub fn below(&mut self, n: u32) -> u32 {
        (((self.bits() >> 32) * u64::from(n)) >> 32) as u32
    }

    /// A number below `n`; the small ones come far more often (the square of an even draw).
    pub fn skewed(&mut self, n: u32) -> u32 {
        let even = self.bits() >> 32;
        ((((even * even) >> 32) * u64::from(n)) >> 32) as u32
    }
}

/// The definitions of a file, compiled.
///
/// # Panics
/// When the file is wrong.
#[must_use]
pub fn compiled(file: &str) -> Arc<Compiled> {
    let retention = Retention::default();
    let file = DefinitionsFile::parse(file).unwrap();
    let applied = Definitions::default().apply(&file, false, retention).unwrap();
    Arc::new(Compiled::new(&applied.definitions, retention).unwrap())
}

/// Categories as in the OULAD set (activity types under modules) and twelve segments over them.
#[must_use]
pub fn courses() -> String {
    let mut file = String::from("format = 1\n");
    for (module, activity) in (0..MODULES).flat_map(|m| (0..ACTIVITIES).map(move |a| (m, a))) {
        file.push_str(&format!(
            "[[category]]\nname = \"m{module} > a{activity}\"\n\
             rule = 'path startswith \"/m{module}/a{activity}/\"'\n"
        ));
    }
    for (nth, rule) in COURSE_SEGMENTS.iter().enumerate() {
        file.push_str(&format!("[[segment]]\nname = \"s{nth}\"\nrule = '{rule}'\n"));
    }
    file
}

const COURSE_SEGMENTS: [&str; 12] = [
    r#"visited("m0", within 30d) >= 3"#,
    r#"visited("m0 > a0", within 7d)"#,
    r#"visited("m1", within 90d) >= 20"#,
    r#"visited("m1 > a1", within 14d) >= 2 and not visited("m1 > a2", within 7d)"#,
    r#"visited("m2 > a0", within 30d) or visited("m3 > a0", within 30d)"#,
    r#"at least 2 of (visited("m2", within 7d), visited("m3", within 7d), visited("m4", within 7d))"#,
    r#"visited("m4 > a3", between 30d and 7d ago)"#,
    r#"visited("m5", within 60d) >= 10 and not visited("m5", within 3d)"#,
    r#"visited("m6 > a5", earlier than 30d)"#,
    r#"engaged("m0", within 30d) >= 60s"#,
    r#"visited("*", within 1d) >= 5"#,
    r#"visited("m6", within 90d) >= 3 and (visited("m6 > a0", within 30d) or visited("m6 > a1", within 30d))"#,
];

/// The page number `n` of [`courses`]: `/m…/a…/…`.
#[must_use]
pub fn course_page(n: u32) -> Page {
    let (module, activity) = (n % MODULES, n / MODULES % ACTIVITIES);
    Page {
        url: format!("https://vle.example/m{module}/a{activity}/{n}").into(),
        title: format!("Page {n}").into(),
        ..Page::default()
    }
}

/// A page view.
#[must_use]
pub fn view(ordinal: u32, day: Day, second: u32, page: u32) -> Hit {
    Hit::restore(HitParts {
        visitor: Visitor { partition: PARTITION, ordinal },
        time: day.at_second(second),
        site: SiteId(1),
        page: Some(PageKey(u64::from(page))),
        event: Event::PageView,
        engaged_s: 0,
        referrer: Referrer::default(),
        context: Default::default(),
        attributes: Vec::new(),
        consent: ConsentKey(9),
        fired: Vec::new(),
    })
}

/// A day's views by time: visitors skewed, each pages of its own few.
#[must_use]
pub fn day_of_views(day: Day, hits: u32, visitors: u32, pages: u32) -> Vec<(Hit, u32)> {
    let mut random = Random::new(u64::from(day.0));
    (0..hits)
        .map(|n| {
            let ordinal = 1 + random.skewed(visitors);
            // Page numbers are multiplied, so that neighbours in number are not in popularity.
            let page = random.skewed(pages).wrapping_mul(7_919) % pages;
            let second = (u64::from(n) * 86_400 / u64::from(hits)) as u32;
            (view(ordinal, day, second, page), page)
        })
        .collect()
}
