"""Text forms: base62, the prefixes of hashes, owners and pulses, and how JSON holds byte strings (PROTOCOL §1)."""

from __future__ import annotations

from typing import TypeGuard

from .errors import LfError, malformed

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS = {c: i for i, c in enumerate(_ALPHABET)}
# A whole record: nothing longer is ever base62. Conversion takes quadratic time, so there is a bound.
_BYTES_MAX = 1 << 17
_CHARS_MAX = _BYTES_MAX * 11 // 8
_CHUNK = 10
_CHUNK_BASE = 62**_CHUNK

HASH_BYTES = 32


def base62_encode(data: bytes) -> str:
    """Base62 of bytes: one big-endian integer, with a `0` for each leading zero byte."""
    if len(data) > _BYTES_MAX:
        raise malformed(f"{len(data)} bytes are too many for base62")
    stripped = data.lstrip(b"\0")
    number = int.from_bytes(stripped, "big")
    chunks: list[str] = []
    while number:
        number, low = divmod(number, _CHUNK_BASE)
        digits = ""
        for _ in range(_CHUNK):
            low, digit = divmod(low, 62)
            digits = _ALPHABET[digit] + digits
        chunks.append(digits)
    text = "".join(reversed(chunks)).lstrip("0")
    return "0" * (len(data) - len(stripped)) + text


def base62_decode(text: str) -> bytes:
    """The bytes of base62. Other characters are an error, which names the first one."""
    if len(text) > _CHARS_MAX:
        raise malformed(f"base62 of {len(text)} characters is too long")
    for position, character in enumerate(text):
        if character not in _DIGITS:
            raise malformed(f"character {character!r} at position {position} is not base62")
    stripped = text.lstrip("0")
    number = 0
    for start in range(0, len(stripped), _CHUNK):
        chunk = stripped[start : start + _CHUNK]
        low = 0
        for c in chunk:
            low = low * 62 + _DIGITS[c]
        number = number * 62 ** len(chunk) + low
    return b"\0" * (len(text) - len(stripped)) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def decode_prefixed(prefix: str, text: str, what: str) -> bytes:
    """The bytes of a text such as `=…` or `@…`."""
    if not text.startswith(prefix):
        raise malformed(f"{what} must begin with {prefix}")
    try:
        return base62_decode(text[1:])
    except LfError as e:
        raise malformed(f"{what}: {e.message}") from None


def hash_text(data: bytes) -> str:
    """A record hash as text, `=…`."""
    return "=" + base62_encode(data)


def parse_hash(text: str) -> bytes:
    """The 32 bytes of a record hash written `=…`."""
    data = decode_prefixed("=", text, "hash")
    if len(data) != HASH_BYTES:
        raise malformed(f"hash of {len(data)} bytes: must be {HASH_BYTES}")
    return data


def blob_to_json(data: bytes) -> str:
    """Bytes as JSON holds them: text if they are text, else U+0008 and base62."""
    if not data.startswith(b"\b"):
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            pass
    return base62_to_json(data)


def base62_to_json(data: bytes) -> str:
    """Bytes as JSON holds what is never text: U+0008 and base62."""
    return "\b" + base62_encode(data)


def _numbers(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(n) is int and 0 <= n <= 255 for n in value)


def blob_from_json(value: object, what: str = "byte string") -> bytes:
    """The bytes of a JSON value: text, U+0008 and base62, an array of numbers, or null for none."""
    if value is None:
        return b""
    if isinstance(value, str):
        if value.startswith("\b"):
            return base62_decode(value[1:])
        try:
            return value.encode("utf-8")
        except UnicodeEncodeError:
            raise malformed(f"{what} holds half a surrogate pair") from None
    if _numbers(value):
        return bytes(value)
    raise malformed(f"{what} must be text or an array of numbers from 0 to 255")


def _prefixed_from_json(value: object, prefix: str, what: str) -> bytes:
    if isinstance(value, str):
        return decode_prefixed(prefix, value, what)
    if value is None or _numbers(value):
        return bytes(value or [])
    raise malformed(f"{what} must be text that begins with {prefix}")


def hash_from_json(value: object) -> bytes:
    """The 32 bytes of a record hash in JSON."""
    data = _prefixed_from_json(value, "=", "hash")
    if len(data) != HASH_BYTES:
        raise malformed(f"hash of {len(data)} bytes: must be {HASH_BYTES}")
    return data


def owner_from_json(value: object) -> bytes:
    """The public bytes of an owner in JSON; their length is the caller's to check."""
    return _prefixed_from_json(value, "@", "owner")


def ordinal_from_json(value: object) -> bytes:
    """The 16 bytes of a masked ordinal in JSON."""
    data = blob_from_json(value, "ordinal")
    if len(data) != 16:
        raise malformed(f"ordinal of {len(data)} bytes: must be 16")
    return data
