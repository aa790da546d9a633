//! HTML that cannot be wrong: every text is escaped, every element is closed.

/// Names and values of an element.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a str)];

/// A document that grows from top to bottom.
pub(super) struct Html(String);

impl Html {
    /// An empty HTML5 document.
    pub(super) fn document() -> Self {
        Self("<!doctype html>\n".to_owned())
    }

    /// An element with what `inside` writes.
    pub(super) fn element(
        &mut self,
        name: &'static str,
        attributes: Attributes<'_>,
        inside: impl FnOnce(&mut Self),
    ) {
        self.void(name, attributes);
        inside(self);
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
        if !matches!(name, "a" | "bdi" | "code" | "button") {
            self.0.push('\n');
        }
    }

    /// An element with a text.
    pub(super) fn leaf(&mut self, name: &'static str, attributes: Attributes<'_>, text: &str) {
        self.element(name, attributes, |html| html.text(text));
    }

    /// An element without content: only its tag.
    pub(super) fn void(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.0.push('<');
        self.0.push_str(name);
        for (attribute, value) in attributes {
            self.0.push(' ');
            self.0.push_str(attribute);
            self.0.push_str("=\"");
            self.text(value);
            self.0.push('"');
        }
        self.0.push('>');
    }

    /// A text from anybody.
    pub(super) fn text(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}' => self.0.push(' '),
                letter if deceives(letter) => self.0.push(char::REPLACEMENT_CHARACTER),
                letter => self.0.push(letter),
            }
        }
    }

    /// The document's text.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Characters that hide or turn round what stands beside them: controls, bidi marks, embeddings,
/// overrides and isolates, zero-width space and joiner marks, interlinear marks, tags.
fn deceives(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Puts values for `{name}`, in one pass: what a value contains is not read again.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        if let Some((_, value)) = values.iter().find(|(own, _)| *own == name) {
            filled.push_str(value);
        }
        rest = tail;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut html = Html(String::new());
        html.text(text);
        html.finish()
    }

    #[test]
    fn markup_and_quotes_become_text() {
        let text = escaped("<script>alert('1' + \"2\") && x</script>");
        assert_eq!(
            text,
            "&lt;script&gt;alert(&#39;1&#39; + &quot;2&quot;) &amp;&amp; x&lt;/script&gt;"
        );
    }

    #[test]
    fn nothing_hidden_or_turned_round_stays() {
        for letter in "\u{0}\u{1b}\u{7f}\u{85}\u{ad}\u{61c}\u{200b}\u{200e}\u{200f}\u{202a}\u{202e}\
                       \u{2066}\u{2069}\u{feff}\u{fff9}\u{e0041}"
            .chars()
        {
            assert_eq!(escaped(&format!("a{letter}b")), "a\u{fffd}b", "{letter:?}");
        }
        assert_eq!(escaped("a\tb\r\nc\u{2028}d"), "a b  c d");
        assert_eq!(
            escaped("Știri în română, smørrebrød, שלום"),
            "Știri în română, smørrebrød, שלום"
        );
    }

    #[test]
    fn values_are_filled_once() {
        assert_eq!(fill("a {x} b {y}", &[("x", "{y}"), ("y", "1")]), "a {y} b 1");
        assert_eq!(fill("none", &[("x", "1")]), "none");
        assert_eq!(fill("{unknown}|{open", &[]), "|");
    }

    #[test]
    fn attributes_are_escaped_and_elements_closed() {
        let mut html = Html(String::new());
        html.element("p", &[("title", "\" onclick=\"x")], |html| html.leaf("code", &[], "<b>"));
        assert_eq!(
            html.finish(),
            "<p title=\"&quot; onclick=&quot;x\"><code>&lt;b&gt;</code></p>\n"
        );
    }
}
