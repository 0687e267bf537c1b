//! base62.json and blob_json.json: text encodings.
#![allow(clippy::unwrap_used)]

#[path = "support/vectors.rs"]
mod vectors;

use lf_proto::base62;
use lf_proto::blob::Blob;
use lf_proto::hash::Hash;
use lf_proto::ordinal::Ordinal;
use lf_proto::owner::OwnerPublic;
use lf_proto::pulse::Pulse;
use serde_json::Value;
use vectors::{bytes, load, report, text, unhex};

#[test]
fn base62_vectors() {
    let cases = load("base62.json");
    for case in &cases {
        let text = text(case, "text");
        if case["type"] == "encode" {
            assert_eq!(base62::encode(&bytes(case, "bytes")), text, "{case}");
            assert_eq!(base62::decode(text).unwrap(), bytes(case, "bytes"), "{case}");
            continue;
        }
        // The reference skips or dies of foreign characters; we name the first one. Position in characters.
        let foreign = text.chars().position(|c| !c.is_ascii_alphanumeric());
        match base62::decode(text) {
            Ok(decoded) => {
                assert_eq!(foreign, None, "{case}");
                assert_eq!(decoded, bytes(case, "decoded"), "{case}");
            }
            Err(base62::Base62Error::Character { character, position }) => {
                assert_eq!(Some(position), foreign, "{case}");
                assert_eq!(text.chars().nth(position), Some(character));
            }
            Err(other) => panic!("{other}: {case}"),
        }
    }
    report("base62.json", cases.len());
}

/// What a reader of the JSON text must give, by rule: `None` is an error.
fn expected(target: &str, json: &str) -> Option<Vec<u8>> {
    let value: Value = serde_json::from_str(json).ok()?;
    let array = |v: &Value| -> Option<Vec<u8>> {
        v.as_array()?.iter().map(|n| n.as_u64().and_then(|n| u8::try_from(n).ok())).collect()
    };
    let strict = |t: &str| t.bytes().all(|b| b.is_ascii_alphanumeric()).then(|| base62::decode(t).unwrap());
    let blob = || match &value {
        Value::Null => Some(Vec::new()),
        Value::String(s) => match s.strip_prefix('\u{8}') {
            Some(encoded) => strict(encoded),
            None => Some(s.as_bytes().to_vec()),
        },
        other => array(other),
    };
    let prefixed = |prefix| match &value {
        Value::Null => Some(Vec::new()),
        Value::String(s) => strict(s.strip_prefix(prefix)?),
        other => array(other),
    };
    match target {
        "Blob" => blob(),
        "Ordinal" => blob().filter(|b| b.len() == 16),
        "HashBlob" => prefixed('=').filter(|b| b.len() == 32),
        "OwnerPublic" => prefixed('@').filter(|b| matches!(b.len(), 14 | 24 | 32)),
        other => panic!("unknown target {other}"),
    }
}

fn read(target: &str, json: &str) -> Option<Vec<u8>> {
    match target {
        "Blob" => serde_json::from_str::<Blob>(json).ok().map(|b| b.0),
        "Ordinal" => serde_json::from_str::<Ordinal>(json).ok().map(|b| b.0.to_vec()),
        "HashBlob" => serde_json::from_str::<Hash>(json).ok().map(|b| b.0.to_vec()),
        "OwnerPublic" => serde_json::from_str::<OwnerPublic>(json).ok().map(|b| b.as_bytes().to_vec()),
        other => panic!("unknown target {other}"),
    }
}

#[test]
fn blob_json_vectors() {
    let cases = load("blob_json.json");
    let (mut ran, mut same_as_reference) = (0, 0);
    for case in &cases {
        let target = text(case, "target");
        match (case["type"].as_str().unwrap(), target) {
            ("unmarshal", "Pulse") => {
                // Pulses have no form of their own in JSON: API.md has base64 in answers and text elsewhere.
                let pulse = bytes_or_none(case).filter(|b| b.len() == Pulse::BYTES);
                if let Some(b) = pulse.and_then(|b| Pulse::from_bytes(&b).ok()) {
                    assert_eq!(b.to_string().parse::<Pulse>().unwrap(), b);
                }
            }
            ("unmarshal", _) => {
                let json = text(case, "json");
                let found = read(target, json);
                assert_eq!(found, expected(target, json), "{case}");
                if found.is_some() && found == bytes_or_none(case) {
                    same_as_reference += 1;
                }
            }
            ("marshal", "Blob") => {
                let blob = Blob(bytes(case, "bytes"));
                let json = serde_json::to_string(&blob).unwrap();
                if blob.0.first() != Some(&8) {
                    let reference: Value = serde_json::from_str(text(case, "json")).unwrap();
                    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), reference, "{case}");
                }
                assert_eq!(
                    serde_json::from_str::<Blob>(&json).unwrap(),
                    blob,
                    "what the reference forgets round-trips"
                );
            }
            ("marshal", "HashBlob") => {
                let hash = Hash(bytes(case, "bytes").try_into().unwrap());
                assert_eq!(serde_json::to_string(&hash).unwrap(), text(case, "json"));
            }
            ("marshal", "OwnerPublic") => match OwnerPublic::from_bytes(&bytes(case, "bytes")) {
                Ok(owner) => assert_eq!(serde_json::to_string(&owner).unwrap(), text(case, "json")),
                Err(_) => assert!(!matches!(bytes(case, "bytes").len(), 14 | 24 | 32)),
            },
            ("marshal", "Ordinal") => {
                let ordinal = Ordinal(bytes(case, "bytes").try_into().unwrap());
                let reference: Value = serde_json::from_str(text(case, "json")).unwrap();
                let json = serde_json::to_string(&ordinal).unwrap();
                // Always in the \b form; the reference writes text when the bytes happen to be that.
                if std::str::from_utf8(&ordinal.0).is_err() {
                    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), reference, "{case}");
                }
                assert_eq!(serde_json::from_str::<Ordinal>(&json).unwrap(), ordinal);
            }
            ("marshal", "Pulse") => {
                let pulse = Pulse::from_bytes(&bytes(case, "bytes"));
                if let (Ok(pulse), Some(text)) = (pulse, case["string"].as_str()) {
                    assert_eq!(pulse.to_string(), text);
                }
            }
            ("marshal", "ErrAPI") => {
                let json: Value = serde_json::from_str(text(case, "json")).unwrap();
                let error: lf_proto::api::ErrorJson = lf_proto::json::from_value(json.clone()).unwrap();
                assert_eq!(serde_json::to_value(&error).unwrap(), json);
            }
            other => panic!("unknown case {other:?}"),
        }
        ran += 1;
    }
    assert!(same_as_reference > 0);
    report("blob_json.json", ran);
}

fn bytes_or_none(case: &Value) -> Option<Vec<u8>> {
    case["bytes"].as_str().map(unhex)
}
