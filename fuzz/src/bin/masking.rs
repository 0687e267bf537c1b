//! Stored values that were really masked, then decrypted with the right key: reaches the decompressor.
#![no_main]

use lf_proto::masking;
use lf_proto::ordinal::{Ordinal, OrdinalMask};
use lf_proto::owner::OwnerPublic;

static MASK: std::sync::LazyLock<OrdinalMask> = std::sync::LazyLock::new(|| OrdinalMask::new(b"name"));

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // CFB's first block depends on the key alone, so flipping stored bytes flips plain ones: mask a value, then mix.
    let owner = OwnerPublic::from_bytes(&[9; 24]).unwrap();
    let mut stored = masking::mask(&[b'a'; 64], 7, b"k", &owner);
    for (byte, flip) in stored.iter_mut().zip(data) {
        *byte ^= flip;
    }
    if let Ok(value) = masking::unmask(&stored, 7, b"k", &owner) {
        assert!(value.len() <= masking::UNMASKED_BYTES_MAX);
    }
    if let Some((bytes, _)) = data.split_first_chunk::<16>() {
        if let Ok(value) = MASK.unmask(&Ordinal(*bytes)) {
            let _ = MASK.mask(value);
        }
        let value = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        if let Ok(masked) = MASK.mask(value) {
            assert_eq!(MASK.unmask(&masked).ok(), Some(value));
        }
    }
});
