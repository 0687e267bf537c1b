//! The one-way function of the chain, and the ways to walk chains: one, or many side by side.
//!
//! A step is one AES of which the next needs the result, so a single chain waits for the cipher's latency all the
//! time. Eight chains in step keep the same units busy and take hardly longer than one.

use std::sync::LazyLock;

use aes::{
    Aes128Enc, Block,
    cipher::{
        BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, KeyInit, consts::U16,
    },
};

/// The key of th64.
pub(super) const KEY: [u8; 16] =
    [0x01, 0xc8, 0x10, 0x5d, 0x63, 0x65, 0x10, 0x04, 0x63, 0xca, 0xff, 0xfe, 0x16, 0x11, 0x2a, 0xad];

/// Chains that are walked in step.
const LANES: usize = 8;

static CIPHER: LazyLock<Aes128Enc> = LazyLock::new(|| Aes128Enc::new(&KEY.into()));

/// The one-way function of the chain.
pub fn th64(value: u64) -> u64 {
    th64_n(value, 1)
}

/// th64ⁿ: `steps` times [`th64`], each some 15 ns that cannot run in parallel; [`th64_n_each`] is for many. At most
/// [`PULSE_MINUTES_MAX`](super::PULSE_MINUTES_MAX) make sense; bound the number before you call.
pub fn th64_n(value: u64, steps: u32) -> u64 {
    let mut values = [value];
    walk(&mut values, steps);
    values[0]
}

/// th64ⁿ of many values, each with its own number of steps: every (value, steps) becomes (th64ⁿ of it, 0). Some 2 ns a
/// step if there are eight chains or more of about one length. Bound the numbers before you call.
pub fn th64_n_each(chains: &mut [(u64, u32)]) {
    let mut waiting = (0..chains.len()).filter(|i| chains[*i].1 > 0).collect::<Vec<usize>>().into_iter();
    // The chain in each lane, and its value and steps left. Lanes without a chain walk along for nothing.
    let mut walked: [Option<usize>; LANES] = [None; LANES];
    let (mut values, mut left) = ([0u64; LANES], [u32::MAX; LANES]);
    loop {
        let mut active = 0;
        for lane in 0..LANES {
            if let Some(chain) = walked[lane]
                && left[lane] == 0
            {
                chains[chain] = (values[lane], 0);
                walked[lane] = None;
            }
            if walked[lane].is_none() {
                walked[lane] = waiting.next();
                (values[lane], left[lane]) = walked[lane].map_or((0, u32::MAX), |chain| chains[chain]);
            }
            active += usize::from(walked[lane].is_some());
        }
        let steps = left.iter().copied().min().unwrap_or_default();
        match active {
            0 => return,
            // The last one has the units for itself.
            1 => {
                let lane = walked.iter().position(Option::is_some).unwrap_or_default();
                values[lane] = th64_n(values[lane], steps);
            }
            _ => walk(&mut values, steps),
        }
        for (left, walked) in left.iter_mut().zip(&walked) {
            *left -= if walked.is_some() { steps } else { 0 };
        }
    }
}

/// Walks all chains the same number of steps.
fn walk<const N: usize>(values: &mut [u64; N], steps: u32) {
    #[cfg(target_arch = "x86_64")]
    if super::simd::walk(values, steps) {
        return;
    }
    walk_portable(values, steps);
}

/// The walk for every machine, which defines the result.
pub(super) fn walk_portable<const N: usize>(values: &mut [u64; N], steps: u32) {
    CIPHER.encrypt_with_backend(Walk { values, steps });
}

/// The loop runs inside the cipher's backend, so that choosing the backend is not part of every step.
struct Walk<'a, const N: usize> {
    values: &'a mut [u64; N],
    steps: u32,
}

impl<const N: usize> BlockSizeUser for Walk<'_, N> {
    type BlockSize = U16;
}

impl<const N: usize> BlockCipherEncClosure for Walk<'_, N> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        for _ in 0..self.steps {
            for value in self.values.iter_mut() {
                let mut block = Block::from(u128::from(*value).to_le_bytes());
                backend.encrypt_block((&mut block).into());
                let o = u128::from_le_bytes(block.0);
                *value ^= o as u64 ^ (o >> 64) as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn simple(mut value: u64, steps: u32) -> u64 {
        for _ in 0..steps {
            let mut one = [value];
            walk_portable(&mut one, 1);
            value = one[0];
        }
        value
    }

    proptest! {
        #[test]
        fn steps_add_up(value: u64, a in 0u32..50, b in 0u32..50) {
            prop_assert_eq!(th64_n(th64_n(value, a), b), th64_n(value, a + b));
        }

        #[test]
        fn one_chain_is_the_simple_one(value: u64, steps in 0u32..100) {
            prop_assert_eq!(th64_n(value, steps), simple(value, steps));
        }

        #[test]
        fn many_chains_are_the_simple_ones(
            chains in prop::collection::vec((any::<u64>(), prop_oneof![Just(0u32), Just(1), 0u32..90]), 0..40),
        ) {
            let mut walked = chains.clone();
            th64_n_each(&mut walked);
            let simple: Vec<(u64, u32)> = chains.iter().map(|(v, steps)| (simple(*v, *steps), 0)).collect();
            prop_assert_eq!(walked, simple);
        }

        #[test]
        fn lanes_in_step_are_the_simple_ones(values: [u64; 8], steps in 0u32..40) {
            let mut walked = values;
            walk(&mut walked, steps);
            let mut portable = values;
            walk_portable(&mut portable, steps);
            prop_assert_eq!(walked, values.map(|v| simple(v, steps)));
            prop_assert_eq!(portable, walked);
        }
    }
}
