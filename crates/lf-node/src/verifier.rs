//! The threads that make the costly checks of records (signatures, claims, work), one for each core.
//!
//! Whatever waits when a thread becomes free is checked together, up to a batch: a lone record is checked at once, and
//! under load batches fill by themselves, so nothing ever waits for a batch to fill. Lanes take turns, so that an import
//! of millions holds a request up for one batch at most. Records whose work takes seconds go to a thread of their own,
//! which rests most of the time: whoever sends such records fills only its queue.
//!
//! What is checked, and how, `core::accept` says.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use lf_proto::record::Record;

use crate::core::accept::{Refusal, SlowWork, Verdict, Verified};

/// Records checked together. More share little more, and hold requests up.
pub(crate) const BATCH_RECORDS: usize = 32;
/// Records that wait in a lane; beyond them senders wait.
const LANE_RECORDS_MAX: usize = 4_096;
/// Records that wait in the peers' lane; beyond them no more are taken. The senders bound what they have under way.
const PEER_RECORDS_MAX: usize = 1 << 16;
/// Jobs whose slow work waits; beyond them requests with such work are refused.
const SLOW_JOBS_MAX: usize = 16;
/// After slow work the thread rests so many times as long as it took: it takes a quarter of one core at most.
const SLOW_REST: u32 = 3;

/// Who is waiting for a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Somebody who posts a record.
    Request,
    /// A file that is read in.
    Import,
    /// A peer.
    Peer,
}

const LANES: usize = 3;

/// What a job's sender gets: one for each record, in order.
pub(crate) type Verdicts = Vec<Result<Verified, Refusal>>;

/// Takes the verdicts of a job, on the thread that made them. Dropped uncalled if the job is not done.
type Reply = Box<dyn FnOnce(Verdicts) + Send>;

/// How records are judged.
pub(crate) trait Judge: Send + Sync + 'static {
    /// One verdict for each record, in order.
    fn judge(&self, records: Vec<Record>) -> Vec<Verdict>;

    /// Whether a record's work holds, however long that takes.
    fn slow_work_holds(record: &Record) -> bool;
}

struct Job {
    lane: Lane,
    records: Vec<Record>,
    reply: Reply,
}

/// A job all of which is decided but for some work.
struct SlowJob {
    verdicts: Vec<Verdict>,
    reply: Reply,
}

#[derive(Default)]
struct Queue {
    lanes: [VecDeque<Job>; LANES],
    /// Records in each lane.
    waiting: [usize; LANES],
    /// The lane whose turn it is.
    turn: usize,
    closed: bool,
}

impl Queue {
    /// The next jobs, all of one lane.
    fn take(&mut self) -> Vec<Job> {
        let mut jobs = Vec::new();
        for lane in (0..LANES).map(|i| (self.turn + i) % LANES) {
            let mut records = 0;
            while records < BATCH_RECORDS
                && let Some(job) = self.lanes[lane].pop_front()
            {
                records += job.records.len();
                self.waiting[lane] -= job.records.len();
                jobs.push(job);
            }
            if !jobs.is_empty() {
                self.turn = lane + 1;
                break;
            }
        }
        jobs
    }
}

#[derive(Default)]
struct SlowQueue {
    jobs: VecDeque<SlowJob>,
    closed: bool,
}

/// A queue and those who wait for it to change.
#[derive(Default)]
struct Watched<T> {
    state: Mutex<T>,
    filled: Condvar,
    emptied: Condvar,
}

impl<T> Watched<T> {
    fn lock(&self) -> MutexGuard<'_, T> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, what: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        what.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads and what waits for them.
pub(crate) struct Verifier {
    queue: Arc<Watched<Queue>>,
    slow: Arc<Watched<SlowQueue>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Verifier {
    /// Starts one thread for each core, and one for slow work.
    ///
    /// # Errors
    /// The system gives no threads.
    pub(crate) fn start<J: Judge>(judge: J) -> std::io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let judge = Arc::new(judge);
        let verifier =
            Verifier { queue: Arc::default(), slow: Arc::default(), threads: Mutex::new(Vec::new()) };
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.to_owned()).spawn(run)
        };
        let mut threads = Vec::with_capacity(count);
        for _ in 0..count {
            let (judge, queue, slow) = (judge.clone(), verifier.queue.clone(), verifier.slow.clone());
            threads.push(spawn("lf-verify", Box::new(move || work(judge.as_ref(), &queue, &slow)))?);
        }
        // Not among those that a stop waits for: it may be busy for seconds.
        let slow = verifier.slow.clone();
        spawn("lf-verify-slow", Box::new(move || work_slowly::<J>(&slow)))?;
        *verifier.threads.lock().unwrap_or_else(PoisonError::into_inner) = threads;
        Ok(verifier)
    }

    /// Has records checked; the verdicts come through the receiver, which is cut off if the threads stop before. Waits
    /// while the lane is full.
    pub(crate) fn check(&self, lane: Lane, records: Vec<Record>) -> Receiver<Verdicts> {
        let (reply, verdicts) = sync_channel(1);
        let mut queue = self.queue.lock();
        while queue.waiting[lane as usize] >= LANE_RECORDS_MAX && !queue.closed {
            queue = self.queue.wait(&self.queue.emptied, queue);
        }
        let reply = Box::new(move |verdicts| {
            // Nobody waits any more only if they gave up.
            let _ = reply.send(verdicts);
        });
        self.push(queue, Job { lane, records, reply });
        verdicts
    }

    /// Has a peer's records checked, never waiting: `reply` is called on a thread that checks, or dropped if too many
    /// wait already or the threads stop before.
    pub(crate) fn check_for_peer(&self, records: Vec<Record>, reply: impl FnOnce(Verdicts) + Send + 'static) {
        let queue = self.queue.lock();
        if queue.waiting[Lane::Peer as usize] < PEER_RECORDS_MAX {
            self.push(queue, Job { lane: Lane::Peer, records, reply: Box::new(reply) });
        }
    }

    fn push(&self, mut queue: MutexGuard<'_, Queue>, job: Job) {
        if !queue.closed {
            queue.waiting[job.lane as usize] += job.records.len();
            queue.lanes[job.lane as usize].push_back(job);
            drop(queue);
            self.queue.filled.notify_one();
        }
    }

    /// Stops the threads and waits for them. What waits is not checked any more.
    pub(crate) fn stop(&self) {
        self.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // One that hit a bug is gone all the same.
            let _ = thread.join();
        }
    }

    fn close(&self) {
        let mut queue = self.queue.lock();
        queue.closed = true;
        let waiting = std::mem::take(&mut queue.lanes);
        drop(queue);
        let mut slow = self.slow.lock();
        slow.closed = true;
        let waiting_slow = std::mem::take(&mut slow.jobs);
        drop(slow);
        // Without the locks: whoever waits is told, and may do anything.
        drop((waiting, waiting_slow));
        for condition in [&self.queue.filled, &self.queue.emptied, &self.slow.filled] {
            condition.notify_all();
        }
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        self.close();
    }
}

/// A thread for ordinary records.
fn work(judge: &impl Judge, queue: &Watched<Queue>, slow: &Watched<SlowQueue>) {
    loop {
        let mut guard = queue.lock();
        let mut jobs = loop {
            if guard.closed {
                return;
            }
            let jobs = guard.take();
            if !jobs.is_empty() {
                break jobs;
            }
            guard = queue.wait(&queue.filled, guard);
        };
        drop(guard);
        queue.emptied.notify_all();
        let counts: Vec<usize> = jobs.iter().map(|job| job.records.len()).collect();
        let records = jobs.iter_mut().flat_map(|job| std::mem::take(&mut job.records)).collect();
        // A bug costs those who are waiting an answer, not the thread.
        let Ok(verdicts) = catch_unwind(AssertUnwindSafe(|| judge.judge(records))) else {
            tracing::error!("checking records hit a bug");
            continue;
        };
        let mut verdicts = verdicts.into_iter();
        for (job, count) in jobs.into_iter().zip(counts) {
            let verdicts = verdicts.by_ref().take(count).collect();
            answer(job.lane, SlowJob { verdicts, reply: job.reply }, slow);
        }
    }
}

/// Answers a job, or hands it on if there is slow work in it.
fn answer(lane: Lane, job: SlowJob, slow: &Watched<SlowQueue>) {
    if !job.verdicts.iter().any(|verdict| matches!(verdict, Verdict::SlowWork(_))) {
        return job.decide(|slow| Err(slow.refuse()));
    }
    let mut queue = slow.lock();
    // An import has a bounded number of jobs under way and may take its time.
    if lane != Lane::Import && queue.jobs.len() >= SLOW_JOBS_MAX {
        drop(queue);
        return job.decide(|slow| Err(slow.refuse()));
    }
    if !queue.closed {
        queue.jobs.push_back(job);
        drop(queue);
        slow.filled.notify_one();
    }
}

impl SlowJob {
    /// Sends the verdicts, with what `decide` makes of slow work.
    fn decide(self, mut decide: impl FnMut(SlowWork) -> Result<Verified, Refusal>) {
        let decided = |verdict| match verdict {
            Verdict::Accepted(verified) => Ok(verified),
            Verdict::Refused(refusal) => Err(refusal),
            Verdict::SlowWork(slow) => decide(slow),
        };
        (self.reply)(self.verdicts.into_iter().map(decided).collect());
    }
}

/// The thread for slow work.
fn work_slowly<J: Judge>(slow: &Watched<SlowQueue>) {
    let mut guard = slow.lock();
    loop {
        if guard.closed {
            return;
        }
        let Some(job) = guard.jobs.pop_front() else {
            guard = slow.wait(&slow.filled, guard);
            continue;
        };
        drop(guard);
        let begun = Instant::now();
        let decide = |work: SlowWork| {
            let holds = J::slow_work_holds(work.record());
            work.decide(holds)
        };
        if catch_unwind(AssertUnwindSafe(|| job.decide(decide))).is_err() {
            tracing::error!("verifying work hit a bug");
        }
        guard = rest(slow, begun);
    }
}

/// Waits so many times as long as the work that `begun` then took, or until the end.
fn rest(slow: &Watched<SlowQueue>, begun: Instant) -> MutexGuard<'_, SlowQueue> {
    let until = Instant::now() + begun.elapsed() * SLOW_REST;
    let mut guard = slow.lock();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if guard.closed || left.is_zero() {
            return guard;
        }
        guard = slow.filled.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use lf_proto::owner::{OwnerSecret, OwnerType};
    use lf_proto::record::{RecordBuilder, RecordType};
    use lf_proto::work::{TablePasses, Work, WorkError};

    use super::*;
    use crate::core::accept::verify_all;
    use crate::core::{NoCertificates, Rules};

    const GOOD: u64 = 1;
    const SLOW: u64 = 2;
    const BAD: u64 = 3;
    const BUG: u64 = 4;

    /// Whoever holds it holds slow work up.
    static GATE: Mutex<()> = Mutex::new(());

    /// A record whose timestamp says what its work is like.
    fn record(kind: u64, value: u8) -> Record {
        let owner = OwnerSecret::from_seed(OwnerType::Ed25519, b"verifier");
        let builder = RecordBuilder {
            record_type: RecordType::Datum,
            value: &[value],
            masking_key: Some(b""),
            selectors: &[],
            links: &[],
            timestamp: kind,
            with_pulse_token: false,
        };
        builder.build(&owner).unwrap().sign(&owner, Some(Work::new([kind, value.into()], u32::MAX)))
    }

    #[derive(Default)]
    struct Fake {
        largest: Arc<AtomicUsize>,
    }

    impl Judge for Fake {
        fn judge(&self, records: Vec<Record>) -> Vec<Verdict> {
            self.largest.fetch_max(records.len(), Ordering::Relaxed);
            assert!(records.iter().all(|r| r.timestamp() != BUG), "the bug of this test");
            let parameters = lf_proto::genesis::GenesisParameters::default();
            let owner = *records[0].owner();
            let rules = Rules {
                parameters: &parameters,
                genesis_owner: &owner,
                local_test: false,
                certificates: &NoCertificates,
            };
            verify_all(records, &rules, |proofs| {
                let one = |(_, work): &(&[u8; 48], Work)| match work.colliders()[0] {
                    GOOD => Ok(()),
                    SLOW => Err(WorkError::TablePasses { needed: TablePasses::ALL.0 }),
                    _ => Err(WorkError::NoCollision),
                };
                proofs.iter().map(one).collect()
            })
        }

        fn slow_work_holds(record: &Record) -> bool {
            let _gate = GATE.lock().unwrap_or_else(PoisonError::into_inner);
            record.value_bytes() > 0 && record.work().unwrap().colliders()[1] != 0
        }
    }

    fn kinds(verdicts: &Verdicts) -> Vec<bool> {
        verdicts.iter().map(Result::is_ok).collect()
    }

    #[test]
    fn verdicts_come_in_order_whatever_the_kind() {
        let verifier = Verifier::start(Fake::default()).unwrap();
        let mixed = [record(GOOD, 1), record(SLOW, 1), record(BAD, 1), record(SLOW, 0), record(GOOD, 2)];
        let hashes: Vec<_> = mixed.iter().map(Record::hash).collect();
        let slow = verifier.check(Lane::Import, mixed.to_vec());
        let fast: Vec<_> = (0..200).map(|i| verifier.check(Lane::Request, vec![record(GOOD, i)])).collect();
        for (i, verdicts) in fast.into_iter().enumerate() {
            let verdicts = verdicts.recv().unwrap();
            assert_eq!(verdicts[0].as_ref().unwrap().record, record(GOOD, i as u8));
        }
        let slow = slow.recv().unwrap();
        assert_eq!(kinds(&slow), [true, true, false, false, true]);
        for i in [0, 1, 4] {
            assert_eq!(slow[i].as_ref().unwrap().record.hash(), hashes[i]);
            assert!(slow[i].as_ref().unwrap().work_verified);
        }
        verifier.stop();
    }

    #[test]
    fn a_flood_of_slow_work_is_refused_and_delays_nobody_else() {
        let verifier = Verifier::start(Fake::default()).unwrap();
        let gate = GATE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut flood: Vec<_> =
            (0..=255).map(|i| verifier.check(Lane::Request, vec![record(SLOW, i)])).collect();
        assert!(verifier.check(Lane::Request, vec![record(GOOD, 1)]).recv().unwrap()[0].is_ok());
        let refused = |verdicts: &Verdicts| matches!(&verdicts[0], Err(Refusal::WorkUndecided { .. }));
        // One may be with the slow thread, and the queue is full.
        while flood.len() > SLOW_JOBS_MAX + 1 {
            flood.retain(|verdicts| match verdicts.try_recv() {
                Ok(verdicts) => {
                    assert!(refused(&verdicts));
                    false
                }
                Err(_) => true,
            });
            std::thread::yield_now();
        }
        drop(gate);
        // Those that found a place are judged. One of them may have found the queue full just before.
        let judged = flood.into_iter().map(|verdicts| verdicts.recv().unwrap());
        assert!(judged.filter(|verdicts| !refused(verdicts)).count() >= SLOW_JOBS_MAX);
    }

    #[test]
    fn a_bug_and_a_stop_cut_off_only_who_waits() {
        let fake = Fake::default();
        let largest = fake.largest.clone();
        let verifier = Verifier::start(fake).unwrap();
        assert!(verifier.check(Lane::Request, vec![record(BUG, 0)]).recv().is_err());
        let batches: Vec<_> =
            (0..20).map(|i| verifier.check(Lane::Import, vec![record(GOOD, i); BATCH_RECORDS])).collect();
        for verdicts in batches {
            assert_eq!(verdicts.recv().unwrap().len(), BATCH_RECORDS);
        }
        assert!(largest.load(Ordering::Relaxed) < 2 * BATCH_RECORDS);
        verifier.stop();
        assert!(verifier.check(Lane::Request, vec![record(GOOD, 0)]).recv().is_err());
    }

    #[test]
    fn lanes_take_turns() {
        let mut queue = Queue::default();
        let mut push = |lane: Lane, count: usize| {
            queue.waiting[lane as usize] += count;
            let records = vec![record(GOOD, 0); count];
            queue.lanes[lane as usize].push_back(Job { lane, records, reply: Box::new(drop) });
        };
        (0..3).for_each(|_| push(Lane::Import, BATCH_RECORDS));
        (0..40).for_each(|_| push(Lane::Request, 1));
        (0..2).for_each(|_| push(Lane::Peer, BATCH_RECORDS));
        let order: Vec<_> = std::iter::from_fn(|| {
            let jobs = queue.take();
            let records: usize = jobs.iter().map(|job| job.records.len()).sum();
            jobs.first().map(|job| (job.lane, records))
        })
        .collect();
        use Lane::{Import, Peer, Request};
        let first = [(Request, 32), (Import, 32), (Peer, 32), (Request, 8)];
        assert_eq!(order[..4], first);
        assert_eq!(order[4..], [(Import, 32), (Peer, 32), (Import, 32)]);
        assert_eq!(queue.waiting, [0, 0, 0]);
    }
}
