//! The peer-to-peer shell: libp2p connections between nodes of one network, and the thread that replicates over them.
//!
//! Two threads: `lf-p2p` owns the connections (`network`), `lf-sync` owns the state machine of [`crate::core::sync`]
//! (`driver`). Events go one way through a bounded queue (`inbox`), commands the other way. What is in the bytes that go
//! over the connections is known to `core::sync` alone; who may connect, and whom we connect to, is decided here (`gate`,
//! `bans`, `book`, `network::dial`). No rule of records belongs here.

mod address;
mod bans;
mod behaviour;
mod board;
mod book;
mod codec;
mod driver;
mod gate;
mod inbox;
mod network;
mod punch;
#[cfg(test)]
mod tests;
mod traffic;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

use libp2p::futures::StreamExt;
use libp2p::identity::Keypair;
use libp2p::swarm::SwarmEvent;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tracing::{error, info, warn};

pub use self::address::{P2P_PORT, Target, TargetError};
use self::address::{Scope, parse_peer, scope, to_multiaddr, to_socket};
use self::board::Board;
pub use self::board::{BanInfo, NetworkInfo, NetworkTotals, PeerInfo};
use self::driver::{Driver, Engine};
pub(crate) use self::inbox::Inbox;
use self::network::{Command, Network, NetworkParts, Whom};
use self::traffic::Traffic;
use crate::Node;
use crate::core::sync::{Event, Sync, SyncStatus};

/// To the thread that owns the connections.
type Commands = UnboundedSender<Command>;

/// For a socket to listen.
const LISTEN_TIME_MAX: Duration = Duration::from_secs(10);
/// For an answer of the thread that owns the connections.
const REPLY_TIME_MAX: Duration = Duration::from_secs(5);

/// How to connect to other nodes.
#[derive(Debug, Clone, Default)]
pub struct P2pConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Where to connect to first.
    pub seeds: Vec<Target>,
    /// Find peers in the local network, by mDNS.
    pub local_discovery: bool,
    /// The node is behind a router that lets nobody in: ask it to (UPnP), else be reached through peers that relay, and
    /// from there directly.
    pub behind_nat: bool,
    /// Let nodes behind NAT be reached through this one, within bounds.
    pub relay: bool,
}

impl P2pConfig {
    /// Listens on this port of all addresses.
    pub fn on_port(port: u16) -> Self {
        let listen = vec![
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
        ];
        P2pConfig { listen, ..P2pConfig::default() }
    }
}

/// What the shell is made from.
pub(crate) struct P2pParts {
    pub(crate) node: Node,
    /// Ed25519 secret key, 32 bytes.
    pub(crate) secret: zeroize::Zeroizing<[u8; 32]>,
    pub(crate) network_id: [u8; 32],
    pub(crate) home: PathBuf,
    pub(crate) inbox: Arc<Inbox>,
}

/// Listening failed.
#[derive(Debug)]
pub(crate) enum P2pError {
    /// On this address.
    Listen(SocketAddr, io::Error),
    /// Threads or randomness.
    System(&'static str, io::Error),
}

/// Connections to other nodes, for as long as this lives.
#[derive(Debug)]
pub(crate) struct P2p {
    handle: P2pHandle,
    inbox: Arc<Inbox>,
    network: JoinHandle<()>,
    driver: Driver,
}

/// Asks the shell. Cheap to clone.
#[derive(Debug, Clone)]
pub struct P2pHandle {
    commands: Commands,
    board: Arc<Board>,
    port: u16,
}

/// A name of a peer or address that is neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is neither a peer (@base62 or 12D3Koo…) nor an IP address")]
pub struct WhomError;

impl P2p {
    /// Listens, and starts the threads.
    pub(crate) fn start(parts: P2pParts, config: &P2pConfig) -> Result<Self, P2pError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|e| P2pError::System("get random bytes", io::Error::other(e.to_string())))?;
        Self::start_with(Sync::new(seed), parts, config)
    }

    fn start_with(engine: impl Engine, parts: P2pParts, config: &P2pConfig) -> Result<Self, P2pError> {
        let P2pParts { node, mut secret, network_id, home, inbox } = parts;
        let system = |what| move |e| P2pError::System(what, e);
        let key = Keypair::ed25519_from_bytes(secret.as_mut_slice())
            .map_err(|e| P2pError::System("use the node's identity", io::Error::other(e)))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(system("start threads"))?;
        let book_path = home.join("peers.json");
        let (book, bans, problem) = book::load(&book_path);
        if let Some(problem) = problem {
            warn!(problem, "peers.json is of no use, and is made anew");
        }
        let traffic = Traffic::default();
        let entered = runtime.enter();
        let mut swarm = behaviour::swarm(&key, network_id, bans, traffic.clone(), config)
            .map_err(system("prepare for peers"))?;
        drop(entered);
        let listens = runtime.block_on(listen(&mut swarm, &config.listen))?;
        let port = listens.first().map_or(0, SocketAddr::port);
        let board = Arc::new(Board::default());
        let (sender, commands) = unbounded_channel();
        let driver = Driver::start(engine, node.clone(), inbox.clone(), sender.clone(), board.clone());
        let driver = driver.map_err(system("start a thread"))?;
        let parts = NetworkParts {
            swarm,
            commands,
            sender: sender.clone(),
            inbox: inbox.clone(),
            board: board.clone(),
            traffic,
            book,
            book_path,
            seeds: config.seeds.clone(),
            listens,
            behind_nat: config.behind_nat,
        };
        let network = std::thread::Builder::new().name("lf-p2p".to_owned()).spawn(move || {
            runtime.block_on(Network::new(parts).run());
            // Looking up a name may take its time.
            runtime.shutdown_background();
        });
        let network = network.map_err(system("start a thread"))?;
        node.on_pulse({
            let inbox = inbox.clone();
            move |pulse| inbox.push(Event::NewPulse { pulse })
        });
        info!(port, "listening for peers");
        Ok(P2p { handle: P2pHandle { commands: sender, board, port }, inbox, network, driver })
    }

    /// Asks the shell.
    pub(crate) fn handle(&self) -> P2pHandle {
        self.handle.clone()
    }

    /// Closes all connections and ends the threads.
    pub(crate) fn stop(self) {
        // The inbox first: whoever waits for room in it must not.
        self.inbox.close();
        let _ = self.handle.commands.send(Command::Stop);
        if self.network.join().is_err() {
            error!("the thread of the connections hit a bug");
        }
        self.driver.join();
    }
}

/// Listens on all addresses. Of several, some may fail: a machine may have no IPv6.
async fn listen(
    swarm: &mut libp2p::Swarm<behaviour::Behaviour>,
    addresses: &[SocketAddr],
) -> Result<Vec<SocketAddr>, P2pError> {
    let mut failure = None;
    let mut wanted = 0;
    for address in addresses {
        match swarm.listen_on(to_multiaddr(address)) {
            Ok(_) => wanted += 1,
            Err(e) => {
                let e = match e {
                    libp2p::TransportError::Other(e) => e,
                    e => io::Error::other(e.to_string()),
                };
                if e.kind() == io::ErrorKind::AddrInUse {
                    return Err(P2pError::Listen(*address, e));
                }
                failure = Some(P2pError::Listen(*address, e));
            }
        }
    }
    if wanted == 0 {
        return failure.map_or(Ok(Vec::new()), Err);
    }
    let mut listens = Vec::new();
    let first = async {
        loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await
                && let Some(socket) = to_socket(&address)
            {
                return socket;
            }
        }
    };
    listens.extend(tokio::time::timeout(LISTEN_TIME_MAX, first).await.ok());
    Ok(listens)
}

impl P2pHandle {
    /// The port we listen on; 0 if we do not.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Peers, bans, counts; a second old at most.
    pub fn network(&self) -> NetworkInfo {
        self.board.network()
    }

    /// How replication stands.
    pub fn sync(&self) -> SyncStatus {
        self.board.sync()
    }

    /// Connects to a place, now and whenever the connection is lost, for as long as the node runs.
    pub fn connect(&self, target: Target) {
        let _ = self.commands.send(Command::Connect(target));
    }

    /// Bans a peer or an IP address for so many seconds and closes its connections.
    ///
    /// # Errors
    /// `whom` is neither.
    pub fn ban(&self, whom: &str, secs: u64) -> Result<(), WhomError> {
        let (reply, done) = sync_channel(1);
        let _ = self.commands.send(Command::UserBan { whom: whom_of(whom)?, secs, reply });
        // If it takes longer, it is done all the same.
        let _ = done.recv_timeout(REPLY_TIME_MAX);
        Ok(())
    }

    /// Ends a ban. Returns whether there was one.
    ///
    /// # Errors
    /// `whom` is neither a peer nor an IP address.
    pub fn unban(&self, whom: &str) -> Result<bool, WhomError> {
        let (reply, answer) = sync_channel(1);
        let _ = self.commands.send(Command::Lift { whom: whom_of(whom)?, reply });
        Ok(answer.recv_timeout(REPLY_TIME_MAX).unwrap_or(false))
    }

    /// Addresses of peers, as multiaddrs, that a client at this address may be told.
    pub fn addresses_for(&self, client: Option<IpAddr>) -> Vec<String> {
        let to = client.and_then(scope).unwrap_or(Scope::Public);
        let (reply, answer) = sync_channel(1);
        let _ = self.commands.send(Command::Tell { to, reply });
        let addresses = answer.recv_timeout(REPLY_TIME_MAX).unwrap_or_default();
        addresses.iter().map(ToString::to_string).collect()
    }
}

fn whom_of(text: &str) -> Result<Whom, WhomError> {
    match text.parse::<IpAddr>() {
        Ok(ip) => Ok(Whom::Ip(ip.to_canonical())),
        Err(_) => parse_peer(text).map(Whom::Peer).ok_or(WhomError),
    }
}
