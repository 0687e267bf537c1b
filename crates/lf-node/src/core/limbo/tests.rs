#![allow(clippy::unwrap_used)]
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::record::{RecordBuilder, RecordType};
use proptest::prelude::*;

use super::*;

fn record(owner: u8, number: u64, links: &[Hash]) -> Record {
    let owner = OwnerSecret::from_seed(OwnerType::Ed25519, &[owner]);
    let builder = RecordBuilder {
        record_type: RecordType::Datum,
        value: &[1; 10],
        masking_key: Some(b""),
        selectors: &[],
        links,
        timestamp: number,
        with_pulse_token: false,
    };
    builder.build(&owner).unwrap().sign(&owner, None)
}

fn waiting(source: u8, record: Record) -> Waiting {
    Waiting { since_secs: record.timestamp(), record, source: Source::Peer(PeerId([source; 32])) }
}

const SMALL: Bounds = Bounds { records: 16, bytes: 1 << 20, age_secs: 100 };

#[test]
fn a_flood_drives_out_nobodys_but_its_own() {
    let mut limbo = Limbo::new(SMALL);
    let honest: Vec<Record> = (0..4).map(|i| record(1, i, &[])).collect();
    for record in &honest {
        assert!(limbo.insert(waiting(1, record.clone())));
    }
    // Many peers that send as much as they can, each some and then more.
    for i in 0..200 {
        assert!(limbo.insert(waiting(2 + (i % 7) as u8, record(2, 100 + i, &[]))));
        assert!(limbo.len() <= SMALL.records);
    }
    let left = honest.iter().filter(|record| limbo.contains(&record.hash())).count();
    assert!(left >= 2, "{left}: sixteen places for eight");
    // One peer alone.
    let mut limbo = Limbo::new(SMALL);
    for record in &honest {
        limbo.insert(waiting(1, record.clone()));
    }
    for i in 0..200 {
        limbo.insert(waiting(2, record(2, 100 + i, &[])));
    }
    assert_eq!(limbo.len(), 8, "its part is a quarter");
    assert!(honest.iter().all(|record| limbo.contains(&record.hash())));
    assert!(limbo.contains(&record(2, 299, &[]).hash()), "the oldest went");
}

#[test]
fn bytes_are_bounded_too() {
    let one = record(1, 0, &[]).as_bytes().len();
    let mut limbo = Limbo::new(Bounds { records: 1_000, bytes: 8 * one + 7, age_secs: 1 });
    for i in 0..20 {
        limbo.insert(waiting(1, record(1, i, &[])));
    }
    assert_eq!((limbo.len(), limbo.bytes()), (2, 2 * one));
    let mut limbo = Limbo::new(Bounds { records: 1_000, bytes: one, age_secs: 1 });
    assert!(!limbo.insert(waiting(1, record(1, 1, &[]))), "it does not fit at all");
    assert!(limbo.is_empty());
}

#[test]
fn taken_by_owner_links_first_and_once() {
    let mut limbo = Limbo::new(Bounds::USUAL);
    let first = record(1, 10, &[]);
    let second = record(1, 5, &[first.hash()]);
    let third = record(1, 1, &[second.hash()]);
    for record in [&third, &second, &first, &record(2, 1, &[])] {
        assert!(limbo.insert(waiting(1, record.clone())));
        assert!(!limbo.insert(waiting(2, record.clone())), "it is here");
    }
    let hashes = limbo.of_owner(first.owner(), 10);
    assert_eq!(hashes, [third.hash(), second.hash(), first.hash()], "in order of arrival");
    let taken: Vec<Hash> = limbo.take(&hashes).iter().map(|w| w.record.hash()).collect();
    assert_eq!(taken, [first.hash(), second.hash(), third.hash()]);
    assert_eq!((limbo.len(), limbo.take(&hashes).len()), (1, 0));
}

#[test]
fn what_waited_too_long_goes() {
    let mut limbo = Limbo::new(SMALL);
    limbo.insert(waiting(1, record(1, 1_000, &[])));
    limbo.insert(waiting(1, record(1, 1_050, &[])));
    limbo.expire(1_100);
    assert_eq!(limbo.len(), 2);
    limbo.expire(1_101);
    assert_eq!(limbo.len(), 1);
    limbo.expire(0);
    assert_eq!(limbo.len(), 1, "a clock that went back");
}

#[test]
fn a_file_is_read_as_it_was_and_junk_ends_it() {
    let mut limbo = Limbo::new(Bounds::USUAL);
    for i in 0..3 {
        limbo.insert(waiting(i, record(i, u64::from(i), &[])));
    }
    limbo.insert(Waiting { source: Source::File, ..waiting(0, record(9, 9, &[])) });
    let bytes = to_bytes(&limbo);
    let all: Vec<Waiting> = limbo.iter().cloned().collect();
    assert_eq!(from_bytes(&bytes), all);
    assert_eq!(from_bytes(&[&bytes[..], &[7; 100]].concat()), all);
    assert_eq!(from_bytes(&bytes[..bytes.len() - 1]), all[..3]);
    assert!(from_bytes(b"junk").is_empty() && from_bytes(b"").is_empty());
}

proptest! {
    /// Against the plainest model: a list.
    #[test]
    fn counts_and_bounds_hold_whatever_happens(steps in prop::collection::vec((0u8..6, 0u64..40, 0u8..4), 0..120)) {
        let mut limbo = Limbo::new(SMALL);
        let mut model: Vec<Hash> = Vec::new();
        for (source, number, what) in steps {
            let record = record(number as u8 % 3, number, &[]);
            if what == 0 {
                let taken = limbo.take(&[record.hash()]);
                prop_assert_eq!(taken.len(), usize::from(model.contains(&record.hash())));
                model.retain(|hash| *hash != record.hash());
            } else {
                let new = !model.contains(&record.hash());
                prop_assert_eq!(limbo.insert(waiting(source, record.clone())), new);
                if new {
                    model.push(record.hash());
                }
                model.retain(|hash| limbo.contains(hash));
            }
            prop_assert_eq!(limbo.len(), model.len());
            prop_assert_eq!(limbo.iter().map(|w| w.record.hash()).collect::<Vec<_>>(), model.clone());
            prop_assert_eq!(limbo.iter().map(|w| w.record.as_bytes().len()).sum::<usize>(), limbo.bytes());
            prop_assert!(limbo.len() <= SMALL.records);
            let mut counts = [0; 6];
            for w in limbo.iter() {
                if let Source::Peer(peer) = w.source {
                    counts[usize::from(peer.0[0])] += 1;
                }
            }
            prop_assert!(counts.iter().all(|count| *count <= SMALL.records / 4));
            let owners: usize = (0..3)
                .map(|o| limbo.of_owner(OwnerSecret::from_seed(OwnerType::Ed25519, &[o]).public(), 99).len())
                .sum();
            prop_assert_eq!(owners, limbo.len());
        }
    }
}
