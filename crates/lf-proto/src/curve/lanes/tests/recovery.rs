//! Every way of recovery against the scalar one: random and crafted signatures in batches of every size.

use crate::curve::element::FieldElement;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::curve::Signed;
use crate::curve::field::{Element, Modulus, integer_to_be};
use crate::curve::lanes::LaneCurve;
use crate::curve::params::{BrainpoolP160t1, Curve, P224, P384, Scalar};
use crate::curve::point::{Affine, Jacobian};
use crate::curve::ways::Way;

/// A digest, r || s and a parity.
type Signature = (Vec<u8>, Vec<u8>, u8);

/// What a signature is made from.
#[derive(Debug, Clone)]
enum Recipe {
    /// Anything: half of the rs are no x coordinates.
    Random { r: Vec<u8>, s: Vec<u8>, digest: Vec<u8>, parity: u8 },
    /// R = k·G, s = a·r and e = b·r, so that Q = (±a·k − b)·G: with small numbers, equal, opposite and infinite
    /// points meet.
    Crafted { k: i32, a: i32, b: i32, parity: u8 },
    /// Numbers at the ends of their ranges.
    Edge { r: Edge, s: Edge, digest: Edge, parity: u8 },
}

#[derive(Debug, Clone, Copy)]
enum Edge {
    Small(u8),
    /// Above or below the order.
    Order(i8),
    /// Above or below the prime of the field.
    Prime(i8),
    AllOnes,
    /// The x of the generator.
    Generator,
    Nothing,
}

fn scalar<C: Curve<N>, const N: usize>(small: i32) -> Scalar<C, N> {
    let mut integer = [0; N];
    integer[0] = u64::from(small.unsigned_abs());
    let scalar = Element::from_integer_below_r(&integer);
    if small < 0 { scalar.neg() } else { scalar }
}

fn bytes<const N: usize>(integer: &[u64; N], width: usize) -> Vec<u8> {
    let all: [u8; 48] = if N < 6 {
        let mut wide = [0; 6];
        wide[..N].copy_from_slice(integer);
        integer_to_be(&wide)
    } else {
        integer_to_be(integer)
    };
    all[48 - width..].to_vec()
}

fn nudged<const N: usize>(mut integer: [u64; N], by: i8) -> [u64; N] {
    // All primes and orders are far from the ends of their low limb, except P-224's, which is 1.
    integer[0] = integer[0].saturating_add_signed(by.into());
    integer
}

fn edge<C: Curve<N>, const N: usize>(edge: Edge) -> Vec<u8> {
    match edge {
        Edge::Small(number) => bytes(&scalar::<C, N>(number.into()).to_integer(), C::BYTES),
        Edge::Order(by) => bytes(&nudged(<C::Order as Modulus<N>>::P, by), C::BYTES),
        Edge::Prime(by) => bytes(&nudged(<C::Field as Modulus<N>>::P, by), C::BYTES),
        Edge::AllOnes => vec![0xff; C::BYTES],
        Edge::Generator => bytes(&C::G.0, C::BYTES),
        Edge::Nothing => Vec::new(),
    }
}

fn signature<C: Curve<N>, const N: usize>(recipe: &Recipe) -> Signature {
    match recipe {
        Recipe::Random { r, s, digest, parity } => {
            ([digest.as_slice()].concat(), [&r[..C::BYTES], &s[..C::BYTES]].concat(), *parity)
        }
        Recipe::Crafted { k, a, b, parity } => {
            let mut point: Jacobian<C, N> = Affine::generator().into();
            for _ in 1..*k {
                point = point.add_affine(&Affine::generator());
            }
            let x = match Jacobian::to_affine_all(&[point])[..] {
                [Some(point)] => point.x.to_integer(),
                _ => C::G.0,
            };
            let r: Scalar<C, N> = Element::from_integer_below_r(&x);
            let number = |factor: i32| bytes(&r.mul(&scalar::<C, N>(factor)).to_integer(), C::BYTES);
            (number(*b), [bytes(&x, C::BYTES), number(*a)].concat(), *parity)
        }
        Recipe::Edge { r, s, digest, parity } => {
            (edge::<C, N>(*digest), [edge::<C, N>(*r), edge::<C, N>(*s)].concat(), *parity)
        }
    }
}

/// Signatures of a batch, through every way that there is.
fn all_agree<C, const N: usize, const L: usize, R>(
    recipes: &[Recipe],
    recover: fn(Way, &[Signature]) -> Option<R>,
) where
    C: LaneCurve<N, L>,
    R: PartialEq + std::fmt::Debug,
{
    let signatures: Vec<_> = recipes.iter().map(signature::<C, N>).collect();
    let expected = recover(Way::Scalar, &signatures).unwrap();
    for way in Way::ALL {
        if let Some(recovered) = recover(way, &signatures) {
            assert_eq!(recovered, expected, "{way:?}");
        }
    }
}

fn signed((digest, r_s, _): &Signature) -> Signed<'_> {
    Signed { digest, r_s }
}

fn p160(way: Way, signatures: &[Signature]) -> Option<Vec<Option<crate::curve::PublicPoint<20>>>> {
    way.p160(&signatures.iter().map(|signature| (signed(signature), signature.2)).collect::<Vec<_>>())
}

fn p224(way: Way, signatures: &[Signature]) -> Option<Vec<crate::curve::Candidates<28>>> {
    way.p224(&signatures.iter().map(signed).collect::<Vec<_>>())
}

fn p384(way: Way, signatures: &[Signature]) -> Option<Vec<crate::curve::Candidates<48>>> {
    way.p384(&signatures.iter().map(signed).collect::<Vec<_>>())
}

fn number() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 48).prop_map(|mut bytes| {
        // Below all orders, mostly.
        bytes[0] &= 0x7f | bytes[1] << 3;
        bytes
    })
}

fn an_edge() -> impl Strategy<Value = Edge> {
    prop_oneof![
        (0u8..4).prop_map(Edge::Small),
        (-2i8..3).prop_map(Edge::Order),
        (-2i8..3).prop_map(Edge::Prime),
        Just(Edge::AllOnes),
        Just(Edge::Generator),
        Just(Edge::Nothing),
    ]
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let parity = || prop_oneof![8 => 0u8..2, 1 => any::<u8>()];
    prop_oneof![
        4 => (number(), number(), proptest::collection::vec(any::<u8>(), 0..50), parity())
            .prop_map(|(r, s, digest, parity)| Recipe::Random { r, s, digest, parity }),
        3 => (1i32..20, -40i32..40, -40i32..40, parity(), any::<Index>()).prop_map(|(k, a, b, parity, kind)| {
            // Half of them such that A and B are equal or opposite.
            let b = match kind.index(4) {
                0 => a * k,
                1 => -a * k,
                _ => b,
            };
            Recipe::Crafted { k, a, b, parity }
        }),
        2 => (an_edge(), an_edge(), an_edge(), parity())
            .prop_map(|(r, s, digest, parity)| Recipe::Edge { r, s, digest, parity }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn batches_p160(recipes in proptest::collection::vec(recipe(), 0..=20)) {
        all_agree::<BrainpoolP160t1, 3, 4, _>(&recipes, p160);
    }

    #[test]
    fn batches_p224(recipes in proptest::collection::vec(recipe(), 0..=20)) {
        all_agree::<P224, 4, 5, _>(&recipes, p224);
    }

    #[test]
    fn batches_p384(recipes in proptest::collection::vec(recipe(), 0..=20)) {
        all_agree::<P384, 6, 8, _>(&recipes, p384);
    }
}

/// Batches of every size, of signatures that all have keys.
fn every_size<C, const N: usize, const L: usize, R>(recover: fn(Way, &[Signature]) -> Option<R>)
where
    C: LaneCurve<N, L>,
    R: PartialEq + std::fmt::Debug,
{
    let recipes: Vec<_> = (1..=20)
        .map(|i| Recipe::Crafted { k: i, a: 1000 + 77 * i, b: 12_345 - 99 * i, parity: (i & 1) as u8 })
        .collect();
    for size in 0..=recipes.len() {
        all_agree::<C, N, L, R>(&recipes[..size], recover);
    }
}

#[test]
fn sizes_p160() {
    every_size::<BrainpoolP160t1, 3, 4, _>(p160);
}

#[test]
fn sizes_p224() {
    every_size::<P224, 4, 5, _>(p224);
}

#[test]
fn sizes_p384() {
    every_size::<P384, 6, 8, _>(p384);
}

/// All scalars close to 0 and to the order, on the generator itself: where ladders are at their ends.
fn ends_of_ladders<C, const N: usize, const L: usize, R>(recover: fn(Way, &[Signature]) -> Option<R>)
where
    C: LaneCurve<N, L>,
    R: PartialEq + std::fmt::Debug,
{
    let mut recipes = Vec::new();
    for a in (-70..=70).filter(|a| *a != 0) {
        for b in [0, 1, -1, a, -a, 2 * a] {
            recipes.push(Recipe::Crafted { k: 1, a, b, parity: (a & 1) as u8 });
        }
    }
    all_agree::<C, N, L, R>(&recipes, recover);
}

#[test]
fn ends_p160() {
    ends_of_ladders::<BrainpoolP160t1, 3, 4, _>(p160);
}

#[test]
fn ends_p224() {
    ends_of_ladders::<P224, 4, 5, _>(p224);
}

#[test]
fn ends_p384() {
    ends_of_ladders::<P384, 6, 8, _>(p384);
}

#[test]
fn says_which_ways_there_are() {
    assert!(["scalar", "avx512-ifma"].contains(&crate::curve::path()));
    for way in Way::ALL {
        assert_eq!(way.p160(&[]).is_some(), way.is_available());
        if !way.is_available() {
            eprintln!("skipped: this processor cannot do {way:?}");
        }
    }
}
