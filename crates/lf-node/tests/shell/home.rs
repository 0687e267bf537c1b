//! What a node keeps in its home, and what happens at its start and end.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use lf_node::{RunError, Running};
use serde_json::{Value, json};

use super::client::request;
use super::running::{config, node};

#[test]
fn a_home_holds_what_api_md_says() {
    let node = node();
    let home = node.directory.path();
    assert_eq!(std::fs::read_dir(home).unwrap().count(), 1, "all is in localtest");
    let home = home.join("localtest");
    for (name, mode) in [("authtoken.secret", 0o600), ("identity-secret.pem", 0o600), ("client.json", 0o600)]
    {
        assert_eq!(std::fs::metadata(home.join(name)).unwrap().mode() & 0o777, mode, "{name}");
    }
    assert_eq!(std::fs::read_to_string(home.join("lf.pid")).unwrap().trim(), std::process::id().to_string());
    let client: Value = serde_json::from_slice(&std::fs::read(home.join("client.json")).unwrap()).unwrap();
    assert_eq!(client["URLs"], json!([format!("http://{}", node.address)]));
    let status = node.get("/status").ok();
    assert!(status["Identity"].as_str().is_some_and(|identity| !identity.is_empty()));
    assert_eq!(status["GenesisParameters"]["Name"], "Sol");
}

#[test]
fn two_nodes_never_share_a_home_or_an_address() {
    let node = node();
    let Err(error) = Running::start(&config(node.directory.path())) else { panic!("two nodes in one home") };
    assert!(matches!(error, RunError::Locked { .. }));
    assert!(error.to_string().contains(&format!("(pid {})", std::process::id())), "{error}");
    let other = tempfile::tempdir().unwrap();
    let mut config = config(other.path());
    config.http = Some(node.address);
    let Err(error) = Running::start(&config) else { panic!("two nodes on one address") };
    assert!(matches!(error, RunError::Listen { .. }));
    let message = error.to_string();
    assert!(message.contains(&node.address.to_string()) && message.contains("--http"), "{message}");
    // The failed start left nothing locked.
    config.http = None;
    let running = Running::start(&config).unwrap();
    assert_eq!((running.http_addr, running.url()), (None, None));
    running.stop().unwrap();
}

#[test]
fn records_outlive_a_stop() {
    let mut node = node();
    let record = node.publish("keep", 0, "kept");
    node.running.take().unwrap().stop().unwrap();
    let home = node.directory.path().join("localtest");
    assert!(!home.join("lf.pid").exists());
    let running = Running::start(&config(node.directory.path())).unwrap();
    let address = running.http_addr.unwrap();
    let path = format!("/record/raw/{}", record.hash());
    assert_eq!(request(address, "GET", &path, &[], b"").body, record.as_bytes());
    let client: Value = serde_json::from_slice(&std::fs::read(home.join("client.json")).unwrap()).unwrap();
    assert_eq!(client["URLs"][0], format!("http://{address}"));
    running.stop().unwrap();
}

#[test]
fn a_bootstrap_file_is_taken_in_and_removed() {
    let source = node();
    for i in 0..50 {
        source.publish("boot", i, "x");
    }
    let dump = source.get("/dumprecords").body;
    let count = source.get("/status").ok()["RecordCount"].clone();
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().join("localtest");
    std::fs::create_dir(&home).unwrap();
    let file = home.join("bootstrap.lf");
    std::fs::write(&file, &dump).unwrap();
    let running = Running::start(&config(directory.path())).unwrap();
    let address = running.http_addr.unwrap();
    for _ in 0..600 {
        if !file.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!file.exists());
    assert_eq!(request(address, "GET", "/status", &[], b"").ok()["RecordCount"], count);
    assert_eq!(request(address, "GET", "/dumprecords", &[], b"").body.len(), dump.len());
    running.stop().unwrap();
}
