//! Tables of odd multiples: of the generator, made once, and of each lane's own point.
//!
//! What a lane takes out at once lies in rows of its own; eight lanes' rows become vectors by transposition.

use super::LaneCurve;
use super::digits::{self, Digit};
use super::field::{Field, Lanes, UNITS_1, UNITS_5};
use super::point::{Add, AddAffine, Addend, AffineAddend, DoubleTimes, Point};
use super::simd::{Job, LANES, Row, Simd};
use crate::curve::element::FieldElement;
use crate::curve::point::{Affine, Jacobian};

/// Odd multiples of the generator for every window: 160 KB for brainpoolP160t1, 256 KB for the others.
pub(in crate::curve) struct GeneratorRows(Vec<Row>);

impl GeneratorRows {
    /// The limbs of x, then those of y.
    const fn rows_of_a_point(limbs: usize) -> usize {
        (2 * limbs).div_ceil(LANES)
    }

    /// By the scalar code.
    pub(super) fn new<C: LaneCurve<N, L>, const N: usize, const L: usize>() -> Self {
        let windows = digits::windows(8 * C::BYTES, C::G_WINDOW_BITS);
        let points_of_a_window = 1 << (C::G_WINDOW_BITS - 1);
        let mut base: Jacobian<C, N> = Affine::generator().into();
        let mut points = Vec::with_capacity(windows * points_of_a_window);
        for _ in 0..windows {
            let twice = base.double();
            let mut multiple = base;
            for _ in 0..points_of_a_window {
                points.push(multiple);
                multiple = multiple.add(&twice);
            }
            for _ in 0..C::G_WINDOW_BITS {
                base = base.double();
            }
        }
        let mut rows = Vec::with_capacity(points.len() * Self::rows_of_a_point(L));
        // None of them is infinity: the order is prime and no multiple reaches it. flatten drops nothing.
        for point in Jacobian::to_affine_all(&points).into_iter().flatten() {
            let mut words = [0; 2 * LANES];
            for (i, coordinate) in [point.x, point.y].into_iter().enumerate() {
                let limbs: [u64; L] = super::in_form::<C, N, L>(&coordinate.to_integer());
                words[i * L..][..L].copy_from_slice(&limbs);
            }
            for row in words.chunks_exact(LANES).take(Self::rows_of_a_point(L)) {
                rows.push(Row(std::array::from_fn(|i| row[i])));
            }
        }
        Self(rows)
    }
}

/// The multiples of the generator for the digits of a window.
pub(super) struct TakeGenerator<'a, S, F, const L: usize> {
    pub(super) k: Lanes<S, F, L>,
    pub(super) table: &'a GeneratorRows,
    pub(super) window: usize,
    pub(super) window_bits: usize,
    pub(super) digit: &'a Digit,
}

impl<S: Simd, F: Field<L>, const L: usize> Job<S> for TakeGenerator<'_, S, F, L> {
    type Output = AffineAddend<S::V, L>;

    #[inline(always)]
    fn run(self, s: S) -> AffineAddend<S::V, L> {
        let size = GeneratorRows::rows_of_a_point(L);
        let points = 1 << (self.window_bits - 1);
        let window = &self.table.0[self.window * points * size..][..points * size];
        let mut words = [s.splat(0); 2 * LANES];
        for part in 0..size {
            let mut rows = [s.splat(0); LANES];
            for lane in 0..LANES {
                rows[lane] = s.load(&window[usize::from(self.digit.index[lane]) * size + part]);
            }
            let columns = s.transpose(rows);
            for i in 0..LANES {
                words[part * LANES + i] = columns[i];
            }
        }
        let mut addend = AffineAddend { x: [words[0]; L], y: [words[0]; L] };
        for i in 0..L {
            addend.x[i] = words[i];
            addend.y[i] = words[L + i];
        }
        addend.y = self.k.neg_where::<UNITS_1>(self.digit.negative, &addend.y);
        addend
    }
}

/// Vectors of the widest addend: five coordinates of eight limbs.
const ADDEND_VECTORS: usize = 40;

/// Odd multiples of each lane's point.
pub(super) struct Multiples {
    /// By multiple, then by lane, then rows of the limbs of x, y, z, z² and z³.
    rows: Vec<Row>,
}

impl Multiples {
    const fn rows_of_an_addend(limbs: usize) -> usize {
        (5 * limbs).div_ceil(LANES)
    }

    pub(super) fn with_room_for(window_bits: usize, limbs: usize) -> Self {
        Self { rows: vec![Row::ZERO; (LANES * Self::rows_of_an_addend(limbs)) << (window_bits - 1)] }
    }

    /// point, 3·point, … as many as there is room for.
    #[inline(always)]
    pub(super) fn fill<S: Simd, F: Field<L>, const L: usize>(
        &mut self,
        k: Lanes<S, F, L>,
        point: &AffineAddend<S::V, L>,
    ) {
        let one = k.one();
        let AffineAddend { x, y } = *point;
        let mut multiples = self.rows.chunks_exact_mut(LANES * Self::rows_of_an_addend(L));
        if let Some(rows) = multiples.next() {
            k.s.call(Put { k, addend: &Addend { x, y, z: one, zz: one, zzz: one }, rows });
        }
        let mut twice = Point { x, y, z: one };
        k.s.call(DoubleTimes { k, point: &mut twice, times: 1 });
        let twice = k.s.call(WithPowers { k, point: &twice });
        let mut multiple = Point { x: twice.x, y: twice.y, z: twice.z };
        k.s.call(AddAffine { k, point: &mut multiple, addend: point });
        for (i, rows) in multiples.enumerate() {
            if i > 0 {
                k.s.call(Add { k, point: &mut multiple, addend: &twice });
            }
            let addend = k.s.call(WithPowers { k, point: &multiple });
            k.s.call(Put { k, addend: &addend, rows });
        }
    }
}

/// A point with the powers of its z.
struct WithPowers<'a, S: Simd, F, const L: usize> {
    k: Lanes<S, F, L>,
    point: &'a Point<S::V, L>,
}

impl<S: Simd, F: Field<L>, const L: usize> Job<S> for WithPowers<'_, S, F, L> {
    type Output = Addend<S::V, L>;

    #[inline(always)]
    fn run(self, _: S) -> Addend<S::V, L> {
        let Point { x, y, z } = *self.point;
        let zz = self.k.square_times(&z, 1);
        Addend { x, y, z, zz, zzz: self.k.product(&zz, &z) }
    }
}

/// Writes the rows of one multiple.
struct Put<'a, S: Simd, F, const L: usize> {
    k: Lanes<S, F, L>,
    addend: &'a Addend<S::V, L>,
    rows: &'a mut [Row],
}

impl<S: Simd, F: Field<L>, const L: usize> Job<S> for Put<'_, S, F, L> {
    type Output = ();

    #[inline(always)]
    fn run(self, s: S) {
        let _ = self.k;
        let size = Multiples::rows_of_an_addend(L);
        let a = self.addend;
        let mut words = [s.splat(0); ADDEND_VECTORS];
        for i in 0..L {
            words[i] = a.x[i];
            words[L + i] = a.y[i];
            words[2 * L + i] = a.z[i];
            words[3 * L + i] = a.zz[i];
            words[4 * L + i] = a.zzz[i];
        }
        for part in 0..size {
            let mut columns = [s.splat(0); LANES];
            for i in 0..LANES {
                columns[i] = words[part * LANES + i];
            }
            let rows = s.transpose(columns);
            for lane in 0..LANES {
                self.rows[lane * size + part] = s.store(rows[lane]);
            }
        }
    }
}

/// The multiples of the lanes' points for the digits of a window.
pub(super) struct Take<'a, S, F, const L: usize> {
    pub(super) k: Lanes<S, F, L>,
    pub(super) table: &'a Multiples,
    pub(super) digit: &'a Digit,
}

impl<S: Simd, F: Field<L>, const L: usize> Job<S> for Take<'_, S, F, L> {
    type Output = Addend<S::V, L>;

    #[inline(always)]
    fn run(self, s: S) -> Addend<S::V, L> {
        let size = Multiples::rows_of_an_addend(L);
        let mut words = [s.splat(0); ADDEND_VECTORS];
        for part in 0..size {
            let mut rows = [s.splat(0); LANES];
            for lane in 0..LANES {
                let multiple = usize::from(self.digit.index[lane]);
                rows[lane] = s.load(&self.table.rows[(multiple * LANES + lane) * size + part]);
            }
            let columns = s.transpose(rows);
            for i in 0..LANES {
                words[part * LANES + i] = columns[i];
            }
        }
        let zero = [words[0]; L];
        let mut addend = Addend { x: zero, y: zero, z: zero, zz: zero, zzz: zero };
        for i in 0..L {
            addend.x[i] = words[i];
            addend.y[i] = words[L + i];
            addend.z[i] = words[2 * L + i];
            addend.zz[i] = words[3 * L + i];
            addend.zzz[i] = words[4 * L + i];
        }
        addend.y = self.k.neg_where::<UNITS_5>(self.digit.negative, &addend.y);
        addend
    }
}
