//! An LF node: the rules as a pure core, and the shells around it.
//!
//! [`core`] decides: bytes, a view of the store and a time in, verdicts and answers out. [`Node`] puts it together with
//! the store and the clock. Everything else is a thin shell.
#![forbid(unsafe_code)]

pub mod core;
mod failure;
mod node;

pub use failure::Failure;
pub use node::{
    Counters, Dump, ImportProgress, ImportReport, Node, NodeConfig, NodeError, WatchPlan, store_options,
};
