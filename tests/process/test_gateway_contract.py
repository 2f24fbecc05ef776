"""What Claude Code expects of whatever stands between it and its service (features D3)."""

from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from tests.support.front import events_of, port_of, serving
from tests.support.speeches import ANTHROPIC, SIGNATURE
from tests.support.stack import Stack
from tests.support.upstream import Answer, Fault, ScriptedUpstream

pytestmark = pytest.mark.process

MODEL = "test-model"
BETA = "claude-code-20250219,interleaved-thinking-2025-05-14,some-thing-2099-01-01"
HEADERS = {
    "anthropic-version": "2023-06-01",
    "anthropic-beta": BETA,
    "authorization": "Bearer something",
    "x-app": "cli",
    "x-claude-code-session-id": "0b1c",
}
THINKING = {"type": "adaptive", "display": "omitted"}
MARK = {"type": "ephemeral", "ttl": "1h"}
ASKED: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 2_000,
    "stream": True,
    "thinking": THINKING,
    "system": [{"type": "text", "text": "You help.", "cache_control": MARK}],
    "tools": [{"name": "look", "input_schema": {"type": "object"}}],
    "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    "metadata": {"user_id": '{"session_id":"s"}'},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "output_config": {"effort": "medium"},
}


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[str, ScriptedUpstream]]:
    with (
        ScriptedUpstream((MODEL,), speech=ANTHROPIC) as upstream,
        serving(upstream, "anthropic") as stack,
    ):
        yield f"http://127.0.0.1:{port_of(stack)}", upstream


@pytest.fixture
def served(running: tuple[str, ScriptedUpstream]) -> tuple[str, ScriptedUpstream]:
    running[1].forget()
    return running


def post(url: str, **changed: Any) -> httpx.Response:
    return httpx.post(
        f"{url}/v1/messages?beta=true", json={**ASKED, **changed}, headers=HEADERS, timeout=30
    )


def test_its_headers_and_fields_reach_the_service_as_they_are(
    served: tuple[str, ScriptedUpstream],
) -> None:
    url, upstream = served

    assert post(url).status_code == 200

    (sent,), (headers,) = upstream.requests, upstream.headers
    assert headers["anthropic-beta"] == BETA
    assert headers["anthropic-version"] == HEADERS["anthropic-version"]
    assert "something" not in str(headers)  # the key is the worker's, not the client's
    for name in ("metadata", "context_management", "output_config", "thinking"):
        assert sent[name] == ASKED[name]
    assert sent["system"] == ASKED["system"]
    assert sent["tools"][-1]["cache_control"] == MARK
    assert sent["messages"][-1]["content"][-1] == {
        "type": "text",
        "text": "hi",
        "cache_control": MARK,
    }


@pytest.mark.parametrize("status", [400, 413, 404, 422])
def test_an_error_of_the_service_comes_as_the_service_said_it(
    served: tuple[str, ScriptedUpstream], status: int
) -> None:
    url, upstream = served
    upstream.script(Answer(status=status, message="prompt is too long: 210000 > 200000"))

    answer = post(url, stream=status == 400)

    assert answer.status_code == status
    said = {"error": {"message": "prompt is too long: 210000 > 200000", "type": "test"}}
    assert answer.json() == said
    assert answer.headers["request-id"]


def test_an_error_in_the_stream_too(served: tuple[str, ScriptedUpstream]) -> None:
    url, upstream = served
    upstream.script(Answer(pieces=("Hel", "lo"), fault=Fault.ERROR_EVENT))

    answer = post(url)

    last = answer.text.rstrip().split("\n\n")[-1].removeprefix("event: error\ndata: ")
    said = ANTHROPIC.error_event("no").decode().strip()
    assert answer.status_code in (200, 529)  # with the first text, or together with it
    assert orjson.loads(last) == orjson.loads(said.split("data: ")[1])


def test_a_refused_key_is_ours_and_told_in_our_words(
    served: tuple[str, ScriptedUpstream],
) -> None:
    url, upstream = served
    upstream.script(Answer(status=401, message="bad key sk-1"))

    answer = post(url)

    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")
    assert "check the key" in answer.json()["error"]["message"]


@pytest.mark.parametrize("is_stream", [True, False])
def test_thinking_that_nobody_sees_comes_and_goes_back_byte_for_byte(
    served: tuple[str, ScriptedUpstream], *, is_stream: bool
) -> None:
    url, upstream = served
    upstream.script(Answer(redacted="b3BhcXVl", reasoning=("",)))

    said = post(url, stream=is_stream)
    blocks = _blocks(said.text) if is_stream else said.json()["content"]
    thinking = [block for block in blocks if "thinking" in block["type"]]
    messages = [
        *ASKED["messages"],
        {"role": "assistant", "content": blocks},
        {"role": "user", "content": "go on"},
    ]
    assert post(url, messages=messages).status_code == 200

    assert thinking == [
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
        {"type": "thinking", "thinking": "", "signature": SIGNATURE},
    ]
    back = upstream.requests[1]["messages"][1]["content"]
    assert orjson.dumps(back[:2]) == orjson.dumps(thinking)


def _blocks(stream: str) -> list[dict[str, Any]]:
    """The blocks that a client makes of a stream."""
    blocks: list[dict[str, Any]] = []
    for line in stream.splitlines():
        event = orjson.loads(line[6:]) if line.startswith("data: ") else {}
        if event.get("type") == "content_block_start":
            blocks.append(event["content_block"])
        elif event.get("type") == "content_block_delta":
            delta = event["delta"]
            name = next(name for name in delta if name != "type")
            blocks[-1][name] = blocks[-1].get(name, "") + delta[name]
    return blocks


def test_its_models_come_in_its_shape_with_either_header(
    served: tuple[str, ScriptedUpstream],
) -> None:
    url, _ = served
    for auth in ({"x-api-key": "a"}, {"authorization": "Bearer a"}):
        headers = {"anthropic-version": "2023-06-01", **auth}
        answer = httpx.get(f"{url}/v1/models?limit=1000", headers=headers, timeout=3)

        assert [entry["id"] for entry in answer.json()["data"]] == [MODEL]
        assert answer.json()["has_more"] is False
    assert httpx.head(url, timeout=3).status_code == 200


def test_thinking_of_another_service_is_left_out_and_the_log_says_so() -> None:
    block = {"type": "thinking", "thinking": "deep", "signature": SIGNATURE}
    messages = [
        *ASKED["messages"],
        {"role": "assistant", "content": [block, {"type": "text", "text": "well"}]},
        {"role": "user", "content": "go on"},
    ]
    with ScriptedUpstream((MODEL,)) as upstream, serving(upstream) as stack:
        answer = post(f"http://127.0.0.1:{port_of(stack)}", messages=messages)

        assert answer.status_code == 200
        assert "deep" not in str(upstream.requests[0])
        assert _dropped(stack) == [1]


def _dropped(stack: Stack) -> list[int]:
    return [
        event["body"]["blocks"]
        for event in events_of(stack)
        if event["chi"] == "chunk" and event["body"].get("chunkType") == "thinking_dropped"
    ]
