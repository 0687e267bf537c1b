//! The curves of LF (PROTOCOL.md §3): recovery of public keys from signatures of three of them, verification of the
//! signatures of Ed25519, and the arithmetic of secret scalars for the one curve that no library has.
//!
//! Recovery and verification work on public data only and are **variable-time**: our own Montgomery arithmetic in 64-bit
//! limbs, generic over the number of limbs, and eight signatures at once in the `lanes` of processors that can
//! ([`path`]). Nothing secret may enter it. Secret scalars (`secret`) go through constant-time library code
//! instead. What a key means (owners, selectors) is not known here.

pub mod ed25519;
pub(crate) mod element;
pub(crate) mod field;
mod lanes;
mod lazy;
pub(crate) mod params;
pub(crate) mod point;
mod recover;
pub(crate) mod secret;
mod sqrt;
mod table;
#[cfg(test)]
mod tests;
#[doc(hidden)]
pub mod ways;

use sha2::{Digest, Sha256, Sha512};

/// A signature to recover keys from: any digest (cut to the width of the order) and r || s.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The message digest; only its first 20 / 28 / 48 bytes count.
    pub digest: &'a [u8],
    /// r || s, each as wide as the order. Any other length recovers nothing.
    pub r_s: &'a [u8],
}

/// A point of a curve whose coordinates take `BYTES` bytes (20: brainpoolP160t1, 28: P-224, 48: P-384; there
/// is no other), never infinity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicPoint<const BYTES: usize> {
    /// The affine x coordinate, big-endian.
    pub x: [u8; BYTES],
    /// The affine y coordinate, big-endian.
    pub y: [u8; BYTES],
}

impl<const BYTES: usize> PublicPoint<BYTES> {
    /// The curve's name as key hashes contain it.
    pub const CURVE: &'static str = match BYTES {
        20 => "brainpoolP160t1",
        28 => "P-224",
        48 => "P-384",
        _ => panic!("no curve of this width"),
    };

    /// Whether y is odd: the last bit of the compressed form's first byte.
    pub const fn y_is_odd(&self) -> bool {
        self.y[BYTES - 1] & 1 == 1
    }

    /// The compressed key: 02 or 03, then x (21 / 29 / 49 bytes).
    pub fn compressed(&self) -> Vec<u8> {
        let mut out = vec![2 | u8::from(self.y_is_odd())];
        out.extend(self.x);
        out
    }

    /// The key hash H(Q) = SHA-256(b || SHA-512(b)), b = x || y || name of the curve.
    pub fn key_hash(&self) -> [u8; 32] {
        let mut b = Vec::with_capacity(2 * BYTES + Self::CURVE.len());
        b.extend(self.x);
        b.extend(self.y);
        b.extend(Self::CURVE.as_bytes());
        Sha256::new().chain_update(&b).chain_update(Sha512::digest(&b)).finalize().into()
    }
}

/// The keys that may have made an ECDSA signature: for R with even and with odd y. None where there is none.
pub type Candidates<const BYTES: usize> = [Option<PublicPoint<BYTES>>; 2];

/// How this processor recovers the keys of a batch, and verifies its Ed25519 signatures: "avx512-ifma" (eight at once) or "scalar".
pub fn path() -> &'static str {
    if ways::Way::Avx512Lanes.is_available() { "avx512-ifma" } else { "scalar" }
}

/// The order of P-224, big-endian.
pub(crate) const fn order_p224() -> [u8; 28] {
    field::integer_to_be(&<params::P224Order as field::Modulus<4>>::P)
}

/// The order of P-384, big-endian.
pub(crate) const fn order_p384() -> [u8; 48] {
    field::integer_to_be(&<params::P384Order as field::Modulus<6>>::P)
}

/// brainpoolP160t1, the curve of selectors.
pub mod p160 {
    use super::params::BrainpoolP160t1;
    use super::recover::{self, Parity};
    use super::{Candidates, PublicPoint, Signed};

    /// Recovers the key of a signature whose R has the given y parity (0 even, 1 odd). None for a parity
    /// above 1, r or s outside of [1, n − 1], an r that is no x coordinate, and infinity.
    pub fn recover_one(digest: &[u8], r_s: &[u8; 40], parity: u8) -> Option<PublicPoint<20>> {
        let [key] = recover_each([(Signed { digest, r_s }, parity)].as_slice()).try_into().ok()?;
        key
    }

    /// [`recover_one`] for many at once, which share their inversions.
    pub fn recover_each(signed: &[(Signed<'_>, u8)]) -> Vec<Option<PublicPoint<20>>> {
        let jobs = signed.iter().map(|(signed, parity)| (*signed, Parity::from_bit(*parity)));
        recover::recover::<BrainpoolP160t1, 3, 4, 20>(jobs).into_iter().map(one_of).collect()
    }

    /// The candidate of the parity that was asked for.
    pub(super) fn one_of([even, odd]: Candidates<20>) -> Option<PublicPoint<20>> {
        even.or(odd)
    }
}

/// P-224, a curve of owners.
pub mod p224 {
    use super::params::P224;
    use super::recover::{self, Parity};
    use super::{Candidates, Signed};

    /// Recovers both keys that may have made a signature. None for r or s outside of [1, n − 1], an r
    /// that is no x coordinate, and for infinity.
    pub fn recover_pair(digest: &[u8], r_s: &[u8]) -> Candidates<28> {
        recover_pairs(&[Signed { digest, r_s }]).pop().unwrap_or_default()
    }

    /// [`recover_pair`] for many at once, which share their inversions.
    pub fn recover_pairs(signed: &[Signed<'_>]) -> Vec<Candidates<28>> {
        recover::recover::<P224, 4, 5, 28>(signed.iter().map(|signed| (*signed, Some(Parity::Both))))
    }
}

/// P-384, a curve of owners and of certification authorities.
pub mod p384 {
    use super::params::P384;
    use super::recover::{self, Parity};
    use super::{Candidates, Signed};

    /// Recovers both keys that may have made a signature. None for r or s outside of [1, n − 1], an r
    /// that is no x coordinate, and for infinity.
    pub fn recover_pair(digest: &[u8], r_s: &[u8]) -> Candidates<48> {
        recover_pairs(&[Signed { digest, r_s }]).pop().unwrap_or_default()
    }

    /// [`recover_pair`] for many at once, which share their inversions.
    pub fn recover_pairs(signed: &[Signed<'_>]) -> Vec<Candidates<48>> {
        recover::recover::<P384, 6, 8, 48>(signed.iter().map(|signed| (*signed, Some(Parity::Both))))
    }
}
