//! wharrgarbl.json: the table, the hash with all its branches, and verdicts on proofs.
#![allow(clippy::unwrap_used)]

#[path = "support/vectors.rs"]
mod vectors;

use lf_proto::work::{Frankenhash, TABLE_BYTES, TABLE_CRC32, Table, TablePasses, Work, WorkError, verify};
use serde_json::Value;
use sha2::{Digest, Sha256};
use vectors::{bytes, number, text};

fn table_case(table: &Table, case: &Value) {
    let all = table.as_bytes();
    assert_eq!(number(case, "size"), TABLE_BYTES as u64);
    assert_eq!(number(case, "crc32_ieee"), u64::from(TABLE_CRC32));
    assert_eq!(vectors::hex(&Sha256::digest(all)), text(case, "sha256"));
    assert_eq!(vectors::hex(&all[..64]), text(case, "first_64_bytes"));
    assert_eq!(vectors::hex(&all[TABLE_BYTES - 64..]), text(case, "last_64_bytes"));
    let middle = bytes(case, "bytes_at_0x4000000");
    assert_eq!(all[0x400_0000..][..middle.len()], middle);
}

fn hash_case(table: &Table, case: &Value) {
    let hash = Frankenhash::new(table, &bytes(case, "work_input"));
    let x = bytes(case, "in").try_into().unwrap();
    assert_eq!(hash.hash(&x), number(case, "out"), "{case}");
    let branches: Vec<&str> =
        case["branches"].as_array().unwrap().iter().map(|b| b.as_str().unwrap()).collect();
    let outline = hash.outline(&x);
    assert_eq!(branches[0], format!("rounds{}", outline.rounds), "{case}");
    assert_eq!(branches.iter().filter(|b| **b == "table").count(), outline.table_passes as usize, "{case}");
}

fn verify_case(table: &Table, case: &Value) {
    let (input, bytes) = (bytes(case, "input"), bytes(case, "work"));
    let verdict = Work::try_from(&bytes[..]).and_then(|work| {
        assert_eq!(u64::from(work.difficulty()), number(case, "get_difficulty"), "{case}");
        assert_eq!(Work::new(work.colliders(), work.difficulty()), work);
        verify(table, &input, &work, TablePasses::ALL).map(|()| work.difficulty())
    });
    // The reference answers with the difficulty, 0 standing for invalid.
    assert_eq!(u64::from(verdict.unwrap_or(0)), number(case, "verify"), "{case}");
    if bytes.len() != Work::BYTES {
        assert_eq!(verdict, Err(WorkError::Length(bytes.len())));
    }
}

#[test]
fn wharrgarbl() {
    let table = Table::shared();
    let mut ran = 0;
    for case in vectors::load("wharrgarbl.json") {
        match text(&case, "type") {
            "table" => table_case(table, &case),
            "frankenhash" => hash_case(table, &case),
            "verify" => verify_case(table, &case),
            other => panic!("unknown type {other}"),
        }
        ran += 1;
    }
    vectors::report("wharrgarbl.json", ran);
}

/// A proof with a collider that absorbs the whole table is undecided without a budget, and decided with one.
#[test]
fn whole_table_passes_are_budgeted() {
    let table = Table::shared();
    let mut ran = 0;
    for case in vectors::load("wharrgarbl.json") {
        if text(&case, "type") != "frankenhash" {
            continue;
        }
        let input = bytes(&case, "work_input");
        let x: [u8; 16] = bytes(&case, "in").try_into().unwrap();
        let needed = Frankenhash::new(table, &input).outline(&x).table_passes;
        let collider = u64::from_be_bytes(x[..8].try_into().unwrap());
        if needed == 0 || x[8..] != [0; 8] || collider >> 40 != 0 {
            continue;
        }
        let partner = (0..).find(|c| {
            *c != collider
                && Frankenhash::new(table, &input).outline(&Frankenhash::input(*c)).table_passes == 0
        });
        let work = Work::new([partner.unwrap(), collider], u32::MAX);
        let verdict = |budget| verify(table, &input, &work, TablePasses(budget));
        assert_eq!(verdict(needed - 1), Err(WorkError::TablePasses { needed }));
        assert!(verdict(0).unwrap_err().is_undecided());
        assert_eq!(verdict(needed), Err(WorkError::NoCollision));
        ran += 1;
    }
    vectors::report("wharrgarbl.json (whole table)", ran);
}
