//! Recovery of eight keys at once, or verification of eight Ed25519 signatures, in lanes of 64 bits: for processors with
//! AVX-512 and its multiply-add of 52 bits (IFMA), chosen at run time. Everything is **variable-time**, on public data
//! only.
//!
//! `recover` defines the results and does what is left over: batches of one, and the lanes that meet a case
//! that the plain addition formulas cannot do. Such a case leaves Z = 0 in its lane, which is looked at once, at
//! the end; crafted signatures can force it (R = k·G), and then cost as much as in the scalar code.
//!
//! From below: `simd` (the operations on vectors; `portable` and `avx512` do them), `field`, `point`, `digits`
//! and `table` (multiplication by scalars), `group` (eight recoveries); for Ed25519 `edwards` and `ed25519`, where no
//! case is special. Tables take 160 KB for brainpoolP160t1, 460 KB for P-224 (square roots included), 256 KB for P-384
//! and 272 KB for Ed25519, each made on first use.
#![allow(clippy::needless_range_loop, clippy::manual_memcpy)] // arrays in step, and no calls where vectors are

#[cfg(target_arch = "x86_64")]
mod avx512;
mod constants;
mod digits;
pub(super) mod ed25519;
mod edwards;
mod field;
mod group;
mod point;
mod portable;
mod simd;
mod table;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

#[cfg(target_arch = "x86_64")]
pub(super) use avx512::Avx512;
pub(super) use portable::Portable;
pub(super) use simd::{LANES, Simd};

use field::{Field, Lanes};
use group::{Divide, Solve};
use table::{GeneratorRows, Multiples};

use super::field::{Modulus, integer_to_be};
use super::params::{BrainpoolP160t1, Curve, P224, P384};
use super::recover::{self, Equation, Parity};
use super::{Candidates, PublicPoint};

/// The smallest batch that pays: lanes that stay empty cost as much as full ones.
pub(super) const BATCH_MIN: usize = 2;

/// A curve that the lanes know: fields of N words in the scalar code and of L limbs here.
pub(super) trait LaneCurve<const N: usize, const L: usize>: Curve<N> {
    /// The field of the coordinates.
    type Lanes: Field<L>;
    /// Bits of a window of u, for the multiples of R.
    const R_WINDOW_BITS: usize;
    /// Bits of a window of v, for the multiples of G.
    const G_WINDOW_BITS: usize;
    /// The b of the equation.
    const B_IN_FORM: [u64; L] = in_form::<Self, N, L>(&Self::B);

    /// Multiples of the generator, made on first use.
    fn generator_rows() -> &'static GeneratorRows;
}

/// A coordinate as the curve's field has it.
const fn in_form<C: LaneCurve<N, L>, const N: usize, const L: usize>(integer: &[u64; N]) -> [u64; L] {
    constants::in_form(integer, &<C::Field as Modulus<N>>::P, C::Lanes::BITS, C::Lanes::FORM.is_some())
}

impl LaneCurve<3, 4> for BrainpoolP160t1 {
    type Lanes = field::P160;
    const R_WINDOW_BITS: usize = 4;
    const G_WINDOW_BITS: usize = 8;

    fn generator_rows() -> &'static GeneratorRows {
        static ROWS: LazyLock<GeneratorRows> = LazyLock::new(GeneratorRows::new::<BrainpoolP160t1, 3, 4>);
        &ROWS
    }
}

impl LaneCurve<4, 5> for P224 {
    type Lanes = field::P224;
    const R_WINDOW_BITS: usize = 5;
    const G_WINDOW_BITS: usize = 7;

    fn generator_rows() -> &'static GeneratorRows {
        static ROWS: LazyLock<GeneratorRows> = LazyLock::new(GeneratorRows::new::<P224, 4, 5>);
        &ROWS
    }
}

impl LaneCurve<6, 8> for P384 {
    type Lanes = field::P384;
    const R_WINDOW_BITS: usize = 5;
    const G_WINDOW_BITS: usize = 6;

    fn generator_rows() -> &'static GeneratorRows {
        static ROWS: LazyLock<GeneratorRows> = LazyLock::new(GeneratorRows::new::<P384, 6, 8>);
        &ROWS
    }
}

/// What `recover::solve` does, eight equations at a time. They are of one kind: all with both parities, or
/// none.
pub(super) fn solve<S, C, const N: usize, const L: usize, const BYTES: usize>(
    s: S,
    equations: &[Equation<N>],
    answers: &mut [Candidates<BYTES>],
) where
    S: Simd,
    C: LaneCurve<N, L>,
{
    let k = Lanes::<S, C::Lanes, L>::new(s);
    // A single one at the end is better off alone.
    let in_lanes =
        equations.len() - usize::from(equations.len() % LANES < BATCH_MIN) * (equations.len() % LANES);
    let (in_lanes, rest) = equations.split_at(in_lanes);
    let Some(first) = in_lanes.first() else {
        return recover::solve::<C, N, BYTES>(rest, answers);
    };
    let mut redo = rest.to_vec();

    let mut multiples = Multiples::with_room_for(C::R_WINDOW_BITS, L);
    let mut groups = Vec::with_capacity(in_lanes.len().div_ceil(LANES));
    for group in in_lanes.chunks(LANES) {
        // Lanes without an equation of their own repeat the first.
        let group = std::array::from_fn(|lane| group.get(lane).unwrap_or(&group[0]));
        groups.push(s.call(Solve::<S, C, N, L> { k, group, multiples: &mut multiples }));
    }
    let points = if first.parity == Parity::Both { 2 } else { 1 };
    let affine = s.call(Divide::<S, C::Lanes, L, N> { k, groups: &groups, points });

    for ((equations, group), affine) in in_lanes.chunks(LANES).zip(&groups).zip(&affine) {
        for (lane, equation) in equations.iter().enumerate() {
            if group.on_curve >> lane & 1 == 0 {
                continue;
            }
            if group.exceptional >> lane & 1 == 1 {
                redo.push(*equation);
                continue;
            }
            let point = |i: usize| {
                let (x, y) = &affine[i];
                Some(PublicPoint { x: integer_to_be(&x[lane]), y: integer_to_be(&y[lane]) })
            };
            answers[equation.index] = match equation.parity {
                Parity::Even => [point(0), None],
                Parity::Odd => [None, point(0)],
                Parity::Both => [point(0), point(1)],
            };
        }
    }
    recover::solve::<C, N, BYTES>(&redo, answers);
}
