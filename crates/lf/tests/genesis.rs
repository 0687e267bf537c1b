//! `lf genesis`, and networks made with `lf makegenesis`: joined, shown, amended.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lf_client::{Client, ClientError};
use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::record::{Record, RecordBuilder, RecordType};
use serde_json::Value;
use support::{Home, Node, Ran};

/// A directory with a network of ours in its `localtest`, and its key.
fn network(amendable: &str) -> (PathBuf, Home) {
    let base = tempfile::tempdir().unwrap().keep();
    let files = Home::new();
    files
        .run(&format!(
            "makegenesis --name ours --comment first --links 2 --work-factor 1 --amendable {amendable}"
        ))
        .good();
    put_genesis(&files, &base.join("localtest"));
    (base, files)
}

fn put_genesis(files: &Home, home: &Path) {
    std::fs::create_dir_all(home).unwrap();
    std::fs::copy(files.path().join("genesis.lf"), home.join("genesis.lf")).unwrap();
}

fn genesis(files: &Home) -> Genesis {
    Genesis::parse(&std::fs::read(files.path().join("genesis.lf")).unwrap()).unwrap()
}

/// Runs a command where the network's key is, with the node's URL.
fn with_key<'a>(files: &Home, node: &Node, words: impl IntoIterator<Item = &'a str>) -> Ran {
    Ran::of(files.command().args(words).args(["--url", &node.url]))
}

fn parameters(node: &Node) -> Value {
    let status: Value = serde_json::from_str(&node.run("status --json").good()).unwrap();
    status["GenesisParameters"].clone()
}

/// A genesis record as nobody's command would make it.
fn amendment(node: &Node, owner: &OwnerSecret, p: &GenesisParameters, timestamp: u64) -> Record {
    let value = p.to_json();
    let builder = RecordBuilder {
        record_type: RecordType::Genesis,
        value: value.as_bytes(),
        masking_key: Some(b""),
        selectors: &[],
        links: &Client::new([&node.url]).unwrap().links(None).unwrap(),
        timestamp,
        with_pulse_token: false,
    };
    builder.build(owner).unwrap().sign(owner, None)
}

#[test]
fn a_genesis_is_shown_from_file_and_node() {
    let (base, files) = network("comment,recordmaxvaluesize");
    let genesis = genesis(&files);
    let p = genesis.parameters();
    let text = files.run("genesis show genesis.lf").good();
    for part in [
        "name                ours\n",
        "contact\n",
        "links               2 or more\n",
        "values              up to 1,024 bytes\n",
        "drift               60 s\n",
        "strict signatures   yes\n",
        "amendable           comment, recordmaxvaluesize\n",
        &p.id_text(),
        &genesis.owner().to_string(),
        &genesis.records()[1].hash().to_string(),
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let json: Value = serde_json::from_str(&files.run("--json genesis show genesis.lf").good()).unwrap();
    assert_eq!(json["ID"], p.id_text());
    assert_eq!(json["Owner"], genesis.owner().to_string());
    assert_eq!(json["Parameters"], serde_json::to_value(p).unwrap());
    assert_eq!(json["Records"][0]["Hash"], genesis.first_hash().to_string());
    assert_eq!(json["CurrentParameters"], Value::Null);

    let node = Node::start_in(base, &[]);
    let of_node = Home::new().lf(["genesis", "show", &node.url]).good();
    assert_eq!((&of_node, node.run("genesis show").good()), (&text, text.clone()));
    let json: Value = serde_json::from_str(&node.run("--json genesis show").good()).unwrap();
    assert_eq!(json["CurrentParameters"], serde_json::to_value(p).unwrap());

    std::fs::write(files.path().join("junk.lf"), b"junk").unwrap();
    assert!(files.run("genesis show junk.lf").error().contains("junk.lf is no genesis"));
    assert!(files.run("genesis show nothing.lf").error().contains("cannot read nothing.lf"));
    assert!(files.run("genesis show http://127.0.0.1:1").error().contains("cannot reach"));
    files.run("genesis").usage_error();
}

#[test]
fn amendments_are_seen_survive_and_keep_their_order() {
    let (base, files) = network("comment,recordmaxtimedrift");
    let owner = std::fs::read(files.path().join("genesis-secret.pem")).unwrap();
    let owner = OwnerSecret::parse(&owner).unwrap();
    let node = Node::start_in(base, &[]);
    node.run("set a before").good();

    let shown = with_key(&files, &node, ["genesis", "amend", "--comment", "second", "--dry-run"]);
    assert!(shown.stderr.contains("first → second"), "{shown:?}");
    shown.good();
    assert_eq!(parameters(&node)["Comment"], "first");

    // The network began this second, and only what is newer amends it.
    std::thread::sleep(Duration::from_millis(1100));
    let amended = with_key(&files, &node, ["genesis", "amend", "--comment", "second", "--drift", "90"]);
    assert!(
        amended.stderr.contains("first → second") && amended.stderr.contains("60 s → 90 s"),
        "{amended:?}"
    );
    let hash = amended.good();
    assert!(node.lf(["genesis", "show"]).good().contains("second (amended; at first: first)"));
    assert_eq!(
        (&parameters(&node)["Comment"], &parameters(&node)["RecordMaxTimeDrift"]),
        (&"second".into(), &90.into())
    );
    let client = Client::new([&node.url]).unwrap();
    let record = client.record(&hash.trim().parse().unwrap()).unwrap().unwrap();
    assert_eq!(record.record_type(), RecordType::Genesis);

    // An older one, come late, changes nothing.
    let p = GenesisParameters { comment: "late".into(), ..genesis(&files).parameters().clone() };
    client.post(&amendment(&node, &owner, &p, record.timestamp() - 1)).unwrap();
    // Nor does a newer one what is not amendable; what is, it changes, and what it leaves out is empty then.
    let p = GenesisParameters {
        name: "usurped".into(),
        comment: String::new(),
        record_max_value_size: 1,
        amendable_fields: vec!["name".into()],
        ..p
    };
    client.post(&amendment(&node, &owner, &p, record.timestamp() + 1)).unwrap();
    let check = |node: &Node| {
        let now = parameters(node);
        assert_eq!((&now["Name"], &now["Comment"]), (&"ours".into(), &Value::Null));
        assert_eq!((&now["RecordMaxValueSize"], &now["RecordMaxTimeDrift"]), (&1024.into(), &60.into()));
        assert_eq!(now["AmendableFields"], serde_json::json!(["comment", "recordmaxtimedrift"]));
    };
    check(&node);

    let node = Node::start_in(node.into_base(), &[]);
    check(&node);
    assert_eq!(node.run("get a").good(), "before | a#0\n");
    // A node that gets the records in one go comes to the same.
    let other = Home::new();
    other.lf(["node", "bootstrap", "--localtest", &node.url]).good();
    let second = Node::start_in(other.dir.keep(), &[]);
    check(&second);
}

#[test]
fn amendments_that_are_refused() {
    let (base, files) = network("comment,recordminlinks");
    let node = Node::start_in(base, &[]);
    for (words, why) in [
        (vec!["--name", "new"], "name of this network cannot be amended"),
        (
            vec!["--comment", "new", "--value-bytes", "9"],
            "recordmaxvaluesize of this network cannot be amended",
        ),
        (vec!["--links", "1"], "fewer than 2"),
        (vec!["--links", "9"], "more than the network has records: 3"),
        (vec!["--comment", "new", "--key", "nothing.pem"], "cannot read nothing.pem"),
        (vec!["--comment", "new", "--key", "genesis.lf"], "genesis.lf holds no key"),
        (vec!["--comment", "new", "--key", "other.pem"], "is not the key of this network's owner"),
        (vec!["--file", "names.toml"], "unknown field"),
        (vec!["--file", "amendable.toml"], "what is amendable of a network never changes"),
    ] {
        std::fs::write(files.path().join("names.toml"), "id = 'x'").unwrap();
        std::fs::write(files.path().join("amendable.toml"), "amendable = ['name']").unwrap();
        let other = OwnerSecret::from_seed(OwnerType::Ed25519, b"other");
        std::fs::write(files.path().join("other.pem"), other.to_pem().as_bytes()).unwrap();
        let error = with_key(&files, &node, ["genesis", "amend"].into_iter().chain(words)).error();
        assert!(error.contains(why), "{why}: {error}");
    }
    let same = with_key(&files, &node, ["genesis", "amend", "--comment", "first"]);
    assert!(same.stderr.contains("Nothing to change"), "{same:?}");
    // Whoever is not asked by the command is told by the node.
    let usurper = OwnerSecret::from_seed(OwnerType::Ed25519, b"usurper");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let record = amendment(&node, &usurper, genesis(&files).parameters(), now);
    let refused = Client::new([&node.url]).unwrap().post(&record).unwrap_err();
    assert!(
        matches!(refused, ClientError::Api { ref name, .. } if name == "ErrRecordProhibited"),
        "{refused}"
    );
    assert_eq!(parameters(&node)["Comment"], "first");
}

#[test]
fn a_network_with_work_is_joined_written_to_and_amended() {
    let (base, files) = network("comment");
    put_genesis(&files, &base);
    let node = Node::start_any(base, &[]);
    assert_eq!(parameters(&node)["Name"], "ours");
    node.run("set greeting hello").good();
    assert_eq!(node.run("get greeting").good(), "hello | greeting#0\n");
    let with_file = files.path().join("changes.toml");
    std::fs::write(with_file, "comment = \"worked for\"\n").unwrap();
    with_key(&files, &node, ["genesis", "amend", "--file", "changes.toml"]).good();
    assert_eq!(parameters(&node)["Comment"], "worked for");
}

#[test]
fn a_home_is_of_one_network() {
    let (base, files) = network("comment");
    put_genesis(&files, &base);
    let base = Node::start_any(base, &[]).into_base();
    let start = || Ran::of(support::command(&base).args(["node-start", "-http", "0"]));
    std::fs::remove_file(base.join("genesis.lf")).unwrap();
    let error = start().error();
    assert!(error.contains("of another network") && error.contains("genesis.lf"), "{error}");
    files.run("makegenesis --name theirs --links 2 --work-factor 1 --output theirs").good();
    std::fs::copy(files.path().join("theirs/genesis.lf"), base.join("genesis.lf")).unwrap();
    let error = start().error();
    assert!(error.contains("of another network") && error.contains("--path"), "{error}");
    put_genesis(&files, &base);
    drop(Node::start_any(base, &[]));
}
