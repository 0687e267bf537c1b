//! Backups of a node's home, made while the node runs, checked, and made a home again.
//!
//! The log is the only truth and only grows, so what it holds up to any commit is a consistent state: a backup copies what
//! is new in the log's segments, and the few other files of the home. `backup.json` (`manifest.rs`) says what belongs to
//! it; it is replaced last and at once, and nothing that it names is changed before, so that a run that is interrupted
//! leaves the backup that was there. Here is how one is made; `check.rs` reads it as a restored node would, and
//! `restore.rs` makes a home of it. docs/src/FORMAT.md describes the directory.

mod check;
mod error;
mod files;
mod manifest;
mod restore;

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use lf_platform::{private_directory, private_file, sync_directory};
use lf_store::log::{LogError, LogSource, SourceSegment};
use lf_store::storage::DiskStorage;
use sha2::{Digest as _, Sha256};

pub use self::check::{Checked, check};
pub use self::error::BackupError;
use self::error::failed;
use self::files::{Copier, HomeFile, hex, read_whole};
pub use self::manifest::{FORMAT, Manifest};
use self::manifest::{FileEntry, SegmentEntry};
pub use self::restore::{Restored, restore};
use super::RunConfig;

/// The directory of the segments.
const LOG: &str = "log";
/// The directory of the other files.
const FILES: &str = "files";
/// Locked while a backup is made; that it is there says that the directory is ours.
const LOCK: &str = "backup.lock";
/// How often the log may change under our eyes, as when the node takes back what the disk had no space for.
const TRIES_MAX: u32 = 5;

/// What a run did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Made {
    /// The backup as it is now.
    pub manifest: Manifest,
    /// Bytes of the log that were new.
    pub new_bytes: u64,
    /// Records that were new.
    pub new_records: u64,
    /// Whether there was no backup before.
    pub is_first: bool,
}

/// Makes a backup of a home in a directory, or brings the one there up to date. The node may be running, or not.
/// `progress` is told how many bytes of how many have been looked at.
///
/// # Errors
/// What cannot be read or written; the directory holds something else. The backup that was there stays.
pub fn make(
    config: &RunConfig,
    to: &Path,
    secrets: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Made, BackupError> {
    let home = config.directory();
    let log = home.join("store").join(LOG);
    if !log.is_dir() {
        return Err(BackupError::NoHome(home));
    }
    let _lock = prepare(&home, to)?;
    let mut tries = 0;
    loop {
        match Run::begin(&home, to)?.run(secrets, progress) {
            Err(BackupError::Changed) if tries < TRIES_MAX => tries += 1,
            done => return done,
        }
    }
}

/// Makes the directory ours, and keeps other runs out of it while the result lives.
fn prepare(home: &Path, to: &Path) -> Result<File, BackupError> {
    private_directory().recursive(true).create(to).map_err(failed("make", to))?;
    let real = |path: &Path| std::fs::canonicalize(path).map_err(failed("open", path));
    let (real_to, real_home) = (real(to)?, real(home)?);
    if real_to == real_home || real_to.starts_with(real_home.join("store")) {
        return Err(BackupError::Inside(to.to_owned()));
    }
    let lock = to.join(LOCK);
    if !lock.exists() && !to.join(manifest::NAME).exists() {
        let mut entries = std::fs::read_dir(to).map_err(failed("list", to))?;
        if entries.next().is_some() {
            return Err(BackupError::NotEmpty(to.to_owned()));
        }
    }
    let file = private_file(OpenOptions::new().write(true).create(true).truncate(false)).open(&lock);
    let file = file.map_err(failed("open", &lock))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(BackupError::Busy(to.to_owned())),
        Err(TryLockError::Error(source)) => return Err(failed("lock", &lock)(source)),
    }
    for name in [LOG, FILES] {
        let path = to.join(name);
        match private_directory().create(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(failed("make", &path))?,
        }
    }
    Ok(file)
}

/// One look at the log, and what becomes of it.
struct Run<'a> {
    home: &'a Path,
    to: &'a Path,
    source: LogSource,
    old: Option<Manifest>,
    certain: u64,
    new_bytes: u64,
    new_records: u64,
}

impl<'a> Run<'a> {
    fn begin(home: &'a Path, to: &'a Path) -> Result<Self, BackupError> {
        let old = Manifest::read(to)?;
        let source = LogSource::open(&DiskStorage::read_only(home.join("store")), LOG).map_err(changed)?;
        let certain = old.as_ref().map_or(0, |old| old.certain);
        Ok(Run { home, to, source, old, certain, new_bytes: 0, new_records: 0 })
    }

    fn run(mut self, secrets: bool, progress: &mut dyn FnMut(u64, u64)) -> Result<Made, BackupError> {
        let genesis = read_whole(&self.home.join(files::GENESIS))?;
        let parameters = files::genesis_of(genesis.as_deref().map(Vec::as_slice), self.home)?;
        let log_id = hex(&self.source.log_id());
        if let Some(old) = &self.old
            && (old.log_id != log_id || old.network != parameters.id_text())
        {
            return Err(BackupError::OtherLog {
                path: self.to.to_owned(),
                network: old.network_name.clone(),
                is_same_network: old.network == parameters.id_text(),
            });
        }
        let source = std::mem::replace(&mut self.source, LogSource::none());
        let all = source.segments().iter().map(|segment| segment.bytes).sum();
        let mut done = 0;
        let mut segments = Vec::new();
        for segment in source.segments() {
            let before = done;
            let entry = self.segment(&source, segment, &mut |bytes| progress(before + bytes, all))?;
            done += segment.bytes;
            segments.extend(entry);
        }
        self.nothing_lost(&segments)?;
        let files = self.files(secrets)?;
        for name in [LOG, FILES] {
            let path = self.to.join(name);
            sync_directory(&path).map_err(failed("sync", &path))?;
        }
        let manifest = Manifest {
            format: FORMAT,
            program: concat!("lf ", env!("CARGO_PKG_VERSION")).to_owned(),
            network: parameters.id_text(),
            network_name: parameters.name,
            log_id,
            time: crate::node::now(),
            records: segments.iter().map(|segment| segment.records).sum(),
            certain: self.certain,
            segments,
            files,
        };
        manifest.write(self.to)?;
        self.clean(&manifest);
        Ok(Made {
            manifest,
            new_bytes: self.new_bytes,
            new_records: self.new_records,
            is_first: self.old.is_none(),
        })
    }

    /// Copies what is new of a segment. None if nothing of it counts yet.
    fn segment(
        &mut self,
        source: &LogSource,
        segment: &SourceSegment,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Option<SegmentEntry>, BackupError> {
        let old = self.old.as_ref().and_then(|old| old.segments.iter().find(|s| s.start == segment.start));
        let mut copier = Copier::new(segment, progress);
        let Some(old) = old.cloned() else {
            return self.copy(
                source,
                &mut copier,
                SegmentEntry::new(segment.start, self.free_name(&segment.name)),
            );
        };
        let stored = self.to.join(&old.stored);
        if segment.bytes >= old.bytes {
            copier.pass(old.bytes)?;
            if copier.digest() == old.sha256 {
                let length = std::fs::metadata(&stored).map_err(failed("open", &stored))?.len();
                if length < old.bytes {
                    return Err(BackupError::Damaged(vec![format!("{} is too short", old.stored)]));
                }
                return self.copy(source, &mut copier, old);
            }
        }
        // It may have ended in a commit that was taken back. What is certain must be the same for ever.
        let certain = self.certain.saturating_sub(old.start).min(old.bytes);
        let mut copier = Copier::new(segment, progress);
        if let Some(at) = copier.differs(&stored, certain)? {
            return Err(BackupError::Differs {
                path: self.to.to_owned(),
                position: old.start.saturating_add(at),
            });
        }
        let mut copier = Copier::new(segment, progress);
        self.copy(source, &mut copier, SegmentEntry::new(segment.start, self.free_name(&segment.name)))
    }

    /// Copies a segment from where `entry`, and the copier, have come to.
    fn copy(
        &mut self,
        source: &LogSource,
        copier: &mut Copier<'_>,
        mut entry: SegmentEntry,
    ) -> Result<Option<SegmentEntry>, BackupError> {
        let extent = source.examine(copier.segment, entry.bytes);
        self.certain = self.certain.max(extent.certain);
        let path = self.to.join(&entry.stored);
        // What an interrupted run left behind it.
        let is_longer = std::fs::metadata(&path).is_ok_and(|m| m.len() > entry.bytes);
        if extent.bytes > entry.bytes || is_longer {
            let file = private_file(OpenOptions::new().write(true).create(true).truncate(false)).open(&path);
            let file = file.map_err(failed("open", &path))?;
            copier.copy(extent.bytes, &file, &path)?;
            file.set_len(extent.bytes).and_then(|()| file.sync_all()).map_err(failed("write", &path))?;
        }
        if extent.bytes > entry.bytes {
            self.new_bytes += extent.bytes - entry.bytes;
            self.new_records += extent.records;
            entry.bytes = extent.bytes;
            entry.sha256 = copier.digest();
            entry.entries += extent.entries;
            entry.records += extent.records;
            entry.damaged_bytes += extent.damaged_bytes;
        }
        Ok((entry.bytes > 0).then_some(entry))
    }

    /// A name that the backup there is does not use.
    fn free_name(&self, name: &str) -> String {
        let used = |stored: &String| {
            self.old.iter().flat_map(|old| &old.segments).any(|segment| segment.stored == *stored)
        };
        let others = (1..u32::MAX).map(|n| format!("{LOG}/{name}.{n}"));
        std::iter::once(format!("{LOG}/{name}")).chain(others).find(|name| !used(name)).unwrap_or_default()
    }

    /// Segments that the backup has, and the log had for ever, are still there.
    fn nothing_lost(&self, now: &[SegmentEntry]) -> Result<(), BackupError> {
        let Some(old) = &self.old else { return Ok(()) };
        let starts: BTreeSet<u64> = now.iter().map(|segment| segment.start).collect();
        let lost = old.segments.iter().find(|s| s.start < old.certain && !starts.contains(&s.start));
        lost.map_or(Ok(()), |lost| {
            Err(BackupError::Differs { path: self.to.to_owned(), position: lost.start })
        })
    }

    /// The other files.
    fn files(&self, secrets: bool) -> Result<Vec<FileEntry>, BackupError> {
        let mut entries = Vec::new();
        for HomeFile { name, is_secret } in files::ALL {
            if *is_secret && !secrets {
                continue;
            }
            let Some(bytes) = read_whole(&self.home.join(name))? else { continue };
            let sha256 = hex(&Sha256::digest(bytes.as_slice()));
            let stored = format!("{FILES}/{name}.{}", sha256.get(..16).unwrap_or_default());
            let path = self.to.join(&stored);
            lf_platform::replace(&path, &[&bytes]).map_err(failed("write", &path))?;
            entries.push(FileEntry {
                name: (*name).to_owned(),
                stored,
                bytes: bytes.len() as u64,
                sha256,
                secret: *is_secret,
            });
        }
        Ok(entries)
    }

    /// Removes what no longer belongs to the backup. What cannot be removed is no harm.
    fn clean(&self, manifest: &Manifest) {
        let used: BTreeSet<PathBuf> = manifest.stored().map(|stored| self.to.join(stored)).collect();
        for name in [LOG, FILES] {
            for entry in std::fs::read_dir(self.to.join(name)).into_iter().flatten().flatten() {
                if !used.contains(&entry.path()) {
                    let _ = std::fs::remove_file(entry.path());
                }
            }
        }
    }
}

/// A file that goes away while it is opened was taken back by the node.
fn changed(error: LogError) -> BackupError {
    match &error {
        LogError::Io { source, action: "open", .. } if source.kind() == io::ErrorKind::NotFound => {
            BackupError::Changed
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests;
