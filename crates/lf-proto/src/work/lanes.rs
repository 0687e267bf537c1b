//! The fast hash of the search: hundreds of colliders in step, so that table reads and AES overlap.
//!
//! Only colliders of one round are taken: E1(E0(x))[0] mod 6 tells before any table read, and all lanes then
//! run the same 16 steps. What the MD5 absorbs depends on t[0] mod 8 alone, so finished lanes queue by that
//! and a full queue is finished together. Lanes that leave the common way (the long forms of branches 4 and
//! 5, the whole-table step 5) are dropped. Results are hints: callers verify by `hash`.

use aes::{
    Block,
    cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, consts::U16},
};

use super::{
    Table,
    hash::{Ciphers, add_quotient, running_sum, takes_whole_table},
    md5x,
    table::select,
};

/// Colliders in step: enough to hide the memory's latency, few enough for the first-level cache.
/// A multiple of what the cipher's backends take at once (8, 30, 64).
const LANES: usize = 960;

/// Finished lanes of a case that are completed together.
const QUEUE: usize = 240;

/// MD5s side by side.
const WIDTH: usize = 16;

/// A collider and the states that its MD5 absorbs.
#[derive(Clone, Copy)]
struct Walked {
    collider: u64,
    /// After the first two encryptions, after step 1, after step 2.
    states: [Block; 3],
}

/// Sequences of cipher applications of cases 2 to 4.
const SEQUENCES: [&[usize]; 3] = [&[0], &[1, 0], &[1, 0, 1, 1, 0]];

/// One worker's lanes.
pub(super) struct Lanes {
    ciphers: Ciphers,
    candidates: Box<[Block; LANES]>,
    /// Colliders of one round and their state, not yet walked.
    ready: Vec<(u64, Block)>,
    states: Box<[Block; LANES]>,
    halfway: Box<[Block; LANES]>,
    queues: [Vec<Walked>; 8],
}

fn blocks() -> Box<[Block; LANES]> {
    Box::new([Block::default(); LANES])
}

impl Lanes {
    pub(super) fn new(ciphers: Ciphers) -> Self {
        Self {
            ciphers,
            candidates: blocks(),
            ready: Vec::with_capacity(2 * LANES),
            states: blocks(),
            halfway: blocks(),
            queues: std::array::from_fn(|_| Vec::with_capacity(QUEUE)),
        }
    }

    /// Hashes one batch of the colliders that `next` counts up and hands each result (collider, F) to
    /// `found`.
    pub(super) fn batch(
        &mut self,
        table: &Table,
        mut next: impl FnMut() -> u64,
        mut found: impl FnMut(&[(u64, u64)]),
    ) {
        let table = table.as_bytes();
        while self.ready.len() < LANES {
            self.filter(&mut next);
        }
        let batch = self.ready.len() - LANES;
        for (state, (_, start)) in self.states.iter_mut().zip(&self.ready[batch..]) {
            *state = *start;
        }
        for cipher in 0..2 {
            for i in 0..8 {
                for state in self.states.iter_mut() {
                    let t = u128::from_le_bytes(state.0);
                    state.0 = (t ^ u128::from(select(table, t)) << (8 * i)).to_le_bytes();
                }
                self.ciphers.0[cipher].encrypt_blocks(&mut self.states[..]);
            }
            if cipher == 0 {
                self.halfway.copy_from_slice(&self.states[..]);
            }
        }
        for lane in 0..LANES {
            let (collider, start) = self.ready[batch + lane];
            let last = self.states[lane];
            let case = usize::from(last[0] % 8);
            let queue = &mut self.queues[case];
            queue.push(Walked { collider, states: [start, self.halfway[lane], last] });
            if queue.len() == QUEUE {
                found(&finish(&self.ciphers, case, queue));
                queue.clear();
            }
        }
        self.ready.truncate(batch);
    }

    /// Encrypts candidates twice and keeps those of one round.
    fn filter(&mut self, next: &mut impl FnMut() -> u64) {
        let first = next();
        for (i, block) in self.candidates.iter_mut().enumerate() {
            block.0 = (u128::from(first + i as u64) << 64).to_be_bytes();
        }
        for cipher in &self.ciphers.0 {
            cipher.encrypt_blocks(&mut self.candidates[..]);
        }
        for (i, block) in self.candidates.iter().enumerate() {
            if block[0].is_multiple_of(6) {
                self.ready.push((first + i as u64, *block));
            }
        }
    }
}

/// How many consecutive colliders a call of `next` stands for.
pub(super) const CANDIDATES: u64 = LANES as u64;

/// Branch (step 3) and MD5 of a queue of one case: pairs of collider and F.
fn finish(ciphers: &Ciphers, case: usize, queue: &[Walked]) -> Vec<(u64, u64)> {
    // The MD5 of all cases absorbs x and the three states (one block), then these, then `last`.
    let mut last: Vec<Block> = queue.iter().map(|walked| walked.states[2]).collect();
    let mut between: Vec<Vec<Block>> = Vec::new();
    let mut dropped = vec![false; queue.len()];
    match case {
        0 => between.push(last.clone()),
        1 => {
            let x: Vec<Block> =
                queue.iter().map(|w| Block::from((u128::from(w.collider) << 64).to_be_bytes())).collect();
            between.extend([x.clone(), last.clone(), x, last.clone()]);
        }
        2..=4 => {
            if case == 4 {
                last.iter().zip(&mut dropped).for_each(|(t, dropped)| *dropped = t[1] == 253);
            }
            SEQUENCES[case - 2].iter().for_each(|which| ciphers.0[*which].encrypt_blocks(&mut last));
        }
        5 => {
            ciphers.0[1].encrypt_blocks(&mut last);
            between.push(last.clone());
            [0, 1, 0].iter().for_each(|which| ciphers.0[*which].encrypt_blocks(&mut last));
            last.iter().zip(&mut dropped).for_each(|(t, dropped)| *dropped = t[0] == 3);
            ciphers.0[0].encrypt_blocks(&mut last);
            between.push(last.clone());
            ciphers.0[0].encrypt_blocks(&mut last);
        }
        6 => last.iter_mut().for_each(|t| t.0 = running_sum(t.0)),
        _ => last.iter_mut().for_each(|t| t.0 = add_quotient(u128::from_le_bytes(t.0)).to_le_bytes()),
    }
    last.iter().zip(&mut dropped).for_each(|(t, dropped)| *dropped |= takes_whole_table(&t.0));
    between.push(last);
    let mut results = Vec::with_capacity(queue.len());
    ciphers.0[0].encrypt_with_backend(Digest { queue, tail: &between, results: &mut results });
    let mut dropped = dropped.iter();
    results.retain(|_| !dropped.next().is_some_and(|dropped| *dropped));
    results
}

/// The MD5 of a queue. It runs as a closure of the cipher because the cipher's backend is compiled for, and
/// chosen by, the vector instructions this machine has; code inlined into it gets them too, without unsafe
/// code of ours.
struct Digest<'a> {
    queue: &'a [Walked],
    tail: &'a [Vec<Block>],
    results: &'a mut Vec<(u64, u64)>,
}

impl BlockSizeUser for Digest<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Digest<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, _backend: &B) {
        let absorbed = 4 + self.tail.len();
        let zero = [[0; WIDTH]; 16];
        for (group, walked) in self.queue.chunks_exact(WIDTH).enumerate() {
            let mut state = md5x::start::<WIDTH>();
            let mut block = zero;
            for (l, walked) in walked.iter().enumerate() {
                // BE64 of the collider, read as little-endian words; the other half is zero.
                let x = walked.collider.swap_bytes();
                block[0][l] = x as u32;
                block[1][l] = (x >> 32) as u32;
                for (i, t) in walked.states.iter().enumerate() {
                    put(&mut block, 4 + 4 * i, l, t);
                }
            }
            md5x::compress(&mut state, &block);
            let mut at = 0;
            block = zero;
            for blocks in self.tail {
                if at == 16 {
                    md5x::compress(&mut state, &block);
                    (block, at) = (zero, 0);
                }
                for (l, t) in blocks[group * WIDTH..][..WIDTH].iter().enumerate() {
                    put(&mut block, at, l, t);
                }
                at += 4;
            }
            if at == 16 {
                md5x::compress(&mut state, &block);
                (block, at) = (zero, 0);
            }
            block[at] = [0x80; WIDTH];
            block[14] = [absorbed as u32 * 128; WIDTH];
            md5x::compress(&mut state, &block);
            for (l, walked) in walked.iter().enumerate() {
                let low = u64::from(state[0][l]) | u64::from(state[1][l]) << 32;
                let high = u64::from(state[2][l]) | u64::from(state[3][l]) << 32;
                self.results.push((walked.collider, low ^ high));
            }
        }
    }
}

/// Puts a state's four words into lane `l` of a block, from word `at`.
#[inline(always)]
fn put(block: &mut [md5x::Words<WIDTH>; 16], at: usize, l: usize, t: &Block) {
    let t = u128::from_le_bytes(t.0);
    for word in 0..4 {
        block[at + word][l] = (t >> (32 * word)) as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::Frankenhash;

    /// Every result is the definition's, one-round, and all eight cases occur.
    #[test]
    fn agrees_with_the_definition() {
        let table = Table::shared();
        let input = b"lanes";
        let hash = Frankenhash::new(table, input);
        let mut lanes = Lanes::new(Ciphers::new(input));
        let (mut at, mut compared) = (0x12_3456_7000, 0);
        for _ in 0..12 {
            let next = || {
                at += CANDIDATES;
                at - CANDIDATES
            };
            lanes.batch(table, next, |results| {
                for (collider, value) in results {
                    let x = Frankenhash::input(*collider);
                    assert_eq!(hash.hash(&x), *value, "{collider:010x}");
                    let outline = hash.outline(&x);
                    assert_eq!((outline.rounds, outline.table_passes), (1, 0));
                    compared += 1;
                }
            });
            lanes.queues.iter().for_each(|queue| assert!(queue.len() < QUEUE));
        }
        // What is not in a queue was handed out, but for some dropped ones.
        let queued: usize = lanes.queues.iter().map(Vec::len).sum();
        assert!(
            compared + queued <= 12 * LANES && compared + queued > 12 * LANES * 99 / 100,
            "{compared} {queued}"
        );
        assert!(compared > 8 * QUEUE);
    }
}
