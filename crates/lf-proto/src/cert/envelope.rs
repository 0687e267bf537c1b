//! What certificates, requests and CRLs have in common: a body, the algorithm and the signature over the body; and
//! extensions.

use std::ops::Range;

use x509_cert::certificate::Profile;
use x509_cert::der::asn1::{BitStringRef, ObjectIdentifier};
use x509_cert::der::{Decode, Header, Reader, SliceReader, Tag};
use x509_cert::ext::Extension;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::CertificateError;
use super::signature::Signature;

/// How x509-cert reads for us: serial numbers of any length ([`super::Serial`] has the bound).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Lenient;

impl Profile for Lenient {
    fn check_serial_number(_: &x509_cert::serial_number::SerialNumber<Self>) -> x509_cert::der::Result<()> {
        Ok(())
    }
}

/// A signed thing: `SEQUENCE { body, algorithm, BIT STRING }`.
pub(super) struct Envelope<'a> {
    /// The body as it was signed, tag and length included.
    pub(super) body: &'a [u8],
    /// Where that is in the whole.
    pub(super) range: Range<usize>,
    pub(super) signature: Signature,
}

impl<'a> Envelope<'a> {
    /// Takes the signed thing that `der` is, to the last byte.
    pub(super) fn open(what: &'static str, der: &'a [u8]) -> Result<Self, CertificateError> {
        let bad = |_| CertificateError::Der { what };
        let mut outer = SliceReader::new(der).map_err(bad)?;
        let header = Header::decode(&mut outer).map_err(bad)?;
        let content = outer.read_slice(header.length()).map_err(bad)?;
        if header.tag() != Tag::Sequence || !outer.is_finished() {
            return Err(CertificateError::Der { what });
        }
        let mut inner = SliceReader::new(content).map_err(bad)?;
        let body = inner.tlv_bytes().map_err(bad)?;
        let algorithm = AlgorithmIdentifierOwned::decode(&mut inner).map_err(bad)?;
        let bits = BitStringRef::decode(&mut inner).map_err(bad)?;
        if !inner.is_finished() {
            return Err(CertificateError::Der { what });
        }
        // All of `der` but the outer tag and length is its content, which begins with the body.
        let start = der.len() - content.len();
        let range = start..start + body.len();
        let bytes = bits.as_bytes().ok_or(CertificateError::Der { what })?.to_vec();
        Ok(Self { body, range, signature: Signature { algorithm, bytes } })
    }
}

/// The length of the first DER value of `bytes`, tag and length included.
pub(super) fn first_length(bytes: &[u8]) -> Option<usize> {
    let mut reader = SliceReader::new(bytes).ok()?;
    reader.tlv_bytes().ok().map(<[u8]>::len)
}

/// Checks a list of extensions: each once, and none critical that `known` does not have.
pub(super) fn check_extensions(
    what: &'static str,
    extensions: &[Extension],
    known: &[ObjectIdentifier],
) -> Result<(), CertificateError> {
    let mut seen: Vec<ObjectIdentifier> = extensions.iter().map(|extension| extension.extn_id).collect();
    seen.sort_unstable();
    if let Some(pair) = seen.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(CertificateError::ExtensionTwice { what, oid: pair[0].to_string() });
    }
    match extensions.iter().find(|extension| extension.critical && !known.contains(&extension.extn_id)) {
        Some(extension) => {
            Err(CertificateError::CriticalExtension { what, oid: extension.extn_id.to_string() })
        }
        None => Ok(()),
    }
}

/// The content of an extension.
pub(super) fn extension<'a, T: Decode<'a>>(
    what: &'static str,
    extensions: &'a [Extension],
    oid: ObjectIdentifier,
) -> Result<Option<T>, CertificateError> {
    let Some(extension) = extensions.iter().find(|extension| extension.extn_id == oid) else {
        return Ok(None);
    };
    T::from_der(extension.extn_value.as_bytes()).map(Some).map_err(|_| CertificateError::Der { what })
}
