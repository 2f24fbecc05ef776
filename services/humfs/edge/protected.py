"""What a sandbox must keep read-only or hidden below the roots, found on disk before a command.

Repositories inside `node_modules` are not looked for: package managers put those folders in place
and away as a whole, and nobody opens one as a project.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from humfs.core import paths
from humfs.core.denied import protecting
from humfs.core.sandbox.names import IN_REPOSITORIES, IN_ROOTS, may_be_protected
from humfs.core.sandbox.plan import MOUNTS_MAX, How, Identity, Mount, between
from humfs.edge.roots import Root, Roots
from humfs.errors import Code, Refusal

DIRECTORIES_MAX = 200_000
"""Folders looked into before one command."""

NOTHING_YET = Identity(0, 0)
"""Of what is made and held before it is hidden."""
_GIT = ".git"
_SKIPPED = frozenset({"node_modules"})
_SKIPPED_IN_GIT = frozenset({"objects", "refs", "logs", "lfs", "rr-cache"})


@dataclass(slots=True)
class Found:
    """What is below the roots that may be written."""

    mounts: list[Mount] = field(default_factory=list)
    held: dict[tuple[Root, str], None] = field(default_factory=dict)
    """What is to be held by empty folders, as a root and where below it: names that are not there
    or go while they are looked at, and folders that are empty already, perhaps because another
    command holds them."""
    folders: set[str] = field(default_factory=set)
    """Those above what is protected."""

    @property
    def protected(self) -> frozenset[str]:
        """The protected names that exist, but for empty folders."""
        return frozenset(mount.path for mount in self.mounts if mount.how is How.READABLE)

    def hold(self, root: Root, relative: str) -> None:
        """Note a name that is not there, or an empty folder."""
        if (root, relative) not in self.held:
            self.held[root, relative] = None
            _parents(root, paths.join(root.path, relative), self)


def look(roots: Roots, *, hidden: tuple[str, ...], kept: tuple[str, ...]) -> Found:
    """Look through the roots; `hidden` are denied entries, `kept` stay readable only.

    Raises `Refusal` when a protected name is a symbolic link, or when there is too much.
    """
    found = Found()
    for root in roots.roots:
        status = os.fstat(root.handle)
        how = How.WRITABLE if root.mode == "rw" else How.READABLE
        found.mounts.append(Mount(root.path, how, Identity(status.st_dev, status.st_ino)))
    for root in roots.roots:
        if root.mode == "rw":
            _Search(roots, root, found).run()
        for path in (other.path for other in roots.roots if _holds(root, other.path)):
            _parents(root, path, found)
        for path in hidden:
            if _holds(root, path):
                _hide(root, path, found)
        for path in kept:
            if root.mode == "rw" and _holds(root, path) and os.path.lexists(path):
                _mount(root, path, How.READABLE, os.lstat(path), found)
    if len(found.mounts) + len(found.held) > MOUNTS_MAX:
        raise Refusal(
            Code.TOO_LARGE,
            f"The roots hold more than {MOUNTS_MAX} names that must be protected from a command.",
            hint="Ask the user for narrower roots: one for each project.",
        )
    return found


@dataclass(slots=True)
class _Search:
    """One root that may be written."""

    roots: Roots
    root: Root
    found: Found
    visited: int = 0

    def run(self) -> None:
        self._missing("", IN_ROOTS)
        waiting = [""]
        while waiting:
            here = waiting.pop()
            self.visited += 1
            if self.visited > DIRECTORIES_MAX:
                raise Refusal(
                    Code.TOO_LARGE,
                    f"{self.root.path} has more than {DIRECTORIES_MAX} folders: too many to look "
                    "through before each command.",
                    hint="Ask the user for narrower roots: one for each project.",
                )
            waiting += self._inside(here)

    def _inside(self, here: str) -> Iterator[str]:
        """The folders below `here` that are to be looked into."""
        in_git = _GIT in here.split("/")
        try:
            listed = os.scandir(paths.join(self.root.path, here) if here else self.root.path)
        except OSError:
            return  # gone, or not ours to read; then it is not ours to write either
        with listed:
            for entry in listed:
                path = f"{here}/{entry.name}" if here else entry.name
                if entry.name == _GIT and here:
                    self._missing(here, IN_REPOSITORIES)
                if may_be_protected(entry.name) and self._protect(entry, path):
                    continue
                is_directory = entry.is_dir(follow_symlinks=False)
                if not is_directory or entry.name in _SKIPPED or self._is_other(path):
                    continue
                if in_git and entry.name in _SKIPPED_IN_GIT:
                    continue
                yield path

    def _protect(self, entry: os.DirEntry[str], path: str) -> bool:
        """Whether this is a protected name, which is then kept as it is."""
        name = protecting(path)
        if name is None:
            return False
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:  # an empty folder that another command has just let go of
            self.found.hold(self.root, path)
            return True
        except OSError as problem:
            raise _changing(entry.path) from problem
        if stat.S_ISLNK(status.st_mode):
            raise _linked(paths.join(self.root.path, path), name)
        if name == _GIT and stat.S_ISDIR(status.st_mode):
            return False
        if stat.S_ISDIR(status.st_mode) and not _has_content(entry.path):
            self.found.hold(self.root, path)
        else:
            _mount(self.root, entry.path, How.READABLE, status, self.found)
        return True

    def _missing(self, below: str, names: tuple[str, ...]) -> None:
        """Note which of these names are not there, by the first part that is missing."""
        for name in names:
            here = below
            for part in name.split("/"):
                here = f"{here}/{part}" if here else part
                absolute = paths.join(self.root.path, here)
                try:
                    status = os.lstat(absolute)
                except FileNotFoundError:
                    self.found.hold(self.root, here)
                    break
                if stat.S_ISLNK(status.st_mode):
                    raise _linked(absolute, name)
                if stat.S_ISDIR(status.st_mode) and not _has_content(absolute):
                    self.found.hold(self.root, here)
                    break
                if not stat.S_ISDIR(status.st_mode):
                    break  # a file, and nothing can be below it

    def _is_other(self, path: str) -> bool:
        """Whether another root begins here."""
        absolute = paths.join(self.root.path, path)
        return any(root.path == absolute for root in self.roots.roots)


def _hide(root: Root, path: str, found: Found) -> None:
    """A denied entry inside a root: not even to be read, nor made while another hides it."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        if root.mode == "rw":
            first = _first_missing(root, path)
            found.hold(root, first)
            absolute = paths.join(root.path, first)
            found.mounts.append(Mount(absolute, How.HIDDEN_DIRECTORY, NOTHING_YET))
        return
    if not stat.S_ISLNK(status.st_mode):  # where a link leads is an entry of its own
        is_directory = stat.S_ISDIR(status.st_mode)
        how = How.HIDDEN_DIRECTORY if is_directory else How.HIDDEN_FILE
        _mount(root, path, how, status, found)
        if is_directory and root.mode == "rw" and not _has_content(path):
            found.hold(root, paths.below(root.path, path))  # it may be gone with another's command


def _mount(root: Root, path: str, how: How, status: os.stat_result, found: Found) -> None:
    found.mounts.append(Mount(path, how, Identity(status.st_dev, status.st_ino)))
    _parents(root, path, found)


def _parents(root: Root, path: str, found: Found) -> None:
    """Each folder above becomes a mount, so that it can be neither renamed nor removed."""
    if root.mode != "rw":
        return
    for folder in between(root.path, path):
        if folder in found.folders:
            return
        try:
            status = os.lstat(folder)
        except OSError as problem:
            raise _changing(folder) from problem
        if stat.S_ISLNK(status.st_mode):
            raise _linked(folder, paths.below(root.path, path))
        found.folders.add(folder)
        found.mounts.append(Mount(folder, How.WRITABLE, Identity(status.st_dev, status.st_ino)))


def _first_missing(root: Root, path: str) -> str:
    folders = [*between(root.path, path)[::-1], path]
    first = next((folder for folder in folders if not os.path.lexists(folder)), path)
    return paths.below(root.path, first)


def _holds(root: Root, path: str) -> bool:
    return path != root.path and paths.contains(root.path, path)


def _has_content(path: str) -> bool:
    try:
        with os.scandir(path) as listed:
            return next(listed, None) is not None
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _changing(path: str) -> Refusal:
    return Refusal(Code.IO, f"{path} was changed while it was looked at.", hint="Try it again.")


def _linked(path: str, name: str) -> Refusal:
    return Refusal(
        Code.DENIED,
        f"{path} is a symbolic link, so {name} cannot be protected from a command.",
        hint="No command runs below this root while it is one. Ask the user: a root that does not "
        "hold it, or a file in its place.",
    )
