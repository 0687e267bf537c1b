//! A certificate from files, read again when they change.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::TlsError;
use super::certificates::Certificates;
use super::pem::{Identity, PemProblem};

/// Between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Larger files are refused.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The two files.
#[derive(Debug, Clone)]
pub(super) struct Files {
    chain: PathBuf,
    key: PathBuf,
}

/// What tells that a file is another one.
type Stamp = Option<lf_platform::Stamp>;

impl Files {
    pub(super) fn new(chain: &Path, key: &Path) -> Self {
        Files { chain: chain.to_owned(), key: key.to_owned() }
    }

    /// The state of both files now.
    pub(super) fn stamp(&self) -> [Stamp; 2] {
        [&self.chain, &self.key].map(|path| lf_platform::stamp(path))
    }

    /// Reads both.
    pub(super) fn load(&self) -> Result<Identity, TlsError> {
        let chain = read(&self.chain)?;
        let key = read(&self.key)?;
        if std::fs::metadata(&self.key).is_ok_and(|m| lf_platform::everybody_can_read(&m)) {
            warn!(path = %self.key.display(), "every user of this machine can read the key: chmod o= it");
        }
        let content = |path: &Path, problem| TlsError::Content { path: path.to_owned(), problem };
        Identity::parse(&chain, &key).map_err(|problem| match problem {
            PemProblem::Chain(problem) => content(&self.chain, problem),
            PemProblem::Key(problem) => content(&self.key, problem),
            PemProblem::Mismatch => TlsError::Mismatch { chain: self.chain.clone(), key: self.key.clone() },
        })
    }
}

/// Reads a file of bounded size, which may hold a key.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let failed = |source| TlsError::File { path: path.to_owned(), source };
    // All at once: a buffer that grows would leave parts of a key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX as usize + 1));
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let problem = format!("it is larger than {FILE_BYTES_MAX} bytes");
        return Err(TlsError::Content { path: path.to_owned(), problem });
    }
    Ok(bytes)
}

/// Installs what the files hold whenever they change, or when told to look. What is wrong is noted, and what was served
/// before goes on being served. `seen` is the files' state that is installed already.
pub(super) async fn watch(
    files: Files,
    mut seen: [Stamp; 2],
    certificates: Arc<Certificates>,
    reload: Arc<Notify>,
) {
    loop {
        let asked = tokio::time::timeout(LOOK_EVERY, reload.notified()).await.is_ok();
        let (of_files, before) = (files.clone(), seen);
        // A file system may take its time.
        let look = tokio::task::spawn_blocking(move || {
            // Before they are read: what is written meanwhile is seen the next time.
            let stamp = of_files.stamp();
            (stamp, (asked || stamp != before).then(|| of_files.load()))
        });
        let Ok((stamp, loaded)) = look.await else { continue };
        seen = stamp;
        match loaded {
            None => {}
            Some(Ok(identity)) => {
                info!(not_after = identity.not_after, "certificate for HTTPS read again");
                certificates.install(identity);
            }
            Some(Err(error)) => certificates.note_problem(&error.to_string()),
        }
    }
}
