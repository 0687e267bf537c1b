//! A batch of index changes in the making: reads see what was changed before, nothing else does until it is committed.

use std::collections::{BTreeMap, HashMap};

use crate::engine::{Change, EngineError, Snapshot};
use crate::rows::key;

/// Changes over a snapshot.
pub(crate) struct Txn {
    snapshot: Box<dyn Snapshot>,
    /// Changes of tables that are searched by prefix.
    ordered: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// All others, where most are: sorting these would take longer than all else that is done here.
    changes: HashMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Txn {
    pub(crate) fn new(snapshot: Box<dyn Snapshot>) -> Self {
        Txn { snapshot, ordered: BTreeMap::new(), changes: HashMap::new() }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let changed =
            if key::is_searched_by_prefix(key) { self.ordered.get(key) } else { self.changes.get(key) };
        match changed {
            Some(value) => Ok(value.clone()),
            None => self.snapshot.get(key),
        }
    }

    fn change(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        if key::is_searched_by_prefix(&key) {
            self.ordered.insert(key, value);
        } else {
            self.changes.insert(key, value);
        }
    }

    pub(crate) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.change(key, Some(value));
    }

    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.change(key, None);
    }

    /// All pairs whose key begins with `prefix`, ascending; of a table that is searched by prefix.
    #[allow(clippy::type_complexity)]
    pub(crate) fn prefix(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, EngineError> {
        debug_assert!(key::is_searched_by_prefix(prefix));
        let last = prefix_last(prefix);
        let mut merged: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for pair in self.snapshot.range(prefix, &last) {
            let (key, value) = pair?;
            merged.insert(key, value);
        }
        for (key, value) in self.ordered.range(prefix.to_vec()..=last) {
            match value {
                Some(value) => merged.insert(key.clone(), value.clone()),
                None => merged.remove(key),
            };
        }
        Ok(merged.into_iter().collect())
    }

    /// The number of changes so far.
    pub(crate) fn len(&self) -> usize {
        self.changes.len() + self.ordered.len()
    }

    /// All changes, in the order of their keys: the engine finds the place of each beside that of the one before.
    pub(crate) fn into_changes(self) -> Vec<Change> {
        drop(self.snapshot);
        let mut changes: Vec<Change> = self.changes.into_iter().chain(self.ordered).collect();
        changes.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        changes
    }
}

/// A key at or after all keys of this index that begin with `prefix`: none is longer than 200 bytes.
pub(crate) fn prefix_last(prefix: &[u8]) -> Vec<u8> {
    let mut last = prefix.to_vec();
    last.resize(prefix.len() + 200, 0xff);
    last
}
