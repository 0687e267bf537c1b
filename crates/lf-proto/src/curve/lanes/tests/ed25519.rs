//! Ed25519 in lanes against the library: good signatures and each thing that can be odd about one.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::{EdwardsPoint, Scalar};
use proptest::prelude::*;
use sha2::{Digest, Sha512};

use crate::curve::ed25519::{Signed, verify, verify_each};
use crate::curve::ways::Way;

/// A key, a message and a signature.
type Case = ([u8; 32], Vec<u8>, Vec<u8>);

/// What a signature is made from.
#[derive(Debug, Clone)]
enum Recipe {
    /// A = a·B + a point of small order, R = r·B + another; s fits, so that the verdict hangs on the small points.
    Crafted { a: i64, r: i64, of_a: usize, of_r: usize, message: Vec<u8>, add_order_to_s: bool },
    /// A and R from encodings that may not be reduced or no points, any s.
    Encodings { key: [u8; 32], r: [u8; 32], s: [u8; 32], message: Vec<u8> },
    /// A good signature with one bit changed.
    Flipped { seed: u8, bit: usize },
    /// Too short or too long.
    Length(usize),
}

fn scalar(small: i64) -> Scalar {
    let scalar = Scalar::from(small.unsigned_abs());
    if small < 0 { -scalar } else { scalar }
}

fn hash(r: &[u8; 32], key: &[u8; 32], message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into())
}

/// L, little-endian.
const ORDER: [u8; 32] = {
    let mut order = [0; 32];
    let low = 0x14de_f9de_a2f7_9cd6_5812_631a_5cf5_d3ed_u128.to_le_bytes();
    let mut i = 0;
    while i < 16 {
        order[i] = low[i];
        i += 1;
    }
    order[31] = 0x10;
    order
};

fn plus_order(s: &mut [u8]) {
    let mut carry = 0;
    for (s, n) in s.iter_mut().zip(ORDER) {
        let sum = u16::from(*s) + u16::from(n) + carry;
        (*s, carry) = (sum as u8, sum >> 8);
    }
}

fn good(a: i64, r: i64, of_a: usize, of_r: usize, message: &[u8]) -> Case {
    let key: EdwardsPoint = ED25519_BASEPOINT_POINT * scalar(a) + EIGHT_TORSION[of_a % 8];
    let r_point = ED25519_BASEPOINT_POINT * scalar(r) + EIGHT_TORSION[of_r % 8];
    let (key, r_bytes) = (key.compress().to_bytes(), r_point.compress().to_bytes());
    let s = scalar(r) + hash(&r_bytes, &key, message) * scalar(a);
    (key, message.to_vec(), [r_bytes, s.to_bytes()].concat())
}

fn case(recipe: &Recipe) -> Case {
    match recipe {
        Recipe::Crafted { a, r, of_a, of_r, message, add_order_to_s } => {
            let mut case = good(*a, *r, *of_a, *of_r, message);
            if *add_order_to_s {
                plus_order(&mut case.2[32..]);
            }
            case
        }
        Recipe::Encodings { key, r, s, message } => (*key, message.clone(), [*r, *s].concat()),
        Recipe::Flipped { seed, bit } => {
            let mut case = good(77 + i64::from(*seed), 99, 0, 0, &[*seed; 48]);
            let bit = bit % 768;
            match bit / 8 {
                byte @ 0..32 => case.0[byte] ^= 1 << (bit % 8),
                byte => case.2[byte - 32] ^= 1 << (bit % 8),
            }
            case
        }
        Recipe::Length(length) => {
            let mut case = good(3, 4, 0, 0, b"length");
            case.2.resize(*length, 0);
            case
        }
    }
}

/// The verdicts of all ways, which are the same.
fn verdicts(cases: &[Case]) -> Vec<bool> {
    let signed: Vec<_> =
        cases.iter().map(|(key, message, signature)| Signed { key, message, signature }).collect();
    let alone: Vec<_> = signed.iter().map(verify).collect();
    assert_eq!(verify_each(&signed), alone);
    for way in Way::ALL {
        match way.ed25519(&signed) {
            Some(verdicts) => {
                let differs = (0..alone.len()).find(|i| verdicts[*i] != alone[*i]);
                assert_eq!(differs.map(|i| &cases[i]), None, "{way:?}");
            }
            None => assert!(!way.is_available()),
        }
    }
    alone
}

/// Encodings of all points of small order, y = p − 1 … 2²⁵⁵ − 1 and other ends, with both signs.
fn odd_encodings() -> Vec<[u8; 32]> {
    let mut encodings: Vec<_> = EIGHT_TORSION.iter().map(|point| point.compress().to_bytes()).collect();
    for low in 0..=3 {
        let mut small = [0; 32];
        small[0] = low;
        encodings.push(small);
    }
    for low in 0xea..=0xff {
        let mut large = [0xff; 32];
        (large[0], large[31]) = (low, 0x7f);
        encodings.push(large);
    }
    encodings.push(ED25519_BASEPOINT_POINT.compress().to_bytes());
    encodings.push(ORDER);
    let signs = |mut encoding: [u8; 32]| {
        let one = encoding;
        encoding[31] ^= 0x80;
        [one, encoding]
    };
    encodings.into_iter().flat_map(signs).collect()
}

fn encoding() -> impl Strategy<Value = [u8; 32]> {
    prop_oneof![1 => any::<[u8; 32]>(), 2 => proptest::sample::select(odd_encodings())]
}

fn s() -> impl Strategy<Value = [u8; 32]> {
    let near_order = (-3i8..=3).prop_map(|by| {
        let mut s = ORDER;
        s[0] = s[0].wrapping_add_signed(by);
        s
    });
    let small = any::<u8>().prop_map(|low| {
        let mut s = [0; 32];
        s[0] = low & 3;
        s
    });
    let below = any::<[u8; 32]>().prop_map(|mut s| {
        s[31] &= 0x1f;
        s
    });
    prop_oneof![small, near_order, below, Just([0xff; 32])]
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let message = || proptest::collection::vec(any::<u8>(), 0..150);
    // Small ones of both signs: A = ±B and 0, R = ±B and 0.
    let small = || prop_oneof![2 => -2i64..=2, 1 => any::<i64>()];
    let torsion = || prop_oneof![2 => Just(0usize), 1 => 0usize..8];
    prop_oneof![
        6 => (small(), small(), torsion(), torsion(), message(), prop::bool::weighted(0.1)).prop_map(
            |(a, r, of_a, of_r, message, add_order_to_s)| Recipe::Crafted { a, r, of_a, of_r, message, add_order_to_s }
        ),
        2 => (encoding(), encoding(), s(), message())
            .prop_map(|(key, r, s, message)| Recipe::Encodings { key, r, s, message }),
        2 => (any::<u8>(), any::<usize>()).prop_map(|(seed, bit)| Recipe::Flipped { seed, bit }),
        1 => (0usize..130).prop_map(Recipe::Length),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn all_ways_agree(recipes in proptest::collection::vec(recipe(), 0..20)) {
        verdicts(&recipes.iter().map(case).collect::<Vec<_>>());
    }
}

#[test]
fn batches_of_every_size() {
    let cases: Vec<_> = (0..20i64).map(|i| good(1000 + i, 5 * i, 0, 0, &[i as u8; 48])).collect();
    for size in 0..=cases.len() {
        assert_eq!(verdicts(&cases[..size]), vec![true; size]);
    }
}

/// With A or R of small order some signatures are good: k decides, and the lanes must use the same k.
#[test]
fn small_orders_are_judged_as_the_library_does() {
    let mut cases = Vec::new();
    for of_a in 0..8 {
        for of_r in 0..8 {
            for message in 0..4 {
                for a in [0, 1, -1] {
                    cases.push(good(a, 3 * a, of_a, of_r, &[message]));
                }
            }
        }
    }
    let verdicts = verdicts(&cases);
    let accepted = verdicts.iter().filter(|good| **good).count();
    // A fitting R for each A and message is among the eight; with none of small order all are good.
    assert!(accepted > cases.len() / 16 && accepted < cases.len() / 2, "{accepted} of {}", cases.len());
}

/// Keys with every odd encoding, and the R that fits one of the multiples of a point of small order, if it is one.
#[test]
fn odd_encodings_are_judged_as_the_library_does() {
    let mut cases = Vec::new();
    for key in odd_encodings() {
        for (i, r_point) in EIGHT_TORSION.iter().enumerate() {
            for s in 0..2u64 {
                let r = (r_point + ED25519_BASEPOINT_POINT * Scalar::from(s)).compress().to_bytes();
                cases.push((key, vec![i as u8; 7], [r, Scalar::from(s).to_bytes()].concat()));
            }
        }
        // R in odd encodings is compared by its bytes.
        for r in odd_encodings() {
            cases.push((key, Vec::new(), [r, [0; 32]].concat()));
        }
    }
    let verdicts = verdicts(&cases);
    assert!(verdicts.iter().any(|good| *good) && verdicts.iter().any(|good| !good));
    // Among them keys whose y is not reduced.
    let unreduced =
        |key: &[u8; 32]| key[1..31].iter().all(|b| *b == 0xff) && key[31] & 0x7f == 0x7f && key[0] >= 0xed;
    assert!(cases.iter().zip(&verdicts).any(|((key, ..), good)| *good && unreduced(key)));
}
