"""How much a cell may take, and which of that it reached when it died. Decisions only."""

import re
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from nest.cells import cgroups

ENOUGH = 0.9
"""Part of a memory limit at which a program that was killed counts as killed for it."""
CLOCK_SECONDS, CLOCK_PART = 1.0, 0.75
"""How far two clocks of the kernel may be apart: the one that kills and the one that tells."""
KILLED = 137
"""Exit status of what a SIGKILL ended."""


class Limit(StrEnum):
    """A limit, as an asker reads it."""

    MEMORY = "memory"
    FILES = "files"
    PROCESSES = "processes"
    CPU = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most of each thing; None: as much as this process may have itself."""

    memory_bytes: int | None = None
    """What one process may write to; where the kernel has groups, all processes together too."""
    files: int | None = None
    """Open files of one process."""
    processes: int | None = None
    """Processes and threads together. For root only where the kernel has groups."""
    cpu_seconds: int | None = None
    """Processor time of one process."""

    def resources(self) -> dict[int, int]:
        """The limits of each process, for `Order.limits`. No cell writes a core file.

        Memory is what may be written to, not addresses: interpreters reserve terabytes of those.
        """
        wanted = {
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_DATA: self.memory_bytes,
            resource.RLIMIT_NOFILE: self.files,
            resource.RLIMIT_NPROC: self.processes,
            resource.RLIMIT_CPU: self.cpu_seconds,
        }
        return {kind: most for kind, most in wanted.items() if most is not None}

    def groups(self) -> dict[str, int]:
        """The limits of the whole tree by the controller that holds them."""
        wanted = {cgroups.MEMORY: self.memory_bytes, cgroups.PIDS: self.processes}
        return {controller: most for controller, most in wanted.items() if most is not None}

    def most(self, limit: Limit) -> str:
        """A limit with its unit, for a sentence."""
        values = {
            Limit.MEMORY: (self.memory_bytes, "bytes"),
            Limit.FILES: (self.files, "open files"),
            Limit.PROCESSES: (self.processes, "processes"),
            Limit.CPU: (self.cpu_seconds, "s of processor time"),
        }
        most, unit = values[limit]
        return f"{most} {unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """How a program ended by itself, as far as is known."""

    status: int
    """Its exit status; 128 and the signal."""
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    """Most memory of one process."""
    hits: frozenset[str] = frozenset()
    """Controllers of the kernel that enforced their limit."""
    last_words: str = ""
    """The end of its standard error."""


_SAID: Mapping[Limit, re.Pattern[str]] = {
    Limit.MEMORY: re.compile(
        r"MemoryError|[Oo]ut of memory|Cannot allocate memory|ENOMEM|bad_alloc|memory exhausted"
    ),
    Limit.FILES: re.compile(r"Too many open files|EMFILE"),
    Limit.PROCESSES: re.compile(r"Resource temporarily unavailable|EAGAIN|Cannot fork"),
}
"""What programs say when the system refuses them something."""


def reached(limits: Limits, death: Death) -> Limit | None:
    """The limit that a program died of; None when it was none of them."""
    if death.status == 0:
        return None
    is_killed = death.status >= 128
    if limits.memory_bytes is not None and (
        cgroups.MEMORY in death.hits
        or (is_killed and death.peak_bytes >= ENOUGH * limits.memory_bytes)
        or _SAID[Limit.MEMORY].search(death.last_words)
    ):
        return Limit.MEMORY
    if (
        limits.cpu_seconds is not None
        and is_killed
        and death.cpu_seconds
        >= max(limits.cpu_seconds - CLOCK_SECONDS, CLOCK_PART * limits.cpu_seconds)
    ):
        return Limit.CPU
    if limits.files is not None and _SAID[Limit.FILES].search(death.last_words):
        return Limit.FILES
    was_refused = cgroups.PIDS in death.hits or _SAID[Limit.PROCESSES].search(death.last_words)
    return Limit.PROCESSES if limits.processes is not None and was_refused else None
