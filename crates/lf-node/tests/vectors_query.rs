//! query.json: what two nodes of the reference answered, and which records a third one took.
//!
//! Where NODE.md §5 differs from the reference on purpose, the test states the rule, from the request and the records
//! alone.
#![allow(clippy::unwrap_used)]

#[path = "../../lf-proto/tests/support/vectors.rs"]
mod vectors;

use std::collections::BTreeMap;
use std::sync::Arc;

use lf_node::core::accept::{self, Refusal, Verdict};
use lf_node::core::query::{self, Plan};
use lf_node::core::{Certified, NoCertificates, Rules, pulse};
use lf_proto::api::{Query, QueryResult};
use lf_proto::comment::Comment;
use lf_proto::genesis::Genesis;
use lf_proto::owner::OwnerPublic;
use lf_proto::pulse::{PULSE_MINUTES_MAX, Pulse};
use lf_proto::record::{Record, RecordType};
use lf_proto::selector::{SelectorName, SelectorNames};
use lf_store::storage::SimStorage;
use lf_store::{IndexPlace, Put, Store, StoreOptions, Stored};
use serde_json::Value;
use vectors::{bytes, load, report, text};

/// Any time within the vectors' drift of 10⁹ seconds.
const NOW: u64 = 1_795_352_600;

fn open(case: &Value) -> (Store, Genesis) {
    let genesis = Genesis::parse(&bytes(case, "genesis_lf")).unwrap();
    let storage = Arc::new(SimStorage::new(1));
    let options = StoreOptions::new(storage, IndexPlace::Memory, genesis.clone(), [1; 16]);
    (Store::open(options).unwrap().0, genesis)
}

fn add(store: &mut Store, rules: &Rules<'_>, record: &[u8]) -> Result<(), Refusal> {
    let record = Record::decode(record)?;
    accept::check_limits(&record, rules, NOW)?;
    let mut verdicts = accept::verify_all(vec![record], rules, |_| Vec::new());
    let verified = match verdicts.pop() {
        Some(Verdict::Accepted(verified)) => verified,
        Some(Verdict::Refused(refusal)) => return Err(refusal),
        other => panic!("{other:?}"),
    };
    let put =
        Put { record: verified.record, selectors: verified.selectors, work_verified: verified.work_verified };
    store.apply(&[put], &[]).unwrap();
    Ok(())
}

fn ask(
    store: &Store,
    rules: &Rules<'_>,
    request: &Query,
) -> Result<Vec<Vec<QueryResult>>, query::QueryError> {
    query::answer(&Plan::new(request, &SelectorNames::new(0))?, &store.reader().view(), rules)
}

/// Malformed by the words of NODE.md §5.
fn is_malformed(request: &Query) -> bool {
    let two = |values: &[u64]| values.len() > 2 || (values.len() == 2 && values[0] > values[1]);
    request.ranges.is_empty()
        // Nothing can match more ranges than a record has selectors; each costs us, so it is an error.
        || request.ranges.len() > 15
        || !matches!(request.sort_order.as_str(), "" | "trust" | "weight" | "timestamp" | "deterministic")
        || two(&request.time_range)
        || request.ranges.iter().any(|r| {
            two(&r.range)
                || r.key_range.len() > 2
                || r.key_range.iter().any(|k| k.0.len() != 32)
                || (r.key_range.len() == 2 && r.key_range[0].0 > r.key_range[1].0)
        })
}

#[test]
fn query_vectors() {
    let cases = load("query.json");
    let mut ran = 0;
    for case in &cases {
        if case["attempts"].is_array() {
            ran += attempts(case);
        } else {
            ran += queries(case);
        }
    }
    report("query.json", ran);
}

/// Verdicts of adding records.
fn attempts(case: &Value) -> usize {
    let (mut store, genesis) = open(case);
    let mut count = 0;
    for attempt in case["attempts"].as_array().unwrap() {
        let rules = Rules {
            parameters: genesis.parameters(),
            genesis_owner: genesis.owner(),
            local_test: !text(attempt, "description").starts_with("not local test"),
            certificates: &NoCertificates,
        };
        let record = bytes(attempt, "record");
        let known = Record::decode(&record)
            .is_ok_and(|r| store.reader().view().standing(&r.hash()).unwrap().is_some());
        let verdict = add(&mut store, &rules, &record);
        let reference = attempt["error"].as_str().unwrap_or("");
        let name = verdict.as_ref().err().map_or("", Refusal::name);
        let expected = match reference {
            "" => "",
            "duplicate record" => {
                assert!(known, "{attempt}");
                ""
            }
            "insufficient links" => "ErrRecordInsufficientLinks",
            "record value too large" => "ErrRecordValueTooLarge",
            "record timestamp too far in the future" => "ErrRecordViolatesSpecialRelativity",
            "record administratively prohibited" => "ErrRecordProhibited",
            "owner signature check failed" => "ErrRecordOwnerSignatureCheckFailed",
            "links must be sorted and unique" => "ErrRecordInvalidLinks",
            // The reference has one error for step 7; ours says what is missing.
            e if e.starts_with("record not currently approved") => "ErrRecordInsufficientWork",
            other => panic!("unknown error {other}"),
        };
        assert_eq!(name, expected, "{verdict:?}: {attempt}");
        count += 1;
    }
    count
}

fn queries(case: &Value) -> usize {
    let (mut store, genesis) = open(case);
    let reader = store.reader();
    let rules = Rules {
        parameters: genesis.parameters(),
        genesis_owner: genesis.owner(),
        local_test: true,
        certificates: &reader,
    };
    assert_eq!(reader.has_authorities(), case["ca_certificate_der"].is_string());
    for record in case["records"].as_array().unwrap() {
        add(&mut store, &rules, &bytes(record, "record")).unwrap();
    }
    let mut said = Comments::new();
    for record in case["records"].as_array().unwrap() {
        let decoded = Record::decode(&bytes(record, "record")).unwrap();
        if decoded.record_type() == RecordType::Commentary {
            for subject in
                Comment::decode_all(&bytes(record, "plain_value")).iter().filter_map(Comment::collides)
            {
                let view = store.reader().view();
                if let Some(row) = view.row_of(&subject).unwrap() {
                    *said.entry((row.id, row.owner)).or_default().entry(*decoded.owner()).or_default() += 1;
                }
            }
        }
    }
    for p in case["pulses"].as_array().into_iter().flatten() {
        let accepted = Pulse::from_bytes(&bytes(p, "pulse")).ok().is_some_and(|pulse| {
            let view = store.reader().view();
            let found = pulse::check(pulse, &view, &rules, NOW, PULSE_MINUTES_MAX).unwrap();
            found.is_some_and(|f| store.apply(&[], &[(f.token, f.pulse)]).unwrap().pulses == [true])
        });
        assert_eq!(accepted, p["accepted"].as_bool().unwrap(), "{p}");
    }
    check_state(&store, case);
    let (mut count, mut compared) = (0, 0);
    for (field, local_test) in [("queries", true), ("queries_not_in_local_test_mode", false)] {
        let rules = Rules { local_test, ..rules };
        for q in case[field].as_array().into_iter().flatten() {
            check_query(&store, &rules, q, &said, &mut compared);
            count += 1;
        }
    }
    assert!(compared * 2 > count, "most answers are the reference's: {compared} of {count}");
    count
}

/// Weights, reputations and standings of the settled state.
fn check_state(store: &Store, case: &Value) {
    let view = store.reader().view();
    for state in case["db_state"].as_array().unwrap() {
        let hash = lf_proto::hash::Hash(bytes(state, "hash").try_into().unwrap());
        let row = view.row_of(&hash).unwrap().unwrap();
        assert_eq!(u64::from(row.score), state["score"].as_u64().unwrap());
        assert_eq!(
            u64::from(view.reputation(&row).unwrap()),
            state["reputation"].as_u64().unwrap(),
            "{state}"
        );
        match view.standing(&hash).unwrap() {
            Some(Stored::Linked(index)) => {
                assert_eq!(state["synchronized"], true, "{state}");
                assert_eq!(view.weight(index).to_string(), text(state, "weight"), "{state}");
            }
            other => assert_eq!(state["synchronized"], false, "{other:?} {state}"),
        }
    }
}

fn check_query(store: &Store, rules: &Rules<'_>, q: &Value, said: &Comments, compared: &mut usize) {
    let name = text(q, "name");
    let request: Result<Query, _> = lf_proto::json::from_slice(text(q, "request").as_bytes());
    let Ok(request) = request else {
        // JSON that does not fit: owners or oracles of impossible length, wrong types.
        return;
    };
    let ours = ask(store, rules, &request);
    if is_malformed(&request) {
        assert!(ours.is_err(), "{name}: malformed queries are errors");
        return;
    }
    let ours = ours.unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(shape(&ours), model(store, rules, &request, said), "{name}");
    if q["stable"] != true || q["response"]["http_status"] != 200 || !rules.local_test {
        return;
    }
    let body: Option<Vec<Vec<Value>>> = serde_json::from_str(text(&q["response"], "body")).unwrap();
    let theirs = body.unwrap_or_default();
    // A set whose first record a time range filters is merged into its neighbour or lost; values of 2⁶³ and more are
    // read as none. So with times only answers that filter nothing are compared.
    let all_times = Query { time_range: Vec::new(), ..request.clone() };
    if !request.time_range.is_empty() && ask(store, rules, &all_times).unwrap() != ours
        || request.time_range.iter().any(|t| *t >= 1 << 63)
    {
        return;
    }
    // Without oracles the order, the limit and the penalty for the unsigned are ignored.
    let ordered = !request.oracles.is_empty();
    if !ordered && request.limit > 0 {
        return;
    }
    // An oracle that repeats itself counts several times.
    let view = store.reader().view();
    let repeats = |r: &QueryResult| {
        let row = view.row_of(&r.hash).unwrap().unwrap();
        let oracles = said.get(&(row.id, row.owner));
        oracles
            .is_some_and(|o| request.oracles.iter().any(|asked| o.get(asked).is_some_and(|times| *times > 1)))
    };
    if ours.iter().flatten().any(repeats) {
        return;
    }
    let hash = |v: &Value| v["Hash"].as_str().unwrap().to_owned();
    let mut our_sets: Vec<Vec<String>> =
        ours.iter().map(|s| s.iter().map(|r| r.hash.to_string()).collect()).collect();
    let mut their_sets: Vec<Vec<String>> = theirs.iter().map(|s| s.iter().map(hash).collect()).collect();
    if !ordered {
        our_sets.iter_mut().for_each(|s| s.sort());
        their_sets.iter_mut().for_each(|s| s.sort());
    }
    assert_eq!(our_sets, their_sets, "{name}");
    let by_hash: BTreeMap<String, &Value> = theirs.iter().flatten().map(|r| (hash(r), r)).collect();
    for result in ours.iter().flatten() {
        let reference = by_hash[&result.hash.to_string()];
        let ours = serde_json::to_value(result).unwrap();
        for member in ["Hash", "Size", "Record", "Value", "Pulse", "Weight", "Signed"] {
            assert_eq!(ours[member], reference[member], "{name}: {member}");
        }
        let number = |member: &str| reference[member].as_f64().unwrap();
        let unsigned = !ordered && !rules.parameters.auth_certificates.is_empty() && !result.signed;
        let penalty = if unsigned { 0.9 } else { 1.0 };
        assert_eq!(result.trust, number("Trust") * penalty, "{name}: Trust");
        assert_eq!(result.local_trust, number("LocalTrust"), "{name}: LocalTrust");
        assert_eq!(result.oracle_trust, number("OracleTrust"), "{name}: OracleTrust");
    }
    *compared += 1;
}

/// How often each oracle says that an (id, owner) collides.
type Comments = BTreeMap<([u8; 32], OwnerPublic), BTreeMap<OwnerPublic, u32>>;

type Shape = Vec<Vec<(String, u64, u128)>>;

/// Hash, trust in units of 10⁻¹⁰, and weight of every record of an answer.
fn shape(sets: &[Vec<QueryResult>]) -> Shape {
    let weight = |r: &QueryResult| lf_proto::api::weight_from_words(&r.weight);
    let one = |r: &QueryResult| (r.hash.to_string(), (r.trust * 1e10).round() as u64, weight(r));
    sets.iter().map(|s| s.iter().map(one).collect()).collect()
}

/// NODE.md §5 in the plainest way: look at every record, sort everything, keep the first of each owner.
fn model(store: &Store, rules: &Rules<'_>, q: &Query, said: &Comments) -> Shape {
    let view = store.reader().view();
    let keys: Vec<(Vec<u8>, Vec<u8>)> = q
        .ranges
        .iter()
        .map(|r| match &r.key_range[..] {
            [] => {
                let name = SelectorName::new(&r.name.0);
                let ordinals = if r.range.is_empty() { vec![0] } else { r.range.clone() };
                let key = |o: u64| name.key(o).unwrap().0.to_vec();
                (key(ordinals[0]), key(*ordinals.last().unwrap()))
            }
            keys => (keys[0].0.clone(), keys.last().unwrap().0.clone()),
        })
        .collect();
    let mut found = Vec::new();
    for index in 0..view.linked() {
        let row = view.row(index).unwrap().unwrap();
        let count = row.selectors.len();
        let wanted = (count == keys.len() || (q.open && count > keys.len()))
            && keys.iter().zip(&row.selectors).all(|((a, b), s)| *a <= s.key.0.to_vec() && s.key.0.to_vec() <= *b)
            && (q.owners.is_empty() || q.owners.contains(&row.owner))
            // No record of the vectors has work that holds.
            && (rules.local_test || rules.certificates.certified(&row.owner, row.timestamp) == Certified::Yes);
        if wanted {
            let ordinals: Vec<_> = row.selectors.iter().map(|s| s.ordinal.0).collect();
            let keys: Vec<_> = row.selectors.iter().map(|s| s.key.0).collect();
            found.push(((count, ordinals, keys), row.owner, row.timestamp, row.hash, index, row));
        }
    }
    found.sort_by_key(|f| (f.0.clone(), f.1, std::cmp::Reverse((f.2, f.3))));
    let mut sets: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for owner in found.chunk_by(|a, b| (&a.0, a.1) == (&b.0, b.1)) {
        let (set, _, time, hash, _, row) = &owner[0];
        let weight: u128 = owner.iter().map(|f| view.weight(f.4)).sum();
        if q.time_range.first().is_some_and(|t| time < t) || q.time_range.get(1).is_some_and(|t| time > t) {
            continue;
        }
        let local = if view.reputation(row).unwrap() >= 63 { 1.0 } else { 0.0 };
        let n = q.oracles.len() as f64;
        let oracles = said.get(&(row.id, row.owner));
        let negative =
            q.oracles.iter().filter(|o| oracles.is_some_and(|said| said.contains_key(o))).count() as f64;
        let mut trust =
            if q.oracles.is_empty() { local } else { (local + (1.0 - negative / n) * n) / (n + 1.0) };
        let signed = rules.certificates.certified(&row.owner, row.timestamp) == Certified::Yes;
        if !rules.parameters.auth_certificates.is_empty() && !signed {
            trust *= 0.9;
        }
        let trust = (trust * 1e10).round() as u64;
        let order = match q.sort_order.as_str() {
            "weight" => (weight, 0, *hash),
            "timestamp" => (u128::from(*time), 0, *hash),
            _ => (u128::from(trust), weight, *hash),
        };
        sets.entry(set.clone())
            .or_default()
            .push((std::cmp::Reverse(order), (hash.to_string(), trust, weight)));
    }
    sets.into_values()
        .map(|mut set| {
            set.sort();
            let limit = if q.limit == 0 { usize::MAX } else { q.limit as usize };
            set.into_iter().map(|(_, shape)| shape).take(limit).collect()
        })
        .collect()
}
