"""How a tone becomes lines for a client."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thrum.errors import MalformedTone
from thrum.tones import Body, Tone
from thrumd.core.outbound import LINE_BYTES_SOFT_MAX, addressed, lines_of

NEST = "claude-cli"
DELTA: Body = {"chunkType": "text_delta", "blockIdx": 0, "delta": "hi"}
PART: Body = {"part": {"type": "text", "text": "hi"}}


def flats(tone: Tone) -> list[Body]:
    return [orjson.loads(line) for line in lines_of(addressed(tone, NEST))]


def flat(tone: Tone) -> Body:
    (only,) = flats(tone)
    return only


def test_a_tone_that_was_not_fanned_out_stays_as_it_is() -> None:
    tone = Tone(chi="prompt", rid="r", sid="hum-X", sender="asker", body={"content": "é"}, seq=7)

    assert flat(tone) == {
        "chi": "prompt",
        "rid": "r",
        "sid": "hum-X",
        "from": "asker",
        "content": "é",
    }


def test_a_fanned_out_tone_is_from_the_daemon_and_has_a_sigil_and_a_wane() -> None:
    tone = Tone(chi="finish", sid="hum-X", sender="wbee", wane=4, fan=1, client="c")

    assert flat(tone) == {
        "chi": "finish",
        "sid": "hum-X",
        "from": "daemon",
        "wane": 4,
        "sigil": "a841e5b0d39f",
    }


def test_a_sigil_that_is_there_is_kept() -> None:
    tone = Tone(chi="pulse", sid="hum-X", fan=1, body={"sigil": "own"})

    assert flat(tone)["sigil"] == "own"


@pytest.mark.parametrize("body", [DELTA, PART, {**DELTA, **PART}])
def test_a_text_chunk_reaches_every_client_in_both_dialects(body: Body) -> None:
    """Thrum 7.4: some clients read `delta`, others read `part`."""
    seen = flat(Tone(chi="chunk", sid="s", body=dict(body)))

    assert (seen["chunkType"], seen["delta"]) == ("text_delta", "hi")
    assert seen["part"] == {"type": "text", "text": "hi"}


@pytest.mark.parametrize(
    "body",
    [
        {"chunkType": "reasoning_delta", "delta": "hm"},
        {"chunkType": "text_start", "blockIdx": 0},
        {"chunkType": "tool_input_delta", "partialJson": "{"},
        {"part": {"type": "tool_use", "toolCall": {"id": "1"}}},
        {"chunkType": "text_delta", "delta": 7},
        {"chunkType": 7, "delta": "x"},
        {"part": "text"},
        {"delta": "x"},
        {},
    ],
)
def test_other_chunks_are_left_alone(body: Body) -> None:
    seen = flat(Tone(chi="chunk", body=dict(body)))

    assert seen == {"chi": "chunk", **body}


@pytest.mark.parametrize("name", ["askId", "permitId"])
def test_an_ask_reaches_every_client_under_both_of_its_names(name: str) -> None:
    seen = flat(Tone(chi="permission-ask", sid="s", body={name: "a", "tool": "bash"}))

    assert seen == {
        "chi": "permission-ask", "sid": "s", "askId": "a", "permitId": "a", "tool": "bash",
    }  # fmt: skip


@pytest.mark.parametrize("body", [{}, {"askId": 7}, {"permitId": ""}])
def test_an_ask_without_a_name_gets_none(body: Body) -> None:
    assert flat(Tone(chi="permission-ask", body=dict(body))) == {"chi": "permission-ask", **body}


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 4_000))
def test_a_divided_text_is_whole_again_when_joined(seed: str, times: int) -> None:
    text = (seed or "☕") * times
    tone = Tone(chi="chunk", sid="s", rid="r", wane=3, body={**DELTA, "delta": text, "keep": [1]})

    lines = lines_of(addressed(tone, NEST))

    assert all(len(line) <= LINE_BYTES_SOFT_MAX for line in lines)
    seen = [orjson.loads(line) for line in lines]
    assert "".join(piece["delta"] for piece in seen) == text
    assert "".join(piece["part"]["text"] for piece in seen) == text
    assert {(piece["rid"], piece["wane"], piece["keep"][0]) for piece in seen} == {("r", 3, 1)}


@pytest.mark.parametrize(
    ("kind", "key"), [("reasoning_delta", "delta"), ("tool_input_delta", "partialJson")]
)
def test_other_long_texts_are_divided_too(kind: str, key: str) -> None:
    body: Body = {"chunkType": kind, key: "x" * 200_000}

    pieces = flats(Tone(chi="chunk", body=body))

    assert len(pieces) > 1
    assert sum(len(piece[key]) for piece in pieces) == 200_000


@pytest.mark.parametrize(
    "tone",
    [
        Tone(chi="prompt", body={"content": "x" * 200_000}),
        Tone(chi="chunk", body={"chunkType": "tool_result", "result": "x" * 200_000}),
        Tone(chi="chunk", body={**DELTA, "ext": {"x": "x" * 200_000}}),
        Tone(chi="chunk", body={**DELTA, "delta": "x" * 200_000, "ext": {"x": "x" * 60_000}}),
    ],
)
def test_what_cannot_be_divided_goes_in_one_line(tone: Tone) -> None:
    assert len(flats(tone)) == 1


def test_a_body_that_json_cannot_express_is_a_documented_error() -> None:
    with pytest.raises(MalformedTone):
        lines_of(Tone(chi="chunk", body={"raw": b"\x00"}))
