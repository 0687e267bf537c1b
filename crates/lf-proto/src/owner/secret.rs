//! The private side of owners: making keys, signing, and the forms private keys are stored in.

use std::fmt;

use ecdsa::EcdsaCurve;
use ed25519_dalek::{Signer as _, SigningKey};
use elliptic_curve::pkcs8::{AssociatedOid, DecodePrivateKey as _, ObjectIdentifier, PrivateKeyInfoRef};
use elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point, ValidatePublicKey};
use elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize, SecretKey};
use p224::NistP224;
use p384::NistP384;
use sec1::der::Decode as _;
use sec1::{EcParameters, EcPrivateKey};
use sha2::{Digest, Sha256, Sha384};
use zeroize::{Zeroize, Zeroizing};

use super::{OwnerError, OwnerPublic, OwnerType};
use crate::curve::{self, PublicPoint, secret};
use crate::seeded::SeededRng;

const PEM_TAG: &str = "LF OWNER PRIVATE KEY";

/// An owner's whole public key, of which [`OwnerPublic`] may be only a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerKey {
    /// A point of P-224.
    P224(PublicPoint<28>),
    /// A point of P-384.
    P384(PublicPoint<48>),
    /// An Ed25519 public key.
    Ed25519([u8; 32]),
}

/// An owner's private key, wiped on drop.
pub struct OwnerSecret {
    public: OwnerPublic,
    key: Key,
}

/// Each variant wipes itself.
enum Key {
    P224(SecretKey<NistP224>),
    P384(SecretKey<NistP384>),
    Ed25519(SigningKey),
}

impl OwnerSecret {
    /// Makes a key from random bytes, which `random` must fill its buffer with.
    pub fn generate(ty: OwnerType, random: &mut dyn FnMut(&mut [u8])) -> Self {
        // Drawn scalars are in [1, n − 1], which is all that makes a key valid.
        const DRAWN: &str = "a drawn scalar is below the order and not 0";
        let key = match ty {
            OwnerType::P224 => {
                let scalar = secret::draw_scalar(&curve::order_p224(), random);
                Key::P224(SecretKey::from_slice(&*scalar).unwrap_or_else(|_| unreachable!("{DRAWN}")))
            }
            OwnerType::P384 => {
                let scalar = secret::draw_scalar(&curve::order_p384(), random);
                Key::P384(SecretKey::from_slice(&*scalar).unwrap_or_else(|_| unreachable!("{DRAWN}")))
            }
            OwnerType::Ed25519 => {
                let mut seed = Zeroizing::new([0; 32]);
                random(&mut *seed);
                Key::Ed25519(SigningKey::from_bytes(&seed))
            }
        };
        key.into()
    }

    /// The key of a seed (PROTOCOL.md §2): always the same one.
    pub fn from_seed(ty: OwnerType, seed: &[u8]) -> Self {
        let mut rng = SeededRng::new(seed);
        Self::generate(ty, &mut |out| rng.fill(out))
    }

    /// The P-384 owner of a passphrase and the masking key that goes with it.
    pub fn from_passphrase(passphrase: &[u8]) -> (Self, Zeroizing<[u8; 32]>) {
        let once = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(passphrase)));
        (Self::from_seed(OwnerType::P384, passphrase), Zeroizing::new(Sha256::digest(*once).into()))
    }

    /// The owner.
    pub const fn public(&self) -> &OwnerPublic {
        &self.public
    }

    /// The whole public key.
    pub fn public_key(&self) -> OwnerKey {
        self.key.public_key()
    }

    /// PrivateHash (PROTOCOL.md §4): as secret as the key, since pulses start from it.
    pub fn private_hash(&self) -> Zeroizing<[u8; 32]> {
        let hash = |scalar: &[u8]| {
            let zeros = scalar.iter().take_while(|byte| **byte == 0).count();
            Sha256::digest(&scalar[zeros..]).into()
        };
        Zeroizing::new(match &self.key {
            Key::P224(key) => hash(&Zeroizing::new(key.to_bytes())[..]),
            Key::P384(key) => hash(&Zeroizing::new(key.to_bytes())[..]),
            Key::Ed25519(key) => Sha256::digest(&Zeroizing::new(key.to_keypair_bytes())[..]).into(),
        })
    }

    /// Signs a record's signed digest: r || s with s ≤ n/2, or an Ed25519 signature. Deterministic.
    pub fn sign(&self, digest: &[u8; 48]) -> Vec<u8> {
        self.sign_prehash(digest)
    }

    /// [`sign`](Self::sign) for a digest of any length: ECDSA takes as many leading bytes as its order has,
    /// Ed25519 signs all of it as its message.
    pub fn sign_prehash(&self, digest: &[u8]) -> Vec<u8> {
        match &self.key {
            Key::P224(key) => sign_ecdsa(key, digest),
            Key::P384(key) => sign_ecdsa(key, digest),
            Key::Ed25519(key) => key.sign(digest).to_bytes().to_vec(),
        }
    }

    /// The key as a SEC1 `ECPrivateKey` in DER, with named curve and public key. None for Ed25519.
    pub fn sec1_der(&self) -> Option<Zeroizing<Vec<u8>>> {
        match &self.key {
            // Encoding a few short fields into a growing vector does not fail.
            Key::P224(key) => key.to_sec1_der().ok(),
            Key::P384(key) => key.to_sec1_der().ok(),
            Key::Ed25519(_) => None,
        }
    }

    /// Reads a SEC1 `ECPrivateKey` in DER that names its curve; None if it is not of one of the owners' curves.
    pub(crate) fn from_sec1_der(der: &[u8]) -> Option<Self> {
        let key = from_sec1_der(der).map(Key::P384).or_else(|| from_sec1_der(der).map(Key::P224));
        key.map(Self::from)
    }

    /// Reads a PKCS #8 `PrivateKeyInfo` in DER; None if it is not a key of an owner's kind.
    pub(crate) fn from_pkcs8_der(der: &[u8]) -> Option<Self> {
        let p384 = SecretKey::<NistP384>::from_pkcs8_der(der).ok().map(Key::P384);
        let key = p384.or_else(|| SecretKey::<NistP224>::from_pkcs8_der(der).ok().map(Key::P224));
        key.or_else(|| from_ed25519_pkcs8(der).map(Key::Ed25519)).map(Self::from)
    }

    /// The private bytes: type id, then SEC1 DER or the Ed25519 seed and public key.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let body = match &self.key {
            Key::Ed25519(key) => Zeroizing::new(key.to_keypair_bytes().to_vec()),
            Key::P224(_) | Key::P384(_) => self.sec1_der().unwrap_or_default(),
        };
        // Exact, so that no copy is left behind by growth.
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + body.len()));
        bytes.push(self.public.owner_type().id());
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Reads private bytes.
    ///
    /// # Errors
    /// An unknown type id, a key that is not of that type, or one that contradicts itself.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OwnerError> {
        let (id, body) = bytes.split_first().ok_or(OwnerError::PrivateType)?;
        let ty = OwnerType::from_id(*id).ok_or(OwnerError::PrivateType)?;
        let key = match ty {
            OwnerType::P224 => from_sec1_der(body).map(Key::P224),
            OwnerType::P384 => from_sec1_der(body).map(Key::P384),
            OwnerType::Ed25519 => {
                let pair = body.try_into().ok();
                pair.and_then(|pair| SigningKey::from_keypair_bytes(pair).ok()).map(Key::Ed25519)
            }
        };
        key.map(Self::from).ok_or(OwnerError::Private(ty))
    }

    /// The private bytes as PEM, with headers that tell the owner and its type.
    pub fn to_pem(&self) -> Zeroizing<String> {
        use base64::Engine as _;
        let base64 =
            Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(self.to_bytes().as_slice()));
        let mut pem = Zeroizing::new(String::with_capacity(base64.len() * 66 / 64 + 256));
        pem.push_str(&format!("-----BEGIN {PEM_TAG}-----\n"));
        pem.push_str(&format!("Public: {}\nType: {}\n\n", self.public, self.public.owner_type()));
        let mut rest = base64.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str(&format!("-----END {PEM_TAG}-----\n"));
        pem
    }

    /// Reads PEM, with or without headers and with any text around it. The headers are not trusted.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes), and [`OwnerError::Pem`].
    pub fn from_pem(text: &str) -> Result<Self, OwnerError> {
        let pem = pem::parse(text).map_err(|_| OwnerError::Pem)?;
        let ours = pem.tag() == PEM_TAG;
        let contents = Zeroizing::new(pem.into_contents());
        if ours { Self::from_bytes(&contents) } else { Err(OwnerError::Pem) }
    }

    /// Reads a private key in either form: PEM if there is any, else private bytes.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem) and [`from_bytes`](Self::from_bytes).
    pub fn parse(input: &[u8]) -> Result<Self, OwnerError> {
        match std::str::from_utf8(input) {
            Ok(text) if text.contains("-----BEGIN ") => Self::from_pem(text),
            _ => Self::from_bytes(input),
        }
    }
}

impl Key {
    fn public_key(&self) -> OwnerKey {
        match self {
            Self::P224(key) => OwnerKey::P224(public_point(key)),
            Self::P384(key) => OwnerKey::P384(public_point(key)),
            Self::Ed25519(key) => OwnerKey::Ed25519(key.verifying_key().to_bytes()),
        }
    }
}

impl From<Key> for OwnerSecret {
    fn from(key: Key) -> Self {
        Self { public: OwnerPublic::from_key(&key.public_key()), key }
    }
}

impl fmt::Debug for OwnerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnerSecret").field("public", &self.public).finish_non_exhaustive()
    }
}

/// The public point of a private key. `BYTES` is the width of the curve's coordinates.
fn public_point<C, const BYTES: usize>(key: &SecretKey<C>) -> PublicPoint<BYTES>
where
    C: CurveArithmetic,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
{
    let point = key.public_key().to_sec1_point(false);
    let (x, y) = point.as_bytes()[1..].split_at(BYTES);
    let mut public = PublicPoint { x: [0; BYTES], y: [0; BYTES] };
    public.x.copy_from_slice(x);
    public.y.copy_from_slice(y);
    public
}

/// The digests that owners sign are SHA-384, so that is the hash of their nonces too (RFC 6979 §3.2).
fn sign_ecdsa<C: EcdsaCurve + CurveArithmetic>(key: &SecretKey<C>, digest: &[u8]) -> Vec<u8> {
    let mut scalar = key.to_nonzero_scalar();
    let (signature, _) = secret::sign::<C, Sha384>(&scalar, digest);
    scalar.zeroize();
    signature.to_bytes().to_vec()
}

/// Reads an `ECPrivateKey` that names its curve. A public key in it must be the private key's.
fn from_sec1_der<C>(der: &[u8]) -> Option<SecretKey<C>>
where
    C: AssociatedOid + CurveArithmetic + ValidatePublicKey,
    FieldBytesSize<C>: ModulusSize,
{
    let key = EcPrivateKey::from_der(der).ok()?;
    let named = matches!(key.parameters, Some(EcParameters::NamedCurve(oid)) if oid == C::OID);
    named.then(|| SecretKey::try_from(key).ok()).flatten()
}

/// Reads the `PrivateKeyInfo` of an Ed25519 key (RFC 8410 §7).
fn from_ed25519_pkcs8(der: &[u8]) -> Option<SigningKey> {
    const OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
    let info = PrivateKeyInfoRef::from_der(der).ok().filter(|info| info.algorithm.oid == OID)?;
    // An OCTET STRING in the OCTET STRING.
    let seed = info.private_key.as_bytes().strip_prefix(&[4, 32])?;
    seed.try_into().ok().map(SigningKey::from_bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn every_form_round_trips_and_signs(seed: Vec<u8>, digest: [u8; 32], which in 0usize..3) {
            let digest: [u8; 48] = std::array::from_fn(|i| digest[i % 32] ^ i as u8);
            let secret = OwnerSecret::from_seed(OwnerType::ALL[which], &seed);
            let signature = secret.sign(&digest);
            prop_assert_eq!(secret.public().verify(&digest, &signature, true), Ok(()));
            let forms = [
                OwnerSecret::from_bytes(&secret.to_bytes()).unwrap(),
                OwnerSecret::from_pem(&secret.to_pem()).unwrap(),
                OwnerSecret::parse(&secret.to_bytes()).unwrap(),
                OwnerSecret::parse(secret.to_pem().as_bytes()).unwrap(),
            ];
            for form in forms {
                prop_assert_eq!(form.public(), secret.public());
                prop_assert_eq!(form.sign(&digest), signature.clone());
            }
        }
    }

    #[test]
    fn debug_keeps_the_secret() {
        let secret = OwnerSecret::from_seed(OwnerType::Ed25519, b"debug");
        assert_eq!(format!("{secret:?}"), format!("OwnerSecret {{ public: {}, .. }}", secret.public()));
    }

    #[test]
    fn keys_that_contradict_themselves() {
        let p224 = OwnerSecret::from_seed(OwnerType::P224, b"a").to_bytes();
        let mut wrong_type = p224.clone();
        wrong_type[0] = OwnerType::P384.id();
        assert_eq!(OwnerSecret::from_bytes(&wrong_type).unwrap_err(), OwnerError::Private(OwnerType::P384));
        let mut wrong_public = p224.clone();
        *wrong_public.last_mut().unwrap() ^= 1;
        assert_eq!(OwnerSecret::from_bytes(&wrong_public).unwrap_err(), OwnerError::Private(OwnerType::P224));
        let mut ed25519 = OwnerSecret::from_seed(OwnerType::Ed25519, b"a").to_bytes();
        ed25519[64] ^= 1;
        assert_eq!(OwnerSecret::from_bytes(&ed25519).unwrap_err(), OwnerError::Private(OwnerType::Ed25519));
        assert_eq!(OwnerSecret::from_bytes(&[]).unwrap_err(), OwnerError::PrivateType);
        assert_eq!(OwnerSecret::from_bytes(&[4, 0]).unwrap_err(), OwnerError::PrivateType);
    }
}
