"""Cursors: how far those who follow the log have come, so that they go on without gap or repeat.

    unknown --first request--> held --too far behind--> lapsed --`anew`--> held
                               held --`end`--> unknown

A cursor that is held keeps every event behind what was acknowledged. When that would take the log
past its bound the cursor lapses: it holds nothing any more, and its reader is told so.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import orjson

from thrum.canonical import dumps
from thrum.errors import LocalError, Qualifier
from thrum.tones import Body

CURSORS_MAX = 64
"""Cursors at once, lapsed ones included; one more is refused."""
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class CursorRefused(LocalError):
    """A request that cannot be answered, and the qualifier that says so."""

    def __init__(self, qualifier: Qualifier, message: str) -> None:
        super().__init__(message)
        self.qualifier = qualifier


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far one reader has come."""

    acked: int
    """It has every event up to here."""
    is_lapsed: bool = False


Table = Mapping[str, Cursor]


def asked_of(table: Table, asked: Body, *, first_seq: int, head_seq: int) -> tuple[str, Cursor]:
    """Whose cursor a request is about, and where it stands by it; raises `CursorRefused`."""
    name, known = asked.get("cursor"), None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise CursorRefused(
            Qualifier.TONE_MALFORMED, "a cursor is named by up to 64 letters, digits, `.`, `_`, `-`"
        )
    known = table.get(name)
    said = asked.get("acked")
    if said is not None and (type(said) is not int or not 0 <= said <= head_seq):
        raise CursorRefused(
            Qualifier.TONE_MALFORMED, f"acked is no event of this log, which ends with {head_seq}"
        )
    if known is None and len(table) >= CURSORS_MAX:
        raise CursorRefused(
            Qualifier.QUEUE_OVERFLOW, f"there are {CURSORS_MAX} cursors; `end` one that is not used"
        )
    is_anew = known is None or (known.is_lapsed and asked.get("anew") is True)
    if known is not None and known.is_lapsed and not is_anew:
        raise _behind(name, known.acked, first_seq)
    before = 0 if is_anew or known is None else known.acked
    cursor = Cursor(max(before, first_seq - 1 if said is None and is_anew else said or before))
    if cursor.acked + 1 < first_seq:
        raise _behind(name, cursor.acked, first_seq)
    return name, cursor


def _behind(name: str, acked: int, first_seq: int) -> CursorRefused:
    return CursorRefused(
        Qualifier.LOG_BEHIND,
        f"cursor {name} has events up to {acked} and was too far behind; the oldest that is kept "
        f"is {first_seq}: begin anew there, with `anew: true`",
    )


def lapsed(table: Table, *, upto_seq: int) -> dict[str, Cursor]:
    """Those that hold an event up to this one, which has to go; as they stand afterwards."""
    return {
        name: replace(cursor, is_lapsed=True)
        for name, cursor in table.items()
        if cursor.acked < upto_seq and not cursor.is_lapsed
    }


def dump_cursors(table: Table) -> bytes:
    """What is in the file."""
    fields = {name: [cursor.acked, cursor.is_lapsed] for name, cursor in table.items()}
    return dumps(fields) + b"\n"


def read_cursors(data: bytes) -> dict[str, Cursor]:
    """The cursors in a file; raises `ValueError` for any other."""
    fields = orjson.loads(data)
    if type(fields) is not dict or len(fields) > CURSORS_MAX:
        raise ValueError("not a table of cursors")
    return {
        str(name): Cursor(int(acked), is_lapsed is True)
        for name, (acked, is_lapsed) in fields.items()
    }
