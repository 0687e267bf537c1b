"""Genesis (PROTOCOL §10): a network's parameters, how they are amended, and the file that starts a network."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from .errors import invalid, malformed
from .record import GENESIS, LINKS_MAX, RECORD_BYTES_MAX, Record
from .text import blob_from_json, blob_to_json

AMENDABLE = (
    "name",
    "contact",
    "comment",
    "authcertificates",
    "authrequired",
    "recordminlinks",
    "recordmaxvaluesize",
    "recordmaxtimedrift",
    "strictsignatures",
    "workfactor",
)
_BYTES_MAX = 16 * RECORD_BYTES_MAX


def _member(name: str, default: Any) -> Any:
    return field(default=default, metadata={"member": name})


@dataclass(frozen=True)
class GenesisParameters:
    """A network's parameters. Absent ones are empty, 0 or false."""

    id: bytes = _member("ID", bytes(32))
    amendable_fields: tuple[str, ...] = _member("AmendableFields", ())
    name: str = _member("Name", "")
    contact: str = _member("Contact", "")
    comment: str = _member("Comment", "")
    auth_certificates: bytes = _member("AuthCertificates", b"")
    revoked_auth_certificates: bytes = _member("RevokedAuthCertificates", b"")
    auth_required: bool = _member("AuthRequired", False)
    record_min_links: int = _member("RecordMinLinks", 0)
    record_max_value_size: int = _member("RecordMaxValueSize", 0)
    record_max_time_drift: int = _member("RecordMaxTimeDrift", 0)
    strict_signatures: bool = _member("StrictSignatures", False)
    work_factor: int = _member("WorkFactor", 0)

    @classmethod
    def parse(cls, text: bytes) -> GenesisParameters:
        """Reads the JSON of a genesis record."""
        try:
            value = json.loads(text.decode("utf-8"))
        except (ValueError, RecursionError):
            raise malformed("genesis parameters are not JSON") from None
        return cls.from_json(value)

    @classmethod
    def from_json(cls, value: object) -> GenesisParameters:
        """Reads parameters: names in any letter case, unknown ones ignored, a wrong type is an error."""
        if value is None:
            return cls()
        if not isinstance(value, dict):
            raise malformed("genesis parameters must be a JSON object")
        members = {str(k).lower(): v for k, v in value.items()}
        found: dict[str, Any] = {}
        for f in fields(cls):
            member = f.metadata["member"]
            given = members.get(member.lower())
            if given is None:
                continue
            found[f.name] = _read(member, given, f.default)
        return cls(**found)

    def to_json(self) -> dict[str, object]:
        """As genesis records hold them."""
        out: dict[str, object] = {}
        always = ("ID", "AuthRequired", "RecordMinLinks", "RecordMaxValueSize", "RecordMaxTimeDrift")
        for f in fields(self):
            member, value = f.metadata["member"], getattr(self, f.name)
            if member == "ID":
                value = list(value)
            elif isinstance(value, bytes):
                value = blob_to_json(value)
            elif isinstance(value, tuple):
                value = list(value)
            if value or member in always:
                out[member] = value
        return out

    def amend(self, text: bytes) -> GenesisParameters:
        """After a later genesis record's JSON: every amendable field as that says, absent ones empty."""
        if not text:
            return self
        new = self.parse(text)
        amended: dict[str, Any] = {}
        by_name = {f.metadata["member"].lower(): f.name for f in fields(self)}
        for given in self.amendable_fields:
            member = given.lower()
            if member in ("authcertificates", "revokedauthcertificates"):
                amended["auth_certificates"] = new.auth_certificates
                amended["revoked_auth_certificates"] = new.revoked_auth_certificates
            elif member in AMENDABLE:
                amended[by_name[member]] = getattr(new, by_name[member])
        return replace(self, **amended)


def _read(member: str, given: object, default: object) -> object:
    wrong = malformed(f"genesis parameter {member} is of a wrong type")
    if member == "ID":
        if not isinstance(given, list) or not all(type(n) is int and 0 <= n <= 255 for n in given):
            raise wrong
        return bytes(given[:32]).ljust(32, b"\0")
    if isinstance(default, bytes):
        return blob_from_json(given, member)
    if isinstance(default, tuple):
        if not isinstance(given, list) or not all(isinstance(n, str) for n in given):
            raise wrong
        return tuple(given)
    if type(given) is not type(default) or (type(given) is int and not 0 <= given < 2**64):
        raise wrong
    return given


def amendable_names(names: Iterable[str]) -> list[str]:
    """The names of fields that a new network makes amendable: checked, trimmed, in lower case."""
    checked = []
    for given in names:
        name = given.strip().lower()
        name = "recordmaxtimedrift" if name == "recordmaxforwardtimedrift" else name
        if name not in AMENDABLE:
            raise invalid(f"no field named {name!r} can be amendable; there are: {', '.join(AMENDABLE)}")
        checked.append(name)
    return checked


@dataclass(frozen=True)
class Genesis:
    """A network's start: the records of genesis.lf, checked, and the parameters of the first."""

    records: tuple[Record, ...]
    parameters: GenesisParameters

    @classmethod
    def parse(cls, file: bytes) -> Genesis:
        """Reads genesis.lf: records of one owner, signed, each linking to ones before it. Work is not checked."""
        if len(file) > _BYTES_MAX:
            raise malformed(f"genesis file has {len(file)} bytes, more than {_BYTES_MAX}")
        records: list[Record] = []
        known: set[bytes] = set()
        position = 0
        while position < len(file):
            index = len(records)
            record, used = Record.decode_first(file[position : position + RECORD_BYTES_MAX + 1])
            position += used
            if record.type != GENESIS:
                raise malformed(f"genesis record {index} is not of type genesis")
            if records and records[0].owner_bytes != record.owner_bytes:
                raise malformed(f"genesis record {index} has another owner than the first")
            if record.selectors:
                raise malformed(f"genesis record {index} has selectors")
            if not known.issuperset(record.link_hashes) or (index > 0 and not record.link_hashes):
                raise malformed(f"genesis record {index} does not link to the records before it")
            record.verify()
            known.add(record.hash_bytes)
            records.append(record)
        if not records:
            raise malformed("genesis file has no records")
        parameters = GenesisParameters.parse(records[0].value())
        needed = max(1, min(parameters.record_min_links, LINKS_MAX))
        if len(records) < needed:
            raise malformed(f"genesis file has {len(records)} records where the network needs {needed}")
        return cls(tuple(records), parameters)

    @property
    def owner(self) -> str:
        """The owner of all genesis records, `@…`."""
        return self.records[0].owner

    def encode(self) -> bytes:
        """The file's bytes."""
        return b"".join(record.encode() for record in self.records)
