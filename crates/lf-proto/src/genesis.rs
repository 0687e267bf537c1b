//! Genesis (PROTOCOL.md §10): a network's parameters, how later genesis records amend them, and the file that starts a
//! network.

use serde::{Deserialize, Deserializer, Serialize};

use crate::blob::Blob;
use crate::hash::Hash;
use crate::json::{self, nullable};
use crate::masking;
use crate::owner::{OwnerPublic, SignatureError};
use crate::record::{DecodeError, LINKS_MAX, Record, RecordType};

/// The largest genesis.lf, in bytes.
pub const GENESIS_BYTES_MAX: usize = 16 * crate::record::RECORD_BYTES_MAX;

/// Names of the fields that a network can make amendable.
pub const AMENDABLE: [&str; 10] = [
    "name",
    "contact",
    "comment",
    "authcertificates",
    "authrequired",
    "recordminlinks",
    "recordmaxvaluesize",
    "recordmaxtimedrift",
    "strictsignatures",
    "workfactor",
];

/// What the reference calls `recordmaxtimedrift` where it makes a network.
const DRIFT_ALIAS: &str = "recordmaxforwardtimedrift";

/// Why a network's genesis cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GenesisError {
    /// The parameters are not the JSON they should be.
    #[error("genesis parameters are not valid: {0}")]
    Json(String),
    /// A field that cannot be amendable.
    #[error("no field named {0:?} can be amendable; there are: {list}", list = AMENDABLE.join(", "))]
    NotAmendable(String),
    /// The file is larger than [`GENESIS_BYTES_MAX`].
    #[error("genesis file has {0} bytes, more than {GENESIS_BYTES_MAX}")]
    TooLarge(usize),
    /// The file holds no or too few records.
    #[error("genesis file has {found} records where the network needs {needed}")]
    TooFewRecords {
        /// Records found.
        found: usize,
        /// Records needed: RecordMinLinks, at least 1.
        needed: u64,
    },
    /// A record of the file is malformed.
    #[error("genesis record {index}: {source}")]
    Record {
        /// Its place, from 0.
        index: usize,
        /// What is wrong.
        source: DecodeError,
    },
    /// A record of the file breaks a rule of genesis files.
    #[error("genesis record {index} {problem}")]
    Rule {
        /// Its place, from 0.
        index: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// A record of the file is not signed by its owner.
    #[error("genesis record {index}: {source}")]
    Signature {
        /// Its place, from 0.
        index: usize,
        /// What is wrong.
        source: SignatureError,
    },
}

/// A network's parameters. Absent fields are empty, 0 or false.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GenesisParameters {
    /// The network's id, 32 bytes; also its pre-shared key: whoever knows it can join.
    #[serde(rename = "ID", deserialize_with = "id")]
    pub id: [u8; 32],
    /// Names of the fields that later genesis records may change, in any letter case.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub amendable_fields: Vec<String>,
    /// The network's name.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub name: String,
    /// Who to ask about it.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub contact: String,
    /// Free text.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub comment: String,
    /// Root CA certificates, DER, in a row.
    #[serde(skip_serializing_if = "Blob::is_empty")]
    pub auth_certificates: Blob,
    /// Revoked root CA certificates, DER, in a row.
    #[serde(skip_serializing_if = "Blob::is_empty")]
    pub revoked_auth_certificates: Blob,
    /// Whether records need a certificate of their owner; work alone does not do then.
    #[serde(deserialize_with = "nullable")]
    pub auth_required: bool,
    /// The fewest links a record can have.
    #[serde(deserialize_with = "nullable")]
    pub record_min_links: u64,
    /// The largest stored value, in bytes less 2.
    #[serde(deserialize_with = "nullable")]
    pub record_max_value_size: u64,
    /// How far a record's timestamp may be off, in seconds.
    #[serde(deserialize_with = "nullable")]
    pub record_max_time_drift: u64,
    /// Whether the high form of an ECDSA signature is refused.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub strict_signatures: bool,
    /// What the required difficulty of work is multiplied with; 0 means 1.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub work_factor: u64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// An array of numbers; shorter ones are zero-filled, longer ones cut, as the reference does.
fn id<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 32], D::Error> {
    let numbers = Option::<Vec<u8>>::deserialize(d)?.unwrap_or_default();
    let mut id = [0; 32];
    for (slot, number) in id.iter_mut().zip(numbers) {
        *slot = number;
    }
    Ok(id)
}

impl GenesisParameters {
    /// Reads parameters from JSON: names in any letter case, unknown ones ignored.
    ///
    /// # Errors
    /// Not JSON, or a field of a wrong type.
    pub fn parse(text: &[u8]) -> Result<Self, GenesisError> {
        json::from_slice_exact(text).map_err(|e| GenesisError::Json(e.to_string()))
    }

    /// The JSON of these parameters, as genesis records hold it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Applies the JSON of a later genesis record: sets every amendable field to what it says, absent ones to empty.
    /// Returns whether anything changed. An empty value changes nothing.
    ///
    /// # Errors
    /// JSON that is not valid parameters; nothing is changed then.
    pub fn amend(&mut self, text: &[u8]) -> Result<bool, GenesisError> {
        if text.is_empty() {
            return Ok(false);
        }
        let new = Self::parse(text)?;
        let before = self.clone();
        for field in &before.amendable_fields {
            match field.to_lowercase().as_str() {
                "name" => self.name.clone_from(&new.name),
                "contact" => self.contact.clone_from(&new.contact),
                "comment" => self.comment.clone_from(&new.comment),
                "authcertificates" | "revokedauthcertificates" => {
                    self.auth_certificates.clone_from(&new.auth_certificates);
                    self.revoked_auth_certificates.clone_from(&new.revoked_auth_certificates);
                }
                "authrequired" => self.auth_required = new.auth_required,
                "recordminlinks" => self.record_min_links = new.record_min_links,
                "recordmaxvaluesize" => self.record_max_value_size = new.record_max_value_size,
                "recordmaxtimedrift" => self.record_max_time_drift = new.record_max_time_drift,
                "strictsignatures" => self.strict_signatures = new.strict_signatures,
                "workfactor" => self.work_factor = new.work_factor,
                _ => {}
            }
        }
        Ok(*self != before)
    }

    /// Checks and normalizes the names of fields that a new network makes amendable: trimmed, lower case.
    ///
    /// # Errors
    /// The first name that cannot be amendable.
    pub fn amendable_names<'a>(
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<String>, GenesisError> {
        names
            .into_iter()
            .map(|given| {
                let name = given.trim().to_lowercase();
                if name == DRIFT_ALIAS {
                    return Ok("recordmaxtimedrift".to_owned());
                }
                if AMENDABLE.contains(&name.as_str()) {
                    Ok(name)
                } else {
                    Err(GenesisError::NotAmendable(name))
                }
            })
            .collect()
    }

    /// The network's id as people write it: 64 hexadecimal digits.
    pub fn id_text(&self) -> String {
        self.id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The fewest links a record needs.
    pub fn links_min(&self) -> usize {
        usize::try_from(self.record_min_links).unwrap_or(usize::MAX)
    }

    /// The factor on the required difficulty of work, at least 1.
    pub fn work_factor(&self) -> u64 {
        self.work_factor.max(1)
    }
}

/// A network's start: the records of genesis.lf, checked, and the parameters of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    records: Vec<Record>,
    parameters: GenesisParameters,
}

impl Genesis {
    /// Reads genesis.lf: records of one owner, signed, each linking to ones before it. Their work is not checked:
    /// the file is trusted configuration.
    ///
    /// # Errors
    /// What is wrong with the file, and where.
    pub fn parse(file: &[u8]) -> Result<Self, GenesisError> {
        if file.len() > GENESIS_BYTES_MAX {
            return Err(GenesisError::TooLarge(file.len()));
        }
        let mut records: Vec<Record> = Vec::new();
        let mut rest = file;
        while !rest.is_empty() {
            let index = records.len();
            let (record, used) =
                Record::decode_first(rest).map_err(|source| GenesisError::Record { index, source })?;
            rest = rest.get(used..).unwrap_or_default();
            let rule = |problem| GenesisError::Rule { index, problem };
            if record.record_type() != RecordType::Genesis {
                return Err(rule("is not of type genesis"));
            }
            if records.first().is_some_and(|first| first.owner() != record.owner()) {
                return Err(rule("has another owner than the first"));
            }
            if !record.selectors().is_empty() {
                return Err(rule("has selectors"));
            }
            let known = |link: &Hash| records.iter().any(|r| r.hash() == *link);
            if !record.links().iter().all(known) || (index > 0 && record.links().is_empty()) {
                return Err(rule("does not link to the records before it"));
            }
            record.verify_signature(false).map_err(|source| GenesisError::Signature { index, source })?;
            records.push(record);
        }
        let first = records.first().ok_or(GenesisError::TooFewRecords { found: 0, needed: 1 })?;
        let value = plain_value(first).map_err(|e| GenesisError::Json(e.to_string()))?;
        let parameters = GenesisParameters::parse(&value)?;
        let needed = parameters.record_min_links.max(1);
        if (records.len() as u64) < needed.min(LINKS_MAX as u64) {
            return Err(GenesisError::TooFewRecords { found: records.len(), needed });
        }
        Ok(Genesis { records, parameters })
    }

    /// The genesis records, in order.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The parameters the network starts with.
    pub fn parameters(&self) -> &GenesisParameters {
        &self.parameters
    }

    /// The hash of the first record: it fixes the owner, the id and everything else the network starts with.
    pub fn first_hash(&self) -> Hash {
        self.records[0].hash()
    }

    /// The owner of all genesis records: the only one who can amend parameters.
    pub fn owner(&self) -> &OwnerPublic {
        self.records[0].owner()
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.records.iter().flat_map(|r| r.as_bytes().iter().copied()).collect()
    }
}

/// The plain value of a genesis record: masked with the empty key.
///
/// # Errors
/// It is not masked with the empty key.
pub fn plain_value(record: &Record) -> Result<Vec<u8>, masking::MaskingError> {
    masking::unmask(record.stored_value(), record.timestamp(), b"", record.owner())
}
