//! Owners (PROTOCOL.md §4): who signs records. Their public bytes, their private keys in every form these
//! are stored in, signing and verification.
//!
//! Signing and key generation use constant-time library code and deterministic nonces; verification works
//! on public data and is variable-time. What a signature is made over is the record's business.

mod public;
mod secret;

use std::fmt;
use std::str::FromStr;

pub use public::{OwnerPublic, OwnerSignature, SignatureError, verify_all};
pub use secret::{OwnerKey, OwnerSecret};

/// The kinds of owners. The order of the type ids is the order of the variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnerType {
    /// NIST P-224: small records.
    P224,
    /// NIST P-384: passphrases and certification authorities.
    P384,
    /// Ed25519.
    Ed25519,
}

impl OwnerType {
    /// Every type, in the order of their ids.
    pub const ALL: [Self; 3] = [Self::P224, Self::P384, Self::Ed25519];

    /// The type id: 1, 2 or 3.
    pub const fn id(self) -> u8 {
        match self {
            Self::P224 => 1,
            Self::P384 => 2,
            Self::Ed25519 => 3,
        }
    }

    /// The type of an id.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|ty| ty.id() == id)
    }

    /// Bytes of an owner's public form: 14, 24 or 32.
    pub const fn public_bytes(self) -> usize {
        match self {
            Self::P224 => 14,
            Self::P384 => 24,
            Self::Ed25519 => 32,
        }
    }

    /// Bytes of a signature: 56, 96 or 64.
    pub const fn signature_bytes(self) -> usize {
        match self {
            Self::P224 => 56,
            Self::P384 => 96,
            Self::Ed25519 => 64,
        }
    }

    /// The type that the length of an owner's public bytes tells.
    pub fn from_public_len(len: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|ty| ty.public_bytes() == len)
    }

    /// The name: `p224`, `p384` or `ed25519`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P224 => "p224",
            Self::P384 => "p384",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl fmt::Display for OwnerType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for OwnerType {
    type Err = OwnerError;

    /// Reads the names in any letter case, `p-224` and `p-384` too, with white space around them.
    fn from_str(text: &str) -> Result<Self, OwnerError> {
        match text.trim().to_ascii_lowercase().as_str() {
            "p224" | "p-224" => Ok(Self::P224),
            "p384" | "p-384" => Ok(Self::P384),
            "ed25519" => Ok(Self::Ed25519),
            _ => Err(OwnerError::Type),
        }
    }
}

/// Why something is no owner or no owner's private key. Never contains any of a private key's bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OwnerError {
    /// Public bytes of a length that no type has.
    #[error("owner of {0} bytes: must be 14 (p224), 24 (p384) or 32 (ed25519)")]
    PublicLength(usize),
    /// A text that does not begin with `@`.
    #[error("owner must begin with @")]
    Prefix,
    /// A text that is not base62 behind its `@`.
    #[error("owner: {0}")]
    Base62(#[from] crate::base62::Base62Error),
    /// The name of no owner type.
    #[error("owner type must be p224, p384 or ed25519")]
    Type,
    /// Private bytes that do not begin with a type id.
    #[error("owner private key has no known type id")]
    PrivateType,
    /// A private key that is not in the form of its type, or contradicts itself.
    #[error("owner private key is not a valid {0} key")]
    Private(OwnerType),
    /// Text that is no PEM of an owner's private key.
    #[error("owner private key is not PEM of type LF OWNER PRIVATE KEY")]
    Pem,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn types_by_name_id_and_length() {
        for ty in OwnerType::ALL {
            assert_eq!(ty.to_string().parse(), Ok(ty));
            assert_eq!(ty.to_string().to_uppercase().parse(), Ok(ty));
            assert_eq!(OwnerType::from_id(ty.id()), Some(ty));
            assert_eq!(OwnerType::from_public_len(ty.public_bytes()), Some(ty));
        }
        assert_eq!("P-384".parse(), Ok(OwnerType::P384));
        assert_eq!("p256".parse::<OwnerType>(), Err(OwnerError::Type));
        assert_eq!(OwnerType::from_id(0), None);
        assert_eq!(OwnerType::from_public_len(0), None);
    }
}
