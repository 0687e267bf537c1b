//! A simulated node: the real store, rules and replication, and what a transport keeps for them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use lf_node::core::limbo::Limbo;
use lf_node::core::pulse::{Allowances, KnownPulses};
use lf_node::core::sync::wire::Gossip;
use lf_node::core::sync::{MessageId, Now, PeerId, Sync, Ticket};
use lf_proto::hash::Hash;
use lf_store::storage::SimStorage;
use lf_store::{IndexPlace, Store, StoreError, StoreOptions, StoreReader, View};

use crate::random::Random;
use crate::records::{BEGIN_SECS, DRIFT_SECS, genesis};
use crate::scenario::Behaviour;
use crate::trace::number_of;

/// Records that may wait for links in a simulated store: few, so that floods of such reach the bound.
pub(crate) const PENDING_RECORDS_MAX: u64 = 256;
/// Content hashes of gossip messages are remembered for so long at least, in microseconds.
const SEEN_US: u64 = 120_000_000;

/// A gossip message.
#[derive(Debug)]
pub(crate) struct Message {
    /// What tells it from others: its content's hash.
    pub(crate) id: u64,
    pub(crate) bytes: Vec<u8>,
    /// Whether it holds a record.
    pub(crate) is_record: bool,
    /// Whether sending it is an offence that can be proven.
    pub(crate) offence: bool,
}

impl Message {
    pub(crate) fn new(bytes: Vec<u8>, offence: bool) -> Rc<Message> {
        let is_record = matches!(Gossip::decode(&bytes), Ok(Gossip::Record(_)));
        Rc::new(Message { id: number_of(&bytes), bytes, is_record, offence })
    }
}

/// A node's side of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    pub(crate) id: u64,
    pub(crate) latency_us: u64,
    pub(crate) outbound: bool,
}

/// A gossip message that waits for a verdict.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) message: Rc<Message>,
    /// Who has it already: all who sent it.
    pub(crate) sources: Vec<usize>,
    pub(crate) at_us: u64,
}

/// A question of somebody that waits for an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) by: usize,
    pub(crate) connection: u64,
    pub(crate) ticket: Ticket,
    pub(crate) at_us: u64,
    /// What kind of question it is: its first byte.
    pub(crate) kind: Option<u8>,
}

/// Content hashes seen lately, in two generations.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    now: BTreeSet<u64>,
    before: BTreeSet<u64>,
    turned_us: u64,
}

impl Seen {
    /// Whether a message was seen.
    pub(crate) fn contains(&self, id: u64) -> bool {
        self.now.contains(&id) || self.before.contains(&id)
    }

    /// Takes notice of a message; returns whether it is new.
    pub(crate) fn insert(&mut self, id: u64, at_us: u64) -> bool {
        if at_us >= self.turned_us + SEEN_US {
            self.before = std::mem::take(&mut self.now);
            self.turned_us = at_us;
        }
        !self.before.contains(&id) && self.now.insert(id)
    }
}

/// The part of a node that a crash ends.
pub(crate) struct Live {
    pub(crate) store: Store,
    pub(crate) reader: StoreReader,
    pub(crate) sync: Sync,
    pub(crate) known_pulses: KnownPulses,
    pub(crate) allowances: Allowances<usize>,
    /// The sum of the hashes of all linked records: equal if their sets are.
    pub(crate) digest: u128,
    pub(crate) linked: u32,
    /// Neighbours that gossip is forwarded to.
    pub(crate) mesh: BTreeSet<usize>,
    pub(crate) seen: Seen,
    /// Messages that it has published or forwarded lately, and when.
    pub(crate) lately: VecDeque<(u64, Rc<Message>)>,
    pub(crate) waiting: BTreeMap<MessageId, Waiting>,
    /// Messages under judgement, by content.
    pub(crate) judging: BTreeMap<u64, MessageId>,
    pub(crate) asked: BTreeMap<u64, Asked>,
    /// Whom our questions were asked.
    pub(crate) asking: BTreeMap<Ticket, usize>,
    /// Records under check.
    pub(crate) checking: BTreeMap<Ticket, usize>,
    pub(crate) number_next: u64,
    /// Records that wait for a certificate. A crash forgets them.
    pub(crate) limbo: Limbo,
    pub(crate) started_us: u64,
}

impl Live {
    pub(crate) fn number(&mut self) -> u64 {
        self.number_next += 1;
        self.number_next
    }
}

/// A node, running or not.
pub(crate) struct SimNode {
    pub(crate) peer: PeerId,
    pub(crate) behaviour: Option<Behaviour>,
    pub(crate) storage: SimStorage,
    /// Another store, for nodes that say now this, now that.
    pub(crate) decoy: Option<Store>,
    pub(crate) live: Option<Live>,
    /// Counts starts and crashes, so that nothing meant for one life reaches another.
    pub(crate) life: u64,
    /// The power will fail in the middle of something.
    pub(crate) armed: bool,
    pub(crate) skew_secs: i64,
    /// Records that somebody was told are stored here.
    pub(crate) acknowledged: BTreeSet<Hash>,
    /// Pulses likewise: the minute by token.
    pub(crate) acknowledged_pulses: BTreeMap<u64, u32>,
    /// Until when peers are banned, in microseconds.
    pub(crate) banned: BTreeMap<usize, u64>,
    pub(crate) connections: BTreeMap<usize, Connection>,
    pub(crate) uplink_free_us: u64,
    /// Gossip and questions that a hostile node has seen, to be used again.
    pub(crate) captured: Vec<Vec<u8>>,
    pub(crate) captured_questions: Vec<Vec<u8>>,
    /// Records that a hostile node has made.
    pub(crate) made: usize,
}

impl SimNode {
    pub(crate) fn is_honest(&self) -> bool {
        self.behaviour.is_none()
    }

    /// Whether its clock is off by more than the network lets pass.
    pub(crate) fn has_wrong_clock(&self) -> bool {
        self.skew_secs.unsigned_abs() > DRIFT_SECS
    }

    /// The time as this node has it.
    pub(crate) fn now(&self, now_us: u64) -> Now {
        let started_us = self.live.as_ref().map_or(0, |live| live.started_us);
        let secs = (BEGIN_SECS + now_us / 1_000_000).saturating_add_signed(self.skew_secs);
        Now { ticks_ms: now_us.saturating_sub(started_us) / 1_000, unix_secs: secs }
    }
}

fn options(storage: SimStorage, certified: bool, random: &mut Random) -> StoreOptions {
    let mut options =
        StoreOptions::new(Arc::new(storage), IndexPlace::Memory, genesis(certified).clone(), random.bytes());
    options.pending_records_max = PENDING_RECORDS_MAX;
    options.checkpoint_records_min = 32;
    // Small enough that there are several.
    options.log.segment_bytes_max = 16 << 10;
    options
}

/// Opens a store on a disk as it is.
pub(crate) fn open_store(
    storage: SimStorage,
    certified: bool,
    random: &mut Random,
) -> Result<Store, StoreError> {
    Store::open(options(storage, certified, random)).map(|(store, _)| store)
}

/// Starts a node on the disk as it is.
pub(crate) fn start(
    storage: SimStorage,
    certified: bool,
    now_us: u64,
    random: &mut Random,
) -> Result<Live, StoreError> {
    let store = open_store(storage, certified, random)?;
    let reader = store.reader();
    let view = reader.view();
    let mut live = Live {
        store,
        reader: reader.clone(),
        sync: Sync::new(random.bytes()),
        known_pulses: KnownPulses::default(),
        allowances: Allowances::default(),
        digest: 0,
        linked: 0,
        mesh: BTreeSet::new(),
        seen: Seen::default(),
        lately: VecDeque::new(),
        waiting: BTreeMap::new(),
        judging: BTreeMap::new(),
        asked: BTreeMap::new(),
        asking: BTreeMap::new(),
        checking: BTreeMap::new(),
        number_next: 0,
        limbo: Limbo::default(),
        started_us: now_us,
    };
    follow(&mut live, &view)?;
    Ok(live)
}

/// Takes notice of what became linked; returns the hashes.
pub(crate) fn follow(live: &mut Live, view: &View) -> Result<Vec<Hash>, StoreError> {
    let mut new = Vec::new();
    for index in live.linked..view.linked() {
        if let Some(row) = view.row(index)? {
            let (first, _) = row.hash.0.split_at(16);
            live.digest = live.digest.wrapping_add(first.iter().fold(0, |a, b| a << 8 | u128::from(*b)));
            new.push(row.hash);
        }
    }
    live.linked = view.linked();
    Ok(new)
}
