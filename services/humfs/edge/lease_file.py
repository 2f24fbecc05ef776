"""The leases of all humfs of this user, in one file that each reads anew and locks to change."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from humfs.core.leases import Leases, decoded, encoded
from humfs.edge.files import take_room
from humfs.edge.roots import refused_by_system
from nest.paths import ensure_private

FILE_BYTES_MAX = 8 * 1024 * 1024
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def now_ms() -> int:
    """Wall-clock time."""
    return time.time_ns() // 1_000_000


class LeaseFile:
    """The file. Safe from any thread and process."""

    def __init__(self, file: Path, *, clock: Callable[[], int] = now_ms) -> None:
        ensure_private(file.parent)
        self._file = file
        self.now_ms = clock

    def read(self) -> Leases:
        """The leases that hold now."""
        with self._locked(fcntl.LOCK_SH) as handle:
            return self._leases(handle)

    @contextmanager
    def changing(self) -> Iterator[Leases]:
        """The leases that hold now, written back when the block ends without an error.

        Raises `Refusal` when they cannot be; then they are what they were.
        """
        with self._locked(fcntl.LOCK_EX) as handle:
            leases = self._leases(handle)
            yield leases
            try:
                _write(handle, encoded(leases.held))
            except OSError as trouble:
                raise refused_by_system(
                    f"{self._file}, where leases are noted,", trouble, writing=True
                ) from trouble

    def _leases(self, handle: int) -> Leases:
        return decoded(os.pread(handle, FILE_BYTES_MAX, 0), self.now_ms())

    @contextmanager
    def _locked(self, how: int) -> Iterator[int]:
        handle = os.open(self._file, _FLAGS, 0o600)
        try:
            fcntl.flock(handle, how)
            yield handle
        finally:
            os.close(handle)


def _write(handle: int, content: bytes) -> None:
    """Replace a file's content, of which all is there, or all of what was before."""
    before = os.fstat(handle).st_size
    if len(content) > before:
        take_room(handle, len(content))
    os.pwrite(handle, content.ljust(before), 0)
    os.ftruncate(handle, len(content))
