//! Reading the store: consistent views that wait for no writer.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard};

use lf_proto::genesis::GenesisParameters;
use lf_proto::hash::Hash;
use lf_proto::owner::OwnerPublic;
use lf_proto::pulse::Pulse;
use lf_proto::record::Record;
use lf_proto::selector::SelectorKey;

use crate::apply::{IndexError, Network, Stored};
use crate::certs::Root;
use crate::engine::{Engine, Snapshot};
use crate::filter::Filter;
use crate::log::{LogPosition, LogReader, LogStats};
use crate::rows::{
    Claim, LinkedRow, Meta, OwnerTotals, PendingRow, Row, RowError, Standing, Successor, contested_of,
    index_of, key, token_of,
};
use crate::tips::Tips;
use crate::txn::prefix_last;
use crate::weights::Weights;

/// Reputation of a record whose owner holds its id.
pub const REPUTATION_GOOD: u8 = 63;
/// Reputation of a record that links to one newer than itself by more than the network's drift.
pub const REPUTATION_TEMPORAL_VIOLATION: u8 = 48;
/// Reputation of a record whose id another owner claimed first.
pub const REPUTATION_COLLISION: u8 = 0;

/// The part of the graph that lives in memory.
#[derive(Default)]
pub(crate) struct Graph {
    pub(crate) weights: Weights,
    pub(crate) tips: Tips,
}

/// What writer and readers share.
pub(crate) struct Shared {
    pub(crate) engine: RwLock<Arc<dyn Engine>>,
    pub(crate) graph: RwLock<Graph>,
    /// How many records the graph has, for those who need nothing else of it: a view must not wait for the writer.
    pub(crate) horizon: AtomicU32,
    /// Hashes of all stored records, and the ids they claim.
    pub(crate) filter: Filter,
    pub(crate) log: LogReader,
    pub(crate) network: RwLock<Network>,
    /// A reader found the index damaged: the writer makes it again.
    pub(crate) damage_seen: AtomicBool,
}

impl Shared {
    /// The graph has this record now: readers may see it.
    pub(crate) fn show(&self, index: u32) {
        self.horizon.fetch_max(index + 1, Ordering::Release);
    }
}

/// Reads a lock that a panicked thread may have left: what it guards is only ever replaced whole or grown.
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Reads the store from any thread. Cheap to clone.
#[derive(Clone)]
pub struct StoreReader {
    pub(crate) shared: Arc<Shared>,
}

/// Counts of a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Linked records.
    pub linked: u32,
    /// Their bytes.
    pub linked_bytes: u64,
    /// Records that wait for others they link to.
    pub pending: u64,
    /// Linked records with a name that nobody holds: rivals came before either was linked (NODE.md §3).
    pub contested: u64,
}

impl StoreReader {
    /// A consistent view of what is stored now.
    pub fn view(&self) -> View {
        // The horizon first: rows that the snapshot has beyond it do not have their weights yet.
        let horizon = self.shared.horizon.load(Ordering::Acquire);
        let snapshot = read(&self.shared.engine).snapshot();
        View::new(snapshot, Arc::clone(&self.shared), horizon)
    }

    /// The network's current parameters.
    pub fn parameters(&self) -> GenesisParameters {
        read(&self.shared.network).parameters.clone()
    }

    /// Whether the network has, or had, authorities that issue certificates.
    pub fn has_authorities(&self) -> bool {
        !read(&self.shared.network).roots.is_empty()
    }

    /// The owner of the network's genesis records.
    pub fn genesis_owner(&self) -> OwnerPublic {
        read(&self.shared.network).owner
    }

    /// Up to `count` hashes for a new record to link to, ascending (NODE.md §4). `random(n)` gives a number below n.
    ///
    /// # Errors
    /// The index failed.
    pub fn links(&self, count: usize, random: impl FnMut(u64) -> u64) -> Result<Vec<Hash>, IndexError> {
        let picked = read(&self.shared.graph).tips.pick(count, random);
        let view = self.view();
        let mut hashes = Vec::with_capacity(picked.len());
        for index in picked {
            // What is being linked this moment may be a tip already though the horizon does not show it: its row is there.
            let linked = view.decoded(&key::linked(index), LinkedRow::decode)?;
            hashes.extend(linked.map(|linked| linked.row.hash));
        }
        hashes.sort_unstable();
        Ok(hashes)
    }

    /// How many records of good reputation nothing links to yet.
    pub fn tips(&self) -> usize {
        read(&self.shared.graph).tips.count_unlinked()
    }

    /// The log's size.
    pub fn log_stats(&self) -> LogStats {
        self.shared.log.stats()
    }

    /// Bytes of memory that weights take.
    pub fn graph_bytes(&self) -> usize {
        read(&self.shared.graph).weights.memory_bytes()
    }
}

/// Owners of one name: what their records weigh together, and the lowest of their hashes.
type Rivals = HashMap<OwnerPublic, (u128, Hash)>;

/// The store at one moment.
pub struct View {
    snapshot: Box<dyn Snapshot>,
    shared: Arc<Shared>,
    horizon: u32,
}

impl View {
    /// Tells the writer when the index is damaged.
    pub(crate) fn noted(&self, e: impl Into<IndexError>) -> IndexError {
        let e = e.into();
        if e.is_damage() {
            self.shared.damage_seen.store(true, Ordering::Relaxed);
        }
        e
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        self.snapshot.get(key).map_err(|e| self.noted(e))
    }

    /// Whether the network has, or had, authorities that issue certificates.
    pub fn has_authorities(&self) -> bool {
        !self.roots().is_empty()
    }

    /// The root authorities that were ever named.
    pub(crate) fn roots(&self) -> Arc<Vec<Root>> {
        Arc::clone(&read(&self.shared.network).roots)
    }

    pub(crate) fn range<'a>(
        &'a self,
        first: &[u8],
        last: &[u8],
    ) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), IndexError>> + use<'a> {
        self.snapshot.range(first, last).map(|pair| pair.map_err(|e| self.noted(e)))
    }

    /// A row of the index, decoded.
    pub(crate) fn decoded<T>(
        &self,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> Result<T, RowError>,
    ) -> Result<Option<T>, IndexError> {
        self.get(key)?.map(|value| decode(&value)).transpose().map_err(|e| self.noted(e))
    }

    pub(crate) fn new(snapshot: Box<dyn Snapshot>, shared: Arc<Shared>, horizon: u32) -> Self {
        View { snapshot, shared, horizon }
    }

    /// The number of linked records this view shows: indexes are below it.
    pub fn linked(&self) -> u32 {
        self.horizon
    }

    /// Counts of this view.
    ///
    /// # Errors
    /// The index failed.
    pub fn totals(&self) -> Result<Totals, IndexError> {
        let meta = self.decoded(&key::meta(), Meta::decode)?.unwrap_or_default();
        Ok(Totals {
            linked: meta.linked,
            linked_bytes: meta.linked_bytes,
            pending: meta.pending,
            contested: meta.contested,
        })
    }

    /// How a record stands; `None` if it is not stored.
    ///
    /// # Errors
    /// The index failed.
    pub fn standing(&self, hash: &Hash) -> Result<Option<Stored>, IndexError> {
        if !self.shared.filter.may_have(&hash.0) {
            return Ok(None);
        }
        let standing = self.decoded(&key::standing(hash), Standing::decode)?;
        Ok(standing.map(|s| match s {
            Standing::Linked { index, .. } if index < self.horizon => Stored::Linked(index),
            _ => Stored::Pending,
        }))
    }

    /// The row of a linked record.
    ///
    /// # Errors
    /// The index failed.
    pub fn row(&self, index: u32) -> Result<Option<Row>, IndexError> {
        if index >= self.horizon {
            return Ok(None);
        }
        Ok(self.decoded(&key::linked(index), LinkedRow::decode)?.map(|linked| linked.row))
    }

    /// The hash of a linked record.
    ///
    /// # Errors
    /// The index failed, or there is no such record.
    pub fn linked_hash(&self, index: u32) -> Result<Hash, IndexError> {
        self.row(index)?.map(|row| row.hash).ok_or_else(|| RowError('r').into())
    }

    /// Rows of linked records, by index, from `first` on.
    pub fn rows_from(&self, first: u32) -> impl Iterator<Item = Result<Row, IndexError>> + use<'_> {
        self.linked_from(first).map(|linked| Ok(linked?.0))
    }

    /// Rows of linked records with the indexes of what each links to, by index, from `first` on.
    pub fn linked_from(
        &self,
        first: u32,
    ) -> impl Iterator<Item = Result<(Row, Vec<u32>), IndexError>> + use<'_> {
        // None if there is nothing to see, which a range cannot say.
        let last = self.horizon.checked_sub(1).filter(|last| first <= *last);
        last.into_iter().flat_map(move |last| {
            self.range(&key::linked(first), &key::linked(last)).map(|pair| {
                let linked = LinkedRow::decode(&pair?.1).map_err(|e| self.noted(e))?;
                Ok((linked.row, linked.links))
            })
        })
    }

    /// The row of a stored record, linked or pending.
    ///
    /// # Errors
    /// The index failed.
    pub fn row_of(&self, hash: &Hash) -> Result<Option<Row>, IndexError> {
        match self.decoded(&key::standing(hash), Standing::decode)? {
            None => Ok(None),
            Some(Standing::Linked { index, .. }) => {
                let linked = self.decoded(&key::linked(index), LinkedRow::decode)?;
                Ok(Some(linked.ok_or_else(|| self.noted(RowError('r')))?.row))
            }
            Some(Standing::Pending) => {
                let pending = self.decoded(&key::pending(hash), PendingRow::decode)?;
                Ok(Some(pending.ok_or_else(|| self.noted(RowError('p')))?.row))
            }
        }
    }

    /// A stored record, read from the log and checked; `None` if the log's entry is damaged.
    pub fn record(&self, row: &Row) -> Option<Record> {
        let entry = self.shared.log.read(LogPosition(row.position)).ok()?;
        Record::decode(&entry.payload).ok().filter(|r| r.hash() == row.hash)
    }

    /// A stored record's bytes; `None` if the log's entry is damaged.
    pub fn record_bytes(&self, row: &Row) -> Option<Vec<u8>> {
        self.shared.log.read(LogPosition(row.position)).ok().map(|entry| entry.payload.to_vec())
    }

    /// The exact weight of a linked record.
    pub fn weight(&self, index: u32) -> u128 {
        read(&self.shared.graph).weights.weight(index).unwrap_or(0)
    }

    /// The local reputation of a stored record (NODE.md §3): 63, 48 or 0.
    ///
    /// # Errors
    /// The index failed.
    pub fn reputation(&self, row: &Row) -> Result<u8, IndexError> {
        if !row.selectors.is_empty() {
            match self.decoded(&key::claim(&row.id), Claim::decode)? {
                Some(Claim::Held { owner, .. }) if owner == row.owner => {}
                _ => return Ok(REPUTATION_COLLISION),
            }
        }
        Ok(if row.temporal_violation { REPUTATION_TEMPORAL_VIOLATION } else { REPUTATION_GOOD })
    }

    /// The owner who came first under an id, if one did.
    ///
    /// # Errors
    /// The index failed.
    pub fn holder(&self, id: &[u8; 32]) -> Result<Option<OwnerPublic>, IndexError> {
        Ok(match self.decoded(&key::claim(id), Claim::decode)? {
            Some(Claim::Held { owner, .. }) => Some(owner),
            _ => None,
        })
    }

    /// Indexes of linked records whose selector at `position` has a key from `first` to `last`, both included; by key,
    /// then by index.
    pub fn by_selector<'a>(
        &'a self,
        position: u8,
        first: &SelectorKey,
        last: &SelectorKey,
    ) -> impl Iterator<Item = Result<u32, IndexError>> + use<'a> {
        let pairs = self.range(&key::selector(position, first, 0), &key::selector(position, last, u32::MAX));
        let horizon = self.horizon;
        pairs.filter_map(move |pair| match pair {
            Ok((key, _)) => match index_of(&key) {
                Some(index) if index < horizon => Some(Ok(index)),
                Some(_) => None,
                None => Some(Err(self.noted(RowError('s')))),
            },
            Err(e) => Some(Err(e)),
        })
    }

    /// Up to `count` pulse tokens of linked records whose timestamps are from `first` to `last`, both included; with
    /// the timestamps, in their order.
    ///
    /// # Errors
    /// The index failed.
    pub fn tokens_between(&self, first: u64, last: u64, count: usize) -> Result<Vec<(u64, u64)>, IndexError> {
        let mut tokens = Vec::new();
        for pair in self.range(&key::token(first, 0), &key::token(last, u64::MAX)).take(count) {
            let (key, _) = pair?;
            tokens.push(token_of(&key).ok_or_else(|| self.noted(RowError('t')))?);
        }
        Ok(tokens)
    }

    /// Whether a linked record whose timestamp is from `first` to `last`, both included, has this pulse token. Looks
    /// for each second.
    ///
    /// # Errors
    /// The index failed.
    pub fn has_token_between(&self, token: u64, first: u64, last: u64) -> Result<bool, IndexError> {
        for timestamp in first..=last {
            if self.get(&key::token(timestamp, token))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Indexes of linked records of a type that is not data, in order.
    ///
    /// # Errors
    /// The index failed.
    pub fn of_type(&self, record_type: u8) -> Result<Vec<u32>, IndexError> {
        self.of_type_from(record_type, 0)
    }

    /// As [`View::of_type`], from an index on.
    ///
    /// # Errors
    /// The index failed.
    pub fn of_type_from(&self, record_type: u8, first: u32) -> Result<Vec<u32>, IndexError> {
        let mut indexes = Vec::new();
        for pair in self.range(&key::special(record_type, first), &key::special(record_type, u32::MAX)) {
            let (key, _) = pair?;
            indexes.extend(index_of(&key).filter(|i| *i < self.horizon));
        }
        Ok(indexes)
    }

    /// The latest pulse of a token.
    ///
    /// # Errors
    /// The index failed.
    pub fn pulse(&self, token: u64) -> Result<Option<Pulse>, IndexError> {
        Ok(self.get(&key::pulse(token))?.and_then(|v| Pulse::from_bytes(&v).ok()))
    }

    /// What an owner has linked here.
    ///
    /// # Errors
    /// The index failed.
    pub fn owner_totals(&self, owner: &OwnerPublic) -> Result<OwnerTotals, IndexError> {
        let totals = self.decoded(&key::owner(owner), OwnerTotals::decode)?;
        Ok(totals.unwrap_or_default())
    }

    /// Owners of commentary that says this owner's records with this id collide with a claimed id.
    ///
    /// # Errors
    /// The index failed.
    pub fn comments(&self, id: &[u8; 32], owner: &OwnerPublic) -> Result<Vec<OwnerPublic>, IndexError> {
        let prefix = key::comments_on(id, owner);
        let mut oracles = Vec::new();
        for pair in self.range(&prefix, &prefix_last(&prefix)) {
            let (key, _) = pair?;
            let oracle = key.get(prefix.len()..).unwrap_or_default();
            oracles.push(OwnerPublic::from_bytes(oracle).map_err(|_| self.noted(RowError('k')))?);
        }
        Ok(oracles)
    }

    /// Who has taken an owner's place by that owner's own statement: the first one linked here.
    ///
    /// # Errors
    /// The index failed.
    pub fn successor(&self, owner: &OwnerPublic) -> Result<Option<Successor>, IndexError> {
        let found = self.decoded(&key::successor(owner), Successor::decode)?;
        // Rows beyond the graph's horizon do not exist yet.
        Ok(found.filter(|successor| successor.index < self.linked()))
    }

    /// Who should hold contested names: of the rivals with linked records the one whose records with the name weigh most
    /// in sum, of equals the one with the lowest hash among them (NODE.md §3). Up to `count` names, by id.
    ///
    /// # Errors
    /// The index failed.
    pub(crate) fn heaviest_rivals(&self, count: usize) -> Result<Vec<([u8; 32], OwnerPublic)>, IndexError> {
        let mut names: Vec<([u8; 32], Rivals)> = Vec::new();
        for pair in self.range(b"z", &prefix_last(b"z")) {
            let (key, _) = pair?;
            let (id, index) = contested_of(&key).ok_or_else(|| self.noted(RowError('z')))?;
            if index >= self.horizon {
                continue;
            }
            if names.last().is_none_or(|(last, _)| *last != id) {
                if names.len() == count {
                    break;
                }
                names.push((id, HashMap::new()));
            }
            let row = self.row(index)?.ok_or_else(|| self.noted(RowError('r')))?;
            if let Some((_, rivals)) = names.last_mut() {
                let (sum, lowest) = rivals.entry(row.owner).or_insert((0, row.hash));
                *sum = sum.saturating_add(self.weight(index));
                *lowest = row.hash.min(*lowest);
            }
        }
        let heaviest =
            |rivals: Rivals| rivals.into_iter().max_by_key(|(_, (sum, lowest))| (*sum, Reverse(*lowest)));
        Ok(names.into_iter().filter_map(|(id, rivals)| Some((id, heaviest(rivals)?.0))).collect())
    }

    /// Up to `count` hashes that stored records link to and that are not stored, ascending, above `after`.
    ///
    /// # Errors
    /// The index failed.
    pub fn wanted(&self, after: &Hash, count: usize) -> Result<Vec<Hash>, IndexError> {
        let mut wanted: Vec<Hash> = Vec::new();
        for pair in self.range(&prefix_last(&key::waiting_for(after)), &prefix_last(b"w")) {
            let (key, _) = pair?;
            let missing: [u8; 32] =
                key.get(1..33).and_then(|b| b.try_into().ok()).ok_or_else(|| self.noted(RowError('w')))?;
            let missing = Hash(missing);
            if wanted.last() == Some(&missing) || self.get(&key::standing(&missing))?.is_some() {
                continue;
            }
            if wanted.len() == count {
                break;
            }
            wanted.push(missing);
        }
        Ok(wanted)
    }
}
