//! Recovery of public keys: Q = r⁻¹(sR − eG), R being a point with x = r.
//!
//! A whole batch shares its two inversions (modulo the order and modulo the field's prime). The scalar code
//! here (`solve`) defines the results; where the processor can, batches are solved eight at a time (`lanes`).

use super::element::FieldElement;
use super::field::{Element, integer_from_be, integer_to_be};
use super::lanes::{self, LaneCurve};
use super::params::{Curve, Scalar};
use super::point::{Affine, Jacobian};
use super::table;
use super::{Candidates, PublicPoint, Signed};

/// Which R a signature means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parity {
    Even,
    Odd,
    Both,
}

impl Parity {
    /// The parity that a recoverable signature states; None above 1.
    pub(super) fn from_bit(bit: u8) -> Option<Self> {
        match bit {
            0 => Some(Self::Even),
            1 => Some(Self::Odd),
            _ => None,
        }
    }
}

/// Q = u·R + v·G: what is left of a signature whose numbers are within their bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Equation<const N: usize> {
    /// Its place in the answer.
    pub(super) index: usize,
    pub(super) parity: Parity,
    /// The x of R, if it is one; below the order, and not 0.
    pub(super) r: [u64; N],
    /// s/r, below the order and not 0.
    pub(super) u: [u64; N],
    /// −e/r, below the order.
    pub(super) v: [u64; N],
}

/// Recovers the keys of all signatures, in their order; a signature without a parity has none. All signatures
/// are of one kind: both keys or one.
pub(super) fn recover<'a, C: LaneCurve<N, L>, const N: usize, const L: usize, const BYTES: usize>(
    signed: impl ExactSizeIterator<Item = (Signed<'a>, Option<Parity>)>,
) -> Vec<Candidates<BYTES>> {
    #[cfg(target_arch = "x86_64")]
    if signed.len() >= lanes::BATCH_MIN
        && let Some(simd) = lanes::Avx512::detect()
    {
        return recover_in_lanes::<_, C, N, L, BYTES>(simd, signed);
    }
    recover_by_scalars::<C, N, BYTES>(signed)
}

/// [`recover`] one by one.
pub(super) fn recover_by_scalars<'a, C: Curve<N>, const N: usize, const BYTES: usize>(
    signed: impl ExactSizeIterator<Item = (Signed<'a>, Option<Parity>)>,
) -> Vec<Candidates<BYTES>> {
    let mut answers = vec![[None; 2]; signed.len()];
    solve::<C, N, BYTES>(&equations::<C, N>(signed), &mut answers);
    answers
}

/// [`recover`] eight at a time.
pub(super) fn recover_in_lanes<'a, S, C, const N: usize, const L: usize, const BYTES: usize>(
    simd: S,
    signed: impl ExactSizeIterator<Item = (Signed<'a>, Option<Parity>)>,
) -> Vec<Candidates<BYTES>>
where
    S: lanes::Simd,
    C: LaneCurve<N, L>,
{
    let mut answers = vec![[None; 2]; signed.len()];
    lanes::solve::<S, C, N, L, BYTES>(simd, &equations::<C, N>(signed), &mut answers);
    answers
}

/// The equations of the signatures that pass all checks of §3 but the last two: whether r is an x, and whether
/// Q is infinity.
fn equations<'a, C: Curve<N>, const N: usize>(
    signed: impl ExactSizeIterator<Item = (Signed<'a>, Option<Parity>)>,
) -> Vec<Equation<N>> {
    let mut numbers = Vec::with_capacity(signed.len());
    let mut r_inverses = Vec::with_capacity(signed.len());
    for (index, (signed, parity)) in signed.enumerate() {
        if let (Some(parity), Some((r_integer, r, s, e))) = (parity, parse::<C, N>(&signed)) {
            numbers.push((index, parity, r_integer, s, e));
            r_inverses.push(r);
        }
    }
    Element::invert_all(&mut r_inverses);
    let equation = |((index, parity, r, s, e), r_inverse): (_, Scalar<C, N>)| {
        let (s, e): (Scalar<C, N>, Scalar<C, N>) = (s, e);
        Equation {
            index,
            parity,
            r,
            u: s.mul(&r_inverse).to_integer(),
            v: e.mul(&r_inverse).neg().to_integer(),
        }
    };
    numbers.into_iter().zip(r_inverses).map(equation).collect()
}

/// r as an integer, r, s, e.
type Numbers<C, const N: usize> = ([u64; N], Scalar<C, N>, Scalar<C, N>, Scalar<C, N>);

/// The numbers of a signature, if they are within their bounds.
fn parse<C: Curve<N>, const N: usize>(signed: &Signed<'_>) -> Option<Numbers<C, N>> {
    if signed.r_s.len() != 2 * C::BYTES {
        return None;
    }
    let (r, s) = signed.r_s.split_at(C::BYTES);
    let r_integer = integer_from_be(r);
    let r = Element::from_integer(&r_integer).filter(|r| !r.is_zero())?;
    let s = Element::from_integer(&integer_from_be(s)).filter(|s| !s.is_zero())?;
    let digest = &signed.digest[..signed.digest.len().min(C::BYTES)];
    let e = Element::from_integer_below_r(&integer_from_be(digest));
    Some((r_integer, r, s, e))
}

/// Solves equations one by one, and puts the keys that there are at their places.
pub(super) fn solve<C: Curve<N>, const N: usize, const BYTES: usize>(
    equations: &[Equation<N>],
    answers: &mut [Candidates<BYTES>],
) {
    const { assert!(BYTES == C::BYTES) };
    let mut places = Vec::with_capacity(2 * equations.len());
    let mut points = Vec::with_capacity(2 * equations.len());
    for Equation { index, parity, r, u, v } in equations {
        // r is below the order, which is below the field's prime: no second x (r + n) is considered, as the
        // reference does not either.
        let x = C::Coordinate::from_integer(r);
        let Some(point) = x.and_then(|x| Affine::<C, N>::from_x(x, *parity == Parity::Odd)) else {
            continue;
        };
        let a = table::mul(u, &point);
        let table = C::generator_table();
        if *parity == Parity::Both {
            let b = table.mul_add(v, Jacobian::INFINITY);
            places.extend([(*index, 0), (*index, 1)]);
            points.extend([a.add(&b), a.neg().add(&b)]);
        } else {
            places.push((*index, usize::from(*parity == Parity::Odd)));
            points.push(table.mul_add(v, a));
        }
    }
    for ((index, candidate), point) in places.into_iter().zip(Jacobian::to_affine_all(&points)) {
        answers[index][candidate] = point.map(|point| PublicPoint {
            x: integer_to_be(&point.x.to_integer()),
            y: integer_to_be(&point.y.to_integer()),
        });
    }
}
