//! Being an oracle (`--oracle`, NODE.md §8): watches what becomes linked, says what collides, and puts the processor's
//! spare time into commentary records, whose weight helps what the node thinks well of.
//!
//! What it takes is bounded: one thread less than the machine has (at least one), of the lowest priority, so that
//! requests, queries and the store come first; 128 MiB while it searches; one record in five minutes, but for those that
//! say something. Searches are stepped and end within milliseconds of being told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lf_proto::owner::{OwnerPublic, OwnerSecret};
use lf_proto::work::{Progress, Search, Work};
use tracing::{debug, error, info, warn};

use super::RunError;
use crate::core::oracle::{Notes, Surroundings, affordable_difficulty};
use crate::failure::Failure;
use crate::p2p::P2pHandle;
use crate::{Node, OracleStatus};

/// Between two looks at what became linked.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Between two records that say nothing.
const RECORD_EVERY: Duration = Duration::from_secs(300);
/// After a failure.
const RETRY_AFTER: Duration = Duration::from_secs(60);
/// Memory for a search.
const SEARCH_BYTES_MAX: usize = 128 << 20;

/// What an oracle needs.
pub(super) struct OracleParts {
    pub(super) node: Node,
    /// Whose commentary it is: the node's identity.
    pub(super) owner: OwnerSecret,
    pub(super) p2p: Option<P2pHandle>,
    /// Whether many old records are being read in.
    pub(super) importing: Option<Arc<AtomicBool>>,
}

/// A running oracle.
#[derive(Debug)]
pub(super) struct Oracle {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

/// Threads that an oracle of this machine searches with.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |all| all.get().saturating_sub(1).max(1))
}

/// What a node tells of its oracle.
pub(super) fn status(owner: &OwnerPublic) -> OracleStatus {
    OracleStatus { owner: *owner, threads: threads() }
}

impl Oracle {
    /// Begins.
    pub(super) fn start(parts: OracleParts) -> Result<Self, RunError> {
        let (stop, stopped) = channel();
        let owner = *parts.owner.public();
        info!(
            %owner, threads = threads(),
            "this node is an oracle: threads of the lowest priority work on commentary"
        );
        let watch = Watch {
            notes: Notes::new(owner),
            parts,
            stopped,
            wait_until: None,
            last_begun: None,
            hashes_per_sec: None,
            forgotten_told: 0,
            problem_told: String::new(),
        };
        let thread = std::thread::Builder::new()
            .name("lf-oracle".to_owned())
            .spawn(move || watch.run())
            .map_err(|source| RunError::System { action: "start a thread", source })?;
        Ok(Oracle { stop, thread })
    }

    /// Ends it at once; what was noticed and not said is forgotten.
    pub(super) fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            error!("the oracle hit a bug");
        }
    }
}

/// How a search ended.
enum Searched {
    Found(Work),
    /// There is something to say, which is more urgent.
    Interrupted,
    Stopped,
}

struct Watch {
    parts: OracleParts,
    notes: Notes,
    stopped: Receiver<()>,
    /// Nothing is published before: something failed.
    wait_until: Option<Instant>,
    /// When the last record that says nothing was begun.
    last_begun: Option<Instant>,
    /// How fast the last search was.
    hashes_per_sec: Option<f64>,
    forgotten_told: u64,
    /// Why the last record was not published.
    problem_told: String,
}

impl Watch {
    fn run(mut self) {
        while !self.stops_within(LOOK_EVERY) {
            self.observe();
            if self.wait_until.is_some_and(|until| Instant::now() < until) {
                continue;
            }
            let speaks = self.notes.waiting() > 0;
            let due = self.notes.is_witness()
                && self.last_begun.is_none_or(|begun| begun.elapsed() >= RECORD_EVERY);
            if (speaks || due)
                && let Err(problem) = self.publish(speaks)
            {
                let problem = problem.message;
                if self.problem_told != problem {
                    warn!(problem, "the oracle cannot publish; it tries again every minute");
                    self.problem_told = problem;
                }
                self.wait_until = Some(Instant::now() + RETRY_AFTER);
            }
        }
    }

    fn stops_within(&self, time: Duration) -> bool {
        self.stopped.recv_timeout(time) != Err(RecvTimeoutError::Timeout)
    }

    fn observe(&mut self) {
        let surroundings = self.surroundings();
        let was_witness = self.notes.is_witness();
        loop {
            match self.notes.observe(&self.parts.node.reader().view(), surroundings) {
                Ok(true) => break,
                Ok(false) => {}
                // The store mends itself and says so.
                Err(error) => {
                    debug!(%error, "the oracle cannot read the index");
                    break;
                }
            }
        }
        match (was_witness, self.notes.is_witness()) {
            (false, true) => info!("the oracle bears witness from now on"),
            (true, false) => {
                info!("the oracle bears no witness until the node has peers and is synchronized");
            }
            _ => {}
        }
        let forgotten = self.notes.forgotten();
        if forgotten > self.forgotten_told {
            self.forgotten_told = forgotten;
            warn!(forgotten, "more records collide than the oracle can tell of");
        }
    }

    fn surroundings(&self) -> Surroundings {
        if self.parts.importing.as_ref().is_some_and(|importing| importing.load(Ordering::Relaxed)) {
            return Surroundings::Importing;
        }
        self.parts.p2p.as_ref().map_or(Surroundings::Alone, |p2p| {
            let sync = p2p.sync();
            Surroundings::Network { peers: sync.peers, synchronized: sync.synchronized }
        })
    }

    /// Publishes a record: one that says what there is to say, with the work it needs; or one that says nothing, with
    /// all the work that can be done until the next.
    fn publish(&mut self, speaks: bool) -> Result<(), Failure> {
        let begun = Instant::now();
        if !speaks {
            self.last_begun = Some(begun);
        }
        let value_bytes_max = self.parts.node.reader().parameters().record_max_value_size;
        let (value, told) = if speaks { self.notes.value(value_bytes_max) } else { (Vec::new(), 0) };
        if speaks && told == 0 {
            warn!("this network's values are too small for comments");
            self.notes.forget(usize::MAX);
            return Ok(());
        }
        let draft = self.parts.node.draft_commentary(&self.parts.owner, &value)?;
        let work = match draft.required {
            // Where no work is needed, a record that says nothing is worth nothing.
            None if !speaks => return Ok(()),
            None => None,
            Some(required) => {
                let affordable =
                    self.hashes_per_sec.filter(|_| !speaks).map(|speed| speed * RECORD_EVERY.as_secs_f64());
                let difficulty =
                    affordable_difficulty(affordable.unwrap_or(0.0) as u64, required, SEARCH_BYTES_MAX);
                let failed = |e: &dyn std::fmt::Display| Failure::internal(format!("no work: {e}"));
                let search = draft.search(difficulty, SEARCH_BYTES_MAX).map_err(|e| failed(&e))?;
                match self.search(&search, speaks).map_err(|e| failed(&e))? {
                    Searched::Found(work) => Some(work),
                    Searched::Interrupted | Searched::Stopped => return Ok(()),
                }
            }
        };
        let hash = self.parts.node.publish_commentary(&self.parts.owner, draft, work)?;
        self.problem_told.clear();
        let difficulty = work.map(|work| work.difficulty());
        let took = begun.elapsed();
        if speaks {
            self.notes.forget(told);
            info!(record = %hash, collisions = told, ?took, "the oracle told of collisions");
        } else {
            debug!(record = %hash, difficulty, ?took, "the oracle published work");
        }
        Ok(())
    }

    /// Searches on all threads that an oracle may have, and goes on observing meanwhile.
    fn search(&mut self, search: &Search<'_>, speaks: bool) -> std::io::Result<Searched> {
        let begun = Instant::now();
        let cancel = AtomicBool::new(false);
        let work = |done: Sender<()>| {
            lf_platform::lower_priority(lf_platform::NICENESS_LEAST);
            let mut worker = search.worker();
            while !cancel.load(Ordering::Relaxed) {
                if worker.step() != Progress::Searching {
                    break;
                }
            }
            drop(done);
        };
        let ended = std::thread::scope(|scope| {
            let (done, ends) = channel::<()>();
            for number in 0..threads() {
                let (work, done) = (&work, done.clone());
                let name = format!("lf-oracle-{number}");
                if let Err(e) = std::thread::Builder::new().name(name).spawn_scoped(scope, move || work(done))
                {
                    cancel.store(true, Ordering::Relaxed);
                    return Err(e);
                }
            }
            drop(done);
            let ended = loop {
                if ends.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Disconnected) {
                    break Searched::Stopped;
                }
                if self.stops_within(Duration::ZERO) {
                    break Searched::Stopped;
                }
                self.observe();
                if !speaks && self.notes.waiting() > 0 {
                    break Searched::Interrupted;
                }
            };
            cancel.store(true, Ordering::Relaxed);
            Ok(ended)
        })?;
        if let Some(work) = search.found() {
            self.hashes_per_sec = Some(search.hashes_done() as f64 / begun.elapsed().as_secs_f64().max(1e-3));
            return Ok(Searched::Found(work));
        }
        Ok(ended)
    }
}
