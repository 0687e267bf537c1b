//! `crc16.json`.

#[path = "support/vectors.rs"]
mod vectors;

#[test]
fn crc16() {
    let cases = vectors::load("crc16.json");
    for case in &cases {
        let expected = vectors::number(case, "crc16");
        assert_eq!(u64::from(lf_proto::crc16::crc16(&vectors::bytes(case, "input"))), expected, "{case}");
    }
    vectors::report("crc16.json", cases.len());
}
