"""What a service of messages is asked, and how its events are read."""

from typing import Any

import orjson
import pytest

from workers.core.anthropic import ANSWER_TOKENS, AnthropicWire, MessageCompletion
from workers.core.completions import CompletionFailed
from workers.core.conversation import OUR_SIGNATURE

HI: Any = [{"role": "user", "content": "hi"}]
TOOL = {"type": "function", "function": {"name": "look", "parameters": None}}
WIRE = AnthropicWire()


def body(**fields: Any) -> Any:
    return WIRE.body({"model": "m", "messages": HI, **fields})


def event(kind: str, **fields: Any) -> bytes:
    return orjson.dumps({"type": kind, **fields})


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "look"}}},
            {"type": "tool", "name": "look"},
        ),
    ],
)
def test_a_choice_among_tools_is_said_in_the_dialects_words(fields: Any, choice: Any) -> None:
    asked = body(tools=[TOOL], **fields)

    assert asked.get("tool_choice") == choice
    assert asked["tools"][0]["input_schema"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, {"max_tokens": ANSWER_TOKENS, "stream": True}),
        ({"max_tokens": 9, "temperature": 0}, {"max_tokens": 9, "temperature": 0}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["A", "B"]}, {"stop_sequences": ["A", "B"]}),
        (
            {"anthropic": {"fields": {"model": "other", "metadata": {"a": 1}}}},
            {"model": "m", "metadata": {"a": 1}},
        ),
    ],
)
def test_what_an_asker_chose_is_said_in_the_dialects_words(fields: Any, wanted: Any) -> None:
    asked = body(**fields)

    assert {name: asked[name] for name in wanted} == wanted


def test_roles_take_turns_and_only_thinking_that_a_service_signed_goes_back() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    ours = {"type": "thinking", "thinking": "hm", "signature": OUR_SIGNATURE}
    theirs = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    messages = [
        {"role": "system", "content": "Be kind."},
        *HI,
        {"role": "assistant", "content": "", "tool_calls": [call], "thinking": [ours, theirs]},
        {"role": "tool", "tool_call_id": "c", "content": "x", "is_error": True},
        {"role": "user", "content": "and?"},
    ]

    asked = body(messages=messages)

    assert asked["system"] == "Be kind."
    assert [message["role"] for message in asked["messages"]] == ["user", "assistant", "user"]
    _, said, answered = (message["content"] for message in asked["messages"])
    assert [block["type"] for block in said] == ["thinking", "tool_use"]
    assert said[0] == theirs
    assert answered == [
        {"type": "tool_result", "tool_use_id": "c", "content": "x", "is_error": True},
        {"type": "text", "text": "and?"},
    ]


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("end_turn", "end_turn"),
        ("stop_sequence", "end_turn"),
        ("tool_use", "end_turn"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
    ],
)
def test_reasons_to_end_are_told_in_our_words(reason: str, stop: str) -> None:
    completion = MessageCompletion()
    completion.take([event("message_delta", delta={"stop_reason": reason})])

    assert completion.stop == stop


def test_counts_are_totals_and_never_fall() -> None:
    completion = MessageCompletion()
    first = {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 1}
    completion.take([event("message_start", message={"usage": first})])
    completion.take([event("message_delta", usage={"output_tokens": 6})])
    completion.take([event("message_delta", usage={"output_tokens": 8, "input_tokens": 0})])

    assert completion.usage.body() == {
        "input_tokens": 9, "output_tokens": 8, "cache_read_input_tokens": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "code"),
    [("overloaded_error", 529), ("rate_limit_error", 429), ("odd_error", "odd_error")],
)
def test_an_error_in_the_stream_has_the_status_of_its_type(kind: str, code: int | str) -> None:
    with pytest.raises(CompletionFailed) as caught:
        MessageCompletion().take([event("error", error={"type": kind, "message": "no"})])

    assert caught.value.code == code
    assert orjson.loads(str(caught.value.body))["error"]["type"] == kind


def test_events_are_grouped_by_their_blocks() -> None:
    delta, start = event("content_block_delta"), event("content_block_start")

    assert WIRE.grouped([delta, start, delta, start]) == [[delta], [start, delta], [start]]
