//! Queries over stores in memory: orders of arrival, keys that were rotated, explanations.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use lf_node::core::explain::{self, Situation};
use lf_node::core::query::{self, Plan};
use lf_node::core::{Certificates, Certified, NoCertificates, Rules};
use lf_proto::api::{ExplainedSet, Query, QueryRange, QueryResult};
use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_proto::hash::Hash;
use lf_proto::owner::{OwnerPublic, OwnerSecret, OwnerType};
use lf_proto::record::{Record, RecordBuilder, RecordType};
use lf_proto::selector::SelectorNames;
use lf_store::storage::SimStorage;
use lf_store::{IndexPlace, Put, Store, StoreOptions};

const BASE: u64 = 1_700_000_000;

fn secret(name: &str) -> OwnerSecret {
    OwnerSecret::from_seed(OwnerType::Ed25519, name.as_bytes())
}

fn record(
    owner: &OwnerSecret,
    record_type: RecordType,
    value: &[u8],
    name: Option<&[u8]>,
    links: &[Hash],
    timestamp: u64,
) -> Record {
    let selectors: Vec<(&[u8], u64)> = name.into_iter().map(|name| (name, 0)).collect();
    let masking_key = (record_type != RecordType::Datum).then_some(&b""[..]);
    let with_pulse_token = false;
    let builder = RecordBuilder {
        record_type,
        value,
        masking_key,
        selectors: &selectors,
        links,
        timestamp,
        with_pulse_token,
    };
    builder.build(owner).unwrap().sign(owner, None)
}

struct Network {
    genesis: Genesis,
    store: Store,
    first: Hash,
}

impl Network {
    fn new() -> Self {
        let founder = secret("founder");
        let parameters = GenesisParameters {
            record_max_value_size: 1024,
            record_max_time_drift: 60,
            ..Default::default()
        };
        let json = parameters.to_json();
        let first = record(&founder, RecordType::Genesis, json.as_bytes(), None, &[], BASE - 1000);
        let genesis = Genesis::parse(first.as_bytes()).unwrap();
        let storage = Arc::new(SimStorage::new(1));
        let options = StoreOptions::new(storage, IndexPlace::Memory, genesis.clone(), [1; 16]);
        Network { genesis, store: Store::open(options).unwrap().0, first: first.hash() }
    }

    fn put(&mut self, record: &Record) {
        let selectors = record.recover_selectors().unwrap();
        self.store.apply(&[Put { record: record.clone(), selectors, work_verified: false }], &[]).unwrap();
    }

    fn with<T>(&self, certificates: &dyn Certificates, ask: impl FnOnce(&Rules<'_>) -> T) -> T {
        let parameters = self.store.reader().parameters();
        ask(&Rules {
            parameters: &parameters,
            genesis_owner: self.genesis.owner(),
            local_test: true,
            certificates,
        })
    }

    /// The records of the one result set of a name.
    fn ask(&self, query: &Query, certificates: &dyn Certificates) -> Vec<QueryResult> {
        let plan = Plan::new(query, &SelectorNames::new(0)).unwrap();
        let mut sets = self
            .with(certificates, |rules| query::answer(&plan, &self.store.reader().view(), rules))
            .unwrap();
        assert_eq!(sets.len(), 1);
        sets.remove(0)
    }

    fn explain(&self, query: &Query, now: u64) -> ExplainedSet {
        let plan = Plan::new(query, &SelectorNames::new(0)).unwrap();
        let situation = Situation { now, synchronized: true };
        let view = self.store.reader().view();
        let explained = self.with(&NoCertificates, |rules| explain::explain(&plan, &view, rules, situation));
        explained.unwrap().sets.remove(0)
    }
}

fn query(name: &[u8], order: &str) -> Query {
    let ranges = vec![QueryRange { name: name.into(), ..QueryRange::default() }];
    Query { ranges, sort_order: order.to_owned(), ..Query::default() }
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }
}

/// All that a set says, but for what is each node's own.
fn shared(results: &[QueryResult]) -> Vec<(Hash, [u32; 4])> {
    results.iter().map(|r| (r.hash, r.weight)).collect()
}

#[test]
fn the_deterministic_order_is_the_same_on_all_nodes() {
    let owners = [secret("one"), secret("two"), secret("three")];
    let names: [&[u8]; 2] = [b"harbour", b"beacon"];
    let mut trusted_differently = 0;
    for seed in 0..60 {
        let random = &mut Random(seed);
        let (mut one, mut other) = (Network::new(), Network::new());
        let mut hashes = vec![one.first];
        let mut records = Vec::new();
        for i in 0..14 {
            let owner = &owners[random.below(3)];
            let mut links = vec![hashes[random.below(hashes.len())], hashes[random.below(hashes.len())]];
            links.sort_unstable();
            links.dedup();
            let time = BASE + random.below(5) as u64;
            // A statement now and then: what it makes of the set is each node's own, too.
            let made = if random.below(7) == 0 {
                let successor = owners[random.below(3)].public().as_bytes();
                record(owner, RecordType::Rotation, successor, None, &links, time)
            } else {
                record(owner, RecordType::Datum, &[i], Some(names[random.below(2)]), &links, time)
            };
            hashes.push(made.hash());
            records.push(made);
        }
        for made in &records {
            one.put(made);
        }
        for i in (1..records.len()).rev() {
            records.swap(i, random.below(i + 1));
        }
        for made in &records {
            other.put(made);
        }
        for name in names {
            let sets = |network: &Network, order, follow_rotations| {
                let query = Query { follow_rotations, ..query(name, order) };
                let plan = Plan::new(&query, &SelectorNames::new(0)).unwrap();
                let view = network.store.reader().view();
                network.with(&NoCertificates, |rules| query::answer(&plan, &view, rules)).unwrap()
            };
            let same = |a: &[Vec<QueryResult>], b: &[Vec<QueryResult>]| {
                a.iter().map(|s| shared(s)).eq(b.iter().map(|s| shared(s)))
            };
            for follow in [false, true] {
                let answers = (sets(&one, "deterministic", follow), sets(&other, "deterministic", follow));
                assert!(same(&answers.0, &answers.1), "seed {seed}: {answers:#?}");
                for set in &answers.0 {
                    assert!(set.windows(2).all(|w| (w[0].weight, w[0].hash) > (w[1].weight, w[1].hash)));
                }
            }
            let trusted = (sets(&one, "trust", false), sets(&other, "trust", false));
            trusted_differently += usize::from(!same(&trusted.0, &trusted.1));
        }
    }
    assert!(trusted_differently > 0, "the networks of this test show no difference between the orders");
}

/// One authority certified everybody.
struct Everybody;

impl Certificates for Everybody {
    fn certified(&self, _: &OwnerPublic, _: u64) -> Certified {
        Certified::Yes
    }

    fn follows(&self, _: &OwnerPublic, _: &OwnerPublic, _: u64, _: u32) -> bool {
        true
    }
}

#[test]
fn a_rotated_key_is_followed_by_who_may() {
    let (old, new, thief) = (secret("old"), secret("new"), secret("thief"));
    let mut network = Network::new();
    let name = b"harbour";
    let links = [network.first];
    let before = record(&old, RecordType::Datum, b"from the old key", Some(name), &links, BASE);
    let links = [before.hash()];
    let statement = record(&old, RecordType::Rotation, new.public().as_bytes(), None, &links, BASE + 10);
    let links = [statement.hash()];
    let after = record(&new, RecordType::Datum, b"from the new key", Some(name), &links, BASE + 20);
    network.put(&before);
    network.put(&statement);
    let follow = Query { follow_rotations: true, ..query(name, "") };
    // The new key has not written this name yet: the old one's record stands.
    assert_eq!(network.ask(&follow, &NoCertificates)[0].hash, before.hash());
    network.put(&after);
    // Who does not follow sees two owners, of whom the old one was first.
    let plain = network.ask(&query(name, ""), &NoCertificates);
    assert_eq!(plain.iter().map(|r| r.hash).collect::<Vec<_>>(), [before.hash(), after.hash()]);
    let hashes = |results: &[QueryResult]| results.iter().map(|r| r.hash).collect::<Vec<_>>();
    for (query, certificates) in
        [(&follow, &NoCertificates as &dyn Certificates), (&query(name, ""), &Everybody as &dyn Certificates)]
    {
        let followed = network.ask(query, certificates);
        assert_eq!(hashes(&followed), [after.hash()]);
        assert_eq!((followed[0].local_trust, followed[0].trust), (1.0, 1.0));
        let weight = |results: &[QueryResult]| {
            results.iter().map(|r| lf_proto::api::weight_from_words(&r.weight)).sum::<u128>()
        };
        assert_eq!(weight(&followed), weight(&plain));
    }
    // The old key is stolen: what it writes now counts for nothing, and it cannot be passed on again.
    let links = [after.hash()];
    let stolen = record(&old, RecordType::Datum, b"from a thief", Some(name), &links, BASE + 30);
    let again = record(&old, RecordType::Rotation, thief.public().as_bytes(), None, &links, BASE + 5);
    let theirs = record(&thief, RecordType::Datum, b"from a thief", Some(name), &links, BASE + 31);
    for made in [&stolen, &again, &theirs] {
        network.put(made);
    }
    let followed = network.ask(&follow, &NoCertificates);
    assert_eq!(hashes(&followed), [after.hash(), theirs.hash()]);
    assert_eq!(followed[1].local_trust, 0.0);
    let explained = network.explain(&follow, BASE + 100);
    assert_eq!(explained.candidates[0].goes_on_for, [*old.public()]);
    assert_eq!((explained.candidates[0].revisions, explained.candidates[0].reputation), (3, 63));
    // A circle leads nowhere.
    let links = [theirs.hash()];
    network.put(&record(&new, RecordType::Rotation, old.public().as_bytes(), None, &links, BASE + 40));
    assert_eq!(
        hashes(&network.ask(&follow, &NoCertificates)),
        hashes(&network.ask(&query(name, ""), &NoCertificates))
    );
}

#[test]
fn an_explanation_says_why_and_how_weak() {
    let (first, rival, oracle) = (secret("first"), secret("rival"), secret("oracle"));
    let mut network = Network::new();
    let name = b"harbour";
    let links = [network.first];
    let good = record(&first, RecordType::Datum, b"1", Some(name), &links, BASE);
    network.put(&good);
    let alone = network.explain(&query(name, ""), BASE + 5);
    assert_eq!(alone.because, "it is the only one under this name here");
    assert_eq!(
        alone.warnings,
        [
            "it is only 5 seconds old: a rival may be under way",
            "little work lies on top of it: whatever weight decides could be turned in minutes",
            "this network is quiet (fewer than 100 records in a day): work on it is no finality",
        ]
    );
    let squatter = record(&rival, RecordType::Datum, b"2", Some(name), &[good.hash()], BASE + 1);
    network.put(&squatter);
    let mut last = squatter.hash();
    for i in 0..120 {
        let made = record(&first, RecordType::Datum, &[i], None, &[last], BASE + 10);
        last = made.hash();
        network.put(&made);
    }
    let set = network.explain(&query(name, ""), BASE + 3_600);
    assert_eq!(set.because, "it is trusted more than the next (1.00 against 0.00): its owner was here first");
    assert!(set.warnings.is_empty(), "{:?}", set.warnings);
    let [winner, other] = &set.candidates[..] else { panic!("{set:#?}") };
    assert_eq!((winner.result.hash, winner.reputation, winner.age), (good.hash(), 63, 3_600));
    assert_eq!((other.result.hash, other.reputation, other.certified.as_str()), (squatter.hash(), 0, "no"));
    assert_eq!((winner.records_on_top, other.records_on_top), (121.0, 120.0));
    assert!((winner.weight_share + other.weight_share - 1.0).abs() < 1e-9);
    let set = network.explain(&query(name, "deterministic"), BASE + 3_600);
    assert!(
        set.because.starts_with("by weight alone, as every synchronized node sees it: it has more weight")
    );
    assert_eq!(set.warnings, ["weight can be bought with work: only this order says so on all nodes alike"]);
    // An oracle that saw it the other way.
    let mut comment = Vec::new();
    lf_proto::comment::Comment::collision(good.hash()).encode(&mut comment);
    network.put(&record(&oracle, RecordType::Commentary, &comment, None, &[last], BASE + 20));
    let asked = Query { oracles: vec![*oracle.public()], ..query(name, "") };
    let set = network.explain(&asked, BASE + 3_600);
    assert_eq!(
        set.because,
        "it is trusted as much as the next, but has more weight than the next, by less than 1 %"
    );
    assert_eq!(
        set.warnings,
        ["two are trusted equally, so weight decides: who wins may change", "1 of 1 oracles asked deny it"]
    );
    assert_eq!(set.candidates[0].denied_by, [*oracle.public()]);
}
