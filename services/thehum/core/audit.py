"""Verify a whole log, segment by segment; the caller reads the files.

A sealed segment can be verified by itself, in a process of its own: then what is left is to compare
what its first event names as its predecessor. Only a segment that is good through and through is
**vouched** for; any other is walked in its place, and that walk says what is wrong with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from thehum.core.events import GENESIS, Head, MalformedEvent, read_event
from thehum.core.keys import KeyChain, KeyEvents
from thehum.core.mending import Gap
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
class Vouched:
    """A sealed segment that is good when it follows the one before it."""

    prev_hash: str
    """What its first event names as the hash of its predecessor."""
    first_ts_ms: int
    head: Head
    """Its last event, which is signed."""
    signatures: int
    """How many were checked."""
    signer: str
    """The key that they were checked by, in hex."""

    def follows(self, head: Head, keys: KeyChain) -> bool:
        """Whether its first event is the one behind `head`, whose hash is empty when not known.

        `keys` are those of the log up to there.
        """
        is_signer = self.signer == keys.public.hex()
        return is_signer and head.hash in ("", self.prev_hash) and head.ts_ms <= self.first_ts_ms


def vouch(
    data: bytes, author: Author, first_seq: int, last_seq: int, *, every: bool = False
) -> Vouched | None:
    """Verify a sealed segment's file, plain or compressed, without the segments before it.

    None when anything about it needs a closer look, as a change of key does.
    """
    begin = start_of(first_seq)
    walk = Walk(author.hid, author.public, begin, every=every, later=author.later)
    signer = walk.keys.public
    lines, rest, is_whole = _unpacked(data)
    if rest or not is_whole or not lines or walk_lines(walk, lines) is not None:
        return None
    if (walk.seq, walk.proven_seq) != (last_seq, last_seq) or walk.keys != walk.keys.upto(
        begin.seq
    ):
        return None
    try:
        first = read_event(lines[0])
    except MalformedEvent:
        return None
    return Vouched(
        prev_hash=first.prev_hash,
        first_ts_ms=first.ts_ms,
        head=walk.head,
        signatures=walk.signatures,
        signer=signer.hex(),
    )


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
    lost: tuple[Gap, ...] = ()
    """Events that are missing and were known to be."""


def audit(
    firsts: Sequence[int],
    read: Callable[[int], bytes],
    author: Author,
    *,
    every: bool = False,
    remembered_seq: int = 0,
    base: Head | None = None,
    gaps: Sequence[Gap] = (),
    vouched: Callable[[int], Vouched | None] = lambda _: None,
    progress: Callable[[int], None] = lambda _: None,
) -> Report:
    """Verify the segments that start with `firsts`, oldest first; stops at the first wrong event.

    `read` returns a segment's file, plain or compressed; `progress` hears how many events are done.
    `remembered_seq` must have been read before the segments. Checks each segment's last signature,
    with `every` each one. `base` is what the log begins behind, `GENESIS` when no event of it went;
    None when `firsts` are not all of its segments. `vouched` gives what `vouch` said about the
    sealed segment that starts with a seq, None for one that is to be walked here.
    `gaps` are events that are known to be lost: they are told, and what is behind them is verified.
    """
    begin = start_of(firsts[0]) if firsts else GENESIS
    if base is not None and firsts and begin.seq >= base.seq:
        begin = base  # segments before it are on their way out
    walk = Walk(author.hid, author.public, begin, every=every, later=author.later)
    lost: list[Gap] = []
    known_gaps = {(gap.first_seq, gap.last_seq): gap for gap in gaps}
    damage, unfinished = None, 0
    for first_seq, next_first in pairwise([*firsts, 0]):
        gap = known_gaps.get((walk.seq + 1, first_seq - 1))
        if gap is not None:
            lost.append(gap)
            walk.leap(start_of(first_seq), author.later)
        if first_seq != walk.seq + 1:
            damage = _missing(walk.head)
            break
        if first_seq != firsts[-1]:
            known = vouched(first_seq)
            if known is None or not known.follows(walk.head, walk.keys):
                damage = _sealed(walk, read(first_seq), next_first - 1)
            else:
                walk.pass_over(known.head, signatures=known.signatures)
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
        events=max(walk.seq - firsts[0] + 1 - sum(map(len, lost)), 0) if firsts else 0,
        signatures=walk.signatures,
        segments=len(firsts),
        unfinished_bytes=unfinished,
        damage=damage,
        keys=walk.keys,
        lost=tuple(lost),
    )


def _sealed(walk: Walk, data: bytes, last_seq: int) -> Damage | None:
    walk.signed_seqs.clear()
    first_seq, begin = walk.seq + 1, walk.head
    lines, rest, is_whole = _unpacked(data)
    damage = walk_lines(walk, lines)
    if damage is not None and is_packed(data):
        damage = _to_the_group(walk, begin, lines) or damage
    if damage is None and (rest or not is_whole):
        flaw = Flaw.FORM if is_whole else Flaw.STORAGE
        seq = walk.seq + 1 if is_whole else min(walk.seq + 1, max(last_seq, first_seq))
        return Damage(seq, flaw, min(walk.proven_seq + 1, seq))
    return damage


def _unpacked(data: bytes) -> tuple[list[bytes], bytes, bool]:
    """The lines of a sealed segment's file, half a line, and whether the file is as sealed."""
    plain, is_whole = unpack(data)
    lines = plain.rstrip(b"\0").split(b"\n")
    return lines, lines.pop(), is_whole


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
