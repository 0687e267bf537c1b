//! Acceptance of records (NODE.md §1): cheapest checks first, each failure with its own name.

use lf_proto::record::{DecodeError, Record, RecordType};
use lf_proto::selector::{RecoveredSelector, SelectorError};
use lf_proto::work::Work;

use super::{Certified, Rules};

/// Why a record is refused. Always the sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The bytes are not a record.
    #[error("record is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// A genesis record by someone else than the network's owner.
    #[error("only the owner of this network can publish genesis records")]
    Prohibited,
    /// The value is larger than the network allows.
    #[error("record's value has {found} bytes: this network allows {max}")]
    ValueTooLarge {
        /// Stored bytes less 2.
        found: usize,
        /// RecordMaxValueSize.
        max: u64,
    },
    /// Fewer links than the network asks for.
    #[error("record has {found} links: this network asks for at least {min}")]
    InsufficientLinks {
        /// Links found.
        found: usize,
        /// RecordMinLinks.
        min: u64,
    },
    /// The timestamp is too far in the future.
    #[error("record's timestamp is {ahead_secs} seconds in the future: this network allows {drift_secs}")]
    Future {
        /// How far ahead of the node's clock.
        ahead_secs: u64,
        /// RecordMaxTimeDrift.
        drift_secs: u64,
    },
    /// A selector's claim recovers no key.
    #[error("record's selector {index} proves nothing: {source}")]
    Claim {
        /// Its place, from 0.
        index: usize,
        /// What is wrong with it.
        source: SelectorError,
    },
    /// The owner's signature does not verify.
    #[error("owner signature check failed")]
    Signature,
    /// The work is missing, wrong or too little.
    #[error("record has insufficient work: {problem}; it needs difficulty {required}")]
    Work {
        /// What is wrong.
        problem: &'static str,
        /// The difficulty it needs.
        required: u32,
    },
    /// The network asks for a certificate and the owner has none for that time.
    #[error("this network requires a certificate, and the record's owner has none for its time")]
    CertificateRequired,
}

impl Refusal {
    /// The error's name in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Refusal::Malformed(e) => match e {
                DecodeError::LinkOrder => "ErrRecordInvalidLinks",
                DecodeError::WorkAlgorithm(_) => "ErrRecordUnsupportedAlgorithm",
                DecodeError::TooLarge => "ErrRecordTooLarge",
                _ => "ErrRecordInvalid",
            },
            Refusal::Prohibited => "ErrRecordProhibited",
            Refusal::ValueTooLarge { .. } => "ErrRecordValueTooLarge",
            Refusal::InsufficientLinks { .. } => "ErrRecordInsufficientLinks",
            Refusal::Future { .. } => "ErrRecordViolatesSpecialRelativity",
            Refusal::Claim { .. } => "ErrRecordInvalid",
            Refusal::Signature => "ErrRecordOwnerSignatureCheckFailed",
            Refusal::Work { .. } => "ErrRecordInsufficientWork",
            Refusal::CertificateRequired => "ErrRecordCertificateRequired",
        }
    }
}

/// A record that passed every check, and what was learned on the way.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The record.
    pub record: Record,
    /// Its selectors, recovered from their claims.
    pub selectors: Vec<RecoveredSelector>,
    /// Whether its work was checked and holds.
    pub work_verified: bool,
}

/// The cheap checks: form and the network's limits (steps 2 to 4). `now` is in seconds since 1970.
///
/// # Errors
/// The first rule the record breaks.
pub fn check_limits(record: &Record, rules: &Rules<'_>, now: u64) -> Result<(), Refusal> {
    let p = rules.parameters;
    if record.record_type() == RecordType::Genesis && record.owner() != rules.genesis_owner {
        return Err(Refusal::Prohibited);
    }
    if record.value_bytes() as u64 > p.record_max_value_size {
        return Err(Refusal::ValueTooLarge { found: record.value_bytes(), max: p.record_max_value_size });
    }
    if (record.links().len() as u64) < p.record_min_links {
        return Err(Refusal::InsufficientLinks { found: record.links().len(), min: p.record_min_links });
    }
    if record.timestamp() > now.saturating_add(p.record_max_time_drift) {
        let ahead_secs = record.timestamp().saturating_sub(now);
        return Err(Refusal::Future { ahead_secs, drift_secs: p.record_max_time_drift });
    }
    Ok(())
}

/// The costly checks (steps 5 to 7): signature, claims, work or certificate. They depend on the record and the rules
/// alone, so they can run anywhere. `work_holds` verifies a proof of work; it is asked last, and only if the work matters.
///
/// # Errors
/// The first rule the record breaks.
pub fn verify(
    record: Record,
    rules: &Rules<'_>,
    work_holds: impl FnOnce(&Record, &Work) -> bool,
) -> Result<Verified, Refusal> {
    // A record without enough work cannot become good by costlier checks.
    let claimed = record.work().map(Work::difficulty);
    let required = rules.required_difficulty(record.billable_bytes());
    let certified = rules.certificates.certified(record.owner(), record.timestamp()) != Certified::No;
    let needs_work = !rules.local_test && !certified;
    if needs_work {
        if rules.parameters.auth_required {
            return Err(Refusal::CertificateRequired);
        }
        match claimed {
            None => return Err(Refusal::Work { problem: "it has none", required }),
            Some(d) if d < required => {
                return Err(Refusal::Work { problem: "its difficulty is too low", required });
            }
            Some(_) => {}
        }
    }
    record.verify_signature(rules.parameters.strict_signatures).map_err(|_| Refusal::Signature)?;
    let mut selectors = Vec::with_capacity(record.selectors().len());
    for (index, selector) in record.selectors().iter().enumerate() {
        let recovered = selector.recover(record.body_hash());
        selectors.push(recovered.map_err(|source| Refusal::Claim { index, source })?);
    }
    let work_verified = match record.work() {
        Some(proof) if needs_work => {
            if !work_holds(&record, proof) {
                return Err(Refusal::Work { problem: "it does not verify", required });
            }
            true
        }
        _ => false,
    };
    Ok(Verified { record, selectors, work_verified })
}
