//! Who: realms, partitions, ordinals, visitors; and the stable numbers of categories and segments.

use std::fmt;
use std::str::FromStr;

use crate::limits;

/// One legal controller's visitor space. A store holds exactly one; nothing crosses realms.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RealmId(pub u32);

/// Random id made with the store. A cookie of another store id counts as none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StoreId(pub u64);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A slice of the visitor space; a small DMP of its own, in one Redis Cluster slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Partition(pub u16);

/// A visitor's dense number inside its partition; never reused.
pub type Ordinal = u32;

/// One browser or device: never an e-mail, never an address. Printed `partition.ordinal`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Visitor {
    /// The partition that holds everything about it.
    pub partition: Partition,
    /// Its number there.
    pub ordinal: Ordinal,
}

impl fmt::Display for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.partition.0, self.ordinal)
    }
}

/// The text is not `partition.ordinal`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotAVisitor;

impl FromStr for Visitor {
    type Err = NotAVisitor;

    fn from_str(text: &str) -> Result<Self, NotAVisitor> {
        let (p, o) = text.split_once('.').ok_or(NotAVisitor)?;
        let partition: u16 = p.parse().map_err(|_| NotAVisitor)?;
        let ordinal = o.parse().map_err(|_| NotAVisitor)?;
        if partition >= limits::PARTITIONS_MAX {
            return Err(NotAVisitor);
        }
        Ok(Self { partition: Partition(partition), ordinal })
    }
}

/// A node of the taxonomy; stable, never reused. [`CategoryId::ALL`] = every admitted hit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CategoryId(pub u32);

impl CategoryId {
    /// Category 0: every admitted hit falls in it.
    pub const ALL: Self = Self(0);
}

/// A segment's stable number, never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SegmentId(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visitors_read_what_they_print() {
        let v = Visitor { partition: Partition(3), ordinal: 17 };
        assert_eq!(v.to_string().parse(), Ok(v));
        for bad in ["", "3", "3.", ".3", "70000.1", "9999.1", "1.4294967296", "a.b", "1.2.3"] {
            assert_eq!(bad.parse::<Visitor>(), Err(NotAVisitor), "{bad}");
        }
    }
}
