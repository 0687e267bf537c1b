//! What is known of the chains that pulses may continue: for records of the times that were asked about, the value of
//! the latest pulse, or the token.
//!
//! Of a valid pulse of the next minute, one hash step gives exactly that value: one look into a table decides. It is a
//! cache: loaded from the store by the time of the records, bounded, and right in what it admits even if it lags behind,
//! since the store itself takes no pulse that is not newer than the last.

use std::collections::{BTreeMap, HashMap};

use lf_proto::hash::Hash;
use lf_store::{IndexError, View};

use super::AcceptedPulse;

/// Chains that are remembered, some 70 bytes each.
const CHAINS_MAX: usize = 1 << 20;
/// Chains of one bucket. Pulses of a time with more records are looked up in the store, which costs all their steps.
const BUCKET_CHAINS_MAX: usize = 1 << 16;
/// Buckets that are remembered, most of them empty, some 100 bytes each and twice as much if they are not.
const BUCKETS_MAX: usize = 1 << 18;
/// The least seconds that records of one bucket are apart.
const BUCKET_SECONDS_MIN: u64 = 60;
/// Newly linked records that are looked through; if there are more, everything is forgotten.
const FOLLOW_RECORDS_MAX: u32 = 10_000;
/// What loading a bucket costs, in hash steps that take as long.
const BUCKET_STEPS: u64 = 256;
/// What loading a chain costs, or looking one up in the store.
const CHAIN_STEPS: u64 = 128;
/// No chain.
const NONE: u32 = u32::MAX;

/// A chain as far as it is known.
#[derive(Debug, Clone, Copy)]
struct Chain {
    value: u64,
    token: u64,
    /// Of the record. One token under several times is several chains.
    timestamp: u64,
    minutes: u32,
    /// Another chain with the same value: whoever copies a token or a published value into a record makes one.
    next: u32,
}

/// Chains of records made at about the same time.
#[derive(Debug, Default)]
struct Bucket {
    chains: Vec<u32>,
    /// How many of them are known up to which minute.
    minutes: BTreeMap<u32, u32>,
    /// There are more than are remembered.
    overfull: bool,
    /// When it was used last.
    generation: u32,
    /// When it was loaded or one of its chains was renewed last.
    changed: u64,
}

/// The memory of chains. See the module.
#[derive(Debug)]
pub struct KnownPulses {
    chains: Vec<Chain>,
    free: Vec<u32>,
    by_value: HashMap<u64, u32>,
    /// By time of the records / `bucket_seconds`.
    buckets: HashMap<u64, Bucket>,
    bucket_seconds: u64,
    generation: u32,
    /// Counts changes.
    changes: u64,
    /// Records linked below this are in their bucket, if it is loaded; and the last of them.
    linked: u32,
    last_linked: Option<Hash>,
    chains_max: usize,
    bucket_chains_max: usize,
}

impl Default for KnownPulses {
    fn default() -> Self {
        Self::with_limits(CHAINS_MAX, BUCKET_CHAINS_MAX)
    }
}

impl KnownPulses {
    /// An empty memory for so many chains, and so many of records made at about the same time.
    pub fn with_limits(chains_max: usize, bucket_chains_max: usize) -> Self {
        KnownPulses {
            chains: Vec::new(),
            free: Vec::new(),
            by_value: HashMap::new(),
            buckets: HashMap::new(),
            bucket_seconds: BUCKET_SECONDS_MIN,
            generation: 0,
            changes: 0,
            linked: 0,
            last_linked: None,
            chains_max,
            bucket_chains_max,
        }
    }

    /// How many chains are remembered.
    pub fn len(&self) -> usize {
        self.chains.len() - self.free.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.buckets = HashMap::new();
        self.by_value = HashMap::new();
        self.chains = Vec::new();
        self.free = Vec::new();
    }

    /// Remembers pulses that were stored now.
    pub fn note(&mut self, stored: &[AcceptedPulse]) {
        for accepted in stored {
            let mut slot = self.by_value.get(&accepted.known).copied().unwrap_or(NONE);
            while let Some(chain) = self.chains.get(slot as usize).copied() {
                if chain.token == accepted.token && chain.minutes < accepted.pulse.minutes() {
                    self.renew(slot, accepted.pulse.value(), accepted.pulse.minutes());
                }
                slot = chain.next;
            }
        }
    }

    /// Comes up to what has been linked since; must be called with each view before it is used for anything else.
    pub(super) fn follow(&mut self, view: &View, drift: u64) -> Result<(), IndexError> {
        let (linked, bucket_seconds) = (view.linked(), drift.max(BUCKET_SECONDS_MIN));
        // The index may have been made anew, with other numbers.
        let same = match (self.linked.checked_sub(1), self.last_linked) {
            (Some(last), Some(hash)) => view.row(last)?.is_some_and(|row| row.hash == hash),
            _ => self.linked == 0,
        };
        if !same || linked - self.linked > FOLLOW_RECORDS_MAX || bucket_seconds != self.bucket_seconds {
            self.clear();
        }
        self.bucket_seconds = bucket_seconds;
        if !self.buckets.is_empty() {
            for index in self.linked..linked {
                if let Some(row) = view.row(index)?
                    && row.pulse_token != 0
                    && self.buckets.contains_key(&(row.timestamp / bucket_seconds))
                {
                    self.add(row.timestamp, row.pulse_token, view)?;
                }
            }
        }
        if self.linked != linked {
            self.last_linked =
                linked.checked_sub(1).map(|last| view.row(last)).transpose()?.flatten().map(|r| r.hash);
            self.linked = linked;
        }
        Ok(())
    }

    /// Loads all chains of records made between two times, both included. False if `steps`
    /// are used up.
    pub(super) fn load(
        &mut self,
        first: u64,
        last: u64,
        view: &View,
        steps: &mut u64,
    ) -> Result<bool, IndexError> {
        let numbers = first / self.bucket_seconds..=last / self.bucket_seconds;
        if numbers.clone().any(|number| !self.buckets.contains_key(&number)) {
            self.make_room(); // Before any of these is looked for: it may be among what is forgotten.
        }
        for number in numbers {
            if let Some(bucket) = self.buckets.get_mut(&number) {
                bucket.generation = self.generation;
                continue;
            }
            let Some(left) = steps.checked_sub(BUCKET_STEPS) else { return Ok(false) };
            *steps = left;
            let from = number.saturating_mul(self.bucket_seconds);
            let to = from.saturating_add(self.bucket_seconds - 1);
            // One more than are taken, to see whether there are more.
            let tokens = view.tokens_between(from, to, self.bucket_chains_max.saturating_add(1))?;
            // Paid as far as there is anything left: what is loaded serves everybody.
            *steps = steps.saturating_sub(CHAIN_STEPS * tokens.len() as u64);
            let overfull = tokens.len() > self.bucket_chains_max;
            self.changes += 1;
            let (generation, changed) = (self.generation, self.changes);
            self.buckets.insert(number, Bucket { overfull, generation, changed, ..Bucket::default() });
            for (timestamp, token) in tokens.into_iter().take(self.bucket_chains_max) {
                self.add(timestamp, token, view)?;
            }
        }
        Ok(true)
    }

    /// The token of the chain that is known at this minute by this value, of a record made between two times; and
    /// what is known.
    pub(super) fn find(&self, value: u64, minutes: u32, first: u64, last: u64) -> Option<u64> {
        let mut slot = self.by_value.get(&value).copied()?;
        while let Some(chain) = self.chains.get(slot as usize) {
            if chain.minutes == minutes && (first..=last).contains(&chain.timestamp) {
                return Some(chain.token);
            }
            slot = chain.next;
        }
        None
    }

    /// The last minute up to `minutes` that a chain of a record made at about these times is known at.
    pub(super) fn latest(&self, minutes: u32, first: u64, last: u64) -> Option<u32> {
        let numbers = first / self.bucket_seconds..=last / self.bucket_seconds;
        numbers
            .filter_map(|n| self.buckets.get(&n)?.minutes.range(..=minutes).next_back())
            .map(|(m, _)| *m)
            .max()
    }

    /// The number of the last change of what is known of records made at about these times.
    pub(super) fn changed(&self, first: u64, last: u64) -> u64 {
        let numbers = first / self.bucket_seconds..=last / self.bucket_seconds;
        numbers.filter_map(|n| Some(self.buckets.get(&n)?.changed)).max().unwrap_or_default()
    }

    /// Whether there are records made at about these times that are not remembered.
    pub(super) fn is_overfull(&self, first: u64, last: u64) -> bool {
        let mut numbers = first / self.bucket_seconds..=last / self.bucket_seconds;
        numbers.any(|n| self.buckets.get(&n).is_some_and(|bucket| bucket.overfull))
    }

    /// As [`Self::find`] for a token, in the store: what is known of its chain, if that is before `minutes`. Nothing if
    /// that costs more than `steps`.
    pub(super) fn find_stored(
        &self,
        token: u64,
        minutes: u32,
        (first, last): (u64, u64),
        view: &View,
        steps: &mut u64,
    ) -> Result<Option<u64>, IndexError> {
        let cost = (last - first).saturating_add(2).saturating_mul(CHAIN_STEPS);
        let Some(left) = steps.checked_sub(cost) else { return Ok(None) };
        *steps = left;
        if !view.has_token_between(token, first, last)? {
            return Ok(None);
        }
        let (known_minutes, known) = view.pulse(token)?.map_or((0, token), |p| (p.minutes(), p.value()));
        Ok((known_minutes < minutes).then_some(known))
    }

    /// Adds a chain to its bucket, which is loaded, unless it is there.
    fn add(&mut self, timestamp: u64, token: u64, view: &View) -> Result<(), IndexError> {
        let (minutes, value) = view.pulse(token)?.map_or((0, token), |p| (p.minutes(), p.value()));
        let mut slot = self.by_value.get(&value).copied().unwrap_or(NONE);
        while let Some(chain) = self.chains.get(slot as usize) {
            if chain.token == token && chain.timestamp == timestamp {
                return Ok(());
            }
            slot = chain.next;
        }
        let Some(bucket) = self.buckets.get_mut(&(timestamp / self.bucket_seconds)) else { return Ok(()) };
        if bucket.chains.len() >= self.bucket_chains_max {
            bucket.overfull = true;
            return Ok(());
        }
        let chain = Chain { value, token, timestamp, minutes, next: NONE };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.chains[slot as usize] = chain;
                slot
            }
            None => {
                self.chains.push(chain);
                (self.chains.len() - 1) as u32
            }
        };
        bucket.chains.push(slot);
        *bucket.minutes.entry(minutes).or_default() += 1;
        self.link(slot);
        Ok(())
    }

    /// Sets what is known of a chain.
    fn renew(&mut self, slot: u32, value: u64, minutes: u32) {
        self.changes += 1;
        self.unlink(slot);
        let chain = &mut self.chains[slot as usize];
        let before = std::mem::replace(&mut chain.minutes, minutes);
        chain.value = value;
        if let Some(bucket) = self.buckets.get_mut(&(chain.timestamp / self.bucket_seconds)) {
            bucket.changed = self.changes;
            *bucket.minutes.entry(minutes).or_default() += 1;
            if let Some(count) = bucket.minutes.get_mut(&before) {
                *count -= 1;
                if *count == 0 {
                    bucket.minutes.remove(&before);
                }
            }
        }
        self.link(slot);
    }

    fn link(&mut self, slot: u32) {
        let value = self.chains[slot as usize].value;
        self.chains[slot as usize].next = self.by_value.insert(value, slot).unwrap_or(NONE);
    }

    fn unlink(&mut self, slot: u32) {
        let Chain { value, next, .. } = self.chains[slot as usize];
        let Some(first) = self.by_value.get_mut(&value) else { return };
        if *first == slot {
            if next == NONE {
                self.by_value.remove(&value);
            } else {
                *first = next;
            }
            return;
        }
        let mut before = *first;
        while let Some(chain) = self.chains.get_mut(before as usize) {
            if chain.next == slot {
                chain.next = next;
                return;
            }
            before = chain.next;
        }
    }

    /// Before a bucket is loaded: forgets those that were not used since the last time there was no room.
    fn make_room(&mut self) {
        if self.len() < self.chains_max && self.buckets.len() < BUCKETS_MAX {
            return;
        }
        let old: Vec<u64> = self
            .buckets
            .iter()
            .filter(|(_, b)| b.generation != self.generation)
            .map(|(number, _)| *number)
            .collect();
        self.generation = self.generation.wrapping_add(1);
        if old.len() < self.buckets.len() / 8 {
            self.clear();
            return;
        }
        for bucket in old.iter().filter_map(|number| self.buckets.remove(number)).collect::<Vec<_>>() {
            for slot in bucket.chains {
                self.unlink(slot);
                self.free.push(slot);
            }
        }
    }
}
