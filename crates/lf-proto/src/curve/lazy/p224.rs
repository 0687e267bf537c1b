//! The prime of P-224 in four limbs of 56 bits: 2²²⁴ = 2⁹⁶ − 1, and 2⁹⁶ is two limbs less 16 bits.

use super::{Reduction, low};
use crate::curve::params::P224Field;

const BITS: usize = 56;

impl Reduction<4, 4, 7> for P224Field {
    const BITS: usize = BITS;
    const MONTGOMERY_BITS: usize = 0;

    #[inline(always)]
    fn reduce(mut c: [i128; 7]) -> [i64; 4] {
        for i in [2, 1, 0] {
            let high = c[i + 4];
            c[i] -= high;
            c[i + 1] += i128::from(low(high, 16) << 40);
            c[i + 2] += high >> 16;
        }
        let high = c[3] >> BITS;
        c[0] -= high;
        c[1] += i128::from(low(high, 16) << 40) + (c[0] >> BITS);
        c[2] += (high >> 16) + (c[1] >> BITS);
        let top = i128::from(low(c[3], BITS)) + (c[2] >> BITS);
        // 11 bits, so that nothing more need be carried.
        let high = (top >> BITS) as i64;
        [low(c[0], BITS) - high, low(c[1], BITS) + (high << 40), low(c[2], BITS), low(top, BITS)]
    }
}
