"""kill -9 at any point of an edit: the file is the old one or the new one (humfs 3.5, E84).

Every version of the file says its number on each line, so a short or a mixed one shows. Control: a
writer that writes in place leaves one.
"""

import re
import signal
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from tests.faults.rigs.chance import chance
from tests.faults.rigs.forks import Board, killed_after
from tests.support.humfs import Tools, humfs

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

KILLS, KILLS_SOAK = 15, 1_000
CONTROL_KILLS_MAX = 400
FILE_BYTES = 1_000_000
EDITS_SECONDS_MAX = 0.2
"""How long a process may edit before it is killed."""

_LINES = re.compile(r"v = (\d{8})\n")
Edit = Callable[[Tools, Path, int], None]


def version(number: int) -> str:
    """The file at its n-th version: a megabyte."""
    line = f"v = {number:08d}\n"
    return line * (FILE_BYTES // len(line))


def number_of(text: str) -> int | None:
    """Which version a file is; None when it is none, or not whole."""
    first = _LINES.match(text)
    number = int(first[1]) if first else -1
    return number if first and text == version(number) else None


def overwrite(tools: Tools, root: Path, number: int) -> None:
    """As every edit tool does it."""
    result = tools.text("f.txt", replace=version(number))
    assert not result.is_error, result.output


def in_place(tools: Tools, root: Path, number: int) -> None:
    """The wrong way."""
    (root / "f.txt").write_text(version(number))


def edit_for_ever(root: Path, state: Path, number: int, board: Board, edit: Edit) -> None:
    with humfs((root, "rw"), state=state) as tools:
        while True:
            number += 1
            edit(tools, root, number)
            board.acknowledge(number)


def killed_once(root: Path, state: Path, board: Board, dice: Random, edit: Edit) -> str:
    """One process that edits until it is killed; what is wrong with what it left."""
    begun = number_of((root / "f.txt").read_text())
    assert begun is not None
    work = lambda: edit_for_ever(root, state, begun, board, edit)  # noqa: E731
    status = killed_after(work, dice.uniform(0.002, EDITS_SECONDS_MAX))
    assert status == -signal.SIGKILL
    left = number_of((root / "f.txt").read_text())
    if left is None:
        return "neither the old nor the new content"
    if not max(begun, board.acknowledged) <= left <= max(begun, board.acknowledged) + 1:
        return f"version {left} where {board.acknowledged} was acknowledged"
    with humfs((root, "rw"), state=state):
        stray = [path.name for path in root.iterdir() if path.name != "f.txt"]
    return f"stray files: {stray}" if stray else ""


def wrong_after(home: Path, kills: int, edit: Edit) -> tuple[str, int]:
    """Kill editors until one leaves something wrong; and how many edits landed."""
    root, state, board, dice = home / "w", home / "s", Board(), chance()
    root.mkdir()
    (root / "f.txt").write_text(version(0))
    wrong = ""
    for _ in range(kills):
        wrong = killed_once(root, state, board, dice, edit)
        if wrong:
            break
    landed = board.acknowledged
    board.close()
    return wrong, landed


def test_a_killed_edit_leaves_the_old_file_or_the_new(home: Path) -> None:
    """humfs E84."""
    wrong, landed = wrong_after(home, KILLS, overwrite)

    assert wrong == ""
    assert landed > 0  # there were edits to kill


@pytest.mark.soak
@pytest.mark.timeout(1_800)
def test_a_thousand_killed_edits_leave_the_old_file_or_the_new(home: Path) -> None:
    """humfs E84."""
    wrong, landed = wrong_after(home, KILLS_SOAK, overwrite)

    assert wrong == ""
    assert landed > 0


def test_control_writing_in_place_leaves_a_mixed_file(home: Path) -> None:
    assert wrong_after(home, CONTROL_KILLS_MAX, in_place)[0].startswith("neither")
