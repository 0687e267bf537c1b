//! LF's wire formats and cryptography (PROTOCOL.md) as typed, bounded, documented code.
//!
//! Everything here is a pure function of its arguments: no I/O, no clock, no environment, no threads, no
//! global random source. Bytes from outside become typed values once, here, and nothing is allocated that
//! the input's own length does not justify.
#![deny(unsafe_code)] // allowed in the SIMD modules alone, each of which says why

pub mod api;
pub mod base62;
pub mod blob;
pub mod cert;
pub mod comment;
pub mod crc16;
pub mod curve;
pub mod genesis;
pub mod hash;
pub mod json;
pub mod masking;
pub mod ordinal;
pub mod owner;
pub mod pulse;
pub mod record;
pub mod rotation;
pub mod seeded;
pub mod selector;
pub mod sync;
pub mod work;

pub use zeroize::Zeroizing;
