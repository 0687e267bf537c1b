//! Coordinates in unsaturated signed limbs: additions and subtractions carry nothing and reduce nothing, and each
//! prime has its own reduction of products (`p160`, `p224`, `p384`). The general arithmetic of `field` defines
//! the results, and the tests compare the two. Variable-time: public data only.
//!
//! **Bounds.** A limb has a nominal width (`BITS`). What a product leaves is within 1.6 times the nominal range
//! either way, and a sum of such elements may go to [`HEADROOM`] times that before it is multiplied again; the point
//! formulas need 13. Then no column of a product overflows an i128 and no carry an i64; builds with
//! overflow checks would tell.
//!
//! Loops run over indices, since nearly all of them walk several arrays in step.
#![allow(clippy::needless_range_loop)]

mod p160;
mod p224;
mod p384;

use std::fmt;
use std::marker::PhantomData;

use super::element::FieldElement;
use super::field::{Modulus, power_of_two};
use super::params::{P160Field, P224Field, P384Field};

/// A coordinate of brainpoolP160t1.
pub(crate) type P160Coordinate = Lazy<P160Field, 3, 3, 5>;
/// A coordinate of P-224.
pub(crate) type P224Coordinate = Lazy<P224Field, 4, 4, 7>;
/// A coordinate of P-384.
pub(crate) type P384Coordinate = Lazy<P384Field, 6, 8, 15>;

/// How many products' worth a limb may hold when it is multiplied.
#[cfg(test)]
const HEADROOM: usize = 16;

/// A prime of N 64-bit limbs with a reduction of its own: products of L limbs have W = 2·L − 1 columns.
pub(crate) trait Reduction<const N: usize, const L: usize, const W: usize>: Modulus<N> {
    /// Bits of a limb.
    const BITS: usize;
    /// The integers are kept times 2^this: 0, or L·BITS where products are reduced as Montgomery does it.
    const MONTGOMERY_BITS: usize;

    /// Brings a product back to L limbs of about `BITS` bits.
    fn reduce(columns: [i128; W]) -> [i64; L];

    /// a·b.
    #[inline(always)]
    fn mul(a: &[i64; L], b: &[i64; L]) -> [i64; L] {
        Self::reduce(product(a, b))
    }

    /// a².
    #[inline(always)]
    fn square(a: &[i64; L]) -> [i64; L] {
        Self::reduce(square(a))
    }
}

/// An integer modulo `M`, the sum of limb i times 2^(BITS·i). It has many forms.
pub(crate) struct Lazy<M, const N: usize, const L: usize, const W: usize>([i64; L], PhantomData<M>);

impl<M, const N: usize, const L: usize, const W: usize> Clone for Lazy<M, N, L, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M, const N: usize, const L: usize, const W: usize> Copy for Lazy<M, N, L, W> {}

impl<M, const N: usize, const L: usize, const W: usize> PartialEq for Lazy<M, N, L, W>
where
    M: Reduction<N, L, W>,
{
    fn eq(&self, other: &Self) -> bool {
        self.sub(other).is_zero()
    }
}

impl<M, const N: usize, const L: usize, const W: usize> fmt::Debug for Lazy<M, N, L, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x?}", self.0)
    }
}

impl<M: Reduction<N, L, W>, const N: usize, const L: usize, const W: usize> Lazy<M, N, L, W> {
    const MODULUS_LIMBS: [i64; L] = split(&M::P, M::BITS);
    /// The integer 1 as it stands, which as a factor takes 2^MONTGOMERY_BITS out.
    const UNIT: Self = Self(split(&power_of_two(M::P, 0), M::BITS), PhantomData);
    /// The factor that brings 2^MONTGOMERY_BITS in.
    const FACTOR: Self = Self(split(&power_of_two(M::P, 2 * M::MONTGOMERY_BITS), M::BITS), PhantomData);

    /// Carries until all limbs but the last are in 0 .. 2^BITS.
    fn carried(mut limbs: [i64; L]) -> [i64; L] {
        for i in 0..L - 1 {
            limbs[i + 1] += limbs[i] >> M::BITS;
            limbs[i] &= mask(M::BITS);
        }
        limbs
    }
}

impl<M: Reduction<N, L, W>, const N: usize, const L: usize, const W: usize> FieldElement<N>
    for Lazy<M, N, L, W>
{
    const MODULUS: [u64; N] = M::P;
    const ZERO: Self = Self([0; L], PhantomData);
    const ONE: Self = Self(split(&power_of_two(M::P, M::MONTGOMERY_BITS), M::BITS), PhantomData);

    fn from_reduced(integer: &[u64; N]) -> Self {
        Self(split(integer, M::BITS), PhantomData).mul(&Self::FACTOR)
    }

    fn to_integer(self) -> [u64; N] {
        // A product is a few times the modulus at most, so neither loop is long.
        let mut limbs = Self::carried(self.mul(&Self::UNIT).0);
        while limbs[L - 1] < 0 {
            limbs = Self::carried(std::array::from_fn(|i| limbs[i] + Self::MODULUS_LIMBS[i]));
        }
        loop {
            let less = Self::carried(std::array::from_fn(|i| limbs[i] - Self::MODULUS_LIMBS[i]));
            if less[L - 1] < 0 {
                return join(&limbs, M::BITS);
            }
            limbs = less;
        }
    }

    #[inline(always)]
    fn is_zero(&self) -> bool {
        // Only k·p is 0, for a k of few bits: the low limb alone tells of nearly all others that they are not.
        const QUOTIENT_BITS: usize = 20;
        let quotient = (self.0[0] as u64).wrapping_mul(M::NEG_INVERSE) << (64 - M::BITS);
        let few = 1 << (64 - M::BITS + QUOTIENT_BITS);
        (quotient.wrapping_add(few) <= 2 * few) && self.to_integer() == [0; N]
    }

    #[inline(always)]
    fn add(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]), PhantomData)
    }

    #[inline(always)]
    fn sub(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - other.0[i]), PhantomData)
    }

    #[inline(always)]
    fn mul(&self, other: &Self) -> Self {
        Self(M::mul(&self.0, &other.0), PhantomData)
    }

    #[inline(always)]
    fn square(&self) -> Self {
        Self(M::square(&self.0), PhantomData)
    }

    fn square_times(&self, times: usize) -> Self {
        // One square waits for another here, so it is always inlined.
        let mut limbs = self.0;
        for _ in 0..times {
            limbs = M::reduce(square(&limbs));
        }
        Self(limbs, PhantomData)
    }
}

const fn mask(bits: usize) -> i64 {
    (1 << bits) - 1
}

/// The low `bits` bits of a column or limb, as a limb.
#[inline(always)]
const fn low(column: i128, bits: usize) -> i64 {
    column as i64 & mask(bits)
}

/// a·b, which an i128 always holds.
#[inline(always)]
const fn wide(a: i64, b: i64) -> i128 {
    (a as i128) * (b as i128)
}

/// The columns of a·b. In two halves: compilers unroll loops up to some size only.
#[inline(always)]
fn product<const L: usize, const W: usize>(a: &[i64; L], b: &[i64; L]) -> [i128; W] {
    let mut columns = [0; W];
    for i in 0..L / 2 {
        for j in 0..L {
            columns[i + j] += wide(a[i], b[j]);
        }
    }
    for i in L / 2..L {
        for j in 0..L {
            columns[i + j] += wide(a[i], b[j]);
        }
    }
    columns
}

/// The columns of a².
#[inline(always)]
fn square<const L: usize, const W: usize>(a: &[i64; L]) -> [i128; W] {
    let mut columns = [0; W];
    for i in 0..L {
        columns[2 * i] += wide(a[i], a[i]);
        for j in i + 1..L {
            columns[i + j] += wide(2 * a[i], a[j]);
        }
    }
    columns
}

/// Cuts an integer into limbs.
const fn split<const N: usize, const L: usize>(integer: &[u64; N], bits: usize) -> [i64; L] {
    let mut limbs = [0; L];
    let mut i = 0;
    while i < L {
        let (word, shift) = (bits * i / 64, bits * i % 64);
        let mut limb = integer[word] >> shift;
        if shift != 0 && word + 1 < N {
            limb |= integer[word + 1] << (64 - shift);
        }
        limbs[i] = limb as i64 & mask(bits);
        i += 1;
    }
    limbs
}

/// The inverse of [`split`].
fn join<const N: usize, const L: usize>(limbs: &[i64; L], bits: usize) -> [u64; N] {
    let mut integer = [0; N];
    for (i, limb) in limbs.iter().enumerate() {
        let (word, shift) = (bits * i / 64, bits * i % 64);
        integer[word] |= (*limb as u64) << shift;
        if shift + bits > 64 && word + 1 < N {
            integer[word + 1] |= (*limb as u64) >> (64 - shift);
        }
    }
    integer
}

#[cfg(test)]
mod tests;
