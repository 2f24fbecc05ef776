"""The log: opened and recovered, appended to a group at a time, read back by pages."""

import logging
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from nest.identity import Identity
from thehum.core import names
from thehum.core.base import Base
from thehum.core.events import GENESIS, Head, read_event, split_line
from thehum.core.events import hash_of as event_hash
from thehum.core.groups import Group, GroupBuilder, Signing
from thehum.core.keeping import Aside, place_of
from thehum.core.keys import KeyChain, KeyEvents
from thehum.core.notes import BadNote
from thehum.core.offers import BatchName, batch_of
from thehum.core.pages import Page, PageLimits
from thehum.core.recovery import Clean, Damaged, Scan, TornTail, scan_segment
from thehum.core.retention import Kept
from thehum.core.sealed import unpack
from thehum.core.trouble import Kind, Trouble
from thehum.core.verify import Damage, Flaw, Walk, start_of
from thehum.edge.bodies import Bodies
from thehum.edge.directory import LogDirectory
from thehum.edge.disk import open_private, told_apart
from thehum.edge.reader import Reader
from thehum.edge.remembered import HeadFile
from thehum.edge.sealed import Compressor, read_segment
from thehum.edge.segment import Segment, Spare
from thehum.errors import DiskFull, LogReadOnly

SEGMENT_BYTES = 16 * 1024 * 1024
SEGMENT_EVENTS = 65_536
"""A segment that has reached either is sealed before the next group."""
BODIES_PER_SEGMENT = 4
"""So many times the bytes of a segment may be beside it; then it is sealed too."""

log = logging.getLogger(__name__)


class Log:
    """One humd's log with its one writer. Construction recovers; `close` remembers the head."""

    def __init__(
        self,
        root: Path,
        identity: Identity,
        *,
        later: KeyEvents = (),
        head_file: HeadFile | None = None,
        is_restored: bool = False,
        signing: Signing = Signing.GROUP,
        segment_bytes: int = SEGMENT_BYTES,
        segment_events: int = SEGMENT_EVENTS,
    ) -> None:
        """Open the log in `root`, made when missing, and verify its newest two segments.

        `identity` is the log's name and the key that signs now; `later` is what is known of how
        the first key was replaced. `head_file` remembers the head outside the folder. With
        `is_restored` the log may be shorter than is remembered, or another: its owner says so.

        Raises `SettingsRefused` for a folder that cannot be used, `WriteFailed`, and `DiskFull`
        when there is not even room to name the author of a new log. What else is to be written and
        finds no room waits for the next `append`. Damage raises nothing: the log is then
        read-only, and `read_only` says why.
        """
        self.author = str(identity.hid)
        self.public = later[0].public if later else identity.key.public
        """The first key, after which the log is named."""
        self.keys = KeyChain(self.public, later)
        self.key = identity.key
        """The key that signs."""
        self._signing = signing
        self._segment_bytes, self._segment_events = segment_bytes, segment_events
        self.head: Head = GENESIS
        self.last_batch: BatchName | None = None
        self.trouble: Trouble | None = None
        """Why nothing is written."""
        self._head_file, self._is_restored = head_file, is_restored
        self.recovered_bytes = 0
        """Bytes of a torn tail that this start found, and put into quarantine."""
        self.base: Base | None = None
        """What the log begins behind, once its oldest events went."""
        self._segment: Segment | None = None
        self._torn: tuple[TornTail, bytes] | None = None
        """What this start found behind the head, until there is room to set it aside."""
        self._bodies_bytes = 0
        """Of bodies beside the open segment."""
        with told_apart(f"opening the log in {root}"):
            self._directory = LogDirectory(root, author=self.author, public=self.public)
            try:
                self.remembered_before = self._directory.remembered_seq()
                """What was remembered when the log was opened."""
                self._remembered = 0 if is_restored else self.remembered_before
                self.epoch, self.life_seq = self._directory.epoch(), self._directory.life_seq()
                self.gaps = self._directory.gaps()
                """Events that are known to be lost."""
                self._reader = Reader(root)
                self._spare = Spare(self._directory.spare, segment_bytes)
                self._compressor = Compressor(root)
                self.bodies = Bodies(root)
                self._known_keys = self.keys
                self._recover()
                self._check_keys()
                if self.read_only is None:
                    self._find_base()
                self._check_head_file()
                self._directory.tell(self.trouble)
                if self.read_only is None:
                    self.bodies.recover(self.head.seq, self._has_bodies_behind)
                if self.read_only is None and self._segment is None:
                    self._unless_full(self._begin)
            except BaseException:
                self.close()
                raise

    @property
    def read_only(self) -> str | None:
        """Why nothing is written, in a sentence; None when it is."""
        return None if self.trouble is None else self.trouble.reason

    def close(self) -> None:
        """Remember the head and let the folder go."""
        if self._segment is not None:
            try:
                self.remember()
            except DiskFull as problem:
                log.warning("log.head_not_remembered", extra={"reason": problem.message})
            self._segment.close()
            self._segment = None
        if hasattr(self, "_compressor"):
            self._compressor.close()
        if hasattr(self, "bodies"):
            self.bodies.close()
        if hasattr(self, "_spare"):
            self._spare.close()
        self._directory.close()

    # --- writing

    def builder(self) -> GroupBuilder:
        """Builds the next group. Nothing of it counts until it is appended."""
        return GroupBuilder(self.author, self.key, self.head, signing=self._signing)

    def append(
        self, group: Group, last_batch: BatchName | None, asides: Sequence[Aside] = ()
    ) -> None:
        """Put `group`, built by the last `builder`, on disk; then the head moves.

        `asides` are its bodies that go beside the log; they are on disk before it.

        A crash before that leaves bytes nobody was told about, which the next start quarantines.
        Raises `LogReadOnly`; `DiskFull`, after which the same events may be offered again; or
        `WriteFailed`, after which the process must end.
        """
        if self.read_only is not None:
            raise LogReadOnly(self.read_only, hint=self.trouble.kind.hint if self.trouble else "")
        self._set_aside()
        segment = self._segment
        if segment is None or self._is_full(segment, len(group.data)):
            segment = self._segment = self._roll(segment)
        if asides:
            self.bodies.write(asides, segment_first_seq=segment.first_seq)
        offset = segment.write(group.data)
        if asides:
            self.bodies.settle()
            self._bodies_bytes += sum(len(aside.raw) for aside in asides)
        self._reader.remember(segment.first_seq, [(group.first_seq, offset)])
        self.head = group.head
        self.last_batch = last_batch or self.last_batch

    def append_keys(
        self, group: Group, last_batch: BatchName | None, asides: Sequence[Aside] = ()
    ) -> None:
        """As `append`, for a group whose last event says which key signs from then on.

        The caller then sees to it that `key` is that one. Raises `BadKeyEvent` too, and then
        nothing is written.
        """
        line = group.data[group.data.rfind(b"\n", 0, -1) + 1 : -1]
        keys = self.keys.grown(line)
        self.append(group, last_batch, asides)
        self.keys = keys

    def _is_full(self, segment: Segment, more_bytes: int) -> bool:
        if segment.end == 0:
            return False
        events = self.head.seq + 1 - segment.first_seq
        return (
            segment.end + more_bytes > self._segment_bytes
            or events >= self._segment_events
            or self._bodies_bytes >= BODIES_PER_SEGMENT * self._segment_bytes
        )

    def _roll(self, segment: Segment | None) -> Segment:
        """Seal the full segment and begin the next one."""
        while not self._spare.is_ready:
            self._spare.advance()  # no room must be found out before the old one is sealed
        if segment is not None:
            segment.seal()
            self._segment = None
        return self._next_segment()

    def _next_segment(self) -> Segment:
        first_seq, self._bodies_bytes = self.head.seq + 1, 0
        segment = self._spare.take(self._directory.segment(first_seq), first_seq=first_seq)
        with told_apart("listing the segments"):
            self._reader.refresh()
        return segment

    @property
    def is_half_full(self) -> bool:
        """Whether the next segment is needed soon."""
        segment = self._segment
        return (
            segment is not None
            and 2
            * max(
                segment.end / self._segment_bytes,
                (self.head.seq + 1 - segment.first_seq) / self._segment_events,
            )
            >= 1
        )

    @property
    def sealed_seq(self) -> int:
        """The last event of the newest segment that does not change any more."""
        return self._segment.first_seq - 1 if self._segment else 0

    def prepare(self) -> bool:
        """Lay out a slice of the next segment; whether there is more of it to do.

        Raises `DiskFull`, which does no harm yet.
        """
        self._set_aside()
        if self._segment is not None:
            self._spare.advance()
        return self._segment is not None and not self._spare.is_ready

    def compress(self) -> bool:
        """Compress a slice of the oldest sealed segment that is plain; whether there is more to do.

        Raises `DiskFull`, which does no harm, or `WriteFailed`.
        """
        if self._segment is None:
            return False
        return self._compressor.advance(self._reader.firsts, self._segment.first_seq)

    # --- retention

    def kept(self) -> list[Kept]:
        """The segments that are full, the oldest first."""
        firsts = self._reader.firsts
        return [
            Kept(
                first_seq=first_seq,
                last_seq=next_first - 1,
                size=self._directory.segment_bytes(first_seq)
                + self.bodies.size(first_seq, next_first - 1),
            )
            for first_seq, next_first in pairwise(firsts)
        ]

    def drop(self, base: Base) -> None:
        """Remove the segments that end at or before `base`, and the bodies of their events.

        `base` is on disk before anything goes; the next start removes what a crash left. Raises
        `DiskFull`, then nothing went, or `WriteFailed`.
        """
        self._compressor.leave(base.seq)
        self._directory.move_base(base)
        self.base = base
        self._remove_before_base(base)

    def _remove_before_base(self, base: Base) -> None:
        gone = [first for first in self._reader.firsts if first <= base.seq]
        self._directory.remove(gone)
        self.bodies.drop(base.seq)
        self._reader.refresh()

    def _find_base(self) -> None:
        """See where the log begins; read-only when something in front is missing."""
        try:
            self.base = self._directory.base(self.keys)
        except BadNote as problem:
            self._refuse_writes(Kind.RECORDS, f"{names.BASE}: {problem.message}", 1)
            return
        firsts = self._reader.firsts
        begin = self.base.seq + 1 if self.base else 1
        if firsts and firsts[0] > begin and not self._is_known_gap(begin, firsts[0] - 1):
            reason = f"events {begin} to {firsts[0] - 1} are missing"
            self._refuse_writes(Kind.MISSING, reason, begin)
        elif self.base and begin not in firsts and not self._is_known_gap(begin, firsts[0] - 1):
            reason = f"the log begins with event {begin}, and no segment does"
            self._refuse_writes(Kind.MISSING, reason, begin)
        elif self.base:
            self._remove_before_base(self.base)

    @property
    def is_head_remembered(self) -> bool:
        """Whether the remembered head is the head."""
        return self._remembered == self.head.seq

    def remember(self) -> None:
        """Write the head down beside the log, so that a log cut short is noticed."""
        if not self.is_head_remembered and self.read_only is None:
            self._directory.remember(self.head.seq)
            if self._head_file is not None:
                self._head_file.write(self.author, self.epoch, self.head)
            self._remembered = self.head.seq

    # --- reading

    @property
    def first_seq(self) -> int:
        """The oldest seq still here."""
        return self._reader.first_seq

    def page(self, from_seq: int, limits: PageLimits, *, sid: str | None = None) -> Page:
        """Durable events from `from_seq` on."""
        return self._reader.page(from_seq, upto_seq=self.head.seq, limits=limits, sid=sid)

    def hash_of(self, seq: int) -> str:
        """The hash of a durable event that is here."""
        if seq == self.head.seq:
            return self.head.hash
        (line,) = self.page(seq, PageLimits(events_max=1)).lines
        return event_hash(split_line(line)[0])

    def _has_bodies_behind(self, seq: int) -> bool:
        """Whether an event behind `seq` has its body beside the log."""
        limits = PageLimits.bulk()
        while seq < self.head.seq:
            page = self.page(seq + 1, limits)
            if any(place_of(line) is not None for line in page.lines):
                return True
            if page.next_seq <= seq + 1:
                break
            seq = page.next_seq - 1
        return False

    # --- recovering

    def _recover(self) -> None:
        """Verify the newest sealed segment and the open one, and mend a torn tail."""
        firsts = self._directory.segments()
        if not firsts:
            self._check_remembered()
            return
        if len(firsts) > 1 and not self._recover_sealed(firsts[-2], firsts[-1]):
            return
        first_seq = firsts[-1]
        data = self._read(first_seq)
        if not self._directory.segment(first_seq).exists():  # compressed, so not the open one
            if self._recover_sealed(first_seq, None):
                self._check_remembered()
            return
        is_near = len(firsts) > 1 and self.head.seq + 1 == first_seq
        before = self.head if is_near else start_of(first_seq)
        known = self.keys if is_near else self._known_keys
        scan = scan_segment(
            data,
            self._walk(before, known),
            is_each_signed=self._signing is Signing.EVERY,
            remembered_seq=self._remembered,
        )
        self._accept(first_seq, scan)
        finding = scan.finding
        if isinstance(finding, Damaged):
            self._damaged(first_seq, finding, data)
            return
        if not self._check_remembered():
            return
        handle = open_private(self._directory.segment(first_seq), write=True)
        self._segment = Segment(
            self._directory.segment(first_seq), handle, first_seq=first_seq, end=scan.end
        )
        self._bodies_bytes = self.bodies.size(first_seq)
        if isinstance(finding, TornTail):
            self._torn = finding, data[finding.start : finding.end]
            self.recovered_bytes = finding.end - finding.start
            self._unless_full(self._set_aside)

    def _set_aside(self) -> None:
        """Put a torn tail into quarantine, then zero it. Raises `DiskFull`, `WriteFailed`."""
        if self._torn is None or self._segment is None:
            return
        tail, torn = self._torn
        kept = self._directory.quarantine("torn", self.head.seq, torn)
        self._segment.zero(tail.start, tail.end)
        self._torn = None
        log.warning("log.torn_tail", extra={"bytes": len(torn), "kept": str(kept)})

    def _begin(self) -> None:
        """Begin the segment behind the head."""
        self._segment = self._next_segment()

    def _unless_full(self, write: Callable[[], object]) -> None:
        """Do what the next `append` would do first, if there is room."""
        try:
            write()
        except DiskFull as problem:
            log.warning("log.no_room", extra={"reason": problem.message})

    def _recover_sealed(self, first_seq: int, next_first: int | None) -> bool:
        """Verify a sealed segment; False, and read-only, when something is wrong with it."""
        stored = self._read(first_seq)
        data, is_whole = unpack(stored)
        scan = scan_segment(data, self._walk(start_of(first_seq), self._known_keys), is_sealed=True)
        self._accept(first_seq, scan)
        if not is_whole and not isinstance(scan.finding, Damaged):
            flaw = Damage(self.head.seq + 1, Flaw.STORAGE, self.head.seq + 1)
            self._damaged(first_seq, Damaged(0, len(stored), flaw), stored)
            return False
        if not isinstance(scan.finding, Clean):
            if isinstance(scan.finding, Damaged):
                self._damaged(first_seq, scan.finding, data)
            return False
        if next_first is None or self.head.seq + 1 == next_first:
            return True
        if self._is_known_gap(self.head.seq + 1, next_first - 1):
            return True
        self._refuse_writes(
            Kind.MISSING,
            f"events {self.head.seq + 1} to {next_first - 1} are missing: the segment before "
            f"{self._directory.segment(next_first).name} ends too early",
            self.head.seq + 1,
        )
        return False

    def _is_known_gap(self, first_seq: int, last_seq: int) -> bool:
        """Whether a repair said that just these events are lost."""
        return any((gap.first_seq, gap.last_seq) == (first_seq, last_seq) for gap in self.gaps)

    def _accept(self, first_seq: int, scan: Scan) -> None:
        self.head, self.keys = scan.head, scan.keys
        self._reader.remember(first_seq, scan.marks)
        if scan.last_line:
            self.last_batch = batch_of(read_event(scan.last_line).body)

    def _walk(self, head: Head, known: KeyChain) -> Walk:
        return Walk(self.author, self.public, head, later=known.events)

    def _check_remembered(self) -> bool:
        """Whether the log is as long as it was; read-only when it is shorter."""
        if self.head.seq >= self._remembered:
            return True
        self._refuse_writes(
            Kind.ROLLED_BACK,
            f"the log ends at event {self.head.seq}, but {self._remembered} was acknowledged: "
            "it was cut short, or an older copy was put back",
            self.head.seq + 1,
        )
        return False

    def _check_head_file(self) -> None:
        """See that this is the log whose head is remembered outside its folder."""
        found = self._head_file.read() if self._head_file is not None else None
        if self.trouble is not None or self._is_restored or found is None:
            return
        if found.author != self.author:
            return  # another log was here before, under another key
        head, place = self.head, self._head_file.path.name if self._head_file else ""
        if found.epoch > self.epoch or found.seq > head.seq:
            reason = (
                f"the log ends at event {head.seq}, and {place} remembers {found.seq} of life "
                f"{found.epoch}: the folder was cut short, or an older copy was put back"
            )
            self._refuse_writes(Kind.ROLLED_BACK, reason, head.seq + 1)
        elif found.epoch == self.epoch and self._hash_of(found.seq) not in (None, found.hash):
            reason = f"event {found.seq} is not the one that {place} remembers: it is another log"
            self._refuse_writes(Kind.ROLLED_BACK, reason, found.seq)

    def _hash_of(self, seq: int) -> str | None:
        """The hash of an event; None when neither it nor the one behind it is there."""
        if seq == self.head.seq:
            return self.head.hash
        page = self.page(seq + 1, PageLimits(events_max=1, bytes_max=1))
        if page.next_seq != seq + 2 or not page.lines:
            return None
        return read_event(page.lines[0]).prev_hash

    def begin_epoch(self) -> int:
        """Begin the next life of the log with its next event; the number of that life.

        Once this returns it is on disk.
        """
        self.epoch, self.life_seq = self.epoch + 1, self.head.seq + 1
        self._directory.begin_epoch(self.epoch, self.life_seq)
        return self.epoch

    def suspect(self, seq: int, reason: str) -> None:
        """Write nothing any more: something of what was good is damaged."""
        if self.trouble is None:
            self._refuse_writes(Kind.DAMAGED, reason, seq)
            self._directory.tell(self.trouble)

    def _check_keys(self) -> None:
        """See that no change of key that is known was lost with the end of the log."""
        if self._is_restored or self.read_only is not None:
            return
        if not self.keys.continues(self._known_keys):
            known = self._known_keys.events[-1].seq
            self._refuse_writes(
                Kind.ROLLED_BACK,
                f"{names.KEYS} has a change of key at event {known}, and the log ends at event "
                f"{self.head.seq} without it: an older copy was put back",
                known,
            )

    def _damaged(self, first_seq: int, finding: Damaged, data: bytes) -> None:
        name = self._directory.segment(first_seq).name
        damaged = data[finding.start : finding.end]
        try:
            kept = f"a copy is in {self._directory.quarantine('damaged', self.head.seq, damaged)}"
        except DiskFull:
            kept = "there is no room for a copy"
        self._refuse_writes(
            Kind.DAMAGED,
            f"{name} is damaged at bytes {finding.start} to {finding.end}: {finding.damage} "
            f"({kept})",
            finding.damage.seq,
            flaw=finding.damage.flaw,
            segment=name,
        )

    def _refuse_writes(
        self,
        kind: Kind,
        reason: str,
        seq: int,
        *,
        flaw: Flaw | None = None,
        segment: str | None = None,
    ) -> None:
        name = flaw.name.lower() if flaw else None
        self.trouble = Trouble(kind=kind, reason=reason, seq=seq, flaw=name, segment=segment)
        log.error("log.read_only", extra={"kind": kind, "reason": reason, "seq": seq})

    def _read(self, first_seq: int) -> bytes:
        return read_segment(self._directory.root, first_seq)
