//! What both pages share: the frame, the state of the browser, the forms.

use url::form_urlencoded;

use super::html::{Html, fill};
use super::texts::Texts;
use super::{Done, Language, Spent, State};

/// A page being written.
pub(super) struct Page<'a> {
    /// What to show.
    pub(super) state: &'a State<'a>,
    /// In which language.
    pub(super) language: Language,
    /// Its texts.
    pub(super) texts: &'static Texts,
}

/// The two pages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// `/privacy`.
    Privacy,
    /// `/optout`.
    Optout,
}

/// What a form asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// `POST /privacy`, `action=erase`.
    Erase,
    /// `POST /optout`, `action=out`.
    OptOut,
    /// `POST /optout`, `action=in`.
    OptIn,
}

impl Route {
    fn path(self) -> &'static str {
        match self {
            Self::Privacy => "privacy",
            Self::Optout => "optout",
        }
    }
}

impl<'a> Page<'a> {
    /// A page that shows `state`.
    pub(super) fn new(state: &'a State<'a>, language: Language) -> Self {
        Self { state, language, texts: language.texts() }
    }

    /// The whole page; `inside` writes what stands under the heading.
    pub(super) fn render(
        &self,
        route: Route,
        heading: &str,
        inside: impl FnOnce(&mut Html),
    ) -> String {
        let mut html = Html::document();
        html.element("html", &[("lang", self.language.code())], |html| {
            self.head(html, heading);
            html.element("body", &[], |html| {
                self.header(html, route);
                html.element("main", &[], |html| {
                    html.leaf("h1", &[], heading);
                    self.done(html);
                    inside(html);
                });
                html.element("footer", &[], |html| html.leaf("p", &[], self.texts.footer));
            });
        });
        html.finish()
    }

    fn owner(&self) -> &str {
        let name = self.state.controller.trim();
        if name.is_empty() { "Mayfly" } else { name }
    }

    fn head(&self, html: &mut Html, heading: &str) {
        html.element("head", &[], |html| {
            html.void("meta", &[("charset", "utf-8")]);
            let width = "width=device-width, initial-scale=1";
            html.void("meta", &[("name", "viewport"), ("content", width)]);
            html.void("meta", &[("name", "color-scheme"), ("content", "light dark")]);
            html.void("meta", &[("name", "robots"), ("content", "noindex")]);
            html.leaf("title", &[], &format!("{heading} – {}", self.owner()));
            html.void("link", &[("rel", "stylesheet"), ("href", self.state.style)]);
        });
    }

    fn header(&self, html: &mut Html, route: Route) {
        let here = |is: bool| if is { "true" } else { "false" };
        html.element("header", &[], |html| {
            html.leaf("p", &[("class", "masthead"), ("dir", "auto")], self.owner());
            html.element("nav", &[("aria-label", self.texts.pages)], |html| {
                html.element("ul", &[], |html| {
                    for (to, name) in [
                        (Route::Privacy, self.texts.privacy_name),
                        (Route::Optout, self.texts.optout_name),
                    ] {
                        let current = if to == route { "page" } else { "false" };
                        let href = self.address(to);
                        html.element("li", &[], |html| {
                            html.leaf("a", &[("href", &href), ("aria-current", current)], name);
                        });
                    }
                });
            });
            html.element("nav", &[("aria-label", self.texts.languages)], |html| {
                html.element("ul", &[], |html| {
                    for language in Language::ALL {
                        let code = language.code();
                        let attributes = [
                            ("href", &*format!("?{}", self.query(language))),
                            ("lang", code),
                            ("hreflang", code),
                            ("aria-current", here(language == self.language)),
                        ];
                        html.element("li", &[], |html| {
                            html.leaf("a", &attributes, language.name());
                        });
                    }
                });
            });
        });
    }

    /// The address of a page, in this language.
    fn address(&self, to: Route) -> String {
        format!("{}/{}?{}", self.state.base, to.path(), self.query(self.language))
    }

    fn query(&self, language: Language) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("lang", language.code());
        query.extend_pairs(self.pass()).finish()
    }

    /// The parameters that say by which link the browser came.
    pub(super) fn pass(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let pairs = self.state.pass.map(|pass| [("s", pass.site), ("as", pass.value)]);
        pairs.into_iter().flatten()
    }

    /// A paragraph that leads to the other page.
    pub(super) fn link(&self, html: &mut Html, to: Route, text: &str) {
        html.element("p", &[], |html| html.leaf("a", &[("href", &self.address(to))], text));
    }

    fn done(&self, html: &mut Html) {
        let text = match self.state.done {
            None => return,
            Some(Done::OptedOut) => self.texts.done_opted_out,
            Some(Done::OptedOutOfSite) => self.texts.done_opted_out_of_site,
            Some(Done::OptedIn) => self.texts.done_opted_in,
            Some(Done::Erased) => self.texts.done_erased,
            Some(Done::NothingHeld) => self.texts.done_nothing,
        };
        html.leaf("p", &[("class", "done"), ("role", "status")], text);
    }

    /// What became of the link by which the browser came; whether that is all there is to say.
    pub(super) fn spent(&self, html: &mut Html) -> bool {
        match self.state.spent {
            Some(Spent::Expired) => html.leaf("p", &[], self.texts.link_expired),
            // What was just done says so.
            Some(Spent::OptedOut) if self.state.done.is_some() => {}
            Some(Spent::OptedOut) => html.leaf("p", &[], self.texts.done_opted_out_of_site),
            None => return false,
        }
        true
    }

    /// What the button to opt out does here.
    pub(super) fn what_opting_out_does(&self) -> &'static str {
        if self.state.pass.is_some() { self.texts.optout_of_site } else { self.texts.optout_what }
    }

    /// Whether the browser said no, and how.
    pub(super) fn refusals(&self, html: &mut Html) {
        if self.state.opted_out {
            html.leaf("p", &[], self.texts.state_opted_out);
        }
        if self.state.gpc {
            html.leaf("p", &[], self.texts.state_gpc);
        }
    }

    /// A form with one button.
    pub(super) fn form(&self, html: &mut Html, action: Action, class: &str) {
        let (to, value, label) = match action {
            Action::Erase => (Route::Privacy, "erase", self.texts.erase_button),
            Action::OptOut => (Route::Optout, "out", self.texts.optout_button),
            Action::OptIn => (Route::Optout, "in", self.texts.optin_button),
        };
        let address = format!("{}/{}", self.state.base, to.path());
        html.element("form", &[("method", "post"), ("action", &address)], |html| {
            let hidden = |html: &mut Html, name: &str, value: &str| {
                html.void("input", &[("type", "hidden"), ("name", name), ("value", value)]);
            };
            hidden(html, "action", value);
            hidden(html, "lang", self.language.code());
            // A link opts out of its site; back in leads only what was said here.
            if action != Action::OptIn {
                self.pass().for_each(|(name, value)| hidden(html, name, value));
            }
            html.leaf("button", &[("type", "submit"), ("class", class)], label);
        });
    }

    /// A text that names the longest time that a hit is held.
    pub(super) fn within(&self, text: &str) -> String {
        fill(text, &[("days", &self.language.days(self.state.retention_days))])
    }
}

/// A part of a page, under a heading of the second level.
pub(super) fn section(
    html: &mut Html,
    id: &'static str,
    heading: &str,
    inside: impl FnOnce(&mut Html),
) {
    html.element("section", &[("aria-labelledby", id)], |html| {
        html.leaf("h2", &[("id", id)], heading);
        inside(html);
    });
}
