//! The rules of NODE.md as pure code: bytes, a view of the store and a time go in, decisions come out.
//!
//! Nothing here does I/O, reads a clock or knows HTTP, peers or threads, so that thousands of nodes can be simulated
//! in one process.

pub mod accept;
mod certs;
pub mod explain;

pub mod limbo;
pub mod oracle;
pub mod pulse;
pub mod query;
pub mod sync;

use lf_proto::owner::OwnerPublic;

pub use self::certs::{Certificates, Certified, NoCertificates, OwnerCache};

/// What acceptance and queries need to know of the network and the node.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// The network's current parameters.
    pub parameters: &'a lf_proto::genesis::GenesisParameters,
    /// The owner of its genesis records.
    pub genesis_owner: &'a OwnerPublic,
    /// Local test mode: every record is approved.
    pub local_test: bool,
    /// Who is certified.
    pub certificates: &'a dyn Certificates,
}

impl Rules<'_> {
    /// Whether work of this difficulty is enough for a record in this network.
    pub fn work_suffices(&self, difficulty: u32, billable_bytes: u64) -> bool {
        difficulty >= self.required_difficulty(billable_bytes)
    }

    /// The difficulty that work for a record must have.
    pub fn required_difficulty(&self, billable_bytes: u64) -> u32 {
        let factor = u32::try_from(self.parameters.work_factor()).unwrap_or(u32::MAX);
        lf_proto::work::required_difficulty(billable_bytes, factor)
    }
}

impl std::fmt::Debug for Rules<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("local_test", &self.local_test).finish_non_exhaustive()
    }
}
