"""Power cuts, played back: what a disk may hold at any moment of a recorded run.

`Recorder` notes what a run does to the files below a folder, by standing before the calls of `os`
that change them. `crash_states` then makes disks out of it: everything that was synced, and of the
rest any part, torn at sectors and in any order, as a disk without power is free to keep it:

- bytes written become certain by a sync of their file, names by a sync of their folder;
- of a write that is not certain each sector may be there, or not;
- of changed names that are not certain each may be there, or not; what is in a folder whose own
  name did not arrive is gone with it.

What goes through a buffered file is noted when it is synced; before, the file may be empty.
"""

import errno
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SECTOR_BYTES = 512
ZEROS_BYTES = 64 * 1024
"""A long write of nothing but zeros is torn at these: its sectors are all alike."""
FILE_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Wrote:
    inode: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    inode: int
    length: int


@dataclass(frozen=True, slots=True)
class Synced:
    inode: int


@dataclass(frozen=True, slots=True)
class Named:
    """`path` names `inode` from now on, or nothing when None."""

    path: str
    inode: int | None


@dataclass(frozen=True, slots=True)
class MadeFolder:
    path: str


@dataclass(frozen=True, slots=True)
class Renamed:
    """Both names change at once, or neither."""

    source: str
    path: str
    inode: int


@dataclass(frozen=True, slots=True)
class SyncedFolder:
    path: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    number: int


Step = Wrote | Cut | Synced | Named | MadeFolder | Renamed | SyncedFolder | Acknowledged
Disk = dict[str, bytes]
"""Files by their path below the folder."""


class Recorder:
    """What was done below `root` while `recording`, in order."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self.steps: list[Step] = []

    def acknowledge(self, number: int) -> None:
        self.steps.append(Acknowledged(number))

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Stand before the calls of `os`, which are made as well."""
        with pytest.MonkeyPatch.context() as patch:
            for name, note in (
                ("pwrite", self._pwrite),
                ("ftruncate", self._ftruncate),
                ("fdatasync", self._sync),
                ("fsync", self._sync),
                ("open", self._open),
                ("rename", self._rename),
                ("replace", self._rename),
                ("link", self._link),
                ("unlink", self._unlink),
                ("mkdir", self._mkdir),
            ):
                patch.setattr(os, name, _standing_before(getattr(os, name), note))
            yield

    def _below(self, path: Any) -> str | None:
        text = os.fspath(path)
        return os.path.relpath(text, self._root) if text.startswith(self._root) else None

    def _pwrite(self, call: Callable[..., int], handle: int, data: bytes, offset: int) -> int:
        written = call(handle, data, offset)
        self.steps.append(Wrote(os.fstat(handle).st_ino, offset, bytes(data[:written])))
        return written

    def _ftruncate(self, call: Callable[..., None], handle: int, length: int) -> None:
        call(handle, length)
        self.steps.append(Cut(os.fstat(handle).st_ino, length))

    def _sync(self, call: Callable[..., None], handle: int) -> None:
        call(handle)
        path = os.readlink(f"/proc/self/fd/{handle}")
        below = self._below(path)
        if below is None:
            return
        if os.path.isdir(path):
            self.steps.append(SyncedFolder(os.path.normpath(below)))
            return
        inode = os.fstat(handle).st_ino
        if path.endswith(".tmp"):  # written through a buffer
            self.steps.append(Wrote(inode, 0, Path(path).read_bytes()))
        self.steps.append(Synced(inode))

    def _open(self, call: Callable[..., int], path: Any, flags: int, *rest: Any) -> int:
        below = self._below(path)
        is_new = below is not None and flags & os.O_CREAT and not os.path.lexists(path)
        handle = call(path, flags, *rest)
        if below is not None and is_new:
            self.steps.append(Named(below, os.fstat(handle).st_ino))
        return handle

    def _rename(self, call: Callable[..., None], source: Any, path: Any) -> None:
        inode = os.stat(source).st_ino
        call(source, path)
        names = self._below(source), self._below(path)
        if names[0] is not None and names[1] is not None:
            self.steps.append(Renamed(names[0], names[1], inode))

    def _link(self, call: Callable[..., None], source: Any, path: Any) -> None:
        call(source, path)
        below = self._below(path)
        if below is not None:
            self.steps.append(Named(below, os.stat(path).st_ino))

    def _unlink(self, call: Callable[..., None], path: Any) -> None:
        call(path)
        below = self._below(path)
        if below is not None:
            self.steps.append(Named(below, None))

    def _mkdir(self, call: Callable[..., None], path: Any, *rest: Any) -> None:
        call(path, *rest)
        below = self._below(path)
        if below is not None and below != ".":
            self.steps.append(MadeFolder(below))


def _standing_before(call: Any, note: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: note(call, *args)


@dataclass(slots=True)
class Inode:
    """A file: what is certain, and what was done to it since its last sync."""

    certain: bytes = b""
    waiting: list[Wrote | Cut] = field(default_factory=list)

    def synced(self) -> None:
        if self.waiting:
            data = bytearray(self.certain)
            for step in self.waiting:
                _apply(data, step)
            self.certain = bytes(data)
            self.waiting.clear()

    def survivor(self, dice: random.Random) -> bytes:
        """What the disk may hold of it."""
        waiting, mood = list(self.waiting), dice.random()
        if mood < 0.15 or not waiting:
            return self.certain
        if mood < 0.3:
            dice.shuffle(waiting)
        data = bytearray(self.certain)
        for step in waiting:
            if isinstance(step, Wrote):
                for piece in _torn(step, dice):
                    _apply(data, piece)
            elif dice.random() < 0.5:
                _apply(data, step)
        return bytes(data)


class Model:
    """A disk while a run goes on. `play` the steps, then ask what a crash would leave."""

    def __init__(self) -> None:
        self._inodes: dict[int, Inode] = {}
        self._names: dict[str, int] = {}
        self._folders = {"."}
        self._waiting: list[Named | MadeFolder | Renamed] = []
        self.acknowledged = 0

    @classmethod
    def of(cls, disk: Disk) -> "Model":
        """A disk that was left alone for a while."""
        model = cls()
        for number, (path, data) in enumerate(disk.items(), start=1):
            model._inodes[-number] = Inode(data)
            model._names[path] = -number
            model._folders.add(_folder(path))
        return model

    def adopt(self, inodes: dict[str, int]) -> None:
        """Know the files by the inodes they have in the run to come."""
        for path, inode in inodes.items():
            self._inodes[inode] = self._inodes.pop(self._names[path])
            self._names[path] = inode

    def play(self, step: Step) -> None:
        match step:
            case Wrote(inode) | Cut(inode):
                self._inodes.setdefault(inode, Inode()).waiting.append(step)
            case Synced(inode):
                self._inodes.setdefault(inode, Inode()).synced()
            case Named(path, inode):
                is_first = inode is not None and not self._is_known(inode)
                if inode is not None and is_first:
                    self._inodes[inode] = Inode()  # the number may have belonged to another
                self._waiting.append(step)
            case Renamed() | MadeFolder():
                self._waiting.append(step)
            case SyncedFolder(path):
                kept = [one for one in self._waiting if _folder(one.path) != path]
                for one in self._waiting:
                    if _folder(one.path) == path:
                        _name(self._names, self._folders, one)
                self._waiting = kept
            case Acknowledged(number):
                self.acknowledged = max(self.acknowledged, number)

    def _is_known(self, inode: int) -> bool:
        """Whether some name, certain or not, leads to it."""
        names, folders = dict(self._names), set[str]()
        for one in self._waiting:
            _name(names, folders, one)
        return inode in names.values()

    def crashed(self, dice: random.Random) -> Disk:
        """One of the disks that a power cut may leave now."""
        names, folders, mood = dict(self._names), set(self._folders), dice.random()
        for one in self._waiting:
            if mood < 0.3 or dice.random() < 0.5:
                _name(names, folders, one)
        return {
            path: self._inodes[inode].survivor(dice)
            for path, inode in sorted(names.items())
            if _folder(path) in folders
        }


def _torn(step: Wrote, dice: random.Random) -> Iterator[Wrote]:
    """The sectors of a write that arrive: all, none, the first so many, or any."""
    end = step.offset + len(step.data)
    unit = ZEROS_BYTES if len(step.data) > ZEROS_BYTES and not any(step.data) else SECTOR_BYTES
    edges = list(range(step.offset // unit * unit, end, unit))
    mood = dice.randrange(4)
    first_lost = dice.randrange(len(edges) + 1)
    for number, edge in enumerate(edges):
        arrives = (True, False, number < first_lost, dice.random() < 0.5)[mood]
        if arrives:
            begin = max(edge, step.offset)
            stop = min(edge + unit, end)
            data = step.data[begin - step.offset : stop - step.offset]
            yield Wrote(step.inode, begin, data)


def _apply(data: bytearray, step: Wrote | Cut) -> None:
    length = step.length if isinstance(step, Cut) else step.offset
    if len(data) < length:
        data.extend(bytes(length - len(data)))
    if isinstance(step, Cut):
        del data[step.length :]
    else:
        data[step.offset : step.offset + len(step.data)] = step.data


def _folder(path: str) -> str:
    return os.path.dirname(path) or "."


def _name(names: dict[str, int], folders: set[str], step: Named | MadeFolder | Renamed) -> None:
    if isinstance(step, MadeFolder):
        folders.add(step.path)
    elif isinstance(step, Renamed):
        if names.get(step.source) == step.inode:
            del names[step.source]
        names[step.path] = step.inode
    elif step.inode is None:
        names.pop(step.path, None)
    else:
        names[step.path] = step.inode


def crash_states(
    steps: list[Step], before: Model, dice: random.Random, count: int
) -> Iterator[tuple[Disk, int]]:
    """`count` disks that a crash may leave, and what was acknowledged then.

    Half of them at any moment of the run, half right behind a write of events.
    """
    written = [at for at, step in enumerate(steps, start=1) if _holds_more_than_zeros(step)]
    anywhere = [dice.randrange(len(steps) + 1) for _ in range(count // 2)]
    moments = sorted(anywhere + dice.choices(written, k=count - len(anywhere)))
    played = 0
    for moment in moments:
        for step in steps[played:moment]:
            before.play(step)
        played = moment
        yield before.crashed(dice), before.acknowledged


def _holds_more_than_zeros(step: Step) -> bool:
    return isinstance(step, Wrote) and step.data.strip(b"\0") != b""


def lay_out(root: Path, disk: Disk) -> None:
    """Make the folder hold exactly this disk."""
    root.mkdir(mode=0o700)
    for path, data in disk.items():
        target = root / path
        target.parent.mkdir(mode=0o700, exist_ok=True)
        target.write_bytes(data)
        target.chmod(FILE_MODE)


@contextmanager
def without_syncs() -> Iterator[None]:
    """For what only looks at a disk: a sync that waits for nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", _sync_nothing)
        patch.setattr(os, "fdatasync", _sync_nothing)
        yield


def _sync_nothing(handle: int) -> None:
    if handle < 0:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
