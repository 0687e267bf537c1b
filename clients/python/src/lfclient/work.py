"""Proof of work (PROTOCOL §8): what it costs, checking it, and a plain search.

The search is the algorithm itself in one thread of Python: minutes for what a node's eight lanes do in a second. It is
there for when no node can be asked.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import struct
import threading
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from .errors import LfError, malformed
from .masking import cfb128

COST_MAX = 0x0F7B0000
SCORE_WITHOUT_WORK = 0x000FFFFF
TABLE_BYTES = 1 << 27
WORK_BYTES = 14
HASHES_PER_SECOND = 20_000
"""What estimates assume, of one thread."""

_TABLE_SEED = b"My hovercraft is full of eels!"
_LONG_SEQUENCE = (0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1)
_U64 = 2**64 - 1
_SLOTS_BITS_MAX = 24
_REPORT_HASHES = 4096


def isqrt_rounded(n: int) -> int:
    """The square root, rounded to the nearest integer."""
    s = math.isqrt(n)
    return s + 1 if n - s * s > s else s


def cost(billable_bytes: int) -> int:
    """The difficulty that work for so many bytes must have."""
    if billable_bytes < 4:
        return billable_bytes + 1
    b = 3 * min(billable_bytes, 65_536)
    return min(isqrt_rounded(b) * b * 3 - 8 * b, 0xFFFFFFFF)


def required_difficulty(billable_bytes: int, work_factor: int) -> int:
    """`cost`, times the network's factor."""
    return min(cost(billable_bytes) * max(1, work_factor), COST_MAX)


def score(difficulty: int) -> int:
    """What work of a difficulty adds to weights."""
    if difficulty > COST_MAX:
        return 0xFFFFA8DB
    return 16 * difficulty + difficulty // 10_000 * 5369 if difficulty else 1


_table_lock = threading.Lock()
_table: bytes | None = None


def work_table() -> bytes:
    """The table of 128 MiB, made at the first call within seconds, and kept."""
    global _table
    with _table_lock:
        if _table is None:
            _table = _make_table()
        return _table


def _make_table() -> bytes:
    table = bytearray(TABLE_BYTES)
    table[: len(_TABLE_SEED)] = _TABLE_SEED
    piece = 1 << 20
    for _ in range(4):
        h = hashlib.sha512(table).digest()
        stream = cfb128(h[:32], h[32:48]).encryptor()
        for _ in range(2):
            for start in range(0, TABLE_BYTES, piece):
                table[start : start + piece] = stream.update(bytes(table[start : start + piece]))
    return bytes(table)


class WorkHasher:
    """The hash F for one work input."""

    def __init__(self, work_input: bytes) -> None:
        keys = hashlib.sha512(work_input).digest()
        self._e0 = Cipher(algorithms.AES(keys[:32]), modes.ECB()).encryptor().update
        self._e1 = Cipher(algorithms.AES(keys[32:]), modes.ECB()).encryptor().update

    @cached_property
    def _table(self) -> bytes:
        return work_table()

    def hash(self, x: bytes, with_table: bool = True) -> int | None:
        """F(x). None if that takes a pass over the whole table and `with_table` is false."""
        e0, e1, table = self._e0, self._e1, self._table
        from_bytes = int.from_bytes
        t = e1(e0(x))
        md5 = hashlib.md5(x + t, usedforsecurity=False)
        absorb = md5.update
        for _ in range(1 + t[0] % 6):
            for encrypt in (e0, e1):
                for shift in range(0, 64, 8):
                    state = from_bytes(t, "little")
                    t = encrypt((state ^ table[state & 0x7FFFFFF] << shift).to_bytes(16, "little"))
                absorb(t)
            branch = t[0] % 8
            if branch == 0:
                absorb(t)
            elif branch == 1:
                absorb(x + t + x + t)
            elif branch == 2:
                t = e0(t)
            elif branch == 3:
                t = e0(e1(t))
            elif branch == 4:
                for which in _LONG_SEQUENCE if t[1] == 253 else (1, 0, 1, 1, 0):
                    t = e1(t) if which else e0(t)
            elif branch == 5:
                t = e1(t)
                absorb(t)
                t = e0(e1(e0(t)))
                if t[0] == 3:
                    t = e1(t)
                else:
                    t = e0(t)
                    absorb(t)
                    t = e0(t)
            elif branch == 6:
                total, sums = 0, bytearray(16)
                for i, byte in enumerate(t):
                    sums[i] = total = (total + byte) & 0xFF
                t = bytes(sums)
            else:
                low, high = struct.unpack("<QQ", t)
                t = struct.pack("<QQ", (low + low // (high | 1)) & _U64, high)
            absorb(t)
            if t[1] == 17 and t[7] < 7 and t[13] > 251:
                if not with_table:
                    return None
                absorb(table)
        m = md5.digest()
        return from_bytes(m[:8], "little") ^ from_bytes(m[8:], "little")


def _input(collider: int) -> bytes:
    return collider.to_bytes(8, "big") + bytes(8)


def _modulus(difficulty: int) -> int:
    return difficulty << 29 | 0x1FFFFFFF


def verify_work(work_input: bytes, work: bytes) -> int:
    """The difficulty of 14 bytes of work for a record's work hash; 0 if it does not verify.

    Uses the table: 128 MiB, and seconds the first time.
    """
    if len(work) != WORK_BYTES:
        raise malformed(f"work of {len(work)} bytes: must be {WORK_BYTES}")
    a, b = int.from_bytes(work[:5], "big"), int.from_bytes(work[5:10], "big")
    difficulty = int.from_bytes(work[10:], "big")
    if difficulty == 0 or a == b:
        return 0
    hasher = WorkHasher(work_input)
    left, right = hasher.hash(_input(a)), hasher.hash(_input(b))
    if left is None or right is None:
        return 0
    modulus = _modulus(difficulty)
    return difficulty if left % modulus == right % modulus else 0


def expected_hashes(difficulty: int) -> int:
    """How many hashes a search takes on average."""
    return int(math.sqrt(math.pi / 2 * _modulus(difficulty)))


def estimate_seconds(difficulty: int) -> float:
    """How long a search in this process takes on average, roughly."""
    return expected_hashes(difficulty) / HASHES_PER_SECOND


@dataclass(frozen=True)
class WorkProgress:
    """How a search goes."""

    hashes: int
    expected: int
    seconds: float


def search_work(
    work_input: bytes,
    difficulty: int,
    on_progress: Callable[[WorkProgress], object] | None = None,
) -> bytes:
    """Searches for work: 14 bytes. `on_progress` stops it by returning False."""
    if not 1 <= difficulty <= 0xFFFFFFFF:
        raise malformed(f"difficulty {difficulty} must be 1 to {0xFFFFFFFF}")
    hasher = WorkHasher(work_input)
    modulus, expected = _modulus(difficulty), expected_hashes(difficulty)
    # Each slot keeps the last residue that came there: with four times as many slots as hashes few are lost.
    bits = min(_SLOTS_BITS_MAX, (4 * expected).bit_length())
    mask = (1 << bits) - 1
    residues, colliders = array("Q", bytes(8 << bits)), array("Q", bytes(8 << bits))
    collider = secrets.randbits(39)
    begun, hashes = time.monotonic(), 0
    while True:
        collider = collider + 1 & 0xFFFFFFFFFF
        value = hasher.hash(_input(collider), with_table=False)
        hashes += 1
        if value is not None:
            residue = value % modulus
            slot = (residue * 0x9E3779B97F4A7C15 >> 20) & mask
            # Residues are kept plus one: 0 is an empty slot.
            if residues[slot] == residue + 1 and colliders[slot] != collider:
                pair = colliders[slot].to_bytes(5, "big") + collider.to_bytes(5, "big")
                return pair + difficulty.to_bytes(4, "big")
            residues[slot], colliders[slot] = residue + 1, collider
        if hashes % _REPORT_HASHES == 0 and on_progress is not None:
            if on_progress(WorkProgress(hashes, expected, time.monotonic() - begun)) is False:
                raise LfError("ErrStopped", "the work was stopped")
