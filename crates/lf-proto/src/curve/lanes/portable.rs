//! The lanes in plain Rust: what the AVX-512 ones do, on any machine. Slow, and used by tests and fuzzing
//! alone; in debug builds it asserts what the operations ask of their arguments.

use super::simd::{Job, LANES, Row, Simd};

/// Eight lanes as an array.
#[derive(Debug, Clone, Copy)]
pub(in crate::curve) struct Portable;

type V = [u64; LANES];

fn map(a: &V, f: impl Fn(u64) -> u64) -> V {
    a.map(f)
}

fn zip(a: &V, b: &V, f: impl Fn(u64, u64) -> u64) -> V {
    std::array::from_fn(|lane| f(a[lane], b[lane]))
}

const LOW52: u64 = (1 << 52) - 1;

fn product(a: u64, b: u64) -> u128 {
    debug_assert!(a <= LOW52 && b <= LOW52, "bits from 2^52 on are dropped: {a:x} {b:x}");
    u128::from(a & LOW52) * u128::from(b & LOW52)
}

// Not inlined: formulas of thousands of operations would compile for minutes.
impl Simd for Portable {
    type V = V;
    const INLINE: bool = false;

    #[inline(never)]
    fn splat(self, value: u64) -> V {
        [value; LANES]
    }

    #[inline(never)]
    fn load(self, row: &Row) -> V {
        row.0
    }

    #[inline(never)]
    fn store(self, v: V) -> Row {
        Row(v)
    }

    #[inline(never)]
    fn add(self, a: V, b: V) -> V {
        zip(&a, &b, |a, b| {
            debug_assert!(a.checked_add(b).is_some(), "a sum of 2^64: {a:x} + {b:x}");
            a.wrapping_add(b)
        })
    }

    #[inline(never)]
    fn sub(self, a: V, b: V) -> V {
        zip(&a, &b, |a, b| {
            debug_assert!(a >= b, "a difference below 0: {a:x} - {b:x}");
            a.wrapping_sub(b)
        })
    }

    #[inline(never)]
    fn and(self, a: V, b: V) -> V {
        zip(&a, &b, |a, b| a & b)
    }

    #[inline(never)]
    fn or(self, a: V, b: V) -> V {
        zip(&a, &b, |a, b| a | b)
    }

    #[inline(never)]
    fn shl<const BITS: u32>(self, a: V) -> V {
        map(&a, |a| {
            debug_assert!(a.leading_zeros() >= BITS, "bits shifted out: {a:x} << {BITS}");
            a << BITS
        })
    }

    #[inline(never)]
    fn shr<const BITS: u32>(self, a: V) -> V {
        map(&a, |a| a >> BITS)
    }

    #[inline(never)]
    fn madd_low(self, sum: V, a: V, b: V) -> V {
        self.add(sum, zip(&a, &b, |a, b| product(a, b) as u64 & LOW52))
    }

    #[inline(never)]
    fn madd_high(self, sum: V, a: V, b: V) -> V {
        self.add(sum, zip(&a, &b, |a, b| (product(a, b) >> 52) as u64))
    }

    #[inline(never)]
    fn mul_low(self, a: V, b: V) -> V {
        zip(&a, &b, |a, b| a.wrapping_mul(b) & LOW52)
    }

    #[inline(never)]
    fn select(self, lanes: u8, set: V, clear: V) -> V {
        std::array::from_fn(|lane| if lanes >> lane & 1 == 1 { set[lane] } else { clear[lane] })
    }

    #[inline(never)]
    fn nonzero(self, a: V) -> u8 {
        a.iter().rev().fold(0, |lanes, a| lanes << 1 | u8::from(*a != 0))
    }

    #[inline(never)]
    fn interleave_even(self, a: V, b: V) -> V {
        [a[0], b[0], a[2], b[2], a[4], b[4], a[6], b[6]]
    }

    #[inline(never)]
    fn interleave_odd(self, a: V, b: V) -> V {
        [a[1], b[1], a[3], b[3], a[5], b[5], a[7], b[7]]
    }

    #[inline(never)]
    fn even_pairs(self, a: V, b: V) -> V {
        [a[0], a[1], a[4], a[5], b[0], b[1], b[4], b[5]]
    }

    #[inline(never)]
    fn odd_pairs(self, a: V, b: V) -> V {
        [a[2], a[3], a[6], a[7], b[2], b[3], b[6], b[7]]
    }

    #[inline(never)]
    fn call<J: Job<Self>>(self, job: J) -> J::Output {
        job.run(self)
    }
}
