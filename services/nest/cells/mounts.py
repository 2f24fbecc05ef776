"""The mounts that a sandbox stands on: that they are what was meant, and that they stay.

A mount stands on what has a name. When somebody outside puts another file there, removes the name
or gives it to something else, the mount goes with what it stood on, and a new file of that name is
as open as the folder it is in. That cannot be prevented from here, but the kernel tells: of each
change to the mounts of this namespace, and of each name that is taken or given where it matters.
Whoever hears of it ends the tree.

The standard library only, Linux only.
"""

import contextlib
import ctypes
import errno
import os
import struct
from collections.abc import Callable, Sequence

from nest.cells import kernel
from nest.cells.orders import ABSENT, Pinned

SWAPPED = "was swapped while the walls went up"
CHECK_SECONDS = 0.25
"""How often all mounts are looked at where a watch could not be had."""
EVENT_BYTES = 16 * 1024
"""Of the kernel's events, read at once."""

IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_MOVE_SELF = 0x40, 0x80, 0x100, 0x800
IN_Q_OVERFLOW, IN_MASK_ADD = 0x4000, 0x20000000

_EVENT = struct.Struct("=iIII")
_LOOKING = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC if kernel.IS_LINUX else 0
_libc = ctypes.CDLL(None, use_errno=True)


_Watch = Callable[[Pinned, int | None, int | None], None]
"""Takes what is pinned, a handle on it if it is there, and one on the folder above if that is
pinned too."""


class MountFailed(OSError):
    """A mount that was asked for is not there."""


class Mounts:
    """The mounts of this process, watched from now on."""

    def __init__(self, pinned: Sequence[Pinned]) -> None:
        """Watch, and see that each is what was meant; raises `MountFailed`."""
        self._pinned = pinned
        self.changes = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        """A handle that `select` calls exceptional when a mount came or went."""
        self.names = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        """A handle that is readable when a name was taken or given; negative for none."""
        self._told: dict[int, set[bytes]] = {}
        """The names that matter by the watch on their folder."""
        self.is_watched = self.names >= 0
        """Whether each change is told. If not, all must be looked at every `CHECK_SECONDS`."""
        for at in self._wrong(watch=self._watch):
            raise MountFailed(f"mounts: {pinned[at].path} {SWAPPED}")

    def lost(self) -> list[int]:
        """Which mounts are not what was meant any more."""
        return self._wrong(watch=lambda one, handle, above: None)

    def has_news(self) -> bool:
        """Read what was told of names; whether one that matters is among them."""
        has_news = False
        with contextlib.suppress(BlockingIOError):
            told = os.read(self.names, EVENT_BYTES)
            while told:
                watch, mask, _, length = _EVENT.unpack_from(told)
                name = told[_EVENT.size : _EVENT.size + length].rstrip(b"\0")
                has_news |= bool(mask & (IN_MOVE_SELF | IN_Q_OVERFLOW))
                has_news |= name in self._told.get(watch, ())
                told = told[_EVENT.size + length :]
        return has_news

    def _wrong(self, watch: _Watch) -> list[int]:
        """Look at each mount, in a folder that is one itself on that folder's handle.

        So no swap of names on the way can show something else than what is mounted.
        """
        folders: dict[str, int] = {}
        wrong = []
        try:
            for number, one in enumerate(self._pinned):
                if not _is_right(one, folders, watch):
                    wrong.append(number)
        finally:
            for handle in folders.values():
                os.close(handle)
        return wrong

    def _watch(self, one: Pinned, handle: int | None, above: int | None) -> None:
        """Be told when what is there gets another name, or when one comes that must not."""
        if handle is not None and one.inode:
            self._add(handle, IN_MOVE_SELF)
        elif above is not None:
            mask = IN_MOVED_FROM if handle is not None else IN_CREATE | IN_MOVED_TO
            number = self._add(above, mask)
            self._told.setdefault(number, set()).add(os.fsencode(os.path.basename(one.path)))

    def _add(self, handle: int, mask: int) -> int:
        path = f"/proc/self/fd/{handle}".encode()
        number = _libc.inotify_add_watch(self.names, path, mask | IN_MASK_ADD)
        self.is_watched &= number >= 0
        return int(number)


def _is_right(one: Pinned, folders: dict[str, int], watch: _Watch) -> bool:
    """Look at one; its handle is added to `folders` when others may lie in it."""
    above, name = os.path.split(one.path)
    at = folders.get(above)
    name = one.path if at is None else name
    try:
        handle = os.open(name, _LOOKING, dir_fd=at)
    except OSError as problem:
        if problem.errno in (errno.EMFILE, errno.ENFILE):
            raise
        watch(one, None, at)
        return one.inode == ABSENT and problem.errno in (errno.ENOENT, errno.ENOTDIR)
    folders[one.path] = handle
    try:
        watch(one, handle, at)
        return _is_meant(one, handle, os.lstat(name, dir_fd=at))
    except OSError:
        return False
    finally:
        if one.is_read_only:
            os.close(folders.pop(one.path))


def _is_meant(one: Pinned, handle: int, named: os.stat_result) -> bool:
    """Whether a name leads to what was opened there, and that is what was meant."""
    status = os.fstat(handle)
    is_read_only = bool(os.fstatvfs(handle).f_flag & os.ST_RDONLY)
    identity = (status.st_dev, status.st_ino)
    return (
        identity == (named.st_dev, named.st_ino)
        and (one.inode == 0 or identity == (one.device, one.inode))
        and is_read_only >= one.is_read_only
    )
