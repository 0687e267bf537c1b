//! Replication between nodes as a pure state machine: events go in, actions come out.
//!
//! Every node ends up with the same linked records. New ones are announced to everybody (gossip, a hint), and what was
//! missed is found by comparing ranges of (timestamp, hash) with peers (reconciliation, a guarantee). A node that is new
//! compares, too: what it finds missing is everything. All that arrives ends in the same checks as any record.
//!
//! There is no I/O here, no clock, no thread and no libp2p: whoever drives a [`Sync`] tells it the time, the view of the
//! store and 32 random bytes to begin with, and carries out its actions. The peer-to-peer shell does so over real
//! connections, the simulator for a thousand nodes in one process. docs/SYNC.md describes the protocol.

pub mod ranges;
pub mod wire;

use std::fmt;

use lf_proto::hash::Hash;
use lf_proto::pulse::Pulse;
use lf_proto::record::Record;
use lf_store::View;

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
        /// Whether we dialled it.
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
    /// Good conduct adds, bad conduct takes away; at [`SCORE_BANNED`] it is banned.
    pub score: i32,
}

/// At this score a peer is disconnected and banned.
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
    /// Peers connected.
    pub peers: usize,
    /// Records announced to us that were new.
    pub gossip_new: u64,
    /// Bytes received from peers, all kinds.
    pub received_bytes: u64,
    /// Bytes sent to peers, all kinds but forwarded gossip.
    pub sent_bytes: u64,
}

/// Replication of one node.
#[derive(Debug)]
pub struct Sync {
    actions: std::collections::VecDeque<Action>,
}

impl Sync {
    /// Replication that has no peers yet. `seed`: 32 random bytes, which salts and choices come from.
    pub fn new(_seed: [u8; 32]) -> Self {
        Sync { actions: std::collections::VecDeque::new() }
    }

    /// Takes notice of an event. `view` is as new as the event at least. The work done is bounded; what is left is done
    /// at the next ticks.
    pub fn handle(&mut self, _event: Event, _view: &View, _now: Now) {}

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// How replication stands.
    pub fn status(&self) -> SyncStatus {
        SyncStatus::default()
    }

    /// What is known of a connected peer.
    pub fn peer(&self, _peer: &PeerId) -> Option<PeerStatus> {
        None
    }
}
