//! cert.json through the store: which certificates the reference's node found for whom, and whose records it called signed.
#![allow(clippy::unwrap_used)]

#[path = "../../lf-proto/tests/support/vectors.rs"]
mod vectors;

use std::sync::Arc;

use lf_node::core::{Certificates, Certified};
use lf_proto::cert::Serial;
use lf_proto::genesis::Genesis;
use lf_proto::owner::OwnerPublic;
use lf_proto::record::Record;
use lf_store::storage::SimStorage;
use lf_store::{IndexPlace, Put, PutOutcome, Store, StoreOptions, Stored, View};
use serde_json::Value;
use vectors::{bytes, load, number, report, text};

fn options(storage: &Arc<SimStorage>, genesis: &Genesis) -> StoreOptions {
    StoreOptions::new(storage.clone(), IndexPlace::Memory, genesis.clone(), [1; 16])
}

fn serials(case: &Value, field: &str) -> Vec<Serial> {
    let mut serials: Vec<Serial> =
        case[field].as_array().unwrap().iter().map(|s| s.as_str().unwrap().parse().unwrap()).collect();
    serials.sort();
    serials
}

/// What a case's views say.
fn check(case: &Value, view: &View) -> usize {
    let views = case["views"].as_array().unwrap();
    for expected in views {
        let owner: OwnerPublic = text(expected, "owner").parse().unwrap();
        let certificates = view.certificates_of(&owner).unwrap();
        let found = |revoked: bool| {
            let some = certificates.iter().filter(|c| c.revoked.is_some() == revoked);
            let mut serials: Vec<Serial> = some.map(|c| c.serial).collect();
            serials.sort();
            serials
        };
        let certified = Certificates::certified(view, &owner, number(expected, "record_timestamp"));
        if text(case, "type") == "intermediate" {
            // The reference never finds these.
            assert_eq!((found(false).len(), certified), (1, Certified::Yes), "{expected}");
            continue;
        }
        assert_eq!(found(false), serials(expected, "certificates"), "{expected}");
        assert_eq!(found(true), serials(expected, "revoked_certificates"), "{expected}");
        assert_eq!(certified == Certified::Yes, expected["record_is_signed"] == true, "{expected}");
        assert_eq!(certified != Certified::No, expected["record_ever_signed"] == true, "{expected}");
    }
    views.len()
}

#[test]
fn what_the_references_node_saw() {
    let cases = load("cert.json");
    let ca = cases.iter().find(|case| text(case, "type") == "ca").unwrap();
    let genesis = Genesis::parse(&bytes(ca, "genesis_lf")).unwrap();
    let storage = Arc::new(SimStorage::new(1));
    let (mut store, _) = Store::open(options(&storage, &genesis)).unwrap();
    let root: OwnerPublic = text(ca, "ca_owner").parse().unwrap();
    let before = number(&ca["ca_facts"], "not_before");
    let view = store.reader().view();
    assert_eq!(Certificates::certified(&view, &root, before), Certified::Yes, "the root's own key");
    assert_eq!(Certificates::certified(&view, &root, before - 1), Certified::No);
    drop(view);
    let mut ran = 0;
    let mut last = None;
    for case in &cases {
        if !case["views"].is_array() {
            continue;
        }
        for record in case["records"].as_array().unwrap() {
            let record = Record::decode(&bytes(record, "record")).unwrap();
            let put = Put { record, selectors: Vec::new(), work_verified: false };
            let applied = store.apply(&[put], &[]).unwrap();
            assert!(matches!(applied.records[..], [PutOutcome::Stored(Stored::Linked(_))]), "{applied:?}");
        }
        ran += check(case, &store.reader().view());
        last = Some(case);
    }
    store.close().unwrap();
    // Made again from the log it is the same.
    let (store, _) = Store::open(options(&storage, &genesis)).unwrap();
    check(last.unwrap(), &store.reader().view());
    report("cert.json", ran);
}
