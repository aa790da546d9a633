//! Partners' audiences come in.
//!
//! A file arrives whole before anything of it counts. Its ids are looked up, its codes are the
//! partner's categories (`[category.import]`); what it says becomes hits of those categories, on
//! the day on which it is said. So they are evaluated, explained, erased and forgotten as all hits
//! are. Who leaves gets a hit that takes back, on each day on which he was in: cells stay a
//! function of the hits of their own day.
//!
//! The same file twice on one day changes nothing; on another day it says that all of it still
//! holds.

mod changes;
mod reading;
mod receipt;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mayfly_core::{Partner, Timestamp};
use mayfly_export::{ImportFormat, clear_spool};
use mayfly_segments::DestinationId;
use mayfly_store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

pub(crate) use receipt::{Counts, Receipt};

use crate::app::App;
use crate::clock;
use crate::delivery::ledger;
use crate::http::ApiError;
use crate::http::imports::SPOOL;

/// The ledger of a partner's imports stands beside those of destinations, whose numbers are below.
const LEDGER: u32 = 1 << 31;
/// The row that says how many there were.
const LAST: u64 = mayfly_store::delivered::LEDGER_FIRST - 1;
/// The name of what comes by calls instead of files.
pub(crate) const CALLS: &str = "calls";
/// Between looks for licences that are over.
const LOOK: Duration = Duration::from_secs(2);
/// Receipts listed.
const RECEIPTS: usize = 20;

/// What a file does to those whom it does not name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "kebab-case")]
pub(crate) enum ImportMode {
    /// Nothing.
    #[default]
    Add,
    /// Each audience in the file holds whom the file names, and nobody else.
    Overwrite,
    /// Each visitor in the file is in the audiences that the file names for him, and in no other of
    /// this partner: Adobe's `.overwrite`.
    #[serde(alias = "overwrite-users")]
    OverwriteUsers,
}

impl ImportMode {
    /// What a file's name says: Adobe's `.overwrite`.
    pub(crate) fn of(name: &str, format: ImportFormat) -> Self {
        let overwrites = format == ImportFormat::Adobe && name.contains(".overwrite");
        if overwrites { Self::OverwriteUsers } else { Self::Add }
    }
}

/// What is to be done with a file.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    /// The partner's key.
    pub(crate) partner: String,
    /// What the sender calls the file.
    pub(crate) name: String,
    /// Where it lies.
    pub(crate) file: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    pub(crate) format: ImportFormat,
    pub(crate) mode: ImportMode,
    /// The audience of lines that name none.
    pub(crate) code: Option<String>,
    /// The space of the ids; none = the partner's own, or our names for it.
    pub(crate) ids: Option<String>,
    /// Also where an audience loses most of its members.
    pub(crate) allow_drop: bool,
    /// The token's name.
    pub(crate) by: String,
}

impl App {
    /// Takes a partner's audiences in.
    ///
    /// # Errors
    /// [`ApiError::NoPartner`], [`ApiError::NothingImported`], [`ApiError::NoAudience`],
    /// [`ApiError::Import`], [`ApiError::Drop`], [`ApiError::Busy`]; what was stored before stands,
    /// and the same file again stores the rest.
    pub(crate) async fn import(&self, asked: Import) -> Result<Receipt, ApiError> {
        let partner = self.partner_named(&asked.partner)?;
        let began = clock::now();
        let (named, mut receipt) = self.read_import(&asked, &partner, began).await?;
        let lines = receipt.counts.bad;
        if asked.mode != ImportMode::Add && lines > 0 && !asked.allow_drop {
            // Whom they name would be taken out.
            let first = receipt.bad_lines.first().map_or(0, |(line, _)| *line);
            return Err(ApiError::BadLines { lines, first });
        }
        // One after the other: what a file changes hangs on what those before it did.
        let turn = self.importing().await;
        if self.spills() {
            // What waits there was said before, and is not seen yet.
            return Err(ApiError::Busy);
        }
        let now = self.catch_up().await?;
        let changes = self.import_changes(&asked, &partner, &named, now).await?;
        changes.refuse_drop(&asked)?;
        self.store_import(&changes, &mut receipt, now).await?;
        self.catch_up().await?;
        receipt.ended_ms = clock::now().millis();
        let id = DestinationId(LEDGER | partner.id.0);
        let store = self.store();
        let last: Option<u64> = ledger::read(store, id, LAST).await?;
        receipt.number = last.map_or(mayfly_store::delivered::LEDGER_FIRST, |last| last + 1);
        // What stands in place of codes may be anything: ids, too.
        let mut kept = Receipt { unknown_codes: Default::default(), ..receipt.clone() };
        if let Some(last) = last.filter(|_| receipt.name == CALLS) {
            let before: Option<Receipt> = ledger::read(store, id, last).await?;
            // Calls are many: those that follow one another on a day have one receipt.
            if let Some(before) = before.filter(|own| own.is_followed_by(&kept)) {
                kept.follow(before);
                receipt.number = kept.number;
            }
        }
        ledger::write(store, id, receipt.number, &kept).await?;
        ledger::write(store, id, LAST, &receipt.number).await?;
        drop(turn);
        self.metrics().count_import(&receipt.counts);
        tracing::info!(
            partner = receipt.partner,
            file = receipt.name,
            stored = receipt.counts.stored,
            removed = receipt.counts.removed,
            "audiences were imported"
        );
        Ok(receipt)
    }

    /// The codes of the audiences that a partner fills.
    ///
    /// # Errors
    /// [`ApiError::NoPartner`], [`ApiError::NothingImported`].
    pub(crate) fn audience_codes(&self, key: &str) -> Result<HashSet<String>, ApiError> {
        let partner = self.partner_named(key)?;
        let active = self.active();
        let own = active.definitions().imports_of(partner.id);
        let codes: HashSet<String> = own.map(|(_, import)| import.code.to_string()).collect();
        if codes.is_empty() {
            return Err(ApiError::NothingImported { partner: key.to_owned() });
        }
        Ok(codes)
    }

    /// The newest receipts of a partner, the newest first, and its audiences.
    ///
    /// # Errors
    /// [`ApiError::NoPartner`].
    pub(crate) async fn imports(&self, key: &str, is_exact: bool) -> Result<Value, ApiError> {
        let partner = self.partner_named(key)?;
        let id = DestinationId(LEDGER | partner.id.0);
        let rows = self.store().ledger(id.0, u64::MAX, RECEIPTS).await?;
        let rows = rows.into_iter().filter(|row| row.number > LAST);
        let read = |row: mayfly_store::LedgerRow| {
            serde_json::from_slice::<Receipt>(&row.bytes)
                .map_err(|_| StoreError::Corrupt { what: mayfly_store::Corruption::Record })
        };
        let receipts = rows.map(read).collect::<Result<Vec<_>, _>>()?;
        let active = self.active();
        let definitions = active.definitions();
        let audiences = definitions.imports_of(partner.id).map(|(category, own)| {
            json!({
                "category": definitions.path(category.id),
                "code": own.code,
                "basis": own.basis,
                "ends": own.ends.map(|day| day.to_string()),
                "price_cpm": own.price.as_ref().map(ToString::to_string),
            })
        });
        Ok(json!({
            "partner": partner.key,
            "audiences": audiences.collect::<Vec<_>>(),
            "imports": receipts.iter().map(|own| own.shown(is_exact)).collect::<Vec<_>>(),
        }))
    }

    /// Takes everyone out of the audiences whose licence is over: once a day.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn end_licences(&self) -> Result<(), ApiError> {
        let now = self.catch_up().await?;
        let active = self.active();
        let is_over = |import: &mayfly_segments::definitions::Import| changes::is_over(import, now);
        let all: Vec<Partner> = active.definitions().partners().cloned().collect();
        for partner in all {
            let mut own = active.definitions().imports_of(partner.id);
            if !own.any(|(_, import)| is_over(import)) {
                continue;
            }
            let turn = self.importing().await;
            let changes = self.ended(&partner, now).await?;
            let mut receipt = Receipt::default();
            self.store_import(&changes, &mut receipt, now).await?;
            drop(turn);
            if receipt.counts.removed > 0 {
                let removed = receipt.counts.removed;
                tracing::info!(partner = %partner.key, removed, "a licence is over");
            }
        }
        Ok(())
    }
}

/// Takes out, day by day, whose licence is over, and what was left of files that did not arrive.
pub(crate) async fn run(app: Arc<App>, mut stopping: watch::Receiver<bool>) {
    if let Err(error) = clear_spool(&app.settings().data.join(SPOOL)) {
        tracing::warn!(%error, "files that did not arrive whole stay");
    }
    let mut done_on = None;
    while tokio::time::timeout(LOOK, stopping.wait_for(|stop| *stop)).await.is_err() {
        // Other definitions may end others.
        let today = (clock::now().day(), app.active().version());
        if done_on == Some(today) || app.leads().is_none() {
            continue;
        }
        match app.end_licences().await {
            Ok(()) => done_on = Some(today),
            Err(error) => tracing::warn!(%error, "licences that are over are tried again"),
        }
    }
}

/// The day of an instant.
fn day(now: Timestamp) -> mayfly_core::Day {
    now.day().unwrap_or_default()
}
