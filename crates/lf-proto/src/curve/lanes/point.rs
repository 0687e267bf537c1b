//! Points in lanes: the ordinary Jacobian formulas (x = X/Z², y = Y/Z³) for a = −3, without any case of
//! their own.
//!
//! What these formulas cannot do (adding equal or opposite points, or infinity) gives Z = 0 in its lane, since
//! every Z that they compute is a product of the Zs that went in and of the difference of the xs; and from
//! then on Z stays 0. So a Z other than 0 at the end proves that the lane met no such case. Points are changed
//! in place, which is measurably faster than passing them by value.

use super::field::{Field, Lanes, UNITS_1, UNITS_2, UNITS_3, UNITS_5};
use super::simd::{Job, Simd};

/// Any points, of at most 5 units in x and y and 2 in z.
pub(super) struct Point<V, const L: usize> {
    pub(super) x: [V; L],
    pub(super) y: [V; L],
    pub(super) z: [V; L],
}

/// Points to be added, with powers of their z: y is of at most 7 units, the rest as in [`Point`].
pub(super) struct Addend<V, const L: usize> {
    pub(super) x: [V; L],
    pub(super) y: [V; L],
    pub(super) z: [V; L],
    pub(super) zz: [V; L],
    pub(super) zzz: [V; L],
}

/// Finite points to be added, limbs as in [`Addend`].
pub(super) struct AffineAddend<V, const L: usize> {
    pub(super) x: [V; L],
    pub(super) y: [V; L],
}

/// point·2^times; a doubling takes 3 multiplications and 5 squarings.
pub(super) struct DoubleTimes<'a, S: Simd, F, const L: usize> {
    pub(super) k: Lanes<S, F, L>,
    pub(super) point: &'a mut Point<S::V, L>,
    pub(super) times: usize,
}

impl<S: Simd, F: Field<L>, const L: usize> Job<S> for DoubleTimes<'_, S, F, L> {
    type Output = ();

    #[inline(always)]
    fn run(self, _: S) {
        let k = self.k;
        let Point { mut x, mut y, mut z } = *self.point;
        for _ in 0..self.times {
            let delta = k.square(&z);
            let gamma = k.square(&y);
            let t = k.mul(&k.sub::<UNITS_1>(&x, &delta), &k.add(&x, &delta));
            let gamma2 = k.double(&gamma);
            let beta4 = k.mul(&x, &k.double(&gamma2));
            let alpha = k.add(&k.double(&t), &t);
            let alpha_squared = k.square(&alpha);
            z = k.double(&k.mul(&y, &z));
            let gamma_squared4 = k.square(&gamma2);
            x = k.sub::<UNITS_2>(&alpha_squared, &k.double(&beta4));
            let product = k.mul(&alpha, &k.sub::<UNITS_5>(&beta4, &x));
            y = k.sub::<UNITS_2>(&product, &k.double(&gamma_squared4));
        }
        *self.point = Point { x, y, z };
    }
}

/// point + addend, in 11 multiplications and 3 squarings.
pub(super) struct Add<'a, S: Simd, F, const L: usize> {
    pub(super) k: Lanes<S, F, L>,
    pub(super) point: &'a mut Point<S::V, L>,
    pub(super) addend: &'a Addend<S::V, L>,
}

impl<S: Simd, F: Field<L>, const L: usize> Job<S> for Add<'_, S, F, L> {
    type Output = ();

    #[inline(always)]
    fn run(self, _: S) {
        let (k, a, b) = (self.k, self.point, self.addend);
        let zz = k.square(&a.z);
        let u1 = k.mul(&a.x, &b.zz);
        let u2 = k.mul(&b.x, &zz);
        let s1 = k.mul(&a.y, &b.zzz);
        let s2 = k.mul(&k.mul(&b.y, &a.z), &zz);
        let h = k.sub::<UNITS_1>(&u2, &u1);
        let r = k.sub::<UNITS_1>(&s2, &s1);
        let hh = k.square(&h);
        let hhh = k.mul(&h, &hh);
        let v = k.mul(&u1, &hh);
        a.z = k.mul(&k.mul(&a.z, &b.z), &h);
        let x = k.sub::<UNITS_3>(&k.square(&r), &k.add(&hhh, &k.double(&v)));
        let product = k.mul(&r, &k.sub::<UNITS_5>(&v, &x));
        a.y = k.sub::<UNITS_1>(&product, &k.mul(&s1, &hhh));
        a.x = x;
    }
}

/// point + addend, in 8 multiplications and 3 squarings.
pub(super) struct AddAffine<'a, S: Simd, F, const L: usize> {
    pub(super) k: Lanes<S, F, L>,
    pub(super) point: &'a mut Point<S::V, L>,
    pub(super) addend: &'a AffineAddend<S::V, L>,
}

impl<S: Simd, F: Field<L>, const L: usize> Job<S> for AddAffine<'_, S, F, L> {
    type Output = ();

    #[inline(always)]
    fn run(self, _: S) {
        let (k, a, b) = (self.k, self.point, self.addend);
        let zz = k.square(&a.z);
        let u2 = k.mul(&b.x, &zz);
        let s2 = k.mul(&k.mul(&b.y, &a.z), &zz);
        let h = k.sub::<UNITS_5>(&u2, &a.x);
        let r = k.sub::<UNITS_5>(&s2, &a.y);
        let hh = k.square(&h);
        let hhh = k.mul(&h, &hh);
        let v = k.mul(&a.x, &hh);
        a.z = k.mul(&a.z, &h);
        let x = k.sub::<UNITS_3>(&k.square(&r), &k.add(&hhh, &k.double(&v)));
        let product = k.mul(&r, &k.sub::<UNITS_5>(&v, &x));
        a.y = k.sub::<UNITS_1>(&product, &k.mul(&a.y, &hhh));
        a.x = x;
    }
}

/// a + b and −a + b, which have their z in common, in 14 multiplications and 5 squarings.
pub(super) struct Conjugates<'a, S: Simd, F, const L: usize> {
    pub(super) k: Lanes<S, F, L>,
    pub(super) a: &'a Point<S::V, L>,
    pub(super) b: &'a Point<S::V, L>,
}

/// Two points for each lane.
pub(super) struct Pair<V, const L: usize> {
    pub(super) x: [[V; L]; 2],
    pub(super) y: [[V; L]; 2],
    pub(super) z: [V; L],
}

impl<S: Simd, F: Field<L>, const L: usize> Job<S> for Conjugates<'_, S, F, L> {
    type Output = Pair<S::V, L>;

    #[inline(always)]
    fn run(self, _: S) -> Pair<S::V, L> {
        let (k, a, b) = (self.k, self.a, self.b);
        // b is the first operand and ±a the second: −a has the same x, and −s2 for its s2.
        let (zz_b, zz_a) = (k.square_times(&b.z, 1), k.square_times(&a.z, 1));
        let u1 = k.product(&b.x, &zz_a);
        let u2 = k.product(&a.x, &zz_b);
        let s1 = k.product(&k.product(&b.y, &a.z), &zz_a);
        let s2 = k.product(&k.product(&a.y, &b.z), &zz_b);
        let h = k.sub::<UNITS_1>(&u2, &u1);
        let r = k.sub::<UNITS_1>(&s2, &s1);
        // −r of the conjugate: its square is the same.
        let r_conjugate = k.add(&s2, &s1);
        let hh = k.square_times(&h, 1);
        let hhh = k.product(&h, &hh);
        let v = k.product(&u1, &hh);
        let z = k.product(&k.product(&a.z, &b.z), &h);
        let shift = k.add(&hhh, &k.double(&v));
        let s1_hhh = k.product(&s1, &hhh);
        let x = k.sub::<UNITS_3>(&k.square_times(&r, 1), &shift);
        let product = k.product(&r, &k.sub::<UNITS_5>(&v, &x));
        let y = k.sub::<UNITS_1>(&product, &s1_hhh);
        let x_conjugate = k.sub::<UNITS_3>(&k.square_times(&r_conjugate, 1), &shift);
        let product = k.product(&r_conjugate, &k.sub::<UNITS_1>(&x_conjugate, &v));
        let y_conjugate = k.sub::<UNITS_1>(&product, &s1_hhh);
        Pair { x: [x, x_conjugate], y: [y, y_conjugate], z }
    }
}
