"""A model service that follows a script, over real sockets, in any dialect (`speech`).

    with ScriptedUpstream() as upstream:
        upstream.script(Answer(calls=(WantedCall("c1", "look", {"at": "x"}),)))
        upstream.script(Answer(pieces=("Hel", "lo"), usage=(10, 2)))
        ...
        assert upstream.requests[1]["messages"][-1]["role"] == "tool"

Every request takes the next answer of the script; without one the service answers `pong`. An answer
is streamed when the request asks for that. Each connection has a thread; leaving closes them all.
"""

import contextlib
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from types import TracebackType
from typing import Any, Self

GATE_SECONDS = 15.0
"""How long a fault waits for the test or the client; a bound for a broken build."""


class Fault(Enum):
    """Where an answer goes wrong."""

    NONE = auto()
    RESET_BEFORE_HEAD = auto()
    RESET_AFTER_HEAD = auto()
    RESET_IN_TEXT = auto()
    """After the first piece."""
    RESET_IN_CHUNK = auto()
    """In the middle of an event."""
    END_WITHOUT_REASON = auto()
    """All pieces, the end of the body, but no `finish_reason`."""
    DONE_WITHOUT_REASON = auto()
    ERROR_EVENT = auto()
    """After the first piece."""
    NO_JSON = auto()
    """After the first piece."""
    HALF_HEAD = auto()
    """Some header lines, then the end."""
    NO_HTTP = auto()
    """Bytes that are no answer at all."""
    CLOSED = auto()
    """The request is read, and the connection closed."""
    REDIRECT = auto()
    HTML = auto()
    """A page with status 200, as a proxy sends it."""
    NO_COMPLETION = auto()
    """A JSON object that is none."""
    SHORT_BODY = auto()
    """Fewer bytes than the head promised."""
    END_AFTER_HEAD = auto()
    """A stream without an event."""
    ERROR_FIRST = auto()
    """An error as the first event."""
    BAD_CHUNK = auto()
    """After the first piece, what is no chunk."""
    EMPTY_EVENT = auto()
    """After the first piece, an event of another shape; then all is well."""
    SLOW = auto()
    """Everything comes, a few bytes at a time."""
    HANG_IN_TEXT = auto()
    """After the first piece nothing more comes, until the client closes or `gate` is set."""


@dataclass(frozen=True)
class WantedCall:
    """A tool call that the model wants."""

    id: str
    name: str
    args: Mapping[str, Any] | str
    """A text is sent as it is, JSON or not."""


@dataclass
class Answer:
    """What one request gets."""

    pieces: Sequence[str] = ("pong",)
    reasoning: Sequence[str] = ()
    redacted: str = ""
    """Reasoning that nobody can read, in front of the other; where the dialect has a word."""
    calls: Sequence[WantedCall] = ()
    finish: str | None = None
    """None: `tool_calls` with calls, else `stop`."""
    usage: tuple[int, int] | None = (8, 2)
    """Prompt and completion tokens; None: the service tells none."""
    cached: int = 0
    status: int = 200
    message: str = "no"
    """Of the error, when `status` is not 200."""
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Fault = Fault.NONE
    rejects: str = ""
    """A request with this key is answered 400 and the answer stays next in the script."""
    ignores_stream: bool = False
    """Answer with a whole completion, whatever the request asks for."""
    gate: threading.Event = field(default_factory=threading.Event)
    """`HANG_IN_TEXT` goes on when the test sets it."""
    hanging: threading.Event = field(default_factory=threading.Event)
    """Set once `HANG_IN_TEXT` waits."""
    client_closed: threading.Event = field(default_factory=threading.Event)
    """Set when the client closed while the answer was hanging."""
    closed_at: float = 0.0
    """When that was seen, by the monotonic clock."""

    @property
    def reason(self) -> str:
        return self.finish or ("tool_calls" if self.calls else "stop")


class ScriptedUpstream:
    """See the module."""

    def __init__(
        self,
        models: Sequence[str] = ("test-model",),
        *,
        port: int = 0,
        speech: "Speech | None" = None,
    ) -> None:
        self.models = tuple(models)
        self.speech = speech or CHAT
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self.otherwise = Answer()
        """What a request gets when the script is at its end."""
        self.reply: Callable[[Mapping[str, Any]], Answer] | None = None
        """Makes that from the request; called under a lock, so it may count."""
        self._script: deque[Answer] = deque()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.settimeout(0.1)
        self._is_closing = False
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.speech.base}"

    def script(self, *answers: Answer) -> None:
        """Append answers to the script."""
        with self._lock:
            self._script.extend(answers)

    def forget(self) -> None:
        """Forget the rest of the script and every request."""
        with self._lock:
            self._script.clear()
            self.otherwise, self.reply = Answer(), None
            self.requests.clear()
            self.headers.clear()

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_closing = True
        self._listener.close()
        for connection in self._sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(GATE_SECONDS)

    def _accept(self) -> None:
        while not self._is_closing:
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            connection.settimeout(None)
            self.connections += 1
            self._sockets.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as reader:
            while (request_line := reader.readline()).strip():
                headers = dict(_headers(reader))
                body = reader.read(int(headers.get("content-length", "0")))
                if not self._respond(connection, request_line.decode(), headers, body):
                    return

    def _respond(
        self, connection: socket.socket, line: str, headers: dict[str, str], body: bytes
    ) -> bool:
        """Answer one request; return whether the connection goes on."""
        method, path, _ = line.split(" ", 2)
        speech = self.speech
        asked = json.JSONDecoder().decode(body.decode()) if body else {}
        told = speech.told(method, path, asked, self.models)
        if told is not None:
            connection.sendall(_whole(200, told))
            return True
        if method != "POST" or path != speech.path:
            connection.sendall(_whole(404, {"error": {"message": f"no such path {path}"}}))
            return True
        request: dict[str, Any] = asked
        answer = self._next(request, headers)
        if answer is None:
            message = "a parameter is not supported"
            connection.sendall(_whole(400, {"error": {"message": message}}))
            return True
        return _answer(connection, answer, request, speech)

    def _next(self, request: dict[str, Any], headers: dict[str, str]) -> Answer | None:
        with self._lock:
            self.requests.append(request)
            self.headers.append(headers)
            if self._script and self._script[0].rejects in request:
                return None
            if self._script:
                return self._script.popleft()
            return self.reply(request) if self.reply is not None else self.otherwise


def _headers(reader: Any) -> Iterator[tuple[str, str]]:
    while line := reader.readline().strip():
        name, _, value = line.decode().partition(":")
        yield name.lower(), value.strip()


@dataclass(frozen=True)
class Speech:
    """A dialect, as its service speaks it."""

    base: str
    """What a base URL ends in."""
    path: str
    """Where answers are asked for."""
    content_type: str
    events: Callable[[Answer, Mapping[str, Any]], Iterator[bytes]]
    """A streamed answer; what goes wrong happens after the first."""
    whole: Callable[[Answer], dict[str, Any]]
    error_event: Callable[[str], bytes]
    told: Callable[[str, str, Mapping[str, Any], Sequence[str]], dict[str, Any] | None]
    """The answer to what is no request for an answer; None when it is one."""
    first: int = 1
    """How many events come before anything goes wrong."""


def _answer(
    connection: socket.socket, answer: Answer, request: Mapping[str, Any], speech: Speech
) -> bool:
    if answer.fault is Fault.RESET_BEFORE_HEAD:
        return _reset(connection)
    if answer.fault in _INSTEAD:
        connection.sendall(_INSTEAD[answer.fault])
        return False
    if answer.status != 200:
        error = {"error": {"message": answer.message, "type": "test"}}
        connection.sendall(_whole(answer.status, error, answer.headers))
        return True
    if answer.ignores_stream or not request.get("stream"):
        connection.sendall(_whole(200, speech.whole(answer)))
        return True
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {speech.content_type}\r\n"
    connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
    if answer.fault is Fault.RESET_AFTER_HEAD:
        return _reset(connection)
    if answer.fault in (Fault.END_AFTER_HEAD, Fault.ERROR_FIRST):
        if answer.fault is Fault.ERROR_FIRST:
            connection.sendall(_chunked(speech.error_event(answer.message)))
        connection.sendall(b"0\r\n\r\n")
        return True
    for place, event in enumerate(speech.events(answer, request)):
        if place == speech.first and not _go_on(connection, answer, speech):
            return False
        for piece in _pieces(event, answer.fault):
            connection.sendall(_chunked(piece))
    connection.sendall(b"0\r\n\r\n")
    return True


def _go_on(connection: socket.socket, answer: Answer, speech: Speech) -> bool:
    """What goes wrong after the first piece; whether the answer goes on."""
    if answer.fault is Fault.RESET_IN_TEXT:
        return _reset(connection)
    if answer.fault is Fault.RESET_IN_CHUNK:
        connection.sendall(b'100\r\ndata: {"choices": [{"del')
        return _reset(connection)
    if answer.fault is Fault.ERROR_EVENT:
        connection.sendall(_chunked(speech.error_event(answer.message)))
        connection.sendall(b"0\r\n\r\n")
        return False
    if answer.fault is Fault.BAD_CHUNK:
        time.sleep(READ_SECONDS)  # so that it comes in a read of its own
        connection.sendall(b"nonsense\r\n")
        return False
    if answer.fault is Fault.EMPTY_EVENT:
        connection.sendall(_chunked(b": comment\n\ndata: {}\n\n"))
    if answer.fault is Fault.NO_JSON:
        connection.sendall(_chunked(b"data: {nonsense\n\n"))
    if answer.fault is Fault.HANG_IN_TEXT:
        return _hang(connection, answer)
    return True


def _pieces(event: bytes, fault: Fault) -> Iterator[bytes]:
    """An event as it is sent."""
    if fault is not Fault.SLOW:
        yield event
        return
    for start in range(0, len(event), 7):
        yield event[start : start + 7]


def _note_closed(answer: Answer) -> None:
    answer.closed_at = time.monotonic()
    answer.client_closed.set()


def _hang(connection: socket.socket, answer: Answer) -> bool:
    """Wait for the gate or for the client's end; whether the answer goes on."""
    connection.settimeout(0.01)
    answer.hanging.set()
    try:
        for _ in range(int(GATE_SECONDS / 0.01)):
            if answer.gate.is_set():
                return True
            with contextlib.suppress(TimeoutError):
                if connection.recv(1) == b"":
                    _note_closed(answer)
                    return False
    except OSError:
        _note_closed(answer)
    finally:
        connection.settimeout(None)
    return False


READ_SECONDS = 0.5
"""How long a client on a busy machine may take to read what has arrived."""


def _reset(connection: socket.socket) -> bool:
    """Close so that the client sees a reset, after it has read what came before.

    A reset throws away what the client's kernel still holds, and nobody tells us when it is read.
    """
    time.sleep(READ_SECONDS)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return False


def _events(answer: Answer, request: Mapping[str, Any]) -> Iterator[bytes]:
    for text in answer.reasoning:
        yield _delta({"reasoning_content": text})
    for text in answer.pieces if not answer.calls or answer.pieces != ("pong",) else ():
        yield _delta({"content": text})
    yield from _call_events(answer.calls)
    if answer.fault is Fault.END_WITHOUT_REASON:
        return
    if answer.fault is not Fault.DONE_WITHOUT_REASON:
        yield _delta({}, answer.reason)
    wants_usage = request.get("stream_options", {}).get("include_usage")
    if answer.usage is not None and wants_usage:
        yield _event({"object": "chat.completion.chunk", "choices": [], "usage": _usage(answer)})
    yield b"data: [DONE]\n\n"


def _call_events(calls: Sequence[WantedCall]) -> Iterator[bytes]:
    """All heads first, then the arguments of all calls in turns, a few characters at a time."""
    for index, call in enumerate(calls):
        function = {"name": call.name, "arguments": ""}
        head = {"index": index, "id": call.id, "type": "function", "function": function}
        yield _delta({"tool_calls": [head]})
    texts = [call.args if isinstance(call.args, str) else json.dumps(call.args) for call in calls]
    for start in range(0, max(map(len, texts), default=0), 5):
        for index, text in enumerate(texts):
            if piece := text[start : start + 5]:
                more = {"index": index, "function": {"arguments": piece}}
                yield _delta({"tool_calls": [more]})


def _delta(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _event({"id": "x", "object": "chat.completion.chunk", "choices": [choice]})


def _completion(answer: Answer) -> dict[str, Any]:
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.args}}
        for call in answer.calls
    ]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(answer.pieces)}
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "finish_reason": answer.reason}
    return {"id": "x", "object": "chat.completion", "choices": [choice], "usage": _usage(answer)}


def _usage(answer: Answer) -> dict[str, Any] | None:
    if answer.usage is None:
        return None
    prompt, completion = answer.usage
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": answer.cached},
    }


def _event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _chunked(piece: bytes) -> bytes:
    return f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


def _whole(status: int, value: object, headers: Mapping[str, str] | None = None) -> bytes:
    body = json.dumps(value).encode()
    lines = [
        f"HTTP/1.1 {status} Whatever",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def vector_of(entry: str | Sequence[int]) -> list[float]:
    """The embedding that the fake gives an input: nobody looks for more than to see it again."""
    return [float(len(entry)), 0.5, -0.25]


def _chat_told(
    method: str, path: str, asked: Mapping[str, Any], models: Sequence[str]
) -> dict[str, Any] | None:
    if (method, path) == ("POST", "/v1/embeddings"):
        entries = [
            {"object": "embedding", "index": index, "embedding": vector_of(entry)}
            for index, entry in enumerate(asked["input"])
        ]
        entries.reverse()  # the index counts, not the place
        usage = {"prompt_tokens": len(entries), "total_tokens": len(entries)}
        return {"object": "list", "data": entries, "model": asked["model"], "usage": usage}
    if (method, path) != ("GET", "/v1/models"):
        return None
    return {"object": "list", "data": [{"id": model, "object": "model"} for model in models]}


CHAT = Speech(
    base="/v1",
    path="/v1/chat/completions",
    content_type="text/event-stream",
    events=_events,
    whole=_completion,
    error_event=lambda message: _event({"error": {"message": message, "code": 503}}),
    told=_chat_told,
)

_PAGE = b"<html><body>Please log in.</body></html>"


def _told(head: str, body: bytes = b"", *, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return f"HTTP/1.1 {head}\r\nContent-Length: {size}\r\n\r\n".encode() + body


_INSTEAD: Mapping[Fault, bytes] = {
    Fault.HALF_HEAD: b"HTTP/1.1 200 OK\r\nContent-Type: text/ev",
    Fault.NO_HTTP: b"SSH-2.0-OpenSSH_9.2\r\n",
    Fault.CLOSED: b"",
    Fault.REDIRECT: _told("302 Found\r\nLocation: http://127.0.0.1:9/"),
    Fault.HTML: _told("200 OK\r\nContent-Type: text/html", _PAGE),
    Fault.NO_COMPLETION: _whole(200, {"hello": "there"}),
    Fault.SHORT_BODY: _told("200 OK\r\nContent-Type: application/json", b"{", length=900),
}
"""What is sent in place of an answer; then the connection is closed."""
