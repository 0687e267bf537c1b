//! Logs of many small segments, backed up between commits, interruptions, and commits that are taken back.
#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use lf_store::log::{EntryKind, Log, LogOptions};

use super::*;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// A home whose log is written by the test.
struct World {
    _directory: tempfile::TempDir,
    config: RunConfig,
    to: PathBuf,
    log: Option<Log>,
    /// Where the log ended before the last commit.
    before: u64,
    random: Random,
}

impl World {
    fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = RunConfig::new(directory.path().join("home"));
        let to = directory.path().join("backup");
        let mut world =
            World { _directory: directory, config, to, log: None, before: 0, random: Random(seed) };
        world.open();
        world.commit();
        world
    }

    fn open(&mut self) {
        let storage = DiskStorage::open(self.config.home.join("store")).unwrap();
        let options = LogOptions { segment_bytes_max: 400, ..LogOptions::new([3; 16]) };
        self.log = Some(Log::open(std::sync::Arc::new(storage), options).unwrap().0);
    }

    fn commit(&mut self) {
        let log = self.log.as_mut().unwrap();
        self.before = log.durable_end().0;
        for _ in 0..=self.random.below(4) {
            let payload = vec![self.random.below(256) as u8; self.random.below(150) as usize];
            log.append(EntryKind::Pulse, 0, &payload).unwrap();
        }
        log.commit().unwrap();
    }

    fn segments(&self) -> Vec<(u64, PathBuf)> {
        let log = self.config.home.join("store/log");
        let names = std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path());
        let mut segments: Vec<(u64, PathBuf)> =
            names.filter_map(|path| Some((path.file_stem()?.to_str()?.parse().ok()?, path))).collect();
        segments.sort();
        segments
    }

    /// The last commit is undone, as the node does when the disk has no space for all of it.
    fn take_back(&mut self) {
        self.log = None;
        for (start, path) in self.segments().into_iter().rev() {
            if start >= self.before {
                std::fs::remove_file(path).unwrap();
            } else {
                let file = OpenOptions::new().write(true).open(path).unwrap();
                file.set_len(file.metadata().unwrap().len().min(self.before - start)).unwrap();
            }
        }
        self.open();
    }

    fn make(&self) -> Result<Made, BackupError> {
        make(&self.config, &self.to, true, &mut |_, _| {})
    }

    /// A run that ends somewhere.
    fn make_in_part(&mut self) -> bool {
        let mut left = self.random.below(12);
        let run = || {
            make(&self.config, &self.to, true, &mut |_, _| {
                assert!(left > 0, "interrupted");
                left -= 1;
            })
        };
        catch_unwind(AssertUnwindSafe(run)).is_ok()
    }

    /// The backup's log is the home's.
    fn compare(&self, manifest: &Manifest) {
        let ours: Vec<(u64, Vec<u8>)> =
            self.segments().into_iter().map(|(start, path)| (start, std::fs::read(path).unwrap())).collect();
        let theirs: Vec<(u64, Vec<u8>)> = manifest
            .segments
            .iter()
            .map(|segment| {
                let bytes = std::fs::read(self.to.join(&segment.stored)).unwrap();
                assert_eq!(bytes.len() as u64, segment.bytes);
                (segment.start, bytes)
            })
            .collect();
        assert!(ours == theirs, "{:?}", manifest.segments);
    }
}

fn sound(to: &Path) -> Manifest {
    let checked = check(to, &mut |_, _| {}).unwrap();
    assert!(checked.is_sound(), "{:?}", checked.problems);
    checked.manifest
}

#[test]
fn whatever_happens_the_last_whole_backup_is_good_and_the_next_is_the_log() {
    let (mut interrupted, mut taken_back) = (0, 0);
    for seed in 0..30 {
        let mut world = World::new(seed);
        let mut last = world.make().unwrap().manifest;
        for _ in 0..30 {
            match world.random.below(5) {
                0 | 1 => world.commit(),
                2 => {
                    // Only what was never followed by another commit can be.
                    world.commit();
                    if world.random.below(2) == 0 {
                        last = world.make().unwrap().manifest;
                    }
                    if world.random.below(2) == 0 {
                        world.make_in_part();
                        last = sound(&world.to);
                    }
                    world.take_back();
                    taken_back += 1;
                    world.commit();
                }
                3 => {
                    if world.make_in_part() {
                        last = sound(&world.to);
                    } else {
                        interrupted += 1;
                        assert_eq!(sound(&world.to), last);
                    }
                }
                _ => {
                    last = world.make().unwrap().manifest;
                    world.compare(&last);
                    assert_eq!(sound(&world.to), last);
                    let files = std::fs::read_dir(world.to.join(LOG)).unwrap().count();
                    assert_eq!(files, last.segments.len(), "nothing else is left");
                }
            }
        }
        let made = world.make().unwrap();
        world.compare(&made.manifest);
        assert_eq!(sound(&world.to), made.manifest);
    }
    assert!(interrupted > 20 && taken_back > 50, "{interrupted} {taken_back}");
}

#[test]
fn what_was_certain_and_is_lost_is_not_forgotten() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        (0..10).for_each(|_| world.commit());
        let manifest = world.make().unwrap().manifest;
        // Two commits are gone, of which one was followed by another.
        world.before = manifest.certain / 2;
        world.take_back();
        assert!(matches!(world.make(), Err(BackupError::Differs { .. })), "seed {seed}");
        (0..20).for_each(|_| world.commit());
        assert!(matches!(world.make(), Err(BackupError::Differs { .. })), "seed {seed}");
        assert_eq!(sound(&world.to), manifest);
    }
}

#[test]
fn two_runs_do_not_meet() {
    let world = World::new(1);
    let lock = prepare(&world.config.home, &world.to).unwrap();
    assert!(matches!(world.make(), Err(BackupError::Busy(_))));
    drop(lock);
    world.make().unwrap();
}
