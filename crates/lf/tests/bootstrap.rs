//! `lf node bootstrap`: a home made from a running node, whatever breaks it off.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lf_node::{NodeConfig, sol};
use lf_proto::hash::Hash;
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::record::{Record, RecordBuilder, RecordType};
use serde_json::Value;
use support::{Home, Node, Ran};

/// Some 230 bytes each.
const RECORDS: usize = 8_000;
/// Records of Sol's genesis.
const GENESIS: usize = 3;
/// For what happens soon on any machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A node in local test mode with many records.
fn large_node() -> Node {
    let base = tempfile::tempdir().unwrap().keep();
    let home = base.join("localtest");
    std::fs::create_dir_all(&home).unwrap();
    let genesis = sol();
    let owner = OwnerSecret::from_seed(OwnerType::Ed25519, b"many");
    let mut links: Vec<Hash> = genesis.records().iter().map(Record::hash).collect();
    let mut bytes = Vec::new();
    for i in 0..RECORDS {
        let mut sorted = links.clone();
        sorted.sort_unstable();
        let value = format!("value {i}");
        let builder = RecordBuilder {
            record_type: RecordType::Datum,
            value: value.as_bytes(),
            masking_key: Some(b""),
            selectors: &[],
            links: &sorted,
            timestamp: 1_790_000_000 + i as u64,
            with_pulse_token: false,
        };
        let record = builder.build(&owner).unwrap().sign(&owner, None);
        links.remove(0);
        links.push(record.hash());
        bytes.extend_from_slice(record.as_bytes());
    }
    let config = NodeConfig { home, genesis, local_test: true };
    let (node, _) = lf_node::Node::open(config, |_| {}).unwrap();
    let report = node.import(bytes.as_slice(), &mut |_| {}, &AtomicBool::new(false)).unwrap();
    assert_eq!((report.accepted, report.refused), (RECORDS as u64, 0), "{report:?}");
    node.stop().unwrap();
    drop(node);
    Node::start_in(base, &[])
}

/// What becomes of an answer with records after so many bytes.
#[derive(Clone, Copy)]
enum Fate {
    Whole,
    CutAfter(usize),
    StallAfter(usize),
}

/// Stands between a client and a node, and breaks what it is told to break.
struct Proxy {
    url: String,
    /// The paths asked for that give records.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// The fates are those of the first answers with records; later ones are whole.
    fn start(node: &Node, fates: &[Fate]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (target, fates, paths) = (node.url["http://".len()..].to_owned(), fates.to_vec(), asked.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (target, fates, paths) = (target.clone(), fates.clone(), Arc::clone(&paths));
                std::thread::spawn(move || serve(client.unwrap(), &target, &fates, &paths));
            }
        });
        Proxy { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// The index that the n-th request for records began with.
    fn from(&self, n: usize) -> usize {
        let path = self.asked()[n].clone();
        path.split(['?', '&'])
            .find_map(|p| p.strip_prefix("from="))
            .unwrap_or_else(|| panic!("{path}"))
            .parse()
            .unwrap()
    }
}

/// One request on each connection.
fn serve(mut client: TcpStream, target: &str, fates: &[Fate], paths: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let mut fate = Fate::Whole;
    if path.starts_with("/dumprecords") || path.starts_with("/v1/records") {
        let mut paths = paths.lock().unwrap();
        fate = fates.get(paths.len()).copied().unwrap_or(Fate::Whole);
        paths.push(path);
    }
    let mut node = TcpStream::connect(target).unwrap();
    node.write_all(head.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes()).unwrap();
    let mut left = match fate {
        Fate::Whole => usize::MAX,
        Fate::CutAfter(bytes) | Fate::StallAfter(bytes) => bytes,
    };
    let mut piece = [0; 4096];
    while left > 0 {
        let count = node.read(&mut piece).unwrap_or(0).min(left);
        if count == 0 || client.write_all(&piece[..count]).is_err() {
            return;
        }
        left -= count;
    }
    if let Fate::StallAfter(_) = fate {
        // Until the client goes.
        let _ = client.read(&mut byte);
    }
}

fn bootstrap(home: &Home, url: &str) -> Ran {
    home.lf(["--json", "node", "bootstrap", "--localtest", url])
}

/// How many records a bootstrap said are here, and how many are new.
fn counts(ran: Ran) -> (u64, u64) {
    let json: Value = serde_json::from_str(&ran.good()).unwrap();
    (json["Records"].as_u64().unwrap(), json["New"].as_u64().unwrap())
}

fn log_bytes(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).into_iter().flatten();
    let sizes = files.map(|file| {
        let path: PathBuf = file.unwrap().path();
        let contents = if path.is_file() { std::fs::read(path).unwrap_or_default() } else { Vec::new() };
        // A segment may have room at its end.
        contents.iter().rposition(|b| *b != 0).map_or(0, |last| last as u64 + 1)
    });
    sizes.sum()
}

#[test]
fn a_home_is_made_and_brought_up_to_date() {
    let node = Node::start();
    for i in 0..5 {
        node.lf(["set", &format!("list#{i}"), &format!("value {i}")]).good();
    }
    let home = Home::new();
    let made = home.lf(["node-bootstrap", "--localtest", &node.url]);
    let genesis = sol();
    for part in
        ["Network Sol", &genesis.parameters().id_text(), &genesis.first_hash().to_string(), "lf node start"]
    {
        assert!(made.stderr.contains(part), "{part} in {made:?}");
    }
    made.good();
    let files = home.path().join("localtest");
    assert_eq!(std::fs::read(files.join("genesis.lf")).unwrap(), genesis.to_bytes());
    assert!(!files.join("peers.json").exists(), "nobody has peers yet");
    let urls: Value = serde_json::from_str(&home.run("--json url list").good()).unwrap();
    assert!(urls.as_array().unwrap().contains(&node.url.as_str().into()), "{urls}");

    assert_eq!(counts(bootstrap(&home, &node.url)), (8, 0));
    node.run("set more x").good();
    let more = home.lf(["node", "bootstrap", "--localtest", &node.url]);
    assert!(more.stderr.contains("Going on after 8 records") && more.stderr.contains("1 new"), "{more:?}");

    // A node that starts from these files answers the same at once.
    let second = Node::start_in(home.dir.keep(), &[]);
    for line in ["get list#", "get more"] {
        assert_eq!(second.run(line).good(), node.run(line).good());
    }
    // Each has what the other has not: the orders differ, and all comes all the same.
    second.run("set here y").good();
    node.run("set there z").good();
    let base = second.into_base();
    let run =
        Ran::of(support::command(&base).args(["--json", "node", "bootstrap", "--localtest", &node.url]));
    assert_eq!(counts(run), (11, 1));
    let second = Node::start_in(base, &[]);
    assert_eq!(second.run("get there").good(), "z | there#0\n");
    assert_eq!(second.run("get here").good(), "y | here#0\n");
}

#[test]
fn cut_connections_cost_nothing() {
    let node = large_node();
    let proxy = Proxy::start(&node, &[Fate::CutAfter(700_000), Fate::CutAfter(300_001), Fate::CutAfter(0)]);
    let home = Home::new();
    let ran = bootstrap(&home, &proxy.url);
    assert!(ran.stderr.contains("The connection broke"), "{ran:?}");
    let all = (RECORDS + GENESIS) as u64;
    assert_eq!(counts(ran), (all, RECORDS as u64));
    let from: Vec<usize> = (0..proxy.asked().len()).map(|n| proxy.from(n)).collect();
    assert_eq!((from.len(), from[0]), (4, GENESIS));
    assert!(from[1] > 2_000 && from[2] > from[1] + 500 && from[3] == from[2], "{from:?}");
    assert_eq!(counts(bootstrap(&home, &proxy.url)), (all, 0));
    assert_eq!(proxy.from(4), RECORDS + GENESIS);
}

fn start_stalling(node: &Node, home: &Home) -> (Proxy, Child) {
    let proxy = Proxy::start(node, &[Fate::StallAfter(1_000_000)]);
    let mut command = home.command();
    command
        .args(["node", "bootstrap", "--localtest", &proxy.url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let begun = Instant::now();
    while log_bytes(&home.path().join("localtest/store/log")) < 400_000 {
        assert!(begun.elapsed() < PATIENCE, "nothing is stored while records come");
        std::thread::sleep(Duration::from_millis(20));
    }
    (proxy, child)
}

#[test]
fn a_killed_bootstrap_goes_on() {
    let node = large_node();
    let home = Home::new();
    let (proxy, mut child) = start_stalling(&node, &home);
    child.kill().unwrap();
    child.wait().unwrap();
    let (records, new) = counts(bootstrap(&home, &proxy.url));
    assert_eq!(records as usize, RECORDS + GENESIS);
    assert_eq!(proxy.from(1) as u64 + new, records);
    assert!(proxy.from(1) > 1_000, "{:?}", proxy.asked());
}

#[cfg(unix)]
#[test]
fn an_interrupted_bootstrap_goes_on() {
    let node = large_node();
    let home = Home::new();
    let (proxy, child) = start_stalling(&node, &home);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let error = Ran::from(child.wait_with_output().unwrap()).error();
    assert!(error.contains("stopped") && error.contains("goes on where it was"), "{error}");
    assert_eq!(counts(bootstrap(&home, &proxy.url)).0 as usize, RECORDS + GENESIS);
    assert!(proxy.from(1) > 3_500, "what had come was kept: {:?}", proxy.asked());
}

#[test]
fn networks_are_not_mixed() {
    let node = Node::start();
    let theirs = Home::new();
    theirs.run("makegenesis --name theirs --links 2 --work-factor 1 --output localtest").good();
    let before = std::fs::read(theirs.path().join("localtest/genesis.lf")).unwrap();
    let error = bootstrap(&theirs, &node.url).error();
    assert!(error.contains("is a home of network \"theirs\"") && error.contains("--path"), "{error}");
    assert_eq!(std::fs::read(theirs.path().join("localtest/genesis.lf")).unwrap(), before);
    assert!(!theirs.path().join("localtest/store").exists());

    let home = Home::new();
    let pinned = |id: &str| home.lf(["node", "bootstrap", "--localtest", "--genesis-id", id, &node.url]);
    for id in ["00".repeat(32), sol().records()[1].hash().to_string()] {
        let error = pinned(&id).error();
        assert!(error.contains("another network than --genesis-id says"), "{error}");
    }
    pinned("xyz").usage_error();
    assert!(!home.path().join("localtest").exists());
    pinned(&sol().parameters().id_text()).good();
    pinned(&sol().first_hash().to_string()).good();
}

#[test]
fn bootstraps_that_cannot_be() {
    let node = Node::start();
    let home = Home::new();
    let error = home.lf(["node", "bootstrap", &node.url]).error();
    assert!(error.contains("local test mode") && error.contains("--localtest"), "{error}");
    assert!(!home.path().join("genesis.lf").exists());
    assert!(home.lf(["node", "bootstrap", "http://127.0.0.1:1"]).error().contains("cannot reach"));
    let other = Node::start();
    let mut running = support::command(other.base());
    let error = Ran::of(running.args(["node", "bootstrap", "--localtest", &node.url])).error();
    assert!(error.contains("is running in"), "{error}");
}
