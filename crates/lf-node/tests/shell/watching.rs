//! Watching: what comes, in which order, and coming again.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::client::{connect, head, read_answer, request};
use super::running::{node, node_with, owner, record};

struct Events {
    lines: BufReader<TcpStream>,
}

#[derive(Debug)]
struct Event {
    id: u32,
    data: Value,
}

impl Events {
    fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut stream = connect(address);
        stream.write_all(head("GET", path, headers).as_bytes()).unwrap();
        Self::begin(stream)
    }

    fn post(address: SocketAddr, query: &str) -> Self {
        let mut stream = connect(address);
        let length = query.len().to_string();
        stream.write_all(head("POST", "/v1/watch", &[("Content-Length", &length)]).as_bytes()).unwrap();
        stream.write_all(query.as_bytes()).unwrap();
        Self::begin(stream)
    }

    fn begin(stream: TcpStream) -> Self {
        let mut events = Events { lines: BufReader::new(stream) };
        let mut header = events.line();
        assert_eq!(header, "HTTP/1.1 200 OK");
        let mut seen = Vec::new();
        while !header.is_empty() {
            seen.push(header.to_ascii_lowercase());
            header = events.line();
        }
        for expected in ["content-type: text/event-stream", "x-lf-apiversion: 1"] {
            assert!(seen.iter().any(|line| line == expected), "{seen:?}");
        }
        // Where it begins to look is settled once this has come.
        while !events.line().starts_with(": watching from ") {}
        events
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the stream ended");
        line.trim_end().to_owned()
    }

    /// The next event; chunk sizes and comments are passed over.
    fn next(&mut self) -> Event {
        let id = self.until("id: ").parse().unwrap();
        assert_eq!(self.line(), "event: record");
        let data = self.until("data: ");
        Event { id, data: serde_json::from_str(&data).unwrap() }
    }

    fn until(&mut self, prefix: &str) -> String {
        loop {
            if let Some(rest) = self.line().strip_prefix(prefix) {
                return rest.to_owned();
            }
        }
    }
}

fn path(query: &str, rest: &str) -> String {
    let query: String = query.bytes().map(|b| format!("%{b:02X}")).collect();
    format!("/v1/watch?q={query}{rest}")
}

const HORSES: &str = r#"{"Ranges":[{"Name":"horse","Range":[0,1000]}]}"#;

#[test]
fn new_records_that_match_come_in_order() {
    let node = node();
    node.publish("horse", 1, "before");
    let mut by_get = Events::open(node.address, &path(HORSES, ""), &[]);
    let mut by_post = Events::post(node.address, HORSES);
    let mut from_start = Events::open(node.address, &path(HORSES, "&from=0"), &[]);
    let mut hashes = Vec::new();
    for i in 0..40 {
        node.publish("cow", i, "no");
        hashes.push(node.publish("horse", i, "yes").hash().to_string());
    }
    assert_eq!(from_start.next().data["Value"], "before");
    let mut last = None;
    for hash in &hashes {
        for events in [&mut by_get, &mut by_post, &mut from_start] {
            let event = events.next();
            assert_eq!(
                (event.data["Hash"].as_str(), event.data["Value"].as_str()),
                (Some(hash.as_str()), Some("yes"))
            );
            assert!(last.is_none_or(|id| event.id >= id));
            last = Some(event.id);
        }
    }
}

#[test]
fn a_watcher_comes_again_where_it_left() {
    let node = node();
    let hashes: Vec<String> = (0..6).map(|i| node.publish("horse", i, "x").hash().to_string()).collect();
    let mut first = Events::open(node.address, &path(HORSES, "&from=0"), &[]);
    let ids: Vec<u32> = (0..3).map(|_| first.next().id).collect();
    drop(first);
    let last = ids[2].to_string();
    let mut again = Events::open(node.address, &path(HORSES, "&from=0"), &[("Last-Event-ID", &last)]);
    for hash in &hashes[3..] {
        assert_eq!(again.next().data["Hash"], hash.as_str());
    }
    // An id that this database has never given: only what is new.
    let mut ahead = Events::open(node.address, &path(HORSES, ""), &[("Last-Event-ID", "4000000000")]);
    let hash = node.publish("horse", 99, "new").hash().to_string();
    assert_eq!(ahead.next().data["Hash"], hash);
    assert_eq!(again.next().data["Hash"], hash);
}

#[test]
fn a_record_comes_when_it_becomes_linked() {
    let node = node();
    let mut events = Events::open(node.address, &path(HORSES, ""), &[]);
    let links = node.links();
    let parents: Vec<_> =
        (0..3).map(|i| record(&owner("parent"), "cow", i, "x", node.clock(), &links)).collect();
    let hashes: Vec<_> = parents.iter().map(lf_proto::record::Record::hash).collect();
    let child = record(&owner("child"), "horse", 1, "late", node.clock(), &hashes);
    node.post("/post", child.as_bytes()).ok();
    let early = node.publish("horse", 2, "early");
    for parent in &parents {
        node.post("/post", parent.as_bytes()).ok();
    }
    assert_eq!(events.next().data["Hash"], early.hash().to_string());
    assert_eq!(events.next().data["Hash"], child.hash().to_string());
}

#[test]
fn what_cannot_be_watched_is_told() {
    let node = node_with(|limits| limits.watchers_max = 1);
    node.get("/v1/watch").error(400, "ErrQueryRequiresSelectors");
    node.get("/v1/watch?q=%7B%7D").error(400, "ErrQueryRequiresSelectors");
    node.get("/v1/watch?q=junk").error(400, "ErrInvalidObject");
    node.get(&path(HORSES, "&from=x")).error(400, "ErrInvalidParameter");
    let wrong = request(node.address, "GET", &path(HORSES, ""), &[("Last-Event-ID", "x")], b"");
    wrong.error(400, "ErrInvalidParameter");
    let _held = Events::open(node.address, &path(HORSES, ""), &[]);
    node.get(&path(HORSES, "")).error(503, "");
}

#[test]
fn a_quiet_watch_is_kept_alive_and_ends_with_the_node() {
    let mut node = node_with(|limits| limits.heartbeat = Duration::from_millis(50));
    let mut events = Events::open(node.address, &path(HORSES, ""), &[]);
    events.until(": still here");
    events.until(": still here");
    node.running.take().unwrap().stop().unwrap();
    let mut rest = String::new();
    while events.lines.read_line(&mut rest).unwrap() > 0 {}
    assert!(rest.ends_with("0\r\n\r\n"), "an orderly end: {rest:?}");
}

#[test]
fn watchers_that_left_make_room() {
    let node = node_with(|limits| {
        limits.watchers_max = 1;
        limits.heartbeat = Duration::from_millis(20);
    });
    drop(Events::open(node.address, &path(HORSES, ""), &[]));
    let room = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        let mut stream = connect(node.address);
        stream.write_all(head("HEAD", &path(HORSES, ""), &[("Connection", "close")]).as_bytes()).unwrap();
        read_answer(stream).status == 200
    });
    assert!(room);
}
