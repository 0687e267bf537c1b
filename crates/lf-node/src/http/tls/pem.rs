//! PEM text to a certificate that can be served.

use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use x509_cert::der::Decode;

use super::{HostNames, provider};

/// A certificate with its chain and its key.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) key: Arc<CertifiedKey>,
    /// From when it is valid, seconds since 1970.
    pub(super) not_before: u64,
    /// Until when it is valid, seconds since 1970.
    pub(super) not_after: u64,
}

/// What is wrong, and with which of the two texts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PemProblem {
    Chain(String),
    Key(String),
    Mismatch,
}

impl Identity {
    /// Reads a certificate, its issuers' behind it, and the key.
    pub(super) fn parse(chain: &[u8], key: &[u8]) -> Result<Self, PemProblem> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|e| PemProblem::Chain(format!("it is damaged ({e})")))?;
        let first = chain.first().ok_or_else(|| PemProblem::Chain("it holds no certificate".to_owned()))?;
        let parsed = x509_cert::Certificate::from_der(first)
            .map_err(|e| PemProblem::Chain(format!("its first certificate is damaged ({e})")))?;
        let validity = parsed.tbs_certificate().validity();
        let not_before = validity.not_before.to_unix_duration().as_secs();
        let not_after = validity.not_after.to_unix_duration().as_secs();
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| match e {
            rustls::pki_types::pem::Error::NoItemsFound => {
                PemProblem::Key("it holds no private key (without a passphrase)".to_owned())
            }
            e => PemProblem::Key(format!("it is damaged ({e})")),
        })?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|e| match e {
            rustls::Error::InconsistentKeys(_) => PemProblem::Mismatch,
            e => PemProblem::Key(format!("its key is of no use here ({e})")),
        })?;
        Ok(Identity { key: Arc::new(key), not_before, not_after })
    }

    /// Whether it is for all of these hosts.
    pub(super) fn covers(&self, hosts: &HostNames) -> bool {
        let Some(first) = self.key.cert.first() else { return false };
        let Ok(parsed) = ParsedCertificate::try_from(first) else { return false };
        hosts.iter().all(|host| verify_server_name(&parsed, &ServerName::DnsName(host.dns_name())).is_ok())
    }

    /// When to get the next one, seconds since 1970: with a third of its time left.
    pub(super) fn renew_at(&self) -> u64 {
        renew_at(self.not_before, self.not_after)
    }
}

fn renew_at(not_before: u64, not_after: u64) -> u64 {
    not_after.saturating_sub(not_after.saturating_sub(not_before) / 3)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pair(host: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_pair_is_read_and_knows_its_hosts_and_time() {
        let (chain, key) = pair("node.example.org");
        let identity = Identity::parse(chain.as_bytes(), key.as_bytes()).unwrap();
        assert!(identity.covers(&"node.example.org".parse().unwrap()));
        assert!(!identity.covers(&"node.example.org,other.example.org".parse().unwrap()));
        // Both in one text, in any order.
        for both in [format!("{chain}{key}"), format!("{key}{chain}")] {
            assert!(Identity::parse(both.as_bytes(), both.as_bytes()).is_ok());
        }
    }

    #[test]
    fn the_time_of_a_certificate_is_read() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["a.example.org".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let chain = params.self_signed(&key).unwrap().pem();
        let identity = Identity::parse(chain.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        assert_eq!((identity.not_before, identity.not_after), (1_577_836_800, 1_893_456_000));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let (chain, key) = pair("a.example.org");
        let (_, other) = pair("a.example.org");
        let problem = |chain: &str, key: &str| Identity::parse(chain.as_bytes(), key.as_bytes()).unwrap_err();
        assert_eq!(problem(&chain, &other), PemProblem::Mismatch);
        assert!(matches!(problem("", &key), PemProblem::Chain(p) if p.contains("no certificate")));
        assert!(matches!(problem(&key, &key), PemProblem::Chain(_)));
        assert!(matches!(problem(&chain, ""), PemProblem::Key(p) if p.contains("no private key")));
        assert!(matches!(problem(&chain, &chain), PemProblem::Key(_)));
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(problem(junk, &key), PemProblem::Chain(_)));
        let half = &chain[..chain.len() / 2];
        assert!(matches!(problem(half, &key), PemProblem::Chain(_)));
    }

    #[test]
    fn renewal_is_due_with_a_third_left() {
        const DAY: u64 = 86_400;
        assert_eq!(renew_at(0, 90 * DAY), 60 * DAY);
        assert_eq!(renew_at(1_000, 1_015), 1_010);
        assert_eq!(renew_at(20, 10), 10);
        assert_eq!(renew_at(0, u64::MAX), u64::MAX - u64::MAX / 3);
    }
}
