//! Checking a backup: every file against its digest, and the log as a node would read it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use lf_proto::hash::Hash;
use lf_proto::record::Record;
use lf_store::log::{DamageKind, EntryKind, Log, LogOptions, LogPosition, PinnedLog, SourceSegment};
use lf_store::storage::{DiskStorage, Storage as _};

use super::LOG;
use super::error::{BackupError, failed};
use super::files::digest_of;
use super::manifest::Manifest;

/// Problems that are named; more are only counted.
const PROBLEMS_MAX: usize = 100;

/// What a check found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Checked {
    /// The backup.
    pub manifest: Manifest,
    /// Records that link to others that are not there: they wait for them.
    pub waiting: u64,
    /// What is wrong; at most 100.
    pub problems: Vec<String>,
    /// All that is wrong, also what is not listed.
    pub problems_count: u64,
}

impl Checked {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems_count == 0
    }

    fn problem(&mut self, problem: String) {
        self.problems_count += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

/// Verifies a backup: digests, checksums, records, links. Changes nothing. `progress` is told how many bytes of how many are
/// done.
///
/// # Errors
/// There is none, or what says what it consists of cannot be used. All else is in the result.
pub fn check(directory: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Checked, BackupError> {
    let manifest = Manifest::read(directory)?.ok_or_else(|| BackupError::NoBackup(directory.to_owned()))?;
    // Everything is read for its digest, and the log once more.
    let all = manifest.all_bytes() + manifest.log_bytes();
    let mut done = 0;
    let mut checked =
        Checked { manifest: manifest.clone(), waiting: 0, problems: Vec::new(), problems_count: 0 };
    let segments = manifest.segments.iter().map(|s| (&s.stored, s.bytes, &s.sha256));
    let files = manifest.files.iter().map(|f| (&f.stored, f.bytes, &f.sha256));
    for (stored, bytes, sha256) in segments.chain(files) {
        let path = directory.join(stored);
        let mut count = |bytes| {
            done += bytes;
            progress(done, all);
        };
        match digest_of(&path, bytes, None, &mut count) {
            Ok(Some(digest)) if digest == *sha256 => {}
            Ok(Some(_)) => checked.problem(format!("{stored} has other bytes than were written")),
            Ok(None) => checked.problem(format!("{stored} is too short")),
            Err(e) => checked.problem(e.to_string()),
        }
    }
    if checked.is_sound() {
        read_log(directory, &mut checked, &mut |bytes| progress(done + bytes, all))?;
    }
    Ok(checked)
}

/// Reads the log through, as at a node's start.
fn read_log(
    directory: &Path,
    checked: &mut Checked,
    progress: &mut dyn FnMut(u64),
) -> Result<(), BackupError> {
    let storage = DiskStorage::read_only(directory);
    let manifest = checked.manifest.clone();
    let mut files = Vec::new();
    for segment in &manifest.segments {
        let path = directory.join(&segment.stored);
        let file = storage.open(&segment.stored).map_err(failed("open", &path))?;
        files.push((SourceSegment::name_of(segment.start), file, segment.bytes));
    }
    if files.is_empty() {
        return Ok(());
    }
    let pinned = Arc::new(PinnedLog::new(LOG, files));
    let (log, _) = Log::open(pinned, LogOptions::new([0; 16]))?;
    if super::hex(&log.log_id()) != manifest.log_id {
        checked.problem("the log has another id than the backup".to_owned());
    }
    let mut known: HashSet<Hash> = HashSet::new();
    let (mut records, mut damaged_bytes, mut linking) = (0, 0, Vec::new());
    for step in log.reader().scan(LogPosition(0)) {
        let (position, entry) = match step {
            Ok(entry) => entry,
            Err(damage) => {
                // A hole between two files was one in the home already: all files are what they were.
                if damage.kind != DamageKind::SegmentMissing {
                    damaged_bytes += damage.to.0 - damage.from.0;
                }
                continue;
            }
        };
        progress(position.0.min(manifest.log_bytes()));
        if entry.kind != EntryKind::Record {
            continue;
        }
        records += 1;
        match Record::decode(&entry.payload) {
            Err(e) => checked.problem(format!("the entry at {position} is no record: {e}")),
            Ok(record) => {
                if !known.insert(record.hash()) {
                    checked.problem(format!("record {} is there twice", record.hash()));
                }
                // Records arrive before what they link to, too.
                let open: Vec<Hash> =
                    record.links().iter().filter(|link| !known.contains(*link)).copied().collect();
                if !open.is_empty() {
                    linking.push(open);
                }
            }
        }
    }
    if records != manifest.records {
        checked.problem(format!("the log has {records} records, and {} were written", manifest.records));
    }
    let known_damage = manifest.damaged_bytes();
    if damaged_bytes > known_damage {
        checked.problem(format!(
            "{damaged_bytes} bytes of the log are damaged, and {known_damage} were in the home"
        ));
    }
    let waits = |open: &&Vec<Hash>| open.iter().any(|link| !known.contains(link));
    checked.waiting = linking.iter().filter(waits).count() as u64;
    Ok(())
}
