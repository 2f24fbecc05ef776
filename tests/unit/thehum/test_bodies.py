"""Bodies of events out of parcels of the bus, and back."""

import math
from typing import Any

import msgpack
import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.unit.thehum.chains import AUTHOR, KEY, keep

from thehum.core.bodies import Via, read_drafts, restore_body
from thehum.core.events import GENESIS, opening, read_event
from thehum.core.groups import GroupBuilder
from thrum import frames
from thrum.canonical import dumps
from thrum.errors import MalformedTone
from thrum.frames import Header
from thrum.redaction import without_named

VIA = Via("mwq.7", "c1", None)
CHUNK = Header("chunk", "r1", "s1")


def mint() -> str:
    return "minted"


def parcel(body: object, header: Header = CHUNK) -> bytes:
    packed: bytes = msgpack.packb(body)
    return frames.pack_header(header) + packed


def logged(parcels: bytes, via: Via = VIA) -> list[Any]:
    """The events as they would stand in the log."""
    builder = GroupBuilder(AUTHOR, KEY, GENESIS)
    drafts, _ = read_drafts(parcels, via=via, mint=mint, keep=keep(), first_seq=1)
    builder.add(drafts, 1)
    return [read_event(line) for line in builder.seal().data.split(b"\n")[:-1]]


def body_of(parcels: bytes) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(logged(parcels)[0].body)
    return body


def test_a_body_gets_the_header_slots_and_how_it_came() -> None:
    header = Header("chunk", "r1", "s1", "wbee_1", "humd_2", 17, 3, 42)

    (event,) = logged(parcel({"delta": "x", "ext": {"b": 1, "a": None}}, header))

    assert (event.chi, event.rid, event.sid) == ("chunk", "r1", "s1")
    assert event.body == (
        b'{"@via":{"batch":"mwq.7","client":"c1","link":42,"peer":null},"delta":"x","dusk":17,'
        b'"ext":{"a":null,"b":1},"from":"wbee_1","to":"humd_2","wane":3}'
    )


def test_slots_that_are_not_set_and_link_number_zero_leave_no_key() -> None:
    (event,) = logged(parcel({}), Via("e.1", None, "humd_9"))

    assert event.body == b'{"@via":{"batch":"e.1","client":null,"peer":"humd_9"}}'


@pytest.mark.parametrize("key", ["", "!", "0", "@", "@a", "@vib", "\x00", '"', "\\", "A", "é"])
def test_how_it_came_stands_at_its_place_whatever_the_other_keys_are(key: str) -> None:
    (event,) = logged(parcel({key: 1}))

    fields = orjson.loads(event.body)
    assert fields[key] == 1
    assert dumps(fields) == event.body


def test_a_forged_via_is_dropped() -> None:
    assert body_of(parcel({"@via": {"client": "somebody else"}, "a": 1}))["@via"]["client"] == "c1"


@pytest.mark.parametrize("rid", [None, ""])
def test_a_tone_without_a_rid_gets_one(rid: str | None) -> None:
    (event,) = logged(parcel({}, Header("hello", rid)))

    assert event.rid == "minted"
    assert event.sid is None


@pytest.mark.parametrize(
    "body",
    [
        {"raw": b"\x00\xff"},
        {"deep": {"nan": math.nan}},
        {"list": [1.0, math.inf]},
        {"ext": msgpack.ExtType(5, b"x")},
        {1: "a key that is no text"},
        {"in": {2: 3}},
        {"when": msgpack.Timestamp(1, 2)},
        {"@msgpack": "gA=="},
        {"@msgpack": None, "a": 1},
    ],
)
def test_a_body_that_json_cannot_express_is_kept_byte_for_byte(body: dict[Any, Any]) -> None:
    header = Header("chunk", "r1", "s1", "wbee_1")

    kept = body_of(parcel({"plain": 1}, header) + parcel(body, header))
    second = logged(parcel({"plain": 1}, header) + parcel(body, header))[1]
    fields = orjson.loads(second.body)

    assert kept["plain"] == 1
    assert fields["from"] == "wbee_1"
    assert fields["@via"] == {"batch": "mwq.7", "client": "c1", "peer": None}
    assert msgpack.packb(restore_body(fields)) == msgpack.packb(body)


def test_a_body_deeper_than_json_goes_is_kept_too() -> None:
    body: dict[str, Any] = {}
    for _ in range(400):
        body = {"a": body}

    assert restore_body(body_of(parcel(body))) == body


def test_a_list_as_a_key_is_kept_too() -> None:
    raw = b"\x81\x91\x01\x02"  # {[1]: 2}

    fields = body_of(frames.pack_header(Header("chunk", "r")) + raw)

    assert fields.keys() == {"@msgpack", "@via"}


def test_text_that_is_not_utf8_is_kept_too() -> None:
    raw = b"\x81\xa1a\xa2\xff\xfe"

    fields = body_of(frames.pack_header(Header("chunk", "r")) + raw)

    assert fields.keys() == {"@msgpack", "@via"}


@pytest.mark.parametrize("parcels", [b"\xc1", b"\x91\x01", parcel({})[:-1], parcel([1])])
def test_what_is_not_a_run_of_parcels_is_refused_whole(parcels: bytes) -> None:
    with pytest.raises(MalformedTone):
        read_drafts(parcel({"good": 1}) + parcels, via=VIA, mint=mint, keep=keep(), first_seq=1)


def test_a_restored_body_is_without_header_slots_but_with_look_alikes() -> None:
    header = Header("chunk", "r", None, "wbee_1", None, 5, 6)

    restored = restore_body(body_of(parcel({"to": 7, "x": 1}, header)))

    assert restored == {"to": 7, "x": 1}


text = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | text
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(text.filter(lambda key: key != "@via"), values, max_size=5))
def test_whatever_is_routed_can_be_restored_from_the_log(body: dict[str, Any]) -> None:
    assume(without_named(body) == body)
    (event,) = logged(parcel(body, Header("chunk", "r", None, "f", "t", 1, 2)))
    fields = orjson.loads(event.body)
    taken = {"from": str, "to": str, "dusk": int}

    restored = restore_body(fields)

    expected = {
        key: value
        for key, value in body.items()
        if "@msgpack" in fields or (key != "wane" and key not in taken)
    }
    assert msgpack.packb(restored, use_bin_type=True) == _sorted_alike(expected, restored)
    assert event.body == dumps(fields)
    assert event.body.startswith(b"{")
    assert opening(AUTHOR).startswith(b'{"author":')


def _sorted_alike(expected: Any, restored: Any) -> bytes:
    """Pack `expected` with its maps in the order of `restored`; the log sorts keys."""

    def alike(left: Any, right: Any) -> Any:
        if isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
            return {key: alike(left[key], right[key]) for key in right}
        if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
            return [alike(one, other) for one, other in zip(left, right, strict=True)]
        return left

    packed: bytes = msgpack.packb(alike(expected, restored))
    return packed
