//! `/privacy`: what is held about this browser, and what its user can do.

use url::form_urlencoded;

use super::frame::{Action, Page, Route, section};
use super::html::{Html, fill};
use super::optout::OPTOUT_DAYS;
use super::{HitRow, Known, Language, PROBE_SECONDS, State};

/// The page `/privacy`.
#[must_use]
pub(crate) fn privacy_page(state: &State<'_>, language: Language) -> String {
    let page = Page::new(state, language);
    let texts = page.texts;
    page.render(Route::Privacy, texts.privacy_heading, |html| {
        html.element("div", &[("class", "lead")], |html| {
            html.leaf("p", &[], texts.lead_what);
            html.leaf("p", &[], texts.lead_pseudonymous);
            html.leaf("p", &[], &page.within(texts.lead_deleted));
        });
        section(html, "state", texts.state_heading, |html| browser(&page, html));
        if let Some(known) = &state.known {
            section(html, "held", texts.held_heading, |html| held(&page, html, known));
        }
        if state.spent.is_none() {
            section(html, "actions", texts.actions_heading, |html| actions(&page, html));
        }
        section(html, "cookies", texts.cookies_heading, |html| cookies(&page, html));
        section(html, "rights", texts.rights_heading, |html| rights(&page, html));
    })
}

fn browser(page: &Page<'_>, html: &mut Html) {
    let texts = page.texts;
    if page.spent(html) {
        return;
    }
    page.refusals(html);
    match &page.state.known {
        Some(known) => {
            let refused = page.state.refused();
            let text = if refused { texts.state_earlier } else { texts.state_collected };
            html.leaf("p", &[], &fill(text, &[("id", &known.id)]));
        }
        None => {
            html.leaf("p", &[], texts.state_nothing);
            if page.state.is_apart {
                html.leaf("p", &[], texts.state_apart);
            }
            if !page.state.refused() {
                html.leaf("p", &[], texts.state_may_start);
            }
        }
    }
}

fn held(page: &Page<'_>, html: &mut Html, known: &Known) {
    let texts = page.texts;
    html.leaf("h3", &[], texts.segments_heading);
    if known.segments.is_empty() {
        html.leaf("p", &[], texts.segments_none);
    } else {
        html.leaf("p", &[("class", "soft")], texts.segments_what);
        html.element("ul", &[("class", "segments")], |html| {
            for segment in &known.segments {
                html.leaf("li", &[("dir", "auto")], segment);
            }
        });
    }
    if !known.partners.is_empty() {
        html.leaf("h3", &[], texts.partners_heading);
        html.leaf("p", &[("class", "soft")], texts.partners_what);
        html.element("ul", &[("class", "segments")], |html| {
            for (partner, uid) in &known.partners {
                html.element("li", &[], |html| {
                    html.leaf("bdi", &[], partner);
                    html.text(" ");
                    html.leaf("code", &[("dir", "ltr")], uid);
                });
            }
        });
    }
    html.leaf("h3", &[("id", "visits")], texts.visits_heading);
    if known.hits.is_empty() {
        html.leaf("p", &[], texts.visits_none);
    } else {
        hits(page, html, &known.hits);
    }
    if known.more_hits > 0 {
        let total = known.hits.len().saturating_add(known.more_hits).to_string();
        let values = [("shown", &*known.hits.len().to_string()), ("total", &total)];
        html.leaf("p", &[], &fill(texts.visits_newest, &values));
    }
    html.leaf("p", &[("class", "soft")], &page.within(texts.visits_kept));
}

/// A table that a phone shows as blocks. The roles are said because a changed `display` would
/// take them away.
fn table(
    html: &mut Html,
    class: &str,
    label: &str,
    columns: &[&str],
    rows: impl FnOnce(&mut Html),
) {
    let attributes = [("role", "table"), ("class", class), ("aria-labelledby", label)];
    html.element("table", &attributes, |html| {
        html.element("thead", &[("role", "rowgroup")], |html| {
            html.element("tr", &[("role", "row")], |html| {
                for column in columns {
                    html.leaf("th", &[("role", "columnheader"), ("scope", "col")], column);
                }
            });
        });
        html.element("tbody", &[("role", "rowgroup")], rows);
    });
}

/// A cell; a phone puts the name of its column before it.
fn cell(html: &mut Html, column: &str, inside: impl FnOnce(&mut Html)) {
    html.element("td", &[("role", "cell"), ("data-label", column)], |html| {
        html.element("div", &[("dir", "auto")], inside);
    });
}

fn hits(page: &Page<'_>, html: &mut Html, hits: &[HitRow]) {
    let texts = page.texts;
    let columns = [
        texts.column_time,
        texts.column_site,
        texts.column_event,
        texts.column_page,
        texts.column_categories,
        texts.column_seconds,
    ];
    html.leaf("p", &[("class", "soft")], texts.visits_order);
    table(html, "hits", "visits", &columns, |html| {
        for hit in hits {
            html.element("tr", &[("role", "row")], |html| row(page, html, hit));
        }
    });
}

fn row(page: &Page<'_>, html: &mut Html, hit: &HitRow) {
    let texts = page.texts;
    cell(html, texts.column_time, |html| html.text(&hit.time));
    cell(html, texts.column_site, |html| html.text(&hit.site));
    cell(html, texts.column_event, |html| html.text(texts.event(&hit.event)));
    cell(html, texts.column_page, |html| {
        if !hit.title.is_empty() {
            html.leaf("p", &[("class", "title"), ("dir", "auto")], &hit.title);
        }
        match &hit.page {
            Some(url) => html.leaf("code", &[("dir", "ltr")], url),
            None if hit.title.is_empty() => html.text("–"),
            None => {}
        }
    });
    cell(html, texts.column_categories, |html| {
        if hit.categories.is_empty() {
            html.text("–");
        }
        for category in &hit.categories {
            html.leaf("p", &[("dir", "auto")], category);
        }
    });
    cell(html, texts.column_seconds, |html| match hit.seconds {
        0 => html.text("–"),
        seconds => html.text(&format!("{seconds} s")),
    });
}

fn actions(page: &Page<'_>, html: &mut Html) {
    let (state, texts) = (page.state, page.texts);
    html.element("div", &[("class", "actions")], |html| {
        html.element("div", &[], |html| {
            html.leaf("h3", &[], texts.download_heading);
            html.leaf("p", &[], texts.download_what);
            let mut query = form_urlencoded::Serializer::new("download=1".to_owned());
            let query = query.extend_pairs(page.pass()).finish();
            let href = format!("{}/api/v1/me?{query}", state.base);
            html.element("p", &[], |html| {
                html.leaf("a", &[("href", &href), ("class", "button")], texts.download_link);
            });
        });
        html.element("div", &[], |html| {
            html.leaf("h3", &[], texts.erase_heading);
            html.leaf("p", &[], texts.erase_what);
            if !state.refused() {
                html.leaf("p", &[], texts.erase_again);
            }
            page.form(html, Action::Erase, "grave");
        });
        html.element("div", &[], |html| {
            if state.opted_out {
                html.leaf("h3", &[], texts.optin_heading);
                html.leaf("p", &[], texts.optin_what);
                if state.gpc {
                    html.leaf("p", &[], texts.optin_gpc);
                }
                page.link(html, Route::Optout, texts.privacy_to_optout);
                page.form(html, Action::OptIn, "quiet");
            } else {
                html.leaf("h3", &[], texts.optout_heading);
                html.leaf("p", &[], page.what_opting_out_does());
                page.link(html, Route::Optout, texts.privacy_to_optout);
                page.form(html, Action::OptOut, "plain");
            }
        });
    });
}

fn cookies(page: &Page<'_>, html: &mut Html) {
    let (names, texts) = (page.state.cookies, page.texts);
    let minutes = (PROBE_SECONDS / 60).to_string();
    let probe = fill(texts.probe_life, &[("minutes", &minutes)]);
    let optout = fill(texts.optout_life, &[("days", &page.language.days(OPTOUT_DAYS))]);
    let columns = [texts.cookie_name, texts.cookie_purpose, texts.cookie_life];
    table(html, "cookies", "cookies", &columns, |html| {
        for (name, purpose, life) in [
            (names.id, texts.id_purpose, page.within(texts.id_life)),
            (names.probe, texts.probe_purpose, probe),
            (names.optout, texts.optout_purpose, optout),
        ] {
            html.element("tr", &[("role", "row")], |html| {
                cell(html, texts.cookie_name, |html| html.leaf("code", &[], name));
                cell(html, texts.cookie_purpose, |html| html.text(purpose));
                cell(html, texts.cookie_life, |html| html.text(&life));
            });
        }
    });
}

fn rights(page: &Page<'_>, html: &mut Html) {
    let (state, texts) = (page.state, page.texts);
    html.leaf("p", &[], texts.rights_all);
    html.leaf("p", &[], texts.rights_each);
    html.leaf("p", &[], texts.rights_authority);
    let controller = state.controller.trim();
    if !controller.is_empty() {
        html.element("p", &[], |html| {
            html.text(texts.rights_controller);
            html.text(" ");
            html.leaf("bdi", &[], controller);
        });
    }
    if let Some(contact) = state.contact.map(str::trim).filter(|contact| !contact.is_empty()) {
        html.element("p", &[], |html| {
            html.text(texts.rights_contact);
            html.text(" ");
            match contact_address(contact) {
                Some(href) => html.leaf("a", &[("href", &href)], contact),
                None => html.leaf("bdi", &[], contact),
            }
        });
    }
}

/// Where a contact leads: an `https` address, or a plain e-mail address.
fn contact_address(contact: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@.+-_".contains(c);
    if contact.starts_with("https://") {
        Some(contact.to_owned())
    } else if contact.matches('@').count() == 1 && contact.chars().all(plain) {
        Some(format!("mailto:{contact}"))
    } else {
        None
    }
}
