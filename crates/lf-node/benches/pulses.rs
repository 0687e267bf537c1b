//! Acceptance of pulses (NODE.md §7): valid ones whose minutes advance by one, forged ones, and both; alone, and with
//! what is accepted stored on disk.
//!
//! `cargo bench -p lf-node --bench pulses [-- --records N] [--directory DIR]`. Prints what one run gave; the best of
//! several rounds for rates.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use lf_node::core::pulse::{AcceptedPulse, KnownPulses, check, check_all};
use lf_node::core::{NoCertificates, Rules};
use lf_proto::api::RecordJson;
use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::pulse::{Pulse, th64_n_each};
use lf_proto::record::{RecordBuilder, RecordType};
use lf_store::{Answer, Put, Store, StoreError, StoreReader, StoreWriter, WriterThread, selftest};

/// When the first round of pulses is sent.
const NOW: u64 = 1_700_000_000;
/// Records were made over this long before.
const AGE_SECS: u64 = 7 * 86_400;
/// Pulses each record has to send.
const ROUNDS: u32 = 40;
/// Pulses checked together.
const BATCH: usize = 4_096;
/// What one source of forged pulses gains a second; see the node's allowances.
const FORGER_STEPS_A_SECOND: u64 = 4_204_800;
/// How many it sends a second.
const FORGED_A_SECOND: u64 = 100_000;

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn genesis() -> Genesis {
    let parameters = GenesisParameters {
        name: "pulses".into(),
        record_max_value_size: 1024,
        record_max_time_drift: 60,
        ..GenesisParameters::default()
    };
    let (owner, json) = (OwnerSecret::from_seed(OwnerType::Ed25519, b"pulses"), parameters.to_json());
    let builder = RecordBuilder {
        record_type: RecordType::Genesis,
        value: json.as_bytes(),
        masking_key: Some(b""),
        selectors: &[],
        links: &[],
        timestamp: NOW - 2 * AGE_SECS,
        with_pulse_token: false,
    };
    Genesis::parse(builder.build(&owner).unwrap().sign(&owner, None).as_bytes()).unwrap()
}

fn pulse(value: u64, minutes: u32) -> Pulse {
    let number = u128::from(value) << 24 | u128::from(minutes);
    Pulse::from_bytes(&number.to_be_bytes()[5..]).unwrap()
}

/// One of so many records is never pulsed: junk could be for it, and must be followed down to its token.
const IDLE: u64 = 10;

/// A record's chain: the minute that is known, and the pulses of the minutes after it.
struct Chain {
    minutes: u32,
    token: u64,
    values: Vec<u64>,
}

fn chains(records: u64) -> Vec<Chain> {
    let timestamp = |n: u64| NOW - 600 - n * AGE_SECS / records;
    let mut walked: Vec<(u64, u32)> = (0..records).map(|n| (mixed(n), 1)).collect();
    let mut chains: Vec<Chain> = (0..records)
        .map(|n| Chain { minutes: ((NOW - timestamp(n)) / 60) as u32 - 1, token: 0, values: vec![mixed(n)] })
        .collect();
    for _ in 0..ROUNDS {
        th64_n_each(&mut walked);
        for (walked, chain) in walked.iter_mut().zip(&mut chains) {
            chain.values.push(walked.0);
            walked.1 = 1;
        }
    }
    for (walked, chain) in walked.iter_mut().zip(&mut chains) {
        chain.values.reverse();
        walked.1 = chain.minutes;
    }
    th64_n_each(&mut walked);
    for (walked, chain) in walked.iter().zip(&mut chains) {
        chain.token = walked.0;
    }
    chains
}

fn put(genesis: &Genesis, timestamp: u64, token: u64, n: u64) -> Put {
    let first = &genesis.records()[0];
    let record = RecordJson {
        record_type: RecordType::Datum.id(),
        value: n.to_be_bytes().as_slice().into(),
        links: vec![first.hash()],
        timestamp,
        pulse_token: token,
        ..RecordJson::from(first)
    };
    Put { record: record.to_record().unwrap(), selectors: Vec::new(), work_verified: false }
}

/// A rate by the clock and, where the system tells (Linux), by the processor time of all threads of the process: on a
/// busy machine only that says what a core can do.
fn figure(name: &str, count: usize, spent: Spent) {
    let rate = |seconds: f64| count as f64 / seconds;
    let each = spent.processor / count as f64 * 1e6;
    println!(
        "{name:<60} {:>9.0} /s {:>9.0} /s of a core {each:>8.2} µs each",
        rate(spent.clock),
        rate(spent.processor)
    );
}

/// Seconds.
#[derive(Clone, Copy)]
struct Spent {
    clock: f64,
    processor: f64,
}

impl Spent {
    const MOST: Spent = Spent { clock: f64::MAX, processor: f64::MAX };

    fn min(self, other: Spent) -> Spent {
        Spent { clock: self.clock.min(other.clock), processor: self.processor.min(other.processor) }
    }
}

struct Timer(Instant, f64);

impl Timer {
    fn start() -> Self {
        Timer(Instant::now(), processor_seconds())
    }

    fn spent(&self) -> Spent {
        Spent { clock: self.0.elapsed().as_secs_f64(), processor: processor_seconds() - self.1 }
    }
}

fn processor_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanos = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    nanos.sum::<u64>() as f64 / 1e9
}

struct Bench<'a> {
    reader: StoreReader,
    writer: StoreWriter,
    rules: Rules<'a>,
    known: KnownPulses,
    chains: Vec<Chain>,
    round: usize,
    forged: u64,
}

impl Bench<'_> {
    fn now(&self) -> u64 {
        NOW + 60 * self.round as u64
    }

    /// The pulses of the next minute, one of each record.
    fn next_round(&mut self) -> Vec<Pulse> {
        self.round += 1;
        self.chains.iter().map(|c| pulse(c.values[self.round], c.minutes + self.round as u32)).collect()
    }

    /// Pulses that belong to nothing, of minutes at which there are records.
    fn forge(&mut self, count: usize) -> Vec<Pulse> {
        let first = self.forged;
        self.forged += count as u64;
        let one = |n: u64| {
            let record = &self.chains[(mixed(n) % self.chains.len() as u64) as usize];
            pulse(mixed(!n), record.minutes + self.round as u32)
        };
        (first..self.forged).map(one).collect()
    }

    fn check(&mut self, pulses: &[Pulse], steps: &mut u64) -> Vec<AcceptedPulse> {
        let (view, now) = (self.reader.view(), self.now());
        let accepted = check_all(pulses, &mut self.known, &view, &self.rules, now, steps).unwrap();
        accepted.into_iter().flatten().collect()
    }

    /// Valid pulses in batches, with `forged_share` forged ones to each, from sources that pay for themselves; returns
    /// what was spent. Does what `accepted` says with those that are accepted.
    fn rounds(
        &mut self,
        forged_share: f64,
        accepted: &mut dyn FnMut(&mut Self, Vec<AcceptedPulse>),
    ) -> Spent {
        let valid = self.next_round();
        let forged = self.forge((valid.len() as f64 * forged_share) as usize);
        let forged_batch = ((BATCH as f64 * forged_share) as usize).max(1);
        let (mut from_forger, mut count) = (forged.chunks(forged_batch), 0);
        let mut forger_steps = 0;
        let start = Timer::start();
        for batch in valid.chunks(BATCH) {
            if let Some(forged) = from_forger.next() {
                forger_steps += FORGER_STEPS_A_SECOND * forged.len() as u64 / FORGED_A_SECOND;
                assert!(self.check(forged, &mut forger_steps).is_empty());
            }
            let mut steps = 50_000_000;
            let good = self.check(batch, &mut steps);
            count += good.len();
            accepted(self, good);
        }
        assert_eq!(count, valid.len());
        start.spent()
    }
}

type Stored = (Vec<AcceptedPulse>, Result<Answer, StoreError>);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| arguments.iter().position(|a| a == name).and_then(|i| arguments.get(i + 1));
    let records: u64 = value("--records").map_or(100_000, |n| n.parse().unwrap());
    let place = value("--directory").map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(place).unwrap();
    let genesis = genesis();
    let options = selftest::options(directory.path(), &genesis).unwrap();
    let (mut store, _) = Store::open(options).unwrap();
    let start = Instant::now();
    let chains = chains(records);
    eprintln!(
        "{records} chains, and {} records never pulsed, made in {:.1} s",
        records / IDLE,
        start.elapsed().as_secs_f64()
    );
    let start = Instant::now();
    let timestamp = |c: &Chain| NOW - 60 * (u64::from(c.minutes) + 1);
    for (chains, n) in chains.chunks(2_000).zip((0..).step_by(2_000)) {
        let made = chains.iter().zip(n..);
        let idle = made.clone().filter(|(_, n)| n % IDLE == 0).map(|(c, n)| (c, !n, mixed(n ^ 1 << 50)));
        let puts = made.map(|(c, n)| (c, n, c.token)).chain(idle);
        let puts: Vec<Put> = puts.map(|(c, n, token)| put(&genesis, timestamp(c), token, n)).collect();
        // What is known is the minute before.
        let pulses: Vec<(u64, Pulse)> =
            chains.iter().map(|c| (c.token, pulse(c.values[0], c.minutes))).collect();
        store.apply(&puts, &pulses).unwrap();
    }
    eprintln!("stored in {:.1} s", start.elapsed().as_secs_f64());
    let reader = store.reader();
    let parameters = reader.parameters();
    let owner = reader.genesis_owner();
    let rules = Rules {
        parameters: &parameters,
        genesis_owner: &owner,
        local_test: true,
        certificates: &NoCertificates,
    };
    let thread = WriterThread::start(store, |_| {}).unwrap();
    let writer = thread.writer();
    let mut bench =
        Bench { reader, writer, rules, known: KnownPulses::default(), chains, round: 0, forged: 0 };
    let n = records as usize;

    let valid = bench.next_round();
    bench.round -= 1;
    let (view, now) = (bench.reader.view(), bench.now() + 60);
    let some = 1_000.min(n);
    let one_by_one = |pulses: &[Pulse]| {
        let start = Timer::start();
        let good = pulses
            .iter()
            .filter(|p| check(**p, &view, &bench.rules, now, u32::MAX).unwrap().is_some())
            .count();
        (good, start.spent())
    };
    let (good, seconds) = one_by_one(&valid[..some]);
    assert_eq!(good, some);
    figure("one by one, without memory: valid", some, seconds);
    drop(view);

    let mut note = |bench: &mut Bench<'_>, good: Vec<AcceptedPulse>| bench.known.note(&good);
    figure("valid, the first time (chains are loaded)", n, bench.rounds(0.0, &mut note));
    let best = (0..5).map(|_| bench.rounds(0.0, &mut note)).fold(Spent::MOST, Spent::min);
    figure("valid: check and note", n, best);
    let mut best = Spent::MOST;
    for _ in 0..5 {
        bench.round += 1;
        let (forged, start) = (bench.forge(n), Timer::start());
        for batch in forged.chunks(BATCH) {
            let mut steps = FORGER_STEPS_A_SECOND * batch.len() as u64 / FORGED_A_SECOND;
            assert!(bench.check(batch, &mut steps).is_empty());
        }
        best = best.min(start.spent());
        bench.round -= 1;
    }
    figure("forged, within an allowance", n, best);
    bench.round += 1;
    let (forged, start) = (bench.forge(n), Timer::start());
    for batch in forged.chunks(BATCH) {
        assert!(bench.check(batch, &mut u64::MAX.clone()).is_empty());
    }
    figure("forged, whatever it costs", n, start.spent());
    bench.round -= 1;
    let best = (0..5).map(|_| bench.rounds(0.5, &mut note)).fold(Spent::MOST, Spent::min);
    figure("two valid to one forged: valid ones", n, best);
    figure("  all", n + n / 2, best);

    // Stored while the next are checked, as a node does; noted when they are durable.
    let (sender, receiver) = channel::<Stored>();
    let settle = |known: &mut KnownPulses, receiver: &Receiver<Stored>, waiting: &mut usize, left: usize| {
        while *waiting > left {
            let (good, answer) = receiver.recv().unwrap();
            assert!(answer.unwrap().pulses.iter().all(|news| *news));
            known.note(&good);
            *waiting -= 1;
        }
    };
    for share in [0.0, 0.5] {
        let mut best = Spent::MOST;
        for _ in 0..5 {
            let mut waiting = 0;
            let start = Timer::start();
            bench.rounds(share, &mut |bench, good| {
                let pulses = good.iter().map(|a| (a.token, a.pulse)).collect();
                let sender = sender.clone();
                bench.writer.submit(Vec::new(), pulses, move |answer| sender.send((good, answer)).unwrap());
                waiting += 1;
                settle(&mut bench.known, &receiver, &mut waiting, 8);
            });
            settle(&mut bench.known, &receiver, &mut waiting, 0);
            best = best.min(start.spent());
        }
        let name = if share == 0.0 {
            "valid: check and store"
        } else {
            "two valid to one forged: check and store, valid"
        };
        figure(name, n, best);
    }
    let best = (0..3).map(|_| {
        let pulses: Vec<(u64, Pulse)> =
            bench.next_round().into_iter().zip(&bench.chains).map(|(p, c)| (c.token, p)).collect();
        let start = Timer::start();
        for batch in pulses.chunks(2 * BATCH) {
            assert!(bench.writer.put(Vec::new(), batch.to_vec()).unwrap().pulses.iter().all(|news| *news));
        }
        start.spent()
    });
    figure("store alone, one batch of 8192 after the other", n, best.fold(Spent::MOST, Spent::min));
    thread.stop().unwrap();
}
