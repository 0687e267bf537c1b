//! `lf db`: after kill -9, after damage, and while a node runs.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;
use support::{Home, Node, Ran};

fn db(node: &Node, args: &[&str]) -> Ran {
    let path = node.base().to_str().unwrap();
    node.lf([&["--path", path, "db", "--localtest"], args].concat())
}

#[test]
fn a_killed_nodes_database_is_sound() {
    let mut node = Node::start();
    for i in 0..5 {
        node.run(&format!("set name#{i} value{i}")).good();
    }
    assert!(db(&node, &["check"]).error().contains("is running"));
    node.kill();
    assert!(db(&node, &["check"]).good().contains("all good"));
    let stats: Value = serde_json::from_str(&db(&node, &["stats", "--json"]).good()).unwrap();
    assert_eq!(stats["Linked"], 8, "three genesis records and five of ours: {stats}");
    assert!(db(&node, &["compact"]).good().contains("index"));
    assert!(db(&node, &["rebuild"]).good().contains("the index is new"));
    let report: Value = serde_json::from_str(&db(&node, &["check", "--json"]).good()).unwrap();
    assert_eq!((&report["Sound"], &report["Compared"]), (&Value::Bool(true), &Value::Bool(true)), "{report}");
}

#[test]
fn damage_is_named_and_costs_nothing_else() {
    let mut node = Node::start();
    let mut hashes = Vec::new();
    for i in 0..5 {
        let out = node.run(&format!("set name{i} value{i}")).good();
        hashes.push(out.split_whitespace().last().unwrap().to_owned());
    }
    let record = |hash: &str| {
        let address = node.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET /record/raw/{hash} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).unwrap();
        let body = response.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        response.split_off(body)
    };
    let bytes = record(&hashes[2]);
    node.kill();
    let log = node.directory().join("store/log");
    let segment = std::fs::read_dir(&log)
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.extension().is_some_and(|e| e == "lfl"))
        .unwrap();
    let mut content = std::fs::read(&segment).unwrap();
    let at = content.windows(bytes.len()).position(|w| w == bytes).unwrap();
    content[at + 20] ^= 1;
    std::fs::write(&segment, content).unwrap();

    let check = db(&node, &["check"]);
    assert_eq!(check.code, Some(1), "{check:?}");
    assert!(check.stdout.contains(&format!("lost        {}", hashes[2])), "{check:?}");
    assert!(!check.stdout.contains(&hashes[1]), "{check:?}");
    assert!(check.stderr.contains("damaged"), "{check:?}");

    // The node starts, and everything else is there.
    let again = Node::start_in(node.base().to_owned(), &[]);
    for i in [0, 1, 3, 4] {
        assert_eq!(again.run(&format!("get name{i}")).good(), format!("value{i} | name{i}#0\n"));
    }
}

#[test]
fn a_wrong_path_is_an_error_and_stays_empty() {
    let home = Home::new();
    let nowhere = home.path().join("nowhere");
    let error = home.lf(["--path", nowhere.to_str().unwrap(), "db", "check"]).error();
    assert!(error.contains("nowhere"), "{error}");
    assert!(!nowhere.exists());
}
