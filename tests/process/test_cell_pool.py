"""A pool of real processes: places, limits and metrics (features A8, A9)."""

import contextlib
import sys
from collections.abc import AsyncIterator
from itertools import cycle
from typing import Any

import anyio
import psutil
import pytest
from tests.support.escapes import ECHO, order

from nest.cells.cell import CellFailed
from nest.cells.cgroups import Cgroups
from nest.cells.limits import Limit, Limits
from nest.cells.lodger import Lodger
from nest.cells.orders import Order
from nest.cells.pool import LINE_MAX, CellPool, PoolFull
from nest.metrics import Registry

pytestmark = pytest.mark.process

NONE = Limits()
PLAIN = order("pool")
CGROUPS = Cgroups("test")
PROMPTS, SIDS, PLACES = 90, 15, 4
MIB = 1024 * 1024


class Rig:
    """A pool and its metrics."""

    def __init__(self, places: int) -> None:
        self.metrics = Registry()
        self.pool = CellPool(self.metrics, CGROUPS, places_max=places, idle_seconds=600)

    def value(self, metric: str) -> Any:
        entry = next(one for one in self.metrics.snapshot() if one["name"] == metric)
        samples: Any = entry["samples"]
        return {"".join(one["labels"].values()): one["value"] for one in samples}


@contextlib.asynccontextmanager
async def rig(places: int = 2) -> AsyncIterator[Rig]:
    made = Rig(places)
    async with made.pool.attended():
        yield made
    assert made.value("hum_cell_count") == {"": 0}


async def said(lodger: Lodger, line: bytes) -> bytes | None:
    await lodger.stdin.send(line + b"\n")
    return await lodger.lines.next()


async def prompt(pool: CellPool, sid: str, order: Order = PLAIN) -> int | None:
    """One prompt and its echo; the pid of the cell."""
    async with pool.lodged(sid, order, lambda: order, NONE) as lodger:
        assert await said(lodger, sid.encode()) == sid.encode()
        lodger.keep()
        return lodger.pid


async def test_a_conversation_keeps_its_cell_and_shares_it_with_none() -> None:
    async with rig() as one:
        first = await prompt(one.pool, "a")
        other = await prompt(one.pool, "b")

        assert await prompt(one.pool, "a") == first != other
        assert one.value("hum_cell_count") == {"": 2}
        assert one.value("hum_cell_kills_total") == {"": 0}


async def test_a_prompt_that_wants_another_program_gets_another_cell() -> None:
    async with rig() as one:
        first = await prompt(one.pool, "a")

        assert await prompt(one.pool, "a", order("other")) != first
        assert one.value("hum_cell_count") == {"": 1}
        assert one.value("hum_cell_evictions_total") == {}


async def test_a_block_that_does_not_keep_its_cell_ends_it() -> None:
    async with rig() as one:
        with pytest.raises(ZeroDivisionError):
            async with one.pool.lodged("a", PLAIN, lambda: PLAIN, NONE):
                raise ZeroDivisionError

        assert one.value("hum_cell_count") == {"": 0}
        assert one.value("hum_cell_kills_total") == {"": 1}
        await prompt(one.pool, "a")


async def test_prompts_wait_for_a_place_in_their_order_and_then_are_refused() -> None:
    async with rig(places=1) as one, anyio.create_task_group() as tasks:
        served = []

        async def late(number: int) -> None:
            await prompt(one.pool, f"late {number}")
            served.append(number)

        async with one.pool.lodged("a", PLAIN, lambda: PLAIN, NONE) as lodger:
            for number in range(3):
                tasks.start_soon(late, number)
            await anyio.wait_all_tasks_blocked()
            crowd = [tasks.start_soon(late, 3 + number) for number in range(LINE_MAX - 3)]
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(PoolFull, match="ask again later"):
                await prompt(one.pool, "one too many")
            assert served == []
            lodger.keep()
        while len(served) < 3:
            await one.pool.measure()
        tasks.cancel_scope.cancel()

        assert served[:3] == [0, 1, 2]
        assert len(crowd) == LINE_MAX - 3


async def test_a_program_that_is_not_there_is_said() -> None:
    async with rig() as one:
        with pytest.raises(CellFailed, match="nowhere"):
            await prompt(one.pool, "a", Order(argv=("/nowhere/claude",)))

        assert one.value("hum_cell_count") == {"": 0}


async def test_a_cell_that_dies_while_it_rests_makes_room() -> None:
    async with rig() as one:
        async with one.pool.lodged("a", PLAIN, lambda: PLAIN, NONE) as lodger:
            await said(lodger, b"hello")
            lodger.keep()
        assert lodger.pid is not None
        psutil.Process(lodger.pid).kill()
        await lodger.gone.wait()

        assert one.value("hum_cell_count") == {"": 0}
        assert one.value("hum_cell_deaths_total") == {"none": 1}
        assert await prompt(one.pool, "a") != lodger.pid


async def test_all_that_a_program_wrote_before_it_ended_is_read() -> None:
    script = "seq 20000; (setsid sleep 999 &); echo last words >&2; exit 3"
    async with rig() as one:
        wanted = Order(argv=("/bin/sh", "-c", script), env=PLAIN.env)
        async with one.pool.lodged("a", wanted, lambda: wanted, NONE) as lodger:
            count = 0
            while await lodger.lines.next() is not None:
                count += 1
            death = await lodger.ended()

        assert count == 20_000
        assert death is not None
        assert (death.status, lodger.limit) == (3, None)
        assert lodger.last_words == "last words"


async def test_a_conversation_that_is_over_has_no_cell() -> None:
    async with rig() as one:
        async with one.pool.lodged("a", PLAIN, lambda: PLAIN, NONE) as lodger:
            one.pool.forget("a")  # it works
            assert await said(lodger, b"hello") == b"hello"
            lodger.keep()
        one.pool.forget("a")
        one.pool.forget("nobody")
        await lodger.gone.wait()

        assert one.value("hum_cell_count") == {"": 0}


async def test_a_pool_that_closes_lets_work_end_and_takes_no_more() -> None:
    async with rig() as one:
        async with one.pool.lodged("rests", PLAIN, lambda: PLAIN, NONE) as resting:
            resting.keep()
        async with one.pool.lodged("works", PLAIN, lambda: PLAIN, NONE) as working:
            one.pool.close()
            await resting.gone.wait()
            assert await said(working, b"hello") == b"hello"
            working.keep()

        assert working.gone.is_set()
        with pytest.raises(PoolFull, match="stopping"):
            await prompt(one.pool, "late")


async def test_what_a_cell_takes_is_shown_and_goes_with_it() -> None:
    script = "sh -c 'i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done'\n" + ECHO
    async with rig() as one:
        wanted = Order(argv=("/bin/sh", "-c", script))
        async with one.pool.lodged("a", wanted, lambda: wanted, NONE) as lodger:
            await said(lodger, b"hello")
            await one.pool.measure()
            rss, cpu_ms = one.value("hum_cell_rss_bytes"), one.value("hum_cell_cpu_ms")

        assert rss.keys() == cpu_ms.keys() == {str(lodger.pid)}
        assert rss[str(lodger.pid)] > MIB
        assert cpu_ms[str(lodger.pid)] >= 10, "what has ended counts"
        assert one.value("hum_cell_rss_bytes") == one.value("hum_cell_cpu_ms") == {}


LIMITS = Limits(memory_bytes=200 * MIB, files=40, processes=30, cpu_seconds=1)
ASK = """
import os, resource, signal, sys, time
for kind in (resource.RLIMIT_DATA, resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC,
             resource.RLIMIT_CPU):
    print(*resource.getrlimit(kind), flush=True)
held = []
"""
WASTE = {
    Limit.MEMORY: "while True: held.append(bytearray(b'x' * 2**24))",
    Limit.FILES: "while True: held.append(open('/dev/null'))",
    Limit.PROCESSES: "for _ in range(200): os.fork() or time.sleep(99)",
    Limit.CPU: "while True: pass",
}


@pytest.mark.parametrize("limit", Limit)
async def test_a_program_that_takes_more_than_its_limit_dies_of_it(limit: Limit) -> None:
    """Features A8; the limits are read from inside."""
    if limit is Limit.PROCESSES and "pids" not in CGROUPS.controllers:
        pytest.skip("root has no limit on processes here: " + CGROUPS.missing["pids"])
    wanted = Order(argv=(sys.executable, "-I", "-S", "-c", ASK + WASTE[limit]), env=PLAIN.env)
    async with rig() as one:
        async with one.pool.lodged("a", wanted, lambda: wanted, LIMITS) as lodger:
            inside = [await lodger.lines.next() for _ in Limit]
            assert await lodger.lines.next() is None
            await lodger.ended()

        assert inside == [b"209715200 209715200", b"40 40", b"30 30", b"1 1"]
        assert lodger.limit is limit, lodger.death
        assert one.value("hum_cell_deaths_total") == {limit.value: 1}


@pytest.mark.skipif("memory" not in CGROUPS.controllers, reason=str(CGROUPS.missing))
async def test_the_memory_of_all_processes_together_has_the_limit_too() -> None:
    waste = (
        "import os\nheld = bytearray(b'x' * (120 * 2**20)) if os.fork() else b''\n"
        "if not held: held = bytearray(b'x' * (120 * 2**20)); os._exit(0)\n"
        "assert os.wait()[1] == 0"
    )
    wanted = Order(argv=(sys.executable, "-I", "-S", "-c", waste), env=PLAIN.env)
    async with rig() as one:
        async with one.pool.lodged(
            "a", "", lambda: wanted, Limits(memory_bytes=200 * MIB)
        ) as lodger:
            assert await lodger.lines.next() is None
            await lodger.ended()

        assert lodger.limit is Limit.MEMORY, lodger.death


async def test_many_prompts_of_many_conversations_never_have_more_cells_than_places() -> None:
    """Features A9, of the pool alone."""
    most = 0
    async with rig(places=PLACES) as one, anyio.create_task_group() as tasks:
        prompts, sids = iter(range(PROMPTS)), cycle(range(SIDS))

        async def ask() -> None:
            nonlocal most
            sid = next(sids)
            for number in prompts:
                sid = next(sids) if number % 6 == 0 else sid
                await prompt(one.pool, str(sid))
                if number % 20 == 0:
                    most = max(most, len(psutil.Process().children()))

        for _ in range(PLACES):
            tasks.start_soon(ask)

    assert 1 < most <= PLACES
    assert one.value("hum_cell_evictions_total")["lru"] >= SIDS - PLACES - 1
    assert one.value("hum_cell_rss_bytes") == {}
