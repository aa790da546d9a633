//! Changes of definitions that take much away, and the way back.

use mayfly_store::contract::servers::RedisServer;
use serde_json::{Value, json};

use crate::program::Setup;

const SITE: &str = "format = 1\n[[site]]\nkey = \"shop\"\norigins = [\"https://shop.example\"]\n";
const VISITORS: u32 = 120;

/// With a segment that is paused once everybody is in it.
fn definitions(path: &str, paused: bool) -> String {
    format!(
        "{SITE}[[category]]\nname = \"Shoes\"\nrule = 'path startswith \"{path}\"'\n\
         [[segment]]\nname = \"lovers\"\nrule = 'visited(\"Shoes\", within 30d)'\n\
         [[segment]]\nname = \"all\"\npaused = {paused}\nrule = 'visited(\"*\", within 30d)'\n"
    )
}

fn tell(setup: Setup) {
    let program = setup.start();
    let setup = program.setup();
    let file = |name: &str, text: &str| setup.write(name, text).display().to_string();
    let shoes = file("shoes.toml", &definitions("/shoes/", false));
    let boots = file("boots.toml", &definitions("/boots/", true));
    let nothing = file("nothing.toml", SITE);
    setup.ok(&["apply", &shoes, "--why", "first"]);
    let hits: Value = (0..VISITORS)
        .map(|n| {
            json!({
                "visitor": {"space": "crm", "id": n.to_string()},
                "site": "shop",
                "url": format!("https://shop.example/{}/1", if n < 50 { "boots" } else { "shoes" }),
            })
        })
        .collect();
    let answer = program.admin().post("/api/v1/hits", &hits);
    assert_eq!(answer.json()["outcomes"], json!({"stored": VISITORS}));
    let more = file("more.toml", &definitions("/", true));
    setup.ok(&["apply", &more]);
    let lovers = || setup.json(&["segment", "count", "lovers"]);
    let before = lovers();
    assert_eq!(before["held"], json!(VISITORS));

    let plan = setup.json(&["plan", &boots]);
    let change = json!([{"name": "Shoes", "now": 120, "after": 50, "entered": 0, "left": 70}]);
    assert_eq!(plan["categories"], change);
    assert_eq!(plan["drops"].as_array().unwrap().len(), 1, "{plan}");
    assert!(setup.json(&["plan", &shoes])["drops"].as_array().unwrap().is_empty(), "70 of 120");
    for (arguments, error) in [
        (vec!["apply", &boots], "segment lovers would go from 120 to 50 members"),
        (vec!["apply", &boots, "--allow-drop", "--expect", "1"], "version 2 is in force, not 1"),
        (vec!["apply", &nothing, "--prune"], "would go from 120 to 0"),
        (vec!["definitions", "revert", "9"], "there is no version 9"),
    ] {
        let done = setup.run(&arguments);
        assert!(done.code == 1 && done.stderr.contains(error), "{arguments:?}: {done:?}");
        assert_eq!(lovers()["held"], json!(VISITORS));
    }
    let why = "the season of boots";
    setup.ok(&["apply", &boots, "--allow-drop", "--expect", "2", "--why", why]);
    assert_eq!(lovers()["held"], json!(50));
    assert_eq!(setup.json(&["segment", "count", "all"])["held"], json!(120), "paused, and in");
    setup.ok(&["apply", &nothing, "--prune", "--allow-drop"]);
    assert_eq!(setup.run(&["segment", "count", "lovers"]).code, 1);

    setup.ok(&["definitions", "revert", "2", "--why", "back"]);
    let after = lovers();
    assert_eq!((&after["held"], &after["id"]), (&before["held"], &before["id"]), "as itself");
    let versions = setup.json(&["definitions", "history"])["versions"].clone();
    let told = |at: usize| (versions[at]["version"].clone(), versions[at]["why"].clone());
    assert_eq!([told(0), told(2)], [(json!(5), json!("back")), (json!(3), json!(why))]);
    let removed = json!(["- category Shoes", "- segment lovers", "- segment all"]);
    assert_eq!((&versions[1]["changes"], &versions[1]["by"]), (&removed, &json!("admin")));
    let text = setup.ok(&["definitions", "history"]);
    assert!(text.contains("the season of boots\n  ~ category Shoes (rule)\n"), "{text}");
    let third = setup.ok(&["definitions", "export", "--version", "3"]);
    assert!(third.contains("/boots/"), "{third}");
    assert!(setup.ok(&["definitions", "revert", "2"]).contains("nothing to change"));
    let program = program.stop().start();
    assert_eq!(program.setup().json(&["segment", "count", "lovers"])["held"], json!(VISITORS));
    program.stop();
}

/// What a standard marks as sensitive leaves the segments that it was in: said before it is done.
#[test]
fn a_taxonomy_that_takes_most_of_a_segment_is_refused() {
    let program = Setup::new().start();
    let setup = program.setup();
    let text = format!(
        "{SITE}[[category]]\nname = \"Shop > Health\"\nrule = 'path startswith \"/health/\"'\n\
         [[segment]]\nname = \"shoppers\"\nrule = 'visited(\"Shop\", within 30d)'\n"
    );
    setup.ok(&["apply", &setup.write("shop.toml", &text).display().to_string()]);
    let url = "https://shop.example/health/1";
    let hit = |n: u32| json!({"visitor": {"space": "crm", "id": n.to_string()}, "site": "shop", "url": url});
    let hits: Value = (0..VISITORS).map(hit).collect();
    assert_eq!(program.admin().post("/api/v1/hits", &hits).status, 200);
    let shoppers = || setup.json(&["segment", "count", "shoppers"])["held"].clone();
    assert_eq!(shoppers(), json!(VISITORS));
    let standard = "Relational ID System\t\t\tv3.1\t\t\tExtension\n\
        Unique ID\tParent\tName\tTier 1\tTier 2\tTier 3\t\n3\t\tHealth\tHealth\t\t\tSCD\n";
    let standard = setup.write("content.tsv", standard).display().to_string();
    let load = ["taxonomy", "load", &standard, "--standard", "content-3.1", "--under", "Shop"];
    let done = setup.run(&load);
    let error = "segment shoppers would go from 120 to 0 members; `--allow-drop`";
    assert!(done.code == 1 && done.stderr.contains(error), "{done:?}");
    assert_eq!(shoppers(), json!(VISITORS));
    setup.ok(&[&load[..], &["--allow-drop"]].concat());
    assert_eq!(shoppers(), json!(0));
}

/// Who was in when a segment was paused is kept, also where no hit came since it was made.
#[test]
fn a_new_segment_that_is_paused_at_once_keeps_its_members() {
    let program = Setup::new().start();
    let site = program.setup().write("site.toml", SITE).display().to_string();
    program.setup().ok(&["apply", &site]);
    let url = "https://shop.example/shoes/1";
    let hit = json!({"visitor": {"space": "crm", "id": "1"}, "site": "shop", "url": url});
    assert_eq!(program.admin().post("/api/v1/hits", &json!([hit])).status, 200);
    let program = program.stop().start();
    for paused in [false, true] {
        let text = definitions("/shoes/", paused);
        let file = program.setup().write("all.toml", &text).display().to_string();
        program.setup().ok(&["apply", &file]);
    }
    let program = program.stop().start();
    assert_eq!(program.setup().json(&["segment", "count", "all"])["held"], json!(1));
}

#[test]
fn embedded() {
    tell(Setup::new());
}

#[test]
fn redis() {
    let server = RedisServer::start(&["--appendonly", "yes"]).unwrap();
    tell(Setup::new().env("MAYFLY_STORE__URL", &server.url()));
}
