//! What the peer-to-peer shell asks of a node: records of peers checked and stored without waiting, and news of pulses.

use std::sync::{Arc, Mutex, PoisonError};

use lf_proto::hash::Hash;
use lf_proto::pulse::Pulse;
use lf_proto::record::Record;
use lf_store::{PutOutcome, Stored, View};
use tracing::{info, warn};

use super::{Node, Tally, now};
use crate::core::accept::{Refusal, check_limits};
use crate::core::limbo::Source;
use crate::core::sync::{Outcome, PeerId, may_be_announced};
use crate::verifier::{BATCH_RECORDS, Verdicts};

impl Node {
    /// Has records of a peer checked and the good ones stored. Does not wait: `done` is called with one outcome for each
    /// record, in order, here or on another thread, where it must be quick. What is not checked because too many wait,
    /// or the node stops, has failed.
    pub fn check_from_peer(
        &self,
        peer: PeerId,
        records: Vec<Record>,
        done: impl FnOnce(Vec<Outcome>) + Send + 'static,
    ) {
        let view = self.inner.reader.view();
        let parameters = self.inner.reader.parameters();
        let (rules, now) = (self.rules(&parameters), now());
        let mut outcomes = vec![Outcome::Failed; records.len()];
        let mut new = Vec::new();
        for (place, (record, outcome)) in records.into_iter().zip(&mut outcomes).enumerate() {
            match view.standing(&record.hash()) {
                Ok(Some(_)) => {
                    Tally::add(&self.inner.tally.records_duplicate);
                    *outcome = Outcome::Duplicate;
                }
                Ok(None) if self.is_in_limbo(&record.hash()) => *outcome = Outcome::Limbo,
                Ok(None) => match check_limits(&record, &rules, now) {
                    Ok(()) => new.push((place, record)),
                    Err(refusal) => *outcome = self.refuse_peer(&refusal),
                },
                Err(_) => {}
            }
        }
        let job =
            PeerJob { node: self.clone(), peer, outcomes, accepted: Vec::new(), done: Some(Box::new(done)) };
        let job = Arc::new(Mutex::new(job));
        let mut new = new.into_iter().peekable();
        while new.peek().is_some() {
            let (places, records): (Vec<usize>, Vec<Record>) = new.by_ref().take(BATCH_RECORDS).unzip();
            let job = job.clone();
            self.inner.verifier.check_for_peer(records, move |verdicts| {
                job.lock().unwrap_or_else(PoisonError::into_inner).take(&places, verdicts);
            });
        }
    }

    /// Gives contested names to whose records weigh most (NODE.md §3), once, and logs it. Returns at once; some names
    /// may be left for the next time. For when nothing is known to be missing.
    pub(crate) fn settle_names(&self) {
        self.inner.writer.settle_names(|settled| match settled {
            Ok(names) => {
                for name in names {
                    let (id, owner) = (Hash(name.id), name.owner);
                    info!(%id, %owner, "a contested name is settled: from now on it is this owner's");
                }
            }
            Err(error) => warn!(%error, "contested names are not settled; tried again"),
        });
    }

    /// Sets who is told of pulses that clients had accepted here. The first one stays.
    pub(crate) fn on_pulse(&self, tell: impl Fn(Pulse) + Send + Sync + 'static) {
        let _ = self.inner.on_pulse.set(Box::new(tell));
    }

    fn refuse_peer(&self, refusal: &Refusal) -> Outcome {
        self.inner.tally.refused(refusal.name());
        blame(refusal)
    }
}

/// What a peer's record that is refused says about the peer.
fn blame(refusal: &Refusal) -> Outcome {
    match refusal {
        Refusal::Malformed(_)
        | Refusal::Prohibited
        | Refusal::Claim { .. }
        | Refusal::Signature
        | Refusal::Work { .. } => Outcome::Invalid,
        // Clocks differ, and parameters and certificates change.
        Refusal::ValueTooLarge { .. }
        | Refusal::InsufficientLinks { .. }
        | Refusal::Future { .. }
        | Refusal::CertificateRequired
        | Refusal::CertificateRevoked => Outcome::Refused,
        Refusal::Unapproved(_) => Outcome::Limbo,
        Refusal::WorkUndecided { .. } => Outcome::Failed,
    }
}

/// Records of a peer that are being checked in parts. Stored together when the last part is through, so that links come
/// before linkers.
struct PeerJob {
    node: Node,
    peer: PeerId,
    outcomes: Vec<Outcome>,
    /// With their places among the outcomes.
    accepted: Vec<(usize, lf_store::Put)>,
    done: Option<Box<dyn FnOnce(Vec<Outcome>) + Send>>,
}

impl PeerJob {
    fn take(&mut self, places: &[usize], verdicts: Verdicts) {
        for (place, verdict) in places.iter().zip(verdicts) {
            match verdict {
                Ok(verified) => self.accepted.push((*place, verified.into())),
                Err(Refusal::Unapproved(unapproved)) => {
                    self.outcomes[*place] = Outcome::Limbo;
                    self.node.wait_for_approval(*unapproved, Source::Peer(self.peer));
                }
                Err(refusal) => self.outcomes[*place] = self.node.refuse_peer(&refusal),
            }
        }
    }
}

/// The last part is through, or will not come.
impl Drop for PeerJob {
    fn drop(&mut self) {
        let Some(done) = self.done.take() else { return };
        let mut outcomes = std::mem::take(&mut self.outcomes);
        let mut accepted = std::mem::take(&mut self.accepted);
        if accepted.is_empty() {
            return done(outcomes);
        }
        accepted.sort_unstable_by_key(|(place, _)| *place);
        let (places, puts): (Vec<usize>, Vec<lf_store::Put>) = accepted.into_iter().unzip();
        let node = self.node.clone();
        self.node.inner.writer.submit(puts, Vec::new(), move |answer| {
            if let Ok(answer) = node.settle(answer) {
                let view = node.inner.reader.view();
                for (place, stored) in places.into_iter().zip(answer.records) {
                    outcomes[place] = match stored {
                        PutOutcome::Duplicate => Outcome::Duplicate,
                        PutOutcome::Stored(Stored::Pending) => Outcome::Pending,
                        PutOutcome::Stored(Stored::Linked(index)) => {
                            Outcome::Linked { good: is_good(&view, index) }
                        }
                    };
                }
            }
            done(outcomes);
        });
    }
}

/// Whether a linked record may be announced. One that cannot be read is not.
fn is_good(view: &View, index: u32) -> bool {
    view.row(index).ok().flatten().is_some_and(|row| may_be_announced(view, &row).unwrap_or(false))
}
