//! Certification authorities make certificates, requests and CRLs that are read back, that hold each other up, and that
//! openssl parses, shows and verifies, where it is installed; and what openssl makes is read.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

use lf_proto::base62;
use lf_proto::cert::{
    Authority, Certificate, CertificateError, Crl, CrlEntry, DAYS_MAX, Reason, Request, Serial, Subject,
};
use lf_proto::owner::{OwnerPublic, OwnerSecret, OwnerType};
use lf_proto::seeded::SeededRng;
use proptest::prelude::*;

const NOW: u64 = 1_700_000_000;
const DAY: u64 = 86_400;

fn random(seed: &[u8]) -> impl FnMut(&mut [u8]) + use<> {
    let mut rng = SeededRng::new(seed);
    move |out| rng.fill(out)
}

fn subject(name: &str) -> Subject {
    Subject {
        country: "DE".into(),
        organization: "Société".into(),
        common_name: name.into(),
        ..Subject::default()
    }
}

fn root() -> Authority {
    Authority::new_root(&subject("Root"), NOW, None, &mut random(b"root")).unwrap()
}

fn owner(ty: OwnerType) -> OwnerSecret {
    OwnerSecret::from_seed(ty, b"owner")
}

fn request(ty: OwnerType) -> Request {
    Request::new(&owner(ty), &subject("Alice")).unwrap()
}

#[test]
fn a_root_is_one() {
    let root = root();
    let certificate = root.certificate();
    assert!(certificate.is_authority() && certificate.signs_crls());
    assert_eq!(certificate.issued(certificate), Ok(()));
    assert_eq!(certificate.subject_serial(), Some(certificate.serial()));
    assert_eq!(certificate.subject_owner(), None);
    assert_eq!(certificate.key_owner().as_ref(), Some(root.owner()));
    assert_eq!(certificate.subject_text(), "CN=Root, O=Société, C=DE");
    assert_eq!((certificate.not_before(), certificate.not_after()), (NOW, NOW + u64::from(DAYS_MAX) * DAY));
    let again = Authority::from_pem(&root.to_pem()).unwrap();
    assert_eq!(again.certificate(), certificate);
    assert_eq!(again.key().to_bytes(), root.key().to_bytes());
    assert!(!format!("{root:?}").contains("key"), "nothing of the key is shown");
}

#[test]
fn owners_of_every_type_are_certified() {
    let root = root();
    for ty in OwnerType::ALL {
        let request = request(ty);
        let owner = *owner(ty).public();
        assert_eq!(request.owner(), Ok(owner));
        assert_eq!(Request::parse(request.to_pem().as_bytes()).unwrap().der(), request.der());
        let made = root.certify(&request, NOW + 5, Some(10), &mut random(b"serial")).unwrap();
        assert_eq!(root.certificate().issued(&made), Ok(()));
        assert_eq!(
            (made.subject_owner(), made.key_owner()),
            (Some(owner), Some(owner)),
            "the owner's own key"
        );
        assert!(!made.is_authority() && !made.signs_crls());
        assert_eq!((made.not_before(), made.not_after()), (NOW + 5, NOW + 5 + 10 * DAY));
        assert_eq!(made.subject_text(), "CN=Alice, O=Société, C=DE");
    }
}

#[test]
fn validity_stays_inside_the_issuers() {
    let root = Authority::new_root(&subject("Root"), NOW, Some(100), &mut random(b"short")).unwrap();
    let end = NOW + 100 * DAY;
    let request = request(OwnerType::Ed25519);
    let certify = |now, days| {
        let made = root.certify(&request, now, days, &mut random(b"s"))?;
        Ok((made.not_before(), made.not_after()))
    };
    // In the second in which the root was made, and before: the reference compares strictly.
    assert_eq!(certify(NOW, Some(1)), Ok((NOW + 1, NOW + 1 + DAY)));
    assert_eq!(certify(0, Some(1)), Ok((NOW + 1, NOW + 1 + DAY)));
    assert_eq!(certify(NOW + 9, None), Ok((NOW + 9, end)));
    assert_eq!(certify(NOW + 9, Some(u32::MAX)), Ok((NOW + 9, end)));
    assert_eq!(certify(end, Some(7)), Ok((end, end)));
    assert_eq!(certify(end + 1, None), Err(CertificateError::Expired(root.certificate().serial())));
}

#[test]
fn requests_that_are_not_what_they_say() {
    let root = root();
    let good = request(OwnerType::P384);
    // Another owner's name: the subject of a request is signed by whoever holds the key, so it can say anything.
    let mine = base62::encode(owner(OwnerType::P384).public().as_bytes());
    let other = base62::encode(OwnerSecret::from_seed(OwnerType::P384, b"other").public().as_bytes());
    assert_eq!(mine.len(), other.len());
    let position = good.der().windows(mine.len()).position(|part| part == mine.as_bytes()).unwrap();
    let mut renamed = good.der().to_vec();
    renamed[position..position + mine.len()].copy_from_slice(other.as_bytes());
    let renamed = Request::parse(&renamed).unwrap();
    assert!(matches!(renamed.owner(), Err(CertificateError::Signature { .. })));
    assert!(root.certify(&renamed, NOW + 1, None, &mut random(b"")).is_err());
    let mut junk = good.der().to_vec();
    junk.push(0);
    assert!(matches!(Request::parse(&junk), Err(CertificateError::Der { .. })));
    assert!(matches!(
        Request::parse(b"-----BEGIN X-----\n-----END X-----\n"),
        Err(CertificateError::PemLabel(_))
    ));
    for bad in [&"x".repeat(65), "a\nb"] {
        let subject = Subject { unit: bad.to_owned(), ..Subject::default() };
        assert!(matches!(
            Request::new(&owner(OwnerType::P224), &subject),
            Err(CertificateError::Subject("OU"))
        ));
    }
}

#[test]
fn intermediates_issue_and_no_further() {
    let root = root();
    let one = root.intermediate(&subject("Branch"), NOW + 10, Some(30), &mut random(b"one")).unwrap();
    assert!(one.certificate().is_authority());
    assert_eq!(root.certificate().issued(one.certificate()), Ok(()));
    let made = one.certify(&request(OwnerType::P224), NOW + 20, None, &mut random(b"s")).unwrap();
    assert_eq!(one.certificate().issued(&made), Ok(()));
    assert_eq!(made.not_after(), one.certificate().not_after());
    assert!(matches!(root.certificate().issued(&made), Err(CertificateError::OtherIssuer { .. })));
    assert!(matches!(made.issued(&made), Err(CertificateError::NotAuthority(_))));
    let two = one.intermediate(&subject("Twig"), NOW + 20, None, &mut random(b"two"));
    assert!(matches!(two, Err(CertificateError::PathLength(_))));
}

#[test]
fn crls_say_what_when_and_why() {
    let root = root();
    let serial = |byte| Serial::from_bytes(&[byte; 32]).unwrap();
    let entries: Vec<_> = Reason::ALL
        .iter()
        .zip(1u8..)
        .map(|((reason, ..), byte)| CrlEntry {
            serial: serial(byte),
            date: NOW + u64::from(byte),
            reason: Some(*reason),
        })
        .chain([CrlEntry { serial: serial(0xff), date: NOW, reason: None }])
        .collect();
    let crl = root.crl(&entries, NOW + 100, NOW + 200).unwrap();
    assert_eq!(root.certificate().issued_crl(&crl), Ok(()));
    assert_eq!((crl.this_update(), crl.issuer_serial()), (NOW + 100, Some(root.certificate().serial())));
    // A reason that is not said is not written.
    let read: Vec<_> = crl.entries().to_vec();
    let unspecified = |entry: &CrlEntry| entry.reason.filter(|reason| *reason != Reason::Unspecified);
    assert_eq!(read.len(), entries.len());
    for (read, wanted) in read.iter().zip(&entries) {
        assert_eq!((read.serial, read.date, read.reason), (wanted.serial, wanted.date, unspecified(wanted)));
    }
    assert_eq!(root.crl(&[], NOW, NOW).unwrap().entries(), []);
    let other = Authority::new_root(&subject("Root"), NOW, None, &mut random(b"other")).unwrap();
    assert!(other.certificate().issued_crl(&crl).is_err());
    assert_eq!("key-compromise".parse(), Ok(Reason::KeyCompromise));
    assert!("because".parse::<Reason>().unwrap_err().contains("keyCompromise"));
}

#[test]
fn what_is_no_authority_in_a_file() {
    let root = root();
    let other = Authority::new_root(&subject("Root"), NOW, None, &mut random(b"other")).unwrap();
    let pem = root.to_pem();
    let (certificate, key) = pem.split_at(pem.find("-----BEGIN ECDSA").unwrap());
    let others = other.to_pem();
    let others_key = others.split_at(others.find("-----BEGIN ECDSA").unwrap()).1;
    let error = |text: &str| Authority::from_pem(text).unwrap_err();
    assert_eq!(error(certificate), CertificateError::PemLabel("EC PRIVATE KEY"));
    assert_eq!(error(key), CertificateError::PemLabel("CERTIFICATE"));
    assert_eq!(error(""), CertificateError::PemLabel("CERTIFICATE"));
    assert_eq!(
        error(&format!("{certificate}{others_key}")),
        CertificateError::OtherKey(root.certificate().serial())
    );
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_eq!(error(&format!("{certificate}{encrypted}")), CertificateError::EncryptedKey);
    let owner = root.certify(&request(OwnerType::P384), NOW + 1, None, &mut random(b"")).unwrap();
    assert!(matches!(error(&format!("{}{key}", owner.to_pem())), CertificateError::NotAuthority(_)));
    // Key first, as some programs write it, and with the usual label.
    let usual = format!("{key}{certificate}").replace("ECDSA PRIVATE", "EC PRIVATE");
    assert_eq!(Authority::from_pem(&usual).unwrap().owner(), root.owner());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Nothing that was changed is taken for what was signed.
    #[test]
    fn changed_bytes_are_found(index: prop::sample::Index, flip in 1u8..) {
        let root = root();
        let made = root.certify(&request(OwnerType::P224), NOW + 1, None, &mut random(b"x")).unwrap();
        let mut der = made.der().to_vec();
        der[index.index(made.der().len())] ^= flip;
        prop_assert!(!Certificate::parse(&der).is_ok_and(|read| root.certificate().issued(&read).is_ok()));
        let crl = root.crl(&[CrlEntry { serial: made.serial(), date: NOW, reason: None }], NOW, NOW + 9).unwrap();
        let mut der = crl.der().to_vec();
        der[index.index(crl.der().len())] ^= flip;
        prop_assert!(!Crl::parse(&der).is_ok_and(|read| root.certificate().issued_crl(&read).is_ok()));
    }
}

proptest! {
    /// Junk, and what begins like the real thing, ends in an error and not in a panic.
    #[test]
    fn junk_is_refused(junk: Vec<u8>, keep in 0usize..900, which in 0usize..3) {
        let root = root();
        let crl = root.crl(&[], NOW, NOW).unwrap();
        let request = request(OwnerType::Ed25519);
        let real = [root.certificate().der(), crl.der(), request.der()][which];
        let mixed = [&real[..keep.min(real.len())], &junk].concat();
        for bytes in [&junk, &mixed] {
            let _ = Certificate::parse_all(bytes);
            let _ = Crl::parse(bytes);
            let _ = Request::parse(bytes).map(|request| request.owner());
            let _ = Authority::from_pem(&String::from_utf8_lossy(bytes));
        }
    }
}

/// Runs openssl in a directory; its output if it succeeded.
fn openssl(directory: &Path, arguments: &str) -> Result<String, String> {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(text) } else { Err(format!("openssl {arguments}: {text}")) }
}

fn has_openssl() -> bool {
    let found = Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: needs openssl");
    }
    found
}

#[test]
fn openssl_reads_shows_and_verifies_what_we_make() {
    if !has_openssl() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let root = root();
    let branch = root.intermediate(&subject("Branch"), NOW + 10, None, &mut random(b"one")).unwrap();
    fs::write(at.join("root.pem"), &*root.to_pem()).unwrap();
    fs::write(at.join("branch.pem"), branch.certificate().to_pem()).unwrap();
    let text = openssl(at, "x509 -in root.pem -noout -text").unwrap();
    for part in ["CA:TRUE", "Certificate Sign, CRL Sign", "CN = Root", "ecdsa-with-SHA384", "secp384r1"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    openssl(at, "verify -x509_strict -CAfile root.pem branch.pem").unwrap();
    // The key, once its label is the usual one.
    fs::write(at.join("key.pem"), root.to_pem().replace("ECDSA PRIVATE", "EC PRIVATE")).unwrap();
    assert!(openssl(at, "pkey -in key.pem -noout -text").unwrap().contains("384 bit"));
    let good = branch.crl(&[], NOW + 20, u64::MAX).unwrap();
    for ty in OwnerType::ALL {
        let request = request(ty);
        fs::write(at.join("request.pem"), request.to_pem()).unwrap();
        let text = openssl(at, "req -in request.pem -verify -noout -text").unwrap();
        assert!(text.contains(&base62::encode(owner(ty).public().as_bytes())), "{text}");
        let direct = root.certify(&request, NOW + 1, None, &mut random(b"a")).unwrap();
        let below = branch.certify(&request, NOW + 11, None, &mut random(b"b")).unwrap();
        fs::write(at.join("direct.pem"), direct.to_pem()).unwrap();
        fs::write(at.join("below.pem"), below.to_pem()).unwrap();
        assert!(openssl(at, "x509 -in direct.pem -noout -text").unwrap().contains("CA:FALSE"));
        openssl(at, "verify -x509_strict -CAfile root.pem direct.pem").unwrap();
        openssl(at, "verify -x509_strict -CAfile root.pem -untrusted branch.pem below.pem").unwrap();
        // Revoked, and not.
        let entry = CrlEntry { serial: direct.serial(), date: NOW + 30, reason: Some(Reason::KeyCompromise) };
        let crl = root.crl(&[entry], NOW + 40, u64::MAX).unwrap();
        fs::write(at.join("crl.pem"), crl.to_pem()).unwrap();
        fs::write(at.join("crls.pem"), format!("{}{}", crl.to_pem(), good.to_pem())).unwrap();
        let text = openssl(at, "crl -in crl.pem -CAfile root.pem -noout -text").unwrap();
        for part in ["verify OK", "Key Compromise", "Version 2"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let refused =
            openssl(at, "verify -crl_check -CRLfile crl.pem -CAfile root.pem direct.pem").unwrap_err();
        assert!(refused.contains("certificate revoked"), "{refused}");
        openssl(
            at,
            "verify -crl_check_all -CRLfile crls.pem -CAfile root.pem -untrusted branch.pem below.pem",
        )
        .unwrap();
    }
}

#[test]
fn what_openssl_makes_is_read() {
    if !has_openssl() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    // Keys in both forms that openssl writes, with the parameters before the key.
    openssl(at, "ecparam -name secp384r1 -genkey -out sec1.pem").unwrap();
    openssl(at, "pkcs8 -topk8 -nocrypt -in sec1.pem -out pkcs8.pem").unwrap();
    let extensions =
        "-addext keyUsage=critical,keyCertSign,cRLSign -addext basicConstraints=critical,CA:true";
    // What LF needs beside: the issuer's serialNumber is the base62 of its serial number.
    let serial = Serial::from_bytes(&[0x12, 0x34]).unwrap();
    let make = format!(
        "req -x509 -new -key sec1.pem -days 3650 -set_serial 0x1234 -subj /CN=Root/serialNumber={serial}"
    );
    openssl(at, &format!("{make} -out root.pem {extensions}")).unwrap();
    let certificate = fs::read_to_string(at.join("root.pem")).unwrap();
    let mut owners: Vec<OwnerPublic> = Vec::new();
    for key in ["sec1.pem", "pkcs8.pem"] {
        let key = fs::read_to_string(at.join(key)).unwrap();
        let authority = Authority::from_pem(&format!("{certificate}{key}")).unwrap();
        assert_eq!(authority.certificate().issued(authority.certificate()), Ok(()), "signed with SHA-256");
        assert_eq!(authority.certificate().serial(), serial);
        owners.push(*authority.owner());
    }
    assert_eq!(owners[0], owners[1]);
    // Requests made with openssl's own keys; the owner is known only once the key is there.
    for (name, algorithm) in [
        ("p224", "-algorithm EC -pkeyopt ec_paramgen_curve:secp224r1"),
        ("p384", "-algorithm EC -pkeyopt ec_paramgen_curve:secp384r1"),
        ("ed25519", "-algorithm ed25519"),
    ] {
        openssl(at, &format!("genpkey {algorithm} -out {name}.pem")).unwrap();
        openssl(at, &format!("req -new -key {name}.pem -subj /CN=Nobody -out {name}.csr")).unwrap();
        let request = Request::parse(&fs::read(at.join(format!("{name}.csr"))).unwrap()).unwrap();
        let Err(CertificateError::OtherOwner(owner)) = request.owner() else { panic!("{request:?}") };
        let named = format!("/CN=Alice/serialNumber={}", base62::encode(owner.as_bytes()));
        openssl(at, &format!("req -new -key {name}.pem -subj {named} -out {name}.csr")).unwrap();
        let request = Request::parse(&fs::read(at.join(format!("{name}.csr"))).unwrap()).unwrap();
        assert_eq!(request.owner(), Ok(owner));
        assert_eq!(request.subject_text(), "CN=Alice");
        assert_eq!(owner.owner_type().name(), name);
    }
}
