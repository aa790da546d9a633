//! The control file of a set: what each part is, and all of them together.
//!
//! Source: Adobe, "Transfer control files", the best public model of one; the hash is of the part as
//! it lies there.

use mayfly_core::Timestamp;
use serde_json::json;

use super::{About, Part};
use crate::instant::rfc3339;

/// Its bytes.
pub(super) fn file(stem: &str, parts: &[Part], about: Option<&About>) -> Vec<u8> {
    let rows = parts.iter().zip(1..).map(|(part, number)| {
        json!({
            "FileByteSize": part.bytes,
            "FileLineCount": part.lines,
            "FileName": part.name,
            "FileSequenceNumber": number,
            "sha256": part.sha256,
        })
    });
    let mut all = json!({
        "Files": rows.collect::<Vec<_>>(),
        "Totals": {
            "FileName": stem,
            "TotalByteSize": parts.iter().map(|part| part.bytes).sum::<u64>(),
            "TotalNumberFiles": parts.len(),
            "TotalNumberLines": parts.iter().map(|part| part.lines).sum::<u64>(),
        },
    });
    if let Some(own) = about {
        let text = |ms| rfc3339(Timestamp::from_millis(ms));
        all["realm"] = json!(own.realm);
        all["definitions"] = json!(own.version);
        all["as_of"] = json!(text(own.as_of_ms));
        all["delete_by"] = json!(text(own.delete_by_ms));
        all["delete_by_ms"] = json!(own.delete_by_ms);
    }
    all.to_string().into_bytes()
}
