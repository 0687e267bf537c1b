//! What a node spends its time on: key recovery, ordinals, selector keys.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lf_proto::curve::ways::Way;
use lf_proto::curve::{self, Signed};
use lf_proto::ordinal::OrdinalMask;
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::selector::{SelectorName, recover_all};

/// Items of the batches.
const BATCH: usize = 64;

fn recovery(c: &mut Criterion) {
    let mut group = c.benchmark_group("recover");
    let digest = [0x5a; 48];

    let name = SelectorName::new(b"bench");
    let claim = name.claim(&digest, 7).unwrap();
    group.bench_function("p160_one", |b| b.iter(|| black_box(&claim).recover(black_box(&digest))));
    let batch = vec![(claim, digest); BATCH];
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("p160_one_batch_64", |b| b.iter(|| recover_all(black_box(&batch))));

    for (ty, one) in [(OwnerType::P224, "p224_both"), (OwnerType::P384, "p384_both")] {
        let signature = OwnerSecret::from_seed(ty, b"bench").sign(&digest);
        let batch = vec![Signed { digest: &digest, r_s: &signature }; BATCH];
        let p224 = ty == OwnerType::P224;
        group.throughput(Throughput::Elements(1));
        group.bench_function(one, |b| {
            b.iter(|| {
                if p224 {
                    curve::p224::recover_pair(&digest, black_box(&signature))[0].is_some()
                } else {
                    curve::p384::recover_pair(&digest, black_box(&signature))[0].is_some()
                }
            });
        });
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function(format!("{one}_batch_64"), |b| {
            b.iter(|| {
                if p224 {
                    curve::p224::recover_pairs(black_box(&batch)).len()
                } else {
                    curve::p384::recover_pairs(black_box(&batch)).len()
                }
            });
        });
    }
    group.finish();
}

/// Batches by each way that this processor has (the portable lanes are for tests: slow).
fn ways(c: &mut Criterion) {
    let mut group = c.benchmark_group(format!("recover_by_{}", curve::path()));
    let digest = [0x5a; 48];
    let claim = SelectorName::new(b"bench").claim(&digest, 7).unwrap();
    let p224 = OwnerSecret::from_seed(OwnerType::P224, b"bench").sign(&digest);
    let p384 = OwnerSecret::from_seed(OwnerType::P384, b"bench").sign(&digest);
    for way in Way::ALL.into_iter().filter(|way| way.is_available()) {
        for size in [2, 8, BATCH] {
            group.throughput(Throughput::Elements(size as u64));
            let one = vec![(Signed { digest: &digest, r_s: &claim.r_s }, claim.parity); size];
            group
                .bench_function(format!("p160_one_{way:?}_{size}"), |b| b.iter(|| way.p160(black_box(&one))));
            let both = vec![Signed { digest: &digest, r_s: &p224 }; size];
            group.bench_function(format!("p224_both_{way:?}_{size}"), |b| {
                b.iter(|| way.p224(black_box(&both)));
            });
            let both = vec![Signed { digest: &digest, r_s: &p384 }; size];
            group.bench_function(format!("p384_both_{way:?}_{size}"), |b| {
                b.iter(|| way.p384(black_box(&both)));
            });
        }
    }
    group.finish();
}

fn names(c: &mut Criterion) {
    c.bench_function("ordinal_mask_cold", |b| b.iter(|| OrdinalMask::new(black_box(b"bench")).mask(7)));
    let mask = OrdinalMask::new(b"bench");
    c.bench_function("ordinal_mask_cached", |b| b.iter(|| mask.mask(black_box(7))));
    // The key pair alone: the ordinal's alphabets are the bench above.
    c.bench_function("selector_key_pair", |b| b.iter(|| SelectorName::new(black_box(b"bench")).id()));
    let name = SelectorName::new(b"bench");
    c.bench_function("selector_key_cached", |b| b.iter(|| name.key(black_box(7))));
    c.bench_function("selector_claim", |b| b.iter(|| name.claim(black_box(&[1; 48]), 7)));
}

fn owners(c: &mut Criterion) {
    let mut group = c.benchmark_group("owner");
    let digest = [0x5a; 48];
    for ty in OwnerType::ALL {
        let secret = OwnerSecret::from_seed(ty, b"bench");
        let signature = secret.sign(&digest);
        group.bench_function(format!("sign_{ty}"), |b| b.iter(|| secret.sign(black_box(&digest))));
        group.bench_function(format!("verify_{ty}"), |b| {
            b.iter(|| secret.public().verify(black_box(&digest), &signature, true));
        });
    }
    group.finish();
}

criterion_group!(benches, recovery, ways, names, owners);
criterion_main!(benches);
