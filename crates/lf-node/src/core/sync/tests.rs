//! A few nodes that exchange messages at once and in order: what replication does when the network is well, and what it
//! does to peers that lie. Bad networks are the simulator's.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_proto::owner::{OwnerSecret, OwnerType};
use lf_proto::record::{RecordBuilder, RecordType};
use lf_store::storage::SimStorage;
use lf_store::{IndexPlace, Put, PutOutcome, SettledName, Store, StoreOptions, Stored};

use super::ranges::Bound;
use super::wire::{Difference, Gossip};
use super::*;
use lf_proto::hash::Hash;

fn build(
    owner: &OwnerSecret,
    record_type: RecordType,
    value: &[u8],
    links: &[Hash],
    timestamp: u64,
) -> Record {
    let builder = RecordBuilder {
        record_type,
        value,
        masking_key: Some(b""),
        selectors: &[],
        links,
        timestamp,
        with_pulse_token: false,
    };
    builder.build(owner).unwrap().sign(owner, None)
}

fn genesis() -> Genesis {
    let owner = OwnerSecret::from_seed(OwnerType::P384, b"genesis");
    let parameters = GenesisParameters { id: [9; 32], record_max_time_drift: 60, ..Default::default() };
    let first = build(&owner, RecordType::Genesis, parameters.to_json().as_bytes(), &[], 1_000);
    Genesis::parse(first.as_bytes()).unwrap()
}

/// Records that each link to the one before, and `leaves` among them that nothing links to.
fn history(count: u64, leaf_every: u64) -> (Vec<Record>, Vec<Record>) {
    let owner = OwnerSecret::from_seed(OwnerType::Ed25519, b"history");
    let mut tip = genesis().records()[0].hash();
    let (mut trunk, mut leaves) = (Vec::new(), Vec::new());
    for i in 0..count {
        let record = build(&owner, RecordType::Datum, &[7; 80], &[tip], 2_000 + i / 3);
        tip = record.hash();
        trunk.push(record);
        if leaf_every > 0 && i % leaf_every == leaf_every / 2 {
            leaves.push(build(&owner, RecordType::Datum, &[8; 80], &[tip], 2_000 + i / 3));
        }
    }
    (trunk, leaves)
}

struct TestNode {
    id: PeerId,
    store: Store,
    sync: Sync,
    /// Questions it asked of each peer, hints left out.
    asked: Vec<PeerId>,
    /// Bytes it sent and received with them.
    bytes: usize,
    published: usize,
    verdicts: Vec<Verdict>,
    banned: Vec<(PeerId, &'static str)>,
    settled: Vec<SettledName>,
}

impl TestNode {
    fn new(number: u8) -> Self {
        let storage = Arc::new(SimStorage::new(number.into()));
        let options = StoreOptions::new(storage, IndexPlace::Memory, genesis(), [1; 16]);
        let (store, _) = Store::open(options).unwrap();
        let sync = Sync::new([number; 32]);
        let id = PeerId([number; 32]);
        TestNode {
            id,
            store,
            sync,
            asked: Vec::new(),
            bytes: 0,
            published: 0,
            verdicts: Vec::new(),
            banned: Vec::new(),
            settled: Vec::new(),
        }
    }

    /// Stores records as if they were checked.
    fn put<'a>(&mut self, records: impl IntoIterator<Item = &'a Record>) -> Vec<Outcome> {
        let put = |record: &Record| {
            let selectors = record.recover_selectors().unwrap();
            Put { record: record.clone(), selectors, work_verified: false }
        };
        let puts: Vec<Put> = records.into_iter().map(put).collect();
        let applied = self.store.apply(&puts, &[]).unwrap();
        let outcome = |outcome| match outcome {
            PutOutcome::Stored(Stored::Linked(_)) => Outcome::Linked { good: true },
            PutOutcome::Stored(Stored::Pending) => Outcome::Pending,
            PutOutcome::Duplicate => Outcome::Duplicate,
        };
        applied.records.into_iter().map(outcome).collect()
    }

    fn linked(&self) -> BTreeSet<Hash> {
        let view = self.store.reader().view();
        (0..view.linked()).map(|i| view.linked_hash(i).unwrap()).collect()
    }
}

/// What an outsider answers instead of a node.
type Liar = Box<dyn FnMut(Question) -> Vec<u8>>;

struct Net {
    nodes: Vec<TestNode>,
    liars: BTreeMap<PeerId, Liar>,
    now: Now,
    /// Whom an event is for, in order.
    events: VecDeque<(usize, Event)>,
    /// Questions under way: who asked, with which ticket.
    questions: Vec<(usize, Ticket)>,
    /// Records that no check lets pass.
    bad: BTreeSet<Hash>,
    /// Records that are refused as long as they are here, at this node.
    early: (usize, BTreeSet<Hash>),
    /// Records that a node has wait for their approval, and how often it was to check one.
    unapproved: (usize, BTreeSet<Hash>),
    limbo_checks: usize,
}

impl Net {
    fn new(count: u8) -> Self {
        let now = Now { ticks_ms: 1, unix_secs: 100_000 };
        let nodes = (0..count).map(TestNode::new).collect();
        Net {
            nodes,
            liars: BTreeMap::new(),
            now,
            events: VecDeque::new(),
            questions: Vec::new(),
            bad: BTreeSet::new(),
            early: (0, BTreeSet::new()),
            unapproved: (0, BTreeSet::new()),
            limbo_checks: 0,
        }
    }

    fn connect(&mut self, a: usize, b: usize) {
        let (of_a, of_b) = (self.nodes[a].id, self.nodes[b].id);
        self.events.push_back((a, Event::Connected { peer: of_b, outbound: true }));
        self.events.push_back((b, Event::Connected { peer: of_a, outbound: false }));
    }

    fn connect_liar(&mut self, to: usize, number: u8, liar: Liar) -> PeerId {
        let peer = PeerId([number; 32]);
        self.liars.insert(peer, liar);
        self.events.push_back((to, Event::Connected { peer, outbound: true }));
        peer
    }

    /// Lets time pass, in steps of 50 ms.
    fn run(&mut self, ms: u64) {
        let end = self.now.ticks_ms + ms;
        while self.now.ticks_ms < end {
            self.now.ticks_ms += 50;
            self.now.unix_secs = 100_000 + self.now.ticks_ms / 1_000;
            (0..self.nodes.len()).for_each(|node| self.events.push_back((node, Event::Tick)));
            while let Some((node, event)) = self.events.pop_front() {
                self.step(node, event);
            }
        }
    }

    fn step(&mut self, at: usize, event: Event) {
        let now = self.now;
        let node = &mut self.nodes[at];
        node.sync.handle(event, &node.store.reader().view(), now);
        while let Some(action) = self.nodes[at].sync.poll() {
            self.act(at, action);
        }
    }

    fn act(&mut self, at: usize, action: Action) {
        let id = self.nodes[at].id;
        let node = &mut self.nodes[at];
        match action {
            Action::Ask { peer, ticket, bytes } => {
                let question = Question::decode(&bytes).unwrap();
                if question != Question::Hint {
                    node.asked.push(peer);
                    node.bytes += bytes.len();
                }
                if let Some(liar) = self.liars.get_mut(&peer) {
                    let bytes = liar(question);
                    self.events.push_back((at, Event::Answer { ticket, bytes }));
                } else if let Some(to) = self.nodes.iter().position(|node| node.id == peer) {
                    self.questions.push((at, ticket));
                    let asked = self.questions.len() as u64 - 1;
                    self.events.push_back((to, Event::Question { peer: id, asked, bytes }));
                }
            }
            Action::Reply { asked, bytes } => {
                let Some((to, ticket)) = self.questions.get(asked as usize).copied() else { return };
                self.nodes[to].bytes += bytes.len();
                self.events.push_back((to, Event::Answer { ticket, bytes }));
            }
            Action::Check { ticket, records, .. } => {
                let refused = |record: &Record| match record.hash() {
                    hash if self.bad.contains(&hash) => Some(Outcome::Invalid),
                    hash if self.unapproved.0 == at && self.unapproved.1.contains(&hash) => {
                        Some(Outcome::Limbo)
                    }
                    hash if self.early.0 == at && self.early.1.contains(&hash) => Some(Outcome::Refused),
                    _ => None,
                };
                let refused: Vec<Option<Outcome>> = records.iter().map(refused).collect();
                self.limbo_checks += refused.iter().filter(|r| **r == Some(Outcome::Limbo)).count();
                let good = records.iter().zip(&refused).filter(|(_, refused)| refused.is_none());
                let mut good = node.put(good.map(|(record, _)| record)).into_iter();
                let outcomes = refused.iter().map(|refused| refused.unwrap_or_else(|| good.next().unwrap()));
                let outcomes = outcomes.collect();
                self.events.push_back((at, Event::Checked { ticket, outcomes }));
            }
            Action::CheckPulses { ticket, pulses, .. } => {
                // Here the value tells: even ones are news.
                let news = pulses.iter().map(|pulse| pulse.value() % 2 == 0).collect();
                self.events.push_back((at, Event::PulsesChecked { ticket, news }));
            }
            Action::Publish { bytes } => {
                node.published += 1;
                let others = (0..self.nodes.len()).filter(|other| *other != at);
                for other in others {
                    let event = Event::Gossip { peer: id, message: 0, bytes: bytes.clone() };
                    self.events.push_back((other, event));
                }
            }
            Action::Judge { verdict, .. } => node.verdicts.push(verdict),
            Action::SettleNames => node.settled.extend(node.store.settle_names(1).unwrap()),
            Action::Ban { peer, reason, .. } => {
                node.banned.push((peer, reason));
                self.events.push_back((at, Event::Disconnected { peer }));
            }
        }
    }
}

#[test]
fn a_new_node_gets_everything_and_knows_it() {
    let mut net = Net::new(2);
    let (trunk, leaves) = history(5_000, 50);
    net.nodes[0].put(trunk.iter().chain(&leaves));
    assert!(!net.nodes[1].sync.status().synchronized);
    net.connect(0, 1);
    net.run(5_000);
    assert_eq!(net.nodes[1].linked(), net.nodes[0].linked());
    for node in &net.nodes {
        let status = node.sync.status();
        assert!(status.synchronized, "{status:?}");
        assert_eq!((status.missing, node.published, node.banned.len()), (0, 0, 0));
    }
    let state = net.nodes[1].sync.peer(&net.nodes[0].id).unwrap();
    assert_eq!((state.state, state.records), (PeerState::Synced, 5_101));
}

#[test]
fn contested_names_are_settled_when_nothing_is_missing() {
    let mut net = Net::new(2);
    let (trunk, _) = history(50, 0);
    let owners = [b"one", b"two"].map(|seed| OwnerSecret::from_seed(OwnerType::Ed25519, seed));
    let claim = |owner: &OwnerSecret, name: &[u8], timestamp| {
        let selectors: &[(&[u8], u64)] = &[(name, 0)];
        let links = &[trunk[49].hash()];
        let (value, record_type) = (&[][..], RecordType::Datum);
        let builder = RecordBuilder {
            record_type,
            value,
            masking_key: None,
            selectors,
            links,
            timestamp,
            with_pulse_token: false,
        };
        builder.build(owner).unwrap().sign(owner, None)
    };
    // The second owner has more of the one name, the first of the other.
    let rivals = [(0, "a", 1), (1, "a", 2), (1, "a", 3), (1, "b", 4), (0, "b", 5), (0, "b", 6)]
        .map(|(owner, name, secs)| claim(&owners[owner], name.as_bytes(), 3_000 + secs));
    // They come before what they link to: nobody holds the names.
    net.nodes[1].put(&rivals);
    net.nodes[1].put(&trunk);
    net.nodes[0].put(trunk.iter().chain(&rivals[..1]));
    let contested = |net: &Net| net.nodes[1].store.reader().view().totals().unwrap().contested;
    net.run(5_000);
    assert_eq!(
        (contested(&net), net.nodes[1].settled.len()),
        (6, 0),
        "it has no peer, so it may lack anything"
    );
    net.connect(0, 1);
    net.run(10_000);
    assert_eq!(contested(&net), 0);
    let id = |record: &Record| record.id(&record.recover_selectors().unwrap());
    let mut want = vec![(id(&rivals[0]), *owners[1].public()), (id(&rivals[3]), *owners[0].public())];
    want.sort_by_key(|(id, _)| *id);
    let mut got: Vec<_> = net.nodes[1].settled.iter().map(|name| (name.id, name.owner)).collect();
    got.sort_by_key(|(id, _)| *id);
    assert_eq!(got, want);
    // There the first of each was linked before the others came: there is nothing to settle.
    assert_eq!(net.nodes[0].settled, []);
}

#[test]
fn scattered_missing_records_cost_few_questions_and_bytes() {
    let mut net = Net::new(2);
    let (trunk, leaves) = history(20_000, 100);
    net.nodes[0].put(trunk.iter().chain(&leaves));
    net.nodes[1].put(&trunk);
    let record_bytes: usize = leaves.iter().map(|record| record.as_bytes().len()).sum();
    net.connect(0, 1);
    net.run(500);
    assert_eq!(net.nodes[1].linked(), net.nodes[0].linked());
    let node = &net.nodes[1];
    assert!(node.asked.len() <= 5, "{} questions", node.asked.len());
    let extra = (node.bytes - record_bytes) / leaves.len();
    assert!(extra < 260, "{extra} bytes for each missing record");
}

#[test]
fn both_get_what_they_lack() {
    let mut net = Net::new(2);
    let (trunk, leaves) = history(3_000, 10);
    let (one, two) = leaves.split_at(leaves.len() / 2);
    net.nodes[0].put(trunk.iter().chain(one));
    net.nodes[1].put(trunk.iter().take(2_000).chain(two.iter().filter(|r| r.timestamp() < 2_600)));
    net.connect(0, 1);
    net.run(10_000);
    assert_eq!(net.nodes[0].linked(), net.nodes[1].linked());
    assert!(net.nodes.iter().all(|node| node.sync.status().synchronized && node.banned.is_empty()));
}

#[test]
fn records_that_are_refused_for_now_are_nobodys_fault_and_come_later() {
    let mut net = Net::new(2);
    let (trunk, leaves) = history(100, 10);
    net.nodes[0].put(trunk.iter());
    net.nodes[1].put(trunk.iter().chain(&leaves));
    net.early.1 = leaves.iter().map(Record::hash).collect();
    net.connect(0, 1);
    net.run(600_000);
    assert!(net.nodes.iter().all(|node| node.banned.is_empty()));
    assert_eq!(net.nodes[0].linked().len() + leaves.len(), net.nodes[1].linked().len());
    net.early.1.clear();
    net.run(60_000);
    assert_eq!(net.nodes[0].linked(), net.nodes[1].linked());
}

#[test]
fn a_first_sync_comes_from_several_peers_and_comes_once() {
    let mut net = Net::new(4);
    let (trunk, _) = history(30_000, 0);
    (0..3).for_each(|node| drop(net.nodes[node].put(&trunk)));
    let record_bytes: usize = trunk.iter().map(|record| record.as_bytes().len()).sum();
    (0..3).for_each(|node| net.connect(3, node));
    net.run(10_000);
    assert_eq!(net.nodes[3].linked(), net.nodes[0].linked());
    for node in &net.nodes[..3] {
        let asked = net.nodes[3].asked.iter().filter(|peer| **peer == node.id).count();
        assert!(asked >= 4, "{} was asked {asked} times", node.id);
    }
    assert!(
        net.nodes[3].bytes < record_bytes + record_bytes / 20,
        "{} for {record_bytes}",
        net.nodes[3].bytes
    );
    assert!(net.nodes[3].sync.status().synchronized);
}

#[test]
fn a_first_sync_is_begun_with_a_peer_of_our_choice() {
    let mut net = Net::new(4);
    let (trunk, _) = history(30_000, 0);
    (0..3).for_each(|node| drop(net.nodes[node].put(&trunk)));
    // Two come to it, and then it connects to one itself.
    net.connect(0, 3);
    net.connect(1, 3);
    net.connect(3, 2);
    let node = &mut net.nodes[3];
    // All are there before it looks at any.
    for _ in 0..6 {
        if let Some((at, event)) = net.events.pop_front() {
            match at {
                3 => drop(node.sync.on_event(event, &node.store.reader().view())),
                _ => net.events.push_back((at, event)),
            }
        }
    }
    net.run(10_000);
    assert_eq!(net.nodes[3].linked(), net.nodes[0].linked());
    assert_eq!(net.nodes[3].asked[0], net.nodes[2].id);
    for node in &net.nodes[..3] {
        assert!(net.nodes[3].asked.contains(&node.id), "the others help");
    }
}

#[test]
fn new_records_are_announced_by_one_and_forwarded_by_the_others() {
    let mut net = Net::new(3);
    (0..3).for_each(|node| net.connect(node, (node + 1) % 3));
    net.run(1_000);
    let (trunk, _) = history(10, 0);
    net.nodes[0].put(&trunk);
    net.run(200);
    assert_eq!(net.nodes[2].linked(), net.nodes[0].linked());
    assert_eq!(net.nodes.iter().map(|node| node.published).collect::<Vec<_>>(), [10, 0, 0]);
    assert_eq!(net.nodes[1].verdicts, [Verdict::Forward; 10]);
    assert_eq!(net.nodes[1].sync.status().gossip_new, 10);
}

#[test]
fn more_new_records_than_can_be_announced_are_compared_soon() {
    let mut net = Net::new(2);
    net.connect(0, 1);
    net.run(1_000);
    let (trunk, _) = history(9_000, 0);
    net.nodes[0].put(&trunk);
    net.run(9_000);
    assert!(net.nodes[0].published < 3_000);
    assert_eq!(net.nodes[1].linked(), net.nodes[0].linked());
}

#[test]
fn what_is_being_checked_is_bounded_in_bytes() {
    let mut node = TestNode::new(0);
    let view = node.store.reader().view();
    let now = Now { ticks_ms: 1, unix_secs: 100_000 };
    let mut checks = VecDeque::new();
    let mut handle = |event, checks: &mut VecDeque<(Ticket, Vec<usize>)>| {
        node.sync.handle(event, &view, now);
        while let Some(action) = node.sync.poll() {
            if let Action::Check { ticket, records, .. } = action {
                checks.push_back((ticket, records.iter().map(|record| record.as_bytes().len()).collect()));
            }
        }
    };
    let bytes = |checks: &VecDeque<(Ticket, Vec<usize>)>| checks.iter().flat_map(|c| &c.1).sum::<usize>();
    // Nothing that can be compressed.
    let mut state = 1u32;
    let mut value = || -> Vec<u8> {
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        (0..60_000).map(|_| byte()).collect()
    };
    let mut offered = 0;
    for number in 1..=40 {
        let peer = PeerId([number; 32]);
        handle(Event::Connected { peer, outbound: false }, &mut checks);
        let owner = OwnerSecret::from_seed(OwnerType::Ed25519, &[number]);
        for i in 0..10 {
            let record = build(&owner, RecordType::Datum, &value(), &[], 2_000 + i);
            offered += record.as_bytes().len();
            let bytes = Gossip::Record(Box::new(record)).encode();
            handle(Event::Gossip { peer, message: i, bytes }, &mut checks);
        }
    }
    let bound = super::intake::CHECKING_BYTES_MAX;
    assert!(offered > bound + (4 << 20));
    let mut checked = 0;
    while let Some((ticket, sizes)) = checks.pop_front() {
        let under_way = bytes(&checks) + sizes.iter().sum::<usize>();
        assert!(under_way <= bound + (1 << 20) + sizes[0], "{under_way}");
        // All that there is room for is under way, as long as there is anything.
        assert!(under_way >= bound || checked + under_way == offered);
        checked += sizes.iter().sum::<usize>();
        let outcomes = vec![Outcome::Refused; sizes.len()];
        handle(Event::Checked { ticket, outcomes }, &mut checks);
    }
    assert_eq!(checked, offered);
}

#[test]
fn what_an_announced_record_links_to_is_asked_for() {
    let mut net = Net::new(2);
    net.connect(0, 1);
    net.run(1_000);
    let (trunk, _) = history(40, 0);
    // The peer has them, and announces the last one only.
    net.nodes[0].put(&trunk);
    let view = net.nodes[0].store.reader().view();
    net.nodes[0].sync.handle(Event::Tick, &view, net.now);
    while net.nodes[0].sync.poll().is_some() {}
    let bytes = Gossip::Record(Box::new(trunk[39].clone())).encode();
    let event = Event::Gossip { peer: net.nodes[0].id, message: 1, bytes };
    net.events.push_back((1, event));
    net.run(3_000);
    assert_eq!(net.nodes[1].linked(), net.nodes[0].linked());
    // It could not be forwarded when it came: it is announced when its links are here.
    assert_eq!((&net.nodes[1].verdicts[..], net.nodes[1].published), (&[Verdict::Drop][..], 1));
}

#[test]
fn pulses_are_collected_and_only_news_go_on() {
    let mut net = Net::new(2);
    net.connect(0, 1);
    let pulse = |value: u64| {
        let mut bytes = [0; 11];
        bytes[..8].copy_from_slice(&value.to_be_bytes());
        bytes[10] = 1;
        Pulse::from_bytes(&bytes).unwrap()
    };
    (0..50).for_each(|i| net.events.push_back((0, Event::NewPulse { pulse: pulse(2 * i) })));
    net.run(400);
    assert_eq!((net.nodes[0].published, &net.nodes[1].verdicts[..]), (1, &[Verdict::Forward][..]));
    // Junk among good ones: these are announced anew, without it.
    let bytes = Gossip::Pulses(vec![pulse(100), pulse(101), pulse(102)]).encode();
    net.events.push_back((1, Event::Gossip { peer: net.nodes[0].id, message: 2, bytes }));
    net.run(400);
    assert_eq!(net.nodes[1].verdicts, [Verdict::Forward, Verdict::Drop]);
    assert_eq!((net.nodes[1].published, &net.nodes[0].verdicts[..]), (1, &[Verdict::Forward][..]));
}

#[test]
fn who_breaks_the_rules_is_banned() {
    let (trunk, leaves) = history(200, 10);
    // Junk for answers.
    let mut net = Net::new(1);
    net.connect_liar(0, 7, Box::new(|_| vec![77]));
    net.run(20_000);
    assert_eq!(net.nodes[0].banned, [(PeerId([7; 32]), "it sent an answer that is none")]);
    // Records that were not asked for.
    let mut net = Net::new(1);
    let records = trunk[..1].to_vec();
    net.connect_liar(
        0,
        7,
        Box::new(move |question| match question {
            Question::Compare { .. } => {
                let early = Bound { timestamp: 5, hash: [0; 32] };
                let content = Some(wire::Content { count: 3, fingerprint: [1; 4] });
                let parts = vec![
                    wire::Part { upper: early, content },
                    wire::Part { upper: Bound::END, content: None },
                ];
                Answer::Compared { total: 9, differing: vec![(0, Difference::Split(parts))] }.encode()
            }
            _ => Answer::Fetched { records: records.clone(), complete: 1, rest: None, lacking: 0 }.encode(),
        }),
    );
    net.run(20_000);
    assert_eq!(net.nodes[0].banned, [(PeerId([7; 32]), "it sent records that it was not asked for")]);
    // Invalid records.
    let mut net = Net::new(1);
    net.bad.extend(leaves.iter().map(Record::hash));
    let records = leaves.clone();
    net.connect_liar(
        0,
        7,
        Box::new(move |question| match question {
            Question::Compare { .. } => {
                let difference = Difference::Fetch { count: 20, marks: Vec::new() };
                Answer::Compared { total: 20, differing: vec![(0, difference)] }.encode()
            }
            _ => {
                let mut records = records.clone();
                records.sort_by_key(|record| (record.timestamp(), record.hash()));
                Answer::Fetched { records, complete: 1, rest: None, lacking: 0 }.encode()
            }
        }),
    );
    net.run(1_000);
    assert_eq!(net.nodes[0].banned, [(PeerId([7; 32]), "it sent a record that breaks the rules")]);
    // Promises and nothing behind them, again and again.
    let mut net = Net::new(1);
    net.connect_liar(
        0,
        7,
        Box::new(|question| match question {
            Question::Compare { .. } => {
                let difference = Difference::Fetch { count: 1_000_000, marks: Vec::new() };
                Answer::Compared { total: 1_000_000, differing: vec![(0, difference)] }.encode()
            }
            _ => Answer::Fetched { records: Vec::new(), complete: 1, rest: None, lacking: 0 }.encode(),
        }),
    );
    net.run(300_000);
    let reason = "it says again and again that something is missing here, and has nothing";
    assert_eq!(net.nodes[0].banned, [(PeerId([7; 32]), reason)]);
    assert!(!net.nodes[0].sync.status().synchronized);
}

#[test]
fn who_never_finishes_holds_nobody_up() {
    // A peer that says it has ten million records and gives one crumb a time.
    let mut net = Net::new(2);
    let (trunk, _) = history(2_000, 0);
    net.nodes[1].put(&trunk);
    let marks: Vec<Bound> = (1..4_000).map(|t| Bound { timestamp: t, hash: [0; 32] }).collect();
    net.connect_liar(
        0,
        0x77,
        Box::new(move |question| match question {
            Question::Compare { .. } => {
                let difference = Difference::Fetch { count: 10_000_000, marks: marks.clone() };
                Answer::Compared { total: 10_000_000, differing: vec![(0, difference)] }.encode()
            }
            Question::Fetch { ranges, .. } => {
                // Nothing in them, and the end of the range does not come nearer by more than a hair.
                let mut rest = ranges[0].span.lower;
                rest.hash[31] = rest.hash[31].wrapping_add(1);
                Answer::Fetched { records: Vec::new(), complete: 0, rest: Some(rest), lacking: 0 }.encode()
            }
            _ => Answer::Noted.encode(),
        }),
    );
    net.run(1_000);
    net.connect(0, 1);
    net.run(60_000);
    assert_eq!(net.nodes[0].linked(), net.nodes[1].linked());
}

#[test]
fn a_flood_of_questions_is_put_off_and_others_are_served() {
    let mut net = Net::new(2);
    let (trunk, _) = history(500, 0);
    net.nodes[0].put(&trunk);
    let view = net.nodes[0].store.reader().view();
    net.nodes[0].sync.handle(Event::Tick, &view, net.now);
    let flooder = PeerId([0x66; 32]);
    net.connect_liar(0, 0x66, Box::new(|_| Answer::Busy.encode()));
    net.run(50);
    let question = Question::Fetch {
        salt: [0; 8],
        ranges: vec![wire::Wanted { span: ranges::Span::ALL, have: Vec::new() }],
    };
    let view = net.nodes[0].store.reader().view();
    let node = &mut net.nodes[0].sync;
    let mut answers = Vec::new();
    for asked in 0..5_000 {
        node.handle(Event::Question { peer: flooder, asked, bytes: question.encode() }, &view, net.now);
        while let Some(action) = node.poll() {
            if let Action::Reply { bytes, .. } = action {
                answers.push(Answer::decode(&bytes).unwrap());
            }
        }
    }
    let busy = answers.iter().filter(|answer| **answer == Answer::Busy).count();
    assert!(busy > 3_000 && busy < 4_990, "{busy} were put off");
    net.connect(1, 0);
    net.run(2_000);
    assert_eq!(net.nodes[1].linked(), net.nodes[0].linked());
}

#[test]
fn what_waits_for_approval_is_not_fetched_again_and_blamed_on_nobody() {
    let mut net = Net::new(2);
    let (trunk, leaves) = history(300, 10);
    net.nodes[0].put(trunk.iter().chain(&leaves));
    net.unapproved = (1, leaves.iter().map(Record::hash).collect());
    net.connect(0, 1);
    net.run(400_000);
    assert_eq!(net.nodes[1].store.reader().view().linked() as usize, 1 + trunk.len());
    assert_eq!(net.limbo_checks, leaves.len(), "each came once");
    let status = net.nodes[1].sync.status();
    assert!(status.synchronized && status.missing == 0, "{status:?}");
    assert!(net.nodes.iter().all(|node| node.banned.is_empty()));
    // Announced by others it is not checked again, either.
    let (id, message) = (net.nodes[0].id, 7);
    let bytes = Gossip::Record(Box::new(leaves[0].clone())).encode();
    net.events.push_back((1, Event::Gossip { peer: id, message, bytes }));
    net.run(100);
    assert_eq!((net.limbo_checks, net.nodes[1].verdicts.last()), (leaves.len(), Some(&Verdict::Drop)));
    // What was driven out there is found again by comparing; what got its approval stays.
    net.unapproved = (1, BTreeSet::new());
    net.nodes[1].put(&leaves[..10]);
    let records = leaves[10..20].iter().map(|r| (r.timestamp(), r.hash())).collect();
    net.events.push_back((1, Event::Limbo { records }));
    net.run(100_000);
    assert_eq!(net.nodes[1].store.reader().view().linked() as usize, 1 + trunk.len() + leaves.len() - 10);
    net.events.push_back((1, Event::Limbo { records: Vec::new() }));
    net.run(100_000);
    assert_eq!(net.nodes[1].linked(), net.nodes[0].linked());
    assert!(net.nodes.iter().all(|node| node.banned.is_empty()));
}
