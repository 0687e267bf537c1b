//! What records carry: masked values, comments, genesis parameters, genesis files.
#![no_main]

use lf_proto::comment::Comment;
use lf_proto::genesis::{Genesis, GenesisParameters};
use lf_proto::masking;
use lf_proto::owner::OwnerPublic;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let owner = OwnerPublic::from_bytes(&[7; 14]).unwrap();
    let stored = masking::mask(data, 1, b"key", &owner);
    if data.len() <= masking::UNMASKED_BYTES_MAX {
        assert_eq!(masking::unmask(&stored, 1, b"key", &owner).unwrap(), data);
    }
    assert!(masking::unmask(data, 1, b"key", &owner).is_ok_and(|v| v.len() <= masking::UNMASKED_BYTES_MAX)
        || masking::unmask(data, 1, b"key", &owner).is_err());
    let mut encoded = Vec::new();
    for comment in Comment::decode_all(data) {
        comment.encode(&mut encoded);
    }
    assert!(data.starts_with(&encoded));
    let _ = Genesis::parse(data);
    if let Ok(parameters) = GenesisParameters::parse(data) {
        let again = GenesisParameters::parse(parameters.to_json().as_bytes()).unwrap();
        assert_eq!(again, parameters);
        let mut amended = parameters.clone();
        assert!(amended.amend(data).is_ok());
    }
});
