//! Queries (NODE.md §5): key ranges in, result sets out, each sorted by trust, weight or time.
//!
//! Here is what a query may ask and how it is answered; `sets.rs` finds the records and judges them, `rotation.rs` knows
//! who goes on as whom.

mod rotation;
pub(super) mod sets;

use lf_proto::api::{self, Query, QueryRange, QueryResult, RecordJson};
use lf_proto::blob::Blob;
use lf_proto::masking;
use lf_proto::ordinal::OrdinalError;
use lf_proto::owner::OwnerPublic;
use lf_proto::selector::{SelectorKey, SelectorNames};
use lf_store::{IndexError, Row, View};

use self::rotation::Lineages;
use self::sets::{Candidate, Revisions};
use super::{Certified, Rules};

/// The most records one query may look at.
pub const CANDIDATES_MAX: usize = 250_000;

/// The most records one answer may hold: some tens of megabytes of JSON.
pub const RESULTS_MAX: usize = 25_000;

/// Why a query has no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// No range at all.
    #[error("query has no ranges: give at least one")]
    NoRanges,
    /// More ranges than a record can have selectors.
    #[error("query has {0} ranges: a record has at most {max} selectors", max = api::RANGES_MAX)]
    TooManyRanges(usize),
    /// A range that cannot be.
    #[error("query range {index}: {problem}")]
    Range {
        /// Its place, from 0.
        index: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// An ordinal that cannot be masked under its name.
    #[error("query range {index}: {source}")]
    Ordinal {
        /// The range's place, from 0.
        index: usize,
        /// Why.
        source: OrdinalError,
    },
    /// A time range that cannot be.
    #[error("query time range {0}")]
    TimeRange(&'static str),
    /// An unknown sort order.
    #[error("sort order {0:?} is unknown: trust, weight, timestamp or deterministic")]
    SortOrder(String),
    /// Too many owners or oracles.
    #[error("query names {0} owners or oracles: at most {max}", max = api::OWNERS_MAX)]
    TooManyOwners(usize),
    /// The query matches more records than a node looks at for one query.
    #[error("query matches more than {CANDIDATES_MAX} records: narrow its ranges")]
    TooBroad,
    /// The query has more candidates than one explanation holds.
    #[error("query has more than {max} candidates to explain: narrow its ranges", max = super::explain::CANDIDATES_MAX)]
    TooManyCandidates,
    /// The answer would hold more records than a node gives for one query.
    #[error("query has more than {RESULTS_MAX} results: narrow its ranges, or set a limit")]
    TooManyResults,
    /// The store failed: our side's fault.
    #[error(transparent)]
    Store(#[from] IndexError),
}

impl QueryError {
    /// The error's name in the API.
    pub fn name(&self) -> &'static str {
        match self {
            QueryError::NoRanges => "ErrQueryRequiresSelectors",
            QueryError::SortOrder(_) => "ErrQueryInvalidSortOrder",
            QueryError::Store(_) => "ErrIO",
            _ => "ErrInvalidParameter",
        }
    }
}

/// How the records of a result set are sorted, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SortOrder {
    /// What this node, and the oracles asked, think; then weight.
    Trust,
    /// Weight, then hash.
    Weight,
    /// The newest first.
    Timestamp,
    /// Weight, then hash, of what all synchronized nodes see alike: nothing local counts, also not who goes on as whom.
    Deterministic,
}

/// A range of selector keys, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRange {
    /// The lowest key.
    pub first: SelectorKey,
    /// The highest key.
    pub last: SelectorKey,
}

impl KeyRange {
    fn contains(&self, key: &SelectorKey) -> bool {
        self.first <= *key && *key <= self.last
    }
}

/// A query, checked.
#[derive(Debug, Clone)]
pub struct Plan {
    ranges: Vec<KeyRange>,
    times: (u64, u64),
    owners: Vec<OwnerPublic>,
    oracles: Vec<OwnerPublic>,
    masking_key: Option<Vec<u8>>,
    order: SortOrder,
    limit: usize,
    open: bool,
    follow_rotations: bool,
    candidates_max: usize,
}

impl Plan {
    /// Checks a query and turns names into keys.
    ///
    /// # Errors
    /// What is wrong with the query.
    pub fn new(query: &Query, names: &SelectorNames) -> Result<Self, QueryError> {
        if query.ranges.is_empty() {
            return Err(QueryError::NoRanges);
        }
        if query.ranges.len() > api::RANGES_MAX {
            return Err(QueryError::TooManyRanges(query.ranges.len()));
        }
        let named = query.owners.len().max(query.oracles.len());
        if named > api::OWNERS_MAX {
            return Err(QueryError::TooManyOwners(named));
        }
        let order = match query.sort_order.as_str() {
            "" | "trust" => SortOrder::Trust,
            "weight" => SortOrder::Weight,
            "timestamp" => SortOrder::Timestamp,
            "deterministic" => SortOrder::Deterministic,
            other => return Err(QueryError::SortOrder(other.to_owned())),
        };
        let times = match query.time_range[..] {
            [] => (0, u64::MAX),
            [from] => (from, u64::MAX),
            [from, to] if from <= to => (from, to),
            [_, _] => return Err(QueryError::TimeRange("begins after its end")),
            _ => return Err(QueryError::TimeRange("has more than two values")),
        };
        let ranges = query
            .ranges
            .iter()
            .enumerate()
            .map(|(index, range)| key_range(index, range, names))
            .collect::<Result<_, _>>()?;
        let first = &query.ranges[0];
        let masking_key = if !query.masking_key.is_empty() {
            Some(query.masking_key.0.clone())
        } else if first.key_range.is_empty() {
            Some(first.name.0.clone())
        } else {
            None
        };
        Ok(Plan {
            ranges,
            times,
            owners: query.owners.clone(),
            oracles: query.oracles.clone(),
            masking_key,
            order,
            limit: usize::try_from(query.limit).ok().filter(|l| *l > 0).unwrap_or(usize::MAX),
            open: query.open,
            follow_rotations: query.follow_rotations,
            candidates_max: CANDIDATES_MAX,
        })
    }

    /// Too broad if it matches more records than this.
    pub fn at_most(self, candidates_max: usize) -> Self {
        Plan { candidates_max: candidates_max.min(CANDIDATES_MAX), ..self }
    }

    pub(super) fn order(&self) -> SortOrder {
        self.order
    }

    pub(super) fn oracles(&self) -> &[OwnerPublic] {
        &self.oracles
    }

    pub(super) fn masking_key(&self) -> Option<&[u8]> {
        self.masking_key.as_deref()
    }

    /// Whether a record's selectors and owner are those the query asks for.
    pub fn matches(&self, row: &Row) -> bool {
        let count = row.selectors.len();
        (count == self.ranges.len() || (self.open && count > self.ranges.len()))
            && self.ranges.iter().zip(&row.selectors).all(|(range, s)| range.contains(&s.key))
            && (self.owners.is_empty() || self.owners.contains(&row.owner))
    }

    /// Indexes of the records in the range that holds the fewest: all ranges are walked in step, and the first to end
    /// is the one.
    fn candidates(&self, view: &View) -> Result<Vec<u32>, QueryError> {
        let mut walks: Vec<_> = self
            .ranges
            .iter()
            .enumerate()
            .map(|(position, range)| {
                (view.by_selector(position as u8, &range.first, &range.last), Vec::new())
            })
            .collect();
        loop {
            for (walk, found) in &mut walks {
                match walk.next() {
                    Some(index) => found.push(index?),
                    None => return Ok(std::mem::take(found)),
                }
                if found.len() > self.candidates_max {
                    return Err(QueryError::TooBroad);
                }
            }
        }
    }
}

fn key_range(index: usize, range: &QueryRange, names: &SelectorNames) -> Result<KeyRange, QueryError> {
    let bad = |problem| QueryError::Range { index, problem };
    if !range.key_range.is_empty() {
        let key = |blob: &Blob| {
            <[u8; 32]>::try_from(blob.0.as_slice()).map(SelectorKey).map_err(|_| bad("a key has 32 bytes"))
        };
        let (first, last) = match &range.key_range[..] {
            [one] => (key(one)?, key(one)?),
            [first, last] => (key(first)?, key(last)?),
            _ => return Err(bad("KeyRange has more than two values")),
        };
        if first > last {
            return Err(bad("KeyRange begins after its end"));
        }
        return Ok(KeyRange { first, last });
    }
    let (from, to) = match range.range[..] {
        [] => (0, 0),
        [one] => (one, one),
        [from, to] if from <= to => (from, to),
        [_, _] => return Err(bad("Range begins after its end")),
        _ => return Err(bad("Range has more than two values")),
    };
    let name = names.get(&range.name.0);
    let key = |ordinal| name.key(ordinal).map_err(|source| QueryError::Ordinal { index, source });
    Ok(KeyRange { first: key(from)?, last: key(to)? })
}

/// Whether queries see a record: approved now by its work or by a certificate that is not revoked.
pub fn visible(row: &Row, rules: &Rules<'_>) -> bool {
    if rules.local_test {
        return true;
    }
    let worked = !rules.parameters.auth_required
        && row.work_verified
        && row.difficulty.is_some_and(|d| rules.work_suffices(d, u64::from(row.billable_bytes)));
    worked || rules.certificates.certified(&row.owner, row.timestamp) == Certified::Yes
}

/// Answers a query: result sets, in order, each with its best record first.
///
/// # Errors
/// The query is too broad, or the store failed.
pub fn answer(plan: &Plan, view: &View, rules: &Rules<'_>) -> Result<Vec<Vec<QueryResult>>, QueryError> {
    let mut answer = Vec::new();
    let mut count = 0;
    for mut candidates in sets::judged(plan, view, rules)? {
        candidates.truncate(plan.limit);
        count += candidates.len();
        if count > RESULTS_MAX {
            return Err(QueryError::TooManyResults);
        }
        let results: Vec<QueryResult> =
            candidates.iter().filter_map(|c| result(c, plan.masking_key(), view)).collect();
        if !results.is_empty() {
            answer.push(results);
        }
    }
    Ok(answer)
}

/// The API's form of a record in an answer; `None` if its bytes are damaged on disk.
pub(super) fn result(candidate: &Candidate, masking_key: Option<&[u8]>, view: &View) -> Option<QueryResult> {
    let row = candidate.row();
    let record = view.record(row)?;
    let value = masking_key
        .and_then(|key| masking::unmask(record.stored_value(), record.timestamp(), key, record.owner()).ok());
    let minutes = view.pulse(row.pulse_token).ok().flatten().map_or(0, |p| u64::from(p.minutes()));
    Some(QueryResult {
        hash: row.hash,
        size: u64::from(row.bytes),
        record: RecordJson::from(&record),
        value: Blob(value.unwrap_or_default()),
        pulse: row.timestamp.saturating_add(60 * minutes),
        trust: candidate.trust,
        local_trust: candidate.local_trust,
        oracle_trust: candidate.oracle_trust,
        weight: api::weight_words(candidate.revisions.weight),
        signed: candidate.certified == Certified::Yes,
    })
}

/// One record as a query's answer gives it, judged on its own: what a watcher is told.
///
/// # Errors
/// The store failed.
pub fn describe(
    index: u32,
    row: Row,
    plan: &Plan,
    view: &View,
    rules: &Rules<'_>,
) -> Result<Option<QueryResult>, QueryError> {
    let weight = view.weight(index);
    let mut lineages = Lineages::new(plan, view, rules);
    let candidate = sets::judge(Revisions::one(row, weight), plan, view, rules, &mut lineages)?;
    Ok(result(&candidate, plan.masking_key(), view))
}

/// The newest visible record of an owner with exactly these selector keys.
///
/// # Errors
/// The store failed.
pub fn newest_of(
    keys: &[SelectorKey],
    owner: &OwnerPublic,
    view: &View,
    rules: &Rules<'_>,
) -> Result<Option<Row>, QueryError> {
    let Some(first) = keys.first() else { return Ok(None) };
    let mut newest: Option<Row> = None;
    for index in view.by_selector(0, first, first) {
        let Some(row) = view.row(index?)? else { continue };
        let same = row.owner == *owner && row.selectors.iter().map(|s| &s.key).eq(keys.iter());
        let newer = |n: &Row| (row.timestamp, row.hash) > (n.timestamp, n.hash);
        if same && visible(&row, rules) && newest.as_ref().is_none_or(newer) {
            newest = Some(row);
        }
    }
    Ok(newest)
}
