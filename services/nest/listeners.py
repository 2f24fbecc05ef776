"""HTTP listeners of this machine: sockets on loopback, and uvicorn on them with every bound set.

For processes that serve HTTP; nobody else pays for the import.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import anyio
from anyio.abc import TaskStatus

from nest.guard import App
from nest.spared import spare_init
from nest.stop import Stop
from thrum.errors import SettingsRefused

spare_init("uvicorn")  # its command line

import uvicorn  # noqa: E402 - after what it must not import
from uvicorn.config import Config  # noqa: E402
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol  # noqa: E402
from uvicorn.server import Server  # noqa: E402

vars(uvicorn).update(Config=Config, Server=Server)  # where its other modules look for them

BACKLOG = 1_024
"""Connections waiting to be accepted."""
CONNECTIONS_MAX = 2_048
"""Connections open at once; further ones are answered with 503."""
REQUEST_SECONDS = 10
"""How long a client may take to send a request, headers and body; then its connection is closed."""
KEEP_ALIVE_SECONDS = 75
"""How long a connection may be idle between two requests."""
HEAD_BYTES_MAX = 512 * 1024
"""Bytes read for a head that is not complete yet. The guard refuses smaller ones, with a reason."""
JOINED_BYTES_MAX = 64 * 1024
"""Bytes of an answer that wait for more of it until the end of a turn of the loop."""
BODY_PIECE_BYTES = 256 * 1024
"""Bytes of a body that are gathered before the application gets them; then the client waits."""
DATE_SECONDS = 1.0
"""How often the Date header is made anew."""
PORT_TRIES = 16
"""How often a free port is looked for that both families have."""

GONE = "hum.gone"
"""Key of a request's scope: its `Gone`."""

_BOTH = {"127.0.0.1", "localhost"}


def listen(host: str, port: int, *, setting: str) -> list[socket.socket]:
    """Bind `host`; for 127.0.0.1 and localhost also ::1, when this machine has it.

    All have the same port, which is theirs when `port` is 0. Raises `SettingsRefused` when it is
    taken; the message names who has it, where that can be seen, and `setting`.
    """
    if host not in _BOTH:
        return [_bind(host, port, setting)]
    for _ in range(PORT_TRIES):
        first = _bind("127.0.0.1", port, setting)
        try:
            second = _bind("::1", first.getsockname()[1], setting)
        except _NoFamily:
            return [first]
        except SettingsRefused:
            first.close()
            if port:
                raise
        else:
            return [first, second]
    raise SettingsRefused("no port is free on 127.0.0.1 and ::1 alike", hint=f"set {setting}")


async def serve(
    app: App,
    sockets: Sequence[socket.socket],
    stop: Stop,
    *,
    drain_seconds: int,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `app` until `stop`; started once connections are accepted.

    Then no new connection is taken, requests in flight get `drain_seconds`, what is left is
    cancelled, and the sockets are closed.
    """
    config = Config(
        app,
        http=_BoundedProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=CONNECTIONS_MAX,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=drain_seconds,
    )
    await _Server(config, stop, task_status).serve(list(sockets))


class _Server(Server):
    """uvicorn under our lifecycle: no signal handlers, and ten times fewer wake-ups when idle."""

    def __init__(self, config: Config, stop: Stop, task_status: TaskStatus[None]) -> None:
        super().__init__(config)
        self._stop = stop
        self._task_status = task_status

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the lifecycle's."""
        yield

    async def main_loop(self) -> None:
        """Accept until the process is to end."""
        await self.on_tick(0)
        self._task_status.started()
        while not self._stop.requested:
            with anyio.move_on_after(DATE_SECONDS):
                await self._stop.wait()
            await self.on_tick(0)


class Gone:
    """Tells that a client closed its connection before it had its whole answer.

    It stands in every request's scope under `GONE`. Waiting for `http.disconnect` says the same
    and costs a task for each request.
    """

    __slots__ = ("_tell", "is_gone")

    def __init__(self) -> None:
        self.is_gone = False
        self._tell: Callable[[], object] | None = None

    def tell(self, listener: Callable[[], object] | None) -> None:
        """Call `listener` once when the client goes, at once when it is gone; None: nobody."""
        self._tell = listener
        if self.is_gone and listener is not None:
            listener()

    def set(self) -> None:
        """The client is gone."""
        if not self.is_gone:
            self.is_gone = True
            if self._tell is not None:
                self._tell()


class _Joined(asyncio.Transport):
    """A transport that writes whatever was said in one turn of the loop at once.

    The server says the head of an answer and its body one after the other, and each write wakes the
    client.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write soon, or now when it is much."""
        if not self._pieces:
            self._loop.call_soon(self._flush)
        self._pieces.append(bytes(data))
        self._size += len(data)
        if self._size > JOINED_BYTES_MAX:
            self._flush()

    def _flush(self) -> None:
        if self._pieces:
            data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces.clear()
            self._size = 0
            self._transport.write(data)

    def close(self) -> None:
        """Close once everything is written."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._pieces.clear()
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Read nothing more for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._transport.resume_reading()

    def get_write_buffer_size(self) -> int:
        """Bytes that are not written yet."""
        return self._size + self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the transport knows of itself."""
        return self._transport.get_extra_info(name, default)


class _BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds on a request's bytes and time, and with `Gone`."""

    _is_in_head = True
    _is_incomplete = True
    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there, and owes us a request."""
        super().connection_made(_Joined(transport, self.loop))
        self._deadline = self.loop.call_later(REQUEST_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._in_time()
        super().connection_lost(exc)
        unanswered = [cycle for cycle, _ in self.pipeline]
        if self.cycle is not None:
            unanswered.append(self.cycle)
        for cycle in unanswered:
            if not cycle.response_complete:
                _open(cycle.scope)[GONE].set()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what did not complete a head is counted as one."""
        super().data_received(data)
        if not self._is_incomplete or self.transport.is_closing():
            return
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self.send_400_response("The head of the request is too large.")
                return
        if self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_SECONDS, self._too_slow)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._is_in_head = self._is_incomplete = True
        self._head_bytes = 0
        super().on_message_begin()
        _open(self.scope)[GONE] = Gone()

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._is_in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body. The application is woken for many of them at once."""
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > BODY_PIECE_BYTES:
            self.flow.pause_reading()
            cycle.message_event.set()

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._is_incomplete = False
        self._in_time()
        super().on_message_complete()
        if not self.pipeline:
            # A long body had reading paused; nobody would notice any more that the client left.
            self.flow.resume_reading()

    def _in_time(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        self.transport.close()


def _open(scope: object) -> dict[str, Any]:
    """A scope as what it is, a dictionary that may hold keys of ours."""
    return cast("dict[str, Any]", scope)


class _NoFamily(Exception):
    """This machine has no such address."""


def _bind(host: str, port: int, setting: str) -> socket.socket:
    is_six = ":" in host
    try:
        made = socket.socket(socket.AF_INET6 if is_six else socket.AF_INET, socket.SOCK_STREAM)
    except OSError as problem:
        raise _NoFamily from problem
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_six:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port))
        made.listen(BACKLOG)
    except OSError as problem:
        made.close()
        if is_six and problem.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            raise _NoFamily from problem
        raise _refused(host, port, setting, problem) from problem
    return made


def _refused(host: str, port: int, setting: str, problem: OSError) -> SettingsRefused:
    if problem.errno != errno.EADDRINUSE:
        return SettingsRefused(
            f"port {port} of {host} cannot be used: {problem.strerror}",
            hint=f"set {setting} in hum.json to another port",
        )
    holder = _holder(port)
    return SettingsRefused(
        f"port {port} of {host} is taken{f' by {holder}' if holder else ''}",
        hint=f"end that process, or set {setting} in hum.json to another port (0 takes a free one)",
    )


def _holder(port: int) -> str | None:
    """Who listens on `port`, where we may see it."""
    import psutil  # here, because it is needed only to explain a failure

    try:
        listening: list[Any] = psutil.net_connections(kind="tcp")
        for entry in listening:
            if entry.status == psutil.CONN_LISTEN and entry.laddr.port == port and entry.pid:
                return f"{psutil.Process(entry.pid).name()} (pid {entry.pid})"
    except psutil.Error:
        return None
    return None
