//! The thread that owns the connections: what libp2p reports becomes events for the replication, commands become calls of
//! libp2p. Knows nothing of what the bytes mean.

mod dial;
mod exchange;
mod reach;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use libp2p::core::ConnectedPoint;
use libp2p::futures::StreamExt;
use libp2p::gossipsub::{self, MessageAcceptance};
use libp2p::request_response::{self, InboundRequestId, Message, OutboundRequestId, ResponseChannel};
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Swarm, identify, ping};
use tokio::sync::mpsc::UnboundedReceiver;
use tracing::{debug, info, warn};

use self::dial::Dialer;
use self::reach::Reach;
use super::address::{PeerAddress, Scope, Target, from_libp2p, scope, to_libp2p, to_multiaddr, to_socket};
use super::bans::Ban;
use super::behaviour::{Behaviour, BehaviourEvent, QUESTIONS_MAX, topic};
use super::board::{BanInfo, Board, NetworkInfo, NetworkTotals, PeerInfo};
use super::book::{self, Book, Source};
use super::gate::now_secs;
use super::inbox::Inbox;
use super::traffic::{Counts, Traffic};
use crate::core::sync::wire::GOSSIP_BYTES_MAX;
use crate::core::sync::{Asked, Event, MessageId, PeerId, QUESTION_TIME_MAX_MS, Ticket, Verdict};

/// Between two looks at what is due.
const TICK: Duration = Duration::from_secs(1);
/// Gossip messages that wait for a verdict; more are dropped.
const JUDGING_MAX: usize = 4_096;
/// A verdict that takes longer is of no use: the others have the message by then.
const JUDGING_TIME_MAX: Duration = Duration::from_secs(30);
/// How often the address book is written.
const SAVE_EVERY: Duration = Duration::from_secs(300);
/// Characters of a program's name that are kept.
const AGENT_CHARS_MAX: usize = 40;

/// What the network is to do.
#[derive(Debug)]
pub(super) enum Command {
    /// See [`crate::core::sync::Action::Ask`].
    Ask { peer: PeerId, ticket: Ticket, bytes: Vec<u8> },
    /// See [`crate::core::sync::Action::Reply`].
    Reply { asked: Asked, bytes: Vec<u8> },
    /// See [`crate::core::sync::Action::Publish`].
    Publish { bytes: Vec<u8> },
    /// See [`crate::core::sync::Action::Judge`].
    Judge { message: MessageId, verdict: Verdict },
    /// Bans a peer that misbehaved.
    Ban { peer: PeerId, secs: u64, reason: String },
    /// Bans whom the user says; answered when it is done.
    UserBan { whom: Whom, secs: u64, reply: SyncSender<()> },
    /// Ends a ban; the answer is whether there was one.
    Lift { whom: Whom, reply: SyncSender<bool> },
    /// Connects to where the user says.
    Connect(Target),
    /// A name was looked up.
    Resolved { target: Target, seed: usize, sockets: Vec<SocketAddr> },
    /// Whether anything answers at an address.
    Felt { address: PeerAddress, answers: bool },
    /// Asks for addresses to tell to a client.
    Tell { to: Scope, reply: SyncSender<Vec<PeerAddress>> },
    /// Ends the thread.
    Stop,
}

/// Whom a user bans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom {
    Peer(PeerId),
    Ip(IpAddr),
}

struct Connection {
    socket: Option<SocketAddr>,
    outbound: bool,
    counts: Arc<Counts>,
}

/// A peer with at least one connection.
struct Connected {
    theirs: libp2p::PeerId,
    outbound: bool,
    connections: BTreeMap<ConnectionId, Connection>,
    since: Instant,
    agent: String,
    round_trip: Option<Duration>,
    /// Where it can be reached, as far as we know.
    listens: Option<SocketAddr>,
    /// Bytes of connections that are gone.
    gone_bytes: (u64, u64),
}

impl Connected {
    fn bytes(&self) -> (u64, u64) {
        let (mut received, mut sent) = self.gone_bytes;
        for connection in self.connections.values() {
            let (r, s) = connection.counts.get();
            received += r;
            sent += s;
        }
        (received, sent)
    }

    fn sockets(&self) -> impl Iterator<Item = SocketAddr> {
        self.connections.values().filter_map(|connection| connection.socket)
    }
}

/// A question of a peer.
struct Question {
    peer: PeerId,
    request: InboundRequestId,
    channel: ResponseChannel<Vec<u8>>,
}

/// A question of ours.
struct Waiting {
    peer: PeerId,
    ticket: Ticket,
    end: Instant,
}

/// A gossip message that waits for a verdict.
struct Judging {
    id: gossipsub::MessageId,
    source: libp2p::PeerId,
    end: Instant,
}

/// The connections and what goes on over them.
pub(super) struct Network {
    swarm: Swarm<Behaviour>,
    commands: UnboundedReceiver<Command>,
    inbox: Arc<Inbox>,
    board: Arc<Board>,
    traffic: Traffic,
    book: Book,
    book_path: PathBuf,
    saved: Instant,
    started: Instant,
    connected: BTreeMap<PeerId, Connected>,
    dialer: Dialer,
    reach: Reach,
    /// When a peer was asked for addresses last.
    exchanged: Instant,
    next_asked: Asked,
    questions: HashMap<Asked, Question>,
    waiting: HashMap<OutboundRequestId, Waiting>,
    next_message: MessageId,
    judging: BTreeMap<MessageId, Judging>,
    listens: Vec<SocketAddr>,
    totals: NetworkTotals,
}

pub(super) struct NetworkParts {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) commands: UnboundedReceiver<Command>,
    pub(super) sender: super::Commands,
    pub(super) inbox: Arc<Inbox>,
    pub(super) board: Arc<Board>,
    pub(super) traffic: Traffic,
    pub(super) book: Book,
    pub(super) book_path: PathBuf,
    pub(super) seeds: Vec<Target>,
    pub(super) listens: Vec<SocketAddr>,
    pub(super) behind_nat: bool,
}

/// A random number below `n`.
fn random(n: u64) -> u64 {
    // It spreads load; if the system has no randomness, the first will do.
    getrandom::u64().unwrap_or(0) % n.max(1)
}

impl Network {
    pub(super) fn new(parts: NetworkParts) -> Self {
        let mut network = Network {
            swarm: parts.swarm,
            commands: parts.commands,
            inbox: parts.inbox,
            board: parts.board,
            traffic: parts.traffic,
            book: parts.book,
            book_path: parts.book_path,
            saved: Instant::now(),
            started: Instant::now(),
            connected: BTreeMap::new(),
            dialer: Dialer::new(parts.seeds, parts.sender),
            reach: Reach::new(parts.behind_nat),
            exchanged: Instant::now(),
            next_asked: 0,
            questions: HashMap::new(),
            waiting: HashMap::new(),
            next_message: 0,
            judging: BTreeMap::new(),
            listens: parts.listens,
            totals: NetworkTotals::default(),
        };
        network.listens.clone().iter().for_each(|socket| network.note_own(socket));
        network.post();
        network
    }

    /// Runs until told to stop.
    pub(super) async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    None | Some(Command::Stop) => break,
                    Some(command) => self.on_command(command),
                },
                event = self.swarm.select_next_some() => self.on_swarm_event(event),
                _ = tick.tick() => self.on_tick(),
            }
        }
        self.save();
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Ask { peer, ticket, bytes } => self.ask(peer, ticket, bytes),
            Command::Reply { asked, bytes } => {
                if let Some(question) = self.questions.remove(&asked)
                    && self.swarm.behaviour_mut().answering.send_response(question.channel, bytes).is_ok()
                {
                    self.totals.answered += 1;
                }
            }
            Command::Publish { bytes } => {
                self.totals.gossip_published += 1;
                // Nobody to send it to, or somebody did already, or all are too slow: comparing makes up for it.
                if bytes.len() > GOSSIP_BYTES_MAX {
                    warn!(bytes = bytes.len(), "a message is too large to be sent: this is a bug");
                } else if let Err(e) = self.swarm.behaviour_mut().gossip.publish(topic(), bytes) {
                    debug!(reason = %e, "not published");
                }
            }
            Command::Judge { message, verdict } => {
                if let Some(judging) = self.judging.remove(&message) {
                    self.judge(&judging, verdict);
                }
            }
            Command::Ban { peer, secs, reason } => self.ban_offender(peer, secs, reason),
            Command::UserBan { whom, secs, reply } => {
                self.ban_by_user(whom, secs);
                // Nobody waits any more only if they gave up.
                let _ = reply.send(());
            }
            Command::Lift { whom, reply } => {
                let bans = &mut self.swarm.behaviour_mut().gate.bans;
                let lifted = match whom {
                    Whom::Peer(peer) => bans.lift_peer(&peer),
                    Whom::Ip(ip) => bans.lift_ip(&ip),
                };
                self.save();
                self.post();
                let _ = reply.send(lifted);
            }
            Command::Connect(target) => self.add_seed(target),
            Command::Resolved { target, seed, sockets } => self.on_resolved(&target, seed, sockets),
            Command::Felt { address, answers } => self.on_felt(address, answers),
            Command::Tell { to, reply } => {
                let _ = reply.send(self.book.tell(to, None, now_secs(), random));
            }
            Command::Stop => {}
        }
    }

    fn ask(&mut self, peer: PeerId, ticket: Ticket, bytes: Vec<u8>) {
        self.totals.asked += 1;
        // libp2p would try to connect.
        let Some(connected) = self.connected.get(&peer) else {
            self.totals.unanswered += 1;
            return self.inbox.push(Event::Unanswered { ticket });
        };
        let request = self.swarm.behaviour_mut().asking.send_request(&connected.theirs, bytes);
        // A tick before the time is up, so that it is never later.
        let end = Instant::now() + Duration::from_millis(QUESTION_TIME_MAX_MS) - TICK;
        self.waiting.insert(request, Waiting { peer, ticket, end });
    }

    fn unanswered(&mut self, request: &OutboundRequestId) {
        if let Some(Waiting { ticket, .. }) = self.waiting.remove(request) {
            self.totals.unanswered += 1;
            self.inbox.push(Event::Unanswered { ticket });
        }
    }

    /// A relay says where it is; what it says of itself is where it listens.
    fn note_own(&mut self, socket: &SocketAddr) {
        if self.swarm.behaviour().relay.is_enabled() {
            self.swarm.add_external_address(to_multiaddr(socket));
        }
    }

    fn judge(&mut self, judging: &Judging, verdict: Verdict) {
        let acceptance = match verdict {
            Verdict::Forward => MessageAcceptance::Accept,
            Verdict::Drop => MessageAcceptance::Ignore,
            Verdict::Reject => MessageAcceptance::Reject,
        };
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        gossip.report_message_validation_result(&judging.id, &judging.source, acceptance);
    }

    fn ban_offender(&mut self, peer: PeerId, secs: u64, reason: String) {
        let ips: Vec<IpAddr> =
            self.connected.get(&peer).map(|c| c.sockets().map(|s| s.ip()).collect()).unwrap_or_default();
        warn!(%peer, ?ips, secs, reason, "peer banned");
        let ban = Ban { until_secs: now_secs().saturating_add(secs), reason };
        for ip in self.swarm.behaviour_mut().gate.bans.ban_offender(peer, &ips, ban) {
            warn!(%ip, secs, "address banned: more than one peer from it was");
            self.disconnect_ip(ip);
        }
        self.disconnect(&peer);
        self.save();
        self.post();
    }

    fn ban_by_user(&mut self, whom: Whom, secs: u64) {
        let ban =
            Ban { until_secs: now_secs().saturating_add(secs), reason: "banned by the user".to_owned() };
        let bans = &mut self.swarm.behaviour_mut().gate.bans;
        match whom {
            Whom::Peer(peer) => {
                info!(%peer, secs, "peer banned by the user");
                bans.ban_peer(peer, ban);
                self.disconnect(&peer);
            }
            Whom::Ip(ip) => {
                info!(%ip, secs, "address banned by the user");
                bans.ban_ip(ip, ban);
                self.disconnect_ip(ip);
            }
        }
        self.save();
        self.post();
    }

    fn disconnect(&mut self, peer: &PeerId) {
        if let Some(theirs) = to_libp2p(peer) {
            // It fails if there is no connection.
            let _ = self.swarm.disconnect_peer_id(theirs);
        }
    }

    fn disconnect_ip(&mut self, ip: IpAddr) {
        let from_it = |c: &&Connected| c.sockets().any(|socket| socket.ip() == ip);
        let peers: Vec<libp2p::PeerId> = self.connected.values().filter(from_it).map(|c| c.theirs).collect();
        for theirs in peers {
            let _ = self.swarm.disconnect_peer_id(theirs);
        }
    }

    fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connection(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, cause, .. } => {
                debug!(peer = %peer_id, ?cause, "connection closed");
                if let Some(peer) = from_libp2p(&peer_id) {
                    self.on_connection_closed(peer, connection_id, num_established == 0);
                }
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                debug!(from = %send_back_addr, %error, "a connection was not made");
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.on_dial_failed(connection_id, &error);
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                if let Some(socket) = to_socket(&address)
                    && !self.listens.contains(&socket)
                {
                    debug!(%socket, "listening for peers");
                    self.listens.push(socket);
                    self.note_own(&socket);
                }
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                let gone = to_socket(&address);
                self.listens.retain(|socket| Some(*socket) != gone);
            }
            SwarmEvent::ListenerClosed { listener_id, reason, .. } if self.on_relay_lost(listener_id) => {
                debug!(?reason, "no longer reached through a relay");
            }
            SwarmEvent::ListenerClosed { reason, .. } => warn!(?reason, "no longer listening for peers"),
            SwarmEvent::ListenerError { error, .. } => debug!(%error, "listening for peers"),
            _ => {}
        }
    }

    fn on_connection(&mut self, theirs: libp2p::PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        let counts = self.traffic.take(endpoint);
        // The gate has let nobody in who has another kind of identity.
        let Some(peer) = from_libp2p(&theirs) else { return };
        let (outbound, socket) = (endpoint.is_dialer(), to_socket(endpoint.get_remote_address()));
        let is_first = !self.connected.contains_key(&peer);
        let connected = self.connected.entry(peer).or_insert_with(|| Connected {
            theirs,
            outbound,
            connections: BTreeMap::new(),
            since: Instant::now(),
            agent: String::new(),
            round_trip: None,
            listens: None,
            gone_bytes: (0, 0),
        });
        connected.connections.insert(id, Connection { socket, outbound, counts });
        // Both ends connected at once to replace a connection through a relay: nobody else could connect so.
        let punched = connected.connections.values().any(|connection| connection.socket.is_none());
        match socket {
            Some(_) if punched => self.close_relayed(&peer),
            Some(socket) if outbound => {
                connected.listens = Some(socket);
                self.on_dialed(PeerAddress { peer, socket }, id);
            }
            Some(_) => {}
            None => self.on_dialed_through(id),
        }
        if is_first {
            info!(%peer, address = ?socket, outbound, "peer connected");
            self.inbox.push(Event::Connected { peer, outbound });
        }
        self.post();
    }

    fn on_connection_closed(&mut self, peer: PeerId, id: ConnectionId, is_last: bool) {
        let Some(connected) = self.connected.get_mut(&peer) else { return };
        if let Some(connection) = connected.connections.remove(&id) {
            let (received, sent) = connection.counts.get();
            connected.gone_bytes.0 += received;
            connected.gone_bytes.1 += sent;
        }
        if !is_last {
            connected.outbound = connected.connections.values().any(|connection| connection.outbound);
            return;
        }
        let gone = self.connected.remove(&peer);
        if let Some(gone) = gone {
            info!(%peer, seconds = gone.since.elapsed().as_secs(), "peer disconnected");
            if gone.outbound {
                let now_ms = self.now_ms();
                self.book.failed(&peer, now_ms, now_secs(), random);
            }
        }
        self.questions.retain(|_, question| question.peer != peer);
        let void: Vec<OutboundRequestId> =
            self.waiting.iter().filter(|(_, waiting)| waiting.peer == peer).map(|(id, _)| *id).collect();
        void.iter().for_each(|request| self.unanswered(request));
        self.inbox.push(Event::Disconnected { peer });
        self.post();
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                if let Some(peer) = from_libp2p(&peer_id) {
                    self.on_identified(peer, &info);
                }
            }
            BehaviourEvent::Ping(ping::Event { peer, result: Ok(round_trip), .. }) => {
                if let Some(connected) = from_libp2p(&peer).and_then(|peer| self.connected.get_mut(&peer)) {
                    connected.round_trip = Some(round_trip);
                }
            }
            BehaviourEvent::Asking(event) => self.on_asking(event),
            BehaviourEvent::Answering(event) => self.on_answering(event),
            BehaviourEvent::Peers(event) => self.on_exchange(event),
            BehaviourEvent::Gossip(gossipsub::Event::Message { propagation_source, message_id, message }) => {
                self.on_gossip(propagation_source, message_id, message.data);
            }
            BehaviourEvent::Local(event) => self.on_local(event),
            BehaviourEvent::PortMapping(event) => self.on_port_mapping(event),
            BehaviourEvent::Relayed(event) => self.on_relayed(&event),
            BehaviourEvent::Punch(event) => self.on_punched(&event),
            BehaviourEvent::Relay(event) => self.on_relaying(&event),
            _ => {}
        }
    }

    fn on_asking(&mut self, event: request_response::Event<Vec<u8>, Vec<u8>>) {
        match event {
            request_response::Event::Message {
                message: Message::Response { request_id, response }, ..
            } => {
                if let Some(Waiting { ticket, .. }) = self.waiting.remove(&request_id) {
                    self.inbox.push(Event::Answer { ticket, bytes: response });
                }
            }
            request_response::Event::OutboundFailure { request_id, error, .. } => {
                debug!(%error, "a question was not answered");
                self.unanswered(&request_id);
            }
            _ => {}
        }
    }

    fn on_answering(&mut self, event: request_response::Event<Vec<u8>, Vec<u8>>) {
        match event {
            request_response::Event::Message {
                peer,
                message: Message::Request { request_id, request, channel },
                ..
            } => {
                let Some(peer) = from_libp2p(&peer).filter(|peer| self.connected.contains_key(peer)) else {
                    return;
                };
                // Each of its connections has this limit already, all together have it here.
                if self.questions.values().filter(|question| question.peer == peer).count() >= QUESTIONS_MAX {
                    return;
                }
                let asked = self.next_asked;
                self.next_asked += 1;
                self.questions.insert(asked, Question { peer, request: request_id, channel });
                self.inbox.push(Event::Question { peer, asked, bytes: request });
            }
            request_response::Event::InboundFailure { request_id, error, .. } => {
                debug!(%error, "a question could not be answered");
                self.questions.retain(|_, question| question.request != request_id);
            }
            _ => {}
        }
    }

    fn on_gossip(&mut self, source: libp2p::PeerId, id: gossipsub::MessageId, bytes: Vec<u8>) {
        self.totals.gossip_received += 1;
        let judging = Judging { id, source, end: Instant::now() + JUDGING_TIME_MAX };
        let peer = from_libp2p(&source).filter(|_| self.judging.len() < JUDGING_MAX);
        let Some(peer) = peer.filter(|_| bytes.len() <= GOSSIP_BYTES_MAX) else {
            return self.judge(&judging, Verdict::Drop);
        };
        let message = self.next_message;
        self.next_message += 1;
        self.judging.insert(message, judging);
        self.inbox.push(Event::Gossip { peer, message, bytes });
    }

    /// A peer said who it is. What it says of its addresses is believed as far as its port: the address is the one we see.
    fn on_identified(&mut self, peer: PeerId, info: &identify::Info) {
        let Some(connected) = self.connected.get_mut(&peer) else { return };
        let is_news = connected.agent.is_empty();
        let printable = info.agent_version.chars().filter(char::is_ascii_graphic);
        connected.agent = printable.take(AGENT_CHARS_MAX).collect();
        if !is_news {
            return;
        }
        let ip = connected.sockets().next().map(|socket| socket.ip());
        let ports = info.listen_addrs.iter().filter_map(to_socket);
        let same_ip = |socket: &SocketAddr| Some(socket.ip()) == ip;
        let port = ports.clone().find(same_ip).or_else(|| ports.clone().next()).map(|socket| socket.port());
        if !connected.outbound
            && let (Some(ip), Some(port)) = (ip, port)
        {
            let socket = SocketAddr::new(ip, port);
            connected.listens = Some(socket);
            let address = PeerAddress { peer, socket };
            if self.book.learn(address, Source::Heard(peer)) {
                self.feel(address);
            }
        }
        self.ask_for_peers(peer, info);
        self.note_relay(peer, info);
        self.post();
    }

    fn on_tick(&mut self) {
        let now = Instant::now();
        let late: Vec<OutboundRequestId> =
            self.waiting.iter().filter(|(_, waiting)| waiting.end <= now).map(|(id, _)| *id).collect();
        late.iter().for_each(|request| self.unanswered(request));
        while let Some(first) = self.judging.first_entry().filter(|first| first.get().end <= now) {
            let judging = first.remove();
            self.judge(&judging, Verdict::Drop);
        }
        self.dial_who_is_due();
        self.exchange_now_and_then();
        self.use_relays();
        let ended = self.swarm.behaviour_mut().gate.bans.forget(now_secs());
        if ended || self.saved.elapsed() >= SAVE_EVERY {
            self.save();
        }
        self.post();
    }

    fn save(&mut self) {
        self.saved = Instant::now();
        // The longest connected first.
        let mut dialled: Vec<(&PeerId, &Connected)> =
            self.connected.iter().filter(|(_, c)| c.outbound).collect();
        dialled.sort_by_key(|(_, connected)| connected.since);
        let dialled: Vec<PeerId> = dialled.into_iter().map(|(peer, _)| *peer).collect();
        self.book.set_anchors(&dialled);
        let bans = &self.swarm.behaviour().gate.bans;
        if let Err(error) = book::save(&self.book_path, &self.book, bans) {
            warn!(%error, "cannot write peers.json");
        }
    }

    /// Lets others see how things are.
    fn post(&mut self) {
        let mut peers: Vec<PeerInfo> = self
            .connected
            .iter()
            .map(|(peer, connected)| {
                let (received_bytes, sent_bytes) = connected.bytes();
                PeerInfo {
                    peer: *peer,
                    address: connected.sockets().next(),
                    listens: connected.listens,
                    outbound: connected.outbound,
                    agent: connected.agent.clone(),
                    round_trip: connected.round_trip,
                    connected_for: connected.since.elapsed(),
                    received_bytes,
                    sent_bytes,
                    sync: None,
                }
            })
            .collect();
        peers.sort_by_key(|peer| std::cmp::Reverse(peer.connected_for));
        let gate = &self.swarm.behaviour().gate;
        let info = |whom: String, ban: &Ban| BanInfo {
            whom,
            until_secs: ban.until_secs,
            reason: ban.reason.clone(),
        };
        let bans = gate.bans.peers().map(|(peer, ban)| info(peer.to_string(), ban));
        let bans = bans.chain(gate.bans.ips().map(|(ip, ban)| info(ip.to_string(), ban))).collect();
        let (received_bytes, sent_bytes) = self.traffic.total.get();
        let totals = NetworkTotals {
            received_bytes,
            sent_bytes,
            bans: gate.bans.total,
            denied: gate.denied_total,
            ..self.totals
        };
        self.board.post_network(NetworkInfo {
            alone_for: Duration::ZERO,
            peers,
            bans,
            listens: self.listens.clone(),
            known_peers: self.book.len(),
            totals,
        });
    }

    /// From where a connected peer sees us.
    fn scope_of(&self, peer: &PeerId) -> Option<Scope> {
        self.connected.get(peer)?.sockets().filter_map(|socket| scope(socket.ip())).max()
    }
}
