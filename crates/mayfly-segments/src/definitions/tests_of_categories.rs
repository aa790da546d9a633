//! What a category may say besides its rules: exceptions, implications, retirement, sensitivity;
//! word lists; ids that sites declare.

use mayfly_core::{CategoryId, Day, Retention};

use super::*;
use crate::compiled::Compiled;
use crate::problem::{Problem, ProblemKind};

const SITE: &str = "[[site]]\nkey = 'news'\norigins = ['https://news.example']\n";

fn try_apply(old: &Definitions, text: &str, prune: bool) -> Result<Applied, Vec<Problem>> {
    let file = DefinitionsFile::parse(&format!("format = 1\n{SITE}{text}"))?;
    old.apply(&file, prune, Retention::default())
}

fn apply(old: &Definitions, text: &str) -> Definitions {
    try_apply(old, text, false).unwrap_or_else(|p| panic!("{}", p[0])).definitions
}

fn id(definitions: &Definitions, path: &str) -> CategoryId {
    definitions.category_named(path).unwrap_or_else(|| panic!("{path}")).id
}

fn since(definitions: &Definitions, path: &str) -> u32 {
    definitions.category_named(path).unwrap().since
}

/// The same when exported and applied, and when stored and read.
fn keeps(definitions: &Definitions) {
    let export = definitions.export();
    let file = DefinitionsFile::parse(&export).unwrap_or_else(|p| panic!("{}\n{export}", p[0]));
    let same = definitions.apply(&file, true, Retention::default()).unwrap();
    assert_eq!(same.changes, [], "{export}");
    assert_eq!(&Definitions::from_bytes(&definitions.to_bytes().unwrap()).unwrap(), definitions);
}

const CATEGORIES: &str = "[[category]]\nname = 'A > B'\nrule = 'path startswith \"/b\"'\n\
    except = 'title mentions list \"ads\"'\nimplies = ['C > D']\n\
    [[category]]\nname = 'C > D'\nrule = 'path startswith \"/d\"'\n\
    [[word_list]]\nname = 'ads'\nwords = ['sponsored', 'in partnership with']\n";

#[test]
fn a_category_is_new_when_what_it_hangs_on_is() {
    let one = apply(&Definitions::default(), CATEGORIES);
    let paths = ["A", "A > B", "C", "C > D"];
    let all = |definitions: &Definitions| paths.map(|path| since(definitions, path));
    assert_eq!(all(&one), [1; 4]);
    keeps(&one);
    // A word more: what excepts by the list, what lies above it, and what it implies.
    let two = apply(&one, &CATEGORIES.replace("'sponsored'", "'sponsored', 'advertorial'"));
    assert_eq!(all(&two), [2; 4]);
    // No implication: what was implied.
    let three = apply(&two, &CATEGORIES.replace("implies = ['C > D']\n", ""));
    let lists = try_apply(&one, CATEGORIES, false).unwrap().changes;
    assert!(lists.is_empty());
    assert_eq!(all(&three), [3, 3, 3, 3], "the list went back, too");
    let four = apply(&three, &format!("{}[[category]]\nname = 'C > D > E'\n", CATEGORIES));
    assert_eq!(all(&four), [3, 3, 4, 4], "implied again");
    assert_eq!(since(&four, "C > D > E"), 4);
    // Retired: it, and what it gives to.
    let retire = CATEGORIES.replace("implies", "retired = 2026-12-01\nimplies");
    let five = apply(&four, &retire);
    assert_eq!(all(&five), [5; 4]);
    keeps(&five);
    let day =
        "2026-12-01".parse::<jiff::civil::Date>().unwrap().since(jiff::civil::date(1970, 1, 1));
    let day = Day(u16::try_from(day.unwrap().get_days()).unwrap());
    assert_eq!(five.retired(id(&five, "A > B")), Some(day));
    assert_eq!(five.retired(id(&five, "C > D")), None);
    // A list that no rule names changes nothing but itself.
    let other = "[[word_list]]\nname = 'other'\nwords = ['x']\n";
    let six = apply(&five, &format!("{retire}{other}"));
    assert_eq!(all(&six), [5; 4]);
    assert_eq!(six.changes_since(&five)[0].to_string(), "+ word list other");
}

#[test]
fn a_list_in_rule_and_exception_is_seen_to_change() {
    let text = "[[category]]\nname = 'A'\nrule = 'title mentions list \"o\\'neill\"'\n\
                except = 'path mentions list \"o\\'neill\"'\n\
                [[category]]\nname = 'B'\nrule = 'title mentions \"list\" and path contains \"/24-hour\"'\n\
                [[word_list]]\nname = \"o'neill\"\nwords = ['a']\n";
    let text = text
        .replace("'title mentions list \"o\\'neill\"'", "\"title mentions list \\\"o'neill\\\"\"");
    let text = text
        .replace("'path mentions list \"o\\'neill\"'", "\"path mentions list \\\"o'neill\\\"\"");
    let one = apply(&Definitions::default(), &text);
    let two = apply(&one, &text.replace("['a']", "['a', 'b']"));
    assert_eq!(["A", "B"].map(|path| since(&two, path)), [2, 1]);
}

#[test]
fn what_is_implied_may_retire_before() {
    let text = "[[category]]\nname = 'A'\nrule = 'path exists'\nimplies = 'B > C'\n\
                [[category]]\nname = 'B > C'\nretired = 2020-01-01\n";
    let one = apply(&Definitions::default(), text);
    let groups = one.gives_until(id(&one, "A"));
    assert_eq!(groups.len(), 2);
    assert_eq!((groups[0].0, &*groups[0].1), (None, &[id(&one, "A"), id(&one, "B")][..]));
    assert_eq!(&*groups[1].1, [id(&one, "B > C")]);
    let many: Vec<String> = (0..200).map(|n| format!("'n{n}'")).collect();
    let named: String = many.iter().map(|name| format!("[[category]]\nname = {name}\n")).collect();
    let text = format!("{named}[[category]]\nname = 'X'\nimplies = [{}]\n", many.join(", "));
    let problem = &try_apply(&one, &text, false).unwrap_err()[0];
    assert!(problem.to_string().contains("more than 100 categories that one implies"), "{problem}");
}

#[test]
fn implications_follow_renames_and_merges_and_survive_pruning() {
    let one = apply(&Definitions::default(), CATEGORIES);
    let moved = CATEGORIES.replace("'C > D'\nrule", "'Z'\nwas = ['C > D']\nrule");
    let two = apply(&one, &moved.replace("implies = ['C > D']", "implies = 'Z'"));
    assert_eq!(two.gives(id(&two, "A > B")), ["A > B", "Z", "A"].map(|path| id(&two, path)));
    // What is implied stays though the file does not define it.
    let only = "[[category]]\nname = 'A > B'\nrule = 'path exists'\nimplies = 'C > D'\n";
    let pruned = try_apply(&one, only, true).unwrap().definitions;
    assert!(pruned.category_named("C > D").is_some());
    assert!(pruned.word_lists.is_empty());
    let circle = "[[category]]\nname = 'X'\nimplies = 'Y'\n\
                  [[category]]\nname = 'Y'\nimplies = ['X']\n";
    let circle = apply(&Definitions::default(), circle);
    assert_eq!(circle.gives(id(&circle, "X")).len(), 2);
    keeps(&circle);
}

#[test]
fn declared_ids_are_rules_of_the_sites_that_declare_them() {
    let text = "[[category]]\nname = 'Cars'\niab = ['content-3.1:2', 'content-1.0:IAB2']\n";
    let one = apply(&Definitions::default(), text);
    let rules = |definitions: &Definitions| {
        definitions
            .rules_of(definitions.category_named("Cars").unwrap(), &definitions.declaring())
            .len()
    };
    assert_eq!(rules(&one), 0);
    let declares = "[[site]]\nkey = 'cars'\norigins = ['https://cars.example']\n\
                    declared = 'content-1.0'\n";
    let two = apply(&one, &format!("{declares}{text}"));
    assert_eq!((rules(&two), since(&two, "Cars")), (1, 1), "it has no hits yet");
    keeps(&two);
    let gone = apply(&two, &format!("{}{text}", declares.replace("declared", "# ")));
    assert_eq!((rules(&gone), since(&gone, "Cars")), (0, 3));
    let problem = &try_apply(&one, &declares.replace("content-1.0", "iab"), false).unwrap_err()[0];
    assert!(problem.to_string().contains("content-3.1"), "{problem}");
}

#[test]
fn sensitive_categories_are_marked_and_stay_so() {
    let text = "[[category]]\nname = 'Health'\nsensitive = true\nrule = 'path startswith \"/h\"'\n\
                [[category]]\nname = 'Health > Diets'\nrule = 'path contains \"diet\"'\n\
                [[category]]\nname = 'By id'\niab = 'content-3.1:286'\nrule = 'path exists'\n";
    let one = apply(&Definitions::default(), text);
    let is_sensitive = |all: &Definitions| {
        ["Health", "Health > Diets", "By id"].map(|p| all.is_sensitive(id(all, p)))
    };
    assert_eq!(is_sensitive(&one), [true; 3]);
    keeps(&one);
    // Saying nothing of it changes nothing; the opposite is refused.
    let silent = text.replace("sensitive = true\n", "");
    assert_eq!(is_sensitive(&apply(&one, &silent)), [true; 3]);
    let plain = text.replace("sensitive = true", "sensitive = false");
    let problem = &try_apply(&one, &plain, false).unwrap_err()[0];
    assert_eq!((&problem.kind, problem.line), (&ProblemKind::StaysSensitive, 7));
    // No segment looks at it, until it is enabled.
    let segment = "[[segment]]\nname = 's'\nrule = 'visited(\"Health > Diets\", within 7d)'\n";
    let problem = &try_apply(&one, segment, false).unwrap_err()[0];
    assert!(problem.to_string().contains("--basis"), "{problem}");
    let retention = Retention::default();
    let diets = one.enable(id(&one, "Health > Diets"), Some("assessed"), retention).unwrap();
    assert_eq!(is_sensitive(&diets.definitions), [true, false, true], "the nearest mark decides");
    let two = one.enable(id(&one, "Health"), Some("consent, 2026-11"), retention).unwrap();
    assert_eq!(is_sensitive(&two.definitions), [false, false, true]);
    assert_eq!(since(&two.definitions, "Health > Diets"), 2, "its cells are filled now");
    let three = apply(&two.definitions, segment);
    let export = three.export();
    assert!(export.contains("sensitive = true  # enabled here: consent, 2026-11"), "{export}");
    keeps(&three);
    // Taken back, whoever uses it: the segment has nobody then.
    let four = three.enable(id(&three, "Health"), None, retention).unwrap().definitions;
    assert_eq!(is_sensitive(&four), [true; 3]);
    Compiled::new(&four, retention).unwrap();
    // No way back to a basis, or to no mark, for who may not give one.
    let back = four.revert(&three, retention).unwrap().definitions;
    assert_eq!(is_sensitive(&back), [true; 3]);
    let plain = apply(&Definitions::default(), &silent.replace("content-3.1:286", "x:1"));
    let marked = apply(&plain, text);
    let back = marked.revert(&plain, retention).unwrap().definitions;
    assert!(is_sensitive(&back)[0]);
    let pruned = try_apply(&one, "", true).unwrap().definitions;
    assert_eq!(is_sensitive(&pruned), [true; 3], "they go on guarding");
    assert_eq!(
        pruned.rules_of(pruned.category_named("Health").unwrap(), &pruned.declaring()).len(),
        1
    );
    // Moved away from what marks it, it is marked itself.
    let moved = apply(&one, "[[category]]\nname = 'Sports > Diets'\nwas = ['Health > Diets']\n");
    assert!(moved.is_sensitive(id(&moved, "Sports > Diets")));
    // A retired one goes on guarding, too.
    let retired = text.replace("sensitive = true", "sensitive = true\nretired = 2020-01-01");
    let retired = apply(&Definitions::default(), &retired);
    assert_eq!(retired.gives_until(id(&retired, "Health"))[0].0, None);
    // Merged into another, the mark stays.
    let one = apply(&one, "[[category]]\nname = 'Else'\n");
    let merged = apply(&one, "[[category]]\nname = 'Else'\nwas = ['Health']\n");
    assert!(merged.is_sensitive(id(&merged, "Else")));
}

#[test]
fn what_is_wrong_is_told_at_its_place() {
    let rule = "rule = 'path exists'\n";
    let of = |lines: &str| format!("[[category]]\nname = 'A'\n{lines}");
    let list = "[[word_list]]\nname = 'ads'\nwords = ['sponsored']\n";
    for (text, line, expected) in [
        (of(&format!("{rule}except = 'titel exists'\n")), 8, "no field `titel`"),
        (of(&format!("{rule}implies = 'B'\n")), 8, "no category \"B\""),
        (of(&format!("{rule}retired = 'soon'\n")), 8, "2026-12-31"),
        (
            of(&format!("{list}[[category]]\nname = 'B'\nrule = 'title mentions list \"adds\"'\n")),
            12,
            "the nearest name is \"ads\"",
        ),
        (of(&format!("{list}{list}")), 11, "word list \"ads\" is defined twice"),
        ("[[word_list]]\nname = 'x'\nwords = ['a', '--']\n".to_owned(), 7, "no word"),
        ("[[word_list]]\nname = 'x'\n".to_owned(), 5, "needs `words`"),
        (
            format!(
                "{list}[[segment]]\nname = 's'\nrule = 'visited(\"*\", within 1d, title mentions list \"add\")'\n"
            ),
            10,
            "the nearest name is \"ads\"",
        ),
    ] {
        let problem = &try_apply(&Definitions::default(), &text, false).unwrap_err()[0];
        assert!(problem.to_string().contains(expected), "{text}\n{problem}");
        assert_eq!(problem.line, line, "{text}\n{problem}");
    }
}

#[test]
fn every_use_of_a_list_compiles() {
    let text = format!(
        "{CATEGORIES}[[segment]]\nname = 's'\nrule = 'visited(\"*\", within 1d, title mentions list \"ads\")'\n"
    );
    let one = apply(&Definitions::default(), &text);
    let two = apply(&one, &text.replace("'sponsored'", "'paid'"));
    let retention = Retention::default();
    let [old, new] = [&one, &two].map(|all| Compiled::new(all, retention).unwrap());
    assert!(new.recalls_after(&old, Day(20_000)).is_some(), "another list, another condition");
    assert!(new.recalls_after(&new, Day(20_000)).is_none());
}
