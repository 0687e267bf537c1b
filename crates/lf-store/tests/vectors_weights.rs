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
