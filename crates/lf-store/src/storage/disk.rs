//! A directory of a real file system. Nothing but thin calls into the standard library lives here.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Storage, StorageFile, check_path};

/// Files under one directory of the disk. New directories get mode 0700, new files 0600 (on Unix): what a node
/// stores is public, but who reads it through the file system was not asked to.
#[derive(Debug, Clone)]
pub struct DiskStorage {
    root: PathBuf,
}

impl DiskStorage {
    /// The storage in `root`, which is made (with its parents) if it is missing.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<DiskStorage> {
        let root = root.into();
        if !root.is_dir() {
            directory_builder().recursive(true).create(&root)?;
            // A root that a power cut forgets takes everything with it.
            if let Some(parent) = root.parent() {
                sync_directory(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
            }
        }
        Ok(DiskStorage { root })
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
        match directory_builder().create(&path) {
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
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Arc::new(DiskFile(options.open(self.path(path)?)?)))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(DiskFile(OpenOptions::new().read(true).write(true).open(self.path(path)?)?)))
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

    #[cfg(unix)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.0, buffer, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(&self.0, buffer, offset)
    }

    #[cfg(unix)]
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.0, bytes, offset)
    }

    #[cfg(windows)]
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut done = 0usize;
        while done < bytes.len() {
            match std::os::windows::fs::FileExt::seek_write(&self.0, &bytes[done..], offset + done as u64)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => done += n,
            }
        }
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

fn directory_builder() -> fs::DirBuilder {
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Elsewhere a directory cannot be opened as a file, and names are as durable as the file system makes them.
#[cfg(not(unix))]
fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// What an unprivileged process may still write.
#[cfg(unix)]
fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_path: &Path) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
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

    #[cfg(unix)]
    #[test]
    fn is_private_and_knows_the_free_space() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let storage = DiskStorage::open(home.path().join("node")).unwrap();
        storage.create_directory("log").unwrap();
        storage.create("log/one").unwrap();
        let mode = |p: &str| fs::metadata(storage.root().join(p)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(""), mode("log"), mode("log/one")), (0o700, 0o700, 0o600));
        assert!(storage.free_bytes().unwrap() > 0);
    }
}
