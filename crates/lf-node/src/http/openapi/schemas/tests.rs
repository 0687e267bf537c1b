#![allow(clippy::unwrap_used)]
//! The description against the types themselves. Every struct is written out in full, so that a new member does not
//! compile here until it is given a value, and then fails until it is described.

use std::collections::BTreeSet;

use lf_proto::api;
use lf_proto::blob::Blob;
use lf_proto::genesis::GenesisParameters;
use lf_proto::hash::Hash;
use lf_proto::ordinal::Ordinal;
use lf_proto::owner::OwnerPublic;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::*;

fn blob() -> Blob {
    Blob(b"bytes".to_vec())
}

fn owner() -> OwnerPublic {
    OwnerPublic::from_bytes(&[7; 32]).unwrap()
}

fn check_value(path: &str, value: &Value, schema: &Value, schemas: &Value) {
    if let Some(target) = schema["$ref"].as_str() {
        let name = target.rsplit('/').next().unwrap();
        assert!(schemas[name].is_object(), "{path}: no schema {name}");
        return check_value(path, value, &schemas[name], schemas);
    }
    match schema["type"].as_str().unwrap() {
        "string" => assert!(value.is_string(), "{path}: {value}"),
        "integer" => assert!(value.is_u64(), "{path}: {value}"),
        "number" => assert!(value.is_number(), "{path}: {value}"),
        "boolean" => assert!(value.is_boolean(), "{path}: {value}"),
        "array" => {
            let items = value.as_array().unwrap_or_else(|| panic!("{path}: {value}"));
            assert!(!items.is_empty(), "{path}: an empty list shows nothing");
            for item in items {
                check_value(path, item, &schema["items"], schemas);
            }
        }
        "object" => {
            let names = |v: &Value| v.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
            assert_eq!(names(value), names(&schema["properties"]), "members of {path}");
            for (name, member) in value.as_object().unwrap() {
                check_value(&format!("{path}.{name}"), member, &schema["properties"][name], schemas);
            }
        }
        other => panic!("{path}: unknown type {other}"),
    }
}

/// Checks a value with every member present, and that what the schema calls required is what cannot be left out
/// (`required`: of a value that is as empty as can be).
fn check<T: Serialize + DeserializeOwned>(name: &str, full: &T, least: Option<&T>) {
    let schemas = all();
    let schema = &schemas[name];
    assert!(schema.is_object(), "no schema {name}");
    let value = serde_json::to_value(full).unwrap();
    check_value(name, &value, schema, &schemas);
    // The names are also what reading takes.
    let again: T = lf_proto::json::from_value(value.clone()).unwrap();
    assert_eq!(serde_json::to_value(&again).unwrap(), value, "{name} is not read as it is written");
    if let Some(least) = least {
        let least = serde_json::to_value(least).unwrap();
        let written: BTreeSet<&str> = least.as_object().unwrap().keys().map(String::as_str).collect();
        let required: BTreeSet<&str> =
            schema["required"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
        assert_eq!(written, required, "required members of {name}");
    }
}

fn record(full: bool) -> api::RecordJson {
    let some = |blob: Blob| if full { blob } else { Blob::default() };
    let selector = api::SelectorJson { ordinal: Ordinal([1; 16]), claim: blob() };
    api::RecordJson {
        value: some(blob()),
        value_hash: some(blob()),
        owner: owner(),
        links: if full { vec![Hash([1; 32])] } else { vec![] },
        timestamp: 1,
        pulse_token: 2,
        record_type: 3,
        selectors: if full { vec![selector] } else { vec![] },
        work: some(blob()),
        work_algorithm: 1,
        signature: some(blob()),
    }
}

fn result(full: bool) -> api::QueryResult {
    api::QueryResult {
        hash: Hash([1; 32]),
        size: 1,
        record: record(full),
        value: if full { blob() } else { Blob::default() },
        pulse: 1,
        trust: 0.5,
        local_trust: 1.0,
        oracle_trust: 0.25,
        weight: [1, 2, 3, 4],
        signed: false,
    }
}

#[test]
fn records_and_results_are_described() {
    check("Record", &record(true), Some(&record(false)));
    check("QueryResult", &result(true), Some(&result(false)));
    check("Selector", &record(true).selectors[0], None);
}

#[test]
fn explanations_are_described() {
    let candidate = |full: bool| api::ExplainedCandidate {
        result: result(full),
        age: 1,
        revisions: 1,
        reputation: 63,
        weight_share: 0.5,
        records_on_top: 1.5,
        difficulty: 1,
        certified: "no".to_owned(),
        denied_by: if full { vec![owner()] } else { vec![] },
        goes_on_for: if full { vec![owner()] } else { vec![] },
    };
    check("ExplainedCandidate", &candidate(true), Some(&candidate(false)));
    let set = |full: bool| api::ExplainedSet {
        candidates: vec![candidate(full)],
        because: "it is the only one".to_owned(),
        warnings: if full { vec!["it is young".to_owned()] } else { vec![] },
    };
    check("ExplainedSet", &set(true), Some(&set(false)));
    let all = api::Explanation { sets: vec![set(true)], sort_order: "trust".to_owned(), time: 1 };
    check("Explanation", &all, Some(&all));
}

#[test]
fn requests_are_described() {
    let range = api::QueryRange { name: blob(), range: vec![1, 2], key_range: vec![blob()] };
    check("QueryRange", &range, None);
    let query = api::Query {
        ranges: vec![range],
        time_range: vec![1],
        masking_key: blob(),
        owners: vec![owner()],
        sort_order: "trust".to_owned(),
        limit: 1,
        open: true,
        oracles: vec![owner()],
        follow_rotations: true,
    };
    check("Query", &query, Some(&api::Query::default()));
    let selector = api::MakeSelector { name: blob(), ordinal: 1 };
    check("MakeSelector", &selector, None);
    let make = api::MakeRecord {
        selectors: vec![selector],
        value: blob(),
        owner_private: Zeroizing::new(blob()),
        masking_key: Zeroizing::new(blob()),
        passphrase: Zeroizing::new("words".to_owned()),
        timestamp: 1,
        pulse_if_unchanged: true,
        new_record_if_pulse_span_exceeded: Some(false),
    };
    check("MakeRecord", &make, None);
    check("WorkRequest", &api::WorkRequest { work_hash: blob(), difficulty: 1 }, None);
    let peer = |full: bool| api::Peer {
        ip: "::1".to_owned(),
        port: 9,
        identity: if full { blob() } else { Blob::default() },
        address: if full { "host:1".to_owned() } else { String::new() },
    };
    check("Peer", &peer(true), Some(&peer(false)));
    let ban = |hours| api::BanRequest { peer: "::1".to_owned(), hours };
    check("BanRequest", &ban(Some(1)), Some(&ban(None)));
}

fn parameters(full: bool) -> GenesisParameters {
    let text = |text: &str| if full { text.to_owned() } else { String::new() };
    GenesisParameters {
        id: [1; 32],
        amendable_fields: if full { vec!["name".to_owned()] } else { vec![] },
        name: text("n"),
        contact: text("c"),
        comment: text("c"),
        auth_certificates: if full { blob() } else { Blob::default() },
        revoked_auth_certificates: if full { blob() } else { Blob::default() },
        auth_required: false,
        record_min_links: 1,
        record_max_value_size: 2,
        record_max_time_drift: 3,
        strict_signatures: full,
        work_factor: u64::from(full),
    }
}

#[test]
fn answers_are_described() {
    check("WorkAnswer", &api::WorkAnswer { work: blob() }, None);
    check("GenesisParameters", &parameters(true), Some(&parameters(false)));
    let status = |full: bool| api::NodeStatus {
        software: "LF".to_owned(),
        version: [1, 2, 3, 4],
        api_version: 1,
        min_api_version: 1,
        max_api_version: 1,
        uptime: 1,
        clock: 1,
        record_count: 1,
        data_size: 1,
        fully_synchronized: true,
        genesis_records: blob(),
        genesis_parameters: parameters(full),
        oracle: full.then(owner),
        oracle_threads: 1,
        p2p_port: 0,
        local_test_mode: true,
        identity: if full { blob() } else { Blob::default() },
        peers: if full {
            vec![api::Peer { ip: "::1".to_owned(), port: 9, identity: blob(), address: "h".to_owned() }]
        } else {
            vec![]
        },
        pending_count: 1,
        limbo_count: 1,
        read_only_reason: if full { "full".to_owned() } else { String::new() },
        missing_count: 1,
        fetched_count: 1,
        https_until: full.then_some(1),
        https_problem: if full { "none".to_owned() } else { String::new() },
    };
    check("NodeStatus", &status(true), Some(&status(false)));
    let owner_status = |full: bool| api::OwnerStatus {
        owner: owner(),
        owner_type: "ed25519".to_owned(),
        certificates: if full { vec![blob()] } else { vec![] },
        revoked_certificates: if full { vec![blob()] } else { vec![] },
        has_current_certificate: false,
        auth_required: false,
        record_count: 1,
        record_bytes: 1,
        new_record_links: if full { vec![Hash([1; 32])] } else { vec![] },
        server_time: 1,
    };
    check("OwnerStatus", &owner_status(true), None);
    let peer = |full: bool| api::PeerStatus {
        peer: "@x".to_owned(),
        address: "127.0.0.1:1".to_owned(),
        outbound: true,
        version: if full { "lf/1".to_owned() } else { String::new() },
        round_trip_micros: full.then_some(1),
        connected_seconds: 1,
        state: "new".to_owned(),
        records: 1,
        score: 1,
        received_bytes: 1,
        sent_bytes: 1,
    };
    check("PeerStatus", &peer(true), Some(&peer(false)));
    let peers = api::PeersStatus {
        peers: vec![peer(true)],
        bans: vec![api::PeerBan { peer: "@x".to_owned(), until: 1, reason: "lies".to_owned() }],
        listens: vec!["127.0.0.1:1".to_owned()],
        known_peers: 1,
    };
    check("PeersStatus", &peers, Some(&api::PeersStatus::default()));
    let certificate = |full: bool| api::CertificateInfo {
        serial: "1".parse().unwrap(),
        issuer: full.then(|| "2".parse().unwrap()),
        subject: if full { "CN=x".to_owned() } else { String::new() },
        owner: full.then(owner),
        not_before: 1,
        not_after: 2,
        authority: false,
        revoked: true,
        revoked_time: full.then_some(1),
        reason: full.then(|| "unspecified".to_owned()),
        record: Hash([1; 32]),
        certificate: blob(),
    };
    check("CertificateInfo", &certificate(true), Some(&certificate(false)));
    let certificates =
        |full: bool| api::CertificateList { certificates: vec![certificate(true)], next: full.then_some(1) };
    check("CertificateList", &certificates(true), Some(&certificates(false)));
    let linked = api::GraphRecord {
        index: 1,
        hash: Hash([1; 32]),
        owner: owner(),
        timestamp: 1,
        record_type: 0,
        links: vec![0],
        weight: [1, 2, 3, 4],
        score: 1,
        reputation: 63,
        size: 1,
        selectors: 1,
    };
    check("GraphRecord", &linked, Some(&linked));
    let graph = |records| api::GraphPage { records, linked: 1, tips: 1 };
    check("GraphPage", &graph(vec![linked]), Some(&graph(vec![])));
    let list = api::PeerList { peers: vec!["/ip4/127.0.0.1/tcp/1".to_owned()] };
    check("PeerList", &list, Some(&api::PeerList::default()));
    let made = api::Made { record: Some(record(true)), pulse: "AAAA".to_owned(), accepted: true };
    check("Made", &made, Some(&api::Made { record: None, pulse: String::new(), accepted: false }));
    let error =
        |text: &str| api::ErrorJson { code: 400, message: text.to_owned(), err_type_name: text.to_owned() };
    check("Error", &error("x"), Some(&error("")));
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn walk(value: &Value, schemas: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(target) = members.get("$ref").and_then(Value::as_str) {
                    let name = target.strip_prefix("#/components/schemas/").unwrap();
                    assert!(schemas[name].is_object(), "no schema {name}");
                    found.insert(name.to_owned());
                }
                members.values().for_each(|v| walk(v, schemas, found));
            }
            Value::Array(items) => items.iter().for_each(|v| walk(v, schemas, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(super::super::document(), &all(), &mut found);
    let described: BTreeSet<String> = all().as_object().unwrap().keys().cloned().collect();
    assert_eq!(found, described, "schemas that nothing refers to");
}
