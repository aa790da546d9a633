//! The catalog and the store's own identity.

use super::Opener;
use crate::{CatalogName, Store, StoreError};

/// Versions count up, history stays, a writer who read an older one is refused.
pub async fn versions_are_kept_and_conflicts_refused(opener: &Opener) {
    let store = opener.open().await;
    let now = opener.noon();
    let (name, other) = (CatalogName::Definitions, CatalogName::Tokens);
    assert_eq!(store.catalog(name).await.unwrap(), None);
    let write = async |store: &Store, expected, text: &str| {
        store.write_catalog(name, expected, text.into(), "ann", now).await
    };
    assert_eq!(write(&store, 0, "one").await.unwrap(), 1);
    let refused = write(&store, 0, "two").await;
    let expected = matches!(refused, Err(StoreError::Conflict { expected: 0, current: 1 }));
    assert!(expected, "{refused:?}");
    assert_eq!(write(&store, 1, "").await.unwrap(), 2);
    let refused = write(&store, 5, "six").await;
    assert!(matches!(refused, Err(StoreError::Conflict { expected: 5, current: 2 })));
    store.write_catalog(other, 0, vec![0; 100_000], "bob", now).await.unwrap();
    drop(store);
    let store = opener.open().await;
    let current = store.catalog(name).await.unwrap().expect("it was written");
    assert_eq!((current.version, current.bytes.len(), &*current.by), (2, 0, "ann"));
    assert_eq!(current.at, now);
    let history = store.catalog_history(name).await.unwrap();
    let texts: Vec<_> = history.iter().map(|v| (v.version, &v.bytes[..])).collect();
    assert_eq!(texts, [(1, &b"one"[..]), (2, b"")]);
    assert_eq!(store.catalog_history(CatalogName::Keys).await.unwrap(), []);
}

/// Made once, the same after reopening; another realm is refused; nothing is made unasked.
pub async fn the_store_keeps_its_identity(opener: &Opener) {
    let mut config = opener.config.clone();
    config.create = false;
    let missing = Store::open(&config, opener.noon()).await;
    assert!(matches!(missing, Err(StoreError::Missing { .. })), "{missing:?}");
    let store = opener.open().await;
    let made = store.identity();
    assert_eq!(made.partitions, config.partitions);
    assert_eq!(made.realm_name, config.realm);
    drop(store);
    let store = Store::open(&config, opener.noon()).await.unwrap();
    assert_eq!(store.identity(), made);
    drop(store);
    config.realm = "other".into();
    let refused = Store::open(&config, opener.noon()).await;
    assert!(matches!(refused, Err(StoreError::OtherRealm { .. })), "{refused:?}");
}

/// Raised for good; anything else is refused.
pub async fn partitions_are_raised_and_never_lowered(opener: &Opener) {
    let store = opener.open().await;
    store.raise_partitions(64).await.unwrap();
    for refused in [0, 16, 63, 64, 2048] {
        let answer = store.raise_partitions(refused).await;
        assert!(matches!(answer, Err(StoreError::Conflict { .. })), "{refused}");
    }
    assert_eq!(store.identity().partitions, 64);
    drop(store);
    assert_eq!(opener.open().await.identity().partitions, 64);
}
