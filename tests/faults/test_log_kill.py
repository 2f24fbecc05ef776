"""kill -9 at any moment: what was acknowledged is there, once (reliability F1).

Controls: a writer that acknowledges from its own buffer loses; one that does not ask whether a
batch is there already writes it twice.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from tests.faults.rigs.chance import chance, tell
from tests.faults.rigs.forks import Board, killed_after
from tests.faults.rigs.writer import (
    Commit,
    Left,
    commit,
    commit_after_acknowledging,
    commit_without_asking,
    left_in,
    write,
)

CYCLES, CYCLES_SOAK = 300, 10_000
CONTROL_CYCLES_MAX = 200
CYCLES_A_LOG = 10
"""So many lives has a log before a new one begins."""
LIFE_SECONDS_MAX = 0.04
UNHEARD = 3
"""Acknowledgements that the client did not hear: it offers those batches again."""


def killed_once(root: Path, board: Board, dice: Random, commit: Commit) -> Left:
    """One life of a writer: it goes on where the last acknowledgement was, or a little before."""
    first = max(1, board.acknowledged + 1 - dice.randrange(UNHEARD + 1))
    work = lambda: write(root, first, None, board.acknowledge, commit=commit)  # noqa: E731
    status = killed_after(work, dice.uniform(0.002, LIFE_SECONDS_MAX))
    assert status == -signal.SIGKILL
    return left_in(root, board.acknowledged)


def lives(home: Path, cycles: int, commit: Commit = commit) -> list[Left]:
    """Lives of writers until one leaves something wrong."""
    dice, left = chance(), list[Left]()
    for cycle in range(cycles):
        root = home / f"log-{cycle // CYCLES_A_LOG}"
        if cycle % CYCLES_A_LOG == 0:
            board = Board()
        left.append(killed_once(root, board, dice, commit))
        if left[-1].wrong is not None:
            break
    return left


@pytest.mark.process
@pytest.mark.timeout(120)
def test_nothing_acknowledged_is_lost_or_doubled_by_kill_9(shelf: Path) -> None:
    """`reliability F1`."""
    left = lives(shelf, CYCLES)

    assert left[-1].wrong is None
    assert len(left) == CYCLES
    assert sum(one.batches for one in left) > CYCLES  # it was under load


@pytest.mark.soak
@pytest.mark.process
@pytest.mark.timeout(3_600)
def test_nothing_acknowledged_is_lost_or_doubled_by_kill_9_for_long(shelf: Path) -> None:
    """`reliability F1`."""
    left = lives(shelf, CYCLES_SOAK)

    torn = sum(one.torn_bytes > 0 for one in left)
    tell("kill -9", lives=len(left), torn=torn, batches=sum(one.batches for one in left))
    assert left[-1].wrong is None


@pytest.mark.process
def test_control_a_writer_that_acknowledges_from_its_buffer_loses(shelf: Path) -> None:
    left = lives(shelf, CONTROL_CYCLES_MAX, commit_after_acknowledging)

    assert "were acknowledged" in str(left[-1].wrong)


@pytest.mark.process
def test_control_a_writer_that_does_not_ask_writes_twice(shelf: Path) -> None:
    left = lives(shelf, CONTROL_CYCLES_MAX, commit_without_asking)

    assert "not each batch once" in str(left[-1].wrong)


@pytest.mark.process
def test_the_writer_program_says_only_what_is_durable(shelf: Path) -> None:
    program = [sys.executable, "-m", "tests.faults.rigs.writer", str(shelf / "log")]
    paths = [str(Path(__file__).resolve().parents[2] / part) for part in (".", "services")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with subprocess.Popen(program, env=env, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        said = [int(child.stdout.readline()) for _ in range(50)]
        child.kill()
        said += [int(line) for line in child.stdout if line.endswith(b"\n")]

    left = left_in(shelf / "log", said[-1])

    assert left.wrong is None
    assert said == sorted(set(said))
