"""A client that leaves: its model's service is left at once, in every dialect (features D10)."""

import socket
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from tests.support.front import events_of, port_of, serving
from tests.support.speeches import ANTHROPIC, OLLAMA
from tests.support.stack import Stack
from tests.support.upstream import CHAT, Answer, Fault, ScriptedUpstream, Speech

pytestmark = pytest.mark.process

MODEL = "test-model"
HI: Any = [{"role": "user", "content": "hi"}]
ASKED: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": HI},
    "/v1/responses": {"input": "hi"},
    "/v1/messages": {"messages": HI, "max_tokens": 9},
    "/api/chat": {"messages": HI},
    "/api/generate": {"prompt": "hi"},
}
SERVICES: dict[str, Speech] = {"openai": CHAT, "anthropic": ANTHROPIC, "ollama": OLLAMA}
SECONDS = 15.0
ROUNDS_SOAK = 20
SOAK_MS_MAX = 200.0


@pytest.fixture(scope="module", params=SERVICES)
def served(request: pytest.FixtureRequest) -> Iterator[tuple[Stack, ScriptedUpstream]]:
    """A front with a worker for a service of each dialect."""
    with (
        ScriptedUpstream((MODEL,), speech=SERVICES[request.param]) as upstream,
        serving(upstream, request.param) as stack,
    ):
        yield stack, upstream


def leave(stack: Stack, upstream: ScriptedUpstream, path: str, *, is_stream: bool) -> float:
    """Ask, leave while the service hangs in its answer; seconds until it sees that."""
    hanging = Answer(pieces=("Hel", "lo"), fault=Fault.HANG_IN_TEXT)
    upstream.script(hanging)
    body = orjson.dumps({"model": MODEL, "stream": is_stream, **ASKED[path]})
    port = port_of(stack)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as client:
        client.sendall(head.encode() + body)
        assert hanging.hanging.wait(SECONDS)
        told = b""
        while is_stream and b"Hel" not in told:
            told += client.recv(65_536)
        left = time.monotonic()
    assert hanging.client_closed.wait(SECONDS)
    return hanging.closed_at - left


def turns(stack: Stack) -> dict[str, list[tuple[str, str]]]:
    """What was said of each conversation, without chunks: chi, and how it ended."""
    found: dict[str, list[tuple[str, str]]] = {}
    for event in events_of(stack):
        if event["sid"] and event["chi"] in ("prompt", "cancel", "finish", "error"):
            end = event["body"].get("finishReason", "")
            found.setdefault(event["sid"], []).append((event["chi"], end))
    return found


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("path", ASKED)
def test_the_service_is_left_and_the_turn_ends_once_as_cancelled(
    served: tuple[Stack, ScriptedUpstream], path: str, is_stream: bool
) -> None:
    stack, upstream = served
    before = turns(stack).keys()

    leave(stack, upstream, path, is_stream=is_stream)

    ended = [("prompt", ""), ("cancel", ""), ("finish", "cancelled")]

    def mine() -> list[list[tuple[str, str]]]:
        return [told for sid, told in turns(stack).items() if sid not in before]

    stack.wait_for(lambda: [len(told) for told in mine()] == [3], "end of the turn in the log")
    assert mine() == [ended]


@pytest.mark.soak
def test_every_service_is_left_within_200_ms(
    served: tuple[Stack, ScriptedUpstream], record_property: Callable[[str, object], None]
) -> None:
    stack, upstream = served
    seconds = [
        leave(stack, upstream, path, is_stream=is_stream)
        for _ in range(ROUNDS_SOAK)
        for path in ASKED
        for is_stream in (False, True)
    ]
    ms = sorted(each * 1_000 for each in seconds)
    record_property("left_ms_p50", round(statistics.median(ms), 1))
    record_property("left_ms_worst", round(ms[-1], 1))

    assert ms[-1] <= SOAK_MS_MAX

    def is_told() -> bool:
        ends = Counter(told[-1] for told in turns(stack).values())
        return ends[("finish", "cancelled")] >= len(ms)

    stack.wait_for(is_told, "end of every turn in the log")
