//! The `lf` program.
#![forbid(unsafe_code)]
fn main() {}
