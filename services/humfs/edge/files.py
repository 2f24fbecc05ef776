"""Reading what is open: whole and bounded, the first bytes, or in pieces of complete lines."""

import hashlib
import os
import sys
from collections.abc import Iterator

from humfs.edge.roots import Opened
from humfs.edge.watch import Watch
from humfs.errors import Code, Refusal

SEARCH = 'Search it with "pattern", which reads files of any size.'
BLOCK_BYTES = 256 * 1024
"""Bytes read at a time. A longer line is handled in pieces of this size."""


def read_whole(opened: Opened, *, bytes_max: int, hint: str = SEARCH) -> bytes:
    """A file's content; raises `Refusal` (`too_large`) when it is longer than `bytes_max`."""
    content = bytearray()
    while block := os.read(opened.handle, BLOCK_BYTES):
        content += block
        if len(content) > bytes_max:
            raise Refusal(
                Code.TOO_LARGE,
                f"{opened.place.path} is larger than {bytes_max} bytes.",
                hint=hint,
            )
    return bytes(content)


def read_head(opened: Opened, length: int) -> bytes:
    """The first bytes of a file; the next read starts at the beginning again."""
    return os.pread(opened.handle, length, 0)


def blocks(opened: Opened) -> Iterator[bytes]:
    """A file's content from the present position, block by block; a short one is the last."""
    while block := os.read(opened.handle, BLOCK_BYTES):
        yield block
        if len(block) < BLOCK_BYTES:
            return


def digest(opened: Opened, watch: Watch) -> tuple[str | None, int]:
    """SHA-256 and number of lines of a file, read to its end from the present position.

    When the time is over before, the digest is None, and so many lines were there until then.
    Raises `Refusal` when the call is cancelled.
    """
    digest, lines, last = hashlib.sha256(), 0, b"\n"
    for block in blocks(opened):
        if watch.is_over:
            return None, lines
        digest.update(block)
        lines += block.count(b"\n")
        last = block[-1:]
    return digest.hexdigest(), lines + (last != b"\n")


def line_pieces(opened: Opened) -> Iterator[tuple[int, bytes]]:
    """Number of the first line, and complete lines; a line over `BLOCK_BYTES` comes in parts."""
    line, rest = 1, b""
    for block in blocks(opened):
        piece, newline, tail = block.rpartition(b"\n")
        if not newline and len(rest) + len(block) <= BLOCK_BYTES:
            rest += block
            continue
        content = rest + (piece + newline if newline else block)
        rest = tail if newline else b""
        yield line, content
        line += content.count(b"\n")
    if rest:
        yield line, rest


def take_room(handle: int, size: int) -> None:
    """Make a file of ours at least `size` bytes long, none of them without a place on the disk.

    Raises `OSError`, and changes nothing, when there is no room. Where the system cannot do that
    (macOS), it is only made that long.
    """
    if sys.platform == "linux":
        os.posix_fallocate(handle, 0, size)
    elif os.fstat(handle).st_size < size:
        os.ftruncate(handle, size)
