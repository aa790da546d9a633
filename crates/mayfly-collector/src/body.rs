//! The body of `POST /api/v1/hits`: JSON array, one JSON object, NDJSON, MessagePack.
//!
//! A body that cannot be read to its end, or has more than [`limits::HITS_PER_BODY`] hits, is
//! refused whole. An item of a wrong shape is refused by its index, but in MessagePack: there the
//! end of a misshapen item is not known, so the body is refused.

use std::fmt;

use mayfly_core::limits;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::hit_row::HitRow;
use crate::refusal::Reason;
use crate::submission::Submission;

/// How a body is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyFormat {
    /// An array, one object, or one object a line: told apart by looking.
    Json,
    /// An array of maps, or one map.
    MessagePack,
}

impl BodyFormat {
    /// By `Content-Type`: anything with `msgpack` in it is MessagePack, the rest JSON.
    #[must_use]
    pub fn of_content_type(content_type: &str) -> Self {
        let kind = content_type.split(';').next().unwrap_or("");
        if kind.to_ascii_lowercase().contains("msgpack") { Self::MessagePack } else { Self::Json }
    }
}

/// The items of a body, each read or refused.
pub type Items = Vec<Result<Submission, Reason>>;

/// A body that has been read: its items, or why it is refused whole.
#[derive(Debug)]
pub struct BodyItems(pub(crate) Result<Items, Reason>);

impl BodyItems {
    /// Reads a body.
    #[must_use]
    pub fn read(body: &[u8], format: BodyFormat) -> Self {
        Self(parse_body(body, format))
    }

    /// Takes hits of other sites than `is_own` names for hits of no site.
    #[must_use]
    pub fn of_sites(mut self, is_own: impl Fn(&str) -> bool) -> Self {
        for item in self.0.iter_mut().flatten() {
            if item.as_ref().is_ok_and(|hit| !is_own(&hit.site)) {
                *item = Err(Reason::UnknownSite);
            }
        }
        self
    }

    /// How many hits it has; a body that is refused whole counts as one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(1, Vec::len)
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Reads a body.
///
/// # Errors
/// Why the body is refused whole.
pub fn parse_body(body: &[u8], format: BodyFormat) -> Result<Items, Reason> {
    if body.len() > limits::HITS_BODY_BYTES {
        return Err(Reason::BodyTooLong);
    }
    match format {
        BodyFormat::Json => parse_json(body),
        BodyFormat::MessagePack => parse_message_pack(body),
    }
}

/// Reads one hit from a line of JSON.
///
/// # Errors
/// [`Reason::BadJson`], or what is wrong with the hit.
pub fn parse_hit_line(line: &[u8]) -> Result<Submission, Reason> {
    serde_json::from_slice::<HitRow>(line).map_err(|_| Reason::BadJson)?.submission()
}

fn parse_json(body: &[u8]) -> Result<Items, Reason> {
    let body = body.trim_ascii();
    if body.starts_with(b"[") {
        let items: Bounded<&RawValue> =
            serde_json::from_slice(body).map_err(|_| Reason::BadJson)?;
        return items.each(|raw| parse_hit_line(raw.get().as_bytes()));
    }
    if serde_json::from_slice::<&RawValue>(body).is_ok() {
        return Ok(vec![parse_hit_line(body)]);
    }
    let lines = || body.split(|&b| b == b'\n').map(<[u8]>::trim_ascii).filter(|l| !l.is_empty());
    match lines().take(limits::HITS_PER_BODY + 1).count() {
        // One line that is no JSON value: a body that was cut, or never was one.
        0 | 1 => Err(Reason::BadJson),
        n if n > limits::HITS_PER_BODY => Err(Reason::TooManyHits),
        _ => Ok(lines().map(parse_hit_line).collect()),
    }
}

fn parse_message_pack(body: &[u8]) -> Result<Items, Reason> {
    let is_array = matches!(body.first(), Some(0x90..=0x9f | 0xdc | 0xdd));
    if is_array {
        return unpack::<Bounded<HitRow>>(body)?.each(HitRow::submission);
    }
    Ok(vec![unpack::<HitRow>(body)?.submission()])
}

/// Reads one MessagePack value; its nesting is bounded, since the reader recurses.
fn unpack<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Reason> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(body);
    reader.set_max_depth(limits::HITS_BODY_DEPTH);
    T::deserialize(&mut reader).map_err(|_| Reason::BadMessagePack)
}

/// A list read up to the limit; what is above it is skipped and remembered as too much.
struct Bounded<T> {
    items: Vec<T>,
    over: bool,
}

impl<T> Bounded<T> {
    fn each(self, read: impl Fn(T) -> Result<Submission, Reason>) -> Result<Items, Reason> {
        if self.over {
            return Err(Reason::TooManyHits);
        }
        Ok(self.items.into_iter().map(read).collect())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Bounded<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Read<T> {
            type Value = Bounded<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of hits")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Bounded<T>, A::Error> {
                let mut items = Vec::new();
                while items.len() < limits::HITS_PER_BODY {
                    let Some(item) = seq.next_element()? else {
                        return Ok(Bounded { items, over: false });
                    };
                    items.push(item);
                }
                let mut over = false;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    over = true;
                }
                Ok(Bounded { items, over })
            }
        }
        from.deserialize_seq(Read(std::marker::PhantomData))
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
