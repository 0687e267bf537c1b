//! The threads that make the costly checks of records (signatures, claims, work), for each lane one for each core.
//!
//! Whatever waits when a thread becomes free is checked together, up to a batch: a lone record is checked at once, and
//! under load batches fill by themselves, so nothing ever waits for a batch to fill. The threads for what comes in bulk
//! have a low priority: they are to take what time the cores have left, and above all not to take it from the store's
//! threads, whose priority is itself lower than that of requests. Records whose work takes seconds go to a thread of
//! their own, which rests most of the time: whoever sends such records fills only its queue.
//!
//! What is checked, and how, `core::accept` says.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use lf_proto::record::Record;
use lf_store::WRITER_NICENESS;

use crate::core::accept::{Refusal, SlowWork, Verdict, Verified};

/// Records checked together: more share little more.
pub(crate) const BATCH_RECORDS: usize = 64;
/// Records that wait in a lane; beyond them senders wait.
const LANE_RECORDS_MAX: usize = 8_192;
/// Records that wait in each of the peers' lanes; beyond them no more are taken. The senders bound what they have under way.
const PEER_RECORDS_MAX: usize = 1 << 16;
/// How far below requests the threads for what comes in bulk are, in steps of niceness, and also below the store's threads
/// ([`WRITER_NICENESS`]), which get seven times as much when there is not enough for all: were they to share alike, what
/// is checked would pile up before the writer, and the threads would wait for it. They still get on beside programs that
/// never rest.
const BULK_NICENESS: i32 = lf_platform::NICENESS_LEAST;
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
    /// A peer that sends a few records: news, which spread by being passed on.
    News,
    /// A peer that sends many.
    Peer,
}

impl Lane {
    const ALL: [Lane; 4] = [Lane::Request, Lane::Import, Lane::News, Lane::Peer];

    fn thread_name(self) -> &'static str {
        match self {
            Lane::Request => "lf-verify",
            Lane::Import => "lf-verify-bulk",
            Lane::News => "lf-verify-news",
            Lane::Peer => "lf-verify-peer",
        }
    }

    /// How far below requests, in steps of niceness.
    fn niceness(self) -> i32 {
        match self {
            Lane::Request => 0,
            Lane::News => WRITER_NICENESS,
            Lane::Import | Lane::Peer => BULK_NICENESS,
        }
    }
}

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
    jobs: VecDeque<Job>,
    /// Records in them.
    waiting: usize,
    closed: bool,
}

impl Queue {
    /// The next jobs, a batch of records or a little more.
    fn take(&mut self) -> Vec<Job> {
        let (mut jobs, mut records) = (Vec::new(), 0);
        while records < BATCH_RECORDS
            && let Some(job) = self.jobs.pop_front()
        {
            records += job.records.len();
            jobs.push(job);
        }
        self.waiting -= records;
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
    /// One for each lane.
    queues: [Arc<Watched<Queue>>; Lane::ALL.len()],
    slow: Arc<Watched<SlowQueue>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Verifier {
    /// Starts one thread for each core and lane, and one for slow work.
    ///
    /// # Errors
    /// The system gives no threads.
    pub(crate) fn start<J: Judge>(judge: J) -> std::io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let judge = Arc::new(judge);
        let verifier =
            Verifier { queues: Default::default(), slow: Arc::default(), threads: Mutex::new(Vec::new()) };
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.to_owned()).spawn(run)
        };
        let mut threads = Vec::with_capacity(count * Lane::ALL.len());
        for lane in Lane::ALL.iter().copied().cycle().take(count * Lane::ALL.len()) {
            let (judge, slow) = (judge.clone(), verifier.slow.clone());
            let queue = Arc::clone(verifier.queue(lane));
            let run = move || {
                lf_platform::lower_priority(lane.niceness());
                work(judge.as_ref(), lane, &queue, &slow);
            };
            threads.push(spawn(lane.thread_name(), Box::new(run))?);
        }
        // Not among those that a stop waits for: it may be busy for seconds.
        let slow = verifier.slow.clone();
        spawn("lf-verify-slow", Box::new(move || work_slowly::<J>(&slow)))?;
        *verifier.threads.lock().unwrap_or_else(PoisonError::into_inner) = threads;
        Ok(verifier)
    }

    fn queue(&self, lane: Lane) -> &Arc<Watched<Queue>> {
        let [request, import, news, peer] = &self.queues;
        match lane {
            Lane::Request => request,
            Lane::Import => import,
            Lane::News => news,
            Lane::Peer => peer,
        }
    }

    /// Has records checked; the verdicts come through the receiver, which is cut off if the threads stop before. Waits
    /// while the lane is full.
    pub(crate) fn check(&self, lane: Lane, records: Vec<Record>) -> Receiver<Verdicts> {
        let (reply, verdicts) = sync_channel(1);
        let watched = self.queue(lane);
        let mut queue = watched.lock();
        while queue.waiting >= LANE_RECORDS_MAX && !queue.closed {
            queue = watched.wait(&watched.emptied, queue);
        }
        let reply = Box::new(move |verdicts| {
            // Nobody waits any more only if they gave up.
            let _ = reply.send(verdicts);
        });
        push(watched, queue, Job { records, reply });
        verdicts
    }

    /// Has a peer's records checked, never waiting; fewer than a batch are taken for news. `reply` is called on a thread that checks, or dropped if too many
    /// wait already or the threads stop before.
    pub(crate) fn check_for_peer(&self, records: Vec<Record>, reply: impl FnOnce(Verdicts) + Send + 'static) {
        let lane = if records.len() < BATCH_RECORDS { Lane::News } else { Lane::Peer };
        let watched = self.queue(lane);
        let queue = watched.lock();
        if queue.waiting < PEER_RECORDS_MAX {
            push(watched, queue, Job { records, reply: Box::new(reply) });
        }
    }

    /// Records that wait to be checked: of clients, imports included, and of peers.
    pub(crate) fn waiting(&self) -> [usize; 2] {
        let [request, import, news, peer] = self.queues.each_ref().map(|watched| watched.lock().waiting);
        [request + import, news + peer]
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
        for watched in &self.queues {
            let waiting = std::mem::replace(&mut *watched.lock(), Queue { closed: true, ..Queue::default() });
            // Without the lock: whoever waits is told, and may do anything.
            drop(waiting);
            watched.filled.notify_all();
            watched.emptied.notify_all();
        }
        let mut slow = self.slow.lock();
        slow.closed = true;
        let waiting = std::mem::take(&mut slow.jobs);
        drop(slow);
        drop(waiting);
        self.slow.filled.notify_all();
    }
}

fn push(watched: &Watched<Queue>, mut queue: MutexGuard<'_, Queue>, job: Job) {
    if !queue.closed {
        queue.waiting += job.records.len();
        queue.jobs.push_back(job);
        drop(queue);
        watched.filled.notify_one();
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        self.close();
    }
}

/// A thread for ordinary records of a lane.
fn work(judge: &impl Judge, lane: Lane, queue: &Watched<Queue>, slow: &Watched<SlowQueue>) {
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
            answer(lane, SlowJob { verdicts, reply: job.reply }, slow);
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
    fn batches_fill_by_themselves() {
        let mut queue = Queue::default();
        for count in [1, BATCH_RECORDS, 1, 1].into_iter().chain(std::iter::repeat_n(1, BATCH_RECORDS)) {
            queue.waiting += count;
            queue.jobs.push_back(Job { records: vec![record(GOOD, 0); count], reply: Box::new(drop) });
        }
        let taken: Vec<usize> = std::iter::from_fn(|| {
            let jobs = queue.take();
            (!jobs.is_empty()).then(|| jobs.iter().map(|job| job.records.len()).sum())
        })
        .collect();
        assert_eq!(taken, [BATCH_RECORDS + 1, BATCH_RECORDS, 2]);
        assert_eq!(queue.waiting, 0);
    }

    /// Neither whoever posts a record nor a peer's news wait for an import or a first sync, even if nothing of it is ever done.
    #[test]
    fn what_comes_in_bulk_holds_no_request_and_no_news_up() {
        struct Stuck(Arc<Mutex<()>>);
        impl Judge for Stuck {
            fn judge(&self, records: Vec<Record>) -> Vec<Verdict> {
                if records.iter().any(|r| r.timestamp() == SLOW) {
                    let _gate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                }
                Fake::default().judge(records)
            }
            fn slow_work_holds(_: &Record) -> bool {
                true
            }
        }
        let gate = Arc::new(Mutex::new(()));
        let verifier = Verifier::start(Stuck(Arc::clone(&gate))).unwrap();
        let held = gate.lock().unwrap();
        let import: Vec<_> =
            (0..50).map(|i| verifier.check(Lane::Import, vec![record(SLOW, i); BATCH_RECORDS])).collect();
        let (reply, first_sync) = sync_channel(50);
        for i in 0..50 {
            let reply = reply.clone();
            let answer = move |verdicts: Verdicts| reply.send(verdicts.len()).unwrap();
            verifier.check_for_peer(vec![record(SLOW, i); BATCH_RECORDS], answer);
        }
        assert!(verifier.check(Lane::Request, vec![record(GOOD, 1)]).recv().unwrap()[0].is_ok());
        let (reply, news) = sync_channel(1);
        verifier.check_for_peer(vec![record(GOOD, 2)], move |verdicts| reply.send(verdicts).unwrap());
        assert!(news.recv().unwrap()[0].is_ok());
        drop(held);
        for verdicts in import {
            assert_eq!(verdicts.recv().unwrap().len(), BATCH_RECORDS);
        }
        assert_eq!(first_sync.iter().take(50).sum::<usize>(), 50 * BATCH_RECORDS);
    }
}
