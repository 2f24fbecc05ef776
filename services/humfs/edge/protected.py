"""What a sandbox must keep read-only or hidden below the roots, found on disk before a command.

Everything is looked at by one name on the open folder that holds it, and folders are opened below
the handle of their root without following a link. So what is noted lies in its root for certain,
whatever is swapped meanwhile; that it is what the sandbox shows is seen to by the guard
(`nest.cells.walls`), which compares the identities.

Repositories inside `node_modules` are not looked for: package managers put those folders in place
and away as a whole, and nobody opens one as a project.
"""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from humfs.core import paths
from humfs.core.denied import protecting
from humfs.core.sandbox.names import BARRED, IN_REPOSITORIES, IN_ROOTS, may_be_protected
from humfs.core.sandbox.plan import MOUNTS_MAX, How, Identity, Mount
from humfs.edge.roots import Root, Roots
from humfs.errors import Code, Refusal

DIRECTORIES_MAX = 200_000
"""Folders looked into before one command."""

NOTHING_YET = Identity(0, 0)
"""Of what is made and held before it is hidden."""
_GIT = ".git"
_HEAD = "HEAD"
"""In the folder of each repository, or git takes it for none."""
_SKIPPED = frozenset({"node_modules"})
_SKIPPED_IN_GIT = frozenset({"objects", "refs", "logs", "lfs", "rr-cache"})
_PASSED_OVER = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV, errno.ENAMETOOLONG}
)
"""What opening a folder says that is gone, no folder any more, or too deep to be mounted."""
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class _Folder:
    """A folder on the way from a root; `above` is None for the root itself."""

    relative: str
    above: "_Folder | None"
    status: os.stat_result | None = None
    """Since it was opened."""

    def below(self, name: str) -> str:
        """Where below the root a name in this folder is."""
        return f"{self.relative}/{name}" if self.relative else name


@dataclass(frozen=True, slots=True)
class _Reached:
    """How far a path leads: to its last name, or to the first that is not there or no folder."""

    folder: _Folder
    name: str
    status: os.stat_result | None
    """None: it is not there."""
    is_end: bool
    is_empty: bool = False
    """Whether it is a folder with nothing in it."""

    @property
    def path(self) -> str:
        """Below the root."""
        return self.folder.below(self.name)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.status is not None and stat.S_ISDIR(self.status.st_mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link, which is not followed."""
        return self.status is not None and stat.S_ISLNK(self.status.st_mode)


@dataclass(slots=True)
class Found:
    """What is below the roots that may be written."""

    mounts: list[Mount] = field(default_factory=list)
    held: dict[tuple[Root, str], None] = field(default_factory=dict)
    """What is to be held by empty folders, as a root and where below it: names that are not there
    or go while they are looked at, and folders that are empty already, perhaps because another
    command holds them."""
    barred: list[str] = field(default_factory=list)
    """Names that must not come to be and cannot be held."""
    folders: set[str] = field(default_factory=set)
    """Those above what is protected."""

    @property
    def protected(self) -> dict[str, Identity]:
        """The protected names that exist, but for empty folders, and what they are."""
        return {mount.path: mount.identity for mount in self.mounts if mount.how is How.READABLE}

    def hold(self, root: Root, reached: _Reached) -> None:
        """Note a name that is not there, or an empty folder."""
        self.held[root, reached.path] = None
        self.pin(root, reached.folder)

    def bar(self, root: Root, reached: _Reached) -> None:
        """Note a name that is not there, and must not come to be."""
        self.barred.append(paths.join(root.path, reached.path))
        self.pin(root, reached.folder)

    def mount(self, root: Root, reached: _Reached, how: How) -> None:
        """Note an object that is shown in a way of its own."""
        assert reached.status is not None
        path = paths.join(root.path, reached.path)
        self.mounts.append(Mount(path, how, _identity(reached.status)))
        self.pin(root, reached.folder)

    def pin(self, root: Root, folder: _Folder | None) -> None:
        """A folder and each one above become mounts: they can be neither renamed nor removed."""
        while root.mode == "rw" and folder is not None and folder.above is not None:
            path = paths.join(root.path, folder.relative)
            if path in self.folders:
                return
            self.folders.add(path)
            assert folder.status is not None
            self.mounts.append(Mount(path, How.WRITABLE, _identity(folder.status)))
            folder = folder.above


def look(roots: Roots, *, hidden: tuple[str, ...], kept: tuple[str, ...]) -> Found:
    """Look through the roots; `hidden` are denied entries, `kept` stay readable only.

    A root that was removed or replaced since the start is left out: a command sees nothing there.

    Raises `Refusal` when a protected name is a symbolic link, when there is too much, or when such
    a root lies in another one.
    """
    found, there = Found(), _pinned(roots)
    for root in there:
        how = How.WRITABLE if root.mode == "rw" else How.READABLE
        found.mounts.append(Mount(root.path, how, _identity(os.fstat(root.handle))))
    for root in there:
        if root.mode == "rw":
            _Search(roots, root, found).run()
        for path in (other.path for other in there if _holds(root, other.path)):
            found.pin(root, _below(root, paths.below(root.path, path)).folder)
        for path in hidden:
            if _holds(root, path):
                _hide(root, path, found)
        for path in kept:
            if root.mode == "rw" and _holds(root, path):
                _keep(root, path, found)
    if len(found.mounts) + len(found.held) > MOUNTS_MAX:
        raise Refusal(
            Code.TOO_LARGE,
            f"The roots hold more than {MOUNTS_MAX} names that must be protected from a command.",
            hint="Ask the user for narrower roots: one for each project.",
        )
    return found


def _pinned(roots: Roots) -> list[Root]:
    """The roots whose directory is still the one that was opened; raises `Refusal`, see `look`."""
    there = [root for root in roots.roots if roots.is_pinned(root)]
    for root in roots.roots:
        if any(_holds(one, root.path) for one in there):
            roots.require_pinned(root.path, root)
    return there


@dataclass(slots=True)
class _Search:
    """One root that may be written."""

    roots: Roots
    root: Root
    found: Found
    visited: int = 0
    others: frozenset[str] = frozenset()
    """Where below this root other roots begin."""

    def run(self) -> None:
        held = (one.path for one in self.roots.roots if _holds(self.root, one.path))
        self.others = frozenset(paths.below(self.root.path, path) for path in held)
        waiting = [_Folder("", None)]
        while waiting:
            folder = waiting.pop()
            self.visited += 1
            if self.visited > DIRECTORIES_MAX:
                raise Refusal(
                    Code.TOO_LARGE,
                    f"{self.root.path} has more than {DIRECTORIES_MAX} folders: too many to look "
                    "through before each command.",
                    hint="Ask the user for narrower roots: one for each project.",
                )
            try:
                handle = self.roots.open_directory(self.root, folder.relative or ".")
                try:
                    folder.status = os.fstat(handle)
                    if folder.above is None:
                        self._missing(folder, handle, IN_ROOTS)
                    waiting += self._inside(folder, handle)
                finally:
                    os.close(handle)
            except PermissionError:
                self._close(folder)
            except OSError as problem:
                if problem.errno not in _PASSED_OVER:
                    path = paths.join(self.root.path, folder.relative)
                    raise _unknown(path, problem) from problem

    def _inside(self, folder: _Folder, handle: int) -> Iterator[_Folder]:
        """The folders in an open one that are to be looked into."""
        skipped = _SKIPPED
        is_in_git = _GIT in folder.relative.split("/")
        if is_in_git:
            skipped |= _SKIPPED_IN_GIT
        with os.scandir(handle) as listed:
            for entry in listed:
                name = entry.name
                if name == _GIT and folder.relative:
                    self._missing(folder, handle, IN_REPOSITORIES)
                if name == _HEAD and is_in_git:
                    self._bar(folder, handle)
                if may_be_protected(name) and self._protect(folder, handle, name):
                    continue
                if entry.is_dir(follow_symlinks=False) and name not in skipped:
                    path = folder.below(name)
                    if path not in self.others:
                        yield _Folder(path, folder)

    def _protect(self, folder: _Folder, handle: int, entry: str) -> bool:
        """Whether this is a protected name, which is then kept as it is."""
        path = folder.below(entry)
        name = protecting(path)
        if name is None:
            return False
        reached = _reach(entry, folder, handle)
        if reached.is_link:
            raise _linked(paths.join(self.root.path, path), name)
        if name == _GIT and reached.is_folder:
            return False
        if reached.status is None or reached.is_empty:  # perhaps another command let go of it now
            self.found.hold(self.root, reached)
        else:
            self.found.mount(self.root, reached, How.READABLE)
        return True

    def _missing(self, folder: _Folder, handle: int, names: tuple[str, ...]) -> None:
        """Note which of these names are not there, by the first part that is missing or empty."""
        for name in names:
            reached = _reach(name, folder, handle, stops_at_empty=True)
            if reached.is_link:
                raise _linked(paths.join(self.root.path, reached.path), name)
            if reached.status is None or reached.is_empty:
                self.found.hold(self.root, reached)

    def _bar(self, folder: _Folder, handle: int) -> None:
        """In the folder of a repository, note the name that cannot be held."""
        reached = _reach(BARRED, folder, handle)
        if reached.status is None:
            self.found.bar(self.root, reached)

    def _close(self, folder: _Folder) -> None:
        """Keep a folder read-only that we cannot look into: a command could open it for itself."""
        if folder.above is None:
            raise _unknown(self.root.path, PermissionError(errno.EACCES, "permission denied"))
        reached = _below(self.root, folder.relative)
        if reached.status is not None and not reached.is_link:
            self.found.mount(self.root, reached, How.READABLE)


def _below(root: Root, relative: str) -> _Reached:
    """Follow a path from a root, name by name."""
    return _reach(relative, _Folder("", None), root.handle)


def _reach(
    relative: str, folder: _Folder, handle: int, *, stops_at_empty: bool = False
) -> _Reached:
    """Follow a path from an open folder, name by name; where we may not look it ends."""
    names = relative.split("/")
    here = os.dup(handle)
    entered: _Reached | None = None
    try:
        while True:
            name = names.pop(0)
            try:
                status, inner = _looked_at(name, here)
            except PermissionError:
                if entered is None:
                    raise
                return entered
            if inner is None:
                return _Reached(folder, name, status, is_end=not names)
            os.close(here)
            here = inner
            is_empty = _is_empty(here)
            entered = _Reached(folder, name, status, is_end=not names, is_empty=is_empty)
            if not names or (is_empty and stops_at_empty):
                return entered
            folder = _Folder(folder.below(name), folder, os.fstat(here))
    finally:
        os.close(here)


def _looked_at(name: str, folder: int) -> tuple[os.stat_result | None, int | None]:
    """What stands at a name in an open folder, and a handle when it is a folder we may read.

    Raises `PermissionError` when we may not look at what is in the folder.
    """
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            return status, None
        try:
            return status, os.open(name, _FLAGS, dir_fd=folder)
        except PermissionError:
            return status, None
    except FileNotFoundError:
        return None, None
    except PermissionError:
        raise
    except OSError as problem:
        raise _unknown(name, problem) from problem


def _is_empty(folder: int) -> bool:
    try:
        with os.scandir(folder) as listed:
            return next(listed, None) is None
    except FileNotFoundError:  # removed while it was open
        return True


def _hide(root: Root, path: str, found: Found) -> None:
    """A denied entry inside a root: not even to be read, nor made while another hides it."""
    reached = _below(root, paths.below(root.path, path))
    if reached.is_link:
        if root.mode == "rw" and not reached.is_end:
            raise _linked(paths.join(root.path, reached.path), paths.below(root.path, path))
        return  # where a link leads is an entry of its own
    if reached.status is None:
        if root.mode == "rw":
            found.hold(root, reached)
            held = paths.join(root.path, reached.path)
            found.mounts.append(Mount(held, How.HIDDEN_DIRECTORY, NOTHING_YET))
    elif reached.is_end:
        how = How.HIDDEN_DIRECTORY if reached.is_folder else How.HIDDEN_FILE
        found.mount(root, reached, how)
        if reached.is_empty and root.mode == "rw":  # it may be gone with another command
            found.hold(root, reached)


def _keep(root: Root, path: str, found: Found) -> None:
    reached = _below(root, paths.below(root.path, path))
    if reached.is_end and not reached.is_link:
        found.mount(root, reached, How.READABLE)


def _holds(root: Root, path: str) -> bool:
    return path != root.path and paths.contains(root.path, path)


def _identity(status: os.stat_result) -> Identity:
    return Identity(status.st_dev, status.st_ino)


def _unknown(path: str, problem: OSError) -> Refusal:
    return Refusal(
        Code.IO,
        f"{path} cannot be looked at before a command: {problem.strerror or problem}.",
        hint="Try it again. If it stays so, ask the user to mend the permissions of that folder.",
    )


def _linked(path: str, name: str) -> Refusal:
    return Refusal(
        Code.DENIED,
        f"{path} is a symbolic link, so {name} cannot be protected from a command.",
        hint="No command runs below this root while it is one. Ask the user: a root that does not "
        "hold it, or a file in its place.",
    )
