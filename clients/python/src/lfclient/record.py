"""Records (PROTOCOL §7): reading and checking their canonical bytes, and making new ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from .errors import LfError, invalid, malformed
from .masking import mask_value, unmask_value
from .owner import Owner, owner_text, owner_type_of, signature_bytes, verify_owner
from .pulse import pulse_start, pulse_token
from .selector import CLAIM_BYTES, SELECTORS_MAX, Claim, Recovered, selector_name
from .text import blob_from_json, blob_to_json, hash_from_json, hash_text, owner_from_json

RECORD_BYTES_MAX = 65_536
LINKS_MAX = 15
WORK_BYTES = 14

DATUM, GENESIS, COMMENTARY, CERTIFICATE, CRL = range(5)
"""Record types."""

_HAS_VALUE, _HAS_TOKEN, _VALUE_IS_HASH = 1, 2, 4
_FLAGS_KNOWN = 0xFF7
_SIGNATURE_BYTES_MAX = 96
_U64 = 2**64


class _Reader:
    """Reads typed fields off bytes; every error names the field."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def take(self, count: int, what: str) -> bytes:
        end = self.position + count
        if end > len(self._data):
            raise malformed(f"record ends within its {what}")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def varint(self, what: str) -> int:
        """An unsigned LEB128 integer below 2⁶⁴ in its shortest form."""
        value = 0
        for i in range(10):
            (byte,) = self.take(1, what)
            value |= (byte & 0x7F) << (7 * i)
            if byte < 0x80:
                if (byte == 0 and i > 0) or value >= _U64:
                    break
                return value
        raise malformed(f"record has a {what} that is not canonical")

    def counted(self, maximum: int, what: str) -> bytes:
        length = self.varint(what)
        if length > maximum:
            raise malformed(f"record has a {what} of {length} bytes")
        return self.take(length, what)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@dataclass(frozen=True)
class Record:
    """A well-formed record. `decode` makes one of bytes, `build` makes new ones."""

    owner_bytes: bytes
    timestamp: int
    stored: bytes = b""
    """The value as stored, masked; empty without a value, and in proxy form."""
    value_hash: bytes | None = None
    """In proxy form, the SHA-384 of the stored value, or empty if there is none; else None."""
    link_hashes: tuple[bytes, ...] = ()
    pulse_token: int = 0
    type: int = DATUM
    selectors: tuple[Claim, ...] = ()
    work: bytes = b""
    """14 bytes, or none."""
    signature: bytes = field(default=b"", repr=False)

    @classmethod
    def decode(cls, data: bytes) -> Record:
        """Reads the canonical bytes of one record, with nothing after it."""
        record, used = cls.decode_first(data)
        if used != len(data):
            raise malformed(f"{len(data) - used} bytes follow the record")
        return record

    @classmethod
    def decode_first(cls, data: bytes) -> tuple[Record, int]:
        """Reads the first of several records in a row; also how many bytes it has."""
        record, used = cls.decode_any(data)
        if record.value_hash is not None:
            raise malformed("record has only the hash of its value")
        return record, used

    @classmethod
    def decode_any(cls, data: bytes) -> tuple[Record, int]:
        """Reads the first record in full or proxy form. Both give the same hashes."""
        r = _Reader(bytes(data))
        flags = r.varint("flags")
        if flags & ~_FLAGS_KNOWN:
            raise malformed(f"record has unknown flags {flags:#x}")
        stored, value_hash = b"", None
        if flags & _VALUE_IS_HASH:
            value_hash = r.take(48, "value hash") if flags & _HAS_VALUE else b""
        elif flags & _HAS_VALUE:
            stored = r.counted(RECORD_BYTES_MAX, "value")
            if not stored:
                raise malformed("record has an empty value")
        owner = r.counted(RECORD_BYTES_MAX, "owner")
        owner_type_of(owner)
        links = tuple(r.take(32, "links") for _ in range(flags >> 4 & 15))
        if any(a >= b for a, b in zip(links, links[1:])):
            raise malformed("record has links that are not in ascending order")
        timestamp = r.varint("timestamp")
        token = 0
        if flags & _HAS_TOKEN:
            token = int.from_bytes(r.take(8, "pulse token"), "big")
            if token == 0:
                raise malformed("record has a pulse token of zero")
        (counts,) = r.take(1, "selector count")
        if counts >> 4 > 1:
            raise LfError("ErrRecordUnsupportedAlgorithm", f"record has work of unknown algorithm {counts >> 4}")
        selectors = tuple(Claim.decode(r.take(CLAIM_BYTES, "selectors")) for _ in range(counts & 15))
        work = r.take(WORK_BYTES, "work") if counts >> 4 else b""
        signature = r.counted(_SIGNATURE_BYTES_MAX, "signature")
        if r.position > RECORD_BYTES_MAX:
            raise LfError("ErrRecordTooLarge", f"record of more than {RECORD_BYTES_MAX} bytes")
        record = cls(owner, timestamp, stored, value_hash, links, token, flags >> 8, selectors, work, signature)
        return record, r.position

    @classmethod
    def from_json(cls, value: object) -> Record:
        """Reads a record as the API writes it."""
        if not isinstance(value, dict):
            raise malformed("record must be a JSON object")
        m = {str(k).lower(): v for k, v in value.items()}
        if m.get("valuehash"):
            raise malformed("record has only the hash of its value")

        def number(name: str, maximum: int) -> int:
            n = m.get(name) or 0
            if type(n) is not int or not 0 <= n <= maximum:
                raise malformed(f"record's {name} is not a number from 0 to {maximum}")
            return n

        def rows(name: str, maximum: int) -> list[object]:
            row = m.get(name) or []
            if not isinstance(row, list) or len(row) > maximum:
                raise malformed(f"record's {name} are not a list of at most {maximum}")
            return row

        work = blob_from_json(m.get("work"), "work")
        if len(work) != (WORK_BYTES if number("workalgorithm", 1) else 0):
            raise malformed(f"record has work of {len(work)} bytes")
        record = cls(
            owner_from_json(m.get("owner")),
            number("timestamp", _U64 - 1),
            blob_from_json(m.get("value"), "value"),
            None,
            tuple(hash_from_json(link) for link in rows("links", LINKS_MAX)),
            number("pulsetoken", _U64 - 1),
            number("type", 15),
            tuple(Claim.from_json(claim) for claim in rows("selectors", SELECTORS_MAX)),
            work,
            blob_from_json(m.get("signature"), "signature"),
        )
        # Reading the bytes again checks what the members alone do not show.
        return cls.decode(record.encode())

    def to_json(self) -> dict[str, object]:
        """The record as the API writes it."""
        members: dict[str, object] = {
            "Value": blob_to_json(self.stored),
            "ValueHash": blob_to_json(self.value_hash or b""),
            "Owner": self.owner,
            "Links": self.links,
            "Timestamp": self.timestamp,
            "PulseToken": self.pulse_token,
            "Type": self.type,
            "Selectors": [claim.to_json() for claim in self.selectors],
            "Work": blob_to_json(self.work),
            "WorkAlgorithm": int(bool(self.work)),
            "Signature": blob_to_json(self.signature),
        }
        always = ("Owner", "Timestamp", "PulseToken", "Type", "WorkAlgorithm")
        return {name: v for name, v in members.items() if v or name in always}

    def _body(self, proxy: bool) -> bytes:
        has_value = bool(self.stored or self.value_hash)
        flags = _HAS_VALUE * has_value | _HAS_TOKEN * bool(self.pulse_token)
        flags |= len(self.link_hashes) << 4 | self.type << 8
        if proxy:
            flags |= _VALUE_IS_HASH
            digest = self.value_hash if self.value_hash is not None else hashlib.sha384(self.stored).digest()
            value = digest if has_value else b""
        else:
            value = _varint(len(self.stored)) + self.stored if has_value else b""
        token = self.pulse_token.to_bytes(8, "big") if self.pulse_token else b""
        owner = _varint(len(self.owner_bytes)) + self.owner_bytes
        return _varint(flags) + value + owner + b"".join(self.link_hashes) + _varint(self.timestamp) + token

    @cached_property
    def _claims(self) -> bytes:
        return b"".join(claim.encode() for claim in self.selectors)

    @property
    def _tail(self) -> bytes:
        head = bytes([(1 if self.work else 0) << 4 | len(self.selectors)])
        return head + self._claims + self.work + _varint(len(self.signature)) + self.signature

    def encode(self) -> bytes:
        """The canonical bytes."""
        return self._body(proxy=self.value_hash is not None) + self._tail

    def to_proxy(self) -> Record:
        """The same record with the hash of its value in the value's place; its hashes stay."""
        digest = hashlib.sha384(self.stored).digest() if self.stored else b""
        return self if self.value_hash is not None else replace(self, stored=b"", value_hash=digest)

    @cached_property
    def hash_bytes(self) -> bytes:
        """The record's hash, 32 bytes."""
        m = self._body(proxy=True) + self._tail
        return hashlib.sha256(m + hashlib.sha512(m).digest()).digest()

    @property
    def hash(self) -> str:
        """The record's hash, `=…`."""
        return hash_text(self.hash_bytes)

    @property
    def owner(self) -> str:
        """The owner, `@…`."""
        return owner_text(self.owner_bytes)

    @property
    def links(self) -> list[str]:
        """Hashes of the older records it links to, `=…`."""
        return [hash_text(link) for link in self.link_hashes]

    @cached_property
    def body_hash(self) -> bytes:
        """What claims are made for, 48 bytes."""
        return hashlib.sha384(self._body(proxy=True)).digest()

    @cached_property
    def work_hash(self) -> bytes:
        """What work is for, 48 bytes."""
        return hashlib.sha384(self.body_hash + self._claims).digest()

    @property
    def signed_digest(self) -> bytes:
        """What the owner signs, 48 bytes."""
        return hashlib.sha384(self.work_hash + self.work + bytes([bool(self.work)])).digest()

    @property
    def billable_bytes(self) -> int:
        """The bytes that work must pay for."""
        return len(self._body(proxy=False)) + CLAIM_BYTES * len(self.selectors)

    @property
    def difficulty(self) -> int:
        """The difficulty that the work claims; 0 without."""
        return int.from_bytes(self.work[10:], "big")

    def recover_selectors(self) -> list[Recovered]:
        """The ids and keys of its selectors; an error if a claim gives none."""
        return [claim.recover(self.body_hash) for claim in self.selectors]

    def id(self) -> bytes:
        """The hash of its selectors' ids, or its own hash if it has none: 32 bytes."""
        ids = b"".join(recovered.id for recovered in self.recover_selectors())
        return hashlib.sha256(ids).digest() if ids else self.hash_bytes

    def verify(self, strict: bool = False) -> list[Recovered]:
        """Checks the owner's signature and all claims, and gives the selectors' ids and keys.

        `strict` refuses the high form of ECDSA signatures. Work is checked by `lfclient.work.verify_work`.
        """
        if not verify_owner(self.owner_bytes, self.signed_digest, self.signature, strict):
            raise LfError("ErrRecordOwnerSignatureCheckFailed", f"record {self.hash} is not signed by its owner")
        return self.recover_selectors()

    def value(self, masking_key: bytes = b"") -> bytes:
        """The plain value; `ErrIncorrectKey` if the masking key does not fit."""
        return unmask_value(self.stored, self.timestamp, masking_key, self.owner_bytes)


def build(
    owner: Owner,
    *,
    timestamp: int,
    value: bytes = b"",
    selectors: Sequence[tuple[bytes, int]] = (),
    links: Sequence[bytes] = (),
    masking_key: bytes | None = None,
    with_pulse_token: bool = True,
    type: int = DATUM,
) -> Record:
    """Makes a record that lacks its work and signature: value masked, selectors claimed.

    `selectors` are plain names and ordinals. The masking key is the first name unless given.
    """
    link_hashes = tuple(sorted(set(links)))
    if len(link_hashes) > LINKS_MAX:
        raise LfError("ErrRecordTooManyLinks", f"{len(link_hashes)} links are more than the {LINKS_MAX} of a record")
    if any(len(link) != 32 for link in link_hashes):
        raise invalid("a link must have 32 bytes")
    if len(selectors) > SELECTORS_MAX:
        raise LfError(
            "ErrRecordTooManySelectors", f"{len(selectors)} selectors are more than the {SELECTORS_MAX} of a record"
        )
    if not 0 <= timestamp < _U64:
        raise invalid(f"timestamp {timestamp} is not a number of seconds since 1970")
    if not 0 <= type <= 15:
        raise invalid(f"record type {type} must be 0 to 15")
    if len(value) > RECORD_BYTES_MAX:
        raise _too_large(len(value))
    if masking_key is None:
        masking_key = selectors[0][0] if selectors else b""
    token = pulse_token(pulse_start(selectors, timestamp, owner.private_hash())) if with_pulse_token else 0
    record = Record(
        owner.public_bytes,
        timestamp,
        mask_value(value, timestamp, masking_key, owner.public_bytes),
        link_hashes=link_hashes,
        pulse_token=token,
        type=type,
    )
    body_hash = record.body_hash
    claims = tuple(selector_name(name).claim(body_hash, ordinal) for name, ordinal in selectors)
    record = replace(record, selectors=claims)
    size = len(record.encode()) + WORK_BYTES + signature_bytes(owner.type)
    if size > RECORD_BYTES_MAX:
        raise _too_large(size)
    return record


def sign(record: Record, owner: Owner, work: bytes = b"") -> Record:
    """Adds the work, if there is any, and signs."""
    if owner.public_bytes != record.owner_bytes:
        raise invalid("the record was made for another owner")
    worked = replace(record, work=work)
    return replace(worked, signature=owner.sign(worked.signed_digest))


def _too_large(size: int) -> LfError:
    return LfError("ErrRecordTooLarge", f"record would have {size} bytes, more than the {RECORD_BYTES_MAX} of a record")
