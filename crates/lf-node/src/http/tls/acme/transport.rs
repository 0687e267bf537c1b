//! HTTPS to an ACME server: the HTTP client that the program has anyway, bounded in time and size.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, Request};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::super::{TlsError, provider};

const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);
/// Of an answer: certificates and JSON of some kilobytes.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// No answer came.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreachable(String);

/// Connections to a server.
#[derive(Clone)]
pub(super) struct Transport(Agent);

impl Transport {
    /// Trusts the authorities in this PEM text, the system's without one.
    pub(super) fn new(root: Option<(&Path, &[u8])>) -> Result<Self, TlsError> {
        let roots: Vec<CertificateDer<'static>> = match root {
            None => rustls_native_certs::load_native_certs().certs,
            Some((path, pem)) => {
                let content = |problem| TlsError::Content { path: path.to_owned(), problem };
                let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
                    .collect::<Result<_, _>>()
                    .map_err(|e| content(format!("it is damaged ({e})")))?;
                if found.is_empty() {
                    return Err(content("it holds no certificate".to_owned()));
                }
                found
            }
        };
        let roots = roots.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .unversioned_rustls_crypto_provider(provider())
            .build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .https_only(true)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(CONNECT_TIME_MAX))
            .timeout_global(Some(REQUEST_TIME_MAX))
            .tls_config(tls);
        Ok(Transport(config.build().new_agent()))
    }
}

impl HttpClient for Transport {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let agent = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            let ask = move || {
                let asked = if parts.method == Method::POST {
                    agent.run(Request::from_parts(parts, body.as_ref()))
                } else {
                    agent.run(Request::from_parts(parts, ()))
                };
                let (parts, mut body) = asked?.into_parts();
                let body = body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
                Ok(axum::http::Response::from_parts(parts, Full::new(Bytes::from(body))))
            };
            let failed = |problem: String| Error::Other(Box::new(Unreachable(problem)));
            let answer = tokio::task::spawn_blocking(ask).await.map_err(|e| failed(e.to_string()))?;
            Ok(BytesResponse::from(answer.map_err(|e: ureq::Error| failed(e.to_string()))?))
        })
    }
}
