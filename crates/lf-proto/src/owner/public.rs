//! The public side of owners: their bytes and the verification of their signatures.

use std::fmt;
use std::str::FromStr;

use super::{OwnerError, OwnerKey, OwnerType};
use crate::base62;
use crate::curve::{self, Candidates, Signed, ed25519};

/// The longest public form, Ed25519's.
const BYTES_MAX: usize = 32;

/// An owner: 14 or 24 bytes of the hash of an ECDSA key, or an Ed25519 key of 32 bytes. The length, checked
/// when it is made, tells the type. Ordered by type, then bytes. Written `@base62`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerPublic {
    owner_type: OwnerType,
    /// Zeros behind the length of the type.
    bytes: [u8; BYTES_MAX],
}

impl OwnerPublic {
    /// Takes an owner's public bytes.
    ///
    /// # Errors
    /// [`OwnerError::PublicLength`] unless there are 14, 24 or 32.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OwnerError> {
        let owner_type =
            OwnerType::from_public_len(bytes.len()).ok_or(OwnerError::PublicLength(bytes.len()))?;
        let mut padded = [0; BYTES_MAX];
        padded[..bytes.len()].copy_from_slice(bytes);
        Ok(Self { owner_type, bytes: padded })
    }

    /// The owner of a public key.
    pub fn from_key(key: &OwnerKey) -> Self {
        let (owner_type, hash) = match key {
            OwnerKey::P224(point) => (OwnerType::P224, point.key_hash()),
            OwnerKey::P384(point) => (OwnerType::P384, point.key_hash()),
            OwnerKey::Ed25519(bytes) => (OwnerType::Ed25519, *bytes),
        };
        let mut bytes = [0; BYTES_MAX];
        let length = owner_type.public_bytes();
        bytes[..length].copy_from_slice(&hash[..length]);
        Self { owner_type, bytes }
    }

    /// The public bytes: 14, 24 or 32.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.owner_type.public_bytes()]
    }

    /// The type of the owner.
    pub const fn owner_type(&self) -> OwnerType {
        self.owner_type
    }

    /// Checks a signature over a record's signed digest. `strict` rejects ECDSA signatures with s > n/2.
    ///
    /// # Errors
    /// Says what is wrong with the signature.
    pub fn verify(&self, digest: &[u8; 48], signature: &[u8], strict: bool) -> Result<(), SignatureError> {
        self.verify_prehash(digest, signature, strict)
    }

    /// [`verify`](Self::verify) for a digest of any length: ECDSA takes as many leading bytes as its order
    /// has, Ed25519 signs all of it as its message.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_prehash(
        &self,
        digest: &[u8],
        signature: &[u8],
        strict: bool,
    ) -> Result<(), SignatureError> {
        self.check_form(signature, strict)?;
        match self.owner_type {
            OwnerType::P224 => self.check(&curve::p224::recover_pair(digest, signature)),
            OwnerType::P384 => self.check(&curve::p384::recover_pair(digest, signature)),
            OwnerType::Ed25519 => {
                let signed = ed25519::Signed { key: &self.bytes, message: digest, signature };
                if ed25519::verify(&signed) { Ok(()) } else { Err(SignatureError::Wrong) }
            }
        }
    }

    /// What can be said of a signature without any arithmetic.
    fn check_form(&self, signature: &[u8], strict: bool) -> Result<(), SignatureError> {
        let expected = self.owner_type.signature_bytes();
        if signature.len() != expected {
            return Err(SignatureError::Length { expected, found: signature.len() });
        }
        let (_, s) = signature.split_at(expected / 2);
        let high = match self.owner_type {
            OwnerType::P224 => s > P224_HALF_ORDER.as_slice(),
            OwnerType::P384 => s > P384_HALF_ORDER.as_slice(),
            OwnerType::Ed25519 => false,
        };
        if strict && high { Err(SignatureError::HighS) } else { Ok(()) }
    }

    /// Whether one of the candidates hashes to this owner.
    fn check<const BYTES: usize>(&self, candidates: &Candidates<BYTES>) -> Result<(), SignatureError> {
        let owner = self.as_bytes();
        let matches = candidates.iter().flatten().any(|key| key.key_hash().starts_with(owner));
        if matches { Ok(()) } else { Err(SignatureError::Wrong) }
    }
}

/// ⌊n/2⌋ of P-224, the highest s of a strict signature.
const P224_HALF_ORDER: [u8; 28] = half(curve::order_p224());
/// ⌊n/2⌋ of P-384.
const P384_HALF_ORDER: [u8; 48] = half(curve::order_p384());

/// Half of a big-endian integer, rounded down.
const fn half<const BYTES: usize>(mut integer: [u8; BYTES]) -> [u8; BYTES] {
    let mut carry = 0;
    let mut i = 0;
    while i < BYTES {
        let byte = integer[i];
        integer[i] = (byte >> 1) | carry;
        carry = byte << 7;
        i += 1;
    }
    integer
}

/// One signature of a batch.
#[derive(Debug, Clone, Copy)]
pub struct OwnerSignature<'a> {
    /// Who is said to have signed.
    pub owner: OwnerPublic,
    /// The signed digest.
    pub digest: &'a [u8; 48],
    /// The signature, of any length.
    pub signature: &'a [u8],
}

/// Verifies many signatures at once, each as [`OwnerPublic::verify`] would; they share what costs most.
pub fn verify_all(signatures: &[OwnerSignature<'_>], strict: bool) -> Vec<Result<(), SignatureError>> {
    let mut verdicts: Vec<_> =
        signatures.iter().map(|one| one.owner.check_form(one.signature, strict)).collect();
    let of_type = |wanted: OwnerType, verdicts: &[Result<(), SignatureError>]| -> Vec<usize> {
        let wanted = |i: &usize| verdicts[*i].is_ok() && signatures[*i].owner.owner_type == wanted;
        (0..signatures.len()).filter(wanted).collect()
    };
    let signed = |indices: &[usize]| -> Vec<Signed<'_>> {
        let one = |i: &usize| Signed { digest: signatures[*i].digest, r_s: signatures[*i].signature };
        indices.iter().map(one).collect()
    };
    let p224 = of_type(OwnerType::P224, &verdicts);
    for (i, candidates) in p224.iter().zip(curve::p224::recover_pairs(&signed(&p224))) {
        verdicts[*i] = signatures[*i].owner.check(&candidates);
    }
    let p384 = of_type(OwnerType::P384, &verdicts);
    for (i, candidates) in p384.iter().zip(curve::p384::recover_pairs(&signed(&p384))) {
        verdicts[*i] = signatures[*i].owner.check(&candidates);
    }
    let of_25519 = of_type(OwnerType::Ed25519, &verdicts);
    let signed: Vec<_> = of_25519
        .iter()
        .map(|i| &signatures[*i])
        .map(|one| ed25519::Signed { key: &one.owner.bytes, message: one.digest, signature: one.signature })
        .collect();
    for (i, good) in of_25519.iter().zip(ed25519::verify_each(&signed)) {
        if !good {
            verdicts[*i] = Err(SignatureError::Wrong);
        }
    }
    verdicts
}

/// Why a signature is not the owner's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// A length that signatures of this type do not have.
    #[error("owner signature of {found} bytes: must be {expected}")]
    Length {
        /// The number of bytes wanted.
        expected: usize,
        /// The number of bytes found.
        found: usize,
    },
    /// The malleable form, which the network does not accept.
    #[error("owner signature has a high s")]
    HighS,
    /// Not made by the owner over this digest.
    #[error("owner signature is wrong")]
    Wrong,
}

impl AsRef<[u8]> for OwnerPublic {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Display for OwnerPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", base62::encode(self.as_bytes()))
    }
}

impl fmt::Debug for OwnerPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for OwnerPublic {
    type Err = OwnerError;

    /// Reads `@base62`.
    fn from_str(text: &str) -> Result<Self, OwnerError> {
        Self::from_bytes(&base62::decode(text.strip_prefix('@').ok_or(OwnerError::Prefix)?)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::owner::OwnerSecret;

    #[test]
    fn a_batch_judges_like_one_at_a_time() {
        let digests: Vec<[u8; 48]> = (0..4).map(|i| [i; 48]).collect();
        let mut signed = Vec::new();
        for (seed, ty) in [0u8, 1].into_iter().flat_map(|s| OwnerType::ALL.map(|ty| (s, ty))) {
            let secret = OwnerSecret::from_seed(ty, &[seed]);
            for digest in &digests {
                signed.push((*secret.public(), digest, secret.sign(digest)));
            }
        }
        // Spoil some: length, another's owner of the same type, another digest, r = 0, r no coordinate.
        signed[1].2.pop();
        signed[2].0 = signed[14].0;
        signed[3].1 = &digests[0];
        signed[4].2[..48].fill(0);
        signed[5].2[47] ^= 1;
        signed[13].2[..28].fill(0xff);
        let batch: Vec<_> = signed
            .iter()
            .map(|(owner, digest, signature)| OwnerSignature { owner: *owner, digest, signature })
            .collect();
        let verdicts = verify_all(&batch, true);
        let alone: Vec<_> =
            batch.iter().map(|one| one.owner.verify(one.digest, one.signature, true)).collect();
        assert_eq!(verdicts, alone);
        let good: Vec<_> = (0..batch.len()).filter(|i| verdicts[*i].is_ok()).collect();
        let expected: Vec<_> = (0..batch.len()).filter(|i| ![1, 2, 3, 4, 5, 13].contains(i)).collect();
        assert_eq!(good, expected);
        assert!(verify_all(&[], true).is_empty());
    }

    #[test]
    fn the_other_s_verifies_unless_strict() {
        let n = curve::order_p224();
        let secret = OwnerSecret::from_seed(OwnerType::P224, b"malleable");
        let digest = [7; 48];
        let mut signature = secret.sign(&digest);
        // s = n − s, digit by digit.
        let mut borrow = 0;
        for i in (0..28).rev() {
            let t = i16::from(n[i]) - i16::from(signature[28 + i]) - borrow;
            borrow = i16::from(t < 0);
            signature[28 + i] = t as u8;
        }
        assert_eq!(secret.public().verify(&digest, &signature, false), Ok(()));
        assert_eq!(secret.public().verify(&digest, &signature, true), Err(SignatureError::HighS));
    }

    #[test]
    fn texts() {
        let owner: OwnerPublic = "@LqT2XCXvWaLkbOHpsvP".parse().unwrap();
        assert_eq!(owner.owner_type(), OwnerType::P224);
        assert_eq!(owner.to_string(), "@LqT2XCXvWaLkbOHpsvP");
        assert_eq!("LqT2XCXvWaLkbOHpsvP".parse::<OwnerPublic>(), Err(OwnerError::Prefix));
        assert_eq!("@".parse::<OwnerPublic>(), Err(OwnerError::PublicLength(0)));
        assert!(matches!("@a-b".parse::<OwnerPublic>(), Err(OwnerError::Base62(_))));
    }
}
