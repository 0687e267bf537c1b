//! `bootstrap.lf`: records to start from, read in the background once the node runs, removed when they are all in.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::RunError;
use crate::{ImportReport, Node};

/// Between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// An import under way.
#[derive(Debug)]
pub(super) struct Bootstrap {
    cancel: Arc<AtomicBool>,
    reading: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Bootstrap {
    /// Begins if there is a file.
    pub(super) fn start(node: &Node, home: &Path) -> Result<Option<Self>, RunError> {
        let path = home.join("bootstrap.lf");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(RunError::File { action: "open", path, source }),
        };
        let cancel = Arc::new(AtomicBool::new(false));
        let reading = Arc::new(AtomicBool::new(true));
        let (node, flag, begun) = (node.clone(), cancel.clone(), reading.clone());
        let thread = std::thread::Builder::new()
            .name("lf-bootstrap".to_owned())
            .spawn(move || {
                // Queries come first.
                lf_platform::lower_priority(lf_store::WRITER_NICENESS);
                import(&node, file, &path, &flag);
                begun.store(false, Ordering::Relaxed);
            })
            .map_err(|source| RunError::System { action: "start a thread", source })?;
        Ok(Some(Bootstrap { cancel, reading, thread }))
    }

    /// True until it has ended.
    pub(super) fn reading(&self) -> Arc<AtomicBool> {
        self.reading.clone()
    }

    /// Stops it; what is in stays in, and the file stays for the next start.
    pub(super) fn stop(self) {
        self.cancel.store(true, Ordering::Relaxed);
        if self.thread.join().is_err() {
            error!("the import of bootstrap.lf hit a bug");
        }
    }
}

fn import(node: &Node, file: File, path: &Path, cancel: &AtomicBool) {
    let bytes = file.metadata().map_or(0, |m| m.len());
    info!(bytes, "importing bootstrap.lf");
    let started = Instant::now();
    let mut told = started;
    let mut progress = |done: crate::ImportProgress| {
        if told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            let percent = done.bytes_done.saturating_mul(100).checked_div(bytes).unwrap_or(100);
            info!(percent, records = done.records_done, "importing bootstrap.lf");
        }
    };
    match node.import(file, &mut progress, cancel) {
        Ok(report) => finish(&report, started.elapsed(), path),
        Err(error) => {
            error!(%error, "bootstrap.lf is not all in; it is kept, and read again at the next start");
        }
    }
}

fn finish(report: &ImportReport, elapsed: Duration, path: &Path) {
    let ImportReport { accepted, duplicates, refused, waiting, .. } = *report;
    if waiting > 0 {
        info!(waiting, "records of bootstrap.lf wait for their approval");
    }
    if report.cancelled {
        info!(accepted, duplicates, refused, "import of bootstrap.lf stopped; the next start goes on");
        return;
    }
    for refusal in &report.first_refusals {
        warn!("bootstrap.lf: {refusal}");
    }
    if refused > 0 {
        warn!(
            accepted,
            duplicates, refused, "bootstrap.lf is not all in; it is kept: remove it if that is well"
        );
        return;
    }
    info!(accepted, duplicates, ?elapsed, "bootstrap.lf is in");
    if let Err(error) = std::fs::remove_file(PathBuf::from(path)) {
        warn!(%error, "cannot remove bootstrap.lf");
    }
}
