//! A directory of a real file system. Nothing but thin calls into the standard library lives here.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lf_platform::{free_bytes, private_directory, private_file, sync_directory};

use super::{Storage, StorageFile, check_path};

/// Files under one directory of the disk. New directories get mode 0700, new files 0600 (on Unix): what a node
/// stores is public, but who reads it through the file system was not asked to.
#[derive(Debug, Clone)]
pub struct DiskStorage {
    root: PathBuf,
    read_only: bool,
}

impl DiskStorage {
    /// The storage in `root`, which is made (with its parents) if it is missing.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<DiskStorage> {
        let root = root.into();
        if !root.is_dir() {
            private_directory().recursive(true).create(&root)?;
            // A root that a power cut forgets takes everything with it.
            if let Some(parent) = root.parent() {
                sync_directory(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
            }
        }
        Ok(DiskStorage { root, read_only: false })
    }

    /// A directory that is there and whose files are only read: opening them needs no right to write.
    pub fn read_only(root: impl Into<PathBuf>) -> DiskStorage {
        DiskStorage { root: root.into(), read_only: true }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, path: &str) -> io::Result<PathBuf> {
        check_path(path)?;
        Ok(if path.is_empty() { self.root.clone() } else { self.root.join(path) })
    }
}

impl Storage for DiskStorage {
    fn create_directory(&self, path: &str) -> io::Result<()> {
        let path = self.path(path)?;
        match private_directory().create(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            other => other,
        }
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path(directory)?)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn create(&self, path: &str) -> io::Result<Arc<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        let options = private_file(options.read(true).write(true).create_new(true));
        Ok(Arc::new(DiskFile(options.open(self.path(path)?)?)))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(DiskFile(OpenOptions::new().read(true).write(!self.read_only).open(self.path(path)?)?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from)?, self.path(to)?)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.path(path)?)
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        sync_directory(&self.path(directory)?)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        free_bytes(&self.root)
    }
}

#[derive(Debug)]
struct DiskFile(File);

impl StorageFile for DiskFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        lf_platform::read_at(&self.0, buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        lf_platform::write_all_at(&self.0, bytes, offset)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::storage::read_full_at;

    #[test]
    fn writes_reads_renames_and_lists() {
        let home = tempfile::tempdir().unwrap();
        let storage = DiskStorage::open(home.path().join("a/b")).unwrap();
        storage.create_directory("log").unwrap();
        storage.create_directory("log").unwrap();
        let file = storage.create("log/one").unwrap();
        assert_eq!(storage.create("log/one").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        file.write_all_at(b"hello world", 0).unwrap();
        file.truncate(5).unwrap();
        file.sync().unwrap();
        storage.rename("log/one", "log/two").unwrap();
        storage.sync_directory("log").unwrap();
        assert_eq!(storage.list("log").unwrap(), ["two"]);
        assert_eq!(storage.list("").unwrap(), Vec::<String>::new());
        let file = storage.open("log/two").unwrap();
        let mut buffer = [0u8; 8];
        assert_eq!(read_full_at(&*file, &mut buffer, 1).unwrap(), 4);
        assert_eq!(&buffer[..4], b"ello");
        storage.remove("log/two").unwrap();
        assert_eq!(storage.open("log/two").unwrap_err().kind(), io::ErrorKind::NotFound);
        for bad in ["../x", "/x", "log//x", ".", "log/..", "a\\b"] {
            assert_eq!(storage.create(bad).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{bad}");
        }
    }

    #[test]
    fn is_private_and_knows_the_free_space() {
        let home = tempfile::tempdir().unwrap();
        let storage = DiskStorage::open(home.path().join("node")).unwrap();
        storage.create_directory("log").unwrap();
        storage.create("log/one").unwrap();
        for path in ["", "log", "log/one"] {
            assert!(lf_platform::is_private(&storage.root().join(path)).unwrap(), "{path}");
        }
        assert!(storage.free_bytes().unwrap() > 0);
    }
}
