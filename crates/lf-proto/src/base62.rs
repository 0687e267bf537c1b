//! Strict base62 (PROTOCOL.md §1): alphabet `0-9A-Za-z`, big-endian, one leading `0` for each zero byte.
//!
//! Conversion is quadratic in the length, so decoding refuses texts above [`TEXT_BYTES_MAX`].

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The longest text [`decode`] reads, in bytes: enough for a whole record's value.
pub const TEXT_BYTES_MAX: usize = 90_000;

/// Ten base-62 digits fit one u64 limb: 62¹⁰ < 2⁶⁰.
const LIMB_DIGITS: usize = 10;
const LIMB: u64 = 839_299_365_868_340_224;

/// Why a text is not base62.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Base62Error {
    /// A character outside of the alphabet.
    #[error("character {character:?} at position {position} is not base62 (0-9, A-Z, a-z)")]
    Character {
        /// The offending character.
        character: char,
        /// Its position, counted in characters from 0.
        position: usize,
    },
    /// The text is longer than [`TEXT_BYTES_MAX`].
    #[error("base62 text of {0} bytes is longer than {TEXT_BYTES_MAX}")]
    TooLong(usize),
    /// The text decodes to another number of bytes than its kind has.
    #[error("base62 text holds {found} bytes, not {expected}")]
    Length {
        /// The number of bytes wanted.
        expected: usize,
        /// The number of bytes found.
        found: usize,
    },
}

/// Encodes bytes as base62 text.
pub fn encode(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    // Little-endian limbs in base 62¹⁰, fed four bytes at a time.
    let mut limbs: Vec<u64> = Vec::with_capacity(bytes.len() / 7 + 1);
    let significant = &bytes[zeros..];
    let (head, rest) = significant.split_at(significant.len() % 4);
    let mut feed = |word: u64, bits: u32| {
        let mut carry = u128::from(word);
        for limb in &mut limbs {
            let t = (u128::from(*limb) << bits) + carry;
            *limb = (t % u128::from(LIMB)) as u64;
            carry = t / u128::from(LIMB);
        }
        if carry > 0 {
            limbs.push(carry as u64);
        }
    };
    for b in head {
        feed(u64::from(*b), 8);
    }
    for word in rest.chunks_exact(4) {
        feed(word.iter().fold(0, |a, b| (a << 8) | u64::from(*b)), 32);
    }
    let mut reversed = Vec::with_capacity(zeros + limbs.len() * LIMB_DIGITS);
    let top = limbs.len().saturating_sub(1);
    for (i, limb) in limbs.iter().enumerate() {
        let mut v = *limb;
        for _ in 0..LIMB_DIGITS {
            if v == 0 && i == top {
                break;
            }
            reversed.push(ALPHABET[(v % 62) as usize]);
            v /= 62;
        }
    }
    reversed.extend(std::iter::repeat_n(b'0', zeros));
    reversed.iter().rev().map(|b| char::from(*b)).collect()
}

fn digit(c: char) -> Option<u64> {
    match c {
        '0'..='9' => Some(u64::from(c) - u64::from('0')),
        'A'..='Z' => Some(u64::from(c) - u64::from('A') + 10),
        'a'..='z' => Some(u64::from(c) - u64::from('a') + 36),
        _ => None,
    }
}

/// Decodes base62 text.
///
/// # Errors
/// Names the first character outside of the alphabet, or a text that is too long.
pub fn decode(text: &str) -> Result<Vec<u8>, Base62Error> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Base62Error::TooLong(text.len()));
    }
    let mut digits = Vec::with_capacity(text.len());
    for (position, character) in text.chars().enumerate() {
        digits.push(digit(character).ok_or(Base62Error::Character { character, position })?);
    }
    let zeros = digits.iter().take_while(|d| **d == 0).count();
    // Little-endian limbs in base 2⁶⁴.
    let mut limbs: Vec<u64> = Vec::with_capacity(digits.len() / LIMB_DIGITS + 1);
    for chunk in digits[zeros..].chunks(LIMB_DIGITS) {
        let mut carry = chunk.iter().fold(0, |a, d| a * 62 + d);
        let scale = 62u64.pow(chunk.len() as u32);
        for limb in &mut limbs {
            let t = u128::from(*limb) * u128::from(scale) + u128::from(carry);
            *limb = t as u64;
            carry = (t >> 64) as u64;
        }
        if carry > 0 {
            limbs.push(carry);
        }
    }
    let mut out = vec![0; zeros];
    let bytes: Vec<u8> = limbs.iter().rev().flat_map(|l| l.to_be_bytes()).collect();
    out.extend(bytes.iter().skip_while(|b| **b == 0));
    Ok(out)
}

/// Decodes base62 text that must hold exactly `N` bytes.
///
/// # Errors
/// As [`decode`], and [`Base62Error::Length`].
pub fn decode_exact<const N: usize>(text: &str) -> Result<[u8; N], Base62Error> {
    let bytes = decode(text)?;
    bytes.as_slice().try_into().map_err(|_| Base62Error::Length { expected: N, found: bytes.len() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_the_bad_character() {
        assert_eq!(decode("ab-c"), Err(Base62Error::Character { character: '-', position: 2 }));
        assert_eq!(decode("é"), Err(Base62Error::Character { character: 'é', position: 0 }));
    }

    proptest! {
        #[test]
        fn round_trips(zeros in 0usize..6, tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = vec![0; zeros];
            bytes.extend(tail);
            prop_assert_eq!(decode(&encode(&bytes)).unwrap(), bytes);
        }
    }
}
