"""One HTTP/1.1 connection to a server: a request goes out, its answer comes in, then the next one.

llhttp (by httptools) reads; what is here is its bounds and the ends of an answer. Rules:

- Nobody asks while an answer is on its way. What comes unasked ends the connection.
- What nobody reads is bounded: then the server is not read from.
- A body ends with its length, with its last chunk, or, when the head tells neither, with the
  connection. Any other end is a break, and so is a coding of the body that we did not ask for.
"""

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

HEAD_BYTES_MAX = 64 * 1024
"""Bytes of the head of an answer, of those included that only tell to wait."""
UNREAD_BYTES_MAX = 256 * 1024
"""Bytes of a body that wait to be read."""
LARGE_BYTES = 64 * 1024
"""A request of this size is written in its parts, not copied into one."""


class BrokenResponse(ConnectionError):
    """The connection ended, or what came is no HTTP, before the answer was complete."""


class ClosedBefore(BrokenResponse):
    """The connection ended, and not a byte of the answer had come."""


class Silent(TimeoutError):
    """Nothing came for too long."""


class Answer:
    """The answer to one request, as it comes."""

    def __init__(self, resume: Callable[[], None]) -> None:
        self.status = 0
        """0 until the head is here."""
        self.headers: dict[str, str] = {}
        """By name in lower case; one that is there twice is joined by a comma."""
        self.is_complete = False
        """Whether the body is here to its end; some of it may not have been read."""
        self.unread_bytes = 0
        self._pieces: list[bytes] = []
        self._failure: BrokenResponse | Silent | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._resume = resume

    def header(self, name: str) -> str | None:
        """The value of a header, whatever the case of its name."""
        return self.headers.get(name.lower())

    @property
    def is_read(self) -> bool:
        """Whether the body was read to its end."""
        return self.is_complete and not self._pieces

    async def head(self) -> None:
        """Return once the head is here. Raises `BrokenResponse`, `Silent`."""
        while not self.status:
            await self._more()

    async def read(self) -> bytes:
        """What has come of the body since the last read; empty at its end.

        Raises `BrokenResponse`, `Silent`.
        """
        while not self._pieces:
            if self.is_complete:
                return b""
            await self._more()
        pieces, self._pieces = self._pieces, []
        self.unread_bytes = 0
        self._resume()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def add(self, piece: bytes) -> None:
        """More of the body came."""
        self._pieces.append(piece)
        self.unread_bytes += len(piece)
        self.wake()

    def complete(self) -> None:
        """That was all of it."""
        self.is_complete = True
        self.wake()

    def fail(self, failure: BrokenResponse | Silent) -> None:
        """No more will come; what is here can be read."""
        if not self.is_complete and self._failure is None:
            self._failure = failure
            self.wake()

    def wake(self) -> None:
        """Have the reader look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _more(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None


class Connection(asyncio.Protocol):
    """See the module. `silence_seconds` is the longest wait for the next byte of an answer."""

    def __init__(self, silence_seconds: float) -> None:
        self.is_open = False
        """Whether it can be asked, once its answer is complete."""
        self.idle_since = 0.0
        """Kept by whoever keeps the connection."""
        self._loop = asyncio.get_running_loop()
        self._silence_seconds = silence_seconds
        self._answer: Answer | None = None
        self._parser: httptools.HttpResponseParser
        self._head_bytes = 0
        self._heard = 0.0
        self._is_paused = False
        self._ends_with_connection = False
        self._timer: asyncio.TimerHandle | None = None

    # --- for whoever asks

    def ask(self, *parts: bytes | memoryview) -> Answer:
        """Send a request; the connection is open and its last answer complete."""
        self._answer = answer = Answer(self._resume)
        self._parser = httptools.HttpResponseParser(self)
        self._head_bytes = 0
        self._heard = self._loop.time()
        if sum(map(len, parts)) < LARGE_BYTES:
            self._transport.write(b"".join(parts))
        else:
            self._transport.writelines(parts)
        return answer

    def close(self) -> None:
        """Close at once, whatever is on its way."""
        self.is_open = False
        self._transport.abort()

    # --- for the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The server took the connection."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True
        self._timer = self._loop.call_later(self._silence_seconds, self._look)

    def data_received(self, data: bytes) -> None:
        """Some of the answer came."""
        answer = self._answer
        if answer is None or answer.is_complete:
            self.close()  # it speaks unasked
            return
        self._heard = self._loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as problem:
            # Of what one of our own callbacks refused the parser tells nothing but where.
            refused = problem.__context__
            known = refused if isinstance(refused, BrokenResponse) else None
            answer.fail(known or BrokenResponse(f"what came is no HTTP: {problem}"))
            self.close()
            return
        if not answer.status:
            self._count(len(data))
        if answer.unread_bytes > UNREAD_BYTES_MAX and not self._is_paused and self.is_open:
            self._is_paused = True
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
        answer = self._answer
        if answer is None or answer.is_complete:
            return
        if answer.status and self._ends_with_connection and exc is None:
            answer.complete()
        elif answer.status or self._head_bytes or exc is not None:
            answer.fail(BrokenResponse(str(exc or "the connection was closed")))
        else:
            answer.fail(ClosedBefore("the connection was closed"))

    # --- for the parser

    def on_message_begin(self) -> None:
        """An answer begins, or one that only tells to wait."""
        if self._answer is None or self._answer.is_complete:
            raise BrokenResponse("it answers what nobody asked")

    # user: the parser
    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        assert self._answer is not None
        self._count(len(name) + len(value))
        headers, key = self._answer.headers, name.decode("latin-1").lower()
        text = value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text

    def on_headers_complete(self) -> None:
        """The head is complete; one that only tells to wait is forgotten."""
        answer = self._answer
        assert answer is not None
        status = self._parser.get_status_code()
        if status < 200:
            answer.headers.clear()
            return
        coding = answer.headers.get("content-encoding", "identity")
        if coding.lower() != "identity":
            raise BrokenResponse(f"its body is in {coding[:32]}, which was not asked for")
        chunked = "chunked" in answer.headers.get("transfer-encoding", "").lower()
        self._ends_with_connection = not chunked and "content-length" not in answer.headers
        answer.status = status
        answer.wake()

    # user: the parser
    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        assert self._answer is not None
        self._answer.add(piece)

    def on_message_complete(self) -> None:
        """The answer is complete, if it was one."""
        answer = self._answer
        assert answer is not None
        if answer.status:
            has_sent = self._transport.get_write_buffer_size() == 0
            self.is_open = self.is_open and has_sent and self._parser.should_keep_alive()
            answer.complete()

    def _count(self, size: int) -> None:
        """Raise `BrokenResponse` when the head is too large."""
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES_MAX:
            raise BrokenResponse(f"its head has more than {HEAD_BYTES_MAX} bytes")

    def _resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._heard = self._loop.time()
            self._transport.resume_reading()

    def _look(self) -> None:
        """See whether the server is silent for too long."""
        wait = self._silence_seconds
        answer = self._answer
        if answer is not None and not answer.is_complete and not self._is_paused:
            wait = self._heard + self._silence_seconds - self._loop.time()
            if wait <= 0:
                answer.fail(Silent())
                self.close()
                return
        self._timer = self._loop.call_later(wait, self._look)
