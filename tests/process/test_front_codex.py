"""A session of the Codex CLI, in the shape of its requests, over the whole stack (features D2)."""

from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from tests.support.upstream import Answer, Fault, ScriptedUpstream, WantedCall

pytestmark = pytest.mark.process

MODEL = "test-model"
HEADERS = {
    "accept": "text/event-stream",
    "authorization": "Bearer hum",
    "originator": "codex_cli_rs",
    "session-id": "0199c0de-5e55-7000-8000-000000000001",
    "thread-id": "0199c0de-5e55-7000-8000-000000000001",
}


def said(role: str, text: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


TURN: dict[str, Any] = {
    "model": MODEL,
    "instructions": "You are a coding agent.",
    "input": [
        said("developer", "<permissions instructions>"),
        said("user", "<environment_context>"),
        said("user", "list the files"),
    ],
    "tools": [
        {
            "type": "function",
            "name": "shell",
            "description": "Runs a command.",
            "strict": False,
            "parameters": {
                "type": "object",
                "properties": {"command": {"type": "array", "items": {"type": "string"}}},
                "required": ["command"],
                "additionalProperties": False,
            },
        },
        {"type": "custom", "name": "apply_patch", "format": {"type": "grammar"}},
        {"type": "namespace", "name": "mcp", "tools": []},
        {"type": "web_search", "external_web_access": True},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "service_tier": "priority",
    "prompt_cache_key": HEADERS["thread-id"],
    "text": {"verbosity": "low"},
    "client_metadata": {"x": "y"},
}


@pytest.fixture
def upstream(chat_upstream: ScriptedUpstream) -> Iterator[ScriptedUpstream]:
    chat_upstream.forget()
    yield chat_upstream
    chat_upstream.forget()


def codex(front_url: str, **changed: Any) -> tuple[int, list[dict[str, Any]]]:
    """The status and the events of one request."""
    url, body = f"{front_url}/v1/responses", {**TURN, **changed}
    with httpx.stream("POST", url, json=body, headers=HEADERS, timeout=30) as answer:
        lines = list(answer.iter_lines())
    events = [orjson.loads(line[6:]) for line in lines if line.startswith("data: {")]
    return answer.status_code, events


def items(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one["item"] for one in events if one["type"] == "response.output_item.done"]


def test_a_tool_round_trip_with_its_whole_history(
    front_url: str, upstream: ScriptedUpstream
) -> None:
    call = WantedCall("c1", "shell", {"command": ["ls"]})
    upstream.script(
        Answer(reasoning=("Look.",), pieces=("I look.",), calls=(call,), usage=(20, 3)),
        Answer(pieces=("Two files.",), usage=(30, 4)),
    )

    _, first = codex(front_url)
    made = items(first)
    wanted = next(item for item in made if item["type"] == "function_call")
    output = {"type": "function_call_output", "call_id": wanted["call_id"], "output": "a\nb"}
    _, second = codex(front_url, input=[*TURN["input"], *made, output])

    for events in (first, second):
        assert [one["type"] for one in events][:2] == ["response.created", "response.in_progress"]
        assert events[-1]["type"] == "response.completed"
        assert [one["sequence_number"] for one in events] == list(range(len(events)))
    used = [events[-1]["response"]["usage"]["total_tokens"] for events in (first, second)]
    assert used == [23, 34]  # each its own part, as the service reported
    assert [item["type"] for item in made] == ["reasoning", "message", "function_call"]
    assert (wanted["name"], wanted["status"]) == ("shell", "completed")
    assert orjson.loads(wanted["arguments"]) == {"command": ["ls"]}
    assert items(second)[-1]["content"][0]["text"] == "Two files."
    asked, told = upstream.requests
    assert asked["messages"][0]["content"].startswith("You are a coding agent.")
    assert [tool["function"]["name"] for tool in asked["tools"]] == ["shell"]
    assert asked["reasoning_effort"] == "medium"
    assert (told["messages"][-1]["role"], told["messages"][-1]["content"]) == ("tool", "a\nb")


def test_what_was_made_elsewhere_is_history_and_no_new_turn_of_the_user(
    front_url: str, upstream: ScriptedUpstream
) -> None:
    history = [
        *TURN["input"],
        {"type": "reasoning", "summary": [], "encrypted_content": "b3BhcXVl"},
        {"type": "web_search_call", "status": "completed"},
        {"type": "function_call", "call_id": "gone", "name": "shell", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "gone", "output": "done"},
    ]

    status, events = codex(front_url, input=history)

    assert (status, events[-1]["type"]) == (200, "response.completed")
    roles = [message["role"] for message in upstream.requests[0]["messages"]]
    assert roles == ["system", "user", "user", "assistant", "tool"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault.RESET_IN_TEXT, Fault.RESET_IN_CHUNK, Fault.END_WITHOUT_REASON, Fault.ERROR_EVENT,
        Fault.NO_JSON, Fault.BAD_CHUNK,
    ],
)  # fmt: skip
def test_each_failure_ends_in_response_failed_or_in_a_status(
    front_url: str, upstream: ScriptedUpstream, fault: Fault
) -> None:
    upstream.script(*[Answer(pieces=("Hel", "lo"), fault=fault)] * 3)

    status, events = codex(front_url)

    kinds = [event["type"] for event in events]
    assert "response.completed" not in kinds
    if status == 200:
        assert kinds[-1] == "response.failed"
        assert events[-1]["response"]["error"]["message"]
    else:
        assert status >= 500
