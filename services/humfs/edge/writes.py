"""Changing files: replaced whole, made, moved, removed; each entirely or not at all.

A file that is edited is open and locked against every other edit by any humfs, from before it is
read until it is replaced. The new content goes to a temporary file in the same directory, gets
mode, owner and attributes of the old one, is flushed and takes its name; then the directory is
flushed.

Everything happens with one name on the open handle of a directory that was reached below a root
without following a link. So whatever is swapped meanwhile, nothing outside is touched: the worst
that a race can do is a refusal.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from humfs.core import paths
from humfs.edge.journal import Journal
from humfs.edge.kernel import READ_FLAGS, rename_new
from humfs.edge.roots import Opened, Place, Roots, refused_by_system
from humfs.edge.watch import Watch
from humfs.errors import Code, Refusal

LOCK_PAUSE_SECONDS = 0.002
"""Between two looks at a file that another edit holds."""
_NEW_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_STEP_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ANY_FILE_MODE = 0o666
_REFUSED_ATTRIBUTES = ("security.", "trusted.")
"""Attributes that only the system's administrator may copy."""


@dataclass(frozen=True, slots=True)
class Held:
    """A regular file, open and locked, in its open directory."""

    asked: str
    opened: Opened
    directory: int
    name: str

    @property
    def place(self) -> Place:
        """Where it is."""
        return self.opened.place


class Writer:
    """Changes files below the roots. Safe from any thread."""

    def __init__(self, roots: Roots, journal: Journal) -> None:
        self.roots = roots
        self._journal = journal

    @contextmanager
    def held(self, asked: str, cwd: str | None, watch: Watch) -> Iterator[Held]:
        """Open and lock an existing regular file for a change; others wait. Raises `Refusal`."""
        held = self.roots.at_place(
            asked, cwd, lambda place: self._hold(asked, place, watch), writing=True
        )
        try:
            yield held
        finally:
            os.close(held.opened.handle)
            os.close(held.directory)

    def replace(self, held: Held, content: bytes) -> None:
        """Put `content` in the place of a held file; on disk once this returns."""
        with self._refusing(held.asked):
            directory = paths.parent(held.place.path)
            with self._journal.temporary(directory) as temporary:
                try:
                    self._fill(held.directory, temporary, content, like=held)
                    _require_unchanged(held)
                    os.rename(
                        temporary,
                        held.name,
                        src_dir_fd=held.directory,
                        dst_dir_fd=held.directory,
                    )
                except BaseException:
                    with suppress(FileNotFoundError):
                        os.unlink(temporary, dir_fd=held.directory)
                    raise
            os.fsync(held.directory)

    def create(self, asked: str, cwd: str | None, content: bytes) -> Place:
        """Make a file that is not there yet, and the directories above it. Raises `Refusal`."""

        def act(place: Place) -> Place:
            with self._new(asked, cwd, place) as (directory, name):
                with self._journal.temporary(paths.parent(place.path)) as temporary:
                    try:
                        self._fill(directory, temporary, content, like=None)
                        rename_new(directory, temporary, directory, name)
                    except BaseException:
                        with suppress(FileNotFoundError):
                            os.unlink(temporary, dir_fd=directory)
                        raise
                os.fsync(directory)
            return place

        return self.roots.at_place(asked, cwd, act, writing=True)

    def move(self, held: Held, asked: str, cwd: str | None) -> Place:
        """Give a held file another path where nothing is yet. Raises `Refusal`."""
        _require_no_link(held, cwd, self.roots)

        def act(place: Place) -> Place:
            with self._new(asked, cwd, place) as (directory, name):
                _require_unchanged(held)
                rename_new(held.directory, held.name, directory, name)
                os.fsync(directory)
            os.fsync(held.directory)
            return place

        return self.roots.at_place(asked, cwd, act, writing=True)

    def remove(self, held: Held, cwd: str | None) -> None:
        """Take a held file away. Raises `Refusal`."""
        _require_no_link(held, cwd, self.roots)
        with self._refusing(held.asked):
            _require_unchanged(held)
            os.unlink(held.name, dir_fd=held.directory)
            os.fsync(held.directory)

    def _hold(self, asked: str, place: Place, watch: Watch) -> Held:
        if place.relative == ".":
            raise _not_regular(asked)
        above, _, name = place.relative.rpartition("/")
        directory = self.roots.open_directory(place.root, above or ".")
        handle = -1
        try:
            while True:
                handle = os.open(name, READ_FLAGS, dir_fd=directory)
                status = _require_editable(asked, os.fstat(handle))
                _lock(handle, asked, watch)
                if _same(os.stat(name, dir_fd=directory, follow_symlinks=False), status):
                    return Held(asked, Opened(place, handle, os.fstat(handle)), directory, name)
                os.close(handle)
                handle = -1
                watch.check()
        except BaseException:
            if handle >= 0:
                os.close(handle)
            os.close(directory)
            raise

    def _fill(self, directory: int, name: str, content: bytes, *, like: Held | None) -> None:
        """Write a temporary file to the disk, with mode, owner and attributes of another."""
        handle = os.open(name, _NEW_FLAGS, 0o600, dir_fd=directory)
        try:
            at = 0
            while at < len(content):
                at += os.write(handle, memoryview(content)[at:])
            if like is None:
                os.fchmod(handle, _ANY_FILE_MODE & os.fstat(directory).st_mode)
            else:
                _take_after(handle, like)
            os.fsync(handle)
        finally:
            os.close(handle)

    @contextmanager
    def _new(self, asked: str, cwd: str | None, place: Place) -> Iterator[tuple[int, str]]:
        """The open directory and the name of a file to be made; makes missing directories.

        They are taken away again when the block fails.
        """
        if asked.endswith("/") and not place.exists:
            raise Refusal(
                Code.BAD_ARGS,
                f"{asked} ends with a slash, so it names a directory; nothing was made.",
                hint="Give the path of the file itself: the directories above it are made.",
            )
        if place.exists or self._is_dangling(asked, cwd, place):
            raise Refusal(
                Code.EXISTS,
                f"{asked} already exists.",
                hint="Replace its content, or take another path.",
            )
        *above, name = place.relative.split("/")
        with self._refusing(asked, changed=True):
            handles, made = self._descend(place, above)
            try:
                yield handles[-1], name
            except BaseException:
                for parent, directory in reversed(made):
                    with suppress(OSError):
                        os.rmdir(directory, dir_fd=parent)
                raise
            finally:
                for handle in handles:
                    os.close(handle)

    def _descend(self, place: Place, names: list[str]) -> tuple[list[int], list[tuple[int, str]]]:
        """Handles from the root to a directory, each made if missing; and which were made."""
        handles, made = [self.roots.open_directory(place.root, ".")], list[tuple[int, str]]()
        try:
            for name in names:
                try:
                    step = os.open(name, _STEP_FLAGS, dir_fd=handles[-1])
                except FileNotFoundError:
                    os.mkdir(name, 0o700, dir_fd=handles[-1])
                    made.append((handles[-1], name))
                    step = os.open(name, _STEP_FLAGS, dir_fd=handles[-1])
                    mode = os.fstat(handles[-1]).st_mode | os.fstat(step).st_mode & stat.S_ISGID
                    os.fchmod(step, stat.S_IMODE(mode))
                    os.fsync(handles[-1])
                handles.append(step)
        except BaseException:
            for parent, directory in reversed(made):
                with suppress(OSError):
                    os.rmdir(directory, dir_fd=parent)
            for handle in handles:
                os.close(handle)
            raise
        return handles, made

    def _is_dangling(self, asked: str, cwd: str | None, place: Place) -> bool:
        """Whether the path is itself a link, to nothing."""
        above, _, name = self.roots.absolute(asked, cwd).rstrip("/").rpartition("/")
        parent = self.roots.place(above or "/")
        return name in (".", "..") or paths.join(parent.path, name) != place.path

    @contextmanager
    def _refusing(self, asked: str, *, changed: bool = False) -> Iterator[None]:
        """What the system refuses to do, as a refusal; with `changed`, only what is no race."""
        try:
            yield
        except FileExistsError as trouble:
            raise Refusal(Code.EXISTS, f"{asked} already exists.") from trouble
        except OSError as trouble:
            if changed and trouble.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENOENT):
                raise
            raise refused_by_system(asked, trouble, writing=True) from trouble


def _require_editable(asked: str, status: os.stat_result) -> os.stat_result:
    if not stat.S_ISREG(status.st_mode):
        raise _not_regular(asked)
    if status.st_nlink > 1:
        raise Refusal(
            Code.LINKED,
            f"{asked} has {status.st_nlink} hard links: a change here would show elsewhere.",
            hint="It is never written. Copy it to a new path and edit that.",
        )
    if not status.st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        mode = stat.S_IMODE(status.st_mode)
        raise Refusal(
            Code.IO,
            f"{asked} is marked as not to be written (mode {mode:04o}).",
            hint="Somebody wants it to stay as it is: ask the user.",
        )
    return status


def _not_regular(asked: str) -> Refusal:
    return Refusal(
        Code.NOT_REGULAR,
        f"{asked} is not a regular file.",
        hint="Only whole regular files are edited, moved and removed.",
    )


def _require_no_link(held: Held, cwd: str | None, roots: Roots) -> None:
    """A link is neither moved nor removed, nor is the file behind it through the link."""
    above, _, name = roots.absolute(held.asked, cwd).rstrip("/").rpartition("/")
    parent = roots.place(above or "/")
    if paths.join(parent.path, name) != held.place.path:
        raise Refusal(
            Code.NOT_REGULAR,
            f"{held.asked} is a symbolic link.",
            hint=f"The file itself is {held.place.path}.",
        )


def _require_unchanged(held: Held) -> None:
    """Refuse when somebody else wrote to a held file, or put another in its place."""
    now = os.stat(held.name, dir_fd=held.directory, follow_symlinks=False)
    was = held.opened.status
    if not _same(now, was) or (now.st_mtime_ns, now.st_size) != (was.st_mtime_ns, was.st_size):
        raise Refusal(
            Code.STALE,
            f"{held.asked} was changed by another program during this edit.",
            hint="Read it again.",
        )


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _lock(handle: int, asked: str, watch: Watch) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if watch.is_over:
                message = f"{asked} is locked by another program or edit."
                raise Refusal(Code.IO, message, hint="Try again later.") from None
            watch.pause(LOCK_PAUSE_SECONDS)
        else:
            return


def _take_after(handle: int, held: Held) -> None:
    """Give a new file owner, mode and attributes of the held one."""
    old, new = held.opened.status, os.fstat(handle)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        try:
            os.fchown(handle, old.st_uid if old.st_uid != new.st_uid else -1, old.st_gid)
        except PermissionError as trouble:
            raise Refusal(
                Code.IO,
                f"{held.asked} belongs to another user or group, which an edit would change.",
                hint="Only its owner can edit it; ask the user.",
            ) from trouble
    for name in os.listxattr(held.opened.handle) if hasattr(os, "listxattr") else ():
        try:
            os.setxattr(handle, name, os.getxattr(held.opened.handle, name))
        except OSError:
            if not name.startswith(_REFUSED_ATTRIBUTES):
                raise
    os.fchmod(handle, stat.S_IMODE(old.st_mode))
