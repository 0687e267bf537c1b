//! The messages that nodes exchange, and their bytes. Everything that comes in is bounded before it is allocated.

/// Bytes of a question, at most.
pub const QUESTION_BYTES_MAX: usize = 1 << 20;
/// Bytes of an answer, at most.
pub const ANSWER_BYTES_MAX: usize = 2 << 20;
/// Bytes of a gossip message, at most: a whole record and a little.
pub const GOSSIP_BYTES_MAX: usize = 66 << 10;
