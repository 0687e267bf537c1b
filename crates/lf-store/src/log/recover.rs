//! Opening a log: which bytes are the log, which are the rest of an interrupted write, and which are damaged.
//! docs/src/FORMAT.md states the rules; the first of them is that nothing that may have been acknowledged is
//! destroyed.

use std::io;
use std::sync::Arc;

use super::entry::{Codec, MARK_COMMIT, MARK_OPENED};
use super::error::{Damage, DamageKind, LogError, io_error};
use super::scan::{HeaderState, SegmentScan, Step, header_state};
use super::segment::{
    FORMAT_VERSION, HeaderOf, IDENTITY_NAME, IDENTITY_NAME_NEW, SEGMENT_HEADER_BYTES, Segment, SegmentHeader,
    Shared, segment_name, segment_start,
};
use super::{LogOptions, LogPosition};
use crate::storage::{Storage, StorageFile, join, read_full_at};

/// Damages listed in an [`OpenReport`]; [`super::LogReader::check`] finds all.
const DAMAGES_MAX: usize = 1000;
/// Bytes copied at a time.
const COPY_BYTES: usize = 1 << 20;
/// Files that may be set aside for one position.
const ASIDE_MAX: u32 = 100;

/// What [`super::Log::open`] found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// There was no log; a new one was made.
    pub created: bool,
    /// The log's id was missing or damaged in `log.id` and was taken from a segment.
    pub identity_restored: bool,
    /// Segment files.
    pub segments: usize,
    /// Where the log ends now.
    pub end: LogPosition,
    /// Entries verified, all in the last segment.
    pub entries_scanned: u64,
    /// Bytes verified.
    pub bytes_scanned: u64,
    /// `scan_from` is after the end: what the caller knew of is gone. Whatever is derived from the log and knows
    /// of more than `end` must be made again.
    pub scan_from_beyond_end: bool,
    /// The rest of an interrupted write at the end of the last segment, cut off.
    pub torn_tail: Option<TornTail>,
    /// Segment files at the end without a valid header or entry, begun and never finished, and where they are
    /// kept.
    pub torn_segments: Vec<TornTail>,
    /// Damage in what was looked at: headers and lengths of all segments, entries of the last. At most 1000.
    pub damages: Vec<Damage>,
}

/// Bytes that were cut off the log's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// Where they began.
    pub from: LogPosition,
    /// How many.
    pub bytes: u64,
    /// The file in the log's directory that keeps them, as they may be a damaged part of an acknowledged write;
    /// `None` if they were all zeros.
    pub kept_as: Option<String>,
}

impl OpenReport {
    /// Whether nothing was wrong and nothing repaired.
    pub fn is_clean(&self) -> bool {
        !self.identity_restored
            && !self.scan_from_beyond_end
            && self.torn_tail.is_none()
            && self.torn_segments.is_empty()
            && self.damages.is_empty()
    }

    fn damage(&mut self, from: u64, to: u64, segment: u64, kind: DamageKind) {
        if from < to && self.damages.len() < DAMAGES_MAX {
            let segment = segment_name(segment);
            self.damages.push(Damage { from: LogPosition(from), to: LogPosition(to), segment, kind });
        }
    }
}

/// A segment as found.
struct Found {
    segment: Segment,
    bytes: u64,
    state: HeaderState,
}

impl Found {
    fn end(&self) -> u64 {
        self.segment.start.saturating_add(self.bytes)
    }
}

struct Recovery<'a> {
    storage: &'a dyn Storage,
    options: &'a LogOptions,
    report: OpenReport,
}

pub(super) fn open(
    storage: &dyn Storage,
    options: &LogOptions,
) -> Result<(Shared, Option<Arc<Segment>>, OpenReport), LogError> {
    Recovery { storage, options, report: OpenReport::default() }.run()
}

impl Recovery<'_> {
    fn run(mut self) -> Result<(Shared, Option<Arc<Segment>>, OpenReport), LogError> {
        let directory = self.options.directory.as_str();
        let parent = directory.rsplit_once('/').map_or("", |(parent, _)| parent);
        self.storage.create_directory(directory).map_err(io_error("create directory", directory))?;
        self.storage.sync_directory(parent).map_err(io_error("sync", parent))?;

        let names = self.storage.list(directory).map_err(io_error("list", directory))?;
        let mut files = Vec::new();
        for (start, name) in names.iter().filter_map(|n| Some((segment_start(n)?, n))) {
            let path = self.path(name);
            files.push((start, self.storage.open(&path).map_err(io_error("open", &path))?));
        }
        let log_id = self.identity(&names, &files)?;
        let codec = Codec::new(&log_id);
        let mut found = Vec::new();
        for (start, file) in files {
            let next = self.look_at(start, file, &log_id)?;
            if found.last().is_some_and(|previous| is_left_over(previous, &next, &codec)) {
                let torn = self.set_segment_aside(&next.segment, next.bytes)?;
                self.report.torn_segments.push(torn);
            } else {
                found.push(next);
            }
        }

        let tail_writable = self.recover_tail(&mut found, &codec)?;
        self.report_structure(&found);
        let end = found.last().map_or(0, Found::end);
        self.report.scan_from_beyond_end = self.options.scan_from.0 > end;
        self.report.segments = found.len();
        self.report.end = LogPosition(end);
        self.report.damages.sort_by_key(|d| (d.from, d.to));
        // What a killed process had only written is now part of the log, so it must be made durable.
        if let Some(last) = found.last() {
            let path = self.path(&segment_name(last.segment.start));
            last.segment.file.sync().map_err(io_error("sync", &path))?;
        }
        self.storage.sync_directory(directory).map_err(io_error("sync", directory))?;

        let last = found.len().saturating_sub(1);
        let segments: Vec<Arc<Segment>> = found
            .into_iter()
            .enumerate()
            .map(|(i, f)| {
                let open_ended = i == last && tail_writable;
                Arc::new(Segment { length: (!open_ended).then_some(f.bytes), ..f.segment })
            })
            .collect();
        let tail = segments.last().filter(|_| tail_writable).cloned();
        Ok((Shared::new(log_id, segments, end), tail, self.report))
    }

    fn path(&self, name: &str) -> String {
        join(&self.options.directory, name)
    }

    /// The log's id: from its file, else from a segment, else (a new log) from the options.
    fn identity(
        &mut self,
        names: &[String],
        files: &[(u64, Arc<dyn StorageFile>)],
    ) -> Result<[u8; 16], LogError> {
        let path = self.path(IDENTITY_NAME);
        if names.iter().any(|n| n == IDENTITY_NAME) {
            let file = self.storage.open(&path).map_err(io_error("open", &path))?;
            if let Some(header) = read_header(&*file, HeaderOf::Identity) {
                check_version(&path, &header)?;
                return Ok(header.log_id);
            }
        }
        let known = files.iter().find_map(|(start, file)| {
            read_header(&**file, HeaderOf::Segment)
                .filter(|h| h.start == *start && h.version == FORMAT_VERSION)
        });
        match known {
            Some(header) => {
                self.report.identity_restored = true;
                // With a full disk this has to wait for another time; the segments have the id as well.
                let _ = self.write_identity(names, header.log_id);
                Ok(header.log_id)
            }
            None => {
                self.report.created = files.is_empty();
                self.write_identity(names, self.options.log_id).map_err(io_error("write", &path))?;
                Ok(self.options.log_id)
            }
        }
    }

    fn write_identity(&self, names: &[String], log_id: [u8; 16]) -> io::Result<()> {
        let new = self.path(IDENTITY_NAME_NEW);
        if names.iter().any(|n| n == IDENTITY_NAME_NEW) {
            self.storage.remove(&new)?;
        }
        let file = self.storage.create(&new)?;
        file.write_all_at(&SegmentHeader::new(log_id, 0).encode(HeaderOf::Identity), 0)?;
        file.sync()?;
        self.storage.rename(&new, &self.path(IDENTITY_NAME))?;
        self.storage.sync_directory(&self.options.directory)
    }

    fn look_at(&self, start: u64, file: Arc<dyn StorageFile>, log_id: &[u8; 16]) -> Result<Found, LogError> {
        let path = self.path(&segment_name(start));
        let bytes = file.length().map_err(io_error("measure", &path))?;
        let segment = Segment { start, file, length: None };
        let state = header_state(&segment, log_id);
        if let HeaderState::Foreign(header) = &state
            && header.log_id == *log_id
        {
            check_version(&path, header)?;
        }
        Ok(Found { segment, bytes, state })
    }

    /// Finds the end of the log in the last segments. Returns whether the last one takes more entries.
    fn recover_tail(&mut self, found: &mut Vec<Found>, codec: &Codec) -> Result<bool, LogError> {
        while let Some(last) = found.last_mut() {
            if matches!(last.state, HeaderState::Foreign(_) | HeaderState::Unreadable) {
                return Ok(false);
            }
            let whole = matches!(last.state, HeaderState::Damaged);
            let tail = self.scan_tail(&last.segment, last.bytes, whole, codec);
            if whole && tail.entries == 0 && !tail.unreadable_end {
                let torn = self.set_segment_aside(&last.segment, last.bytes)?;
                self.report.torn_segments.push(torn);
                found.pop();
                continue;
            }
            self.report.entries_scanned += tail.entries;
            self.report.bytes_scanned += last.bytes.saturating_sub(tail.scanned_from);
            for (from, to, kind) in tail.gaps {
                self.report.damage(from, to, last.segment.start, kind);
            }
            if tail.unreadable_end {
                return Ok(false);
            }
            let Some(cut) = tail.torn_from else { return Ok(true) };
            let (from, to) = (last.segment.start + cut, last.end());
            let Ok(kept_as) = self.set_bytes_aside(&last.segment, cut, last.bytes) else {
                // No space to keep them: they stay where they are, and the log goes on in a new segment.
                self.report.damage(from, to, last.segment.start, DamageKind::Unfinished);
                return Ok(false);
            };
            let path = join(&self.options.directory, &segment_name(last.segment.start));
            last.segment.file.truncate(cut).map_err(io_error("truncate", &path))?;
            last.bytes = cut;
            self.report.torn_tail = Some(TornTail { from: LogPosition(from), bytes: to - from, kept_as });
            return Ok(true);
        }
        Ok(false)
    }

    fn scan_tail(&self, segment: &Segment, bytes: u64, whole: bool, codec: &Codec) -> Tail {
        let first = SEGMENT_HEADER_BYTES as u64;
        let asked = self.options.scan_from.0.saturating_sub(segment.start);
        if !whole && asked > first && asked <= bytes {
            let tail = Tail::scan(segment, asked, bytes, codec);
            if !tail.starts_with_gap {
                return tail;
            }
            // Perhaps the caller is wrong and this is the middle of an entry: only a scan from the start can tell.
        }
        Tail::scan(segment, first, bytes, codec)
    }

    fn report_structure(&mut self, found: &[Found]) {
        let mut expected = 0;
        for f in found {
            let start = f.segment.start;
            self.report.damage(expected, start, expected, DamageKind::SegmentMissing);
            match f.state {
                HeaderState::Good => {}
                HeaderState::Damaged => {
                    let to = f.end().min(start + SEGMENT_HEADER_BYTES as u64);
                    self.report.damage(start, to, start, DamageKind::SegmentHeader);
                }
                HeaderState::Unreadable => self.report.damage(start, f.end(), start, DamageKind::Unreadable),
                HeaderState::Foreign(_) => {
                    self.report.damage(start, f.end(), start, DamageKind::SegmentForeign);
                }
            }
            expected = f.end();
        }
    }

    /// Moves a segment that never came into being out of the way.
    fn set_segment_aside(&self, segment: &Segment, bytes: u64) -> Result<TornTail, LogError> {
        let path = self.path(&segment_name(segment.start));
        let failed = |e| io_error("set aside", &path)(e);
        let kept_as = if is_zero(&*segment.file, 0, bytes).map_err(failed)? {
            self.storage.remove(&path).map_err(failed)?;
            None
        } else {
            let name = self.aside_name(segment.start).map_err(failed)?;
            self.storage.rename(&path, &self.path(&name)).map_err(failed)?;
            Some(name)
        };
        // The name is given to a new segment later: it must be free for good by then.
        self.storage.sync_directory(&self.options.directory).map_err(failed)?;
        Ok(TornTail { from: LogPosition(segment.start), bytes, kept_as })
    }

    /// Copies the end of a segment into a file of its own, durably.
    fn set_bytes_aside(&self, segment: &Segment, from: u64, to: u64) -> io::Result<Option<String>> {
        if is_zero(&*segment.file, from, to)? {
            return Ok(None);
        }
        let name = self.aside_name(segment.start + from)?;
        let path = self.path(&name);
        let copy = self.storage.create(&path)?;
        let copied = pieces(&*segment.file, from, to, |piece, offset| {
            copy.write_all_at(piece, offset - from).map(|()| true)
        })
        .and_then(|_| copy.sync())
        .and_then(|()| self.storage.sync_directory(&self.options.directory));
        if copied.is_err() {
            let _ = self.storage.remove(&path);
        }
        copied.map(|()| Some(name))
    }

    /// A free name for bytes from this position.
    fn aside_name(&self, position: u64) -> io::Result<String> {
        let names = self.storage.list(&self.options.directory)?;
        let mut candidates = (0..ASIDE_MAX).map(|i| match i {
            0 => format!("damaged-{position:020}"),
            i => format!("damaged-{position:020}-{i}"),
        });
        candidates.find(|c| !names.contains(c)).ok_or_else(|| io::ErrorKind::AlreadyExists.into())
    }
}

/// Whether `next` is a segment of a commit that failed and was taken back, come back with a crash: the one before it
/// has grown past where it starts, which the writer never lets happen to a segment with a successor.
fn is_left_over(previous: &Found, next: &Found, codec: &Codec) -> bool {
    if next.segment.start >= previous.end() {
        return false;
    }
    let from = next.segment.start - previous.segment.start;
    let mut scan = SegmentScan::new(codec.clone(), &previous.segment, from, previous.bytes);
    std::iter::from_fn(|| scan.next()).any(|step| matches!(step, Step::Entry { .. }))
}

/// What a scan of the last segment says.
struct Tail {
    entries: u64,
    /// File offset where the scan began.
    scanned_from: u64,
    starts_with_gap: bool,
    /// Damage with undamaged entries after it.
    gaps: Vec<(u64, u64, DamageKind)>,
    /// File offset after the last undamaged entry, if anything follows it.
    torn_from: Option<u64>,
    /// The end cannot be read: who knows what it holds.
    unreadable_end: bool,
}

impl Tail {
    fn scan(segment: &Segment, from: u64, to: u64, codec: &Codec) -> Tail {
        let mut tail = Tail {
            entries: 0,
            scanned_from: from,
            starts_with_gap: false,
            gaps: Vec::new(),
            torn_from: None,
            unreadable_end: false,
        };
        let mut scan = SegmentScan::new(codec.clone(), segment, from, to);
        // Gaps from here on are before the next commit's first entry, which tells what they are.
        let mut undecided = 0;
        while let Some(step) = scan.next() {
            match step {
                Step::Entry { header, .. } => {
                    tail.entries += 1;
                    if header.marks & MARK_COMMIT != 0 {
                        tail.decide(undecided, header.marks & MARK_OPENED != 0);
                        undecided = tail.gaps.len();
                    }
                }
                Step::Gap { from: gap_from, to: gap_to, kind } => {
                    tail.starts_with_gap |= gap_from == segment.start + from;
                    if gap_to < segment.start + to {
                        if tail.gaps.len() < DAMAGES_MAX {
                            tail.gaps.push((gap_from, gap_to, kind));
                        }
                    } else if kind == DamageKind::Unreadable {
                        tail.gaps.push((gap_from, gap_to, kind));
                        tail.unreadable_end = true;
                    } else {
                        tail.torn_from = Some(gap_from - segment.start);
                    }
                }
            }
        }
        tail.decide(undecided, true);
        tail
    }

    fn decide(&mut self, from: usize, interrupted: bool) {
        for (_, _, kind) in self.gaps.iter_mut().skip(from) {
            if interrupted && *kind == DamageKind::Corrupt {
                *kind = DamageKind::Unfinished;
            }
        }
    }
}

pub(super) fn read_header(file: &dyn StorageFile, of: HeaderOf) -> Option<SegmentHeader> {
    let mut bytes = [0u8; SEGMENT_HEADER_BYTES];
    let read = read_full_at(file, &mut bytes, 0).ok()?;
    SegmentHeader::decode(of, &bytes[..read])
}

pub(super) fn check_version(path: &str, header: &SegmentHeader) -> Result<(), LogError> {
    if header.version > FORMAT_VERSION {
        return Err(LogError::UnsupportedVersion { path: path.to_owned(), version: header.version });
    }
    Ok(())
}

fn is_zero(file: &dyn StorageFile, from: u64, to: u64) -> io::Result<bool> {
    pieces(file, from, to, |piece, _| Ok(piece.iter().all(|b| *b == 0)))
}

/// Hands the bytes of a range to `each`, with their offset, until it says no; returns whether it never did.
fn pieces(
    file: &dyn StorageFile,
    from: u64,
    to: u64,
    mut each: impl FnMut(&[u8], u64) -> io::Result<bool>,
) -> io::Result<bool> {
    let mut buffer = vec![0u8; COPY_BYTES];
    let mut offset = from;
    while offset < to {
        let wanted = usize::try_from(to - offset).unwrap_or(COPY_BYTES).min(COPY_BYTES);
        let read = read_full_at(file, &mut buffer[..wanted], offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !each(&buffer[..read], offset)? {
            return Ok(false);
        }
        offset += read as u64;
    }
    Ok(true)
}
