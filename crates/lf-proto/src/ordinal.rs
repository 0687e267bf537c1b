//! Order-preserving masking of ordinals (PROTOCOL.md §5).
//!
//! A name turns u64 values into 16 bytes whose byte order is the order of the values, and nobody without
//! the name can tell which. [`OrdinalMask`] is the costly part of a name, made once and used for all its
//! ordinals. What a masked ordinal is added to (a selector key) is not known here.

use std::fmt;

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Block};
use sha2::{Digest, Sha512};
use zeroize::{Zeroize, Zeroizing};

/// The columns of a value, 16 bits each.
const COLUMNS: usize = 4;

/// Entries of one column's alphabet; each stands for four column values.
const ENTRIES: usize = 1 << 14;

/// How often an alphabet is begun again before its name is given up. One that needs a second attempt was
/// never seen; the bound is there so that no crafted name can keep a thread busy.
const ATTEMPTS_MAX: usize = 256;

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
        let mut columns = std::array::from_fn(|k| {
            let mut key = Zeroizing::new([0; 16]);
            key.copy_from_slice(&hash[16 * k..16 * k + 16]);
            Column::new(&key)
        });
        let drawn = draw_together(&mut columns);
        let finished = columns.iter_mut().zip(drawn).all(|(column, drawn)| column.finish(drawn));
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

/// One column: its ascending alphabet and the cipher's state after making it.
struct Column {
    cipher: Aes128,
    /// What the alphabet's construction left of the running block: its upper half is part of every draw.
    block: Block,
    alphabet: Box<[u32]>,
}

impl Column {
    /// The column before its alphabet is drawn.
    fn new(key: &[u8; 16]) -> Self {
        Self {
            cipher: Aes128::new(key.into()),
            block: Block::default(),
            alphabet: vec![0; ENTRIES].into_boxed_slice(),
        }
    }

    /// Finishes the first attempt, of which the draw is done (and may have failed), and begins others as
    /// long as it takes. False if no attempt made an alphabet.
    fn finish(&mut self, drawn: bool) -> bool {
        (drawn && self.spread()) || (1..ATTEMPTS_MAX).any(|_| self.draw() && self.spread())
    }

    /// Step 1: random ascending entries over the whole of u32. False if it must begin again.
    fn draw(&mut self) -> bool {
        let mut drawing = Drawing::start(self);
        (1..ENTRIES).all(|i| drawing.entry(self, i))
    }

    /// Steps 2 and 3: push entries apart that are too close. False if the alphabet no longer ascends.
    fn spread(&mut self) -> bool {
        let mut last = self.alphabet[0];
        for entry in &mut self.alphabet[1..] {
            let gap = entry.wrapping_sub(last);
            if gap < 16 || gap > *entry {
                *entry = entry.wrapping_add(16);
            }
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
    fn mask(&self, digit: u16, prefix: u64) -> Option<u32> {
        let (low, step) = self.cell(usize::from(digit / 4));
        let mut block = self.block;
        block[..8].copy_from_slice(&prefix.to_le_bytes());
        self.cipher.encrypt_block(&mut block);
        let random = words(&block)[0].checked_rem(step)?;
        Some(low.wrapping_add(step.wrapping_mul(u32::from(digit % 4))).wrapping_add(random))
    }

    fn unmask(&self, word: u32) -> Option<u16> {
        let base = self.alphabet.partition_point(|entry| *entry <= word).checked_sub(1)?;
        let (low, step) = self.cell(base);
        let quarter = word.checked_sub(low)?.checked_div(step)?;
        (quarter <= 3).then_some((4 * base + quarter as usize) as u16)
    }
}

/// The running state of step 1.
struct Drawing {
    words: [u32; 4],
    last: u32,
}

impl Drawing {
    #[inline(always)]
    fn start(column: &mut Column) -> Self {
        let words = column.next();
        let last = words[0] % 262_143;
        column.alphabet[0] = last;
        Self { words, last }
    }

    /// Draws entry `i`. False if there is no room left for the rest.
    #[inline(always)]
    fn entry(&mut self, column: &mut Column, i: usize) -> bool {
        if i.is_multiple_of(4) {
            self.words = column.next();
        }
        let span = (u32::MAX - self.last) / (ENTRIES - i) as u32;
        let Some(random) = self.words[i % 4].checked_rem(span) else {
            return false;
        };
        self.last = self.last.wrapping_add(1).wrapping_add(random);
        column.alphabet[i] = self.last;
        true
    }
}

/// The first draw of all columns in step: within a column every entry waits for the one before, so four
/// chains of divisions and encryptions at once take hardly longer than one. Says which draws are complete.
fn draw_together(columns: &mut [Column; COLUMNS]) -> [bool; COLUMNS] {
    let mut drawings = columns.each_mut().map(Drawing::start);
    let mut going = [true; COLUMNS];
    for i in 1..ENTRIES {
        for ((column, drawing), going) in columns.iter_mut().zip(&mut drawings).zip(&mut going) {
            // A column that failed must not touch its block again: the next attempt goes on from there.
            *going = *going && drawing.entry(column, i);
        }
    }
    going
}

impl Drop for Column {
    fn drop(&mut self) {
        self.alphabet.zeroize();
        self.block.as_mut_slice().zeroize();
    }
}

fn words(block: &Block) -> [u32; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(block.as_slice().as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    words
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

    #[test]
    fn the_ends_of_the_range() {
        let mask = OrdinalMask::new(b"");
        for value in [0, 1, 3, 4, 0xffff, 0x1_0000, u64::MAX - 1, u64::MAX] {
            assert_eq!(mask.unmask(&mask.mask(value).unwrap()), Ok(value));
        }
        assert_eq!(mask.unmask(&Ordinal([0; 16])), Err(OrdinalError::Foreign));
    }
}
