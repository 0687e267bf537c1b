//! Answering: queries, records, status, watching.

use std::sync::PoisonError;

use lf_proto::api::{self, Explanation, NodeStatus, OwnerStatus, Query, QueryResult};
use lf_proto::blob::Blob;
use lf_proto::genesis::Genesis;
use lf_proto::hash::Hash;
use lf_proto::owner::OwnerPublic;
use lf_proto::record::{LINKS_MAX, Record};
use lf_store::{View, certified_by};

use super::{Node, Tally, now, random};
use crate::core::explain;
use crate::core::query::{self, Plan, QueryError};
use crate::core::{Certified, OwnerCache, Rules};
use crate::failure::Failure;

/// The program's version, as the API tells it: major, minor, revision, build.
const VERSION: [u32; 4] = [
    number(env!("CARGO_PKG_VERSION_MAJOR")),
    number(env!("CARGO_PKG_VERSION_MINOR")),
    number(env!("CARGO_PKG_VERSION_PATCH")),
    0,
];

const fn number(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let (mut n, mut i) = (0, 0);
    while i < bytes.len() {
        n = n * 10 + (bytes[i] - b'0') as u32;
        i += 1;
    }
    n
}

/// The most rows one look of a watcher goes through.
const WATCH_ROWS_MAX: u32 = 10_000;

/// What a watcher wants to see: a query's ranges and owners.
#[derive(Debug, Clone)]
pub struct WatchPlan(Plan);

impl Node {
    /// Answers a query.
    ///
    /// # Errors
    /// What is wrong with the query.
    pub fn query(&self, query: &Query) -> Result<Vec<Vec<QueryResult>>, Failure> {
        let plan = Plan::new(query, &self.inner.names)?;
        Tally::add(&self.inner.tally.queries);
        Ok(self.answer(&plan)?)
    }

    /// As [`query`](Self::query), if it matches at most `candidates_max` records: else `None`, and little time is lost.
    ///
    /// # Errors
    /// What is wrong with the query.
    pub fn query_if_small(
        &self,
        query: &Query,
        candidates_max: usize,
    ) -> Result<Option<Vec<Vec<QueryResult>>>, Failure> {
        let plan = Plan::new(query, &self.inner.names)?.at_most(candidates_max);
        let answer = self.answer(&plan);
        if matches!(answer, Err(QueryError::TooBroad)) {
            return Ok(None);
        }
        Tally::add(&self.inner.tally.queries);
        Ok(Some(answer?))
    }

    fn answer(&self, plan: &Plan) -> Result<Vec<Vec<QueryResult>>, QueryError> {
        let parameters = self.inner.reader.parameters();
        let view = self.inner.reader.view();
        let certificates = OwnerCache::new(&view);
        let rules = Rules { certificates: &certificates, ..self.rules(&parameters) };
        query::answer(plan, &view, &rules)
    }

    /// Explains a query's answer. `synchronized` is what the node says of itself.
    ///
    /// # Errors
    /// What is wrong with the query, or that it has too many candidates.
    pub fn explain(&self, query: &Query, synchronized: bool) -> Result<Explanation, Failure> {
        let plan = Plan::new(query, &self.inner.names)?;
        let parameters = self.inner.reader.parameters();
        Tally::add(&self.inner.tally.queries);
        let situation = explain::Situation { now: now(), synchronized };
        let view = self.inner.reader.view();
        let certificates = OwnerCache::new(&view);
        let rules = Rules { certificates: &certificates, ..self.rules(&parameters) };
        Ok(explain::explain(&plan, &view, &rules, situation)?)
    }

    /// A stored record, linked or pending, of any reputation.
    ///
    /// # Errors
    /// The store failed, or the record's bytes are damaged on disk.
    pub fn record(&self, hash: &Hash) -> Result<Option<Record>, Failure> {
        let view = self.inner.reader.view();
        let Some(row) = view.row_of(hash)? else { return Ok(None) };
        let damaged = || Failure::internal(format!("record {hash} is damaged on disk: run lf db check"));
        view.record(&row).ok_or_else(damaged).map(Some)
    }

    /// Hashes for a new record to link to: as many as the network asks for, or `count`, 15 at most.
    ///
    /// # Errors
    /// The store failed.
    pub fn links(&self, count: Option<usize>) -> Result<Vec<Hash>, Failure> {
        let count = count.unwrap_or_else(|| self.inner.reader.parameters().links_min()).min(LINKS_MAX);
        Ok(self.inner.reader.links(count, random)?)
    }

    /// The node's state.
    ///
    /// # Errors
    /// The store failed.
    pub fn status(&self) -> Result<NodeStatus, Failure> {
        let totals = self.inner.reader.view().totals()?;
        Ok(NodeStatus {
            software: "LF".to_owned(),
            version: VERSION,
            api_version: api::API_VERSION,
            min_api_version: api::API_VERSION,
            max_api_version: api::API_VERSION,
            uptime: self.inner.started.elapsed().as_secs(),
            clock: now(),
            record_count: u64::from(totals.linked),
            data_size: totals.linked_bytes,
            fully_synchronized: totals.pending == 0,
            genesis_records: self.inner.genesis.to_bytes().into(),
            genesis_parameters: self.inner.reader.parameters(),
            oracle: None,
            oracle_threads: 0,
            p2p_port: 0,
            local_test_mode: self.inner.rules.local_test,
            identity: Blob::default(),
            peers: Vec::new(),
            pending_count: totals.pending,
            read_only_reason: self.inner.read_only.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            limbo_count: self.limbo_count() as u64,
            missing_count: 0,
            fetched_count: 0,
            https_until: None,
            https_problem: String::new(),
        })
    }

    /// What the node knows of an owner.
    ///
    /// # Errors
    /// The store failed.
    pub fn owner_status(&self, owner: &OwnerPublic) -> Result<OwnerStatus, Failure> {
        let view = self.inner.reader.view();
        let totals = view.owner_totals(owner)?;
        let now = now();
        let certificates = view.certificates_of(owner)?;
        let ders = |revoked: bool| {
            let some = certificates.iter().filter(move |c| c.revoked.is_some() == revoked);
            some.map(|c| Blob::from(c.der.as_slice())).collect()
        };
        Ok(OwnerStatus {
            owner: *owner,
            owner_type: owner.owner_type().to_string(),
            certificates: ders(false),
            revoked_certificates: ders(true),
            has_current_certificate: certified_by(&certificates, now) == Certified::Yes,
            auth_required: self.inner.reader.parameters().auth_required,
            record_count: totals.records,
            record_bytes: totals.bytes,
            new_record_links: self.links(None)?,
            server_time: now,
        })
    }

    /// All linked records, links before linkers: what a new node can start from.
    pub fn dump(&self) -> Dump {
        Dump { view: self.inner.reader.view(), next: 0 }
    }

    /// The linked records from index `from` on, as [`dump`](Self::dump) gives them, if the one before is `after`. So
    /// who was cut off goes on where it was, and who has what this node has under other indexes is told.
    ///
    /// # Errors
    /// 404 if there is another record before `from`, or none; the store failed.
    pub fn dump_from(&self, from: u32, after: &Hash) -> Result<Dump, Failure> {
        let view = self.inner.reader.view();
        let before = from.checked_sub(1).map(|index| view.row(index)).transpose()?.flatten();
        if before.is_none_or(|row| row.hash != *after) {
            let message = format!("record {after} is not the one before index {from} here");
            return Err(Failure { status: 404, name: "ErrRecordNotFound", message });
        }
        Ok(Dump { view, next: from })
    }

    /// The network's genesis: what every node of it starts from.
    pub fn genesis(&self) -> &Genesis {
        &self.inner.genesis
    }

    /// How many records are linked, and the hash of the last of them: where [`dump_from`](Self::dump_from) of the node
    /// that they came from goes on.
    ///
    /// # Errors
    /// The store failed.
    pub fn last_linked(&self) -> Result<Option<(u32, Hash)>, Failure> {
        let view = self.inner.reader.view();
        let count = view.linked();
        let last = count.checked_sub(1).map(|index| view.row(index)).transpose()?.flatten();
        Ok(last.map(|row| (count, row.hash)))
    }

    /// The number of linked records: their indexes are below it.
    pub fn linked(&self) -> u32 {
        self.inner.reader.view().linked()
    }

    /// Checks what a watcher wants.
    ///
    /// # Errors
    /// What is wrong with the query.
    pub fn watch_plan(&self, query: &Query) -> Result<WatchPlan, Failure> {
        Ok(WatchPlan(Plan::new(query, &self.inner.names)?))
    }

    /// Up to `count_max` records from index `from` on that a watcher wants, each with its index, and the index to go on
    /// from. Looks at a bounded number of rows: nothing found does not mean that nothing is left.
    ///
    /// # Errors
    /// The store failed.
    pub fn watch_since(
        &self,
        plan: &WatchPlan,
        from: u32,
        count_max: usize,
    ) -> Result<(Vec<(u32, QueryResult)>, u32), Failure> {
        let view = self.inner.reader.view();
        let parameters = self.inner.reader.parameters();
        let certificates = OwnerCache::new(&view);
        let rules = Rules { certificates: &certificates, ..self.rules(&parameters) };
        let mut found = Vec::new();
        let mut index = from;
        let end = view.linked().min(from.saturating_add(WATCH_ROWS_MAX));
        while index < end && found.len() < count_max {
            if let Some(row) = view.row(index)?
                && plan.0.matches(&row)
                && query::visible(&row, &rules)
                && let Some(result) = query::describe(index, row, &plan.0, &view, &rules)?
            {
                found.push((index, result));
            }
            index += 1;
        }
        Ok((found, index))
    }
}

/// All linked records' bytes, in order of index. A record that is damaged on disk is left out.
pub struct Dump {
    view: View,
    next: u32,
}

impl Iterator for Dump {
    type Item = Result<Vec<u8>, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.view.linked() {
            let index = self.next;
            self.next += 1;
            match self.view.row(index) {
                Ok(Some(row)) => {
                    if let Some(bytes) = self.view.record_bytes(&row) {
                        return Some(Ok(bytes));
                    }
                }
                Ok(None) => {}
                Err(e) => {
                    self.next = u32::MAX;
                    return Some(Err(e.into()));
                }
            }
        }
        None
    }
}
