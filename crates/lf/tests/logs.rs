//! `node.log` of a real node: rotated by itself, moved, removed and emptied by others.
#![allow(clippy::unwrap_used)]
#![cfg(unix)]

#[path = "support/mod.rs"]
mod support;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use support::Node;

/// For what happens soon on any machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn wait(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "no {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn pid(node: &Node) -> rustix::process::Pid {
    let pid = std::fs::read_to_string(node.directory().join("lf.pid")).unwrap();
    rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap()
}

/// A SIGHUP, which makes the node log a line.
fn hang_up(node: &Node) {
    rustix::process::kill_process(pid(node), rustix::process::Signal::HUP).unwrap();
}

#[test]
fn a_large_log_is_put_aside_at_once() {
    let base = tempfile::tempdir().unwrap().keep();
    let home = base.join("localtest");
    std::fs::create_dir_all(&home).unwrap();
    let large: u64 = 64 << 20;
    File::create(home.join("node.log")).unwrap().set_len(large).unwrap();
    std::fs::write(home.join("node.log.1"), "older").unwrap();
    std::fs::write(home.join("node.log.4"), "oldest").unwrap();
    let node = Node::start_in(base, &[]);
    let log: PathBuf = node.directory().join("node.log");
    assert!(text(&log).contains("node started"), "{}", text(&log));
    assert_eq!(std::fs::metadata(home.join("node.log.1")).unwrap().len(), large);
    assert_eq!(text(&home.join("node.log.2")), "older");
    assert_eq!(text(&home.join("node.log.4")), "oldest", "as long as nothing takes its place");
}

#[test]
fn the_node_follows_whoever_moves_removes_or_empties_its_log() {
    let node = Node::start();
    let log = node.directory().join("node.log");
    let moved = node.directory().join("node.log-20261126");
    // As logrotate does without a signal.
    std::fs::rename(&log, &moved).unwrap();
    hang_up(&node);
    wait("new file", || text(&log).contains("SIGHUP"));
    assert!(text(&moved).contains("node started") && !text(&moved).contains("SIGHUP"));
    // copytruncate.
    File::create(&log).unwrap();
    hang_up(&node);
    wait("line in the emptied file", || text(&log).contains("SIGHUP"));
    assert!(!text(&log).starts_with('\0'));
    std::fs::remove_file(&log).unwrap();
    hang_up(&node);
    wait("line in a file made anew", || text(&log).contains("SIGHUP"));
    // And it is the same node that did all that.
    node.run("set still here").good();
    assert_eq!(node.run("get still").good(), "here | still#0\n");
}

#[test]
fn nobody_can_write_the_log_and_the_node_goes_on() {
    let base = tempfile::tempdir().unwrap().keep();
    let home = base.join("localtest");
    std::fs::create_dir_all(&home).unwrap();
    // Takes nothing, as a full disk.
    std::os::unix::fs::symlink("/dev/full", home.join("node.log")).unwrap();
    let node = Node::start_in(base, &[]);
    node.run("set still here").good();
    assert_eq!(node.run("get still").good(), "here | still#0\n");
    let metrics = {
        use std::io::{Read as _, Write as _};
        let address = node.url.strip_prefix("http://").unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    };
    let lost = metrics.lines().find_map(|line| line.strip_prefix("lf_log_lines_lost_total "));
    assert!(lost.unwrap().trim().parse::<u64>().unwrap() > 0, "{lost:?}");
    // Space again.
    std::fs::remove_file(home.join("node.log")).unwrap();
    hang_up(&node);
    wait("lines again", || text(&home.join("node.log")).contains("lines of the log were lost here"));
}
