//! Destinations: read, numbered, mapped, exported, stored; what is wrong with them is told.

use mayfly_core::{PartnerId, Retention};

use super::*;
use crate::destination::way::{FeedLayout, Packing};
use crate::destination::{IdSpace, Schedule, Transfer, Way};
use crate::problem::Problem;

fn try_apply(old: &Definitions, text: &str, prune: bool) -> Result<Applied, Vec<Problem>> {
    let file = DefinitionsFile::parse(&format!("format = 1\n{text}"))?;
    old.apply(&file, prune, Retention::default())
}

const BEFORE: &str = r#"
[[segment]]
name = "fans"
rule = 'visited("*", within 7d)'
[[segment]]
name = "buyers"
rule = 'visited("*", within 30d) >= 3'
[[partner]]
key = "acme"
vendor_id = 7
"#;

const DESTINATIONS: &str = r#"
[[destination]]
name = "acme-files"
partner = "acme"
ids = "ours"
country = "NL"
transfer = "within"
schedule = "daily 03:30"
time_zone = "Europe/Amsterdam"
minimum = 5
max_ttl_days = 30
forbidden_labels = ["internal"]
segments = [
  { segment = "fans", code = "11", starts = 2026-12-01, ends = 2026-12-31 },
  { segment = "buyers" },
]
[destination.files]
folder = "acme"
format = "parquet"
packing = "gzip"
keep_days = 3

[[destination]]
name = "acme-bucket"
partner = "acme"
country = "NL"
transfer = "within"
secrets = { key_id = "acme_id", key = "acme_key" }
segments = [{ segment = "fans" }]
[destination.files]
folder = "bucket"
[destination.files.upload.s3]
bucket = "acme-in"
endpoint = "https://s3.acme.example"
prefix = "a/b"

[[destination]]
name = "acme-sftp"
partner = "acme"
country = "NL"
transfer = "within"
secrets = { private_key = "acme_ssh" }
segments = [{ segment = "fans" }]
[destination.terms]
contract = "agreement of 2026-11-01"
ends = 2027-10-31
price = "0.50 USD"
[destination.files]
folder = "sftp"
[destination.files.upload.sftp]
host = "sftp.acme.example"
user = "mayfly"
host_key = "ssh-ed25519 AAAA"

[[destination]]
name = "acme-xandr"
partner = "acme"
country = "US"
transfer = "clauses"
secrets = { password = "xandr_password" }
segments = [{ segment = "fans", code = "4401" }]
[destination.xandr]
member = 958
user = "mayfly"
layout = { fields = ["segment", "member", "expiration"], member = 958 }

[[destination]]
name = "acme-ttd"
partner = "acme"
country = "US"
transfer = "adequacy"
secrets = { token = "ttd", signing = "ttd_signing" }
[destination.trade_desk]
host = "https://use-data.adsrvr.org"
party = { advertiser = "a1" }

[[destination]]
name = "acme-google"
partner = "acme"
country = "US"
transfer = "adequacy"
segments = [{ segment = "fans", code = "123456789012" }]
[destination.google]
network = "acme_dmp"

[[destination]]
name = "acme-adobe"
partner = "acme"
country = "US"
transfer = "consent"
paused = true
[destination.adobe]
url = "https://acme.example/adobe"
data_source = "1"
client = "2"
destination = "3"

[[destination]]
name = "acme-http"
partner = "acme"
country = "US"
transfer = "corporate_rules"
schedule = "every 5s"
batch = 50
per_minute = 10
idempotent = false
secrets = { token = "acme_token" }
[destination.request]
method = "PATCH"
url = "https://acme.example/{{ segment }}"
add = '{"add": {{ items }}}'
remove = "{\"remove\": {{ items }}}\n"
headers = { Authorization = "Bearer {{ secret.token }}" }
answer = { statuses = [200], failed = "/errors", ok = { at = "/status", is = "OK" } }
"#;

fn all() -> Definitions {
    let text = format!("{BEFORE}{DESTINATIONS}");
    try_apply(&Definitions::default(), &text, false).unwrap().definitions
}

#[test]
fn destinations_are_kept_as_they_were_written() {
    let all = all();
    let files = all.destination("acme-files").unwrap();
    assert_eq!((files.partner, files.ids, files.minimum), (PartnerId(1), IdSpace::Ours, 5));
    assert_eq!(files.schedule, Schedule::Daily { minute: 210 });
    assert_eq!((&*files.country, files.transfer), ("NL", Transfer::Within));
    let codes: Vec<_> = files.mapping.iter().map(|own| (own.segment.0, &*own.code)).collect();
    assert_eq!(codes, [(1, "11"), (2, "buyers")]);
    assert_eq!(files.mapping[0].period.time_zone.as_ref(), "Europe/Amsterdam");
    let Way::Files(own) = &files.way else { panic!("{:?}", files.way) };
    assert_eq!((&own.format, own.packing, own.keep_days), (&FeedLayout::Parquet, Packing::Gzip, 3));
    let http = all.destination("acme-http").unwrap();
    assert_eq!((http.batch, http.per_minute, http.idempotent), (50, 10, false));
    assert_eq!(http.secret("token"), Some("acme_token"));
    let google = all.destination("acme-google").unwrap();
    assert_eq!((google.batch, google.schedule), (500, Schedule::Every { seconds: 20 }));

    let exported = all.export();
    let again = try_apply(&all, exported.trim_start_matches("format = 1\n"), true).unwrap();
    assert!(again.changes.is_empty(), "{:?}\n{exported}", again.changes);
    let anew =
        try_apply(&Definitions::default(), exported.trim_start_matches("format = 1\n"), false);
    assert_eq!(anew.unwrap().definitions.export(), exported);
    assert_eq!(Definitions::from_bytes(&all.to_bytes().unwrap()).unwrap(), all);
}

#[test]
fn names_change_and_numbers_stay() {
    let all = all();
    let renamed = r#"
[[destination]]
name = "acme-a"
was = ["acme-adobe"]
partner = "acme"
country = "US"
transfer = "consent"
"#;
    let renamed = &format!("{renamed}{ADOBE}");
    let next = try_apply(&all, renamed, false).unwrap();
    let ids = |all: &Definitions, name| all.destination(name).unwrap().id;
    assert_eq!(ids(&next.definitions, "acme-a"), ids(&all, "acme-adobe"));
    let texts: Vec<String> = next.changes.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["~ destination acme-a (was acme-adobe)"]);
    let fewer = try_apply(&next.definitions, &format!("{BEFORE}{renamed}"), true).unwrap();
    assert_eq!(fewer.definitions.destinations().count(), 1);
    // A number is not given twice, whatever came between.
    let back = fewer.definitions.revert(&Definitions::default(), Retention::default()).unwrap();
    let anew = try_apply(&back.definitions, &format!("{BEFORE}{renamed}"), false).unwrap();
    assert_eq!(ids(&anew.definitions, "acme-a").0, 9);
    assert_eq!(anew.definitions.partner("acme").unwrap().id, PartnerId(2));
    // A segment that goes is no longer mapped.
    let gone = BEFORE.replace("[[segment]]\nname = \"buyers\"", "[[segment]]\nname = \"others\"");
    let kept = try_apply(
        &all,
        &format!("{gone}{}", DESTINATIONS.replace("  { segment = \"buyers\" },\n", "")),
        true,
    );
    let kept = kept.unwrap().definitions;
    assert_eq!(kept.destination("acme-files").unwrap().mapping.len(), 1);
}

#[test]
fn what_is_wrong_with_a_destination_is_told() {
    let told = |from: &str, to: &str| {
        assert!(DESTINATIONS.contains(from), "{from}");
        let text = format!("{BEFORE}{}", DESTINATIONS.replacen(from, to, 1));
        let problems = try_apply(&Definitions::default(), &text, false).unwrap_err();
        problems[0].message()
    };
    for (from, to, expected) in [
        ("\"fans\", code = \"11\"", "\"fan\", code = \"11\"", "there is no segment \"fan\""),
        ("partner = \"acme\"\nids", "partner = \"acne\"\nids", "there is no partner \"acne\""),
        ("country = \"NL\"\n", "", "[[destination]] needs `country`"),
        ("\"NL\"", "\"nl\"", "\"nl\" is no country: two capital letters, as in ISO 3166-1"),
        ("\"within\"", "\"somehow\"", "\"somehow\" is none of within, none, adequacy, "),
        ("country = \"NL\"", "country = \"US\"", "US is not in the European Economic Area: "),
        ("daily 03:30", "daily 3:30", "write \"on change\", \"every 15m\" (s, m, h), "),
        ("2026-12-31", "2026-11-30", "the last day is before the first"),
        ("folder = \"acme\"", "folder = \"../etc\"", "\"../etc\" is no name of a folder"),
        ("signing = ", "singing = ", "no secret is used for `singing` here"),
        (", key = \"acme_key\"", "", "nothing can be sent without the secret `key`"),
        ("{ key_id = ", "{ id = \"x\", key_id = ", "no secret is used for `id` here"),
        ("\"acme-in\"", "\"a/b\"", "\"a/b\" is no name of a host, bucket"),
        ("ssh-ed25519 AAAA", "ssh-rsa AAAA", "\"ssh-rsa AAAA\" is no name of a host, bucket"),
        ("0.50 USD", "cheap", "\"cheap\" is no price"),
        ("contract = ", "contact = ", "[[destination.terms]] needs `contract`"),
        (
            "https://acme.example/{{",
            "ftp://acme.example/{{",
            "\"ftp://acme.example/{{ segment }}\" is",
        ),
        ("https://s3", "ftp://s3", "\"ftp://s3.acme.example\" is no URL that can be asked"),
        ("host_key = \"ssh-ed25519 AAAA\"\n", "", "missing field `host_key`"),
        ("\"xandr_password\"", "\"/etc/shadow\"", "\"/etc/shadow\" is no name of a secret"),
        ("secrets = { password = \"xandr_password\" }\n", "", "nothing can be sent without the se"),
        (", \"expiration\"]", "]", "without the field \"expiration\" nobody could leave"),
        ("code = \"4401\"", "code = \"44;01\"", "\"44;01\" cannot be a code here: letters and"),
        ("123456789012", "fans", "\"fans\" cannot be a code here: a user list is a number"),
        ("https://use-data", "ftp://use-data", "\"ftp://use-data.adsrvr.org\" is no URL that can"),
        ("member = 958\nuser", "membr = 958\nuser", "unknown field `membr`"),
        ("[destination.google]\nnetwork = \"acme_dmp\"\n", "", "a destination needs one of [dest"),
        ("[destination.google]", "[destination.adobe]\n[destination.google]", "a destination has "),
    ] {
        let message = told(from, to);
        assert!(message.starts_with(expected), "{message}");
    }
    let same =
        format!("{BEFORE}{DESTINATIONS}{}", DESTINATIONS.replace("name = \"acme-", "name = \"b-"));
    let same = try_apply(&Definitions::default(), &same, false).unwrap_err();
    assert_eq!(same[0].message(), "destination \"acme-files\" has this folder already");
}

#[test]
fn a_destination_stays_the_one_that_it_was() {
    let told = |from: &str, to: &str| {
        assert!(DESTINATIONS.contains(from), "{from}");
        let other = "[[partner]]\nkey = \"other\"\nvendor_id = 8\n";
        let text = format!("{BEFORE}{other}{}", DESTINATIONS.replacen(from, to, 1));
        try_apply(&all(), &text, false).map_err(|problems| problems[0].message())
    };
    for (from, to, what) in [
        ("partner = \"acme\"\nids", "partner = \"other\"\nids", "partner"),
        ("ids = \"ours\"", "ids = \"partner\"", "ids"),
        ("[destination.google]\nnetwork = \"acme_dmp\"\n", ADOBE, "way"),
    ] {
        let message = told(from, to).unwrap_err();
        assert!(message.starts_with(&format!("a destination keeps its {what}:")), "{message}");
    }
    told("folder = \"acme\"", "folder = \"elsewhere\"").unwrap();
}

const ADOBE: &str = r#"
[destination.adobe]
url = "https://acme.example/adobe"
data_source = "1"
client = "2"
destination = "3"
"#;

#[test]
fn templates_are_checked_at_their_place() {
    let file = DefinitionsFile::parse(&format!("format = 1\n{DESTINATIONS}")).unwrap();
    let what = || "unknown".into();
    let fault = |own: &crate::Destination| {
        let part = "add".into();
        let fault =
            crate::problem::DestinationFault::Template { part, line: 1, column: 9, what: what() };
        matches!(own.way, Way::Request(_)).then_some(fault)
    };
    let problems = file.check_templates(fault).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].message(), "add, line 1, column 9: unknown");
    assert!(problems[0].line > 70, "{}", problems[0]);
    assert!(file.check_templates(|_| None).is_ok());
}
