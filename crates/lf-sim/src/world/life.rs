//! Nodes' lives: starting, storing, crashing with loss of what was not synced, starting again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lf_node::core::pulse::{AcceptedPulse, check_all};
use lf_node::core::sync::{Event, Outcome, PeerId, Ticket};
use lf_proto::pulse::Pulse;
use lf_proto::record::Record;
use lf_store::storage::{Fault, FaultEffect, SimStorage};
use lf_store::{Applied, Put, PutOutcome, REPUTATION_GOOD, StoreError, Stored};

use super::{Happening, World};
use crate::node::{self, SimNode};
use crate::random::Random;
use crate::scenario::{Behaviour, Scenario};
use crate::verdicts::{outcome_of, rules};

/// What checking and storing take: for a batch, and for each record of it, in microseconds. One commit of a good disk
/// and the checks of one core.
const BATCH_US: u64 = 3_000;
const RECORD_US: u64 = 150;
/// Contested names that are settled at a time: few, so that some are left for the next time.
const SETTLE_NAMES: usize = 2;
/// Hash steps that the pulses of one message may cost.
const PULSE_STEPS_MAX: u64 = 1 << 20;
/// Records under check at a node, at most.
const CHECKING_RECORDS_MAX: usize = 100_000;
/// File operations after which the power fails in the middle of a write, at most.
const OPERATIONS_BEFORE_CUT_MAX: u64 = 12;

pub(super) fn new_node(behaviour: Option<Behaviour>, scenario: &Scenario, random: &mut Random) -> SimNode {
    let skew = random.between((0, 2 * scenario.skew_secs)) as i64 - scenario.skew_secs as i64;
    SimNode {
        peer: PeerId(random.bytes()),
        behaviour,
        storage: SimStorage::new(random.number()),
        decoy: None,
        live: None,
        life: 0,
        armed: false,
        skew_secs: skew,
        acknowledged: BTreeSet::new(),
        acknowledged_pulses: BTreeMap::new(),
        banned: BTreeMap::new(),
        connections: BTreeMap::new(),
        uplink_free_us: 0,
        captured: Vec::new(),
        captured_questions: Vec::new(),
        made: 0,
    }
}

impl World {
    /// Starts a node on its disk, and looks whether everything acknowledged is there.
    pub(super) fn start(&mut self, node: usize) {
        if self.nodes[node].live.is_some() {
            return;
        }
        let storage = self.nodes[node].storage.clone();
        let live = match node::start(storage, self.now_us, &mut self.random) {
            Ok(live) => live,
            Err(e) => return self.fail(format!("node {node} does not start: {e}")),
        };
        let this = &mut self.nodes[node];
        this.life += 1;
        let life = this.life;
        let view = live.reader.view();
        let lost = this.acknowledged.iter().find(|hash| !matches!(view.standing(hash), Ok(Some(_))));
        let mut lost =
            lost.map(|hash| format!("node {node} has lost record {hash}, which it had acknowledged"));
        for (token, minutes) in &this.acknowledged_pulses {
            let stored = view.pulse(*token).ok().flatten().map_or(0, |pulse| pulse.minutes());
            if stored < *minutes {
                lost.get_or_insert(format!("node {node} has lost a pulse, which it had acknowledged"));
            }
        }
        drop(view);
        if this.behaviour == Some(Behaviour::Equivocate) && this.decoy.is_none() {
            this.decoy = node::open_store(SimStorage::new(0), &mut self.random).ok();
        }
        this.live = Some(live);
        if let Some(lost) = lost {
            self.fail(lost);
        }
        self.note("start", &[node as u64, life]);
        let tick = self.random.below(super::TICK_US);
        self.plan_in(tick, Happening::Tick { node, life });
        let beat = self.random.below(super::HEARTBEAT_US);
        self.plan_in(beat, Happening::Heartbeat { node, life });
    }

    /// A node crashes now, or its power fails in the middle of its next write.
    pub(super) fn crash(&mut self, node: usize, armed: bool) {
        if self.nodes[node].live.is_none() {
            return;
        }
        if armed {
            let after = self.random.below(OPERATIONS_BEFORE_CUT_MAX);
            let fault = Fault { operation: None, after, times: 1, effect: FaultEffect::PowerCut };
            self.nodes[node].storage.inject(fault);
            self.nodes[node].armed = true;
            // If nothing is written, it crashes all the same.
            self.plan_in(10_000_000, Happening::Crash { node, armed: false });
        } else {
            self.die(node);
        }
    }

    /// The end of a life. What was not synced may be gone; peers notice sooner or later.
    pub(super) fn die(&mut self, node: usize) {
        self.note("crash", &[node as u64]);
        let seed = self.random.number();
        let this = &mut self.nodes[node];
        this.live = None;
        this.armed = false;
        this.life += 1;
        this.storage = this.storage.crash(seed);
        let connections = std::mem::take(&mut this.connections);
        for (peer, connection) in connections {
            let after = if self.random.below(2) == 0 { 200_000 } else { self.random.below(15_000_000) };
            self.plan_in(after, Happening::Close { node: peer, peer: node, connection: connection.id });
        }
        let down_us = self.random.below(15_000_000);
        self.plan_in(down_us, Happening::Start { node });
    }

    /// Gives contested names to who should hold them.
    pub(super) fn settle_names(&mut self, node: usize) {
        let SimNode { live: Some(live), storage, .. } = &mut self.nodes[node] else { return };
        let settled = live.store.settle_names(SETTLE_NAMES);
        if storage.is_dead() {
            return self.die(node);
        }
        match settled {
            Ok(names) => {
                let records = (live.linked, live.digest);
                for name in names {
                    self.figures.names_settled += u64::from(self.nodes[node].is_honest());
                    // Who gets a name is decided by the records alone.
                    let owner = *self.settled.entry((records, name.id)).or_insert(name.owner);
                    if owner != name.owner {
                        self.fail(format!(
                            "node {node} gave a name to another owner than a node with the same records"
                        ));
                    }
                }
            }
            Err(e) => self.fail(format!("node {node} cannot settle names: {e}")),
        }
    }

    /// Stores a batch durably; `None` if the node died of it.
    fn apply(
        &mut self,
        node: usize,
        puts: &[Put],
        pulses: &[(u64, Pulse)],
    ) -> Option<Result<Applied, StoreError>> {
        let SimNode { live: Some(live), storage, .. } = &mut self.nodes[node] else { return None };
        let applied = live.store.apply(puts, pulses).and_then(|applied| {
            live.store.checkpoint_if_due()?;
            Ok(applied)
        });
        if storage.is_dead() {
            self.die(node);
            return None;
        }
        if let Err(e) = &applied {
            if !matches!(e, StoreError::PendingFull { .. }) {
                self.fail(format!("node {node} cannot store: {e}"));
            }
            return Some(applied);
        }
        let view = live.reader.view();
        let new = node::follow(live, &view);
        drop(view);
        match new {
            Ok(new) => {
                for hash in new {
                    let (born, honest) = (self.born.get(&hash), self.nodes[node].behaviour.is_none());
                    if let Some((at_us, by)) = born
                        && honest
                        && *by != node
                    {
                        self.figures.delays_ms.push(((self.now_us - at_us) / 1_000) as u32);
                    }
                }
            }
            Err(e) => self.fail(format!("node {node} cannot read: {e}")),
        }
        Some(applied)
    }

    /// Records are to be checked, which takes its time.
    pub(super) fn check_records(&mut self, node: usize, ticket: Ticket, records: Vec<Record>) {
        let SimNode { live: Some(live), life, .. } = &mut self.nodes[node] else { return };
        let life = *life;
        if live.checking.insert(ticket, records.len()).is_some() {
            return self.fail(format!("node {node} gives ticket {ticket} twice"));
        }
        let under_check: usize = live.checking.values().sum();
        if self.nodes[node].is_honest() {
            self.figures.checking_max = self.figures.checking_max.max(under_check);
            if under_check > CHECKING_RECORDS_MAX {
                self.fail(format!("node {node} has {under_check} records under check"));
            }
        }
        self.note("check", &[node as u64, ticket, records.len() as u64]);
        let takes_us = BATCH_US + RECORD_US * records.len() as u64;
        self.plan_in(takes_us, Happening::Checked { node, life, ticket, records });
    }

    /// Records were checked: stores those that are good and tells replication.
    pub(super) fn store_records(&mut self, node: usize, ticket: Ticket, records: &[Record]) {
        let now = self.nodes[node].now(self.now_us).unix_secs;
        let SimNode { live: Some(live), .. } = &mut self.nodes[node] else { return };
        live.checking.remove(&ticket);
        let parameters = live.reader.parameters();
        let owner = live.reader.genesis_owner();
        let rules = rules(&parameters, &owner);
        let view = live.reader.view();
        let mut puts: Vec<Put> = Vec::new();
        let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(records.len());
        for record in records {
            outcomes.push(match view.standing(&record.hash()) {
                Ok(Some(_)) => Some(Outcome::Duplicate),
                Ok(None) => match self.verdicts.check(record, &rules, now) {
                    Ok(put) => {
                        puts.push(put);
                        None
                    }
                    Err(refusal) => Some(outcome_of(&refusal)),
                },
                Err(_) => Some(Outcome::Failed),
            });
        }
        drop(view);
        let mut stored = Vec::with_capacity(puts.len());
        match self.apply(node, &puts, &[]) {
            None => return,
            Some(Ok(applied)) => stored = applied.records.into_iter().map(Some).collect(),
            // Some would have to wait, and no more can: what need not is stored.
            Some(Err(StoreError::PendingFull { .. })) => {
                for put in &puts {
                    match self.apply(node, std::slice::from_ref(put), &[]) {
                        None => return,
                        Some(applied) => stored.push(applied.ok().and_then(|a| a.records.first().copied())),
                    }
                }
            }
            Some(Err(_)) => stored.resize(puts.len(), None),
        }
        let SimNode { live: Some(live), acknowledged, .. } = &mut self.nodes[node] else { return };
        let view = live.reader.view();
        let mut stored = puts.iter().zip(stored);
        let outcomes: Vec<Outcome> = outcomes
            .into_iter()
            .map(|outcome| {
                outcome.unwrap_or_else(|| match stored.next() {
                    Some((put, Some(PutOutcome::Stored(standing)))) => {
                        acknowledged.insert(put.record.hash());
                        match standing {
                            Stored::Pending => Outcome::Pending,
                            Stored::Linked(index) => {
                                let good = view.row(index).ok().flatten().is_some_and(|row| {
                                    view.reputation(&row).is_ok_and(|r| r == REPUTATION_GOOD)
                                });
                                Outcome::Linked { good }
                            }
                        }
                    }
                    Some((_, Some(PutOutcome::Duplicate))) => Outcome::Duplicate,
                    _ => Outcome::Failed,
                })
            })
            .collect();
        drop(view);
        let known = |o: &&Outcome| matches!(o, Outcome::Linked { .. });
        let linked = outcomes.iter().filter(known).count() as u64;
        self.note("checked", &[node as u64, ticket, outcomes.len() as u64, linked]);
        self.tell(node, Event::Checked { ticket, outcomes });
    }

    /// A record of a user of this node, checked and stored like any. Returns whether it was acknowledged.
    pub(super) fn store_own(&mut self, node: usize, record: Record) -> bool {
        let now = self.nodes[node].now(self.now_us).unix_secs;
        let Some(live) = &self.nodes[node].live else { return false };
        let parameters = live.reader.parameters();
        let owner = live.reader.genesis_owner();
        let hash = record.hash();
        let put = match self.verdicts.check(&record, &rules(&parameters, &owner), now) {
            Ok(put) => put,
            Err(refusal) => {
                self.fail(format!("node {node} refuses what its own user writes: {refusal}"));
                return false;
            }
        };
        match self.apply(node, &[put], &[]) {
            Some(Ok(_)) => {
                self.nodes[node].acknowledged.insert(hash);
                self.tell(node, Event::Tick);
                true
            }
            _ => false,
        }
    }

    /// Pulses are to be checked.
    pub(super) fn check_pulses(&mut self, node: usize, ticket: Ticket, peer: PeerId, pulses: Vec<Pulse>) {
        let Some(peer) = self.by_peer.get(&peer).copied() else {
            return self.fail(format!("node {node} names a peer that does not exist"));
        };
        let life = self.nodes[node].life;
        self.plan_in(BATCH_US, Happening::PulsesChecked { node, life, ticket, peer, pulses });
    }

    /// Checks and stores pulses at a peer's expense; one answer each. `None` if the node died of it.
    fn accept_pulses(&mut self, node: usize, peer: usize, pulses: &[Pulse]) -> Option<Vec<bool>> {
        let now = self.nodes[node].now(self.now_us).unix_secs;
        let instant = self.instant + Duration::from_micros(self.now_us);
        let live = self.nodes[node].live.as_mut()?;
        let parameters = live.reader.parameters();
        let owner = live.reader.genesis_owner();
        let view = live.reader.view();
        let mut steps = live.allowances.take(peer, PULSE_STEPS_MAX, instant);
        let rules = rules(&parameters, &owner);
        let accepted = check_all(pulses, &mut live.known_pulses, &view, &rules, now, &mut steps);
        live.allowances.give_back(&peer, steps);
        drop(view);
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(e) => {
                self.fail(format!("node {node} cannot check pulses: {e}"));
                return None;
            }
        };
        let news: Vec<AcceptedPulse> = accepted.iter().flatten().copied().collect();
        let storing: Vec<(u64, Pulse)> = news.iter().map(|a| (a.token, a.pulse)).collect();
        let stored = self.apply(node, &[], &storing)?.ok()?.pulses;
        let this = &mut self.nodes[node];
        let live = this.live.as_mut()?;
        let mut was_news = Vec::with_capacity(pulses.len());
        let mut stored = news.iter().zip(stored);
        for accepted in &accepted {
            let new = accepted.is_some() && stored.next().is_some_and(|(_, stored)| stored);
            if let (Some(accepted), true) = (accepted, new) {
                live.known_pulses.note(&[*accepted]);
                this.acknowledged_pulses.insert(accepted.token, accepted.pulse.minutes());
            }
            was_news.push(new);
        }
        let honest = this.is_honest();
        if honest && peer != node {
            self.figures.pulses.1 += was_news.iter().filter(|new| **new).count() as u64;
        }
        Some(was_news)
    }

    /// Pulses were checked: stores the news and tells replication.
    pub(super) fn store_pulses(&mut self, node: usize, ticket: Ticket, peer: usize, pulses: &[Pulse]) {
        let Some(news) = self.accept_pulses(node, peer, pulses) else { return };
        self.note("pulses", &[node as u64, ticket, news.iter().filter(|new| **new).count() as u64]);
        self.tell(node, Event::PulsesChecked { ticket, news });
    }

    /// A pulse of a user of this node.
    pub(super) fn store_own_pulse(&mut self, node: usize, pulse: Pulse) {
        if let Some(news) = self.accept_pulses(node, node, &[pulse])
            && news == [true]
        {
            self.figures.pulses.0 += 1;
            self.note("own pulse", &[node as u64, u64::from(pulse.minutes())]);
            self.tell(node, Event::NewPulse { pulse });
        }
    }
}
