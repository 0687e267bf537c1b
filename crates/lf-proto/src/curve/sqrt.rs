//! Square roots modulo the field primes.

use std::sync::LazyLock;

use super::element::FieldElement;
use super::lazy::{P224Coordinate, P384Coordinate};

/// For p ≡ 3 (mod 4): a^((p + 1) / 4), if that is a root.
pub(super) fn three_mod_four<E: FieldElement<N>, const N: usize>(a: &E) -> Option<E> {
    const { assert!(E::MODULUS[0] & 3 == 3) };
    let exponent = const {
        // (p + 1) / 4 = ⌊p / 4⌋ + 1, and the addition carries no further: p has no such low limb.
        let mut e = E::MODULUS;
        let mut i = 0;
        while i < N {
            e[i] = (e[i] >> 2) | if i + 1 < N { e[i + 1] << 62 } else { 0 };
            i += 1;
        }
        assert!(e[0] != u64::MAX);
        e[0] += 1;
        e
    };
    let root = a.pow(&exponent);
    (root.square() == *a).then_some(root)
}

/// a^(2^(m + n) − 1), m + n ones in a row, from m and n of them; n = `low_count`.
fn ones<E: FieldElement<N>, const N: usize>(high: &E, low: &E, low_count: usize) -> E {
    high.square_times(low_count).mul(low)
}

/// A square root modulo the prime of P-384: as [`three_mod_four`], by a chain for its exponent
/// ((2²⁵⁵ − 1)·2³³ + 2³² − 1)·2⁹⁴ + 2³⁰.
pub(super) fn p384(a: &P384Coordinate) -> Option<P384Coordinate> {
    let ones2 = ones(a, a, 1);
    let ones3 = ones(&ones2, a, 1);
    let ones6 = ones(&ones3, &ones3, 3);
    let ones12 = ones(&ones6, &ones6, 6);
    let ones15 = ones(&ones12, &ones3, 3);
    let ones30 = ones(&ones15, &ones15, 15);
    let ones32 = ones(&ones30, &ones2, 2);
    let ones60 = ones(&ones30, &ones30, 30);
    let ones120 = ones(&ones60, &ones60, 60);
    let ones240 = ones(&ones120, &ones120, 120);
    let ones255 = ones(&ones240, &ones15, 15);
    let root = ones255.square_times(33).mul(&ones32).square_times(64).mul(a).square_times(30);
    (root.square() == *a).then_some(root)
}

type F = P224Coordinate;

/// Windows of 8 bits in an exponent below 2⁹⁶.
const WINDOWS: usize = 12;

/// p − 1 = 2⁹⁶·(2¹²⁸ − 1) for P-224, so the usual exponentiation leaves a root of unity of order 2⁹⁶ whose
/// logarithm must be found: eight bits at a time, by tables.
struct UnityRoots {
    /// g^(−d·2^(8k)) at 256·k + d, for a generator g of the roots of unity of order 2⁹⁶.
    inverse_powers: Vec<F>,
    /// The elements of order 256 or less, g^(d·2⁸⁸), as (integer, d), sorted.
    logarithms: Vec<([u64; 4], u8)>,
}

static UNITY_ROOTS: LazyLock<UnityRoots> = LazyLock::new(|| {
    // 11 is no square modulo p, so its power generates the whole group (tested below).
    let g = F::from_reduced(&[11, 0, 0, 0]).pow(&[u64::MAX, u64::MAX, 0, 0]);
    let mut inverse_powers = Vec::with_capacity(256 * WINDOWS);
    let mut base = g.invert();
    for _ in 0..WINDOWS {
        let mut power = F::ONE;
        for _ in 0..256 {
            inverse_powers.push(power);
            power = power.mul(&base);
        }
        base = power;
    }
    let small = g.square_times(88);
    let mut power = F::ONE;
    let mut logarithms = Vec::with_capacity(256);
    for d in 0..=255 {
        logarithms.push((power.to_integer(), d));
        power = power.mul(&small);
    }
    logarithms.sort_unstable();
    UnityRoots { inverse_powers, logarithms }
});

impl UnityRoots {
    fn inverse_power(&self, window: usize, d: u8) -> &F {
        &self.inverse_powers[256 * window + usize::from(d)]
    }

    fn logarithm(&self, element: &F) -> Option<u8> {
        let integer = element.to_integer();
        let found = self.logarithms.binary_search_by_key(&integer, |(power, _)| *power).ok()?;
        Some(self.logarithms[found].1)
    }
}

/// A square root modulo the prime of P-224.
pub(super) fn p224(a: &F) -> Option<F> {
    let roots = &*UNITY_ROOTS;
    // v = a^(2¹²⁷ − 1): ones in a row, by doubling their number.
    let ones2 = ones(a, a, 1);
    let ones3 = ones(&ones2, a, 1);
    let ones6 = ones(&ones3, &ones3, 3);
    let ones12 = ones(&ones6, &ones6, 6);
    let ones24 = ones(&ones12, &ones12, 12);
    let ones48 = ones(&ones24, &ones24, 24);
    let ones96 = ones(&ones48, &ones48, 48);
    let ones120 = ones(&ones96, &ones24, 24);
    let ones126 = ones(&ones120, &ones6, 6);
    let v = ones(&ones126, a, 1);

    // x² = a·b, with b = a^(2¹²⁸ − 1) = g^e: find e, and the root is x·g^(−e/2).
    let x = a.mul(&v);
    let b = x.mul(&v);
    let mut powers = [b; WINDOWS];
    for k in 1..WINDOWS {
        powers[k] = powers[k - 1].square_times(8);
    }
    let mut e = [0; WINDOWS];
    for i in 0..WINDOWS {
        // b^(2^(8·(11 − i))), rid of the digits that are known, has order 256: its logarithm is digit i.
        let shift = WINDOWS - 1 - i;
        let mut rest = powers[shift];
        for (j, digit) in e[..i].iter().enumerate() {
            if *digit != 0 {
                rest = rest.mul(roots.inverse_power(shift + j, *digit));
            }
        }
        e[i] = roots.logarithm(&rest)?;
    }
    if e[0] & 1 == 1 {
        return None;
    }
    let mut root = x;
    for k in 0..WINDOWS {
        let above = e.get(k + 1).map_or(0, |digit| digit << 7);
        root = root.mul(roots.inverse_power(k, (e[k] >> 1) | above));
    }
    (root.square() == *a).then_some(root)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_generator_of_unity_roots_has_full_order() {
        let g = F::from_reduced(&[11, 0, 0, 0]).pow(&[u64::MAX, u64::MAX, 0, 0]);
        assert_eq!(g.square_times(95), F::ONE.neg());
    }

    #[test]
    fn zero_one_and_minus_one() {
        assert_eq!(p224(&F::ONE).unwrap().square(), F::ONE);
        assert_eq!(p224(&F::ONE.neg()).unwrap().square(), F::ONE.neg());
        // b = 0 is no root of unity; and no point has y = 0.
        assert_eq!(p224(&F::ZERO), None);
    }

    proptest! {
        #[test]
        fn squares_have_roots_and_nothing_else(limbs: [u64; 4]) {
            let a = F::from_reduced(&limbs);
            prop_assume!(!a.is_zero());
            let root = p224(&a.square()).unwrap();
            prop_assert!(root == a || root == a.neg());
            // 11 is no square, so neither is 11·a².
            prop_assert_eq!(p224(&a.square().mul(&F::from_reduced(&[11, 0, 0, 0]))), None);
        }
    }
}
