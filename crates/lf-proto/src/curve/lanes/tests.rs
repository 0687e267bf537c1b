//! The lanes against the scalar code, the bounds of all limbs, and what a recovery costs in operations.
//!
//! The AVX-512 lanes are tested where the processor has them; elsewhere the tests say that they were skipped.
#![allow(clippy::unwrap_used)]

mod bounds;
mod counts;
mod ed25519;
mod operations;
mod recovery;
