//! The node's page: files that `npm run build` in `page/` made, part of the program.
//!
//! It is a client like any other and has no rights of its own. What it reads, anybody can read; what it writes, it writes
//! with the token its user gives it, because browsers put an `Origin` on what pages send ([`super::trust`]). Its policy
//! lets it load and ask nothing but this node, and nobody frame it.

use std::fmt::Write;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use sha2::{Digest, Sha256};

use super::{Context, dispatch, reply};
use crate::Failure;

/// A file of the page.
pub(super) struct File {
    /// Where it is served.
    pub(super) path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
    /// Its entity tag, once it was needed.
    tag: OnceLock<String>,
}

const fn file(path: &'static str, content_type: &'static str, bytes: &'static [u8]) -> File {
    File { path, content_type, bytes, tag: OnceLock::new() }
}

const ROOT: &str = "/";

/// All files.
pub(super) static FILES: [File; 4] = [
    file(ROOT, "text/html; charset=utf-8", include_bytes!("page/index.html")),
    file("/page/page.js", "text/javascript; charset=utf-8", include_bytes!("page/page.js")),
    file("/page/page.css", "text/css; charset=utf-8", include_bytes!("page/page.css")),
    file("/page/icon.svg", "image/svg+xml", include_bytes!("page/icon.svg")),
];

/// Nothing but what this node serves; nothing inline; no frames, no forms that lead elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; worker-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";
/// Kept by browsers, but only used after asking.
const REVALIDATE: &str = "no-cache";

impl File {
    fn tag(&self) -> &str {
        self.tag.get_or_init(|| {
            // Weak, as the same file goes out plain and compressed.
            let mut tag = "W/\"".to_owned();
            for byte in &Sha256::digest(self.bytes)[..12] {
                // Writing to a string does not fail.
                let _ = write!(tag, "{byte:02x}");
            }
            tag.push('"');
            tag
        })
    }
}

/// Serves a file. At `/`, only to browsers: anybody else is told that there is nothing, as without the page.
pub(super) async fn serve(context: Arc<Context>, file: &'static File, request: Request) -> Response {
    let (method, headers) = (request.method(), request.headers());
    let reads = method == Method::GET || method == Method::HEAD;
    if file.path == ROOT && !(reads && wants_html(headers)) {
        return dispatch::not_found(context, request).await;
    }
    let started = Instant::now();
    let mut response = if !reads {
        let message = format!("{method} not supported for this path");
        let mut response = reply::failure(&Failure { status: 405, name: "", message });
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        response
    } else if is_known(headers, file.tag()) {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        reply::full(StatusCode::OK, file.content_type, file.bytes.to_vec(), reply::wants_gzip(headers))
    };
    let status = response.status();
    let headers = response.headers_mut();
    reply::stamp(headers);
    if !status.is_client_error() {
        describe(headers, file);
    }
    context.metrics.observe("page", status.as_u16(), started.elapsed());
    if request.method() == Method::HEAD {
        dispatch::drop_body(&mut response);
    }
    response
}

fn describe(headers: &mut HeaderMap, file: &File) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(REVALIDATE));
    if let Ok(tag) = HeaderValue::from_str(file.tag()) {
        headers.insert(header::ETAG, tag);
    }
    // `/` is one thing to browsers and another to everybody else.
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}

/// Whether a client names HTML among what it takes, as browsers do when a person goes somewhere.
fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim().eq_ignore_ascii_case("text/html"))
}

/// Whether the client has this very file.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let weakless = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    known
        .flat_map(|value| value.split(','))
        .any(|other| other.trim() == "*" || weakless(other) == weakless(tag))
}
