//! The embedded engine under the index: an ordered map of bytes with atomic batches and snapshots.
//!
//! The index is derived data, so an engine owes no durability of its own: what it must keep is order. A crash may cost
//! its newest batches, never one in the middle. The disk engine is fjall; the memory engine serves simulations and
//! tests and is the model that the disk engine is compared with.

mod release;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use fjall::compaction::Leveled;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use self::release::Releaser;
use crate::writer::WRITER_NICENESS;

/// What an engine's failure means for the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineErrorKind {
    /// What is stored does not read back: the index must be made again.
    Damaged,
    /// No space is left.
    DiskFull,
    /// Somebody else has it open, or a view of it is still in use.
    InUse,
    /// It takes no more writes until it is opened again.
    Stopped,
    /// The system refuses, whatever is stored.
    Refused,
}

/// The engine failed: the disk's fault. The log is not concerned.
#[derive(Debug, Clone, thiserror::Error)]
#[error("index engine: {text}")]
pub struct EngineError {
    kind: EngineErrorKind,
    text: String,
}

impl EngineError {
    /// A failure with what an engine says about it.
    pub fn new(kind: EngineErrorKind, text: impl Into<String>) -> Self {
        EngineError { kind, text: text.into() }
    }

    /// What it means.
    pub fn kind(&self) -> EngineErrorKind {
        self.kind
    }

    fn of_io(e: &io::Error) -> Self {
        use io::ErrorKind as K;
        let kind = match e.kind() {
            K::StorageFull | K::QuotaExceeded | K::FileTooLarge => EngineErrorKind::DiskFull,
            K::PermissionDenied | K::ReadOnlyFilesystem | K::OutOfMemory => EngineErrorKind::Refused,
            // Too many open files, for the process or the system, have no name of their own.
            _ if matches!(e.raw_os_error(), Some(23 | 24)) => EngineErrorKind::Refused,
            _ => EngineErrorKind::Damaged,
        };
        EngineError::new(kind, e.to_string())
    }
}

impl From<fjall::Error> for EngineError {
    fn from(e: fjall::Error) -> Self {
        match &e {
            fjall::Error::Io(io) => EngineError::of_io(io),
            fjall::Error::Storage(fjall::LsmError::Io(io)) => EngineError::of_io(io),
            fjall::Error::Locked => EngineError::new(EngineErrorKind::InUse, "already open"),
            fjall::Error::Poisoned => {
                EngineError::new(EngineErrorKind::Stopped, "stopped after a failed write")
            }
            _ => EngineError::new(EngineErrorKind::Damaged, e.to_string()),
        }
    }
}

/// Where an index lives, whatever its engine.
pub trait EnginePlace: Send + Sync + Debug {
    /// Opens the index, or makes an empty one.
    ///
    /// # Errors
    /// The index is damaged, or the system refuses.
    fn open(&self) -> Result<Arc<dyn Engine>, EngineError>;

    /// Removes the index, so that the next [`open`](Self::open) finds none. It is not open.
    ///
    /// # Errors
    /// The system refuses.
    fn remove(&self) -> Result<(), EngineError>;
}

/// One key of a batch: a value to put, or `None` to remove it.
pub type Change = (Vec<u8>, Option<Vec<u8>>);

/// Pairs of key and value, ascending by key.
pub type Pairs<'a> = Box<dyn Iterator<Item = Result<(Vec<u8>, Vec<u8>), EngineError>> + 'a>;

/// A state of the map that does not change any more.
pub trait Snapshot: Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// The engine failed.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;

    /// All pairs from `first` to `last`, both included, ascending.
    fn range<'a>(&'a self, first: &[u8], last: &[u8]) -> Pairs<'a>;
}

/// An ordered map with atomic batches. One thread commits, any number read.
pub trait Engine: Send + Sync {
    /// The current state.
    fn snapshot(&self) -> Box<dyn Snapshot>;

    /// Makes all changes visible at once.
    ///
    /// # Errors
    /// The engine failed; none of the changes may be counted on.
    fn commit(&self, changes: Vec<Change>) -> Result<(), EngineError>;

    /// Asks that everything committed survives power loss. Called before a clean stop.
    ///
    /// # Errors
    /// The engine failed.
    fn persist(&self) -> Result<(), EngineError>;

    /// Bytes on disk (or in memory).
    fn bytes(&self) -> u64;

    /// Gives back what space can be given back.
    ///
    /// # Errors
    /// The engine failed.
    fn compact(&self) -> Result<(), EngineError>;
}

/// The disk engine.
pub struct DiskEngine {
    /// There until it is dropped.
    open: Option<Open>,
    /// As long.
    releaser: Option<Releaser>,
}

/// What is open of it.
#[derive(Clone)]
struct Open {
    // Declared first, so dropped first.
    keyspaces: Keyspaces,
    database: Database,
}

/// For the engine to write what it holds in memory: some 36 MiB. What it has not written the log has.
const PERSIST_TIME_MAX: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 20 });
/// For the engine's thread to end.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 5 });

/// Waits for what the engine does with its own thread. That dies when the disk fails it (as where its directory was
/// deleted), and fjall 3.1.13 then waits for it for ever: a node could not be stopped any more.
fn in_time<T: Send + 'static>(time_max: Duration, run: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, done) = sync_channel(1);
    let run = move || {
        // Nobody waits any more if it took too long.
        let _ = sender.send(run());
    };
    std::thread::Builder::new().name("lf-engine".to_owned()).spawn(run).ok()?;
    done.recv_timeout(time_max).ok()
}

impl Drop for DiskEngine {
    fn drop(&mut self) {
        let (open, releaser) = (self.open.take(), self.releaser.take());
        in_time(CLOSE_TIME_MAX, move || {
            // First: a table's file is removed when its last share is given up, and the next engine may use its name again.
            drop(releaser);
            drop(open);
        });
    }
}

/// Where the tables are. Rows come in the order of their keys and are most of the bytes: among themselves they are never
/// merged again. All else is in random order and small. No more keyspaces: idle ones would pin journals.
#[derive(Clone)]
struct Keyspaces {
    rows: Keyspace,
    others: Keyspace,
}

/// The first byte of the keys of linked records' rows.
const ROWS: u8 = b'r';

impl Keyspaces {
    fn of(&self, key: &[u8]) -> &Keyspace {
        if key.first() == Some(&ROWS) { &self.rows } else { &self.others }
    }

    fn all(&self) -> [&Keyspace; 2] {
        [&self.rows, &self.others]
    }
}

/// Bytes of block cache.
pub(crate) const CACHE_BYTES: u64 = 96 << 20;
/// Journals beyond this are flushed: long journals open slowly.
const JOURNAL_BYTES_MAX: u64 = 128 << 20;
/// Bytes of changes kept in memory before they become a table on disk. Larger ones would be merged less often, and several of
/// them are in memory at times.
const MEMTABLE_BYTES_MAX: u64 = 20 << 20;
/// The same of rows: their tables are never merged, so nothing is won by large ones.
const ROWS_MEMTABLE_BYTES_MAX: u64 = 16 << 20;
/// Tables of the newest level before they are merged into the next: merging is what imports wait for, and each merge
/// holds readers up for a moment; queries have that many more tables to look into.
const NEWEST_TABLES_MAX: u8 = 12;
/// Bytes of a table that a merge writes. It finishes the last one, filter, sync and all, under the lock that each read takes:
/// 30 ms for the engine's own 64 MiB.
const TABLE_BYTES_MAX: u64 = 8 << 20;

fn no_thread(e: &io::Error) -> EngineError {
    EngineError::new(EngineErrorKind::Refused, format!("cannot start a thread: {e}"))
}

impl DiskEngine {
    /// Opens or creates the engine's directory.
    ///
    /// # Errors
    /// The directory is not usable or damaged; it can be deleted and rebuilt from the log.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        // The engine's own thread has the priority of the one that opens it.
        let open = || {
            lf_platform::lower_priority(WRITER_NICENESS);
            Self::open_or_panic(path)
        };
        let opened = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("lf-engine".to_owned()).spawn_scoped(scope, open);
            thread.map(std::thread::ScopedJoinHandle::join)
        });
        match opened {
            Ok(Ok(engine)) => engine,
            // Damaged files may make the engine panic; that is one more kind of damage.
            Ok(Err(_)) => Err(EngineError::new(EngineErrorKind::Damaged, "does not understand its files")),
            Err(e) => Err(no_thread(&e)),
        }
    }

    fn open_or_panic(path: &Path) -> Result<Self, EngineError> {
        let database = Database::builder(path)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            // Of more than one, fjall's first (3.1.13) does not merge but hands merges on to the others, and as long as they
            // are busy it gets them back and hands them on again: a core kept busy with nothing for as long as a merge takes.
            .worker_threads(1)
            .open()?;
        let options = |memtable_bytes_max| {
            let strategy = Leveled::default()
                .with_l0_threshold(NEWEST_TABLES_MAX)
                .with_table_target_size(TABLE_BYTES_MAX);
            KeyspaceCreateOptions::default()
                .max_memtable_size(memtable_bytes_max)
                .compaction_strategy(Arc::new(strategy))
        };
        let keyspaces = Keyspaces {
            rows: database.keyspace("rows", || options(ROWS_MEMTABLE_BYTES_MAX))?,
            others: database.keyspace("index", || options(MEMTABLE_BYTES_MAX))?,
        };
        for keyspace in keyspaces.all() {
            // What journals held becomes a table (in the background), so that they do not pile up from crash to crash.
            keyspace.rotate_memtable()?;
        }
        let releaser = Releaser::start(keyspaces.clone()).map_err(|e| no_thread(&e))?;
        Ok(DiskEngine { open: Some(Open { keyspaces, database }), releaser: Some(releaser) })
    }

    fn opened(&self) -> Result<&Open, EngineError> {
        self.open.as_ref().ok_or_else(closed)
    }
}

/// The place of a disk engine: a directory.
#[derive(Debug, Clone)]
pub struct DiskPlace(pub PathBuf);

impl DiskPlace {
    /// What is being removed has another name, so that half of an index is never taken for one.
    fn removed(&self) -> PathBuf {
        let mut name = self.0.file_name().unwrap_or_default().to_owned();
        name.push(".removed");
        self.0.with_file_name(name)
    }
}

fn remove_directory(path: &Path) -> Result<(), EngineError> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => std::fs::remove_file(path),
        other => other,
    }
    .or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
    .map_err(|e| {
        let text = format!("cannot remove {}: {e}", path.display());
        EngineError::new(EngineErrorKind::Refused, text)
    })
}

impl EnginePlace for DiskPlace {
    fn open(&self) -> Result<Arc<dyn Engine>, EngineError> {
        remove_directory(&self.removed())?;
        Ok(Arc::new(DiskEngine::open(&self.0)?))
    }

    fn remove(&self) -> Result<(), EngineError> {
        remove_directory(&self.removed())?;
        match std::fs::rename(&self.0, self.removed()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(EngineError::new(EngineErrorKind::Refused, e.to_string())),
            Ok(()) => remove_directory(&self.removed()),
        }
    }
}

/// The place of a memory engine: empty whenever it is opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemoryPlace;

impl EnginePlace for MemoryPlace {
    fn open(&self) -> Result<Arc<dyn Engine>, EngineError> {
        Ok(Arc::new(MemoryEngine::default()))
    }

    fn remove(&self) -> Result<(), EngineError> {
        Ok(())
    }
}

/// Stands in for an engine that is closed for a moment: everything fails, nothing is answered wrongly.
pub(crate) struct ClosedEngine;

fn closed() -> EngineError {
    EngineError::new(EngineErrorKind::Stopped, "it is being opened again, try again in a moment")
}

impl Engine for ClosedEngine {
    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(ClosedEngine)
    }

    fn commit(&self, _: Vec<Change>) -> Result<(), EngineError> {
        Err(closed())
    }

    fn persist(&self) -> Result<(), EngineError> {
        Err(closed())
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn compact(&self) -> Result<(), EngineError> {
        Err(closed())
    }
}

impl Snapshot for ClosedEngine {
    fn get(&self, _: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Err(closed())
    }

    fn range<'a>(&'a self, _: &[u8], _: &[u8]) -> Pairs<'a> {
        Box::new(std::iter::once(Err(closed())))
    }
}

impl Engine for DiskEngine {
    fn snapshot(&self) -> Box<dyn Snapshot> {
        match &self.open {
            Some(Open { keyspaces, database }) => {
                Box::new(DiskSnapshot { snapshot: database.snapshot(), keyspaces: keyspaces.clone() })
            }
            None => Box::new(ClosedEngine),
        }
    }

    fn commit(&self, changes: Vec<Change>) -> Result<(), EngineError> {
        let Open { keyspaces, database } = self.opened()?;
        let mut batch = database.batch();
        for (key, value) in changes {
            let keyspace = keyspaces.of(&key);
            match value {
                Some(value) => batch.insert(keyspace, key, value),
                None => batch.remove(keyspace, key),
            }
        }
        batch.commit()?;
        self.releaser.iter().for_each(Releaser::changed);
        Ok(())
    }

    fn persist(&self) -> Result<(), EngineError> {
        let Open { keyspaces, database } = self.opened()?.clone();
        let persisted = in_time(PERSIST_TIME_MAX, move || -> Result<(), EngineError> {
            // As tables, so that the next start need not take them in again from the journals.
            for keyspace in keyspaces.all() {
                keyspace.rotate_memtable_and_wait()?;
            }
            Ok(database.persist(PersistMode::SyncAll)?)
        });
        let late = || EngineError::new(EngineErrorKind::Stopped, "does not write what it holds in memory");
        persisted.unwrap_or_else(|| Err(late()))
    }

    fn bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.database.disk_space().unwrap_or(0))
    }

    fn compact(&self) -> Result<(), EngineError> {
        for keyspace in self.opened()?.keyspaces.all() {
            keyspace.rotate_memtable_and_wait()?;
            keyspace.major_compact()?;
        }
        Ok(())
    }
}

struct DiskSnapshot {
    snapshot: fjall::Snapshot,
    keyspaces: Keyspaces,
}

impl Snapshot for DiskSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.snapshot.get(self.keyspaces.of(key), key)?.map(|v| v.to_vec()))
    }

    fn range<'a>(&'a self, first: &[u8], last: &[u8]) -> Pairs<'a> {
        if first > last {
            return Box::new(std::iter::empty());
        }
        let pairs = |keyspace: &Keyspace, first: &[u8], last: &[u8]| {
            self.snapshot.range(keyspace, first.to_vec()..=last.to_vec()).map(|guard| {
                let (key, value) = guard.into_inner()?;
                Ok((key.to_vec(), value.to_vec()))
            })
        };
        let Keyspaces { rows, others } = &self.keyspaces;
        match (first.first(), last.first()) {
            (Some(&ROWS), Some(&ROWS)) => Box::new(pairs(rows, first, last)),
            (Some(a), Some(b)) if *a > ROWS || *b < ROWS => Box::new(pairs(others, first, last)),
            // All tables: others before the rows, the rows, others after them.
            _ => Box::new(
                pairs(others, first, last)
                    .take_while(|pair| !matches!(pair, Ok((key, _)) if key.as_slice() >= [ROWS].as_slice()))
                    .chain(pairs(rows, first, last))
                    .chain(pairs(others, first.max(&[ROWS]), last)),
            ),
        }
    }
}

/// The memory engine: a map that is copied when a snapshot of it is still in use.
#[derive(Default)]
pub struct MemoryEngine {
    map: RwLock<Arc<BTreeMap<Vec<u8>, Vec<u8>>>>,
}

impl Engine for MemoryEngine {
    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(MemorySnapshot(self.map.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()))
    }

    fn commit(&self, changes: Vec<Change>) -> Result<(), EngineError> {
        let mut map = self.map.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let map = Arc::make_mut(&mut map);
        for (key, value) in changes {
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        Ok(())
    }

    fn persist(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn bytes(&self) -> u64 {
        let map = self.map.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        map.iter().map(|(k, v)| (k.len() + v.len()) as u64).sum()
    }

    fn compact(&self) -> Result<(), EngineError> {
        Ok(())
    }
}

struct MemorySnapshot(Arc<BTreeMap<Vec<u8>, Vec<u8>>>);

impl Snapshot for MemorySnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.0.get(key).cloned())
    }

    fn range<'a>(&'a self, first: &[u8], last: &[u8]) -> Pairs<'a> {
        if first > last {
            return Box::new(std::iter::empty());
        }
        Box::new(self.0.range(first.to_vec()..=last.to_vec()).map(|(k, v)| Ok((k.clone(), v.clone()))))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_whose_directory_is_gone_is_closed_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index");
        let engine = DiskEngine::open(&path).unwrap();
        let change = |n: u8| (vec![b'h', n], Some(vec![n; 1_000]));
        engine.commit((0..100).map(change).collect()).unwrap();
        std::fs::remove_dir_all(&path).unwrap();
        // Whatever it says: it must not wait for ever.
        assert!(engine.persist().is_err());
        drop(engine);
    }

    #[test]
    fn what_the_engine_lets_go_of_is_released_while_it_is_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index");
        let engine = DiskEngine::open(&path).unwrap();
        let tables = || {
            let keyspaces = std::fs::read_dir(path.join("keyspaces")).unwrap();
            let tables = keyspaces.filter_map(|k| std::fs::read_dir(k.unwrap().path().join("tables")).ok());
            tables.map(Iterator::count).sum::<usize>()
        };
        let write = |round: u8| {
            let change = |n: u8| (vec![b'h', n], Some(vec![round; 1_000]));
            engine.commit((0..100).map(change).collect()).unwrap();
            engine.compact().unwrap();
            drop(engine.snapshot());
        };
        let view = engine.snapshot();
        (0..20).for_each(write);
        // The view needs none of the later tables, but the engine keeps what came after it.
        assert!(tables() >= 20, "{}", tables());
        drop(view);
        // It lets go of most when it next writes tables.
        let (mut round, begun) = (20, std::time::Instant::now());
        while tables() > 8 && begun.elapsed() < Duration::from_secs(20) {
            write(round);
            round += 1;
            std::thread::sleep(Duration::from_millis(60));
        }
        assert!(tables() <= 8, "{}", tables());
        assert_eq!(engine.snapshot().get(&[b'h', 99]).unwrap(), Some(vec![round - 1; 1_000]));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_engines_own_thread_has_a_lower_priority() {
        let directory = tempfile::tempdir().unwrap();
        let _engine = DiskEngine::open(&directory.path().join("index")).unwrap();
        let niceness_of = |stat: &Path| {
            let stat = std::fs::read_to_string(stat).ok()?;
            let (name, rest) = stat.rsplit_once(')')?;
            Some((name.to_owned(), rest.split_whitespace().nth(16)?.parse::<i32>().ok()?))
        };
        let (_, program) = niceness_of(Path::new("/proc/self/stat")).unwrap();
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        // Threads of other tests come and go.
        let threads = threads.filter_map(|thread| niceness_of(&thread.unwrap().path().join("stat")));
        let niceness: Vec<i32> = threads.filter(|(name, _)| name.contains("fjall")).map(|(_, n)| n).collect();
        let lowered = (program + WRITER_NICENESS).min(lf_platform::NICENESS_LEAST);
        assert!(!niceness.is_empty() && niceness.iter().all(|n| *n == lowered), "{niceness:?}");
    }
}
