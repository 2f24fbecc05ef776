"""What a messages request chooses, and what is counted of it (hives 12)."""

from typing import Any

import orjson
import pytest

from foragers.core.anthropic.answers import Folded
from foragers.core.anthropic.requests import count_body, read_message_request
from foragers.core.dialect import Asked, Request
from thrum.tones import Tone

HI = {"role": "user", "content": "hi"}


def read(*messages: Any, **fields: Any) -> Request:
    raw = orjson.dumps({"model": "m", "max_tokens": 9, "messages": messages or [HI], **fields})
    return read_message_request(raw, Asked(path="/", headers={}))


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"tool_choice": {"type": "auto"}}, {"toolChoice": "auto"}),
        ({"tool_choice": {"type": "any"}}, {"toolChoice": "required"}),
        ({"tool_choice": {"type": "none"}}, {"toolChoice": "none"}),
        (
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            {"toolChoice": "auto", "parallelToolCalls": False},
        ),
        (
            {"tool_choice": {"type": "tool", "name": "look"}},
            {"toolChoice": {"type": "function", "function": {"name": "look"}}},
        ),
        ({"temperature": 0, "top_k": 3}, {"temperature": 0, "topK": 3}),
        ({"stop_sequences": ["END"]}, {"stop": ["END"]}),
    ],
)
def test_what_a_client_chose_is_said_in_our_words(fields: Any, wanted: Any) -> None:
    assert read(**fields).prompt["sampling"] == {"maxTokens": 9, **wanted}


@pytest.mark.parametrize(
    ("kind", "thinks"), [("enabled", True), ("adaptive", True), ("disabled", False)]
)
def test_thinking_is_told_to_whoever_asked_for_it(kind: str, thinks: bool) -> None:
    answer = read(thinking={"type": kind}).answer("id", 0)
    thought = {"chunkType": "reasoning_delta", "delta": "hm"}
    end = {"finishReason": "end_turn"}

    said = answer.feed([Tone(chi="chunk", body=thought), Tone(chi="finish", body=end)])

    assert isinstance(answer, Folded)
    assert (b'"thinking"' in said) is thinks


def test_a_system_message_may_stand_among_the_others() -> None:
    request = read(HI, {"role": "system", "content": "Remember."}, system="Be kind.")

    assert request.prompt["systemPrompt"] == "Be kind.\n\nRemember."
    assert request.prompt["content"] == "hi"


@pytest.mark.parametrize("name", ["system", "tools", "messages"])
def test_all_that_the_model_reads_is_counted(name: str) -> None:
    long = "x" * 3_500
    more: dict[str, Any] = {
        "system": long,
        "tools": [{"name": "look", "description": long}],
        "messages": [{"role": "user", "content": long}],
    }
    asked = {"model": "m", "messages": [HI]}

    counted = [
        orjson.loads(count_body(orjson.dumps(body)))["input_tokens"]
        for body in (asked, {**asked, name: more[name]})
    ]

    assert 990 < counted[1] - counted[0] < 1_050
