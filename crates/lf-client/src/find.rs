//! Reading: a query made of selector arguments, its answer checked and unmasked.
//!
//! The node sees key ranges, never names. What it answers must decode, hash to what it says, be signed by its owner
//! and lie in the ranges asked for; one record that does not spoils the answer.

use std::sync::Arc;

use lf_proto::api::{ExplainedSet, Explanation, Query, QueryRange, QueryResult};
use lf_proto::blob::Blob;
use lf_proto::masking;
use lf_proto::ordinal::Ordinal;
use lf_proto::owner::OwnerPublic;
use lf_proto::record::{self, Record, RecordError, SELECTORS_MAX};
use lf_proto::selector::{RecoveredSelector, SelectorKey, SelectorName, SelectorNames, add_ordinal};

use crate::client::wrong;
use crate::{Client, ClientError, Ordinals, SelectorArg, Url};

/// Answers with more records than this are checked on several threads.
const RECORDS_PER_THREAD_MIN: usize = 32;

/// Records that are verified together.
const RECORDS_PER_BATCH: usize = 64;

/// What to look for.
#[derive(Debug, Clone, Default)]
pub struct Find {
    /// Selectors, in order.
    pub selectors: Vec<SelectorArg>,
    /// Unmasks values; by default the first selector's name.
    pub masking_key: Option<Vec<u8>>,
    /// Only these owners; none means all.
    pub owners: Vec<OwnerPublic>,
    /// Not before this time, seconds since 1970.
    pub time_from: Option<u64>,
    /// Not after this time, seconds since 1970.
    pub time_to: Option<u64>,
    /// Whether records may have more selectors.
    pub open: bool,
    /// Oracles whose comments count.
    pub oracles: Vec<OwnerPublic>,
    /// The most records of each set; 0 means all.
    pub limit: u64,
    /// How records of a set are sorted.
    pub order: Order,
    /// Whether all owners who named a successor are followed, not just those certified by one authority.
    pub follow_rotations: bool,
}

/// How the records of a set are sorted, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// What the node that is asked, and the oracles, think; then weight.
    #[default]
    Trust,
    /// Weight, then hash.
    Weight,
    /// The newest first.
    Timestamp,
    /// Weight, then hash, as all synchronized nodes see them.
    Deterministic,
}

impl Order {
    /// All of them.
    pub const ALL: [Order; 4] = [Order::Trust, Order::Weight, Order::Timestamp, Order::Deterministic];

    /// Its name in queries.
    pub fn name(self) -> &'static str {
        match self {
            Order::Trust => "trust",
            Order::Weight => "weight",
            Order::Timestamp => "timestamp",
            Order::Deterministic => "deterministic",
        }
    }
}

/// A result set that was found and checked, and why it is as it is.
#[derive(Debug, Clone)]
pub struct Explained {
    /// The records, in the order of the explanation's candidates.
    pub found: FoundSet,
    /// What the node says of them, with values as unmasked here.
    pub set: ExplainedSet,
}

/// The answer.
#[derive(Debug, Clone)]
pub struct Found {
    /// The node that gave it.
    pub url: Url,
    /// Result sets: records with the same selector keys.
    pub sets: Vec<FoundSet>,
}

/// Records with the same selector keys, best first.
#[derive(Debug, Clone)]
pub struct FoundSet {
    winner: FoundRecord,
    others: Vec<FoundRecord>,
}

impl FoundSet {
    /// The record that counts.
    pub fn winner(&self) -> &FoundRecord {
        &self.winner
    }

    /// All records, the winner first: one of each owner.
    pub fn records(&self) -> impl Iterator<Item = &FoundRecord> {
        std::iter::once(&self.winner).chain(&self.others)
    }
}

/// A record that was found and checked.
#[derive(Debug, Clone)]
pub struct FoundRecord {
    /// What the node says of it, with `Value` as unmasked here.
    pub result: QueryResult,
    /// The record.
    pub record: Record,
    /// The plain value (empty if it has none); None if the masking key does not fit.
    pub value: Option<Vec<u8>>,
    /// Its selectors, in order.
    pub selectors: Vec<FoundSelector>,
}

/// A selector of a record that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundSelector {
    /// Its key.
    pub key: SelectorKey,
    /// Its plain ordinal, where the name is known.
    pub ordinal: Option<u64>,
}

/// What a query's range is made of, and its answers are checked with.
pub(crate) struct Target {
    pub(crate) name: Arc<SelectorName>,
    pub(crate) first: SelectorKey,
    pub(crate) last: SelectorKey,
}

impl Target {
    pub(crate) fn new(arg: &SelectorArg, names: &SelectorNames) -> Result<Self, ClientError> {
        let name = names.get(&arg.name);
        let key = |ordinal| name.key(ordinal).map_err(|_| ClientError::Ordinal { ordinal });
        let (first, last) = match arg.ordinals {
            Ordinals::One(ordinal) => {
                let key = key(ordinal)?;
                (key, key)
            }
            Ordinals::Range(from, to) => (key(from)?, key(to)?),
            Ordinals::All => (add_ordinal(name.key_hash(), &Ordinal([0; 16])), last_key(&name)),
        };
        Ok(Target { name, first, last })
    }

    pub(crate) fn query_range(&self) -> QueryRange {
        let mut key_range = vec![Blob::from(self.first.as_bytes().as_slice())];
        if self.last != self.first {
            key_range.push(Blob::from(self.last.as_bytes().as_slice()));
        }
        QueryRange { key_range, ..QueryRange::default() }
    }

    fn holds(&self, key: &SelectorKey) -> bool {
        (self.first..=self.last).contains(key)
    }
}

/// The key after which a name has no more. A rare name cannot mask the highest ordinal: then it is the highest sum that
/// is not subject to the odd carry of PROTOCOL.md §6.
fn last_key(name: &SelectorName) -> SelectorKey {
    let mut highest = [0xff; 16];
    highest[7] = 0xfe;
    name.key(u64::MAX).unwrap_or_else(|_| add_ordinal(name.key_hash(), &Ordinal(highest)))
}

pub(crate) fn targets(selectors: &[SelectorArg], names: &SelectorNames) -> Result<Vec<Target>, ClientError> {
    if selectors.is_empty() || selectors.len() > SELECTORS_MAX {
        return Err(ClientError::Selectors(selectors.len()));
    }
    selectors.iter().map(|arg| Target::new(arg, names)).collect()
}

impl Find {
    fn masking_key(&self) -> &[u8] {
        let name = || self.selectors.first().map(|s| s.name.as_slice());
        self.masking_key.as_deref().or_else(name).unwrap_or_default()
    }

    pub(crate) fn query(&self, targets: &[Target]) -> Query {
        let time_range = match (self.time_from, self.time_to) {
            (None, None) => vec![],
            (Some(from), None) => vec![from],
            (from, Some(to)) => vec![from.unwrap_or(0), to],
        };
        Query {
            ranges: targets.iter().map(Target::query_range).collect(),
            time_range,
            owners: self.owners.clone(),
            limit: self.limit,
            open: self.open,
            oracles: self.oracles.clone(),
            sort_order: if self.order == Order::default() {
                String::new()
            } else {
                self.order.name().to_owned()
            },
            follow_rotations: self.follow_rotations,
            ..Query::default()
        }
    }

    /// Checks one record of an answer. The error says what is wrong with it.
    pub(crate) fn check(&self, targets: &[Target], result: QueryResult) -> Result<FoundRecord, String> {
        let mut checked = self.check_batch(targets, vec![result])?;
        checked.pop().ok_or_else(|| "record was lost by the check".to_owned())
    }

    /// Checks some records of an answer together, which is much faster. The error says what is wrong with one of them.
    fn check_batch(&self, targets: &[Target], results: Vec<QueryResult>) -> Result<Vec<FoundRecord>, String> {
        let records = results
            .iter()
            .map(|result| {
                let hash = result.hash;
                let record = result.record.to_record().map_err(|e| format!("record {hash}: {e}"))?;
                if record.hash() == hash {
                    Ok(record)
                } else {
                    Err(format!("record {hash} is really {}", record.hash()))
                }
            })
            .collect::<Result<Vec<Record>, String>>()?;
        let verdicts = record::verify_all(&records.iter().collect::<Vec<_>>(), false);
        let check_one = |((result, record), verdict): (
            (QueryResult, Record),
            Result<Vec<RecoveredSelector>, RecordError>,
        )| {
            let recovered = verdict.map_err(|e| match e {
                RecordError::Signature(_) => format!("record {} is not signed by its owner", result.hash),
                RecordError::Claim { .. } => format!("record {} has an invalid selector", result.hash),
            })?;
            self.check_verified(targets, result, record, &recovered)
        };
        results.into_iter().zip(records).zip(verdicts).map(check_one).collect()
    }

    /// Checks a record whose signature and selectors are good against what was asked for.
    fn check_verified(
        &self,
        targets: &[Target],
        mut result: QueryResult,
        record: Record,
        recovered: &[RecoveredSelector],
    ) -> Result<FoundRecord, String> {
        let complain = |problem: &str| Err(format!("record {} {problem}", record.hash()));
        let enough =
            if self.open { recovered.len() >= targets.len() } else { recovered.len() == targets.len() };
        if !enough || !recovered.iter().zip(targets).all(|(s, target)| target.holds(&s.key)) {
            return complain("does not have the selectors asked for");
        }
        if !self.owners.is_empty() && !self.owners.contains(record.owner()) {
            return complain("is of an owner not asked for");
        }
        let timely = self.time_from.is_none_or(|from| record.timestamp() >= from)
            && self.time_to.is_none_or(|to| record.timestamp() <= to);
        if !timely {
            return complain("is of a time not asked for");
        }
        let selectors = recovered
            .iter()
            .zip(record.selectors())
            .enumerate()
            .map(|(i, (recovered, selector))| FoundSelector {
                key: recovered.key,
                ordinal: targets.get(i).and_then(|target| target.name.mask().unmask(&selector.ordinal).ok()),
            })
            .collect();
        let value =
            masking::unmask(record.stored_value(), record.timestamp(), self.masking_key(), record.owner())
                .ok();
        result.value = Blob(value.clone().unwrap_or_default());
        Ok(FoundRecord { result, record, value, selectors })
    }
}

impl Client {
    /// Looks for records.
    ///
    /// # Errors
    /// No answer, a refused query, or an answer that does not hold what was asked for.
    pub fn find(&self, find: &Find) -> Result<Found, ClientError> {
        let targets = targets(&find.selectors, &self.names)?;
        let (url, sets) = self.query(&find.query(&targets))?;
        let sets = check_sets(find, &targets, sets).map_err(|problem| wrong(&url, problem))?;
        Ok(Found { url, sets })
    }

    /// Looks for records and for why they count. The records are checked as in [`find`](Self::find); what the node says
    /// of them is its word.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn explain(&self, find: &Find) -> Result<(Explanation, Vec<Explained>), ClientError> {
        let targets = targets(&find.selectors, &self.names)?;
        let (url, mut explanation) = self.explanation(&find.query(&targets))?;
        let results = |set: &ExplainedSet| set.candidates.iter().map(|c| c.result.clone()).collect();
        explanation.sets.retain(|set| !set.candidates.is_empty());
        let sets: Vec<Vec<QueryResult>> = explanation.sets.iter().map(results).collect();
        let found = check_sets(find, &targets, sets).map_err(|problem| wrong(&url, problem))?;
        for (set, found) in explanation.sets.iter_mut().zip(&found) {
            for (candidate, record) in set.candidates.iter_mut().zip(found.records()) {
                candidate.result = record.result.clone();
            }
        }
        let explained = found.into_iter().zip(explanation.sets.clone());
        let explained = explained.map(|(found, set)| Explained { found, set }).collect();
        Ok((explanation, explained))
    }
}

/// Checks sets of results; empty ones are left out.
fn check_sets(find: &Find, targets: &[Target], sets: Vec<Vec<QueryResult>>) -> Result<Vec<FoundSet>, String> {
    let lengths: Vec<usize> = sets.iter().map(Vec::len).collect();
    let results: Vec<QueryResult> = sets.into_iter().flatten().collect();
    let mut checked = check_all(find, targets, results)?.into_iter();
    let mut sets = Vec::with_capacity(lengths.len());
    for length in lengths {
        let mut records = checked.by_ref().take(length);
        if let Some(winner) = records.next() {
            sets.push(FoundSet { winner, others: records.collect() });
        }
    }
    Ok(sets)
}

fn check_all(
    find: &Find,
    targets: &[Target],
    mut results: Vec<QueryResult>,
) -> Result<Vec<FoundRecord>, String> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let threads = threads.min(results.len() / RECORDS_PER_THREAD_MIN).max(1);
    let portion = results.len().div_ceil(threads).max(1);
    let mut portions = Vec::with_capacity(threads);
    while !results.is_empty() {
        let rest = results.split_off(portion.min(results.len()));
        portions.push(std::mem::replace(&mut results, rest));
    }
    let check = |portion: Vec<QueryResult>| -> Result<Vec<_>, String> {
        let mut checked = Vec::with_capacity(portion.len());
        let mut portion = portion.into_iter();
        while portion.len() > 0 {
            checked.extend(find.check_batch(targets, portion.by_ref().take(RECORDS_PER_BATCH).collect())?);
        }
        Ok(checked)
    };
    std::thread::scope(|scope| {
        let running: Vec<_> =
            portions.into_iter().map(|portion| scope.spawn(move || check(portion))).collect();
        let mut checked = Vec::new();
        for thread in running {
            checked.extend(thread.join().map_err(|_| "it broke the check".to_owned())??);
        }
        Ok(checked)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use lf_proto::api::RecordJson;
    use lf_proto::owner::{OwnerSecret, OwnerType};
    use lf_proto::record::{RecordBuilder, RecordType};

    fn result(name: &[u8], ordinal: u64, value: &[u8], mask: Option<&[u8]>) -> QueryResult {
        let owner = OwnerSecret::from_seed(OwnerType::Ed25519, b"find");
        let builder = RecordBuilder {
            record_type: RecordType::Datum,
            value,
            masking_key: mask,
            selectors: &[(name, ordinal), (b"tag", 1)],
            links: &[],
            timestamp: 1000,
            with_pulse_token: false,
        };
        let record = builder.build(&owner).unwrap().sign(&owner, None);
        QueryResult {
            hash: record.hash(),
            size: record.as_bytes().len() as u64,
            record: RecordJson::from(&record),
            value: Blob::default(),
            pulse: 1000,
            trust: 1.0,
            local_trust: 1.0,
            oracle_trust: 1.0,
            weight: [0; 4],
            signed: false,
        }
    }

    fn check(find: &Find, result: QueryResult) -> Result<FoundRecord, String> {
        find.check(&targets(&find.selectors, &SelectorNames::new(0)).unwrap(), result)
    }

    #[test]
    fn good_answers_are_unmasked() {
        let mut find = Find { selectors: vec!["name#".parse().unwrap()], open: true, ..Find::default() };
        let found = check(&find, result(b"name", 5, b"value", None)).unwrap();
        assert_eq!(found.value.as_deref(), Some(&b"value"[..]));
        assert_eq!(found.result.value.0, b"value");
        assert_eq!(found.selectors.iter().map(|s| s.ordinal).collect::<Vec<_>>(), [Some(5), None]);
        assert_eq!(found.selectors[1].key, SelectorName::new(b"tag").key(1).unwrap());
        // Of another masking key: there, but unreadable until the key is given.
        let secret = result(b"name", 5, b"value", Some(b"secret"));
        assert_eq!(check(&find, secret.clone()).unwrap().value, None);
        find.masking_key = Some(b"secret".to_vec());
        assert_eq!(check(&find, secret).unwrap().value.as_deref(), Some(&b"value"[..]));
    }

    #[test]
    fn answers_to_other_questions_are_refused() {
        let find = |selectors: &[&str], open| Find {
            selectors: selectors.iter().map(|s| s.parse().unwrap()).collect(),
            open,
            ..Find::default()
        };
        let good = || result(b"name", 5, b"value", None);
        assert!(check(&find(&["name#5", "tag#1"], false), good()).is_ok());
        assert!(check(&find(&["name#0#9", "tag#"], false), good()).is_ok());
        for (find, why) in [
            (find(&["name#5"], false), "one selector more"),
            (find(&["name#6", "tag#1"], false), "another ordinal"),
            (find(&["name#6#9", "tag#1"], false), "out of range"),
            (find(&["other#5", "tag#1"], false), "another name"),
            (find(&["tag#1", "name#5"], false), "another order"),
            (find(&["name#5", "tag#1", "more"], true), "one selector less"),
            (Find { time_to: Some(999), ..find(&["name#5", "tag#1"], false) }, "too late"),
            (Find { time_from: Some(1001), ..find(&["name#5", "tag#1"], false) }, "too early"),
            (
                Find {
                    owners: vec![*OwnerSecret::from_seed(OwnerType::P224, b"x").public()],
                    ..find(&["name#5", "tag#1"], false)
                },
                "another owner",
            ),
        ] {
            assert!(check(&find, good()).is_err(), "{why}");
        }
        let find = find(&["name#5", "tag#1"], false);
        let mut forged = good();
        forged.record.timestamp += 1;
        assert!(check(&find, forged.clone()).unwrap_err().contains("is really"));
        forged.hash = forged.record.to_record().unwrap().hash();
        assert!(check(&find, forged).unwrap_err().contains("not signed"));
    }

    #[test]
    fn large_answers_keep_their_order() {
        let find = Find { selectors: vec!["name#".parse().unwrap()], open: true, ..Find::default() };
        let targets = targets(&find.selectors, &SelectorNames::new(0)).unwrap();
        let results: Vec<_> = (0..100).map(|i| result(b"name", i, b"v", None)).collect();
        let found = check_all(&find, &targets, results).unwrap();
        let ordinals: Vec<_> = found.iter().map(|r| r.selectors[0].ordinal.unwrap()).collect();
        assert_eq!(ordinals, (0..100).collect::<Vec<_>>());
    }
}
