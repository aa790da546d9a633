//! Partners: whom their ids are known of.

use std::collections::{BTreeMap, HashMap};

use mayfly_core::consent::Ground;
use mayfly_core::{Partition, Partner, PartnerId, PartnerKind, Timestamp, Visitor};
use mayfly_segments::nearest;
use mayfly_store::Match;
use roaring::RoaringBitmap;
use serde_json::{Value, json};

use super::App;
use super::segments::rounded;
use crate::clock;
use crate::http::{ApiError, reading};

/// Matches read at a time.
const MATCHES_AT_ONCE: usize = 1 << 16;
/// Days within which a visitor was seen who counts as active.
const ACTIVE_DAYS: u16 = 30;

/// Visitors, and those of them whom a partner has an id of.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    of: u64,
    matched: u64,
}

impl App {
    /// The partners as they are defined.
    #[must_use]
    pub fn partners(&self) -> Value {
        let active = self.active();
        let rows: Vec<Value> = active.definitions().partners().map(shown).collect();
        json!({"partners": rows, "version": active.version()})
    }

    /// A partner and its match rate: of all visitors, or of the members of a segment or expression;
    /// held and active.
    ///
    /// # Errors
    /// [`ApiError::NoPartner`], [`ApiError::Problems`], [`ApiError::Busy`].
    pub async fn partner(
        &self,
        key: &str,
        segment: Option<&str>,
        exact: bool,
    ) -> Result<Value, ApiError> {
        let now = self.catch_up().await?;
        let partner = self.partner_named(key)?;
        let retention = self.settings.store.retention.days();
        let seen = |days: u16| format!("visited(\"*\", within {days}d)");
        let of = segment.map_or_else(|| seen(retention), str::to_owned);
        let of = self.members_of(&of, now, exact).await?;
        let active = self.members_of(&seen(ACTIVE_DAYS.min(retention)), now, exact).await?;
        // Not before: an expression that reads hits takes a turn of its own.
        let _turn = reading().await?;
        let (mut held, mut lately) = (Rate::default(), Rate::default());
        for (partition, own) in of {
            let matched = self.matched(partition, &partner, &own, now).await?;
            held.add(&own, &matched);
            if let Some(active) = active.get(&partition) {
                lately.add(&(own & active), &(matched & active));
            }
        }
        let mut shown = shown(&partner);
        shown["held"] = held.json(exact);
        shown["active"] = lately.json(exact);
        shown["active_days"] = json!(ACTIVE_DAYS.min(retention));
        shown["segment"] = json!(segment);
        shown["as_of"] = json!(clock::text(now));
        shown["exact"] = json!(exact);
        Ok(shown)
    }

    /// The partner with this key.
    ///
    /// # Errors
    /// [`ApiError::NoPartner`].
    pub(crate) fn partner_named(&self, key: &str) -> Result<Partner, ApiError> {
        let active = self.active();
        let definitions = active.definitions();
        definitions.partner(key).cloned().ok_or_else(|| {
            let nearest = nearest(key, definitions.partners().map(|own| &*own.key));
            ApiError::NoPartner { key: key.to_owned(), nearest }
        })
    }

    /// Whom a partner calls so, by our name for him or by its own id; that must still be his.
    pub(super) async fn of_partner(
        &self,
        key: &str,
        id: &str,
    ) -> Result<Option<Visitor>, ApiError> {
        let active = self.active();
        let partner = active.definitions().partners().find(|partner| partner.is_called(key));
        let Some(partner) = partner.map(|partner| partner.id) else { return Ok(None) };
        let found = self.of_partner_all(partner, &[id], Self::now()).await?;
        Ok(found.into_iter().next().flatten())
    }

    /// The same for many, in their order.
    pub(crate) async fn of_partner_all(
        &self,
        partner: PartnerId,
        ids: &[&str],
        now: Timestamp,
    ) -> Result<Vec<Option<Visitor>>, ApiError> {
        let collector = &self.collector;
        let ours = ids.iter().map(|id| collector.pseudonym_id(partner, id));
        let theirs = ids.iter().map(|id| collector.uid_id(partner, id));
        let asked: Option<Vec<_>> = ours.chain(theirs).collect();
        let found = self.store.lookup_ids(&asked.ok_or(ApiError::Starting)?).await?;
        let (ours, theirs) = found.split_at(ids.len().min(found.len()));
        let mut claimed: BTreeMap<Partition, RoaringBitmap> = BTreeMap::new();
        for Visitor { partition, ordinal } in theirs.iter().flatten() {
            claimed.entry(*partition).or_default().insert(*ordinal);
        }
        // Somebody may have been called so, and have another id now.
        let mut present: HashMap<Visitor, Match> = HashMap::new();
        for (partition, ordinals) in claimed {
            let matches = self.store.matches(partition, partner, &ordinals, now).await?;
            let of = |ordinal| Visitor { partition, ordinal };
            present.extend(matches.into_iter().map(|(ordinal, own)| (of(ordinal), own)));
        }
        let is_his =
            |visitor: &Visitor, id: &str| present.get(visitor).is_some_and(|own| *own.uid == *id);
        let both = ours.iter().zip(theirs).zip(ids);
        Ok(both.map(|((ours, theirs), id)| ours.or(theirs.filter(|own| is_his(own, id)))).collect())
    }

    /// A visitor's matches, as he may see them.
    pub(super) async fn matches_of(&self, visitor: Visitor) -> Result<Vec<Value>, ApiError> {
        let active = self.active();
        let partners: Vec<&Partner> = active.definitions().partners().collect();
        if partners.is_empty() || self.is_hidden(visitor) {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = partners.iter().map(|partner| partner.id).collect();
        let found = self.store.matches_of(visitor, &ids, Self::now()).await?;
        let row = |(partner, own): (&Partner, Option<Match>)| {
            let Match { uid, seen, .. } = own?;
            Some(json!({"partner": partner.key, "uid": uid, "seen": seen.to_string()}))
        };
        Ok(partners.into_iter().zip(found).filter_map(row).collect())
    }

    /// Those of some visitors of a partition whom the partner has an id of.
    async fn matched(
        &self,
        partition: Partition,
        partner: &Partner,
        of: &RoaringBitmap,
        now: Timestamp,
    ) -> Result<RoaringBitmap, ApiError> {
        let (mut matched, mut left) = (RoaringBitmap::new(), of.clone());
        while !left.is_empty() {
            let some: RoaringBitmap = left.iter().take(MATCHES_AT_ONCE).collect();
            let found = self.store.matches(partition, partner.id, &some, now).await?;
            matched.extend(found.into_iter().map(|(ordinal, _)| ordinal));
            left -= some;
        }
        Ok(matched)
    }
}

impl Rate {
    fn add(&mut self, of: &RoaringBitmap, matched: &RoaringBitmap) {
        self.of += of.len();
        self.matched += matched.len();
    }

    /// The counts and the share, percent to one decimal; rounded for the lesser roles.
    fn json(self, exact: bool) -> Value {
        let show = |n| if exact { Some(n) } else { rounded(n) };
        let (of, matched) = (show(self.of), show(self.matched));
        let permille = of.zip(matched).filter(|(of, _)| *of > 0).map(|(of, own)| own * 1000 / of);
        let percent = permille.map(|n| format!("{}.{}", n / 10, n % 10));
        json!({"visitors": of, "matched": matched, "percent": percent})
    }
}

fn shown(partner: &Partner) -> Value {
    let (ground, id) = match partner.receiver.ground {
        Ground::Vendor(id) => ("vendor", Some(u32::from(id))),
        Ground::Provider(id) => ("provider", Some(id)),
        Ground::Processor => ("processor", None),
    };
    let kind = match &partner.kind {
        PartnerKind::Plain => "plain",
        PartnerKind::Google { .. } => "google",
        PartnerKind::Xandr => "xandr",
    };
    json!({
        "id": partner.id.0,
        "key": partner.key,
        "bidder": partner.bidder(),
        "kind": kind,
        "ground": ground,
        "ground_id": id,
        "purposes": partner.receiver.purposes,
        "sync": partner.sync.as_ref().map(|url| url.text()),
        "hosts": partner.hosts,
        "sync_days": partner.sync_days,
    })
}
