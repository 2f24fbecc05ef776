"""Bodies beside the log, read from their files alone."""

import os
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

from thehum.core.beside import There
from thehum.core.keeping import Place, digest_of
from thehum.core.names import BODIES_DIR, bodies_name, bodies_seq
from thehum.core.records import BrokenRecord, Record, is_filed, read_records


def files_beside(root: Path) -> list[int]:
    """First seqs of the files of bodies, ascending."""
    folder = root / BODIES_DIR
    found = os.listdir(folder) if folder.is_dir() else ()
    seqs = (bodies_seq(name) for name in found)
    return sorted(seq for seq in seqs if seq is not None)


def read_beside(root: Path, seq: int, place: Place) -> bytes | None:
    """The body of event `seq`; None when it is gone.

    Raises `BrokenRecord` when it is another one than the event says, or cannot be read.
    """
    firsts = files_beside(root)
    at = bisect_right(firsts, seq) - 1
    if at < 0:
        return None
    with (root / BODIES_DIR / bodies_name(firsts[at])).open("rb") as file:
        record = next((one for one in records_of(file) if one.seq == seq), None)
        if record is None or record.is_gone:
            return None
        return body_of(file, record, place)


def records_of(file: BinaryIO) -> Iterator[Record]:
    """The records of a file. Raises `BrokenRecord` where it cannot be read on."""
    return read_records(
        lambda offset, length: _read(file, offset, length), file.seek(0, os.SEEK_END)
    )


class Beside:
    """Looks for one body after the other, in the order of their events."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._firsts = files_beside(root)
        self._file: BinaryIO | None = None
        self._records: dict[int, Record] = {}
        self._twice: set[int] = set()
        """Events of which the file has two bodies."""
        self._first_seq = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def filed(self, seq: int, place: Place, sid: str | None) -> There:
        """As `look`; one that is filed under another sid than its event's is changed."""
        there = self.look(seq, place)
        is_astray = there is There.WHOLE and not is_filed(self._records[seq], sid)
        return There.CHANGED if is_astray else there

    def look(self, seq: int, place: Place) -> There:
        """What there is of the body of event `seq`."""
        record = self._found(seq)
        if self._file is None or record is None:
            return There.GONE
        try:
            body_of(self._file, record, place)
            if seq in self._twice:
                return There.CHANGED
        except BrokenRecord:
            return There.CHANGED
        return There.WHOLE

    def body(self, seq: int, place: Place) -> bytes | None:
        """The body of event `seq`; None when it is gone, or not what the event says."""
        record = self._found(seq)
        if self._file is None or record is None:
            return None
        try:
            return body_of(self._file, record, place)
        except BrokenRecord:
            return None

    def _found(self, seq: int) -> Record | None:
        """Where the body of event `seq` is; None when it is gone."""
        at = bisect_right(self._firsts, seq) - 1
        if at >= 0 and self._firsts[at] != self._first_seq:
            self._open(self._firsts[at])
        record = self._records.get(seq)
        return None if record is None or record.is_gone else record

    def _open(self, first_seq: int) -> None:
        self.__exit__()
        self._first_seq, self._records, self._twice = first_seq, {}, set()
        self._file = None
        try:
            self._file = (self._root / BODIES_DIR / bodies_name(first_seq)).open("rb")
            for record in records_of(self._file):
                if record.seq in self._records:
                    self._twice.add(record.seq)
                self._records[record.seq] = record
        except FileNotFoundError:
            pass  # all of it was forgotten since we looked
        except BrokenRecord:
            pass  # what is behind the break is not found, and reported as lost


def body_of(file: BinaryIO, record: Record, place: Place) -> bytes:
    """The body of a record; raises `BrokenRecord` when the event means another one."""
    raw = _read(file, record.body_offset, record.body_bytes)
    if digest_of(record.salt, raw) != place.digest:
        raise BrokenRecord(f"the body of event {record.seq} is not what was hashed into it")
    return raw


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)
