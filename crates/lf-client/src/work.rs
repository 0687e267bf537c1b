//! Proof of work on the machine's cores: the threads that lf-proto leaves to its callers.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use lf_proto::work::{self, Progress, Search, Table, Work};

use crate::{ClientError, secrets};

/// The collision table takes what a record's work needs, but no more than this many bytes unless told otherwise.
pub const WORK_MEMORY_BYTES: usize = 512 << 20;

/// The collision table while speed is measured, in bytes.
const MEASURE_BYTES: usize = 64 << 20;
/// Steps of each thread while speed is measured, at least: the first ones are slow, as memory is touched first.
const MEASURE_STEPS_MIN: u32 = 64;

/// How often progress is reported.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// How a search is going.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WorkProgress {
    /// Hashes done so far.
    pub hashes_done: u64,
    /// How many such a search takes on average. The true number is random: one search in 20 takes twice as many.
    pub hashes_expected: u64,
    /// Time since it began.
    pub elapsed: Duration,
}

impl WorkProgress {
    /// The measured speed.
    pub fn hashes_per_second(&self) -> f64 {
        self.hashes_done as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// How much longer it will take on average: what is left of the expected hashes. None before there is a speed,
    /// or once the expected number is passed.
    pub fn remaining(&self) -> Option<Duration> {
        let left = self.hashes_expected.checked_sub(self.hashes_done)?;
        let speed = self.hashes_per_second();
        (speed > 0.0).then(|| Duration::try_from_secs_f64(left as f64 / speed).ok()).flatten()
    }
}

/// Who does the work: a number of threads that share a collision table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workers {
    /// The number of threads.
    pub threads: NonZeroUsize,
    /// The most that the collision table takes, in bytes. With less than a record's work needs, it takes longer.
    pub memory_bytes_max: usize,
}

impl Default for Workers {
    /// One thread for each core.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Workers { threads, memory_bytes_max: WORK_MEMORY_BYTES }
    }
}

impl Workers {
    /// So many threads.
    pub fn with_threads(threads: NonZeroUsize) -> Self {
        Workers { threads, ..Workers::default() }
    }

    /// How many hashes a search takes on average here, see [`lf_proto::work::expected_hashes`].
    pub fn expected_hashes(&self, difficulty: u32) -> u64 {
        work::expected_hashes(difficulty, self.memory_bytes_max)
    }

    /// Measures for so long, or until each has done a few steps, how many hashes a second these workers do. Makes the
    /// table first, if it is not there.
    pub fn measure(&self, duration: Duration) -> f64 {
        // The highest difficulty, but memory as for small records.
        let Ok(search) = Search::new(Table::shared(), b"measure", u32::MAX, MEASURE_BYTES, 0) else {
            return 0.0;
        };
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..self.threads.get() {
                scope.spawn(|| {
                    let mut worker = search.worker();
                    let mut steps = 0;
                    while (begun.elapsed() < duration || steps < MEASURE_STEPS_MIN)
                        && worker.step() == Progress::Searching
                    {
                        steps += 1;
                    }
                });
            }
        });
        search.hashes_done() as f64 / begun.elapsed().as_secs_f64().max(1e-9)
    }

    /// Searches for a proof. `progress` is called about ten times a second and at the end, and stops the search by
    /// returning false.
    ///
    /// # Errors
    /// [`ClientError::Cancelled`], or no random numbers.
    pub fn search(
        &self,
        work_hash: &[u8; 48],
        difficulty: u32,
        progress: &mut dyn FnMut(WorkProgress) -> bool,
    ) -> Result<Work, ClientError> {
        // Made first and not counted: the estimate is about hashes.
        let table = Table::shared();
        let seed = u64::from_le_bytes(secrets::random()?);
        let difficulty = difficulty.max(1);
        // Difficulty 0 is the only error, and excluded.
        let search = Search::new(table, work_hash, difficulty, self.memory_bytes_max, seed)
            .map_err(|_| ClientError::Cancelled)?;
        let begun = Instant::now();
        let stop = AtomicBool::new(false);
        let (search, stop) = (&search, &stop);
        std::thread::scope(|scope| {
            let this = std::thread::current();
            for _ in 0..self.threads.get() {
                let this = this.clone();
                scope.spawn(move || {
                    let mut worker = search.worker();
                    while !stop.load(Relaxed) && worker.step() == Progress::Searching {}
                    this.unpark();
                });
            }
            loop {
                let found = search.found();
                let wanted = progress(WorkProgress {
                    hashes_done: search.hashes_done(),
                    hashes_expected: search.expected_hashes(),
                    elapsed: begun.elapsed(),
                });
                if let Some(work) = found {
                    return Ok(work);
                }
                if !wanted {
                    stop.store(true, Relaxed);
                    return Err(ClientError::Cancelled);
                }
                std::thread::park_timeout(REPORT_EVERY);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use lf_proto::work::{TablePasses, verify};

    #[test]
    fn proofs_verify_and_searches_stop() {
        let work = Workers::default().search(&[1; 48], 100, &mut |_| true).unwrap();
        assert_eq!(work.difficulty(), 100);
        assert_eq!(verify(Table::shared(), &[1; 48], &work, TablePasses::NONE), Ok(()));
        let alone = Workers { threads: NonZeroUsize::MIN, memory_bytes_max: 1 << 16 };
        let work = alone.search(&[2; 48], 10, &mut |_| true).unwrap();
        assert_eq!(verify(Table::shared(), &[2; 48], &work, TablePasses::NONE), Ok(()));
        let stopped = Workers::default().search(&[1; 48], 0x0f7b_0000, &mut |_| false);
        assert!(matches!(stopped, Err(ClientError::Cancelled)));
    }

    #[test]
    fn speed_is_measured() {
        assert!(Workers::default().measure(Duration::from_millis(20)) > 1000.0);
        let workers = Workers::default();
        assert!(workers.expected_hashes(2000) > workers.expected_hashes(1000));
        let modest = Workers { memory_bytes_max: 1 << 20, ..workers };
        assert!(modest.expected_hashes(2000) > workers.expected_hashes(2000));
    }

    #[test]
    fn estimates() {
        let progress =
            |hashes_done| WorkProgress { hashes_done, hashes_expected: 400, elapsed: Duration::from_secs(2) };
        assert_eq!(progress(0).remaining(), None);
        assert_eq!(progress(100).remaining(), Some(Duration::from_secs(6)));
        assert_eq!(progress(401).remaining(), None);
    }
}
