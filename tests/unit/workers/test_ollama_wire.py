"""What an Ollama service is asked, and how its lines are read (features D7)."""

from typing import Any

import orjson
import pytest

from workers.core.completions import CompletionFailed
from workers.core.ollama import (
    CONTEXT_TOKENS,
    CONTEXT_TOKENS_MAX,
    LineCompletion,
    OllamaWire,
    context_in,
)

HI: Any = [{"role": "user", "content": "hi"}]


def line(**fields: Any) -> bytes:
    return orjson.dumps(fields)


@pytest.mark.parametrize(
    ("configured", "known", "asked", "context"),
    [
        (None, None, None, CONTEXT_TOKENS),
        (None, 4_096, None, 4_096),
        (None, 131_072, None, CONTEXT_TOKENS_MAX),
        (16_384, 4_096, None, 16_384),
        (16_384, 4_096, 65_536, 65_536),
        (None, 4_096, 0, 4_096),
    ],
)
def test_a_context_is_always_asked_for(
    configured: int | None, known: int | None, asked: int | None, context: int
) -> None:
    """The asker's word, then that of the settings, then what the model takes, within a bound."""
    wire = OllamaWire(configured)
    if known is not None:
        wire.contexts["m"] = known

    body = wire.body({"model": "m", "messages": HI, "num_ctx": asked})

    assert body["options"] == {"num_ctx": context}


def test_a_prompt_longer_than_its_context_for_certain_is_cut() -> None:
    wire = OllamaWire(10)
    longest = {"model": "m", "messages": [{"role": "user", "content": "x" * 80}]}
    longer = {"model": "m", "messages": [*longest["messages"], *HI]}

    assert not wire.cuts(longest)
    assert wire.cuts(longer)


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"max_tokens": 5}, {"options": {"num_ctx": CONTEXT_TOKENS, "num_predict": 5}}),
        ({"stop": "END"}, {"options": {"num_ctx": CONTEXT_TOKENS, "stop": ["END"]}}),
        ({"response_format": {"type": "json_object"}}, {"format": "json"}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"a": 1}}}},
            {"format": {"a": 1}},
        ),
        ({"think": "high"}, {"think": "high"}),
        ({"think": False, "reasoning_effort": "high"}, {"think": False}),
        ({"thinking": {"type": "adaptive"}}, {"think": True}),
    ],
)
def test_what_an_asker_chose_is_said_in_the_dialects_words(fields: Any, wanted: Any) -> None:
    body = OllamaWire().body({"model": "m", "messages": HI, **fields})

    assert {name: body[name] for name in wanted} == wanted


def test_results_go_by_the_names_of_their_tools() -> None:
    calls = [
        {"id": name, "type": "function", "function": {"name": f"to_{name}", "arguments": '{"x":1}'}}
        for name in "ab"
    ]
    results = [{"role": "tool", "tool_call_id": name, "content": name} for name in "ba"]
    said = {"role": "assistant", "content": None, "tool_calls": calls}

    told = OllamaWire().body({"model": "m", "messages": [*HI, said, *results]})["messages"]

    assert told[1]["tool_calls"][0] == {"function": {"name": "to_a", "arguments": {"x": 1}}}
    assert [entry["tool_name"] for entry in told[2:]] == ["to_b", "to_a"]


@pytest.mark.parametrize(
    ("reason", "stop"),
    [("stop", "end_turn"), ("length", "length"), ("load", "end_turn"), (None, "end_turn")],
)
def test_the_last_line_has_the_reason_and_what_it_cost(reason: str | None, stop: str) -> None:
    completion = LineCompletion()
    last = line(done=True, done_reason=reason, prompt_eval_count=7, eval_count=3)

    delta = completion.take([line(message={"content": "Hi", "thinking": "hm"}), last])

    assert (delta.text, delta.reasoning, completion.stop) == ("Hi", "hm", stop)
    assert (completion.usage.input_tokens, completion.usage.output_tokens) == (7, 3)
    assert completion.is_done


def test_an_error_in_a_line_is_a_failure() -> None:
    with pytest.raises(CompletionFailed, match="no room"):
        LineCompletion().take([line(error="no room", done=True)])


def test_a_model_is_offered_with_its_tag_and_without() -> None:
    body = {"models": [{"name": "a:latest"}, {"name": "b:7b"}]}

    assert set(OllamaWire().models(body)) == {"a", "a:latest", "b:7b"}


@pytest.mark.parametrize(
    ("show", "context"),
    [
        ({"model_info": {"general.name": "x", "llama.context_length": 4_096}}, 4_096),
        ({"model_info": {"llama.context_length": "4096"}}, None),
        ({"model_info": {}}, None),
        ({}, None),
        ([], None),
    ],
)
def test_what_a_model_takes_is_read_from_what_the_service_shows(show: Any, context: Any) -> None:
    assert context_in(show) == context
