"""The files of snapshots: taken in pieces, kept once the log says so, the older ones removed.

A file is written as `<20 digits>.ndjson.tmp` and gets its name when the event that tells of it is
on disk. What a crash leaves unfinished, the next start removes. Retention counts on what is kept.
"""

import hashlib
import logging
import os
from pathlib import Path

from nest.paths import ensure_private
from nest.private import replace_private
from thehum.core import names
from thehum.core.pages import PageLimits
from thehum.core.retention import Needs
from thehum.core.snapshots import (
    LAST_LINE_BYTES_MAX,
    Marks,
    NotASnapshot,
    floor_of,
    is_said,
    marks_in,
    outlived,
)
from thehum.edge.disk import (
    allocated,
    open_private,
    sync_data,
    sync_folder,
    told_apart,
    write_all,
)
from thehum.edge.log import Log
from thrum.errors import SettingsRefused

HOLD = "snapshots"
"""Who needs what is behind the snapshots that are kept."""
SNAPSHOT_BYTES_MAX = 1024 * 1024 * 1024
"""A snapshot that would be longer is refused."""
PIECE_BYTES_MAX = 1024 * 1024
"""Of a snapshot, in one answer."""

log = logging.getLogger(__name__)


class Refused(Exception):
    """What humd asked for cannot be done, and why."""


class _Unfinished:
    """The snapshot that is being written."""

    def __init__(self, path: Path, at_seq: int) -> None:
        path.unlink(missing_ok=True)
        self.path, self.at_seq = path, at_seq
        self.handle = open_private(path, create=True, write=True)
        self.size = 0
        self.digest = hashlib.sha256()

    def add(self, offset: int, data: bytes) -> None:
        """Append a piece; once this returns it is on disk."""
        if offset != self.size:
            raise Refused(f"a piece at {offset} of a file of {self.size} bytes")
        if self.size + len(data) > SNAPSHOT_BYTES_MAX:
            raise Refused(f"longer than {SNAPSHOT_BYTES_MAX} bytes")
        write_all(self.handle, data, self.size)
        sync_data(self.handle)
        self.digest.update(data)
        self.size += len(data)

    def close(self) -> None:
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1


class Snapshots:
    """See the module."""

    def __init__(self, root: Path, opened: Log, needs: Needs) -> None:
        self._log, self._needs = opened, needs
        self._root = root
        self._folder = root / names.SNAPSHOTS_DIR
        self._unfinished: _Unfinished | None = None
        self._kept: list[Marks] = []
        """The oldest first."""
        if opened.read_only is None:
            with told_apart("looking for snapshots"):
                self._resume()

    @property
    def disk_bytes(self) -> int:
        """What is kept takes on disk."""
        return sum(allocated(self._path(each.at_seq)) for each in self._kept)

    @property
    def newest(self) -> Marks | None:
        return self._kept[-1] if self._kept else None

    @property
    def at_seqs(self) -> list[int]:
        """The events that the snapshots which are here cover, ascending."""
        return self._found()

    def put(self, at_seq: int, offset: int, data: bytes) -> int:
        """Take a piece, the first of which begins a file anew; the size so far.

        Raises `Refused`, `DiskFull` or `WriteFailed`.
        """
        if offset == 0:
            self.abandon()
            ensure_private(self._folder)
            with told_apart("beginning a snapshot"):
                self._unfinished = _Unfinished(
                    self._path(at_seq).with_name(names.snapshot_name(at_seq) + names.UNFINISHED),
                    at_seq,
                )
        one = self._writing(at_seq)
        one.add(offset, data)
        return one.size

    def end(self, at_seq: int, sha256: str) -> str:
        """Every piece is here; the hash of the event that the snapshot covers."""
        one = self._writing(at_seq)
        if one.digest.hexdigest() != sha256:
            raise Refused("the pieces do not have the hash that was named")
        if at_seq > self._log.head.seq:
            raise Refused(f"the log ends at event {self._log.head.seq}")
        try:
            marks_in(_tail(one.path), at_seq=at_seq)
        except NotASnapshot as problem:
            raise Refused(problem.message) from problem
        one.close()
        sync_folder(self._folder)
        return self._log.hash_of(at_seq)

    def keep(self, at_seq: int, event_seq: int) -> None:
        """The event is on disk that tells of it: from now on a start may begin here."""
        one = self._writing(at_seq)
        lines = self._log.page(event_seq, PageLimits(events_max=1)).lines
        if not lines or not is_said(lines[0], at_seq=at_seq, sha256=one.digest.hexdigest()):
            raise Refused(f"event {event_seq} does not tell of it")
        marks = marks_in(_tail(one.path), at_seq=at_seq)
        with told_apart("naming a snapshot"):
            one.path.rename(self._path(at_seq))
            sync_folder(self._folder)
            replace_private(self._root / names.ROOT, f"{marks.root}\n".encode())
        self._unfinished = None
        self._kept.append(marks)
        self._settle()

    def abandon(self) -> None:
        """Nobody will finish what was begun."""
        if self._unfinished is not None:
            self._unfinished.close()
            self._unfinished.path.unlink(missing_ok=True)
            self._unfinished = None

    def read(self, at_seq: int, offset: int) -> tuple[bytes, int]:
        """A piece of a snapshot that is here, and how long the whole is."""
        try:
            handle = open_private(self._path(at_seq))
        except (OSError, SettingsRefused) as problem:
            raise Refused(f"it cannot be read: {problem}") from problem
        try:
            return os.pread(handle, PIECE_BYTES_MAX, offset), os.fstat(handle).st_size
        except OSError as problem:
            raise Refused(f"it cannot be read: {problem.strerror}") from problem
        finally:
            os.close(handle)

    def _writing(self, at_seq: int) -> _Unfinished:
        if self._unfinished is None or self._unfinished.at_seq != at_seq:
            raise Refused("nothing was begun for this event")
        return self._unfinished

    def _resume(self) -> None:
        """What an earlier life of this process left."""
        for at_seq in self._found():
            try:
                self._kept.append(marks_in(_tail(self._path(at_seq)), at_seq=at_seq))
            except (NotASnapshot, SettingsRefused, OSError) as problem:
                log.error("log.bad_snapshot", extra={"seq": at_seq, "reason": str(problem)})
        if self._folder.is_dir():
            for name in os.listdir(self._folder):
                if name.endswith(names.UNFINISHED):
                    (self._folder / name).unlink(missing_ok=True)
        self._settle()

    def _settle(self) -> None:
        """Remove what has outlived itself, and say what is needed."""
        gone = outlived(self._kept)
        for each in gone:
            with told_apart("removing a snapshot"):
                self._path(each.at_seq).unlink(missing_ok=True)
        if gone:
            sync_folder(self._folder)
        self._kept = [each for each in self._kept if each not in gone]
        for each in self._kept:
            self._needs.snapshot(each.at_seq)
        self._needs.hold(HOLD, floor_of(self._kept))

    def _found(self) -> list[int]:
        found = os.listdir(self._folder) if self._folder.is_dir() else []
        return sorted(seq for seq in map(names.snapshot_seq, found) if seq is not None)

    def _path(self, at_seq: int) -> Path:
        return self._folder / names.snapshot_name(at_seq)


def _tail(path: Path) -> bytes:
    """The end of a file."""
    handle = open_private(path)
    try:
        size = os.fstat(handle).st_size
        return os.pread(handle, LAST_LINE_BYTES_MAX, max(size - LAST_LINE_BYTES_MAX, 0))
    finally:
        os.close(handle)
