//! Reaching and being reached where addresses alone do not do: peers in the local network, and nodes behind NAT, which
//! routers, relays and both ends connecting at once help with. Each is there only if the user asked for it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, StreamProtocol, dcutr, identify, mdns, relay, upnp};
use tracing::{debug, info, warn};

use super::{Network, random};
use crate::core::sync::PeerId;
use crate::p2p::address::{
    PeerAddress, Scope, from_libp2p, parse_through_teller, scope, subnet, through_teller, to_libp2p,
    to_multiaddr, to_socket,
};
use crate::p2p::book::{Source, TELL_MAX};
use crate::p2p::gate::now_secs;

/// Relays through which a node behind NAT can be reached.
const RELAYS_MAX: usize = 2;
/// Before a peer is asked again to relay, or another one is.
const RELAY_PAUSE: Duration = Duration::from_secs(60);
/// Peers behind NAT that a relay tells of at once.
const TELL_RELAYED_MAX: usize = TELL_MAX / 4;
/// Peers of the local network that are taken notice of at once.
const DISCOVERED_MAX: usize = 64;

/// What a node behind NAT, or one that relays, keeps.
#[derive(Debug, Default)]
pub(super) struct Reach {
    pub(super) behind_nat: bool,
    /// Connected peers that relay, with the address of ours to them.
    relays: BTreeMap<PeerId, Multiaddr>,
    /// Those through which we can be reached, or are about to.
    reserved: BTreeMap<PeerId, ListenerId>,
    /// When the next relay may be asked.
    next: Option<Instant>,
    /// Peers that can be reached through us.
    relayed: BTreeSet<PeerId>,
}

impl Reach {
    pub(super) fn new(behind_nat: bool) -> Self {
        Reach { behind_nat, ..Reach::default() }
    }
}

/// Addresses that the local network told of: private ones, and those in a network that we have an address in (`ours`).
/// What is farther away is found otherwise, and who sends such a thing means no good.
fn local_addresses(
    found: &[(libp2p::PeerId, Multiaddr)],
    ours: &[SocketAddr],
) -> impl Iterator<Item = PeerAddress> {
    found.iter().take(DISCOVERED_MAX).filter_map(|(peer, address)| {
        let socket = to_socket(address)?;
        let with_us = ours.iter().any(|own| subnet(own.ip()) == subnet(socket.ip()));
        let near = with_us || scope(socket.ip()).is_some_and(|scope| scope < Scope::Public);
        Some(PeerAddress { peer: from_libp2p(peer)?, socket }).filter(|_| near)
    })
}

impl Network {
    /// The local network told of peers. It is no better than a peer that came to us: nobody vouches for what it says, and
    /// nodes of other networks are among them.
    pub(super) fn on_local(&mut self, event: mdns::Event) {
        let mdns::Event::Discovered(found) = event else { return };
        let Some(ours) = from_libp2p(self.swarm.local_peer_id()) else { return };
        for address in local_addresses(&found, &self.listens).filter(|address| address.peer != ours) {
            if self.book.learn(address, Source::Heard(ours)) {
                debug!(peer = %address.peer, socket = %address.socket, "found in the local network");
            }
        }
        self.dial_who_is_due();
    }

    pub(super) fn on_port_mapping(&mut self, event: upnp::Event) {
        match event {
            upnp::Event::NewExternalAddr { external_addr, .. } => {
                info!(address = %external_addr, "the router lets peers in");
            }
            upnp::Event::ExpiredExternalAddr { external_addr, .. } => {
                warn!(address = %external_addr, "the router lets peers in no longer");
            }
            upnp::Event::GatewayNotFound => {
                info!("no router can be asked to let peers in (UPnP); relays are used if there are any");
            }
            upnp::Event::NonRoutableGateway => {
                info!("the router is behind another one; relays are used if there are any");
            }
        }
    }

    /// A peer that we connected to said what it can do: it may relay.
    pub(super) fn note_relay(&mut self, peer: PeerId, info: &identify::Info) {
        let hop: StreamProtocol = relay::HOP_PROTOCOL_NAME;
        if !self.reach.behind_nat || !info.protocols.contains(&hop) {
            return;
        }
        let connections = self.connected.get(&peer).into_iter().flat_map(|c| c.connections.values());
        let socket = connections.filter(|c| c.outbound).find_map(|c| c.socket);
        if let (Some(socket), Some(theirs)) = (socket, to_libp2p(&peer)) {
            let address = to_multiaddr(&socket).with(Protocol::P2p(theirs));
            self.reach.relays.insert(peer, address);
            self.use_relays();
        }
    }

    /// Asks peers that relay to be reached through them, until there are enough.
    pub(super) fn use_relays(&mut self) {
        let connected = &self.connected;
        self.reach.relays.retain(|peer, _| connected.contains_key(peer));
        while self.reach.reserved.len() < RELAYS_MAX && self.reach.next.is_none_or(|at| at <= Instant::now())
        {
            let reach = &self.reach;
            let free: Vec<PeerId> =
                reach.relays.keys().filter(|peer| !reach.reserved.contains_key(peer)).copied().collect();
            let place = usize::try_from(random(free.len() as u64)).unwrap_or(0);
            let Some(peer) = free.get(place) else { return };
            let Some(address) = self.reach.relays.get(peer) else { return };
            match self.swarm.listen_on(address.clone().with(Protocol::P2pCircuit)) {
                Ok(listener) => drop(self.reach.reserved.insert(*peer, listener)),
                Err(error) => {
                    debug!(%peer, %error, "cannot be reached through this peer");
                    self.reach.next = Some(Instant::now() + RELAY_PAUSE);
                }
            }
        }
    }

    /// A listener is gone. Returns whether it was one at a relay.
    pub(super) fn on_relay_lost(&mut self, listener: ListenerId) -> bool {
        let before = self.reach.reserved.len();
        self.reach.reserved.retain(|_, known| *known != listener);
        let was_relay = self.reach.reserved.len() < before;
        if was_relay {
            self.reach.next = Some(Instant::now() + RELAY_PAUSE);
        }
        was_relay
    }

    pub(super) fn on_relayed(&mut self, event: &relay::client::Event) {
        match event {
            relay::client::Event::ReservationReqAccepted { relay_peer_id, renewal: false, .. } => {
                let relay = from_libp2p(relay_peer_id).map(|peer| peer.to_string()).unwrap_or_default();
                info!(relay, "can be reached through a relay");
                // Others that can may have come before.
                self.swarm.behaviour_mut().peers.send_request(relay_peer_id, Vec::new());
            }
            event => debug!(?event, "relay"),
        }
    }

    pub(super) fn on_punched(&mut self, event: &dcutr::Event) {
        match &event.result {
            Ok(_) => info!(peer = %event.remote_peer_id, "connected directly, no longer through a relay"),
            Err(error) => {
                debug!(peer = %event.remote_peer_id, %error, "not connected directly; it goes on through the relay");
            }
        }
    }

    /// A peer has a direct connection: those through relays are of no use any more.
    pub(super) fn close_relayed(&mut self, peer: &PeerId) {
        let connections = self.connected.get(peer).into_iter().flat_map(|c| &c.connections);
        let relayed: Vec<_> = connections.filter(|(_, c)| c.socket.is_none()).map(|(id, _)| *id).collect();
        for id in relayed {
            self.swarm.close_connection(id);
        }
    }

    /// Somebody is, or is no longer, to be reached through us.
    pub(super) fn on_relaying(&mut self, event: &relay::Event) {
        match event {
            relay::Event::ReservationReqAccepted { src_peer_id, .. } => {
                self.reach.relayed.extend(from_libp2p(src_peer_id));
            }
            relay::Event::ReservationClosed { src_peer_id }
            | relay::Event::ReservationTimedOut { src_peer_id } => {
                if let Some(peer) = from_libp2p(src_peer_id) {
                    self.reach.relayed.remove(&peer);
                }
            }
            event => debug!(?event, "relaying"),
        }
    }

    /// Lines about peers that can be reached through us.
    pub(super) fn tell_relayed(&self, except: &PeerId) -> Vec<String> {
        let mut peers: Vec<&PeerId> = self.reach.relayed.iter().filter(|peer| *peer != except).collect();
        while peers.len() > TELL_RELAYED_MAX {
            let place = usize::try_from(random(peers.len() as u64)).unwrap_or(0).min(peers.len() - 1);
            peers.swap_remove(place);
        }
        peers.into_iter().filter_map(through_teller).collect()
    }

    /// A relay told whom it can be a way to. Tried are those that we have no other way to, while places are free.
    pub(super) fn try_through(&mut self, relay: &PeerId, told: &[u8]) {
        let Some(way) = self.reach.relays.get(relay).cloned() else { return };
        let text = String::from_utf8_lossy(told);
        for peer in text.lines().take(TELL_MAX).filter_map(parse_through_teller).take(TELL_RELAYED_MAX) {
            let Some(theirs) = to_libp2p(&peer) else { continue };
            let known = self.connected.contains_key(&peer) || theirs == *self.swarm.local_peer_id();
            if known || !self.has_place() || self.swarm.behaviour().gate.bans.peer(&peer, now_secs()) {
                continue;
            }
            let options = DialOpts::peer_id(theirs)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(vec![way.clone().with(Protocol::P2pCircuit).with(Protocol::P2p(theirs))])
                .build();
            self.dial_through(options, peer);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use libp2p::identity::Keypair;

    #[test]
    fn the_local_network_tells_of_itself_only() {
        let peer = Keypair::generate_ed25519().public().to_peer_id();
        let texts = [
            "/ip4/192.168.1.5/tcp/9908".to_owned(),
            format!("/ip4/10.0.0.1/tcp/1/p2p/{peer}"),
            "/ip4/8.8.8.8/tcp/9908".to_owned(),
            "/ip4/198.51.100.9/tcp/9908".to_owned(),
            "/ip4/192.168.1.5/udp/9908/quic-v1".to_owned(),
            "/ip6/fe80::1/tcp/9908".to_owned(),
            format!("/ip4/192.168.1.6/tcp/9908/p2p/{peer}/p2p-circuit"),
        ];
        let found: Vec<(libp2p::PeerId, Multiaddr)> =
            texts.iter().map(|text| (peer, text.parse().unwrap())).collect();
        let ours = ["192.168.1.2:9908", "198.51.100.2:9908"].map(|text| text.parse().unwrap());
        let sockets: Vec<String> = local_addresses(&found, &ours).map(|a| a.socket.to_string()).collect();
        assert_eq!(sockets, ["192.168.1.5:9908", "10.0.0.1:1", "198.51.100.9:9908"]);
        // Others speak mDNS too; a flood is cut off, and other kinds of identity are none of ours.
        let many = vec![found[0].clone(); 1_000];
        assert_eq!(local_addresses(&many, &[]).count(), DISCOVERED_MAX);
        assert_eq!(local_addresses(&[(libp2p::PeerId::random(), found[0].1.clone())], &[]).count(), 0);
    }
}
