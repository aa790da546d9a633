//! Categories and segments as they are defined, page by page.

use mayfly_core::{CategoryId, SegmentId};
use mayfly_segments::{Category, Definitions, OnPage, Segment, Sensitivity};
use serde_json::{Value, json};

use super::App;
use crate::http::ApiError;

impl App {
    /// Categories by number, those after `after`, at most `limit`; and the number to go on after.
    #[must_use]
    pub fn categories(&self, after: u32, limit: usize) -> Value {
        let active = self.active();
        let definitions = active.definitions();
        let later = definitions.categories().filter(|category| category.id.0 > after);
        let (rows, next) = page(later, limit, |category| category.id.0);
        let rows: Vec<Value> = rows.into_iter().map(|c| category(definitions, c)).collect();
        json!({"categories": rows, "next": next, "version": definitions.version()})
    }

    /// One category, and who had hits in it in the last `days` days.
    ///
    /// # Errors
    /// [`ApiError::NoCategory`], [`ApiError::Busy`].
    pub async fn category(&self, id: u32, days: u16, exact: bool) -> Result<Value, ApiError> {
        let active = self.active();
        let definitions = active.definitions();
        let Some(own) = definitions.category(CategoryId(id)) else {
            return Err(ApiError::NoCategory { id });
        };
        // Nothing falls in a sensitive one, and nothing may ask for it.
        let mut shown = match definitions.is_sensitive(own.id) {
            true => self.nobody(exact).await?,
            false => {
                let path = definitions.path(own.id);
                self.count(&format!("visited(\"{path}\", within {days}d)"), exact).await?
            }
        };
        let more = category(definitions, own);
        for (key, value) in more.as_object().into_iter().flatten() {
            shown[key] = value.clone();
        }
        shown["days"] = json!(days);
        Ok(shown)
    }
}

/// The first `limit` items, and the number of the last one when more follow.
pub(super) fn page<T>(
    items: impl Iterator<Item = T>,
    limit: usize,
    number: impl Fn(&T) -> u32,
) -> (Vec<T>, Option<u32>) {
    let mut rows: Vec<T> = items.take(limit.saturating_add(1)).collect();
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(number);
    (rows, next)
}

pub(super) fn category(definitions: &Definitions, own: &Category) -> Value {
    let keys = |sites: &[mayfly_core::SiteId]| -> Vec<&str> {
        sites.iter().filter_map(|id| definitions.site_key(*id)).collect()
    };
    let rules: Vec<Value> = own
        .rules
        .iter()
        .map(|text| json!({"rule": text.rule, "sites": keys(&text.sites)}))
        .collect();
    let basis = match &own.sensitivity {
        Sensitivity::Plain | Sensitivity::Sensitive => None,
        Sensitivity::Enabled { basis } => Some(basis),
    };
    json!({
        "id": own.id.0,
        "path": definitions.path(own.id),
        "parent": Some(own.parent).filter(|id| *id != CategoryId::ALL).map(|id| id.0),
        "iab": own.iab,
        "rules": rules,
        "except": own.except,
        "implies": own.implies.iter().map(|id| definitions.path(*id)).collect::<Vec<_>>(),
        "retired": own.retired.map(|day| day.to_string()),
        "sensitive": definitions.is_sensitive(own.id),
        "basis": basis,
        "was": own.was,
    })
}

/// What a segment says, besides its size.
pub(super) fn segment(definitions: &Definitions, own: &Segment) -> Value {
    let on_page = match &own.on_page {
        OnPage::Nowhere => json!(false),
        OnPage::Everywhere => json!(true),
        OnPage::Sites(sites) => sites.iter().filter_map(|id| definitions.site_key(*id)).collect(),
    };
    let SegmentId(id) = own.id;
    json!({
        "id": id,
        "name": own.name,
        "rule": own.rule,
        "on_page": on_page,
        "paused": own.paused,
        "notes": own.notes,
        "owner": own.owner,
        "labels": own.labels,
        "iab": own.iab,
        "starts": own.period.starts.map(|day| day.to_string()),
        "ends": own.period.ends.map(|day| day.to_string()),
        "time_zone": own.period.time_zone,
    })
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn a_page_says_where_the_next_one_begins() {
        assert_eq!(page([3, 5, 8].into_iter(), 2, |n| *n), (vec![3, 5], Some(5)));
        assert_eq!(page([3, 5, 8].into_iter(), 3, |n| *n), (vec![3, 5, 8], None));
        assert_eq!(page(std::iter::empty(), 3, |n: &u32| *n), (vec![], None));
    }
}
