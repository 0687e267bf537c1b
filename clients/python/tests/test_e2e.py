"""`clients/e2e.json` with both clients: the steps that every client does against a real node."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

import httpx
import pytest

from lfclient import AsyncClient, Client, Found, LfError, Owner, Record, parse_selector
from node import Node, lf_bin, local_node
from vectors import PROJECT

Step = dict[str, Any]

_MEMBERS = {
    "do", "as", "type", "passphrase", "public", "owner", "selectors", "owners", "mask", "value", "pulse", "open",
    "limit", "seconds_ago", "records", "flip_bit", "hash", "args", "stdout", "expect", "error",
}  # fmt: skip


class Driver(Protocol):
    """What the runner needs of a client."""

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any: ...

    def watch(self, *args: Any, **kwargs: Any) -> Any: ...


class SyncDriver:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(getattr(self._client, method), *args, **kwargs)

    @asynccontextmanager
    async def watch(self, *args: Any, **kwargs: Any) -> AsyncIterator[Callable[[], Awaitable[Found]]]:
        watch = await asyncio.to_thread(self._client.watch, *args, **kwargs)
        with watch:

            async def following() -> Found:
                return await asyncio.to_thread(next, watch)

            yield following


class AsyncDriver:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return await getattr(self._client, method)(*args, **kwargs)

    @asynccontextmanager
    async def watch(self, *args: Any, **kwargs: Any) -> AsyncIterator[Callable[[], Awaitable[Found]]]:
        async with self._client.watch(*args, **kwargs) as watch:
            yield watch.__anext__


def value_of(given: Any) -> bytes:
    if isinstance(given, str):
        return given.encode()
    if "hex" in given:
        return bytes.fromhex(given["hex"])
    if "repeat" in given:
        return str(given["repeat"]).encode() * int(given["times"])
    size = int(given["noise"])
    noise = b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(size // 32 + 1))
    return noise[:size]


class Runner:
    def __init__(self, node: Node, driver: Driver, home: str) -> None:
        self.node = node
        self.driver = driver
        self.home = home
        self.owners: dict[str, Owner] = {}
        self.watched: dict[str, Callable[[], Awaitable[Found]]] = {}
        self.stack = AsyncExitStack()

    def arguments(self, step: Step) -> dict[str, Any]:
        arguments: dict[str, Any] = {"masking_key": step["mask"].encode()} if "mask" in step else {}
        if "owners" in step:
            arguments["owners"] = [self.owners[name] for name in step["owners"]]
        return arguments | {name: step[name] for name in ("limit", "open") if name in step}

    def compare(self, step: Step, found: Found, expected: Step) -> None:
        for member, value in expected.items():
            if member == "value":
                assert found.value == (None if value is None else value_of(value)), step
            elif member == "owner":
                assert found.owner == self.owners[value].public, step
            elif member == "trust":
                assert found.trust == value, step
            else:
                assert member == "names"
                assert found.names == value, step

    def compare_sets(self, step: Step, sets: list[list[Found]]) -> None:
        assert [len(found) for found in sets] == [len(expected) for expected in step["expect"]], (step, sets)
        for found_set, expected_set in zip(sets, step["expect"]):
            for found, expected in zip(found_set, expected_set):
                self.compare(step, found, expected)

    async def raw(self, step: Step) -> list[Record]:
        sets = await self.driver.call("query", step["selectors"])
        return [await self.driver.call("record", found.hash) for found in sets[0]]

    async def run(self, step: Step) -> None:
        assert step.keys() <= _MEMBERS, step
        kind, driver = step["do"], self.driver
        if kind == "status":
            status = await driver.call("status")
            assert {name: status[name] for name in step["expect"]} == step["expect"]
        elif kind == "owner":
            if "passphrase" in step:
                owner = Owner.from_passphrase(step["passphrase"])
            else:
                owner = Owner.generate(step["type"])
            assert step.get("public", owner.public) == owner.public
            self.owners[step["as"]] = owner
        elif kind == "reimport":
            before = self.owners[step["owner"]]
            self.owners[step["as"]] = Owner.import_(before.export_pem())
            assert self.owners[step["as"]].public == before.public
        elif kind == "get":
            self.compare_sets(step, await driver.call("query", step["selectors"], **self.arguments(step)))
        elif kind == "explain":
            sets = await driver.call("explain", step["selectors"], **self.arguments(step))
            assert all(explained.because for explained in sets)
            assert all(found.explained is not None for explained in sets for found in explained.candidates)
            self.compare_sets(step, [explained.candidates for explained in sets])
        elif kind in ("set", "pulse"):
            arguments = self.arguments(step) | {"owner": self.owners[step["owner"]], "work": "none"}
            if kind == "set":
                arguments |= {"value": value_of(step["value"]), "pulse": step.get("pulse", False)}
            written = await driver.call(kind, step["selectors"], **arguments)
            assert written.kind == step["expect"], step
            assert (written.pulse is not None) == (written.kind == "pulsed")
        elif kind == "make":
            await self.make(step)
        elif kind == "watch":
            self.watched[step["as"]] = await self.stack.enter_async_context(driver.watch(step["selectors"]))
        elif kind == "watched":
            for expected in step["expect"]:
                found = await asyncio.wait_for(self.watched[step["as"]](), 300)
                self.compare(step, found, expected)
        elif kind == "verify":
            records = await self.raw(step)
            assert len(records) == step["records"]
            for record in records:
                again = Record.decode(record.encode())
                assert (again, again.hash) == (record, record.hash)
                again.verify(strict=True)
        elif kind == "post":
            data = bytearray((await self.raw(step))[0].encode())
            data[-1] ^= step["flip_bit"]
            await driver.call("post", Record.decode(bytes(data)))
        elif kind == "record":
            await driver.call("record", step["hash"])
        elif kind == "lf":
            await asyncio.to_thread(self.lf, step)
        else:
            raise AssertionError(f"unknown step {kind}")

    async def make(self, step: Step) -> None:
        selectors = [parse_selector(text) for text in step["selectors"]]
        async with httpx.AsyncClient(trust_env=False) as http:
            now = int((await http.get(f"{self.node.url}/status")).headers["X-LF-Time"])
            request = {
                "Selectors": [{"Name": s.name.decode(), "Ordinal": s.first} for s in selectors],
                "Passphrase": step["passphrase"],
                "MaskingKey": step["mask"],
                "Value": step["value"],
                "Timestamp": now - step["seconds_ago"],
            }
            answer = await http.post(f"{self.node.url}/makerecord", json=request, timeout=300)
            assert answer.status_code == 200, answer.text

    def lf(self, step: Step) -> None:
        name, *arguments = [value_of(argument) for argument in step["args"]]
        environment = {"PATH": os.environ["PATH"], "HOME": self.home, "LF_PATH": self.home}
        command = [lf_bin().encode(), name, b"--url", self.node.url.encode(), *arguments]
        ran = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
        assert ran.returncode == 0, (step, ran)
        if "stdout" in step:
            assert ran.stdout == value_of(step["stdout"]), step


async def run_all(kind: str) -> int:
    script = json.loads((PROJECT / "clients" / "e2e.json").read_text(encoding="utf-8"))
    with local_node() as node, tempfile.TemporaryDirectory() as home:
        async with AsyncExitStack() as stack:
            driver: Driver
            if kind == "sync":
                driver = SyncDriver(stack.enter_context(Client(node.url)))
            else:
                driver = AsyncDriver(await stack.enter_async_context(AsyncClient(node.url)))
            runner = Runner(node, driver, home)
            await stack.enter_async_context(runner.stack)
            for step in script["steps"]:
                try:
                    await runner.run(step)
                except LfError as e:
                    if e.name != step.get("error"):
                        raise AssertionError(f"{step}: {e}") from e
                else:
                    assert "error" not in step, step
    return len(script["steps"])


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_shared_script(kind: str) -> None:
    print(f"e2e.json {kind} {asyncio.run(run_all(kind))}")
