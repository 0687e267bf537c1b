"""The clients against nodes that lie, refuse, break off or want work; and what leaves this process."""

from __future__ import annotations

import asyncio
import json
import pickle
import socket
import time
from typing import Any

import pytest

from fake import FakeNode, Handler, Reply, as_json, fake_node, refusal
from lfclient import AsyncClient, Client, LfError, Owner, OwnerType, Record, WorkProgress, selector_key_range
from lfclient.record import build, sign
from lfclient.text import base62_encode
from lfclient.work import cost, search_work, verify_work
from lfclient.write import WorkBy
from node import local_node
from proxy import proxy_of

NOW = 1_700_000_000

PARAMETERS = {"RecordMaxValueSize": 1024, "RecordMaxTimeDrift": 60, "WorkFactor": 1}


def network(owner: Owner, **changed: Any) -> dict[str, Handler]:
    """The answers of a node of a network where records need work."""
    status = {"LocalTestMode": False, "GenesisParameters": {**PARAMETERS, **changed}}
    links = [f"={'A' * 42}{c}" for c in "BA"]
    owner_status = {"Owner": owner.public, "ServerTime": NOW, "NewRecordLinks": links}

    def work(body: bytes) -> Any:
        request = json.loads(body)
        return as_json({"Work": list(bytes(9) + b"\1" + request["Difficulty"].to_bytes(4, "big"))})

    return {
        "/status": lambda _: as_json(status),
        "/query": lambda _: as_json([]),
        "/owner/": lambda _: as_json(owner_status),
        "/v1/work": work,
        "/post": lambda _: as_json({}),
    }


def posted(node: FakeNode) -> Record:
    return Record.decode(node.bodies["/post"])


def error_of(f: Any) -> str:
    with pytest.raises(LfError) as e:
        f()
    return e.value.name


def test_work_by_a_node_and_nothing_secret_leaves() -> None:
    owner = Owner.generate()
    name, key, value = b"a name nobody knows", b"a masking key", b"a value in plain text"
    with fake_node(network(owner)) as node, Client(node.url, "the-token") as client:
        written = client.set(name.decode(), value, owner=owner, masking_key=key)
        record = posted(node)
        assert (written.kind, written.hash) == ("new", record.hash)
        assert record.work == bytes(9) + b"\1" + cost(record.billable_bytes).to_bytes(4, "big")
        assert json.loads(node.bodies["/v1/work"])["Difficulty"] == cost(record.billable_bytes)
        assert record.verify(strict=True)[0].key == selector_key_range(name.decode())[0]
        assert record.value(key) == value
        assert record.timestamp == NOW and len(record.links) == 2
        # A chain's end, whose beginning only we know.
        assert record.pulse_token
        assert set(node.authorizations) == {"Bearer the-token"}

        seed = owner.private_bytes()[1:33]
        for secret in (name, key, value, seed, owner.private_hash()):
            for form in (secret, secret.hex().encode(), base62_encode(secret).encode(), str(list(secret)).encode()):
                assert form not in node.told


def test_work_is_decided() -> None:
    owner = Owner.generate()

    def attempt(work: WorkBy | None, answer: Reply = refusal(403, "")) -> str:
        with fake_node({**network(owner), "/v1/work": lambda _: answer}) as node, Client(node.url) as client:
            return error_of(lambda: client.set("x", b"y", owner=owner, work=work))

    assert attempt("none") == "ErrRecordInsufficientWork"
    # Not trusted: and here it would take minutes.
    assert attempt(None) == "ErrRecordInsufficientWork"
    assert attempt("node") == "ErrRefused"
    # Not the difficulty asked for.
    assert attempt("node", as_json({"Work": list(bytes(14))})) == "ErrWrongAnswer"


def test_local_work_is_searched_verified_and_stopped() -> None:
    heard: list[WorkProgress] = []
    work = search_work(b"w" * 48, 1, heard.append)
    assert verify_work(b"w" * 48, work) == 1
    assert verify_work(b"v" * 48, work) == 0
    assert error_of(lambda: search_work(b"w" * 48, 60_000, lambda _: False)) == "ErrStopped"

    async def cancelled() -> None:
        owner = Owner.generate()
        with fake_node(network(owner)) as node:
            async with AsyncClient(node.url) as client:
                working = asyncio.Event()
                loop = asyncio.get_running_loop()

                def on_progress(_: WorkProgress) -> None:
                    loop.call_soon_threadsafe(working.set)

                write = client.set("x", b"y", owner=owner, work="local", on_progress=on_progress)
                task = asyncio.ensure_future(write)
                await working.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert "/post" not in node.bodies

    # asyncio.run waits for the thread: it ends only because the search does.
    with pytest.warns(RuntimeWarning, match="seconds begins"):
        asyncio.run(cancelled())


def test_certificates_and_limits_are_heeded() -> None:
    owner = Owner.generate()
    with fake_node(network(owner, AuthRequired=True)) as node, Client(node.url) as client:
        assert error_of(lambda: client.set("x", b"y", owner=owner)) == "ErrRecordCertificateRequired"
        status = {"ServerTime": NOW, "NewRecordLinks": None, "HasCurrentCertificate": True}
        node.answers["/owner/"] = lambda _: as_json(status)
        assert client.set("x", b"y", owner=owner).kind == "new"
        assert posted(node).work == b"" and "/v1/work" not in node.bodies
        assert client.set("x", b"zero" * 300, owner=owner).kind == "new", "it is the compressed size that counts"
        assert error_of(lambda: client.set("x", bytes(100_000), owner=owner)) == "ErrRecordValueTooLarge"
    bad_uses: list[Any] = [
        lambda: client.set("x", "text", owner=owner),  # type: ignore[arg-type]
        lambda: client.set("x", 5, owner=owner),  # type: ignore[arg-type]
        lambda: client.set("x", b"", owner=owner, masking_key="key"),  # type: ignore[arg-type]
        lambda: client.set("x", b"", owner=owner.public),  # type: ignore[arg-type]
        lambda: client.query(b"x"),  # type: ignore[arg-type]
        lambda: client.set([], b"", owner=owner),
        lambda: client.query(["x"] * 16),
        lambda: client.query("x", order="best"),  # type: ignore[arg-type]
        lambda: client.query("x", limit=-1),
        lambda: client.query("x", owners=["nobody"]),
        lambda: client.record("=short"),
        lambda: client.links(16),
        lambda: Client([]),
        lambda: Client("ftp://host"),
        lambda: Client("http://host/?q"),
        lambda: Client("http://host", "two words"),
        lambda: Client("http://host", "a\nb"),
    ]
    for use in bad_uses:
        assert error_of(use).startswith("Err")


def result_of(record: Record, **changed: Any) -> dict[str, Any]:
    result = {
        "Hash": record.hash, "Size": len(record.encode()), "Record": record.to_json(), "Pulse": NOW, "Trust": 1,
        "LocalTrust": 1, "OracleTrust": 1, "Weight": [0, 0, 1, 2], "Signed": False,
    }  # fmt: skip
    return result | changed


def test_lies_are_found() -> None:
    owner, other = Owner.generate(), Owner.generate("p224")

    def made(name: bytes, by: Owner = owner, **arguments: Any) -> Record:
        arguments = {"timestamp": NOW, "value": b"v", "selectors": [(name, 3)], **arguments}
        return sign(build(by, **arguments), by)

    good = made(b"x")
    forged = Record.decode(good.encode()[:-1] + bytes([good.encode()[-1] ^ 1]))
    changed_value = Record.from_json(good.to_json() | {"Value": "other"})
    lies: list[Any] = [
        {},
        [{}],
        [[result_of(made(b"y"))]],
        [[result_of(made(b"x", selectors=[(b"x", 11)]))]],
        [[result_of(made(b"x", selectors=[(b"x", 3), (b"y", 3)]))]],
        [[result_of(made(b"x", by=other))]],
        [[result_of(made(b"x", timestamp=5))]],
        [[result_of(forged)]],
        [[result_of(changed_value)]],
        [[result_of(changed_value, Hash=good.hash)]],
        [[result_of(good, Hash=forged.hash)]],
        [[result_of(good, Weight=[1, 2])]],
        [[result_of(good, Trust="much")]],
        [[result_of(good), result_of(forged)]],
    ]
    with fake_node({}) as node, Client(node.url) as client:

        def ask() -> Any:
            return client.query("x#2#10", owners=[owner], after=10)

        node.answers["/query"] = lambda _: as_json([[result_of(good)], []])
        ((found,),) = ask()
        assert (found.value, found.names, found.weight, found.owner) == (b"v", ["x#3"], 2**32 + 2, owner.public)
        sent = json.loads(node.bodies["/query"])
        assert sent["TimeRange"] == [10] and sent["Owners"] == [owner.public]
        assert [set(r) for r in sent["Ranges"]] == [{"KeyRange"}] and len(sent["Ranges"][0]["KeyRange"]) == 2
        for lie in lies:
            node.answers["/query"] = lambda _, lie=lie: as_json(lie)  # type: ignore[misc]
            assert error_of(ask) == "ErrWrongAnswer", lie
        for body in (b"", b"{", b"[" * 100_000, b"\xff"):
            node.answers["/query"] = lambda _, body=body: (200, body)  # type: ignore[misc]
            assert error_of(ask) == "ErrWrongAnswer"
        node.answers["/query"] = lambda _: as_json(None)
        assert ask() == [], "the reference says null for nothing"
        node.answers["/record/raw/"] = lambda _: (200, forged.encode())
        assert error_of(lambda: client.record(good.hash)) == "ErrWrongAnswer"
        node.answers["/links"] = lambda _: (200, bytes(33))
        assert error_of(client.links) == "ErrWrongAnswer"


def test_the_next_url_is_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with fake_node({"/status": lambda _: refusal(503, "")}) as ill, fake_node({}) as node:
        node.answers["/status"] = lambda _: as_json({"RecordCount": 7})
        with Client([dead, ill.url + "/", node.url]) as client:
            assert client.status()["RecordCount"] == 7
            client.status()
            assert len(ill.paths) == 1, "the one that answered last is asked first"
            # What a node says of the request itself would not change.
            assert error_of(lambda: client.record("=" + "A" * 43)) == "ErrRecordNotFound"
            assert len(ill.paths) == 1

        async def asynchronous() -> None:
            async with AsyncClient([dead, ill.url, node.url]) as client:
                assert (await client.status())["RecordCount"] == 7

        asyncio.run(asynchronous())
    with Client(dead) as client:
        assert error_of(client.status) == "ErrUnreachable"
        assert error_of(lambda: client.watch("x")) == "ErrUnreachable"


def test_a_broken_watch_goes_on_where_it_was() -> None:
    owner = Owner.generate()
    with local_node() as node, proxy_of(node.url) as proxy, Client(node.url) as writer:
        for begin in (1, 4):
            with Client(proxy.url) as client, client.watch("log#") as watch:
                if begin == 1:
                    # Nothing has come yet: not even then is anything lost.
                    proxy.cut()
                writer.set(f"log#{begin}", b"v", owner=owner)
                proxy.mend()
                assert next(watch).names == [f"log#{begin}"]
                proxy.cut()
                writer.set(f"log#{begin + 1}", b"v", owner=owner)
                proxy.mend()
                writer.set(f"log#{begin + 2}", b"v", owner=owner)
                assert [next(watch).names for _ in range(2)] == [[f"log#{begin + 1}"], [f"log#{begin + 2}"]]
            assert list(watch) == [], "closed"

        async def asynchronous() -> None:
            async with AsyncClient(proxy.url) as client, client.watch("log#", owners=[owner]) as watch:
                await asyncio.to_thread(writer.set, "log#7", b"v", owner=Owner.generate())
                await asyncio.to_thread(writer.set, "log#8", b"v", owner=owner)
                assert (await anext(watch)).names == ["log#8"]
                following = asyncio.ensure_future(anext(watch))
                proxy.cut()
                assert await asyncio.to_thread(proxy.refused.wait, 300)
                await asyncio.to_thread(writer.set, "log#9", b"v", owner=owner)
                proxy.mend()
                assert (await following).names == ["log#9"]

        asyncio.run(asynchronous())


def test_a_watch_does_not_believe_everything() -> None:
    good = sign(build(Owner.from_seed(b"o"), timestamp=NOW, value=b"v", selectors=[(b"y", 0)]), Owner.from_seed(b"o"))
    event = b"id: 5\nevent: record\ndata: " + json.dumps(result_of(good)).encode() + b"\n\n"
    with fake_node({"/v1/watch": lambda _: (200, event)}) as node, Client(node.url) as client:
        with client.watch("y") as watch:
            assert next(watch).hash == good.hash
        with client.watch("x") as watch:
            assert error_of(lambda: next(watch)) == "ErrWrongAnswer"
        node.answers["/v1/watch"] = lambda _: refusal(400, "ErrInvalidParameter")
        assert error_of(lambda: client.watch("x")) == "ErrInvalidParameter"


def test_secrets_are_not_shown() -> None:
    owner_types: tuple[OwnerType, ...] = ("ed25519", "p224", "p384")
    for owner_type in owner_types:
        owner = Owner.from_seed(b"secret", owner_type)
        assert repr(owner) == f"Owner({owner.public})"
        with pytest.raises(TypeError):
            pickle.dumps(owner)
    with pytest.raises(LfError) as e:
        Owner.import_("-----BEGIN LF OWNER PRIVATE KEY-----\nc2VjcmV0\n-----END LF OWNER PRIVATE KEY-----\n")
    assert "c2VjcmV0" not in str(e.value) and "secret" not in str(e.value)


def test_links_and_owner_status() -> None:
    owner = Owner.generate()
    with local_node() as node, Client(node.url) as client:
        client.set("x", b"y", owner=owner)
        assert 1 <= len(client.links()) <= 15 and len(client.links(2)) <= 2
        status = client.owner_status(owner)
        assert status["RecordCount"] == 1 and client.owner_status(owner.public)["Owner"] == owner.public
        assert abs(status["ServerTime"] - time.time()) < 3600
