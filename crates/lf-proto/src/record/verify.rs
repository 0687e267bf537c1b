//! Signatures and claims of many records at once, which share what costs most.

use super::Record;
use crate::owner::{OwnerSignature, SignatureError, verify_all as verify_signatures};
use crate::selector::{RecoveredSelector, SelectorError, recover_all};

/// What is wrong with a record, whatever the network: always its maker's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The signature is not its owner's.
    #[error("{0}")]
    Signature(#[from] SignatureError),
    /// From a selector's claim no key can be recovered.
    #[error("selector {index}: {source}")]
    Claim {
        /// The selector's place, from 0.
        index: usize,
        /// What is wrong with its claim.
        source: SelectorError,
    },
}

/// Checks signatures and recovers selectors, as [`Record::verify_signature`] and [`Record::recover_selectors`] do for
/// one record. Claims of records whose signature is wrong are not looked at. Some 64 records at a time pay best.
pub fn verify_all(records: &[&Record], strict: bool) -> Vec<Result<Vec<RecoveredSelector>, RecordError>> {
    let digests: Vec<[u8; 48]> = records.iter().map(|record| record.signed_digest()).collect();
    let signatures: Vec<OwnerSignature<'_>> = records
        .iter()
        .zip(&digests)
        .map(|(record, digest)| OwnerSignature {
            owner: *record.owner(),
            digest,
            signature: record.signature(),
        })
        .collect();
    let verdicts = verify_signatures(&signatures, strict);
    let claims: Vec<_> = records
        .iter()
        .zip(&verdicts)
        .filter(|(_, verdict)| verdict.is_ok())
        .flat_map(|(record, _)| record.selectors().iter().map(|selector| (*selector, *record.body_hash())))
        .collect();
    let mut recovered = recover_all(&claims).into_iter();
    let claims_of = |(record, verdict): (&&Record, Result<(), SignatureError>)| {
        verdict?;
        let claims = recovered.by_ref().take(record.selectors().len());
        // All of them are taken, so that the next record's come next.
        let claims: Vec<_> = claims.collect();
        let one = |(index, claim): (usize, Result<_, _>)| {
            claim.map_err(|source| RecordError::Claim { index, source })
        };
        claims.into_iter().enumerate().map(one).collect()
    };
    records.iter().zip(verdicts).map(claims_of).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::owner::{OwnerSecret, OwnerType};
    use crate::record::{Parts, RecordBuilder, RecordType};

    fn record(owner_type: OwnerType, selectors: &[(&[u8], u64)]) -> Record {
        let owner = OwnerSecret::from_seed(owner_type, b"verify");
        let builder = RecordBuilder {
            record_type: RecordType::Datum,
            value: b"value",
            masking_key: None,
            selectors,
            links: &[],
            timestamp: 1,
            with_pulse_token: false,
        };
        builder.build(&owner).unwrap().sign(&owner, None)
    }

    fn changed(record: &Record, change: impl FnOnce(&mut Parts)) -> Record {
        let mut parts = record.parts.clone();
        change(&mut parts);
        parts.assemble()
    }

    #[test]
    fn a_batch_judges_like_one_at_a_time() {
        let two: [(&[u8], u64); 2] = [(b"a", 1), (b"b", 2)];
        let mut records = Vec::new();
        for owner_type in [OwnerType::P224, OwnerType::P384, OwnerType::Ed25519] {
            let good = record(owner_type, &two);
            let forged = changed(&good, |parts| parts.signature[0] ^= 1);
            records.extend([good, forged, record(owner_type, &[])]);
        }
        // A claim that recovers nothing, in a record whose signature holds.
        let owner = OwnerSecret::from_seed(OwnerType::Ed25519, b"verify");
        let broken = changed(&records[0], |parts| {
            parts.owner = *owner.public();
            parts.selectors[1].r_s = [0; 40];
        });
        let signature = owner.sign(&broken.signed_digest());
        records.insert(4, changed(&broken, |parts| parts.signature = signature));

        let alone: Vec<_> = records
            .iter()
            .map(|record| {
                record.verify_signature(true)?;
                let claims = record.selectors().iter().enumerate();
                claims
                    .map(|(index, s)| {
                        s.recover(record.body_hash()).map_err(|source| RecordError::Claim { index, source })
                    })
                    .collect::<Result<Vec<_>, _>>()
            })
            .collect();
        assert_eq!(verify_all(&records.iter().collect::<Vec<_>>(), true), alone);
        let refused: Vec<_> = (0..10).filter(|i| alone[*i].is_err()).collect();
        assert_eq!(refused, [1, 4, 5, 8]);
        assert!(matches!(alone[4], Err(RecordError::Claim { index: 1, .. })));
        assert!(verify_all(&[], true).is_empty());
    }
}
