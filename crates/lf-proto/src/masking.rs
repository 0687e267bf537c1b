//! Value masking (PROTOCOL.md §7): values are compressed, checked by a CRC and encrypted with a key that readers of
//! the name know. None of it bears on a record's validity.

use aes::Aes256;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use sha2::{Digest, Sha384};

use crate::crc16::crc16;
use crate::owner::OwnerPublic;

/// Values of up to this many bytes are never compressed.
const COMPRESS_BYTES_MIN: usize = 25;
/// Decompression stops here.
pub const UNMASKED_BYTES_MAX: usize = 65_536;

/// Why a stored value cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MaskingError {
    /// The key does not fit, or the value was never masked.
    #[error("incorrect key")]
    IncorrectKey,
    /// The key fits and the compressed value is damaged.
    #[error("value's compressed form is damaged")]
    Compression,
}

/// The stored form of a plain value; empty for an empty value.
pub fn mask(value: &[u8], timestamp: u64, key: &[u8], owner: &OwnerPublic) -> Vec<u8> {
    if value.is_empty() {
        return Vec::new();
    }
    let compressed = (value.len() >= COMPRESS_BYTES_MIN).then(|| compress(value)).flatten();
    let (payload, flag) = match &compressed {
        Some(c) if c.len() < value.len() => (c.as_slice(), 1),
        _ => (value, 0),
    };
    let mut stored = Vec::with_capacity(2 + payload.len());
    stored.extend_from_slice(&((crc16(payload) & 0xfffc) | flag).to_be_bytes());
    stored.extend_from_slice(payload);
    cipher(&mut stored, timestamp, key, owner, Direction::Encrypt);
    stored
}

/// The plain value of a stored one. A stored value below 2 bytes is read as empty.
///
/// # Errors
/// The key is wrong, or the compressed form is damaged.
pub fn unmask(
    stored: &[u8],
    timestamp: u64,
    key: &[u8],
    owner: &OwnerPublic,
) -> Result<Vec<u8>, MaskingError> {
    let mut plain = stored.to_vec();
    cipher(&mut plain, timestamp, key, owner, Direction::Decrypt);
    unwrap_plain(&plain)
}

/// Reads the decrypted form: CRC and compression flag, then the payload.
fn unwrap_plain(plain: &[u8]) -> Result<Vec<u8>, MaskingError> {
    let Some((head, payload)) = plain.split_first_chunk::<2>() else {
        return Ok(Vec::new());
    };
    let head = u16::from_be_bytes(*head);
    if head & 0xfffc != crc16(payload) & 0xfffc {
        return Err(MaskingError::IncorrectKey);
    }
    if head & 3 == 1 { decompress(payload) } else { Ok(payload.to_vec()) }
}

enum Direction {
    Encrypt,
    Decrypt,
}

/// AES-256-CFB128 in place, key and IV from SHA-384(BE64(timestamp) ‖ key ‖ owner).
fn cipher(data: &mut [u8], timestamp: u64, key: &[u8], owner: &OwnerPublic, direction: Direction) {
    let mut h = Sha384::new();
    h.update(timestamp.to_be_bytes());
    h.update(key);
    h.update(owner.as_bytes());
    let k: [u8; 48] = h.finalize().into();
    let (aes_key, iv) = k.split_at(32);
    let mut key_block = [0u8; 32];
    key_block.copy_from_slice(aes_key);
    let aes = Aes256::new(&Array::from(key_block));
    let mut feedback = [0u8; 16];
    feedback.copy_from_slice(iv);
    for chunk in data.chunks_mut(16) {
        let mut stream = Array::from(feedback);
        aes.encrypt_block(&mut stream);
        for (i, byte) in chunk.iter_mut().enumerate() {
            let mixed = *byte ^ stream[i];
            feedback[i] = match direction {
                Direction::Encrypt => mixed,
                Direction::Decrypt => *byte,
            };
            *byte = mixed;
        }
    }
}

fn compress(value: &[u8]) -> Option<Vec<u8>> {
    let params = brotli::enc::BrotliEncoderParams {
        quality: 11,
        lgwin: 16,
        size_hint: value.len(),
        ..Default::default()
    };
    let mut out = Vec::with_capacity(value.len());
    let mut input = value;
    brotli::BrotliCompress(&mut input, &mut out, &params).ok()?;
    Some(out)
}

/// Decompresses at most [`UNMASKED_BYTES_MAX`]: the rest is dropped; a truncated stream yields what it has.
fn decompress(payload: &[u8]) -> Result<Vec<u8>, MaskingError> {
    let alloc = brotli::enc::StandardAlloc::default;
    let mut state = BrotliState::new(alloc(), alloc(), alloc());
    let mut out: Vec<u8> = Vec::new();
    let mut buffer = [0u8; 8192];
    let (mut available_in, mut offset_in, mut total) = (payload.len(), 0, 0);
    loop {
        let (mut available_out, mut offset_out) = (buffer.len(), 0);
        let result = BrotliDecompressStream(
            &mut available_in,
            &mut offset_in,
            payload,
            &mut available_out,
            &mut offset_out,
            &mut buffer,
            &mut total,
            &mut state,
        );
        out.extend_from_slice(&buffer[..offset_out]);
        if out.len() >= UNMASKED_BYTES_MAX {
            out.truncate(UNMASKED_BYTES_MAX);
            return Ok(out);
        }
        match result {
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::NeedsMoreInput => return Ok(out),
            BrotliResult::ResultSuccess if available_in == 0 => return Ok(out),
            BrotliResult::ResultSuccess | BrotliResult::ResultFailure => {
                return Err(MaskingError::Compression);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn owner() -> OwnerPublic {
        OwnerPublic::from_bytes(&[7; 14]).unwrap()
    }

    #[test]
    fn decompression_is_bounded() {
        let zeros = vec![0u8; 500_000];
        let bomb = compress(&zeros).unwrap();
        assert!(bomb.len() < 100);
        assert_eq!(decompress(&bomb).unwrap().len(), UNMASKED_BYTES_MAX);
    }

    #[test]
    fn bytes_after_a_compressed_value_are_an_error() {
        let mut c = compress(b"what a lovely lovely lovely lovely day").unwrap();
        let whole = decompress(&c).unwrap();
        assert_eq!(whole, b"what a lovely lovely lovely lovely day");
        c.push(0);
        assert_eq!(decompress(&c), Err(MaskingError::Compression));
        c.truncate(c.len() - 4);
        assert!(whole.starts_with(&decompress(&c).unwrap()));
    }

    proptest! {
        #[test]
        fn round_trips(value in proptest::collection::vec(0u8..4, 0..300), ts: u64, key: Vec<u8>) {
            let stored = mask(&value, ts, &key, &owner());
            prop_assert!(stored.len() <= value.len() + 2);
            prop_assert_eq!(unmask(&stored, ts, &key, &owner()).unwrap(), value);
        }

        #[test]
        fn junk_never_panics(stored in proptest::collection::vec(any::<u8>(), 0..100), payload: Vec<u8>) {
            let _ = unmask(&stored, 1, b"k", &owner());
            let _ = decompress(&payload);
        }
    }
}
