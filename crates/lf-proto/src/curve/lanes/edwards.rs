//! Point arithmetic of Ed25519 in lanes: extended coordinates (X/Z, Y/Z, T = XY/Z) of −x² + y² = 1 + dx²y². −1 is a
//! square and d is none, so these formulas are complete: equal and opposite points, infinity and points of small order
//! are nothing special, and no lane ever has to be done again.

use super::field::{Lanes, P25519, UNITS_1};
use super::simd::{Job, Simd};

type Field<S> = Lanes<S, P25519, 6>;

/// Any points. All coordinates are products, of one unit.
pub(super) struct Point<V> {
    pub(super) x: [V; 6],
    pub(super) y: [V; 6],
    pub(super) z: [V; 6],
    /// Has no meaning after a doubling that does not give it.
    pub(super) t: [V; 6],
}

/// Points to be added: what the formula needs of them.
pub(super) struct Addend<V> {
    pub(super) y_plus_x: [V; 6],
    pub(super) y_minus_x: [V; 6],
    /// 2Z.
    pub(super) z2: [V; 6],
    /// 2dT.
    pub(super) t2d: [V; 6],
}

/// point·2^times, in 4 multiplications and 4 squarings each; one multiplication less where T is not needed.
pub(super) struct DoubleTimes<'a, S: Simd> {
    pub(super) k: Field<S>,
    pub(super) point: &'a mut Point<S::V>,
    pub(super) times: usize,
}

impl<S: Simd> Job<S> for DoubleTimes<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run(self, _: S) {
        let k = self.k;
        let Point { mut x, mut y, mut z, mut t } = *self.point;
        for i in 0..self.times {
            let a = k.square(&x);
            let b = k.square(&y);
            let zz = k.square(&z);
            let xy = k.square(&k.add(&x, &y));
            let h = k.add(&a, &b);
            let e = k.sub::<UNITS_1>(&h, &xy);
            let g = k.sub::<UNITS_1>(&a, &b);
            let f = k.add(&k.double(&zz), &g);
            x = k.mul(&e, &f);
            y = k.mul(&g, &h);
            z = k.mul(&f, &g);
            // No doubling asks for T, only the addition after the last one.
            if i + 1 == self.times {
                t = k.mul(&e, &h);
            }
        }
        *self.point = Point { x, y, z, t };
    }
}

/// point + addend, in 8 multiplications.
pub(super) struct Add<'a, S: Simd> {
    pub(super) k: Field<S>,
    pub(super) point: &'a mut Point<S::V>,
    pub(super) addend: &'a Addend<S::V>,
}

impl<S: Simd> Job<S> for Add<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run(self, _: S) {
        let (k, point, addend) = (self.k, self.point, self.addend);
        let a = k.mul(&k.sub::<UNITS_1>(&point.y, &point.x), &addend.y_minus_x);
        let b = k.mul(&k.add(&point.y, &point.x), &addend.y_plus_x);
        let c = k.mul(&point.t, &addend.t2d);
        let d = k.mul(&point.z, &addend.z2);
        let e = k.sub::<UNITS_1>(&b, &a);
        let f = k.sub::<UNITS_1>(&d, &c);
        let g = k.add(&d, &c);
        let h = k.add(&b, &a);
        point.x = k.mul(&e, &f);
        point.y = k.mul(&g, &h);
        point.t = k.mul(&e, &h);
        point.z = k.mul(&f, &g);
    }
}

/// A point as an addend.
pub(super) struct ToAddend<'a, S: Simd> {
    pub(super) k: Field<S>,
    pub(super) point: &'a Point<S::V>,
    /// 2d, for all lanes.
    pub(super) twice_d: &'a [u64; 6],
}

impl<S: Simd> Job<S> for ToAddend<'_, S> {
    type Output = Addend<S::V>;

    #[inline(always)]
    fn run(self, _: S) -> Addend<S::V> {
        let (k, Point { x, y, z, t }) = (self.k, self.point);
        Addend {
            y_plus_x: k.add(y, x),
            y_minus_x: k.sub::<UNITS_1>(y, x),
            z2: k.double(z),
            t2d: k.mul(t, &k.splat(self.twice_d)),
        }
    }
}

/// The addend with the lanes negated whose bit is set.
#[inline(always)]
pub(super) fn negate_where<S: Simd>(k: Field<S>, lanes: u8, addend: &Addend<S::V>) -> Addend<S::V> {
    Addend {
        y_plus_x: k.select(lanes, &addend.y_minus_x, &addend.y_plus_x),
        y_minus_x: k.select(lanes, &addend.y_plus_x, &addend.y_minus_x),
        z2: addend.z2,
        t2d: k.neg_where::<UNITS_1>(lanes, &addend.t2d),
    }
}
