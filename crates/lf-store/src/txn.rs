//! A batch of index changes in the making: reads see what was changed before, nothing else does until it is committed.

use std::collections::BTreeMap;

use crate::engine::{Change, EngineError, Snapshot};

/// Changes over a snapshot.
pub(crate) struct Txn {
    snapshot: Box<dyn Snapshot>,
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Txn {
    pub(crate) fn new(snapshot: Box<dyn Snapshot>) -> Self {
        Txn { snapshot, changes: BTreeMap::new() }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        match self.changes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.snapshot.get(key),
        }
    }

    pub(crate) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.insert(key, Some(value));
    }

    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.changes.insert(key, None);
    }

    /// All pairs whose key begins with `prefix`, ascending.
    #[allow(clippy::type_complexity)]
    pub(crate) fn prefix(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, EngineError> {
        let last = prefix_last(prefix);
        let mut merged: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for pair in self.snapshot.range(prefix, &last) {
            let (key, value) = pair?;
            merged.insert(key, value);
        }
        for (key, value) in self.changes.range(prefix.to_vec()..=last) {
            match value {
                Some(value) => merged.insert(key.clone(), value.clone()),
                None => merged.remove(key),
            };
        }
        Ok(merged.into_iter().collect())
    }

    /// The number of changes so far.
    pub(crate) fn len(&self) -> usize {
        self.changes.len()
    }

    pub(crate) fn into_changes(self) -> Vec<Change> {
        self.changes.into_iter().collect()
    }
}

/// A key at or after all keys of this index that begin with `prefix`: none is longer than 200 bytes.
pub(crate) fn prefix_last(prefix: &[u8]) -> Vec<u8> {
    let mut last = prefix.to_vec();
    last.resize(prefix.len() + 200, 0xff);
    last
}
