//! The store against a naive model: any order of arrival, any batches, stops and crashes in between.
#![allow(clippy::unwrap_used)]

#[path = "support/engine.rs"]
mod engine;
#[path = "support/model.rs"]
mod model;
#[path = "support/pool.rs"]
mod pool;

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::SimIndex;
use lf_proto::pulse::Pulse;
use lf_store::storage::{SimStorage, Storage};
use lf_store::{IndexPlace, Put, PutOutcome, Store, StoreError, StoreOptions, Stored, tools};
use model::{Model, Seen, look};
use pool::{Pool, Random, pool};

fn options(disk: &SimStorage, index: IndexPlace, pool: &Pool) -> StoreOptions {
    let mut options =
        StoreOptions::new(Arc::new(disk.clone()) as Arc<dyn Storage>, index, pool.genesis.clone(), [5; 16]);
    options.log.segment_bytes_max = 6_000;
    options.checkpoint_records_min = 7;
    options
}

enum Index {
    Memory,
    Simulated(SimIndex),
    Disk(tempfile::TempDir),
}

impl Index {
    fn place(&self) -> IndexPlace {
        match self {
            Index::Memory => IndexPlace::Memory,
            Index::Simulated(index) => IndexPlace::Other(Arc::new(index.clone())),
            Index::Disk(directory) => IndexPlace::Disk(directory.path().join("index")),
        }
    }
}

/// Gives contested names to who should hold them, some or all, and compares with the rule.
fn settle(store: &mut Store, model: &mut Model, random: &mut Random, context: &str) {
    let want = model.settle();
    let contested = store.reader().view().totals().unwrap().contested;
    assert_eq!(contested > 0, !want.is_empty(), "{context}");
    let mut got = Vec::new();
    loop {
        let some = store.settle_names(random.below(4)).unwrap();
        if some.is_empty() {
            break;
        }
        got.extend(some.into_iter().map(|name| (name.id, name.owner)));
    }
    assert_eq!(got, want, "{context}");
    assert_eq!(store.reader().view().totals().unwrap().contested, 0, "{context}");
    model.check_index(&store.reader(), context);
}

/// One life of a store: all records of the pool in some order, with interruptions. Returns what is seen at the end.
fn live(pool: &Pool, mut index: Index, seed: u64) -> Seen {
    let random = &mut Random(seed);
    let mut order: Vec<&Put> = pool.puts.iter().collect();
    match random.below(3) {
        0 => order.reverse(),
        1 => random.shuffle(&mut order),
        _ => {}
    }
    let mut pulses = pool.pulses.clone();
    random.shuffle(&mut pulses);
    let mut disk = SimStorage::new(seed);
    let (mut store, report) = Store::open(options(&disk, index.place(), pool)).unwrap();
    assert!(report.notes.is_empty(), "{:?}", report.notes);
    let mut model = Model::new(&pool.genesis);
    let mut done = 0;
    while done < order.len() || !pulses.is_empty() {
        let count = (1 + random.below(12)).min(order.len() - done);
        let mut batch: Vec<Put> = order[done..done + count].iter().map(|p| (*p).clone()).collect();
        done += count;
        for _ in 0..random.below(3) {
            let again = if done > 0 { order[random.below(done)].clone() } else { break };
            batch.insert(random.below(batch.len() + 1), again);
        }
        let pulse_batch: Vec<_> = pulses.drain(..random.below(3).min(pulses.len())).collect();
        let before = store.reader().view().linked();
        let applied = store.apply(&batch, &pulse_batch).unwrap();
        for (put, outcome) in batch.iter().zip(&applied.records) {
            assert_eq!(model.put(put), matches!(outcome, PutOutcome::Stored(_)), "seed {seed}");
        }
        let news: Vec<bool> = pulse_batch.iter().map(|(token, pulse)| model.pulse(*token, pulse)).collect();
        assert_eq!(applied.pulses, news, "seed {seed}");
        assert_eq!(applied.linked, before..store.reader().view().linked());
        if random.one_in(3) {
            model.check(&store.reader(), &format!("seed {seed}, after {done}"));
        }
        if random.one_in(6) {
            settle(&mut store, &mut model, random, &format!("seed {seed}, after {done}"));
        }
        if random.one_in(4) {
            store.checkpoint_if_due().unwrap();
        }
        match random.below(8) {
            0 => {
                store.close().unwrap();
                let (reopened, report) = Store::open(options(&disk, index.place(), pool)).unwrap();
                let memory = matches!(index, Index::Memory);
                assert!(memory || report.notes.is_empty(), "after a clean stop: {:?}", report.notes);
                assert_eq!(report.replayed > 0, memory);
                store = reopened;
                model.check(&store.reader(), &format!("seed {seed}, reopened after {done}"));
            }
            1 => {
                drop(store);
                disk = disk.crash(random.next());
                if let Index::Simulated(sim) = &mut index {
                    *sim = sim.crash(random.below(sim.commits() + 1));
                }
                store = Store::open(options(&disk, index.place(), pool)).unwrap().0;
                model.check(&store.reader(), &format!("seed {seed}, crashed after {done}"));
            }
            _ => {}
        }
    }
    model.check(&store.reader(), &format!("seed {seed}, at the end"));
    if random.one_in(2) {
        settle(&mut store, &mut model, random, &format!("seed {seed}, at the end"));
        store.close().unwrap();
        let options = options(&disk, index.place(), pool);
        tools::rebuild(&options, &mut |_, _| {}).unwrap();
        store = Store::open(options).unwrap().0;
        model.check(&store.reader(), &format!("seed {seed}, rebuilt"));
    }
    let tokens: Vec<u64> = pool.pulses.iter().map(|(t, _)| *t).collect();
    let genesis: Vec<Put> = pool
        .genesis
        .records()
        .iter()
        .map(|r| Put { record: r.clone(), selectors: Vec::new(), work_verified: false })
        .collect();
    let all: Vec<&Put> = pool.puts.iter().chain(&genesis).collect();
    look(&store.reader(), &all, &tokens)
}

fn lives(default: u64) -> u64 {
    std::env::var("LF_STORE_LIVES").ok().and_then(|t| t.parse().ok()).unwrap_or(default)
}

/// `LF_STORE_LIVES` (default 10): lives per graph.
#[test]
fn every_order_gives_the_same_state() {
    let mut ran = 0;
    for graph in 0..14 {
        let pool = pool(graph, 20 + 6 * graph as usize);
        let mut seen: Option<Seen> = None;
        for life in 0..lives(10) {
            let seed = graph * 1_000_003 + life;
            let index = match life % 5 {
                0 => Index::Memory,
                1 if graph % 3 == 0 => Index::Disk(tempfile::tempdir().unwrap()),
                _ => Index::Simulated(SimIndex::default()),
            };
            let now = live(&pool, index, seed);
            assert_eq!(now.pending, 0);
            assert_eq!(now.linked.0 as usize, pool.puts.len() + pool.genesis.records().len());
            if let Some(before) = &seen {
                assert_eq!(*before, now, "graph {graph}, life {life}: the order must not matter");
            }
            seen = Some(now);
            ran += 1;
        }
    }
    println!("store against the model: {ran} lives");
}

/// Records whose links never come wait for ever, are bounded in number, and bar nobody else.
#[test]
fn waiting_records_are_bounded() {
    let pool = pool::plain(3, 60);
    let disk = SimStorage::new(1);
    let mut options = options(&disk, IndexPlace::Memory, &pool);
    options.pending_records_max = 10;
    let (mut store, _) = Store::open(options.clone()).unwrap();
    // All but the first are waiting for it, directly or not.
    let waiting: Vec<Put> = pool.puts[20..].to_vec();
    store.apply(&waiting[..10], &[]).unwrap();
    let full = store.apply(&waiting[10..12], &[]).unwrap_err();
    assert!(matches!(full, StoreError::PendingFull { records: 10, .. }), "{full}");
    assert!(store.reader().view().standing(&waiting[10].record.hash()).unwrap().is_none());
    // What can be linked goes on, also in one batch with its links, and makes room.
    let applied = store.apply(&pool.puts[..20], &[]).unwrap();
    assert!(applied.records.iter().all(|o| matches!(o, PutOutcome::Stored(Stored::Linked(_)))));
    assert_eq!(store.reader().view().totals().unwrap().pending, 0);
    store.apply(&waiting, &[]).unwrap();
    assert_eq!(store.reader().view().totals().unwrap().linked, 62);
    options.pending_bytes_max = 100;
    options.pending_records_max = 1000;
    drop(store);
    let other = SimStorage::new(2);
    options.storage = Arc::new(other);
    let (mut store, _) = Store::open(options).unwrap();
    assert!(matches!(store.apply(&waiting, &[]), Err(StoreError::PendingFull { .. })));
    store.apply(&pool.puts, &[]).unwrap();
}

/// Of pulses of one token that come together, one that is not later than those before it is no news.
#[test]
fn a_pulse_is_news_once_in_a_batch_too() {
    let pool = pool::plain(1, 1);
    let disk = SimStorage::new(1);
    let (mut store, _) = Store::open(options(&disk, IndexPlace::Memory, &pool)).unwrap();
    let pulse = |minutes: u8| Pulse::from_bytes(&[7, 7, 7, 7, 7, 7, 7, 7, 0, 0, minutes]).unwrap();
    let batch = [(1, pulse(5)), (1, pulse(5)), (2, pulse(5)), (1, pulse(4)), (1, pulse(9)), (2, pulse(1))];
    assert_eq!(store.apply(&[], &batch).unwrap().pulses, [true, false, true, false, true, false]);
    let view = store.reader().view();
    assert_eq!([1, 2].map(|token| view.pulse(token).unwrap()), [Some(pulse(9)), Some(pulse(5))]);
    assert_eq!(store.apply(&[], &batch).unwrap().pulses, [false; 6]);
}

/// Rivals that came together, in every order: the same one gets the name, once, and nobody takes it away.
#[test]
fn contested_names_are_settled_once() {
    let (mut settled, mut together) = (0, 0);
    for graph in 0..14 {
        let pool = pool(graph, 60);
        let mut holders = BTreeMap::new();
        for seed in 0..4 {
            let mut order = pool.puts.clone();
            // The first links come last, so that all others wait, and rivals meet before either is linked.
            match seed {
                0 => order.reverse(),
                _ => {
                    let mut rest = order.split_off(1);
                    Random(seed).shuffle(&mut rest);
                    order.splice(0..0, rest);
                }
            }
            let disk = SimStorage::new(seed);
            let options = options(&disk, IndexPlace::Memory, &pool);
            let (mut store, _) = Store::open(options.clone()).unwrap();
            let mut model = Model::new(&pool.genesis);
            store.apply(&order, &[]).unwrap();
            for put in &order {
                model.put(put);
            }
            let want = model.settle();
            let got: Vec<_> =
                store.settle_names(usize::MAX).unwrap().iter().map(|name| (name.id, name.owner)).collect();
            assert_eq!(got, want);
            model.check(&store.reader(), "settled");
            assert_eq!(store.settle_names(usize::MAX).unwrap(), []);
            settled += got.len();
            if store.reader().view().totals().unwrap().linked as usize == pool.puts.len() + 2 {
                together += 1;
            }
            // Whether a name is contested depends on the order, who gets it does not: weights are the same everywhere.
            for (id, owner) in got {
                assert_eq!(*holders.entry(id).or_insert(owner), owner, "graph {graph}, order {seed}");
            }
            // What is settled survives: another start, another index, and a check finds nothing to say.
            drop(store);
            let (store, _) = Store::open(options.clone()).unwrap();
            model.check(&store.reader(), "opened again");
            drop(store);
            let report = tools::check(&options).unwrap();
            assert!(report.is_log_sound(), "{report:?}");
        }
    }
    assert!(settled > 50 && together > 20, "{settled} names, {together} whole graphs");
}
