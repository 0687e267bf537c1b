//! Files, by the functions of whichever system it is.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::{file_id, private_file, sync_directory};

/// Puts these bytes, one part after the other, in a file's place: all of it or nothing, durably; only its user can read
/// it. Written beside it as `NAME.new` first.
///
/// # Errors
/// What the system says; the old file stays then.
pub fn replace(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut name = OsString::from(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    name.push(".new");
    let aside = path.with_file_name(name);
    // What a crash left may have another's mode.
    let _ = fs::remove_file(&aside);
    let written = write(&aside, parts).and_then(|()| fs::rename(&aside, path));
    if written.is_err() {
        let _ = fs::remove_file(&aside);
        return written;
    }
    sync_directory(&directory_of(path))
}

fn write(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut file = private_file(OpenOptions::new().write(true).create_new(true)).open(path)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether the file at this path is the one that is open: neither moved nor removed nor replaced since.
pub fn same_file(open: &File, path: &Path) -> bool {
    let seen = File::open(path).and_then(|seen| file_id(&seen));
    matches!((file_id(open), seen), (Ok(open), Ok(seen)) if open == seen)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{free_bytes, is_private, private_directory, read_at, stamp, write_all_at};

    #[test]
    fn replaced_files_are_whole_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        fs::write(&path, "old, and longer than what comes").unwrap();
        fs::write(directory.path().join("a.json.new"), "left by a crash").unwrap();
        replace(&path, &[b"new", b"!"]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new!");
        assert!(is_private(&path).unwrap());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        // A directory cannot be replaced; nothing is left of the try.
        let taken = directory.path().join("taken");
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("inside"), "").unwrap();
        assert!(replace(&taken, &[b"x"]).is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_is_known_again_by_itself_not_by_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (directory.path().join("one"), directory.path().join("two"));
        let file = File::create(&path).unwrap();
        let before = stamp(&path);
        assert!(before.is_some() && same_file(&file, &path));
        fs::rename(&path, &moved).unwrap();
        assert!(same_file(&file, &moved) && !same_file(&file, &path));
        fs::write(&path, "another").unwrap();
        assert!(!same_file(&file, &path));
        assert_ne!(stamp(&path), before);
        assert_eq!(stamp(&directory.path().join("none")), None);
    }

    #[test]
    fn bytes_in_places() {
        let directory = tempfile::tempdir().unwrap();
        let private = directory.path().join("a/b");
        private_directory().recursive(true).create(&private).unwrap();
        assert!(is_private(&private).unwrap());
        let path = private.join("file");
        let file =
            private_file(OpenOptions::new().read(true).write(true).create_new(true)).open(&path).unwrap();
        write_all_at(&file, b"hello world", 3).unwrap();
        let mut buffer = [0; 5];
        assert_eq!(read_at(&file, &mut buffer, 9).unwrap(), 5);
        assert_eq!(&buffer, b"world");
        sync_directory(&private).unwrap();
        assert!(free_bytes(&private).unwrap() > 0);
    }
}
