//! `seeded_prng.json`.
#![allow(clippy::unwrap_used)]

#[path = "support/vectors.rs"]
mod vectors;

use lf_proto::seeded::SeededRng;
use sha2::{Digest, Sha256};

#[test]
fn seeded_prng() {
    let cases = vectors::load("seeded_prng.json");
    for case in &cases {
        let seed = vectors::bytes(case, "seed");
        let mut start = vec![0; 96];
        SeededRng::new(&seed).fill(&mut start);
        assert_eq!(start, vectors::bytes(case, "output"), "{case}");
        if case.get("length").is_some() {
            let mut long = vec![0; usize::try_from(vectors::number(case, "length")).unwrap()];
            SeededRng::new(&seed).fill(&mut long);
            assert_eq!(Sha256::digest(&long)[..], vectors::bytes(case, "sha256_of_length_bytes"), "{case}");
            assert_eq!(long[4080..4128], vectors::bytes(case, "bytes_at_4080_to_4128"), "{case}");
        }
    }
    vectors::report("seeded_prng.json", cases.len());
}
