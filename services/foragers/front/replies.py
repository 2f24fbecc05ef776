"""Writing HTTP answers."""

from collections.abc import Iterable

from foragers.core.openai.errors import ApiError
from nest.guard import JSON, Send

Headers = Iterable[tuple[bytes, bytes]]

TEXT = b"text/plain; charset=utf-8"
EVENT_STREAM = b"text/event-stream"
REQUEST_ID = b"x-request-id"

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


async def answer_error(send: Send, error: ApiError, *, headers: Headers = ()) -> None:
    """A refusal in the dialect's shape, with when to try again."""
    more = list(headers)
    if error.retry_seconds is not None:
        more.append((b"retry-after", str(error.retry_seconds).encode()))
    await answer(send, error.body(), status=error.status, headers=more)


class Reply:
    """An answer that may come in pieces; its status goes out with the first of them."""

    def __init__(self, send: Send, kind: bytes, request_id: str) -> None:
        self.has_begun = False
        """Whether the status is told, so that only the body can still say that something failed."""
        self._send = send
        self._headers = [(b"content-type", kind), (REQUEST_ID, request_id.encode())]
        if kind.startswith(EVENT_STREAM):
            self._headers += _STREAM_HEADERS

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
