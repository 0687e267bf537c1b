//! A real process, really killed: `kill -9` at random moments, then everything it was told to be durable must be there.
//!
//! `LF_KILL_CYCLES` (default 300) for longer runs: `LF_KILL_CYCLES=5000 cargo test --release -p lf-store --test kill`.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

#[path = "support/pool.rs"]
mod pool;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use lf_proto::hash::Hash;
use lf_proto::record::Record;
use lf_store::storage::DiskStorage;
use lf_store::weights::Weights;
use lf_store::{IndexPlace, Put, Store, StoreOptions, Stored, WriterThread};
use pool::Random;

const DIRECTORY: &str = "LF_KILL_DIRECTORY";
/// Records in one directory, in a topological order, in the file `records`.
const RECORDS: usize = 3000;

fn options(directory: &Path) -> StoreOptions {
    let storage = Arc::new(DiskStorage::open(directory.join("store")).unwrap());
    let genesis = pool::genesis(&pool::genesis_owner());
    let index = IndexPlace::Disk(directory.join("store/index"));
    let mut options = StoreOptions::new(storage, index, genesis, [9; 16]);
    options.log.segment_bytes_max = 20_000;
    options.checkpoint_records_min = 40;
    options.free_bytes_min = 0;
    options
}

fn records(directory: &Path) -> Vec<Put> {
    let bytes = std::fs::read(directory.join("records")).unwrap();
    let (mut rest, mut puts) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        let (record, used) = Record::decode_first(rest).unwrap();
        rest = &rest[used..];
        puts.push(Put { record, selectors: Vec::new(), work_verified: true });
    }
    puts
}

/// The child: stores records until it is killed, and says on stdout how many are acknowledged.
#[test]
#[ignore = "the other half of `killed_at_any_moment`, which starts it"]
fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let puts = records(&directory);
    let (store, report) = Store::open(options(&directory)).unwrap();
    let mut done = 0;
    let view = store.reader().view();
    while done < puts.len() && view.standing(&puts[done].record.hash()).unwrap().is_some() {
        done += 1;
    }
    drop(view);
    for line in &report.notes {
        println!("\nnote {line}");
    }
    println!("\nopened {done}");
    let writer = WriterThread::start(store, |_| {}).unwrap();
    let mut random = Random(done as u64);
    while done < puts.len() {
        let count = (1 + random.below(12)).min(puts.len() - done);
        // Backwards, so that records wait; all of them are linked when the batch is.
        let batch: Vec<Put> = puts[done..done + count].iter().rev().cloned().collect();
        writer.writer().put(batch, Vec::new()).unwrap();
        done += count;
        println!("\nstored {done}");
        std::io::stdout().flush().unwrap();
    }
    writer.stop().unwrap();
}

/// Everything acknowledged is there, linked in order, with its weight; and nothing that was not sent.
fn verify(directory: &Path, acknowledged: usize) {
    let puts = records(directory);
    let (store, _) = Store::open(options(directory)).unwrap();
    let view = store.reader().view();
    let totals = view.totals().unwrap();
    let stored = totals.linked as usize - 2 + totals.pending as usize;
    assert!(stored >= acknowledged, "{stored} of {acknowledged} are there");
    let mut weights = Weights::new();
    let index_of = |hash: &Hash| match view.standing(hash).unwrap() {
        Some(Stored::Linked(index)) => Some(index),
        _ => None,
    };
    for put in &puts[..acknowledged] {
        let row = view.row_of(&put.record.hash()).unwrap().unwrap();
        assert!(index_of(&put.record.hash()).is_some(), "acknowledged records are linked");
        assert_eq!(view.record(&row).unwrap(), put.record);
    }
    for index in 0..totals.linked {
        let row = view.row(index).unwrap().unwrap();
        let record = view.record(&row).unwrap();
        let mut links: Vec<u32> = record.links().iter().map(|l| index_of(l).unwrap()).collect();
        links.sort_unstable();
        assert_eq!(weights.insert(&links, record.score(), true).unwrap(), index);
    }
    for index in 0..totals.linked {
        assert_eq!(Some(view.weight(index)), weights.weight(index));
    }
}

/// Runs the child for a random time. Returns what it acknowledged (at least `known`), and whether it was finished.
fn run_and_kill(directory: &Path, known: usize, random: &mut Random) -> (usize, bool) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (sender, lines) = channel();
    let stdout = child.stdout.take().unwrap();
    let reading = std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    // A third of the time while it is still opening, otherwise some time after.
    let in_opening = random.one_in(3);
    let mut left = Duration::from_micros(random.below(if in_opening { 25_000 } else { 40_000 }) as u64);
    let (mut acknowledged, mut opened, mut ended) = (known, in_opening, false);
    let mut take = |line: &str, opened: &mut bool| {
        if let Some(done) = line.strip_prefix("opened ") {
            let done: usize = done.parse().unwrap();
            assert!(done >= acknowledged, "{done} of {acknowledged} acknowledged records were there");
            *opened = true;
        } else if let Some(done) = line.strip_prefix("stored ") {
            acknowledged = done.parse().unwrap();
        }
    };
    let start = std::time::Instant::now();
    loop {
        let wait = if opened { left } else { Duration::from_secs(60) };
        match lines.recv_timeout(wait) {
            Ok(line) => {
                let before = opened;
                take(&line, &mut opened);
                if before {
                    left = left.saturating_sub(start.elapsed().min(left / 4));
                }
            }
            Err(RecvTimeoutError::Timeout) if opened => break,
            Err(RecvTimeoutError::Timeout) => panic!("the child does not open"),
            Err(RecvTimeoutError::Disconnected) => {
                ended = true;
                break;
            }
        }
        if opened && left.is_zero() {
            break;
        }
    }
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    reading.join().unwrap();
    // What it said before it died counts, even if it was read after.
    for line in lines.try_iter() {
        take(&line, &mut opened);
    }
    if ended {
        assert!(output.status.success(), "the child failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    (acknowledged, ended)
}

#[test]
fn killed_at_any_moment() {
    let cycles: u32 = std::env::var("LF_KILL_CYCLES").ok().and_then(|t| t.parse().ok()).unwrap_or(300);
    let random = &mut Random(std::process::id().into());
    let pool = pool::plain(11, RECORDS);
    let bytes: Vec<u8> = pool.puts.iter().flat_map(|p| p.record.as_bytes().to_vec()).collect();
    let (mut killed, mut stored) = (0, 0);
    while killed < cycles {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("records"), &bytes).unwrap();
        let (mut acknowledged, mut ended) = (0, false);
        while !ended && killed < cycles {
            (acknowledged, ended) = run_and_kill(directory.path(), acknowledged, random);
            killed += u32::from(!ended);
            if killed % 10 == 0 {
                verify(directory.path(), acknowledged);
            }
        }
        verify(directory.path(), acknowledged);
        stored += acknowledged;
    }
    assert!(stored > 0);
    println!("kill -9: {killed} kills, {stored} records acknowledged, none lost");
}
