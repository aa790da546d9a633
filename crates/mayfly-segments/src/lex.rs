//! Words, numbers, texts and signs: the tokens of both languages (rules and expressions), and the
//! cursor that both parsers walk over them.
//!
//! Texts stand in double or single quotes. In them `\"`, `\'` and `\\` are escapes; before any
//! other character a backslash stands for itself, so that regular expressions need no doubling.

use std::ops::Range;

use mayfly_core::limits;

use crate::problem::{Fault, ProblemKind, nearest};

/// One token.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Token {
    /// A name or keyword: letters, digits, `_ - .`, beginning with a letter or `_`.
    Word(Box<str>),
    /// A quoted text.
    Text(Box<str>),
    /// A number and what stands right after it, letters or `%`: `30d`, `120s`, `3`, `10%`.
    Number(f64, Box<str>),
    /// A sign.
    Sign(Sign),
    /// The end of the text.
    End,
}

/// Signs of both languages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sign {
    Open,
    Close,
    Comma,
    Equal,
    Unequal,
    Less,
    LessEqual,
    More,
    MoreEqual,
}

const SIGNS: [(&str, Sign); 9] = [
    ("==", Sign::Equal),
    ("!=", Sign::Unequal),
    ("<=", Sign::LessEqual),
    (">=", Sign::MoreEqual),
    ("<", Sign::Less),
    (">", Sign::More),
    ("(", Sign::Open),
    (")", Sign::Close),
    (",", Sign::Comma),
];

impl Sign {
    /// As it is written.
    pub(crate) fn text(self) -> &'static str {
        SIGNS.iter().find(|(_, sign)| *sign == self).map_or("", |(text, _)| text)
    }
}

type Spanned = (Token, Range<usize>);

fn tokens(text: &str) -> Result<Vec<Spanned>, Fault> {
    if text.len() > limits::RULE_BYTES {
        return Err(Fault::new(ProblemKind::TooLong, limits::RULE_BYTES..text.len()));
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (token, end) = token(text, at, c)?;
        tokens.push((token, at..end));
        at = end;
    }
    tokens.push((Token::End, at..at));
    Ok(tokens)
}

/// The token that begins at `at` with `first`, and its end.
fn token(text: &str, at: usize, first: char) -> Result<(Token, usize), Fault> {
    let rest = &text[at..];
    if first == '"' || first == '\'' {
        return quoted(text, at, first);
    }
    if first.is_alphabetic() || first == '_' {
        let end = at + span(rest, |c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
        return Ok((Token::Word(text[at..end].into()), end));
    }
    let sign = rest.strip_prefix('-').unwrap_or(rest);
    if sign.starts_with(|c: char| c.is_ascii_digit()) {
        return number(text, at, rest.len() - sign.len());
    }
    let sign = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign));
    let Some((written, sign)) = sign else {
        let kind = ProblemKind::BadCharacter { found: first };
        return Err(Fault::new(kind, at..at + first.len_utf8()));
    };
    Ok((Token::Sign(*sign), at + written.len()))
}

/// Bytes at the start of `text` whose characters are all `of`.
fn span(text: &str, of: impl Fn(char) -> bool) -> usize {
    text.find(|c| !of(c)).unwrap_or(text.len())
}

fn number(text: &str, at: usize, minus: usize) -> Result<(Token, usize), Fault> {
    let rest = &text[at + minus..];
    let digits = minus + span(rest, |c| c.is_ascii_digit() || c == '.');
    let rest = &text[at + digits..];
    let unit = if rest.starts_with('%') { 1 } else { span(rest, char::is_alphanumeric) };
    let end = at + digits + unit;
    match text[at..at + digits].parse::<f64>() {
        Ok(n) if n.is_finite() => Ok((Token::Number(n, text[at + digits..end].into()), end)),
        Ok(_) | Err(_) => {
            Err(Fault::new(ProblemKind::BadNumber { found: text[at..end].into() }, at..end))
        }
    }
}

fn quoted(text: &str, at: usize, quote: char) -> Result<(Token, usize), Fault> {
    let mut value = String::new();
    let mut chars = text[at + 1..].char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        if c == quote {
            return Ok((Token::Text(value.into()), at + 1 + i + 1));
        }
        let escaped = chars.peek().map(|(_, c)| *c).filter(|c| matches!(c, '"' | '\'' | '\\'));
        match escaped {
            Some(next) if c == '\\' => {
                value.push(next);
                chars.next();
            }
            Some(_) | None => value.push(c),
        }
    }
    Err(Fault::new(ProblemKind::UnclosedText, at..text.len()))
}

/// A place in the tokens of a text.
pub(crate) struct Cursor {
    text: Box<str>,
    tokens: Vec<Spanned>,
    at: usize,
    depth: usize,
}

impl Cursor {
    /// Reads the tokens of `text`.
    pub(crate) fn new(text: &str) -> Result<Self, Fault> {
        Ok(Self { text: text.into(), tokens: tokens(text)?, at: 0, depth: 0 })
    }

    /// These bytes of the text.
    pub(crate) fn text(&self, span: Range<usize>) -> &str {
        self.text.get(span).unwrap_or_default()
    }

    /// The token here; [`Token::End`] for ever at the end.
    pub(crate) fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    /// The bytes of the token here.
    pub(crate) fn span(&self) -> Range<usize> {
        let last = self.tokens.len().saturating_sub(1);
        self.tokens.get(self.at.min(last)).map_or(0..0, |(_, span)| span.clone())
    }

    /// From `start` to the end of the token before this one.
    pub(crate) fn since(&self, start: usize) -> Range<usize> {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        start..before.map_or(start, |(_, span)| span.end.max(start))
    }

    /// Takes the token here.
    pub(crate) fn next(&mut self) -> Spanned {
        let token = (self.peek().clone(), self.span());
        self.at = (self.at + 1).min(self.tokens.len().saturating_sub(1));
        token
    }

    /// Takes this word if it stands here.
    pub(crate) fn take_word(&mut self, word: &str) -> bool {
        let here = matches!(self.peek(), Token::Word(found) if **found == *word);
        if here {
            self.next();
        }
        here
    }

    /// Takes this word if it stands here before an opening parenthesis.
    pub(crate) fn take_call(&mut self, word: &str) -> bool {
        let is_call = matches!(self.tokens.get(self.at + 1), Some((Token::Sign(Sign::Open), _)));
        is_call && self.take_word(word)
    }

    /// Takes this sign if it stands here.
    pub(crate) fn take_sign(&mut self, sign: Sign) -> bool {
        let here = *self.peek() == Token::Sign(sign);
        if here {
            self.next();
        }
        here
    }

    /// Takes this sign.
    pub(crate) fn need_sign(&mut self, sign: Sign, expected: &'static str) -> Result<(), Fault> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.expected(expected, &[])) }
    }

    /// Takes this word.
    pub(crate) fn need_word(&mut self, word: &str, expected: &'static str) -> Result<(), Fault> {
        if self.take_word(word) { Ok(()) } else { Err(self.expected(expected, &[word])) }
    }

    /// The fault that something else should stand here; `words` are those allowed here.
    pub(crate) fn expected(&self, expected: &'static str, words: &[&str]) -> Fault {
        let (found, nearest) = match self.peek() {
            Token::Word(word) => (format!("`{word}`"), nearest(word, words.iter().copied())),
            Token::Text(text) => (format!("the text \"{}\"", shown(text)), None),
            Token::Number(n, unit) => (format!("the number {n}{unit}"), None),
            Token::Sign(sign) => (format!("`{}`", sign.text()), None),
            Token::End => ("the end".to_owned(), None),
        };
        Fault::new(ProblemKind::Expected { expected, found: found.into(), nearest }, self.span())
    }

    /// Goes one level deeper.
    pub(crate) fn enter(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > limits::RULE_DEPTH {
            return Err(Fault::new(ProblemKind::TooDeep, self.span()));
        }
        Ok(())
    }

    /// Comes back up.
    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }
}

/// The first characters of a long text.
fn shown(text: &str) -> String {
    if text.chars().count() <= 40 {
        text.to_owned()
    } else {
        text.chars().take(40).collect::<String>() + "…"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Token> {
        tokens(text).unwrap().into_iter().map(|(token, _)| token).collect()
    }

    #[test]
    fn texts_keep_the_backslashes_of_regular_expressions() {
        let text = |t: &str| Token::Text(t.into());
        assert_eq!(all(r#""a\"b\\c\d+" 'it"s'"#), [text(r#"a"b\c\d+"#), text("it\"s"), Token::End]);
        assert_eq!(tokens("x \"abc").unwrap_err().kind, ProblemKind::UnclosedText);
    }

    #[test]
    fn words_numbers_and_signs() {
        let word = |t: &str| Token::Word(t.into());
        assert_eq!(
            all("query.utm_x>=-1.5 30d(a-b"),
            [
                word("query.utm_x"),
                Token::Sign(Sign::MoreEqual),
                Token::Number(-1.5, "".into()),
                Token::Number(30.0, "d".into()),
                Token::Sign(Sign::Open),
                word("a-b"),
                Token::End
            ]
        );
        assert!(tokens("1.2.3").is_err());
        assert!(tokens("a & b").is_err());
    }
}
