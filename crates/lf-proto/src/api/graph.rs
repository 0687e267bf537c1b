//! What the node tells of its graph of records.

use serde::{Deserialize, Serialize};

use crate::hash::Hash;
use crate::json::nullable;
use crate::owner::OwnerPublic;

/// The answer of `/v1/graph`: linked records in the order in which they were linked here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GraphPage {
    /// The records, by index, without a gap.
    #[serde(deserialize_with = "nullable")]
    pub records: Vec<GraphRecord>,
    /// How many records are linked here: indexes are below it.
    pub linked: u64,
    /// Records of good reputation that no record links to.
    pub tips: u64,
}

/// One record of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GraphRecord {
    /// Its place in the order in which records were linked here; another node has another order.
    pub index: u32,
    /// Its hash.
    pub hash: Hash,
    /// The owner.
    pub owner: OwnerPublic,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// The record type's id.
    #[serde(rename = "Type")]
    pub record_type: u8,
    /// The indexes of the records it links to.
    #[serde(deserialize_with = "nullable")]
    pub links: Vec<u32>,
    /// What it and all that links to it, directly or not, score together: most significant 32 bits first.
    pub weight: [u32; 4],
    /// What it scores itself.
    pub score: u32,
    /// 63 good, 48 links to a newer record, 0 another owner was first here.
    pub reputation: u8,
    /// Its bytes.
    pub size: u64,
    /// How many selectors it has.
    pub selectors: u64,
}
