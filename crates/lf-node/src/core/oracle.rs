//! What an oracle says (NODE.md §8), as pure code: which of the records that just became linked collide with one of
//! better reputation, and how much work to put into a record that says so, or says nothing.
//!
//! An oracle speaks of what it saw itself. While a node fetches what others had before, the order in which records come
//! means nothing, so nothing is said of them: a node bears witness from when it knows all its peers know until it has
//! no peers. One comment is enough for all records of an owner with the same id (that is how they are counted), so one
//! that stands in the store is never said again, also not after a restart.

use std::collections::{HashSet, VecDeque};

use lf_proto::comment::Comment;
use lf_proto::hash::Hash;
use lf_proto::owner::OwnerPublic;
use lf_proto::work::{DIFFICULTY_MAX, expected_hashes};
use lf_store::{IndexError, Row, View};

/// Bytes of one comment on a record.
const COMMENT_BYTES: u64 = 35;
/// Comments in one record: more make its work dearer than a second record's.
const COMMENTS_MAX: u64 = 16;
/// Collisions that wait to be told of; more are forgotten. Each costs whoever makes it the work for a record.
const WAITING_MAX: usize = 4_096;
/// Records looked at in one go.
const ROWS_MAX: usize = 10_000;

/// What a node has around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surroundings {
    /// It has no peers by choice: whatever comes is news.
    Alone,
    /// It reads many old records in.
    Importing,
    /// It replicates with others.
    Network {
        /// How many are connected.
        peers: usize,
        /// Whether nothing is known to be missing.
        synchronized: bool,
    },
}

impl Surroundings {
    /// Whether what becomes linked now comes as news, given whether it did `before`. Others may bring old records later
    /// without ending that: they come after what this node saw itself.
    fn brings_news(self, before: bool) -> bool {
        match self {
            Surroundings::Alone => true,
            Surroundings::Importing | Surroundings::Network { peers: 0, .. } => false,
            Surroundings::Network { synchronized, .. } => before || synchronized,
        }
    }
}

/// A collision to tell of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    subject: Hash,
    id: [u8; 32],
    owner: OwnerPublic,
}

/// What an oracle has noticed and not said yet.
#[derive(Debug)]
pub struct Notes {
    me: OwnerPublic,
    /// The index of the first record not looked at.
    next: u32,
    witness: bool,
    waiting: VecDeque<Finding>,
    /// The ids and owners of those.
    known: HashSet<([u8; 32], OwnerPublic)>,
    forgotten: u64,
}

impl Notes {
    /// Nothing noticed yet by the oracle with this owner.
    pub fn new(me: OwnerPublic) -> Self {
        Notes { me, next: 0, witness: false, waiting: VecDeque::new(), known: HashSet::new(), forgotten: 0 }
    }

    /// Looks at what became linked since the last time, 10,000 records at most; false if there are more. To be asked
    /// often: what came while the surroundings changed is not looked at.
    ///
    /// # Errors
    /// The index failed.
    pub fn observe(&mut self, view: &View, surroundings: Surroundings) -> Result<bool, IndexError> {
        let before = self.witness;
        self.witness = surroundings.brings_news(before);
        if !before || !self.witness {
            self.next = view.linked();
            return Ok(true);
        }
        for row in view.rows_from(self.next).take(ROWS_MAX) {
            if let Some(finding) = self.finding(view, &row?)? {
                self.note(finding);
            }
            self.next += 1;
        }
        Ok(self.next >= view.linked())
    }

    /// Whether the record collides with one of better reputation and nobody here said so.
    fn finding(&self, view: &View, row: &Row) -> Result<Option<Finding>, IndexError> {
        if row.selectors.is_empty() || self.known.contains(&(row.id, row.owner)) {
            return Ok(None);
        }
        // Where rivals came before either was linked, nobody holds the id and there is nothing to say.
        let collides = view.holder(&row.id)?.is_some_and(|holder| holder != row.owner);
        if !collides || view.comments(&row.id, &row.owner)?.contains(&self.me) {
            return Ok(None);
        }
        Ok(Some(Finding { subject: row.hash, id: row.id, owner: row.owner }))
    }

    fn note(&mut self, finding: Finding) {
        if self.waiting.len() >= WAITING_MAX {
            self.forgotten += 1;
        } else if self.known.insert((finding.id, finding.owner)) {
            self.waiting.push_back(finding);
        }
    }

    /// Whether the node now bears witness to what happens.
    pub fn is_witness(&self) -> bool {
        self.witness
    }

    /// Collisions to tell of.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Collisions that were too many to remember.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The value of a commentary record about the oldest of them, and how many it tells of: 16 at most, or what a
    /// network with this RecordMaxValueSize takes.
    pub fn value(&self, value_bytes_max: u64) -> (Vec<u8>, usize) {
        let count = usize::try_from((value_bytes_max / COMMENT_BYTES).min(COMMENTS_MAX)).unwrap_or(0);
        let mut value = Vec::new();
        let mut told = 0;
        for finding in self.waiting.iter().take(count) {
            Comment::collision(finding.subject).encode(&mut value);
            told += 1;
        }
        (value, told)
    }

    /// The oldest `count` were told of, or cannot be.
    pub fn forget(&mut self, count: usize) {
        for finding in self.waiting.drain(..count.min(self.waiting.len())) {
            self.known.remove(&(finding.id, finding.owner));
        }
    }
}

/// The highest difficulty whose search takes about so many hashes with so much memory; never less than `required`.
pub fn affordable_difficulty(hashes: u64, required: u32, memory_bytes_max: usize) -> u32 {
    let (mut good, mut beyond) = (required, DIFFICULTY_MAX.saturating_add(1));
    while good.saturating_add(1) < beyond {
        let middle = good + (beyond - good) / 2;
        if expected_hashes(middle, memory_bytes_max) <= hashes {
            good = middle;
        } else {
            beyond = middle;
        }
    }
    good
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use lf_proto::owner::{OwnerSecret, OwnerType};

    use super::*;

    fn owner(seed: u32) -> OwnerPublic {
        *OwnerSecret::from_seed(OwnerType::Ed25519, &seed.to_be_bytes()).public()
    }

    fn finding(n: u32) -> Finding {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        Finding { subject: Hash(id), id, owner: owner(1) }
    }

    #[test]
    fn news_begin_with_all_known_and_end_with_the_last_peer() {
        let network = |peers, synchronized| Surroundings::Network { peers, synchronized };
        for (surroundings, before, after) in [
            (Surroundings::Alone, false, true),
            (Surroundings::Importing, true, false),
            (network(0, true), true, false),
            (network(1, false), false, false),
            (network(1, true), false, true),
            // Nobody silences an oracle by announcing what is not to be had.
            (network(2, false), true, true),
        ] {
            assert_eq!(surroundings.brings_news(before), after, "{surroundings:?} {before}");
        }
    }

    #[test]
    fn what_is_noted_is_bounded_and_said_once() {
        let mut notes = Notes::new(owner(0));
        for n in 0..WAITING_MAX as u32 + 5 {
            notes.note(finding(n / 2));
        }
        assert_eq!((notes.waiting(), notes.forgotten()), (WAITING_MAX / 2 + 3, 0));
        for n in 0..2 * WAITING_MAX as u32 {
            notes.note(finding(n));
        }
        assert_eq!(notes.waiting(), WAITING_MAX);
        assert!(notes.forgotten() > 0);
        let (value, told) = notes.value(1 << 20);
        let subjects: Vec<Hash> = Comment::decode_all(&value).iter().filter_map(Comment::collides).collect();
        assert_eq!(subjects, (0..16).map(|n| finding(n).subject).collect::<Vec<_>>());
        assert_eq!(told, 16);
        notes.forget(told);
        assert_eq!(notes.value(1 << 20).0[3..35], finding(16).subject.0);
        notes.note(finding(0));
        assert_eq!(
            notes.waiting(),
            WAITING_MAX - 15,
            "what was said and is gone from the store is said again"
        );
    }

    #[test]
    fn a_value_fits_the_network() {
        let mut notes = Notes::new(owner(0));
        (0..3).for_each(|n| notes.note(finding(n)));
        for (bytes_max, told) in [(0, 0), (34, 0), (35, 1), (104, 2), (105, 3), (u64::MAX, 3)] {
            let (value, count) = notes.value(bytes_max);
            assert_eq!((value.len(), count), (35 * told, told), "{bytes_max}");
        }
    }

    #[test]
    fn difficulty_follows_what_can_be_afforded() {
        const MEMORY: usize = 64 << 20;
        assert_eq!(affordable_difficulty(0, 1_000, MEMORY), 1_000);
        assert_eq!(affordable_difficulty(u64::MAX, 1_000, MEMORY), DIFFICULTY_MAX);
        assert_eq!(affordable_difficulty(0, u32::MAX, MEMORY), u32::MAX);
        for hashes in [1_u64 << 20, 1 << 28, 1 << 36] {
            let difficulty = affordable_difficulty(hashes, 1, MEMORY);
            assert!(expected_hashes(difficulty, MEMORY) <= hashes);
            assert!(difficulty == DIFFICULTY_MAX || expected_hashes(difficulty + 1, MEMORY) > hashes);
        }
    }
}
