"""Whatever comes from outside: decoders give a value or an LfError, and what they take is written again the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lfclient import (
    Genesis,
    GenesisParameters,
    LfError,
    Owner,
    Pulse,
    Record,
    Selector,
    api,
    format_selector,
    masking,
    parse_selector,
    selector_key_range,
    text,
)
from lfclient.api import Answer, refused
from lfclient.cert import Certificate, Crl
from lfclient.comment import Comment
from lfclient.events import EventParser
from lfclient.find import Find, explain, query
from lfclient.owner import parse_owner, verify_owner
from lfclient.record import build, sign
from lfclient.selector import Claim
from lfclient.write import NetworkCache, Write

settings.register_profile("lf", deadline=None, derandomize=True, database=None, max_examples=150)
settings.load_profile("lf")

U64 = st.integers(0, 2**64 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
MEMBERS = st.sampled_from(
    ["Value", "Owner", "Links", "Timestamp", "PulseToken", "Type", "Selectors", "Work", "WorkAlgorithm", "Signature"]
    + ["Hash", "Record", "Weight", "Trust", "ID", "AmendableFields", "RecordMinLinks"]
    + ["Ordinal", "Claim", "ErrTypeName"]
)
OBJECTS = st.dictionaries(MEMBERS, JSON, max_size=6)
OWNER = Owner.from_seed(b"properties", "ed25519")
FIND = Find("a name")


def example_record() -> Record:
    record = build(
        OWNER,
        timestamp=1_600_000_000,
        value=b"a value that is long enough to be compressed, compressed, compressed",
        selectors=[(b"a name", 0), (b"other", 2**64 - 1)],
        links=[bytes([9]) * 32, bytes([1]) * 32],
    )
    return sign(record, OWNER)


RECORD = example_record()


def harmless(f: Callable[[], Any]) -> Any:
    """None for an LfError. Any other exception fails the test."""
    try:
        return f()
    except LfError as e:
        assert str(e) and "\n" not in str(e)
        return None


@given(st.binary(max_size=300))
def test_bytes(data: bytes) -> None:
    record = harmless(lambda: Record.decode(data))
    assert record is None or record.encode() == data
    decoders: tuple[Callable[[bytes], Any], ...] = (
        Genesis.parse, GenesisParameters.parse, Owner.import_, Pulse.decode, Claim.decode, Comment.decode_all,
        Certificate.parse, Certificate.parse_all, Crl,
    )  # fmt: skip
    for decode in decoders:
        harmless(lambda: decode(data))
    harmless(lambda: masking.unwrap_plain(data))
    harmless(lambda: masking.unmask_value(data, 1, b"key", OWNER.public_bytes))
    harmless(lambda: masking.unwrap_plain((masking.crc16(data) & 0xFFFC | 1).to_bytes(2, "big") + data))
    harmless(lambda: Answer("http://node", data).object())
    assert isinstance(refused("http://node", 400, data), LfError)
    assert harmless(lambda: verify_owner(OWNER.public_bytes, data, data)) in (False, None)
    parser = EventParser()
    for i in range(0, len(data), 7):
        harmless(lambda: parser.feed(data[i : i + 7]))


@given(st.integers(0, 10**6), st.integers(1, 255), st.integers(-3, 3))
def test_changed_records(at: int, change: int, length: int) -> None:
    data = bytearray(RECORD.encode())
    data[at % len(data)] ^= change
    changed = bytes(data[: len(data) + length] if length < 0 else data + bytes(length))
    record = harmless(lambda: Record.decode(changed))
    if record is not None:
        assert record.encode() == changed and record.hash != RECORD.hash
        assert harmless(record.verify) is None
        harmless(record.id)
        harmless(lambda: record.value(b"a name"))


@given(OBJECTS, JSON)
def test_json(members: dict[str, Any], value: Any) -> None:
    for given_json in (members, value, {**RECORD.to_json(), **members}):
        for read in (Record.from_json, Claim.from_json, GenesisParameters.from_json, FIND.check):
            harmless(lambda: read(given_json))
        for read_bytes in (text.blob_from_json, text.hash_from_json, text.owner_from_json, text.ordinal_from_json):
            harmless(lambda: read_bytes(given_json))
        assert isinstance(refused("http://node", 400, json.dumps(given_json).encode()), LfError)
        result = {"Hash": RECORD.hash, "Weight": [0, 0, 0, 1], **members, "Record": RECORD.to_json()}
        harmless(lambda: FIND.check(result))


def operations() -> list[api.Op[Any]]:
    write = Write("a name", b"v", owner=OWNER)
    return [
        api.status(),
        api.owner_status(OWNER.public),
        api.links(),
        api.fetch_record(RECORD.hash),
        query(FIND),
        explain(FIND),
        write.set(NetworkCache()),
        write.renew(NetworkCache()),
    ]


MINE = sign(build(OWNER, timestamp=1_699_999_000, value=b"old", selectors=[(b"a name", 0)]), OWNER)
GOOD_RESULT = {"Hash": MINE.hash, "Weight": [0, 0, 0, 1], "Record": MINE.to_json()}
GOOD_ANSWERS: list[Any] = [
    {"GenesisParameters": {"RecordMaxValueSize": 100}, "LocalTestMode": True},
    [[GOOD_RESULT]],
    {"ServerTime": 1_700_000_000, "NewRecordLinks": []},
]


@settings(max_examples=60)
@given(OBJECTS, JSON, st.binary(max_size=40), st.integers(0, 3), st.integers(0, 4))
def test_answers(members: dict[str, Any], value: Any, data: bytes, good: int, which: int) -> None:
    candidate = {"Result": {**GOOD_RESULT, **members}, "DeniedBy": value, "Age": value}
    answers = [members, value, [[members]], {"Sets": [{"Candidates": [candidate], "Warnings": value}]}]
    body = data if which == 4 else json.dumps(answers[which]).encode()
    for operation in operations():
        # Some good answers first, so that garbage comes late, too.
        step = harmless(lambda: api.advance(operation, None, None))
        for given_answer in [*(json.dumps(g).encode() for g in GOOD_ANSWERS[:good]), *[body] * 6]:
            if step is None or isinstance(step, api.Done):
                break
            step = harmless(lambda: api.advance(operation, Answer("http://node", given_answer), None))


@given(st.integers(0, 10**6), st.integers(0, 255), st.sampled_from(["ed25519", "p224", "p384"]), st.booleans())
def test_changed_keys(at: int, change: int, owner_type: Any, cut: bool) -> None:
    data = bytearray(Owner.from_seed(b"changed", owner_type).private_bytes())
    data[at % len(data)] ^= change
    changed = bytes(data[: at % len(data)] if cut else data)
    owner = harmless(lambda: Owner.import_(changed))
    assert owner is None or owner.private_bytes() == changed


@given(st.text(max_size=60) | st.text(st.characters(categories=["Cs", "Lu", "Po"]), max_size=5))
def test_texts(given_text: str) -> None:
    for read in (text.base62_decode, text.parse_hash, parse_owner, Pulse.parse, Owner.import_, Owner.from_passphrase):
        harmless(lambda: read(given_text))
    selector = harmless(lambda: parse_selector(given_text))
    if selector is not None and not selector.name.endswith(b"\\"):
        assert parse_selector(format_selector(selector)) == selector


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), U64, U64)
def test_selectors(name: str, a: int, b: int) -> None:
    selector = Selector(name.encode(), min(a, b), max(a, b))
    if not name.endswith("\\"):
        assert parse_selector(format_selector(selector)) == selector
    for garbage in (f"{name}#-1", f"{name}#1#2#3", f"{name}# 1", f"{name}#{2**64}", f"{name}#٣"):
        if not name.endswith("\\"):
            assert harmless(lambda: parse_selector(garbage)) is None or "\\" in name


@given(st.binary(max_size=100))
def test_base62(data: bytes) -> None:
    assert text.base62_decode(text.base62_encode(data)) == data
    assert text.blob_from_json(json.loads(json.dumps(text.blob_to_json(data)))) == data


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200), st.binary(max_size=8), U64, U64, st.sampled_from(["ed25519", "p224", "p384"]))
def test_built_records(value: bytes, name: bytes, ordinal: int, timestamp: int, owner_type: Any) -> None:
    owner = Owner.from_seed(name, owner_type)
    try:
        unsigned = build(owner, timestamp=timestamp, value=value, selectors=[(name, ordinal)], with_pulse_token=False)
    except LfError as e:
        assert "cannot be used with this name" in str(e)
        return
    record = sign(unsigned, owner)
    assert Record.decode(record.encode()) == record and Record.from_json(record.to_json()) == record
    (recovered,) = record.verify(strict=True)
    assert selector_key_range(Selector(name, ordinal, ordinal)) == (recovered.key, recovered.key)
    assert record.value(name) == value
    assert value == b"" or harmless(lambda: record.value(name + b"x")) != value
