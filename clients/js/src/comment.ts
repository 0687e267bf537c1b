// Commentary (PROTOCOL.md §10): what oracles say about records.

import { concat, hashText, type Bytes } from './bytes.js';

/** One comment. Assertion 1: a record collides with one that has a better claim. Reasons: 0 none, 1 automatic, 2 manual. */
export interface Comment {
  assertion: number;
  reason: number;
  subject: Bytes;
}

const SUBJECT_BYTES_MAX = 255;

/** The hash of the record that a comment says collides, if it says that. */
export function collides(comment: Comment): string | undefined {
  return comment.assertion === 1 && comment.subject.length === 32 ? hashText(comment.subject) : undefined;
}

/** A comment's bytes; a subject beyond 255 bytes is cut. */
export function encodeComment(comment: Comment): Bytes {
  const subject = comment.subject.slice(0, SUBJECT_BYTES_MAX);
  return concat(Uint8Array.of(comment.assertion, comment.reason, subject.length), subject);
}

/** The comments in a record's plain value. A cut-off last one is dropped. */
export function decodeComments(value: Bytes): Comment[] {
  const comments: Comment[] = [];
  for (let at = 0; at + 3 <= value.length; ) {
    const [assertion = 0, reason = 0, length = 0] = value.slice(at, at + 3);
    if (at + 3 + length > value.length) break;
    comments.push({ assertion, reason, subject: value.slice(at + 3, at + 3 + length) });
    at += 3 + length;
  }
  return comments;
}
