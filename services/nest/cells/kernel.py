"""What a guard asks of the Linux kernel and the standard library does not offer.

The standard library only. Elsewhere than on Linux each of these does nothing and says so by its
result, where it has one.
"""

import contextlib
import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
MS_NOSUID_NODEV_NOEXEC = 2 | 4 | 8
MS_REC_PRIVATE = 0x4000 | 0x40000

IS_LINUX = sys.platform == "linux"

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Be killed when the parent dies. It may have died before; ask again afterwards."""
    _prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))


def become_reaper() -> None:
    """Become the parent of every orphaned descendant."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def hide_memory() -> None:
    """Let no process of the same user read or write this one's memory and handles."""
    _prctl(PR_SET_DUMPABLE, 0)


def has_entered_namespace() -> bool:
    """Make a pid namespace, and a mount namespace for its `/proc`; the next child is process 1.

    With privileges plainly, else inside a user namespace where this user keeps its number. False
    where the system does not allow it.
    """
    if not IS_LINUX:
        return False
    if _libc.unshare(CLONE_NEWPID | CLONE_NEWNS) == 0:
        return True
    user, group = os.geteuid(), os.getegid()
    if _libc.unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS) != 0:
        return False
    with contextlib.suppress(OSError):  # without a map our number shows as nobody's; no more
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")
    return True


def mount_own_proc() -> None:
    """Show this namespace's processes in `/proc`; without the right to it, the outer ones stay."""
    if _libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None) == 0:
        _libc.mount(b"proc", b"/proc", b"proc", MS_NOSUID_NODEV_NOEXEC, None)


def close_all_but(kept: set[int]) -> None:
    """Close every handle that whoever started us left open, so that no program gets it."""
    for name in os.listdir("/proc/self/fd") if IS_LINUX else map(str, range(256)):
        if int(name) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(name))


def descendants() -> list[int]:
    """The processes below this one, those that nobody has waited for yet among them."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if IS_LINUX else ():
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                children.setdefault(_parent_of(name), []).append(int(name))
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _parent_of(pid: str) -> int:
    """The parent of a process. The name before it may hold anything, brackets too."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[1])


def _prctl(option: int, value: int) -> bool:
    return IS_LINUX and _libc.prctl(option, value, 0, 0, 0) == 0


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
