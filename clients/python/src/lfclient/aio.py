"""The client that does not block: `AsyncClient`, for asyncio."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
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
from .work import WorkProgress, search_work
from .write import NetworkCache, OnProgress, WorkBy, Write, Written


class AsyncClient:
    """`Client` for asyncio. What takes long, checks of records and searches for work, is done in threads."""

    def __init__(
        self, urls: str | Sequence[str], token: str | None = None, *, http: httpx.AsyncClient | None = None
    ) -> None:
        self._urls = Urls(urls)
        self._headers = headers_of(token)
        self._network = NetworkCache()
        self._owns_http = http is None
        # No proxies and no .netrc of the environment: what goes where is said here.
        self._http = httpx.AsyncClient(trust_env=False) if http is None else http

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes its connections."""
        if self._owns_http:
            await self._http.aclose()

    async def status(self) -> NodeStatus:
        """How the node is."""
        return await self._run(api.status())

    async def query(
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
        return await self._run(ops.query(find))

    async def explain(
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
        return await self._run(ops.explain(find))

    async def set(
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
        return await self._run(write.set(self._network))

    async def pulse(
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
        return await self._run(write.renew(self._network))

    async def record(self, hash: str) -> Record:
        """A record by its hash, `=…`. Its hash is checked; `Record.verify` checks the rest."""
        return await self._run(api.fetch_record(hash))

    async def links(self, count: int | None = None) -> list[str]:
        """Hashes of records that new ones should link to; as many as the network wants, unless told otherwise."""
        return await self._run(api.links(count))

    async def owner_status(self, owner: OwnerLike) -> OwnerStatus:
        """What the node knows of an owner."""
        return await self._run(api.owner_status(owner.public if isinstance(owner, Owner) else owner))

    async def post(self, record: Record) -> Record:
        """Publishes a record that is complete. One that the node has already is no error."""
        return await self._run(api.post(record))

    def watch(
        self,
        selectors: SelectorsLike,
        *,
        masking_key: bytes | None = None,
        owners: Sequence[OwnerLike] = (),
        open: bool = False,
        after: int | None = None,
        before: int | None = None,
    ) -> AsyncWatch:
        """New records that match, as they come: `async with client.watch(…) as watch: async for found in watch: …`

        Watches from when the `async with` begins, and connects again by itself. After a break it goes on where it was,
        if the same node answers. Arguments are those of `query`.
        """
        find = Find(selectors, masking_key=masking_key, owners=owners, open=open, after=after, before=before)
        return AsyncWatch(self, find)

    async def _run(self, op: Op[T]) -> T:
        answer: Answer | None = None
        error: LfError | None = None
        while True:
            step = await asyncio.to_thread(api.advance, op, answer, error)
            if isinstance(step, Done):
                return step.result
            answer, error = None, None
            try:
                answer = await (self._search(step) if isinstance(step, Search) else self._ask(step))
            except LfError as e:
                error = e

    async def _search(self, search: Search) -> Answer:
        wanted = True

        def on_progress(progress: WorkProgress) -> object:
            if search.on_progress is not None and search.on_progress(progress) is False:
                return False
            return wanted

        try:
            return Answer("", await asyncio.to_thread(search_work, search.work_hash, search.difficulty, on_progress))
        finally:
            # A cancelled task must not leave its thread searching.
            wanted = False

    async def _ask(self, ask: Ask) -> Answer:
        last = no_answer()
        for url in self._urls.in_order():
            try:
                answer = await self._ask_one(url, ask)
            except LfError as e:
                if not api.is_passing(e):
                    raise
                last = e
                continue
            self._urls.answered(url)
            return answer
        raise last

    async def _ask_one(self, url: str, ask: Ask) -> Answer:
        headers = {**self._headers, "Content-Type": ask.content_type} if ask.body is not None else self._headers
        timeout = httpx.Timeout(ask.seconds_max, connect=api.CONNECT_SECONDS_MAX)
        try:
            async with self._http.stream(
                ask.method, url + ask.path, content=ask.body, headers=headers, timeout=timeout, follow_redirects=False
            ) as response:
                if not response.is_success:
                    raise api.refused(url, response.status_code, await _read(url, response, ERROR_BYTES_MAX))
                return Answer(url, await _read(url, response, ANSWER_BYTES_MAX))
        except (httpx.HTTPError, httpx.InvalidURL) as e:
            raise api.unreachable(url, e) from None


async def _read(url: str, response: httpx.Response, bytes_max: int) -> bytes:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > bytes_max:
            raise api.wrong(url, f"it has more than {bytes_max} bytes")
    return bytes(body)


class AsyncWatch:
    """New records, as they come: iterate. Made by `AsyncClient.watch`."""

    def __init__(self, client: AsyncClient, find: Find) -> None:
        self._client = client
        self._state = WatchState(find)
        self._events: deque[Event] = deque()
        self._closed = False
        self._url = ""
        self._response: httpx.Response | None = None
        self._pieces: AsyncIterator[bytes] | None = None

    async def __aenter__(self) -> AsyncWatch:
        if self._pieces is None:
            await self._connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[Found]:
        return self

    async def __anext__(self) -> Found:
        if self._pieces is None and not self._closed:
            await self._connect()
        while not self._closed and self._pieces is not None:
            try:
                while self._events:
                    found = await asyncio.to_thread(self._state.take, self._events.popleft())
                    if found is not None:
                        return found
                piece = await anext(self._pieces, None)
                if piece is not None:
                    self._events.extend(self._state.feed(piece))
                    continue
            except (httpx.HTTPError, httpx.StreamError):
                pass
            except LfError as e:
                await self.close()
                raise api.wrong(self._url, e.message) from None
            await self._reconnect()
        raise StopAsyncIteration

    async def close(self) -> None:
        """Ends it."""
        self._closed = True
        await self._drop()

    async def _drop(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            await response.aclose()

    async def _reconnect(self) -> None:
        while not self._closed:
            await self._drop()
            await asyncio.sleep(self._state.backoff_seconds())
            try:
                await self._connect()
                return
            except LfError as e:
                if not api.is_passing(e):
                    await self.close()
                    raise

    async def _connect(self) -> None:
        client, last = self._client, no_answer()
        timeout = httpx.Timeout(SILENCE_SECONDS_MAX, connect=api.CONNECT_SECONDS_MAX)
        for url in client._urls.in_order():
            try:
                headers = {**client._headers, **self._state.headers(url)}
                request = client._http.build_request(
                    "POST", url + "/v1/watch", content=self._state.body, headers=headers, timeout=timeout
                )
                response = await client._http.send(request, stream=True, follow_redirects=False)
                if not response.is_success:
                    try:
                        raise api.refused(url, response.status_code, await _read(url, response, ERROR_BYTES_MAX))
                    finally:
                        await response.aclose()
            except (httpx.HTTPError, httpx.InvalidURL) as e:
                last = api.unreachable(url, e)
                continue
            except LfError as e:
                if not api.is_passing(e):
                    raise
                last = e
                continue
            client._urls.answered(url)
            self._url, self._response, self._pieces = url, response, response.aiter_bytes()
            self._state.connected(url)
            return
        raise last
