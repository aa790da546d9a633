//! Adobe Audience Manager's inbound files.
//!
//! Source: Adobe, "Inbound data file contents", "Amazon S3 name requirements for inbound data
//! files".

use crate::batch::{Batch, UserChange};

/// A line, bytes.
const LINE_BYTES: usize = 102_400;

/// `<id> TAB d_sid=101,d_unsid=102`; what does not fit goes on the visitor's next line. A removal
/// says nothing in a file that replaces what is there.
pub(super) fn lines(batch: &Batch, change: &UserChange, is_full: bool) -> Vec<u8> {
    let adds = change.adds.iter().map(|add| format!("d_sid={}", batch.code(add.segment)));
    let removes = change.removes.iter().filter(|_| !is_full);
    let removes = removes.map(|segment| format!("d_unsid={}", batch.code(*segment)));
    let mut out = Vec::new();
    let mut line = String::new();
    for entry in adds.chain(removes) {
        if !line.is_empty() && line.len() + 1 + entry.len() > LINE_BYTES {
            line.push('\n');
            out.extend_from_slice(line.as_bytes());
            line.clear();
        }
        if line.is_empty() {
            line.push_str(&change.uid);
            line.push('\t');
        } else {
            line.push(',');
        }
        line.push_str(&entry);
    }
    if !line.is_empty() {
        line.push('\n');
        out.extend_from_slice(line.as_bytes());
    }
    out
}

/// Whether an id can stand in a line.
pub(super) fn takes(uid: &str) -> bool {
    let is_plain = uid.bytes().all(|byte| byte.is_ascii_graphic());
    let reserved = [":", "%3A", "%3a", ",", "\""];
    !uid.is_empty() && is_plain && !reserved.iter().any(|text| uid.contains(text))
}
