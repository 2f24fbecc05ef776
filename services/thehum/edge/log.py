"""The log: opened and recovered, appended to a group at a time, read back by pages."""

import logging
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from nest.identity import Identity
from thehum.core.base import Base
from thehum.core.events import GENESIS, Head, split_line
from thehum.core.events import hash_of as event_hash
from thehum.core.groups import Group, GroupBuilder, Signing
from thehum.core.keeping import Aside, place_of
from thehum.core.keys import KeyChain, KeyEvents
from thehum.core.offers import BatchName
from thehum.core.pages import Page, PageLimits
from thehum.core.retention import Kept
from thehum.core.trouble import Kind, Trouble
from thehum.edge.bodies import Bodies
from thehum.edge.directory import LogDirectory
from thehum.edge.disk import told_apart
from thehum.edge.reader import Reader
from thehum.edge.recovering import Recovery, Torn
from thehum.edge.remembered import HeadFile
from thehum.edge.sealed import Compressor
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
        self._head_file = head_file
        self.recovered_bytes = 0
        """Bytes of a torn tail that this start found, and put into quarantine."""
        self.base: Base | None = None
        """What the log begins behind, once its oldest events went."""
        self._segment: Segment | None = None
        self._torn: Torn | None = None
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
                self._recover(is_restored=is_restored)
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
    def is_spare_late(self) -> bool:
        """Whether the next segment is needed soon and not laid out."""
        return self.is_half_full and not self._spare.is_ready

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

    def _recover(self, *, is_restored: bool) -> None:
        """Take over what the folder holds, and do what the last life had begun."""
        recovery = Recovery(
            self._directory,
            self._reader,
            author=self.author,
            known_keys=self.keys,
            signing=self._signing,
            remembered_seq=self._remembered,
            gaps=self.gaps,
        )
        found = recovery.look(epoch=self.epoch, head_file=self._head_file, is_restored=is_restored)
        self.head, self.keys, self.last_batch = found.head, found.keys, found.last_batch
        self.base, self._segment, self._torn = found.base, found.segment, found.torn
        if found.trouble is not None:
            self._refuse_writes(found.trouble)
            return
        self._directory.tell(None)
        if self.base is not None:
            self._remove_before_base(self.base)
        self.bodies.recover(self.head.seq, self._has_bodies_behind)
        if self._segment is None:
            self._unless_full(self._begin)
            return
        self._bodies_bytes = self.bodies.size(self._segment.first_seq)
        if self._torn is not None:
            self.recovered_bytes = len(self._torn.data)
            self._unless_full(self._set_aside)

    def _set_aside(self) -> None:
        """Put a torn tail into quarantine, then zero it. Raises `DiskFull`, `WriteFailed`."""
        if self._torn is None or self._segment is None:
            return
        start, data = self._torn.start, self._torn.data
        kept = self._directory.quarantine("torn", self.head.seq, data)
        self._segment.zero(start, start + len(data))
        self._torn = None
        log.warning("log.torn_tail", extra={"bytes": len(data), "kept": str(kept)})

    def _begin(self) -> None:
        """Begin the segment behind the head."""
        self._segment = self._next_segment()

    def _unless_full(self, write: Callable[[], object]) -> None:
        """Do what the next `append` would do first, if there is room."""
        try:
            write()
        except DiskFull as problem:
            log.warning("log.no_room", extra={"reason": problem.message})

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
            self._refuse_writes(Trouble(kind=Kind.DAMAGED, reason=reason, seq=seq))

    def _refuse_writes(self, trouble: Trouble) -> None:
        self.trouble = trouble
        log.error(
            "log.read_only",
            extra={"kind": trouble.kind, "reason": trouble.reason, "seq": trouble.seq},
        )
        self._directory.tell(trouble)
