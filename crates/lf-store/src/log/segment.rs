//! Segment files: their names, their header, the file that holds the log's id, and the list of segments that
//! writer and readers share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::LogPosition;
use super::entry::Codec;
use crate::storage::StorageFile;

/// Bytes before the first entry of a segment; also the size of the identity file.
pub const SEGMENT_HEADER_BYTES: usize = 48;

/// The version this code writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// Holds the log's id a second time, so that no single damage makes the log unreadable.
pub(super) const IDENTITY_NAME: &str = "log.id";
pub(super) const IDENTITY_NAME_NEW: &str = "log.id.new";

const SEGMENT_MAGIC: [u8; 8] = *b"LFLOGSEG";
const IDENTITY_MAGIC: [u8; 8] = *b"LFLOG-ID";
const SUFFIX: &str = ".lfl";

/// No log gets this long, in bytes; far below where sums of positions could overflow.
pub(super) const POSITION_MAX: u64 = 1 << 62;

/// The file name of the segment that starts at `start`.
pub(super) fn segment_name(start: u64) -> String {
    format!("{start:020}{SUFFIX}")
}

/// The start of the segment with this file name, if it is the name of one.
pub(super) fn segment_start(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let start =
        (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())??;
    (start <= POSITION_MAX).then_some(start)
}

/// Which of the two headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderOf {
    Segment,
    Identity,
}

/// A header whose checksum is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) version: u32,
    pub(super) log_id: [u8; 16],
    pub(super) start: u64,
}

impl SegmentHeader {
    pub(super) fn new(log_id: [u8; 16], start: u64) -> SegmentHeader {
        SegmentHeader { version: FORMAT_VERSION, log_id, start }
    }

    pub(super) fn encode(&self, of: HeaderOf) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut out = [0u8; SEGMENT_HEADER_BYTES];
        out[..8].copy_from_slice(magic(of));
        out[8..12].copy_from_slice(&self.version.to_le_bytes());
        out[16..32].copy_from_slice(&self.log_id);
        out[32..40].copy_from_slice(&self.start.to_le_bytes());
        let crc = crc32fast::hash(&out[..44]);
        out[44..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub(super) fn decode(of: HeaderOf, bytes: &[u8]) -> Option<SegmentHeader> {
        let bytes: &[u8; SEGMENT_HEADER_BYTES] = bytes.first_chunk()?;
        if &bytes[..8] != magic(of) || crc32fast::hash(&bytes[..44]).to_le_bytes() != bytes[44..] {
            return None;
        }
        let mut header = SegmentHeader { version: 0, log_id: [0; 16], start: 0 };
        header.version = u32::from_le_bytes(*bytes[8..].first_chunk()?);
        header.log_id = *bytes[16..].first_chunk()?;
        header.start = u64::from_le_bytes(*bytes[32..].first_chunk()?);
        Some(header)
    }
}

fn magic(of: HeaderOf) -> &'static [u8; 8] {
    match of {
        HeaderOf::Segment => &SEGMENT_MAGIC,
        HeaderOf::Identity => &IDENTITY_MAGIC,
    }
}

/// One open segment file.
#[derive(Debug)]
pub(super) struct Segment {
    /// Logical offset of the file's first byte.
    pub(super) start: u64,
    pub(super) file: Arc<dyn StorageFile>,
    /// Bytes of the file, for one that was complete when the log was opened; `None`: it reaches to the start of
    /// the next segment, or to the log's end.
    pub(super) length: Option<u64>,
}

/// What the writer and all readers see.
#[derive(Debug)]
pub(super) struct Shared {
    /// In order of their start. Replaced as a whole, so that a scan keeps the list it began with.
    segments: RwLock<Arc<Vec<Arc<Segment>>>>,
    /// The durable end.
    end: AtomicU64,
    /// The durable end when the log was opened.
    pub(super) opened_end: u64,
    pub(super) log_id: [u8; 16],
    pub(super) codec: Codec,
}

impl Shared {
    pub(super) fn new(log_id: [u8; 16], segments: Vec<Arc<Segment>>, end: u64) -> Shared {
        Shared {
            segments: RwLock::new(Arc::new(segments)),
            end: AtomicU64::new(end),
            opened_end: end,
            log_id,
            codec: Codec::new(&log_id),
        }
    }

    pub(super) fn segments(&self) -> Arc<Vec<Arc<Segment>>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn end(&self) -> LogPosition {
        LogPosition(self.end.load(Ordering::Acquire))
    }

    /// Shows readers what a commit made durable.
    pub(super) fn publish(&self, added: Vec<Arc<Segment>>, end: u64) {
        if !added.is_empty() {
            let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
            *segments = Arc::new(segments.iter().cloned().chain(added).collect());
        }
        self.end.store(end, Ordering::Release);
    }
}

/// Where the content of `segments[i]` ends in its file: known length, next segment and log end, whichever is first.
pub(super) fn content_bytes(segments: &[Arc<Segment>], i: usize, end: u64) -> u64 {
    let Some(segment) = segments.get(i) else { return 0 };
    let next = segments.get(i + 1).map_or(end, |s| s.start.min(end));
    let until_next = next.saturating_sub(segment.start);
    segment.length.map_or(until_next, |l| l.min(until_next))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names() {
        assert_eq!(segment_name(0), "00000000000000000000.lfl");
        assert_eq!(segment_name(u64::MAX), "18446744073709551615.lfl");
        for start in [0, 1, 268_435_456, POSITION_MAX] {
            assert_eq!(segment_start(&segment_name(start)), Some(start));
        }
        for other in [
            "",
            ".lfl",
            "0.lfl",
            "99999999999999999999.lfl",
            "18446744073709551615.lfl",
            "+0000000000000000000.lfl",
            "log.id",
        ] {
            assert_eq!(segment_start(other), None, "{other}");
        }
    }

    #[test]
    fn header_bytes_are_as_documented_and_every_bit_counts() {
        let id: [u8; 16] = std::array::from_fn(|i| i as u8 + 100);
        let header = SegmentHeader::new(id, 0x0102_0304);
        let bytes = header.encode(HeaderOf::Segment);
        assert_eq!(&bytes[..16], b"LFLOGSEG\x01\0\0\0\0\0\0\0");
        assert_eq!(bytes[16..32], id);
        assert_eq!(bytes[32..44], [4, 3, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[44..], crc32fast::hash(&bytes[..44]).to_le_bytes());
        assert_eq!(SegmentHeader::decode(HeaderOf::Segment, &bytes), Some(header));
        assert_eq!(SegmentHeader::decode(HeaderOf::Identity, &bytes), None);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(HeaderOf::Segment, &flipped), None);
        }
        assert_eq!(SegmentHeader::decode(HeaderOf::Segment, &bytes[..47]), None);
    }
}
