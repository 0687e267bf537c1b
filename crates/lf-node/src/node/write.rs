//! Taking records and pulses in.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{MutexGuard, PoisonError};

use lf_proto::api::Made;
use lf_proto::pulse::Pulse;
use lf_proto::record::Record;
use lf_store::{Answer, Put, PutOutcome, StoreError};

use super::{Node, Tally, now};
use crate::core::Rules;
use crate::core::accept::{self, Refusal, Verified};
use crate::core::pulse::{AcceptedPulse, KnownPulses, PulseBatch};
use crate::failure::Failure;
use crate::verifier::Lane;

/// Pulses that are checked together.
const PULSE_BATCH: usize = 4_096;

/// Pulses on their way to the disk, with their places among those asked about; and the store's answer to come.
type StoringPulses = (Vec<(usize, AcceptedPulse)>, Receiver<Result<Answer, StoreError>>);

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

    /// Accepts a pulse if it is news. `steps` pays for what checking it costs beyond the usual, as with
    /// [`Self::pulses`].
    ///
    /// # Errors
    /// The pulse cannot be stored now. Junk is no error: it is not accepted.
    pub fn pulse(&self, bytes: &[u8], steps: &mut u64) -> Result<Made, Failure> {
        let parsed = Pulse::from_bytes(bytes).ok();
        let accepted = match parsed {
            Some(pulse) => self.clients_pulse(pulse, steps)?,
            None => {
                Tally::add(&self.inner.tally.pulses_refused);
                false
            }
        };
        Ok(Made { record: None, pulse: parsed.map(|p| base64_of(&p)).unwrap_or_default(), accepted })
    }

    /// Accepts a client's pulse if it is news, and tells whoever announces it to peers.
    pub(super) fn clients_pulse(&self, pulse: Pulse, steps: &mut u64) -> Result<bool, Failure> {
        let news = self.pulses(&[pulse], steps)? == [true];
        if news && let Some(tell) = self.inner.on_pulse.get() {
            tell(pulse);
        }
        Ok(news)
    }

    /// Accepts those of many pulses that are news: one answer each; durable when this returns. `steps` are hash steps
    /// of about 2 to 15 ns, the sender's allowance: a pulse some minutes after what is known of its record costs
    /// nothing, and what is left of the steps decides how far others are followed.
    ///
    /// # Errors
    /// Pulses cannot be checked or stored now; some may have been.
    pub fn pulses(&self, pulses: &[Pulse], steps: &mut u64) -> Result<Vec<bool>, Failure> {
        let mut news = vec![false; pulses.len()];
        let mut storing = Vec::new();
        let parameters = self.inner.reader.parameters();
        let rules = self.rules(&parameters);
        for (chunk, first) in pulses.chunks(PULSE_BATCH).zip((0..).step_by(PULSE_BATCH)) {
            let mut batch = PulseBatch::new(chunk, &rules, now());
            self.near(&mut batch, &rules, steps)?;
            storing.extend(self.store_pulses(first, &mut batch));
            if batch.has_far() {
                let _turn = self.inner.slow_pulses.lock().unwrap_or_else(PoisonError::into_inner);
                while batch.far(steps) {
                    self.near(&mut batch, &rules, steps)?;
                }
                storing.extend(self.store_pulses(first, &mut batch));
            }
        }
        for (accepted, answer) in storing {
            let stored = self.settle(answer.recv().unwrap_or(Err(StoreError::Closed)))?.pulses;
            let stored = accepted.into_iter().zip(stored).filter(|(_, stored)| *stored).map(|(a, _)| a);
            let (indexes, stored): (Vec<usize>, Vec<AcceptedPulse>) = stored.unzip();
            indexes.into_iter().for_each(|index| news[index] = true);
            self.known_pulses().note(&stored);
        }
        let accepted = news.iter().filter(|news| **news).count();
        Tally::add_many(&self.inner.tally.pulses_accepted, accepted);
        Tally::add_many(&self.inner.tally.pulses_refused, news.len() - accepted);
        Ok(news)
    }

    fn known_pulses(&self) -> MutexGuard<'_, KnownPulses> {
        self.inner.known_pulses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn near(&self, batch: &mut PulseBatch, rules: &Rules<'_>, steps: &mut u64) -> Result<(), Failure> {
        let mut known = self.known_pulses();
        // Taken under the lock, so that no view is older than one before.
        let view = self.inner.reader.view();
        Ok(batch.near(&mut known, &view, rules, steps).inspect_err(|_| known.clear())?)
    }

    /// Queues what a batch has accepted so far; its indexes are counted from `first`.
    fn store_pulses(&self, first: usize, batch: &mut PulseBatch) -> Option<StoringPulses> {
        let mut accepted = batch.take_accepted();
        if accepted.is_empty() {
            return None;
        }
        accepted.iter_mut().for_each(|(index, _)| *index += first);
        let pulses = accepted.iter().map(|(_, a)| (a.token, a.pulse)).collect();
        let (sender, receiver) = sync_channel(1);
        self.inner.writer.submit(Vec::new(), pulses, move |answer| {
            // Nobody waits any more only if another part failed.
            let _ = sender.send(answer);
        });
        Some((accepted, receiver))
    }

    /// All checks of a record of a client, in order of cost.
    pub(super) fn check(&self, record: Record, rules: &Rules<'_>) -> Result<Verified, Failure> {
        accept::check_limits(&record, rules, now()).map_err(|e| self.refuse(e))?;
        let verdict = self.inner.verifier.check(Lane::Request, vec![record]).recv();
        let verdict = verdict.ok().and_then(|mut verdicts| verdicts.pop()).ok_or_else(unchecked)?;
        let verified = verdict.map_err(|e| self.refuse(e))?;
        accept::check_new(&verified, rules).map_err(|e| self.refuse(e))?;
        Ok(verified)
    }

    /// Stores checked records and waits until they are durable.
    pub(super) fn store(&self, verified: Vec<Verified>) -> Result<Answer, Failure> {
        self.settle(self.inner.writer.put(verified.into_iter().map(Put::from).collect(), Vec::new()))
    }

    /// Counts what became of records, and keeps in mind whether the store takes anything.
    pub(super) fn settle(&self, answer: Result<Answer, StoreError>) -> Result<Answer, Failure> {
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
