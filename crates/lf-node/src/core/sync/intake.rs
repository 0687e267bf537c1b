//! What comes from peers, on its way to the checks: queues for each peer that take turns, and what the checks said.

use std::collections::{HashMap, HashSet};

use lf_proto::hash::Hash;
use lf_proto::owner::OwnerPublic;
use lf_store::{IndexError, View};

use super::peer::{Allowance, Origin};
use super::ranges::Bound;
use super::wire::Gossip;
use super::{Action, LIMBO_MAX, MessageId, Outcome, PeerId, Sync, Ticket, Verdict, next_in_turn};

/// Records that are being checked, at most: enough to keep all cores busy while the writer is.
const CHECKING_MAX: usize = 8_192;
/// And their bytes, but for the last ones.
pub(super) const CHECKING_BYTES_MAX: usize = 16 << 20;
/// Records checked together.
const BATCH_RECORDS: usize = 256;
/// A batch is closed at this many bytes.
const BATCH_BYTES: usize = 1 << 20;
/// Bytes of announced records of a peer that wait to be checked; more are left to comparisons.
const GOSSIP_BYTES: usize = 4 << 20;
/// Announced records of one owner at once, and a minute; more are left to comparisons.
const OWNER_RECORDS: (u64, u64) = (300, 5);
/// Owners that are remembered.
const OWNERS_MAX: usize = 4_096;
/// Checks of a peer's pulses under way, at most.
const PULSE_CHECKS_MAX: usize = 4;

/// A check under way.
#[derive(Debug)]
struct Check {
    peer: PeerId,
    records: Vec<(Bound, Origin)>,
    bytes: usize,
}

/// Pulses that are being checked.
#[derive(Debug)]
struct PulseCheck {
    peer: PeerId,
    message: MessageId,
    pulses: Vec<lf_proto::pulse::Pulse>,
}

/// What is being checked.
#[derive(Debug, Default)]
pub(super) struct Intake {
    checks: HashMap<Ticket, Check>,
    pulse_checks: HashMap<Ticket, PulseCheck>,
    /// Records queued or being checked.
    under_way: HashSet<Hash>,
    /// Records being checked.
    checking: usize,
    /// Their bytes.
    checking_bytes: usize,
    /// The peer whose turn was last.
    last: Option<PeerId>,
    owners: HashMap<OwnerPublic, Allowance>,
}

impl Intake {
    /// Whether an owner may have another record announced.
    fn owner_may(&mut self, owner: &OwnerPublic, now_ms: u64) -> bool {
        if self.owners.len() >= OWNERS_MAX && !self.owners.contains_key(owner) {
            self.owners.retain(|_, allowance| !allowance.is_full(now_ms));
            if self.owners.len() >= OWNERS_MAX {
                return false;
            }
        }
        let (max, per_sec) = OWNER_RECORDS;
        self.owners.entry(*owner).or_insert_with(|| Allowance::new(max, per_sec, now_ms)).take(1, now_ms)
    }
}

impl Sync {
    /// A gossip message arrived.
    pub(super) fn heard(
        &mut self,
        id: PeerId,
        message: MessageId,
        bytes: &[u8],
        view: &View,
    ) -> Result<(), IndexError> {
        let now_ms = self.now.ticks_ms;
        let judge = |verdict| Action::Judge { message, peer: id, verdict };
        let gossip = Gossip::decode(bytes);
        let waits = matches!(&gossip, Ok(Gossip::Record(r)) if self.is_in_limbo(r.timestamp(), &r.hash()));
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| !peer.banned) else {
            self.actions.push_back(judge(Verdict::Drop));
            return Ok(());
        };
        match gossip {
            Err(_) => {
                peer.blame(25, "it announced what is no record and no pulse");
                self.actions.push_back(judge(Verdict::Reject));
            }
            Ok(Gossip::Record(record)) => {
                let hash = record.hash();
                let known = self.intake.under_way.contains(&hash) || waits || view.standing(&hash)?.is_some();
                let room = peer.records_bytes < GOSSIP_BYTES;
                let may = !known
                    && room
                    && peer.announcing.take(1, now_ms)
                    && self.intake.owner_may(record.owner(), now_ms);
                if may {
                    self.intake.under_way.insert(hash);
                    peer.push_record(*record, Origin::Gossip(message));
                } else {
                    if !known {
                        // What is not taken now is found by comparing.
                        peer.next_session_ms =
                            peer.next_session_ms.min(now_ms.max(peer.session_ended_ms + 2_000));
                    }
                    self.actions.push_back(judge(Verdict::Drop));
                }
            }
            Ok(Gossip::Pulses(pulses)) => {
                if peer.pulse_checks >= PULSE_CHECKS_MAX {
                    self.actions.push_back(judge(Verdict::Drop));
                    return Ok(());
                }
                peer.pulse_checks += 1;
                let ticket = self.ticket();
                let check = PulseCheck { peer: id, message, pulses: pulses.clone() };
                self.intake.pulse_checks.insert(ticket, check);
                self.actions.push_back(Action::CheckPulses { ticket, peer: id, pulses });
            }
        }
        Ok(())
    }

    /// Has records checked, peers in turn.
    pub(super) fn check(&mut self) {
        while self.intake.checking < CHECKING_MAX && self.intake.checking_bytes < CHECKING_BYTES_MAX {
            let Some(id) =
                next_in_turn(&mut self.peers, self.intake.last, |(_, peer)| !peer.records.is_empty())
            else {
                return;
            };
            self.intake.last = Some(id);
            let Some(peer) = self.peers.get_mut(&id) else { return };
            let (mut records, mut known, mut bytes) = (Vec::new(), Vec::new(), 0);
            while records.len() < BATCH_RECORDS
                && bytes < BATCH_BYTES
                && let Some((record, origin)) = peer.pop_record()
            {
                self.announcements.came(record.hash());
                known.push((Bound::of(record.timestamp(), &record.hash()), origin));
                bytes += record.as_bytes().len();
                records.push(record);
            }
            self.intake.checking += records.len();
            self.intake.checking_bytes += bytes;
            let ticket = self.ticket();
            self.intake.checks.insert(ticket, Check { peer: id, records: known, bytes });
            self.actions.push_back(Action::Check { ticket, peer: id, records });
        }
    }

    /// Records were checked.
    pub(super) fn checked(&mut self, ticket: Ticket, outcomes: &[Outcome]) {
        let Some(check) = self.intake.checks.remove(&ticket) else { return };
        self.intake.checking = self.intake.checking.saturating_sub(check.records.len());
        self.intake.checking_bytes = self.intake.checking_bytes.saturating_sub(check.bytes);
        for (at, (place, origin)) in check.records.into_iter().enumerate() {
            let hash = Hash(place.hash);
            self.intake.under_way.remove(&hash);
            let outcome = outcomes.get(at).copied().unwrap_or(Outcome::Failed);
            if let Some(peer) = self.peers.get_mut(&check.peer) {
                match outcome {
                    Outcome::Linked { .. } => peer.reward(1),
                    Outcome::Invalid => peer.blame(25, "it sent a record that breaks the rules"),
                    _ => {}
                }
            }
            if outcome == Outcome::Limbo && self.limbo.len() < LIMBO_MAX {
                self.limbo.insert(place);
            }
            if matches!(outcome, Outcome::Pending | Outcome::Limbo) {
                if outcome == Outcome::Pending {
                    self.wanting.pending(check.peer);
                }
                if matches!(origin, Origin::Gossip(_)) {
                    self.announcements.announce_later(&hash);
                }
            }
            self.settle(check.peer, origin, Some(outcome));
        }
    }

    /// A record's way ends here: what it was for is told. None if it was not checked.
    pub(super) fn settle(&mut self, from: PeerId, origin: Origin, outcome: Option<Outcome>) {
        match origin {
            Origin::Gossip(message) => {
                let verdict = match outcome {
                    Some(Outcome::Linked { good: true }) => {
                        self.gossip_new += 1;
                        Verdict::Forward
                    }
                    Some(Outcome::Invalid) => Verdict::Reject,
                    _ => Verdict::Drop,
                };
                self.actions.push_back(Action::Judge { message, peer: from, verdict });
            }
            Origin::Session(id, salt) => {
                let session = self.peers.get_mut(&id).and_then(|peer| peer.session.as_mut());
                if let Some(session) = session.filter(|session| session.salt == salt) {
                    session.checking = session.checking.saturating_sub(1);
                    match outcome {
                        Some(Outcome::Linked { .. } | Outcome::Pending) => session.new += 1,
                        Some(Outcome::Refused | Outcome::Limbo) => session.refused += 1,
                        None | Some(Outcome::Failed) => session.failed = true,
                        _ => {}
                    }
                }
            }
            Origin::Wanted => {}
        }
    }

    /// Marks a record as being on its way; false if it is already.
    pub(super) fn is_new_on_the_way(&mut self, hash: Hash) -> bool {
        self.intake.under_way.insert(hash)
    }

    /// Whether a record is queued or being checked.
    pub(super) fn intake_has(&self, hash: &Hash) -> bool {
        self.intake.under_way.contains(hash)
    }

    /// A record that was queued will not be checked.
    pub(super) fn forget(&mut self, hash: &Hash) {
        self.intake.under_way.remove(hash);
    }

    /// Pulses were checked.
    pub(super) fn pulses_checked(&mut self, ticket: Ticket, news: &[bool]) {
        let Some(check) = self.intake.pulse_checks.remove(&ticket) else { return };
        if let Some(peer) = self.peers.get_mut(&check.peer) {
            peer.pulse_checks = peer.pulse_checks.saturating_sub(1);
        }
        let new = news.iter().filter(|news| **news).count();
        // Only what is news whole is forwarded as it is; else whoever adds junk to a good pulse has it forwarded, too.
        let verdict = if new == check.pulses.len() { Verdict::Forward } else { Verdict::Drop };
        if verdict == Verdict::Drop {
            let news = check.pulses.iter().zip(news).filter(|(_, news)| **news);
            news.for_each(|(pulse, _)| self.announcements.pulse(*pulse, self.now.ticks_ms));
        }
        self.actions.push_back(Action::Judge { message: check.message, peer: check.peer, verdict });
    }
}
