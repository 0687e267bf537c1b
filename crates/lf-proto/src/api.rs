//! The JSON of LF's HTTP API (API.md §1), shared by node and client. Member names are exactly as written there; they
//! are read without regard to letter case, so read these types with [`crate::json`].

mod certificates;
mod explain;
mod graph;
mod peers;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use self::certificates::{CertificateInfo, CertificateList};
pub use self::explain::{ExplainedCandidate, ExplainedSet, Explanation};
pub use self::graph::{GraphPage, GraphRecord};
pub use self::peers::{BanRequest, PeerBan, PeerList, PeerStatus, PeersStatus};
use crate::blob::Blob;
use crate::genesis::GenesisParameters;
use crate::hash::Hash;
use crate::json::nullable;
use crate::ordinal::Ordinal;
use crate::owner::OwnerPublic;
use crate::record::{self, DecodeError, RecordType};
use crate::selector::{CLAIM_BYTES, Selector};
use crate::work::Work;

/// The API's version.
pub const API_VERSION: u32 = 1;
/// The most ranges a query can have: one for each selector a record can have.
pub const RANGES_MAX: usize = record::SELECTORS_MAX;
/// The most owners or oracles a query can name.
pub const OWNERS_MAX: usize = 256;

fn is_empty(blob: &Zeroizing<Blob>) -> bool {
    blob.is_empty()
}

fn no_text(text: &Zeroizing<String>) -> bool {
    text.is_empty()
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// A record as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RecordJson {
    /// The stored (masked) value.
    #[serde(default, skip_serializing_if = "Blob::is_empty")]
    pub value: Blob,
    /// SHA-384 of the stored value, where the value itself was dropped.
    #[serde(default, skip_serializing_if = "Blob::is_empty")]
    pub value_hash: Blob,
    /// The owner.
    pub owner: OwnerPublic,
    /// Hashes of older records, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub links: Vec<Hash>,
    /// Seconds since 1970.
    #[serde(default)]
    pub timestamp: u64,
    /// 0 if there is none.
    #[serde(default)]
    pub pulse_token: u64,
    /// The record type's id.
    #[serde(default, rename = "Type")]
    pub record_type: u8,
    /// The selectors, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub selectors: Vec<SelectorJson>,
    /// The work, 14 bytes.
    #[serde(default, skip_serializing_if = "Blob::is_empty")]
    pub work: Blob,
    /// 0 none, 1 Wharrgarbl.
    #[serde(default)]
    pub work_algorithm: u8,
    /// The owner's signature.
    #[serde(default, skip_serializing_if = "Blob::is_empty")]
    pub signature: Blob,
}

/// A selector as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SelectorJson {
    /// The masked ordinal.
    pub ordinal: Ordinal,
    /// r ‖ s ‖ parity, 41 bytes.
    pub claim: Blob,
}

impl From<&record::Record> for RecordJson {
    fn from(r: &record::Record) -> Self {
        let (value, value_hash) = match r.value() {
            record::Value::Full(v) => (v.as_slice().into(), Blob::default()),
            record::Value::Hash(h) => {
                (Blob::default(), h.map_or_else(Blob::default, |h| h.as_slice().into()))
            }
        };
        RecordJson {
            value,
            value_hash,
            owner: *r.owner(),
            links: r.links().to_vec(),
            timestamp: r.timestamp(),
            pulse_token: r.pulse_token(),
            record_type: r.record_type().id(),
            selectors: r
                .selectors()
                .iter()
                .map(|s| SelectorJson { ordinal: s.ordinal, claim: s.claim_bytes().as_slice().into() })
                .collect(),
            work: r.work().map_or_else(Blob::default, |w| w.0.as_slice().into()),
            work_algorithm: u8::from(r.work().is_some()),
            signature: r.signature().into(),
        }
    }
}

impl RecordJson {
    /// The record this JSON describes, in full form: what a client needs to check a node's answer.
    ///
    /// # Errors
    /// The JSON is not a record's.
    pub fn to_record(&self) -> Result<record::Record, DecodeError> {
        let length = |field, found: usize| DecodeError::Length { field, length: found as u64 };
        if !self.value_hash.is_empty() {
            return Err(DecodeError::NotFull);
        }
        if self.value.0.len() > record::RECORD_BYTES_MAX {
            return Err(DecodeError::TooLarge);
        }
        if self.links.len() > record::LINKS_MAX {
            return Err(length("links", self.links.len()));
        }
        if self.selectors.len() > record::SELECTORS_MAX {
            return Err(length("selectors", self.selectors.len()));
        }
        if self.signature.0.len() > record::SIGNATURE_BYTES_MAX {
            return Err(length("signature", self.signature.0.len()));
        }
        let mut selectors = Vec::with_capacity(self.selectors.len());
        for (index, s) in self.selectors.iter().enumerate() {
            let claim: [u8; CLAIM_BYTES] =
                s.claim.0.as_slice().try_into().map_err(|_| length("claim", s.claim.0.len()))?;
            let selector = Selector::from_claim(s.ordinal, &claim)
                .map_err(|source| DecodeError::Selector { index, source })?;
            selectors.push(selector);
        }
        let work = match (self.work_algorithm, self.work.0.as_slice()) {
            (0, []) => None,
            (1, bytes) => Some(Work(bytes.try_into().map_err(|_| length("work", bytes.len()))?)),
            (0, bytes) => return Err(length("work", bytes.len())),
            (other, _) => return Err(DecodeError::WorkAlgorithm(other)),
        };
        let parts = record::Parts {
            record_type: RecordType::from_id(self.record_type),
            value: record::Value::Full(self.value.0.clone()),
            owner: self.owner,
            links: self.links.clone(),
            timestamp: self.timestamp,
            pulse_token: self.pulse_token,
            selectors,
            work,
            signature: self.signature.0.clone(),
        };
        // Decoding again checks what the fields alone do not show (order of links, size).
        record::Record::decode(parts.assemble().as_bytes())
    }
}

/// One selector's condition in a query: a plain name with ordinals, or a range of keys that keeps the name secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct QueryRange {
    /// The plain name.
    #[serde(skip_serializing_if = "Blob::is_empty")]
    pub name: Blob,
    /// One ordinal, or the first and last of a range; none means ordinal 0.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub range: Vec<u64>,
    /// One key, or the first and last of a range; each 32 bytes. Takes the place of the name.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub key_range: Vec<Blob>,
}

/// A query (NODE.md §5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Query {
    /// Conditions on the selectors, in order.
    #[serde(deserialize_with = "nullable")]
    pub ranges: Vec<QueryRange>,
    /// `[from]` or `[from, to]` on the newest revision's timestamp, seconds since 1970.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub time_range: Vec<u64>,
    /// Unmasks values; by default the first range's name.
    #[serde(skip_serializing_if = "Blob::is_empty")]
    pub masking_key: Blob,
    /// Only these owners.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub owners: Vec<OwnerPublic>,
    /// `trust` (default: what this node thinks), `weight`, `timestamp`, or `deterministic`: weight, then hash, the same
    /// on all synchronized nodes.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub sort_order: String,
    /// The most records of each result set; none or 0 means all.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "nullable")]
    pub limit: u64,
    /// Whether records may have more selectors than the query has ranges.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "nullable")]
    pub open: bool,
    /// Oracles whose comments count.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub oracles: Vec<OwnerPublic>,
    /// Whether all owners who named a successor are followed, not just those certified by one authority.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "nullable")]
    pub follow_rotations: bool,
}

/// One record of a query's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct QueryResult {
    /// The record's hash.
    pub hash: Hash,
    /// The record's size in bytes.
    pub size: u64,
    /// The record: the newest revision of its owner.
    pub record: RecordJson,
    /// The plain value, if the node could unmask it.
    #[serde(default, skip_serializing_if = "Blob::is_empty")]
    pub value: Blob,
    /// The last pulse's time: timestamp + 60 · minutes; the timestamp if there was none.
    #[serde(default)]
    pub pulse: u64,
    /// Trust in the record, 0 to 1.
    pub trust: f64,
    /// What this node itself thinks: 1 or 0.
    pub local_trust: f64,
    /// What the oracles asked think, 0 to 1.
    pub oracle_trust: f64,
    /// The summed weight of the owner's revisions, most significant word first.
    pub weight: [u32; 4],
    /// Whether the owner has a valid certificate at the record's time.
    pub signed: bool,
}

/// A weight as the API writes it, most significant word first.
pub fn weight_words(weight: u128) -> [u32; 4] {
    [(weight >> 96) as u32, (weight >> 64) as u32, (weight >> 32) as u32, weight as u32]
}

/// The weight of [`weight_words`].
pub fn weight_from_words(words: &[u32; 4]) -> u128 {
    words.iter().fold(0, |a, w| a << 32 | u128::from(*w))
}

/// Asks a node to make a record (trusted clients only).
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MakeRecord {
    /// Names and plain ordinals, in order.
    #[serde(deserialize_with = "nullable")]
    pub selectors: Vec<MakeSelector>,
    /// The plain value.
    #[serde(skip_serializing_if = "Blob::is_empty")]
    pub value: Blob,
    /// The owner's private key: DER bytes or PEM text.
    #[serde(skip_serializing_if = "is_empty")]
    pub owner_private: Zeroizing<Blob>,
    /// Masks the value; by default the first selector's name, or the passphrase's key.
    #[serde(skip_serializing_if = "is_empty")]
    pub masking_key: Zeroizing<Blob>,
    /// Owner and masking key from a passphrase, instead of a private key.
    #[serde(skip_serializing_if = "no_text", deserialize_with = "nullable")]
    pub passphrase: Zeroizing<String>,
    /// Seconds since 1970; 0 or none means now.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "nullable")]
    pub timestamp: u64,
    /// Only pulse when the newest revision already holds this value.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "nullable")]
    pub pulse_if_unchanged: bool,
    /// For `/makepulse`: whether a new record is made when the old one is too old to be pulsed (default true).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_record_if_pulse_span_exceeded: Option<bool>,
}

impl std::fmt::Debug for MakeRecord {
    /// Leaves the secrets out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MakeRecord").field("timestamp", &self.timestamp).finish_non_exhaustive()
    }
}

/// A selector of a record to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MakeSelector {
    /// The plain name.
    pub name: Blob,
    /// The plain ordinal.
    #[serde(deserialize_with = "nullable")]
    pub ordinal: u64,
}

/// The answer of `/makerecord`, `/makepulse` and `/pulse`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Made {
    /// The record that was made, or that already held the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordJson>,
    /// The pulse, base64 of its 11 bytes (a quirk of the reference that its clients depend on).
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub pulse: String,
    /// Whether something new was accepted.
    pub accepted: bool,
}

/// Asks a node for proof of work (trusted clients only): for who signs on its own, on a machine or in a language in which
/// the search takes long. Nothing secret is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WorkRequest {
    /// What the work is for: a record's 48-byte work hash (PROTOCOL.md §8).
    pub work_hash: Blob,
    /// The difficulty that the work must have.
    #[serde(deserialize_with = "nullable")]
    pub difficulty: u32,
}

/// The answer of `/v1/work`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WorkAnswer {
    /// The work, 14 bytes.
    pub work: Blob,
}

/// A peer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Peer {
    /// Its address.
    #[serde(rename = "IP", deserialize_with = "nullable")]
    pub ip: String,
    /// Its port.
    #[serde(deserialize_with = "nullable")]
    pub port: u16,
    /// Its public key.
    #[serde(skip_serializing_if = "Blob::is_empty")]
    pub identity: Blob,
    /// Instead of all that: `HOST:PORT` or a multiaddr.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub address: String,
}

/// A node's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NodeStatus {
    /// The software's name.
    pub software: String,
    /// Its version: major, minor, revision, build.
    pub version: [u32; 4],
    /// The API's version.
    #[serde(rename = "APIVersion")]
    pub api_version: u32,
    /// The oldest API version it speaks.
    #[serde(rename = "MinAPIVersion")]
    pub min_api_version: u32,
    /// The newest API version it speaks.
    #[serde(rename = "MaxAPIVersion")]
    pub max_api_version: u32,
    /// Seconds since it started.
    pub uptime: u64,
    /// Its clock, seconds since 1970.
    pub clock: u64,
    /// Linked records.
    pub record_count: u64,
    /// Their bytes.
    pub data_size: u64,
    /// Whether nothing is known to be missing.
    pub fully_synchronized: bool,
    /// genesis.lf.
    pub genesis_records: Blob,
    /// The network's current parameters.
    pub genesis_parameters: GenesisParameters,
    /// The oracle's owner, if the node is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oracle: Option<OwnerPublic>,
    /// Threads of the lowest priority that the oracle works with at most; 0 if the node is none.
    #[serde(default)]
    pub oracle_threads: u64,
    /// The port for peers; 0 if there is none.
    #[serde(rename = "P2PPort")]
    pub p2p_port: u16,
    /// Whether the node is in local test mode: no peers, no work needed.
    pub local_test_mode: bool,
    /// The node's public key.
    #[serde(default, skip_serializing_if = "Blob::is_empty")]
    pub identity: Blob,
    /// Connected peers.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub peers: Vec<Peer>,
    /// Records that wait for others they link to.
    #[serde(default)]
    pub pending_count: u64,
    /// Records that wait for their approval: a certificate of their owner, or an amendment of the genesis.
    #[serde(default)]
    pub limbo_count: u64,
    /// Why the node does not accept writes now; empty if it does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub read_only_reason: String,
    /// Records that peers have and this node is fetching, as far as known.
    #[serde(default)]
    pub missing_count: u64,
    /// Records fetched of those that were missing.
    #[serde(default)]
    pub fetched_count: u64,
    /// Until when its certificate for HTTPS is valid, seconds since 1970, if it has one.
    #[serde(rename = "HTTPSUntil", default, skip_serializing_if = "Option::is_none")]
    pub https_until: Option<u64>,
    /// What keeps it from a (new) certificate for HTTPS; empty if nothing does.
    #[serde(rename = "HTTPSProblem", default, skip_serializing_if = "String::is_empty")]
    pub https_problem: String,
}

/// What a node knows of an owner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct OwnerStatus {
    /// The owner.
    pub owner: OwnerPublic,
    /// `p224`, `p384` or `ed25519`.
    #[serde(default)]
    pub owner_type: String,
    /// The owner's certificates, DER.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub certificates: Vec<Blob>,
    /// The owner's revoked certificates, DER.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub revoked_certificates: Vec<Blob>,
    /// Whether one of them is valid now.
    pub has_current_certificate: bool,
    /// Whether the network requires one.
    pub auth_required: bool,
    /// Linked records of this owner.
    pub record_count: u64,
    /// Their bytes.
    pub record_bytes: u64,
    /// Links for the owner's next record.
    #[serde(default, deserialize_with = "nullable")]
    pub new_record_links: Vec<Hash>,
    /// The node's clock, seconds since 1970.
    pub server_time: u64,
}

/// An error's JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ErrorJson {
    /// The HTTP status.
    pub code: u16,
    /// What happened, one line.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub message: String,
    /// The error's name, API.md §1.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub err_type_name: String,
}
