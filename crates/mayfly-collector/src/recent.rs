//! A bounded map of what was used lately: two generations, the older dropped whole.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Remembers at most `limit` entries. What was read or written within the last `limit / 2`
/// insertions is there; what is older may be gone.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Hash + Eq, V> Recent<K, V> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: (limit / 2).max(1) }
    }

    /// The entry, which becomes young again.
    pub(crate) fn get<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            return Some(self.insert_new(key, value));
        }
        self.young.get_mut(key)
    }

    /// Writes an entry.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.old.remove(&key);
        self.insert_new(key, value);
    }

    /// Everything remembered, in no order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.young.values().chain(self.old.values())
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    fn insert_new(&mut self, key: K, value: V) -> &mut V {
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.entry(key).insert_entry(value).into_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_size_is_bounded() {
        let mut recent = Recent::new(100);
        for i in 0..10_000 {
            recent.insert(i, i);
            assert!(recent.get(&0).is_some(), "used all the time");
            assert!(recent.young.len() + recent.old.len() <= 100);
        }
        assert_eq!(recent.get(&1), None);
        assert_eq!(recent.get(&9_999), Some(&mut 9_999));
    }
}
