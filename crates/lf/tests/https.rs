//! HTTPS as a user sees it: `lf node start` with a certificate of a private authority, and commands that use it.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::{Home, Node, Ran};

/// Writes a certificate for 127.0.0.1 that is its own authority.
fn write_pair(chain: &Path, key: &Path) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(chain, made.cert.pem()).unwrap();
    std::fs::write(key, made.signing_key.serialize_pem()).unwrap();
}

fn status(home: &Home, url: &str, trusted: &Path) -> Ran {
    Ran::of(home.command().env("SSL_CERT_FILE", trusted).args(["status", "--url", url]))
}

#[track_caller]
fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < until, "not so in a minute: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn commands_speak_https_and_sighup_renews() {
    let files = tempfile::tempdir().unwrap();
    let [chain, key, old] = ["chain.pem", "key.pem", "old.pem"].map(|name| files.path().join(name));
    write_pair(&chain, &key);
    std::fs::copy(&chain, &old).unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let [chain_text, key_text] = [&chain, &key].map(|path| path.to_str().unwrap());
    let node = Node::start_with(&["--tls-cert", chain_text, "--tls-key", key_text, "--https", &address]);
    let url = format!("https://{address}");
    let text = status(&node.home, &url, &chain).good();
    assert!(text.contains(&url) && text.contains("certificate valid until "), "{text}");
    let unknown = node.run(&format!("status --url {url}")).error();
    assert!(unknown.contains("SSL_CERT_FILE"), "{unknown}");
    let log = || std::fs::read_to_string(node.directory().join("node.log")).unwrap();
    assert!(log().contains("every user of this machine can read the key"), "{}", log());

    write_pair(&chain, &key);
    let pid = std::fs::read_to_string(node.directory().join("lf.pid")).unwrap();
    assert!(Command::new("kill").args(["-HUP", pid.trim()]).status().unwrap().success());
    wait_until("the new one is served", || status(&node.home, &url, &chain).code == Some(0));
    status(&node.home, &url, &old).error();
    assert!(log().contains("SIGHUP"), "{}", log());

    std::fs::write(&key, "junk").unwrap();
    let shown = || status(&node.home, &url, &chain).good();
    wait_until("what is wrong is told", || shown().contains("no private key"));
}

#[test]
fn wrong_arguments_are_told() {
    let home = Home::new();
    for (line, words) in [
        ("--tls-cert a.pem", "--tls-key"),
        ("--tls-key a.pem", "--tls-cert"),
        ("--letsencrypt *.example.org", "name each host"),
        ("--letsencrypt 192.0.2.1", "certificates are for names"),
        ("--letsencrypt a.example.org,,b.example.org", "is no host name"),
        ("--letsencrypt a.example.org --tls-cert a --tls-key b", "cannot be used with"),
        ("--letsencrypt a.example.org --acme-directory http://x/", "is no https URL"),
        ("--letsencrypt a.example.org --acme-contact me", "is no mail address"),
        ("--letsencrypt a.example.org --https x", "PORT or ADDRESS:PORT"),
        ("--acme-root a.pem", "--letsencrypt"),
    ] {
        let error = home.run(&format!("node start {line}")).usage_error();
        assert!(error.contains(words), "{line}: {error}");
    }
    for (line, words) in [
        ("--https 8443", "--https needs a certificate"),
        ("--tls-cert no.pem --tls-key no.pem --https 127.0.0.1:0", "no HTTPS: cannot read no.pem"),
        ("--letsencrypt a.example.org --acme-root no.pem --https 127.0.0.1:0", "cannot read no.pem"),
    ] {
        let error = home.run(&format!("node start --localtest --http 0 {line}")).error();
        assert!(error.contains(words), "{line}: {error}");
    }
}
