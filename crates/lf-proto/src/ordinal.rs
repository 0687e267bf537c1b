//! Order-preserving masking of ordinals (PROTOCOL.md §5).
//!
//! A name turns u64 values into 16 bytes whose byte order is the order of the values, and nobody without
//! the name can tell which. [`OrdinalMask`] is the costly part of a name, made once and used for all its
//! ordinals. What a masked ordinal is added to (a selector key) is not known here. `column` defines the
//! alphabets; `draw` makes the four of a name at once.

mod column;
mod draw;
#[cfg(target_arch = "x86_64")]
mod simd;

use std::fmt;

use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use column::Column;

/// The columns of a value, 16 bits each.
const COLUMNS: usize = 4;

/// Entries of one column's alphabet; each stands for four column values.
const ENTRIES: usize = 1 << 14;

/// A masked ordinal: 16 bytes, whose byte order is the order of the values under one name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ordinal(pub [u8; 16]);

impl Ordinal {
    /// The raw 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl AsRef<[u8]> for Ordinal {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ordinal({})", crate::base62::encode(&self.0))
    }
}

/// Why a value cannot be masked, or an ordinal not unmasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrdinalError {
    /// The name's alphabet has no room for this value (one column in 10⁵ has such values).
    #[error("ordinal {value} cannot be masked under this name")]
    NoRoom {
        /// The value that was to be masked.
        value: u64,
    },
    /// The ordinal was not masked under this name.
    #[error("ordinal was not masked under this name")]
    Foreign,
    /// No alphabet could be made for this name.
    #[error("name has no ordinal alphabet")]
    NoAlphabet,
}

/// The alphabets of one name: expensive to make (four columns of 16,384 entries), cheap to use.
///
/// The tables are as secret as the name and wiped on drop.
pub struct OrdinalMask {
    /// None if an alphabet could not be made: every use is an error then.
    columns: Option<[Column; COLUMNS]>,
}

impl OrdinalMask {
    /// Makes the alphabets of a name (the key of the mask).
    pub fn new(name: &[u8]) -> Self {
        Self::from_name_hash(&name_hash(name))
    }

    /// Makes the alphabets from the SHA-512 of a name.
    pub(crate) fn from_name_hash(hash: &[u8; 64]) -> Self {
        let keys = Zeroizing::new(std::array::from_fn(|k| {
            let mut key = [0; 16];
            key.copy_from_slice(&hash[16 * k..16 * k + 16]);
            key
        }));
        let mut columns = keys.each_ref().map(Column::new);
        let finished = draw::first_attempts(&keys, &mut columns) || columns.iter_mut().all(Column::make);
        Self { columns: finished.then_some(columns) }
    }

    /// Masks a value.
    ///
    /// # Errors
    /// [`OrdinalError::NoRoom`] for the rare value that this name cannot mask.
    pub fn mask(&self, value: u64) -> Result<Ordinal, OrdinalError> {
        let columns = self.columns.as_ref().ok_or(OrdinalError::NoAlphabet)?;
        let mut out = [0; 16];
        let mut prefix = 0;
        for (k, column) in columns.iter().enumerate() {
            let shift = 48 - 16 * k as u32;
            let digit = (value >> shift) as u16;
            let word = column.mask(digit, prefix).ok_or(OrdinalError::NoRoom { value })?;
            out[4 * k..4 * k + 4].copy_from_slice(&word.to_be_bytes());
            prefix |= u64::from(digit) << shift;
        }
        Ok(Ordinal(out))
    }

    /// Finds the value that was masked. The random part of an ordinal is not checked: several ordinals
    /// unmask to one value, one of which [`mask`](Self::mask) makes.
    ///
    /// # Errors
    /// [`OrdinalError::Foreign`] if no value is masked like this under the name.
    pub fn unmask(&self, ordinal: &Ordinal) -> Result<u64, OrdinalError> {
        let columns = self.columns.as_ref().ok_or(OrdinalError::NoAlphabet)?;
        let mut value = 0;
        for (column, word) in columns.iter().zip(ordinal.0.as_chunks::<4>().0) {
            let digit = column.unmask(u32::from_be_bytes(*word)).ok_or(OrdinalError::Foreign)?;
            value = (value << 16) | u64::from(digit);
        }
        Ok(value)
    }
}

impl fmt::Debug for OrdinalMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrdinalMask").finish_non_exhaustive()
    }
}

/// Masks one value under a name. Use [`OrdinalMask`] for more than one.
///
/// # Errors
/// As [`OrdinalMask::mask`].
pub fn mask(name: &[u8], value: u64) -> Result<Ordinal, OrdinalError> {
    OrdinalMask::new(name).mask(value)
}

/// The SHA-512 of a name, from which the keys of its columns are cut.
pub(crate) fn name_hash(name: &[u8]) -> Zeroizing<[u8; 64]> {
    Zeroizing::new(Sha512::digest(name).into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn order_and_value_survive() {
        let mask = OrdinalMask::new(b"order");
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        runner
            .run(&(any::<u64>(), any::<u64>(), 0u32..64), |(a, b, shift)| {
                let b = a ^ (b >> shift);
                let (x, y) = (mask.mask(a).unwrap(), mask.mask(b).unwrap());
                prop_assert_eq!(a.cmp(&b), x.cmp(&y));
                prop_assert_eq!(mask.unmask(&x), Ok(a));
                Ok(())
            })
            .unwrap();
    }

    /// Of the drawing together, which all masks come from, against each column alone.
    #[test]
    fn alphabets_are_those_of_the_definition() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        runner
            .run(&any::<[[u8; 16]; COLUMNS]>(), |keys| {
                let mut together = keys.each_ref().map(Column::new);
                prop_assert!(draw::first_attempts(&keys, &mut together));
                let mut portable = keys.each_ref().map(Column::new);
                prop_assert!(draw::portable(&keys, &mut portable));
                for ((key, a), b) in keys.iter().zip(together).zip(portable) {
                    let mut alone = Column::new(key);
                    prop_assert!(alone.make());
                    prop_assert!(a.is_equal(&alone) && b.is_equal(&alone));
                }
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn the_ends_of_the_range() {
        let mask = OrdinalMask::new(b"");
        for value in [0, 1, 3, 4, 0xffff, 0x1_0000, u64::MAX - 1, u64::MAX] {
            assert_eq!(mask.unmask(&mask.mask(value).unwrap()), Ok(value));
        }
        assert_eq!(mask.unmask(&Ordinal([0; 16])), Err(OrdinalError::Foreign));
    }
}
