//! The definitions file: what a person wrote, every value with its place.

use jiff::civil::Date;
use mayfly_core::{Attribute, Page, Partner, Site, Value, limits};
use toml::de::{DeTable, DeValue};

use super::form::{FormItem, children, form};
use super::import::{ImportItem, import};
use super::period::Period;
use super::segment_table;
use super::table::{Placed, PlacedText, Table};
use super::tree::levels;
use super::word_list::{WordListItem, word_list};
use crate::destination::{Destination, Mapped};
use crate::problem::{Fault, Problem, ProblemKind, Source, Subject};

/// A definitions file that has been read.
///
/// ```
/// use mayfly_segments::DefinitionsFile;
///
/// let file = DefinitionsFile::parse("format = 1\n[[segment]]\nnam = \"x\"\nrule = 'y'\n");
/// let problems = file.unwrap_err();
/// assert_eq!(problems[0].message(), "[[segment]] needs `name`");
/// assert_eq!((problems[1].line, problems[1].column), (3, 1));
/// assert_eq!(problems[1].help().as_deref(), Some("the nearest name is `name`"));
/// ```
#[derive(Clone, Debug)]
pub struct DefinitionsFile {
    pub(crate) text: Box<str>,
    pub(crate) sites: Vec<SiteItem>,
    pub(crate) categories: Vec<CategoryItem>,
    pub(crate) segments: Vec<SegmentItem>,
    pub(crate) word_lists: Vec<WordListItem>,
    pub(crate) partners: Vec<PartnerItem>,
    pub(crate) destinations: Vec<DestinationItem>,
    /// The fixtures of `[[test]]`.
    pub fixtures: Vec<Fixture>,
}

/// A `[[site]]`.
#[derive(Clone, Debug)]
pub(crate) struct SiteItem {
    pub(crate) key: PlacedText,
    /// Its number is not known yet.
    pub(crate) site: Site,
    /// Keys of partners.
    pub(crate) sync: Vec<PlacedText>,
}

/// A `[[partner]]`.
#[derive(Clone, Debug)]
pub(crate) struct PartnerItem {
    pub(crate) key: PlacedText,
    /// Its number is not known yet.
    pub(crate) partner: Partner,
    /// Where it says what Prebid calls it; else its key.
    pub(crate) bidder_place: Span,
    pub(crate) was: Vec<PlacedText>,
}

/// A `[[destination]]`.
#[derive(Clone, Debug)]
pub(crate) struct DestinationItem {
    pub(crate) name: PlacedText,
    pub(crate) partner: PlacedText,
    /// Its number, partner and mapping are not known yet.
    pub(crate) destination: Destination,
    pub(crate) segments: Vec<MappedItem>,
    /// Where it says how it gets what it gets.
    pub(crate) way_place: Span,
    pub(crate) was: Vec<PlacedText>,
}

/// A segment of a destination.
#[derive(Clone, Debug)]
pub(crate) struct MappedItem {
    pub(crate) segment: PlacedText,
    pub(crate) code_place: Span,
    /// Its segment is not known yet.
    pub(crate) mapped: Mapped,
}

/// A `[[category]]`.
#[derive(Clone, Debug)]
pub(crate) struct CategoryItem {
    pub(crate) name: PlacedText,
    /// `None` = not said: those that it has stay.
    pub(crate) iab: Option<Vec<PlacedText>>,
    pub(crate) rules: Vec<RuleItem>,
    pub(crate) except: Vec<PlacedText>,
    pub(crate) implies: Vec<PlacedText>,
    pub(crate) retired: Option<Date>,
    /// `None` = not said: it stays as it is.
    pub(crate) sensitive: Option<Placed<bool>>,
    pub(crate) was: Vec<PlacedText>,
    pub(crate) form: Option<FormItem>,
    pub(crate) import: Option<ImportItem>,
}

impl CategoryItem {
    /// A category of which nothing is said but its rules.
    pub(super) fn new(name: PlacedText, rules: Vec<RuleItem>) -> Self {
        Self {
            name,
            iab: None,
            rules,
            except: Vec::new(),
            implies: Vec::new(),
            retired: None,
            sensitive: None,
            was: Vec::new(),
            form: None,
            import: None,
        }
    }
}

/// One rule of a category.
#[derive(Clone, Debug)]
pub(crate) struct RuleItem {
    pub(crate) rule: PlacedText,
    pub(crate) sites: Vec<PlacedText>,
}

/// A `[[segment]]`.
#[derive(Clone, Debug)]
pub(crate) struct SegmentItem {
    pub(crate) name: PlacedText,
    pub(crate) rule: PlacedText,
    pub(crate) on_page: OnPageItem,
    pub(crate) paused: bool,
    pub(crate) notes: Box<str>,
    pub(crate) owner: Box<str>,
    pub(crate) labels: Vec<Box<str>>,
    pub(crate) iab: Vec<Box<str>>,
    pub(crate) period: Period,
    pub(crate) was: Vec<PlacedText>,
}

/// `on_page = true | false | ["site"]`.
#[derive(Clone, Debug)]
pub(crate) enum OnPageItem {
    Flag(bool),
    Sites(Vec<PlacedText>),
}

/// A fixture: this hit must land here, and not there.
#[derive(Clone, PartialEq, Debug)]
pub struct Fixture {
    /// The page of the hit.
    pub page: Page,
    /// Its event's name; `page_view` when not said.
    pub event: Box<str>,
    /// The key of its site, when said.
    pub site: Option<Box<str>>,
    /// Its referrer's URL; empty when not said.
    pub referrer: Box<str>,
    /// Its attributes.
    pub attributes: Vec<Attribute>,
    /// Paths of categories that it must fall in.
    pub within: Vec<Box<str>>,
    /// Paths of categories that it must not fall in.
    pub without: Vec<Box<str>>,
    /// Line of the file that it begins in, from 1.
    pub line: usize,
}

impl DefinitionsFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong with its form, in the order of the file, at most
    /// [`limits::PROBLEMS`]. What rules and expressions mean is checked by
    /// [`super::Definitions::apply`].
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let source = Source::new(Subject::File, text);
        Self::read(text).map_err(|mut faults| {
            faults.sort_by_key(|fault| fault.span.start);
            crate::problem::listed(faults.into_iter().map(|fault| source.problem(fault)))
        })
    }

    /// The same without its segments.
    #[must_use]
    pub fn without_segments(self) -> Self {
        Self { segments: Vec::new(), destinations: Vec::new(), ..self }
    }

    fn read(text: &str) -> Result<Self, Vec<Fault>> {
        if text.len() > limits::DEFINITIONS_BYTES {
            let kind = ProblemKind::TooMany {
                what: "bytes in the file",
                limit: limits::DEFINITIONS_BYTES,
            };
            return Err(vec![Fault::new(kind, 0..0)]);
        }
        let parsed = DeTable::parse(text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            vec![Fault::new(ProblemKind::Toml { source: Box::new(error) }, span)]
        })?;
        let keys = [
            "format",
            "site",
            "category",
            "segment",
            "word_list",
            "partner",
            "destination",
            "test",
        ];
        let mut top = Table::new("definitions", parsed.get_ref(), 0..0, &keys);
        if !top.is_number("format", "1") {
            top.fault(ProblemKind::Format, top.place("format"));
        }
        let mut faults = Vec::new();
        let lists = (top.tables("site"), top.tables("category"), top.tables("segment"));
        let (tests, word_lists) = (top.tables("test"), top.tables("word_list"));
        let (partners, destinations) = (top.tables("partner"), top.tables("destination"));
        let sites = items(lists.0, &mut faults, super::site_table::site);
        let mut categories = items(lists.1, &mut faults, category);
        let keys: Vec<PlacedText> = sites.iter().map(|site| site.key.clone()).collect();
        let of_form = |own: &CategoryItem| children(own, &keys, &mut faults);
        let children: Vec<_> = categories.iter().flat_map(of_form).collect();
        categories.extend(children);
        let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
        let file = Self {
            text: text.into(),
            sites,
            categories,
            segments: items(lists.2, &mut faults, segment_table::segment),
            word_lists: items(word_lists, &mut faults, word_list),
            partners: items(partners, &mut faults, super::partner_table::partner),
            destinations: items(destinations, &mut faults, super::destination_table::destination),
            fixtures: items(tests, &mut faults, |table, span, faults| {
                let line = ends.partition_point(|end| *end < span.start) + 1;
                fixture(line, table, span, faults)
            }),
        };
        faults.extend(top.faults());
        if faults.is_empty() { Ok(file) } else { Err(faults) }
    }
}

pub(super) type Span = std::ops::Range<usize>;

fn items<'t, 'i, T>(
    tables: Vec<(&'t DeTable<'i>, Span)>,
    faults: &mut Vec<Fault>,
    read: impl Fn(&'t DeTable<'i>, Span, &mut Vec<Fault>) -> Option<T>,
) -> Vec<T> {
    tables.into_iter().filter_map(|(table, span)| read(table, span, faults)).collect()
}

/// Whether a name may be used: within its limit, without control characters and quotes.
pub(super) fn sound(name: &str) -> bool {
    (1..=limits::NAME_BYTES).contains(&name.len())
        && name.trim() == name
        && !name.contains(|c: char| c.is_control() || matches!(c, '"' | '\\'))
}

/// Whether a text may be the path of a category.
pub(super) fn is_path(path: &str) -> bool {
    let levels = levels(path);
    let sound = levels.iter().all(|level| sound(level) && *level != super::EVERY_HIT);
    sound && levels.len() <= limits::CATEGORY_DEPTH
}

const CATEGORY_KEYS: [&str; 12] = [
    "name",
    "iab",
    "rule",
    "rules",
    "except",
    "implies",
    "retired",
    "sensitive",
    "was",
    "form",
    "values",
    "import",
];

fn category(table: &DeTable<'_>, span: Span, faults: &mut Vec<Fault>) -> Option<CategoryItem> {
    let mut table = Table::new("category", table, span, &CATEGORY_KEYS);
    let name = table.need_text("name");
    let iab = table.has("iab").then(|| table.one_or_more("iab"));
    let mut rules: Vec<RuleItem> =
        table.text("rule").map(|rule| RuleItem { rule, sites: Vec::new() }).into_iter().collect();
    if !rules.is_empty() && table.has("rules") {
        table.fault(ProblemKind::Both { one: "rule", other: "rules" }, table.place("rules"));
    }
    let tables = table.tables("rules");
    if tables.len() > limits::RULES_PER_CATEGORY {
        let kind = ProblemKind::TooMany { what: "rules", limit: limits::RULES_PER_CATEGORY };
        table.fault(kind, table.place("rules"));
    }
    for (rule, span) in tables {
        let mut rule = Table::new("category.rules", rule, span, &["rule", "sites"]);
        let (text, sites) = (rule.need_text("rule"), rule.texts("sites"));
        rules.extend(text.map(|rule| RuleItem { rule, sites }));
        faults.extend(rule.faults());
    }
    let (was, form) = (table.texts("was"), form(&mut table));
    if form.is_none() && table.has("values") {
        let kind = ProblemKind::MissingKey { table: "category", key: "form" };
        table.fault(kind, table.place("values"));
    }
    let (except, implies) = (table.one_or_more("except"), table.one_or_more("implies"));
    if except.len() > limits::EXCEPTIONS {
        let kind = ProblemKind::TooMany { what: "exceptions", limit: limits::EXCEPTIONS };
        table.fault(kind, table.place("except"));
    }
    let retired = table.calendar_day("retired");
    let place = table.place("sensitive");
    let sensitive = table.flag("sensitive").map(|value| Placed { value, span: place });
    for path in name.iter().chain(&was) {
        if !is_path(&path.value) {
            let kind = ProblemKind::BadName { what: "category", name: path.value.clone() };
            table.fault(kind, path.span.clone());
        }
    }
    let has_rules = [!rules.is_empty(), form.is_some(), !implies.is_empty(), !except.is_empty()];
    let has_rules = has_rules.contains(&true);
    let import = import(&mut table, has_rules, faults);
    faults.extend(table.faults());
    let more = CategoryItem {
        iab,
        except,
        implies,
        retired,
        sensitive,
        was,
        form,
        import,
        ..CategoryItem::new(name?, rules)
    };
    Some(more)
}

fn fixture(
    line: usize,
    table: &DeTable<'_>,
    span: Span,
    faults: &mut Vec<Fault>,
) -> Option<Fixture> {
    let mut test = Table::new("test", table, span, &["hit", "in", "not_in"]);
    let values = |texts: Vec<PlacedText>| texts.into_iter().map(|t| t.value).collect::<Vec<_>>();
    let (within, without) = (values(test.texts("in")), values(test.texts("not_in")));
    let hit = test.table("hit");
    if !test.has("hit") {
        let kind = ProblemKind::MissingKey { table: "test", key: "hit" };
        test.fault(kind, test.place("hit"));
    }
    faults.extend(test.faults());
    let (hit, span) = hit?;
    let keys =
        ["url", "title", "keywords", "categories", "event", "site", "referrer", "attributes"];
    let mut hit = Table::new("test.hit", hit, span, &keys);
    let plain = |text: Option<PlacedText>| text.map(|t| t.value).unwrap_or_default();
    let page = Page {
        url: plain(hit.need_text("url")),
        title: plain(hit.text("title")),
        keywords: values(hit.texts("keywords")),
        categories: values(hit.texts("categories")),
    };
    let event = hit.text("event").map_or_else(|| "page_view".into(), |event| event.value);
    let site = hit.text("site").map(|site| site.value);
    let referrer = plain(hit.text("referrer"));
    let attributes =
        hit.table("attributes").map(|(table, _)| attributes(table)).unwrap_or_default();
    faults.extend(hit.faults());
    Some(Fixture { page, event, site, referrer, attributes, within, without, line })
}

/// Texts and numbers; other values are no attributes.
fn attributes(table: &DeTable<'_>) -> Vec<Attribute> {
    let value = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Some(Value::Text((**text).into())),
        DeValue::Integer(n) => n.as_str().parse().ok().map(Value::Number),
        DeValue::Float(n) => n.as_str().parse().ok().map(Value::Number),
        DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    };
    table
        .iter()
        .filter_map(|(name, v)| {
            Some(Attribute { name: (**name.get_ref()).into(), value: value(v.get_ref())? })
        })
        .collect()
}
