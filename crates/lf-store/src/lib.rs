//! LF's durable state: an append-only record log (the only durable truth), an index derived from it, and the
//! exact weights of the record graph.
//!
//! Nothing above this crate opens a data file, and nothing here knows HTTP, peers or trust.
#![forbid(unsafe_code)]

mod apply;
mod certs;
mod checkpoint;
pub mod engine;
mod event;
mod filter;
mod graph;
pub mod log;
mod room;
mod rows;
pub mod selftest;
pub mod storage;
mod store;
mod tips;
pub mod tools;
mod txn;
mod view;
pub mod weights;
mod writer;

pub use apply::{IndexError, Stored};
pub use certs::{Certified, IssuedCertificate, IssuedPage, Revocation, certified_by};
pub use rows::{OwnerTotals, Row, RowError, SelectorRow, Successor};
pub use store::{
    Applied, FREE_BYTES_MIN, IndexPlace, OpenReport, PENDING_BYTES_MAX, PENDING_RECORDS_MAX, Put, PutOutcome,
    SettledName, Store, StoreError, StoreOptions,
};
pub use view::{
    REPUTATION_COLLISION, REPUTATION_GOOD, REPUTATION_TEMPORAL_VIOLATION, StoreReader, Totals, View,
};
pub use writer::{Answer, StoreWriter, WRITER_NICENESS, WriterThread};
