//! What changed for whom, as a partner is to be told.

use mayfly_core::Timestamp;

/// A segment as a partner calls it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentKey {
    /// The partner's id or code.
    pub code: Box<str>,
    /// Our name of it.
    pub name: Box<str>,
}

/// A visitor enters a segment, or stays in it for longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Add {
    /// Which, by its place in [`Batch::segments`].
    pub segment: usize,
    /// Seconds from [`Batch::now`] on that he stays at most without another word: until he would
    /// lapse, and no longer than the partner keeps anyone.
    pub ttl_s: u32,
}

/// What changed for one visitor.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UserChange {
    /// The partner's id of him.
    pub uid: Box<str>,
    /// Segments that he enters or stays in.
    pub adds: Vec<Add>,
    /// Segments that he leaves, by their places in [`Batch::segments`].
    pub removes: Vec<usize>,
}

impl UserChange {
    /// How many pairs of visitor and segment change.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.adds.len() + self.removes.len()
    }
}

/// Changes that go at once.
#[derive(Clone, PartialEq, Debug)]
pub struct Batch {
    /// Unique for a destination; the same when it is sent again.
    pub id: Box<str>,
    /// When it is sent: what times to live count from.
    pub now: Timestamp,
    /// The segments that changes refer to.
    pub segments: Vec<SegmentKey>,
    /// The changes, one entry a visitor, in the order of their ids.
    pub changes: Vec<UserChange>,
}

impl Batch {
    /// The code of a segment; empty for a place that is none.
    #[must_use]
    pub fn code(&self, segment: usize) -> &str {
        self.segments.get(segment).map_or("", |own| &own.code)
    }

    /// How many pairs of visitor and segment change.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.changes.iter().map(UserChange::pairs).sum()
    }
}

/// A batch in which everything occurs, to try templates on.
pub(crate) fn sample() -> Batch {
    let segments = ["11", "12"].map(|code| SegmentKey { code: code.into(), name: "fans".into() });
    let enters = UserChange {
        uid: "u1".into(),
        adds: vec![Add { segment: 0, ttl_s: 3600 }],
        removes: vec![1],
    };
    let leaves = UserChange { uid: "u2".into(), adds: Vec::new(), removes: vec![0] };
    Batch {
        id: "sample".into(),
        now: Timestamp::from_secs(1_767_693_600),
        segments: segments.to_vec(),
        changes: vec![enters, leaves],
    }
}
