//! Log segments: a log opens on any bytes, reads what it can, and takes new entries.
#![no_main]

use std::sync::Arc;

use lf_store::log::{EntryKind, Log, LogOptions, LogPosition};
use lf_store::storage::{SimStorage, Storage};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let storage = Arc::new(SimStorage::new(1));
    let mut options = LogOptions::new([3; 16]);
    options.segment_bytes_max = 512;
    // A real log first, then the input's bytes laid over its files.
    {
        let (mut log, _) = Log::open(storage.clone(), options.clone()).unwrap();
        for i in 0..8u8 {
            log.append(EntryKind::Record, 0, &[i; 90]).unwrap();
            log.commit().unwrap();
        }
    }
    let names = storage.list("log").unwrap();
    for flip in data.chunks_exact(4) {
        let file = storage.open(&format!("log/{}", names[flip[0] as usize % names.len()])).unwrap();
        let at = u64::from(u16::from_le_bytes([flip[1], flip[2]])) % file.length().unwrap().max(1);
        file.write_all_at(&flip[3..], at).unwrap();
    }
    let Ok((mut log, _)) = Log::open(storage, options) else { return };
    let _ = log.reader().scan(LogPosition(0)).take(100).count();
    if log.append(EntryKind::Record, 0, b"new").is_ok() {
        let _ = log.commit();
    }
});
