//! What is simulated: how many nodes, who of them is hostile and how, what the network does to them, and what they write.
//! A scenario and a seed say everything.

use std::fmt;

use crate::random::Random;
use crate::records::Flaw;

/// What a hostile node does. It speaks the same bytes, and does everything else as honest nodes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Behaviour {
    /// Sends records that are wrong in one way.
    Flawed(Flaw),
    /// Sends many records that are good.
    FloodRecords,
    /// Sends many gossip messages that mean nothing.
    FloodJunk,
    /// Asks the same and other things again and again.
    FloodQuestions,
    /// Sends records that link to others which nobody has.
    WithheldLinks,
    /// Answers questions with junk.
    JunkAnswers,
    /// Answers questions in form, and not truly.
    Lies,
    /// Answers from one state of its records now, from another one then.
    Equivocate,
    /// Publishes records of its own under every name it sees.
    Squat,
    /// Sends pulses that are forged, and those of others again.
    ForgePulses,
    /// Never answers, never forwards.
    Silent,
}

impl Behaviour {
    /// All of them.
    pub fn all() -> Vec<Behaviour> {
        let mut all: Vec<Behaviour> = Flaw::ALL.into_iter().map(Behaviour::Flawed).collect();
        all.extend([
            Behaviour::FloodRecords,
            Behaviour::FloodJunk,
            Behaviour::FloodQuestions,
            Behaviour::WithheldLinks,
            Behaviour::JunkAnswers,
            Behaviour::Lies,
            Behaviour::Equivocate,
            Behaviour::Squat,
            Behaviour::ForgePulses,
            Behaviour::Silent,
        ]);
        all
    }

    /// Its name in scenarios.
    pub fn name(self) -> &'static str {
        match self {
            Behaviour::Flawed(Flaw::Malformed) => "malformed",
            Behaviour::Flawed(Flaw::Signature) => "signature",
            Behaviour::Flawed(Flaw::Claim) => "claim",
            Behaviour::Flawed(Flaw::TooLarge) => "too-large",
            Behaviour::Flawed(Flaw::Future) => "future",
            Behaviour::Flawed(Flaw::ForeignGenesis) => "foreign-genesis",
            Behaviour::Flawed(Flaw::FewLinks) => "few-links",
            Behaviour::FloodRecords => "flood-records",
            Behaviour::FloodJunk => "flood-junk",
            Behaviour::FloodQuestions => "flood-questions",
            Behaviour::WithheldLinks => "withheld-links",
            Behaviour::JunkAnswers => "junk-answers",
            Behaviour::Lies => "lies",
            Behaviour::Equivocate => "equivocate",
            Behaviour::Squat => "squat",
            Behaviour::ForgePulses => "forge-pulses",
            Behaviour::Silent => "silent",
        }
    }
}

/// How messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    /// Least and most latency of a connection, in microseconds; each has its own.
    pub latency_us: (u64, u64),
    /// Each message takes up to so much longer, in microseconds; so they overtake each other.
    pub jitter_us: u64,
    /// Messages that are lost, of a million.
    pub loss_ppm: u64,
    /// Messages that arrive twice, of a million.
    pub duplicate_ppm: u64,
    /// What a node can send, in bytes a second.
    pub bandwidth_bytes: u64,
}

/// How gossip spreads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mesh {
    /// Neighbours that messages are forwarded to: the least, the usual number, and the most.
    pub degree: (usize, usize, usize),
    /// Whether own messages go to all peers rather than to these neighbours.
    pub flood_own: bool,
    /// Other peers that are told, every second, what came lately, so that they can ask for what they lack.
    pub lazy: usize,
}

impl Default for Mesh {
    fn default() -> Self {
        // The fewest that still keep a record's way short: the report says what others cost.
        Mesh { degree: (3, 3, 4), flood_own: true, lazy: 6 }
    }
}

/// A simulation's plan. Times are in seconds from the beginning.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// All randomness comes from it.
    pub seed: u64,
    /// Honest nodes.
    pub honest: usize,
    /// Hostile nodes: what each of them does.
    pub hostile: Vec<Behaviour>,
    /// Peers each node dials.
    pub outbound: usize,
    /// How messages travel.
    pub wire: Wire,
    /// How gossip spreads.
    pub mesh: Mesh,
    /// Records that honest users write.
    pub writes: usize,
    /// During which they are written, and everything below happens.
    pub active_secs: u64,
    /// After that everything heals; how long it may then take until all honest nodes agree.
    pub settle_secs_max: u64,
    /// Every so manieth record is written under a name that others write under, too; 0: none.
    pub contested_every: u64,
    /// Whether records are pulsed.
    pub pulses: bool,
    /// Amendments of the network's parameters.
    pub amendments: usize,
    /// Partitions, each of a part of the network.
    pub partitions: usize,
    /// Crashes of nodes, half of them in the middle of a write.
    pub crashes: usize,
    /// Connections that break for a moment.
    pub breaks: usize,
    /// Nodes that join late, with an empty disk.
    pub late: usize,
    /// How far clocks are off, in seconds.
    pub skew_secs: u64,
    /// Nodes whose clock is off by five minutes, until everything heals.
    pub wrong_clocks: usize,
    /// Whether the network asks for certificates; one of those it gives is revoked half way.
    pub certified: bool,
    /// Whether honest node 0 has one honest peer and is dialled by all hostile ones.
    pub eclipse: bool,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.hostile.iter().map(|b| b.name()).collect();
        write!(
            f,
            "{} seed {}: {} honest, hostile [{}], {} writes in {} s, {} partitions, {} crashes, {} breaks, {} late",
            self.name,
            self.seed,
            self.honest,
            names.join(" "),
            self.writes,
            self.active_secs,
            self.partitions,
            self.crashes,
            self.breaks,
            self.late
        )
    }
}

impl Scenario {
    /// A network in which nothing goes wrong.
    pub fn calm(seed: u64, nodes: usize) -> Scenario {
        Scenario {
            name: "calm".into(),
            seed,
            honest: nodes.max(2),
            hostile: Vec::new(),
            outbound: 8.min(nodes.saturating_sub(1)),
            wire: Wire {
                latency_us: (50_000, 150_000),
                jitter_us: 20_000,
                loss_ppm: 0,
                duplicate_ppm: 0,
                bandwidth_bytes: 4 << 20,
            },
            mesh: Mesh::default(),
            writes: 40,
            active_secs: 40,
            settle_secs_max: 300,
            contested_every: 5,
            pulses: true,
            amendments: 0,
            partitions: 0,
            crashes: 0,
            breaks: 0,
            late: 0,
            skew_secs: 2,
            wrong_clocks: 0,
            certified: false,
            eclipse: false,
        }
    }

    /// A small mixed one: what a seed means where nothing else is said.
    pub fn small(seed: u64) -> Scenario {
        let random = &mut Random::new(seed ^ 0x73_6d61_6c6c);
        let nodes = if random.below(8) == 0 { 15 + random.index(16) } else { 5 + random.index(8) };
        Scenario::mixed(seed, nodes)
    }

    /// Everything that can go wrong, in a mixture that the seed chooses.
    pub fn mixed(seed: u64, nodes: usize) -> Scenario {
        let random = &mut Random::new(seed ^ 0x6d_6978_6564);
        let mut s = Scenario { name: "mixed".into(), ..Scenario::calm(seed, nodes) };
        let hostile = random.index(nodes / 3 + 1);
        let all = Behaviour::all();
        s.hostile = (0..hostile).filter_map(|_| random.pick(&all)).collect();
        s.honest = (nodes - hostile).max(2);
        s.outbound = 3 + random.index(5);
        s.wire = Wire {
            latency_us: (1_000 + random.below(50_000), 60_000 + random.below(200_000)),
            jitter_us: random.below(200_000),
            loss_ppm: [0, 0, 1_000, 20_000, 100_000][random.index(5)],
            duplicate_ppm: [0, 20_000][random.index(2)],
            bandwidth_bytes: [100 << 10, 1 << 20, 16 << 20][random.index(3)],
        };
        s.writes = 15 + random.index(30);
        s.active_secs = 20 + random.below(50);
        s.pulses = random.below(3) == 0;
        s.amendments = random.index(3);
        s.partitions = random.index(3);
        s.crashes = random.index(4);
        s.breaks = random.index(6);
        s.late = random.index(2);
        s.skew_secs = random.below(40);
        s.wrong_clocks = usize::from(random.below(5) == 0);
        s.eclipse = !s.hostile.is_empty() && random.below(4) == 0;
        s
    }

    /// A scenario by name: `calm`, `mixed`, `lossy`, `partition`, `crash`, `clocks`, `amend`, `certified`, `late`, `eclipse`, or
    /// what a hostile node does. `None` if there is none of that name.
    pub fn by_name(name: &str, seed: u64, nodes: usize) -> Option<Scenario> {
        let calm = Scenario { name: name.into(), ..Scenario::calm(seed, nodes) };
        let some = |of: usize| (nodes / of).max(1);
        Some(match name {
            "calm" => calm,
            "mixed" => Scenario::mixed(seed, nodes),
            "lossy" => {
                let wire = Wire {
                    jitter_us: 300_000,
                    loss_ppm: 150_000,
                    duplicate_ppm: 50_000,
                    bandwidth_bytes: 64 << 10,
                    ..calm.wire
                };
                Scenario { wire, breaks: nodes, ..calm }
            }
            "partition" => Scenario { partitions: 2, ..calm },
            "crash" => Scenario { crashes: nodes, ..calm },
            "clocks" => Scenario { skew_secs: 50, wrong_clocks: some(5), ..calm },
            "amend" => Scenario { amendments: 4, ..calm },
            "certified" => Scenario {
                writes: 120,
                certified: true,
                pulses: false,
                partitions: 2,
                crashes: some(3),
                late: some(4),
                ..calm
            },
            "late" => Scenario { late: some(4), ..calm },
            "eclipse" => {
                let hostile = (0..some(2)).map(|i| match i % 5 {
                    0 => Behaviour::Silent,
                    1 => Behaviour::Equivocate,
                    2 => Behaviour::JunkAnswers,
                    3 => Behaviour::Lies,
                    _ => Behaviour::WithheldLinks,
                });
                Scenario {
                    honest: (nodes - some(2)).max(2),
                    hostile: hostile.collect(),
                    eclipse: true,
                    ..calm
                }
            }
            other => {
                let behaviour = Behaviour::all().into_iter().find(|b| b.name() == other)?;
                Scenario {
                    honest: (nodes - some(4)).max(2),
                    hostile: vec![behaviour; some(4)],
                    contested_every: 3,
                    ..calm
                }
            }
        })
    }

    /// The names that [`Scenario::by_name`] knows.
    pub fn names() -> Vec<&'static str> {
        let mut names = vec![
            "calm",
            "mixed",
            "lossy",
            "partition",
            "crash",
            "clocks",
            "amend",
            "certified",
            "late",
            "eclipse",
        ];
        names.extend(Behaviour::all().into_iter().map(Behaviour::name));
        names
    }
}
