//! Recovery against the same formula in RustCrypto's arithmetic, on random and on crafted signatures.
#![allow(clippy::unwrap_used)]

use elliptic_curve::ff::{Field as _, PrimeField};
use elliptic_curve::group::{Curve as _, Group as _};
use elliptic_curve::ops::Reduce;
use elliptic_curve::point::DecompressPoint;
use elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytes, FieldBytesSize, ProjectivePoint, Scalar};
use proptest::prelude::*;

use super::secret::P160;
use super::{PublicPoint, Signed, p160, p224, p384};

/// Q = r⁻¹(sR − eG), or what §3 says there is instead. Uncompressed, without the tag.
fn model<C>(digest: &[u8], r_s: &[u8], odd: u8) -> Option<Vec<u8>>
where
    C: CurveArithmetic,
    AffinePoint<C>: DecompressPoint<C> + FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    let (r, s) = r_s.split_at(r_s.len() / 2);
    let width = r.len();
    let bytes = |bytes: &[u8]| FieldBytes::<C>::try_from(bytes).unwrap();
    let scalar = |b: &[u8]| Option::<Scalar<C>>::from(Scalar::<C>::from_repr(bytes(b)));
    let nonzero = |b: &[u8]| scalar(b).filter(|scalar| !bool::from(scalar.is_zero()));
    let (r_scalar, s) = (nonzero(r)?, nonzero(s)?);
    let mut e = vec![0; width.saturating_sub(digest.len())];
    e.extend(&digest[..digest.len().min(width)]);
    let e = <Scalar<C> as Reduce<FieldBytes<C>>>::reduce(&bytes(&e));
    let point = Option::<AffinePoint<C>>::from(AffinePoint::<C>::decompress(&bytes(r), odd.into()))?;
    let inverse = Option::<Scalar<C>>::from(r_scalar.invert()).unwrap();
    let q =
        ProjectivePoint::<C>::from(point) * (s * inverse) - ProjectivePoint::<C>::generator() * (e * inverse);
    encoded::<C>(&q)
}

fn encoded<C>(point: &ProjectivePoint<C>) -> Option<Vec<u8>>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    let finite = !bool::from(point.is_identity());
    finite.then(|| point.to_affine().to_sec1_point(false).as_bytes()[1..].to_vec())
}

fn flat<const BYTES: usize>(point: Option<PublicPoint<BYTES>>) -> Option<Vec<u8>> {
    point.map(|point| [point.x, point.y].concat())
}

/// x || y of both candidates.
type Both = [Option<Vec<u8>>; 2];

fn both_p160(digest: &[u8], r_s: &[u8]) -> Both {
    let r_s = r_s.try_into().unwrap();
    [0, 1].map(|parity| flat(p160::recover_one(digest, &r_s, parity)))
}

fn both_p224(digest: &[u8], r_s: &[u8]) -> Both {
    p224::recover_pair(digest, r_s).map(flat)
}

fn both_p384(digest: &[u8], r_s: &[u8]) -> Both {
    p384::recover_pair(digest, r_s).map(flat)
}

/// Signatures whose R is kG, s = a·r and e = b·r for small k, a, b: then Q = (±ak − b)G, and the additions
/// on the way meet equal, opposite and infinite points.
fn crafted<C>(recover: fn(&[u8], &[u8]) -> Both)
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    let mut infinite = 0;
    for k in 1..=5u64 {
        let point =
            (ProjectivePoint::<C>::generator() * Scalar::<C>::from(k)).to_affine().to_sec1_point(false);
        let width = (point.as_bytes().len() - 1) / 2;
        let (x, y) = point.as_bytes()[1..].split_at(width);
        let odd = y[width - 1] & 1;
        let Some(r) =
            Option::<Scalar<C>>::from(Scalar::<C>::from_repr(FieldBytes::<C>::try_from(x).unwrap()))
        else {
            continue;
        };
        for a in 1..=5u64 {
            for b in [0, 1, 2, 3, a * k, a * k + 1, a * k - 1, 2 * a * k, 17, 33, 64] {
                let (ak, b) = (Scalar::<C>::from(a * k), Scalar::<C>::from(b));
                let s = r * Scalar::<C>::from(a);
                let digest = (r * b).to_repr();
                let r_s = [x, s.to_repr().as_ref()].concat();
                let mut expected = [ak - b, -ak - b].map(|q| {
                    let q = encoded::<C>(&(ProjectivePoint::<C>::generator() * q));
                    infinite += usize::from(q.is_none());
                    q
                });
                if odd == 1 {
                    expected.reverse();
                }
                assert_eq!(recover(digest.as_ref(), &r_s), expected, "k {k} a {a}");
            }
        }
    }
    assert!(infinite > 0);
}

#[test]
fn crafted_p160() {
    crafted::<P160>(both_p160);
}

#[test]
fn crafted_p224() {
    crafted::<::p224::NistP224>(both_p224);
}

#[test]
fn crafted_p384() {
    crafted::<::p384::NistP384>(both_p384);
}

/// Bytes of a scalar: mostly random, often an end of its range or all ones.
fn scalar_bytes(order: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let width = order.len();
    let near = (Just(order), -2i32..=2).prop_map(|(mut bytes, delta): (Vec<u8>, i32)| {
        let mut carry = delta;
        for byte in bytes.iter_mut().rev() {
            carry += i32::from(*byte);
            *byte = carry as u8;
            carry >>= 8;
        }
        bytes
    });
    let small = (0u8..3).prop_map(move |low| {
        let mut bytes = vec![0; width];
        bytes[width - 1] = low;
        bytes
    });
    prop_oneof![
        8 => proptest::collection::vec(any::<u8>(), width),
        1 => near,
        1 => small,
        1 => Just(vec![0xff; width]),
    ]
}

fn signature(order: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    (scalar_bytes(order.clone()), scalar_bytes(order)).prop_map(|(r, s)| [r, s].concat())
}

fn order_p160() -> Vec<u8> {
    super::field::integer_to_be::<3, 20>(&<super::params::P160Order as super::field::Modulus<3>>::P).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_p160(digest in proptest::collection::vec(any::<u8>(), 0..50), r_s in signature(order_p160())) {
        let expected = [0, 1].map(|odd| model::<P160>(&digest, &r_s, odd));
        prop_assert_eq!(both_p160(&digest, &r_s), expected);
    }

    #[test]
    fn random_p224(
        digest in proptest::collection::vec(any::<u8>(), 0..50),
        r_s in signature(super::order_p224().to_vec()),
    ) {
        let expected = [0, 1].map(|odd| model::<::p224::NistP224>(&digest, &r_s, odd));
        prop_assert_eq!(both_p224(&digest, &r_s), expected);
    }

    #[test]
    fn random_p384(
        digest in proptest::collection::vec(any::<u8>(), 0..50),
        r_s in signature(super::order_p384().to_vec()),
    ) {
        let expected = [0, 1].map(|odd| model::<::p384::NistP384>(&digest, &r_s, odd));
        prop_assert_eq!(both_p384(&digest, &r_s), expected);
    }
}

#[test]
fn lengths_and_parities_that_do_not_exist() {
    assert_eq!(p224::recover_pair(&[1; 48], &[1; 55]), [None; 2]);
    assert_eq!(p384::recover_pair(&[1; 48], &[]), [None; 2]);
    assert!(p224::recover_pairs(&[]).is_empty());
    let r_s = super::secret::SecretP160::from_seed(b"parity").sign(&[1; 32]).0;
    for parity in [2, 3, 255] {
        assert_eq!(p160::recover_one(&[1; 32], &r_s, parity), None);
    }
    assert_eq!(p160::recover_each(&[(Signed { digest: &[], r_s: &r_s[1..] }, 0)]), [None]);
}
