"""Sealed segments, compressed: the same lines, byte for byte, in independent zstandard frames.

A frame holds whole lines, about `FRAME_BYTES` of them, so a seq is a look into the index and one
frame, and a verification is a stream. Behind the frames stands one skippable frame, the index: for
each frame its first seq and both lengths, then SHA-256 of all bytes before that, the number of
frames and a mark. `zstd -dc` therefore prints the lines, and no bit of the file can change unseen.

Nothing here trusts a file: lengths are compared before anything is decompressed.
"""

import hashlib
import struct
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import zstandard

from thrum.errors import LocalError

FRAME_BYTES = 256 * 1024
LEVEL = 6
"""Of compression. Higher levels take several times as long and save a few bytes in a hundred."""

_FRAME_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = struct.Struct("<II")
_SKIPPABLE_MAGIC = 0x184D2A5B
_ENTRY = struct.Struct("<QII")
_TRAILER = struct.Struct("<32sI8s")
_MARK = b"humlog\0\1"
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


class Packer:
    """Makes the bytes of a compressed segment, one run of lines at a time."""

    def __init__(self, first_seq: int) -> None:
        self._next_seq = first_seq
        self._entries: list[bytes] = []
        self._hash = hashlib.sha256()
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)

    def pack(self, lines: bytes) -> bytes:
        """The frame of `lines`, which end with a newline and follow those of the frame before."""
        frame = self._compressor.compress(lines)
        self._entries.append(_ENTRY.pack(self._next_seq, len(frame), len(lines)))
        self._next_seq += lines.count(b"\n")
        self._hash.update(frame)
        return frame

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
    for first_seq, stored, plain in _ENTRY.iter_unpack(index[_SKIPPABLE.size : -TRAILER_BYTES]):
        frames.append(Frame(first_seq, offset, stored, plain))
        offset += stored
    if offset + length != file_bytes:
        raise BrokenSegment("a compressed segment has another length than its index says")
    return tuple(frames)


def frame_of(frames: Sequence[Frame], seq: int) -> int:
    """The number of the frame that holds `seq`, if any does."""
    return max(bisect_right(frames, seq, key=lambda frame: frame.first_seq) - 1, 0)


def unpack_frame(frame: Frame, stored: bytes) -> bytes:
    """The lines of a frame; raises `BrokenSegment` unless they are what went in."""
    try:
        if zstandard.frame_content_size(stored) != frame.plain_bytes:
            raise BrokenSegment(f"the frame of event {frame.first_seq} has another length")
        return zstandard.ZstdDecompressor().decompress(stored, allow_extra_data=False)
    except zstandard.ZstdError as problem:
        raise BrokenSegment(f"the frame of event {frame.first_seq}: {problem}") from problem


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
    lines: list[bytes] = []
    rest = stored
    try:
        while rest.startswith(_FRAME_MAGIC):
            unpacking = zstandard.ZstdDecompressor().decompressobj()
            lines.append(unpacking.decompress(rest))
            if not unpacking.eof:
                lines.pop()  # cut in the middle, so its checksum was not looked at
                break
            rest = unpacking.unused_data
    except zstandard.ZstdError:
        pass
    return b"".join(lines)
