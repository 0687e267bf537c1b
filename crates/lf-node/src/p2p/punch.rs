//! Direct connections in place of relayed ones, both ends connecting at once (libp2p's DCUtR), with one difference: of our
//! addresses only the widest reach is told to the other end, as a stranger needs to know nothing of a home's own network.

use std::task::{Context, Poll};

use libp2p::core::transport::PortUse;
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::dcutr;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm,
};

use super::address::{Scope, scope, to_socket};

pub(super) struct Punch {
    inner: dcutr::Behaviour,
    /// The widest reach of an address of ours that was seen.
    widest: Scope,
}

impl Punch {
    pub(super) fn new(name: libp2p::PeerId) -> Self {
        Punch { inner: dcutr::Behaviour::new(name), widest: Scope::Loopback }
    }

    /// Whether an address of ours may be told.
    fn may_tell(&mut self, address: &Multiaddr) -> bool {
        let Some(scope) = to_socket(address).and_then(|socket| scope(socket.ip())) else { return false };
        self.widest = self.widest.max(scope);
        scope == self.widest
    }
}

impl NetworkBehaviour for Punch {
    type ConnectionHandler = <dcutr::Behaviour as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = dcutr::Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: libp2p::PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: libp2p::PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_outbound_connection(connection, peer, address, role, port_use)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::NewExternalAddrCandidate(candidate) = &event
            && !self.may_tell(candidate.addr)
        {
            return;
        }
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: libp2p::PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.inner.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<dcutr::Event, THandlerInEvent<Self>>> {
        self.inner.poll(context)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_world_is_told_of_no_private_address() {
        let mut punch = Punch::new(libp2p::PeerId::random());
        let mut may_tell = |text: &str| punch.may_tell(&text.parse().unwrap());
        assert!(may_tell("/ip4/127.0.0.1/tcp/5"));
        assert!(may_tell("/ip4/192.168.1.2/tcp/5"));
        assert!(!may_tell("/ip4/127.0.0.1/tcp/5"));
        assert!(may_tell("/ip4/198.51.100.1/tcp/5"));
        assert!(!may_tell("/ip4/192.168.1.2/tcp/5"));
        assert!(may_tell("/ip6/2001:db8::1/tcp/5"));
        assert!(!may_tell("/p2p-circuit"));
    }
}
