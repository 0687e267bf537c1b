//! Integers modulo a prime, in Montgomery form of N 64-bit limbs, little-endian. Variable-time: public data
//! only. Values are always fully reduced, so equality is equality of limbs.
//!
//! Loops run over indices, since nearly all of them walk several arrays and a carry in step.
#![allow(clippy::needless_range_loop)]

use std::marker::PhantomData;

/// A prime modulus and what Montgomery arithmetic needs of it; R = 2^(64·N).
pub(crate) trait Modulus<const N: usize>: Copy + Send + Sync + 'static {
    /// The prime.
    const P: [u64; N];
    /// −p⁻¹ modulo 2⁶⁴.
    const NEG_INVERSE: u64 = neg_inverse(Self::P[0]);
    /// R modulo p, which is 1 in Montgomery form.
    const R: [u64; N] = power_of_two(Self::P, 64 * N);
    /// R² modulo p, which brings integers into Montgomery form.
    const R_SQUARED: [u64; N] = power_of_two(Self::P, 128 * N);
    /// Whether the top limb of the modulus has a free bit, so that sums never need a word more than N.
    const SPARE_BIT: bool = Self::P[N - 1] >> 63 == 0;
}

/// An integer modulo `M`.
pub(crate) struct Element<M, const N: usize>([u64; N], PhantomData<M>);

impl<M, const N: usize> Clone for Element<M, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M, const N: usize> Copy for Element<M, N> {}

impl<M, const N: usize> PartialEq for Element<M, N> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<M, const N: usize> std::fmt::Debug for Element<M, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x?}", self.0)
    }
}

impl<M: Modulus<N>, const N: usize> Element<M, N> {
    /// 0.
    pub(crate) const ZERO: Self = Self([0; N], PhantomData);
    /// 1.
    pub(crate) const ONE: Self = Self(M::R, PhantomData);

    /// An integer below the modulus; None if it is not.
    pub(crate) fn from_integer(integer: &[u64; N]) -> Option<Self> {
        less(integer, &M::P).then(|| Self::from_integer_below_r(integer))
    }

    /// Any integer below R, reduced.
    pub(crate) fn from_integer_below_r(integer: &[u64; N]) -> Self {
        Self(*integer, PhantomData).mul(&Self(M::R_SQUARED, PhantomData))
    }

    /// The integer, fully reduced.
    pub(crate) fn to_integer(self) -> [u64; N] {
        let mut one = [0; N];
        one[0] = 1;
        self.mul(&Self(one, PhantomData)).0
    }

    #[inline(always)]
    pub(crate) fn is_zero(&self) -> bool {
        self.0 == [0; N]
    }

    /// Brings a value below 2p (with its word of carry) below p.
    #[inline(always)]
    fn reduced(value: [u64; N], carry: u64) -> Self {
        let mut difference = [0; N];
        let mut borrow = 0;
        for i in 0..N {
            (difference[i], borrow) = sub_borrow(value[i], M::P[i], borrow);
        }
        let keep = u64::from((carry == 0) & (borrow != 0));
        let mask = keep.wrapping_neg();
        for i in 0..N {
            difference[i] = (value[i] & mask) | (difference[i] & !mask);
        }
        Self(difference, PhantomData)
    }

    #[inline(always)]
    pub(crate) fn add(&self, other: &Self) -> Self {
        let mut sum = [0; N];
        let mut carry = 0;
        for i in 0..N {
            (sum[i], carry) = add_carry(self.0[i], other.0[i], carry);
        }
        Self::reduced(sum, carry)
    }

    #[inline(always)]
    pub(crate) fn sub(&self, other: &Self) -> Self {
        let mut difference = [0; N];
        let mut borrow = 0;
        for i in 0..N {
            (difference[i], borrow) = sub_borrow(self.0[i], other.0[i], borrow);
        }
        let mask = borrow.wrapping_neg();
        let mut carry = 0;
        for i in 0..N {
            (difference[i], carry) = add_carry(difference[i], M::P[i] & mask, carry);
        }
        Self(difference, PhantomData)
    }

    /// The product: one limb of `other` at a time, each followed by its share of the reduction.
    #[inline(always)]
    pub(crate) fn mul(&self, other: &Self) -> Self {
        let mut t = [0u64; N];
        let mut top = 0;
        for i in 0..N {
            let mut carry = 0;
            for j in 0..N {
                (t[j], carry) = mul_add(self.0[j], other.0[i], t[j], carry);
            }
            let (high, higher) = if M::SPARE_BIT { (carry, 0) } else { add_carry(top, carry, 0) };
            let m = t[0].wrapping_mul(M::NEG_INVERSE);
            (_, carry) = mul_add(m, M::P[0], t[0], 0);
            for j in 1..N {
                (t[j - 1], carry) = mul_add(m, M::P[j], t[j], carry);
            }
            if M::SPARE_BIT {
                t[N - 1] = high.wrapping_add(carry);
            } else {
                let last;
                (t[N - 1], last) = add_carry(high, carry, 0);
                top = higher + last;
            }
        }
        Self::reduced(t, top)
    }
}

/// An integer from big-endian bytes, of which there must not be more than 8·N.
pub(crate) fn integer_from_be<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let mut integer = [0; N];
    for (limb, chunk) in integer.iter_mut().zip(bytes.rchunks(8)) {
        *limb = chunk.iter().fold(0, |limb, byte| (limb << 8) | u64::from(*byte));
    }
    integer
}

/// The low `BYTES` bytes of an integer, big-endian. Also made for constants, hence the plain loop.
pub(crate) const fn integer_to_be<const N: usize, const BYTES: usize>(integer: &[u64; N]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    let mut i = 0;
    while i < BYTES {
        bytes[BYTES - 1 - i] = (integer[i / 8] >> (8 * (i % 8))) as u8;
        i += 1;
    }
    bytes
}

/// a < b.
pub(crate) fn less<const N: usize>(a: &[u64; N], b: &[u64; N]) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// A constant of N limbs from hexadecimal digits.
pub(crate) const fn limbs<const N: usize>(hex: &str) -> [u64; N] {
    let hex = hex.as_bytes();
    let mut limbs = [0; N];
    let mut i = 0;
    while i < hex.len() {
        let digit = match hex[hex.len() - 1 - i] {
            c @ b'0'..=b'9' => c - b'0',
            c @ b'a'..=b'f' => c - b'a' + 10,
            _ => panic!("not a lowercase hexadecimal digit"),
        };
        limbs[i / 16] |= (digit as u64) << (4 * (i % 16));
        i += 1;
    }
    limbs
}

/// a·b + c + d: the low and the high word, which never overflow together.
#[inline(always)]
const fn mul_add(a: u64, b: u64, c: u64, d: u64) -> (u64, u64) {
    let t = (a as u128) * (b as u128) + c as u128 + d as u128;
    (t as u64, (t >> 64) as u64)
}

#[inline(always)]
pub(crate) const fn add_carry(a: u64, b: u64, carry: u64) -> (u64, u64) {
    let t = a as u128 + b as u128 + carry as u128;
    (t as u64, (t >> 64) as u64)
}

/// a − b − borrow; the second value is the new borrow, 0 or 1.
#[inline(always)]
pub(crate) const fn sub_borrow(a: u64, b: u64, borrow: u64) -> (u64, u64) {
    let t = (a as u128).wrapping_sub(b as u128 + borrow as u128);
    (t as u64, ((t >> 64) as u64) & 1)
}

pub(crate) const fn sub_small<const N: usize>(mut a: [u64; N], small: u64) -> [u64; N] {
    let mut borrow = small;
    let mut i = 0;
    while i < N {
        (a[i], borrow) = sub_borrow(a[i], borrow, 0);
        i += 1;
    }
    a
}

/// −p⁻¹ modulo 2⁶⁴ of an odd p, by Newton's iteration: every step doubles the correct bits.
const fn neg_inverse(p: u64) -> u64 {
    let mut x = 1u64;
    let mut i = 0;
    while i < 6 {
        x = x.wrapping_mul(2u64.wrapping_sub(p.wrapping_mul(x)));
        i += 1;
    }
    x.wrapping_neg()
}

/// 2^exponent modulo p, by doubling.
pub(crate) const fn power_of_two<const N: usize>(p: [u64; N], exponent: usize) -> [u64; N] {
    let mut power = [0; N];
    power[0] = 1;
    let mut e = 0;
    while e < exponent {
        let (mut doubled, mut reduced) = ([0; N], [0; N]);
        let (mut carry, mut borrow) = (0, 0);
        let mut i = 0;
        while i < N {
            (doubled[i], carry) = add_carry(power[i], power[i], carry);
            (reduced[i], borrow) = sub_borrow(doubled[i], p[i], borrow);
            i += 1;
        }
        power = if carry == 0 && borrow != 0 { doubled } else { reduced };
        e += 1;
    }
    power
}
