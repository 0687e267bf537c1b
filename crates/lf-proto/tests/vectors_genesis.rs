//! genesis.json: network parameters, amendments, genesis files.
#![allow(clippy::unwrap_used)]

#[path = "support/vectors.rs"]
mod vectors;

use lf_proto::genesis::{self, AMENDABLE, Genesis, GenesisParameters};
use serde_json::Value;
use vectors::{bytes, hex, load, report, text};

#[test]
fn genesis_vectors() {
    let cases = load("genesis.json");
    for case in &cases {
        match text(case, "type") {
            "generated" => generated(case),
            "update_sequence" => update_sequence(case),
            "set_amendable_fields" => amendable_fields(case),
            other => panic!("unknown type {other}"),
        }
    }
    report("genesis.json", cases.len());
}

fn generated(case: &Value) {
    let file = bytes(case, "genesis_lf");
    let genesis = Genesis::parse(&file).unwrap();
    assert_eq!(genesis.to_bytes(), file);
    assert_eq!(genesis.owner().to_string(), text(case, "genesis_owner"));
    let parameters: Value = serde_json::from_str(text(case, "parameters_json")).unwrap();
    assert_eq!(serde_json::to_value(genesis.parameters()).unwrap(), parameters);
    assert_eq!(
        GenesisParameters::parse(text(case, "parameters_pretty_json").as_bytes()).unwrap(),
        *genesis.parameters()
    );
    for (record, expected) in genesis.records().iter().zip(case["records"].as_array().unwrap()) {
        assert_eq!(hex(&record.hash().0), text(expected, "hash"));
        assert_eq!(hex(&genesis::plain_value(record).unwrap()), text(expected, "get_value"));
    }
    // Every cut is an error, but for cuts between records that leave too few of them, which is another error.
    for length in 0..file.len() {
        assert!(Genesis::parse(&file[..length]).is_err(), "cut at {length}");
    }
}

fn update_sequence(case: &Value) {
    let mut current: Option<GenesisParameters> = None;
    for step in case["steps"].as_array().unwrap() {
        let update = text(step, "update").as_bytes();
        let result: Value = serde_json::from_str(text(step, "result_json")).unwrap();
        // The first valid update sets everything; later ones amend.
        let (changed, failed) = match &mut current {
            None => match GenesisParameters::parse(update) {
                Ok(parameters) => {
                    current = Some(parameters);
                    (false, false)
                }
                Err(_) => (false, true),
            },
            Some(parameters) => match parameters.amend(update) {
                Ok(changed) => (changed, false),
                Err(_) => (false, true),
            },
        };
        assert_eq!(failed, !step["error"].is_null(), "{step}");
        let now = current.clone().unwrap_or_default();
        assert_eq!(changed, step["changed"].as_bool().unwrap(), "{step}");
        assert_eq!(serde_json::to_value(&now).unwrap(), result, "{step}");
    }
}

/// Names are trimmed and lower-cased; exactly those of PROTOCOL.md §10 and the reference's name for the drift are taken.
fn amendable_fields(case: &Value) {
    let fields: Vec<&str> = case["fields"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    let taken = |f: &str| AMENDABLE.contains(&f) || f == "recordmaxforwardtimedrift";
    let ours = GenesisParameters::amendable_names(fields.iter().copied());
    let normalized: Vec<String> = fields.iter().map(|f| f.trim().to_lowercase()).collect();
    assert_eq!(ours.is_ok(), normalized.iter().all(|f| taken(f)), "{case}");
    if let Ok(names) = ours {
        let expected: Vec<String> = normalized
            .into_iter()
            .map(|f| f.replace("recordmaxforwardtimedrift", "recordmaxtimedrift"))
            .collect();
        assert_eq!(names, expected);
    }
}
