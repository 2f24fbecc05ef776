"""Power cuts: unsynced writes lost, torn and reordered (reliability F3).

Runs are recorded and thousands of disks made that a cut may leave; each is opened as a start would.
Control: a writer that acknowledges before its sync loses on the same disks.
"""

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from tests.faults.rigs.chance import chance, tell
from tests.faults.rigs.power import (
    Disk,
    Model,
    Recorder,
    Step,
    crash_states,
    lay_out,
    without_syncs,
)
from tests.faults.rigs.writer import (
    Commit,
    Left,
    commit_after_acknowledging,
    commit_with_bodies_last,
    left_in,
    write,
)
from tests.faults.rigs.writer import commit as as_thehum_does

from thehum.core.groups import Signing

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux", reason="the recorder reads /proc"),
]

STATES = {Signing.GROUP: 5_500, Signing.EVERY: 1_200}
STATES_SOAK = 200_000
CONTROL_STATES = 500
FIRST_LIFE, BATCHES = 24, 36
SEGMENT_BYTES = 8 * 1024
RECOVERY_SECONDS_MAX = 1.0
SECOND_LIVES = 25
"""So many torn disks go on being written, and lose power again."""


def recorded(
    root: Path, lives: list[tuple[int, int]], commit: Commit, signing: Signing
) -> list[Step]:
    recorder = Recorder(root)
    with recorder.recording():
        for first, upto in lives:
            write(root, first, upto, recorder.acknowledge, commit=commit, signing=signing,
                  segment_bytes=SEGMENT_BYTES)  # fmt: skip
    return recorder.steps


class Bench:
    """Opens disks and counts."""

    def __init__(self, home: Path, signing: Signing) -> None:
        self._home, self._signing = home, signing
        self.opened = self.torn = 0
        self.slowest_seconds = 0.0
        self.wrong: list[str] = []
        self.torn_disks: list[tuple[Disk, int]] = []

    def open(self, disk: Disk, acknowledged: int) -> None:
        if not disk:
            assert acknowledged == 0
            return
        root = self._home / f"disk-{self.opened}"
        lay_out(root, disk)
        began = time.perf_counter()
        with without_syncs():
            left = self._left(root, acknowledged)
        self.slowest_seconds = max(self.slowest_seconds, time.perf_counter() - began)
        shutil.rmtree(root)
        self.opened += 1
        self.torn += left.torn_bytes > 0
        if left.torn_bytes > 0 and self.opened % 7 == 0:
            self.torn_disks.append((disk, acknowledged))
        if left.wrong is not None:
            self.wrong.append(left.wrong)

    def _left(self, root: Path, acknowledged: int) -> Left:
        options = {"segment_bytes": SEGMENT_BYTES, "signing": self._signing}
        return left_in(root, acknowledged, **options)


def cut_power(home: Path, states: int, commit: Commit, signing: Signing) -> Bench:
    """One recorded run, cut at `states` moments; then some of the torn disks go on, and are cut."""
    dice, bench = chance(), Bench(home, signing)
    steps = recorded(home / "run", [(1, FIRST_LIFE), (FIRST_LIFE + 1, BATCHES)], commit, signing)
    for disk, acknowledged in crash_states(steps, Model(), dice, states * 4 // 5):
        bench.open(disk, acknowledged)
    torn_disks = bench.torn_disks[:SECOND_LIVES] if commit is as_thehum_does else []
    for number, (disk, acknowledged) in enumerate(torn_disks):
        for again, told in second_life(home / f"again-{number}", disk, acknowledged, signing, dice,
                                       states // 5 // SECOND_LIVES):  # fmt: skip
            bench.open(again, told)
    return bench


def second_life(
    root: Path, disk: Disk, acknowledged: int, signing: Signing, dice: Random, states: int
) -> Iterator[tuple[Disk, int]]:
    """Disks that a cut leaves while a torn one is recovered and written on."""
    lay_out(root, disk)
    model = Model.of(disk)
    model.adopt({path: (root / path).stat().st_ino for path in disk})
    model.acknowledged = acknowledged
    lives = [(acknowledged + 1, acknowledged + 4)]
    steps = recorded(root, lives, as_thehum_does, signing)
    yield from crash_states(steps, model, dice, states)


@pytest.mark.parametrize("signing", Signing)
def test_no_power_cut_loses_what_was_acknowledged(shelf: Path, signing: Signing) -> None:
    """`reliability F3`: nor is one ever taken for damage."""
    bench = cut_power(shelf, STATES[signing], as_thehum_does, signing)

    assert bench.wrong == []
    assert bench.opened > STATES[signing] * 4 // 5
    assert bench.torn > bench.opened // 20
    assert bench.slowest_seconds < RECOVERY_SECONDS_MAX


@pytest.mark.soak
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("signing", Signing)
def test_no_power_cut_loses_what_was_acknowledged_for_long(shelf: Path, signing: Signing) -> None:
    """`reliability F3`."""
    bench = cut_power(shelf, STATES_SOAK, as_thehum_does, signing)

    tell(f"power cuts, signing {signing}", opened=bench.opened, torn=bench.torn)
    assert bench.wrong == []


def test_control_acknowledging_before_the_sync_loses(shelf: Path) -> None:
    bench = cut_power(shelf, CONTROL_STATES, commit_after_acknowledging, Signing.GROUP)

    assert any("were acknowledged" in wrong for wrong in bench.wrong)


def test_control_bodies_behind_their_events_are_lost(shelf: Path) -> None:
    bench = cut_power(shelf, CONTROL_STATES, commit_with_bodies_last, Signing.GROUP)

    assert any("no bodies beside" in wrong for wrong in bench.wrong)
