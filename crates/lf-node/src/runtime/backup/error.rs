//! Why a backup is not made, not sound, or not restored.

use std::io;
use std::path::{Path, PathBuf};

use lf_proto::genesis::GenesisError;
use lf_store::StoreError;
use lf_store::log::LogError;

use super::super::RunError;

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A file or directory.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The log cannot be read.
    #[error("{}", with_cause(.0))]
    Log(#[from] LogError),
    /// There is nothing to back up.
    #[error("there is no node's store in {0}; say whose home it is with --path, or --localtest")]
    NoHome(PathBuf),
    /// The backup would back itself up.
    #[error("{0} is the home itself; give a directory elsewhere, best on another disk")]
    Inside(PathBuf),
    /// The directory has something else in it.
    #[error("{0} is not empty, and holds no backup; give a new directory")]
    NotEmpty(PathBuf),
    /// There is no backup.
    #[error("there is no backup in {0}; a complete one has a backup.json")]
    NoBackup(PathBuf),
    /// Another run has it.
    #[error("another lf backup is at work in {0}; wait until it is done")]
    Busy(PathBuf),
    /// The manifest is damaged.
    #[error(
        "{path} is damaged: {problem}; what it named can no longer be trusted: make a new backup in another directory"
    )]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Written by a later version.
    #[error("{path} has format {format}, and this lf knows only {known}; use the lf that made it, or a newer one", known = super::FORMAT)]
    LaterFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u64,
    },
    /// The backup is of another home.
    #[error(
        "{path} holds a backup of another {}; give another directory",
        if *.is_same_network { "node's log".to_owned() } else { format!("network, {network:?}") }
    )]
    OtherLog {
        /// The backup.
        path: PathBuf,
        /// Its network's name.
        network: String,
        /// Whether at least the network is the same.
        is_same_network: bool,
    },
    /// What was backed up is not in the log any more.
    #[error(
        "the log is not what was backed up in {path}: at position {position} it differs, or has lost records; nothing was \
         changed; look with lf backup --check and, when the node is stopped, lf db check; a new backup needs another directory"
    )]
    Differs {
        /// The backup.
        path: PathBuf,
        /// From where on.
        position: u64,
    },
    /// The log changed while it was read.
    #[error(
        "the node took back what it had begun to write, several times; try again when its disk has space"
    )]
    Changed,
    /// The backup is not sound.
    #[error("the backup is damaged: {}; restore another one", .0.join(", "))]
    Damaged(Vec<String>),
    /// genesis.lf is not usable.
    #[error("cannot use {path}: {source}; put the network's genesis.lf there")]
    Genesis {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: GenesisError,
    },
    /// It is of a network whose genesis.lf is not in it.
    #[error("the backup is of network {0:?}, and this lf has another built in; use the lf that made it")]
    OtherNetwork(String),
    /// There is something in the home that would be lost.
    #[error("{path} has a node's files already ({name}); restore to another home, given with --path")]
    HomeHasData {
        /// The home.
        path: PathBuf,
        /// One of them.
        name: &'static str,
    },
    /// There is no space.
    #[error("{path} has {} MB free, and {} MB are needed; make space, or give another home with --path", free_bytes / 1_000_000, needed_bytes / 1_000_000)]
    Space {
        /// The home.
        path: PathBuf,
        /// Bytes free.
        free_bytes: u64,
        /// Bytes needed.
        needed_bytes: u64,
    },
    /// The home.
    #[error(transparent)]
    Home(#[from] RunError),
    /// The index cannot be made.
    #[error("cannot make the index: {0}")]
    Store(#[from] StoreError),
}

/// For `map_err`: what was tried with which file.
pub(super) fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> BackupError + use<> {
    let path = path.to_owned();
    move |source| BackupError::File { action, path: path.clone(), source }
}

fn with_cause(error: &LogError) -> String {
    use std::error::Error as _;
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
