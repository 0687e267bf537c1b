//! Certificates from an ACME authority: when to order one, and when to try again. `order.rs` does it, `cache.rs` keeps
//! what came of it, `transport.rs` talks to the server.

mod cache;
mod order;
mod transport;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tracing::info;
use zeroize::Zeroizing;

use self::cache::Cache;
use self::order::OrderError;
use self::transport::Transport;
use super::certificates::Certificates;
use super::{AcmeConfig, TlsError, files};

/// The longest sleep until a renewal: clocks get set, and machines sleep.
const SLEEP_MAX: Duration = Duration::from_secs(3_600);
/// The most an order may take.
const ORDER_TIME_MAX: Duration = Duration::from_secs(300);

/// Keeps a certificate fresh.
pub(super) struct Keeper {
    config: AcmeConfig,
    cache: Cache,
    transport: Transport,
    certificates: Arc<Certificates>,
}

impl Keeper {
    /// Installs what is in the cache, if it is for these hosts.
    pub(super) fn new(
        config: &AcmeConfig,
        home: &Path,
        certificates: Arc<Certificates>,
    ) -> Result<Self, TlsError> {
        let root = match &config.root {
            Some(path) => Some((path.as_path(), files::read(path)?)),
            None => None,
        };
        let transport = Transport::new(root.as_ref().map(|(path, pem)| (*path, pem.as_slice())))?;
        let cache = Cache::new(home, &config.directory);
        match cache.certificate() {
            Some(identity) if identity.covers(&config.hosts) => {
                info!(not_after = identity.not_after, hosts = %config.hosts, "certificate for HTTPS is at hand");
                certificates.install(identity);
            }
            Some(_) => {
                info!(hosts = %config.hosts, "the certificate at hand is for other hosts: ordering one");
            }
            None => {}
        }
        Ok(Keeper { config: config.clone(), cache, transport, certificates })
    }

    /// Orders whenever one is due, as long as the node runs. Notified, it tries again at once what failed before.
    pub(super) async fn run(self, retry: Arc<Notify>) {
        let mut failures = Failures::default();
        loop {
            let wait = self.certificates.renew_at().saturating_sub(now());
            if wait > 0 {
                tokio::time::sleep(Duration::from_secs(wait).min(SLEEP_MAX)).await;
                continue;
            }
            let failure = match self.order().await {
                Ok(()) => {
                    failures = Failures::default();
                    continue;
                }
                Err(failure) => failure,
            };
            let wait = failures.wait(&failure, random_byte());
            let directory = &self.config.directory;
            let problem = format!("{failure}; trying {directory} again in {} s", wait.as_secs());
            self.certificates.note_problem(&problem);
            let _ = tokio::time::timeout(wait, retry.notified()).await;
        }
    }

    async fn order(&self) -> Result<(), OrderError> {
        info!(hosts = %self.config.hosts, directory = %self.config.directory, "ordering a certificate for HTTPS");
        let order = order::order(&self.config, &self.cache, &self.transport, &self.certificates);
        let ordered = tokio::time::timeout(ORDER_TIME_MAX, order).await;
        self.certificates.end_challenges();
        let made = ordered.map_err(|_| OrderError::Refused("the order is not done in time".to_owned()))??;
        // Served even if it cannot be kept: that costs another order after the next start, no more.
        let kept = self.cache.keep_certificate(&made.chain, &made.key);
        let (renew_at, not_after) = (made.identity.renew_at(), made.identity.not_after);
        self.certificates.install(made.identity);
        info!(not_after, "new certificate for HTTPS");
        kept.map_err(OrderError::Here)?;
        // Else we would order one after another, up to the authority's limits.
        if renew_at <= now() {
            let problem = "the certificate that came is to be renewed already: check this machine's clock";
            return Err(OrderError::Refused(problem.to_owned()));
        }
        Ok(())
    }
}

/// A certificate that came, and the texts it was read from.
struct Made {
    identity: super::pem::Identity,
    chain: String,
    key: Zeroizing<String>,
}

/// How often it failed in a row.
#[derive(Debug, Default)]
struct Failures(u32);

impl Failures {
    /// Counts one more; how long to wait: doubling each time, and up to a quarter more by chance, so that nodes do not
    /// come all at once. A server that is away may be asked again soon; one that refuses has limits, such as five
    /// failures per host and hour.
    fn wait(&mut self, failure: &OrderError, chance: u8) -> Duration {
        let (first, most) = match failure {
            OrderError::Unreachable(_) | OrderError::Busy(_) => (10, 1_800),
            OrderError::Refused(_) | OrderError::Here(_) => (300, 6 * 3_600),
        };
        let seconds = 1_u64.checked_shl(self.0).unwrap_or(u64::MAX).saturating_mul(first).min(most);
        self.0 = self.0.saturating_add(1);
        Duration::from_millis(seconds * 1_000 + seconds * 250 * u64::from(chance) / 255)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

fn random_byte() -> u8 {
    let mut byte = [0];
    // Without randomness all is lost elsewhere; here it only spreads retries.
    let _ = getrandom::fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound() {
        let waits = |failure: &OrderError, chance| {
            let mut failures = Failures::default();
            (0..70).map(|_| failures.wait(failure, chance).as_secs_f64()).collect::<Vec<_>>()
        };
        let away = OrderError::Unreachable(String::new());
        let refused = OrderError::Refused(String::new());
        assert_eq!(waits(&away, 0)[..4], [10.0, 20.0, 40.0, 80.0]);
        assert_eq!(waits(&refused, 0)[..3], [300.0, 600.0, 1200.0]);
        assert_eq!(waits(&away, 255)[..2], [12.5, 25.0]);
        assert_eq!((waits(&away, 0)[69], waits(&refused, 255)[69]), (1800.0, 27_000.0));
    }
}
