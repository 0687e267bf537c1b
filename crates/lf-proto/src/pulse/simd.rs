//! th64 chains with the AES instructions of x86-64: the value never leaves its vector register, so that a step costs
//! hardly more than the ten rounds themselves. What it computes, [`walk_portable`](super::th64::walk_portable) defines.
#![allow(unsafe_code)] // calling a function that needs instructions which were detected at run time

use std::arch::x86_64::{
    __m128i, _mm_aesenc_si128, _mm_aesenclast_si128, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm_move_epi64,
    _mm_set_epi64x, _mm_srli_si128, _mm_xor_si128,
};

/// The key of th64 expanded (FIPS 197, 5.2), each round's 16 bytes as a little-endian number.
const ROUND_KEYS: [u128; 11] = [
    0xad2a_1116_feff_ca63_0410_6563_5d10_c801,
    0x4d40_9394_e06a_8282_1e95_48e1_1a85_2d82,
    0x8bd9_7dab_c699_ee3f_26f3_6cbd_3866_245c,
    0x31e8_ee8e_ba31_9325_7ca8_7d1a_5a5b_11a7,
    0xb4ed_8a36_8505_64b8_3f34_f79d_439c_8a87,
    0x48cd_c6fa_fc20_4ccc_7925_2874_4611_dfe9,
    0xa68b_c03f_ee46_06c5_1266_4a09_6b43_627d,
    0x44cc_d374_e247_134b_0c01_158e_1e67_5f87,
    0x26f6_c1d0_623a_12a4_807d_01ef_8c7c_1461,
    0x383a_8499_1ecc_4549_7cf6_57ed_fc8b_5602,
    0x488c_4056_70b6_c4cf_6e7a_8186_128c_d66b,
];

/// Walks all chains the same number of steps; false, and nothing done, if this machine has no AES instructions.
pub(super) fn walk<const N: usize>(values: &mut [u64; N], steps: u32) -> bool {
    if !is_x86_feature_detected!("aes") {
        return false;
    }
    // SAFETY: the one requirement is that the machine has these instructions, which was just asked; SSE2 is part of
    // x86-64.
    unsafe { walk_aes(values, steps) };
    true
}

#[target_feature(enable = "aes,sse2")]
fn walk_aes<const N: usize>(values: &mut [u64; N], steps: u32) {
    let keys: [__m128i; 11] = ROUND_KEYS.map(|key| _mm_set_epi64x((key >> 64) as i64, key as i64));
    let mut chains: [__m128i; N] = values.map(|value| _mm_cvtsi64_si128(value as i64));
    for _ in 0..steps {
        let mut states = chains;
        for state in &mut states {
            *state = _mm_xor_si128(*state, keys[0]);
        }
        for key in &keys[1..10] {
            for state in &mut states {
                *state = _mm_aesenc_si128(*state, *key);
            }
        }
        for (chain, state) in chains.iter_mut().zip(&states) {
            let o = _mm_aesenclast_si128(*state, keys[10]);
            // The upper halves must stay zero. Both halves of o are ready at once, one instruction later.
            *chain = _mm_xor_si128(_mm_xor_si128(*chain, _mm_move_epi64(o)), _mm_srli_si128::<8>(o));
        }
    }
    *values = chains.map(|chain| _mm_cvtsi128_si64(chain) as u64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pulse::th64::KEY;

    #[test]
    fn the_first_round_key_is_the_key() {
        assert_eq!(ROUND_KEYS[0].to_le_bytes(), KEY);
    }
}
