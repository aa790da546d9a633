//! The grammar of expressions, by recursive descent.
//!
//! ```text
//! expression = and { "or" and }
//! and        = not { "and" not }
//! not        = "not" not | "(" expression ")" | quorum | count | sample | segment
//! quorum     = "at" "least" number "of" "(" expression { "," expression } ")"
//! count      = ( "visited" | "engaged" | "days" ) "(" text "," window [ "," filter ] ")"
//!              { "then" step } [ comparison number ]
//! step       = ( text | "visited" "(" text [ "," filter ] ")" ) "within" time
//! window     = "within" span | "between" span "and" span "ago" | "earlier" "than" span
//! span       = days | hours
//! filter     = a rule, see `crate::rule`
//! sample     = "sample" "(" number "%" [ "," text ] ")"
//! segment    = text | word
//! ```

use std::ops::Range;
use std::sync::Arc;

use super::Sample;
use super::syntax::{Ago, Branch, Comparison, Count, Following, Named, Units, What};
use crate::leaf::{Filter, Measure, Unit};
use crate::lex::{Cursor, Sign, Token};
use crate::problem::{Fault, ProblemKind};
use crate::rule;

const STARTS: [&str; 6] = ["visited", "engaged", "days", "sample", "not", "at"];
const WINDOWS: [&str; 3] = ["within", "between", "earlier"];
/// Words that are no names of segments unless they stand in quotes.
const KEYWORDS: [&str; 12] = [
    "and", "or", "not", "at", "least", "of", "visited", "engaged", "within", "between", "earlier",
    "ago",
];

pub(crate) fn expression(text: &str) -> Result<Branch, Fault> {
    let mut cursor = Cursor::new(text)?;
    let branch = or(&mut cursor)?;
    if *cursor.peek() == Token::End {
        return Ok(branch);
    }
    Err(cursor.expected("`and`, `or` or the end of the expression", &["and", "or"]))
}

fn or(cursor: &mut Cursor) -> Result<Branch, Fault> {
    let start = cursor.span().start;
    let mut branches = vec![and(cursor)?];
    while cursor.take_word("or") {
        branches.push(and(cursor)?);
    }
    Ok(joined(cursor, start, branches, What::Or))
}

fn and(cursor: &mut Cursor) -> Result<Branch, Fault> {
    let start = cursor.span().start;
    let mut branches = vec![not(cursor)?];
    while cursor.take_word("and") {
        branches.push(not(cursor)?);
    }
    Ok(joined(cursor, start, branches, What::And))
}

fn joined(
    cursor: &Cursor,
    start: usize,
    mut branches: Vec<Branch>,
    join: fn(Vec<Branch>) -> What,
) -> Branch {
    match branches.pop() {
        Some(only) if branches.is_empty() => return only,
        Some(last) => branches.push(last),
        None => {}
    }
    Branch { what: join(branches), span: cursor.since(start) }
}

fn not(cursor: &mut Cursor) -> Result<Branch, Fault> {
    cursor.enter()?;
    let start = cursor.span().start;
    let branch = if cursor.take_word("not") {
        let what = What::Not(Box::new(not(cursor)?));
        Branch { what, span: cursor.since(start) }
    } else if cursor.take_sign(Sign::Open) {
        let branch = or(cursor)?;
        cursor.need_sign(Sign::Close, "`and`, `or` or `)`")?;
        branch
    } else {
        let what = primary(cursor)?;
        Branch { what, span: cursor.since(start) }
    };
    cursor.leave();
    Ok(branch)
}

fn primary(cursor: &mut Cursor) -> Result<What, Fault> {
    const EXPECTED: &str =
        "visited(…), engaged(…), days(…), sample(…), `at least`, `not`, `(` or a segment's name";
    if cursor.take_word("visited") {
        return count(cursor, Measure::Visited);
    }
    if cursor.take_word("engaged") {
        return count(cursor, Measure::Engaged);
    }
    if cursor.take_call("days") {
        return count(cursor, Measure::Days);
    }
    if cursor.take_call("sample") {
        return sample(cursor);
    }
    if cursor.take_word("at") {
        return quorum(cursor);
    }
    match cursor.peek().clone() {
        Token::Text(name) => {
            cursor.next();
            Ok(What::Segment(name))
        }
        Token::Word(name) if !KEYWORDS.contains(&&*name) => {
            let fault = cursor.expected(EXPECTED, &STARTS);
            cursor.next();
            // `visted(…)` is a slip, not a segment.
            if *cursor.peek() == Token::Sign(Sign::Open) {
                Err(fault)
            } else {
                Ok(What::Segment(name))
            }
        }
        Token::Word(_) | Token::Number(..) | Token::Sign(_) | Token::End => {
            Err(cursor.expected(EXPECTED, &STARTS))
        }
    }
}

fn quorum(cursor: &mut Cursor) -> Result<What, Fault> {
    cursor.need_word("least", "`at least k of (…)`")?;
    let span = cursor.span();
    let least = whole(cursor, &[("", 1)], "a whole number")?;
    cursor.need_word("of", "`of`")?;
    cursor.need_sign(Sign::Open, "`(`")?;
    let mut branches = vec![or(cursor)?];
    while cursor.take_sign(Sign::Comma) {
        branches.push(or(cursor)?);
    }
    cursor.need_sign(Sign::Close, "`,` or `)`")?;
    if least == 0 || least as usize > branches.len() {
        let kind = ProblemKind::BadQuorum { least, branches: branches.len() };
        return Err(Fault::new(kind, span));
    }
    Ok(What::AtLeast(least, branches))
}

fn count(cursor: &mut Cursor, measure: Measure) -> Result<What, Fault> {
    cursor.need_sign(Sign::Open, "`(` and a category in quotes")?;
    let (category, span) = category(cursor)?;
    cursor.need_sign(Sign::Comma, "`,` and a window such as `within 30d`")?;
    let start = cursor.span().start;
    let window = window(cursor)?;
    let window_span = cursor.since(start);
    let (only, only_span) = filter(cursor)?;
    cursor.need_sign(Sign::Close, "`)`, or `,` and a test of the hits")?;
    let mut then = Vec::new();
    while cursor.take_word("then") {
        then.push(following(cursor)?);
    }
    let (comparison, number, comparison_span) = comparison(cursor, measure)?;
    let of = Named { category, span, only, only_span };
    Ok(What::Count(Count {
        measure,
        of,
        window,
        window_span,
        then,
        comparison,
        number,
        comparison_span,
    }))
}

fn category(cursor: &mut Cursor) -> Result<(Box<str>, Range<usize>), Fault> {
    let Token::Text(category) = cursor.peek().clone() else {
        return Err(cursor.expected("a category in quotes", &[]));
    };
    let (_, span) = cursor.next();
    Ok((category, span))
}

/// `, value >= 50`, if it stands here.
fn filter(cursor: &mut Cursor) -> Result<(Option<Filter>, Range<usize>), Fault> {
    if !cursor.take_sign(Sign::Comma) {
        return Ok((None, cursor.span()));
    }
    let start = cursor.span().start;
    let rule = Arc::new(rule::Node::filter(cursor)?);
    let span = cursor.since(start);
    Ok((Some(Filter { text: cursor.text(span.clone()).into(), rule }), span))
}

fn following(cursor: &mut Cursor) -> Result<Following, Fault> {
    let call = cursor.take_word("visited");
    if call {
        cursor.need_sign(Sign::Open, "`(` and a category in quotes")?;
    }
    let (category, span) = category(cursor)?;
    let (mut only, mut only_span) = (None, span.clone());
    if call {
        (only, only_span) = filter(cursor)?;
        cursor.need_sign(Sign::Close, "`)`, or `,` and a test of the hits")?;
    }
    let start = cursor.span().start;
    cursor.need_word("within", "`within`, as in `then \"Shop > Cart\" within 2d`")?;
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let within_s = whole(cursor, &units, "a time such as `30m`, `2h` or `1d`")?;
    let named = Named { category, span, only, only_span };
    Ok(Following { named, within_s, within_span: cursor.since(start) })
}

fn sample(cursor: &mut Cursor) -> Result<What, Fault> {
    const EXPECTED: &str = "a share such as `10%`";
    cursor.need_sign(Sign::Open, "`(` and a share such as `10%`")?;
    let Token::Number(percent, unit) = cursor.peek().clone() else {
        return Err(cursor.expected(EXPECTED, &[]));
    };
    if &*unit != "%" {
        return Err(cursor.expected(EXPECTED, &[]));
    }
    let (_, span) = cursor.next();
    let mut name = Box::default();
    if cursor.take_sign(Sign::Comma) {
        let Token::Text(text) = cursor.peek().clone() else {
            return Err(cursor.expected("the sample's name in quotes", &[]));
        };
        cursor.next();
        name = text;
    }
    cursor.need_sign(Sign::Close, "`,` and a name, or `)`")?;
    let sample = Sample::new(percent, &name);
    sample.map(What::Sample).ok_or_else(|| Fault::new(ProblemKind::BadShare, span))
}

fn window(cursor: &mut Cursor) -> Result<Ago, Fault> {
    if cursor.take_word("within") {
        return Ok(Ago::Within(units(cursor)?));
    }
    if cursor.take_word("between") {
        let from = units(cursor)?;
        cursor.need_word("and", "`and`, as in `between 30d and 7d ago`")?;
        let to = units(cursor)?;
        cursor.need_word("ago", "`ago`, as in `between 30d and 7d ago`")?;
        return Ok(Ago::Between(from, to));
    }
    if cursor.take_word("earlier") {
        cursor.need_word("than", "`than`, as in `earlier than 30d`")?;
        return Ok(Ago::Earlier(units(cursor)?));
    }
    Err(cursor.expected("`within 30d`, `between 30d and 7d ago` or `earlier than 30d`", &WINDOWS))
}

fn units(cursor: &mut Cursor) -> Result<Units, Fault> {
    let unit = match cursor.peek() {
        Token::Number(_, unit) if &**unit == "h" => Unit::Hours,
        Token::Number(..) | Token::Word(_) | Token::Text(_) | Token::Sign(_) | Token::End => {
            Unit::Days
        }
    };
    let number = whole(cursor, &[("d", 1), ("h", 1)], "a number of days such as `30d`")?;
    Ok(Units { number, unit })
}

fn comparison(
    cursor: &mut Cursor,
    measure: Measure,
) -> Result<(Comparison, u32, Range<usize>), Fault> {
    let start = cursor.span();
    let comparison = match cursor.peek() {
        Token::Sign(Sign::Less) => Comparison::Less,
        Token::Sign(Sign::LessEqual) => Comparison::LessEqual,
        Token::Sign(Sign::More) => Comparison::More,
        Token::Sign(Sign::MoreEqual) => Comparison::MoreEqual,
        Token::Sign(Sign::Equal) => Comparison::Equal,
        Token::Sign(Sign::Unequal) => Comparison::Unequal,
        Token::Sign(Sign::Open | Sign::Close | Sign::Comma)
        | Token::Word(_)
        | Token::Text(_)
        | Token::Number(..)
        | Token::End => return Ok((Comparison::MoreEqual, 1, start)),
    };
    cursor.next();
    let number = match measure {
        Measure::Visited => whole(cursor, &[("", 1)], "a whole number of hits")?,
        Measure::Days => whole(cursor, &[("", 1), ("d", 1)], "a whole number of days")?,
        Measure::Engaged => whole(
            cursor,
            &[("", 1), ("s", 1), ("m", 60), ("h", 3600)],
            "a time such as `120s`, `2m` or `1h`",
        )?,
    };
    Ok((comparison, number, cursor.since(start.start)))
}

/// A whole number in one of the units.
fn whole(cursor: &mut Cursor, units: &[(&str, u32)], expected: &'static str) -> Result<u32, Fault> {
    let Token::Number(n, unit) = cursor.peek().clone() else {
        return Err(cursor.expected(expected, &[]));
    };
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == &*unit) else {
        return Err(cursor.expected(expected, &[]));
    };
    let (_, span) = cursor.next();
    let value = n * f64::from(*factor);
    if n.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&value) {
        let found = format!("{n}{unit}").into();
        return Err(Fault::new(ProblemKind::BadNumber { found }, span));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range: above")]
    Ok(value as u32)
}
