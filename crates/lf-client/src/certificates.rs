//! Certificates: what authorities publish, and what a node knows of them.

use lf_proto::api::{CertificateInfo, CertificateList};
use lf_proto::cert::{Authority, Certificate, Crl, MASKING_KEY, Serial};
use lf_proto::record::{Record, RecordType};

use crate::client::wrong;
use crate::{Client, ClientError, Workers, WriteStep};

/// Certificates asked for at once.
const PAGE: usize = 100;
/// The most certificates of one authority that are fetched.
const ISSUED_MAX: usize = 100_000;

impl Client {
    /// A page of the certificates that an authority has issued, as far as the node knows; `after` is the last
    /// page's `next`.
    ///
    /// # Errors
    /// No answer, or certificates that are not what is said of them.
    pub fn certificates(&self, issuer: &Serial, after: Option<u64>) -> Result<CertificateList, ClientError> {
        let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
        let path = format!("/v1/certificates?issuer={issuer}&count={PAGE}{after}");
        let (url, list): (_, CertificateList) = self.get_json_with_url(&path)?;
        for info in &list.certificates {
            if !says_what_it_holds(info, issuer) {
                let problem = format!("certificate {} is not what it says of it", info.serial);
                return Err(wrong(&url, problem));
            }
        }
        Ok(list)
    }

    /// All of them, 100,000 at most.
    ///
    /// # Errors
    /// As [`certificates`](Self::certificates).
    pub fn issued_by(&self, issuer: &Serial) -> Result<Vec<CertificateInfo>, ClientError> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.certificates(issuer, after)?;
            all.extend(page.certificates);
            match page.next.filter(|next| Some(*next) > after && all.len() < ISSUED_MAX) {
                Some(next) => after = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// Publishes certificates that an authority has issued: a record owned by the authority's own key. `step` is told
    /// what goes on and stops it by returning false; nothing is published then.
    ///
    /// # Errors
    /// No answer, the node's reason to refuse the record, or it was stopped.
    pub fn publish_certificate(
        &self,
        authority: &Authority,
        certificate: &Certificate,
        workers: Workers,
        step: &mut dyn FnMut(WriteStep) -> bool,
    ) -> Result<Record, ClientError> {
        self.publish(authority.key(), RecordType::Certificate, certificate.der(), MASKING_KEY, workers, step)
    }

    /// Publishes a CRL of an authority, likewise. Nodes take the union of all CRLs.
    ///
    /// # Errors
    /// As [`publish_certificate`](Self::publish_certificate).
    pub fn publish_crl(
        &self,
        authority: &Authority,
        crl: &Crl,
        workers: Workers,
        step: &mut dyn FnMut(WriteStep) -> bool,
    ) -> Result<Record, ClientError> {
        self.publish(authority.key(), RecordType::Crl, crl.der(), MASKING_KEY, workers, step)
    }
}

/// Whether what a node says of a certificate is what is in it. That it was revoked, only the node knows.
fn says_what_it_holds(info: &CertificateInfo, issuer: &Serial) -> bool {
    let Ok(certificate) = Certificate::parse(&info.certificate.0) else { return false };
    let said = CertificateInfo {
        revoked: info.revoked,
        revoked_time: info.revoked_time,
        reason: info.reason.clone(),
        ..CertificateInfo::new(&certificate, info.record)
    };
    said == *info && certificate.issuer_serial() == Some(*issuer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use lf_proto::cert::Subject;
    use lf_proto::hash::Hash;

    #[test]
    fn a_node_cannot_say_of_a_certificate_what_is_not_in_it() {
        let root = Authority::new_root(&Subject::default(), 9, None, &mut |bytes| bytes.fill(1)).unwrap();
        let (certificate, serial) = (root.certificate(), root.certificate().serial());
        let info = CertificateInfo::new(certificate, Hash([1; 32]));
        assert!(says_what_it_holds(&info, &serial));
        let revoked = CertificateInfo { revoked: true, revoked_time: Some(3), ..info.clone() };
        assert!(says_what_it_holds(&revoked, &serial));
        assert!(!says_what_it_holds(&CertificateInfo { not_after: 1, ..info.clone() }, &serial));
        assert!(!says_what_it_holds(&info, &Serial::from_bytes(&[5]).unwrap()));
        assert!(!says_what_it_holds(&CertificateInfo { certificate: vec![1].into(), ..info }, &serial));
    }
}
