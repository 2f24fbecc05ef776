"""Starting a cell and ending it.

    order = Order(argv=("/usr/bin/make", "test"), cwd=folder, env=environment)
    async with opened(order) as cell:
        async for piece in cell.stdout: ...
        status = await cell.exited()

When the block ends, for whatever reason, so does everything the program started, `setsid` and
double forks included. The same holds when this process dies, even by SIGKILL: the guard sees its
pipe close.

Output arrives in pieces of at most 64 KiB and waits in the pipe until it is read, so nothing here
grows; `nest.cells.capture` bounds what is kept.
"""

import copy
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process

from nest.cells import guard
from nest.cells.orders import Order, Pinned
from thrum.errors import LocalError

MARK = "HUM_CELL"
"""Variable by which a tree is recognised whose guard was killed where there are no namespaces."""
END_SECONDS = 5.0
"""How long a guard may take to end its tree; then it is killed."""
REPORT_BYTES_MAX = 4_096
LAST_WORDS_BYTES_MAX = 400
"""Of what is on standard error when nothing could be started."""
LAST_WORDS_SECONDS = 1.0
LIBRARY = Path(__file__).parents[2]
"""The folder in which a guard finds this package."""

_START = """
import sys
sys.path[:0] = [sys.argv[1]]
from nest.cells import guard
guard.main(int(sys.argv[2]), int(sys.argv[3]))
"""


class CellFailed(LocalError):
    """The program could not be started, or its guard ended without saying how it ended."""


def guard_command(
    control: int, report: int, *, python: str = sys.executable, library: str = str(LIBRARY)
) -> list[str]:
    """The command that runs a guard on two inherited pipes; elsewhere than here in a sandbox."""
    return [python, "-I", "-S", "-B", "-c", _START, library, str(control), str(report)]


class Cell:
    """A program and everything it starts. Made by `opened`; one task uses it."""

    def __init__(
        self, process: Process, control: int, report: int, mark: str, pinned: Sequence[Pinned] = ()
    ) -> None:
        self._process = process
        self._pinned = pinned
        self._control: int | None = control
        self._report = report
        self._mark = mark
        self._said = b""
        self._has_ended = False
        self.reports: list[str] = []
        """What the guard said, line by line; see `nest.cells.guard`."""

    @property
    def pid(self) -> int:
        """The process we started, above the guard or the guard itself."""
        return self._process.pid

    @property
    def has_namespace(self) -> bool:
        """Whether the kernel itself ends the tree with its guard."""
        return "namespace" in self.reports

    @property
    def lost(self) -> list[str]:
        """Paths of the order's mounts that others replaced, removed or renamed meanwhile.

        The tree was ended for it. Empty otherwise, and the root of all when it cannot be told.
        """
        for line in self.reports:
            if line.startswith("lost"):
                return [self._pinned[int(number)].path for number in line.split()[1:]] or ["/"]
        return []

    @property
    def stdin(self) -> ByteSendStream:
        """The program's standard input, when it was asked for."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> ByteReceiveStream:
        """The program's standard output; ends when nobody holds it any more."""
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def stderr(self) -> ByteReceiveStream:
        """The program's standard error, likewise."""
        assert self._process.stderr is not None
        return self._process.stderr

    async def started(self) -> None:
        """Return once the program runs; raises `CellFailed` when it does not."""
        await self._until("started")

    async def exited(self) -> int:
        """The program's exit status; 128 and the signal when a signal ended it.

        What it left behind may still run. Raises `CellFailed` when the guard ended first.
        """
        return int((await self._until("exited")).split()[1])

    @property
    def used(self) -> tuple[float, int]:
        """Seconds of processor and most bytes of memory of a program that exited; 0 of others."""
        for line in self.reports:
            if line.startswith("exited"):
                cpu_seconds, peak_kilobytes = line.split()[2:]
                return float(cpu_seconds), int(peak_kilobytes) * 1024
        return 0.0, 0

    async def gone(self) -> None:
        """Return once nothing of the tree is left."""
        while await self._line() is not None:
            pass

    def terminate(self) -> None:
        """Ask the program's process group to end."""
        with suppress(OSError):  # the guard is gone, and the program with it
            if self._control is not None:
                os.write(self._control, guard.TERMINATE)

    def let_go(self) -> None:
        """Have the whole tree ended; `end` waits for it."""
        if self._control is not None:
            os.close(self._control)
            self._control = None

    async def end(self) -> None:
        """End the whole tree; on return nothing of it is left."""
        if self._has_ended:
            return
        self._has_ended = True
        with anyio.CancelScope(shield=True):
            self.let_go()
            with anyio.move_on_after(END_SECONDS) as patience:
                await self.gone()
            if patience.cancelled_caught:
                with suppress(ProcessLookupError):
                    self._process.kill()
            os.close(self._report)
            if not self.has_namespace:
                kill_marked(self._mark)
            await self._process.aclose()  # waits for it

    async def _until(self, event: str) -> str:
        for line in self.reports:
            if line.startswith(event):
                return line
        while (line := await self._line() or "") != "":
            if line.startswith("failed"):
                raise CellFailed(f"the program was not started: {line.partition(' ')[2]}")
            if line.startswith(event):
                return line
        raise CellFailed(f"the guard of the process ended before the process {event}")

    async def _line(self) -> str | None:
        """The next line of the guard; None when there will be none."""
        while b"\n" not in self._said:
            await anyio.wait_readable(self._report)
            piece = os.read(self._report, REPORT_BYTES_MAX)
            if not piece or len(self._said) > REPORT_BYTES_MAX:
                return None
            self._said += piece
        raw, _, self._said = self._said.partition(b"\n")
        self.reports.append(raw.decode(errors="replace"))
        return self.reports[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapper:
    """A program that goes in front of a guard: a sandbox, which ends when we do."""

    argv: Sequence[str]
    """It gets the environment of the order and no other."""
    handles: Sequence[int] = ()
    """What it, or the walls of the order, inherit."""
    python: str = sys.executable
    library: str = str(LIBRARY)
    """Where the guard finds its interpreter and this package inside."""


UNWRAPPED = Wrapper(argv=())


@asynccontextmanager
async def opened(
    order: Order, *, takes_input: bool = False, wrapper: Wrapper = UNWRAPPED
) -> AsyncIterator[Cell]:
    """A cell that runs `order`; the block's end is the end of the whole tree.

    Raises `CellFailed` when the program cannot be started.
    """
    mark = secrets.token_hex(8)
    ordered = _marked(order, mark).to_bytes()
    theirs_control, ours_control = os.pipe()
    ours_report, theirs_report = os.pipe()
    handles = (theirs_control, theirs_report)
    try:
        command = [
            *wrapper.argv,
            *guard_command(*handles, python=wrapper.python, library=wrapper.library),
        ]
        process = await anyio.open_process(
            command,
            stdin=subprocess.PIPE if takes_input else subprocess.DEVNULL,
            cwd="/",
            env=dict(order.env) if wrapper.argv else {},
            pass_fds=(*handles, *wrapper.handles),
            start_new_session=True,
        )
    except OSError as problem:
        os.close(ours_control)
        os.close(ours_report)
        raise CellFailed(f"{command[0]} cannot be started: {problem.strerror}") from problem
    finally:
        for handle in handles:
            os.close(handle)
    cell = Cell(process, ours_control, ours_report, mark, order.walls.pinned)
    try:
        await _sent(ours_control, ordered)
        try:
            await cell.started()
        except CellFailed as failure:
            raise CellFailed(f"{failure}{await _last_words(cell.stderr)}") from failure
        yield cell
    finally:
        await cell.end()


async def _last_words(stream: ByteReceiveStream) -> str:
    """What was said on standard error by something that ended, as the end of a sentence."""
    said = b""
    with suppress(anyio.EndOfStream), anyio.move_on_after(LAST_WORDS_SECONDS):
        while len(said) < LAST_WORDS_BYTES_MAX:
            said += await stream.receive(LAST_WORDS_BYTES_MAX)
    words = " ".join(said.decode(errors="replace").split())
    return f" ({words})" if words else ""


async def _sent(pipe: int, content: bytes) -> None:
    """Write the order; a guard that is gone already is found out when it says nothing."""
    os.set_blocking(pipe, False)
    left = memoryview(content)
    with suppress(BrokenPipeError):
        while left:
            await anyio.wait_writable(pipe)
            left = left[os.write(pipe, left) :]


def _marked(order: Order, mark: str) -> Order:
    marked = copy.copy(order)
    marked.env = {**order.env, MARK: mark}
    return marked


def kill_marked(mark: str) -> None:
    """Kill every process whose environment has this mark: what a killed guard left behind."""
    import psutil

    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark:
                process.kill()
