//! The append-only log: LF's only durable truth. Everything else in the store is derived from it.
//!
//! A log is a directory of segment files. One [`Log`] appends entries and makes them durable a commit at a time;
//! any number of [`LogReader`]s read what is durable, and nothing else, without waiting. The bytes are described
//! in docs/src/FORMAT.md, with the rules by which [`Log::open`] tells an interrupted write from damage.
//!
//! What must not live here: what the payloads mean, and any index over them.
//!
//! ```
//! use std::sync::Arc;
//! use lf_store::log::{EntryKind, Log, LogOptions};
//! use lf_store::storage::SimStorage;
//!
//! let storage = Arc::new(SimStorage::new(1));
//! let (mut log, report) = Log::open(storage, LogOptions::new([7; 16]))?;
//! assert!(report.created);
//! let position = log.append(EntryKind::Record, 0, b"a record")?;
//! log.commit()?; // one write and one fsync for all that was appended
//! assert_eq!(log.reader().read(position)?.payload, b"a record");
//! # Ok::<(), lf_store::log::LogError>(())
//! ```

mod entry;
mod error;
mod reader;
mod recover;
mod scan;
mod segment;
mod source;

use std::fmt;
use std::sync::Arc;

pub use entry::{ENTRY_HEADER_BYTES, Entry, EntryKind, PAYLOAD_BYTES_MAX};
pub use error::{Damage, DamageKind, LogError};
pub use reader::{CheckReport, LogReader, LogStats};
pub use recover::{OpenReport, TornTail};
pub use scan::LogScan;
pub use segment::{FORMAT_VERSION, SEGMENT_HEADER_BYTES};
pub use source::{Extent, LOG_ID_NAME, LogSource, PinnedLog, SourceSegment};

use crate::storage::{Storage, StorageFile, join};
use entry::{MARK_COMMIT, MARK_OPENED};
use error::io_error;
use segment::{HeaderOf, Segment, SegmentHeader, Shared, segment_name};

/// A byte of the log, counted over all segments from the beginning of the first, headers included. Entries keep
/// their position for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LogPosition(pub u64);

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How to open a log.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// The directory in the storage.
    pub directory: String,
    /// The id a new log gets: random, so that no bytes of another log are taken for its own. An existing log
    /// keeps the one it has.
    pub log_id: [u8; 16],
    /// A segment that has reached this length gets no more entries (an entry longer than it gets a segment of its
    /// own).
    pub segment_bytes_max: u64,
    /// Bytes that may be appended without a commit.
    pub pending_bytes_max: usize,
    /// A position up to which the log is known to be good: 0, or where an entry starts or the log ended. The last
    /// segment is verified from there only.
    pub scan_from: LogPosition,
}

impl LogOptions {
    /// The defaults: `log`, segments of 256 MiB, 64 MiB without a commit, the last segment verified whole.
    pub fn new(log_id: [u8; 16]) -> LogOptions {
        LogOptions {
            directory: "log".to_owned(),
            log_id,
            segment_bytes_max: 256 << 20,
            pending_bytes_max: 64 << 20,
            scan_from: LogPosition(0),
        }
    }
}

/// The writer of a log. There must be one only (the store's lock on its directory sees to that).
#[derive(Debug)]
pub struct Log {
    storage: Arc<dyn Storage>,
    options: LogOptions,
    shared: Arc<Shared>,
    /// The segment that is written to; `None`: the next commit begins one.
    tail: Option<Arc<Segment>>,
    /// What was appended since the last commit.
    chunks: Vec<Chunk>,
    pending_bytes: usize,
    /// Where the next entry goes if it goes in the same segment.
    next: u64,
    /// Whether there was a commit since the log was opened.
    committed: bool,
    poisoned: Option<String>,
}

/// Bytes that go into one segment.
#[derive(Debug)]
struct Chunk {
    segment_start: u64,
    /// Position of the first byte: for a new segment its start, and the bytes begin with its header.
    position: u64,
    bytes: Vec<u8>,
}

impl Chunk {
    fn is_new_segment(&self) -> bool {
        self.position == self.segment_start
    }
}

/// Path and file of a segment that a commit has begun.
type Created = (String, Arc<dyn StorageFile>);

/// Why a commit failed.
struct Failure {
    error: LogError,
    /// A sync failed: what is durable can no longer be known from here.
    poison: bool,
}

impl Log {
    /// Opens the log, or makes it if there is none; repairs what an interruption left behind, and says so in the
    /// report. Damage is no error: see [`OpenReport::damages`].
    pub fn open(storage: Arc<dyn Storage>, options: LogOptions) -> Result<(Log, OpenReport), LogError> {
        let (shared, tail, report) = recover::open(&*storage, &options)?;
        let next = shared.end().0;
        let log = Log {
            storage,
            options,
            shared: Arc::new(shared),
            tail,
            chunks: Vec::new(),
            pending_bytes: 0,
            next,
            committed: false,
            poisoned: None,
        };
        Ok((log, report))
    }

    /// Adds an entry to what the next commit writes; returns its position, which holds if that commit succeeds.
    /// Nothing is written yet and no reader sees it.
    pub fn append(&mut self, kind: EntryKind, flags: u8, payload: &[u8]) -> Result<LogPosition, LogError> {
        self.usable()?;
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(LogError::PayloadTooLong(payload.len()));
        }
        let entry_bytes = ENTRY_HEADER_BYTES + payload.len();
        if !self.chunks.is_empty() && self.pending_bytes + entry_bytes > self.options.pending_bytes_max {
            return Err(LogError::PendingFull(self.pending_bytes));
        }
        let marks = match (self.chunks.is_empty(), self.committed) {
            (false, _) => 0,
            (true, true) => MARK_COMMIT,
            (true, false) => MARK_COMMIT | MARK_OPENED,
        };
        self.make_room(entry_bytes as u64);
        let position = LogPosition(self.next);
        if let Some(chunk) = self.chunks.last_mut() {
            self.shared.codec.encode(&mut chunk.bytes, position, kind.into(), flags, marks, payload);
        }
        self.next += entry_bytes as u64;
        self.pending_bytes += entry_bytes;
        Ok(position)
    }

    /// Makes everything appended since the last commit durable: returns the new durable end after the fsync.
    ///
    /// After an error none of it counts, and all of it must be appended again if it is still wanted. If what was
    /// written could be taken back (a full disk, say) the log goes on as before. Otherwise, and always when an
    /// fsync failed, it is poisoned: readers go on, but nothing more is written until the log is opened again.
    pub fn commit(&mut self) -> Result<LogPosition, LogError> {
        self.usable()?;
        if self.chunks.is_empty() {
            return Ok(self.durable_end());
        }
        let chunks = std::mem::take(&mut self.chunks);
        self.pending_bytes = 0;
        let (mut created, mut added) = (Vec::new(), Vec::new());
        if let Err(failure) = self.write(&chunks, &mut created, &mut added) {
            let taken_back = self.take_back(&chunks, &created);
            self.next = self.durable_end().0;
            if failure.poison {
                self.poisoned = Some(describe(&failure.error));
            } else if let Err(error) = taken_back {
                self.poisoned = Some(describe(&error));
            }
            return Err(failure.error);
        }
        if let Some(last) = added.last() {
            self.tail = Some(Arc::clone(last));
        }
        self.shared.publish(added, self.next);
        self.committed = true;
        Ok(self.durable_end())
    }

    /// Forgets what was appended since the last commit.
    pub fn discard_pending(&mut self) {
        self.chunks.clear();
        self.pending_bytes = 0;
        self.next = self.durable_end().0;
    }

    /// Bytes appended since the last commit.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Where the log ends that survives a power cut.
    pub fn durable_end(&self) -> LogPosition {
        self.shared.end()
    }

    /// The id given to the log when it was made.
    pub fn log_id(&self) -> [u8; 16] {
        self.shared.log_id
    }

    /// Whether a failure made the log refuse writes until it is opened again.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned.is_some()
    }

    /// A reader; it outlives the writer.
    pub fn reader(&self) -> LogReader {
        LogReader { shared: Arc::clone(&self.shared) }
    }

    fn usable(&self) -> Result<(), LogError> {
        self.poisoned.as_ref().map_or(Ok(()), |why| Err(LogError::Poisoned(why.clone())))
    }

    /// Sees to it that the last chunk takes an entry of this length, at `next`.
    fn make_room(&mut self, entry_bytes: u64) {
        let segment_start = match (self.chunks.last(), &self.tail) {
            (Some(chunk), _) => Some(chunk.segment_start),
            (None, tail) => tail.as_ref().map(|t| t.start),
        };
        let fits = segment_start.filter(|start| {
            let used = self.next - start;
            used <= SEGMENT_HEADER_BYTES as u64 || used + entry_bytes <= self.options.segment_bytes_max
        });
        match fits {
            Some(_) if !self.chunks.is_empty() => {}
            Some(segment_start) => {
                self.chunks.push(Chunk { segment_start, position: self.next, bytes: Vec::new() });
            }
            None => {
                let header = SegmentHeader::new(self.shared.log_id, self.next).encode(HeaderOf::Segment);
                let start = self.next;
                self.chunks.push(Chunk { segment_start: start, position: start, bytes: header.to_vec() });
                self.next += SEGMENT_HEADER_BYTES as u64;
            }
        }
    }

    /// Writes and syncs, a segment after the other, so that no segment ever has a successor before all of it is
    /// durable.
    fn write(
        &self,
        chunks: &[Chunk],
        created: &mut Vec<Created>,
        added: &mut Vec<Arc<Segment>>,
    ) -> Result<(), Failure> {
        for chunk in chunks {
            let path = self.path(&segment_name(chunk.segment_start));
            let fail = |poison: bool| move |error: LogError| Failure { error, poison };
            let file = match &self.tail {
                Some(tail) if !chunk.is_new_segment() => Arc::clone(&tail.file),
                _ => {
                    let file =
                        self.storage.create(&path).map_err(io_error("create", &path)).map_err(fail(false))?;
                    created.push((path.clone(), Arc::clone(&file)));
                    file
                }
            };
            let offset = chunk.position - chunk.segment_start;
            file.write_all_at(&chunk.bytes, offset).map_err(io_error("write", &path)).map_err(fail(false))?;
            file.sync().map_err(io_error("sync", &path)).map_err(fail(true))?;
            if chunk.is_new_segment() {
                let directory = &self.options.directory;
                self.storage
                    .sync_directory(directory)
                    .map_err(io_error("sync", directory))
                    .map_err(fail(true))?;
                added.push(Arc::new(Segment { start: chunk.segment_start, file, length: None }));
            }
        }
        Ok(())
    }

    /// Undoes a failed commit. New segments go first, durably: no crash may leave one whose predecessor is short.
    fn take_back(&self, chunks: &[Chunk], created: &[Created]) -> Result<(), LogError> {
        for (path, file) in created.iter().rev() {
            // Emptied first: should the directory forget the removal, an empty file comes back, not the entries.
            file.truncate(0).map_err(io_error("truncate", path))?;
            file.sync().map_err(io_error("sync", path))?;
            self.storage.remove(path).map_err(io_error("remove", path))?;
        }
        if !created.is_empty() {
            let directory = &self.options.directory;
            self.storage.sync_directory(directory).map_err(io_error("sync", directory))?;
        }
        if let Some(tail) = &self.tail
            && chunks.iter().any(|c| !c.is_new_segment())
        {
            let path = self.path(&segment_name(tail.start));
            let length = self.durable_end().0 - tail.start;
            tail.file.truncate(length).map_err(io_error("truncate", &path))?;
            tail.file.sync().map_err(io_error("sync", &path))?;
        }
        Ok(())
    }

    fn path(&self, name: &str) -> String {
        join(&self.options.directory, name)
    }
}

/// The error with its cause, in one line.
fn describe(error: &LogError) -> String {
    use std::error::Error;
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
