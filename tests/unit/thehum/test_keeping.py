"""What stands in the line, and what goes beside the log (reliability 4.3)."""

import hashlib
from typing import Any

import msgpack
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.thehum.chains import AUTHOR, KEY, keep

from thehum.core.bodies import Via, read_drafts, restore_body
from thehum.core.events import GENESIS, opening, read_event
from thehum.core.groups import GroupBuilder
from thehum.core.keeping import (
    COUNTS_MAX,
    INLINE_BODY_BYTES_MAX,
    LINE_BYTES_MAX,
    ROUTING,
    Aside,
    Keep,
    Place,
    digest_of,
    place_in,
    place_of,
    routing_fields,
)
from thrum import frames
from thrum.frames import Header
from thrum.redaction import REDACTED, KnownSecrets

VIA = Via("e.1", "c1", None)
PROMPT = Header("prompt", "r1", "s1", "fbee_1")
IMAGE = {"content": [{"type": "image", "data": "A" * 10_000_000}], "modelId": "m", "cwd": "/tmp"}


def lines(parcels: bytes, rules: Keep, first_seq: int = 1) -> tuple[list[bytes], list[Aside]]:
    """The stored lines of a run of parcels, and what goes beside them."""
    drafts, asides = read_drafts(
        parcels, via=VIA, mint=lambda: "minted", keep=rules, first_seq=first_seq
    )
    builder = GroupBuilder(AUTHOR, KEY, GENESIS)
    builder.add(drafts, 1)
    return builder.seal().data.split(b"\n")[:-1], asides


def parcel(body: object, header: Header = PROMPT) -> bytes:
    packed: bytes = msgpack.packb(body)
    return frames.pack_header(header) + packed


def fields_of(line: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = orjson.loads(read_event(line).body)
    return fields


def test_a_small_body_is_in_its_line_and_nowhere_else() -> None:
    (line,), asides = lines(parcel({"content": "hi"}), keep())

    assert fields_of(line)["content"] == "hi"
    assert (asides, place_of(line)) == ([], None)


def test_ten_megabytes_of_picture_leave_less_than_two_kilobytes_in_the_log() -> None:
    (line,), (aside,) = lines(parcel(IMAGE), keep())

    assert len(line) < 2_000
    assert aside.raw == msgpack.packb(IMAGE)
    assert (aside.seq, aside.sid) == (1, "s1")
    assert restore_body(fields_of(line), aside.raw) == IMAGE


@given(st.integers(INLINE_BODY_BYTES_MAX - 400, INLINE_BODY_BYTES_MAX + 200))
def test_a_line_is_never_longer_than_its_bound(size: int) -> None:
    (line,), asides = lines(parcel({"content": "x" * size}), keep())

    assert len(line) <= LINE_BYTES_MAX
    assert bool(asides) == (place_of(line) is not None)


def test_text_that_json_writes_six_times_as_long_goes_beside_too() -> None:
    (line,), (aside,) = lines(parcel({"content": "\x01" * 6_000}), keep())

    assert len(line) < 2_000
    assert msgpack.unpackb(aside.raw) == {"content": "\x01" * 6_000}


def test_the_digest_is_of_salt_and_bytes() -> None:
    (line,), (aside,) = lines(parcel(IMAGE), keep())

    place = place_of(line)
    assert place == place_in(line, len(opening(AUTHOR)))
    assert place == Place(len(aside.raw), hashlib.sha256(aside.salt + aside.raw).hexdigest())


def test_what_routing_needs_stays_in_the_line() -> None:
    body = {**dict.fromkeys(ROUTING, "short"), "content": "x" * 40_000, "hearOnly": True}
    body["tools"] = [{"name": "a", "inputSchema": {"x": "y" * 40_000}}, {"name": "b"}, {"no": 1}, 7]

    (line,), _ = lines(parcel(body), keep())

    kept = fields_of(line)
    assert {key: kept[key] for key in ROUTING} == {
        key: value for key, value in body.items() if key in ROUTING
    }
    assert kept["tools"] == [{"name": "a"}, {"name": "b"}]
    assert kept["from"] == "fbee_1"
    assert kept["@via"]["client"] == "c1"


@pytest.mark.parametrize("value", ["y" * 5_000, ["y" * 100] * 100, {"y": {"y": "y" * 5_000}}])
def test_a_long_value_under_a_routing_name_does_not_stay(value: object) -> None:
    (line,), _ = lines(parcel({"callId": value, "content": "x" * 40_000}), keep())

    assert "callId" not in fields_of(line)
    assert len(line) < 2_000


@pytest.mark.parametrize("rule", ["prompt", "*"])
def test_a_sensitive_body_goes_beside_however_small(rule: str) -> None:
    (line,), (aside,) = lines(parcel({"content": "whisper"}), keep(sensitive=frozenset({rule})))

    assert b"whisper" not in line
    assert aside.raw == msgpack.packb({"content": "whisper"})


def test_others_are_not_touched_by_it() -> None:
    run = parcel({"content": "hi"}) + parcel({"delta": "d"}, Header("chunk", "r2", "s1"))

    (_, chunk), asides = lines(run, keep(sensitive=frozenset({"prompt"})), first_seq=7)

    assert fields_of(chunk)["delta"] == "d"
    assert [aside.seq for aside in asides] == [7]


@pytest.mark.parametrize("rule", ["prompt", "*"])
@pytest.mark.parametrize("size", [1, 100_000])
def test_a_redacted_body_is_nowhere(rule: str, size: int) -> None:
    raw = msgpack.packb({"content": "S" * size, "modelId": "m"})

    (line,), asides = lines(
        frames.pack_header(PROMPT) + raw, keep(redacted=frozenset({rule}), sensitive=frozenset("*"))
    )

    assert asides == []
    assert b"SS" not in line
    kept = fields_of(line)
    assert kept.pop("@via")
    assert kept == {"@redacted": {"bytes": len(raw)}, "modelId": "m", "from": "fbee_1"}


@pytest.mark.parametrize("size", [10, 100_000])
def test_secrets_are_out_before_the_digest_is_taken(size: int) -> None:
    body = {"content": "known-canary " + "x" * size, "headers": {"api_key": "named-canary"}}

    (line,), asides = lines(parcel(body), keep(secrets=KnownSecrets(["known-canary"])))

    held = line + b"".join(aside.raw for aside in asides)
    assert b"canary" not in held
    assert REDACTED.encode() in held
    for aside in asides:
        assert place_of(line) == Place(len(aside.raw), digest_of(aside.salt, aside.raw))


@pytest.mark.parametrize("key", ["@body", "@redacted", "@msgpack"])
@pytest.mark.parametrize("other", ["!", "zzz", "\x00"])
def test_nobody_can_forge_a_body_that_is_beside(key: str, other: str) -> None:
    forged = {key: {"bytes": 1, "digest": "0" * 64}, other: 1}

    (line,), asides = lines(parcel(forged), keep())

    assert (asides, place_of(line)) == ([], None)
    assert restore_body(fields_of(line)) == forged


def test_a_body_that_is_no_map_of_texts_goes_beside_whole() -> None:
    raw = msgpack.packb({1: "x" * 50_000})

    (line,), (aside,) = lines(frames.pack_header(PROMPT) + raw, keep())

    assert aside.raw == raw
    assert fields_of(line).keys() == {"@body", "@via", "from"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"@body":{"bytes":1,"digest":"00"},"@via":{}}',
        b'{"@body":{"bytes":,"digest":"' + b"0" * 64 + b'"}}',
        b'{"@body":{"bytes":12345678901234567890,"digest":"' + b"0" * 64 + b'"}}',
        b'{"@body":7}',
        b'{"x":{"@body":{"bytes":1,"digest":"' + b"0" * 64 + b'"}}}',
    ],
)
def test_what_only_resembles_a_place_is_none(body: bytes) -> None:
    assert place_of(b'{"author":"humd_0","body":' + body + b',"chi":"x"') is None


def test_what_lifetime_counters_are_counted_from_stays_in_the_line() -> None:
    usage = {"input_tokens": 7, "output_tokens": 2, "details": {"deep": "x" * 300}, "flag": True}
    many = {f"n{number:02}": number for number in range(COUNTS_MAX + 9)}

    kept = routing_fields({"usage": usage, "pennyDelta": many, "content": "x"})

    assert kept["usage"] == {"input_tokens": 7, "output_tokens": 2}
    assert list(kept["pennyDelta"]) == list(many)[:COUNTS_MAX]
    assert routing_fields({"usage": None, "pennyDelta": [1]}) == {}
