//! The graph's writer: weights and tips take what the index has linked, in its order.
//!
//! It is a stage of its own because it may be the slowest: with a thread ([`Growth::start_thread`]) the store's writer goes
//! on with the next batch meanwhile. Nobody is told that a batch is stored before the graph has it.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard, TryLockError};
use std::thread::JoinHandle;

use crate::apply::NewlyLinked;
use crate::rows::RowError;
use crate::store::StoreError;
use crate::view::{Graph, Shared, read};
use crate::weights::Progress;
use crate::writer::WRITER_NICENESS;

/// Steps that may wait for the thread; beyond them the store's writer waits.
const QUEUE_STEPS: usize = 4;
/// Records raised under the graph's lock at a time.
const RAISE_RECORDS: usize = 1_024;
/// Attempts at having the graph alone before waiting in line: some ten microseconds.
const WRITE_TRIES: usize = 1_000;

/// What one commit of the index has linked.
pub(crate) struct Step {
    /// The index of the first.
    pub(crate) first: u32,
    pub(crate) linked: Vec<NewlyLinked>,
    /// Indexes of records that new ones may link to from now on.
    pub(crate) raised: Vec<u32>,
}

/// Told whether everything before it is in the graph.
type Then = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

enum Task {
    Step(Step),
    Then(Then),
}

/// The first failure: after it the graph takes nothing until it is made good.
type Failed = Arc<Mutex<Option<StoreError>>>;

/// Gives the graph its steps, in order.
pub(crate) struct Growth {
    shared: Arc<Shared>,
    failed: Failed,
    thread: Option<(SyncSender<Task>, JoinHandle<()>)>,
}

impl Growth {
    /// Without a thread: whoever gives a step takes it.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Growth { shared, failed: Failed::default(), thread: None }
    }

    /// From now on a thread takes the steps.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start_thread(&mut self) -> std::io::Result<()> {
        let (sender, tasks): (_, Receiver<Task>) = sync_channel(QUEUE_STEPS);
        let (shared, failed) = (Arc::clone(&self.shared), Arc::clone(&self.failed));
        let run = move || {
            lf_platform::lower_priority(WRITER_NICENESS);
            tasks.iter().for_each(|task| run(&shared, &failed, task));
        };
        let thread = std::thread::Builder::new().name("lf-graph".to_owned()).spawn(run)?;
        self.thread = Some((sender, thread));
        Ok(())
    }

    fn give_task(&self, task: Task) {
        match &self.thread {
            // A thread that is gone has hit a bug: what it drops answers with an error, and so does what comes next.
            Some((sender, _)) => drop(sender.send(task)),
            None => run(&self.shared, &self.failed, task),
        }
    }

    /// The graph's next step. Whether it was taken, [`then`](Self::then) and its like tell.
    pub(crate) fn give(&self, step: Step) {
        self.give_task(Task::Step(step));
    }

    /// Has `then` called once everything given before is in the graph, or has failed.
    pub(crate) fn then(&self, then: impl FnOnce(Result<(), StoreError>) + Send + 'static) {
        self.give_task(Task::Then(Box::new(then)));
    }

    /// Waits until everything given before is in the graph.
    ///
    /// # Errors
    /// What was given does not fit the graph: the index is damaged.
    pub(crate) fn wait(&self) -> Result<(), StoreError> {
        if self.thread.is_none() {
            return self.check();
        }
        let (sender, done) = sync_channel(1);
        // Nobody waits any more only if this thread is gone.
        self.then(move |result| drop(sender.send(result)));
        done.recv().unwrap_or(Err(StoreError::Closed))
    }

    /// Whether something has failed so far.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        failure(&self.failed).as_ref().map_or(Ok(()), |e| Err(e.clone()))
    }

    /// Waits, and forgets what failed: the graph is about to be made good.
    pub(crate) fn reset(&self) {
        let _ = self.wait();
        *failure(&self.failed) = None;
    }
}

impl Drop for Growth {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.thread.take() {
            drop(sender);
            // One that hit a bug is gone all the same.
            let _ = thread.join();
        }
    }
}

fn failure(failed: &Failed) -> std::sync::MutexGuard<'_, Option<StoreError>> {
    failed.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(shared: &Shared, failed: &Failed, task: Task) {
    let before = failure(failed).clone();
    match task {
        Task::Step(_) if before.is_some() => {}
        Task::Step(step) => {
            let taken = insert(&shared.graph, step.first, &step.linked, |index| shared.show(index));
            match taken {
                Ok(()) => raise(&shared.graph, &step.raised),
                Err(e) => *failure(failed) = Some(e),
            }
        }
        Task::Then(then) => then(before.map_or(Ok(()), Err)),
    }
}

/// The graph for a writer. Queries have it for less than a microsecond, so it is asked for again and again at first: a writer
/// that waits in line keeps new readers waiting until the system gives it a core, which can take milliseconds.
fn write(graph: &RwLock<Graph>) -> RwLockWriteGuard<'_, Graph> {
    for _ in 0..WRITE_TRIES {
        match graph.try_write() {
            Ok(guard) => return guard,
            Err(TryLockError::Poisoned(e)) => return e.into_inner(),
            Err(TryLockError::WouldBlock) => std::hint::spin_loop(),
        }
    }
    graph.write().unwrap_or_else(PoisonError::into_inner)
}

/// The graph with room for one more record. Its arrays are millions of records long: they are moved beside readers.
fn with_room<'a>(
    graph: &'a RwLock<Graph>,
    guard: RwLockWriteGuard<'a, Graph>,
) -> RwLockWriteGuard<'a, Graph> {
    if guard.weights.has_room() && guard.tips.has_room() {
        return guard;
    }
    drop(guard);
    let (mut weights, mut tips) = {
        let graph = read(graph);
        (graph.weights.room(), graph.tips.room())
    };
    let mut guard = write(graph);
    guard.weights.take_room(&mut weights);
    guard.tips.take_room(&mut tips);
    drop(guard);
    // Giving memory back takes a while, too.
    drop((weights, tips));
    write(graph)
}

/// Adds records to weights and tips, the first of which has the index `first`; one that is there already must be the
/// same. `inserted` is told each. Readers are kept out only while a cover is applied.
///
/// # Errors
/// They do not fit: the index is damaged, as the graph's own rules admit nothing else.
pub(crate) fn insert(
    graph: &RwLock<Graph>,
    first: u32,
    records: &[NewlyLinked],
    mut inserted: impl FnMut(u32),
) -> Result<(), StoreError> {
    let broken = || StoreError::from(RowError('r'));
    let mut guard = write(graph);
    for (index, new) in (first..).zip(records) {
        if index < guard.weights.len() {
            if guard.weights.links(index) != Some(&new.links[..]) {
                return Err(broken());
            }
            inserted(index);
            continue;
        }
        guard = with_room(graph, guard);
        let begun = guard.weights.begin_insert(&new.links, new.score, new.eligible);
        let mut insert = begun.ok().filter(|_| index == guard.weights.len()).ok_or_else(broken)?;
        loop {
            drop(guard);
            insert.look(&read(graph).weights);
            guard = write(graph);
            if let Progress::Done(_) = guard.weights.advance(&mut insert).map_err(|_| broken())? {
                break;
            }
        }
        guard.tips.push(&new.links, new.eligible);
        inserted(index);
    }
    Ok(())
}

/// New records may link to these from now on.
pub(crate) fn raise(graph: &RwLock<Graph>, raised: &[u32]) {
    for some in raised.chunks(RAISE_RECORDS) {
        let mut guard = write(graph);
        let Graph { weights, tips } = &mut *guard;
        for index in some {
            tips.raise(*index, weights.links(*index).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use lf_proto::hash::Hash;

    use super::*;
    use crate::selftest::{Synthetic, options};
    use crate::store::Store;

    fn step(first: u32, links: &[u32]) -> Step {
        let linked = NewlyLinked { hash: Hash([9; 32]), links: links.to_vec(), score: 1, eligible: true };
        Step { first, linked: vec![linked], raised: Vec::new() }
    }

    #[test]
    fn after_what_does_not_fit_nothing_is_taken_until_it_is_made_good() {
        for threaded in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let genesis = Synthetic::new(1).genesis().clone();
            let (store, _) = Store::open(options(directory.path(), &genesis).unwrap()).unwrap();
            let shared = Arc::clone(&store.shared);
            let mut growth = Growth::new(Arc::clone(&shared));
            if threaded {
                growth.start_thread().unwrap();
            }
            let linked = || (read(&shared.graph).weights.len(), store.reader().view().linked());
            growth.give(step(1, &[0]));
            growth.wait().unwrap();
            assert_eq!(linked(), (2, 2));
            growth.give(step(1, &[0])); // The log said it again: it is there already.
            growth.wait().unwrap();
            growth.give(step(3, &[0]));
            growth.give(step(2, &[1]));
            assert!(growth.wait().is_err() && growth.check().is_err());
            let (sender, told) = sync_channel(1);
            growth.then(move |result| sender.send(result.is_ok()).unwrap());
            assert!(!told.recv().unwrap());
            assert_eq!(linked(), (2, 2));
            growth.reset();
            growth.give(step(2, &[1]));
            growth.wait().unwrap();
            assert_eq!(linked(), (3, 3));
            growth.give(step(2, &[0]));
            assert!(growth.wait().is_err(), "another record with that index");
        }
    }

    #[test]
    fn a_store_whose_graph_does_not_fit_makes_its_index_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut synthetic = Synthetic::new(1);
        let genesis = synthetic.genesis().clone();
        let (mut store, _) = Store::open(options(directory.path(), &genesis).unwrap()).unwrap();
        let records = synthetic.batch(20);
        store.apply(&records[..10], &[]).unwrap();
        store.growth.give(step(99, &[0]));
        store.apply(&records[10..], &[]).unwrap();
        let view = store.reader().view();
        assert_eq!(view.linked(), 21);
        for put in &records {
            assert!(matches!(view.standing(&put.record.hash()), Ok(Some(crate::Stored::Linked(_)))));
        }
        drop(view);
        store.close().unwrap();
    }
}
