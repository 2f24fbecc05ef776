"""A turn as a message: one block after the other, whole or streamed (hives 12, 19.2)."""

from typing import Any

import orjson
import pytest

from foragers.core.anthropic.answers import OUR_SIGNATURE, Folded, Streamed
from foragers.core.anthropic.errors import error_body, status_of
from foragers.core.errors import ApiError
from thrum.tones import Tone


def chunk(kind: str, **fields: Any) -> Tone:
    return Tone(chi="chunk", sid="s", body={"chunkType": kind, **fields})


def finish(reason: str = "end_turn") -> Tone:
    usage = {"input_tokens": 3, "output_tokens": 2}
    return Tone(chi="finish", sid="s", body={"finishReason": reason, "usage": usage})


def call(name: str) -> Tone:
    body = {"callId": name, "toolName": name, "args": {"at": name}}
    return Tone(chi="tool-call", sid="s", body=body)


TEXT = chunk("text_delta", delta="Hi")
THOUGHT = chunk("reasoning_delta", delta="hm")
SIGNED = chunk("reasoning_signature", signature="sig")
REDACTED = chunk("reasoning_redacted", data="???")


def events_of(raw: bytes) -> list[dict[str, Any]]:
    found = []
    for event in raw.split(b"\n\n")[:-1]:
        name, data = event.split(b"\n")
        body = orjson.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + body["type"].encode()
        found.append(body)
    return found


def steps_of(raw: bytes) -> list[str]:
    """Each event by what it does, and to which block."""
    steps = []
    for event in events_of(raw):
        what = event["type"].removeprefix("content_block_")
        about = event.get("content_block") or event.get("delta") or {}
        steps.append(
            " ".join(str(x) for x in (what, event.get("index"), about.get("type")) if x is not None)
        )
    return steps


STREAMS: list[Any] = [
    pytest.param(
        [TEXT, TEXT],
        ["start 0 text", "delta 0 text_delta", "delta 0 text_delta", "stop 0"],
        id="text",
    ),
    pytest.param(
        [THOUGHT, TEXT],
        [
            "start 0 thinking", "delta 0 thinking_delta", "delta 0 signature_delta", "stop 0",
            "start 1 text", "delta 1 text_delta", "stop 1",
        ],
        id="thinking that nobody signed",
    ),
    pytest.param(
        [THOUGHT, SIGNED, THOUGHT],
        [
            "start 0 thinking", "delta 0 thinking_delta", "delta 0 signature_delta", "stop 0",
            "start 1 thinking", "delta 1 thinking_delta", "delta 1 signature_delta", "stop 1",
        ],
        id="thinking that was signed, and more",
    ),
    pytest.param(
        [SIGNED, REDACTED],
        [
            "start 0 thinking", "delta 0 signature_delta", "stop 0",
            "start 1 redacted_thinking", "stop 1",
        ],
        id="thinking that nobody is shown",
    ),
    pytest.param(
        [TEXT, call("look"), call("hear")],
        [
            "start 0 text", "delta 0 text_delta", "stop 0",
            "start 1 tool_use", "delta 1 input_json_delta", "stop 1",
            "start 2 tool_use", "delta 2 input_json_delta", "stop 2",
        ],
        id="text and calls",
    ),
    pytest.param([], [], id="nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("tones", "steps"), STREAMS)
def test_each_block_is_stopped_before_the_next_begins(tones: list[Tone], steps: list[str]) -> None:
    answer = Streamed("msg_a", "m", 0, thinks=True)

    said = answer.feed([*tones, finish()])

    assert steps_of(said) == [
        "message_start", "ping", *steps, "message_delta", "message_stop",
    ]  # fmt: skip
    first, *_, last, _ = events_of(said)
    assert first["message"]["content"] == []
    assert first["message"]["usage"]["output_tokens"] == 0
    assert last["usage"]["output_tokens"] == 2


def test_a_call_begins_without_input_and_its_deltas_are_the_arguments() -> None:
    said = Streamed("msg_a", "m", 0, thinks=False).feed([call("look"), finish()])

    start, delta = events_of(said)[2:4]
    assert start["content_block"]["input"] == {}
    assert orjson.loads(delta["delta"]["partial_json"]) == {"at": "look"}


@pytest.mark.parametrize("form", [Folded, Streamed])
@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("end_turn", "end_turn"),
        ("success", "end_turn"),
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("max_tokens", "max_tokens"),
        ("content_filter", "refusal"),
        ("tool_calls", "end_turn"),
    ],
)
def test_the_reason_to_end_is_one_of_the_dialect(
    form: type[Folded | Streamed], reason: str, told: str
) -> None:
    said = form("msg_a", "m", 0, thinks=False).feed([TEXT, finish(reason)])

    ended = orjson.loads(said) if form is Folded else events_of(said)[-2]["delta"]
    assert (ended["stop_reason"], ended["stop_sequence"]) == (told, None)


def test_a_message_that_waits_begins_and_pings() -> None:
    answer = Streamed("msg_a", "m", 0, thinks=False)

    assert steps_of(answer.silence()) == ["message_start", "ping", "ping"]
    assert steps_of(answer.silence()) == ["ping"]
    assert steps_of(answer.feed([TEXT]))[0] == "start 0 text"


WHOLE: list[Any] = [
    pytest.param([TEXT, TEXT], [{"type": "text", "text": "HiHi"}], id="text"),
    pytest.param(
        [THOUGHT, THOUGHT, TEXT],
        [
            {"type": "thinking", "thinking": "hmhm", "signature": OUR_SIGNATURE},
            {"type": "text", "text": "Hi"},
        ],
        id="thinking that nobody signed",
    ),
    pytest.param(
        [THOUGHT, SIGNED, THOUGHT, REDACTED, SIGNED],
        [
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "thinking", "thinking": "hm", "signature": OUR_SIGNATURE},
            {"type": "redacted_thinking", "data": "???"},
            {"type": "thinking", "thinking": "", "signature": "sig"},
        ],
        id="thinking in all its forms",
    ),
]


@pytest.mark.parametrize(("tones", "blocks"), WHOLE)
def test_a_whole_message_has_the_same_blocks(tones: list[Tone], blocks: list[Any]) -> None:
    said = Folded("msg_a", "m", 0, thinks=True).feed([*tones, finish()])

    assert orjson.loads(said)["content"] == blocks


@pytest.mark.parametrize("form", [Folded, Streamed])
def test_who_did_not_ask_for_thinking_is_told_none(form: type[Folded | Streamed]) -> None:
    said = form("msg_a", "m", 0, thinks=False).feed([THOUGHT, SIGNED, REDACTED, TEXT, finish()])

    assert b"thinking" not in said
    assert b"sig" not in said
    assert b"Hi" in said


@pytest.mark.parametrize(
    ("status", "told", "kind"),
    [
        (400, 400, "invalid_request_error"),
        (401, 401, "authentication_error"),
        (403, 403, "permission_error"),
        (404, 404, "not_found_error"),
        (405, 405, "invalid_request_error"),
        (413, 413, "request_too_large"),
        (429, 429, "rate_limit_error"),
        (500, 500, "api_error"),
        (502, 502, "api_error"),
        (503, 529, "overloaded_error"),
        (529, 529, "overloaded_error"),
    ],
)
def test_every_status_has_its_type(status: int, told: int, kind: str) -> None:
    body = orjson.loads(error_body(ApiError(status, "why"), "req_1"))

    assert status_of(status) == told
    assert body == {
        "type": "error", "error": {"type": kind, "message": "why"}, "request_id": "req_1",
    }  # fmt: skip
