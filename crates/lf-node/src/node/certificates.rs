//! What the node tells of certificates.

use lf_proto::api::{CertificateInfo, CertificateList};
use lf_proto::cert::{Certificate, Serial};
use lf_proto::hash::Hash;
use lf_store::{IssuedCertificate, View};

use super::Node;
use crate::failure::Failure;

/// Certificates on one page, at most.
const PAGE_MAX: usize = 1_000;

impl Node {
    /// A page of the certificates that an authority issued, with their revocations: about `count` of them, from where the
    /// page before says.
    ///
    /// # Errors
    /// The store failed.
    pub fn certificates(
        &self,
        issuer: &Serial,
        after: Option<u64>,
        count: usize,
    ) -> Result<CertificateList, Failure> {
        // No record has such an index: nothing comes after it.
        let after = match after.map(u32::try_from) {
            None => None,
            Some(Ok(after)) => Some(after),
            Some(Err(_)) => return Ok(CertificateList::default()),
        };
        let view = self.inner.reader.view();
        let (found, next) = view.certificates_issued_by(issuer, after, count.clamp(1, PAGE_MAX))?;
        let mut certificates = Vec::with_capacity(found.len());
        for issued in found {
            certificates.extend(info(issued, &view)?);
        }
        Ok(CertificateList { certificates, next: next.map(u64::from) })
    }
}

fn info(issued: IssuedCertificate, view: &View) -> Result<Option<CertificateInfo>, Failure> {
    let Ok(certificate) = Certificate::parse(&issued.der) else { return Ok(None) };
    let record = issued.index.map(|index| view.linked_hash(index)).transpose()?;
    let mut info = CertificateInfo::new(&certificate, record.unwrap_or(Hash([0; 32])));
    if let Some(revocation) = issued.revoked {
        info.revoked = true;
        info.revoked_time = revocation.time;
        info.reason = revocation.reason.map(|reason| reason.name().to_owned());
    }
    Ok(Some(info))
}
