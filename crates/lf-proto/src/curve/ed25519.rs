//! Ed25519 signatures (RFC 8032): s below the order, R′ = sB − kA without cofactor, and R compared by its bytes.
//!
//! The library's check defines what is accepted: keys may be encoded with a y that is not reduced, and may have a small
//! order; an R that is not what R′ encodes to is never accepted. Batches are computed eight at a time (`lanes`) where
//! the processor can, each signature by that same equation: one for the whole batch would accept others.

use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use sha2::{Digest, Sha512};

use super::field::{Element, Modulus, less};
use super::lanes::{self, Simd, ed25519::Equation};
use super::params::Ed25519Order;

/// A signature to verify.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The encoded public key.
    pub key: &'a [u8; 32],
    /// The message.
    pub message: &'a [u8],
    /// R || s. Any length but 64 bytes is no signature.
    pub signature: &'a [u8],
}

/// Whether a signature is good.
pub fn verify(signed: &Signed<'_>) -> bool {
    let (Ok(key), Ok(signature)) =
        (VerifyingKey::from_bytes(signed.key), Signature::from_slice(signed.signature))
    else {
        return false;
    };
    key.verify(signed.message, &signature).is_ok()
}

/// [`verify`] for many at once.
pub fn verify_each(signed: &[Signed<'_>]) -> Vec<bool> {
    #[cfg(target_arch = "x86_64")]
    if signed.len() >= lanes::BATCH_MIN
        && let Some(simd) = lanes::Avx512::detect()
    {
        // A single one at the end is better off alone.
        let alone =
            usize::from(signed.len() % lanes::LANES < lanes::BATCH_MIN) * (signed.len() % lanes::LANES);
        let (in_lanes, alone) = signed.split_at(signed.len() - alone);
        let mut verdicts = verify_in_lanes(simd, in_lanes);
        verdicts.extend(verify_one_by_one(alone));
        return verdicts;
    }
    verify_one_by_one(signed)
}

/// [`verify_each`] by the library.
pub(super) fn verify_one_by_one(signed: &[Signed<'_>]) -> Vec<bool> {
    signed.iter().map(verify).collect()
}

/// [`verify_each`] eight at a time.
pub(super) fn verify_in_lanes<S: Simd>(simd: S, signed: &[Signed<'_>]) -> Vec<bool> {
    let equations: Vec<_> = signed.iter().map(equation).collect();
    // Those that are none are not worked on.
    let some: Vec<_> = equations.iter().flatten().map(|(_, equation)| *equation).collect();
    let mut encodings = lanes::ed25519::solve(simd, &some).into_iter();
    let is_good = |equation: &Option<([u64; 4], Equation)>| {
        equation.as_ref().is_some_and(|(r, _)| encodings.next().flatten() == Some(*r))
    };
    equations.iter().map(is_good).collect()
}

/// R, and what it must be the encoding of; None if the length or s is out of bounds.
fn equation(signed: &Signed<'_>) -> Option<([u64; 4], Equation)> {
    let [r, s]: &[[u8; 32]; 2] = signed.signature.as_chunks().0.try_into().ok()?;
    let s = Some(integer(s)).filter(|s| signed.signature.len() == 64 && less(s, &Ed25519Order::P))?;
    let hash = Sha512::new().chain_update(r).chain_update(signed.key).chain_update(signed.message).finalize();
    Some((integer(r), Equation { key: integer(signed.key), s, k: reduced(&hash.into()) }))
}

/// An integer from its bytes, little-endian.
fn integer(bytes: &[u8; 32]) -> [u64; 4] {
    let mut integer = [0; 4];
    for (word, bytes) in integer.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    integer
}

/// A hash as an integer, little-endian, modulo the order.
fn reduced(hash: &[u8; 64]) -> [u64; 4] {
    type Scalar = Element<Ed25519Order, 4>;
    let (low, high) = hash.split_at(32);
    let half = |half: &[u8]| {
        half.try_into().map_or(Scalar::ZERO, |half| Scalar::from_integer_below_r(&integer(half)))
    };
    // 2²⁵⁶ modulo the order is what Montgomery's form has for 1.
    let above = half(high).mul(&Scalar::from_integer_below_r(&Ed25519Order::R));
    half(low).add(&above).to_integer()
}
