//! work_cost.json: costs, scores and the rounded square root behind them.
#![allow(clippy::unwrap_used)]

#[path = "support/vectors.rs"]
mod vectors;

use lf_proto::work::{SCORE_WITHOUT_WORK, cost, score};
use vectors::{number, text};

#[test]
fn work_cost() {
    let mut ran = 0;
    for case in vectors::load("work_cost.json") {
        match text(&case, "type") {
            "cost" => {
                let cost = cost(number(&case, "bytes"));
                assert_eq!(u64::from(cost), number(&case, "cost"), "{case}");
                assert_eq!(u64::from(score(cost)), number(&case, "score_of_cost"), "{case}");
            }
            "score" => {
                let difficulty = number(&case, "cost").try_into().unwrap();
                assert_eq!(u64::from(score(difficulty)), number(&case, "score"), "{case}");
            }
            "no_work_score" => assert_eq!(u64::from(SCORE_WITHOUT_WORK), number(&case, "score")),
            "integer_sqrt_rounded" => {
                let out = lf_proto::work::isqrt_rounded(number(&case, "in"));
                assert_eq!(out, number(&case, "out"), "{case}");
            }
            other => panic!("unknown type {other}"),
        }
        ran += 1;
    }
    vectors::report("work_cost.json", ran);
}
