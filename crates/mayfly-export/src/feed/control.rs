//! The control file of a set: what each part is, and all of them together.
//!
//! Source: Adobe, "Transfer control files", the best public model of one; the hash is of the part as
//! it lies there.

use serde_json::json;

use super::Part;

/// Its bytes.
pub(super) fn file(stem: &str, parts: &[Part]) -> Vec<u8> {
    let rows = parts.iter().zip(1..).map(|(part, number)| {
        json!({
            "FileByteSize": part.bytes,
            "FileLineCount": part.lines,
            "FileName": part.name,
            "FileSequenceNumber": number,
            "sha256": part.sha256,
        })
    });
    let all = json!({
        "Files": rows.collect::<Vec<_>>(),
        "Totals": {
            "FileName": stem,
            "TotalByteSize": parts.iter().map(|part| part.bytes).sum::<u64>(),
            "TotalNumberFiles": parts.len(),
            "TotalNumberLines": parts.iter().map(|part| part.lines).sum::<u64>(),
        },
    });
    all.to_string().into_bytes()
}
