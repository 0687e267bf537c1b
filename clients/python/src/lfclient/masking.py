"""Value masking (PROTOCOL §7): values are compressed, checked by a CRC and encrypted with a key that readers know."""

from __future__ import annotations

import hashlib

import brotli
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from .errors import LfError

try:
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
except ImportError:  # older than 47
    from cryptography.hazmat.primitives.ciphers.modes import CFB

VALUE_BYTES_MAX = 65_536
"""Decompression stops here."""
_COMPRESS_BYTES_MIN = 25


def cfb128(key: bytes, iv: bytes) -> Cipher[CFB]:
    """AES-256-CFB128."""
    return Cipher(algorithms.AES(key), CFB(iv))


def _crc16_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
        table.append(crc & 0xFFFF)
    return table


_CRC16 = _crc16_table()


def crc16(data: bytes) -> int:
    """CRC-16/XMODEM."""
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFF00) ^ _CRC16[crc >> 8 ^ byte]
    return crc


def _cipher(timestamp: int, key: bytes, owner: bytes) -> Cipher[CFB]:
    k = hashlib.sha384(timestamp.to_bytes(8, "big") + key + owner).digest()
    return cfb128(k[:32], k[32:])


def mask_value(value: bytes, timestamp: int, key: bytes, owner: bytes) -> bytes:
    """The stored form of a plain value; empty for an empty value. `owner` is its public bytes."""
    if not value:
        return b""
    payload, flag = value, 0
    if len(value) >= _COMPRESS_BYTES_MIN:
        compressed = brotli.compress(value, quality=11, lgwin=16)
        if len(compressed) < len(value):
            payload, flag = compressed, 1
    plain = (crc16(payload) & 0xFFFC | flag).to_bytes(2, "big") + payload
    encryptor = _cipher(timestamp, key, owner).encryptor()
    return encryptor.update(plain) + encryptor.finalize()


def unmask_value(stored: bytes, timestamp: int, key: bytes, owner: bytes) -> bytes:
    """The plain value of a stored one: `ErrIncorrectKey` if the key does not fit."""
    if len(stored) < 2:
        return b""
    decryptor = _cipher(timestamp, key, owner).decryptor()
    return unwrap_plain(decryptor.update(stored) + decryptor.finalize())


def unwrap_plain(plain: bytes) -> bytes:
    """Reads the decrypted form: CRC and compression flag, then the payload."""
    head, payload = int.from_bytes(plain[:2], "big"), plain[2:]
    if head & 0xFFFC != crc16(payload) & 0xFFFC:
        raise LfError("ErrIncorrectKey", "the masking key does not fit this value")
    return _decompress(payload) if head & 3 == 1 else payload


def _decompress(payload: bytes) -> bytes:
    """Drops what is beyond `VALUE_BYTES_MAX`. A truncated stream gives what it has, bytes after it are an error."""
    damaged = LfError("ErrInvalidObject", "the value's compressed form is damaged")
    stream = brotli.Decompressor()
    try:
        out: bytes = stream.process(payload, output_buffer_limit=VALUE_BYTES_MAX)
        while len(out) < VALUE_BYTES_MAX and not stream.can_accept_more_data():
            out += stream.process(b"", output_buffer_limit=VALUE_BYTES_MAX)
    except brotli.error:
        raise damaged from None
    return out[:VALUE_BYTES_MAX]
