"""Every system call that changes the disk, broken once: killed, failing, without room.

`reliability F2, F4, F5`. The workload begins a log, fills segments, writes the head down, ends,
goes on in a second life, and packs what is full. Controls: a writer that acknowledges before it
writes; one that syncs a second time and believes it; one that takes no room for success.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.faults.rigs.forks import DONE, TYPED, Board
from tests.faults.rigs.strace import CALLS, MARK, Traced, call_of, mark, require_strace, traced
from tests.faults.rigs.writer import (
    Acknowledge,
    Commit,
    commit,
    commit_after_acknowledging,
    left_in,
    write,
)

from thehum.core.offers import Offer
from thehum.edge.log import Log
from thehum.errors import DiskFull, WriteFailed

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

FIRST_LIFE, BATCHES = 20, 32
ALL_BATCHES = 40
"""What the workload comes to when it is offered again after the fault."""
SEGMENT_BYTES = 4 * 1024
PACKED = 2
"""So many segments are compressed at the end."""
CONTROL_POINTS = slice(3, 9)
"""Calls that a control is tried at; it fails long before all of them."""


class Rig:
    """Runs the workload in fresh folders, each time with another call broken."""

    def __init__(self, home: Path, commit: Commit = commit) -> None:
        require_strace(home)
        self._home = home
        self._commit = commit
        self._runs = 0

    def run(self, inject: str | None = None) -> "Run":
        self._runs += 1
        root, board = self._home / f"log-{self._runs}", Board()

        def acknowledge(number: int) -> None:
            board.acknowledge(number)
            mark()

        def work() -> None:
            options = {"segment_bytes": SEGMENT_BYTES}
            for first, upto in ((1, FIRST_LIFE), (FIRST_LIFE + 1, BATCHES)):
                write(root, first, upto, acknowledge, commit=self._commit, refused=board.refuse,
                      packs=PACKED if upto == BATCHES else 0, **options)  # fmt: skip

        return Run(root, board, traced(work, self._home / "trace", inject))

    def points(self, keep: Callable[[str], bool] = lambda line: True) -> Iterator[tuple[str, int]]:
        """Each call of an unbroken run, as its name and its number among those of its name."""
        seen: Counter[str] = Counter()
        for line in self.run().traced.lines:
            name = call_of(line)
            seen[name] += 1
            if name in CALLS and keep(line):
                yield name, seen[name]


class Run:
    """What one run left."""

    def __init__(self, root: Path, board: Board, traced: Traced) -> None:
        self.root, self.board, self.traced = root, board, traced

    def wrong(self) -> str | None:
        """What the log lacks, then whether it can go on to the end."""
        if not self.root.exists():
            return None if self.board.acknowledged == 0 else "no log"
        left = left_in(self.root, self.board.acknowledged, segment_bytes=SEGMENT_BYTES)
        if left.wrong is None:
            write(self.root, 1, ALL_BATCHES, lambda _: None, segment_bytes=SEGMENT_BYTES)
            left = left_in(self.root, ALL_BATCHES, segment_bytes=SEGMENT_BYTES)
        return left.wrong


def believing_twice(log: Log, offers: list[Offer], acknowledge: Acknowledge) -> None:
    """A control: when a sync fails it tries once more."""
    try:
        commit(log, offers, acknowledge)
    except WriteFailed:
        commit(log, offers, acknowledge)


def ignoring_no_room(log: Log, offers: list[Offer], acknowledge: Acknowledge) -> None:
    """A control: no room is taken for success."""
    try:
        commit(log, offers, acknowledge)
    except DiskFull:
        acknowledge(offers[-1].name.number)


def points_of(rig: Rig, name: str) -> list[tuple[str, int]]:
    return [point for point in rig.points() if point[0] == name]


def test_the_workload_makes_every_kind_of_call(shelf: Path) -> None:
    run = Rig(shelf).run()

    made = {call_of(line) for line in run.traced.lines}
    assert {"write", "pwrite64", "fdatasync", "fsync", "ftruncate", "openat", "mkdir"} <= made
    assert MARK in made
    assert run.traced.status == DONE
    assert len(list(run.root.glob("0*.packed"))) == PACKED
    assert run.wrong() is None


def test_a_kill_at_any_call_loses_nothing_acknowledged(shelf: Path) -> None:
    """`reliability F2`."""
    rig = Rig(shelf)

    wrong = [
        (name, number, problem)
        for name, number in rig.points()
        if (problem := rig.run(f"{name}:signal=SIGKILL:when={number}").wrong()) is not None
    ]

    assert wrong == []


def test_control_acknowledging_first_loses_when_killed_at_a_call(shelf: Path) -> None:
    rig = Rig(shelf, commit_after_acknowledging)

    wrong = [
        problem
        for name, number in points_of(rig, "pwrite64")[CONTROL_POINTS]
        if (problem := rig.run(f"{name}:signal=SIGKILL:when={number}").wrong()) is not None
    ]

    assert wrong


def test_after_an_error_nothing_is_acknowledged_and_the_writer_ends(shelf: Path) -> None:
    """`reliability F4`; the disk works again at the next start."""
    rig, wrong = Rig(shelf), []

    for name, number in rig.points():
        run = rig.run(f"{name}:error=EIO:when={number}+")
        told, status = run.traced.marks_after_injection, run.traced.status
        problem = run.wrong()
        if (told, status, problem) != (0, TYPED, None):
            wrong.append((name, number, told, status, problem))

    assert wrong == []


def test_a_sync_that_failed_once_is_never_believed_again(shelf: Path) -> None:
    """`reliability F4`: the second sync would succeed, and lie."""
    rig = Rig(shelf)
    syncs = points_of(rig, "fdatasync")

    told = [rig.run(f"{name}:error=EIO:when={number}").traced for name, number in syncs]

    assert {(one.marks_after_injection, one.status) for one in told} == {(0, TYPED)}


def test_control_a_second_sync_that_is_believed_acknowledges_after_an_error(shelf: Path) -> None:
    rig = Rig(shelf, believing_twice)
    syncs = points_of(rig, "fdatasync")[CONTROL_POINTS]

    told = [rig.run(f"{name}:error=EIO:when={number}").traced for name, number in syncs]

    assert max(one.marks_after_injection for one in told) > 0


def takes_room(line: str) -> bool:
    """Whether a call may need room on the disk."""
    return call_of(line) in {
        *("write", "pwrite64", "link", "linkat", "rename", "renameat", "mkdir", "mkdirat"),
    } or (call_of(line) == "openat" and "O_CREAT" in line)


def no_room(name: str, number: int) -> str:
    """What to inject. Only the one `openat`: the next may be of a file that is there."""
    times = 1 if name == "openat" else 3
    return f"{name}:error=ENOSPC:when={number}..{number + times - 1}"


def test_without_room_it_refuses_stays_up_and_goes_on(shelf: Path) -> None:
    """`reliability F5`: a call or three find no room, then there is some again."""
    rig, wrong, refusals = Rig(shelf), [], 0

    for name, number in rig.points(takes_room):
        run = rig.run(no_room(name, number))
        refusals += run.board.refused > 0
        ends = (run.traced.status, run.board.acknowledged, run.wrong())
        if ends != (DONE, BATCHES, None):
            wrong.append((name, number, ends))

    assert wrong == []
    assert refusals > 20  # the rest is the head at the end, which may go unremembered


def test_control_a_writer_that_ignores_no_room_loses(shelf: Path) -> None:
    rig = Rig(shelf, ignoring_no_room)
    points = points_of(rig, "pwrite64")[CONTROL_POINTS]

    runs = [rig.run(no_room(name, number)) for name, number in points]

    assert any(run.wrong() is not None or run.traced.status != DONE for run in runs)
