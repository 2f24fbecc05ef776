"""The files of bodies beside the log: written before their events, read back, forgotten.

A body is on disk before the line that names it, so an acknowledged event has its body. What a crash
can leave here: records behind the log's head, whose events were never acknowledged (the next start
cuts them off), and a `.tmp` of a file that was being made smaller (removed).

Forgetting overwrites salt and body where they are, syncs, then marks the record, and only then
makes the file smaller: it needs no room to begin, and a crash anywhere leaves a record that is
found again.
"""

import logging
import os
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from thehum.core import names
from thehum.core.keeping import Aside, Place, digest_of
from thehum.core.records import (
    GONE,
    HEAD,
    SALT_AT,
    BrokenRecord,
    Record,
    is_of,
    pack,
    read_records,
)
from thehum.edge.disk import (
    make_folder,
    open_private,
    sync_data,
    sync_folder,
    told_apart,
    write_all,
)
from thehum.errors import DiskFull

FILE_BYTES_MAX = 64 * 1024 * 1024
"""A file that has reached it is followed by the next one."""
INDEXED_FILES_MAX = 4
ZEROS = bytes(1024 * 1024)

log = logging.getLogger(__name__)


class DamagedBody(BrokenRecord):
    """A body beside the log that is not what its event says."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What one step of forgetting took away."""

    bodies: int = 0
    bytes: int = 0

    def __add__(self, other: "Erased") -> "Erased":
        return Erased(self.bodies + other.bodies, self.bytes + other.bytes)


@dataclass(slots=True)
class _Index:
    """Where the records of one file are, as far as it was read."""

    seqs: "array[int]" = field(default_factory=lambda: array("Q"))
    offsets: "array[int]" = field(default_factory=lambda: array("Q"))
    end: int = 0

    def grow(self, records: Iterator[Record]) -> None:
        for record in records:
            self.seqs.append(record.seq)
            self.offsets.append(record.offset)
            self.end = record.end

    def offset_of(self, seq: int) -> int | None:
        at = bisect_left(self.seqs, seq)
        return self.offsets[at] if at < len(self.seqs) and self.seqs[at] == seq else None


class Bodies:
    """See the module. `write` and then `settle`, once the events are on disk."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.folder = root / names.BODIES_DIR
        self.firsts: list[int] = []
        """First seqs of the files, ascending."""
        self._handle = -1
        self._end = self._written_end = 0
        self._indexes: OrderedDict[int, _Index] = OrderedDict()
        self.refresh()

    def refresh(self) -> None:
        """Look which files there are."""
        found = os.listdir(self.folder) if self.folder.is_dir() else ()
        seqs = (names.bodies_seq(name) for name in found)
        self.firsts = sorted(seq for seq in seqs if seq is not None)

    def close(self) -> None:
        """Let the open file go."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def size(self, from_seq: int = 0, upto_seq: int = sys.maxsize) -> int:
        """Bytes of all files that begin within these events."""
        firsts = (first for first in self.firsts if from_seq <= first <= upto_seq)
        return sum(self._path(first).stat().st_size for first in firsts)

    # --- writing

    def write(self, asides: Sequence[Aside], *, segment_first_seq: int) -> None:
        """Put bodies on disk, for events that are about to be appended; `settle` when they are.

        A file belongs to one segment of the log, so that both can be dropped together. Raises
        `DiskFull`, after which the same events may be tried again, or `WriteFailed`.
        """
        if self._end == 0:
            self._abandon()
        is_new = (
            self._handle < 0 or self.firsts[-1] < segment_first_seq or self._end >= FILE_BYTES_MAX
        )
        if is_new:
            self._begin(asides[0].seq)
        with told_apart("writing bodies"):
            if os.fstat(self._handle).st_size > self._end:
                os.ftruncate(self._handle, self._end)
        data = b"".join(map(pack, asides))
        write_all(self._handle, data, self._end)
        sync_data(self._handle)
        if is_new:
            sync_folder(self.folder)
        self._written_end = self._end + len(data)

    def settle(self) -> None:
        """The events of the last `write` are on disk."""
        self._end = self._written_end

    def _begin(self, first_seq: int) -> None:
        self.close()
        is_first = not self.folder.is_dir()
        with told_apart(f"opening {self.folder}"):
            make_folder(self.folder)
            if is_first:
                sync_folder(self._root)
            self._handle = open_private(self._path(first_seq), create=True, write=True)
        self.firsts = sorted({*self.firsts, first_seq})
        self._end = self._written_end = 0

    def _abandon(self) -> None:
        """Remove a file whose only bodies belong to events that were not appended after all."""
        if self._handle >= 0:
            self.close()
            self._remove(self.firsts[-1])

    def _remove(self, first_seq: int) -> None:
        with told_apart(f"removing {self._path(first_seq)}"):
            self._path(first_seq).unlink(missing_ok=True)
        self._indexes.pop(first_seq, None)
        self.firsts.remove(first_seq)

    # --- recovering

    def recover(self, head_seq: int, has_bodies_behind: Callable[[int], bool]) -> int:
        """Cut off what belongs to no event; how many bytes that was. The log must be writable.

        `has_bodies_behind` says whether an event of the log behind a seq has its body here: then
        what cannot be read is damage and stays.
        """
        cut = 0
        self._remove_unfinished()
        for first_seq in [first for first in self.firsts if first > head_seq]:
            cut += self._path(first_seq).stat().st_size
            self._remove(first_seq)
        if self.firsts:
            cut += self._reopen(head_seq, has_bodies_behind)
        if cut:
            sync_folder(self.folder)
        return cut

    def _remove_unfinished(self) -> None:
        if self.folder.is_dir():
            for name in os.listdir(self.folder):
                if name.endswith(names.UNFINISHED):
                    (self.folder / name).unlink()

    def _reopen(self, head_seq: int, has_bodies_behind: Callable[[int], bool]) -> int:
        """Go on with the newest file, cut behind the last body of an event; the bytes cut off."""
        path = self._path(self.firsts[-1])
        handle = open_private(path, write=True)
        size, end, last_seq = os.fstat(handle).st_size, 0, self.firsts[-1] - 1
        try:
            for record in read_records(partial(_pread, handle), size):
                if record.seq > head_seq:
                    break
                end, last_seq = record.end, record.seq
        except BrokenRecord as problem:
            if has_bodies_behind(last_seq):
                log.error("log.damaged_bodies", extra={"file": str(path), "reason": str(problem)})
                os.close(handle)
                return 0
        if end < size:
            with told_apart(f"cutting {path}"):
                os.ftruncate(handle, end)
            sync_data(handle)
        self._handle, self._end, self._written_end = handle, end, end
        return size - end

    # --- reading

    def read(self, seq: int, place: Place) -> bytes | None:
        """The body of event `seq`; None when it is not here any more.

        Raises `DamagedBody` when it is another one than the event says.
        """
        at = bisect_right(self.firsts, seq) - 1
        if at < 0:
            return None
        first_seq = self.firsts[at]
        try:
            handle = open_private(self._path(first_seq))
        except FileNotFoundError:
            return None
        try:
            return _checked(handle, self._offset(handle, first_seq, seq), seq, place)
        except BrokenRecord as problem:
            raise DamagedBody(f"the body of event {seq}: {problem.message}") from problem
        finally:
            os.close(handle)

    def _offset(self, handle: int, first_seq: int, seq: int) -> int | None:
        index = self._indexes.pop(first_seq, None) or _Index()
        self._indexes[first_seq] = index
        if len(self._indexes) > INDEXED_FILES_MAX:
            self._indexes.popitem(last=False)
        if not index.seqs or seq > index.seqs[-1]:
            is_open = first_seq == self.firsts[-1] and self._handle >= 0
            size = self._end if is_open else os.fstat(handle).st_size
            index.grow(read_records(partial(_pread, handle), size, index.end))
        return index.offset_of(seq)

    # --- forgetting

    def forget(self, sid: str, *, before_seq: int, first_seq: int) -> Erased:
        """Erase the bodies of `sid` before event `before_seq` from the file `first_seq`.

        Once this returns that is on disk. Raises `WriteFailed`; `BrokenRecord`, when the file
        cannot be read to its end, after erasing what was found.
        """
        path = self._path(first_seq)
        handle = open_private(path, write=True)
        gone: list[Record] = []
        try:
            size = os.fstat(handle).st_size
            gone.extend(
                record
                for record in read_records(partial(_pread, handle), size)
                if record.seq < before_seq and not record.is_gone and is_of(record, sid)
            )
        finally:
            try:
                _erase(handle, gone)
            finally:
                os.close(handle)
        if gone:
            self._shrink(first_seq)
        return Erased(len(gone), sum(record.body_bytes for record in gone))

    def _shrink(self, first_seq: int) -> None:
        """Write the file anew without what was forgotten; without room for that it stays."""
        path = self._path(first_seq)
        beside = path.with_name(path.name + names.UNFINISHED)
        is_open = first_seq == self.firsts[-1] and self._handle >= 0
        try:
            size = _copy_kept(path, beside)
        except DiskFull as problem:
            beside.unlink(missing_ok=True)
            log.warning("log.bodies_not_smaller", extra={"reason": problem.message})
            return
        self._indexes.pop(first_seq, None)
        if is_open:
            self.close()
        if size:
            with told_apart(f"replacing {path}"):
                beside.replace(path)
            if is_open:
                self._handle = open_private(path, write=True)
                self._end = self._written_end = size
        else:
            beside.unlink()
            self._remove(first_seq)
        sync_folder(self.folder)

    def drop(self, upto_seq: int) -> int:
        """Remove the files of segments that end at or before `upto_seq`; the bytes that frees.

        Called once those segments are gone, with the last event of one; a file belongs to one.
        """
        freed = 0
        while self.firsts and self.firsts[0] <= upto_seq:
            if len(self.firsts) == 1:
                self.close()
                self._end = self._written_end = 0
            freed += self._path(self.firsts[0]).stat().st_size
            self._remove(self.firsts[0])
        return freed

    def _path(self, first_seq: int) -> Path:
        return self.folder / names.bodies_name(first_seq)


def _checked(handle: int, offset: int | None, seq: int, place: Place) -> bytes | None:
    """The body of the record at `offset`, when it is the one that `place` describes."""
    if offset is None:
        return None
    size = os.fstat(handle).st_size
    record = next(read_records(partial(_pread, handle), size, offset))
    if record.is_gone:
        return None
    raw = _pread(handle, record.body_offset, record.body_bytes)
    if record.seq != seq or digest_of(record.salt, raw) != place.digest:
        raise BrokenRecord("it is not what was hashed into the event")
    return raw


def _erase(handle: int, records: Sequence[Record]) -> None:
    """Overwrite salts and bodies, sync, mark the records, sync."""
    if not records:
        return
    for record in records:
        write_all(handle, ZEROS[: HEAD.size - SALT_AT], record.offset + SALT_AT)
        for at in range(record.body_offset, record.end, len(ZEROS)):
            write_all(handle, ZEROS[: min(len(ZEROS), record.end - at)], at)
    sync_data(handle)
    for record in records:
        write_all(handle, GONE, record.offset)
    sync_data(handle)


def _copy_kept(path: Path, beside: Path) -> int:
    """Copy the records that were not forgotten to a new file, on disk; its length."""
    source = open_private(path)
    try:
        target = open_private(beside, create=True, write=True)
        try:
            end = 0
            for record in read_records(partial(_pread, source), os.fstat(source).st_size):
                if not record.is_gone:
                    length = record.end - record.offset
                    write_all(target, _pread(source, record.offset, length), end)
                    end += length
            with told_apart(f"writing {beside}"):
                os.ftruncate(target, end)
            sync_data(target)
            return end
        finally:
            os.close(target)
    finally:
        os.close(source)


def _pread(handle: int, offset: int, length: int) -> bytes:
    """All of `length` bytes, or what there is."""
    data = os.pread(handle, length, offset)
    while 0 < len(data) < length:
        more = os.pread(handle, length - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data
