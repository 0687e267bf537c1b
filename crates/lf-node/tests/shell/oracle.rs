//! An oracle's thread: what the status says of it, how much of the processor it may have, how it ends.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use lf_node::Running;

use super::client::request;
use super::running::config;

/// The threads of this process that search for an oracle's work.
fn searching() -> Vec<PathBuf> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let name = |task: &PathBuf| std::fs::read_to_string(task.join("comm")).unwrap_or_default();
    tasks.filter(|task| name(task).starts_with("lf-oracle-")).collect()
}

/// A thread's niceness, if it is there still.
fn niceness(task: &std::path::Path) -> Option<i32> {
    let stat = std::fs::read_to_string(task.join("stat")).ok()?;
    // The name, in brackets, is the second field; niceness is the nineteenth.
    stat.rsplit_once(')')?.1.split_whitespace().nth(16)?.parse().ok()
}

#[test]
fn an_oracle_takes_what_is_left_and_stops_amid_its_work() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    // The built-in network: work takes a while.
    config.local_test = false;
    config.oracle = true;
    let running = Running::start(&config).unwrap();
    let before = running.node().reader().view().linked();
    let status = request(running.http_addr.unwrap(), "GET", "/status", &[], b"").ok();
    let all = std::thread::available_parallelism().unwrap().get();
    assert_eq!(status["OracleThreads"], (all - 1).max(1) as u64);
    assert!(status["Oracle"].as_str().unwrap().starts_with('@'));
    if cfg!(target_os = "linux") {
        let begun = Instant::now();
        let mut seen = 0;
        // Once a search is under way, or is over already on a fast machine.
        while seen == 0 && running.node().reader().view().linked() == before {
            assert!(begun.elapsed() < Duration::from_secs(180), "no search begins");
            let threads = searching();
            assert!(threads.len() <= (all - 1).max(1), "{threads:?}");
            // A thread lowers its priority before anything else, but does so itself.
            seen = threads.iter().filter(|task| niceness(task) == Some(19)).count();
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    running.stop().unwrap();
    if cfg!(target_os = "linux") {
        assert_eq!(searching(), Vec::<PathBuf>::new());
    }
}

#[test]
fn other_nodes_are_none() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(&config(directory.path())).unwrap();
    let status = request(running.http_addr.unwrap(), "GET", "/status", &[], b"").ok();
    assert_eq!((status.get("Oracle"), &status["OracleThreads"]), (None, &0.into()));
}
