"""The file tools on a full disk: an edit is refused, and nothing is half done (humfs 8, 12)."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.faults.rigs.small_disk import MIB, SmallDisk, small_disk
from tests.support.humfs import Tools, humfs

from humfs.edge.landed import Landed
from humfs.tools.tool import Result

pytestmark = pytest.mark.process

CODE = "def f():\n    return 1\n"
LONG = "# long\n" * 2_000

EDITS: dict[str, Callable[[Tools], Result]] = {
    "replace": lambda tools: tools.code("a.py", symbol="f", new_source=CODE + LONG),
    "create": lambda tools: tools.code("new.py", operation="create", new_source=LONG),
    "folders": lambda tools: tools.code("p/q/new.py", operation="create", new_source=LONG),
    "phrase": lambda tools: tools.text("c.json", phrase="a", replace=f'"{LONG!r}"'),
    "whole": lambda tools: tools.text("c.json", replace=f'["{"x" * len(LONG)}"]'),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "w"
    root.mkdir(mode=0o700)
    return root


def filled(root: Path) -> None:
    (root / "a.py").write_text(CODE)
    (root / "c.json").write_text('{"a": 1}\n')


def everything(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else b""
        for path in root.rglob("*")
        if path.name != "ballast"
    }


@pytest.fixture
def full_root(root: Path, tmp_path: Path) -> Iterator[tuple[Tools, SmallDisk]]:
    with small_disk(root, MIB) as disk, humfs((root, "rw"), state=tmp_path / "state") as tools:
        filled(root)
        disk.fill()
        yield tools, disk


@pytest.fixture
def full_state(root: Path, tmp_path: Path) -> Iterator[tuple[Tools, SmallDisk]]:
    filled(root)
    state = tmp_path / "state"
    with small_disk(state, MIB) as disk, humfs((root, "rw"), state=state) as tools:
        yield tools, disk


@pytest.mark.parametrize("edit", EDITS)
def test_below_a_full_root_an_edit_changes_nothing(
    full_root: tuple[Tools, SmallDisk], root: Path, edit: str
) -> None:
    tools, disk = full_root
    before = everything(root)

    refused = EDITS[edit](tools)
    after = everything(root)
    disk.relieve()

    assert refused.is_error
    assert "No space left on device.\nThe disk is full" in refused.output
    assert after == before
    assert not EDITS[edit](tools).is_error


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_that_cannot_be_noted_is_not_made(
    full_state: tuple[Tools, SmallDisk], root: Path, tmp_path: Path, edit: str
) -> None:
    tools, disk = full_state
    before = everything(root)
    disk.fill()

    refused = EDITS[edit](tools)
    notes = list((tmp_path / "state/writes").iterdir())
    disk.relieve()

    assert refused.is_error
    assert f"{tmp_path}/state/writes, where edits are noted before" in refused.output
    assert everything(root) == before
    assert notes == []
    assert not EDITS[edit](tools).is_error


def test_leases_that_cannot_be_noted_leave_those_that_were(
    full_state: tuple[Tools, SmallDisk], root: Path
) -> None:
    tools, disk = full_state
    assert not tools.call("humfs_lease", {"file_path": "a.py"}, sid="first").is_error
    held = tools.call("humfs_lease", {}).metadata["leases"]
    disk.fill()

    many = [
        tools.call("humfs_lease", {"file_path": f"{'long' * 40}{at}"}, sid="second")
        for at in range(100)
    ]
    refused = next(one for one in many if one.is_error)
    left = tools.call("humfs_lease", {}).metadata["leases"]
    disk.relieve()

    assert "where leases are noted, cannot be written: No space left" in refused.output
    assert held[0] in left
    assert len(left) == 1 + sum(not one.is_error for one in many)
    assert not tools.call("humfs_lease", {"file_path": "c.json"}, sid="second").is_error


def test_the_table_of_edits_needs_no_room_later(tmp_path: Path) -> None:
    """A map of a file with holes would end the process at the first edit on a full disk."""
    with small_disk(tmp_path / "state", MIB) as disk:
        disk.fill()
        mark_many(Landed(tmp_path / "state/landed"))
        disk.relieve()
        table = Landed(tmp_path / "state/landed")
        disk.fill()
        mark_many(table)


def mark_many(table: Landed) -> None:
    for number in range(20_000):
        table.mark(f"/w/{number}", "f", number + 1)
    assert table.is_edited_since("/w/19999", "f", 1)
    table.close()
