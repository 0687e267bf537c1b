//! The fast path against the simple one: many lives of a store whose chains grow, are copied, skip minutes, and of
//! which pulses come twice, late, early, shifted and forged.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use lf_proto::api::RecordJson;
use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::pulse::{PULSE_MINUTES_MAX, Pulse, th64_n};
use lf_proto::record::{RecordBuilder, RecordType};
use lf_store::storage::SimStorage;
use lf_store::{IndexPlace, Put, Store, StoreOptions};

use super::*;
use crate::core::NoCertificates;

const NOW: u64 = 1_700_000_000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

fn genesis(drift: u64) -> Genesis {
    let parameters = GenesisParameters {
        name: "pulses".into(),
        record_max_value_size: 1024,
        record_max_time_drift: drift,
        ..GenesisParameters::default()
    };
    let owner = OwnerSecret::from_seed(OwnerType::Ed25519, b"pulses");
    let json = parameters.to_json();
    let builder = RecordBuilder {
        record_type: RecordType::Genesis,
        value: json.as_bytes(),
        masking_key: Some(b""),
        selectors: &[],
        links: &[],
        timestamp: NOW - 1_000_000,
        with_pulse_token: false,
    };
    Genesis::parse(builder.build(&owner).unwrap().sign(&owner, None).as_bytes()).unwrap()
}

fn put(genesis: &Genesis, timestamp: u64, pulse_token: u64, n: u64) -> Put {
    let first = &genesis.records()[0];
    let record = RecordJson {
        record_type: RecordType::Datum.id(),
        value: n.to_be_bytes().as_slice().into(),
        links: vec![first.hash()],
        timestamp,
        pulse_token,
        ..RecordJson::from(first)
    };
    Put { record: record.to_record().unwrap(), selectors: Vec::new(), work_verified: false }
}

/// A chain from some late minute on.
#[derive(Clone, Copy)]
struct Made {
    timestamp: u64,
    last: u64,
    minutes: u32,
}

impl Made {
    fn value(&self, minutes: u32) -> u64 {
        th64_n(self.last, self.minutes - minutes)
    }

    fn pulse(&self, minutes: u32) -> Pulse {
        pulse(self.value(minutes.min(self.minutes)), minutes)
    }
}

fn pulse(value: u64, minutes: u32) -> Pulse {
    let number = u128::from(value) << 24 | u128::from(minutes);
    Pulse::from_bytes(&number.to_be_bytes()[5..]).unwrap()
}

/// One life; returns how many pulses were accepted.
fn live(seed: u64, drift: u64, mut known: KnownPulses) -> usize {
    let random = &mut Random(seed);
    let genesis = genesis(drift);
    let storage = Arc::new(SimStorage::new(seed));
    let options = StoreOptions::new(storage, IndexPlace::Memory, genesis.clone(), [1; 16]);
    let (mut store, _) = Store::open(options).unwrap();
    let parameters = store.reader().parameters();
    let rules = Rules {
        parameters: &parameters,
        genesis_owner: genesis.owner(),
        local_test: true,
        certificates: &NoCertificates,
    };
    let mut chains: Vec<Made> = Vec::new();
    let (mut now, mut accepted_in_all) = (NOW, 0);
    for round in 0..40 {
        let mut puts = Vec::new();
        for n in 0..random.below(6) {
            let timestamp = now + random.below(2 * drift + 200) - random.below(60 * 40);
            let last = random.next();
            // Most are chains of their own; some copy a token, or begin where another has shown its value.
            let token = match (random.below(6), chains.is_empty()) {
                (0, false) => chains[random.below(chains.len() as u64) as usize].value(0),
                (1, false) => {
                    let other = chains[random.below(chains.len() as u64) as usize];
                    other.value(random.below(u64::from(other.minutes)) as u32)
                }
                _ => {
                    let made = Made { timestamp, last, minutes: 150 };
                    chains.push(made);
                    made.value(0)
                }
            };
            puts.push(put(&genesis, timestamp, token, seed << 20 | round << 8 | n));
        }
        store.apply(&puts, &[]).unwrap();
        now += random.below(90);
        let mut pulses = Vec::new();
        for _ in 0..random.below(40) {
            let Some(made) = chains.get(random.below(chains.len() as u64 + 1) as usize) else { continue };
            let minutes =
                (now.saturating_sub(made.timestamp) / 60 + random.below(4)).saturating_sub(random.below(3));
            let minutes = (minutes as u32).clamp(1, 150);
            pulses.push(match random.below(6) {
                0 => pulse(random.next(), minutes),
                1 => pulse(made.value(minutes), minutes + 1),
                2 => pulse(made.value(minutes), minutes.saturating_sub(random.below(60) as u32).max(1)),
                _ => made.pulse(minutes),
            });
        }
        if random.below(10) == 0 {
            pulses.push(pulse(random.next(), PULSE_MINUTES_MAX));
        }
        let view = store.reader().view();
        let simple: Vec<Option<u64>> = pulses
            .iter()
            .map(|p| check(*p, &view, &rules, now, PULSE_MINUTES_MAX).unwrap().map(|a| a.token))
            .collect();
        let is_news = |a: &AcceptedPulse| {
            view.pulse(a.token).unwrap().is_none_or(|known| known.minutes() < a.pulse.minutes())
        };
        if random.below(4) == 0 {
            // Too few steps refuse some, and admit nothing else.
            let mut few = random.below(2_000);
            let some = check_all(&pulses, &mut known, &view, &rules, now, &mut few).unwrap();
            for (some, simple) in some.into_iter().zip(&simple) {
                assert!(
                    some.filter(is_news).is_none_or(|a| Some(a.token) == *simple),
                    "seed {seed}, round {round}"
                );
            }
        }
        let mut steps = u64::MAX;
        let accepted = check_all(&pulses, &mut known, &view, &rules, now, &mut steps).unwrap();
        let tokens: Vec<Option<u64>> = accepted.iter().map(|a| a.filter(is_news).map(|a| a.token)).collect();
        assert_eq!(tokens, simple, "seed {seed}, round {round}");
        drop(view);
        let accepted: Vec<AcceptedPulse> = accepted.into_iter().flatten().collect();
        let stored: Vec<(u64, Pulse)> = accepted.iter().map(|a| (a.token, a.pulse)).collect();
        let news = store.apply(&[], &stored).unwrap().pulses;
        // What is stored is not always noted, nor in order.
        let mut noted: Vec<AcceptedPulse> =
            accepted.iter().zip(&news).filter(|(_, n)| **n).map(|(a, _)| *a).collect();
        accepted_in_all += noted.len();
        match random.below(5) {
            0 => noted.clear(),
            1 => noted.reverse(),
            _ => {}
        }
        known.note(&noted);
    }
    accepted_in_all
}

#[test]
fn many_pulses_together_are_accepted_as_one_by_one() {
    let mut accepted = 0;
    for seed in 0..30 {
        for drift in [0, 5, 60, 1_000] {
            accepted += live(seed, drift, KnownPulses::default());
        }
    }
    assert!(accepted > 1_000, "{accepted}");
}

#[test]
fn with_little_memory_too() {
    let mut accepted = 0;
    for seed in 100..115 {
        for (chains, of_a_bucket) in [(0, 0), (1, 1), (5, 1), (12, 3), (12, 1000), (50, 2)] {
            accepted += live(seed, 60, KnownPulses::with_limits(chains, of_a_bucket));
        }
    }
    assert!(accepted > 1_000, "{accepted}");
}

#[test]
fn pulses_of_the_next_minute_cost_nothing_and_far_ones_their_steps() {
    let genesis = genesis(60);
    let options =
        StoreOptions::new(Arc::new(SimStorage::new(1)), IndexPlace::Memory, genesis.clone(), [1; 16]);
    let (mut store, _) = Store::open(options).unwrap();
    let parameters = store.reader().parameters();
    let rules = Rules {
        parameters: &parameters,
        genesis_owner: genesis.owner(),
        local_test: true,
        certificates: &NoCertificates,
    };
    let made = Made { timestamp: NOW, last: 7, minutes: 2_000 };
    store.apply(&[put(&genesis, NOW, made.value(0), 1)], &[]).unwrap();
    let view = store.reader().view();
    let mut known = KnownPulses::default();
    let ask = |minutes: u32, value: u64, steps: &mut u64, known: &mut KnownPulses| {
        let now = NOW + 60 * u64::from(minutes);
        let accepted = check_all(&[pulse(value, minutes)], known, &view, &rules, now, steps).unwrap();
        accepted.first().copied().flatten()
    };
    // Reading is paid for too, so nobody without steps makes us read.
    assert_eq!(ask(1, made.value(1), &mut 0, &mut known), None);
    let mut steps = 10_000;
    for minutes in 1..100 {
        let accepted = ask(minutes, made.value(minutes), &mut steps, &mut known).unwrap();
        known.note(&[accepted]);
        assert_eq!(ask(minutes, made.value(minutes), &mut steps, &mut known), None, "no news any more");
        if minutes == 1 {
            steps = 0;
        }
    }
    let mut steps = 10_000;
    assert_eq!(ask(1_000, 8, &mut steps, &mut known), None);
    assert_eq!(steps, 10_000 - (1_000 - 99));
    assert_eq!(ask(1_000, made.value(1_000), &mut 900, &mut known), None);
    let accepted = ask(1_000, made.value(1_000), &mut 901, &mut known).unwrap();
    assert_eq!((accepted.token, accepted.known), (made.value(0), made.value(99)));
    // What is outside the window costs nothing.
    let mut none = 0;
    let now = NOW + 60 * 1_002;
    let late =
        check_all(&[pulse(made.value(1_000), 1_000)], &mut known, &view, &rules, now, &mut none).unwrap();
    assert_eq!(late, [None]);
}

/// Others store pulses while a batch is on its far way, without the lock.
#[test]
fn what_is_renewed_meanwhile_is_found_all_the_same() {
    let genesis = genesis(60);
    let options =
        StoreOptions::new(Arc::new(SimStorage::new(1)), IndexPlace::Memory, genesis.clone(), [1; 16]);
    let (mut store, _) = Store::open(options).unwrap();
    let parameters = store.reader().parameters();
    let rules = Rules {
        parameters: &parameters,
        genesis_owner: genesis.owner(),
        local_test: true,
        certificates: &NoCertificates,
    };
    let made = Made { timestamp: NOW, last: 7, minutes: 1_000 };
    store.apply(&[put(&genesis, NOW, made.value(0), 1)], &[]).unwrap();
    let view = store.reader().view();
    let (mut known, mut steps, now) = (KnownPulses::default(), u64::MAX, NOW + 60 * 1_000);
    for (meanwhile, is_news) in [(999, true), (1_000, false)] {
        let mut batch = PulseBatch::new(&[made.pulse(1_000)], &rules, now);
        batch.near(&mut known, &view, &rules, &mut steps).unwrap();
        assert!(batch.has_far() && batch.far(&mut steps));
        let other = check_all(&[made.pulse(meanwhile)], &mut known, &view, &rules, now, &mut steps).unwrap();
        known.note(&[other[0].unwrap()]);
        batch.near(&mut known, &view, &rules, &mut steps).unwrap();
        while batch.far(&mut steps) {
            batch.near(&mut known, &view, &rules, &mut steps).unwrap();
        }
        let accepted = batch.take_accepted();
        assert_eq!(
            accepted.iter().map(|(i, a)| (*i, a.token)).collect::<Vec<_>>(),
            [(0, made.value(0))][..usize::from(is_news)]
        );
        known.clear();
    }
}
