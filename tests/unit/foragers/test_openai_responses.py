"""Responses: input items become a conversation, and a failed stream says so in its own way."""

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foragers.core.dialect import Asked
from foragers.core.errors import ApiError
from foragers.core.openai.items import messages_of
from foragers.core.openai.response_answers import Folded, Streamed
from foragers.core.openai.responses import read_response
from thrum.tones import Tone


def events_of(raw: bytes) -> list[dict[str, Any]]:
    lines = [line for line in raw.split(b"\n") if line.startswith(b"data: ")]
    return [orjson.loads(line.removeprefix(b"data: ")) for line in lines]


def text(delta: str) -> Tone:
    return Tone(chi="chunk", sid="s", body={"chunkType": "text_delta", "delta": delta})


def test_a_stream_that_failed_ends_with_what_there_was_and_the_reason() -> None:
    answer = Streamed("resp_R", "m", 7, echo={})

    begun = events_of(answer.feed([text("Hel")]))
    failed = events_of(answer.last_words(ApiError(429, "slow down")))

    assert [event["type"] for event in failed] == ["response.failed"]
    assert failed[0]["sequence_number"] == len(begun)
    assert failed[0]["response"]["error"] == {"code": "rate_limit_exceeded", "message": "slow down"}


def test_a_response_that_fails_after_nothing_but_silence_is_created_first() -> None:
    """Clients refuse a stream whose first event is another one."""
    answer = Streamed("resp_R", "m", 7, echo={})

    answer.silence()
    failed = events_of(answer.last_words(ApiError(502, "gone")))

    assert [(event["type"], event["sequence_number"]) for event in failed] == [
        ("response.created", 0), ("response.in_progress", 1), ("response.failed", 2),
    ]  # fmt: skip


def test_calls_beside_one_another_are_one_message() -> None:
    call = {"type": "function_call", "name": "look", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "a", "output": "x"}

    messages = messages_of(
        [
            {"role": "assistant", "content": [{"type": "output_text", "text": "Well."}]},
            {**call, "call_id": "a"},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {**call, "call_id": "b"},
            output,
        ]
    )

    assert [message["role"] for message in messages] == ["assistant", "tool"]
    assert [made["id"] for made in messages[0]["tool_calls"]] == ["a", "b"]
    assert messages[0]["content"] == "Well."


def test_what_was_said_is_remembered_as_a_message() -> None:
    answer = Folded("resp_R", "m", 7, echo={})
    call = {"callId": "c", "toolName": "look", "args": {"at": "x"}}

    answer.feed([text("Hel"), text("lo"), Tone(chi="tool-call", sid="s", body=call)])
    answer.yielded()

    assert answer.message()["content"] == "Hello"
    assert answer.message()["tool_calls"][0]["function"]["name"] == "look"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)
keys = st.sampled_from(
    ["input", "model", "tools", "text", "reasoning", "tool_choice", "conversation", "metadata"]
)


@given(st.dictionaries(keys, json_values, max_size=5))
def test_whatever_is_asked_is_read_or_refused(asked: dict[str, Any]) -> None:
    history: object = []
    with contextlib.suppress(ApiError):
        request = read_response(orjson.dumps(asked), Asked(path="/v1/responses", headers={}))
        history = request.prompt["history"]

    assert isinstance(history, list)


@pytest.mark.parametrize(
    "item",
    [
        7,
        {"role": "nobody", "content": "x"},
        {"type": "function_call", "name": "x"},
        {"role": "user"},
    ],
)
def test_a_wrong_item_is_named_by_its_place(item: Any) -> None:
    with pytest.raises(ApiError) as caught:
        messages_of([{"role": "user", "content": "hi"}, item])

    assert caught.value.param is not None
    assert caught.value.param.startswith("input[1]")


def test_each_item_is_done_before_the_next_begins() -> None:
    """hives 11.7, 19.1: what clients take calls and text from."""
    answer = Streamed("resp_R", "m", 7, echo={})
    call = {"callId": "c", "toolName": "look", "args": {"at": 1}}

    events = events_of(
        answer.feed([text("Hi"), Tone(chi="tool-call", sid="s", body=call)]) + answer.yielded()
    )

    assert [event["type"].removeprefix("response.") for event in events] == [
        "created", "in_progress",
        "output_item.added", "content_part.added", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta",
        "function_call_arguments.done", "output_item.done",
        "completed",
    ]  # fmt: skip
    opened, done = (event["item"] for event in (events[8], events[11]))
    assert (opened["arguments"], opened["status"]) == ("", "in_progress")
    assert (done["arguments"], done["status"]) == ('{"at":1}', "completed")
    assert done["id"] == opened["id"]
    assert events[7]["item"]["content"][0]["annotations"] == []


@pytest.mark.parametrize(
    ("reason", "status", "details"),
    [
        ("end_turn", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("refusal", "incomplete", {"reason": "content_filter"}),
    ],
)
@pytest.mark.parametrize("form", [Folded, Streamed])
def test_an_answer_that_was_cut_off_is_incomplete(
    form: Any, reason: str, status: str, details: Any
) -> None:
    answer = form("resp_R", "m", 7, echo={})
    said = answer.feed([text("Hi"), Tone(chi="finish", sid="s", body={"finishReason": reason})])

    ended = orjson.loads(said) if form is Folded else events_of(said)[-1]["response"]
    assert (ended["status"], ended["incomplete_details"]) == (status, details)
