//! `peers.json`: the addresses of peers that were reached or named, and all bans. A cache: whatever is wrong with it, the
//! node starts without it.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Book, FAILURES_MAX, Known, PEERS_MAX, Source};
use crate::core::sync::PeerId;
use crate::p2p::address::{PeerAddress, parse_peer};
use crate::p2p::bans::{Ban, Bans};

/// A file that is larger was not written by us.
const FILE_BYTES_MAX: u64 = 4 << 20;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Contents {
    peers: Vec<PeerLine>,
    bans: Vec<BanLine>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct PeerLine {
    /// Multiaddrs with `/p2p/`, all of one peer.
    addresses: Vec<String>,
    last_success: u64,
    failures: u32,
    anchor: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct BanLine {
    #[serde(skip_serializing_if = "String::is_empty")]
    peer: String,
    #[serde(rename = "IP", skip_serializing_if = "Option::is_none")]
    ip: Option<IpAddr>,
    until: u64,
    reason: String,
}

/// Reads the file. Also returns what is wrong with it, if anything is; no file is nothing wrong.
pub(crate) fn load(path: &Path) -> (Book, Bans, Option<String>) {
    let contents = match read(path) {
        Ok(contents) => contents,
        Err(e) if e.kind() == ErrorKind::NotFound => Contents::default(),
        Err(e) => return (Book::default(), Bans::default(), Some(e.to_string())),
    };
    let mut book = Book::default();
    for line in contents.peers.into_iter().take(PEERS_MAX) {
        let addresses: Vec<PeerAddress> =
            line.addresses.iter().filter_map(|text| text.parse().ok()).collect();
        let Some(first) = addresses.first() else { continue };
        let peer = first.peer;
        for address in addresses.iter().filter(|address| address.peer == peer) {
            book.learn(*address, Source::Reached);
        }
        if let Some(known) = book.peers.get_mut(&peer) {
            let mut order: Vec<SocketAddr> = addresses.iter().map(|a| a.socket).collect();
            order.retain(|socket| known.addresses.contains(socket));
            known.addresses = order;
            known.reached_secs = line.last_success;
            known.failures = line.failures.min(FAILURES_MAX);
            known.anchor = line.anchor;
        }
    }
    let mut bans = Bans::default();
    for line in contents.bans {
        let ban = Ban { until_secs: line.until, reason: line.reason.chars().take(200).collect() };
        match (parse_peer(&line.peer), line.ip) {
            (Some(peer), _) => bans.ban_peer(peer, ban),
            (None, Some(ip)) => bans.ban_ip(ip, ban),
            (None, None) => {}
        }
    }
    bans.total = 0;
    (book, bans, None)
}

fn read(path: &Path) -> io::Result<Contents> {
    let mut text = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other("it is too large"));
    }
    serde_json::from_slice(&text).map_err(io::Error::other)
}

/// Writes the file, aside and renamed.
///
/// # Errors
/// What the system says; the old file stays then.
pub(crate) fn save(path: &Path, book: &Book, bans: &Bans) -> io::Result<()> {
    let worth = |(_, known): &(&PeerId, &Known)| known.reached_secs > 0 || known.chosen;
    let peers = book.peers.iter().filter(worth).map(|(peer, known)| PeerLine {
        addresses: known
            .addresses
            .iter()
            .map(|socket| PeerAddress { peer: *peer, socket: *socket }.to_string())
            .collect(),
        last_success: known.reached_secs,
        failures: known.failures,
        anchor: known.anchor,
    });
    let line = |peer: String, ip: Option<IpAddr>, ban: &Ban| BanLine {
        peer,
        ip,
        until: ban.until_secs,
        reason: ban.reason.clone(),
    };
    let banned = bans.peers().map(|(peer, ban)| line(peer.to_string(), None, ban));
    let banned = banned.chain(bans.ips().map(|(ip, ban)| line(String::new(), Some(*ip), ban)));
    let contents = Contents { peers: peers.collect(), bans: banned.collect() };
    let mut text = serde_json::to_vec_pretty(&contents).map_err(io::Error::other)?;
    text.push(b'\n');
    lf_platform::replace(path, &[&text])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::p2p::address::from_libp2p;
    use libp2p::identity::Keypair;

    fn peer() -> PeerId {
        from_libp2p(&Keypair::generate_ed25519().public().to_peer_id()).unwrap()
    }

    #[test]
    fn the_book_and_bans_survive() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peers.json");
        assert!(load(&path).2.is_none());
        let (mut book, mut bans) = (Book::default(), Bans::default());
        let (one, two, told) = (peer(), peer(), peer());
        let at = |peer, socket: &str| PeerAddress { peer, socket: socket.parse().unwrap() };
        book.reached(at(one, "20.0.0.1:1"), 7);
        book.reached(at(one, "[2001:db8::1]:2"), 8);
        book.learn(at(two, "10.0.0.1:1"), Source::User);
        book.learn(at(told, "20.0.1.1:1"), Source::Told(one));
        book.set_anchors(&[two]);
        let ban = Ban { until_secs: 99, reason: "it \"lied\"".to_owned() };
        bans.ban_peer(told, ban.clone());
        bans.ban_ip("2001:db8::7".parse().unwrap(), ban.clone());
        save(&path, &book, &bans).unwrap();
        let (read, read_bans, problem) = load(&path);
        assert_eq!(problem, None);
        assert_eq!(read.len(), 2, "what was only told is not worth keeping");
        assert_eq!(read.peers[&one], book.peers[&one]);
        assert!(read.peers[&two].anchor && read.is_own(&two));
        assert_eq!(read_bans.peers().collect::<Vec<_>>(), [(&told, &ban)]);
        assert_eq!(read_bans.ips().map(|(ip, _)| ip.to_string()).collect::<Vec<_>>(), ["2001:db8::7"]);
    }

    #[test]
    fn garbage_is_an_empty_book() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peers.json");
        for (text, is_problem) in [
            ("", true),
            ("\0\u{1}junk", true),
            ("[1, 2]", true),
            ("{\"Peers\": 5}", true),
            ("{}", false),
            ("{\"Peers\": [{\"Addresses\": [\"x\", \"/ip4/1.2.3.4/tcp/5\"]}], \"Bans\": [{}]}", false),
        ] {
            std::fs::write(&path, text).unwrap();
            let (book, bans, problem) = load(&path);
            assert_eq!((book.len(), bans.peers().count(), problem.is_some()), (0, 0, is_problem), "{text}");
        }
        std::fs::write(&path, vec![b' '; FILE_BYTES_MAX as usize + 1]).unwrap();
        assert!(load(&path).2.is_some());
    }
}
