//! Serial numbers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::CertificateError;
use crate::base62;

/// Bytes of the largest serial number.
const BYTES: usize = 32;
/// The longest text that is decoded: 32 bytes take 43 digits.
const TEXT_BYTES_MAX: usize = 64;

/// A certificate's serial number: a non-negative integer below 2²⁵⁶. Written as the reference does, in base62 of its
/// bytes without leading zeros; texts with leading zeros are read as the same number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial([u8; BYTES]);

impl Serial {
    /// Takes a big-endian integer, with or without leading zeros.
    ///
    /// # Errors
    /// [`CertificateError::Serial`] if it takes more than 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CertificateError> {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let minimal = bytes.get(zeros..).unwrap_or_default();
        let mut padded = [0; BYTES];
        let start = BYTES.checked_sub(minimal.len()).ok_or(CertificateError::Serial)?;
        padded[start..].copy_from_slice(minimal);
        Ok(Self(padded))
    }

    /// Reads the content of a DER INTEGER.
    pub(super) fn from_der_integer(content: &[u8]) -> Result<Self, CertificateError> {
        let negative = content.first().is_none_or(|byte| byte & 0x80 != 0);
        if negative { Err(CertificateError::Serial) } else { Self::from_bytes(content) }
    }

    /// The integer, big-endian, 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// The integer's bytes without leading zeros; none for 0.
    pub fn minimal_bytes(&self) -> &[u8] {
        let zeros = self.0.iter().take_while(|byte| **byte == 0).count();
        &self.0[zeros..]
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 0 has no bytes; it is written like one zero.
        let bytes = self.minimal_bytes();
        f.pad(&base62::encode(if bytes.is_empty() { &[0] } else { bytes }))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Serial {
    type Err = CertificateError;

    fn from_str(text: &str) -> Result<Self, CertificateError> {
        if text.is_empty() || text.len() > TEXT_BYTES_MAX {
            return Err(CertificateError::Serial);
        }
        Self::from_bytes(&base62::decode(text).map_err(|_| CertificateError::Serial)?)
    }
}

impl Serialize for Serial {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Serial {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_compare_and_zeros_do_not_matter() {
        let one = Serial::from_bytes(&[0, 0, 1]).unwrap();
        assert_eq!(one, Serial::from_bytes(&[1]).unwrap());
        assert!(one < Serial::from_bytes(&[1, 0]).unwrap());
        assert_eq!("01".parse(), Ok(one));
        assert_eq!("1".parse(), Ok(one));
        assert_eq!(Serial::from_bytes(&[1; 33]), Err(CertificateError::Serial));
        assert!(Serial::from_bytes(&[[0; 1].as_slice(), &[0xff; 32]].concat()).is_ok());
        assert_eq!(Serial::from_der_integer(&[0x80]), Err(CertificateError::Serial));
        assert_eq!(Serial::from_der_integer(&[]), Err(CertificateError::Serial));
        assert_eq!(Serial::from_bytes(&[]).unwrap().to_string(), "0");
        assert_eq!("".parse::<Serial>(), Err(CertificateError::Serial));
        assert_eq!("é".parse::<Serial>(), Err(CertificateError::Serial));
    }

    proptest! {
        #[test]
        fn text_round_trips(bytes: [u8; 32], zeros in 0usize..5) {
            let mut bytes = bytes;
            bytes[..zeros].fill(0);
            let serial = Serial::from_bytes(&bytes).unwrap();
            prop_assert_eq!(serial.as_bytes(), &bytes);
            prop_assert_eq!(serial.to_string().parse::<Serial>(), Ok(serial));
            prop_assert_eq!(base62::encode(&bytes).parse::<Serial>(), Ok(serial));
        }
    }
}
