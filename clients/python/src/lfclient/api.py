"""What goes over the wire: requests, answers, and the JSON of the API (API.md §1).

Operations are generators that yield what they need, an `Ask` or a `Search`, and are sent the answer. So there is one
of each, and `Client` and `AsyncClient` only differ in how they wait.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar, cast

from .errors import LfError, malformed, one_line
from .owner import owner_text, parse_owner
from .record import LINKS_MAX, Record
from .text import hash_text, parse_hash
from .work import WorkProgress

ANSWER_BYTES_MAX = 512 << 20
ERROR_BYTES_MAX = 64 << 10
CONNECT_SECONDS_MAX = 10.0
REQUEST_SECONDS_MAX = 60.0
WORK_SECONDS_MAX = 3600.0


@dataclass(frozen=True)
class Ask:
    """A request, the same for every URL."""

    method: str
    path: str
    body: bytes | None = None
    content_type: str = "application/json"
    seconds_max: float = REQUEST_SECONDS_MAX


@dataclass(frozen=True)
class Search:
    """A search for proof of work in this process."""

    work_hash: bytes
    difficulty: int
    on_progress: Callable[[WorkProgress], object] | None


@dataclass(frozen=True)
class Answer:
    """A node's answer, or the work that was found."""

    url: str
    body: bytes

    def json(self) -> Any:
        """The answer as JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise wrong(self.url, "it is not JSON") from None

    def object(self) -> dict[str, Any]:
        """The answer as a JSON object."""
        value = self.json()
        if not isinstance(value, dict):
            raise wrong(self.url, "it is not a JSON object")
        return value


T = TypeVar("T")
Op = Generator[Ask | Search, Answer, T]
"""An operation."""


@dataclass(frozen=True)
class Done(Generic[T]):
    """The result of an operation."""

    result: T


def advance(op: Op[T], answer: Answer | None, error: LfError | None) -> Ask | Search | Done[T]:
    """Goes on with an operation: what it needs next, or its result. Begins it if there is neither answer nor error."""
    try:
        if error is not None:
            return op.throw(error)
        return next(op) if answer is None else op.send(answer)
    except StopIteration as done:
        return Done(cast(T, done.value))


class OwnerStatus(TypedDict, total=False):
    """What a node knows of an owner, with the API's own names."""

    Owner: str
    OwnerType: str
    Certificates: list[Any]
    RevokedCertificates: list[Any]
    HasCurrentCertificate: bool
    AuthRequired: bool
    RecordCount: int
    RecordBytes: int
    NewRecordLinks: list[str]
    ServerTime: int


class NodeStatus(TypedDict, total=False):
    """How a node is, with the API's own names; nodes may tell more."""

    Software: str
    Version: list[int]
    APIVersion: int
    MinAPIVersion: int
    MaxAPIVersion: int
    Uptime: int
    Clock: int
    RecordCount: int
    DataSize: int
    FullySynchronized: bool
    GenesisRecords: str
    GenesisParameters: dict[str, Any]
    Oracle: str
    P2PPort: int
    LocalTestMode: bool
    Identity: str
    Peers: list[Any]


def wrong(url: str, problem: str) -> LfError:
    """An answer that is not what was asked for."""
    return LfError("ErrWrongAnswer", f"{url} gave a wrong answer: {one_line(problem)}")


def unreachable(url: str, problem: object) -> LfError:
    """No answer."""
    return LfError("ErrUnreachable", f"cannot reach {url}: {one_line(str(problem) or type(problem).__name__)}")


def refused(url: str, status: int, body: bytes) -> LfError:
    """A node's own words on why it refuses."""
    try:
        error = json.loads(body)
    except (ValueError, RecursionError):
        error = None
    told = {str(k).lower(): v for k, v in error.items()} if isinstance(error, dict) else {}
    name, message = told.get("errtypename"), told.get("message")
    if not isinstance(name, str) or not name:
        name = "ErrRecordNotFound" if status == 404 else "ErrRefused"
    if not isinstance(message, str) or not message:
        message = f"HTTP status {status}"
    return LfError(one_line(name), f"{url} refused: {one_line(message)}", status)


def is_passing(error: LfError) -> bool:
    """Whether another node may be better off."""
    return error.name == "ErrUnreachable" or error.status >= 500


def post_json(path: str, value: object, seconds_max: float = REQUEST_SECONDS_MAX) -> Ask:
    """A request with JSON."""
    return Ask("POST", path, json.dumps(value).encode(), seconds_max=seconds_max)


def status() -> Op[NodeStatus]:
    """How the node is."""
    answer = yield Ask("GET", "/status")
    return cast(NodeStatus, answer.object())


def owner_status(owner: str) -> Op[OwnerStatus]:
    """What the node knows of an owner."""
    owner = owner_text(parse_owner(owner))
    answer = yield Ask("GET", f"/owner/{owner}")
    return cast(OwnerStatus, answer.object())


def fetch_record(record_hash: str) -> Op[Record]:
    """A record by its hash, whatever the node says of it."""
    wanted = parse_hash(record_hash)
    answer = yield Ask("GET", f"/record/raw/{hash_text(wanted)}")
    try:
        record = Record.decode(answer.body)
    except LfError as e:
        raise wrong(answer.url, e.message) from None
    if record.hash_bytes != wanted:
        raise wrong(answer.url, f"record {record_hash} is really {record.hash}")
    return record


def links(count: int | None = None) -> Op[list[str]]:
    """Records that new ones should link to."""
    if count is not None and not 1 <= count <= LINKS_MAX:
        raise malformed(f"{count} links: ask for 1 to {LINKS_MAX}")
    answer = yield Ask("GET", "/links" if count is None else f"/links?count={count}")
    body = answer.body
    if len(body) % 32 or len(body) > 32 * LINKS_MAX:
        raise wrong(answer.url, f"links of {len(body)} bytes")
    return [hash_text(body[i : i + 32]) for i in range(0, len(body), 32)]


def post(record: Record) -> Op[Record]:
    """Publishes a record. One that the node has already is no error."""
    data = record.encode()
    # Nobody is bothered with what is no record.
    Record.decode(data)
    yield Ask("POST", "/post", data, "application/octet-stream")
    return record
