//! Delta sync: two nodes in one process have `--records` records, one of them lacks 1,000, scattered over all of time or
//! the newest. Prints round trips, bytes and time for each. Records are stored as they come, without checks: those are
//! the `ingest` benchmark's.
//!
//! `cargo bench -p lf-node --bench sync -- --records 1000000`
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use lf_node::core::sync::wire::Question;
use lf_node::core::sync::{Action, Event, Now, Outcome, PeerId, Sync};
use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_proto::hash::Hash;
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::record::{Record, RecordBuilder, RecordType};
use lf_store::storage::DiskStorage;
use lf_store::{IndexPlace, Put, Store, StoreOptions};

const MISSING: u64 = 1_000;

fn build(owner: &OwnerSecret, kind: RecordType, value: &[u8], links: &[Hash], timestamp: u64) -> Record {
    let mut links = links.to_vec();
    links.sort_unstable();
    links.dedup();
    let builder = RecordBuilder {
        record_type: kind,
        value,
        masking_key: Some(b""),
        selectors: &[],
        links: &links,
        timestamp,
        with_pulse_token: false,
    };
    builder.build(owner).unwrap().sign(owner, None)
}

struct Side {
    id: PeerId,
    store: Store,
    sync: Sync,
    _home: tempfile::TempDir,
}

impl Side {
    fn new(number: u8, genesis: &Genesis) -> Self {
        let home = tempfile::tempdir().unwrap();
        let storage = DiskStorage::open(home.path()).unwrap();
        let place = IndexPlace::Disk(home.path().join("index"));
        let options = StoreOptions::new(Arc::new(storage), place, genesis.clone(), [number; 16]);
        let (store, _) = Store::open(options).unwrap();
        Side { id: PeerId([number; 32]), store, sync: Sync::new([number; 32]), _home: home }
    }

    fn put(&mut self, records: &[Record]) {
        for batch in records.chunks(2_000) {
            let puts = batch.iter().map(|record| Put {
                record: record.clone(),
                selectors: Vec::new(),
                work_verified: false,
            });
            self.store.apply(&puts.collect::<Vec<_>>(), &[]).unwrap();
        }
    }
}

/// Records that link to the same earlier ones, signed together on all cores.
const LAYER: u64 = 2_048;

/// The records of one layer: each links to three of the layer before.
fn layer(owner: &OwnerSecret, before: &[Hash], first: u64, count: u64) -> Vec<Record> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = count.div_ceil(threads as u64).max(1);
    let build_some = |from: u64| {
        let numbers = (from..(from + share).min(first + count)).map(|i| {
            let links: Vec<Hash> = (0..3).map(|n| before[(i + n) as usize % before.len()]).collect();
            build(owner, RecordType::Datum, &[7; 100], &links, 1_000_000 + i * 7)
        });
        numbers.collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let begins = (first..first + count).step_by(share as usize);
        let workers: Vec<_> = begins.map(|from| scope.spawn(move || build_some(from))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let records = args.iter().position(|arg| arg == "--records").and_then(|at| args.get(at + 1));
    let count: u64 = records.map_or(100_000, |text| text.parse().unwrap());
    let owner = OwnerSecret::from_seed(OwnerType::Ed25519, b"sync");
    let genesis_owner = OwnerSecret::from_seed(OwnerType::P384, b"genesis");
    let parameters = GenesisParameters { id: [9; 32], ..GenesisParameters::default() };
    let first = build(&genesis_owner, RecordType::Genesis, parameters.to_json().as_bytes(), &[], 1_000_000);
    let genesis = Genesis::parse(first.as_bytes()).unwrap();
    let mut sides = [Side::new(1, &genesis), Side::new(2, &genesis)];
    // Made once and kept by the stores alone; both measurements are made with them.
    let begun = Instant::now();
    let mut tips = vec![first.hash()];
    let mut scattered = Vec::new();
    let mut made = 0;
    while made < count {
        let records = layer(&owner, &tips, made, LAYER.min(count - made));
        tips = records.iter().map(Record::hash).collect();
        std::thread::scope(|scope| {
            let [one, two] = &mut sides;
            scope.spawn(|| one.put(&records));
            two.put(&records);
        });
        made += records.len() as u64;
        // As many as are due by now.
        while scattered.len() as u64 * count < made * MISSING {
            let number = scattered.len() as u64;
            let links: Vec<Hash> = (0..3).map(|n| tips[(number as usize + n) % tips.len()]).collect();
            let time = 1_000_003 + number * count / MISSING * 7;
            scattered.push(build(&owner, RecordType::Datum, &[8; 100], &links, time));
        }
    }
    println!("{count} records made and stored twice in {:.2} s", begun.elapsed().as_secs_f64());
    let newest = layer(&owner, &tips, count, MISSING);
    let clock = Instant::now();
    measure(&mut sides, &scattered, "scattered", &clock);
    measure(&mut sides, &newest, "newest", &clock);
}

/// One side gets records that the other lacks; measures how the other gets them.
fn measure(sides: &mut [Side; 2], missing: &[Record], name: &str, clock: &Instant) {
    let before = sides[1].store.reader().view().linked();
    sides[0].put(missing);
    let record_bytes: usize = missing.iter().map(|record| record.as_bytes().len()).sum();
    let now = || Now { ticks_ms: clock.elapsed().as_millis() as u64 + 1, unix_secs: 2_000_000_000 };
    let begun = Instant::now();
    let noticed: u32 =
        sides.iter().map(|side| side.store.reader().view().linked() - side.sync.covered()).sum();
    for side in sides.iter_mut() {
        // Taking notice of what is stored is done once, when a node starts.
        while side.sync.covered() < side.store.reader().view().linked() {
            let view = side.store.reader().view();
            side.sync.handle(Event::Tick, &view, now());
        }
    }
    println!("{name}: {noticed} records taken notice of in {:.2} s", begun.elapsed().as_secs_f64());
    let started = Instant::now();
    // A round trip is a question that could only be asked when an answer was there; those asked together are one.
    let (mut rounds, mut bytes) = (0, 0);
    let (a, b) = (sides[0].id, sides[1].id);
    // Only the side that lacks something asks: the other's question would be the same.
    let mut events = std::collections::VecDeque::from([
        (0, 0, Event::Connected { peer: b, outbound: false }),
        (0, 1, Event::Connected { peer: a, outbound: true }),
    ]);
    let goal = before + missing.len() as u32;
    while sides[1].store.reader().view().linked() < goal && started.elapsed() < Duration::from_secs(60) {
        let (round, at, event) = events.pop_front().unwrap_or((rounds, 1, Event::Tick));
        let view = sides[at].store.reader().view();
        sides[at].sync.handle(event, &view, now());
        while let Some(action) = sides[at].sync.poll() {
            match action {
                Action::Ask { ticket, bytes: question, .. } if at == 1 => {
                    if Question::decode(&question) != Ok(Question::Hint) {
                        rounds = rounds.max(round + 1);
                        bytes += question.len();
                    }
                    let event = Event::Question { peer: b, asked: ticket, bytes: question };
                    events.push_back((round + 1, 0, event));
                }
                Action::Reply { asked: ticket, bytes: answer } => {
                    bytes += answer.len();
                    events.push_back((round, 1, Event::Answer { ticket, bytes: answer }));
                }
                Action::Check { ticket, records, .. } => {
                    let outcomes = vec![Outcome::Linked { good: true }; records.len()];
                    sides[at].put(&records);
                    events.push_back((round, at, Event::Checked { ticket, outcomes }));
                }
                _ => {}
            }
        }
    }
    let found = sides[1].store.reader().view().linked() == goal;
    println!(
        "{name}: {} missing among {goal}: {} in {:.2} s, {rounds} round trips, {bytes} bytes for {record_bytes} of records ({:.2} x)",
        missing.len(),
        if found { "all there" } else { "NOT FOUND" },
        started.elapsed().as_secs_f64(),
        bytes as f64 / record_bytes as f64
    );
    // The next measurement begins with a new connection.
    for (at, other) in [(0, b), (1, a)] {
        let view = sides[at].store.reader().view();
        sides[at].sync.handle(Event::Disconnected { peer: other }, &view, now());
        while sides[at].sync.poll().is_some() {}
    }
}
