//! Networks of real processes on loopback: private ones with real work, and test networks for what takes many records.
//!
//! `LF_NETWORK_RECORDS=100000 cargo test --release -p lf --test network` sends more through.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lf_client::Client;
use lf_node::selftest::Signed;
use lf_proto::comment::Comment;
use lf_proto::genesis::plain_value;
use lf_proto::hash::Hash;
use lf_proto::owner::OwnerSecret;
use lf_proto::record::{Record, RecordBuilder, RecordType};
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

/// The hashes of all records of a node, sorted.
fn dump(node: &Node) -> Vec<String> {
    let mut hashes: Vec<String> = all_records(node).iter().map(|record| record.hash().to_string()).collect();
    hashes.sort_unstable();
    hashes
}

/// All records of a node.
fn all_records(node: &Node) -> Vec<Record> {
    let file = node.home.path().join("dump");
    let mut stream = client(node).records(None).unwrap();
    std::io::copy(&mut stream, &mut fs::File::create(&file).unwrap()).unwrap();
    let mut bytes = lf_proto::record::RecordStream::default();
    bytes.push(&fs::read(&file).unwrap());
    bytes.end();
    let mut records = Vec::new();
    while let Some(record) = bytes.next_record().unwrap() {
        records.push(record);
    }
    records
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

/// Waits for a line of a node's log.
fn wait_log(node: &Node, what: &str) {
    let log = node.base().join("node.log");
    wait_until(what, TIME_MAX, || fs::read_to_string(&log).is_ok_and(|text| text.contains(what)));
}

/// All commentary that a node has.
fn commentary(node: &Node) -> Vec<Record> {
    let records = all_records(node).into_iter();
    records.filter(|record| record.record_type() == RecordType::Commentary).collect()
}

/// The records that commentary says collide, sorted.
fn subjects(node: &Node) -> Vec<String> {
    let comments = commentary(node);
    let comments = comments.iter().flat_map(|record| Comment::decode_all(&plain_value(record).unwrap()));
    let mut subjects: Vec<String> =
        comments.filter_map(|comment| comment.collides()).map(|subject| subject.to_string()).collect();
    subjects.sort_unstable();
    subjects
}

/// Sets a value with another owner than the node's client has, and gives the record's hash.
fn set_as(owner: &Home, node: &Node, name: &str, value: &str) -> String {
    let printed = owner.lf(["set", "--url", &node.url, name, value]).good();
    printed.split_whitespace().find(|word| word.starts_with('=')).unwrap().to_owned()
}

#[test]
fn an_impostor_sets_a_name_and_nobody_sees_him() {
    let genesis = genesis_of(&Signed::default());
    let nodes = network(&genesis, 3, &["--testnet"]);
    wait_connected(&nodes);
    nodes[0].lf(["set", "bank", "the bank"]).good();
    for node in &nodes {
        wait_read(node, "bank", "the bank");
    }
    let before = records(&nodes[0]);
    let impostor = Home::new();
    let hash = set_as(&impostor, &nodes[1], "bank", "send me money");
    for node in &nodes {
        wait_until("the impostor's record is there", TIME_MAX, || records(node) > before);
        assert_eq!(node.run("get bank").good(), "the bank | bank#0\n");
        let sets: Value = serde_json::from_str(&node.run("--json get bank").good()).unwrap();
        let last = sets[0].as_array().unwrap().last().unwrap();
        assert_eq!((&last["Hash"], last["LocalTrust"].as_f64()), (&Value::from(hash.clone()), Some(0.0)));
    }
}

#[test]
fn an_oracle_tells_what_the_clients_own_node_did_not_see() {
    let genesis = genesis_of(&Signed::default());
    let oracle = start(home_of(&genesis), &["--testnet", "--oracle"], &[]);
    let other = start(home_of(&genesis), &["--testnet"], &[&oracle]);
    let nodes = [oracle, other];
    wait_connected(&nodes);
    wait_log(&nodes[0], "bears witness from now on");
    nodes[1].lf(["set", "bank", "the bank"]).good();
    wait_read(&nodes[0], "bank", "the bank");
    // A node that is alone at first sees the impostor first.
    let mine = start(home_of(&genesis), &["--testnet"], &[]);
    let impostor = Home::new();
    let hash = set_as(&impostor, &mine, "bank", "send me money");
    mine.lf(["node", "connect", &place(&nodes[0])]).good();
    wait_until("the oracle's comment is here", TIME_MAX, || !commentary(&mine).is_empty());
    assert_eq!(subjects(&mine), [hash]);
    let speaker = status(&nodes[0])["Oracle"].as_str().unwrap().to_owned();
    assert_eq!(commentary(&mine)[0].owner().to_string(), speaker);
    assert!(nodes[0].run("status").good().contains(&speaker));
    assert_eq!(status(&mine)["Oracle"], Value::Null);
    // By itself the client's node thinks that the impostor was first.
    let mut answer = String::new();
    wait_until("both are here", TIME_MAX, || {
        answer = mine.run("--json get bank").good();
        answer.matches("\"Hash\"").count() == 2
    });
    assert!(mine.run("get bank").good().starts_with("send me money"), "{answer}");
    assert!(mine.lf(["get", "--oracle", &speaker, "bank"]).good().starts_with("the bank"));
    // Once it is trusted, by its name, and by itself.
    mine.lf(["oracle", "add", &speaker, "delphi"]).good();
    assert!(mine.run("get bank").good().starts_with("the bank"));
    assert!(mine.run("get --oracle delphi bank").good().starts_with("the bank"));
    // Another one, who knows nothing, in its place.
    let stranger = "@4l737WzvOJqEsX5Z4urXgHrEFmhbfKog";
    assert!(mine.lf(["get", "--oracle", stranger, "bank"]).good().starts_with("send me money"));
}

#[test]
fn a_certified_owner_wins_over_one_who_is_not() {
    let authority = Home::new();
    authority.run("makegenesis --name private --links 2 --work-factor 1 --ca Root").good();
    let genesis = fs::read(authority.path().join("genesis.lf")).unwrap();
    let mut files = fs::read_dir(authority.path()).unwrap().map(|file| file.unwrap().path());
    let root = files.find(|path| path.to_string_lossy().contains("genesis-auth-")).unwrap();
    let oracle = start(home_of(&genesis), &["--testnet", "--oracle"], &[]);
    let other = start(home_of(&genesis), &["--testnet"], &[&oracle]);
    let nodes = [oracle, other];
    wait_connected(&nodes);
    wait_log(&nodes[0], "bears witness from now on");
    let bank = &nodes[1].home;
    bank.run("owner new bank").good();
    bank.run("owner default bank").good();
    bank.run("owner makecsr bank --common-name Bank --output bank.csr").good();
    let request = bank.path().join("bank.csr");
    let days = ["365", "--url", &nodes[1].url];
    let args =
        [&["owner", "authorize", root.to_str().unwrap(), request.to_str().unwrap()], &days[..]].concat();
    authority.lf(args).good();
    bank.run("set bank the-bank").good();
    wait_read(&nodes[0], "bank", "the-bank");
    // Elsewhere an impostor was first, and has put more work into it.
    let mine = start(home_of(&genesis), &["--testnet"], &[]);
    let impostor = Home::new();
    for n in 0..10 {
        set_as(&impostor, &mine, "bank", &format!("send me {n} coins"));
    }
    mine.lf(["node", "connect", &place(&nodes[0])]).good();
    wait_until("the oracle's comment is here", TIME_MAX, || !commentary(&mine).is_empty());
    wait_until("the bank is here", TIME_MAX, || {
        mine.run("--json get bank").good().matches("\"Hash\"").count() == 2
    });
    let speaker = status(&nodes[0])["Oracle"].as_str().unwrap().to_owned();
    // His own node and the oracle disagree; the weight is his, the certificate is not.
    let ask = |order: &str| mine.lf(["get", "--oracle", &speaker, "--order", order, "bank"]).good();
    assert!(ask("weight").starts_with("send me"), "{}", mine.run("get --explain bank").stdout);
    assert!(ask("trust").starts_with("the-bank"), "{}", mine.run("get --explain bank").stdout);
}

/// Records of an owner, each linking to the two before, a while in the future.
fn records_ahead(owner: &OwnerSecret, first: &[Hash], count: usize, timestamp: u64) -> Vec<Record> {
    let mut links = first.to_vec();
    let mut records = Vec::new();
    for number in 0..count {
        let mut ordered = links[links.len() - 2..].to_vec();
        ordered.sort_unstable();
        let builder = RecordBuilder {
            record_type: RecordType::Datum,
            value: b"waits for its certificate",
            masking_key: None,
            selectors: &[(b"waiting", number as u64)],
            links: &ordered,
            timestamp,
            with_pulse_token: false,
        };
        let record = builder.build(owner).unwrap().sign(owner, None);
        links.push(record.hash());
        records.push(record);
    }
    records
}

#[cfg(unix)]
#[test]
fn a_certificate_comes_after_the_records_it_certifies() {
    const RECORDS: usize = 1_000;
    let authority = Home::new();
    let line =
        "makegenesis --name private --links 2 --drift 1000 --work-factor 1 --auth-required true --ca Root";
    authority.run(line).good();
    let genesis = fs::read(authority.path().join("genesis.lf")).unwrap();
    let mut files = fs::read_dir(authority.path()).unwrap().map(|file| file.unwrap().path());
    let root = files.find(|path| path.to_string_lossy().contains("genesis-auth-")).unwrap();
    authority.run("owner new writer").good();
    authority.run("owner makecsr writer --common-name Writer --output writer.csr").good();
    let secret = OwnerSecret::from_pem(&authority.run("owner export writer").good()).unwrap();
    // A test network approves everything: so the other node is sent what it cannot approve yet.
    let lax = start(home_of(&genesis), &["--testnet"], &[]);
    let strict = start(home_of(&genesis), &[], &[&lax]);
    let situation = client(&lax).owner_status(secret.public()).unwrap();
    let ahead = records_ahead(&secret, &situation.new_record_links, RECORDS, situation.server_time + 500);
    ahead.iter().for_each(|record| client(&lax).post(record).unwrap());
    let waiting = |node: &Node| status(node)["LimboCount"].as_u64().unwrap_or(0);
    wait_until("all wait", TIME_MAX, || waiting(&strict) == RECORDS as u64);
    assert_eq!(strict.run("get waiting#").good(), "");
    // They outlast a restart without anybody who could send them again.
    let genesis_records = records(&strict);
    let base = lax.into_base();
    let pid = fs::read_to_string(strict.base().join("lf.pid")).unwrap();
    assert!(Command::new("kill").arg(pid.trim()).status().unwrap().success());
    wait_until("the node ends", TIME_MAX, || !strict.base().join("lf.pid").exists());
    let strict = start(strict.into_base(), &[], &[]);
    assert_eq!((waiting(&strict), records(&strict)), (RECORDS as u64, genesis_records));
    // The certificate comes by another node, which has not approved them either, and lets them in, links first.
    let third = start(home_of(&genesis), &[], &[&strict]);
    let lax = start(base, &["--testnet"], &[&strict, &third]);
    let request = authority.path().join("writer.csr");
    let paths = [root.to_str().unwrap(), request.to_str().unwrap()];
    authority.lf(["owner", "authorize", paths[0], paths[1], "365", "--url", &third.url]).good();
    let all = genesis_records + RECORDS as u64 + 1;
    wait_until("all are approved", TIME_MAX, || records(&strict) == all && waiting(&strict) == 0);
    assert_eq!(strict.run("get waiting#999").good(), "waits for its certificate | waiting#999\n");
    assert_eq!(dump(&strict), dump(&lax));
}

#[test]
fn an_oracle_works_while_it_has_nothing_to_say() {
    let maker = Home::new();
    maker.run("makegenesis --name private --work-factor 1").good();
    let genesis = fs::read(maker.path().join("genesis.lf")).unwrap();
    let oracle = start(home_of(&genesis), &["--oracle"], &[]);
    let other = start(home_of(&genesis), &[], &[&oracle]);
    wait_until("commentary with work is everywhere", TIME_MAX, || !commentary(&other).is_empty());
    let record = &commentary(&other)[0];
    assert!(record.work().is_some() && record.pulse_token() == 0 && record.links().len() > 1, "{record:?}");
    assert_eq!(subjects(&other), Vec::<String>::new());
}

#[test]
fn an_oracle_says_everything_once_also_in_local_test_mode() {
    let (first, second, third) = (Home::new(), Home::new(), Home::new());
    let base = tempfile::Builder::new().prefix("lf-network-").tempdir().unwrap().keep();
    let node = Node::start_in(base, &["--oracle", "--logstderr"]);
    set_as(&first, &node, "before", "was here before the oracle looked");
    wait_until("the oracle speaks", TIME_MAX, || {
        // What comes before the oracle looks for the first time it does not speak of.
        set_as(&first, &node, "name", "one");
        set_as(&second, &node, "name", &format!("two {}", records(&node)));
        !subjects(&node).is_empty()
    });
    assert_eq!(subjects(&node).len(), 1, "one comment is enough for all records of an owner");
    let base = node.into_base();
    let node = Node::start_in(base, &["--oracle"]);
    let mut later = Vec::new();
    wait_until("the oracle speaks again", TIME_MAX, || {
        set_as(&second, &node, "name", &format!("two {}", records(&node)));
        later.push(set_as(&third, &node, "name", &format!("three {}", records(&node))));
        subjects(&node).len() > 1
    });
    let said = subjects(&node);
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(said.iter().filter(|subject| later.contains(subject)).count(), 1, "{said:?} {later:?}");
}
