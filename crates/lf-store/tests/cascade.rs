//! One missing record with very many waiting for it: linking them takes several batches, in order, to an end.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use lf_proto::comment::Comment;
use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_proto::hash::Hash;
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::record::{Record, RecordBuilder, RecordType};
use lf_store::storage::SimStorage;
use lf_store::{IndexPlace, Put, Store, StoreOptions, Stored};

fn record(owner: &OwnerSecret, record_type: RecordType, value: &[u8], links: &[Hash]) -> Record {
    let builder = RecordBuilder {
        record_type,
        value,
        masking_key: Some(b""),
        selectors: &[],
        links,
        timestamp: 1_700_000_000,
        with_pulse_token: false,
    };
    builder.build(owner).unwrap().sign(owner, None)
}

#[test]
fn twenty_five_thousand_records_wait_for_one() {
    const WAITING: usize = 25_000;
    let owner = OwnerSecret::from_seed(OwnerType::Ed25519, b"owner");
    let parameters = GenesisParameters { record_max_value_size: 100, ..GenesisParameters::default() };
    let first = record(&owner, RecordType::Genesis, parameters.to_json().as_bytes(), &[]);
    let genesis = Genesis::parse(first.as_bytes()).unwrap();
    let options = StoreOptions::new(Arc::new(SimStorage::new(7)), IndexPlace::Memory, genesis, [9; 16]);
    let (mut store, _) = Store::open(options.clone()).unwrap();
    let put = |record: &Record| Put { record: record.clone(), selectors: Vec::new(), work_verified: false };

    let missing = record(&owner, RecordType::Datum, b"missing", &[first.hash()]);
    let waiting: Vec<Record> = (0..WAITING as u32)
        .map(|i| record(&owner, RecordType::Datum, &i.to_be_bytes(), &[missing.hash()]))
        .collect();
    for part in waiting.chunks(5_000) {
        store.apply(&part.iter().map(put).collect::<Vec<_>>(), &[]).unwrap();
    }
    assert_eq!(store.reader().view().totals().unwrap().pending, WAITING as u64);
    let applied = store.apply(&[put(&missing)], &[]).unwrap();
    assert_eq!(applied.linked, 1..WAITING as u32 + 2);
    let view = store.reader().view();
    assert_eq!(view.totals().unwrap().pending, 0);
    assert_eq!(view.weight(1), u128::from(missing.score()) * (WAITING as u128 + 1));
    let index_of = |view: &lf_store::View, r: &Record| view.standing(&r.hash()).unwrap();
    let before: Vec<Option<Stored>> = waiting.iter().map(|r| index_of(&view, r)).collect();
    drop(view);
    store.close().unwrap();

    // Applying the log again gives the same indexes.
    let (store, _) = Store::open(options).unwrap();
    let view = store.reader().view();
    assert!(waiting.iter().zip(before).all(|(r, b)| index_of(&view, r) == b));
}

/// Who waits is known after a start, too, with the graph's checkpoint and without.
#[test]
fn what_is_waited_for_is_known_after_a_start() {
    for checkpoint in [true, false] {
        let owner = OwnerSecret::from_seed(OwnerType::Ed25519, b"owner");
        let first =
            record(&owner, RecordType::Genesis, GenesisParameters::default().to_json().as_bytes(), &[]);
        let genesis = Genesis::parse(first.as_bytes()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let storage = Arc::new(lf_store::storage::DiskStorage::open(directory.path()).unwrap());
        let index = IndexPlace::Disk(directory.path().join("index"));
        let options = StoreOptions::new(storage, index, genesis, [9; 16]);
        let put =
            |record: &Record| Put { record: record.clone(), selectors: Vec::new(), work_verified: false };

        let missing = record(&owner, RecordType::Datum, b"missing", &[first.hash()]);
        let waiting = record(&owner, RecordType::Datum, b"waiting", &[missing.hash()]);
        let mut said = Vec::new();
        Comment::collision(missing.hash()).encode(&mut said);
        let comment = record(&owner, RecordType::Commentary, &said, &[first.hash()]);
        let (mut store, _) = Store::open(options.clone()).unwrap();
        store.apply(&[put(&waiting), put(&comment)], &[]).unwrap();
        store.close().unwrap();
        if !checkpoint {
            std::fs::remove_file(directory.path().join("graph.checkpoint")).unwrap();
        }

        let (mut store, _) = Store::open(options).unwrap();
        store.apply(&[put(&missing)], &[]).unwrap();
        let view = store.reader().view();
        assert!(matches!(view.standing(&waiting.hash()), Ok(Some(Stored::Linked(_)))));
        let row = view.row_of(&missing.hash()).unwrap().unwrap();
        assert_eq!(view.comments(&row.id, &row.owner).unwrap(), [*owner.public()]);
    }
}
