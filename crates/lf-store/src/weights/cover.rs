//! The walk that finds a cover: the roots of the disjoint subtrees that make up an ancestor set.
//!
//! It changes nothing but its own marks, so it may stop after any step, queries be answered, and go on.

use super::forest::{Forest, Kind};
use super::queue::NewestFirst;

/// A walk and what it has found.
#[derive(Clone, Default)]
pub(super) struct Walk {
    queue: NewestFirst,
    cover: Vec<u32>,
    /// Number of this walk: a path's clock with another number counts as not reached.
    stamp: u64,
}

impl Walk {
    /// Starts over, with the ancestors that are `links` and what they reach. An unfinished walk is dropped.
    pub(super) fn begin(&mut self, records: u32, links: &[u32]) {
        self.queue.make_room(records);
        self.queue.clear();
        self.cover.clear();
        self.stamp += 1;
        for &link in links {
            self.queue.push(link);
        }
    }

    /// Goes on until the cover is complete (then true), or `work` queue operations are used up.
    ///
    /// Newest first matters: parents are newer than children, so whatever may cover a record has been reached
    /// before the record's turn.
    pub(super) fn run(&mut self, forest: &mut Forest, work: &mut u64) -> bool {
        while *work > 0 {
            let Some(record) = self.queue.pop() else { return true };
            *work -= 1;
            if self.is_covered(forest, record) {
                continue;
            }
            self.cover.push(record);
            let node = &forest.nodes[record as usize];
            if node.kind == Kind::Promoted {
                let slot = &forest.slots[node.anchor_or_slot as usize];
                let path = &mut forest.paths[slot.path as usize];
                // Not covered means that nothing above on the path was reached, so this is the highest.
                path.clock_stamp = self.stamp;
                path.clock_position = slot.position;
            }
            let expansion = forest.expansion(record);
            *work = work.saturating_sub(expansion.len() as u64);
            for &older in expansion {
                self.queue.push(older);
            }
        }
        false
    }

    /// Whether the record is in the subtree of one that this walk has found.
    #[inline]
    fn is_covered(&self, forest: &Forest, record: u32) -> bool {
        let mut up = forest.nodes[record as usize].up;
        while let Some((slot, path)) = forest.live(up) {
            if path.clock_stamp == self.stamp && path.clock_position >= slot.position {
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

    /// Bytes of memory in use.
    pub(super) fn memory_bytes(&self) -> usize {
        self.queue.memory_bytes() + self.cover.capacity() * 4
    }
}
