"""Asks one address for chat completions, over plain sockets so that the asking costs little.

One connection asks the same thing again as soon as it has the answer. An answer ends with its
length, with the last chunk, or with the connection.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import orjson

from thrum.errors import LocalError

ANSWER_SECONDS = 60.0
"""How long after its time a run waits for the answers that are still missing."""
ANSWER_BYTES_MAX = 64 * 1024 * 1024
REASON_CHARS_MAX = 300
"""Of a refusal's body, what a failure repeats."""
_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"\r\n0\r\n\r\n"
_EVENT = b"data:"


class BenchFailed(LocalError):
    """An address cannot be asked, or refuses; what was measured so far says nothing."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to ask."""

    name: str
    host: str
    port: int
    path: str
    is_tls: bool = False
    key: str | None = None

    @classmethod
    def parse(cls, name: str, url: str, key: str | None = None) -> "Target":
        """The address of a base URL, with or without `/v1`. Raises `BenchFailed`."""
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError as problem:
            raise BenchFailed(f"{url} is no URL: {problem}") from problem
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BenchFailed(f"{url} is no base URL", hint="http://127.0.0.1:4000/v1, for example")
        path = parts.path.rstrip("/")
        if not path.endswith("/v1"):
            path += "/v1"
        return cls(name, parts.hostname, port, path, parts.scheme == "https", key)

    def request(self, model: str, *, is_stream: bool, content: object = "ping") -> bytes:
        """One request, complete with its headers."""
        messages = [{"role": "user", "content": content}]
        body = orjson.dumps({"model": model, "messages": messages, "stream": is_stream})
        host = f"[{self.host}]" if ":" in self.host else self.host
        head = [
            f"POST {self.path}/chat/completions HTTP/1.1",
            f"Host: {host}:{self.port}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *([f"Authorization: Bearer {self.key}"] if self.key else []),
        ]
        return "\r\n".join([*head, "", ""]).encode() + body


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer."""

    seconds: float
    first_seconds: float
    """Until its first event, or its first bytes behind the head."""
    events: int


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of requests took."""

    seconds: float
    samples: Sequence[Sample]

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.samples) / self.seconds


@dataclass(slots=True)
class _Part:
    """One answer as far as it has come."""

    pieces: list[bytes] = field(default_factory=list)
    tail: bytes = b""
    size: int = 0
    length: int = -1
    """Bytes of head and body together, once the head told it; -1 when it did not."""
    is_chunked: bool = False
    has_head: bool = False
    first: float = 0.0

    def add(self, piece: bytes, now: float) -> None:
        self.pieces.append(piece)
        self.size += len(piece)
        self.tail = (self.tail + piece)[-len(_LAST_CHUNK) :]
        if not self.has_head:
            self._read_head(b"".join(self.pieces))
        if not self.first and self.has_head and self.body():
            self.first = now

    def body(self) -> bytes:
        """What stands behind the head."""
        return b"".join(self.pieces).partition(_HEAD_END)[2]

    @property
    def is_complete(self) -> bool:
        if not self.has_head:
            return False
        return self.tail == _LAST_CHUNK if self.is_chunked else 0 <= self.length <= self.size

    def _read_head(self, so_far: bytes) -> None:
        head, end, _ = so_far.partition(_HEAD_END)
        if not end:
            return
        self.has_head = True
        headers = _headers(head)
        self.is_chunked = b"chunked" in headers.get(b"transfer-encoding", b"").lower()
        length = headers.get(b"content-length", b"")
        if length.isdigit():
            self.length = len(head) + len(_HEAD_END) + int(length)


def _headers(head: bytes) -> Mapping[bytes, bytes]:
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in lines}


class Asker(asyncio.Protocol):
    """One connection."""

    def __init__(self, request: bytes, until: float, count: int | None) -> None:
        self.samples: list[Sample] = []
        self.failure = ""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._until = until
        self._count = count
        self._part = _Part()
        self._asked = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Take what came; ask again when that was all."""
        now = time.perf_counter()
        part = self._part
        part.add(data, now)
        if part.is_complete:
            self._take(part, now)
        elif part.size > ANSWER_BYTES_MAX:
            self._end(f"an answer of more than {ANSWER_BYTES_MAX} bytes")

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, ours or theirs."""
        if not self.done.done():
            if not self.failure and not self._is_enough(time.perf_counter()):
                self.failure = f"the connection was closed: {exc or 'before the answer was whole'}"
            self.done.set_result(None)

    def _take(self, part: _Part, now: float) -> None:
        whole = b"".join(part.pieces)
        if b" 200 " not in whole[:16]:
            line = whole[:REASON_CHARS_MAX].split(b"\r\n", 1)[0]
            said = part.body()[:REASON_CHARS_MAX]
            self._end(f"{line.decode('ascii', 'replace')}: {said.decode('utf-8', 'replace')}")
            return
        events = whole.count(_EVENT)
        self.samples.append(Sample(now - self._asked, part.first - self._asked, events))
        if self._is_enough(now):
            self._transport.close()
        else:
            self._ask()

    def _is_enough(self, now: float) -> bool:
        return now >= self._until or (self._count is not None and len(self.samples) >= self._count)

    def _end(self, failure: str) -> None:
        self.failure = failure
        self._transport.abort()

    def _ask(self) -> None:
        self._part = _Part()
        self._asked = time.perf_counter()
        self._transport.write(self._request)


async def ask(
    target: Target,
    request: bytes,
    *,
    connections: int,
    seconds: float = 60.0,
    count: int | None = None,
) -> Run:
    """Ask over `connections` for `seconds`, or `count` times each. Raises `BenchFailed`."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    askers: list[Asker] = []
    try:
        for _ in range(connections):
            _, asker = await loop.create_connection(
                lambda: Asker(request, began + seconds, count),
                target.host,
                target.port,
                ssl=target.is_tls or None,
            )
            askers.append(asker)
        async with asyncio.timeout(seconds + ANSWER_SECONDS):
            await asyncio.gather(*(asker.done for asker in askers))
    except TimeoutError as problem:
        raise BenchFailed(f"{target.name} gave no answer in {ANSWER_SECONDS:.0f} s") from problem
    except OSError as problem:
        where = f"{target.host}:{target.port}"
        raise BenchFailed(f"{target.name} cannot be reached at {where}: {problem}") from problem
    took = time.perf_counter() - began
    if failure := next((asker.failure for asker in askers if asker.failure), ""):
        raise BenchFailed(f"{target.name} does not answer as it should: {failure}")
    return Run(took, [sample for asker in askers for sample in asker.samples])
