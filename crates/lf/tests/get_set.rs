//! `lf get` and `lf set` against a real node: their output is what scripts read.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use serde_json::Value;
use support::Node;

fn hash(line: &str) -> String {
    line.split_whitespace().find(|word| word.starts_with('=')).unwrap().to_owned()
}

#[test]
fn values_of_names_and_ranges() {
    let node = Node::start();
    let set = node.run("set greeting hello");
    assert!(set.stdout.starts_with('@') && set.stdout.contains(" ="), "{set:?}");
    assert_eq!(node.run("get greeting").good(), "hello | greeting#0\n");
    node.lf(["set", "greeting", "hello again"]).good();
    assert_eq!(
        node.run("get greeting").good(),
        "hello again | greeting#0\n",
        "the newest, within the same second"
    );
    for (ordinal, value) in [("1", "one"), ("2", "two"), ("300", "three hundred")] {
        node.lf(["set", &format!("list#{ordinal}"), value]).good();
    }
    let three = "one           | list#1\ntwo           | list#2\nthree hundred | list#300\n";
    assert_eq!(node.run("get list#").good(), three);
    assert_eq!(node.run("get list#2").good(), "two | list#2\n");
    assert_eq!(node.run("get list#2#400").good(), "two           | list#2\nthree hundred | list#300\n");
    assert_eq!(node.run("get list#3#4").good(), "");
    assert_eq!(node.run("get list").good(), "");
    assert_eq!(node.run("get -json nothing").good(), "[]\n");

    node.lf(["set", "list#5", "tag#7", "five and seven"]).good();
    assert_eq!(node.run("get list#").good(), three, "records with more selectors only when open");
    let open = node.run("get -open list#").good();
    assert!(open.lines().any(|l| l.starts_with("five and seven | list#5 ?")), "{open}");
    assert_eq!(node.run("get list# tag#").good(), "five and seven | list#5 tag#7\n");
    assert_eq!(node.run("get tag# list#").good(), "", "the order of selectors matters");
    assert_eq!(node.run("get -raw list#").good(), "onetwothree hundred");
}

#[test]
fn an_unchanged_value_is_not_written_again() {
    let node = Node::start();
    let first = node.run("set name value").good();
    assert_eq!(node.run("set name value").good(), first);
    assert_eq!(node.run("set -pulse name value").good(), first, "nothing to pulse within a minute");
    assert_ne!(node.run("set name other").good(), first);
    let third = node.run("set name value").good();
    assert_ne!(third, first, "written again once it was something else");
    let json: Value = serde_json::from_str(&node.run("set --json name value").good()).unwrap();
    assert_eq!((json["Hash"].as_str(), &json["New"]), (Some(hash(&third).as_str()), &Value::Bool(false)));
    let status: Value = serde_json::from_str(&node.run("owner status --json").good()).unwrap();
    assert_eq!(status["RecordCount"], 3);
}

#[test]
fn names_and_values_of_all_kinds() {
    let node = Node::start();
    for (selector, value, shown) in [
        ("café", "日本語", "日本語 | café#0\n"),
        (r"tab\there\u00e9", "escaped", "escaped | tab\thereé#0\n"),
        (r"a\\#b#3", "hash sign", "hash sign | a#b#3\n"),
        ("temperature", "-5", "-5 | temperature#0\n"),
        ("option", "--json", "--json | option#0\n"),
        ("top#18446744073709551615", "last", "last | top#18446744073709551615\n"),
        ("multi", "line 1\nline 2\u{1b}[31m", "line 1line 2[31m | multi#0\n"),
        ("empty", "", "-  | empty#0\n"),
    ] {
        node.lf(["set", selector, value]).good();
        assert_eq!(node.lf(["get", selector]).good(), shown);
        assert_eq!(node.lf(["get", "--raw", selector]).bytes, value.as_bytes());
    }
    let binary: Vec<u8> = (0..=255).collect();
    let file = node.home.path().join("binary");
    std::fs::write(&file, &binary).unwrap();
    node.lf(["set", "-file", "binary", file.to_str().unwrap()]).good();
    assert_eq!(node.run("get -raw binary").bytes, binary);
    let replaced = "\u{fffd}".repeat(128);
    assert!(node.run("get binary").good().contains(&format!("xyz{{|}}~{replaced} | binary#0")));
    node.home.lf_with_input(["set", "-file", "piped", "-"], b"from stdin\n").good();
    assert_eq!(node.run("get -raw piped").good(), "from stdin\n");
}

#[test]
fn masking_keys() {
    let node = Node::start();
    node.lf(["set", "-mask", "secret", "masked", "hidden value"]).good();
    assert_eq!(node.run("get masked").good(), "-  | masked#0\n");
    assert_eq!(node.run("get -mask secret masked").good(), "hidden value | masked#0\n");
    let by_env = node.home.command().env("LF_MASK", "secret").args(["get", "masked"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&by_env.stdout), "hidden value | masked#0\n");
}

#[test]
fn times() {
    let node = Node::start();
    node.run("set greeting hello").good();
    let found = "hello | greeting#0\n";
    assert_eq!(node.run("get -tstart 1000000000 -tend 4000000000 greeting").good(), found);
    assert_eq!(node.lf(["get", "-tstart", "Mon, 02 Jan 2006 15:04:05 UTC", "greeting"]).good(), found);
    assert_eq!(node.run("get --tstart 2020-01-01 greeting").good(), found);
    assert_eq!(node.run("get -tstart 4000000000 greeting").good(), "");
    assert_eq!(node.run("get -tend 1000000000 greeting").good(), "");
    assert!(node.run("get -tend yesterday greeting").usage_error().contains("a time is"));
}

#[test]
fn whoever_is_first_keeps_the_name() {
    let node = Node::start();
    node.run("set greeting first").good();
    // Several, so that in one of them the rival's bytes sort before the first owner's.
    for i in 0..3 {
        node.lf(["owner", "new", &format!("rival{i}")]).good();
        node.lf(["set", "-owner", &format!("rival{i}"), "greeting", "imposter"]).good();
    }
    assert_eq!(node.run("get greeting").good(), "first | greeting#0\n");
    let all: Value = serde_json::from_str(&node.run("-json get greeting").good()).unwrap();
    let records = all[0].as_array().unwrap();
    assert_eq!((all.as_array().unwrap().len(), records.len()), (1, 4));
    assert_eq!((&records[0]["Value"], &records[0]["Trust"]), (&"first".into(), &1.0.into()));
    assert!(records[1..].iter().all(|r| r["Value"] == "imposter" && r["Trust"] == 0.0));
    assert_eq!(node.run("get --owner rival1 greeting").good(), "imposter | greeting#0\n");
    let explained = node.run("get --explain greeting").good();
    assert!(
        explained.starts_with("greeting#0\n  The first of 4 wins: it is trusted more than the next"),
        "{explained}"
    );
    assert!(explained.contains("its owner was here first."), "{explained}");
    assert_eq!(explained.matches("distrusts it: another owner was here first").count(), 3);
    assert!(explained.lines().all(|line| line.chars().count() <= 80), "{explained}");
    let json: Value = serde_json::from_str(&node.run("get --explain --json greeting").good()).unwrap();
    assert_eq!(json["Sets"][0]["Candidates"][0]["Result"]["Value"], "first", "unmasked by the client");
    assert_eq!(node.run("get --order deterministic greeting").good().lines().count(), 1);
    assert!(node.run("get --order luck greeting").usage_error().contains("an order is trust, weight"));
    assert!(node.run("get --owner nobody greeting").error().contains("'nobody' does not exist"));
}

#[test]
fn mistakes() {
    let node = Node::start();
    assert!(node.lf(["get", r"bad\q"]).error().contains("no escape"));
    assert!(node.run("get x#1#2#3").error().contains("more than two"));
    assert!(node.run("get x#abc").error().contains("not a number"));
    assert!(node.run("set nan#abc x").error().contains("not a number"));
    assert!(node.run("set x#1#2 y").error().contains("several ordinals"));
    assert!(node.run("set -owner nobody x y").error().contains("'nobody' does not exist"));
    assert!(node.run("set -file x nope.txt").error().contains("cannot read nope.txt"));
    let many: Vec<String> = (0..16).map(|i| format!("s{i}")).chain(["value".into()]).collect();
    assert!(node.lf(["set".to_owned()].into_iter().chain(many)).error().contains("16 selectors"));
    for line in
        ["get", "set", "set x", "set -bogus x y", "get -bogus x", "get x --bogus", "bogus", "-bogus status"]
    {
        node.run(line).usage_error();
    }
}

#[test]
fn values_too_large_are_refused_before_any_work() {
    let node = Node::start();
    // Xorshift: bytes that do not compress.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    let noise: Vec<u8> = (0..3000).map(|_| next()).collect();
    let refused = node.home.lf_with_input(["set", "-file", "large", "-"], &noise).error();
    assert!(refused.contains("larger than this network's 1024"), "{refused}");
    let compressible = vec![b'a'; 3000];
    node.home.lf_with_input(["set", "-file", "large", "-"], &compressible).good();
    assert_eq!(node.run("get -raw large").bytes, compressible);
}

#[test]
fn urls_are_tried_in_order() {
    let node = Node::start();
    let urls = format!("http://127.0.0.1:1,{}", node.url);
    node.lf(["set", "-url", &urls, "viaurl", "x"]).good();
    assert_eq!(node.lf(["get", "-url", &urls, "viaurl"]).good(), "x | viaurl#0\n");
    let twice = ["get", "viaurl", "--url", "http://127.0.0.1:1", "--url", &node.url];
    assert_eq!(node.lf(twice).good(), "x | viaurl#0\n");
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let node = Node::start();
    for i in 0..50 {
        node.lf(["set".to_owned(), format!("pipe#{i}"), "x".repeat(900)]).good();
    }
    let mut get = node.home.command();
    get.args(["get", "--json", "pipe#"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut get = get.spawn().unwrap();
    drop(get.stdout.take());
    let output = get.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}
