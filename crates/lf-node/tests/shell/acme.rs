//! Certificates from an ACME server, end to end: a node, and Pebble (Debian's package `pebble`) with its name server.
//! Skipped with a notice where they are not installed.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lf_node::Running;
use lf_node::http::tls::{AcmeConfig, CertificateSource, HttpsConfig};
use serde_json::json;
use tempfile::TempDir;

use super::client::{request, request_over};
use super::running::config;
use super::tls::{HOST, TlsClient, handshake, problem, shown, trusting, wait_until};

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(command: &mut Command) -> Process {
    Process(command.stdin(Stdio::null()).spawn().unwrap())
}

fn address(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// A port that nobody listens on now.
fn free_port() -> u16 {
    TcpListener::bind(address(0)).unwrap().local_addr().unwrap().port()
}

/// What an ACME server needs before it runs: ports, and the certificate of its own API.
struct Site {
    directory: TempDir,
    acme: u16,
    management: u16,
    /// Where it looks for challenges: where the node is.
    node: u16,
}

/// A running ACME server, and a name server that says 127.0.0.1 to everything.
struct Pebble {
    _pebble: Process,
    _names: Process,
}

impl Site {
    /// None where Pebble is not installed.
    fn new() -> Option<Site> {
        for program in ["pebble", "pebble-challtestsrv"] {
            let found = std::env::var_os("PATH").is_some_and(|path| {
                std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
            });
            if !found {
                println!("skipped: needs {program} (apt-get install pebble)");
                return None;
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(directory.path().join("api.pem"), own.cert.pem()).unwrap();
        std::fs::write(directory.path().join("api-key.pem"), own.signing_key.serialize_pem()).unwrap();
        Some(Site { directory, acme: free_port(), management: free_port(), node: free_port() })
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    /// Starts the server; its certificates are valid for so many seconds.
    fn start(&self, validity_seconds: u64) -> Pebble {
        let config = json!({ "pebble": {
            "listenAddress": address(self.acme).to_string(),
            "managementListenAddress": address(self.management).to_string(),
            "certificate": self.path("api.pem"),
            "privateKey": self.path("api-key.pem"),
            "httpPort": free_port(),
            "tlsPort": self.node,
            "domainBlocklist": ["blocked.example.test"],
            "certificateValidityPeriod": validity_seconds,
        }});
        std::fs::write(self.path("pebble.json"), config.to_string()).unwrap();
        let dns = address(free_port()).to_string();
        let log = File::options().create(true).append(true).open(self.path("pebble.log")).unwrap();
        let out = || log.try_clone().unwrap();
        let names = spawn(
            Command::new("pebble-challtestsrv")
                .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-http01", "", "-https01", ""])
                .args(["-tlsalpn01", "", "-dns01", &dns, "-management", &address(free_port()).to_string()])
                .stdout(out())
                .stderr(out()),
        );
        let pebble = spawn(
            Command::new("pebble")
                .args(["-config", &self.path("pebble.json"), "-dnsserver", &dns])
                .envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_AUTHZREUSE", "0")])
                .stdout(out())
                .stderr(out()),
        );
        for port in [self.acme, self.management] {
            wait_until("Pebble listens", || TcpStream::connect(address(port)).is_ok());
        }
        Pebble { _pebble: pebble, _names: names }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("pebble.log")).unwrap()
    }

    /// How many orders were taken.
    fn orders(&self) -> usize {
        self.log().matches("Added order").count()
    }

    /// The root of what it issues, new with each start.
    fn root(&self) -> String {
        let api = std::fs::read_to_string(self.path("api.pem")).unwrap();
        let stream = handshake(address(self.management), "127.0.0.1", trusting(&api)).unwrap();
        String::from_utf8(request_over(stream, "GET", "/roots/0", &[], b"").body).unwrap()
    }

    fn node(&self, hosts: &str) -> Running {
        self.node_at(hosts, "dir")
    }

    fn node_at(&self, hosts: &str, path: &str) -> Running {
        let mut config = config(&self.directory.path().join("home"));
        let acme = AcmeConfig {
            hosts: hosts.parse().unwrap(),
            directory: format!("https://{}/{path}", address(self.acme)).parse().unwrap(),
            root: Some(self.path("api.pem").into()),
            contact: Some("operator@example.org".parse().unwrap()),
        };
        config.https =
            Some(HttpsConfig { address: address(self.node), certificate: CertificateSource::Acme(acme) });
        Running::start(&config).unwrap()
    }

    fn connect(&self, host: &str, root: &str) -> Result<TlsClient, std::io::Error> {
        handshake(address(self.node), host, trusting(root))
    }

    #[track_caller]
    fn wait_for_certificate(&self, host: &str, root: &str, node: &Running) -> Vec<u8> {
        let mut certificate = Vec::new();
        wait_until("a certificate is served", || match self.connect(host, root) {
            Ok(stream) => {
                certificate = shown(&stream);
                true
            }
            Err(_) => {
                let problem = problem(node);
                // Pebble refuses some requests for a nonce that is good; a few in a row now and then.
                let fine = problem.is_empty() || problem.contains("badNonce");
                assert!(fine, "{problem}\n{}", self.log());
                false
            }
        });
        certificate
    }
}

/// Waits until the node says what is wrong, in these words; gives all it says.
#[track_caller]
fn wait_for_problem(node: &Running, words: &str) -> String {
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        let problem = problem(node);
        if problem.contains(words) {
            return problem;
        }
        assert!(Instant::now() < until, "no {words:?} in {problem:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_certificate_is_ordered_and_kept() {
    const OTHER: &str = "other.example.test";
    let Some(site) = Site::new() else { return };
    let _pebble = site.start(86_400);
    let root = site.root();
    let hosts = format!("{HOST},{OTHER}");
    let node = site.node(&hosts);
    let certificate = site.wait_for_certificate(HOST, &root, &node);
    assert_eq!(shown(&site.connect(OTHER, &root).unwrap()), certificate);
    assert!(site.connect("third.example.test", &root).is_err());
    let status = request_over(site.connect(HOST, &root).unwrap(), "GET", "/status", &[], b"").ok();
    let left = status["HTTPSUntil"].as_u64().unwrap() - status["Clock"].as_u64().unwrap();
    assert!((80_000..=86_400).contains(&left), "{left}");
    // No challenge is answered outside an order.
    let mut client = trusting(&root);
    client.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    assert!(handshake(address(site.node), HOST, client).is_err());
    let kept = node.directory().join("acme").join(format!("127.0.0.1_{}_dir", site.acme));
    for name in ["account.json", "certificate.pem"] {
        assert_eq!(std::fs::metadata(kept.join(name)).unwrap().mode() & 0o777, 0o600, "{name}");
    }
    let orders = site.orders();
    assert!(orders > 0);
    node.stop().unwrap();

    // After a restart it is there at once, and nothing is ordered.
    let node = site.node(&hosts);
    assert_eq!(shown(&site.connect(HOST, &root).unwrap()), certificate);
    node.stop().unwrap();
    assert_eq!(site.orders(), orders);

    // Other hosts need another certificate; the account stays.
    let accounts = || site.log().matches("POST /sign-me-up").count();
    let before = accounts();
    assert!(before > 0);
    let node = site.node("third.example.test");
    wait_until("it is for the other host", || site.connect("third.example.test", &root).is_ok());
    assert!(site.connect(HOST, &root).is_err());
    assert_eq!(accounts(), before);
    node.stop().unwrap();
}

#[test]
fn a_certificate_is_renewed_in_time() {
    let Some(site) = Site::new() else { return };
    let _pebble = site.start(12);
    let root = site.root();
    let node = site.node(HOST);
    let mut certificate = site.wait_for_certificate(HOST, &root, &node);
    for _ in 0..2 {
        wait_until("another one is served", || {
            // On a machine this busy the old one may end before the new one is there; in 30 days it will not.
            let Ok(stream) = site.connect(HOST, &root) else { return false };
            let now = shown(&stream);
            let new = now != certificate;
            certificate = now;
            new
        });
    }
    node.stop().unwrap();
}

#[test]
fn a_server_that_is_away_is_asked_again() {
    let Some(site) = Site::new() else { return };
    let node = site.node(HOST);
    let away = wait_for_problem(&node, "cannot reach the ACME server");
    assert!(away.contains("again in 1"), "{away}");
    assert!(handshake(address(site.node), HOST, trusting("")).is_err());
    let pebble = site.start(86_400);
    let root = site.root();
    node.reload();
    wait_until("it has a certificate", || site.connect(HOST, &root).is_ok());
    assert_eq!(problem(&node), "");
    node.stop().unwrap();

    // A server that knows nothing of our account, as after a loss of its data, gets another one.
    drop(pebble);
    let _pebble = site.start(86_400);
    let root = site.root();
    let node = site.node("other.example.test");
    site.wait_for_certificate("other.example.test", &root, &node);
    node.stop().unwrap();
}

#[test]
fn refusals_are_told_and_the_node_goes_on() {
    let Some(mut site) = Site::new() else { return };
    let _pebble = site.start(86_400);
    let node = site.node("blocked.example.test");
    let refused = wait_for_problem(&node, "rejectedIdentifier");
    assert!(refused.contains("again in 3"), "{refused}");
    node.stop().unwrap();

    let node = site.node_at(HOST, "no-such-directory");
    wait_for_problem(&node, "not ACME's");
    node.stop().unwrap();

    // The challenge is looked for where this node is not.
    site.node = free_port();
    let node = site.node(HOST);
    let failed = wait_for_problem(&node, "no certificate: ");
    assert!(failed.contains(HOST) && failed.contains("tls-alpn-01"), "{failed}\n{}", site.log());
    request(node.http_addr.unwrap(), "GET", "/status", &[], b"").ok();
    assert!(Path::new(&site.path("home/localtest/acme")).is_dir());
    node.stop().unwrap();
}
