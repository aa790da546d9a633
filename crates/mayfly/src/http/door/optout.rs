//! `/optout`: one button, and what it does.

use super::frame::{Action, Page, Route, section};
use super::html::{Html, fill};
use super::{Language, OPTOUT_SECONDS, State};

/// The page `/optout`.
#[must_use]
pub(crate) fn optout_page(state: &State<'_>, language: Language) -> String {
    let page = Page::new(state, language);
    page.render(Route::Optout, page.texts.optout_heading, |html| {
        section(html, "state", page.texts.state_heading, |html| choice(&page, html));
        if state.pass.is_some() || state.spent.is_some() {
            return;
        }
        section(html, "does", page.texts.does_heading, |html| does(&page, html));
        section(html, "does-not", page.texts.does_not_heading, |html| does_not(&page, html));
    })
}

fn choice(page: &Page<'_>, html: &mut Html) {
    let texts = page.texts;
    if page.spent(html) {
        return;
    }
    page.refusals(html);
    if page.state.opted_out {
        html.leaf("p", &[], texts.optin_what);
        if page.state.gpc {
            html.leaf("p", &[], texts.optin_gpc);
        }
        page.form(html, Action::OptIn, "quiet");
        return;
    }
    if page.state.gpc {
        html.leaf("p", &[], texts.optout_gpc);
    } else {
        html.leaf("p", &[], texts.state_open);
        html.leaf(
            "p",
            &[],
            if page.state.pass.is_some() { texts.optout_of_site } else { texts.optout_lead },
        );
    }
    if page.state.is_apart {
        html.leaf("p", &[], texts.optout_apart);
    }
    page.form(html, Action::OptOut, "big");
}

fn does(page: &Page<'_>, html: &mut Html) {
    let days = page.language.days(OPTOUT_DAYS);
    let values = [("cookie", page.state.cookies.optout), ("days", &days)];
    html.element("ul", &[], |html| {
        html.leaf("li", &[], page.texts.does_stop);
        html.leaf("li", &[], &fill(page.texts.does_last, &values));
    });
}

fn does_not(page: &Page<'_>, html: &mut Html) {
    html.element("ul", &[], |html| {
        html.leaf("li", &[], &page.within(page.texts.does_not_erase));
        html.leaf("li", &[], page.texts.does_not_reach);
    });
    page.link(html, Route::Privacy, page.texts.optout_to_privacy);
}

/// [`OPTOUT_SECONDS`] in days.
pub(super) const OPTOUT_DAYS: u16 = 400;
const _: () = assert!(OPTOUT_DAYS as u64 * 86_400 == OPTOUT_SECONDS, "the page says what is set");
