"""Reading a program's output line by line, without more than one line in memory."""

from contextlib import suppress

import anyio
from anyio.abc import ByteReceiveStream

LINE_BYTES_MAX = 16 * 1024 * 1024
"""Longest line."""
PIECE_BYTES = 64 * 1024


class LineTooLong(Exception):
    """A line of more than `LINE_BYTES_MAX` bytes; what comes next cannot be read."""


class Lines:
    """The lines of one stream, for one reader."""

    def __init__(self, stream: ByteReceiveStream, line_bytes_max: int = LINE_BYTES_MAX) -> None:
        self._stream = stream
        self._most = line_bytes_max
        self._held = bytearray()
        self._seen = 0
        """Bytes of `_held` that are known to have no end of a line."""

    async def next(self) -> bytes | None:
        """The next line without its end; None when the stream ended. Raises `LineTooLong`.

        What stands behind the last end of a line is no line.
        """
        while (end := self._held.find(b"\n", self._seen)) < 0:
            self._seen = len(self._held)
            if self._seen > self._most:
                raise LineTooLong(f"a line of more than {self._most} bytes")
            try:
                self._held += await self._stream.receive(PIECE_BYTES)
            except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
                return None
        line = bytes(self._held[:end])
        del self._held[: end + 1]
        self._seen = 0
        return line

    async def drop(self) -> None:
        """Forget what has come and nobody has read."""
        self._held.clear()
        self._seen = 0
        ended = (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError)
        with suppress(*ended), anyio.move_on_after(0):
            while True:
                await self._stream.receive(PIECE_BYTES)
