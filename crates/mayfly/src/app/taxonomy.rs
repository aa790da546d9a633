//! Standard taxonomies put into the tree, their mapping tables, and what of it is sensitive.

use mayfly_core::CategoryId;
use mayfly_segments::{Change, How, Mapping, Taxonomy, is_standard};
use serde_json::{Value, json};

use super::App;
use super::definitions::Author;
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
    /// [`ApiError::Problems`]; [`ApiError::Drop`], since what becomes sensitive leaves segments;
    /// the store's conflict when another was faster.
    pub async fn load_taxonomy(
        &self,
        text: &str,
        standard: &str,
        under: &str,
        author: Author<'_>,
    ) -> Result<Value, ApiError> {
        known(standard)?;
        let taxonomy = Taxonomy::parse(text, standard)?;
        self.refresh_catalog().await?;
        let (active, retention) = (self.active(), self.settings.store.retention);
        let applied = active.definitions().load(&taxonomy, under, retention);
        let applied = applied.map_err(ApiError::Problems)?;
        let (all, how) = (applied.changes.len(), |change: &&Change| change.how == How::Added);
        let added = applied.changes.iter().filter(how).count();
        let why = format!("taxonomy {standard}");
        self.change(applied, &Author { why: &why, ..author }).await?;
        Ok(json!({
            "standard": standard,
            "added": added,
            "changed": all - added,
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
        author: Author<'_>,
    ) -> Result<Value, ApiError> {
        known(from)?;
        known(to)?;
        let mapping = Mapping::parse(text, from, to)?;
        self.refresh_catalog().await?;
        let (active, retention) = (self.active(), self.settings.store.retention);
        let applied = active.definitions().map(&mapping, retention);
        let applied = applied.map_err(ApiError::Problems)?;
        let (changed, why) = (applied.changes.len(), format!("mapping {from} to {to}"));
        self.change(applied, &Author { why: &why, ..author }).await?;
        let version = self.active().version();
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
        if !applied.changes.is_empty() {
            let next = applied.definitions.because(basis.unwrap_or("sensitive again"));
            self.put_in_force(&next, by).await?;
        }
        let now = self.active();
        let own = now.definitions().category(CategoryId(id)).ok_or(ApiError::NoCategory { id })?;
        Ok(super::categories::category(now.definitions(), own))
    }
}
