//! LF's client library.
#![forbid(unsafe_code)]
