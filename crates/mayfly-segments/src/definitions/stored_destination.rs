//! A destination in the catalog document.

use jiff::civil::Date;
use mayfly_core::{PartnerId, SegmentId};
use serde::{Deserialize, Serialize};

use super::{DefinitionsError, Period};
use crate::destination::{Destination, DestinationId, IdSpace, Mapped, Terms, Transfer, Way};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DestinationRow {
    id: DestinationId,
    name: Box<str>,
    partner: u32,
    ids: IdSpace,
    way: Way,
    mapping: Vec<MappedRow>,
    schedule: Box<str>,
    time_zone: Box<str>,
    country: Box<str>,
    transfer: Transfer,
    forbidden_labels: Vec<Box<str>>,
    minimum: u32,
    max_ttl_days: u16,
    batch: u32,
    per_minute: u32,
    idempotent: bool,
    secrets: Vec<(Box<str>, Box<str>)>,
    paused: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    terms: Option<Terms>,
    was: Vec<Box<str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MappedRow {
    segment: u32,
    code: Box<str>,
    starts: Option<Date>,
    ends: Option<Date>,
}

impl From<&Destination> for DestinationRow {
    fn from(own: &Destination) -> Self {
        let own = own.clone();
        let mapped = |Mapped { segment, code, period }| {
            let Period { starts, ends, .. } = period;
            MappedRow { segment: segment.0, code, starts, ends }
        };
        Self {
            id: own.id,
            name: own.name,
            partner: own.partner.0,
            ids: own.ids,
            way: own.way,
            mapping: own.mapping.into_iter().map(mapped).collect(),
            schedule: own.schedule.to_string().into(),
            time_zone: own.time_zone,
            country: own.country,
            transfer: own.transfer,
            forbidden_labels: own.forbidden_labels,
            minimum: own.minimum,
            max_ttl_days: own.max_ttl_days,
            batch: own.batch,
            per_minute: own.per_minute,
            idempotent: own.idempotent,
            secrets: own.secrets,
            paused: own.paused,
            terms: own.terms,
            was: own.was,
        }
    }
}

impl TryFrom<DestinationRow> for Destination {
    type Error = DefinitionsError;

    fn try_from(row: DestinationRow) -> Result<Self, DefinitionsError> {
        let schedule = row.schedule.parse();
        let schedule =
            schedule.map_err(|_| DefinitionsError::Schedule { destination: row.name.clone() })?;
        let mapped = |MappedRow { segment, code, starts, ends }| {
            let period = Period { starts, ends, time_zone: row.time_zone.clone() };
            Mapped { segment: SegmentId(segment), code, period }
        };
        let mapping = row.mapping.into_iter().map(mapped).collect();
        Ok(Self {
            id: row.id,
            name: row.name,
            partner: PartnerId(row.partner),
            ids: row.ids,
            way: row.way,
            mapping,
            schedule,
            time_zone: row.time_zone,
            country: row.country,
            transfer: row.transfer,
            forbidden_labels: row.forbidden_labels,
            minimum: row.minimum,
            max_ttl_days: row.max_ttl_days,
            batch: row.batch,
            per_minute: row.per_minute,
            idempotent: row.idempotent,
            secrets: row.secrets,
            paused: row.paused,
            terms: row.terms,
            was: row.was,
        })
    }
}
