//! Exact weights of the record graph: a record's own score plus the scores of every distinct record that reaches
//! it through links, kept up to date without walking the graph for each new record.
//!
//! # How it works
//!
//! Linked records get ascending indexes, so a link always goes to a lower index. Over them lies a *cover forest*:
//! a record may hang from one newer record that has it among its ancestors. A record's whole subtree is then inside
//! its ancestor set, so the ancestor set of a new record x is a disjoint union of whole subtrees; their roots are
//! the *cover* of x, and it is enough to add the score of x to those few. A record's weight is the sum of what was
//! added to it and to everything above it in the forest.
//!
//! That is exact for *any* forest with this property. Which records hang where is policy (`policy`), for speed
//! only, and so are the eligibility hints.
//!
//! # Code map
//!
//! `queue`: newest first, without duplicates · `fenwick`: sums along a path · `forest`: records, promoted
//! records and paths, and the two operations that change the forest · `cover`: the walk that finds a
//! cover · `policy`: what to promote and what to pop · `insert`: one insert as a sequence of steps ·
//! `checkpoint`: the state as bytes · `shared`: numbers that are read while they change · `room`: growing beside readers.
//!
//! # What is not here
//!
//! No I/O but the byte streams of a checkpoint, no clock, no locks, no global randomness: the same inserts give the
//! same state. The state is derived; losing it costs time, as it can be rebuilt from the record log.

mod checkpoint;
mod cover;
mod fenwick;
mod forest;
mod insert;
mod policy;
mod queue;
mod room;
mod shared;
#[cfg(test)]
mod tests;

pub use self::checkpoint::CheckpointError;
pub use self::insert::{Insert, Progress};

use std::sync::atomic::{AtomicBool, Ordering};

use self::cover::Walk;
use self::forest::Forest;
use self::policy::{Chooser, Policy};

/// The most links a record may have here (PROTOCOL.md §7).
pub const LINKS_MAX: usize = 15;

/// Why a record cannot be inserted. Nothing has changed when this is returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// More than [`LINKS_MAX`] links.
    #[error("{count} links, at most {LINKS_MAX} are possible")]
    TooManyLinks {
        /// How many were given.
        count: usize,
    },
    /// A link to a record that is not there yet, the record itself included.
    #[error("link to record {link}, but there are only {records}")]
    UnknownLink {
        /// The index that was given.
        link: u32,
        /// How many records there are.
        records: u32,
    },
    /// Links that are not strictly ascending (a duplicate, or out of order).
    #[error("link to record {link} is a duplicate or out of order")]
    UnsortedLink {
        /// The first link that is not greater than the one before.
        link: u32,
    },
    /// All 2³² − 1 indexes are used, or all 2³² − 1 places for links.
    #[error("no room for another record")]
    Full,
    /// This insert was given up when a later one began.
    #[error("the insert was abandoned when another one began")]
    Abandoned,
    /// An insert is half done: it must be finished first.
    #[error("another insert is half done")]
    Unfinished,
}

/// Figures about the forest, for metrics and tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Records that were given children, since the first record.
    pub promotions: u64,
    /// Of those, how many were made leaves again.
    pub pops: u64,
    /// Promotions that were given up because too few children would have followed.
    pub refusals: u64,
    /// Elements of the cover that was computed last.
    pub cover_len: usize,
}

/// The exact weights of all linked records.
///
/// ```
/// use lf_store::weights::Weights;
///
/// let mut weights = Weights::new();
/// let genesis = weights.insert(&[], 5, true)?;
/// let left = weights.insert(&[genesis], 10, true)?;
/// let right = weights.insert(&[genesis], 20, true)?;
/// weights.insert(&[left, right], 100, true)?;
/// assert_eq!(weights.weight(left), Some(110));
/// assert_eq!(weights.weight(genesis), Some(135)); // the last record counts once
/// # Ok::<(), lf_store::weights::WeightsError>(())
/// ```
pub struct Weights {
    forest: Forest,
    walk: Walk,
    chooser: Chooser,
    /// Number of the insert that was begun last: an older [`Insert`] must not touch the walk of a newer one.
    ticket: u64,
    /// Whether a record that does not exist yet counts in some weights already.
    counting: AtomicBool,
}

impl Clone for Weights {
    fn clone(&self) -> Self {
        let counting = AtomicBool::new(self.counting.load(Ordering::Relaxed));
        let (forest, walk, chooser) = (self.forest.clone(), self.walk.clone(), self.chooser.clone());
        Self { forest, walk, chooser, ticket: self.ticket, counting }
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self::new()
    }
}

impl Weights {
    /// Without any record.
    pub fn new() -> Self {
        Self::with_policy(Policy::default())
    }

    fn with_policy(policy: Policy) -> Self {
        Self::from_parts(Forest::default(), Chooser::new(policy))
    }

    fn from_parts(forest: Forest, chooser: Chooser) -> Self {
        Self { forest, walk: Walk::default(), chooser, ticket: 0, counting: AtomicBool::new(false) }
    }

    /// How many records there are; also the index the next one gets.
    pub fn len(&self) -> u32 {
        self.forest.len()
    }

    /// Whether there is no record at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Inserts the next linked record and returns its index.
    ///
    /// * `links`: the indexes of the records it links to, ascending, distinct, at most [`LINKS_MAX`].
    /// * `score`: what it adds to its own weight and to that of each of its ancestors.
    /// * `eligible`: whether we would link to it ourselves (reputation). A hint for speed: weights are exact
    ///   whatever it says, but it keeps an attacker's records from collecting honest ones below them.
    ///
    /// One record with a huge cover may take milliseconds; where others read meanwhile, use
    /// [`begin_insert`](Self::begin_insert).
    ///
    /// # Errors
    /// Links that break the rules above, or no room. Nothing has changed then.
    pub fn insert(&mut self, links: &[u32], score: u32, eligible: bool) -> Result<u32, WeightsError> {
        let mut insert = self.begin_insert(links, score, eligible)?;
        loop {
            insert.look(self);
            if let Progress::Done(index) = self.advance(&mut insert)? {
                return Ok(index);
            }
        }
    }

    /// The exact weight of a record, `None` if there is no such index.
    pub fn weight(&self, index: u32) -> Option<u128> {
        self.forest.weight(index).map(u128::from)
    }

    /// The records a record links to, ascending; `None` if there is no such index.
    pub fn links(&self, index: u32) -> Option<&[u32]> {
        (index < self.len()).then(|| self.forest.links(index))
    }

    /// Bytes of memory in use, the links (4 bytes each) included.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.forest.memory_bytes() + self.walk.memory_bytes()
    }

    /// Figures about the forest.
    pub fn stats(&self) -> Stats {
        Stats { cover_len: self.walk.cover().len(), ..self.chooser.stats() }
    }

    /// Writes all that later inserts and queries need, in the format of `checkpoint`.
    ///
    /// # Errors
    /// Those of `out`, or an insert is half done.
    pub fn write_checkpoint(&self, out: &mut impl std::io::Write) -> std::io::Result<()> {
        if self.counting.load(Ordering::Relaxed) {
            return Err(std::io::Error::other(WeightsError::Unfinished));
        }
        checkpoint::write(&self.forest, &self.chooser, out)
    }

    /// Reads what [`write_checkpoint`](Self::write_checkpoint) wrote, and not a byte beyond it. Reads in blocks of
    /// its own; the input needs no buffer.
    ///
    /// Memory grows with the bytes that really arrive, never with what a header claims. Besides the checksums, every
    /// index and order that later calls rely on is checked, so that they neither panic nor loop on a state read here.
    /// The *meaning* of a state that somebody forged with correct checksums is not checked: that takes a rebuild.
    ///
    /// # Errors
    /// Anything but a complete, undamaged checkpoint of this version.
    pub fn read_checkpoint(input: &mut impl std::io::Read) -> Result<Self, CheckpointError> {
        Self::read_checkpoint_with(Policy::default(), input)
    }

    fn read_checkpoint_with(policy: Policy, input: &mut impl std::io::Read) -> Result<Self, CheckpointError> {
        let (forest, chooser) = checkpoint::read(policy, input)?;
        Ok(Self::from_parts(forest, chooser))
    }
}

/// No index: for a forest root, "hangs from nothing". 2³² − 1 is therefore never the index of a record.
const NONE: u32 = u32::MAX;
