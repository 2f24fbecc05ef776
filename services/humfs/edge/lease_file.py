"""The leases of all humfs of this user, in one file that each reads anew and locks to change."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from humfs.core.leases import Leases, decoded, encoded
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
        """The leases that hold now, written back when the block ends without an error."""
        with self._locked(fcntl.LOCK_EX) as handle:
            leases = self._leases(handle)
            yield leases
            content = encoded(leases.held)
            os.ftruncate(handle, 0)
            os.pwrite(handle, content, 0)

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
