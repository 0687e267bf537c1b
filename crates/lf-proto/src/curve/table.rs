//! Multiplication by scalars: signed windows over a table for the generator, wNAF for any other point.

use super::params::Curve;
use super::point::{Affine, Jacobian};

/// Bits of a window of the generator's table.
const GENERATOR_WINDOW_BITS: usize = 6;
/// Points of one window: the multiples 1 to 2^(bits − 1); the negative ones follow by symmetry.
const GENERATOR_WINDOW_POINTS: usize = 1 << (GENERATOR_WINDOW_BITS - 1);

/// Multiples of the generator for every window of a scalar: no doublings are left (41 to 200 KB a curve).
pub(crate) struct GeneratorTable<C: Curve<N>, const N: usize> {
    windows: Vec<Affine<C, N>>,
}

impl<C: Curve<N>, const N: usize> GeneratorTable<C, N> {
    /// One window more than the bits need, for the last carry.
    const WINDOWS: usize = 8 * C::BYTES / GENERATOR_WINDOW_BITS + 1;

    pub(crate) fn new() -> Self {
        let mut base: Jacobian<C, N> = Affine::generator().into();
        let mut points = Vec::with_capacity(Self::WINDOWS * GENERATOR_WINDOW_POINTS);
        for _ in 0..Self::WINDOWS {
            let mut multiple = base;
            for _ in 0..GENERATOR_WINDOW_POINTS {
                points.push(multiple);
                multiple = multiple.add(&base);
            }
            for _ in 0..GENERATOR_WINDOW_BITS {
                base = base.double();
            }
        }
        // None of them is infinity: the order is prime and no multiple reaches it. flatten drops nothing.
        Self { windows: Jacobian::to_affine_all(&points).into_iter().flatten().collect() }
    }

    /// scalar·G + start.
    pub(crate) fn mul_add(&self, scalar: &[u64; N], start: Jacobian<C, N>) -> Jacobian<C, N> {
        let mut sum = start;
        let mut carry = 0;
        for (i, window) in self.windows.chunks_exact(GENERATOR_WINDOW_POINTS).enumerate() {
            let digit = bits(scalar, i * GENERATOR_WINDOW_BITS, GENERATOR_WINDOW_BITS) + carry;
            if digit <= GENERATOR_WINDOW_POINTS {
                carry = 0;
                if digit != 0 {
                    sum = sum.add_affine(&window[digit - 1]);
                }
            } else {
                carry = 1;
                let negative = 2 * GENERATOR_WINDOW_POINTS - digit;
                if negative != 0 {
                    sum = sum.add_affine(&window[negative - 1].neg());
                }
            }
        }
        sum
    }
}

/// `count` bits of an integer from bit `start` on; bits beyond its end are 0.
fn bits<const N: usize>(integer: &[u64; N], start: usize, count: usize) -> usize {
    let (limb, shift) = (start / 64, start % 64);
    let low = integer.get(limb).map_or(0, |l| l >> shift);
    let high = if shift + count > 64 { integer.get(limb + 1).map_or(0, |l| l << (64 - shift)) } else { 0 };
    ((low | high) & ((1 << count) - 1)) as usize
}

/// Bits of a window of the wNAF form: non-zero digits are odd and at least this far apart.
const NAF_WINDOW_BITS: u32 = 5;
/// Odd multiples 1, 3 … of the point.
const NAF_POINTS: usize = 1 << (NAF_WINDOW_BITS - 2);
/// Digits of the widest scalar, and one for the last carry.
const NAF_DIGITS: usize = 385;

/// scalar·point, by wNAF.
pub(crate) fn mul<C: Curve<N>, const N: usize>(scalar: &[u64; N], point: &Affine<C, N>) -> Jacobian<C, N> {
    let (digits, length) = naf(scalar);
    let point: Jacobian<C, N> = (*point).into();
    let twice = point.double();
    let mut odd = [point; NAF_POINTS];
    for i in 1..NAF_POINTS {
        odd[i] = odd[i - 1].add(&twice);
    }
    let mut sum = Jacobian::INFINITY;
    for digit in digits[..length].iter().rev() {
        sum = sum.double();
        let multiple = &odd[usize::from(digit.unsigned_abs() / 2)];
        match digit.signum() {
            1 => sum = sum.add(multiple),
            -1 => sum = sum.add(&multiple.neg()),
            _ => {}
        }
    }
    sum
}

/// The signed digits of a scalar, least significant first, and how many there are.
fn naf<const N: usize>(scalar: &[u64; N]) -> ([i8; NAF_DIGITS], usize) {
    let mut digits = [0; NAF_DIGITS];
    let mut length = 0;
    let mut position = 0;
    let mut carry = 0;
    while position < 64 * N + 1 && position < NAF_DIGITS {
        if bits(scalar, position, 1) == carry {
            position += 1;
            continue;
        }
        let window = bits(scalar, position, NAF_WINDOW_BITS as usize) + carry;
        carry = window >> (NAF_WINDOW_BITS - 1);
        // Odd, and within ±(2^(bits − 1) − 1).
        digits[position] = (window as i32 - ((carry as i32) << NAF_WINDOW_BITS)) as i8;
        length = position + 1;
        position += NAF_WINDOW_BITS as usize;
    }
    debug_assert_eq!(carry, 0, "the scalar was read to its end");
    (digits, length)
}
