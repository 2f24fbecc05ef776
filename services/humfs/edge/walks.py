"""Directory walks and globs on directory handles: never through a symbolic link to a directory.

Entries are opened by one name on the handle of the directory that listed them, so a directory that
is moved or swapped during a walk leads nowhere new. A link to a file is listed only when its target
may be touched.
"""

import os
import stat
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter

from humfs.core import paths
from humfs.core.globs import Glob, State
from humfs.edge.roots import Opened, Place, Roots
from humfs.edge.watch import Watch
from humfs.errors import Refusal

FILES_MAX = 50_000
"""Files found by one call."""
ENTRIES_MAX = 100_000
"""Entries read of one directory."""
DEPTH_MAX = 30
ENTRIES_PER_QUESTION = 64
"""Entries of a directory between two questions whether the time is over."""

SKIPPED = frozenset(("node_modules", "dist", "build", "target", "coverage", "venv", "__pycache__"))
"""Directories not entered on the way, besides those whose name starts with a dot."""

_STEP_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)  # not frozen: that would double what a walk takes to make one
class Target:
    """A file that a call's path means."""

    path: str
    """As shown: what was asked for, and the way from there."""
    place: Place
    size: int = 0
    """In bytes; this and the next 0 when the walk was not asked for them."""
    changed_ns: int = 0


@dataclass(slots=True)
class Found:
    """What a walk brought."""

    targets: list[Target] = field(default_factory=list)
    stopped: str = ""
    """Why the walk ended early, and what it may not look at; empty when it is complete."""


def walk(
    roots: Roots, opened: Opened, *, shown: str, watch: Watch, with_sizes: bool = True
) -> Found:
    """Every file below a directory, by path."""
    return _Walk(roots, watch, None, with_sizes).run(opened, shown, frozenset())


def glob(roots: Roots, opened: Opened, pattern: Glob, *, watch: Watch) -> Found:
    """The files below a directory that a glob takes, newest first, ties by path."""
    shown = pattern.base if pattern.base == "/" else pattern.base.rstrip("/")
    found = _Walk(roots, watch, pattern, with_sizes=True).run(opened, shown, pattern.start())
    found.targets.sort(key=lambda target: (-target.changed_ns, target.path))
    return found


@dataclass(slots=True)
class _Walk:
    """One walk; `glob` None takes every file."""

    roots: Roots
    watch: Watch
    glob: Glob | None
    with_sizes: bool
    found: Found = field(default_factory=Found)
    closed: int = 0
    """Files and directories that we have no right to look at."""

    def run(self, opened: Opened, shown: str, state: State) -> Found:
        self._directory(opened.handle, opened.place, shown, state=state, depth=0)
        if self.closed:
            left_out = f"[left out: {self.closed} that this user has no right to look at]"
            self.found.stopped = f"{self.found.stopped} {left_out}".lstrip()
        return self.found

    def _directory(
        self, handle: int, place: Place, shown: str, *, state: State, depth: int
    ) -> None:
        root, targets = place.root, self.found.targets
        below = "" if place.relative == "." else f"{place.relative}/"
        here = paths.join(shown, "")
        for number, entry in enumerate(self._entries(handle, place)):
            is_asked = number % ENTRIES_PER_QUESTION == 0 or len(targets) >= FILES_MAX
            if is_asked and self._is_over():
                return
            name = entry.name
            inner, path = Place(root, below + name), here + name
            if entry.is_dir(follow_symlinks=False):
                self._enter(handle, name, inner, path, state=state, depth=depth + 1)
                if self._is_over():
                    return
            elif self.glob is None or self.glob.takes(state, name):
                self._take(entry, inner, path)

    def _entries(self, handle: int, place: Place) -> list[os.DirEntry[str]]:
        """What is in a directory and not denied, by name."""
        with os.scandir(handle) as listed:
            entries = list(islice(listed, ENTRIES_MAX + 1))
        if len(entries) > ENTRIES_MAX:
            entries.pop()
            self._stop(f"a directory has more than {ENTRIES_MAX} entries")
        inodes = self.roots.denied_inodes
        denied = set(self.roots.denied_names(place.path))
        denied |= {one.name for one in entries if one.inode() in inodes and self._is_denied(one)}
        if denied:
            entries = [one for one in entries if one.name not in denied]
        entries.sort(key=attrgetter("name"))
        return entries

    def _is_denied(self, entry: os.DirEntry[str]) -> bool:
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            return True  # gone, and what it was is not known
        return self.roots.is_denied_id(status.st_dev, status.st_ino)

    def _enter(
        self, handle: int, name: str, place: Place, shown: str, *, state: State, depth: int
    ) -> None:
        is_named = self.glob is not None and self.glob.names(state, name)
        if not is_named and (name.startswith(".") or name in SKIPPED):
            return
        reached = self.glob.enter(state, name) if self.glob is not None else state
        if self.glob is not None and not reached:
            return
        if depth > DEPTH_MAX:
            self._stop(f"directories more than {DEPTH_MAX} deep are not searched")
            return
        try:
            inner = os.open(name, _STEP_FLAGS, dir_fd=handle)
        except PermissionError:
            self.closed += 1
            return
        except OSError:
            return  # gone or swapped: not listed
        try:
            self._directory(inner, place, shown, state=reached, depth=depth)
        finally:
            os.close(inner)

    def _take(self, entry: os.DirEntry[str], place: Place, shown: str) -> None:
        if not self.with_sizes and entry.is_file(follow_symlinks=False):
            self.found.targets.append(Target(shown, place))
            return
        try:
            if entry.is_symlink():
                place = self.roots.place(place.path)
                with self.roots.open_place(place) as opened:
                    status = opened.status
            else:
                status = entry.stat(follow_symlinks=False)
        except PermissionError:
            self.closed += 1
            return
        except (OSError, Refusal):
            return  # gone, or a link that leads where nothing may be touched: not listed
        if stat.S_ISREG(status.st_mode):
            self.found.targets.append(Target(shown, place, status.st_size, status.st_mtime_ns))

    def _is_over(self) -> bool:
        if len(self.found.targets) >= FILES_MAX:
            self._stop(f"stopped at {FILES_MAX} files")
        elif self.watch.is_over:
            self._stop(f"stopped after its time with {len(self.found.targets)} files found")
        else:
            return False
        return True

    def _stop(self, reason: str) -> None:
        self.found.stopped = self.found.stopped or f"[incomplete: {reason}; narrow file_path]"
