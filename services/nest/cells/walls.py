"""Raising the walls that a guard puts around itself before it starts anything.

They stand behind the mounts and namespaces of a sandbox: Landlock keeps files and sockets away, a
filter of system calls was loaded by whoever made the sandbox, a cgroup bounds processes and memory.
Each wall that was asked for stands, or nothing runs. The standard library only, Linux only.
"""

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterator, Sequence

from nest.cells import kernel
from nest.cells.orders import Walls

SYS_LANDLOCK_CREATE_RULESET = 444
SYS_LANDLOCK_ADD_RULE = 445
SYS_LANDLOCK_RESTRICT_SELF = 446
"""The same numbers on every architecture Linux runs us on."""
LANDLOCK_VERSION = 1
RULE_PATH_BENEATH = 1
PR_SET_NO_NEW_PRIVS = 38
FILTERED = b"Seccomp:\t2"
"""The line of `/proc/self/status` when a filter of system calls is in force."""

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
READING = EXECUTE | READ_FILE | READ_DIR
ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""The rights that a rule on a file may give."""
TCP_BIND_AND_CONNECT = 3
ABSTRACT_SOCKETS_AND_SIGNALS = 3

_RULESET = struct.Struct("=QQQ")
_RULE = struct.Struct("=Qi")
_libc = ctypes.CDLL(None, use_errno=True)


class WallFailed(OSError):
    """A wall that was asked for does not stand; the text begins with its name."""


def raised(walls: Walls) -> Iterator[str]:
    """Raise each wall that was asked for and name it; raises `WallFailed`."""
    if walls.groups:
        _join(walls.groups)
        yield "cgroup"
    if walls.has_filter:
        _require_filter()
        yield "seccomp"
    if walls.has_landlock:
        version = _landlock(walls.reads, walls.writes, has_tcp=walls.port > 0)
        yield f"landlock {version}"


def landlock_version() -> int:
    """The version of Landlock in this kernel; 0 for none."""
    if not kernel.IS_LINUX:
        return 0
    return max(0, int(_libc.syscall(SYS_LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_VERSION)))


def _join(groups: Sequence[int]) -> None:
    for handle in groups:
        try:
            os.write(handle, b"0")
        except OSError as problem:
            raise WallFailed(f"cgroup: {problem.strerror}") from problem
        os.close(handle)


def _require_filter() -> None:
    with open("/proc/self/status", "rb") as file:
        if FILTERED not in file.read():
            raise WallFailed("seccomp: no filter is in force")


def _landlock(reads: Sequence[str], writes: Sequence[str], *, has_tcp: bool) -> int:
    """Restrict us to these paths; the version of Landlock."""
    version = landlock_version()
    rights = _rights(version)
    attributes = _RULESET.pack(
        rights,
        TCP_BIND_AND_CONNECT if version >= 4 and not has_tcp else 0,
        ABSTRACT_SOCKETS_AND_SIGNALS if version >= 6 else 0,
    )
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _libc.syscall(SYS_LANDLOCK_CREATE_RULESET, attributes, size, 0)
    if version < 1 or ruleset < 0:
        raise _refused("the kernel has none")
    try:
        for path in reads:
            _allow(ruleset, path, READING)
        for path in writes:
            _allow(ruleset, path, rights)
        if _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise _refused("privileges stay")
        if _libc.syscall(SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0) != 0:
            raise _refused("it cannot be put in force")
    finally:
        os.close(ruleset)
    return version


def _rights(version: int) -> int:
    """Every right on files that this version knows."""
    rights = REFER - 1
    for since, right in ((2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)):
        rights |= right if version >= since else 0
    return rights


def _allow(ruleset: int, path: str, rights: int) -> None:
    """Allow `rights` below `path`; what is not there needs none."""
    with contextlib.suppress(FileNotFoundError):
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            allowed = rights if os.path.isdir(path) else rights & ON_FILES
            rule = _RULE.pack(allowed, handle)
            if _libc.syscall(SYS_LANDLOCK_ADD_RULE, ruleset, RULE_PATH_BENEATH, rule, 0) != 0:
                raise _refused(path)
        finally:
            os.close(handle)


def _refused(what: str) -> WallFailed:
    return WallFailed(f"landlock: {what}: {os.strerror(ctypes.get_errno())}")
