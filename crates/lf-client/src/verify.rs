//! Checking a file of records (bootstrap.lf, genesis.lf, a dump) without a node: every record's form, signature,
//! selector claims, work and links.
//!
//! The file is read in batches that are checked on all cores while the next ones are read, so that memory holds a few
//! batches and 32 bytes for each record.

mod certified;

use std::collections::{HashSet, VecDeque};
use std::io::{self, Read};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use lf_proto::genesis::{GenesisParameters, plain_value};
use lf_proto::hash::Hash;
use lf_proto::owner::OwnerPublic;
use lf_proto::record::{DecodeError, Record, RecordError, RecordStream, RecordType, verify_all};
use lf_proto::work::{self, Table, TablePasses, Work};

use self::certified::Certified;
use crate::Workers;

/// Records a thread takes at a time; they share what costs most.
const BATCH_RECORDS: usize = 64;
/// Bytes read at a time.
const READ_BYTES: usize = 1 << 18;
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
    /// Records without sufficient work, but with a certificate of their owner that came before in the file.
    pub certified: u64,
    /// Records with neither. A problem only if that was asked to be checked.
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
    let threads = workers.threads.get();
    let under_way_max = 8 * threads;
    let (batches, waiting) = sync_channel::<Job>(under_way_max);
    let waiting = Mutex::new(waiting);
    let mut check = Check::new(work_matters);
    let mut reader =
        RecordReader { source: file, stream: RecordStream::default(), piece: vec![0; READ_BYTES] };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                // Whoever holds the lock waits for the next batch, the others for the lock.
                let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                while let Ok(Job { items, parameters, reply }) = next() {
                    let judged = judge(&items, &parameters);
                    // Nobody waits any more only if reading failed.
                    let _ = reply.send((items, judged));
                }
            });
        }
        // Dropped at the end, which ends the threads.
        let batches = batches;
        let mut under_way = VecDeque::new();
        let mut end = None;
        loop {
            while end.is_none() && under_way.len() < under_way_max {
                let (items, ended) = reader.batch()?;
                end = ended;
                check.look_at_first(&items);
                let (reply, judged) = sync_channel(1);
                // The threads live as long as there is a sender, so there is somebody to take it.
                let _ = batches.send(Job { items, parameters: Arc::clone(&check.parameters), reply });
                under_way.push_back(judged);
            }
            let Some(judged) = under_way.pop_front() else { break };
            let (items, judged) = judged.recv().map_err(|_| io::Error::other("checking hit a bug"))?;
            check.take(&items, judged);
            progress(&check.report);
        }
        Ok(check.finish(end.flatten()))
    })
}

/// A batch for a thread.
struct Job {
    items: Vec<Item>,
    parameters: Arc<GenesisParameters>,
    reply: SyncSender<(Vec<Item>, Vec<Judged>)>,
}

/// What is known of the file so far.
struct Check {
    report: VerifyReport,
    work_matters: bool,
    begun: bool,
    seen: HashSet<Hash>,
    owners: HashSet<OwnerPublic>,
    genesis: Option<OwnerPublic>,
    parameters: Arc<GenesisParameters>,
    certified: Certified,
}

impl Check {
    fn new(work_matters: bool) -> Self {
        Check {
            report: VerifyReport::default(),
            work_matters,
            begun: false,
            seen: HashSet::new(),
            owners: HashSet::new(),
            genesis: None,
            parameters: Arc::default(),
            certified: Certified::default(),
        }
    }

    /// The parameters come with the first record, and decide how all others are judged.
    fn look_at_first(&mut self, items: &[Item]) {
        if let Some(first) = items.first().filter(|_| !self.begun) {
            self.begun = true;
            if first.record.record_type() == RecordType::Genesis {
                self.genesis = Some(*first.record.owner());
                let parameters =
                    plain_value(&first.record).ok().and_then(|v| GenesisParameters::parse(&v).ok());
                self.parameters = Arc::new(parameters.clone().unwrap_or_default());
                self.report.network = parameters;
            }
        }
    }

    /// What only the order of records tells, and what the threads found.
    fn take(&mut self, items: &[Item], judged: Vec<Judged>) {
        for (item, judged) in items.iter().zip(judged) {
            let Item { offset, record } = item;
            let has_network = self.report.network.is_some();
            let (report, parameters) = (&mut self.report, &self.parameters);
            let (index, hash) = (report.records, record.hash());
            report.records += 1;
            report.bytes = offset + record.as_bytes().len() as u64;
            report.selectors += record.selectors().len() as u64;
            self.owners.insert(*record.owner());
            let mut complain = |text: String| {
                report.complain(Problem { index, offset: *offset, hash: Some(hash), text });
            };
            let is_genesis = record.record_type() == RecordType::Genesis;
            if is_genesis && self.genesis.is_some_and(|owner| owner != *record.owner()) {
                complain("is a genesis record of another owner".to_owned());
            }
            if !self.seen.insert(hash) {
                complain("is in the file twice".to_owned());
            }
            let missing = record.links().iter().filter(|link| !self.seen.contains(link)).count();
            if missing > 0 {
                complain(format!("links to {missing} records that do not come before it"));
            }
            if !is_genesis && record.links().len() < parameters.links_min() {
                complain(format!("has {} links of {}", record.links().len(), parameters.links_min()));
            }
            let size_max = parameters.record_max_value_size;
            if has_network && !is_genesis && record.value_bytes() as u64 > size_max {
                complain(format!("has a value of {} bytes, more than {size_max}", record.value_bytes()));
            }
            match judged {
                Judged::Worked => self.report.worked += 1,
                Judged::Unworked if self.certified.covers(record) => self.report.certified += 1,
                Judged::Unworked => {
                    if self.work_matters && !parameters.auth_required {
                        complain("has too little work".to_owned());
                    } else if self.work_matters && !is_genesis {
                        complain("has no certificate that comes before it".to_owned());
                    }
                    self.report.unworked += 1;
                }
                Judged::Bad(text) => {
                    complain(text);
                    continue;
                }
            }
            if is_genesis && self.genesis == Some(*record.owner()) {
                let text = plain_value(record).unwrap_or_default();
                if let Ok(parameters) = GenesisParameters::parse(&text) {
                    self.certified.add_network(&parameters);
                }
            }
            self.certified.add(record);
        }
        self.report.owners = self.owners.len() as u64;
    }

    fn finish(mut self, broken: Option<Broken>) -> VerifyReport {
        if let Some((offset, error)) = broken {
            let (index, text) = (self.report.records, format!("{error}; what follows cannot be read"));
            self.report.complain(Problem { index, offset, hash: None, text });
        }
        self.report
    }
}

/// Judges each record by itself, in the order given.
fn judge(items: &[Item], parameters: &GenesisParameters) -> Vec<Judged> {
    let records: Vec<&Record> = items.iter().map(|item| &item.record).collect();
    let verdicts = verify_all(&records, parameters.strict_signatures);
    let worked = |(record, verdict): (&&Record, &Result<_, _>)| {
        verdict.as_ref().ok().and(record.work()).map(|work| (*record.work_hash(), *work))
    };
    let inputs: Vec<Option<([u8; 48], Work)>> = records.iter().zip(&verdicts).map(worked).collect();
    let proofs: Vec<(&[u8; 48], Work)> =
        inputs.iter().flatten().map(|(input, work)| (input, *work)).collect();
    let mut works = work::verify_batch(Table::shared(), &proofs, TablePasses::ALL).into_iter();
    let judged = |((record, verdict), input): ((&Record, Result<_, RecordError>), &Option<_>)| {
        if let Err(e) = verdict {
            return Judged::Bad(e.to_string());
        }
        match input.as_ref().and_then(|_| works.next()) {
            None => Judged::Unworked,
            Some(Err(e)) => Judged::Bad(e.to_string()),
            Some(Ok(())) => {
                let factor = u32::try_from(parameters.work_factor()).unwrap_or(u32::MAX);
                let required = work::required_difficulty(record.billable_bytes(), factor);
                let claimed = record.work().map_or(0, Work::difficulty);
                if claimed >= required { Judged::Worked } else { Judged::Unworked }
            }
        }
    };
    records.into_iter().zip(verdicts).zip(&inputs).map(judged).collect()
}

/// Where and why a file cannot be read any further.
type Broken = (u64, DecodeError);

/// Reads batches of records.
struct RecordReader<'a> {
    source: &'a mut dyn Read,
    stream: RecordStream,
    piece: Vec<u8>,
}

impl RecordReader<'_> {
    /// The next records; and if they are the last ones, whether the file is broken after them.
    fn batch(&mut self) -> io::Result<(Vec<Item>, Option<Option<Broken>>)> {
        let mut items = Vec::with_capacity(BATCH_RECORDS);
        while items.len() < BATCH_RECORDS {
            while self.stream.wants_more() {
                match self.source.read(&mut self.piece) {
                    Ok(0) => self.stream.end(),
                    Ok(count) => self.stream.push(self.piece.get(..count).unwrap_or_default()),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            }
            let offset = self.stream.offset();
            match self.stream.next_record() {
                Ok(Some(record)) => items.push(Item { offset, record }),
                Ok(None) => return Ok((items, Some(None))),
                Err(e) => return Ok((items, Some(Some((offset, e))))),
            }
        }
        Ok((items, None))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use lf_proto::cert::{self, Authority, Request, Subject};
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
    fn certified_records_need_no_work() {
        let mut rng = lf_proto::seeded::SeededRng::new(&[1; 32]);
        let mut random = |bytes: &mut [u8]| rng.fill(bytes);
        let root = Authority::new_root(&Subject::default(), 500, None, &mut random).unwrap();
        let parameters = GenesisParameters {
            auth_required: true,
            record_max_value_size: 4_096,
            auth_certificates: root.certificate().der().into(),
            ..GenesisParameters::default()
        };
        let make = |owner: &OwnerSecret, record_type, value: &[u8], links: &[Hash], timestamp| {
            let key: &[u8] = if record_type == RecordType::Certificate { cert::MASKING_KEY } else { b"" };
            let builder = RecordBuilder {
                record_type,
                value,
                masking_key: Some(key),
                selectors: &[],
                links,
                timestamp,
                with_pulse_token: false,
            };
            builder.build(owner).unwrap().sign(owner, None)
        };
        let genesis_owner = OwnerSecret::from_seed(OwnerType::P384, b"genesis");
        let genesis = make(&genesis_owner, RecordType::Genesis, parameters.to_json().as_bytes(), &[], 600);
        let owner = OwnerSecret::from_seed(OwnerType::P224, b"certified");
        let request = Request::new(&owner, &Subject::default()).unwrap();
        let certificate = root.certify(&request, 700, None, &mut random).unwrap();
        let links = [genesis.hash()];
        let published = make(root.key(), RecordType::Certificate, certificate.der(), &links, 700);
        let good = make(&owner, RecordType::Datum, b"x", &links, 800);
        let early = make(&owner, RecordType::Datum, b"x", &links, 650);
        let report = verify(&joined(&[genesis.clone(), published.clone(), good.clone()]), true);
        assert_eq!((report.certified, report.problems), (2, 0), "{report:?}");
        let report = verify(&joined(&[genesis.clone(), published, early]), true);
        assert_eq!((report.certified, report.problems), (1, 1), "{report:?}");
        assert!(report.first_problems[0].text.contains("no certificate"));
        assert_eq!(verify(&joined(&[genesis, good]), true).problems, 1);
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
