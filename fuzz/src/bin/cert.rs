//! Certificates, requests and CRLs: nothing panics, and what is read keeps its bytes and says the same again.
#![no_main]

use lf_proto::cert::{Authority, Certificate, Crl, Request, Serial};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(row) = Certificate::parse_all(data) {
        let bytes: Vec<u8> = row.iter().flat_map(|certificate| certificate.der().to_vec()).collect();
        assert_eq!(bytes, data);
        for certificate in &row {
            assert!(certificate.subject_text().chars().count() <= 256);
            assert!(!certificate.subject_text().chars().any(char::is_control));
            assert!(certificate.subject_owner().is_none() || !certificate.is_authority());
            assert_eq!(certificate.serial().to_string().parse::<Serial>(), Ok(certificate.serial()));
            for other in &row {
                let _ = certificate.issued(other);
            }
        }
    }
    if let Ok(crl) = Crl::parse(data) {
        assert_eq!(crl.der(), data);
        assert_eq!(Crl::parse(crl.der()).unwrap().entries(), crl.entries());
    }
    if let Ok(request) = Request::parse(data) {
        assert_eq!(Request::parse(request.to_pem().as_bytes()).unwrap().der(), request.der());
        let _ = request.owner();
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Authority::from_pem(text);
    }
});
