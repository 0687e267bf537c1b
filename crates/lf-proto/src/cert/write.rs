//! Writing DER: the few forms that certificates, requests and CRLs are made of. What is written is short and made
//! here, so lengths above four bytes do not occur.

use std::time::Duration;

use sha2::{Digest, Sha256, Sha384};
use x509_cert::der::asn1::{GeneralizedTime, ObjectIdentifier, UtcTime};
use x509_cert::der::{self, Encode};

use super::signature::{EC_PUBLIC_KEY, ECDSA_SHA256, ECDSA_SHA384, ED25519, P224, P384};
use crate::owner::{OwnerKey, OwnerSecret};

pub(super) const BOOLEAN: u8 = 1;
pub(super) const INTEGER: u8 = 2;
pub(super) const BIT_STRING: u8 = 3;
pub(super) const OCTET_STRING: u8 = 4;
pub(super) const OBJECT_IDENTIFIER: u8 = 6;
pub(super) const ENUMERATED: u8 = 10;
pub(super) const UTF8_STRING: u8 = 12;
pub(super) const PRINTABLE_STRING: u8 = 19;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
/// Context-specific tags, constructed and primitive.
pub(super) const CONTEXT_CONSTRUCTED: u8 = 0xa0;
pub(super) const CONTEXT: u8 = 0x80;

/// 9999-12-31T23:59:59Z, the last time that can be written.
pub(super) const TIME_SECS_MAX: u64 = 253_402_300_799;
/// 2050-01-01, from which on times are GeneralizedTime.
const GENERALIZED_FROM_SECS: u64 = 2_524_608_000;

/// A value: its tag, its length and its parts in a row.
pub(super) fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match content.len() {
        short @ 0..=0x7f => out.push(short as u8),
        long => {
            let bytes = long.to_be_bytes();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            out.push(0x80 | (bytes.len() - zeros) as u8);
            out.extend_from_slice(&bytes[zeros..]);
        }
    }
    out.extend_from_slice(&content);
    out
}

/// A non-negative INTEGER from its big-endian bytes.
pub(super) fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let minimal = &bytes[zeros..];
    match minimal.first() {
        Some(first) if *first < 0x80 => value(INTEGER, &[minimal]),
        _ => value(INTEGER, &[&[0], minimal]),
    }
}

/// A BIT STRING of whole bytes.
pub(super) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    value(BIT_STRING, &[&[0], bytes])
}

pub(super) fn oid(oid: ObjectIdentifier) -> Vec<u8> {
    value(OBJECT_IDENTIFIER, &[oid.as_bytes()])
}

/// A time: UTCTime before 2050, then GeneralizedTime (RFC 5280 §4.1.2.5); after 9999, its end.
pub(super) fn time(secs: u64) -> Vec<u8> {
    let since_1970 = Duration::from_secs(secs.min(TIME_SECS_MAX));
    let written: der::Result<Vec<u8>> = if secs < GENERALIZED_FROM_SECS {
        UtcTime::from_unix_duration(since_1970).and_then(|time| time.to_der())
    } else {
        GeneralizedTime::from_unix_duration(since_1970).and_then(|time| time.to_der())
    };
    // Every time up to 9999 can be written.
    written.unwrap_or_default()
}

/// An extension; `content` is DER.
pub(super) fn extension(id: ObjectIdentifier, critical: bool, content: &[u8]) -> Vec<u8> {
    let flag = if critical { value(BOOLEAN, &[&[0xff]]) } else { Vec::new() };
    value(SEQUENCE, &[&oid(id), &flag, &value(OCTET_STRING, &[content])])
}

/// The SubjectPublicKeyInfo of a key.
pub(super) fn public_key_info(key: &OwnerKey) -> Vec<u8> {
    let (algorithm, point) = match key {
        OwnerKey::P224(point) => {
            ([oid(EC_PUBLIC_KEY), oid(P224)].concat(), [&[4][..], &point.x, &point.y].concat())
        }
        OwnerKey::P384(point) => {
            ([oid(EC_PUBLIC_KEY), oid(P384)].concat(), [&[4][..], &point.x, &point.y].concat())
        }
        OwnerKey::Ed25519(bytes) => (oid(ED25519), bytes.to_vec()),
    };
    value(SEQUENCE, &[&value(SEQUENCE, &[&algorithm]), &bit_string(&point)])
}

/// The identifier of a key, for subjectKeyIdentifier (RFC 7093 §2, method 1).
pub(super) fn key_identifier(key: &OwnerKey) -> [u8; 20] {
    let hash: [u8; 32] = match key {
        OwnerKey::P224(point) => Sha256::new().chain_update([4]).chain_update(point.x).chain_update(point.y),
        OwnerKey::P384(point) => Sha256::new().chain_update([4]).chain_update(point.x).chain_update(point.y),
        OwnerKey::Ed25519(bytes) => Sha256::new().chain_update(bytes),
    }
    .finalize()
    .into();
    let mut identifier = [0; 20];
    identifier.copy_from_slice(&hash[..20]);
    identifier
}

/// The AlgorithmIdentifier of what a key signs with: P-224 SHA-256, P-384 SHA-384, Ed25519.
pub(super) fn algorithm_of(key: &OwnerKey) -> Vec<u8> {
    value(
        SEQUENCE,
        &[&oid(match key {
            OwnerKey::P224(_) => ECDSA_SHA256,
            OwnerKey::P384(_) => ECDSA_SHA384,
            OwnerKey::Ed25519(_) => ED25519,
        })],
    )
}

/// Signs a body: `SEQUENCE { body, algorithm, BIT STRING }`.
pub(super) fn signed(body: &[u8], key: &OwnerSecret) -> Vec<u8> {
    let ecdsa = |r_s: &[u8]| {
        let (r, s) = r_s.split_at(r_s.len() / 2);
        value(SEQUENCE, &[&integer(r), &integer(s)])
    };
    let public = key.public_key();
    let signature = match public {
        OwnerKey::P224(_) => ecdsa(&key.sign_prehash(&Sha256::digest(body))),
        OwnerKey::P384(_) => ecdsa(&key.sign_prehash(&Sha384::digest(body))),
        OwnerKey::Ed25519(_) => key.sign_prehash(body),
    };
    value(SEQUENCE, &[body, &algorithm_of(&public), &bit_string(&signature)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_lengths() {
        assert_eq!(integer(&[]), [2, 1, 0]);
        assert_eq!(integer(&[0, 0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(value(OCTET_STRING, &[&[7; 127]])[..2], [4, 127]);
        assert_eq!(value(OCTET_STRING, &[&[7; 128]])[..3], [4, 0x81, 128]);
        assert_eq!(value(OCTET_STRING, &[&[7; 100], &[7; 400]])[..4], [4, 0x82, 1, 244]);
    }

    #[test]
    fn times() {
        assert_eq!(time(0), b"\x17\x0d700101000000Z");
        assert_eq!(time(GENERALIZED_FROM_SECS - 1), b"\x17\x0d491231235959Z");
        assert_eq!(time(GENERALIZED_FROM_SECS), b"\x18\x0f20500101000000Z");
        assert_eq!(time(u64::MAX), b"\x18\x0f99991231235959Z");
    }
}
