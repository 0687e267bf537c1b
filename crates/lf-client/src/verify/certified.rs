//! Which owners of a file's records are certified, by the authorities of its network and the certificates that came before
//! in the file. Revocations do not matter: a revoked owner's record keeps its place in the graph.

use std::collections::HashMap;

use lf_proto::cert::{self, Certificate};
use lf_proto::genesis::GenesisParameters;
use lf_proto::owner::OwnerPublic;
use lf_proto::record::{Record, RecordType};

/// Authorities that are kept, more than any network has.
const AUTHORITIES_MAX: usize = 4_096;

/// What the file has said so far.
#[derive(Default)]
pub(super) struct Certified {
    roots: Vec<Certificate>,
    intermediates: Vec<Certificate>,
    /// First and last second of validity.
    owners: HashMap<OwnerPublic, Vec<(u64, u64)>>,
}

impl Certified {
    /// Takes notice of the authorities that a genesis record names.
    pub(super) fn add_network(&mut self, parameters: &GenesisParameters) {
        for row in [&parameters.auth_certificates, &parameters.revoked_auth_certificates] {
            for root in Certificate::parse_all(&row.0).unwrap_or_default() {
                let known = self.roots.iter().any(|r| r.der() == root.der());
                if !known && self.roots.len() < AUTHORITIES_MAX {
                    self.note(root.key_owner(), &root);
                    self.roots.push(root);
                }
            }
        }
    }

    /// Takes notice of the certificates of a record.
    pub(super) fn add(&mut self, record: &Record) {
        if record.record_type() != RecordType::Certificate || self.roots.is_empty() {
            return;
        }
        let plain = cert::plain_value(record).unwrap_or_default();
        for certificate in Certificate::parse_all(&plain).unwrap_or_default() {
            let issued = |by: &[Certificate]| by.iter().any(|a| a.issued(&certificate).is_ok());
            if certificate.is_authority() {
                if self.intermediates.len() < AUTHORITIES_MAX && issued(&self.roots) {
                    self.note(certificate.key_owner(), &certificate);
                    self.intermediates.push(certificate);
                }
            } else if issued(&self.roots) || issued(&self.intermediates) {
                self.note(certificate.subject_owner(), &certificate);
            }
        }
    }

    fn note(&mut self, owner: Option<OwnerPublic>, certificate: &Certificate) {
        if let Some(owner) = owner {
            let validity = (certificate.not_before(), certificate.not_after());
            let known = self.owners.entry(owner).or_default();
            if !known.contains(&validity) {
                known.push(validity);
            }
        }
    }

    /// Whether a certificate of the record's owner covers its time.
    pub(super) fn covers(&self, record: &Record) -> bool {
        let validities = self.owners.get(record.owner()).into_iter().flatten();
        validities.into_iter().any(|(first, last)| (*first..=*last).contains(&record.timestamp()))
    }
}
