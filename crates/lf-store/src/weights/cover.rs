//! The walk that finds a cover: the roots of the disjoint subtrees that make up an ancestor set.
//!
//! It changes nothing but its own marks, so weights may be read meanwhile.

use super::forest::{Forest, Kind};
use super::queue::NewestFirst;

/// A walk and what it has found.
#[derive(Clone, Debug, Default)]
pub(super) struct Walk {
    queue: NewestFirst,
    cover: Vec<u32>,
    /// Those of the cover that are promoted.
    promoted: Vec<u32>,
    /// Whether the cover is complete.
    complete: bool,
    /// Number of this walk: a clock with another number counts as not reached.
    stamp: u64,
    /// By path.
    clocks: Vec<Clock>,
}

/// How far a walk has come on a path.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    /// The walk that reached the path last; 0: none.
    stamp: u64,
    /// The highest position that it has reached.
    position: u32,
}

impl Walk {
    /// Starts over, with the ancestors that are `links` and what they reach. An unfinished walk is dropped. The forest
    /// must not be changed before the walk is complete.
    pub(super) fn begin(&mut self, forest: &Forest, links: &[u32]) {
        self.queue.make_room(forest.len());
        self.queue.clear();
        self.cover.clear();
        self.promoted.clear();
        self.complete = false;
        self.stamp += 1;
        if self.clocks.len() < forest.paths.len() {
            self.clocks.resize(forest.paths.len(), Clock::default());
        }
        for &link in links {
            self.queue.push(link);
        }
    }

    /// Goes on until the cover is complete.
    ///
    /// Newest first matters: parents are newer than children, so whatever may cover a record has been reached
    /// before the record's turn.
    pub(super) fn run(&mut self, forest: &Forest) {
        while let Some(record) = self.queue.pop() {
            if self.is_covered(forest, record) {
                continue;
            }
            self.cover.push(record);
            let node = &forest.nodes[record as usize];
            if node.kind == Kind::Promoted {
                let slot = &forest.slots[node.anchor_or_slot as usize];
                self.promoted.push(record);
                // Not covered means that nothing above on the path was reached, so this is the highest.
                self.clocks[slot.path as usize] = Clock { stamp: self.stamp, position: slot.position };
            }
            for &older in forest.expansion(record) {
                self.queue.push(older);
            }
        }
        self.complete = true;
    }

    /// Whether the cover is complete.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether the record is in the subtree of one that this walk has found.
    #[inline]
    fn is_covered(&self, forest: &Forest, record: u32) -> bool {
        let mut up = forest.nodes[record as usize].up;
        while let Some((slot, path)) = forest.live(up) {
            let clock = &self.clocks[slot.path as usize];
            if clock.stamp == self.stamp && clock.position >= slot.position {
                return true;
            }
            up = path.up;
        }
        false
    }

    /// What has been found, newest first.
    pub(super) fn cover(&self) -> &[u32] {
        &self.cover
    }

    /// Its promoted elements, newest first.
    pub(super) fn promoted(&self) -> &[u32] {
        &self.promoted
    }

    /// Bytes of memory in use.
    pub(super) fn memory_bytes(&self) -> usize {
        self.queue.memory_bytes()
            + (self.cover.capacity() + self.promoted.capacity()) * 4
            + self.clocks.capacity() * size_of::<Clock>()
    }
}
