"""What the log has to know of a snapshot of the router's state: its last line.

The rest is the router's. The last line says which event it covers, which events behind an older
one are needed to start from it, and which erasures it has followed: a snapshot from before an
erasure may hold what was erased.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from thehum.core.events import MalformedEvent, read_event
from thrum.chi import Chi
from thrum.errors import LocalError

KEPT = 2
"""Snapshots that are kept: the newest, and one to start from when that one is damaged."""
LAST_LINE_BYTES_MAX = 4_096


class NotASnapshot(LocalError):
    """A file in the folder of snapshots that ends like none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """See the module."""

    at_seq: int
    needs_seq: int
    """Every event behind this one is needed."""
    erased_seq: int
    root: str


def marks_in(tail: bytes, *, at_seq: int) -> Marks:
    """The marks in the last bytes of a snapshot named `at_seq`; raises `NotASnapshot`."""
    line = tail[:-1].rpartition(b"\n")[2]
    try:
        fields = orjson.loads(line)
        marks = Marks(
            at_seq=int(fields["at_seq"]),
            needs_seq=int(fields["needs_seq"]),
            erased_seq=int(fields["erased_seq"]),
            root=bytes.fromhex(fields["root"]).hex(),
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise NotASnapshot(f"it does not end like a snapshot: {str(problem)[:200]}") from problem
    if not tail.endswith(b"\n") or marks.at_seq != at_seq:
        raise NotASnapshot("it does not end like the snapshot that its name says")
    return marks


def is_said(line: bytes, *, at_seq: int, sha256: str) -> bool:
    """Whether a stored line is the event in which humd says that it wrote this snapshot."""
    try:
        event = read_event(line)
    except MalformedEvent:
        return False
    body = orjson.loads(event.body)
    return (
        event.chi == Chi.SNAPSHOT
        and body.get("@via", {}).get("client") is None
        and body.get("at_seq") == at_seq
        and body.get("sha256") == sha256
    )


def outlived(kept: Sequence[Marks]) -> list[Marks]:
    """Which of these, the oldest first, are to go: too many, or from before an erasure."""
    erased_seq = max((each.erased_seq for each in kept), default=0)
    return [
        each for each in kept if each not in kept[-KEPT:] or each.at_seq < erased_seq
    ]  # the newest stays: it has followed what it says was erased


def floor_of(kept: Sequence[Marks]) -> int:
    """Nobody who starts from one of these, the oldest first, needs the events up to here.

    With one snapshot alone nothing may go: were it damaged, there would be no other start.
    """
    if len(kept) < KEPT:
        return 0
    return min(each.needs_seq for each in kept[-KEPT:])
