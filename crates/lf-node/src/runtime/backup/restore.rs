//! Making a home of a backup.

use std::fs::{self, OpenOptions};
use std::path::Path;

use lf_platform::{private_directory, private_file, sync_directory};
use lf_proto::genesis::Genesis;
use lf_store::log::{LogSource, SourceSegment};
use lf_store::storage::DiskStorage;
use lf_store::{FREE_BYTES_MIN, tools};

use super::super::RunConfig;
use super::super::home::Home;
use super::LOG;
use super::check::{Checked, check};
use super::error::{BackupError, failed};
use super::files::{self, CLIENT, digest_of, read_whole};
use super::manifest::Manifest;
use crate::store_options;

/// The store while it is being made: a home that has it, and no store, is one whose restoring was interrupted.
const UNFINISHED: &str = "store.restoring";
const STORE: &str = "store";

/// What was made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Restored {
    /// The backup.
    pub manifest: Manifest,
    /// The home had a client.json: it stays, and the backup's is not used.
    pub client_kept: bool,
    /// Remarks of the first opening, for people.
    pub notes: Vec<String>,
}

/// Makes a home of a backup, after everything in it was verified, and the index of its store. `progress` is told what is
/// being done, and how much of how much.
///
/// # Errors
/// The backup is damaged; the home has a node's files, or cannot be written.
pub fn restore(
    directory: &Path,
    config: &RunConfig,
    progress: &mut dyn FnMut(&'static str, u64, u64),
) -> Result<Restored, BackupError> {
    let Checked { manifest, problems, .. } =
        check(directory, &mut |done, all| progress("Checking the backup", done, all))?;
    if !problems.is_empty() {
        return Err(BackupError::Damaged(problems));
    }
    let genesis = genesis(directory, &manifest)?;
    let target = config.directory();
    must_be_free(&target)?;
    let home = Home::open(&target)?;
    must_be_free(&target)?;
    // The index takes about as much as the log.
    let needed_bytes = manifest.all_bytes().saturating_mul(2).saturating_add(FREE_BYTES_MIN);
    if let Ok(free_bytes) = lf_platform::free_bytes(&target)
        && free_bytes < needed_bytes
    {
        return Err(BackupError::Space { path: target, free_bytes, needed_bytes });
    }
    store(directory, &target, &manifest, &mut |done| {
        progress("Copying", done, manifest.log_bytes());
    })?;
    let mut client_kept = false;
    for entry in &manifest.files {
        let (from, to) = (directory.join(&entry.stored), target.join(&entry.name));
        if entry.name == CLIENT && to.exists() && !is_only_urls(&to) {
            client_kept = true;
            continue;
        }
        let bytes = read_whole(&from)?.unwrap_or_default();
        lf_platform::replace(&to, &[&bytes]).map_err(failed("write", &to))?;
    }
    let (from, to) = (target.join(UNFINISHED), target.join(STORE));
    fs::rename(&from, &to).map_err(failed("rename", &from))?;
    sync_directory(&target).map_err(failed("sync", &target))?;
    let options = store_options(home.path(), genesis).map_err(super::super::RunError::from)?;
    let mut notes = tools::rebuild(&options, &mut |done, all| progress("Making the index", done, all))?.notes;
    // That it was made of the log is no news.
    notes.retain(|note| !note.ends_with("applied to the index again"));
    Ok(Restored { manifest, client_kept, notes })
}

/// The backup's network.
fn genesis(directory: &Path, manifest: &Manifest) -> Result<Genesis, BackupError> {
    let entry = manifest.files.iter().find(|file| file.name == files::GENESIS);
    let genesis = match entry {
        None => crate::sol(),
        Some(entry) => {
            let path = directory.join(&entry.stored);
            let bytes = read_whole(&path)?.unwrap_or_default();
            Genesis::parse(&bytes).map_err(|source| BackupError::Genesis { path, source })?
        }
    };
    if genesis.parameters().id_text() != manifest.network {
        return Err(BackupError::OtherNetwork(manifest.network_name.clone()));
    }
    Ok(genesis)
}

/// Nothing of a node's may be there, but what an interrupted run left.
fn must_be_free(target: &Path) -> Result<(), BackupError> {
    let has_data = |name| BackupError::HomeHasData { path: target.to_owned(), name };
    if target.join(STORE).exists() {
        return Err(has_data(STORE));
    }
    if target.join(UNFINISHED).exists() {
        return Ok(());
    }
    match files::ALL.iter().find(|file| file.name != CLIENT && target.join(file.name).exists()) {
        Some(file) => Err(has_data(file.name)),
        None => Ok(()),
    }
}

/// Whether a client.json has nothing that would be lost: a node writes its own URL there.
fn is_only_urls(path: &Path) -> bool {
    let text = read_whole(path).ok().flatten().unwrap_or_default();
    let members = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&text);
    members.is_ok_and(|members| members.keys().all(|name| name.eq_ignore_ascii_case("URLs")))
}

/// Copies the log.
fn store(
    directory: &Path,
    target: &Path,
    manifest: &Manifest,
    progress: &mut dyn FnMut(u64),
) -> Result<(), BackupError> {
    let unfinished = target.join(UNFINISHED);
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(failed("remove", &unfinished))?;
    }
    let log = unfinished.join(LOG);
    private_directory().recursive(true).create(&log).map_err(failed("make", &log))?;
    let mut done = 0;
    for segment in &manifest.segments {
        let (from, to) = (directory.join(&segment.stored), log.join(SourceSegment::name_of(segment.start)));
        let file = private_file(OpenOptions::new().write(true).create_new(true)).open(&to);
        let file = file.map_err(failed("make", &to))?;
        let digest = digest_of(&from, segment.bytes, Some((&file, &to)), &mut |bytes| {
            done += bytes;
            progress(done);
        })?;
        if digest.as_ref() != Some(&segment.sha256) {
            return Err(BackupError::Damaged(vec![format!("{} changed meanwhile", segment.stored)]));
        }
        file.sync_all().map_err(failed("sync", &to))?;
    }
    let source = LogSource::open(&DiskStorage::read_only(&unfinished), LOG)?;
    let id = log.join(lf_store::log::LOG_ID_NAME);
    lf_platform::replace(&id, &[&source.id_file()]).map_err(failed("write", &id))?;
    sync_directory(&unfinished).map_err(failed("sync", &unfinished))
}
