//! Commentary payloads (PROTOCOL.md §10): what oracles say about records.

use crate::hash::Hash;

/// The longest subject, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 255;

/// Assertion 1: "the record with hash *subject* collides with a claimed id".
pub const ASSERTION_COLLIDES: u8 = 1;
/// Reason 1: found by a node itself.
pub const REASON_AUTOMATIC: u8 = 1;

/// One comment: an assertion about a subject, with a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// What is asserted; 1 is [`ASSERTION_COLLIDES`], others have no meaning yet.
    pub assertion: u8,
    /// Why: 0 none, 1 automatic, 2 manual.
    pub reason: u8,
    /// What it is about, at most 255 bytes: a record hash for assertion 1.
    pub subject: Vec<u8>,
}

impl Comment {
    /// "The record with this hash collides with a claimed id", found by a node itself.
    pub fn collision(subject: Hash) -> Self {
        Comment { assertion: ASSERTION_COLLIDES, reason: REASON_AUTOMATIC, subject: subject.0.to_vec() }
    }

    /// The record this comment says collides with a claimed id, if it says that.
    pub fn collides(&self) -> Option<Hash> {
        (self.assertion == ASSERTION_COLLIDES).then_some(&self.subject[..])?.try_into().ok().map(Hash)
    }

    /// Appends the comment's bytes; a subject beyond 255 bytes is cut.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let subject = &self.subject[..self.subject.len().min(SUBJECT_BYTES_MAX)];
        out.extend_from_slice(&[self.assertion, self.reason, subject.len() as u8]);
        out.extend_from_slice(subject);
    }

    /// The comments in a commentary record's plain value. A cut-off last one is dropped, those before it count.
    pub fn decode_all(value: &[u8]) -> Vec<Comment> {
        let mut comments = Vec::new();
        let mut rest = value;
        while let [assertion, reason, length, tail @ ..] = rest {
            let Some((subject, tail)) = tail.split_at_checked(*length as usize) else { break };
            comments.push(Comment { assertion: *assertion, reason: *reason, subject: subject.to_vec() });
            rest = tail;
        }
        comments
    }
}
