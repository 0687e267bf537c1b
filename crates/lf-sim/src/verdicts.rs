//! The node's own acceptance rules, with the costly checks made once for all nodes: what they say of a record depends on
//! the record and the rules alone.

use std::collections::HashMap;

use lf_node::core::Rules;
use lf_node::core::accept::{self, Refusal, Verdict};
use lf_node::core::sync::Outcome;
use lf_proto::genesis::GenesisParameters;
use lf_proto::hash::Hash;
use lf_proto::owner::OwnerPublic;
use lf_proto::record::Record;
use lf_proto::selector::RecoveredSelector;
use lf_store::{Put, StoreReader};

/// The rules of the simulated network: its parameters, and no proof of work, which would cost the simulation more than
/// everything else together. (Work is still in the records, unverified, so that they have different scores.) Where
/// certificates are asked for, they are.
pub(crate) fn rules<'a>(
    parameters: &'a GenesisParameters,
    genesis_owner: &'a OwnerPublic,
    reader: &'a StoreReader,
) -> Rules<'a> {
    Rules { parameters, genesis_owner, local_test: !parameters.auth_required, certificates: reader }
}

/// What is known of records. Looked up only, so that the order of the map does not matter.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    known: HashMap<(Hash, bool), Result<Vec<RecoveredSelector>, Refusal>>,
}

impl Verdicts {
    /// All checks of a record, as a node makes them at its time (`now`, seconds since 1970).
    pub(crate) fn check(&mut self, record: &Record, rules: &Rules<'_>, now: u64) -> Result<Put, Refusal> {
        accept::check_limits(record, rules, now)?;
        let key = (record.hash(), rules.parameters.strict_signatures);
        let known = self.known.entry(key).or_insert_with(|| {
            // What is approved is another thing at each node, so that is looked at below.
            let all = Rules { local_test: true, ..*rules };
            let verdict = accept::verify_all(vec![record.clone()], &all, |_| Vec::new()).pop();
            match verdict {
                Some(Verdict::Accepted(verified)) => Ok(verified.selectors),
                Some(Verdict::Refused(refusal)) => Err(refusal),
                // No work is verified here.
                Some(Verdict::SlowWork(slow)) => Err(slow.refuse()),
                None => Err(Refusal::Signature),
            }
        });
        let selectors = known.clone()?;
        if !accept::may_be_approved(record, rules) {
            return Err(Refusal::CertificateRequired);
        }
        Ok(Put { record: record.clone(), selectors, work_verified: false })
    }
}

/// Whose fault a refusal is. What depends on the clock, or on parameters that may have been amended here or there, is
/// nobody's.
pub(crate) fn outcome_of(refusal: &Refusal) -> Outcome {
    match refusal {
        Refusal::Malformed(_) | Refusal::Prohibited | Refusal::Claim { .. } | Refusal::Signature => {
            Outcome::Invalid
        }
        Refusal::CertificateRequired => Outcome::Limbo,
        _ => Outcome::Refused,
    }
}
