"""Verify a whole log, segment by segment; the caller reads the files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from thehum.core.events import GENESIS, Head
from thehum.core.keys import KeyChain, KeyEvents
from thehum.core.recovery import Damaged, TornTail, scan_segment
from thehum.core.sealed import is_packed, unpack
from thehum.core.verify import Damage, Flaw, Walk, start_of, walk_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Whose log it is."""

    hid: str
    public: bytes
    """The log's first key."""
    later: KeyEvents = ()
    """What is known of the keys after it; only for a log whose first events are not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an audit found."""

    first_seq: int
    """The oldest event looked at; 0 when there is none."""
    head: Head
    """The last good event."""
    events: int
    signatures: int
    """How many were checked; each covers every event before it."""
    segments: int
    unfinished_bytes: int
    """Bytes behind the head that nobody was told about: a write that goes on, or a torn one."""
    damage: Damage | None
    keys: KeyChain
    """The keys of the log up to the head."""


def audit(
    firsts: Sequence[int],
    read: Callable[[int], bytes],
    author: Author,
    *,
    every: bool = False,
    remembered_seq: int = 0,
    base: Head | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Report:
    """Verify the segments that start with `firsts`, oldest first; stops at the first wrong event.

    `read` returns a segment's file, plain or compressed; `progress` hears how many events are done.
    `remembered_seq` must have been read before the segments. Checks each segment's last signature,
    with `every` each one. `base` is what the log begins behind, `GENESIS` when no event of it went;
    None when `firsts` are not all of its segments.
    """
    begin = start_of(firsts[0]) if firsts else GENESIS
    if base is not None and firsts and begin.seq >= base.seq:
        begin = base  # segments before it are on their way out
    walk = Walk(author.hid, author.public, begin, every=every, later=author.later)
    damage, unfinished = None, 0
    for first_seq, next_first in pairwise([*firsts, 0]):
        if first_seq != walk.seq + 1:
            damage = _missing(walk.head)
            break
        if first_seq != firsts[-1]:
            damage = _sealed(walk, read(first_seq), next_first - 1)
        else:
            damage, unfinished = _newest(walk, read, first_seq, remembered_seq)
        if damage is not None:
            break
        progress(walk.seq - firsts[0] + 1)
    if damage is None and walk.seq < remembered_seq:
        damage = _missing(walk.head)
    return Report(
        first_seq=firsts[0] if firsts else 0,
        head=walk.head,
        events=max(walk.seq - firsts[0] + 1, 0) if firsts else 0,
        signatures=walk.signatures,
        segments=len(firsts),
        unfinished_bytes=unfinished,
        damage=damage,
        keys=walk.keys,
    )


def _sealed(walk: Walk, data: bytes, last_seq: int) -> Damage | None:
    walk.signed_seqs.clear()
    first_seq, begin = walk.seq + 1, walk.head
    plain, is_whole = unpack(data)
    lines = plain.rstrip(b"\0").split(b"\n")
    rest = lines.pop()
    damage = walk_lines(walk, lines)
    if damage is not None and is_packed(data):
        damage = _to_the_group(walk, begin, lines) or damage
    if damage is None and (rest or not is_whole):
        flaw = Flaw.FORM if is_whole else Flaw.STORAGE
        seq = walk.seq + 1 if is_whole else min(walk.seq + 1, max(last_seq, first_seq))
        return Damage(seq, flaw, min(walk.proven_seq + 1, seq))
    return damage


def _to_the_group(walk: Walk, begin: Head, lines: list[bytes]) -> Damage | None:
    """The first damage when every signature is looked at.

    A compressed segment computes hashes anew, so that a changed event is followed by others that
    fit, up to a signature that does not.
    """
    walk.head, was_every, walk.every = begin, walk.every, True
    try:
        return walk_lines(walk, lines)
    finally:
        walk.every = was_every


def _newest(
    walk: Walk, read: Callable[[int], bytes], first_seq: int, remembered_seq: int
) -> tuple[Damage | None, int]:
    """The segment that may be growing while we read it: what looks damaged is read once more."""
    begin, damage = walk.head, None
    data = read(first_seq)
    if is_packed(data):
        return _sealed(walk, data, walk.seq + 1), 0
    for _ in range(2):
        walk.head = begin
        scan = scan_segment(data, walk, remembered_seq=remembered_seq)
        walk.head = scan.head
        match scan.finding:
            case TornTail(start, end):
                return None, end - start
            case Damaged(damage=found) if found != damage:
                damage, data = found, read(first_seq)
            case Damaged():
                return damage, 0
            case _:
                return None, 0
    return damage, 0


def _missing(head: Head) -> Damage:
    return Damage(head.seq + 1, Flaw.MISSING, head.seq + 1)
