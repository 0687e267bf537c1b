//! PEM: how certificates, requests and keys are kept in files.

use base64::Engine as _;
use zeroize::Zeroizing;

use super::CertificateError;

/// The label of certificates.
pub(super) const CERTIFICATE: &str = "CERTIFICATE";
/// The label of requests.
pub(super) const REQUEST: &str = "CERTIFICATE REQUEST";
/// The label of CRLs.
pub(super) const CRL: &str = "X509 CRL";

/// A PEM block's label and content, which may be secret.
pub(super) struct Block {
    pub(super) label: String,
    pub(super) content: Zeroizing<Vec<u8>>,
}

/// The blocks of a text, with any text around them.
pub(super) fn blocks(text: &str) -> Result<Vec<Block>, CertificateError> {
    let parsed = pem::parse_many(text).map_err(|_| CertificateError::Pem)?;
    let block = |pem: pem::Pem| {
        let label = pem.tag().to_owned();
        Block { label, content: Zeroizing::new(pem.into_contents()) }
    };
    Ok(parsed.into_iter().map(block).collect())
}

/// The DER of a text's first block of a label, or `input` itself if it is no PEM.
pub(super) fn der_of(input: &[u8], labels: &[&'static str]) -> Result<Vec<u8>, CertificateError> {
    let Some(text) = std::str::from_utf8(input).ok().filter(|text| text.contains("-----BEGIN ")) else {
        return Ok(input.to_vec());
    };
    let found = blocks(text)?.into_iter().find(|block| labels.contains(&block.label.as_str()));
    let missing = || CertificateError::PemLabel(labels.first().copied().unwrap_or_default());
    found.map(|block| block.content.to_vec()).ok_or_else(missing)
}

/// A PEM block; leaves no copies of what may be secret.
pub(super) fn write(label: &str, content: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(content));
    let mut out = Zeroizing::new(String::with_capacity(base64.len() * 66 / 64 + 2 * label.len() + 64));
    out.push_str(&format!("-----BEGIN {label}-----\n"));
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, behind) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = behind;
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}
