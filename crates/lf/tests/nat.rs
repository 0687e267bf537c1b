//! Nodes behind NAT or told of nobody, on hosts of their own: network namespaces with real routers (nftables, and miniupnpd for UPnP).
//! Needs root on Linux; skipped elsewhere.
#![allow(clippy::unwrap_used)]

#[path = "support/mod.rs"]
mod support;
#[path = "support/tools.rs"]
mod tools;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Home, LF};

/// For what takes seconds on an idle machine.
const TIME_MAX: Duration = Duration::from_secs(120);
const RELAY: &str = "45.45.45.10";
const OTHER: &str = "45.45.45.30";

/// What a home's router does: lets connections out, none in, and hides who is behind it.
const ROUTER: &str = r#"
table inet filter {
    chain miniupnpd { }
    chain prerouting_miniupnpd { }
    chain postrouting_miniupnpd { }
    chain forward {
        type filter hook forward priority 0; policy accept;
        jump miniupnpd
        iifname "wan" ct state established,related accept
        iifname "wan" drop
    }
    chain input {
        type filter hook input priority 0; policy accept;
        iifname "wan" ct state established,related accept
        iifname "wan" drop
    }
    chain prerouting { type nat hook prerouting priority -100; policy accept; jump prerouting_miniupnpd; }
    chain postrouting {
        type nat hook postrouting priority 100; policy accept;
        jump postrouting_miniupnpd
        oifname "wan" masquerade MODE
    }
}
"#;

/// How a router chooses the port that a connection seems to come from.
#[derive(Clone, Copy)]
enum Ports {
    /// The host's own where it is free, as most do.
    Kept,
    /// Another one for each connection: two nodes behind such routers cannot meet.
    Random,
}

/// An internet of a few hosts: namespaces that end with this.
struct Internet {
    prefix: String,
    files: tempfile::TempDir,
    hosts: Vec<String>,
    daemons: Vec<Child>,
}

fn run(line: &str) {
    let mut words = line.split(' ');
    let program = words.next().unwrap();
    tools::must_succeed(Command::new(program).args(words));
}

impl Internet {
    /// `None` where it cannot be made.
    fn new() -> Option<Self> {
        let root = tools::have(&["ip", "nft", "miniupnpd", "id"])
            && tools::must_succeed(Command::new("id").arg("-u")).trim() == "0";
        if !root {
            eprintln!("skipped: needs root");
            return None;
        }
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let prefix = format!("lf{}x{number}-", std::process::id());
        let files = tempfile::Builder::new().prefix("lf-nat-").tempdir().unwrap();
        let mut net = Internet { prefix, files, hosts: Vec::new(), daemons: Vec::new() };
        let world = net.host("world");
        run(&format!("ip -n {world} link add br0 type bridge"));
        run(&format!("ip -n {world} link set br0 up"));
        Some(net)
    }

    fn name(&self, host: &str) -> String {
        format!("{}{host}", self.prefix)
    }

    fn host(&mut self, host: &str) -> String {
        let name = self.name(host);
        run(&format!("ip netns add {name}"));
        self.hosts.push(name.clone());
        run(&format!("ip -n {name} link set lo up"));
        name
    }

    /// A host that everybody can reach.
    fn public(&mut self, host: &str, address: &str) {
        let (world, name) = (self.name("world"), self.host(host));
        run(&format!("ip link add name {host} netns {world} type veth peer name wan netns {name}"));
        run(&format!("ip -n {world} link set {host} master br0 up"));
        run(&format!("ip -n {name} addr add {address}/24 dev wan"));
        run(&format!("ip -n {name} link set wan up"));
    }

    /// A router with one host behind it, 192.168.`lan`.2.
    fn home(&mut self, host: &str, address: &str, lan: u8, ports: Ports) {
        let router = format!("{host}-r");
        self.public(&router, address);
        let (router, name) = (self.name(&router), self.host(host));
        run(&format!("ip link add name lan netns {router} type veth peer name eth0 netns {name}"));
        run(&format!("ip -n {router} addr add 192.168.{lan}.1/24 dev lan"));
        run(&format!("ip -n {router} link set lan up"));
        run(&format!("ip -n {name} addr add 192.168.{lan}.2/24 dev eth0"));
        run(&format!("ip -n {name} link set eth0 up"));
        run(&format!("ip -n {name} route add default via 192.168.{lan}.1"));
        run(&format!("ip netns exec {router} sysctl -qw net.ipv4.ip_forward=1"));
        let mode = match ports {
            Ports::Kept => "",
            Ports::Random => "fully-random",
        };
        let rules = self.files.path().join(&router);
        fs::write(&rules, ROUTER.replace("MODE", mode)).unwrap();
        run(&format!("ip netns exec {router} nft -f {}", rules.display()));
    }

    /// The router of this home takes wishes for ports.
    fn upnp(&mut self, host: &str, lan: u8) {
        let router = self.name(&format!("{host}-r"));
        let file = self.files.path().join("upnp.conf");
        let leases = self.files.path().join("leases");
        let settings = format!(
            "ext_ifname=wan\nlistening_ip=lan\nenable_natpmp=no\nenable_upnp=yes\nsecure_mode=yes\n\
             uuid=00000000-0000-0000-0000-000000000001\nlease_file={}\n\
             allow 1024-65535 192.168.{lan}.0/24 1024-65535\ndeny 0-65535 0.0.0.0/0 0-65535\n",
            leases.display()
        );
        fs::write(&file, settings).unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &router, "miniupnpd", "-d", "-f"]).arg(&file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.daemons.push(command.spawn().unwrap());
    }

    /// Starts a node on a host, on the default ports.
    fn node(&self, host: &str, genesis: &Path, args: &[&str]) -> Node {
        let home = self.files.path().join(host);
        fs::create_dir(&home).unwrap();
        fs::copy(genesis, home.join("genesis.lf")).unwrap();
        let mut node = Node { host: self.name(host), home, child: None };
        let mut command =
            node.command(&["node", "start", "--testnet", "--while-stdin", "--http", "127.0.0.1:9980"]);
        // It ends when this end of the pipe does.
        let child = command.args(["--p2p", "9908"]).args(args).stdin(Stdio::piped()).stdout(Stdio::null());
        node.child = Some(child.spawn().unwrap());
        wait_until("a node answers", || node.lf(&["status"]).is_some());
        node
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        for daemon in &mut self.daemons {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        for host in &self.hosts {
            let _ = Command::new("ip").args(["netns", "del", host]).status();
        }
    }
}

struct Node {
    host: String,
    home: PathBuf,
    child: Option<Child>,
}

impl Node {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.host, LF]).args(args).env("LF_PATH", &self.home);
        command.env("USER", "tester").stdin(Stdio::null());
        command
    }

    /// What a command prints, if it succeeds.
    fn lf(&self, args: &[&str]) -> Option<String> {
        let output = self.command(args).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    /// The addresses at the other ends of this node's connections.
    fn peers(&self) -> Vec<String> {
        let text = self.lf(&["--json", "peers"]).unwrap();
        let status: Value = serde_json::from_str(&text).unwrap();
        let peers = status["Peers"].as_array().unwrap();
        peers.iter().map(|peer| peer["Address"].as_str().unwrap().to_owned()).collect()
    }

    fn has_peer(&self, address: &str) -> bool {
        self.peers().iter().any(|peer| peer.starts_with(address))
    }

    fn reads(&self, name: &str, value: &str) {
        wait_until(name, || self.lf(&["get", name]).is_some_and(|text| text.starts_with(value)));
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.join("node.log")).unwrap()
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < TIME_MAX, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A network's genesis.lf.
fn genesis() -> (Home, PathBuf) {
    let maker = Home::new();
    maker.run("makegenesis --name nat --work-factor 1").good();
    let file = maker.path().join("genesis.lf");
    (maker, file)
}

#[test]
fn two_nodes_behind_nat_meet_through_a_relay_and_need_it_no_longer() {
    let Some(mut net) = Internet::new() else { return };
    let (_maker, genesis) = genesis();
    net.public("relay", RELAY);
    net.home("ann", "45.45.45.21", 1, Ports::Kept);
    net.home("ben", "45.45.45.22", 2, Ports::Kept);
    let seed = format!("{RELAY}:9908");
    let mut relay = net.node("relay", &genesis, &["--relay"]);
    let ann = net.node("ann", &genesis, &["--nat", "--seed", &seed]);
    let ben = net.node("ben", &genesis, &["--nat", "--seed", &seed]);
    wait_until("they are connected to each other", || {
        ann.has_peer("45.45.45.22:") && ben.has_peer("45.45.45.21:")
    });
    assert!(ann.log().contains("connected directly, no longer through a relay"), "{}", ann.log());
    // What is written now has one way only.
    relay.stop();
    wait_until("the relay is gone", || !ann.has_peer(RELAY) && !ben.has_peer(RELAY));
    ann.lf(&["set", "greeting", "from house to house"]).unwrap();
    ben.reads("greeting", "from house to house");
}

#[test]
fn where_routers_do_not_allow_that_the_relay_goes_on() {
    let Some(mut net) = Internet::new() else { return };
    let (_maker, genesis) = genesis();
    net.public("relay", RELAY);
    net.home("ann", "45.45.45.21", 1, Ports::Random);
    net.home("ben", "45.45.45.22", 2, Ports::Random);
    let seed = format!("{RELAY}:9908");
    let _relay = net.node("relay", &genesis, &["--relay"]);
    let ann = net.node("ann", &genesis, &["--nat", "--seed", &seed]);
    let ben = net.node("ben", &genesis, &["--nat", "--seed", &seed]);
    wait_until("they are connected to each other", || ann.peers().len() == 2 && ben.peers().len() == 2);
    assert!(!ann.has_peer("45.45.45.22:") && !ben.has_peer("45.45.45.21:"), "{:?}", ann.peers());
    ann.lf(&["set", "greeting", "the long way"]).unwrap();
    ben.reads("greeting", "the long way");
}

#[test]
fn a_router_that_is_asked_lets_peers_in() {
    let Some(mut net) = Internet::new() else { return };
    let (_maker, genesis) = genesis();
    net.public("other", OTHER);
    net.home("ann", "45.45.45.21", 1, Ports::Kept);
    net.upnp("ann", 1);
    let ann = net.node("ann", &genesis, &["--nat"]);
    ann.lf(&["set", "greeting", "come in"]).unwrap();
    wait_until("the router was asked", || ann.log().contains("the router lets peers in"));
    let other = net.node("other", &genesis, &["--seed", "45.45.45.21:9908"]);
    other.reads("greeting", "come in");
    assert!(ann.has_peer(OTHER), "{:?}", ann.peers());
}

#[test]
fn nodes_of_one_local_network_find_each_other() {
    let Some(mut net) = Internet::new() else { return };
    let (_maker, genesis) = genesis();
    for (host, address) in [("ann", "192.168.7.1"), ("ben", "192.168.7.2")] {
        net.public(host, address);
        run(&format!("ip -n {} route add 224.0.0.0/4 dev wan", net.name(host)));
    }
    let ann = net.node("ann", &genesis, &["--mdns"]);
    let ben = net.node("ben", &genesis, &["--mdns"]);
    ann.lf(&["set", "greeting", "who is there?"]).unwrap();
    ben.reads("greeting", "who is there?");
}
