//! A filter in memory that knows which records and claimed ids are surely not stored, and which records surely nothing
//! waits for, so that the usual answers to "is this new?" and "who waits for this?" cost no search of the index. Whatever
//! was inserted is always found; a few in a hundred of all else are, too, and are then looked up.
//!
//! It holds more than the index at times (a batch that failed), never less: that costs a search, nothing else.

use std::io::{self, Read, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Words of a block: one cache line, so that each generation costs one access to memory.
const BLOCK_WORDS: usize = 8;
/// Bits that a key sets in its block.
const KEY_BITS: u32 = 6;
/// Keys a block is made for: 12.8 bits each.
const BLOCK_KEYS: u64 = 40;
/// Blocks of the first generation; each has twice as many as the one before.
const FIRST_BLOCKS: u64 = 1 << 6;
/// Generations, enough for two keys of each of 2^32 records.
const GENERATIONS: usize = 22;

/// The blocks of a generation.
type Blocks = [[AtomicU64; BLOCK_WORDS]];

/// A set of keys that may have more in it than was put in: blocked Bloom filters, a larger one whenever the last is
/// full, as their sizes cannot change. Keys are hashes, so their own bits say where they go. About two bytes a key.
pub(crate) struct Filter {
    generations: [OnceLock<Box<Blocks>>; GENERATIONS],
    count: AtomicU64,
}

impl Default for Filter {
    fn default() -> Self {
        Filter { generations: [const { OnceLock::new() }; GENERATIONS], count: AtomicU64::new(0) }
    }
}

/// Keys for which the generations before this one are made.
fn keys_before(generation: usize) -> u64 {
    BLOCK_KEYS * FIRST_BLOCKS * ((1 << generation) - 1)
}

fn blocks(generation: usize) -> usize {
    (FIRST_BLOCKS << generation) as usize
}

/// Where a key is looked for: the same in every generation, but for the block.
#[derive(Clone, Copy)]
struct Place {
    /// Which block, as a part of 2^64.
    block: u64,
    /// Bits of that block: word, and bit in it.
    bits: [(usize, u64); KEY_BITS as usize],
}

impl Place {
    fn of(key: &[u8; 32]) -> Place {
        let number = |at: usize| key.as_chunks::<8>().0.get(at).map_or(0, |part| u64::from_be_bytes(*part));
        let bits = number(1);
        let bit = |i: usize| (bits >> (9 * i)) & 511;
        Place {
            block: number(0),
            bits: std::array::from_fn(|i| ((bit(i) / 64) as usize, 1 << (bit(i) % 64))),
        }
    }

    fn block(self, generation: &Blocks) -> Option<&[AtomicU64; BLOCK_WORDS]> {
        generation.get(((u128::from(self.block) * generation.len() as u128) >> 64) as usize)
    }

    /// Whether the block has all bits. Looks at each, whatever the others are: a branch would be a guess that is wrong half
    /// of the time, and costs more than all of this.
    fn is_in(self, block: &[AtomicU64; BLOCK_WORDS]) -> bool {
        self.bits.iter().fold(true, |all, (word, bit)| {
            // The word is at most 7.
            all & (block[word % BLOCK_WORDS].load(Ordering::Relaxed) & bit != 0)
        })
    }
}

/// What stands for "something waits for this record", beside the hash itself, which stands for the record: made of its
/// other bits.
fn waited_for(hash: &[u8; 32]) -> [u8; 32] {
    let mut key = *hash;
    key.rotate_left(16);
    key
}

impl Filter {
    /// Whether something may wait for the record; if not, surely nothing does.
    pub(crate) fn may_be_waited_for(&self, hash: &[u8; 32]) -> bool {
        self.may_have(&waited_for(hash))
    }

    /// Notes that something waits for a record, before the index says so. One thread inserts.
    pub(crate) fn insert_waited_for(&self, hash: &[u8; 32]) {
        self.insert(&waited_for(hash));
    }

    /// Whether the key may have been inserted; if not, it surely was not.
    pub(crate) fn may_have(&self, key: &[u8; 32]) -> bool {
        // Who sees a row in the index also sees what its writer did here before: committing orders the two.
        let place = Place::of(key);
        // The large generations are at the end, and in no cache: they are all read at once, not one after another.
        self.generations.iter().map_while(OnceLock::get).fold(false, |found, generation| {
            found | place.block(generation).is_some_and(|block| place.is_in(block))
        })
    }

    /// Inserts a key, before the index has it. One thread inserts. Returns whether it may have been there before.
    pub(crate) fn insert(&self, key: &[u8; 32]) -> bool {
        if self.may_have(key) {
            return true;
        }
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let at = (0..GENERATIONS - 1).find(|g| count < keys_before(g + 1)).unwrap_or(GENERATIONS - 1);
        // Earlier ones exist, or `may_have` would not look here: a count grows by one at a time.
        let Some(generation) = self.generations.get(at) else { return false };
        let generation = generation.get_or_init(|| (0..blocks(at)).map(|_| Default::default()).collect());
        let place = Place::of(key);
        if let Some(block) = place.block(generation) {
            for (word, bit) in place.bits {
                block[word % BLOCK_WORDS].fetch_or(bit, Ordering::Relaxed);
            }
        }
        false
    }

    /// Bytes of memory it takes.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.generations.iter().map_while(OnceLock::get).map(|blocks| size_of_val(&**blocks)).sum()
    }

    /// Writes it: the number of keys (8 bytes, big-endian), the generations' words (8 bytes each, little-endian), the
    /// CRC-32 of both (4, big-endian).
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut crc = crc32fast::Hasher::new();
        let count = self.count.load(Ordering::Relaxed).to_be_bytes();
        crc.update(&count);
        out.write_all(&count)?;
        let mut piece = Vec::with_capacity(PIECE_BLOCKS * BLOCK_WORDS * 8);
        for generation in self.generations.iter().map_while(OnceLock::get) {
            for blocks in generation.chunks(PIECE_BLOCKS) {
                piece.clear();
                for word in blocks.iter().flatten() {
                    piece.extend_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
                }
                crc.update(&piece);
                out.write_all(&piece)?;
            }
        }
        out.write_all(&crc.finalize().to_be_bytes())
    }

    /// Reads what [`Filter::write`] wrote. `keys_max`: more keys than that are not believed, so that memory is bounded.
    pub(crate) fn read(input: &mut dyn Read, keys_max: u64) -> io::Result<Self> {
        let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
        let mut crc = crc32fast::Hasher::new();
        let mut count = [0; 8];
        input.read_exact(&mut count)?;
        crc.update(&count);
        let count = u64::from_be_bytes(count);
        if count > keys_max {
            return Err(broken("a filter of too many keys"));
        }
        let filter = Filter { count: AtomicU64::new(count), ..Filter::default() };
        let mut piece = vec![[[0; 8]; BLOCK_WORDS]; PIECE_BLOCKS];
        for (at, generation) in filter.generations.iter().enumerate() {
            if count <= keys_before(at) {
                break;
            }
            let mut read = Vec::with_capacity(blocks(at));
            while read.len() < blocks(at) {
                let left = piece.len().min(blocks(at) - read.len());
                let piece = piece.get_mut(..left).unwrap_or_default();
                let bytes = piece.as_flattened_mut().as_flattened_mut();
                input.read_exact(bytes)?;
                crc.update(bytes);
                read.extend(piece.iter().map(|block| block.map(|w| AtomicU64::new(u64::from_le_bytes(w)))));
            }
            // It was empty until now.
            let _ = generation.set(read.into_boxed_slice());
        }
        let mut expected = [0; 4];
        input.read_exact(&mut expected)?;
        if crc.finalize().to_be_bytes() != expected {
            return Err(broken("wrong checksum"));
        }
        Ok(filter)
    }
}

/// Blocks written or read at a time.
const PIECE_BLOCKS: usize = 1 << 10;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A key that looks random.
    fn key(n: u64) -> [u8; 32] {
        let mut key = [0; 32];
        for (i, part) in key.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let mut z = (n * 4 + i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *part = (z ^ (z >> 31)).to_be_bytes();
        }
        key
    }

    #[test]
    fn forgets_nothing_and_makes_up_little() {
        let filter = Filter::default();
        // Into the third generation.
        let count = keys_before(5) + 1_000;
        for n in 0..count {
            filter.insert(&key(n));
            assert!(filter.may_have(&key(n)));
        }
        assert!((0..count).all(|n| filter.may_have(&key(n))));
        let wrong = (0..100_000).filter(|n| filter.may_have(&key(count + n))).count();
        assert!(wrong < 3_000, "{wrong} of 100,000");
        assert!(filter.bytes() < 4 * count as usize);

        let mut written = Vec::new();
        filter.write(&mut written).unwrap();
        let same = Filter::read(&mut written.as_slice(), count).unwrap();
        assert!((0..count).all(|n| same.may_have(&key(n))));
        assert_eq!(wrong, (0..100_000).filter(|n| same.may_have(&key(count + n))).count());
        same.insert(&key(count));
        assert!(same.may_have(&key(count)));
        // Damage and lies are noticed.
        assert!(Filter::read(&mut written.as_slice(), 1_000).is_err());
        assert!(Filter::read(&mut &written[..written.len() - 1], count).is_err());
        let middle = written.len() / 2;
        written[middle] ^= 1;
        assert!(Filter::read(&mut written.as_slice(), count).is_err());
    }

    #[test]
    fn an_empty_one_is_read_back() {
        let mut written = Vec::new();
        Filter::default().write(&mut written).unwrap();
        let empty = Filter::read(&mut written.as_slice(), 0).unwrap();
        assert!(!empty.may_have(&key(1)));
    }

    #[test]
    fn any_key_can_be_inserted() {
        let filter = Filter::default();
        for byte in [0, 1, 0x80, 0xff] {
            filter.insert(&[byte; 32]);
            assert!(filter.may_have(&[byte; 32]));
        }
    }
}
