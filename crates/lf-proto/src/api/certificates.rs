//! What the node tells of certificates.

use serde::{Deserialize, Serialize};

use crate::blob::Blob;
use crate::cert::{Certificate, Serial};
use crate::hash::Hash;
use crate::json::nullable;
use crate::owner::OwnerPublic;

/// The answer of `/v1/certificates`: a page of what an authority has issued, in the order in which it was linked here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CertificateList {
    /// The certificates.
    #[serde(deserialize_with = "nullable")]
    pub certificates: Vec<CertificateInfo>,
    /// Where the next page begins: its `after`. None, or 0, if there is no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CertificateInfo {
    /// Its serial number.
    pub serial: Serial,
    /// The serial number of who issued it; its own for a root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Serial>,
    /// The subject, for people.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "nullable")]
    pub subject: String,
    /// The owner it certifies, if it is no authority's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerPublic>,
    /// The first second of its validity, since 1970.
    pub not_before: u64,
    /// The last second of its validity, since 1970.
    pub not_after: u64,
    /// Whether it may issue certificates itself.
    #[serde(default)]
    pub authority: bool,
    /// Whether it was revoked, by itself or with an authority above it.
    #[serde(default)]
    pub revoked: bool,
    /// When, seconds since 1970, if its issuer said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_time: Option<u64>,
    /// Why, as RFC 5280 names reasons, if its issuer said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The record it came in.
    pub record: Hash,
    /// The certificate, DER.
    pub certificate: Blob,
}

impl CertificateInfo {
    /// What a certificate says, found in a record; not revoked.
    pub fn new(certificate: &Certificate, record: Hash) -> Self {
        Self {
            serial: certificate.serial(),
            issuer: certificate.issuer_serial(),
            subject: certificate.subject_text(),
            owner: certificate.subject_owner(),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            authority: certificate.is_authority(),
            revoked: false,
            revoked_time: None,
            reason: None,
            record,
            certificate: certificate.der().into(),
        }
    }
}
