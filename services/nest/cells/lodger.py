"""One cell of a pool, as whoever works with it sees it."""

from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream

from nest.cells.capture import Capture
from nest.cells.cell import Cell, CellFailed
from nest.cells.limits import KILLED, Death, Limit
from nest.cells.lines import Lines

if TYPE_CHECKING:
    from nest.cells.lodging import Ending

LAST_WORDS_BYTES = 4_096
"""Of a program's standard error, what is kept: the end."""
EXIT_SECONDS = 1.0
"""How long a program that closed its output may take to end."""
LAST_WORDS_SECONDS = 0.2
"""How long standard error of a program that ended may be held open by what it started."""


class Lodger:
    """The cell of one sid. Whoever is in a `CellPool.lodged` block has it alone."""

    def __init__(self, sid: str) -> None:
        self.sid = sid
        self.is_new = True
        """Whether this is its first block."""
        self.is_closing = False
        """Whether its pool closes: nothing it does is worth waiting for."""
        self.ending: Ending | None = None
        """Why it was ended; None as long as it runs, and when its program ended by itself."""
        self.death: Death | None = None
        """How its program ended by itself."""
        self.limit: Limit | None = None
        """The limit that it died of."""
        self.failure: CellFailed | None = None
        """Why it could not be started."""
        self.exited = anyio.Event()
        """It is known how its program ended, or why we ended it."""
        self.ready = anyio.Event()
        """It runs, or it never will."""
        self.released = anyio.Event()
        """The block that saw its program end is over."""
        self.gone = anyio.Event()
        """Nothing of it is left."""
        self.scope = anyio.CancelScope()
        """Its life; cancelled to end it."""
        self._is_kept = False
        self._cell: Cell | None = None
        self._lines: Lines | None = None
        self._said = Capture(0, LAST_WORDS_BYTES)

    @property
    def pid(self) -> int | None:
        """The process above its tree; None while it starts."""
        return None if self._cell is None else self._cell.pid

    @property
    def stdin(self) -> ByteSendStream:
        """The program's standard input."""
        assert self._cell is not None
        return self._cell.stdin

    @property
    def lines(self) -> Lines:
        """The program's standard output; it ends with the program, once all is read."""
        assert self._lines is not None
        return self._lines

    @property
    def last_words(self) -> str:
        """The end of the program's standard error."""
        return self._said.tail.decode(errors="replace").strip()

    async def ended(self) -> Death | None:
        """How a program ended whose output did; None when it runs on, or we ended it."""
        with anyio.move_on_after(EXIT_SECONDS):
            await self.exited.wait()
        return self.death

    def keep(self) -> None:
        """Let the cell rest when the block ends: its program waits for the next prompt."""
        self._is_kept = True

    def was_kept(self) -> bool:
        """Whether the block that ends kept it; the next one has to say so again."""
        is_kept, self._is_kept, self.is_new = self._is_kept, False, False
        return is_kept

    async def live(self, cell: Cell) -> int:
        """Return with the exit status once the program ended by itself.

        What it left running is being ended then; what it wrote can still be read.
        """
        self._cell, self._lines = cell, Lines(cell.stdout)
        self.ready.set()
        heard = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen, cell.stderr, heard, name="cells.stderr")
            try:
                status = await cell.exited()
            except CellFailed:
                status = KILLED  # with its guard, so what it left may hold the streams open
                self.released.set()
            with anyio.move_on_after(LAST_WORDS_SECONDS):
                await heard.wait()
            cell.let_go()
            tasks.cancel_scope.cancel()
        return status

    async def _listen(self, stream: ByteReceiveStream, heard: anyio.Event) -> None:
        with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            while True:
                self._said.add(await stream.receive())
        heard.set()
