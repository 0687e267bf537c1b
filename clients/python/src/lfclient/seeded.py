"""Deterministic randomness (PROTOCOL §2): the same seed gives the same keys, everywhere."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


class SeededRng:
    """AES-256 in counter mode, with a little-endian counter that begins at 1, under a key made of the seed."""

    def __init__(self, seed: bytes) -> None:
        key = bytearray(hashlib.sha256(seed).digest())
        key[8] = (key[8] + 1) % 256
        self._cipher = Cipher(algorithms.AES(bytes(key)), modes.ECB()).encryptor()
        self._counter = 0
        self._left = b""

    def read(self, count: int) -> bytes:
        """The next bytes of the stream."""
        missing = max(0, count - len(self._left))
        first = self._counter + 1
        self._counter += (missing + 15) // 16
        counters = b"".join(i.to_bytes(16, "little") for i in range(first, self._counter + 1))
        data = self._left + self._cipher.update(counters)
        self._left = data[count:]
        return data[:count]


def draw_scalar(rng: SeededRng, order: int) -> int:
    """A private scalar in [1, order − 1]."""
    k = int.from_bytes(rng.read(order.bit_length() // 8 + 8), "big")
    return k % (order - 1) + 1
