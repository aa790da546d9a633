//! A hit as JSON or MessagePack: the row on the wire, and its way to a [`Submission`].
//!
//! Unknown fields are ignored. `user_agent`, `ip` and `language` tell device, country and language,
//! and are not kept. Attributes named `x.…` are for rules only and never kept.

use std::fmt;

use mayfly_core::{Attribute, Candidate, Choice, Context, Event, Page, Signals, limits};
use mayfly_core::{Timestamp, Value, event::is_name};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::canonical::page_and_referrer;
use crate::percent::cut;
use crate::query::engaged_seconds;
use crate::refusal::Reason;
use crate::submission::{Submission, SubmittedClient, VisitorRef};
use crate::visitors::OWN_SPACES;

/// One hit on the wire; every field may be absent, so that each absence has its own reason.
#[derive(Deserialize, Debug, Default)]
#[serde(default)]
pub(crate) struct HitRow {
    id: Option<Box<str>>,
    visitor: VisitorRow,
    site: Box<str>,
    time: Option<Time>,
    url: Option<Box<str>>,
    referrer: Option<Box<str>>,
    title: Option<Box<str>>,
    keywords: Words,
    categories: Words,
    event: Option<Box<str>>,
    engaged_ms: Option<u64>,
    attributes: Attributes,
    user_agent: Option<Box<str>>,
    ip: Option<Box<str>>,
    language: Option<Box<str>>,
    consent: ConsentRow,
}

#[derive(Deserialize, Debug, Default)]
#[serde(default)]
struct VisitorRow {
    space: Option<Box<str>>,
    id: Option<Box<str>>,
    cookie: Option<Box<str>>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(default)]
struct ConsentRow {
    gdpr: Option<Flag>,
    tcf: Option<Box<str>>,
    addtl_consent: Option<Box<str>>,
    gpp: Option<Box<str>>,
    gpp_sid: Option<Sections>,
    us_privacy: Option<Box<str>>,
    gpc: Option<Flag>,
    coppa: Option<Flag>,
}

/// `true` and `false`, or 1 and 0.
#[derive(Deserialize, Debug, Clone, Copy)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Number(u8),
}

impl From<Flag> for bool {
    fn from(flag: Flag) -> Self {
        match flag {
            Flag::Bool(on) => on,
            Flag::Number(n) => n != 0,
        }
    }
}

/// Sections of a GPP string that apply: a text as in queries, or a list.
#[derive(Deserialize, Debug)]
#[serde(untagged)]
enum Sections {
    Text(Box<str>),
    List(Vec<i32>),
}

impl ConsentRow {
    fn choice(self) -> Result<Choice, Reason> {
        let text = |text: Option<Box<str>>| text.filter(|t| !t.is_empty());
        let mut choice = Choice {
            gdpr: self.gdpr.map(Into::into),
            tcf: text(self.tcf),
            gpp: text(self.gpp),
            gpp_sid: text(self.gpp_sid.map(|sections| match sections {
                Sections::Text(text) => text,
                Sections::List(ids) => {
                    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",").into()
                }
            })),
            us_privacy: text(self.us_privacy),
            gpc: self.gpc.map(Into::into),
            coppa: self.coppa.map(Into::into),
            additional: None,
        };
        if let Some(additional) = self.addtl_consent {
            choice.take("addtl_consent", &additional);
        }
        if choice.is_bounded() { Ok(choice) } else { Err(Reason::ConsentTooLong) }
    }
}

impl HitRow {
    /// Checks everything but the site, the visitor's existence and the time's range.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(crate) fn submission(self) -> Result<Submission, Reason> {
        let visitor = self.visitor.reference()?;
        if self.id.as_ref().is_some_and(|id| !(1..=limits::HIT_ID_BYTES).contains(&id.len())) {
            return Err(Reason::BadHitId);
        }
        let url = self.url.ok_or(Reason::NoUrl)?;
        let (url, referrer) = page_and_referrer(&url, self.referrer.as_deref())?;
        let (attributes, fleeting) = self.attributes.checked()?;
        let event = self.event.as_deref().map(|e| Event::parse(e).ok_or(Reason::BadEvent));
        let time = self.time.map(|t| t.0.ok_or(Reason::BadTime));
        let title = cut(self.title.as_deref().unwrap_or(""), limits::TITLE_BYTES).into();
        let candidate = Candidate {
            time: time.transpose()?,
            page: Page {
                url: String::from(url).into(),
                title,
                keywords: self.keywords.0,
                categories: self.categories.0,
            },
            event: event.transpose()?.unwrap_or_default(),
            engaged_s: engaged_seconds(self.engaged_ms.unwrap_or(0)),
            referrer,
            context: Context::default(),
            attributes,
            origin: None,
            signals: Signals { choice: self.consent.choice()?, ..Signals::default() },
        };
        let client = SubmittedClient {
            user_agent: self.user_agent,
            address: self.ip.as_deref().and_then(|ip| ip.trim().parse().ok()),
            language: self.language,
        };
        Ok(Submission { site: self.site, visitor, candidate, fleeting, client, hit_id: self.id })
    }
}

impl VisitorRow {
    fn reference(self) -> Result<VisitorRef, Reason> {
        match (self.space, self.id, self.cookie) {
            (None, None, Some(cookie)) => Ok(VisitorRef::Cookie(cookie)),
            (Some(space), Some(id), None) => {
                let named = is_name(&space, limits::SPACE_NAME_BYTES);
                let fits = (1..=limits::FOREIGN_ID_BYTES).contains(&id.len());
                // Some spaces are ours: nobody may claim a nonce from outside.
                let is_ours = OWN_SPACES.contains(&&*space);
                if named && fits && !is_ours {
                    Ok(VisitorRef::Foreign { space, id })
                } else {
                    Err(Reason::BadVisitor)
                }
            }
            (None, None, None) | (Some(_), _, _) | (_, Some(_), _) => Err(Reason::BadVisitor),
        }
    }
}

/// RFC 3339 or milliseconds since 1970; `None` for a text that is neither.
#[derive(Debug)]
struct Time(Option<Timestamp>);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Time;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("RFC 3339 text or milliseconds since 1970")
            }
            fn visit_i64<E: Error>(self, ms: i64) -> Result<Time, E> {
                Ok(Time(Some(Timestamp::from_millis(ms))))
            }
            fn visit_u64<E: Error>(self, ms: u64) -> Result<Time, E> {
                Ok(Time(i64::try_from(ms).ok().map(Timestamp::from_millis)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                let read = text.parse::<jiff::Timestamp>().ok();
                Ok(Time(read.map(|t| Timestamp::from_millis(t.as_millisecond()))))
            }
        }
        from.deserialize_any(Read)
    }
}

/// Page words: cut to their limits while they are read; what is above the number is skipped.
#[derive(Debug, Default)]
struct Words(Vec<Box<str>>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Words;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of words")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Words, A::Error> {
                let mut words = Vec::new();
                while words.len() < limits::PAGE_WORDS {
                    let Some(word) = seq.next_element::<Box<str>>()? else {
                        return Ok(Words(words));
                    };
                    let word = cut(word.trim(), limits::PAGE_WORD_BYTES);
                    if !word.is_empty() {
                        words.push(word.into());
                    }
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Words(words))
            }
        }
        from.deserialize_seq(Read)
    }
}

/// Attributes as they came; at most one more than is allowed.
#[derive(Debug, Default)]
struct Attributes(Vec<(Box<str>, Scalar)>);

impl Attributes {
    /// Those that may be kept, and those that are for rules alone.
    fn checked(self) -> Result<(Vec<Attribute>, Vec<Attribute>), Reason> {
        if self.0.len() > limits::ATTRIBUTES {
            return Err(Reason::TooManyAttributes);
        }
        let (mut kept, mut fleeting) = (Vec::new(), Vec::new());
        for (name, value) in self.0 {
            match name.strip_prefix("x.") {
                Some(name) => fleeting.push(value.attribute(name.into())?),
                None => kept.push(value.attribute(name)?),
            }
        }
        Ok((kept, fleeting))
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Attributes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("attributes by name")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attributes, A::Error> {
                let mut read = Vec::new();
                while read.len() <= limits::ATTRIBUTES {
                    let Some(pair) = map.next_entry()? else { return Ok(Attributes(read)) };
                    read.push(pair);
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Attributes(read))
            }
        }
        from.deserialize_map(Read)
    }
}

/// An attribute's value on the wire.
#[derive(Deserialize, Debug)]
#[serde(untagged)]
enum Scalar {
    Flag(bool),
    Number(f64),
    Text(Box<str>),
}

impl Scalar {
    fn attribute(self, name: Box<str>) -> Result<Attribute, Reason> {
        let value = match self {
            Self::Number(n) if n.is_finite() => Value::Number(n),
            Self::Number(_) => return Err(Reason::BadAttribute),
            Self::Flag(flag) => Value::Text(if flag { "true" } else { "false" }.into()),
            Self::Text(text) => Value::Text(text),
        };
        let text_fits = match &value {
            Value::Text(text) => text.len() <= limits::ATTRIBUTE_VALUE_BYTES,
            Value::Number(_) => true,
        };
        if text_fits && is_name(&name, limits::ATTRIBUTE_NAME_BYTES) {
            Ok(Attribute { name, value })
        } else {
            Err(Reason::BadAttribute)
        }
    }
}
