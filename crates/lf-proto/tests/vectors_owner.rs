//! `owner.json`. Where the reference crashes, computes with r or s outside of [1, n − 1], takes infinity for a
//! key, or does not look at a type id, PROTOCOL.md §3 and §4 decide, by rules on the case's own inputs.
#![allow(clippy::unwrap_used)]

#[path = "support/vectors.rs"]
mod vectors;

use lf_proto::base62;
use lf_proto::curve::{self, PublicPoint};
use lf_proto::owner::{OwnerKey, OwnerPublic, OwnerSecret, OwnerSignature, OwnerType, verify_all};
use serde_json::Value;
use vectors::{bytes, number, report, text};

const ORDER_P224: &str = "ffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3d";
const ORDER_P384: &str =
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";

fn order(ty: OwnerType) -> Vec<u8> {
    match ty {
        OwnerType::P224 => vectors::unhex(ORDER_P224),
        OwnerType::P384 => vectors::unhex(ORDER_P384),
        OwnerType::Ed25519 => panic!("no ECDSA order"),
    }
}

fn owner_type(case: &Value) -> OwnerType {
    text(case, "owner_type").parse().unwrap()
}

fn from_seed(case: &Value) {
    let secret = OwnerSecret::from_seed(owner_type(case), &bytes(case, "seed"));
    assert_eq!(secret.public().as_bytes(), bytes(case, "public"), "{case}");
    assert_eq!(secret.public().to_string(), text(case, "string"), "{case}");
    assert_eq!(u64::from(secret.public().owner_type().id()), number(case, "type_byte"), "{case}");
    assert_eq!(*secret.to_bytes(), bytes(case, "private_bytes"), "{case}");
    assert_eq!(*secret.to_pem(), text(case, "private_pem"), "{case}");
    assert_eq!(secret.private_hash()[..], bytes(case, "private_hash"), "{case}");
    let compressed = match secret.public_key() {
        OwnerKey::P224(point) => point.compressed(),
        OwnerKey::P384(point) => point.compressed(),
        OwnerKey::Ed25519(_) => Vec::new(),
    };
    if case.get("public_key_compressed").is_some() {
        assert_eq!(compressed, bytes(case, "public_key_compressed"), "{case}");
    }
    for again in [
        OwnerSecret::from_bytes(&bytes(case, "private_bytes")).unwrap(),
        OwnerSecret::from_pem(text(case, "private_pem")).unwrap(),
    ] {
        assert_eq!(again.public(), secret.public(), "{case}");
        assert_eq!(again.to_bytes(), secret.to_bytes(), "{case}");
    }
}

/// A signature of the reference verifies, and so does ours over the same digest, in the low form.
fn sign(case: &Value) {
    let secret = OwnerSecret::from_seed(owner_type(case), &bytes(case, "seed"));
    assert_eq!(secret.public().as_bytes(), bytes(case, "public"), "{case}");
    let digest = bytes(case, "hash");
    assert_eq!(case["verify"], true, "{case}");
    assert_eq!(secret.public().verify_prehash(&digest, &bytes(case, "signature"), false), Ok(()), "{case}");
    let ours = secret.sign_prehash(&digest);
    assert_eq!(ours, secret.sign_prehash(&digest), "deterministic");
    assert_eq!(secret.public().verify_prehash(&digest, &ours, true), Ok(()), "{case}");
    if owner_type(case) == OwnerType::Ed25519 {
        assert_eq!(ours, bytes(case, "signature"), "{case}");
    }
}

/// 2s > n, in big-endian digits.
fn is_high(s: &[u8], n: &[u8]) -> bool {
    let mut doubled: Vec<u8> = Vec::with_capacity(s.len() + 1);
    doubled.push(s[0] >> 7);
    doubled.extend(s.windows(2).map(|pair| (pair[0] << 1) | (pair[1] >> 7)));
    doubled.push(s[s.len() - 1] << 1);
    doubled[0] != 0 || doubled[1..] > *n
}

/// The bytes of the owner that is the hash of infinity, which the reference writes as (0, 0).
fn null_owner(ty: OwnerType) -> Vec<u8> {
    let hash = match ty {
        OwnerType::P224 => PublicPoint { x: [0; 28], y: [0; 28] }.key_hash(),
        OwnerType::P384 => PublicPoint { x: [0; 48], y: [0; 48] }.key_hash(),
        OwnerType::Ed25519 => panic!("no hash"),
    };
    hash[..ty.public_bytes()].to_vec()
}

/// (our verdict, our strict verdict) by the rules.
fn rule(case: &Value) -> (bool, bool) {
    // A crash of the reference is a refusal, and so is a null verdict.
    if !case["panic"].is_null() || case["verify"] != true {
        return (false, false);
    }
    let ty = owner_type(case);
    if ty == OwnerType::Ed25519 {
        return (true, true);
    }
    let (n, signature) = (order(ty), bytes(case, "signature"));
    let (r, s) = signature.split_at(n.len());
    let in_range = |scalar: &[u8]| scalar.iter().any(|byte| *byte != 0) && scalar < n.as_slice();
    let valid = in_range(r) && in_range(s) && bytes(case, "public") != null_owner(ty);
    (valid, valid && !is_high(s, &n))
}

fn verify_variant(case: &Value) {
    let (hash, signature) = (bytes(case, "hash"), bytes(case, "signature"));
    let Ok(owner) = OwnerPublic::from_bytes(&bytes(case, "public")) else {
        assert_eq!(rule(case), (false, false), "{case}");
        return;
    };
    let verdict = |strict| owner.verify_prehash(&hash, &signature, strict).is_ok();
    assert_eq!((verdict(false), verdict(true)), rule(case), "{case}");
    if let Ok(digest) = <[u8; 48]>::try_from(hash.as_slice()) {
        let one = OwnerSignature { owner, digest: &digest, signature: &signature };
        for strict in [false, true] {
            let alone = owner.verify(&digest, &signature, strict);
            assert_eq!(alone.is_ok(), verdict(strict), "{case}");
            assert_eq!(verify_all(&[one], strict), [alone], "{case}");
        }
    }
}

/// A signature is valid under a known key if that key is one of its candidates.
fn ecdsa_verify_with_public_key(case: &Value) {
    let (hash, signature) = (bytes(case, "hash"), bytes(case, "signature"));
    let compressed: Vec<Vec<u8>> = match owner_type(case) {
        OwnerType::P224 => curve::p224::recover_pair(&hash, &signature)
            .iter()
            .flatten()
            .map(PublicPoint::compressed)
            .collect(),
        OwnerType::P384 => curve::p384::recover_pair(&hash, &signature)
            .iter()
            .flatten()
            .map(PublicPoint::compressed)
            .collect(),
        OwnerType::Ed25519 => panic!("not ECDSA"),
    };
    assert_eq!(compressed.contains(&bytes(case, "public_key_compressed")), case["verify"] == true, "{case}");
}

fn import_private(case: &Value) {
    let input = bytes(case, "bytes");
    let ours = OwnerSecret::parse(&input);
    if case["public"].is_null() {
        assert!(ours.is_err(), "{case}");
        return;
    }
    // The reference looks neither at the type id of an ECDSA key nor at the public half of an Ed25519 one.
    let public = OwnerPublic::from_bytes(&bytes(case, "public")).unwrap();
    let is_pem = input.windows(11).any(|window| window == b"-----BEGIN ");
    let consistent = is_pem
        || (input[0] == public.owner_type().id()
            && (public.owner_type() != OwnerType::Ed25519 || {
                let seed: [u8; 32] = input[1..33].try_into().unwrap();
                ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key().as_bytes()[..] == input[33..]
            }));
    assert_eq!(ours.is_ok(), consistent, "{case}");
    if let Ok(ours) = ours {
        assert_eq!(*ours.public(), public, "{case}");
        assert!(is_pem || *ours.to_bytes() == input, "{case}");
    }
}

fn passphrase(case: &Value) {
    let (secret, masking_key) = OwnerSecret::from_passphrase(text(case, "passphrase").as_bytes());
    assert_eq!(secret.public().owner_type(), owner_type(case), "{case}");
    assert_eq!(secret.public().as_bytes(), bytes(case, "public"), "{case}");
    assert_eq!(secret.public().to_string(), text(case, "string"), "{case}");
    assert_eq!(*secret.to_bytes(), bytes(case, "private_bytes"), "{case}");
    assert_eq!(masking_key[..], bytes(case, "masking_key"), "{case}");
}

/// The reference takes every unknown name for p224; we refuse them.
fn owner_type_from_string(case: &Value) {
    let name = text(case, "text").trim().to_lowercase().replace('-', "");
    let known = ["p224", "p384", "ed25519"].contains(&name.as_str());
    let ours = text(case, "text").parse::<OwnerType>();
    assert_eq!(ours.is_ok(), known, "{case}");
    if let Ok(ours) = ours {
        assert_eq!(u64::from(ours.id()), number(case, "type_byte"), "{case}");
    }
}

/// The reference skips foreign characters and takes any length; we refuse both.
fn owner_public_from_string(case: &Value) {
    let input = text(case, "text");
    let strict = input.strip_prefix('@').filter(|rest| rest.chars().all(|c| c.is_ascii_alphanumeric()));
    let good = strict.is_some() && [14, 24, 32].contains(&bytes(case, "bytes").len());
    let ours = input.parse::<OwnerPublic>();
    assert_eq!(ours.is_ok(), good, "{case}");
    if let Ok(ours) = ours {
        assert_eq!(ours.as_bytes(), bytes(case, "bytes"), "{case}");
        assert_eq!(ours.to_string(), format!("@{}", base62::encode(&bytes(case, "bytes"))), "{case}");
    }
}

#[test]
fn owners() {
    let cases = vectors::load("owner.json");
    for case in &cases {
        match text(case, "type") {
            "from_seed" => from_seed(case),
            "sign" => sign(case),
            "verify_variant" => verify_variant(case),
            "ecdsa_verify_with_public_key" => ecdsa_verify_with_public_key(case),
            "import_private" => import_private(case),
            "passphrase" => passphrase(case),
            "owner_type_from_string" => owner_type_from_string(case),
            "owner_public_from_string" => owner_public_from_string(case),
            other => panic!("unknown type {other}"),
        }
    }
    report("owner.json", cases.len());
}
