//! A node as a process of its own: readiness, logs, signals, sudden death. The process is this test program, asked to
//! run nothing but [`child`].

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::client::request;
use super::running::{config, owner, record};
use lf_proto::hash::Hash;

const HOME: &str = "LF_TEST_HOME";
const JSON: &str = "LF_TEST_LOG_JSON";

/// Not a test by itself: what the processes below run.
#[test]
fn child() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let mut config = config(Path::new(&home));
    config.log_json = std::env::var_os(JSON).is_some();
    if let Err(error) = lf_node::run(&config, |_| {}) {
        eprintln!("ERROR: {error}");
        std::process::exit(1);
    }
}

struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: SocketAddr,
}

fn command(home: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "process::child", "--nocapture", "--test-threads=1"]);
    command.env(HOME, home).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Process {
    /// Starts a node and waits until it says that it is ready.
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "the node ended before it was ready");
            // The test harness' own output may stand before it on the line.
            if let Some((_, rest)) = line.split_once("lf node is ready: http://") {
                break rest.split(' ').next().unwrap().parse().unwrap();
            }
        };
        Process { child, stdout, address }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn end(&mut self) -> i32 {
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the node does not end");
    }

    fn publish(&self, ordinal: u64) -> Hash {
        let status = request(self.address, "GET", "/status", &[], b"").ok();
        let links = request(self.address, "GET", "/links", &[], b"").body;
        let links: Vec<Hash> = links.chunks(32).map(|h| Hash(h.try_into().unwrap())).collect();
        let record =
            record(&owner("someone"), "process", ordinal, "x", status["Clock"].as_u64().unwrap(), &links);
        request(self.address, "POST", "/post", &[], record.as_bytes()).ok();
        record.hash()
    }

    fn has(&self, hash: &Hash) -> bool {
        request(self.address, "GET", &format!("/record/raw/{hash}"), &[], b"").status == 200
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn signals_stop_it_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().join("localtest");
    let socket_path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&socket_path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut kept = Vec::new();
    for (ordinal, signal) in ["-TERM", "-INT"].into_iter().enumerate() {
        let mut command = command(directory.path());
        command.env("NOTIFY_SOCKET", &socket_path);
        let mut process = Process::start(command);
        let told = || {
            let mut text = [0; 64];
            let length = socket.recv(&mut text).unwrap();
            String::from_utf8(text[..length].to_vec()).unwrap()
        };
        assert_eq!(told(), "READY=1");
        assert_eq!(
            std::fs::read_to_string(home.join("lf.pid")).unwrap().trim(),
            process.child.id().to_string()
        );
        kept.push(process.publish(ordinal as u64));
        assert!(kept.iter().all(|hash| process.has(hash)));
        process.signal(signal);
        assert_eq!(told(), "STOPPING=1");
        assert_eq!(process.end(), 0, "after {signal}");
        assert!(!home.join("lf.pid").exists());
        let mut rest = String::new();
        process.stdout.read_to_string(&mut rest).unwrap();
    }
    let log = std::fs::read_to_string(home.join("node.log")).unwrap();
    for line in ["node started", "serving HTTP", "SIGTERM", "SIGINT", "node stopped"] {
        assert!(log.contains(line), "no {line} in\n{log}");
    }
}

#[test]
fn a_killed_node_starts_again_with_all_it_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let mut kept = Vec::new();
    for ordinal in 0..3 {
        let mut process = Process::start(command(directory.path()));
        assert!(kept.iter().all(|hash| process.has(hash)), "after {ordinal} kills");
        kept.push(process.publish(ordinal));
        process.signal("-KILL");
        assert_eq!(process.end(), -1);
        assert!(directory.path().join("localtest/lf.pid").exists());
    }
    let process = Process::start(command(directory.path()));
    assert!(kept.iter().all(|hash| process.has(hash)));
}

#[test]
fn a_second_process_is_told_the_first_ones_pid() {
    let directory = tempfile::tempdir().unwrap();
    let first = Process::start(command(directory.path()));
    let second = command(directory.path()).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let stderr = String::from_utf8(second.stderr).unwrap();
    assert!(stderr.contains(&format!("ERROR: a node (pid {}) is running in ", first.child.id())), "{stderr}");
}

#[test]
fn logs_are_json_when_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = command(directory.path());
    command.env(JSON, "1");
    let mut process = Process::start(command);
    process.signal("-TERM");
    assert_eq!(process.end(), 0);
    let log = std::fs::read_to_string(directory.path().join("localtest/node.log")).unwrap();
    assert!(!log.is_empty());
    for line in log.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event["message"].is_string() && event["level"].is_string(), "{line}");
    }
}
