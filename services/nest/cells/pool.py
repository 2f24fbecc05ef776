"""Cells that outlive a prompt: one for each conversation, a bounded number of them.

    pool = CellPool(metrics, cgroups, places_max=4, idle_seconds=300)
    async with pool.attended():
        async with pool.lodged(sid, wish, lambda: order_of(wish), limits) as lodger:
            await lodger.stdin.send(line)
            answer = await lodger.lines.next()
            lodger.keep()

The block waits for a place. Its end keeps the cell for the next prompt of the sid when the block
said `keep`, and ends it otherwise, so a cancel or an error leaves no process. Who loses a place is
decided in `nest.cells.lodging`.

Metrics have the names of the original system: `hum_cell_count`, `hum_cell_kills_total`,
`hum_cell_evictions_total`, `hum_cell_rss_bytes`, `hum_cell_cpu_ms`; the last two go with the cell.
"""

import copy
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
from anyio import to_thread

from nest.cells.cell import Cell, CellFailed, Wrapper, opened
from nest.cells.cgroups import Cgroups, Group
from nest.cells.limits import Death, Limits, reached
from nest.cells.lodger import Lodger
from nest.cells.lodging import EVICTIONS, End, Ending, Enter, Lodging, Spawn
from nest.cells.orders import Order, Walls
from nest.cells.usage import measured
from nest.metrics import Registry
from thrum.errors import LocalError

LINE_MAX = 64
"""Prompts that wait for a place; one more is refused."""
MEASURE_SECONDS = 10.0
"""Time between two looks at what cells take."""

log = logging.getLogger(__name__)


class PoolFull(LocalError):
    """As many prompts as may wait for a cell wait already, or the pool is closing."""


class CellPool:
    """The cells of one worker. One loop uses it."""

    def __init__(
        self,
        metrics: Registry,
        cgroups: Cgroups,
        *,
        places_max: int,
        idle_seconds: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cgroups = cgroups
        self._now = now
        self._lodging = Lodging(places_max=places_max, idle_seconds=idle_seconds)
        self._lodgers: dict[str, Lodger] = {}
        self._changed = anyio.Event()
        self._door = anyio.Lock()
        self._waiting = 0
        self._is_closing = False
        self._tasks = anyio.create_task_group()
        self._count = metrics.gauge("hum_cell_count", "Cells alive.")
        self._kills = metrics.counter("hum_cell_kills_total", "Cells that were ended.")
        self._evictions = metrics.counter(
            "hum_cell_evictions_total", "Resting cells that were ended.", ("reason",)
        )
        self._deaths = metrics.counter(
            "hum_cell_deaths_total", "Cells that ended by themselves, by limit.", ("limit",)
        )
        self._rss = metrics.gauge("hum_cell_rss_bytes", "Memory of a cell.", ("pid",))
        self._cpu_ms = metrics.gauge("hum_cell_cpu_ms", "Processor time of a cell.", ("pid",))

    def __len__(self) -> int:
        return len(self._lodging)

    @asynccontextmanager
    async def attended(self) -> AsyncIterator[None]:
        """Cells live inside this block; none is left behind it."""
        async with self._tasks:
            self._tasks.start_soon(self._end_overdue, name="cells.idle")
            self._tasks.start_soon(self._measure, name="cells.measure")
            try:
                yield
            finally:
                self.close()
                for sid in list(self._lodgers):
                    self._end(End(sid, Ending.STOPPED))
                self._tasks.cancel_scope.cancel()

    @asynccontextmanager
    async def lodged(
        self, sid: str, like: object, order: Callable[[], Order], limits: Limits
    ) -> AsyncIterator[Lodger]:
        """The cell of `sid`, started by an `order` unless one that was started for `like` is there.

        Raises `PoolFull`, or `CellFailed` when the program cannot be started. A cell that dies
        inside the block is told by its lines, which end, then by `Lodger.ended`.
        """
        lodger = await self._entered(sid, like, order, limits)
        try:
            await lodger.ready.wait()
            if lodger.failure is not None:
                raise lodger.failure
            yield lodger
        finally:
            is_kept = lodger.was_kept()
            if is_kept and not self._is_closing and lodger.ending is None and not lodger.death:
                self._lodging.rest(sid, self._now())
                self._tell()
            else:
                lodger.released.set()
                self._end(End(sid, Ending.CANCELLED))
                with anyio.CancelScope(shield=True):
                    await lodger.gone.wait()

    def forget(self, sid: str) -> None:
        """End the cell of a conversation that is over, unless it works."""
        if sid in self._lodging.resting():
            self._end(End(sid, Ending.FORGOTTEN))

    def close(self) -> None:
        """Take no more prompts, and end what rests; what works goes on."""
        self._is_closing = True
        for lodger in self._lodgers.values():
            lodger.is_closing = True
        for sid in self._lodging.resting():
            self._end(End(sid, Ending.STOPPED))
        self._tell()

    async def _entered(
        self, sid: str, like: object, order: Callable[[], Order], limits: Limits
    ) -> Lodger:
        if self._waiting >= LINE_MAX:
            raise PoolFull(f"{LINE_MAX} prompts wait for a model process already; ask again later")
        self._waiting += 1
        try:
            async with self._door:
                while True:
                    if self._is_closing:
                        raise PoolFull("the worker is stopping; ask again")
                    changed = self._changed
                    answer = self._lodging.ask(sid, like, self._now())
                    if isinstance(answer, Enter):
                        return self._lodgers[sid]
                    if isinstance(answer, Spawn):
                        return self._spawn(sid, order(), limits)
                    if isinstance(answer, End):
                        self._end(answer)
                    await changed.wait()
        finally:
            self._waiting -= 1

    def _spawn(self, sid: str, order: Order, limits: Limits) -> Lodger:
        lodger = self._lodgers[sid] = Lodger(sid)
        self._count.set(len(self._lodging))
        self._tasks.start_soon(self._live, lodger, order, limits, name="cells.live")
        return lodger

    async def _live(self, lodger: Lodger, order: Order, limits: Limits) -> None:
        """From the start of a cell to the moment when nothing is left of it."""
        try:
            with lodger.scope:
                await self._run(lodger, order, limits)
        except CellFailed as failure:
            lodger.failure = failure
        except OSError as problem:
            lodger.failure = CellFailed(f"no process could be started: {problem}")
        finally:
            self._lodging.gone(lodger.sid)
            del self._lodgers[lodger.sid]
            self._count.set(len(self._lodging))
            self._rss.remove(str(lodger.pid))
            self._cpu_ms.remove(str(lodger.pid))
            for event in (lodger.ready, lodger.exited, lodger.gone):
                event.set()
            self._tell()

    async def _run(self, lodger: Lodger, order: Order, limits: Limits) -> None:
        wanted, there = limits.groups(), self._cgroups.controllers
        with self._cgroups.group({name: wanted[name] for name in wanted if name in there}) as group:
            bounded = copy.copy(order)
            bounded.limits = {**order.limits, **limits.resources()}
            bounded.walls = Walls(groups=group.handles)
            wrapper = Wrapper(argv=(), handles=group.handles)
            async with opened(bounded, takes_input=True, wrapper=wrapper) as cell:
                status = await lodger.live(cell)
                self._bury(lodger, cell, limits, group, status)
                await lodger.released.wait()

    def _bury(self, lodger: Lodger, cell: Cell, limits: Limits, group: Group, status: int) -> None:
        """Say what a program died of that ended by itself."""
        if lodger.sid in self._lodging.resting():
            lodger.released.set()
        self._lodging.leave(lodger.sid)
        cpu_seconds, peak_bytes = cell.used
        lodger.death = Death(
            status=status,
            cpu_seconds=cpu_seconds,
            peak_bytes=peak_bytes,
            hits=group.hits(),
            last_words=lodger.last_words,
        )
        lodger.limit = reached(limits, lodger.death)
        lodger.exited.set()
        self._deaths.labels(str(lodger.limit or "none")).inc()
        log.info("cell.exited", extra={"sid": lodger.sid, "status": status, "limit": lodger.limit})

    def _end(self, end: End) -> None:
        """Have a cell ended; nothing happens when it is gone, or ended already."""
        lodger = self._lodgers.get(end.sid)
        if lodger is None or lodger.ending is not None or lodger.death is not None:
            return
        self._lodging.leave(end.sid)
        lodger.ending = end.ending
        lodger.scope.cancel()
        self._kills.inc()
        if end.ending in EVICTIONS:
            self._evictions.labels(end.ending).inc()
        log.info("cell.ended", extra={"sid": end.sid, "reason": end.ending})

    async def _end_overdue(self) -> None:
        while True:
            changed = self._changed
            for end in self._lodging.overdue(self._now()):
                self._end(end)
            with anyio.move_on_after(self._lodging.look_in(self._now())):
                await changed.wait()

    async def _measure(self) -> None:
        while True:
            await anyio.sleep(MEASURE_SECONDS)
            await self.measure()

    async def measure(self) -> None:
        """Look at what the cells take."""
        found = await to_thread.run_sync(measured, self._pids())
        for pid in self._pids() & found.keys():
            self._rss.labels(str(pid)).set(found[pid].rss_bytes)
            self._cpu_ms.labels(str(pid)).set(round(found[pid].cpu_seconds * 1_000))

    def _pids(self) -> set[int]:
        return {lodger.pid for lodger in self._lodgers.values() if lodger.pid is not None}

    def _tell(self) -> None:
        """Something changed: whoever waits looks again."""
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
