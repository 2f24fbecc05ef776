"""Memory for what is large and soon gone: a picture in a request, not what a service remembers.

Memory that was freed between pieces in use stays with the process until somebody asks for it:
whoever held much and let it go calls `give_back`.

Most of what a fresh piece of memory costs is that the kernel hands it out page by page: 3 ms for 10
MB, and again for each copy. So a large buffer asks for huge pages, and the allocator keeps a little
of what was given back instead of returning every piece of a body to the kernel.
"""

import ctypes
import mmap

MAPPED_BYTES_MIN = 2 * 1024 * 1024
"""An allocation of this size is mapped by itself, and is gone as soon as it is freed."""
KEPT_BYTES_MAX = 4 * 1024 * 1024
"""Free memory that a process keeps for its next allocations."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def large_buffer(size: int) -> mmap.mmap:
    """A buffer of `size` zeros. It is given back when nobody refers to it any more."""
    buffer = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        buffer.madvise(mmap.MADV_HUGEPAGE)
    return buffer


def bound_free_memory() -> None:
    """Have the allocator keep at most `KEPT_BYTES_MAX`, and give back now what starting left.

    Does nothing where the C library is not glibc.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim"):
        libc.mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES_MIN)
        libc.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES_MAX)
        libc.malloc_trim(0)


def give_back() -> None:
    """Return what is free, wherever it lies, to the system; a few milliseconds for 100 MB.

    Does nothing where the C library is not glibc.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
