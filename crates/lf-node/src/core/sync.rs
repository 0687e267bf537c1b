//! Replication between nodes as a pure state machine: events go in, actions come out.
//!
//! Every node ends up with the same linked records. New ones are announced to everybody (gossip, a hint), and what was
//! missed is found by comparing ranges of (timestamp, hash) with peers (reconciliation, a guarantee). A node that is new
//! compares, too: what it finds missing is everything. All that arrives ends in the same checks as any record.
//!
//! There is no I/O here, no clock, no thread and no libp2p: whoever drives a [`Sync`] tells it the time, the view of the
//! store and 32 random bytes to begin with, and carries out its actions. The peer-to-peer shell does so over real
//! connections, the simulator for a thousand nodes in one process. docs/src/SYNC.md describes the protocol.

mod announce;
mod fetch;
mod intake;
mod peer;
pub mod ranges;
mod serve;
mod session;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;

use lf_proto::hash::Hash;
use lf_proto::pulse::Pulse;
use lf_proto::record::Record;
use lf_proto::seeded::SeededRng;
pub use lf_proto::sync as wire;
use lf_store::{IndexError, View};

use self::announce::Announcements;
pub use self::announce::may_be_announced;
use self::fetch::{Purpose, Wanting};
use self::intake::Intake;
use self::peer::Peer;
use self::ranges::{Bound, Ranges};
use self::wire::{Answer, Question};

/// A peer's identity: its Ed25519 public key, which is what its connection proves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 32]);

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", lf_proto::base62::encode(&self.0))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The time as an event's receiver has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds of a clock that never goes back, from any beginning.
    pub ticks_ms: u64,
    /// Seconds since 1970, as the node's clock says.
    pub unix_secs: u64,
}

/// A question of a peer that waits for our answer; the shell numbers them.
pub type Asked = u64;
/// A question or a job of ours that waits for an answer; [`Sync`] numbers them.
pub type Ticket = u64;
/// A gossip message that waits for our verdict; the shell numbers them.
pub type MessageId = u64;

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A peer is connected: told once, however many connections there are.
    Connected {
        /// The peer.
        peer: PeerId,
        /// Whether we dialled it. A first sync is rather begun with such a peer: others may have come in order to be asked.
        outbound: bool,
    },
    /// A peer has no connection any more. Its questions are void, and ours to it have failed.
    Disconnected {
        /// The peer.
        peer: PeerId,
    },
    /// A peer asks.
    Question {
        /// The peer.
        peer: PeerId,
        /// To be named by the answer.
        asked: Asked,
        /// The question, [`wire::QUESTION_BYTES_MAX`] at most.
        bytes: Vec<u8>,
    },
    /// A peer answers.
    Answer {
        /// Which question of ours.
        ticket: Ticket,
        /// The answer, [`wire::ANSWER_BYTES_MAX`] at most.
        bytes: Vec<u8>,
    },
    /// A question of ours will not be answered: time is up, or the connection is gone.
    Unanswered {
        /// Which question of ours.
        ticket: Ticket,
    },
    /// A gossip message arrived.
    Gossip {
        /// From whom we have it.
        peer: PeerId,
        /// To be named by the verdict.
        message: MessageId,
        /// The message, [`wire::GOSSIP_BYTES_MAX`] at most.
        bytes: Vec<u8>,
    },
    /// Records were checked and, if they are good, stored durably.
    Checked {
        /// Of which [`Action::Check`].
        ticket: Ticket,
        /// One for each record, in order.
        outcomes: Vec<Outcome>,
    },
    /// Pulses were checked and, if they are news, stored durably.
    PulsesChecked {
        /// Of which [`Action::CheckPulses`].
        ticket: Ticket,
        /// One for each pulse: whether it was news.
        news: Vec<bool>,
    },
    /// What waits for approval changed by other means than [`Outcome::Limbo`].
    Limbo {
        /// Timestamps and hashes of all records that wait now.
        records: Vec<(u64, Hash)>,
    },
    /// Somebody else than [`Sync`] had a pulse accepted here: it is to be announced.
    NewPulse {
        /// The pulse.
        pulse: Pulse,
    },
    /// Nothing but time passed, or records became linked. Told at least every 100 ms.
    Tick,
}

/// What became of a record that was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is new and linked; `good` if its reputation is.
    Linked {
        /// Whether it may be announced.
        good: bool,
    },
    /// It is new and waits for records it links to.
    Pending,
    /// It was here before.
    Duplicate,
    /// It breaks a rule that no honest node lets pass: its sender is to blame.
    Invalid,
    /// It is refused, but its sender need not know: too far in the future, against a parameter that was amended.
    Refused,
    /// Nothing but its approval is missing: it waits here for a certificate or an amendment.
    Limbo,
    /// It could not be stored now: our fault.
    Failed,
}

/// What a gossip message turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Good and new: forward it.
    Forward,
    /// Not worth forwarding; nobody is to blame.
    Drop,
    /// Its sender is to blame.
    Reject,
}

/// What is to be done.
#[derive(Debug)]
pub enum Action {
    /// Ask a peer. Exactly one [`Event::Answer`] or [`Event::Unanswered`] follows, the latter after
    /// [`QUESTION_TIME_MAX_MS`] at the latest.
    Ask {
        /// The peer.
        peer: PeerId,
        /// To be named by the answer.
        ticket: Ticket,
        /// The question.
        bytes: Vec<u8>,
    },
    /// Answer a peer's question.
    Reply {
        /// Which question.
        asked: Asked,
        /// The answer.
        bytes: Vec<u8>,
    },
    /// Check records and store the good ones; [`Event::Checked`] follows.
    Check {
        /// To be named by the event.
        ticket: Ticket,
        /// From whom they are.
        peer: PeerId,
        /// The records, all of them canonical.
        records: Vec<Record>,
    },
    /// Check pulses, at this peer's expense, and store those that are news; [`Event::PulsesChecked`] follows.
    CheckPulses {
        /// To be named by the event.
        ticket: Ticket,
        /// From whom they are.
        peer: PeerId,
        /// The pulses.
        pulses: Vec<Pulse>,
    },
    /// Send a message to everybody.
    Publish {
        /// The message.
        bytes: Vec<u8>,
    },
    /// Say what a gossip message is worth: each gets exactly one verdict.
    Judge {
        /// Which message.
        message: MessageId,
        /// From whom we had it.
        peer: PeerId,
        /// What it is.
        verdict: Verdict,
    },
    /// Settle contested names: nothing is known to be missing, so those that nobody holds can be given to whose records
    /// weigh most (NODE.md §3). Some of them at least; it is said again while there are any.
    SettleNames,
    /// Close all connections to a peer and let it not come back before some time.
    Ban {
        /// The peer.
        peer: PeerId,
        /// For how long.
        secs: u64,
        /// What it did, for the log.
        reason: &'static str,
    },
}

/// How long a question may stay unanswered.
pub const QUESTION_TIME_MAX_MS: u64 = 20_000;

/// Where a peer's records stand against ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerState {
    /// Nothing is known yet.
    New,
    /// Its records are being compared or fetched.
    Syncing,
    /// Nothing was missing here when we compared last.
    Synced,
}

/// What is known of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerStatus {
    /// Where its records stand against ours.
    pub state: PeerState,
    /// Linked records it said it has.
    pub records: u64,
    /// Good conduct adds up to 50, bad conduct takes away; when that alone is at [`SCORE_BANNED`], the peer is banned.
    pub score: i32,
}

/// At so much bad conduct a peer is disconnected and banned.
pub const SCORE_BANNED: i32 = -100;

/// How replication stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyncStatus {
    /// Nothing is missing: nothing wanted, and reconciled with at least one peer lately.
    pub synchronized: bool,
    /// Records to fetch, as far as known; 0 when nothing is under way.
    pub missing: u64,
    /// Records fetched since the beginning of what is under way.
    pub fetched: u64,
    /// Of those, the ones that are checked and new here.
    pub stored: u64,
    /// Peers connected.
    pub peers: usize,
    /// Records announced to us that were new.
    pub gossip_new: u64,
    /// Bytes received from peers, all kinds.
    pub received_bytes: u64,
    /// Bytes sent to peers, all kinds but forwarded gossip.
    pub sent_bytes: u64,
}

/// Linked records taken notice of with one event.
const EXTEND_RECORDS: u32 = 20_000;
/// Questions of a peer that wait for our answer; more are told to come again.
const QUESTIONS_MAX: usize = 8;
/// Cost units of answers with one event, about a microsecond each.
const SERVE_COST: u64 = 30_000;
/// A peer that is too many records behind does not answer comparisons yet.
const BEHIND_RECORDS: u32 = 50_000;
/// For how long a peer is banned.
const BAN_SECS: u64 = 3_600;
/// Records that wait for approval and are known here, at most: as many as may wait.
const LIMBO_MAX: usize = super::limbo::Bounds::USUAL.records;
/// How long a comparison that found nothing missing counts.
const SYNCED_MS: u64 = 120_000;

/// How often contested names are settled, at most.
const SETTLE_EVERY_MS: u64 = 1_000;

/// Replication of one node.
pub struct Sync {
    rng: SeededRng,
    now: Now,
    ranges: Ranges,
    actions: VecDeque<Action>,
    peers: BTreeMap<PeerId, Peer>,
    tickets: HashMap<Ticket, Purpose>,
    next_ticket: Ticket,
    /// The peer that was served last.
    served: Option<PeerId>,
    intake: Intake,
    wanting: Wanting,
    announcements: Announcements,
    /// Records that wait for approval: they are not fetched again.
    limbo: BTreeSet<Bound>,
    settle_next_ms: u64,
    gossip_new: u64,
    received_bytes: u64,
    sent_bytes: u64,
}

impl fmt::Debug for Sync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sync").field("peers", &self.peers.len()).finish_non_exhaustive()
    }
}

impl Sync {
    /// Replication that has no peers yet. `seed`: 32 random bytes, which salts and choices come from.
    pub fn new(seed: [u8; 32]) -> Self {
        Sync {
            rng: SeededRng::new(&seed),
            now: Now { ticks_ms: 0, unix_secs: 0 },
            ranges: Ranges::default(),
            actions: VecDeque::new(),
            peers: BTreeMap::new(),
            tickets: HashMap::new(),
            next_ticket: 0,
            served: None,
            intake: Intake::default(),
            wanting: Wanting::default(),
            announcements: Announcements::default(),
            limbo: BTreeSet::new(),
            settle_next_ms: 0,
            gossip_new: 0,
            received_bytes: 0,
            sent_bytes: 0,
        }
    }

    /// Takes notice of an event. `view` is as new as the event at least. The work done is bounded; what is left is done
    /// at the next ticks.
    pub fn handle(&mut self, event: Event, view: &View, now: Now) {
        self.now = now;
        let done =
            self.extend(view).and_then(|()| self.on_event(event, view)).and_then(|()| self.go_on(view));
        if let Err(e) = done {
            // The store mends itself and says so; what was under way is asked for again.
            tracing::warn!("replication cannot read the index: {e}");
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Action> {
        let action = self.actions.pop_front();
        if let Some(Action::Ask { bytes, .. } | Action::Reply { bytes, .. } | Action::Publish { bytes }) =
            &action
        {
            self.sent_bytes += bytes.len() as u64;
        }
        action
    }

    /// Linked records that were taken notice of: after a start it takes some events until it is all.
    pub fn covered(&self) -> u32 {
        self.ranges.covered()
    }

    /// How replication stands.
    pub fn status(&self) -> SyncStatus {
        let sessions = || self.peers.values().filter_map(|peer| peer.session.as_ref());
        let missing = sessions().map(session::Session::missing).max().unwrap_or(0);
        let synced = self.peers.values().any(|peer| {
            let since = peer.synced_ms.map(|at| self.now.ticks_ms.saturating_sub(at));
            !peer.banned && since.is_some_and(|since| since < SYNCED_MS)
        });
        SyncStatus {
            synchronized: synced && missing == 0 && !self.wanting.is_asking(),
            missing,
            fetched: sessions().map(|session| session.fetched).max().unwrap_or(0),
            stored: sessions().map(|session| session.new).max().unwrap_or(0),
            peers: self.peers.len(),
            gossip_new: self.gossip_new,
            received_bytes: self.received_bytes,
            sent_bytes: self.sent_bytes,
        }
    }

    /// What is known of a connected peer.
    pub fn peer(&self, peer: &PeerId) -> Option<PeerStatus> {
        let peer = self.peers.get(peer)?;
        let state = match (&peer.session, peer.synced_ms) {
            (_, Some(_)) => PeerState::Synced,
            (Some(_), None) => PeerState::Syncing,
            (None, None) => PeerState::New,
        };
        Some(PeerStatus { state, records: peer.total, score: peer.score + peer.merit })
    }

    fn on_event(&mut self, event: Event, view: &View) -> Result<(), IndexError> {
        match event {
            Event::Connected { peer, outbound } => {
                self.peers.entry(peer).or_insert_with(|| Peer::new(outbound, self.now.ticks_ms));
                Ok(())
            }
            Event::Disconnected { peer } => {
                self.disconnected(peer);
                Ok(())
            }
            Event::Question { peer, asked, bytes } => {
                self.received_bytes += bytes.len() as u64;
                match self.peers.get_mut(&peer) {
                    Some(known) if !known.banned && known.questions.len() < QUESTIONS_MAX => {
                        known.questions.push_back((asked, bytes));
                    }
                    _ => self.actions.push_back(Action::Reply { asked, bytes: Answer::Busy.encode() }),
                }
                Ok(())
            }
            Event::Answer { ticket, bytes } => {
                self.received_bytes += bytes.len() as u64;
                self.answered(ticket, &bytes, view)
            }
            Event::Unanswered { ticket } => {
                self.unanswered(ticket);
                Ok(())
            }
            Event::Gossip { peer, message, bytes } => {
                self.received_bytes += bytes.len() as u64;
                self.heard(peer, message, &bytes, view)
            }
            Event::Checked { ticket, outcomes } => {
                self.checked(ticket, &outcomes);
                Ok(())
            }
            Event::PulsesChecked { ticket, news } => {
                self.pulses_checked(ticket, &news);
                Ok(())
            }
            Event::Limbo { records } => {
                let places = records.iter().take(LIMBO_MAX);
                self.limbo = places.map(|(timestamp, hash)| Bound::of(*timestamp, hash)).collect();
                Ok(())
            }
            Event::NewPulse { pulse } => {
                self.announcements.pulse(pulse, self.now.ticks_ms);
                Ok(())
            }
            Event::Tick => Ok(()),
        }
    }

    /// What is due, whatever happened.
    fn go_on(&mut self, view: &View) -> Result<(), IndexError> {
        self.serve(view)?;
        self.advance(view)?;
        self.want(view)?;
        self.check();
        self.publish_pulses();
        self.hint();
        self.ban();
        self.settle_names(view)
    }

    /// While records are still missing, whose records weigh most says nothing. A name that is held is not concerned.
    fn settle_names(&mut self, view: &View) -> Result<(), IndexError> {
        if self.now.ticks_ms < self.settle_next_ms || !self.status().synchronized {
            return Ok(());
        }
        self.settle_next_ms = self.now.ticks_ms.saturating_add(SETTLE_EVERY_MS);
        if view.totals()?.contested > 0 {
            self.actions.push_back(Action::SettleNames);
        }
        Ok(())
    }

    /// Takes notice of records that became linked, and announces those that nobody else has announced.
    fn extend(&mut self, view: &View) -> Result<(), IndexError> {
        let begin = self.announcements.begin(view.linked());
        let first = self.ranges.covered();
        if first >= view.linked() {
            return Ok(());
        }
        for (index, row) in (first..first.saturating_add(EXTEND_RECORDS)).zip(view.rows_from(first)) {
            let row = row?;
            self.ranges.push(row.timestamp, &row.hash, view)?;
            if !self.limbo.is_empty() {
                self.limbo.remove(&Bound::of(row.timestamp, &row.hash));
            }
            if index >= begin {
                self.linked(&row, view)?;
            }
        }
        Ok(())
    }

    /// Answers questions, peers in turn, as far as their allowances and this event's share go.
    fn serve(&mut self, view: &View) -> Result<(), IndexError> {
        let now_ms = self.now.ticks_ms;
        let behind = view.linked().saturating_sub(self.ranges.covered()) > BEHIND_RECORDS;
        let mut cost = 0;
        while cost < SERVE_COST {
            let ready = |(_, peer): &(&PeerId, &mut Peer)| !peer.questions.is_empty() && !peer.banned;
            let Some(id) = next_in_turn(&mut self.peers, self.served, |entry| {
                ready(entry) && entry.1.serving.is_open(now_ms)
            }) else {
                break;
            };
            self.served = Some(id);
            let Some(peer) = self.peers.get_mut(&id) else { break };
            let Some((asked, bytes)) = peer.questions.pop_front() else { break };
            let reply = match Question::decode(&bytes) {
                Err(_) => {
                    peer.blame(50, "it sent a question that is none");
                    Answer::Busy.encode()
                }
                Ok(Question::Hint) => {
                    peer.next_session_ms =
                        peer.next_session_ms.min(now_ms.max(peer.session_ended_ms + 2_000));
                    Answer::Noted.encode()
                }
                Ok(Question::Compare { .. } | Question::Fetch { .. }) if behind => Answer::Busy.encode(),
                Ok(question) => {
                    let served = serve::serve(&question, &self.ranges, view)?;
                    peer.serving.charge(served.cost, now_ms);
                    cost += served.cost;
                    served.bytes
                }
            };
            cost += 1;
            self.actions.push_back(Action::Reply { asked, bytes: reply });
        }
        Ok(())
    }

    fn ban(&mut self) {
        for (id, peer) in &mut self.peers {
            peer.forgive(self.now.ticks_ms);
            if peer.score <= SCORE_BANNED && !peer.banned {
                peer.banned = true;
                peer.questions.clear();
                self.actions.push_back(Action::Ban { peer: *id, secs: BAN_SECS, reason: peer.offence });
            }
        }
    }

    fn disconnected(&mut self, id: PeerId) {
        let mut void: Vec<Ticket> = self
            .tickets
            .iter()
            .filter(|(_, purpose)| purpose.asked() == Some(id))
            .map(|(ticket, _)| *ticket)
            .collect();
        void.sort_unstable();
        for ticket in void {
            self.unanswered(ticket);
        }
        let Some(mut peer) = self.peers.remove(&id) else { return };
        while let Some((record, origin)) = peer.pop_record() {
            self.forget(&record.hash());
            self.settle(id, origin, None);
        }
    }

    fn ask(&mut self, peer: PeerId, question: &Question, purpose: Purpose) {
        let ticket = self.ticket();
        self.tickets.insert(ticket, purpose);
        self.actions.push_back(Action::Ask { peer, ticket, bytes: question.encode() });
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        self.next_ticket
    }

    fn random(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.rng.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// The next peer after `last`, in a circle, that is fit.
fn next_in_turn(
    peers: &mut BTreeMap<PeerId, Peer>,
    last: Option<PeerId>,
    mut fit: impl FnMut(&mut (&PeerId, &mut Peer)) -> bool,
) -> Option<PeerId> {
    let mut first = None;
    for mut entry in peers.iter_mut() {
        let after = last.is_none_or(|last| *entry.0 > last);
        if (after || first.is_none()) && fit(&mut entry) {
            if after {
                return Some(*entry.0);
            }
            first = Some(*entry.0);
        }
    }
    first
}

#[cfg(test)]
mod tests;
