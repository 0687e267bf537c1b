//! The store: log, index and graph as one thing with one writer.
//!
//! A batch is appended to the log, made durable, applied to the index, and only then acknowledged. The index and the
//! graph are derived: whatever of them a crash or damage costs is made again from the log when the store opens.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use lf_proto::genesis::Genesis;
use lf_proto::hash::Hash;
use lf_proto::owner::OwnerPublic;
use lf_proto::pulse::Pulse;
use lf_proto::record::{DecodeError, Record, RecordType};
use lf_proto::selector::{RecoveredSelector, recover_all};

use crate::apply::{Applier, IndexError, Network, NewlyLinked, Recent, Stored, row_of};
use crate::checkpoint;
use crate::engine::{
    ClosedEngine, DiskPlace, Engine, EngineError, EngineErrorKind, EnginePlace, MemoryPlace,
};
use crate::event::Event;
use crate::filter::Filter;
use crate::graph::{self, Growth, Step};
use crate::log::{DamageKind, Entry, EntryKind, Log, LogError, LogOptions, LogPosition, LogReader};
use crate::rows::{Claim, LinkedRow, Meta, PendingRow, Row, RowError, index_of, key};
use crate::storage::Storage;
use crate::txn::Txn;
use crate::view::{Graph, Shared, StoreReader, View, read};

/// Below this many free bytes the store takes nothing more (NODE.md §9).
pub const FREE_BYTES_MIN: u64 = 64 << 20;
/// See [`StoreOptions::checkpoint_records_min`].
const CHECKPOINT_RECORDS_MIN: u32 = 100_000;
/// Log entries read ahead and prepared on all cores while the log is applied again.
const REPLAY_ENTRIES: usize = 4_096;
/// Log entries prepared together.
const PREPARE_ENTRIES: usize = 64;
/// Bytes of the log read ahead while it is applied again.
const REPLAY_BYTES: usize = 8 << 20;
/// Bytes of records and pulses written to the log with one fsync.
const COMMIT_BYTES: usize = 16 << 20;
/// How long an index that must be opened again waits for the views that are in use.
const VIEWS_WAIT: Duration = Duration::from_secs(2);
/// Records whose loss a note at opening names; more are only counted.
const LOST_NAMED: usize = 20;
/// Notes about entries that cannot be used, at most.
const NOTES_MAX: usize = 1_000;

/// Records that may wait for links, at most (NODE.md §9).
pub const PENDING_RECORDS_MAX: u64 = 1 << 18;
/// Bytes of records that may wait for links, at most.
pub const PENDING_BYTES_MAX: u64 = 512 << 20;

/// Set in a log entry of a record whose work was checked and holds.
const ENTRY_WORK_VERIFIED: u8 = 1;

/// Why the store did not do as asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk is (almost) full: nothing is accepted until there is space again.
    #[error("disk is almost full ({} MiB free, {} MiB needed): writing has stopped, reading goes on; free some space",
        free_bytes >> 20, needed_bytes >> 20)]
    DiskFull {
        /// Free bytes.
        free_bytes: u64,
        /// Free bytes needed to write.
        needed_bytes: u64,
    },
    /// The log failed.
    #[error("{}", chain(.0.as_ref()))]
    Log(#[from] Arc<LogError>),
    /// The index failed.
    #[error(transparent)]
    Index(IndexError),
    /// Too many records wait for links: a record whose links are not all here is not taken.
    #[error("{records} records ({} MiB) wait for records they link to, no more can: store what they link to first",
        bytes >> 20)]
    PendingFull {
        /// Records that wait.
        records: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Making data durable failed: only a new start can tell what is on the disk.
    #[error(
        "the disk failed to keep what was written ({0}): nothing more is stored until the node is started again; reading goes on"
    )]
    Stopped(String),
    /// The directory holds another network's records.
    #[error(
        "the records in this home are of another network: genesis record {0} is not among them; put the genesis.lf \
         back that they began with, or give another home with --path"
    )]
    OtherNetwork(Hash),
    /// A file operation failed.
    #[error("store: {0}")]
    Io(String),
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
}

impl From<LogError> for StoreError {
    fn from(e: LogError) -> Self {
        match e {
            e if e.is_storage_full() => StoreError::DiskFull { free_bytes: 0, needed_bytes: FREE_BYTES_MIN },
            LogError::Poisoned(why) => StoreError::Stopped(why),
            e => StoreError::Log(Arc::new(e)),
        }
    }
}

impl From<IndexError> for StoreError {
    fn from(e: IndexError) -> Self {
        match e {
            IndexError::Engine(e) if e.kind() == EngineErrorKind::DiskFull => {
                StoreError::DiskFull { free_bytes: 0, needed_bytes: FREE_BYTES_MIN }
            }
            e => StoreError::Index(e),
        }
    }
}

impl StoreError {
    /// Whether the index does not read back and must be made again.
    fn is_index_damage(&self) -> bool {
        matches!(self, StoreError::Index(e) if e.is_damage())
    }
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl From<EngineError> for StoreError {
    fn from(e: EngineError) -> Self {
        StoreError::Index(e.into())
    }
}

impl From<RowError> for StoreError {
    fn from(e: RowError) -> Self {
        StoreError::Index(e.into())
    }
}

/// Where the index lives.
#[derive(Debug, Clone)]
pub enum IndexPlace {
    /// A directory of the disk engine.
    Disk(PathBuf),
    /// Memory, for simulations and tests; made from the log at every open.
    Memory,
    /// Another engine, as tests that cut its commits short have it.
    Other(Arc<dyn EnginePlace>),
}

impl IndexPlace {
    pub(crate) fn place(&self) -> Arc<dyn EnginePlace> {
        match self {
            IndexPlace::Disk(path) => Arc::new(DiskPlace(path.clone())),
            IndexPlace::Memory => Arc::new(MemoryPlace),
            IndexPlace::Other(place) => Arc::clone(place),
        }
    }
}

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where log and checkpoints live.
    pub storage: Arc<dyn Storage>,
    /// Where the index lives.
    pub index: IndexPlace,
    /// The network's genesis.
    pub genesis: Genesis,
    /// The log's options.
    pub log: LogOptions,
    /// Free bytes below which nothing is accepted.
    pub free_bytes_min: u64,
    /// A checkpoint is due after this many newly linked records, or an eighth of all, whichever is more.
    pub checkpoint_records_min: u32,
    /// Records that may wait for links.
    pub pending_records_max: u64,
    /// Bytes of records that may wait for links.
    pub pending_bytes_max: u64,
}

impl StoreOptions {
    /// The usual store in a directory. `log_id`: 16 random bytes, used when the store is made.
    pub fn new(storage: Arc<dyn Storage>, index: IndexPlace, genesis: Genesis, log_id: [u8; 16]) -> Self {
        StoreOptions {
            storage,
            index,
            genesis,
            log: LogOptions::new(log_id),
            free_bytes_min: FREE_BYTES_MIN,
            checkpoint_records_min: CHECKPOINT_RECORDS_MIN,
            pending_records_max: PENDING_RECORDS_MAX,
            pending_bytes_max: PENDING_BYTES_MAX,
        }
    }
}

/// A record that was checked and is to be stored.
#[derive(Debug, Clone)]
pub struct Put {
    /// The record.
    pub record: Record,
    /// Its selectors as recovered from their claims, in order.
    pub selectors: Vec<RecoveredSelector>,
    /// Whether its work was checked and holds.
    pub work_verified: bool,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// Stored now.
    Stored(Stored),
    /// It was stored before.
    Duplicate,
}

/// What a batch did.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// One for each record, in order.
    pub records: Vec<PutOutcome>,
    /// One for each pulse: whether it was newer than the latest known.
    pub pulses: Vec<bool>,
    /// Indexes of all records that became linked.
    pub linked: Range<u32>,
}

/// A contested name that was given to one of its rivals, for good (NODE.md §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettledName {
    /// The records' id.
    pub id: [u8; 32],
    /// Who holds it now.
    pub owner: OwnerPublic,
}

/// What opening found and mended. Each line is for people.
#[derive(Debug, Clone, Default)]
pub struct OpenReport {
    /// What was recovered or is damaged; empty after a clean stop.
    pub notes: Vec<String>,
    /// Log entries applied again.
    pub replayed: u64,
}

/// How the index stands to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum IndexState {
    /// It has everything.
    Sound,
    /// It failed: it must be opened again and brought up to the log before anything else.
    Behind,
    /// It does not read back: it must be made again from the log.
    Damaged,
}

/// The store's one writer.
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    options: StoreOptions,
    place: Arc<dyn EnginePlace>,
    /// The engine that is written to; readers have it in `shared` once it is up to the log.
    pub(crate) engine: Arc<dyn Engine>,
    log: Log,
    pub(crate) meta: Meta,
    /// Linked records when the last checkpoint was written.
    checkpointed: u32,
    index_state: IndexState,
    recent: Recent,
    pub(crate) growth: Growth,
}

impl Store {
    /// Opens or creates a store and recovers whatever a crash left.
    ///
    /// # Errors
    /// The disk does not let the store be opened, or it belongs to another network. Damage is no error: it is
    /// reported and mended.
    pub fn open(options: StoreOptions) -> Result<(Self, OpenReport), StoreError> {
        Self::open_with(options, &mut |_, _| {})
    }

    /// As [`Store::open`]; `progress` is told, while the log is applied to the index, how many bytes of how many are
    /// done.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(
        options: StoreOptions,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Self, OpenReport), StoreError> {
        let mut report = OpenReport::default();
        let opened = Self::open_once(&options, &mut report, progress);
        let opened = match opened {
            Err(e) if e.is_index_damage() => {
                report.notes.push(format!("index is damaged ({e}): made again from the log"));
                options.index.place().remove()?;
                report.replayed = 0;
                Self::open_once(&options, &mut report, progress)
            }
            other => other,
        };
        let mut seen = HashSet::new();
        report.notes.retain(|note| seen.insert(note.clone()));
        Ok((opened?, report))
    }

    fn open_once(
        options: &StoreOptions,
        report: &mut OpenReport,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, StoreError> {
        let place = options.index.place();
        let (mut engine, mut meta) = open_index(place.as_ref())?;
        let mut log_options = options.log.clone();
        log_options.scan_from = LogPosition(meta.applied);
        let (log, log_report) = Log::open(Arc::clone(&options.storage), log_options)?;
        note_log(&log_report, &mut report.notes);
        if meta != Meta::default() {
            let why = if meta.log_id != log.log_id() {
                Some("index belongs to another log".to_owned())
            } else if meta.applied > log.durable_end().0 {
                Some(lost_tail(engine.as_ref(), log.durable_end(), meta.applied)?)
            } else {
                None
            };
            if let Some(why) = why {
                report.notes.push(format!("{why}: made again from the log"));
                drop(engine);
                place.remove()?;
                (engine, meta) = open_index(place.as_ref())?;
            }
        }
        if meta == Meta::default() {
            checkpoint::remove(options.storage.as_ref())
                .map_err(|e| StoreError::Io(format!("cannot remove the old checkpoint: {e}")))?;
        }
        meta.log_id = log.log_id();
        let Loaded { graph, filter, checkpointed } = load_graph(options, engine.as_ref(), &meta, report)?;
        let shared = Arc::new(Shared {
            engine: RwLock::new(Arc::clone(&engine)),
            horizon: AtomicU32::new(graph.weights.len()),
            graph: RwLock::new(graph),
            filter,
            log: log.reader(),
            network: RwLock::new(Network::new(&options.genesis)),
            damage_seen: AtomicBool::new(false),
        });
        let (index_state, recent) = (IndexState::Sound, Recent::default());
        let options = options.clone();
        let growth = Growth::new(Arc::clone(&shared));
        let mut store =
            Store { shared, options, place, engine, log, meta, checkpointed, index_state, recent, growth };
        store.restore_network()?;
        report.replayed = store.catch_up(true, &mut report.notes, progress)?;
        store.put_genesis()?;
        Ok(store)
    }

    /// Reads the store; usable from any thread, also after the writer is gone.
    pub fn reader(&self) -> StoreReader {
        StoreReader { shared: Arc::clone(&self.shared) }
    }

    /// Stores a batch: durable when this returns. Records may come in any order; those stored before are no error.
    ///
    /// # Errors
    /// Nothing of the batch is acknowledged; it may still be there after a restart. A full disk is reported as
    /// [`StoreError::DiskFull`], and the store goes on when there is space again.
    pub fn apply(&mut self, puts: &[Put], pulses: &[(u64, Pulse)]) -> Result<Applied, StoreError> {
        let applied = self.apply_ahead(puts, pulses)?;
        if let Err(e) = self.growth.wait() {
            self.note_failure(&e);
            self.mend()?;
            self.growth.wait()?;
        }
        Ok(applied)
    }

    /// From now on the graph has a thread of its own, which [`apply_ahead`](Self::apply_ahead) is ahead of.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start_graph_thread(&mut self) -> std::io::Result<()> {
        self.growth.start_thread()
    }

    /// Has `then` called once readers see everything stored before, or have to be told that they will not. On the graph's
    /// thread, if it has one.
    pub(crate) fn when_seen(&self, then: impl FnOnce(Result<(), StoreError>) + Send + 'static) {
        self.growth.then(then);
    }

    /// As [`apply`](Self::apply), but readers may not see yet what is stored: nobody is to be told before
    /// [`when_seen`](Self::when_seen).
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub(crate) fn apply_ahead(
        &mut self,
        puts: &[Put],
        pulses: &[(u64, Pulse)],
    ) -> Result<Applied, StoreError> {
        self.check_free()?;
        self.mend()?;
        let applied = self.apply_sound(puts, pulses);
        if let Err(e) = &applied {
            self.note_failure(e);
        }
        applied
    }

    fn apply_sound(&mut self, puts: &[Put], pulses: &[(u64, Pulse)]) -> Result<Applied, StoreError> {
        let first_linked = self.meta.linked;
        // What an append or a read that failed may have left of an earlier batch was never acknowledged.
        self.log.discard_pending();
        let view = self.view();
        let mut fresh = vec![false; puts.len()];
        let mut seen: HashSet<Hash> = HashSet::with_capacity(puts.len());
        for (put, fresh) in puts.iter().zip(&mut fresh) {
            *fresh = view.standing(&put.record.hash())?.is_none() && seen.insert(put.record.hash());
        }
        self.check_pending(&view, puts, &fresh)?;
        let mut pulse_fresh = Vec::with_capacity(pulses.len());
        let mut latest: HashMap<u64, u32> = HashMap::with_capacity(pulses.len());
        for (token, pulse) in pulses {
            let known = match latest.get(token).copied().or_else(|| self.recent.pulsed(*token)) {
                Some(minutes) => Some(minutes),
                None => view.pulse(*token)?.map(|known| known.minutes()),
            };
            let fresh = known.is_none_or(|known| known < pulse.minutes());
            if fresh {
                latest.insert(*token, pulse.minutes());
            }
            pulse_fresh.push(fresh);
        }
        drop(view);
        let mut linked: HashMap<Hash, u32> = HashMap::with_capacity(puts.len());
        let mut entries: Vec<(LogPosition, Prepared)> = Vec::with_capacity(puts.len() + pulses.len());
        for (put, _) in puts.iter().zip(&fresh).filter(|(_, fresh)| **fresh) {
            let flags = if put.work_verified { ENTRY_WORK_VERIFIED } else { 0 };
            let at = self.log.append(EntryKind::Record, flags, put.record.as_bytes())?;
            let row = row_of(&put.record, &put.selectors, at.0, put.work_verified);
            entries.push((at, Prepared::Record(Box::new(row), put.record.links().to_vec())));
            self.commit_if_full(&mut entries, &mut linked)?;
        }
        for ((token, pulse), _) in pulses.iter().zip(&pulse_fresh).filter(|(_, fresh)| **fresh) {
            let mut payload = [0; 8 + Pulse::BYTES];
            payload[..8].copy_from_slice(&token.to_be_bytes());
            payload[8..].copy_from_slice(&pulse.to_bytes());
            let at = self.log.append(EntryKind::Pulse, 0, &payload)?;
            entries.push((at, Prepared::Pulse(*token, *pulse)));
            self.commit_if_full(&mut entries, &mut linked)?;
        }
        self.commit(&mut entries, &mut linked)?;
        for (token, minutes) in latest {
            self.recent.note_pulse(token, minutes);
        }
        let view = self.view();
        let mut outcomes = Vec::with_capacity(puts.len());
        for (put, fresh) in puts.iter().zip(fresh) {
            if !fresh {
                outcomes.push(PutOutcome::Duplicate);
                continue;
            }
            let hash = put.record.hash();
            outcomes.push(match linked.get(&hash) {
                Some(index) => PutOutcome::Stored(Stored::Linked(*index)),
                None => PutOutcome::Stored(view.standing(&hash)?.unwrap_or(Stored::Pending)),
            });
        }
        Ok(Applied { records: outcomes, pulses: pulse_fresh, linked: first_linked..self.meta.linked })
    }

    /// Gives contested names, of which at least one rival has linked records, to the owner whose records weigh most in
    /// sum; up to `count` of them, at least one. To be called when nothing is known to be missing. What is held stays
    /// held: a name is settled once, and by the log's word, so that it is the same whenever the index is made again.
    /// Durable when this returns.
    ///
    /// # Errors
    /// As [`Store::apply`].
    pub fn settle_names(&mut self, count: usize) -> Result<Vec<SettledName>, StoreError> {
        self.check_free()?;
        self.mend()?;
        let settled = self.settle_sound(count.max(1));
        if let Err(e) = &settled {
            self.note_failure(e);
        }
        settled
    }

    fn settle_sound(&mut self, count: usize) -> Result<Vec<SettledName>, StoreError> {
        if self.meta.contested == 0 {
            return Ok(Vec::new());
        }
        self.log.discard_pending();
        self.growth.wait()?;
        let (mut settled, mut entries) = (Vec::new(), Vec::new());
        for (id, owner) in self.view().heaviest_rivals(count)? {
            let event = Event::NameHeld { id, owner };
            let at = self.log.append(EntryKind::Event, 0, &event.encode())?;
            entries.push((at, Prepared::Event(event)));
            settled.push(SettledName { id, owner });
        }
        self.commit(&mut entries, &mut HashMap::new())?;
        self.growth.wait()?;
        Ok(settled)
    }

    fn commit_if_full(
        &mut self,
        entries: &mut Vec<(LogPosition, Prepared)>,
        linked: &mut HashMap<Hash, u32>,
    ) -> Result<(), StoreError> {
        let full = self.log.pending_bytes() >= COMMIT_BYTES.min(self.options.log.pending_bytes_max / 2);
        if full { self.commit(entries, linked) } else { Ok(()) }
    }

    /// Makes what was appended durable, and applies it to the index.
    fn commit(
        &mut self,
        entries: &mut Vec<(LogPosition, Prepared)>,
        linked: &mut HashMap<Hash, u32>,
    ) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let end = self.log.commit().map_err(|e| {
            // Only now does the error say that writing ends here.
            if self.log.is_poisoned() { StoreError::Stopped(chain(&e)) } else { e.into() }
        })?;
        if let Err(e) = self.index_entries(std::mem::take(entries), end, true, linked) {
            // It is durable; the index can still be mended before anybody is told otherwise.
            tracing::warn!("index did not take a batch: {e}");
            self.index_state = IndexState::Behind;
            self.note_failure(&e);
            self.mend()?;
            linked.clear(); // Who is not in it is looked up.
        }
        Ok(())
    }

    /// Records that would have to wait are not taken when too many do already. The genesis records link to each other.
    fn check_pending(&self, view: &View, puts: &[Put], fresh: &[bool]) -> Result<(), StoreError> {
        let fresh = || puts.iter().zip(fresh).filter(|(_, fresh)| **fresh).map(|(put, _)| put);
        let bytes: u64 = fresh().map(|put| put.record.as_bytes().len() as u64).sum();
        let (records, pending) = (fresh().count() as u64, &self.meta);
        if pending.pending + records <= self.options.pending_records_max
            && pending.pending_bytes + bytes <= self.options.pending_bytes_max
        {
            return Ok(());
        }
        let mut linkable: HashSet<Hash> = HashSet::new();
        let (mut waiting, mut waiting_bytes) = (pending.pending, pending.pending_bytes);
        for put in fresh() {
            let mut all = true;
            for link in put.record.links() {
                all &= linkable.contains(link) || matches!(view.standing(link)?, Some(Stored::Linked(_)));
            }
            if all {
                linkable.insert(put.record.hash());
            } else {
                waiting += 1;
                waiting_bytes += put.record.as_bytes().len() as u64;
            }
        }
        let fits =
            waiting <= self.options.pending_records_max && waiting_bytes <= self.options.pending_bytes_max;
        if fits || linkable.len() as u64 == records {
            return Ok(());
        }
        Err(StoreError::PendingFull { records: pending.pending, bytes: pending.pending_bytes })
    }

    /// Remembers what a failure says about the index.
    fn note_failure(&mut self, e: &StoreError) {
        let state = match e {
            _ if e.is_index_damage() => IndexState::Damaged,
            StoreError::Index(IndexError::Engine(_)) => IndexState::Behind,
            _ => IndexState::Sound,
        };
        self.index_state = self.index_state.max(state);
    }

    /// Writes a checkpoint of the graph if one is due.
    ///
    /// # Errors
    /// It could not be written; the store is not concerned.
    pub fn checkpoint_if_due(&mut self) -> Result<bool, StoreError> {
        let due = self.options.checkpoint_records_min.max(self.meta.linked / 8);
        if self.index_state != IndexState::Sound || self.meta.linked.saturating_sub(self.checkpointed) < due {
            return Ok(false);
        }
        self.checkpoint()?;
        Ok(true)
    }

    /// Writes a checkpoint of the graph, so that the next start need not walk it again.
    ///
    /// # Errors
    /// It could not be written; the store is not concerned.
    pub fn checkpoint(&mut self) -> Result<(), StoreError> {
        let Some(last) = self.meta.linked.checked_sub(1) else { return Ok(()) };
        self.growth.wait()?;
        let row = self.engine.snapshot().get(&key::linked(last))?.ok_or(RowError('r'))?;
        let last = LinkedRow::decode(&row)?.row.hash;
        let graph = read(&self.shared.graph);
        let linked = graph.weights.len();
        if linked != self.meta.linked {
            return Err(StoreError::Io("graph and index differ: no checkpoint is written".to_owned()));
        }
        let (storage, filter) = (self.options.storage.as_ref(), &self.shared.filter);
        checkpoint::write(storage, &self.meta.log_id, &last, &graph, filter)
            .map_err(|e| StoreError::Io(format!("cannot write the checkpoint: {e}")))?;
        drop(graph);
        self.checkpointed = linked;
        Ok(())
    }

    /// Stops cleanly: checkpoint and index on disk.
    ///
    /// # Errors
    /// Something could not be written. Nothing acknowledged is lost: the next start recovers it from the log.
    pub fn close(mut self) -> Result<(), StoreError> {
        if self.index_state != IndexState::Sound {
            return Ok(());
        }
        self.engine.persist()?;
        if self.checkpointed != self.meta.linked { self.checkpoint() } else { Ok(()) }
    }

    /// Free space, or why nothing is accepted now.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], or the disk does not answer.
    pub fn check_free(&self) -> Result<(), StoreError> {
        let free_bytes = self.options.storage.free_bytes().map_err(|e| StoreError::Io(e.to_string()))?;
        if free_bytes < self.options.free_bytes_min {
            return Err(StoreError::DiskFull { free_bytes, needed_bytes: self.options.free_bytes_min });
        }
        Ok(())
    }

    /// The genesis records are trusted configuration: stored first, without work checked; and again if the log has lost
    /// one, as nothing is linked without them.
    fn put_genesis(&mut self) -> Result<(), StoreError> {
        let view = self.view();
        let mut missing = Vec::new();
        for record in self.options.genesis.records() {
            if view.standing(&record.hash())?.is_none() {
                let record = record.clone();
                missing.push(Put { record, selectors: Vec::new(), work_verified: false });
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        for index in view.of_type(RecordType::Genesis.id())? {
            let row = view.row(index)?.ok_or(RowError('y'))?;
            if row.owner != *self.options.genesis.owner() {
                return Err(StoreError::OtherNetwork(missing[0].record.hash()));
            }
        }
        drop(view);
        self.apply(&missing, &[]).map(|_| ())
    }

    /// Applies linked amendments, so that the parameters are what they were.
    fn restore_network(&mut self) -> Result<(), StoreError> {
        let view = self.view();
        let mut network = Network::new(&self.options.genesis);
        for index in view.of_type(RecordType::Genesis.id())? {
            let row = view.row(index)?.ok_or(RowError('r'))?;
            if let Some(record) = read_record(&self.shared.log, row.position)? {
                network.amend(&record);
            }
        }
        self.set_network(network);
        Ok(())
    }

    /// What the writer itself sees.
    fn view(&self) -> View {
        View::new(self.engine.snapshot(), Arc::clone(&self.shared), self.meta.linked)
    }

    fn set_network(&self, network: Network) {
        *self.shared.network.write().unwrap_or_else(std::sync::PoisonError::into_inner) = network;
    }

    /// Brings the index up to the end of the log. Returns how many entries were applied.
    fn catch_up(
        &mut self,
        starting: bool,
        notes: &mut Vec<String>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<u64, StoreError> {
        let mut replayed = 0;
        let mut entries: Vec<RawEntry> = Vec::with_capacity(REPLAY_ENTRIES);
        let mut bytes = 0;
        let end = self.log.durable_end();
        let log = self.shared.log.clone();
        for item in log.scan(LogPosition(self.meta.applied)) {
            match item {
                Ok((position, entry)) => {
                    if entries.len() >= REPLAY_ENTRIES || bytes >= REPLAY_BYTES {
                        replayed += self.replay(&mut entries, position, notes)?;
                        bytes = 0;
                        progress(position.0, end.0);
                    }
                    bytes += entry.payload.len();
                    entries.push(RawEntry { position, entry });
                }
                // At a start that is what the disk has left. Later it is a disk that fails just now: what was
                // acknowledged must not be passed over.
                Err(damage) if !starting && damage.kind == DamageKind::Unreadable => {
                    return Err(StoreError::Io(damage.to_string()));
                }
                Err(damage) => note(notes, damage.to_string()),
            }
        }
        replayed += self.replay(&mut entries, end, notes)?;
        progress(end.0, end.0);
        if replayed > 0 {
            notes.push(format!("{replayed} log entries applied to the index again"));
        }
        Ok(replayed)
    }

    fn replay(
        &mut self,
        entries: &mut Vec<RawEntry>,
        end: LogPosition,
        notes: &mut Vec<String>,
    ) -> Result<u64, StoreError> {
        let count = entries.len() as u64;
        let (prepared, bad) = prepare(entries);
        entries.clear();
        for problem in bad {
            note(notes, problem);
        }
        if count > 0 || self.meta.ready > 0 {
            self.index_entries(prepared, end, false, &mut HashMap::new())?;
        }
        Ok(count)
    }

    /// Applies entries to index and graph; `end` is the log's position after them. Are they `new`, none of them is
    /// stored yet. What was linked is added to `linked`.
    fn index_entries(
        &mut self,
        entries: Vec<(LogPosition, Prepared)>,
        end: LogPosition,
        new: bool,
        linked: &mut HashMap<Hash, u32>,
    ) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let engine = Arc::clone(&self.engine);
        let read_record = |position: u64| read_record(&shared.log, position);
        let mut network = read(&shared.network).clone();
        let mut entries = entries.into_iter().peekable();
        let mut done = false;
        while !done {
            let txn = Txn::new(engine.snapshot());
            let recent = &mut self.recent;
            let filter = &shared.filter;
            let mut applier = Applier::new(txn, self.meta, &mut network, recent, filter, &read_record);
            applier.link_ready()?;
            while !applier.is_large() {
                match entries.next() {
                    Some((_, Prepared::Record(row, links))) => {
                        applier.store(*row, &links, new)?;
                        applier.link_ready()?;
                    }
                    Some((_, Prepared::Pulse(token, pulse))) => {
                        applier.pulse(token, pulse, new)?;
                    }
                    Some((_, Prepared::Event(Event::NameHeld { id, owner }))) => {
                        applier.name_held(&id, &owner)?;
                    }
                    None => break,
                }
                applier.meta.applied = entries.peek().map_or(end, |(position, _)| *position).0;
            }
            done = entries.peek().is_none() && !applier.has_leftover();
            if done {
                applier.meta.applied = end.0;
            }
            let meta = applier.meta;
            let newly_linked = std::mem::take(&mut applier.newly_linked);
            let raised = std::mem::take(&mut applier.raised);
            engine.commit(applier.into_changes())?;
            let first = self.meta.linked;
            self.meta = meta;
            linked.extend(newly_linked.iter().map(|new| new.hash).zip(first..));
            self.growth.give(Step { first, linked: newly_linked, raised });
        }
        self.growth.check()?;
        let changed = {
            let known = read(&shared.network);
            network.amended != known.amended || !Arc::ptr_eq(&network.roots, &known.roots)
        };
        if changed {
            self.set_network(network);
        }
        Ok(())
    }

    /// After the index failed: opens it again, or makes it again, and brings it up to the log. Nothing to do for a
    /// sound one.
    ///
    /// # Errors
    /// It does not work yet; it is tried again when the next batch comes.
    pub fn mend(&mut self) -> Result<(), StoreError> {
        if self.shared.damage_seen.swap(false, Ordering::Relaxed) {
            self.index_state = IndexState::Damaged;
        }
        if let Err(e) = self.growth.check() {
            self.note_failure(&e);
        }
        if self.index_state == IndexState::Sound {
            return Ok(());
        }
        // As long as there is no space the index stays as it is: it cannot be written, but it can be read.
        self.check_free()?;
        let mut notes = Vec::new();
        let mut mended = self.mend_once(&mut notes);
        if mended.as_ref().is_err_and(StoreError::is_index_damage) {
            self.index_state = IndexState::Damaged;
            mended = self.mend_once(&mut notes);
        }
        for note in notes {
            tracing::warn!("{note}");
        }
        mended?;
        self.index_state = IndexState::Sound;
        Ok(())
    }

    fn mend_once(&mut self, notes: &mut Vec<String>) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let set = |engine: Arc<dyn Engine>| {
            *shared.engine.write().unwrap_or_else(std::sync::PoisonError::into_inner) = engine;
        };
        self.recent.clear();
        self.growth.reset();
        // Closed until it is whole again: readers get an error, never a wrong answer.
        set(Arc::new(ClosedEngine));
        self.engine = Arc::new(ClosedEngine);
        let deadline = Instant::now() + VIEWS_WAIT;
        let (mut engine, mut meta) = loop {
            match open_index(self.place.as_ref()) {
                Err(StoreError::Index(IndexError::Engine(e)))
                    if e.kind() == EngineErrorKind::InUse && Instant::now() < deadline =>
                {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(e) if e.is_index_damage() => {
                    self.place.remove()?;
                    break open_index(self.place.as_ref())?;
                }
                other => break other?,
            }
        };
        let fits = meta == Meta::default()
            || (meta.log_id == self.log.log_id() && meta.applied <= self.log.durable_end().0);
        if self.index_state == IndexState::Damaged || !fits {
            notes.push("index is made again from the log".to_owned());
            drop(engine);
            self.place.remove()?;
            (engine, meta) = open_index(self.place.as_ref())?;
        }
        if meta == Meta::default() {
            // Numbered anew, so nothing that has numbers may stay.
            checkpoint::remove(self.options.storage.as_ref()).map_err(|e| StoreError::Io(e.to_string()))?;
            shared.horizon.store(0, Ordering::Release);
            *shared.graph.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Graph::default();
            self.checkpointed = 0;
        }
        self.index_state = IndexState::Behind;
        meta.log_id = self.log.log_id();
        self.meta = meta;
        // The graph may be ahead of the index (the log gives those records the same numbers again) or behind.
        extend_graph(&self.shared.graph, &self.shared.filter, engine.as_ref(), meta.linked)?;
        self.shared.horizon.fetch_max(meta.linked, Ordering::Release);
        self.engine = engine;
        self.restore_network()?;
        self.catch_up(false, notes, &mut |_, _| {})?;
        set(Arc::clone(&self.engine));
        Ok(())
    }
}

/// Adds a note, unless there are very many.
fn note(notes: &mut Vec<String>, text: String) {
    if notes.len() < NOTES_MAX {
        notes.push(text);
    } else if notes.len() == NOTES_MAX {
        notes.push("there is more of this; `lf db check` lists it".to_owned());
    }
}

/// Says what a log that ends before the index does has lost.
fn lost_tail(engine: &dyn Engine, end: LogPosition, applied: u64) -> Result<String, StoreError> {
    let snapshot = engine.snapshot();
    let (mut lost, mut count) = (Vec::new(), 0u64);
    let mut look = |row: Row| {
        if row.position >= end.0 {
            count += 1;
            if lost.len() < LOST_NAMED {
                lost.push(row.hash.to_string());
            }
        }
    };
    for pair in snapshot.range(&key::linked(0), &key::linked(u32::MAX)) {
        look(LinkedRow::decode(&pair?.1)?.row);
    }
    for pair in snapshot.range(b"p", &crate::txn::prefix_last(b"p")) {
        look(PendingRow::decode(&pair?.1)?.row);
    }
    let names = lost.join(" ");
    let more = if count > lost.len() as u64 { " …" } else { "" };
    Ok(format!(
        "the log ends at {end}, but the index knows it up to {applied}: {count} records are lost ({names}{more}); index"
    ))
}

/// What opening the log found, for people.
fn note_log(log: &crate::log::OpenReport, notes: &mut Vec<String>) {
    if log.identity_restored {
        notes.push("log.id was missing or damaged: restored".to_owned());
    }
    for torn in log.torn_tail.iter().chain(&log.torn_segments) {
        let kept = torn.kept_as.as_ref().map_or_else(String::new, |file| format!(", kept in {file}"));
        notes.push(format!(
            "an unfinished write of {} bytes at {} was cut off the log{kept}",
            torn.bytes, torn.from
        ));
    }
    notes.extend(log.damages.iter().map(ToString::to_string));
}

/// A log entry as read.
struct RawEntry {
    position: LogPosition,
    entry: Entry,
}

/// A log entry ready to be applied: all that takes time is done.
enum Prepared {
    Record(Box<Row>, Vec<Hash>),
    Pulse(u64, Pulse),
    Event(Event),
}

/// Prepares entries on all cores: recovering selectors from their claims takes most of the time of a rebuild. Also
/// returns a line for each entry that cannot be used.
fn prepare(entries: &[RawEntry]) -> (Vec<(LogPosition, Prepared)>, Vec<String>) {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = entries.len().div_ceil(threads).max(PREPARE_ENTRIES);
    let prepared: Vec<Result<Option<Prepared>, String>> = std::thread::scope(|scope| {
        let prepare =
            |part: &[RawEntry]| part.chunks(PREPARE_ENTRIES).flat_map(prepare_some).collect::<Vec<_>>();
        let workers: Vec<_> =
            entries.chunks(share).map(|part| (part.len(), scope.spawn(move || prepare(part)))).collect();
        let failed = || Err("could not be read: a fault in the program".to_owned());
        let joined = workers.into_iter().map(|(count, worker)| {
            worker.join().unwrap_or_else(|_| std::iter::repeat_with(failed).take(count).collect())
        });
        joined.flatten().collect()
    });
    let mut good = Vec::with_capacity(entries.len());
    let mut bad = Vec::new();
    for (raw, prepared) in entries.iter().zip(prepared) {
        match prepared {
            Ok(Some(prepared)) => good.push((raw.position, prepared)),
            Ok(None) => {}
            Err(problem) => bad.push(format!("log entry at {}: {problem}", raw.position.0)),
        }
    }
    (good, bad)
}

/// Prepares a few entries together: their claims share what costs most.
fn prepare_some(entries: &[RawEntry]) -> Vec<Result<Option<Prepared>, String>> {
    let decoded: Vec<Option<Result<Record, DecodeError>>> = entries
        .iter()
        .map(|raw| (raw.entry.kind == EntryKind::Record).then(|| Record::decode(&raw.entry.payload)))
        .collect();
    let records = || decoded.iter().flatten().flatten();
    let claims: Vec<_> =
        records().flat_map(|r| r.selectors().iter().map(|selector| (*selector, *r.body_hash()))).collect();
    let mut recovered = recover_all(&claims).into_iter();
    let prepare = |(raw, decoded): (&RawEntry, &Option<Result<Record, DecodeError>>)| match decoded {
        Some(Err(e)) => Err(e.to_string()),
        Some(Ok(record)) => {
            // All of its own are taken, whatever they are, so that the next record's come next.
            let selectors: Vec<_> = recovered.by_ref().take(record.selectors().len()).collect();
            let selectors: Vec<_> =
                selectors.into_iter().collect::<Result<_, _>>().map_err(|e| e.to_string())?;
            let work_verified = raw.entry.flags & ENTRY_WORK_VERIFIED != 0;
            let row = row_of(record, &selectors, raw.position.0, work_verified);
            Ok(Some(Prepared::Record(Box::new(row), record.links().to_vec())))
        }
        None if raw.entry.kind == EntryKind::Event => {
            Ok(Event::decode(&raw.entry.payload)?.map(Prepared::Event))
        }
        None => prepare_pulse(raw),
    };
    entries.iter().zip(&decoded).map(prepare).collect()
}

fn prepare_pulse(raw: &RawEntry) -> Result<Option<Prepared>, String> {
    if raw.entry.kind != EntryKind::Pulse {
        return Ok(None);
    }
    let (token, pulse) = raw.entry.payload.split_first_chunk::<8>().ok_or("pulse entry is too short")?;
    let pulse = Pulse::from_bytes(pulse).map_err(|e| e.to_string())?;
    Ok(Some(Prepared::Pulse(u64::from_be_bytes(*token), pulse)))
}

/// A record of the log; `None` if its entry is damaged.
fn read_record(log: &LogReader, position: u64) -> Result<Option<Record>, IndexError> {
    match log.read(LogPosition(position)) {
        Ok(entry) => Ok(Record::decode(&entry.payload).ok()),
        Err(LogError::NoEntry(_)) => Ok(None),
        Err(e) => Err(IndexError::Log(chain(&e))),
    }
}

/// Opens the index and reads its marks.
pub(crate) fn open_index(place: &dyn EnginePlace) -> Result<(Arc<dyn Engine>, Meta), StoreError> {
    let engine = place.open()?;
    let snapshot = engine.snapshot();
    let meta = snapshot.get(&key::meta())?.map(|v| Meta::decode(&v)).transpose()?;
    if meta.is_none() && snapshot.range(&[], &crate::txn::prefix_last(&[0xff])).next().is_some() {
        return Err(RowError('m').into());
    }
    drop(snapshot);
    Ok((engine, meta.unwrap_or_default()))
}

/// What is in memory beside the index.
pub(crate) struct Loaded {
    /// The graph of all records the index has linked.
    pub(crate) graph: Graph,
    /// Hashes of all records the index has, and the ids they claim.
    filter: Filter,
    /// How many records the checkpoint covers.
    checkpointed: u32,
}

/// Loads the checkpoint as far as it goes, and the rest from the index.
pub(crate) fn load_graph(
    options: &StoreOptions,
    engine: &dyn Engine,
    meta: &Meta,
    report: &mut OpenReport,
) -> Result<Loaded, StoreError> {
    let mut unusable = |problem: &str| {
        report.notes.push(format!("checkpoint is not usable ({problem}): made again"));
        (Graph::default(), Filter::default())
    };
    let (graph, filter) = match checkpoint::read(options.storage.as_ref(), &meta.log_id) {
        Ok(None) => (Graph::default(), Filter::default()),
        Ok(Some(c)) if c.graph.weights.len() > meta.linked => unusable("it is newer than the index"),
        Ok(Some(c)) => {
            let last = c.graph.weights.len().checked_sub(1).map(key::linked);
            let row = last.map(|key| engine.snapshot().get(&key)).transpose()?.flatten();
            match row.map(|row| LinkedRow::decode(&row)).transpose()? {
                Some(linked) if linked.row.hash == c.last => (c.graph, c.filter),
                _ => unusable("it does not belong to this index"),
            }
        }
        Err(problem) => unusable(&problem),
    };
    let checkpointed = graph.weights.len();
    let graph = RwLock::new(graph);
    extend_graph(&graph, &filter, engine, meta.linked)?;
    for pair in engine.snapshot().range(b"p", &crate::txn::prefix_last(b"p")) {
        note_stored(&filter, &PendingRow::decode(&pair?.1)?.row);
    }
    for table in key::WAITING_FOR_RECORDS {
        for pair in engine.snapshot().range(&[table], &crate::txn::prefix_last(&[table])) {
            let hash = pair?
                .0
                .get(1..33)
                .and_then(|hash| hash.try_into().ok())
                .ok_or(RowError(char::from(table)))?;
            filter.insert_waited_for(&hash);
        }
    }
    let graph = graph.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(Loaded { graph, filter, checkpointed })
}

fn note_stored(filter: &Filter, row: &Row) {
    filter.insert(&row.hash.0);
    if !row.selectors.is_empty() {
        filter.insert(&row.id);
    }
}

/// Adds the records that the index has linked, below `linked`, and the graph does not have yet.
fn extend_graph(
    graph: &RwLock<Graph>,
    filter: &Filter,
    engine: &dyn Engine,
    linked: u32,
) -> Result<(), StoreError> {
    let first = read(graph).weights.len();
    if first < linked {
        let snapshot = engine.snapshot();
        for (index, pair) in (first..).zip(snapshot.range(&key::linked(first), &key::linked(linked - 1))) {
            let (row_key, value) = pair?;
            if row_key != key::linked(index) {
                return Err(RowError('r').into());
            }
            let LinkedRow { row, links } = LinkedRow::decode(&value)?;
            note_stored(filter, &row);
            let good = row.selectors.is_empty()
                || match snapshot.get(&key::claim(&row.id))?.map(|v| Claim::decode(&v)).transpose()? {
                    Some(Claim::Held { owner, .. }) => owner == row.owner,
                    _ => false,
                };
            let eligible = good && !row.temporal_violation;
            let new = NewlyLinked { hash: row.hash, links, score: row.score, eligible };
            graph::insert(graph, index, std::slice::from_ref(&new), |_| {})?;
        }
    }
    // What the checkpoint has from before they were.
    let mut raised = Vec::new();
    for pair in engine.snapshot().range(&key::raised(0), &key::raised(linked)) {
        raised.push(index_of(&pair?.0).ok_or(RowError('l'))?);
    }
    graph::raise(graph, &raised);
    if read(graph).weights.len() < linked { Err(RowError('r').into()) } else { Ok(()) }
}
