"""Files of sealed segments: read in either form, and compressed when there is nothing else to do.

A segment is sealed plain. Later, a slice at a time, its lines go into `<seq>.packed.tmp`; that is
synced, decompressed again and compared by hash; then it is named `<seq>.packed`, the folder is
synced, and the plain file is removed. What a crash leaves: the plain file and a `.tmp`, which the
next start removes; or both forms, of which the plain one counts until compressing it anew has
replaced the other.
"""

import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from thehum.core import names
from thehum.core.sealed import (
    FRAME_BYTES,
    TRAILER_BYTES,
    BrokenSegment,
    Frame,
    Packer,
    frame_of,
    index_bytes,
    read_index,
    unpack_frame,
)
from thehum.edge.disk import open_private, sync_data, sync_folder, told_apart, write_all

log = logging.getLogger(__name__)


def open_segment(root: Path, first_seq: int) -> tuple[int, bool]:
    """A descriptor on a segment's file and whether that is compressed.

    Raises `FileNotFoundError` when there is neither form.
    """
    try:
        return open_private(root / names.segment_name(first_seq)), False
    except FileNotFoundError:
        return open_private(root / names.packed_name(first_seq)), True


def read_segment(root: Path, first_seq: int) -> bytes:
    """A segment's file, whatever its form."""
    handle, _ = open_segment(root, first_seq)
    with os.fdopen(handle, "rb") as file:
        return file.read()


def frames_in(handle: int) -> tuple[Frame, ...]:
    """The frames of a compressed segment; raises `BrokenSegment`."""
    size = os.fstat(handle).st_size
    trailer = os.pread(handle, TRAILER_BYTES, max(size - TRAILER_BYTES, 0))
    length = min(index_bytes(trailer), size)
    return read_index(os.pread(handle, length, size - length), size)


def read_frame(handle: int, frame: Frame) -> bytes:
    """The lines of one frame; raises `BrokenSegment`."""
    return unpack_frame(frame, os.pread(handle, frame.stored_bytes, frame.offset))


def packed_lines(
    handle: int, frames: tuple[Frame, ...], from_seq: int
) -> Iterator[tuple[int, bytes]]:
    """Lines of a compressed segment with their seqs, from a little before `from_seq` on."""
    for frame in frames[frame_of(frames, from_seq) :]:
        lines = read_frame(handle, frame).split(b"\n")
        lines.pop()
        yield from enumerate(lines, frame.first_seq)


class Compressor:
    """Compresses the sealed segments of a log, the oldest first. Call `advance` in idle moments."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._job: _Job | None = None
        self._given_up: set[int] = set()
        """Segments that did not come back as they went in; they stay plain."""
        self._done_below = 0
        with told_apart(f"tidying {root}"):
            for left in root.glob(f"*{names.UNFINISHED}"):
                left.unlink()

    def advance(self, firsts: list[int], open_seq: int) -> bool:
        """Do one slice on a segment before the one that starts with `open_seq`.

        Returns whether there is more to do. Raises `DiskFull`, after which a later call starts the
        segment again, or `WriteFailed`.
        """
        if self._job is None:
            first_seq = self._next(firsts, open_seq)
            if first_seq is None:
                return False
            with told_apart(f"compressing {names.segment_name(first_seq)}"):
                self._job = _Job(self._root, first_seq)
        try:
            with told_apart(f"compressing {self._job.path}"):
                if self._job.advance():
                    return True
        except BrokenSegment as problem:
            self._given_up.add(self._job.first_seq)
            log.error("log.not_compressed", extra={"reason": problem.message})
        except BaseException:
            self.close()
            raise
        self.close()
        return True

    def leave(self, upto_seq: int) -> None:
        """Let go of a segment that begins at or before `upto_seq`: it is about to be removed."""
        if self._job is not None and self._job.first_seq <= upto_seq:
            self.close()

    def close(self) -> None:
        """Drop what is unfinished."""
        if self._job is not None:
            self._job.close()
            self._job = None

    def _next(self, firsts: list[int], open_seq: int) -> int | None:
        for first_seq in firsts:
            if self._done_below <= first_seq < open_seq and first_seq not in self._given_up:
                if (self._root / names.segment_name(first_seq)).exists():
                    return first_seq
                self._done_below = first_seq + 1
        return None


class _Job:
    """One segment on its way from one form to the other."""

    def __init__(self, root: Path, first_seq: int) -> None:
        self.first_seq = first_seq
        self.path = root / names.segment_name(first_seq)
        self._packed = root / names.packed_name(first_seq)
        self._unfinished = root / (names.packed_name(first_seq) + names.UNFINISHED)
        self._plain = open_private(self.path)
        self._file = -1
        try:
            self._file = open_private(self._unfinished, create=True, write=True)
            os.ftruncate(self._file, 0)
        except BaseException:
            self.close()
            raise
        self._size = os.fstat(self._plain).st_size
        self._packer = Packer(first_seq)
        self._read_bytes = self._written_bytes = 0
        self._hash, self._back = hashlib.sha256(), hashlib.sha256()
        self._unchecked: list[Frame] | None = None
        """Frames to read back, the next one last; None while there is still something to write."""

    def advance(self) -> bool:
        """One slice; False when the plain file is gone. Raises `BrokenSegment`."""
        if self._unchecked is None:
            self._write_slice()
        elif self._unchecked:
            self._back.update(read_frame(self._file, self._unchecked.pop()))
        else:
            self._replace()
            return False
        return True

    def _write_slice(self) -> None:
        lines = self._next_lines()
        if lines:
            self._hash.update(lines)
            self._put(self._packer.pack(lines))
            self._read_bytes += len(lines)
            return
        self._put(self._packer.finish())
        sync_data(self._file)
        self._unchecked = list(reversed(frames_in(self._file)))

    def _next_lines(self) -> bytes:
        """Whole lines, one frame of them; what is no line goes into the last frame as it is."""
        wanted = FRAME_BYTES
        while True:
            lines = os.pread(self._plain, wanted, self._read_bytes)
            if self._read_bytes + len(lines) >= self._size:
                return lines
            end = lines.rfind(b"\n") + 1
            if end:
                return lines[:end]
            wanted *= 2

    def _put(self, data: bytes) -> None:
        write_all(self._file, data, self._written_bytes)
        self._written_bytes += len(data)

    def _replace(self) -> None:
        if self._back.digest() != self._hash.digest() or self._read_bytes != self._size:
            raise BrokenSegment(f"{self.path} does not come back from its compressed form")
        os.rename(self._unfinished, self._packed)
        sync_folder(self._packed.parent)
        os.unlink(self.path)

    def close(self) -> None:
        """Let go; an unfinished file is removed."""
        for handle in (self._plain, self._file):
            if handle >= 0:
                os.close(handle)
        self._plain = self._file = -1
        with told_apart(f"removing {self._unfinished}"):
            self._unfinished.unlink(missing_ok=True)
