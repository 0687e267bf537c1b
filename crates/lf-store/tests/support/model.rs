//! The store as NODE.md says it, as plainly as can be: maps, and walks over all ancestors.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::type_complexity)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lf_proto::comment::Comment;
use lf_proto::genesis::{Genesis, GenesisParameters, plain_value};
use lf_proto::hash::Hash;
use lf_proto::masking;
use lf_proto::owner::OwnerPublic;
use lf_proto::pulse::Pulse;
use lf_proto::record::RecordType;
use lf_proto::selector::SelectorKey;
use lf_store::{Put, StoreReader, Stored};

struct Known {
    put: Put,
    id: [u8; 32],
    linked: bool,
    reputation: u8,
    /// Links to a record too much newer.
    violation: bool,
}

pub struct Model {
    genesis_owner: OwnerPublic,
    parameters: GenesisParameters,
    amended: (u64, Hash),
    records: BTreeMap<Hash, Known>,
    pulses: BTreeMap<u64, Pulse>,
}

/// All that readers can see, reputations apart; the same for every order of arrival.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
pub struct Seen {
    pub parameters: Option<GenesisParameters>,
    /// Linked records with weight and links to them; `None`: waiting.
    pub records: BTreeMap<Hash, Option<u128>>,
    pub linked: (u64, u64),
    pub pending: u64,
    pub owners: BTreeMap<Vec<u8>, (u64, u64)>,
    pub comments: BTreeMap<([u8; 32], Vec<u8>), BTreeSet<Vec<u8>>>,
    pub tokens: BTreeSet<u64>,
    pub types: BTreeMap<u8, BTreeSet<Hash>>,
    pub selectors: BTreeMap<(u8, [u8; 32]), BTreeSet<Hash>>,
    pub wanted: BTreeSet<Hash>,
    pub pulses: BTreeMap<u64, u32>,
}

impl Model {
    pub fn new(genesis: &Genesis) -> Self {
        let mut model = Model {
            genesis_owner: *genesis.owner(),
            parameters: genesis.parameters().clone(),
            amended: (genesis.records()[0].timestamp(), Hash([0xff; 32])),
            records: BTreeMap::new(),
            pulses: BTreeMap::new(),
        };
        for record in genesis.records() {
            model.put(&Put { record: record.clone(), selectors: Vec::new(), work_verified: false });
        }
        model
    }

    pub fn contains(&self, hash: &Hash) -> bool {
        self.records.contains_key(hash)
    }

    pub fn stored(&self) -> impl Iterator<Item = &Hash> {
        self.records.keys()
    }

    /// NODE.md §3, word by word.
    fn arriving_reputation(&mut self, id: [u8; 32], owner: OwnerPublic) -> u8 {
        let same: Vec<u8> = self
            .records
            .values()
            .filter(|k| k.linked && k.id == id && *k.put.record.owner() == owner)
            .map(|k| if k.reputation == 48 { 63 } else { k.reputation })
            .collect();
        if let Some(highest) = same.iter().max() {
            return *highest;
        }
        if !self.records.values().any(|k| k.id == id && *k.put.record.owner() != owner) {
            return 63;
        }
        let safe: BTreeSet<Vec<u8>> = self
            .records
            .values()
            .filter(|k| k.linked && k.id == id && k.reputation > 0)
            .map(|k| k.put.record.owner().as_bytes().to_vec())
            .collect();
        for known in self.records.values_mut().filter(|k| k.id == id) {
            if !safe.contains(known.put.record.owner().as_bytes()) {
                known.reputation = 0;
            }
        }
        0
    }

    /// Returns whether it was new.
    pub fn put(&mut self, put: &Put) -> bool {
        let hash = put.record.hash();
        if self.records.contains_key(&hash) {
            return false;
        }
        let id = put.record.id(&put.selectors);
        let reputation = self.arriving_reputation(id, *put.record.owner());
        self.records
            .insert(hash, Known { put: put.clone(), id, linked: false, reputation, violation: false });
        let mut ready = VecDeque::from([hash]);
        while let Some(hash) = ready.pop_front() {
            if !self.has_all_links(&hash) {
                continue; // The one that has just arrived.
            }
            self.link(hash);
            // What this one completes is linked after all that was complete before, by hash.
            let completed = self
                .records
                .iter()
                .filter(|(h, k)| !k.linked && k.put.record.links().contains(&hash) && self.has_all_links(h));
            ready.extend(completed.map(|(h, _)| *h));
        }
        true
    }

    /// Whether it is news.
    pub fn pulse(&mut self, token: u64, pulse: &Pulse) -> bool {
        let news = self.pulses.get(&token).is_none_or(|known| pulse.minutes() > known.minutes());
        if news {
            self.pulses.insert(token, *pulse);
        }
        news
    }

    fn has_all_links(&self, hash: &Hash) -> bool {
        self.records[hash].put.record.links().iter().all(|l| self.is_linked(l))
    }

    fn is_linked(&self, hash: &Hash) -> bool {
        self.records.get(hash).is_some_and(|k| k.linked)
    }

    fn link(&mut self, hash: Hash) {
        let record = self.records[&hash].put.record.clone();
        let newest = record.links().iter().map(|l| self.records[l].put.record.timestamp()).max();
        let drift = self.parameters.record_max_time_drift;
        let violation = newest.is_some_and(|n| n > record.timestamp().saturating_add(drift));
        let known = self.records.get_mut(&hash).unwrap();
        known.linked = true;
        known.violation = violation;
        if violation && known.reputation > 48 {
            known.reputation = 48;
        }
        if record.record_type() == RecordType::Genesis
            && *record.owner() == self.genesis_owner
            && !record.stored_value().is_empty()
            && (record.timestamp(), hash) > self.amended
            && let Ok(text) = plain_value(&record)
            && self.parameters.amend(&text).is_ok()
        {
            self.amended = (record.timestamp(), hash);
        }
    }

    /// NODE.md §3, "once the node is fully synchronized": of the rivals for a name that nobody linked here holds, the one
    /// whose linked records with it weigh most in sum. Returns names and holders, by name.
    pub fn settle(&mut self) -> Vec<([u8; 32], OwnerPublic)> {
        let linked = || self.records.iter().filter(|(_, k)| k.linked);
        let ids: BTreeSet<[u8; 32]> = linked().map(|(_, k)| k.id).collect();
        let mut settled = Vec::new();
        for id in ids {
            let with_id: Vec<(&Hash, &Known)> = linked().filter(|(_, k)| k.id == id).collect();
            if with_id.iter().any(|(_, k)| k.reputation > 0) {
                continue;
            }
            let owners: BTreeMap<&[u8], OwnerPublic> = with_id
                .iter()
                .map(|(_, k)| (k.put.record.owner().as_bytes(), *k.put.record.owner()))
                .collect();
            let heaviest = owners.into_values().max_by_key(|owner| {
                let theirs =
                    || with_id.iter().filter(|(_, k)| k.put.record.owner() == owner).map(|(h, _)| *h);
                (theirs().map(|h| self.weight(h)).sum::<u128>(), std::cmp::Reverse(theirs().min()))
            });
            settled.push((id, heaviest.unwrap()));
        }
        for (id, owner) in &settled {
            for known in self.records.values_mut() {
                if known.id == *id && known.put.record.owner() == owner {
                    known.reputation = if known.violation { 48 } else { 63 };
                }
            }
        }
        settled
    }

    pub fn reputation(&self, hash: &Hash) -> u8 {
        self.records[hash].reputation
    }

    fn weight(&self, hash: &Hash) -> u128 {
        // Who reaches it: grow the set of descendants until it stays.
        let mut reaching = BTreeSet::from([*hash]);
        loop {
            let more: Vec<Hash> = self
                .records
                .iter()
                .filter(|(h, k)| {
                    k.linked
                        && !reaching.contains(h)
                        && k.put.record.links().iter().any(|l| reaching.contains(l))
                })
                .map(|(h, _)| *h)
                .collect();
            if more.is_empty() {
                break;
            }
            reaching.extend(more);
        }
        reaching.iter().map(|h| u128::from(self.records[h].put.record.score())).sum()
    }

    /// Linked records of good reputation, with how many of them link to each.
    fn linkers(&self) -> BTreeMap<Hash, usize> {
        let good = |h: &Hash| self.records[h].linked && self.records[h].reputation == 63;
        let eligible: Vec<Hash> = self.records.keys().filter(|h| good(h)).copied().collect();
        let linkers =
            |h: &Hash| eligible.iter().filter(|e| self.records[*e].put.record.links().contains(h)).count();
        eligible.iter().map(|h| (*h, linkers(h))).collect()
    }

    pub fn seen(&self) -> Seen {
        let mut seen = Seen { parameters: Some(self.parameters.clone()), ..Seen::default() };
        for (hash, known) in &self.records {
            let record = &known.put.record;
            if !known.linked {
                seen.records.insert(*hash, None);
                seen.pending += 1;
                seen.wanted.extend(record.links().iter().filter(|l| !self.contains(l)));
                continue;
            }
            seen.records.insert(*hash, Some(self.weight(hash)));
            let bytes = record.as_bytes().len() as u64;
            seen.linked.0 += 1;
            seen.linked.1 += bytes;
            let totals = seen.owners.entry(record.owner().as_bytes().to_vec()).or_default();
            *totals = (totals.0 + 1, totals.1 + bytes);
            if record.pulse_token() != 0 {
                seen.tokens.insert(record.pulse_token());
            }
            if record.record_type() != RecordType::Datum {
                seen.types.entry(record.record_type().id()).or_default().insert(*hash);
            }
            for (position, selector) in known.put.selectors.iter().enumerate() {
                seen.selectors.entry((position as u8, selector.key.0)).or_default().insert(*hash);
            }
            if record.record_type() == RecordType::Commentary {
                let plain = masking::unmask(record.stored_value(), record.timestamp(), b"", record.owner());
                for comment in Comment::decode_all(&plain.unwrap()) {
                    // The records of one (id, owner) are one subject.
                    if let Some(subject) = comment.collides().and_then(|s| self.records.get(&s)) {
                        let key = (subject.id, subject.put.record.owner().as_bytes().to_vec());
                        seen.comments.entry(key).or_default().insert(record.owner().as_bytes().to_vec());
                    }
                }
            }
        }
        seen.pulses = self.pulses.iter().map(|(t, p)| (*t, p.minutes())).collect();
        seen
    }

    /// Compares everything, and reads every record.
    pub fn check(&self, reader: &StoreReader, context: &str) {
        self.check_index(reader, context);
        let view = reader.view();
        for (hash, known) in &self.records {
            let row = view.row_of(hash).unwrap().unwrap();
            assert!(
                view.record(&row).as_ref() == Some(&known.put.record),
                "{context}: {hash} at {}",
                row.position
            );
        }
    }

    /// Compares everything but the records themselves, without reading the disk.
    pub fn check_index(&self, reader: &StoreReader, context: &str) {
        let hashes: Vec<Hash> = self.records.keys().copied().collect();
        let tokens: Vec<u64> = self.pulses.keys().copied().collect();
        let puts: Vec<&Put> = self.records.values().map(|k| &k.put).collect();
        let (got, want) = (look(reader, &puts, &tokens), self.seen());
        assert_eq!(got.records, want.records, "{context}: records");
        assert!(got == want, "{context}: {got:?} is not {want:?}");
        let view = reader.view();
        for hash in &hashes {
            let row = view.row_of(hash).unwrap().unwrap();
            let known = &self.records[hash];
            assert_eq!(view.reputation(&row).unwrap(), known.reputation, "{context}: reputation of {hash}");
            assert_eq!(row.work_verified, known.put.work_verified, "{context}");
        }
        let linkers = self.linkers();
        for count in [1, 2, 5, 15] {
            let mut state = Random(count as u64);
            let picked = reader.links(count, |n| state.next() % n).unwrap();
            let mut best: Vec<usize> = linkers.values().map(|n| (*n).min(4)).collect();
            best.sort_unstable();
            best.truncate(count);
            let mut got: Vec<usize> = picked.iter().map(|h| linkers[h].min(4)).collect();
            got.sort_unstable();
            assert_eq!(got, best, "{context}: links");
            assert_eq!(picked.iter().collect::<BTreeSet<_>>().len(), picked.len());
        }
        assert_eq!(reader.tips(), linkers.values().filter(|n| **n == 0).count(), "{context}");
    }
}

use crate::pool::Random;

/// What a store shows of these records.
pub fn look(reader: &StoreReader, puts: &[&Put], tokens: &[u64]) -> Seen {
    let view = reader.view();
    let mut seen = Seen { parameters: Some(reader.parameters()), ..Seen::default() };
    let totals = view.totals().unwrap();
    seen.linked = (u64::from(totals.linked), totals.linked_bytes);
    seen.pending = totals.pending;
    assert_eq!(view.linked(), totals.linked);
    let hash_of = |index: u32| view.row(index).unwrap().unwrap().hash;
    let mut order = BTreeMap::new();
    for index in 0..totals.linked {
        assert_eq!(order.insert(hash_of(index), index), None);
    }
    assert!(view.row(totals.linked).unwrap().is_none());
    for put in puts {
        let hash = put.record.hash();
        match view.standing(&hash).unwrap() {
            None => continue,
            Some(Stored::Pending) => seen.records.insert(hash, None),
            Some(Stored::Linked(index)) => {
                assert_eq!(order[&hash], index);
                assert!(
                    put.record.links().iter().all(|l| order[l] < index),
                    "indexes are a topological order"
                );
                seen.records.insert(hash, Some(view.weight(index)))
            }
        };
        let owner = put.record.owner();
        let t = view.owner_totals(owner).unwrap();
        if t.records > 0 {
            seen.owners.insert(owner.as_bytes().to_vec(), (t.records, t.bytes));
        }
        let id = put.record.id(&put.selectors);
        let oracles = view.comments(&id, owner).unwrap();
        if !oracles.is_empty() {
            let oracles: BTreeSet<Vec<u8>> = oracles.iter().map(|o| o.as_bytes().to_vec()).collect();
            seen.comments.insert((id, owner.as_bytes().to_vec()), oracles);
        }
        for (position, selector) in put.selectors.iter().enumerate() {
            let indexes = view.by_selector(position as u8, &selector.key, &selector.key);
            let found: BTreeSet<Hash> = indexes.map(|i| hash_of(i.unwrap())).collect();
            if !found.is_empty() {
                seen.selectors.insert((position as u8, selector.key.0), found);
            }
        }
    }
    for position in 0..2 {
        let all = view.by_selector(position, &SelectorKey([0; 32]), &SelectorKey([255; 32]));
        let count: usize =
            seen.selectors.iter().filter(|((p, _), _)| *p == position).map(|(_, s)| s.len()).sum();
        assert_eq!(all.count(), count);
        assert_eq!(view.by_selector(position, &SelectorKey([255; 32]), &SelectorKey([0; 32])).count(), 0);
    }
    let tokens_seen = view.tokens_between(0, u64::MAX, usize::MAX).unwrap();
    seen.tokens = tokens_seen.into_iter().map(|(_, token)| token).collect();
    for record_type in 1..16 {
        let found: BTreeSet<Hash> = view.of_type(record_type).unwrap().into_iter().map(hash_of).collect();
        if !found.is_empty() {
            seen.types.insert(record_type, found);
        }
    }
    seen.wanted = view.wanted(&Hash::default(), usize::MAX).unwrap().into_iter().collect();
    for token in tokens {
        if let Some(pulse) = view.pulse(*token).unwrap() {
            seen.pulses.insert(*token, pulse.minutes());
        }
    }
    seen
}
