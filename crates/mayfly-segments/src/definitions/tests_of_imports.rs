//! Categories that partners fill: read, exported, stored, kept apart.

use mayfly_core::{CategoryId, Retention};

use super::*;
use crate::compiled::Compiled;
use crate::expr::Expression;
use crate::problem::Problem;

fn try_apply(old: &Definitions, text: &str, prune: bool) -> Result<Applied, Vec<Problem>> {
    let file = DefinitionsFile::parse(&format!("format = 1\n{text}"))?;
    old.apply(&file, prune, Retention::default())
}

const IMPORTS: &str = r#"
[[partner]]
key = "acme"
processor = true

[[category]]
name = "Acme > Buyers"
[category.import]
partner = "acme"
code = "b 1"
basis = "contract of 2026-11-01; consent by Acme"
ends = 2027-12-31
price = "1.20 EUR"

[[category]]
name = "Acme > Owners"
iab = "audience-1.1:150"
[category.import]
partner = "acme"
code = "o"
basis = "contract"

[[category]]
name = "Acme > Seen"
rule = 'path == "/acme"'
implies = ["Acme > Owners"]
"#;

fn all() -> Definitions {
    try_apply(&Definitions::default(), IMPORTS, false).unwrap().definitions
}

#[test]
fn imports_are_kept_as_they_were_written() {
    let all = all();
    let buyers = all.category_named("Acme > Buyers").unwrap();
    let own = buyers.import.clone().unwrap();
    assert_eq!((&*own.code, &*own.basis), ("b 1", "contract of 2026-11-01; consent by Acme"));
    assert_eq!(own.ends, "2027-12-31".parse().ok());
    assert_eq!(own.price.unwrap().to_string(), "1.20 EUR");
    assert_eq!(all.imports_of(own.partner).count(), 2);
    let again = try_apply(&all, &all.export().replace("format = 1\n", ""), true).unwrap();
    assert!(again.changes.is_empty(), "{:?}", again.changes);
    let fresh = all.export().replace("format = 1\n", "");
    let fresh = try_apply(&Definitions::default(), &fresh, false).unwrap().definitions;
    assert_eq!(fresh.export(), all.export());
    assert_eq!(Definitions::from_bytes(&all.to_bytes().unwrap()).unwrap(), all);
    // Whose data is held stays, whatever a file says of partners.
    let pruned = IMPORTS.replacen("[[partner]]\nkey = \"acme\"\nprocessor = true\n", "", 1);
    let pruned = try_apply(&all, &pruned, true).unwrap().definitions;
    assert!(pruned.partner("acme").is_some());
    let gone = try_apply(&all, "", true).unwrap().definitions;
    assert!(gone.partner("acme").is_none() && gone.category_named("Acme > Buyers").is_none());
}

#[test]
fn what_a_partner_fills_stays_apart() {
    let all = all();
    let id = |path: &str| all.category_named(path).unwrap().id;
    assert_eq!(all.gives(id("Acme > Buyers")), [id("Acme > Buyers")]);
    let seen = all.gives(id("Acme > Seen"));
    assert_eq!(seen, [id("Acme > Seen"), id("Acme")], "nothing seen falls in what was bought");
    // It is no longer what it was when another fills it, or nobody.
    let own = try_apply(&all, &IMPORTS.replacen("code = \"o\"", "code = \"p\"", 1), false);
    let since = |all: &Definitions| all.category_named("Acme > Owners").unwrap().since;
    assert_eq!(since(&own.unwrap().definitions), since(&all), "another code, the same data");
    let plain = "[[category]]\nname = \"Acme > Owners\"\nrule = 'path == \"/o\"'\n";
    let plain = try_apply(&all, plain, false).unwrap().definitions;
    assert!(since(&plain) > since(&all) && !plain.is_imported(id("Acme > Owners")));
    assert_ne!(id("Acme"), CategoryId::ALL);
    Compiled::new(&plain, Retention::default()).unwrap();
}

#[test]
fn what_cannot_be_is_told() {
    let told = |from: &str, to: &str| {
        assert!(IMPORTS.contains(from), "{from}");
        let text = IMPORTS.replacen(from, to, 1);
        try_apply(&Definitions::default(), &text, false).unwrap_err()[0].message()
    };
    for (from, to, expected) in [
        ("partner = \"acme\"\ncode", "partner = \"acne\"\ncode", "there is no partner \"acne\""),
        (
            "code = \"o\"",
            "code = \"b 1\"",
            "this code of the partner fills \"Acme > Buyers\" alrea",
        ),
        ("code = \"o\"", "code = \" o\"", "\" o\" cannot be the name of a code"),
        ("basis = \"contract\"\n", "", "[[category.import]] needs `basis`"),
        ("1.20 EUR", "1,20 EUR", "\"1,20 EUR\" is no price"),
        ("2027-12-31", "2027-13-31", "invalid"),
        ("ends = ", "end = ", "has no key `end`"),
        ("iab = ", "rule = 'path == \"/\"'\niab = ", "what a partner fills has no `rule`, `exc"),
    ] {
        let message = told(from, to);
        assert!(message.contains(expected), "{message}");
    }
    let all = all();
    for rule in [
        "visited(\"Acme > Buyers\", within 24h)",
        "visited(\"Acme > Buyers\", within 7d, device == \"phone\")",
        "visited(\"Acme\", within 7d) then visited(\"Acme > Owners\") within 1h",
    ] {
        let problem = Expression::parse(rule, &all, Retention::default()).unwrap_err();
        let message = problem.message();
        assert!(message.starts_with("a partner tells on which day"), "{rule}: {message}");
        assert!(problem.help().unwrap().contains("within 30d"));
    }
    let days = "days(\"Acme > Buyers\", within 30d) >= 2";
    assert!(Expression::parse(days, &all, Retention::default()).is_ok());
}
