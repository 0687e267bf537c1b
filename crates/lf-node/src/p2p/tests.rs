#![allow(clippy::unwrap_used)]
//! Real connections over loopback, with a stand-in for the replication that does as each test says.

use std::collections::VecDeque;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lf_store::View;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::driver::Engine;
use super::*;
use crate::NodeConfig;
use crate::core::sync::wire::{ANSWER_BYTES_MAX, GOSSIP_BYTES_MAX, QUESTION_BYTES_MAX};
use crate::core::sync::{Action, Now, PeerId, PeerState, PeerStatus, Verdict};

/// For anything to happen.
const TIME_MAX: Duration = Duration::from_secs(60);

/// What the stand-in saw.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Connected(PeerId, bool),
    Disconnected(PeerId),
    Question(PeerId, Vec<u8>),
    Answer(u64, Vec<u8>),
    Unanswered(u64),
    Gossip(PeerId, Vec<u8>),
}

#[derive(Default)]
struct Script {
    seen: Vec<Seen>,
    actions: VecDeque<Action>,
    held: Vec<u64>,
}

/// Answers a question by its first byte: `h`olds it back, `a`nswers with as many bytes as the rest says, else says it
/// again. Judges gossip by its first byte: `f`orward, `r`eject, `n`ever, else drop.
struct StandIn(Arc<Mutex<Script>>);

impl Engine for StandIn {
    fn handle(&mut self, event: Event, _: &View, _: Now) {
        let mut script = self.0.lock().unwrap();
        let seen = match event {
            Event::Connected { peer, outbound } => Seen::Connected(peer, outbound),
            Event::Disconnected { peer } => Seen::Disconnected(peer),
            Event::Question { peer, asked, bytes } => {
                match bytes.first() {
                    Some(b'h') => script.held.push(asked),
                    Some(b'a') => {
                        let count: usize = std::str::from_utf8(&bytes[1..]).unwrap().parse().unwrap();
                        script.actions.push_back(Action::Reply { asked, bytes: vec![7; count] });
                    }
                    _ => script.actions.push_back(Action::Reply { asked, bytes: bytes.clone() }),
                }
                Seen::Question(peer, bytes)
            }
            Event::Answer { ticket, bytes } => Seen::Answer(ticket, bytes),
            Event::Unanswered { ticket } => Seen::Unanswered(ticket),
            Event::Gossip { peer, message, bytes } => {
                let verdict = match bytes.first() {
                    Some(b'f') => Some(Verdict::Forward),
                    Some(b'r') => Some(Verdict::Reject),
                    Some(b'n') => None,
                    _ => Some(Verdict::Drop),
                };
                script.actions.extend(verdict.map(|verdict| Action::Judge { message, peer, verdict }));
                Seen::Gossip(peer, bytes)
            }
            _ => return,
        };
        script.seen.push(seen);
    }

    fn poll(&mut self) -> Option<Action> {
        self.0.lock().unwrap().actions.pop_front()
    }

    fn status(&self) -> SyncStatus {
        SyncStatus { missing: 3, ..SyncStatus::default() }
    }

    fn peer(&self, _: &PeerId) -> Option<PeerStatus> {
        Some(PeerStatus { state: PeerState::Syncing, records: 5, score: -1 })
    }
}

struct TestPeer {
    p2p: Option<P2p>,
    node: Node,
    script: Arc<Mutex<Script>>,
    secret: [u8; 32],
    network_id: [u8; 32],
    home: TempDir,
    options: P2pConfig,
}

impl TestPeer {
    fn new(name: u8, seeds: &[&TestPeer]) -> Self {
        Self::in_network([42; 32], name, seeds)
    }

    fn in_network(network_id: [u8; 32], name: u8, seeds: &[&TestPeer]) -> Self {
        let listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        Self::with_options(network_id, name, seeds, P2pConfig { listen, ..P2pConfig::default() })
    }

    fn with_options(network_id: [u8; 32], name: u8, seeds: &[&TestPeer], options: P2pConfig) -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = NodeConfig { home: home.path().to_owned(), genesis: crate::sol(), local_test: false };
        let (node, _) = Node::open(config, |_| {}).unwrap();
        let mut peer = TestPeer {
            p2p: None,
            node,
            script: Arc::default(),
            secret: [name; 32],
            network_id,
            home,
            options,
        };
        peer.start(seeds);
        peer
    }

    fn start(&mut self, seeds: &[&TestPeer]) {
        let parts = P2pParts {
            node: self.node.clone(),
            secret: Zeroizing::new(self.secret),
            network_id: self.network_id,
            home: self.home.path().to_owned(),
            inbox: Arc::default(),
        };
        let seeds = seeds.iter().map(|seed| seed.address().to_string().parse().unwrap()).collect();
        let config = P2pConfig { seeds, ..self.options.clone() };
        *self.script.lock().unwrap() = Script::default();
        self.p2p = Some(P2p::start_with(StandIn(self.script.clone()), parts, &config).unwrap());
    }

    fn stop(&mut self) {
        self.p2p.take().unwrap().stop();
    }

    fn handle(&self) -> P2pHandle {
        self.p2p.as_ref().unwrap().handle()
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.handle().port()))
    }

    fn id(&self) -> PeerId {
        let mut secret = self.secret;
        let key = Keypair::ed25519_from_bytes(&mut secret).unwrap();
        address::from_libp2p(&key.public().to_peer_id()).unwrap()
    }

    fn act(&self, action: Action) {
        self.script.lock().unwrap().actions.push_back(action);
    }

    fn ask(&self, peer: &TestPeer, ticket: u64, bytes: &[u8]) {
        self.act(Action::Ask { peer: peer.id(), ticket, bytes: bytes.to_vec() });
    }

    fn has_seen(&self, what: &Seen) -> bool {
        self.script.lock().unwrap().seen.contains(what)
    }

    #[track_caller]
    fn sees(&self, what: &Seen) {
        let begun = Instant::now();
        while !self.has_seen(what) {
            if begun.elapsed() >= TIME_MAX {
                // Only now: to print megabytes while holding the lock would hold up what is waited for.
                let seen = self.script.lock().unwrap().seen.clone();
                let seen: Vec<String> =
                    seen.iter().map(|seen| format!("{:.100}", format!("{seen:?}"))).collect();
                panic!("{:.100} does not happen: {seen:#?}", format!("{what:?}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn is_connected(&self, other: &TestPeer) -> bool {
        self.handle().network().peers.iter().any(|peer| peer.peer == other.id())
    }

    #[track_caller]
    fn connects(&self, other: &TestPeer) {
        wait("a connection", || self.is_connected(other));
    }
}

impl Drop for TestPeer {
    fn drop(&mut self) {
        if let Some(p2p) = self.p2p.take() {
            p2p.stop();
        }
        self.node.stop().unwrap();
    }
}

#[track_caller]
fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < TIME_MAX, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn nodes_connect_ask_and_answer() {
    let one = TestPeer::new(1, &[]);
    let two = TestPeer::new(2, &[&one]);
    two.sees(&Seen::Connected(one.id(), true));
    one.sees(&Seen::Connected(two.id(), false));
    two.ask(&one, 1, b"well?");
    two.sees(&Seen::Answer(1, b"well?".to_vec()));
    one.sees(&Seen::Question(two.id(), b"well?".to_vec()));
    one.ask(&two, 2, b"");
    one.sees(&Seen::Answer(2, Vec::new()));
    // The largest there may be.
    two.ask(&one, 3, &vec![b'q'; QUESTION_BYTES_MAX]);
    two.sees(&Seen::Answer(3, vec![b'q'; QUESTION_BYTES_MAX]));
    two.ask(&one, 4, format!("a{ANSWER_BYTES_MAX}").as_bytes());
    two.sees(&Seen::Answer(4, vec![7; ANSWER_BYTES_MAX]));
    // Somebody who is not there.
    two.act(Action::Ask { peer: PeerId([9; 32]), ticket: 7, bytes: Vec::new() });
    two.sees(&Seen::Unanswered(7));
    // A few questions at once are held back, more are refused.
    let held = behaviour::QUESTIONS_MAX as u64;
    (0..held).for_each(|i| two.ask(&one, 100 + i, b"h"));
    wait("held questions", || one.script.lock().unwrap().held.len() as u64 == held);
    two.ask(&one, 200, b"too many");
    two.sees(&Seen::Unanswered(200));
    let asked = std::mem::take(&mut one.script.lock().unwrap().held);
    for asked in asked {
        one.act(Action::Reply { asked, bytes: b"at last".to_vec() });
    }
    (0..held).for_each(|i| two.sees(&Seen::Answer(100 + i, b"at last".to_vec())));
    // What others see of it: a board that is written anew now and then.
    wait("counted bytes", || {
        two.handle().network().totals.received_bytes > (QUESTION_BYTES_MAX + ANSWER_BYTES_MAX) as u64
    });
    wait("a peer that is known in full", || {
        let network = two.handle().network();
        network
            .peers
            .iter()
            .any(|peer| peer.round_trip.is_some() && !peer.agent.is_empty() && peer.sync.is_some())
    });
    let network = two.handle().network();
    let peer = &network.peers[0];
    assert_eq!((peer.peer, peer.outbound, peer.address), (one.id(), true, Some(one.address())));
    assert_eq!(peer.agent, concat!("lf/", env!("CARGO_PKG_VERSION")));
    assert_eq!(peer.sync, two.script_status());
    wait("a state of replication", || two.handle().sync().missing == 3);
    // What is too large is not answered, and the connection lives on.
    two.ask(&one, 5, &vec![b'q'; QUESTION_BYTES_MAX + 1]);
    two.ask(&one, 6, format!("a{}", ANSWER_BYTES_MAX + 1).as_bytes());
    (5..=6).for_each(|ticket| two.sees(&Seen::Unanswered(ticket)));
    two.ask(&one, 8, b"well?");
    two.sees(&Seen::Answer(8, b"well?".to_vec()));
    // Whoever is gone answers nothing any more.
    two.ask(&one, 300, b"h");
    wait("a held question", || !one.script.lock().unwrap().held.is_empty());
    drop(one);
    two.sees(&Seen::Unanswered(300));
    wait("an end", || {
        two.script.lock().unwrap().seen.iter().any(|seen| matches!(seen, Seen::Disconnected(_)))
    });
}

impl TestPeer {
    fn script_status(&self) -> Option<PeerStatus> {
        StandIn(self.script.clone()).peer(&self.id())
    }
}

#[test]
fn gossip_is_forwarded_after_the_verdict_and_not_without() {
    let one = TestPeer::new(1, &[]);
    let middle = TestPeer::new(2, &[&one]);
    let last = TestPeer::new(3, &[]);
    // A chain: the ends do not know each other.
    one.handle().ban(&last.id().to_string(), 3600).unwrap();
    last.handle().ban(&one.id().to_string(), 3600).unwrap();
    last.handle().connect(middle.address().to_string().parse().unwrap());
    middle.connects(&last);
    middle.connects(&one);
    let publish = |bytes: &[u8]| one.act(Action::Publish { bytes: bytes.to_vec() });
    // Subscriptions take a moment; what is published before reaches nobody.
    let mut round = 0;
    wait("the first gossip", || {
        publish(format!("f{round}").as_bytes());
        round += 1;
        last.script.lock().unwrap().seen.iter().any(|seen| matches!(seen, Seen::Gossip(..)))
    });
    publish(b"drop");
    publish(b"reject");
    publish(b"never");
    publish(&vec![b'f'; GOSSIP_BYTES_MAX]);
    publish(&vec![b'f'; GOSSIP_BYTES_MAX + 1]);
    publish(b"forward");
    publish(b"forward");
    last.sees(&Seen::Gossip(middle.id(), b"forward".to_vec()));
    last.sees(&Seen::Gossip(middle.id(), vec![b'f'; GOSSIP_BYTES_MAX]));
    for unwanted in ["drop", "reject", "never"] {
        middle.sees(&Seen::Gossip(one.id(), unwanted.as_bytes().to_vec()));
        assert!(!last.has_seen(&Seen::Gossip(middle.id(), unwanted.as_bytes().to_vec())), "{unwanted}");
    }
    let seen = last.script.lock().unwrap().seen.clone();
    let forwarded = Seen::Gossip(middle.id(), b"forward".to_vec());
    assert_eq!(seen.iter().filter(|seen| **seen == forwarded).count(), 1);
    assert!(
        !seen.iter().any(|seen| matches!(seen, Seen::Gossip(_, bytes) if bytes.len() > GOSSIP_BYTES_MAX))
    );
}

#[test]
fn another_network_gets_a_bounded_place_and_no_handshake() {
    let one = TestPeer::new(1, &[]);
    let stranger = TestPeer::in_network([43; 32], 2, &[&one]);
    // Connections that never say anything: so many are waited for, the others are closed at once.
    let pending = 32;
    let mut silent: Vec<TcpStream> =
        (0..pending + 8).map(|_| TcpStream::connect(one.address()).unwrap()).collect();
    silent.iter().for_each(|stream| stream.set_nonblocking(true).unwrap());
    wait("a limit", || {
        silent.retain_mut(|stream| !closed(stream));
        silent.len() <= pending
    });
    drop(silent);
    let two = TestPeer::new(3, &[&one]);
    two.connects(&one);
    assert!(!one.is_connected(&stranger) && stranger.handle().network().peers.is_empty());
    let seen = |peer: &TestPeer| peer.script.lock().unwrap().seen.clone();
    assert_eq!(seen(&one), [Seen::Connected(two.id(), false)]);
    assert!(seen(&stranger).is_empty());
}

/// Whether the other end is gone. What it said before (pnet begins with a nonce) does not matter.
fn closed(stream: &mut TcpStream) -> bool {
    loop {
        match stream.read(&mut [0; 64]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(e) => return e.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

#[test]
fn a_ban_outlasts_a_restart() {
    let mut one = TestPeer::new(1, &[]);
    let bad = TestPeer::new(2, &[&one]);
    one.connects(&bad);
    one.act(Action::Ban { peer: bad.id(), secs: 3600, reason: "a test" });
    one.sees(&Seen::Disconnected(bad.id()));
    wait("a ban", || one.handle().network().bans.iter().any(|ban| ban.whom == bad.id().to_string()));
    one.stop();
    one.start(&[&bad]);
    let good = TestPeer::new(3, &[&one]);
    one.connects(&good);
    bad.handle().connect(one.address().to_string().parse().unwrap());
    wait("a refusal", || one.handle().network().totals.denied > 0);
    assert!(!one.is_connected(&bad));
    assert_eq!(one.handle().network().bans[0].reason, "a test");
    assert!(one.handle().unban(&bad.id().to_string()).unwrap());
    assert!(!one.handle().unban(&bad.id().to_string()).unwrap());
    assert_eq!(one.handle().unban("nonsense"), Err(WhomError));
    one.connects(&bad);
}

#[test]
fn peers_are_found_through_others_and_remembered() {
    let mut one = TestPeer::new(1, &[]);
    // What a crash or an editor left is no hindrance.
    std::fs::write(one.home.path().join("peers.json"), b"{\"Peers\": [{\"Addre").unwrap();
    one.stop();
    std::fs::write(one.home.path().join("peers.json"), b"\0\0junk").unwrap();
    one.start(&[]);
    let mut two = TestPeer::new(2, &[&one]);
    let three = TestPeer::new(3, &[&one]);
    two.connects(&one);
    three.connects(&one);
    // Both were told by the first one only; it asks again seldom, so let one of them come again.
    wait("a peer that can be told", || {
        !one.handle().addresses_for(Some("127.0.0.1".parse().unwrap())).is_empty()
    });
    two.stop();
    two.start(&[&one]);
    wait("a third node", || two.is_connected(&three) || three.is_connected(&two));
    // None of these addresses is for the world.
    assert!(one.handle().addresses_for(Some("8.8.8.8".parse().unwrap())).is_empty());
    // Without seeds, from memory.
    two.stop();
    two.start(&[]);
    two.connects(&one);
}

#[test]
fn nobody_connects_to_itself() {
    let one = TestPeer::new(1, &[]);
    one.handle().connect(one.address().to_string().parse().unwrap());
    let two = TestPeer::new(2, &[&one]);
    one.connects(&two);
    assert!(!one.is_connected(&one));
}

#[test]
fn nodes_that_nobody_can_connect_to_meet_through_a_relay() {
    let listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    let relay = P2pConfig { listen, relay: true, ..P2pConfig::default() };
    let relay = TestPeer::with_options([42; 32], 1, &[], relay);
    // They listen nowhere but at relays.
    let hidden = || P2pConfig { behind_nat: true, ..P2pConfig::default() };
    let one = TestPeer::with_options([42; 32], 2, &[&relay], hidden());
    one.connects(&relay);
    let two = TestPeer::with_options([42; 32], 3, &[&relay], hidden());
    one.connects(&two);
    two.connects(&one);
    one.ask(&two, 1, b"well?");
    one.sees(&Seen::Answer(1, b"well?".to_vec()));
    two.ask(&one, 2, format!("a{}", 100_000).as_bytes());
    two.sees(&Seen::Answer(2, vec![7; 100_000]));
    // Nothing of them is an address: neither the relay's as theirs, nor one to tell.
    let network = one.handle().network();
    let peer = network.peers.iter().find(|peer| peer.peer == two.id()).unwrap();
    assert_eq!((peer.address, peer.listens), (None, None));
    assert!(relay.handle().addresses_for(Some("127.0.0.1".parse().unwrap())).is_empty());
    // Who misbehaves is banned, and the relay is not.
    one.act(Action::Ban { peer: two.id(), secs: 3600, reason: "a test" });
    one.sees(&Seen::Disconnected(two.id()));
    wait("a ban", || !one.handle().network().bans.is_empty());
    assert_eq!(one.handle().network().bans.len(), 1);
    assert!(one.is_connected(&relay) && two.is_connected(&relay));
}

#[test]
fn a_node_relays_only_if_it_is_told_to() {
    let plain = TestPeer::new(1, &[]);
    let hidden = P2pConfig { behind_nat: true, ..P2pConfig::default() };
    let one = TestPeer::with_options([42; 32], 2, &[&plain], hidden.clone());
    one.connects(&plain);
    let two = TestPeer::with_options([42; 32], 3, &[&plain], hidden);
    two.connects(&plain);
    // A question that is answered comes after all that was said at the beginning of a connection.
    wait("peers that are known in full", || {
        [&one, &two]
            .iter()
            .all(|node| node.handle().network().peers.iter().all(|peer| !peer.agent.is_empty()))
    });
    two.ask(&plain, 1, b"well?");
    two.sees(&Seen::Answer(1, b"well?".to_vec()));
    assert!(!one.is_connected(&two) && !two.is_connected(&one));
    // What else is asked for does no harm where there is nothing to find.
    let local = P2pConfig { local_discovery: true, ..plain.options.clone() };
    let three = TestPeer::with_options([42; 32], 4, &[&plain], local);
    three.connects(&plain);
}
