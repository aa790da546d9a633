//! What programs read: the answer to Global Privacy Control, the device storage disclosure.

use serde_json::{Value, json};

use super::{CookieNames, OPTOUT_SECONDS, PROBE_SECONDS};

/// Purpose 1 of the TCF: store and read information on a device.
const STORAGE: u8 = 1;

/// A host of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Domain<'a> {
    /// Its name, e.g. `px.example`.
    pub domain: &'a str,
    /// What it is used for, e.g. `collection pixel`.
    pub usage: &'a str,
}

/// `/.well-known/gpc.json`: Global Privacy Control is honoured. `last_update` is `YYYY-MM-DD`.
#[must_use]
pub(crate) fn gpc_json(last_update: &str) -> Value {
    json!({"gpc": true, "lastUpdate": last_update})
}

/// `/device-storage.json`: our cookies, for the vendor list of the TCF. `purposes` are those of
/// the visitor's id and of the domains.
#[must_use]
pub(crate) fn device_storage_json(
    cookies: &CookieNames<'_>,
    retention_days: u16,
    purposes: &[u8],
    domains: &[Domain<'_>],
) -> Value {
    let hosts: Vec<&str> = domains.iter().map(|domain| domain.domain).collect();
    let storage: Vec<u8> = purposes.iter().copied().filter(|p| *p == STORAGE).collect();
    let cookie = |name: &str, seconds: u64, refresh: bool, purposes: &[u8]| {
        json!({
            "identifier": name,
            "type": "cookie",
            "maxAgeSeconds": seconds,
            "cookieRefresh": refresh,
            "domains": hosts,
            "purposes": purposes,
            "specialPurposes": [],
        })
    };
    let mut optout = cookie(cookies.optout, OPTOUT_SECONDS, false, &[]);
    optout["optOut"] = json!(true);
    let uses: Vec<Value> = domains
        .iter()
        .map(|own| json!({"domain": own.domain, "purposes": purposes, "use": own.usage}))
        .collect();
    json!({
        "disclosures": [
            cookie(cookies.id, u64::from(retention_days) * 86_400, true, purposes),
            cookie(cookies.probe, PROBE_SECONDS, false, &storage),
            optout,
        ],
        "domains": uses,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpc_is_honoured() {
        assert_eq!(gpc_json("2026-05-04"), json!({"gpc": true, "lastUpdate": "2026-05-04"}));
    }

    #[test]
    fn storage_is_disclosed_to_the_letter() {
        let cookies = CookieNames { id: "mf_id", probe: "mf_probe", optout: "mf_optout" };
        let domains = [Domain { domain: "px.example", usage: "collection pixel" }];
        let disclosed = device_storage_json(&cookies, 90, &[1, 3, 9], &domains);
        let wanted = json!({
            "disclosures": [
                {"identifier": "mf_id", "type": "cookie", "maxAgeSeconds": 7_776_000,
                 "cookieRefresh": true, "domains": ["px.example"], "purposes": [1, 3, 9],
                 "specialPurposes": []},
                {"identifier": "mf_probe", "type": "cookie", "maxAgeSeconds": 600,
                 "cookieRefresh": false, "domains": ["px.example"], "purposes": [1],
                 "specialPurposes": []},
                {"identifier": "mf_optout", "type": "cookie", "maxAgeSeconds": 34_560_000,
                 "cookieRefresh": false, "domains": ["px.example"], "purposes": [],
                 "specialPurposes": [], "optOut": true},
            ],
            "domains": [{"domain": "px.example", "purposes": [1, 3, 9], "use": "collection pixel"}],
        });
        assert_eq!(disclosed, wanted);
        let longest = device_storage_json(&cookies, u16::MAX, &[], &[]);
        assert_eq!(longest["disclosures"][0]["maxAgeSeconds"], 65_535_u64 * 86_400);
    }
}
