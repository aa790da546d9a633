//! What only the embedded store promises. The rest is in the contract suite.

use std::path::{Path, PathBuf};

use mayfly_core::{Attribute, Day, Hit, HitParts, Page, Partition, Value, Visitor};

use super::*;
use crate::contract::{self, Opener, PARTITION, append, hit, whole_day};
use crate::{Batch, Claim, Finding, ForeignId, LaneId, Leased, Store, ToIntern};

fn folder_of(opener: &Opener) -> PathBuf {
    match &opener.config.url {
        StoreUrl::File(path) => path.clone(),
        StoreUrl::Redis(_) | StoreUrl::Cluster(_) => panic!("an embedded store"),
    }
}

fn inner(store: &Store) -> &EmbeddedStore {
    match store {
        Store::Embedded(store) => store,
        Store::Redis(_) => panic!("an embedded store"),
    }
}

/// Every file of a folder, with its bytes.
fn files_of(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_of(&path));
        } else {
            files.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    files
}

fn files_with(folder: &Path, marker: &str) -> Vec<PathBuf> {
    let holds = |bytes: &[u8]| bytes.windows(marker.len()).any(|w| w == marker.as_bytes());
    files_of(folder).into_iter().filter(|(_, b)| holds(b)).map(|(path, _)| path).collect()
}

/// A hit with a marker among its attributes.
fn marked(day: Day, ordinal: u32, marker: &str) -> Hit {
    let parts = HitParts::clone(&hit(day, ordinal, 5));
    let value = Value::Text(marker.into());
    let attributes = vec![Attribute { name: "m".into(), value }];
    Hit::restore(HitParts { attributes, ..parts })
}

#[tokio::test]
async fn a_folder_is_opened_by_one_process_at_a_time() {
    let opener = Opener::embedded();
    let store = opener.open().await;
    let second = opener.try_open().await;
    assert!(matches!(second, Err(StoreError::Locked { .. })), "{second:?}");
    let clone = store.clone();
    store.close().await.unwrap();
    let again = opener.open().await;
    let closed = clone.catalog(crate::CatalogName::Keys).await;
    assert!(matches!(closed, Err(StoreError::Poisoned)), "{closed:?}");
    drop(again);
}

#[tokio::test]
async fn a_folder_of_another_format_is_refused() {
    let opener = Opener::embedded();
    drop(opener.open().await);
    let format = folder_of(&opener).join("format");
    let stored = std::fs::read(&format).unwrap();
    std::fs::write(&format, b"\x02next").unwrap();
    let newer = opener.try_open().await;
    assert!(matches!(newer, Err(StoreError::Format { found: 2, supported: 1, .. })), "{newer:?}");
    std::fs::write(&format, b"\x010123456789abcdef\n").unwrap();
    let foreign = opener.try_open().await;
    assert!(matches!(foreign, Err(StoreError::Corrupt { .. })), "{foreign:?}");
    std::fs::write(&format, stored).unwrap();
    drop(opener.open().await);
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_an_error() {
    let mut opener = Opener::embedded();
    opener.config.url = StoreUrl::File("/proc/mayfly".into());
    let refused = opener.try_open().await;
    let files = matches!(refused, Err(StoreError::Files { .. } | StoreError::ReadOnly { .. }));
    assert!(files, "{refused:?}");
}

#[test]
fn a_full_disk_has_an_error_of_its_own() {
    let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
    assert!(matches!(keyspaces::files(full()), StoreError::Full { .. }));
    assert!(matches!(keyspaces::engine(fjall::Error::Io(full())), StoreError::Full { .. }));
    assert!(matches!(keyspaces::engine(fjall::Error::Poisoned), StoreError::Poisoned));
}

#[tokio::test]
async fn a_writer_that_died_poisons_the_store() {
    let opener = Opener::embedded();
    let store = opener.open().await;
    let died: Result<()> = inner(&store).write(|_| panic!("a bug")).await;
    assert!(matches!(died, Err(StoreError::Poisoned)), "{died:?}");
    let refused = store.lease_ordinals(PARTITION, 0).await;
    assert!(matches!(refused, Err(StoreError::Poisoned)), "{refused:?}");
    drop(store);
    opener.open().await.lease_ordinals(PARTITION, 0).await.unwrap();
}

#[tokio::test]
async fn a_lease_runs_out() {
    let opener = Opener::embedded();
    let store = opener.open().await;
    let now = opener.noon();
    let first = contract::own(&store, now).await;
    let late = now.plus_secs(60);
    let Leased::Granted(second) = store.lease(PARTITION, None, "b", 60, late).await.unwrap() else {
        panic!("it ran out");
    };
    assert_ne!(first.token, second.token);
    let lost = store.seal(&first, opener.today, crate::EntryId::ZERO).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost { .. })), "{lost:?}");
}

#[tokio::test]
async fn another_page_under_a_key_takes_the_next() {
    let opener = Opener::embedded();
    let store = opener.open().await;
    let day = opener.today;
    let page = |n: u64| Page { url: format!("https://a.example/{n}").into(), ..Page::default() };
    let wanted = page(0);
    let first = wanted.key(store.identity().seed).0;
    for step in 0..8 {
        let values = ToIntern { pages: vec![(&wanted, day, None)], consents: Vec::new() };
        let keys = store.intern(&values).await.unwrap();
        assert_eq!(keys.pages[0].0, first.wrapping_add(step));
        // Another page takes its place, as if it had come first.
        let other = intern::row_for_tests(&page(step + 1), day);
        let key = keys::interned(b'p', first.wrapping_add(step));
        inner(&store)
            .write(move |tx| {
                let pages = tx.keyspaces.make(keys::PAGES)?;
                tx.put(&pages, key, other);
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(store.pages(&keys.pages).await.unwrap(), [Some(page(step + 1))]);
    }
    let values = ToIntern { pages: vec![(&wanted, day, None)], consents: Vec::new() };
    let full = store.intern(&values).await;
    assert!(matches!(full, Err(StoreError::InternFull)), "{full:?}");
}

#[tokio::test]
async fn days_and_records_go_when_their_time_is_over() {
    let opener = Opener::embedded();
    let store = opener.open().await;
    let (today, oldest) = (opener.today, opener.today.minus(89));
    append(&store, 1, opener.noon(), &[hit(oldest, 1, 1), hit(today, 1, 1)]).await;
    let page = |n: u8| Page { url: format!("https://a.example/{n}").into(), ..Page::default() };
    let (old, renewed) = (page(1), page(2));
    for day in [oldest, today] {
        let pages = if day == today {
            vec![(&renewed, day, None)]
        } else {
            vec![(&old, day, None), (&renewed, day, None)]
        };
        store.intern(&ToIntern { pages, consents: Vec::new() }).await.unwrap();
    }
    let keys = [old.key(store.identity().seed), renewed.key(store.identity().seed)];
    let id = ForeignId { space: "crm".into(), hash: 1 };
    let visitor = Visitor { partition: PARTITION, ordinal: 1 };
    let claim = Claim { id: id.clone(), visitor, takes_over: false, until: opener.noon() };
    store.claim_ids(&[claim], opener.noon()).await.unwrap();

    assert!(store.expire(opener.noon()).await.unwrap().is_empty());
    assert_eq!(whole_day(&store, oldest, 9).await.len(), 1, "89 days back is kept");
    let tomorrow = today.plus(1).start();
    let audit = store.audit(tomorrow).await.unwrap();
    let late = |name: &str| Finding::LivesTooLong(name.into());
    let hits = format!("hits-{}", oldest.0);
    assert!(audit.findings.contains(&late(&hits)), "{audit:?}");
    assert!(audit.findings.contains(&late("pages")), "{audit:?}");

    assert_eq!(store.expire(tomorrow).await.unwrap(), [oldest]);
    assert!(whole_day(&store, oldest, 9).await.is_empty(), "90 days back is gone");
    assert_eq!(whole_day(&store, today, 9).await.len(), 1);
    assert_eq!(store.heads(&[PARTITION]).await.unwrap()[0].len(), 1);
    assert_eq!(store.pages(&keys).await.unwrap(), [None, Some(renewed)]);
    assert_eq!(store.lookup_ids(&[id]).await.unwrap(), [None]);
    assert_eq!(store.audit(tomorrow).await.unwrap().findings, []);
}

#[tokio::test]
async fn a_jump_of_the_clock_is_believed_after_a_day_also_across_a_restart() {
    let opener = Opener::embedded();
    let store = opener.open().await;
    append(&store, 1, opener.noon(), &[hit(opener.today, 1, 1)]).await;
    store.expire(opener.noon()).await.unwrap();
    let jump = opener.noon().plus_secs(100 * 86_400);
    assert!(store.expire(jump).await.unwrap().is_empty());
    drop(store);
    let store = opener.open().await;
    assert!(store.expire(jump.plus_secs(86_399)).await.unwrap().is_empty());
    assert_eq!(whole_day(&store, opener.today, 9).await.len(), 1);
    assert_eq!(store.expire(jump.plus_secs(86_400)).await.unwrap(), [opener.today]);
}

#[tokio::test]
async fn what_was_erased_or_expired_leaves_the_files() {
    let opener = Opener::embedded();
    let store = opener.open().await;
    let (oldest, day) = (opener.today.minus(89), opener.today.minus(1));
    let (erased, expired, kept) = ("ERASED-0bd1f0", "EXPIRED-7a81c2", "KEPT-55e1aa");
    append(&store, 1, opener.noon(), &[marked(day, 1, erased), marked(day, 2, kept)]).await;
    append(&store, 2, opener.noon(), &[marked(oldest, 3, expired)]).await;
    let page = Page { url: "https://a.example/EXPIRED-7a81c2".into(), ..Page::default() };
    let pages = vec![(&page, oldest, None)];
    store.intern(&ToIntern { pages, consents: Vec::new() }).await.unwrap();
    let space = ForeignId { space: erased.into(), hash: 1 };
    let visitor = Visitor { partition: PARTITION, ordinal: 1 };
    let claim = Claim { id: space, visitor, takes_over: false, until: opener.noon() };
    store.claim_ids(&[claim], opener.noon()).await.unwrap();
    let folder = folder_of(&opener);
    for marker in [erased, expired, kept] {
        assert!(!files_with(&folder, marker).is_empty(), "{marker} is there at first");
    }
    let lease = contract::own(&store, opener.noon()).await;
    contract::seal_all(&store, &lease, day).await;
    store.expire(opener.noon()).await.unwrap();
    store.erase(&[visitor], opener.noon()).await.unwrap();
    contract::seal_all(&store, &lease, day).await;
    store.expire(opener.noon().plus_secs(86_400)).await.unwrap();
    store.purge().await.unwrap();
    for marker in [erased, expired] {
        assert_eq!(files_with(&folder, marker), [] as [PathBuf; 0], "{marker}");
    }
    assert!(!files_with(&folder, kept).is_empty());
    assert_eq!(whole_day(&store, day, 9).await, [marked(day, 2, kept)]);
    drop(store);
    assert_eq!(whole_day(&opener.open().await, day, 9).await, [marked(day, 2, kept)]);
}

/// Ninety days, each far too small to be written out by itself: the engine would keep all of them
/// in its journal for ever.
#[tokio::test]
async fn many_small_days_are_written_out_so_that_the_journal_can_go() {
    let opener = Opener::embedded();
    let store = opener.open().await;
    let mut noise = vec![0u8; 50 << 10];
    getrandom::fill(&mut noise).unwrap();
    let days = || (0..90).map(|back| opener.today.minus(back));
    let entry = |day| crate::batch::DayEntry { day, hits: 0, bytes: noise.clone() };
    let open = inner(&store).opened().unwrap();
    let written_out = || {
        let log = |day| open.keyspaces.day(keys::Kind::Hits, day).unwrap();
        days().map(log).filter(|k| k.table_count() + k.sealed_memtable_count() > 0).count()
    };
    for number in 1..=4 {
        let mut batch = contract::batch(1, number, opener.today, &[]);
        batch.entries = days().map(entry).collect();
        store.append(&[&batch], opener.noon()).await.unwrap();
        if number == 3 {
            assert_eq!(written_out(), 0, "13 MB are too little");
        }
    }
    // The rotation comes after the answer, but before the next.
    store.lease_ordinals(PARTITION, 0).await.unwrap();
    assert_eq!(written_out(), 90, "18 MB are enough");
}

#[tokio::test]
async fn damaged_entries_are_an_error_and_no_panic() {
    let opener = Opener::embedded();
    let store = opener.open().await;
    let mut batch = Batch::encode(LaneId(1), 1, PARTITION, opener.today, &[]);
    let bytes = vec![1, 2, 3];
    batch.entries = vec![crate::batch::DayEntry { day: opener.today, hits: 1, bytes }];
    store.append(&[&batch], opener.noon()).await.unwrap();
    let read = store.read_new(PARTITION, opener.today, crate::EntryId::ZERO, 1).await;
    assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{read:?}");
    assert_eq!(store.heads(&[Partition(0)]).await.unwrap(), [[]]);
}
