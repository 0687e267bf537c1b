//! Addresses of peers: what users write, what is stored and told, and which address may be told to whom.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use libp2p::Multiaddr;
use libp2p::identity::{PublicKey, ed25519};
use libp2p::multiaddr::Protocol;

use crate::core::sync::PeerId;

/// The default port for peers.
pub const P2P_PORT: u16 = 9908;

/// Characters of a text that is parsed as an address, at most.
const TEXT_CHARS_MAX: usize = 400;

/// A peer as libp2p names it.
///
/// # Errors
/// The bytes are no point of the curve.
pub(crate) fn to_libp2p(peer: &PeerId) -> Option<libp2p::PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(&peer.0).ok()?;
    Some(libp2p::PeerId::from_public_key(&PublicKey::from(key)))
}

/// A peer from libp2p's name for it, which holds the public key if that is Ed25519.
pub(crate) fn from_libp2p(peer: &libp2p::PeerId) -> Option<PeerId> {
    let key = PublicKey::try_decode_protobuf(peer.as_ref().digest()).ok()?;
    Some(PeerId(key.try_into_ed25519().ok()?.to_bytes()))
}

/// Reads a peer's name: `@` and base62, plain base62, or libp2p's form (`12D3Koo…`).
pub(crate) fn parse_peer(text: &str) -> Option<PeerId> {
    if let Ok(peer) = text.parse::<libp2p::PeerId>() {
        return from_libp2p(&peer);
    }
    let bytes = lf_proto::base62::decode(text.strip_prefix('@').unwrap_or(text)).ok()?;
    let peer = PeerId(bytes.try_into().ok()?);
    to_libp2p(&peer).map(|_| peer)
}

/// Where a peer can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PeerAddress {
    pub(crate) peer: PeerId,
    pub(crate) socket: SocketAddr,
}

/// As a multiaddr: `/ip4/192.0.2.1/tcp/9908/p2p/12D3Koo…`.
impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = to_multiaddr(&self.socket);
        match to_libp2p(&self.peer) {
            Some(peer) => write!(f, "{}", address.with(Protocol::P2p(peer))),
            None => write!(f, "{address}"),
        }
    }
}

impl FromStr for PeerAddress {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.parse::<Target>() {
            Ok(Target { host: Host::Ip(ip), port, peer: Some(peer) }) => {
                Ok(PeerAddress { peer, socket: SocketAddr::new(ip, port) })
            }
            _ => Err(()),
        }
    }
}

/// A TCP address as libp2p has it.
pub(crate) fn to_multiaddr(socket: &SocketAddr) -> Multiaddr {
    Multiaddr::from(socket.ip()).with(Protocol::Tcp(socket.port()))
}

/// The TCP address that a multiaddr is. One through a relay is none: what stands at its head is the relay's.
pub(crate) fn to_socket(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    match (parts.next()?, parts.next(), parts.next()) {
        (Protocol::Tcp(port), None | Some(Protocol::P2p(_)), None) => {
            Some(SocketAddr::new(ip.to_canonical(), port))
        }
        _ => None,
    }
}

/// For an address through a relay: from where that relay can be reached.
pub(crate) fn relay_scope(address: &Multiaddr) -> Option<Scope> {
    if !address.iter().any(|part| part == Protocol::P2pCircuit) {
        return None;
    }
    to_socket(&address.iter().take(2).collect()).and_then(|socket| scope(socket.ip()))
}

/// What a relay says of a peer that can be reached through it: an address that begins where the relay itself is.
pub(crate) fn through_teller(peer: &PeerId) -> Option<String> {
    Some(Multiaddr::from(Protocol::P2pCircuit).with(Protocol::P2p(to_libp2p(peer)?)).to_string())
}

/// Who can be reached through whom says this.
pub(crate) fn parse_through_teller(text: &str) -> Option<PeerId> {
    from_libp2p(&text.strip_prefix("/p2p-circuit/p2p/")?.parse().ok()?)
}

/// A host as a user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    Ip(IpAddr),
    Name(String),
}

/// A place to connect to: `HOST:PORT`, `HOST`, or a multiaddr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// Who must be there, if that is known.
    pub(crate) peer: Option<PeerId>,
}

impl Target {
    /// This address, and, if it is known, the public key (32 bytes) of who must be there.
    ///
    /// # Errors
    /// It is no Ed25519 public key.
    pub fn new(socket: SocketAddr, public: Option<&[u8]>) -> Result<Self, TargetError> {
        let peer = public.map(|public| {
            let peer = PeerId(public.try_into().map_err(|_| TargetError::Identity)?);
            to_libp2p(&peer).map(|_| peer).ok_or(TargetError::Identity)
        });
        Ok(Target {
            host: Host::Ip(socket.ip().to_canonical()),
            port: socket.port(),
            peer: peer.transpose()?,
        })
    }
}

/// A text that names no place to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Neither form.
    #[error("it is neither HOST:PORT nor a multiaddr such as /ip4/192.0.2.1/tcp/9908/p2p/12D3Koo…")]
    Form,
    /// The port is 0 or no number.
    #[error("its port is not a number from 1 to 65535")]
    Port,
    /// The peer's name is no Ed25519 public key.
    #[error("its identity is not a peer's public key")]
    Identity,
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if text.len() > TEXT_CHARS_MAX {
            return Err(TargetError::Form);
        }
        if text.starts_with('/') {
            return from_multiaddr(text);
        }
        if let Ok(socket) = text.parse::<SocketAddr>() {
            if socket.port() == 0 {
                return Err(TargetError::Port);
            }
            return Ok(Target {
                host: Host::Ip(socket.ip().to_canonical()),
                port: socket.port(),
                peer: None,
            });
        }
        if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Ok(Target { host: Host::Ip(ip.to_canonical()), port: P2P_PORT, peer: None });
        }
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => {
                (name, port.parse().ok().filter(|port| *port != 0).ok_or(TargetError::Port)?)
            }
            None => (text, P2P_PORT),
        };
        host_name(name)
            .map(|name| Target { host: Host::Name(name), port, peer: None })
            .ok_or(TargetError::Form)
    }
}

fn from_multiaddr(text: &str) -> Result<Target, TargetError> {
    let address: Multiaddr = text.parse().map_err(|_| TargetError::Form)?;
    let mut parts = address.iter();
    let host = match parts.next().ok_or(TargetError::Form)? {
        Protocol::Ip4(ip) => Host::Ip(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Host::Ip(IpAddr::V6(ip).to_canonical()),
        Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => {
            Host::Name(host_name(&name).ok_or(TargetError::Form)?)
        }
        _ => return Err(TargetError::Form),
    };
    let Some(Protocol::Tcp(port)) = parts.next() else { return Err(TargetError::Form) };
    if port == 0 {
        return Err(TargetError::Port);
    }
    let peer = match parts.next() {
        None => None,
        Some(Protocol::P2p(peer)) => Some(from_libp2p(&peer).ok_or(TargetError::Identity)?),
        Some(_) => return Err(TargetError::Form),
    };
    if parts.next().is_some() {
        return Err(TargetError::Form);
    }
    Ok(Target { host, port, peer })
}

fn host_name(name: &str) -> Option<String> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    (!name.is_empty() && name.len() <= 253 && name.bytes().all(fine)).then(|| name.to_ascii_lowercase())
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(ip) => write!(f, "{}", SocketAddr::new(*ip, self.port)),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

/// From where an address can be reached. Wider scopes are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// This machine.
    Loopback,
    /// A network of somebody's own.
    Private,
    /// Everywhere.
    Public,
}

/// From where an address can be reached; `None` if it is no address of a machine that could be a peer.
pub(crate) fn scope(ip: IpAddr) -> Option<Scope> {
    match ip.to_canonical() {
        ip if ip.is_loopback() => Some(Scope::Loopback),
        ip if ip.is_unspecified() || ip.is_multicast() => None,
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            match ip {
                _ if ip == Ipv4Addr::BROADCAST || ip.is_link_local() || ip.octets()[0] == 0 => None,
                _ if ip.is_private() || shared => Some(Scope::Private),
                _ => Some(Scope::Public),
            }
        }
        IpAddr::V6(ip) => match ip.segments()[0] {
            first if first & 0xffc0 == 0xfe80 => None,
            first if first & 0xfe00 == 0xfc00 => Some(Scope::Private),
            _ => Some(Scope::Public),
        },
    }
}

/// The network an address is in, as far as one owner is likely to have all of it: /24 of IPv4, /48 of IPv6.
pub(crate) fn subnet(ip: IpAddr) -> [u8; 7] {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            [4, a, b, c, 0, 0, 0]
        }
        IpAddr::V6(ip) => {
            let [a, b, c, d, e, f, ..] = ip.octets();
            [6, a, b, c, d, e, f]
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use libp2p::identity::Keypair;

    fn peer() -> (libp2p::PeerId, PeerId) {
        let key = Keypair::generate_ed25519();
        let theirs = key.public().to_peer_id();
        (theirs, from_libp2p(&theirs).unwrap())
    }

    #[test]
    fn names_of_peers_can_be_read_in_every_form() {
        let (theirs, ours) = peer();
        assert_eq!(to_libp2p(&ours), Some(theirs));
        assert_eq!(parse_peer(&theirs.to_string()), Some(ours));
        assert_eq!(parse_peer(&ours.to_string()), Some(ours));
        assert_eq!(parse_peer(&ours.to_string()[1..]), Some(ours));
        for wrong in ["", "@", "x", "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", "@1234"] {
            assert_eq!(parse_peer(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn targets() {
        let (theirs, ours) = peer();
        let target = |text: &str| text.parse::<Target>();
        let ip = |ip: &str, port, peer| Ok(Target { host: Host::Ip(ip.parse().unwrap()), port, peer });
        let name = |name: &str, port, peer| Ok(Target { host: Host::Name(name.to_owned()), port, peer });
        assert_eq!(target("192.0.2.1:5"), ip("192.0.2.1", 5, None));
        assert_eq!(target("192.0.2.1"), ip("192.0.2.1", 9908, None));
        assert_eq!(target("[2001:db8::1]:5"), ip("2001:db8::1", 5, None));
        assert_eq!(target("2001:db8::1"), ip("2001:db8::1", 9908, None));
        assert_eq!(target("[::ffff:192.0.2.1]:5"), ip("192.0.2.1", 5, None));
        assert_eq!(target("Seed.example.org:7"), name("seed.example.org", 7, None));
        assert_eq!(target("seed"), name("seed", 9908, None));
        assert_eq!(target(&format!("/ip6/2001:db8::1/tcp/5/p2p/{theirs}")), ip("2001:db8::1", 5, Some(ours)));
        assert_eq!(target("/dns4/seed.example.org/tcp/7"), name("seed.example.org", 7, None));
        for wrong in
            ["", ":5", "a b:5", "/ip4/192.0.2.1", "/ip4/192.0.2.1/udp/5", "/ip4/1.2.3.4/tcp/5/ws", "/x"]
        {
            assert_eq!(target(wrong), Err(TargetError::Form), "{wrong}");
        }
        for wrong in ["seed:0", "seed:x", "192.0.2.1:0", "/ip4/192.0.2.1/tcp/0", "seed:70000"] {
            assert_eq!(target(wrong), Err(TargetError::Port), "{wrong}");
        }
    }

    #[test]
    fn addresses_survive_their_text() {
        let (_, peer) = peer();
        for socket in ["192.0.2.1:9908", "[2001:db8::1]:1"] {
            let address = PeerAddress { peer, socket: socket.parse().unwrap() };
            assert_eq!(address.to_string().parse(), Ok(address));
        }
        assert_eq!("192.0.2.1:9908".parse::<PeerAddress>(), Err(()));
    }

    #[test]
    fn an_address_through_a_relay_is_nobodys_own() {
        let (theirs, ours) = peer();
        let circuit = format!("/ip4/192.0.2.1/tcp/5/p2p/{theirs}/p2p-circuit");
        for text in [circuit.clone(), format!("{circuit}/p2p/{theirs}"), "/p2p-circuit".to_owned()] {
            assert_eq!(to_socket(&text.parse().unwrap()), None, "{text}");
            assert_eq!(text.parse::<PeerAddress>(), Err(()), "{text}");
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
        assert_eq!(relay_scope(&circuit.parse().unwrap()), Some(Scope::Public));
        assert_eq!(relay_scope(&"/ip4/192.0.2.1/tcp/5".parse().unwrap()), None);
        assert_eq!(relay_scope(&"/p2p-circuit".parse().unwrap()), None);
        let line = through_teller(&ours).unwrap();
        assert_eq!(parse_through_teller(&line), Some(ours));
        for wrong in ["", "/p2p-circuit", "/p2p-circuit/p2p/x", &circuit, &format!("{line}/p2p/{theirs}")] {
            assert_eq!(parse_through_teller(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn scopes_and_subnets() {
        use Scope::{Loopback, Private, Public};
        for (ip, expected) in [
            ("127.0.0.1", Some(Loopback)),
            ("::1", Some(Loopback)),
            ("::ffff:127.0.0.1", Some(Loopback)),
            ("10.1.2.3", Some(Private)),
            ("192.168.0.1", Some(Private)),
            ("100.64.0.1", Some(Private)),
            ("fd00::1", Some(Private)),
            ("100.128.0.1", Some(Public)),
            ("8.8.8.8", Some(Public)),
            ("2001:db8::1", Some(Public)),
            ("0.0.0.0", None),
            ("255.255.255.255", None),
            ("169.254.1.1", None),
            ("224.0.0.1", None),
            ("fe80::1", None),
            ("::", None),
        ] {
            assert_eq!(scope(ip.parse().unwrap()), expected, "{ip}");
        }
        let subnet = |ip: &str| subnet(ip.parse().unwrap());
        assert_eq!(subnet("192.0.2.1"), subnet("192.0.2.255"));
        assert_ne!(subnet("192.0.2.1"), subnet("192.0.3.1"));
        assert_eq!(subnet("2001:db8:1:2::1"), subnet("2001:db8:1:3::1"));
        assert_ne!(subnet("2001:db8:1::1"), subnet("2001:db8:2::1"));
    }
}
