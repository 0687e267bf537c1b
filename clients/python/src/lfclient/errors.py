"""The one exception of this package.

Every error, a node's or our own, is an `LfError` with a name to program against and a message for people.
"""

from __future__ import annotations

_MESSAGE_CHARS_MAX = 500


class LfError(Exception):
    """Something went wrong.

    `name` is an error name of LF's API (`ErrInvalidParameter`, `ErrRecordInsufficientWork`, …), or one of ours:
    `ErrUnreachable` (no node answered), `ErrWrongAnswer` (a node's answer is not what was asked for), `ErrStopped`
    (`on_progress` returned False). `status` is the HTTP status of a node's refusal, else 0.
    """

    def __init__(self, name: str, message: str, status: int = 0) -> None:
        super().__init__(name, message, status)
        self.name = name
        self.message = message
        self.status = status

    def __str__(self) -> str:
        return f"{self.message} ({self.name})"


def invalid(message: str) -> LfError:
    """A parameter that cannot be used."""
    return LfError("ErrInvalidParameter", message)


def malformed(message: str) -> LfError:
    """Bytes or text that are not what they should be."""
    return LfError("ErrInvalidObject", message)


def as_bytes(what: str, value: object) -> bytes:
    """What the caller gave as bytes. Text and numbers would become something else unseen."""
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise invalid(f"{what} must be bytes, not {type(value).__name__}: encode text first, text.encode()")
    return bytes(value)


def one_line(text: str) -> str:
    """Words of a node, fit for a terminal or a log: no control characters, not too long."""
    clean = "".join(c if c.isprintable() else " " for c in text[: _MESSAGE_CHARS_MAX + 1])
    return clean if len(clean) <= _MESSAGE_CHARS_MAX else clean[:_MESSAGE_CHARS_MAX] + "…"
