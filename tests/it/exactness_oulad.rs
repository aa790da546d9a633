//! A real clickstream (OULAD: students on course pages over months) as hits, and the plain answer
//! to who is a member: every row of a visitor looked at, no index, no bitmap.
//!
//! Each course's days are shifted so that its newest is today. Skipped where the data is absent.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use mayfly_core::{Day, Timestamp};
use serde_json::{Value, json};

/// Ages in days that are sent to be kept; the retention is 90, and a midnight may pass meanwhile.
const KEPT: RangeInclusive<i64> = 0..=88;
/// Ages that must be refused.
const TOO_OLD: RangeInclusive<i64> = 90..=100;
/// One student in so many is taken.
const SAMPLE: u32 = 5;

/// One hit that was sent: what a rule can see of it.
struct Seen {
    day: u16,
    module: String,
    activity: String,
    /// Of a page ping: engaged seconds; it is no visit.
    seconds: Option<u32>,
}

/// Everything that one visitor did.
#[derive(Default)]
pub(crate) struct History {
    seen: Vec<Seen>,
}

/// The clickstream.
pub(crate) struct Clicks {
    /// The day that was today when it was read.
    pub(crate) today: Day,
    /// Hits to send, in the order of the file.
    pub(crate) hits: Vec<Value>,
    /// Hits that are too old.
    pub(crate) old: Vec<Value>,
    /// What was sent, by the visitor's id in the space `oulad`.
    pub(crate) visitors: BTreeMap<String, History>,
}

/// A row of the file.
struct Row<'t> {
    module: &'t str,
    presentation: &'t str,
    student: &'t str,
    site: &'t str,
    clicks: &'t str,
    /// `YYYY-MM-DD`: sorts as it stands.
    day: &'t str,
}

fn folder() -> Option<PathBuf> {
    let data = std::env::var_os("MAYFLY_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    Some(data.join("oulad/hand")).filter(|folder| folder.is_dir())
}

/// Days since 1970 of `YYYY-MM-DD`, counted in years that begin in March.
fn day_number(text: &str) -> i64 {
    let part = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
    let (months, day) = (part(0..4) * 12 + part(5..7) - 3, part(8..10));
    let (year, month) = (months / 12, months % 12);
    let leaps = year / 4 - year / 100 + year / 400;
    year * 365 + leaps + (153 * month + 2) / 5 + day - 1 - 719_468
}

fn row(line: &str) -> Row<'_> {
    let f: Vec<&str> = line.split(',').collect();
    Row { module: f[0], presentation: f[1], student: f[2], site: f[3], clicks: f[5], day: f[6] }
}

/// Spreads numbers: the same row has the same hour, ping and repetition in every run.
fn spread(row: usize, salt: u64) -> u32 {
    let mixed = (row as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ salt);
    (mixed >> 33) as u32
}

impl Clicks {
    /// Reads the files, once for all tests; `None` (said on standard error) where they are absent.
    pub(crate) fn read() -> Option<&'static Self> {
        static CLICKS: OnceLock<Option<Clicks>> = OnceLock::new();
        CLICKS.get_or_init(Self::from_files).as_ref()
    }

    fn from_files() -> Option<Self> {
        let Some(folder) = folder() else {
            eprintln!("skipped: there is no OULAD data; MAYFLY_DATA names its folder");
            return None;
        };
        let output = Command::new("zstd")
            .args(["-dcq"])
            .arg(folder.join("studentVle_hand.csv.zst"))
            .output()
            .expect("zstd; run deploy/install-test-tools.sh");
        let text = String::from_utf8(output.stdout).unwrap();
        let pages = fs::read_to_string(folder.join("vle.csv")).unwrap();
        Some(Self::of(&text, &pages))
    }

    fn of(text: &str, pages: &str) -> Self {
        let pages: HashMap<&str, &str> = pages
            .lines()
            .skip(1)
            .filter_map(|line| Some((line.split(',').next()?, line.split(',').nth(3)?)))
            .collect();
        let rows: Vec<Row<'_>> = text.lines().skip(1).map(row).collect();
        let mut newest: HashMap<(&str, &str), &str> = HashMap::new();
        for row in &rows {
            let last = newest.entry((row.module, row.presentation)).or_insert(row.day);
            *last = row.day.max(*last);
        }
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let now = Timestamp::from_secs(i64::try_from(now).unwrap());
        let today = now.day().unwrap();
        let (hits, old, visitors) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut clicks = Self { today, hits, old, visitors };
        for (at, row) in rows.iter().enumerate() {
            if row.student.parse::<u32>().unwrap().is_multiple_of(SAMPLE) {
                let newest = newest[&(row.module, row.presentation)];
                let age = day_number(newest) - day_number(row.day);
                clicks.take(at, row, age, pages[row.site], now);
            }
        }
        clicks
    }

    /// Takes a row: one hit, or up to three where the student clicked more; some with a ping.
    fn take(&mut self, at: usize, row: &Row<'_>, age: i64, activity: &str, now: Timestamp) {
        let day = Day(self.today.0 - u16::try_from(age.min(300)).unwrap());
        let seconds = if age == 0 { now.second_of_day() + 1 } else { 86_400 };
        let time = day.at_second(spread(at, 1) % seconds).millis();
        let visitor = format!("{}/{}", row.student, row.presentation);
        let Row { module, presentation, site, .. } = row;
        let hit = |id: String| {
            json!({
                "id": id, "site": "campus", "time": time,
                "visitor": {"space": "oulad", "id": visitor},
                "url": format!("https://campus.example/{module}/{presentation}/{activity}/{site}"),
            })
        };
        if TOO_OLD.contains(&age) && self.old.len() < 2000 {
            self.old.push(hit(format!("old-{at}")));
        }
        if !KEPT.contains(&age) {
            return;
        }
        let copies = if spread(at, 2).is_multiple_of(3) {
            row.clicks.parse::<u32>().unwrap().min(3)
        } else {
            1
        };
        let ping = spread(at, 3).is_multiple_of(6).then(|| 5 + spread(at, 4) % 50);
        let seen = |seconds| Seen {
            day: day.0,
            module: (*module).to_owned(),
            activity: activity.to_owned(),
            seconds,
        };
        let history = &mut self.visitors.entry(visitor.clone()).or_default().seen;
        for copy in 0..copies {
            self.hits.push(hit(format!("{at}-{copy}")));
            history.push(seen(None));
        }
        if let Some(seconds) = ping {
            let mut hit = hit(format!("{at}-ping"));
            hit["event"] = json!("engagement");
            hit["engaged_ms"] = json!(seconds * 1000);
            self.hits.push(hit);
            history.push(seen(Some(seconds)));
        }
    }

    /// Modules and activities that occur.
    pub(crate) fn kinds(&self) -> BTreeSet<(&str, &str)> {
        let all = self.visitors.values().flat_map(|history| &history.seen);
        all.map(|seen| (&*seen.module, &*seen.activity)).collect()
    }
}

impl Seen {
    /// Whether it falls in a category: `*`, a module, a module's activity, or the talk of all.
    fn is_in(&self, category: &str) -> bool {
        let is_any = |names: &[&str]| names.contains(&&*self.activity);
        match category {
            "*" => true,
            "Talk" => is_any(&["forumng", "ouwiki", "oucollaborate"]),
            "Talk > forum" => is_any(&["forumng"]),
            "Talk > writing" => is_any(&["forumng", "ouwiki"]),
            "Talk > live" => is_any(&["oucollaborate"]),
            _ => match category.split_once(" > ") {
                Some((module, activity)) => self.module == module && self.activity == activity,
                None => self.module == category,
            },
        }
    }
}

/// A visitor's history, looked at from a day.
pub(crate) struct View<'h> {
    /// What was done.
    pub(crate) history: &'h History,
    /// The current day.
    pub(crate) today: Day,
}

impl View<'_> {
    fn of(&self, category: &str, ages: &RangeInclusive<u16>) -> impl Iterator<Item = &Seen> {
        let within = |seen: &&Seen| {
            let age = self.today.0.checked_sub(seen.day);
            age.is_some_and(|age| ages.contains(&age)) && seen.is_in(category)
        };
        self.history.seen.iter().filter(within)
    }

    /// Visits of a category at these ages in days.
    pub(crate) fn visits(&self, category: &str, ages: RangeInclusive<u16>) -> usize {
        self.of(category, &ages).filter(|seen| seen.seconds.is_none()).count()
    }

    /// Engaged seconds.
    pub(crate) fn seconds(&self, category: &str, ages: RangeInclusive<u16>) -> u32 {
        self.of(category, &ages).filter_map(|seen| seen.seconds).sum()
    }

    /// Hits of any kind within the retention.
    pub(crate) fn hits(&self) -> usize {
        self.of("*", &(0..=89)).count()
    }
}
