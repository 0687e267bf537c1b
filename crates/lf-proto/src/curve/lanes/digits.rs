//! Scalars as digits of fixed windows, so that all lanes do the same: odd ones for curves whose formulas cannot add
//! infinity, any for Ed25519, whose formulas can.

use super::simd::LANES;
use crate::curve::field::sub_borrow;

/// Digits of the scalars of all lanes, the least significant first: ±(2·index + 1).
pub(super) struct Digits {
    /// All but the most significant.
    pub(super) windows: Vec<Digit>,
    /// The most significant.
    pub(super) last: Digit,
}

/// The digits of one window.
#[derive(Clone, Copy, Default)]
pub(super) struct Digit {
    /// Where the digit's absolute value stands in its table: of odd multiples, or (`with_zeros`) of all.
    pub(super) index: [u8; LANES],
    /// The lanes whose digit is negative.
    pub(super) negative: u8,
}

/// The windows of so many bits that an odd scalar of so many bits takes.
pub(super) const fn windows(scalar_bits: usize, window_bits: usize) -> usize {
    scalar_bits.div_ceil(window_bits)
}

impl Digits {
    /// Digits in windows of at most 8 bits of scalars below the order n. An even scalar k, 0 among them, becomes
    /// n − k with all digits negated.
    pub(super) fn new<const N: usize>(
        scalars: [&[u64; N]; LANES],
        order: &[u64; N],
        scalar_bits: usize,
        window_bits: usize,
    ) -> Self {
        let last = windows(scalar_bits, window_bits) - 1;
        let mut windows = vec![Digit::default(); last + 1];
        let half = 1 << (window_bits - 1);
        for (lane, scalar) in scalars.into_iter().enumerate() {
            let negate = scalar[0] & 1 == 0;
            let odd = if negate { difference(order, scalar) } else { *scalar };
            for (i, digit) in windows.iter_mut().enumerate() {
                // A digit 2b + 1 − 2^w for each window of bits b, from the second lowest bit on: the constants
                // add up to 1 − 2^(w·windows), so the lowest bit is met, and one bit above the top is due.
                let mut b = bits(&odd, window_bits * i + 1, window_bits);
                if i == last {
                    b |= half;
                }
                let negative = b < half;
                digit.index[lane] = if negative { half - 1 - b } else { b - half } as u8;
                digit.negative |= u8::from(negative != negate) << lane;
            }
        }
        let last = windows.pop().unwrap_or_default();
        Self { windows, last }
    }
}

/// Plain digits, the least significant first, of scalars of at most so many bits: −2^(w−1) < digit ≤ 2^(w−1), `index`
/// being the absolute value. For points whose order may be even, where n − k is not −k. There is one window more than
/// the bits fill, unless its carry has room in the last.
pub(super) fn with_zeros<const N: usize>(
    scalars: [&[u64; N]; LANES],
    scalar_bits: usize,
    window_bits: usize,
) -> Vec<Digit> {
    let mut digits = vec![Digit::default(); windows(scalar_bits + 1, window_bits)];
    let half = 1 << (window_bits - 1);
    for (lane, scalar) in scalars.into_iter().enumerate() {
        let mut carry = 0;
        for (i, digit) in digits.iter_mut().enumerate() {
            let value = bits(scalar, window_bits * i, window_bits) + carry;
            carry = usize::from(value > half);
            digit.index[lane] = if carry == 1 { 2 * half - value } else { value } as u8;
            digit.negative |= (carry as u8) << lane;
        }
        debug_assert_eq!(carry, 0, "a scalar of at most {scalar_bits} bits");
    }
    digits
}

/// `count` bits of a number from bit `start` on; bits beyond its end are 0.
fn bits<const N: usize>(number: &[u64; N], start: usize, count: usize) -> usize {
    let (word, shift) = (start / 64, start % 64);
    let low = number.get(word).map_or(0, |word| word >> shift);
    let high =
        if shift + count > 64 { number.get(word + 1).map_or(0, |word| word << (64 - shift)) } else { 0 };
    ((low | high) & ((1 << count) - 1)) as usize
}

fn difference<const N: usize>(a: &[u64; N], b: &[u64; N]) -> [u64; N] {
    let mut difference = [0; N];
    let mut borrow = 0;
    for i in 0..N {
        (difference[i], borrow) = sub_borrow(a[i], b[i], borrow);
    }
    difference
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_with_zeros_add_up() {
        for window_bits in 2..=8 {
            for scalar in 0..1 << 13 {
                let mut sum = 0i64;
                for (i, digit) in with_zeros([&[scalar]; LANES], 13, window_bits).iter().enumerate() {
                    assert!(digit.index[5] <= 1 << (window_bits - 1));
                    let value = i64::from(digit.index[5]) << (window_bits * i);
                    sum += if digit.negative >> 5 & 1 == 1 { -value } else { value };
                }
                assert_eq!(sum, scalar as i64, "{window_bits} bits");
            }
        }
    }

    #[test]
    fn digits_add_up() {
        // Small enough for plain integers: every scalar below a 12-bit "order".
        const ORDER: u64 = 4093;
        for window_bits in 2..=8 {
            for scalar in 0..ORDER {
                let digits = Digits::new([&[scalar]; LANES], &[ORDER], 12, window_bits);
                let mut sum = 0i64;
                for (i, digit) in digits.windows.iter().chain([&digits.last]).enumerate() {
                    let value = i64::from(2 * u16::from(digit.index[3]) + 1) << (window_bits * i);
                    sum += if digit.negative >> 3 & 1 == 1 { -value } else { value };
                }
                assert_eq!(sum.rem_euclid(ORDER as i64), scalar as i64, "{window_bits} bits");
            }
        }
    }
}
