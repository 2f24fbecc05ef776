"""A turn as lines of JSON, and what a request without words gets (hives 13, 19.3)."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from foragers.core.dialect import Asked
from foragers.core.ollama.answers import CHAT, GENERATE, Folded, Shape, Streamed
from foragers.core.ollama.requests import read_chat, read_generate
from thrum.tones import Tone


def chunk(kind: str, delta: str) -> Tone:
    return Tone(chi="chunk", sid="s", body={"chunkType": kind, "delta": delta})


def finish(reason: str = "end_turn") -> Tone:
    usage = {"input_tokens": 3, "output_tokens": 2}
    return Tone(chi="finish", sid="s", body={"finishReason": reason, "usage": usage})


def clock(*seconds: int) -> Callable[[], int]:
    """A clock that tells these times, and the last one for ever."""
    left = list(seconds)
    return lambda: (left.pop(0) if len(left) > 1 else left[0]) * 1_000_000_000


TEXT = chunk("text_delta", "Hi")
THOUGHT = chunk("reasoning_delta", "hm")
CALL = Tone(chi="tool-call", sid="s", body={"callId": "c", "toolName": "look", "args": {"at": 1}})
CALLED = [{"function": {"name": "look", "arguments": {"at": 1}}}]


def lines_of(raw: bytes) -> list[Any]:
    return [orjson.loads(line) for line in raw.splitlines()]


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (
            CHAT,
            [
                {"message": {"role": "assistant", "content": "", "thinking": "hm"}},
                {"message": {"role": "assistant", "content": "Hi"}},
                {"message": {"role": "assistant", "content": "", "tool_calls": CALLED}},
                {"message": {"role": "assistant", "content": ""}},
            ],
        ),
        (
            GENERATE,
            [
                {"response": "", "thinking": "hm"},
                {"response": "Hi"},
                {"response": ""},
                {"response": ""},
            ],
        ),
    ],
)
def test_everything_is_a_line_and_the_last_one_is_done(shape: Shape, said: list[Any]) -> None:
    answer = Streamed("m", 0, shape=shape, now_ns=lambda: 0)

    lines = lines_of(answer.feed([THOUGHT, TEXT, CALL, finish()]))

    assert [
        {name: line[name] for name in told} for line, told in zip(lines, said, strict=True)
    ] == said
    assert [line["done"] for line in lines] == [False, False, False, True]
    assert {line["model"] for line in lines} == {"m"}


def test_a_whole_chat_has_text_thinking_and_calls() -> None:
    said = Folded("m", 0, shape=CHAT, now_ns=lambda: 0).feed([THOUGHT, TEXT, CALL, finish()])

    (line,) = lines_of(said)
    assert line["message"] == {
        "role": "assistant", "content": "Hi", "thinking": "hm", "tool_calls": CALLED,
    }  # fmt: skip
    assert line["done"] is True


@pytest.mark.parametrize("form", [Folded, Streamed])
@pytest.mark.parametrize(
    ("reason", "told"),
    [("end_turn", "stop"), ("success", "stop"), ("length", "length"), ("content_filter", "stop")],
)
def test_the_reason_to_end_is_one_of_the_dialect(
    form: type[Folded | Streamed], reason: str, told: str
) -> None:
    said = form("m", 0, shape=CHAT, now_ns=lambda: 0).feed([TEXT, finish(reason)])

    assert lines_of(said)[-1]["done_reason"] == told


def test_durations_are_those_before_and_after_the_first_word() -> None:
    answer = Folded("m", 0, shape=CHAT, now_ns=clock(10, 12, 17))

    (line,) = lines_of(answer.feed([TEXT, finish()]))

    told = {name: line[name] / 1e9 for name in line if name.endswith("_duration")}
    assert told == {
        "total_duration": 7, "load_duration": 0, "prompt_eval_duration": 2, "eval_duration": 5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("keep_alive", "told"),
    [
        (None, "load"),
        ("5m", "load"),
        (-1, "load"),
        (0, "unload"),
        ("0", "unload"),
        ("0s", "unload"),
    ],
)
def test_a_request_without_words_loads_or_unloads(keep_alive: Any, told: str) -> None:
    raw = orjson.dumps({"model": "m:latest", "keep_alive": keep_alive})
    for read in (read_chat, read_generate):
        (line,) = lines_of(read(raw, Asked(path="/", headers={})).ready)

        assert (line["model"], line["done"], line["done_reason"]) == ("m", True, told)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"options": {"num_ctx": 9, "num_predict": 5}}, {"contextTokens": 9, "maxTokens": 5}),
        ({"options": {"num_predict": -1}}, {}),
        ({"options": {"num_predict": 0, "seed": None, "mirostat": 1}}, {}),
        ({"options": {"frequency_penalty": 0.5, "top_k": 3}}, {"frequencyPenalty": 0.5, "topK": 3}),
        ({"think": False}, {"think": False}),
        ({"think": "high"}, {"think": "high"}),
        ({"format": "json"}, {"responseFormat": {"type": "json_object"}}),
        ({"format": ""}, {}),
    ],
)
def test_options_become_sampling(asked: Any, wanted: Any) -> None:
    messages = [{"role": "user", "content": "hi"}]
    raw = orjson.dumps({"model": "m", "messages": messages, **asked})

    assert read_chat(raw, Asked(path="/", headers={})).prompt.get("sampling", {}) == wanted


@pytest.mark.parametrize(("stream", "form"), [(None, Streamed), (True, Streamed), (False, Folded)])
def test_an_answer_is_streamed_unless_the_client_wants_it_whole(stream: Any, form: type) -> None:
    messages = [{"role": "user", "content": "hi"}]
    raw = orjson.dumps({"model": "m", "messages": messages, "stream": stream})

    assert type(read_chat(raw, Asked(path="/", headers={})).answer("id", 0)) is form
