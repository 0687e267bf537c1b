//! Certificates and CRLs that nobody should make: what X.509 and PROTOCOL.md §10 say of them.
#![allow(clippy::unwrap_used)]

use x509_cert::der::asn1::ObjectIdentifier;

use super::certificate::{BASIC_CONSTRAINTS, KEY_USAGE};
use super::write::{self, BIT_STRING, BOOLEAN, CONTEXT_CONSTRUCTED, INTEGER, SEQUENCE};
use super::*;
use crate::base62;
use crate::owner::{OwnerSecret, OwnerType};

const NOW: u64 = 1_700_000_000;
const UNKNOWN: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.3.4");

fn key() -> OwnerSecret {
    OwnerSecret::from_seed(OwnerType::P384, b"authority")
}

fn name(serial_numbers: &[&str]) -> Vec<u8> {
    let whole = |text: &&str| Subject::default().to_name(text).unwrap();
    // The content of each name, without its tag and length.
    let parts: Vec<u8> = serial_numbers.iter().flat_map(|text| whole(text)[2..].to_vec()).collect();
    write::value(SEQUENCE, &[&parts])
}

/// What a certificate is made of, each DER.
struct Parts {
    version: u8,
    serial: Vec<u8>,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    key_info: Vec<u8>,
    algorithm: Vec<u8>,
    extensions: Vec<Vec<u8>>,
}

impl Parts {
    /// Those of a root whose serial number is 7.
    fn root() -> Self {
        let public = key().public_key();
        Parts {
            version: 2,
            serial: write::integer(&[7]),
            issuer: name(&["7"]),
            subject: name(&["7"]),
            key_info: write::public_key_info(&public),
            algorithm: write::algorithm_of(&public),
            extensions: vec![usage(0b0000_0110), constraints(true)],
        }
    }

    fn der(&self) -> Vec<u8> {
        let extensions = write::value(SEQUENCE, &[&self.extensions.concat()]);
        let extensions = write::value(CONTEXT_CONSTRUCTED | 3, &[&extensions]);
        let body = write::value(
            SEQUENCE,
            &[
                &write::value(CONTEXT_CONSTRUCTED, &[&write::integer(&[self.version])]),
                &self.serial,
                &self.algorithm,
                &self.issuer,
                &write::value(SEQUENCE, &[&write::time(NOW), &write::time(NOW + 1000)]),
                &self.subject,
                &self.key_info,
                if self.extensions.is_empty() { &[] } else { &extensions },
            ],
        );
        write::signed(&body, &key())
    }

    fn parse(&self) -> Result<Certificate, CertificateError> {
        Certificate::parse(&self.der())
    }
}

fn usage(bits: u8) -> Vec<u8> {
    write::extension(KEY_USAGE, true, &write::value(BIT_STRING, &[&[bits.trailing_zeros() as u8, bits]]))
}

fn constraints(authority: bool) -> Vec<u8> {
    let flag = if authority { write::value(BOOLEAN, &[&[0xff]]) } else { Vec::new() };
    write::extension(BASIC_CONSTRAINTS, true, &write::value(SEQUENCE, &[&flag]))
}

#[test]
fn extensions() {
    let root = Parts::root().parse().unwrap();
    assert!(root.is_authority() && root.signs_crls());
    assert_eq!(root.issued(&root), Ok(()));
    let with = |extension: Vec<u8>| {
        let mut parts = Parts::root();
        parts.extensions.push(extension);
        parts.parse()
    };
    assert!(with(write::extension(UNKNOWN, false, &[5, 0])).is_ok());
    let critical = with(write::extension(UNKNOWN, true, &[5, 0])).unwrap_err();
    assert_eq!(
        critical.to_string(),
        "certificate has the critical extension 1.2.3.4, which is not supported"
    );
    let twice = with(constraints(true)).unwrap_err();
    assert_eq!(twice.to_string(), "certificate has the extension 2.5.29.19 twice");
    assert!(
        Parts { extensions: vec![write::extension(KEY_USAGE, true, &[1])], ..Parts::root() }.parse().is_err()
    );
    assert!(Parts { version: 1, ..Parts::root() }.parse().is_err(), "extensions are for version 3");
    // What is not said outright is not allowed.
    for extensions in [
        vec![],
        vec![constraints(true)],
        vec![usage(0b0000_0110)],
        vec![usage(0b0000_0110), constraints(false)],
        vec![usage(0b1000_0000), constraints(true)],
    ] {
        let weak = Parts { extensions, ..Parts::root() }.parse().unwrap();
        assert!(!weak.is_authority() && !weak.signs_crls());
        assert_eq!(weak.issued(&weak), Err(CertificateError::NotAuthority(weak.serial())));
    }
    let certifies_only = Parts { extensions: vec![usage(0b0000_0100), constraints(true)], ..Parts::root() };
    let certifies_only = certifies_only.parse().unwrap();
    assert!(certifies_only.is_authority() && !certifies_only.signs_crls());
}

#[test]
fn serial_numbers() {
    let serial =
        |content: &[u8]| Parts { serial: write::value(INTEGER, &[content]), ..Parts::root() }.parse();
    assert_eq!(
        serial(&[&[0, 0x80][..], &[1; 31]].concat()).unwrap().serial().as_bytes()[0],
        0x80,
        "33 bytes"
    );
    for bad in [&[0x80][..], &[1; 33], &[], &[0, 1]] {
        assert!(serial(bad).is_err(), "{bad:?}");
    }
    assert_eq!(serial(&[0]).unwrap().serial().to_string(), "0");
}

#[test]
fn names() {
    let owner = *OwnerSecret::from_seed(OwnerType::P224, b"owner").public();
    let text = base62::encode(owner.as_bytes());
    let owner_of = |serial_numbers: &[&str], extensions: Vec<Vec<u8>>| {
        Parts { subject: name(serial_numbers), extensions, ..Parts::root() }.parse().unwrap().subject_owner()
    };
    assert_eq!(owner_of(&[&text], vec![]), Some(owner));
    assert_eq!(owner_of(&[&text], vec![constraints(false)]), Some(owner));
    assert_eq!(owner_of(&[&text], vec![constraints(true)]), None, "an authority is nobody's certificate");
    assert_eq!(owner_of(&[&text, &text], vec![]), None, "whom would it name?");
    assert_eq!(owner_of(&[], vec![]), None);
    assert_eq!(owner_of(&["not base62"], vec![]), None);
    assert_eq!(owner_of(&["abc"], vec![]), None, "no owner is of that length");
    let nobodys = Parts { issuer: name(&["8"]), ..Parts::root() }.parse().unwrap();
    let root = Parts::root().parse().unwrap();
    assert!(matches!(root.issued(&nobodys), Err(CertificateError::OtherIssuer { .. })));
    // A leading zero in the text makes no other number.
    assert_eq!(root.issued(&Parts { issuer: name(&["07"]), ..Parts::root() }.parse().unwrap()), Ok(()));
}

#[test]
fn texts_of_names_cannot_deceive() {
    let subject = Subject {
        common_name: "Alice\u{202e}ecilA\u{200b}".into(),
        organization: "x".repeat(64),
        ..Subject::default()
    };
    let subject = subject.to_name("7").unwrap();
    let text = Parts { subject, ..Parts::root() }.parse().unwrap().subject_text();
    assert_eq!(text, format!("CN=Alice\u{fffd}ecilA\u{fffd}, O={}", "x".repeat(64)));
    let part = |text: &str| Subject { unit: text.repeat(64), ..Subject::default() };
    let long: Vec<u8> = (0..9).flat_map(|_| part("y").to_name("7").unwrap()[2..].to_vec()).collect();
    let long = Parts { subject: write::value(SEQUENCE, &[&long]), ..Parts::root() }.parse().unwrap();
    assert_eq!(long.subject_text().chars().count(), 256);
    assert!(long.subject_text().ends_with('…'));
}

#[test]
fn keys_and_algorithms() {
    let root = Parts::root().parse().unwrap();
    // A key of a kind that no owner has: certificates of owners may have it, authorities may not.
    let p256 = write::value(
        SEQUENCE,
        &[
            &write::value(
                SEQUENCE,
                &[
                    &write::oid(ObjectIdentifier::new_unwrap("1.2.840.10045.2.1")),
                    &write::oid(ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7")),
                ],
            ),
            &write::bit_string(&[4; 65]),
        ],
    );
    let strange = Parts { key_info: p256, ..Parts::root() }.parse().unwrap();
    assert_eq!((strange.key(), strange.key_owner()), (None, None));
    assert_eq!(root.issued(&strange), Ok(()));
    assert_eq!(strange.issued(&root), Err(CertificateError::Key));
    // A point that is not on the curve is no key.
    let off_curve =
        Parts::root().key_info.iter().rev().skip(1).rev().copied().chain([0]).collect::<Vec<u8>>();
    assert_eq!(Parts { key_info: off_curve, ..Parts::root() }.parse().unwrap().key(), None);
    // The algorithm that was signed must be the one that is said outside.
    let other = write::algorithm_of(&OwnerSecret::from_seed(OwnerType::P224, b"x").public_key());
    assert!(matches!(
        Parts { algorithm: other, ..Parts::root() }.parse(),
        Err(CertificateError::Algorithm { .. })
    ));
}

#[test]
fn sizes() {
    let mut parts = Parts::root();
    parts.extensions.push(write::extension(UNKNOWN, false, &[0; CERTIFICATE_BYTES_MAX]));
    assert!(matches!(parts.parse(), Err(CertificateError::TooLarge { .. })));
    let root = Parts::root().der();
    let row = |count: usize| Certificate::parse_all(&root.repeat(count)).map(|all| all.len());
    assert_eq!(row(0), Ok(0));
    assert_eq!(row(CERTIFICATES_MAX), Ok(CERTIFICATES_MAX));
    assert!(matches!(row(CERTIFICATES_MAX + 1), Err(CertificateError::TooMany { .. })));
    assert!(Certificate::parse_all(&[&root[..], &[0]].concat()).is_err());
    assert!(Certificate::parse_all(&root[..root.len() - 1]).is_err());
}

#[test]
fn crls_with_another_meaning() {
    const DELTA: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.27");
    const CERTIFICATE_ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.29");
    let crl = |list_extension: Vec<u8>, entry_extension: Vec<u8>| {
        let of_entry = write::value(SEQUENCE, &[&entry_extension]);
        let entry = write::value(SEQUENCE, &[&write::integer(&[9]), &write::time(NOW), &of_entry]);
        let body = write::value(
            SEQUENCE,
            &[
                &write::integer(&[1]),
                &write::algorithm_of(&key().public_key()),
                &name(&["7"]),
                &write::time(NOW),
                &write::value(SEQUENCE, &[&entry]),
                &write::value(CONTEXT_CONSTRUCTED, &[&write::value(SEQUENCE, &[&list_extension])]),
            ],
        );
        Crl::parse(&write::signed(&body, &key()))
    };
    let harmless = || write::extension(UNKNOWN, false, &[5, 0]);
    let good = crl(harmless(), harmless()).unwrap();
    assert_eq!(Parts::root().parse().unwrap().issued_crl(&good), Ok(()));
    assert_eq!(
        good.entries(),
        [CrlEntry { serial: Serial::from_bytes(&[9]).unwrap(), date: NOW, reason: None }]
    );
    let delta = write::extension(DELTA, true, &write::integer(&[1]));
    assert!(matches!(crl(delta, harmless()), Err(CertificateError::CriticalExtension { .. })));
    let of_another = write::extension(CERTIFICATE_ISSUER, true, &write::value(SEQUENCE, &[]));
    assert!(matches!(crl(harmless(), of_another), Err(CertificateError::CriticalExtension { .. })));
    // A reason that is none says nothing; the revocation holds.
    let reason = write::extension(super::crl::CRL_REASON, false, &write::value(write::ENUMERATED, &[&[7]]));
    assert_eq!(crl(harmless(), reason).unwrap().entries()[0].reason, None);
}

#[test]
fn records_of_other_types_hold_no_certificates() {
    let owner = key();
    let make = |record_type, value: &[u8], masking_key| {
        let builder = crate::record::RecordBuilder {
            record_type,
            value,
            masking_key: Some(masking_key),
            selectors: &[],
            links: &[],
            timestamp: NOW,
            with_pulse_token: false,
        };
        builder.build(&owner).unwrap().sign(&owner, None)
    };
    let root = Parts::root().der();
    assert_eq!(plain_value(&make(RecordType::Certificate, &root, MASKING_KEY)), Ok(root.clone()));
    assert_eq!(plain_value(&make(RecordType::Crl, &root, MASKING_KEY)), Ok(root.clone()));
    assert_eq!(plain_value(&make(RecordType::Datum, &root, MASKING_KEY)), Err(CertificateError::Record));
    assert_eq!(plain_value(&make(RecordType::Certificate, b"", MASKING_KEY)), Err(CertificateError::Record));
    let wrong_key = make(RecordType::Certificate, &root, b"x");
    assert_eq!(plain_value(&wrong_key), Err(CertificateError::Masking(MaskingError::IncorrectKey)));
    assert_eq!(
        plain_value(&make(RecordType::Crl, &root, MASKING_KEY).to_proxy()),
        Err(CertificateError::Record)
    );
}
