//! A node on one machine: the store, the rules and a clock put together. Every method is synchronous and may block for
//! disk or proof of work; shells call them from threads that may.

mod certificates;
mod graph;
mod import;
mod limbo;
mod make;
mod oracle;
mod peers;
mod read;
mod write;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_proto::owner::OwnerPublic;
use lf_proto::pulse::{Pulse, PulseChains};
use lf_proto::record::Record;
use lf_proto::selector::SelectorNames;
use lf_proto::work::{self, Table, TablePasses};
use lf_store::storage::DiskStorage;
use lf_store::{IndexPlace, Store, StoreError, StoreOptions, StoreReader, StoreWriter, WriterThread};

pub use self::import::{ImportProgress, ImportReport};
use self::limbo::{Keeper, Signal};
pub use self::oracle::OracleStatus;
pub use self::read::{Dump, WatchPlan};
use crate::core::Rules;
use crate::core::accept::{self, Verdict};
use crate::core::pulse::KnownPulses;
use crate::verifier::{Judge, Verifier};

/// Chains of pulses that are made here again and again, 8.2 KB each.
const PULSE_CHAINS_MAX: usize = 1_024;

/// Selector names that are kept for clients who tell theirs, up to 256 KB each.
const NAMES_MAX: usize = 16;

/// How to open a node.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// The directory that holds everything the node keeps; it must exist and be locked by the caller.
    pub home: PathBuf,
    /// The network.
    pub genesis: Genesis,
    /// Every record is approved: none needs work.
    pub local_test: bool,
}

/// A node that cannot be opened or closed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The directory is not usable.
    #[error("cannot use {path}: {problem}")]
    Home {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        problem: String,
    },
    /// The store does not open or close.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no threads.
    #[error("cannot start a thread: {0}")]
    Thread(String),
}

/// What a node has done since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records accepted (posted, made or imported) that were new.
    pub records_accepted: u64,
    /// Records that were stored before.
    pub records_duplicate: u64,
    /// Records refused, by error name.
    pub records_refused: Vec<(&'static str, u64)>,
    /// Queries answered.
    pub queries: u64,
    /// Pulses that were news.
    pub pulses_accepted: u64,
    /// Pulses that were not.
    pub pulses_refused: u64,
    /// Writes that failed on our side.
    pub store_errors: u64,
}

#[derive(Debug, Default)]
struct Tally {
    records_accepted: AtomicU64,
    records_duplicate: AtomicU64,
    records_refused: Mutex<BTreeMap<&'static str, u64>>,
    queries: AtomicU64,
    pulses_accepted: AtomicU64,
    pulses_refused: AtomicU64,
    store_errors: AtomicU64,
}

impl Tally {
    fn add(counter: &AtomicU64) {
        Tally::add_many(counter, 1);
    }

    fn add_many(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn refused(&self, name: &'static str) {
        *self.records_refused.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
    }
}

struct Inner {
    reader: StoreReader,
    writer: StoreWriter,
    thread: Mutex<Option<WriterThread>>,
    genesis: Genesis,
    rules: NodeRules,
    started: Instant,
    tally: Tally,
    verifier: Verifier,
    /// Where everything is kept.
    home: PathBuf,
    /// Pulses that are far from what is known are checked by one thread at a time.
    slow_pulses: Mutex<()>,
    known_pulses: Mutex<KnownPulses>,
    pulse_chains: PulseChains,
    limbo: Keeper,
    names: SelectorNames,
    /// Why writes are refused now; empty if they are not.
    read_only: Mutex<String>,
    /// Told of pulses that were accepted from clients.
    on_pulse: OnceLock<Box<dyn Fn(Pulse) + Send + Sync>>,
}

/// A node. Cheap to clone; all clones are the same node.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("local_test", &self.inner.rules.local_test).finish_non_exhaustive()
    }
}

/// Where a node in `home` keeps its store: log and checkpoint in `store/`, the index in `store/index/`.
///
/// # Errors
/// The directory cannot be used.
pub fn store_options(home: &std::path::Path, genesis: Genesis) -> Result<StoreOptions, NodeError> {
    let path = home.join("store");
    let problem = |problem: String| NodeError::Home { path: path.clone(), problem };
    let storage = DiskStorage::open(&path).map_err(|e| problem(e.to_string()))?;
    let mut log_id = [0; 16];
    getrandom::fill(&mut log_id).map_err(|e| problem(e.to_string()))?;
    Ok(StoreOptions::new(Arc::new(storage), IndexPlace::Disk(path.join("index")), genesis, log_id))
}

impl Node {
    /// Opens the node in its home and recovers whatever a crash left. Also returns what was recovered, a line each.
    /// `on_linked` is told which records became linked, by index, on a thread of the store's: it must be quick.
    ///
    /// # Errors
    /// The home cannot be used, or holds another network's records.
    pub fn open(
        config: NodeConfig,
        on_linked: impl Fn(Range<u32>) + Send + Sync + 'static,
    ) -> Result<(Node, Vec<String>), NodeError> {
        let options = store_options(&config.home, config.genesis.clone())?;
        let (store, report) = Store::open(options)?;
        let reader = store.reader();
        let rules = NodeRules {
            reader: reader.clone(),
            genesis_owner: *config.genesis.owner(),
            local_test: config.local_test,
        };
        let verifier = Verifier::start(rules.clone()).map_err(|e| NodeError::Thread(e.to_string()))?;
        let signal = Arc::new(Signal::default());
        let keeper = Keeper::load(&config.home, Arc::clone(&signal));
        let thread = WriterThread::start(store, move |range| {
            signal.nudge();
            on_linked(range);
        })
        .map_err(|e| NodeError::Thread(e.to_string()))?;
        let inner = Inner {
            reader,
            writer: thread.writer(),
            thread: Mutex::new(Some(thread)),
            rules,
            genesis: config.genesis,
            started: Instant::now(),
            tally: Tally::default(),
            verifier,
            home: config.home.clone(),
            slow_pulses: Mutex::new(()),
            known_pulses: Mutex::default(),
            pulse_chains: PulseChains::new(PULSE_CHAINS_MAX),
            limbo: keeper,
            names: SelectorNames::new(NAMES_MAX),
            read_only: Mutex::new(String::new()),
            on_pulse: OnceLock::new(),
        };
        let node = Node { inner: Arc::new(inner) };
        node.start_limbo().map_err(|e| NodeError::Thread(e.to_string()))?;
        Ok((node, report.notes))
    }

    /// Stores what is queued, writes a checkpoint and closes the store. Later writes fail; reads go on.
    ///
    /// # Errors
    /// Something could not be written. Nothing acknowledged is lost.
    pub fn stop(&self) -> Result<(), NodeError> {
        self.inner.verifier.stop();
        self.inner.limbo.stop();
        let thread = self.inner.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.map_or(Ok(()), |thread| thread.stop().map_err(Into::into))
    }

    /// What the node has done since it started.
    pub fn counters(&self) -> Counters {
        let t = &self.inner.tally;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let refused = t.records_refused.lock().unwrap_or_else(PoisonError::into_inner);
        Counters {
            records_accepted: get(&t.records_accepted),
            records_duplicate: get(&t.records_duplicate),
            records_refused: refused.iter().map(|(name, count)| (*name, *count)).collect(),
            queries: get(&t.queries),
            pulses_accepted: get(&t.pulses_accepted),
            pulses_refused: get(&t.pulses_refused),
            store_errors: get(&t.store_errors),
        }
    }

    /// Bytes that may still be written to the home's disk; `None` where the system does not tell.
    pub fn disk_free_bytes(&self) -> Option<u64> {
        lf_platform::free_bytes(&self.inner.home).ok()
    }

    /// Records whose signatures and work wait to be checked, of clients and of peers.
    pub(crate) fn checks_waiting(&self) -> [usize; 2] {
        self.inner.verifier.waiting()
    }

    /// The store, for reading.
    pub fn reader(&self) -> &StoreReader {
        &self.inner.reader
    }

    fn rules<'a>(&'a self, parameters: &'a GenesisParameters) -> Rules<'a> {
        self.inner.rules.with(parameters)
    }
}

/// What the node's rules are made of, besides the network's current parameters.
#[derive(Clone)]
struct NodeRules {
    reader: StoreReader,
    genesis_owner: OwnerPublic,
    local_test: bool,
}

impl NodeRules {
    fn with<'a>(&'a self, parameters: &'a GenesisParameters) -> Rules<'a> {
        Rules {
            parameters,
            genesis_owner: &self.genesis_owner,
            local_test: self.local_test,
            certificates: &self.reader,
        }
    }
}

impl Judge for NodeRules {
    fn judge(&self, records: Vec<Record>) -> Vec<Verdict> {
        accept::verify_all(records, &self.with(&self.reader.parameters()), |proofs| {
            work::verify_batch(Table::shared(), proofs, TablePasses::NONE)
        })
    }

    fn slow_work_holds(record: &Record) -> bool {
        let verify = |proof| work::verify(Table::shared(), record.work_hash(), proof, TablePasses::ALL);
        record.work().is_some_and(|proof| verify(proof).is_ok())
    }
}

/// The clock: seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// A random number below `n`.
fn random(n: u64) -> u64 {
    // Which record is linked to is no secret: if the system has no randomness, the first will do.
    getrandom::u64().unwrap_or(0) % n.max(1)
}
