"""The command line of bubblewrap.

bubblewrap makes the mounts in order, and looks at their paths then: in a root, another command that
still runs may swap a folder for a link, and a mount lands anywhere. So the roots come first and all
that the guard runs on is laid over them; the guard then sees where each mount of a root is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from humfs.core.sandbox.plan import How, Mount

USER = 65_532
"""Who a command is inside; outside it is the user of this process."""
TMP_BYTES = 1024 * 1024 * 1024
"""Of `/tmp`."""
SHARED_BYTES = 256 * 1024 * 1024
"""Of `/dev/shm`."""
OWN_BYTES = 1024 * 1024
"""Of each folder that holds small files of the sandbox's own."""
GUARD_LIBRARY = "/.hum"
"""Where the guard finds its code."""
WRITABLE = ("/tmp", "/dev/shm")  # noqa: S108 - inside the sandbox, which is made anew each time
"""What may be written beside the roots."""
DEVICES = tuple(
    f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts")
)

_NAMESPACES = (
    *(
        "--unshare-all",
        "--unshare-user",
        "--disable-userns",
        "--uid",
        str(USER),
        "--gid",
        str(USER),
    ),
    *("--cap-drop", "ALL", "--die-with-parent", "--new-session", "--as-pid-1"),
)
_TEMPORARY = ("--perms", "1777", "--size", str(TMP_BYTES), "--tmpfs", "/tmp")  # noqa: S108
_KERNEL = (
    *("--proc", "/proc", "--dev", "/dev"),
    *("--perms", "1777", "--size", str(SHARED_BYTES), "--tmpfs", "/dev/shm"),  # noqa: S108
    *("--remount-ro", "/dev"),
)
_OWN = ("/etc", GUARD_LIBRARY)
"""Folders that are made for the sandbox and hold what the guard runs on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """All that bubblewrap is told."""

    program: str
    system: Sequence[tuple[str, str]]
    """Files and folders of this machine to show for reading: where from, where to."""
    links: Sequence[tuple[str, str]]
    """Symbolic links of the system's own: what to, where."""
    texts: Sequence[tuple[int, str]]
    """Small files to make: a handle to read from, and the path."""
    mounts: Sequence[Mount]
    filter: int | None = None
    """A handle with the filter of system calls."""


def command(box: Box) -> list[str]:
    """The words that go before the command of the guard."""
    words = [box.program, *_NAMESPACES, *_TEMPORARY, *_mounted(box.mounts), *_KERNEL]
    for path in _OWN:
        words += ("--perms", "0755", "--size", str(OWN_BYTES), "--tmpfs", path)
    for source, target in box.system:
        words += ("--ro-bind", source, target)
    for target, path in box.links:
        words += ("--symlink", target, path)
    for handle, path in box.texts:
        words += ("--perms", "0444", "--ro-bind-data", str(handle), path)
    for path in ("/proc", *_OWN, "/"):
        words += ("--remount-ro", path)
    words += ("--chdir", "/")
    if box.filter is not None:
        words += ("--seccomp", str(box.filter))
    return [*words, "--"]


def _mounted(mounts: Iterable[Mount]) -> list[str]:
    words: list[str] = []
    for mount in mounts:
        if mount.how is How.HIDDEN_DIRECTORY:
            words += ("--perms", "0000", "--size", "4096", "--tmpfs", mount.path)
            words += ("--remount-ro", mount.path)
        elif mount.how is How.HIDDEN_FILE:
            words += ("--ro-bind", "/dev/null", mount.path)
        else:
            words += ("--bind" if mount.is_writable else "--ro-bind", mount.path, mount.path)
    return words
