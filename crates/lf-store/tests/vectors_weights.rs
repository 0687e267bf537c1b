//! The reference's graphs (`weights.json`, type `dag`), in several topological orders.
#![allow(unreachable_pub, clippy::unwrap_used)]

#[path = "support/dag.rs"]
mod dag;
#[path = "../../lf-proto/tests/support/vectors.rs"]
mod vectors;

use dag::{Dag, Random};
use lf_store::weights::Weights;
use vectors::{load, number, report, text};

#[test]
fn dags() {
    let mut random = Random(7);
    let mut ran = 0;
    for case in load("weights.json").iter().filter(|case| text(case, "type") == "dag") {
        let records = case["records"].as_array().unwrap();
        let mut dag = Dag::default();
        let mut want = Vec::new();
        for (index, record) in records.iter().enumerate() {
            assert_eq!(number(record, "index"), index as u64, "records come in a topological order");
            let links: Vec<u32> = record["links"]
                .as_array()
                .unwrap()
                .iter()
                .map(|link| u32::try_from(link.as_u64().unwrap()).unwrap())
                .collect();
            dag.push(&links, u32::try_from(number(record, "score")).unwrap(), true);
            want.push(text(record, "weight").parse::<u128>().unwrap());
        }
        for order in 0..8 {
            let (dag, index) = dag.shuffled(&mut random);
            let mut weights = Weights::new();
            for record in 0..dag.len() {
                weights.insert(dag.links(record), dag.score(record), order % 2 == 0).unwrap();
            }
            for (record, want) in want.iter().enumerate() {
                let weight = weights.weight(index[record]);
                assert_eq!(weight, Some(*want), "{}, order {order}, record {record}", text(case, "name"));
            }
        }
        ran += 1;
    }
    report("weights.json (dag)", ran);
}

mod store {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use lf_proto::genesis::Genesis;
    use lf_proto::hash::Hash;
    use lf_proto::record::Record;
    use lf_store::storage::SimStorage;
    use lf_store::{IndexPlace, Put, Store, StoreOptions, StoreReader, Stored};
    use serde_json::Value;

    use super::vectors::{bytes, load, number, report, text, unhex};

    fn cases(kind: &str) -> Vec<Value> {
        load("weights.json").into_iter().filter(|case| text(case, "type") == kind).collect()
    }

    fn put(record: &Value) -> Put {
        let record = Record::decode(&bytes(record, "record")).unwrap();
        let selectors = record.recover_selectors().unwrap();
        Put { record, selectors, work_verified: true }
    }

    /// A network that the records have nothing to do with: theirs have roots of their own.
    fn any_genesis() -> Genesis {
        Genesis::parse(&unhex(text(&cases("temporal_violation")[0], "genesis_lf"))).unwrap()
    }

    fn open(genesis: Genesis) -> Store {
        let storage = Arc::new(SimStorage::new(1));
        Store::open(StoreOptions::new(storage, IndexPlace::Memory, genesis, [1; 16])).unwrap().0
    }

    fn reputation(reader: &StoreReader, hash: &Hash) -> u64 {
        let view = reader.view();
        let row = view.row_of(hash).unwrap().unwrap();
        view.reputation(&row).unwrap().into()
    }

    fn index(reader: &StoreReader, hash: &Hash) -> Option<u32> {
        match reader.view().standing(hash).unwrap() {
            Some(Stored::Linked(index)) => Some(index),
            _ => None,
        }
    }

    /// Own score and the scores of all records of `counted` that reach it without passing one that is missing.
    fn weight(record: usize, records: &[Value], missing: &[usize], counted: &BTreeSet<usize>) -> u128 {
        let mut reaching = BTreeSet::from([record]);
        // Links go to lower indexes, so one pass upwards is enough.
        for later in (record + 1..records.len()).filter(|r| !missing.contains(r)) {
            let links = records[later]["links"].as_array().unwrap();
            if links.iter().any(|l| reaching.contains(&(l.as_u64().unwrap() as usize))) {
                reaching.insert(later);
            }
        }
        reaching.intersection(counted).map(|r| u128::from(number(&records[*r], "score"))).sum()
    }

    /// The reference's graphs through the store, in the orders it tried: weights and reputations.
    #[test]
    fn dags() {
        let mut ran = 0;
        for case in cases("dag") {
            let records = case["records"].as_array().unwrap();
            let puts: Vec<Put> = records.iter().map(put).collect();
            for order in case["insertion_orders_tried"].as_array().unwrap() {
                let order: Vec<usize> =
                    order.as_array().unwrap().iter().map(|i| i.as_u64().unwrap() as usize).collect();
                let mut store = open(any_genesis());
                let batch: Vec<Put> = order.iter().map(|i| puts[*i].clone()).collect();
                batch.chunks(7).for_each(|chunk| {
                    store.apply(chunk, &[]).unwrap();
                });
                let reader = store.reader();
                for record in records {
                    let hash = Hash(bytes(record, "hash").try_into().unwrap());
                    let weight = reader.view().weight(index(&reader, &hash).unwrap());
                    assert_eq!(weight.to_string(), text(record, "weight"));
                    assert_eq!(reputation(&reader, &hash), number(record, "reputation"));
                }
            }
            ran += 1;
        }
        report("weights.json (dag, store)", ran);
    }

    /// NODE.md §2: a record that waits contributes nothing. In the reference it counts as soon as its own links are
    /// there, whatever its ancestors lack: its figures are explained by that rule here, and ours are by the other.
    #[test]
    fn incomplete_dags() {
        let mut ran = 0;
        for case in cases("incomplete_dag") {
            let records = case["records"].as_array().unwrap();
            let puts: Vec<Put> = records.iter().map(put).collect();
            let hashes: Vec<Hash> = puts.iter().map(|p| p.record.hash()).collect();
            let numbers = |list: &Value| -> Vec<usize> {
                list.as_array().unwrap().iter().map(|i| i.as_u64().unwrap() as usize).collect()
            };
            let missing = numbers(&case["missing"]);
            let mut store = open(any_genesis());
            for record in numbers(&case["insertion_order"]).into_iter().filter(|r| !missing.contains(r)) {
                store.apply(&puts[record..=record], &[]).unwrap();
            }
            let reader = store.reader();
            let (mut whole, mut direct) = (BTreeSet::new(), BTreeSet::new());
            for (i, record) in records.iter().enumerate().filter(|(i, _)| !missing.contains(i)) {
                let links = numbers(&record["links"]);
                if links.iter().all(|l| whole.contains(l)) {
                    whole.insert(i);
                }
                if links.iter().all(|l| !missing.contains(l)) {
                    direct.insert(i);
                }
            }
            for (i, record) in records.iter().enumerate().filter(|(i, _)| !missing.contains(i)) {
                let linked = index(&reader, &hashes[i]);
                assert_eq!(linked.is_some(), record["synchronized_while_incomplete"].as_bool().unwrap());
                assert_eq!(linked.is_some(), whole.contains(&i));
                if let Some(index) = linked {
                    assert_eq!(reader.view().weight(index), weight(i, records, &missing, &whole));
                }
                // The record itself counts in its own weight in the reference, whatever it lacks.
                let mut theirs = direct.clone();
                theirs.insert(i);
                let theirs = weight(i, records, &missing, &theirs);
                assert_eq!(theirs.to_string(), text(record, "weight_while_incomplete"), "record {i}");
            }
            let wanted: BTreeSet<Hash> =
                reader.view().wanted(&Hash::default(), 100).unwrap().into_iter().collect();
            let expected: BTreeSet<Hash> = case["wanted_while_incomplete"]
                .as_array()
                .unwrap()
                .iter()
                .map(|h| Hash(unhex(h.as_str().unwrap()).try_into().unwrap()))
                .collect();
            assert_eq!(wanted, expected);
            for record in missing {
                store.apply(&puts[record..=record], &[]).unwrap();
            }
            for (i, record) in records.iter().enumerate() {
                let weight = reader.view().weight(index(&reader, &hashes[i]).unwrap());
                assert_eq!(weight.to_string(), text(record, "weight_when_complete"));
            }
            ran += 1;
        }
        report("weights.json (incomplete_dag)", ran);
    }

    /// Reputations after every step. We link at once what can be linked; a "settle" of the reference, which waits for
    /// its graph thread, is nothing here.
    #[test]
    fn collisions() {
        let mut ran = 0;
        for case in cases("collision") {
            let puts: BTreeMap<&str, Put> =
                case["records"].as_array().unwrap().iter().map(|r| (text(r, "label"), put(r))).collect();
            for record in case["records"].as_array().unwrap() {
                let put = &puts[text(record, "label")];
                assert_eq!(put.record.id(&put.selectors).to_vec(), bytes(record, "id"));
            }
            let mut store = open(any_genesis());
            for (number, step) in case["steps"].as_array().unwrap().iter().enumerate() {
                if text(step, "op") == "put" {
                    store.apply(&[puts[text(step, "record")].clone()], &[]).unwrap();
                }
                let reader = store.reader();
                for (label, expected) in step["reputation"].as_object().unwrap() {
                    let hash = puts[label.as_str()].record.hash();
                    let name = text(&case, "description");
                    assert_eq!(
                        reputation(&reader, &hash),
                        expected.as_u64().unwrap(),
                        "{name}, step {number}, {label}"
                    );
                }
                for (label, linked) in step["synchronized"].as_object().into_iter().flatten() {
                    let hash = puts[label.as_str()].record.hash();
                    assert_eq!(
                        index(&reader, &hash).is_some(),
                        linked.as_bool().unwrap(),
                        "step {number}, {label}"
                    );
                }
            }
            ran += 1;
        }
        report("weights.json (collision)", ran);
    }

    /// NODE.md §3: 48 is for a record that links to one newer than itself by more than the drift, and for that record
    /// alone. In the reference its owner's later records of the same id have it too.
    #[test]
    fn temporal_violations() {
        let mut ran = 0;
        for case in cases("temporal_violation") {
            let genesis = Genesis::parse(&unhex(text(&case, "genesis_lf"))).unwrap();
            let drift = genesis.parameters().record_max_time_drift;
            let mut times: BTreeMap<Hash, u64> =
                genesis.records().iter().map(|r| (r.hash(), r.timestamp())).collect();
            let mut tainted: BTreeSet<([u8; 32], Vec<u8>)> = BTreeSet::new();
            let mut store = open(genesis);
            let reader = store.reader();
            for record in case["records"].as_array().unwrap() {
                let put = put(record);
                let (hash, time) = (put.record.hash(), put.record.timestamp());
                store.apply(std::slice::from_ref(&put), &[]).unwrap();
                times.insert(hash, time);
                let violation = put.record.links().iter().any(|l| times[l] > time.saturating_add(drift));
                let ours = if violation { 48 } else { 63 };
                assert_eq!(reputation(&reader, &hash), ours, "{}", text(record, "label"));
                let subject = (put.record.id(&put.selectors), put.record.owner().as_bytes().to_vec());
                let theirs = if tainted.contains(&subject) { 48 } else { ours };
                assert_eq!(number(record, "reputation"), theirs, "{}", text(record, "label"));
                if violation {
                    tainted.insert(subject);
                }
            }
            ran += 1;
        }
        report("weights.json (temporal_violation)", ran);
    }
}
