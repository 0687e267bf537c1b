//! `lf import` and `lf export`.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use support::Node;

#[test]
fn what_is_exported_is_imported_again() {
    let node = Node::start();
    let lines = "{\"Selectors\": [\"score#1\", \"team\"], \"Value\": \"a,\\\"b\\\"\"}\n\
                 {\"Selectors\": [{\"Name\": \"score\", \"Ordinal\": 2}, \"team\"], \"Value\": \"two\\nlines\"}\n\
                 {\"Selectors\": [\"score#3\", \"team\"], \"Value\": \"\\b7n42DGM5Tflk9n8mt7Fhc7\"}\n";
    let imported = node.home.lf_with_input(["import", "-"], lines.as_bytes()).good();
    assert!(
        imported.starts_with("3 records imported") && imported.contains("3 new, 0 unchanged"),
        "{imported}"
    );
    let again = node.home.lf_with_input(["import", "-"], lines.as_bytes()).good();
    assert!(again.contains("0 new, 3 unchanged"), "{again}");
    let shown = node.run("get score# team").good();

    let exported = node.run("export score# team").good();
    assert_eq!(exported.lines().count(), 3);
    let second = Node::start();
    second.home.lf_with_input(["import", "-"], exported.as_bytes()).good();
    assert_eq!(second.run("get score# team").good(), shown);
    assert_eq!(second.run("get --raw score#3 team").bytes, node.run("get --raw score#3 team").bytes);

    let csv = node.run("export --format csv score#1#2 team").good();
    assert!(csv.starts_with("selector1,selector2,value\nscore#1,team#0,\"a,\"\"b\"\"\"\n"), "{csv}");
    let third = Node::start();
    let file = third.home.path().join("scores.csv");
    std::fs::write(&file, &csv).unwrap();
    third.run("import scores.csv").good();
    assert_eq!(third.run("export --format csv score# team").good(), csv);
}

#[test]
fn owners_of_the_file() {
    let node = Node::start();
    node.run("owner new a").good();
    node.run("owner new b").good();
    let csv = b"selector,value,owner\nx,1,\ny,2,b\n";
    node.home.lf_with_input(["import", "--format", "csv", "-"], csv).good();
    assert_eq!(node.run("get --owner a x").good(), "1 | x#0\n");
    assert_eq!(node.run("get --owner b y").good(), "2 | y#0\n");
    assert_eq!(node.run("get --owner a y").good(), "");
}

#[test]
fn mistakes_stop_at_their_line() {
    let node = Node::start();
    let stopped =
        node.home.lf_with_input(["import", "-"], b"{\"Selectors\":[\"a\"],\"Value\":\"1\"}\nnonsense\n");
    assert_eq!(stopped.code, Some(1));
    assert!(
        stopped.stderr.contains("1 record imported") && stopped.stderr.contains("ERROR: line 2: "),
        "{stopped:?}"
    );
    assert_eq!(node.run("get a").good(), "1 | a#0\n");
    let unknown = node.home.lf_with_input(["import", "-"], b"{\"Selectors\":[\"a\"],\"Owner\":\"nobody\"}\n");
    assert!(unknown.stderr.contains("line 1: an owner named 'nobody' does not exist"), "{unknown:?}");
    assert!(node.run("import nope.jsonl").error().contains("cannot read nope.jsonl"));
}

#[test]
fn what_cannot_be_read_is_not_exported() {
    let node = Node::start();
    node.run("set -mask secret list#1 hidden").good();
    node.run("set list#2 plain").good();
    let exported = node.run("export list#");
    assert!(exported.stderr.contains("1 record left out"), "{exported:?}");
    assert_eq!(exported.stdout.lines().count(), 1);
}
