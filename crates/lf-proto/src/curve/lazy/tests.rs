//! The lazy forms against the general arithmetic.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::curve::field::{Element, add_carry, less, sub_borrow};

/// Integers below a modulus: random, at the ends, and around powers of two.
fn integer<M: Modulus<N>, const N: usize>() -> impl Strategy<Value = [u64; N]> {
    let reduced = |mut integer: [u64; N]| {
        while !less(&integer, &M::P) {
            let mut borrow = 0;
            for i in 0..N {
                (integer[i], borrow) = sub_borrow(integer[i], M::P[i], borrow);
            }
        }
        integer
    };
    // The top limb of a modulus may be short, and subtracting it 2³² times takes too long.
    let random = any::<[u64; N]>().prop_map(move |mut integer| {
        integer[N - 1] &= u64::MAX >> M::P[N - 1].leading_zeros();
        reduced(integer)
    });
    let bits = 64 * N - M::P[N - 1].leading_zeros() as usize;
    let near = |base: [u64; N], delta: i8| {
        let (extend, mut carry) = ((i64::from(delta) >> 63) as u64, 0);
        let mut sum = base;
        for i in 0..N {
            let word = if i == 0 { i64::from(delta) as u64 } else { extend };
            (sum[i], carry) = add_carry(base[i], word, carry);
        }
        sum
    };
    let power = (0..bits, -2i8..=2).prop_map(move |(k, delta)| {
        let mut base = [0; N];
        base[k / 64] = 1 << (k % 64);
        let sum = near(base, delta);
        if less(&sum, &M::P) { sum } else { [0; N] }
    });
    let end = (-4i8..=-1).prop_map(move |delta| near(M::P, delta));
    prop_oneof![4 => random, 2 => power, 1 => end, 1 => Just([0; N])]
}

fn check<M, const N: usize, const L: usize, const W: usize>()
where
    M: Reduction<N, L, W>,
{
    type Pair<M, const N: usize, const L: usize, const W: usize> = (Lazy<M, N, L, W>, Element<M, N>);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let inputs = (
        proptest::collection::vec(integer::<M, N>(), 3),
        proptest::collection::vec((0u8..6, 0usize..8, 0usize..8), 1..60),
    );
    runner
        .run(&inputs, |(integers, steps)| {
            // Every value also with how many products' worth it may be.
            let mut values: Vec<(Pair<M, N, L, W>, usize)> = integers
                .iter()
                .map(|i| ((Lazy::from_integer(i).unwrap(), Element::from_integer(i).unwrap()), 1))
                .collect();
            for (operation, i, j) in steps {
                let count = values.len();
                let (((a, x), m), ((b, y), n)) = (values[i % count], values[j % count]);
                let (next, size) = match operation {
                    0 if m + n <= HEADROOM => ((a.add(&b), x.add(&y)), m + n),
                    1 if m + n <= HEADROOM => ((a.sub(&b), x.sub(&y)), m + n),
                    2 if 8 * m <= HEADROOM => {
                        ((a.double().double().double(), x.double().double().double()), 8 * m)
                    }
                    3 => ((a.neg(), x.neg()), m),
                    4 => ((a.square(), x.square()), 1),
                    _ => ((a.mul(&b), x.mul(&y)), 1),
                };
                prop_assert_eq!(next.0.to_integer(), next.1.to_integer());
                prop_assert_eq!(next.0.is_zero(), next.1.is_zero());
                prop_assert_eq!(a == b, x == y);
                values.push((next, size));
                if values.len() > 8 {
                    values.remove(0);
                }
            }
            Ok(())
        })
        .unwrap();
    assert!(Lazy::<M, N, L, W>::from_integer(&M::P).is_none());
}

#[test]
fn p160_is_the_general_arithmetic() {
    check::<P160Field, 3, 3, 5>();
}

#[test]
fn p224_is_the_general_arithmetic() {
    check::<P224Field, 4, 4, 7>();
}

#[test]
fn p384_is_the_general_arithmetic() {
    check::<P384Field, 6, 8, 15>();
}

/// The largest and smallest limbs that a product may be given.
fn check_extremes<M, const N: usize, const L: usize, const W: usize>()
where
    M: Reduction<N, L, W>,
{
    let modulus_bits = 64 * N - M::P[N - 1].leading_zeros() as usize;
    // What a product leaves in a limb: see the module, and `p160` for what is above its modulus.
    let bound = |i: usize| match i + 1 == L && M::MONTGOMERY_BITS != 0 {
        true => (1 << (modulus_bits - i * M::BITS)) / 10 * 31,
        false => (1i64 << M::BITS) / 10 * 16,
    };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let limbs = (0..L).map(|i| {
        let most = bound(i) * HEADROOM as i64;
        prop_oneof![Just(most), Just(-most), Just(0), -most..=most].boxed()
    });
    let limbs: Vec<_> = limbs.collect();
    // The integer of such limbs, by the general arithmetic.
    let general = |limbs: &[i64]| {
        let mut radix = [0; N];
        radix[0] = 1 << M::BITS;
        let radix = Element::<M, N>::from_integer(&radix).unwrap();
        limbs.iter().rev().fold(Element::ZERO, |sum, limb| {
            let mut integer = [0; N];
            integer[0] = limb.unsigned_abs();
            let limb_value = Element::from_integer(&integer).unwrap();
            let shifted = Element::mul(&sum, &radix);
            if *limb < 0 { shifted.sub(&limb_value) } else { shifted.add(&limb_value) }
        })
    };
    let lazy = |limbs: &[i64]| Lazy::<M, N, L, W>(limbs.try_into().unwrap(), PhantomData);
    let out = general(&[2]).pow(&{
        let mut e = [0; N];
        e[0] = M::MONTGOMERY_BITS as u64;
        e
    });
    let out = out.invert();
    runner
        .run(&(limbs.clone(), limbs), |(a, b)| {
            for (a, b) in [(&a, &b), (&a, &a)] {
                // Values are times 2^MONTGOMERY_BITS, which a product and the way out divide by.
                let expected = general(a).mul(&general(b)).mul(&out).mul(&out);
                let product = if a == b { lazy(a).square() } else { lazy(a).mul(&lazy(b)) };
                prop_assert_eq!(product.to_integer(), expected.to_integer());
                prop_assert!((0..L).all(|i| product.0[i].abs() <= bound(i)), "{:?}", product);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn limbs_stay_within_their_bounds() {
    check_extremes::<P160Field, 3, 3, 5>();
    check_extremes::<P224Field, 4, 4, 7>();
    check_extremes::<P384Field, 6, 8, 15>();
}
