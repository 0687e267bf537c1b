//! Points of a curve with a = −3: affine, and Jacobian (x = X/Z², y = Y/Z³; Z = 0 is infinity).
//! Variable-time, and every exceptional case of the addition formulas is handled.

use super::element::FieldElement;
use super::params::{Coordinate, Curve};

/// A finite point.
pub(crate) struct Affine<C: Curve<N>, const N: usize> {
    pub(crate) x: Coordinate<C, N>,
    pub(crate) y: Coordinate<C, N>,
}

/// Any point.
pub(crate) struct Jacobian<C: Curve<N>, const N: usize> {
    x: Coordinate<C, N>,
    y: Coordinate<C, N>,
    z: Coordinate<C, N>,
}

// Derived impls would ask for them of the curve.
impl<C: Curve<N>, const N: usize> Clone for Affine<C, N> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<C: Curve<N>, const N: usize> Copy for Affine<C, N> {}
impl<C: Curve<N>, const N: usize> Clone for Jacobian<C, N> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<C: Curve<N>, const N: usize> Copy for Jacobian<C, N> {}

impl<C: Curve<N>, const N: usize> Affine<C, N> {
    /// The generator.
    pub(crate) fn generator() -> Self {
        Self { x: FieldElement::from_reduced(&C::G.0), y: FieldElement::from_reduced(&C::G.1) }
    }

    /// The point with this x and this parity of y, if x is a coordinate.
    pub(crate) fn from_x(x: Coordinate<C, N>, y_is_odd: bool) -> Option<Self> {
        let three_x = x.double().add(&x);
        let b = FieldElement::from_reduced(&C::B);
        let y = C::sqrt(&x.square().mul(&x).sub(&three_x).add(&b))?;
        // No point of a curve of odd order has y = 0, so exactly one of y and −y has the parity.
        Some(Self { x, y: if y.is_odd() == y_is_odd { y } else { y.neg() } })
    }

    pub(crate) fn neg(&self) -> Self {
        Self { x: self.x, y: self.y.neg() }
    }
}

impl<C: Curve<N>, const N: usize> From<Affine<C, N>> for Jacobian<C, N> {
    fn from(point: Affine<C, N>) -> Self {
        Self { x: point.x, y: point.y, z: FieldElement::ONE }
    }
}

impl<C: Curve<N>, const N: usize> Jacobian<C, N> {
    pub(crate) const INFINITY: Self =
        Self { x: FieldElement::ONE, y: FieldElement::ONE, z: FieldElement::ZERO };

    pub(crate) fn neg(&self) -> Self {
        Self { x: self.x, y: self.y.neg(), z: self.z }
    }

    /// 2·self, in 3 multiplications and 5 squarings ("dbl-2001-b").
    #[inline]
    pub(crate) fn double(&self) -> Self {
        let delta = self.z.square();
        let gamma = self.y.square();
        let beta = self.x.mul(&gamma);
        let t = self.x.sub(&delta).mul(&self.x.add(&delta));
        let alpha = t.double().add(&t);
        let beta4 = beta.double().double();
        let x = alpha.square().sub(&beta4.double());
        let z = self.y.add(&self.z).square().sub(&gamma).sub(&delta);
        let gamma_squared8 = gamma.square().double().double().double();
        let y = alpha.mul(&beta4.sub(&x)).sub(&gamma_squared8);
        Self { x, y, z }
    }

    /// self + other, in 8 multiplications and 3 squarings.
    #[inline]
    pub(crate) fn add_affine(&self, other: &Affine<C, N>) -> Self {
        if self.z.is_zero() {
            return (*other).into();
        }
        let zz = self.z.square();
        let u2 = other.x.mul(&zz);
        let s2 = other.y.mul(&self.z.mul(&zz));
        self.sum(&self.x, &u2, &self.y, &s2, |h| self.z.mul(h))
    }

    /// self + other, in 12 multiplications and 4 squarings.
    #[inline]
    pub(crate) fn add(&self, other: &Self) -> Self {
        if self.z.is_zero() {
            return *other;
        }
        if other.z.is_zero() {
            return *self;
        }
        let (z1z1, z2z2) = (self.z.square(), other.z.square());
        let u1 = self.x.mul(&z2z2);
        let u2 = other.x.mul(&z1z1);
        let s1 = self.y.mul(&other.z.mul(&z2z2));
        let s2 = other.y.mul(&self.z.mul(&z1z1));
        self.sum(&u1, &u2, &s1, &s2, |h| self.z.mul(&other.z).mul(h))
    }

    /// The common end of the additions: both points brought to one denominator, which `z` multiplies by h.
    #[inline(always)]
    fn sum(
        &self,
        u1: &Coordinate<C, N>,
        u2: &Coordinate<C, N>,
        s1: &Coordinate<C, N>,
        s2: &Coordinate<C, N>,
        z: impl FnOnce(&Coordinate<C, N>) -> Coordinate<C, N>,
    ) -> Self {
        let h = u2.sub(u1);
        let r = s2.sub(s1);
        if h.is_zero() {
            return if r.is_zero() { self.double() } else { Self::INFINITY };
        }
        let hh = h.square();
        let hhh = h.mul(&hh);
        let v = u1.mul(&hh);
        let x = r.square().sub(&hhh).sub(&v.double());
        let y = r.mul(&v.sub(&x)).sub(&s1.mul(&hhh));
        Self { x, y, z: z(&h) }
    }

    /// All points in affine form, with one inversion. None for infinity.
    pub(crate) fn to_affine_all(points: &[Self]) -> Vec<Option<Affine<C, N>>> {
        let mut inverses: Vec<_> = points.iter().map(|point| point.z).collect();
        FieldElement::invert_all(&mut inverses);
        let affine = |(point, inverse): (&Self, &Coordinate<C, N>)| {
            let squared = inverse.square();
            (!inverse.is_zero())
                .then(|| Affine { x: point.x.mul(&squared), y: point.y.mul(&squared.mul(inverse)) })
        };
        points.iter().zip(&inverses).map(affine).collect()
    }
}
