//! A stand-in for replication: gossip, and lists of everything instead of ranges.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lf_node::core::sync::*;
use lf_proto::hash::Hash;
use lf_proto::pulse::Pulse;
use lf_proto::record::Record;
use lf_store::{REPUTATION_GOOD, Stored, View};

use crate::random::Random;

pub(crate) mod wire {
    use super::*;

    pub(crate) fn record(bytes: &[u8]) -> Vec<u8> {
        [&[1], bytes].concat()
    }

    pub(crate) fn is_record(bytes: &[u8]) -> bool {
        bytes.first() == Some(&1)
    }

    pub(crate) fn pulses(pulses: &[Pulse]) -> Vec<u8> {
        let mut bytes = vec![2];
        pulses.iter().for_each(|p| bytes.extend(p.to_bytes()));
        bytes
    }
}

#[derive(Debug)]
enum Job {
    List,
    Fetch,
}

#[derive(Debug)]
pub(crate) struct Sync {
    actions: VecDeque<Action>,
    random: Random,
    peers: BTreeMap<PeerId, i32>,
    linked: u32,
    next: Ticket,
    asks: BTreeMap<Ticket, (PeerId, Job)>,
    checks: BTreeMap<Ticket, (PeerId, Option<MessageId>)>,
    by_gossip: BTreeSet<Hash>,
    pulse_checks: BTreeMap<Ticket, (PeerId, MessageId)>,
    fetched: BTreeSet<Hash>,
    ask_at: u64,
    synchronized: bool,
}

impl Sync {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let seed = seed
            .chunks(8)
            .fold(0u64, |a, c| a.rotate_left(7) ^ c.iter().fold(0, |a, b| a << 8 | u64::from(*b)));
        Sync {
            actions: VecDeque::new(),
            random: Random::new(seed),
            peers: BTreeMap::new(),
            linked: 0,
            next: 0,
            asks: BTreeMap::new(),
            checks: BTreeMap::new(),
            by_gossip: BTreeSet::new(),
            pulse_checks: BTreeMap::new(),
            fetched: BTreeSet::new(),
            ask_at: 0,
            synchronized: false,
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.next += 1;
        self.next
    }

    fn blame(&mut self, peer: PeerId, points: i32) {
        let score = self.peers.entry(peer).or_default();
        *score -= points;
        if *score <= SCORE_BANNED {
            self.actions.push_back(Action::Ban { peer, secs: 3600, reason: "junk" });
        }
    }

    pub(crate) fn handle(&mut self, event: Event, view: &View, now: Now) {
        match event {
            Event::Connected { peer, .. } => {
                self.peers.entry(peer).or_default();
                self.ask_at = self.ask_at.min(now.ticks_ms + 200);
            }
            Event::Disconnected { peer } => {
                self.peers.remove(&peer);
            }
            Event::Question { asked, bytes, .. } => {
                let mut answer = Vec::new();
                if bytes == b"list" {
                    for i in 0..view.linked() {
                        if let Ok(Some(row)) = view.row(i) {
                            answer.extend(row.hash.0);
                        }
                    }
                } else {
                    for hash in bytes.as_chunks::<32>().0 {
                        if let Ok(Some(row)) = view.row_of(&Hash(*hash)) {
                            answer.extend(view.record_bytes(&row).unwrap_or_default());
                        }
                    }
                }
                self.actions.push_back(Action::Reply { asked, bytes: answer });
            }
            Event::Answer { ticket, bytes } => match self.asks.remove(&ticket) {
                Some((peer, Job::List)) => {
                    let (hashes, rest) = bytes.as_chunks::<32>();
                    if !rest.is_empty() {
                        self.blame(peer, 50);
                    }
                    let missing: Vec<u8> = hashes
                        .iter()
                        .filter(|h| !matches!(view.standing(&Hash(**h)), Ok(Some(_))))
                        .take(1000)
                        .flatten()
                        .copied()
                        .collect();
                    if missing.is_empty() {
                        self.synchronized = true;
                    } else {
                        let ticket = self.ticket();
                        self.asks.insert(ticket, (peer, Job::Fetch));
                        self.actions.push_back(Action::Ask { peer, ticket, bytes: missing });
                    }
                }
                Some((peer, Job::Fetch)) => {
                    let mut records = Vec::new();
                    let mut rest = &bytes[..];
                    while !rest.is_empty() {
                        match Record::decode_first(rest) {
                            Ok((record, used)) => {
                                rest = &rest[used..];
                                records.push(record);
                            }
                            Err(_) => {
                                self.blame(peer, 50);
                                break;
                            }
                        }
                    }
                    let ticket = self.ticket();
                    self.fetched.extend(records.iter().map(Record::hash));
                    self.checks.insert(ticket, (peer, None));
                    self.actions.push_back(Action::Check { ticket, peer, records });
                }
                None => {}
            },
            Event::Unanswered { ticket } => {
                self.asks.remove(&ticket);
            }
            Event::Gossip { peer, message, bytes } => match bytes.split_first() {
                Some((1, bytes)) => match Record::decode(bytes) {
                    Ok(record) => {
                        let ticket = self.ticket();
                        self.by_gossip.insert(record.hash());
                        self.checks.insert(ticket, (peer, Some(message)));
                        self.actions.push_back(Action::Check { ticket, peer, records: vec![record] });
                    }
                    Err(_) => {
                        self.actions.push_back(Action::Judge { message, peer, verdict: Verdict::Reject });
                        self.blame(peer, 50);
                    }
                },
                Some((2, bytes)) => {
                    let pulses: Vec<Pulse> =
                        bytes.chunks(Pulse::BYTES).filter_map(|p| Pulse::from_bytes(p).ok()).collect();
                    let ticket = self.ticket();
                    self.pulse_checks.insert(ticket, (peer, message));
                    self.actions.push_back(Action::CheckPulses { ticket, peer, pulses });
                }
                _ => {
                    self.actions.push_back(Action::Judge { message, peer, verdict: Verdict::Reject });
                    self.blame(peer, 50);
                }
            },
            Event::Checked { ticket, outcomes } => {
                if let Some((peer, message)) = self.checks.remove(&ticket) {
                    if outcomes.contains(&Outcome::Invalid) {
                        self.blame(peer, 50);
                    }
                    if let Some(message) = message {
                        let verdict = match outcomes.first() {
                            Some(Outcome::Linked { good: true }) => Verdict::Forward,
                            Some(Outcome::Invalid) => Verdict::Reject,
                            _ => Verdict::Drop,
                        };
                        self.actions.push_back(Action::Judge { message, peer, verdict });
                    }
                }
            }
            Event::PulsesChecked { ticket, news } => {
                if let Some((peer, message)) = self.pulse_checks.remove(&ticket) {
                    let verdict = if news.contains(&true) { Verdict::Forward } else { Verdict::Drop };
                    self.actions.push_back(Action::Judge { message, peer, verdict });
                }
            }
            Event::NewPulse { pulse } => {
                self.actions.push_back(Action::Publish { bytes: wire::pulses(&[pulse]) });
            }
            Event::Tick => {}
        }
        for i in self.linked..view.linked() {
            if let Ok(Some(row)) = view.row(i)
                && i > 1
                && !self.by_gossip.contains(&row.hash)
                && !self.fetched.contains(&row.hash)
                && view.reputation(&row).is_ok_and(|r| r >= REPUTATION_GOOD)
                && matches!(view.standing(&row.hash), Ok(Some(Stored::Linked(_))))
            {
                let bytes = wire::record(&view.record_bytes(&row).unwrap_or_default());
                self.actions.push_back(Action::Publish { bytes });
            }
        }
        self.linked = view.linked();
        if now.ticks_ms >= self.ask_at && !self.peers.is_empty() {
            self.ask_at = now.ticks_ms + 3_000 + self.random.below(1_000);
            let peers: Vec<PeerId> = self.peers.keys().copied().collect();
            if let Some(peer) = self.random.pick(&peers) {
                let ticket = self.ticket();
                self.asks.insert(ticket, (peer, Job::List));
                self.actions.push_back(Action::Ask { peer, ticket, bytes: b"list".to_vec() });
            }
        }
    }

    pub(crate) fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(crate) fn status(&self) -> SyncStatus {
        SyncStatus { synchronized: self.synchronized, peers: self.peers.len(), ..SyncStatus::default() }
    }
}
