//! The whole store against disks that fail, fill up and lose power at every single operation, and against damage.
//!
//! `LF_CRASH_SEEDS` (default 2): how often each fault is tried, each time with different survivors.
#![allow(clippy::unwrap_used)]

#[path = "support/engine.rs"]
mod engine;
#[path = "support/model.rs"]
mod model;
#[path = "support/pool.rs"]
mod pool;

use std::io::ErrorKind;
use std::sync::Arc;

use engine::SimIndex;
use lf_store::engine::EngineErrorKind;
use lf_store::storage::{Fault, FaultEffect, Operation, SimStorage, Storage};
use lf_store::tools;
use lf_store::{IndexPlace, Put, Store, StoreError, StoreOptions, Stored};
use model::Model;
use pool::{Pool, Random, pool};

fn seeds() -> u64 {
    std::env::var("LF_CRASH_SEEDS").ok().and_then(|t| t.parse().ok()).unwrap_or(2)
}

fn options(disk: &SimStorage, index: &SimIndex, pool: &Pool) -> StoreOptions {
    let index = IndexPlace::Other(Arc::new(index.clone()));
    let storage = Arc::new(disk.clone()) as Arc<dyn Storage>;
    let mut options = StoreOptions::new(storage, index, pool.genesis.clone(), [5; 16]);
    options.log.segment_bytes_max = 1_500;
    options.checkpoint_records_min = 3;
    options.free_bytes_min = 0;
    options
}

/// Batches of a pool, slightly out of order so that records wait.
fn batches(pool: &Pool, random: &mut Random) -> Vec<Vec<Put>> {
    let mut puts = pool.puts.clone();
    for i in 0..puts.len() {
        if random.one_in(3) {
            let j = (i + random.below(6)).min(puts.len() - 1);
            puts.swap(i, j);
        }
    }
    let mut batches = Vec::new();
    while !puts.is_empty() {
        let count = (1 + random.below(7)).min(puts.len());
        batches.push(puts.drain(..count).collect());
    }
    batches
}

/// A store's life under one fault: goes on after every error and crash until all is stored. Everything acknowledged
/// must be there after each of them, and nothing else than what was being written.
struct Life<'a> {
    pool: &'a Pool,
    batches: Vec<Vec<Put>>,
    disk: SimStorage,
    index: SimIndex,
    model: Model,
    doubtful: Vec<Put>,
    next: usize,
    random: Random,
    context: String,
    errors: u32,
    crashes: u32,
}

impl<'a> Life<'a> {
    fn new(pool: &'a Pool, seed: u64, context: String) -> Self {
        let mut random = Random(seed);
        Life {
            pool,
            batches: batches(pool, &mut Random(7)),
            disk: SimStorage::new(random.next()),
            index: SimIndex::default(),
            model: Model::new(&pool.genesis),
            doubtful: Vec::new(),
            next: 0,
            random,
            context,
            errors: 0,
            crashes: 0,
        }
    }

    fn run(mut self) -> (u32, u32) {
        for _ in 0..100 {
            match self.work() {
                Ok(()) => {
                    self.finish();
                    return (self.errors, self.crashes);
                }
                Err(e) => {
                    self.errors += 1;
                    self.after(&e);
                }
            }
        }
        panic!("{}: does not get on", self.context);
    }

    fn after(&mut self, e: &StoreError) {
        // After a failed fsync only a restart of the machine tells what is on the disk (docs/src/FORMAT.md, known limits).
        let sync_failed = matches!(e, StoreError::Stopped(_)) || e.to_string().contains("cannot sync");
        if self.disk.is_dead() || sync_failed {
            self.crashes += 1;
            self.disk = self.disk.crash(self.random.next());
            self.index = self.index.crash(self.random.below(self.index.commits() + 1));
        }
    }

    fn work(&mut self) -> Result<(), StoreError> {
        let (mut store, _) = Store::open(options(&self.disk, &self.index, self.pool))?;
        self.alive()?;
        let view = store.reader().view();
        for put in std::mem::take(&mut self.doubtful) {
            if view.standing(&put.record.hash())?.is_some() {
                self.model.put(&put);
            }
        }
        drop(view);
        self.model.check_index(&store.reader(), &format!("{}, opened at batch {}", self.context, self.next));
        let mut retries = 0;
        while let Some(batch) = self.batches.get(self.next) {
            self.doubtful = batch.clone();
            match store.apply(batch, &[]) {
                Ok(_) => {
                    for put in batch {
                        self.model.put(put);
                    }
                    self.doubtful.clear();
                    self.next += 1;
                    retries = 0;
                }
                // What is not the end of it is tried again; in between, reading goes on.
                Err(e) if !self.disk.is_dead() && !matches!(e, StoreError::Stopped(_)) && retries < 3 => {
                    self.errors += 1;
                    retries += 1;
                }
                Err(e) => return Err(e),
            }
            // A checkpoint that cannot be written concerns nobody.
            let _ = store.checkpoint_if_due();
            self.alive()?;
        }
        self.model.check_index(&store.reader(), &format!("{}, at the end", self.context));
        let _ = store.close();
        self.alive()
    }

    /// A process does not outlive the power, even where it would not have noticed.
    fn alive(&self) -> Result<(), StoreError> {
        if self.disk.is_dead() { Err(StoreError::Closed) } else { Ok(()) }
    }

    fn finish(&mut self) {
        self.disk.clear_faults();
        let report = tools::check(&options(&self.disk, &self.index, self.pool)).unwrap();
        let context = &self.context;
        assert!(report.is_index_sound() && report.damaged_records_count == 0, "{context}: {report:?}");
        let (store, _) = Store::open(options(&self.disk, &self.index, self.pool)).unwrap();
        self.model.check(&store.reader(), &format!("{context}, reopened"));
        assert_eq!(self.model.stored().count(), self.pool.puts.len() + 2);
    }
}

fn crash_pool() -> Pool {
    pool(99, 44)
}

/// How many operations an undisturbed life takes.
fn operations(pool: &Pool) -> u64 {
    let mut life = Life::new(pool, 1, "undisturbed".to_owned());
    life.work().unwrap();
    let operations = life.disk.operations(None);
    assert_eq!(life.run(), (0, 0));
    operations
}

#[test]
fn power_cut_at_every_operation() {
    let pool = crash_pool();
    let (operations, mut cycles, mut crashes) = (operations(&pool), 0, 0);
    assert!(operations > 120, "{operations}");
    for after in 0..operations {
        for seed in 0..seeds() {
            let life = Life::new(&pool, after * 31 + seed, format!("power cut at {after}, seed {seed}"));
            life.disk.inject(Fault { operation: None, after, times: 1, effect: FaultEffect::PowerCut });
            crashes += life.run().1;
            cycles += 1;
        }
    }
    assert!(crashes >= cycles * 9 / 10, "{crashes} of {cycles}");
    println!("power cuts: {cycles} cycles over {operations} operations, {crashes} crashes");
}

#[test]
fn error_at_every_operation() {
    let pool = crash_pool();
    let operations = operations(&pool);
    let (mut cycles, mut errors) = (0, 0);
    for operation in [
        Operation::Write,
        Operation::Sync,
        Operation::SyncDirectory,
        Operation::Rename,
        Operation::Create,
        Operation::Remove,
        Operation::Truncate,
        Operation::Open,
        Operation::Length,
        Operation::List,
        Operation::FreeBytes,
        Operation::CreateDirectory,
    ] {
        for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
            for after in 0..operations {
                let seed = after * 37 + cycles;
                let times = 1 + after % 3;
                let life = Life::new(&pool, seed, format!("{operation:?} {after} fails {times}x: {kind:?}"));
                let disk = life.disk.clone();
                disk.inject(Fault {
                    operation: Some(operation),
                    after,
                    times,
                    effect: FaultEffect::Error(kind),
                });
                errors += u64::from(life.run().0);
                cycles += 1;
                if disk.operations(Some(operation)) <= after {
                    break; // There are no more of these.
                }
            }
        }
    }
    assert!(errors > 100, "{errors}");
    println!("errors: {cycles} cycles, {errors} failures seen by callers");
}

/// Two faults: an error, and a power cut while the store gets over it.
#[test]
fn power_cut_after_an_error() {
    let pool = crash_pool();
    let operations = operations(&pool);
    let random = &mut Random(5);
    let cycles = 300 * seeds();
    for cycle in 0..cycles {
        let (after, gap) = (random.below(operations as usize) as u64, random.below(30) as u64);
        let life = Life::new(&pool, cycle, format!("error at {after}, power cut {gap} later, cycle {cycle}"));
        let error = FaultEffect::Error(ErrorKind::Other);
        life.disk.inject(Fault { operation: None, after, times: 1 + random.below(3) as u64, effect: error });
        life.disk.inject(Fault {
            operation: None,
            after: after + gap,
            times: 1,
            effect: FaultEffect::PowerCut,
        });
        life.run();
    }
    println!("error, then power cut: {cycles} cycles");
}

#[test]
fn index_commits_that_fail() {
    let pool = crash_pool();
    let life = Life::new(&pool, 1, String::new());
    let index = life.index.clone();
    life.run();
    let commits = index.commits();
    let mut cycles = 0;
    for kind in [
        EngineErrorKind::Stopped,
        EngineErrorKind::Damaged,
        EngineErrorKind::DiskFull,
        EngineErrorKind::InUse,
    ] {
        for after in 0..commits as u64 {
            let life = Life::new(&pool, after, format!("index commit {after} fails: {kind:?}"));
            let index = life.index.clone();
            index.fail_after(after, kind);
            let (_, crashes) = life.run();
            assert_eq!(crashes, 0);
            assert!(index.opened() > 2, "the index was opened again");
            assert_eq!(index.removed() > 0, kind == EngineErrorKind::Damaged);
            cycles += 1;
        }
    }
    println!("index commits: {cycles} cycles");
}

/// A finished store: disk, index, model.
fn finished(pool: &Pool) -> (SimStorage, SimIndex, Model) {
    let (disk, index, mut model) = (SimStorage::new(1), SimIndex::default(), Model::new(&pool.genesis));
    let (mut store, _) = Store::open(options(&disk, &index, pool)).unwrap();
    for batch in batches(pool, &mut Random(7)) {
        store.apply(&batch, &[]).unwrap();
        batch.iter().for_each(|put| {
            model.put(put);
        });
    }
    store.close().unwrap();
    (disk, index, model)
}

fn copy(disk: &SimStorage) -> SimStorage {
    // Everything is durable after a clean stop, so a crash of a copy of the files is the same as the files.
    let other = SimStorage::new(2);
    other.create_directory("log").unwrap();
    for directory in ["", "log"] {
        for name in disk.list(directory).unwrap() {
            let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
            other.set_content(&path, disk.content(&path).unwrap());
        }
    }
    other
}

#[test]
fn damaged_checkpoints() {
    let pool = crash_pool();
    let (disk, index, model) = finished(&pool);
    let good = disk.content("graph.checkpoint").unwrap();
    let mut cases: Vec<(String, Option<Vec<u8>>)> =
        vec![("deleted".into(), None), ("empty".into(), Some(vec![]))];
    cases.push(("garbage".into(), Some(vec![0xab; good.len()])));
    for cut in (1..good.len()).step_by(41) {
        cases.push((format!("cut at {cut}"), Some(good[..cut].to_vec())));
    }
    for bit in (0..good.len() * 8).step_by(59) {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        cases.push((format!("bit {bit}"), Some(flipped)));
    }
    for (name, content) in &cases {
        let disk = copy(&disk);
        match content {
            Some(content) => disk.set_content("graph.checkpoint", content.clone()),
            None => disk.remove("graph.checkpoint").unwrap(),
        }
        let (store, report) = Store::open(options(&disk, &index, &pool)).unwrap();
        let noted = report.notes.iter().any(|n| n.contains("checkpoint"));
        // Another log's id in a header whose checksum is wrong is a damage like the others.
        assert_eq!(noted, content.is_some(), "{name}: {:?}", report.notes);
        model.check(&store.reader(), name);
    }
    println!("damaged checkpoints: {} cases", cases.len());
}

#[test]
fn damaged_and_foreign_indexes() {
    let pool = crash_pool();
    let (disk, index, model) = finished(&pool);
    let commits = index.commits();
    // Older than the checkpoint, down to nothing at all.
    for keep in 0..=commits {
        let (disk, index) = (copy(&disk), index.crash(keep));
        let (store, report) = Store::open(options(&disk, &index, &pool)).unwrap();
        model.check(&store.reader(), &format!("{keep} commits"));
        assert_eq!(report.replayed > 0, keep < commits, "{keep}");
    }
    // A whole table is gone, or rows are garbage.
    for table in b"hrm" {
        for garbage in [None, Some(vec![0xff; 3])] {
            let (disk, index) = (copy(&disk), index.crash(commits));
            index.tamper(|key| (key[0] == *table).then(|| garbage.clone()));
            disk.remove("graph.checkpoint").unwrap();
            let opened = Store::open(options(&disk, &index, &pool));
            let (mut store, _) = opened.unwrap();
            let name = format!("table {:?} is {garbage:?}", char::from(*table));
            // What opening does not read is found by the first reader who does, and mended by the writer.
            for put in &pool.puts {
                let _ = store.reader().view().row_of(&put.record.hash());
            }
            store.mend().unwrap();
            if *table != b'h' || garbage.is_some() {
                model.check(&store.reader(), &name);
            } else {
                assert!(!tools::check(&options(&disk, &index, &pool)).unwrap().is_index_sound());
                tools::rebuild(&options(&disk, &index, &pool), &mut |_, _| {}).unwrap();
                let (store, _) = Store::open(options(&disk, &index, &pool)).unwrap();
                model.check(&store.reader(), &name);
            }
        }
    }
    // The index and the checkpoint of another log.
    let other_disk = SimStorage::new(3);
    let other = self::pool::plain(5, 9);
    let mut other_options = options(&other_disk, &index, &pool);
    other_options.log.log_id = [6; 16];
    let (mut store, report) = Store::open(other_options.clone()).unwrap();
    assert!(report.notes.iter().any(|n| n.contains("another log")), "{:?}", report.notes);
    store.apply(&other.puts, &[]).unwrap();
    store.close().unwrap();
    other_disk.set_content("graph.checkpoint", disk.content("graph.checkpoint").unwrap());
    let (store, _) = Store::open(other_options).unwrap();
    let mut expected = Model::new(&pool.genesis);
    other.puts.iter().for_each(|put| {
        expected.put(put);
    });
    expected.check(&store.reader(), "foreign checkpoint");
}

/// Every damage in the log leaves a store that opens; what is not damaged is there, named if it is not.
#[test]
fn damaged_logs() {
    let pool = crash_pool();
    let (disk, index, model) = finished(&pool);
    let segments: Vec<String> = disk
        .list("log")
        .unwrap()
        .into_iter()
        .filter(|n| n.ends_with(".lfl"))
        .map(|n| format!("log/{n}"))
        .collect();
    assert!(segments.len() > 3);
    let all: Vec<&Put> = pool.puts.iter().collect();
    let mut cases = 0;
    for segment in &segments {
        let length = disk.content(segment).unwrap().len() as u64;
        for offset in (0..length).step_by(97) {
            cases += 1;
            let name = format!("{segment} at {offset}");
            let disk = copy(&disk);
            assert!(disk.flip_bit(segment, offset, offset as u8));
            // With the index, nothing is lost from sight: records stand as they did, and a check names the damaged.
            let kept = index.crash(index.commits());
            let options_kept = options(&disk, &kept, &pool);
            let report = tools::check(&options_kept).unwrap();
            let header_only = offset < 48;
            assert!(report.log.damages_count > 0 || !report.notes.is_empty(), "{name}");
            assert_eq!(
                report.damaged_records_count > 0,
                !header_only && !report.is_log_sound(),
                "{name}: {report:?}"
            );
            let damaged: Vec<_> = report.damaged_records.iter().map(|d| d.hash).collect();
            {
                let (store, _) = Store::open(options_kept.clone()).unwrap();
                let view = store.reader().view();
                for put in &all {
                    let row = view.row_of(&put.record.hash()).unwrap().unwrap();
                    let there = view.record(&row).is_some();
                    assert_eq!(there, !damaged.contains(&put.record.hash()), "{name}");
                }
            }
            // Without it, what depends on the damaged record waits, and is whole again once that is put again.
            let fresh = SimIndex::default();
            let (mut store, opened) = Store::open(options(&disk, &fresh, &pool)).unwrap();
            assert!(!opened.notes.is_empty(), "{name}");
            let view = store.reader().view();
            for put in &all {
                let hash = put.record.hash();
                assert_eq!(
                    view.standing(&hash).unwrap().is_none(),
                    damaged.contains(&hash),
                    "{name}: {hash}"
                );
            }
            drop(view);
            store.apply(&pool.puts, &[]).unwrap();
            store.close().unwrap();
            // A second start, from the checkpoint of the new numbering.
            let (store, _) = Store::open(options(&disk, &fresh, &pool)).unwrap();
            let totals = store.reader().view().totals().unwrap();
            assert_eq!((totals.linked as usize, totals.pending), (pool.puts.len() + 2, 0), "{name}");
            let weights = model.seen().records;
            let view = store.reader().view();
            for (hash, weight) in weights {
                let Some(Stored::Linked(i)) = view.standing(&hash).unwrap() else { panic!("{name}") };
                assert_eq!(Some(view.weight(i)), weight, "{name}");
            }
        }
    }
    println!("damaged logs: {cases} cases");
}

/// The log loses its end, index and checkpoint do not: nothing may be numbered by what is gone.
#[test]
fn log_cut_short() {
    let pool = crash_pool();
    let (disk, index, _) = finished(&pool);
    let last = disk.list("log").unwrap().into_iter().rfind(|n| n.ends_with(".lfl")).unwrap();
    let path = format!("log/{last}");
    let content = disk.content(&path).unwrap();
    for cut in (48..content.len()).step_by(23) {
        let (disk, index) = (copy(&disk), index.crash(index.commits()));
        disk.set_content(&path, content[..cut].to_vec());
        let (mut store, report) = Store::open(options(&disk, &index, &pool)).unwrap();
        let lost = report.notes.iter().find(|n| n.contains("lost")).unwrap();
        let missing: Vec<_> = pool
            .puts
            .iter()
            .map(|p| p.record.hash())
            .filter(|h| store.reader().view().standing(h).unwrap().is_none())
            .collect();
        assert!(!missing.is_empty() && missing.iter().all(|h| lost.contains(&h.to_string())), "{lost}");
        let mut puts = pool.puts.clone();
        puts.reverse();
        store.apply(&puts, &[]).unwrap();
        drop(store);
        let report = tools::check(&options(&disk, &index, &pool)).unwrap();
        assert!(report.is_sound() && report.compared, "{report:?}");
    }
}

#[test]
fn full_disk() {
    let pool = pool::plain(8, 60);
    let mut refused = 0;
    for room in (0..9_000).step_by(123) {
        let (disk, index) = (SimStorage::new(room), SimIndex::default());
        let mut options = options(&disk, &index, &pool);
        let (mut store, _) = Store::open(options.clone()).unwrap();
        let mut model = Model::new(&pool.genesis);
        disk.set_capacity_bytes(Some(disk.used_bytes() + room));
        let mut full = false;
        for batch in pool.puts.chunks(4) {
            match store.apply(batch, &[]) {
                Ok(_) => batch.iter().for_each(|put| {
                    model.put(put);
                }),
                Err(e) => {
                    assert!(matches!(e, StoreError::DiskFull { .. }), "{e}");
                    assert!(e.to_string().contains("disk is almost full"), "{e}");
                    full = true;
                    // Reading goes on, and so does writing once there is space.
                    model.check(&store.reader(), "full");
                    let free = disk.free_bytes().unwrap();
                    disk.set_capacity_bytes(Some(disk.used_bytes() + free + 400 + room));
                    if let Err(e) = store.apply(batch, &[]) {
                        assert!(matches!(e, StoreError::DiskFull { .. }), "{e}");
                        disk.set_capacity_bytes(None);
                        store.apply(batch, &[]).unwrap();
                    }
                    batch.iter().for_each(|put| {
                        model.put(put);
                    });
                }
            }
        }
        refused += u32::from(full);
        model.check(&store.reader(), "at the end");
        drop(store);
        // Too little space left to take anything: said so, before anything is written.
        options.free_bytes_min = 1 << 20;
        let (mut store, _) = Store::open(options).unwrap();
        disk.set_capacity_bytes(Some(disk.used_bytes() + (1 << 20) - 1));
        let written = disk.operations(Some(Operation::Write));
        assert!(matches!(
            store.apply(&pool.puts[..1], &[]),
            Err(StoreError::DiskFull { needed_bytes: 1_048_576, .. })
        ));
        assert_eq!(disk.operations(Some(Operation::Write)), written);
        model.check(&store.reader(), "little space");
    }
    assert!(refused > 30, "{refused}");
}

/// A failed fsync stops writing for good, says what to do, and leaves reading alone.
#[test]
fn failed_fsync_stops_writing() {
    let pool = pool::plain(8, 20);
    let (disk, index) = (SimStorage::new(1), SimIndex::default());
    let (mut store, _) = Store::open(options(&disk, &index, &pool)).unwrap();
    store.apply(&pool.puts[..10], &[]).unwrap();
    let effect = FaultEffect::Error(ErrorKind::Other);
    disk.inject(Fault { operation: Some(Operation::Sync), after: 0, times: 1, effect });
    for _ in 0..2 {
        let e = store.apply(&pool.puts[10..], &[]).unwrap_err();
        assert!(matches!(e, StoreError::Stopped(_)) && e.to_string().contains("started again"), "{e}");
    }
    assert_eq!(store.reader().view().linked(), 12);
    drop(store);
    let disk = disk.crash(4);
    let (mut store, _) = Store::open(options(&disk, &index, &pool)).unwrap();
    store.apply(&pool.puts, &[]).unwrap();
    assert_eq!(store.reader().view().linked(), 22);
}

/// One record that thousands wait for: they are linked over several commits of the index, and a crash between any two
/// of them changes nothing.
#[test]
fn long_queues_survive() {
    let pool = pool::plain(12, 7000);
    let (disk, index) = (SimStorage::new(1), SimIndex::default());
    let mut options = options(&disk, &index, &pool);
    options.log.segment_bytes_max = 1 << 20;
    options.checkpoint_records_min = 1 << 20;
    let (mut store, _) = Store::open(options.clone()).unwrap();
    let (first, rest) = pool.puts.split_at(6);
    let mut reversed: Vec<Put> = rest.to_vec();
    reversed.reverse();
    for batch in reversed.chunks(500) {
        store.apply(batch, &[]).unwrap();
    }
    assert_eq!(store.reader().view().totals().unwrap().pending as usize, rest.len());
    let before = index.commits();
    let applied = store.apply(first, &[]).unwrap();
    assert_eq!(applied.linked, 2..7002);
    let after = index.commits();
    assert!(after - before > 1, "more than one commit was needed");
    let seen = |store: &Store| {
        let view = store.reader().view();
        let rows = |i| (view.row(i).unwrap().unwrap(), view.weight(i));
        (0..view.linked()).map(rows).collect::<Vec<_>>()
    };
    let expected = seen(&store);
    drop(store);
    for keep in before..=after {
        options.index = IndexPlace::Other(Arc::new(index.crash(keep)));
        let (store, _) = Store::open(options.clone()).unwrap();
        assert_eq!(store.reader().view().totals().unwrap().pending, 0);
        assert!(seen(&store) == expected, "{keep} commits were left");
        drop(store);
        assert!(tools::check(&options).unwrap().is_sound());
    }
}
