//! The log against a simulated disk that fails, fills up and loses power at every single operation.
//!
//! Longer runs: `LF_CRASH_SEEDS=1000 cargo test -p lf-store --release --test log_crash -- --nocapture` (seeds for each
//! operation number; 12 if not set).
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use lf_store::log::{
    Damage, DamageKind, Entry, EntryKind, Log, LogError, LogOptions, LogPosition, OpenReport,
};
use lf_store::storage::{Fault, FaultEffect, Operation, SimStorage, Storage};

/// A small deterministic generator (xorshift*), so that every failure repeats from its seed.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }
}

fn options(segment_bytes_max: u64) -> LogOptions {
    LogOptions { segment_bytes_max, ..LogOptions::new([3; 16]) }
}

fn open(disk: &SimStorage, options: LogOptions) -> (Log, OpenReport) {
    Log::open(Arc::new(disk.clone()) as Arc<dyn Storage>, options).unwrap()
}

fn entry(random: &mut Random) -> Entry {
    let kind = EntryKind::from(random.below(5) as u8);
    // Mostly small, some longer than sectors, some longer than segments; bytes that imitate the log's own.
    let length = match random.below(10) {
        0 => 0,
        1 => random.below(6000),
        2 => 500 + random.below(30),
        _ => random.below(120),
    };
    let pattern = [0xf7, b'L', b'F', 0xe1, 1, 0, 1, 0, 4, 0, 0, 0, random.below(256) as u8, 0];
    let payload =
        (0..length as usize).map(|i| if length % 3 == 0 { pattern[i % 14] } else { random.below(256) as u8 });
    let payload = payload.collect();
    Entry { kind, flags: random.below(256) as u8, payload }
}

/// What must be, may be and must not be in the log.
#[derive(Default, Clone)]
struct Model {
    /// Acknowledged.
    durable: Vec<(LogPosition, Entry)>,
    /// Of the commit that failed or was interrupted.
    doubtful: Vec<(LogPosition, Entry)>,
    /// Segment headers that an interrupted commit left torn before entries that did survive.
    headers: Vec<LogPosition>,
}

impl Model {
    /// Appends and commits some entries; stops at the first error.
    fn work(&mut self, log: &mut Log, random: &mut Random, commits: u64) -> Result<(), LogError> {
        for _ in 0..commits {
            self.doubtful.clear();
            for _ in 0..1 + random.below(6) {
                let entry = entry(random);
                let position = log.append(entry.kind, entry.flags, &entry.payload)?;
                self.doubtful.push((position, entry));
            }
            let end = log.commit()?;
            assert_eq!(end, log.durable_end());
            let last = self.doubtful.last().unwrap();
            assert_eq!(end.0, last.0.0 + last.1.encoded_bytes());
            self.durable.append(&mut self.doubtful);
        }
        Ok(())
    }

    /// Everything acknowledged is there; what else is there was appended, in order, and nothing is out of place.
    /// Then takes what is there for the truth, as a user of the log would.
    fn verify_and_adopt(&mut self, log: &Log, report: &OpenReport, context: &str) {
        let reader = log.reader();
        let (mut found, mut damages) = (Vec::new(), Vec::new());
        for step in reader.scan(LogPosition(0)) {
            match step {
                Ok(pair) => found.push(pair),
                Err(damage) => damages.push(damage),
            }
        }
        assert!(found.len() >= self.durable.len(), "{context}: acknowledged entries are missing");
        assert!(found[..self.durable.len()] == self.durable, "{context}: acknowledged entries differ");
        let extra = &found[self.durable.len()..];
        let mut expected = self.doubtful.iter();
        for pair in extra {
            assert!(expected.any(|e| e == pair), "{context}: invented at {}", pair.0);
        }
        let prefix = extra.iter().zip(&self.doubtful).all(|(a, b)| a == b);
        let durable_end = self.durable.last().map_or(0, |(p, e)| p.0 + e.encoded_bytes());
        for damage in &damages {
            // Only a commit whose sectors came to the disk out of order may leave holes, and only there.
            if damage.kind == DamageKind::SegmentHeader && damage.from.0 >= durable_end {
                self.headers.push(damage.from);
            }
            let known_header =
                damage.kind == DamageKind::SegmentHeader && self.headers.contains(&damage.from);
            assert!(known_header || damage.kind == DamageKind::Unfinished, "{context}: {damage}");
        }
        let hole = |d: &Damage| d.kind == DamageKind::Unfinished && d.from.0 >= durable_end;
        assert_eq!(!prefix, damages.iter().any(hole), "{context}: a hole must be reported, and nothing else");
        assert_eq!(report.end, reader.end(), "{context}");
        for (position, entry) in &found {
            assert!(reader.read(*position).unwrap() == *entry, "{context}");
        }
        assert!(matches!(reader.read(reader.end()), Err(LogError::BeyondEnd { .. })));
        self.durable = found;
        self.doubtful.clear();
    }
}

/// Opens the log, works, and is interrupted by the fault; whatever error comes is the end of it.
fn run_into_fault(disk: &SimStorage, options: &LogOptions, model: &mut Model, random: &mut Random) -> bool {
    let Ok((mut log, _)) = Log::open(Arc::new(disk.clone()), options.clone()) else { return false };
    match model.work(&mut log, random, 6) {
        Ok(()) => true,
        Err(error) => {
            if log.is_poisoned() && !disk.is_dead() {
                assert!(matches!(log.commit(), Err(LogError::Poisoned(_))), "after {error}");
                assert!(matches!(log.append(EntryKind::Record, 0, b""), Err(LogError::Poisoned(_))));
            }
            false
        }
    }
}

const EVERY_OPERATION: [Operation; 13] = [
    Operation::CreateDirectory,
    Operation::List,
    Operation::Create,
    Operation::Open,
    Operation::Rename,
    Operation::Remove,
    Operation::SyncDirectory,
    Operation::FreeBytes,
    Operation::Length,
    Operation::Read,
    Operation::Write,
    Operation::Truncate,
    Operation::Sync,
];

/// Power cut at every operation number in turn, several times each with different survivors, each time followed by
/// more work, another cut at a random place and a last look.
#[test]
fn power_cut_at_every_operation() {
    let seeds: u64 = std::env::var("LF_CRASH_SEEDS").map_or(12, |s| s.parse().unwrap());
    let (mut cycles, mut torn, mut holes) = (0u32, 0u32, 0u32);
    for segment_bytes in [600, 5000, 1 << 20] {
        for n in 0.. {
            let mut finished = false;
            for seed in 0..seeds {
                let context = format!("segments of {segment_bytes}, operation {n}, seed {seed}");
                let mut random = Random::new(n * 1000 + seed);
                let mut disk = SimStorage::new(seed);
                let mut model = Model::default();
                let options = options(segment_bytes);
                disk.inject(Fault { operation: None, after: n, times: 1, effect: FaultEffect::PowerCut });
                finished |= run_into_fault(&disk, &options, &mut model, &mut random);
                for round in 0..3 {
                    cycles += 1;
                    disk = disk.crash(seed * 31 + round);
                    disk.set_short_reads(seed % 2 == 0);
                    let (log, report) = open(&disk, options.clone());
                    torn += u32::from(report.torn_tail.is_some() || !report.torn_segments.is_empty());
                    holes += u32::from(!report.damages.is_empty());
                    model.verify_and_adopt(&log, &report, &context);
                    drop(log);
                    let after = random.below(60);
                    disk.inject(Fault { operation: None, after, times: 1, effect: FaultEffect::PowerCut });
                    run_into_fault(&disk, &options, &mut model, &mut random);
                }
            }
            if finished {
                break;
            }
        }
    }
    println!(
        "{cycles} power cuts: {torn} torn ends, {holes} with holes in the interrupted commit, nothing lost"
    );
    assert!(cycles > 1000 && torn > 100 && holes > 0);
}

/// The process is killed at every operation, the machine goes on; later the power goes too.
#[test]
fn kill_at_every_operation() {
    let seeds: u64 = std::env::var("LF_CRASH_SEEDS").map_or(12, |s| s.parse().unwrap());
    let mut cycles = 0;
    for n in 0.. {
        let mut finished = false;
        for seed in 0..seeds / 2 {
            let mut random = Random::new(n * 77 + seed);
            let disk = SimStorage::new(seed);
            let mut model = Model::default();
            disk.inject(Fault { operation: None, after: n, times: 1, effect: FaultEffect::PowerCut });
            finished |= run_into_fault(&disk, &options(1500), &mut model, &mut random);
            let disk = disk.kill();
            let (mut log, report) = open(&disk, options(1500));
            model.verify_and_adopt(&log, &report, &format!("kill at {n}, seed {seed}"));
            if seed % 2 == 0 {
                model.work(&mut log, &mut random, 2).unwrap();
            }
            // What the killed process had written and the opening reported is as durable as the rest.
            let (log, report) = open(&disk.crash(seed), options(1500));
            model.verify_and_adopt(&log, &report, &format!("power cut after kill at {n}, seed {seed}"));
            cycles += 1;
        }
        if finished {
            break;
        }
    }
    assert!(cycles > 100, "{cycles}");
}

/// Every kind of operation fails once, or from then on, at every place; then the log is opened again, or the power
/// goes first.
#[test]
fn errors_of_every_kind_at_every_place() {
    let (mut cycles, mut went_on, mut poisoned) = (0u32, 0u32, 0u32);
    for operation in EVERY_OPERATION {
        for after in 0..60 {
            for (times, power_cut) in [(1, false), (1, true), (2, true), (u64::MAX, false), (u64::MAX, true)]
            {
                let seed = after * 10 + times % 7 + u64::from(power_cut);
                let context =
                    format!("{operation:?} fails after {after}, {times} times, power cut: {power_cut}");
                let mut random = Random::new(seed);
                let mut disk = SimStorage::new(seed);
                let mut model = Model::default();
                let kind = if seed % 2 == 0 { io::ErrorKind::Other } else { io::ErrorKind::StorageFull };
                disk.inject(Fault {
                    operation: Some(operation),
                    after,
                    times,
                    effect: FaultEffect::Error(kind),
                });
                if let Ok((mut log, _)) = Log::open(Arc::new(disk.clone()), options(900)) {
                    for _ in 0..4 {
                        match model.work(&mut log, &mut random, 3) {
                            Ok(()) => {}
                            Err(_) if log.is_poisoned() => {
                                poisoned += 1;
                                assert!(log.commit().is_err());
                                break;
                            }
                            Err(_) => {
                                // Taken back: the entries are gone, readers never saw them, and it goes on.
                                went_on += 1;
                                model.doubtful.clear();
                                let end = model
                                    .durable
                                    .last()
                                    .map_or(LogPosition(0), |(p, e)| LogPosition(p.0 + e.encoded_bytes()));
                                assert!(log.durable_end() == end, "{context}");
                            }
                        }
                    }
                }
                disk.clear_faults();
                if power_cut {
                    disk = disk.crash(seed);
                }
                let (mut log, report) = open(&disk, options(900));
                model.verify_and_adopt(&log, &report, &context);
                model.work(&mut log, &mut random, 3).unwrap();
                let (log, report) = open(&disk.crash(seed), options(900));
                model.verify_and_adopt(&log, &report, &context);
                assert!(report.torn_tail.is_none(), "{context}: every commit had returned: {report:?}");
                cycles += 1;
            }
        }
    }
    println!("{cycles} runs with errors: the log went on {went_on} times, was poisoned {poisoned} times");
    assert!(went_on > 100 && poisoned > 100, "{went_on} {poisoned}");
}

#[test]
fn a_full_disk_stops_writing_and_space_lets_it_go_on() {
    for segment_bytes in [700, 1 << 20] {
        for capacity in (200..4000).step_by(37) {
            let disk = SimStorage::new(capacity);
            let mut random = Random::new(capacity);
            let mut model = Model::default();
            let (mut log, _) = open(&disk, options(segment_bytes));
            disk.set_capacity_bytes(Some(capacity));
            let error = model.work(&mut log, &mut random, 1000).unwrap_err();
            assert!(error.is_storage_full() && !log.is_poisoned(), "{error}");
            assert!(model.work(&mut log, &mut random, 1000).unwrap_err().is_storage_full());
            // Reading goes on, of exactly what was acknowledged.
            let found: Vec<_> = log.reader().scan(LogPosition(0)).map(Result::unwrap).collect();
            assert!(found == model.durable);
            assert!(disk.used_bytes() <= log.durable_end().0 + 48, "what did not fit is taken back");
            // A restart on the full disk opens, too.
            let crashed = disk.crash(capacity);
            let (mut log, report) = open(&crashed, options(segment_bytes));
            model.doubtful.clear();
            assert!(report.is_clean(), "{report:?}");
            crashed.set_capacity_bytes(None);
            model.work(&mut log, &mut random, 20).unwrap();
            let (log, report) = open(&crashed.crash(1), options(segment_bytes));
            model.verify_and_adopt(&log, &report, "space is back");
            assert!(report.is_clean(), "{report:?}");
        }
    }
}

/// A log of a few segments on a fresh disk, with what is in it.
fn filled(seed: u64, segment_bytes: u64, commits: u64) -> (SimStorage, Vec<(LogPosition, Entry)>) {
    let disk = SimStorage::new(seed);
    let mut model = Model::default();
    let (mut log, _) = open(&disk, options(segment_bytes));
    model.work(&mut log, &mut Random::new(seed), commits).unwrap();
    (disk, model.durable)
}

fn segments(disk: &SimStorage) -> BTreeMap<u64, String> {
    let names = disk.list("log").unwrap();
    names.iter().filter_map(|n| Some((n.strip_suffix(".lfl")?.parse().ok()?, format!("log/{n}")))).collect()
}

/// One flipped bit, at every byte of every file: exactly the entry it hits is lost, it is reported with its position,
/// and the file's bytes are all still there.
#[test]
fn a_flipped_bit_costs_one_entry_and_is_reported() {
    let (disk, entries) = filled(5, 3000, 12);
    let files = segments(&disk);
    let last_start = *files.keys().last().unwrap();
    let mut flips = 0;
    for (start, path) in
        files.iter().map(|(s, p)| (*s, p.clone())).chain([(u64::MAX, "log/log.id".to_owned())])
    {
        let original = disk.content(&path).unwrap();
        for offset in 0..original.len() as u64 {
            let copy = disk.crash(0);
            assert!(copy.flip_bit(&path, offset, (offset % 8) as u8));
            let (mut log, report) = open(&copy, options(3000));
            let context = format!("{path} byte {offset}");
            let position = start.saturating_add(offset);
            let hit = entries.iter().position(|(p, e)| p.0 <= position && position < p.0 + e.encoded_bytes());
            let expected: Vec<_> =
                entries.iter().enumerate().filter(|(i, _)| Some(*i) != hit).map(|(_, e)| e.clone()).collect();
            let check = log.reader().check();
            let found: Vec<_> = log.reader().scan(LogPosition(0)).filter_map(Result::ok).collect();
            assert!(found == expected, "{context}");
            assert_eq!(check.entries, expected.len() as u64);
            match hit {
                Some(i) if i == entries.len() - 1 => {
                    // The very last entry: like a torn write, but its bytes are kept.
                    let torn = report.torn_tail.unwrap();
                    let kept = copy.content(&format!("log/{}", torn.kept_as.unwrap())).unwrap();
                    assert_eq!(
                        (torn.from, torn.bytes),
                        (entries[i].0, entries[i].1.encoded_bytes()),
                        "{context}"
                    );
                    let mut flipped = original[(torn.from.0 - start) as usize..].to_vec();
                    flipped[(position - torn.from.0) as usize] ^= 1 << (offset % 8);
                    assert_eq!(kept, flipped, "{context}");
                    assert_eq!(check.damages_count, 0);
                }
                Some(i) => {
                    assert_eq!(check.damages.len(), 1, "{context}: {:?}", check.damages);
                    let damage = &check.damages[0];
                    assert_eq!(
                        (damage.from, damage.to.0),
                        (entries[i].0, entries[i].0.0 + entries[i].1.encoded_bytes())
                    );
                    assert!(matches!(damage.kind, DamageKind::Corrupt | DamageKind::Unfinished));
                    assert_eq!(format!("log/{}", damage.segment), path);
                    assert_eq!(
                        report.damages == check.damages,
                        start == last_start,
                        "the last segment is looked at"
                    );
                    assert!(matches!(log.reader().read(entries[i].0), Err(LogError::NoEntry(_))));
                    assert_eq!(copy.content(&path).unwrap().len(), original.len());
                }
                None if start == u64::MAX => {
                    assert!(report.identity_restored && check.damages_count == 0);
                    assert_eq!(copy.content(&path).unwrap(), original);
                }
                None => {
                    assert_eq!(report.damages, check.damages, "{context}");
                    assert_eq!(check.damages[0].kind, DamageKind::SegmentHeader);
                }
            }
            // It goes on, and what is written later is not mistaken for anything else.
            let position = log.append(EntryKind::Event, 9, b"later").unwrap();
            log.commit().unwrap();
            assert_eq!(log.reader().read(position).unwrap().payload, b"later");
            flips += 1;
        }
    }
    println!("{flips} flipped bits, each cost at most the one entry it hit");
}

#[test]
fn damage_in_acknowledged_commits_is_not_called_unfinished() {
    let disk = SimStorage::new(1);
    let (mut log, _) = open(&disk, options(1 << 20));
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for commit in 0..3u8 {
        first.push(log.append(EntryKind::Record, 0, &[commit; 50]).unwrap());
        second.push(log.append(EntryKind::Record, 0, &[commit; 60]).unwrap());
        log.append(EntryKind::Record, 0, &[commit; 70]).unwrap();
        log.commit().unwrap();
    }
    let path = segments(&disk)[&0].clone();
    disk.flip_bit(&path, first[1].0 + 20, 1);
    disk.flip_bit(&path, second[2].0 + 20, 1);
    for _ in 0..3 {
        let (mut log, report) = open(&disk, options(1 << 20));
        let kinds = |d: &[lf_store::log::Damage]| d.iter().map(|d| (d.from, d.kind)).collect::<Vec<_>>();
        // The second commit was followed by a third, so it was durable. Nothing followed the third before the log was
        // opened again, and nothing written since changes that.
        let expected = [(first[1], DamageKind::Corrupt), (second[2], DamageKind::Unfinished)];
        assert_eq!(kinds(&report.damages), expected);
        assert_eq!(kinds(&log.reader().check().damages), expected);
        log.append(EntryKind::Record, 0, b"next").unwrap();
        log.commit().unwrap();
        assert_eq!(kinds(&log.reader().check().damages), expected);
    }
}

#[test]
fn missing_foreign_and_unreadable_parts_are_reported_and_the_rest_is_read() {
    let (disk, entries) = filled(9, 2000, 30);
    let files: Vec<(u64, String)> = segments(&disk).into_iter().collect();
    assert!(files.len() > 4);
    let within = |from: u64, to: u64| move |e: &&(LogPosition, Entry)| !(from <= e.0.0 && e.0.0 < to);

    let copy = disk.crash(0);
    let (from, to) = (files[2].0, files[3].0);
    copy.remove(&files[2].1).unwrap();
    let (log, report) = open(&copy, options(2000));
    assert_eq!(report.damages.len(), 1);
    assert_eq!((report.damages[0].from.0, report.damages[0].to.0), (from, to));
    assert_eq!(report.damages[0].kind, DamageKind::SegmentMissing);
    assert_eq!(format!("log/{}", report.damages[0].segment), files[2].1);
    assert_eq!(log.reader().check().damages, report.damages);
    let found: Vec<_> = log.reader().scan(LogPosition(0)).filter_map(Result::ok).collect();
    assert!(found.iter().eq(entries.iter().filter(within(from, to))));

    let copy = disk.crash(0);
    copy.remove(&files[0].1).unwrap();
    assert_eq!(open(&copy, options(2000)).1.damages[0].kind, DamageKind::SegmentMissing);

    // A segment of another log under the right name.
    let copy = disk.crash(0);
    let other = SimStorage::new(1);
    let (mut log, _) = open(&other, LogOptions { log_id: [8; 16], ..options(2000) });
    log.append(EntryKind::Record, 0, b"strange").unwrap();
    log.commit().unwrap();
    copy.set_content(&files[0].1, other.content(&files[0].1).unwrap());
    let (log, report) = open(&copy, options(2000));
    assert_eq!(report.damages[0].kind, DamageKind::SegmentForeign);
    let found: Vec<_> = log.reader().scan(LogPosition(0)).filter_map(Result::ok).collect();
    assert!(found.iter().eq(entries.iter().filter(within(0, files[1].0))));

    // Bad sectors: in the middle, and where the log ends. Nothing is cut off that could not be looked at.
    for index in [1, files.len() - 1] {
        let copy = disk.crash(0);
        let length = copy.content(&files[index].1).unwrap().len() as u64;
        copy.set_unreadable(&files[index].1, length - 10..length - 5);
        let (mut log, report) = open(&copy, options(2000));
        let check = log.reader().check();
        assert_eq!(check.damages.last().unwrap().kind, DamageKind::Unreadable);
        assert_eq!(report.damages.is_empty(), index == 1);
        let position = log.append(EntryKind::Record, 0, b"goes on").unwrap();
        log.commit().unwrap();
        assert_eq!(log.reader().read(position).unwrap().payload, b"goes on");
        assert_eq!(copy.content(&files[index].1).unwrap(), disk.crash(0).content(&files[index].1).unwrap());
        let (log, _) = open(&copy.crash(0), options(2000));
        let found: Vec<_> = log.reader().scan(LogPosition(0)).filter_map(Result::ok).collect();
        assert_eq!(found.len(), entries.len() + 1, "with the sectors back, all is back");
    }
}

#[test]
fn a_later_format_version_is_refused_and_untouched() {
    let (disk, _) = filled(2, 2000, 5);
    let path = segments(&disk)[&0].clone();
    let mut content = disk.content(&path).unwrap();
    content[8] = 2;
    let crc = crc32fast::hash(&content[..44]);
    content[44..48].copy_from_slice(&crc.to_le_bytes());
    disk.set_content(&path, content.clone());
    let error = Log::open(Arc::new(disk.clone()), options(2000)).unwrap_err();
    assert!(matches!(error, LogError::UnsupportedVersion { version: 2, .. }), "{error}");
    assert_eq!(disk.content(&path).unwrap(), content);
}

#[test]
fn a_known_good_position_saves_reading_and_a_wrong_one_costs_nothing() {
    let (disk, entries) = filled(4, 1 << 20, 200);
    let all = open(&disk, options(1 << 20)).1;
    assert_eq!(all.entries_scanned, entries.len() as u64);
    let with = |scan_from| LogOptions { scan_from: LogPosition(scan_from), ..options(1 << 20) };
    let from = entries[entries.len() - 5].0.0;
    assert_eq!(open(&disk, with(from)).1.entries_scanned, 5);
    let (_, report) = open(&disk, with(all.end.0));
    assert!(report.is_clean() && report.entries_scanned == 0 && report.end == all.end);
    // Not where an entry starts, also in the last one; and behind the end.
    let last = entries.last().unwrap().0.0;
    for wrong in (last + 1..all.end.0).chain([1, 50, 777]) {
        let (_, report) = open(&disk, with(wrong));
        assert!(
            report.torn_tail.is_none()
                && report.end == all.end
                && report.entries_scanned == all.entries_scanned
        );
    }
    let (_, report) = open(&disk, with(all.end.0 + 1));
    assert!(report.scan_from_beyond_end && report.end == all.end);
    // A scan may start at any entry.
    let (log, _) = open(&disk, options(1 << 20));
    for (i, (position, _)) in entries.iter().enumerate().step_by(17) {
        let found: Vec<_> = log.reader().scan(*position).map(Result::unwrap).collect();
        assert!(found == entries[i..]);
    }
}

#[test]
fn a_payload_that_imitates_an_entry_is_never_taken_for_one() {
    let disk = SimStorage::new(1);
    let (mut log, _) = open(&disk, options(1 << 20));
    log.append(EntryKind::Record, 0, b"stolen").unwrap();
    log.commit().unwrap();
    let path = segments(&disk)[&0].clone();
    // The bytes of a real entry of this very log, as a payload; and then the entry around them is damaged.
    let real = disk.content(&path).unwrap()[48..].to_vec();
    let around = log.append(EntryKind::Record, 0, &real).unwrap();
    log.commit().unwrap();
    let after = log.append(EntryKind::Record, 0, b"after").unwrap();
    log.commit().unwrap();
    disk.flip_bit(&path, around.0 + 4, 0);
    let (log, report) = open(&disk, options(1 << 20));
    assert_eq!((report.damages[0].from, report.damages[0].to), (around, after));
    let found: Vec<_> =
        log.reader().scan(LogPosition(0)).filter_map(Result::ok).map(|(_, e)| e.payload).collect();
    assert_eq!(found, [b"stolen".to_vec(), b"after".to_vec()]);
}

#[test]
fn limits() {
    let disk = SimStorage::new(1);
    let (mut log, _) = open(&disk, LogOptions { pending_bytes_max: 1000, ..options(500) });
    assert!(matches!(
        log.append(EntryKind::Record, 0, &vec![0; (1 << 20) + 1]),
        Err(LogError::PayloadTooLong(_))
    ));
    log.append(EntryKind::Record, 0, &vec![7; 1 << 20]).unwrap();
    assert!(matches!(log.append(EntryKind::Record, 0, b""), Err(LogError::PendingFull(_))));
    log.commit().unwrap();
    assert_eq!(log.pending_bytes(), 0);
    let before = log.durable_end();
    assert_eq!(log.commit().unwrap(), before, "nothing to do");
    log.append(EntryKind::Record, 0, b"no").unwrap();
    log.discard_pending();
    assert_eq!(log.commit().unwrap(), before);
    let position = log.append(EntryKind::Unknown(200), 1, b"yes").unwrap();
    assert!(matches!(log.reader().read(position), Err(LogError::BeyondEnd { .. })));
    log.commit().unwrap();
    let entry = log.reader().read(position).unwrap();
    assert_eq!(entry, Entry { kind: EntryKind::Unknown(200), flags: 1, payload: b"yes".to_vec() });
    let stats = log.reader().stats();
    assert_eq!((stats.segments, stats.bytes, stats.end), (2, log.durable_end().0, log.durable_end()));
    assert_eq!(log.reader().check().entries, 2);
}
