//! Handlers about peers.

use std::net::{IpAddr, SocketAddr};

use lf_proto::api::{BanRequest, NodeStatus, Peer, PeerBan, PeerList, PeerStatus, PeersStatus};
use lf_proto::blob::Blob;

use super::{body, parse};
use crate::Failure;
use crate::core::sync::PeerState;
use crate::http::Context;
use crate::http::dispatch::Call;
use crate::http::reply::{self, Reply};
use crate::p2p::{P2pHandle, PeerInfo, Target};

/// A ban that says nothing of its time.
const BAN_HOURS: u64 = 24;
/// The longest ban: a hundred years.
const BAN_HOURS_MAX: u64 = 876_600;

fn done() -> Reply {
    Reply::Full { content_type: reply::JSON, body: Vec::new() }
}

fn invalid(what: impl std::fmt::Display) -> Failure {
    Failure::bad_request("ErrInvalidParameter", format!("invalid or malformed payload: {what}"))
}

pub(crate) fn connect(context: &Context, call: &Call) -> Result<Reply, Failure> {
    let peer: Peer = parse(body(call))?;
    let target = if peer.address.is_empty() {
        if peer.ip.is_empty() {
            return Ok(done());
        }
        let ip: IpAddr =
            peer.ip.parse().map_err(|_| invalid(format!("invalid IP address: {:.100}", peer.ip)))?;
        let identity = Some(peer.identity.0.as_slice()).filter(|identity| !identity.is_empty());
        match (&context.p2p, peer.port) {
            (None, _) => return Ok(done()),
            (Some(_), 0) => return Err(invalid("invalid port: 0")),
            (Some(_), port) => Target::new(SocketAddr::new(ip, port), identity),
        }
    } else {
        peer.address.parse()
    };
    let target = target.map_err(|e| invalid(format!("invalid address: {e}")))?;
    if let Some(p2p) = &context.p2p {
        p2p.connect(target);
    }
    Ok(done())
}

pub(crate) fn list(context: &Context, call: &Call) -> Result<Reply, Failure> {
    let peers = context.p2p.as_ref().map(|p2p| p2p.addresses_for(call.peer)).unwrap_or_default();
    Reply::json(&PeerList { peers })
}

pub(crate) fn peers_status(context: &Context, _: &Call) -> Result<Reply, Failure> {
    let Some(p2p) = &context.p2p else { return Reply::json(&PeersStatus::default()) };
    let network = p2p.network();
    Reply::json(&PeersStatus {
        peers: network.peers.iter().map(peer_status).collect(),
        bans: network
            .bans
            .into_iter()
            .map(|ban| PeerBan { peer: ban.whom, until: ban.until_secs, reason: ban.reason })
            .collect(),
        listens: network.listens.iter().map(ToString::to_string).collect(),
        known_peers: network.known_peers as u64,
    })
}

fn peer_status(info: &PeerInfo) -> PeerStatus {
    let micros = |d: std::time::Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
    let state = match info.sync.map(|sync| sync.state) {
        None | Some(PeerState::New) => "new",
        Some(PeerState::Syncing) => "syncing",
        Some(PeerState::Synced) => "synced",
    };
    PeerStatus {
        peer: info.peer.to_string(),
        address: info.address.map(|address| address.to_string()).unwrap_or_default(),
        outbound: info.outbound,
        version: info.agent.clone(),
        round_trip_micros: info.round_trip.map(micros),
        connected_seconds: info.connected_for.as_secs(),
        state: state.to_owned(),
        records: info.sync.map_or(0, |sync| sync.records),
        score: info.sync.map_or(0, |sync| sync.score),
        received_bytes: info.received_bytes,
        sent_bytes: info.sent_bytes,
    }
}

pub(crate) fn ban(context: &Context, call: &Call) -> Result<Reply, Failure> {
    let request: BanRequest = parse(body(call))?;
    let hours = request.hours.unwrap_or(BAN_HOURS).min(BAN_HOURS_MAX);
    connected(context)?.ban(&request.peer, hours.saturating_mul(3600)).map_err(invalid)?;
    Ok(done())
}

pub(crate) fn unban(context: &Context, call: &Call) -> Result<Reply, Failure> {
    let request: BanRequest = parse(body(call))?;
    if connected(context)?.unban(&request.peer).map_err(invalid)? {
        return Ok(done());
    }
    Err(Failure { status: 404, name: "", message: format!("{:.100} is not banned", request.peer) })
}

fn connected(context: &Context) -> Result<&P2pHandle, Failure> {
    let message = "this node has no peers: it was started without them";
    context.p2p.as_ref().ok_or_else(|| Failure { status: 409, name: "", message: message.to_owned() })
}

/// Puts into a status what the connections to other nodes know.
pub(super) fn complete(status: &mut NodeStatus, context: &Context) {
    let Some(p2p) = &context.p2p else { return };
    let sync = p2p.sync();
    status.fully_synchronized = sync.synchronized;
    status.missing_count = sync.missing;
    status.fetched_count = sync.fetched;
    status.p2p_port = p2p.port();
    status.peers = p2p.network().peers.iter().map(peer).collect();
}

/// A peer as others can reach it, else as we see it.
fn peer(info: &PeerInfo) -> Peer {
    let socket = info.listens.or(info.address);
    Peer {
        ip: socket.map(|socket| socket.ip().to_string()).unwrap_or_default(),
        port: socket.map_or(0, |socket| socket.port()),
        identity: Blob(info.peer.0.to_vec()),
        address: String::new(),
    }
}
