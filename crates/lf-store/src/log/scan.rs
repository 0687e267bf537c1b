//! Reading entries in sequence, and finding the next good one after damage. Reads only.

use std::ops::Range;
use std::sync::Arc;

use super::LogPosition;
use super::entry::{ENTRY_HEADER_BYTES, Entry, Header, MAGIC, MARK_COMMIT, MARK_OPENED};
use super::error::{Damage, DamageKind};
use super::segment::{
    HeaderOf, SEGMENT_HEADER_BYTES, Segment, SegmentHeader, Shared, content_bytes, segment_name,
};
use crate::storage::{StorageFile, read_full_at};

/// Bytes read at a time.
const READ_BYTES: usize = 1 << 20;
/// Bytes read at a time where a larger read failed, to lose no more than the bad sectors.
const RETRY_BYTES: usize = 4096;
/// Bytes looked through at a time for the next entry.
const SEARCH_BYTES: usize = 1 << 16;

/// What a scan meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Entry { position: u64, header: Header },
    Gap { from: u64, to: u64, kind: DamageKind },
}

/// A moving window over a file, never larger than two reads and an entry.
#[derive(Debug)]
struct Window {
    file: Arc<dyn StorageFile>,
    bytes: Vec<u8>,
    /// Offset of `bytes` in the file.
    base: u64,
    /// Offset where the content ends.
    limit: u64,
    /// What could not be read and is zeros in `bytes`.
    unreadable: Vec<Range<u64>>,
}

impl Window {
    fn new(file: Arc<dyn StorageFile>, limit: u64) -> Window {
        Window { file, bytes: Vec::new(), base: 0, limit, unreadable: Vec::new() }
    }

    /// The bytes from `at`: `wanted`, or fewer if the content ends.
    fn get(&mut self, at: u64, wanted: usize) -> &[u8] {
        let wanted = usize::try_from(self.limit.saturating_sub(at)).unwrap_or(usize::MAX).min(wanted);
        let held = self.base..=self.base + self.bytes.len() as u64;
        if !held.contains(&at) {
            self.bytes.clear();
            self.base = at;
        }
        let mut skip = (at - self.base) as usize;
        if self.bytes.len() - skip < wanted {
            self.bytes.drain(..skip);
            self.base = at;
            skip = 0;
            self.fill();
        }
        self.bytes.get(skip..skip + wanted).unwrap_or(&[])
    }

    /// Reads on behind what is held, at least what the longest entry needs.
    fn fill(&mut self) {
        let from = self.base + self.bytes.len() as u64;
        let most = usize::try_from(self.limit.saturating_sub(from)).unwrap_or(usize::MAX);
        let n = most.min(READ_BYTES + RETRY_BYTES);
        let held = self.bytes.len();
        self.bytes.resize(held + n, 0);
        if matches!(read_full_at(&*self.file, &mut self.bytes[held..], from), Ok(read) if read == n) {
            return;
        }
        let mut offset = from;
        for piece in self.bytes[held..].chunks_mut(RETRY_BYTES) {
            if !matches!(read_full_at(&*self.file, piece, offset), Ok(read) if read == piece.len()) {
                piece.fill(0);
                let end = offset + piece.len() as u64;
                match self.unreadable.last_mut() {
                    Some(last) if last.end == offset => last.end = end,
                    _ => self.unreadable.push(offset..end),
                }
            }
            offset += piece.len() as u64;
        }
    }

    /// Whether anything in the range could not be read; forgets what lies before its end.
    fn take_unreadable(&mut self, range: Range<u64>) -> bool {
        let any = self.unreadable.iter().any(|u| u.start < range.end && range.start < u.end);
        self.unreadable.retain(|u| u.end > range.end);
        any
    }
}

/// The entries of one segment.
#[derive(Debug)]
pub(super) struct SegmentScan {
    shared_codec: super::entry::Codec,
    window: Window,
    /// Logical start of the segment.
    start: u64,
    /// Offset in the file of what comes next.
    at: u64,
}

impl SegmentScan {
    /// From file offset `from` to `limit`.
    pub(super) fn new(codec: super::entry::Codec, segment: &Segment, from: u64, limit: u64) -> SegmentScan {
        SegmentScan {
            shared_codec: codec,
            window: Window::new(segment.file.clone(), limit),
            start: segment.start,
            at: from,
        }
    }

    pub(super) fn next(&mut self) -> Option<Step> {
        if self.at >= self.window.limit {
            return None;
        }
        let from = self.at;
        let position = self.start + from;
        if let Some(header) = self.verify(from) {
            self.at += header.entry_bytes() as u64;
            return Some(Step::Entry { position, header });
        }
        self.at = self.find(from + 1);
        let unreadable = self.window.take_unreadable(from..self.at);
        let kind = if unreadable { DamageKind::Unreadable } else { DamageKind::Corrupt };
        Some(Step::Gap { from: position, to: self.start + self.at, kind })
    }

    /// The payload of the entry that `next` just returned.
    pub(super) fn payload(&mut self, header: &Header) -> &[u8] {
        let at = self.at - header.payload_bytes as u64;
        self.window.get(at, header.payload_bytes)
    }

    fn verify(&mut self, at: u64) -> Option<Header> {
        let header = Header::decode(self.window.get(at, ENTRY_HEADER_BYTES))?;
        let bytes = self.window.get(at, header.entry_bytes());
        self.shared_codec.verify(bytes, LogPosition(self.start + at))
    }

    /// Where the next valid entry starts, from `at` on; the limit if there is none.
    fn find(&mut self, mut at: u64) -> u64 {
        loop {
            let bytes = self.window.get(at, SEARCH_BYTES);
            if bytes.len() < ENTRY_HEADER_BYTES {
                return self.window.limit;
            }
            match bytes.windows(MAGIC.len()).position(|w| w == MAGIC) {
                None => at += (bytes.len() - MAGIC.len() + 1) as u64,
                Some(i) => {
                    at += i as u64;
                    if self.verify(at).is_some() {
                        return at;
                    }
                    at += 1;
                }
            }
        }
    }
}

/// The entries of all segments, with what lies between them.
#[derive(Debug)]
struct RawScan {
    shared: Arc<Shared>,
    segments: Arc<Vec<Arc<Segment>>>,
    end: u64,
    index: usize,
    /// Everything before has been dealt with.
    position: u64,
    current: Option<SegmentScan>,
}

impl RawScan {
    fn new(shared: Arc<Shared>, segments: Arc<Vec<Arc<Segment>>>, from: u64, end: u64) -> RawScan {
        let index = segments.partition_point(|s| s.start <= from).saturating_sub(1);
        RawScan { shared, segments, end, index, position: from, current: None }
    }

    fn next(&mut self) -> Option<Step> {
        loop {
            if let Some(scan) = &mut self.current {
                if let Some(step) = scan.next() {
                    self.position = scan.start + scan.at;
                    return Some(step);
                }
                self.current = None;
                self.index += 1;
            }
            let from = self.position;
            let Some(segment) = self.segments.get(self.index).filter(|s| s.start < self.end) else {
                self.position = self.end;
                return (from < self.end).then_some(Step::Gap {
                    from,
                    to: self.end,
                    kind: DamageKind::SegmentMissing,
                });
            };
            if from < segment.start {
                self.position = segment.start;
                return Some(Step::Gap { from, to: segment.start, kind: DamageKind::SegmentMissing });
            }
            let content = content_bytes(&self.segments, self.index, self.end);
            let content_end = segment.start + content;
            if from >= content_end {
                self.index += 1;
                continue;
            }
            let first = segment.start + SEGMENT_HEADER_BYTES as u64;
            if from < first {
                let state = header_state(segment, &self.shared.log_id);
                let (to, kind) = match state {
                    HeaderState::Good => (first, None),
                    HeaderState::Damaged => (first.min(content_end), Some(DamageKind::SegmentHeader)),
                    HeaderState::Unreadable => (first.min(content_end), Some(DamageKind::Unreadable)),
                    HeaderState::Foreign(_) => (content_end, Some(DamageKind::SegmentForeign)),
                };
                self.position = to;
                if let Some(kind) = kind {
                    return Some(Step::Gap { from, to, kind });
                }
                continue;
            }
            self.current =
                Some(SegmentScan::new(self.shared.codec.clone(), segment, from - segment.start, content));
        }
    }
}

/// What a segment's header says.
pub(super) enum HeaderState {
    Good,
    Damaged,
    Unreadable,
    /// Valid, but of another log, place or format version.
    Foreign(SegmentHeader),
}

pub(super) fn header_state(segment: &Segment, log_id: &[u8; 16]) -> HeaderState {
    let mut bytes = [0u8; SEGMENT_HEADER_BYTES];
    match read_full_at(&*segment.file, &mut bytes, 0) {
        Err(_) => HeaderState::Unreadable,
        Ok(read) => match SegmentHeader::decode(HeaderOf::Segment, &bytes[..read]) {
            None => HeaderState::Damaged,
            Some(header) if header == SegmentHeader::new(*log_id, segment.start) => HeaderState::Good,
            Some(header) => HeaderState::Foreign(header),
        },
    }
}

/// Iterates over the entries of the log in order, with the damage between them; see
/// [`super::LogReader::scan`]. Holds at most about 2 MiB.
#[derive(Debug)]
pub struct LogScan {
    raw: RawScan,
    /// Up to this position, an interrupted commit is (or is not) what made a gap.
    verdict: Option<(u64, bool)>,
}

impl LogScan {
    pub(super) fn new(shared: Arc<Shared>, from: LogPosition) -> LogScan {
        // The end first: the list then holds every segment below it.
        let end = shared.end().0;
        let segments = shared.segments();
        LogScan { raw: RawScan::new(shared, segments, from.0, end), verdict: None }
    }

    /// Everything before this position has been returned.
    pub fn position(&self) -> LogPosition {
        LogPosition(self.raw.position)
    }

    /// The next entry without its payload, for who only counts.
    pub(super) fn next_header(&mut self) -> Option<Result<(LogPosition, Header), Damage>> {
        Some(match self.raw.next()? {
            Step::Entry { position, header } => Ok((LogPosition(position), header)),
            Step::Gap { from, to, kind } => Err(self.damage(from, to, kind)),
        })
    }

    fn damage(&mut self, from: u64, to: u64, kind: DamageKind) -> Damage {
        let before = self.raw.segments.partition_point(|s| s.start <= from).checked_sub(1);
        let start = match (kind, before.and_then(|i| self.raw.segments.get(i))) {
            (DamageKind::SegmentMissing, _) | (_, None) => from,
            (_, Some(segment)) => segment.start,
        };
        let unfinished =
            kind == DamageKind::Corrupt && from < self.raw.shared.opened_end && self.interrupted(to);
        let kind = if unfinished { DamageKind::Unfinished } else { kind };
        Damage { from: LogPosition(from), to: LogPosition(to), segment: segment_name(start), kind }
    }

    /// Whether the commit that `position` (after a gap) belongs to, or that ended just before, was the last one
    /// before the log was opened: no commit of the same run follows.
    fn interrupted(&mut self, position: u64) -> bool {
        if let Some((until, verdict)) = self.verdict
            && position <= until
        {
            return verdict;
        }
        let raw = &self.raw;
        let mut ahead = RawScan::new(raw.shared.clone(), raw.segments.clone(), position, raw.end);
        let verdict = loop {
            match ahead.next() {
                Some(Step::Entry { position, header }) if header.marks & MARK_COMMIT != 0 => {
                    break (position, header.marks & MARK_OPENED != 0);
                }
                Some(_) => {}
                None => break (u64::MAX, true),
            }
        };
        self.verdict = Some(verdict);
        verdict.1
    }
}

impl Iterator for LogScan {
    type Item = Result<(LogPosition, Entry), Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_header()?.map(|(position, header)| {
            let payload = self.raw.current.as_mut().map_or_else(Vec::new, |s| s.payload(&header).to_vec());
            (position, Entry { kind: header.kind.into(), flags: header.flags, payload })
        }))
    }
}
