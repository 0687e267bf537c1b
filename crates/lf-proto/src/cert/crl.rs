//! Revocation lists.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use x509_cert::crl::TbsCertList;
use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;

use super::envelope::{self, Envelope, Lenient};
use super::signature::Signature;
use super::write::ENUMERATED;
use super::{CRL_BYTES_MAX, CRL_ENTRIES_MAX, CertificateError, Serial, name, pem};
use crate::owner::OwnerKey;

pub(super) const WHAT: &str = "CRL";
/// The reason of an entry.
pub(super) const CRL_REASON: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.21");

/// Why a certificate was revoked (RFC 5280 §5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Not said.
    Unspecified,
    /// The subject's private key is known to others.
    KeyCompromise,
    /// The authority's private key is known to others.
    AuthorityCompromise,
    /// What the certificate says of its subject is no longer so.
    AffiliationChanged,
    /// Another certificate takes its place.
    Superseded,
    /// It is no longer needed.
    CessationOfOperation,
    /// For a while; LF knows no way back.
    CertificateHold,
    /// Taken off the list of a whole one; a revocation like the others here.
    RemoveFromCrl,
    /// The subject may no longer do what the certificate let it do.
    PrivilegeWithdrawn,
    /// The authority that vouches for attributes is compromised.
    AttributeAuthorityCompromise,
}

impl Reason {
    /// Every reason, with its number and the name RFC 5280 gives it.
    pub const ALL: [(Self, u8, &'static str); 10] = [
        (Self::Unspecified, 0, "unspecified"),
        (Self::KeyCompromise, 1, "keyCompromise"),
        (Self::AuthorityCompromise, 2, "cACompromise"),
        (Self::AffiliationChanged, 3, "affiliationChanged"),
        (Self::Superseded, 4, "superseded"),
        (Self::CessationOfOperation, 5, "cessationOfOperation"),
        (Self::CertificateHold, 6, "certificateHold"),
        (Self::RemoveFromCrl, 8, "removeFromCRL"),
        (Self::PrivilegeWithdrawn, 9, "privilegeWithdrawn"),
        (Self::AttributeAuthorityCompromise, 10, "aACompromise"),
    ];

    /// Its number: 0 to 10.
    pub fn id(self) -> u8 {
        Self::ALL.iter().find(|(reason, ..)| *reason == self).map_or(0, |(_, id, _)| *id)
    }

    /// The reason of a number.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.iter().find(|(_, other, _)| *other == id).map(|(reason, ..)| *reason)
    }

    /// Its name: `keyCompromise`.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(reason, ..)| *reason == self).map_or("unspecified", |(.., name)| name)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Reason {
    type Err = String;

    /// Reads the names in any letter case, with or without `-` between the words.
    fn from_str(text: &str) -> Result<Self, String> {
        let plain = text.replace(['-', '_', ' '], "");
        let found = Self::ALL.iter().find(|(.., name)| name.eq_ignore_ascii_case(&plain));
        found.map(|(reason, ..)| *reason).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|(.., name)| *name).collect();
            format!("no reason {text:?}; there are: {}", names.join(", "))
        })
    }
}

/// One revoked certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrlEntry {
    /// The certificate's serial number.
    pub serial: Serial,
    /// When it was revoked, seconds since 1970. LF does not decide by it (NODE.md §6).
    pub date: u64,
    /// Why, if it is said in a way that is known.
    pub reason: Option<Reason>,
}

/// A revocation list that was read. Its signature is not checked yet: ask its issuer,
/// [`Certificate::issued_crl`](super::Certificate::issued_crl). Clones share what was read.
#[derive(Clone)]
pub struct Crl(Arc<Read>);

struct Read {
    der: Vec<u8>,
    body: std::ops::Range<usize>,
    signature: Signature,
    issuer_serial: Option<Serial>,
    this_update: u64,
    entries: Vec<CrlEntry>,
}

impl Crl {
    /// Reads one CRL, all of `der`.
    ///
    /// # Errors
    /// More than [`CRL_BYTES_MAX`] bytes or [`CRL_ENTRIES_MAX`] entries, not DER of a CRL, a serial number beyond 32
    /// bytes, an extension that is there twice, or a critical one: what CRLs of a part, changes to CRLs and CRLs for others
    /// have, which mean something else.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > CRL_BYTES_MAX {
            let (found, limit) = (der.len(), CRL_BYTES_MAX);
            return Err(CertificateError::TooLarge { what: WHAT, found, limit });
        }
        let bad = |_| CertificateError::Der { what: WHAT };
        let Envelope { body, range, signature } = Envelope::open(WHAT, der)?;
        let tbs = TbsCertList::<Lenient>::from_der(body).map_err(bad)?;
        if tbs.signature != signature.algorithm {
            return Err(CertificateError::Algorithm { what: WHAT });
        }
        envelope::check_extensions(WHAT, tbs.crl_extensions.as_deref().unwrap_or_default(), &[])?;
        let revoked = tbs.revoked_certificates.as_deref().unwrap_or_default();
        if revoked.len() > CRL_ENTRIES_MAX {
            return Err(CertificateError::TooMany { what: "CRL entries", limit: CRL_ENTRIES_MAX });
        }
        let mut entries = Vec::with_capacity(revoked.len());
        for entry in revoked {
            let extensions = entry.crl_entry_extensions.as_deref().unwrap_or_default();
            envelope::check_extensions(WHAT, extensions, &[CRL_REASON])?;
            let reason = extensions.iter().find(|extension| extension.extn_id == CRL_REASON);
            entries.push(CrlEntry {
                serial: Serial::from_der_integer(entry.serial_number.as_bytes())?,
                date: entry.revocation_date.to_unix_duration().as_secs(),
                reason: reason.and_then(|reason| reason_of(reason.extn_value.as_bytes())),
            });
        }
        Ok(Self(Arc::new(Read {
            body: range,
            issuer_serial: name::serial_number(&tbs.issuer).and_then(|text| text.parse().ok()),
            this_update: tbs.this_update.to_unix_duration().as_secs(),
            der: der.to_vec(),
            signature,
            entries,
        })))
    }

    /// The CRL's bytes.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The CRL as PEM.
    pub fn to_pem(&self) -> String {
        pem::write(pem::CRL, &self.0.der).to_string()
    }

    /// The serial number of who issued it: the issuer's serialNumber attribute.
    pub fn issuer_serial(&self) -> Option<Serial> {
        self.0.issuer_serial
    }

    /// When it was made, seconds since 1970.
    pub fn this_update(&self) -> u64 {
        self.0.this_update
    }

    /// What it revokes.
    pub fn entries(&self) -> &[CrlEntry] {
        &self.0.entries
    }

    pub(super) fn verify(&self, key: &OwnerKey) -> Result<(), CertificateError> {
        self.0.signature.verify(WHAT, key, &self.0.der[self.0.body.clone()])
    }
}

/// `ENUMERATED`, one byte.
fn reason_of(der: &[u8]) -> Option<Reason> {
    match der {
        [ENUMERATED, 1, id] => Reason::from_id(*id),
        _ => None,
    }
}

impl fmt::Debug for Crl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crl")
            .field("issuer_serial", &self.issuer_serial())
            .field("entries", &self.entries().len())
            .finish_non_exhaustive()
    }
}
