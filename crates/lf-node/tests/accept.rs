//! Step 7 of acceptance (NODE.md §1): what certificates and work approve together.
#![allow(clippy::unwrap_used)]

use lf_node::core::accept::{Refusal, Verdict, verify_all};
use lf_node::core::{Certificates, Certified, Rules};
use lf_proto::genesis::GenesisParameters;
use lf_proto::owner::{OwnerPublic, OwnerSecret, OwnerType};
use lf_proto::record::{Record, RecordBuilder, RecordType};
use lf_proto::work::{Work, WorkError};

struct All(Certified);

impl Certificates for All {
    fn certified(&self, _: &OwnerPublic, _: u64) -> Certified {
        self.0
    }
}

fn record(owner: &OwnerSecret, difficulty: Option<u32>) -> Record {
    let builder = RecordBuilder {
        record_type: RecordType::Datum,
        value: b"value",
        masking_key: None,
        selectors: &[(b"name", 0)],
        links: &[],
        timestamp: 1_000,
        with_pulse_token: false,
    };
    builder.build(owner).unwrap().sign(owner, difficulty.map(|d| Work::new([1, 2], d)))
}

#[test]
fn a_certificate_is_no_licence_to_claim_work() {
    let owner = OwnerSecret::from_seed(OwnerType::Ed25519, b"certified");
    let parameters = GenesisParameters { record_max_value_size: 1024, ..GenesisParameters::default() };
    let judge = |certified, difficulty, holds: bool| {
        let certificates = All(certified);
        let rules = Rules {
            parameters: &parameters,
            genesis_owner: owner.public(),
            local_test: false,
            certificates: &certificates,
        };
        let mut verdicts = verify_all(vec![record(&owner, difficulty)], &rules, |proofs| {
            proofs.iter().map(|_| if holds { Ok(()) } else { Err(WorkError::NoCollision) }).collect()
        });
        verdicts.pop().unwrap()
    };
    let refused = |verdict| matches!(verdict, Verdict::Refused(Refusal::Work { .. }));
    for certified in [Certified::Yes, Certified::Revoked] {
        let without = judge(certified, None, false);
        assert!(matches!(without, Verdict::Accepted(v) if !v.work_verified));
        for difficulty in [1, 1 << 27] {
            assert!(refused(judge(certified, Some(difficulty), false)), "its weight is what it claims");
            let worked = judge(certified, Some(difficulty), true);
            assert!(matches!(worked, Verdict::Accepted(v) if v.work_verified));
        }
    }
    assert!(refused(judge(Certified::No, Some(1 << 27), false)));
    assert!(matches!(judge(Certified::No, Some(1 << 27), true), Verdict::Accepted(v) if v.work_verified));
    assert!(refused(judge(Certified::No, Some(1), true)), "too little");
    assert!(refused(judge(Certified::No, None, true)));
}
