//! Logs: text or JSON, to `node.log` or stderr.
//!
//! The file takes care of itself: it is put aside when it is large, opened again when somebody has moved or removed it,
//! and lines that the disk does not take are counted and forgotten: a node never stops for its log.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lf_platform::{private_file, same_file};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use super::{RunConfig, RunError};

/// A log file that would become larger is put aside as `node.log.1`, and those before become `node.log.2` and so on.
const LOG_BYTES_MAX: u64 = 64 << 20;
/// Files put aside that are kept.
const OLD_FILES_MAX: u32 = 4;

/// Lines that could not be written.
static LINES_LOST: AtomicU64 = AtomicU64::new(0);

/// How many lines of `node.log` were lost since the process started, as where the disk is full.
pub(super) fn lines_lost() -> u64 {
    LINES_LOST.load(Ordering::Relaxed)
}

/// Installs the logger for the whole process. A process that has one keeps it. Gives the file, if logs go to one.
pub(super) fn install(config: &RunConfig, home: &Path) -> Result<Option<LogHandle>, RunError> {
    let (writer, handle) = if config.log_stderr {
        (BoxMakeWriter::new(io::stderr), None)
    } else {
        let path = home.join("node.log");
        let failed = |source| RunError::File { action: "open", path: path.clone(), source };
        let file = LogFile::open(path.clone(), LOG_BYTES_MAX, config.log_json).map_err(failed)?;
        let handle = LogHandle(Arc::new(Mutex::new(file)));
        let of_writer = handle.clone();
        (BoxMakeWriter::new(move || of_writer.clone()), Some(handle))
    };
    let builder = fmt().with_max_level(config.log_level).with_ansi(false).with_writer(writer);
    // The libraries under the peer-to-peer shell tell every heartbeat.
    let theirs =
        if config.log_level == tracing::Level::TRACE { LevelFilter::TRACE } else { LevelFilter::ERROR };
    let libraries = ["libp2p", "multistream_select", "yamux", "Swarm"];
    let targets = Targets::new().with_default(config.log_level);
    let targets = targets.with_targets(libraries.map(|name| (name, theirs)));
    let installed = if config.log_json {
        tracing::subscriber::set_global_default(builder.json().flatten_event(true).finish().with(targets))
    } else {
        tracing::subscriber::set_global_default(builder.finish().with(targets))
    };
    if installed.is_err() {
        tracing::debug!("a logger is installed already");
    }
    Ok(handle)
}

/// The log file, shared with those who write lines.
#[derive(Clone)]
pub(super) struct LogHandle(Arc<Mutex<LogFile>>);

impl LogHandle {
    /// Opens the file again, whatever became of it.
    pub(super) fn reopen(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).reopen();
    }
}

impl Write for LogHandle {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).line(line);
        // Whatever happened to it: there is nobody who could do more about it.
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct LogFile {
    path: PathBuf,
    /// None where it could not be opened the last time.
    file: Option<File>,
    /// Its length, as far as we know; from here on it grows by `bytes_max` at most.
    bytes: u64,
    bytes_max: u64,
    json: bool,
    /// Lines lost since the last that was written, and why the last of them was.
    lost: u64,
    problem: String,
    /// The file may end in a part of a line.
    is_torn: bool,
}

impl LogFile {
    /// Opens the file. A full disk is no hindrance: it is opened when there is space.
    fn open(path: PathBuf, bytes_max: u64, json: bool) -> io::Result<Self> {
        let mut log = LogFile {
            path,
            file: None,
            bytes: 0,
            bytes_max,
            json,
            lost: 0,
            problem: String::new(),
            is_torn: false,
        };
        match log.try_open() {
            Err(e) if !matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                Err(e)
            }
            _ => Ok(log),
        }
    }

    fn try_open(&mut self) -> io::Result<()> {
        self.file = None;
        let file = private_file(OpenOptions::new().append(true).create(true)).open(&self.path)?;
        self.bytes = file.metadata()?.len();
        self.is_torn = false;
        self.file = Some(file);
        Ok(())
    }

    fn reopen(&mut self) {
        if let Err(e) = self.try_open() {
            self.problem = e.to_string();
        }
    }

    /// Writes a line, if it can be written.
    fn line(&mut self, line: &[u8]) {
        // Looked at each time: whoever moves the file away (logrotate) has nothing to tell us.
        match &self.file {
            Some(file) if same_file(file, &self.path) => {
                // Somebody may have emptied it (copytruncate); as it is open for appending, nothing else is to do.
                self.bytes = file.metadata().map_or(self.bytes, |m| m.len().min(self.bytes));
            }
            _ => self.reopen(),
        }
        if self.bytes > 0 && self.bytes.saturating_add(line.len() as u64) > self.bytes_max {
            self.put_aside();
        }
        match self.try_line(line) {
            Ok(()) => (self.lost, self.problem) = (0, String::new()),
            Err(e) => {
                self.lost += 1;
                LINES_LOST.fetch_add(1, Ordering::Relaxed);
                if self.file.is_some() {
                    self.problem = e.to_string();
                }
            }
        }
    }

    fn try_line(&mut self, line: &[u8]) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::NotFound.into()) };
        let mut text = Vec::new();
        if self.is_torn {
            text.push(b'\n');
        }
        if self.lost > 0 {
            let (lost, problem) = (self.lost, self.problem.as_str());
            if self.json {
                let note = serde_json::json!({
                    "level": "WARN", "message": "lines of the log were lost here", "count": lost, "problem": problem,
                });
                text.extend_from_slice(format!("{note}\n").as_bytes());
            } else {
                text.extend_from_slice(
                    format!("WARN {lost} lines of the log were lost here: {problem}\n").as_bytes(),
                );
            }
        }
        text.extend_from_slice(line);
        // A part may have been written, however it ends.
        self.is_torn = true;
        file.write_all(&text)?;
        self.is_torn = false;
        self.bytes = self.bytes.saturating_add(text.len() as u64);
        Ok(())
    }

    /// Renames the file and those put aside before, drops the oldest, and opens a new one.
    fn put_aside(&mut self) {
        for n in (1..OLD_FILES_MAX).rev() {
            let _ = std::fs::rename(self.old(n), self.old(n + 1));
        }
        match std::fs::rename(&self.path, self.old(1)) {
            Ok(()) => self.reopen(),
            // It goes on in the same file, and this is tried again when as much has been written once more.
            Err(_) => self.bytes = 0,
        }
    }

    fn old(&self, n: u32) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{n}"));
        PathBuf::from(name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_full_log_is_put_aside_and_four_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.log");
        std::fs::write(&path, "old\n").unwrap();
        let mut log = LogFile::open(path.clone(), 12, false).unwrap();
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            log.line(line.as_bytes());
        }
        assert_eq!(text(&path), "three\nfour\n");
        assert_eq!(text(&log.old(1)), "old\none\ntwo\n");
        for n in 0..20 {
            log.line(format!("{n:011}\n").as_bytes());
        }
        assert_eq!(text(&path), "00000000019\n");
        assert_eq!(text(&log.old(4)), "00000000015\n");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 5);
        assert!(lf_platform::is_private(&path).unwrap());
    }

    #[test]
    fn who_moves_removes_or_empties_the_file_needs_to_tell_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (directory.path().join("node.log"), directory.path().join("moved"));
        let mut log = LogFile::open(path.clone(), 20, false).unwrap();
        log.line(b"one\n");
        std::fs::rename(&path, &moved).unwrap();
        log.line(b"two\n");
        assert_eq!((text(&moved), text(&path)), ("one\n".to_owned(), "two\n".to_owned()));
        std::fs::remove_file(&path).unwrap();
        log.line(b"three\n");
        assert_eq!(text(&path), "three\n");
        // What was there before it was emptied does not count.
        log.line(b"0123456789\n");
        File::create(&path).unwrap();
        log.line(b"four\n");
        log.line(b"0123456789\n");
        assert_eq!(text(&path), "four\n0123456789\n");
        assert!(!log.old(1).exists());
        log.reopen();
        log.line(b"5\n");
        assert_eq!(text(&path), "four\n0123456789\n5\n");
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_said_later() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("home");
        std::fs::create_dir(&home).unwrap();
        for json in [false, true] {
            let path = home.join(format!("{json}.log"));
            let mut log = LogFile::open(path.clone(), 1000, json).unwrap();
            let away = directory.path().join("away");
            std::fs::rename(&home, &away).unwrap();
            log.line(b"one\n");
            log.line(b"two\n");
            assert_eq!(log.lost, 2);
            std::fs::rename(&away, &home).unwrap();
            log.line(b"three\n");
            let text = text(&path);
            let (note, line) = text.split_once('\n').unwrap();
            assert_eq!((line, log.lost), ("three\n", 0));
            if json {
                let note: serde_json::Value = serde_json::from_str(note).unwrap();
                assert_eq!(note["count"], 2, "{note}");
            } else {
                assert!(note.starts_with("WARN 2 lines of the log were lost here: "), "{note}");
            }
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_stops_nobody() {
        let full = Path::new("/dev/full");
        let mut log = LogFile::open(full.to_owned(), 1000, false).unwrap();
        log.line(b"lost\n");
        assert_eq!((log.lost, log.is_torn), (1, true));
        assert!(log.problem.contains("space"), "{}", log.problem);
        // Space again: the next line does not begin in the middle of another.
        let directory = tempfile::tempdir().unwrap();
        log.path = directory.path().join("node.log");
        std::fs::write(&log.path, "half a li").unwrap();
        log.file = Some(OpenOptions::new().append(true).open(&log.path).unwrap());
        log.line(b"there\n");
        let text = text(&log.path);
        assert!(text.starts_with("half a li\nWARN 1 lines") && text.ends_with("\nthere\n"), "{text}");
    }
}
