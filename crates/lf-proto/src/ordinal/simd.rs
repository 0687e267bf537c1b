//! Four chains of AES-128 with different keys side by side, with the AES instructions of x86-64. Libraries encrypt many
//! blocks of one key at once, but four keys only one after the other.
#![allow(unsafe_code)] // calling functions that need instructions which were detected at run time
#![allow(clippy::needless_range_loop)] // two arrays in step

use std::arch::x86_64::{
    __m128i, _mm_aesenc_si128, _mm_aesenclast_si128, _mm_aeskeygenassist_si128, _mm_shuffle_epi32,
    _mm_slli_si128, _mm_xor_si128,
};

use zeroize::Zeroize;

use super::COLUMNS;

/// Expanded keys and running blocks, on a machine that has the instructions: `new` makes none elsewhere. Wiped on drop.
pub(super) struct Chains {
    /// By round, then by chain.
    round_keys: [[__m128i; COLUMNS]; 11],
    blocks: [__m128i; COLUMNS],
}

impl Chains {
    /// Chains that begin at zero. None if this machine has no AES instructions.
    pub(super) fn new(keys: &[[u8; 16]; COLUMNS]) -> Option<Self> {
        if !is_x86_feature_detected!("aes") {
            return None;
        }
        // SAFETY: the one requirement is that the machine has these instructions, which was just asked; SSE2 is part
        // of x86-64.
        let round_keys = unsafe { expand(keys) };
        Some(Self { round_keys, blocks: [load(&[0; 16]); COLUMNS] })
    }

    /// Encrypts the running blocks and gives the little-endian words of each.
    #[inline(always)]
    pub(super) fn next(&mut self) -> [[u32; 4]; COLUMNS] {
        // SAFETY: `self` exists, so `new` saw that the machine has the instructions.
        unsafe { encrypt(&self.round_keys, &mut self.blocks) };
        // SAFETY: both are 64 bytes of plain integers, of which all bit patterns are valid; x86-64 is little-endian.
        unsafe { std::mem::transmute::<[__m128i; COLUMNS], [[u32; 4]; COLUMNS]>(self.blocks) }
    }
}

impl Drop for Chains {
    fn drop(&mut self) {
        self.round_keys.zeroize();
        self.blocks.zeroize();
    }
}

/// FIPS 197, 5.2: a round key is the running xor of the one before it, with a word of it mixed in.
#[target_feature(enable = "aes,sse2")]
fn expand(keys: &[[u8; 16]; COLUMNS]) -> [[__m128i; COLUMNS]; 11] {
    let mut round_keys = [[load(&[0; 16]); COLUMNS]; 11];
    macro_rules! rounds {
        ($c:ident: $($round:literal $constant:literal),*) => { $(
            let before = round_keys[$round - 1][$c];
            let word = _mm_shuffle_epi32::<0xff>(_mm_aeskeygenassist_si128::<$constant>(before));
            let sum = _mm_xor_si128(before, _mm_slli_si128::<4>(before));
            let sum = _mm_xor_si128(sum, _mm_slli_si128::<8>(sum));
            round_keys[$round][$c] = _mm_xor_si128(sum, word);
        )* };
    }
    for c in 0..COLUMNS {
        round_keys[0][c] = load(&keys[c]);
        rounds!(c: 1 1, 2 2, 3 4, 4 8, 5 16, 6 32, 7 64, 8 128, 9 0x1b, 10 0x36);
    }
    round_keys
}

fn load(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: both are 16 bytes of plain integers, of which all bit patterns are valid.
    unsafe { std::mem::transmute::<[u8; 16], __m128i>(*bytes) }
}

#[target_feature(enable = "aes,sse2")]
fn encrypt(round_keys: &[[__m128i; COLUMNS]; 11], blocks: &mut [__m128i; COLUMNS]) {
    let [first, middle @ .., last] = round_keys;
    let mut states = *blocks;
    for (state, key) in states.iter_mut().zip(first) {
        *state = _mm_xor_si128(*state, *key);
    }
    for keys in middle {
        for (state, key) in states.iter_mut().zip(keys) {
            *state = _mm_aesenc_si128(*state, *key);
        }
    }
    for (state, key) in states.iter_mut().zip(last) {
        *state = _mm_aesenclast_si128(*state, *key);
    }
    *blocks = states;
}

#[cfg(test)]
mod tests {
    use aes::cipher::{BlockCipherEncrypt, KeyInit};
    use aes::{Aes128, Block};
    use proptest::prelude::*;

    use super::*;
    use crate::ordinal::column::words;

    proptest! {
        #[test]
        fn encrypts_as_the_library_does(keys: [[u8; 16]; COLUMNS]) {
            let Some(mut chains) = Chains::new(&keys) else { return Ok(()) };
            let ciphers = keys.map(|key| Aes128::new(&key.into()));
            let mut blocks = [Block::default(); COLUMNS];
            for _ in 0..3 {
                for (cipher, block) in ciphers.iter().zip(&mut blocks) {
                    cipher.encrypt_block(block);
                }
                prop_assert_eq!(chains.next(), blocks.each_ref().map(words));
            }
        }
    }
}
