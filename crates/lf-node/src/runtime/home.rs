//! The home directory, and the lock that keeps a second node out of it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use lf_platform::{private_directory, same_file};
use lf_proto::genesis::{GENESIS_BYTES_MAX, Genesis};

use super::RunError;
use crate::p2p::Target;

/// Bytes of `seeds` that are read: far more than 64 lines, which are used.
const SEEDS_BYTES_MAX: u64 = 64 << 10;

/// A home that is ours while this lives.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    /// Locked. The system gives the lock free when the process ends, however it ends.
    _lock: File,
}

impl Home {
    /// Makes the directory if there is none, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, RunError> {
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| RunError::File { action, path, source }
        };
        private_directory().recursive(true).create(path).map_err(failed("make the home", path))?;
        let pid_path = path.join("lf.pid");
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&pid_path)
                .map_err(failed("open", &pid_path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut text = String::new();
                    let _ = (&mut file).take(32).read_to_string(&mut text);
                    let pid =
                        text.trim().parse::<u32>().map(|pid| format!(" (pid {pid})")).unwrap_or_default();
                    return Err(RunError::Locked { path: path.to_owned(), pid });
                }
                Err(TryLockError::Error(source)) => return Err(failed("lock", &pid_path)(source)),
            }
            // A node that stops removes the file: the one we locked may be no longer the one that others see.
            if !same_file(&file, &pid_path) {
                continue;
            }
            let write = |file: &mut File| {
                file.set_len(0)?;
                file.rewind()?;
                writeln!(file, "{}", std::process::id())
            };
            write(&mut file).map_err(failed("write", &pid_path))?;
            return Ok(Home { path: path.to_owned(), _lock: file });
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The network of `genesis.lf`, else the built-in one.
    pub(super) fn genesis(&self) -> Result<Genesis, RunError> {
        let path = self.path.join("genesis.lf");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(crate::sol()),
            Err(source) => return Err(RunError::File { action: "open", path, source }),
        };
        let mut bytes = Vec::new();
        if let Err(source) = file.take(GENESIS_BYTES_MAX as u64 + 1).read_to_end(&mut bytes) {
            return Err(RunError::File { action: "read", path, source });
        }
        Genesis::parse(&bytes).map_err(|source| RunError::Genesis { path, source })
    }

    /// Where to connect to first: the lines of `seeds`, if there is such a file, without empty ones and comments.
    pub(super) fn seeds(&self) -> Result<Vec<Target>, RunError> {
        let path = self.path.join("seeds");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(RunError::File { action: "open", path, source }),
        };
        let mut text = String::new();
        if let Err(source) = file.take(SEEDS_BYTES_MAX).read_to_string(&mut text) {
            return Err(RunError::File { action: "read", path, source });
        }
        let mut seeds = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let place = text.split('#').next().unwrap_or_default().trim();
            if !place.is_empty() {
                let seed = place.parse();
                seeds.push(seed.map_err(|source| RunError::Seeds { path: path.clone(), line, source })?);
            }
        }
        Ok(seeds)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.path.join("lf.pid"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_home_is_one_nodes_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/home");
        let home = Home::open(&path).unwrap();
        assert!(lf_platform::is_private(&path).unwrap());
        let pid_path = path.join("lf.pid");
        assert_eq!(std::fs::read_to_string(&pid_path).unwrap(), format!("{}\n", std::process::id()));
        let message = Home::open(&path).unwrap_err().to_string();
        assert!(message.contains(&format!("pid {}", std::process::id())), "{message}");
        drop(home);
        assert!(!pid_path.exists());
        // What a killed node leaves is no hindrance.
        std::fs::write(&pid_path, "99999999\n").unwrap();
        drop(Home::open(&path).unwrap());
    }

    #[test]
    fn seeds_are_lines_of_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path()).unwrap();
        assert_eq!(home.seeds().unwrap(), []);
        let path = directory.path().join("seeds");
        std::fs::write(&path, "# ours\n\none.example.org:9908  # in Oslo\n [2001:db8::1]:5\n").unwrap();
        let seeds: Vec<String> = home.seeds().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(seeds, ["one.example.org:9908", "[2001:db8::1]:5"]);
        std::fs::write(&path, "one.example.org\na b\n").unwrap();
        let message = home.seeds().unwrap_err().to_string();
        assert!(message.contains("seeds, line 2: it is neither"), "{message}");
    }

    #[test]
    fn without_genesis_lf_the_network_is_the_built_in_one() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path()).unwrap();
        assert_eq!(home.genesis().unwrap(), crate::sol());
        std::fs::write(directory.path().join("genesis.lf"), b"junk").unwrap();
        assert!(matches!(home.genesis(), Err(RunError::Genesis { .. })));
        std::fs::write(directory.path().join("genesis.lf"), crate::sol().to_bytes()).unwrap();
        assert_eq!(home.genesis().unwrap(), crate::sol());
    }
}
