//! What the two threads of the peer-to-peer shell let others see of them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::core::sync::{PeerId, PeerStatus, SyncStatus};

/// A connected peer.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerInfo {
    /// Who it is.
    pub peer: PeerId,
    /// The other end of its oldest connection.
    pub address: Option<SocketAddr>,
    /// Where others can reach it, as far as we know.
    pub listens: Option<SocketAddr>,
    /// Whether we dialled it.
    pub outbound: bool,
    /// The program it says it is.
    pub agent: String,
    /// How long the last ping took.
    pub round_trip: Option<Duration>,
    /// How long it has been connected.
    pub connected_for: Duration,
    /// Bytes received from it.
    pub received_bytes: u64,
    /// Bytes sent to it.
    pub sent_bytes: u64,
    /// What replication knows of it.
    pub sync: Option<PeerStatus>,
}

/// A ban.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BanInfo {
    /// A peer, as `@base62`, or an IP address.
    pub whom: String,
    /// When it ends, seconds since 1970.
    pub until_secs: u64,
    /// Why.
    pub reason: String,
}

/// The network's side.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NetworkInfo {
    /// Connected peers, the oldest connection first.
    pub peers: Vec<PeerInfo>,
    /// Bans.
    pub bans: Vec<BanInfo>,
    /// Addresses we listen on.
    pub listens: Vec<SocketAddr>,
    /// How long no peer has been connected: nothing while one is; since the start, if none ever was.
    pub alone_for: Duration,
    /// Peers in the address book.
    pub known_peers: usize,
    /// What happened since the start.
    pub totals: NetworkTotals,
}

/// What happened since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetworkTotals {
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Questions of ours.
    pub asked: u64,
    /// Those that got no answer.
    pub unanswered: u64,
    /// Questions of others that we answered.
    pub answered: u64,
    /// Gossip messages received that were no duplicates.
    pub gossip_received: u64,
    /// Gossip messages of our own.
    pub gossip_published: u64,
    /// Bans pronounced.
    pub bans: u64,
    /// Connections not let in.
    pub denied: u64,
}

/// Where the threads post it.
#[derive(Debug)]
pub(super) struct Board {
    network: Mutex<NetworkBoard>,
    sync: Mutex<SyncBoard>,
}

impl Default for Board {
    fn default() -> Self {
        let network = NetworkBoard { info: NetworkInfo::default(), alone_since: Some(Instant::now()) };
        Board { network: Mutex::new(network), sync: Mutex::default() }
    }
}

#[derive(Debug)]
struct NetworkBoard {
    info: NetworkInfo,
    /// None while there are peers.
    alone_since: Option<Instant>,
}

#[derive(Debug, Default)]
struct SyncBoard {
    status: SyncStatus,
    peers: HashMap<PeerId, PeerStatus>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Board {
    pub(super) fn post_network(&self, info: NetworkInfo) {
        let mut network = lock(&self.network);
        network.alone_since = match network.alone_since {
            _ if !info.peers.is_empty() => None,
            since => since.or_else(|| Some(Instant::now())),
        };
        network.info = info;
    }

    pub(super) fn post_sync(&self, status: SyncStatus, peers: HashMap<PeerId, PeerStatus>) {
        *lock(&self.sync) = SyncBoard { status, peers };
    }

    pub(super) fn network(&self) -> NetworkInfo {
        let mut info = {
            let network = lock(&self.network);
            let alone_for = network.alone_since.map_or(Duration::ZERO, |since| since.elapsed());
            NetworkInfo { alone_for, ..network.info.clone() }
        };
        let sync = lock(&self.sync);
        info.peers.iter_mut().for_each(|peer| peer.sync = sync.peers.get(&peer.peer).copied());
        info
    }

    pub(super) fn sync(&self) -> SyncStatus {
        lock(&self.sync).status
    }
}
