//! The simulated world: virtual time, what happens next, and what must always hold.
//!
//! Every happening has its time; the earliest is next, and of those at the same time the one planned first. Happenings
//! meant for one life of a node, or one connection, are void when that is over.

mod check;
mod hostile;
mod life;
mod network;
mod users;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Instant;

use lf_node::core::sync::{Action, Event, PeerId, Ticket};
use lf_proto::hash::Hash;
use lf_proto::owner::OwnerPublic;
use lf_proto::pulse::Pulse;
use lf_proto::record::Record;

use crate::node::{Message, SimNode};
use crate::random::Random;
use crate::scenario::Scenario;
use crate::trace::Trace;
use crate::verdicts::Verdicts;
use users::Users;

/// How often replication is told the time, in microseconds.
const TICK_US: u64 = 100_000;
/// How often nodes look after their neighbours, in microseconds.
const HEARTBEAT_US: u64 = 1_000_000;
/// How often invariants are looked at, in microseconds.
const PROBE_US: u64 = 1_000_000;
/// How far a wrong clock is off, in seconds: more than the network lets pass.
const WRONG_CLOCK_SECS: i64 = 300;
/// Actions after one event, at most.
const ACTIONS_MAX: usize = 100_000;

/// What is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Seconds from the beginning.
    pub at_secs: u64,
    /// What does not hold.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} s: {}", self.at_secs, self.what)
    }
}

impl std::error::Error for Violation {}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Milliseconds from each record's being written to its being linked at each other honest node.
    pub delays_ms: Vec<u32>,
    /// Gossip messages that arrived at honest nodes, copies included.
    pub gossip_copies: u64,
    /// Their bytes.
    pub gossip_bytes: u64,
    /// Of them, those that hold a record.
    pub record_copies: u64,
    /// Bytes of questions and answers that arrived at honest nodes.
    pub question_bytes: u64,
    /// Questions asked by honest nodes.
    pub questions: u64,
    /// Bytes of the records that users wrote.
    pub record_bytes: u64,
    /// Records that users wrote and that were acknowledged.
    pub records: u64,
    /// Pulses that users made, and at how many nodes they arrived in all.
    pub pulses: (u64, u64),
    /// Bans of hostile nodes by honest ones.
    pub bans: u64,
    /// The most questions that one honest node had asked and not been answered yet.
    pub asking_max: usize,
    /// The most records that one honest node had under check.
    pub checking_max: usize,
    /// The most gossip messages that waited for a verdict at one honest node.
    pub waiting_max: usize,
    /// Contested names that honest nodes settled.
    pub names_settled: u64,
    /// Seconds from the healing to agreement.
    pub settled_secs: u64,
}

/// How a simulation that broke nothing ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Honest nodes.
    pub honest: usize,
    /// Records all of them have linked, those of the genesis included.
    pub linked: u32,
    /// The digest of everything that happened.
    pub trace: u64,
    /// How many things happened.
    pub events: u64,
    /// What was counted.
    pub figures: Figures,
}

/// What travels over a connection.
#[derive(Debug, Clone)]
enum Packet {
    Gossip(Rc<Message>),
    /// These messages came lately, by content hash.
    Have(Vec<u64>),
    /// These messages, please.
    Want(Vec<u64>),
    Question {
        ticket: Ticket,
        bytes: Vec<u8>,
    },
    Answer {
        ticket: Ticket,
        bytes: Vec<u8>,
        offence: bool,
    },
}

/// Something that will happen.
#[derive(Debug)]
enum Happening {
    /// A node starts, for the first time or again.
    Start { node: usize },
    /// A node crashes; `armed`: in the middle of its next write.
    Crash { node: usize, armed: bool },
    /// Replication is told the time.
    Tick { node: usize, life: u64 },
    /// A node looks after its neighbours.
    Heartbeat { node: usize, life: u64 },
    /// A node has dialled another.
    Open { from: usize, to: usize, life: u64 },
    /// A node notices that a connection is gone.
    Close { node: usize, peer: usize, connection: u64 },
    /// Something arrives.
    Deliver { from: usize, to: usize, connection: u64, packet: Packet },
    /// A question will not be answered any more.
    Unanswered { node: usize, life: u64, ticket: Ticket },
    /// Records were checked and are to be stored.
    Checked { node: usize, life: u64, ticket: Ticket, records: Vec<Record> },
    /// Pulses were checked and are to be stored.
    PulsesChecked { node: usize, life: u64, ticket: Ticket, peer: usize, pulses: Vec<Pulse> },
    /// A user writes a record.
    Write,
    /// A user renews a record.
    Pulse,
    /// The network's owner amends its parameters.
    Amend,
    /// A hostile node does its worst.
    Act { node: usize },
    /// A part of the network is cut off.
    Cut,
    /// The parts come together.
    Mend,
    /// Some connection breaks.
    Break,
    /// Everything heals.
    Heal,
    /// Invariants are looked at.
    Probe,
}

struct Planned {
    at_us: u64,
    number: u64,
    what: Happening,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        (self.at_us, self.number) == (other.at_us, other.number)
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_us, self.number).cmp(&(other.at_us, other.number))
    }
}

/// A whole simulation.
struct World {
    scenario: Scenario,
    now_us: u64,
    planned: BinaryHeap<Reverse<Planned>>,
    planned_next: u64,
    random: Random,
    nodes: Vec<SimNode>,
    by_peer: BTreeMap<PeerId, usize>,
    /// Nodes of different groups do not reach each other.
    groups: Vec<u8>,
    connection_next: u64,
    verdicts: Verdicts,
    users: Users,
    /// When and where honest records were written, for figures.
    born: BTreeMap<Hash, (u64, usize)>,
    /// How often hostile nodes have sent something that is provably bad: by (to, from).
    offences: BTreeMap<(usize, usize), u32>,
    /// Who was given a contested name by a node with these linked records (number and digest).
    settled: BTreeMap<((u32, u128), [u8; 32]), OwnerPublic>,
    healed: bool,
    /// Some instant, as the rules for pulses want instants: all of them are counted from it.
    instant: Instant,
    trace: Trace,
    figures: Figures,
    broken: Option<Violation>,
    done: bool,
}

/// Runs a simulation to its end; `verbose` prints everything that happens to stderr.
///
/// # Errors
/// What does not hold, and when that was seen. A panic is one more thing that must not be.
pub fn run(scenario: &Scenario, verbose: bool) -> Result<Outcome, Violation> {
    // Nothing of the world is looked at after a panic.
    catch_unwind(AssertUnwindSafe(|| World::new(scenario, verbose).run())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
        Err(Violation { at_secs: 0, what: format!("a panic: {text}") })
    })
}

impl World {
    fn new(scenario: &Scenario, verbose: bool) -> World {
        let mut random = Random::new(scenario.seed);
        let count = scenario.honest + scenario.hostile.len();
        let mut nodes = Vec::with_capacity(count);
        for index in 0..count {
            let behaviour = index.checked_sub(scenario.honest).map(|i| scenario.hostile[i]);
            nodes.push(life::new_node(behaviour, scenario, &mut random));
        }
        let by_peer = nodes.iter().enumerate().map(|(index, node)| (node.peer, index)).collect();
        let users = Users::new(&mut random);
        World {
            scenario: scenario.clone(),
            now_us: 0,
            planned: BinaryHeap::new(),
            planned_next: 0,
            random,
            groups: vec![0; nodes.len()],
            nodes,
            by_peer,
            connection_next: 0,
            verdicts: Verdicts::default(),
            users,
            born: BTreeMap::new(),
            offences: BTreeMap::new(),
            settled: BTreeMap::new(),
            healed: false,
            instant: Instant::now(),
            trace: Trace::new(verbose),
            figures: Figures::default(),
            broken: None,
            done: false,
        }
    }

    /// Everything that is planned from the beginning.
    fn plan_all(&mut self) {
        let s = self.scenario.clone();
        let second = 1_000_000;
        let active_us = s.active_secs * second;
        let mut late: BTreeSet<usize> = BTreeSet::new();
        while late.len() < s.late.min(s.honest / 2) {
            late.insert(self.random.index(s.honest));
        }
        for node in 0..self.nodes.len() {
            let at = self.random.below(second);
            let at = if late.contains(&node) { active_us / 2 + at } else { at };
            self.plan(at, Happening::Start { node });
            if !self.nodes[node].is_honest() {
                self.plan(3 * second + at, Happening::Act { node });
            }
        }
        for _ in 0..s.wrong_clocks {
            let (node, behind) = (self.random.index(s.honest), self.random.below(2) == 0);
            self.nodes[node].skew_secs = if behind { -WRONG_CLOCK_SECS } else { WRONG_CLOCK_SECS };
        }
        let during = |random: &mut Random| 4 * second + random.below(active_us.saturating_sub(5 * second));
        for _ in 0..s.writes {
            let at = during(&mut self.random);
            self.plan(at, Happening::Write);
        }
        if s.pulses {
            for at in (5 * second..active_us).step_by(7_000_000) {
                self.plan(at, Happening::Pulse);
            }
        }
        for _ in 0..s.amendments {
            let at = during(&mut self.random);
            self.plan(at, Happening::Amend);
        }
        for _ in 0..s.partitions {
            let at = during(&mut self.random);
            self.plan(at, Happening::Cut);
            let until = at + self.random.below(active_us);
            self.plan(until.min(active_us), Happening::Mend);
        }
        for _ in 0..s.crashes {
            let (at, node) = (during(&mut self.random), self.random.index(s.honest));
            let armed = self.random.below(2) == 0;
            self.plan(at, Happening::Crash { node, armed });
        }
        for _ in 0..s.breaks {
            let at = during(&mut self.random);
            self.plan(at, Happening::Break);
        }
        self.plan(active_us, Happening::Heal);
        self.plan(PROBE_US, Happening::Probe);
    }

    fn plan(&mut self, at_us: u64, what: Happening) {
        self.planned_next += 1;
        self.planned.push(Reverse(Planned {
            at_us: at_us.max(self.now_us),
            number: self.planned_next,
            what,
        }));
    }

    fn plan_in(&mut self, in_us: u64, what: Happening) {
        self.plan(self.now_us + in_us, what);
    }

    fn run(mut self) -> Result<Outcome, Violation> {
        self.plan_all();
        while let Some(Reverse(next)) = self.planned.pop() {
            self.now_us = next.at_us;
            self.happen(next.what);
            if let Some(broken) = self.broken.take() {
                return Err(broken);
            }
            if self.done {
                break;
            }
        }
        Ok(Outcome {
            honest: self.scenario.honest,
            linked: self.nodes.iter().find_map(|n| n.live.as_ref()).map_or(0, |live| live.linked),
            trace: self.trace.digest(),
            events: self.trace.events(),
            figures: self.figures,
        })
    }

    /// Something does not hold.
    fn fail(&mut self, what: String) {
        let at_secs = self.now_us / 1_000_000;
        self.broken.get_or_insert(Violation { at_secs, what });
    }

    fn note(&mut self, what: &'static str, numbers: &[u64]) {
        self.trace.note(self.now_us, what, numbers);
    }

    fn is_life(&self, node: usize, life: u64) -> bool {
        self.nodes[node].life == life && self.nodes[node].live.is_some()
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Start { node } => self.start(node),
            Happening::Crash { node, armed } => self.crash(node, armed),
            Happening::Tick { node, life } if self.is_life(node, life) => {
                self.plan_in(TICK_US, Happening::Tick { node, life });
                self.tell(node, Event::Tick);
            }
            Happening::Heartbeat { node, life } if self.is_life(node, life) => {
                self.plan_in(HEARTBEAT_US, Happening::Heartbeat { node, life });
                self.heartbeat(node);
            }
            Happening::Open { from, to, life } if self.is_life(from, life) => self.open(from, to),
            Happening::Close { node, peer, connection } => self.close(node, peer, connection),
            Happening::Deliver { from, to, connection, packet } => self.deliver(from, to, connection, packet),
            Happening::Unanswered { node, life, ticket } if self.is_life(node, life) => {
                self.unanswered(node, ticket);
            }
            Happening::Checked { node, life, ticket, records } if self.is_life(node, life) => {
                self.store_records(node, ticket, &records);
            }
            Happening::PulsesChecked { node, life, ticket, peer, pulses } if self.is_life(node, life) => {
                self.store_pulses(node, ticket, peer, &pulses);
            }
            Happening::Write => self.write(),
            Happening::Pulse => self.pulse(),
            Happening::Amend => self.amend(),
            Happening::Act { node } => self.act(node),
            Happening::Cut => self.cut(),
            Happening::Mend => self.mend(),
            Happening::Break => self.break_connection(),
            Happening::Heal => self.heal(),
            Happening::Probe => {
                self.plan_in(PROBE_US, Happening::Probe);
                self.probe();
            }
            // Meant for a life that is over.
            _ => {}
        }
    }

    /// Tells a node's replication of an event and carries out what it wants done.
    fn tell(&mut self, node: usize, event: Event) {
        let now = self.nodes[node].now(self.now_us);
        let lies = matches!(event, Event::Question { .. }) && self.lies(node);
        let SimNode { live: Some(live), decoy, .. } = &mut self.nodes[node] else { return };
        let view = match decoy {
            Some(decoy) if lies => decoy.reader().view(),
            _ => live.reader.view(),
        };
        live.sync.handle(event, &view, now);
        drop(view);
        let mut actions = Vec::new();
        while let Some(action) = live.sync.poll() {
            actions.push(action);
            if actions.len() > ACTIONS_MAX {
                return self.fail(format!("node {node} wants more than {ACTIONS_MAX} things done at once"));
            }
        }
        if self.nodes[node].storage.is_dead() {
            // The power was cut while it read.
            return self.die(node);
        }
        for action in actions {
            // An action may have ended this life: a ban cannot, but what is stored may cut the power.
            if self.nodes[node].live.is_none() {
                break;
            }
            match self.nodes[node].behaviour {
                None => self.carry_out(node, action),
                Some(behaviour) => {
                    if let Some(action) = self.twist(node, behaviour, action) {
                        self.carry_out(node, action);
                    }
                }
            }
        }
    }

    /// Does what replication wants done.
    fn carry_out(&mut self, node: usize, action: Action) {
        match action {
            Action::Ask { peer, ticket, bytes } => self.ask(node, peer, ticket, bytes),
            Action::Reply { asked, bytes } => self.reply(node, asked, bytes, false),
            Action::Check { ticket, records, .. } => self.check_records(node, ticket, records),
            Action::CheckPulses { ticket, peer, pulses } => self.check_pulses(node, ticket, peer, pulses),
            Action::Publish { bytes } => self.publish(node, bytes),
            Action::Judge { message, verdict, .. } => self.judge(node, message, verdict),
            Action::Ban { peer, secs, reason } => self.ban(node, peer, secs, reason),
            Action::SettleNames => self.settle_names(node),
        }
    }
}
