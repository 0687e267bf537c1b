//! An LF node: the rules as a pure core, and the shells around it.
#![forbid(unsafe_code)]
