//! Looking after a store that no node has open: check, rebuild, stats, compact. The caller holds the directory's lock.
//!
//! A check changes nothing, not even what an opening would mend.

use std::io;
use std::sync::Arc;

use lf_proto::hash::Hash;

use crate::checkpoint;
use crate::engine::{DiskPlace, Engine, EnginePlace, MemoryPlace};
use crate::log::{self, EntryKind, Log, LogPosition, LogStats};
use crate::rows::{LinkedRow, Meta, PendingRow, Row, key};
use crate::storage::{Storage, StorageFile};
use crate::store::{IndexPlace, OpenReport, Store, StoreError, StoreOptions, load_graph, open_index};
use crate::txn::prefix_last;
use crate::view::read;

/// Records named in a report, at most; more are only counted.
const NAMED_MAX: usize = 10_000;

/// A stored record whose log entry is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DamagedRecord {
    /// The record, as the index still knows it.
    pub hash: Hash,
    /// Where the log should hold it.
    pub position: LogPosition,
}

/// What a check found.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CheckReport {
    /// The log's entries and damages.
    pub log: log::CheckReport,
    /// What opening the log would mend, and other remarks, for people.
    pub notes: Vec<String>,
    /// Records that the index knows and the log does not give any more, at most 10,000.
    pub damaged_records: Vec<DamagedRecord>,
    /// All such records, also those not listed.
    pub damaged_records_count: u64,
    /// Linked records of the index.
    pub linked: u32,
    /// Waiting records of the index.
    pub pending: u64,
    /// Bytes of the log that the index does not have yet: the next start applies them.
    pub behind_bytes: u64,
    /// Records of the log, below what the index has applied, that the index does not know.
    pub unindexed: u64,
    /// Keys of the index that differ from an index made anew; only looked at if the log is undamaged and the index is
    /// not behind.
    pub index_differences: u64,
    /// Records whose weight differs from the weight in a graph made anew; looked at as `index_differences`.
    pub weight_differences: u64,
    /// Whether index and weights were compared with ones made anew.
    pub compared: bool,
    /// Why the index could not be read, if so.
    pub index_problem: Option<String>,
}

impl CheckReport {
    /// Whether the log, the truth, has no damage.
    pub fn is_log_sound(&self) -> bool {
        self.log.damages_count == 0 && self.damaged_records_count == 0
    }

    /// Whether the index is what the log makes of it (it may be behind).
    pub fn is_index_sound(&self) -> bool {
        self.index_problem.is_none()
            && self.unindexed == 0
            && self.index_differences == 0
            && self.weight_differences == 0
    }

    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.is_log_sound() && self.is_index_sound()
    }
}

/// Sizes of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The log.
    pub log: LogStats,
    /// Bytes of the index.
    pub index_bytes: u64,
    /// Bytes of the checkpoint; 0 without one.
    pub checkpoint_bytes: u64,
    /// Linked records.
    pub linked: u32,
    /// Their bytes.
    pub linked_bytes: u64,
    /// Records that wait for links.
    pub pending: u64,
    /// Their bytes.
    pub pending_bytes: u64,
    /// Bytes of the log that the index does not have yet.
    pub behind_bytes: u64,
}

/// Verifies the log, the index against the log, and index and weights against ones made anew. Changes nothing (but a
/// directory beside the index is used while it runs).
///
/// # Errors
/// The disk does not let it be done. What is wrong with the store is in the report.
pub fn check(options: &StoreOptions) -> Result<CheckReport, StoreError> {
    let frozen: Arc<dyn Storage> = Arc::new(Frozen(Arc::clone(&options.storage)));
    let (log, opened) = Log::open(Arc::clone(&frozen), options.log.clone())?;
    let reader = log.reader();
    let mut report = CheckReport { log: reader.check(), ..CheckReport::default() };
    if let Some(torn) = &opened.torn_tail {
        report.notes.push(format!("an unfinished write of {} bytes at {}", torn.bytes, torn.from));
    }
    let place = options.index.place();
    match open_index(place.as_ref()).and_then(|index| check_index(&reader, index, &mut report)) {
        Ok(Some((engine, meta))) => compare(options, frozen, engine.as_ref(), meta, &mut report)?,
        Ok(None) => {}
        Err(e) => report.index_problem = Some(e.to_string()),
    }
    Ok(report)
}

/// The index against the log, row by row. Returns the index if it can be compared with one made anew.
#[allow(clippy::type_complexity)]
fn check_index(
    reader: &log::LogReader,
    (engine, meta): (Arc<dyn Engine>, Meta),
    report: &mut CheckReport,
) -> Result<Option<(Arc<dyn Engine>, Meta)>, StoreError> {
    (report.linked, report.pending) = (meta.linked, meta.pending);
    if meta == Meta::default() {
        report.notes.push("there is no index: the next start makes it from the log".to_owned());
        return Ok(None);
    }
    if meta.log_id != reader.log_id() {
        report.index_problem = Some("belongs to another log".to_owned());
        return Ok(None);
    }
    report.behind_bytes = reader.end().0.saturating_sub(meta.applied);
    let snapshot = engine.snapshot();
    let mut look = |row: Row| {
        let entry = reader.read(LogPosition(row.position));
        let found = entry.is_ok_and(|e| {
            lf_proto::record::Record::decode(&e.payload).is_ok_and(|record| record.hash() == row.hash)
        });
        if !found {
            report.damaged_records_count += 1;
            if report.damaged_records.len() < NAMED_MAX {
                let position = LogPosition(row.position);
                report.damaged_records.push(DamagedRecord { hash: row.hash, position });
            }
        }
    };
    for pair in snapshot.range(&key::linked(0), &key::linked(u32::MAX)) {
        look(LinkedRow::decode(&pair?.1)?.row);
    }
    for pair in snapshot.range(b"p", &prefix_last(b"p")) {
        look(PendingRow::decode(&pair?.1)?.row);
    }
    for step in reader.scan(LogPosition(0)) {
        let Ok((position, entry)) = step else { continue };
        if position.0 >= meta.applied || entry.kind != EntryKind::Record {
            continue;
        }
        let Ok(record) = lf_proto::record::Record::decode(&entry.payload) else { continue };
        if snapshot.get(&key::standing(&record.hash()))?.is_none() {
            report.unindexed += 1;
        }
    }
    let comparable = report.is_log_sound() && report.behind_bytes == 0;
    Ok(comparable.then_some((engine, meta)))
}

fn compare(
    options: &StoreOptions,
    frozen: Arc<dyn Storage>,
    engine: &dyn Engine,
    meta: Meta,
    report: &mut CheckReport,
) -> Result<(), StoreError> {
    // On disk if the index is: it may not fit into memory.
    let beside: Arc<dyn EnginePlace> = match &options.index {
        IndexPlace::Disk(path) => {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(".check");
            Arc::new(DiskPlace(path.with_file_name(name)))
        }
        _ => Arc::new(MemoryPlace),
    };
    beside.remove()?;
    let again = StoreOptions {
        storage: frozen,
        index: IndexPlace::Other(Arc::clone(&beside)),
        free_bytes_min: 0,
        ..options.clone()
    };
    let compared = Store::open(again).and_then(|(store, _)| {
        report.index_differences = differences(engine, store.engine.as_ref())?;
        let mut opened = OpenReport::default();
        let graph = load_graph(options, engine, &meta, &mut opened)?.graph;
        report.notes.append(&mut opened.notes);
        let made = read(&store.shared.graph);
        report.weight_differences = (0..meta.linked.max(made.weights.len()))
            .filter(|i| graph.weights.weight(*i) != made.weights.weight(*i))
            .count() as u64;
        report.compared = true;
        Ok(())
    });
    beside.remove()?;
    compared
}

/// Keys that only one of the two has, or that have different values.
fn differences(a: &dyn Engine, b: &dyn Engine) -> Result<u64, StoreError> {
    let (a, b) = (a.snapshot(), b.snapshot());
    let last = prefix_last(&[0xff]);
    let (mut left, mut right) = (a.range(&[], &last).peekable(), b.range(&[], &last).peekable());
    let mut count = 0;
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return Ok(count),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(Ok(l)), Some(Ok(r))) => l.0.cmp(&r.0),
            _ => std::cmp::Ordering::Equal, // An error: met below.
        };
        let l = if order.is_le() { left.next().transpose()? } else { None };
        let r = if order.is_ge() { right.next().transpose()? } else { None };
        count += u64::from(l != r);
    }
}

/// Makes index and checkpoint again from the log. `progress` is told how many bytes of how many are done.
///
/// # Errors
/// As [`Store::open`] and [`Store::close`].
pub fn rebuild(options: &StoreOptions, progress: &mut dyn FnMut(u64, u64)) -> Result<OpenReport, StoreError> {
    options.index.place().remove()?;
    let (store, report) = Store::open_with(options.clone(), progress)?;
    store.close()?;
    Ok(report)
}

/// Sizes, as they are now.
///
/// # Errors
/// Log or index cannot be read.
pub fn stats(options: &StoreOptions) -> Result<Stats, StoreError> {
    let (log, _) = Log::open(Arc::new(Frozen(Arc::clone(&options.storage))), options.log.clone())?;
    let (engine, meta) = open_index(options.index.place().as_ref())?;
    let checkpoint = options.storage.open(checkpoint::FILE).and_then(|f| f.length());
    Ok(Stats {
        log: log.reader().stats(),
        index_bytes: engine.bytes(),
        checkpoint_bytes: checkpoint.unwrap_or(0),
        linked: meta.linked,
        linked_bytes: meta.linked_bytes,
        pending: meta.pending,
        pending_bytes: meta.pending_bytes,
        behind_bytes: log.durable_end().0.saturating_sub(meta.applied),
    })
}

/// Compacts the index; the log holds nothing that could be given back. Returns the index's bytes before and after.
///
/// # Errors
/// The index failed.
pub fn compact(options: &StoreOptions) -> Result<(u64, u64), StoreError> {
    let (engine, _) = open_index(options.index.place().as_ref())?;
    let before = engine.bytes();
    engine.compact()?;
    engine.persist()?;
    Ok((before, engine.bytes()))
}

/// A storage that is only read. What opening a log does for durability, or to cut off what an interrupted write left,
/// succeeds without doing anything; checkpoints are hidden; new bytes are refused.
#[derive(Debug)]
struct Frozen(Arc<dyn Storage>);

fn frozen<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "a check changes nothing"))
}

impl Storage for Frozen {
    fn create_directory(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.0.list(directory)
    }

    fn create(&self, _: &str) -> io::Result<Arc<dyn StorageFile>> {
        frozen()
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn StorageFile>> {
        if path == checkpoint::FILE {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Arc::new(FrozenFile(self.0.open(path)?)))
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        if path == checkpoint::FILE { Err(io::ErrorKind::NotFound.into()) } else { Ok(()) }
    }

    fn sync_directory(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.0.free_bytes()
    }
}

#[derive(Debug)]
struct FrozenFile(Arc<dyn StorageFile>);

impl StorageFile for FrozenFile {
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        frozen()
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
