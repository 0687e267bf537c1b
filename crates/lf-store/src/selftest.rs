//! Measures a store on the disk at hand: for the benchmark and for people who want to know what their machine does.
//!
//! The records are synthetic: well-formed, with a real graph, but with made-up signatures and one and the same claim, as
//! the store is given records that were checked before.

mod signed;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_proto::hash::Hash;
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::record::{Record, RecordBuilder, RecordType};
use lf_proto::selector::{Selector, SelectorKey, SelectorName};

use crate::engine::CACHE_BYTES;
use crate::storage::DiskStorage;
use crate::store::{IndexPlace, Put, Store, StoreError, StoreOptions};
use crate::view::StoreReader;

pub use self::signed::Signed;

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
    /// Threads that did it, besides those that the index engine has of its own.
    pub threads: usize,
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
    /// What one thread did.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str, goal: Option<Goal>) -> Self {
        Figure { name: name.into(), value, unit, threads: 1, goal }
    }

    /// The same by so many threads.
    #[must_use]
    pub fn on(self, threads: usize) -> Self {
        Figure { threads, ..self }
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

/// What synthetic records are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// One selector, a small value, links to three records of the last 64: a busy network where all is well.
    #[default]
    Steady,
    /// Up to three selectors, values up to a kilobyte, 3 to 15 links, pulse tokens, a network that is split in two for
    /// half of the time, and records that arrive before what they link to.
    Mixed,
    /// Two of five records are an attacker's: names that others hold, linked to old records, to the genesis, in combs, or
    /// to fifteen tips at once.
    Hostile,
}

impl std::str::FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "steady" => Ok(Shape::Steady),
            "mixed" => Ok(Shape::Mixed),
            "hostile" => Ok(Shape::Hostile),
            other => Err(format!("no such shape: {other} (steady, mixed or hostile)")),
        }
    }
}

/// Hashes of records of the whole past that are kept for attackers to link to.
const OLD_RECORDS: usize = 4_096;
/// Names of synthetic records; with more records than that they have several ordinals.
const NAMES: u64 = 1 << 16;
/// Records between two splits of a mixed network, and for how long each lasts.
const SPLIT_RECORDS: u64 = 20_000;
/// How far a record can arrive before its turn.
const EARLY_RECORDS: usize = 16;

/// Makes synthetic records of one network.
pub struct Synthetic {
    genesis: Genesis,
    claim: Selector,
    shape: Shape,
    state: u64,
    /// The newest records, of either side of a split.
    recent: [Vec<Hash>; 2],
    old: Vec<Hash>,
    comb: Hash,
    made: u64,
}

impl Synthetic {
    /// The generator of [`Shape::Steady`]; the same `seed` gives the same records.
    ///
    /// # Panics
    /// Never: what it builds from is constant.
    pub fn new(seed: u64) -> Self {
        Self::with_shape(seed, Shape::Steady)
    }

    /// The generator of a shape.
    ///
    /// # Panics
    /// Never, as [`Synthetic::new`].
    pub fn with_shape(seed: u64, shape: Shape) -> Self {
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
        let first = genesis.records()[0].hash();
        let recent = [vec![first], vec![first]];
        Synthetic { genesis, claim, shape, state: seed, recent, old: vec![first], comb: first, made: 0 }
    }

    /// The network of the records.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.random() % n.max(1) as u64) as usize
    }

    /// The key of the n-th record's first selector, from 0. The keys of n and n + 65536 follow each other, as ordinals
    /// of one name do.
    pub fn key(n: u64) -> SelectorKey {
        let mut key = [0; 32];
        for (i, part) in key.chunks_mut(8).enumerate() {
            part.copy_from_slice(&mix((n % NAMES) * 4 + i as u64).to_be_bytes());
        }
        // Room for the ordinals below.
        let last = u64::from_be_bytes([key[24], key[25], key[26], key[27], 0, 0, 0, 0]) + n / NAMES;
        key[24..].copy_from_slice(&last.to_be_bytes());
        SelectorKey(key)
    }

    /// The next records, in a topological order, or almost so if they are mixed.
    pub fn batch(&mut self, count: usize) -> Vec<Put> {
        let mut batch: Vec<Put> = (0..count).map(|_| self.record()).collect();
        if self.shape == Shape::Mixed {
            for early in (0..count / 20).map(|_| self.below(count)).collect::<Vec<_>>() {
                batch.swap(early, early.saturating_sub(EARLY_RECORDS));
            }
        }
        batch
    }

    fn recent(&mut self, side: usize) -> Hash {
        let back = (self.random() % LINK_SPREAD) as usize;
        let recent = &self.recent[side];
        recent[recent.len().saturating_sub(1 + back)]
    }

    /// Whether the next record is an attacker's.
    fn attacks(&self) -> bool {
        self.shape == Shape::Hostile && self.made % 5 >= 3
    }

    /// The side of a split network that writes the next record, if it is split now.
    fn side(&self) -> Option<usize> {
        let split = self.shape == Shape::Mixed && self.made / SPLIT_RECORDS % 2 == 1;
        split.then_some((self.made % 2) as usize)
    }

    fn links(&mut self) -> Vec<Hash> {
        let side = self.side();
        let mut links: Vec<Hash> = if self.attacks() {
            match self.made / 5 % 4 {
                0 => (0..3)
                    .map(|_| {
                        let at = self.below(self.old.len());
                        self.old[at]
                    })
                    .collect(),
                1 => vec![self.old[0]],
                2 => vec![self.comb, self.recent(0)],
                _ => (0..15).map(|_| self.recent(0)).collect(),
            }
        } else {
            let many = self.shape == Shape::Mixed && self.random().is_multiple_of(8);
            let count = if many { 3 + self.below(13) } else { 3 };
            // Records of both sides meet where the split ends: each side knows the other's by then.
            (0..count).map(|i| self.recent(side.unwrap_or(i % 2))).collect()
        };
        links.sort_unstable();
        links.dedup();
        links
    }

    fn record(&mut self) -> Put {
        let n = self.made;
        let (side, attacks) = (self.side(), self.attacks());
        let links = self.links();
        self.made += 1;
        let mixed = self.shape == Shape::Mixed;
        let selector_count = if mixed { 1 + self.below(3) } else { 1 };
        let pulse_token = if mixed && n.is_multiple_of(10) { self.random() | 1 } else { 0 };
        let number = |out: &mut Vec<u8>, mut v: u64| {
            while v >= 0x80 {
                out.push(v as u8 | 0x80);
                v >>= 7;
            }
            out.push(v as u8);
        };
        // PROTOCOL.md §7: flags with a value, value, owner, links, time, token; selectors, work, a signature.
        let mut bytes = Vec::with_capacity(512);
        number(&mut bytes, 1 | u64::from(pulse_token != 0) << 1 | (links.len() as u64) << 4);
        let mut value = [n.to_be_bytes(), self.random().to_be_bytes(), self.random().to_be_bytes()].concat();
        if mixed {
            // Few are large.
            let more = 1000 >> self.below(10);
            (0..more / 8).for_each(|_| value.extend_from_slice(&self.random().to_be_bytes()));
        }
        number(&mut bytes, value.len() as u64);
        bytes.extend_from_slice(&value);
        let owner = self.random() % OWNERS;
        bytes.push(32);
        for i in 0..4 {
            bytes.extend_from_slice(&(owner * 4 + i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        }
        links.iter().for_each(|l| bytes.extend_from_slice(&l.0));
        number(&mut bytes, 1_700_000_000 + n);
        if pulse_token != 0 {
            bytes.extend_from_slice(&pulse_token.to_be_bytes());
        }
        bytes.push(1 << 4 | selector_count as u8);
        (0..selector_count).for_each(|_| bytes.extend_from_slice(&self.claim.to_bytes()));
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
        self.remember(record.hash(), side, attacks);
        // An attacker claims what somebody else has.
        let named = if attacks { n - n % 5 } else { n };
        let selectors = (0..selector_count as u64)
            .map(|i| {
                let mut id = [2; 21];
                id[1..9].copy_from_slice(&(named + (i << 56)).to_be_bytes());
                lf_proto::selector::RecoveredSelector { id, key: Self::key(n >> (7 * i)) }
            })
            .collect();
        Put { record, selectors, work_verified: true }
    }

    fn remember(&mut self, hash: Hash, side: Option<usize>, attacks: bool) {
        if self.old.len() < OLD_RECORDS {
            self.old.push(hash);
        } else if self.random().is_multiple_of((self.made / OLD_RECORDS as u64).max(1)) {
            let at = 1 + self.below(OLD_RECORDS - 1);
            self.old[at] = hash;
        }
        if attacks {
            self.comb = hash;
            return;
        }
        for (_, recent) in
            self.recent.iter_mut().enumerate().filter(|(i, _)| side.is_none_or(|side| side == *i))
        {
            if recent.len() >= 2 * LINK_SPREAD as usize {
                recent.drain(..LINK_SPREAD as usize);
            }
            recent.push(hash);
        }
    }
}

/// A number that looks random (SplitMix64).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
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

/// One query of `ordinals` keys from the n-th record's on: the selectors' records, their rows, weights and reputations.
/// Returns how long it took and how many records it found.
///
/// # Errors
/// The index failed.
pub fn query(reader: &StoreReader, n: u64, ordinals: u64) -> Result<(Duration, usize), StoreError> {
    let (first, last) = (Synthetic::key(n), Synthetic::key(n + (ordinals - 1) * NAMES));
    let start = Instant::now();
    let view = reader.view();
    let mut found = 0;
    for index in view.by_selector(0, &first, &last) {
        let index = index?;
        if let Some(row) = view.row(index)? {
            std::hint::black_box((view.weight(index), view.reputation(&row)?));
            found += 1;
        }
    }
    Ok((start.elapsed(), found))
}

/// Queries of `ordinals` keys each, from random ones below `records` on.
///
/// # Errors
/// The index failed, or a record that was stored is not found.
pub fn queries(
    reader: &StoreReader,
    records: u64,
    count: usize,
    ordinals: u64,
) -> Result<Vec<Duration>, StoreError> {
    let mut state = 0x1234_5678_9abc_def1u64;
    let mut durations = Vec::with_capacity(count);
    for _ in 0..count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (took, found) = query(reader, (state >> 33) % records.max(1), ordinals)?;
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
                durations.push(query(reader, n % records.max(1), 1)?.0);
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

/// Memory of this process that is resident and not the index engine's block cache, in bytes; `None` where the system does
/// not tell.
pub fn resident_bytes() -> Option<u64> {
    lf_platform::resident_bytes().map(|bytes| bytes.saturating_sub(CACHE_BYTES))
}

pub use lf_platform::processor_time;

/// Fills an empty store with `records` records of a shape and measures it: from 10⁴ on at each power of ten.
///
/// # Errors
/// The store's, or those of the directory.
pub fn run(
    directory: &Path,
    records: u64,
    shape: Shape,
    tell: &mut dyn FnMut(&Figure),
) -> Result<Vec<Figure>, StoreError> {
    let mut figures = Vec::new();
    let mut add = |figure: Figure| {
        tell(&figure);
        figures.push(figure);
    };
    let ms = |name: String, durations: &mut [Duration], percent: f64, goal: Option<f64>| {
        Figure::new(name, percentile(durations, percent), "ms", goal.map(Goal::AtMost))
    };
    let mut synthetic = Synthetic::with_shape(1, shape);
    let options = options(directory, synthetic.genesis())?;
    let (mut store, _) = Store::open(options.clone())?;
    let singles = single_writes(&mut store, &mut synthetic, 1_000.min(records as usize / 10))?;
    add(Figure::new("durable single writes", singles, "writes/s", Some(Goal::AtLeast(100.0))));
    let reader = store.reader();
    let mut size = 10_000.min(records);
    while size <= records {
        let before = u64::from(reader.view().linked());
        let begun = processor_time();
        let (rate, longest) = import(&mut store, &mut synthetic, size)?;
        let name = format!("import, records {before} to {size}");
        add(Figure::new(name, rate, "records/s", Some(Goal::AtLeast(20_000.0))));
        if let (Some(begun), Some(ended)) = (begun, processor_time()) {
            // With the making of the records, some 4 µs, and the engine's merging.
            let each = (ended.saturating_sub(begun)).as_secs_f64() * 1e6 / (size - before).max(1) as f64;
            add(Figure::new(format!("import up to {size}, processor time"), each, "µs/record", None));
        }
        add(Figure::new(format!("import up to {size}, longest batch"), longest, "ms", None));
        let mut quiet = queries(&reader, size, 20_000, 1)?;
        add(ms(format!("query of one key at {size}, p50"), &mut quiet, 50.0, None));
        add(ms(format!("query of one key at {size}, p99"), &mut quiet, 99.0, Some(1.0)));
        let mut ranges = queries(&reader, size.min(NAMES), 2_000, 100)?;
        add(ms(format!("query of 100 ordinals at {size}, p99"), &mut ranges, 99.0, Some(10.0)));
        if size == records {
            break;
        }
        size = (size * 10).min(records);
    }
    let more = records + (records / 10).clamp(1_000, 200_000);
    let ((rate, _), mut during) =
        queries_during(&reader, records, || import(&mut store, &mut synthetic, more))?;
    add(Figure::new("import while queries are answered", rate, "records/s", None).on(2));
    add(ms("query during an import, p50".to_owned(), &mut during, 50.0, None));
    add(ms("query during an import, p99".to_owned(), &mut during, 99.0, Some(1.0)));
    add(ms("query during an import, longest".to_owned(), &mut during, 100.0, None));
    let linked = f64::from(reader.view().linked());
    add(Figure::new("memory of weights", reader.graph_bytes() as f64 / linked, "bytes/record", None));
    if let Some(bytes) = resident_bytes() {
        let goal = Some(Goal::AtMost(1000.0));
        add(Figure::new("resident memory beside the engine's cache", bytes as f64 / 1e6, "MB", goal));
    }
    drop(reader);
    let start = Instant::now();
    store.close()?;
    add(Figure::new("clean stop", start.elapsed().as_secs_f64(), "s", None));
    let start = Instant::now();
    let (store, _) = Store::open(options)?;
    query(&store.reader(), 0, 1)?;
    add(Figure::new("start after a clean stop", start.elapsed().as_secs_f64(), "s", Some(Goal::AtMost(2.0))));
    store.close()?;
    Ok(figures)
}
