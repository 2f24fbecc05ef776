"""Requests to one server, on connections that are kept alive between them.

No redirects (a key would travel), no cookies, no proxy from the environment. What a connection does
is in `workers.answers`.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import anyio

from nest.version import HUM_VERSION
from workers.answers import (
    HEAD_BYTES_MAX,
    Answer,
    BrokenResponse,
    ClosedBefore,
    Connection,
    Silent,
)

if TYPE_CHECKING:
    import ssl

CONNECT_SECONDS = 10.0
"""Longest wait for a connection, TLS included."""
SILENCE_SECONDS = 120.0
"""Longest wait for the next byte of an answer."""
CONNECTIONS_MAX = 1_024
"""Connections at once; a further request waits for one."""
IDLE_SECONDS = 15.0
"""A connection idle for longer is closed."""
_PLAIN = "/%:@!$&'()*+,;=~"
"""What stays as it is in the path of a base URL."""

__all__ = [
    "HEAD_BYTES_MAX",
    "SILENCE_SECONDS",
    "Answer",
    "BrokenResponse",
    "Connections",
    "Silent",
    "Unreachable",
]


class Unreachable(ConnectionError):
    """There is no connection to the server."""


class Connections:
    """The connections to the server of a base URL. Made inside the event loop that uses it."""

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        """Every request gets `headers`, which are checked: they have no line ends."""
        parts = urlsplit(base_url)
        is_tls = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if is_tls else 80)
        self._path = quote(parts.path.rstrip("/"), safe=_PLAIN)
        own = {"Host": parts.netloc, "Accept": "*/*", "User-Agent": f"hum/{HUM_VERSION}"}
        self._named = {**own, **headers}
        self._headers = _lines(self._named)
        self._tls = _tls() if is_tls else None
        self._room = asyncio.Semaphore(CONNECTIONS_MAX)
        self._idle: list[Connection] = []
        """The one used last is the last."""
        self._sweep: asyncio.TimerHandle | None = None
        self._is_closed = False

    @asynccontextmanager
    async def exchange(
        self,
        method: str,
        path: str,
        *body: bytes | memoryview,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Answer]:
        """Send one request; the head of its answer is here, and its body can be read.

        The parts of `body` go out one behind the other, without being copied into one. `headers`,
        which are checked too, stand in place of those of the same name that every request has.

        A connection whose answer was not read to its end is closed, also when the task is
        cancelled. A server may close an idle connection at any moment: a request that meets this
        before a byte of its answer has come is sent again, once.

        Raises `Unreachable`, `BrokenResponse`, `Silent`.
        """
        named = _lines({**self._named, **headers}) if headers else self._headers
        head = f"{method} {self._path}{path} HTTP/1.1\r\n".encode() + named
        size = sum(map(len, body))
        if size or method != "GET":
            head += f"Content-Length: {size}\r\n".encode()
        head += b"\r\n"
        async with self._room:
            connection = await self._open()
            try:
                answer = connection.ask(head, *body)
                try:
                    await answer.head()
                except ClosedBefore:
                    connection = await self._open()
                    answer = connection.ask(head, *body)
                    await answer.head()
                yield answer
            finally:
                if answer.is_read and connection.is_open:
                    self._keep(connection)
                else:
                    connection.close()

    async def close(self) -> None:
        """Close every connection that is not in use; one that is closes when its request ends."""
        self._is_closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        while self._idle:
            self._idle.pop().close()

    async def _open(self) -> Connection:
        """A connection to ask. Raises `Unreachable`."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        loop = asyncio.get_running_loop()
        try:
            with anyio.fail_after(CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: Connection(SILENCE_SECONDS), self._host, self._port, ssl=self._tls
                )
        except TimeoutError as late:
            raise Unreachable(f"no connection within {CONNECT_SECONDS:.0f} s") from late
        except OSError as problem:
            raise Unreachable(
                f"{self._host}:{self._port}: {problem.strerror or problem}"
            ) from problem
        return connection

    def _keep(self, connection: Connection) -> None:
        if self._is_closed:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(IDLE_SECONDS, self._close_idle)

    def _close_idle(self) -> None:
        """Close what was not used for long; look again as long as something is kept."""
        loop = asyncio.get_running_loop()
        latest = loop.time() - IDLE_SECONDS
        kept = [one for one in self._idle if one.is_open and one.idle_since > latest]
        for connection in self._idle:
            if connection not in kept:
                connection.close()
        self._idle = kept
        self._sweep = loop.call_later(IDLE_SECONDS / 2, self._close_idle) if kept else None


def _lines(headers: Mapping[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()


def _tls() -> "ssl.SSLContext":
    import ssl  # here, because a service on this machine needs none

    return ssl.create_default_context()
