"""What streamed events add up to."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.core import completions
from workers.core.completions import (
    DONE,
    ChatCompletion,
    Completion,
    CompletionFailed,
    Usage,
    read_arguments,
)


def delta(finish: str | None = None, **fields: Any) -> bytes:
    return orjson.dumps({"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]})


def call(index: int | None, arguments: object = None, **fields: Any) -> dict[str, Any]:
    function: dict[str, Any] = {}
    if arguments is not None:
        function["arguments"] = arguments
    if "name" in fields:
        function["name"] = fields.pop("name")
    return {**({} if index is None else {"index": index}), **fields, "function": function}


def completed(*events: bytes) -> Completion:
    completion = ChatCompletion()
    completion.take(events)
    return completion


def test_the_text_of_one_read_comes_as_one_piece() -> None:
    completion = ChatCompletion()

    piece = completion.take([delta(content="Hel"), delta(content="lo")])

    assert (piece.text, piece.reasoning) == ("Hello", "")
    assert completion.message() == {"role": "assistant", "content": "Hello"}


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_no_part_of_the_message(field: str) -> None:
    completion = ChatCompletion()

    piece = completion.take([delta(**{field: "Hm"}), delta(content="x")])

    assert piece.reasoning == "Hm"
    assert completion.message()["content"] == "x"


def test_a_refusal_is_text() -> None:
    assert completed(delta(refusal="No.")).text == ["No."]


def test_parallel_calls_are_gathered_by_index() -> None:
    completion = completed(
        delta(tool_calls=[call(0, "", id="a", name="f"), call(1, "", id="b", name="g")]),
        delta(tool_calls=[call(1, '{"y":')]),
        delta(tool_calls=[call(0, '{"x":1}'), call(1, "2}")]),
        delta("tool_calls"),
    )

    assert completion.wants_calls
    calls = [(one.id, one.name, one.arguments) for one in completion.calls.values()]
    assert calls == [("a", "f", '{"x":1}'), ("b", "g", '{"y":2}')]


def test_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    completion = completed(
        delta(tool_calls=[call(None, {"x": 1}, id="a", name="f")]),
        delta(tool_calls=[call(None, '{"y":', id="b", name="g")]),
        delta(tool_calls=[call(None, "2}")]),
        delta("stop"),
    )

    arguments = [one.arguments for one in completion.calls.values()]
    assert arguments == ['{"x":1}', '{"y":2}']
    assert completion.wants_calls


def test_a_completion_that_was_cut_off_wants_no_calls() -> None:
    completion = completed(delta(tool_calls=[call(0, '{"x', id="a", name="f")]), delta("length"))

    assert not completion.wants_calls
    assert completion.stop == "length"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("stop", "end_turn"),
        ("tool_calls", "end_turn"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("something_new", "something_new"),
        ("x" * 100, "x" * 64),
    ],
)
def test_finish_reasons_are_told_in_our_words(theirs: str, ours: str) -> None:
    assert completed(delta(theirs)).stop == ours


def test_cached_input_is_counted_apart_and_the_last_usage_counts() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 2}
    cached = {**usage, "prompt_tokens_details": {"cached_tokens": 4}}

    completion = completed(
        orjson.dumps({"choices": [], "usage": usage}), orjson.dumps({"usage": cached})
    )

    total = Usage(1, 1)
    total.add(completion.usage)
    assert total.body() == {
        "input_tokens": 7,
        "output_tokens": 3,
        "cache_read_input_tokens": 4,
    }


def test_nothing_is_taken_after_done() -> None:
    completion = completed(delta("stop", content="a"), DONE, delta(content="b"))

    assert completion.is_done
    assert completion.text == ["a"]


def test_a_whole_completion_is_understood() -> None:
    message = {"content": "Hi", "tool_calls": [call(None, "{}", id="a", name="f")]}
    whole = {"choices": [{"message": message, "finish_reason": "tool_calls"}]}

    completion = completed(orjson.dumps(whole))

    assert completion.text == ["Hi"]
    assert [one.name for one in completion.calls.values()] == ["f"]


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        ({"message": "full", "code": 503}, "full", 503),
        ({"message": "bad", "type": "invalid"}, "bad", "invalid"),
        ("plain", "plain", None),
        ({"message": {"deep": 1}}, '{"deep":1}', None),
        ({"code": "c" * 100}, "the service named no reason", "c" * 64),
    ],
)
def test_an_error_in_the_stream_is_a_failure(
    error: object, message: str, code: int | str | None
) -> None:
    with pytest.raises(CompletionFailed) as failed:
        completed(orjson.dumps({"error": error}))

    assert (failed.value.message, failed.value.code) == (message, code)


@pytest.mark.parametrize("event", [b"{", b"[]", b"null", b"\xff"])
def test_an_event_that_is_no_object_is_a_failure(event: bytes) -> None:
    with pytest.raises(CompletionFailed):
        completed(event)


KEYS = (
    *("choices", "delta", "content", "tool_calls", "index", "id", "function", "name", "arguments"),
    *("usage", "prompt_tokens", "finish_reason", "error", "message"),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_any_json_is_taken_or_refused_as_documented(value: object) -> None:
    completion = ChatCompletion()
    try:
        completion.take([orjson.dumps(value)])
    except CompletionFailed:
        return
    completion.message()


def test_too_many_calls_are_refused() -> None:
    with pytest.raises(CompletionFailed, match="tool calls"):
        completed(*(delta(tool_calls=[call(n)]) for n in range(completions.CALLS_MAX + 1)))


def test_an_endless_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completions, "TEXT_CHARS_MAX", 10)
    monkeypatch.setattr(completions, "ARGUMENTS_CHARS_MAX", 10)

    with pytest.raises(CompletionFailed, match="answer longer"):
        completed(delta(content="x" * 11))
    with pytest.raises(CompletionFailed, match="arguments longer"):
        completed(delta(tool_calls=[call(0, "x" * 11)]))


@pytest.mark.parametrize(
    ("text", "arguments"),
    [("", {}), (" ", {}), ('{"a":1}', {"a": 1}), ("[]", None), ("{", None), ("null", None)],
)
def test_arguments_are_a_json_object_or_refused(
    text: str, arguments: dict[str, Any] | None
) -> None:
    assert read_arguments(text) == arguments
