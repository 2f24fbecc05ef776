"""Lines of a log file that supervisord writes: the last ones, and those that come later.

supervisord puts a file that is full aside as `NAME.1` and goes on in a new one.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

TAIL_BYTES_MAX = 1024 * 1024
"""How much of the end of one file is read."""
MORE_BYTES_MAX = 1024 * 1024
"""Read at once of what came later; a longer line is told in parts."""


class LogFile:
    """One log file, which need not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._inode = 0
        """Of the file that `_offset` lies in; 0 before there is one."""

    def tail(self, lines: int) -> list[bytes]:
        """The last lines, without their newlines; `more` goes on behind them.

        What is written right now counts as a line.
        """
        found: list[bytes] = []
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            status = os.fstat(file.fileno())
            self._inode, self._offset = status.st_ino, status.st_size
            found = _end_of(file, status.st_size)
        if len(found) < lines:
            with suppress(FileNotFoundError), self._aside.open("rb") as file:
                found = [*_end_of(file, os.fstat(file.fileno()).st_size), *found]
        return found[-lines:]

    def more(self) -> list[bytes]:
        """Whole lines that came since, those of a file that was put aside meanwhile first."""
        found: list[bytes] = []
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            inode = os.fstat(file.fileno()).st_ino
            if inode != self._inode:
                found += self._rest_aside()
                self._inode, self._offset = inode, 0
            found += self._whole_lines(file)
        return found

    @property
    def _aside(self) -> Path:
        return self._path.with_name(f"{self._path.name}.1")

    def _rest_aside(self) -> list[bytes]:
        with suppress(FileNotFoundError), self._aside.open("rb") as file:
            if os.fstat(file.fileno()).st_ino == self._inode:
                file.seek(self._offset)
                return file.read(MORE_BYTES_MAX).splitlines()
        return []

    def _whole_lines(self, file: BinaryIO) -> list[bytes]:
        file.seek(self._offset)
        read = file.read(MORE_BYTES_MAX)
        whole = read[: read.rfind(b"\n") + 1]
        if not whole and len(read) == MORE_BYTES_MAX:
            whole = read
        self._offset += len(whole)
        return whole.splitlines()


def _end_of(file: BinaryIO, size: int) -> list[bytes]:
    """Lines of the end of a file; the first one is whole."""
    file.seek(max(0, size - TAIL_BYTES_MAX))
    lines = file.read(min(size, TAIL_BYTES_MAX)).splitlines()
    return lines[1:] if size > TAIL_BYTES_MAX else lines
