//! What a log entry does to the index: claims of ids, links, indexes, selectors, comments, pulses.
//!
//! A pure function of the index so far and the entry, so that applying the log again gives the same index. No I/O but
//! reads of the index through [`Txn`]; committing, weights and acknowledgements are the store's.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use lf_proto::cert::Serial;
use lf_proto::comment::Comment;
use lf_proto::genesis::{self, Genesis, GenesisParameters};
use lf_proto::hash::Hash;
use lf_proto::masking;
use lf_proto::owner::OwnerPublic;
use lf_proto::pulse::Pulse;
use lf_proto::record::{Record, RecordType};
use lf_proto::rotation::Rotation;
use lf_proto::selector::RecoveredSelector;

use crate::certs::{Root, add_roots};
use crate::engine::{Change, EngineError, EngineErrorKind};
use crate::filter::Filter;
use crate::rows::{
    Claim, LinkedRow, Meta, OwnerTotals, PendingRow, Row, RowError, SelectorRow, Standing, Successor,
    index_of, key,
};
use crate::txn::Txn;

mod certificates;

/// Recently linked records whose standing is kept in memory, about 100 bytes each.
const RECENT_RECORDS: usize = 1 << 15;

/// Owners whose totals are kept in memory.
const RECENT_OWNERS: usize = 1 << 14;

/// Tokens whose latest pulse's minute is kept in memory, in each of two generations of some 20 bytes a token.
const RECENT_PULSES: usize = 1 << 19;

/// Comments on records that are not stored, at most. Beyond it further ones are not kept: whoever pays for that many
/// commentary records about nothing cannot fill the disk with more.
const COMMENTS_WAITING_MAX: u64 = 1_000_000;

/// Pairs of records that wait and what they wait for that are kept in memory, some 100 bytes each.
const WAITING_KNOWN_MAX: usize = 1 << 16;

/// Changes beyond this many are committed before more records are linked.
const CHANGES_MAX: usize = 20_000;

/// Reading the index failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A row does not read back.
    #[error(transparent)]
    Row(#[from] RowError),
    /// A record could not be read back from the log while it was being linked.
    #[error("cannot read the log: {0}")]
    Log(String),
    /// There are as many linked records as an index can number.
    #[error("the index is full: it numbers at most 2^32 - 1 records")]
    Full,
}

impl IndexError {
    /// Whether the index does not read back and must be made again.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            IndexError::Row(_) => true,
            IndexError::Engine(e) => e.kind() == EngineErrorKind::Damaged,
            _ => false,
        }
    }
}

/// A network's parameters as linked genesis records have amended them.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub(crate) owner: OwnerPublic,
    pub(crate) parameters: GenesisParameters,
    /// Timestamp and hash of the last amendment applied. The hash decides between equal timestamps, so that the
    /// outcome does not depend on the order of arrival.
    pub(crate) amended: (u64, Hash),
    /// Root authorities that the genesis or any amendment has named, whichever came last.
    pub(crate) roots: Arc<Vec<Root>>,
    /// The parameters of the genesis.
    first: Arc<GenesisParameters>,
}

impl Network {
    /// The network as its genesis says.
    pub(crate) fn new(genesis: &Genesis) -> Self {
        let first = &genesis.records()[0];
        let amended = (first.timestamp(), Hash([0xff; 32]));
        let parameters = genesis.parameters().clone();
        let roots = Arc::new(add_roots(&[], &parameters, &parameters));
        let first_parameters = Arc::new(parameters.clone());
        Network { owner: *first.owner(), parameters, amended, roots, first: first_parameters }
    }

    /// Applies a linked genesis record if it is a newer amendment by the network's owner. Returns the serial numbers of
    /// root authorities that it names for the first time, newer or not: what those have issued can be told from what
    /// others did.
    pub(crate) fn amend(&mut self, record: &Record) -> Vec<Serial> {
        let newer = (record.timestamp(), record.hash()) > self.amended;
        let by_owner = *record.owner() == self.owner;
        if record.record_type() != RecordType::Genesis || !by_owner || record.stored_value().is_empty() {
            return Vec::new();
        }
        // Not parameters, or not masked with the empty key: a genesis record without meaning.
        let Ok(text) = genesis::plain_value(record) else { return Vec::new() };
        let mut named = (*self.first).clone();
        if text.is_empty() || named.amend(&text).is_err() {
            return Vec::new();
        }
        if newer && self.parameters.amend(&text).is_ok() {
            self.amended = (record.timestamp(), record.hash());
        }
        let roots = add_roots(&self.roots, &named, &self.parameters);
        let new = roots.iter().skip(self.roots.len()).map(|root| root.certificate.serial()).collect();
        self.roots = Arc::new(roots);
        new
    }
}

/// What the graph's weights and tips need of a newly linked record.
#[derive(Debug)]
pub(crate) struct NewlyLinked {
    pub(crate) hash: Hash,
    /// Indexes, ascending.
    pub(crate) links: Vec<u32>,
    pub(crate) score: u32,
    /// Whether new records may link to it: good reputation.
    pub(crate) eligible: bool,
}

/// How a stored record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It and all its ancestors are here; its index.
    Linked(u32),
    /// It waits for records it links to.
    Pending,
}

/// The index row of a record, before its links are looked at.
pub(crate) fn row_of(
    record: &Record,
    selectors: &[RecoveredSelector],
    position: u64,
    work_verified: bool,
) -> Row {
    Row {
        position,
        bytes: record.as_bytes().len() as u32,
        hash: record.hash(),
        id: record.id(selectors),
        owner: *record.owner(),
        timestamp: record.timestamp(),
        record_type: record.record_type(),
        work_verified,
        temporal_violation: false,
        difficulty: record.work().map(lf_proto::work::Work::difficulty),
        billable_bytes: record.billable_bytes() as u32,
        pulse_token: record.pulse_token(),
        score: record.score(),
        selectors: selectors
            .iter()
            .zip(record.selectors())
            .map(|(recovered, s)| SelectorRow { key: recovered.key, ordinal: s.ordinal })
            .collect(),
    }
}

/// Where recently linked records stand, and what their owners have: new records link to recent ones, often of the same
/// owners, so this saves most searches. And how far tokens have been pulsed: who pulses, pulses every few minutes.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    standings: HashMap<Hash, (u32, u64)>,
    order: VecDeque<Hash>,
    owners: HashMap<OwnerPublic, OwnerTotals>,
    /// Minutes by token: those pulsed lately, and those before, which go when there are as many new ones.
    pulses: HashMap<u64, u32>,
    older_pulses: HashMap<u64, u32>,
    waiting: Waiting,
}

/// All of table `w`, as long as that is little: who waits seldom waits for long, and is not searched for then.
#[derive(Debug, Default)]
struct Waiting {
    /// Records by what they wait for; `None` if not all of them are known here.
    known: Option<HashMap<Hash, Vec<Hash>>>,
    pairs: usize,
}

impl Waiting {
    /// Nothing waits: all that does from now on will be known.
    fn none(&mut self) {
        self.known.get_or_insert_default();
    }

    fn insert(&mut self, missing: Hash, waiting: Hash) {
        let Some(known) = &mut self.known else { return };
        if self.pairs >= WAITING_KNOWN_MAX {
            *self = Waiting::default();
            return;
        }
        known.entry(missing).or_default().push(waiting);
        self.pairs += 1;
    }

    /// The records that wait for one, ascending by hash as the index has them, and no longer do; `None` if the index must be
    /// searched.
    fn take(&mut self, missing: &Hash) -> Option<Vec<Hash>> {
        let mut waiting = self.known.as_mut()?.remove(missing).unwrap_or_default();
        self.pairs = self.pairs.saturating_sub(waiting.len());
        waiting.sort_unstable();
        Some(waiting)
    }
}

impl Recent {
    /// The minute up to which a token has been pulsed, if it is known here.
    pub(crate) fn pulsed(&self, token: u64) -> Option<u32> {
        self.pulses.get(&token).or_else(|| self.older_pulses.get(&token)).copied()
    }

    /// Keeps the minute of a pulse that was stored as the latest of its token.
    pub(crate) fn note_pulse(&mut self, token: u64, minutes: u32) {
        if self.pulses.len() >= RECENT_PULSES && !self.pulses.contains_key(&token) {
            self.older_pulses = std::mem::take(&mut self.pulses);
        }
        self.pulses.insert(token, minutes);
    }

    fn insert(&mut self, hash: Hash, index: u32, timestamp: u64) {
        if self.order.len() >= RECENT_RECORDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.standings.remove(&oldest);
        }
        if self.standings.insert(hash, (index, timestamp)).is_none() {
            self.order.push_back(hash);
        }
    }

    fn get(&self, hash: &Hash) -> Option<Standing> {
        self.standings
            .get(hash)
            .map(|(index, timestamp)| Standing::Linked { index: *index, timestamp: *timestamp })
    }

    /// Forgets everything: after a batch that failed, some of it may not be so.
    pub(crate) fn clear(&mut self) {
        *self = Recent::default();
    }
}

/// What linking needs of a linked record that a new one links to.
#[derive(Debug, Clone, Copy)]
struct Parent {
    index: u32,
    /// Seconds since 1970.
    timestamp: u64,
}

/// Who holds an id, now that another record claims it.
#[derive(Debug, Clone, Copy)]
struct Stated {
    claim: Claim,
    /// Whether the index does not say so yet.
    new: bool,
}

/// Reads records back from the log while they are being linked; `None` for one that is damaged.
pub(crate) type ReadRecord<'a> = &'a dyn Fn(u64) -> Result<Option<Record>, IndexError>;

/// One batch of changes to the index.
pub(crate) struct Applier<'a> {
    pub(crate) txn: Txn,
    pub(crate) meta: Meta,
    pub(crate) network: &'a mut Network,
    recent: &'a mut Recent,
    filter: &'a Filter,
    pub(crate) newly_linked: Vec<NewlyLinked>,
    /// Indexes of linked records that new ones may link to from now on.
    pub(crate) raised: Vec<u32>,
    /// The latest pulses of this batch, by token.
    pulses: HashMap<u64, Pulse>,
    ready: VecDeque<(Hash, Option<PendingRow>)>,
    read_record: ReadRecord<'a>,
}

impl<'a> Applier<'a> {
    pub(crate) fn new(
        txn: Txn,
        meta: Meta,
        network: &'a mut Network,
        recent: &'a mut Recent,
        filter: &'a Filter,
        read_record: ReadRecord<'a>,
    ) -> Self {
        if meta.pending == 0 {
            recent.waiting.none();
        }
        let (newly_linked, pulses, ready) = (Vec::new(), HashMap::new(), VecDeque::new());
        let raised = Vec::new();
        Applier { txn, meta, network, recent, filter, newly_linked, raised, pulses, ready, read_record }
    }

    pub(crate) fn standing(&mut self, hash: &Hash) -> Result<Option<Standing>, IndexError> {
        if let Some(standing) = self.recent.get(hash) {
            return Ok(Some(standing));
        }
        if !self.filter.may_have(&hash.0) {
            return Ok(None);
        }
        let standing = self.txn.get(&key::standing(hash))?.map(|v| Standing::decode(&v)).transpose()?;
        if let Some(Standing::Linked { index, timestamp }) = standing {
            // An old record that one new one links to is one that others will.
            self.recent.insert(*hash, index, timestamp);
        }
        Ok(standing)
    }

    /// Whether the changes so far should be committed before more are made.
    pub(crate) fn is_large(&self) -> bool {
        self.txn.len() + self.pulses.len() >= CHANGES_MAX
    }

    /// Stores a record: claims its id, and links it if nothing is missing, or queues it behind others that are ready.
    /// Duplicates change nothing; for one that is known to be `new` the search is saved.
    pub(crate) fn store(&mut self, row: Row, links: &[Hash], new: bool) -> Result<(), IndexError> {
        if !new && self.standing(&row.hash)?.is_some() {
            return Ok(());
        }
        self.filter.insert(&row.hash.0);
        let claim = if row.selectors.is_empty() { None } else { Some(self.claim(&row)?) };
        if self.meta.comments_waiting > 0 && self.filter.may_be_waited_for(&row.hash.0) {
            for (key, _) in self.txn.prefix(&key::comments_waiting_for(&row.hash))? {
                let oracle =
                    OwnerPublic::from_bytes(key.get(33..).unwrap_or_default()).map_err(|_| RowError('c'))?;
                self.txn.put(key::comment(&row.id, &row.owner, &oracle), Vec::new());
                self.txn.remove(key);
                self.meta.comments_waiting = self.meta.comments_waiting.saturating_sub(1);
            }
        }
        let mut missing = 0;
        let mut found = Vec::with_capacity(links.len());
        for link in links {
            match self.standing(link)? {
                Some(Standing::Linked { index, timestamp }) => found.push(Parent { index, timestamp }),
                _ => {
                    self.filter.insert_waited_for(&link.0);
                    self.recent.waiting.insert(*link, row.hash);
                    self.txn.put(key::waiting(link, &row.hash), Vec::new());
                    missing += 1;
                }
            }
        }
        if missing == 0 && self.ready.is_empty() && self.meta.ready == 0 {
            return self.link(row, found, claim);
        }
        if let Some(Stated { claim, new: true }) = &claim {
            self.txn.put(key::claim(&row.id), claim.encode());
        }
        self.txn.put(key::standing(&row.hash), Standing::Pending.encode());
        let hash = row.hash;
        let pending = PendingRow { row, links: links.to_vec(), missing };
        if missing == 0 {
            self.ready.push_back((hash, Some(pending)));
        } else {
            self.meta.pending += 1;
            self.meta.pending_bytes += u64::from(pending.row.bytes);
            self.txn.put(key::pending(&hash), pending.encode());
        }
        Ok(())
    }

    /// NODE.md §3: who is here first keeps a name; rivals that come before either is linked hold it neither.
    fn claim(&mut self, row: &Row) -> Result<Stated, IndexError> {
        let known = if self.filter.insert(&row.id) { self.txn.get(&key::claim(&row.id))? } else { None };
        Ok(match known.map(|v| Claim::decode(&v)).transpose()? {
            None => Stated { claim: Claim::Held { owner: row.owner, linked: false }, new: true },
            Some(Claim::Held { owner, linked: false }) if owner != row.owner => {
                Stated { claim: Claim::Contested, new: true }
            }
            Some(claim) => Stated { claim, new: false },
        })
    }

    /// Applies an event: this owner holds a contested id from now on (NODE.md §3). A name that a linked record holds is
    /// never taken away.
    pub(crate) fn name_held(&mut self, id: &[u8; 32], owner: &OwnerPublic) -> Result<(), IndexError> {
        let key = key::claim(id);
        let claim = self.txn.get(&key)?.map(|v| Claim::decode(&v)).transpose()?;
        if matches!(claim, Some(Claim::Held { linked: true, .. })) {
            return Ok(());
        }
        self.filter.insert(id);
        self.txn.put(key, Claim::Held { owner: *owner, linked: true }.encode());
        for (key, _) in self.txn.prefix(&key::contested_with(id))? {
            let index = index_of(&key).ok_or(RowError('z'))?;
            self.txn.remove(key);
            self.meta.contested = self.meta.contested.saturating_sub(1);
            let row = self.txn.get(&key::linked(index))?.ok_or(RowError('r'))?;
            let row = LinkedRow::decode(&row)?.row;
            if row.owner == *owner && !row.temporal_violation {
                self.txn.put(key::raised(index), Vec::new());
                self.raised.push(index);
            }
        }
        Ok(())
    }

    /// Links records that are ready, in order, until none is left or the batch is large; then what is left is put
    /// down for the next batch, behind what an earlier one put down.
    pub(crate) fn link_ready(&mut self) -> Result<(), IndexError> {
        while !self.is_large() {
            let pending = if self.meta.ready > 0 {
                let key = key::ready(self.meta.ready_first);
                let hash =
                    self.txn.get(&key)?.and_then(|v| <[u8; 32]>::try_from(v).ok()).ok_or(RowError('q'))?;
                self.txn.remove(key);
                self.meta.ready_first += 1;
                self.meta.ready -= 1;
                self.take_pending(&Hash(hash))?
            } else {
                match self.ready.pop_front() {
                    Some((_, Some(pending))) => pending,
                    Some((hash, None)) => self.take_pending(&hash)?,
                    None => return Ok(()),
                }
            };
            self.link_pending(pending)?;
        }
        for (hash, pending) in std::mem::take(&mut self.ready) {
            if let Some(pending) = pending {
                self.meta.pending += 1;
                self.meta.pending_bytes += u64::from(pending.row.bytes);
                self.txn.put(key::pending(&hash), pending.encode());
            }
            self.txn.put(key::ready(self.meta.ready_first + self.meta.ready), hash.0.to_vec());
            self.meta.ready += 1;
        }
        Ok(())
    }

    fn take_pending(&mut self, hash: &Hash) -> Result<PendingRow, IndexError> {
        let key = key::pending(hash);
        let pending = PendingRow::decode(&self.txn.get(&key)?.ok_or(RowError('p'))?)?;
        self.txn.remove(key);
        self.meta.pending = self.meta.pending.saturating_sub(1);
        self.meta.pending_bytes = self.meta.pending_bytes.saturating_sub(u64::from(pending.row.bytes));
        Ok(pending)
    }

    /// Whether records are still waiting to be linked in a next batch.
    pub(crate) fn has_leftover(&self) -> bool {
        self.meta.ready > 0
    }

    /// Links a record that was queued or waited.
    fn link_pending(&mut self, pending: PendingRow) -> Result<(), IndexError> {
        let mut found = Vec::with_capacity(pending.links.len());
        for link in &pending.links {
            let Some(Standing::Linked { index, timestamp }) = self.standing(link)? else {
                return Err(RowError('h').into());
            };
            found.push(Parent { index, timestamp });
        }
        let claim = if pending.row.selectors.is_empty() {
            None
        } else {
            let claim = self.txn.get(&key::claim(&pending.row.id))?.ok_or(RowError('i'))?;
            Some(Stated { claim: Claim::decode(&claim)?, new: false })
        };
        self.link(pending.row, found, claim)
    }

    /// Links a record whose links all are. `claim`: who holds its id, if it has one.
    fn link(
        &mut self,
        mut row: Row,
        mut links: Vec<Parent>,
        claim: Option<Stated>,
    ) -> Result<(), IndexError> {
        let index = self.meta.linked;
        self.meta.linked = index.checked_add(1).filter(|n| *n < u32::MAX).ok_or(IndexError::Full)?;
        self.meta.linked_bytes += u64::from(row.bytes);
        let latest = row.timestamp.saturating_add(self.network.parameters.record_max_time_drift);
        row.temporal_violation = links.iter().any(|link| link.timestamp > latest);
        links.sort_unstable_by_key(|link| link.index);
        let link_indexes: Vec<u32> = links.iter().map(|link| link.index).collect();
        let mut good = true;
        if let Some(Stated { claim, new }) = claim {
            good = matches!(&claim, Claim::Held { owner, .. } if *owner == row.owner);
            let stated = match claim {
                Claim::Held { owner, linked: false } if good => Some(Claim::Held { owner, linked: true }),
                claim => new.then_some(claim),
            };
            if let Some(claim) = stated {
                self.txn.put(key::claim(&row.id), claim.encode());
            }
            if claim == Claim::Contested {
                self.txn.put(key::contested(&row.id, index), Vec::new());
                self.meta.contested += 1;
            }
        }
        for (position, selector) in row.selectors.iter().enumerate() {
            self.txn.put(key::selector(position as u8, &selector.key, index), Vec::new());
        }
        let owner_key = key::owner(&row.owner);
        let mut totals = match self.recent.owners.get(&row.owner) {
            Some(totals) => *totals,
            None => {
                self.txn.get(&owner_key)?.map(|v| OwnerTotals::decode(&v)).transpose()?.unwrap_or_default()
            }
        };
        totals.records += 1;
        totals.bytes += u64::from(row.bytes);
        if self.recent.owners.len() >= RECENT_OWNERS {
            self.recent.owners.clear();
        }
        self.recent.owners.insert(row.owner, totals);
        self.txn.put(owner_key, totals.encode());
        if row.pulse_token != 0 {
            self.txn.put(key::token(row.timestamp, row.pulse_token), Vec::new());
        }
        if row.record_type != RecordType::Datum {
            self.txn.put(key::special(row.record_type.id(), index), Vec::new());
            self.handle_special(&row, index)?;
        }
        let standing = Standing::Linked { index, timestamp: row.timestamp };
        self.txn.put(key::standing(&row.hash), standing.encode());
        self.recent.insert(row.hash, index, row.timestamp);
        self.newly_linked.push(NewlyLinked {
            hash: row.hash,
            links: link_indexes.clone(),
            score: row.score,
            eligible: good && !row.temporal_violation,
        });
        let hash = row.hash;
        self.txn.put(key::linked(index), LinkedRow { row, links: link_indexes }.encode());
        self.wake(&hash)
    }

    /// Tells the records that wait for this one.
    fn wake(&mut self, hash: &Hash) -> Result<(), IndexError> {
        if self.meta.pending == 0 || !self.filter.may_be_waited_for(&hash.0) {
            return Ok(()); // The usual case, and it saves a search.
        }
        let waiting = match self.recent.waiting.take(hash) {
            Some(waiting) => waiting,
            None => self.find_waiting(hash)?,
        };
        for waiting in waiting {
            self.txn.remove(key::waiting(hash, &waiting));
            let pending_key = key::pending(&waiting);
            let row = self.txn.get(&pending_key)?.ok_or(RowError('p'))?;
            let mut pending = PendingRow::decode(&row)?;
            pending.missing = pending.missing.saturating_sub(1);
            if pending.missing == 0 {
                self.ready.push_back((waiting, None));
            }
            self.txn.put(pending_key, pending.encode());
        }
        Ok(())
    }

    fn find_waiting(&self, missing: &Hash) -> Result<Vec<Hash>, IndexError> {
        let waiting = |key: &[u8]| key.get(33..)?.try_into().ok().map(Hash);
        let pairs = self.txn.prefix(&key::waiting_for(missing))?;
        Ok(pairs.iter().map(|(key, _)| waiting(key).ok_or(RowError('w'))).collect::<Result<_, _>>()?)
    }

    fn handle_special(&mut self, row: &Row, index: u32) -> Result<(), IndexError> {
        match row.record_type {
            RecordType::Genesis => {
                if let Some(record) = (self.read_record)(row.position)? {
                    let new = self.network.amend(&record);
                    self.wake_certificates(new)?;
                }
            }
            RecordType::Commentary => {
                if let Some(record) = (self.read_record)(row.position)? {
                    self.index_comments(&record)?;
                }
            }
            RecordType::Certificate | RecordType::Crl => self.index_certificates(row, index)?,
            RecordType::Rotation => {
                if let Some(rotation) = (self.read_record)(row.position)?.as_ref().and_then(Rotation::of) {
                    self.index_rotation(row, index, &rotation)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The first statement linked here stands: who steals a key that was given up cannot pass it on again.
    fn index_rotation(&mut self, row: &Row, index: u32, rotation: &Rotation) -> Result<(), IndexError> {
        let key = key::successor(&rotation.predecessor);
        if self.txn.get(&key)?.is_none() {
            let successor = Successor { owner: rotation.successor, index, timestamp: row.timestamp };
            self.txn.put(key, successor.encode());
        }
        Ok(())
    }

    /// Commentary counts for (id, owner) of its subjects; subjects that are not stored yet are kept for later.
    fn index_comments(&mut self, record: &Record) -> Result<(), IndexError> {
        let plain = masking::unmask(record.stored_value(), record.timestamp(), b"", record.owner());
        for comment in Comment::decode_all(&plain.unwrap_or_default()) {
            let Some(subject) = comment.collides() else { continue };
            let row = match self.standing(&subject)? {
                Some(Standing::Linked { index, .. }) => {
                    let row = self.txn.get(&key::linked(index))?.ok_or(RowError('r'))?;
                    Some(LinkedRow::decode(&row)?.row)
                }
                Some(Standing::Pending) => match self.txn.get(&key::pending(&subject))? {
                    Some(row) => Some(PendingRow::decode(&row)?.row),
                    // Stored, ready, and not put down yet: it is in the queue.
                    None => self
                        .ready
                        .iter()
                        .find(|(h, _)| *h == subject)
                        .and_then(|(_, p)| p.clone())
                        .map(|p| p.row),
                },
                None => None,
            };
            match row {
                Some(row) => self.txn.put(key::comment(&row.id, &row.owner, record.owner()), Vec::new()),
                None => {
                    let key = key::comment_waiting(&subject, record.owner());
                    if self.meta.comments_waiting < COMMENTS_WAITING_MAX && self.txn.get(&key)?.is_none() {
                        self.filter.insert_waited_for(&subject.0);
                        self.txn.put(key, Vec::new());
                        self.meta.comments_waiting += 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// Keeps a pulse if it is the latest of its token, as one that is known to be `new` is: that saves a search. The
    /// caller has checked it.
    pub(crate) fn pulse(&mut self, token: u64, pulse: Pulse, new: bool) -> Result<(), IndexError> {
        if !new {
            let known = match self.pulses.get(&token) {
                Some(known) => Some(*known),
                None => self.txn.get(&key::pulse(token))?.and_then(|v| Pulse::from_bytes(&v).ok()),
            };
            if known.is_some_and(|known| known.minutes() >= pulse.minutes()) {
                return Ok(());
            }
        }
        self.pulses.insert(token, pulse);
        Ok(())
    }

    /// All changes, with the index's marks.
    pub(crate) fn into_changes(mut self) -> Vec<Change> {
        self.txn.put(key::meta(), self.meta.encode());
        let mut changes = self.txn.into_changes();
        // In the order of their keys, which the engine takes faster; and these are cheap to sort.
        let mut pulses: Vec<(u64, Pulse)> = self.pulses.into_iter().collect();
        pulses.sort_unstable_by_key(|(token, _)| *token);
        changes.extend(
            pulses.iter().map(|(token, pulse)| (key::pulse(*token), Some(pulse.to_bytes().to_vec()))),
        );
        changes
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn hash(n: usize) -> Hash {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&n.to_be_bytes());
        Hash(hash)
    }

    #[test]
    fn who_waits_is_told_in_the_order_of_the_index_and_once() {
        let mut waiting = Waiting::default();
        assert_eq!(waiting.take(&hash(1)), None, "nobody said that nothing waits");
        waiting.insert(hash(1), hash(2));
        assert_eq!(waiting.take(&hash(1)), None);
        waiting.none();
        for n in [30, 10, 20] {
            waiting.insert(hash(1), hash(n));
        }
        waiting.insert(hash(2), hash(10));
        assert_eq!(waiting.take(&hash(1)).unwrap(), [hash(10), hash(20), hash(30)]);
        assert_eq!(waiting.take(&hash(1)).unwrap(), []);
        assert_eq!(waiting.pairs, 1);
    }

    #[test]
    fn of_too_many_that_wait_none_are_known_until_none_are_left() {
        let mut waiting = Waiting::default();
        waiting.none();
        for n in 0..WAITING_KNOWN_MAX {
            waiting.insert(hash(n), hash(n + 1));
        }
        assert_eq!(waiting.take(&hash(7)).unwrap(), [hash(8)]);
        waiting.insert(hash(7), hash(8));
        assert_eq!(waiting.pairs, WAITING_KNOWN_MAX);
        waiting.insert(hash(1), hash(3));
        // One more than there is room for: the index must be searched, for what was known as well.
        assert_eq!(waiting.take(&hash(1)), None);
        waiting.insert(hash(1), hash(3));
        assert_eq!(waiting.take(&hash(1)), None);
        waiting.none();
        assert_eq!(waiting.take(&hash(1)).unwrap(), []);
    }
}
