//! Deterministic randomness from a seed (PROTOCOL.md §2): names and passphrases become private keys with it.
//!
//! It is a key derivation, not a source of fresh randomness; nothing in this crate has one of those.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes256, Block};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

const BLOCK_BYTES: usize = 16;

/// The byte stream of one seed. The seed is as good as the keys made from it, so the state is wiped on drop.
pub struct SeededRng {
    cipher: Aes256,
    counter: u128,
    block: Block,
    /// Bytes of `block` already handed out.
    used: usize,
}

impl SeededRng {
    /// Starts the stream of a seed of any length.
    pub fn new(seed: &[u8]) -> Self {
        let mut key = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(seed)));
        key[8] = key[8].wrapping_add(1);
        Self { cipher: Aes256::new((&*key).into()), counter: 0, block: Block::default(), used: BLOCK_BYTES }
    }

    /// Fills a buffer with the next bytes of the stream. How the stream is cut into calls does not matter.
    pub fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.used == BLOCK_BYTES {
                self.counter = self.counter.wrapping_add(1);
                self.block = self.counter.to_le_bytes().into();
                self.cipher.encrypt_block(&mut self.block);
                self.used = 0;
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }
}

impl Drop for SeededRng {
    fn drop(&mut self) {
        self.block.as_mut_slice().zeroize();
    }
}

impl std::fmt::Debug for SeededRng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeededRng").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::SeededRng;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_cut_does_not_matter(seed: Vec<u8>, cuts in proptest::collection::vec(0usize..40, 1..8)) {
            let mut whole = vec![0; cuts.iter().sum()];
            SeededRng::new(&seed).fill(&mut whole);
            let mut rng = SeededRng::new(&seed);
            let mut parts = Vec::new();
            for cut in cuts {
                let mut part = vec![0; cut];
                rng.fill(&mut part);
                parts.extend(part);
            }
            prop_assert_eq!(whole, parts);
        }
    }
}
