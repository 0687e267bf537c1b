//! The transport: HTTP to one of several URLs, tried in order, with bounded times and sizes.

use std::fmt;
use std::io::Read;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lf_proto::api::ErrorJson;
use lf_proto::json;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, http};

use crate::ClientError;

const CONNECT_SECONDS_MAX: u64 = 10;
const REQUEST_SECONDS_MAX: u64 = 60;
/// Larger answers are refused: hundreds of thousands of records as JSON.
const ANSWER_BYTES_MAX: u64 = 512 << 20;
const ERROR_BYTES_MAX: u64 = 64 << 10;

/// A node's URL: http or https, without slashes at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Url {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Self, ClientError> {
        let url = text.trim().trim_end_matches('/');
        let error = |problem| ClientError::Url { url: text.to_owned(), problem };
        let parsed: http::Uri = url.parse().map_err(|_| error("not a URL"))?;
        match parsed.scheme_str() {
            Some("http" | "https") => {}
            _ => return Err(error("it must begin with http:// or https://")),
        }
        if parsed.host().is_none_or(str::is_empty) {
            return Err(error("it names no host"));
        }
        if parsed.query().is_some() || url.contains('#') {
            return Err(error("it must not have a query or fragment"));
        }
        Ok(Url(url.to_owned()))
    }
}

/// A request, the same for every URL.
pub(crate) enum Request<'a> {
    Get,
    Post { content_type: &'static str, body: &'a [u8] },
}

/// URLs and the connections to them.
pub(crate) struct Transport {
    urls: Vec<Url>,
    /// The one that answered last: asked first next time.
    preferred: AtomicUsize,
    agent: Agent,
}

impl Transport {
    pub(crate) fn new(urls: Vec<Url>) -> Result<Self, ClientError> {
        if urls.is_empty() {
            return Err(ClientError::NoUrls);
        }
        let https = urls.iter().any(|url| url.0.starts_with("https:"));
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("lf/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(Duration::from_secs(CONNECT_SECONDS_MAX)))
            // Nodes do not redirect; a POST that silently became a GET would be worse than an error.
            .max_redirects(0)
            .proxy(None);
        if https {
            config = config.tls_config(tls_config());
        }
        Ok(Transport { urls, preferred: AtomicUsize::new(0), agent: config.build().new_agent() })
    }

    pub(crate) fn urls(&self) -> &[Url] {
        &self.urls
    }

    /// Sends a request to the first URL that answers, and gives its URL and the whole answer.
    pub(crate) fn ask(&self, path: &str, request: &Request<'_>) -> Result<(Url, Vec<u8>), ClientError> {
        let timeout = Some(Duration::from_secs(REQUEST_SECONDS_MAX));
        self.try_each(|url| {
            let mut body = self.send(url, path, request, &[], timeout)?;
            let bytes = body
                .with_config()
                .limit(ANSWER_BYTES_MAX)
                .read_to_vec()
                .map_err(|e| unreachable_url(url, &e))?;
            Ok((url.clone(), bytes))
        })
    }

    /// As [`ask`](Self::ask), but the answer is read by the caller, for as long as it takes.
    pub(crate) fn stream(
        &self,
        path: &str,
        request: &Request<'_>,
        headers: &[(&str, String)],
    ) -> Result<(Url, impl Read + Send + use<>), ClientError> {
        self.try_each(|url| {
            let body = self.send(url, path, request, headers, None)?;
            Ok((url.clone(), body.into_with_config().limit(u64::MAX).reader()))
        })
    }

    fn try_each<T>(&self, mut one: impl FnMut(&Url) -> Result<T, ClientError>) -> Result<T, ClientError> {
        let first = self.preferred.load(Relaxed);
        let mut last_error = ClientError::NoUrls;
        for i in 0..self.urls.len() {
            let index = (first + i) % self.urls.len();
            match one(&self.urls[index]) {
                Ok(answer) => {
                    self.preferred.store(index, Relaxed);
                    return Ok(answer);
                }
                // Another node may be better off. What a node says of the request itself would not change.
                Err(e @ ClientError::Unreachable { .. }) => last_error = e,
                Err(e @ ClientError::Api { status: 500.., .. }) => last_error = e,
                Err(e) => return Err(e),
            }
        }
        Err(last_error)
    }

    fn send(
        &self,
        url: &Url,
        path: &str,
        request: &Request<'_>,
        headers: &[(&str, String)],
        timeout: Option<Duration>,
    ) -> Result<Body, ClientError> {
        let target = format!("{}{path}", url.0);
        let answer = match request {
            Request::Get => {
                let mut get = self.agent.get(&target).config().timeout_global(timeout).build();
                for (name, value) in headers {
                    get = get.header(*name, value);
                }
                get.call()
            }
            Request::Post { content_type, body } => {
                let mut post = self.agent.post(&target).config().timeout_global(timeout).build();
                for (name, value) in headers {
                    post = post.header(*name, value);
                }
                post.header("content-type", *content_type).send(*body)
            }
        };
        let mut answer = answer.map_err(|e| unreachable_url(url, &e))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer.into_body());
        }
        let body = answer.body_mut().with_config().limit(ERROR_BYTES_MAX).read_to_vec().unwrap_or_default();
        let error: ErrorJson = json::from_slice(&body).unwrap_or_default();
        let message = if error.message.is_empty() { status.to_string() } else { error.message };
        Err(ClientError::Api {
            url: url.0.clone(),
            status: status.as_u16(),
            name: one_line(&error.err_type_name),
            message: one_line(&message),
        })
    }
}

/// A node's words end up on a terminal: one line, no control characters, not too long.
fn one_line(text: &str) -> String {
    const CHARS_MAX: usize = 500;
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(CHARS_MAX)
        .collect::<String>()
        .trim()
        .to_owned()
}

fn unreachable_url(url: &Url, error: &ureq::Error) -> ClientError {
    let problem = match error {
        ureq::Error::Io(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
            "connection refused".to_owned()
        }
        ureq::Error::Io(e) => e.to_string(),
        ureq::Error::HostNotFound => "no such host".to_owned(),
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::ConnectionFailed => "connection failed".to_owned(),
        other => other.to_string(),
    };
    ClientError::Unreachable { url: url.0.clone(), problem: one_line(&problem) }
}

/// TLS with the system's certificate authorities, loaded when an https URL is used first.
fn tls_config() -> TlsConfig {
    static ROOTS: OnceLock<Arc<Vec<Certificate<'static>>>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs().certs;
        Arc::new(found.iter().map(|der| Certificate::from_der(der).to_owned()).collect())
    });
    TlsConfig::builder()
        .root_certs(RootCerts::Specific(roots.clone()))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn urls() {
        let url: Url = " http://127.0.0.1:9980/lf// ".parse().unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:9980/lf");
        for bad in
            ["", "://bad", "127.0.0.1:9980", "ftp://x", "http://", "http:///x", "http://x/?q", "http://x y/"]
        {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
    }

    #[test]
    fn words_of_nodes_stay_on_one_line() {
        assert_eq!(one_line("a\nb\u{1b}[31m"), "a b [31m");
        assert_eq!(one_line(&"x".repeat(10_000)).len(), 500);
    }
}
