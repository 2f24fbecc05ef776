"""Whatever a model service does, each dialect says it in its own way (features D9).

Faults before the first byte of an answer have the status of a failure; those after it end the
stream with the dialect's own terminal event. Only a complete answer ends as if it were one.
"""

import http.client
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from tests.support.front import port_of, serving
from tests.support.upstream import Answer, Fault, ScriptedUpstream

pytestmark = pytest.mark.process

MODEL = "test-model"
REPLY_SECONDS = 25.0
HI = [{"role": "user", "content": "hi"}]
PIECES = ("Hel", "lo")

CLEAN = "clean"
FAILED = "failed"
"""Ended inside the stream, by the dialect's own word for a failure."""


@dataclass(frozen=True)
class Wire:
    """How a dialect is asked, and how its streams end."""

    path: str
    body: dict[str, Any]
    is_clean: Callable[[bytes], bool]
    has_failed: Callable[[bytes], bool]
    error_of: Callable[[Any], str]

    def ask(self, port: int) -> str:
        """How the answer to one streamed request ended: a status, clean, or failed."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REPLY_SECONDS)
        try:
            told = orjson.dumps({"model": MODEL, "stream": True, **self.body})
            connection.request("POST", self.path, told, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            assert self.error_of(orjson.loads(said))
            return str(answer.status)
        clean, failed = self.is_clean(said), self.has_failed(said)
        assert clean != failed, said[-300:]
        return CLEAN if clean else FAILED


WIRES = {
    "chat": Wire(
        "/v1/chat/completions",
        {"messages": HI},
        lambda said: said.endswith(b"data: [DONE]\n\n") and b'"finish_reason":"stop"' in said,
        lambda said: b'data: {"error":{' in said and b"[DONE]" not in said,
        lambda body: str(body["error"]["message"]),
    ),
    "responses": Wire(
        "/v1/responses",
        {"input": "hi"},
        lambda said: b"event: response.completed" in said,
        lambda said: b"event: response.failed" in said and b"response.completed" not in said,
        lambda body: str(body["error"]["message"]),
    ),
    "messages": Wire(
        "/v1/messages",
        {"messages": HI, "max_tokens": 50},
        lambda said: b"event: message_stop" in said,
        lambda said: b"event: error" in said and b"message_stop" not in said,
        lambda body: str(body["error"]["message"]),
    ),
    "ollama": Wire(
        "/api/chat",
        {"messages": HI},
        lambda said: b'"done":true' in said,
        lambda said: said.splitlines()[-1].startswith(b'{"error":') and b'"done":true' not in said,
        lambda body: str(body["error"]),
    ),
}
BEFORE: list[tuple[str, Answer, str]] = [
    *(
        (f"status {status}", Answer(status=status, message="no"), str(status))
        for status in (400, 401, 403, 404, 409, 413, 422)
    ),
    ("a redirect", Answer(fault=Fault.REDIRECT), "502"),
    ("reset before the head", Answer(fault=Fault.RESET_BEFORE_HEAD), "502"),
    ("closed without a word", Answer(fault=Fault.CLOSED), "502"),
    ("half a head", Answer(fault=Fault.HALF_HEAD), "502"),
    ("another protocol", Answer(fault=Fault.NO_HTTP), "502"),
    ("a page", Answer(fault=Fault.HTML), "502"),
    ("an object that is no completion", Answer(fault=Fault.NO_COMPLETION), "502"),
    ("a body cut short", Answer(fault=Fault.SHORT_BODY), "502"),
    ("reset after the head", Answer(fault=Fault.RESET_AFTER_HEAD), "502"),
    ("a stream without an event", Answer(fault=Fault.END_AFTER_HEAD), "502"),
    ("an error as the first event", Answer(fault=Fault.ERROR_FIRST), "503"),
]
AFTER: list[tuple[str, Answer]] = [
    ("reset after the first event", Answer(PIECES, fault=Fault.RESET_IN_TEXT)),
    ("reset in an event", Answer(PIECES, fault=Fault.RESET_IN_CHUNK)),
    ("an error event", Answer(PIECES, fault=Fault.ERROR_EVENT)),
    ("garbage in an event", Answer(PIECES, fault=Fault.NO_JSON)),
    ("what is no chunk", Answer(PIECES, fault=Fault.BAD_CHUNK)),
    ("an end without a reason", Answer(PIECES, fault=Fault.END_WITHOUT_REASON)),
    ("done without a reason", Answer(PIECES, fault=Fault.DONE_WITHOUT_REASON)),
]
WELL: list[tuple[str, Answer]] = [
    ("a slow drip", Answer(PIECES, fault=Fault.SLOW)),
    ("an event of another shape", Answer(PIECES, fault=Fault.EMPTY_EVENT)),
    ("no usage", Answer(PIECES, usage=None)),
]


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as running:
        yield running


@pytest.fixture(scope="module")
def port(upstream: ScriptedUpstream) -> Iterator[int]:
    with serving(upstream) as stack:
        yield port_of(stack)


def ends(port: int, upstream: ScriptedUpstream, answer: Answer) -> dict[str, str]:
    """How each dialect ends when every request to the service gets `answer`; all at once."""
    upstream.forget()
    upstream.otherwise = answer
    with ThreadPoolExecutor(len(WIRES)) as pool:
        ended = pool.map(lambda wire: wire.ask(port), WIRES.values())
    return dict(zip(WIRES, ended, strict=True))


@pytest.mark.parametrize(
    ("answer", "status"), [case[1:] for case in BEFORE], ids=[case[0] for case in BEFORE]
)
def test_a_fault_before_the_first_byte_has_a_status(
    port: int, upstream: ScriptedUpstream, answer: Answer, status: str
) -> None:
    dialects_own = {"messages": "529"} if status == "503" else {}

    assert ends(port, upstream, answer) == dict.fromkeys(WIRES, status) | dialects_own


@pytest.mark.parametrize("answer", [case[1] for case in AFTER], ids=[case[0] for case in AFTER])
def test_a_fault_after_the_first_byte_ends_the_stream_as_failed(
    port: int, upstream: ScriptedUpstream, answer: Answer
) -> None:
    """A status when fault and text arrived together; never an end that looks complete."""
    ended = ends(port, upstream, answer)

    assert set(ended.values()) <= {FAILED, "502", "503", "529"}


@pytest.mark.parametrize("answer", [case[1] for case in WELL], ids=[case[0] for case in WELL])
def test_what_is_only_unusual_is_complete(
    port: int, upstream: ScriptedUpstream, answer: Answer
) -> None:
    assert ends(port, upstream, answer) == dict.fromkeys(WIRES, CLEAN)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529])
def test_a_service_that_wants_to_be_left_alone_has_a_status(status: int) -> None:
    """Each on its own: nobody is asked again for as long as the service wants."""
    patience = Answer(status=status, headers={"Retry-After": "600"})
    with ScriptedUpstream() as upstream, serving(upstream) as stack:
        upstream.otherwise = patience
        first = WIRES["chat"].ask(port_of(stack))
        asked = len(upstream.requests)
        later = {wire.ask(port_of(stack)) for wire in WIRES.values()}

        assert (first, later) == (str(status), {"429"})
        assert len(upstream.requests) == asked == 1


def test_a_service_that_is_gone_has_a_status() -> None:
    with ScriptedUpstream() as gone, serving(gone) as stack:
        gone.__exit__(None, None, None)

        assert WIRES["messages"].ask(port_of(stack)) == "502"
