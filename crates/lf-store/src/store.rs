//! The store: log, index and graph as one thing with one writer.
//!
//! A batch is appended to the log, made durable, applied to the index, and only then acknowledged. The index and the
//! graph are derived: whatever of them a crash or damage costs is made again from the log when the store opens.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use lf_proto::genesis::Genesis;
use lf_proto::hash::Hash;
use lf_proto::pulse::Pulse;
use lf_proto::record::Record;
use lf_proto::selector::RecoveredSelector;

use crate::apply::{Applier, IndexError, Network, NewlyLinked, Stored, row_of};
use crate::checkpoint;
use crate::engine::{DiskEngine, Engine, EngineError, MemoryEngine};
use crate::log::{Entry, EntryKind, Log, LogError, LogOptions, LogPosition, LogReader};
use crate::rows::{Claim, LinkedRow, Meta, Row, RowError, key};
use crate::storage::Storage;
use crate::txn::Txn;
use crate::view::{Graph, Shared, StoreReader, read};
use crate::weights::Progress;

/// Below this many free bytes the store takes nothing more (NODE.md §9).
pub const FREE_BYTES_MIN: u64 = 64 << 20;
/// A checkpoint is due after this many newly linked records, or an eighth of all, whichever is more.
const CHECKPOINT_RECORDS_MIN: u32 = 100_000;
/// How much of a cover walk is done under the graph's lock at a time, in records visited.
const WEIGHT_STEP_MAX: u64 = 4_096;
/// Log entries read ahead and prepared on all cores while the log is applied again.
const REPLAY_ENTRIES: usize = 4_096;

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
    Index(#[from] IndexError),
    /// The directory holds another network's records.
    #[error("this directory holds the records of another network: its genesis record {0} is not here")]
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
        if e.is_storage_full() {
            StoreError::DiskFull { free_bytes: 0, needed_bytes: FREE_BYTES_MIN }
        } else {
            StoreError::Log(Arc::new(e))
        }
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
}

impl StoreOptions {
    /// The usual store in a directory. `log_id`: 16 random bytes, used when the store is made.
    pub fn new(storage: Arc<dyn Storage>, index: IndexPlace, genesis: Genesis, log_id: [u8; 16]) -> Self {
        StoreOptions { storage, index, genesis, log: LogOptions::new(log_id), free_bytes_min: FREE_BYTES_MIN }
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

/// What opening found and mended. Each line is for people.
#[derive(Debug, Clone, Default)]
pub struct OpenReport {
    /// What was recovered or is damaged; empty after a clean stop.
    pub notes: Vec<String>,
    /// Log entries applied again.
    pub replayed: u64,
}

/// The store's one writer.
pub struct Store {
    shared: Arc<Shared>,
    options: StoreOptions,
    log: Log,
    meta: Meta,
    /// Linked records when the last checkpoint was written.
    checkpointed: u32,
    /// The index did not take a batch: it must be brought up to the log before anything else.
    behind: bool,
}

impl Store {
    /// Opens or creates a store and recovers whatever a crash left.
    ///
    /// # Errors
    /// The disk does not let the store be opened, or it belongs to another network. Damage is no error: it is
    /// reported and mended.
    pub fn open(options: StoreOptions) -> Result<(Self, OpenReport), StoreError> {
        let mut report = OpenReport::default();
        let (mut engine, mut meta) = open_index(&options, &mut report)?;
        let mut log_options = options.log.clone();
        log_options.scan_from = LogPosition(meta.applied);
        let (log, log_report) = Log::open(Arc::clone(&options.storage), log_options)?;
        note_log(&log_report, &mut report.notes);
        let fits = meta.log_id == log.log_id() && meta.applied <= log.durable_end().0;
        if !fits && meta != Meta::default() {
            report.notes.push("index does not belong to this log: made again from the log".to_owned());
            engine = wipe_index(&options, engine)?;
            meta = Meta::default();
        }
        meta.log_id = log.log_id();
        let (graph, checkpointed) = load_graph(&options, engine.as_ref(), &meta, &mut report)?;
        let first = &options.genesis.records()[0];
        let network = Network {
            owner: *first.owner(),
            parameters: options.genesis.parameters().clone(),
            amended: first.timestamp(),
        };
        let shared = Arc::new(Shared {
            engine: RwLock::new(engine),
            graph: RwLock::new(graph),
            log: log.reader(),
            network: RwLock::new(network),
        });
        let mut store = Store { shared, options, log, meta, checkpointed, behind: false };
        store.restore_network()?;
        report.replayed = store.catch_up(&mut report.notes)?;
        if log_report.created || store.meta.linked == 0 {
            store.put_genesis()?;
        }
        if store.reader().view().standing(&first_hash(&store.options))?.is_none() {
            return Err(StoreError::OtherNetwork(first_hash(&store.options)));
        }
        Ok((store, report))
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
        self.check_free()?;
        if self.behind {
            self.reopen_index()?;
        }
        let first_linked = self.meta.linked;
        // What an append or a read that failed may have left of an earlier batch was never acknowledged.
        self.log.discard_pending();
        let view = self.reader().view();
        let mut fresh = vec![false; puts.len()];
        let mut seen: HashSet<Hash> = HashSet::with_capacity(puts.len());
        let mut entries: Vec<(LogPosition, Prepared)> = Vec::with_capacity(puts.len() + pulses.len());
        for (put, fresh) in puts.iter().zip(&mut fresh) {
            *fresh = view.standing(&put.record.hash())?.is_none() && seen.insert(put.record.hash());
            if *fresh {
                let flags = if put.work_verified { ENTRY_WORK_VERIFIED } else { 0 };
                let at = self.log.append(EntryKind::Record, flags, put.record.as_bytes())?;
                let row = row_of(&put.record, &put.selectors, at.0, put.work_verified);
                entries.push((at, Prepared::Record(Box::new(row), put.record.links().to_vec())));
            }
        }
        let mut pulse_fresh = Vec::with_capacity(pulses.len());
        for (token, pulse) in pulses {
            let newer = view.pulse(*token)?.is_none_or(|known| known.minutes() < pulse.minutes());
            pulse_fresh.push(newer);
            if newer {
                let payload = [token.to_be_bytes().as_slice(), &pulse.to_bytes()].concat();
                let at = self.log.append(EntryKind::Pulse, 0, &payload)?;
                entries.push((at, Prepared::Pulse(*token, *pulse)));
            }
        }
        drop(view);
        if !entries.is_empty() {
            let end = self.log.commit()?;
            self.behind = true;
            self.index_entries(entries, end)?;
            self.behind = false;
        }
        let view = self.reader().view();
        let mut outcomes = Vec::with_capacity(puts.len());
        for (put, fresh) in puts.iter().zip(fresh) {
            outcomes.push(match view.standing(&put.record.hash())? {
                Some(stored) if fresh => PutOutcome::Stored(stored),
                _ => PutOutcome::Duplicate,
            });
        }
        Ok(Applied { records: outcomes, pulses: pulse_fresh, linked: first_linked..self.meta.linked })
    }

    /// Writes a checkpoint of the graph if one is due.
    ///
    /// # Errors
    /// It could not be written; the store is not concerned.
    pub fn checkpoint_if_due(&mut self) -> Result<bool, StoreError> {
        let due = CHECKPOINT_RECORDS_MIN.max(self.meta.linked / 8);
        if self.meta.linked - self.checkpointed < due {
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
        let graph = read(&self.shared.graph);
        let linked = graph.weights.len();
        checkpoint::write(self.options.storage.as_ref(), &self.meta.log_id, &graph)
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
        if self.behind {
            return Ok(());
        }
        read(&self.shared.engine).persist()?;
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

    /// The genesis records are trusted configuration: stored first, without work checked.
    fn put_genesis(&mut self) -> Result<(), StoreError> {
        let puts: Vec<Put> = self
            .options
            .genesis
            .records()
            .iter()
            .map(|record| Put { record: record.clone(), selectors: Vec::new(), work_verified: false })
            .collect();
        self.apply(&puts, &[]).map(|_| ())
    }

    /// Applies linked amendments, so that the parameters are what they were.
    fn restore_network(&mut self) -> Result<(), StoreError> {
        let view = self.reader().view();
        let mut network = read(&self.shared.network).clone();
        for index in view.of_type(lf_proto::record::RecordType::Genesis.id())? {
            if let Some(record) = view.row(index)?.and_then(|row| view.record(&row)) {
                network.amend(&record);
            }
        }
        self.set_network(network);
        Ok(())
    }

    fn set_network(&self, network: Network) {
        *self.shared.network.write().unwrap_or_else(std::sync::PoisonError::into_inner) = network;
    }

    /// Brings the index up to the end of the log. Returns how many entries were applied.
    fn catch_up(&mut self, notes: &mut Vec<String>) -> Result<u64, StoreError> {
        let mut replayed = 0;
        let mut entries: Vec<RawEntry> = Vec::with_capacity(REPLAY_ENTRIES);
        let end = self.log.durable_end();
        let log = self.shared.log.clone();
        for item in log.scan(LogPosition(self.meta.applied)) {
            match item {
                Ok((position, entry)) => {
                    if entries.len() >= REPLAY_ENTRIES {
                        replayed += self.replay(&mut entries, position, notes)?;
                    }
                    entries.push(RawEntry { position, entry });
                }
                Err(damage) => notes.push(damage.to_string()),
            }
        }
        replayed += self.replay(&mut entries, end, notes)?;
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
        notes.extend(bad);
        if count > 0 || self.meta.ready > 0 {
            self.index_entries(prepared, end)?;
        }
        Ok(count)
    }

    /// Applies entries to index and graph; `end` is the log's position after them.
    fn index_entries(
        &mut self,
        entries: Vec<(LogPosition, Prepared)>,
        end: LogPosition,
    ) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let engine = Arc::clone(&read(&shared.engine));
        let read_record = |position: u64| read_record(&shared.log, position);
        let mut network = read(&shared.network).clone();
        let mut entries = entries.into_iter().peekable();
        let mut done = false;
        while !done {
            let txn = Txn::new(engine.snapshot());
            let mut applier = Applier::new(txn, self.meta, &mut network, &read_record)?;
            applier.link_ready()?;
            while !applier.is_large() {
                match entries.next() {
                    Some((_, Prepared::Record(row, links))) => {
                        applier.store(*row, &links)?;
                        applier.link_ready()?;
                    }
                    Some((_, Prepared::Pulse(token, pulse))) => {
                        applier.pulse(token, &pulse)?;
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
            let mut txn = applier.txn;
            txn.put(key::meta(), meta.encode());
            engine.commit(txn.into_changes())?;
            self.meta = meta;
            for new in newly_linked {
                insert_into_graph(&self.shared.graph, &new)?;
            }
        }
        if network.amended != read(&shared.network).amended {
            self.set_network(network);
        }
        Ok(())
    }

    /// After the index failed: opens it again and brings it up to the log.
    fn reopen_index(&mut self) -> Result<(), StoreError> {
        let mut report = OpenReport::default();
        // The engine must be closed before it is opened again; readers in flight keep their snapshots' data.
        *self.shared.engine.write().unwrap_or_else(std::sync::PoisonError::into_inner) =
            Arc::new(MemoryEngine::default());
        let (engine, meta) = open_index(&self.options, &mut report)?;
        let (graph, checkpointed) = load_graph(&self.options, engine.as_ref(), &meta, &mut report)?;
        *self.shared.engine.write().unwrap_or_else(std::sync::PoisonError::into_inner) = engine;
        *self.shared.graph.write().unwrap_or_else(std::sync::PoisonError::into_inner) = graph;
        self.meta = Meta { log_id: self.log.log_id(), ..meta };
        self.checkpointed = checkpointed;
        self.catch_up(&mut report.notes)?;
        for note in report.notes {
            tracing::warn!("{note}");
        }
        self.behind = false;
        Ok(())
    }
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

fn first_hash(options: &StoreOptions) -> Hash {
    options.genesis.records()[0].hash()
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
}

/// Prepares entries on all cores: recovering selectors from their claims takes most of the time of a rebuild. Also
/// returns a line for each entry that cannot be used.
fn prepare(entries: &[RawEntry]) -> (Vec<(LogPosition, Prepared)>, Vec<String>) {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = entries.len().div_ceil(threads).max(64);
    let prepared: Vec<Result<Option<Prepared>, String>> = std::thread::scope(|scope| {
        let workers: Vec<_> = entries
            .chunks(share)
            .map(|chunk| scope.spawn(|| chunk.iter().map(prepare_one).collect::<Vec<_>>()))
            .collect();
        workers.into_iter().flat_map(|w| w.join().unwrap_or_default()).collect()
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

fn prepare_one(raw: &RawEntry) -> Result<Option<Prepared>, String> {
    let payload = &raw.entry.payload;
    if raw.entry.kind == EntryKind::Record {
        let record = Record::decode(payload).map_err(|e| e.to_string())?;
        let selectors = record.recover_selectors().map_err(|e| e.to_string())?;
        let work_verified = raw.entry.flags & ENTRY_WORK_VERIFIED != 0;
        let row = row_of(&record, &selectors, raw.position.0, work_verified);
        return Ok(Some(Prepared::Record(Box::new(row), record.links().to_vec())));
    }
    if raw.entry.kind == EntryKind::Pulse {
        let (token, pulse) = payload.split_first_chunk::<8>().ok_or("pulse entry is too short")?;
        let pulse = Pulse::from_bytes(pulse).map_err(|e| e.to_string())?;
        return Ok(Some(Prepared::Pulse(u64::from_be_bytes(*token), pulse)));
    }
    Ok(None)
}

fn read_record(log: &LogReader, position: u64) -> Option<Record> {
    Record::decode(&log.read(LogPosition(position)).ok()?.payload).ok()
}

/// Adds a record to weights and tips, a bounded step at a time, so that readers get in between.
fn insert_into_graph(graph: &RwLock<Graph>, new: &NewlyLinked) -> Result<(), StoreError> {
    let write = || graph.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    let broken = |e: crate::weights::WeightsError| StoreError::Io(format!("graph: {e}"));
    let mut guard = write();
    let mut insert = guard.weights.begin_insert(&new.links, new.score, new.eligible).map_err(broken)?;
    loop {
        match guard.weights.insert_step(&mut insert, WEIGHT_STEP_MAX).map_err(broken)? {
            Progress::Done(_) => {
                guard.tips.push(&new.links, new.eligible);
                return Ok(());
            }
            Progress::More => {
                drop(guard);
                guard = write();
            }
        }
    }
}

/// Opens the index; one that does not open is removed and made again.
fn open_index(
    options: &StoreOptions,
    report: &mut OpenReport,
) -> Result<(Arc<dyn Engine>, Meta), StoreError> {
    let IndexPlace::Disk(path) = &options.index else {
        return Ok((Arc::new(MemoryEngine::default()), Meta::default()));
    };
    let opened = DiskEngine::open(path).map_err(StoreError::from).and_then(|engine| {
        let meta = engine.snapshot().get(&key::meta())?.map(|v| Meta::decode(&v)).transpose()?;
        Ok((Arc::new(engine) as Arc<dyn Engine>, meta.unwrap_or_default()))
    });
    match opened {
        Ok(opened) => Ok(opened),
        Err(e) => {
            report.notes.push(format!("index does not open ({e}): made again from the log"));
            remove_index(path)?;
            Ok((Arc::new(DiskEngine::open(path)?), Meta::default()))
        }
    }
}

/// Empties the index.
fn wipe_index(options: &StoreOptions, engine: Arc<dyn Engine>) -> Result<Arc<dyn Engine>, StoreError> {
    drop(engine);
    match &options.index {
        IndexPlace::Memory => Ok(Arc::new(MemoryEngine::default())),
        IndexPlace::Disk(path) => {
            remove_index(path)?;
            Ok(Arc::new(DiskEngine::open(path)?))
        }
    }
}

fn remove_index(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::Io(format!("cannot remove the damaged index {}: {e}", path.display())))
        }
        _ => Ok(()),
    }
}

/// The graph of all records the index has linked: from the checkpoint as far as it goes, then from the index. Also
/// returns how many records the checkpoint covers.
fn load_graph(
    options: &StoreOptions,
    engine: &dyn Engine,
    meta: &Meta,
    report: &mut OpenReport,
) -> Result<(Graph, u32), StoreError> {
    let loaded = match checkpoint::read(options.storage.as_ref(), &meta.log_id) {
        Ok(Some(graph)) if graph.weights.len() <= meta.linked => graph,
        Ok(Some(_)) => {
            report.notes.push("checkpoint is newer than the index: made again".to_owned());
            Graph::default()
        }
        Ok(None) => Graph::default(),
        Err(problem) => {
            report.notes.push(format!("checkpoint is not usable ({problem}): made again"));
            Graph::default()
        }
    };
    let checkpointed = loaded.weights.len();
    let graph = RwLock::new(loaded);
    if meta.linked > checkpointed {
        let snapshot = engine.snapshot();
        for pair in snapshot.range(&key::linked(checkpointed), &key::linked(meta.linked - 1)) {
            let (_, value) = pair?;
            let LinkedRow { row, links } = LinkedRow::decode(&value)?;
            let good = row.selectors.is_empty()
                || match snapshot.get(&key::claim(&row.id))?.map(|v| Claim::decode(&v)).transpose()? {
                    Some(Claim::Held { owner, .. }) => owner == row.owner,
                    _ => false,
                };
            let eligible = good && !row.temporal_violation;
            insert_into_graph(&graph, &NewlyLinked { links, score: row.score, eligible })?;
        }
    }
    let graph = graph.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if graph.weights.len() != meta.linked {
        return Err(RowError('r').into());
    }
    Ok((graph, checkpointed))
}
