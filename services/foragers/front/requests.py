"""Reading a request: its body, bounded in bytes over all requests together, and what it asks for.

How long a client may take for it is the listener's concern (`nest.listeners`).
"""

import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from mmap import mmap
from urllib.parse import parse_qsl

from anyio import to_thread

from foragers.core.attachments import LARGE_BYTES, Lifted, is_base64, lift, place
from foragers.core.dialect import Asked, Dialect, Request
from foragers.core.errors import ApiError
from foragers.front.spool import Held
from nest.guard import BODY_BYTES_MAX, Receive, Scope
from nest.large import large_buffer
from thrum import ids
from thrum.attachments import digest_of
from thrum.tones import Body

BODIES_BYTES_MAX = 256 * 1024 * 1024
"""Bytes of all bodies in memory that are not on their way to humd yet."""


REQUEST_ID = "hum.request"
"""Key of a request's scope: its id, which is told with every answer."""
CHECKERS = 2
"""Threads that see whether texts are base64."""
_CHECKERS = ThreadPoolExecutor(CHECKERS, "base64")
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


async def read_request(
    dialect: Dialect, raw: bytes | mmap, asked: Asked, held: Held
) -> tuple[Request, int]:
    """What a body asks for, its large images put aside; and the length of the rest.

    Raises `ApiError`.
    """
    if type(raw) is bytes and len(raw) < LARGE_BYTES:
        return dialect.read(raw, asked), len(raw)
    lifted = await to_thread.run_sync(lift, raw, secrets.token_hex(8), _judge)
    for is_whole in (False, True):
        body = Lifted(raw[:]) if is_whole else lifted
        request = dialect.read(body.thin, asked)
        bodies = (request.prompt, {"history": list(request.keeps or ())})
        if await to_thread.run_sync(place, bodies, body, held.put):
            return request, len(body.thin)
        held.release()
    raise AssertionError("a body that nothing was cut out of has no marks")


def _judge(text: memoryview) -> str | None:
    """As `judged`, on two cores: who makes a digest lets other threads run."""
    is_good = _CHECKERS.submit(is_base64, text)
    digest = digest_of(text)
    return digest if is_good.result() else None
