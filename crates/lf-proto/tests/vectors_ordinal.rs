//! `ordinal.json`, against the reference and against the text of PROTOCOL.md §5 written down naively.
#![allow(clippy::unwrap_used)]

#[path = "support/vectors.rs"]
mod vectors;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use lf_proto::ordinal::{self, Ordinal, OrdinalError, OrdinalMask};
use sha2::{Digest, Sha512};

/// The alphabet of one column, step by step as §5 says.
fn alphabet(key: &[u8], column: usize) -> Vec<u32> {
    let kh = Sha512::digest(key);
    let cipher = Aes128::new(kh[16 * column..16 * column + 16].try_into().unwrap());
    let mut b = aes::Block::default();
    loop {
        cipher.encrypt_block(&mut b);
        let le32 = |b: &aes::Block, i: usize| u32::from_le_bytes(b[4 * i..4 * i + 4].try_into().unwrap());
        let mut t = vec![le32(&b, 0) % 262_143];
        for i in 1..16384usize {
            if i % 4 == 0 {
                cipher.encrypt_block(&mut b);
            }
            let span = (u32::MAX - t[i - 1]) / (16384 - i as u32);
            if span == 0 {
                break;
            }
            t.push(t[i - 1].wrapping_add(1).wrapping_add(le32(&b, i % 4) % span));
        }
        if t.len() < 16384 {
            continue;
        }
        for i in 1..16384 {
            let g = t[i].wrapping_sub(t[i - 1]);
            if g < 16 || g > t[i] {
                t[i] = t[i].wrapping_add(16);
            }
        }
        if t[16383] > t[0] {
            return t;
        }
    }
}

fn gap(t: &[u32], base: usize) -> u32 {
    t.get(base + 1).copied().unwrap_or(u32::MAX).wrapping_sub(t[base])
}

/// The value of an ordinal, walking the columns as §5 says.
fn naive_unmask(key: &[u8], ordinal: &[u8]) -> Option<u64> {
    let mut value = 0;
    for column in 0..4 {
        let t = alphabet(key, column);
        let word = u32::from_be_bytes(ordinal[4 * column..4 * column + 4].try_into().unwrap());
        let base = t.iter().rposition(|entry| *entry <= word)?;
        let quotient = (word - t[base]).checked_div(gap(&t, base) / 4)?;
        if quotient > 3 {
            return None;
        }
        value = (value << 16) | (4 * base as u64 + u64::from(quotient));
    }
    Some(value)
}

/// Whether a value falls into a cell without room in some column.
fn has_no_room(key: &[u8], value: u64) -> bool {
    (0..4).any(|column| {
        let digit = (value >> (48 - 16 * column)) as u16;
        gap(&alphabet(key, column), usize::from(digit / 4)) < 4
    })
}

#[test]
fn ordinals() {
    let cases = vectors::load("ordinal.json");
    let (mut masked, mut arbitrary, mut degenerate) = (0, 0, 0);
    for case in &cases {
        let key = vectors::bytes(case, "key");
        let expected = Ordinal(vectors::bytes(case, "ordinal").try_into().unwrap());
        let mask = OrdinalMask::new(&key);
        match case.get("type").and_then(|ty| ty.as_str()) {
            None => {
                let value = vectors::number(case, "value");
                assert_eq!(mask.mask(value), Ok(expected), "{case}");
                assert_eq!(ordinal::mask(&key, value), Ok(expected), "{case}");
                assert_eq!(mask.unmask(&expected), Ok(value), "{case}");
                masked += 1;
            }
            // What the reference makes of junk counts only where the rules give a value.
            Some("get_arbitrary") => {
                let naive = naive_unmask(&key, &expected.0);
                assert_eq!(mask.unmask(&expected).ok(), naive, "{case}");
                assert!(naive.is_none_or(|value| value == vectors::number(case, "get")), "{case}");
                arbitrary += 1;
            }
            // The reference divides by zero: an error here.
            Some("degenerate_alphabet") => {
                let value = vectors::number(case, "value");
                assert!(has_no_room(&key, value), "{case}");
                assert_eq!(mask.mask(value), Err(OrdinalError::NoRoom { value }), "{case}");
                degenerate += 1;
            }
            Some(other) => panic!("unknown type {other}"),
        }
    }
    println!("ordinal.json: {masked} masked, {arbitrary} arbitrary, {degenerate} degenerate");
    vectors::report("ordinal.json", cases.len());
}
