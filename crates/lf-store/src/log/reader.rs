//! Reading the log beside its writer: single entries, sequences, and the check of everything.

use std::sync::Arc;

use super::LogPosition;
use super::entry::{ENTRY_HEADER_BYTES, Entry, Header};
use super::error::{Damage, LogError, io_error};
use super::scan::LogScan;
use super::segment::{SEGMENT_HEADER_BYTES, Shared, content_bytes, segment_name};
use crate::storage::read_full_at;

/// Bytes of the first read for one entry: nearly every entry needs no second.
const READ_BYTES: u64 = 2048;

/// Damages listed in a [`CheckReport`]; more are only counted.
const DAMAGES_MAX: usize = 10_000;

/// Reads what is durable, from any thread, beside the writer. Clones are cheap.
#[derive(Debug, Clone)]
pub struct LogReader {
    pub(super) shared: Arc<Shared>,
}

/// The size of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogStats {
    /// Segment files.
    pub segments: usize,
    /// Bytes in them up to the durable end, headers and damage included.
    pub bytes: u64,
    /// The durable end.
    pub end: LogPosition,
}

/// What a check of the whole log found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Undamaged entries.
    pub entries: u64,
    /// Bytes of the undamaged entries, headers included.
    pub entries_bytes: u64,
    /// Segment files.
    pub segments: usize,
    /// Where the log is damaged, in order; at most 10,000.
    pub damages: Vec<Damage>,
    /// All damages, also those not listed.
    pub damages_count: u64,
}

impl LogReader {
    /// The id given to the log when it was made.
    pub fn log_id(&self) -> [u8; 16] {
        self.shared.log_id
    }

    /// The durable end: every entry below can be read.
    pub fn end(&self) -> LogPosition {
        self.shared.end()
    }

    /// The entry at `position`, verified. [`LogError::NoEntry`] if it is damaged or nothing starts there.
    pub fn read(&self, position: LogPosition) -> Result<Entry, LogError> {
        let end = self.end();
        if position >= end {
            return Err(LogError::BeyondEnd { position, end });
        }
        let no_entry = || LogError::NoEntry(position);
        let segments = self.shared.segments();
        let index =
            segments.partition_point(|s| s.start <= position.0).checked_sub(1).ok_or_else(no_entry)?;
        let segment = segments.get(index).ok_or_else(no_entry)?;
        let offset = position.0 - segment.start;
        let left = content_bytes(&segments, index, end.0).saturating_sub(offset);
        if offset < SEGMENT_HEADER_BYTES as u64 || left < ENTRY_HEADER_BYTES as u64 {
            return Err(no_entry());
        }
        let mut bytes = vec![0u8; left.min(READ_BYTES) as usize];
        let read = |bytes: &mut [u8], offset: u64| {
            let name = segment_name(segment.start);
            read_full_at(&*segment.file, bytes, offset).map_err(io_error("read", &name))
        };
        let got = read(&mut bytes, offset)?;
        bytes.truncate(got);
        let length = Header::decode(&bytes).ok_or_else(no_entry)?.entry_bytes();
        if length as u64 > left {
            return Err(no_entry());
        }
        if length > got {
            bytes.resize(length, 0);
            let more = read(&mut bytes[got..], offset + got as u64)?;
            bytes.truncate(got + more);
        }
        let header = self.shared.codec.verify(&bytes, position).ok_or_else(no_entry)?;
        bytes.truncate(length);
        bytes.drain(..ENTRY_HEADER_BYTES);
        Ok(Entry { kind: header.kind.into(), flags: header.flags, payload: bytes })
    }

    /// All entries from `from` to the end as it is now, in order. Start at 0 or at an entry's position (or where
    /// one ends); what lies before the first entry after another position is reported as damage.
    pub fn scan(&self, from: LogPosition) -> LogScan {
        LogScan::new(self.shared.clone(), from)
    }

    /// Size, without reading anything.
    pub fn stats(&self) -> LogStats {
        let end = self.end();
        let segments = self.shared.segments();
        let bytes = (0..segments.len()).map(|i| content_bytes(&segments, i, end.0)).sum();
        LogStats { segments: segments.len(), bytes, end }
    }

    /// Reads and verifies everything.
    pub fn check(&self) -> CheckReport {
        let mut report = CheckReport { segments: self.stats().segments, ..CheckReport::default() };
        let mut scan = self.scan(LogPosition(0));
        while let Some(step) = scan.next_header() {
            match step {
                Ok((_, header)) => {
                    report.entries += 1;
                    report.entries_bytes += header.entry_bytes() as u64;
                }
                Err(damage) => {
                    report.damages_count += 1;
                    if report.damages.len() < DAMAGES_MAX {
                        report.damages.push(damage);
                    }
                }
            }
        }
        report
    }
}
