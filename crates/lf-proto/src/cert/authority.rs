//! Certification authorities: a certificate and its private key, and what they make.

use std::fmt;

use sha2::{Digest, Sha256};
use x509_cert::der::asn1::ObjectIdentifier;
use zeroize::Zeroizing;

use super::certificate::{AUTHORITY_KEY_IDENTIFIER, BASIC_CONSTRAINTS, KEY_USAGE, SUBJECT_KEY_IDENTIFIER};
use super::crl::CRL_REASON;
use super::write::{self, BIT_STRING, BOOLEAN, CONTEXT, CONTEXT_CONSTRUCTED, OCTET_STRING, SEQUENCE};
use super::{
    CRL_ENTRIES_MAX, Certificate, CertificateError, Crl, CrlEntry, Reason, Request, Serial, Subject, pem,
};
use crate::owner::{OwnerKey, OwnerPublic, OwnerSecret, OwnerType};

const CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");
/// The label that the reference wants; it refuses the usual one.
const KEY_LABEL: &str = "ECDSA PRIVATE KEY";
/// Bytes of the serial numbers of owners' certificates: the most that RFC 5280 allows.
const OWNER_SERIAL_BYTES: usize = 20;
/// Seconds of a day.
const DAY_SECS: u64 = 86_400;
/// The longest validity in days, a hundred years: what the reference allows too.
pub const DAYS_MAX: u32 = 36_500;

/// How an authority's usage of its key is written: digitalSignature, keyCertSign, cRLSign.
const AUTHORITY_USAGE: [u8; 2] = [1, 0b1000_0110];
/// An owner's: digitalSignature.
const OWNER_USAGE: [u8; 2] = [7, 0b1000_0000];

/// A certification authority with its private key, which is wiped on drop.
pub struct Authority {
    certificate: Certificate,
    key: OwnerSecret,
}

impl Authority {
    /// Makes a root: a P-384 key from `random`, valid from `now` for some days (none: [`DAYS_MAX`]).
    ///
    /// # Errors
    /// A subject that cannot be written.
    pub fn new_root(
        subject: &Subject,
        now: u64,
        days: Option<u32>,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<Self, CertificateError> {
        let key = OwnerSecret::generate(OwnerType::P384, random);
        let public = key.public_key();
        let serial = serial_of(&public)?;
        let name = subject.to_name(&serial.to_string())?;
        let days = u64::from(days.unwrap_or(DAYS_MAX).min(DAYS_MAX));
        let not_after = now.saturating_add(days * DAY_SECS);
        let body = Body {
            serial: serial.minimal_bytes(),
            issuer: &name,
            validity: (now, not_after),
            subject: &name,
            key: &public,
            authority: Some(None),
            issuer_key: None,
        };
        let certificate = Certificate::parse(&write::signed(&body.write(&public), &key))?;
        Ok(Self { certificate, key })
    }

    /// Makes an intermediate authority below this one, which can issue owners' certificates but no authorities below
    /// it. Its validity begins `now`, but one second after this one's at the earliest, and ends with this one's at
    /// the latest; no days mean: with this one's.
    ///
    /// # Errors
    /// A subject that cannot be written, or this authority is no longer (or not yet) valid.
    pub fn intermediate(
        &self,
        subject: &Subject,
        now: u64,
        days: Option<u32>,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<Self, CertificateError> {
        if !self.certificate.may_have_authorities() {
            return Err(CertificateError::PathLength(self.certificate.serial()));
        }
        let key = OwnerSecret::generate(OwnerType::P384, random);
        let public = key.public_key();
        let serial = serial_of(&public)?;
        let name = subject.to_name(&serial.to_string())?;
        let certificate =
            self.issue(serial.minimal_bytes(), &name, &public, Some(Some(0)), self.validity(now, days)?)?;
        Ok(Self { certificate, key })
    }

    /// Makes the certificate of an owner who asks for it, with the owner's own key in it. Its validity begins and ends
    /// as [`intermediate`](Self::intermediate) says.
    ///
    /// # Errors
    /// A request that is not what it says, or this authority is no longer (or not yet) valid.
    pub fn certify(
        &self,
        request: &Request,
        now: u64,
        days: Option<u32>,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<Certificate, CertificateError> {
        request.owner()?;
        let mut serial = [0; OWNER_SERIAL_BYTES];
        random(&mut serial);
        // Positive, and always as long.
        serial[0] = serial[0] & 0x7f | 0x40;
        let validity = self.validity(now, days)?;
        self.issue(&serial, request.subject_name(), request.key()?, None, validity)
    }

    /// Makes a CRL of these entries: dates and reasons included.
    ///
    /// # Errors
    /// More than [`CRL_ENTRIES_MAX`] entries, or an authority that must not sign CRLs.
    pub fn crl(&self, entries: &[CrlEntry], now: u64, next_update: u64) -> Result<Crl, CertificateError> {
        if !self.certificate.signs_crls() {
            return Err(CertificateError::NoCrls(self.certificate.serial()));
        }
        if entries.len() > CRL_ENTRIES_MAX {
            return Err(CertificateError::TooMany { what: "CRL entries", limit: CRL_ENTRIES_MAX });
        }
        let entry = |entry: &CrlEntry| {
            let reason = entry.reason.filter(|reason| *reason != Reason::Unspecified).map(|reason| {
                let id = write::value(write::ENUMERATED, &[&[reason.id()]]);
                write::value(SEQUENCE, &[&write::extension(CRL_REASON, false, &id)])
            });
            let serial = write::integer(entry.serial.as_bytes());
            write::value(SEQUENCE, &[&serial, &write::time(entry.date), &reason.unwrap_or_default()])
        };
        let written: Vec<u8> = entries.iter().flat_map(entry).collect();
        // A list that is empty is left out, X.509 says.
        let revoked = if written.is_empty() { Vec::new() } else { write::value(SEQUENCE, &[&written]) };
        let number = write::extension(CRL_NUMBER, false, &write::integer(&now.to_be_bytes()));
        let extensions = write::value(SEQUENCE, &[&self.authority_identifier(), &number]);
        let body = write::value(
            SEQUENCE,
            &[
                &write::integer(&[1]),
                &write::algorithm_of(&self.key.public_key()),
                self.certificate.subject_name(),
                &write::time(now),
                &write::time(next_update.max(now)),
                &revoked,
                &write::value(CONTEXT_CONSTRUCTED, &[&extensions]),
            ],
        );
        Crl::parse(&write::signed(&body, &self.key))
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The private key, as the owner of the records that publish certificates.
    pub fn key(&self) -> &OwnerSecret {
        &self.key
    }

    /// The owner of the records that publish what this authority makes.
    pub fn owner(&self) -> &OwnerPublic {
        self.key.public()
    }

    /// Reads an authority from PEM: its certificate and its private key, as `makegenesis` writes them (`ECDSA PRIVATE
    /// KEY`), as openssl does (`EC PRIVATE KEY`, `PRIVATE KEY`), in any order and with other blocks between.
    ///
    /// # Errors
    /// No certificate or key, an encrypted key, one that is not the certificate's, or no authority's certificate.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let blocks = pem::blocks(text)?;
        let found = |label: &str| blocks.iter().find(|block| block.label == label);
        let certificate = found(pem::CERTIFICATE).ok_or(CertificateError::PemLabel(pem::CERTIFICATE))?;
        let certificate = Certificate::parse(&certificate.content)?;
        if !certificate.is_authority() {
            return Err(CertificateError::NotAuthority(certificate.serial()));
        }
        let key = if let Some(block) = found(KEY_LABEL).or_else(|| found("EC PRIVATE KEY")) {
            OwnerSecret::from_sec1_der(&block.content)
        } else if let Some(block) = found("PRIVATE KEY") {
            OwnerSecret::from_pkcs8_der(&block.content)
        } else if found("ENCRYPTED PRIVATE KEY").is_some() {
            return Err(CertificateError::EncryptedKey);
        } else {
            return Err(CertificateError::PemLabel("EC PRIVATE KEY"));
        };
        let key = key.ok_or(CertificateError::PrivateKey)?;
        if certificate.key() != Some(&key.public_key()) {
            return Err(CertificateError::OtherKey(certificate.serial()));
        }
        Ok(Self { certificate, key })
    }

    /// The authority as PEM, as the reference reads it: openssl reads the certificate in it, and the key as well once
    /// its label is `EC PRIVATE KEY`.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let certificate = pem::write(pem::CERTIFICATE, self.certificate.der());
        let key = pem::write(KEY_LABEL, &self.key.sec1_der().unwrap_or_default());
        let mut out = Zeroizing::new(String::with_capacity(certificate.len() + key.len()));
        out.push_str(&certificate);
        out.push_str(&key);
        out
    }

    /// When what is issued now for some days is valid.
    fn validity(&self, now: u64, days: Option<u32>) -> Result<(u64, u64), CertificateError> {
        let end = self.certificate.not_after();
        let not_before = now.max(self.certificate.not_before().saturating_add(1));
        let wanted = days.map_or(end, |days| not_before.saturating_add(u64::from(days) * DAY_SECS));
        if not_before > end {
            return Err(CertificateError::Expired(self.certificate.serial()));
        }
        Ok((not_before, wanted.min(end)))
    }

    fn issue(
        &self,
        serial: &[u8],
        subject: &[u8],
        key: &OwnerKey,
        authority: Option<Option<u8>>,
        validity: (u64, u64),
    ) -> Result<Certificate, CertificateError> {
        let issuer_key = self.authority_identifier();
        let body = Body {
            serial,
            issuer: self.certificate.subject_name(),
            validity,
            subject,
            key,
            authority,
            issuer_key: Some(&issuer_key),
        };
        let certificate = Certificate::parse(&write::signed(&body.write(&self.key.public_key()), &self.key))?;
        // What would be of no use to anybody is not handed out.
        self.certificate.issued(&certificate)?;
        Ok(certificate)
    }

    /// The extension that says by which key something was signed; nothing if this authority's has no identifier.
    fn authority_identifier(&self) -> Vec<u8> {
        let Some(identifier) = self.certificate.key_identifier() else { return Vec::new() };
        let content = write::value(SEQUENCE, &[&write::value(CONTEXT, &[identifier])]);
        write::extension(AUTHORITY_KEY_IDENTIFIER, false, &content)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// An authority's serial number: SHA-256(x || y), each without leading zeros (PROTOCOL.md §10).
fn serial_of(key: &OwnerKey) -> Result<Serial, CertificateError> {
    let OwnerKey::P384(point) = key else { return Err(CertificateError::Key) };
    let minimal = |bytes: &'_ [u8]| {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        bytes[zeros..].to_vec()
    };
    let hash = Sha256::new().chain_update(minimal(&point.x)).chain_update(minimal(&point.y)).finalize();
    Serial::from_bytes(&hash)
}

/// A certificate's body.
struct Body<'a> {
    serial: &'a [u8],
    issuer: &'a [u8],
    validity: (u64, u64),
    subject: &'a [u8],
    key: &'a OwnerKey,
    /// An authority's: the number of authorities below it, if that has a bound.
    authority: Option<Option<u8>>,
    /// The extension that names the issuer's key.
    issuer_key: Option<&'a [u8]>,
}

impl Body<'_> {
    /// The body's DER, to be signed by `signer`.
    fn write(&self, signer: &OwnerKey) -> Vec<u8> {
        let (usage, constraints) = match self.authority {
            Some(path_length) => {
                let bound = path_length.map(|bound| write::integer(&[bound])).unwrap_or_default();
                (AUTHORITY_USAGE, [write::value(BOOLEAN, &[&[0xff]]), bound].concat())
            }
            None => (OWNER_USAGE, Vec::new()),
        };
        let identifier = write::value(OCTET_STRING, &[&write::key_identifier(self.key)]);
        let extensions = write::value(
            SEQUENCE,
            &[
                &write::extension(KEY_USAGE, true, &write::value(BIT_STRING, &[&usage])),
                &write::extension(BASIC_CONSTRAINTS, true, &write::value(SEQUENCE, &[&constraints])),
                &write::extension(SUBJECT_KEY_IDENTIFIER, false, &identifier),
                self.issuer_key.unwrap_or_default(),
            ],
        );
        let (not_before, not_after) = self.validity;
        write::value(
            SEQUENCE,
            &[
                // Version 3.
                &write::value(CONTEXT_CONSTRUCTED, &[&write::integer(&[2])]),
                &write::integer(self.serial),
                &write::algorithm_of(signer),
                self.issuer,
                &write::value(SEQUENCE, &[&write::time(not_before), &write::time(not_after)]),
                self.subject,
                &write::public_key_info(self.key),
                &write::value(CONTEXT_CONSTRUCTED | 3, &[&extensions]),
            ],
        )
    }
}
