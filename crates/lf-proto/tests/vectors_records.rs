//! records.json, masking.json, comment.json: records, their values, commentary.
#![allow(clippy::unwrap_used)]

#[path = "support/vectors.rs"]
mod vectors;

use lf_proto::api::RecordJson;
use lf_proto::comment::Comment;
use lf_proto::hash::Hash;
use lf_proto::masking::{self, MaskingError};
use lf_proto::owner::{OwnerPublic, OwnerSecret};
use lf_proto::record::{DecodeError, RECORD_BYTES_MAX, Record, RecordBuilder, RecordType};
use lf_proto::work::{self, Table};
use serde_json::Value;
use vectors::{bytes, hex, load, number, report, text, unhex};

/// Whether the work verifies, as the reference's `validate_work` says: difficulty enough for the cost, and no more.
fn work_verifies(record: &Record) -> bool {
    record.work().is_some_and(|w| {
        w.difficulty() >= work::cost(record.billable_bytes())
            && work::verify(Table::shared(), record.work_hash(), w, work::TablePasses::ALL).is_ok()
    })
}

fn check_record(case: &Value) {
    let record = Record::decode(&bytes(case, "record")).unwrap();
    assert_eq!(hex(&record.hash().0), text(case, "hash"), "{case}");
    assert_eq!(record.hash().to_string(), text(case, "hash_string"));
    assert_eq!(hex(record.body_hash()), text(case, "body_signing_hash"));
    assert_eq!(hex(record.work_hash()), text(case, "work_hash"));
    assert_eq!(hex(&record.signed_digest()), text(case, "owner_signing_hash"));
    assert_eq!(record.billable_bytes(), number(case, "billable_bytes"));
    assert_eq!(u64::from(record.score()), number(case, "score"));
    assert_eq!(u64::from(work::cost(record.billable_bytes())), number(case, "required_cost"));
    assert_eq!(record.as_bytes().len() as u64, number(case, "size"));
    assert_eq!(record.value_bytes() as u64, number(case, "value_data_size"));
    let selectors = record.recover_selectors().unwrap();
    let field = |name: &str| {
        case[name]
            .as_array()
            .map_or_else(Vec::new, |a| a.iter().map(|v| v.as_str().unwrap().to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(selectors.iter().map(|s| hex(&s.key.0)).collect::<Vec<_>>(), field("selector_keys"));
    assert_eq!(selectors.iter().map(|s| hex(&s.id)).collect::<Vec<_>>(), field("selector_ids"));
    assert_eq!(hex(&record.id(&selectors)), text(case, "id"));
    assert!(case["validate"].is_null());
    record.verify_signature(false).unwrap();
    assert_eq!(work_verifies(&record), case["validate_work"].as_bool().unwrap(), "{case}");
    let value = masking::unmask(
        record.stored_value(),
        record.timestamp(),
        &bytes(case, "get_value_key"),
        record.owner(),
    );
    match case["get_value_error"].as_str() {
        None => assert_eq!(hex(&value.unwrap()), text(case, "get_value")),
        Some(_) => assert!(value.is_err()),
    }
    let json = RecordJson::from(&record);
    let reference: Value = serde_json::from_str(text(case, "json")).unwrap();
    assert_eq!(serde_json::to_value(&json).unwrap(), reference);
    let read: RecordJson = lf_proto::json::from_value(reference).unwrap();
    assert_eq!(read.to_record().unwrap(), record);
    // Dropping the value keeps every hash.
    let proxy = record.to_proxy();
    let (read, used) = Record::decode_any(proxy.as_bytes()).unwrap();
    assert_eq!(
        (read.hash(), read.work_hash(), used),
        (record.hash(), record.work_hash(), proxy.as_bytes().len())
    );
    assert_eq!(Record::decode(proxy.as_bytes()), Err(DecodeError::NotFull));
    every_truncation_fails(record.as_bytes());
}

fn every_truncation_fails(record: &[u8]) {
    for length in 0..record.len() {
        let cut = &record[..length];
        assert!(matches!(Record::decode(cut), Err(DecodeError::Truncated(_))), "at {length}");
    }
    let mut longer = record.to_vec();
    longer.push(0);
    assert_eq!(Record::decode(&longer), Err(DecodeError::Trailing(1)));
}

/// A malformed or altered record: what the reference says, but for what we refuse on purpose.
fn check_malformed(case: &Value) {
    let input = bytes(case, "record");
    let decoded = Record::decode(&input);
    if !case["unmarshal_error"].is_null() {
        assert!(decoded.is_err(), "the reference refuses this: {case}");
        return;
    }
    // The reference reads these as the canonical record, hashes that, and ignores what follows: we reject them.
    // An owner of no known type cannot sign, so such bytes are no record to us.
    let canonical = case["reserialized_equal"].as_bool().unwrap();
    let Ok(record) = decoded else {
        let by_rule = !canonical
            || matches!(decoded, Err(DecodeError::Owner(n)) if !matches!(n, 14 | 24 | 32))
            || matches!(decoded, Err(DecodeError::LinkOrder) if text(case, "validate").contains("links must be sorted"));
        assert!(by_rule, "{decoded:?}: {case}");
        return;
    };
    assert!(canonical, "only canonical bytes are a record: {case}");
    assert_eq!(record.as_bytes(), input);
    assert_eq!(hex(&record.hash().0), text(case, "hash"));
    let valid = record.verify_signature(false).is_ok();
    assert_eq!(valid, case["validate"].is_null(), "{case}");
    let recovered = record.recover_selectors();
    if !case["id_panic"].is_null() {
        assert!(recovered.is_err(), "no key can be recovered: {case}");
    } else if let Ok(selectors) = recovered {
        assert_eq!(hex(&record.id(&selectors)), text(case, "id"));
    } else {
        // The reference computes with r or s outside of [1, n−1] and with the point at infinity; we do not.
        let by_rule =
            record.selectors().iter().any(|s| out_of_range(&s.r_s[..20]) || out_of_range(&s.r_s[20..]));
        assert!(by_rule, "{case}");
    }
    if let Some(expected) = case["validate_work"].as_bool() {
        assert_eq!(work_verifies(&record), expected, "{case}");
    }
}

/// Whether a big-endian number is 0 or at least the order of brainpoolP160t1.
fn out_of_range(number: &[u8]) -> bool {
    let order = unhex("e95e4a5f737059dc60df5991d45029409e60fc09");
    number.iter().all(|b| *b == 0) || number >= &order[..]
}

#[test]
fn records_vectors() {
    let cases = load("records.json");
    for case in &cases {
        match text(case, "type") {
            "record" => check_record(case),
            "truncation" => every_truncation_fails(&bytes(case, "record")),
            "malformed" => check_malformed(case),
            "size_limit" => {
                let mut record = bytes(case, "record_prefix_before_value");
                let length = number(case, "value_length") as usize;
                record.resize(record.len() + length, number(case, "value_byte") as u8);
                record.extend(bytes(case, "record_suffix_after_value"));
                let decoded = Record::decode(&record);
                if record.len() <= RECORD_BYTES_MAX {
                    let decoded = decoded.unwrap();
                    assert_eq!(hex(&decoded.hash().0), text(case, "hash"));
                    decoded.verify_signature(false).unwrap();
                } else {
                    assert_eq!(decoded, Err(DecodeError::TooLarge));
                }
            }
            "abbreviated" => {
                let full = Record::decode(&bytes(case, "full_record")).unwrap();
                let short = bytes(case, "abbreviated_record");
                assert_eq!(Record::decode(&short), Err(DecodeError::NotFull));
                let (proxy, used) = Record::decode_any(&short).unwrap();
                assert_eq!(used, short.len());
                // The intended formula, which the reference gets wrong: the hash is the full record's.
                assert_eq!(proxy.hash(), full.hash());
                assert_eq!(hex(&proxy.hash().0), text(case, "full_hash"));
                proxy.verify_signature(false).unwrap();
                assert_eq!(full.to_proxy(), proxy);
                let json = RecordJson::from(&proxy);
                let reference: Value = serde_json::from_str(text(case, "json")).unwrap();
                assert_eq!(serde_json::to_value(&json).unwrap(), reference);
            }
            "builder_error" => check_builder_error(case),
            other => panic!("unknown type {other}"),
        }
    }
    report("records.json", cases.len());
}

/// What cannot be built is an error before there is a record; types beyond 15 and missing ordinals cannot be said.
fn check_builder_error(case: &Value) {
    let owner = OwnerSecret::from_seed(lf_proto::owner::OwnerType::P224, b"builder");
    let links: Vec<Hash> = (0..16u8).map(|i| Hash([i; 32])).collect();
    let names: Vec<(&[u8], u64)> = vec![(b"n", 0); 16];
    let build = |selectors: &[(&[u8], u64)], links: &[Hash]| {
        RecordBuilder {
            record_type: RecordType::Datum,
            value: b"v",
            masking_key: None,
            selectors,
            links,
            timestamp: 1,
            with_pulse_token: false,
        }
        .build(&owner)
    };
    let description = text(case, "description");
    if description.contains("16 links") {
        assert!(build(&[], &links).is_err());
    } else if description.contains("16 selectors") {
        assert!(build(&names, &[]).is_err());
    } else if let Some(record) = case["record"].as_str() {
        // Duplicate links: invalid where they came in; our builder drops them.
        assert_eq!(Record::decode(&unhex(record)), Err(DecodeError::LinkOrder));
        let twice = [links[3], links[3]];
        let built = build(&[], &twice).unwrap().sign(&owner, None);
        assert_eq!(built.links(), &links[3..4]);
    }
}

#[test]
fn built_records_verify() {
    for ty in lf_proto::owner::OwnerType::ALL {
        let owner = OwnerSecret::from_seed(ty, b"someone");
        let record = RecordBuilder {
            record_type: RecordType::Datum,
            value: b"a value that is long enough to be compressed, compressed, compressed",
            masking_key: None,
            selectors: &[(b"name", 7), (b"other", u64::MAX)],
            links: &[Hash([9; 32]), Hash([1; 32])],
            timestamp: 1_600_000_000,
            with_pulse_token: true,
        };
        let unworked = record.build(&owner).unwrap();
        let billable = unworked.billable_bytes();
        let built = unworked.sign(&owner, None);
        assert_eq!(Record::decode(built.as_bytes()).unwrap(), built);
        assert_eq!(built.billable_bytes(), billable);
        built.verify_signature(true).unwrap();
        let name = lf_proto::selector::SelectorName::new(b"name");
        assert_eq!(built.recover_selectors().unwrap()[0].key, name.key(7).unwrap());
        let value = masking::unmask(built.stored_value(), built.timestamp(), b"name", built.owner()).unwrap();
        assert_eq!(value, record.value);
    }
}

#[test]
fn masking_vectors() {
    let cases = load("masking.json");
    for case in &cases {
        let owner = OwnerPublic::from_bytes(&bytes(case, "owner_public")).unwrap();
        let timestamp = number(case, "timestamp");
        let stored = bytes(case, "record_value");
        if case["type"] == "mask" {
            let key = bytes(case, "effective_key");
            for attempt in case["get_value"].as_array().unwrap() {
                let value = masking::unmask(&stored, timestamp, &bytes(attempt, "key"), &owner);
                match attempt["error"].as_str() {
                    None => assert_eq!(hex(&value.unwrap()), text(attempt, "value"), "{case}"),
                    Some(_) => assert_eq!(value, Err(MaskingError::IncorrectKey), "{case}"),
                }
            }
            let plain = bytes(case, "plain_value");
            let ours = masking::mask(&plain, timestamp, &key, &owner);
            assert_eq!(masking::unmask(&ours, timestamp, &key, &owner).unwrap(), plain);
            if case["compression"] == 0 && ours.len() == stored.len() {
                assert_eq!(hex(&ours), hex(&stored), "what is not compressed is the same bytes");
            }
        } else {
            let value = masking::unmask(&stored, timestamp, &bytes(case, "key"), &owner);
            match case["error"].as_str() {
                None => {
                    let value = value.unwrap();
                    assert_eq!(value.len() as u64, number(case, "value_length"), "{case}");
                    if let Some(expected) = case["value"].as_str() {
                        assert_eq!(hex(&value), expected, "{case}");
                    }
                }
                Some(_) => assert!(value.is_err(), "{case}"),
            }
        }
    }
    report("masking.json", cases.len());
}

#[test]
fn comment_vectors() {
    let cases = load("comment.json");
    let comments_of = |case: &Value| {
        case["comments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| Comment {
                assertion: number(c, "assertion") as u8,
                reason: number(c, "reason") as u8,
                subject: bytes(c, "subject"),
            })
            .collect::<Vec<_>>()
    };
    for case in &cases {
        let expected_bytes = case["bytes"].as_str().map(unhex).unwrap_or_default();
        match text(case, "type") {
            "serialize" => {
                let comment = Comment {
                    assertion: number(case, "assertion") as u8,
                    reason: number(case, "reason") as u8,
                    subject: bytes(case, "subject"),
                };
                let mut out = Vec::new();
                comment.encode(&mut out);
                if comment.subject.len() <= 255 {
                    assert_eq!(out, expected_bytes, "{case}");
                    assert_eq!(Comment::decode_all(&out), [comment]);
                } else {
                    assert_eq!(out.len(), 3 + 255, "a subject beyond its length field is cut");
                }
            }
            "concatenated" => assert_eq!(Comment::decode_all(&expected_bytes), comments_of(case), "{case}"),
            "deserialize_sequence" => {
                // The reference's node reads an empty subject as the one before it; it is just empty. So compare by
                // the rule: walk the bytes.
                let mut rest = &expected_bytes[..];
                let mut walked = Vec::new();
                while rest.len() >= 3 && rest.len() >= 3 + rest[2] as usize {
                    let end = 3 + rest[2] as usize;
                    walked.push(Comment {
                        assertion: rest[0],
                        reason: rest[1],
                        subject: rest[3..end].to_vec(),
                    });
                    rest = &rest[end..];
                }
                let ours = Comment::decode_all(&expected_bytes);
                assert_eq!(ours, walked, "{case}");
                assert_eq!(ours.len(), comments_of(case).len());
            }
            other => panic!("unknown type {other}"),
        }
    }
    report("comment.json", cases.len());
}
