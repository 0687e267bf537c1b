//! `selector_key.json`. The private scalar is not public API: it shows through the public key.
#![allow(clippy::unwrap_used)]

#[path = "support/vectors.rs"]
mod vectors;

use lf_proto::ordinal::Ordinal;
use lf_proto::selector::{SelectorKey, SelectorName, add_ordinal};

#[test]
fn selector_keys() {
    let cases = vectors::load("selector_key.json");
    let (mut keys, mut sums) = (0, 0);
    for case in &cases {
        let ordinal = Ordinal(vectors::bytes(case, "masked_ordinal").try_into().unwrap());
        match case.get("type").and_then(|ty| ty.as_str()) {
            None => {
                let name = SelectorName::new(&vectors::bytes(case, "name"));
                let value = vectors::number(case, "ordinal");
                assert_eq!(name.id()[..], vectors::bytes(case, "public_key"), "{case}");
                assert_eq!(name.key_hash()[..], vectors::bytes(case, "public_key_hash"), "{case}");
                assert_eq!(name.ordinal(value), Ok(ordinal), "{case}");
                let key = SelectorKey(vectors::bytes(case, "key").try_into().unwrap());
                assert_eq!(name.key(value), Ok(key), "{case}");
                keys += 1;
            }
            Some("add_ordinal_to_hash") => {
                let hash = vectors::bytes(case, "hash").try_into().unwrap();
                assert_eq!(add_ordinal(&hash, &ordinal).0[..], vectors::bytes(case, "result"), "{case}");
                sums += 1;
            }
            Some(other) => panic!("unknown type {other}"),
        }
    }
    println!("selector_key.json: {keys} keys, {sums} sums");
    vectors::report("selector_key.json", cases.len());
}
