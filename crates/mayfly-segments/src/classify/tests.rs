//! Finding candidates by tables against trying every rule.

use std::collections::BTreeSet;

use mayfly_core::{
    Attribute, ConsentKey, HitParts, PageKey, Partition, Referrer, Retention, Timestamp, Value,
    Visitor,
};
use proptest::prelude::*;

use super::*;
use crate::compiled::Compiled;
use crate::definitions::{Definitions, DefinitionsFile};

const WORDS: [&str; 6] = ["a", "ab", "/a/b", "b.example", "x", "Ü"];

fn test() -> impl Strategy<Value = String> {
    let word = prop::sample::select(WORDS.to_vec());
    let field = prop::sample::select(vec![
        "host",
        "path",
        "url",
        "title",
        "keywords",
        "categories",
        "query.q",
        "a.v",
        "event",
        "referrer",
        "referrer.kind",
        "site",
    ]);
    let list = prop::collection::vec(word.clone().prop_map(|w| format!("'{w}'")), 1..3)
        .prop_map(|words| words.join(", "));
    prop_oneof![
        (
            field.clone(),
            prop::sample::select(vec!["==", "!=", "contains", "startswith", "endswith", "matches"]),
            word
        )
            .prop_map(|(field, op, word)| format!("{field} {op} '{word}'")),
        (
            field.clone(),
            prop::sample::select(vec![
                "contains any",
                "startswith any",
                "contains all",
                "matches any",
                "matches all",
                "in"
            ]),
            list.clone()
        )
            .prop_map(|(field, op, list)| format!("{field} {op} ({list})")),
        (field.clone(), prop::sample::select(vec!["mentions any", "mentions all"]), list.clone())
            .prop_map(|(field, op, list)| format!("{field} {op} ({list})")),
        field.clone().prop_map(|field| format!("{field} mentions list 'words'")),
        list.prop_map(|list| format!("keywords has any ({list})")),
        field.prop_map(|field| format!("{field} exists")),
        Just("a.v >= 2".to_owned()),
        Just("query.q == 1".to_owned()),
        Just("event == 'ad_click'".to_owned()),
        Just("event in ('x', 'page_view')".to_owned()),
        Just("site == 'one'".to_owned()),
    ]
    .prop_map(|test| {
        // Sites have to exist, and `site`'s other tests take any text.
        if test.starts_with("site ==") || test.starts_with("site in") {
            "site == 'two'".to_owned()
        } else if test.starts_with("referrer.kind ==") || test.starts_with("referrer.kind in") {
            "referrer.kind in ('search', 'link')".to_owned()
        } else {
            test
        }
    })
}

fn rule() -> impl Strategy<Value = String> {
    test().prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|rule| format!("not ({rule})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) and ({b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a}) or ({b})")),
        ]
    })
}

fn words() -> impl Strategy<Value = Vec<Box<str>>> {
    prop::collection::vec(prop::sample::select(WORDS.to_vec()).prop_map(Box::from), 0..3)
}

fn page() -> impl Strategy<Value = Page> {
    let host = prop::sample::select(vec!["a", "b.example", "x.b.example"]);
    let path = prop::sample::select(vec!["/", "/a/b", "/a/b/x", "/ab?q=a", "/x?q=1", "/%C3%9C?q="]);
    (
        host,
        path,
        prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..3),
        words(),
        words(),
    )
        .prop_map(|(host, path, title, keywords, categories)| Page {
            url: format!("https://{host}{path}").into(),
            title: title.join(" ").into(),
            keywords,
            categories,
        })
}

fn hit() -> impl Strategy<Value = Hit> {
    let event = prop::sample::select(vec![
        Event::PageView,
        Event::Engagement,
        Event::AdClick,
        Event::Own("x".into()),
    ]);
    let value = prop_oneof![
        (0u8..4).prop_map(|n| Some(Value::Number(f64::from(n)))),
        prop::sample::select(WORDS.to_vec()).prop_map(|w| Some(Value::Text(w.into()))),
        Just(None),
    ];
    let referrer = prop::sample::select(vec!["", "https://a/", "https://google.com/x"]);
    (event, value, referrer, 1u32..4, any::<bool>(), prop::collection::vec(0u32..6, 0..2)).prop_map(
        |(event, value, referrer, site, has_page, fired)| {
            let attribute = |value| Attribute { name: "v".into(), value };
            Hit::restore(HitParts {
                visitor: Visitor { partition: Partition(0), ordinal: 1 },
                time: Timestamp::from_secs(0),
                site: SiteId(site),
                page: has_page.then_some(PageKey(1)),
                event,
                engaged_s: 1,
                referrer: Referrer::of(referrer, "b.example"),
                context: Default::default(),
                attributes: value.map(attribute).into_iter().collect(),
                consent: ConsentKey(0),
                fired: fired.into_iter().map(CategoryId).collect(),
            })
        },
    )
}

/// What is said of a category.
#[derive(Clone, Debug)]
struct Written {
    rule: String,
    /// Only hits of site two.
    only_two: bool,
    except: Vec<String>,
    /// Another category's place.
    implies: Option<usize>,
    /// Since the beginning.
    is_retired: bool,
}

fn written() -> impl Strategy<Value = Written> {
    let except = prop::collection::vec(rule(), 0..2);
    let implies = prop::option::weighted(0.3, 0usize..8);
    (rule(), any::<bool>(), except, implies, prop::bool::weighted(0.1)).prop_map(
        |(rule, only_two, except, implies, is_retired)| Written {
            rule,
            only_two,
            except,
            implies,
            is_retired,
        },
    )
}

fn name(at: usize) -> String {
    if at.is_multiple_of(2) { format!("c{at}") } else { format!("c{} > d", at - 1) }
}

/// Categories in a chain and beside it.
fn compiled(rules: &[Written]) -> Compiled {
    let mut text = "format = 1\n[[site]]\nkey = 'one'\norigins = ['*']\n\
                    [[site]]\nkey = 'two'\norigins = ['*']\n\
                    [[word_list]]\nname = 'words'\nwords = ['ab', 'a b', 'ü']\n"
        .to_owned();
    for (at, own) in rules.iter().enumerate() {
        let sites = if own.only_two { ", sites = [\"two\"]" } else { "" };
        text += &format!("[[category]]\nname = \"{}\"\n", name(at));
        text += &format!("rules = [{{ rule = \"{}\"{sites} }}]\n", own.rule);
        text += &format!("except = {:?}\n", own.except);
        if let Some(other) = own.implies.filter(|other| *other < rules.len()) {
            text += &format!("implies = {:?}\n", name(other));
        }
        if own.is_retired {
            text += "retired = 1970-01-01\n";
        }
    }
    let file = DefinitionsFile::parse(&text).unwrap_or_else(|p| panic!("{}\n{text}", p[0]));
    let applied = Definitions::default().apply(&file, false, Retention::default());
    let applied = applied.unwrap_or_else(|p| panic!("{}\n{text}", p[0]));
    Compiled::new(&applied.definitions, Retention::default()).unwrap()
}

/// Every rule tried on its own.
fn by_hand(compiled: &Compiled, hit: &Hit, page: &Page) -> Vec<CategoryId> {
    let definitions = compiled.definitions();
    let facts = PageFacts::of(page);
    let site = definitions.sites().find(|site| site.id == hit.site).map(SiteFacts::of);
    let facts = Facts::new(&facts, HitFacts::of(hit, site.as_ref()));
    let mut found = BTreeSet::from([CategoryId::ALL]);
    let lists = crate::definitions::WordLists::new(definitions);
    let read = |text: &str| {
        let mut rule = Rule::parse(text).unwrap();
        rule.node.put_lists(&lists).unwrap();
        rule
    };
    for category in definitions.categories() {
        let is_excepted =
            category.except.iter().any(|text| read(text).node.decide(&facts) == Some(true));
        let meets = category.rules.iter().any(|text| {
            (text.sites.is_empty() || text.sites.contains(&hit.site))
                && read(&text.rule).holds(&facts)
        });
        let is_met = meets && !is_excepted || hit.fired.contains(&category.id);
        if is_met && definitions.retired(category.id).is_none() {
            found.insert(category.id);
        }
    }
    open(definitions, spread(definitions, found)).into_iter().collect()
}

/// Without those that are retired.
fn open(definitions: &Definitions, mut found: BTreeSet<CategoryId>) -> BTreeSet<CategoryId> {
    found.retain(|id| definitions.retired(*id).is_none());
    found
}

/// With what they lie under and imply, until nothing is added.
fn spread(definitions: &Definitions, mut found: BTreeSet<CategoryId>) -> BTreeSet<CategoryId> {
    loop {
        let categories: Vec<_> = found.iter().filter_map(|id| definitions.category(*id)).collect();
        let more: Vec<_> =
            categories.into_iter().flat_map(|c| [&[c.parent], &*c.implies].concat()).collect();
        let before = found.len();
        found.extend(more);
        if found.len() == before {
            return found;
        }
    }
}

/// What is said to have fired gives what was found, and every span lies in its text.
fn explained(
    compiled: &Compiled,
    hit: &Hit,
    page: &Page,
    expected: &[CategoryId],
) -> Result<(), TestCaseError> {
    let [fires, nearly] = compiled.classifier().why(hit, page, 100);
    let definitions = compiled.definitions();
    let mut given = BTreeSet::from([CategoryId::ALL]);
    given.extend(fires.iter().map(|fired| fired.category));
    let is_open = |id: &&CategoryId| {
        definitions.category(**id).is_some() && definitions.retired(**id).is_none()
    };
    given.extend(hit.fired.iter().filter(is_open));
    let given = open(definitions, spread(definitions, given));
    prop_assert_eq!(given.into_iter().collect::<Vec<_>>(), expected);
    for fired in fires.iter().chain(&nearly) {
        prop_assert!(!fired.evidence.is_empty(), "{}", fired.rule);
        for own in &fired.evidence {
            prop_assert!(fired.rule.contains(&*own.test));
            let met = own.span.clone().map(|span| own.found.as_ref()?.get(span).map(str::len));
            prop_assert!(met.is_none_or(|met| met.is_some()), "{own:?}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn tables_find_what_trying_every_rule_finds(
        rules in prop::collection::vec(written(), 1..8),
        page in page(),
        hits in prop::collection::vec(hit(), 1..6),
        some in prop::collection::btree_set(0u32..9, 0..4),
    ) {
        let compiled = compiled(&rules);
        let some: BTreeSet<CategoryId> = some.into_iter().map(CategoryId).collect();
        let restricted = compiled.classifier().restrict(&some);
        let (mut memo, mut memo_of_some) = (PageMemo::default(), PageMemo::default());
        let mut found = Vec::new();
        for hit in hits {
            // A hit without a page is given an empty one.
            let page = if hit.page.is_some() { page.clone() } else { Page::default() };
            let mut expected = by_hand(&compiled, &hit, &page);
            compiled.classifier().classify(&mut memo, &hit, &page, &mut found);
            prop_assert_eq!(&found, &expected);
            explained(&compiled, &hit, &page, &expected)?;
            restricted.classify(&mut memo_of_some, &hit, &page, &mut found);
            expected.retain(|id| some.contains(id));
            prop_assert_eq!(&found, &expected);
        }
    }
}

#[test]
fn the_memory_of_pages_is_bounded() {
    let mut memo = PageMemo::default();
    let pages = 3 * mayfly_core::limits::MEMO_PAGES as u64;
    (0..pages).for_each(|key| {
        memo.get(PageKey(key), PageMatch::default);
    });
    assert!(memo.len() <= 2 * mayfly_core::limits::MEMO_PAGES);
    memo.get(PageKey(pages - 1), || panic!("a page just seen is remembered"));
}
