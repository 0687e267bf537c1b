//! Public keys and signatures in X.509's forms, checked by the curve code that checks records.

use elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize};
use p224::NistP224;
use p384::NistP384;
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{Decode, Header, Reader, SliceReader, Tag};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use super::CertificateError;
use crate::curve::{self, PublicPoint, ed25519};
use crate::owner::OwnerKey;

/// id-ecPublicKey.
pub(super) const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// secp224r1.
pub(super) const P224: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.33");
/// secp384r1.
pub(super) const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// Ed25519, as key and as signature.
pub(super) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// ecdsa-with-SHA256.
pub(super) const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
/// ecdsa-with-SHA384.
pub(super) const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
/// ecdsa-with-SHA512.
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");

/// The key of a SubjectPublicKeyInfo; None for kinds of keys that LF does not use.
pub(super) fn key_of(info: &SubjectPublicKeyInfoOwned) -> Option<OwnerKey> {
    let bytes = info.subject_public_key.as_bytes()?;
    let algorithm = &info.algorithm;
    if algorithm.oid == ED25519 && algorithm.parameters.is_none() {
        return bytes.try_into().ok().map(OwnerKey::Ed25519);
    }
    if algorithm.oid != EC_PUBLIC_KEY {
        return None;
    }
    match algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok()? {
        P384 => point::<NistP384, 48>(bytes).map(OwnerKey::P384),
        P224 => point::<NistP224, 28>(bytes).map(OwnerKey::P224),
        _ => None,
    }
}

/// A point of a curve in SEC1 form, compressed or not; never infinity.
fn point<C, const BYTES: usize>(bytes: &[u8]) -> Option<PublicPoint<BYTES>>
where
    C: CurveArithmetic,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
{
    let key = elliptic_curve::PublicKey::<C>::from_sec1_bytes(bytes).ok()?;
    let point = key.to_sec1_point(false);
    let (x, y) = point.as_bytes().get(1..)?.split_at_checked(BYTES)?;
    Some(PublicPoint { x: x.try_into().ok()?, y: y.try_into().ok()? })
}

/// A signature and how it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) algorithm: AlgorithmIdentifierOwned,
    pub(super) bytes: Vec<u8>,
}

impl Signature {
    /// Checks it over a message: ECDSA with any of SHA-256, SHA-384 and SHA-512, since openssl's choice is not ours;
    /// and Ed25519.
    pub(super) fn verify(
        &self,
        what: &'static str,
        key: &OwnerKey,
        message: &[u8],
    ) -> Result<(), CertificateError> {
        let good = match (key, self.algorithm.oid) {
            (OwnerKey::Ed25519(key), ED25519) => {
                ed25519::verify(&ed25519::Signed { key, message, signature: &self.bytes })
            }
            (OwnerKey::P384(point), oid) => {
                let digest = digest(oid, message).ok_or(CertificateError::Algorithm { what })?;
                let keys = r_s(&self.bytes, 48).map(|r_s| curve::p384::recover_pair(&digest, &r_s));
                keys.is_some_and(|keys| keys.contains(&Some(*point)))
            }
            (OwnerKey::P224(point), oid) => {
                let digest = digest(oid, message).ok_or(CertificateError::Algorithm { what })?;
                let keys = r_s(&self.bytes, 28).map(|r_s| curve::p224::recover_pair(&digest, &r_s));
                keys.is_some_and(|keys| keys.contains(&Some(*point)))
            }
            (OwnerKey::Ed25519(_), _) => return Err(CertificateError::Algorithm { what }),
        };
        if good { Ok(()) } else { Err(CertificateError::Signature { what }) }
    }
}

/// The digest that an ECDSA algorithm signs.
fn digest(algorithm: ObjectIdentifier, message: &[u8]) -> Option<Vec<u8>> {
    match algorithm {
        ECDSA_SHA256 => Some(Sha256::digest(message).to_vec()),
        ECDSA_SHA384 => Some(Sha384::digest(message).to_vec()),
        ECDSA_SHA512 => Some(Sha512::digest(message).to_vec()),
        _ => None,
    }
}

/// r || s of an `Ecdsa-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }`, each `width` bytes.
fn r_s(der: &[u8], width: usize) -> Option<Vec<u8>> {
    let mut outer = SliceReader::new(der).ok()?;
    let header = Header::decode(&mut outer).ok()?;
    let mut inner = SliceReader::new(outer.read_slice(header.length()).ok()?).ok()?;
    let mut out = vec![0; 2 * width];
    for end in [width, 2 * width] {
        let integer = UintRef::decode(&mut inner).ok()?;
        let bytes = integer.as_bytes();
        let start = end.checked_sub(bytes.len()).filter(|_| bytes.len() <= width)?;
        out[start..end].copy_from_slice(bytes);
    }
    (header.tag() == Tag::Sequence && inner.is_finished() && outer.is_finished()).then_some(out)
}
