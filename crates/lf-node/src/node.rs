//! A node on one machine: the store, the rules and a clock put together. Every method is synchronous and may block for
//! disk or proof of work; shells call them from threads that may.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use lf_proto::api::{MakeRecord, Made, NodeStatus, OwnerStatus, Query, QueryResult};
use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_proto::hash::Hash;
use lf_proto::owner::OwnerPublic;
use lf_proto::record::Record;
use lf_store::{IndexPlace, Row, Store, StoreOptions, StoreReader, StoreWriter, View, WriterThread};

use crate::core::query::Plan;
use crate::failure::Failure;

mod import;
mod make;
mod read;
mod write;

/// How to open a node.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// The directory that holds everything the node keeps.
    pub home: PathBuf,
    /// The network.
    pub genesis: Genesis,
    /// No peers, and every record is approved.
    pub local_test: bool,
}
