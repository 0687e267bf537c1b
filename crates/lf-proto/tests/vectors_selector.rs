//! `selector.json`. The reference computes with r and s outside of [1, n − 1] and takes infinity for a key;
//! we reject both (PROTOCOL.md §3), and whatever it crashes on.
#![allow(clippy::unwrap_used)]

#[path = "support/vectors.rs"]
mod vectors;

use lf_proto::selector::{SELECTOR_BYTES, Selector, SelectorKey, SelectorName, recover_all};

const ORDER: &str = "e95e4a5f737059dc60df5991d45029409e60fc09";

fn in_range(scalar: &[u8]) -> bool {
    scalar.iter().any(|byte| *byte != 0) && scalar < vectors::unhex(ORDER).as_slice()
}

fn is_null(case: &serde_json::Value, field: &str) -> bool {
    case.get(field).is_none_or(serde_json::Value::is_null)
}

#[test]
fn selectors() {
    let cases = vectors::load("selector.json");
    let (mut valid, mut recovered, mut rejected) = (0, 0, 0);
    for case in &cases {
        let bytes = vectors::bytes(case, "selector");
        let body_hash: [u8; 48] = vectors::bytes(case, "body_hash").try_into().unwrap();
        match vectors::text(case, "type") {
            "valid" => {
                let selector = Selector::from_bytes(bytes.as_slice().try_into().unwrap()).unwrap();
                assert_eq!(selector.to_bytes()[..], bytes, "{case}");
                assert_eq!(selector.claim_bytes()[..], vectors::bytes(case, "claim"), "{case}");
                assert_eq!(u64::from(selector.parity), vectors::number(case, "recovery_index"), "{case}");
                assert_eq!(selector.ordinal.0[..], vectors::bytes(case, "masked_ordinal"), "{case}");
                let of_claim = selector.recover(&body_hash).unwrap();
                assert_eq!(of_claim.id[..], vectors::bytes(case, "id"), "{case}");
                assert_eq!(of_claim.key.0[..], vectors::bytes(case, "key"), "{case}");

                let name = SelectorName::new(&vectors::bytes(case, "name"));
                let ordinal = vectors::number(case, "ordinal");
                let key = SelectorKey(vectors::bytes(case, "make_selector_key").try_into().unwrap());
                assert_eq!(name.key(ordinal), Ok(key), "{case}");
                assert_eq!(name.id() == of_claim.id, case["id_equals_name_public_key"] == true, "{case}");
                assert_eq!(name.key(ordinal) == Ok(of_claim.key), case["is_named"] == true, "{case}");
                // Our own claim: other bytes (another nonce), the same name.
                let ours = name.claim(&body_hash, ordinal).unwrap();
                assert_eq!(ours.ordinal, selector.ordinal, "{case}");
                assert_eq!(ours.recover(&body_hash), Ok(of_claim), "{case}");
                valid += 1;
            }
            "tampered" => {
                // A record's parser reads 57 bytes; what follows them is not the selector's.
                let ours = bytes.get(..SELECTOR_BYTES).and_then(|bytes| {
                    let selector = Selector::from_bytes(bytes.try_into().unwrap()).ok()?;
                    assert_eq!(selector.to_bytes()[..], *bytes, "{case}");
                    assert_eq!(recover_all(&[(selector, body_hash)]), [selector.recover(&body_hash)]);
                    selector.recover(&body_hash).ok()
                });
                let rule = bytes.len() >= SELECTOR_BYTES
                    && is_null(case, "unmarshal_error")
                    && bytes[0] & 0xf == 0
                    && bytes[0] >> 4 <= 1
                    && in_range(&bytes[17..37])
                    && in_range(&bytes[37..57])
                    && is_null(case, "id_panic")
                    && is_null(case, "key_panic")
                    && vectors::bytes(case, "id")[1..].iter().any(|byte| *byte != 0);
                assert_eq!(ours.is_some(), rule, "{case}");
                if let Some(ours) = ours {
                    assert_eq!(ours.id[..], vectors::bytes(case, "id"), "{case}");
                    assert_eq!(ours.key.0[..], vectors::bytes(case, "key"), "{case}");
                    recovered += 1;
                } else {
                    rejected += 1;
                }
            }
            other => panic!("unknown type {other}"),
        }
    }
    println!("selector.json: {valid} valid, {recovered} tampered recovered, {rejected} tampered rejected");
    vectors::report("selector.json", cases.len());
}
