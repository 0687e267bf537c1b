//! The prime of brainpoolP160t1 has no special form: three limbs of 57 bits and Montgomery's reduction.
//!
//! A product leaves a·b / 2¹⁷¹ + 2·p at most. With a and b of 16 times 3.1·p that is 3.1·p again: 2¹⁷¹ is 2,246·p,
//! where limbs of 56 bits would not suffice.

use super::{Reduction, low, mask, split, wide};
use crate::curve::field::Modulus;
use crate::curve::params::P160Field;

const BITS: usize = 57;

const P: [i64; 3] = split(&P160Field::P, BITS);

/// −p⁻¹ modulo 2⁵⁷ (and of more bits, which do not matter).
const NEG_INVERSE: i64 = P160Field::NEG_INVERSE as i64;

/// (k·p + 1) / 2⁵⁷ for k = −p⁻¹ modulo 2⁵⁷: m·(k·p + 1) − m takes the low limb m away without a multiplication
/// for the quotient.
const FRIENDLY: [i64; 3] = {
    let k = NEG_INVERSE & mask(BITS);
    let low_column = wide(k, P[0]) + 1;
    let middle = wide(k, P[1]) + (low_column >> BITS);
    let high = wide(k, P[2]) + (middle >> BITS);
    [low(middle, BITS), low(high, BITS), (high >> BITS) as i64]
};

impl Reduction<3, 3, 5> for P160Field {
    const BITS: usize = BITS;
    const MONTGOMERY_BITS: usize = 3 * BITS;

    #[inline(always)]
    fn reduce(mut columns: [i128; 5]) -> [i64; 3] {
        // k·p is a limb longer than p, which only the first two steps can afford.
        for i in 0..2 {
            let m = low(columns[i], BITS);
            columns[i + 1] += (columns[i] >> BITS) + wide(m, FRIENDLY[0]);
            columns[i + 2] += wide(m, FRIENDLY[1]);
            columns[i + 3] += wide(m, FRIENDLY[2]);
        }
        let m = (columns[2] as i64).wrapping_mul(NEG_INVERSE) & mask(BITS);
        let first = columns[3] + ((columns[2] + wide(m, P[0])) >> BITS) + wide(m, P[1]);
        let second = columns[4] + wide(m, P[2]) + (first >> BITS);
        [low(first, BITS), low(second, BITS), (second >> BITS) as i64]
    }
}
