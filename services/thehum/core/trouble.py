"""Why a log is read and not written, typed: for people, for programs, and for what mends it."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import orjson

from thrum.canonical import dumps
from thrum.errors import LocalError


class Kind(StrEnum):
    """What is wrong with a log."""

    DAMAGED = "damaged"
    """Bytes that were good once have changed."""
    MISSING = "missing"
    """Events in front of others are not there."""
    ROLLED_BACK = "rolled-back"
    """It is shorter than it was, or has another history: cut, or an older copy."""
    RECORDS = "records"
    """A file beside the segments that cannot be computed anew does not hold what was signed."""

    @property
    def hint(self) -> str:
        """What mends it."""
        return _HINTS[self]


_HINTS = {
    Kind.DAMAGED: "hum down, then: hum thehum repair",
    Kind.MISSING: "hum down, then: hum thehum repair",
    Kind.ROLLED_BACK: "bring back the newer copy, or go on from this one: hum thehum restore",
    Kind.RECORDS: "bring back the file that is named",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One reason for which nothing is written."""

    kind: Kind
    reason: str
    """A sentence."""
    seq: int
    """The first event that is wrong or missing."""
    flaw: str | None = None
    """Which property of it failed, as `core.verify` names them."""
    segment: str | None = None
    """The file that it is in."""

    def __str__(self) -> str:
        return self.reason


def dump_trouble(trouble: Trouble) -> bytes:
    """What is in the file that tells others."""
    return dumps({**asdict(trouble), "hint": trouble.kind.hint}) + b"\n"


def read_trouble(data: bytes) -> dict[str, Any]:
    """The fields of that file; raises `LocalError` for any other text."""
    try:
        fields = orjson.loads(data)
        return {key: fields[key] for key in ("kind", "reason", "seq", "flaw", "segment", "hint")}
    except (orjson.JSONDecodeError, KeyError, TypeError) as problem:
        raise LocalError(f"not a note about a damaged log: {str(problem)[:80]}") from problem
