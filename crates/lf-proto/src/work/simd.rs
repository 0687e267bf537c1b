//! The fast paths: AES and MD5 of many states at once, by what vector instructions the machine has.
//!
//! [`Simd`] is the little that the paths differ in: encrypting a [`Group`] of 16 blocks, with one key for all of
//! them or one for each two. The search, the batch
//! verification and the table are written once on top of it, in safe code, and compiled anew for each path:
//! everything on the way from [`Simd::run`] down is inlined into a function that may use the path's
//! instructions, so that the compiler vectorizes plain loops (the MD5) with them too.
//!
//! A path's value is the proof that the machine has its instructions: there is none but from its `detect`.

use super::table::TABLE_BYTES;

mod memory;
mod software;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use memory::Words;
pub(super) use software::Software;
#[cfg(target_arch = "x86_64")]
pub(super) use x86::{AesNi, Avx512, Vaes, prefetch};

/// Brings what is at this reference into the cache, where there is an instruction for that.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn prefetch<T>(_at: &T) {}

/// Blocks of a [`Group`].
pub(super) const GROUP: usize = 16;

/// Neighbouring blocks of a [`Group`], 0 and 1 and so on, that can have a key of their own.
pub(super) const PAIRS: usize = GROUP / 2;

/// Sixteen AES blocks, each as a little-endian number.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Group(pub(super) [u128; GROUP]);

impl Group {
    pub(super) const ZERO: Self = Self([0; GROUP]);
}

/// What is to be prefetched, spread over the rounds of an encryption: the table bytes that these states select.
#[derive(Clone, Copy)]
pub(super) struct Ahead<'a> {
    pub(super) table: &'a [u8; TABLE_BYTES],
    pub(super) states: &'a Group,
}

/// Something to run with a path's instructions. Implementations are `#[inline(always)]`.
pub(super) trait Job<S> {
    type Output;
    fn run(self, simd: S) -> Self::Output;
}

/// A path. Methods are `#[inline(always)]`, to be called below [`Self::run`] (elsewhere they work, slowly).
pub(super) trait Simd: Copy + Send + Sync + 'static {
    /// An expanded AES-256 key.
    type Key: Clone + Send + Sync;

    /// An expanded AES-256 key for each pair of blocks.
    type PairKeys;

    /// Expands a key.
    fn key(self, key: &[u8; 32]) -> Self::Key;

    /// Expands a key for each pair of blocks, the first ones if there are fewer; the other pairs' keys are any.
    fn pair_keys(self, keys: &[[u8; 32]]) -> Self::PairKeys;

    /// Encrypts all blocks.
    fn encrypt(self, key: &Self::Key, group: &mut Group);

    /// Xors `bytes[l]` into byte `at` (0 to 7) of block l, for all l, and encrypts; prefetches meanwhile.
    fn step(self, key: &Self::Key, group: &mut Group, bytes: &[u8; GROUP], at: usize, ahead: Ahead<'_>);

    /// Encrypts all blocks, each pair with its key.
    fn encrypt_pairs(self, keys: &Self::PairKeys, group: &mut Group);

    /// As [`Self::step`], each pair with its key, and without prefetching.
    fn step_pairs(self, keys: &Self::PairKeys, group: &mut Group, bytes: &[u8; GROUP], at: usize);

    /// Runs a job with the path's instructions.
    fn run<J: Job<Self>>(self, job: J) -> J::Output;
}
