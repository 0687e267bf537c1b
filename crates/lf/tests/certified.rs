//! What certificates do, by a real node on a network with proof of work: certified owners write without it, what is
//! revoked vanishes, and where certificates are required nobody else writes.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use std::process::Command;

use lf_client::Client;
use lf_proto::record::Record;
use serde_json::Value;
use support::{Home, Node};

/// A node on a network with one root, whose file is `root.pem` in the home; the node's command line works there.
fn network(options: &str) -> (Node, Home) {
    let base = tempfile::tempdir().unwrap().keep();
    let home = Home::new();
    home.run("ca root --common-name Root --output root.pem").good();
    let line = format!("makegenesis --name certified --links 2 --work-factor 1 --ca-file root.pem {options}");
    home.run(line.trim()).good();
    std::fs::copy(home.path().join("genesis.lf"), base.join("genesis.lf")).unwrap();
    let node = Node::start_any(base, &[]);
    home.lf(["url", "default", &node.url]).good();
    (node, home)
}

/// Makes an owner who asks for a certificate; the owner's public form.
fn asks(home: &Home, name: &str, ty: &str) -> String {
    let made = home.run(&format!("owner new {name} {ty}")).good();
    home.run(&format!("owner makecsr {name} --common-name {name} --output {name}.csr")).good();
    made.split_whitespace().last().unwrap().to_owned()
}

fn record(node: &Node, hash: &str) -> Record {
    Client::new([&node.url]).unwrap().record(&hash.trim().parse().unwrap()).unwrap().unwrap()
}

/// The certificate of an owner, as the node tells it, in a PEM file.
fn certificate_of(home: &Home, owner: &str, file: &str) {
    let status: Value = serde_json::from_str(&home.lf(["--json", "owner", "status", owner]).good()).unwrap();
    let blob: lf_proto::blob::Blob = serde_json::from_value(status["Certificates"][0].clone()).unwrap();
    let certificate = lf_proto::cert::Certificate::parse(&blob.0).unwrap();
    std::fs::write(home.path().join(file), certificate.to_pem()).unwrap();
}

#[test]
fn certified_revoked_and_told() {
    let (node, home) = network("");
    let alice = asks(&home, "alice", "ed25519");
    let unknown = home.run("owner status alice").good();
    assert!(unknown.contains("certificate  none (not required here)"), "{unknown}");
    let refused = home.run("set --owner alice --nowork greeting hello").error();
    assert!(refused.contains("has no certificate, so the record needs proof of work"), "{refused}");

    // The root's key, as an owner, is certified by the root itself.
    let published = home.run("owner authorize root.pem alice.csr 30").good();
    assert_eq!(record(&node, &published).work(), None);
    let status = home.run("owner status alice").good();
    assert!(
        status.contains("certificate  certified until ") && status.contains(", by CN=Root\n"),
        "{status}"
    );
    let written = home.run("set --owner alice --nowork greeting hello");
    assert_eq!(written.stderr, "No proof of work: the owner is certified.\n");
    let hash = written.good().split_whitespace().last().unwrap().to_owned();
    assert_eq!(record(&node, &hash).work(), None);
    assert_eq!(home.run("get greeting").good(), "hello | greeting#0\n");

    // An intermediate certifies, too, and goes like an owner.
    home.run("ca intermediate root.pem --common-name Branch --output branch.pem").good();
    let bob = asks(&home, "bob", "p224");
    home.run("owner authorize branch.pem bob.csr -1").good();
    let status = home.run("owner status bob").good();
    assert!(status.contains(", by CN=Branch\n"), "{status}");
    home.run("set --owner bob --nowork other hello").good();
    assert_eq!(home.run("get other").good(), "hello | other#0\n");

    let listed = home.run("ca list root.pem").good();
    let line = |whom: &str| listed.lines().find(|line| line.contains(whom)).unwrap();
    assert!(line(&alice).starts_with("valid ") && line(&alice).ends_with("CN=alice"), "{listed}");
    assert!(line("CN=Branch").contains(" authority "), "{listed}");
    assert!(!listed.contains(&bob), "{listed}");
    assert!(home.run("ca list branch.pem").good().contains(&bob));

    certificate_of(&home, &alice, "alice.pem");
    let revoked = home.lf(["ca", "revoke", "root.pem", &alice, "--reason", "keyCompromise"]).good();
    assert_eq!(record(&node, &revoked).work(), None);
    assert_eq!(home.run("get greeting").good(), "", "vanished at once");
    let status = home.run("owner status alice").good();
    assert!(status.contains("certificate  revoked 2"), "{status}");
    assert!(status.contains(" UTC (keyCompromise), was by CN=Root\n"), "{status}");
    home.run("set --owner alice --nowork greeting again").error();
    let listed: Value = serde_json::from_str(&home.run("--json ca list root.pem").good()).unwrap();
    let of_alice = listed.as_array().unwrap().iter().find(|info| info["Owner"] == alice.as_str()).unwrap();
    assert_eq!((&of_alice["Revoked"], &of_alice["Reason"]), (&true.into(), &"keyCompromise".into()));
    let serial = of_alice["Serial"].as_str().unwrap();
    let again = home.lf(["ca", "revoke", "root.pem", &alice]).error();
    assert!(again.contains("has no certificate of this authority that could be revoked"), "{again}");
    assert!(home.lf(["ca", "revoke", "root.pem", serial]).error().contains("is revoked already"));
    let unknown = home.run("ca revoke root.pem 1234").error();
    assert!(unknown.contains("knows no certificate 1234 of this authority"), "{unknown}");

    // Other software sees it as well.
    home.run("ca crl root.pem --output crl.pem").good();
    let arguments = ["verify", "-crl_check", "-CRLfile", "crl.pem", "-CAfile", "root.pem", "alice.pem"];
    if let Ok(output) = Command::new("openssl").args(arguments).current_dir(home.path()).output() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("certificate revoked"), "{said}");
    }

    // What goes takes everything under it along.
    home.run("ca revoke root.pem branch.pem --reason superseded").good();
    assert_eq!(home.run("get other").good(), "");
    assert!(home.run("owner status bob").good().contains("certificate  revoked"));
    // Certified anew, everything is there again but what was written under the revoked certificate counts, too:
    // certificates are the owner's, not the record's.
    home.run("owner authorize root.pem alice.csr 30").good();
    home.run("set --owner alice --nowork greeting back").good();
    assert_eq!(home.run("get greeting").good(), "back | greeting#0\n");
}

#[test]
fn nobody_else_writes_where_certificates_are_required() {
    let (node, home) = network("--auth-required true --amendable comment,authcertificates");
    asks(&home, "alice", "p384");
    let refused = home.run("set --owner alice greeting hello").error();
    assert!(
        refused.contains("this network requires a certificate") && refused.contains("makecsr"),
        "{refused}"
    );
    assert!(home.run("owner status alice").good().contains("none, but this network requires one"));
    home.run("owner authorize root.pem alice.csr 30").good();
    home.run("set --owner alice greeting hello").good();
    assert_eq!(home.run("get greeting").good(), "hello | greeting#0\n");
    // An intermediate's key is certified as well, so what it issues needs no work.
    home.run("ca intermediate root.pem --common-name Branch --output branch.pem").good();
    asks(&home, "bob", "ed25519");
    let published = home.run("owner authorize branch.pem bob.csr 30").good();
    assert_eq!(record(&node, &published).work(), None);
    home.run("set --owner bob other hello").good();
    // The genesis owner is an owner like others.
    let refused = home.run("genesis amend --comment new").error();
    assert!(
        refused.contains("requires a certificate") && refused.contains("lf owner import genesis"),
        "{refused}"
    );
    home.run("owner import genesis genesis-secret.pem").good();
    home.run("owner makecsr genesis --common-name Genesis --output genesis.csr").good();
    home.run("owner authorize root.pem genesis.csr 30").good();
    home.run("genesis amend --comment new").good();
    let status: Value = serde_json::from_str(&home.run("status --json").good()).unwrap();
    assert_eq!(status["GenesisParameters"]["Comment"], "new");
}

#[test]
fn a_new_key_takes_an_old_ones_place() {
    let (_node, home) = network("");
    let (old, new) = (asks(&home, "old", "p224"), asks(&home, "new", "ed25519"));
    home.run("owner authorize root.pem old.csr 30").good();
    home.run("owner authorize root.pem new.csr 30").good();
    home.run("set --owner old greeting hello").good();
    home.run("set --owner old score#7 1200").good();
    home.run("set --owner old --mask secret hidden value").good();
    assert!(home.run("owner rotate old old").error().contains("the same owner"));
    assert!(home.run("owner rotate old new nothing").error().contains("has nothing under nothing#0"));
    assert!(home.run("owner rotate old new hidden").error().contains("give it with --mask"));
    let rotated = home.run("owner rotate old new greeting score#").good();
    assert!(rotated.starts_with(&format!("{old} goes on as {new}: =")), "{rotated}");
    assert!(rotated.lines().nth(2).unwrap().ends_with(" score#7"), "{rotated}");
    let records = |line: &str| -> Vec<Value> {
        let sets: Value = serde_json::from_str(&home.run(line).good()).unwrap();
        sets[0].as_array().unwrap().clone()
    };
    let check = |line: &str| {
        let all = records(line);
        assert_eq!((all.len(), &all[0]["Record"]["Owner"]), (1, &Value::from(new.as_str())), "{all:#?}");
        assert_eq!((&all[0]["Value"], &all[0]["Trust"]), (&"hello".into(), &1.0.into()));
    };
    check("--json get greeting");
    let explained = home.run("get --explain greeting").good();
    assert!(explained.contains(&format!("goes on for old {old}")), "{explained}");
    // What was not written again stays as it is.
    assert_eq!(records("--json get --mask secret hidden")[0]["Record"]["Owner"], old.as_str());
    // The old key is given up for good: as superseded, so that its word stands.
    home.lf(["ca", "revoke", "root.pem", &old, "--reason", "superseded"]).good();
    check("--json get greeting");
    assert_eq!(home.run("get --mask secret hidden").good(), "");
}

#[test]
fn without_an_authority_who_wants_to_follow_says_so() {
    let node = Node::start();
    node.run("owner new old").good();
    node.run("owner new new").good();
    node.run("set --owner old greeting hello").good();
    let json: Value = serde_json::from_str(&node.run("--json owner rotate old new greeting").good()).unwrap();
    assert_eq!(json["Records"][0]["Selector"], "greeting#0");
    node.run("set --owner new greeting changed").good();
    assert_eq!(node.run("get greeting").good(), "hello | greeting#0\n");
    assert_eq!(node.run("get --follow-rotations greeting").good(), "changed | greeting#0\n");
    assert_eq!(node.run("get --follow-rotations --order deterministic greeting").good().lines().count(), 1);
}

#[cfg(unix)]
#[test]
fn the_example_shows_what_it_says() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/certificates/run.sh");
    let ran = support::Ran::of(Command::new(script).env("LF", support::LF).env_remove("LF_URL"));
    let shown = ran.stdout.clone();
    ran.good();
    let answers = |name: &str, answer: &str| {
        format!("# lf get {name}, by each node\none: {answer}\ntwo: {answer}\nthree: {answer}\n")
    };
    let (sunny, before, after) = ("sunny | weather#0", "41 | stock#0", "(nothing)");
    let weather = answers("weather", sunny);
    assert_eq!(shown.matches(&weather).count(), 2, "before and after: {shown}");
    let (first, second) = (answers("stock", before), answers("stock", after));
    assert!(shown.find(&first).unwrap() < shown.find(&second).unwrap(), "{shown}");
    assert!(
        shown.contains("certified until ") && shown.contains("(keyCompromise), was by CN=Example CA"),
        "{shown}"
    );
}
