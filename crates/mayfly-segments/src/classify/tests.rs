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

/// Categories in a chain and beside it; the second rule of each only on site two.
fn compiled(rules: &[(String, bool)]) -> Compiled {
    let mut text = "format = 1\n[[site]]\nkey = 'one'\norigins = ['*']\n\
                    [[site]]\nkey = 'two'\norigins = ['*']\n"
        .to_owned();
    for (at, (rule, only_two)) in rules.iter().enumerate() {
        let name = if at % 2 == 0 { format!("c{at}") } else { format!("c{} > d", at - 1) };
        let sites = if *only_two { ", sites = [\"two\"]" } else { "" };
        text +=
            &format!("[[category]]\nname = \"{name}\"\nrules = [{{ rule = \"{rule}\"{sites} }}]\n");
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
    for category in definitions.categories() {
        let meets = category.rules.iter().any(|text| {
            (text.sites.is_empty() || text.sites.contains(&hit.site))
                && Rule::parse(&text.rule).unwrap().holds(&facts)
        });
        if meets || hit.fired.contains(&category.id) {
            found.extend(definitions.line(category.id));
        }
    }
    found.into_iter().collect()
}

/// What is said to have fired gives what was found, and every span lies in its text.
fn explained(
    compiled: &Compiled,
    hit: &Hit,
    page: &Page,
    expected: &[CategoryId],
) -> Result<(), TestCaseError> {
    let [fires, nearly] = compiled.classifier().why(hit, page, 100);
    let line = |id| compiled.definitions().line(id);
    let mut given = BTreeSet::from([CategoryId::ALL]);
    given.extend(fires.iter().flat_map(|fired| line(fired.category)));
    let known = hit.fired.iter().filter(|id| compiled.definitions().category(**id).is_some());
    given.extend(known.flat_map(|id| line(*id)));
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
        rules in prop::collection::vec((rule(), any::<bool>()), 1..8),
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
