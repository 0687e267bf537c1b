//! Proofs of work: their 14 bytes, and the verdict on them (PROTOCOL.md §8).

use super::{Frankenhash, Table};

/// Colliders are 40-bit numbers: all are below this.
pub const COLLIDER_END: u64 = 1 << 40;

/// A record's proof of work: colliders a and b (BE40 each), then the difficulty (BE32).
///
/// Any 14 bytes are one; [`verify`] tells whether it holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Work(pub [u8; 14]);

impl Work {
    /// The size of a proof.
    pub const BYTES: usize = 14;

    /// Joins two 40-bit colliders and a difficulty. Higher bits of the colliders are cut off.
    pub fn new(colliders: [u64; 2], difficulty: u32) -> Self {
        let mut bytes = [0; Self::BYTES];
        bytes[..5].copy_from_slice(&colliders[0].to_be_bytes()[3..]);
        bytes[5..10].copy_from_slice(&colliders[1].to_be_bytes()[3..]);
        bytes[10..].copy_from_slice(&difficulty.to_be_bytes());
        Self(bytes)
    }

    /// Both 40-bit colliders.
    pub fn colliders(&self) -> [u64; 2] {
        let be40 = |bytes: &[u8]| bytes.iter().fold(0, |a, b| (a << 8) | u64::from(*b));
        [be40(&self.0[..5]), be40(&self.0[5..10])]
    }

    /// The difficulty it claims: worth something only once it is verified.
    pub fn difficulty(&self) -> u32 {
        self.0[10..].iter().fold(0, |a, b| (a << 8) | u32::from(*b))
    }
}

impl TryFrom<&[u8]> for Work {
    type Error = WorkError;

    fn try_from(bytes: &[u8]) -> Result<Self, WorkError> {
        bytes.try_into().map(Self).map_err(|_| WorkError::Length(bytes.len()))
    }
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b] = self.colliders();
        write!(f, "Work({a:010x}, {b:010x}, difficulty {})", self.difficulty())
    }
}

/// Why a proof of work was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkError {
    /// It has another size than 14 bytes.
    #[error("work of {0} bytes, not 14")]
    Length(usize),
    /// It claims difficulty 0, which never verifies.
    #[error("work of difficulty 0")]
    DifficultyZero,
    /// Its two colliders are the same number.
    #[error("work with two equal colliders")]
    EqualColliders,
    /// The colliders' hashes differ modulo what the difficulty demands.
    #[error("work whose colliders do not collide")]
    NoCollision,
    /// Not a verdict: deciding takes more passes over the 128 MiB table than the caller allowed.
    #[error("work that takes {needed} passes over the whole table to verify")]
    TablePasses {
        /// How many it takes, 1 to 12.
        needed: u32,
    },
}

impl WorkError {
    /// Whether the proof is still undecided: verify again with a larger budget, or drop it.
    pub fn is_undecided(&self) -> bool {
        matches!(self, Self::TablePasses { .. })
    }
}

/// How many passes over the whole table (128 MiB of MD5, some 0.3 s each) a verification may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct TablePasses(pub u32);

impl TablePasses {
    /// None: proofs that need one stay undecided. Honest searchers make no such proofs, ours in any case.
    pub const NONE: Self = Self(0);
    /// Enough for every proof: 6 rounds for each of the two colliders, some 4 s.
    pub const ALL: Self = Self(12);
}

/// The modulus in which the hashes of two colliders must be equal.
pub(super) fn modulus(difficulty: u32) -> u64 {
    (u64::from(difficulty) << 29) | 0x1fff_ffff
}

/// Verifies a proof of work for a work input (a record's 48-byte work hash).
///
/// Whether the claimed difficulty is enough for the record is the caller's question
/// ([`super::required_difficulty`]). The passes over the table that both colliders need are counted before
/// any hash is computed, so an over-budget proof costs microseconds whatever it claims.
///
/// # Errors
/// What is wrong with the proof, or [`WorkError::TablePasses`] if the budget does not suffice to tell.
pub fn verify(table: &Table, work_input: &[u8], work: &Work, budget: TablePasses) -> Result<(), WorkError> {
    verify_with(&Frankenhash::new(table, work_input), work, budget)
}

/// What can be said of a proof without computing anything; else its colliders.
pub(super) fn colliders(work: &Work) -> Result<[u64; 2], WorkError> {
    if work.difficulty() == 0 {
        return Err(WorkError::DifficultyZero);
    }
    let [a, b] = work.colliders();
    if a == b { Err(WorkError::EqualColliders) } else { Ok([a, b]) }
}

/// [`verify`] with the hash at hand.
pub(super) fn verify_with(hash: &Frankenhash<'_>, work: &Work, budget: TablePasses) -> Result<(), WorkError> {
    let inputs = colliders(work)?.map(Frankenhash::input);
    let needed = inputs.iter().map(|x| hash.outline(x).table_passes).sum();
    if needed > budget.0 {
        return Err(WorkError::TablePasses { needed });
    }
    let [a, b] = inputs.map(|x| hash.hash(&x) % modulus(work.difficulty()));
    if a == b { Ok(()) } else { Err(WorkError::NoCollision) }
}
