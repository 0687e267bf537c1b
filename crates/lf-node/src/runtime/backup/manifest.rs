//! `backup.json`: what a backup consists of. Every byte of the file counts: it must be exactly what this program would
//! write, digest of itself included.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::{BackupError, failed};
use super::files::{self, hex, read_whole};
use super::{FILES, LOG};

/// The format this program writes, and the latest it reads.
pub const FORMAT: u32 = 1;

/// The file.
pub(super) const NAME: &str = "backup.json";

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The program that wrote it.
    pub program: String,
    /// The network's id, hexadecimal.
    pub network: String,
    /// The network's name.
    pub network_name: String,
    /// The log's id, hexadecimal.
    pub log_id: String,
    /// When it was made, seconds since 1970.
    pub time: u64,
    /// Records in the log, those that wait for others included.
    pub records: u64,
    /// The log's position up to which it will never be different.
    pub certain: u64,
    /// The log's segments, in order.
    pub segments: Vec<SegmentEntry>,
    /// Other files of the home.
    pub files: Vec<FileEntry>,
}

/// A segment of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct SegmentEntry {
    /// The position of its first byte.
    pub start: u64,
    /// Where it is, in the backup's directory.
    pub stored: String,
    /// How many bytes of that file count.
    pub bytes: u64,
    /// Their SHA-256, hexadecimal.
    pub sha256: String,
    /// Undamaged entries.
    pub entries: u64,
    /// Undamaged records.
    pub records: u64,
    /// Bytes that were damaged in the home.
    pub damaged_bytes: u64,
}

/// Another file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct FileEntry {
    /// Its name in the home.
    pub name: String,
    /// Where it is, in the backup's directory.
    pub stored: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
    /// Whether it must be kept from others.
    pub secret: bool,
}

/// The file's content.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Envelope {
    backup: Manifest,
    /// SHA-256 of `backup` as JSON without white space.
    sha256: String,
}

/// All that is known of one of a later format.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Later {
    backup: LaterFormat,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LaterFormat {
    format: u64,
}

impl SegmentEntry {
    pub(super) fn new(start: u64, stored: String) -> Self {
        let (sha256, bytes, entries, records, damaged_bytes) = (String::new(), 0, 0, 0, 0);
        SegmentEntry { start, stored, bytes, sha256, entries, records, damaged_bytes }
    }
}

impl Manifest {
    /// The manifest in a directory; none if there is none.
    pub(super) fn read(directory: &Path) -> Result<Option<Manifest>, BackupError> {
        let path = directory.join(NAME);
        let Some(bytes) = read_whole(&path)? else { return Ok(None) };
        if let Ok(later) = serde_json::from_slice::<Later>(&bytes)
            && later.backup.format > u64::from(FORMAT)
        {
            return Err(BackupError::LaterFormat { path, format: later.backup.format });
        }
        Manifest::parse(&bytes).map(Some).map_err(|problem| BackupError::Manifest { path, problem })
    }

    fn parse(bytes: &[u8]) -> Result<Manifest, String> {
        let envelope: Envelope = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        let manifest = envelope.backup;
        if manifest.render() != bytes {
            return Err("its bytes are not what its checksum is of".to_owned());
        }
        let plain = |name: &str| {
            !name.is_empty()
                && !name.starts_with('.')
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let inside = |stored: &str, directory: &str| {
            stored.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/')).is_some_and(plain)
        };
        let known = |file: &FileEntry| files::ALL.iter().any(|known| known.name == file.name);
        let sound = manifest.segments.iter().all(|segment| inside(&segment.stored, LOG))
            && manifest.segments.is_sorted_by(|a, b| a.start < b.start)
            && manifest.files.iter().all(|file| inside(&file.stored, FILES) && known(file));
        if sound { Ok(manifest) } else { Err("it names files that no backup has".to_owned()) }
    }

    fn render(&self) -> Vec<u8> {
        let compact = serde_json::to_vec(self).unwrap_or_default();
        let envelope = Envelope { backup: self.clone(), sha256: hex(&Sha256::digest(&compact)) };
        let mut text = serde_json::to_vec_pretty(&envelope).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// Puts it in the place of the one there.
    pub(super) fn write(&self, directory: &Path) -> Result<(), BackupError> {
        let path = directory.join(NAME);
        lf_platform::replace(&path, &[&self.render()]).map_err(failed("write", &path))
    }

    /// All files that belong to it.
    pub(super) fn stored(&self) -> impl Iterator<Item = &str> {
        let segments = self.segments.iter().map(|segment| segment.stored.as_str());
        segments.chain(self.files.iter().map(|file| file.stored.as_str()))
    }

    /// Bytes of the log.
    pub fn log_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Bytes of all files.
    pub fn all_bytes(&self) -> u64 {
        self.log_bytes() + self.files.iter().map(|file| file.bytes).sum::<u64>()
    }

    /// Bytes of the log that were damaged in the home already.
    pub fn damaged_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.damaged_bytes).sum()
    }

    /// Names of the files that must be kept from others.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter(|file| file.secret).map(|file| file.name.as_str())
    }

    /// Whether it has the node's identity.
    pub fn has_identity(&self) -> bool {
        self.files.iter().any(|file| file.name == files::IDENTITY)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn manifest() -> Manifest {
        let entry = SegmentEntry::new(0, "log/00000000000000000000.lfl".to_owned());
        Manifest {
            format: FORMAT,
            program: "lf".to_owned(),
            network: "ab".to_owned(),
            network_name: "Söl".to_owned(),
            log_id: "cd".to_owned(),
            time: 1,
            records: 2,
            certain: 3,
            segments: vec![SegmentEntry { bytes: 48, sha256: "ef".to_owned(), ..entry }],
            files: vec![FileEntry {
                name: "seeds".to_owned(),
                stored: "files/seeds.0123".to_owned(),
                bytes: 5,
                sha256: "00".to_owned(),
                secret: false,
            }],
        }
    }

    #[test]
    fn every_bit_of_it_counts() {
        let bytes = manifest().render();
        assert_eq!(Manifest::parse(&bytes).unwrap(), manifest());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::parse(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn it_names_nothing_outside_the_backup() {
        for stored in ["log/../x", "/etc/passwd", "log", "log/", "log/a/b", "files/x", "log/.hidden"] {
            let mut bad = manifest();
            bad.segments[0].stored = stored.to_owned();
            assert!(Manifest::parse(&bad.render()).is_err(), "{stored}");
        }
        let mut bad = manifest();
        bad.files[0].name = "../seeds".to_owned();
        assert!(Manifest::parse(&bad.render()).is_err());
    }

    #[test]
    fn a_later_format_is_said_to_be_one() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Manifest::read(directory.path()).unwrap().is_none());
        std::fs::write(directory.path().join(NAME), r#"{"Backup":{"Format":2,"New":[]},"More":1}"#).unwrap();
        let message = Manifest::read(directory.path()).unwrap_err().to_string();
        assert!(message.contains("format 2") && message.contains("newer"), "{message}");
        std::fs::write(directory.path().join(NAME), "junk").unwrap();
        assert!(matches!(Manifest::read(directory.path()), Err(BackupError::Manifest { .. })));
    }
}
