//! The field of brainpoolP160t1: 4 limbs of 48 bits, in Montgomery form with R = 2¹⁹².
//!
//! The prime has 160 bits, so values have 32 bits to spare: sums never need a reduction.

use super::{COLUMNS, Field, Lanes, covers};
use crate::curve::field::Modulus;
use crate::curve::lanes::constants::{doubled, negative_inverse, small, split};
use crate::curve::lanes::simd::{Simd, unroll};
use crate::curve::params::P160Field;

const P: [u64; 3] = <P160Field as Modulus<3>>::P;
const BITS: usize = 48;
/// (−p⁻¹ mod 2⁴⁸)·2⁴: a factor that gives the m of a Montgomery step, shifted to the top of 52 bits.
const NEGATIVE_INVERSE: u64 = (negative_inverse(P[0]) << 4) & ((1 << 52) - 1);

#[derive(Debug, Clone, Copy)]
pub(in crate::curve) struct P160;

impl Field<4> for P160 {
    const BITS: usize = BITS;
    const P: [u64; 4] = split(&P, BITS);
    const ONE: [u64; 4] = split(&doubled(&small(1), 192, &P), BITS);
    const FORM: Option<[u64; 4]> = Some(split(&doubled(&small(1), 384, &P), BITS));
    const COVERS: [[u64; 4]; 4] = covers(&P, BITS, Self::P[3] + 1);
    const BIAS: [u64; COLUMNS] = [0; COLUMNS];
    const INLINE: bool = true;
    const SUBTRACTIONS: usize = 1;

    /// Four steps, each of which adds the m·p that makes the lowest limb a multiple of 2⁴⁸ and drops it. The
    /// result is below ab/R + p, which is hardly more than p.
    #[inline(always)]
    fn reduce<S: Simd>(s: S, mut low: [S::V; COLUMNS], mut high: [S::V; COLUMNS]) -> [S::V; 4] {
        let mask = s.splat(Self::MASK);
        unroll!(I in [0 1 2 3] {
            low[I] = s.add(low[I], s.shl::<4>(high[I]));
            let m_shifted = s.mul_low(low[I], s.splat(NEGATIVE_INVERSE));
            let m = s.shr::<4>(m_shifted);
            // The low half of m·p₀ makes the limb 0 modulo 2⁴⁸, so what it carries is ⌈limb / 2⁴⁸⌉; the high
            // half comes aligned from the shifted m.
            low[I + 1] = s.add(low[I + 1], s.shr::<48>(s.add(low[I], mask)));
            low[I + 1] = s.madd_high(low[I + 1], m_shifted, s.splat(Self::P[0]));
            unroll!(J in [1 2 3] {
                low[I + J] = s.madd_low(low[I + J], m, s.splat(Self::P[J]));
                high[I + J + 1] = s.madd_high(high[I + J + 1], m, s.splat(Self::P[J]));
            });
        });
        unroll!(I in [4 5 6 7] {
            low[I] = s.add(low[I], s.shl::<4>(high[I]));
        });
        [
            s.and(low[4], mask),
            s.add(s.and(low[5], mask), s.shr::<48>(low[4])),
            s.add(s.and(low[6], mask), s.shr::<48>(low[5])),
            s.add(low[7], s.shr::<48>(low[6])),
        ]
    }

    #[inline(always)]
    fn carry<S: Simd>(s: S, limb: S::V) -> S::V {
        s.shr::<48>(limb)
    }

    /// a^(p − 2).
    #[inline(always)]
    fn invert<S: Simd>(k: Lanes<S, Self, 4>, a: &[S::V; 4]) -> [S::V; 4] {
        k.pow(a, &[P[0] - 2, P[1], P[2]])
    }

    /// a^((p + 1) / 4): p is 3 modulo 4.
    #[inline(always)]
    fn sqrt<S: Simd>(k: Lanes<S, Self, 4>, a: &[S::V; 4]) -> [S::V; 4] {
        const { assert!(P[0] & 3 == 3 && P[0] != u64::MAX) };
        let p = [P[0] + 1, P[1], P[2]];
        k.pow(a, &[p[0] >> 2 | p[1] << 62, p[1] >> 2 | p[2] << 62, p[2] >> 2])
    }
}
