//! Why a query's winners win (`/v1/explain`).

use serde::{Deserialize, Serialize};

use super::QueryResult;
use crate::json::nullable;
use crate::owner::OwnerPublic;

/// The answer of `/v1/explain`: all result sets of a query, with all that decided.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Explanation {
    /// The result sets, in order.
    #[serde(deserialize_with = "nullable")]
    pub sets: Vec<ExplainedSet>,
    /// How the candidates are sorted: `trust`, `weight`, `timestamp` or `deterministic`.
    pub sort_order: String,
    /// The node's clock, seconds since 1970.
    pub time: u64,
}

/// One result set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ExplainedSet {
    /// All candidates, the winner first.
    #[serde(deserialize_with = "nullable")]
    pub candidates: Vec<ExplainedCandidate>,
    /// One sentence on why the winner wins.
    pub because: String,
    /// Why the answer is weak, a sentence each; none if it is not.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub warnings: Vec<String>,
}

/// What one owner has in a result set, and what speaks for and against it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ExplainedCandidate {
    /// As `/query` answers it.
    pub result: QueryResult,
    /// The newest revision's age by the node's clock, in seconds; 0 if it is of the future.
    pub age: u64,
    /// This owner's revisions in the set.
    pub revisions: u64,
    /// What this node makes of it: 63 good, 48 links to a newer record, 0 another owner was first.
    pub reputation: u8,
    /// Its part of the set's weight, 0 to 1.
    pub weight_share: f64,
    /// Work on top of it, as multiples of what the newest revision itself scores.
    pub records_on_top: f64,
    /// The difficulty of the newest revision's work; 0 without.
    pub difficulty: u64,
    /// The owner's certificate at the record's time: `yes`, `no` or `revoked`.
    pub certified: String,
    /// The oracles asked that say it collides with another owner's.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub denied_by: Vec<OwnerPublic>,
    /// Owners whose revisions count with these, because they named this owner as their successor.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub goes_on_for: Vec<OwnerPublic>,
}
