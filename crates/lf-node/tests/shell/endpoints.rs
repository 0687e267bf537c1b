//! Every endpoint's JSON, statuses and quirks.

use std::io::Read;

use base64::Engine as _;
use lf_proto::api::{Query, QueryRange, WorkAnswer, WorkRequest};
use lf_proto::pulse::PulseStart;
use lf_proto::selector::SelectorName;
use lf_proto::work::{self, DIFFICULTY_MAX, Table, TablePasses, Work};
use serde_json::{Value, json};

use super::client::{Answer, request};
use super::running::{node, owner, record};

fn unzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

#[test]
fn every_answer_carries_the_headers() {
    let node = node();
    let paths = [
        ("GET", "/status", 200),
        ("HEAD", "/status", 200),
        ("GET", "/status?foo=bar", 200),
        ("POST", "/status", 405),
        ("GET", "/status/", 404),
        ("GET", "/", 404),
        ("POST", "/foo", 404),
        ("HEAD", "/foo", 404),
        ("OPTIONS", "/query", 405),
        ("FOO", "/status", 405),
        ("GET", "/links", 200),
        ("GET", "/dumprecords", 200),
        ("GET", "/v1/genesis", 200),
        ("GET", "/v1/peers", 200),
        ("GET", "/v1/records", 400),
        ("GET", "/v1/certificates", 400),
        ("GET", "/v1/certificates?issuer=0abc&after=x", 400),
        ("GET", "/v1/certificates?issuer=0abc&after=99999999999&count=5", 200),
        ("POST", "/query", 400),
        ("POST", "/query/", 404),
        ("GET", "//status", 404),
        ("GET", "/record/%FF", 404),
        ("GET", "/owner/@%C3%A9", 400),
        ("GET", "/metrics", 200),
        ("GET", "/v1/graph", 200),
        ("GET", "/v1/graph?count=x", 400),
        ("GET", "/v1/graph?from=-1", 400),
        ("GET", "/page/", 404),
        ("GET", "/v1/openapi.json", 200),
    ];
    for (method, path, status) in paths {
        let answer = request(node.address, method, path, &[], b"");
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("x-lf-apiversion"), Some("1"), "{method} {path}");
        assert_eq!(answer.header("x-lf-version"), Some(concat!(env!("CARGO_PKG_VERSION"), ".0")));
        assert!(answer.header("x-lf-time").unwrap().parse::<u64>().unwrap() > 1_700_000_000);
        assert_eq!(answer.header("cache-control"), Some("no-cache, no-store, must-revalidate"));
        if method == "HEAD" {
            assert!(answer.body.is_empty(), "{path}");
        } else if status >= 400 {
            assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
            assert_eq!(answer.json()["Code"], status, "{path}");
        }
    }
}

#[test]
fn methods_not_taken_are_named_with_those_that_are() {
    let node = node();
    for (method, path, allow) in [
        ("POST", "/status", "GET, HEAD"),
        ("PUT", "/links", "GET, HEAD"),
        ("DELETE", "/record/=abc", "GET, HEAD"),
        ("GET", "/post", "POST, PUT"),
        ("PATCH", "/post", "POST, PUT"),
        ("OPTIONS", "/query", "POST, PUT"),
        ("DELETE", "/v1/watch", "GET, HEAD, POST, PUT"),
    ] {
        let answer = request(node.address, method, path, &[], b"");
        assert_eq!(answer.error(405, ""), format!("{method} not supported for this path"));
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
    let head = request(node.address, "HEAD", "/query", &[], b"");
    assert_eq!((head.status, head.header("allow"), head.body.len()), (405, Some("POST, PUT"), 0));
    assert_eq!(node.get("/foo/bar?x=y").error(404, ""), "/foo/bar not found");
}

#[test]
fn head_is_get_without_the_body() {
    let node = node();
    node.publish("head", 0, "value");
    let owner = format!("/owner/{}", owner("someone").public());
    for path in ["/links?count=2", "/v1/openapi.json", "/dumprecords", &owner] {
        let (get, head) = (node.get(path), request(node.address, "HEAD", path, &[], b""));
        assert_eq!((get.status, head.status, &head.body), (200, 200, &Vec::new()), "{path}");
        assert_eq!(get.header("content-type"), head.header("content-type"), "{path}");
        assert_eq!(get.header("content-length"), head.header("content-length"), "{path}");
    }
}

#[test]
fn gzip_is_given_when_asked_for() {
    let node = node();
    for i in 0..20 {
        node.publish("zip", i, "much the same value every time, again and again and again");
    }
    let query = br#"{"Ranges":[{"Name":"zip","Range":[0,100]}]}"#;
    for (method, path, body) in
        [("GET", "/v1/openapi.json", &b""[..]), ("GET", "/dumprecords", b""), ("POST", "/query", query)]
    {
        let plain = request(node.address, method, path, &[], body);
        assert_eq!(plain.header("content-encoding"), None, "{path}");
        let zipped = request(node.address, method, path, &[("Accept-Encoding", "deflate, gzip")], body);
        assert_eq!(zipped.header("content-encoding"), Some("gzip"), "{path}");
        assert_eq!(zipped.header("vary"), Some("Accept-Encoding"));
        assert!(zipped.body.len() < plain.body.len(), "{path}");
        assert_eq!(unzip(&zipped.body), plain.body, "{path}");
        let refused = request(node.address, method, path, &[("Accept-Encoding", "gzip;q=0")], body);
        assert_eq!(refused.header("content-encoding"), None, "{path}");
    }
}

/// A few records are answered at once, many elsewhere: by keys and by names the answers are the same.
#[test]
fn keys_are_answered_as_names_are_few_or_many() {
    let node = node();
    for ordinal in 0..20 {
        node.publish("many", ordinal, &"a value that is worth compressing ".repeat(30));
    }
    let name = SelectorName::new(b"many");
    for last in [0, 3, 15, 16, 19] {
        let key_range = [0, last].map(|ordinal| name.key(ordinal).unwrap().0.as_slice().into()).to_vec();
        let range = QueryRange { key_range, ..QueryRange::default() };
        let query = Query { ranges: vec![range], masking_key: b"many".as_slice().into(), ..Query::default() };
        let query = serde_json::to_string(&query).unwrap();
        let sets = node.query(&query);
        assert_eq!(sets.as_array().unwrap().len() as u64, last + 1);
        assert_eq!(sets, node.query(&format!(r#"{{"Ranges":[{{"Name":"many","Range":[0,{last}]}}]}}"#)));
        let zipped =
            request(node.address, "POST", "/query", &[("Accept-Encoding", "gzip")], query.as_bytes());
        assert_eq!(serde_json::from_slice::<Value>(&unzip(&zipped.body)).unwrap(), sets);
    }
}

#[test]
fn a_record_is_posted_found_and_fetched() {
    let node = node();
    let record = node.record("horse", 3, "bad", node.clock());
    let posted = node.post("/post", record.as_bytes()).ok();
    assert_eq!(posted["Owner"], owner("someone").public().to_string());
    assert_eq!(posted["Timestamp"], record.timestamp());
    assert_eq!(node.post("/post", record.as_bytes()).ok(), posted, "a duplicate is a success");
    let put =
        request(node.address, "PUT", "/post", &[("Content-Type", "application/json")], record.as_bytes());
    assert_eq!(put.ok(), posted);

    let hash = record.hash().to_string();
    let encoded = hash.replace('=', "%3D");
    assert_eq!(node.get(&format!("/record/{hash}")).ok(), posted);
    assert_eq!(node.get(&format!("/record/{encoded}")).ok(), posted);
    for hash in [&hash, &encoded] {
        let raw = node.get(&format!("/record/raw/{hash}"));
        assert_eq!((raw.status, raw.header("content-type")), (200, Some("application/octet-stream")));
        assert_eq!(raw.body, record.as_bytes());
    }

    let sets = node.query(r#"{"Ranges":[{"Name":"horse","Range":[3]}]}"#);
    let result = &sets[0][0];
    assert_eq!((sets.as_array().unwrap().len(), sets[0].as_array().unwrap().len()), (1, 1));
    assert_eq!((&result["Hash"], &result["Record"]), (&json!(hash), &posted));
    assert_eq!((&result["Value"], &result["Size"]), (&json!("bad"), &json!(record.as_bytes().len())));
    assert_eq!(result["Weight"].as_array().unwrap().len(), 4);
    assert_eq!(node.query(r#"{"ranges":[{"NAME":"horse","range":[0,18446744073709551615]}],"new":1}"#), sets);
    assert_eq!(node.query(r#"{"Ranges":[{"Name":"cow"}]}"#), json!([]), "no match is an empty list");
    let explained = node.post("/v1/explain", br#"{"Ranges":[{"Name":"horse","Range":[3]}],"Limit":1}"#).ok();
    assert_eq!(explained["Sets"][0]["Candidates"][0]["Result"], *result);
    assert_eq!(explained["Sets"][0]["Because"], "it is the only one under this name here");
    node.post("/v1/explain", b"{}").error(400, "ErrQueryRequiresSelectors");

    let status = node.get("/status").ok();
    assert_eq!((&status["LocalTestMode"], &status["P2PPort"]), (&json!(true), &json!(0)));
    assert!(status["RecordCount"].as_u64().unwrap() >= 1);
    let owner = node.get(&format!("/owner/{}", posted["Owner"].as_str().unwrap())).ok();
    assert_eq!((&owner["RecordCount"], &owner["OwnerType"]), (&json!(1), &json!("ed25519")));
    assert_eq!(owner["RecordBytes"], record.as_bytes().len());
}

#[test]
fn what_is_not_there_is_404_and_what_cannot_be_is_400() {
    let node = node();
    let unknown = format!("={}", "A".repeat(43));
    let hash = node.publish("x", 0, "x").hash().to_string();
    assert_eq!(
        node.get(&format!("/record/{unknown}")).error(404, "ErrRecordNotFound"),
        format!("/record/{unknown} not found")
    );
    for path in ["/record/=xyz", "/record/", "/record", "/record/raw/", "/record/=%C3%A9", "/record/raw/=xyz"]
    {
        assert!(node.get(path).error(404, "").ends_with(" not found"), "{path}");
    }
    // Without the =, and with characters that base62 does not have.
    node.get(&format!("/record/{}", &hash[1..])).error(404, "");
    node.get(&format!("/record/{}-{}", &hash[..9], &hash[9..])).error(404, "");
    for path in ["/owner/@", "/owner/", "/owner/abc", "/owner"] {
        node.get(path).error(404, "");
    }
    for path in ["/owner/@abc", "/owner/@%C3%A9", "/owner/@a-b", "/owner/@aaaaaaaaaaaaaaaaaaa"] {
        node.get(path).error(400, "ErrInvalidPublicKey");
    }
    // An owner that could be, but that nobody knows.
    let nobody = owner("nobody").public().to_string().replace('@', "%40");
    assert_eq!(node.get(&format!("/owner/{nobody}")).ok()["RecordCount"], 0);
}

#[test]
fn links_are_as_many_as_asked() {
    let node = node();
    for i in 0..20 {
        node.publish("links", i, "x");
    }
    let count = |query: &str| {
        let answer = node.get(&format!("/links{query}"));
        assert_eq!((answer.status, answer.body.len() % 32), (200, 0), "{query}");
        answer.body.len() / 32
    };
    for (query, expected) in [("", 3), ("?count=", 3), ("?other=9", 3), ("?count=1", 1), ("?count=5", 5)] {
        assert_eq!(count(query), expected, "{query}");
    }
    for query in ["?count=0", "?count=-1", "?count=abc", "?count=%20"] {
        assert_eq!(count(query), 1, "{query}");
    }
    for query in ["?count=15", "?count=16", "?count=100", "?count=99999999999999999999"] {
        assert_eq!(count(query), 15, "{query}");
    }
}

#[test]
fn refusals_have_a_name_and_a_line() {
    let node = node();
    let good = node.record("x", 0, "x", node.clock());
    let mut tampered = good.as_bytes().to_vec();
    *tampered.last_mut().unwrap() ^= 1;
    let future = node.record("x", 0, "x", node.clock() + 1_000);
    let few = record(&owner("someone"), "x", 0, "x", node.clock(), &node.links()[..1]);
    let mut state = 1_u32;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        char::from(33 + (state % 90) as u8)
    };
    let noise: String = (0..3_000).map(|_| letter()).collect();
    let large = node.record("x", 0, &noise, node.clock());
    for (bytes, name) in [
        (&b""[..], "ErrRecordInvalid"),
        (b"this is not a record", "ErrRecordInvalid"),
        (&[0xff; 12], "ErrRecordInvalid"),
        (&good.as_bytes()[..good.as_bytes().len() - 1], "ErrRecordInvalid"),
        (&tampered, "ErrRecordOwnerSignatureCheckFailed"),
        (future.as_bytes(), "ErrRecordViolatesSpecialRelativity"),
        (few.as_bytes(), "ErrRecordInsufficientLinks"),
        (large.as_bytes(), "ErrRecordValueTooLarge"),
    ] {
        let message = node.post("/post", bytes).error(400, name);
        assert!(!message.is_empty() && !message.contains('\n'), "{message}");
    }
    // A record may link to ones that are not here; nobody sees it until they are.
    let links = [lf_proto::hash::Hash([1; 32]), lf_proto::hash::Hash([2; 32]), lf_proto::hash::Hash([3; 32])];
    let dangling = record(&owner("someone"), "dangling", 0, "x", node.clock(), &links);
    node.post("/post", dangling.as_bytes()).ok();
    assert_eq!(node.query(r#"{"Ranges":[{"Name":"dangling"}]}"#), json!([]));
    assert_eq!(node.get("/status").ok()["PendingCount"], 1);

    for (body, name) in [
        (&b"{}"[..], "ErrQueryRequiresSelectors"),
        (b"null", "ErrQueryRequiresSelectors"),
        (b"{\"Ranges\":[", "ErrInvalidObject"),
        (b"", "ErrInvalidObject"),
        (b"{\"Ranges\":5}", "ErrInvalidObject"),
        (b"{\"Ranges\":[{\"Name\":\"x\"}],\"Owners\":[\"xyz\"]}", "ErrInvalidObject"),
        (b"{\"Ranges\":[{\"Name\":\"x\"}],\"SortOrder\":\"luck\"}", "ErrQueryInvalidSortOrder"),
        ("{\"Ranges\":[{\"KeyRange\":[\"\\b\u{e9}\"]}]}".as_bytes(), "ErrInvalidObject"),
    ] {
        let message = node.post("/query", body).error(400, name);
        assert!(!message.is_empty(), "{}", String::from_utf8_lossy(body));
    }
    // Nesting is bounded; what follows the value is ignored.
    node.post("/query", format!("{{\"Ranges\":{}", "[".repeat(100_000))).error(400, "ErrInvalidObject");
    node.post("/query", r#"{"Ranges":[{"Name":"x"}]} and garbage"#).ok();
}

#[test]
fn pulses_are_taken_once() {
    let node = node();
    let timestamp = node.clock() - 300;
    let record = node.record("beat", 0, "x", timestamp);
    node.post("/post", record.as_bytes()).ok();
    let start = PulseStart::new(&["beat"], &[0], timestamp, &owner("someone").private_hash()).unwrap();
    let bytes = start.pulse_at(5).unwrap().to_bytes();
    let base64 = base64::engine::general_purpose::STANDARD.encode(bytes);
    let mut longer = bytes.to_vec();
    longer.extend_from_slice(b"xx");
    assert_eq!(node.post("/pulse", bytes).ok(), json!({ "Pulse": base64, "Accepted": true }));
    assert_eq!(node.post("/pulse", bytes).ok(), json!({ "Pulse": base64, "Accepted": false }));
    assert_eq!(node.post("/pulse", &longer).ok(), json!({ "Pulse": base64, "Accepted": false }));
    let sets = node.query(r#"{"Ranges":[{"Name":"beat"}]}"#);
    assert_eq!(sets[0][0]["Pulse"], timestamp + 300);
    for unusable in
        [&[0; 11][..], &[1; 11], &[0xff; 11], b"!abcdefghijklmn", &start.pulse_at(500).unwrap().to_bytes()]
    {
        let base64 = base64::engine::general_purpose::STANDARD.encode(&unusable[..11]);
        assert_eq!(node.post("/pulse", unusable).ok(), json!({ "Pulse": base64, "Accepted": false }));
    }
    for short in [&b""[..], &bytes[..10]] {
        node.post("/pulse", short).error(400, "ErrInvalidParameter");
    }
}

#[test]
fn records_and_pulses_are_made() {
    let node = node();
    let now = node.clock();
    let make = |extra: Value| {
        let mut request =
            json!({ "Selectors": [{ "Name": "made", "Ordinal": 3 }], "Passphrase": "open sesame" });
        request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        request.to_string()
    };
    let made = node.post("/makerecord", make(json!({ "Value": "v", "Timestamp": now - 165 }))).ok();
    assert_eq!((&made["Accepted"], &made["Record"]["Timestamp"]), (&json!(true), &json!(now - 165)));
    let pem = owner("someone").to_pem();
    let by_pem =
        json!({ "Selectors": [{ "Name": "pem" }], "Value": "v", "OwnerPrivate": pem.as_str() }).to_string();
    let made = node.post("/makerecord", by_pem).ok();
    assert_eq!(made["Record"]["Owner"], owner("someone").public().to_string());
    assert_eq!(node.query(r#"{"Ranges":[{"Name":"pem"}]}"#)[0][0]["Value"], "v");

    let again = make(json!({ "Value": "v", "Timestamp": now - 10, "PulseIfUnchanged": true }));
    let pulsed = node.post("/makerecord", again).ok();
    assert_eq!(pulsed["Accepted"], true);
    assert_eq!(
        base64::engine::general_purpose::STANDARD.decode(pulsed["Pulse"].as_str().unwrap()).unwrap().len(),
        11
    );
    let pulsed = node.post("/makepulse", make(json!({ "Timestamp": now + 20 }))).ok();
    assert_eq!(pulsed["Accepted"], true);
    let sets = node.query(r#"{"Ranges":[{"Name":"made","Range":[3]}]}"#);
    assert_eq!(sets[0][0]["Pulse"], now - 165 + 180);

    for (path, body, name) in [
        ("/makerecord", r#"{"Selectors":[{"Name":"x"}],"Value":"y"}"#, "ErrInvalidPrivateKey"),
        ("/makerecord", r#"{"Value":"y","OwnerPrivate":"junk"}"#, "ErrInvalidPrivateKey"),
        ("/makerecord", "null", "ErrInvalidPrivateKey"),
        ("/makerecord", r#"{"Selectors":"#, "ErrInvalidObject"),
        ("/makepulse", "xx", "ErrInvalidObject"),
        ("/makepulse", r#"{"Selectors":[{"Name":"nope"}],"Passphrase":"open sesame"}"#, "ErrRecordNotFound"),
    ] {
        node.post(path, body).error(400, name);
    }
}

#[test]
fn work_is_done_for_who_signs_on_its_own() {
    let node = node();
    let input = [7; 48];
    let ask = |input: &[u8], difficulty: u32| {
        let request = WorkRequest { work_hash: input.into(), difficulty };
        node.post("/v1/work", serde_json::to_vec(&request).unwrap())
    };
    let answer: WorkAnswer = serde_json::from_value(ask(&input, 0x1_0000).ok()).unwrap();
    let work = Work(answer.work.0.try_into().unwrap());
    assert_eq!(work.difficulty(), 0x1_0000);
    work::verify(Table::shared(), &input, &work, TablePasses(1)).unwrap();
    for (input, difficulty) in
        [(&input[..47], 9), (&[7; 49], 9), (&[], 9), (&input, 0), (&input, DIFFICULTY_MAX + 1)]
    {
        ask(input, difficulty).error(400, "ErrInvalidParameter");
    }
    node.post("/v1/work", r#"{"Difficulty":4294967296}"#).error(400, "ErrInvalidObject");
}

#[test]
fn peers_are_checked() {
    let node = node();
    let connect = |body: &str| node.post("/connect", body);
    for good in [r#"{"IP":"127.0.0.1","Port":9908,"Identity":"\bAAAA"}"#, r#"{"ip":"::1","port":1}"#, "{}"] {
        let answer = connect(good);
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{good}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    connect(r#"{"IP":"nonsense","Port":9908}"#).error(400, "ErrInvalidParameter");
    connect("{").error(400, "ErrInvalidObject");
    connect(r#"{"IP":"::1","Port":65536}"#).error(400, "ErrInvalidObject");
}

#[test]
fn a_dump_is_all_records_links_first() {
    let node = node();
    let mut posted: Vec<Vec<u8>> = (0..5).map(|i| node.publish("dump", i, "x").as_bytes().to_vec()).collect();
    let dump = node.get("/dumprecords");
    assert_eq!((dump.status, dump.header("content-type")), (200, Some("application/octet-stream")));
    let (mut rest, mut seen) = (dump.body.as_slice(), Vec::new());
    while !rest.is_empty() {
        let (record, used) = lf_proto::record::Record::decode_first(rest).unwrap();
        assert!(record.links().iter().all(|link| seen.contains(link)), "a linker before its link");
        posted.retain(|bytes| bytes != record.as_bytes());
        seen.push(record.hash());
        rest = &rest[used..];
    }
    assert!(posted.is_empty());
    assert_eq!(seen.len() as u64, node.get("/status").ok()["RecordCount"].as_u64().unwrap());
}

#[test]
fn a_dump_goes_on_where_it_was_cut() {
    let node = node();
    let last = (0..5).map(|i| node.publish("dump", i, "x").hash()).last().unwrap();
    let dump = node.get("/dumprecords").body;
    let (mut rest, mut count) = (dump.as_slice(), 0);
    while !rest.is_empty() {
        let (record, used) = lf_proto::record::Record::decode_first(rest).unwrap();
        rest = &rest[used..];
        count += 1;
        let left = node.get(&format!("/v1/records?from={count}&after={}", record.hash()));
        assert_eq!((left.status, left.header("content-type")), (200, Some("application/octet-stream")));
        assert_eq!(left.body, rest);
    }
    for index in [0, 1, count - 1, count + 1, u32::MAX] {
        let path = format!("/v1/records?from={index}&after={last}");
        let message = node.get(&path).error(404, "ErrRecordNotFound");
        assert!(message.contains(&last.to_string()), "{message}");
    }
    for query in
        ["", "?from=1", "?from=-1&after==x", &format!("?after={last}"), &format!("?from=x&after={last}")]
    {
        node.get(&format!("/v1/records{query}")).error(400, "ErrInvalidParameter");
    }
}

#[test]
fn what_a_new_node_needs_is_served() {
    let node = node();
    let genesis = node.get("/v1/genesis");
    assert_eq!((genesis.status, genesis.body), (200, lf_node::sol().to_bytes()));
    assert_eq!(node.get("/v1/peers").ok(), serde_json::json!({ "Peers": [] }));
}

#[test]
fn metrics_tell_what_happened() {
    let node = node();
    node.publish("metric", 0, "x");
    node.post("/post", b"junk").error(400, "ErrRecordInvalid");
    node.query(r#"{"Ranges":[{"Name":"metric"}]}"#);
    node.get("/nowhere");
    let answer = node.get("/metrics");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = String::from_utf8(answer.body).unwrap();
    for line in [
        "lf_records_accepted_total 1",
        "lf_records_refused_total{reason=\"ErrRecordInvalid\"} 1",
        "lf_queries_total 1",
        "lf_http_requests_total{path=\"/post\",status=\"200\"} 1",
        "lf_http_requests_total{path=\"/post\",status=\"400\"} 1",
        "lf_http_requests_total{path=\"other\",status=\"404\"} 1",
        "lf_http_request_seconds_count{path=\"/post\"} 2",
        "lf_http_request_seconds_bucket{path=\"/query\",le=\"+Inf\"} 1",
        "lf_writable 1",
        "lf_checks_waiting{from=\"client\"} 0",
        "lf_disk_needed_bytes 67108864",
        "lf_log_lines_lost_total 0",
        "lf_log_segments 1",
    ] {
        assert!(text.lines().any(|l| l == line), "no {line} in\n{text}");
    }
    for name in ["lf_clock_seconds", "lf_disk_free_bytes", "lf_log_bytes"] {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        assert!(value.is_some_and(|value| value > 0.0), "{name} in\n{text}");
    }
    // Each family is announced once, before its samples.
    let mut announced = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(announced.insert(rest.split(' ').next().unwrap().to_owned()), "{line}");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let family =
                ["_bucket", "_sum", "_count"].iter().find_map(|s| name.strip_suffix(s)).unwrap_or(name);
            assert!(announced.contains(family), "{line}");
            assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
        }
    }
}

#[test]
fn the_document_describes_every_endpoint() {
    let node = node();
    let document = node.get("/v1/openapi.json").ok();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    // Of API.md, written out here by hand.
    let expected = [
        ("/query", "post"),
        ("/post", "post"),
        ("/pulse", "post"),
        ("/makerecord", "post"),
        ("/makepulse", "post"),
        ("/connect", "post"),
        ("/record/{hash}", "get"),
        ("/record/raw/{hash}", "get"),
        ("/links", "get"),
        ("/status", "get"),
        ("/owner/{owner}", "get"),
        ("/dumprecords", "get"),
        ("/v1/genesis", "get"),
        ("/v1/graph", "get"),
        ("/v1/certificates", "get"),
        ("/v1/peers", "get"),
        ("/v1/peers/status", "get"),
        ("/v1/peers/ban", "post"),
        ("/v1/peers/unban", "post"),
        ("/v1/explain", "post"),
        ("/v1/work", "post"),
        ("/v1/records", "get"),
        ("/v1/watch", "get"),
        ("/v1/watch", "post"),
        ("/v1/openapi.json", "get"),
        ("/metrics", "get"),
    ];
    for (path, method) in expected {
        let operation = &paths[path][method];
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{method} {path}");
        assert!(operation["responses"]["200"].is_object(), "{method} {path}");
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let in_path: Vec<&str> =
            parameters.iter().filter(|p| p["in"] == "path").map(|p| p["name"].as_str().unwrap()).collect();
        let named: Vec<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
        assert_eq!(in_path, named, "{method} {path}");
        assert_eq!(operation["requestBody"].is_object(), method == "post", "{method} {path}");
    }
    let count: usize = paths.values().map(|item| item.as_object().unwrap().len()).sum();
    assert_eq!(count, expected.len(), "endpoints that API.md does not know");
    // Every path described is served, and by the methods described alone.
    for (path, item) in paths {
        let real = path.replace("{hash}", "=x").replace("{owner}", "@x");
        let answer: Answer = request(node.address, "DELETE", &real, &[], b"");
        answer.error(405, "");
        let allowed = answer.header("allow").unwrap().to_owned();
        for (method, upper) in [("get", "GET"), ("post", "POST")] {
            assert_eq!(
                item.get(method).is_some(),
                allowed.split(", ").any(|m| m == upper),
                "{path} {method}"
            );
        }
    }
}

#[test]
fn the_graph_comes_in_pages_with_links_and_weights() {
    let node = node();
    let published: Vec<String> = (0..5).map(|i| node.publish("graph", i, "x").hash().to_string()).collect();
    let graph = |query: &str| node.get(&format!("/v1/graph{query}")).ok();
    let all = graph("");
    let records = all["Records"].as_array().unwrap();
    let linked = all["Linked"].as_u64().unwrap();
    assert_eq!(records.len() as u64, linked);
    assert_eq!(linked, node.get("/status").ok()["RecordCount"].as_u64().unwrap());
    assert!(all["Tips"].as_u64().unwrap() >= 1);
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record["Index"], index, "in order, without a gap");
        // Links are the record's own, as indexes.
        let stored = node.get(&format!("/record/{}", record["Hash"].as_str().unwrap())).ok();
        let mut links: Vec<&str> = record["Links"]
            .as_array()
            .unwrap()
            .iter()
            .map(|link| {
                let link = link.as_u64().unwrap() as usize;
                assert!(link < index, "older");
                records[link]["Hash"].as_str().unwrap()
            })
            .collect();
        let own = stored["Links"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut own: Vec<&str> = own.iter().map(|link| link.as_str().unwrap()).collect();
        links.sort_unstable();
        own.sort_unstable();
        assert_eq!(links, own);
        assert_eq!((&record["Owner"], &record["Type"]), (&stored["Owner"], &stored["Type"]));
    }
    let newest: Vec<&str> =
        records[records.len() - 5..].iter().map(|r| r["Hash"].as_str().unwrap()).collect();
    assert_eq!(newest, published);
    let last = records.last().unwrap();
    assert_eq!(
        (&last["Weight"][3], &last["Selectors"], &last["Reputation"]),
        (&last["Score"], &json!(1), &json!(63))
    );
    let weight = |record: &Value| record["Weight"][3].as_u64().unwrap();
    assert!(weight(&records[0]) > weight(last), "the first carries all that came later");

    // A page from an index, and the newest.
    let page = graph("?from=1&count=2");
    assert_eq!(page["Records"], json!([records[1], records[2]]));
    assert_eq!(graph("?count=1")["Records"], json!([last]));
    for empty in [format!("?from={linked}"), "?from=4294967295".to_owned(), "?count=0".to_owned()] {
        let page = graph(&empty);
        assert_eq!((&page["Records"], &page["Linked"]), (&json!([]), &json!(linked)), "{empty}");
    }
    assert_eq!(graph("?count=4294967295")["Records"].as_array().unwrap().len() as u64, linked);

    // What takes another's name.
    let rival = record(&owner("rival"), "graph", 0, "x", node.clock(), &node.links());
    node.post("/post", rival.as_bytes()).ok();
    assert_eq!(graph("?count=1")["Records"][0]["Reputation"], 0);
}

#[test]
fn browsers_are_given_the_page_and_nobody_else() {
    let node = node();
    let browser = ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
    let get = |path: &str, headers: &[(&str, &str)]| request(node.address, "GET", path, headers, b"");
    let page = get("/", &[browser]);
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let html = String::from_utf8(page.body.clone()).unwrap();
    assert!(
        !html.contains("<style") && !html.contains(" style=") && !html.contains("://"),
        "nothing inline or foreign"
    );

    // Every file that the page names is there, with its type, its policy and a tag that saves fetching it again.
    let files = [
        ("/", "text/html; charset=utf-8"),
        ("/page/page.js", "text/javascript; charset=utf-8"),
        ("/page/page.css", "text/css; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ];
    for named in html.split('"').filter(|text| text.starts_with("/page/")) {
        assert!(files.iter().any(|(path, _)| *path == named), "{named}");
    }
    for (path, content_type) in files {
        let answer = get(path, &[browser]);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.split("; ").any(|directive| directive == part), "{path}: {part} in {policy}");
        }
        assert!(!policy.contains("unsafe"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        assert_eq!(answer.header("x-lf-apiversion"), Some("1"));
        let tag = answer.header("etag").unwrap();
        let again = get(path, &[browser, ("If-None-Match", tag)]);
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(tag)), "{path}");
        assert_eq!(get(path, &[browser, ("If-None-Match", "\"other\"")]).status, 200);
        let head = request(node.address, "HEAD", path, &[browser], b"");
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(head.header("content-length"), answer.header("content-length"));
        let zipped = get(path, &[browser, ("Accept-Encoding", "gzip")]);
        if answer.body.len() >= 256 {
            assert_eq!(
                (zipped.header("content-encoding"), &unzip(&zipped.body)),
                (Some("gzip"), &answer.body)
            );
        }
    }

    // Programs see what they saw before there was a page.
    for headers in [&[][..], &[("Accept", "*/*")], &[("Accept", "application/json")]] {
        assert_eq!(get("/", headers).error(404, ""), "/ not found");
    }
    assert_eq!(request(node.address, "POST", "/", &[browser], b"").status, 404);
    let post = request(node.address, "POST", "/page/page.js", &[], b"");
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")));

    // The page has no rights of its own: what it sends has an origin.
    let own = format!("http://{}", node.address);
    let make = request(node.address, "POST", "/v1/work", &[("Origin", &own)], b"{}");
    make.error(403, "");
}
