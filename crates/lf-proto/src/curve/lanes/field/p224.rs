//! The field of P-224: 5 limbs of 45 bits. 2²²⁵ = 2⁹⁷ − 2 modulo p folds the upper half back.

use crate::curve::element::FieldElement;
use std::sync::LazyLock;

use super::{COLUMNS, Field, Lanes, bias, covers};
use crate::curve::field::{Element, Modulus};
use crate::curve::lanes::constants::{small, split};
use crate::curve::lanes::simd::{Job, LANES, Row, Simd, unroll};
use crate::curve::params::P224Field;

const P: [u64; 4] = <P224Field as Modulus<4>>::P;
const BITS: usize = 45;

#[derive(Debug, Clone, Copy)]
pub(in crate::curve) struct P224;

impl Field<5> for P224 {
    const BITS: usize = BITS;
    const P: [u64; 5] = split(&P, BITS);
    const ONE: [u64; 5] = small(1);
    const FORM: Option<[u64; 5]> = None;
    const COVERS: [[u64; 5]; 4] = covers(&P, BITS, 1 << BITS);
    const BIAS: [u64; COLUMNS] = bias::<4, 5>(&P, BITS, 1 << 58, 0);
    const INLINE: bool = true;
    // A result has 225 bits and a little, p only 224.
    const SUBTRACTIONS: usize = 2;

    #[inline(always)]
    fn reduce<S: Simd>(s: S, mut low: [S::V; COLUMNS], high: [S::V; COLUMNS]) -> [S::V; 5] {
        unroll!(I in [1 2 3 4 5 6 7 8 9] {
            low[I] = s.add(low[I], s.shl::<7>(high[I]));
        });
        // From the top down: x·2²²⁵ = x·2⁷·2⁹⁰ − 2x, with x·2⁷ in two limbs.
        let low38 = s.splat((1 << 38) - 1);
        unroll!(I in [4 3 2 1 0] {
            let x = low[I + 5];
            low[I] = s.sub(low[I], s.add(x, x));
            low[I + 2] = s.add(low[I + 2], s.shl::<7>(s.and(x, low38)));
            low[I + 3] = s.add(low[I + 3], s.shr::<38>(x));
        });
        // Again, for what the last limb carries: little enough that x·2⁷ is one limb.
        let mask = s.splat(Self::MASK);
        let x = s.shr::<45>(low[4]);
        low[4] = s.and(low[4], mask);
        low[0] = s.sub(low[0], s.add(x, x));
        low[2] = s.add(low[2], s.shl::<7>(x));
        // One parallel carry, the first limb's into the second and so on.
        [
            s.and(low[0], mask),
            s.add(s.and(low[1], mask), s.shr::<45>(low[0])),
            s.add(s.and(low[2], mask), s.shr::<45>(low[1])),
            s.add(s.and(low[3], mask), s.shr::<45>(low[2])),
            s.add(low[4], s.shr::<45>(low[3])),
        ]
    }

    #[inline(always)]
    fn carry<S: Simd>(s: S, limb: S::V) -> S::V {
        s.shr::<45>(limb)
    }

    /// a^(p − 2) with p − 2 = 1…1 (127 ones) 0 1…1 (96).
    #[inline(always)]
    fn invert<S: Simd>(k: Lanes<S, Self, 5>, a: &[S::V; 5]) -> [S::V; 5] {
        let (of_96, of_127) = ones(k, a);
        k.square_times_mul(&of_127, 97, &of_96)
    }

    /// As the scalar code does it (`curve::sqrt`), with digits of eight bits: a·v² = b is a root of unity of
    /// order 2⁹⁶, for v = a^(2¹²⁷ − 1). With b·g^e = 1, the root is a·v·g^(e/2).
    #[inline(always)]
    fn sqrt<S: Simd>(k: Lanes<S, Self, 5>, a: &[S::V; 5]) -> [S::V; 5] {
        let roots = &*UNITY_ROOTS;
        let (_, v) = ones(k, a);
        let x = k.product(a, &v);
        let b = k.product(&x, &v);
        // b^(2^(8i))
        let mut powers = [b; WINDOWS];
        for i in 1..WINDOWS {
            powers[i] = k.square_times(&powers[i - 1], 8);
        }
        // e, by digits: the powers of g that are known leave an element of order 256.
        let mut digits = [[0u8; LANES]; WINDOWS];
        for i in 0..WINDOWS {
            let shift = WINDOWS - 1 - i;
            let mut rest = powers[shift];
            for j in 0..i {
                rest = k.s.call(Times { k, a: &rest, roots, window: shift + j, digits: &digits[j] });
            }
            let Row(keys) = k.s.call(Key { k, a: &rest });
            digits[i] = keys.map(|key| roots.logarithm(key).wrapping_neg());
        }
        // Where e is odd, a is no square, and what comes out is no root.
        let mut root = x;
        for i in 0..WINDOWS {
            let above = digits.get(i + 1).copied().unwrap_or_default();
            let half = std::array::from_fn(|lane| digits[i][lane] >> 1 | above[lane] << 7);
            root = k.s.call(Times { k, a: &root, roots, window: i, digits: &half });
        }
        root
    }
}

/// a^(2⁹⁶ − 1) and a^(2¹²⁷ − 1), whose exponents are ones.
#[inline(always)]
fn ones<S: Simd>(k: Lanes<S, P224, 5>, a: &[S::V; 5]) -> ([S::V; 5], [S::V; 5]) {
    let of_2 = k.square_times_mul(a, 1, a);
    let of_3 = k.square_times_mul(&of_2, 1, a);
    let of_6 = k.square_times_mul(&of_3, 3, &of_3);
    let of_12 = k.square_times_mul(&of_6, 6, &of_6);
    let of_24 = k.square_times_mul(&of_12, 12, &of_12);
    let of_48 = k.square_times_mul(&of_24, 24, &of_24);
    let of_96 = k.square_times_mul(&of_48, 48, &of_48);
    let of_120 = k.square_times_mul(&of_96, 24, &of_24);
    let of_126 = k.square_times_mul(&of_120, 6, &of_6);
    (of_96, k.square_times_mul(&of_126, 1, a))
}

/// Windows of 8 bits in an exponent below 2⁹⁶.
const WINDOWS: usize = 12;

/// Tables for the roots of unity of order 2⁹⁶ (204 KB), made on first use.
struct UnityRoots {
    /// g^(d·2^(8k)) at 256·k + d, for a generator g; the limbs of one element in a row.
    powers: Vec<Row>,
    /// The d of g^(d·2⁸⁸), an element of order 256 or less, at the low bits of the element.
    logarithms: Vec<u8>,
}

/// Low bits that tell the 256 elements of `logarithms` apart (tested).
const KEY_BITS: u32 = 13;

static UNITY_ROOTS: LazyLock<UnityRoots> = LazyLock::new(|| {
    type F = Element<P224Field, 4>;
    // 11 is no square modulo p, so its power generates the whole group (tested with the scalar code).
    let mut base = F::from_integer_below_r(&[11, 0, 0, 0]).pow(&[u64::MAX, u64::MAX, 0, 0]);
    let mut powers = Vec::with_capacity(256 * WINDOWS);
    for _ in 0..WINDOWS {
        let mut power = F::ONE;
        for _ in 0..256 {
            let mut row = Row::ZERO;
            row.0[..5].copy_from_slice(&split::<4, 5>(&power.to_integer(), BITS));
            powers.push(row);
            power = power.mul(&base);
        }
        base = power;
    }
    let mut logarithms = vec![0; 1 << KEY_BITS];
    for (d, power) in (0..=255).zip(&powers[256 * (WINDOWS - 1)..]) {
        logarithms[UnityRoots::slot(power.0[0])] = d;
    }
    UnityRoots { powers, logarithms }
});

impl UnityRoots {
    fn slot(key: u64) -> usize {
        (key & ((1 << KEY_BITS) - 1)) as usize
    }

    /// d for the first limb of g^(d·2⁸⁸); anything for other numbers.
    fn logarithm(&self, key: u64) -> u8 {
        self.logarithms[Self::slot(key)]
    }
}

/// a·g^(digit·2^(8·window)), with a digit for each lane.
struct Times<'a, S: Simd> {
    k: Lanes<S, P224, 5>,
    a: &'a [S::V; 5],
    roots: &'a UnityRoots,
    window: usize,
    digits: &'a [u8; LANES],
}

impl<S: Simd> Job<S> for Times<'_, S> {
    type Output = [S::V; 5];

    #[inline(always)]
    fn run(self, s: S) -> [S::V; 5] {
        let window = &self.roots.powers[256 * self.window..][..256];
        let mut rows = [s.splat(0); LANES];
        for lane in 0..LANES {
            rows[lane] = s.load(&window[usize::from(self.digits[lane])]);
        }
        let [a, b, c, d, e, ..] = s.transpose(rows);
        self.k.product(self.a, &[a, b, c, d, e])
    }
}

/// The first limb of the canonical number.
struct Key<'a, S: Simd> {
    k: Lanes<S, P224, 5>,
    a: &'a [S::V; 5],
}

impl<S: Simd> Job<S> for Key<'_, S> {
    type Output = Row;

    #[inline(always)]
    fn run(self, s: S) -> Row {
        s.store(self.k.canonical(self.a)[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_the_elements_of_order_256_apart() {
        let roots = &*UNITY_ROOTS;
        for (d, power) in (0..=255).zip(&roots.powers[256 * (WINDOWS - 1)..]) {
            assert_eq!(roots.logarithm(power.0[0]), d);
        }
    }
}
