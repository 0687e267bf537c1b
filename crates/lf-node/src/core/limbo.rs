//! Limbo: records that nothing but their approval is missing of (NODE.md §1, step 7) wait here for a certificate of their
//! owner or for an amendment of the genesis.
//!
//! Whoever sent a record has a bounded part of it, and where there is not enough room for all, the oldest record of whoever
//! has most there goes: a flood of worthless records drives out nobody's but its own sender's. Pure: times are arguments.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use lf_proto::hash::Hash;
use lf_proto::owner::OwnerPublic;
use lf_proto::record::Record;

use super::sync::PeerId;

/// Who a record came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A file that was read in.
    File,
    /// A peer.
    Peer(PeerId),
}

/// What may wait, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Records.
    pub records: usize,
    /// Their bytes.
    pub bytes: usize,
    /// How long a record waits, in seconds.
    pub age_secs: u64,
}

impl Bounds {
    /// What a node keeps.
    pub const USUAL: Bounds = Bounds { records: 1 << 16, bytes: 64 << 20, age_secs: 7 * 86_400 };

    /// Of records and bytes, one source may have this part.
    const SOURCE_PART: usize = 4;
}

/// A record that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The record. Its signature and its claims are well.
    pub record: Record,
    /// Who sent it.
    pub source: Source,
    /// Since when it waits, seconds since 1970.
    pub since_secs: u64,
}

/// What one source has here.
#[derive(Debug, Default)]
struct Part {
    /// By order of arrival.
    records: BTreeMap<u64, Hash>,
    bytes: usize,
}

/// Records that wait for approval, by hash and by owner.
#[derive(Debug)]
pub struct Limbo {
    bounds: Bounds,
    /// With their orders of arrival.
    waiting: HashMap<Hash, (u64, Waiting)>,
    by_owner: BTreeSet<(OwnerPublic, u64, Hash)>,
    by_arrival: BTreeMap<u64, Hash>,
    parts: BTreeMap<Source, Part>,
    bytes: usize,
    next: u64,
    version: u64,
}

impl Default for Limbo {
    fn default() -> Self {
        Limbo::new(Bounds::USUAL)
    }
}

impl Limbo {
    /// Nothing waits.
    pub fn new(bounds: Bounds) -> Self {
        Limbo {
            bounds,
            waiting: HashMap::new(),
            by_owner: BTreeSet::new(),
            by_arrival: BTreeMap::new(),
            parts: BTreeMap::new(),
            bytes: 0,
            next: 0,
            version: 0,
        }
    }

    /// How many records wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Their bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Another number after every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether a record waits.
    pub fn contains(&self, hash: &Hash) -> bool {
        self.waiting.contains_key(hash)
    }

    /// All that wait, in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.by_arrival.values().filter_map(|hash| self.waiting.get(hash)).map(|(_, waiting)| waiting)
    }

    /// Up to `count` that wait and came after the one with this order of arrival, each with its own.
    pub fn after(&self, order: Option<u64>, count: usize) -> Vec<(u64, Record)> {
        let first = order.map_or(0, |order| order.saturating_add(1));
        let records = self.by_arrival.range(first..).take(count);
        records.filter_map(|(order, hash)| Some((*order, self.waiting.get(hash)?.1.record.clone()))).collect()
    }

    /// Has a record wait, and makes room for it. False if it does wait already, or is too large for its source's part.
    pub fn insert(&mut self, waiting: Waiting) -> bool {
        let (hash, source) = (waiting.record.hash(), waiting.source);
        let bytes = waiting.record.as_bytes().len();
        if self.contains(&hash) || bytes > self.bounds.bytes / Bounds::SOURCE_PART {
            return false;
        }
        loop {
            let part = self.parts.entry(source).or_default();
            let over = |records: usize, bytes: usize, share: usize| {
                records > self.bounds.records / share || bytes > self.bounds.bytes / share
            };
            let from = if over(part.records.len() + 1, part.bytes + bytes, Bounds::SOURCE_PART) {
                source
            } else if over(self.waiting.len() + 1, self.bytes + bytes, 1) {
                // Its own if it has as much as any: so nobody gains by coming later.
                let own = (part.records.len(), true);
                let others = self.parts.iter().map(|(source, part)| (part.records.len(), false, *source));
                others.max().filter(|(count, ..)| (*count, false) > own).map_or(source, |(.., most)| most)
            } else {
                break;
            };
            let oldest = self.parts.get(&from).and_then(|part| part.records.values().next().copied());
            if oldest.and_then(|oldest| self.take_one(&oldest)).is_none() {
                return false; // The bounds admit nothing at all.
            }
        }
        let order = self.next;
        self.next += 1;
        self.version += 1;
        self.bytes += bytes;
        let part = self.parts.entry(source).or_default();
        part.bytes += bytes;
        part.records.insert(order, hash);
        self.by_owner.insert((*waiting.record.owner(), order, hash));
        self.by_arrival.insert(order, hash);
        self.waiting.insert(hash, (order, waiting));
        true
    }

    fn take_one(&mut self, hash: &Hash) -> Option<Waiting> {
        let (order, waiting) = self.waiting.remove(hash)?;
        let bytes = waiting.record.as_bytes().len();
        self.version += 1;
        self.bytes -= bytes;
        self.by_owner.remove(&(*waiting.record.owner(), order, *hash));
        self.by_arrival.remove(&order);
        if let Some(part) = self.parts.get_mut(&waiting.source) {
            part.bytes -= bytes;
            part.records.remove(&order);
            if part.records.is_empty() {
                self.parts.remove(&waiting.source);
            }
        }
        Some(waiting)
    }

    /// Hashes of up to `count` records of an owner, in order of arrival.
    pub fn of_owner(&self, owner: &OwnerPublic, count: usize) -> Vec<Hash> {
        let first = (*owner, 0, Hash([0; 32]));
        let last = (*owner, u64::MAX, Hash([0xff; 32]));
        self.by_owner.range(first..=last).take(count).map(|(.., hash)| *hash).collect()
    }

    /// Takes records out, those that others among them link to first.
    pub fn take(&mut self, hashes: &[Hash]) -> Vec<Waiting> {
        let taken: Vec<Waiting> = hashes.iter().filter_map(|hash| self.take_one(hash)).collect();
        links_first(taken)
    }

    /// Lets go what has waited too long.
    pub fn expire(&mut self, now_secs: u64) {
        let age_secs = self.bounds.age_secs;
        let old: Vec<Hash> = self
            .iter()
            .filter(|waiting| now_secs.saturating_sub(waiting.since_secs) > age_secs)
            .map(|waiting| waiting.record.hash())
            .collect();
        for hash in old {
            self.take_one(&hash);
        }
    }
}

/// Sorts records so that links come before linkers, else as they were. Hashes are of what links to them, so there are
/// no circles.
fn links_first(records: Vec<Waiting>) -> Vec<Waiting> {
    let places: HashMap<Hash, usize> =
        records.iter().enumerate().map(|(place, waiting)| (waiting.record.hash(), place)).collect();
    let mut order: Vec<usize> = Vec::with_capacity(records.len());
    let mut seen: HashSet<usize> = HashSet::new();
    let mut stack: Vec<(usize, bool)> = Vec::new();
    for place in 0..records.len() {
        stack.push((place, false));
        while let Some((place, links_done)) = stack.pop() {
            if links_done {
                order.push(place);
                continue;
            }
            if !seen.insert(place) {
                continue;
            }
            stack.push((place, true));
            let links = records.get(place).map(|waiting| waiting.record.links()).unwrap_or_default();
            stack.extend(links.iter().filter_map(|link| places.get(link)).map(|place| (*place, false)));
        }
    }
    let mut records: Vec<Option<Waiting>> = records.into_iter().map(Some).collect();
    order.into_iter().filter_map(|place| records.get_mut(place)?.take()).collect()
}

/// What begins the file that limbo is kept in.
const MAGIC: &[u8; 8] = b"lflimbo1";
/// Bytes before each record: kind of source, peer, since when, length.
const HEADER_BYTES: usize = 1 + 32 + 8 + 4;

/// Limbo as bytes, for a file.
pub fn to_bytes(limbo: &Limbo) -> Vec<u8> {
    let mut out = Vec::with_capacity(MAGIC.len() + limbo.bytes() + limbo.len() * HEADER_BYTES);
    out.extend_from_slice(MAGIC);
    for Waiting { record, source, since_secs } in limbo.iter() {
        let (kind, peer) = match source {
            Source::File => (0, [0; 32]),
            Source::Peer(peer) => (1, peer.0),
        };
        out.push(kind);
        out.extend_from_slice(&peer);
        out.extend_from_slice(&since_secs.to_be_bytes());
        out.extend_from_slice(&(record.as_bytes().len() as u32).to_be_bytes());
        out.extend_from_slice(record.as_bytes());
    }
    out
}

/// What a file holds, up to the first thing in it that is none of ours.
pub fn from_bytes(bytes: &[u8]) -> Vec<Waiting> {
    let mut found = Vec::new();
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else { return found };
    while let Some(waiting) = next(&mut rest) {
        found.push(waiting);
    }
    found
}

fn next(rest: &mut &[u8]) -> Option<Waiting> {
    let (kind, after) = rest.split_first()?;
    let (peer, after) = after.split_first_chunk::<32>()?;
    let (since_secs, after) = after.split_first_chunk::<8>()?;
    let (length, after) = after.split_first_chunk::<4>()?;
    let (record, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    let source = match kind {
        0 => Source::File,
        1 => Source::Peer(PeerId(*peer)),
        _ => return None,
    };
    let record = Record::decode(record).ok()?;
    *rest = after;
    Some(Waiting { record, source, since_secs: u64::from_be_bytes(*since_secs) })
}

#[cfg(test)]
mod tests;
