"""The number of the last event on disk, from the end of the newest segment."""

import os
from pathlib import Path
from typing import Any, BinaryIO

from nest.paths import Paths

TAIL_BYTES = 64 * 1024
"""Read from the end; twice as much each time that no whole line is in it."""


def log_head(paths: Paths) -> int | None:
    """The last whole line's seq; 0 for an empty log, None when there is none or it is unreadable.

    A line at the very end may be one that is not yet covered by a signature.
    """
    from thehum.core.names import segment_seq

    try:
        firsts = [segment_seq(name) for name in os.listdir(paths.thehum)]
        newest = max((seq for seq in firsts if seq is not None), default=None)
        return None if newest is None else _last_seq(paths.thehum, newest)
    except FileNotFoundError:
        return _remembered(paths)
    except OSError:
        return None


def read_trouble(folder: Path) -> dict[str, Any] | None:
    """Why the log in a folder is read and not written, when it is not."""
    from thehum.core import names, trouble
    from thrum.errors import LocalError

    try:
        return trouble.read_trouble((folder / names.TROUBLE).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except LocalError as problem:
        unknown = {"seq": 0, "flaw": None, "segment": None, "hint": "hum thehum verify"}
        return {"kind": "damaged", "reason": problem.message, **unknown}


def _remembered(paths: Paths) -> int | None:
    """What the log wrote down: the newest segment may be full, compressed and without a next."""
    try:
        content = paths.thehum_seq.read_bytes()[:8]
    except OSError:
        return None
    return int.from_bytes(content, "big") if len(content) == 8 else None


def _last_seq(folder: Path, first_seq: int) -> int:
    """Of a plain segment; raises `FileNotFoundError` for one that is compressed."""
    from thehum.core.names import segment_name
    from thehum.core.pages import seq_of

    with (folder / segment_name(first_seq)).open("rb") as file:
        end, length = _end(file), TAIL_BYTES
        while True:
            start = max(0, end - length)
            file.seek(start)
            lines = file.read(end - start).split(b"\n")[:-1]
            if len(lines) > 1 or start == 0:
                return (seq_of(lines[-1]) if lines else None) or first_seq - 1
            length *= 2


def _end(file: BinaryIO) -> int:
    """Where the zeros begin that were laid ahead: lines hold none."""
    low, high = 0, file.seek(0, os.SEEK_END)
    while low < high:
        middle = (low + high) // 2
        file.seek(middle)
        if file.read(1) == b"\0":
            high = middle
        else:
            low = middle + 1
    return low
