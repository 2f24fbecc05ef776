"""System calls on files of the log: private, synced, never through a link."""

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nest.paths import OTHERS, ensure_private, require_ours
from thehum.errors import DiskFull, WriteFailed
from thrum.errors import SettingsRefused

FILE_MODE = 0o600
BLOCK_BYTES = 512
"""The unit of `st_blocks`."""
_PUNCH_HOLE = 0x03
"""FALLOC_FL_PUNCH_HOLE and FALLOC_FL_KEEP_SIZE."""
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def open_private(path: Path, *, create: bool = False, write: bool = False) -> int:
    """A descriptor on a file of ours that nobody else may touch; raises `SettingsRefused`."""
    flags = os.O_RDWR if write else os.O_RDONLY
    if create:
        flags |= os.O_CREAT
    try:
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, FILE_MODE)
    except FileNotFoundError:
        raise
    except OSError as problem:
        if problem.errno in NO_ROOM:
            raise DiskFull(f"no room for {path}", hint=f"df -h {path.parent}") from problem
        raise SettingsRefused(
            f"{path} cannot be opened: {problem.strerror}", hint=f"ls -l {path}"
        ) from problem
    try:
        _require_private(path, os.fstat(handle))
    except SettingsRefused:
        os.close(handle)
        raise
    return handle


def _require_private(path: Path, status: os.stat_result) -> None:
    require_ours(path, status)
    if not stat.S_ISREG(status.st_mode):
        raise SettingsRefused(f"{path} is no plain file", hint=f"ls -l {path}")
    if status.st_mode & OTHERS:
        mode = stat.S_IMODE(status.st_mode)
        raise SettingsRefused(
            f"{path} is open to other users (mode {mode:04o}, wanted 0600)",
            hint=f"chmod 600 {path}",
        )


def make_folder(folder: Path) -> None:
    """Leave `folder` as a private one of ours, made when missing.

    Raises `DiskFull`, `WriteFailed`, and `SettingsRefused` for what is there and cannot be used.
    """
    try:
        ensure_private(folder)
    except SettingsRefused as problem:
        cause = problem.__cause__
        if isinstance(cause, OSError) and cause.errno in NO_ROOM | {errno.EIO}:
            with told_apart(f"making {folder}"):
                raise cause from None
        raise


@contextmanager
def told_apart(what: str) -> Iterator[None]:
    """Turn an error of the system into `DiskFull`, which passes, or `WriteFailed`."""
    try:
        yield
    except OSError as problem:
        if problem.errno in NO_ROOM:
            raise DiskFull(
                f"no room on the disk of the log: {problem.strerror}",
                hint="free some space; the log goes on by itself",
            ) from problem
        raise WriteFailed(f"{what} failed: {problem}", hint="look at dmesg") from problem


def write_all(handle: int, data: bytes, offset: int) -> None:
    """Write all of `data` at `offset`, however little the system takes at a time.

    Raises `DiskFull` when there is no room (some of it may be written), else `WriteFailed`.
    """
    view = memoryview(data)
    with told_apart("writing the log"):
        while view:
            written = os.pwrite(handle, view, offset)
            view, offset = view[written:], offset + written


def sync_data(handle: int) -> None:
    """Return once the file's bytes are on disk; raises `WriteFailed`, and is not to be repeated."""
    try:
        if sys.platform == "darwin":
            import fcntl

            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
        else:
            os.fdatasync(handle)
    except OSError as problem:  # no room is no excuse here: what was written may be dropped
        raise WriteFailed(f"syncing the log failed: {problem}", hint="look at dmesg") from problem


def allocated(path: Path) -> int:
    """The bytes that a file takes on disk; 0 when there is none."""
    try:
        return path.stat().st_blocks * BLOCK_BYTES
    except FileNotFoundError:
        return 0


def punch(handle: int, length: int) -> bool:
    """Make the first `length` bytes a hole, which reads as zeros; False where there are no holes.

    Raises `WriteFailed`.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (ctypes.c_int(handle), ctypes.c_int(_PUNCH_HOLE), ctypes.c_int64(0))
    if libc.fallocate(*arguments, ctypes.c_int64(length)) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EOPNOTSUPP, errno.ENOSYS):
        return False
    raise WriteFailed(f"making a hole failed: {os.strerror(number)}", hint="look at dmesg")


def sync_folder(folder: Path) -> None:
    """Return once the names in `folder` are on disk; raises `WriteFailed`."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as problem:
        raise WriteFailed(f"syncing {folder} failed: {problem}", hint="look at dmesg") from problem
