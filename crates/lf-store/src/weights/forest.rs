//! The cover forest: the records with their links, the promoted ones among them with their paths, and the operations
//! that change it. What to change is decided elsewhere.
//!
//! Invariants, which also end every loop here:
//! * a link, and an element of a promoted or popped record's `rest`, is older than the record;
//! * a record hangs from a newer one, and a record that has children is promoted;
//! * a path's records grow newer from its first to its top, each hanging from the next; only tops are added or
//!   removed, and only if they hang from nothing;
//! * a slot keeps its record for ever, so what once pointed to a newer record always does.

use super::NONE;
use super::fenwick::Sums;
use super::shared::{SharedCount, SharedSum};
use crate::room::{extend_tight, push_tight};

/// What a record is in the forest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    /// Never had children.
    Leaf = 0,
    /// May have children, is part of a path.
    Promoted = 1,
    /// Had children once, and never will again.
    Popped = 2,
}

/// A record. 24 bytes: all that the walk needs of a leaf is in one cache line.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// What was added to the record alone, modulo 2⁶⁴; a promoted record's is in its path instead.
    pub(super) added: SharedSum,
    /// Slot of the promoted record it hangs from, or `NONE`.
    pub(super) up: u32,
    /// A leaf: the newest promoted record among its ancestors when it came, or `NONE`. Others: their slot.
    pub(super) anchor_or_slot: u32,
    /// Where its links begin.
    pub(super) links_start: u32,
    /// How many links it has.
    pub(super) links_len: u8,
    /// In how many covers it has been while a leaf root: its descendants, about. Stops at 255.
    pub(super) hits: SharedCount,
    /// Its part in the forest.
    pub(super) kind: Kind,
    /// The caller's hint.
    pub(super) eligible: bool,
}

/// What a promoted or popped record has beyond a [`Node`].
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// The record; never changes.
    pub(super) record: u32,
    /// Its path, or `NONE` once it is popped.
    pub(super) path: u32,
    /// Its position in the path.
    pub(super) position: u32,
    /// About how many records its subtree had when it was promoted: chooses the child that continues a path.
    pub(super) size: u32,
    /// How much later covers have suffered from it (see the policy of popping).
    pub(super) debt: u32,
    /// Promoted: its cover without its children. Popped: its whole cover at that moment. Together with the subtree,
    /// always the whole ancestor set. Newest first.
    pub(super) rest: Box<[u32]>,
}

/// A path of promoted records, each the child of the next. Following the child with the largest subtree keeps the
/// number of paths between a record and its root logarithmic.
#[derive(Clone, Default)]
pub(super) struct Path {
    /// Slots by position.
    pub(super) slots: Vec<u32>,
    /// What was added to them.
    pub(super) sums: Sums,
    /// Slot the top hangs from, or `NONE`.
    pub(super) up: u32,
}

/// Which forest roots a new parent may take as children.
#[derive(Clone, Copy)]
pub(super) struct Adoption {
    /// Whether the parent is eligible: then all.
    pub(super) parent_eligible: bool,
    /// Else, eligible ones only if older than this index.
    pub(super) settled_before: u32,
}

impl Adoption {
    /// Whether this record may be taken.
    #[inline]
    pub(super) fn takes(&self, record: u32, node: &Node) -> bool {
        node.up == NONE && (self.parent_eligible || !node.eligible || record < self.settled_before)
    }
}

/// The whole forest.
#[derive(Clone, Default)]
pub(super) struct Forest {
    pub(super) nodes: Vec<Node>,
    pub(super) links: Vec<u32>,
    pub(super) slots: Vec<Slot>,
    pub(super) paths: Vec<Path>,
    /// Paths without records, to be used again, last first.
    pub(super) free_paths: Vec<u32>,
    /// Elements in all `rest`.
    pub(super) rest_total: u64,
}

impl Forest {
    /// How many records there are.
    pub(super) fn len(&self) -> u32 {
        self.nodes.len() as u32 // insert stops at NONE
    }

    /// The links of a record that exists.
    #[inline]
    pub(super) fn links(&self, record: u32) -> &[u32] {
        let node = &self.nodes[record as usize];
        let start = node.links_start as usize;
        &self.links[start..start + node.links_len as usize]
    }

    /// Adds a record as a leaf that hangs from nothing. The caller has checked links and room.
    pub(super) fn push(&mut self, links: &[u32], score: u32, eligible: bool, anchor: u32) {
        let links_start = self.links.len() as u32;
        extend_tight(&mut self.links, links);
        let node = Node {
            added: SharedSum::new(u64::from(score)),
            up: NONE,
            anchor_or_slot: anchor,
            links_start,
            links_len: links.len() as u8,
            hits: SharedCount::default(),
            kind: Kind::Leaf,
            eligible,
        };
        push_tight(&mut self.nodes, node);
    }

    /// What a record's expansion continues with in a walk.
    #[inline]
    pub(super) fn expansion(&self, record: u32) -> &[u32] {
        let node = &self.nodes[record as usize];
        match node.kind {
            Kind::Leaf => self.links(record),
            // Not the links: a link may be skipped because something reached covers it, whose own list may lead
            // back to this record and count on it. The explicit lists have no such circles.
            Kind::Promoted | Kind::Popped => &self.slots[node.anchor_or_slot as usize].rest,
        }
    }

    /// The slot and the path of a promoted record, by slot.
    #[inline]
    pub(super) fn live(&self, slot: u32) -> Option<(&Slot, &Path)> {
        let slot = self.slots.get(slot as usize)?;
        Some((slot, self.paths.get(slot.path as usize)?))
    }

    /// A record's weight, or `None` if there is no such record.
    pub(super) fn weight(&self, record: u32) -> Option<u64> {
        let node = self.nodes.get(record as usize)?;
        let (mut weight, mut up) =
            if node.kind == Kind::Promoted { (0, node.anchor_or_slot) } else { (node.added.get(), node.up) };
        while let Some((slot, path)) = self.live(up) {
            weight = weight.wrapping_add(path.sums.suffix(slot.position as usize));
            up = path.up;
        }
        Some(weight)
    }

    /// Adds to a record, and thereby to its whole subtree.
    #[inline]
    pub(super) fn add(&mut self, record: u32, value: u64) {
        let node = &self.nodes[record as usize];
        if node.kind == Kind::Promoted {
            let slot = &self.slots[node.anchor_or_slot as usize];
            self.paths[slot.path as usize].sums.add(slot.position as usize, value);
        } else {
            node.added.add(value);
        }
    }

    /// Makes the leaf root `leaf` the parent of those forest roots of its `cover` that `adoption` allows.
    pub(super) fn promote(&mut self, leaf: u32, cover: &[u32], adoption: Adoption) {
        let had = self.nodes[leaf as usize].added.get();
        debug_assert!(self.nodes[leaf as usize].kind == Kind::Leaf && self.nodes[leaf as usize].up == NONE);
        let new_slot = self.slots.len() as u32; // a record has one slot in its life, so there is room
        let (mut heavy, mut heavy_size, mut size) = (NONE, 0u32, 1u32);
        let mut rest = Vec::new();
        for &record in cover {
            let node = &mut self.nodes[record as usize];
            if !adoption.takes(record, node) {
                rest.push(record);
                continue;
            }
            node.up = new_slot;
            let kind = node.kind;
            let child_slot = node.anchor_or_slot;
            // What its parent has so far is not the child's: it came before the child hung there.
            self.add(record, had.wrapping_neg());
            if kind != Kind::Promoted {
                size = size.saturating_add(1);
                continue;
            }
            let child = &self.slots[child_slot as usize];
            size = size.saturating_add(child.size);
            self.paths[child.path as usize].up = new_slot;
            if child.size > heavy_size {
                (heavy, heavy_size) = (child.path, child.size);
            }
        }
        let path_index = if heavy != NONE {
            heavy
        } else if let Some(free) = self.free_paths.pop() {
            free
        } else {
            self.paths.push(Path::default());
            self.paths.len() as u32 - 1
        };
        let path = &mut self.paths[path_index as usize];
        path.up = NONE;
        let position = path.slots.len() as u32;
        path.slots.push(new_slot);
        path.sums.push(had);
        self.rest_total += rest.len() as u64;
        let slot =
            Slot { record: leaf, path: path_index, position, size, debt: 0, rest: rest.into_boxed_slice() };
        push_tight(&mut self.slots, slot);
        let node = &mut self.nodes[leaf as usize];
        node.kind = Kind::Promoted;
        node.anchor_or_slot = new_slot;
        node.added = SharedSum::default();
    }

    /// Makes a promoted forest root a leaf again, `cover` being its cover.
    pub(super) fn pop(&mut self, slot_index: u32, cover: &[u32]) {
        let Some(slot) = self.slots.get_mut(slot_index as usize) else { return };
        let Some(path) = self.paths.get_mut(slot.path as usize) else { return };
        debug_assert_eq!(path.slots.last(), Some(&slot_index), "not the top of its path");
        if path.slots.last() != Some(&slot_index) {
            return;
        }
        path.slots.pop();
        let had = path.sums.pop();
        let path_index = slot.path;
        if path.slots.is_empty() {
            self.free_paths.push(path_index);
        }
        self.rest_total = self.rest_total + cover.len() as u64 - slot.rest.len() as u64;
        slot.path = NONE;
        slot.rest = cover.into();
        let node = &mut self.nodes[slot.record as usize];
        node.kind = Kind::Popped;
        node.added = SharedSum::new(had);
        for &record in cover {
            let node = &mut self.nodes[record as usize];
            if node.up != slot_index {
                continue;
            }
            node.up = NONE;
            if node.kind == Kind::Promoted {
                // For the path just shortened this changes nothing: its top hung from nothing already.
                let child_path = self.slots[node.anchor_or_slot as usize].path;
                self.paths[child_path as usize].up = NONE;
            }
            self.add(record, had);
        }
    }

    /// The promoted records from `slot` up to its forest root; `None` if more than `len_max`.
    pub(super) fn chain_to_root(&self, slot: u32, len_max: usize) -> Option<Vec<u32>> {
        let mut chain = Vec::new();
        let mut up = slot;
        while let Some((slot, path)) = self.live(up) {
            let part = path.slots.get(slot.position as usize..)?;
            if chain.len() + part.len() > len_max {
                return None;
            }
            chain.extend_from_slice(part);
            up = path.up;
        }
        Some(chain)
    }

    /// Bytes of memory in use.
    pub(super) fn memory_bytes(&self) -> usize {
        let paths: usize =
            self.paths.iter().map(|path| path.slots.capacity() * 4 + path.sums.memory_bytes()).sum();
        self.nodes.capacity() * size_of::<Node>()
            + self.links.capacity() * 4
            + self.slots.capacity() * size_of::<Slot>()
            + self.rest_total as usize * 4
            + self.paths.capacity() * size_of::<Path>()
            + self.free_paths.capacity() * 4
            + paths
    }
}
