"""Reading: queries made of selectors, and answers that are checked and unmasked.

The node sees key ranges, never names. What it answers must decode, hash to what it says, be signed by its owner and lie
in the ranges asked for; one record that does not spoils the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .api import Op, post_json, wrong
from .errors import LfError, as_bytes, invalid, one_line
from .ordinal import ORDINAL_MAX
from .owner import Owner, owner_text, parse_owner
from .record import Record
from .selector import (
    Selector,
    SelectorLike,
    SelectorName,
    format_selector,
    selector_name,
    selectors_of,
)
from .text import base62_encode, base62_to_json, hash_from_json, owner_from_json

Order = Literal["trust", "weight", "timestamp", "deterministic"]
"""How records of a set are sorted, best first."""
OwnerLike = str | Owner
"""What methods take for an owner: `'@…'`, or an `Owner`."""
SelectorsLike = SelectorLike | Iterable[SelectorLike]
"""What methods take for selectors: one, or several in order."""

_ORDERS = ("trust", "weight", "timestamp", "deterministic")
_OWNERS_MAX = 256


@dataclass(frozen=True)
class FoundSelector:
    """A selector of a record that was found. Name and ordinal are None where the name is not known."""

    key: bytes
    name: bytes | None = None
    ordinal: int | None = None

    @property
    def text(self) -> str | None:
        """`name#ordinal`, if that is known."""
        if self.name is None or self.ordinal is None:
            return None
        return format_selector(Selector(self.name, self.ordinal, self.ordinal))

    def __str__(self) -> str:
        return self.text or "?" + base62_encode(self.key)


@dataclass(frozen=True)
class Explained:
    """What speaks for and against a candidate: the node's word (`/v1/explain`)."""

    age: int
    revisions: int
    reputation: int
    weight_share: float
    records_on_top: float
    difficulty: int
    certified: str
    denied_by: tuple[str, ...] = ()
    goes_on_for: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """A record that was found, checked and unmasked."""

    hash: str
    record: Record = field(repr=False)
    value: bytes | None
    """The plain value, empty if there is none; None if the masking key does not fit."""
    selectors: tuple[FoundSelector, ...]
    trust: float
    local_trust: float
    oracle_trust: float
    weight: int
    signed: bool
    """Whether the owner has a valid certificate at the record's time."""
    pulse: int
    """When the owner last renewed it: seconds since 1970, the timestamp if never."""
    size: int
    explained: Explained | None = field(default=None, repr=False)

    @property
    def owner(self) -> str:
        """The owner, `@…`."""
        return self.record.owner

    @property
    def timestamp(self) -> int:
        """When it was made, by its owner's word: seconds since 1970."""
        return self.record.timestamp

    @property
    def names(self) -> list[str | None]:
        """Its selectors as `name#ordinal`; None for one that was not asked for."""
        return [selector.text for selector in self.selectors]


@dataclass(frozen=True)
class ExplainedSet:
    """A result set, and why its winner wins."""

    candidates: list[Found]
    """All of them, the winner first; each with `explained`."""
    because: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Target:
    """What a query's range is made of, and its answers are checked with."""

    name: SelectorName
    first: bytes
    last: bytes


class Find:
    """What to look for, and the check of what was found."""

    def __init__(
        self,
        selectors: SelectorsLike,
        *,
        masking_key: bytes | None = None,
        owners: Sequence[OwnerLike] = (),
        order: Order = "trust",
        oracles: Sequence[OwnerLike] = (),
        limit: int = 0,
        open: bool = False,
        after: int | None = None,
        before: int | None = None,
        follow_rotations: bool = False,
    ) -> None:
        self.selectors = selectors_of(selectors)
        if order not in _ORDERS:
            raise LfError("ErrQueryInvalidSortOrder", f"order {order!r} must be one of {', '.join(_ORDERS)}")
        for what, number in (("limit", limit), ("after", after), ("before", before)):
            if number is not None and (type(number) is not int or not 0 <= number <= ORDINAL_MAX):
                raise invalid(f"{what} {number!r} must be a number that is not negative")
        self.targets = []
        for s in self.selectors:
            name = selector_name(s.name)
            self.targets.append(_Target(name, *name.key_range(s.first, s.last)))
        self.masking_key = self.selectors[0].name if masking_key is None else as_bytes("masking_key", masking_key)
        self.owners = owners_of(owners)
        self.order = order
        self.oracles = owners_of(oracles)
        self.limit = limit
        self.open = open
        self.after = after
        self.before = before
        self.follow_rotations = follow_rotations

    def query(self) -> dict[str, object]:
        """The query as the node gets it."""
        ranges = []
        for target in self.targets:
            keys = [target.first] if target.first == target.last else [target.first, target.last]
            ranges.append({"KeyRange": [base62_to_json(key) for key in keys]})
        query: dict[str, object] = {"Ranges": ranges}
        if self.before is not None:
            query["TimeRange"] = [self.after or 0, self.before]
        elif self.after is not None:
            query["TimeRange"] = [self.after]
        if self.owners:
            query["Owners"] = [owner_text(owner) for owner in self.owners]
        if self.oracles:
            query["Oracles"] = [owner_text(oracle) for oracle in self.oracles]
        if self.order != "trust":
            query["SortOrder"] = self.order
        if self.limit:
            query["Limit"] = self.limit
        if self.open:
            query["Open"] = True
        if self.follow_rotations:
            query["FollowRotations"] = True
        return query

    def is_wanted(self, record: Record) -> bool:
        """Whether owner and time are among those asked for."""
        timely = (self.after or 0) <= record.timestamp <= (ORDINAL_MAX if self.before is None else self.before)
        return timely and (not self.owners or record.owner_bytes in self.owners)

    def read(self, result: object) -> tuple[Record, dict[str, Any]]:
        """The record of a result, and the result's other members, not checked yet."""
        if not isinstance(result, dict):
            raise LfError("ErrWrongAnswer", "a result is not a JSON object")
        members = {str(k).lower(): v for k, v in result.items()}
        record = Record.from_json(members.get("record"))
        if record.hash_bytes != hash_from_json(members.get("hash")):
            raise LfError("ErrWrongAnswer", f"record {members.get('hash')} is really {record.hash}")
        return record, members

    def check(self, result: object) -> Found:
        """Checks a result. The error says what is wrong with it."""
        record, members = self.read(result)
        recovered = record.verify()
        enough = len(recovered) >= len(self.targets) if self.open else len(recovered) == len(self.targets)
        if not enough or not all(t.first <= r.key <= t.last for t, r in zip(self.targets, recovered)):
            raise LfError("ErrWrongAnswer", f"record {record.hash} does not have the selectors asked for")
        if not self.is_wanted(record):
            raise LfError("ErrWrongAnswer", f"record {record.hash} is of an owner or a time not asked for")
        selectors = []
        for i, (claim, r) in enumerate(zip(record.selectors, recovered)):
            if i >= len(self.targets):
                selectors.append(FoundSelector(r.key))
                continue
            name = self.targets[i].name
            try:
                selectors.append(FoundSelector(r.key, name.name, name.mask.unmask(claim.ordinal)))
            except LfError:
                selectors.append(FoundSelector(r.key, name.name))
        value: bytes | None
        try:
            value = record.value(self.masking_key)
        except LfError:
            value = None
        return Found(
            record.hash,
            record,
            value,
            tuple(selectors),
            _float(members, "trust"),
            _float(members, "localtrust"),
            _float(members, "oracletrust"),
            _weight(members.get("weight")),
            members.get("signed") is True,
            _int(members, "pulse"),
            _int(members, "size"),
        )


def _float(members: dict[str, Any], name: str) -> float:
    value = members.get(name, 0)
    if type(value) not in (int, float) or not abs(value) < 1e300:
        raise LfError("ErrWrongAnswer", f"{name} of a result is not a number")
    return float(value)


def _int(members: dict[str, Any], name: str) -> int:
    value = members.get(name) or 0
    if type(value) is not int or not 0 <= value <= ORDINAL_MAX:
        raise LfError("ErrWrongAnswer", f"{name} of a result is not a number")
    return value


def _weight(words: object) -> int:
    if not isinstance(words, list) or not all(type(w) is int and 0 <= w < 2**32 for w in words) or len(words) != 4:
        raise LfError("ErrWrongAnswer", "weight of a result is not four words")
    return int.from_bytes(b"".join(w.to_bytes(4, "big") for w in words), "big")


def owners_of(given: Iterable[OwnerLike]) -> list[bytes]:
    """The public bytes of owners, as text or not."""
    several = [given] if isinstance(given, (str, Owner)) else list(given)
    if len(several) > _OWNERS_MAX:
        raise invalid(f"{len(several)} owners are more than the {_OWNERS_MAX} that a query can name")
    return [o.public_bytes if isinstance(o, Owner) else parse_owner(o) for o in several]


def _rows(value: object) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise LfError("ErrWrongAnswer", "it has something else where a list belongs")
    return value


def query(find: Find) -> Op[list[list[Found]]]:
    """Looks for records: sets of records with the same selector keys, the best of each first."""
    answer = yield post_json("/query", find.query())
    given = answer.json()
    try:
        sets = [[find.check(result) for result in _rows(results)] for results in _rows(given)]
    except LfError as e:
        raise wrong(answer.url, e.message) from None
    return [found for found in sets if found]


def explain(find: Find) -> Op[list[ExplainedSet]]:
    """Looks for records and for why they count. What the node says of them is its word."""
    answer = yield post_json("/v1/explain", find.query())
    given = answer.object()
    try:
        sets = [_explained_set(find, explained) for explained in _rows(given.get("Sets"))]
    except LfError as e:
        raise wrong(answer.url, e.message) from None
    return [explained for explained in sets if explained.candidates]


def _explained_set(find: Find, given: object) -> ExplainedSet:
    if not isinstance(given, dict):
        raise LfError("ErrWrongAnswer", "a set is not a JSON object")
    return ExplainedSet(
        [_candidate(find, candidate) for candidate in _rows(given.get("Candidates"))],
        one_line(str(given.get("Because", ""))),
        tuple(one_line(str(warning)) for warning in _rows(given.get("Warnings"))),
    )


def _candidate(find: Find, candidate: object) -> Found:
    if not isinstance(candidate, dict):
        raise LfError("ErrWrongAnswer", "a candidate is not a JSON object")
    members = {str(k).lower(): v for k, v in candidate.items()}
    explained = Explained(
        _int(members, "age"),
        _int(members, "revisions"),
        _int(members, "reputation"),
        _float(members, "weightshare"),
        _float(members, "recordsontop"),
        _int(members, "difficulty"),
        one_line(str(members.get("certified", ""))),
        _owner_texts(members.get("deniedby")),
        _owner_texts(members.get("goesonfor")),
    )
    return replace(find.check(members.get("result")), explained=explained)


def _owner_texts(given: object) -> tuple[str, ...]:
    return tuple(owner_text(owner_from_json(owner)) for owner in _rows(given))
