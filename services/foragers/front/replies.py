"""Writing HTTP answers."""

from collections.abc import Iterable

from foragers.core.dialect import Dialect
from foragers.core.errors import ApiError
from nest.guard import JSON, Message, Send

Headers = Iterable[tuple[bytes, bytes]]

TEXT = b"text/plain; charset=utf-8"
EVENT_STREAM = b"text/event-stream"

FALLBACK = b"x-hum-fallback"
CACHED = (b"x-hum-cache", b"hit")
TRUNCATED = (b"x-hum-truncated", b"prompt")

_STREAM_HEADERS = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))


async def answer(
    send: Send, body: bytes, *, status: int = 200, kind: bytes = JSON, headers: Headers = ()
) -> None:
    """One whole answer."""
    all_headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": all_headers})
    await send({"type": "http.response.body", "body": body})


async def answer_error(
    send: Send, error: ApiError, dialect: Dialect, *, request_id: str = "", headers: Headers = ()
) -> int:
    """A refusal in the dialect's shape, with when to try again; returns the status told."""
    more = list(headers)
    if request_id:
        more.append((dialect.request_id, request_id.encode()))
    if error.status == 401:
        more.append((b"www-authenticate", b"Bearer"))
    if error.retry_seconds is not None:
        more.append((b"retry-after", str(error.retry_seconds).encode()))
    if error.is_final:
        more.append((b"x-should-retry", b"false"))
    status = dialect.status(error.status)
    await answer(send, dialect.error_body(error, request_id), status=status, headers=more)
    return status


def with_id(send: Send, dialect: Dialect, request_id: str) -> Send:
    """`send`, with the request's id among the headers."""

    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"].append((dialect.request_id, request_id.encode()))
        await send(message)

    return told


def timing(own_seconds: float, total_seconds: float) -> tuple[bytes, bytes]:
    """How long a request took so far, and how much of that the front itself worked."""
    told = f"hum;dur={own_seconds * 1_000:.3f}, total;dur={total_seconds * 1_000:.3f}"
    return b"server-timing", told.encode()


class Reply:
    """An answer that may come in pieces; its status goes out with the first of them."""

    def __init__(self, send: Send, dialect: Dialect, kind: bytes, request_id: str) -> None:
        self.has_begun = False
        """Whether the status is told, so that only the body can still say that something failed."""
        self._send = send
        self._dialect = dialect
        self._request_id = request_id
        self._headers = [(b"content-type", kind), (dialect.request_id, request_id.encode())]
        if kind.startswith(EVENT_STREAM):
            self._headers += _STREAM_HEADERS

    def warn_truncated(self) -> None:
        """Tell with the status that the model does not see the whole prompt."""
        if not self.has_begun:
            self._headers.append(TRUNCATED)

    def tell_cached(self) -> None:
        """Tell with the status that the answer was given before, and cost nothing now."""
        if not self.has_begun:
            self._headers.append(CACHED)

    def tell_time(self, own_seconds: float, total_seconds: float) -> None:
        """Tell with the status how long it took to get there."""
        if not self.has_begun:
            self._headers.append(timing(own_seconds, total_seconds))

    def tell_fallback(self, model: str) -> None:
        """Tell with the status that another model answers than the first choice."""
        if not self.has_begun:
            name = "".join(char for char in model if char.isprintable())
            self._headers.append((FALLBACK, name.encode("ascii", "replace")))

    async def write(self, piece: bytes, *, is_last: bool) -> None:
        """Send the next piece; what is complete at once tells its length."""
        if not self.has_begun:
            self.has_begun = True
            if is_last:
                self._headers.append((b"content-length", str(len(piece)).encode()))
            await self._send(
                {"type": "http.response.start", "status": 200, "headers": self._headers}
            )
        await self._send({"type": "http.response.body", "body": piece, "more_body": not is_last})

    async def fail(self, error: ApiError, words: bytes = b"") -> None:
        """Say as the last piece, in `words` or the dialect's, that the answer is not complete."""
        last = words or self._dialect.error_event(error, self._request_id)
        await self.write(last, is_last=True)
