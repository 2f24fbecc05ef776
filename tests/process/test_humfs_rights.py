"""Files and directories that the user of humfs has no right to: named, counted, left alone."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.humfs import Tools, humfs

from humfs.tools.tool import Result

pytestmark = pytest.mark.process

SOMEBODY = 65_533
CODE, TEXT = "x = 1\n", "one\n"
FOLDERS = ("open", "listed", "closed", "kept")


@pytest.fixture
def root() -> Iterator[Path]:
    """Where everybody may look; the folders of pytest are its user's alone."""
    home = Path(tempfile.mkdtemp(dir="/tmp"))
    home.chmod(0o755)
    root = home / "w"
    for name in FOLDERS:
        (root / name).mkdir(parents=True)
        (root / name / "a.py").write_text(CODE)
        (root / name / "t.txt").write_text(TEXT)
    yield root
    shutil.rmtree(home)


@pytest.fixture
def tools(root: Path) -> Iterator[Tools]:
    with humfs((root, "rw"), state=root.parent / "state") as tools:
        yield tools


@contextmanager
def nobody_special(root: Path) -> Iterator[None]:
    """Act as an ordinary user, who owns the tree and has taken rights to parts of it away."""
    is_root = os.geteuid() == 0
    for path in root.parent.rglob("*"):
        if is_root:
            os.chown(path, SOMEBODY, -1)
    for name, mode in (("listed", 0o444), ("closed", 0), ("kept", 0o555)):
        (root / name).chmod(mode)
    if is_root:
        os.seteuid(SOMEBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        for name in FOLDERS:
            (root / name).chmod(0o755)


EDITS: dict[str, Callable[[Tools, str], Result]] = {
    "symbol": lambda tools, at: tools.code(f"{at}/a.py", symbol="x", new_source="x = 2"),
    "word": lambda tools, at: tools.text(f"{at}/t.txt", word="one", replace="two"),
    "create": lambda tools, at: tools.code(f"{at}/n/b.py", operation="create", new_source=CODE),
    "move": lambda tools, at: tools.code(f"{at}/a.py", operation="move", new_path=f"{at}/c.py"),
    "remove": lambda tools, at: tools.text(f"{at}/t.txt", operation="remove"),
}


def everything(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): path.read_text() if path.is_file() else ""
        for name in FOLDERS[1:]
        for path in (root / name).rglob("*")
    }


def test_without_the_right_to_write_nothing_is_changed_and_the_mend_is_named(
    tools: Tools, root: Path
) -> None:
    before = everything(root)
    done = [edit(tools, "open") for edit in EDITS.values()]  # imports all that they need

    with nobody_special(root):
        told = [edit(tools, at) for at in FOLDERS[1:] for edit in EDITS.values()]

    assert not any(one.is_error for one in done)
    for one in told:
        assert one.metadata.get("error") == "io", one.output
        assert "Permission denied.\nThis user has no right to it" in one.output
    assert everything(root) == before


@pytest.mark.parametrize(
    ("args", "count"),
    [
        ({"file_path": "."}, 3),
        ({"file_path": "**/*.py"}, 2),
        ({"file_path": ".", "pattern": "x"}, 1),
        ({"file_path": ".", "query": "x"}, 1),
        ({"file_path": ".", "symbol": "none"}, 1),
        ({"file_path": "listed"}, 2),
    ],
)
def test_what_a_search_may_not_look_at_is_counted(
    tools: Tools, root: Path, args: dict[str, str], count: int
) -> None:
    assert "left out" not in tools.call("humfs_read", args).output

    with nobody_special(root):
        found = tools.call("humfs_read", args)

    assert f"[left out: {count} that this user has no right to look at]" in found.output


@pytest.mark.parametrize(("mode", "said"), [(0o444, "ask the user"), (0, "no right to it")])
def test_a_file_that_is_not_to_be_written_stays(
    tools: Tools, root: Path, mode: int, said: str
) -> None:
    file = root / "open/t.txt"
    file.chmod(mode)
    with nobody_special(root):
        for edit in (EDITS["word"], EDITS["remove"]):
            refused = edit(tools, "open")
            assert refused.metadata.get("error") == "io"
            assert said in refused.output
    file.chmod(0o644)
    assert file.read_text() == TEXT


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_not_made_ones_own(tools: Tools, root: Path) -> None:
    with nobody_special(root):
        os.seteuid(0)
        os.chown(root / "open/t.txt", 0, 0)
        (root / "open/t.txt").chmod(0o666)
        os.seteuid(SOMEBODY)
        refused = EDITS["word"](tools, "open")

    assert refused.metadata.get("error") == "io"
    assert "belongs to another user" in refused.output
    assert "ask the user" in refused.output
    assert (root / "open/t.txt").stat().st_uid == 0
