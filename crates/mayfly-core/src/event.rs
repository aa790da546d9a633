//! What happened: the event of a hit and its attributes.

use std::fmt;

use crate::limits;

/// The event of a hit. Named events have names of [`Event::parse`]'s form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Event {
    /// A page was shown. Rules that name no event mean this one.
    #[default]
    PageView,
    /// The visitor spent time on a page: adds seconds to its categories, never a hit.
    Engagement,
    /// An advertisement was shown.
    AdImpression,
    /// An advertisement was clicked.
    AdClick,
    /// The site's goal was reached.
    Conversion,
    /// Declared by a partner's file or API.
    Import,
    /// What a partner declared before is taken back.
    ImportEnd,
    /// The site's own event.
    Own(Box<str>),
}

impl Event {
    /// Reads a name: one of ours, or the site's own (`a-z 0-9 _ - .`, up to
    /// [`limits::EVENT_NAME_BYTES`]). `None` for anything else.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "page_view" => Self::PageView,
            "engagement" => Self::Engagement,
            "ad_impression" => Self::AdImpression,
            "ad_click" => Self::AdClick,
            "conversion" => Self::Conversion,
            "import" => Self::Import,
            "import_end" => Self::ImportEnd,
            own if is_name(own, limits::EVENT_NAME_BYTES) => Self::Own(own.into()),
            _ => return None,
        })
    }

    /// The name as it stands in queries, rules and answers.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::PageView => "page_view",
            Self::Engagement => "engagement",
            Self::AdImpression => "ad_impression",
            Self::AdClick => "ad_click",
            Self::Conversion => "conversion",
            Self::Import => "import",
            Self::ImportEnd => "import_end",
            Self::Own(name) => name,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An attribute's value: text, or a finite number.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Text of at most [`limits::ATTRIBUTE_VALUE_BYTES`].
    Text(Box<str>),
    /// A finite number.
    Number(f64),
}

/// A named property of one hit.
#[derive(Clone, PartialEq, Debug)]
pub struct Attribute {
    /// `a-z 0-9 _ - .`, at most [`limits::ATTRIBUTE_NAME_BYTES`].
    pub name: Box<str>,
    /// Its value.
    pub value: Value,
}

impl Attribute {
    /// An attribute from text, as queries carry it: what reads as a finite number is a number.
    /// `None` when name or value break their limits.
    #[must_use]
    pub fn from_text(name: &str, value: &str) -> Option<Self> {
        if !is_name(name, limits::ATTRIBUTE_NAME_BYTES)
            || value.len() > limits::ATTRIBUTE_VALUE_BYTES
        {
            return None;
        }
        let value = match value.parse::<f64>() {
            Ok(n) if n.is_finite() => Value::Number(n),
            Ok(_) | Err(_) => Value::Text(value.into()),
        };
        Some(Self { name: name.into(), value })
    }
}

/// Whether `name` is a non-empty name of `a-z 0-9 _ - .` of at most `limit` bytes.
#[must_use]
pub fn is_name(name: &str, limit: usize) -> bool {
    (1..=limit).contains(&name.len())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_read_what_they_print_and_refuse_odd_names() {
        for name in ["page_view", "ad_click", "add.to-cart_2"] {
            assert_eq!(Event::parse(name).map(|e| e.to_string()).as_deref(), Some(name));
        }
        for bad in ["", "Page View", "a\n", &"x".repeat(limits::EVENT_NAME_BYTES + 1)] {
            assert_eq!(Event::parse(bad), None);
        }
    }

    #[test]
    fn numbers_are_numbers_and_infinities_are_text() {
        let value = |v| Attribute::from_text("v", v).map(|a| a.value);
        assert_eq!(value("12.5"), Some(Value::Number(12.5)));
        assert_eq!(value("inf"), Some(Value::Text("inf".into())));
        assert_eq!(value(&"x".repeat(limits::ATTRIBUTE_VALUE_BYTES + 1)), None);
    }
}
