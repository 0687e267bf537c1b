"""Server-sent events: what `/v1/watch` streams."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from .errors import LfError
from .find import Find, Found

LINE_BYTES_MAX = 1 << 20
"""A longer line ends the stream: a record as JSON is smaller."""
SILENCE_SECONDS_MAX = 90.0
"""Nodes say something more often than that."""
BACKOFF_SECONDS_MAX = 30.0


@dataclass(frozen=True)
class Event:
    """One event."""

    kind: str = ""
    id: str | None = None
    data: str = ""


class EventParser:
    """Turns bytes into events as they come."""

    def __init__(self) -> None:
        self._rest = b""
        self._kind = ""
        self._id: str | None = None
        self._data: list[str] = []
        self._size = 0
        self.begins_at: int | None = None
        """The index of the record from which the node watches, if it has said so."""

    def feed(self, data: bytes) -> list[Event]:
        """The events that are complete with these bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_BYTES_MAX:
            raise LfError("ErrWrongAnswer", "a line of the stream is too long")
        events = []
        for line in lines:
            event = self._line(line.removesuffix(b"\r"))
            if event is not None:
                events.append(event)
        return events

    def _line(self, line: bytes) -> Event | None:
        if not line:
            event = Event(self._kind, self._id, "\n".join(self._data)) if self._data else None
            self._kind, self._data, self._size = "", [], 0
            return event
        self._size += len(line)
        if self._size > LINE_BYTES_MAX:
            raise LfError("ErrWrongAnswer", "an event of the stream is too long")
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._kind = value
        elif name == "id":
            self._id = value
        elif name == "":
            self._size -= len(line)
            hello = re.fullmatch(r"watching from ([0-9]{1,10})", value)
            if hello is not None:
                self.begins_at = int(hello[1])
        return None


class WatchState:
    """Where a watcher is: what it asks for when it connects, and what it makes of events."""

    def __init__(self, find: Find) -> None:
        self.body = json.dumps(find.query()).encode()
        self._find = find
        self._parser = EventParser()
        self._url = ""
        self._next: int | None = None
        self.failures = 0

    def headers(self, url: str) -> dict[str, str]:
        """The headers of the next connection."""
        headers = {"Accept": "text/event-stream", "Content-Type": "application/json"}
        # Places are those of one node's own database.
        if url == self._url and self._next:
            headers["Last-Event-ID"] = str(self._next - 1)
        return headers

    def connected(self, url: str) -> None:
        """A new connection begins."""
        if url != self._url:
            self._url, self._next = url, None
        self._parser = EventParser()

    def feed(self, data: bytes) -> list[Event]:
        """The events that are complete with these bytes."""
        events = self._parser.feed(data)
        if self._next is None:
            self._next = self._parser.begins_at
        return events

    def take(self, event: Event) -> Found | None:
        """The record of an event, checked, if it is one that is asked for."""
        self.failures = 0
        if event.id is not None and re.fullmatch("[0-9]{1,10}", event.id):
            self._next = int(event.id) + 1
        if event.kind not in ("", "message", "record"):
            return None
        try:
            result = json.loads(event.data)
        except (ValueError, RecursionError):
            raise LfError("ErrWrongAnswer", "an event is not JSON") from None
        record, _ = self._find.read(result)
        return self._find.check(result) if self._find.is_wanted(record) else None

    def backoff_seconds(self) -> float:
        """How long to wait before the next attempt."""
        self.failures += 1
        return min(BACKOFF_SECONDS_MAX, 0.25 * 2.0 ** min(self.failures, 10))
