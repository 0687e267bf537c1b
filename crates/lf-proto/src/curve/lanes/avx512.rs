//! The lanes in AVX-512 with IFMA: one instruction for each operation.
// Unsafe, since intrinsics of AVX-512 may run only where the processor has it. The only way to an `Avx512` is
// `Avx512::detect`, and every operation takes one: that is the proof, here and nowhere else.
#![allow(unsafe_code)]

use core::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64,
    _mm512_mask_blend_epi64, _mm512_or_si512, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_shuffle_i64x2,
    _mm512_slli_epi64, _mm512_srli_epi64, _mm512_sub_epi64, _mm512_test_epi64_mask, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi64,
};

use super::simd::{Job, Row, Simd};

/// Proof that this processor, and the system on it, can do AVX-512F and AVX-512IFMA.
#[derive(Debug, Clone, Copy)]
pub(in crate::curve) struct Avx512(());

impl Avx512 {
    /// The proof, where it can be had. Cheap: the standard library remembers the answer.
    pub(in crate::curve) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma")).then_some(Self(()))
    }
}

/// What a job becomes a function of its own by: rustc 1.95 ignores `inline(never)` beside `target_feature`, and
/// LLVM would inline formulas into each other until the code does not fit the caches.
#[inline(never)]
fn outlined<J: Job<Avx512>>(simd: Avx512, job: J) -> J::Output {
    // SAFETY: `simd` exists, so `detect` saw the features that the function is compiled for.
    unsafe { with_features(simd, job) }
}

/// The function around a job. All that is inlined into it is compiled for these features.
#[target_feature(enable = "avx512f,avx512ifma")]
fn with_features<J: Job<Avx512>>(simd: Avx512, job: J) -> J::Output {
    job.run(simd)
}

type V = __m512i;

/// An operation of one intrinsic.
macro_rules! operations {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty = $call:expr;)*) => { $(
        #[inline(always)]
        fn $name(self, $($argument: $type),*) -> $result {
            // SAFETY: `self` exists, so `detect` saw the features AVX-512F and AVX-512IFMA, which are all
            // that the intrinsics of this file ask for. None of them takes a pointer.
            unsafe { $call }
        }
    )* };
}

impl Simd for Avx512 {
    type V = V;
    const INLINE: bool = true;

    operations! {
        splat(value: u64) -> V = _mm512_set1_epi64(value as i64);
        add(a: V, b: V) -> V = _mm512_add_epi64(a, b);
        sub(a: V, b: V) -> V = _mm512_sub_epi64(a, b);
        and(a: V, b: V) -> V = _mm512_and_si512(a, b);
        or(a: V, b: V) -> V = _mm512_or_si512(a, b);
        madd_low(sum: V, a: V, b: V) -> V = _mm512_madd52lo_epu64(sum, a, b);
        madd_high(sum: V, a: V, b: V) -> V = _mm512_madd52hi_epu64(sum, a, b);
        mul_low(a: V, b: V) -> V = _mm512_madd52lo_epu64(_mm512_setzero_si512(), a, b);
        select(lanes: u8, set: V, clear: V) -> V = _mm512_mask_blend_epi64(lanes, clear, set);
        nonzero(a: V) -> u8 = _mm512_test_epi64_mask(a, a);
        interleave_even(a: V, b: V) -> V = _mm512_unpacklo_epi64(a, b);
        interleave_odd(a: V, b: V) -> V = _mm512_unpackhi_epi64(a, b);
        even_pairs(a: V, b: V) -> V = _mm512_shuffle_i64x2::<0x88>(a, b);
        odd_pairs(a: V, b: V) -> V = _mm512_shuffle_i64x2::<0xdd>(a, b);
    }

    #[inline(always)]
    fn shl<const BITS: u32>(self, a: V) -> V {
        // SAFETY: as in `operations!`.
        unsafe { _mm512_slli_epi64::<BITS>(a) }
    }

    #[inline(always)]
    fn shr<const BITS: u32>(self, a: V) -> V {
        // SAFETY: as in `operations!`.
        unsafe { _mm512_srli_epi64::<BITS>(a) }
    }

    #[inline(always)]
    fn load(self, row: &Row) -> V {
        // SAFETY: both types are 64 bytes of plain integers, of which all bit patterns are valid. That
        // vectors pass through here needs no feature: a move by parts would do as well.
        unsafe { core::mem::transmute::<Row, V>(*row) }
    }

    #[inline(always)]
    fn store(self, v: V) -> Row {
        // SAFETY: as in `load`.
        unsafe { core::mem::transmute::<V, Row>(v) }
    }

    #[inline(always)]
    fn call<J: Job<Self>>(self, job: J) -> J::Output {
        outlined(self, job)
    }
}
