"""Opening below a directory handle so that nothing can lead out of it.

Two openers keep the same promise: the object opened was reached from the handle by real directories
only, without a symbolic link and without `..`. `open_with_openat2` leaves it to the Linux kernel
(5.6 and newer). `open_by_components` opens one name after the other, each on the handle of the one
before, for kernels and sandboxes without that call and for macOS.
"""

import ctypes
import errno
import os
from collections.abc import Callable

Opener = Callable[[int, str, int], int]
"""(directory handle, relative path, open flags) -> handle; raises `OSError`."""

SYS_OPENAT2 = 437
"""The same number on every architecture Linux runs us on."""
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08

READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""Opens a file or directory; a fifo without waiting for its other end."""
_STEP_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long


def open_with_openat2(directory: int, relative: str, flags: int) -> int:
    """Open `relative` below `directory` in one system call."""
    how = _OpenHow(flags, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS)
    handle: int = _syscall(
        ctypes.c_long(SYS_OPENAT2),
        ctypes.c_int(directory),
        ctypes.c_char_p(os.fsencode(relative)),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if handle < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), relative)
    return handle


def open_by_components(directory: int, relative: str, flags: int) -> int:
    """Open `relative` below `directory` name by name; `..` and absolute paths are EXDEV."""
    names = relative.split("/")
    if not all(names) or ".." in names:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), relative)
    here = os.dup(directory)
    try:
        for name in names[:-1]:
            step = os.open(name, _STEP_FLAGS, dir_fd=here)
            os.close(here)
            here = step
        return os.open(names[-1], flags | os.O_NOFOLLOW, dir_fd=here)
    finally:
        os.close(here)


def best_opener() -> Opener:
    """`open_with_openat2` where the kernel has it, else `open_by_components`. Asks once, on `/`."""
    try:
        directory = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.close(open_with_openat2(directory, ".", READ_FLAGS))
        finally:
            os.close(directory)
    except OSError:
        return open_by_components
    return open_with_openat2
