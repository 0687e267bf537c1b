//! What the node tells of the graph of its linked records, for who draws it.

use lf_proto::api::{GraphPage, GraphRecord, weight_words};

use super::Node;
use crate::failure::Failure;

/// Records on one page, at most.
const PAGE_MAX: usize = 2_000;

impl Node {
    /// Up to `count` linked records, 2,000 at most: from index `from` on, or the newest.
    ///
    /// # Errors
    /// The store failed.
    pub fn graph(&self, from: Option<u32>, count: usize) -> Result<GraphPage, Failure> {
        let count = count.min(PAGE_MAX);
        let view = self.inner.reader.view();
        let linked = view.linked();
        let from = from.unwrap_or_else(|| linked.saturating_sub(count as u32));
        let mut records = Vec::with_capacity(count.min(linked.saturating_sub(from) as usize));
        for (index, linked) in (from..linked).zip(view.linked_from(from)).take(count) {
            let (row, links) = linked?;
            records.push(GraphRecord {
                index,
                hash: row.hash,
                owner: row.owner,
                timestamp: row.timestamp,
                record_type: row.record_type.id(),
                links,
                weight: weight_words(view.weight(index)),
                score: row.score,
                reputation: view.reputation(&row)?,
                size: u64::from(row.bytes),
                selectors: row.selectors.len() as u64,
            });
        }
        Ok(GraphPage { records, linked: u64::from(linked), tips: self.inner.reader.tips() as u64 })
    }
}
