//! What the lanes need of a processor: eight 64-bit lanes and a handful of operations on all of them.
//!
//! Everything above this trait is written once, generic over it, so that the same formulas run in plain
//! Rust (`portable`), in AVX-512 (`avx512`) and, in tests, on intervals that prove the bounds of all limbs.

/// Lanes of a vector: signatures that are worked on at once.
pub(in crate::curve) const LANES: usize = 8;

/// The memory form of a vector, one cache line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(64))]
pub(in crate::curve) struct Row(pub(super) [u64; LANES]);

impl Row {
    pub(super) const ZERO: Self = Self([0; LANES]);
}

/// A way to compute with eight lanes. A value of it is the permission to do so.
pub(in crate::curve) trait Simd: Copy {
    /// Eight lanes of 64 bits.
    type V: Copy;
    /// Whether formulas gain by having their products inlined, where the field allows it too. If not, they
    /// compile much faster.
    const INLINE: bool;

    /// The same number in every lane.
    fn splat(self, value: u64) -> Self::V;
    fn load(self, row: &Row) -> Self::V;
    fn store(self, v: Self::V) -> Row;
    /// Sums, which must stay below 2⁶⁴.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// Differences, which must not be negative.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn and(self, a: Self::V, b: Self::V) -> Self::V;
    fn or(self, a: Self::V, b: Self::V) -> Self::V;
    /// a·2^BITS, which must stay below 2⁶⁴.
    fn shl<const BITS: u32>(self, a: Self::V) -> Self::V;
    /// ⌊a / 2^BITS⌋.
    fn shr<const BITS: u32>(self, a: Self::V) -> Self::V;
    /// sum + (a·b mod 2⁵²), for a and b below 2⁵².
    fn madd_low(self, sum: Self::V, a: Self::V, b: Self::V) -> Self::V;
    /// sum + ⌊a·b / 2⁵²⌋, for a and b below 2⁵².
    fn madd_high(self, sum: Self::V, a: Self::V, b: Self::V) -> Self::V;
    /// a·b mod 2⁵², for any a and b: what madd_low does of its own to larger factors.
    fn mul_low(self, a: Self::V, b: Self::V) -> Self::V;
    /// `set` in the lanes whose bit is set, `clear` in the others.
    fn select(self, lanes: u8, set: Self::V, clear: Self::V) -> Self::V;
    /// The lanes that are not zero.
    fn nonzero(self, a: Self::V) -> u8;
    /// a0 b0 a2 b2 a4 b4 a6 b6.
    fn interleave_even(self, a: Self::V, b: Self::V) -> Self::V;
    /// a1 b1 a3 b3 a5 b5 a7 b7.
    fn interleave_odd(self, a: Self::V, b: Self::V) -> Self::V;
    /// a0 a1 a4 a5 b0 b1 b4 b5.
    fn even_pairs(self, a: Self::V, b: Self::V) -> Self::V;
    /// a2 a3 a6 a7 b2 b3 b6 b7.
    fn odd_pairs(self, a: Self::V, b: Self::V) -> Self::V;

    /// Runs a job in a function of its own, compiled for the processor features of this way.
    fn call<J: Job<Self>>(self, job: J) -> J::Output;

    /// Rows to columns: lane i of vector j becomes lane j of vector i.
    #[inline(always)]
    fn transpose(self, rows: [Self::V; LANES]) -> [Self::V; LANES] {
        let [a, b, c, d, e, f, g, h] = rows;
        let (ab, cd) = (self.interleave_even(a, b), self.interleave_even(c, d));
        let (ef, gh) = (self.interleave_even(e, f), self.interleave_even(g, h));
        let [r0, r2, r4, r6] = self.transpose_pairs(ab, cd, ef, gh);
        let (ab, cd) = (self.interleave_odd(a, b), self.interleave_odd(c, d));
        let (ef, gh) = (self.interleave_odd(e, f), self.interleave_odd(g, h));
        let [r1, r3, r5, r7] = self.transpose_pairs(ab, cd, ef, gh);
        [r0, r1, r2, r3, r4, r5, r6, r7]
    }

    /// [`Self::transpose`] of four vectors of four pairs.
    #[inline(always)]
    fn transpose_pairs(self, a: Self::V, b: Self::V, c: Self::V, d: Self::V) -> [Self::V; 4] {
        let (ab, cd) = (self.even_pairs(a, b), self.even_pairs(c, d));
        let (r0, r2) = (self.even_pairs(ab, cd), self.odd_pairs(ab, cd));
        let (ab, cd) = (self.odd_pairs(a, b), self.odd_pairs(c, d));
        let (r1, r3) = (self.even_pairs(ab, cd), self.odd_pairs(ab, cd));
        [r0, r1, r2, r3]
    }
}

/// Work in a function of its own ([`Simd::call`]). Implementations of `run` are `#[inline(always)]`, and so is
/// all that they call and that uses vectors, except by `call` again: only code within that function is
/// compiled for its features, and an operation outside would be a call instead of an instruction.
pub(in crate::curve) trait Job<S> {
    type Output;
    fn run(self, simd: S) -> Self::Output;
}

/// Repeats a block for each of the constants, so that limbs at `array[I]` can live in registers.
macro_rules! unroll {
    ($i:ident in [$($value:literal)*] $body:block) => { $({ const $i: usize = $value; $body })* };
}
pub(super) use unroll;
