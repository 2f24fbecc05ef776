"""What a start finds behind the last good group, and what to do about it.

The open segment is zero-filled ahead, so a NUL where a line would begin is its end. A start walks
its lines to the last signature that verifies; that is the head. What is behind it decides:

- nothing but zeros: `Clean`;
- bytes that nobody was told about: `TornTail`. They are copied to quarantine, then zeroed;
- anything else: `Damaged`. The log opens read-only; nothing is cut, nothing is deleted.

Only one group is in flight at a time, and what a crash did not write is still zero. So bytes behind
the head are damage, not a torn tail, when a second signed group stands behind them; when one whole
signed line stands at their end and no zero is among them, for then every byte of that write arrived
and some have changed since; or when a remembered head says that they were acknowledged. Where each
event is signed, the lines of one group look like groups: there a second one says nothing when a
zero is among the bytes.
"""

from dataclasses import dataclass, replace

from thehum.core.events import Head, MalformedEvent, opening, split_line
from thehum.core.keys import KeyChain
from thehum.core.verify import (
    Damage,
    Flaw,
    Signed,
    Walk,
    blame_among,
    head_of,
    is_signed_by,
    signed_of,
)

MARK_EVERY_BYTES = 64 * 1024
"""Distance of the marks that a scan leaves, by which a reader finds a seq without reading all."""


@dataclass(frozen=True, slots=True)
class Clean:
    """Zeros or nothing behind the last good group."""


@dataclass(frozen=True, slots=True)
class TornTail:
    """A write that did not finish; from `start` up to `end` within the segment."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Damaged:
    """Bytes that were good once; from `start` up to `end` within the segment."""

    start: int
    end: int
    damage: Damage


Finding = Clean | TornTail | Damaged


@dataclass(frozen=True, slots=True)
class Scan:
    """What a segment holds up to its last good group."""

    head: Head
    end: int
    """Offset behind the last good group."""
    last_line: bytes
    """The last good line, empty when the segment has none."""
    marks: tuple[tuple[int, int], ...]
    """Some (seq, offset) of lines, ascending; the first line is always among them."""
    finding: Finding
    keys: KeyChain
    """The keys of the log up to the head."""


def scan_segment(
    data: bytes,
    walk: Walk,
    *,
    is_sealed: bool = False,
    is_each_signed: bool = False,
    remembered_seq: int = 0,
) -> Scan:
    """Walk a segment from its first byte and judge what is behind its last good group.

    `walk` stands behind the segment before. `remembered_seq` is the last seq that somebody
    remembers as acknowledged, 0 when nobody does. `is_each_signed` is how the writer signs. A
    sealed segment has no torn tail: nothing was in flight.
    """
    before = walk.head
    lines, rest = whole_lines(data)
    walk.signed_seqs.clear()
    flaw = walk.take(lines)
    damage = None
    if flaw is not None:
        damage = blame_among(walk, flaw, lines, walk.seq - before.seq)
    elif rest:
        damage = _at(walk, Flaw.FORM)
    ends = walk.signed_seqs
    while ends and not walk.is_genuine(signed_of(ends[-1], lines[ends[-1] - before.seq - 1])):
        damage = Damage(ends.pop(), Flaw.SIGNATURE, 0)
    good = lines[: ends[-1] - before.seq] if ends else []
    head = head_of(ends[-1], good[-1]) if ends else before
    end = sum(map(len, good)) + len(good)
    is_one_write = is_each_signed and b"\0" in data[end:].rstrip(b"\0")
    finding = _judge(data, end, walk, head, damage, remembered_seq, is_one_write=is_one_write)
    if is_sealed and isinstance(finding, TornTail):
        damage = damage or _at(walk, Flaw.FORM)
        finding = Damaged(finding.start, finding.end, replace(damage, group_first_seq=head.seq + 1))
    return Scan(
        head=head,
        end=end,
        last_line=good[-1] if good else b"",
        marks=_marks(good, before.seq + 1),
        finding=finding,
        keys=walk.keys.upto(head.seq),
    )


def whole_lines(segment: bytes) -> tuple[list[bytes], bytes]:
    """The lines of a segment's bytes, up to the first that begins with a NUL, and half a line."""
    if segment.startswith(b"\0"):
        return [], b""
    end = segment.find(b"\n\0") + 1
    lines = (segment[:end] if end else segment).split(b"\n")
    rest = lines.pop()
    return lines, rest


def _marks(lines: list[bytes], first_seq: int) -> tuple[tuple[int, int], ...]:
    """The seq and offset of the first line, and of one every `MARK_EVERY_BYTES`."""
    marks: list[tuple[int, int]] = []
    offset, due = 0, 0
    for seq, size in enumerate(map(len, lines), first_seq):
        if offset >= due:
            marks.append((seq, offset))
            due = offset + MARK_EVERY_BYTES
        offset += size + 1
    return tuple(marks)


def _at(walk: Walk, flaw: Flaw) -> Damage:
    return Damage(walk.seq + 1, flaw, 0)


def _judge(
    data: bytes,
    start: int,
    walk: Walk,
    head: Head,
    damage: Damage | None,
    remembered_seq: int,
    *,
    is_one_write: bool,
) -> Finding:
    rest = data[start:]
    if rest == bytes(len(rest)):
        return Clean()
    rest = rest.rstrip(b"\0")
    end = start + len(rest)
    signed = _signed_lines(rest, opening(walk.author))
    has_later_group = (
        not is_one_write
        and len(signed) > 1
        and any(is_signed_by(walk.keys.public, one) for one in signed)
    )
    if head.seq < remembered_seq or has_later_group or _arrived_whole(rest):
        first = damage or Damage(0, Flaw.FORM, 0)
        return Damaged(start, end, Damage(max(first.seq, head.seq + 1), first.flaw, head.seq + 1))
    return TornTail(start, end)


def _signed_lines(rest: bytes, start: bytes) -> list[Signed]:
    """Whatever ends like a signed line, taken from its first bytes on when they are there."""
    lines = (piece[max(piece.rfind(start), 0) :] for piece in rest.split(b"\n")[:-1])
    return [signed for line in lines if (signed := _signed_line(line)) is not None]


def _arrived_whole(rest: bytes) -> bool:
    """Whether `rest` ends as a group does and no byte of it is still zero."""
    last_line = rest[rest.rfind(b"\n", 0, -1) + 1 : -1]
    return rest.endswith(b"\n") and b"\0" not in rest and _signed_line(last_line) is not None


def _signed_line(line: bytes) -> Signed | None:
    """The signature of a line that ends with one, whatever else may be wrong with it."""
    try:
        canonical, sig = split_line(line)
    except MalformedEvent:
        return None
    return None if sig is None else Signed(0, canonical, sig)
