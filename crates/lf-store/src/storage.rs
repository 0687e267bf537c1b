//! The few file operations the store needs, behind a trait, so that tests can inject faults and cut power at
//! any of them.
//!
//! [`DiskStorage`] is a directory of a real file system; [`SimStorage`] is memory that remembers what would
//! survive a power cut. What must not live here: any knowledge of what the files mean.
//!
//! Paths are relative to the storage's root, separated by `/`, of plain components (`log/00.lfl`); `""` is the
//! root directory itself.
//!
//! What is durable when (the contract both implementations keep, no more than POSIX gives):
//! * bytes and length of a file: after [`StorageFile::sync`] returned `Ok`;
//! * that a file exists under its name, was renamed or removed: after [`Storage::sync_directory`] of the
//!   directory that holds the name returned `Ok`;
//! * after a `sync` that failed, nothing may be assumed about what was written since the one before, **also when
//!   a later `sync` succeeds**: systems drop the dirty pages of a failed write.

mod disk;
mod sim;

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

pub use disk::DiskStorage;
pub use sim::{Fault, FaultEffect, Operation, SimStorage};

/// A directory tree of files. Handles are shared between threads.
pub trait Storage: Send + Sync + Debug {
    /// Makes the directory `path` (its parent must exist); one that exists already is fine.
    fn create_directory(&self, path: &str) -> io::Result<()>;

    /// The names (not paths) of the files directly in `directory`, sorted; directories are left out.
    fn list(&self, directory: &str) -> io::Result<Vec<String>>;

    /// Makes the empty file `path`; [`io::ErrorKind::AlreadyExists`] if something has that name.
    fn create(&self, path: &str) -> io::Result<Arc<dyn StorageFile>>;

    /// Opens the existing file `path` for reading and writing.
    fn open(&self, path: &str) -> io::Result<Arc<dyn StorageFile>>;

    /// Renames a file, atomically replacing what has the new name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Makes what happened to the names in `directory` durable.
    fn sync_directory(&self, directory: &str) -> io::Result<()>;

    /// Bytes that may still be written before the disk is full.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// An open file of a [`Storage`].
pub trait StorageFile: Send + Sync + Debug {
    /// Length in bytes.
    fn length(&self) -> io::Result<u64>;

    /// Reads up to `buffer.len()` bytes at `offset`; fewer (a short read) is legal at any time, 0 means the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`. After an error any part of it may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Sets the length in bytes; what is added reads as zeros.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Makes content and length durable (fdatasync).
    fn sync(&self) -> io::Result<()>;
}

/// Reads until `buffer` is full or the file ends; returns the bytes read.
pub fn read_full_at(file: &dyn StorageFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0usize;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

/// `directory` and `name` as one path.
pub(crate) fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") }
}

/// Rejects every path that could leave the root.
fn check_path(path: &str) -> io::Result<()> {
    let plain = |c: &str| {
        !c.is_empty()
            && c != "."
            && c != ".."
            && c.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    if path.is_empty() || path.split('/').all(plain) {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, format!("not a path inside the storage: {path:?}")))
    }
}
