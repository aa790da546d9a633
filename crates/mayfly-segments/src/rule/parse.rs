//! The grammar of rules, by recursive descent.
//!
//! ```text
//! rule    = and { "or" and }
//! and     = not { "and" not }
//! not     = "not" not | "(" rule ")" | test
//! test    = field ( "exists" | comparison value | "in" list | textual operand )
//! textual = "contains" | "startswith" | "endswith" | "matches" | "has" | "mentions"
//! operand = value | ( "any" | "all" ) list | "list" text (after "mentions")
//! list    = "(" value { "," value } ")"
//! value   = text | number
//! ```

use mayfly_core::event::is_name;
use mayfly_core::{Browser, Device, Os, ReferrerKind, limits};
use regex::{Regex, RegexBuilder};

use super::facts::folded;
use super::{Check, Field, HitField, How, Literal, Node, Order, PageField, Phrases, Test, words};
use crate::lex::{Cursor, Sign, Token};
use crate::problem::{Fault, ProblemKind, nearest, one_slip};

/// Fields with one fixed name.
const FIELDS: [(&str, Field); 22] = [
    ("host", Field::Page(PageField::Host)),
    ("path", Field::Page(PageField::Path)),
    ("url", Field::Page(PageField::Url)),
    ("title", Field::Page(PageField::Title)),
    ("keywords", Field::Page(PageField::Keywords)),
    ("categories", Field::Page(PageField::Categories)),
    ("event", Field::Hit(HitField::Event)),
    ("referrer", Field::Hit(HitField::ReferrerHost)),
    ("referrer.host", Field::Hit(HitField::ReferrerHost)),
    ("referrer.kind", Field::Hit(HitField::ReferrerKind)),
    ("campaign.source", Field::Hit(HitField::CampaignSource)),
    ("campaign.medium", Field::Hit(HitField::CampaignMedium)),
    ("campaign.name", Field::Hit(HitField::CampaignName)),
    ("device", Field::Hit(HitField::Device)),
    ("os", Field::Hit(HitField::Os)),
    ("browser", Field::Hit(HitField::Browser)),
    ("language", Field::Hit(HitField::Language)),
    ("geo.country", Field::Hit(HitField::Country)),
    ("geo.region", Field::Hit(HitField::Region)),
    ("hour", Field::Hit(HitField::Hour)),
    ("weekday", Field::Hit(HitField::Weekday)),
    ("site", Field::Hit(HitField::Site)),
];

impl HitField {
    /// The field of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        FIELDS.iter().find_map(|(own, field)| match field {
            Field::Hit(field) if *own == name => Some(*field),
            Field::Hit(_) | Field::Page(_) | Field::Attribute(_) | Field::Fleeting(_) => None,
        })
    }
}

/// Fields of the language that this version cannot evaluate.
const LATER: [&str; 2] = ["partner", "engaged"];

const OPERATORS: &str =
    "an operator (== != < <= > >= in contains startswith endswith matches mentions has exists)";
const OPERATOR_WORDS: [&str; 8] =
    ["in", "contains", "startswith", "endswith", "matches", "has", "exists", "mentions"];

/// How the names of attributes are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Names {
    /// `a.NAME` and `x.NAME`.
    Full,
    /// Also by themselves; none that is gone once the hit is stored.
    Bare,
}

pub(super) fn rule(text: &str) -> Result<Node, Fault> {
    let mut cursor = Cursor::new(text)?;
    let node = or(&mut cursor, Names::Full)?;
    match cursor.peek() {
        Token::End => Ok(node),
        Token::Word(_) | Token::Text(_) | Token::Number(..) | Token::Sign(_) => {
            Err(cursor.expected("`and`, `or` or the end of the rule", &["and", "or"]))
        }
    }
}

/// What a hit must meet besides its category, inside an expression.
pub(super) fn filter(cursor: &mut Cursor) -> Result<Node, Fault> {
    or(cursor, Names::Bare)
}

fn or(cursor: &mut Cursor, names: Names) -> Result<Node, Fault> {
    let mut nodes = vec![and(cursor, names)?];
    while cursor.take_word("or") {
        nodes.push(and(cursor, names)?);
    }
    Ok(joined(nodes, Node::Or))
}

fn and(cursor: &mut Cursor, names: Names) -> Result<Node, Fault> {
    let mut nodes = vec![not(cursor, names)?];
    while cursor.take_word("and") {
        nodes.push(not(cursor, names)?);
    }
    Ok(joined(nodes, Node::And))
}

fn joined(mut nodes: Vec<Node>, join: fn(Vec<Node>) -> Node) -> Node {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => only,
        Some(last) => {
            nodes.push(last);
            join(nodes)
        }
        None => join(nodes),
    }
}

fn not(cursor: &mut Cursor, names: Names) -> Result<Node, Fault> {
    cursor.enter()?;
    let node = if cursor.take_word("not") {
        Node::Not(Box::new(not(cursor, names)?))
    } else if cursor.take_sign(Sign::Open) {
        let node = or(cursor, names)?;
        cursor.need_sign(Sign::Close, "`and`, `or` or `)`")?;
        node
    } else {
        Node::Test(test(cursor, names)?)
    };
    cursor.leave();
    Ok(node)
}

fn test(cursor: &mut Cursor, names: Names) -> Result<Test, Fault> {
    let start = cursor.span().start;
    let field = field(cursor, names)?;
    let operator = cursor.span();
    let check = match cursor.peek().clone() {
        Token::Sign(sign) => compared(cursor, &field, sign)?,
        Token::Word(word) => worded(cursor, &field, &word)?,
        Token::Text(_) | Token::Number(..) | Token::End => {
            return Err(cursor.expected(OPERATORS, &OPERATOR_WORDS));
        }
    };
    if let (Field::Hit(of), Check::Text { how: How::Is, values, .. }) = (&field, &check) {
        for value in values {
            known_value(*of, value)
                .map_err(|kind| Fault::new(kind, cursor.since(operator.start)))?;
        }
    }
    if field == Field::Hit(HitField::Event) && names_engagement(&check) {
        return Err(Fault::new(ProblemKind::EngagementRule, cursor.since(operator.start)));
    }
    Ok(Test { field, check, span: cursor.since(start) })
}

/// Refuses a value that the field never has.
fn known_value(field: HitField, value: &Literal) -> Result<(), ProblemKind> {
    let words: &[&str] = match field {
        HitField::Device => &Device::ALL.map(Device::label),
        HitField::Os => &Os::ALL.map(Os::label),
        HitField::Browser => &Browser::ALL.map(Browser::label),
        HitField::ReferrerKind => &ReferrerKind::ALL.map(ReferrerKind::label),
        HitField::Hour | HitField::Weekday => {
            let (least, most) = if field == HitField::Hour { (0.0, 23.0) } else { (1.0, 7.0) };
            let fits =
                value.number.is_some_and(|n| n.fract() == 0.0 && (least..=most).contains(&n));
            let allowed = format!("{least} to {most}").into();
            let value = value.text.clone();
            return if fits { Ok(()) } else { Err(ProblemKind::UnknownValue { value, allowed }) };
        }
        HitField::Event
        | HitField::ReferrerHost
        | HitField::CampaignSource
        | HitField::CampaignMedium
        | HitField::CampaignName
        | HitField::Language
        | HitField::Country
        | HitField::Region
        | HitField::Site => return Ok(()),
    };
    if words.contains(&&*value.text) {
        return Ok(());
    }
    let allowed = words.join(", ").into();
    Err(ProblemKind::UnknownValue { value: value.text.clone(), allowed })
}

fn names_engagement(check: &Check) -> bool {
    matches!(check, Check::Text { how: How::Is, values, .. }
        if values.iter().any(|value| &*value.text == "engagement"))
}

fn field(cursor: &mut Cursor, names: Names) -> Result<Field, Fault> {
    let known = FIELDS.map(|(name, _)| name);
    let Token::Word(word) = cursor.peek().clone() else {
        return Err(cursor.expected("a field, `not` or `(`", &known));
    };
    let (_, span) = cursor.next();
    if let Some((_, field)) = FIELDS.iter().find(|(name, _)| *name == &*word) {
        return Ok(field.clone());
    }
    match word.split_once('.') {
        Some(("query", name)) if !name.is_empty() => {
            return Ok(Field::Page(PageField::Query(name.into())));
        }
        Some(("a", name)) if is_name(name, limits::ATTRIBUTE_NAME_BYTES) => {
            return Ok(Field::Attribute(name.into()));
        }
        Some(("x", name)) if is_name(name, limits::ATTRIBUTE_NAME_BYTES) => {
            return match names {
                Names::Full => Ok(Field::Fleeting(name.into())),
                Names::Bare => Err(Fault::new(ProblemKind::FleetingFilter, span)),
            };
        }
        None if names == Names::Bare && is_name(&word, limits::ATTRIBUTE_NAME_BYTES) => {
            return match one_slip(&word, known.into_iter()) {
                None => Ok(Field::Attribute(word)),
                Some(field) => {
                    let kind = ProblemKind::FieldOrAttribute { name: word, field: field.into() };
                    Err(Fault::new(kind, span))
                }
            };
        }
        Some(_) | None => {}
    }
    let head = word.split('.').next().unwrap_or_default();
    let kind = match LATER.iter().find(|later| **later == head) {
        Some(_) => ProblemKind::NotYet { what: "rules over partner and engaged" },
        None => ProblemKind::UnknownField {
            nearest: nearest(&word, known.into_iter().chain(["query.NAME", "a.NAME", "x.NAME"])),
            name: word,
        },
    };
    Err(Fault::new(kind, span))
}

fn compared(cursor: &mut Cursor, field: &Field, sign: Sign) -> Result<Check, Fault> {
    let (order, span) = match sign {
        Sign::Equal => {
            cursor.next();
            let values = vec![value(cursor, field)?];
            return Ok(Check::Text { how: How::Is, values, all: false });
        }
        Sign::Unequal => {
            cursor.next();
            return Ok(Check::Differs(value(cursor, field)?));
        }
        Sign::Less => (Order::Less, cursor.next().1),
        Sign::LessEqual => (Order::LessEqual, cursor.next().1),
        Sign::More => (Order::More, cursor.next().1),
        Sign::MoreEqual => (Order::MoreEqual, cursor.next().1),
        Sign::Open | Sign::Close | Sign::Comma => {
            return Err(cursor.expected(OPERATORS, &OPERATOR_WORDS));
        }
    };
    if !field.has_numbers() {
        return Err(mismatch(field, sign.text(), span));
    }
    match cursor.peek().clone() {
        Token::Number(n, unit) if unit.is_empty() => {
            cursor.next();
            Ok(Check::Order(order, n))
        }
        Token::Text(text) => {
            let kind = ProblemKind::NumberNeeded { operator: sign.text(), found: text };
            Err(Fault::new(kind, cursor.span()))
        }
        Token::Number(..) | Token::Word(_) | Token::Sign(_) | Token::End => {
            Err(cursor.expected("a number", &[]))
        }
    }
}

fn worded(cursor: &mut Cursor, field: &Field, word: &str) -> Result<Check, Fault> {
    let at = cursor.span();
    if !OPERATOR_WORDS.contains(&word) {
        return Err(cursor.expected(OPERATORS, &OPERATOR_WORDS));
    }
    cursor.next();
    let how = match word {
        "exists" => return Ok(Check::Exists),
        "in" => {
            let values = list(cursor, |cursor| value(cursor, field))?;
            return Ok(Check::Text { how: How::Is, values, all: false });
        }
        "matches" => {
            let (patterns, all) = operand(cursor, |cursor| pattern(cursor, field))?;
            return Ok(Check::Matches { patterns, all });
        }
        "mentions" if field.has_texts() => return mentions(cursor),
        "mentions" => return Err(mismatch(field, "mentions", at)),
        "contains" => How::Contains,
        "startswith" => How::StartsWith,
        "endswith" => How::EndsWith,
        _ if field.is_list() => How::Is,
        _ => return Err(mismatch(field, "has", at)),
    };
    let (values, all) = operand(cursor, |cursor| part(cursor, field, how))?;
    Ok(Check::Text { how, values, all })
}

/// What stands after `mentions`.
fn mentions(cursor: &mut Cursor) -> Result<Check, Fault> {
    if cursor.take_word("list") {
        let (name, _) = text(cursor, "the name of a word list in quotes")?;
        return Ok(Check::Mentions { phrases: Phrases::default(), all: false, list: Some(name) });
    }
    let (texts, all) = operand(cursor, |cursor| {
        let (text, span) = text(cursor, "a word or phrase in quotes, or `list \"NAME\"`")?;
        if words(&text) == " " {
            return Err(Fault::new(ProblemKind::NoWord, span));
        }
        Ok(text)
    })?;
    let phrases = Phrases::new(texts.iter().map(|text| &**text));
    Ok(Check::Mentions { phrases, all, list: None })
}

fn text(
    cursor: &mut Cursor,
    expected: &'static str,
) -> Result<(Box<str>, std::ops::Range<usize>), Fault> {
    let Token::Text(text) = cursor.peek().clone() else {
        return Err(cursor.expected(expected, &["any", "all", "list"]));
    };
    let (_, span) = cursor.next();
    Ok((text, span))
}

fn mismatch(field: &Field, operator: &'static str, span: std::ops::Range<usize>) -> Fault {
    let field = match field {
        Field::Page(PageField::Query(name)) => format!("query.{name}").into(),
        Field::Attribute(name) => format!("a.{name}").into(),
        Field::Fleeting(name) => format!("x.{name}").into(),
        Field::Page(_) | Field::Hit(_) => {
            FIELDS.iter().find(|(_, f)| f == field).map_or("", |(n, _)| n).into()
        }
    };
    Fault::new(ProblemKind::OperatorMismatch { field, operator }, span)
}

/// One item, or `any (…)`, or `all (…)`; and whether it was `all`.
fn operand<T>(
    cursor: &mut Cursor,
    item: impl Fn(&mut Cursor) -> Result<T, Fault>,
) -> Result<(Vec<T>, bool), Fault> {
    let all = cursor.take_word("all");
    if all || cursor.take_word("any") {
        return Ok((list(cursor, item)?, all));
    }
    Ok((vec![item(cursor)?], false))
}

fn list<T>(
    cursor: &mut Cursor,
    item: impl Fn(&mut Cursor) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    cursor.need_sign(Sign::Open, "a list such as (\"one\", \"two\")")?;
    let mut items = vec![item(cursor)?];
    while cursor.take_sign(Sign::Comma) {
        items.push(item(cursor)?);
    }
    cursor.need_sign(Sign::Close, "`,` or `)`")?;
    Ok(items)
}

fn value(cursor: &mut Cursor, field: &Field) -> Result<Literal, Fault> {
    match cursor.peek().clone() {
        Token::Text(text) => {
            cursor.next();
            let number = text.parse().ok().filter(|n: &f64| n.is_finite());
            let text = if field.exact_case() { text } else { folded(&text) };
            Ok(Literal { text, number, bare: false })
        }
        Token::Number(n, unit) if unit.is_empty() => {
            cursor.next();
            Ok(Literal { text: n.to_string().into(), number: Some(n), bare: true })
        }
        Token::Number(..) | Token::Word(_) | Token::Sign(_) | Token::End => {
            Err(cursor.expected("a text in quotes or a number", &["any", "all"]))
        }
    }
}

/// A value to look for inside a text: an empty one would be found in every text.
fn part(cursor: &mut Cursor, field: &Field, how: How) -> Result<Literal, Fault> {
    let span = cursor.span();
    let literal = value(cursor, field)?;
    if literal.text.is_empty() && how != How::Is {
        return Err(Fault::new(ProblemKind::EmptyText, span));
    }
    Ok(literal)
}

fn pattern(cursor: &mut Cursor, field: &Field) -> Result<Regex, Fault> {
    let Token::Text(text) = cursor.peek().clone() else {
        return Err(cursor.expected("a regular expression in quotes", &["any", "all"]));
    };
    let (_, span) = cursor.next();
    if text.len() > limits::REGEX_BYTES {
        return Err(Fault::new(ProblemKind::RegexTooLong, span));
    }
    RegexBuilder::new(&text)
        .case_insensitive(!field.exact_case())
        .size_limit(limits::REGEX_COMPILED_BYTES)
        .build()
        .map_err(|e| Fault::new(ProblemKind::BadRegex { source: Box::new(e) }, span))
}
