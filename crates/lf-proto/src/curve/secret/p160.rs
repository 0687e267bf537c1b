//! brainpoolP160t1 for secret scalars, in constant time. The first half tells the libraries the curve; the
//! second is the key itself.

use std::fmt;

use ecdsa::EcdsaCurve;
use elliptic_curve::bigint::{Odd, U192};
use elliptic_curve::consts::U20;
use elliptic_curve::ff::PrimeField;
use elliptic_curve::group::Group as _;
use elliptic_curve::hazmat::FieldArithmetic;
use elliptic_curve::ops::{BatchInvert, Reduce};
use elliptic_curve::point::PointCompression;
use elliptic_curve::scalar::{FromUintUnchecked, IsHigh};
use elliptic_curve::sec1::ToSec1Point as _;
use elliptic_curve::subtle::{Choice, ConstantTimeEq, ConstantTimeGreater, CtOption};
use elliptic_curve::{Curve, CurveArithmetic, FieldBytes, NonZeroScalar, PrimeCurve, PrimeCurveArithmetic};
use primeorder::{
    AffinePoint, BasepointTable, MulBackend, PrimeCurveParams, ProjectivePoint, point_arithmetic, wnaf,
};
use sha2::Sha256;
use zeroize::Zeroize;

use crate::curve::PublicPoint;
use crate::seeded::SeededRng;

const FIELD_HEX: &str = "00000000e95e4a5f737059dc60dfc7ad95b3d8139515620f";
const ORDER_HEX: &str = "00000000e95e4a5f737059dc60df5991d45029409e60fc09";

/// The curve, as the libraries' traits want it: public, though nothing outside can name it.
#[allow(unreachable_pub)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct P160;

impl Curve for P160 {
    type FieldBytesSize = U20;
    type Uint = U192;
    const ORDER: Odd<U192> = Odd::<U192>::from_be_hex(ORDER_HEX);
}

impl PrimeCurve for P160 {}

impl PointCompression for P160 {
    const COMPRESS_POINTS: bool = true;
}

impl EcdsaCurve for P160 {
    const NORMALIZE_S: bool = true;
}

impl CurveArithmetic for P160 {
    type AffinePoint = AffinePoint<Self>;
    type ProjectivePoint = ProjectivePoint<Self>;
    type Scalar = Scalar;
}

impl PrimeCurveArithmetic for P160 {
    type CurveGroup = ProjectivePoint<Self>;
}

impl FieldArithmetic for P160 {
    type FieldElement = FieldElement;
}

impl PrimeCurveParams for P160 {
    type PointArithmetic = point_arithmetic::EquationAIsMinusThree;
    type Backend = GeneratorTable;
    const EQUATION_A: FieldElement = FieldElement::from_u64(3).neg();
    const EQUATION_B: FieldElement =
        FieldElement::from_hex_vartime("7a556b6dae535b7b51ed2c4d7daa7a0b5c55f380");
    const GENERATOR: (FieldElement, FieldElement) = (
        FieldElement::from_hex_vartime("b199b13b9b34efc1397e64baeb05acc265ff2378"),
        FieldElement::from_hex_vartime("add6718b7c7c1961f0991b842443772152c9e0ad"),
    );
}

/// Multiplies the generator by a table, in constant time.
#[allow(unreachable_pub)]
#[derive(Debug, Clone, Copy)]
pub struct GeneratorTable;

/// One window for each byte of a scalar, and one for the carry.
static GENERATOR_TABLE: BasepointTable<ProjectivePoint<P160>, 21> = BasepointTable::new();

impl MulBackend<P160> for GeneratorTable {
    fn mul_by_generator(k: &Scalar) -> ProjectivePoint<P160> {
        GENERATOR_TABLE.mul(k)
    }
}

/// The macros make public types; the module keeps them in.
#[allow(missing_docs, unreachable_pub)]
mod field {
    use super::{BatchInvert, Choice, ConstantTimeEq as _, CtOption, FIELD_HEX, PrimeField as _, U192};

    primefield::monty_field_params! {
        name: FieldParams,
        modulus: FIELD_HEX,
        uint: U192,
        byte_order: primefield::ByteOrder::BigEndian,
        multiplicative_generator: 3,
        doc: "The prime of the field."
    }

    primefield::monty_field_element! {
        name: FieldElement,
        params: FieldParams,
        uint: U192,
        doc: "A coordinate."
    }

    primefield::monty_field_arithmetic! {
        name: FieldElement,
        params: FieldParams,
        uint: U192
    }

    impl BatchInvert for FieldElement {}
}
use field::FieldElement;

#[allow(missing_docs, unreachable_pub)]
mod scalar {
    use super::{
        Choice, ConstantTimeEq as _, ConstantTimeGreater as _, CtOption, Curve as _, FieldBytes,
        FromUintUnchecked, IsHigh, ORDER_HEX, P160, PrimeField as _, Reduce, U192, wnaf,
    };

    primefield::monty_field_params! {
        name: ScalarParams,
        modulus: ORDER_HEX,
        uint: U192,
        byte_order: primefield::ByteOrder::BigEndian,
        multiplicative_generator: 5,
        doc: "The order of the curve."
    }

    primefield::monty_field_element! {
        name: Scalar,
        params: ScalarParams,
        uint: U192,
        doc: "An integer modulo the order."
    }

    primefield::monty_field_arithmetic! {
        name: Scalar,
        params: ScalarParams,
        uint: U192
    }

    elliptic_curve::scalar_impls!(P160, Scalar);
    wnaf::impl_wnaf_size_for_scalar!(Scalar);

    impl AsRef<Scalar> for Scalar {
        fn as_ref(&self) -> &Scalar {
            self
        }
    }

    impl FromUintUnchecked for Scalar {
        type Uint = U192;

        fn from_uint_unchecked(uint: U192) -> Self {
            Self::from_uint_unchecked(uint)
        }
    }

    impl IsHigh for Scalar {
        fn is_high(&self) -> Choice {
            const HALF: U192 = P160::ORDER.as_ref().shr_vartime(1);
            self.to_canonical().ct_gt(&HALF)
        }
    }

    impl Reduce<U192> for Scalar {
        fn reduce(integer: &U192) -> Self {
            Self::from_uint_unchecked(*integer)
        }
    }

    impl Reduce<FieldBytes<P160>> for Scalar {
        fn reduce(bytes: &FieldBytes<P160>) -> Self {
            Self::reduce(&elliptic_curve::field::bytes_to_uint::<P160>(bytes))
        }
    }
}
use scalar::Scalar;

/// A private key on brainpoolP160t1, wiped on drop.
pub(crate) struct SecretP160(NonZeroScalar<P160>);

impl SecretP160 {
    /// The key of a seed: for selectors, the name.
    pub(crate) fn from_seed(seed: &[u8]) -> Self {
        let mut order = [0; 20];
        order.copy_from_slice(&P160::ORDER.as_ref().to_be_bytes()[4..]);
        let mut rng = SeededRng::new(seed);
        let bytes = super::draw_scalar(&order, &mut |out| rng.fill(out));
        let scalar = Scalar::from_repr((*bytes).into()).into_option();
        // A drawn scalar is in [1, n − 1], so neither step fails.
        let scalar = scalar.and_then(|scalar| NonZeroScalar::new(scalar).into_option());
        Self(scalar.unwrap_or_else(|| unreachable!("a drawn scalar is below the order and not 0")))
    }

    /// The public key.
    pub(crate) fn public(&self) -> PublicPoint<20> {
        let point = ProjectivePoint::<P160>::mul_by_generator(&self.0).to_affine().to_sec1_point(false);
        let bytes = point.as_bytes();
        let mut public = PublicPoint { x: [0; 20], y: [0; 20] };
        public.x.copy_from_slice(&bytes[1..21]);
        public.y.copy_from_slice(&bytes[21..]);
        public
    }

    /// Signs a digest: r || s with s ≤ n/2, and the parity of R's y. The nonce is that of RFC 6979 with SHA-256.
    ///
    /// An R whose x is not below the order could not be recovered; the odds are 2⁻⁸¹.
    pub(crate) fn sign(&self, digest: &[u8]) -> ([u8; 40], u8) {
        let (signature, parity) = super::sign::<P160, Sha256>(&self.0, digest);
        (signature.to_bytes().into(), parity)
    }

    /// The scalar, big-endian.
    #[cfg(test)]
    pub(crate) fn to_bytes(&self) -> [u8; 20] {
        self.0.to_repr().into()
    }
}

impl Drop for SecretP160 {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretP160 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretP160").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The scalar of the name "name", from the reference's `selector_key.json`.
    #[test]
    fn scalar_of_a_name() {
        let scalar: [u8; 20] = [
            0xdd, 0xc3, 0xdf, 0x69, 0xf7, 0x5a, 0x24, 0x30, 0xe3, 0x9e, 0x62, 0x7b, 0x55, 0xb9, 0x24, 0x3e,
            0x4d, 0x3a, 0x37, 0x13,
        ];
        assert_eq!(SecretP160::from_seed(b"name").to_bytes(), scalar);
    }

    #[test]
    fn signatures_are_deterministic_and_low() {
        let half = P160::ORDER.as_ref().shr_vartime(1).to_be_bytes();
        let secret = SecretP160::from_seed(b"low");
        for i in 0..32 {
            let (r_s, parity) = secret.sign(&[i; 32]);
            assert!(r_s[20..] <= half[4..]);
            assert_eq!((r_s, parity), secret.sign(&[i; 32]));
            assert_eq!(crate::curve::p160::recover_one(&[i; 32], &r_s, parity), Some(secret.public()));
        }
    }
}
