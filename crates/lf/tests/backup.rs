//! `lf backup` and `lf restore`: of a node that is written to, of what interruptions and damage leave.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use support::{Home, LF, Node, Ran};

/// A directory for backups.
fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::Builder::new().prefix("lf-backup-").tempdir().unwrap();
    let path = directory.path().join("backup");
    (directory, path)
}

fn backup(base: &Path, to: &Path, args: &[&str]) -> Ran {
    let mut command = support::command(base);
    Ran::of(command.args(["backup", "--localtest", "--json"]).args(args).arg(to))
}

fn check(directory: &Path) -> Ran {
    let mut command = support::command(directory);
    Ran::of(command.args(["backup", "--check", "--json"]).arg(directory))
}

fn restore(directory: &Path, base: &Path) -> Ran {
    let mut command = support::command(directory);
    Ran::of(command.env("LF_PATH", base).args(["restore", "--localtest", "--json"]).arg(directory))
}

fn json(text: String) -> Value {
    serde_json::from_str(&text).unwrap()
}

fn records(made: &Value) -> u64 {
    made["Records"].as_u64().unwrap()
}

/// The backup's files, the manifest first.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = vec![directory.join("backup.json")];
    for name in ["log", "files"] {
        files.extend(std::fs::read_dir(directory.join(name)).unwrap().map(|entry| entry.unwrap().path()));
    }
    files
}

fn segment(node: &Node) -> PathBuf {
    node.directory().join("store/log/00000000000000000000.lfl")
}

/// What a node answers about some names: values, owners, weights, reputations.
fn answers(node: &Node, names: &[String]) -> Vec<Value> {
    names.iter().map(|name| json(node.lf(["get", "--json", name]).good())).collect()
}

fn name(i: usize) -> String {
    format!("name{i}")
}

#[test]
fn a_node_that_is_written_to_is_backed_up_again_and_again() {
    let mut node = Node::start();
    let (directory, to) = place();
    for owner in ["keeper", "rival"] {
        node.lf(["owner", "new", owner]).good();
    }
    let done = AtomicBool::new(false);
    let mut last = Value::Null;
    let written = std::thread::scope(|scope| {
        let (node, done) = (&node, &done);
        let writer = scope.spawn(move || {
            let mut written = 0;
            while !done.load(Ordering::Relaxed) {
                let owner = if written % 3 == 2 { "rival" } else { "keeper" };
                // Some names have two owners.
                let (name, value) = (name(written - written % 2), format!("value {written}"));
                node.lf(["set", "--owner", owner, &name, &value]).good();
                written += 1;
            }
            written
        });
        for run in 0..8 {
            // Killed somewhere: what there was stays good.
            let child = support::command(node.base())
                .args(["backup", "--localtest"])
                .arg(&to)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let mut child = child.unwrap();
            std::thread::sleep(Duration::from_millis(3 * run));
            child.kill().unwrap();
            child.wait().unwrap();
            if run > 0 {
                let checked = json(check(&to).good());
                assert!(records(&checked) >= records(&last), "{checked}");
            }
            let made = json(backup(node.base(), &to, &[]).good());
            assert!(run == 0 || records(&made) >= records(&last), "{made}");
            last = made;
            assert_eq!(json(check(&to).good())["Sound"], true);
        }
        done.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    let made = json(backup(node.base(), &to, &[]).good());
    assert_eq!(records(&made), 3 + written as u64, "three of the genesis");
    let again = json(backup(node.base(), &to, &[]).good());
    assert_eq!((&again["NewBytes"], &again["NewRecords"]), (&0.into(), &0.into()), "{again}");
    assert_eq!(files(&to).len(), 5, "nothing is left of those that were killed: {:?}", files(&to));

    let base = directory.path().join("home");
    assert_eq!(records(&json(restore(&to, &base).good())), records(&made));
    let database = Ran::of(support::command(&base).args(["db", "--localtest", "check", "--json"]));
    let database = json(database.good());
    assert_eq!((&database["Sound"], &database["Compared"]), (&true.into(), &true.into()), "{database}");
    let names: Vec<String> = (0..written).step_by(2).map(name).collect();
    let before = answers(&node, &names);
    let status = |node: &Node| json(node.lf(["status", "--json"]).good());
    let identity = status(&node)["Identity"].clone();
    node.kill();
    let restored = Node::start_in(base.clone(), &[]);
    assert_eq!(answers(&restored, &names), before);
    assert_eq!(status(&restored)["Identity"], identity);
    restored.run("set after 'all that'").good();
    // The restored log is the same log: its backup goes on.
    let made = json(backup(&base, &to, &[]).good());
    assert_eq!(made["NewRecords"], 1, "{made}");
}

#[test]
fn a_changed_byte_of_any_file_is_found_and_not_restored() {
    let node = Node::start();
    let (directory, to) = place();
    for i in 0..3 {
        node.lf(["set", &name(i), "value"]).good();
    }
    backup(node.base(), &to, &[]).good();
    assert_eq!(files(&to).len(), 5, "{:?}", files(&to));
    for path in files(&to) {
        let good = std::fs::read(&path).unwrap();
        for at in [0, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 4;
            std::fs::write(&path, bad).unwrap();
            let base = directory.path().join("home");
            for ran in [check(&to), restore(&to, &base)] {
                assert_eq!(ran.code, Some(1), "byte {at} of {}: {ran:?}", path.display());
            }
            assert!(!base.exists());
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(check(&to).code, Some(1), "{}", path.display());
        std::fs::write(&path, good).unwrap();
    }
    assert_eq!(json(check(&to).good())["Sound"], true);
}

/// Runs the binary where no file may become larger than so many KiB. Whether that ends it, or is an error.
#[cfg(unix)]
fn limited(kib: u64, is_error: bool, base: &Path, to: &Path) -> Ran {
    let trap = if is_error { "trap '' XFSZ; " } else { "" };
    let script = format!("{trap}ulimit -f {}; exec \"$0\" \"$@\"", 2 * kib);
    let mut command = Command::new("sh");
    command.args(["-c", &script, LF, "--path"]).arg(base).args(["backup", "--localtest"]).arg(to);
    Ran::of(&mut command)
}

#[cfg(unix)]
#[test]
fn a_full_disk_or_a_kill_while_writing_leaves_the_backup_that_was_there() {
    let node = Node::start();
    let (_directory, to) = place();
    let value = "v".repeat(1000);
    for i in 0..8 {
        node.lf(["set", &name(i), &value]).good();
    }
    let first = limited(2, false, node.base(), &to);
    assert_ne!(first.code, Some(0), "{first:?}");
    assert!(check(&to).error().contains("there is no backup"));
    let before = json(backup(node.base(), &to, &[]).good());
    for (i, is_error) in [(4, false), (5, true), (6, false)] {
        // Values are compressed: random ones are not.
        let value: String = (0..900).map(|c| char::from(b'a' + ((c * c + c * i) % 26) as u8)).collect();
        for j in 0..8 {
            node.lf(["set", &format!("{i}-{j}"), &value]).good();
        }
        let ran = limited(2, is_error, node.base(), &to);
        assert_ne!(ran.code, Some(0), "{ran:?}");
        assert_eq!(ran.code, is_error.then_some(1), "{ran:?}");
        assert_eq!(records(&json(check(&to).good())), records(&before));
    }
    let after = json(backup(node.base(), &to, &[]).good());
    assert_eq!(records(&after), records(&before) + 24);
    assert_eq!(json(check(&to).good())["Sound"], true);
}

#[test]
fn what_the_node_took_back_is_forgotten_and_what_it_lost_is_not() {
    let mut node = Node::start();
    let (directory, to) = place();
    for i in 0..5 {
        node.lf(["set", &name(i), "value"]).good();
    }
    backup(node.base(), &to, &[]).good();
    let manifest = json(std::fs::read_to_string(to.join("backup.json")).unwrap());
    let certain = manifest["Backup"]["Certain"].as_u64().unwrap();
    node.kill();
    // The last commit is gone, as if the disk had had no space for all of it; others come in its place.
    let cut = |bytes: u64| {
        OpenOptions::new().write(true).open(segment(&node)).unwrap().set_len(bytes).unwrap();
    };
    cut(certain);
    let again = Node::start_in(node.base().to_owned(), &[]);
    assert_eq!(records(&json(backup(again.base(), &to, &[]).good())), 7);
    assert_eq!(json(check(&to).good())["Sound"], true);
    for name in ["other", "one more", "and one"] {
        again.lf(["set", name, "value"]).good();
    }
    assert_eq!(records(&json(backup(again.base(), &to, &[]).good())), 10);
    assert_eq!(json(check(&to).good())["Sound"], true);
    let base = directory.path().join("home");
    restore(&to, &base).good();
    let restored = Node::start_in(base, &[]);
    assert_eq!(restored.run("get other").good(), "value | other#0\n");
    // Acknowledged records are gone: the backup is not brought to forget them.
    let _ = again.into_base();
    cut(certain / 2);
    let again = Node::start_in(node.base().to_owned(), &[]);
    again.run("set new value").good();
    let error = backup(again.base(), &to, &[]).error();
    assert!(error.contains("differs, or has lost records") && error.contains("another directory"), "{error}");
    assert_eq!(records(&json(check(&to).good())), 10);
}

#[test]
fn damage_in_the_home_is_backed_up_and_said() {
    let mut node = Node::start();
    let (directory, to) = place();
    for i in 0..5 {
        node.lf(["set", &name(i), "value"]).good();
    }
    node.kill();
    let mut bytes = std::fs::read(segment(&node)).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(segment(&node), bytes).unwrap();
    let made = json(backup(node.base(), &to, &[]).good());
    assert!(made["DamagedBytes"].as_u64().unwrap() > 0, "{made}");
    let checked = json(check(&to).good());
    assert_eq!((&checked["Sound"], records(&checked)), (&true.into(), records(&made)), "{checked}");
    let base = directory.path().join("home");
    restore(&to, &base).good();
    let restored = Node::start_in(base, &[]);
    assert_eq!(restored.lf(["get", &name(0)]).good(), format!("value | {}#0\n", name(0)));
}

#[test]
fn secrets_are_private_and_can_be_left_out() {
    let node = Node::start();
    let (directory, to) = place();
    let ran = Ran::of(support::command(node.base()).args(["backup", "--localtest"]).arg(&to));
    assert!(
        ran.stderr.contains("private keys (identity-secret.pem, authtoken.secret, client.json)"),
        "{ran:?}"
    );
    ran.good();
    for path in files(&to).iter().chain([&to, &to.join("log"), &to.join("files")]) {
        assert!(lf_platform::is_private(path).unwrap(), "{}", path.display());
    }
    let made = json(backup(node.base(), &to, &["--no-secrets"]).good());
    assert_eq!(made["Secrets"], serde_json::json!([]));
    let left = files(&to);
    assert_eq!(left.len(), 2, "those that were there are gone: {left:?}");
    let base = directory.path().join("home");
    let ran = restore(&to, &base);
    assert!(ran.stderr.contains("gets a new identity"), "{ran:?}");
    ran.good();
    assert!(!base.join("localtest/identity-secret.pem").exists());
}

#[test]
fn what_is_there_is_not_overwritten() {
    let node = Node::start();
    let (directory, to) = place();
    // No home, no backup, something else.
    let home = Home::new();
    assert!(backup(home.path(), &to, &[]).error().contains("no node's store"));
    assert!(!to.exists());
    assert!(check(directory.path()).error().contains("there is no backup"));
    std::fs::write(directory.path().join("mine"), "").unwrap();
    let error = backup(node.base(), directory.path(), &[]).error();
    assert!(error.contains("not empty") && error.contains("new directory"), "{error}");
    let error = backup(node.base(), &node.directory(), &[]).error();
    assert!(error.contains("is the home itself"), "{error}");
    // Another node's log, a home with data.
    backup(node.base(), &to, &[]).good();
    let other = Node::start();
    let error = backup(other.base(), &to, &[]).error();
    assert!(error.contains("backup of another node's log"), "{error}");
    let error = restore(&to, other.base()).error();
    assert!(error.contains("has a node's files already (store)"), "{error}");
    // A later format.
    let manifest = to.join("backup.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("\"Format\": 1", "\"Format\": 2")).unwrap();
    for ran in [check(&to), backup(node.base(), &to, &[]), restore(&to, &directory.path().join("home"))] {
        let error = ran.error();
        assert!(error.contains("format 2") && error.contains("newer"), "{error}");
    }
    std::fs::write(&manifest, text).unwrap();
    // A client.json with owners stays; what an interrupted restoring left gives way.
    let base = directory.path().join("home");
    let inside = base.join("localtest");
    std::fs::create_dir_all(inside.join("store.restoring/log")).unwrap();
    std::fs::write(inside.join("store.restoring/log/left"), "").unwrap();
    std::fs::write(inside.join("seeds"), "left").unwrap();
    let client = r#"{"Owners":{},"URLs":[]}"#;
    std::fs::write(inside.join("client.json"), client).unwrap();
    let ran = restore(&to, &base);
    assert!(ran.stderr.contains("it stays as it is"), "{ran:?}");
    ran.good();
    assert_eq!(std::fs::read_to_string(inside.join("client.json")).unwrap(), client);
    assert!(!inside.join("store.restoring").exists() && !inside.join("store/log/left").exists());
}
