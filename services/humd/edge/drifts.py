"""`drift/<day>.ndjson`: one line for each turn that ended on that day (UTC), as it became durable.

Computed from the log. A replay offers every record again; what a file has already is recognised by
its `seq`. So a crash leaves at most a torn last line, which the next start cuts off, and deleting
the folder loses nothing that the log still has.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from nest.paths import ensure_private
from thrum.tones import Body

DAY_BYTES_MAX = 256 * 1024 * 1024
"""Bytes of one day's file; later records of that day are counted and dropped."""
TAIL_BYTES = 256 * 1024
"""How much of the end of a file is looked at for its last line; no record is longer."""
WAITING_MAX = 4_096
"""Records that wait; a replay brings many at once."""


class DriftFiles:
    """The folder, the day that is open, and what waits to be written."""

    def __init__(self, folder: Path, *, retention_days: int) -> None:
        self._folder = folder
        self._retention_days = retention_days
        self._waiting: dict[str, list[bytes]] = {}
        self._written_seq = 0
        self._ended_ms = 0
        self.dropped = 0
        """Records that no longer fitted into their day's file."""

    def open(self) -> None:
        """Find the last record that is on disk. Raises `OSError` or `SettingsRefused`."""
        ensure_private(self._folder)
        days = self._days()
        self._written_seq, self._ended_ms = _mend(self._folder / days[-1]) if days else (0, 0)

    def add(self, record: Body, now_ms: int) -> None:
        """Take a record; it is written with the next `flush`."""
        day = _day(record["ended_at"])
        if record["seq"] > self._written_seq and day >= self._first_day(now_ms):
            self._written_seq, self._ended_ms = record["seq"], record["ended_at"]
            line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
            self._waiting.setdefault(day, []).append(line)

    @property
    def newest(self) -> tuple[int, int]:
        """Seq of the newest record that was taken, and when its turn ended."""
        return self._written_seq, self._ended_ms

    def has(self, seq: int, ended_ms: int, now_ms: int) -> bool:
        """Whether the record of `seq` was taken, or its day is no longer kept."""
        return self._written_seq >= seq or _day(ended_ms) < self._first_day(now_ms)

    @property
    def is_full(self) -> bool:
        """Whether it is time to flush."""
        return sum(map(len, self._waiting.values())) >= WAITING_MAX

    def flush(self) -> None:
        """Append what waits. Raises `OSError`; what was not written is gone then."""
        waiting, self._waiting = self._waiting, {}
        for day, lines in waiting.items():
            handle = os.open(
                self._folder / f"{day}.ndjson",
                os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW,
                0o600,
            )
            with os.fdopen(handle, "ab") as file:
                room = DAY_BYTES_MAX - file.tell()
                for at, line in enumerate(lines):
                    room -= len(line)
                    if room < 0:
                        self.dropped += len(lines) - at
                        break
                    file.write(line)

    def prune(self, now_ms: int) -> int:
        """Delete the files of days that are no longer kept; return how many."""
        first = self._first_day(now_ms)
        old = [name for name in self._days() if name < f"{first}.ndjson"]
        for name in old:
            (self._folder / name).unlink(missing_ok=True)
        return len(old)

    def _days(self) -> list[str]:
        """The names of the files, oldest first."""
        return sorted(path.name for path in self._folder.glob("????-??-??.ndjson"))

    def _first_day(self, now_ms: int) -> str:
        moment = datetime.fromtimestamp(now_ms / 1000, UTC)
        return (moment - timedelta(days=self._retention_days)).strftime("%Y-%m-%d")


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")


def _mend(path: Path) -> tuple[int, int]:
    """Cut a torn last line off; return seq and end of the last whole one, zeros for none."""
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        start = file.seek(max(0, size - TAIL_BYTES))
        tail = file.read()
        whole = tail.rfind(b"\n") + 1
        if whole < len(tail):
            file.truncate(start + whole)
    lines = tail[:whole].split(b"\n")
    for line in reversed(lines[1:] if start else lines):
        try:
            record = orjson.loads(line)
            seq, ended_ms = record["seq"], record["ended_at"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            continue
        if type(seq) is int and type(ended_ms) is int:
            return seq, ended_ms
    return 0, 0
