//! Answers: the headers every one carries, error JSON, gzip.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use lf_proto::api::{API_VERSION, ErrorJson};
use serde::Serialize;

use super::watch::Watch;
use crate::{Dump, Failure};

pub(super) const JSON: &str = "application/json";
pub(super) const OCTETS: &str = "application/octet-stream";
const NO_CACHE: &str = "no-cache, no-store, must-revalidate";
/// The program's version, as the reference writes its own: four numbers.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), ".0");
/// Shorter answers are not worth compressing.
const GZIP_BYTES_MIN: usize = 256;
/// Bytes gathered of a dump before they are sent.
const CHUNK_BYTES: usize = 64 << 10;

/// What a handler answers.
pub(super) enum Reply {
    /// All of it.
    Full {
        /// Its media type.
        content_type: &'static str,
        /// The body.
        body: Vec<u8>,
    },
    /// All records.
    Dump(Dump),
    /// Records as they come.
    Watch(Watch),
}

impl Reply {
    pub(super) fn json(value: &impl Serialize) -> Result<Self, Failure> {
        let body =
            serde_json::to_vec(value).map_err(|e| Failure::internal(format!("cannot write JSON: {e}")))?;
        Ok(Reply::Full { content_type: JSON, body })
    }

    pub(super) fn octets(body: Vec<u8>) -> Self {
        Reply::Full { content_type: OCTETS, body }
    }
}

/// An answer with a body that is all there, compressed if that helps.
pub(super) fn full(status: StatusCode, content_type: &'static str, body: Vec<u8>, gzip: bool) -> Response {
    let zipped = if gzip && body.len() >= GZIP_BYTES_MIN { compress(&body) } else { None };
    let encoded = zipped.is_some();
    let body = zipped.unwrap_or(body);
    let length = body.len();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    describe(headers, content_type, encoded);
    response
}

/// Media type and encoding.
pub(super) fn describe(headers: &mut HeaderMap, content_type: &'static str, gzip: bool) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
}

fn compress(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 2), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

/// The JSON of an error.
pub(super) fn error_body(failure: &Failure) -> Vec<u8> {
    let json = ErrorJson {
        code: failure.status,
        message: failure.message.clone(),
        err_type_name: failure.name.to_owned(),
    };
    serde_json::to_vec(&json).unwrap_or_default()
}

/// An error as an answer.
pub(super) fn failure(failure: &Failure) -> Response {
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = full(status, JSON, error_body(failure), false);
    let headers = response.headers_mut();
    match failure.status {
        // What the client still wants to send is not read, so the connection cannot be used again.
        408 | 413 => drop(headers.insert(header::CONNECTION, HeaderValue::from_static("close"))),
        503 => drop(headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"))),
        401 | 403 => drop(headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
        _ => {}
    }
    response
}

/// Adds what every answer carries.
pub(super) fn stamp(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(NO_CACHE));
    headers.insert(HeaderName::from_static("x-lf-version"), HeaderValue::from_static(VERSION));
    headers.insert(HeaderName::from_static("x-lf-apiversion"), HeaderValue::from(API_VERSION));
    headers.insert(HeaderName::from_static("x-lf-time"), HeaderValue::from(now()));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// A whole error answer as bytes, for clients that never became a request.
pub(super) fn bare(status: u16, message: &str) -> Vec<u8> {
    let reason = StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or_default();
    let body = error_body(&Failure { status, name: "", message: message.to_owned() });
    let mut answer = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {JSON}\r\nContent-Length: {}\r\nConnection: close\r\n\
         Cache-Control: {NO_CACHE}\r\nX-LF-Version: {VERSION}\r\nX-LF-APIVersion: {API_VERSION}\r\n\
         X-LF-Time: {}\r\n\r\n",
        body.len(),
        now()
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    answer
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Whether the client asks for gzip: named (or `*`) and not with `q=0`.
pub(super) fn wants_gzip(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    let mut any = false;
    for coding in codings.flat_map(|v| v.split(',')) {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let refused = parts.any(|p| {
            let q = p.split_once('=').filter(|(k, _)| k.trim().eq_ignore_ascii_case("q"));
            q.is_some_and(|(_, v)| v.trim().parse::<f32>().is_ok_and(|q| q <= 0.0))
        });
        if name.eq_ignore_ascii_case("gzip") {
            return !refused;
        }
        any |= name == "*" && !refused;
    }
    any
}

/// A dump's bytes, gathered into chunks and compressed if asked for.
pub(super) struct DumpChunks {
    dump: Dump,
    gzip: Option<GzEncoder<Vec<u8>>>,
    ended: bool,
}

impl DumpChunks {
    pub(super) fn new(dump: Dump, gzip: bool) -> Self {
        let gzip = gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        DumpChunks { dump, gzip, ended: false }
    }

    /// The next chunk; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let broken = |e: std::io::Error| Failure::internal(format!("cannot compress: {e}"));
        let mut plain = Vec::new();
        while !self.ended {
            match self.dump.next() {
                Some(record) => match &mut self.gzip {
                    Some(encoder) => {
                        encoder.write_all(&record?).map_err(broken)?;
                        if encoder.get_ref().len() >= CHUNK_BYTES {
                            return Ok(Some(std::mem::take(encoder.get_mut())));
                        }
                    }
                    None => {
                        plain.extend_from_slice(&record?);
                        if plain.len() >= CHUNK_BYTES {
                            return Ok(Some(plain));
                        }
                    }
                },
                None => {
                    self.ended = true;
                    if let Some(encoder) = self.gzip.take() {
                        plain = encoder.finish().map_err(broken)?;
                    }
                }
            }
        }
        Ok((!plain.is_empty()).then_some(plain))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn gzip_is_used_when_asked_for_only() {
        let asks = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            wants_gzip(&headers)
        };
        for yes in ["gzip", "GZip", "deflate, gzip", "br;q=1, gzip; q=0.5", "*", "*;q=0, gzip"] {
            assert!(asks(yes), "{yes}");
        }
        for no in ["", "deflate", "gzip;q=0", "gzip; q=0.0, *", "*;q=0", "xgzip"] {
            assert!(!asks(no), "{no}");
        }
        assert!(!wants_gzip(&HeaderMap::new()));
    }
}
