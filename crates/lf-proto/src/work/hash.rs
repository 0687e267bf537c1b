//! The hash F (PROTOCOL.md §8) as it is defined: scalar, readable, decisive. The fast search must agree with
//! it.
//!
//! The MD5 never feeds back into the state, so the same walk serves to count the passes over the whole table
//! (step 5) in microseconds before anybody pays for one.

use aes::{
    Aes256Enc, Block,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use md5::Md5;
use sha2::{Digest, Sha512};

use super::{Table, table::select};

/// The keys of the two ciphers E0 and E1 of a work input (a record's work hash; any bytes will do).
pub(super) fn keys(work_input: &[u8]) -> [[u8; 32]; 2] {
    let mut keys = [[0; 32]; 2];
    keys.as_flattened_mut().copy_from_slice(&Sha512::digest(work_input));
    keys
}

/// How the walk of one hash runs: what it costs to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    /// Rounds, 1 to 6.
    pub rounds: u32,
    /// How often the MD5 absorbs the whole 128 MiB table, 0 to 6: a fraction of a second each.
    pub table_passes: u32,
}

/// Steps of a round: eight table reads with each cipher.
pub(super) const STEPS: usize = 16;

/// The ciphers of branch 4's long form.
pub(super) const LONG_SEQUENCE: [usize; 18] = [0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1];

/// What the MD5 of a hash absorbs.
pub(super) enum Absorb<'a> {
    Block(&'a [u8; 16]),
    Table,
}

/// The hash F of one work input.
#[derive(Clone)]
pub struct Frankenhash<'t> {
    table: &'t Table,
    /// E0 and E1.
    ciphers: [Aes256Enc; 2],
}

impl<'t> Frankenhash<'t> {
    /// The hash for a work input (a record's 48-byte work hash).
    pub fn new(table: &'t Table, work_input: &[u8]) -> Self {
        Self { table, ciphers: keys(work_input).map(|key| Aes256Enc::new(&key.into())) }
    }

    /// What computing F(x) takes, found without computing it: some microseconds for any x.
    pub fn outline(&self, x: &[u8; 16]) -> Outline {
        let mut table_passes = 0;
        let rounds = self.walk(x, |absorb| table_passes += u32::from(matches!(absorb, Absorb::Table)));
        Outline { rounds, table_passes }
    }

    /// How many rounds F(x) has, 1 to 6: settled before the table is read.
    pub fn rounds(&self, x: &[u8; 16]) -> u32 {
        self.begin(x, &mut |_| {}).1
    }

    /// F(x). Takes microseconds, and a fraction of a second for each of [`Outline::table_passes`].
    pub fn hash(&self, x: &[u8; 16]) -> u64 {
        let mut md5 = Md5::new();
        self.walk(x, |absorb| match absorb {
            Absorb::Block(block) => md5.update(block),
            Absorb::Table => md5.update(self.table.as_bytes()),
        });
        let m = u128::from_le_bytes(md5.finalize().into());
        m as u64 ^ (m >> 64) as u64
    }

    /// The input block of a 40-bit collider: BE64 and eight zero bytes.
    pub fn input(collider: u64) -> [u8; 16] {
        (u128::from(collider) << 64).to_be_bytes()
    }

    /// Walks through the hash, hands over all that the MD5 absorbs and returns the number of rounds.
    fn walk(&self, x: &[u8; 16], mut absorb: impl FnMut(Absorb<'_>)) -> u32 {
        let (mut t, rounds) = self.begin(x, &mut absorb);
        for _ in 0..rounds {
            for step in 0..STEPS {
                self.step(step, &mut t);
                if step % 8 == 7 {
                    absorb(Absorb::Block(&t));
                }
            }
            self.end_round(x, &mut t, &mut absorb);
        }
        rounds
    }

    fn encrypt(&self, which: &[usize], t: &mut [u8; 16]) {
        let mut block = Block::from(*t);
        which.iter().for_each(|which| self.ciphers[which & 1].encrypt_block(&mut block));
        *t = block.0;
    }

    /// Up to the first round: the state and the number of rounds.
    pub(super) fn begin(&self, x: &[u8; 16], absorb: &mut impl FnMut(Absorb<'_>)) -> ([u8; 16], u32) {
        let mut t = *x;
        self.encrypt(&[0, 1], &mut t);
        absorb(Absorb::Block(x));
        absorb(Absorb::Block(&t));
        (t, 1 + u32::from(t[0] % 6))
    }

    /// One of a round's 16 steps: a read of the table, then a cipher. The state is absorbed after the 8th and the last.
    #[inline]
    pub(super) fn step(&self, step: usize, t: &mut [u8; 16]) {
        // As a number, not as a byte in memory: a load of all 16 bytes would wait for the store of that one.
        let state = u128::from_le_bytes(*t);
        let byte = u128::from(select(self.table.as_bytes(), state));
        *t = (state ^ byte << (8 * (step % 8))).to_le_bytes();
        self.encrypt(&[step / 8], t);
    }

    /// The end of a round, after its steps.
    pub(super) fn end_round(&self, x: &[u8; 16], t: &mut [u8; 16], absorb: &mut impl FnMut(Absorb<'_>)) {
        match t[0] % 8 {
            0 => absorb(Absorb::Block(t)),
            1 => [x, &*t, x, &*t].into_iter().for_each(|block| absorb(Absorb::Block(block))),
            2 => self.encrypt(&[0], t),
            3 => self.encrypt(&[1, 0], t),
            4 if t[1] == 253 => self.encrypt(&LONG_SEQUENCE, t),
            4 => self.encrypt(&[1, 0, 1, 1, 0], t),
            5 => {
                self.encrypt(&[1], t);
                absorb(Absorb::Block(t));
                self.encrypt(&[0, 1, 0], t);
                if t[0] == 3 {
                    self.encrypt(&[1], t);
                } else {
                    self.encrypt(&[0], t);
                    absorb(Absorb::Block(t));
                    self.encrypt(&[0], t);
                }
            }
            6 => *t = running_sum(*t),
            _ => *t = add_quotient(u128::from_le_bytes(*t)).to_le_bytes(),
        }
        absorb(Absorb::Block(t));
        if takes_whole_table(t) {
            absorb(Absorb::Table);
        }
    }
}

/// Branch 6: t[i] += t[i−1] for i = 1..15.
pub(super) fn running_sum(mut t: [u8; 16]) -> [u8; 16] {
    for i in 1..16 {
        t[i] = t[i].wrapping_add(t[i - 1]);
    }
    t
}

/// Branch 7: the low half grows by its quotient by the high half.
pub(super) fn add_quotient(t: u128) -> u128 {
    let (low, high) = (t as u64, (t >> 64) as u64);
    (t >> 64) << 64 | u128::from(low.wrapping_add(low / (high | 1)))
}

/// Step 5: whether the MD5 absorbs the whole table after a round that ends in `t`.
pub(super) fn takes_whole_table(t: &[u8; 16]) -> bool {
    t[1] == 17 && t[7] < 7 && t[13] > 251
}
