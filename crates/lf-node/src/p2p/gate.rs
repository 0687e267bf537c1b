//! Which connections may come and stay: bans, and how many one address or network may have. Decided before the costly
//! handshake where that is possible. Counts of all connections together are libp2p's own limits.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use libp2p::core::transport::PortUse;
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm, dummy,
};

use super::address::{Scope, from_libp2p, relay_scope, scope, subnet, to_socket};
use super::bans::Bans;

/// Connections from one address, being made or open.
const IP_CONNECTIONS_MAX: usize = 8;
/// Connections from one address that are being made: what a node of another network can hold for its ten seconds.
const IP_PENDING_MAX: usize = 4;
/// Connections from one network (/24 of IPv4, /48 of IPv6).
const SUBNET_CONNECTIONS_MAX: usize = 24;
/// Connections through relays that others made: their addresses are not known, so they count together.
const RELAYED_CONNECTIONS_MAX: usize = 8;
/// With less memory than this nobody new is let in.
const MEMORY_FREE_BYTES_MIN: u64 = 64 << 20;
/// How often memory is looked at.
const MEMORY_EVERY: Duration = Duration::from_secs(1);

/// Why a connection is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    #[error("it is banned")]
    Banned,
    #[error("its address has too many connections")]
    Address,
    #[error("its network has too many connections")]
    Subnet,
    #[error("too many connections come through relays")]
    Relayed,
    #[error("a peer behind a relay named an address that it should not know")]
    Inside,
    #[error("this machine is short of memory")]
    Memory,
    #[error("its identity is of an unknown kind")]
    Identity,
}

#[derive(Debug)]
struct Inbound {
    /// None if it comes through a relay.
    ip: Option<IpAddr>,
    pending: bool,
}

/// The gate.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) bans: Bans,
    /// Connections that came from outside.
    inbound: HashMap<ConnectionId, Inbound>,
    /// Peers that are connected through a relay, and from where the relay can be reached.
    relayed: HashMap<ConnectionId, (libp2p::PeerId, Scope)>,
    /// When memory was looked at, and whether there was enough.
    memory: Option<(Instant, bool)>,
    /// Connections not let in.
    pub(crate) denied_total: u64,
}

pub(super) fn now_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

impl Gate {
    pub(crate) fn new(bans: Bans) -> Self {
        Gate { bans, inbound: HashMap::new(), relayed: HashMap::new(), memory: None, denied_total: 0 }
    }

    fn enough_memory(&mut self) -> bool {
        if let Some((at, enough)) = self.memory
            && at.elapsed() < MEMORY_EVERY
        {
            return enough;
        }
        let enough = lf_platform::memory_free_bytes().is_none_or(|free| free >= MEMORY_FREE_BYTES_MIN);
        self.memory = Some((Instant::now(), enough));
        enough
    }

    fn admit(&mut self, ip: IpAddr) -> Result<(), Denied> {
        if self.bans.ip(&ip, now_secs()) {
            return Err(Denied::Banned);
        }
        if !self.enough_memory() {
            return Err(Denied::Memory);
        }
        // Whoever is on this machine can take its ports anyway.
        if scope(ip) == Some(Scope::Loopback) {
            return Ok(());
        }
        let (mut same, mut pending, mut near) = (0, 0, 0);
        let network = subnet(ip);
        for inbound in self.inbound.values() {
            let Some(other) = inbound.ip else { continue };
            same += usize::from(other == ip);
            pending += usize::from(other == ip && inbound.pending);
            near += usize::from(subnet(other) == network);
        }
        if same >= IP_CONNECTIONS_MAX || pending >= IP_PENDING_MAX {
            return Err(Denied::Address);
        }
        if near >= SUBNET_CONNECTIONS_MAX {
            return Err(Denied::Subnet);
        }
        Ok(())
    }

    /// A connection that comes through a relay.
    fn admit_relayed(&mut self) -> Result<(), Denied> {
        if !self.enough_memory() {
            return Err(Denied::Memory);
        }
        let relayed = self.inbound.values().filter(|inbound| inbound.ip.is_none()).count();
        if relayed >= RELAYED_CONNECTIONS_MAX { Err(Denied::Relayed) } else { Ok(()) }
    }

    /// A peer that is connected through a relay says where else it is. It must not make us knock at addresses that it
    /// cannot know: inside our network when the relay is outside.
    fn check_direct(&self, peer: &libp2p::PeerId, addresses: &[Multiaddr]) -> Result<(), Denied> {
        let relay = self.relayed.values().filter(|(known, _)| known == peer).map(|(_, scope)| *scope).max();
        let Some(relay) = relay else { return Ok(()) };
        let known = |address: &Multiaddr| {
            relay_scope(address).is_some()
                || to_socket(address)
                    .and_then(|socket| scope(socket.ip()))
                    .is_some_and(|scope| scope >= relay)
        };
        if addresses.iter().all(known) { Ok(()) } else { Err(Denied::Inside) }
    }

    fn note_relayed(&mut self, connection: ConnectionId, peer: libp2p::PeerId, through: &Multiaddr) {
        if through.iter().any(|part| part == Protocol::P2pCircuit) {
            self.relayed.insert(connection, (peer, relay_scope(through).unwrap_or(Scope::Public)));
        }
    }

    fn check_peer(&mut self, peer: &libp2p::PeerId, address: &Multiaddr) -> Result<(), Denied> {
        let now = now_secs();
        let peer = from_libp2p(peer).ok_or(Denied::Identity)?;
        let ip_banned = to_socket(address).is_some_and(|socket| self.bans.ip(&socket.ip(), now));
        if ip_banned || self.bans.peer(&peer, now) { Err(Denied::Banned) } else { Ok(()) }
    }

    fn decide<T>(&mut self, decision: Result<T, Denied>) -> Result<T, ConnectionDenied> {
        decision.map_err(|denied| {
            self.denied_total += 1;
            ConnectionDenied::new(denied)
        })
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let ip = to_socket(remote).map(|socket| socket.ip());
        let decision = match ip {
            Some(ip) => self.admit(ip),
            None => self.admit_relayed(),
        };
        self.decide(decision)?;
        self.inbound.insert(connection, Inbound { ip, pending: true });
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: libp2p::PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if let Some(inbound) = self.inbound.get_mut(&connection) {
            inbound.pending = false;
        }
        let decision = self.check_peer(&peer, remote);
        self.decide(decision)?;
        self.note_relayed(connection, peer, local);
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<libp2p::PeerId>,
        addresses: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        let decision = peer.map_or(Ok(()), |peer| self.check_direct(&peer, addresses));
        self.decide(decision).map(|()| Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: libp2p::PeerId,
        address: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let decision = self.check_peer(&peer, address);
        self.decide(decision)?;
        self.note_relayed(connection, peer, address);
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        let gone = match event {
            FromSwarm::ConnectionClosed(closed) => closed.connection_id,
            FromSwarm::ListenFailure(failure) => failure.connection_id,
            FromSwarm::DialFailure(failure) => failure.connection_id,
            _ => return,
        };
        self.inbound.remove(&gone);
        self.relayed.remove(&gone);
    }

    fn on_connection_handler_event(
        &mut self,
        _: libp2p::PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::sync::PeerId;
    use crate::p2p::bans::Ban;
    use libp2p::identity::Keypair;

    fn come(gate: &mut Gate, id: usize, remote: &str) -> Result<(), Denied> {
        let local = "/ip4/192.0.2.1/tcp/9908".parse().unwrap();
        gate.handle_pending_inbound_connection(
            ConnectionId::new_unchecked(id),
            &local,
            &remote.parse().unwrap(),
        )
        .map_err(|e| *e.downcast_ref::<Denied>().unwrap())
    }

    fn stay(gate: &mut Gate, id: usize, remote: &str, peer: libp2p::PeerId) -> bool {
        let local = "/ip4/192.0.2.1/tcp/9908".parse().unwrap();
        let id = ConnectionId::new_unchecked(id);
        gate.handle_established_inbound_connection(id, peer, &local, &remote.parse().unwrap()).is_ok()
    }

    #[test]
    fn an_address_and_a_network_have_a_bounded_part_of_us() {
        let mut gate = Gate::new(Bans::default());
        let peer = Keypair::generate_ed25519().public().to_peer_id();
        for id in 0..IP_PENDING_MAX {
            come(&mut gate, id, "/ip4/198.51.100.1/tcp/5").unwrap();
        }
        assert_eq!(come(&mut gate, 99, "/ip4/198.51.100.1/tcp/5"), Err(Denied::Address));
        come(&mut gate, 98, "/ip4/203.0.113.1/tcp/5").unwrap();
        for id in 0..IP_PENDING_MAX {
            assert!(stay(&mut gate, id, "/ip4/198.51.100.1/tcp/5", peer));
        }
        for id in IP_PENDING_MAX..IP_CONNECTIONS_MAX {
            come(&mut gate, id, "/ip4/198.51.100.1/tcp/5").unwrap();
            assert!(stay(&mut gate, id, "/ip4/198.51.100.1/tcp/5", peer));
        }
        assert_eq!(come(&mut gate, 99, "/ip4/198.51.100.1/tcp/5"), Err(Denied::Address));
        for id in IP_CONNECTIONS_MAX..SUBNET_CONNECTIONS_MAX {
            come(&mut gate, id, &format!("/ip4/198.51.100.{id}/tcp/5")).unwrap();
        }
        assert_eq!(come(&mut gate, 99, "/ip4/198.51.100.200/tcp/5"), Err(Denied::Subnet));
        assert_eq!(gate.denied_total, 3);
        for id in 100..200 {
            come(&mut gate, id, "/ip4/127.0.0.1/tcp/5").unwrap();
        }
    }

    #[test]
    fn relays_bring_few_and_none_of_them_makes_us_knock_inside() {
        let mut gate = Gate::new(Bans::default());
        let peer = Keypair::generate_ed25519().public().to_peer_id();
        for id in 0..RELAYED_CONNECTIONS_MAX {
            come(&mut gate, id, &format!("/p2p/{peer}")).unwrap();
        }
        assert_eq!(come(&mut gate, 99, &format!("/p2p/{peer}")), Err(Denied::Relayed));
        come(&mut gate, 98, "/ip4/198.51.100.1/tcp/5").unwrap();
        let relay = Keypair::generate_ed25519().public().to_peer_id();
        let circuit: Multiaddr = format!("/ip4/198.51.100.7/tcp/5/p2p/{relay}/p2p-circuit").parse().unwrap();
        let direct = |gate: &mut Gate, addresses: &[&str]| {
            let addresses: Vec<Multiaddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
            let id = ConnectionId::new_unchecked(50);
            gate.handle_pending_outbound_connection(id, Some(peer), &addresses, Endpoint::Dialer).is_ok()
        };
        assert!(direct(&mut gate, &["/ip4/192.168.0.1/tcp/5"]), "it is not known from a relay");
        let id = ConnectionId::new_unchecked(0);
        let from = format!("/p2p/{peer}").parse().unwrap();
        assert!(gate.handle_established_inbound_connection(id, peer, &circuit, &from).is_ok());
        assert!(direct(&mut gate, &["/ip4/203.0.113.5/tcp/5"]));
        for inside in
            ["/ip4/192.168.0.1/tcp/5", "/ip4/127.0.0.1/tcp/9980", "/dns4/x/tcp/5", "/ip4/0.0.0.0/tcp/5"]
        {
            assert!(!direct(&mut gate, &["/ip4/203.0.113.5/tcp/5", inside]), "{inside}");
        }
        // A banned peer is banned through a relay, too; the relay's address is not its own.
        let ban = Ban { until_secs: u64::MAX, reason: String::new() };
        gate.bans.ban_peer(from_libp2p(&peer).unwrap(), ban.clone());
        gate.bans.ban_ip("198.51.100.7".parse().unwrap(), ban);
        let id = ConnectionId::new_unchecked(1);
        assert!(gate.handle_established_inbound_connection(id, peer, &circuit, &from).is_err());
        let id = ConnectionId::new_unchecked(2);
        assert!(gate.handle_established_inbound_connection(id, relay, &circuit, &from).is_ok());
    }

    #[test]
    fn the_banned_stay_outside() {
        let mut bans = Bans::default();
        let peer = Keypair::generate_ed25519().public().to_peer_id();
        let ours: PeerId = from_libp2p(&peer).unwrap();
        let ban = Ban { until_secs: u64::MAX, reason: String::new() };
        bans.ban_peer(ours, ban.clone());
        bans.ban_ip("198.51.100.9".parse().unwrap(), ban);
        let mut gate = Gate::new(bans);
        assert_eq!(come(&mut gate, 1, "/ip4/198.51.100.9/tcp/5"), Err(Denied::Banned));
        come(&mut gate, 2, "/ip4/198.51.100.8/tcp/5").unwrap();
        assert!(!stay(&mut gate, 2, "/ip4/198.51.100.8/tcp/5", peer));
        assert!(gate.bans.lift_peer(&ours));
        assert!(stay(&mut gate, 2, "/ip4/198.51.100.8/tcp/5", peer));
    }
}
