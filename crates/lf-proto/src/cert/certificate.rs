//! Certificates.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use x509_cert::certificate::{TbsCertificateInner, Version};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages, SubjectKeyIdentifier};

use super::envelope::{self, Envelope, Lenient};
use super::signature::{Signature, key_of};
use super::{CERTIFICATE_BYTES_MAX, CERTIFICATES_MAX, CertificateError, Crl, Serial, name, pem};
use crate::base62;
use crate::owner::{OwnerKey, OwnerPublic};

const WHAT: &str = "certificate";
pub(super) const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
pub(super) const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
pub(super) const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
pub(super) const AUTHORITY_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
/// Extensions that are understood, so may be critical.
const KNOWN: [ObjectIdentifier; 3] = [KEY_USAGE, SUBJECT_ALT_NAME, BASIC_CONSTRAINTS];

/// An X.509 certificate that was read. Its signature is not checked yet: ask its issuer, [`issued`](Self::issued).
/// Clones share what was read.
#[derive(Clone)]
pub struct Certificate(Arc<Read>);

/// What is kept of a certificate.
struct Read {
    der: Vec<u8>,
    body: std::ops::Range<usize>,
    signature: Signature,
    serial: Serial,
    issuer_serial: Option<Serial>,
    subject_serial: Option<Serial>,
    subject_owner: Option<OwnerPublic>,
    subject_name: Vec<u8>,
    subject_text: String,
    key: Option<OwnerKey>,
    not_before: u64,
    not_after: u64,
    is_authority: bool,
    signs_crls: bool,
    path_length: Option<u8>,
    key_identifier: Option<Vec<u8>>,
}

impl Certificate {
    /// Reads one certificate, all of `der`.
    ///
    /// # Errors
    /// More than [`CERTIFICATE_BYTES_MAX`] bytes, not DER of a certificate, a serial number beyond 32 bytes, an
    /// extension that is there twice, or a critical one that is not understood.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            let (found, limit) = (der.len(), CERTIFICATE_BYTES_MAX);
            return Err(CertificateError::TooLarge { what: WHAT, found, limit });
        }
        let bad = |_| CertificateError::Der { what: WHAT };
        let Envelope { body, range, signature } = Envelope::open(WHAT, der)?;
        let tbs = TbsCertificateInner::<Lenient>::from_der(body).map_err(bad)?;
        if *tbs.signature() != signature.algorithm {
            return Err(CertificateError::Algorithm { what: WHAT });
        }
        let extensions = tbs.extensions().map(Vec::as_slice).unwrap_or_default();
        if !extensions.is_empty() && tbs.version() != Version::V3 {
            return Err(CertificateError::Der { what: WHAT });
        }
        envelope::check_extensions(WHAT, extensions, &KNOWN)?;
        let constraints: Option<BasicConstraints> = envelope::extension(WHAT, extensions, BASIC_CONSTRAINTS)?;
        let usage: Option<KeyUsage> = envelope::extension(WHAT, extensions, KEY_USAGE)?;
        let identifier: Option<SubjectKeyIdentifier> =
            envelope::extension(WHAT, extensions, SUBJECT_KEY_IDENTIFIER)?;
        let may = |wanted: KeyUsages| usage.is_some_and(|usage| usage.0.contains(wanted));
        let is_ca = constraints.as_ref().is_some_and(|constraints| constraints.ca);
        let subject = name::serial_number(tbs.subject());
        let owner = |text: &String| {
            let bytes = base62::decode(text).ok()?;
            OwnerPublic::from_bytes(&bytes).ok()
        };
        let serial_of = |text: String| text.parse().ok();
        Ok(Self(Arc::new(Read {
            body: range,
            serial: Serial::from_der_integer(tbs.serial_number().as_bytes())?,
            issuer_serial: name::serial_number(tbs.issuer()).and_then(serial_of),
            subject_owner: subject.as_ref().filter(|_| !is_ca).and_then(owner),
            subject_serial: subject.and_then(serial_of),
            subject_name: tbs.subject().to_der().map_err(bad)?,
            subject_text: name::display(tbs.subject()),
            key: key_of(tbs.subject_public_key_info()),
            not_before: tbs.validity().not_before.to_unix_duration().as_secs(),
            not_after: tbs.validity().not_after.to_unix_duration().as_secs(),
            is_authority: is_ca && may(KeyUsages::KeyCertSign),
            signs_crls: is_ca && may(KeyUsages::CRLSign),
            path_length: constraints.and_then(|constraints| constraints.path_len_constraint),
            key_identifier: identifier.map(|identifier| identifier.0.as_bytes().to_vec()),
            der: der.to_vec(),
            signature,
        })))
    }

    /// Reads one certificate from PEM if there is any, else from DER.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and PEM without a certificate.
    pub fn parse_file(input: &[u8]) -> Result<Self, CertificateError> {
        Self::parse(&pem::der_of(input, &[pem::CERTIFICATE])?)
    }

    /// Reads certificates in a row, as genesis parameters and certificate records hold them. None is an empty row.
    ///
    /// # Errors
    /// As [`parse`](Self::parse) for any of them, bytes between or behind them, or more than [`CERTIFICATES_MAX`].
    pub fn parse_all(row: &[u8]) -> Result<Vec<Self>, CertificateError> {
        let mut certificates = Vec::new();
        let mut rest = row;
        while !rest.is_empty() {
            if certificates.len() == CERTIFICATES_MAX {
                return Err(CertificateError::TooMany { what: "certificates", limit: CERTIFICATES_MAX });
            }
            let length = envelope::first_length(rest).unwrap_or(rest.len());
            let (first, behind) = rest.split_at(length);
            certificates.push(Self::parse(first)?);
            rest = behind;
        }
        Ok(certificates)
    }

    /// The certificate's bytes.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// Its serial number.
    pub fn serial(&self) -> Serial {
        self.0.serial
    }

    /// The serial number of who issued it: the issuer's serialNumber attribute.
    pub fn issuer_serial(&self) -> Option<Serial> {
        self.0.issuer_serial
    }

    /// The subject's serialNumber attribute, read as a serial number: an authority's own one.
    pub fn subject_serial(&self) -> Option<Serial> {
        self.0.subject_serial
    }

    /// The owner it certifies: the subject's serialNumber attribute, read as an owner. None for authorities.
    pub fn subject_owner(&self) -> Option<OwnerPublic> {
        self.0.subject_owner
    }

    /// The owner whose public key is in it: an authority's own owner. None for keys that no owner has.
    pub fn key_owner(&self) -> Option<OwnerPublic> {
        self.0.key.as_ref().map(OwnerPublic::from_key)
    }

    /// The public key in it, if it is of a kind that owners have.
    pub fn key(&self) -> Option<&OwnerKey> {
        self.0.key.as_ref()
    }

    /// The first second of its validity, since 1970.
    pub fn not_before(&self) -> u64 {
        self.0.not_before
    }

    /// The last second of its validity, since 1970.
    pub fn not_after(&self) -> u64 {
        self.0.not_after
    }

    /// Whether it may issue certificates: CA true and keyCertSign, both said outright.
    pub fn is_authority(&self) -> bool {
        self.0.is_authority
    }

    /// Whether it may sign CRLs: CA true and cRLSign, both said outright.
    pub fn signs_crls(&self) -> bool {
        self.0.signs_crls
    }

    /// The subject for people, printable, at most 256 characters: `CN=Alice, O=Org, C=US`. Empty if nothing is said.
    pub fn subject_text(&self) -> String {
        self.0.subject_text.clone()
    }

    /// The subject's name, DER: the issuer's name of what it issues.
    pub fn subject_name(&self) -> &[u8] {
        &self.0.subject_name
    }

    /// The certificate as PEM.
    pub fn to_pem(&self) -> String {
        pem::write(pem::CERTIFICATE, &self.0.der).to_string()
    }

    /// The subject's key identifier, by which what it signs names it.
    pub(super) fn key_identifier(&self) -> Option<&[u8]> {
        self.0.key_identifier.as_deref()
    }

    /// Whether authorities below it are allowed.
    pub(super) fn may_have_authorities(&self) -> bool {
        self.0.path_length != Some(0)
    }

    /// SHA-256 of the DER.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.0.der).into()
    }

    /// Whether this certificate issued another one: it is an authority's, it is named as the issuer, the signature is
    /// its key's, and the other one's validity begins inside its own, both ends included (NODE.md §6). Whether either
    /// was revoked is not known here. A root has issued itself.
    ///
    /// # Errors
    /// Says which of these does not hold.
    pub fn issued(&self, other: &Certificate) -> Result<(), CertificateError> {
        if !self.is_authority() {
            return Err(CertificateError::NotAuthority(self.serial()));
        }
        if other.issuer_serial() != Some(self.serial()) {
            return Err(CertificateError::OtherIssuer { what: WHAT, issuer: self.serial() });
        }
        let itself = self.der() == other.der();
        if other.is_authority() && !itself && !self.may_have_authorities() {
            return Err(CertificateError::PathLength(self.serial()));
        }
        if !(self.not_before()..=self.not_after()).contains(&other.not_before()) {
            return Err(CertificateError::Outside(other.serial()));
        }
        let key = self.key().ok_or(CertificateError::Key)?;
        other.0.signature.verify(WHAT, key, &other.der()[other.0.body.clone()])
    }

    /// Whether this certificate issued a CRL: it may sign CRLs, it is named as the issuer, and the signature is its key's.
    ///
    /// # Errors
    /// Says which of these does not hold.
    pub fn issued_crl(&self, crl: &Crl) -> Result<(), CertificateError> {
        if !self.signs_crls() {
            return Err(CertificateError::NoCrls(self.serial()));
        }
        if crl.issuer_serial() != Some(self.serial()) {
            return Err(CertificateError::OtherIssuer { what: super::crl::WHAT, issuer: self.serial() });
        }
        crl.verify(self.key().ok_or(CertificateError::Key)?)
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("serial", &self.serial())
            .field("subject", &self.subject_text())
            .finish_non_exhaustive()
    }
}
