//! Limbo of a running node: a thread that tries records again when something that may approve them becomes linked, and
//! keeps what waits in a file, so that a restart forgets nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lf_proto::cert::{self, Certificate};
use lf_proto::hash::Hash;
use lf_proto::owner::OwnerPublic;
use lf_proto::record::RecordType;
use lf_store::{Put, View};

use super::{Inner, Node, now};

use crate::core::accept::{Refusal, Unapproved, may_be_approved};
use crate::core::limbo::{self, Limbo, Source, Waiting};
use crate::verifier::{BATCH_RECORDS, Lane};

/// The file in the node's home.
const FILE: &str = "limbo.lf";
/// The file is written so often, at most.
const SAVE_EVERY: Duration = Duration::from_secs(30);
/// How long the thread sleeps if nothing happens.
const IDLE: Duration = Duration::from_secs(30);
/// Records that are looked at, or tried again, at a time.
const PORTION: usize = 1_024;
/// Owners with new certificates that are looked for one by one.
const NEWS_OWNERS_MAX: usize = 1_000;
/// How long to wait after records could not be stored.
const RETRY: Duration = Duration::from_secs(5);

/// What the thread is told.
#[derive(Debug, Default)]
struct Told {
    /// Something became linked, or waits since a moment ago.
    nudged: bool,
    closed: bool,
}

/// Wakes the thread.
#[derive(Debug, Default)]
pub(super) struct Signal {
    told: Mutex<Told>,
    changed: Condvar,
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There may be something to do. Quick.
    pub(super) fn nudge(&self) {
        self.lock().nudged = true;
        self.changed.notify_all();
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Sleeps until there is something to do, or `time_max`; false at the end. `patient`: a nudge does not wake it.
    fn wait(&self, time_max: Duration, patient: bool) -> bool {
        let until = Instant::now() + time_max;
        let mut told = self.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if told.closed || left.is_zero() || (told.nudged && !patient) {
                told.nudged = false;
                return !told.closed;
            }
            told = self.changed.wait_timeout(told, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What waits, and the thread that tries it again.
#[derive(Debug)]
pub(super) struct Keeper {
    state: Mutex<Limbo>,
    signal: Arc<Signal>,
    thread: Mutex<Option<JoinHandle<()>>>,
    path: PathBuf,
    /// The version that the file has.
    saved: Mutex<u64>,
}

impl Keeper {
    /// What a home's file holds; junk in it is no hindrance.
    pub(super) fn load(home: &Path, signal: Arc<Signal>) -> Self {
        let path = home.join(FILE);
        let mut state = Limbo::default();
        for waiting in limbo::from_bytes(&std::fs::read(&path).unwrap_or_default()) {
            state.insert(waiting);
        }
        state.expire(now());
        let saved = Mutex::new(state.version());
        Keeper { state: Mutex::new(state), signal, thread: Mutex::new(None), path, saved }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, Limbo> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the file if it is not what waits.
    fn save(&self) {
        let (version, bytes) = {
            let state = self.state();
            if state.version() == *self.saved.lock().unwrap_or_else(PoisonError::into_inner) {
                return;
            }
            (state.version(), if state.is_empty() { Vec::new() } else { limbo::to_bytes(&state) })
        };
        match replace(&self.path, &bytes) {
            Ok(()) => *self.saved.lock().unwrap_or_else(PoisonError::into_inner) = version,
            Err(e) => {
                tracing::warn!("cannot write {}: {e}; a restart forgets what waits", self.path.display());
            }
        }
    }

    /// Stops the thread and writes the file.
    pub(super) fn stop(&self) {
        self.signal.close();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // One that hit a bug has said so.
            let _ = thread.join();
        }
        self.save();
    }
}

/// Whoever drops the last handle of a node does not wait for the thread: it ends by itself.
impl Drop for Keeper {
    fn drop(&mut self) {
        self.signal.close();
    }
}

/// Puts a file in another's place whole, or removes it if there is nothing to keep.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if bytes.is_empty() {
        return match std::fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        };
    }
    lf_platform::replace(path, &[bytes])
}

impl Node {
    /// Starts the thread.
    pub(super) fn start_limbo(&self) -> std::io::Result<()> {
        let keeper = &self.inner.limbo;
        let trying = Trying {
            inner: Arc::downgrade(&self.inner),
            signal: Arc::clone(&keeper.signal),
            looked_at: None,
            linked: self.inner.reader.view().linked(),
            saved_at: Instant::now(),
        };
        let thread = std::thread::Builder::new().name("lf-limbo".to_owned()).spawn(move || trying.run())?;
        *keeper.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// How many records wait for their approval.
    pub fn limbo_count(&self) -> usize {
        self.inner.limbo.state().len()
    }

    /// A number that is another after every change of what waits for approval.
    pub fn limbo_version(&self) -> u64 {
        self.inner.limbo.state().version()
    }

    /// Timestamps and hashes of all records that wait for their approval.
    pub fn limbo_records(&self) -> Vec<(u64, Hash)> {
        let state = self.inner.limbo.state();
        state.iter().map(|waiting| (waiting.record.timestamp(), waiting.record.hash())).collect()
    }

    /// Whether a record waits for its approval.
    pub(super) fn is_in_limbo(&self, hash: &Hash) -> bool {
        self.inner.limbo.state().contains(hash)
    }

    /// Has a record wait that nothing but its approval is missing of.
    pub(super) fn wait_for_approval(&self, unapproved: Unapproved, source: Source) {
        let waiting = Waiting { record: unapproved.record, source, since_secs: now() };
        if self.inner.limbo.state().insert(waiting) {
            // What it waits for may have come while it was checked.
            self.inner.limbo.signal.nudge();
        }
    }
}

/// The thread.
struct Trying {
    inner: Weak<Inner>,
    signal: Arc<Signal>,
    /// The order of arrival of the last record that was looked at.
    looked_at: Option<u64>,
    /// Linked records whose meaning has been seen.
    linked: u32,
    saved_at: Instant,
}

impl Trying {
    fn run(mut self) {
        let mut stored = true;
        loop {
            let time_max = if stored { IDLE } else { RETRY };
            if stored && self.looked_at.is_none() && self.inner.upgrade().is_some_and(has_any) {
                // What came with the file is looked at once.
            } else if !self.signal.wait(time_max, !stored) {
                return;
            }
            let Some(inner) = self.inner.upgrade() else { return };
            stored = self.look(&Node { inner });
        }
    }

    /// Tries what may be approved now. False if it could not be stored.
    fn look(&mut self, node: &Node) -> bool {
        let keeper = &node.inner.limbo;
        if self.saved_at.elapsed() >= SAVE_EVERY {
            keeper.state().expire(now());
            keeper.save();
            self.saved_at = Instant::now();
        }
        let view = node.inner.reader.view();
        let from = std::mem::replace(&mut self.linked, view.linked());
        if keeper.state().is_empty() {
            return true;
        }
        let mut stored = true;
        match news(&view, from) {
            News::Owners(owners) => {
                for owner in owners {
                    let hashes = keeper.state().of_owner(&owner, usize::MAX);
                    for portion in hashes.chunks(PORTION) {
                        stored &= node.try_again(portion);
                    }
                }
            }
            News::All => self.looked_at = None,
        }
        drop(view);
        loop {
            let portion = keeper.state().after(self.looked_at, PORTION);
            let Some((last, _)) = portion.last() else { break };
            self.looked_at = Some(*last);
            let parameters = node.inner.reader.parameters();
            let rules = node.rules(&parameters);
            let hopeful: Vec<Hash> = portion
                .iter()
                .filter(|(_, record)| may_be_approved(record, &rules))
                .map(|(_, record)| record.hash())
                .collect();
            stored &= node.try_again(&hopeful);
            if !stored {
                break;
            }
        }
        stored
    }
}

/// Whom what became linked may approve.
enum News {
    Owners(BTreeSet<OwnerPublic>),
    All,
}

/// What records from index `from` on may approve: owners by their certificates, anybody by a new authority or an amendment.
fn news(view: &View, from: u32) -> News {
    let linked = |kind: RecordType| view.of_type_from(kind.id(), from);
    let mut owners = BTreeSet::new();
    let Ok(certificates) = linked(RecordType::Certificate) else { return News::All };
    if linked(RecordType::Genesis).map_or(true, |indexes| !indexes.is_empty()) {
        return News::All;
    }
    for index in certificates {
        let Ok(Some(row)) = view.row(index) else { return News::All };
        let plain = view.record(&row).and_then(|record| cert::plain_value(&record).ok());
        for certificate in Certificate::parse_all(&plain.unwrap_or_default()).unwrap_or_default() {
            if certificate.is_authority() || owners.len() >= NEWS_OWNERS_MAX {
                return News::All;
            }
            owners.extend(certificate.subject_owner());
        }
    }
    News::Owners(owners)
}

fn has_any(inner: Arc<Inner>) -> bool {
    !inner.limbo.state().is_empty()
}

impl Node {
    /// Checks records of limbo once more, all of what acceptance says, and stores those that are good. False if they
    /// could not be stored: they wait on.
    fn try_again(&self, hashes: &[Hash]) -> bool {
        let mut taken = self.inner.limbo.state().take(hashes);
        let mut all_stored = true;
        while !taken.is_empty() {
            let rest = taken.split_off(taken.len().min(BATCH_RECORDS));
            let batch = std::mem::replace(&mut taken, rest);
            all_stored &= self.try_batch(batch);
        }
        all_stored
    }

    fn try_batch(&self, batch: Vec<Waiting>) -> bool {
        let records = batch.iter().map(|waiting| waiting.record.clone()).collect();
        let mut back: Vec<Waiting> = Vec::new();
        let (mut puts, mut good): (Vec<Put>, Vec<Waiting>) = (Vec::new(), Vec::new());
        let mut stored = true;
        match self.inner.verifier.check(Lane::Import, records).recv() {
            Ok(verdicts) => {
                for (waiting, verdict) in batch.into_iter().zip(verdicts) {
                    match verdict {
                        Ok(verified) => {
                            puts.push(verified.into());
                            good.push(waiting);
                        }
                        Err(Refusal::Unapproved(_) | Refusal::WorkUndecided { .. }) => back.push(waiting),
                        Err(refusal) => self.inner.tally.refused(refusal.name()),
                    }
                }
            }
            // The node stops.
            Err(_) => {
                back = batch;
                stored = false;
            }
        }
        if !puts.is_empty() && self.settle(self.inner.writer.put(puts, Vec::new())).is_err() {
            back.append(&mut good);
            stored = false;
        }
        let mut state = self.inner.limbo.state();
        for waiting in back {
            state.insert(waiting);
        }
        stored
    }
}
