//! Making a network, its first records linked and worked for, and amending it.

use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_proto::hash::Hash;
use lf_proto::owner::OwnerSecret;
use lf_proto::record::{LINKS_MAX, Record, RecordBuilder, RecordType};
use lf_proto::work;

use crate::write::check_value;
use crate::{Client, ClientError, WorkProgress, Workers, secrets};

/// A network to be made.
#[derive(Debug)]
pub struct GenesisPlan<'a> {
    /// Its parameters. An `id` of zeros is replaced by a random one.
    pub parameters: GenesisParameters,
    /// Who owns its genesis, and can amend what is amendable.
    pub owner: &'a OwnerSecret,
    /// The records' time, seconds since 1970.
    pub timestamp: u64,
    /// Who does the work. None does none: nodes trust genesis.lf without it.
    pub workers: Option<Workers>,
}

/// New parameters for a network.
#[derive(Debug)]
pub struct Amendment<'a> {
    /// All of them, also those that stay as they are.
    pub parameters: &'a GenesisParameters,
    /// The genesis owner.
    pub owner: &'a OwnerSecret,
    /// Who does the work.
    pub workers: Workers,
}

/// Makes genesis.lf: as many records as a record must have links (so that the first record after them finds enough),
/// each linking to all before it. `progress` gets the record's place, the number of records and the work's progress,
/// and stops it by returning false.
///
/// # Errors
/// Parameters no network can have, or the work was stopped.
pub fn make_genesis(
    plan: GenesisPlan<'_>,
    progress: &mut dyn FnMut(usize, usize, WorkProgress) -> bool,
) -> Result<Genesis, ClientError> {
    let GenesisPlan { mut parameters, owner, timestamp, workers } = plan;
    if parameters.id == [0; 32] {
        parameters.id = secrets::random()?;
    }
    let amendable = parameters.amendable_fields.iter().map(String::as_str);
    parameters.amendable_fields = GenesisParameters::amendable_names(amendable)?;
    let count = parameters.links_min().clamp(1, LINKS_MAX);
    let work_factor = u32::try_from(parameters.work_factor()).unwrap_or(u32::MAX);
    let value = parameters.to_json();
    let mut records: Vec<Record> = Vec::with_capacity(count);
    for index in 0..count {
        let links: Vec<Hash> = records.iter().map(Record::hash).collect();
        let builder = RecordBuilder {
            record_type: RecordType::Genesis,
            value: if index == 0 { value.as_bytes() } else { b"" },
            masking_key: Some(b""),
            selectors: &[],
            links: &links,
            timestamp,
            with_pulse_token: false,
        };
        let unworked = builder.build(owner)?;
        let difficulty = work::required_difficulty(unworked.billable_bytes(), work_factor);
        let work = match &workers {
            Some(workers) => {
                Some(workers.search(unworked.work_hash(), difficulty, &mut |p| progress(index, count, p))?)
            }
            None => None,
        };
        records.push(unworked.sign(owner, work));
    }
    let file: Vec<u8> = records.iter().flat_map(|r| r.as_bytes().iter().copied()).collect();
    Ok(Genesis::parse(&file)?)
}

impl Client {
    /// Publishes an amendment: a genesis record whose value says what the network's parameters are from now on. The
    /// node applies those that are amendable, if no newer amendment is known to it. `progress` gets the work's
    /// progress, and stops it by returning false.
    ///
    /// # Errors
    /// No answer, the node's reason to refuse the record, or the work was stopped.
    pub fn amend(
        &self,
        amendment: &Amendment<'_>,
        progress: &mut dyn FnMut(WorkProgress) -> bool,
    ) -> Result<Record, ClientError> {
        let status = self.status()?;
        let current = &status.genesis_parameters;
        let value = amendment.parameters.to_json();
        check_value(value.as_bytes(), current.record_max_value_size, amendment.owner.public())?;
        let owner = self.owner_status(amendment.owner.public())?;
        let certified = owner.has_current_certificate || status.local_test_mode;
        if current.auth_required && !certified {
            return Err(ClientError::CertificateRequired(*amendment.owner.public()));
        }
        let builder = RecordBuilder {
            record_type: RecordType::Genesis,
            value: value.as_bytes(),
            masking_key: Some(b""),
            selectors: &[],
            links: &owner.new_record_links,
            timestamp: status.clock,
            with_pulse_token: false,
        };
        let unworked = builder.build(amendment.owner)?;
        let work = if certified {
            None
        } else {
            let factor = u32::try_from(current.work_factor()).unwrap_or(u32::MAX);
            let difficulty = work::required_difficulty(unworked.billable_bytes(), factor);
            Some(amendment.workers.search(unworked.work_hash(), difficulty, progress)?)
        };
        let record = unworked.sign(amendment.owner, work);
        self.post(&record)?;
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use lf_proto::owner::OwnerType;
    use lf_proto::work::{Table, TablePasses};

    #[test]
    fn records_link_to_all_before_and_carry_work() {
        let owner = OwnerSecret::from_seed(OwnerType::Ed25519, b"genesis");
        let parameters = GenesisParameters {
            name: "test".into(),
            record_min_links: 3,
            amendable_fields: vec![" Comment".into()],
            ..GenesisParameters::default()
        };
        let plan = GenesisPlan { parameters, owner: &owner, timestamp: 5, workers: Some(Workers::default()) };
        let genesis = make_genesis(plan, &mut |_, _, _| true).unwrap();
        let records = genesis.records();
        assert_eq!(records.iter().map(|r| r.links().len()).collect::<Vec<_>>(), [0, 1, 2]);
        for record in records {
            let work = record.work().unwrap();
            assert_eq!(work.difficulty(), work::cost(record.billable_bytes()));
            let verdict = work::verify(Table::shared(), record.work_hash(), work, TablePasses::NONE);
            assert_eq!(verdict, Ok(()));
        }
        assert_ne!(genesis.parameters().id, [0; 32]);
        assert_eq!(genesis.parameters().amendable_fields, ["comment"]);
        assert_eq!(genesis.owner(), owner.public());
    }
}
