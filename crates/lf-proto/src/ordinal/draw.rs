//! The first attempts at the alphabets of all columns (§5, steps 1 to 3), in step: within a column every entry waits for the
//! one before it, so four chains of encryptions and divisions at once take hardly longer than one. `Column::make`
//! defines the result, and makes what fails here.
#![allow(clippy::needless_range_loop)] // several arrays in step

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Block};

use super::column::{Column, FIRST_MODULUS, apart, words};
use super::{COLUMNS, ENTRIES};

/// Makes the alphabets of new columns by the fastest way there is. False, and nothing of use, if one of them must begin
/// again, which nobody ever saw.
pub(super) fn first_attempts(keys: &[[u8; 16]; COLUMNS], columns: &mut [Column; COLUMNS]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if let Some(mut chains) = super::simd::Chains::new(keys) {
        return draw(columns, || chains.next());
    }
    portable(keys, columns)
}

/// [`first_attempts`] for every machine.
pub(super) fn portable(keys: &[[u8; 16]; COLUMNS], columns: &mut [Column; COLUMNS]) -> bool {
    let ciphers = keys.each_ref().map(|key| Aes128::new(key.into()));
    let mut blocks = [Block::default(); COLUMNS];
    draw(columns, || {
        for (cipher, block) in ciphers.iter().zip(&mut blocks) {
            cipher.encrypt_block(block);
        }
        blocks.each_ref().map(words)
    })
}

/// Draws with a function that gives the next block of each column.
#[inline(always)]
fn draw(columns: &mut [Column; COLUMNS], mut next: impl FnMut() -> [[u32; 4]; COLUMNS]) -> bool {
    let mut random = [[0; 4]; COLUMNS];
    // The last entries, before and after step 2.
    let mut last = [0; COLUMNS];
    let mut done = [0; COLUMNS];
    let mut alphabets = columns.each_mut().map(|column| column.alphabet.as_chunks_mut().0.iter_mut());
    for group in 0..ENTRIES / 4 {
        random = next();
        let mut entries = [[0; 4]; COLUMNS];
        for j in 0..4 {
            let i = 4 * group + j;
            if i == 0 {
                last = random.map(|words| words[0] % FIRST_MODULUS);
                done = last;
                entries.iter_mut().zip(done).for_each(|(entries, entry)| entries[0] = entry);
                continue;
            }
            let reciprocal = Reciprocal::new((ENTRIES - i) as u32);
            for c in 0..COLUMNS {
                let span = reciprocal.quotient(u32::MAX - last[c]);
                let Some(random) = random[c][j].checked_rem(span) else { return false };
                last[c] = last[c].wrapping_add(1).wrapping_add(random);
                done[c] = apart(last[c], done[c]);
                entries[c][j] = done[c];
            }
        }
        for (alphabet, entries) in alphabets.iter_mut().zip(entries) {
            if let Some(place) = alphabet.next() {
                *place = entries;
            }
        }
    }
    for (column, words) in columns.iter_mut().zip(random) {
        column.set_block(words);
    }
    columns.iter().zip(done).all(|(column, last)| column.alphabet[0] < last)
}

/// Divides by the same number several times: one division, then multiplications.
struct Reciprocal(u64);

impl Reciprocal {
    /// ⌊(2⁶⁴ − 1)/d⌋, for a divisor of 1 or more.
    #[inline(always)]
    fn new(divisor: u32) -> Self {
        Self(u64::MAX / u64::from(divisor))
    }

    /// ⌊x / divisor⌋: (x + 1)·m/2⁶⁴ is less than (x + 1)/d, and at least (x + 1)/d − (x + 1)/2⁶⁴ ≥ x/d, since m·d > 2⁶⁴
    /// − 1 − d. Between these two lies no other integer.
    #[inline(always)]
    fn quotient(&self, x: u32) -> u32 {
        (((u128::from(x) + 1) * u128::from(self.0)) >> 64) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_exact() {
        for divisor in 1..=ENTRIES as u32 {
            let reciprocal = Reciprocal::new(divisor);
            // Around multiples of the divisor, where a floor could go wrong, up to the largest.
            let last = u32::MAX - u32::MAX % divisor;
            for multiple in [divisor, last / 2 / divisor * divisor, last - divisor, last] {
                for x in [multiple - 1, multiple, multiple.saturating_add(1), u32::MAX, 0] {
                    assert_eq!(reciprocal.quotient(x), x / divisor, "{x} / {divisor}");
                }
            }
        }
    }
}
