//! Loads the reference implementation's vectors: from `LF_VECTORS` when it is set, else the repository's copy.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::path::PathBuf;

use serde_json::Value;

/// The cases of one vector file.
pub fn load(file: &str) -> Vec<Value> {
    let dir = std::env::var_os("LF_VECTORS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors")), PathBuf::from);
    let path = dir.join(file);
    let text =
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()));
    serde_json::from_str::<Vec<Value>>(&text).unwrap()
}

/// Prints how many cases of a file ran, and fails when none did.
pub fn report(file: &str, ran: usize) {
    assert!(ran > 0, "{file}: no case ran");
    println!("{file}: {ran} cases");
}

/// Bytes from lowercase hex.
pub fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd hex");
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// Lowercase hex of bytes.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut s, b| {
        write!(s, "{b:02x}").unwrap();
        s
    })
}

/// The bytes of a case's hex field.
pub fn bytes(case: &Value, field: &str) -> Vec<u8> {
    unhex(text(case, field))
}

/// The text of a case's field.
pub fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("no text {field} in {case}"))
}

/// The number of a case's field, up to 2⁶⁴−1.
pub fn number(case: &Value, field: &str) -> u64 {
    case[field].as_u64().unwrap_or_else(|| panic!("no number {field} in {case}"))
}
