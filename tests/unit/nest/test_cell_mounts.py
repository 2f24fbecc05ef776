"""What a sandbox stands on is watched (decision 0015)."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nest.cells import mounts
from nest.cells.mounts import MountFailed, Mounts
from nest.cells.orders import ABSENT, Pinned

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts are watched on Linux only")


def pinned(path: Path, *, inode: int | None = None) -> Pinned:
    status = path.stat() if inode is None else None
    return Pinned(
        path=str(path),
        device=status.st_dev if status else 0,
        inode=status.st_ino if status else inode or 0,
        is_read_only=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "kept").write_text("kept")
    return tmp_path


def watched(folder: Path) -> Mounts:
    below = folder / "below"
    return Mounts(
        [
            pinned(folder),
            pinned(folder / "kept"),
            pinned(below),
            pinned(below / "kept"),
            pinned(below / "never", inode=ABSENT),
        ]
    )


def put_another(folder: Path) -> None:
    (folder / "newer").write_text("newer")
    (folder / "newer").rename(folder / "kept")


def move_the_folder(folder: Path) -> None:
    (folder / "below").rename(folder / "older")
    (folder / "below").mkdir()
    (folder / "below" / "kept").write_text("newer")


@pytest.mark.parametrize(
    ("change", "lost", "is_told"),
    [
        (lambda folder: None, [], False),
        (lambda folder: (folder / "other").write_text(""), [], False),
        (lambda folder: (folder / "below" / "kept").write_text("changed in place"), [], False),
        (lambda folder: (folder / "kept").rename(folder / "older"), [1], True),
        (lambda folder: (folder / "kept").unlink(), [1], False),  # the end of a mount tells it
        (put_another, [1], False),  # likewise
        (move_the_folder, [2, 3], True),
        (lambda folder: (folder / "below" / "never").write_text(""), [4], True),
        (lambda folder: (folder / "kept").rename(folder / "below" / "never"), [1, 4], True),
    ],
)
def test_what_gets_another_object_is_lost(
    folder: Path, change: Callable[[Path], object], lost: list[int], is_told: bool
) -> None:
    watching = watched(folder)
    assert watching.is_watched
    assert watching.lost() == []

    change(folder)

    assert watching.lost() == lost
    assert watching.has_news() is is_told
    assert watching.has_news() is False


def test_a_name_that_was_swapped_before_is_named(folder: Path) -> None:
    was = pinned(folder / "kept")
    put_another(folder)

    with pytest.raises(MountFailed, match="kept was swapped while"):
        Mounts([was])


def test_what_should_be_read_only_and_is_not_is_named(folder: Path) -> None:
    with pytest.raises(MountFailed, match="kept was swapped while"):
        Mounts([Pinned(path=str(folder / "kept"))])


def test_where_no_watch_is_to_be_had_all_is_looked_at_now_and_then(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Without:
        @staticmethod
        def inotify_init1(flags: int) -> int:
            return -1

        @staticmethod
        def inotify_add_watch(handle: int, path: bytes, mask: int) -> int:
            return -1

    monkeypatch.setattr(mounts, "_libc", Without)
    watching = watched(folder)
    put_another(folder)

    assert not watching.is_watched
    assert watching.lost() == [1]
