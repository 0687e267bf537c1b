//! Whole nodes that find each other over loopback and replicate: what is written on one is read on all.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

// Shared with the tests of the shells, which use all of it.
#[allow(dead_code)]
#[path = "../shell/client.rs"]
mod client;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lf_node::{P2pConfig, RunConfig, Running};
use lf_proto::genesis::GenesisParameters;
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::record::{RecordBuilder, RecordType};
use serde_json::Value;
use tempfile::TempDir;

use client::{Answer, request};

/// For anything to happen.
const TIME_MAX: Duration = Duration::from_secs(120);

/// A network of one link and little work.
fn genesis(id: u8) -> Vec<u8> {
    let owner = OwnerSecret::from_seed(OwnerType::P384, b"genesis");
    let parameters = GenesisParameters {
        id: [id; 32],
        name: "test".to_owned(),
        record_min_links: 1,
        record_max_value_size: 1024,
        record_max_time_drift: 60,
        ..GenesisParameters::default()
    };
    let value = parameters.to_json();
    let builder = RecordBuilder {
        record_type: RecordType::Genesis,
        value: value.as_bytes(),
        masking_key: None,
        selectors: &[],
        links: &[],
        timestamp: 1_700_000_000,
        with_pulse_token: true,
    };
    builder.build(&owner).unwrap().sign(&owner, None).as_bytes().to_vec()
}

struct TestNode {
    running: Option<Running>,
    home: TempDir,
    http: SocketAddr,
}

impl TestNode {
    fn new(network: u8, seeds: &[&TestNode]) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("genesis.lf"), genesis(network)).unwrap();
        let mut node = TestNode { running: None, home, http: SocketAddr::from(([127, 0, 0, 1], 0)) };
        node.start(seeds);
        node
    }

    fn start(&mut self, seeds: &[&TestNode]) {
        let mut config = RunConfig::new(self.home.path());
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        config.http = Some(free);
        let seeds = seeds.iter().map(|seed| seed.p2p().parse().unwrap()).collect();
        config.p2p = Some(P2pConfig { listen: vec![free], seeds, ..P2pConfig::default() });
        let running = Running::start(&config).unwrap();
        self.http = running.http_addr.unwrap();
        self.running = Some(running);
    }

    fn stop(&mut self) {
        self.running.take().unwrap().stop().unwrap();
    }

    /// Where others connect to.
    fn p2p(&self) -> String {
        format!("127.0.0.1:{}", self.get("/status").ok()["P2PPort"])
    }

    fn get(&self, path: &str) -> Answer {
        request(self.http, "GET", path, &[], b"")
    }

    fn post(&self, path: &str, body: &str) -> Answer {
        request(self.http, "POST", path, &[], body.as_bytes())
    }

    /// Makes a record and returns its hash.
    fn make(&self, name: &str, timestamp: u64) -> Value {
        let body = format!(
            r#"{{"Selectors":[{{"Name":"{name}"}}],"Value":"something","Passphrase":"open sesame","Timestamp":{timestamp}}}"#
        );
        assert_eq!(self.post("/makerecord", &body).ok()["Accepted"], true);
        let hash = self.read(name)["Hash"].clone();
        assert!(hash.is_string());
        hash
    }

    fn read(&self, name: &str) -> Value {
        let body = format!(r#"{{"Ranges":[{{"Name":"{name}"}}],"Limit":1}}"#);
        self.post("/query", &body).ok()[0][0].clone()
    }

    fn peers(&self) -> Vec<Value> {
        self.get("/v1/peers/status").ok()["Peers"].as_array().unwrap().clone()
    }
}

#[track_caller]
fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < TIME_MAX, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_is_written_on_one_node_is_read_on_all() {
    let one = TestNode::new(1, &[]);
    assert_eq!(one.get("/status").ok()["FullySynchronized"], false, "nobody was there to compare with");
    let clock = one.get("/status").ok()["Clock"].as_u64().unwrap();
    let early = one.make("early", clock - 600);
    let mut two = TestNode::new(1, &[&one]);
    let three = TestNode::new(1, &[&two]);
    let stranger = TestNode::new(2, &[&one]);
    for node in [&two, &three] {
        wait("an old record", || node.read("early")["Hash"] == early);
    }
    let late = three.make("late", clock);
    for node in [&one, &two] {
        wait("a new record", || node.read("late")["Hash"] == late);
    }
    for node in [&one, &two, &three] {
        wait("honest synchronization", || node.get("/status").ok()["FullySynchronized"] == true);
    }
    let pulse = r#"{"Selectors":[{"Name":"early"}],"Passphrase":"open sesame"}"#;
    let pulsed = three.post("/makepulse", pulse).ok();
    assert_eq!((&pulsed["Accepted"], &pulsed["Record"]), (&Value::Bool(true), &Value::Null), "{pulsed}");
    let expected = three.read("early")["Pulse"].clone();
    assert!(expected.as_u64().unwrap() > clock - 600);
    for node in [&one, &two] {
        wait("a pulse", || node.read("early")["Pulse"] == expected);
    }
    // What a node tells of the others.
    let status = two.get("/status").ok();
    wait("two peers", || two.peers().len() == 2);
    let identity = |node: &TestNode| node.get("/status").ok()["Identity"].clone();
    let known: Vec<Value> = two.get("/status").ok()["Peers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|peer| peer["Identity"].clone())
        .collect();
    assert!(known.contains(&identity(&one)) && known.contains(&identity(&three)), "{status}");
    wait("a version", || {
        two.peers().iter().all(|peer| peer["Version"] == concat!("lf/", env!("CARGO_PKG_VERSION")))
    });
    wait("compared records", || two.peers().iter().all(|peer| peer["State"] == "synced"));
    let metrics = String::from_utf8(two.get("/metrics").body).unwrap();
    for line in [
        "lf_peers{direction=\"out\"} ",
        "lf_sync_synchronized 1\n",
        "lf_peer_bytes_total{direction=\"in\"} ",
        "lf_peers_none_seconds 0\n",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    wait("an address to tell", || !two.get("/v1/peers").ok()["Peers"].as_array().unwrap().is_empty());
    assert!(stranger.peers().is_empty());
    assert_eq!(stranger.get("/status").ok()["RecordCount"], 1);
    // A node that was away catches up, from peers it remembers.
    two.stop();
    let missed = one.make("meanwhile", clock);
    two.start(&[]);
    wait("what was missed", || two.read("meanwhile")["Hash"] == missed);
}

#[test]
fn users_connect_and_ban() {
    let one = TestNode::new(1, &[]);
    let two = TestNode::new(1, &[]);
    let port = one.get("/status").ok()["P2PPort"].clone();
    let identity = one.get("/status").ok()["Identity"].clone();
    two.post("/connect", &format!(r#"{{"IP":"127.0.0.1","Port":{port},"Identity":{identity}}}"#));
    wait("a connection", || one.peers().len() == 1 && two.peers().len() == 1);
    let name = one.peers()[0]["Peer"].as_str().unwrap().to_owned();
    assert_eq!(one.post("/v1/peers/ban", &format!(r#"{{"Peer":"{name}","Hours":1}}"#)).status, 200);
    wait("an end", || one.peers().is_empty());
    let bans = one.get("/v1/peers/status").ok()["Bans"].clone();
    assert_eq!((bans.as_array().unwrap().len(), &bans[0]["Peer"]), (1, &Value::from(name.clone())));
    let denied = || {
        let metrics = String::from_utf8(one.get("/metrics").body).unwrap();
        !metrics.contains("\nlf_peer_denied_total 0\n")
    };
    wait("a refusal", denied);
    assert!(one.peers().is_empty());
    assert_eq!(one.post("/v1/peers/unban", &format!(r#"{{"Peer":"{name}"}}"#)).status, 200);
    one.post("/v1/peers/unban", &format!(r#"{{"Peer":"{name}"}}"#)).error(404, "");
    one.post("/v1/peers/ban", r#"{"Peer":"nonsense"}"#).error(400, "ErrInvalidParameter");
    wait("another connection", || !one.peers().is_empty());
    for wrong in [
        r#"{"IP":"127.0.0.1","Port":0}"#,
        r#"{"IP":"x","Port":1}"#,
        r#"{"IP":"127.0.0.1","Port":1,"Identity":"\bAAAA"}"#,
        r#"{"Address":"no place"}"#,
    ] {
        one.post("/connect", wrong).error(400, "ErrInvalidParameter");
    }
    let outside = [("Host", "example.com")];
    for path in ["/v1/peers/status", "/v1/peers"] {
        let expected = if path == "/v1/peers" { 200 } else { 403 };
        assert_eq!(request(one.http, "GET", path, &outside, b"").status, expected);
    }
}
