//! Eight Ed25519 equations at once: the encoding of sB − kA, which a good signature has for its R.
//!
//! A is decoded as the library decodes it: any y below 2²⁵⁵ counts modulo p, and x = 0 has no sign. It may have a small
//! order, so k is nowhere replaced by a number that is only equal modulo L.

use std::sync::LazyLock;

use super::constants;
use super::digits::{self, Digit};
use super::edwards::{Add, Addend, DoubleTimes, Point, ToAddend, negate_where};
use super::field::{Field, Lanes, P25519, UNITS_1, UNITS_3, root_of_ratio};
use super::simd::{Job, LANES, Row, Simd};
use crate::curve::element::FieldElement;
use crate::curve::field::{Element, Modulus, limbs};
use crate::curve::params::Ed25519Field;

const P: [u64; 4] = <Ed25519Field as Modulus<4>>::P;
/// d = −121665/121666.
const D: [u64; 4] = limbs("52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3");
/// The generator, affine.
const B: ([u64; 4], [u64; 4]) = (
    limbs("216936d3cd6e53fec0a4e231fdd6dc5c692cc7609525a7b2c9562d608f25d51a"),
    limbs("6666666666666666666666666666666666666666666666666666666666666658"),
);
const D_LIMBS: [u64; 6] = constants::split(&D, P25519::BITS);
const TWICE_D_LIMBS: [u64; 6] = constants::split(&constants::doubled(&D, 1, &P), P25519::BITS);

/// Bits of scalars below L.
const SCALAR_BITS: usize = 253;
/// Bits of a window of k, for the multiples of A.
const A_WINDOW_BITS: usize = 5;
/// Bits of a window of s, for the multiples of B.
const B_WINDOW_BITS: usize = 6;
/// Multiples 0 to 2^(bits − 1).
const A_POINTS: usize = (1 << (A_WINDOW_BITS - 1)) + 1;
const B_POINTS: usize = (1 << (B_WINDOW_BITS - 1)) + 1;
/// Rows of an addend: four coordinates of six limbs.
const ADDEND_ROWS: usize = 3;

/// What is to be computed for a signature whose s is below its bound.
#[derive(Debug, Clone, Copy)]
pub(in crate::curve) struct Equation {
    /// The encoding of A.
    pub(in crate::curve) key: [u64; 4],
    /// Below L.
    pub(in crate::curve) s: [u64; 4],
    /// Below L.
    pub(in crate::curve) k: [u64; 4],
}

/// The encodings of sB − kA, eight equations at a time; None where the key encodes no point.
pub(in crate::curve) fn solve<S: Simd>(s: S, equations: &[Equation]) -> Vec<Option<[u64; 4]>> {
    let k = Lanes::<S, P25519, 6>::new(s);
    let mut multiples = vec![Row::ZERO; A_POINTS * LANES * ADDEND_ROWS];
    let mut encodings = Vec::with_capacity(equations.len());
    for group in equations.chunks(LANES) {
        let lanes = std::array::from_fn(|lane| group.get(lane).unwrap_or(&group[0]));
        let solved = s.call(Solve { k, group: lanes, multiples: &mut multiples });
        encodings.extend_from_slice(&solved[..group.len()]);
    }
    encodings
}

struct Solve<'a, S> {
    k: Lanes<S, P25519, 6>,
    group: [&'a Equation; LANES],
    multiples: &'a mut [Row],
}

impl<S: Simd> Job<S> for Solve<'_, S> {
    type Output = [Option<[u64; 4]>; LANES];

    #[inline(always)]
    fn run(self, s: S) -> Self::Output {
        let k = self.k;
        let (minus_a, on_curve) = s.call(Decode { k, group: &self.group });
        s.call(Fill { k, point: &minus_a, rows: self.multiples });

        let digits = digits::with_zeros(self.group.map(|equation| &equation.k), SCALAR_BITS, A_WINDOW_BITS);
        let rows = &*self.multiples;
        let (zero, one) = (k.splat(&constants::small(0)), k.one());
        let mut sum = Point { x: zero, y: one, z: one, t: zero };
        for (i, digit) in digits.iter().rev().enumerate() {
            if i > 0 {
                s.call(DoubleTimes { k, point: &mut sum, times: A_WINDOW_BITS });
            }
            let addend = s.call(Take { k, rows, point_stride: LANES, lane_stride: 1, digit });
            s.call(Add { k, point: &mut sum, addend: &addend });
        }
        let digits = digits::with_zeros(self.group.map(|equation| &equation.s), SCALAR_BITS, B_WINDOW_BITS);
        for (rows, digit) in GENERATOR_ROWS.chunks_exact(B_POINTS * ADDEND_ROWS).zip(&digits) {
            let addend = s.call(Take { k, rows, point_stride: 1, lane_stride: 0, digit });
            s.call(Add { k, point: &mut sum, addend: &addend });
        }
        s.call(Encode { k, point: &sum, on_curve })
    }
}

/// −A, and the lanes whose key encodes a point.
struct Decode<'a, S> {
    k: Lanes<S, P25519, 6>,
    group: &'a [&'a Equation; LANES],
}

impl<S: Simd> Job<S> for Decode<'_, S> {
    type Output = (Point<S::V>, u8);

    #[inline(always)]
    fn run(self, s: S) -> Self::Output {
        let k = self.k;
        let mut rows = [Row::ZERO; 6];
        let mut odd = 0;
        for (lane, equation) in self.group.iter().enumerate() {
            let [a, b, c, d] = equation.key;
            odd |= ((d >> 63) as u8) << lane;
            let limbs: [u64; 6] = constants::split(&[a, b, c, d & (u64::MAX >> 1)], P25519::BITS);
            for (row, limb) in rows.iter_mut().zip(limbs) {
                row.0[lane] = limb;
            }
        }
        // x² = (y² − 1)/(dy² + 1), whose denominator is never 0.
        let (y, one) = (k.load(&rows), k.one());
        let yy = k.square_times(&y, 1);
        let u = k.sub::<UNITS_1>(&yy, &one);
        let v = k.add(&k.product(&yy, &k.splat(&D_LIMBS)), &one);
        let x = root_of_ratio(k, &u, &v);
        let difference = k.sub::<UNITS_3>(&k.product(&v, &k.square_times(&x, 1)), &u);
        let on_curve = !k.nonzero(&k.canonical(&difference));
        // The negative of the point that is encoded: of the other parity, unless x is 0.
        let is_odd = s.nonzero(s.and(k.canonical(&x)[0], s.splat(1)));
        let x = k.neg_where::<UNITS_1>(!(is_odd ^ odd), &x);
        (Point { x, y, z: one, t: k.product(&x, &y) }, on_curve)
    }
}

/// The multiples 0, 1, 2, … of each lane's point, as many as there is room for.
struct Fill<'a, S: Simd> {
    k: Lanes<S, P25519, 6>,
    point: &'a Point<S::V>,
    /// By multiple, then by lane.
    rows: &'a mut [Row],
}

impl<S: Simd> Job<S> for Fill<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run(self, s: S) {
        let k = self.k;
        let (zero, one) = (k.splat(&constants::small(0)), k.one());
        let mut multiple = Point { x: zero, y: one, z: one, t: zero };
        let point = s.call(ToAddend { k, point: self.point, twice_d: &TWICE_D_LIMBS });
        for (i, rows) in self.rows.chunks_exact_mut(LANES * ADDEND_ROWS).enumerate() {
            if i > 0 {
                s.call(Add { k, point: &mut multiple, addend: &point });
            }
            let addend = s.call(ToAddend { k, point: &multiple, twice_d: &TWICE_D_LIMBS });
            s.call(Put { addend: &addend, rows });
        }
    }
}

/// Writes the rows of one multiple.
struct Put<'a, S: Simd> {
    addend: &'a Addend<S::V>,
    rows: &'a mut [Row],
}

impl<S: Simd> Job<S> for Put<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run(self, s: S) {
        let mut words = [s.splat(0); ADDEND_ROWS * LANES];
        for i in 0..6 {
            words[i] = self.addend.y_plus_x[i];
            words[6 + i] = self.addend.y_minus_x[i];
            words[12 + i] = self.addend.z2[i];
            words[18 + i] = self.addend.t2d[i];
        }
        for part in 0..ADDEND_ROWS {
            let mut columns = [s.splat(0); LANES];
            for i in 0..LANES {
                columns[i] = words[part * LANES + i];
            }
            let rows = s.transpose(columns);
            for lane in 0..LANES {
                self.rows[lane * ADDEND_ROWS + part] = s.store(rows[lane]);
            }
        }
    }
}

/// The multiples for the digits of a window, from a table of addends in which the next multiple is so many addends
/// further, and the same multiple of the next lane so many.
struct Take<'a, S> {
    k: Lanes<S, P25519, 6>,
    rows: &'a [Row],
    point_stride: usize,
    lane_stride: usize,
    digit: &'a Digit,
}

impl<S: Simd> Job<S> for Take<'_, S> {
    type Output = Addend<S::V>;

    #[inline(always)]
    fn run(self, s: S) -> Addend<S::V> {
        let mut words = [s.splat(0); ADDEND_ROWS * LANES];
        for part in 0..ADDEND_ROWS {
            let mut rows = [s.splat(0); LANES];
            for lane in 0..LANES {
                let addend =
                    usize::from(self.digit.index[lane]) * self.point_stride + lane * self.lane_stride;
                rows[lane] = s.load(&self.rows[addend * ADDEND_ROWS + part]);
            }
            let columns = s.transpose(rows);
            for i in 0..LANES {
                words[part * LANES + i] = columns[i];
            }
        }
        let zero = [words[0]; 6];
        let mut addend = Addend { y_plus_x: zero, y_minus_x: zero, z2: zero, t2d: zero };
        for i in 0..6 {
            addend.y_plus_x[i] = words[i];
            addend.y_minus_x[i] = words[6 + i];
            addend.z2[i] = words[12 + i];
            addend.t2d[i] = words[18 + i];
        }
        negate_where(self.k, self.digit.negative, &addend)
    }
}

/// The encodings of points: y, and the parity of x at the top.
struct Encode<'a, S: Simd> {
    k: Lanes<S, P25519, 6>,
    point: &'a Point<S::V>,
    on_curve: u8,
}

impl<S: Simd> Job<S> for Encode<'_, S> {
    type Output = [Option<[u64; 4]>; LANES];

    #[inline(always)]
    fn run(self, _: S) -> Self::Output {
        let k = self.k;
        let z_inverse = P25519::invert(k, &self.point.z);
        let xs: [[u64; 4]; LANES] = k.integers(&k.canonical(&k.product(&self.point.x, &z_inverse)));
        let mut ys: [[u64; 4]; LANES] = k.integers(&k.canonical(&k.product(&self.point.y, &z_inverse)));
        let mut encodings = [None; LANES];
        for lane in 0..LANES {
            ys[lane][3] |= xs[lane][0] << 63;
            if self.on_curve >> lane & 1 == 1 {
                encodings[lane] = Some(ys[lane]);
            }
        }
        encodings
    }
}

/// Multiples 0 to 32 of the generator for every window, as addends (272 KB), made on first use by scalar code.
static GENERATOR_ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let generator = Projective { x: number(&B.0), y: number(&B.1), z: Number::ONE };
    let identity = Projective { x: Number::ZERO, y: Number::ONE, z: Number::ONE };
    let windows = digits::windows(SCALAR_BITS + 1, B_WINDOW_BITS);
    let mut points = Vec::with_capacity(windows * B_POINTS);
    let mut base = generator;
    for _ in 0..windows {
        let mut multiple = identity;
        for _ in 0..B_POINTS {
            points.push(multiple);
            multiple = multiple.add(&base);
        }
        for _ in 0..B_WINDOW_BITS {
            base = base.add(&base);
        }
    }
    let mut z_inverses: Vec<_> = points.iter().map(|point| point.z).collect();
    Number::invert_all(&mut z_inverses);
    let twice_d = number(&D).add(&number(&D));
    let mut rows = Vec::with_capacity(ADDEND_ROWS * points.len());
    for (point, z_inverse) in points.iter().zip(&z_inverses) {
        let (x, y) = (point.x.mul(z_inverse), point.y.mul(z_inverse));
        let coordinates = [y.add(&x), y.sub(&x), Number::ONE.add(&Number::ONE), x.mul(&y).mul(&twice_d)];
        let limbs = coordinates.map(|c| constants::split::<4, 6>(&c.to_integer(), P25519::BITS));
        rows.extend(limbs.as_flattened().as_chunks::<LANES>().0.iter().map(|row| Row(*row)));
    }
    rows
});

type Number = Element<Ed25519Field, 4>;

fn number(integer: &[u64; 4]) -> Number {
    Number::from_integer_below_r(integer)
}

/// A point of the table in the making: (X/Z, Y/Z).
#[derive(Clone, Copy)]
struct Projective {
    x: Number,
    y: Number,
    z: Number,
}

impl Projective {
    /// The complete addition, of equal points too.
    fn add(&self, other: &Self) -> Self {
        let a = self.z.mul(&other.z);
        let b = a.mul(&a);
        let (c, d) = (self.x.mul(&other.x), self.y.mul(&other.y));
        let e = number(&D).mul(&c).mul(&d);
        let (f, g) = (b.sub(&e), b.add(&e));
        let cross = self.x.add(&self.y).mul(&other.x.add(&other.y)).sub(&c).sub(&d);
        Self { x: a.mul(&f).mul(&cross), y: a.mul(&g).mul(&d.add(&c)), z: f.mul(&g) }
    }
}
