"""Commentary (PROTOCOL §10): what oracles say about records."""

from __future__ import annotations

from dataclasses import dataclass

from .text import hash_text

ASSERTION_COLLIDES = 1


@dataclass(frozen=True)
class Comment:
    """One comment. Reasons: 0 none, 1 automatic, 2 manual."""

    assertion: int
    reason: int
    subject: bytes

    def collides(self) -> str | None:
        """The hash `=…` of the record that this comment says collides with a claimed id, if it says that."""
        says = self.assertion == ASSERTION_COLLIDES and len(self.subject) == 32
        return hash_text(self.subject) if says else None

    def encode(self) -> bytes:
        """Its bytes; a subject beyond 255 bytes is cut."""
        subject = self.subject[:255]
        return bytes([self.assertion, self.reason, len(subject)]) + subject

    @staticmethod
    def decode_all(value: bytes) -> list[Comment]:
        """The comments in a record's plain value. A cut-off last one is dropped."""
        comments = []
        rest = value
        while len(rest) >= 3 and len(rest) >= 3 + rest[2]:
            end = 3 + rest[2]
            comments.append(Comment(rest[0], rest[1], rest[3:end]))
            rest = rest[end:]
        return comments
