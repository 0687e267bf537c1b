//! How bytes, hashes, owners and ordinals look in JSON (PROTOCOL.md §1).

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base62;
use crate::hash::Hash;
use crate::ordinal::Ordinal;
use crate::owner::OwnerPublic;

/// The mark before base62 text in a JSON string: U+0008, JSON `\b`.
const MARK: char = '\u{8}';

/// The most bytes an array of numbers may have: what a record can hold.
const ARRAY_BYTES_MAX: usize = crate::record::RECORD_BYTES_MAX;

/// A byte string in JSON: text if it is valid UTF-8 that does not begin with U+0008, else `\b` and base62. An array of
/// numbers and `null` (empty) are read too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Blob(pub Vec<u8>);

impl Blob {
    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text of the JSON string.
    pub fn to_text(&self) -> String {
        match std::str::from_utf8(&self.0) {
            Ok(text) if !text.starts_with(MARK) => text.to_owned(),
            _ => format!("{MARK}{}", base62::encode(&self.0)),
        }
    }
}

impl zeroize::Zeroize for Blob {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Blob(bytes)
    }
}

impl From<&[u8]> for Blob {
    fn from(bytes: &[u8]) -> Self {
        Blob(bytes.to_vec())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

/// Reads a string by `text`, an array of numbers, or null.
struct BytesVisitor<F> {
    expects: &'static str,
    text: F,
}

impl<'de, F, T> Visitor<'de> for BytesVisitor<F>
where
    F: Fn(&str) -> Result<T, String>,
    T: Into<Vec<u8>>,
{
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expects)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
        (self.text)(text).map(Into::into).map_err(E::custom)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Vec<u8>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element::<u8>()? {
            if bytes.len() >= ARRAY_BYTES_MAX {
                return Err(de::Error::custom("array of bytes is too long"));
            }
            bytes.push(byte);
        }
        Ok(bytes)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = |text: &str| match text.strip_prefix(MARK) {
            Some(encoded) => base62::decode(encoded).map_err(|e| e.to_string()),
            None => Ok(text.as_bytes().to_vec()),
        };
        deserializer
            .deserialize_any(BytesVisitor { expects: "text, \\b and base62, or an array of bytes", text })
            .map(Blob)
    }
}

/// Reads a blob of exactly `N` bytes.
///
/// # Errors
/// Another length.
pub fn exact<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
    let Blob(bytes) = Blob::deserialize(deserializer)?;
    let found = bytes.len();
    bytes.try_into().map_err(|_| de::Error::custom(format!("{found} bytes where {N} are needed")))
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = |text: &str| text.parse::<Hash>().map(|h| h.0).map_err(|e| e.to_string());
        let bytes = deserializer
            .deserialize_any(BytesVisitor { expects: "= and base62, or an array of 32 bytes", text })?;
        let found = bytes.len();
        let bytes =
            bytes.try_into().map_err(|_| de::Error::custom(format!("a hash has 32 bytes, not {found}")))?;
        Ok(Hash(bytes))
    }
}

impl Serialize for OwnerPublic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OwnerPublic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = |text: &str| {
            text.parse::<OwnerPublic>().map(|o| o.as_bytes().to_vec()).map_err(|e| e.to_string())
        };
        let bytes = deserializer
            .deserialize_any(BytesVisitor { expects: "@ and base62, or an array of bytes", text })?;
        OwnerPublic::from_bytes(&bytes).map_err(de::Error::custom)
    }
}

impl Serialize for Ordinal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{MARK}{}", base62::encode(&self.0)))
    }
}

impl<'de> Deserialize<'de> for Ordinal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        exact(deserializer).map(Ordinal)
    }
}
