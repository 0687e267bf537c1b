//! Recovery of public keys: Q = r⁻¹(sR − eG), R being a point with x = r.
//!
//! A whole batch shares its two inversions (modulo the order and modulo the field's prime).

use super::element::FieldElement;
use super::field::{Element, integer_from_be, integer_to_be};
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

/// A signature that passed all checks but the last (infinity).
struct Job<C: Curve<N>, const N: usize> {
    /// Its place in the answer.
    index: usize,
    parity: Parity,
    /// The R of the parity, or the one with even y.
    point: Affine<C, N>,
    s: Scalar<C, N>,
    e: Scalar<C, N>,
}

/// Recovers the keys of all signatures, in their order; a signature without a parity has none.
pub(super) fn recover<'a, C: Curve<N>, const N: usize, const BYTES: usize>(
    signed: impl ExactSizeIterator<Item = (Signed<'a>, Option<Parity>)>,
) -> Vec<Candidates<BYTES>> {
    const { assert!(BYTES == C::BYTES) };
    let mut answers = vec![[None; 2]; signed.len()];
    let mut jobs = Vec::with_capacity(answers.len());
    let mut r_inverses = Vec::with_capacity(answers.len());
    for (index, (signed, parity)) in signed.enumerate() {
        if let Some((job, r)) = parity.and_then(|parity| prepare::<C, N>(index, &signed, parity)) {
            jobs.push(job);
            r_inverses.push(r);
        }
    }
    Element::invert_all(&mut r_inverses);

    let mut places = Vec::with_capacity(2 * jobs.len());
    let mut points = Vec::with_capacity(2 * jobs.len());
    for (job, r_inverse) in jobs.iter().zip(&r_inverses) {
        let a = table::mul(&job.s.mul(r_inverse).to_integer(), &job.point);
        let minus_e = job.e.mul(r_inverse).neg().to_integer();
        let table = C::generator_table();
        if job.parity == Parity::Both {
            let b = table.mul_add(&minus_e, Jacobian::INFINITY);
            places.extend([(job.index, 0), (job.index, 1)]);
            points.extend([a.add(&b), a.neg().add(&b)]);
        } else {
            places.push((job.index, usize::from(job.parity == Parity::Odd)));
            points.push(table.mul_add(&minus_e, a));
        }
    }
    for ((index, candidate), point) in places.into_iter().zip(Jacobian::to_affine_all(&points)) {
        answers[index][candidate] = point.map(|point| PublicPoint {
            x: integer_to_be(&point.x.to_integer()),
            y: integer_to_be(&point.y.to_integer()),
        });
    }
    answers
}

/// The checks of §3, and the numbers of a signature; r apart, for the inversion.
fn prepare<C: Curve<N>, const N: usize>(
    index: usize,
    signed: &Signed<'_>,
    parity: Parity,
) -> Option<(Job<C, N>, Scalar<C, N>)> {
    if signed.r_s.len() != 2 * C::BYTES {
        return None;
    }
    let (r, s) = signed.r_s.split_at(C::BYTES);
    let r_integer = integer_from_be(r);
    let r = Element::from_integer(&r_integer).filter(|r| !r.is_zero())?;
    let s = Element::from_integer(&integer_from_be(s)).filter(|s| !s.is_zero())?;
    // r is below the order, which is below the field's prime: no second x (r + n) is considered, as the
    // reference does not either.
    let point = Affine::from_x(FieldElement::from_integer(&r_integer)?, parity == Parity::Odd)?;
    let digest = &signed.digest[..signed.digest.len().min(C::BYTES)];
    let e = Element::from_integer_below_r(&integer_from_be(digest));
    Some((Job { index, parity, point, s, e }, r))
}
