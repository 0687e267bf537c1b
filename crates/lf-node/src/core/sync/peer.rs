//! What is remembered of a connected peer: its conduct, its allowances, what it asked and what it sent.

use std::collections::VecDeque;

use lf_proto::record::Record;

use super::ranges::Salt;
use super::session::Session;
use super::{Asked, MessageId, PeerId, SCORE_BANNED};

/// The most that good conduct is worth.
const MERIT_MAX: i32 = 50;
/// Not answering alone takes the score no lower: a slow peer is not a bad one.
const SCORE_SILENT: i32 = -50;
/// Bad conduct is forgotten by one point in this time.
const FORGIVE_MS: u64 = 60_000;

/// Something that grows with time up to a limit, and is spent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    left: u64,
    max: u64,
    per_sec: u64,
    at_ms: u64,
}

impl Allowance {
    pub(super) fn new(max: u64, per_sec: u64, now_ms: u64) -> Self {
        Allowance { left: max, max, per_sec, at_ms: now_ms }
    }

    fn grow(&mut self, now_ms: u64) {
        let grown = now_ms.saturating_sub(self.at_ms).saturating_mul(self.per_sec) / 1_000;
        if grown > 0 {
            self.left = self.left.saturating_add(grown).min(self.max);
            self.at_ms = now_ms;
        }
    }

    /// Takes `amount` if there is so much.
    pub(super) fn take(&mut self, amount: u64, now_ms: u64) -> bool {
        self.grow(now_ms);
        let enough = self.left >= amount;
        if enough {
            self.left -= amount;
        }
        enough
    }

    /// Takes `amount`, or what there is.
    pub(super) fn charge(&mut self, amount: u64, now_ms: u64) {
        self.grow(now_ms);
        self.left = self.left.saturating_sub(amount);
    }

    /// Whether anything is left.
    pub(super) fn is_open(&mut self, now_ms: u64) -> bool {
        self.grow(now_ms);
        self.left > 0
    }

    /// Whether it is as large as it can be.
    pub(super) fn is_full(&mut self, now_ms: u64) -> bool {
        self.grow(now_ms);
        self.left == self.max
    }
}

/// How a record came here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Announced; a verdict is due.
    Gossip(MessageId),
    /// Fetched for the comparison with a peer that has this salt.
    Session(PeerId, Salt),
    /// Asked for, as others link to it.
    Wanted,
}

/// A connected peer.
#[derive(Debug)]
pub(super) struct Peer {
    /// Bad conduct: 0 or below.
    pub(super) score: i32,
    /// Good conduct. It is shown, and makes up for nothing: who passes on a hundred good records may not slip in a bad one.
    pub(super) merit: i32,
    forgiven_ms: u64,
    /// What it did last that took away from its score.
    pub(super) offence: &'static str,
    /// We connected to it: we chose it, more or less, and nobody else did.
    pub(super) outbound: bool,
    /// It is banned: nothing of it counts any more.
    pub(super) banned: bool,
    /// Linked records it said it has.
    pub(super) total: u64,
    /// When nothing was missing here after comparing with it.
    pub(super) synced_ms: Option<u64>,
    pub(super) session: Option<Session>,
    pub(super) next_session_ms: u64,
    pub(super) session_ended_ms: u64,
    /// It said that it is busy: it is not asked before.
    pub(super) busy_until_ms: u64,
    /// Comparisons in a row that said that something is missing, and then nothing came.
    pub(super) fruitless: u32,
    /// It lacks records that we have: it is to be told.
    pub(super) lacks: bool,
    pub(super) hinted_ms: Option<u64>,
    /// What it asked, to be answered.
    pub(super) questions: VecDeque<(Asked, Vec<u8>)>,
    pub(super) serving: Allowance,
    pub(super) announcing: Allowance,
    /// Checks of its pulses under way.
    pub(super) pulse_checks: usize,
    /// Records to be checked.
    pub(super) records: VecDeque<(Record, Origin)>,
    pub(super) records_bytes: usize,
}

/// Cost units of answers a second, and at once: about a microsecond each.
const SERVING: (u64, u64) = (600_000, 300_000);
/// Announced records at once, and a second.
const ANNOUNCING: (u64, u64) = (2_000, 300);

impl Peer {
    pub(super) fn new(outbound: bool, now_ms: u64) -> Self {
        Peer {
            score: 0,
            merit: 0,
            forgiven_ms: now_ms,
            offence: "",
            outbound,
            banned: false,
            total: 0,
            synced_ms: None,
            session: None,
            next_session_ms: now_ms,
            session_ended_ms: 0,
            busy_until_ms: 0,
            fruitless: 0,
            lacks: false,
            hinted_ms: None,
            questions: VecDeque::new(),
            serving: Allowance::new(SERVING.0, SERVING.1, now_ms),
            announcing: Allowance::new(ANNOUNCING.0, ANNOUNCING.1, now_ms),
            pulse_checks: 0,
            records: VecDeque::new(),
            records_bytes: 0,
        }
    }

    pub(super) fn reward(&mut self, points: i32) {
        self.merit = (self.merit + points).min(MERIT_MAX);
    }

    pub(super) fn blame(&mut self, points: i32, offence: &'static str) {
        self.score = self.score.saturating_sub(points).max(2 * SCORE_BANNED);
        self.offence = offence;
    }

    /// It did not answer.
    pub(super) fn was_silent(&mut self) {
        if self.score > SCORE_SILENT {
            self.score -= 5;
        }
    }

    pub(super) fn forgive(&mut self, now_ms: u64) {
        if now_ms.saturating_sub(self.forgiven_ms) >= FORGIVE_MS {
            self.forgiven_ms = now_ms;
            if self.score < 0 {
                self.score += 1;
            }
        }
    }

    pub(super) fn push_record(&mut self, record: Record, origin: Origin) {
        self.records_bytes += record.as_bytes().len();
        self.records.push_back((record, origin));
    }

    pub(super) fn pop_record(&mut self) -> Option<(Record, Origin)> {
        let popped = self.records.pop_front()?;
        self.records_bytes = self.records_bytes.saturating_sub(popped.0.as_bytes().len());
        Some(popped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_grows_to_its_limit() {
        let mut allowance = Allowance::new(10, 1_000, 5);
        assert!(allowance.take(10, 5) && !allowance.take(1, 5));
        assert!(allowance.take(3, 8) && !allowance.is_open(8));
        assert!(allowance.is_full(1_000));
        allowance.charge(100, 1_000);
        assert!(!allowance.is_open(1_000) && allowance.is_open(1_001));
        assert!(!allowance.take(2, 0), "a clock that goes back gives nothing");
    }

    #[test]
    fn silence_alone_does_not_ban_and_time_forgives() {
        let mut peer = Peer::new(true, 0);
        (0..100).for_each(|_| peer.was_silent());
        assert!(peer.score > SCORE_BANNED);
        peer.blame(1_000, "test");
        assert!(peer.score <= SCORE_BANNED);
        peer.score = -2;
        peer.forgive(59_999);
        assert_eq!(peer.score, -2);
        peer.forgive(60_000);
        peer.forgive(60_001);
        assert_eq!(peer.score, -1);
        peer.reward(1_000);
        assert_eq!((peer.score, peer.merit), (-1, MERIT_MAX));
    }
}
