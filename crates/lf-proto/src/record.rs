//! Records (PROTOCOL.md §7): the one thing LF stores. Bytes become a [`Record`] here, once, strictly; everything
//! derived from the bytes (hash, signed digest, cost) is computed here and nowhere else.
//!
//! What lives here is form and arithmetic. Whether a record is acceptable to a node (links, drift, work, trust) is
//! the node's business.

mod builder;
mod stream;
mod verify;
mod wire;

use sha2::{Digest, Sha256, Sha384, Sha512};

pub use self::builder::{BuildError, RecordBuilder, UnworkedRecord};
pub use self::stream::RecordStream;
pub use self::verify::{RecordError, verify_all};
use self::wire::{Reader, put_varint, varint_bytes};
use crate::hash::Hash;
use crate::owner::{OwnerPublic, SignatureError};
use crate::selector::{RecoveredSelector, SELECTOR_BYTES, Selector, SelectorError};
use crate::work::{self, Work};

/// The largest record, in bytes, in full form.
pub const RECORD_BYTES_MAX: usize = 65_536;
/// The most links a record can have.
pub const LINKS_MAX: usize = 15;
/// The most selectors a record can have.
pub const SELECTORS_MAX: usize = 15;
/// The longest signature of any owner type, in bytes (P-384).
pub const SIGNATURE_BYTES_MAX: usize = 96;

const FLAG_VALUE: u64 = 0x1;
const FLAG_PULSE_TOKEN: u64 = 0x2;
const FLAG_VALUE_IS_HASH: u64 = 0x4;
const FLAGS_KNOWN: u64 = 0xff7;
const WORK_NONE: u8 = 0;
const WORK_WHARRGARBL: u8 = 1;

/// Why bytes are not a record. All of these are the sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end inside a field.
    #[error("record ends inside its {0}")]
    Truncated(&'static str),
    /// A varint of more than 64 bits, or not in its shortest form.
    #[error("record's {0} is not a varint in its shortest form")]
    Varint(&'static str),
    /// A length above what its field can have.
    #[error("record's {field} has an impossible length of {length} bytes")]
    Length {
        /// The field.
        field: &'static str,
        /// The length it claims.
        length: u64,
    },
    /// A flag bit this version does not know.
    #[error("record has unknown flags {0:#x}")]
    Flags(u64),
    /// The value flag is set and the value is empty.
    #[error("record has an empty value with the value flag set")]
    EmptyValue,
    /// The pulse token flag is set and the token is zero.
    #[error("record has a zero pulse token with the pulse token flag set")]
    ZeroPulseToken,
    /// The owner is of no known type.
    #[error("record's owner has {0} bytes: no owner type has that")]
    Owner(usize),
    /// Links are not strictly ascending.
    #[error("record's links are not strictly ascending")]
    LinkOrder,
    /// A work algorithm this version does not know.
    #[error("record's work algorithm {0} is unknown")]
    WorkAlgorithm(u8),
    /// A selector that cannot be.
    #[error("record's selector {index} is malformed: {source}")]
    Selector {
        /// Its place, from 0.
        index: usize,
        /// What is wrong with it.
        source: SelectorError,
    },
    /// The record is larger than [`RECORD_BYTES_MAX`] in full form.
    #[error("record is larger than {RECORD_BYTES_MAX} bytes")]
    TooLarge,
    /// Bytes follow the record.
    #[error("{0} bytes follow the record")]
    Trailing(usize),
    /// The record's value is given by its hash where the full form is needed.
    #[error("record's value is only a hash: the full form is needed")]
    NotFull,
}

/// What a record is for. Types this version does not know are stored and linked like data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordType {
    /// 0: a key/value record.
    Datum,
    /// 1: network parameters.
    Genesis,
    /// 2: an oracle's comments on other records.
    Commentary,
    /// 3: X.509 certificates.
    Certificate,
    /// 4: a certificate revocation list.
    Crl,
    /// 5: an owner's statement that another key has taken its place.
    Rotation,
    /// Any other, 6 to 15.
    Other(u8),
}

impl RecordType {
    /// The type with this id; only the low four bits count.
    pub const fn from_id(id: u8) -> Self {
        match id & 0xf {
            0 => RecordType::Datum,
            1 => RecordType::Genesis,
            2 => RecordType::Commentary,
            3 => RecordType::Certificate,
            4 => RecordType::Crl,
            5 => RecordType::Rotation,
            other => RecordType::Other(other),
        }
    }

    /// The type's id, 0 to 15.
    pub const fn id(self) -> u8 {
        match self {
            RecordType::Datum => 0,
            RecordType::Genesis => 1,
            RecordType::Commentary => 2,
            RecordType::Certificate => 3,
            RecordType::Crl => 4,
            RecordType::Rotation => 5,
            RecordType::Other(id) => id & 0xf,
        }
    }
}

/// A record's value as stored (masked): whole, or only its hash in the proxy form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// The stored bytes; empty when there is no value.
    Full(Vec<u8>),
    /// SHA-384 of the stored bytes; `None` when there is no value.
    Hash(Option<[u8; 48]>),
}

/// A well-formed record. Immutable; its bytes are canonical, so equal bytes and equal records are the same thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    parts: Parts,
    bytes: Box<[u8]>,
    body_hash: [u8; 48],
    work_hash: [u8; 48],
    hash: Hash,
}

/// A record's fields, checked for form, without the derived ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) record_type: RecordType,
    pub(crate) value: Value,
    pub(crate) owner: OwnerPublic,
    pub(crate) links: Vec<Hash>,
    pub(crate) timestamp: u64,
    pub(crate) pulse_token: u64,
    pub(crate) selectors: Vec<Selector>,
    pub(crate) work: Option<Work>,
    pub(crate) signature: Vec<u8>,
}

/// The fields of a body, before there is a record around it.
struct Body<'a> {
    record_type: RecordType,
    value: &'a Value,
    owner: &'a OwnerPublic,
    links: &'a [Hash],
    timestamp: u64,
    pulse_token: u64,
}

impl Body<'_> {
    /// The body's bytes; `proxy` replaces a full value by its hash.
    fn encode(&self, proxy: bool) -> Vec<u8> {
        let value_hash: [u8; 48];
        let (value_flags, value): (u64, &[u8]) = match self.value {
            Value::Full(v) if v.is_empty() => (if proxy { FLAG_VALUE_IS_HASH } else { 0 }, &[]),
            Value::Full(v) if proxy => {
                value_hash = Sha384::digest(v).into();
                (FLAG_VALUE | FLAG_VALUE_IS_HASH, &value_hash)
            }
            Value::Full(v) => (FLAG_VALUE, v),
            Value::Hash(None) => (FLAG_VALUE_IS_HASH, &[]),
            Value::Hash(Some(h)) => (FLAG_VALUE | FLAG_VALUE_IS_HASH, h),
        };
        let token_flag = if self.pulse_token == 0 { 0 } else { FLAG_PULSE_TOKEN };
        let counts = (self.links.len() as u64) << 4 | u64::from(self.record_type.id()) << 8;
        // With room for the selectors and the rest of most records.
        let mut out = Vec::with_capacity(512 + value.len() + 32 * self.links.len());
        put_varint(&mut out, value_flags | token_flag | counts);
        if value_flags == FLAG_VALUE {
            put_varint(&mut out, value.len() as u64);
        }
        out.extend_from_slice(value);
        put_varint(&mut out, self.owner.as_bytes().len() as u64);
        out.extend_from_slice(self.owner.as_bytes());
        for link in self.links {
            out.extend_from_slice(link.as_bytes());
        }
        put_varint(&mut out, self.timestamp);
        if self.pulse_token != 0 {
            out.extend_from_slice(&self.pulse_token.to_be_bytes());
        }
        out
    }

    /// The length of the body in full form, in bytes.
    fn full_bytes(&self) -> usize {
        let flags_bytes = if self.record_type.id() != 0 || self.links.len() >= 8 { 2 } else { 1 };
        let value = match self.value {
            Value::Full(v) if !v.is_empty() => varint_bytes(v.len() as u64) + v.len(),
            _ => 0,
        };
        let owner = self.owner.as_bytes().len();
        let token = if self.pulse_token == 0 { 0 } else { 8 };
        flags_bytes + value + 1 + owner + 32 * self.links.len() + varint_bytes(self.timestamp) + token
    }
}

fn encode_tail(out: &mut Vec<u8>, selectors: &[Selector], work: Option<&Work>, signature: &[u8]) {
    let algorithm = if work.is_some() { WORK_WHARRGARBL } else { WORK_NONE };
    out.push(algorithm << 4 | selectors.len() as u8 & 0xf);
    for s in selectors {
        out.extend_from_slice(&s.to_bytes());
    }
    if let Some(work) = work {
        out.extend_from_slice(&work.0);
    }
    put_varint(out, signature.len() as u64);
    out.extend_from_slice(signature);
}

/// SHA-384(body hash ‖ serialized selectors).
fn work_hash(body_hash: &[u8; 48], selectors: &[Selector]) -> [u8; 48] {
    let mut h = Sha384::new();
    h.update(body_hash);
    for s in selectors {
        h.update(s.to_bytes());
    }
    h.finalize().into()
}

/// The digest that the owner signs: SHA-384(work hash ‖ work ‖ work algorithm).
fn signed_digest(work_hash: &[u8; 48], work: Option<&Work>) -> [u8; 48] {
    let mut h = Sha384::new();
    h.update(work_hash);
    match work {
        Some(work) => {
            h.update(work.0);
            h.update([WORK_WHARRGARBL]);
        }
        None => h.update([WORK_NONE]),
    }
    h.finalize().into()
}

/// SHA-256(m ‖ SHA-512(m)).
fn double_hash(message: &[u8]) -> [u8; 32] {
    let mut h = Sha256::new();
    h.update(message);
    h.update(Sha512::digest(message));
    h.finalize().into()
}

impl Record {
    /// Decodes the canonical bytes of one record in full form, with nothing after it.
    ///
    /// # Errors
    /// The first thing that is wrong with the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (record, used) = Self::decode_first(bytes)?;
        match bytes.len() - used {
            0 => Ok(record),
            more => Err(DecodeError::Trailing(more)),
        }
    }

    /// Decodes the first of several concatenated records in full form; also returns how many bytes it has.
    ///
    /// # Errors
    /// As [`Record::decode`], without [`DecodeError::Trailing`].
    pub fn decode_first(bytes: &[u8]) -> Result<(Self, usize), DecodeError> {
        let (record, used) = Self::decode_any(bytes)?;
        match record.parts.value {
            Value::Full(_) => Ok((record, used)),
            Value::Hash(_) => Err(DecodeError::NotFull),
        }
    }

    /// Decodes the first record in full or proxy form. Both give the same hashes.
    ///
    /// # Errors
    /// As [`Record::decode_first`], without [`DecodeError::NotFull`].
    pub fn decode_any(bytes: &[u8]) -> Result<(Self, usize), DecodeError> {
        let mut r = Reader::new(bytes);
        let flags = r.varint("flags")?;
        if flags & !FLAGS_KNOWN != 0 {
            return Err(DecodeError::Flags(flags & !FLAGS_KNOWN));
        }
        let value = match (flags & FLAG_VALUE != 0, flags & FLAG_VALUE_IS_HASH != 0) {
            (false, false) => Value::Full(Vec::new()),
            (false, true) => Value::Hash(None),
            (true, true) => Value::Hash(Some(r.array("value hash")?)),
            (true, false) => match r.counted(RECORD_BYTES_MAX, "value")? {
                [] => return Err(DecodeError::EmptyValue),
                v => Value::Full(v.to_vec()),
            },
        };
        let owner = r.counted(RECORD_BYTES_MAX, "owner")?;
        let owner = OwnerPublic::from_bytes(owner).map_err(|_| DecodeError::Owner(owner.len()))?;
        let link_count = (flags >> 4 & 0xf) as usize;
        let mut links = Vec::with_capacity(link_count);
        for _ in 0..link_count {
            let link = Hash(r.array("links")?);
            if links.last().is_some_and(|last| *last >= link) {
                return Err(DecodeError::LinkOrder);
            }
            links.push(link);
        }
        let timestamp = r.varint("timestamp")?;
        let pulse_token = if flags & FLAG_PULSE_TOKEN == 0 {
            0
        } else {
            match u64::from_be_bytes(r.array("pulse token")?) {
                0 => return Err(DecodeError::ZeroPulseToken),
                token => token,
            }
        };
        let counts = r.byte("selector count")?;
        let algorithm = counts >> 4;
        if algorithm > WORK_WHARRGARBL {
            return Err(DecodeError::WorkAlgorithm(algorithm));
        }
        let mut selectors = Vec::with_capacity((counts & 0xf) as usize);
        for index in 0..(counts & 0xf) as usize {
            let bytes: [u8; SELECTOR_BYTES] = r.array("selectors")?;
            let selector =
                Selector::from_bytes(&bytes).map_err(|source| DecodeError::Selector { index, source })?;
            selectors.push(selector);
        }
        let work = if algorithm == WORK_WHARRGARBL { Some(Work(r.array("work")?)) } else { None };
        let signature = r.counted(SIGNATURE_BYTES_MAX, "signature")?.to_vec();
        let used = r.position();
        if used > RECORD_BYTES_MAX {
            return Err(DecodeError::TooLarge);
        }
        let parts = Parts {
            record_type: RecordType::from_id((flags >> 8) as u8),
            value,
            owner,
            links,
            timestamp,
            pulse_token,
            selectors,
            work,
            signature,
        };
        // Only canonical bytes get here, so they need not be made again.
        debug_assert_eq!(
            Some(&*parts.clone().assemble().bytes),
            bytes.get(..used),
            "only canonical bytes decode"
        );
        let proxy = parts.proxy();
        Ok((parts.with_hashes(&proxy, bytes.get(..used).unwrap_or_default().into()), used))
    }

    /// The canonical bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The record's hash, the same for full and proxy form.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The record's type.
    pub fn record_type(&self) -> RecordType {
        self.parts.record_type
    }

    /// The value as stored: masked, or its hash.
    pub fn value(&self) -> &Value {
        &self.parts.value
    }

    /// The stored (masked) bytes of the value; empty without a value or in proxy form.
    pub fn stored_value(&self) -> &[u8] {
        match &self.parts.value {
            Value::Full(v) => v,
            Value::Hash(_) => &[],
        }
    }

    /// The bytes of the value that count against the network's maximum: stored bytes less 2.
    pub fn value_bytes(&self) -> usize {
        self.stored_value().len().saturating_sub(2)
    }

    /// The owner.
    pub fn owner(&self) -> &OwnerPublic {
        &self.parts.owner
    }

    /// Hashes of the older records it links to, strictly ascending.
    pub fn links(&self) -> &[Hash] {
        &self.parts.links
    }

    /// Seconds since 1970, as the owner claims.
    pub fn timestamp(&self) -> u64 {
        self.parts.timestamp
    }

    /// The pulse token; 0 if it has none.
    pub fn pulse_token(&self) -> u64 {
        self.parts.pulse_token
    }

    /// The selectors, in order.
    pub fn selectors(&self) -> &[Selector] {
        &self.parts.selectors
    }

    /// The proof of work it claims.
    pub fn work(&self) -> Option<&Work> {
        self.parts.work.as_ref()
    }

    /// The owner's signature.
    pub fn signature(&self) -> &[u8] {
        &self.parts.signature
    }

    /// SHA-384 of the proxy body: what selector claims sign.
    pub fn body_hash(&self) -> &[u8; 48] {
        &self.body_hash
    }

    /// SHA-384(body hash ‖ selectors): what the work is for.
    pub fn work_hash(&self) -> &[u8; 48] {
        &self.work_hash
    }

    /// What the owner's signature signs.
    pub fn signed_digest(&self) -> [u8; 48] {
        signed_digest(&self.work_hash, self.parts.work.as_ref())
    }

    /// The bytes that work must pay for: the body in full form and 57 for each selector. For a record in proxy form
    /// this is not known and counts the value as absent.
    pub fn billable_bytes(&self) -> u64 {
        (self.parts.body().full_bytes() + SELECTOR_BYTES * self.parts.selectors.len()) as u64
    }

    /// The record's own contribution to the graph's weights: the score of the difficulty it claims.
    pub fn score(&self) -> u32 {
        self.parts.work.as_ref().map_or(work::SCORE_WITHOUT_WORK, |w| work::score(w.difficulty()))
    }

    /// Checks the owner's signature; `strict` rejects the high form of an ECDSA signature.
    ///
    /// # Errors
    /// The signature is not the owner's.
    pub fn verify_signature(&self, strict: bool) -> Result<(), SignatureError> {
        self.parts.owner.verify(&self.signed_digest(), &self.parts.signature, strict)
    }

    /// Recovers every selector's id and key from its claim. Costly: one public key recovery for each.
    ///
    /// # Errors
    /// The first claim from which no key can be recovered; such a record is invalid.
    pub fn recover_selectors(&self) -> Result<Vec<RecoveredSelector>, SelectorError> {
        self.parts.selectors.iter().map(|s| s.recover(&self.body_hash)).collect()
    }

    /// The record's id: SHA-256 of its selectors' ids in order, or its hash if it has none.
    pub fn id(&self, selectors: &[RecoveredSelector]) -> [u8; 32] {
        if selectors.is_empty() {
            return self.hash.0;
        }
        let mut h = Sha256::new();
        for s in selectors {
            h.update(s.id);
        }
        h.finalize().into()
    }

    /// The same record in proxy form.
    pub fn to_proxy(&self) -> Record {
        let value = match &self.parts.value {
            Value::Full(v) if v.is_empty() => Value::Hash(None),
            Value::Full(v) => Value::Hash(Some(Sha384::digest(v).into())),
            hash => hash.clone(),
        };
        Parts { value, ..self.parts.clone() }.assemble()
    }
}

impl Parts {
    fn body(&self) -> Body<'_> {
        Body {
            record_type: self.record_type,
            value: &self.value,
            owner: &self.owner,
            links: &self.links,
            timestamp: self.timestamp,
            pulse_token: self.pulse_token,
        }
    }

    /// The record of these fields.
    pub(crate) fn assemble(self) -> Record {
        let proxy = self.proxy();
        let bytes = if matches!(self.value, Value::Full(_)) {
            let mut bytes = self.body().encode(false);
            encode_tail(&mut bytes, &self.selectors, self.work.as_ref(), &self.signature);
            bytes
        } else {
            proxy.bytes.clone()
        };
        self.with_hashes(&proxy, bytes.into_boxed_slice())
    }

    /// The record in the form that is hashed.
    fn proxy(&self) -> Proxy {
        let mut bytes = self.body().encode(true);
        let body_bytes = bytes.len();
        encode_tail(&mut bytes, &self.selectors, self.work.as_ref(), &self.signature);
        Proxy { bytes, body_bytes }
    }

    fn with_hashes(self, proxy: &Proxy, bytes: Box<[u8]>) -> Record {
        let body_hash = Sha384::digest(&proxy.bytes[..proxy.body_bytes]).into();
        Record {
            work_hash: work_hash(&body_hash, &self.selectors),
            hash: Hash(double_hash(&proxy.bytes)),
            parts: self,
            bytes,
            body_hash,
        }
    }
}

/// A record's proxy form.
struct Proxy {
    bytes: Vec<u8>,
    body_bytes: usize,
}
