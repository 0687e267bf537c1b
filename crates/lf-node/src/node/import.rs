//! Taking in files of concatenated records: bootstrap files and dumps.
//!
//! A pipeline of bounded queues: this thread cuts the file into records and leaves out what is here already, the verifier
//! checks them on all cores, and the store's writer makes them durable, all at the same time and in the file's order.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

use lf_proto::hash::Hash;
use lf_proto::record::{DecodeError, Record, RecordStream, RecordType};
use lf_store::{Answer, Put, PutOutcome, StoreError};

use super::{Node, Tally, now};
use crate::core::accept::{Refusal, check_limits};
use crate::core::limbo;
use crate::failure::Failure;
use crate::verifier::{BATCH_RECORDS, Lane, Verdicts};

/// Batches that may be with the verifier: enough to keep all cores busy while the writer waits for the disk.
const CHECKING_MAX: usize = 100;
/// A batch is closed at this many bytes, so that the queues are bounded in bytes, too.
const BATCH_BYTES: usize = 1 << 18;
/// Records are handed to the writer in such portions.
const STORE_RECORDS: usize = 1_024;
/// Or with so many bytes.
const STORE_BYTES: usize = 2 << 20;
/// Portions that may be with the writer.
const STORING_MAX: usize = 8;
/// Bytes read at a time.
const READ_BYTES: usize = 1 << 18;
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
    /// Records that nothing but their approval is missing of: they wait for a certificate or an amendment.
    pub waiting: u64,
    /// The first few refusals, a line each.
    pub first_refusals: Vec<String>,
    /// Whether it was stopped before the end.
    pub cancelled: bool,
}

impl Node {
    /// Takes in concatenated records, verified on all cores. Those in a wrong order wait for their links like any. An
    /// input that comes slowly may say [`ErrorKind::WouldBlock`] after a short wait: what has come is stored meanwhile.
    ///
    /// # Errors
    /// The input cannot be read, holds something that is no record (what came before it is stored), or the records
    /// cannot be stored now.
    pub fn import(
        &self,
        input: impl Read,
        progress: &mut dyn FnMut(ImportProgress),
        cancel: &AtomicBool,
    ) -> Result<ImportReport, Failure> {
        let mut source =
            Source { input, stream: RecordStream::default(), piece: vec![0; READ_BYTES], records: 0 };
        let mut import = Import {
            node: self,
            report: ImportReport::default(),
            puts: Vec::new(),
            storing: VecDeque::new(),
        };
        let mut checking: VecDeque<Checking> = VecDeque::new();
        let mut ended = false;
        let mut broken = None;
        loop {
            // What is checked goes on at once: of a slow download little is lost when it breaks.
            while let Some(verdicts) = checking.front().and_then(|first| first.verdicts.try_recv().ok()) {
                if let Some(first) = checking.pop_front() {
                    import.take(first.hashes, verdicts)?;
                    progress(first.done);
                }
            }
            if !ended && checking.len() < CHECKING_MAX {
                if cancel.load(Ordering::Relaxed) {
                    import.report.cancelled = true;
                    ended = true;
                    continue;
                }
                let (batch, after) = import.next_batch(&mut source);
                let (waits, settles) = (matches!(after, After::Later), matches!(after, After::Settled));
                if let After::Nothing(end) = after {
                    ended = true;
                    broken = end.err();
                }
                if waits && batch.is_empty() && checking.is_empty() {
                    // All that has come is checked.
                    import.finish()?;
                    continue;
                }
                let hashes = batch.iter().map(Record::hash).collect();
                checking.push_back(Checking {
                    hashes,
                    verdicts: self.inner.verifier.check(Lane::Import, batch),
                    done: ImportProgress { bytes_done: source.stream.offset(), records_done: source.records },
                });
                if settles {
                    for next in checking.drain(..) {
                        import.wait_for(next, progress)?;
                    }
                    import.finish()?;
                }
                if !waits {
                    continue;
                }
            }
            let Some(next) = checking.pop_front() else { break };
            import.wait_for(next, progress)?;
        }
        import.finish()?;
        match broken {
            Some(failure) => Err(failure),
            None => Ok(import.report),
        }
    }
}

/// A file on its way in.
struct Source<R> {
    input: R,
    stream: RecordStream,
    piece: Vec<u8>,
    /// Records so far.
    records: u64,
}

impl<R: Read> Source<R> {
    /// The next record, or why there is none.
    fn next(&mut self) -> Result<Record, After> {
        while self.stream.wants_more() {
            match self.input.read(&mut self.piece) {
                Ok(0) => self.stream.end(),
                Ok(count) => self.stream.push(self.piece.get(..count).unwrap_or_default()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Err(After::Later),
                Err(e) => {
                    let failure = Failure::internal(format!("cannot read the records: {e}"));
                    return Err(After::Nothing(Err(failure)));
                }
            }
        }
        match self.stream.next_record() {
            Ok(Some(record)) => {
                self.records += 1;
                Ok(record)
            }
            Ok(None) => Err(After::Nothing(Ok(()))),
            Err(e) => Err(After::Nothing(Err(not_a_record(&e, self.stream.offset())))),
        }
    }
}

/// Records with the verifier.
struct Checking {
    hashes: Vec<Hash>,
    verdicts: Receiver<Verdicts>,
    /// How far the import is once they are done.
    done: ImportProgress,
}

struct Import<'n> {
    node: &'n Node,
    report: ImportReport,
    /// Checked records, to be handed to the writer.
    puts: Vec<Put>,
    storing: VecDeque<Receiver<Result<Answer, StoreError>>>,
}

/// What comes after a batch.
enum After {
    /// More.
    More,
    /// More, but not now.
    Later,
    /// More, once all before is stored: it ended with a genesis record or a certificate, which may change the rules for what follows.
    Settled,
    /// The end of the file, or a failure.
    Nothing(Result<(), Failure>),
}

impl Import<'_> {
    /// Records to be checked: those that are not here yet and keep the network's limits.
    fn next_batch(&mut self, source: &mut Source<impl Read>) -> (Vec<Record>, After) {
        let mut batch = Vec::with_capacity(BATCH_RECORDS);
        let (mut looked_at, mut bytes) = (0, 0);
        let view = self.node.inner.reader.view();
        let parameters = self.node.inner.reader.parameters();
        let (rules, now) = (self.node.rules(&parameters), now());
        let has_authorities = !parameters.auth_certificates.is_empty();
        // A file that is here already must give progress, too.
        while batch.len() < BATCH_RECORDS && bytes < BATCH_BYTES && looked_at < STORE_RECORDS {
            let record = match source.next() {
                Ok(record) => record,
                Err(after) => return (batch, after),
            };
            looked_at += 1;
            match view.standing(&record.hash()) {
                Ok(Some(_)) => {
                    self.report.duplicates += 1;
                    Tally::add(&self.node.inner.tally.records_duplicate);
                }
                Ok(None) if self.node.is_in_limbo(&record.hash()) => self.report.waiting += 1,
                Ok(None) => match check_limits(&record, &rules, now) {
                    Ok(()) => {
                        let certifies = record.record_type() == RecordType::Certificate && has_authorities;
                        let amends = record.record_type() == RecordType::Genesis || certifies;
                        bytes += record.as_bytes().len();
                        batch.push(record);
                        if amends {
                            return (batch, After::Settled);
                        }
                    }
                    Err(refusal) => self.refused(&record.hash(), &self.node.refuse(refusal)),
                },
                Err(e) => return (batch, After::Nothing(Err(e.into()))),
            }
        }
        (batch, After::More)
    }

    /// Waits until records are checked, and hands on those that were accepted.
    fn wait_for(&mut self, next: Checking, progress: &mut dyn FnMut(ImportProgress)) -> Result<(), Failure> {
        let verdicts = next.verdicts.recv().map_err(|_| super::write::unchecked())?;
        self.take(next.hashes, verdicts)?;
        progress(next.done);
        Ok(())
    }

    fn refused(&mut self, hash: &Hash, failure: &Failure) {
        self.report.refused += 1;
        if self.report.first_refusals.len() < REFUSALS_SHOWN {
            self.report.first_refusals.push(format!("{hash}: {failure}"));
        }
    }

    /// Hands what was accepted to the writer.
    fn take(&mut self, hashes: Vec<Hash>, verdicts: Verdicts) -> Result<(), Failure> {
        for (hash, verdict) in hashes.iter().zip(verdicts) {
            match verdict {
                Ok(v) => self.puts.push(v.into()),
                Err(Refusal::Unapproved(unapproved)) => {
                    self.report.waiting += 1;
                    self.node.wait_for_approval(*unapproved, limbo::Source::File);
                }
                Err(refusal) => {
                    let failure = self.node.refuse(refusal);
                    self.refused(hash, &failure);
                }
            }
        }
        let bytes: usize = self.puts.iter().map(|put| put.record.as_bytes().len()).sum();
        if self.puts.len() >= STORE_RECORDS || bytes >= STORE_BYTES { self.store() } else { Ok(()) }
    }

    fn store(&mut self) -> Result<(), Failure> {
        let (reply, answer) = sync_channel(1);
        let puts = std::mem::take(&mut self.puts);
        self.node.inner.writer.submit(puts, Vec::new(), move |answer| {
            // Nobody waits any more only if the import failed.
            let _ = reply.send(answer);
        });
        self.storing.push_back(answer);
        if self.storing.len() > STORING_MAX { self.stored() } else { Ok(()) }
    }

    /// Waits until the oldest portion is durable.
    fn stored(&mut self) -> Result<(), Failure> {
        let Some(answer) = self.storing.pop_front() else { return Ok(()) };
        let answer = self.node.settle(answer.recv().unwrap_or(Err(StoreError::Closed)))?;
        for outcome in answer.records {
            match outcome {
                PutOutcome::Stored(_) => self.report.accepted += 1,
                PutOutcome::Duplicate => self.report.duplicates += 1,
            }
        }
        Ok(())
    }

    /// Waits until everything is durable.
    fn finish(&mut self) -> Result<(), Failure> {
        if !self.puts.is_empty() {
            self.store()?;
        }
        while !self.storing.is_empty() {
            self.stored()?;
        }
        Ok(())
    }
}

fn not_a_record(e: &DecodeError, at: u64) -> Failure {
    Failure::bad_request("ErrRecordInvalid", format!("what follows at byte {at} is no record: {e}"))
}
