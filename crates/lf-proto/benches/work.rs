//! Proof of work and pulses: `cargo bench -p lf-proto --bench work`.
#![allow(missing_docs)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lf_proto::{
    pulse::{PULSE_MINUTES_MAX, th64_n},
    work::{Frankenhash, Progress, Search, Table, TablePasses, cost, verify},
};

/// Bytes of a typical record, and of the table its search takes.
const RECORD_BYTES: u64 = 250;
const MEMORY_BYTES_MAX: usize = 512 << 20;

/// The time of `hashes` hashes on so many threads, in a search that does not end.
fn search(hashes: u64, threads: usize) -> Duration {
    // Highest difficulty, but memory as for a typical record.
    let search = Search::new(Table::shared(), b"bench", u32::MAX, 64 << 20, 0).expect("a difficulty");
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut worker = search.worker();
                while search.hashes_done() < hashes {
                    black_box(worker.step());
                }
            });
        }
    });
    // Steps overshoot: scale to what was asked for.
    begin.elapsed().mul_f64(hashes as f64 / search.hashes_done() as f64)
}

fn work(c: &mut Criterion) {
    let table = Table::shared();
    let mut group = c.benchmark_group("table");
    group.sample_size(10).bench_function("generate", |b| b.iter(Table::generate));
    group.finish();

    let mut group = c.benchmark_group("search");
    const HASHES: u64 = 1 << 20;
    group.sample_size(10).throughput(Throughput::Elements(HASHES));
    for threads in [1, 2] {
        group.bench_function(format!("{threads} threads"), |b| {
            b.iter_custom(|iterations| search(HASHES * iterations, threads));
        });
    }
    group.finish();

    let mut group = c.benchmark_group("proof");
    let find = |number: u64, threads: usize| {
        let search = Search::new(table, &number.to_be_bytes(), cost(RECORD_BYTES), MEMORY_BYTES_MAX, number)
            .expect("a difficulty");
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let mut worker = search.worker();
                    while worker.step() == Progress::Searching {}
                });
            }
        });
        search.found().expect("a proof")
    };
    group.sample_size(10);
    let mut number = 0;
    group.bench_function("find, 250 bytes, 2 threads", |b| {
        b.iter(|| {
            number += 1;
            find(number, 2)
        });
    });
    let proof = find(0, 2);
    group.bench_function("verify one-round", |b| {
        b.iter(|| verify(table, &0u64.to_be_bytes(), black_box(&proof), TablePasses::NONE).expect("valid"));
    });
    let hash = Frankenhash::new(table, b"bench");
    let mut collider = 0;
    group.bench_function("hash, any rounds", |b| {
        b.iter(|| {
            collider += 1;
            let x = Frankenhash::input(collider);
            if hash.outline(&x).table_passes == 0 { hash.hash(&x) } else { 0 }
        });
    });
    group.finish();
}

fn pulse(c: &mut Criterion) {
    let mut group = c.benchmark_group("th64");
    group.sample_size(10).throughput(Throughput::Elements(u64::from(PULSE_MINUTES_MAX)));
    group.bench_function("a year", |b| b.iter(|| th64_n(black_box(1), PULSE_MINUTES_MAX)));
    group.finish();
}

criterion_group!(benches, work, pulse);
criterion_main!(benches);
