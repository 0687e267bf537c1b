//! Certificates, requests for them and revocation lists (PROTOCOL.md §10): X.509 in DER, read into typed values whose
//! facts a network decides by.
//!
//! Reading is as lenient as what openssl and the reference implementation write needs (serial numbers of 33 bytes of
//! DER, any type of text in names), and otherwise X.509: DER alone, one of each extension, and a *critical* extension
//! that is not understood here makes a certificate or list unusable. Understood are basicConstraints and keyUsage, and
//! subjectAltName, which says nothing of an owner; others are ignored unless they are critical. Nothing here knows the
//! time or a network's roots: who puts chains together asks [`Certificate::issued`] link by link.

mod authority;
mod certificate;
mod crl;
mod envelope;
mod name;
mod pem;
mod request;
mod serial;
mod signature;
mod subject;
#[cfg(test)]
mod tests;
mod write;

pub use authority::{Authority, DAYS_MAX};
pub use certificate::Certificate;
pub use crl::{Crl, CrlEntry, Reason};
pub use name::NameAttribute;
pub use request::Request;
pub use serial::Serial;
pub use subject::{SUBJECT_CHARACTERS_MAX, Subject};

use crate::masking::{self, MaskingError};
use crate::owner::OwnerPublic;
use crate::record::{Record, RecordType};

/// Masks the values of certificate and CRL records.
pub const MASKING_KEY: &[u8] = b"lfCertificate";
/// The largest certificate or request, in bytes of DER.
pub const CERTIFICATE_BYTES_MAX: usize = 8192;
/// The most certificates in a row (a genesis record's, a certificate record's).
pub const CERTIFICATES_MAX: usize = 64;
/// The largest CRL, in bytes of DER: what a record's unmasked value can hold.
pub const CRL_BYTES_MAX: usize = masking::UNMASKED_BYTES_MAX;
/// The most entries of a CRL.
pub const CRL_ENTRIES_MAX: usize = 4096;

/// Why something is no certificate, request or CRL, or did not issue another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// More bytes than one may have.
    #[error("{what} has {found} bytes, more than {limit}")]
    TooLarge {
        /// What was read: `certificate`, `request` or `CRL`.
        what: &'static str,
        /// Its bytes.
        found: usize,
        /// The most allowed.
        limit: usize,
    },
    /// More of them than there may be.
    #[error("more than {limit} {what}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// The most allowed.
        limit: usize,
    },
    /// The bytes are not DER of what they should be.
    #[error("{what} is not valid DER")]
    Der {
        /// What was read.
        what: &'static str,
    },
    /// A serial number that is negative or longer than 32 bytes, or a text that is none.
    #[error("serial number must be base62 of at most 32 bytes")]
    Serial,
    /// A critical extension that is not understood: X.509 says not to use such a certificate.
    #[error("{what} has the critical extension {oid}, which is not supported")]
    CriticalExtension {
        /// What was read.
        what: &'static str,
        /// The extension's object identifier, in dots.
        oid: String,
    },
    /// An extension that is there twice.
    #[error("{what} has the extension {oid} twice")]
    ExtensionTwice {
        /// What was read.
        what: &'static str,
        /// The extension's object identifier, in dots.
        oid: String,
    },
    /// A key of a kind that does not sign here, or none at all.
    #[error("certificate's key is none that signs here: must be P-384, P-224 or ed25519")]
    Key,
    /// A signature algorithm that is not known, does not fit the key, or is not the one that was signed.
    #[error("{what} has a signature algorithm that is not supported")]
    Algorithm {
        /// What was read.
        what: &'static str,
    },
    /// Not signed by the key it should be.
    #[error("{what} has a wrong signature")]
    Signature {
        /// What was read.
        what: &'static str,
    },
    /// Whoever should have issued it is no certification authority.
    #[error("certificate {0} is not that of a certification authority")]
    NotAuthority(Serial),
    /// An authority that must not sign revocation lists.
    #[error("certificate {0} does not allow to sign CRLs")]
    NoCrls(Serial),
    /// It names another issuer, or none.
    #[error("{what} was not issued by {issuer}")]
    OtherIssuer {
        /// What was read.
        what: &'static str,
        /// The authority asked about.
        issuer: Serial,
    },
    /// Issued before or after the authority was valid.
    #[error("certificate {0} was issued outside of its issuer's validity")]
    Outside(Serial),
    /// The issuer must not have authorities below it.
    #[error("certificate {0} does not allow authorities below it")]
    PathLength(Serial),
    /// An authority that is no longer valid, so can issue nothing.
    #[error("certificate {0} has expired, so nothing can be issued with it")]
    Expired(Serial),
    /// A request whose serialNumber is not the owner of its key.
    #[error("certificate request is by {0}, but does not name that owner as its serialNumber")]
    OtherOwner(OwnerPublic),
    /// A part of a subject that cannot be written.
    #[error("subject's {0} is longer than {SUBJECT_CHARACTERS_MAX} characters or has control characters")]
    Subject(&'static str),
    /// Text that is no PEM.
    #[error("not PEM (-----BEGIN …)")]
    Pem,
    /// PEM that lacks something.
    #[error("PEM has no {0}")]
    PemLabel(&'static str),
    /// A private key that needs a passphrase first.
    #[error("private key is encrypted; openssl pkey -in FILE writes it as it is needed here")]
    EncryptedKey,
    /// A private key that is none, or not of a kind that is used here.
    #[error("private key is not a valid P-384, P-224 or ed25519 key")]
    PrivateKey,
    /// A private key that is not the certificate's.
    #[error("private key is not the one of certificate {0}")]
    OtherKey(Serial),
    /// A record of another type, or without its value.
    #[error("record is not one of certificates or a CRL with its value")]
    Record,
    /// A record's value that cannot be unmasked.
    #[error("certificate record: {0}")]
    Masking(#[from] MaskingError),
}

/// The plain value of a certificate or CRL record (types 3 and 4): DER.
///
/// # Errors
/// A record of another type or in proxy form, or a value that is not masked with [`MASKING_KEY`].
pub fn plain_value(record: &Record) -> Result<Vec<u8>, CertificateError> {
    let of_ours = matches!(record.record_type(), RecordType::Certificate | RecordType::Crl);
    if !of_ours || record.stored_value().is_empty() {
        return Err(CertificateError::Record);
    }
    Ok(masking::unmask(record.stored_value(), record.timestamp(), MASKING_KEY, record.owner())?)
}
