//! The libp2p side put together: TCP, the network's pre-shared key, Noise, Yamux, and the protocols on top of them.

use std::io;
use std::time::Duration;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::futures::TryFutureExt;
use libp2p::gossipsub::{
    self, IdentTopic, IdentityTransform, MessageAuthenticity, MessageId, ValidationMode,
    WhitelistSubscriptionFilter,
};
use libp2p::identity::Keypair;
use libp2p::pnet::{PnetConfig, PreSharedKey};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{
    StreamProtocol, Swarm, Transport, connection_limits, identify, mdns, noise, ping, relay, swarm, tcp,
    upnp, yamux,
};
use sha2::{Digest, Sha256};

use super::P2pConfig;
use super::bans::Bans;
use super::book::TELL_MAX;
use super::codec::Codec;
use super::gate::Gate;
use super::punch::Punch;
use super::traffic::Traffic;
use crate::core::sync::QUESTION_TIME_MAX_MS;
use crate::core::sync::wire::{ANSWER_BYTES_MAX, GOSSIP_BYTES_MAX, QUESTION_BYTES_MAX};

/// For all handshakes of a connection together: how long a node of another network can hold a place.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// Connections that others are making.
const PENDING_IN_MAX: u32 = 32;
/// Connections that we are making.
const PENDING_OUT_MAX: u32 = 16;
/// Connections that others made.
const ESTABLISHED_IN_MAX: u32 = 64;
/// Connections that we made.
const ESTABLISHED_OUT_MAX: u32 = 16;
/// Connections with one peer: one each way when both began at once.
const ESTABLISHED_PEER_MAX: u32 = 2;
/// Questions of a peer that are read or answered at once.
pub(super) const QUESTIONS_MAX: usize = 8;
/// Questions of ours to one peer at once.
const OUR_QUESTIONS_MAX: usize = 64;
/// Streams of a connection, both ways. Each may hold 256 KB that nobody has read yet.
const STREAMS_MAX: usize = 128;
/// Streams of a connection whose protocol is not agreed on yet.
const NEGOTIATING_MAX: usize = 16;
/// Gossip that waits for a peer who takes it slowly; what is more is lost to it, and found by comparing.
const GOSSIP_QUEUE_MAX: usize = 256;
/// What gossipsub adds to a message.
const GOSSIP_FRAME_BYTES: usize = 4 << 10;
/// A multiaddr with a peer's name, at most.
pub(super) const PEERS_LINE_BYTES_MAX: usize = 160;
/// Between two pings.
const PING_EVERY: Duration = Duration::from_secs(15);
/// Peers that can be reached through us, if we relay.
const RELAY_RESERVATIONS_MAX: usize = 64;
/// Connections through us at once, and what each may carry in which time: enough to connect directly instead, or to
/// replicate for a while.
const RELAY_CIRCUITS_MAX: usize = 16;
const RELAY_CIRCUIT_TIME_MAX: Duration = Duration::from_secs(1_800);
const RELAY_CIRCUIT_BYTES_MAX: u64 = 16 << 20;
/// Connections are never idle: who is connected replicates.
const IDLE_TIME_MAX: Duration = Duration::from_secs(365 * 86_400);

/// Questions that the replication asks.
const SYNC_PROTOCOL: StreamProtocol = StreamProtocol::new("/lf/sync/1");
/// Asking for addresses of peers.
pub(super) const PEERS_PROTOCOL: StreamProtocol = StreamProtocol::new("/lf/peers/1");
/// What gossip is about: there is one topic. The network's key keeps networks apart.
const TOPIC: &str = "lf/1";

pub(super) type Gossip = gossipsub::Behaviour<IdentityTransform, WhitelistSubscriptionFilter>;

/// All protocols.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) limits: connection_limits::Behaviour,
    pub(super) gate: Gate,
    pub(super) identify: identify::Behaviour,
    pub(super) ping: ping::Behaviour,
    /// Our questions; apart from those of others, so that each has its own limit.
    pub(super) asking: request_response::Behaviour<Codec>,
    /// Questions of others.
    pub(super) answering: request_response::Behaviour<Codec>,
    /// Addresses of peers.
    pub(super) peers: request_response::Behaviour<Codec>,
    pub(super) gossip: Gossip,
    /// Who is in the local network.
    pub(super) local: Toggle<mdns::tokio::Behaviour>,
    /// Asks a home's router to let peers in.
    pub(super) port_mapping: Toggle<upnp::tokio::Behaviour>,
    /// Connections through relays.
    pub(super) relayed: Toggle<relay::client::Behaviour>,
    /// Direct ones in their place.
    pub(super) punch: Toggle<Punch>,
    /// Relaying for others.
    pub(super) relay: Toggle<relay::Behaviour>,
}

pub(super) fn topic() -> IdentTopic {
    IdentTopic::new(TOPIC)
}

/// A swarm that neither listens nor dials yet.
///
/// # Errors
/// The libraries refuse their configuration, which they do not for any input.
pub(super) fn swarm(
    key: &Keypair,
    network_id: [u8; 32],
    bans: Bans,
    traffic: Traffic,
    options: &P2pConfig,
) -> io::Result<Swarm<Behaviour>> {
    let config = swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(IDLE_TIME_MAX)
        .with_max_negotiating_inbound_streams(NEGOTIATING_MAX);
    let name = key.public().to_peer_id();
    let (circuits, relayed) = match options.behind_nat.then(|| relay::client::new(name)) {
        Some((circuits, relayed)) => (Some(circuits), Some(relayed)),
        None => (None, None),
    };
    let transport = transport(key, network_id, traffic, circuits)?;
    Ok(Swarm::new(transport, behaviour(key, bans, relayed, options)?, name, config))
}

fn transport(
    key: &Keypair,
    network_id: [u8; 32],
    traffic: Traffic,
    circuits: Option<relay::client::Transport>,
) -> io::Result<Boxed<(libp2p::PeerId, StreamMuxerBox)>> {
    let shared = PnetConfig::new(PreSharedKey::new(network_id));
    let noise = noise::Config::new(key).map_err(io::Error::other)?;
    let mut streams = yamux::Config::default();
    streams.set_max_num_streams(STREAMS_MAX);
    let direct = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .and_then(move |socket, endpoint| {
            let counted = traffic.count(socket, &endpoint);
            shared.handshake(counted).map_err(io::Error::other)
        })
        .upgrade(Version::V1)
        .authenticate(noise.clone())
        .multiplex(streams.clone())
        .timeout(HANDSHAKE_TIME_MAX)
        .boxed();
    let Some(circuits) = circuits else { return Ok(direct) };
    // Through a relay, which both ends can only talk to with the network's key.
    let circuits = circuits
        .upgrade(Version::V1)
        .authenticate(noise)
        .multiplex(streams)
        .timeout(HANDSHAKE_TIME_MAX)
        .map(|(peer, streams), _| (peer, StreamMuxerBox::new(streams)));
    Ok(circuits.or_transport(direct).map(|either, _| either.into_inner()).boxed())
}

/// Bounded: who relays for others gives away some of its line, not all of it.
fn relay_config() -> relay::Config {
    relay::Config {
        max_reservations: RELAY_RESERVATIONS_MAX,
        max_reservations_per_peer: 1,
        max_circuits: RELAY_CIRCUITS_MAX,
        max_circuits_per_peer: 2,
        max_circuit_duration: RELAY_CIRCUIT_TIME_MAX,
        max_circuit_bytes: RELAY_CIRCUIT_BYTES_MAX,
        ..relay::Config::default()
    }
}

/// Looking for peers in the local network. Where that is not possible, the node goes on without.
fn local(name: libp2p::PeerId) -> Option<mdns::tokio::Behaviour> {
    mdns::tokio::Behaviour::new(mdns::Config::default(), name)
        .inspect_err(|error| tracing::warn!(%error, "cannot look for peers in the local network"))
        .ok()
}

fn behaviour(
    key: &Keypair,
    bans: Bans,
    relayed: Option<relay::client::Behaviour>,
    options: &P2pConfig,
) -> io::Result<Behaviour> {
    let name = key.public().to_peer_id();
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_IN_MAX))
        .with_max_pending_outgoing(Some(PENDING_OUT_MAX))
        .with_max_established_incoming(Some(ESTABLISHED_IN_MAX))
        .with_max_established_outgoing(Some(ESTABLISHED_OUT_MAX))
        .with_max_established_per_peer(Some(ESTABLISHED_PEER_MAX));
    let agent = concat!("lf/", env!("CARGO_PKG_VERSION")).to_owned();
    let identify = identify::Config::new("lf/1".to_owned(), key.public()).with_agent_version(agent);
    let sync = |support, streams_max| {
        let codec = Codec { question_bytes_max: QUESTION_BYTES_MAX, answer_bytes_max: ANSWER_BYTES_MAX };
        let config = request_response::Config::default()
            .with_request_timeout(Duration::from_millis(QUESTION_TIME_MAX_MS))
            .with_max_concurrent_streams(streams_max);
        request_response::Behaviour::with_codec(codec, [(SYNC_PROTOCOL, support)], config)
    };
    let peers = request_response::Behaviour::with_codec(
        Codec { question_bytes_max: 0, answer_bytes_max: TELL_MAX * PEERS_LINE_BYTES_MAX },
        [(PEERS_PROTOCOL, ProtocolSupport::Full)],
        request_response::Config::default().with_max_concurrent_streams(2),
    );
    Ok(Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        gate: Gate::new(bans),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_EVERY)),
        asking: sync(ProtocolSupport::Outbound, OUR_QUESTIONS_MAX),
        answering: sync(ProtocolSupport::Inbound, QUESTIONS_MAX),
        peers,
        gossip: gossip()?,
        local: options.local_discovery.then(|| local(name)).flatten().into(),
        port_mapping: options.behind_nat.then(upnp::tokio::Behaviour::default).into(),
        relayed: relayed.into(),
        punch: options.behind_nat.then(|| Punch::new(name)).into(),
        relay: options.relay.then(|| relay::Behaviour::new(name, relay_config())).into(),
    })
}

fn gossip() -> io::Result<Gossip> {
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| MessageId::from(Sha256::digest(&message.data).to_vec()))
        .max_transmit_size(GOSSIP_BYTES_MAX + GOSSIP_FRAME_BYTES)
        // Few copies of everything: what a small mesh misses, lazy gossip and comparing find (`lf-sim report`).
        .mesh_n(3)
        .mesh_n_low(3)
        .mesh_n_high(4)
        .mesh_outbound_min(1)
        .flood_publish(true)
        .connection_handler_queue_len(GOSSIP_QUEUE_MAX)
        .build()
        .map_err(|e| io::Error::other(e.to_string()))?;
    let filter = WhitelistSubscriptionFilter([topic().hash()].into());
    let mut gossip = Gossip::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, filter)
        .map_err(io::Error::other)?;
    gossip.subscribe(&topic()).map_err(|e| io::Error::other(e.to_string()))?;
    Ok(gossip)
}
