//! Lines of text layouts.

use std::io;

use serde_json::json;

use super::{FeedLayout, adobe};
use crate::batch::{Batch, UserChange};
use crate::instant::rfc3339;
use crate::xandr_line;

/// What a file begins with.
pub(super) fn header(layout: &FeedLayout) -> &'static [u8] {
    match layout {
        FeedLayout::Csv => b"uid,segment,op,expires\n",
        FeedLayout::Tsv => b"uid\tsegment\top\texpires\n",
        FeedLayout::Jsonl
        | FeedLayout::Parquet
        | FeedLayout::Xandr(_)
        | FeedLayout::Adobe { .. } => b"",
    }
}

/// The lines of one visitor.
pub(super) fn lines(
    layout: &FeedLayout,
    batch: &Batch,
    change: &UserChange,
    is_full: bool,
) -> io::Result<Vec<u8>> {
    match layout {
        FeedLayout::Csv => separated(b',', batch, change),
        FeedLayout::Tsv => separated(b'\t', batch, change),
        FeedLayout::Jsonl => Ok(json_line(batch, change)),
        FeedLayout::Xandr(layout) => {
            let mut text = String::new();
            xandr_line::write(layout, &mut text, batch, change);
            Ok(text.into_bytes())
        }
        FeedLayout::Adobe { .. } => Ok(adobe::lines(batch, change, is_full)),
        // Its rows are columns.
        FeedLayout::Parquet => Ok(Vec::new()),
    }
}

/// Each pair: segment's code, operation, instant of expiry in milliseconds.
pub(super) fn pairs<'b>(
    batch: &'b Batch,
    change: &'b UserChange,
) -> impl Iterator<Item = (&'b str, &'static str, Option<i64>)> {
    let adds = change.adds.iter().map(|add| {
        let expires = batch.now.plus_secs(i64::from(add.ttl_s));
        (batch.code(add.segment), "add", Some(expires.millis()))
    });
    let removes = change.removes.iter().map(|segment| (batch.code(*segment), "remove", None));
    adds.chain(removes)
}

/// Fields are quoted where they must be (RFC 4180).
fn separated(separator: u8, batch: &Batch, change: &UserChange) -> io::Result<Vec<u8>> {
    let mut out = csv::WriterBuilder::new().delimiter(separator).from_writer(Vec::new());
    for (segment, op, expires) in pairs(batch, change) {
        let expires = expires.map(|at| rfc3339(mayfly_core::Timestamp::from_millis(at)));
        let row = [&*change.uid, segment, op, expires.as_deref().unwrap_or_default()];
        out.write_record(row).map_err(io::Error::other)?;
    }
    out.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

fn json_line(batch: &Batch, change: &UserChange) -> Vec<u8> {
    let adds = change.adds.iter().map(|add| {
        let expires = batch.now.plus_secs(i64::from(add.ttl_s));
        json!({"segment": batch.code(add.segment), "expires": rfc3339(expires)})
    });
    let removes = change.removes.iter().map(|segment| batch.code(*segment));
    let row = json!({
        "uid": change.uid,
        "add": adds.collect::<Vec<_>>(),
        "remove": removes.collect::<Vec<_>>(),
    });
    let mut line = row.to_string().into_bytes();
    line.push(b'\n');
    line
}
