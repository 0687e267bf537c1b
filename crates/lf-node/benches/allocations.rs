//! How often the hot paths allocate: counts, not times.
//!
//! `cargo bench -p lf-node --bench allocations`. A count that grows is a slower path; none of them may grow with what is
//! stored.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;

use allocation_counter::{AllocationInfo, measure};
use lf_node::core::accept::verify_all;
use lf_node::core::{NoCertificates, Rules};
use lf_node::selftest::{Signed, Synthetic, query};
use lf_proto::record::{self, Record};
use lf_proto::selector::SelectorName;
use lf_store::storage::SimStorage;
use lf_store::{IndexPlace, Store, StoreOptions};

fn tell(what: &str, count: usize, info: &AllocationInfo) {
    let each = |n: u64| n as f64 / count as f64;
    println!("{what:<50} {:>8.1} allocations {:>10.0} bytes", each(info.count_total), each(info.bytes_total));
}

fn main() {
    let mut signed = Signed::default();
    let records = signed.batch();
    let count = 64;
    let some: Vec<&Record> = records.iter().take(count).collect();
    // Tables are made when they are needed first.
    black_box(record::verify_all(&some, true));

    let bytes: Vec<&[u8]> = some.iter().map(|record| record.as_bytes()).collect();
    let info = measure(|| {
        black_box(bytes.iter().map(|bytes| Record::decode(bytes).unwrap()).collect::<Vec<_>>());
    });
    tell("decode a record (2 selectors, 3 links)", count, &info);

    let info = measure(|| {
        black_box(record::verify_all(&some, true));
    });
    tell("signature and claims, in batches of 64", count, &info);

    let genesis = signed.genesis().clone();
    let rules = Rules {
        parameters: genesis.parameters(),
        genesis_owner: genesis.owner(),
        local_test: true,
        certificates: &NoCertificates,
    };
    let batch: Vec<Record> = records.iter().take(count).cloned().collect();
    let info = measure(|| {
        black_box(verify_all(batch, &rules, |_| Vec::new()));
    });
    tell("all costly checks, in batches of 64", count, &info);

    let mut synthetic = Synthetic::new(1);
    let storage = Arc::new(SimStorage::new(1));
    let options = StoreOptions::new(storage, IndexPlace::Memory, synthetic.genesis().clone(), [1; 16]);
    let (mut store, _) = Store::open(options).unwrap();
    store.apply(&synthetic.batch(10_000), &[]).unwrap();
    let puts = synthetic.batch(1_000);
    let info = measure(|| {
        store.apply(&puts, &[]).unwrap();
    });
    tell("store a record, in batches of 1000 (memory engine)", puts.len(), &info);

    let reader = store.reader();
    let info = measure(|| {
        (0..100).for_each(|n| {
            black_box(query(&reader, n, 1).unwrap());
        });
    });
    tell("query of one key (memory engine)", 100, &info);

    let name = SelectorName::new(b"name");
    name.key(1).unwrap();
    let info = measure(|| {
        (0..100).for_each(|n| {
            black_box(name.key(n).unwrap());
        });
    });
    tell("key of one more ordinal of a name", 100, &info);
}
