//! An LF node: the rules as a pure core, and the shells around it.
//!
//! [`core`] decides: bytes, a view of the store and a time in, verdicts and answers out. [`Node`] puts it together with
//! the store and the clock. Everything else is a thin shell: [`http`] serves it, [`p2p`] connects it to other nodes,
//! [`runtime`] gives it a home, logs and a life.
#![forbid(unsafe_code)]

pub mod core;
mod failure;
pub mod http;
mod metrics;
mod node;
pub mod p2p;
pub mod runtime;
mod sol;
mod verifier;

pub use failure::Failure;
pub use lf_store::{selftest, tools};
pub use node::{
    Counters, Dump, ImportProgress, ImportReport, Node, NodeConfig, NodeError, OracleStatus, WatchPlan,
    store_options,
};
pub use p2p::P2pConfig;
pub use runtime::{RunConfig, RunError, Running, run};
pub use sol::sol;
