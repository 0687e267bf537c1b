//! The log on real files: a reader beside the writer, reopening, private files.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use lf_store::log::{EntryKind, Log, LogOptions, LogPosition};
use lf_store::storage::DiskStorage;

fn payload(i: u64) -> Vec<u8> {
    let mut payload = i.to_le_bytes().to_vec();
    payload.resize(8 + (i * 7919 % 3000) as usize, i as u8);
    payload
}

#[test]
fn readers_beside_the_writer_see_exactly_what_is_committed() {
    const ENTRIES: u64 = 6000;
    let home = tempfile::tempdir().unwrap();
    let storage = Arc::new(DiskStorage::open(home.path()).unwrap());
    let options = LogOptions { segment_bytes_max: 500_000, ..LogOptions::new([1; 16]) };
    let (mut log, report) = Log::open(storage.clone(), options.clone()).unwrap();
    assert!(report.created);
    let done = AtomicBool::new(false);
    let mut positions = Vec::new();
    thread::scope(|scope| {
        for _ in 0..2 {
            let (reader, done) = (log.reader(), &done);
            scope.spawn(move || {
                let (mut next, mut from) = (0u64, LogPosition(0));
                loop {
                    let finished = done.load(Ordering::Acquire);
                    let mut scan = reader.scan(from);
                    for step in &mut scan {
                        let (position, entry) = step.unwrap();
                        assert_eq!(entry.payload, payload(next));
                        assert_eq!(reader.read(position).unwrap(), entry);
                        next += 1;
                    }
                    assert_eq!(next % 20, 0, "only whole commits");
                    from = scan.position();
                    if finished {
                        break;
                    }
                }
                assert_eq!(next, ENTRIES);
            });
        }
        for i in 0..ENTRIES {
            positions.push(log.append(EntryKind::Record, i as u8, &payload(i)).unwrap());
            if i % 20 == 19 {
                log.commit().unwrap();
            }
        }
        done.store(true, Ordering::Release);
    });
    let reader = log.reader();
    drop(log);
    assert_eq!(reader.read(positions[17]).unwrap().payload, payload(17), "a reader outlives the writer");

    let (log, report) = Log::open(storage, options).unwrap();
    assert!(report.is_clean() && !report.created && report.segments > 10, "{report:?}");
    assert_eq!(report.end, reader.end());
    let check = log.reader().check();
    assert_eq!((check.entries, check.damages_count), (ENTRIES, 0));
    let found: Vec<LogPosition> = log.reader().scan(LogPosition(0)).map(|e| e.unwrap().0).collect();
    assert_eq!(found, positions);
}

#[cfg(unix)]
#[test]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("node");
    let (mut log, _) =
        Log::open(Arc::new(DiskStorage::open(&root).unwrap()), LogOptions::new([1; 16])).unwrap();
    log.append(EntryKind::Record, 0, b"x").unwrap();
    log.commit().unwrap();
    for (path, mode) in [("log", 0o700), ("log/log.id", 0o600), ("log/00000000000000000000.lfl", 0o600)] {
        assert_eq!(std::fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777, mode, "{path}");
    }
}
