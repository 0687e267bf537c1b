//! Graph weights: what an insert costs when 10⁴, 10⁵ or 10⁶ records are there already (it should not matter), what
//! an attacker's records cost, checkpoints, lookups.
//!
//! `cargo bench -p lf-store --bench weights [-- FILTER]`. Prints memory and the worst insert on the way.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/support/dag.rs"]
mod dag;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dag::{Attack, Dag, Random, Shape, generate};
use lf_store::weights::{Progress, Weights};

const SIZES: [usize; 3] = [10_000, 100_000, 1_000_000];
/// Inserts in one measurement, and before it: a fresh copy first reallocates its arrays and has nothing in the cache.
const INSERTS: usize = 2000;

/// Time this thread has been running, where the system tells (Linux): fair on a machine that others use as well.
fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}

fn insert(weights: &mut Weights, dag: &Dag, range: std::ops::Range<usize>) {
    for record in range {
        weights.insert(dag.links(record), dag.score(record), dag.eligible[record]).unwrap();
    }
}

/// Measures `INSERTS` inserts after each size, building one state from size to size.
fn measure(c: &mut Criterion, name: &str, shape: &Shape) {
    let mut group = c.benchmark_group("weights_insert");
    group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(INSERTS as u64));
    let mut built: Option<(Dag, Weights)> = None;
    for size in SIZES {
        group.bench_function(BenchmarkId::new(name, size), |bencher| {
            let (dag, weights) = built.get_or_insert_with(|| {
                let records = SIZES[SIZES.len() - 1] + 2 * INSERTS;
                (generate(&Shape { records, ..shape.clone() }), Weights::new())
            });
            if (weights.len() as usize) < size {
                build_to(weights, dag, size, name);
            }
            let warm = size + INSERTS;
            bencher.iter_batched_ref(
                || {
                    let mut weights = weights.clone();
                    insert(&mut weights, dag, size..warm);
                    weights
                },
                |weights| insert(weights, dag, warm..warm + INSERTS),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// Inserts up to `size`, and says what it took.
fn build_to(weights: &mut Weights, dag: &Dag, size: usize, name: &str) {
    let from = weights.len() as usize;
    let (mut slowest, mut cover_len_max) = (Duration::ZERO, 0);
    let (start, cpu_start) = (Instant::now(), cpu_time());
    for record in from..size {
        let before = Instant::now();
        insert(weights, dag, record..record + 1);
        slowest = slowest.max(before.elapsed());
        cover_len_max = cover_len_max.max(weights.stats().cover_len);
    }
    let cpu = cpu_time().zip(cpu_start).map(|(end, start)| end - start).unwrap_or_default();
    let links: usize = (0..size).map(|record| dag.links(record).len()).sum();
    println!(
        "{name}: {from}..{size} in {:.2?} ({cpu:.2?} of this thread), slowest {slowest:.1?}, last cover of an insert at most {cover_len_max}; \
         {:.1} bytes a record + links; {:?}",
        start.elapsed(),
        (weights.memory_bytes() as f64 - links as f64 * 4.0) / size as f64,
        weights.stats(),
    );
}

fn inserts(c: &mut Criterion) {
    for links in [3, 2] {
        for in_flight in [0, 10, 100] {
            measure(c, &format!("W={in_flight},k={links}"), &Shape { in_flight, links, ..Shape::default() });
        }
    }
}

fn attacks(c: &mut Criterion) {
    let base = Shape { links: 3, ..Shape::default() };
    for (name, attack, attack_part) in [
        ("old links, 50% ignored", Attack::OldRandom, 0.5),
        ("genesis links, 50% ignored", Attack::Genesis, 0.5),
        ("comb, 30% ignored", Attack::Comb, 0.3),
        ("comb of 15 links, 30% ignored", Attack::Comb15, 0.3),
    ] {
        measure(c, name, &Shape { attack, attack_part, attackers_eligible: false, ..base.clone() });
    }
    measure(c, "partition of half the time", &Shape { partitions: vec![(0.25, 0.75)], ..base });
}

fn state(c: &mut Criterion) {
    const RECORDS: usize = 1_000_000;
    let mut group = c.benchmark_group("weights_state");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    let mut built = None;
    let mut state = || {
        built
            .get_or_insert_with(|| {
                let dag = generate(&Shape { records: RECORDS, links: 3, ..Shape::default() });
                let mut weights = Weights::new();
                build_to(&mut weights, &dag, RECORDS, "W=10,k=3");
                let mut bytes = Vec::new();
                weights.write_checkpoint(&mut bytes).unwrap();
                println!("checkpoint of 10^6: {} bytes", bytes.len());
                (weights, bytes)
            })
            .clone()
    };
    group.bench_function("lookup", |bencher| {
        let (weights, _) = state();
        let mut random = Random(3);
        bencher.iter(|| black_box(weights.weight(random.below(RECORDS) as u32)));
    });
    group.bench_function("checkpoint_write_10^6", |bencher| {
        let (weights, bytes) = state();
        bencher.iter_batched_ref(
            || Vec::with_capacity(bytes.len()),
            |out| weights.write_checkpoint(out).unwrap(),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("checkpoint_load_10^6", |bencher| {
        let (_, bytes) = state();
        bencher.iter(|| Weights::read_checkpoint(&mut bytes.as_slice()).unwrap());
    });
    group.finish();
}

/// One record over 70,000 unrelated ones' descendants: its cover is that large, and no step may take long.
fn huge_cover(c: &mut Criterion) {
    const LEAVES: u32 = 70_000;
    let mut group = c.benchmark_group("weights_huge_cover");
    group.sample_size(10).measurement_time(Duration::from_secs(2));
    let mut weights = Weights::new();
    weights.insert(&[], 1, true).unwrap();
    let mut layer: Vec<u32> = (0..LEAVES).map(|_| weights.insert(&[0], 1, false).unwrap()).collect();
    while layer.len() > 1 {
        layer = layer.chunks(15).map(|links| weights.insert(links, 1, false).unwrap()).collect();
    }
    let root = layer[0];
    let mut probe = weights.clone();
    let mut open = probe.begin_insert(&[root], 1, false).unwrap();
    let (mut looked, mut applied) = (Duration::ZERO, Duration::ZERO);
    loop {
        let start = Instant::now();
        open.look(&probe);
        looked = looked.max(start.elapsed());
        let start = Instant::now();
        let progress = probe.advance(&mut open).unwrap();
        applied = applied.max(start.elapsed());
        if matches!(progress, Progress::Done(_)) {
            break;
        }
    }
    println!(
        "huge cover: walked in {looked:.1?} beside readers, applied in {applied:.1?}; {:?}",
        probe.stats()
    );
    group.bench_function("insert", |bencher| {
        bencher.iter_batched_ref(
            || weights.clone(),
            |weights| weights.insert(&[root], 1, false).unwrap(),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, inserts, attacks, state, huge_cover);
criterion_main!(benches);
