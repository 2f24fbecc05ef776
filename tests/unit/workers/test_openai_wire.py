"""What a service of chat completions is asked, and what its refusals teach."""

from typing import Any

import pytest

from workers.core.wires import OpenaiWire

HI: Any = [{"role": "user", "content": "hi"}]
ASKED: Any = {"model": "m", "messages": HI, "max_tokens": 9}


def test_what_the_dialect_does_not_have_stays_behind() -> None:
    foreign = {"top_k": 3, "num_ctx": 9, "thinking": {}, "think": True, "anthropic": {"beta": "a"}}

    body = OpenaiWire().body({**ASKED, "top_p": 0.5, **foreign})

    assert body == {
        **ASKED, "top_p": 0.5, "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip


def test_that_a_tool_failed_is_said_in_its_text() -> None:
    told = {"role": "tool", "tool_call_id": "c", "content": "deaf", "is_error": True}
    thought = {"role": "assistant", "content": "hm", "thinking": [{"type": "thinking"}]}

    body = OpenaiWire().body({**ASKED, "messages": [*HI, thought, told]})

    assert body["messages"][1:] == [
        {"role": "assistant", "content": "hm"},
        {"role": "tool", "tool_call_id": "c", "content": "error: deaf"},
    ]


def test_a_service_may_have_another_name_for_the_bound_on_its_answer() -> None:
    wire = OpenaiWire()

    assert wire.learn(wire.body(ASKED), 400, "use max_completion_tokens instead")
    body = wire.body(ASKED)

    assert body["max_completion_tokens"] == 9
    assert "max_tokens" not in body
    assert not wire.learn({**body, "stream_options": None}, 500, "max_completion_tokens")


@pytest.mark.parametrize("status", [400, 422])
def test_a_service_that_refuses_usage_in_a_stream_is_not_asked_for_it(status: int) -> None:
    wire = OpenaiWire()

    assert wire.learn(wire.body(ASKED), status, "unknown field")
    assert "stream_options" not in wire.body(ASKED)
    assert not wire.learn(wire.body(ASKED), status, "unknown field")


def test_once_a_service_took_it_a_refusal_is_about_something_else() -> None:
    wire = OpenaiWire()
    wire.accepted(wire.body(ASKED))

    assert not wire.learn(wire.body(ASKED), 400, "the prompt is too long")
    assert "stream_options" in wire.body(ASKED)
