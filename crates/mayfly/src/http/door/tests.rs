//! The pages as a browser reads them.

use std::collections::BTreeSet;

use super::*;

/// A piece of a page.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    /// A start tag with its attributes.
    Open(String, Vec<(String, String)>),
    /// An end tag.
    Close(String),
    /// Text between tags, as it stands.
    Text(String),
}

/// Elements without an end tag.
const VOID: [&str; 3] = ["meta", "link", "input"];

/// Reads a page; fails at the first thing that is not plain, quoted, closed HTML.
fn pieces(page: &str) -> Vec<Piece> {
    let mut rest = page.strip_prefix("<!doctype html>\n").expect("a doctype");
    let (mut pieces, mut open) = (Vec::new(), Vec::new());
    while let Some((text, after)) = rest.split_once('<') {
        if !text.trim().is_empty() {
            pieces.push(Piece::Text(text.trim().to_owned()));
        }
        let (tag, tail) = after.split_once('>').expect("a tag ends");
        rest = tail;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed in order");
            pieces.push(Piece::Close(name.to_owned()));
            continue;
        }
        let (name, attributes) = start(tag);
        if !VOID.contains(&&*name) {
            open.push(name.clone());
        }
        pieces.push(Piece::Open(name, attributes));
    }
    assert_eq!((open, rest.trim()), (Vec::new(), ""), "all is closed");
    pieces
}

fn start(tag: &str) -> (String, Vec<(String, String)>) {
    let name: String = tag.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
    let (mut rest, mut attributes) = (&tag[name.len()..], Vec::new());
    while let Some(attribute) = rest.strip_prefix(' ') {
        let (key, value) = attribute.split_once("=\"").expect("a quoted value");
        let (value, tail) = value.split_once('"').expect("a closing quote");
        assert!(key.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{key}");
        attributes.push((key.to_owned(), value.to_owned()));
        rest = tail;
    }
    assert!(rest.is_empty() && !name.is_empty(), "{tag}");
    (name, attributes)
}

/// The values of an attribute of an element.
fn values(page: &str, element: &str, attribute: &str) -> Vec<String> {
    let mut found = Vec::new();
    for piece in pieces(page) {
        if let Piece::Open(name, attributes) = piece
            && name == element
        {
            found.extend(attributes.into_iter().filter(|a| a.0 == attribute).map(|a| a.1));
        }
    }
    found
}

fn texts(page: &str) -> BTreeSet<String> {
    let text = |piece| match piece {
        Piece::Text(text) => Some(text),
        Piece::Open(..) | Piece::Close(_) => None,
    };
    pieces(page).into_iter().filter_map(text).collect()
}

/// A hit of which every text is `text`.
fn hit(text: &str) -> HitRow {
    HitRow {
        time: text.to_owned(),
        site: text.to_owned(),
        event: text.to_owned(),
        page: Some(text.to_owned()),
        title: text.to_owned(),
        categories: vec![text.to_owned()],
        seconds: 34,
    }
}

fn known(text: &str) -> Known {
    let hits = vec![hit(text)];
    let partners = vec![(text.to_owned(), text.to_owned())];
    let (id, segments) = (text.to_owned(), vec![text.to_owned()]);
    Known { id, segments, partners, hits, more_hits: 58 }
}

fn state(known: Option<Known>) -> State<'static> {
    State {
        controller: "The Daily Mayfly",
        contact: Some("privacy@daily.example"),
        retention_days: 90,
        opted_out: false,
        gpc: false,
        is_apart: false,
        known,
        done: None,
        pass: None,
        spent: None,
        base: "/m",
        style: "/m/door.css",
        cookies: CookieNames { id: "mf_id", probe: "mf_probe", optout: "mf_optout" },
    }
}

/// All states that change what the pages say.
fn states() -> Vec<State<'static>> {
    let mut states = Vec::new();
    let empty = Known { id: "3.7".to_owned(), ..Known::default() };
    for known in [None, Some(empty), Some(known("DATA"))] {
        for (opted_out, gpc) in [(false, false), (true, false), (false, true), (true, true)] {
            states.push(State { opted_out, gpc, ..state(known.clone()) });
        }
    }
    for done in [Done::OptedOut, Done::OptedIn, Done::Erased, Done::NothingHeld] {
        let (opted_out, gpc) = (done == Done::OptedOut, done == Done::OptedIn);
        states.push(State { opted_out, gpc, done: Some(done), ..state(None) });
    }
    let pass = Some(Pass { site: "news", value: "AbC-_" });
    let done = Some(Done::OptedOutOfSite);
    states.push(State { pass, ..state(Some(known("DATA"))) });
    states.push(State { spent: Some(Spent::OptedOut), done, ..state(None) });
    states.push(State { spent: Some(Spent::OptedOut), ..state(None) });
    states.push(State { spent: Some(Spent::Expired), ..state(None) });
    states.push(State { is_apart: true, ..state(None) });
    states
}

/// Both pages of every state in a language.
fn all_pages(language: Language) -> Vec<String> {
    let both = |state| [privacy_page(&state, language), optout_page(&state, language)];
    states().into_iter().flat_map(both).collect()
}

#[test]
fn every_page_is_well_formed_and_its_headings_descend() {
    for page in Language::ALL.into_iter().flat_map(all_pages) {
        let mut level = 0;
        for piece in pieces(&page) {
            let Piece::Open(name, attributes) = piece else { continue };
            assert!(!["script", "style", "img", "iframe"].contains(&&*name), "{name}");
            let forbidden = |key: &str| key == "style" || key.starts_with("on");
            assert!(!attributes.iter().any(|(key, _)| forbidden(key)), "{attributes:?}");
            let Some(next) = name.strip_prefix('h').and_then(|n| n.parse::<u8>().ok()) else {
                continue;
            };
            assert!(next <= level + 1 && (next > 1 || level == 0), "h{next} after h{level}");
            level = next;
        }
        assert!(level > 1 && !page.contains(['{', '}']), "all filled in");
    }
}

#[test]
fn every_page_has_its_landmarks_and_ids() {
    for language in Language::ALL {
        for page in all_pages(language) {
            assert_eq!(values(&page, "html", "lang"), [language.code()]);
            for landmark in ["<header>", "<main>", "<footer>", "<h1>", "<title>"] {
                assert_eq!(page.matches(landmark).count(), 1, "{landmark}");
            }
            assert_eq!(values(&page, "nav", "aria-label").len(), 2);
            assert!(page.contains("name=\"viewport\""));
            assert_eq!(values(&page, "link", "href"), ["/m/door.css"]);
            let mut ids = BTreeSet::new();
            for element in ["h2", "h3"] {
                for id in values(&page, element, "id") {
                    assert!(ids.insert(id.clone()), "{id} twice");
                }
            }
            for element in ["section", "table"] {
                for label in values(&page, element, "aria-labelledby") {
                    assert!(ids.contains(&label), "{label}");
                }
            }
            assert_eq!(values(&page, "p", "role").len(), usize::from(page.contains("\"done\"")));
        }
    }
}

#[test]
fn links_lead_only_where_they_should() {
    for language in Language::ALL {
        let code = language.code();
        let own: Vec<String> = ["en", "nl", "ro", "da"]
            .map(|code| format!("?lang={code}"))
            .into_iter()
            .chain([
                format!("/m/privacy?lang={code}"),
                format!("/m/optout?lang={code}"),
                "/m/api/v1/me?download=1".to_owned(),
            ])
            .collect();
        let linked = own.iter().map(|href| format!("{href}&amp;s=news&amp;as=AbC-_"));
        let mail = "mailto:privacy@daily.example".to_owned();
        let allowed: BTreeSet<String> = linked.chain(own.clone()).chain([mail]).collect();
        for page in all_pages(language) {
            for href in values(&page, "a", "href") {
                assert!(allowed.contains(&href), "{href}");
            }
        }
    }
}

/// A form as it is sent: where to, and its fields.
fn forms(page: &str) -> Vec<(String, String, String)> {
    let actions = values(page, "form", "action");
    assert_eq!(values(page, "form", "method"), vec!["post"; actions.len()]);
    assert_eq!(values(page, "button", "type"), vec!["submit"; actions.len()]);
    let names: &[&str] = if page.contains("name=\"as\"") {
        &["action", "lang", "s", "as"]
    } else {
        &["action", "lang"]
    };
    assert_eq!(values(page, "input", "type"), vec!["hidden"; names.len() * actions.len()]);
    assert_eq!(values(page, "input", "name"), names.repeat(actions.len()));
    let fields = values(page, "input", "value");
    let of = |(to, fields): (String, &[String])| (to, fields[0].clone(), fields[1].clone());
    actions.into_iter().zip(fields.chunks(names.len())).map(of).collect()
}

#[test]
fn each_state_offers_the_forms_that_fit() {
    for language in Language::ALL {
        for state in states() {
            let form = |path: &str, action: &str| {
                (format!("/m/{path}"), action.to_owned(), language.code().to_owned())
            };
            let choice = form("optout", if state.opted_out { "in" } else { "out" });
            let privacy = forms(&privacy_page(&state, language));
            let optout = forms(&optout_page(&state, language));
            if state.spent.is_some() {
                assert_eq!((privacy.len(), optout.len()), (0, 0), "there is nothing to say by it");
                continue;
            }
            assert_eq!(privacy, [form("privacy", "erase"), choice.clone()]);
            assert_eq!(optout, [choice]);
        }
    }
}

#[test]
fn the_privacy_page_says_all_that_it_should() {
    for language in Language::ALL {
        let t = language.texts();
        let page = texts(&privacy_page(&state(Some(known("DATA"))), language));
        let days = language.days(90);
        for text in [t.lead_what, t.lead_pseudonymous, t.held_heading, t.segments_what] {
            assert!(page.contains(text), "{text}");
        }
        for text in [t.rights_all, t.rights_each, t.rights_authority, t.download_link] {
            assert!(page.contains(text), "{text}");
        }
        for text in ["mf_id", "mf_probe", "mf_optout", "DATA", "34 s", "privacy@daily.example"] {
            assert!(page.contains(text), "{text}");
        }
        assert!(page.contains(&t.visits_kept.replace("{days}", &days)));
        assert!(page.contains(&t.id_life.replace("{days}", &days)));
        assert!(page.contains(&t.optout_life.replace("{days}", &language.days(400))));
        let newest = t.visits_newest.replace("{shown}", "1").replace("{total}", "59");
        assert!(page.contains(&newest), "{newest}");
        let empty = texts(&privacy_page(&state(None), language));
        assert!(empty.contains(t.state_nothing) && empty.contains(t.state_may_start));
    }
}

#[test]
fn a_no_is_said_on_both_pages_and_nothing_else_is() {
    for language in Language::ALL {
        let t = language.texts();
        for state in states() {
            let privacy = texts(&privacy_page(&state, language));
            let optout = texts(&optout_page(&state, language));
            for page in [&privacy, &optout] {
                assert_eq!(page.contains(t.state_opted_out), state.opted_out);
                assert_eq!(page.contains(t.state_gpc), state.gpc);
                let in_vain = state.gpc && state.opted_out;
                assert_eq!(page.contains(t.optin_gpc), in_vain);
            }
            let done = [t.done_opted_out, t.done_opted_in, t.done_erased, t.done_nothing];
            let said = done.map(|text| (privacy.contains(text), optout.contains(text)));
            let order = [Done::OptedOut, Done::OptedIn, Done::Erased, Done::NothingHeld];
            assert_eq!(
                said,
                order.map(|done| (state.done == Some(done), state.done == Some(done)))
            );
            let is_open = !state.refused() && state.spent.is_none();
            assert_eq!(optout.contains(t.state_open), is_open);
            assert_eq!(privacy.contains(t.erase_again), is_open);
            let may = state.known.is_none() && is_open;
            for page in [&privacy, &optout] {
                let is_expired = state.spent == Some(Spent::Expired);
                assert_eq!(page.contains(t.link_expired), is_expired);
                let is_out = state.spent == Some(Spent::OptedOut);
                assert_eq!(page.contains(t.done_opted_out_of_site), is_out);
            }
            assert_eq!(privacy.contains(t.state_may_start), may);
            let collected = t.state_collected.replace("{id}", "DATA");
            let shown = state.known.as_ref().is_some_and(|known| known.id == "DATA");
            assert_eq!(privacy.contains(&collected), shown && !state.refused());
        }
    }
}

#[test]
fn no_text_stays_english() {
    let names = [
        "The Daily Mayfly",
        "English",
        "Nederlands",
        "Română",
        "Dansk",
        "DATA",
        "–",
        "34 s",
        "mf_id",
        "mf_probe",
        "mf_optout",
        "privacy@daily.example",
    ];
    for language in [Language::Dutch, Language::Romanian, Language::Danish] {
        for (english, own) in all_pages(Language::English).iter().zip(all_pages(language)) {
            for text in texts(english).intersection(&texts(&own)) {
                assert!(names.contains(&&**text), "{text:?} in {language:?}");
            }
        }
    }
}

#[test]
fn hostile_texts_change_no_tag() {
    let tags = |page: &str| -> Vec<String> {
        let name = |piece| match piece {
            Piece::Open(name, _) | Piece::Close(name) => Some(name),
            Piece::Text(_) => None,
        };
        pieces(page).into_iter().filter_map(name).collect()
    };
    for evil in [
        "<script>alert(1)</script>",
        "</td></table></main><h1>",
        "\" onmouseover=\"alert(1)",
        "' autofocus onfocus='x",
        "&lt;b&gt; <!-- <![CDATA[ {days} {id}",
        "javascript:alert(1)",
        "a\u{202e}b\u{2066}c\u{200f}d\u{0}e\u{1b}[0m",
    ] {
        let hostile = State {
            controller: evil,
            contact: Some(evil),
            base: evil,
            style: evil,
            cookies: CookieNames { id: evil, probe: evil, optout: evil },
            ..state(Some(known(evil)))
        };
        let plain = State { contact: Some("at the door"), ..state(Some(known("DATA"))) };
        for (hostile, plain) in [
            (privacy_page(&hostile, Language::Dutch), privacy_page(&plain, Language::Dutch)),
            (optout_page(&hostile, Language::Dutch), optout_page(&plain, Language::Dutch)),
        ] {
            assert_eq!(tags(&hostile), tags(&plain), "{evil}");
            assert!(!hostile.contains(['\u{202e}', '\u{2066}', '\u{200f}', '\u{0}', '\u{1b}']));
        }
    }
}

#[test]
fn a_contact_is_a_link_only_when_it_is_an_address() {
    for (contact, href) in [
        ("a.b+c@d-e.example", Some("mailto:a.b+c@d-e.example")),
        ("https://daily.example/contact?a=1&b=2", Some("https://daily.example/contact?a=1&b=2")),
        ("a@b.example?bcc=c@d.example", None),
        ("javascript:alert(1)//@", None),
        ("http://daily.example/", None),
        ("Main Street 1, 1000 Somewhere", None),
        ("  ", None),
    ] {
        let shown = State { contact: Some(contact), ..state(None) };
        let page = privacy_page(&shown, Language::English);
        let hrefs = values(&page, "a", "href");
        let outward: Vec<_> = hrefs.iter().filter(|href| href.contains(':')).collect();
        let wanted: Vec<String> = href.map(|href| href.replace('&', "&amp;")).into_iter().collect();
        assert_eq!(outward, wanted.iter().collect::<Vec<_>>(), "{contact}");
        let label = Language::English.texts().rights_contact;
        assert_eq!(page.contains(label), !contact.trim().is_empty());
    }
}

#[test]
fn without_a_controller_nobody_is_named() {
    let nobody = State { controller: " ", contact: None, base: "", ..state(None) };
    let page = privacy_page(&nobody, Language::Danish);
    let t = Language::Danish.texts();
    assert!(!page.contains(t.rights_controller) && !page.contains(t.rights_contact));
    assert!(page.contains(">Mayfly</p>") && page.contains("action=\"/optout\""));
}

#[test]
fn a_hit_without_a_page_or_a_title_is_shown() {
    let bare = HitRow { page: None, title: String::new(), categories: vec![], ..hit("DATA") };
    let hits = vec![HitRow { seconds: 0, event: "page_view".to_owned(), ..bare }];
    let known = Known { hits, more_hits: 0, ..known("DATA") };
    let page = privacy_page(&state(Some(known)), Language::Dutch);
    assert_eq!(page.matches(">–</div>").count(), 3);
    assert!(page.contains(">paginaweergave</div>"));
    let newest = Language::Dutch.texts().visits_newest;
    assert!(!page.contains(newest.split('{').next().expect("a start")), "none is left out");
}

/// The luminance of `#rrggbb`, as WCAG 2 has it.
fn luminance(colour: &str) -> f64 {
    let part = |at: usize| {
        let value = u8::from_str_radix(&colour[at..at + 2], 16).expect("a colour");
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}

#[test]
fn colours_can_be_read_by_day_and_by_night() {
    let roots: Vec<&str> = STYLE.split(":root {").skip(1).take(2).collect();
    assert_eq!(roots.len(), 2);
    for root in roots {
        let colour = |name: &str| {
            let (_, after) = root.split_once(&format!("--{name}: ")).expect("a variable");
            luminance(&after[..7])
        };
        for (text, ground) in [
            ("ink", "paper"),
            ("ink", "panel"),
            ("ink", "in"),
            ("soft", "paper"),
            ("accent", "paper"),
            ("accent", "panel"),
            ("paper", "accent"),
            ("paper", "ink"),
            ("grave", "panel"),
            ("paper", "grave"),
        ] {
            let (a, b) = (colour(text), colour(ground));
            let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
            assert!(contrast >= 4.5, "{text} on {ground}: {contrast:.2}");
        }
    }
}

#[test]
fn the_style_asks_for_nothing_else() {
    for forbidden in ["url(", "@import", "http", "expression"] {
        assert!(!STYLE.contains(forbidden), "{forbidden}");
    }
    assert!(STYLE.contains(":focus-visible") && STYLE.contains("@media print"));
}

#[test]
fn who_came_by_a_link_keeps_it_through_languages_forms_and_the_download() {
    let pass = Some(Pass { site: "news", value: "AbC-_" });
    let state = State { pass, ..state(Some(known("DATA"))) };
    let page = privacy_page(&state, Language::English);
    assert_eq!(page.matches("s=news&amp;as=AbC-_").count(), 8, "pages, languages, download, link");
    assert_eq!(page.matches(r#"name="as" value="AbC-_""#).count(), 2, "both forms");
}
