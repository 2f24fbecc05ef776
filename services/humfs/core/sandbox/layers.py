"""How strong a sandbox is: the layers it has, and the level they make."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Layer(StrEnum):
    """One thing that keeps a command in."""

    BUBBLEWRAP = "bubblewrap"
    """Mount, pid, network and user namespaces of its own, by bubblewrap."""
    LANDLOCK = "landlock"
    """Files and sockets, by the kernel's Landlock."""
    SECCOMP = "seccomp"
    """System calls, by a filter."""
    PIDS = "pids"
    """The number of processes, by a cgroup."""
    MEMORY = "memory"
    """The memory of all processes together, by a cgroup."""


class Level(StrEnum):
    """How much of it there is."""

    FULL = "full"
    """Every layer."""
    PARTIAL = "partial"
    """bubblewrap, and something else is missing."""
    NONE = "none"
    """No bubblewrap: nothing keeps a command in."""


_RANK = {Level.NONE: 0, Level.PARTIAL: 1, Level.FULL: 2}


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds on this machine, and why the rest does not."""

    layers: frozenset[Layer] = frozenset()
    missing: Mapping[Layer, str] = field(default_factory=dict)
    """The reason for each layer that is not there."""

    @property
    def level(self) -> Level:
        """The level these layers make."""
        return level(self.layers)

    def without(self, layer: Layer, reason: str) -> "Standing":
        """The same where one layer does not hold after all."""
        return Standing(self.layers - {layer}, {**self.missing, layer: reason})

    def suffices(self, required: Level) -> bool:
        """Whether this is at least the level that is asked for."""
        return _RANK[self.level] >= _RANK[required]


def level(layers: Collection[Layer]) -> Level:
    """The level that these layers make."""
    if Layer.BUBBLEWRAP not in layers:
        return Level.NONE
    return Level.FULL if set(layers) == set(Layer) else Level.PARTIAL
