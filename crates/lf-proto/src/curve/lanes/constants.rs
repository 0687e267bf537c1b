//! Constants of the lanes' fields, from the primes, at compile time: numbers cut into limbs, and multiples of
//! the prime with large limbs.

use crate::curve::field::{add_carry, sub_borrow};

/// A number cut into limbs of so many bits; what is left goes into the last.
pub(super) const fn split<const N: usize, const L: usize>(number: &[u64; N], bits: usize) -> [u64; L] {
    let mut limbs = [0; L];
    let mut i = 0;
    while i < L {
        let (word, shift) = (bits * i / 64, bits * i % 64);
        if word < N {
            limbs[i] = number[word] >> shift;
            if shift > 0 && word + 1 < N {
                limbs[i] |= number[word + 1] << (64 - shift);
            }
            limbs[i] &= (1 << bits) - 1;
        }
        i += 1;
    }
    limbs
}

/// The number of limbs below 2^bits.
pub(super) fn join<const N: usize, const L: usize>(limbs: &[u64; L], bits: usize) -> [u64; N] {
    let mut number = [0; N];
    for (i, limb) in limbs.iter().enumerate() {
        let (word, shift) = (bits * i / 64, bits * i % 64);
        if word < N {
            number[word] |= limb << shift;
            if shift + bits > 64 && word + 1 < N {
                number[word + 1] |= limb >> (64 - shift);
            }
        }
    }
    number
}

/// a + b modulo p, for a and b below p.
const fn add_mod<const N: usize>(a: &[u64; N], b: &[u64; N], p: &[u64; N]) -> [u64; N] {
    let (mut sum, mut reduced) = ([0; N], [0; N]);
    let (mut carry, mut borrow) = (0, 0);
    let mut i = 0;
    while i < N {
        (sum[i], carry) = add_carry(a[i], b[i], carry);
        (reduced[i], borrow) = sub_borrow(sum[i], p[i], borrow);
        i += 1;
    }
    if carry == 0 && borrow != 0 { sum } else { reduced }
}

/// number·2^times modulo p, for a number below p.
pub(super) const fn doubled<const N: usize>(number: &[u64; N], times: usize, p: &[u64; N]) -> [u64; N] {
    let mut power = *number;
    let mut i = 0;
    while i < times {
        power = add_mod(&power, &power, p);
        i += 1;
    }
    power
}

/// A small number.
pub(super) const fn small<const N: usize>(number: u64) -> [u64; N] {
    let mut words = [0; N];
    words[0] = number;
    words
}

/// Limbs of at least `floor` (`floor_last` for the last), and less than 2^bits above that, which together with
/// `beyond`·2^(bits·L) make a multiple of p.
pub(super) const fn multiple<const N: usize, const L: usize>(
    p: &[u64; N],
    bits: usize,
    floor: u64,
    floor_last: u64,
    beyond: u64,
) -> [u64; L] {
    // The sum of the floors, modulo p; then what is missing to a multiple.
    let mut sum = small(beyond);
    let mut i = L;
    while i > 0 {
        i -= 1;
        let limb = if i == L - 1 { floor_last } else { floor };
        sum = add_mod(&doubled(&sum, bits, p), &small(limb), p);
    }
    let mut missing = [0; N];
    let mut borrow = 0;
    while i < N {
        (missing[i], borrow) = sub_borrow(p[i], sum[i], borrow);
        i += 1;
    }
    let mut limbs: [u64; L] = split(&missing, bits);
    i = 0;
    while i < L {
        limbs[i] += if i == L - 1 { floor_last } else { floor };
        i += 1;
    }
    limbs
}

/// −p⁻¹ modulo 2⁶⁴ of an odd p, by Newton's iteration: every step doubles the correct bits.
pub(super) const fn negative_inverse(p: u64) -> u64 {
    let mut x = 1u64;
    let mut i = 0;
    while i < 6 {
        x = x.wrapping_mul(2u64.wrapping_sub(p.wrapping_mul(x)));
        i += 1;
    }
    x.wrapping_neg()
}

/// A number below p in limbs, multiplied by 2^(bits·L) for a field in Montgomery form.
pub(super) const fn in_form<const N: usize, const L: usize>(
    number: &[u64; N],
    p: &[u64; N],
    bits: usize,
    montgomery: bool,
) -> [u64; L] {
    split(&doubled(number, if montgomery { bits * L } else { 0 }, p), bits)
}
