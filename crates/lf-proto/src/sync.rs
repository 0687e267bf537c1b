//! The messages that nodes exchange, and their bytes (docs/src/SYNC.md). Everything that comes in is bounded before it is
//! allocated; whatever does not decode is its sender's fault. No decisions here.
//!
//! Integers are varints in their shortest form. Bounds ascend within a message, so each is written as the seconds since
//! the one before it, and as much of the hash as is not zeros.

use sha2::{Digest, Sha256};

use crate::hash::Hash;
use crate::pulse::Pulse;
use crate::record::{DecodeError, Record};

/// Bytes of a question, at most.
pub const QUESTION_BYTES_MAX: usize = 1 << 20;
/// Bytes of an answer, at most.
pub const ANSWER_BYTES_MAX: usize = 2 << 20;
/// Bytes of a gossip message, at most: a whole record and a little.
pub const GOSSIP_BYTES_MAX: usize = 66 << 10;
/// Ranges in a question or an answer, at most.
pub const RANGES_MAX: usize = 16_384;
/// Short ids that a range of a question to fetch names, at most.
pub const HAVE_MAX: usize = 64;
/// Hashes of records asked for at once, at most.
pub const HASHES_MAX: usize = 1_024;
/// Bytes of records in an answer after which no more are added.
pub const RECORDS_BYTES_MAX: usize = 1 << 20;
/// Pulses in a gossip message, at most.
pub const PULSES_MAX: usize = 5_000;

const COMPARE: u8 = 1;
const FETCH: u8 = 2;
const RECORDS: u8 = 3;
const HINT: u8 = 4;
const BUSY: u8 = 5;

const GOSSIP_RECORD: u8 = 1;
const GOSSIP_PULSES: u8 = 2;

/// The end of everything, in the place of a hash's length.
const END: u8 = 33;

/// A place in the order of records. As the lower end of a range it is included, as the upper end it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bound {
    /// Seconds since 1970.
    pub timestamp: u64,
    /// A hash or the beginning of one, then zeros: `[u8; 32]`.
    pub hash: [u8; 32],
}

impl Bound {
    /// Before every record.
    pub const START: Bound = Bound { timestamp: 0, hash: [0; 32] };
    /// After every record.
    pub const END: Bound = Bound { timestamp: u64::MAX, hash: [0xff; 32] };

    /// The place of a record.
    pub fn of(timestamp: u64, hash: &Hash) -> Self {
        Bound { timestamp, hash: hash.0 }
    }

    /// The place just after a record.
    pub fn after(timestamp: u64, hash: &Hash) -> Self {
        let mut bytes = hash.0;
        for byte in bytes.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                return Bound { timestamp, hash: bytes };
            }
        }
        Bound { timestamp: timestamp.saturating_add(1), hash: [0; 32] }
    }
}

/// A range of places: from `lower` on, below `upper`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first place in it.
    pub lower: Bound,
    /// The first place after it.
    pub upper: Bound,
}

impl Span {
    /// Everything.
    pub const ALL: Span = Span { lower: Bound::START, upper: Bound::END };

    /// Whether a place is in it.
    pub fn contains(&self, place: &Bound) -> bool {
        self.lower <= *place && *place < self.upper
    }
}

/// What a session's fingerprints and short ids are salted with: 8 random bytes, so that nobody can prepare records that
/// look the same to it.
pub type Salt = [u8; 8];
/// A range's contents in short. Two that differ look the same once in 2³² times, and not again with the next salt.
pub type Fingerprint = [u8; 4];
/// A record in short, within a small range.
pub type ShortId = [u8; 4];

/// The first 4 bytes of SHA-256(salt, hash).
pub fn short_id(salt: &Salt, hash: &Hash) -> ShortId {
    let mut hasher = Sha256::new_with_prefix(salt);
    hasher.update(hash.0);
    let digest: [u8; 32] = hasher.finalize().into();
    let [a, b, c, d, ..] = digest;
    [a, b, c, d]
}

/// Why bytes are no message. Always the sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The message ends before a field does.
    #[error("message ends within {0}")]
    Truncated(&'static str),
    /// A number is not in its shortest form, or too large.
    #[error("{0} is not a number that may stand here")]
    Number(&'static str),
    /// Bounds do not ascend.
    #[error("bounds do not ascend")]
    Order,
    /// An unknown kind of message.
    #[error("unknown kind of message {0}")]
    Kind(u8),
    /// Bytes after the end.
    #[error("bytes after the message's end")]
    Trailing,
    /// A record in it is none.
    #[error("record in a message: {0}")]
    Record(#[from] DecodeError),
}

/// A range of a comparison, from the bound before it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its upper bound.
    pub upper: Bound,
    /// What is in it; none if it is not to be compared.
    pub content: Option<Content>,
}

/// What is in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Records.
    pub count: u64,
    /// Their fingerprint; zeros if there are none.
    pub fingerprint: Fingerprint,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Which of these ranges have other contents with you?
    Compare {
        /// For the fingerprints.
        salt: Salt,
        /// Where the first part begins.
        lower: Bound,
        /// The ranges, ascending.
        parts: Vec<Part>,
    },
    /// Your records in these ranges but those I have, please.
    Fetch {
        /// For the short ids.
        salt: Salt,
        /// The ranges, ascending and apart.
        ranges: Vec<Wanted>,
    },
    /// These records, please.
    Records {
        /// Their hashes.
        hashes: Vec<Hash>,
    },
    /// I have records that you lack: compare with me.
    Hint,
}

/// A range whose records are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The range.
    pub span: Span,
    /// The records that the asker has in it.
    pub have: Vec<ShortId>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Compare`].
    Compared {
        /// Linked records in all.
        total: u64,
        /// The parts that differ: their places among those of the question, ascending, and how.
        differing: Vec<(usize, Difference)>,
    },
    /// To [`Question::Fetch`].
    Fetched {
        /// Records, in the order of the ranges.
        records: Vec<Record>,
        /// Ranges that were gone through whole.
        complete: usize,
        /// Where the next range is to be gone on with, if it was begun.
        rest: Option<Bound>,
        /// How many of the records that the asker has were not found in those ranges.
        lacking: u64,
    },
    /// To [`Question::Records`].
    Records {
        /// Those that are there, in the order of the question.
        records: Vec<Record>,
    },
    /// To [`Question::Hint`].
    Noted,
    /// Not now: ask again later.
    Busy,
}

/// How a range differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// It consists of these ranges here; the last one's upper bound is that of the part.
    Split(Vec<Part>),
    /// Fetch it: it has `count` records here. `marks` cut a large one into pieces of about equal size.
    Fetch {
        /// Records.
        count: u64,
        /// Bounds within it, ascending.
        marks: Vec<Bound>,
    },
}

/// What is said to everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gossip {
    /// A new record.
    Record(Box<Record>),
    /// New pulses.
    Pulses(Vec<Pulse>),
}

struct Reader<'a> {
    rest: &'a [u8],
    /// The bound read last.
    bound: Bound,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes, bound: Bound::START }
    }

    fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.rest.split_at_checked(count).ok_or(WireError::Truncated(field))?;
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], WireError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(WireError::Truncated(field))?;
        self.rest = tail;
        Ok(*head)
    }

    fn byte(&mut self, field: &'static str) -> Result<u8, WireError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    fn number(&mut self, field: &'static str) -> Result<u64, WireError> {
        let mut value = 0u64;
        for i in 0..10u32 {
            let byte = self.byte(field)?;
            if (i == 9 && byte > 1) || (i > 0 && byte == 0) {
                return Err(WireError::Number(field));
            }
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::Number(field))
    }

    /// A number of ranges.
    fn small(&mut self, field: &'static str) -> Result<usize, WireError> {
        let count = usize::try_from(self.number(field)?).ok();
        count.filter(|count| *count <= RANGES_MAX).ok_or(WireError::Number(field))
    }

    /// A count of things that take at least `bytes_each` of what is left.
    fn count(&mut self, max: usize, bytes_each: usize, field: &'static str) -> Result<usize, WireError> {
        let count = usize::try_from(self.number(field)?).ok();
        let count = count.filter(|count| *count <= max).ok_or(WireError::Number(field))?;
        if count > self.rest.len() / bytes_each {
            return Err(WireError::Truncated(field));
        }
        Ok(count)
    }

    /// The next bound; not below the one before.
    fn bound(&mut self) -> Result<Bound, WireError> {
        let delta = self.number("time")?;
        let length = self.byte("hash")?;
        let bound = if length == END {
            if delta != 0 {
                return Err(WireError::Number("time"));
            }
            Bound::END
        } else {
            let timestamp = self.bound.timestamp.checked_add(delta).ok_or(WireError::Number("time"))?;
            let mut hash = [0; 32];
            let prefix = self.take(length.into(), "hash")?;
            hash.get_mut(..prefix.len()).ok_or(WireError::Number("hash"))?.copy_from_slice(prefix);
            if prefix.last() == Some(&0) {
                return Err(WireError::Number("hash"));
            }
            Bound { timestamp, hash }
        };
        if bound < self.bound {
            return Err(WireError::Order);
        }
        self.bound = bound;
        Ok(bound)
    }

    /// The next bound; above the one before.
    fn upper(&mut self) -> Result<Bound, WireError> {
        let before = self.bound;
        let bound = self.bound()?;
        if bound > before { Ok(bound) } else { Err(WireError::Order) }
    }

    fn content(&mut self) -> Result<Option<Content>, WireError> {
        Ok(match self.number("record count")? {
            0 => None,
            1 => Some(Content { count: 0, fingerprint: [0; 4] }),
            more => Some(Content { count: more - 1, fingerprint: self.array("fingerprint")? }),
        })
    }

    fn part(&mut self) -> Result<Part, WireError> {
        Ok(Part { upper: self.upper()?, content: self.content()? })
    }

    fn records(&mut self, max: usize) -> Result<Vec<Record>, WireError> {
        let count = self.count(max, 32, "records")?;
        let mut records = Vec::with_capacity(count.min(1_024));
        for _ in 0..count {
            let (record, length) = Record::decode_first(self.rest)?;
            self.take(length, "record")?;
            records.push(record);
        }
        Ok(records)
    }

    fn end<T>(&self, message: T) -> Result<T, WireError> {
        if self.rest.is_empty() { Ok(message) } else { Err(WireError::Trailing) }
    }
}

struct Writer {
    out: Vec<u8>,
    bound: Bound,
}

impl Writer {
    fn new(kind: u8) -> Self {
        Writer { out: vec![kind], bound: Bound::START }
    }

    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.out.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    fn bound(&mut self, bound: &Bound) {
        if *bound == Bound::END {
            self.out.extend([0, END]);
        } else {
            self.number(bound.timestamp.saturating_sub(self.bound.timestamp));
            let length = bound.hash.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            self.out.push(length as u8);
            self.out.extend_from_slice(bound.hash.get(..length).unwrap_or_default());
        }
        self.bound = *bound;
    }

    fn part(&mut self, part: &Part) {
        self.bound(&part.upper);
        match &part.content {
            None => self.number(0),
            Some(Content { count: 0, .. }) => self.number(1),
            Some(content) => {
                self.number(content.count.saturating_add(1));
                self.out.extend_from_slice(&content.fingerprint);
            }
        }
    }
}

impl Question {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Question::Compare { salt, lower, parts } => {
                let mut w = Writer::new(COMPARE);
                w.out.extend_from_slice(salt);
                w.bound(lower);
                w.number(parts.len() as u64);
                parts.iter().for_each(|part| w.part(part));
                w.out
            }
            Question::Fetch { salt, ranges } => {
                let mut w = Writer::new(FETCH);
                w.out.extend_from_slice(salt);
                w.number(ranges.len() as u64);
                for range in ranges {
                    w.bound(&range.span.lower);
                    w.bound(&range.span.upper);
                    w.number(range.have.len() as u64);
                    range.have.iter().for_each(|id| w.out.extend_from_slice(id));
                }
                w.out
            }
            Question::Records { hashes } => {
                let mut w = Writer::new(RECORDS);
                w.number(hashes.len() as u64);
                hashes.iter().for_each(|hash| w.out.extend_from_slice(&hash.0));
                w.out
            }
            Question::Hint => vec![HINT],
        }
    }

    /// Reads a question.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let question = match r.byte("kind")? {
            COMPARE => {
                let salt = r.array("salt")?;
                let lower = r.bound()?;
                let count = r.count(RANGES_MAX, 3, "parts")?;
                let parts = (0..count).map(|_| r.part()).collect::<Result<_, _>>()?;
                Question::Compare { salt, lower, parts }
            }
            FETCH => {
                let salt = r.array("salt")?;
                let count = r.count(RANGES_MAX, 5, "ranges")?;
                let mut ranges = Vec::with_capacity(count);
                for _ in 0..count {
                    let span = Span { lower: r.bound()?, upper: r.upper()? };
                    let ids = r.count(HAVE_MAX, 4, "short ids")?;
                    let have = (0..ids).map(|_| r.array("short id")).collect::<Result<_, _>>()?;
                    ranges.push(Wanted { span, have });
                }
                Question::Fetch { salt, ranges }
            }
            RECORDS => {
                let count = r.count(HASHES_MAX, 32, "hashes")?;
                let hashes = (0..count).map(|_| r.array("hash").map(Hash)).collect::<Result<_, _>>()?;
                Question::Records { hashes }
            }
            HINT => Question::Hint,
            kind => return Err(WireError::Kind(kind)),
        };
        r.end(question)
    }
}

/// The bytes of an answer to [`Question::Fetch`] or [`Question::Records`], built while records are found: they are
/// copied once.
#[derive(Debug, Default)]
pub struct RecordsBuilder {
    count: u64,
    bytes: Vec<u8>,
}

impl RecordsBuilder {
    /// Adds a record's bytes, if there is room.
    pub fn push(&mut self, record: &[u8]) -> bool {
        let fits = self.bytes.is_empty() || self.bytes.len() + record.len() <= RECORDS_BYTES_MAX;
        if fits {
            self.count += 1;
            self.bytes.extend_from_slice(record);
        }
        fits
    }

    /// The answer to [`Question::Fetch`]; as [`Answer::Fetched`].
    pub fn fetched(self, complete: usize, rest: Option<&Bound>, lacking: u64) -> Vec<u8> {
        let mut w = Writer::new(FETCH);
        w.number(complete as u64);
        w.out.push(rest.is_some().into());
        if let Some(rest) = rest {
            w.bound(rest);
        }
        w.number(lacking);
        self.end(w)
    }

    /// The answer to [`Question::Records`].
    pub fn records(self) -> Vec<u8> {
        self.end(Writer::new(RECORDS))
    }

    fn end(self, mut w: Writer) -> Vec<u8> {
        w.number(self.count);
        w.out.extend_from_slice(&self.bytes);
        w.out
    }
}

impl Answer {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let all = |records: &[Record]| {
            let mut builder = RecordsBuilder::default();
            for record in records {
                builder.count += 1;
                builder.bytes.extend_from_slice(record.as_bytes());
            }
            builder
        };
        match self {
            Answer::Compared { total, differing } => {
                let mut w = Writer::new(COMPARE);
                w.number(*total);
                w.number(differing.len() as u64);
                let mut next = 0;
                for (at, difference) in differing {
                    w.number(at.saturating_sub(next) as u64);
                    next = at + 1;
                    match difference {
                        Difference::Split(parts) => {
                            w.out.push(1);
                            w.number(parts.len() as u64);
                            parts.iter().for_each(|part| w.part(part));
                        }
                        Difference::Fetch { count, marks } => {
                            w.out.push(2);
                            w.number(*count);
                            w.number(marks.len() as u64);
                            marks.iter().for_each(|mark| w.bound(mark));
                        }
                    }
                }
                w.out
            }
            Answer::Fetched { records, complete, rest, lacking } => {
                all(records).fetched(*complete, rest.as_ref(), *lacking)
            }
            Answer::Records { records } => all(records).records(),
            Answer::Noted => vec![HINT],
            Answer::Busy => vec![BUSY],
        }
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let answer = match r.byte("kind")? {
            COMPARE => {
                let total = r.number("total")?;
                let count = r.count(RANGES_MAX, 4, "differences")?;
                let mut differing = Vec::with_capacity(count);
                let (mut next, mut ranges) = (0usize, 0usize);
                for _ in 0..count {
                    let at = next + r.small("place")?;
                    next = at + 1;
                    let difference = match r.byte("difference")? {
                        1 => {
                            let parts = r.count(RANGES_MAX - ranges, 3, "parts")?;
                            ranges += parts;
                            Difference::Split((0..parts).map(|_| r.part()).collect::<Result<_, _>>()?)
                        }
                        2 => {
                            let count = r.number("record count")?;
                            let marks = r.count(RANGES_MAX - ranges, 2, "marks")?;
                            ranges += marks;
                            let marks = (0..marks).map(|_| r.upper()).collect::<Result<_, _>>()?;
                            Difference::Fetch { count, marks }
                        }
                        kind => return Err(WireError::Kind(kind)),
                    };
                    differing.push((at, difference));
                }
                Answer::Compared { total, differing }
            }
            FETCH => {
                let complete = r.small("ranges")?;
                let rest = match r.byte("rest")? {
                    0 => None,
                    1 => Some(r.bound()?),
                    _ => return Err(WireError::Number("rest")),
                };
                let lacking = r.number("lacking")?;
                let records = r.records(RECORDS_BYTES_MAX)?;
                Answer::Fetched { records, complete, rest, lacking }
            }
            RECORDS => Answer::Records { records: r.records(HASHES_MAX)? },
            HINT => Answer::Noted,
            BUSY => Answer::Busy,
            kind => return Err(WireError::Kind(kind)),
        };
        r.end(answer)
    }
}

impl Gossip {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Gossip::Record(record) => {
                let mut out = Vec::with_capacity(1 + record.as_bytes().len());
                out.push(GOSSIP_RECORD);
                out.extend_from_slice(record.as_bytes());
                out
            }
            Gossip::Pulses(pulses) => {
                let mut out = Vec::with_capacity(1 + pulses.len() * Pulse::BYTES);
                out.push(GOSSIP_PULSES);
                pulses.iter().for_each(|pulse| out.extend_from_slice(&pulse.to_bytes()));
                out
            }
        }
    }

    /// Reads a gossip message.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        match r.byte("kind")? {
            GOSSIP_RECORD => Ok(Gossip::Record(Box::new(Record::decode(r.rest)?))),
            GOSSIP_PULSES => {
                let pieces = r.rest.chunks_exact(Pulse::BYTES);
                if !pieces.remainder().is_empty() || pieces.len() > PULSES_MAX || pieces.len() == 0 {
                    return Err(WireError::Truncated("pulse"));
                }
                let pulses =
                    pieces.map(|piece| Pulse::from_bytes(piece).map_err(|_| WireError::Number("pulse")));
                Ok(Gossip::Pulses(pulses.collect::<Result<_, _>>()?))
            }
            kind => Err(WireError::Kind(kind)),
        }
    }
}

#[cfg(test)]
mod tests;
