//! Requests from a template, for partners that have no form of their own here.
//!
//! A template is Jinja's language. Where a body is JSON every value in it is written as JSON, so
//! that no id can break out of its place; elsewhere filters do that (`urlencode`). A request
//! carries what is `add`ed to, or `remove`d from, one segment; or, with `body`, all changes of a
//! batch.

use std::collections::HashMap;

use mayfly_segments::destination::way::{Expected, TemplateSettings};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context, value::Value};

use super::{Answer, Judged, Rejected, Request, Step, by_status, code, garbled, text};
use crate::batch::Batch;
use crate::instant::rfc3339;

/// Steps that one rendering may take: thousands of items, and no endless loop.
const FUEL: u64 = 20_000_000;

/// A template that cannot be used: which, where and why.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{part}, line {line}, column {column}: {what}")]
pub struct TemplateFault {
    /// `url`, `add`, `remove`, `body` or the header's name.
    pub part: Box<str>,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What the engine said.
    pub what: Box<str>,
}

/// Templates that were read.
#[derive(Debug)]
pub struct Template {
    settings: TemplateSettings,
    engine: Environment<'static>,
}

/// One pair in a template.
struct Item<'a> {
    uid: &'a str,
    segment: &'a str,
    segment_name: &'a str,
    op: &'static str,
    ttl_s: u32,
    ttl_min: u32,
    expires_s: i64,
    expires: String,
}

impl Item<'_> {
    fn value(&self) -> Value {
        Value::from_pairs([
            ("uid", Value::from(self.uid)),
            ("segment", Value::from(self.segment)),
            ("segment_name", Value::from(self.segment_name)),
            ("op", Value::from(self.op)),
            ("ttl_s", Value::from(self.ttl_s)),
            ("ttl_min", Value::from(self.ttl_min)),
            ("expires_s", Value::from(self.expires_s)),
            ("expires", Value::from(self.expires.as_str())),
        ])
    }
}

/// A request of a batch: a segment and whether it adds; all of it without.
type Part = Option<(usize, bool)>;

/// The way of one batch.
#[derive(Debug)]
pub struct Templated<'b> {
    template: &'b Template,
    batch: &'b Batch,
    secrets: &'b [(Box<str>, Box<str>)],
    parts: Vec<Part>,
    at: usize,
    rejected: Vec<Rejected>,
    /// Some request was taken.
    is_taken: bool,
    /// Why the last one that was not was refused.
    refused: Option<Box<str>>,
}

impl Template {
    /// Reads templates, and fills them once to see that they can be.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub fn new(
        settings: TemplateSettings,
        secrets: &[(Box<str>, Box<str>)],
    ) -> Result<Self, TemplateFault> {
        let is_whole =
            settings.body.is_some() || settings.add.is_some() && settings.remove.is_some();
        if !is_whole {
            let part = if settings.add.is_some() { "remove" } else { "add" };
            let what =
                "is missing: whoever enters must be able to leave (or give one `body`)".into();
            return Err(TemplateFault { part: part.into(), line: 1, column: 1, what });
        }
        let mut engine = Environment::new();
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        engine.set_fuel(Some(FUEL));
        let is_json = wants_json(&settings);
        engine.set_auto_escape_callback(move |name| {
            if name.starts_with("body:") && is_json { AutoEscape::Json } else { AutoEscape::None }
        });
        for (name, text) in texts(&settings) {
            let added = engine.add_template_owned(name.clone(), text.to_string());
            added.map_err(|error| fault(&name, text, &error))?;
        }
        let own = Self { settings, engine };
        own.try_out(secrets)?;
        Ok(own)
    }

    fn try_out(&self, secrets: &[(Box<str>, Box<str>)]) -> Result<(), TemplateFault> {
        let batch = crate::batch::sample();
        for part in requests(&self.settings, &batch) {
            let context = self.context(&batch, part, secrets);
            for (name, text) in texts(&self.settings) {
                let filled =
                    self.fill(&name, &context).map_err(|error| fault(&name, text, &error))?;
                if name.starts_with("body:") && wants_json(&self.settings) {
                    is_json(&name, &filled)?;
                }
            }
            self.names_visitors(&batch, part, &context)?;
        }
        Ok(())
    }

    /// Whether a request says whom it is about: a misspelt field is no fault of the language.
    fn names_visitors(
        &self,
        batch: &Batch,
        part: Part,
        context: &Value,
    ) -> Result<(), TemplateFault> {
        let name = body_of(part);
        let text = body_text(&self.settings, part);
        let failed = |error: &minijinja::Error| fault(name, text, error);
        let body = self.fill(name, context).map_err(|error| failed(&error))?;
        let url = self.fill("url", context).map_err(|error| failed(&error))?;
        let items = placed(batch, part);
        if items.iter().all(|(_, own)| body.contains(own.uid) || url.contains(own.uid)) {
            return Ok(());
        }
        let what = "the ids of visitors are not in it: `items` have `uid`".into();
        Err(TemplateFault { part: part_of(name), line: 1, column: 1, what })
    }

    fn context(&self, batch: &Batch, part: Part, secrets: &[(Box<str>, Box<str>)]) -> Value {
        let items: Vec<Value> = placed(batch, part).iter().map(|(_, own)| own.value()).collect();
        let (segment, adds) = part.map_or((None, true), |(segment, adds)| (Some(segment), adds));
        let key = segment.and_then(|segment| batch.segments.get(segment));
        let secrets = secrets.iter().map(|(name, value)| (&**name, &**value));
        context! {
            items,
            segment => key.map_or("", |key| &*key.code),
            segment_name => key.map_or("", |key| &*key.name),
            op => if adds { "add" } else { "remove" },
            batch => &*batch.id,
            now_s => batch.now.secs(),
            now => rfc3339(batch.now),
            secret => Value::from_pairs(secrets),
        }
    }

    fn fill(&self, name: &str, context: &Value) -> Result<String, minijinja::Error> {
        self.engine.get_template(name)?.render(context)
    }

    fn request(
        &self,
        batch: &Batch,
        part: Part,
        secrets: &[(Box<str>, Box<str>)],
    ) -> Result<Request, minijinja::Error> {
        let context = self.context(batch, part, secrets);
        let body = body_of(part);
        let mut headers = Vec::with_capacity(self.settings.headers.len());
        for name in self.settings.headers.keys() {
            let value = self.fill(&format!("header:{name}"), &context)?;
            headers.push((name.to_ascii_lowercase(), value));
        }
        if headers.iter().all(|(name, _)| name != "content-type") {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        Ok(Request {
            method: match part {
                Some((_, false)) => self.settings.remove_method.unwrap_or(self.settings.method),
                Some((_, true)) | None => self.settings.method,
            },
            url: self.fill("url", &context)?,
            headers,
            body: self.fill(body, &context)?.into_bytes(),
        })
    }
}

/// The name of a request's body.
const fn body_of(part: Part) -> &'static str {
    match part {
        None => "body:all",
        Some((_, true)) => "body:add",
        Some((_, false)) => "body:remove",
    }
}

/// The text of a request's body.
fn body_text(settings: &TemplateSettings, part: Part) -> &str {
    let text = match part {
        None => &settings.body,
        Some((_, true)) => &settings.add,
        Some((_, false)) => &settings.remove,
    };
    text.as_deref().unwrap_or_default()
}

/// Whether bodies are JSON: so they are when no header says otherwise.
fn wants_json(settings: &TemplateSettings) -> bool {
    let own = settings.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    own.is_none_or(|(_, value)| value.contains("json"))
}

/// Every text with its name.
fn texts(settings: &TemplateSettings) -> impl Iterator<Item = (String, &str)> {
    let bodies = [
        ("body:add", &settings.add),
        ("body:remove", &settings.remove),
        ("body:all", &settings.body),
    ];
    let bodies = bodies.into_iter();
    let bodies = bodies.filter_map(|(name, text)| Some((name.to_owned(), &**text.as_ref()?)));
    let headers = settings.headers.iter();
    let headers = headers.map(|(name, text)| (format!("header:{name}"), &**text));
    std::iter::once(("url".to_owned(), &*settings.url)).chain(headers).chain(bodies)
}

/// The requests that a batch takes.
fn requests(settings: &TemplateSettings, batch: &Batch) -> Vec<Part> {
    if settings.body.is_some() {
        return vec![None];
    }
    let all = (0..batch.segments.len()).flat_map(|segment| [(segment, true), (segment, false)]);
    let is_told = |adds| if adds { settings.add.is_some() } else { settings.remove.is_some() };
    let all = all.filter(|(segment, adds)| {
        let has = batch.changes.iter().any(|change| {
            let mut added = change.adds.iter().map(|add| add.segment);
            if *adds { added.any(|own| own == *segment) } else { change.removes.contains(segment) }
        });
        has && is_told(*adds)
    });
    all.map(Some).collect()
}

/// The items of a request, each with its visitor's place.
fn placed(batch: &Batch, part: Part) -> Vec<(usize, Item<'_>)> {
    let wants = |segment: usize, adds: bool| part.is_none_or(|own| own == (segment, adds));
    let mut all = Vec::new();
    for (at, change) in batch.changes.iter().enumerate() {
        let item = |segment: usize, op: &'static str, ttl_s: u32| {
            let expires = batch.now.plus_secs(i64::from(ttl_s));
            let key = batch.segments.get(segment);
            Item {
                uid: &change.uid,
                segment: batch.code(segment),
                segment_name: key.map_or("", |key| &key.name),
                op,
                ttl_s,
                ttl_min: ttl_s / 60,
                expires_s: expires.secs(),
                expires: rfc3339(expires),
            }
        };
        let adds = change.adds.iter().filter(|add| wants(add.segment, true));
        all.extend(adds.map(|add| (at, item(add.segment, "add", add.ttl_s))));
        let removes = change.removes.iter().filter(|segment| wants(**segment, false));
        all.extend(removes.map(|segment| (at, item(*segment, "remove", 0))));
    }
    all
}

/// Whether a body that says it is JSON is.
fn is_json(name: &str, filled: &str) -> Result<(), TemplateFault> {
    let Err(error) = serde_json::from_str::<serde_json::Value>(filled) else { return Ok(()) };
    let part = part_of(name);
    let what = format!("once filled it is no JSON: {error}; values come with their quotes").into();
    Err(TemplateFault { part, line: error.line(), column: error.column(), what })
}

/// What a person calls a text.
fn part_of(name: &str) -> Box<str> {
    match name.split_once(':').map_or(name, |(_, part)| part) {
        "all" => "body".into(),
        part => part.into(),
    }
}

/// Letters and digits alone, small.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether it is a partner's own code: a few words in one, with few digits. Ids have more.
fn is_word(text: &str) -> bool {
    const DIGITS: usize = 4;
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits <= DIGITS && text.chars().all(is_part)
}

fn fault(name: &str, text: &str, error: &minijinja::Error) -> TemplateFault {
    let line = error.line().unwrap_or(1);
    let start = error.range().map_or(0, |range| range.start).min(text.len());
    let before = text.get(..start).unwrap_or_default();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    TemplateFault { part: part_of(name), line, column, what: what.into() }
}

impl<'b> Templated<'b> {
    /// A batch in these templates, with the destination's secrets by name.
    #[must_use]
    pub fn new(
        template: &'b Template,
        batch: &'b Batch,
        secrets: &'b [(Box<str>, Box<str>)],
    ) -> Self {
        let parts = requests(&template.settings, batch);
        Self {
            template,
            batch,
            secrets,
            parts,
            at: 0,
            rejected: Vec::new(),
            is_taken: false,
            refused: None,
        }
    }

    /// See [`super::Talk::next`].
    pub fn next(&mut self, answer: Option<&Answer<'_>>) -> Step {
        if let Some(answer) = answer {
            match self.judge(answer) {
                Judged::Taken { rejected } => {
                    self.is_taken = true;
                    self.rejected.extend(rejected);
                }
                // A segment that the partner does not know keeps the others from nothing.
                Judged::Refused { code }
                    if !matches!(answer.status, 300..=399 | 401 | 403) && !self.removes() =>
                {
                    self.refuse_part(&code);
                    self.refused = Some(code);
                }
                not @ (Judged::Later { .. } | Judged::Smaller | Judged::Refused { .. }) => {
                    return Step::Done(not);
                }
            }
            self.at += 1;
        }
        let Some(part) = self.parts.get(self.at) else {
            let rejected = std::mem::take(&mut self.rejected);
            return Step::Done(match self.refused.take().filter(|_| !self.is_taken) {
                // Nothing at all was taken: the URL or the template may be wrong.
                Some(code) => Judged::Refused { code },
                None => Judged::Taken { rejected },
            });
        };
        match self.template.request(self.batch, *part, self.secrets) {
            Ok(request) => Step::Send(request),
            Err(error) => Step::Done(Judged::Refused { code: code(&error.to_string()) }),
        }
    }

    /// Whether a part of the batch was taken already.
    #[must_use]
    pub const fn is_partly_taken(&self) -> bool {
        self.is_taken
    }

    /// Whether the present request tells who leaves: that it is refused is never passed over.
    fn removes(&self) -> bool {
        matches!(self.parts.get(self.at), Some(Some((_, false))))
    }

    /// All items of the present request, rejected for one reason.
    fn refuse_part(&mut self, code: &str) {
        let part = self.parts.get(self.at).copied().flatten();
        let segments = &self.batch.segments;
        let rows = placed(self.batch, part).into_iter().map(|(user, item)| Rejected {
            user: Some(user),
            segment: segments.iter().position(|key| *key.code == *item.segment),
            code: code.into(),
            pairs: 1,
            again: false,
        });
        self.rejected.extend(rows.collect::<Vec<_>>());
    }

    fn judge(&self, answer: &Answer<'_>) -> Judged {
        let rule = &self.template.settings.answer;
        let is_taken = match rule.statuses.as_slice() {
            [] => (200..=299).contains(&answer.status),
            own => own.contains(&answer.status),
        };
        if !is_taken {
            return by_status(answer);
        }
        if rule.ok.is_none() && rule.failed.is_none() && rule.failed_count.is_none() {
            return Judged::Taken { rejected: Vec::new() };
        }
        let Ok(read) = serde_json::from_slice::<serde_json::Value>(answer.body) else {
            return garbled();
        };
        if let Some(Expected { at: pointer, is: wanted }) = &rule.ok {
            let found = read.pointer(pointer).map(text).unwrap_or_default();
            if *found != **wanted {
                return Judged::Refused { code: code(&found) };
            }
        }
        let failed = rule.failed.as_ref().and_then(|pointer| read.pointer(pointer));
        let failed = failed.and_then(serde_json::Value::as_array).map_or(&[][..], Vec::as_slice);
        let items = placed(self.batch, self.parts.get(self.at).copied().flatten());
        // No more than there are: the list is the partner's.
        let failed = failed.iter().take(items.len());
        let places: HashMap<&str, usize> =
            items.iter().enumerate().rev().map(|(at, (_, item))| (item.uid, at)).collect();
        let mut rejected: Vec<_> = failed.map(|own| self.rejected(own, &items, &places)).collect();
        let counted = rule.failed_count.as_ref().and_then(|pointer| read.pointer(pointer));
        let counted = counted.and_then(|own| text(own).parse().ok()).unwrap_or(0);
        let unnamed = items.len().min(counted).saturating_sub(rejected.len());
        if unnamed > 0 {
            let (user, segment, code) = (None, None, "invalid".into());
            rejected.push(Rejected { user, segment, code, pairs: unnamed, again: false });
        }
        Judged::Taken { rejected }
    }

    fn rejected(
        &self,
        failed: &serde_json::Value,
        items: &[(usize, Item<'_>)],
        places: &HashMap<&str, usize>,
    ) -> Rejected {
        let rule = &self.template.settings.answer;
        let said = failed.pointer(&rule.failed_item).map(text).unwrap_or_default();
        let by_uid = places.get(&*said).copied();
        let by_place = said.parse::<usize>().ok().and_then(|at| at.checked_sub(rule.first));
        let item = by_uid.or(by_place).and_then(|at| items.get(at));
        let own = failed.pointer(&rule.failed_code).map(text).unwrap_or_default();
        // Nobody's id is to stand in a ledger, however it is written there.
        let names_him = match item {
            Some((_, item)) => letters(&own).contains(&letters(item.uid)),
            None => places.contains_key(&*own) || !is_word(&own),
        };
        let own = if names_him { "refused".into() } else { own };
        let segments = &self.batch.segments;
        Rejected {
            user: item.map(|(user, _)| *user),
            segment: item
                .and_then(|(_, item)| segments.iter().position(|key| *key.code == *item.segment)),
            again: rule.again.iter().any(|again| **again == *own),
            code: code(&own),
            pairs: 1,
        }
    }
}
