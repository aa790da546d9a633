use super::*;

const STORE: StoreId = StoreId(7);
const NOW: Timestamp = Timestamp::from_secs(1_000);

fn record(n: u8) -> Record {
    Record { kind: if n.is_multiple_of(2) { Kind::Batch } else { Kind::Values }, bytes: vec![n; 5] }
}

fn open(folder: &Path) -> Spill {
    Spill::open(folder, STORE, limits::SPILL_BYTES, NOW).unwrap().0
}

#[test]
fn a_file_cut_at_every_byte_gives_back_all_whole_records() {
    let folder = tempfile::tempdir().unwrap();
    let records: Vec<_> = (0..5).map(record).collect();
    open(folder.path()).append(&records, NOW).unwrap();
    let path = spill_files(folder.path()).unwrap().remove(0);
    let whole = std::fs::read(&path).unwrap();
    let frame = FRAME_BYTES + 5;
    for cut in 0..=whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let mut spill = open(folder.path());
        let expected = cut.saturating_sub(HEADER_BYTES) / frame;
        assert_eq!(spill.peek(99).unwrap(), records[..expected], "cut at {cut}");
    }
}

#[test]
fn a_flipped_bit_ends_the_file_before_its_record() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).append(&[record(0), record(1), record(2)], NOW).unwrap();
    let path = spill_files(folder.path()).unwrap().remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() - 1 - (FRAME_BYTES + 5);
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(open(folder.path()).peek(99).unwrap(), [record(0)]);
}

#[test]
fn records_leave_in_order_across_files_and_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let mut spill = open(folder.path());
    spill.append(&[record(0), record(1)], NOW).unwrap();
    drop(spill);
    let mut spill = open(folder.path());
    spill.append(&[record(2)], NOW.plus_secs(5)).unwrap();
    assert_eq!(spill_files(folder.path()).unwrap().len(), 2, "a restart begins a new file");
    assert_eq!(spill.oldest(), Some(NOW));
    assert_eq!(spill.peek(1).unwrap(), [record(0)]);
    spill.advance(1).unwrap();
    assert_eq!(spill.peek(9).unwrap(), [record(1)]);
    spill.append(&[record(3)], NOW).unwrap();
    spill.advance(1).unwrap();
    assert_eq!(spill.peek(9).unwrap(), [record(2), record(3)]);
    spill.append(&[record(4)], NOW).unwrap();
    assert_eq!(spill.peek(9).unwrap(), [record(2), record(3), record(4)]);
    spill.advance(3).unwrap();
    assert!(spill.is_empty() && spill_files(folder.path()).unwrap().is_empty());
    spill.append(&[record(5)], NOW).unwrap();
    assert_eq!(spill.peek(9).unwrap(), [record(5)]);
}

#[test]
fn a_full_spill_refuses_and_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let limit = (2 * HEADER_BYTES + FRAME_BYTES + 5) as u64;
    let (mut spill, _) = Spill::open(folder.path(), STORE, limit, NOW).unwrap();
    spill.append(&[record(0)], NOW).unwrap();
    assert!(matches!(spill.append(&[record(1)], NOW), Err(SpillError::Full)));
    assert_eq!(spill.peek(9).unwrap(), [record(0)]);
}

#[test]
fn another_stores_files_are_left_alone_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).append(&[record(0)], NOW).unwrap();
    let (other, aside) = Spill::open(folder.path(), StoreId(8), limits::SPILL_BYTES, NOW).unwrap();
    assert!(other.is_empty());
    assert_eq!(aside.len(), 1);
    assert!(aside[0].exists());
}

#[test]
fn what_the_retention_no_longer_keeps_goes() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).append(&[record(0)], NOW).unwrap();
    let path = spill_files(folder.path()).unwrap().remove(0);
    let written = written(&path).unwrap();
    let opened = |oldest| Spill::open(folder.path(), StoreId(8), limits::SPILL_BYTES, oldest);
    assert_eq!(opened(written).unwrap().1.len(), 1);
    assert!(opened(written.plus_secs(1)).unwrap().1.is_empty());
    assert!(!path.exists());
}
