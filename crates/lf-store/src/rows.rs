//! The index's tables: how keys and values are laid out (docs/src/FORMAT.md, "Index"). Nothing else builds or reads index
//! keys. Numbers in keys are big-endian, so that keys sort as the numbers do.

use lf_proto::hash::Hash;
use lf_proto::ordinal::Ordinal;
use lf_proto::owner::OwnerPublic;
use lf_proto::record::RecordType;
use lf_proto::selector::SelectorKey;

/// A row of the index that does not read back: the index is damaged and must be rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a row of index table {0:?} is damaged")]
pub struct RowError(pub char);

/// One selector of a stored record, as the index keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelectorRow {
    /// H(recovered key) + masked ordinal.
    pub key: SelectorKey,
    /// The masked ordinal.
    pub ordinal: Ordinal,
}

/// What the index keeps of a record, so that queries need not read the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where the log holds it.
    pub position: u64,
    /// The record's length in bytes.
    pub bytes: u32,
    /// The record's hash.
    pub hash: Hash,
    /// SHA-256 of its selectors' ids, or its hash.
    pub id: [u8; 32],
    /// The owner.
    pub owner: OwnerPublic,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// The record's type.
    pub record_type: RecordType,
    /// Whether its work was checked and holds (whatever it amounts to).
    pub work_verified: bool,
    /// Whether it links to a record newer than itself by more than the network's drift.
    pub temporal_violation: bool,
    /// The difficulty its work claims; `None` without work.
    pub difficulty: Option<u32>,
    /// What work must pay for, in bytes.
    pub billable_bytes: u32,
    /// The pulse token; 0 without.
    pub pulse_token: u64,
    /// Its own contribution to weights.
    pub score: u32,
    /// The selectors, in order.
    pub selectors: Vec<SelectorRow>,
}

const ROW_WORK_VERIFIED: u8 = 1;
const ROW_TEMPORAL_VIOLATION: u8 = 2;
const ROW_WORK: u8 = 4;

pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[b]| b)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}

impl Row {
    fn encode_into(&self, out: &mut Vec<u8>) {
        let mut flags = 0;
        if self.work_verified {
            flags |= ROW_WORK_VERIFIED;
        }
        if self.temporal_violation {
            flags |= ROW_TEMPORAL_VIOLATION;
        }
        if self.difficulty.is_some() {
            flags |= ROW_WORK;
        }
        out.push(flags);
        out.push(self.record_type.id());
        out.extend_from_slice(&self.position.to_be_bytes());
        out.extend_from_slice(&self.bytes.to_be_bytes());
        out.extend_from_slice(&self.hash.0);
        out.extend_from_slice(&self.id);
        out.push(self.owner.as_bytes().len() as u8);
        out.extend_from_slice(self.owner.as_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.difficulty.unwrap_or(0).to_be_bytes());
        out.extend_from_slice(&self.billable_bytes.to_be_bytes());
        out.extend_from_slice(&self.pulse_token.to_be_bytes());
        out.extend_from_slice(&self.score.to_be_bytes());
        out.push(self.selectors.len() as u8);
        for s in &self.selectors {
            out.extend_from_slice(&s.key.0);
            out.extend_from_slice(&s.ordinal.0);
        }
    }

    fn decode_from(c: &mut Cursor<'_>) -> Option<Self> {
        let flags = c.u8()?;
        let record_type = RecordType::from_id(c.u8()?);
        let position = c.u64()?;
        let bytes = c.u32()?;
        let hash = Hash(c.array()?);
        let id = c.array()?;
        let owner_bytes = c.u8()? as usize;
        let owner = OwnerPublic::from_bytes(c.take(owner_bytes)?).ok()?;
        let timestamp = c.u64()?;
        let difficulty = c.u32()?;
        let billable_bytes = c.u32()?;
        let pulse_token = c.u64()?;
        let score = c.u32()?;
        let count = c.u8()? as usize;
        let mut selectors = Vec::with_capacity(count.min(lf_proto::record::SELECTORS_MAX));
        for _ in 0..count {
            selectors.push(SelectorRow { key: SelectorKey(c.array()?), ordinal: Ordinal(c.array()?) });
        }
        Some(Row {
            position,
            bytes,
            hash,
            id,
            owner,
            timestamp,
            record_type,
            work_verified: flags & ROW_WORK_VERIFIED != 0,
            temporal_violation: flags & ROW_TEMPORAL_VIOLATION != 0,
            difficulty: (flags & ROW_WORK != 0).then_some(difficulty),
            billable_bytes,
            pulse_token,
            score,
            selectors,
        })
    }
}

/// A linked record's row: `r` index → row, links as indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkedRow {
    pub(crate) row: Row,
    pub(crate) links: Vec<u32>,
}

impl LinkedRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160 + 48 * self.row.selectors.len());
        self.row.encode_into(&mut out);
        out.push(self.links.len() as u8);
        for link in &self.links {
            out.extend_from_slice(&link.to_be_bytes());
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let mut c = Cursor(bytes);
        let mut read = || {
            let row = Row::decode_from(&mut c)?;
            let count = c.u8()?;
            let links = (0..count).map(|_| c.u32()).collect::<Option<Vec<u32>>>()?;
            c.0.is_empty().then_some(LinkedRow { row, links })
        };
        read().ok_or(RowError('r'))
    }
}

/// A record that waits for links: `p` hash → row, links as hashes, and how many of them are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PendingRow {
    pub(crate) row: Row,
    pub(crate) links: Vec<Hash>,
    pub(crate) missing: u8,
}

impl PendingRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160 + 48 * self.row.selectors.len() + 32 * self.links.len());
        self.row.encode_into(&mut out);
        out.push(self.missing);
        out.push(self.links.len() as u8);
        for link in &self.links {
            out.extend_from_slice(&link.0);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let mut c = Cursor(bytes);
        let mut read = || {
            let row = Row::decode_from(&mut c)?;
            let missing = c.u8()?;
            let count = c.u8()?;
            let links = (0..count).map(|_| c.array().map(Hash)).collect::<Option<Vec<Hash>>>()?;
            c.0.is_empty().then_some(PendingRow { row, links, missing })
        };
        read().ok_or(RowError('p'))
    }
}

/// `h` hash → where a stored record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It waits for links.
    Pending,
    /// It and all its ancestors are here.
    Linked {
        /// Its index: a topological order.
        index: u32,
        /// Seconds since 1970.
        timestamp: u64,
    },
}

impl Standing {
    pub(crate) fn encode(self) -> Vec<u8> {
        match self {
            Standing::Pending => Vec::new(),
            Standing::Linked { index, timestamp } => {
                let mut out = index.to_be_bytes().to_vec();
                out.extend_from_slice(&timestamp.to_be_bytes());
                out
            }
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        if bytes.is_empty() {
            return Ok(Standing::Pending);
        }
        let mut c = Cursor(bytes);
        match (c.u32(), c.u64()) {
            (Some(index), Some(timestamp)) => Ok(Standing::Linked { index, timestamp }),
            _ => Err(RowError('h')),
        }
    }
}

/// `i` id → who holds a claimed id.
///
/// NODE.md §3 speaks of reputations record by record; all records of one owner under one id always share theirs, and at
/// most one owner's is positive, so that owner is all there is to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// This owner came first; `linked` once a record of theirs is linked, which no rival can undo.
    Held {
        /// Who.
        owner: OwnerPublic,
        /// Whether one of their records is linked.
        linked: bool,
    },
    /// Rivals came before either was linked: nobody's reputation is positive, until an event of the log says who holds
    /// the id.
    Contested,
}

impl Claim {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Claim::Contested => Vec::new(),
            Claim::Held { owner, linked } => {
                let mut out = vec![u8::from(*linked)];
                out.extend_from_slice(owner.as_bytes());
                out
            }
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        match bytes {
            [] => Ok(Claim::Contested),
            [linked, owner @ ..] => {
                let owner = OwnerPublic::from_bytes(owner).map_err(|_| RowError('i'))?;
                Ok(Claim::Held { owner, linked: *linked != 0 })
            }
        }
    }
}

/// `n` owner → who has taken that owner's place, and which record says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Successor {
    /// The new owner.
    pub owner: OwnerPublic,
    /// The index of the old owner's statement.
    pub index: u32,
    /// When it says so, seconds since 1970.
    pub timestamp: u64,
}

impl Successor {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = self.index.to_be_bytes().to_vec();
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(self.owner.as_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let mut c = Cursor(bytes);
        let mut read = || {
            let (index, timestamp) = (c.u32()?, c.u64()?);
            Some(Successor { owner: OwnerPublic::from_bytes(c.0).ok()?, index, timestamp })
        };
        read().ok_or(RowError('n'))
    }
}

/// What an owner has linked here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnerTotals {
    /// Linked records.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl OwnerTotals {
    pub(crate) fn encode(self) -> Vec<u8> {
        [self.records.to_be_bytes(), self.bytes.to_be_bytes()].concat()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let mut c = Cursor(bytes);
        match (c.u64(), c.u64()) {
            (Some(records), Some(bytes)) => Ok(OwnerTotals { records, bytes }),
            _ => Err(RowError('o')),
        }
    }
}

/// `m`: counters and marks of the whole index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The log this index was made from.
    pub(crate) log_id: [u8; 16],
    /// The log is applied up to here.
    pub(crate) applied: u64,
    /// The next index: how many records are linked.
    pub(crate) linked: u32,
    /// Bytes of linked records.
    pub(crate) linked_bytes: u64,
    /// Records that wait for links.
    pub(crate) pending: u64,
    /// Their bytes.
    pub(crate) pending_bytes: u64,
    /// Comments whose subject is not stored.
    pub(crate) comments_waiting: u64,
    /// Certificates and CRLs that wait for an authority.
    pub(crate) certificates_waiting: u64,
    /// Records ready to be linked that the last batch left over.
    pub(crate) ready: u64,
    /// The order of the first of them.
    pub(crate) ready_first: u64,
    /// Linked records whose name nobody holds.
    pub(crate) contested: u64,
}

impl Meta {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = vec![INDEX_FORMAT];
        out.extend_from_slice(&self.applied.to_be_bytes());
        out.extend_from_slice(&self.linked.to_be_bytes());
        out.extend_from_slice(&self.linked_bytes.to_be_bytes());
        out.extend_from_slice(&self.pending.to_be_bytes());
        out.extend_from_slice(&self.pending_bytes.to_be_bytes());
        out.extend_from_slice(&self.comments_waiting.to_be_bytes());
        out.extend_from_slice(&self.certificates_waiting.to_be_bytes());
        out.extend_from_slice(&self.ready.to_be_bytes());
        out.extend_from_slice(&self.ready_first.to_be_bytes());
        out.extend_from_slice(&self.contested.to_be_bytes());
        out.extend_from_slice(&self.log_id);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let mut c = Cursor(bytes);
        if c.u8() != Some(INDEX_FORMAT) {
            return Err(RowError('m'));
        }
        let mut read = || {
            Some(Meta {
                applied: c.u64()?,
                linked: c.u32()?,
                linked_bytes: c.u64()?,
                pending: c.u64()?,
                pending_bytes: c.u64()?,
                comments_waiting: c.u64()?,
                certificates_waiting: c.u64()?,
                ready: c.u64()?,
                ready_first: c.u64()?,
                contested: c.u64()?,
                log_id: c.array()?,
            })
        };
        read().ok_or(RowError('m'))
    }
}

/// The index's format; another one is rebuilt from the log.
const INDEX_FORMAT: u8 = 3;

/// Keys, one function a table.
pub(crate) mod key {
    use lf_proto::cert::Serial;

    use super::{Hash, OwnerPublic, SelectorKey};
    use crate::certs::AuthorityKey;

    fn join(table: u8, parts: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + parts.iter().map(|p| p.len()).sum::<usize>());
        out.push(table);
        for part in parts {
            out.extend_from_slice(part);
        }
        out
    }

    /// Tables of what waits for a record: their keys go on with its hash. Other records, and comments.
    pub(crate) const WAITING_FOR_RECORDS: [u8; 2] = [b'w', b'c'];

    /// Tables that a batch searches by prefix: who waits, who is ready, comments that wait, authorities,
    /// certificates that wait for one, contested names.
    pub(crate) fn is_searched_by_prefix(key: &[u8]) -> bool {
        matches!(key.first(), Some(b'w' | b'q' | b'c' | b'a' | b'x' | b'z'))
    }

    pub(crate) fn meta() -> Vec<u8> {
        vec![b'm']
    }

    pub(crate) fn standing(hash: &Hash) -> Vec<u8> {
        join(b'h', &[&hash.0])
    }

    pub(crate) fn linked(index: u32) -> Vec<u8> {
        join(b'r', &[&index.to_be_bytes()])
    }

    pub(crate) fn pending(hash: &Hash) -> Vec<u8> {
        join(b'p', &[&hash.0])
    }

    /// `w` missing ‖ waiting: who waits for a record.
    pub(crate) fn waiting(missing: &Hash, waiting: &Hash) -> Vec<u8> {
        join(b'w', &[&missing.0, &waiting.0])
    }

    pub(crate) fn waiting_for(missing: &Hash) -> Vec<u8> {
        join(b'w', &[&missing.0])
    }

    /// `q` order: records ready to be linked that a crash or a bound left over.
    pub(crate) fn ready(order: u64) -> Vec<u8> {
        join(b'q', &[&order.to_be_bytes()])
    }

    /// `s` position ‖ key ‖ index: linked records by selector.
    pub(crate) fn selector(position: u8, key: &SelectorKey, index: u32) -> Vec<u8> {
        join(b's', &[&[position], &key.0, &index.to_be_bytes()])
    }

    pub(crate) fn claim(id: &[u8; 32]) -> Vec<u8> {
        join(b'i', &[id])
    }

    /// `z` id ‖ index: linked records with an id that nobody holds.
    pub(crate) fn contested(id: &[u8; 32], index: u32) -> Vec<u8> {
        join(b'z', &[id, &index.to_be_bytes()])
    }

    pub(crate) fn contested_with(id: &[u8; 32]) -> Vec<u8> {
        join(b'z', &[id])
    }

    /// `l` index: linked records that became eligible for links later, when their owner was said to hold their id.
    pub(crate) fn raised(index: u32) -> Vec<u8> {
        join(b'l', &[&index.to_be_bytes()])
    }

    pub(crate) fn owner(owner: &OwnerPublic) -> Vec<u8> {
        join(b'o', &[owner.as_bytes()])
    }

    /// `t` timestamp ‖ token: pulse tokens of linked records, by the records' times.
    pub(crate) fn token(timestamp: u64, token: u64) -> Vec<u8> {
        join(b't', &[&timestamp.to_be_bytes(), &token.to_be_bytes()])
    }

    /// `u` token: the latest pulse.
    pub(crate) fn pulse(token: u64) -> Vec<u8> {
        join(b'u', &[&token.to_be_bytes()])
    }

    /// `y` type ‖ index: linked records that are not data.
    pub(crate) fn special(record_type: u8, index: u32) -> Vec<u8> {
        join(b'y', &[&[record_type], &index.to_be_bytes()])
    }

    /// `c` subject ‖ oracle: comments on records that are not stored.
    pub(crate) fn comment_waiting(subject: &Hash, oracle: &OwnerPublic) -> Vec<u8> {
        join(b'c', &[&subject.0, oracle.as_bytes()])
    }

    pub(crate) fn comments_waiting_for(subject: &Hash) -> Vec<u8> {
        join(b'c', &[&subject.0])
    }

    /// `n` owner: who has taken that owner's place.
    pub(crate) fn successor(owner: &OwnerPublic) -> Vec<u8> {
        join(b'n', &[owner.as_bytes()])
    }

    /// `k` id ‖ owner ‖ oracle: oracles that say (id, owner) collides.
    pub(crate) fn comment(id: &[u8; 32], owner: &OwnerPublic, oracle: &OwnerPublic) -> Vec<u8> {
        let mut key = comments_on(id, owner);
        key.extend_from_slice(oracle.as_bytes());
        key
    }

    /// `a` serial ‖ fingerprint: intermediate authorities that a root issued.
    pub(crate) fn authority(serial: &Serial, fingerprint: &[u8; 32]) -> Vec<u8> {
        join(b'a', &[serial.as_bytes(), fingerprint])
    }

    pub(crate) fn authorities_of(serial: &Serial) -> Vec<u8> {
        join(b'a', &[serial.as_bytes()])
    }

    /// `e` subject ‖ fingerprint: certificates that an authority issued.
    pub(crate) fn owner_certificate(subject: &OwnerPublic, fingerprint: &[u8; 32]) -> Vec<u8> {
        let mut key = certificates_of(subject);
        key.extend_from_slice(fingerprint);
        key
    }

    pub(crate) fn certificates_of(subject: &OwnerPublic) -> Vec<u8> {
        join(b'e', &[&[subject.as_bytes().len() as u8], subject.as_bytes()])
    }

    /// `g` issuer ‖ index ‖ fingerprint: the same certificates, by who issued them.
    pub(crate) fn certificate_issued(issuer: &Serial, index: u32, fingerprint: &[u8; 32]) -> Vec<u8> {
        join(b'g', &[issuer.as_bytes(), &index.to_be_bytes(), fingerprint])
    }

    /// The first key and the last of an issuer's certificates from an index on.
    pub(crate) fn certificates_issued(issuer: &Serial, first: u32) -> (Vec<u8>, Vec<u8>) {
        let last = certificate_issued(issuer, u32::MAX, &[0xff; 32]);
        (join(b'g', &[issuer.as_bytes(), &first.to_be_bytes()]), last)
    }

    /// `v` issuer ‖ serial ‖ issuer's key: what the issuer has revoked.
    pub(crate) fn revocation(issuer: &AuthorityKey, serial: &Serial) -> Vec<u8> {
        join(b'v', &[issuer.serial.as_bytes(), serial.as_bytes(), issuer.owner.as_bytes()])
    }

    /// `x` issuer ‖ index ‖ place: certificates and CRLs whose authority is not known.
    pub(crate) fn certificate_waiting(issuer: &Serial, index: u32, place: u8) -> Vec<u8> {
        join(b'x', &[issuer.as_bytes(), &index.to_be_bytes(), &[place]])
    }

    pub(crate) fn certificates_waiting_for(issuer: &Serial) -> Vec<u8> {
        join(b'x', &[issuer.as_bytes()])
    }

    pub(crate) fn comments_on(id: &[u8; 32], owner: &OwnerPublic) -> Vec<u8> {
        join(b'k', &[id, &[owner.as_bytes().len() as u8], owner.as_bytes()])
    }
}

/// The index at the end of a key of table `s`, `y`, `x` or `e`.
pub(crate) fn index_of(key: &[u8]) -> Option<u32> {
    key.last_chunk::<4>().map(|b| u32::from_be_bytes(*b))
}

/// The id and the index of a key of table `x`.
pub(crate) fn contested_of(key: &[u8]) -> Option<([u8; 32], u32)> {
    let (id, index) = key.get(1..)?.split_first_chunk::<32>()?;
    Some((*id, u32::from_be_bytes(index.try_into().ok()?)))
}

/// The timestamp and the token of a key of table `t`.
pub(crate) fn token_of(key: &[u8]) -> Option<(u64, u64)> {
    let (timestamp, token) = key.get(1..)?.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*timestamp), u64::from_be_bytes(token.try_into().ok()?)))
}
