"""The segment that is being written, and the spare that takes over when it is full.

Files grow with a journal commit each time, and that is where the slow syncs come from. So a segment
is zero-filled before the first event goes in: a slice at a time, when there is nothing else to do.
"""

import os
from pathlib import Path

from thehum.edge.disk import open_private, sync_data, sync_folder, told_apart, write_all

SLICE_BYTES = 512 * 1024
"""What one step of laying out a spare writes and syncs."""


class Segment:
    """An open segment. `end` is where the next group goes."""

    def __init__(self, path: Path, handle: int, *, first_seq: int, end: int) -> None:
        self.path = path
        self.first_seq = first_seq
        self.end = end
        self._handle = handle
        self._dirty_end = end
        """Up to here there may be bytes of a write that found no room."""

    def write(self, data: bytes) -> int:
        """Put `data` behind the last group and return its offset, once it is on disk.

        Raises `DiskFull` (nothing counts as written, a later write goes to the same place) or
        `WriteFailed`.
        """
        offset, new_end = self.end, self.end + len(data)
        padded = data + bytes(max(self._dirty_end - new_end, 0))
        self._dirty_end = max(self._dirty_end, new_end)
        write_all(self._handle, padded, offset)
        sync_data(self._handle)
        self.end = self._dirty_end = new_end
        return offset

    def zero(self, start: int, end: int) -> None:
        """Make the bytes from `start` to `end` zeros, on disk."""
        write_all(self._handle, bytes(end - start), start)
        sync_data(self._handle)

    def seal(self) -> None:
        """Cut the zeros; from now on the file does not change. The segment is closed.

        Raises `WriteFailed`.
        """
        with told_apart(f"sealing {self.path}"):
            os.ftruncate(self._handle, self.end)
        sync_data(self._handle)
        self.close()

    def close(self) -> None:
        """Leave the file as it is."""
        os.close(self._handle)


class Spare:
    """The next segment, laid out ahead of its need."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._done = 0
        self._handle = -1
        self._remove()  # what a crash left may hold anything

    @property
    def is_ready(self) -> bool:
        """Whether a switch of segments would cost no more than a rename."""
        return self._done >= self._size

    def advance(self) -> None:
        """Lay out one more slice, on disk. Raises `DiskFull`; a later call tries again."""
        if self.is_ready:
            return
        if self._handle < 0:
            self._handle = open_private(self._path, create=True, write=True)
        length = min(SLICE_BYTES, self._size - self._done)
        write_all(self._handle, bytes(length), self._done)
        sync_data(self._handle)
        self._done += length

    def take(self, path: Path, *, first_seq: int) -> Segment:
        """Make the spare the segment at `path`; its name is on disk. Raises `DiskFull`."""
        while not self.is_ready:
            self.advance()
        with told_apart(f"beginning {path}"):
            os.rename(self._path, path)
        sync_folder(path.parent)
        segment = Segment(path, self._handle, first_seq=first_seq, end=0)
        self._handle, self._done = -1, 0
        return segment

    def close(self) -> None:
        """Remove what is laid out so far."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle, self._done = -1, 0
        self._remove()

    def _remove(self) -> None:
        with told_apart(f"removing {self._path}"):
            self._path.unlink(missing_ok=True)
