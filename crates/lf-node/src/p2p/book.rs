//! Addresses of peers: what is known, where from, how often it worked, whom to try next and whom to tell. Bounded, so
//! that nobody can fill it: not one teller, and not one network. Time and randomness are arguments; `file` reads and
//! writes it.
//!
//! Some peers are *our own choice*: those the user named, those that at least two peers told us about, and anchors,
//! which were our choice before the node was restarted. The shell keeps places for them, so that one peer who tells us
//! many addresses can never surround us with its own.

mod file;

use std::collections::BTreeMap;
use std::net::SocketAddr;

pub(crate) use self::file::{load, save};
use super::address::{PeerAddress, Scope, scope, subnet};
use crate::core::sync::PeerId;

/// Peers in the book.
const PEERS_MAX: usize = 1_024;
/// Addresses of one peer.
const ADDRESSES_MAX: usize = 4;
/// Peers that only one other peer told us about, for each teller.
const TOLD_MAX: usize = 64;
/// Peers in one network (/24 of IPv4, /48 of IPv6).
const SUBNET_PEERS_MAX: usize = 32;
/// Different tellers that are remembered.
const TELLERS_MAX: usize = 2;
/// Peers that are tried first after a restart.
pub(crate) const ANCHORS_MAX: usize = 4;
/// Addresses that are told at once.
pub(crate) const TELL_MAX: usize = 32;
/// Only peers reached in this time are told.
const TELL_AGE_SECS: u64 = 3 * 86_400;
/// Peers that were never reached are forgotten after so many attempts.
const FAILURES_MAX: u32 = 8;
/// Peers that were not reached for so long are forgotten as if they never were.
const REMEMBER_SECS: u64 = 30 * 86_400;
/// The first pause after a failure; each one after it is twice as long.
const PAUSE_MS: u64 = 2_000;
/// The longest pause.
const PAUSE_MAX_MS: u64 = 3_600_000;
/// The longest pause for peers that the user named.
const PAUSE_CHOSEN_MAX_MS: u64 = 60_000;

/// Where an address comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The user, a configuration, the local network.
    User,
    /// A peer, which may be the one whose address it is.
    Told(PeerId),
    /// Connecting to it worked.
    Reached,
}

/// What is known of a peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// Where it may be; where it was reached last comes first.
    addresses: Vec<SocketAddr>,
    /// When it was reached, seconds since 1970; 0 if it never was.
    reached_secs: u64,
    /// Attempts that failed since.
    failures: u32,
    /// When to try again, in the shell's milliseconds.
    next_ms: u64,
    tellers: Vec<PeerId>,
    /// The user named it.
    chosen: bool,
    /// It was our choice, and connected, before.
    anchor: bool,
}

impl Known {
    fn is_own(&self) -> bool {
        self.chosen || self.anchor || self.tellers.len() >= TELLERS_MAX
    }

    /// Who is tried first.
    fn rank(&self) -> u8 {
        match self {
            Known { anchor: true, .. } => 0,
            Known { chosen: true, .. } => 1,
            Known { reached_secs: 1.., .. } => 2,
            _ => 3,
        }
    }
}

/// The book.
#[derive(Debug, Default)]
pub(crate) struct Book {
    peers: BTreeMap<PeerId, Known>,
}

impl Book {
    /// Notes an address. Returns whether it is in the book now.
    pub(crate) fn learn(&mut self, address: PeerAddress, source: Source) -> bool {
        let PeerAddress { peer, socket } = address;
        if scope(socket.ip()).is_none() || socket.port() == 0 {
            return false;
        }
        if !self.peers.contains_key(&peer) && !self.room_for(&socket, source) {
            return false;
        }
        let known = self.peers.entry(peer).or_default();
        match known.addresses.iter().position(|known| *known == socket) {
            Some(place) if source == Source::Reached => known.addresses[..=place].rotate_right(1),
            Some(_) => {}
            None if source == Source::Reached => known.addresses.insert(0, socket),
            None if known.addresses.len() < ADDRESSES_MAX => known.addresses.push(socket),
            // What a user names must be tried; others may not push out what worked.
            None if source == Source::User => known.addresses[ADDRESSES_MAX - 1] = socket,
            None => {}
        }
        known.addresses.truncate(ADDRESSES_MAX);
        match source {
            Source::User => {
                known.chosen = true;
                known.failures = 0;
                known.next_ms = 0;
            }
            Source::Told(teller) => {
                // Nobody vouches for itself.
                if teller != peer && !known.tellers.contains(&teller) && known.tellers.len() < TELLERS_MAX {
                    known.tellers.push(teller);
                }
            }
            Source::Reached => {}
        }
        true
    }

    fn room_for(&mut self, socket: &SocketAddr, source: Source) -> bool {
        if let Source::Told(teller) = source {
            let told = |known: &&Known| known.reached_secs == 0 && known.tellers == [teller];
            if self.peers.values().filter(told).count() >= TOLD_MAX {
                return false;
            }
        }
        if source != Source::User && scope(socket.ip()) == Some(Scope::Public) {
            let network = subnet(socket.ip());
            let near = |known: &&Known| known.addresses.first().is_some_and(|a| subnet(a.ip()) == network);
            if self.peers.values().filter(near).count() >= SUBNET_PEERS_MAX {
                return false;
            }
        }
        if self.peers.len() < PEERS_MAX {
            return true;
        }
        let worst = self.peers.iter().filter(|(_, known)| !known.is_own());
        let worst = worst.min_by_key(|(_, known)| (known.reached_secs, u32::MAX - known.failures));
        let Some((worst, known)) = worst else { return false };
        if source != Source::User && known.reached_secs > 0 && known.failures == 0 {
            return false;
        }
        let worst = *worst;
        self.peers.remove(&worst);
        true
    }

    /// A connection that we made works.
    pub(crate) fn reached(&mut self, address: PeerAddress, now_secs: u64) {
        if self.learn(address, Source::Reached)
            && let Some(known) = self.peers.get_mut(&address.peer)
        {
            known.reached_secs = now_secs.max(1);
            known.failures = 0;
            known.next_ms = 0;
        }
    }

    /// A peer could not be reached, or its connection broke. `random(n)` gives a number below n.
    pub(crate) fn failed(
        &mut self,
        peer: &PeerId,
        now_ms: u64,
        now_secs: u64,
        random: impl FnOnce(u64) -> u64,
    ) {
        let Some(known) = self.peers.get_mut(peer) else { return };
        known.failures = known.failures.saturating_add(1);
        let lately = now_secs.saturating_sub(known.reached_secs) < REMEMBER_SECS;
        if known.failures >= FAILURES_MAX && !known.chosen && !lately {
            self.peers.remove(peer);
            return;
        }
        known.next_ms = now_ms.saturating_add(pause_ms(known.failures, known.chosen, random));
    }

    /// Forgets a peer.
    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
    }

    /// Whether a peer is our own choice.
    pub(crate) fn is_own(&self, peer: &PeerId) -> bool {
        self.peers.get(peer).is_some_and(Known::is_own)
    }

    /// The next peer to try: one of the best, at random. `usable` says who may be tried; `own`: only our own choice.
    pub(crate) fn pick(
        &self,
        own: bool,
        now_ms: u64,
        usable: impl Fn(&PeerId) -> bool,
        random: impl FnOnce(u64) -> u64,
    ) -> Option<(PeerId, Vec<SocketAddr>)> {
        let due = |(peer, known): &(&PeerId, &Known)| {
            known.next_ms <= now_ms && !known.addresses.is_empty() && (!own || known.is_own()) && usable(peer)
        };
        let best = self.peers.iter().filter(due).map(|(_, known)| known.rank()).min()?;
        let mut equals: Vec<_> =
            self.peers.iter().filter(due).filter(|(_, known)| known.rank() == best).collect();
        let place = usize::try_from(random(equals.len() as u64)).unwrap_or(0).min(equals.len() - 1);
        let (peer, known) = equals.swap_remove(place);
        Some((*peer, known.addresses.clone()))
    }

    /// Addresses for a peer, or a client, that is in `to`: peers we reached lately, where we reached them, none that
    /// only a narrower scope can reach.
    pub(crate) fn tell(
        &self,
        to: Scope,
        except: Option<&PeerId>,
        now_secs: u64,
        mut random: impl FnMut(u64) -> u64,
    ) -> Vec<PeerAddress> {
        let mut addresses: Vec<PeerAddress> = self
            .peers
            .iter()
            .filter(|(peer, known)| {
                Some(*peer) != except
                    && known.reached_secs > 0
                    && now_secs.saturating_sub(known.reached_secs) <= TELL_AGE_SECS
            })
            .filter_map(|(peer, known)| Some(PeerAddress { peer: *peer, socket: *known.addresses.first()? }))
            .filter(|address| scope(address.socket.ip()).is_some_and(|scope| scope >= to))
            .collect();
        while addresses.len() > TELL_MAX {
            let place = usize::try_from(random(addresses.len() as u64)).unwrap_or(0);
            addresses.swap_remove(place.min(addresses.len() - 1));
        }
        addresses
    }

    /// Sets who is tried first after a restart: those of `connected` that are our own choice.
    pub(crate) fn set_anchors(&mut self, connected: &[PeerId]) {
        let anchors: Vec<PeerId> =
            connected.iter().filter(|peer| self.is_own(peer)).take(ANCHORS_MAX).copied().collect();
        // With nobody connected the old ones are the best there are.
        if !anchors.is_empty() {
            self.peers.iter_mut().for_each(|(peer, known)| known.anchor = anchors.contains(peer));
        }
    }

    /// How many peers are known.
    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }
}

/// How long to leave a peer in peace after so many failures: twice as long each time, and up to half of it more at
/// random, so that nodes that lost each other do not come back all at once.
pub(crate) fn pause_ms(failures: u32, chosen: bool, random: impl FnOnce(u64) -> u64) -> u64 {
    let max = if chosen { PAUSE_CHOSEN_MAX_MS } else { PAUSE_MAX_MS };
    let pause = PAUSE_MS.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(max);
    pause.saturating_add(random((pause / 2).max(1)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn peer(i: u64) -> PeerId {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&i.to_be_bytes());
        PeerId(id)
    }

    fn at(i: u64, socket: &str) -> PeerAddress {
        PeerAddress { peer: peer(i), socket: socket.parse().unwrap() }
    }

    /// Different networks for different numbers.
    fn far(i: u64) -> PeerAddress {
        at(i, &format!("20.{}.{}.1:9908", i / 256, i % 256))
    }

    fn pick(book: &Book, own: bool, now_ms: u64) -> Option<u64> {
        let (peer, _) = book.pick(own, now_ms, |_| true, |_| 0)?;
        Some(u64::from_be_bytes(peer.0[..8].try_into().unwrap()))
    }

    #[test]
    fn one_teller_gets_few_places_and_none_of_ours() {
        let mut book = Book::default();
        for i in 0..200 {
            book.learn(far(i), Source::Told(peer(1_000)));
        }
        assert_eq!(book.len(), TOLD_MAX);
        assert_eq!(pick(&book, true, 0), None);
        assert_eq!(pick(&book, false, 0), Some(0));
        // It does not count twice, and nobody vouches for itself.
        book.learn(far(5), Source::Told(peer(1_000)));
        book.learn(far(5), Source::Told(peer(5)));
        assert!(!book.is_own(&peer(5)));
        book.learn(far(5), Source::Told(peer(1_001)));
        assert_eq!(pick(&book, true, 0), Some(5));
        book.learn(far(7), Source::User);
        assert_eq!(pick(&book, true, 0), Some(7), "what the user names comes first");
    }

    #[test]
    fn a_network_gets_few_places() {
        let mut book = Book::default();
        for i in 0..100 {
            book.learn(at(i, &format!("20.1.1.{i}:9908")), Source::Told(peer(1_000 + i)));
        }
        assert_eq!(book.len(), SUBNET_PEERS_MAX);
        for wrong in ["0.0.0.0:1", "224.0.0.1:1", "169.254.0.1:1", "20.0.0.1:0"] {
            assert!(!book.learn(at(500, wrong), Source::User), "{wrong}");
        }
    }

    #[test]
    fn a_full_book_keeps_what_worked() {
        let mut book = Book::default();
        for i in 0..PEERS_MAX as u64 {
            assert!(book.learn(far(i), Source::Told(peer(10_000 + i / 50))));
        }
        for i in 0..10 {
            book.reached(far(i), 100);
        }
        for i in 2_000..4_000 {
            book.learn(far(i), Source::Told(peer(20_000 + i)));
        }
        assert_eq!(book.len(), PEERS_MAX);
        assert_eq!(book.tell(Scope::Public, None, 100, |_| 0).len(), 10);
    }

    #[test]
    fn failures_pause_and_end_in_oblivion() {
        let mut book = Book::default();
        book.learn(far(1), Source::Told(peer(9)));
        book.failed(&peer(1), 0, 0, |n| n - 1);
        assert_eq!(pick(&book, false, 2_998), None);
        assert_eq!(pick(&book, false, 2_999), Some(1));
        for _ in 1..FAILURES_MAX {
            // Long after 1970, so that never having been reached is long ago.
            book.failed(&peer(1), 0, 10 * REMEMBER_SECS, |_| 0);
        }
        assert_eq!(book.len(), 0);
        book.learn(far(1), Source::User);
        (0..100).for_each(|_| book.failed(&peer(1), 0, 10 * REMEMBER_SECS, |_| 0));
        assert_eq!(pick(&book, false, PAUSE_CHOSEN_MAX_MS), Some(1));
        book.reached(far(1), 5);
        assert_eq!(pick(&book, false, 0), Some(1));
        assert_eq!(pause_ms(u32::MAX, false, |_| 0), PAUSE_MAX_MS);
    }

    #[test]
    fn where_it_worked_comes_first() {
        let mut book = Book::default();
        for port in 1..=6 {
            book.learn(at(1, &format!("20.0.0.1:{port}")), Source::Told(peer(2)));
        }
        book.reached(at(1, "20.0.0.1:3"), 1);
        book.reached(at(1, "20.0.0.1:9"), 2);
        let (_, addresses) = book.pick(false, 0, |_| true, |_| 0).unwrap();
        assert_eq!(addresses.iter().map(SocketAddr::port).collect::<Vec<_>>(), [9, 3, 1, 2]);
    }

    #[test]
    fn only_what_the_asker_can_reach_is_told() {
        let mut book = Book::default();
        for (i, socket) in ["127.0.0.1:1", "10.0.0.1:1", "20.0.0.1:1"].into_iter().enumerate() {
            book.reached(at(i as u64, socket), 1_000_000);
        }
        book.learn(far(77), Source::User);
        let told = |to, except| {
            book.tell(to, except, 1_000_000, |_| 0).iter().map(|a| a.socket.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(told(Scope::Public, None), ["20.0.0.1:1"]);
        assert_eq!(told(Scope::Private, None), ["10.0.0.1:1", "20.0.0.1:1"]);
        assert_eq!(told(Scope::Loopback, Some(&peer(1))), ["127.0.0.1:1", "20.0.0.1:1"]);
        assert!(book.tell(Scope::Loopback, None, 1_000_000 + TELL_AGE_SECS + 1, |_| 0).is_empty());
        for i in 100..200 {
            book.reached(far(i), 1_000_000);
        }
        assert_eq!(book.tell(Scope::Public, None, 1_000_000, |n| n - 1).len(), TELL_MAX);
    }

    #[test]
    fn anchors_are_our_own_choice() {
        let mut book = Book::default();
        book.learn(far(1), Source::Told(peer(9)));
        book.learn(far(2), Source::User);
        book.set_anchors(&[peer(1), peer(2)]);
        assert_eq!(pick(&book, true, 0), Some(2));
        assert!(!book.is_own(&peer(1)));
        book.set_anchors(&[]);
        assert!(book.peers[&peer(2)].anchor);
    }
}
