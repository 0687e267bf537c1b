//! HTTPS: where the certificate comes from (files, or an ACME certificate authority) and how a connection becomes an
//! encrypted one. What is said over it is plain HTTP again, and none of this module's business; nor is trust.
//!
//! TLS 1.2 and 1.3, HTTP/1.1. The node goes on without a certificate, or with the one it has, whatever happens to the
//! files or to the authority: what is wrong is logged, and told in `/status`.

mod acme;
mod certificates;
mod files;
mod names;
mod pem;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(super) use self::certificates::Certificates;
use self::files::Files;
pub use self::names::{AcmeUrl, Contact, HostName, HostNames, NameError};

/// The protocol of requests.
const ALPN_HTTP: &[u8] = b"http/1.1";
/// The protocol by which an ACME server looks for its challenge (RFC 8737).
const ALPN_ACME: &[u8] = b"acme-tls/1";

/// How to serve HTTPS.
#[derive(Debug, Clone)]
pub struct HttpsConfig {
    /// Where to listen; port 0 takes a free one. The unspecified IPv6 address stands for all addresses of both kinds.
    pub address: SocketAddr,
    /// Where the certificate comes from.
    pub certificate: CertificateSource,
}

/// Where a certificate comes from.
#[derive(Debug, Clone)]
pub enum CertificateSource {
    /// PEM files, read again when they change.
    Files {
        /// The certificate and those of its issuers.
        chain: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// Ordered from a certificate authority, kept in the home, renewed in time.
    Acme(AcmeConfig),
}

/// How to get certificates from an ACME server (RFC 8555), by TLS-ALPN-01: it must reach port 443 of every host here.
#[derive(Debug, Clone)]
pub struct AcmeConfig {
    /// The names that the certificate is for.
    pub hosts: HostNames,
    /// The server's directory.
    pub directory: AcmeUrl,
    /// PEM file of authorities to trust for talking to that server, in place of the system's.
    pub root: Option<PathBuf>,
    /// Where the authority can reach the operator.
    pub contact: Option<Contact>,
}

/// Why there is no certificate to start with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}; is it there, and readable for the node?")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("cannot use {path}: {problem}; it must be PEM text")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Key and certificate are not a pair.
    #[error("the key in {key} is not that of the certificate in {chain}; give the two that belong together")]
    Mismatch {
        /// The certificate's file.
        chain: PathBuf,
        /// The key's.
        key: PathBuf,
    },
}

/// Certificates and who keeps them fresh.
#[derive(Debug)]
pub(crate) struct Tls {
    certificates: Arc<Certificates>,
    reload: Arc<Notify>,
    acceptor: Acceptor,
    keeper: JoinHandle<()>,
}

impl Tls {
    /// Reads the certificate there is, and begins to keep it fresh. `home` is where ordered ones are kept. Must be
    /// called inside a tokio runtime.
    ///
    /// # Errors
    /// The files of a certificate (or of the authorities to trust) are not usable. A certificate that must be ordered
    /// first is no error.
    pub(crate) fn start(source: &CertificateSource, home: &Path) -> Result<Self, TlsError> {
        let certificates = Arc::new(Certificates::default());
        let reload = Arc::new(Notify::new());
        let (shared, notify) = (certificates.clone(), reload.clone());
        let keeper = match source {
            CertificateSource::Files { chain, key } => {
                let files = Files::new(chain, key);
                let seen = files.stamp();
                certificates.install(files.load()?);
                tokio::spawn(files::watch(files, seen, shared, notify))
            }
            CertificateSource::Acme(config) => {
                let keeper = acme::Keeper::new(config, home, shared)?;
                tokio::spawn(keeper.run(notify))
            }
        };
        let acceptor = Acceptor::new(&certificates, matches!(source, CertificateSource::Acme(_)));
        Ok(Tls { certificates, reload, acceptor, keeper })
    }

    /// Looks at the files, or tries to get a certificate that is missing, now.
    pub(crate) fn reload(&self) -> impl Fn() + Send + 'static + use<> {
        let reload = self.reload.clone();
        move || reload.notify_one()
    }

    pub(super) fn certificates(&self) -> Arc<Certificates> {
        self.certificates.clone()
    }

    pub(super) fn acceptor(&self) -> Acceptor {
        self.acceptor.clone()
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Makes encrypted connections of plain ones.
#[derive(Clone)]
pub(super) struct Acceptor(TlsAcceptor);

impl Acceptor {
    fn new(certificates: &Arc<Certificates>, acme: bool) -> Self {
        let builder = ServerConfig::builder_with_provider(provider());
        #[expect(clippy::expect_used, reason = "both constants: ring has suites for TLS 1.2 and 1.3")]
        let builder = builder.with_safe_default_protocol_versions().expect("ring knows the default versions");
        let mut config = builder.with_no_client_auth().with_cert_resolver(certificates.clone());
        config.alpn_protocols.push(ALPN_HTTP.to_vec());
        if acme {
            config.alpn_protocols.push(ALPN_ACME.to_vec());
        }
        Acceptor(TlsAcceptor::from(Arc::new(config)))
    }

    /// The handshake. `None` if it was an ACME server that looked for its challenge, and has seen it.
    pub(super) async fn accept<S>(&self, stream: S) -> std::io::Result<Option<TlsStream<S>>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = self.0.accept(stream).await?;
        let challenge = stream.get_ref().1.alpn_protocol() == Some(ALPN_ACME);
        Ok((!challenge).then_some(stream))
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
