//! examples/ca-bundle, end to end: the system's CA certificates into a fresh private network, and back.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::Node;

const BUNDLE: &str = "/usr/share/ca-certificates";

#[test]
fn every_fingerprint_is_what_openssl_prints() {
    let openssl = Command::new("openssl").arg("version").output().is_ok_and(|o| o.status.success());
    if !openssl || !Path::new(BUNDLE).is_dir() {
        println!("skipped: needs openssl and the package ca-certificates");
        return;
    }
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/ca-bundle");
    let lines = Command::new(example.join("fingerprints.sh")).output().unwrap();
    assert!(lines.status.success(), "{lines:?}");
    let entries: Vec<Value> = lines
        .stdout
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect();
    assert!(entries.len() > 100, "{} certificates", entries.len());

    let base = tempfile::tempdir().unwrap().keep();
    let home = support::Home::new();
    let output = base.join("localtest");
    home.lf([
        "makegenesis",
        "--name",
        "ca-bundle",
        "--work-factor",
        "1",
        "--output",
        output.to_str().unwrap(),
    ])
    .good();
    let node = Node::start_in(base, &[]);
    let imported = node.home.lf_with_input(["import", "-"], &lines.stdout).good();
    assert!(imported.contains(&format!("{} new", entries.len())), "{imported}");

    // By range: all of them, in order, as openssl prints each, asked for once more here.
    let all = node.run("get --open ca-bundle#").good();
    let found: Vec<&str> = all.lines().map(|line| line.split(" | ").next().unwrap().trim()).collect();
    let mut files: Vec<_> = Command::new("find")
        .args([BUNDLE, "-type", "f"])
        .output()
        .unwrap()
        .stdout
        .split(|b| *b == b'\n')
        .map(|f| String::from_utf8(f.to_vec()).unwrap())
        .filter(|f| f.ends_with(".crt") || f.ends_with(".pem"))
        .collect();
    files.sort();
    let printed: Vec<String> = files
        .iter()
        .map(|file| {
            let out = Command::new("openssl")
                .args(["x509", "-noout", "-fingerprint", "-sha256", "-in", file])
                .output();
            let text = String::from_utf8(out.unwrap().stdout).unwrap();
            text.trim().split('=').nth(1).unwrap().to_owned()
        })
        .collect();
    assert_eq!(found, printed);
    let some = node.run("get --open ca-bundle#10#19").good();
    assert_eq!(some.lines().count(), 10);
    assert!(some.starts_with(&printed[9]) && some.contains(" | ca-bundle#10 ?"), "{some}");

    // By name.
    for (i, entry) in entries.iter().enumerate().step_by(10) {
        let subject = entry["Selectors"][1]["Name"].as_str().unwrap();
        let selector = lf_client::SelectorArg::one(subject, 0).to_string();
        let line = node.lf(["get", "ca-bundle#", &selector]).good();
        assert_eq!(line, format!("{} | ca-bundle#{} {subject}#0\n", printed[i], i + 1));
    }
    println!("{} certificates published, found and compared", entries.len());
}
