//! The field of Ed25519: 6 limbs of 43 bits. 2²⁵⁸ = 152 and 2²⁵⁵ = 19 modulo p fold the upper half back. Five limbs
//! of 51 bits would take a third fewer products, but a carry after every sum.

use super::{COLUMNS, Field, Lanes, covers};
use crate::curve::field::Modulus;
use crate::curve::lanes::constants::{small, split};
use crate::curve::lanes::simd::{Simd, unroll};
use crate::curve::params::Ed25519Field;

const P: [u64; 4] = <Ed25519Field as Modulus<4>>::P;
const BITS: usize = 43;

/// A square root of −1: 2^((p − 1) / 4) (tested).
const ROOT_OF_MINUS_ONE: [u64; 6] = split(
    &crate::curve::field::limbs::<4>("2b8324804fc1df0b2b4d00993dfbd7a72f431806ad2fe478c4ee1b274a0ea0b0"),
    BITS,
);

#[derive(Debug, Clone, Copy)]
pub(in crate::curve) struct P25519;

impl Field<6> for P25519 {
    const BITS: usize = BITS;
    const P: [u64; 6] = split(&P, BITS);
    const ONE: [u64; 6] = small(1);
    const FORM: Option<[u64; 6]> = None;
    const COVERS: [[u64; 6]; 4] = covers(&P, BITS, 1 << BITS);
    const BIAS: [u64; COLUMNS] = [0; COLUMNS];
    const INLINE: bool = true;
    const SUBTRACTIONS: usize = 1;

    #[inline(always)]
    fn reduce<S: Simd>(s: S, mut low: [S::V; COLUMNS], high: [S::V; COLUMNS]) -> [S::V; 6] {
        unroll!(I in [1 2 3 4 5 6 7 8 9 10 11] {
            low[I] = s.add(low[I], s.shl::<9>(high[I]));
        });
        // x·2²⁵⁸ = (128 + 16 + 8)·x.
        unroll!(I in [0 1 2 3 4 5] {
            let x = low[I + 6];
            low[I] = s.add(s.add(low[I], s.shl::<7>(x)), s.add(s.shl::<4>(x), s.shl::<3>(x)));
        });
        // Again, for what is beyond 255 bits: x·2²⁵⁵ = (16 + 2 + 1)·x. So little more than p is left.
        let mask = s.splat(Self::MASK);
        let x = s.shr::<40>(low[5]);
        low[5] = s.and(low[5], s.splat((1 << 40) - 1));
        low[0] = s.add(s.add(low[0], s.shl::<4>(x)), s.add(s.add(x, x), x));
        // One parallel carry, the first limb's into the second and so on.
        [
            s.and(low[0], mask),
            s.add(s.and(low[1], mask), s.shr::<43>(low[0])),
            s.add(s.and(low[2], mask), s.shr::<43>(low[1])),
            s.add(s.and(low[3], mask), s.shr::<43>(low[2])),
            s.add(s.and(low[4], mask), s.shr::<43>(low[3])),
            s.add(low[5], s.shr::<43>(low[4])),
        ]
    }

    #[inline(always)]
    fn carry<S: Simd>(s: S, limb: S::V) -> S::V {
        s.shr::<43>(limb)
    }

    /// a^(p − 2) = a^(2²⁵⁵ − 21).
    #[inline(always)]
    fn invert<S: Simd>(k: Lanes<S, Self, 6>, a: &[S::V; 6]) -> [S::V; 6] {
        let power = k.square_times(&pow_2_252_less_3(k, a), 3);
        k.product(&power, &k.square_times_mul(a, 1, a))
    }

    #[inline(always)]
    fn sqrt<S: Simd>(k: Lanes<S, Self, 6>, a: &[S::V; 6]) -> [S::V; 6] {
        root_of_ratio(k, a, &k.one())
    }
}

/// A square root of u/v where there is one, 0 for u = 0, and anything elsewhere: p is 5 modulo 8, so r = u·v³·(u·v⁷)^((p
/// − 5) / 8) or √−1·r is it.
#[inline(always)]
pub(in crate::curve::lanes) fn root_of_ratio<S: Simd>(
    k: Lanes<S, P25519, 6>,
    u: &[S::V; 6],
    v: &[S::V; 6],
) -> [S::V; 6] {
    let v3 = k.square_times_mul(v, 1, v);
    let v7 = k.square_times_mul(&v3, 1, v);
    let r = k.product(&k.product(u, &v3), &pow_2_252_less_3(k, &k.product(u, &v7)));
    let sum = k.add(&k.product(v, &k.square_times(&r, 1)), u);
    // v·r² = −u: then it is the other.
    let is_positive = k.nonzero(&k.canonical(&sum));
    k.select(is_positive, &r, &k.product(&r, &k.splat(&ROOT_OF_MINUS_ONE)))
}

/// a^(2²⁵² − 3), and 2²⁵² − 3 = (p − 5) / 8: 250 ones, a zero and a one.
#[inline(always)]
fn pow_2_252_less_3<S: Simd>(k: Lanes<S, P25519, 6>, a: &[S::V; 6]) -> [S::V; 6] {
    let of_2 = k.square_times_mul(a, 1, a);
    let of_4 = k.square_times_mul(&of_2, 2, &of_2);
    let of_5 = k.square_times_mul(&of_4, 1, a);
    let of_10 = k.square_times_mul(&of_5, 5, &of_5);
    let of_20 = k.square_times_mul(&of_10, 10, &of_10);
    let of_40 = k.square_times_mul(&of_20, 20, &of_20);
    let of_50 = k.square_times_mul(&of_40, 10, &of_10);
    let of_100 = k.square_times_mul(&of_50, 50, &of_50);
    let of_200 = k.square_times_mul(&of_100, 100, &of_100);
    let of_250 = k.square_times_mul(&of_200, 50, &of_50);
    k.square_times_mul(&of_250, 2, a)
}
