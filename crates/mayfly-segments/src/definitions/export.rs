//! Definitions as a file that applies to the same definitions.

use mayfly_core::consent::{ConsentRole, Ground, Receiver};
use mayfly_core::{
    CategoryId, ConsentRules, DataPlan, Origin, Partner, PartnerKind, Site, SiteId, limits,
};

use super::partner_table::{Kind, sync_word, usual_sync};
use super::site_table::{audience_word, policy_word};
use super::{Category, Definitions, OnPage, Period, RuleText, Segment, Sensitivity};

impl Definitions {
    /// A definitions file of everything: applied to nothing it gives the same sites, categories and
    /// segments (numbered anew); applied to these definitions it changes nothing.
    #[must_use]
    pub fn export(&self) -> String {
        let mut out = "format = 1\n".to_owned();
        for site in self.sites() {
            let origins = site.origins.iter().map(|origin| match origin {
                Origin::Any => "*",
                Origin::Exact(origin) => origin,
            });
            line(&mut out, "\n[[site]]\nkey", &quoted(&site.key));
            line(&mut out, "origins", &list(origins));
            export_site(&mut out, site);
            let sync: Vec<&str> =
                site.sync.iter().filter_map(|id| Some(&*self.partners.get(id)?.key)).collect();
            if !sync.is_empty() {
                line(&mut out, "sync", &list(sync.into_iter()));
            }
        }
        let mut categories: Vec<_> = self.categories().map(|c| (self.path(c.id), c)).collect();
        categories.sort_by(|a, b| a.0.cmp(&b.0));
        for (path, category) in categories {
            self.export_category(&mut out, &path, category);
        }
        for (name, words) in &self.word_lists {
            line(&mut out, "\n[[word_list]]\nname", &quoted(name));
            line(&mut out, "words", &list(words.iter().map(|word| &**word)));
        }
        self.partners().for_each(|partner| export_partner(&mut out, partner));
        for segment in self.segments() {
            line(&mut out, "\n[[segment]]\nname", &quoted(&segment.name));
            line(&mut out, "rule", &quoted(&segment.rule));
            match &segment.on_page {
                OnPage::Nowhere => {}
                OnPage::Everywhere => line(&mut out, "on_page", "true"),
                OnPage::Sites(sites) => line(&mut out, "on_page", &self.keys(sites)),
            }
            if segment.paused {
                line(&mut out, "paused", "true");
            }
            export_more(&mut out, segment);
        }
        self.destinations().for_each(|own| self.export_destination(&mut out, own));
        out
    }

    fn export_category(&self, out: &mut String, path: &str, category: &Category) {
        let parent = !self.categories.children(category.id).is_empty();
        let is_plain = category.sensitivity == Sensitivity::Plain && category.retired.is_none();
        let says_more = !category.except.is_empty()
            || !category.implies.is_empty()
            || category.import.is_some();
        if parent && category.rules.is_empty() && category.iab.is_empty() && is_plain && !says_more
        {
            return; // comes by itself
        }
        debug_assert_ne!(category.id, CategoryId::ALL);
        line(out, "\n[[category]]\nname", &quoted(path));
        match &*category.iab {
            [] => {}
            [one] => line(out, "iab", &quoted(one)),
            all => line(out, "iab", &list(all.iter().map(|id| &**id))),
        }
        match &*category.rules {
            [] => {}
            [RuleText { rule, sites }] if sites.is_empty() => line(out, "rule", &quoted(rule)),
            rules => {
                let rules: Vec<String> = rules.iter().map(|rule| self.rule(rule)).collect();
                line(out, "rules", &format!("[\n  {},\n]", rules.join(",\n  ")));
            }
        }
        self.export_more_of(out, category);
    }

    /// What a category says besides its ids and rules.
    fn export_more_of(&self, out: &mut String, category: &Category) {
        let implied: Vec<String> = category.implies.iter().map(|id| self.path(*id)).collect();
        for (key, all) in [
            ("except", category.except.iter().map(|rule| &**rule).collect::<Vec<_>>()),
            ("implies", implied.iter().map(String::as_str).collect()),
        ] {
            match all.as_slice() {
                [] => {}
                [one] => line(out, key, &quoted(one)),
                all => line(out, key, &list(all.iter().copied())),
            }
        }
        if let Some(retired) = category.retired {
            line(out, "retired", &retired.to_string());
        }
        match &category.sensitivity {
            Sensitivity::Plain => {}
            Sensitivity::Sensitive => line(out, "sensitive", "true"),
            Sensitivity::Enabled { basis } => {
                // No part of the file: the privacy role says it where the file is applied.
                let basis = basis.replace(char::is_control, " ");
                line(out, "sensitive", &format!("true  # enabled here: {basis}"));
            }
        }
        if let Some(import) = &category.import {
            self.export_import(out, import);
        }
    }

    fn rule(&self, RuleText { rule, sites }: &RuleText) -> String {
        if sites.is_empty() {
            return format!("{{ rule = {} }}", quoted(rule));
        }
        format!("{{ rule = {}, sites = {} }}", quoted(rule), self.keys(sites))
    }

    fn keys(&self, sites: &[SiteId]) -> String {
        list(sites.iter().filter_map(|id| self.site_key(*id)))
    }
}

fn export_partner(out: &mut String, partner: &Partner) {
    line(out, "\n[[partner]]\nkey", &quoted(&partner.key));
    let kind = Kind::of(partner);
    if kind != Kind::Plain {
        line(out, "kind", &quoted(kind.word()));
    }
    if let PartnerKind::Google { network } = &partner.kind {
        line(out, "network", &quoted(network));
    }
    if !partner.bidder.is_empty() {
        line(out, "bidder", &quoted(&partner.bidder));
    }
    match partner.receiver.ground {
        Ground::Vendor(id) => line(out, "vendor_id", &id.to_string()),
        Ground::Provider(id) => line(out, "provider_id", &id.to_string()),
        Ground::Processor => line(out, "processor", "true"),
    }
    let usual = Partner::new(partner.id, &partner.key, Receiver::vendor(0));
    if partner.receiver.purposes != usual.receiver.purposes {
        let purposes: Vec<_> = partner.receiver.purposes.iter().map(u8::to_string).collect();
        line(out, "purposes", &format!("[{}]", purposes.join(", ")));
    }
    if let Some(sync) =
        partner.sync.as_ref().filter(|own| Some(*own) != usual_sync(&partner.kind).as_ref())
    {
        line(out, "sync", &quoted(sync.text()));
    }
    if partner.uid_macro != usual.uid_macro {
        line(out, "uid_macro", &quoted(&partner.uid_macro));
    }
    if partner.sync_type != usual.sync_type {
        line(out, "sync_type", &quoted(sync_word(partner.sync_type)));
    }
    if !partner.hosts.is_empty() {
        line(out, "hosts", &list(partner.hosts.iter().map(|host| &**host)));
    }
    if partner.sync_days != usual.sync_days {
        line(out, "sync_days", &partner.sync_days.to_string());
    }
}

/// What a segment says besides its rule and readers; defaults are left out.
fn export_more(out: &mut String, segment: &Segment) {
    for (key, text) in [("notes", &segment.notes), ("owner", &segment.owner)] {
        if !text.is_empty() {
            line(out, key, &quoted(text));
        }
    }
    for (key, all) in [("labels", &segment.labels), ("iab", &segment.iab)] {
        if !all.is_empty() {
            line(out, key, &list(all.iter().map(|one| &**one)));
        }
    }
    let Period { starts, ends, time_zone } = &segment.period;
    for (key, date) in [("starts", starts), ("ends", ends)] {
        if let Some(date) = date {
            line(out, key, &date.to_string());
        }
    }
    if **time_zone != *"UTC" {
        line(out, "time_zone", &quoted(time_zone));
    }
}

/// What a site says besides its key and origins; defaults are left out.
fn export_site(out: &mut String, site: &Site) {
    let ConsentRules { policy, role, scope, audience } = &site.consent;
    line(out, "consent", &quoted(policy_word(*policy)));
    match role {
        Some(ConsentRole::Vendor(id)) => {
            line(out, "role", "\"vendor\"");
            line(out, "vendor_id", &id.to_string());
        }
        Some(ConsentRole::Publisher) => line(out, "role", "\"publisher\""),
        None => {}
    }
    if site.keeps_bots {
        line(out, "bots", "\"keep\"");
    }
    let DataPlan { query, attributes, events, sensitive, pages_per_day, declared } = &site.plan;
    if let Some(standard) = declared {
        line(out, "declared", &quoted(standard));
    }
    for (key, value, usual) in [
        ("consent_scope", &**scope, &*site.key),
        ("audience", audience_word(*audience), "general"),
        ("time_zone", &site.time_zone, "UTC"),
    ] {
        if value != usual {
            line(out, key, &quoted(value));
        }
    }
    for (key, names) in [
        ("query", query),
        ("attributes", attributes),
        ("events", events),
        ("sensitive", sensitive),
        ("redirect_hosts", &site.redirect_hosts),
    ] {
        if !names.is_empty() {
            line(out, key, &list(names.iter().map(|name| &**name)));
        }
    }
    if *pages_per_day != limits::PAGES_PER_DAY {
        line(out, "pages_per_day", &pages_per_day.to_string());
    }
}

pub(super) fn line(out: &mut String, key: &str, value: &str) {
    out.extend([key, " = ", value, "\n"]);
}

pub(super) fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", items.map(quoted).collect::<Vec<_>>().join(", "))
}

/// As a TOML string: literal where that is possible, for rules are full of double quotes.
pub(super) fn quoted(text: &str) -> String {
    let plain = !text.contains(|c: char| c.is_control() || c == '\'');
    if plain && text.contains(['"', '\\']) {
        return format!("'{text}'");
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
