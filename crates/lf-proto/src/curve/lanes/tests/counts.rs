//! Operations of a batch of eight, counted: the base of estimates for processors that are not at hand.
//!
//! `cargo test -p lf-proto --lib counts -- --nocapture` prints them.

use std::cell::Cell;

use crate::curve::lanes::portable::Portable;
use crate::curve::lanes::simd::{Job, LANES, Row, Simd};
use crate::curve::lanes::{LaneCurve, solve};
use crate::curve::params::{BrainpoolP160t1, P224, P384};
use crate::curve::recover::{Equation, Parity};

thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { multiply_adds: 0, shuffles: 0, memory: 0, others: 0 }) };
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    /// `madd_low`, `madd_high` and `mul_low`.
    multiply_adds: u64,
    /// Those of transpositions.
    shuffles: u64,
    /// Loads and stores of rows; what the compiler spills is not known here.
    memory: u64,
    /// Sums, shifts, masks, selections. Constants cost nothing: they are operands from memory.
    others: u64,
}

/// The portable lanes, counted.
#[derive(Clone, Copy)]
struct Counting;

fn count(change: impl Fn(&mut Counts)) -> Portable {
    COUNTS.with(|counts| {
        let mut new = counts.get();
        change(&mut new);
        counts.set(new);
    });
    Portable
}

type V = [u64; LANES];

impl Simd for Counting {
    type V = V;
    const INLINE: bool = false;

    fn splat(self, value: u64) -> V {
        Portable.splat(value)
    }
    fn load(self, row: &Row) -> V {
        count(|c| c.memory += 1).load(row)
    }
    fn store(self, v: V) -> Row {
        count(|c| c.memory += 1).store(v)
    }
    fn add(self, a: V, b: V) -> V {
        count(|c| c.others += 1).add(a, b)
    }
    fn sub(self, a: V, b: V) -> V {
        count(|c| c.others += 1).sub(a, b)
    }
    fn and(self, a: V, b: V) -> V {
        count(|c| c.others += 1).and(a, b)
    }
    fn or(self, a: V, b: V) -> V {
        count(|c| c.others += 1).or(a, b)
    }
    fn shl<const BITS: u32>(self, a: V) -> V {
        count(|c| c.others += 1).shl::<BITS>(a)
    }
    fn shr<const BITS: u32>(self, a: V) -> V {
        count(|c| c.others += 1).shr::<BITS>(a)
    }
    fn madd_low(self, sum: V, a: V, b: V) -> V {
        count(|c| c.multiply_adds += 1).madd_low(sum, a, b)
    }
    fn madd_high(self, sum: V, a: V, b: V) -> V {
        count(|c| c.multiply_adds += 1).madd_high(sum, a, b)
    }
    fn mul_low(self, a: V, b: V) -> V {
        count(|c| c.multiply_adds += 1).mul_low(a, b)
    }
    fn select(self, lanes: u8, set: V, clear: V) -> V {
        count(|c| c.others += 1).select(lanes, set, clear)
    }
    fn nonzero(self, a: V) -> u8 {
        count(|c| c.others += 1).nonzero(a)
    }
    fn interleave_even(self, a: V, b: V) -> V {
        count(|c| c.shuffles += 1).interleave_even(a, b)
    }
    fn interleave_odd(self, a: V, b: V) -> V {
        count(|c| c.shuffles += 1).interleave_odd(a, b)
    }
    fn even_pairs(self, a: V, b: V) -> V {
        count(|c| c.shuffles += 1).even_pairs(a, b)
    }
    fn odd_pairs(self, a: V, b: V) -> V {
        count(|c| c.shuffles += 1).odd_pairs(a, b)
    }
    fn call<J: Job<Self>>(self, job: J) -> J::Output {
        job.run(self)
    }
}

/// Counts a batch of eight equations on 2·G, and gives what is counted at most.
fn counted<C, const N: usize, const L: usize, const BYTES: usize>(parity: Parity, name: &str, at_most: u64)
where
    C: LaneCurve<N, L>,
{
    let mut number = C::G.1;
    number[0] ^= 1;
    let equation = |index| Equation { index, parity, r: C::G.0, u: number, v: C::B };
    let equations: [_; LANES] = std::array::from_fn(equation);
    let mut answers = [[None; 2]; LANES];
    COUNTS.with(|counts| counts.set(Counts::default()));
    solve::<Counting, C, N, L, BYTES>(Counting, &equations, &mut answers);
    let counts = COUNTS.with(Cell::get);
    println!("{name}, eight at once: {counts:?}");
    assert!(answers.iter().all(|answer| answer.iter().any(Option::is_some)));
    let sum = counts.multiply_adds + counts.shuffles + counts.memory + counts.others;
    assert!(sum <= at_most, "{sum} operations");
}

#[test]
fn counts() {
    counted::<BrainpoolP160t1, 3, 4, 20>(Parity::Even, "brainpoolP160t1", u64::MAX);
    counted::<P224, 4, 5, 28>(Parity::Both, "P-224", u64::MAX);
    counted::<P384, 6, 8, 48>(Parity::Both, "P-384", u64::MAX);
}
