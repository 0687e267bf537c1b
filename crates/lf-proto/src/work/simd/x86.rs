//! x86-64 paths: AES-NI, VAES in 256-bit and in 512-bit registers.
//!
//! Unsafe, because functions that use instructions this program is not compiled for are called from generic
//! code that knows nothing of them, because registers are loaded and stored through raw pointers, and because
//! prefetching takes one. What makes it sound: the paths' values exist only on machines that have the
//! instructions (their field is private, `detect` makes them), and all loads and stores are of whole registers
//! within an array.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{Ahead, GROUP, Group, Job, PAIRS, Simd};
use crate::work::table::TABLE_BYTES;

/// For each place of a byte: controls that take byte l of a register to that place of block l, zero elsewhere.
static SPREAD: [Group; 8] = {
    let mut spread = [Group([0x8080_8080_8080_8080_8080_8080_8080_8080; GROUP]); 8];
    let mut at = 0;
    while at < 8 {
        let mut l = 0;
        while l < GROUP {
            spread[at].0[l] ^= (0x80 ^ l as u128) << (8 * at);
            l += 1;
        }
        at += 1;
    }
    spread
};

/// Brings what is at this reference into the cache.
#[inline(always)]
pub(in crate::work) fn prefetch<T>(at: &T) {
    // SAFETY: a prefetch reads nothing that the program sees and faults nowhere; SSE is part of x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(at).cast()) }
}

/// Brings a byte of the table into the second-level cache: the first is too small for all the lanes' lines.
#[inline(always)]
fn prefetch_l2(byte: &u8) {
    // SAFETY: a prefetch reads nothing that the program sees and faults nowhere; SSE is part of x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(byte).cast()) }
}

/// Round keys of AES-256.
#[target_feature(enable = "aes")]
fn expand(key: &[u8; 32]) -> [__m128i; 15] {
    let half = |i: usize| {
        let word = |w: usize| i32::from_le_bytes(std::array::from_fn(|b| key[16 * i + 4 * w + b]));
        _mm_set_epi32(word(3), word(2), word(1), word(0))
    };
    let mut keys = [half(0); 15];
    keys[1] = half(1);
    // A round key is the running xor of the one two before it, with a word of the one before it mixed in.
    macro_rules! next {
        ($i:expr, $constant:expr, $word:expr) => {
            let word = _mm_shuffle_epi32::<$word>(_mm_aeskeygenassist_si128::<$constant>(keys[$i - 1]));
            let sum = _mm_xor_si128(keys[$i - 2], _mm_slli_si128::<4>(keys[$i - 2]));
            keys[$i] = _mm_xor_si128(_mm_xor_si128(sum, _mm_slli_si128::<8>(sum)), word);
        };
    }
    next!(2, 1, 0xff);
    next!(3, 0, 0xaa);
    next!(4, 2, 0xff);
    next!(5, 0, 0xaa);
    next!(6, 4, 0xff);
    next!(7, 0, 0xaa);
    next!(8, 8, 0xff);
    next!(9, 0, 0xaa);
    next!(10, 16, 0xff);
    next!(11, 0, 0xaa);
    next!(12, 32, 0xff);
    next!(13, 0, 0xaa);
    next!(14, 64, 0xff);
    keys
}

/// Round keys of AES-256 for each block of a group: neighbours have the same.
type PairKeys = [Group; 15];

/// Round keys for each pair of blocks; zeros where there is no key.
#[target_feature(enable = "aes")]
fn expand_pairs(keys: &[[u8; 32]]) -> PairKeys {
    let mut laid_out = [Group::ZERO; 15];
    for (pair, key) in keys.iter().enumerate().take(PAIRS) {
        for (group, key) in laid_out.iter_mut().zip(expand(key)) {
            let blocks: &mut [u128; 2] = &mut group.0.as_chunks_mut().0[pair];
            let half = _mm_cvtsi128_si64(key) as u64;
            let other = _mm_cvtsi128_si64(_mm_unpackhi_epi64(key, key)) as u64;
            *blocks = [u128::from(other) << 64 | u128::from(half); 2];
        }
    }
    laid_out
}

/// The rounds between the first and the last, written out, and what is done after each: a block that is told
/// how many rounds were done before and after it.
macro_rules! rounds {
    ($x:ident, $key:ident, $op:ident, |$from:pat_param, $to:pat_param| $between:block) => {
        rounds!(@ $x $key $op $from, $to, $between: 1 2 3 4 5 6 7 8 9 10 11 12 13)
    };
    (@ $x:ident $key:ident $op:ident $from:pat_param, $to:pat_param, $between:block: $($round:literal)*) => {
        $(
            for (register, x) in $x.iter_mut().enumerate() {
                *x = $op(*x, $key($round, register));
            }
            #[allow(clippy::identity_op)]
            {
                let ($from, $to) = ($round - 1, $round);
                $between
            }
        )*
    };
}

macro_rules! path {
    (
        $(#[$doc:meta])*
        $path:ident, $module:ident, $register:ty, $blocks:literal blocks, $at_once:literal at once,
        $all_features:literal, [$($feature:tt),*],
        $load:ident, $store:ident, $repeat:expr, $xor:ident, $shuffle:ident, $round:ident, $last:ident
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::work) struct $path(());

        impl $path {
            /// The path, on machines that have it.
            pub(in crate::work) fn detect() -> Option<Self> {
                ($(is_x86_feature_detected!($feature) &&)* true).then_some(Self(()))
            }
        }

        mod $module {
            use super::*;

            /// Round keys, each repeated for all blocks of a register.
            pub(in crate::work) type Keys = [$register; 15];
            /// Registers of a group, and encrypted at once.
            const REGISTERS: usize = GROUP / $blocks;
            const AT_ONCE: usize = $at_once;

            #[target_feature(enable = $all_features)]
            pub(super) fn key(key: &[u8; 32]) -> Keys {
                let keys = expand(key);
                let mut repeated = [$repeat(keys[0]); 15];
                for (repeated, key) in repeated.iter_mut().zip(keys) {
                    *repeated = $repeat(key);
                }
                repeated
            }

            #[target_feature(enable = $all_features)]
            #[inline]
            fn load(group: &Group, register: usize) -> $register {
                let blocks: &[u128; $blocks] = &group.0.as_chunks().0[register];
                // SAFETY: the array is as large as a register; the load is one for any alignment.
                unsafe { $load(blocks.as_ptr().cast()) }
            }

            #[target_feature(enable = $all_features)]
            #[inline]
            fn store(group: &mut Group, register: usize, x: $register) {
                let blocks: &mut [u128; $blocks] = &mut group.0.as_chunks_mut().0[register];
                // SAFETY: the array is as large as a register; the store is one for any alignment.
                unsafe { $store(blocks.as_mut_ptr().cast(), x) }
            }

            /// Encrypts; `key` is told a round and a register.
            #[target_feature(enable = $all_features)]
            #[inline]
            fn encrypt_with(key: impl Fn(usize, usize) -> $register, group: &mut Group) {
                for pass in 0..REGISTERS / AT_ONCE {
                    let first = pass * AT_ONCE;
                    let key = |round, i| key(round, first + i);
                    let mut x = [$repeat(_mm_setzero_si128()); AT_ONCE];
                    for i in 0..AT_ONCE {
                        x[i] = $xor(load(group, first + i), key(0, i));
                    }
                    rounds!(x, key, $round, |_, _| {});
                    for i in 0..AT_ONCE {
                        store(group, first + i, $last(x[i], key(14, i)));
                    }
                }
            }

            /// Xors bytes into the blocks and encrypts; `key` as above, `between` is told a pass and how many
            /// rounds of it were done before and after some.
            #[target_feature(enable = $all_features)]
            #[inline]
            fn step_with(
                key: impl Fn(usize, usize) -> $register,
                group: &mut Group,
                bytes: &[u8; GROUP],
                at: usize,
                mut between: impl FnMut(usize, usize, usize),
            ) {
                // SAFETY: 16 bytes are a block; the load is one for any alignment.
                let bytes = $repeat(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) });
                for pass in 0..REGISTERS / AT_ONCE {
                    let first = pass * AT_ONCE;
                    let key = |round, i| key(round, first + i);
                    let mut x = [bytes; AT_ONCE];
                    for i in 0..AT_ONCE {
                        let spread = $shuffle(bytes, load(&SPREAD[at % 8], first + i));
                        x[i] = $xor($xor(load(group, first + i), key(0, i)), spread);
                    }
                    rounds!(x, key, $round, |from, to| { between(pass, from, to) });
                    for i in 0..AT_ONCE {
                        store(group, first + i, $last(x[i], key(14, i)));
                    }
                }
            }

            #[target_feature(enable = $all_features)]
            #[inline]
            pub(super) fn encrypt(key: &Keys, group: &mut Group) {
                encrypt_with(|round, _| key[round], group);
            }

            #[target_feature(enable = $all_features)]
            #[inline]
            pub(super) fn step(
                key: &Keys,
                group: &mut Group,
                bytes: &[u8; GROUP],
                at: usize,
                ahead: Ahead<'_>,
            ) {
                // As many prefetches as blocks, spread over the rounds.
                const BLOCKS: usize = AT_ONCE * $blocks;
                step_with(|round, _| key[round], group, bytes, at, |pass, from, to| {
                    for l in from * BLOCKS / 13..to * BLOCKS / 13 {
                        let state = ahead.states.0[pass * BLOCKS + l];
                        prefetch_l2(&ahead.table[state as usize & (TABLE_BYTES - 1)]);
                    }
                });
            }

            #[target_feature(enable = $all_features)]
            #[inline]
            pub(super) fn encrypt_pairs(keys: &PairKeys, group: &mut Group) {
                encrypt_with(|round, register| load(&keys[round], register), group);
            }

            #[target_feature(enable = $all_features)]
            #[inline]
            pub(super) fn step_pairs(keys: &PairKeys, group: &mut Group, bytes: &[u8; GROUP], at: usize) {
                step_with(|round, register| load(&keys[round], register), group, bytes, at, |_, _, _| {});
            }
        }

        impl Simd for $path {
            type Key = $module::Keys;
            type PairKeys = PairKeys;

            fn key(self, key: &[u8; 32]) -> Self::Key {
                // SAFETY: `self` exists, so the machine has the instructions.
                unsafe { $module::key(key) }
            }

            fn pair_keys(self, keys: &[[u8; 32]]) -> PairKeys {
                // SAFETY: as above.
                unsafe { expand_pairs(keys) }
            }

            #[inline(always)]
            fn encrypt(self, key: &Self::Key, group: &mut Group) {
                // SAFETY: as above.
                unsafe { $module::encrypt(key, group) }
            }

            #[inline(always)]
            fn step(self, key: &Self::Key, group: &mut Group, bytes: &[u8; GROUP], at: usize, ahead: Ahead<'_>) {
                // SAFETY: as above.
                unsafe { $module::step(key, group, bytes, at, ahead) }
            }

            #[inline(always)]
            fn encrypt_pairs(self, keys: &PairKeys, group: &mut Group) {
                // SAFETY: as above.
                unsafe { $module::encrypt_pairs(keys, group) }
            }

            #[inline(always)]
            fn step_pairs(self, keys: &PairKeys, group: &mut Group, bytes: &[u8; GROUP], at: usize) {
                // SAFETY: as above.
                unsafe { $module::step_pairs(keys, group, bytes, at) }
            }

            #[inline(always)]
            fn run<J: Job<Self>>(self, job: J) -> J::Output {
                #[target_feature(enable = $all_features)]
                fn run<J: Job<$path>>(simd: $path, job: J) -> J::Output {
                    job.run(simd)
                }
                // SAFETY: as above.
                unsafe { run(self, job) }
            }
        }
    };
}

path!(
    /// AES-NI: one block a register, and AVX2 for the MD5.
    AesNi, aes_ni, __m128i, 1 blocks, 8 at once, "aes,avx2", ["aes", "avx2"],
    _mm_loadu_si128, _mm_storeu_si128, std::convert::identity, _mm_xor_si128, _mm_shuffle_epi8,
    _mm_aesenc_si128, _mm_aesenclast_si128
);
path!(
    /// VAES in 256-bit registers: two blocks each.
    Vaes, vaes, __m256i, 2 blocks, 8 at once, "aes,vaes,avx2", ["aes", "vaes", "avx2"],
    _mm256_loadu_si256, _mm256_storeu_si256, _mm256_broadcastsi128_si256, _mm256_xor_si256,
    _mm256_shuffle_epi8, _mm256_aesenc_epi128, _mm256_aesenclast_epi128
);
path!(
    /// VAES in 512-bit registers: four blocks each, and the MD5 16 wide.
    Avx512, avx512, __m512i, 4 blocks, 4 at once, "aes,vaes,avx2,avx512f,avx512bw",
    ["aes", "vaes", "avx2", "avx512f", "avx512bw"],
    _mm512_loadu_si512, _mm512_storeu_si512, _mm512_broadcast_i32x4, _mm512_xor_si512,
    _mm512_shuffle_epi8, _mm512_aesenc_epi128, _mm512_aesenclast_epi128
);
