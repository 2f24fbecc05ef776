"""Reading a request's body, bounded in bytes over all requests together.

How long a client may take for it is the listener's concern (`nest.listeners`).
"""

import secrets
import time
from collections.abc import Callable
from mmap import mmap
from urllib.parse import parse_qsl

from foragers.core.dialect import Asked
from foragers.core.errors import ApiError
from nest.guard import BODY_BYTES_MAX, Receive, Scope
from nest.large import large_buffer
from thrum import ids
from thrum.tones import Body

BODIES_BYTES_MAX = 256 * 1024 * 1024
"""Bytes of all bodies in memory that are not on their way to humd yet."""


REQUEST_ID = "hum.request"
"""Key of a request's scope: its id, which is told with every answer."""
KEY = "hum.key"
"""Key of a request's scope: the client's `Key`, or None where none is needed."""

Recall = Callable[[str], tuple[Body, ...] | None]


def mint_request_id() -> str:
    """The id of one request: of its prompt in the log, and in the front's own log."""
    now_ms = time.time_ns() // 1_000_000
    return ids.mint_humid(now_ms, secrets.token_bytes(ids.HUMID_RANDOM_BYTES))


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


def asked_of(scope: Scope, recall: Recall = lambda name: None) -> Asked:
    """The request without its body; `recall` knows what was said before."""
    query = scope.get("query_string", b"").decode("ascii", "replace")
    return Asked(
        path=scope["path"],
        headers=dict(scope["headers"]),
        query=dict(parse_qsl(query)) if query else {},
        now_ns=time.time_ns,
        recall=recall,
    )


async def _next(receive: Receive) -> tuple[bytes, bool]:
    """The next piece of a body, and whether it is the last. Raises `ClientGone`."""
    message = await receive()
    if message["type"] != "http.request":
        raise ClientGone
    return message.get("body", b""), not message.get("more_body", False)


class Bodies:
    """All bodies that are being read or translated."""

    def __init__(self, bytes_max: int = BODIES_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._held = 0

    def hold(self, size: int) -> None:
        """Hold `size` more bytes; raises `ApiError` when they are too many."""
        if self._held + size > self._bytes_max:
            raise ApiError(503, "too many large requests at once", code="overloaded")
        self._held += size

    def release(self, size: int) -> None:
        """Give `size` bytes back."""
        self._held -= size


class Room:
    """Room for one body; `close` gives it back."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._size = 0

    async def read(self, receive: Receive) -> bytes:
        """The whole body. Raises `ApiError` when it is too long, `ClientGone`."""
        pieces: list[bytes] = []
        while True:
            piece, is_last = await _next(receive)
            self._hold(len(piece))
            if is_last:
                return b"".join((*pieces, piece)) if pieces else piece
            pieces.append(piece)

    async def read_large(self, receive: Receive, size: int) -> mmap:
        """As `read`, for a body that says that it is long, into memory that comes and goes fast."""
        buffer, at, is_last = large_buffer(size), 0, False
        while not is_last:
            piece, is_last = await _next(receive)
            self._hold(len(piece))
            buffer[at : at + len(piece)] = piece
            at += len(piece)
        return buffer

    def close(self) -> None:
        """The body is not needed any more."""
        self._bodies.release(self._size)
        self._size = 0

    def _hold(self, size: int) -> None:
        self._bodies.hold(size)
        self._size += size
        if self._size > BODY_BYTES_MAX:
            raise ApiError(413, f"a body has at most {BODY_BYTES_MAX} bytes", code="body_too_large")
