//! Writing: records are made, worked for and signed here, then posted.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use lf_proto::api::OwnerStatus;
use lf_proto::hash::Hash;
use lf_proto::masking;
use lf_proto::owner::{OwnerPublic, OwnerSecret};
use lf_proto::pulse::{PULSE_MINUTES_MAX, Pulse, PulseStart, PulseToken};
use lf_proto::record::{Record, RecordBuilder, RecordType};
use lf_proto::work;

use crate::{Client, ClientError, Find, FoundRecord, SelectorArg, WorkProgress, Workers};

/// How long what a node says of its network is believed.
const NETWORK_FRESH: Duration = Duration::from_secs(60);

/// Whether an existing record is pulsed instead of written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pulsing {
    /// An unchanged value stays as it is.
    #[default]
    No,
    /// An unchanged value is pulsed, or written again if it cannot be pulsed any more.
    IfUnchanged,
}

/// A value to write.
#[derive(Debug, Clone, Copy)]
pub struct Write<'a> {
    /// Who writes it.
    pub owner: &'a OwnerSecret,
    /// Under which names, one ordinal each.
    pub selectors: &'a [SelectorArg],
    /// The plain value.
    pub value: &'a [u8],
    /// Masks the value; by default the first selector's name.
    pub masking_key: Option<&'a [u8]>,
    /// What to do with an unchanged value.
    pub pulsing: Pulsing,
    /// Whether proof of work may be done if the network needs it.
    pub may_work: bool,
    /// Who does the work.
    pub workers: Workers,
}

/// What a write is doing.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum WriteStep {
    /// Working, for a record of so many billable bytes.
    Working {
        /// The bytes that the work pays for.
        billable_bytes: u64,
        /// How it goes.
        progress: WorkProgress,
    },
    /// No work is needed: the owner has a certificate.
    Certified,
    /// Everything is made and goes to the node.
    Posting,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// A new record, which the node has acknowledged.
    New(Hash),
    /// The value was there already.
    Unchanged(Hash),
    /// The record that holds the value was pulsed.
    Pulsed {
        /// The record.
        record: Hash,
        /// The pulse.
        pulse: Pulse,
    },
}

/// What of the network matters to writers.
#[derive(Debug, Clone, Copy)]
struct Network {
    local_test: bool,
    auth_required: bool,
    work_factor: u32,
    value_bytes_max: u64,
    drift_seconds: u64,
}

/// What of the network was heard last, and when.
#[derive(Debug, Default)]
pub(crate) struct NetworkCache(Mutex<Option<(Instant, Network)>>);

/// What a node says before a record is made.
struct Situation {
    network: Network,
    owner: OwnerStatus,
    /// The owner's newest record with these selectors.
    existing: Option<FoundRecord>,
}

enum Pulsed {
    Yes(Pulse),
    /// It was just written or pulsed: nothing to renew yet.
    NotYet,
    /// It is too old.
    Expired,
}

impl Client {
    fn network(&self) -> Result<Network, ClientError> {
        let mut cached = self.network.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, network)) = cached.filter(|(heard, _)| heard.elapsed() < NETWORK_FRESH) {
            return Ok(network);
        }
        let status = self.status()?;
        let p = &status.genesis_parameters;
        let network = Network {
            local_test: status.local_test_mode,
            auth_required: p.auth_required,
            work_factor: u32::try_from(p.work_factor()).unwrap_or(u32::MAX),
            value_bytes_max: p.record_max_value_size,
            drift_seconds: p.record_max_time_drift,
        };
        *cached = Some((Instant::now(), network));
        Ok(network)
    }

    fn situation(
        &self,
        owner: &OwnerPublic,
        selectors: &[SelectorArg],
        masking_key: Option<&[u8]>,
    ) -> Result<Situation, ClientError> {
        let find = Find {
            selectors: selectors.to_vec(),
            masking_key: masking_key.map(<[u8]>::to_vec),
            owners: vec![*owner],
            limit: 1,
            ..Find::default()
        };
        let network = self.network()?;
        let existing = self.find(&find)?.sets.first().map(|set| set.winner().clone());
        Ok(Situation { network, owner: self.owner_status(owner)?, existing })
    }

    /// Writes a value, unless the owner's newest record with these selectors holds it already. `step` is told what
    /// goes on and stops it by returning false; nothing is written then.
    ///
    /// # Errors
    /// What the node, the network or the arguments do not allow.
    pub fn write(
        &self,
        write: &Write<'_>,
        step: &mut dyn FnMut(WriteStep) -> bool,
    ) -> Result<Written, ClientError> {
        let plain = plain_selectors(write.selectors)?;
        let situation = self.situation(write.owner.public(), write.selectors, write.masking_key)?;
        if let Some(existing) = &situation.existing {
            let hash = existing.record.hash();
            let unchanged = existing.value.as_deref() == Some(write.value);
            match (unchanged, write.pulsing) {
                (false, _) => {}
                (true, Pulsing::No) => return Ok(Written::Unchanged(hash)),
                (true, Pulsing::IfUnchanged) => {
                    match self.pulse_record(write.owner, &plain, existing, situation.owner.server_time) {
                        Ok(Pulsed::Yes(pulse)) => return Ok(Written::Pulsed { record: hash, pulse }),
                        Ok(Pulsed::NotYet) => return Ok(Written::Unchanged(hash)),
                        Ok(Pulsed::Expired) | Err(ClientError::NotPulsable(_)) => {}
                        Err(e) => return Err(e),
                    }
                }
            }
        }
        self.write_new(write, &plain, &situation, step).map(|record| Written::New(record.hash()))
    }

    /// Pulses the owner's newest record with these selectors; one too old for that is written again.
    ///
    /// # Errors
    /// There is no such record, it cannot be pulsed, or what [`Client::write`] says.
    pub fn renew(
        &self,
        write: &Write<'_>,
        step: &mut dyn FnMut(WriteStep) -> bool,
    ) -> Result<Written, ClientError> {
        let plain = plain_selectors(write.selectors)?;
        let owner = write.owner.public();
        let situation = self.situation(owner, write.selectors, write.masking_key)?;
        let existing = situation.existing.as_ref().ok_or(ClientError::NothingToPulse(*owner))?;
        let hash = existing.record.hash();
        match self.pulse_record(write.owner, &plain, existing, situation.owner.server_time)? {
            Pulsed::Yes(pulse) => Ok(Written::Pulsed { record: hash, pulse }),
            Pulsed::NotYet => Ok(Written::Unchanged(hash)),
            Pulsed::Expired => {
                let value = existing.value.as_deref().ok_or(ClientError::CannotRenew)?;
                let write = Write { value, ..*write };
                self.write_new(&write, &plain, &situation, step).map(|record| Written::New(record.hash()))
            }
        }
    }

    fn write_new(
        &self,
        write: &Write<'_>,
        plain: &[(&[u8], u64)],
        situation: &Situation,
        step: &mut dyn FnMut(WriteStep) -> bool,
    ) -> Result<Record, ClientError> {
        let Situation { network, owner: status, existing } = situation;
        let owner = *write.owner.public();
        check_value(write.value, network.value_bytes_max, &owner)?;
        if network.auth_required && !status.has_current_certificate && !network.local_test {
            return Err(ClientError::CertificateRequired(owner));
        }
        let works = !network.local_test && !status.has_current_certificate;
        if works && !write.may_work {
            return Err(ClientError::WorkNeeded(owner));
        }
        // Of two revisions of one second the larger hash counts, so ours must not be of the second of the old one.
        let now = status.server_time;
        let timestamp = existing.as_ref().map_or(now, |old| {
            now.max(old.record.timestamp().saturating_add(1)).min(now.saturating_add(network.drift_seconds))
        });
        let builder = RecordBuilder {
            record_type: RecordType::Datum,
            value: write.value,
            masking_key: write.masking_key,
            selectors: plain,
            links: &status.new_record_links,
            timestamp,
            with_pulse_token: true,
        };
        let unworked = builder.build_with(write.owner, &self.names)?;
        let billable_bytes = unworked.billable_bytes();
        let work = if works {
            let difficulty = work::required_difficulty(billable_bytes, network.work_factor);
            let mut progress = |progress| step(WriteStep::Working { billable_bytes, progress });
            Some(write.workers.search(unworked.work_hash(), difficulty, &mut progress)?)
        } else {
            if !network.local_test && !step(WriteStep::Certified) {
                return Err(ClientError::Cancelled);
            }
            None
        };
        if !step(WriteStep::Posting) {
            return Err(ClientError::Cancelled);
        }
        let record = unworked.sign(write.owner, work);
        self.post(&record)?;
        Ok(record)
    }

    /// Publishes a record without selectors: not data, but something that nodes understand. Works for it where that is
    /// what the node needs.
    pub(crate) fn publish(
        &self,
        owner: &OwnerSecret,
        record_type: RecordType,
        value: &[u8],
        masking_key: &[u8],
        workers: Workers,
        step: &mut dyn FnMut(WriteStep) -> bool,
    ) -> Result<Record, ClientError> {
        let network = self.network()?;
        check_value(value, network.value_bytes_max, owner.public())?;
        let status = self.owner_status(owner.public())?;
        let builder = RecordBuilder {
            record_type,
            value,
            masking_key: Some(masking_key),
            selectors: &[],
            links: &status.new_record_links,
            timestamp: status.server_time,
            with_pulse_token: false,
        };
        let unworked = builder.build(owner)?;
        let works = !network.local_test && !status.has_current_certificate && !network.auth_required;
        let work = if works {
            let billable_bytes = unworked.billable_bytes();
            let difficulty = work::required_difficulty(billable_bytes, network.work_factor);
            let mut progress = |progress| step(WriteStep::Working { billable_bytes, progress });
            Some(workers.search(unworked.work_hash(), difficulty, &mut progress)?)
        } else {
            None
        };
        if !step(WriteStep::Posting) {
            return Err(ClientError::Cancelled);
        }
        let record = unworked.sign(owner, work);
        self.post(&record)?;
        Ok(record)
    }

    /// Says that `old` goes on as `new`: a statement by the old key, which nobody can take back. Nodes keep the first one
    /// that they see.
    ///
    /// # Errors
    /// No answer, the node's reason to refuse the record, or it was stopped.
    pub fn publish_rotation(
        &self,
        old: &OwnerSecret,
        new: &OwnerPublic,
        workers: Workers,
        step: &mut dyn FnMut(WriteStep) -> bool,
    ) -> Result<Record, ClientError> {
        self.publish(old, RecordType::Rotation, new.as_bytes(), b"", workers, step)
    }

    fn pulse_record(
        &self,
        owner: &OwnerSecret,
        plain: &[(&[u8], u64)],
        existing: &FoundRecord,
        now: u64,
    ) -> Result<Pulsed, ClientError> {
        let record = &existing.record;
        let minutes = now.saturating_sub(record.timestamp()) / 60;
        if minutes > u64::from(PULSE_MINUTES_MAX) {
            return Ok(Pulsed::Expired);
        }
        let minutes = u32::try_from(minutes).unwrap_or(PULSE_MINUTES_MAX);
        let pulsed_minutes = existing.result.pulse.saturating_sub(record.timestamp()) / 60;
        let (names, ordinals): (Vec<&[u8]>, Vec<u64>) = plain.iter().copied().unzip();
        let start = PulseStart::new(&names, &ordinals, record.timestamp(), &owner.private_hash())
            .map_err(lf_proto::record::BuildError::Pulse)?;
        let chain = self.chains.get(&start, PulseToken(record.pulse_token()));
        let chain = chain.map_err(|_| ClientError::NotPulsable(record.hash()))?;
        if u64::from(minutes) <= pulsed_minutes {
            return Ok(Pulsed::NotYet);
        }
        let pulse = chain.pulse_at(minutes).map_err(lf_proto::record::BuildError::Pulse)?;
        if self.pulse(&pulse)? { Ok(Pulsed::Yes(pulse)) } else { Err(ClientError::PulseRefused) }
    }
}

fn plain_selectors(selectors: &[SelectorArg]) -> Result<Vec<(&[u8], u64)>, ClientError> {
    if selectors.is_empty() || selectors.len() > lf_proto::record::SELECTORS_MAX {
        return Err(ClientError::Selectors(selectors.len()));
    }
    let plain = |s: &'_ SelectorArg| s.ordinal().ok_or_else(|| ClientError::OneOrdinal(s.to_string()));
    selectors.iter().map(|s| Ok((s.name.as_slice(), plain(s)?))).collect()
}

/// Refuses a value that the network will not take, before any work is done for it.
pub(crate) fn check_value(value: &[u8], bytes_max: u64, owner: &OwnerPublic) -> Result<(), ClientError> {
    if value.len() as u64 <= bytes_max {
        return Ok(());
    }
    let bytes = if value.len() > masking::UNMASKED_BYTES_MAX {
        value.len()
    } else {
        masking::mask(value, 0, b"", owner).len().saturating_sub(2)
    };
    if bytes as u64 > bytes_max { Err(ClientError::ValueTooLarge { bytes, bytes_max }) } else { Ok(()) }
}
