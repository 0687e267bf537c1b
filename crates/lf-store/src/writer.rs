//! Group commit: any number of callers hand records to one thread, which stores what has come together with one fsync.
//! The graph's thread, which comes after it, answers each of them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use lf_proto::pulse::Pulse;

use crate::store::{Put, PutOutcome, SettledName, Store, StoreError};

/// Jobs that may wait; beyond them callers wait.
const QUEUE_JOBS_MAX: usize = 1_024;
/// A batch is closed at this many records.
const BATCH_RECORDS_MAX: usize = 8_192;
/// A batch is closed at this many bytes.
const BATCH_BYTES_MAX: usize = 16 << 20;
/// Contested names settled at a time.
const SETTLE_NAMES: usize = 1_000;
/// How far below queries the threads that write are, the engine's among them, in steps of niceness: a tenth of the time when
/// there is not enough for all. They are busy for long during an import, and of two threads with the same priority the
/// system lets the one that runs go on for milliseconds: whoever asks something would wait for that.
pub const WRITER_NICENESS: i32 = 10;
/// How long the writer is idle before it looks whether a checkpoint is due.
const IDLE: Duration = Duration::from_millis(500);

/// The answer to a job: one outcome for each record, or one flag for each pulse.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// One for each record, in order.
    pub records: Vec<PutOutcome>,
    /// One for each pulse: whether it was news.
    pub pulses: Vec<bool>,
}

type Reply = Box<dyn FnOnce(Result<Answer, StoreError>) + Send>;

struct Job {
    puts: Vec<Put>,
    pulses: Vec<(u64, Pulse)>,
    reply: Reply,
}

type SettleReply = Box<dyn FnOnce(Result<Vec<SettledName>, StoreError>) + Send>;

enum Message {
    Job(Job),
    Settle(SettleReply),
    Stop,
}

/// Hands records to the writer's thread. Cheap to clone.
#[derive(Clone)]
pub struct StoreWriter {
    sender: SyncSender<Message>,
}

impl std::fmt::Debug for StoreWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreWriter")
    }
}

/// The writer's thread.
#[derive(Debug)]
pub struct WriterThread {
    writer: StoreWriter,
    thread: JoinHandle<Result<(), StoreError>>,
}

impl StoreWriter {
    /// Queues records and pulses; `reply` is called on a thread of the store's once they are durable and readers see them,
    /// or they have failed.
    /// Waits while the queue is full.
    pub fn submit(
        &self,
        puts: Vec<Put>,
        pulses: Vec<(u64, Pulse)>,
        reply: impl FnOnce(Result<Answer, StoreError>) + Send + 'static,
    ) {
        let job = Message::Job(Job { puts, pulses, reply: Box::new(reply) });
        if let Err(std::sync::mpsc::SendError(Message::Job(job))) = self.sender.send(job) {
            (job.reply)(Err(StoreError::Closed));
        }
    }

    /// As [`StoreWriter::submit`], but does not wait: returns whether there was a place in the queue.
    pub fn try_submit(
        &self,
        puts: Vec<Put>,
        pulses: Vec<(u64, Pulse)>,
        reply: impl FnOnce(Result<Answer, StoreError>) + Send + 'static,
    ) -> bool {
        match self.sender.try_send(Message::Job(Job { puts, pulses, reply: Box::new(reply) })) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => false,
            Err(TrySendError::Disconnected(Message::Job(job))) => {
                (job.reply)(Err(StoreError::Closed));
                true
            }
            Err(TrySendError::Disconnected(Message::Stop | Message::Settle(_))) => true,
        }
    }

    /// Queues the settlement of some contested names ([`Store::settle_names`]); `reply` is called on the writer's thread.
    /// Waits while the queue is full.
    pub fn settle_names(&self, reply: impl FnOnce(Result<Vec<SettledName>, StoreError>) + Send + 'static) {
        if let Err(std::sync::mpsc::SendError(Message::Settle(reply))) =
            self.sender.send(Message::Settle(Box::new(reply)))
        {
            reply(Err(StoreError::Closed));
        }
    }

    /// Stores records and pulses and waits until they are durable.
    ///
    /// # Errors
    /// As [`Store::apply`].
    pub fn put(&self, puts: Vec<Put>, pulses: Vec<(u64, Pulse)>) -> Result<Answer, StoreError> {
        let (sender, receiver) = sync_channel(1);
        self.submit(puts, pulses, move |answer| {
            // Nobody waits any more only if the caller's thread is gone.
            let _ = sender.send(answer);
        });
        receiver.recv().unwrap_or(Err(StoreError::Closed))
    }
}

impl WriterThread {
    /// Starts the writer's thread, and the graph's. `on_linked` is told, on the latter, which indexes became linked, after
    /// their writers were answered.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn start(
        mut store: Store,
        on_linked: impl Fn(Range<u32>) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE_JOBS_MAX);
        store.start_graph_thread()?;
        let on_linked = Arc::new(on_linked);
        let run = move || {
            lf_platform::lower_priority(WRITER_NICENESS);
            run(store, &receiver, &on_linked)
        };
        let thread = std::thread::Builder::new().name("lf-store".to_owned()).spawn(run)?;
        Ok(WriterThread { writer: StoreWriter { sender }, thread })
    }

    /// A handle for callers.
    pub fn writer(&self) -> StoreWriter {
        self.writer.clone()
    }

    /// Stores what is queued, writes a checkpoint and closes the store.
    ///
    /// # Errors
    /// As [`Store::close`].
    pub fn stop(self) -> Result<(), StoreError> {
        // A thread that is gone needs no message.
        let _ = self.writer.sender.send(Message::Stop);
        self.thread.join().unwrap_or(Err(StoreError::Closed))
    }
}

fn run(
    mut store: Store,
    receiver: &Receiver<Message>,
    on_linked: &Arc<impl Fn(Range<u32>) + Send + Sync + 'static>,
) -> Result<(), StoreError> {
    let mut stopping = false;
    while !stopping {
        let mut jobs = Vec::new();
        let mut settle = None;
        match receiver.recv_timeout(IDLE) {
            Ok(Message::Job(job)) => jobs.push(job),
            Ok(Message::Settle(reply)) => settle = Some(reply),
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => stopping = true,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let (mut records, mut bytes) = (0, 0);
        while !stopping
            && settle.is_none()
            && !jobs.is_empty()
            && records < BATCH_RECORDS_MAX
            && bytes < BATCH_BYTES_MAX
        {
            if let Some(job) = jobs.last() {
                records += job.puts.len() + job.pulses.len();
                bytes += job.puts.iter().map(|p| p.record.as_bytes().len()).sum::<usize>();
            }
            match receiver.try_recv() {
                Ok(Message::Job(job)) => jobs.push(job),
                Ok(Message::Settle(reply)) => settle = Some(reply),
                Ok(Message::Stop) => stopping = true,
                Err(_) => break,
            }
        }
        if !jobs.is_empty() {
            store_jobs(&mut store, jobs, on_linked);
        }
        if let Some(reply) = settle {
            reply(store.settle_names(SETTLE_NAMES));
        }
        match store.mend().and_then(|()| store.checkpoint_if_due()) {
            // Whoever writes is told; said here it would be said twice a second.
            Ok(_) | Err(StoreError::DiskFull { .. }) => {}
            Err(e) => tracing::warn!("{e}"),
        }
    }
    store.close()
}

/// Stores all jobs as one batch; each is answered once readers see what it stored.
fn store_jobs(
    store: &mut Store,
    mut jobs: Vec<Job>,
    on_linked: &Arc<impl Fn(Range<u32>) + Send + Sync + 'static>,
) {
    let counts: Vec<usize> = jobs.iter().map(|job| job.puts.len()).collect();
    let puts: Vec<Put> = jobs.iter_mut().flat_map(|job| std::mem::take(&mut job.puts)).collect();
    let pulses: Vec<(u64, Pulse)> = jobs.iter().flat_map(|job| job.pulses.iter().copied()).collect();
    match store.apply_ahead(&puts, &pulses) {
        Ok(applied) => {
            let on_linked = Arc::clone(on_linked);
            store.when_seen(move |seen| {
                if let Err(e) = &seen {
                    tracing::error!("{e}");
                }
                let mut records = applied.records.into_iter();
                let mut news = applied.pulses.into_iter();
                for (job, count) in jobs.into_iter().zip(counts) {
                    let records = records.by_ref().take(count).collect();
                    let pulses = news.by_ref().take(job.pulses.len()).collect();
                    (job.reply)(seen.clone().map(|()| Answer { records, pulses }));
                }
                if seen.is_ok() && !applied.linked.is_empty() {
                    on_linked(applied.linked);
                }
            });
        }
        // One job with records that would have to wait must not keep the others from being stored.
        Err(StoreError::PendingFull { .. }) if jobs.len() > 1 => {
            let mut puts = puts.into_iter();
            for (mut job, count) in jobs.into_iter().zip(counts) {
                job.puts = puts.by_ref().take(count).collect();
                store_jobs(store, vec![job], on_linked);
            }
        }
        Err(e) => {
            tracing::error!("{e}");
            for job in jobs {
                (job.reply)(Err(e.clone()));
            }
        }
    }
}
