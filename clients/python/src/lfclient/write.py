"""Writing: records are made, worked for and signed here, then posted."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .api import WORK_SECONDS_MAX, Answer, Ask, Op, Search, owner_status, post, post_json, status, wrong
from .errors import LfError, as_bytes, invalid
from .find import Find, Found, SelectorsLike, query
from .genesis import GenesisParameters
from .masking import VALUE_BYTES_MAX, mask_value
from .owner import Owner
from .pulse import PULSE_MINUTES_MAX, pulse_at, pulse_start
from .record import Record, build, sign
from .selector import Selector, format_selector, selectors_of
from .text import blob_from_json, blob_to_json, parse_hash
from .work import WORK_BYTES, WorkProgress, estimate_seconds, required_difficulty

WorkBy = Literal["node", "local", "none"]
"""Who does the work: a node that trusts us, this process (slow), or nobody."""
OnProgress = Callable[[WorkProgress], object]

_NETWORK_FRESH_SECONDS = 60.0
_LOCAL_SECONDS_MAX = 60.0


@dataclass(frozen=True)
class Written:
    """What became of a write."""

    kind: Literal["new", "unchanged", "pulsed"]
    hash: str
    """The record that now holds the value."""
    pulse: str | None = None
    """The pulse, `!…`, if that is what was written."""


@dataclass(frozen=True)
class Network:
    """What of the network matters to writers."""

    local_test: bool
    parameters: GenesisParameters


class NetworkCache:
    """What of the network was heard last, and when."""

    def __init__(self) -> None:
        self._heard: tuple[float, Network] | None = None

    def get(self) -> Op[Network]:
        """The network, asked for if what is known is not fresh."""
        heard = self._heard
        if heard is not None and time.monotonic() - heard[0] < _NETWORK_FRESH_SECONDS:
            return heard[1]
        told = yield from status()
        network = Network(told.get("LocalTestMode") is True, GenesisParameters.from_json(told.get("GenesisParameters")))
        self._heard = (time.monotonic(), network)
        return network


class Write:
    """A value to write, or a record to renew."""

    def __init__(
        self,
        selectors: SelectorsLike,
        value: bytes = b"",
        *,
        owner: Owner,
        masking_key: bytes | None = None,
        work: WorkBy | None = None,
        pulse: bool = False,
        on_progress: OnProgress | None = None,
    ) -> None:
        if not isinstance(owner, Owner):
            raise LfError("ErrPrivateKeyRequired", "writing takes an Owner, who has a private key")
        if work not in (None, "node", "local", "none"):
            raise invalid(f"work {work!r} must be 'node', 'local', 'none' or None")
        self.selectors = selectors_of(selectors)
        self.plain = [_plain(s) for s in self.selectors]
        self.value = as_bytes("value", value)
        self.owner = owner
        self.masking_key = None if masking_key is None else as_bytes("masking_key", masking_key)
        self.work = work
        self.pulse = pulse
        self.on_progress = on_progress

    def _situation(self, network: NetworkCache) -> Op[tuple[Network, _OwnerView, Found | None]]:
        now = yield from network.get()
        find = Find(self.selectors, masking_key=self.masking_key, owners=[self.owner], limit=1)
        sets = yield from query(find)
        told = yield from owner_status(self.owner.public)
        return now, _OwnerView(told), sets[0][0] if sets else None

    def set(self, cache: NetworkCache) -> Op[Written]:
        """Writes the value, unless the owner's newest record with these selectors holds it already."""
        network, view, existing = yield from self._situation(cache)
        if existing is not None and existing.value == self.value:
            if not self.pulse:
                return Written("unchanged", existing.hash)
            try:
                pulsed = yield from self._pulse(existing, view.time)
            except _NotPulsable:
                pulsed = None
            if pulsed is not None:
                return pulsed
        return (yield from self._new(self.value, network, view, existing))

    def renew(self, cache: NetworkCache) -> Op[Written]:
        """Pulses the owner's newest record with these selectors; one too old for that is written again."""
        network, view, existing = yield from self._situation(cache)
        if existing is None:
            raise LfError("ErrRecordNotFound", f"{self.owner.public} has no record with these selectors: set it first")
        pulsed = yield from self._pulse(existing, view.time)
        if pulsed is not None:
            return pulsed
        if existing.value is None:
            raise LfError(
                "ErrIncorrectKey", "the record is too old to be pulsed, and needs its masking key to be written again"
            )
        return (yield from self._new(existing.value, network, view, existing))

    def _pulse(self, existing: Found, now: int) -> Op[Written | None]:
        """None if the record is too old for pulses."""
        record = existing.record
        minutes = max(0, now - record.timestamp) // 60
        if minutes > PULSE_MINUTES_MAX:
            return None
        start = pulse_start(self.plain, record.timestamp, self.owner.private_hash())
        pulse = pulse_at(start, max(1, minutes))
        if pulse.token() != record.pulse_token:
            raise _NotPulsable(record)
        if minutes <= max(0, existing.pulse - record.timestamp) // 60:
            return Written("unchanged", existing.hash)
        answer = yield Ask("POST", "/pulse", pulse.encode(), "application/octet-stream")
        if answer.object().get("Accepted") is not True:
            raise LfError("ErrRefused", f"{answer.url} did not accept the pulse")
        return Written("pulsed", existing.hash, str(pulse))

    def _new(self, value: bytes, network: Network, view: _OwnerView, existing: Found | None) -> Op[Written]:
        parameters = network.parameters
        check_value(value, parameters.record_max_value_size, self.owner.public_bytes)
        free = network.local_test or view.certified
        if parameters.auth_required and not free:
            raise LfError(
                "ErrRecordCertificateRequired",
                f"this network requires a certificate, and {self.owner.public} has none that is valid",
            )
        timestamp = view.time
        if existing is not None:
            # Of two revisions of one second the larger hash counts, so ours must not be of the second of the old one.
            latest = view.time + parameters.record_max_time_drift
            timestamp = min(max(view.time, existing.timestamp + 1), latest)
        record = build(
            self.owner,
            timestamp=timestamp,
            value=value,
            selectors=self.plain,
            links=view.links,
            masking_key=self.masking_key,
        )
        work = b""
        if not free:
            difficulty = required_difficulty(record.billable_bytes, parameters.work_factor)
            work = yield from self._work(record, difficulty)
        record = sign(record, self.owner, work)
        yield from post(record)
        return Written("new", record.hash)

    def _work(self, record: Record, difficulty: int) -> Op[bytes]:
        if self.work == "none":
            raise LfError(
                "ErrRecordInsufficientWork",
                f"{self.owner.public} has no certificate, so the record needs proof of work",
            )
        if self.work in (None, "node"):
            try:
                return (yield from _work_by_node(record.work_hash, difficulty))
            except LfError as e:
                # A node that does not trust us, or does not know the request.
                if self.work == "node" or e.status not in (401, 403, 404, 405):
                    raise
        seconds = estimate_seconds(difficulty)
        if self.work is None and seconds > _LOCAL_SECONDS_MAX:
            raise LfError(
                "ErrRecordInsufficientWork",
                f"the node does no work for us, and here it would take about {seconds:,.0f} seconds:"
                " give the node's token, or work='local' to do it anyway",
            )
        if seconds > _LOCAL_SECONDS_MAX:
            warnings.warn(f"work of about {seconds:,.0f} seconds begins", RuntimeWarning, stacklevel=2)
        answer = yield Search(record.work_hash, difficulty, self.on_progress)
        return answer.body


def _work_by_node(work_hash: bytes, difficulty: int) -> Op[bytes]:
    request = {"WorkHash": blob_to_json(work_hash), "Difficulty": difficulty}
    answer: Answer = yield post_json("/v1/work", request, WORK_SECONDS_MAX)
    try:
        work = blob_from_json(answer.object().get("Work"), "work")
    except LfError as e:
        raise wrong(answer.url, e.message) from None
    if len(work) != WORK_BYTES or int.from_bytes(work[10:], "big") < difficulty:
        raise wrong(answer.url, "the work is not what was asked for")
    return work


class _OwnerView:
    """What a node says of an owner before a record is made."""

    def __init__(self, told: object) -> None:
        members = {str(k).lower(): v for k, v in told.items()} if isinstance(told, dict) else {}
        now, links = members.get("servertime"), members.get("newrecordlinks") or []
        if type(now) is not int or not 0 <= now < 2**63 or not isinstance(links, list):
            raise LfError("ErrWrongAnswer", "the node gave a wrong answer about the owner")
        self.time = now
        self.links = [parse_hash(link) for link in links]
        self.certified = members.get("hascurrentcertificate") is True


class _NotPulsable(LfError):
    def __init__(self, record: Record) -> None:
        super().__init__(
            "ErrInvalidParameter",
            f"record {record.hash} cannot be pulsed: it has no pulse token of this owner and these selectors",
        )


def _plain(selector: Selector) -> tuple[bytes, int]:
    if selector.first != selector.last:
        raise invalid(f"selector {format_selector(selector)!r} stands for several ordinals: write one, name#ORDINAL")
    return selector.name, selector.first


def check_value(value: bytes, bytes_max: int, owner: bytes) -> None:
    """Refuses a value that the network will not take, before any work is done for it."""
    if len(value) <= bytes_max:
        return
    stored = len(value) if len(value) > VALUE_BYTES_MAX else len(mask_value(value, 0, b"", owner)) - 2
    if stored > bytes_max:
        raise LfError(
            "ErrRecordValueTooLarge", f"value of {stored} bytes (as stored) is larger than this network's {bytes_max}"
        )
