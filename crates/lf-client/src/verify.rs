//! Checking a file of records (bootstrap.lf, genesis.lf, a dump) without a node: every record's form, signature,
//! selector claims, work and links.
//!
//! The file is read in portions that are checked on all cores, so that memory holds a portion and 32 bytes for each
//! record.

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use lf_proto::genesis::{GenesisParameters, plain_value};
use lf_proto::hash::Hash;
use lf_proto::owner::{OwnerPublic, OwnerSignature, verify_all};
use lf_proto::record::{DecodeError, RECORD_BYTES_MAX, Record, RecordType};
use lf_proto::selector::recover_all;
use lf_proto::work::{self, Table, TablePasses};

use crate::Workers;

/// Records of one portion.
const PORTION_RECORDS: usize = 4096;
/// Records a thread takes at a time; they share what costs most.
const BATCH_RECORDS: usize = 64;
/// The buffer always holds at least one whole record.
const BUFFER_BYTES: usize = 4 << 20;
/// Problems that are kept; all are counted.
const PROBLEMS_MAX: usize = 20;

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The record's place in the file, from 0.
    pub index: u64,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its hash, if it could be decoded.
    pub hash: Option<Hash>,
    /// What is wrong.
    pub text: String,
}

/// What a check found.
#[derive(Debug, Clone, Default)]
pub struct VerifyReport {
    /// Records decoded.
    pub records: u64,
    /// Bytes of the file that were decoded.
    pub bytes: u64,
    /// Records with selectors, and selectors in all.
    pub selectors: u64,
    /// Different owners.
    pub owners: u64,
    /// Records with work that verified.
    pub worked: u64,
    /// Records without sufficient work. A problem only if that was asked to be checked.
    pub unworked: u64,
    /// The network's parameters, if the file begins with its genesis.
    pub network: Option<GenesisParameters>,
    /// All problems.
    pub problems: u64,
    /// The first of them.
    pub first_problems: Vec<Problem>,
}

impl VerifyReport {
    fn complain(&mut self, problem: Problem) {
        self.problems += 1;
        if self.first_problems.len() < PROBLEMS_MAX {
            self.first_problems.push(problem);
        }
    }
}

struct Item {
    offset: u64,
    record: Record,
}

enum Judged {
    Worked,
    Unworked,
    Bad(String),
}

/// Checks a file of records. `work_matters` makes insufficient work a problem; records of a local test network have
/// none. `progress` is told the records and bytes so far.
///
/// # Errors
/// Reading fails.
pub fn verify_file(
    file: &mut dyn Read,
    work_matters: bool,
    workers: Workers,
    progress: &mut dyn FnMut(&VerifyReport),
) -> io::Result<VerifyReport> {
    let mut report = VerifyReport::default();
    let (mut seen, mut owners) = (HashSet::<Hash>::new(), HashSet::<OwnerPublic>::new());
    let mut genesis: Option<OwnerPublic> = None;
    let mut reader = RecordReader::new(file);
    loop {
        let (portion, broken) = reader.portion()?;
        if portion.is_empty() && broken.is_none() {
            break;
        }
        // The parameters come with the first record, and decide how all others are judged.
        if report.records == 0
            && let Some(first) = portion.first()
            && first.record.record_type() == RecordType::Genesis
        {
            genesis = Some(*first.record.owner());
            report.network = plain_value(&first.record).ok().and_then(|v| GenesisParameters::parse(&v).ok());
        }
        let parameters = report.network.clone().unwrap_or_default();
        let judged = judge_all(&portion, &parameters, workers);
        for (item, judged) in portion.iter().zip(judged) {
            let Item { offset, record } = item;
            let (index, hash) = (report.records, record.hash());
            report.records += 1;
            report.bytes = offset + record.as_bytes().len() as u64;
            report.selectors += record.selectors().len() as u64;
            owners.insert(*record.owner());
            let mut complain = |text: String| {
                report.complain(Problem { index, offset: *offset, hash: Some(hash), text });
            };
            let is_genesis = record.record_type() == RecordType::Genesis;
            if is_genesis && genesis.is_some_and(|owner| owner != *record.owner()) {
                complain("is a genesis record of another owner".to_owned());
            }
            if !seen.insert(hash) {
                complain("is in the file twice".to_owned());
            }
            let missing = record.links().iter().filter(|link| !seen.contains(link)).count();
            if missing > 0 {
                complain(format!("links to {missing} records that do not come before it"));
            }
            if !is_genesis && record.links().len() < parameters.links_min() {
                complain(format!("has {} links of {}", record.links().len(), parameters.links_min()));
            }
            let size_max = parameters.record_max_value_size;
            if report.network.is_some() && !is_genesis && record.value_bytes() as u64 > size_max {
                report.complain(Problem {
                    index,
                    offset: *offset,
                    hash: Some(hash),
                    text: format!("has a value of {} bytes, more than {size_max}", record.value_bytes()),
                });
            }
            match judged {
                Judged::Worked => report.worked += 1,
                Judged::Unworked => {
                    report.unworked += 1;
                    if work_matters && !parameters.auth_required {
                        let text = "has too little work".to_owned();
                        report.complain(Problem { index, offset: *offset, hash: Some(hash), text });
                    }
                }
                Judged::Bad(text) => {
                    report.complain(Problem { index, offset: *offset, hash: Some(hash), text });
                }
            }
        }
        report.owners = owners.len() as u64;
        progress(&report);
        if let Some((offset, error)) = broken {
            let text = format!("{error}; what follows cannot be read");
            report.complain(Problem { index: report.records, offset, hash: None, text });
            break;
        }
    }
    Ok(report)
}

/// Judges each record by itself, in the order given.
fn judge_all(items: &[Item], parameters: &GenesisParameters, workers: Workers) -> Vec<Judged> {
    let batches: Vec<&[Item]> = items.chunks(BATCH_RECORDS).collect();
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Vec<Judged>)>> = Mutex::new(Vec::with_capacity(batches.len()));
    std::thread::scope(|scope| {
        for _ in 0..workers.threads.get().min(batches.len()) {
            scope.spawn(|| {
                while let Some((number, batch)) = {
                    let number = next.fetch_add(1, Relaxed);
                    batches.get(number).map(|batch| (number, batch))
                } {
                    let judged = judge(batch, parameters);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((number, judged));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().flat_map(|(_, judged)| judged).collect()
}

fn judge(batch: &[Item], parameters: &GenesisParameters) -> Vec<Judged> {
    let digests: Vec<[u8; 48]> = batch.iter().map(|item| item.record.signed_digest()).collect();
    let signatures: Vec<_> = batch
        .iter()
        .zip(&digests)
        .map(|(item, digest)| OwnerSignature {
            owner: *item.record.owner(),
            digest,
            signature: item.record.signature(),
        })
        .collect();
    let signed = verify_all(&signatures, parameters.strict_signatures);
    let selectors: Vec<_> = batch
        .iter()
        .flat_map(|item| item.record.selectors().iter().map(|s| (*s, *item.record.body_hash())))
        .collect();
    let mut recovered = recover_all(&selectors).into_iter();
    batch
        .iter()
        .zip(signed)
        .map(|(item, signed)| {
            let claims =
                recovered.by_ref().take(item.record.selectors().len()).collect::<Result<Vec<_>, _>>();
            if let Err(e) = signed {
                return Judged::Bad(e.to_string());
            }
            if let Err(e) = claims {
                return Judged::Bad(e.to_string());
            }
            judge_work(&item.record, parameters)
        })
        .collect()
}

fn judge_work(record: &Record, parameters: &GenesisParameters) -> Judged {
    let Some(work) = record.work() else { return Judged::Unworked };
    if let Err(e) = work::verify(Table::shared(), record.work_hash(), work, TablePasses::ALL) {
        return Judged::Bad(e.to_string());
    }
    let factor = u32::try_from(parameters.work_factor()).unwrap_or(u32::MAX);
    let required = work::required_difficulty(record.billable_bytes(), factor);
    if work.difficulty() >= required { Judged::Worked } else { Judged::Unworked }
}

/// Cuts a stream of bytes into records.
struct RecordReader<'a> {
    source: &'a mut dyn Read,
    buffer: Vec<u8>,
    /// Where the buffer begins in the file.
    base: u64,
    /// What of the buffer is used already.
    used: usize,
    ended: bool,
}

type Broken = (u64, DecodeError);

impl<'a> RecordReader<'a> {
    fn new(source: &'a mut dyn Read) -> Self {
        RecordReader { source, buffer: Vec::new(), base: 0, used: 0, ended: false }
    }

    /// The next records, and where and why the file cannot be read any further, if so.
    fn portion(&mut self) -> io::Result<(Vec<Item>, Option<Broken>)> {
        let mut items = Vec::new();
        while items.len() < PORTION_RECORDS {
            if self.buffer.len() - self.used < RECORD_BYTES_MAX && !self.ended {
                self.fill()?;
            }
            let rest = self.buffer.get(self.used..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let offset = self.base + self.used as u64;
            match Record::decode_first(rest) {
                Ok((record, length)) => {
                    self.used += length;
                    items.push(Item { offset, record });
                }
                Err(e) => return Ok((items, Some((offset, e)))),
            }
        }
        Ok((items, None))
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.used);
        self.base += self.used as u64;
        self.used = 0;
        let wanted = (BUFFER_BYTES - self.buffer.len()) as u64;
        let read = self.source.take(wanted).read_to_end(&mut self.buffer)?;
        self.ended = (read as u64) < wanted;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use lf_proto::owner::{OwnerSecret, OwnerType};
    use lf_proto::record::RecordBuilder;

    fn chain(count: u8) -> Vec<Record> {
        let owner = OwnerSecret::from_seed(OwnerType::P224, b"chain");
        let mut records: Vec<Record> = Vec::new();
        for i in 0..count {
            let links: Vec<Hash> = records.last().map(Record::hash).into_iter().collect();
            let builder = RecordBuilder {
                record_type: RecordType::Datum,
                value: &[i],
                masking_key: None,
                selectors: &[(b"chain", u64::from(i))],
                links: &links,
                timestamp: 1000 + u64::from(i),
                with_pulse_token: false,
            };
            records.push(builder.build(&owner).unwrap().sign(&owner, None));
        }
        records
    }

    fn verify(bytes: &[u8], work_matters: bool) -> VerifyReport {
        verify_file(&mut &*bytes, work_matters, Workers::default(), &mut |_| {}).unwrap()
    }

    fn joined(records: &[Record]) -> Vec<u8> {
        records.iter().flat_map(|r| r.as_bytes().to_vec()).collect()
    }

    #[test]
    fn a_good_file() {
        let bytes = joined(&chain(150));
        let report = verify(&bytes, false);
        assert_eq!((report.records, report.bytes, report.problems), (150, bytes.len() as u64, 0));
        assert_eq!((report.owners, report.selectors, report.unworked), (1, 150, 150));
        assert_eq!(verify(&bytes, true).problems, 150);
        assert_eq!(verify(&[], true).problems, 0);
    }

    #[test]
    fn problems_are_found_and_named() {
        let records = chain(5);
        let mut swapped = records.clone();
        swapped.swap(2, 3);
        let report = verify(&joined(&swapped), false);
        assert_eq!(report.problems, 1);
        assert_eq!(report.first_problems[0].hash, Some(records[3].hash()));
        assert!(report.first_problems[0].text.contains("do not come before"));

        let mut twice = records.clone();
        twice.push(records[0].clone());
        assert!(verify(&joined(&twice), false).first_problems[0].text.contains("twice"));

        let bytes = joined(&records);
        let cut = verify(&bytes[..bytes.len() - 1], false);
        assert_eq!((cut.records, cut.problems), (4, 1));
        assert_eq!(cut.first_problems[0].offset, joined(&records[..4]).len() as u64);

        let mut forged = bytes.clone();
        *forged.last_mut().unwrap() ^= 1;
        let report = verify(&forged, false);
        assert!(report.first_problems[0].text.contains("signature"), "{:?}", report.first_problems);
    }
}
