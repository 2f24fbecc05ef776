"""Holding protected names that do not exist, while commands run.

Nothing can be mounted where nothing is. So an empty folder is made there, which the sandbox shows
read-only, and removed afterwards. Whoever needs it keeps a shared lock on it; it is removed by
whoever can have the lock alone, and only when it is still empty and a note says that it is ours.
The notes are files that the instances of humfs share, so a killed one leaves nothing for long.
"""

import errno
import fcntl
import hashlib
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from humfs.core import paths
from humfs.core.sandbox.plan import How, Identity, Mount
from humfs.edge.roots import Root, Roots
from humfs.errors import Code, Refusal
from nest.paths import ensure_private

NOTES_MAX = 10_000
"""Notes looked at by one start."""
NOTE_BYTES_MAX = 16 * 1024
MAKING_MAX = 8
"""Times a folder is tried that others make and remove meanwhile."""

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _NoPlace(Exception):
    """The folder in which a name was to be held is not there any more, or cannot be written."""


@dataclass(slots=True)
class _Mask:
    """One folder that is held."""

    root: Root
    relative: str
    handle: int
    users: int = 0


class Masks:
    """The folders that this process holds. Safe from any thread."""

    def __init__(self, notes: Path) -> None:
        ensure_private(notes)
        self._notes = notes
        self._masks: dict[str, _Mask] = {}
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """How many folders are held now."""
        return len(self._masks)

    def hold(self, roots: Roots, names: Iterable[tuple[Root, str]]) -> list[Mount]:
        """Hold each name until `release`; raises `Refusal`, and then holds none of them.

        A name whose folder has gone, or is mounted for reading only, needs no holding: there
        nothing can be made.
        """
        mounts: list[Mount] = []
        with self._alone():
            try:
                for root, relative in names:
                    with suppress(_NoPlace):
                        mounts.append(self._hold(roots, root, relative))
            except OSError as problem:
                self._release(roots, mounts)
                raise Refusal(
                    Code.IO,
                    f"{relative} below {root.path} cannot be kept from being made: {problem}",
                    hint="No command runs without that. Ask the user to look: the root must be "
                    "writable, and no program may hold a lock on it there.",
                ) from problem
        return mounts

    def release(self, roots: Roots, mounts: Iterable[Mount]) -> None:
        """Let go of what `hold` returned."""
        with self._alone():
            self._release(roots, mounts)

    def sweep(self, roots: Roots) -> int:
        """Remove what killed processes left; how many folders that were."""
        removed = 0
        with self._alone(), os.scandir(self._notes) as listed:
            notes = [Path(entry.path) for entry in islice(listed, NOTES_MAX)]
            for note in notes:
                path = os.fsdecode(note.read_bytes()[:NOTE_BYTES_MAX])
                root = next((one for one in roots.roots if paths.contains(one.path, path)), None)
                if root is not None and path != root.path:
                    with suppress(OSError):
                        removed += self._remove(roots, root, paths.below(root.path, path))
        return removed

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no thread and no other instance makes or removes folders."""
        with self._lock:
            handle = os.open(self._notes, _FLAGS)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                yield
            finally:
                os.close(handle)

    def _hold(self, roots: Roots, root: Root, relative: str) -> Mount:
        path = paths.join(root.path, relative)
        mask = self._masks.get(path)
        if mask is None:
            mask = self._masks[path] = _Mask(root, relative, self._made(roots, root, relative))
        elif not _is_at(mask.handle, path):  # the user removed it, or put another in its place
            handle = self._made(roots, root, relative)
            os.close(mask.handle)
            mask.handle = handle
        mask.users += 1
        status = os.fstat(mask.handle)
        return Mount(path, How.READABLE, Identity(status.st_dev, status.st_ino))

    def _made(self, roots: Roots, root: Root, relative: str) -> int:
        """A handle on the folder with a shared lock; made, and noted, when it is not there."""
        for _ in range(MAKING_MAX):
            with suppress(FileNotFoundError, FileExistsError):  # others make and remove it too
                return self._make(roots, root, relative)
        return self._make(roots, root, relative)

    def _make(self, roots: Roots, root: Root, relative: str) -> int:
        folder, name = os.path.split(relative)
        note = self._note(paths.join(root.path, relative))
        try:
            above = roots.open_directory(root, folder or ".")
        except FileNotFoundError as problem:
            raise _NoPlace from problem
        try:
            if not _exists(name, above):
                note.write_bytes(os.fsencode(paths.join(root.path, relative)))
                _mkdir(name, above, note)
            handle = os.open(name, _FLAGS, dir_fd=above)
        finally:
            os.close(above)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:  # a command that still runs has locked it
            os.close(handle)
            raise
        return handle

    def _release(self, roots: Roots, mounts: Iterable[Mount]) -> None:
        for mount in mounts:
            mask = self._masks[mount.path]
            mask.users -= 1
            if mask.users == 0:
                del self._masks[mount.path]
                os.close(mask.handle)
                with suppress(OSError):
                    self._remove(roots, mask.root, mask.relative)

    def _remove(self, roots: Roots, root: Root, relative: str) -> bool:
        """Remove a folder that nobody holds; its note goes when it is gone or not ours any more."""
        note = self._note(paths.join(root.path, relative))
        folder, name = os.path.split(relative)
        removed = False
        try:
            above = roots.open_directory(root, folder or ".")
        except FileNotFoundError:
            note.unlink(missing_ok=True)
            return False
        try:
            handle = os.open(name, _FLAGS, dir_fd=above)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if note.exists() and _is_at(handle, name, above):
                    os.rmdir(name, dir_fd=above)
                    removed = True
            finally:
                os.close(handle)
        except BlockingIOError:
            return False  # another instance holds it, and removes it
        except OSError:
            pass  # it has content, or is something else by now: it is the user's
        finally:
            os.close(above)
        note.unlink(missing_ok=True)
        return removed

    def _note(self, path: str) -> Path:
        return self._notes / hashlib.sha256(os.fsencode(path)).hexdigest()[:32]


def _mkdir(name: str, above: int, note: Path) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=above)
    except OSError as problem:
        if problem.errno != errno.EROFS:
            raise
        note.unlink()
        raise _NoPlace from problem


def _exists(name: str, above: int) -> bool:
    try:
        os.stat(name, dir_fd=above, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _is_at(handle: int, name: str, above: int | None = None) -> bool:
    """Whether the open folder still has this name; without `above` a whole path."""
    status = os.fstat(handle)
    try:
        named = os.stat(name, dir_fd=above, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return (status.st_dev, status.st_ino) == (named.st_dev, named.st_ino)
