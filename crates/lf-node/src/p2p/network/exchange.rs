//! Asking peers for addresses of peers, and telling ours. A line for each, as multiaddrs.

use std::time::{Duration, Instant};

use libp2p::identify;
use libp2p::request_response::{self, Message};
use tracing::debug;

use super::{Network, random};
use crate::core::sync::PeerId;
use crate::p2p::address::{PeerAddress, Scope, from_libp2p, scope, to_libp2p};
use crate::p2p::behaviour::{PEERS_LINE_BYTES_MAX, PEERS_PROTOCOL};
use crate::p2p::book::{Source, TELL_MAX};
use crate::p2p::gate::now_secs;

/// Between two questions for more addresses, to one peer at random.
const ASK_EVERY: Duration = Duration::from_secs(600);

fn lines_of(addresses: &[PeerAddress]) -> impl Iterator<Item = String> {
    addresses.iter().map(ToString::to_string)
}

fn encode(lines: impl IntoIterator<Item = String>) -> Vec<u8> {
    let lines = lines.into_iter().filter(|line| line.len() < PEERS_LINE_BYTES_MAX);
    lines.take(TELL_MAX).collect::<Vec<_>>().join("\n").into_bytes()
}

/// Those that the asker could have been told: no private address by a peer far away, who must not make us knock there.
fn decode(bytes: &[u8], from: Scope) -> Vec<PeerAddress> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().take(TELL_MAX).filter(|line| line.len() < PEERS_LINE_BYTES_MAX);
    lines
        .filter_map(|line| line.parse::<PeerAddress>().ok())
        .filter(|address| scope(address.socket.ip()).is_some_and(|scope| scope >= from))
        .collect()
}

impl Network {
    /// Asks a peer that has just said who it is, if it can answer.
    pub(super) fn ask_for_peers(&mut self, peer: PeerId, info: &identify::Info) {
        if info.protocols.contains(&PEERS_PROTOCOL)
            && let Some(theirs) = to_libp2p(&peer)
        {
            self.swarm.behaviour_mut().peers.send_request(&theirs, Vec::new());
        }
    }

    /// Asks one peer again when it is time.
    pub(super) fn exchange_now_and_then(&mut self) {
        if self.exchanged.elapsed() < ASK_EVERY || self.connected.is_empty() {
            return;
        }
        self.exchanged = Instant::now();
        let place = usize::try_from(random(self.connected.len() as u64)).unwrap_or(0);
        if let Some(theirs) = self.connected.values().nth(place).map(|connected| connected.theirs) {
            self.swarm.behaviour_mut().peers.send_request(&theirs, Vec::new());
        }
    }

    pub(super) fn on_exchange(&mut self, event: request_response::Event<Vec<u8>, Vec<u8>>) {
        let request_response::Event::Message { peer, message, .. } = event else { return };
        let Some(peer) = from_libp2p(&peer) else { return };
        let Some(scope) = self.scope_of(&peer) else { return };
        match message {
            Message::Request { channel, .. } => {
                let mut lines = self.tell_relayed(&peer);
                lines.extend(lines_of(&self.book.tell(scope, Some(&peer), now_secs(), random)));
                let answer = encode(lines);
                // It fails if the peer is gone.
                let _ = self.swarm.behaviour_mut().peers.send_response(channel, answer);
            }
            Message::Response { response, .. } => {
                let ours = from_libp2p(self.swarm.local_peer_id());
                let chosen = self.connected.get(&peer).is_some_and(|connected| connected.outbound);
                let source = if chosen { Source::Told(peer) } else { Source::Heard(peer) };
                let mut count = 0;
                for address in decode(&response, scope) {
                    if Some(address.peer) != ours && self.book.learn(address, source) {
                        count += 1;
                    }
                }
                debug!(%peer, count, "told of peers");
                self.dial_who_is_due();
                self.try_through(&peer, &response);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use libp2p::identity::Keypair;

    #[test]
    fn addresses_are_told_and_bounded() {
        let peer = from_libp2p(&Keypair::generate_ed25519().public().to_peer_id()).unwrap();
        let at = |socket: &str| PeerAddress { peer, socket: socket.parse().unwrap() };
        let all = [at("127.0.0.1:1"), at("10.0.0.1:1"), at("[2001:db8::1]:1")];
        assert_eq!(decode(&encode(lines_of(&all)), Scope::Loopback), all);
        assert_eq!(decode(&encode(lines_of(&all)), Scope::Public), all[2..]);
        let many: Vec<PeerAddress> = (1..=99).map(|i| at(&format!("20.0.0.1:{i}"))).collect();
        assert_eq!(decode(&encode(lines_of(&many)), Scope::Public), many[..TELL_MAX]);
        let text = many.iter().map(|a| format!("{a}\n")).collect::<String>();
        assert_eq!(decode(text.as_bytes(), Scope::Public).len(), TELL_MAX);
        assert_eq!(decode(b"\xff\n/ip4/1.2.3.4/tcp/5\n\n", Scope::Public), []);
    }
}
