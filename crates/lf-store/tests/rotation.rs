//! Rotations of keys in the index: the first statement that becomes linked stands, for good.
#![allow(clippy::unwrap_used)]

#[path = "support/pool.rs"]
mod pool;

use std::sync::Arc;

use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::record::RecordType;
use lf_store::storage::{SimStorage, Storage};
use lf_store::{IndexPlace, Put, Store, StoreOptions};
use pool::{BASE, genesis, genesis_owner, put, record};

#[test]
fn the_first_statement_that_is_linked_stands() {
    let genesis = genesis(&genesis_owner());
    let secret = |seed: &[u8]| OwnerSecret::from_seed(OwnerType::Ed25519, seed);
    let (old, new, thief) = (secret(b"old"), secret(b"new"), secret(b"thief"));
    let first = genesis.records()[0].hash();
    let rotation = |to: &OwnerSecret, links: &[_], time| -> Put {
        let value = to.public().as_bytes();
        put(record(&old, RecordType::Rotation, value, &[], links, time, false, None))
    };
    let missing = put(record(&thief, RecordType::Datum, b"late", &[], &[first], BASE, false, None));
    let waiting = rotation(&thief, &[missing.record.hash()], BASE - 50);
    let good = rotation(&new, &[first], BASE + 1);
    let backdated = rotation(&thief, &[first], BASE - 100);
    let disk = SimStorage::new(1);
    let options = || {
        let storage = Arc::new(disk.clone()) as Arc<dyn Storage>;
        StoreOptions::new(storage, IndexPlace::Memory, genesis.clone(), [5; 16])
    };
    let (mut store, _) = Store::open(options()).unwrap();
    let successor = |store: &Store| store.reader().view().successor(old.public()).unwrap();
    store.apply(&[waiting], &[]).unwrap();
    assert_eq!(successor(&store), None, "what waits says nothing");
    store.apply(&[good], &[]).unwrap();
    let stands = successor(&store).unwrap();
    assert_eq!((stands.owner, stands.timestamp), (*new.public(), BASE + 1));
    assert_eq!(store.reader().view().row(stands.index).unwrap().unwrap().owner, *old.public());
    store.apply(&[backdated, missing], &[]).unwrap();
    assert_eq!(successor(&store), Some(stands));
    assert_eq!(store.reader().view().successor(new.public()).unwrap(), None);
    store.close().unwrap();
    // The index in memory is gone: made again from the log, it says the same.
    let (store, _) = Store::open(options()).unwrap();
    assert_eq!(successor(&store), Some(stands));
}
