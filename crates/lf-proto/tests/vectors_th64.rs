//! th64.json: the one-way function of pulses and its iteration.
#![allow(clippy::unwrap_used)]

#[path = "support/vectors.rs"]
mod vectors;

use lf_proto::pulse::{th64, th64_n};
use vectors::{number, text};

#[test]
fn th64_and_its_iteration() {
    let mut ran = 0;
    for case in vectors::load("th64.json") {
        let value = number(&case, "in");
        let out = match text(&case, "type") {
            "th64" => th64(value),
            "th64n" => th64_n(value, number(&case, "n").try_into().unwrap()),
            other => panic!("unknown type {other}"),
        };
        assert_eq!(out, number(&case, "out"), "{case}");
        ran += 1;
    }
    vectors::report("th64.json", ran);
}
