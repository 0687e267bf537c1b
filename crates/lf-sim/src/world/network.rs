//! The network: who is connected to whom, what travels how long and is lost, and how gossip is forwarded. A model of
//! what a transport of streams with a gossip mesh does.

use std::collections::BTreeSet;
use std::rc::Rc;

use lf_node::core::sync::wire::{ANSWER_BYTES_MAX, GOSSIP_BYTES_MAX, QUESTION_BYTES_MAX};
use lf_node::core::sync::{Event, MessageId, PeerId, QUESTION_TIME_MAX_MS, Ticket, Verdict};

use super::{Happening, Packet, World};
use crate::node::{Asked, Connection, Message, SimNode, Waiting};
use crate::scenario::Behaviour;
use crate::trace::number_of;

/// Bytes of a packet's frame and of what the layers below add.
const FRAME_BYTES: u64 = 48;
/// Round trips that connecting takes.
const HANDSHAKE_TRIPS: u64 = 3;
/// A connection that leads nowhere is given up after so long, in microseconds.
const DEAD_AFTER_US: u64 = 15_000_000;
/// Gossip that would wait longer than this to be sent is dropped, in microseconds.
const GOSSIP_QUEUE_US: u64 = 2_000_000;
/// Gossip messages that wait for a verdict at a node; more are dropped.
const WAITING_MAX: usize = 2_048;
/// Questions of one peer that wait for an answer; more are not told.
const ASKED_MAX: usize = 64;
/// Questions of ours to one peer that wait for an answer: more are against reason.
const ASKING_MAX: usize = 64;
/// Peers that may dial a node.
const INBOUND_MAX: usize = 64;
/// How long messages are told of and kept for those who ask, in microseconds.
const LATELY_US: u64 = 3_000_000;
/// Bytes that name a message.
const ID_BYTES: u64 = 34;
/// Messages a hostile node remembers.
const CAPTURED_MAX: usize = 64;

impl World {
    fn reaches(&self, a: usize, b: usize) -> bool {
        self.groups[a] == self.groups[b]
    }

    fn is_banned(&self, by: usize, peer: usize) -> bool {
        self.nodes[by].banned.get(&peer).is_some_and(|until| *until > self.now_us)
    }

    /// Whom a node always keeps trying to reach: the next honest node. It stands for peers that an operator chose.
    fn chosen(&self, node: usize) -> usize {
        (node + 1) % self.scenario.honest
    }

    /// Dials peers as long as there are too few, and keeps its neighbours for gossip.
    pub(super) fn heartbeat(&mut self, node: usize) {
        let honest = self.scenario.honest;
        let outbound = self.nodes[node].connections.values().filter(|c| c.outbound).count();
        let mut dial: Vec<usize> = Vec::new();
        let candidates: Vec<usize> = (0..self.nodes.len())
            .filter(|peer| {
                *peer != node
                    && !self.nodes[node].connections.contains_key(peer)
                    && !self.is_banned(node, *peer)
                    // The victim of an eclipse knows hostile nodes and one honest one, and no other honest one knows it.
                    && !(self.scenario.eclipse && *peer < honest && node < honest && (node == 0 || *peer == 0))
            })
            .collect();
        let chosen = self.chosen(node);
        if self.nodes[node].is_honest()
            && !self.nodes[node].connections.contains_key(&chosen)
            && chosen != node
        {
            dial.push(chosen);
        }
        let victim = self.scenario.eclipse && !self.nodes[node].is_honest();
        if victim && candidates.contains(&0) {
            dial.push(0);
        }
        let want = self.scenario.outbound.saturating_sub(outbound);
        dial.extend(self.random.sample(candidates, want));
        for peer in dial {
            let latency = self.random.between(self.scenario.wire.latency_us);
            let life = self.nodes[node].life;
            self.plan_in(2 * HANDSHAKE_TRIPS * latency, Happening::Open { from: node, to: peer, life });
        }
        self.keep_mesh(node);
        self.tell_lately(node);
    }

    /// Tells some peers that are not neighbours which messages came lately.
    fn tell_lately(&mut self, node: usize) {
        let now_us = self.now_us;
        let SimNode { live: Some(live), connections, .. } = &mut self.nodes[node] else { return };
        live.lately.retain(|(at_us, _)| at_us + LATELY_US > now_us);
        if live.lately.is_empty() {
            return;
        }
        let ids: Vec<u64> = live.lately.iter().map(|(_, message)| message.id).collect();
        let others: Vec<usize> =
            connections.keys().filter(|peer| !live.mesh.contains(peer)).copied().collect();
        for peer in self.random.sample(others, self.scenario.mesh.lazy) {
            self.send(node, peer, Packet::Have(ids.clone()));
        }
    }

    /// Neighbours for gossip, of whom there are neither too few nor too many; both sides agree.
    fn keep_mesh(&mut self, node: usize) {
        let (low, usual, high) = self.scenario.mesh.degree;
        let SimNode { live: Some(live), connections, .. } = &self.nodes[node] else { return };
        let degree = live.mesh.len();
        let has_room = |peer: &usize| self.nodes[*peer].live.as_ref().is_some_and(|l| l.mesh.len() < high);
        if degree < low {
            let free: Vec<usize> = connections
                .keys()
                .filter(|p| !live.mesh.contains(p))
                .filter(|p| has_room(p))
                .copied()
                .collect();
            for peer in self.random.sample(free, usual - degree) {
                self.set_neighbours(node, peer, true);
            }
        } else if degree > high {
            let all: Vec<usize> = live.mesh.iter().copied().collect();
            for peer in self.random.sample(all, degree - usual) {
                self.set_neighbours(node, peer, false);
            }
        }
    }

    fn set_neighbours(&mut self, a: usize, b: usize, are: bool) {
        for (one, other) in [(a, b), (b, a)] {
            if let Some(live) = &mut self.nodes[one].live {
                if are {
                    live.mesh.insert(other);
                } else {
                    live.mesh.remove(&other);
                }
            }
        }
    }

    /// A node has dialled another.
    pub(super) fn open(&mut self, from: usize, to: usize) {
        let inbound = self.nodes[to].connections.values().filter(|c| !c.outbound).count();
        let refused = from == to
            || self.nodes[to].live.is_none()
            || !self.reaches(from, to)
            || self.is_banned(from, to)
            || self.is_banned(to, from)
            || inbound >= INBOUND_MAX
            || self.nodes[from].connections.contains_key(&to);
        if refused {
            return;
        }
        // It may not have noticed yet that an earlier connection is gone.
        if let Some(old) = self.nodes[to].connections.get(&from) {
            let old = old.id;
            self.close(to, from, old);
        }
        self.connection_next += 1;
        let (id, latency_us) = (self.connection_next, self.random.between(self.scenario.wire.latency_us));
        self.nodes[from].connections.insert(to, Connection { id, latency_us, outbound: true });
        self.nodes[to].connections.insert(from, Connection { id, latency_us, outbound: false });
        self.note("open", &[from as u64, to as u64, id]);
        let (from_peer, to_peer) = (self.nodes[from].peer, self.nodes[to].peer);
        self.tell(from, Event::Connected { peer: to_peer, outbound: true });
        self.tell(to, Event::Connected { peer: from_peer, outbound: false });
    }

    /// A node notices that a connection is gone.
    pub(super) fn close(&mut self, node: usize, peer: usize, connection: u64) {
        if self.nodes[node].connections.get(&peer).is_none_or(|c| c.id != connection) {
            return;
        }
        self.nodes[node].connections.remove(&peer);
        self.set_neighbours(node, peer, false);
        self.note("close", &[node as u64, peer as u64, connection]);
        let peer_id = self.nodes[peer].peer;
        let Some(live) = &mut self.nodes[node].live else { return };
        live.asked.retain(|_, asked| asked.connection != connection);
        let failed: Vec<Ticket> =
            live.asking.iter().filter(|(_, asked)| **asked == peer).map(|(ticket, _)| *ticket).collect();
        // Which is told first is the transport's business.
        let before = self.random.below(2) == 0;
        if !before {
            self.tell(node, Event::Disconnected { peer: peer_id });
        }
        for ticket in failed {
            self.unanswered(node, ticket);
        }
        if before {
            self.tell(node, Event::Disconnected { peer: peer_id });
        }
    }

    /// Closes a connection at both ends: here now, there when it is noticed.
    pub(super) fn hang_up(&mut self, node: usize, peer: usize, notice_us: u64) {
        let Some(connection) = self.nodes[node].connections.get(&peer).copied() else { return };
        self.plan_in(0, Happening::Close { node, peer, connection: connection.id });
        self.plan_in(notice_us, Happening::Close { node: peer, peer: node, connection: connection.id });
    }

    /// Sends something over a connection, if there is one.
    fn send(&mut self, from: usize, to: usize, packet: Packet) {
        let Some(connection) = self.nodes[from].connections.get(&to).copied() else { return };
        let wire = self.scenario.wire;
        let bytes = FRAME_BYTES
            + match &packet {
                Packet::Gossip(message) => message.bytes.len() as u64,
                Packet::Have(ids) | Packet::Want(ids) => ID_BYTES * ids.len() as u64,
                Packet::Question { bytes, .. } | Packet::Answer { bytes, .. } => bytes.len() as u64,
            };
        let free_us = self.nodes[from].uplink_free_us.max(self.now_us);
        if matches!(packet, Packet::Gossip(_)) && free_us > self.now_us + GOSSIP_QUEUE_US {
            return; // As gossip does when its queues are full.
        }
        let sent_us = free_us + bytes * 1_000_000 / wire.bandwidth_bytes.max(1);
        self.nodes[from].uplink_free_us = sent_us;
        if self.random.chance_ppm(if self.healed { 0 } else { wire.loss_ppm }) {
            return;
        }
        let twice = matches!(packet, Packet::Gossip(_) | Packet::Question { .. })
            && self.random.chance_ppm(if self.healed { 0 } else { wire.duplicate_ppm });
        for packet in std::iter::once(packet.clone()).chain(twice.then_some(packet)) {
            let jitter_us = self.random.below(wire.jitter_us + 1);
            let at_us = sent_us + connection.latency_us + jitter_us;
            self.plan(at_us, Happening::Deliver { from, to, connection: connection.id, packet });
        }
    }

    /// Something arrives.
    pub(super) fn deliver(&mut self, from: usize, to: usize, connection: u64, packet: Packet) {
        let this = self.nodes[to].connections.get(&from);
        if this.is_none_or(|c| c.id != connection) || !self.reaches(from, to) {
            return;
        }
        match packet {
            Packet::Gossip(message) => self.deliver_gossip(from, to, &message),
            Packet::Have(mut ids) => {
                self.count_ids(to, &ids);
                let Some(live) = &self.nodes[to].live else { return };
                ids.retain(|id| !live.seen.contains(*id));
                if !ids.is_empty() {
                    self.send(to, from, Packet::Want(ids));
                }
            }
            Packet::Want(ids) => {
                self.count_ids(to, &ids);
                let Some(live) = &self.nodes[to].live else { return };
                let wanted = |(_, message): &&(u64, Rc<Message>)| ids.contains(&message.id);
                let messages: Vec<Rc<Message>> =
                    live.lately.iter().filter(wanted).map(|(_, message)| Rc::clone(message)).collect();
                for message in messages {
                    self.send(to, from, Packet::Gossip(message));
                }
            }
            Packet::Question { ticket, bytes } => {
                let honest = self.nodes[to].is_honest();
                if honest {
                    self.figures.question_bytes += bytes.len() as u64 + FRAME_BYTES;
                } else if self.nodes[to].captured_questions.len() < CAPTURED_MAX {
                    self.nodes[to].captured_questions.push(bytes.clone());
                }
                self.note("question", &[from as u64, to as u64, ticket, number_of(&bytes)]);
                let (at_us, kind) = (self.now_us, bytes.first().copied());
                let Some(live) = &mut self.nodes[to].live else { return };
                let waiting = live.asked.values().filter(|asked| asked.by == from).count();
                if waiting >= ASKED_MAX || bytes.len() > QUESTION_BYTES_MAX {
                    return;
                }
                let asked = live.number();
                live.asked.insert(asked, Asked { by: from, connection, ticket, at_us, kind });
                let peer = self.nodes[from].peer;
                self.tell(to, Event::Question { peer, asked, bytes });
            }
            Packet::Answer { ticket, bytes, offence } => {
                if self.nodes[to].is_honest() {
                    self.figures.question_bytes += bytes.len() as u64 + FRAME_BYTES;
                }
                self.note("answer", &[from as u64, to as u64, ticket, number_of(&bytes)]);
                let Some(live) = &mut self.nodes[to].live else { return };
                if live.asking.get(&ticket) != Some(&from) {
                    return; // Too late.
                }
                live.asking.remove(&ticket);
                if bytes.len() > ANSWER_BYTES_MAX {
                    // The transport does not read on.
                    return self.tell(to, Event::Unanswered { ticket });
                }
                if offence && !self.nodes[to].has_wrong_clock() {
                    *self.offences.entry((to, from)).or_default() += 1;
                }
                self.tell(to, Event::Answer { ticket, bytes });
            }
        }
    }

    fn count_ids(&mut self, to: usize, ids: &[u64]) {
        self.note("ids", &[to as u64, ids.len() as u64]);
        if self.nodes[to].is_honest() {
            self.figures.gossip_bytes += ID_BYTES * ids.len() as u64 + FRAME_BYTES;
        }
    }

    fn deliver_gossip(&mut self, from: usize, to: usize, message: &Rc<Message>) {
        let now_us = self.now_us;
        if self.nodes[to].is_honest() {
            self.figures.gossip_copies += 1;
            self.figures.gossip_bytes += message.bytes.len() as u64 + FRAME_BYTES;
            self.figures.record_copies += u64::from(message.is_record);
        } else if self.nodes[to].captured.len() < CAPTURED_MAX {
            self.nodes[to].captured.push(message.bytes.clone());
        }
        self.note("gossip", &[from as u64, to as u64, message.id]);
        let Some(live) = &mut self.nodes[to].live else { return };
        if !live.seen.insert(message.id, now_us) {
            let waiting = live.judging.get(&message.id).copied();
            if let Some(waiting) = waiting.and_then(|id| live.waiting.get_mut(&id)) {
                waiting.sources.push(from);
            }
            return;
        }
        if live.waiting.len() >= WAITING_MAX || message.bytes.len() > GOSSIP_BYTES_MAX {
            return;
        }
        let id = live.number();
        live.judging.insert(message.id, id);
        live.waiting.insert(id, Waiting { message: Rc::clone(message), sources: vec![from], at_us: now_us });
        let waiting = live.waiting.len();
        if self.nodes[to].is_honest() {
            self.figures.waiting_max = self.figures.waiting_max.max(waiting);
            // Whose clock is wrong refuses it for its time before it looks further.
            if message.offence && !self.nodes[to].has_wrong_clock() {
                *self.offences.entry((to, from)).or_default() += 1;
            }
        }
        let peer = self.nodes[from].peer;
        self.tell(to, Event::Gossip { peer, message: id, bytes: message.bytes.clone() });
    }

    /// Sends a message of its own to everybody.
    pub(super) fn publish(&mut self, node: usize, bytes: Vec<u8>) {
        if bytes.len() > GOSSIP_BYTES_MAX {
            return self.fail(format!("node {node} publishes {} bytes", bytes.len()));
        }
        let message = Message::new(bytes, false);
        let now_us = self.now_us;
        let SimNode { live: Some(live), connections, .. } = &mut self.nodes[node] else { return };
        if !live.seen.insert(message.id, now_us) {
            return;
        }
        live.lately.push_back((now_us, Rc::clone(&message)));
        let all: Vec<usize> = if self.scenario.mesh.flood_own || live.mesh.is_empty() {
            connections.keys().copied().collect()
        } else {
            live.mesh.iter().copied().collect()
        };
        self.note("publish", &[node as u64, message.id, all.len() as u64]);
        for peer in all {
            self.send(node, peer, Packet::Gossip(Rc::clone(&message)));
        }
    }

    /// Sends a message to one peer, as only hostile nodes do.
    pub(super) fn whisper(&mut self, node: usize, peer: usize, message: &Rc<Message>) {
        self.note("whisper", &[node as u64, peer as u64, message.id]);
        self.send(node, peer, Packet::Gossip(Rc::clone(message)));
    }

    /// A verdict on a gossip message: a good one is forwarded to the neighbours that do not have it.
    pub(super) fn judge(&mut self, node: usize, message: MessageId, verdict: Verdict) {
        let now_us = self.now_us;
        let Some(live) = &mut self.nodes[node].live else { return };
        let Some(waiting) = live.waiting.remove(&message) else {
            return self.fail(format!("node {node} judges message {message}, which waits for no verdict"));
        };
        live.judging.remove(&waiting.message.id);
        if verdict == Verdict::Forward {
            live.lately.push_back((now_us, Rc::clone(&waiting.message)));
        }
        let mesh: Vec<usize> = live.mesh.iter().filter(|p| !waiting.sources.contains(p)).copied().collect();
        self.note("judge", &[node as u64, waiting.message.id, verdict as u64]);
        match verdict {
            Verdict::Forward => {
                if waiting.message.offence {
                    self.fail(format!("node {node} forwards what is provably bad"));
                }
                for peer in mesh {
                    self.send(node, peer, Packet::Gossip(Rc::clone(&waiting.message)));
                }
            }
            Verdict::Reject => {
                let from = waiting.sources.first().copied().unwrap_or(node);
                if self.nodes[node].is_honest() && self.nodes[from].is_honest() {
                    self.fail(format!("node {node} rejects a message of honest node {from}"));
                }
            }
            Verdict::Drop => {}
        }
    }

    /// Asks a peer.
    pub(super) fn ask(&mut self, node: usize, peer: PeerId, ticket: Ticket, bytes: Vec<u8>) {
        let Some(peer) = self.by_peer.get(&peer).copied() else {
            return self.fail(format!("node {node} asks a peer that does not exist"));
        };
        if bytes.len() > QUESTION_BYTES_MAX {
            return self.fail(format!("node {node} asks a question of {} bytes", bytes.len()));
        }
        let honest = self.nodes[node].is_honest();
        let SimNode { live: Some(live), connections, life, .. } = &mut self.nodes[node] else { return };
        let (life, connected) = (*life, connections.contains_key(&peer));
        if live.asking.insert(ticket, peer).is_some() {
            return self.fail(format!("node {node} gives ticket {ticket} twice"));
        }
        let asking = live.asking.values().filter(|asked| **asked == peer).count();
        let asking_all = live.asking.len();
        if honest {
            self.figures.questions += 1;
            self.figures.asking_max = self.figures.asking_max.max(asking_all);
            if asking > ASKING_MAX {
                self.fail(format!("node {node} has {asking} open questions to one peer"));
            }
        }
        self.note("ask", &[node as u64, peer as u64, ticket, number_of(&bytes)]);
        let within_us = if connected { QUESTION_TIME_MAX_MS * 1_000 } else { 0 };
        self.plan_in(within_us, Happening::Unanswered { node, life, ticket });
        self.send(node, peer, Packet::Question { ticket, bytes });
    }

    /// A question as only hostile nodes ask: nobody waits for the answer.
    pub(super) fn pester(&mut self, node: usize, peer: usize, bytes: Vec<u8>) {
        let ticket = u64::MAX - self.random.below(1 << 32);
        self.send(node, peer, Packet::Question { ticket, bytes });
    }

    /// Answers a question.
    pub(super) fn reply(&mut self, node: usize, asked: u64, bytes: Vec<u8>, offence: bool) {
        let honest = self.nodes[node].is_honest();
        if honest && bytes.len() > ANSWER_BYTES_MAX {
            return self.fail(format!("node {node} answers {} bytes", bytes.len()));
        }
        let Some(live) = &mut self.nodes[node].live else { return };
        // The question may be void by now.
        let Some(asked) = live.asked.remove(&asked) else { return };
        self.note("reply", &[node as u64, asked.by as u64, asked.ticket, number_of(&bytes)]);
        self.send(node, asked.by, Packet::Answer { ticket: asked.ticket, bytes, offence });
    }

    /// A question of ours will not be answered, if it has not been yet.
    pub(super) fn unanswered(&mut self, node: usize, ticket: Ticket) {
        let Some(live) = &mut self.nodes[node].live else { return };
        if live.asking.remove(&ticket).is_some() {
            self.note("unanswered", &[node as u64, ticket]);
            self.tell(node, Event::Unanswered { ticket });
        }
    }

    /// A node bans another.
    pub(super) fn ban(&mut self, node: usize, peer: PeerId, secs: u64, reason: &str) {
        let Some(peer) = self.by_peer.get(&peer).copied() else {
            return self.fail(format!("node {node} bans a peer that does not exist"));
        };
        self.note("ban", &[node as u64, peer as u64, secs]);
        if !self.nodes[node].is_honest() {
            return;
        }
        if self.nodes[peer].is_honest() {
            return self.fail(format!("node {node} bans honest node {peer}: {reason}"));
        }
        self.figures.bans += 1;
        let until_us = self.now_us.saturating_add(secs.saturating_mul(1_000_000));
        self.nodes[node].banned.insert(peer, until_us);
        self.hang_up(node, peer, 100_000);
    }

    /// A part of the network is cut off: some connections are gone at once, others are noticed later.
    pub(super) fn cut(&mut self) {
        if self.healed {
            return;
        }
        let share = 1 + self.random.below(self.nodes.len() as u64 / 2);
        let all: Vec<usize> = (0..self.nodes.len()).collect();
        let part: BTreeSet<usize> = self.random.sample(all, share as usize).into_iter().collect();
        self.note("cut", &[share]);
        for node in 0..self.nodes.len() {
            self.groups[node] = u8::from(part.contains(&node));
        }
        for node in 0..self.nodes.len() {
            let apart: Vec<(usize, u64)> = self.nodes[node]
                .connections
                .iter()
                .filter(|(peer, _)| !self.reaches(node, **peer))
                .map(|(peer, connection)| (*peer, connection.id))
                .collect();
            for (peer, connection) in apart {
                let notice_us = self.random.below(DEAD_AFTER_US);
                self.plan_in(notice_us, Happening::Close { node, peer, connection });
            }
        }
    }

    /// The parts come together.
    pub(super) fn mend(&mut self) {
        self.note("mend", &[]);
        self.groups.fill(0);
    }

    /// Some connection breaks; both sides notice soon.
    pub(super) fn break_connection(&mut self) {
        let node = self.random.index(self.nodes.len());
        let peers: Vec<usize> = self.nodes[node].connections.keys().copied().collect();
        if let Some(peer) = self.random.pick(&peers) {
            let notice_us = self.random.below(1_000_000);
            self.hang_up(node, peer, notice_us);
        }
    }

    /// Everything heals: from now on nothing is lost, clocks are right, and nobody writes any more. Hostile nodes go on.
    pub(super) fn heal(&mut self) {
        self.mend();
        self.healed = true;
        self.note("heal", &[]);
        for node in 0..self.nodes.len() {
            if self.nodes[node].has_wrong_clock() {
                self.nodes[node].skew_secs = 0;
            }
        }
    }

    /// Whether a question is answered from the decoy.
    pub(super) fn lies(&mut self, node: usize) -> bool {
        self.nodes[node].behaviour == Some(Behaviour::Equivocate) && self.random.below(2) == 0
    }
}
