//! Form categories: `form = "device"` gives a category one child for each value that the fact has,
//! with the rule that says so. The children are categories as any other: what was written in short
//! is not kept. What has not become categories can be read off hits all the same ([`Fact`]).

use mayfly_core::{Browser, Device, Event, Hit, Os, ReferrerKind};

use super::file::{CategoryItem, RuleItem, is_path};
use super::table::{Placed, PlacedText, Table};
use super::tree::BETWEEN;
use crate::problem::{Fault, ProblemKind};
use crate::rule::{HitFacts, HitField, SiteFacts};

/// `form` and `values` of a category.
#[derive(Clone, Debug)]
pub(crate) struct FormItem {
    form: PlacedText,
    values: Vec<PlacedText>,
}

/// Name of a child, and the value in its rule.
type Value = (String, String);

/// A fact of hits whose values can be categories.
struct Form {
    name: &'static str,
    /// As rules call it.
    field: &'static str,
    /// Its values, where they are fixed.
    fixed: fn() -> Vec<Value>,
}

impl Form {
    const fn new(name: &'static str, field: &'static str, fixed: fn() -> Vec<Value>) -> Self {
        Self { name, field, fixed }
    }
}

const FORMS: [Form; 9] = [
    Form::new("device", "device", || words(&Device::ALL.map(Device::label)[1..])),
    Form::new("os", "os", || words(&Os::ALL.map(Os::label)[1..])),
    Form::new("browser", "browser", || words(&Browser::ALL.map(Browser::label)[1..])),
    Form::new("referrer", "referrer.kind", || words(&ReferrerKind::ALL.map(ReferrerKind::label))),
    Form::new("hour", "hour", || {
        (0..24).map(|hour| (format!("{hour:02}"), hour.to_string())).collect()
    }),
    Form::new("weekday", "weekday", || {
        const DAYS: [&str; 7] = [
            "1 Monday",
            "2 Tuesday",
            "3 Wednesday",
            "4 Thursday",
            "5 Friday",
            "6 Saturday",
            "7 Sunday",
        ];
        (1..).zip(DAYS).map(|(number, day): (u8, _)| (day.into(), number.to_string())).collect()
    }),
    Form::new("language", "language", Vec::new),
    Form::new("country", "geo.country", Vec::new),
    Form::new("site", "site", Vec::new),
];

/// A fact of hits by which visitors can be told apart.
#[derive(Clone, Debug)]
pub struct Fact {
    name: &'static str,
    field: HitField,
    /// What is shown for a value, where it is shown otherwise.
    shown: Vec<Value>,
}

impl Fact {
    /// The fact of a form.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let Form { name, field, fixed } = FORMS.iter().find(|form| *form.name == *name)?;
        Some(Self { name, field: HitField::named(field)?, shown: fixed() })
    }

    /// Every fact's name.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        FORMS.iter().map(|form| form.name).collect()
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What a view of a page says of it: the name that the category of its form has, `unknown`
    /// for a client that is not known. `None` where nothing is said, and of all other hits.
    #[must_use]
    pub fn of(&self, hit: &Hit, site: Option<&SiteFacts>) -> Option<String> {
        if hit.event != Event::PageView {
            return None;
        }
        let value = self.field.value(&HitFacts::of(hit, site))?;
        let shown = self.shown.iter().find(|(_, written)| *written == value);
        Some(shown.map_or(value, |(name, _)| name.clone()))
    }
}

fn words(labels: &[&str]) -> Vec<Value> {
    labels.iter().map(|label| ((*label).to_owned(), quoted(label))).collect()
}

fn of_text(text: &PlacedText) -> Value {
    (text.value.to_string(), quoted(&text.value))
}

/// One of `values`: a child that is fixed, or any where none are.
fn chosen(of: &CategoryItem, value: &PlacedText, fixed: &[Value]) -> Result<Value, ProblemKind> {
    let text = &value.value;
    if text.contains('>') || !is_path(&format!("{}{BETWEEN}{text}", of.name.value)) {
        return Err(ProblemKind::BadName { what: "category", name: text.clone() });
    }
    if fixed.is_empty() {
        return Ok(of_text(value));
    }
    let known = fixed.iter().find(|(name, _)| **name == **text).cloned();
    known.ok_or_else(|| {
        let allowed: Vec<&str> = fixed.iter().map(|(name, _)| name.as_str()).collect();
        ProblemKind::UnknownValue { value: text.clone(), allowed: allowed.join(", ").into() }
    })
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// Reads `form` and `values`.
pub(super) fn form(table: &mut Table<'_, '_>) -> Option<FormItem> {
    let values = table.texts("values");
    let form = table.text("form")?;
    for other in ["rule", "rules"] {
        if table.has(other) {
            table.fault(ProblemKind::Both { one: "form", other }, table.place(other));
        }
    }
    Some(FormItem { form, values })
}

/// The children of a form category. Without `values` those that are fixed; for `site` the sites of
/// the file.
pub(super) fn children(
    of: &CategoryItem,
    sites: &[PlacedText],
    faults: &mut Vec<Fault>,
) -> Vec<CategoryItem> {
    let Some(FormItem { form, values }) = &of.form else { return Vec::new() };
    let Some(Form { field, fixed, .. }) = FORMS.iter().find(|own| *own.name == *form.value) else {
        let allowed = FORMS.iter().map(|own| own.name).collect();
        let kind = ProblemKind::UnknownWord { word: form.value.clone(), allowed };
        faults.push(Fault::new(kind, form.span.clone()));
        return Vec::new();
    };
    let (fixed, mut pairs) = (fixed(), Vec::new());
    for value in values {
        match chosen(of, value, &fixed) {
            Ok(pair) => pairs.push(pair),
            Err(kind) => faults.push(Fault::new(kind, value.span.clone())),
        }
    }
    if values.is_empty() {
        pairs = if *field == "site" { sites.iter().map(of_text).collect() } else { fixed };
    }
    if pairs.is_empty() && values.is_empty() {
        let kind = ProblemKind::MissingKey { table: "category", key: "values" };
        faults.push(Fault::new(kind, form.span.clone()));
    }
    let child = |(name, value): Value| {
        let placed = |value: String| Placed { value: value.into(), span: form.span.clone() };
        let rule = placed(format!("{field} == {value}"));
        let name = placed(format!("{}{BETWEEN}{name}", of.name.value));
        CategoryItem::new(name, vec![RuleItem { rule, sites: Vec::new() }])
    };
    pairs.into_iter().map(child).collect()
}
