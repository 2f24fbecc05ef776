"""No process of a cell outlives it (reliability F12, M11)."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from itertools import count

import psutil
import pytest
from tests.support.trees import SIZE, branches, order, sleepers, survivors

from nest.cells.cell import LIBRARY, MARK, Cell, opened

pytestmark = pytest.mark.process

GONE_SECONDS = 5.0
TREES = 17
"""Trees of each form; the forms together are more than a hundred."""
TREES_SOAK = 600

SERVICE = """
import sys
from contextlib import AsyncExitStack
import anyio
from nest.cells.cell import opened
from tests.support.trees import order

async def main():
    async with AsyncExitStack() as stack:
        for number in range(int(sys.argv[2])):
            cell = await stack.enter_async_context(
                opened(order(f"{sys.argv[1]}{number}", makes_namespace=sys.argv[3] == "True"))
            )
            await cell.stdout.receive()
        print("ready", flush=True)
        await anyio.sleep_forever()

anyio.run(main, backend="asyncio", backend_options={"use_uvloop": True})
"""

numbers = count(1)
spaces = pytest.mark.parametrize("makes_namespace", [True, False], ids=["namespace", "plain"])


@pytest.fixture
def token() -> Iterator[str]:
    """Part of the command lines of one test's trees, all of which are killed in the end."""
    token = f"9{os.getpid()}{next(numbers)}000"
    yield token
    for process in sleepers(token):
        with suppress(psutil.NoSuchProcess):  # it may end by itself meanwhile
            process.kill()


@pytest.fixture
def trees(request: pytest.FixtureRequest) -> int:
    return TREES_SOAK if request.config.getoption("--soak") else TREES


@spaces
async def test_a_cell_that_is_left_leaves_nothing(
    token: str, trees: int, makes_namespace: bool
) -> None:
    for number in range(trees):
        async with opened(order(f"{token}{number}", makes_namespace=makes_namespace)) as cell:
            await cell.stdout.receive()
            processes = sleepers(f"{token}{number}")
            assert len(processes) == SIZE

        assert survivors(processes, seconds=0) == []


@spaces
async def test_a_cell_whose_guard_is_killed_leaves_nothing(
    token: str, trees: int, makes_namespace: bool
) -> None:
    """Each process above the program in turn: where there is a namespace they are two."""
    for number in range(trees):
        async with opened(order(f"{token}{number}", makes_namespace=makes_namespace)) as cell:
            await cell.stdout.receive()
            processes = sleepers(f"{token}{number}")
            above = [psutil.Process(cell.pid)]
            if cell.has_namespace:
                above += above[0].children()
            above[number % len(above)].kill()
            await cell.gone()

        assert survivors(processes, seconds=GONE_SECONDS) == []


@spaces
def test_a_service_that_is_killed_leaves_no_cell(
    token: str, trees: int, makes_namespace: bool
) -> None:
    command = [sys.executable, "-c", SERVICE, token, str(trees), str(makes_namespace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == b"ready\n"
        processes = sleepers(token)
        service.kill()

    assert len(processes) == SIZE * trees
    assert survivors(processes, seconds=GONE_SECONDS) == []


@spaces
async def test_a_tree_that_hurries_to_fork_is_ended_too(token: str, makes_namespace: bool) -> None:
    script = "f() {{ [ $1 = 0 ] && exec sleep {token}; f $(($1 - 1)) & f $(($1 - 1)); }}; echo; f 8"
    async with opened(order(token, makes_namespace=makes_namespace, script=script)) as cell:
        await cell.stdout.receive()

    assert survivors(sleepers(token), seconds=GONE_SECONDS) == []


@pytest.mark.parametrize(
    "kill",
    [
        pytest.param(lambda cell_pid: os.kill(cell_pid, signal.SIGKILL), id="the pid only"),
        pytest.param(lambda cell_pid: os.killpg(cell_pid, signal.SIGKILL), id="the group only"),
    ],
)
def test_the_test_finds_what_simpler_ways_leave(token: str, kill: Callable[[int], None]) -> None:
    """Negative controls."""
    with subprocess.Popen(
        order(token).argv, start_new_session=True, stdout=subprocess.PIPE
    ) as tree:
        assert tree.stdout is not None
        tree.stdout.read(1)
        processes = sleepers(token)
        kill(tree.pid)

    left = survivors(processes, seconds=0.1)
    assert left
    for process in left:
        process.kill()
    assert survivors(left, seconds=GONE_SECONDS) == []


async def test_cells_side_by_side_end_one_at_a_time(token: str) -> None:
    async with AsyncExitStack() as stack:
        cells: list[Cell] = [
            await stack.enter_async_context(opened(order(f"{token}{number}")))
            for number in range(3)
        ]
        for cell in cells:
            await cell.stdout.receive()
        await cells[1].end()

        assert [len(sleepers(f"{token}{number}")) for number in range(3)] == [SIZE, 0, SIZE]


def test_the_tree_is_as_bad_as_it_should_be(token: str) -> None:
    """A child, three in sessions of their own, an orphan by double fork, the program."""
    with subprocess.Popen(order(token).argv, stdout=subprocess.PIPE) as tree:
        assert tree.stdout is not None
        tree.stdout.read(1)
        processes = sleepers(token)
        sessions = {os.getsid(process.pid) for process in processes}
        orphans = [process for process in processes if not branches(tree.pid, process)]
        for process in processes:
            process.kill()
        tree.kill()

    assert len(processes) == SIZE
    assert len(sessions) > 2
    assert orphans
    assert MARK not in os.environ


def test_a_guard_starts_without_what_takes_long_to_import() -> None:
    """One starts for every command, and most of its start is what it imports."""
    program = f"import sys; sys.path[:0] = {[str(LIBRARY)]!r}; from nest.cells import guard; "
    said = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program + "print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert "nest.cells.orders" in said
    assert not {"dataclasses", "inspect", "typing", "re", "threading", "socket"}.intersection(said)
