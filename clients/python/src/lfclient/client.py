"""The client that waits: `Client`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType

import httpx

from . import api
from . import find as ops
from .api import ANSWER_BYTES_MAX, ERROR_BYTES_MAX, Answer, Ask, Done, NodeStatus, Op, OwnerStatus, Search, T
from .errors import LfError
from .events import SILENCE_SECONDS_MAX, Event, WatchState
from .find import ExplainedSet, Find, Found, Order, OwnerLike, SelectorsLike
from .owner import Owner
from .record import Record
from .transport import Urls, headers_of, no_answer
from .work import search_work
from .write import NetworkCache, OnProgress, WorkBy, Write, Written


class Client:
    """Reads and writes LF by one of several nodes: the next one when one does not answer.

    Keys, names and masking keys stay here. `token` is what a node has in its `authtoken.secret`, for what it does only
    for who it trusts; every node of `urls` gets it. `http` takes the place of our own `httpx.Client`, for proxies or
    certificate authorities of yours. Can be used from several threads.
    """

    def __init__(
        self, urls: str | Sequence[str], token: str | None = None, *, http: httpx.Client | None = None
    ) -> None:
        self._urls = Urls(urls)
        self._headers = headers_of(token)
        self._network = NetworkCache()
        self._owns_http = http is None
        # No proxies and no .netrc of the environment: what goes where is said here.
        self._http = httpx.Client(trust_env=False) if http is None else http

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes its connections."""
        if self._owns_http:
            self._http.close()

    def status(self) -> NodeStatus:
        """How the node is."""
        return self._run(api.status())

    def query(
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
    ) -> list[list[Found]]:
        """Looks for records: sets of records with the same selector keys, the best of each set first.

        `masking_key` unmasks values, by default the first selector's name. `owners` are the only ones wanted, `oracles`
        those whose comments count. `limit` is the most records of a set, 0 for all. With `open` records may have more
        selectors than given. `after` and `before` bound timestamps, in seconds since 1970, both included.
        """
        find = Find(
            selectors,
            masking_key=masking_key,
            owners=owners,
            order=order,
            oracles=oracles,
            limit=limit,
            open=open,
            after=after,
            before=before,
            follow_rotations=follow_rotations,
        )
        return self._run(ops.query(find))

    def explain(
        self,
        selectors: SelectorsLike,
        *,
        masking_key: bytes | None = None,
        owners: Sequence[OwnerLike] = (),
        order: Order = "trust",
        oracles: Sequence[OwnerLike] = (),
        open: bool = False,
        after: int | None = None,
        before: int | None = None,
        follow_rotations: bool = False,
    ) -> list[ExplainedSet]:
        """Looks for records and for why they count. Arguments are those of `query`."""
        find = Find(
            selectors,
            masking_key=masking_key,
            owners=owners,
            order=order,
            oracles=oracles,
            open=open,
            after=after,
            before=before,
            follow_rotations=follow_rotations,
        )
        return self._run(ops.explain(find))

    def set(
        self,
        selectors: SelectorsLike,
        value: bytes,
        *,
        owner: Owner,
        masking_key: bytes | None = None,
        work: WorkBy | None = None,
        pulse: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Written:
        """Writes a value, unless the owner's newest record with these selectors holds it already.

        Each selector is one name and ordinal. `masking_key` masks the value, by default the first selector's name. With
        `pulse`, an unchanged value is renewed by a pulse. `work` says who does the proof of work if any is needed: a
        node that trusts us (`'node'`), this process (`'local'`, slow), nobody (`'none'`), or by default the node, and
        this process if the node does not and it takes less than a minute. `on_progress` is told how a search here goes,
        and stops it by returning False.
        """
        write = Write(
            selectors,
            value,
            owner=owner,
            masking_key=masking_key,
            work=work,
            pulse=pulse,
            on_progress=on_progress,
        )
        return self._run(write.set(self._network))

    def pulse(
        self,
        selectors: SelectorsLike,
        *,
        owner: Owner,
        masking_key: bytes | None = None,
        work: WorkBy | None = None,
        on_progress: OnProgress | None = None,
    ) -> Written:
        """Renews the owner's newest record with these selectors; one older than a year is written again."""
        write = Write(selectors, owner=owner, masking_key=masking_key, work=work, on_progress=on_progress)
        return self._run(write.renew(self._network))

    def record(self, hash: str) -> Record:
        """A record by its hash, `=…`. Its hash is checked; `Record.verify` checks the rest."""
        return self._run(api.fetch_record(hash))

    def links(self, count: int | None = None) -> list[str]:
        """Hashes of records that new ones should link to; as many as the network wants, unless told otherwise."""
        return self._run(api.links(count))

    def owner_status(self, owner: OwnerLike) -> OwnerStatus:
        """What the node knows of an owner."""
        return self._run(api.owner_status(owner.public if isinstance(owner, Owner) else owner))

    def post(self, record: Record) -> Record:
        """Publishes a record that is complete. One that the node has already is no error."""
        return self._run(api.post(record))

    def watch(
        self,
        selectors: SelectorsLike,
        *,
        masking_key: bytes | None = None,
        owners: Sequence[OwnerLike] = (),
        open: bool = False,
        after: int | None = None,
        before: int | None = None,
    ) -> Watch:
        """New records that match, as they come: close it, or use `with`.

        It watches when this returns, and connects again by itself. After a break it goes on where it was, if the same
        node answers. Arguments are those of `query`.
        """
        find = Find(selectors, masking_key=masking_key, owners=owners, open=open, after=after, before=before)
        return Watch(self, find)

    def _run(self, op: Op[T]) -> T:
        answer: Answer | None = None
        error: LfError | None = None
        while True:
            step = api.advance(op, answer, error)
            if isinstance(step, Done):
                return step.result
            answer, error = None, None
            try:
                answer = self._search(step) if isinstance(step, Search) else self._ask(step)
            except LfError as e:
                error = e

    def _search(self, search: Search) -> Answer:
        return Answer("", search_work(search.work_hash, search.difficulty, search.on_progress))

    def _ask(self, ask: Ask) -> Answer:
        last = no_answer()
        for url in self._urls.in_order():
            try:
                answer = self._ask_one(url, ask)
            except LfError as e:
                if not api.is_passing(e):
                    raise
                last = e
                continue
            self._urls.answered(url)
            return answer
        raise last

    def _ask_one(self, url: str, ask: Ask) -> Answer:
        headers = {**self._headers, "Content-Type": ask.content_type} if ask.body is not None else self._headers
        timeout = httpx.Timeout(ask.seconds_max, connect=api.CONNECT_SECONDS_MAX)
        try:
            with self._http.stream(
                ask.method, url + ask.path, content=ask.body, headers=headers, timeout=timeout, follow_redirects=False
            ) as response:
                if not response.is_success:
                    raise api.refused(url, response.status_code, _read(url, response, ERROR_BYTES_MAX))
                return Answer(url, _read(url, response, ANSWER_BYTES_MAX))
        except (httpx.HTTPError, httpx.InvalidURL) as e:
            raise api.unreachable(url, e) from None


def _read(url: str, response: httpx.Response, bytes_max: int) -> bytes:
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > bytes_max:
            raise api.wrong(url, f"it has more than {bytes_max} bytes")
    return bytes(body)


class Watch:
    """New records, as they come: iterate. Made by `Client.watch`."""

    def __init__(self, client: Client, find: Find) -> None:
        self._client = client
        self._state = WatchState(find)
        self._events: deque[Event] = deque()
        self._closed = False
        self._url = ""
        self._response: httpx.Response | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._connect()

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Found]:
        return self

    def __next__(self) -> Found:
        while not self._closed:
            try:
                while self._events:
                    found = self._state.take(self._events.popleft())
                    if found is not None:
                        return found
                piece = next(self._pieces, None)
                if piece is not None:
                    self._events.extend(self._state.feed(piece))
                    continue
            except (httpx.HTTPError, httpx.StreamError):
                pass
            except LfError as e:
                self.close()
                raise api.wrong(self._url, e.message) from None
            self._reconnect()
        raise StopIteration

    def close(self) -> None:
        """Ends it. An iteration that waits in another thread ends with the next thing that its node says."""
        self._closed = True
        self._drop()

    def _drop(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            response.close()

    def _reconnect(self) -> None:
        while not self._closed:
            self._drop()
            time.sleep(self._state.backoff_seconds())
            try:
                self._connect()
                return
            except LfError as e:
                if not api.is_passing(e):
                    self.close()
                    raise

    def _connect(self) -> None:
        client, last = self._client, no_answer()
        timeout = httpx.Timeout(SILENCE_SECONDS_MAX, connect=api.CONNECT_SECONDS_MAX)
        for url in client._urls.in_order():
            try:
                headers = {**client._headers, **self._state.headers(url)}
                request = client._http.build_request(
                    "POST", url + "/v1/watch", content=self._state.body, headers=headers, timeout=timeout
                )
                response = client._http.send(request, stream=True, follow_redirects=False)
                if not response.is_success:
                    try:
                        raise api.refused(url, response.status_code, _read(url, response, ERROR_BYTES_MAX))
                    finally:
                        response.close()
            except (httpx.HTTPError, httpx.InvalidURL) as e:
                last = api.unreachable(url, e)
                continue
            except LfError as e:
                if not api.is_passing(e):
                    raise
                last = e
                continue
            client._urls.answered(url)
            self._url, self._response, self._pieces = url, response, response.iter_bytes()
            self._state.connected(url)
            return
        raise last
