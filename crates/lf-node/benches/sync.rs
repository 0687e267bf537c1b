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

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let records = args.iter().position(|arg| arg == "--records").and_then(|at| args.get(at + 1));
    let count: u64 = records.map_or(100_000, |text| text.parse().unwrap());
    let owner = OwnerSecret::from_seed(OwnerType::Ed25519, b"sync");
    let genesis_owner = OwnerSecret::from_seed(OwnerType::P384, b"genesis");
    let parameters = GenesisParameters { id: [9; 32], ..GenesisParameters::default() };
    let first = build(&genesis_owner, RecordType::Genesis, parameters.to_json().as_bytes(), &[], 1_000_000);
    let genesis = Genesis::parse(first.as_bytes()).unwrap();
    for scattered in [true, false] {
        let mut tips = [first.hash(); 3];
        let (mut full, mut missing) = (Vec::new(), Vec::new());
        for i in 0..count {
            let record = build(&owner, RecordType::Datum, &[7; 100], &tips, 1_000_000 + i * 7);
            tips[(i % 3) as usize] = record.hash();
            full.push(record);
            if scattered && i % (count / MISSING) == count / MISSING / 2 {
                missing.push(build(&owner, RecordType::Datum, &[8; 100], &tips, 1_000_003 + i * 7));
            }
        }
        if !scattered {
            missing = full.split_off(full.len() - MISSING as usize);
        }
        run(&genesis, &full, &missing, if scattered { "scattered" } else { "newest" });
    }
}

fn run(genesis: &Genesis, full: &[Record], missing: &[Record], name: &str) {
    let mut sides = [Side::new(1, genesis), Side::new(2, genesis)];
    sides[0].put(full);
    sides[1].put(full);
    sides[0].put(missing);
    let record_bytes: usize = missing.iter().map(|record| record.as_bytes().len()).sum();
    let begun = Instant::now();
    let now = |at: &Instant| Now { ticks_ms: at.elapsed().as_millis() as u64 + 1, unix_secs: 2_000_000_000 };
    for side in &mut sides {
        // Taking notice of what is stored is done once, when a node starts.
        while side.sync.covered() < side.store.reader().view().linked() {
            let view = side.store.reader().view();
            side.sync.handle(Event::Tick, &view, now(&begun));
        }
    }
    println!(
        "{name}: {} records taken notice of in {:.2} s",
        full.len(),
        begun.elapsed().as_secs_f64() / 2.0
    );
    let started = Instant::now();
    // A round trip is a question that could only be asked when an answer was there; those asked together are one.
    let (mut rounds, mut bytes) = (0, 0);
    let (a, b) = (sides[0].id, sides[1].id);
    // Only the side that lacks something asks: the other's question would be the same.
    let mut events = std::collections::VecDeque::from([
        (0, 0, Event::Connected { peer: b, outbound: false }),
        (0, 1, Event::Connected { peer: a, outbound: true }),
    ]);
    let goal = full.len() + missing.len() + 1;
    while sides[1].store.reader().view().linked() < goal as u32 && started.elapsed() < Duration::from_secs(60)
    {
        let (round, at, event) = events.pop_front().unwrap_or((rounds, 1, Event::Tick));
        let view = sides[at].store.reader().view();
        sides[at].sync.handle(event, &view, now(&begun));
        while let Some(action) = sides[at].sync.poll() {
            match action {
                Action::Ask { ticket, bytes: question, .. } if at == 1 => {
                    if Question::decode(&question) != Ok(Question::Hint) {
                        rounds = rounds.max(round + 1);
                        bytes += question.len();
                    }
                    events.push_back((
                        round + 1,
                        0,
                        Event::Question { peer: b, asked: ticket, bytes: question },
                    ));
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
    let found = sides[1].store.reader().view().linked() as usize == goal;
    println!(
        "{name}: {} missing among {}: {} in {:.2} s, {rounds} round trips, {bytes} bytes for {record_bytes} of records ({:.2} x)",
        missing.len(),
        goal,
        if found { "all there" } else { "NOT FOUND" },
        started.elapsed().as_secs_f64(),
        bytes as f64 / record_bytes as f64
    );
}
