"""Groups of the kernel that bound the processes and the memory of a whole tree.

Under version 2 a group is made beside that of this process, or below it, where the controllers are
handed down; under version 1 below it, once for each controller. What cannot be made is missing, and
`missing` says why. The names tell whose they are, so what a killed process leaves is removed by the
next one.
"""

import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PIDS = "pids"
"""The controller that counts processes and threads."""
MEMORY = "memory"
"""The controller that counts memory."""
REMOVED_MAX = 1_000
"""Groups of killed processes that one start removes."""
PROBE_LIMITS: Mapping[str, int] = {PIDS: 64, MEMORY: 64 * 1024 * 1024}

_ROOT = Path("/sys/fs/cgroup")
_BOUNDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    PIDS: (("pids.max", "{most}"),),
    MEMORY: (
        ("memory.max", "{most}"),
        ("memory.swap.max", "0"),
        ("memory.limit_in_bytes", "{most}"),
        ("memory.memsw.limit_in_bytes", "{most}"),
    ),
}
"""What is written for a limit, as far as the file is there."""
_REQUIRED = {PIDS: ("pids.max",), MEMORY: ("memory.max", "memory.limit_in_bytes")}
_HITS = {
    PIDS: (("pids.events", "max"),),
    MEMORY: (("memory.events", "oom_kill"), ("memory.oom_control", "oom_kill")),
}
"""Where the kernel counts what a limit made it refuse or kill."""


@dataclass(frozen=True, slots=True)
class Group:
    """Groups of one tree."""

    handles: tuple[int, ...] = ()
    """By which a process joins them."""
    folders: Mapping[str, Path] = field(default_factory=dict)
    """The group of each controller."""

    def hits(self) -> frozenset[str]:
        """The controllers whose limit the kernel has enforced on something in the tree."""
        return frozenset(
            controller
            for controller, folder in self.folders.items()
            if _was_hit(controller, folder)
        )


class Cgroups:
    """Where groups can be made on this machine; looked at once."""

    def __init__(
        self, purpose: str, membership: Iterable[str] | None = None, root: Path = _ROOT
    ) -> None:
        """`purpose` is part of the names; `membership` are the lines of `/proc/self/cgroup`."""
        self._prefix = f"hum-{purpose}-"
        self._named = re.compile(rf"{self._prefix}(\d+)-[0-9a-f]{{8}}")
        self._folders: dict[str, Path] = {}
        self.missing: dict[str, str] = {}
        """Why a controller cannot be had."""
        lines = list(_membership() if membership is None else membership)
        for controller in _BOUNDS:
            self._choose(controller, list(_candidates(lines, controller, root)))

    @property
    def controllers(self) -> frozenset[str]:
        """The controllers that groups can have."""
        return frozenset(self._folders)

    def sweep(self) -> int:
        """Remove the groups of processes that are gone; how many that were."""
        removed = 0
        for folder in set(self._folders.values()):
            with suppress(OSError):
                for path in list(folder.iterdir())[:REMOVED_MAX]:
                    named = self._named.fullmatch(path.name)
                    if named and not Path("/proc", named[1]).exists():
                        with suppress(OSError):
                            path.rmdir()
                            removed += 1
        return removed

    @contextmanager
    def group(self, limits: Mapping[str, int]) -> Iterator[Group]:
        """A new group with these limits by controller, which goes afterwards. Raises `OSError`."""
        name = f"{self._prefix}{os.getpid()}-{secrets.token_hex(4)}"
        made: dict[Path, dict[str, int]] = {}
        for controller, most in limits.items():
            made.setdefault(self._folders[controller] / name, {})[controller] = most
        handles: list[int] = []
        try:
            for path, bounds in made.items():
                handles.append(_group(path, bounds))
            folders = {controller: self._folders[controller] / name for controller in limits}
            yield Group(tuple(handles), folders)
        finally:
            for handle in handles:
                os.close(handle)
            for path in made:
                with suppress(OSError):  # what does not go now is removed by the next start
                    path.rmdir()

    def _choose(self, controller: str, candidates: list[Path]) -> None:
        self.missing[controller] = f"no cgroup with the {controller} controller"
        for folder in candidates:
            self._folders[controller] = folder
            try:
                with self.group({controller: PROBE_LIMITS[controller]}):
                    del self.missing[controller]
                    return
            except OSError as problem:
                del self._folders[controller]
                self.missing[controller] = f"{folder}: {problem.strerror}"


def _group(path: Path, limits: Mapping[str, int]) -> int:
    """Make a group with these limits; a handle by which to join it. Raises `OSError`."""
    try:
        path.mkdir(mode=0o700)
        for controller, most in limits.items():
            _bound(path, controller, most)
        return os.open(path / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
    except OSError as problem:
        raise OSError(problem.errno, f"cgroup: {problem.strerror}", str(path)) from problem


def _bound(path: Path, controller: str, most: int) -> None:
    """Write a limit; raises `OSError` when the file that counts is not there."""
    written = 0
    for name, value in _BOUNDS[controller]:
        file = path / name
        if file.exists():
            try:
                file.write_text(value.format(most=most))
            except OSError:
                if name in _REQUIRED[controller]:
                    raise
            written += name in _REQUIRED[controller]
    if not written:
        raise OSError(0, f"no {controller} controller", str(path))


def _was_hit(controller: str, folder: Path) -> bool:
    for name, key in _HITS[controller]:
        with suppress(OSError):
            for line in (folder / name).read_text().splitlines():
                word, _, count = line.partition(" ")
                if word == key and count.strip() not in ("", "0"):
                    return True
    return False


def _membership() -> list[str]:
    try:
        return Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []


def _candidates(lines: Iterable[str], controller: str, root: Path) -> Iterator[Path]:
    for line in lines:
        _, controllers, path = line.split(":", 2)
        below = path.strip("/")
        if controller in controllers.split(","):
            yield root / controllers / below
        elif controllers == "":
            own = root / below
            yield own
            if below:
                yield own.parent
