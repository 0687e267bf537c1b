//! `cert.json`: what the reference implementation wrote is read, and every link of a chain judged; where the reference
//! is wrong (intermediates, serial numbers with leading zeros), PROTOCOL.md §10 and NODE.md §6 decide.
#![allow(clippy::unwrap_used)]

#[path = "support/vectors.rs"]
mod vectors;

use base64::Engine as _;
use lf_proto::base62;
use lf_proto::cert::{Authority, Certificate, Crl, Request, Serial, Subject, plain_value};
use lf_proto::curve::PublicPoint;
use lf_proto::owner::{OwnerKey, OwnerPublic, OwnerSecret, OwnerType};
use lf_proto::record::Record;
use serde_json::Value;
use vectors::{bytes, number, report, text};

/// The DER of the first PEM block of a kind.
fn pem(text: &str, kind: &str) -> Vec<u8> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {kind}-----\n")).unwrap();
    let (body, _) = rest.split_once("-----END").unwrap();
    base64::engine::general_purpose::STANDARD.decode(body.replace('\n', "")).unwrap()
}

fn cases(kind: &str) -> Vec<Value> {
    vectors::load("cert.json").into_iter().filter(|case| case["type"] == kind).collect()
}

fn root() -> Certificate {
    Certificate::parse(&pem(text(&cases("ca")[0], "ca_pem"), "CERTIFICATE")).unwrap()
}

fn record(case: &Value) -> Record {
    Record::decode(&bytes(case, "record")).unwrap()
}

/// A certificate or CRL record of a case, by its place.
fn value_of(case: &Value, index: usize) -> Vec<u8> {
    plain_value(&record(&case["records"][index])).unwrap()
}

/// The decimal text of a big-endian integer.
fn decimal(bytes: &[u8]) -> String {
    let mut digits = vec![0u32];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            let value = *digit * 256 + carry;
            (*digit, carry) = (value % 10, value / 10);
        }
        while carry > 0 {
            digits.push(carry % 10);
            carry /= 10;
        }
    }
    digits.iter().rev().map(|digit| char::from_digit(*digit, 10).unwrap()).collect()
}

fn check_facts(certificate: &Certificate, facts: &Value) {
    assert_eq!(
        decimal(certificate.serial().as_bytes()).trim_start_matches('0'),
        text(facts, "serial_integer")
    );
    assert_eq!(certificate.serial().to_string(), text(facts, "serial_base62_of_minimal_bytes"));
    assert_eq!(certificate.issuer_serial(), Some(text(facts, "issuer_serial_number").parse().unwrap()));
    assert_eq!(certificate.not_before(), number(facts, "not_before"));
    assert_eq!(certificate.not_after(), number(facts, "not_after"));
    let usage = number(facts, "key_usage");
    let is_ca = facts["is_ca"].as_bool().unwrap();
    assert_eq!(certificate.is_authority(), is_ca && usage & 32 != 0);
    assert_eq!(certificate.signs_crls(), is_ca && usage & 64 != 0);
    let subject = text(facts, "subject_serial_number");
    if is_ca {
        assert_eq!(certificate.subject_serial(), Some(subject.parse().unwrap()));
        assert_eq!(certificate.subject_owner(), None);
    } else {
        assert_eq!(certificate.subject_owner().unwrap().as_bytes(), base62::decode(subject).unwrap());
    }
    let key = &facts["public_key"];
    assert_eq!(certificate.key_owner().unwrap().to_string(), text(key, "as_owner"));
    let Some(OwnerKey::P384(point)) = certificate.key() else { panic!("{key}") };
    assert_eq!(PublicPoint::compressed(point), bytes(key, "compressed"));
    // The reference writes the serialNumber first and parts without text too; values with commas do not occur.
    let expected: Vec<_> = text(facts, "subject")
        .split(',')
        .filter(|part| !part.starts_with("SERIALNUMBER=") && !part.ends_with('='))
        .collect();
    assert_eq!(certificate.subject_text(), expected.join(", "));
}

#[test]
fn certificates() {
    let root = root();
    let ca = &cases("ca")[0];
    check_facts(&root, &ca["ca_facts"]);
    assert_eq!(root.key_owner().unwrap().to_string(), text(ca, "ca_owner"));
    assert_eq!(root.issued(&root), Ok(()), "a root has issued itself");
    let owners = cases("owner_certificate");
    for case in &owners {
        let certificate = Certificate::parse(&bytes(case, "certificate_der")).unwrap();
        check_facts(&certificate, &case["facts"]);
        assert_eq!(certificate.serial().to_string(), text(case, "serial_base62"));
        assert_eq!(certificate.subject_owner().unwrap().to_string(), text(case, "owner"));
        assert_eq!(case["verifies_against_ca"], true);
        assert_eq!(root.issued(&certificate), Ok(()));
        assert!(certificate.issued(&root).is_err() && certificate.issued(&certificate).is_err());
        // The record holds it, and only it.
        let record = Record::decode(&bytes(case, "certificate_record")).unwrap();
        assert_eq!(record.owner().to_string(), text(ca, "ca_owner"));
        let row = Certificate::parse_all(&plain_value(&record).unwrap()).unwrap();
        assert_eq!(row, std::slice::from_ref(&certificate));
        // Every changed byte of the body or of the signature is found.
        let der = certificate.der();
        for index in (0..der.len()).step_by(7) {
            let mut changed = der.to_vec();
            changed[index] ^= 1;
            let fooled = Certificate::parse(&changed).is_ok_and(|other| root.issued(&other).is_ok());
            assert!(!fooled, "byte {index}");
        }
    }
    report("cert.json (certificates)", 1 + owners.len());
}

#[test]
fn genesis_names_the_root() {
    let ca = &cases("ca")[0];
    let genesis = lf_proto::genesis::Genesis::parse(&bytes(ca, "genesis_lf")).unwrap();
    let roots = Certificate::parse_all(&genesis.parameters().auth_certificates.0).unwrap();
    assert_eq!(roots, [root()]);
}

/// The serial numbers of the certificates that a view of the reference's node names.
fn serials(view: &Value, field: &str) -> Vec<Serial> {
    let list = view[field].as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|text| text.as_str().unwrap().parse().unwrap()).collect()
}

/// What a node would say of owners, from the records of the cases up to here.
#[test]
fn revocation() {
    let root = root();
    let mut certificates = Vec::new();
    let mut revoked: Vec<Serial> = Vec::new();
    let mut ran = 0;
    for case in vectors::load("cert.json") {
        match case["type"].as_str().unwrap() {
            "node_view" => {
                for index in 0..case["records"].as_array().unwrap().len() {
                    certificates.extend(Certificate::parse_all(&value_of(&case, index)).unwrap());
                }
            }
            "crl" => {
                let crl = Crl::parse(&value_of(&case, 0)).unwrap();
                assert_eq!(crl.der(), bytes(&case, "crl_der"));
                assert!(crl.this_update() > 1_700_000_000);
                let found: Vec<_> = crl.entries().iter().map(|entry| entry.serial).collect();
                if case.get("revoked_serials_base62").is_some() {
                    assert_eq!(found, serials(&case, "revoked_serials_base62"));
                    assert_eq!(root.issued_crl(&crl), Ok(()));
                    revoked.extend(found);
                } else {
                    assert!(!found.is_empty());
                    assert!(root.issued_crl(&crl).is_err(), "{}", case["description"]);
                }
            }
            _ => continue,
        }
        for view in case["views"].as_array().unwrap() {
            let owner: OwnerPublic = text(view, "owner").parse().unwrap();
            if root.key_owner() == Some(owner) {
                assert_eq!(serials(view, "certificates"), [root.serial()]);
                continue;
            }
            let of_owner = certificates.iter().filter(|c| c.subject_owner() == Some(owner));
            let (bad, good): (Vec<Serial>, Vec<Serial>) = of_owner
                .filter(|certificate| root.issued(certificate).is_ok())
                .map(Certificate::serial)
                .partition(|serial| revoked.contains(serial));
            assert_eq!(good, serials(view, "certificates"), "{view}");
            assert_eq!(bad, serials(view, "revoked_certificates"), "{view}");
            ran += 1;
        }
    }
    report("cert.json (views)", ran);
}

#[test]
fn a_foreign_authority_issues_nothing_here() {
    let cases = cases("foreign_certificate");
    for case in &cases {
        let foreign = Certificate::parse(&value_of(case, 0)).unwrap();
        assert!(foreign.subject_owner().is_some());
        assert!(root().issued(&foreign).is_err());
    }
    report("cert.json (foreign)", cases.len());
}

/// [better] Intermediates work.
#[test]
fn intermediates() {
    let root = root();
    let cases = cases("intermediate");
    for case in &cases {
        let intermediate = Certificate::parse(&value_of(case, 0)).unwrap();
        assert_eq!(intermediate.der(), bytes(case, "intermediate_der"));
        assert!(intermediate.is_authority());
        assert_eq!(root.issued(&intermediate), Ok(()));
        let owner = Certificate::parse(&value_of(case, 1)).unwrap();
        assert_eq!(intermediate.issued(&owner), Ok(()));
        assert!(root.issued(&owner).is_err());
        assert_eq!(owner.subject_owner().unwrap().to_string(), text(&case["views"][0], "owner"));
    }
    report("cert.json (intermediate)", cases.len());
}

/// [better] An authority is found whose serial number begins with zeros.
#[test]
fn leading_zeros() {
    let cases = cases("ca_serial_with_leading_zero");
    for case in &cases {
        let authority = Certificate::parse(&pem(text(case, "ca_pem"), "CERTIFICATE")).unwrap();
        assert_eq!(authority.serial().as_bytes()[0], 0);
        assert_eq!(authority.serial(), text(case, "subject_serial_number").parse().unwrap());
        assert_eq!(authority.serial(), serials(case, "auth_certificate_map_keys")[0]);
        assert_eq!(authority.subject_serial(), Some(authority.serial()));
        let owner = Certificate::parse(&bytes(case, "owner_certificate_der")).unwrap();
        let issuer = text(case, "owner_certificate_issuer_serial_number").parse().unwrap();
        assert_eq!(owner.issuer_serial(), Some(issuer));
        assert_eq!(authority.issued(&owner), Ok(()));
    }
    report("cert.json (leading zeros)", cases.len());
}

#[test]
fn requests() {
    let owners = cases("owner_certificate");
    for case in &owners {
        let request = Request::parse(text(case, "csr_pem").as_bytes()).unwrap();
        assert_eq!(case["csr_signature_ok"], true);
        assert_eq!(request.owner().unwrap().to_string(), text(case, "owner"));
        assert_eq!(request.serial_number(), Some(text(case, "csr_subject_serial_number")));
        let names: Value = serde_json::from_str(text(case, "csr_subject_json_as_showcsr")).unwrap();
        let names = names["Names"].as_array().unwrap();
        assert_eq!(request.attributes().len(), names.len());
        for (attribute, name) in request.attributes().iter().zip(names) {
            assert_eq!(serde_json::json!(attribute.oid), name["Type"]);
            assert_eq!(attribute.text, name["Value"]);
        }
    }
    report("cert.json (requests)", owners.len());
}

/// The errors of the reference that are ours too. [better] An ed25519 owner's request is none.
#[test]
fn what_is_refused() {
    let owners = cases("owner_certificate");
    let authority = Authority::from_pem(text(&cases("ca")[0], "ca_pem")).unwrap();
    let case = &owners[0];
    let mut random = |out: &mut [u8]| out.fill(7);
    let request = Request::parse(text(case, "csr_pem").as_bytes()).unwrap();
    let now = root().not_before();
    let made = authority.certify(&request, now, Some(1), &mut random).unwrap();
    assert_eq!(made.not_before(), now + 1);
    assert_eq!(
        made.key_owner(),
        made.subject_owner(),
        "the owner's key, where the reference puts the authority's"
    );
    let mut corrupted = request.der().to_vec();
    *corrupted.last_mut().unwrap() ^= 1;
    let corrupted = Request::parse(&corrupted).unwrap();
    assert!(corrupted.owner().is_err() && authority.certify(&corrupted, now, None, &mut random).is_err());
    // "auth certificate is not a CA"
    let ca = cases("ca");
    let key = text(&ca[0], "ca_pem").split_once("-----END CERTIFICATE-----\n").unwrap().1;
    assert!(Authority::from_pem(&format!("{}{key}", made.to_pem())).is_err());
    let ed25519 = OwnerSecret::from_seed(OwnerType::Ed25519, b"better");
    assert_eq!(Request::new(&ed25519, &Subject::default()).unwrap().owner(), Ok(*ed25519.public()));
    report("cert.json (errors)", cases("csr_error").len() + cases("create_error").len());
}
