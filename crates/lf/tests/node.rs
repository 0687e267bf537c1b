//! `lf node`, `lf status`, `lf watch`, `lf pulse`.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;
use support::{Home, Node, Ran};

#[test]
fn status_for_people_and_machines() {
    let node = Node::start();
    node.run("set a b").good();
    let status: Value = serde_json::from_str(&node.run("-json status").good()).unwrap();
    assert_eq!((&status["LocalTestMode"], &status["APIVersion"]), (&Value::Bool(true), &1.into()));
    assert_eq!(status["GenesisParameters"]["Name"], "Sol");
    let text = node.run("status").good();
    let records = status["RecordCount"].as_u64().unwrap();
    for part in [node.url.as_str(), "local test mode", "Sol", &format!("{records} records")] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains('\u{1b}'));
    node.run("status x").usage_error();
}

#[test]
fn what_a_node_knows_of_an_owner() {
    let node = Node::start();
    node.run("owner new a").good();
    assert!(node.run("owner status a").good().contains("knows nothing of this owner"));
    node.run("set x y").good();
    assert!(node.run("owner status a").good().contains("1 record,"));
    let json: Value = serde_json::from_str(&node.run("-json owner status a").good()).unwrap();
    assert_eq!((&json["RecordCount"], &json["OwnerType"]), (&1.into(), &"ed25519".into()));
    let known = node.lf(["owner", "status", json["Owner"].as_str().unwrap()]).good();
    assert!(known.contains("1 record,"));
    assert!(node.run("owner status nobody").error().contains("'nobody' does not exist"));
    assert!(node.run("owner status @").error().contains("invalid owner"));
}

#[test]
fn watching_sees_what_is_written() {
    let node = Node::start();
    node.run("set score#1 before").good();
    let mut watch = node.home.command();
    watch.args(["watch", "--count", "2", "score#"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut watch = watch.spawn().unwrap();
    let mut said = BufReader::new(watch.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.starts_with("Watching http://"), "{line}");
    node.run("set score#2 two").good();
    node.run("set other#3 three").good();
    node.run("set score#4 four").good();
    let seen = Ran::from(watch.wait_with_output().unwrap()).good();
    let seen: Vec<_> = seen.lines().map(|line| line.split("UTC  ").nth(1).unwrap()).collect();
    assert!(seen[0].starts_with("two | score#2  @") && seen[1].starts_with("four | score#4  @"), "{seen:?}");
}

#[test]
fn pulses_need_a_record_and_a_minute() {
    let node = Node::start();
    assert!(node.run("pulse name").error().contains("no record with these selectors"));
    let written = node.run("set name value").good();
    let pulsed = node.run("pulse name");
    assert!(pulsed.stderr.contains("less than a minute"), "{pulsed:?}");
    assert_eq!(pulsed.good(), written);
}

#[test]
fn a_second_node_does_not_share_the_home() {
    let node = Node::start();
    let base = node.directory().parent().unwrap().to_owned();
    let mut second = support::command(&base);
    let error = Ran::of(second.args(["node", "start", "--localtest", "--http", "127.0.0.1:0"])).error();
    assert!(error.contains("already"), "{error}");
}

#[test]
fn wrong_arguments() {
    let home = Home::new();
    for line in [
        "node-start -bogus",
        "node-start x",
        "node-start -loglevel bogus",
        "node-start -http nonsense",
        "node-connect",
        "node-connect nonsense 9908 abc",
        "node-connect 127.0.0.1 0 abc",
        "node-bootstrap",
    ] {
        home.run(line).usage_error();
    }
    assert!(home.run("node-connect 127.0.0.1 9908 a-c").error().contains("base62"));
}
