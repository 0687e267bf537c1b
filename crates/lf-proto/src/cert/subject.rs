//! What a certificate says of whom it is for, when one is made.

use x509_cert::der::asn1::ObjectIdentifier;

use super::CertificateError;
use super::name::{ATTRIBUTES, SERIAL_NUMBER};
use super::write::{self, PRINTABLE_STRING, SEQUENCE, SET, UTF8_STRING};

/// The longest part, in characters: what X.509 allows most of them.
pub const SUBJECT_CHARACTERS_MAX: usize = 64;

/// A subject's parts; empty ones are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// Country, two letters by custom.
    pub country: String,
    /// Organization.
    pub organization: String,
    /// Organizational unit.
    pub unit: String,
    /// City or the like.
    pub locality: String,
    /// State or province.
    pub province: String,
    /// Street and number.
    pub street: String,
    /// Postal code.
    pub postal_code: String,
    /// The name people know it by.
    pub common_name: String,
}

impl Subject {
    /// The parts in the order in which names are written, as [`ATTRIBUTES`] has them.
    fn parts(&self) -> [&str; 8] {
        [
            &self.country,
            &self.province,
            &self.locality,
            &self.street,
            &self.postal_code,
            &self.organization,
            &self.unit,
            &self.common_name,
        ]
        .map(|part| part.trim())
    }

    /// The distinguished name, DER, with a serialNumber attribute at its end.
    ///
    /// # Errors
    /// A part that is longer than [`SUBJECT_CHARACTERS_MAX`] or has control characters.
    pub(super) fn to_name(&self, serial_number: &str) -> Result<Vec<u8>, CertificateError> {
        let mut parts = Vec::new();
        for ((name, oid), part) in ATTRIBUTES.iter().zip(self.parts()) {
            if part.chars().count() > SUBJECT_CHARACTERS_MAX || part.chars().any(char::is_control) {
                return Err(CertificateError::Subject(name));
            }
            if !part.is_empty() {
                parts.push(attribute(*oid, part));
            }
        }
        parts.push(attribute(SERIAL_NUMBER, serial_number));
        Ok(write::value(SEQUENCE, &[&parts.concat()]))
    }
}

/// A name's part: PrintableString where that can hold it, else UTF-8.
fn attribute(oid: ObjectIdentifier, text: &str) -> Vec<u8> {
    let printable = |byte: u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte);
    let tag = if text.bytes().all(printable) { PRINTABLE_STRING } else { UTF8_STRING };
    let pair = write::value(SEQUENCE, &[&write::oid(oid), &write::value(tag, &[text.as_bytes()])]);
    write::value(SET, &[&pair])
}
