//! Acceptance of records (NODE.md §1): cheapest checks first, each failure with its own name.

use lf_proto::record::{self, DecodeError, Record, RecordError, RecordType};
use lf_proto::selector::{RecoveredSelector, SelectorError};
use lf_proto::work::{Work, WorkError};
use lf_store::Put;

use super::{Certified, Rules};

/// Why a record is refused. The sender's fault, but for [`Refusal::WorkUndecided`].
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
    /// The work would take seconds to verify, and too many such records wait: not the sender's fault.
    #[error(
        "record has work that takes seconds to verify, and too many such wait; it needs difficulty {required}"
    )]
    WorkUndecided {
        /// The difficulty it needs.
        required: u32,
    },
    /// The network asks for a certificate and the owner has none for that time.
    #[error("this network requires a certificate, and the record's owner has none for its time")]
    CertificateRequired,
    /// All certificates that the owner has for that time are revoked, and there is nothing else that approves the record.
    #[error(
        "the certificate of the record's owner is revoked: this node takes no new records of theirs by it"
    )]
    CertificateRevoked,
    /// All is well but the approval (step 7), and that may still come: with a certificate or an amendment of the genesis.
    #[error("{}", .0.refusal)]
    Unapproved(Box<Unapproved>),
}

/// A record that nothing but its approval is missing of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unapproved {
    /// The record.
    pub record: Record,
    /// What is missing.
    pub refusal: Refusal,
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
            Refusal::Work { .. } | Refusal::WorkUndecided { .. } => "ErrRecordInsufficientWork",
            Refusal::CertificateRequired => "ErrRecordCertificateRequired",
            Refusal::CertificateRevoked => "ErrRecordCertificateInvalid",
            Refusal::Unapproved(unapproved) => unapproved.refusal.name(),
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

impl From<Verified> for Put {
    fn from(v: Verified) -> Self {
        Put { record: v.record, selectors: v.selectors, work_verified: v.work_verified }
    }
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

/// What work means for a record.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Approval {
    /// None is needed.
    Given,
    /// By its work; or by a certificate, and it has work besides. That must hold, too: a record's weight is what its work
    /// claims, so whoever could claim work for nothing could buy every name.
    IfWorkHolds,
    /// By nothing, for now. If it `has_work`, that is verified all the same: its work would do after an amendment.
    Missing { refusal: Refusal, has_work: bool },
}

impl Approval {
    fn looks_at_work(&self) -> bool {
        matches!(self, Approval::IfWorkHolds | Approval::Missing { has_work: true, .. })
    }
}

/// A record whose proof of work takes passes over the whole work table: everything else about it is well.
#[derive(Debug, Clone)]
pub struct SlowWork {
    verified: Verified,
    required: u32,
}

impl SlowWork {
    /// The record.
    pub fn record(&self) -> &Record {
        &self.verified.record
    }

    /// The verdict, once it is known whether the work holds.
    ///
    /// # Errors
    /// It does not.
    pub fn decide(self, holds: bool) -> Result<Verified, Refusal> {
        if holds {
            Ok(Verified { work_verified: true, ..self.verified })
        } else {
            Err(Refusal::Work { problem: "it does not verify", required: self.required })
        }
    }

    /// Gives it up unjudged: too many of its kind wait.
    pub fn refuse(self) -> Refusal {
        Refusal::WorkUndecided { required: self.required }
    }
}

/// What the costly checks say.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It passed all of them.
    Accepted(Verified),
    /// It breaks a rule.
    Refused(Refusal),
    /// Its work is still to be verified, at a cost of seconds.
    SlowWork(SlowWork),
}

/// The costly checks (steps 5 to 7): signatures, claims, work or certificates, of some 64 records at once, which share
/// what costs most. They depend on the records and the rules alone, so they can run anywhere. One verdict for each
/// record, in order: the first rule it breaks, but for want of an approval that cannot come, which costs nothing to see.
///
/// Each check is made only of records that passed those before it; `verify_work` is asked last, and only about work that
/// matters, without passes over the whole table.
pub fn verify_all(
    records: Vec<Record>,
    rules: &Rules<'_>,
    verify_work: impl FnOnce(&[(&[u8; 48], Work)]) -> Vec<Result<(), WorkError>>,
) -> Vec<Verdict> {
    let required: Vec<u32> =
        records.iter().map(|record| rules.required_difficulty(record.billable_bytes())).collect();
    let approvals: Vec<Result<Approval, Refusal>> =
        records.iter().zip(&required).map(|(record, required)| approval(record, *required, rules)).collect();
    let candidates: Vec<&Record> = records
        .iter()
        .zip(&approvals)
        .filter(|(_, approval)| approval.is_ok())
        .map(|(record, _)| record)
        .collect();
    let mut checked = record::verify_all(&candidates, rules.parameters.strict_signatures).into_iter();
    let checked: Vec<Result<(Vec<RecoveredSelector>, Approval), Refusal>> = approvals
        .into_iter()
        .map(|approval| {
            let approval = approval?;
            // One for each that got here, in the same order.
            let selectors = checked.next().unwrap_or(Ok(Vec::new()));
            let selectors = selectors.map_err(|e| match e {
                RecordError::Signature(_) => Refusal::Signature,
                RecordError::Claim { index, source } => Refusal::Claim { index, source },
            })?;
            Ok((selectors, approval))
        })
        .collect();
    let proofs: Vec<(&[u8; 48], Work)> = records
        .iter()
        .zip(&checked)
        .filter(|(_, checked)| checked.as_ref().is_ok_and(|(_, approval)| approval.looks_at_work()))
        .filter_map(|(record, _)| Some((record.work_hash(), *record.work()?)))
        .collect();
    let mut works = if proofs.is_empty() { Vec::new() } else { verify_work(&proofs) }.into_iter();
    records
        .into_iter()
        .zip(checked)
        .zip(required)
        .map(|((record, checked), required)| {
            let (selectors, approval) = match checked {
                Ok(checked) => checked,
                Err(refusal) => return Verdict::Refused(refusal),
            };
            // An answer that is missing is none: such work is not accepted.
            let work = if approval.looks_at_work() { works.next() } else { None };
            conclude(Verified { record, selectors, work_verified: false }, approval, work, required)
        })
        .collect()
}

/// The verdict on a record whose signature and claims are well.
fn conclude(
    verified: Verified,
    approval: Approval,
    work: Option<Result<(), WorkError>>,
    required: u32,
) -> Verdict {
    let holds = matches!(work, Some(Ok(())));
    match approval {
        Approval::Given => Verdict::Accepted(verified),
        Approval::IfWorkHolds => {
            let slow = SlowWork { verified, required };
            if matches!(&work, Some(Err(e)) if e.is_undecided()) {
                return Verdict::SlowWork(slow);
            }
            slow.decide(holds).map_or_else(Verdict::Refused, Verdict::Accepted)
        }
        Approval::Missing { refusal, has_work } if !has_work || holds => {
            Verdict::Refused(Refusal::Unapproved(Box::new(Unapproved { record: verified.record, refusal })))
        }
        Approval::Missing { refusal, .. } => Verdict::Refused(refusal),
    }
}

/// Whether a checked record of a client is to be taken: those whose owner's certificates are all revoked enter the graph
/// when they come from elsewhere, so that it stays whole, but nobody makes new ones here.
///
/// # Errors
/// [`Refusal::CertificateRevoked`].
pub fn check_new(verified: &Verified, rules: &Rules<'_>) -> Result<(), Refusal> {
    let by_work = verified.work_verified && !rules.parameters.auth_required;
    let record = &verified.record;
    if !rules.local_test
        && !by_work
        && rules.certificates.certified(record.owner(), record.timestamp()) == Certified::Revoked
    {
        return Err(Refusal::CertificateRevoked);
    }
    Ok(())
}

/// Whether step 7 of acceptance holds for a record without another look at its work: what has changed since it was
/// found wanting may approve it now.
pub fn may_be_approved(record: &Record, rules: &Rules<'_>) -> bool {
    let required = rules.required_difficulty(record.billable_bytes());
    matches!(approval(record, required, rules), Ok(Approval::Given | Approval::IfWorkHolds))
}

/// What approves a record, as far as that can be seen without verifying its work. One that nothing can approve cannot
/// become good by costlier checks.
fn approval(record: &Record, required: u32, rules: &Rules<'_>) -> Result<Approval, Refusal> {
    if rules.local_test {
        return Ok(Approval::Given);
    }
    let difficulty = record.work().map(Work::difficulty);
    let enough = difficulty.is_some_and(|d| d >= required);
    if rules.certificates.certified(record.owner(), record.timestamp()) != Certified::No {
        return Ok(if difficulty.is_some() { Approval::IfWorkHolds } else { Approval::Given });
    }
    if rules.parameters.auth_required {
        return Ok(Approval::Missing { refusal: Refusal::CertificateRequired, has_work: false });
    }
    if enough {
        return Ok(Approval::IfWorkHolds);
    }
    let problem = if difficulty.is_none() { "it has none" } else { "its difficulty is too low" };
    let refusal = Refusal::Work { problem, required };
    if !rules.parameters.auth_certificates.is_empty() {
        // A certificate may be on its way.
        return Ok(Approval::Missing { refusal, has_work: false });
    }
    let least = lf_proto::work::required_difficulty(record.billable_bytes(), 1);
    let amendable = rules.parameters.amendable_fields.iter().any(|f| f.eq_ignore_ascii_case("workfactor"));
    if amendable && difficulty.is_some_and(|d| d >= least) {
        return Ok(Approval::Missing { refusal, has_work: true });
    }
    Err(refusal)
}
