//! Selectors (PROTOCOL.md §6): the names that records are found by, without the names being told.
//!
//! [`SelectorName`] is the side that knows a name: it makes keys and claims. [`Selector`] is the side that
//! records carry; whoever sees one recovers its id and key. A name's scalar is secret and goes through
//! constant-time code; recovery works on public data.

mod names;

use std::fmt;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::base62;
use crate::curve::secret::SecretP160;
use crate::curve::{self, PublicPoint, Signed};
use crate::ordinal::{self, Ordinal, OrdinalError, OrdinalMask};
pub use names::SelectorNames;

/// Bytes of a claim as JSON has it: r || s || parity.
pub const CLAIM_BYTES: usize = 41;

/// Bytes of a serialized selector.
pub const SELECTOR_BYTES: usize = 57;

/// Bytes of a selector's id, a compressed key.
pub const SELECTOR_ID_BYTES: usize = 21;

/// A key under which records are found: `[u8; 32]`. Keys of one name's ordinals are in the order of the
/// ordinals. Written `?` and base62.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SelectorKey(pub [u8; 32]);

impl SelectorKey {
    /// The raw 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl AsRef<[u8]> for SelectorKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for SelectorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "?{}", base62::encode(&self.0))
    }
}

impl fmt::Debug for SelectorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why bytes are no selector, or a selector has no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectorError {
    /// A type other than 0.
    #[error("selector type {0} is unknown")]
    Type(u8),
    /// A parity above 1.
    #[error("selector parity {0} is neither 0 nor 1")]
    Parity(u8),
    /// No key can be recovered from the claim.
    #[error("selector claim has no key")]
    Claim,
}

/// A selector as records carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Selector {
    /// The masked ordinal.
    pub ordinal: Ordinal,
    /// The claim's r || s, 20 bytes each.
    pub r_s: [u8; 40],
    /// The claim's parity of R's y, 0 or 1.
    pub parity: u8,
}

/// What a selector stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecoveredSelector {
    /// The compressed key of the name.
    pub id: [u8; SELECTOR_ID_BYTES],
    /// The key of the name and the ordinal.
    pub key: SelectorKey,
}

impl Selector {
    /// The serialized form: `(parity << 4) | type`, the ordinal, r || s.
    pub fn to_bytes(&self) -> [u8; SELECTOR_BYTES] {
        let mut bytes = [0; SELECTOR_BYTES];
        bytes[0] = self.parity << 4;
        bytes[1..17].copy_from_slice(&self.ordinal.0);
        bytes[17..].copy_from_slice(&self.r_s);
        bytes
    }

    /// Reads the serialized form.
    ///
    /// # Errors
    /// A type other than 0, or a parity above 1. The claim is looked at by [`recover`](Self::recover) alone.
    pub fn from_bytes(bytes: &[u8; SELECTOR_BYTES]) -> Result<Self, SelectorError> {
        let (parity, ty) = (bytes[0] >> 4, bytes[0] & 0xf);
        if ty != 0 {
            return Err(SelectorError::Type(ty));
        }
        if parity > 1 {
            return Err(SelectorError::Parity(parity));
        }
        let mut selector = Self { ordinal: Ordinal::default(), r_s: [0; 40], parity };
        selector.ordinal.0.copy_from_slice(&bytes[1..17]);
        selector.r_s.copy_from_slice(&bytes[17..]);
        Ok(selector)
    }

    /// Reads the claim as JSON has it: r || s || parity.
    ///
    /// # Errors
    /// A parity above 1.
    pub fn from_claim(ordinal: Ordinal, claim: &[u8; CLAIM_BYTES]) -> Result<Self, SelectorError> {
        let mut selector = Self { ordinal, r_s: [0; 40], parity: claim[40] };
        if selector.parity > 1 {
            return Err(SelectorError::Parity(selector.parity));
        }
        selector.r_s.copy_from_slice(&claim[..40]);
        Ok(selector)
    }

    /// The claim as JSON has it: r || s || parity.
    pub fn claim_bytes(&self) -> [u8; CLAIM_BYTES] {
        let mut bytes = [0; CLAIM_BYTES];
        bytes[..40].copy_from_slice(&self.r_s);
        bytes[40] = self.parity;
        bytes
    }

    /// Recovers the id and the key from the claim over a record's body hash.
    ///
    /// # Errors
    /// [`SelectorError::Claim`] if there is none; such a record is invalid.
    pub fn recover(&self, body_hash: &[u8; 48]) -> Result<RecoveredSelector, SelectorError> {
        let digest = claim_digest(body_hash, &self.ordinal);
        let key = curve::p160::recover_one(&digest, &self.r_s, self.parity);
        key.map(|key| self.recovered(&key)).ok_or(SelectorError::Claim)
    }

    fn recovered(&self, key: &PublicPoint<20>) -> RecoveredSelector {
        RecoveredSelector { id: id(key), key: add_ordinal(&key.key_hash(), &self.ordinal) }
    }
}

/// [`Selector::recover`] for many at once, which share their inversions.
pub fn recover_all(selectors: &[(Selector, [u8; 48])]) -> Vec<Result<RecoveredSelector, SelectorError>> {
    let digests: Vec<_> =
        selectors.iter().map(|(selector, body_hash)| claim_digest(body_hash, &selector.ordinal)).collect();
    let signed: Vec<_> = selectors
        .iter()
        .zip(&digests)
        .map(|((selector, _), digest)| (Signed { digest, r_s: &selector.r_s }, selector.parity))
        .collect();
    let keys = curve::p160::recover_each(&signed);
    let recovered = |((selector, _), key): (&(Selector, _), Option<PublicPoint<20>>)| {
        key.map(|key| selector.recovered(&key)).ok_or(SelectorError::Claim)
    };
    selectors.iter().zip(keys).map(recovered).collect()
}

/// A name's key pair and ordinals. As secret as the name: wiped on drop.
pub struct SelectorName {
    secret: SecretP160,
    id: [u8; SELECTOR_ID_BYTES],
    key_hash: [u8; 32],
    /// Enough to make the ordinals' alphabets from, which is left until one is needed.
    name_hash: Zeroizing<[u8; 64]>,
    mask: OnceLock<OrdinalMask>,
}

impl SelectorName {
    /// Derives the key pair of a name, of any length.
    pub fn new(name: &[u8]) -> Self {
        Self::with_hash(name, ordinal::name_hash(name))
    }

    /// [`new`](Self::new), for a name whose hash is known.
    fn with_hash(name: &[u8], name_hash: Zeroizing<[u8; 64]>) -> Self {
        let secret = SecretP160::from_seed(name);
        let public = secret.public();
        Self { id: id(&public), key_hash: public.key_hash(), secret, name_hash, mask: OnceLock::new() }
    }

    /// The selector id of the name: its compressed key.
    pub const fn id(&self) -> [u8; SELECTOR_ID_BYTES] {
        self.id
    }

    /// The hash of the name's key, the key of a selector before its ordinal is added.
    pub const fn key_hash(&self) -> &[u8; 32] {
        &self.key_hash
    }

    /// The masked form of an ordinal under this name. The first call makes the name's alphabets.
    ///
    /// # Errors
    /// For the rare ordinal that the name cannot mask.
    pub fn ordinal(&self, ordinal: u64) -> Result<Ordinal, OrdinalError> {
        self.mask().mask(ordinal)
    }

    /// The name's ordinal alphabets.
    pub fn mask(&self) -> &OrdinalMask {
        self.mask.get_or_init(|| OrdinalMask::from_name_hash(&self.name_hash))
    }

    /// The key of the name with an ordinal.
    ///
    /// # Errors
    /// As [`ordinal`](Self::ordinal).
    pub fn key(&self, ordinal: u64) -> Result<SelectorKey, OrdinalError> {
        Ok(add_ordinal(&self.key_hash, &self.ordinal(ordinal)?))
    }

    /// Claims the name with an ordinal for the record with this body hash. Deterministic, s ≤ n/2.
    ///
    /// # Errors
    /// As [`ordinal`](Self::ordinal).
    pub fn claim(&self, body_hash: &[u8; 48], ordinal: u64) -> Result<Selector, OrdinalError> {
        let ordinal = self.ordinal(ordinal)?;
        let (r_s, parity) = self.secret.sign(&claim_digest(body_hash, &ordinal));
        Ok(Selector { ordinal, r_s, parity })
    }
}

impl fmt::Debug for SelectorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectorName").finish_non_exhaustive()
    }
}

/// Adds a masked ordinal to a key hash, with the reference's odd carries (PROTOCOL.md §6).
pub fn add_ordinal(key_hash: &[u8; 32], ordinal: &Ordinal) -> SelectorKey {
    let word = |bytes: &[u8], i: usize| {
        bytes[8 * i..8 * i + 8].iter().fold(0, |word: u64, byte| (word << 8) | u64::from(*byte))
    };
    let [mut a, b, c, d] = std::array::from_fn(|i| word(key_hash, i));
    let (low, carry) = d.overflowing_add(word(&ordinal.0, 1));
    let (c_carried, carry) = c.overflowing_add(u64::from(carry));
    let (mut b_carried, _) = b.overflowing_add(u64::from(carry));
    let e = c_carried.wrapping_add(word(&ordinal.0, 0));
    // Compared with C as it was before the carry, which counts one carry twice if C is all ones.
    if e < c {
        b_carried = b_carried.wrapping_add(1);
        a = a.wrapping_add(u64::from(b_carried < b));
    }
    let mut key = [0; 32];
    for (bytes, word) in key.chunks_exact_mut(8).zip([a, b_carried, e, low]) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    SelectorKey(key)
}

/// What a claim signs.
fn claim_digest(body_hash: &[u8; 48], ordinal: &Ordinal) -> [u8; 32] {
    Sha256::new().chain_update(body_hash).chain_update(ordinal.0).finalize().into()
}

/// The compressed form of a key.
fn id(key: &PublicPoint<20>) -> [u8; SELECTOR_ID_BYTES] {
    let mut id = [0; SELECTOR_ID_BYTES];
    id[0] = 2 | u8::from(key.y_is_odd());
    id[1..].copy_from_slice(&key.x);
    id
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn claims_recover_to_their_name(name: Vec<u8>, seed: u8, ordinal: u64) {
            let body_hash = [seed; 48];
            let name = SelectorName::new(&name);
            let selector = name.claim(&body_hash, ordinal).unwrap();
            let selector = Selector::from_bytes(&selector.to_bytes()).unwrap();
            let expected = RecoveredSelector { id: name.id(), key: name.key(ordinal).unwrap() };
            prop_assert_eq!(selector.recover(&body_hash), Ok(expected));
            prop_assert_eq!(recover_all(&[(selector, body_hash)]), vec![Ok(expected)]);
            prop_assert_eq!(name.mask().unmask(&selector.ordinal), Ok(ordinal));
        }
    }

    #[test]
    fn a_batch_recovers_like_one_at_a_time() {
        let name = SelectorName::new(b"batch");
        let mut batch: Vec<_> = (0..6).map(|i| (name.claim(&[i; 48], 1).unwrap(), [i; 48])).collect();
        batch[1].0.r_s[..20].fill(0);
        batch[3].0.r_s[20..].fill(0xff);
        batch[4].0.parity = 2;
        let alone: Vec<_> = batch.iter().map(|(selector, hash)| selector.recover(hash)).collect();
        assert_eq!(recover_all(&batch), alone);
        let lost: Vec<_> = (0..6).filter(|i| alone[*i].is_err()).collect();
        assert_eq!(lost, [1, 3, 4]);
    }
}
