"""What a turn cost, in each dialect's words."""

from typing import Any

import orjson
import pytest

from foragers.core.answers import Answer
from foragers.core.anthropic import answers as anthropic
from foragers.core.ollama import answers as ollama
from foragers.core.openai import answers as openai
from foragers.core.openai import response_answers as responses
from thrum.tones import Tone

COUNTS = {
    "input_tokens": 1,
    "cache_read_input_tokens": 20,
    "cache_creation_input_tokens": 300,
    "output_tokens": 4_000,
}
FORMS: list[Any] = [
    pytest.param(
        openai.Folded("a", "m", 0),
        {
            "prompt_tokens": 321,
            "completion_tokens": 4_000,
            "total_tokens": 4_321,
            "prompt_tokens_details": {"cached_tokens": 20},
        },
        id="chat",
    ),
    pytest.param(
        responses.Folded("resp_a", "m", 0, echo={}),
        {
            "input_tokens": 321,
            "input_tokens_details": {"cached_tokens": 20},
            "output_tokens": 4_000,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 4_321,
        },
        id="responses",
    ),
    pytest.param(anthropic.Folded("msg_a", "m", 0, thinks=False), COUNTS, id="messages"),
    pytest.param(
        ollama.Folded("m", 0, shape=ollama.CHAT, now_ns=lambda: 0),
        {"prompt_eval_count": 321, "eval_count": 4_000},
        id="ollama",
    ),
]


@pytest.mark.parametrize(("answer", "wanted"), FORMS)
def test_input_from_and_into_the_services_cache_is_counted(
    answer: Answer, wanted: dict[str, Any]
) -> None:
    """Where the dialect has one number for input, it is all of it (hives 11.4)."""
    body = {"finishReason": "end_turn", "usage": COUNTS}
    said = orjson.loads(answer.feed([Tone(chi="finish", sid="s", body=body)]))

    told = said.get("usage") or said
    assert {name: told[name] for name in wanted} == wanted


@pytest.mark.parametrize("form", [openai.Folded, openai.Streamed])
def test_the_answers_of_one_turn_tell_its_usage_in_parts(form: Any) -> None:
    """What the answer with the tool calls told is not told again by the one that ends the turn."""
    more = {"wants_usage": True} if form is openai.Streamed else {}
    first, second = form("a", "m", 0, **more), form("b", "m", 0, **more)
    spent = {"chunkType": "usage", "usage": {"input_tokens": 10, "output_tokens": 2}}
    call = {"callId": "c", "toolName": "look", "args": {}}

    first.feed([Tone(chi="chunk", sid="s", body=spent), Tone(chi="tool-call", sid="s", body=call)])
    told = first.yielded()
    second.spent_before = first.spent
    usage = {"input_tokens": 25, "output_tokens": 7}
    told_last = second.feed(
        [Tone(chi="finish", sid="s", body={"finishReason": "end_turn", "usage": usage})]
    )

    assert b'"prompt_tokens":10,"completion_tokens":2,' in told
    assert b'"prompt_tokens":15,"completion_tokens":5,' in told_last
