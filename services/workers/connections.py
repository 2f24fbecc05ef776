"""Requests to one server, on connections that are kept alive between them.

aiohttp does the work; what is here is its bounds, and its faults as the three that a caller handles
differently. No redirects (a key would travel), no cookies, no proxy from the environment.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import aiohttp

CONNECT_SECONDS = 10.0
"""Longest wait for a connection, TLS included."""
SILENCE_SECONDS = 120.0
"""Longest wait for the next byte of an answer."""
CONNECTIONS_MAX = 1_024
"""Connections at once; a further request waits for one."""
IDLE_SECONDS = 15.0
"""A connection idle for longer is not used again."""
HEADER_BYTES_MAX = 64 * 1024
"""Bytes of one header of an answer."""


class Unreachable(ConnectionError):
    """There is no connection to the server."""


class BrokenResponse(ConnectionError):
    """The connection ended, or what came is no HTTP, before the answer was complete."""


class Silent(TimeoutError):
    """Nothing came for `SILENCE_SECONDS`."""


class Answer:
    """An answer whose head is here."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status

    def header(self, name: str) -> str | None:
        """The value of a header, whatever the case of its name."""
        return self._response.headers.get(name)

    @property
    def is_complete(self) -> bool:
        """Whether the body was read to its end."""
        return self._response.content.at_eof()

    async def read(self) -> bytes:
        """What has come of the body since the last read; empty at its end."""
        with _translated():
            return await self._response.content.readany()


class Connections:
    """The connections to the server of a base URL. Made inside the event loop that uses it."""

    def __init__(self, base_url: str, headers: dict[str, str]) -> None:
        """Every request gets `headers`."""
        self._base_url = base_url.rstrip("/")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, keepalive_timeout=IDLE_SECONDS),
            headers=headers,
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            max_field_size=HEADER_BYTES_MAX,
            trust_env=False,
        )

    @asynccontextmanager
    async def exchange(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Answer]:
        """Send one request; the head of its answer is here, and its body can be read.

        `headers` stand in place of those of the same name that every request has.

        A connection whose answer was not read to its end is closed, also when the task is
        cancelled. A server may close an idle connection at any moment: a request that meets this
        before a byte of its answer has come is sent again, once.

        Raises `Unreachable`, `BrokenResponse`, `Silent`.
        """
        with _translated():
            try:
                response = await self._ask(method, path, body, headers)
            except aiohttp.ServerDisconnectedError:
                response = await self._ask(method, path, body, headers)
        answer = Answer(response)
        try:
            with _ending_with_connection(response):
                yield answer
        finally:
            if answer.is_complete:
                response.release()
            else:
                response.close()

    async def _ask(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str] | None
    ) -> aiohttp.ClientResponse:
        return await self._session.request(
            method, self._base_url + path, data=body or None, allow_redirects=False, headers=headers
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()


@contextmanager
def _ending_with_connection(response: aiohttp.ClientResponse) -> Iterator[None]:
    """Have the body end when its connection does.

    When what comes is no chunk, aiohttp closes the connection and forgets to tell who reads the
    body: that would wait for ever.
    """
    protocol = response.connection.protocol if response.connection is not None else None
    closed = protocol.closed if protocol is not None else None
    content = response.content

    def end(_: object) -> None:
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("what came is no HTTP"))

    if closed is not None:
        closed.add_done_callback(end)
    try:
        yield
    finally:
        if closed is not None:
            closed.remove_done_callback(end)  # the connection may serve many more


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except aiohttp.ConnectionTimeoutError as late:
        raise Unreachable(f"no connection within {CONNECT_SECONDS:.0f} s") from late
    except aiohttp.ClientConnectorError as problem:
        raise Unreachable(str(problem)) from problem
    except TimeoutError as late:
        raise Silent from late
    except (aiohttp.ClientError, ValueError) as problem:
        raise BrokenResponse(str(problem) or "the connection was closed") from problem
