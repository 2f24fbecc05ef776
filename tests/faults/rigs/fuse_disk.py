"""A mounted file system that notes in order what processes do to it, for `rigs.power` to play back.

    with recording_disk(mount, scratch) as disk:
        ...                     # any process writes below `mount`
        disk.acknowledge(3)     # noted behind everything that was done before
    disk.steps()

The files themselves are in a plain folder, untouched by what a crash would lose. Needs `/dev/fuse`
and libfuse 3; where they are missing the test skips and says so.
"""

import os
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest
from tests.faults.rigs.forks import ended, forked
from tests.faults.rigs.power import (
    Acknowledged,
    Cut,
    MadeFolder,
    Named,
    Renamed,
    Step,
    Synced,
    SyncedFolder,
    Wrote,
)

from nest.paths import ensure_private

ACKNOWLEDGED = "user.acknowledged"
"""The attribute of the mounted folder that takes the number of what was acknowledged."""
MOUNT_SECONDS = 10.0
KINDS: tuple[type[Any], ...] = (
    Wrote, Cut, Synced, Named, Renamed, SyncedFolder, Acknowledged, MadeFolder,
)  # fmt: skip


class RecordedDisk:
    """See the module."""

    def __init__(self, mount: Path, notes: Path) -> None:
        self.mount = mount
        self._notes = notes

    def acknowledge(self, number: int) -> None:
        """Note that everything up to `number` was acknowledged."""
        os.setxattr(self.mount, ACKNOWLEDGED, str(number).encode())

    def steps(self) -> list[Step]:
        """What was done, once the disk is unmounted."""
        unpacker = msgpack.Unpacker(max_buffer_size=1 << 31)
        unpacker.feed(self._notes.read_bytes())
        return [KINDS[kind](*fields) for kind, fields in unpacker]


@contextmanager
def recording_disk(mount: Path, scratch: Path) -> Iterator[RecordedDisk]:
    """Mount an empty disk at `mount`; its files and the notes are in `scratch`."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("power loss on a mounted disk: there is no /dev/fuse")
    try:
        import mfusepy
    except (ImportError, OSError) as problem:
        pytest.skip(f"power loss on a mounted disk: no libfuse 3: {problem}")
    files, notes = scratch / "files", scratch / "notes"
    for folder in (mount, files):
        ensure_private(folder)
    options = {"foreground": True, "nothreads": True, "hard_remove": True, "fsname": "recorded"}
    pid = forked(lambda: mfusepy.FUSE(_operations(mfusepy, files, notes), str(mount), **options))
    try:
        _wait_mounted(mount, pid)
        yield RecordedDisk(mount, notes)
    finally:
        unmount = ["umount", "-l"] if os.geteuid() == 0 else ["fusermount3", "-uz"]
        subprocess.run([*unmount, str(mount)], check=False, capture_output=True)
        ended(pid)


def _wait_mounted(mount: Path, pid: int) -> None:
    until = time.monotonic() + MOUNT_SECONDS
    while not os.path.ismount(mount):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done or time.monotonic() > until:
            pytest.skip(f"power loss on a mounted disk: it cannot be mounted here ({status})")
        time.sleep(0.01)


def _operations(mfusepy: Any, files: Path, notes: Path) -> Any:
    """The calls of the file system, each made on the plain folder and noted."""

    class Operations(mfusepy.Operations):  # type: ignore[misc]  # it has no types
        use_ns = True

        def __init__(self) -> None:
            self._notes = notes.open("wb")
            self._pack = msgpack.Packer()
            self._held: list[int] = []
            """Every file there was, so that no number of an inode comes twice."""

        def _note(self, step: Step) -> None:
            fields = [getattr(step, name) for name in step.__slots__]
            self._notes.write(self._pack.pack([KINDS.index(type(step)), fields]))

        def destroy(self, path: str) -> None:
            self._notes.close()

        # --- names

        def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
            found = os.fstat(fh) if fh is not None else os.lstat(_at(path))
            names = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_ino", "st_blocks")
            times = {f"st_{at}time": getattr(found, f"st_{at}time_ns") for at in "amc"}
            return {**{name: getattr(found, name) for name in names}, **times}

        def readdir(self, path: str, fh: int) -> list[str]:
            return [".", "..", *os.listdir(_at(path))]

        def mkdir(self, path: str, mode: int) -> None:
            os.mkdir(_at(path), mode)
            self._note(MadeFolder(_below(path)))

        def chmod(self, path: str, mode: int) -> None:
            os.chmod(_at(path), stat.S_IMODE(mode))

        def utimens(self, path: str, times: Any = None) -> None:
            pass

        def rename(self, old: str, new: str) -> None:
            inode = os.stat(_at(old)).st_ino
            os.rename(_at(old), _at(new))
            self._note(Renamed(_below(old), _below(new), inode))

        def link(self, target: str, source: str) -> None:
            os.link(_at(source), _at(target))
            self._note(Named(_below(target), os.stat(_at(target)).st_ino))

        def unlink(self, path: str) -> None:
            os.unlink(_at(path))
            self._note(Named(_below(path), None))

        def fsyncdir(self, path: str, datasync: int, fh: int) -> None:
            self._note(SyncedFolder(_below(path)))

        def setxattr(
            self, path: str, name: str, value: bytes, options: int, position: int = 0
        ) -> None:
            if name == ACKNOWLEDGED:
                self._note(Acknowledged(int(value)))

        # --- files

        def create(self, path: str, mode: int, fi: Any = None) -> int:
            handle = os.open(_at(path), os.O_RDWR | os.O_CREAT, mode)
            self._held.append(os.dup(handle))
            self._note(Named(_below(path), os.fstat(handle).st_ino))
            return handle

        def open(self, path: str, flags: int) -> int:
            return os.open(_at(path), os.O_RDWR)

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            return os.pread(fh, size, offset)

        def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
            written = os.pwrite(fh, data, offset)
            self._note(Wrote(os.fstat(fh).st_ino, offset, bytes(data[:written])))
            return written

        def truncate(self, path: str, length: int, fh: int | None = None) -> None:
            os.truncate(fh if fh is not None else _at(path), length)
            inode = os.fstat(fh).st_ino if fh is not None else os.stat(_at(path)).st_ino
            self._note(Cut(inode, length))

        def fsync(self, path: str, datasync: int, fh: int) -> None:
            self._note(Synced(os.fstat(fh).st_ino))

        def release(self, path: str, fh: int) -> None:
            os.close(fh)

    def _at(path: str) -> Path:
        return files / path.lstrip("/")

    def _below(path: str) -> str:
        return path.lstrip("/") or "."

    return Operations()
