"""What of a damaged log is good, and which events are lost: a plan for `thehum.edge.mending`.

An event is good when a signature covers it: its own, or one behind it to which the chain of hashes
leads. So around damage everything up to the last good signature before it is kept, and everything
from the first event on that is covered by one behind it. What lies between is a gap. A segment with
damage becomes one or more that have none; whoever reads the log finds the gaps in `gaps.json`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from thehum.core.events import Head, MalformedEvent, read_event
from thehum.core.keys import KeyChain
from thehum.core.pages import lines_of
from thehum.core.sealed import (
    TRAILER_BYTES,
    BrokenSegment,
    index_bytes,
    is_packed,
    read_index,
    unpack,
    unpack_frame,
)
from thehum.core.verify import Walk, head_of, signed_of, start_of
from thrum.canonical import dumps
from thrum.errors import LocalError

GAPS_MAX = 10_000
RESUMES_MAX = 1_000
"""Places within one segment at which it is tried to go on; behind them it is given up."""


class NotMendable(LocalError):
    """A log that cannot be put together from what is there."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Events that are lost, from the first to the last of them."""

    first_seq: int
    last_seq: int
    reason: str

    def __len__(self) -> int:
        return self.last_seq + 1 - self.first_seq

    def __str__(self) -> str:
        return f"events {self.first_seq} to {self.last_seq}"


@dataclass(frozen=True, slots=True)
class Run:
    """Good events without a gap, the last of them signed."""

    first_seq: int
    head: Head
    prev_hash: str
    """What its first event names."""
    data: bytes
    """Their lines."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A segment that has damage, and what becomes of it."""

    first_seq: int
    runs: tuple[Run, ...]


@dataclass(slots=True)
class Plan:
    """What to do to a log."""

    cuts: list[Cut] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    head: Head = field(default_factory=Head)
    """The last good event."""
    lost_behind: bool = False
    """Whether there are bytes behind the head that may have been acknowledged."""


def plan(
    firsts: Sequence[int],
    read: Callable[[int], bytes],
    keys: KeyChain,
    *,
    begin: Head,
    every: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Plan:
    """What is good of the segments that start with `firsts`, of a log that begins behind `begin`.

    With `every`, an event whose own signature is wrong is damaged though a later one covers it.
    Raises `NotMendable` when two of them are of different histories.
    """
    made = Plan(head=begin)
    for at, first_seq in enumerate(firsts):
        is_newest = at + 1 == len(firsts)
        last_seq = None if is_newest else firsts[at + 1] - 1
        stored = read(first_seq)
        is_near = made.head.seq + 1 == first_seq
        expected = made.head if is_near else start_of(first_seq)
        runs, rest = _runs(stored, keys, expected, last_seq, every=every)
        if (
            is_near
            and runs
            and runs[0].first_seq == first_seq
            and expected.hash != runs[0].prev_hash
        ):
            raise NotMendable(f"event {first_seq} is of another history than the one before it")
        if rest or len(runs) != 1 or runs[0].first_seq != first_seq:
            made.cuts.append(Cut(first_seq, tuple(runs)))
        for run in runs:
            _note_gap(made, run.first_seq)
            made.head = run.head
        made.lost_behind = is_newest and not _ends_well(stored, runs)
        progress(made.head.seq)
    return made


def _ends_well(stored: bytes, runs: Sequence[Run]) -> bool:
    """Whether nothing stands behind the last good event of the newest segment."""
    if is_packed(stored):
        lines = list(_lines(stored))
        return bool(runs and lines) and runs[-1].data.endswith(lines[-1] + b"\n")
    data = stored.rstrip(b"\0")
    return data.endswith(runs[-1].data) if runs else not data


def _note_gap(made: Plan, next_seq: int) -> None:
    if next_seq > made.head.seq + 1:
        made.gaps.append(Gap(made.head.seq + 1, next_seq - 1, "damaged"))


def _runs(
    stored: bytes, keys: KeyChain, expected: Head, last_seq: int | None, *, every: bool
) -> tuple[list[Run], bool]:
    """The good runs of a segment, and whether its file holds anything else."""
    lines, has_rest = list(_lines(stored)), not unpack(stored)[1]
    found: list[Run] = []
    walk, at = _walk(keys, expected, every=every), 0
    is_told = True
    """Whether the walk knows what its next line has to follow."""
    for _ in range(RESUMES_MAX):
        before = walk.head
        walk.signed_seqs.clear()
        walk.take(lines[at:])
        stop = at + walk.seq - before.seq
        run = _signed_run(walk, before, lines[at:stop], last_seq)
        if run is not None:
            found.append(run)
            if run.head.seq == last_seq or at + run.head.seq - before.seq == len(lines):
                break
        has_rest = True
        least = found[-1].head.seq if found else expected.seq
        at, seq = _resume(lines, stop if stop > at or is_told else at + 1, least)
        if seq is None or (last_seq is not None and seq > last_seq):
            break
        walk, is_told = _walk(keys, start_of(seq), every=every), False
    if not is_packed(stored):
        has_rest = has_rest or sum(len(run.data) for run in found) != len(stored.rstrip(b"\0"))
    return found, has_rest


def _walk(keys: KeyChain, head: Head, *, every: bool) -> Walk:
    return Walk(keys.author, keys.first, head, every=every, later=keys.events)


def _signed_run(
    walk: Walk, before: Head, lines: Sequence[bytes], last_seq: int | None
) -> Run | None:
    """The lines behind `before` up to the last good signature among them, at most to a seq."""
    while walk.signed_seqs:
        seq = walk.signed_seqs.pop()
        if last_seq is not None and seq > last_seq:
            continue
        count = seq - before.seq
        line = lines[count - 1]
        if walk.is_genuine(signed_of(seq, line)):
            kept = lines[:count]
            prev_hash = read_event(kept[0]).prev_hash
            data = b"".join(one + b"\n" for one in kept)
            return Run(before.seq + 1, head_of(seq, line), prev_hash, data)
    return None


def _resume(lines: Sequence[bytes], at: int, least: int) -> tuple[int, int | None]:
    """The next line from `at` on that reads as an event behind `least`, and its seq."""
    for place in range(at, len(lines)):
        try:
            seq = read_event(lines[place]).seq
        except MalformedEvent:
            continue
        if seq > least:
            return place, seq
    return len(lines), None


def _lines(stored: bytes) -> Iterator[bytes]:
    """Every line of a segment's file that can be read, in order."""
    if not is_packed(stored):
        yield from stored.rstrip(b"\0").split(b"\n")[:-1]
        return
    try:
        index = stored[-index_bytes(stored[-TRAILER_BYTES:]) :]
        frames = read_index(index, len(stored))
    except BrokenSegment:
        yield from lines_of(unpack(stored)[0])
        return
    for frame in frames:
        try:
            plain = unpack_frame(frame, stored[frame.offset : frame.offset + frame.stored_bytes])
        except BrokenSegment:
            continue
        yield from lines_of(plain)


# --- gaps.json


def dump_gaps(gaps: Sequence[Gap]) -> bytes:
    """What is in `gaps.json`."""
    return dumps([gap_fields(gap) for gap in gaps]) + b"\n"


def gap_fields(gap: Gap) -> dict[str, object]:
    """One gap, as it stands in `gaps.json` and in the event that tells of it."""
    return {"first_seq": gap.first_seq, "last_seq": gap.last_seq, "reason": gap.reason}


def read_gaps(data: bytes) -> tuple[Gap, ...]:
    """The gaps in a file, ascending; raises `LocalError` for any other text."""
    try:
        return gaps_in(orjson.loads(data))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as problem:
        raise LocalError(f"not a list of gaps: {str(problem)[:120]}") from problem


def gaps_in(fields: Sequence[Mapping[str, Any]]) -> tuple[Gap, ...]:
    """The gaps that an array names."""
    gaps = tuple(
        Gap(int(one["first_seq"]), int(one["last_seq"]), str(one["reason"]))
        for one in fields[:GAPS_MAX]
    )
    return tuple(sorted(gaps, key=lambda gap: gap.first_seq))
