//! Comparing with peers and fetching what is missing: who is asked what, and what the answers mean.
//!
//! Few comparisons run at a time, and only one of them fetches much; the others' peers help it, so that a first sync comes
//! from several peers at once without anything coming twice.

use std::collections::{BTreeMap, HashSet};

use lf_proto::hash::Hash;
use lf_proto::record::Record;
use lf_store::{IndexError, View};

use super::peer::{Origin, Peer};
use super::ranges::{Bound, Salt};
use super::session::{Piece, Session, fetch_question};
use super::wire::{Answer, Question};
use super::{PeerId, Sync, Ticket};

/// Comparisons at a time.
const SESSIONS_MAX: usize = 3;
/// How often a peer is compared with, at least; half as much again at random.
const SESSION_MS: u64 = 30_000;
/// The same after something was missing.
const CONFIRM_MS: u64 = 1_000;
/// The same after a failure.
const RETRY_MS: u64 = 5_000;
/// Beyond so many missing records only one comparison fetches.
const HEAVY_RECORDS: u64 = 256;
/// Questions to fetch that a peer is asked at a time.
const FETCHES_MAX: usize = 3;
/// Bytes of a peer's records that wait to be checked, beyond which it is not asked for more.
const WAITING_BYTES: usize = 8 << 20;
/// Records that wait for links, beyond which no more are fetched before those are linked.
const PENDING_RECORDS: u64 = 100_000;
/// How long an answer of a busy peer is waited for.
const BUSY_MS: u64 = 1_000;
/// Comparisons in a row that promised and gave nothing before the peer is blamed.
const FRUITLESS_MAX: u32 = 5;

/// How often missing links are looked for while there are records that wait.
const WANT_MS: u64 = 2_000;
/// Missing links asked for at a time.
const WANT_RECORDS: usize = 256;
/// Missing links that are remembered.
const WANTED_MAX: usize = 8_192;
/// After so many peers did not have it a missing link counts as nobody's.
const WANT_TRIES: u32 = 5;

/// What a question of ours is for.
#[derive(Debug)]
pub(super) enum Purpose {
    Compare(PeerId, Salt),
    Fetch {
        /// Who was asked.
        peer: PeerId,
        /// Whose comparison found the pieces.
        session_of: PeerId,
        salt: Salt,
        pieces: Vec<Piece>,
    },
    Wanted {
        peer: PeerId,
        hashes: Vec<Hash>,
    },
    Hint(PeerId),
}

impl Purpose {
    pub(super) fn asked(&self) -> Option<PeerId> {
        match self {
            Purpose::Compare(peer, _) | Purpose::Hint(peer) => Some(*peer),
            Purpose::Fetch { peer, .. } | Purpose::Wanted { peer, .. } => Some(*peer),
        }
    }
}

/// Records that stored ones link to and that are not here.
#[derive(Debug, Default)]
pub(super) struct Wanting {
    /// Who sent a record that waits, and so may have what it waits for.
    likely: Option<PeerId>,
    next_ms: u64,
    /// Up to where they were looked at.
    cursor: Hash,
    /// How often each was asked for, and when next.
    tries: BTreeMap<Hash, (u32, u64)>,
    asking: usize,
    /// Some of what is being asked for may well be had.
    hopeful: bool,
}

impl Wanting {
    /// A record waits that this peer sent.
    pub(super) fn pending(&mut self, from: PeerId) {
        self.likely = Some(from);
        self.next_ms = 0;
    }

    /// Whether anything is being asked for that not everybody lacked before.
    pub(super) fn is_asking(&self) -> bool {
        self.asking > 0 && self.hopeful
    }
}

impl Sync {
    /// Begins comparisons that are due, and goes on with those under way.
    pub(super) fn advance(&mut self, view: &View) -> Result<(), IndexError> {
        if view.linked() > self.ranges.covered() {
            return Ok(()); // What is here must be known before it is compared.
        }
        let now_ms = self.now.ticks_ms;
        let heavy = self.heavy();
        let running = self.peers.values().filter(|peer| peer.session.is_some()).count();
        let ids: Vec<PeerId> = self.peers.keys().copied().collect();
        // Whoever was waited for longest comes first.
        let mut due: Vec<(u64, PeerId)> = ids
            .iter()
            .filter_map(|id| {
                let peer = self.peers.get(id)?;
                let due = peer.session.is_none()
                    && !peer.banned
                    && peer.next_session_ms <= now_ms
                    && peer.busy_until_ms <= now_ms;
                // While one fetches much, others are only asked how much they have.
                (due && (heavy.is_none() || peer.total == 0)).then_some((peer.next_session_ms, *id))
            })
            .collect();
        due.sort_unstable();
        if heavy.is_none() && self.waits_for_chosen() {
            due.retain(|(_, id)| self.peers.get(id).is_some_and(|peer| peer.outbound));
        }
        for (_, id) in due.into_iter().take(SESSIONS_MAX.saturating_sub(running)) {
            let salt = self.random().to_le_bytes();
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.session = Some(Session::new(salt, now_ms));
            }
        }
        for id in ids {
            self.advance_one(id, view)?;
        }
        self.fetch(view)
    }

    /// Whether a first sync is to begin, and a peer that we connected to is there to begin with. One that is stuck gives
    /// way for a while; in a first sync that has begun, all help.
    fn waits_for_chosen(&self) -> bool {
        let now_ms = self.now.ticks_ms;
        let none_synced = self.peers.values().all(|peer| peer.synced_ms.is_none());
        let ready = |peer: &Peer| peer.session.is_some() || peer.next_session_ms <= now_ms;
        none_synced && self.peers.values().any(|peer| peer.outbound && !peer.banned && ready(peer))
    }

    /// The peer whose comparison fetches much.
    fn heavy(&self) -> Option<PeerId> {
        let heavy = |peer: &Peer| peer.session.as_ref().is_some_and(|s| s.expected > HEAVY_RECORDS);
        self.peers.iter().filter(|(_, peer)| heavy(peer)).map(|(id, _)| *id).next()
    }

    fn advance_one(&mut self, id: PeerId, view: &View) -> Result<(), IndexError> {
        let (jitter, now_ms) = (self.random(), self.now.ticks_ms);
        let Some(peer) = self.peers.get_mut(&id) else { return Ok(()) };
        let Some(session) = &mut peer.session else { return Ok(()) };
        if session.is_done() || peer.banned {
            self.finish(id, jitter);
            return Ok(());
        }
        if session.is_stuck(now_ms) {
            peer.blame(10, "it did not give what it said it has");
            session_failed(peer, now_ms);
            peer.next_session_ms = now_ms + SESSION_MS;
            return Ok(());
        }
        let question = session.next_compare(jitter, &self.ranges, view)?;
        let salt = session.salt;
        if let Some(question) = question {
            self.ask(id, &question, Purpose::Compare(id, salt));
        }
        Ok(())
    }

    /// A comparison is over.
    fn finish(&mut self, id: PeerId, jitter: u64) {
        let now_ms = self.now.ticks_ms;
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some(session) = peer.session.take() else { return };
        peer.session_ended_ms = now_ms;
        peer.lacks |= session.lacking;
        let usual_ms = SESSION_MS + jitter % (SESSION_MS / 2);
        peer.next_session_ms = now_ms
            + if session.failed {
                RETRY_MS
            } else if session.new == 0 && (session.promised == 0 || session.refused > 0) {
                // Nothing is missing here, or what is will not be taken for now. A peer that lacks what we have promises
                // nothing by saying that ranges differ.
                peer.fruitless = 0;
                peer.synced_ms = Some(now_ms);
                usual_ms
            } else if session.new == 0 {
                peer.fruitless += 1;
                if peer.fruitless >= FRUITLESS_MAX {
                    peer.blame(20, "it says again and again that something is missing here, and has nothing");
                } else if session.expected <= HEAVY_RECORDS {
                    peer.synced_ms = Some(now_ms); // It came by another way meanwhile.
                }
                RETRY_MS
            } else {
                peer.fruitless = 0;
                if session.expected <= HEAVY_RECORDS {
                    peer.synced_ms = Some(now_ms);
                }
                CONFIRM_MS
            };
    }

    /// Asks for pieces: each peer for its own, and for those of the one that fetches much.
    fn fetch(&mut self, view: &View) -> Result<(), IndexError> {
        let now_ms = self.now.ticks_ms;
        let heavy = self.heavy();
        if heavy.is_some() && view.totals()?.pending > PENDING_RECORDS {
            return Ok(());
        }
        let total = heavy.and_then(|id| self.peers.get(&id)).map_or(0, |peer| peer.total);
        let mut fetching: BTreeMap<PeerId, usize> = BTreeMap::new();
        for purpose in self.tickets.values() {
            if let Purpose::Fetch { peer, .. } = purpose {
                *fetching.entry(*peer).or_default() += 1;
            }
        }
        // One question for each peer in turn, so that the oldest pieces are spread over all.
        for _ in 0..FETCHES_MAX {
            let ids: Vec<PeerId> = self.peers.keys().copied().collect();
            for id in ids {
                let Some(peer) = self.peers.get(&id) else { continue };
                let busy = peer.banned
                    || peer.busy_until_ms > now_ms
                    || peer.records_bytes > WAITING_BYTES
                    || fetching.get(&id).is_some_and(|count| *count >= FETCHES_MAX);
                if busy {
                    continue;
                }
                let has_pieces = peer.session.as_ref().is_some_and(|session| !session.pieces.is_empty());
                // Who has about as much as the one that is fetched from can help.
                let helps = peer.total >= total - total / 50;
                let session_of = match heavy {
                    None if has_pieces => id,
                    Some(heavy) if heavy == id && has_pieces => id,
                    Some(heavy) if helps && self.is_bulk(heavy) => heavy,
                    _ => continue,
                };
                let taken = self.peers.get_mut(&session_of).and_then(|peer| {
                    let session = peer.session.as_mut()?;
                    let pieces = session.take_pieces(session_of != id);
                    session.fetching += usize::from(!pieces.is_empty());
                    Some((session.salt, pieces))
                });
                let Some((salt, pieces)) = taken.filter(|(_, pieces)| !pieces.is_empty()) else { continue };
                let (question, left_out) = fetch_question(&pieces, &salt, &self.ranges, &self.limbo, view)?;
                if left_out > 0
                    && let Some(session) = self.session(session_of, salt)
                {
                    // They are missing, but nobody is to blame that they do not come.
                    session.refused += left_out;
                }
                self.ask(id, &question, Purpose::Fetch { peer: id, session_of, salt, pieces });
                *fetching.entry(id).or_default() += 1;
            }
        }
        Ok(())
    }

    fn is_bulk(&self, id: PeerId) -> bool {
        self.peers.get(&id).and_then(|peer| peer.session.as_ref()).is_some_and(Session::is_bulk)
    }

    /// A comparison under way that still has this salt.
    fn session(&mut self, id: PeerId, salt: Salt) -> Option<&mut Session> {
        self.peers.get_mut(&id)?.session.as_mut().filter(|session| session.salt == salt)
    }

    /// A question was answered.
    pub(super) fn answered(&mut self, ticket: Ticket, bytes: &[u8], view: &View) -> Result<(), IndexError> {
        let Some(purpose) = self.tickets.remove(&ticket) else { return Ok(()) };
        let answer = Answer::decode(bytes);
        match (purpose, answer) {
            (Purpose::Compare(id, salt), Ok(Answer::Compared { total, differing })) => {
                let now_ms = self.now.ticks_ms;
                let others_fetch = self.heavy().is_some_and(|heavy| heavy != id);
                let Some(peer) = self.peers.get_mut(&id) else { return Ok(()) };
                peer.total = total;
                let Some(session) = peer.session.as_mut().filter(|session| session.salt == salt) else {
                    return Ok(());
                };
                if others_fetch {
                    // Nothing is to be fetched twice: its turn comes.
                    peer.session = None;
                    peer.next_session_ms = now_ms + RETRY_MS;
                    return Ok(());
                }
                if let Err(offence) = session.compared(differing, &self.ranges, view)? {
                    peer.blame(50, offence.0);
                    session_failed(peer, now_ms);
                }
            }
            (
                Purpose::Fetch { peer, session_of, salt, pieces },
                Ok(Answer::Fetched { records, complete, rest, lacking }),
            ) => {
                self.fetched(peer, (session_of, salt), pieces, records, (complete, rest), lacking);
            }
            (Purpose::Wanted { peer, hashes }, Ok(Answer::Records { records })) => {
                self.wanting.asking = self.wanting.asking.saturating_sub(1);
                let asked: HashSet<Hash> = hashes.into_iter().collect();
                if records.iter().any(|record| !asked.contains(&record.hash())) {
                    self.blame(peer, 50, "it sent records that it was not asked for");
                    return Ok(());
                }
                if !records.is_empty() {
                    self.wanting.pending(peer);
                }
                self.take_in(peer, records, Origin::Wanted);
            }
            (Purpose::Hint(_), Ok(Answer::Noted | Answer::Busy)) => {}
            (purpose, Ok(Answer::Busy)) => {
                if let Some(peer) = purpose.asked().and_then(|id| self.peers.get_mut(&id)) {
                    peer.busy_until_ms = self.now.ticks_ms + BUSY_MS;
                }
                self.failed(purpose);
            }
            (purpose, _) => {
                if let Some(id) = purpose.asked() {
                    self.blame(id, 50, "it sent an answer that is none");
                }
                self.failed(purpose);
            }
        }
        Ok(())
    }

    /// A question was not answered.
    pub(super) fn unanswered(&mut self, ticket: Ticket) {
        let Some(purpose) = self.tickets.remove(&ticket) else { return };
        if let Some(peer) = purpose.asked().and_then(|id| self.peers.get_mut(&id)) {
            peer.was_silent();
            peer.busy_until_ms = self.now.ticks_ms + BUSY_MS;
        }
        self.failed(purpose);
    }

    /// A question came to nothing.
    fn failed(&mut self, purpose: Purpose) {
        let now_ms = self.now.ticks_ms;
        match purpose {
            Purpose::Compare(id, salt) => {
                if self.session(id, salt).is_some()
                    && let Some(peer) = self.peers.get_mut(&id)
                {
                    session_failed(peer, now_ms);
                }
            }
            Purpose::Fetch { peer, session_of, salt, mut pieces } => {
                let Some(session) = self.session(session_of, salt) else { return };
                session.fetching = session.fetching.saturating_sub(1);
                if peer != session_of {
                    pieces.iter_mut().for_each(|piece| piece.only_here = true);
                    session.return_pieces(pieces);
                } else if let Some(peer) = self.peers.get_mut(&session_of) {
                    session_failed(peer, now_ms);
                }
            }
            Purpose::Wanted { .. } => self.wanting.asking = self.wanting.asking.saturating_sub(1),
            Purpose::Hint(_) => {}
        }
    }

    fn blame(&mut self, id: PeerId, points: i32, offence: &'static str) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.blame(points, offence);
        }
    }

    /// Records came.
    fn fetched(
        &mut self,
        id: PeerId,
        (session_of, salt): (PeerId, Salt),
        pieces: Vec<Piece>,
        records: Vec<Record>,
        (complete, rest): (usize, Option<Bound>),
        lacking: u64,
    ) {
        // Each record belongs to one of the pieces, in their order.
        let mut counts = vec![0u64; pieces.len()];
        let mut at = 0;
        for record in &records {
            let place = Bound::of(record.timestamp(), &record.hash());
            while pieces.get(at).is_some_and(|piece| !piece.span.contains(&place)) {
                at += 1;
            }
            match counts.get_mut(at) {
                Some(count) => *count += 1,
                None => {
                    self.blame(id, 50, "it sent records that it was not asked for");
                    return self.failed(Purpose::Fetch { peer: id, session_of, salt, pieces });
                }
            }
        }
        let progress = !records.is_empty()
            || complete > 0
            || rest.is_some_and(|rest| pieces.first().is_some_and(|piece| rest > piece.span.lower));
        if !progress || complete > pieces.len() {
            self.blame(id, 10, "it answered without an answer");
            return self.failed(Purpose::Fetch { peer: id, session_of, salt, pieces });
        }
        let other = id != session_of;
        let mut again = Vec::new();
        for (at, (mut piece, count)) in pieces.into_iter().zip(counts).enumerate() {
            if at < complete {
                if other && count < piece.expected / 2 {
                    piece.only_here = true;
                    again.push(piece);
                }
                continue;
            }
            if at == complete
                && let Some(rest) = rest.filter(|rest| piece.span.contains(rest))
            {
                piece.span.lower = rest;
                piece.expected = piece.expected.saturating_sub(count).max(1);
            }
            again.push(piece);
        }
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.lacks |= lacking > 0;
        }
        let Some(session) = self.session(session_of, salt) else {
            // The comparison is over, the records are good all the same.
            return self.take_in(id, records, Origin::Wanted);
        };
        session.fetching = session.fetching.saturating_sub(1);
        session.fetched += records.len() as u64;
        session.return_pieces(again);
        self.take_in(id, records, Origin::Session(session_of, salt));
    }

    /// Queues records to be checked.
    fn take_in(&mut self, id: PeerId, records: Vec<Record>, origin: Origin) {
        for record in records {
            if self.is_in_limbo(record.timestamp(), &record.hash()) {
                if let Origin::Session(session_of, salt) = origin
                    && let Some(session) = self.session(session_of, salt)
                {
                    session.refused += 1;
                }
                continue;
            }
            if !self.is_new_on_the_way(record.hash()) {
                continue;
            }
            let Some(peer) = self.peers.get_mut(&id) else {
                self.forget(&record.hash());
                continue;
            };
            peer.push_record(record, origin);
            if let Origin::Session(session_of, salt) = origin
                && let Some(session) = self.session(session_of, salt)
            {
                session.checking += 1;
            }
        }
    }

    /// Whether a record waits here for its approval.
    pub(super) fn is_in_limbo(&self, timestamp: u64, hash: &Hash) -> bool {
        !self.limbo.is_empty() && self.limbo.contains(&Bound::of(timestamp, hash))
    }

    /// Asks for links that are missing.
    pub(super) fn want(&mut self, view: &View) -> Result<(), IndexError> {
        let now_ms = self.now.ticks_ms;
        if now_ms < self.wanting.next_ms || self.wanting.asking > 0 || self.heavy().is_some() {
            return Ok(());
        }
        self.wanting.next_ms = now_ms + WANT_MS;
        if view.totals()?.pending == 0 {
            self.wanting.tries.clear();
            return Ok(());
        }
        let mut hashes = view.wanted(&self.wanting.cursor, WANT_RECORDS)?;
        self.wanting.cursor = if hashes.len() < WANT_RECORDS {
            Hash::default()
        } else {
            *hashes.last().unwrap_or(&Hash::default())
        };
        if self.wanting.tries.len() > WANTED_MAX {
            self.wanting.tries.clear();
        }
        let waits: HashSet<[u8; 32]> = self.limbo.iter().map(|place| place.hash).collect();
        let under_way = |hash: &Hash| self.intake_has(hash);
        hashes.retain(|hash| {
            !under_way(hash)
                && !waits.contains(&hash.0)
                && self.wanting.tries.get(hash).is_none_or(|(_, at)| *at <= now_ms)
        });
        if hashes.is_empty() {
            return Ok(());
        }
        let fit: Vec<PeerId> = self
            .peers
            .iter()
            .filter(|(_, peer)| !peer.banned && peer.busy_until_ms <= now_ms)
            .map(|(id, _)| *id)
            .collect();
        let random = self.random() as usize;
        let likely = self.wanting.likely.take().filter(|id| fit.contains(id));
        let Some(peer) = likely.or_else(|| fit.get(random % fit.len().max(1)).copied()) else {
            return Ok(());
        };
        self.wanting.hopeful = false;
        for hash in &hashes {
            let (tries, at) = self.wanting.tries.entry(*hash).or_insert((0, 0));
            *tries += 1;
            self.wanting.hopeful |= *tries <= WANT_TRIES;
            let wait_ms = if *tries < WANT_TRIES { 1_000 } else { 60_000 };
            *at = now_ms + wait_ms;
        }
        self.wanting.asking += 1;
        self.ask(peer, &Question::Records { hashes: hashes.clone() }, Purpose::Wanted { peer, hashes });
        Ok(())
    }
}

/// Ends a comparison that cannot go on; what it has found is found again.
fn session_failed(peer: &mut Peer, now_ms: u64) {
    if let Some(session) = peer.session.take() {
        peer.lacks |= session.lacking;
    }
    peer.session_ended_ms = now_ms;
    peer.next_session_ms = now_ms + RETRY_MS;
}
