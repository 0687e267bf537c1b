//! What this node tells everybody: new records and pulses, each once, and hints to compare where that would be too much.

use std::collections::HashSet;

use lf_proto::hash::Hash;
use lf_proto::pulse::Pulse;
use lf_proto::record::Record;
use lf_store::{Certified, IndexError, REPUTATION_GOOD, Row, View};

use super::fetch::Purpose;
use super::peer::Allowance;
use super::wire::{Gossip, PULSES_MAX, Question};
use super::{Action, PeerId, Sync};

/// Hashes in each of two generations of records that came from peers.
const CAME_RECORDS: usize = 1 << 16;
/// Own records announced at once, and a second; of more, peers are told to compare.
const ANNOUNCING: (u64, u64) = (1_000, 200);
/// Pulses are collected for so long.
const PULSES_MS: u64 = 100;
/// A hint is given so often, at most.
const HINT_MS: u64 = 5_000;

/// What is to be told.
#[derive(Debug)]
pub(super) struct Announcements {
    /// Indexes from here on are news: what is below was here at the beginning.
    begin: Option<u32>,
    /// Records that came from peers: who announced them, or has them announced, is not us.
    came: HashSet<Hash>,
    came_before: HashSet<Hash>,
    own: Allowance,
    /// Pulses to be announced, and since when the first waits.
    pulses: Vec<Pulse>,
    pulses_ms: u64,
    /// Records became linked that were not announced: peers are to compare.
    hint_due: bool,
    hinted_ms: u64,
}

impl Default for Announcements {
    fn default() -> Self {
        Announcements {
            begin: None,
            came: HashSet::new(),
            came_before: HashSet::new(),
            own: Allowance::new(ANNOUNCING.0, ANNOUNCING.1, 0),
            pulses: Vec::new(),
            pulses_ms: 0,
            hint_due: false,
            hinted_ms: 0,
        }
    }
}

impl Announcements {
    /// The index from which on records are news.
    pub(super) fn begin(&mut self, linked: u32) -> u32 {
        *self.begin.get_or_insert(linked)
    }

    /// A record came from a peer.
    pub(super) fn came(&mut self, hash: Hash) {
        if self.came.len() >= CAME_RECORDS {
            self.came_before = std::mem::take(&mut self.came);
        }
        self.came.insert(hash);
    }

    /// A record that was announced to us could not be forwarded, as it was not linked yet: when it is, we announce it.
    pub(super) fn announce_later(&mut self, hash: &Hash) {
        self.came.remove(hash);
        self.came_before.remove(hash);
    }

    /// A pulse is news.
    pub(super) fn pulse(&mut self, pulse: Pulse, now_ms: u64) {
        if self.pulses.is_empty() {
            self.pulses_ms = now_ms;
        }
        // More than can be told are lost, as a pulse may be: the next minute's tells as much.
        if self.pulses.len() < 16 * PULSES_MAX {
            self.pulses.push(pulse);
        }
    }
}

/// Whether a linked record is one to tell others of: its reputation is good, and its owner is not one whose certificate
/// was revoked and who has no work to show instead.
///
/// # Errors
/// The index failed.
pub fn may_be_announced(view: &View, row: &Row) -> Result<bool, IndexError> {
    Ok(view.reputation(row)? >= REPUTATION_GOOD
        && (row.work_verified || view.certified(&row.owner, row.timestamp)? != Certified::Revoked))
}

impl Sync {
    /// A record became linked.
    pub(super) fn linked(&mut self, row: &Row, view: &View) -> Result<(), IndexError> {
        let now_ms = self.now.ticks_ms;
        let a = &mut self.announcements;
        if a.came.contains(&row.hash) || a.came_before.contains(&row.hash) {
            return Ok(());
        }
        if self.peers.is_empty() || !may_be_announced(view, row)? {
            return Ok(());
        }
        if !a.own.take(1, now_ms) {
            a.hint_due = true;
            return Ok(());
        }
        if let Some(record) = view.record_bytes(row).and_then(|bytes| Record::decode(&bytes).ok()) {
            self.actions.push_back(Action::Publish { bytes: Gossip::Record(Box::new(record)).encode() });
        }
        Ok(())
    }

    /// Announces the pulses that were collected.
    pub(super) fn publish_pulses(&mut self) {
        let a = &mut self.announcements;
        let waited = self.now.ticks_ms.saturating_sub(a.pulses_ms) >= PULSES_MS;
        if a.pulses.is_empty() || !(waited || a.pulses.len() >= PULSES_MAX) {
            return;
        }
        for pulses in std::mem::take(&mut a.pulses).chunks(PULSES_MAX) {
            self.actions.push_back(Action::Publish { bytes: Gossip::Pulses(pulses.to_vec()).encode() });
        }
    }

    /// Tells peers to compare: all of them if records were not announced, or those that were found to lack some.
    pub(super) fn hint(&mut self) {
        let now_ms = self.now.ticks_ms;
        let all =
            self.announcements.hint_due && now_ms.saturating_sub(self.announcements.hinted_ms) >= HINT_MS / 4;
        if all {
            self.announcements.hint_due = false;
            self.announcements.hinted_ms = now_ms;
        }
        let due: Vec<PeerId> = self
            .peers
            .iter_mut()
            .filter_map(|(id, peer)| {
                let rested = peer.hinted_ms.is_none_or(|at| now_ms.saturating_sub(at) >= HINT_MS);
                let due = !peer.banned && (all || (peer.lacks && rested));
                if due {
                    (peer.lacks, peer.hinted_ms) = (false, Some(now_ms));
                }
                due.then_some(*id)
            })
            .collect();
        for id in due {
            self.ask(id, &Question::Hint, Purpose::Hint(id));
        }
    }
}
