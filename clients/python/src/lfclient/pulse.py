"""Pulses (PROTOCOL §9): short proofs that renew a record, minute by minute, for a year."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from .errors import invalid, malformed
from .text import base62_encode, decode_prefixed

PULSE_MINUTES_MAX = 525_600
PULSE_BYTES = 11

_KEY = bytes.fromhex("01c8105d6365100463cafffe16112aad")
_PAIR = struct.Struct("<QQ")


def th64_n(value: int, count: int) -> int:
    """th64, so many times over. All 525,600 steps take about a third of a second."""
    encrypt = Cipher(algorithms.AES(_KEY), modes.ECB()).encryptor().update
    pack, unpack = _PAIR.pack, _PAIR.unpack
    for _ in range(count):
        low, high = unpack(encrypt(pack(value, 0)))
        value ^= low ^ high
    return value


def th64(value: int) -> int:
    """The one-way function of pulses."""
    return th64_n(value, 1)


def pulse_start(selectors: Sequence[tuple[bytes, int]], timestamp: int, private_hash: bytes) -> int:
    """What a record's pulses come from: secret. `selectors` are plain names and ordinals."""
    h = hashlib.sha256()
    for name, ordinal in selectors:
        h.update(name + ordinal.to_bytes(8, "big"))
    h.update(timestamp.to_bytes(8, "big") + private_hash)
    return int.from_bytes(h.digest()[:8], "big")


def pulse_token(start: int) -> int:
    """The end of the chain, which the record holds."""
    return th64_n(start, PULSE_MINUTES_MAX)


@dataclass(frozen=True)
class Pulse:
    """A pulse: a link of the chain, and the minute after the record's timestamp that it stands for."""

    key: int
    minutes: int

    def __post_init__(self) -> None:
        if not 1 <= self.minutes <= PULSE_MINUTES_MAX:
            raise invalid(f"pulse of minute {self.minutes}: must be one of 1 to {PULSE_MINUTES_MAX}")

    @classmethod
    def decode(cls, data: bytes) -> Pulse:
        """Reads the 11 bytes of a pulse."""
        if len(data) != PULSE_BYTES:
            raise malformed(f"pulse of {len(data)} bytes: must be {PULSE_BYTES}")
        return cls(int.from_bytes(data[:8], "big"), int.from_bytes(data[8:], "big"))

    @classmethod
    def parse(cls, text: str) -> Pulse:
        """Reads `!…`."""
        return cls.decode(decode_prefixed("!", text, "pulse"))

    def encode(self) -> bytes:
        """Its 11 bytes."""
        return self.key.to_bytes(8, "big") + self.minutes.to_bytes(3, "big")

    def __str__(self) -> str:
        return "!" + base62_encode(self.encode())

    def token(self) -> int:
        """The pulse token of the record that it belongs to."""
        return th64_n(self.key, self.minutes)


def pulse_at(start: int, minutes: int) -> Pulse:
    """The pulse for a minute, 1 to 525,600."""
    if not 1 <= minutes <= PULSE_MINUTES_MAX:
        raise invalid(f"pulse of minute {minutes}: must be one of 1 to {PULSE_MINUTES_MAX}")
    return Pulse(th64_n(start, PULSE_MINUTES_MAX - minutes), minutes)
