//! HTTPS with a certificate from files: versions, trust, limits, changing files. `acme.rs` has ordered certificates.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lf_node::http::Limits;
use lf_node::http::tls::{CertificateSource, HttpsConfig};
use lf_node::{RunConfig, Running};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

use super::client::{Answer, connect, head, read_answer, request, request_over};
use super::running::config;

pub(crate) const HOST: &str = "node.example.test";

/// A client's side of a connection.
pub(crate) type TlsClient = StreamOwned<ClientConnection, TcpStream>;

/// A client that trusts the certificates in this PEM text.
pub(crate) fn trusting(pem: &str) -> ClientConfig {
    trusting_in(pem, rustls::DEFAULT_VERSIONS)
}

fn trusting_in(pem: &str, versions: &[&'static rustls::SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(root.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    builder.with_root_certificates(roots).with_no_client_auth()
}

/// A handshake; what is wrong with it, if it fails.
pub(crate) fn handshake(
    address: SocketAddr,
    host: &str,
    client: ClientConfig,
) -> Result<TlsClient, std::io::Error> {
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut stream =
        StreamOwned::new(ClientConnection::new(Arc::new(client), name).unwrap(), connect(address));
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// The certificate that a server shows.
pub(crate) fn shown(stream: &TlsClient) -> Vec<u8> {
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(120);
    while !so() {
        assert!(Instant::now() < until, "not so in two minutes: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A certificate of its own for [`HOST`], and its key.
fn pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

struct TlsNode {
    running: Running,
    address: SocketAddr,
    directory: TempDir,
    certificate: String,
}

impl TlsNode {
    fn chain(&self) -> PathBuf {
        self.directory.path().join("chain.pem")
    }

    fn key(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }

    fn connect(&self) -> TlsClient {
        handshake(self.address, HOST, trusting(&self.certificate)).unwrap()
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        request_over(self.connect(), method, path, headers, body)
    }

    /// What `/status` says is wrong, asked over plain HTTP.
    fn problem(&self) -> String {
        problem(&self.running)
    }
}

pub(crate) fn problem(node: &Running) -> String {
    let status = request(node.http_addr.unwrap(), "GET", "/status", &[], b"").ok();
    status["HTTPSProblem"].as_str().unwrap_or_default().to_owned()
}

fn files_config(home: &Path) -> RunConfig {
    let mut config = config(home);
    let certificate = CertificateSource::Files { chain: home.join("chain.pem"), key: home.join("key.pem") };
    config.https = Some(HttpsConfig { address: ([127, 0, 0, 1], 0).into(), certificate });
    config
}

fn tls_node(set: impl FnOnce(&mut Limits)) -> TlsNode {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = pair();
    std::fs::write(directory.path().join("chain.pem"), &certificate).unwrap();
    std::fs::write(directory.path().join("key.pem"), key).unwrap();
    let mut config = files_config(directory.path());
    set(&mut config.limits);
    let running = Running::start(&config).unwrap();
    let address = running.https_addr.unwrap();
    TlsNode { running, address, directory, certificate }
}

#[test]
fn both_versions_speak_http_1_1() {
    let node = tls_node(|_| {});
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut client = trusting_in(&node.certificate, &[version]);
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = handshake(node.address, HOST, client).unwrap();
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(stream.conn.protocol_version(), Some(version.version));
        let answer = request_over(stream, "GET", "/status", &[], b"");
        let status = answer.ok();
        assert!(status["HTTPSUntil"].as_u64() > status["Clock"].as_u64(), "{status}");
        assert_eq!(status.get("HTTPSProblem"), None);
        assert_eq!(answer.header("x-lf-apiversion"), Some("1"));
    }
    // Nothing but what is spoken here, and no challenges where none are answered.
    for alien in [b"h2".to_vec(), b"acme-tls/1".to_vec()] {
        let mut client = trusting(&node.certificate);
        client.alpn_protocols = vec![alien];
        assert!(handshake(node.address, HOST, client).is_err());
    }
    let metrics = node.request("GET", "/metrics", &[], b"");
    assert!(String::from_utf8_lossy(&metrics.body).contains("\nlf_https_certificate_expires_seconds "));
}

#[test]
fn all_addresses_are_those_of_ipv4_too() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = pair();
    std::fs::write(directory.path().join("chain.pem"), &certificate).unwrap();
    std::fs::write(directory.path().join("key.pem"), key).unwrap();
    let mut config = files_config(directory.path());
    config.https.as_mut().unwrap().address = "[::]:0".parse().unwrap();
    let node = Running::start(&config).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], node.https_addr.unwrap().port()));
    let stream = handshake(address, HOST, trusting(&certificate)).unwrap();
    request_over(stream, "GET", "/status", &[], b"").ok();
}

#[test]
fn over_tls_the_token_alone_is_trusted() {
    const MAKE: &[u8] = br#"{"Selectors":[{"Name":"x"}],"Value":"y","Passphrase":"open sesame"}"#;
    let node = tls_node(|_| {});
    let token = std::fs::read_to_string(node.running.directory().join("authtoken.secret")).unwrap();
    let right = format!("Bearer {}", token.trim());
    for host in ["localhost", HOST] {
        node.request("POST", "/makerecord", &[("Host", host)], MAKE).error(403, "");
    }
    node.request("POST", "/makerecord", &[("Host", HOST), ("Authorization", &right)], MAKE).ok();
    // On the plain socket of this machine nothing has changed.
    request(node.running.http_addr.unwrap(), "POST", "/makerecord", &[], MAKE).ok();
}

#[test]
fn changed_files_are_served_and_bad_ones_are_not() {
    let node = tls_node(|_| {});
    let first = shown(&node.connect());
    // Both, and told: at once.
    let (certificate, key) = pair();
    std::fs::write(node.chain(), &certificate).unwrap();
    std::fs::write(node.key(), &key).unwrap();
    node.running.reload();
    wait_until("the new one is served", || {
        handshake(node.address, HOST, trusting(&certificate)).is_ok_and(|stream| shown(&stream) != first)
    });
    let second = shown(&handshake(node.address, HOST, trusting(&certificate)).unwrap());
    // Bad ones, each in its way: what was served goes on being served, and what is wrong is told.
    let (_, other_key) = pair();
    for (chain, key, words) in [
        (certificate.as_str(), other_key.as_str(), "is not that of the certificate"),
        ("junk", key.as_str(), "chain.pem: it holds no certificate"),
        (&certificate, "", "key.pem: it holds no private key"),
        (&certificate[..certificate.len() / 2], &key, "chain.pem: it is damaged"),
    ] {
        std::fs::write(node.chain(), chain).unwrap();
        std::fs::write(node.key(), key).unwrap();
        node.running.reload();
        wait_until(words, || node.problem().contains(words));
        assert_eq!(shown(&handshake(node.address, HOST, trusting(&certificate)).unwrap()), second);
    }
    std::fs::remove_file(node.key()).unwrap();
    node.running.reload();
    wait_until("it is missed", || node.problem().contains("cannot read"));
    // Good again, found without being told.
    std::fs::write(node.chain(), &certificate).unwrap();
    std::fs::write(node.key(), &key).unwrap();
    wait_until("all is well again", || node.problem().is_empty());
    assert_eq!(shown(&handshake(node.address, HOST, trusting(&certificate)).unwrap()), second);
}

#[test]
fn what_is_wrong_from_the_start_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    let config = files_config(home);
    let (certificate, key) = pair();
    let message = || Running::start(&config).unwrap_err().to_string();
    assert!(message().contains("chain.pem: No such file"), "{}", message());
    std::fs::write(home.join("chain.pem"), &certificate).unwrap();
    assert!(message().contains("key.pem: No such file"), "{}", message());
    std::fs::write(home.join("key.pem"), pair().1).unwrap();
    assert!(message().contains("give the two that belong together"), "{}", message());
    std::fs::write(home.join("key.pem"), vec![b' '; 2 << 20]).unwrap();
    assert!(message().contains("larger than"), "{}", message());
    std::fs::write(home.join("key.pem"), key).unwrap();
    let node = Running::start(&config).unwrap();
    // The port is taken now.
    let second = tempfile::tempdir().unwrap();
    let mut config = config.clone();
    config.home = second.path().to_owned();
    config.https.as_mut().unwrap().address = node.https_addr.unwrap();
    let message = Running::start(&config).unwrap_err().to_string();
    assert!(message.starts_with("cannot serve HTTPS on ") && message.ends_with("with --https"), "{message}");
}

#[test]
fn handshakes_are_bounded_in_time() {
    let node = tls_node(|limits| limits.handshake_time_max = Duration::from_millis(200));
    let silent = connect(node.address);
    let mut half = connect(node.address);
    half.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    let mut plain = connect(node.address);
    plain.write_all(head("GET", "/status", &[]).as_bytes()).unwrap();
    for mut stream in [silent, half, plain] {
        // An alert at most, then the end.
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        assert!(bytes.len() < 64 && !bytes.starts_with(b"HTTP"), "{bytes:?}");
    }
    node.request("GET", "/status", &[], b"").ok();
}

#[test]
fn limits_are_those_of_plain_connections() {
    let node = tls_node(|limits| {
        limits.connections_max = 4;
        limits.head_time_max = Duration::from_millis(400);
    });
    let long = "x".repeat(64 << 10);
    let mut stream = node.connect();
    let _ = stream.write_all(head("GET", "/status", &[("X-Long", &long)]).as_bytes());
    assert_eq!(read_answer(stream).status, 431);
    let mut stream = node.connect();
    stream.write_all(head("POST", "/query", &[("Content-Length", "300000")]).as_bytes()).unwrap();
    read_answer(stream).error(413, "");
    let mut slow = node.connect();
    slow.write_all(b"GET /status HTT").unwrap();
    read_answer(slow).error(408, "");
    // A crowd here is turned away, and leaves the plain socket alone.
    wait_until("all places are free", || {
        let held: Vec<_> =
            (0..4).map(|_| handshake(node.address, HOST, trusting(&node.certificate))).collect();
        held.iter().all(Result::is_ok)
            && handshake(node.address, HOST, trusting(&node.certificate)).is_err()
            && request(node.running.http_addr.unwrap(), "GET", "/status", &[], b"").status == 200
    });
    wait_until("places are free again", || {
        handshake(node.address, HOST, trusting(&node.certificate)).is_ok()
    });
}

#[test]
fn a_client_over_tls_that_does_not_read_is_dropped() {
    let node = tls_node(|limits| limits.stall_time_max = Duration::from_millis(200));
    let requests = head("GET", "/v1/openapi.json", &[]).repeat(2_000);
    let mut stalled = node.connect();
    stalled.sock.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    // The server reads no further requests while it cannot answer, so this fills up, or breaks off.
    let started = Instant::now();
    let mut rest = requests.as_bytes();
    while !rest.is_empty() && started.elapsed() < Duration::from_secs(30) {
        match stalled.write(rest) {
            Ok(n) => rest = &rest[n..],
            Err(_) => break,
        }
    }
    std::thread::sleep(Duration::from_millis(500));
    let mut bytes = 0_usize;
    let mut buffer = vec![0; 1 << 16];
    while let Ok(n @ 1..) = stalled.read(&mut buffer) {
        bytes += n;
    }
    let one = node.request("GET", "/v1/openapi.json", &[], b"").body.len();
    assert!(bytes < 2_000 * one, "{bytes} bytes came, all of {}", 2_000 * one);
}
