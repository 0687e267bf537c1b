//! Pulses: `cargo bench -p lf-proto --bench pulse`. One hash chain after another, eight side by side, and making the
//! next pulse of a record.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lf_proto::pulse::{PULSE_MINUTES_MAX, PulseChain, PulseStart, th64_n, th64_n_each};

const STEPS: u32 = 10_000;

fn th64(c: &mut Criterion) {
    let mut group = c.benchmark_group("th64 step");
    group.sample_size(20).throughput(Throughput::Elements(u64::from(STEPS)));
    group.bench_function("one chain", |b| b.iter(|| th64_n(black_box(1), STEPS)));
    group.throughput(Throughput::Elements(8 * u64::from(STEPS)));
    group.bench_function("eight chains", |b| {
        b.iter(|| {
            let mut chains = black_box([1, 2, 3, 4, 5, 6, 7, 8].map(|value| (value, STEPS)));
            th64_n_each(&mut chains);
            chains
        });
    });
    for steps in [1, 8] {
        group.throughput(Throughput::Elements(1000 * u64::from(steps)));
        group.bench_function(format!("1000 chains, {steps} each"), |b| {
            b.iter(|| {
                let mut chains: Vec<(u64, u32)> = (0..1000).map(|value| (value, steps)).collect();
                th64_n_each(&mut chains);
                chains
            });
        });
    }
    group.finish();
}

fn make(c: &mut Criterion) {
    let start = PulseStart::new(&["name"], &[7], 1_600_000_000, &[9; 32]).unwrap();
    let mut group = c.benchmark_group("make a pulse");
    group.sample_size(10);
    group.bench_function("from the start", |b| b.iter(|| start.pulse_at(black_box(1)).unwrap()));
    group.bench_function("walk the chain once", |b| b.iter(|| PulseChain::new(&start)));
    let chain = PulseChain::new(&start);
    let mut minutes = 0;
    group.bench_function("from the chain", |b| {
        b.iter(|| {
            minutes = minutes % PULSE_MINUTES_MAX + 1;
            chain.pulse_at(minutes).unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, th64, make);
criterion_main!(benches);
