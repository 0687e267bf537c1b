//! Taking records and pulses in.

use std::sync::PoisonError;

use lf_proto::api::Made;
use lf_proto::pulse::Pulse;
use lf_proto::record::Record;
use lf_store::{Answer, Put, PutOutcome, StoreError};

use super::{Node, Tally, now};
use crate::core::accept::{self, Refusal, Verified};
use crate::core::{Rules, pulse};
use crate::failure::Failure;
use crate::verifier::Lane;

impl Node {
    /// Accepts one record; durable when this returns. One that is stored already is a success.
    ///
    /// # Errors
    /// Why the record is refused, or that it cannot be stored now.
    pub fn post(&self, bytes: &[u8]) -> Result<Record, Failure> {
        let record = Record::decode(bytes).map_err(Refusal::from).map_err(|e| self.refuse(e))?;
        if self.inner.reader.view().standing(&record.hash())?.is_some() {
            Tally::add(&self.inner.tally.records_duplicate);
            return Ok(record);
        }
        let parameters = self.inner.reader.parameters();
        let rules = self.rules(&parameters);
        let verified = self.check(record, &rules)?;
        let record = verified.record.clone();
        self.store(vec![verified])?;
        Ok(record)
    }

    /// Accepts a pulse if it is news. `steps_max` bounds what checking it may cost, in hash steps of about 15 ns.
    ///
    /// # Errors
    /// The pulse cannot be stored now. Junk is no error: it is not accepted.
    pub fn pulse(&self, bytes: &[u8], steps_max: u32) -> Result<Made, Failure> {
        let parsed = Pulse::from_bytes(bytes).ok();
        let accepted = match parsed {
            Some(pulse) => self.accept_pulse(pulse, steps_max)?,
            None => false,
        };
        let tally = &self.inner.tally;
        Tally::add(if accepted { &tally.pulses_accepted } else { &tally.pulses_refused });
        Ok(Made { record: None, pulse: parsed.map(|p| base64_of(&p)).unwrap_or_default(), accepted })
    }

    pub(super) fn accept_pulse(&self, pulse: Pulse, steps_max: u32) -> Result<bool, Failure> {
        let parameters = self.inner.reader.parameters();
        let found =
            pulse::check(pulse, &self.inner.reader.view(), &self.rules(&parameters), now(), steps_max)?;
        let Some(found) = found else { return Ok(false) };
        let answer = self.submit(Vec::new(), vec![(found.token, found.pulse)])?;
        Ok(answer.pulses.first().copied().unwrap_or(false))
    }

    /// All checks of a record, in order of cost.
    pub(super) fn check(&self, record: Record, rules: &Rules<'_>) -> Result<Verified, Failure> {
        accept::check_limits(&record, rules, now()).map_err(|e| self.refuse(e))?;
        let verdict = self.inner.verifier.check(Lane::Request, vec![record]).recv();
        let verdict = verdict.ok().and_then(|mut verdicts| verdicts.pop()).ok_or_else(unchecked)?;
        verdict.map_err(|e| self.refuse(e))
    }

    /// Stores checked records and waits until they are durable.
    pub(super) fn store(&self, verified: Vec<Verified>) -> Result<Answer, Failure> {
        self.submit(verified.into_iter().map(Put::from).collect(), Vec::new())
    }

    fn submit(&self, puts: Vec<Put>, pulses: Vec<(u64, Pulse)>) -> Result<Answer, Failure> {
        self.note(self.inner.writer.put(puts, pulses))
    }

    /// Counts what became of a batch, and remembers why nothing can be written.
    pub(super) fn note(&self, answer: Result<Answer, StoreError>) -> Result<Answer, Failure> {
        let tally = &self.inner.tally;
        let mut read_only = self.inner.read_only.lock().unwrap_or_else(PoisonError::into_inner);
        match &answer {
            Ok(_) => read_only.clear(),
            Err(e) => {
                Tally::add(&tally.store_errors);
                if !matches!(e, StoreError::Closed) {
                    *read_only = e.to_string();
                }
            }
        }
        drop(read_only);
        let answer = answer?;
        for outcome in &answer.records {
            match outcome {
                PutOutcome::Stored(_) => Tally::add(&tally.records_accepted),
                PutOutcome::Duplicate => Tally::add(&tally.records_duplicate),
            }
        }
        Ok(answer)
    }

    pub(super) fn refuse(&self, refusal: Refusal) -> Failure {
        self.inner.tally.refused(refusal.name());
        refusal.into()
    }
}

/// No verdict came.
pub(super) fn unchecked() -> Failure {
    let message = "the record was not checked: the node is stopping, or hit a bug that its log tells";
    Failure { status: 503, name: "ErrIO", message: message.to_owned() }
}

/// A pulse as `/makerecord`, `/makepulse` and `/pulse` answer it.
pub(super) fn base64_of(pulse: &Pulse) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(pulse.to_bytes())
}
