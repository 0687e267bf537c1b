"""Ordinals (PROTOCOL §5): numbers masked so that their order stays, and nothing else shows without the name."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_right

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from .errors import invalid, malformed

ORDINAL_MAX = 2**64 - 1

_ENTRIES = 16384
_MASK32 = 0xFFFFFFFF
_ZEROS = bytes(16 * (_ENTRIES // 4))


class _Column:
    """The alphabet of one 16-bit column, and the cipher that picks among the words of a value."""

    def __init__(self, key: bytes) -> None:
        cipher = algorithms.AES(key)
        self._encrypt = Cipher(cipher, modes.ECB()).encryptor().update
        block = bytes(16)
        while True:
            # b = AES(b), again and again, is CBC over zeros.
            stream = Cipher(cipher, modes.CBC(block)).encryptor().update(_ZEROS)
            words = [int.from_bytes(stream[i : i + 4], "little") for i in range(0, len(stream), 4)]
            table, used = _draw(words)
            block = stream[used - 16 : used]
            if table is not None:
                self.table = table
                # Only this half of the block matters from here on.
                self._tail = block[8:]
                return

    def gap(self, base: int) -> int:
        following = self.table[base + 1] if base + 1 < _ENTRIES else _MASK32
        return (following - self.table[base]) & _MASK32

    def word(self, digit: int, prefix: int) -> int:
        base = digit // 4
        step = self.gap(base) // 4
        if step == 0:
            raise ZeroDivisionError
        drawn = self._encrypt(prefix.to_bytes(8, "little") + self._tail)
        spread = int.from_bytes(drawn[:4], "little") % step
        return (self.table[base] + step * (digit % 4) + spread) & _MASK32

    def digit(self, word: int) -> int:
        base = bisect_right(self.table, word) - 1
        step = self.gap(base) // 4 if base >= 0 else 0
        quotient = (word - self.table[base]) // step if step else 4
        if quotient > 3:
            raise malformed("not an ordinal of this name")
        return 4 * base + quotient


def _draw(words: list[int]) -> tuple[array[int] | None, int]:
    """One attempt at an alphabet, from 16,384 words. Also how many bytes of them were used."""
    last = words[0] % 262143
    table = [last]
    for i in range(1, _ENTRIES):
        span = (_MASK32 - last) // (_ENTRIES - i)
        if span == 0:
            return None, 16 * (i // 4 + 1)
        last = (last + 1 + words[i] % span) & _MASK32
        table.append(last)
    for i in range(1, _ENTRIES):
        gap = (table[i] - table[i - 1]) & _MASK32
        if gap < 16 or gap > table[i]:
            table[i] = (table[i] + 16) & _MASK32
    used = 4 * _ENTRIES
    return (array("I", table), used) if table[-1] > table[0] else (None, used)


class OrdinalMask:
    """Masks ordinals under a name. Making one takes some 30 ms, using it microseconds."""

    def __init__(self, name: bytes) -> None:
        kh = hashlib.sha512(name).digest()
        self._columns = [_Column(kh[16 * k : 16 * k + 16]) for k in range(4)]

    def mask(self, value: int) -> bytes:
        """The 16 bytes of a value from 0 to 2⁶⁴ − 1."""
        if not 0 <= value <= ORDINAL_MAX:
            raise invalid(f"ordinal {value} is not a number from 0 to {ORDINAL_MAX}")
        words = []
        try:
            for k, column in enumerate(self._columns):
                below = 64 - 16 * k
                words.append(column.word(value >> (below - 16) & 0xFFFF, value >> below << below))
        except ZeroDivisionError:
            # One column in 10⁵ has a cell without room: there is no ordinal for it.
            raise invalid(f"ordinal {value} cannot be used with this name") from None
        return b"".join(word.to_bytes(4, "big") for word in words)

    def unmask(self, ordinal: bytes) -> int:
        """The value of 16 masked bytes; an error if they were not masked under this name."""
        if len(ordinal) != 16:
            raise malformed(f"ordinal of {len(ordinal)} bytes: must be 16")
        value = 0
        for k, column in enumerate(self._columns):
            value = value << 16 | column.digit(int.from_bytes(ordinal[4 * k : 4 * k + 4], "big"))
        return value
