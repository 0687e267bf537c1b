//! What hostile nodes do. They have the same store and the same replication as honest ones; what that wants done is
//! twisted here, and now and then they act by themselves.

use std::rc::Rc;

use lf_node::core::sync::ranges::{Salt, Span};
use lf_node::core::sync::wire::{Answer, Content, Difference, Gossip, Question, Wanted};
use lf_node::core::sync::{Action, Verdict};
use lf_proto::hash::Hash;
use lf_proto::pulse::Pulse;
use lf_proto::record::Record;

use super::{Happening, World};
use crate::node::Message;
use crate::records::{Draft, Flaw, Owner, flawed};
use crate::scenario::Behaviour;
use crate::trace::number_of;

/// How often they act, in microseconds.
const ACT_US: u64 = 500_000;
/// Good records that one of them makes, at most.
const RECORDS_MAX: usize = 60;
/// Messages or questions of a flood at a time, to each peer.
const FLOOD: usize = 20;

/// The bytes of a gossip message with a record, also of one that is malformed.
fn gossip_of(record: &[u8]) -> Vec<u8> {
    const RECORD: u8 = 1;
    [&[RECORD], record].concat()
}

impl World {
    /// What a hostile node makes of what its replication wants done.
    pub(super) fn twist(&mut self, node: usize, behaviour: Behaviour, action: Action) -> Option<Action> {
        match (behaviour, action) {
            (Behaviour::Silent, Action::Reply { .. } | Action::Publish { .. }) => None,
            (Behaviour::Silent, Action::Judge { message, peer, .. }) => {
                Some(Action::Judge { message, peer, verdict: Verdict::Drop })
            }
            (Behaviour::JunkAnswers, Action::Reply { asked, bytes }) => {
                let bytes = self.junk_answer(bytes);
                self.lie(node, asked, bytes);
                None
            }
            (Behaviour::Lies, Action::Reply { asked, bytes }) => {
                let bytes = match Answer::decode(&bytes) {
                    Ok(answer) => self.false_answer(node, answer).encode(),
                    Err(_) => bytes,
                };
                self.lie(node, asked, bytes);
                None
            }
            (_, action) => Some(action),
        }
    }

    /// Answers a question with something that is provably bad if it does not decode, or answers another question.
    fn lie(&mut self, node: usize, asked: u64, bytes: Vec<u8>) {
        let kind = self.nodes[node].live.as_ref().and_then(|live| live.asked.get(&asked)?.kind);
        let offence = match Answer::decode(&bytes) {
            Ok(Answer::Busy) => false,
            // Answers begin as their questions do.
            Ok(_) => bytes.first().copied() != kind,
            Err(_) => true,
        };
        self.reply(node, asked, bytes, offence);
    }

    /// An answer's bytes as they should not be.
    fn junk_answer(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        match self.random.below(6) {
            0 => {
                let len = self.random.index(300);
                return self.random.junk(len);
            }
            1 => bytes.clear(),
            2 => bytes.truncate(self.random.index(bytes.len())),
            3 => {
                let (at, bit) = (self.random.index(bytes.len()), self.random.below(8));
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << bit);
            }
            4 => bytes = vec![0xff; 1 << 16],
            _ => bytes.extend(self.random.bytes::<3>()),
        }
        bytes
    }

    /// An answer in form, and not true.
    fn false_answer(&mut self, node: usize, answer: Answer) -> Answer {
        match answer {
            Answer::Compared { total, mut differing } => {
                let lie = self.random.below(6);
                if differing.is_empty() {
                    differing.push((0, Difference::Fetch { count: 1, marks: Vec::new() }));
                }
                for (at, difference) in &mut differing {
                    match (lie, difference) {
                        // Very many records where there are none, in this range or another.
                        (0, difference) => {
                            *difference = Difference::Fetch { count: u64::MAX - 1, marks: Vec::new() };
                        }
                        (1, _) => *at += 40,
                        // The same range again, with another fingerprint each time: splits without end.
                        (2, Difference::Split(parts)) => {
                            for part in parts {
                                let fingerprint = self.random.bytes();
                                part.content = Some(Content { count: 1_000_000, fingerprint });
                            }
                        }
                        (3, Difference::Split(parts)) => {
                            parts.pop();
                        }
                        (4, difference) => {
                            let count = 1 + self.random.below(300);
                            *difference = Difference::Fetch { count, marks: Vec::new() };
                        }
                        _ => {}
                    }
                }
                let total = if self.random.below(2) == 0 { u64::MAX } else { total };
                Answer::Compared { total, differing }
            }
            Answer::Fetched { mut records, complete, rest, lacking } => match self.random.below(5) {
                // Nothing, and no end.
                0 => Answer::Fetched { records: Vec::new(), complete: 0, rest, lacking },
                1 => Answer::Fetched { records: Vec::new(), complete, rest: None, lacking: u64::MAX },
                2 => Answer::Fetched { records, complete: 1_000_000, rest, lacking },
                3 => {
                    records.reverse();
                    Answer::Fetched { records, complete, rest, lacking }
                }
                // What nobody asked for.
                _ => {
                    records.extend(self.some_record(node));
                    Answer::Fetched { records, complete, rest, lacking }
                }
            },
            Answer::Records { mut records } => {
                if self.random.below(2) == 0 {
                    records.clear();
                } else {
                    records.extend(self.some_record(node));
                }
                Answer::Records { records }
            }
            other => other,
        }
    }

    /// A record that this node has.
    fn some_record(&self, node: usize) -> Option<Record> {
        let view = self.nodes[node].live.as_ref()?.reader.view();
        view.record(&view.row(0).ok()??)
    }

    /// A hostile node acts.
    pub(super) fn act(&mut self, node: usize) {
        self.plan_in(ACT_US, Happening::Act { node });
        let Some(behaviour) = self.nodes[node].behaviour else { return };
        if self.nodes[node].live.is_none() {
            return;
        }
        let peers: Vec<usize> = self.nodes[node].connections.keys().copied().collect();
        let Some(peer) = self.random.pick(&peers) else { return };
        match behaviour {
            Behaviour::Flawed(flaw) => {
                // What time heals would go on arriving for ever.
                if self.healed && flaw == Flaw::Future {
                    return;
                }
                if let Some(bytes) = self.flawed_record(node, flaw) {
                    let message = Message::new(gossip_of(&bytes), flaw.is_provable());
                    self.whisper(node, peer, &message);
                }
            }
            Behaviour::FloodRecords if !self.healed => {
                for _ in 0..3 {
                    let name = format!("flood-{}", self.nodes[node].made % 4);
                    self.publish_own(node, &name, 0);
                }
            }
            Behaviour::Squat if !self.healed => {
                let taken = self.users.written.len();
                let name = self.users.written[taken.saturating_sub(3)..].last().map(|w| w.name.clone());
                if let Some(name) = name {
                    self.publish_own(node, &name, 60);
                }
            }
            Behaviour::FloodJunk => {
                for peer in peers {
                    for _ in 0..FLOOD {
                        let len = 1 + self.random.index(400);
                        let message = Message::new(self.random.junk(len), false);
                        self.whisper(node, peer, &message);
                    }
                }
            }
            Behaviour::FloodQuestions => {
                for peer in peers {
                    for _ in 0..FLOOD {
                        let at = self.random.index(self.nodes[node].captured_questions.len());
                        let bytes = match self.nodes[node].captured_questions.get(at) {
                            Some(bytes) if self.random.below(2) == 0 => bytes.clone(),
                            _ if self.random.below(4) != 0 => {
                                // Everything, please; and once more.
                                let salt: Salt = self.random.bytes();
                                let ranges = vec![Wanted { span: Span::ALL, have: Vec::new() }];
                                Question::Fetch { salt, ranges }.encode()
                            }
                            _ => {
                                let len = self.random.index(200);
                                self.random.junk(len)
                            }
                        };
                        self.pester(node, peer, bytes);
                    }
                }
            }
            Behaviour::WithheldLinks => {
                let missing = Hash(self.random.bytes());
                if let Some(bytes) = self.orphan(node, missing) {
                    let message = Message::new(gossip_of(&bytes), false);
                    for peer in peers {
                        self.whisper(node, peer, &message);
                    }
                }
            }
            Behaviour::ForgePulses => self.forge(node, &peers),
            _ => {}
        }
    }

    fn draft_of<'a>(&mut self, node: usize, names: &'a [String], links: &'a [Hash]) -> Draft<'a> {
        Draft {
            names,
            value: self.random.junk(20),
            links,
            timestamp: self.nodes[node].now(self.now_us).unix_secs,
            with_pulse_token: false,
            difficulty: 1 + self.random.below(1_000) as u32,
        }
    }

    fn flawed_record(&mut self, node: usize, flaw: Flaw) -> Option<Vec<u8>> {
        let names = [format!("flawed-{}", self.random.below(4))];
        let links = self.links(node);
        let draft = self.draft_of(node, &names, &links);
        let owner = Owner::new(&mut self.random);
        flawed(flaw, &owner, &draft, &mut self.random)
    }

    fn orphan(&mut self, node: usize, missing: Hash) -> Option<Vec<u8>> {
        let names = [format!("orphan-{}", self.random.below(4))];
        let mut links = self.links(node);
        links.push(missing);
        let draft = self.draft_of(node, &names, &links);
        let owner = Owner::new(&mut self.random);
        Some(owner.write(&draft).ok()?.as_bytes().to_vec())
    }

    /// A good record of its own, `older_secs` older than now, published as any.
    fn publish_own(&mut self, node: usize, name: &str, older_secs: u64) {
        if self.nodes[node].made >= RECORDS_MAX || name.is_empty() {
            return;
        }
        self.nodes[node].made += 1;
        let names = [name.to_owned()];
        let links = self.links(node);
        let mut draft = self.draft_of(node, &names, &links);
        draft.timestamp -= older_secs;
        let owner = Owner::new(&mut self.random);
        if let Ok(record) = owner.write(&draft) {
            self.store_own(node, record);
        }
    }

    /// Pulses nobody made, and messages of others once more, as if they were new.
    fn forge(&mut self, node: usize, peers: &[usize]) {
        let mut messages: Vec<Rc<Message>> = Vec::new();
        let captured = self.nodes[node].captured.clone();
        let at = self.random.index(captured.len());
        if let Some(bytes) = captured.get(at) {
            // As if the content hash had been forgotten.
            let id = number_of(bytes) ^ self.random.number();
            messages.push(Rc::new(Message { id, bytes: bytes.clone(), is_record: false, offence: false }));
        }
        let pulses: Vec<Pulse> = (0..FLOOD)
            .filter_map(|_| {
                let mut bytes = self.random.bytes::<{ Pulse::BYTES }>();
                let minutes = (9 + self.random.below(6) as u32).to_be_bytes();
                bytes[8..].copy_from_slice(&minutes[1..]);
                Pulse::from_bytes(&bytes).ok()
            })
            .collect();
        messages.push(Message::new(Gossip::Pulses(pulses).encode(), false));
        for message in messages {
            for peer in peers {
                self.whisper(node, *peer, &message);
            }
        }
    }
}
