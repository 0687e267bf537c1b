//! Proof of work: `cargo bench -p lf-proto --bench work`. Searches on every path that the machine has.
#![allow(missing_docs)]

use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lf_proto::work::{
    Frankenhash, Path, Progress, Search, Table, TablePasses, Work, required_difficulty, verify,
    verify_batch_on,
};

/// Bytes of a typical record, and of the table its search takes.
const RECORD_BYTES: u64 = 250;
const MEMORY_BYTES_MAX: usize = 512 << 20;

/// The time of `hashes` hashes on so many threads, in a search that does not end.
fn search(path: Path, hashes: u64, threads: usize) -> Duration {
    // Highest difficulty, but memory as for a typical record.
    let search =
        Search::new(Table::shared(), b"bench", u32::MAX, 64 << 20, 0).expect("a difficulty").on_path(path);
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
    // What a user waits for, which can be had once only: memory that this process has not used before, and that a
    // virtual machine may have to get from its host first. The benchmark makes the table in the same memory again.
    let begun = Instant::now();
    let table = Table::shared();
    println!("table, when first needed: {:.3} s", begun.elapsed().as_secs_f64());
    let mut group = c.benchmark_group("table");
    for path in Path::all() {
        group.sample_size(10).bench_function(path.name(), |b| b.iter(|| Table::generate_on(path)));
    }
    group.finish();

    let mut group = c.benchmark_group("search");
    const HASHES: u64 = 1 << 20;
    group.sample_size(10).throughput(Throughput::Elements(HASHES));
    for path in Path::all() {
        for threads in [1, 2] {
            group.bench_function(format!("{}, {threads} threads", path.name()), |b| {
                b.iter_custom(|iterations| search(path, HASHES * iterations, threads));
            });
        }
    }
    group.finish();

    let mut group = c.benchmark_group("proof");
    let find = |number: u64, threads: usize, factor: u32| {
        let difficulty = required_difficulty(RECORD_BYTES, factor);
        let search = Search::new(table, &number.to_be_bytes(), difficulty, MEMORY_BYTES_MAX, number)
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
    // Means over many records: a search has a long tail.
    for (factor, threads) in [(1, 1), (1, 2), (16, 2)] {
        let mut number = 0;
        group.bench_function(format!("find, 250 bytes, factor {factor}, {threads} threads"), |b| {
            b.iter(|| {
                number += 1;
                find(number, threads, factor)
            });
        });
    }
    let proof = find(0, 2, 1);
    group.bench_function("verify by the definition, warm, one round", |b| {
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

/// Proofs that nobody has seen before, so that nothing of theirs is in the cache, as in real life: each of another
/// record, with the first two colliders that have so many rounds at most.
fn proofs(count: u64, rounds_max: u32) -> Vec<([u8; 48], Work)> {
    static USED: AtomicU64 = AtomicU64::new(0);
    let proof = |n: u64| {
        let input = std::array::from_fn(|i| (n >> (8 * (i % 8))) as u8);
        let hash = Frankenhash::new(Table::shared(), &input);
        let mut colliders = (0..).filter(|c| hash.rounds(&Frankenhash::input(*c)) <= rounds_max);
        let mut collider = || colliders.next().expect("there are always more");
        (input, Work::new([collider(), collider()], 1000))
    };
    let first = USED.fetch_add(count, Relaxed);
    (first..first + count).map(proof).collect()
}

fn batches(c: &mut Criterion) {
    let table = Table::shared();
    for (rounds, rounds_max) in [("one round", 1), ("any rounds", 6)] {
        let mut group = c.benchmark_group(format!("verify cold, {rounds}"));
        let paths = Path::all().into_iter().flat_map(|path| [1, 16, 64].map(|count| (path, count)));
        for (path, count) in paths {
            group.sample_size(20).throughput(Throughput::Elements(count));
            group.bench_function(format!("{}, batch of {count}", path.name()), |b| {
                b.iter_custom(|iterations| {
                    let mut took = Duration::ZERO;
                    // Enough at a time that making them has long been forgotten, not so many that they fill the memory.
                    for done in (0..iterations).step_by(1024) {
                        let proofs = proofs(count * (iterations - done).min(1024), rounds_max);
                        let proofs: Vec<_> = proofs.iter().map(|(input, work)| (input, *work)).collect();
                        let begun = Instant::now();
                        for batch in proofs.chunks(count as usize) {
                            black_box(verify_batch_on(path, table, batch, TablePasses::NONE));
                        }
                        took += begun.elapsed();
                    }
                    took
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, work, batches);
criterion_main!(benches);
