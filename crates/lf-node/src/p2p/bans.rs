//! Who may not connect, and until when: peers by their identity, and addresses that banned peers keep coming from. Time
//! is an argument; nothing here does I/O.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::address::{Scope, scope};
use crate::core::sync::PeerId;

/// Bans of each kind that are remembered; the one that ends first makes room.
const BANS_MAX: usize = 4_096;
/// So many banned peers from one address ban the address.
const PEERS_BAN_IP: u32 = 2;
/// Addresses whose banned peers are counted.
const OFFENDERS_MAX: usize = 4_096;

/// A ban.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ban {
    /// When it ends, seconds since 1970.
    pub(crate) until_secs: u64,
    pub(crate) reason: String,
}

/// All bans.
#[derive(Debug, Default)]
pub(crate) struct Bans {
    peers: BTreeMap<PeerId, Ban>,
    ips: BTreeMap<IpAddr, Ban>,
    /// How many peers from an address were banned.
    offenders: BTreeMap<IpAddr, u32>,
    /// Peers banned since the start.
    pub(crate) total: u64,
}

fn insert<K: Ord + Copy>(bans: &mut BTreeMap<K, Ban>, key: K, ban: Ban) {
    let longer = bans.get(&key).is_some_and(|old| old.until_secs > ban.until_secs);
    if !longer {
        bans.insert(key, ban);
    }
    if bans.len() > BANS_MAX
        && let Some(first) = bans.iter().min_by_key(|(_, ban)| ban.until_secs).map(|(key, _)| *key)
    {
        bans.remove(&first);
    }
}

impl Bans {
    /// Bans a peer that was connected from these addresses. A second banned peer from one bans the address, too, unless
    /// it is this machine's. Returns addresses that are banned now.
    pub(crate) fn ban_offender(&mut self, peer: PeerId, from: &[IpAddr], ban: Ban) -> Vec<IpAddr> {
        let mut banned = Vec::new();
        if self.peers.get(&peer).is_none_or(|old| old.until_secs < ban.until_secs) {
            for ip in from.iter().filter(|ip| scope(**ip).is_some_and(|scope| scope != Scope::Loopback)) {
                if self.offenders.len() >= OFFENDERS_MAX && !self.offenders.contains_key(ip) {
                    // Forgetting is safe: it takes another offence to be counted again.
                    self.offenders.clear();
                }
                let count = self.offenders.entry(*ip).or_default();
                *count += 1;
                if *count >= PEERS_BAN_IP {
                    insert(&mut self.ips, *ip, ban.clone());
                    banned.push(*ip);
                }
            }
        }
        self.ban_peer(peer, ban);
        banned
    }

    /// Bans a peer.
    pub(crate) fn ban_peer(&mut self, peer: PeerId, ban: Ban) {
        self.total += 1;
        insert(&mut self.peers, peer, ban);
    }

    /// Bans an address.
    pub(crate) fn ban_ip(&mut self, ip: IpAddr, ban: Ban) {
        insert(&mut self.ips, ip.to_canonical(), ban);
    }

    /// Ends a peer's ban. Returns whether there was one.
    pub(crate) fn lift_peer(&mut self, peer: &PeerId) -> bool {
        self.peers.remove(peer).is_some()
    }

    /// Ends an address's ban. Returns whether there was one.
    pub(crate) fn lift_ip(&mut self, ip: &IpAddr) -> bool {
        self.offenders.remove(&ip.to_canonical());
        self.ips.remove(&ip.to_canonical()).is_some()
    }

    /// Whether a peer is banned.
    pub(crate) fn peer(&self, peer: &PeerId, now_secs: u64) -> bool {
        self.peers.get(peer).is_some_and(|ban| ban.until_secs > now_secs)
    }

    /// Whether an address is banned.
    pub(crate) fn ip(&self, ip: &IpAddr, now_secs: u64) -> bool {
        self.ips.get(&ip.to_canonical()).is_some_and(|ban| ban.until_secs > now_secs)
    }

    /// Forgets bans that have ended. Returns whether there were any.
    pub(crate) fn forget(&mut self, now_secs: u64) -> bool {
        let before = self.peers.len() + self.ips.len();
        self.peers.retain(|_, ban| ban.until_secs > now_secs);
        self.ips.retain(|_, ban| ban.until_secs > now_secs);
        before != self.peers.len() + self.ips.len()
    }

    /// Banned peers.
    pub(crate) fn peers(&self) -> impl Iterator<Item = (&PeerId, &Ban)> {
        self.peers.iter()
    }

    /// Banned addresses.
    pub(crate) fn ips(&self) -> impl Iterator<Item = (&IpAddr, &Ban)> {
        self.ips.iter()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ban(until_secs: u64) -> Ban {
        Ban { until_secs, reason: "a test".to_owned() }
    }

    #[test]
    fn a_ban_ends_and_can_be_lifted() {
        let (mut bans, peer) = (Bans::default(), PeerId([1; 32]));
        bans.ban_peer(peer, ban(100));
        bans.ban_peer(peer, ban(50));
        assert!(bans.peer(&peer, 99) && !bans.peer(&peer, 100));
        assert!(!bans.forget(99) && bans.forget(100) && bans.peers().next().is_none());
        bans.ban_ip("::ffff:192.0.2.1".parse().unwrap(), ban(100));
        let ip = "192.0.2.1".parse().unwrap();
        assert!(bans.ip(&ip, 1));
        assert!(bans.lift_ip(&ip) && !bans.lift_ip(&ip) && !bans.ip(&ip, 1));
    }

    #[test]
    fn an_address_that_offends_again_is_banned() {
        let mut bans = Bans::default();
        let (bad, local): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "127.0.0.1".parse().unwrap());
        assert!(bans.ban_offender(PeerId([1; 32]), &[bad, local], ban(100)).is_empty());
        assert!(bans.ban_offender(PeerId([1; 32]), &[bad], ban(100)).is_empty(), "the same offence");
        assert_eq!(bans.ban_offender(PeerId([2; 32]), &[bad, local], ban(100)), [bad]);
        assert!(bans.ip(&bad, 1) && !bans.ip(&local, 1));
        assert_eq!(bans.total, 3);
    }

    #[test]
    fn bans_are_bounded() {
        let mut bans = Bans::default();
        for i in 0..BANS_MAX as u64 + 10 {
            let mut peer = [0; 32];
            peer[..8].copy_from_slice(&i.to_be_bytes());
            bans.ban_peer(PeerId(peer), ban(1_000 + i));
        }
        assert_eq!(bans.peers().count(), BANS_MAX);
        assert_eq!(bans.peers().map(|(_, ban)| ban.until_secs).min(), Some(1_010));
    }
}
