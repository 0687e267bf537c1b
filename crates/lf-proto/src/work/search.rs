//! The search for a proof of work: a birthday search over one-round colliders, shared by any number of
//! workers.
//!
//! No threads here: the caller gives each of its threads a [`Worker`], calls [`Worker::step`] until one of
//! them reports a proof, and stops whenever it likes.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{
    COLLIDER_END, Frankenhash, Path, Table, TablePasses, Work, WorkError,
    collisions::{BUCKET_BYTES, Collisions},
    hash::keys,
    lanes::{Engine, engine},
    proof::{modulus, verify_with},
};

/// Workers take the collider space in portions of so many.
const PORTION: u64 = 1 << 20;
const PORTIONS: u64 = COLLIDER_END / PORTION;

/// Batches a step: some thousand hashes, less than a millisecond.
const STEP_BATCHES: usize = 16;

/// Results that wait for their buckets to come into the cache: a power of two.
const PENDING: usize = 64;

/// What a worker's step brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// No proof yet: step again, or give up.
    Searching,
    /// The search is over: this proof, found by this or another worker, verifies.
    Found(Work),
}

/// A search for one record's proof of work. Share it by reference between the threads that work on it.
pub struct Search<'t> {
    hash: Frankenhash<'t>,
    table: &'t Table,
    keys: [[u8; 32]; 2],
    path: Path,
    difficulty: u32,
    modulus: Modulus,
    collisions: Collisions,
    seed: u64,
    portions_taken: AtomicU64,
    hashes_done: AtomicU64,
    found: OnceLock<Work>,
}

impl<'t> Search<'t> {
    /// Prepares a search for a work input (a record's 48-byte work hash).
    ///
    /// Allocates one and a half times what the expected number of hashes fills (8 bytes each), but at most
    /// `memory_bytes_max` (64 bytes at least); with less the search takes longer, see
    /// [`Self::expected_hashes`]. `seed` chooses where it begins: the same seed, input and single worker find
    /// the same proof.
    ///
    /// # Errors
    /// [`WorkError::DifficultyZero`], for no such proof verifies.
    pub fn new(
        table: &'t Table,
        work_input: &[u8],
        difficulty: u32,
        memory_bytes_max: usize,
        seed: u64,
    ) -> Result<Self, WorkError> {
        if difficulty == 0 {
            return Err(WorkError::DifficultyZero);
        }
        let modulus = modulus(difficulty);
        Ok(Self {
            hash: Frankenhash::new(table, work_input),
            table,
            keys: keys(work_input),
            path: Path::best(),
            difficulty,
            modulus: Modulus::new(modulus),
            collisions: Collisions::new(table_bytes(modulus, memory_bytes_max)),
            seed: seed % PORTIONS,
            portions_taken: AtomicU64::new(0),
            hashes_done: AtomicU64::new(0),
            found: OnceLock::new(),
        })
    }

    /// The same search on a certain path instead of the best: to compare them.
    pub fn on_path(self, path: Path) -> Self {
        Self { path, ..self }
    }

    /// A worker for one thread, with about 32 KB of its own.
    pub fn worker(&self) -> Worker<'_, 't> {
        Worker { search: self, lanes: engine(self.path, &self.keys), pending: [(0, 0); PENDING], at: 0 }
    }

    /// How many hashes such a search takes on average, with the memory it has: see [`expected_hashes`].
    pub fn expected_hashes(&self) -> u64 {
        hashes_on_average(self.modulus.of, self.collisions.entries_max())
    }

    /// Ends the search if these collide.
    #[cold]
    fn try_pair(&self, a: u64, b: u64) {
        let work = Work::new([a, b], self.difficulty);
        if verify_with(&self.hash, &work, TablePasses::NONE).is_ok() {
            // Another worker may have been first; one proof is enough.
            let _ = self.found.set(work);
        }
    }

    /// How many hashes all workers have done so far.
    pub fn hashes_done(&self) -> u64 {
        self.hashes_done.load(Relaxed)
    }

    /// The proof, once there is one.
    pub fn found(&self) -> Option<Work> {
        self.found.get().copied()
    }

    /// The size of the table of colliders, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.collisions.entries_max() * 8
    }
}

/// How many hashes a search for work of a difficulty takes on average, with so much memory.
///
/// The number is random: one search in 23 takes twice as many, one in 1200 three times.
pub fn expected_hashes(difficulty: u32, memory_bytes_max: usize) -> u64 {
    let modulus = modulus(difficulty);
    hashes_on_average(modulus, table_bytes(modulus, memory_bytes_max) / 8)
}

/// Bytes of the table of colliders: one and a half times what the expected number of hashes fills.
fn table_bytes(modulus: u64, memory_bytes_max: usize) -> usize {
    let wanted = (1.5 * 8.0 * birthday(modulus)) as usize;
    wanted.min(memory_bytes_max).max(BUCKET_BYTES)
}

fn hashes_on_average(modulus: u64, entries: usize) -> u64 {
    // Until its table is full a search advances like any birthday search, then at a constant rate.
    let (modulus, entries) = (modulus as f64, entries as f64);
    let lasts = |hashes: f64| (-hashes * hashes / (2.0 * modulus)).exp();
    const SLICES: u32 = 256;
    let end = entries.min(8.0 * modulus.sqrt());
    let width = end / f64::from(SLICES);
    let filling: f64 = (0..SLICES).map(|i| lasts((f64::from(i) + 0.5) * width) * width).sum();
    (filling + lasts(end) * modulus / end) as u64
}

/// √(πm/2): the expected number of random draws from m until two are equal.
fn birthday(modulus: u64) -> f64 {
    (std::f64::consts::FRAC_PI_2 * modulus as f64).sqrt()
}

/// A modulus and what makes reducing by it cheap.
#[derive(Clone, Copy)]
struct Modulus {
    of: u64,
    /// ⌊2⁶⁴ / of⌋
    inverse: u64,
}

impl Modulus {
    fn new(of: u64) -> Self {
        Self { of, inverse: ((1 << 64) / u128::from(of)) as u64 }
    }

    #[inline(always)]
    fn reduce(self, value: u64) -> u64 {
        // The estimated quotient is at most 1 too small.
        let quotient = ((u128::from(value) * u128::from(self.inverse)) >> 64) as u64;
        let rest = value.wrapping_sub(quotient.wrapping_mul(self.of));
        if rest >= self.of { rest - self.of } else { rest }
    }
}

/// One thread's part in a [`Search`].
pub struct Worker<'s, 't> {
    search: &'s Search<'t>,
    lanes: Box<dyn Engine>,
    /// Residues and colliders of the latest hashes, around a ring; collider 0 is none.
    pending: [(u64, u64); PENDING],
    at: usize,
}

impl Worker<'_, '_> {
    /// Does some thousand hashes (less than a millisecond), unless the search is over already.
    pub fn step(&mut self) -> Progress {
        for _ in 0..STEP_BATCHES {
            if let Some(work) = self.search.found() {
                return Progress::Found(work);
            }
            self.batch();
        }
        self.search.found().map_or(Progress::Searching, Progress::Found)
    }

    fn batch(&mut self) {
        let Self { search, lanes, pending, at } = self;
        let mut portion = || {
            // When the whole space was searched it begins anew: with a small table other pairs meet then.
            let taken = search.portions_taken.fetch_add(1, Relaxed);
            let begin = search.seed.wrapping_add(taken) % PORTIONS * PORTION;
            (begin, begin + PORTION)
        };
        let mut hashes = 0;
        let mut found = |results: &[(u64, u64)]| {
            hashes += results.len() as u64;
            for (collider, value) in results {
                let residue = search.modulus.reduce(*value);
                search.collisions.prefetch(residue);
                let (residue, collider) =
                    std::mem::replace(&mut pending[*at % PENDING], (residue, *collider));
                *at += 1;
                if collider == 0 {
                    continue;
                }
                if let Some(partner) = search.collisions.exchange(residue, collider) {
                    search.try_pair(partner, collider);
                }
            }
        };
        lanes.batch(search.table, &mut portion, &mut found);
        search.hashes_done.fetch_add(hashes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::work::{required_difficulty, verify};

    fn run(search: &Search<'_>, threads: usize) -> Work {
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        let mut worker = search.worker();
                        loop {
                            if let Progress::Found(work) = worker.step() {
                                return work;
                            }
                        }
                    })
                })
                .collect();
            let found: Vec<Work> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
            assert!(found.iter().all(|work| *work == found[0]), "all workers report the same proof");
            found[0]
        })
    }

    #[test]
    fn finds_proofs_that_verify() {
        let table = Table::shared();
        for (number, (difficulty, threads, memory_bytes_max)) in [
            (1, 1, 1 << 30),
            (1, 2, 1 << 30),
            (7, 1, 1 << 30),
            (2, 1, 1 << 16),
            (3, 2, 1 << 16),
            (500, 2, 1 << 22),
            (5000, 2, 1 << 30),
            // A typical record on a small machine.
            (required_difficulty(250, 1), 2, 32 << 20),
        ]
        .into_iter()
        .enumerate()
        {
            let input = [number as u8; 48];
            let search = Search::new(table, &input, difficulty, memory_bytes_max, number as u64).unwrap();
            assert!(search.memory_bytes() <= memory_bytes_max);
            let work = run(&search, threads);
            assert_eq!(work.difficulty(), difficulty);
            assert_eq!(verify(table, &input, &work, TablePasses::NONE), Ok(()));
            assert_eq!(search.found(), Some(work));
            assert!(search.hashes_done() > 0);
            let other = [number as u8 ^ 0x80; 48];
            assert_eq!(verify(table, &other, &work, TablePasses::ALL), Err(WorkError::NoCollision));
        }
    }

    #[test]
    fn one_worker_finds_the_same_proof_again() {
        let table = Table::shared();
        let once = || run(&Search::new(table, b"same", 3, 1 << 20, 99).unwrap(), 1);
        assert_eq!(once(), once());
    }

    #[test]
    fn difficulty_zero_is_refused() {
        assert_eq!(Search::new(Table::shared(), b"", 0, 1 << 20, 0).err(), Some(WorkError::DifficultyZero));
    }

    #[test]
    fn expectations_follow_the_memory() {
        let table = Table::shared();
        let expected = |bytes| Search::new(table, b"", 100, bytes, 0).unwrap().expected_hashes() as f64;
        let birthday = birthday(modulus(100));
        assert!((expected(1 << 30) / birthday - 1.0).abs() < 0.15, "{}", expected(1 << 30) / birthday);
        // A tiny table: m ⁄ entries.
        let tiny = modulus(100) as f64 / 1024.0;
        assert!((expected(8192) / tiny - 1.0).abs() < 0.01);
        for bytes in [8192, 1 << 30] {
            let told = expected_hashes(100, bytes) as f64;
            assert!((told / expected(bytes) - 1.0).abs() < 0.01, "{bytes}");
        }
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let search = Search::new(Table::shared(), b"", u32::MAX, 1 << 20, u64::MAX).unwrap();
        assert_eq!(search.memory_bytes(), 1 << 20);
        assert!(search.expected_hashes() > 1 << 40);
        assert_eq!(search.worker().step(), Progress::Searching);
    }
}
