"""What a sandbox shows and hides, as mounts in the order they are made.

Everything inside lies where it lies outside, so paths in a command's output mean the same. What is
protected is a mount of its own, and so is each folder between it and its root: a mounted folder can
neither be renamed nor removed, or the protected name could be put in place anew.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from humfs.core import paths

MOUNTS_MAX = 1_024
"""Mounts of one sandbox; more of them take seconds, so the command is refused."""


class How(Enum):
    """What a mount does."""

    WRITABLE = auto()
    READABLE = auto()
    HIDDEN_DIRECTORY = auto()
    """An empty folder stands there."""
    HIDDEN_FILE = auto()


@dataclass(frozen=True, slots=True)
class Identity:
    """Which object a path was when it was looked at."""

    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class Mount:
    """One path of the sandbox."""

    path: str
    how: How
    identity: Identity

    @property
    def is_writable(self) -> bool:
        return self.how is How.WRITABLE

    @property
    def is_hidden(self) -> bool:
        return self.how in (How.HIDDEN_DIRECTORY, How.HIDDEN_FILE)


def ordered(mounts: Iterable[Mount]) -> list[Mount]:
    """The mounts, what lies deeper later; of two for one path the one that allows less."""
    strictest: dict[str, Mount] = {}
    for mount in mounts:
        known = strictest.get(mount.path)
        if known is None or known.how.value < mount.how.value:
            strictest[mount.path] = mount
    return sorted(strictest.values(), key=lambda mount: paths.components(mount.path))
