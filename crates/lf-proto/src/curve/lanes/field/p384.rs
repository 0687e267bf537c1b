//! The field of P-384: 8 limbs of 48 bits. 2³⁸⁴ = 2¹²⁸ + 2⁹⁶ − 2³² + 1 modulo p folds the upper half back.

use super::{COLUMNS, Field, Lanes, bias, covers};
use crate::curve::field::Modulus;
use crate::curve::lanes::constants::{small, split};
use crate::curve::lanes::simd::{Simd, unroll};
use crate::curve::params::P384Field;

const P: [u64; 6] = <P384Field as Modulus<6>>::P;
const BITS: usize = 48;

#[derive(Debug, Clone, Copy)]
pub(in crate::curve) struct P384;

impl Field<8> for P384 {
    const BITS: usize = BITS;
    const P: [u64; 8] = split(&P, BITS);
    const ONE: [u64; 8] = small(1);
    const FORM: Option<[u64; 8]> = None;
    const COVERS: [[u64; 8]; 4] = covers(&P, BITS, 1 << BITS);
    const BIAS: [u64; COLUMNS] = bias::<6, 8>(&P, BITS, 1 << 50, 1 << 51);
    const INLINE: bool = false;
    const SUBTRACTIONS: usize = 1;

    #[inline(always)]
    fn reduce<S: Simd>(s: S, mut low: [S::V; COLUMNS], high: [S::V; COLUMNS]) -> [S::V; 8] {
        unroll!(I in [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] {
            low[I] = s.add(low[I], s.shl::<4>(high[I]));
        });
        // From the top down: x·2³⁸⁴ = x·2³²·2⁹⁶ + x·2⁹⁶ − x·2³² + x, with x·2³² in two limbs.
        let low16 = s.splat(0xffff);
        unroll!(I in [7 6 5 4 3 2 1 0] {
            let x = low[I + 8];
            let shifted = s.shl::<32>(s.and(x, low16));
            let above = s.shr::<16>(x);
            low[I] = s.sub(s.add(low[I], x), shifted);
            low[I + 1] = s.sub(low[I + 1], above);
            low[I + 2] = s.add(low[I + 2], s.add(x, shifted));
            low[I + 3] = s.add(low[I + 3], above);
        });
        // Again, for what the last limb carries: little enough that x·2³² is one limb.
        let mask = s.splat(Self::MASK);
        let x = s.shr::<48>(low[7]);
        let shifted = s.shl::<32>(x);
        low[7] = s.and(low[7], mask);
        low[0] = s.sub(s.add(low[0], x), shifted);
        low[2] = s.add(low[2], s.add(x, shifted));
        // One parallel carry, the first limb's into the second and so on.
        let mut result = [low[0]; 8];
        result[0] = s.and(low[0], mask);
        unroll!(I in [1 2 3 4 5 6] {
            result[I] = s.add(s.and(low[I], mask), s.shr::<48>(low[I - 1]));
        });
        result[7] = s.add(low[7], s.shr::<48>(low[6]));
        result
    }

    #[inline(always)]
    fn carry<S: Simd>(s: S, limb: S::V) -> S::V {
        s.shr::<48>(limb)
    }

    /// a^(p − 2) with p − 2 = 1…1 (255 ones) 0 1…1 (32) 0…0 (64) 1…1 (30) 0 1.
    #[inline(always)]
    fn invert<S: Simd>(k: Lanes<S, Self, 8>, a: &[S::V; 8]) -> [S::V; 8] {
        let ones = Ones::new(k, a);
        let power = k.square_times_mul(&ones.of_255, 33, &ones.of_32);
        let power = k.square_times_mul(&power, 94, &ones.of_30);
        k.square_times_mul(&power, 2, a)
    }

    /// a^((p + 1) / 4): p is 3 modulo 4, and the exponent is 1…1 (255) 0 1…1 (32) 0…0 (63) 1 0…0 (30).
    #[inline(always)]
    fn sqrt<S: Simd>(k: Lanes<S, Self, 8>, a: &[S::V; 8]) -> [S::V; 8] {
        let ones = Ones::new(k, a);
        let power = k.square_times_mul(&ones.of_255, 33, &ones.of_32);
        let power = k.square_times_mul(&power, 64, a);
        k.square_times(&power, 30)
    }
}

/// a^(2^n − 1), whose exponents are n ones.
struct Ones<V> {
    of_30: [V; 8],
    of_32: [V; 8],
    of_255: [V; 8],
}

impl<V: Copy> Ones<V> {
    #[inline(always)]
    fn new<S: Simd<V = V>>(k: Lanes<S, P384, 8>, a: &[V; 8]) -> Self {
        let of_2 = k.square_times_mul(a, 1, a);
        let of_3 = k.square_times_mul(&of_2, 1, a);
        let of_6 = k.square_times_mul(&of_3, 3, &of_3);
        let of_12 = k.square_times_mul(&of_6, 6, &of_6);
        let of_15 = k.square_times_mul(&of_12, 3, &of_3);
        let of_30 = k.square_times_mul(&of_15, 15, &of_15);
        let of_60 = k.square_times_mul(&of_30, 30, &of_30);
        let of_120 = k.square_times_mul(&of_60, 60, &of_60);
        let of_240 = k.square_times_mul(&of_120, 120, &of_120);
        Self {
            of_30,
            of_32: k.square_times_mul(&of_30, 2, &of_2),
            of_255: k.square_times_mul(&of_240, 15, &of_15),
        }
    }
}
