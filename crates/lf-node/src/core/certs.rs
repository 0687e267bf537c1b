//! What certificates say, as acceptance and queries ask it: from the store's index.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use lf_proto::owner::OwnerPublic;
pub use lf_store::Certified;
use lf_store::{IssuedCertificate, StoreReader, View, certified_by};

/// Owners that are kept in mind for one query.
const OWNERS_MAX: usize = 10_000;

/// Answers whether owners are certified.
pub trait Certificates: Sync {
    /// What is known of `owner` at `timestamp`, seconds since 1970.
    fn certified(&self, owner: &OwnerPublic, timestamp: u64) -> Certified;

    /// Whether one authority certified both, so that `new` is followed when `old` named it as its successor at
    /// `timestamp` in the record with this index: `new` must not be revoked, `old` not before it said so.
    fn follows(&self, _old: &OwnerPublic, _new: &OwnerPublic, _timestamp: u64, _index: u32) -> bool {
        false
    }
}

/// No owner is certified: what holds in a network without certificate authorities.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCertificates;

impl Certificates for NoCertificates {
    fn certified(&self, _owner: &OwnerPublic, _timestamp: u64) -> Certified {
        Certified::No
    }
}

/// As of that view. An index that cannot be read certifies nobody; the store mends itself and says so.
impl Certificates for View {
    fn certified(&self, owner: &OwnerPublic, timestamp: u64) -> Certified {
        View::certified(self, owner, timestamp).unwrap_or(Certified::No)
    }

    fn follows(&self, old: &OwnerPublic, new: &OwnerPublic, timestamp: u64, index: u32) -> bool {
        View::follows(self, old, new, timestamp, index).unwrap_or(false)
    }
}

/// As of now.
impl Certificates for StoreReader {
    fn certified(&self, owner: &OwnerPublic, timestamp: u64) -> Certified {
        if self.has_authorities() {
            Certificates::certified(&self.view(), owner, timestamp)
        } else {
            Certified::No
        }
    }

    fn follows(&self, old: &OwnerPublic, new: &OwnerPublic, timestamp: u64, index: u32) -> bool {
        self.has_authorities() && Certificates::follows(&self.view(), old, new, timestamp, index)
    }
}

/// A view that is asked about the same owners again and again, as by a query over many records.
pub struct OwnerCache<'a> {
    view: &'a View,
    /// Whether there is anything to look up at all.
    any: bool,
    owners: Mutex<HashMap<OwnerPublic, Vec<IssuedCertificate>>>,
}

impl<'a> OwnerCache<'a> {
    /// Nothing is known yet.
    pub fn new(view: &'a View) -> Self {
        OwnerCache { view, any: view.has_authorities(), owners: Mutex::default() }
    }
}

impl Certificates for OwnerCache<'_> {
    fn certified(&self, owner: &OwnerPublic, timestamp: u64) -> Certified {
        if !self.any {
            return Certified::No;
        }
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(certificates) = owners.get(owner) {
            return certified_by(certificates, timestamp);
        }
        if owners.len() >= OWNERS_MAX {
            owners.clear();
        }
        let certificates = self.view.certificates_of(owner).unwrap_or_default();
        let certified = certified_by(&certificates, timestamp);
        owners.insert(*owner, certificates);
        certified
    }

    fn follows(&self, old: &OwnerPublic, new: &OwnerPublic, timestamp: u64, index: u32) -> bool {
        self.any && Certificates::follows(self.view, old, new, timestamp, index)
    }
}
