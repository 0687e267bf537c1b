//! Publishing commentary (NODE.md §8): what an oracle says becomes a record like any other.

use lf_proto::hash::Hash;
use lf_proto::owner::{OwnerPublic, OwnerSecret};
use lf_proto::record::{LINKS_MAX, RecordBuilder, RecordType, UnworkedRecord};
use lf_proto::work::{Search, Table, Work, WorkError};

use super::{Node, now, random};
use crate::core::Certified;
use crate::core::accept::Refusal;
use crate::failure::Failure;

/// What a node tells of its oracle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OracleStatus {
    /// Whose commentary it is.
    pub owner: OwnerPublic,
    /// How many threads it works with at most.
    pub threads: usize,
}

/// A commentary record that is to be worked on and signed.
#[derive(Debug)]
pub(crate) struct Draft {
    unworked: UnworkedRecord,
    /// The difficulty it needs; none where its owner needs no work.
    pub(crate) required: Option<u32>,
}

impl Draft {
    /// A search for its work.
    ///
    /// # Errors
    /// The difficulty is 0.
    pub(crate) fn search(
        &self,
        difficulty: u32,
        memory_bytes_max: usize,
    ) -> Result<Search<'static>, WorkError> {
        let input = self.unworked.work_hash();
        Search::new(Table::shared(), input, difficulty, memory_bytes_max, random(u64::MAX))
    }
}

impl Node {
    /// Begins a commentary record: as many links as a record can have, no pulse token.
    ///
    /// # Errors
    /// The store failed, or the network takes records of certified owners only and this one is not.
    pub(crate) fn draft_commentary(&self, owner: &OwnerSecret, value: &[u8]) -> Result<Draft, Failure> {
        let parameters = self.inner.reader.parameters();
        let rules = self.rules(&parameters);
        let links = self.links(Some(LINKS_MAX))?;
        let timestamp = now();
        let builder = RecordBuilder {
            record_type: RecordType::Commentary,
            value,
            masking_key: None,
            selectors: &[],
            links: &links,
            timestamp,
            with_pulse_token: false,
        };
        let unworked = builder.build(owner)?;
        let certified = rules.certificates.certified(owner.public(), timestamp);
        let required = if rules.local_test || certified == Certified::Yes {
            None
        } else if rules.parameters.auth_required {
            return Err(Refusal::CertificateRequired.into());
        } else {
            Some(rules.required_difficulty(unworked.billable_bytes()))
        };
        Ok(Draft { unworked, required })
    }

    /// Signs and stores it; durable when this returns.
    ///
    /// # Errors
    /// Why it is refused, or that it cannot be stored now.
    pub(crate) fn publish_commentary(
        &self,
        owner: &OwnerSecret,
        draft: Draft,
        work: Option<Work>,
    ) -> Result<Hash, Failure> {
        let parameters = self.inner.reader.parameters();
        let record = draft.unworked.sign(owner, work);
        let hash = record.hash();
        let verified = self.check(record, &self.rules(&parameters))?;
        self.store(vec![verified])?;
        Ok(hash)
    }
}
