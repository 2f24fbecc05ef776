"""`penny.json`: the lifetime counters, for people and tools; and a copy where older ones look.

The counters are those of the log. What a file says beyond the log (a log that was begun anew, or
counters of a hum before this one) is carried on top, so that what is shown never goes down.
Written only once everything counted is on disk: a crash cannot leave more in the file than there
is in the log.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import orjson

from humd.core.penny import COUNTER_MAX, Penny

SAVE_SECONDS = 10.0
"""Between two writes while counters change."""
FILE_BYTES_MAX = 1024 * 1024


class Counters:
    """The files, and what is to be written once it is durable."""

    def __init__(self, path: Path, copy: Path) -> None:
        self._path, self._copy = path, copy
        self._carried: dict[str, int] = {}
        self._saved: dict[str, object] | dict[str, int] = {}
        self._due: tuple[int, dict[str, int]] | None = None
        """Counters that wait, and the log seq up to which they count."""
        self._next_save = 0.0

    def open(self, counted: Mapping[str, int]) -> None:
        """The log says `counted`: carry what the files say beyond it."""
        stored = _read(self._path)
        self._saved = stored or {}
        known = (stored if stored is not None else _read(self._copy)) or {}
        self._carried = {
            name: value - counted.get(name, 0)
            for name, value in Penny(known).counters.items()
            if value > counted.get(name, 0)
        }

    def total(self, counted: Mapping[str, int]) -> dict[str, int]:
        """What is shown: the log's count, and what was carried."""
        names = sorted({*counted, *self._carried})
        sums = ((name, counted.get(name, 0) + self._carried.get(name, 0)) for name in names)
        return {name: min(value, COUNTER_MAX) for name, value in sums}

    def tick(self, counted: Mapping[str, int], *, next_seq: int, durable_seq: int,
             now: float) -> None:  # fmt: skip
        """Write what is due and durable. Raises `OSError`; it is tried again."""
        if self._due is None and now >= self._next_save:
            total = self.total(counted)
            if total != self._saved:
                self._due = next_seq - 1, total
        if self._due is not None and self._due[0] <= durable_seq:
            total = self._due[1]
            self._next_save = now + SAVE_SECONDS
            self._due = None
            self._write(total)
            self._saved = total

    def close(self, counted: Mapping[str, int]) -> None:
        """Write the end; everything counted is durable. Raises `OSError`."""
        total = self.total(counted)
        if total != self._saved:
            self._write(total)

    def _write(self, total: Mapping[str, int]) -> None:
        content = orjson.dumps(total, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        replace(self._path, content)
        self._copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace(self._copy, content)


def replace(path: Path, content: bytes) -> None:
    """Give `path` this content at once. Not flushed: what is lost is computed again."""
    beside = path.with_name(f"{path.name}.tmp")
    beside.write_bytes(content)
    os.replace(beside, path)


def _read(path: Path) -> dict[str, object] | None:
    """The counters in a file; None when there is no such file or it is none."""
    try:
        with path.open("rb") as file:
            found = orjson.loads(file.read(FILE_BYTES_MAX))
    except (OSError, orjson.JSONDecodeError):
        return None
    return found if isinstance(found, dict) else None
