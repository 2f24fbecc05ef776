"""Opening below a directory handle so that nothing can lead out of it.

Two openers keep the same promise: the object opened was reached from the handle by real directories
only, without a symbolic link and without `..`. `open_with_openat2` leaves it to the Linux kernel
(5.6 and newer). `open_by_components` opens one name after the other, each on the handle of the one
before, for kernels and sandboxes without that call and for macOS.

Everything else is done with one name on an open directory: `rename_new` here, the rest in
`edge.writes`.
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


_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long


def _exclusive_rename() -> tuple[Callable[[int, bytes, int, bytes, int], int], int] | None:
    """The C library's rename that replaces nothing, with its flag: Linux, then macOS."""
    for name, flag in (("renameat2", 1), ("renameatx_np", 4)):
        call = getattr(_libc, name, None)
        if call is not None:
            path = ctypes.c_char_p
            call.argtypes = (ctypes.c_int, path, ctypes.c_int, path, ctypes.c_uint)
            return call, flag
    return None


_rename = _exclusive_rename()


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


def rename_new(old_directory: int, old: str, new_directory: int, new: str) -> None:
    """Rename so that nothing is replaced, in one step; raises `FileExistsError`.

    Where the system has no such call, the new name is linked before the old one goes.
    """
    if _rename is not None:
        call, flag = _rename
        if call(old_directory, os.fsencode(old), new_directory, os.fsencode(new), flag) == 0:
            return
        number = ctypes.get_errno()
        if number not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise OSError(number, os.strerror(number), new)
    os.link(old, new, src_dir_fd=old_directory, dst_dir_fd=new_directory, follow_symlinks=False)
    os.unlink(old, dir_fd=old_directory)


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
