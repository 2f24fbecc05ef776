"""Parcels and frames of the bus."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrum import frames
from thrum.errors import MalformedTone
from thrum.frames import Header
from thrum.tones import Tone

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
maybe_text = st.none() | texts
bodies = st.dictionaries(
    texts, st.integers(-(2**63), 2**64 - 1) | texts | st.binary(max_size=4) | st.lists(st.floats())
)
tones = st.builds(
    Tone,
    chi=texts.filter(bool),
    rid=maybe_text,
    sid=maybe_text,
    sender=maybe_text,
    to=maybe_text,
    dusk=st.none() | st.integers(-(2**63), 2**64 - 1),
    wane=st.none() | st.integers(0, 2**64 - 1),
    seq=st.integers(0, 2**64 - 1),
    client=maybe_text,
    fan=st.integers(0, 1),
    body=st.dictionaries(texts, st.integers(-(2**63), 2**64 - 1) | texts),
)


def packed(tone: Tone) -> bytes:
    return frames.pack(frames.header_of(tone), tone.body)


@given(st.lists(tones, max_size=5))
def test_a_run_of_tones_survives_one_frame(run: list[Tone]) -> None:
    frame = b"".join(map(packed, run))

    assert [frames.read_tone(parcel) for parcel in frames.read_frame(frame)] == run


@given(st.lists(tones, max_size=5))
def test_spans_cover_the_frame_without_a_gap(run: list[Tone]) -> None:
    parcels = [packed(tone) for tone in run]
    frame = b"".join(parcels)

    spans = frames.read_spans(frame)

    assert [frame[span.start : span.end] for span in spans] == parcels


@given(bodies)
def test_a_body_is_handed_on_as_the_bytes_it_came_in(body: dict[str, object]) -> None:
    raw = frames.pack_body(body)

    (parcel,) = frames.read_frame(frames.pack_header(Header("x")) + raw)

    assert parcel == (Header("x"), raw)


@pytest.mark.parametrize(
    "header",
    [
        ["x"] * 9,
        ["x"] + [None] * 6 + [0, None, 0, 0],
        ["", None, None, None, None, None, None, 0, None, 0],
        [None, None, None, None, None, None, None, 0, None, 0],
        ["x", 7, None, None, None, None, None, 0, None, 0],
        ["x", None, b"s", None, None, None, None, 0, None, 0],
        ["x", None, None, None, None, 1.5, None, 0, None, 0],
        ["x", None, None, None, None, None, -1, 0, None, 0],
        ["x", None, None, None, None, None, None, -1, None, 0],
        ["x", None, None, None, None, None, None, None, None, 0],
        ["x", None, None, None, None, None, None, 0, 7, 0],
        ["x", None, None, None, None, None, None, 0, None, True],
        {"chi": "x"},
        "x",
    ],
)
def test_a_header_with_a_wrong_slot_spoils_the_frame(header: object) -> None:
    good = frames.pack(Header("x"), {})

    with pytest.raises(MalformedTone):
        frames.read_frame(good + msgpack.packb(header) + msgpack.packb({}))


@pytest.mark.parametrize("body", [[], "text", None, 7, b"raw"])
def test_a_body_that_is_no_map_spoils_the_frame(body: object) -> None:
    with pytest.raises(MalformedTone):
        frames.read_frame(frames.pack_header(Header("x")) + msgpack.packb(body))


@pytest.mark.parametrize(
    "raw",
    [
        msgpack.packb({1: 2}),
        msgpack.packb({b"k": 2}),
        msgpack.packb({"a": {7: 1}}),
        msgpack.packb([1]),
        b"\x81",
        b"\x81\xa1a\xd9\x01\xff",
        b"\x81\xa1a" + b"\x91" * 5_000,
    ],
)
def test_a_body_without_text_keys_is_a_documented_error(raw: bytes) -> None:
    with pytest.raises(MalformedTone):
        frames.read_body(raw)


@pytest.mark.parametrize("value", [{1, 2}, object(), 2**64, "\ud800"])
def test_a_value_that_cannot_travel_is_refused_and_leaves_the_packer_usable(value: object) -> None:
    with pytest.raises(MalformedTone):
        frames.pack_body({"fine": 1, "v": value})

    assert frames.read_body(frames.pack_body({"a": 1})) == {"a": 1}


def test_a_frame_has_a_bounded_number_of_parcels() -> None:
    parcel = frames.pack(Header("x"), {})

    assert len(frames.read_frame(parcel * frames.PARCELS_MAX)) == frames.PARCELS_MAX
    with pytest.raises(MalformedTone):
        frames.read_frame(parcel * (frames.PARCELS_MAX + 1))


@pytest.mark.parametrize("size", [0, 1, 14, 15, 16, 17, 65_535, 65_536])
def test_a_packed_body_can_be_extended_without_touching_what_is_there(size: int) -> None:
    body = {f"k{number}": number for number in range(size)}
    raw = frames.pack_body(body)
    entries = msgpack.packb("foragerTools") + msgpack.packb([{"name": "read"}])

    longer = frames.extend_body(raw, entries, 1)

    assert frames.read_body(longer) == {**body, "foragerTools": [{"name": "read"}]}


@given(st.binary(max_size=300))
def test_any_bytes_are_parcels_or_a_documented_error(frame: bytes) -> None:
    try:
        parcels = frames.read_frame(frame)
        for parcel in parcels:
            frames.read_tone(parcel)
    except MalformedTone:
        return
    assert parcels or not frame


@given(tones, st.data())
def test_a_damaged_frame_is_parcels_or_a_documented_error(tone: Tone, data: st.DataObject) -> None:
    frame = bytearray(packed(tone) * 2)
    at = data.draw(st.integers(0, len(frame) - 1))
    frame[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(frame)))

    try:
        for parcel in frames.read_frame(bytes(frame[:cut])):
            frames.read_tone(parcel)
    except MalformedTone:
        pass
