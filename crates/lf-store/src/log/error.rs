//! What can be wrong: errors of operations, and damage found in what is stored.

use std::io;

use super::LogPosition;

/// Why an operation on the log failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The storage failed.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The payload is longer than [`super::PAYLOAD_BYTES_MAX`].
    #[error("log entry of {0} bytes is longer than {max}", max = super::PAYLOAD_BYTES_MAX)]
    PayloadTooLong(usize),
    /// More was appended without a commit than [`super::LogOptions::pending_bytes_max`]; commit, then go on.
    #[error("{0} bytes wait to be committed to the log, no more can")]
    PendingFull(usize),
    /// An earlier failure left open what is durable: nothing is written until the log is opened again.
    #[error("the log takes no more writes until it is opened again, after: {0}")]
    Poisoned(String),
    /// The position is at or after the durable end.
    #[error("log position {position} is not below the durable end {end}")]
    BeyondEnd {
        /// The position asked for.
        position: LogPosition,
        /// The durable end.
        end: LogPosition,
    },
    /// At this position no undamaged entry starts.
    #[error("there is no undamaged log entry at position {0}")]
    NoEntry(LogPosition),
    /// Written by a later version.
    #[error("{path} has log format version {version}, and this program knows only {known}; use the lf that wrote it, or a newer one", known = super::FORMAT_VERSION)]
    UnsupportedVersion {
        /// The file.
        path: String,
        /// Its version.
        version: u32,
    },
}

impl LogError {
    /// Whether the disk (or a quota) is full: the log is usable, and works again when there is space.
    pub fn is_storage_full(&self) -> bool {
        matches!(self, LogError::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

pub(super) fn io_error<'a>(action: &'static str, path: &'a str) -> impl FnOnce(io::Error) -> LogError + 'a {
    move |source| LogError::Io { action, path: path.to_owned(), source }
}

/// Part of the log that holds no usable entries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("log bytes {from} to {to} in {segment}: {kind}")]
pub struct Damage {
    /// The first byte that is not usable.
    pub from: LogPosition,
    /// The first byte after it that is, or the end.
    pub to: LogPosition,
    /// Name of the segment file that holds, or should hold, these bytes.
    pub segment: String,
    /// What is wrong.
    pub kind: DamageKind,
}

/// What is wrong with a part of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DamageKind {
    /// Entries that had been durable do not match their checksum.
    Corrupt,
    /// Entries of the last commit before an opening of the log: a write that a power cut interrupted and that
    /// nobody was told of, or damage to the last commit. The two cannot be told apart.
    Unfinished,
    /// The storage cannot read them.
    Unreadable,
    /// The header of a segment; the entries in it are usable.
    SegmentHeader,
    /// A segment file is missing or too short.
    SegmentMissing,
    /// The file has a segment's name, but belongs elsewhere or to another log.
    SegmentForeign,
}

impl std::fmt::Display for DamageKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            DamageKind::Corrupt => "checksum mismatch",
            DamageKind::Unfinished => "unfinished commit",
            DamageKind::Unreadable => "cannot be read",
            DamageKind::SegmentHeader => "damaged segment header",
            DamageKind::SegmentMissing => "missing",
            DamageKind::SegmentForeign => "segment of another log or place",
        })
    }
}
