"""Selectors (PROTOCOL §6): the names under which records are found, as people write them and as records prove them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

from .curve import P160, Point
from .errors import LfError, invalid, malformed
from .ordinal import ORDINAL_MAX, OrdinalMask
from .seeded import SeededRng, draw_scalar
from .text import base62_to_json, blob_from_json, ordinal_from_json

SELECTORS_MAX = 15
CLAIM_BYTES = 57

_WORD = 2**64
_NAMES_KEPT = 64
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "#": "\\#"}


@dataclass(frozen=True)
class Selector:
    """A name and the ordinals meant, both included."""

    name: bytes
    first: int = 0
    last: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.name, bytes):
            raise invalid(f"selector name must be bytes, not {type(self.name).__name__}")
        for ordinal in (self.first, self.last):
            if type(ordinal) is not int or not 0 <= ordinal <= ORDINAL_MAX:
                raise invalid(f"ordinal {ordinal!r} is not a number from 0 to {ORDINAL_MAX}")
        if self.first > self.last:
            raise invalid(f"selector {format_selector(self)!r}: the range ends before it begins")

    def __str__(self) -> str:
        return format_selector(self)


SelectorLike = str | Selector
"""What methods take for a selector: text such as `'bad horse#2#10'`, or a `Selector`."""


def _unescape(text: str) -> str:
    """Undoes the escapes of a JSON string; `\\#` may stand without doubling its backslash."""
    out: list[str] = []
    i = 0
    while i < len(text):
        c = text[i]
        if c != "\\":
            out.append(c)
            i += 1
            continue
        kind = text[i + 1 : i + 2]
        if kind == "u":
            unit = re.fullmatch("[0-9a-fA-F]{4}", text[i + 2 : i + 6])
            escape = text[i : i + 6]
            if unit is None:
                raise invalid(f"selector {text!r}: {escape!r} is no escape of a JSON string")
            code = int(unit[0], 16)
            i += 6
            if 0xD800 <= code < 0xDC00:
                low = re.match(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})", text[i : i + 6])
                if low is None:
                    raise invalid(f"selector {text!r}: {escape!r} is half a surrogate pair")
                code = 0x10000 + (code - 0xD800) * 0x400 + int(low[1], 16) - 0xDC00
                i += 6
            elif 0xDC00 <= code < 0xE000:
                raise invalid(f"selector {text!r}: {escape!r} is half a surrogate pair")
            out.append(chr(code))
        elif kind in _ESCAPES:
            out.append(_ESCAPES[kind])
            i += 2
        else:
            raise invalid(f"selector {text!r}: {text[i : i + 2]!r} is no escape of a JSON string")
    return "".join(out)


def _split(text: str) -> list[str]:
    """Splits at every `#`, but `\\#` is a literal `#`. Other backslashes stand for themselves."""
    parts = [""]
    i = 0
    while i < len(text):
        if text.startswith("\\#", i):
            parts[-1] += "#"
            i += 2
        elif text[i] == "#":
            parts.append("")
            i += 1
        else:
            parts[-1] += text[i]
            i += 1
    return parts


def parse_selector(text: str) -> Selector:
    """Reads `name` (ordinal 0), `name#ordinal`, `name#first#last` or `name#` (all ordinals).

    The name is unescaped as a JSON string is, then `\\#` is a literal `#`.
    """
    if not isinstance(text, str):
        raise invalid(f"selector must be text or a Selector, not {type(text).__name__}")
    parts = _split(_unescape(text))

    def number(part: str) -> int:
        if re.fullmatch("[0-9]{1,20}", part.lstrip("0") or "0", re.ASCII) and part.isascii():
            value = int(part.lstrip("0") or "0")
            if part and value <= ORDINAL_MAX:
                return value
        raise invalid(f"selector {text!r}: ordinal {part!r} is not a number from 0 to {ORDINAL_MAX}")

    try:
        name = parts[0].encode("utf-8")
    except UnicodeEncodeError:
        raise invalid(f"selector {text!r} holds half a surrogate pair") from None
    if len(parts) == 1:
        return Selector(name)
    if len(parts) == 2:
        return Selector(name, 0, ORDINAL_MAX) if parts[1] == "" else Selector(name, *[number(parts[1])] * 2)
    if len(parts) == 3:
        first, last = number(parts[1]), number(parts[2])
        if first > last:
            raise invalid(f"selector {text!r}: the range ends before it begins")
        return Selector(name, first, last)
    raise invalid(f"selector {text!r} has more than two ordinals")


def format_selector(selector: Selector) -> str:
    """The text of a selector, which `parse_selector` reads again.

    Two kinds of names cannot be written: with bytes that are not UTF-8 (they show as U+FFFD), and with a backslash at
    the end where an ordinal follows.
    """
    text = ""
    for c in selector.name.decode("utf-8", "replace"):
        if c in "\\#":
            text += "\\\\" + ("#" if c == "#" else "")
        elif ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0:
            text += f"\\u{ord(c):04x}"
        else:
            text += c
    if (selector.first, selector.last) == (0, ORDINAL_MAX):
        return f"{text}#"
    if selector.first == selector.last:
        return f"{text}#{selector.first}"
    return f"{text}#{selector.first}#{selector.last}"


def selectors_of(given: SelectorLike | Iterable[SelectorLike]) -> list[Selector]:
    """One selector or several, as text or not: 1 to 15."""
    several = [given] if isinstance(given, (str, Selector)) else list(given)
    if not 1 <= len(several) <= SELECTORS_MAX:
        raise invalid(f"{len(several)} selectors: a record has 1 to {SELECTORS_MAX}")
    return [s if isinstance(s, Selector) else parse_selector(s) for s in several]


def add_ordinal(key_hash: bytes, ordinal: bytes) -> bytes:
    """H(Q) + masked ordinal, with the odd carry of PROTOCOL §6."""
    a, b, c, d = (int.from_bytes(key_hash[i : i + 8], "big") for i in range(0, 32, 8))
    e, f = (int.from_bytes(ordinal[i : i + 8], "big") for i in (0, 8))
    low = (d + f) % _WORD
    carried = (c + (low < d)) % _WORD
    high = (b + (carried < c)) % _WORD
    mid = (carried + e) % _WORD
    if mid < c:
        high = (high + 1) % _WORD
        a = (a + (high < b)) % _WORD
    return b"".join(word.to_bytes(8, "big") for word in (a, high, mid, low))


class SelectorName:
    """A plain name with all that follows from it. `selector_name` keeps the last ones, since making one takes long."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self._scalar = draw_scalar(SeededRng(name), P160.n)
        point = P160.generator_times(self._scalar)
        self.id = P160.compressed(point)
        """The compressed public key, 21 bytes."""
        self.key_hash = P160.key_hash(point)

    def __repr__(self) -> str:
        return "SelectorName(…)"

    @cached_property
    def mask(self) -> OrdinalMask:
        """Masks and unmasks this name's ordinals."""
        return OrdinalMask(self.name)

    def key(self, ordinal: int) -> bytes:
        """The 32-byte selector key of an ordinal."""
        return add_ordinal(self.key_hash, self.mask.mask(ordinal))

    def key_range(self, first: int, last: int) -> tuple[bytes, bytes]:
        """The keys of the first and the last ordinal of a range."""
        if (first, last) != (0, ORDINAL_MAX):
            return self.key(first), self.key(last)
        try:
            end = self.key(ORDINAL_MAX)
        except LfError:
            # A rare name cannot mask the highest ordinal: then, the highest sum that is not subject to the odd carry.
            end = add_ordinal(self.key_hash, b"\xff" * 7 + b"\xfe" + b"\xff" * 8)
        return add_ordinal(self.key_hash, bytes(16)), end

    def claim(self, body_hash: bytes, ordinal: int) -> Claim:
        """Proves in a record that its maker knows the name. Not constant time (README)."""
        masked = self.mask.mask(ordinal)
        digest = hashlib.sha256(body_hash + masked).digest()
        signature, parity = P160.sign_recoverable(self._scalar, digest)
        return Claim(masked, signature, parity)


@lru_cache(maxsize=_NAMES_KEPT)
def selector_name(name: bytes) -> SelectorName:
    """The name, derived if it is not among the ones used last."""
    return SelectorName(name)


def selector_key_range(selector: SelectorLike) -> tuple[bytes, bytes]:
    """What a query sends for a selector, the first and last key: names never leave."""
    (s,) = selectors_of(selector)
    return selector_name(s.name).key_range(s.first, s.last)


@dataclass(frozen=True)
class Recovered:
    """What a claim gives: the selector's id (21 bytes) and its key (32 bytes)."""

    id: bytes
    key: bytes


@dataclass(frozen=True)
class Claim:
    """A selector inside a record: the masked ordinal, and the proof that its maker knew the name."""

    ordinal: bytes
    signature: bytes
    parity: int

    @classmethod
    def decode(cls, data: bytes) -> Claim:
        """Reads the 57 bytes of a selector."""
        if len(data) != CLAIM_BYTES:
            raise malformed(f"selector of {len(data)} bytes: must be {CLAIM_BYTES}")
        if data[0] & 15 or data[0] >> 4 > 1:
            raise malformed(f"selector of unknown type or parity {data[0]:#04x}")
        return cls(data[1:17], data[17:], data[0] >> 4)

    def encode(self) -> bytes:
        """Its 57 bytes."""
        return bytes([self.parity << 4]) + self.ordinal + self.signature

    @classmethod
    def from_json(cls, value: object) -> Claim:
        """Reads `{"Ordinal", "Claim"}`."""
        if not isinstance(value, dict):
            raise malformed("selector must be a JSON object")
        members = {str(k).lower(): v for k, v in value.items()}
        claim = blob_from_json(members.get("claim"), "claim")
        if len(claim) != 41 or claim[40] > 1:
            raise malformed("claim must be 41 bytes and end in its parity")
        return cls(ordinal_from_json(members.get("ordinal")), claim[:40], claim[40])

    def to_json(self) -> dict[str, str]:
        """`{"Ordinal", "Claim"}`."""
        claim = self.signature + bytes([self.parity])
        return {"Ordinal": base62_to_json(self.ordinal), "Claim": base62_to_json(claim)}

    def recover(self, body_hash: bytes) -> Recovered:
        """The id and key of the selector in a record with this body hash."""
        digest = hashlib.sha256(body_hash + self.ordinal).digest()
        point: Point | None = P160.recover(digest, self.signature, self.parity)
        if point is None:
            raise LfError("ErrRecordInvalid", "no key can be recovered from a selector")
        return Recovered(P160.compressed(point), add_ordinal(P160.key_hash(point), self.ordinal))
