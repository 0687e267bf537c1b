//! Each operation of AVX-512 against its portable one, where the processor has it; and the field's against
//! the scalar code's.

use crate::curve::element::FieldElement;
use proptest::prelude::*;

use crate::curve::field::{Element, Modulus};
use crate::curve::lanes::constants::{doubled, join, small};
use crate::curve::lanes::field::{self, Field, Lanes};
use crate::curve::lanes::portable::Portable;
use crate::curve::lanes::simd::{Job, LANES, Row, Simd};
use crate::curve::params::{Ed25519Field, P160Field, P224Field, P384Field};

/// Every operation, on these three vectors and this mask.
struct Everything {
    a: Row,
    b: Row,
    c: Row,
    lanes: u8,
}

impl<S: Simd> Job<S> for Everything {
    type Output = (Vec<Row>, u8);

    #[inline(always)]
    fn run(self, s: S) -> (Vec<Row>, u8) {
        let (a, b, c) = (s.load(&self.a), s.load(&self.b), s.load(&self.c));
        let mut rows = vec![
            s.store(a),
            s.store(s.splat(self.a.0[3])),
            s.store(s.add(s.shr::<1>(a), s.shr::<1>(b))),
            s.store(s.sub(s.or(a, b), b)),
            s.store(s.and(a, b)),
            s.store(s.or(a, b)),
            s.store(s.shl::<7>(s.shr::<7>(a))),
            s.store(s.shl::<3>(s.shr::<43>(a))),
            s.store(s.shl::<9>(s.shr::<40>(a))),
            s.store(s.shl::<32>(s.shr::<45>(a))),
            s.store(s.shr::<48>(a)),
            s.store(s.madd_low(s.shr::<1>(c), s.shr::<12>(a), s.shr::<12>(b))),
            s.store(s.madd_high(s.shr::<1>(c), s.shr::<12>(a), s.shr::<12>(b))),
            s.store(s.mul_low(a, b)),
            s.store(s.select(self.lanes, a, b)),
            s.store(s.interleave_even(a, b)),
            s.store(s.interleave_odd(a, b)),
            s.store(s.even_pairs(a, b)),
            s.store(s.odd_pairs(a, b)),
        ];
        for column in s.transpose([a, b, c, a, s.and(a, c), c, s.or(a, b), b]) {
            rows.push(s.store(column));
        }
        (rows, s.nonzero(s.and(a, b)))
    }
}

fn rows() -> impl Strategy<Value = [Row; 3]> {
    let word = prop_oneof![
        4 => any::<u64>(),
        1 => Just(0),
        1 => Just(u64::MAX),
        1 => (0u32..64).prop_map(|bit| 1 << bit),
        1 => (0u32..64).prop_map(|bit| u64::MAX >> bit),
    ];
    proptest::array::uniform3(proptest::array::uniform8(word).prop_map(Row))
}

#[cfg(target_arch = "x86_64")]
#[test]
fn avx512_does_what_the_portable_lanes_do() {
    let Some(avx512) = crate::curve::lanes::Avx512::detect() else {
        eprintln!("skipped: this processor has no AVX-512 IFMA");
        return;
    };
    proptest!(|([a, b, c] in rows(), lanes: u8)| {
        let everything = || Everything { a, b, c, lanes };
        prop_assert_eq!(avx512.call(everything()), Portable.call(everything()));
    });
}

#[test]
fn transposition() {
    let rows = std::array::from_fn(|row| std::array::from_fn(|lane| (10 * row + lane) as u64));
    let columns: [[u64; LANES]; LANES] = Portable.transpose(rows);
    for (row, values) in rows.iter().enumerate() {
        for (lane, value) in values.iter().enumerate() {
            assert_eq!(columns[lane][row], *value);
        }
    }
}

/// Products, sums and roots of lanes of redundant limbs against the scalar code.
fn agrees<F, M, const L: usize, const N: usize>(a: [[u64; LANES]; L], b: [[u64; LANES]; L])
where
    F: Field<L>,
    M: Modulus<N>,
{
    let k = Lanes::<Portable, F, L>::new(Portable);
    // Below 2⁵², and as large as the formulas make them; Montgomery numbers have a small last limb.
    let cut = |a: [[u64; LANES]; L], bits: usize| -> [[u64; LANES]; L] {
        std::array::from_fn(|i| {
            let bits = if F::FORM.is_some() && i == L - 1 { 18 } else { bits };
            a[i].map(|limb| limb & ((1 << bits) - 1))
        })
    };
    let (a, b) = (cut(a, F::BITS + 3), cut(b, F::BITS + 4));
    // The number of redundant limbs, modulo p.
    let integer = |a: &[[u64; LANES]; L], lane: usize| {
        let two = Element::<M, N>::from_integer_below_r(&small(2));
        a.iter().rev().fold(Element::<M, N>::ZERO, |sum, limb| {
            sum.mul(&two.pow(&small(F::BITS as u64))).add(&Element::from_integer_below_r(&small(limb[lane])))
        })
    };
    // canonical takes numbers out of Montgomery form: R⁻¹ for each factor and for the number itself.
    let r = if F::FORM.is_some() { doubled(&small(1), F::BITS * L, &M::P) } else { small(1) };
    let r_inverse = Element::<M, N>::from_integer_below_r(&r).invert();
    let product: [[u64; N]; LANES] = k.integers(&k.canonical(&k.mul(&a, &b)));
    let square: [[u64; N]; LANES] = k.integers(&k.canonical(&k.square(&a)));
    let difference: [[u64; N]; LANES] = k.integers(&k.canonical(&k.sub::<3>(&a, &cut(b, F::BITS + 2))));
    let inverse: [[u64; N]; LANES] = k.integers(&k.canonical(&F::invert(k, &a)));
    let root = F::sqrt(k, &k.square(&a));
    let root: [[u64; N]; LANES] = k.integers(&k.canonical(&k.square(&root)));
    for lane in 0..LANES {
        let (a, b) = (integer(&a, lane).mul(&r_inverse), integer(&b, lane).mul(&r_inverse));
        assert_eq!(product[lane], a.mul(&b).to_integer());
        assert_eq!(square[lane], a.square().to_integer());
        assert_eq!(inverse[lane], a.invert().to_integer());
        assert_eq!(root[lane], a.square().to_integer());
    }
    let b = cut(b, F::BITS + 2);
    for lane in 0..LANES {
        let (a, b) = (integer(&a, lane).mul(&r_inverse), integer(&b, lane).mul(&r_inverse));
        assert_eq!(difference[lane], a.sub(&b).to_integer());
    }
    // Numbers from outside, p − 1 and 0 among them.
    let mut integers = [[0; N]; LANES];
    integers[0] = M::P;
    integers[0][0] -= 1;
    integers[1] = small(1);
    let limbs = integers.map(|integer| crate::curve::lanes::constants::split::<N, L>(&integer, F::BITS));
    let rows: [Row; L] = std::array::from_fn(|i| Row(std::array::from_fn(|lane| limbs[lane][i])));
    assert_eq!(k.integers::<N>(&k.canonical(&k.load(&rows))), integers);
    assert_eq!(k.nonzero(&k.canonical(&k.load(&rows))), 0b11);
    assert_eq!(limbs.map(|limbs| join::<N, L>(&limbs, F::BITS)), integers);
}

fn limbs<const L: usize>() -> impl Strategy<Value = [[u64; LANES]; L]> {
    let limb = prop_oneof![4 => any::<u64>(), 1 => Just(0), 2 => Just(u64::MAX), 1 => Just(1)];
    proptest::array::uniform(proptest::array::uniform8(limb))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn field_p160(a in limbs(), b in limbs()) {
        agrees::<field::P160, P160Field, 4, 3>(a, b);
    }

    #[test]
    fn field_p224(a in limbs(), b in limbs()) {
        agrees::<field::P224, P224Field, 5, 4>(a, b);
    }

    #[test]
    fn field_p25519(a in limbs(), b in limbs()) {
        agrees::<field::P25519, Ed25519Field, 6, 4>(a, b);
    }

    #[test]
    fn field_p384(a in limbs(), b in limbs()) {
        agrees::<field::P384, P384Field, 8, 6>(a, b);
    }
}
