"""Sealed segments, compressed: the same lines, byte for byte, in frames that are read alone.

A frame holds whole lines, about `FRAME_BYTES` of them, so a seq is a look into the index and one
frame, and a verification is a stream. Its lines are kept as columns (`core.columns`), in one
zstandard frame, and their signatures in another; lines that do not come back from columns are kept
as they are, in one. Behind all of them stands a skippable frame, the index: for each frame its
first seq and its lengths, then SHA-256 of all bytes before that, the number of frames and a mark.
So no bit of the file can change unseen.

Nothing here trusts a file: lengths are compared before anything is decompressed.
"""

import hashlib
import struct
import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import zstandard

from thehum.core.columns import BrokenColumns, join_lines, split_lines
from thrum.errors import LocalError

FRAME_BYTES = 256 * 1024
LEVEL = 12
"""Of compression. There is little left to compress, so a high level costs nothing."""

_FRAME_MAGIC = b"\x28\xb5\x2f\xfd"
_COLUMNS_START = b"\x93"
"""An array of three in msgpack. A line begins with `{`."""
_COLUMNS_EXTRA_BYTES = 64 * 1024
"""Columns are shorter than their lines, but for what msgpack adds to few or strange ones."""
_SKIPPABLE = struct.Struct("<II")
_SKIPPABLE_MAGIC = 0x184D2A5B
_ENTRY = struct.Struct("<QIII")
_TRAILER = struct.Struct("<32sI8s")
_MARK = b"humlog\0\2"
TRAILER_BYTES = _TRAILER.size
FRAMES_MAX = 1 << 20


class BrokenSegment(LocalError):
    """A compressed segment is not what was sealed."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where some lines stand in the file."""

    first_seq: int
    offset: int
    stored_bytes: int
    plain_bytes: int
    columns_bytes: int
    """How much of `stored_bytes` are the columns; 0 when the lines are kept as they are."""


class Packer:
    """Makes the bytes of a compressed segment, one run of lines at a time."""

    def __init__(self, first_seq: int) -> None:
        self._next_seq = first_seq
        self._entries: list[bytes] = []
        self._hash = hashlib.sha256()
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)

    def pack(self, lines: bytes) -> bytes:
        """The frame of `lines`, which end with a newline and follow those of the frame before."""
        columns, signatures = self._split(lines)
        frame = columns + signatures if columns else self._compressor.compress(lines)
        entry = _ENTRY.pack(self._next_seq, len(frame), len(lines), len(columns))
        self._entries.append(entry)
        self._next_seq += lines.count(b"\n")
        self._hash.update(frame)
        return frame

    def _split(self, lines: bytes) -> tuple[bytes, bytes]:
        """The compressed columns and signatures; nothing when the lines do not come back."""
        try:
            columns, signatures = split_lines(lines.split(b"\n")[:-1])
            is_same = _joined(columns, signatures, len(lines)) == lines
        except BrokenColumns:
            is_same = False
        if not is_same or len(columns) > len(lines) + _COLUMNS_EXTRA_BYTES:
            return b"", b""
        compress = self._compressor.compress
        return compress(columns), compress(signatures)

    def finish(self) -> bytes:
        """What stands behind the last frame."""
        entries = b"".join(self._entries)
        begin = _SKIPPABLE.pack(_SKIPPABLE_MAGIC, len(entries) + TRAILER_BYTES) + entries
        self._hash.update(begin)
        return begin + _TRAILER.pack(self._hash.digest(), len(self._entries), _MARK)


def is_packed(stored: bytes) -> bool:
    """Whether a segment's bytes are a compressed one's, even when one end of it is damaged.

    A plain one begins with `{` or a NUL, and ends with a newline or a NUL.
    """
    return stored.startswith(_FRAME_MAGIC) or stored.endswith(_MARK)


def index_bytes(trailer: bytes) -> int:
    """How long the index is, by its last `TRAILER_BYTES`; raises `BrokenSegment`."""
    if len(trailer) != TRAILER_BYTES:
        raise BrokenSegment("too short for a compressed segment")
    _, count, mark = _TRAILER.unpack(trailer)
    if mark != _MARK or not 0 < count <= FRAMES_MAX:
        raise BrokenSegment("no index at the end of a compressed segment")
    return int(_SKIPPABLE.size + count * _ENTRY.size + TRAILER_BYTES)


def read_index(index: bytes, file_bytes: int) -> tuple[Frame, ...]:
    """The frames by the last `index_bytes` of a file; raises `BrokenSegment`."""
    length = index_bytes(index[-TRAILER_BYTES:])
    if len(index) != length or _SKIPPABLE.unpack_from(index) != (
        _SKIPPABLE_MAGIC,
        length - _SKIPPABLE.size,
    ):
        raise BrokenSegment("the index of a compressed segment has another length")
    frames: list[Frame] = []
    offset = 0
    entries = index[_SKIPPABLE.size : -TRAILER_BYTES]
    for first_seq, stored, plain, columns in _ENTRY.iter_unpack(entries):
        frames.append(Frame(first_seq, offset, stored, plain, columns))
        offset += stored
    if offset + length != file_bytes:
        raise BrokenSegment("a compressed segment has another length than its index says")
    return tuple(frames)


def frame_of(frames: Sequence[Frame], seq: int) -> int:
    """The number of the frame that holds `seq`, if any does."""
    return max(bisect_right(frames, seq, key=lambda frame: frame.first_seq) - 1, 0)


def unpack_frame(frame: Frame, stored: bytes) -> bytes:
    """The lines of a frame; raises `BrokenSegment` unless they are what went in."""
    plain_bytes, columns_bytes = frame.plain_bytes, frame.columns_bytes
    try:
        if not columns_bytes:
            return _decompressed(stored, plain_bytes, plain_bytes)
        columns = _decompressed(stored[:columns_bytes], 1, plain_bytes + _COLUMNS_EXTRA_BYTES)
        signatures = _decompressed(stored[columns_bytes:], 0, plain_bytes)
        lines = _joined(columns, signatures, plain_bytes)
    except (zstandard.ZstdError, BrokenColumns) as problem:
        raise BrokenSegment(f"the frame of event {frame.first_seq}: {problem}") from problem
    if len(lines) != plain_bytes:
        raise BrokenSegment(f"the frame of event {frame.first_seq} has another length")
    return lines


def _decompressed(stored: bytes, bytes_min: int, bytes_max: int) -> bytes:
    """What is in a zstandard frame, which must be that long."""
    if not bytes_min <= zstandard.frame_content_size(stored) <= bytes_max:
        raise zstandard.ZstdError(f"not {bytes_min} to {bytes_max} bytes")
    return zstandard.ZstdDecompressor().decompress(stored, allow_extra_data=False)


def _joined(columns: bytes, signatures: bytes, bytes_max: int) -> bytes:
    lines = join_lines(columns, signatures, bytes_max=bytes_max)
    return b"\n".join([*lines, b""])


def unpack(stored: bytes) -> tuple[bytes, bool]:
    """A segment's lines from its file, compressed or plain, and whether the file is as sealed.

    When it is not, the lines are those before the first frame that does not decompress.
    """
    if not is_packed(stored):
        return stored, True
    try:
        index = stored[-index_bytes(stored[-TRAILER_BYTES:]) :]
        frames = read_index(index, len(stored))
    except BrokenSegment:
        return _unpack_without_index(stored), False
    found = hashlib.sha256(memoryview(stored)[:-TRAILER_BYTES]).digest()
    is_whole = found == _TRAILER.unpack(stored[-TRAILER_BYTES:])[0]
    lines: list[bytes] = []
    try:
        for frame in frames:
            end = frame.offset + frame.stored_bytes
            lines.append(unpack_frame(frame, stored[frame.offset : end]))
    except BrokenSegment:
        is_whole = False
    return b"".join(lines), is_whole


def _unpack_without_index(stored: bytes) -> bytes:
    """The lines of all frames up to the first that is damaged or cut."""
    lines: list[bytes] = []
    parts = _parts(stored)
    try:
        for part in parts:
            is_columns = part.startswith(_COLUMNS_START)
            lines.append(_joined(part, next(parts, b""), sys.maxsize) if is_columns else part)
    except (zstandard.ZstdError, BrokenColumns):
        pass
    return b"".join(lines)


def _parts(stored: bytes) -> Iterator[bytes]:
    """What is in each zstandard frame; one that is cut in the middle ends it."""
    while stored.startswith(_FRAME_MAGIC):
        unpacking = zstandard.ZstdDecompressor().decompressobj()
        part = unpacking.decompress(stored)
        if not unpacking.eof:
            return  # its checksum was not looked at
        yield part
        stored = unpacking.unused_data
