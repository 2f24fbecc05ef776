"""Which paths may be touched, and the only way to touch them.

A call's path is decided and opened in two steps that cannot be pulled apart:

1. `place` resolves it physically, component by component from `/`, and looks the result up in the
   policy: a denied entry wins, then the longest root that contains it decides the mode.
2. `open` opens that resolved path below the root's own directory handle with an opener that follows
   no symbolic link at all (`edge.kernel`). Whatever was swapped in between makes the open fail, and
   the path is decided anew.

So the decision holds for the object that was opened: a link whose target lies inside a root works
because step 1 followed it; a link planted after step 1 is never followed. Roots are opened once, at
start, and stay pinned.

Writing asks `writable` instead of `place`, and then works with single names on the open directory
(`edge.writes`). A directory that is moved out of a root while it is open stays open; whoever can
move it could as well have moved what was written there afterwards.

Outside the roots nothing can be learnt: the refusal is the same whether or not something exists
there, and `..` is not taken from a directory that neither lies in a root nor leads to one. Neither
can the inside of a denied directory: a path that passes through it is denied, wherever it ends.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

from humfs.core import paths
from humfs.core.denied import REPOSITORY_PARTS, is_repository, protecting, repositories
from humfs.edge.kernel import READ_FLAGS, Opener, best_opener
from humfs.errors import Code, PathsKeepChanging, Refusal
from thrum.refusals import outside_roots

Mode = Literal["rw", "ro"]
Made = TypeVar("Made")

LINKS_MAX = 40
"""Symbolic links followed for one path."""
ATTEMPTS_MAX = 16
"""Times a path is decided anew because it changed under us; then the call is refused."""

_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MENDS = {
    errno.EACCES: "This user has no right to it; only the owner of the file or its directory has.",
    errno.EPERM: "This user has no right to it; only the owner of the file or its directory has.",
    errno.EROFS: "What it is on is mounted for reading only; ask the user, or take another path.",
    errno.ENOSPC: "The disk is full, or has no room for another file; ask the user to make room.",
    errno.ELOOP: "Its links lead in a circle, or too far; give the path of the file itself.",
    errno.ENAMETOOLONG: "A name has at most 255 bytes, a path 4,095; give a shorter one.",
    errno.EXDEV: "The two are on different disks: create the file there, then remove it here.",
    errno.EDQUOT: "This user may not store more; ask the user to make room.",
}
_CHANGED = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EXDEV, errno.EAGAIN})


@dataclass(frozen=True, slots=True)
class Root:
    """A directory calls may touch, pinned by its handle."""

    path: str
    """Absolute and physical, without links."""
    mode: Mode
    handle: int


class Place(NamedTuple):  # a walk makes thousands: a third of the time of a frozen dataclass
    """A path that may be touched: decided, not yet opened. Made by `Roots.place` and by walks."""

    root: Root
    relative: str
    """Below the root, without links and `..`; `.` is the root itself."""
    exists: bool = True

    @property
    def path(self) -> str:
        """The physical absolute path."""
        return self.root.path if self.relative == "." else paths.join(self.root.path, self.relative)


@dataclass(frozen=True, slots=True)
class Opened:
    """A regular file or a directory, open for reading."""

    place: Place
    handle: int
    status: os.stat_result

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.status.st_mode)


@dataclass(slots=True)
class _Walked:
    """How far a physical resolution came."""

    resolved: str
    exists: bool
    trouble: OSError | None = None
    denied: bool = False


class Roots:
    """The policy of this process, with every root held open. Safe from any thread."""

    def __init__(
        self,
        roots: Iterable[tuple[str, Mode]],
        denied: Iterable[str],
        *,
        home: str,
        opener: Opener | None = None,
    ) -> None:
        """Resolve and open everything once. A root that is no directory now is in `missing`."""
        self.home = home
        self.missing: list[str] = []
        self._open = opener or best_opener()
        self._denied: tuple[str, ...] = ()
        self._denied_ids: frozenset[tuple[int, int]] = frozenset()
        self._roots: tuple[Root, ...] = ()
        self._leading: frozenset[str] = frozenset({"/"})
        self._roots = tuple(self._pin(roots))
        self._leading = frozenset(_ancestors(root.path for root in self._roots))
        self._set_denied(denied)

    def close(self) -> None:
        """Give the root handles back."""
        for root in self._roots:
            os.close(root.handle)
        self._roots = ()

    @property
    def roots(self) -> tuple[Root, ...]:
        """The roots, in the order of the settings."""
        return self._roots

    @property
    def handles(self) -> list[int]:
        """The descriptors that all opening starts from."""
        return [root.handle for root in self._roots]

    def absolute(self, asked: str, cwd: str | None = None) -> str:
        """The absolute path a call means, as text."""
        if not self._roots:
            raise self.outside(asked)
        return paths.absolute(asked, cwd=cwd, home=self.home, first_root=self._roots[0].path)

    def place(self, asked: str, cwd: str | None = None) -> Place:
        """Decide a path; raises `Refusal`. Good for `open_place`, which does not trust it."""
        written = self.absolute(asked, cwd)
        normal = paths.normal(written)
        if self.is_denied(normal):
            raise self.denied(asked)
        walked = self._walk(written)
        if walked is None:
            raise self.outside(asked)
        root = self._root_of(walked.resolved)
        if walked.denied or self.is_denied(walked.resolved):
            raise self.denied(asked) if root or self._root_of(normal) else self.outside(asked)
        if root is None:
            if (written_in := self._root_of(normal)) is not None:
                self.require_pinned(asked, written_in)
            raise self.outside(asked)
        if walked.trouble is not None:
            raise refused_by_system(asked, walked.trouble)
        self.require_pinned(asked, root)
        return Place(root, paths.below(root.path, walked.resolved), walked.exists)

    def writable(self, asked: str, cwd: str | None = None) -> Place:
        """Decide a path that is to be written, made, moved or removed; raises `Refusal`."""
        place = self.place(asked, cwd)
        within = paths.parent(place.root.path)
        for path in (place.path, paths.normal(self.absolute(asked, cwd))):
            name = protecting(paths.below(within, path) if paths.contains(within, path) else path)
            if name is not None:
                raise self._protected(asked, name)
        if (name := self._in_repository(place)) is not None:
            raise self._protected(asked, f"{name} of a bare repository")
        if place.root.mode == "ro":
            raise Refusal(
                Code.READ_ONLY,
                f"{asked} may only be read: its root {place.root.path} is ro in fs.roots.",
                hint="Write below a root that is rw.",
            )
        return place

    def _in_repository(self, place: Place) -> str | None:
        """What a place is of a repository that has no `.git`; None when it is nothing such."""
        for folder, part in repositories(place.relative):
            with suppress(OSError):
                handle = self.open_directory(place.root, folder or ".")
                try:
                    if is_repository(frozenset((part, *_parts_in(handle)))):
                        return part
                finally:
                    os.close(handle)
        return None

    def at_place(
        self,
        asked: str,
        cwd: str | None,
        act: Callable[[Place], Made],
        *,
        writing: bool = False,
    ) -> Made:
        """Decide a path and act on its place, anew while it changes under us. Raises `Refusal`.

        What `act` raises as `OSError` is what the system said about the path.
        """
        for _ in range(ATTEMPTS_MAX):
            place = self.writable(asked, cwd) if writing else self.place(asked, cwd)
            try:
                return act(place)
            except OSError as trouble:
                if trouble.errno not in _CHANGED or not place.exists:
                    raise refused_by_system(asked, trouble, writing=writing) from trouble
        changing = PathsKeepChanging(f"{asked} keeps changing")
        raise Refusal(Code.IO, f"{asked} was changed each time it was opened.") from changing

    @contextmanager
    def open(self, asked: str, cwd: str | None = None) -> Iterator[Opened]:
        """Decide and open an existing regular file or directory. Raises `Refusal`."""
        opened = self.at_place(asked, cwd, self._open_place)
        try:
            yield opened
        finally:
            os.close(opened.handle)

    @contextmanager
    def open_place(self, place: Place) -> Iterator[Opened]:
        """Open what was decided before, or raise `OSError`; follows nothing swapped in since."""
        opened = self._open_place(place)
        try:
            yield opened
        finally:
            os.close(opened.handle)

    def open_directory(self, root: Root, relative: str) -> int:
        """A handle to a directory below a root, without following a link; raises `OSError`."""
        return self._open(root.handle, relative, _DIRECTORY_FLAGS)

    def is_denied(self, resolved: str) -> bool:
        """Whether an absolute path equals or lies below a denied entry."""
        return any(paths.contains(entry, resolved) for entry in self._denied)

    def denied_names(self, directory: str) -> Iterator[str]:
        """The names in a directory that is not denied itself which are denied entries."""
        for entry in self._denied:
            if paths.parent(entry) == directory:
                yield entry.rpartition("/")[2]

    def is_denied_id(self, device: int, inode: int) -> bool:
        """Whether an object is itself a denied entry, whatever name it was reached by."""
        return (device, inode) in self._denied_ids

    @property
    def denied_inodes(self) -> frozenset[int]:
        """Inode numbers worth an `is_denied_id`."""
        return frozenset(inode for _, inode in self._denied_ids)

    def is_pinned(self, root: Root) -> bool:
        """Whether a root's path still leads to the directory that was opened at start."""
        pinned = os.fstat(root.handle)
        try:
            now = os.lstat(root.path)
        except OSError:
            return False
        return (now.st_dev, now.st_ino) == (pinned.st_dev, pinned.st_ino)

    def require_pinned(self, asked: str, root: Root) -> None:
        """Raise `Refusal` when a root is not `is_pinned`."""
        if not self.is_pinned(root):
            raise Refusal(
                Code.IO,
                f"{asked} cannot be opened: its root {root.path} was removed or replaced since "
                "humfs started.",
                hint="Let the owner run: hum ctl restart humfs",
            )

    def outside(self, asked: str) -> Refusal:
        """The refusal of a path outside the roots: the same whatever is there."""
        message, hint = outside_roots(asked, [(root.path, root.mode) for root in self._roots])
        return Refusal(Code.OUTSIDE_ROOTS, message, hint=hint)

    def denied(self, asked: str) -> Refusal:
        """The refusal of a denied path."""
        return Refusal(
            Code.DENIED,
            f"{asked} is denied by fs.denied, whatever the roots say.",
            hint="Leave it alone. The owner of this machine can change fs.denied in hum.json",
        )

    def _protected(self, asked: str, name: str) -> Refusal:
        return Refusal(
            Code.DENIED,
            f"{asked} is denied for writing: other programs run or trust {name} (like fs.denied).",
            hint="Reading it is allowed. Ask the user to change it.",
        )

    def _pin(self, asked: Iterable[tuple[str, Mode]]) -> Iterator[Root]:
        for path, mode in asked:
            walked = self._walk(_from_home(path, self.home), anywhere=True)
            try:
                if walked is None or walked.trouble or not walked.exists:
                    raise FileNotFoundError(errno.ENOENT, "no such directory", path)
                yield Root(walked.resolved, mode, os.open(walked.resolved, _DIRECTORY_FLAGS))
            except OSError:
                self.missing.append(path)

    def _set_denied(self, asked: Iterable[str]) -> None:
        entries: list[str] = []
        identities: set[tuple[int, int]] = set()
        for path in asked:
            written = _from_home(path, self.home)
            entries.append(paths.normal(written))
            walked = self._walk(written, anywhere=True)
            if walked is None:
                continue
            entries.append(walked.resolved)
            if walked.exists and not walked.trouble:
                status = os.lstat(walked.resolved)
                identities.add((status.st_dev, status.st_ino))
        self._denied = tuple(dict.fromkeys(entries))
        self._denied_ids = frozenset(identities)

    def _root_of(self, resolved: str) -> Root | None:
        holding = [root for root in self._roots if paths.contains(root.path, resolved)]
        return max(holding, key=lambda root: len(root.path), default=None)

    def _may_climb(self, here: str) -> bool:
        return here in self._leading or self._root_of(here) is not None

    def _walk(self, written: str, *, anywhere: bool = False) -> _Walked | None:
        """Resolve physically; None for `..` where nothing exists or nothing may be learnt."""
        here, links, denied = "/", 0, False
        waiting = paths.components(written)[::-1]
        while waiting:
            name = waiting.pop()
            if name == "..":
                if not anywhere and not self._may_climb(here):
                    return None
                here = paths.parent(here)
                continue
            step = paths.join(here, name)
            rest = waiting[::-1]
            try:
                status = os.lstat(step)
                denied = denied or self.is_denied_id(status.st_dev, status.st_ino)
                if stat.S_ISLNK(status.st_mode):
                    links += 1
                    if links > LINKS_MAX:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                    target = os.readlink(step)
                    waiting.extend(paths.components(target)[::-1])
                    here = "/" if target.startswith("/") else here
                    continue
            except (FileNotFoundError, NotADirectoryError):
                return _unresolved(step, rest, denied=denied)
            except OSError as trouble:
                return _Walked(step, exists=False, trouble=trouble, denied=denied)
            if rest and not stat.S_ISDIR(status.st_mode):
                return _unresolved(step, rest, denied=denied)
            here = step
        return _Walked(here, exists=True, denied=denied)

    def _open_place(self, place: Place) -> Opened:
        handle = self._open(place.root.handle, place.relative, READ_FLAGS)
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            os.close(handle)
            raise OSError(errno.ENXIO, "not a regular file", place.path)
        return Opened(place, handle, status)


def _parts_in(directory: int) -> Iterator[str]:
    """Which parts of a repository are in an open directory."""
    for name in REPOSITORY_PARTS:
        with suppress(OSError):
            os.stat(name, dir_fd=directory, follow_symlinks=False)
            yield name


def refused_by_system(asked: str, trouble: OSError, *, writing: bool = False) -> Refusal:
    """The refusal for what the operating system said about a path inside the roots."""
    verb = "written" if writing else "read"
    if trouble.errno in (errno.ENOENT, errno.ENOTDIR):
        is_blocked = trouble.errno == errno.ENOTDIR
        hint = "A name on the way to it is a file; take another path." if is_blocked else ""
        return Refusal(Code.NOT_FOUND, f"{asked} does not exist (not found).", hint=hint)
    if trouble.errno in (errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP):
        return Refusal(
            Code.NOT_REGULAR,
            f"{asked} is neither a regular file nor a directory.",
            hint="Fifos, sockets and devices are never opened; ask for a file.",
        )
    message = f"{asked} cannot be {verb}: {trouble.strerror or trouble}."
    return Refusal(Code.IO, message, hint=_MENDS.get(trouble.errno or 0, ""))


def _unresolved(step: str, rest: list[str], *, denied: bool) -> _Walked | None:
    if ".." in rest:
        return None
    return _Walked("/".join([step, *rest]), exists=False, denied=denied)


def _from_home(path: str, home: str) -> str:
    if path == "~" or path.startswith("~/"):
        return home + path[1:]
    return path


def _ancestors(resolved: Iterable[str]) -> Iterator[str]:
    yield "/"
    for path in resolved:
        while path != "/":
            yield path
            path = paths.parent(path)
