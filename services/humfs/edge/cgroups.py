"""Groups of the kernel that bound the processes and the memory of a command.

Under version 2 a group is made beside that of this process, or below it, where the controllers are
handed down; under version 1 below it, once for each controller. What cannot be made is missing, and
the level of the sandbox says so. The names tell whose they are, so what a killed humfs leaves is
removed by the next one.
"""

import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from humfs.core.sandbox.layers import Layer

PROCESSES_MAX = 512
"""Processes and threads of one command."""
MEMORY_BYTES_MAX = 4 * 1024 * 1024 * 1024
"""Memory of one command, all its processes and its `/tmp` together."""
REMOVED_MAX = 1_000
"""Groups of killed processes that one start removes."""

_ROOT = Path("/sys/fs/cgroup")
_NAME = re.compile(r"hum-shell-(\d+)-[0-9a-f]{8}")
_BOUNDS: Mapping[Layer, Mapping[str, str]] = {
    Layer.PIDS: {"pids.max": str(PROCESSES_MAX)},
    Layer.MEMORY: {
        "memory.max": str(MEMORY_BYTES_MAX),
        "memory.swap.max": "0",
        "memory.limit_in_bytes": str(MEMORY_BYTES_MAX),
        "memory.memsw.limit_in_bytes": str(MEMORY_BYTES_MAX),
    },
}
_REQUIRED = {Layer.PIDS: ("pids.max",), Layer.MEMORY: ("memory.max", "memory.limit_in_bytes")}


class Cgroups:
    """Where groups can be made on this machine; looked at once."""

    def __init__(self, membership: Iterable[str] | None = None, root: Path = _ROOT) -> None:
        """`membership` are the lines of `/proc/self/cgroup`."""
        self._folders: dict[Layer, Path] = {}
        self.missing: dict[Layer, str] = {}
        """Why a layer cannot be had."""
        lines = list(_membership() if membership is None else membership)
        for layer in _BOUNDS:
            self._choose(layer, list(_candidates(lines, layer, root)))

    @property
    def layers(self) -> frozenset[Layer]:
        """The layers that these groups make."""
        return frozenset(self._folders)

    def sweep(self) -> int:
        """Remove the groups of processes that are gone; how many that were."""
        removed = 0
        for folder in set(self._folders.values()):
            with suppress(OSError):
                for path in list(folder.iterdir())[:REMOVED_MAX]:
                    named = _NAME.fullmatch(path.name)
                    if named and not Path("/proc", named[1]).exists():
                        with suppress(OSError):
                            path.rmdir()
                            removed += 1
        return removed

    @contextmanager
    def group(self, layers: Iterable[Layer]) -> Iterator[tuple[int, ...]]:
        """Handles by which a process joins a new group for these layers, which goes afterwards."""
        name = f"hum-shell-{os.getpid()}-{secrets.token_hex(4)}"
        made: dict[Path, list[Layer]] = {}
        for layer in layers:
            made.setdefault(self._folders[layer] / name, []).append(layer)
        handles: list[int] = []
        try:
            for path, bounds in made.items():
                handles.append(_group(path, bounds))
            yield tuple(handles)
        finally:
            for handle in handles:
                os.close(handle)
            for path in made:
                with suppress(OSError):  # what does not go now is removed by the next start
                    path.rmdir()

    def _choose(self, layer: Layer, candidates: list[Path]) -> None:
        self.missing[layer] = f"no cgroup with the {layer.value} controller"
        for folder in candidates:
            self._folders[layer] = folder
            try:
                with self.group([layer]):
                    del self.missing[layer]
                    return
            except OSError as problem:
                del self._folders[layer]
                self.missing[layer] = f"{folder}: {problem.strerror}"


def _group(path: Path, bounds: Iterable[Layer]) -> int:
    """Make a group with these bounds; a handle by which to join it. Raises `OSError`."""
    try:
        path.mkdir(mode=0o700)
        for layer in bounds:
            _bound(path, layer)
        return os.open(path / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
    except OSError as problem:
        raise OSError(problem.errno, f"cgroup: {problem.strerror}", str(path)) from problem


def _bound(path: Path, layer: Layer) -> None:
    """Write the bounds of a layer; raises `OSError` when the one that counts is not there."""
    written = 0
    for name, value in _BOUNDS[layer].items():
        file = path / name
        if file.exists():
            try:
                file.write_text(value)
            except OSError:
                if name in _REQUIRED[layer]:
                    raise
            written += name in _REQUIRED[layer]
    if not written:
        raise OSError(0, f"no {layer.value} controller", str(path))


def _membership() -> list[str]:
    try:
        return Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []


def _candidates(lines: Iterable[str], layer: Layer, root: Path) -> Iterator[Path]:
    for line in lines:
        _, controllers, path = line.split(":", 2)
        below = path.strip("/")
        if layer.value in controllers.split(","):
            yield root / controllers / below
        elif controllers == "":
            own = root / below
            yield own
            if below:
                yield own.parent
