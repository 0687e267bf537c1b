//! Networks of real processes on loopback: private ones with real work, and test networks for what takes many records.
//!
//! `LF_NETWORK_RECORDS=100000 cargo test --release -p lf --test network` sends more through.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lf_client::Client;
use lf_node::selftest::Signed;
use serde_json::Value;
use support::{Home, Node};

/// For what takes seconds on an idle machine.
const TIME_MAX: Duration = Duration::from_secs(180);

fn wait_until(what: &str, time_max: Duration, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < time_max, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A home with this genesis.lf.
fn home_of(genesis: &[u8]) -> PathBuf {
    let base = tempfile::Builder::new().prefix("lf-network-").tempdir().unwrap().keep();
    fs::write(base.join("genesis.lf"), genesis).unwrap();
    base
}

/// Starts a node that connects to others first.
fn start(base: PathBuf, options: &[&str], others: &[&Node]) -> Node {
    let seeds: Vec<String> = others.iter().map(|other| place(other)).collect();
    let mut args = vec!["--p2p", "127.0.0.1:0"];
    args.extend(options);
    args.extend(seeds.iter().flat_map(|seed| ["--seed", seed]));
    Node::start_any(base, &args)
}

/// Where a node listens for peers.
fn place(node: &Node) -> String {
    format!("127.0.0.1:{}", status(node)["P2PPort"])
}

fn status(node: &Node) -> Value {
    serde_json::from_str(&node.run("--json status").good()).unwrap()
}

fn client(node: &Node) -> Client {
    Client::new([&node.url]).unwrap()
}

fn records(node: &Node) -> u64 {
    client(node).status().unwrap().record_count
}

/// Nodes of one network, all told of those before.
fn network(genesis: &[u8], count: usize, options: &[&str]) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for _ in 0..count {
        let others: Vec<&Node> = nodes.iter().collect();
        let node = start(home_of(genesis), options, &others);
        nodes.push(node);
    }
    nodes
}

fn wait_connected(nodes: &[Node]) {
    for node in nodes {
        let client = client(node);
        wait_until("all are connected and synchronized", TIME_MAX, || {
            let status = client.status().unwrap();
            status.peers.len() == nodes.len() - 1 && status.fully_synchronized
        });
    }
}

fn wait_read(node: &Node, name: &str, value: &str) {
    wait_until(name, TIME_MAX, || node.lf(["get", name]).good().starts_with(value));
}

/// All records of a node, sorted.
fn dump(node: &Node) -> Vec<String> {
    let file = node.home.path().join("dump");
    let mut stream = client(node).records(None).unwrap();
    std::io::copy(&mut stream, &mut fs::File::create(&file).unwrap()).unwrap();
    let mut bytes = lf_proto::record::RecordStream::default();
    bytes.push(&fs::read(&file).unwrap());
    bytes.end();
    let mut hashes = Vec::new();
    while let Some(record) = bytes.next_record().unwrap() {
        hashes.push(record.hash().to_string());
    }
    hashes.sort_unstable();
    hashes
}

/// All nodes have so many records, and the same. What a node counts it shows a moment later.
fn check_same(nodes: &[Node], all: u64) {
    let mut first = Vec::new();
    for node in nodes {
        let mut records = Vec::new();
        wait_until("what is counted is shown", TIME_MAX, || {
            records = dump(node);
            records.len() as u64 == all
        });
        if first.is_empty() {
            first = records;
        } else {
            assert!(records == first, "{} has other records", node.url);
        }
    }
}

fn genesis_of(signed: &Signed) -> Vec<u8> {
    signed.genesis().to_bytes()
}

#[test]
fn a_private_network_with_real_work_and_a_stranger() {
    let maker = Home::new();
    maker.run("makegenesis --name private --work-factor 1").good();
    let genesis = fs::read(maker.path().join("genesis.lf")).unwrap();
    let nodes = network(&genesis, 3, &[]);
    wait_connected(&nodes);
    assert_eq!(status(&nodes[0])["LocalTestMode"], Value::Bool(false));
    nodes[1].lf(["set", "letter", "to all"]).good();
    for node in &nodes {
        wait_read(node, "letter", "to all");
    }
    // A node of the built-in network knocks at all three.
    let others: Vec<&Node> = nodes.iter().collect();
    let base = tempfile::Builder::new().prefix("lf-network-").tempdir().unwrap().keep();
    let stranger = start(base, &["--loglevel", "verbose"], &others);
    let log = stranger.base().join("node.log");
    let places: Vec<String> = nodes.iter().map(place).collect();
    let refused = |text: &str, place: &String| {
        let address = place.replace(':', "/tcp/");
        text.lines().any(|line| {
            line.contains("cannot connect") && (line.contains(place.as_str()) || line.contains(&address))
        })
    };
    wait_until("the stranger is refused everywhere", TIME_MAX, || {
        let text = fs::read_to_string(&log).unwrap();
        places.iter().all(|place| refused(&text, place))
    });
    assert!(stranger.run("peers").good().contains("No peers"));
    for node in &nodes {
        let peers: Value = serde_json::from_str(&node.run("--json peers").good()).unwrap();
        assert_eq!(peers["Peers"].as_array().unwrap().len(), 2, "{peers}");
    }
}

#[test]
fn each_of_five_writes_and_all_read() {
    let genesis = genesis_of(&Signed::default());
    let nodes = network(&genesis, 5, &["--testnet"]);
    wait_connected(&nodes);
    for (i, node) in nodes.iter().enumerate() {
        node.lf(["set", &format!("from {i}"), &format!("node {i}")]).good();
    }
    for node in &nodes {
        for i in 0..nodes.len() {
            wait_read(node, &format!("from {i}"), &format!("node {i}"));
        }
    }
}

#[test]
fn a_node_killed_while_records_come_in_rejoins() {
    const RECORDS: usize = 1_024;
    let mut signed = Signed::default();
    let genesis = genesis_of(&signed);
    let genesis_records = signed.genesis().records().len();
    let mut nodes = network(&genesis, 3, &["--testnet"]);
    wait_connected(&nodes);
    let batches: Vec<_> = (0..RECORDS / 256).map(|_| signed.batch()).collect();
    let first = client(&nodes[0]);
    let poster = std::thread::spawn(move || batches.iter().flatten().for_each(|r| first.post(r).unwrap()));
    let last = nodes.pop().unwrap();
    wait_until("some records are there", TIME_MAX, || records(&last) > 100);
    let base = last.into_base();
    let others: Vec<&Node> = nodes.iter().collect();
    let last = start(base, &["--testnet"], &others);
    poster.join().unwrap();
    nodes.push(last);
    let all = (genesis_records + RECORDS) as u64;
    for node in &nodes {
        wait_until("the records are everywhere", TIME_MAX, || records(node) == all);
    }
    check_same(&nodes, all);
}

/// How many records go through a network in a test.
fn records_wanted() -> usize {
    std::env::var("LF_NETWORK_RECORDS").map_or(5_000, |text| text.parse().unwrap())
}

fn write_bootstrap(base: &Path, signed: &mut Signed, count: usize) {
    let mut bytes = signed.genesis().to_bytes();
    let mut left = count;
    while left > 0 {
        for record in signed.batch().iter().take(left) {
            bytes.extend_from_slice(record.as_bytes());
            left -= 1;
        }
    }
    fs::write(base.join("bootstrap.lf"), bytes).unwrap();
}

#[test]
fn many_records_go_through() {
    let count = records_wanted();
    let mut signed = Signed::default();
    let genesis = genesis_of(&signed);
    let all = (signed.genesis().records().len() + count) as u64;
    let mut nodes = network(&genesis, 2, &["--testnet"]);
    let base = home_of(&genesis);
    write_bootstrap(&base, &mut signed, count);
    let begun = Instant::now();
    let others: Vec<&Node> = nodes.iter().collect();
    nodes.push(start(base, &["--testnet"], &others));
    // More than a busy machine needs.
    let time_max = TIME_MAX + Duration::from_secs(count as u64 / 100);
    for node in &nodes {
        wait_until("the records are everywhere", time_max, || records(node) == all);
    }
    println!("{count} records on {} nodes in {:.1} s", nodes.len(), begun.elapsed().as_secs_f64());
    check_same(&nodes, all);
}
