//! Standard taxonomies put into the tree, their mapping tables, and what of it is sensitive.

use mayfly_core::CategoryId;
use mayfly_segments::{Applied, Definitions, How, Mapping, Taxonomy, is_standard};
use serde_json::{Value, json};

use super::App;
use crate::http::ApiError;

/// Refuses what is no standard's name.
fn known(standard: &str) -> Result<(), ApiError> {
    if is_standard(standard) {
        return Ok(());
    }
    Err(ApiError::NoStandard { name: standard.to_owned() })
}

impl App {
    /// Puts a standard taxonomy into the tree, below `under` (empty = at the top).
    ///
    /// # Errors
    /// [`ApiError::Problems`]; the store's conflict when another was faster.
    pub async fn load_taxonomy(
        &self,
        text: &str,
        standard: &str,
        under: &str,
        by: &str,
    ) -> Result<Value, ApiError> {
        known(standard)?;
        let taxonomy = Taxonomy::parse(text, standard)?;
        let (active, retention) = (self.active(), self.settings.store.retention);
        let applied = active.definitions().load(&taxonomy, under, retention);
        let applied = applied.map_err(ApiError::Problems)?;
        self.change_taxonomy(&applied, &format!("taxonomy {standard}"), by).await?;
        let added = applied.changes.iter().filter(|change| change.how == How::Added).count();
        Ok(json!({
            "standard": standard,
            "added": added,
            "changed": applied.changes.len() - added,
            "sensitive": taxonomy.sensitive,
            "version": self.active().version(),
        }))
    }

    /// Gives categories with an id of one standard that of another, by a mapping table.
    ///
    /// # Errors
    /// As [`App::load_taxonomy`].
    pub async fn map_taxonomy(
        &self,
        text: &str,
        [from, to]: [&str; 2],
        by: &str,
    ) -> Result<Value, ApiError> {
        known(from)?;
        known(to)?;
        let mapping = Mapping::parse(text, from, to)?;
        let (active, retention) = (self.active(), self.settings.store.retention);
        let applied = active.definitions().map(&mapping, retention);
        let applied = applied.map_err(ApiError::Problems)?;
        self.change_taxonomy(&applied, &format!("mapping {from} to {to}"), by).await?;
        let (changed, version) = (applied.changes.len(), self.active().version());
        Ok(json!({"from": from, "to": to, "changed": changed, "version": version}))
    }

    /// Lets hits fall in a sensitive category, on a basis that is kept with it; without one, no
    /// longer.
    ///
    /// # Errors
    /// [`ApiError::NoCategory`], [`ApiError::NotSensitive`]; as [`App::load_taxonomy`].
    pub async fn enable_category(
        &self,
        id: u32,
        basis: Option<&str>,
        by: &str,
    ) -> Result<Value, ApiError> {
        self.refresh_catalog().await?;
        let active = self.active();
        if active.definitions().category(CategoryId(id)).is_none() {
            return Err(ApiError::NoCategory { id });
        }
        if !active.definitions().guards(CategoryId(id)) {
            return Err(ApiError::NotSensitive { id });
        }
        let retention = self.settings.store.retention;
        let applied = active.definitions().enable(CategoryId(id), basis, retention);
        let applied = applied.map_err(ApiError::Problems)?;
        let why = basis.unwrap_or("sensitive again");
        self.change_taxonomy(&applied, why, by).await?;
        let now = self.active();
        let own = now.definitions().category(CategoryId(id)).ok_or(ApiError::NoCategory { id })?;
        Ok(super::categories::category(now.definitions(), own))
    }

    async fn change_taxonomy(
        &self,
        applied: &Applied,
        why: &str,
        by: &str,
    ) -> Result<(), ApiError> {
        if applied.changes.is_empty() {
            return Ok(());
        }
        let next: Definitions = applied.definitions.clone().because(why);
        self.put_in_force(&next, by).await
    }
}
