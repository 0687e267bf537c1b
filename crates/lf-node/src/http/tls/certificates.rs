//! The certificate that is served now, the ones that answer challenges, and what is wrong.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tracing::warn;

use super::ALPN_ACME;
use super::pem::Identity;

/// What connections are made with.
#[derive(Debug, Default)]
pub(in crate::http) struct Certificates {
    current: RwLock<Option<Identity>>,
    /// By host, while an order is under way.
    challenges: RwLock<HashMap<String, Arc<CertifiedKey>>>,
    problem: Mutex<String>,
}

impl Certificates {
    /// Serves this one from now on.
    pub(super) fn install(&self, identity: Identity) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(identity);
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Notes what keeps us from a new certificate; until one comes.
    pub(super) fn note_problem(&self, problem: &str) {
        warn!(problem, "no new certificate for HTTPS");
        problem.clone_into(&mut self.problem.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// When the next one is due, seconds since 1970; 0 if there is none yet.
    pub(super) fn renew_at(&self) -> u64 {
        self.current().map_or(0, |identity| identity.renew_at())
    }

    /// Until when the one served is valid, seconds since 1970, if there is one.
    pub(in crate::http) fn not_after(&self) -> Option<u64> {
        self.current().map(|identity| identity.not_after)
    }

    /// What keeps us from a new certificate; empty if all is well.
    pub(in crate::http) fn problem(&self) -> String {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows `key` to an ACME server that asks for this host.
    pub(super) fn show_challenge(&self, host: String, key: CertifiedKey) {
        self.challenges.write().unwrap_or_else(PoisonError::into_inner).insert(host, Arc::new(key));
    }

    /// Ends all challenges.
    pub(super) fn end_challenges(&self) {
        self.challenges.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn current(&self) -> Option<Identity> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // An ACME server offers this protocol and no other (RFC 8737 §3). Others get what there is, whatever name they
        // ask for: that it is not the right one is for them to find out.
        if hello.alpn().is_some_and(|mut offered| offered.any(|protocol| protocol == ALPN_ACME)) {
            let challenges = self.challenges.read().unwrap_or_else(PoisonError::into_inner);
            return challenges.get(&hello.server_name()?.to_ascii_lowercase()).cloned();
        }
        self.current().map(|identity| identity.key)
    }
}
