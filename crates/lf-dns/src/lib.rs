//! Names stored in LF, served over DNS.
//!
//! A name's records are LF records: selector `dns/` and the name, the record type's number as ordinal, and a value of
//! lines `TTL DATA` as in zone files (docs/src/DNS.md). The pure part: names ([`name`]), record sets and their text
//! ([`rrset`], [`data`], [`text`], [`zonefile`]), whose records count ([`trust`]), what bytes are answered with
//! ([`query`]), what is remembered ([`cache`]) and whom to answer less ([`limit`]). Time is an argument there, and nothing is asked of
//! anybody: [`query::Query::step`] says what it would like to know. The feature `server` adds the sockets (`server`) and
//! the node that is asked (`node`).
#![forbid(unsafe_code)]

pub mod cache;
pub mod data;
pub mod limit;
pub mod name;
#[cfg(feature = "server")]
pub mod node;
pub mod query;
pub mod rrset;
#[cfg(feature = "server")]
pub mod server;
pub mod text;
pub mod trust;
pub mod zone;
pub mod zonefile;

pub use hickory_proto::rr::{RData, RecordType};
pub use name::DomainName;
pub use rrset::{NameRecords, RrSet};
pub use zone::{Zone, Zones};
