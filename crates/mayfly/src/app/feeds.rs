//! Feeds of ours that others receive: what was delivered, for an invoice; and the label that says
//! what the data is.
//!
//! The label: IAB Tech Lab, Data Transparency Standard 1.2 (datalabel.org), the fields of its CSV.

use std::collections::BTreeMap;

use mayfly_core::{ConsentPolicy, Day};
use mayfly_segments::destination::{Destination, IdSpace, Mapped, Schedule};
use mayfly_segments::{Definitions, Expression, Segment};
use serde_json::{Value, json};

use super::App;
use crate::clock;
use crate::delivery::ledger;
use crate::delivery::preview;
use crate::delivery::record::{STANDING, Standing};
use crate::http::ApiError;

/// Characters of a criterion (the label's limit).
const CRITERIA: usize = 500;

impl App {
    /// What was delivered to a destination, by month and code, with its terms; also to one that is
    /// no more.
    ///
    /// # Errors
    /// [`ApiError::NoDestination`].
    pub async fn usage(&self, name: &str) -> Result<Value, ApiError> {
        let destination = self.destination_once(name).await?;
        let standing: Option<Standing> =
            ledger::read(&self.store, destination.id, STANDING).await?;
        let months = standing.unwrap_or_default().usage.into_iter().rev();
        let months = months.map(|(month, codes)| {
            let codes = codes.into_iter().map(|(code, own)| {
                json!({
                    "code": code,
                    "added": own.added,
                    "refreshed": own.refreshed,
                    "removed": own.removed,
                    "most": own.most,
                })
            });
            json!({"month": month, "codes": codes.collect::<Vec<_>>()})
        });
        let terms = destination.terms.as_ref().map(|own| {
            json!({
                "contract": own.contract,
                "ends": own.ends.map(|day| day.to_string()),
                "price_cpm": own.price.as_ref().map(ToString::to_string),
            })
        });
        Ok(json!({
            "destination": destination.name,
            "terms": terms,
            "months": months.collect::<Vec<_>>(),
            "as_of": clock::text(Self::now()),
        }))
    }

    /// The data label of what a destination gets: a row for each segment, by the label's names.
    ///
    /// # Errors
    /// [`ApiError::NoDestination`], [`ApiError::Busy`].
    pub async fn label(
        self: &std::sync::Arc<Self>,
        name: &str,
    ) -> Result<Vec<Vec<(&'static str, String)>>, ApiError> {
        let destination = self.destination_named(name)?;
        let now = self.catch_up().await?;
        let sizes = preview::sizes(self, &destination, now).await?;
        let active = self.active();
        let definitions = active.definitions();
        let today = now.day().unwrap_or_default();
        let rows = destination.mapping.iter().filter_map(|mapped| {
            let segment = definitions.segment(mapped.segment)?;
            let rule = Expression::parse(&segment.rule, definitions, self.settings.store.retention);
            let facts = rule.map(|own| Facts::of(&own, definitions, today)).unwrap_or_default();
            let size = sizes.get(&*mapped.code).copied().unwrap_or_default();
            Some(self.row(&destination, mapped, segment, (facts, size)))
        });
        Ok(rows.collect())
    }

    fn row(
        &self,
        destination: &Destination,
        mapped: &Mapped,
        segment: &Segment,
        (facts, size): (Facts, u64),
    ) -> Vec<(&'static str, String)> {
        let active = self.active();
        let definitions = active.definitions();
        let settings = &self.settings;
        let contact = settings.contact.as_deref().unwrap_or_default();
        let email = if contact.contains('@') { contact } else { "" };
        let policy = if contact.contains("://") { contact } else { "" };
        let iab = segment.iab.iter().filter_map(|id| id.strip_prefix("audience-1.1:"));
        let mut taxonomy: Vec<&str> = iab.collect();
        taxonomy.sort_unstable();
        let (scope, domain) = scope(definitions);
        let ids = match destination.ids {
            IdSpace::Partner => "cookie",
            IdSpace::Ours => "platform_id",
        };
        let refresh = match destination.schedule {
            Schedule::Daily { .. } => "Daily",
            Schedule::Every { .. } => "Intra-day",
        };
        let criteria: String = segment.rule.chars().take(CRITERIA).collect();
        let no = || "No".to_owned();
        let none = || "N/A".to_owned();
        vec![
            ("audience_id", mapped.code.to_string()),
            ("provider_name", settings.controller.clone()),
            ("provider_domain", settings.domain.clone()),
            ("provider_email", email.to_owned()),
            ("audience_name", segment.name.to_string()),
            ("taxonomy_id_list", taxonomy.join(";")),
            ("audience_criteria", criteria),
            ("audience_precision_levels", "Browser".to_owned()),
            ("audience_scope", scope.to_owned()),
            ("originating_domain", domain),
            ("audience_size", size.to_string()),
            ("id_type_list", ids.to_owned()),
            ("geocode_list", String::new()),
            ("privacy_compliance_mechanisms", mechanisms(definitions)),
            ("privacy_policy_url", policy.to_owned()),
            ("iab_techlab_compliant", no()),
            ("audience_data_sources", facts.sources().to_owned()),
            ("audience_inclusion_methodology", facts.methodology().to_owned()),
            ("audience_expansion", no()),
            ("device_expansion", no()),
            ("audience_refresh", refresh.to_owned()),
            ("lookback_window", facts.lookback().to_owned()),
            ("onboarder_match_keys", none()),
            ("onboarder_audience_expansion", none()),
            ("onboarder_device_expansion", none()),
            ("onboarder_audience_precision_level", none()),
        ]
    }
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    days: u16,
    is_seen: bool,
    is_declared: bool,
}

impl Facts {
    fn of(rule: &Expression, definitions: &Definitions, today: Day) -> Self {
        let mut own = Self::default();
        let traced = rule.recalls(today).map(|days| *days.start());
        let oldest = rule.needs(today).iter().map(|(_, days)| *days.start()).chain(traced).min();
        own.days = oldest.map_or(0, |oldest| today.0.saturating_sub(oldest.0) + 1);
        for category in rule.plan().categories() {
            let is_declared = definitions.is_imported(category);
            own.is_declared |= is_declared;
            own.is_seen |= !is_declared;
        }
        own
    }

    /// What was seen on pages is web usage; of what partners declare only they know.
    const fn sources(self) -> &'static str {
        if self.is_seen { "web_usage" } else { "" }
    }

    const fn methodology(self) -> &'static str {
        match (self.is_seen, self.is_declared) {
            (true, true) => "Observed/Known;Declared",
            (false, true) => "Declared",
            (true | false, false) => "Observed/Known",
        }
    }

    const fn lookback(self) -> &'static str {
        match self.days {
            0..=1 => "Daily",
            2..=7 => "Weekly",
            8..=31 => "Monthly",
            32..=62 => "Bi-Monthly",
            63.. => "Quarterly",
        }
    }
}

/// Where the visitors were seen, and the domain where that is one.
fn scope(definitions: &Definitions) -> (&'static str, String) {
    let mut hosts: BTreeMap<String, ()> = BTreeMap::new();
    let mut is_open = false;
    for origin in definitions.sites().flat_map(|site| &site.origins) {
        match origin {
            mayfly_core::Origin::Any => is_open = true,
            mayfly_core::Origin::Exact(origin) => {
                let host = origin.split("://").nth(1).unwrap_or_default();
                hosts.insert(host.split(':').next().unwrap_or_default().to_owned(), ());
            }
        }
    }
    match (is_open, hosts.len()) {
        (true, _) => ("Cross-domain outside O&O", String::new()),
        (false, 1) => ("Single domain/App", hosts.into_keys().next().unwrap_or_default()),
        (false, _) => ("Cross-domain within O&O", String::new()),
    }
}

/// What consent platforms the sites listen to; Global Privacy Control always.
fn mechanisms(definitions: &Definitions) -> String {
    let mut all = vec!["GPC"];
    for site in definitions.sites() {
        let own: &[&str] = match site.consent.policy {
            ConsentPolicy::None => &[],
            ConsentPolicy::Tcf => &["TCF"],
            ConsentPolicy::Gpp => &["GPP"],
            ConsentPolicy::Any => &["TCF", "GPP", "USPrivacy"],
        };
        all.extend(own);
    }
    all.sort_unstable();
    all.dedup();
    all.join(";")
}
