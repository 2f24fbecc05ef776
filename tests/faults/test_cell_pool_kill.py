"""Kill that kills: nothing of a pooled cell outlives it (features A7, reliability F12)."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path

import anyio
import psutil
import pytest
from anyio import to_thread
from tests.support.escapes import ESCAPES, marked, order
from tests.support.trees import survivors

from nest.cells.cgroups import Cgroups
from nest.cells.limits import Limits
from nest.cells.pool import CellPool
from nest.metrics import Registry

pytestmark = pytest.mark.process

GONE_SECONDS = 5.0
PROCESSES_MIN = 2 * len(ESCAPES)
"""A tree is a program and one that escaped, at least."""
ROUNDS_SOAK = 100
LOOKS_MAX = 10_000

numbers = count(1)
spaces = pytest.mark.parametrize("makes_namespace", [True, False], ids=["namespace", "plain"])


@pytest.fixture
def name() -> Iterator[str]:
    """The beginning of the names of one test's trees, all of which are killed in the end."""
    name = f"{os.getpid()}-{next(numbers)}-"
    yield name
    for process in marked(name):
        with suppress(psutil.NoSuchProcess):
            process.kill()


class Trees:
    """One tree for each escape, in a pool."""

    def __init__(self, name: str, *, makes_namespace: bool, idle_seconds: float = 600) -> None:
        self.name = name
        self.metrics = Registry()
        self.pool = CellPool(
            self.metrics, Cgroups("test"), places_max=len(ESCAPES), idle_seconds=idle_seconds
        )
        self.makes_namespace = makes_namespace
        self.processes: list[psutil.Process] = []

    @asynccontextmanager
    async def working(self) -> AsyncIterator[anyio.Event]:
        """All trees work inside the block; when the event is set, they rest."""
        rest, answered = anyio.Event(), 0
        all_stand = anyio.Event()

        async def prompt(escape: str) -> None:
            nonlocal answered
            wanted = order(self.name, escape, makes_namespace=self.makes_namespace)
            async with self.pool.lodged(escape, "", lambda: wanted, Limits()) as lodger:
                await lodger.stdin.send(b"hello\n")
                assert await lodger.lines.next() == b"hello"
                answered += 1
                if answered == len(ESCAPES):
                    all_stand.set()
                await rest.wait()
                lodger.keep()

        async with anyio.create_task_group() as tasks:
            for escape in ESCAPES:
                tasks.start_soon(prompt, escape)
            await all_stand.wait()
            self.processes = marked(self.name)
            assert len(self.processes) >= PROCESSES_MIN
            yield rest
            if not rest.is_set():
                tasks.cancel_scope.cancel()

    async def rest(self) -> None:
        """Have all trees stand and rest."""
        async with self.working() as rest:
            rest.set()

    def counted(self, metric: str) -> dict[str, object]:
        """The value of each series of a metric, by its label."""
        entry = next(one for one in self.metrics.snapshot() if one["name"] == metric)
        samples = entry["samples"]
        assert isinstance(samples, list)
        return {"".join(one["labels"].values()): one["value"] for one in samples}


@spaces
async def test_a_cancel_ends_what_works(name: str, makes_namespace: bool) -> None:
    trees = Trees(name, makes_namespace=makes_namespace)
    async with trees.pool.attended():
        async with trees.working():
            pass  # the block is left while they work

        assert survivors(trees.processes, seconds=0) == []
        assert len(trees.pool) == 0
        assert trees.counted("hum_cell_count") == {"": 0}
        assert trees.counted("hum_cell_kills_total") == {"": len(ESCAPES)}


@spaces
async def test_who_needs_the_place_ends_what_rests(name: str, makes_namespace: bool) -> None:
    trees = Trees(name, makes_namespace=makes_namespace)
    async with trees.pool.attended():
        await trees.rest()
        plain = order(f"{name}x", makes_namespace=makes_namespace)
        for number in range(len(ESCAPES)):
            async with trees.pool.lodged(f"other {number}", "", lambda: plain, Limits()) as lodger:
                lodger.keep()

        assert survivors(trees.processes, seconds=0) == []
        assert len(trees.pool) == len(ESCAPES)
        assert trees.counted("hum_cell_evictions_total") == {"lru": len(ESCAPES)}


@spaces
async def test_what_rests_for_too_long_ends(name: str, makes_namespace: bool) -> None:
    trees = Trees(name, makes_namespace=makes_namespace, idle_seconds=0.05)
    async with trees.pool.attended():
        await trees.rest()

        look = partial(survivors, trees.processes, seconds=GONE_SECONDS)
        assert await to_thread.run_sync(look) == []

    assert trees.counted("hum_cell_evictions_total") == {"idle": len(ESCAPES)}
    assert trees.counted("hum_cell_count") == {"": 0}


@spaces
async def test_the_end_of_the_pool_ends_all(name: str, makes_namespace: bool) -> None:
    trees = Trees(name, makes_namespace=makes_namespace)
    async with trees.pool.attended():
        await trees.rest()

    assert survivors(trees.processes, seconds=0) == []
    assert trees.counted("hum_cell_kills_total") == {"": len(ESCAPES)}


def stand(command: list[str], name: str) -> tuple[subprocess.Popen[bytes], list[psutil.Process]]:
    """Start a service with cells; return once they stand."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    while b"ready" not in process.stdout.readline():
        assert process.poll() is None
    processes = marked(name)
    assert len(processes) >= 2 * PROCESSES_MIN
    return process, processes


def moment(name: str, processes: int) -> None:
    """Return when so many processes of these trees stand."""
    assert any(len(marked(name)) >= processes for _ in range(LOOKS_MAX))


def service(name: str) -> list[str]:
    return [sys.executable, "-m", "tests.support.cell_service", name]


@pytest.mark.usefixtures("home")
def test_kill_9_of_the_worker_ends_all(name: str) -> None:
    worker, processes = stand(service(name), name)
    with worker:
        worker.kill()

    assert survivors(processes, seconds=GONE_SECONDS) == []


@pytest.mark.soak
@pytest.mark.usefixtures("home")
@pytest.mark.timeout(900)
def test_kill_9_of_the_worker_in_the_middle_of_a_start_ends_all(name: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for number in range(ROUNDS_SOAK):
        mine = f"{name}{number}-"
        with subprocess.Popen(
            service(mine), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as worker:
            moment(mine, number % (2 * PROCESSES_MIN))
            below = psutil.Process(worker.pid).children(recursive=True)
            worker.kill()

        assert survivors(below, seconds=GONE_SECONDS) == []
        assert survivors(marked(mine), seconds=GONE_SECONDS) == [], "forked meanwhile"


@pytest.mark.usefixtures("home")
def test_kill_9_of_supervisord_ends_all(name: str, tmp_path: Path) -> None:
    settings = tmp_path / "supervisord.conf"
    settings.write_text(
        f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\n"
        f"pidfile={tmp_path}/pid\n[program:cells]\ncommand={' '.join(service(name))}\n"
        f"stdout_logfile=/dev/fd/1\nstdout_logfile_maxbytes=0\n"
    )
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(settings)]
    supervisord, processes = stand(command, name)
    with supervisord:
        worker = psutil.Process(supervisord.pid).children()
        supervisord.kill()

    assert survivors(processes + worker, seconds=GONE_SECONDS) == []


@pytest.mark.parametrize("escape", ESCAPES)
def test_the_escapes_are_ones(name: str, escape: str) -> None:
    """Negative control: to end the program is not enough, nor is SIGTERM to its group."""
    tree = order(name, escape)
    with subprocess.Popen(
        tree.argv, env=dict(tree.env), start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as program:  # fmt: skip
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(b"hello\n")
        program.stdin.flush()
        program.stdout.readline()
        processes = marked(name)
        program.kill()
        program.wait()

        left = survivors(processes, seconds=0)
        for process in left:
            process.kill()

    assert left != []
