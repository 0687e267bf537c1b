//! Where what the disk engine lets go of is freed: on a thread of its own, while nobody waits.
//!
//! fjall (3.1.13) lets go of old versions of a keyspace under the lock that each read takes. Whatever only they hold is freed
//! there and then: a memtable, which is hundreds of thousands of allocations, or the files of tables that were merged.
//! Reads waited for that, 30 to 140 ms. So this thread has its share in memtables and versions for as long as the engine
//! has, and a moment longer.
//!
//! Nothing here changes what is stored.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use fjall::{AbstractTree, Keyspace};

use super::Keyspaces;

/// How often to look while there are changes. A memtable takes some ten times as long to fill.
const LOOK: Duration = Duration::from_millis(50);
/// How often to look whether there are.
const LOOK_IDLE: Duration = Duration::from_secs(1);

/// The thread. Dropping it frees what is left and waits for that.
pub(super) struct Releaser {
    changed: Arc<AtomicBool>,
    /// There until it is dropped.
    thread: Option<(SyncSender<()>, JoinHandle<()>)>,
}

impl Releaser {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(keyspaces: Keyspaces) -> std::io::Result<Self> {
        let changed = Arc::new(AtomicBool::new(true));
        let (stop, stopped) = sync_channel(1);
        let seen = Arc::clone(&changed);
        let run = move || {
            let mut shares = keyspaces.all().map(share_in);
            let mut busy = true;
            while stopped.recv_timeout(if busy { LOOK } else { LOOK_IDLE }) == Err(RecvTimeoutError::Timeout)
            {
                busy = seen.swap(false, Ordering::Relaxed);
                for look in &mut shares {
                    busy |= look();
                }
            }
        };
        let thread = std::thread::Builder::new().name("lf-release".to_owned()).spawn(run)?;
        Ok(Releaser { changed, thread: Some((stop, thread)) })
    }

    /// Something was written.
    pub(super) fn changed(&self) {
        self.changed.store(true, Ordering::Relaxed);
    }
}

impl Drop for Releaser {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.thread.take() {
            drop(stop);
            // One that hit a bug is gone all the same.
            let _ = thread.join();
        }
    }
}

/// Takes a share in a keyspace's memtables and versions, looks for new ones each time it is called, and gives up those that the
/// engine has let go of. Tells whether there was any of that.
fn share_in(keyspace: &Keyspace) -> impl FnMut() -> bool + use<> {
    let keyspace = keyspace.clone();
    let mut memtables = Vec::new();
    let mut versions = VecDeque::new();
    move || {
        let mut changed = false;
        let memtable = keyspace.tree.active_memtable();
        if !memtables.iter().any(|share| Arc::ptr_eq(share, &memtable)) {
            memtables.push(memtable);
            changed = true;
        }
        let shares = memtables.len();
        memtables.retain(|share| Arc::strong_count(share) > 1);
        changed |= memtables.len() < shares;

        let version = keyspace.tree.current_version();
        // It lets go of the oldest first, and their ids have no gaps. Versions between two of ours may hold what the earlier
        // one does, so that goes when they are gone, too.
        let oldest = version.id().saturating_sub(keyspace.tree.version_free_list_len() as u64);
        if versions.back().is_none_or(|(id, _)| *id != version.id()) {
            versions.push_back((version.id(), version));
            changed = true;
        }
        while versions.get(1).is_some_and(|(next, _)| *next <= oldest) {
            versions.pop_front();
            changed = true;
        }
        changed
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{DiskEngine, Engine};
    use super::*;

    #[test]
    fn merged_tables_are_kept_until_the_next_look_and_not_longer() {
        let directory = tempfile::tempdir().unwrap();
        let mut engine = DiskEngine::open(&directory.path().join("index")).unwrap();
        // The test looks, no thread does.
        drop(engine.releaser.take());
        let keyspace = engine.opened().unwrap().keyspaces.others.clone();
        let tables = || std::fs::read_dir(keyspace.path().join("tables")).unwrap().count();
        let mut look = share_in(&keyspace);
        let mut released = 0;
        for round in 0..20u8 {
            let change = |n: u8| (vec![b'h', n], Some(vec![round; 1_000]));
            engine.commit((0..100).map(change).collect()).unwrap();
            drop(engine.snapshot());
            let before = tables();
            engine.compact().unwrap();
            assert!(tables() >= before, "round {round}: the engine removed what there is a share in");
            let kept = tables();
            look();
            released += usize::from(tables() < kept);
        }
        assert!(released > 10 && tables() <= 8, "{released} times, {} left", tables());
    }
}
