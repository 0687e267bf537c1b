//! The path for every machine: the `aes` crate, which uses AES instructions itself where it knows them, and
//! whatever vector instructions the whole program is compiled for.

use aes::{
    Aes256Enc, Block,
    cipher::{BlockCipherEncrypt, KeyInit},
};

use super::{Ahead, GROUP, Group, Job, PAIRS, Simd};

/// The path for every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::work) struct Software;

impl Simd for Software {
    type Key = Aes256Enc;
    type PairKeys = [Aes256Enc; PAIRS];

    fn key(self, key: &[u8; 32]) -> Aes256Enc {
        Aes256Enc::new(key.into())
    }

    fn pair_keys(self, keys: &[[u8; 32]]) -> [Aes256Enc; PAIRS] {
        std::array::from_fn(|pair| self.key(keys.get(pair).unwrap_or(&[0; 32])))
    }

    #[inline(always)]
    fn encrypt(self, key: &Aes256Enc, group: &mut Group) {
        let mut blocks: [Block; GROUP] = group.0.map(|t| t.to_le_bytes().into());
        key.encrypt_blocks(&mut blocks);
        group.0 = blocks.map(|block| u128::from_le_bytes(block.0));
    }

    #[inline(always)]
    fn step(self, key: &Aes256Enc, group: &mut Group, bytes: &[u8; GROUP], at: usize, ahead: Ahead<'_>) {
        mix_in(group, bytes, at);
        self.encrypt(key, group);
        // Without an instruction to prefetch, reads whose result nobody waits for do.
        let select = |t: &u128| crate::work::table::select(ahead.table, *t);
        std::hint::black_box(ahead.states.0.iter().fold(0, |a, t| a ^ select(t)));
    }

    #[inline(always)]
    fn encrypt_pairs(self, keys: &[Aes256Enc; PAIRS], group: &mut Group) {
        let (pairs, _) = group.0.as_chunks_mut::<2>();
        for (key, pair) in keys.iter().zip(pairs) {
            let mut blocks: [Block; 2] = pair.map(|t| t.to_le_bytes().into());
            key.encrypt_blocks(&mut blocks);
            *pair = blocks.map(|block| u128::from_le_bytes(block.0));
        }
    }

    #[inline(always)]
    fn step_pairs(self, keys: &[Aes256Enc; PAIRS], group: &mut Group, bytes: &[u8; GROUP], at: usize) {
        mix_in(group, bytes, at);
        self.encrypt_pairs(keys, group);
    }

    #[inline(always)]
    fn run<J: Job<Self>>(self, job: J) -> J::Output {
        job.run(self)
    }
}

/// Xors `bytes[l]` into byte `at` of block l.
#[inline(always)]
fn mix_in(group: &mut Group, bytes: &[u8; GROUP], at: usize) {
    for (t, byte) in group.0.iter_mut().zip(bytes) {
        *t ^= u128::from(*byte) << (8 * at);
    }
}
