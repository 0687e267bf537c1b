//! Taking in files of concatenated records: bootstrap files and dumps.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};

use lf_proto::record::{DecodeError, RECORD_BYTES_MAX, Record};
use lf_store::PutOutcome;

use super::{Node, Tally};
use crate::core::accept::{Refusal, Verified};
use crate::failure::Failure;

/// Records verified together.
const BATCH_RECORDS: usize = 1_024;
/// Bytes read at a time; more than the largest record.
const READ_BYTES: usize = 1 << 20;
/// Refusals that a report spells out.
const REFUSALS_SHOWN: usize = 10;

/// How far an import is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportProgress {
    /// Bytes done.
    pub bytes_done: u64,
    /// Records done.
    pub records_done: u64,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Records that are new here.
    pub accepted: u64,
    /// Records that were here before.
    pub duplicates: u64,
    /// Records that were refused.
    pub refused: u64,
    /// The first few refusals, a line each.
    pub first_refusals: Vec<String>,
    /// Whether it was stopped before the end.
    pub cancelled: bool,
}

impl Node {
    /// Takes in concatenated records, verified on all cores. Those in a wrong order wait for their links like any.
    ///
    /// # Errors
    /// The input cannot be read, holds something that is no record (what came before it is stored), or the records
    /// cannot be stored now.
    pub fn import(
        &self,
        mut input: impl Read,
        progress: &mut dyn FnMut(ImportProgress),
        cancel: &AtomicBool,
    ) -> Result<ImportReport, Failure> {
        let mut report = ImportReport::default();
        let mut done = ImportProgress::default();
        let mut buffer: Vec<u8> = Vec::new();
        let mut ended = false;
        while !cancel.load(Ordering::Relaxed) {
            let (mut batch, mut used) = (Vec::with_capacity(BATCH_RECORDS), 0);
            let mut broken = None;
            while batch.len() < BATCH_RECORDS {
                let rest = buffer.get(used..).unwrap_or_default();
                if rest.len() < RECORD_BYTES_MAX && !ended {
                    buffer.drain(..used);
                    used = 0;
                    ended = read_more(&mut input, &mut buffer)?;
                    continue;
                }
                if rest.is_empty() {
                    break;
                }
                match Record::decode_first(rest) {
                    Ok((record, bytes)) => {
                        batch.push(record);
                        used += bytes;
                        done.bytes_done += bytes as u64;
                    }
                    Err(e) => {
                        broken = Some(e);
                        break;
                    }
                }
            }
            buffer.drain(..used);
            let finished = batch.is_empty();
            done.records_done += batch.len() as u64;
            self.import_batch(batch, &mut report)?;
            progress(done);
            if let Some(e) = broken {
                return Err(not_a_record(&e, done.bytes_done));
            }
            if finished {
                return Ok(report);
            }
        }
        report.cancelled = true;
        Ok(report)
    }

    fn import_batch(&self, batch: Vec<Record>, report: &mut ImportReport) -> Result<(), Failure> {
        let parameters = self.inner.reader.parameters();
        let rules = self.rules(&parameters);
        let view = self.inner.reader.view();
        let mut fresh = Vec::with_capacity(batch.len());
        for record in batch {
            if view.standing(&record.hash())?.is_some() {
                report.duplicates += 1;
                Tally::add(&self.inner.tally.records_duplicate);
            } else {
                fresh.push(record);
            }
        }
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let share = fresh.len().div_ceil(threads).max(16);
        let verdicts: Vec<(lf_proto::hash::Hash, Result<Verified, Refusal>)> = std::thread::scope(|scope| {
            let mut workers = Vec::new();
            let mut rest = fresh;
            while !rest.is_empty() {
                let tail = rest.split_off(share.min(rest.len()));
                let part = std::mem::replace(&mut rest, tail);
                let rules = &rules;
                workers.push(scope.spawn(move || {
                    part.into_iter().map(|r| (r.hash(), self.check(r, rules))).collect::<Vec<_>>()
                }));
            }
            workers.into_iter().flat_map(|w| w.join().unwrap_or_default()).collect()
        });
        let mut verified = Vec::with_capacity(verdicts.len());
        for (hash, verdict) in verdicts {
            match verdict {
                Ok(v) => verified.push(v),
                Err(refusal) => {
                    report.refused += 1;
                    let failure = self.refuse(refusal);
                    if report.first_refusals.len() < REFUSALS_SHOWN {
                        report.first_refusals.push(format!("{hash}: {failure}"));
                    }
                }
            }
        }
        if verified.is_empty() {
            return Ok(());
        }
        for outcome in self.store(verified)?.records {
            match outcome {
                PutOutcome::Stored(_) => report.accepted += 1,
                PutOutcome::Duplicate => report.duplicates += 1,
            }
        }
        Ok(())
    }
}

/// Reads another piece; returns whether the input ended.
fn read_more(input: &mut impl Read, buffer: &mut Vec<u8>) -> Result<bool, Failure> {
    let wanted = READ_BYTES as u64;
    let read = input.by_ref().take(wanted).read_to_end(buffer);
    match read {
        Ok(count) => Ok((count as u64) < wanted),
        Err(e) => Err(Failure::internal(format!("cannot read the records: {e}"))),
    }
}

fn not_a_record(e: &DecodeError, at: u64) -> Failure {
    Failure::bad_request("ErrRecordInvalid", format!("what follows at byte {at} is no record: {e}"))
}
