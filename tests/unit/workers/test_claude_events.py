"""What the lines of `claude` mean."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.core.claude_events import (
    UNEXPLAINED,
    Began,
    Called,
    Ended,
    Event,
    Reading,
    Redacted,
    Returned,
    Text,
    Thought,
)

Line = dict[str, Any]


def read(*lines: Line, reading: Reading | None = None) -> list[Event]:
    reading = reading or Reading()
    return [event for line in lines for event in reading.take(orjson.dumps(line))]


def stream(kind: str, **fields: Any) -> Line:
    return {"type": "stream_event", "event": {"type": kind, **fields}}


def delta(kind: str, **fields: Any) -> Line:
    return stream("content_block_delta", index=0, delta={"type": kind, **fields})


def start(message_id: str = "m", **usage: int) -> Line:
    return stream("message_start", message={"id": message_id, "model": "opus", "usage": usage})


def whole(*content: Line, message_id: str = "m", **fields: Any) -> Line:
    return {"type": "assistant", "message": {"id": message_id, "content": content}, **fields}


def result(subtype: str = "success", **fields: Any) -> Line:
    return {"type": "result", "subtype": subtype, "is_error": False, **fields}


def test_a_session_begins() -> None:
    line = {"type": "system", "subtype": "init", "session_id": "u", "model": "m", "tools": ["Bash"]}

    assert read(line) == [Began("u", "m", ("Bash",))]


def test_pieces_are_told_as_they_come() -> None:
    found = read(
        start(),
        delta("thinking_delta", thinking="hm"),
        delta("signature_delta", signature="sig"),
        stream("content_block_start", content_block={"type": "redacted_thinking", "data": "x"}),
        delta("text_delta", text="hel"),
        delta("text_delta", text="lo"),
        delta("input_json_delta", partial_json="{"),
        stream("content_block_stop", index=1),
    )  # fmt: skip

    assert found == [
        Thought("hm"), Thought(signature="sig"), Redacted("x"), Text("hel"), Text("lo"),
    ]  # fmt: skip


def test_text_counts_once_whether_it_was_streamed_or_not() -> None:
    text = {"type": "text", "text": "hello"}

    assert read(start("m"), delta("text_delta", text="hello"), whole(text, message_id="m")) == [
        Text("hello")
    ]
    assert read(whole(text, message_id="n")) == [Text("hello")]
    assert read({"type": "assistant", "message": {"model": "<synthetic>", "content": [text]}}) == []
    assert read(result(result="hello")) == [Text("hello"), Ended()]
    assert read(whole(text), result(result="hello")) == [Text("hello"), Ended()]


def test_tools_of_the_program_are_told_and_ours_are_not() -> None:
    own = {"type": "tool_use", "id": "a", "name": "Bash", "input": {"command": "ls"}}
    ours = {"type": "tool_use", "id": "b", "name": "mcp__hum__look", "input": {}}
    results = [
        {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "x"}]},
        {"type": "tool_result", "tool_use_id": "b", "content": "y"},
    ]

    found = read(whole(own, ours), {"type": "user", "message": {"content": results}})

    assert found == [Called("a", "Bash", {"command": "ls"}), Returned("a", "x")]


def test_what_sub_agents_say_is_not_the_answer() -> None:
    text = {"type": "text", "text": "aside"}

    assert read(whole(text, parent_tool_use_id="toolu_1")) == []
    assert read({**delta("text_delta", text="aside"), "parent_tool_use_id": "toolu_1"}) == []


@pytest.mark.parametrize(
    ("stop", "reason"),
    [("end_turn", "end_turn"), ("max_tokens", "length"), ("refusal", "content_filter")],
)
def test_the_last_message_says_why_it_stopped(stop: str, reason: str) -> None:
    found = read(stream("message_delta", delta={"stop_reason": stop}), result())

    assert found == [Ended(reason)]


def test_a_bound_of_the_program_makes_a_short_answer() -> None:
    assert read(result("error_max_turns", is_error=True)) == [Ended("length")]


@pytest.mark.parametrize(
    ("fields", "error", "code"),
    [
        ({"is_error": True, "result": "it is 529", "api_error_status": 529}, "it is 529", 529),
        ({"subtype": "error_during_execution", "errors": ["a", "b"]}, "a; b", None),
        ({"is_error": True, "error": "no credit"}, "no credit", None),
        ({"is_error": True}, UNEXPLAINED, None),
    ],
)  # fmt: skip
def test_a_failure_is_told_in_the_best_words_there_are(
    fields: Line, error: str, code: int | None
) -> None:
    assert read({**result(), **fields}) == [Ended("error", error, code)]


def test_what_it_cost_is_what_the_program_says_and_else_what_its_messages_say() -> None:
    reading = Reading()
    read(
        start("a", input_tokens=10, output_tokens=1),
        stream("message_delta", delta={}, usage={"output_tokens": 7}),
        start("b", input_tokens=20, output_tokens=1, cache_read_input_tokens=5),
        reading=reading,
    )
    assert reading.usage == {
        "input_tokens": 30, "output_tokens": 8,
        "cache_read_input_tokens": 5, "cache_creation_input_tokens": 0,
    }  # fmt: skip
    assert reading.model == "opus"

    found = read(result(usage={"input_tokens": 31, "output_tokens": 9}, total_cost_usd=0.5,
                        num_turns=2), reading=reading)  # fmt: skip

    assert reading.usage["input_tokens"] == 31
    assert found == [Ended(about={"totalCostUsd": 0.5, "rounds": 2})]


def test_what_is_no_object_is_counted_and_skipped() -> None:
    reading = Reading()

    assert reading.take(b"Warning: deprecated") == []
    assert reading.take(b"[1]") == []
    assert reading.skipped == 2


NAMES = (
    "type event message content index delta text thinking usage result errors id name input "
    "content_block tool_use_id subtype is_error stop_reason input_tokens"
)
KINDS = (
    "stream_event",
    "assistant",
    "user",
    "result",
    "text",
    "tool_use",
    "message_start",
    7,
    None,
)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(NAMES.split()), inner, max_size=6)


LINES = objects(st.sampled_from(KINDS) | objects(st.sampled_from(KINDS) | st.just([{}, 7])))


@given(st.lists(LINES, max_size=4))
def test_no_line_breaks_the_reading(lines: list[Any]) -> None:
    reading = Reading()

    for line in lines:
        assert isinstance(reading.take(orjson.dumps(line)), list)
