//! One order of a certificate, from the account to the PEM text.

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount, NewOrder, Order, OrderStatus,
    Problem, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::super::certificates::Certificates;
use super::super::pem::Identity;
use super::super::{AcmeConfig, Contact, HostName, provider};
use super::Made;
use super::cache::Cache;
use super::transport::{Transport, Unreachable};

/// How often a server is asked whether it is done: after 0.25 s, then ever more rarely, for a minute.
const POLLING: RetryPolicy = RetryPolicy::new().timeout(std::time::Duration::from_secs(60));
/// The most of a server's words that go on.
const WORDS_CHARS_MAX: usize = 300;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    /// The server does not answer, or not as an ACME server does.
    #[error("cannot reach the ACME server: {0}")]
    Unreachable(String),
    /// The server fails us, for reasons that pass.
    #[error("the ACME server is not well: {0}")]
    Busy(String),
    /// The server does not give one.
    #[error("no certificate: {0}")]
    Refused(String),
    /// Something fails on this machine.
    #[error("{0}")]
    Here(String),
}

impl From<Error> for OrderError {
    fn from(error: Error) -> Self {
        match error {
            Error::Api(problem) if passes(&problem) => OrderError::Busy(describe(&problem)),
            Error::Api(problem) => OrderError::Refused(describe(&problem)),
            Error::Other(inner) if inner.is::<Unreachable>() => {
                OrderError::Unreachable(one_line(&inner.to_string()))
            }
            Error::Json(e) => {
                OrderError::Unreachable(format!("its answer is not ACME's: {}", one_line(&e.to_string())))
            }
            e => OrderError::Refused(one_line(&e.to_string())),
        }
    }
}

/// Orders one.
pub(super) async fn order(
    config: &AcmeConfig,
    cache: &Cache,
    transport: &Transport,
    certificates: &Certificates,
) -> Result<Made, OrderError> {
    let identifiers: Vec<Identifier> =
        config.hosts.iter().map(|host| Identifier::Dns(host.as_str().to_owned())).collect();
    let account = account(config, cache, transport).await?;
    let mut order = match account.new_order(&NewOrder::new(&identifiers)).await {
        Err(Error::Api(problem)) if is_unknown_account(&problem) => {
            warn!("the ACME server does not know our account any more: making another");
            cache.forget_account();
            let account = self::account(config, cache, transport).await?;
            account.new_order(&NewOrder::new(&identifiers)).await?
        }
        order => order?,
    };
    answer_challenges(&mut order, certificates).await?;
    match order.poll_ready(&POLLING).await {
        Ok(OrderStatus::Ready) => {}
        Ok(_) => return Err(why_invalid(&mut order, "the ACME server gives no reason".to_owned()).await),
        Err(Error::Api(problem)) if !passes(&problem) => {
            return Err(why_invalid(&mut order, describe(&problem)).await);
        }
        Err(e) => return Err(e.into()),
    }
    let key = KeyPair::generate().map_err(here)?;
    let mut params = CertificateParams::new(config.hosts.iter().map(HostName::to_string).collect::<Vec<_>>())
        .map_err(here)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(here)?;
    order.finalize_csr(request.der()).await?;
    let chain = order.poll_certificate(&POLLING).await?;
    let key = Zeroizing::new(key.serialize_pem());
    let identity = Identity::parse(chain.as_bytes(), key.as_bytes())
        .map_err(|e| OrderError::Refused(format!("the certificate that came is of no use: {e:?}")))?;
    if !identity.covers(&config.hosts) {
        return Err(OrderError::Refused("the certificate that came is not for all hosts".to_owned()));
    }
    Ok(Made { identity, chain, key })
}

/// Ours at this server, or a new one.
async fn account(config: &AcmeConfig, cache: &Cache, transport: &Transport) -> Result<Account, OrderError> {
    let builder = Account::builder_with_http(Box::new(transport.clone()));
    if let Some(known) = cache.account() {
        return Ok(builder.from_credentials(known).await?);
    }
    let contact: Vec<&str> = config.contact.iter().map(Contact::as_url).collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) = builder.create(&new, config.directory.to_string(), None).await?;
    cache.keep_account(&credentials).map_err(OrderError::Here)?;
    info!(account = account.id(), "new ACME account");
    Ok(account)
}

/// Shows what the server wants to see at each host, and says so.
async fn answer_challenges(order: &mut Order, certificates: &Certificates) -> Result<(), OrderError> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            status => return Err(OrderError::Refused(format!("an authorization is {status:?}"))),
        }
        let mut challenge = authorization.challenge(ChallengeType::TlsAlpn01).ok_or_else(|| {
            OrderError::Refused("the ACME server does not offer the challenge tls-alpn-01".to_owned())
        })?;
        let host = challenge.identifier().to_string();
        let shown = challenge_certificate(&host, challenge.key_authorization().digest().as_ref())?;
        certificates.show_challenge(host, shown);
        challenge.set_ready().await?;
    }
    Ok(())
}

/// The certificate of RFC 8737 §3: for the host, with the digest of what only the account's key can make.
fn challenge_certificate(host: &str, digest: &[u8]) -> Result<CertifiedKey, OrderError> {
    let key = KeyPair::generate().map_err(here)?;
    let mut params = CertificateParams::new([host.to_owned()]).map_err(here)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key).map_err(here)?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let key = provider().key_provider.load_private_key(key).map_err(here)?;
    // Not `from_der`, which refuses the critical extension that makes it a challenge's.
    Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
}

/// What the server says of the challenges that failed, which is more than what it says of the order.
async fn why_invalid(order: &mut Order, otherwise: String) -> OrderError {
    let mut reasons = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        let host = state.identifier().to_string();
        for problem in state.challenges.iter().filter_map(|challenge| challenge.error.as_ref()) {
            reasons.push(format!("{host}: {}", describe(problem)));
        }
    }
    if reasons.is_empty() {
        reasons.push(otherwise);
    }
    OrderError::Refused(one_line(&reasons.join(", ")))
}

fn is_unknown_account(problem: &Problem) -> bool {
    kind(problem) == "accountDoesNotExist"
}

/// Whether the same request may well succeed a little later (RFC 8555 §6.7).
fn passes(problem: &Problem) -> bool {
    matches!(kind(problem), "badNonce" | "serverInternal")
}

fn kind(problem: &Problem) -> &str {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or(kind)
}

fn describe(problem: &Problem) -> String {
    one_line(&format!("{} ({})", problem.detail.as_deref().unwrap_or("no details"), kind(problem)))
}

/// A server's words end up in logs and on terminals.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(WORDS_CHARS_MAX)
        .collect::<String>()
        .trim()
        .to_owned()
}

fn here(error: impl std::fmt::Display) -> OrderError {
    OrderError::Here(format!("cannot make a certificate request: {error}"))
}
