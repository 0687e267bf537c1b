//! Field arithmetic in lanes: numbers of unsaturated limbs, so that sums and differences carry nothing.
//!
//! A number has L limbs of 43 to 48 bits in 64-bit lanes. Products give limbs of hardly more than that, the
//! *unit*; sums and differences give several units. IFMA takes the low 52 bits of a factor and drops the rest
//! silently, so a factor must stay below 2⁵² and that of a square, whose limbs are doubled, below 2⁵¹.
//! `bounds` in the tests proves all of it by intervals. Values are redundant modulo p: only `canonical` ones
//! may be compared. Variable-time (the exponents are constants, though): public data only.

mod p160;
mod p224;
mod p25519;
mod p384;

use std::marker::PhantomData;

pub(super) use p160::P160;
pub(super) use p224::P224;
pub(super) use p384::P384;
pub(super) use p25519::{P25519, root_of_ratio};

use super::constants::join;
use super::simd::{Job, LANES, Row, Simd, unroll};

/// Columns of a product with room to spare.
pub(super) const COLUMNS: usize = 16;

/// How many units a subtrahend may have: an index into [`Field::COVERS`].
pub(super) const UNITS_1: usize = 0;
pub(super) const UNITS_2: usize = 1;
pub(super) const UNITS_3: usize = 2;
pub(super) const UNITS_5: usize = 3;
/// The floors of the covers in sixteenths of a unit: a little more than 1, 2, 3 and 5 units.
const COVER_SIXTEENTHS: [u64; 4] = [17, 34, 51, 88];

/// A prime field whose elements have L limbs.
pub(in crate::curve) trait Field<const L: usize>: Copy {
    /// Bits of a limb.
    const BITS: usize;
    /// 2^BITS − 1.
    const MASK: u64 = (1 << Self::BITS) - 1;
    /// The prime.
    const P: [u64; L];
    /// 1 in the form of this field.
    const ONE: [u64; L];
    /// What an integer is multiplied with to come into the form of this field, unless it is in it already.
    const FORM: Option<[u64; L]>;
    /// Multiples of p whose limbs are at least as large as those of a number of so many units.
    const COVERS: [[u64; L]; 4];
    /// A multiple of p that products start with, so that no column gets negative in `reduce`.
    const BIAS: [u64; COLUMNS];
    /// Whether formulas gain by having products inlined: where they are small and their operands stay in
    /// registers.
    const INLINE: bool;
    /// How many times p must be subtracted, at most, from what `reduce` returns.
    const SUBTRACTIONS: usize;

    /// A number of one unit from the columns of a product: the sum of low·2^(BITS·i) and
    /// high·2^(52 + BITS·(i − 1)); in Montgomery form divided by R.
    fn reduce<S: Simd>(s: S, low: [S::V; COLUMNS], high: [S::V; COLUMNS]) -> [S::V; L];

    /// What a limb carries to the next.
    fn carry<S: Simd>(s: S, limb: S::V) -> S::V;

    /// 1/a; 0 for 0.
    fn invert<S: Simd>(k: Lanes<S, Self, L>, a: &[S::V; L]) -> [S::V; L];

    /// The square root where there is one, and anything elsewhere.
    fn sqrt<S: Simd>(k: Lanes<S, Self, L>, a: &[S::V; L]) -> [S::V; L];
}

/// [`Field::COVERS`].
const fn covers<const N: usize, const L: usize>(p: &[u64; N], bits: usize, unit_last: u64) -> [[u64; L]; 4] {
    let mut covers = [[0; L]; 4];
    let mut i = 0;
    while i < 4 {
        let [floor, floor_last] =
            [COVER_SIXTEENTHS[i] * (1 << bits) / 16, COVER_SIXTEENTHS[i] * unit_last / 16 + 1];
        covers[i] = super::constants::multiple(p, bits, floor, floor_last, 0);
        i += 1;
    }
    covers
}

/// [`Field::BIAS`] of limbs of at least `floor`, with `beyond` in column L.
const fn bias<const N: usize, const L: usize>(
    p: &[u64; N],
    bits: usize,
    floor: u64,
    beyond: u64,
) -> [u64; 16] {
    let limbs: [u64; L] = super::constants::multiple(p, bits, floor, floor, beyond);
    let mut bias = [0; COLUMNS];
    let mut i = 0;
    while i < L {
        bias[i] = limbs[i];
        i += 1;
    }
    bias[L] = beyond;
    bias
}

/// Whether both are limbs of a number of so many.
const fn are_limbs(i: usize, j: usize, limbs: usize) -> bool {
    i < limbs && j < limbs
}

const fn is_above(i: usize, j: usize) -> bool {
    i > j
}

/// The arithmetic of a field, by a way to compute.
pub(in crate::curve) struct Lanes<S, F, const L: usize> {
    pub(super) s: S,
    field: PhantomData<F>,
}

// Derived impls would ask for them of the field.
impl<S: Copy, F, const L: usize> Clone for Lanes<S, F, L> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S: Copy, F, const L: usize> Copy for Lanes<S, F, L> {}

impl<S: Simd, F: Field<L>, const L: usize> Lanes<S, F, L> {
    #[inline(always)]
    pub(super) fn new(s: S) -> Self {
        Self { s, field: PhantomData }
    }

    /// The same number in every lane.
    #[inline(always)]
    pub(super) fn splat(self, limbs: &[u64; L]) -> [S::V; L] {
        // No closures where vectors are: they would not be compiled for the features.
        let mut number = [self.s.splat(0); L];
        for i in 0..L {
            number[i] = self.s.splat(limbs[i]);
        }
        number
    }

    #[inline(always)]
    pub(super) fn one(self) -> [S::V; L] {
        self.splat(&F::ONE)
    }

    #[inline(always)]
    pub(super) fn add(self, a: &[S::V; L], b: &[S::V; L]) -> [S::V; L] {
        let mut sum = *a;
        for i in 0..L {
            sum[i] = self.s.add(a[i], b[i]);
        }
        sum
    }

    #[inline(always)]
    pub(super) fn double(self, a: &[S::V; L]) -> [S::V; L] {
        self.add(a, a)
    }

    /// a − b, for b of at most as many units as the cover.
    #[inline(always)]
    pub(super) fn sub<const COVER: usize>(self, a: &[S::V; L], b: &[S::V; L]) -> [S::V; L] {
        let mut difference = *a;
        for i in 0..L {
            let covered = self.s.add(a[i], self.s.splat(F::COVERS[COVER][i]));
            difference[i] = self.s.sub(covered, b[i]);
        }
        difference
    }

    /// −a in the lanes whose bit is set, for a of at most as many units as the cover.
    #[inline(always)]
    pub(super) fn neg_where<const COVER: usize>(self, lanes: u8, a: &[S::V; L]) -> [S::V; L] {
        let mut result = *a;
        for i in 0..L {
            let negative = self.s.sub(self.s.splat(F::COVERS[COVER][i]), a[i]);
            result[i] = self.s.select(lanes, negative, a[i]);
        }
        result
    }

    /// `set` in the lanes whose bit is set, `clear` in the others.
    #[inline(always)]
    pub(super) fn select(self, lanes: u8, set: &[S::V; L], clear: &[S::V; L]) -> [S::V; L] {
        let mut result = *clear;
        for i in 0..L {
            result[i] = self.s.select(lanes, set[i], clear[i]);
        }
        result
    }

    /// The columns of a product to come.
    #[inline(always)]
    fn columns(self) -> ([S::V; COLUMNS], [S::V; COLUMNS]) {
        let mut low = [self.s.splat(0); COLUMNS];
        unroll!(I in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] {
            low[I] = self.s.splat(F::BIAS[I]);
        });
        (low, [self.s.splat(0); COLUMNS])
    }

    /// a·b, of one unit, for limbs below 2⁵².
    #[inline(always)]
    pub(super) fn mul(self, a: &[S::V; L], b: &[S::V; L]) -> [S::V; L] {
        if const { S::INLINE && F::INLINE } { self.mul_inline(a, b) } else { self.product(a, b) }
    }

    /// a², of one unit, for limbs below 2⁵¹.
    #[inline(always)]
    pub(super) fn square(self, a: &[S::V; L]) -> [S::V; L] {
        if const { S::INLINE && F::INLINE } { self.square_inline(a) } else { self.square_times(a, 1) }
    }

    #[inline(always)]
    fn mul_inline(self, a: &[S::V; L], b: &[S::V; L]) -> [S::V; L] {
        let (mut low, mut high) = self.columns();
        unroll!(K in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14] {
            unroll!(I in [0 1 2 3 4 5 6 7] {
                const J: usize = K.wrapping_sub(I);
                if const { are_limbs(I, J, L) } {
                    low[K] = self.s.madd_low(low[K], a[I], b[J]);
                    high[K + 1] = self.s.madd_high(high[K + 1], a[I], b[J]);
                }
            });
        });
        F::reduce(self.s, low, high)
    }

    #[inline(always)]
    fn square_inline(self, a: &[S::V; L]) -> [S::V; L] {
        let twice = self.double(a);
        let (mut low, mut high) = self.columns();
        unroll!(K in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14] {
            unroll!(I in [0 1 2 3 4 5 6 7] {
                const J: usize = K.wrapping_sub(I);
                if const { are_limbs(I, J, L) && !is_above(I, J) } {
                    let factor = if const { I == J } { a[I] } else { twice[I] };
                    low[K] = self.s.madd_low(low[K], factor, a[J]);
                    high[K + 1] = self.s.madd_high(high[K + 1], factor, a[J]);
                }
            });
        });
        F::reduce(self.s, low, high)
    }

    /// The number itself, below p and in limbs below 2^BITS, out of the form of this field.
    #[inline(always)]
    pub(super) fn canonical(self, a: &[S::V; L]) -> [S::V; L] {
        let mut value = self.reduced(a);
        let mask = self.s.splat(F::MASK);
        // The last limb keeps what is beyond it: the subtractions bring it below.
        unroll!(I in [1 2 3 4 5 6 7] {
            if const { I < L } {
                value[I] = self.s.add(value[I], F::carry(self.s, value[I - 1]));
                value[I - 1] = self.s.and(value[I - 1], mask);
            }
        });
        for _ in 0..F::SUBTRACTIONS {
            // value − p = value + (2^(BITS·L) − 1 − p) + 1 − 2^(BITS·L): a carry says that it is not negative.
            let mut difference = value;
            let mut carry = self.s.splat(1);
            unroll!(I in [0 1 2 3 4 5 6 7] {
                if const { I < L } {
                    let sum = self.s.add(self.s.add(value[I], self.s.splat(F::MASK - F::P[I])), carry);
                    carry = F::carry(self.s, sum);
                    difference[I] = self.s.and(sum, mask);
                }
            });
            value = self.select(self.s.nonzero(carry), &difference, &value);
        }
        value
    }

    /// The first step of `canonical`: one unit, out of the form of this field.
    #[inline(always)]
    pub(super) fn reduced(self, a: &[S::V; L]) -> [S::V; L] {
        let (mut low, high) = self.columns();
        unroll!(I in [0 1 2 3 4 5 6 7] {
            if const { I < L } {
                low[I] = self.s.add(low[I], a[I]);
            }
        });
        F::reduce(self.s, low, high)
    }

    /// The lanes whose number is not zero, of a canonical one.
    #[inline(always)]
    pub(super) fn nonzero(self, canonical: &[S::V; L]) -> u8 {
        let mut any = canonical[0];
        for i in 1..L {
            any = self.s.or(any, canonical[i]);
        }
        self.s.nonzero(any)
    }

    /// Numbers from their limbs, one row for each limb, in the form of this field.
    #[inline(always)]
    pub(super) fn load(self, integers: &[Row; L]) -> [S::V; L] {
        let mut numbers = [self.s.splat(0); L];
        for i in 0..L {
            numbers[i] = self.s.load(&integers[i]);
        }
        match F::FORM {
            Some(form) => self.product(&numbers, &self.splat(&form)),
            None => numbers,
        }
    }

    /// The numbers of all lanes, of canonical ones.
    #[inline(always)]
    pub(super) fn integers<const N: usize>(self, canonical: &[S::V; L]) -> [[u64; N]; LANES] {
        let mut rows = [Row::ZERO; L];
        for i in 0..L {
            rows[i] = self.s.store(canonical[i]);
        }
        let mut integers = [[0; N]; LANES];
        for lane in 0..LANES {
            integers[lane] = join(&rows.map(|row| row.0[lane]), F::BITS);
        }
        integers
    }

    /// [`Self::mul`] in a function of its own: where speed does not count, or much else is done.
    #[inline(always)]
    pub(super) fn product(self, a: &[S::V; L], b: &[S::V; L]) -> [S::V; L] {
        self.s.call(Product::<S, F, L> { k: self, a, b })
    }

    /// a^(2^times) in a function of its own.
    #[inline(always)]
    pub(super) fn square_times(self, a: &[S::V; L], times: usize) -> [S::V; L] {
        let mut power = *a;
        self.s.call(SquareTimes::<S, F, L> { k: self, power: &mut power, times });
        power
    }

    /// a^(2^times)·b: a step of an addition chain.
    #[inline(always)]
    pub(super) fn square_times_mul(self, a: &[S::V; L], times: usize, b: &[S::V; L]) -> [S::V; L] {
        self.product(&self.square_times(a, times), b)
    }

    /// a^exponent, by sliding windows of five bits. The exponent is the same in all lanes, and not 0.
    #[inline(always)]
    pub(super) fn pow<const N: usize>(self, a: &[S::V; L], exponent: &[u64; N]) -> [S::V; L] {
        let bit = |i: usize| exponent[i / 64] >> (i % 64) & 1;
        let square = self.square_times(a, 1);
        let mut odd = [*a; 16];
        for i in 1..16 {
            odd[i] = self.product(&odd[i - 1], &square);
        }
        let mut power = None;
        let mut squarings = 0;
        let mut end = 64 * N; // the bits from here on are done
        while end > 0 {
            if bit(end - 1) == 0 {
                squarings += 1;
                end -= 1;
                continue;
            }
            let mut start = end.saturating_sub(5);
            while bit(start) == 0 {
                start += 1;
            }
            let window = (start..end).rev().fold(0, |window, i| 2 * window + bit(i) as usize);
            let factor = &odd[window / 2];
            power = Some(match power {
                Some(power) => self.square_times_mul(&power, squarings + end - start, factor),
                None => *factor,
            });
            (squarings, end) = (0, start);
        }
        self.square_times(&power.unwrap_or(*a), squarings)
    }
}

struct Product<'a, S: Simd, F, const L: usize> {
    k: Lanes<S, F, L>,
    a: &'a [S::V; L],
    b: &'a [S::V; L],
}

impl<S: Simd, F: Field<L>, const L: usize> Job<S> for Product<'_, S, F, L> {
    type Output = [S::V; L];

    #[inline(always)]
    fn run(self, _: S) -> [S::V; L] {
        self.k.mul_inline(self.a, self.b)
    }
}

struct SquareTimes<'a, S: Simd, F, const L: usize> {
    k: Lanes<S, F, L>,
    power: &'a mut [S::V; L],
    times: usize,
}

impl<S: Simd, F: Field<L>, const L: usize> Job<S> for SquareTimes<'_, S, F, L> {
    type Output = ();

    #[inline(always)]
    fn run(self, _: S) {
        let mut power = *self.power;
        for _ in 0..self.times {
            power = self.k.square_inline(&power);
        }
        *self.power = power;
    }
}
