//! The prime of P-384 in eight limbs of 48 bits: 2³⁸⁴ = 2¹²⁸ + 2⁹⁶ − 2³² + 1, where 2⁹⁶ is two limbs, 2¹²⁸ the
//! same and 32 bits more.

use super::{Reduction, low, product, square};
use crate::curve::params::P384Field;

const BITS: usize = 48;

/// A limb times 2³² is these bits of it, 32 higher, and the rest of it 16 lower in the next limb.
const SHIFTED_BITS: usize = BITS - 32;

/// The low limb of limb·2³².
#[inline(always)]
const fn shifted(limb: i64) -> i64 {
    low(limb as i128, SHIFTED_BITS) << 32
}

impl Reduction<6, 8, 15> for P384Field {
    const BITS: usize = BITS;
    const MONTGOMERY_BITS: usize = 0;

    #[inline(always)]
    fn reduce(columns: [i128; 15]) -> [i64; 8] {
        // All columns to limbs at once, of up to 60 bits; `high` are those from 2³⁸⁴ up.
        let (mut l, mut high) = ([0; 8], [0; 8]);
        let mut carry = 0;
        for i in 0..8 {
            l[i] = low(columns[i], BITS) + carry;
            carry = (columns[i] >> BITS) as i64;
        }
        for i in 0..7 {
            high[i] = low(columns[8 + i], BITS) + carry;
            carry = (columns[8 + i] >> BITS) as i64;
        }
        high[7] = carry;

        let mut high32 = [0; 9];
        high32[0] = shifted(high[0]);
        for i in 1..8 {
            high32[i] = shifted(high[i]) + (high[i - 1] >> SHIFTED_BITS);
        }
        high32[8] = high[7] >> SHIFTED_BITS;
        for i in 0..8 {
            l[i] += high[i] - high32[i];
        }
        for i in 0..6 {
            l[i + 2] += high[i] + high32[i];
        }

        // The same for what that left above 2³⁸⁴, three limbs.
        let high = [high[6] + high32[6] - high32[8], high[7] + high32[7], high32[8]];
        let high32 = [
            shifted(high[0]),
            shifted(high[1]) + (high[0] >> SHIFTED_BITS),
            shifted(high[2]) + (high[1] >> SHIFTED_BITS),
            high[2] >> SHIFTED_BITS,
        ];
        for i in 0..3 {
            l[i] += high[i];
            l[i + 2] += high[i];
        }
        for i in 0..4 {
            l[i] -= high32[i];
            l[i + 2] += high32[i];
        }

        // And once more for the last carry, of 15 bits.
        let high = l[7] >> BITS;
        let mut carry = high - (high << 32);
        for limb in &mut l {
            let next = *limb >> BITS;
            *limb = low(i128::from(*limb), BITS) + carry;
            carry = next;
        }
        l[2] += high + (high << 32);
        l
    }

    // Inlined, the eight products of a doubling would take 16 KB of code: slower, and long to compile.
    #[inline(never)]
    fn mul(a: &[i64; 8], b: &[i64; 8]) -> [i64; 8] {
        Self::reduce(product(a, b))
    }

    #[inline(never)]
    fn square(a: &[i64; 8]) -> [i64; 8] {
        Self::reduce(square(a))
    }
}
