//! Secret scalars: how they are drawn from a stream of bytes (PROTOCOL.md §2), and brainpoolP160t1 in
//! constant time, which no library has. It is put together from `primefield` (Montgomery arithmetic of
//! `crypto-bigint`) and `primeorder` (complete formulas, constant-time scalar multiplication).

mod p160;

#[cfg(test)]
pub(crate) use p160::P160;
pub(crate) use p160::SecretP160;

use ecdsa::hazmat::sign_prehashed_rfc6979;
use ecdsa::{EcdsaCurve, RecoveryId, Signature};
use elliptic_curve::bigint::{NonZero, U512};
use elliptic_curve::{CurveArithmetic, NonZeroScalar};
use sha2::digest::Digest;
use sha2::digest::block_api::BlockSizeUser;
use zeroize::Zeroizing;

/// Draws a private scalar of a curve whose order takes `BYTES` bytes: BYTES + 8 bytes of the stream as a
/// big-endian integer, modulo n − 1, plus 1.
pub(crate) fn draw_scalar<const BYTES: usize>(
    order: &[u8; BYTES],
    random: &mut dyn FnMut(&mut [u8]),
) -> Zeroizing<[u8; BYTES]> {
    const WIDE_BYTES: usize = U512::BYTES;
    const { assert!(BYTES + 8 <= WIDE_BYTES) };
    let mut wide = Zeroizing::new([0; WIDE_BYTES]);
    random(&mut wide[WIDE_BYTES - BYTES - 8..]);
    let k = Zeroizing::new(U512::from_be_slice(&*wide));
    wide.fill(0);
    wide[WIDE_BYTES - BYTES..].copy_from_slice(order);
    let order_less_one = U512::from_be_slice(&*wide).wrapping_sub(&U512::ONE);
    // An order is never 1.
    let modulus = NonZero::new(order_less_one).unwrap_or(NonZero::<U512>::ONE);
    let scalar = Zeroizing::new(k.rem(&modulus).wrapping_add(&U512::ONE));
    wide.copy_from_slice(&scalar.to_be_bytes());
    let mut out = Zeroizing::new([0; BYTES]);
    out.copy_from_slice(&wide[WIDE_BYTES - BYTES..]);
    out
}

/// Signs a digest with a deterministic nonce (RFC 6979 with the hash `H`) and a low s (s ≤ n/2).
/// The parity is that of the R that a verifier of the low form recovers the key from.
pub(crate) fn sign<C, H>(secret: &NonZeroScalar<C>, digest: &[u8]) -> (Signature<C>, u8)
where
    C: EcdsaCurve + CurveArithmetic,
    H: Digest + BlockSizeUser,
{
    let (signature, id): (Signature<C>, RecoveryId) = sign_prehashed_rfc6979::<C, H>(secret, digest, &[]);
    let low = signature.normalize_s();
    // Negating s negates R, hence the parity of its y. Libraries do both already for some curves.
    let negated = u8::from(low != signature);
    (low, u8::from(id.is_y_odd()) ^ negated)
}
