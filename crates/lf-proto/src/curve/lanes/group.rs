//! Eight equations Q = u·R + v·G at once, from the x of R to Z of Q; and Q in affine form, for all groups
//! together.

use super::digits::Digits;
use super::field::{Field, Lanes, UNITS_1, UNITS_3};
use super::point::{Add, AddAffine, AffineAddend, Conjugates, DoubleTimes, Pair, Point};
use super::simd::{Job, LANES, Row, Simd};
use super::table::{Multiples, Take, TakeGenerator};
use super::{LaneCurve, constants};
use crate::curve::field::Modulus;
use crate::curve::recover::{Equation, Parity};

/// What became of the lanes of a group.
pub(super) struct Solved<V, const L: usize> {
    /// Q for the R of the parity (twice); or for the R with even y and for the other.
    points: Pair<V, L>,
    /// The lanes whose r is the x of a point.
    pub(super) on_curve: u8,
    /// The lanes that met what the formulas cannot do, or whose Q is infinity. Their z is replaced by 1.
    pub(super) exceptional: u8,
}

/// Solves a group, all but the division by Z.
pub(super) struct Solve<'a, S, C: LaneCurve<N, L>, const N: usize, const L: usize> {
    pub(super) k: Lanes<S, C::Lanes, L>,
    pub(super) group: [&'a Equation<N>; LANES],
    pub(super) multiples: &'a mut Multiples,
}

impl<S: Simd, C: LaneCurve<N, L>, const N: usize, const L: usize> Job<S> for Solve<'_, S, C, N, L> {
    type Output = Solved<S::V, L>;

    #[inline(always)]
    fn run(self, s: S) -> Solved<S::V, L> {
        let k = self.k;
        let mut x = [Row::ZERO; L];
        let (mut odd, mut both) = (0, 0);
        for (lane, equation) in self.group.iter().enumerate() {
            let limbs: [u64; L] = constants::split(&equation.r, C::Lanes::BITS);
            for (row, limb) in x.iter_mut().zip(limbs) {
                row.0[lane] = limb;
            }
            odd |= u8::from(equation.parity == Parity::Odd) << lane;
            both |= u8::from(equation.parity == Parity::Both) << lane;
        }
        debug_assert!(both == 0 || both == u8::MAX, "a group is of one kind");
        let r = s.call(FromX { k, b: &C::B_IN_FORM, x: &x, odd });

        let bits = 8 * C::BYTES;
        let order = &<C::Order as Modulus<N>>::P;
        let u = Digits::new(self.group.map(|equation| &equation.u), order, bits, C::R_WINDOW_BITS);
        let v = Digits::new(self.group.map(|equation| &equation.v), order, bits, C::G_WINDOW_BITS);
        self.multiples.fill(k, &r.point);
        let table = &*self.multiples;

        let take = s.call(Take { k, table, digit: &u.last });
        let mut a = Point { x: take.x, y: take.y, z: take.z };
        for digit in u.windows.iter().rev() {
            s.call(DoubleTimes { k, point: &mut a, times: C::R_WINDOW_BITS });
            let addend = s.call(Take { k, table, digit });
            s.call(Add { k, point: &mut a, addend: &addend });
        }

        let table = C::generator_rows();
        let window_bits = C::G_WINDOW_BITS;
        let window = v.windows.len();
        let addend = s.call(TakeGenerator { k, table, window, window_bits, digit: &v.last });
        let points = if both != 0 {
            let mut b = Point { x: addend.x, y: addend.y, z: k.one() };
            for (window, digit) in v.windows.iter().enumerate() {
                let addend = s.call(TakeGenerator { k, table, window, window_bits, digit });
                s.call(AddAffine { k, point: &mut b, addend: &addend });
            }
            s.call(Conjugates { k, a: &a, b: &b })
        } else {
            s.call(AddAffine { k, point: &mut a, addend: &addend });
            for (window, digit) in v.windows.iter().enumerate() {
                let addend = s.call(TakeGenerator { k, table, window, window_bits, digit });
                s.call(AddAffine { k, point: &mut a, addend: &addend });
            }
            Pair { x: [a.x; 2], y: [a.y; 2], z: a.z }
        };
        let exceptional = !k.nonzero(&k.canonical(&points.z));
        let z = k.select(exceptional, &k.one(), &points.z);
        Solved { points: Pair { z, ..points }, on_curve: r.on_curve, exceptional }
    }
}

/// The points of given xs.
struct FromX<'a, S, F, const L: usize> {
    k: Lanes<S, F, L>,
    b: &'a [u64; L],
    /// The limbs of x.
    x: &'a [Row; L],
    /// The lanes whose y is to be odd.
    odd: u8,
}

struct OnCurve<V, const L: usize> {
    /// Of one unit in x and two in y.
    point: AffineAddend<V, L>,
    /// The lanes that have such a point; the others have no meaning.
    on_curve: u8,
}

impl<S: Simd, F: Field<L>, const L: usize> Job<S> for FromX<'_, S, F, L> {
    type Output = OnCurve<S::V, L>;

    #[inline(always)]
    fn run(self, s: S) -> OnCurve<S::V, L> {
        let k = self.k;
        let x = k.load(self.x);
        // x³ − 3x + b
        let one = k.one();
        let three = k.add(&k.double(&one), &one);
        let x_squared = k.square_times(&x, 1);
        let product = k.product(&x, &k.sub::<UNITS_3>(&x_squared, &three));
        let y_squared = k.add(&product, &k.splat(self.b));
        let y = F::sqrt(k, &y_squared);
        let difference = k.sub::<UNITS_3>(&k.square_times(&y, 1), &y_squared);
        let on_curve = !k.nonzero(&k.canonical(&difference));
        // No point of a curve of odd order has y = 0, so exactly one of y and −y has the parity.
        let is_odd = s.nonzero(s.and(k.canonical(&y)[0], s.splat(1)));
        let y = k.neg_where::<UNITS_1>(is_odd ^ self.odd, &y);
        OnCurve { point: AffineAddend { x, y }, on_curve }
    }
}

/// The affine coordinates of all lanes: of the first point, and of the second if it is wanted.
pub(super) type Affine<const N: usize> = [([[u64; N]; LANES], [[u64; N]; LANES]); 2];

/// Brings groups to affine form, with one inversion for all of them.
pub(super) struct Divide<'a, S: Simd, F, const L: usize, const N: usize> {
    pub(super) k: Lanes<S, F, L>,
    pub(super) groups: &'a [Solved<S::V, L>],
    /// How many of the two points are wanted.
    pub(super) points: usize,
}

impl<S: Simd, F: Field<L>, const L: usize, const N: usize> Job<S> for Divide<'_, S, F, L, N> {
    type Output = Vec<Affine<N>>;

    #[inline(always)]
    fn run(self, _: S) -> Vec<Affine<N>> {
        let k = self.k;
        let mut product = k.one();
        let mut before = Vec::with_capacity(self.groups.len());
        for group in self.groups {
            before.push(product);
            product = k.product(&product, &group.points.z);
        }
        let mut inverse = F::invert(k, &product);
        let mut affine = vec![[([[0; N]; LANES], [[0; N]; LANES]); 2]; self.groups.len()];
        for i in (0..self.groups.len()).rev() {
            let group = &self.groups[i].points;
            let z_inverse = k.product(&inverse, &before[i]);
            inverse = k.product(&inverse, &group.z);
            let squared = k.square_times(&z_inverse, 1);
            let cubed = k.product(&squared, &z_inverse);
            for point in 0..self.points {
                let x = k.canonical(&k.product(&group.x[point], &squared));
                let y = k.canonical(&k.product(&group.y[point], &cubed));
                affine[i][point] = (k.integers(&x), k.integers(&y));
            }
        }
        affine
    }
}
