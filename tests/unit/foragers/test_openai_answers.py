"""Tones of a turn become a chat completion, streamed or whole."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foragers.core.calls import CALLS_MAX
from foragers.core.openai.answers import Folded, Streamed
from thrum.tones import Tone

ANSWER_ID = "chatcmpl-" + "A" * 28 + "B" * 24


def chunk(**body: Any) -> Tone:
    return Tone(chi="chunk", sid="s", body=body)


def text(delta: str) -> Tone:
    part = {"type": "text", "text": delta}
    return chunk(chunkType="text_delta", blockIdx=0, delta=delta, part=part)


def finish(reason: str = "end_turn", **usage: int) -> Tone:
    return Tone(chi="finish", sid="s", body={"finishReason": reason, "usage": usage or None})


def tool_call(call_id: str, name: str, **args: Any) -> Tone:
    body = {"callId": call_id, "toolName": name, "name": name, "args": args}
    return Tone(chi="tool-call", sid="s", body=body)


def streamed(*, wants_usage: bool = False, model: str | None = "m") -> Streamed:
    return Streamed(ANSWER_ID, model, 7, wants_usage=wants_usage)


def folded() -> Folded:
    return Folded(ANSWER_ID, "m", 7)


def events(said: bytes) -> list[Any]:
    """The data of every event: JSON, or the word that ends a stream."""
    assert said == b"" or said.endswith(b"\n\n")
    pieces = [piece.removeprefix(b"data: ") for piece in said.split(b"\n\n") if piece]
    return [piece if piece == b"[DONE]" else orjson.loads(piece) for piece in pieces]


def deltas(said: bytes) -> list[Any]:
    return [
        event["choices"][0]["delta"]
        for event in events(said)
        if event != b"[DONE]" and event["choices"]
    ]


def test_a_stream_begins_with_the_role_and_ends_with_a_reason_and_done() -> None:
    answer = streamed()

    first = answer.feed([text("Hel"), text("lo")])
    last = answer.feed([finish()])

    assert deltas(first) == [
        {"role": "assistant", "content": ""},
        {"content": "Hel"},
        {"content": "lo"},
    ]
    end, done = events(last)
    assert end["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert done == b"[DONE]"
    assert answer.is_over


def test_every_event_names_the_same_answer_object_time_and_model() -> None:
    said = streamed(wants_usage=True).feed([text("x"), finish(input_tokens=1, output_tokens=2)])

    for event in events(said)[:-1]:
        assert (event["id"], event["created"], event["model"]) == (ANSWER_ID, 7, "m")
        assert event["object"] == "chat.completion.chunk"
        assert all(choice["index"] == 0 for choice in event["choices"])


def test_usage_comes_last_without_choices_when_it_was_asked_for() -> None:
    answer = streamed(wants_usage=True)

    *chunks, last, done = events(
        answer.feed(
            [
                text("x"),
                finish(
                    input_tokens=1,
                    cache_read_input_tokens=10,
                    cache_creation_input_tokens=100,
                    output_tokens=5,
                ),
            ]
        )
    )

    assert all(event["usage"] is None for event in chunks)
    assert last["choices"] == []
    assert last["usage"] == {
        "prompt_tokens": 111, "completion_tokens": 5, "total_tokens": 116,
        "prompt_tokens_details": {"cached_tokens": 10},
    }  # fmt: skip
    assert done == b"[DONE]"


def test_usage_is_not_sent_unasked_and_not_made_up() -> None:
    assert b"usage" not in streamed().feed([text("x"), finish(input_tokens=1)])
    assert len(events(streamed(wants_usage=True).feed([finish()]))) == 3


def test_reasoning_is_told_apart_from_content() -> None:
    said = streamed().feed([chunk(chunkType="reasoning_delta", blockIdx=0, delta="hm")])

    assert deltas(said)[1] == {"reasoning_content": "hm"}


def test_text_is_read_from_the_part_only_when_there_is_no_flat_form() -> None:
    answer = streamed()

    said = answer.feed([chunk(part={"type": "text", "text": "part"}), text("flat")])

    assert [delta.get("content") for delta in deltas(said)] == ["", "part", "flat"]


@pytest.mark.parametrize(
    "tone",
    [
        chunk(chunkType="text_start", blockIdx=0),
        chunk(chunkType="content_block_stop", blockIdx=0),
        chunk(chunkType="text_delta", delta=""),
        chunk(chunkType="text_delta", delta=7),
        chunk(chunkType="tool_executed", output="secret"),
        chunk(chunkType="tool_input_delta", partialJson="{"),
        chunk(part={"type": "tool_use", "text": "x"}),
        chunk(),
        Tone(chi="pulse", sid="s", body={"kind": "cell-spawned"}),
        Tone(chi="session-ready", sid="s", body={"model": "m"}),
        Tone(chi="tool-call", sid="s", body={"callId": "c"}),
    ],
)
def test_other_tones_say_nothing_and_do_not_begin_the_answer(tone: Tone) -> None:
    assert streamed().feed([tone]) == b""


def test_the_worker_names_the_model_when_the_client_did_not() -> None:
    answer = streamed(model=None)

    said = answer.feed([Tone(chi="session-ready", body={"model": "big"}), text("x")])

    assert {event["model"] for event in events(said)} == {"big"}
    assert events(streamed(model=None).feed([text("x")]))[0]["model"] == "hum"


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("end_turn", "stop"),
        ("success", "stop"),
        ("stop", "stop"),
        ("cancelled", "stop"),
        ("anything", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("content_filter", "content_filter"),
        ("refusal", "content_filter"),
        ("tool_use", "stop"),
    ],
)
def test_the_reason_to_end_is_translated(reason: str, told: str) -> None:
    said = folded().feed([finish(reason)])

    assert orjson.loads(said)["choices"][0]["finish_reason"] == told


def test_tool_calls_are_told_one_by_one_and_the_turn_goes_on() -> None:
    answer = streamed()

    said = answer.feed([tool_call("w1", "look", at="sky"), tool_call("w2", "hear")])
    rest = answer.yielded()

    first, second = (delta["tool_calls"][0] for delta in deltas(said)[1:])
    assert (first["index"], second["index"]) == (0, 1)
    assert first["type"] == "function"
    assert first["function"] == {"name": "look", "arguments": '{"at":"sky"}'}
    assert second["function"] == {"name": "hear", "arguments": "{}"}
    assert events(rest)[0]["choices"][0]["finish_reason"] == "tool_calls"
    assert events(rest)[-1] == b"[DONE]"
    assert [call.call_id for call in answer.calls] == ["w1", "w2"]


def test_clients_get_call_ids_of_ours_short_enough_for_every_service() -> None:
    answer = streamed()

    answer.feed([tool_call("same", "a")] * CALLS_MAX)

    shown = [call.shown_id for call in answer.calls]
    assert len(set(shown)) == CALLS_MAX
    assert max(map(len, shown)) <= 40
    assert shown[0] == "call_" + "B" * 24 + "_0"


def test_too_many_tool_calls_fail_the_turn() -> None:
    answer = streamed()

    answer.feed([tool_call(str(number), "a") for number in range(CALLS_MAX + 1)])

    assert answer.failure is not None
    assert answer.failure.status == 502


def test_a_whole_answer_is_one_object() -> None:
    answer = folded()

    assert answer.feed([chunk(chunkType="reasoning_delta", delta="hm"), text("Hel")]) == b""
    said = answer.feed([text("lo"), finish(input_tokens=3, output_tokens=2)])

    assert orjson.loads(said) == {
        "id": ANSWER_ID, "object": "chat.completion", "created": 7, "model": "m",
        "choices": [{
            "index": 0, "logprobs": None, "finish_reason": "stop",
            "message": {
                "role": "assistant", "content": "Hello", "refusal": None,
                "reasoning_content": "hm",
            },
        }],
        "usage": {
            "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
    }  # fmt: skip


def test_a_whole_answer_to_a_client_that_named_no_model_names_the_one_that_answered() -> None:
    end = finish()
    end.body["model"] = "big-2026"

    assert orjson.loads(Folded(ANSWER_ID, None, 7).feed([text("x"), end]))["model"] == "big-2026"
    assert orjson.loads(Folded(ANSWER_ID, "m", 7).feed([text("x"), end]))["model"] == "m"
    assert orjson.loads(Folded(ANSWER_ID, None, 7).feed([text("x"), finish()]))["model"] == "hum"


def test_a_whole_answer_with_calls_has_no_content() -> None:
    answer = folded()

    assert answer.feed([tool_call("w", "look")]) == b""
    choice = orjson.loads(answer.yielded())["choices"][0]

    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"][0]["id"] == answer.calls[0].shown_id


@pytest.mark.parametrize("make", [streamed, folded])
def test_an_error_fails_the_answer_and_what_follows_is_dropped(make: Any) -> None:
    answer = make()

    said = answer.feed(
        [Tone(chi="error", body={"message": "gone", "qualifier": "worker.lost"}), text("late")]
    )

    assert said == b""
    assert answer.is_over
    assert answer.failure.status == 502


def test_a_finish_for_the_reason_error_is_no_clean_end() -> None:
    answer = streamed()

    assert answer.feed([finish("error")]) == b""
    assert answer.failure is not None


@given(st.lists(st.text(), max_size=20), st.data())
def test_whatever_the_batches_the_client_reads_the_text_that_was_written(
    pieces: list[str], data: st.DataObject
) -> None:
    tones = [text(piece) for piece in pieces] + [finish()]
    cut = data.draw(st.integers(0, len(tones)))
    whole, parts = streamed(), streamed()

    at_once = whole.feed(tones)
    in_two = parts.feed(tones[:cut]) + parts.feed(tones[cut:])

    assert at_once == in_two
    assert "".join(delta.get("content", "") for delta in deltas(at_once)) == "".join(pieces)
