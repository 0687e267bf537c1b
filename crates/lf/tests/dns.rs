//! `lf dns` as others see it: a real node, a real server, and dig.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;
#[path = "support/tools.rs"]
mod tools;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use support::{Home, Node, Ran, command};

/// Longer than anything here takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `lf dns`, and what it says.
struct Dns {
    child: Child,
    address: SocketAddr,
    said: Arc<Mutex<String>>,
}

impl Dns {
    fn start(home: &Home, args: &[&str]) -> Self {
        let mut run = command(home.path());
        run.args(["dns", "--listen", "127.0.0.1:0"]).args(args);
        let mut child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (lines, heard) = (BufReader::new(child.stderr.take().unwrap()).lines(), said.clone());
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                *heard.lock().unwrap() += &format!("{line}\n");
            }
        });
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let address = ready.strip_prefix("lf dns is ready: ").and_then(|rest| rest.split(' ').next());
        let address = address.unwrap_or_else(|| panic!("{ready:?} {}", said.lock().unwrap()));
        Dns { child, address: address.parse().unwrap(), said }
    }

    /// What dig prints.
    #[track_caller]
    fn dig(&self, words: &str) -> String {
        let mut dig = Command::new("dig");
        dig.arg(format!("@{}", self.address.ip())).arg("-p").arg(self.address.port().to_string());
        dig.args(["+tries=1", "+time=20", "+nocookie"]).args(words.split(' '));
        tools::must_succeed(&mut dig)
    }

    /// The data of the answer, a line each, in order.
    #[track_caller]
    fn short(&self, words: &str) -> Vec<String> {
        let mut lines: Vec<_> = self.dig(&format!("+short {words}")).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// The status, and the records of the answer with single spaces.
    #[track_caller]
    fn answer(&self, words: &str) -> (String, Vec<String>) {
        let all = self.dig(&format!("+noall +comments +answer +authority {words}"));
        let status = all.split("status: ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
        let records = all.lines().filter(|line| !line.is_empty() && !line.starts_with(';'));
        let records = records.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        (status.to_owned(), records.collect())
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said this.
    #[track_caller]
    fn says(&self, what: &str) -> String {
        wait(&format!("{what:?} is said"), || self.said().contains(what).then(|| self.said()))
    }

    /// An answer to bytes over UDP; none if nothing comes before the answer to a good question asked after it.
    fn udp(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let good =
            lf_dns::query::question(0xbeef, &"elsewhere.invalid".parse().unwrap(), lf_dns::RecordType::A);
        let mut buffer = [0; 65_536];
        socket.send(bytes).unwrap();
        socket.send(&good).unwrap();
        let mut answers = Vec::new();
        while answers.is_empty() || !answers.iter().any(|answer: &Vec<u8>| answer[..2] == [0xbe, 0xef]) {
            let length = socket.recv(&mut buffer).unwrap();
            answers.push(buffer[..length].to_vec());
        }
        // They may overtake each other: what else comes at all comes before a second good one.
        socket.send(&good).unwrap();
        loop {
            let length = socket.recv(&mut buffer).unwrap();
            if buffer[..2] == [0xbe, 0xef] {
                break;
            }
            answers.push(buffer[..length].to_vec());
        }
        answers.into_iter().find(|answer| answer[..2] != [0xbe, 0xef])
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn wait<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(done) = done() {
            return done;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An owner's public form.
fn new_owner(home: &Home, name: &str) -> String {
    home.run(&format!("owner new {name} ed25519")).good().split_whitespace().last().unwrap().to_owned()
}

fn put(home: &Home, words: &[&str]) -> Ran {
    home.lf([&["dns", "put"], words].concat())
}

/// A node in local test mode with an owner who is pinned, and the server's arguments for that.
fn pinned() -> (Node, String) {
    let node = Node::start();
    let owner = new_owner(&node.home, "alice");
    node.home.run("owner default alice").good();
    (node, owner)
}

#[test]
fn each_type_is_served_as_it_was_written() {
    if !tools::have(&["dig"]) {
        return;
    }
    let (node, owner) = pinned();
    let home = &node.home;
    for (words, _) in TYPES {
        put(home, words).good();
    }
    let dns = Dns::start(home, &["--zone", "example.lf", "--trust", &owner, "--ns", "ns1.other"]);
    for (words, expected) in TYPES {
        let mut expected: Vec<_> = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(dns.short(&format!("{} {}", words[0], words[1])), expected, "{words:?}");
        assert_eq!(dns.short(&format!("+tcp {} {}", words[0], words[1])), expected, "{words:?} over TCP");
    }
    // TTLs, and the answer's own marks: authoritative, not signed.
    let all = dns.dig("+noall +comments +answer +dnssec www.example.lf A");
    assert!(all.contains("flags: qr aa rd;") && all.contains("ANSWER: 2"), "{all}");
    assert!(all.contains("version: 0, flags: do; udp: 1232") && !all.contains("RRSIG"), "{all}");
    assert_eq!(
        dns.answer("mail.example.lf A"),
        ("NOERROR".into(), vec!["mail.example.lf. 77 IN A 192.0.2.25".into()])
    );
    // Aliases are followed, wildcards stand for what is not there.
    assert_eq!(dns.short("alias.example.lf A"), ["192.0.2.1", "192.0.2.2", "www.example.lf."]);
    assert_eq!(dns.short("anything.apps.example.lf A"), ["192.0.2.1", "192.0.2.2", "www.example.lf."]);
    // What is made here.
    assert_eq!(dns.short("example.lf NS"), ["ns1.other."]);
    let soa = dns.short("example.lf SOA").concat();
    assert!(
        soa.starts_with("ns1.other. hostmaster.example.lf. ") && soa.ends_with(" 3600 600 86400 60"),
        "{soa}"
    );
    // What is not there: the SOA says for how long to believe it.
    for (words, status) in [
        ("nowhere.example.lf A", "NXDOMAIN"),
        ("www.example.lf TXT", "NOERROR"),
        ("www.example.lf DNSKEY", "NOERROR"),
        ("_tcp.example.lf A", "NOERROR"),
    ] {
        let (got, records) = dns.answer(words);
        assert_eq!((got.as_str(), records.len()), (status, 1), "{words}");
        assert!(records[0].contains(" 60 IN SOA ns1.other."), "{records:?}");
    }
    for words in ["www.elsewhere A", "example.lf AXFR", "-c CH version.bind TXT"] {
        let all = dns.dig(&format!("+noall +comments {words}"));
        assert!(all.contains("status: REFUSED") || all.contains("Transfer failed"), "{words}: {all}");
    }
    assert_eq!(dns.answer("www.example.lf ANY").1, ["www.example.lf. 3600 IN HINFO \"RFC8482\" \"\""]);
    let badvers = dns.dig("+noall +comments +edns=1 +noednsneg www.example.lf");
    assert!(badvers.contains("status: BADVERS"), "{badvers}");

    // lf dns get says the same, as a zone file.
    let got = home.run(&format!("dns get mail.example.lf --trust {owner}")).good();
    assert_eq!(got, "mail.example.lf. 77 IN A 192.0.2.25\n");
    let others = home.run("dns get mail.example.lf --trust certified").good();
    assert_eq!(others.matches("; not served: A of @").count(), 1, "{others}");
    let got = home.lf(["get", "dns/mail.example.lf#"]).good();
    assert_eq!(got, "77 192.0.2.25 | dns/mail.example.lf#1\n");

    // Replaced, and deleted.
    put(home, &["mail.example.lf", "A", "192.0.2.26"]).good();
    wait("the new address is served", || (dns.short("mail.example.lf A") == ["192.0.2.26"]).then_some(()));
    home.run("dns delete mail.example.lf A").good();
    wait("it is gone", || (dns.answer("mail.example.lf A").0 == "NXDOMAIN").then_some(()));
    assert!(
        home.run("dns delete mail.example.lf A").error().contains("has no A records of mail.example.lf.")
    );
}

/// What `lf dns put` is given, and what dig then shows.
const TYPES: &[(&[&str], &[&str])] = &[
    (&["www.example.lf", "A", "192.0.2.1", "192.0.2.2"], &["192.0.2.1", "192.0.2.2"]),
    (&["WWW.Example.lf.", "aaaa", "2001:db8::1"], &["2001:db8::1"]),
    (&["alias.example.lf", "CNAME", "www.example.lf"], &["www.example.lf."]),
    (&["*.apps.example.lf", "CNAME", "www.example.lf"], &["www.example.lf."]),
    (&["mail.example.lf", "A", "192.0.2.25", "--ttl", "77"], &["192.0.2.25"]),
    (
        &["example.lf", "MX", "10 mail.example.lf", "20 mail.other."],
        &["10 mail.example.lf.", "20 mail.other."],
    ),
    (
        &["example.lf", "TXT", "v=spf1 mx -all", "\"two\" \"strings; here\""],
        &["\"two\" \"strings; here\"", "\"v=spf1 mx -all\""],
    ),
    (&["_imaps._tcp.example.lf", "SRV", "1 2 993 mail.example.lf"], &["1 2 993 mail.example.lf."]),
    (
        &[
            "_25._tcp.mail.example.lf",
            "TLSA",
            "3 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        ],
        &["3 1 1 00112233445566778899AABBCCDDEEFF00112233445566778899AABB CCDDEEFF"],
    ),
    (&["example.lf", "CAA", "0 issue \"ca.example; policy=ev\""], &["0 issue \"ca.example; policy=ev\""]),
    (
        &["www.example.lf", "HTTPS", "1 . alpn=h2,h3 ipv4hint=192.0.2.1"],
        &["1 . alpn=\"h2,h3\" ipv4hint=192.0.2.1"],
    ),
    (&["_dns.example.lf", "SVCB", "1 dns.example.lf port=853"], &["1 dns.example.lf. port=853"]),
    (&["1.2.0.192.in-addr.example.lf", "PTR", "www.example.lf"], &["www.example.lf."]),
];

#[test]
fn what_cannot_be_served_is_not_written() {
    let (node, _) = pinned();
    let home = &node.home;
    for (words, problem) in [
        (&["www.example.lf", "A", "192.0.2.256"][..], "\"192.0.2.256\" is no IPv4 address"),
        (&["example.lf", "MX", "10", "mail.example.lf"], "exchange is missing"),
        (&["www.example.lf", "CNAME", "a.example.lf", "b.example.lf"], "a name has only one CNAME"),
        (&["www.example.lf", "TXT", "\"not closed"], "a quote that does not end"),
    ] {
        assert!(put(home, words).error().contains(problem), "{words:?}");
    }
    assert!(put(home, &["example.lf", "NS", "ns.other"]).usage_error().contains("made by the server"));
    assert!(put(home, &["exa mple.lf", "A", "192.0.2.1"]).usage_error().contains("is no domain name"));
    assert_eq!(home.lf(["get", "dns/www.example.lf#"]).good(), "");
    assert!(home.run("dns").error().contains("there is no zone to serve"));
    assert!(
        home.run("dns --zone example.lf --listen 127.0.0.1:0 --trust nobody")
            .usage_error()
            .contains("--trust")
    );
}

#[test]
fn zone_files_are_imported() {
    if !tools::have(&["dig"]) {
        return;
    }
    let (node, owner) = pinned();
    let home = &node.home;
    let zone = "$TTL 1h\n@ IN SOA ns hostmaster ( 1 3600 600 86400 60 ) ; serial first\n@ NS ns\n@ MX 10 mail\n\
                mail A 192.0.2.25\n     AAAA 2001:db8::25\nprinter.first.floor 60 A 192.0.2.99\n";
    std::fs::write(home.path().join("zone.txt"), zone).unwrap();
    let done = home.run("dns import example.lf zone.txt");
    assert!(done.stderr.contains("2 records of SOA or NS left out"), "{done:?}");
    assert!(done.good().contains(": 6 new, 0 unchanged\n"));
    assert!(home.run("dns import example.lf zone.txt").good().contains(": 0 new, 6 unchanged\n"));
    let dns = Dns::start(home, &["--zone", "example.lf", "--trust", &owner]);
    assert_eq!(dns.answer("example.lf MX").1, ["example.lf. 3600 IN MX 10 mail.example.lf."]);
    assert_eq!(
        dns.answer("printer.first.floor.example.lf A").1,
        ["printer.first.floor.example.lf. 60 IN A 192.0.2.99"]
    );
    // Names that are there only for others below them.
    assert_eq!(dns.answer("floor.example.lf A").0, "NOERROR");
    assert_eq!(dns.answer("second.floor.example.lf A").0, "NXDOMAIN");
    let bad = home.lf_with_input(["dns", "import", "example.lf", "-"], b"$INCLUDE zone.txt\n").error();
    assert!(bad.contains("line 1: $INCLUDE is not read"), "{bad}");
}

#[test]
fn only_who_is_trusted_is_served() {
    if !tools::have(&["dig"]) {
        return;
    }
    // A network with an authority, without proof of work.
    let base = tempfile::tempdir().unwrap().keep();
    let home = Home::new();
    home.run("ca root --common-name Root --output root.pem").good();
    home.run("makegenesis --name dns --links 2 --work-factor 1 --ca-file root.pem").good();
    std::fs::copy(home.path().join("genesis.lf"), base.join("genesis.lf")).unwrap();
    let node = Node::start_any(base, &["--testnet", "--p2p", "127.0.0.1:0"]);
    home.lf(["url", "default", &node.url]).good();
    let (mallory, alice) = (new_owner(&home, "mallory"), new_owner(&home, "alice"));
    home.run("owner makecsr alice --common-name alice --output alice.csr").good();
    home.run("owner authorize root.pem alice.csr 30").good();

    // Mallory is first everywhere, and nobody.
    let squatted = put(&home, &["www.example.lf", "A", "192.0.2.66", "--owner", "mallory"]);
    assert!(
        squatted.stderr.contains("has no current certificate: lf dns serves this only with --trust"),
        "{squatted:?}"
    );
    squatted.good();
    put(&home, &["www.example.lf", "A", "192.0.2.1", "--owner", "alice"]).good();
    put(&home, &["www.example.lf", "TXT", "by mallory", "--owner", "mallory"]).good();
    put(&home, &["m.example.lf", "A", "192.0.2.66", "--owner", "mallory"]).good();

    let dns = Dns::start(&home, &["--zone", "example.lf"]);
    assert_eq!(dns.short("www.example.lf A"), ["192.0.2.1"]);
    let said = dns.says(&format!("not served: www.example.lf. A of {mallory} "));
    assert!(said.contains("its owner has no current certificate"), "{said}");
    assert_eq!(dns.answer("www.example.lf TXT").0, "NOERROR", "nothing is mixed in");
    assert_eq!(dns.answer("m.example.lf A").0, "NXDOMAIN");
    let shown = home.run("dns get www.example.lf").good();
    assert!(shown.starts_with("www.example.lf. 300 IN A 192.0.2.1\n; not served: A of @"), "{shown}");

    // Who is pinned comes first, for the names that the pin is for.
    let pin = format!("{mallory}/m.example.lf");
    let pinned = Dns::start(&home, &["--zone", "example.lf", "--trust", "certified", "--trust", &pin]);
    assert_eq!(pinned.short("m.example.lf A"), ["192.0.2.66"]);
    assert_eq!(pinned.short("www.example.lf A"), ["192.0.2.1"]);
    let anyone = Dns::start(&home, &["--zone", "example.lf", "--trust", "anyone"]);
    assert_eq!(anyone.short("www.example.lf A"), ["192.0.2.66"]);

    // A certificate that is revoked counts no more.
    home.lf(["ca", "revoke", "root.pem", &alice]).good();
    wait("alice is served no more", || (dns.answer("www.example.lf A").0 == "NXDOMAIN").then_some(()));
}

#[test]
fn large_answers_come_over_tcp_and_many_on_one_connection() {
    if !tools::have(&["dig"]) {
        return;
    }
    let (node, owner) = pinned();
    let home = &node.home;
    let addresses: Vec<String> = (1..=60).map(|n| format!("192.0.2.{n}")).collect();
    let words: Vec<&str> =
        ["many.example.lf", "A"].into_iter().chain(addresses.iter().map(String::as_str)).collect();
    put(home, &words).good();
    put(home, &["one.example.lf", "A", "192.0.2.1"]).good();
    let dns = Dns::start(home, &["--zone", "example.lf", "--trust", &owner]);
    let truncated = dns.dig("+noall +comments +ignore +noedns many.example.lf A");
    assert!(truncated.contains(" tc ") && truncated.contains("ANSWER: 0"), "{truncated}");
    let whole = dns.dig("+noall +comments +ignore +bufsize=4096 many.example.lf A");
    assert!(!whole.contains(" tc ") && whole.contains("ANSWER: 60"), "{whole}");
    // dig asks again over TCP by itself.
    assert_eq!(dns.short("+noedns many.example.lf A").len(), 60);

    // Questions one behind another, in pieces, answered in any order.
    let mut stream = TcpStream::connect(dns.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = Vec::new();
    for id in 1..=50_u16 {
        let name: lf_dns::DomainName =
            if id.is_multiple_of(2) { "one.example.lf" } else { "many.example.lf" }.parse().unwrap();
        let question = lf_dns::query::question(id, &name.to_wire(), lf_dns::RecordType::A);
        bytes.extend(u16::try_from(question.len()).unwrap().to_be_bytes());
        bytes.extend(question);
    }
    for piece in bytes.chunks(7) {
        stream.write_all(piece).unwrap();
    }
    let mut ids = Vec::new();
    for _ in 0..50 {
        let answer = read_tcp(&mut stream).unwrap();
        let id = u16::from_be_bytes([answer[0], answer[1]]);
        let count = u16::from_be_bytes([answer[6], answer[7]]);
        assert_eq!(count, if id.is_multiple_of(2) { 1 } else { 60 }, "{id}");
        ids.push(id);
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=50).collect::<Vec<_>>());
}

fn read_tcp(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn garbage_does_no_harm() {
    if !tools::have(&["dig"]) {
        return;
    }
    let (node, owner) = pinned();
    put(&node.home, &["www.example.lf", "A", "192.0.2.1"]).good();
    let dns = Dns::start(&node.home, &["--zone", "example.lf", "--trust", &owner, "--rate", "0"]);
    let good = lf_dns::query::question(7, &"www.example.lf".parse().unwrap(), lf_dns::RecordType::A);
    let mut answer = good.clone();
    answer[2] |= 0x80;
    assert_eq!(dns.udp(&answer), None, "answers are not answered");
    assert_eq!(dns.udp(b"x"), None);
    assert_eq!(dns.udp(&[]), None);
    let mut seed = 1_u64;
    for i in 0..200 {
        // Garbage behind a good header, good questions with a few other bytes, and plain garbage.
        let mut bytes = good.clone();
        for _ in 0..=i % 5 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (seed >> 33) as usize % bytes.len();
            bytes[at] = (seed >> 17) as u8;
        }
        bytes[..2].copy_from_slice(&[0, 7]);
        if let Some(answer) = dns.udp(&bytes) {
            assert!(answer.len() <= bytes.len() || answer[3] & 0xf != 1, "{bytes:?} {answer:?}");
        }
    }
    // Over TCP: lengths that lie, nothing at all, and garbage; the connection ends, the server does not.
    for bytes in [&b"\xff\xff"[..], b"\x00", b"\x00\x05hello", b"GET / HTTP/1.1\r\n\r\n", &[0; 4000]] {
        let mut stream = TcpStream::connect(dns.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() <= bytes.len(), "{bytes:?} {rest:?}");
    }
    assert_eq!(dns.short("www.example.lf A"), ["192.0.2.1"]);
}

/// An address that stays the same while the node behind it goes and comes back elsewhere.
struct Door {
    url: String,
    node: Arc<Mutex<Option<SocketAddr>>>,
}

impl Door {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let node = Arc::new(Mutex::new(None));
        let behind = node.clone();
        std::thread::spawn(move || {
            for visitor in listener.incoming() {
                let (Ok(visitor), Some(address)) = (visitor, *behind.lock().unwrap()) else { continue };
                let Ok(node) = TcpStream::connect(address) else { continue };
                for (mut from, mut to) in
                    [(visitor.try_clone().unwrap(), node.try_clone().unwrap()), (node, visitor)]
                {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(std::net::Shutdown::Both);
                    });
                }
            }
        });
        Door { url, node }
    }

    /// Leads to this node from now on, or nowhere.
    fn lead(&self, node: Option<&Node>) {
        let address = node.map(|node| node.url.strip_prefix("http://").unwrap().parse().unwrap());
        *self.node.lock().unwrap() = address;
    }
}

#[test]
fn stale_while_the_node_is_away() {
    if !tools::have(&["dig"]) {
        return;
    }
    let (node, owner) = pinned();
    let door = Door::new();
    door.lead(Some(&node));
    let home = Home::new();
    home.lf(["url", "default", &door.url]).good();
    put(&node.home, &["www.example.lf", "A", "192.0.2.1", "--ttl", "900"]).good();
    let dns = Dns::start(&home, &["--zone", "example.lf", "--trust", &owner, "--cache", "1"]);
    assert_eq!(dns.answer("www.example.lf A").1, ["www.example.lf. 900 IN A 192.0.2.1"]);
    assert_eq!(dns.answer("nowhere.example.lf A").0, "NXDOMAIN");
    door.lead(None);
    let base = node.into_base();
    // First fresh, then stale: kept for less long, and told so.
    let stale = wait("the answer is stale", || {
        let all = dns.dig("+noall +comments +answer www.example.lf A");
        all.contains("EDE: 3").then_some(all)
    });
    assert!(stale.contains("NOERROR") && stale.contains("\t30\tIN\tA\t192.0.2.1"), "{stale}");
    dns.says("the node is away: ");
    let gone = wait("that there is nothing is stale as well", || {
        let all = dns.dig("+noall +comments nowhere.example.lf A");
        all.contains("EDE: 19").then_some(all)
    });
    assert!(gone.contains("NXDOMAIN"), "{gone}");
    assert_eq!(dns.answer("never.example.lf A").0, "SERVFAIL");

    let back = Node::start_in(base, &[]);
    door.lead(Some(&back));
    wait("the answer is fresh", || {
        let fresh = dns.answer("www.example.lf A").1 == ["www.example.lf. 900 IN A 192.0.2.1"];
        (fresh && dns.answer("never.example.lf A").0 == "NXDOMAIN").then_some(())
    });
    dns.says("the node answers again");
}

#[test]
fn other_zones_are_looked_up_if_wanted() {
    if !tools::have(&["dig"]) {
        return;
    }
    let (node, owner) = pinned();
    let home = &node.home;
    put(home, &["www.example.lf", "A", "192.0.2.1"]).good();
    let addresses: Vec<String> = (1..=90).map(|n| format!("192.0.2.{n}")).collect();
    let words: Vec<&str> =
        ["many.other.lf", "A"].into_iter().chain(addresses.iter().map(String::as_str)).collect();
    put(home, &words).good();
    put(home, &["www.other.lf", "A", "192.0.2.2"]).good();
    let other = Dns::start(home, &["--zone", "other.lf", "--trust", &owner]);
    // The first server is nobody: the second is asked then.
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (nobody_at, other_at) = (nobody.local_addr().unwrap().to_string(), other.address.to_string());
    let args = ["--zone", "example.lf", "--trust", &owner, "--upstream", &nobody_at, "--upstream", &other_at];
    let dns = Dns::start(home, &args);
    assert_eq!(dns.short("www.example.lf A"), ["192.0.2.1"]);
    assert_eq!(dns.short("www.other.lf A"), ["192.0.2.2"]);
    assert_eq!(dns.short("+tcp www.other.lf A"), ["192.0.2.2"]);
    assert_eq!(dns.short("many.other.lf A").len(), 90, "first truncated, then over TCP");
    assert_eq!(dns.answer("nowhere.other.lf A").0, "NXDOMAIN");
    assert_eq!(dns.answer("+norecurse www.other.lf A").0, "REFUSED", "who does not want it looked up");
    assert_eq!(dns.answer("www.third.lf A").0, "REFUSED", "what the other says");
    // An alias that leads out of our zones.
    put(home, &["out.example.lf", "CNAME", "www.other.lf"]).good();
    assert_eq!(dns.short("out.example.lf A"), ["192.0.2.2", "www.other.lf."]);
    assert_eq!(dns.short("+norecurse out.example.lf A"), ["www.other.lf."]);
    drop(other);
    assert_eq!(dns.answer("www.other.lf A").0, "SERVFAIL");
}

#[test]
fn who_asks_too_often_is_told_to_ask_over_tcp() {
    if !tools::have(&["dig"]) {
        return;
    }
    let (node, owner) = pinned();
    put(&node.home, &["www.example.lf", "A", "192.0.2.1"]).good();
    let dns = Dns::start(&node.home, &["--zone", "example.lf", "--trust", &owner, "--rate", "1"]);
    let question = lf_dns::query::question(7, &"www.example.lf".parse().unwrap(), lf_dns::RecordType::A);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(dns.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0; 600];
    // Asked without a pause, until one of them is cut short.
    let truncated = wait("an answer says TC", || {
        for _ in 0..20 {
            socket.send(&question).unwrap();
        }
        let length = socket.recv(&mut buffer).unwrap();
        (buffer[2] & 2 != 0).then_some(length)
    });
    assert_eq!(truncated, question.len());
    assert_eq!(dns.short("+tcp www.example.lf A"), ["192.0.2.1"]);
}

#[test]
fn it_stops_when_told() {
    let (node, owner) = pinned();
    let mut dns = Dns::start(&node.home, &["--zone", "example.lf", "--trust", &owner]);
    let pid = rustix::process::Pid::from_child(&dns.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(dns.child.wait().unwrap().success());
}
