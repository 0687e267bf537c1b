//! Who may make records here: clients on this machine, and whoever knows `authtoken.secret`.
//!
//! A web page must not drive a local node, so what a browser sends on a page's behalf is not trusted for coming from
//! this machine: it names its `Origin`, or (after DNS rebinding) a `Host` that is not loopback. Nor is what a proxy on
//! this machine passes on, where it says so. What comes over TLS was sent to the public, perhaps through a proxy that
//! says nothing: the token alone is trusted there.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::Client;

/// The secret of `authtoken.secret`.
#[derive(Clone)]
pub struct AuthToken(Arc<Zeroizing<String>>);

impl AuthToken {
    /// The token with this text. An empty one matches nothing.
    pub fn new(text: Zeroizing<String>) -> Self {
        AuthToken(Arc::new(text))
    }

    /// Whether this is the token's text; takes the same time wherever they differ.
    fn is(&self, given: &[u8]) -> bool {
        !self.0.is_empty() && bool::from(self.0.as_bytes().ct_eq(given))
    }
}

impl std::fmt::Debug for AuthToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthToken(_)")
    }
}

/// Whether a request may make the node work and sign.
pub(super) fn is_trusted(parts: &Parts, client: Client, token: &AuthToken) -> bool {
    let headers = &parts.headers;
    if let Some(given) = bearer(headers) {
        // A wrong token is a mistake to be told, also on this machine.
        return token.is(given);
    }
    let forwarded = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
    !client.tls
        && client.address.ip().to_canonical().is_loopback()
        && !headers.contains_key(header::ORIGIN)
        && !forwarded.iter().any(|name| headers.contains_key(*name))
        && host_is_loopback(parts)
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// Whether the one `Host` (or the target's authority, which takes its place) is this machine's.
fn host_is_loopback(parts: &Parts) -> bool {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(host) = host.to_str() else { return false };
    let authority = parts.uri.authority().map(axum::http::uri::Authority::as_str);
    is_loopback_name(host) && authority.is_none_or(is_loopback_name)
}

fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, port)) if port.is_empty() || is_port(port) => name,
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            Some(_) => return false,
            None => host,
        },
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::http::Request;

    const TOKEN: &str = "0123456789abcdef";

    fn trusted(peer: &str, headers: &[(&str, &str)]) -> bool {
        is_trusted_over(false, peer, headers)
    }

    fn is_trusted_over(tls: bool, peer: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().uri("/makerecord");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let token = AuthToken::new(Zeroizing::new(TOKEN.to_owned()));
        is_trusted(&parts, Client { address: peer.parse().unwrap(), tls }, &token)
    }

    #[test]
    fn loopback_without_a_browser_or_proxy_is_trusted() {
        for peer in ["127.0.0.1:5", "[::1]:5", "[::ffff:127.0.0.1]:5"] {
            for host in ["localhost", "LocalHost:9980", "127.0.0.1:9980", "127.9.9.9", "[::1]:9980", "[::1]"]
            {
                assert!(trusted(peer, &[("Host", host)]), "{peer} {host}");
            }
        }
        for host in [
            "example.com",
            "localhost.example.com:9980",
            "10.0.0.1",
            "[::1",
            "::1",
            "localhost:x",
            "",
            "[::2]:1",
        ] {
            assert!(!trusted("127.0.0.1:5", &[("Host", host)]), "{host}");
        }
        assert!(!trusted("127.0.0.1:5", &[]));
        assert!(!trusted("127.0.0.1:5", &[("Host", "localhost"), ("Host", "localhost")]));
        assert!(!trusted("10.0.0.1:5", &[("Host", "localhost")]));
        for (name, value) in
            [("Origin", "http://localhost:9980"), ("Origin", "null"), ("X-Forwarded-For", "10.0.0.1")]
        {
            assert!(!trusted("127.0.0.1:5", &[("Host", "localhost"), (name, value)]), "{name}");
        }
    }

    #[test]
    fn over_tls_only_the_token_is_trusted() {
        let right = format!("Bearer {TOKEN}");
        assert!(!is_trusted_over(true, "127.0.0.1:5", &[("Host", "localhost")]));
        assert!(is_trusted_over(true, "127.0.0.1:5", &[("Host", "localhost"), ("Authorization", &right)]));
        assert!(is_trusted_over(true, "10.0.0.1:5", &[("Host", "x"), ("Authorization", &right)]));
    }

    #[test]
    fn the_token_is_trusted_from_anywhere() {
        let right = format!("bearer {TOKEN}");
        assert!(trusted("10.0.0.1:5", &[("Authorization", &right), ("Origin", "http://x"), ("Host", "x")]));
        for wrong in [
            "Bearer",
            "Bearer ",
            "Bearer 0123456789abcdeg",
            "Bearer 0123456789abcde",
            "Basic 0123456789abcdef",
        ] {
            assert!(!trusted("10.0.0.1:5", &[("Authorization", wrong), ("Host", "localhost")]), "{wrong}");
        }
        let (parts, ()) =
            Request::builder().header("Authorization", "Bearer ").body(()).unwrap().into_parts();
        let none = AuthToken::new(Zeroizing::new(String::new()));
        assert!(!is_trusted(&parts, Client { address: "10.0.0.1:5".parse().unwrap(), tls: false }, &none));
    }
}
