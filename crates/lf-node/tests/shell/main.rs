//! The node's shells over real sockets and directories: what API.md §1 and §3 promise.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

mod acme;
mod bounds;
mod client;
mod endpoints;
mod home;
mod oracle;
mod process;
mod running;
mod tls;
mod watching;
