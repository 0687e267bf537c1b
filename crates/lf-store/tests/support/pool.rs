//! Pools of real records for tests of the store: small graphs whose owners, names, times and types collide on
//! purpose. Signed and claimed once, then put in any order.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::too_many_arguments)]

use lf_proto::comment::Comment;
use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_proto::hash::Hash;
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::pulse::Pulse;
use lf_proto::record::{Record, RecordBuilder, RecordType};
use lf_proto::work::Work;
use lf_store::Put;

/// SplitMix64, so that every failure repeats from its seed.
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// A network and records of it, in a topological order.
#[derive(Clone)]
pub struct Pool {
    pub genesis: Genesis,
    pub puts: Vec<Put>,
    pub pulses: Vec<(u64, Pulse)>,
}

/// The time all records are around.
pub const BASE: u64 = 1_700_000_000;
const DRIFT: u64 = 60;

pub fn record(
    owner: &OwnerSecret,
    record_type: RecordType,
    value: &[u8],
    names: &[(&[u8], u64)],
    links: &[Hash],
    timestamp: u64,
    token: bool,
    difficulty: Option<u32>,
) -> Record {
    // Genesis and commentary are masked with the empty key; so is what has no name.
    let masking_key = (record_type != RecordType::Datum).then_some(&b""[..]);
    let builder = RecordBuilder {
        record_type,
        value,
        masking_key,
        selectors: names,
        links,
        timestamp,
        with_pulse_token: token,
    };
    builder.build(owner).unwrap().sign(owner, difficulty.map(|d| Work::new([1, 2], d)))
}

pub fn put(record: Record) -> Put {
    let selectors = record.recover_selectors().unwrap();
    let work_verified = record.hash().0[0].is_multiple_of(2);
    Put { record, selectors, work_verified }
}

fn parameters(drift: u64, comment: &str) -> GenesisParameters {
    GenesisParameters {
        id: [7; 32],
        amendable_fields: vec!["recordmaxtimedrift".into(), "comment".into()],
        name: "test".into(),
        comment: comment.into(),
        record_min_links: 2,
        record_max_value_size: 1024,
        record_max_time_drift: drift,
        ..GenesisParameters::default()
    }
}

/// The network of these tests: two genesis records.
pub fn genesis(owner: &OwnerSecret) -> Genesis {
    let json = parameters(DRIFT, "").to_json();
    let first = record(owner, RecordType::Genesis, json.as_bytes(), &[], &[], BASE - 1000, false, None);
    let second = record(owner, RecordType::Genesis, b"", &[], &[first.hash()], BASE - 999, false, None);
    Genesis::parse(&[first.as_bytes(), second.as_bytes()].concat()).unwrap()
}

pub fn genesis_owner() -> OwnerSecret {
    OwnerSecret::from_seed(OwnerType::P224, b"genesis")
}

/// Data records without names, each linking to a few before it: quick to make.
pub fn plain(seed: u64, count: usize) -> Pool {
    let random = &mut Random(seed);
    let genesis = genesis(&genesis_owner());
    let owner = OwnerSecret::from_seed(OwnerType::Ed25519, b"plain");
    let mut hashes: Vec<Hash> = genesis.records().iter().map(Record::hash).collect();
    let mut puts = Vec::new();
    for i in 0..count {
        let links: Vec<Hash> =
            (0..2).map(|_| hashes[hashes.len() - 1 - random.below(4.min(hashes.len()))]).collect();
        let value = vec![i as u8; random.below(300)];
        let time = BASE + i as u64;
        let r = record(
            &owner,
            RecordType::Datum,
            &value,
            &[],
            &links,
            time,
            false,
            Some(random.below(1 << 20) as u32),
        );
        hashes.push(r.hash());
        puts.push(put(r));
    }
    Pool { genesis, puts, pulses: Vec::new() }
}

/// A pool of `count` records of every kind.
pub fn pool(seed: u64, count: usize) -> Pool {
    let random = &mut Random(seed);
    let founder = genesis_owner();
    let genesis = genesis(&founder);
    let mut owners: Vec<OwnerSecret> =
        [OwnerType::P224, OwnerType::Ed25519, OwnerType::P384, OwnerType::Ed25519]
            .iter()
            .enumerate()
            .map(|(i, ty)| OwnerSecret::from_seed(*ty, &[i as u8]))
            .collect();
    owners.push(founder);
    let names: [&[u8]; 5] = [b"alpha", b"beta", b"gamma", b"delta", b""];
    let mut hashes: Vec<Hash> = genesis.records().iter().map(Record::hash).collect();
    let mut puts: Vec<Put> = Vec::new();
    let mut pulses = Vec::new();
    while puts.len() < count {
        let owner = &owners[random.below(owners.len())];
        let near = if random.one_in(3) { hashes.len() } else { 6.min(hashes.len()) };
        let most = if random.one_in(8) { 15 } else { 3 };
        let link_count = if random.one_in(12) { 0 } else { 1 + random.below(most) };
        let links: Vec<Hash> =
            (0..link_count).map(|_| hashes[hashes.len() - 1 - random.below(near)]).collect();
        // Around the drift, so that links to newer records are sometimes violations; equal times happen.
        let timestamp = match random.below(30) {
            0 => 0,
            1 => u64::MAX - random.below(3) as u64,
            _ => BASE + random.below(40) as u64 * 10,
        };
        let difficulty = (!random.one_in(5)).then(|| random.next() as u32 >> random.below(32));
        let kind = random.below(12);
        let made = match kind {
            0 => {
                // An amendment, or what somebody else thinks is one, or no parameters at all.
                let owner = if random.one_in(4) { owner } else { &owners[4] };
                let json =
                    parameters([0, 5, 60, 200][random.below(4)], ["a", "b", "c"][random.below(3)]).to_json();
                let value = if random.one_in(6) { b"{no json".to_vec() } else { json.into_bytes() };
                record(owner, RecordType::Genesis, &value, &[], &links, timestamp, false, difficulty)
            }
            1 | 2 => {
                let mut value = Vec::new();
                for _ in 0..1 + random.below(4) {
                    let subject = if random.one_in(4) {
                        Hash([random.below(3) as u8; 32])
                    } else {
                        hashes[random.below(hashes.len())]
                    };
                    let mut comment = Comment::collision(subject);
                    if random.one_in(6) {
                        comment.assertion = 2;
                    }
                    comment.encode(&mut value);
                }
                record(owner, RecordType::Commentary, &value, &[], &links, timestamp, false, difficulty)
            }
            3 => record(owner, RecordType::Other(9), b"later", &[], &links, timestamp, false, difficulty),
            _ => {
                let selectors: Vec<(&[u8], u64)> = (0..random.below(3))
                    .map(|_| (names[random.below(names.len())], random.below(3) as u64))
                    .collect();
                let token = !selectors.is_empty() && random.one_in(6);
                let value = vec![b'v'; random.below(40)];
                record(owner, RecordType::Datum, &value, &selectors, &links, timestamp, token, difficulty)
            }
        };
        if hashes.contains(&made.hash()) {
            continue;
        }
        if made.pulse_token() != 0 {
            for _ in 0..2 {
                let mut bytes = [9u8; 11];
                bytes[8..].copy_from_slice(&(1 + random.below(1000) as u32).to_be_bytes()[1..]);
                pulses.push((made.pulse_token(), Pulse::from_bytes(&bytes).unwrap()));
            }
        }
        hashes.push(made.hash());
        puts.push(put(made));
    }
    Pool { genesis, puts, pulses }
}
