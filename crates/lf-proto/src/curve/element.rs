//! What points need of the integers modulo a prime, whatever form they are kept in: `field` has the form that
//! defines the results, `lazy` a faster one for coordinates. Variable-time: public data only.

use std::fmt::Debug;

use super::field::{Element, Modulus, less, sub_small};

/// An integer modulo a prime of N 64-bit limbs.
pub(crate) trait FieldElement<const N: usize>:
    Copy + PartialEq + Debug + Send + Sync + 'static
{
    /// The prime.
    const MODULUS: [u64; N];
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;

    /// An integer that is known to be below the modulus.
    fn from_reduced(integer: &[u64; N]) -> Self;
    /// The integer, fully reduced.
    fn to_integer(self) -> [u64; N];
    fn is_zero(&self) -> bool;
    fn add(&self, other: &Self) -> Self;
    fn sub(&self, other: &Self) -> Self;
    fn mul(&self, other: &Self) -> Self;
    fn square(&self) -> Self;

    /// An integer below the modulus; None if it is not.
    fn from_integer(integer: &[u64; N]) -> Option<Self> {
        less(integer, &Self::MODULUS).then(|| Self::from_reduced(integer))
    }

    #[inline(always)]
    fn double(&self) -> Self {
        self.add(self)
    }

    #[inline(always)]
    fn neg(&self) -> Self {
        Self::ZERO.sub(self)
    }

    /// Whether the integer is odd.
    fn is_odd(self) -> bool {
        self.to_integer()[0] & 1 == 1
    }

    /// self^(2^times).
    fn square_times(&self, times: usize) -> Self {
        let mut power = *self;
        for _ in 0..times {
            power = power.square();
        }
        power
    }

    /// self^exponent, by windows of four bits.
    fn pow(&self, exponent: &[u64; N]) -> Self {
        let mut powers = [Self::ONE; 16];
        for i in 1..16 {
            powers[i] = powers[i - 1].mul(self);
        }
        let window = |i: usize| (exponent[i / 16] >> (4 * (i % 16))) as usize & 15;
        let Some(top) = (0..16 * N).rev().find(|i| window(*i) != 0) else { return Self::ONE };
        let mut result = powers[window(top)];
        for i in (0..top).rev() {
            result = result.square_times(4);
            if window(i) != 0 {
                result = result.mul(&powers[window(i)]);
            }
        }
        result
    }

    /// 1 / self; 0 for 0.
    fn invert(&self) -> Self {
        self.pow(&const { sub_small(Self::MODULUS, 2) })
    }

    /// Inverts all elements with one inversion. Zeros stay zero and do not spoil the others.
    fn invert_all(elements: &mut [Self]) {
        let mut product = Self::ONE;
        let mut before = Vec::with_capacity(elements.len());
        for element in elements.iter() {
            before.push(product);
            if !element.is_zero() {
                product = product.mul(element);
            }
        }
        let mut inverse = product.invert();
        for (element, before) in elements.iter_mut().zip(&before).rev() {
            if !element.is_zero() {
                let inverted = inverse.mul(before);
                inverse = inverse.mul(element);
                *element = inverted;
            }
        }
    }
}

impl<M: Modulus<N>, const N: usize> FieldElement<N> for Element<M, N> {
    const MODULUS: [u64; N] = M::P;
    const ZERO: Self = Self::ZERO;
    const ONE: Self = Self::ONE;

    fn from_reduced(integer: &[u64; N]) -> Self {
        Self::from_integer_below_r(integer)
    }

    fn to_integer(self) -> [u64; N] {
        self.to_integer()
    }

    #[inline(always)]
    fn is_zero(&self) -> bool {
        self.is_zero()
    }

    #[inline(always)]
    fn add(&self, other: &Self) -> Self {
        self.add(other)
    }

    #[inline(always)]
    fn sub(&self, other: &Self) -> Self {
        self.sub(other)
    }

    #[inline(always)]
    fn mul(&self, other: &Self) -> Self {
        self.mul(other)
    }

    #[inline(always)]
    fn square(&self) -> Self {
        self.mul(self)
    }
}
