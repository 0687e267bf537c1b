//! Clients that are not trusted, too fast, too slow, too large or broken.

use std::io::{Read, Write};
use std::time::Duration;

use super::client::{connect, head, read_answer, request};
use super::running::{node, node_with};

const MAKE: &[u8] = br#"{"Selectors":[{"Name":"x"}],"Value":"y","Passphrase":"open sesame"}"#;
const WORK: &[u8] = br#"{"WorkHash":"0123456789abcdef0123456789abcdef0123456789abcdef","Difficulty":1}"#;

#[test]
fn only_trusted_clients_make_records() {
    let node = node();
    let token = std::fs::read_to_string(node.directory.path().join("localtest/authtoken.secret")).unwrap();
    let right = format!("Bearer {}", token.trim());
    let wrong = format!("Bearer {}x", token.trim());
    let try_all = |headers: &[(&str, &str)], expected: u16| {
        for (path, body) in
            [("/makerecord", MAKE), ("/makepulse", MAKE), ("/connect", b"{}"), ("/v1/work", WORK)]
        {
            let answer = request(node.address, "POST", path, headers, body);
            assert_eq!(
                answer.status,
                expected,
                "{path} {headers:?}: {}",
                String::from_utf8_lossy(&answer.body)
            );
            if expected == 403 {
                answer.error(403, "");
            }
        }
    };
    try_all(&[], 200);
    try_all(&[("Host", "localhost:9980")], 200);
    try_all(&[("Origin", "http://localhost:9980")], 403);
    try_all(&[("Host", "example.com")], 403);
    try_all(&[("X-Forwarded-For", "10.0.0.1")], 403);
    try_all(&[("Authorization", &wrong)], 403);
    try_all(&[("Authorization", &right), ("Origin", "http://example.com"), ("Host", "example.com")], 200);
}

#[test]
fn bodies_are_bounded() {
    let node = node();
    for (path, most) in
        [("/pulse", 1 << 10), ("/connect", 4 << 10), ("/post", 128 << 10), ("/query", 256 << 10)]
    {
        // Announced: refused before a byte of it is read.
        let length = (most + 1).to_string();
        let mut stream = connect(node.address);
        stream.write_all(head("POST", path, &[("Content-Length", &length)]).as_bytes()).unwrap();
        let answer = read_answer(stream);
        answer.error(413, "");
        assert_eq!(answer.header("connection"), Some("close"), "{path}");
        // Not announced: refused as soon as it is too large.
        let mut stream = connect(node.address);
        stream.write_all(head("POST", path, &[("Transfer-Encoding", "chunked")]).as_bytes()).unwrap();
        let chunk = format!("{:x}\r\n{}\r\n", most + 1, " ".repeat(most + 1));
        let _ = stream.write_all(chunk.as_bytes());
        read_answer(stream).error(413, "");
        // As large as it may be: refused for what it is, if at all.
        let answer = request(node.address, "POST", path, &[], &vec![b' '; most]);
        assert!([200, 400].contains(&answer.status), "{path}: {}", answer.status);
    }
    // A record that is too large is refused by name.
    node.post("/post", vec![1; 128 << 10]).error(400, "ErrRecordInvalid");
}

#[test]
fn heads_are_bounded() {
    let node = node();
    let long = "x".repeat(64 << 10);
    let cases = [
        (head("GET", "/status", &[("X-Long", &long)]), 431),
        (head("GET", &format!("/{long}"), &[]), 431),
        ("this is not HTTP\r\n\r\n".to_owned(), 400),
        ("GET /status HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), 400),
        (head("POST", "/query", &[("Content-Length", "-1")]), 400),
    ];
    for (text, status) in cases {
        let mut stream = connect(node.address);
        let _ = stream.write_all(text.as_bytes());
        let answer = read_answer(stream);
        assert_eq!(answer.status, status, "{text:.60}");
    }
    let many: Vec<(String, &str)> = (0..100).map(|i| (format!("X-{i}"), "y")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let mut stream = connect(node.address);
    stream.write_all(head("GET", "/status", &many).as_bytes()).unwrap();
    assert_eq!(read_answer(stream).status, 431);
}

#[test]
fn slow_clients_are_told_and_dropped() {
    let node = node_with(|limits| {
        limits.head_time_max = Duration::from_millis(200);
        limits.body_time_max = Duration::from_millis(200);
    });
    let mut half_head = connect(node.address);
    half_head.write_all(b"GET /status HTT").unwrap();
    let mut half_body = connect(node.address);
    half_body.write_all(head("POST", "/query", &[("Content-Length", "100")]).as_bytes()).unwrap();
    half_body.write_all(b"{").unwrap();
    let mut silent = connect(node.address);
    for half in [half_head, half_body] {
        let answer = read_answer(half);
        answer.error(408, "");
        assert_eq!(answer.header("x-lf-apiversion"), Some("1"));
    }
    let mut nothing = Vec::new();
    silent.read_to_end(&mut nothing).unwrap();
    assert!(nothing.is_empty());
    node.get("/status").ok();
}

#[test]
fn a_client_that_does_not_read_is_dropped() {
    let node = node_with(|limits| {
        limits.stall_time_max = Duration::from_millis(200);
        limits.dumps_max = 1;
    });
    // More than socket buffers hold, so that the dump must wait for its reader.
    let request = head("GET", "/v1/openapi.json", &[]).repeat(2_000);
    let mut stalled = connect(node.address);
    stalled.set_nonblocking(true).unwrap();
    // The server reads no further requests while it cannot answer, so this fills up.
    let mut rest = request.as_bytes();
    let started = std::time::Instant::now();
    while !rest.is_empty() && started.elapsed() < Duration::from_secs(30) {
        match stalled.write(rest) {
            Ok(n) => rest = &rest[n..],
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(_) => break,
        }
    }
    // Dropped: what was on its way comes, then the end, long before all answers.
    stalled.set_nonblocking(false).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let mut bytes = 0_usize;
    let mut buffer = vec![0; 1 << 16];
    while let Ok(n @ 1..) = stalled.read(&mut buffer) {
        bytes += n;
    }
    let one = node.get("/v1/openapi.json").body.len();
    assert!(bytes < 2_000 * one, "{bytes} bytes came, all of {}", 2_000 * one);
}

#[test]
fn connections_are_bounded() {
    let node = node_with(|limits| limits.connections_max = 4);
    let held: Vec<_> = (0..4)
        .map(|_| {
            // Answered, so surely accepted, and kept open.
            let mut stream = connect(node.address);
            stream.write_all(head("GET", "/links?count=1", &[]).as_bytes()).unwrap();
            let mut some = [0; 16];
            stream.read_exact(&mut some).unwrap();
            stream
        })
        .collect();
    read_answer(connect(node.address)).error(503, "");
    drop(held);
    let answered = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        let mut stream = connect(node.address);
        let sent = stream.write_all(head("GET", "/status", &[("Connection", "close")]).as_bytes());
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        sent.is_ok() && text.starts_with(b"HTTP/1.1 200")
    });
    assert!(answered, "places are free again");
}

#[test]
fn many_clients_at_once_are_all_answered() {
    let node = node_with(|limits| limits.requests_max = 2);
    node.publish("crowd", 0, "x");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(node.query(r#"{"Ranges":[{"Name":"crowd"}]}"#)[0][0]["Value"], "x");
                }
            });
        }
    });
}

#[test]
fn one_connection_serves_many_requests() {
    let node = node();
    let mut stream = connect(node.address);
    for _ in 0..3 {
        stream.write_all(head("GET", "/links?count=1", &[]).as_bytes()).unwrap();
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            bytes.push(byte[0]);
        }
        assert!(bytes.starts_with(b"HTTP/1.1 200 "));
        stream.read_exact(&mut [0; 32]).unwrap();
    }
}
