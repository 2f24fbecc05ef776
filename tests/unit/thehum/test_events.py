"""The bytes of events: the published vectors."""

import dataclasses
import hashlib
import json
from dataclasses import replace

import orjson
import pytest
from tests.unit.thehum.chains import AUTHOR, KEY

from thehum.core.bodies import draft
from thehum.core.events import (
    GENESIS,
    ZERO_HASH,
    Event,
    MalformedEvent,
    hash_of,
    read_event,
    split_line,
    stored_line,
)
from thehum.core.groups import GroupBuilder, Signing
from thrum.canonical import dumps
from thrum.keys import verify

FIRST = Event(
    author="humd_56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c",
    body=dumps(
        {
            "bee": ["worker"],
            "hid": "wbee_139e3940e64b5491722088d9a0d741628fc826e09475d341a780acde3c4b8070",
            "hive": "claude-cli",
            "models": ["claude-haiku-4-5"],
        }
    ),
    chi="hello",
    prev_hash=ZERO_HASH,
    rid="065WZSB800000000000000000000000000000000000000000000",
    seq=1,
    sid=None,
    sig=None,
    ts_ms=1700000000000,
)
SECOND = Event(
    author=FIRST.author,
    body=dumps({"content": "Say HELLO.", "cwd": "/tmp", "modelId": "claude-haiku-4-5"}),
    chi="prompt",
    prev_hash="b10e188509a563ec97b052c22454bb7b44e30cff961737ceacf6a0497dfb6fe5",
    rid="p1",
    seq=2,
    sid="hum-X",
    sig=None,
    ts_ms=1700000000005,
)
THIRD = Event(
    author=FIRST.author,
    body=dumps({"blockIdx": 0, "chunkType": "text_delta", "cost": 0.05, "delta": "héllo\n☕"}),
    chi="chunk",
    prev_hash="e68e28fc6cd157aafc2cca3c89fb809a9b2f4da29fab948cb8f4c814fa342c34",
    rid="065WZSB814000000000000000000000000000000000000000000",
    seq=3,
    sid="hum-X",
    sig=None,
    ts_ms=1700000000009,
)
VECTORS = [
    (
        FIRST,
        "b10e188509a563ec97b052c22454bb7b44e30cff961737ceacf6a0497dfb6fe5",
        (
            "f39ebc98ad600d2428e3e6f877e655454adb6ba38e72728600caf27e7e652377"
            "c6c5581a4a681db0eb47ec99082a32b44a1b7a55c5cd84520c2cf63ad6620604"
        ),
    ),
    (
        SECOND,
        "e68e28fc6cd157aafc2cca3c89fb809a9b2f4da29fab948cb8f4c814fa342c34",
        (
            "2d681f1720e82e5a2a1f3e31328a68142ae0028b0a0ffece03f533ff9ebec404"
            "dd1e2be8d81404f3df11ecdec66e3c2b1367f2c59536b954300972719e362d00"
        ),
    ),
    (
        THIRD,
        "717885a71e0b3093723a256cb148fda2380f1a5f01436c495baa096bbb8f3be0",
        (
            "6e3b29fb9bdb9c3aa33ecfd16118ea0808ac4ee8eb81d0906262b96455c1a961"
            "001a4b848bb5a25a3f7fbe57804f4e2a311dc507901f1746e0dae4032110b70c"
        ),
    ),
]
SECOND_BYTES = (
    b'{"author":"humd_56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c","body":'
    b'{"content":"Say HELLO.","cwd":"/tmp","modelId":"claude-haiku-4-5"},"chi":"prompt",'
    b'"prev_hash":"b10e188509a563ec97b052c22454bb7b44e30cff961737ceacf6a0497dfb6fe5","rid":"p1",'
    b'"seq":2,"sid":"hum-X","ts_ms":1700000000005}'
)


def event_bytes(event: Event) -> bytes:
    """The canonical bytes, as the rule for JSON makes them of the fields."""
    fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    del fields["sig"]
    whole = fields | {"body": orjson.loads(event.body)}
    return json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize(("event", "digest", "sig"), VECTORS)
def test_an_event_has_the_hash_and_signature_of_its_vector(
    event: Event, digest: str, sig: str
) -> None:
    canonical = event_bytes(event)

    assert hash_of(canonical) == digest
    assert KEY.sign(canonical).hex() == sig
    assert verify(KEY.public, canonical, bytes.fromhex(sig))


def test_the_canonical_bytes_are_written_out_in_the_vectors() -> None:
    assert event_bytes(SECOND) == SECOND_BYTES
    assert b'"delta":"h\xc3\xa9llo\\n\xe2\x98\x95"' in event_bytes(THIRD)


@pytest.mark.parametrize(("event", "digest", "sig"), VECTORS)
def test_a_stored_line_is_the_canonical_bytes_with_the_signature_put_in(
    event: Event, digest: str, sig: str
) -> None:
    signed = replace(event, sig=sig)
    line = stored_line(signed)

    expected = event_bytes(event).replace(b',"ts_ms":', b',"sig":"' + sig.encode() + b'","ts_ms":')
    assert line == expected + b"\n"
    assert split_line(line[:-1]) == (event_bytes(event), sig)
    assert read_event(line[:-1]) == signed
    assert hashlib.sha256(split_line(line[:-1])[0]).hexdigest() == digest


def test_the_builder_writes_the_vectors_when_every_event_is_signed() -> None:
    builder = GroupBuilder(AUTHOR, KEY, GENESIS, signing=Signing.EVERY)

    for event, _, _ in VECTORS:
        one = draft(chi=event.chi, rid=event.rid, sid=event.sid, body=event.body)
        builder.add([one], event.ts_ms)
    built = builder.seal()

    assert built.data == b"".join(stored_line(replace(event, sig=sig)) for event, _, sig in VECTORS)
    assert built.head.hash == VECTORS[-1][1]
    assert built.head.ts_ms == THIRD.ts_ms


def test_within_a_group_only_the_last_event_is_signed_and_hashes_are_the_same() -> None:
    builder = GroupBuilder(AUTHOR, KEY, GENESIS)

    for event, _, _ in VECTORS:
        one = draft(chi=event.chi, rid=event.rid, sid=event.sid, body=event.body)
        builder.add([one], event.ts_ms)
    first, second, third = [read_event(line) for line in builder.seal().data.split(b"\n")[:-1]]

    assert (first.sig, second.sig) == (None, None)
    assert third.sig == VECTORS[2][2]
    assert first == FIRST
    assert second == SECOND


def test_time_never_goes_back_within_a_chain() -> None:
    builder = GroupBuilder(AUTHOR, KEY, GENESIS)
    one = draft(chi="pulse", rid="r", sid=None, body=b"{}")

    builder.add([one], 2_000)
    builder.add([one], 1_000)

    times = [read_event(line).ts_ms for line in builder.seal().data.split(b"\n")[:-1]]
    assert times == [2_000, 2_000]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{",
        b'{"author":"x"}',
        stored_line(SECOND)[:-1].replace(b'"seq":2', b'"seq":"2"'),
        stored_line(SECOND)[:-1].replace(b'"chi"', b'"chi "'),
        stored_line(SECOND)[:-1].replace(b'"seq":2', b'"seq": 2'),
    ],
)
def test_what_is_not_an_event_is_refused(line: bytes) -> None:
    with pytest.raises(MalformedEvent):
        read_event(line)


@pytest.mark.parametrize("line", [b"", b"{}", SECOND_BYTES, SECOND_BYTES[:-1] + b',"sig":nul}'])
def test_a_line_without_its_ending_has_no_canonical_bytes(line: bytes) -> None:
    with pytest.raises(MalformedEvent):
        split_line(line)
