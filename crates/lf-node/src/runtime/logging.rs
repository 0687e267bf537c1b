//! Logs: text or JSON, to `node.log` or stderr.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use super::{RunConfig, RunError};

/// A log file this large is put aside as `node.log.1`, in place of the one before.
const LOG_BYTES_MAX: u64 = 32 << 20;

/// Installs the logger for the whole process. A process that has one keeps it.
pub(super) fn install(config: &RunConfig, home: &Path) -> Result<(), RunError> {
    let writer = if config.log_stderr {
        BoxMakeWriter::new(io::stderr)
    } else {
        let path = home.join("node.log");
        let file = LogFile::open(path.clone(), LOG_BYTES_MAX);
        BoxMakeWriter::new(Mutex::new(file.map_err(|source| RunError::File {
            action: "open",
            path,
            source,
        })?))
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
    Ok(())
}

/// A file that is put aside when it is full, so that logs never fill the disk.
struct LogFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
}

impl LogFile {
    fn open(path: PathBuf, bytes_max: u64) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(LogFile { path, file, bytes, bytes_max })
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.bytes > 0 && self.bytes.saturating_add(line.len() as u64) > self.bytes_max {
            let aside = self.path.with_extension("log.1");
            if std::fs::rename(&self.path, aside).is_ok() {
                *self = LogFile::open(self.path.clone(), self.bytes_max)?;
            }
        }
        let written = self.file.write(line)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_full_log_is_put_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.log");
        std::fs::write(&path, "old\n").unwrap();
        let mut log = LogFile::open(path.clone(), 12).unwrap();
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\nfour\n");
        assert_eq!(std::fs::read_to_string(directory.path().join("node.log.1")).unwrap(), "old\none\ntwo\n");
    }
}
