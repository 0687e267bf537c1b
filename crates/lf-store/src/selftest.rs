//! Measures a store on the disk at hand: for the benchmark and for people who want to know what their machine does.
//!
//! The records are synthetic: well-formed, with a real graph, but with made-up signatures and one and the same claim, as
//! the store is given records that were checked before.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_proto::hash::Hash;
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::record::{Record, RecordBuilder, RecordType};
use lf_proto::selector::{Selector, SelectorKey, SelectorName};

use crate::storage::DiskStorage;
use crate::store::{IndexPlace, Put, Store, StoreError, StoreOptions};
use crate::view::StoreReader;

/// Owners of synthetic records.
const OWNERS: u64 = 1_000;
/// Records in a batch of a bulk import.
pub const BATCH_RECORDS: usize = 2_000;
/// How far back synthetic records link: about what is in flight in a busy network.
const LINK_SPREAD: u64 = 64;

/// One measured figure.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// How much.
    pub value: f64,
    /// In what.
    pub unit: &'static str,
    /// What it should be at least or at most, in the same unit.
    pub goal: Option<Goal>,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
}

impl Figure {
    /// A figure.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str, goal: Option<Goal>) -> Self {
        Figure { name: name.into(), value, unit, goal }
    }

    /// Whether the goal is met; true without one.
    pub fn is_met(&self) -> bool {
        match self.goal {
            None => true,
            Some(Goal::AtLeast(goal)) => self.value >= goal,
            Some(Goal::AtMost(goal)) => self.value <= goal,
        }
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:<58} {:>12.3} {:<10}", self.name, self.value, self.unit)?;
        let met = if self.is_met() { "met" } else { "MISSED" };
        match self.goal {
            None => Ok(()),
            Some(Goal::AtLeast(goal)) => write!(f, " goal ≥ {goal}: {met}"),
            Some(Goal::AtMost(goal)) => write!(f, " goal ≤ {goal}: {met}"),
        }
    }
}

/// Makes synthetic records of one network, each linking to three recent ones.
pub struct Synthetic {
    genesis: Genesis,
    claim: Selector,
    state: u64,
    recent: Vec<Hash>,
    made: u64,
}

impl Synthetic {
    /// The generator; the same `seed` gives the same records.
    ///
    /// # Panics
    /// Never: what it builds from is constant.
    pub fn new(seed: u64) -> Self {
        let owner = OwnerSecret::from_seed(OwnerType::Ed25519, b"selftest");
        let parameters = GenesisParameters {
            name: "selftest".into(),
            record_min_links: 1,
            record_max_value_size: 1024,
            record_max_time_drift: 60,
            ..GenesisParameters::default()
        };
        let json = parameters.to_json();
        let builder = RecordBuilder {
            record_type: RecordType::Genesis,
            value: json.as_bytes(),
            masking_key: Some(b""),
            selectors: &[],
            links: &[],
            timestamp: 1_700_000_000,
            with_pulse_token: false,
        };
        #[allow(clippy::expect_used)]
        let genesis = builder.build(&owner).expect("a small record").sign(&owner, None);
        #[allow(clippy::expect_used)]
        let genesis = Genesis::parse(genesis.as_bytes()).expect("a valid genesis");
        #[allow(clippy::expect_used)]
        let claim = SelectorName::new(b"selftest").claim(&[0; 48], 0).expect("an ordinal that can be masked");
        let recent = vec![genesis.records()[0].hash()];
        Synthetic { genesis, claim, state: seed, recent, made: 0 }
    }

    /// The network of the records.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The key of the n-th record's only selector, from 0.
    pub fn key(n: u64) -> SelectorKey {
        let mut key = [0; 32];
        for (i, part) in key.chunks_mut(8).enumerate() {
            let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(i as u32 * 16 + 7);
            part.copy_from_slice(&mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9).to_be_bytes());
        }
        SelectorKey(key)
    }

    /// The next records, in a topological order.
    pub fn batch(&mut self, count: usize) -> Vec<Put> {
        (0..count).map(|_| self.record()).collect()
    }

    fn record(&mut self) -> Put {
        let n = self.made;
        self.made += 1;
        let mut links: Vec<Hash> = Vec::with_capacity(3);
        for _ in 0..3 {
            let back = (self.random() % LINK_SPREAD) as usize;
            links.push(self.recent[self.recent.len().saturating_sub(1 + back)]);
        }
        links.sort_unstable();
        links.dedup();
        let number = |out: &mut Vec<u8>, mut v: u64| {
            while v >= 0x80 {
                out.push(v as u8 | 0x80);
                v >>= 7;
            }
            out.push(v as u8);
        };
        // PROTOCOL.md §7: flags with a value, value, owner, links, time; one selector, work, a signature.
        let mut bytes = Vec::with_capacity(420);
        number(&mut bytes, 1 | (links.len() as u64) << 4);
        let value = [n.to_be_bytes(), self.random().to_be_bytes(), self.random().to_be_bytes()].concat();
        number(&mut bytes, value.len() as u64);
        bytes.extend_from_slice(&value);
        let owner = self.random() % OWNERS;
        bytes.push(32);
        for i in 0..4 {
            bytes.extend_from_slice(&(owner * 4 + i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        }
        links.iter().for_each(|l| bytes.extend_from_slice(&l.0));
        number(&mut bytes, 1_700_000_000 + n);
        bytes.push(1 << 4 | 1);
        bytes.extend_from_slice(&self.claim.to_bytes());
        let difficulty = (self.random() >> 44) as u32;
        bytes.extend_from_slice(&[0; 10]);
        bytes.extend_from_slice(&difficulty.to_be_bytes());
        bytes.push(64);
        for _ in 0..8 {
            let part = self.random();
            bytes.extend_from_slice(&part.to_be_bytes());
        }
        #[allow(clippy::expect_used)]
        let record = Record::decode(&bytes).expect("a well-formed record");
        if self.recent.len() >= 2 * LINK_SPREAD as usize {
            self.recent.drain(..LINK_SPREAD as usize);
        }
        self.recent.push(record.hash());
        let mut id = [2; 21];
        id[1..9].copy_from_slice(&n.to_be_bytes());
        let selectors = vec![lf_proto::selector::RecoveredSelector { id, key: Self::key(n) }];
        Put { record, selectors, work_verified: true }
    }
}

/// A store with synthetic records in a directory.
///
/// # Errors
/// The directory cannot be made.
pub fn options(directory: &Path, genesis: &Genesis) -> Result<StoreOptions, StoreError> {
    let storage = DiskStorage::open(directory).map_err(|e| StoreError::Io(e.to_string()))?;
    let index = IndexPlace::Disk(directory.join("index"));
    Ok(StoreOptions::new(Arc::new(storage), index, genesis.clone(), [1; 16]))
}

/// The value below which `percent` of the durations are, in milliseconds.
pub fn percentile(durations: &mut [Duration], percent: f64) -> f64 {
    durations.sort_unstable();
    let at = ((durations.len() as f64 * percent / 100.0) as usize).min(durations.len().saturating_sub(1));
    durations.get(at).map_or(f64::NAN, |d| d.as_secs_f64() * 1000.0)
}

/// Stores `count` records one by one, each durable before the next: writes a second.
///
/// # Errors
/// The store's.
pub fn single_writes(store: &mut Store, synthetic: &mut Synthetic, count: usize) -> Result<f64, StoreError> {
    let puts = synthetic.batch(count);
    let start = Instant::now();
    for put in &puts {
        store.apply(std::slice::from_ref(put), &[])?;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// Imports until `records` records have been made, in batches, with the checkpoints that come due. Returns linked
/// records a second, the making of the records not counted, and the longest batch in milliseconds.
///
/// # Errors
/// The store's.
pub fn import(store: &mut Store, synthetic: &mut Synthetic, records: u64) -> Result<(f64, f64), StoreError> {
    let (mut busy, mut longest, from) = (Duration::ZERO, Duration::ZERO, synthetic.made);
    while synthetic.made < records {
        let batch = synthetic.batch(BATCH_RECORDS.min((records - synthetic.made) as usize));
        let start = Instant::now();
        store.apply(&batch, &[])?;
        store.checkpoint_if_due()?;
        let took = start.elapsed();
        busy += took;
        longest = longest.max(took);
    }
    Ok(((records - from) as f64 / busy.as_secs_f64(), longest.as_secs_f64() * 1000.0))
}

/// One query of one key: the selector's records, their rows, weights and reputations. Returns how long it took and how
/// many records it found.
///
/// # Errors
/// The index failed.
pub fn query(reader: &StoreReader, n: u64) -> Result<(Duration, usize), StoreError> {
    let key = Synthetic::key(n);
    let start = Instant::now();
    let view = reader.view();
    let mut found = 0;
    for index in view.by_selector(0, &key, &key) {
        let index = index?;
        if let Some(row) = view.row(index)? {
            std::hint::black_box((view.weight(index), view.reputation(&row)?));
            found += 1;
        }
    }
    Ok((start.elapsed(), found))
}

/// Queries of random keys below `records`.
///
/// # Errors
/// The index failed, or a record that was stored is not found.
pub fn queries(reader: &StoreReader, records: u64, count: usize) -> Result<Vec<Duration>, StoreError> {
    let mut state = 0x1234_5678_9abc_def1u64;
    let mut durations = Vec::with_capacity(count);
    for _ in 0..count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (took, found) = query(reader, (state >> 33) % records.max(1))?;
        if found == 0 {
            return Err(StoreError::Io("a stored record was not found".to_owned()));
        }
        durations.push(took);
    }
    Ok(durations)
}

/// Queries on another thread while `work` runs, pausing a little between them. Returns what `work` returned and how
/// long the queries took.
///
/// # Errors
/// Those of `work` and of the queries.
pub fn queries_during<T>(
    reader: &StoreReader,
    records: u64,
    work: impl FnOnce() -> Result<T, StoreError>,
) -> Result<(T, Vec<Duration>), StoreError> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let querying = scope.spawn(|| -> Result<Vec<Duration>, StoreError> {
            let mut durations = Vec::new();
            let mut n = 0u64;
            while !stop.load(Ordering::Relaxed) {
                n = n.wrapping_add(7_919);
                durations.push(query(reader, n % records.max(1))?.0);
                std::thread::sleep(Duration::from_micros(500));
            }
            Ok(durations)
        });
        let done = work();
        stop.store(true, Ordering::Relaxed);
        let durations = querying
            .join()
            .unwrap_or_else(|_| Err(StoreError::Io("the querying thread failed".to_owned())))?;
        Ok((done?, durations))
    })
}

/// A short measurement in an empty directory, with `records` records; the benchmark of this crate measures more.
///
/// # Errors
/// The store's, or those of the directory.
pub fn run(directory: &Path, records: u64) -> Result<Vec<Figure>, StoreError> {
    let mut synthetic = Synthetic::new(1);
    let options = options(directory, synthetic.genesis())?;
    let (mut store, _) = Store::open(options.clone())?;
    let mut figures = Vec::new();
    let singles = single_writes(&mut store, &mut synthetic, 200.min(records as usize))?;
    figures.push(Figure::new("durable single writes", singles, "writes/s", Some(Goal::AtLeast(100.0))));
    let half = records / 2;
    let (rate, _) = import(&mut store, &mut synthetic, half)?;
    figures.push(Figure::new("bulk import", rate, "records/s", Some(Goal::AtLeast(20_000.0))));
    let reader = store.reader();
    let ((rate, _), mut during) =
        queries_during(&reader, half, || import(&mut store, &mut synthetic, records))?;
    figures.push(Figure::new("bulk import while it is queried", rate, "records/s", None));
    let p99 = percentile(&mut during, 99.0);
    figures.push(Figure::new("query during an import, p99", p99, "ms", Some(Goal::AtMost(5.0))));
    let mut quiet = queries(&reader, records, 5_000)?;
    figures.push(Figure::new(
        "query of one key, p99",
        percentile(&mut quiet, 99.0),
        "ms",
        Some(Goal::AtMost(1.0)),
    ));
    store.close()?;
    let start = Instant::now();
    let (store, _) = Store::open(options)?;
    figures.push(Figure::new("start", start.elapsed().as_secs_f64(), "s", Some(Goal::AtMost(5.0))));
    store.close()?;
    Ok(figures)
}
