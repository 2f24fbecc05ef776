"""A tone as a line of JSON."""

import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrum.errors import MalformedTone
from thrum.frames import header_of, pack, read_frame, read_tone
from thrum.lines import DEPTH_MAX, MARKS_MAX, flat_of, read_line, tone_of, write_line
from thrum.tones import Tone

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
envelope = st.sampled_from(["rid", "sid", "from", "to", "sigil", "wane", "dusk", "sentAt", "ext"])
flats = st.builds(
    lambda chi, body: {**body, "chi": chi},
    texts.filter(bool),
    st.dictionaries(envelope | texts, values, max_size=6),
)


def refuses(line: bytes) -> bool:
    try:
        read_line(line)
    except MalformedTone:
        return True
    return False


@given(flats)
def test_a_flat_object_survives_the_way_to_a_tone_and_back(flat: dict[str, Any]) -> None:
    tone = read_line(orjson.dumps(flat))

    assert tone is not None
    assert orjson.loads(write_line(tone)) == flat


@given(flats)
def test_a_flat_object_survives_the_way_over_the_bus(flat: dict[str, Any]) -> None:
    """Idea 4: bytes pass through, unknown fields survive."""
    tone = read_line(orjson.dumps(flat))
    assert tone is not None

    (parcel,) = read_frame(pack(header_of(tone), tone.body))

    assert orjson.loads(write_line(read_tone(parcel))) == flat


@given(flats)
def test_a_line_is_ascii_and_ends_with_its_only_newline(flat: dict[str, Any]) -> None:
    line = write_line(tone_of(flat))

    assert line.isascii()
    assert line.index(b"\n") == len(line) - 1


def test_an_envelope_key_of_another_type_stays_in_the_body() -> None:
    tone = read_line(b'{"chi":"x","rid":7,"sid":null,"dusk":1.0,"wane":-1,"from":"a","to":[]}')

    assert tone == Tone(
        chi="x", sender="a", body={"rid": 7, "sid": None, "dusk": 1.0, "wane": -1, "to": []}
    )
    assert read_line(b'{"chi":"x","dusk":true,"wane":true}') == Tone(
        chi="x", body={"dusk": True, "wane": True}
    )


def test_an_envelope_slot_wins_over_a_body_key_of_its_name() -> None:
    assert flat_of(Tone(chi="x", rid="slot", body={"rid": 7, "n": 1})) == {
        "chi": "x",
        "rid": "slot",
        "n": 1,
    }


def test_absent_slots_are_left_out() -> None:
    assert write_line(Tone(chi="x")) == b'{"chi":"x"}\n'


@pytest.mark.parametrize("line", [b"", b"\r", b"  \t", b"\n"])
def test_a_blank_line_means_nothing(line: bytes) -> None:
    assert read_line(line) is None


def test_a_carriage_return_is_tolerated() -> None:
    assert read_line(b'{"chi":"x"}\r\n') == Tone(chi="x")


@pytest.mark.parametrize(
    "line",
    [
        b"garbage",
        b"[]",
        b"7",
        b'"chi"',
        b"null",
        b"{}",
        b'{"chi":""}',
        b'{"chi":7}',
        b'{"chi":null}',
        b'{"chi":["hello"]}',
        b'{"chi":"x","n":NaN}',
        b'{"chi":"x","n":Infinity}',
        b'{"chi":"x","n":-Infinity}',
        b'{"chi":"x","t":"\\ud800"}',
        b'{"chi":"x","t":"\x01"}',
        b'{"chi":"x","t":"\xff"}',
        b'{"chi":"x",}',
        b'{"chi":"x"} {"chi":"y"}',
        b'\xef\xbb\xbf{"chi":"x"}',
        b"{'chi':'x'}",
        b'{"chi":"x","n":01}',
        b'{"chi":"x"',
        b'{"chi":"x\\u0000',
    ],
)
def test_what_the_strict_grammar_does_not_know_is_no_tone(line: bytes) -> None:
    assert refuses(line)


def test_integers_are_exact_up_to_64_bits_and_doubles_beyond() -> None:
    tone = read_line(
        b'{"chi":"x","a":18446744073709551615,"b":-9223372036854775808,"c":18446744073709551616}'
    )

    assert tone is not None
    assert tone.body["a"] == 2**64 - 1
    assert tone.body["b"] == -(2**63)
    assert type(tone.body["c"]) is float
    assert tone.body["c"] == 2.0**64


def test_the_last_of_two_equal_keys_wins() -> None:
    assert read_line(b'{"chi":"x","a":1,"a":2}') == Tone(chi="x", body={"a": 2})


@pytest.mark.parametrize("brackets", [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_up_to_the_limit_is_read_and_deeper_is_not(brackets: tuple[bytes, bytes]) -> None:
    opening, closing = brackets

    def nested(levels: int) -> bytes:
        inside = opening * (levels - 1) + b"1" + closing * (levels - 1)
        return b'{"chi":"x","a":' + inside + b"}"

    assert not refuses(nested(DEPTH_MAX))
    assert refuses(nested(DEPTH_MAX + 1))


def test_brackets_inside_strings_are_text() -> None:
    text = '[{"\\' * DEPTH_MAX
    line = orjson.dumps({"chi": "x", "t": text, text: [text]})

    tone = read_line(line)

    assert tone is not None
    assert tone.body == {"t": text, text: [text]}


def test_escapes_do_not_hide_nesting() -> None:
    deep = b"[" * DEPTH_MAX + b"]" * DEPTH_MAX

    assert refuses(b'{"chi":"x","t":"\\\\","a":' + deep + b"}")
    assert refuses(b'{"chi":"x","t":"\\\\\\"","a":' + deep + b"}")


def test_a_line_of_too_many_parts_is_refused_before_it_is_decoded() -> None:
    """Reliability I1: memory stays bounded whatever a line of legal length unfolds to."""
    assert refuses(b'{"chi":"x","a":[' + b"0," * MARKS_MAX + b"0]}")
    assert refuses(b'{"chi":"x","a":[' + b"[]," * (MARKS_MAX // 2) + b"0]}")
    assert refuses(b'{"chi":"x","a":' + b"[" * (4 * MARKS_MAX))


def test_a_long_text_full_of_commas_and_brackets_is_fine() -> None:
    text = "a,b,[c],{d}\n" * 200_000

    tone = read_line(orjson.dumps({"chi": "prompt", "content": text}))

    assert tone is not None
    assert tone.body == {"content": text}


@given(st.integers(0, 3), st.integers(1, 5), st.integers(1024 * 1024 - 40, 1024 * 1024 + 40))
def test_where_pieces_of_a_long_line_meet_strings_stay_strings(
    slashes: int, brackets: int, filling: int
) -> None:
    text = "[" * 200 + "\\" * slashes + '"' + "[" * brackets

    tone = read_line(orjson.dumps({"chi": "x", "fill": "a" * filling, "t": text}))

    assert tone is not None
    assert tone.body["t"] == text


@pytest.mark.parametrize("text", ["e", "é"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_does_not_have_is_null(value: float, text: str) -> None:
    line = write_line(Tone(chi="finish", body={"v": value, "t": text}))

    assert orjson.loads(line) == {"chi": "finish", "v": None, "t": text}
    assert line.isascii()


@pytest.mark.parametrize("value", [b"raw", {1, 2}, 2**64, {7: 1}])
def test_what_json_cannot_express_is_refused(value: object) -> None:
    tone = Tone(chi="x", body={"v": value, "t": "é"})

    with pytest.raises(MalformedTone):
        write_line(tone)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_tone_or_a_documented_error(line: bytes) -> None:
    try:
        tone = read_line(line)
    except MalformedTone:
        return
    assert tone is None or tone.chi
