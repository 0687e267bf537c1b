//! Whom to connect to: seeds, and peers from the address book until there are enough connections of our own making. Some
//! places are only for peers of our own choice (see [`crate::p2p::book`]).

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};
use tracing::debug;

use super::{Command, Network, random};
use crate::core::sync::PeerId;
use crate::p2p::Commands;
use crate::p2p::address::{Host, PeerAddress, Target, from_libp2p, to_libp2p, to_multiaddr, to_socket};
use crate::p2p::book::{Source, pause_ms};
use crate::p2p::gate::now_secs;

/// Connections of our own making that we want.
const OUTBOUND_WANTED: usize = 8;
/// Those of them that only peers of our own choice can have.
const OWN_PLACES: usize = 3;
/// Places to connect to that the user named.
const SEEDS_MAX: usize = 64;
/// Addresses of one name that are tried.
const NAME_ADDRESSES_MAX: usize = 8;
/// For looking a name up.
const RESOLVE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a seed is left alone when its addresses are being tried.
const SEED_PAUSE_MS: u64 = 15_000;
/// Addresses that are felt at once, and for how long.
const FEELING_MAX: usize = 8;
const FEEL_TIME_MAX: Duration = Duration::from_secs(5);
/// Addresses that turned out to be our own.
const OURSELVES_MAX: usize = 64;

struct Seed {
    target: Target,
    /// Who was there.
    peers: HashSet<PeerId>,
    failures: u32,
    next_ms: u64,
}

struct Dialing {
    peer: Option<PeerId>,
    socket: Option<SocketAddr>,
    seed: Option<usize>,
}

/// What is being tried.
pub(super) struct Dialer {
    seeds: Vec<Seed>,
    commands: Commands,
    dialing: HashMap<ConnectionId, Dialing>,
    ourselves: Vec<SocketAddr>,
    /// Addresses that are being felt.
    feeling: usize,
}

impl Dialer {
    pub(super) fn new(seeds: Vec<Target>, commands: Commands) -> Self {
        let mut dialer = Dialer {
            seeds: Vec::new(),
            commands,
            dialing: HashMap::new(),
            ourselves: Vec::new(),
            feeling: 0,
        };
        seeds.into_iter().for_each(|target| dialer.add(target));
        dialer
    }

    fn add(&mut self, target: Target) {
        if let Some(seed) = self.seeds.iter_mut().find(|seed| seed.target == target) {
            seed.next_ms = 0;
        } else if self.seeds.len() < SEEDS_MAX {
            self.seeds.push(Seed { target, peers: HashSet::new(), failures: 0, next_ms: 0 });
        } else {
            debug!(%target, "too many places to connect to");
        }
    }
}

impl Network {
    /// The user named a place.
    pub(super) fn add_seed(&mut self, target: Target) {
        self.dialer.add(target);
        self.dial_who_is_due();
    }

    pub(super) fn dial_who_is_due(&mut self) {
        self.dial_seeds();
        let now_ms = self.now_ms();
        loop {
            let own = |peer: &PeerId| self.book.is_own(peer);
            let outbound: Vec<PeerId> = self
                .connected
                .iter()
                .filter(|(_, connected)| connected.outbound)
                .map(|(peer, _)| *peer)
                .chain(self.dialer.dialing.values().filter_map(|d| d.peer))
                .collect();
            let others = outbound.iter().filter(|peer| !own(peer)).count();
            if outbound.len() >= OUTBOUND_WANTED {
                return;
            }
            let only_own = others >= OUTBOUND_WANTED - OWN_PLACES;
            let (now, bans) = (now_secs(), &self.swarm.behaviour().gate.bans);
            let usable = |peer: &PeerId| {
                !self.connected.contains_key(peer)
                    && !outbound.contains(peer)
                    && !bans.peer(peer, now)
                    && to_libp2p(peer).as_ref() != Some(self.swarm.local_peer_id())
            };
            let Some((peer, sockets)) = self.book.pick(only_own, now_ms, usable, random) else { return };
            if !self.dial_peer(peer, &sockets, None) {
                self.book.failed(&peer, now_ms, now, random);
            }
        }
    }

    fn dial_seeds(&mut self) {
        let now_ms = self.now_ms();
        for place in 0..self.dialer.seeds.len() {
            let Some(seed) = self.dialer.seeds.get_mut(place) else { return };
            let there = |peer: &PeerId| self.connected.contains_key(peer);
            if seed.next_ms > now_ms
                || seed.peers.iter().any(there)
                || seed.target.peer.as_ref().is_some_and(there)
            {
                continue;
            }
            seed.next_ms = now_ms.saturating_add(SEED_PAUSE_MS);
            let target = seed.target.clone();
            match &target.host {
                Host::Ip(ip) => {
                    let socket = SocketAddr::new(*ip, target.port);
                    self.on_resolved(&target, place, vec![socket]);
                }
                Host::Name(name) => {
                    let (commands, name) = (self.dialer.commands.clone(), name.clone());
                    tokio::spawn(async move {
                        let found = tokio::net::lookup_host((name, target.port));
                        let found = tokio::time::timeout(RESOLVE_TIME_MAX, found).await;
                        let sockets =
                            found.ok().and_then(Result::ok).map(Iterator::collect).unwrap_or_default();
                        // Nobody takes it any more only when the node stops.
                        let _ = commands.send(Command::Resolved { target, seed: place, sockets });
                    });
                }
            }
        }
    }

    pub(super) fn on_resolved(&mut self, target: &Target, seed: usize, mut sockets: Vec<SocketAddr>) {
        sockets.retain(|socket| !self.dialer.ourselves.contains(socket));
        sockets.truncate(NAME_ADDRESSES_MAX);
        let mut dialled = false;
        match target.peer {
            Some(peer) => {
                for socket in &sockets {
                    self.book.learn(PeerAddress { peer, socket: *socket }, Source::User);
                }
                dialled = !sockets.is_empty() && self.dial_peer(peer, &sockets, Some(seed));
            }
            // Different peers may be behind one name.
            None => {
                for socket in sockets {
                    let options = DialOpts::unknown_peer_id().address(to_multiaddr(&socket));
                    // Behind NAT, others are to see the port that we listen on.
                    let options = if self.reach.behind_nat { options } else { options.allocate_new_port() };
                    let dialing = Dialing { peer: None, socket: Some(socket), seed: Some(seed) };
                    dialled |= self.dial(options.build(), dialing);
                }
            }
        }
        if !dialled {
            self.seed_failed(seed);
        }
    }

    /// Finds out whether the address of a peer that came to us can be reached by others, too: if not, nobody shall be
    /// told of it. That something answers is enough, since the address is the one that the peer came from; a second
    /// connection to it would get in the way of the first.
    pub(super) fn feel(&mut self, address: PeerAddress) {
        if self.dialer.feeling >= FEELING_MAX {
            return;
        }
        self.dialer.feeling += 1;
        let commands = self.dialer.commands.clone();
        tokio::spawn(async move {
            let connecting = tokio::net::TcpStream::connect(address.socket);
            let answers = matches!(tokio::time::timeout(FEEL_TIME_MAX, connecting).await, Ok(Ok(_)));
            // Nobody takes it any more only when the node stops.
            let _ = commands.send(Command::Felt { address, answers });
        });
    }

    pub(super) fn on_felt(&mut self, address: PeerAddress, answers: bool) {
        self.dialer.feeling -= 1;
        if answers {
            self.book.reached(address, now_secs());
        }
    }

    fn dial_peer(&mut self, peer: PeerId, sockets: &[SocketAddr], seed: Option<usize>) -> bool {
        let Some(theirs) = to_libp2p(&peer) else { return false };
        let options = DialOpts::peer_id(theirs)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(sockets.iter().map(to_multiaddr).collect());
        let options = if self.reach.behind_nat { options } else { options.allocate_new_port() };
        let options = options.build();
        self.dial(options, Dialing { peer: Some(peer), socket: None, seed })
    }

    /// Whether one more connection of our own making is wanted.
    pub(super) fn has_place(&self) -> bool {
        let outbound = self.connected.values().filter(|connected| connected.outbound).count();
        outbound + self.dialer.dialing.len() < OUTBOUND_WANTED
    }

    /// Connects to a peer through a relay.
    pub(super) fn dial_through(&mut self, options: DialOpts, peer: PeerId) {
        self.dial(options, Dialing { peer: Some(peer), socket: None, seed: None });
    }

    /// A connection through a relay was made.
    pub(super) fn on_dialed_through(&mut self, id: ConnectionId) {
        self.dialer.dialing.remove(&id);
    }

    fn dial(&mut self, options: DialOpts, dialing: Dialing) -> bool {
        let id = options.connection_id();
        debug!(peer = ?dialing.peer, socket = ?dialing.socket, "connecting");
        match self.swarm.dial(options) {
            Ok(()) => {
                self.dialer.dialing.insert(id, dialing);
                true
            }
            // It is being tried already.
            Err(DialError::DialPeerConditionFalse(_)) => true,
            Err(error) => {
                debug!(%error, "cannot connect");
                false
            }
        }
    }

    /// A connection of ours was made.
    pub(super) fn on_dialed(&mut self, address: PeerAddress, id: ConnectionId) {
        let dialing = self.dialer.dialing.remove(&id);
        if let Some(place) = dialing.as_ref().and_then(|dialing| dialing.seed) {
            self.book.learn(address, Source::User);
            if let Some(seed) = self.dialer.seeds.get_mut(place) {
                seed.failures = 0;
                seed.peers.insert(address.peer);
            }
        }
        self.book.reached(address, now_secs());
    }

    /// A connection of ours was not made.
    pub(super) fn on_dial_failed(&mut self, id: ConnectionId, error: &DialError) {
        let Some(dialing) = self.dialer.dialing.remove(&id) else { return };
        debug!(peer = ?dialing.peer, socket = ?dialing.socket, %error, "cannot connect");
        let now_ms = self.now_ms();
        if let DialError::LocalPeerId { address } = error {
            if let Some(socket) = to_socket(address).filter(|_| self.dialer.ourselves.len() < OURSELVES_MAX) {
                self.dialer.ourselves.push(socket);
            }
            if let Some(peer) = dialing.peer {
                self.book.forget(&peer);
            }
            return;
        }
        // Somebody else is at that address: the one we looked for is not.
        if let DialError::WrongPeerId { obtained, .. } = error {
            debug!(obtained = ?from_libp2p(obtained), "somebody else is at this address");
        }
        if let Some(peer) = dialing.peer {
            self.book.failed(&peer, now_ms, now_secs(), random);
        }
        if let Some(seed) = dialing.seed {
            self.seed_failed(seed);
        }
    }

    fn seed_failed(&mut self, place: usize) {
        let now_ms = self.now_ms();
        if let Some(seed) = self.dialer.seeds.get_mut(place) {
            seed.failures = seed.failures.saturating_add(1);
            seed.next_ms = now_ms.saturating_add(pause_ms(seed.failures, true, random));
            if seed.failures == 1 {
                tracing::info!(target = %seed.target, "cannot connect; will go on trying");
            }
        }
    }
}
