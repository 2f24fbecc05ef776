"""The only way out of the sandbox: a proxy for `CONNECT`, on a socket that is shown inside.

It goes where the owner's list says, and to addresses of the internet: a listed name that resolves
to this machine or its network leads nowhere. Inside, the guard of a command listens on a port and
hands every connection here. Without a list there is no socket.
"""

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
from anyio.abc import ByteStream, SocketStream, TaskStatus

from humfs.core.sandbox.hosts import HEAD_BYTES_MAX, Destination, Hosts, NotAllowed, is_public
from nest.metrics import Counter, Registry

CONNECTIONS_MAX = 64
"""Connections at once; others wait in the queue of the socket."""
HEAD_SECONDS = 10.0
"""How long a request may take to say where it goes."""
CONNECT_SECONDS = 15.0
QUIET_SECONDS = 300.0
"""How long a connection may carry nothing."""
PIECE_BYTES = 64 * 1024

log = logging.getLogger(__name__)


class Proxy:
    """The proxy of one process."""

    def __init__(self, hosts: Hosts, metrics: Registry) -> None:
        self._hosts = hosts
        self._limit = anyio.CapacityLimiter(CONNECTIONS_MAX)
        self._answers: Counter = metrics.counter(
            "hum_humfs_proxy_total", "Connections that commands asked for.", ("outcome",)
        )

    async def serve(self, path: Path, *, task_status: TaskStatus[None]) -> None:
        """Serve connections on the socket at `path` until cancelled; started once it is there."""
        listener = await anyio.create_unix_listener(path, mode=0o600)
        async with listener:
            task_status.started()
            await listener.serve(self._serve)

    async def _serve(self, client: SocketStream) -> None:
        async with self._limit, client:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, TimeoutError):
                try:
                    with anyio.fail_after(HEAD_SECONDS):
                        head, rest = await _head(client)
                    destination = self._hosts.asked(head)
                    async with _connected(destination) as server:
                        self._answers.labels("connected").inc()
                        log.info("proxy.connected", extra={"host": destination.host})
                        await client.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
                        if rest:
                            await server.send(rest)
                        await _joined(client, server)
                except NotAllowed as refusal:
                    self._answers.labels("refused").inc()
                    log.warning("proxy.refused", extra={"reason": str(refusal)})
                    text = f"HTTP/1.1 {refusal.status}\r\nConnection: close\r\n\r\n{refusal}\n"
                    await client.send(text.encode("utf-8", "replace"))


async def _head(client: ByteStream) -> tuple[bytes, bytes]:
    """The head of a request, and what came behind it."""
    content = b""
    while b"\r\n\r\n" not in content:
        if len(content) > HEAD_BYTES_MAX:
            raise NotAllowed("431 Request Header Fields Too Large", "the request is too long")
        try:
            content += await client.receive(HEAD_BYTES_MAX)
        except anyio.EndOfStream:
            raise NotAllowed("400 Bad Request", "the request ends early") from None
    head, _, rest = content.partition(b"\r\n\r\n")
    return head, rest


@asynccontextmanager
async def _connected(destination: Destination) -> AsyncIterator[ByteStream]:
    """A connection to the first address that may be reached; raises `NotAllowed`."""
    host, port = destination.host, destination.port
    try:
        with anyio.fail_after(CONNECT_SECONDS):
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            addresses = [str(row[4][0]) for row in found]
            usable = [one for one in addresses if destination.is_listed_address or is_public(one)]
            if not usable:
                raise NotAllowed("403 Forbidden", f"{host} is no address of the internet")
            server = await anyio.connect_tcp(usable[0], port)
    except (OSError, TimeoutError) as problem:
        reason = str(problem) or "it does not answer"
        raise NotAllowed("502 Bad Gateway", f"{host}:{port} cannot be reached: {reason}") from None
    async with server:
        yield server


async def _joined(one: ByteStream, other: ByteStream) -> None:
    """Carry bytes both ways until one side ends or nothing moves for long."""
    async with anyio.create_task_group() as tasks:

        async def carry(source: ByteStream, target: ByteStream) -> None:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError, TimeoutError):
                while True:
                    with anyio.fail_after(QUIET_SECONDS):
                        piece = await source.receive(PIECE_BYTES)
                    await target.send(piece)
            tasks.cancel_scope.cancel()

        tasks.start_soon(carry, one, other)
        tasks.start_soon(carry, other, one)
