//! One column of a mask, as PROTOCOL.md §5 describes it step by step.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Block};
use zeroize::Zeroize;

use super::ENTRIES;

/// How often an alphabet is begun again before its name is given up. One that needs a second attempt was
/// never seen; the bound is there so that no crafted name can keep a thread busy.
const ATTEMPTS_MAX: usize = 256;

/// What the first entry is drawn below.
pub(super) const FIRST_MODULUS: u32 = 262_143;

/// One column: its ascending alphabet and the cipher's state after making it.
pub(super) struct Column {
    cipher: Aes128,
    /// What the alphabet's construction left of the running block: its upper half is part of every draw.
    block: Block,
    pub(super) alphabet: Box<[u32]>,
}

impl Column {
    /// The column before its alphabet is drawn.
    pub(super) fn new(key: &[u8; 16]) -> Self {
        Self {
            cipher: Aes128::new(key.into()),
            block: Block::default(),
            alphabet: vec![0; ENTRIES].into_boxed_slice(),
        }
    }

    /// Makes the alphabet, from the beginning. False if no attempt succeeded.
    pub(super) fn make(&mut self) -> bool {
        self.block = Block::default();
        (0..ATTEMPTS_MAX).any(|_| self.draw() && self.spread())
    }

    /// Step 1: random ascending entries over the whole of u32. False if it must begin again.
    fn draw(&mut self) -> bool {
        let mut random = self.next();
        let mut last = random[0] % FIRST_MODULUS;
        self.alphabet[0] = last;
        for i in 1..ENTRIES {
            if i.is_multiple_of(4) {
                random = self.next();
            }
            let span = (u32::MAX - last) / (ENTRIES - i) as u32;
            let Some(random) = random[i % 4].checked_rem(span) else { return false };
            last = last.wrapping_add(1).wrapping_add(random);
            self.alphabet[i] = last;
        }
        true
    }

    /// Steps 2 and 3: push entries apart that are too close. False if the alphabet no longer ascends.
    fn spread(&mut self) -> bool {
        let mut last = self.alphabet[0];
        for entry in &mut self.alphabet[1..] {
            *entry = apart(*entry, last);
            last = *entry;
        }
        self.alphabet[0] < last
    }

    /// Encrypts the running block and gives its four words.
    fn next(&mut self) -> [u32; 4] {
        self.cipher.encrypt_block(&mut self.block);
        words(&self.block)
    }

    /// The first entry of a group of four column values, and the room each of them has.
    fn cell(&self, base: usize) -> (u32, u32) {
        let low = self.alphabet[base];
        let end = self.alphabet.get(base + 1).copied().unwrap_or(u32::MAX);
        (low, end.wrapping_sub(low) / 4)
    }

    /// Step 4. `prefix` is the value with this column and those after it zeroed.
    pub(super) fn mask(&self, digit: u16, prefix: u64) -> Option<u32> {
        let (low, step) = self.cell(usize::from(digit / 4));
        let mut block = self.block;
        block[..8].copy_from_slice(&prefix.to_le_bytes());
        self.cipher.encrypt_block(&mut block);
        let random = words(&block)[0].checked_rem(step)?;
        Some(low.wrapping_add(step.wrapping_mul(u32::from(digit % 4))).wrapping_add(random))
    }

    /// The column value that a word was made from.
    pub(super) fn unmask(&self, word: u32) -> Option<u16> {
        let base = self.alphabet.partition_point(|entry| *entry <= word).checked_sub(1)?;
        let (low, step) = self.cell(base);
        let quarter = word.checked_sub(low)?.checked_div(step)?;
        (quarter <= 3).then_some((4 * base + quarter as usize) as u16)
    }

    /// Sets the running block by its words.
    pub(super) fn set_block(&mut self, words: [u32; 4]) {
        for (bytes, word) in self.block.0.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
    }

    #[cfg(test)]
    pub(super) fn is_equal(&self, other: &Self) -> bool {
        self.block == other.block && self.alphabet == other.alphabet
    }
}

impl Drop for Column {
    fn drop(&mut self) {
        self.alphabet.zeroize();
        self.block.as_mut_slice().zeroize();
    }
}

/// Step 2 for one entry and the one before it, which is done.
#[inline(always)]
pub(super) fn apart(entry: u32, before: u32) -> u32 {
    let gap = entry.wrapping_sub(before);
    if gap < 16 || gap > entry { entry.wrapping_add(16) } else { entry }
}

/// The four little-endian words of a block.
pub(super) fn words(block: &Block) -> [u32; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(block.as_slice().as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    words
}
