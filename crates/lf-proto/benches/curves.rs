//! What a node spends its time on: key recovery and verification, ordinals, selector keys, whole records.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lf_proto::curve::ways::Way;
use lf_proto::curve::{self, Signed, ed25519};
use lf_proto::hash::Hash;
use lf_proto::ordinal::OrdinalMask;
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::record::{Record, RecordBuilder, RecordType, verify_all};
use lf_proto::selector::{SelectorName, SelectorNames, recover_all};
use lf_proto::work::{self, Progress, Search, Table, TablePasses};

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
    let mut group = c.benchmark_group("ways");
    let digest = [0x5a; 48];
    let claim = SelectorName::new(b"bench").claim(&digest, 7).unwrap();
    let p224 = OwnerSecret::from_seed(OwnerType::P224, b"bench").sign(&digest);
    let p384 = OwnerSecret::from_seed(OwnerType::P384, b"bench").sign(&digest);
    let owner = OwnerSecret::from_seed(OwnerType::Ed25519, b"bench");
    let key: [u8; 32] = owner.public().as_bytes().try_into().unwrap();
    let signature = owner.sign(&digest);
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
            let some = vec![ed25519::Signed { key: &key, message: &digest, signature: &signature }; size];
            group.bench_function(format!("ed25519_verify_{way:?}_{size}"), |b| {
                b.iter(|| way.ed25519(black_box(&some)));
            });
        }
    }
    group.finish();
}

fn names(c: &mut Criterion) {
    // A new name: its key pair, and the alphabets that its first ordinal needs, apart.
    c.bench_function("name_key_pair_cold", |b| b.iter(|| SelectorName::new(black_box(b"bench")).id()));
    c.bench_function("ordinal_mask_cold", |b| b.iter(|| OrdinalMask::new(black_box(b"bench")).mask(7)));
    let mask = OrdinalMask::new(b"bench");
    c.bench_function("ordinal_mask_cached", |b| b.iter(|| mask.mask(black_box(7))));
    let masked = mask.mask(7).unwrap();
    c.bench_function("ordinal_unmask_cached", |b| b.iter(|| mask.unmask(black_box(&masked))));
    let name = SelectorName::new(b"bench");
    c.bench_function("selector_key_cached", |b| b.iter(|| name.key(black_box(7))));
    c.bench_function("selector_claim", |b| b.iter(|| name.claim(black_box(&[1; 48]), 7)));
    let names = SelectorNames::new(16);
    names.get(b"bench");
    c.bench_function("name_kept", |b| b.iter(|| names.get(black_box(b"bench"))));
}

/// Records of two selectors with work, from their bytes to the last check, and the parts of that.
fn records(c: &mut Criterion) {
    let table = Table::shared();
    let names = SelectorNames::new(2);
    for ty in OwnerType::ALL {
        let owner = OwnerSecret::from_seed(ty, b"bench");
        let bytes: Vec<Vec<u8>> = (0..BATCH as u64)
            .map(|i| {
                let builder = RecordBuilder {
                    record_type: RecordType::Datum,
                    value: b"a value of some length, as records have them",
                    masking_key: None,
                    selectors: &[(b"name", i), (b"tag", 1)],
                    links: &[Hash([1; 32]), Hash([2; 32]), Hash([3; 32])],
                    timestamp: 1_600_000_000,
                    with_pulse_token: true,
                };
                let unworked = builder.build_with(&owner, &names).unwrap();
                // Little work costs as much to verify as any.
                let work = {
                    let search = Search::new(table, unworked.work_hash(), 1, 1 << 20, 7).unwrap();
                    let mut worker = search.worker();
                    loop {
                        if let Progress::Found(work) = worker.step() {
                            break work;
                        }
                    }
                };
                unworked.sign(&owner, Some(work)).as_bytes().to_vec()
            })
            .collect();
        let decode = || bytes.iter().map(|bytes| Record::decode(bytes).unwrap()).collect::<Vec<_>>();
        let decoded = decode();
        let records: Vec<&Record> = decoded.iter().collect();
        let work = |records: &[&Record]| {
            let proofs: Vec<_> = records.iter().map(|r| (r.work_hash(), *r.work().unwrap())).collect();
            work::verify_batch(table, &proofs, TablePasses::NONE)
        };
        assert!(work(&records).iter().all(Result::is_ok));
        assert!(verify_all(&records, true).iter().all(Result::is_ok));

        let mut group = c.benchmark_group(format!("record_{ty}_two_selectors_batch_64"));
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function("whole", |b| {
            b.iter(|| {
                let decoded = decode();
                let records: Vec<&Record> = decoded.iter().collect();
                (verify_all(&records, true), work(&records))
            });
        });
        group.bench_function("decode", |b| b.iter(decode));
        group.bench_function("signature_and_claims", |b| b.iter(|| verify_all(black_box(&records), true)));
        group.bench_function("work", |b| b.iter(|| work(black_box(&records))));
        group.finish();
    }
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

criterion_group!(benches, recovery, ways, names, owners, records);
criterion_main!(benches);
