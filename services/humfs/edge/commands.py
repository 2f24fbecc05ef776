"""Commands that run, and what they leave running.

A call waits for its command. When the shell has ended and something it started has not, the call is
answered all the same; the rest of the tree runs on until it ends, until `LINGER_SECONDS` are over,
until `LINGERING_MAX` newer ones linger too, or until humfs stops.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import anyio
from anyio.abc import ByteReceiveStream

from humfs.core.sandbox.changes import Since
from humfs.core.sandbox.layers import Layer, Standing
from humfs.core.shell.output import Stream
from humfs.edge.sandbox import Sandbox, Seen
from nest.cells.cell import Cell, CellFailed
from nest.metrics import Registry

RUNNING_MAX = 16
"""Commands that run at the same time; others wait their turn."""
AFTER_SECONDS = 0.5
"""How long output is collected after the shell has ended."""
TERMINATE_SECONDS = 2.0
"""How long a command has between TERM and KILL."""
LINGERING_MAX = 8
"""Answered commands of which something still runs; the oldest is ended first."""
LINGER_SECONDS = 3_600.0
"""How long that may run."""
PIECE_BYTES = 32 * 1024
FREE_BYTES = 16 * 1024 * 1024
"""Of a stream, read as fast as it comes; then it is read slowly, or others would have to wait."""
PAUSE_SECONDS = 0.02
KILLED = 137
TIMED_OUT = 124

log = logging.getLogger(__name__)

Hear = Callable[[str, str], None]
"""Takes the name of a stream and text that came on it."""


@dataclass(slots=True)
class Command:
    """One command: what it is, and what became of it once it is `answered`."""

    argv: Sequence[str]
    cwd: str
    timeout_seconds: float
    standing: Standing
    hear: Hear
    out: Stream = field(default_factory=Stream)
    err: Stream = field(default_factory=Stream)
    exit_status: int = KILLED
    has_timed_out: bool = False
    was_ended: bool = False
    """Whether the sandbox itself ended: the kernel killed it for want of memory."""
    lingers: bool = False
    since: Since = field(default_factory=Since)
    """What became of protected names while it ran."""
    earlier: Since = field(default_factory=Since)
    """The same of commands that went on when they were answered, since then."""
    failure: Exception | None = None
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    drained: list[anyio.Event] = field(default_factory=lambda: [anyio.Event(), anyio.Event()])
    """When the two streams have ended."""
    answered: anyio.Event = field(default_factory=anyio.Event)
    ended: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class Commands:
    """The commands of one process. `attend` owns them; one loop uses it."""

    def __init__(self, sandbox: Sandbox, metrics: Registry) -> None:
        self._sandbox = sandbox
        self._ended = metrics.counter(
            "hum_humfs_commands_ended_total", "Commands that a bound ended.", ("bound",)
        )
        self._limit = anyio.CapacityLimiter(RUNNING_MAX)
        self._lingering: list[Command] = []
        self._untold = Since()
        """Of commands that were answered; the next answer tells it."""
        self._tasks = anyio.create_task_group()
        self._is_attended = anyio.Event()

    async def attend(self) -> None:
        """Run commands until cancelled; then end everything they started."""
        async with self._tasks:
            self._is_attended.set()
            await anyio.sleep_forever()

    async def run(self, command: Command) -> None:
        """Return when a command can be answered; raises what kept it from starting.

        Cancelled, the whole tree is ended before this returns.
        """
        async with self._limit:
            command.started = time.monotonic()
            await self._is_attended.wait()
            self._tasks.start_soon(self._live, command, name="humfs.command")
            try:
                await command.answered.wait()
            except BaseException:
                command.scope.cancel()
                with anyio.CancelScope(shield=True):
                    await command.ended.wait()
                raise
        if command.failure is not None:
            raise command.failure
        command.earlier, self._untold = self._untold, Since()

    async def _live(self, command: Command) -> None:
        """From the start of a command to the end of everything it started."""
        seen = Seen()
        try:
            with command.scope:
                async with (
                    self._sandbox.cell(command.argv, command.cwd, command.standing, seen) as cell,
                    anyio.create_task_group() as readers,
                ):
                    for number, stream in enumerate((cell.stdout, cell.stderr)):
                        readers.start_soon(_read, stream, command, number)
                    await self._follow(cell, command, seen)
                    readers.cancel_scope.cancel()
        except Exception as problem:  # noqa: BLE001 - whoever waits raises it
            command.failure = problem
        finally:
            command.ended.set()
            _answer(command)

    async def _follow(self, cell: Cell, command: Command, seen: Seen) -> None:
        """Wait for the shell, and for what it leaves running."""
        await self._end(cell, command)
        command.lingers = command.lingers and not cell.lost
        await self._look(cell, command, seen)
        if command.lingers:
            _answer(command)
            await self._linger(cell, command)
            await self._look(cell, command, seen)

    async def _look(self, cell: Cell, command: Command, seen: Seen) -> None:
        """See what has become of the protected names, and tell what may have been written."""
        if Layer.BUBBLEWRAP not in command.standing.layers:
            return
        since = await self._sandbox.since(seen, cell.lost) - command.since
        if not command.answered.is_set():
            command.since = since
        else:
            self._untold |= since
        if since.replaced:
            self._ended.labels("replaced").inc()
            log.error("command.protected_replaced", extra={"paths": list(since.replaced)})
        if since.removed:
            self._ended.labels("barred").inc()

    async def _end(self, cell: Cell, command: Command) -> None:
        """Return when the shell has ended and its output is read, as far as that is waited for."""
        try:
            with anyio.move_on_after(command.timeout_seconds) as patience:
                command.exit_status = await cell.exited()
            if patience.cancelled_caught:
                command.has_timed_out = True
                self._ended.labels("timeout").inc()
                command.exit_status = TIMED_OUT
                cell.terminate()
                with anyio.move_on_after(TERMINATE_SECONDS):
                    await cell.gone()
                return
        except CellFailed:
            command.was_ended = True
            self._ended.labels("memory").inc()
            return
        with anyio.move_on_after(AFTER_SECONDS) as patience:
            await cell.gone()
            for drained in command.drained:
                await drained.wait()
        command.lingers = patience.cancelled_caught

    async def _linger(self, cell: Cell, command: Command) -> None:
        self._lingering.append(command)
        if len(self._lingering) > LINGERING_MAX:
            self._ended.labels("newer").inc()
            self._lingering[0].scope.cancel()
        try:
            with anyio.move_on_after(LINGER_SECONDS) as patience:
                await cell.gone()
            if patience.cancelled_caught:
                self._ended.labels("hour").inc()
        finally:
            self._lingering.remove(command)


def _answer(command: Command) -> None:
    if not command.answered.is_set():
        command.seconds = time.monotonic() - command.started
        command.answered.set()


async def _read(stream: ByteReceiveStream, command: Command, number: int) -> None:
    """Read a stream to its end, also when nobody wants it any more: its writer must not stop."""
    kept, name = ((command.out, "stdout"), (command.err, "stderr"))[number]
    with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
        while True:
            piece = await stream.receive(PIECE_BYTES)
            if not command.answered.is_set():
                command.hear(name, kept.add(piece))
                if kept.bytes_total > FREE_BYTES:
                    await anyio.sleep(PAUSE_SECONDS)
    command.drained[number].set()
