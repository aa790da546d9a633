//! Partners: read, numbered, renamed, exported, stored.

use mayfly_core::consent::{Ground, Receiver};
use mayfly_core::{PartnerId, PartnerKind, Retention, SyncMacro};

use super::*;
use crate::problem::Problem;

fn try_apply(old: &Definitions, text: &str, prune: bool) -> Result<Applied, Vec<Problem>> {
    let file = DefinitionsFile::parse(&format!("format = 1\n{text}"))?;
    old.apply(&file, prune, Retention::default())
}

const PARTNERS: &str = r#"
[[site]]
key = "news"
origins = ["https://news.example"]
sync = ["xandr", "acme"]

[[partner]]
key = "acme"
bidder = "acmeads"
provider_id = 1097
purposes = [1, 2, 7]
sync = "https://acme.example/s?to={{.RedirectURL}}&gdpr={{.GDPR}}"
uid_macro = "[UID]"
sync_type = "iframe"
hosts = ["cb.acme.example"]
sync_days = 7

[[partner]]
key = "google"
kind = "google"
network = "acme_dmp"

[[partner]]
key = "xandr"
kind = "xandr"

[[partner]]
key = "own"
processor = true
"#;

#[test]
fn partners_are_kept_as_they_were_written() {
    let all = try_apply(&Definitions::default(), PARTNERS, false).unwrap().definitions;
    let acme = all.partner("acme").unwrap();
    assert_eq!(acme.receiver, Receiver { ground: Ground::Provider(1097), purposes: vec![1, 2, 7] });
    assert!(acme.is_called("acmeads") && acme.is_called("acme") && !acme.is_called(""));
    let google = all.partner("google").unwrap();
    assert_eq!(google.kind, PartnerKind::Google { network: "acme_dmp".into() });
    assert_eq!(google.receiver, Receiver::vendor(755));
    let asked = google.sync.as_ref().unwrap();
    assert!(asked.text().starts_with("https://cm.g.doubleclick.net/pixel?google_nid=acme_dmp&"));
    assert!(asked.has(SyncMacro::OurUid));
    let xandr = all.partner("xandr").unwrap();
    let filled = xandr.sync.as_ref().unwrap().fill(|_| "R");
    assert_eq!(xandr.bidder(), "appnexus");
    assert_eq!((filled.as_str(), &*xandr.uid_macro), ("https://ib.adnxs.com/getuid?R", "$UID"));
    let news = all.site("news").unwrap();
    assert_eq!(news.sync, [xandr.id, acme.id]);
    let export = all.export();
    let again = try_apply(&all, export.strip_prefix("format = 1\n").unwrap(), true).unwrap();
    assert_eq!(again.changes, [], "{export}");
    assert_eq!(Definitions::from_bytes(&all.to_bytes().unwrap()).unwrap(), all);
}

#[test]
fn a_partner_keeps_its_number_by_its_name_and_no_other_gets_it() {
    let one = try_apply(&Definitions::default(), PARTNERS, false).unwrap().definitions;
    let id = |definitions: &Definitions, key: &str| definitions.partner(key).map(|own| own.id);
    assert_eq!(id(&one, "own"), Some(PartnerId(4)));
    let renamed = "[[partner]]\nkey = \"mine\"\nprocessor = true\nwas = [\"own\"]\n";
    let two = try_apply(&one, renamed, true).unwrap();
    let told: Vec<String> = two.changes.iter().map(ToString::to_string).collect();
    let expected = [
        "- site news",
        "~ partner mine (was own)",
        "- partner acme",
        "- partner google",
        "- partner xandr",
    ];
    assert_eq!(told, expected);
    assert_eq!(id(&two.definitions, "mine"), Some(PartnerId(4)));
    let back = try_apply(&two.definitions, PARTNERS, false).unwrap().definitions;
    assert_eq!([id(&back, "acme"), id(&back, "own")], [Some(PartnerId(5)), Some(PartnerId(8))]);
}

#[test]
fn a_site_is_told_of_partners_that_there_are_not() {
    let one = try_apply(&Definitions::default(), PARTNERS, false).unwrap().definitions;
    let site = "[[site]]\nkey = \"shop\"\norigins = [\"https://s.example\"]\n";
    let wrong = try_apply(&one, &format!("{site}sync = [\"acme\", \"xnadr\"]\n"), false);
    let problems = wrong.unwrap_err();
    assert_eq!(problems[0].message(), "there is no partner \"xnadr\"");
    assert_eq!((problems[0].line, problems[0].column), (5, 17));
    assert_eq!(problems[0].help().as_deref(), Some("the nearest name is \"xandr\""));
    let many = format!("{site}sync = [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\"]\n");
    let problems = try_apply(&one, &many, false).unwrap_err();
    assert!(problems.iter().any(|p| p.message() == "more than 5 sync"), "{problems:?}");
    let wrong_number = try_apply(&one, "[[partner]]\nkey = \"z\"\nvendor_id = 70000\n", false);
    assert_eq!(wrong_number.unwrap_err().len(), 1, "one fault, told once");
    let gone = "[[site]]\nkey = \"news\"\norigins = [\"https://news.example\"]\n\
        sync = [\"acme\"]\n";
    assert!(try_apply(&one, gone, true).is_err(), "the file does not name the partner");
    // A partner that goes is no site's any more.
    let kept = "[[site]]\nkey = \"news\"\norigins = [\"https://news.example\"]\n\
        sync = [\"acme\"]\n[[partner]]\nkey = \"acme\"\nvendor_id = 7\n";
    let pruned = try_apply(&one, kept, true).unwrap().definitions;
    assert_eq!(pruned.site("news").unwrap().sync.len(), 1);
}

#[test]
fn what_is_wrong_with_a_partner_is_told() {
    let xandr = "kind = \"xandr\"\n";
    for (text, expected) in [
        ("key = \"p\"\n", "a partner needs one of `vendor_id`, `provider_id`, `processor = true`"),
        (
            "key = \"p\"\nvendor_id = 1\nprocessor = true\n",
            "a partner has one ground, and this one has two",
        ),
        ("key = \"p\"\nkind = \"google\"\n", "[[partner]] needs `network`"),
        ("key = \"p\"\nkind = \"googel\"\n", "\"googel\" is none of plain, google, xandr"),
        ("key = \"a b\"\nkind = \"xandr\"\n", "\"a b\" cannot be the name of a partner"),
        (
            &format!("key = \"p\"\n{xandr}network = \"n\"\n"),
            "`network` belongs to kind = \"google\"",
        ),
        (
            &format!("key = \"p\"\n{xandr}sync = \"https://p.example/{{{{uid}}}}\"\n"),
            "there is no macro {{uid}}",
        ),
        (
            &format!("key = \"p\"\n{xandr}sync = \"http://p.example/{{{{our_uid}}}}\"\n"),
            "a browser is sent to https URLs without a login, or to http on this machine",
        ),
        (
            &format!("key = \"p\"\n{xandr}sync = \"https://p.example/\"\n"),
            "this URL has neither {{redirect_url}} nor {{our_uid}}: no id is exchanged",
        ),
        (&format!("key = \"p\"\n{xandr}purposes = []\n"), "a receiver has at least one purpose"),
        (
            &format!("key = \"p\"\n{xandr}purposes = [12]\n"),
            "`purposes` must be a whole number from 1 to 11",
        ),
        (
            &format!("key = \"p\"\n{xandr}sync_days = 0\n"),
            "`sync_days` must be a whole number from 1 to 90",
        ),
        (
            &format!("key = \"p\"\n{xandr}[[partner]]\nkey = \"q\"\nbidder = \"p\"\n{xandr}"),
            "\"p\" is already what partner \"p\" is called",
        ),
        (&format!("key = \"p\"\n{xandr}uid_macro = \"\"\n"), "an empty macro stands everywhere"),
        (
            &format!("key = \"p\"\n{xandr}hosts = [\"*.b\"]\n"),
            "\"*.b\" cannot be the name of a hosts",
        ),
        (
            &format!("key = \"p\"\n{xandr}hosts = [\"a/b\"]\n"),
            "\"a/b\" cannot be the name of a hosts",
        ),
    ] {
        let problems =
            try_apply(&Definitions::default(), &format!("[[partner]]\n{text}"), false).unwrap_err();
        assert!(problems.iter().any(|p| p.message() == expected), "{text}: {problems:?}");
    }
}
