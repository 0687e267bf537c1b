//! Making records and pulses for trusted clients that hand over their keys.

use std::sync::atomic::{AtomicBool, Ordering};

use lf_proto::api::{Made, MakeRecord, RecordJson, WorkAnswer, WorkRequest};
use lf_proto::blob::Blob;
use lf_proto::masking;
use lf_proto::owner::OwnerSecret;
use lf_proto::pulse::{PULSE_MINUTES_MAX, Pulse, PulseError, PulseStart, PulseToken};
use lf_proto::record::{RecordBuilder, RecordType};
use lf_proto::selector::SelectorKey;
use lf_proto::work::{DIFFICULTY_MAX, Progress, Search, Table, Work};
use lf_store::Row;

use super::write::base64_of;
use super::{Node, now, random};
use crate::core::accept::Refusal;
use crate::core::{Certified, query};
use crate::failure::Failure;

/// Memory that one search for work may take.
const SEARCH_BYTES_MAX: usize = 256 << 20;
/// The size of what a record's work is for (PROTOCOL.md §8).
const WORK_HASH_BYTES: usize = 48;

/// A request with its keys taken apart.
struct Request<'a> {
    owner: OwnerSecret,
    masking_key: Option<&'a [u8]>,
    passphrase_key: Option<lf_proto::Zeroizing<[u8; 32]>>,
    selectors: Vec<(&'a [u8], u64)>,
    timestamp: u64,
}

impl Request<'_> {
    /// What masks the value: the key asked for, the passphrase's, or the first selector's name.
    fn key(&self) -> &[u8] {
        let derived: Option<&[u8]> = self.passphrase_key.as_deref().map(<[u8; 32]>::as_slice);
        let first = self.selectors.first().map(|(name, _)| *name);
        self.masking_key.or(derived).or(first).unwrap_or_default()
    }
}

/// What became of a wish to pulse.
enum Pulsed {
    /// It was made.
    Made {
        /// The pulse.
        pulse: Pulse,
        /// Whether it was news.
        accepted: bool,
    },
    /// Less than a minute has passed since the record.
    TooSoon,
    /// The record is too old to be pulsed.
    SpanExceeded,
    /// The record is newer than the time asked for.
    Newer,
}

impl Node {
    /// Makes, works on, signs and stores a record; or only pulses, if asked to and the value is unchanged. Setting
    /// `cancel` stops the work.
    ///
    /// # Errors
    /// What is wrong with the request, or why the record is refused.
    pub fn make_record(&self, make: &MakeRecord, cancel: &AtomicBool) -> Result<Made, Failure> {
        let request = self.request(make)?;
        if make.pulse_if_unchanged
            && let Some((row, value)) = self.newest(&request)?
            && value == make.value.0
        {
            match self.pulse_row(&request, &row)? {
                Pulsed::Made { pulse, accepted } => return Ok(made_pulse(&pulse, accepted)),
                Pulsed::TooSoon => {
                    let record = self.record(&row.hash)?;
                    return Ok(Made { record: record.as_ref().map(RecordJson::from), ..Made::default() });
                }
                Pulsed::SpanExceeded | Pulsed::Newer => {}
            }
        }
        self.make(&request, &make.value.0, cancel)
    }

    /// Pulses the newest record of the owner with these selectors.
    ///
    /// # Errors
    /// There is none, it is newer than the time asked for, or it is too old and no new one is wanted.
    pub fn make_pulse(&self, make: &MakeRecord, cancel: &AtomicBool) -> Result<Made, Failure> {
        let request = self.request(make)?;
        let Some((row, value)) = self.newest(&request)? else {
            return Err(Failure::bad_request("ErrRecordNotFound", "pulse creation failed: record not found"));
        };
        match self.pulse_row(&request, &row)? {
            Pulsed::Made { pulse, accepted } => Ok(made_pulse(&pulse, accepted)),
            Pulsed::TooSoon => Ok(Made::default()),
            Pulsed::Newer => {
                let message = "pulse creation failed: record is newer than the timestamp";
                Err(Failure::bad_request("ErrRecordIsNewer", message))
            }
            Pulsed::SpanExceeded if make.new_record_if_pulse_span_exceeded.unwrap_or(true) => {
                self.make(&request, &value, cancel)
            }
            Pulsed::SpanExceeded => {
                let message = "pulse creation failed: the record is more than a year old";
                Err(Failure::bad_request("ErrPulseSpanExceeded", message))
            }
        }
    }

    /// Searches for proof of work, for who signs on its own. Setting `cancel` stops it.
    ///
    /// # Errors
    /// What is asked for is no work of a record, or the search was stopped.
    pub fn work(&self, request: &WorkRequest, cancel: &AtomicBool) -> Result<WorkAnswer, Failure> {
        let bad = |what: &str| {
            Err(Failure::bad_request("ErrInvalidParameter", format!("cannot search for work: {what}")))
        };
        if request.work_hash.0.len() != WORK_HASH_BYTES {
            return bad("WorkHash is not 48 bytes");
        }
        if !(1..=DIFFICULTY_MAX).contains(&request.difficulty) {
            return bad("Difficulty is not from 1 to that of the largest record");
        }
        let work = search(&request.work_hash.0, request.difficulty, cancel)?;
        Ok(WorkAnswer { work: Blob(work.0.to_vec()) })
    }

    fn request<'a>(&self, make: &'a MakeRecord) -> Result<Request<'a>, Failure> {
        let bad = |problem: String| {
            Failure::bad_request("ErrInvalidPrivateKey", format!("record creation failed: {problem}"))
        };
        let (owner, passphrase_key) = if !make.passphrase.is_empty() {
            let (owner, key) = OwnerSecret::from_passphrase(make.passphrase.as_bytes());
            (owner, Some(key))
        } else if make.owner_private.is_empty() {
            return Err(bad("invalid private key: give OwnerPrivate or Passphrase".to_owned()));
        } else {
            let owner = OwnerSecret::parse(&make.owner_private.0);
            (owner.map_err(|e| bad(format!("invalid private key: {e}")))?, None)
        };
        Ok(Request {
            owner,
            passphrase_key,
            masking_key: Some(make.masking_key.0.as_slice()).filter(|key| !key.is_empty()),
            selectors: make.selectors.iter().map(|s| (s.name.0.as_slice(), s.ordinal)).collect(),
            timestamp: if make.timestamp == 0 { now() } else { make.timestamp },
        })
    }

    /// The owner's newest record with exactly these selectors, and its plain value.
    fn newest(&self, request: &Request<'_>) -> Result<Option<(Row, Vec<u8>)>, Failure> {
        let mut keys: Vec<SelectorKey> = Vec::with_capacity(request.selectors.len());
        for (name, ordinal) in &request.selectors {
            let key = self.inner.names.get(name).key(*ordinal);
            keys.push(key.map_err(|e| Failure::bad_request("ErrInvalidParameter", e.to_string()))?);
        }
        let parameters = self.inner.reader.parameters();
        let view = self.inner.reader.view();
        let newest = query::newest_of(&keys, request.owner.public(), &view, &self.rules(&parameters))?;
        let Some(row) = newest else { return Ok(None) };
        let value = view.record(&row).and_then(|record| {
            masking::unmask(record.stored_value(), record.timestamp(), request.key(), record.owner()).ok()
        });
        Ok(Some((row, value.unwrap_or_default())))
    }

    fn pulse_row(&self, request: &Request<'_>, row: &Row) -> Result<Pulsed, Failure> {
        let Some(age_secs) = request.timestamp.checked_sub(row.timestamp) else { return Ok(Pulsed::Newer) };
        let minutes = match u32::try_from(age_secs / 60) {
            Ok(0) => return Ok(Pulsed::TooSoon),
            Ok(minutes) if minutes <= PULSE_MINUTES_MAX => minutes,
            _ => return Ok(Pulsed::SpanExceeded),
        };
        let (names, ordinals): (Vec<&[u8]>, Vec<u64>) = request.selectors.iter().copied().unzip();
        let bad = |e: PulseError| Failure::bad_request("ErrInvalidParameter", e.to_string());
        let start =
            PulseStart::new(&names, &ordinals, row.timestamp, &request.owner.private_hash()).map_err(bad)?;
        let pulse = match self.inner.pulse_chains.get(&start, PulseToken(row.pulse_token)) {
            Ok(chain) => chain.pulse_at(minutes),
            // The record was made by other means. Nobody will accept it, but it was asked for.
            Err(_) => start.pulse_at(minutes),
        };
        let pulse = pulse.map_err(bad)?;
        let accepted = self.clients_pulse(pulse, &mut { u64::MAX })?;
        Ok(Pulsed::Made { pulse, accepted })
    }

    fn make(&self, request: &Request<'_>, value: &[u8], cancel: &AtomicBool) -> Result<Made, Failure> {
        let parameters = self.inner.reader.parameters();
        let rules = self.rules(&parameters);
        let links = self.links(None)?;
        let unworked = RecordBuilder {
            record_type: RecordType::Datum,
            value,
            masking_key: Some(request.key()),
            selectors: &request.selectors,
            links: &links,
            timestamp: request.timestamp,
            with_pulse_token: true,
        }
        .build_with(&request.owner, &self.inner.names)?;
        let owner = request.owner.public();
        let certified = rules.certificates.certified(owner, request.timestamp);
        let work = if rules.local_test || certified == Certified::Yes {
            None
        } else if rules.parameters.auth_required {
            // Before seconds go into work that would not help.
            let revoked = certified == Certified::Revoked;
            let refusal = if revoked { Refusal::CertificateRevoked } else { Refusal::CertificateRequired };
            return Err(self.refuse(refusal));
        } else {
            let required = rules.required_difficulty(unworked.billable_bytes());
            Some(search(unworked.work_hash(), required, cancel)?)
        };
        let record = unworked.sign(&request.owner, work);
        let verified = self.check(record, &rules)?;
        let json = RecordJson::from(&verified.record);
        self.store(vec![verified])?;
        Ok(Made { record: Some(json), pulse: String::new(), accepted: true })
    }
}

fn made_pulse(pulse: &Pulse, accepted: bool) -> Made {
    Made { record: None, pulse: base64_of(pulse), accepted }
}

/// Searches for work on all cores.
fn search(work_hash: &[u8], difficulty: u32, cancel: &AtomicBool) -> Result<Work, Failure> {
    let search = Search::new(Table::shared(), work_hash, difficulty, SEARCH_BYTES_MAX, random(u64::MAX))
        .map_err(|e| Failure { status: 500, name: "ErrWharrgarblFailed", message: e.to_string() })?;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut worker = search.worker();
                while !cancel.load(Ordering::Relaxed) && worker.step() == Progress::Searching {}
            });
        }
    });
    search.found().ok_or_else(|| Failure {
        status: 503,
        name: "ErrWharrgarblFailed",
        message: "the search for work was stopped".to_owned(),
    })
}
