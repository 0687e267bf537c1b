//! Record hashes: 32 bytes, written `=base62`.

use std::fmt;

/// The hash of a record: `[u8; 32]` (PROTOCOL.md §7). Written `=` and base62 everywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The raw 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "={}", crate::base62::encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// It does not begin with `=`.
    #[error("a record hash begins with =")]
    Prefix,
    /// What follows is not 32 bytes of base62.
    #[error("record hash: {0}")]
    Base62(#[from] crate::base62::Base62Error),
}

impl std::str::FromStr for Hash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        let encoded = text.strip_prefix('=').ok_or(HashError::Prefix)?;
        Ok(Hash(crate::base62::decode_exact(encoded)?))
    }
}
