//! Words and phrases: what `mentions` looks for.
//!
//! A text is cut into words, in lower case and without accents: `"L'Équipe, à Paris"` has the words
//! `l equipe a paris`. Scripts that write no spaces are cut into characters. A phrase is found
//! where its words follow each other.

use std::ops::Range;
use std::sync::Arc;

use aho_corasick::AhoCorasick;
use icu_normalizer::DecomposingNormalizerBorrowed;

/// From this number of phrases on they are searched for together.
const TOGETHER: usize = 8;

/// Phrases as [`words`] writes them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phrases {
    texts: Arc<[Box<str>]>,
    search: Option<Arc<AhoCorasick>>,
}

impl Phrases {
    /// These phrases; those without a word are left out.
    pub(crate) fn new<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        let mut texts: Vec<Box<str>> =
            texts.map(words).filter(|text| text.len() > 1).map(Into::into).collect();
        texts.sort();
        texts.dedup();
        let together = texts.len() >= TOGETHER;
        let search = together.then(|| AhoCorasick::new(texts.iter().map(|text| text.as_bytes())));
        Self { search: search.and_then(Result::ok).map(Arc::new), texts: texts.into() }
    }

    /// Each phrase.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|text| &**text)
    }

    /// Whether one of them is among the words of a text.
    pub(crate) fn any_in(&self, words: &str) -> bool {
        match &self.search {
            Some(search) => search.is_match(words),
            None => self.iter().any(|own| words.contains(own)),
        }
    }

    /// Whether one of them is in one of the texts; or, where `all` are asked for, each of them.
    pub(super) fn are_in(&self, texts: &[String], all: bool) -> bool {
        let texts: Vec<String> = texts.iter().map(|text| words(text)).collect();
        if all {
            return self.iter().all(|own| texts.iter().any(|text| text.contains(own)));
        }
        texts.iter().any(|text| self.any_in(text))
    }

    /// The bytes of the words of a text that are one of them.
    pub(super) fn span(&self, words: &str) -> Option<Range<usize>> {
        let found = self.iter().find_map(|own| Some((words.find(own)?, own.len())));
        found.map(|(at, length)| at + 1..at + length - 1)
    }
}

/// The words of a text, each between two spaces: `" goal derby "`; a space when it has none.
pub(crate) fn words(text: &str) -> String {
    let plain = DecomposingNormalizerBorrowed::new_nfkd();
    let mut words = String::with_capacity(text.len() + 2);
    words.push(' ');
    for letter in plain.normalize_iter(text.chars()).flat_map(char::to_lowercase) {
        match letter {
            // Accents and other marks of the letter before.
            '\u{300}'..='\u{36f}' => {}
            'ß' => words.push_str("ss"),
            'æ' => words.push_str("ae"),
            'œ' => words.push_str("oe"),
            'ø' => words.push('o'),
            'ł' => words.push('l'),
            'đ' | 'ð' => words.push('d'),
            'ı' => words.push('i'),
            'ς' => words.push('σ'),
            _ if is_a_word(letter) => {
                end(&mut words);
                words.push(letter);
                words.push(' ');
            }
            _ if letter.is_alphanumeric() => words.push(letter),
            _ => end(&mut words),
        }
    }
    end(&mut words);
    words
}

/// Ends a word that has begun.
fn end(words: &mut String) {
    if !words.ends_with(' ') {
        words.push(' ');
    }
}

/// Whether a letter belongs to a script that writes no spaces: Thai, Lao, Myanmar, Khmer, kana,
/// Han.
fn is_a_word(letter: char) -> bool {
    matches!(letter,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3134f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_into_plain_words() {
        for (text, expected) in [
            ("", " "),
            (" - !", " "),
            ("Goal!", " goal "),
            ("L'Équipe, à Paris", " l equipe a paris "),
            ("Straße/Łódź_2026", " strasse lodz 2026 "),
            ("ＦＵＬＬ ﬁne 𝐆𝐎𝐀𝐋 №", " full fine goal no "),
            ("İstanbul ΟΔΟΣ Йод", " istanbul οδοσ иод "),
            ("足球 cup", " 足 球 cup "),
            ("/sport/football-club.html", " sport football club html "),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn phrases_are_whole_words_that_follow_each_other() {
        let few = Phrases::new(["Fútbol Club", "goal", "足球", "..."].into_iter());
        let many: Vec<String> = (0..100).map(|n| format!("word {n}")).collect();
        let many = many.iter().map(String::as_str).chain(["Fútbol Club", "goal", "足球"]);
        for phrases in [few, Phrases::new(many)] {
            for (text, expected) in [
                ("A GOAL, at last", true),
                ("goals", false),
                ("futbol club barcelona", true),
                ("club futbol", false),
                ("fútbol-club", true),
                ("大足球赛", true),
                ("", false),
            ] {
                assert_eq!(phrases.are_in(&[text.to_owned()], false), expected, "{text}");
            }
            assert!(!phrases.are_in(&["goal".to_owned()], true));
        }
        let both = Phrases::new(["b", "a c"].into_iter());
        assert!(both.are_in(&["A c, b".to_owned()], true));
        assert!(both.are_in(&["x a c".to_owned(), "b".to_owned()], true), "one each");
        assert!(!both.are_in(&["a c".to_owned()], true));
        assert_eq!(Phrases::new(["b c"].into_iter()).span(&words("a B, c")), Some(3..6));
    }
}
