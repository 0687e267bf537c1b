//! Makes records: value masked, selectors claimed, then worked on, then signed. Three steps, because the work comes
//! between the claims and the signature and may take long.

use super::{Body, LINKS_MAX, Parts, RECORD_BYTES_MAX, Record, RecordType, SELECTORS_MAX, Value};
use super::{encode_tail, signed_digest, work_hash};
use crate::hash::Hash;
use crate::masking;
use crate::ordinal::OrdinalError;
use crate::owner::OwnerSecret;
use crate::pulse::{PulseError, PulseStart};
use crate::selector::{SELECTOR_BYTES, Selector, SelectorNames};
use crate::work::Work;

/// Why a record cannot be made as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// More links than a record can have.
    #[error("{0} links are more than the {LINKS_MAX} a record can have")]
    Links(usize),
    /// More selectors than a record can have.
    #[error("{0} selectors are more than the {SELECTORS_MAX} a record can have")]
    Selectors(usize),
    /// The record would be larger than a record can be.
    #[error("record would have {0} bytes, more than the {RECORD_BYTES_MAX} a record can have")]
    TooLarge(usize),
    /// Names and ordinals do not fit for a pulse token.
    #[error(transparent)]
    Pulse(#[from] PulseError),
    /// An ordinal of a name cannot be masked.
    #[error("ordinal {ordinal} cannot be used with this name: {source}")]
    Ordinal {
        /// The plain ordinal.
        ordinal: u64,
        /// Why.
        source: OrdinalError,
    },
}

/// What a new record is to hold.
#[derive(Debug)]
pub struct RecordBuilder<'a> {
    /// The record's type.
    pub record_type: RecordType,
    /// The plain value; empty for none.
    pub value: &'a [u8],
    /// The key that masks the value; by default the first selector's name, else empty.
    pub masking_key: Option<&'a [u8]>,
    /// Names and plain ordinals, in order.
    pub selectors: &'a [(&'a [u8], u64)],
    /// Hashes of older records; any order, duplicates are dropped.
    pub links: &'a [Hash],
    /// Seconds since 1970.
    pub timestamp: u64,
    /// Whether the record gets a pulse token, so that its owner can pulse it later.
    pub with_pulse_token: bool,
}

/// A record that lacks its work and its owner's signature.
#[derive(Debug)]
pub struct UnworkedRecord {
    parts: Parts,
    work_hash: [u8; 48],
    billable_bytes: u64,
}

impl RecordBuilder<'_> {
    /// Masks the value and claims the selectors.
    ///
    /// # Errors
    /// Too many links or selectors, too large a value, or an ordinal that cannot be masked.
    pub fn build(&self, owner: &OwnerSecret) -> Result<UnworkedRecord, BuildError> {
        self.build_with(owner, &SelectorNames::new(0))
    }

    /// [`build`](Self::build) with names that may have been used before: deriving one costs more than all the rest.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_with(
        &self,
        owner: &OwnerSecret,
        names: &SelectorNames,
    ) -> Result<UnworkedRecord, BuildError> {
        let mut links = self.links.to_vec();
        links.sort_unstable();
        links.dedup();
        if links.len() > LINKS_MAX {
            return Err(BuildError::Links(links.len()));
        }
        if self.selectors.len() > SELECTORS_MAX {
            return Err(BuildError::Selectors(self.selectors.len()));
        }
        if self.value.len() > RECORD_BYTES_MAX {
            return Err(BuildError::TooLarge(self.value.len()));
        }
        let key = self.masking_key.or(self.selectors.first().map(|(name, _)| *name)).unwrap_or_default();
        let public = *owner.public();
        let value = Value::Full(masking::mask(self.value, self.timestamp, key, &public));
        let pulse_token = if self.with_pulse_token {
            let (names, ordinals): (Vec<&[u8]>, Vec<u64>) = self.selectors.iter().copied().unzip();
            let start = PulseStart::new(&names, &ordinals, self.timestamp, &owner.private_hash())?;
            start.token().0
        } else {
            0
        };
        let body = Body {
            record_type: self.record_type,
            value: &value,
            owner: &public,
            links: &links,
            timestamp: self.timestamp,
            pulse_token,
        };
        let body_hash = sha384(&body.encode(true));
        let mut selectors: Vec<Selector> = Vec::with_capacity(self.selectors.len());
        for (name, ordinal) in self.selectors {
            let claim = names.get(name).claim(&body_hash, *ordinal);
            selectors.push(claim.map_err(|source| BuildError::Ordinal { ordinal: *ordinal, source })?);
        }
        let billable_bytes = (body.full_bytes() + SELECTOR_BYTES * selectors.len()) as u64;
        let work_hash = work_hash(&body_hash, &selectors);
        let parts = Parts {
            record_type: self.record_type,
            value,
            owner: public,
            links,
            timestamp: self.timestamp,
            pulse_token,
            selectors,
            work: None,
            signature: Vec::new(),
        };
        let unworked = UnworkedRecord { parts, work_hash, billable_bytes };
        // Work and the longest signature of the owner's type are still to come.
        let bytes = unworked.bytes_now() + 14 + public.owner_type().signature_bytes();
        if bytes > RECORD_BYTES_MAX {
            return Err(BuildError::TooLarge(bytes));
        }
        Ok(unworked)
    }
}

impl UnworkedRecord {
    /// What the work is for.
    pub fn work_hash(&self) -> &[u8; 48] {
        &self.work_hash
    }

    /// The bytes that the work must pay for.
    pub fn billable_bytes(&self) -> u64 {
        self.billable_bytes
    }

    /// Adds the work, if there is any, and signs. `owner` must be the one the record was built for.
    pub fn sign(self, owner: &OwnerSecret, work: Option<Work>) -> Record {
        debug_assert_eq!(owner.public(), &self.parts.owner);
        let signature = owner.sign(&signed_digest(&self.work_hash, work.as_ref()));
        Parts { work, signature, ..self.parts }.assemble()
    }

    fn bytes_now(&self) -> usize {
        let mut tail = Vec::new();
        encode_tail(&mut tail, &self.parts.selectors, None, &[]);
        self.parts.body().full_bytes() + tail.len()
    }
}

fn sha384(bytes: &[u8]) -> [u8; 48] {
    use sha2::Digest;
    sha2::Sha384::digest(bytes).into()
}
