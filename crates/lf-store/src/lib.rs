//! LF's durable state: an append-only record log (the only durable truth), an index derived from it, and the
//! exact weights of the record graph.
//!
//! Nothing above this crate opens a data file, and nothing here knows HTTP, peers or trust.
#![forbid(unsafe_code)]

pub mod log;
pub mod storage;
pub mod weights;
