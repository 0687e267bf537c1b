//! The constants of the three curves y² = x³ − 3x + b over a prime field, of prime order and cofactor 1; and the primes
//! of Ed25519.

use std::sync::LazyLock;

use super::element::FieldElement;
use super::field::{Element, Modulus, limbs};
use super::lazy::{P160Coordinate, P224Coordinate, P384Coordinate};
use super::sqrt;
use super::table::GeneratorTable;

/// A curve of N-limb fields whose coordinates and scalars take `BYTES` bytes. Its order has exactly 8·BYTES
/// bits and is below its field's modulus, so that any r of a signature is also a coordinate.
pub(crate) trait Curve<const N: usize>: Copy + Send + Sync + 'static {
    /// The field of the coordinates.
    type Field: Modulus<N>;
    /// The form that coordinates are kept in.
    type Coordinate: FieldElement<N>;
    /// The field of the scalars.
    type Order: Modulus<N>;
    /// Bytes of a coordinate and of a scalar.
    const BYTES: usize;
    /// The b of the equation.
    const B: [u64; N];
    /// The generator, affine.
    const G: ([u64; N], [u64; N]);

    /// A square root, if there is one.
    fn sqrt(a: &Self::Coordinate) -> Option<Self::Coordinate>;

    /// Multiples of the generator, made on first use.
    fn generator_table() -> &'static GeneratorTable<Self, N>;
}

/// A coordinate of a curve.
pub(crate) type Coordinate<C, const N: usize> = <C as Curve<N>>::Coordinate;
/// A scalar of a curve.
pub(crate) type Scalar<C, const N: usize> = Element<<C as Curve<N>>::Order, N>;

macro_rules! modulus {
    ($name:ident, $limbs:literal, $hex:literal) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) struct $name;
        impl Modulus<$limbs> for $name {
            const P: [u64; $limbs] = limbs($hex);
        }
    };
}

/// RFC 5639, the twisted form with a = −3.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BrainpoolP160t1;

modulus!(P160Field, 3, "e95e4a5f737059dc60dfc7ad95b3d8139515620f");
modulus!(P160Order, 3, "e95e4a5f737059dc60df5991d45029409e60fc09");

impl Curve<3> for BrainpoolP160t1 {
    type Field = P160Field;
    type Coordinate = P160Coordinate;
    type Order = P160Order;
    const BYTES: usize = 20;
    const B: [u64; 3] = limbs("7a556b6dae535b7b51ed2c4d7daa7a0b5c55f380");
    const G: ([u64; 3], [u64; 3]) = (
        limbs("b199b13b9b34efc1397e64baeb05acc265ff2378"),
        limbs("add6718b7c7c1961f0991b842443772152c9e0ad"),
    );

    fn sqrt(a: &P160Coordinate) -> Option<P160Coordinate> {
        sqrt::three_mod_four(a)
    }

    fn generator_table() -> &'static GeneratorTable<Self, 3> {
        static TABLE: LazyLock<GeneratorTable<BrainpoolP160t1, 3>> = LazyLock::new(GeneratorTable::new);
        &TABLE
    }
}

/// NIST P-224.
#[derive(Debug, Clone, Copy)]
pub(crate) struct P224;

modulus!(P224Field, 4, "ffffffffffffffffffffffffffffffff000000000000000000000001");
modulus!(P224Order, 4, "ffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3d");

impl Curve<4> for P224 {
    type Field = P224Field;
    type Coordinate = P224Coordinate;
    type Order = P224Order;
    const BYTES: usize = 28;
    const B: [u64; 4] = limbs("b4050a850c04b3abf54132565044b0b7d7bfd8ba270b39432355ffb4");
    const G: ([u64; 4], [u64; 4]) = (
        limbs("b70e0cbd6bb4bf7f321390b94a03c1d356c21122343280d6115c1d21"),
        limbs("bd376388b5f723fb4c22dfe6cd4375a05a07476444d5819985007e34"),
    );

    fn sqrt(a: &P224Coordinate) -> Option<P224Coordinate> {
        sqrt::p224(a)
    }

    fn generator_table() -> &'static GeneratorTable<Self, 4> {
        static TABLE: LazyLock<GeneratorTable<P224, 4>> = LazyLock::new(GeneratorTable::new);
        &TABLE
    }
}

/// NIST P-384.
#[derive(Debug, Clone, Copy)]
pub(crate) struct P384;

modulus!(
    P384Field,
    6,
    "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff"
);
modulus!(
    P384Order,
    6,
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973"
);

impl Curve<6> for P384 {
    type Field = P384Field;
    type Coordinate = P384Coordinate;
    type Order = P384Order;
    const BYTES: usize = 48;
    const B: [u64; 6] = limbs(
        "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
    );
    const G: ([u64; 6], [u64; 6]) = (
        limbs(
            "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
        ),
        limbs(
            "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
        ),
    );

    fn sqrt(a: &P384Coordinate) -> Option<P384Coordinate> {
        sqrt::p384(a)
    }

    fn generator_table() -> &'static GeneratorTable<Self, 6> {
        static TABLE: LazyLock<GeneratorTable<P384, 6>> = LazyLock::new(GeneratorTable::new);
        &TABLE
    }
}

modulus!(Ed25519Field, 4, "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed");
modulus!(Ed25519Order, 4, "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed");
