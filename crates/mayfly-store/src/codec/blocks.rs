//! Sealed blocks: a day's hits sorted by visitor and time, about [`limits::BLOCK_HITS`] a block.

use std::collections::BTreeSet;

use mayfly_core::{Hit, Ordinal, PageKey, limits};
use roaring::RoaringBitmap;

use super::hits;
use crate::day::Sealed;

/// What sealing writes: each block under its first ordinal, ascending, and the counts.
pub(crate) struct Blocks {
    /// First ordinal and bytes.
    pub(crate) blocks: Vec<(Ordinal, Vec<u8>)>,
    /// What the caller of `seal` is told.
    pub(crate) sealed: Sealed,
    /// What the erased had read.
    pub(crate) dropped: BTreeSet<(PageKey, Ordinal)>,
}

/// Sorts a day's hits (old blocks' first, then the log's) into blocks, the erased left out. A
/// visitor's hits of a day never stand in two blocks; hits of one second keep their order.
pub(crate) fn seal(mut hits: Vec<Hit>, erased: &RoaringBitmap) -> Blocks {
    let all = hits.len();
    let mut dropped = BTreeSet::new();
    hits.retain(|hit| {
        let is_erased = erased.contains(hit.visitor.ordinal);
        dropped.extend(hit.page.filter(|_| is_erased).map(|page| (page, hit.visitor.ordinal)));
        !is_erased
    });
    hits.sort_by_key(|hit| (hit.visitor.ordinal, hit.time));
    let mut blocks = Vec::new();
    let mut block: Vec<&Hit> = Vec::new();
    for of_visitor in hits.chunk_by(|a, b| a.visitor.ordinal == b.visitor.ordinal) {
        block.extend(of_visitor);
        if block.len() >= limits::BLOCK_HITS {
            blocks.extend(encode(&block));
            block.clear();
        }
    }
    blocks.extend(encode(&block));
    let sealed = Sealed {
        hits: hits.len() as u64,
        dropped: (all - hits.len()) as u64,
        blocks: blocks.len() as u32,
    };
    Blocks { blocks, sealed, dropped }
}

fn encode(block: &[&Hit]) -> Option<(Ordinal, Vec<u8>)> {
    block.first().map(|first| (first.visitor.ordinal, hits::encode(block)))
}
