//! Requests for certificates (PKCS #10): what an owner gives to an authority.

use x509_cert::der::{Decode, Encode};
use x509_cert::request::CertReqInfo;

use super::envelope::Envelope;
use super::signature::{Signature, key_of};
use super::write::{self, CONTEXT_CONSTRUCTED, SEQUENCE};
use super::{CERTIFICATE_BYTES_MAX, CertificateError, NameAttribute, Subject, name, pem};
use crate::base62;
use crate::owner::{OwnerKey, OwnerPublic, OwnerSecret};

const WHAT: &str = "certificate request";

/// A request that was read. Whether it is what it says is another question: [`owner`](Self::owner).
#[derive(Debug, Clone)]
pub struct Request {
    der: Vec<u8>,
    body: std::ops::Range<usize>,
    signature: Signature,
    key: Option<OwnerKey>,
    serial_number: Option<String>,
    subject_name: Vec<u8>,
    subject_text: String,
    attributes: Vec<NameAttribute>,
}

impl Request {
    /// Reads a request: PEM if there is any, else DER, all of it.
    ///
    /// # Errors
    /// More than [`CERTIFICATE_BYTES_MAX`] bytes of DER, or not a request.
    pub fn parse(input: &[u8]) -> Result<Self, CertificateError> {
        let der = pem::der_of(input, &[pem::REQUEST, "NEW CERTIFICATE REQUEST"])?;
        if der.len() > CERTIFICATE_BYTES_MAX {
            let (found, limit) = (der.len(), CERTIFICATE_BYTES_MAX);
            return Err(CertificateError::TooLarge { what: WHAT, found, limit });
        }
        let bad = |_| CertificateError::Der { what: WHAT };
        let Envelope { body, range, signature } = Envelope::open(WHAT, &der)?;
        let info = CertReqInfo::from_der(body).map_err(bad)?;
        Ok(Self {
            body: range,
            signature,
            key: key_of(&info.public_key),
            serial_number: name::serial_number(&info.subject),
            subject_name: info.subject.to_der().map_err(bad)?,
            subject_text: name::display(&info.subject),
            attributes: name::attributes(&info.subject),
            der,
        })
    }

    /// Makes the request of an owner: P-224 signs with SHA-256, P-384 with SHA-384, Ed25519 as it does.
    ///
    /// # Errors
    /// A subject that cannot be written.
    pub fn new(owner: &OwnerSecret, subject: &Subject) -> Result<Self, CertificateError> {
        let name = subject.to_name(&base62::encode(owner.public().as_bytes()))?;
        let key = write::public_key_info(&owner.public_key());
        // Version 0 and no attributes, whose place is there all the same.
        let attributes = write::value(CONTEXT_CONSTRUCTED, &[]);
        let body = write::value(SEQUENCE, &[&write::integer(&[0]), &name, &key, &attributes]);
        Self::parse(&write::signed(&body, owner))
    }

    /// The request's bytes.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The request as PEM.
    pub fn to_pem(&self) -> String {
        pem::write(pem::REQUEST, &self.der).to_string()
    }

    /// The subject for people, as [`Certificate::subject_text`](super::Certificate::subject_text) writes it.
    pub fn subject_text(&self) -> &str {
        &self.subject_text
    }

    /// All that the subject says, in order.
    pub fn attributes(&self) -> &[NameAttribute] {
        &self.attributes
    }

    /// The subject's serialNumber attribute, as it is written there.
    pub fn serial_number(&self) -> Option<&str> {
        self.serial_number.as_deref()
    }

    /// The owner who made the request: it is signed by the key in it, and that key is the one of the owner whom its
    /// serialNumber names.
    ///
    /// # Errors
    /// Says which of these does not hold.
    pub fn owner(&self) -> Result<OwnerPublic, CertificateError> {
        let key = self.key()?;
        self.signature.verify(WHAT, key, &self.der[self.body.clone()])?;
        let owner = OwnerPublic::from_key(key);
        let named = self.serial_number.as_deref().map(base62::decode);
        match named {
            Some(Ok(bytes)) if bytes == owner.as_bytes() => Ok(owner),
            _ => Err(CertificateError::OtherOwner(owner)),
        }
    }

    pub(super) fn key(&self) -> Result<&OwnerKey, CertificateError> {
        self.key.as_ref().ok_or(CertificateError::Key)
    }

    pub(super) fn subject_name(&self) -> &[u8] {
        &self.subject_name
    }
}
