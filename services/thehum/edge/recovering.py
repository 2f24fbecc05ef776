"""What a start finds in the folder of a log: its head, where it begins, and what is wrong.

The newest two segments are verified, the end of the open one is told apart by `core.recovery`, and
what was found is compared with all that remembers the log: the head in the folder, the one outside
it, the changes of its key, the note of where it begins, the gaps that a repair left. The first
thing that does not agree is the trouble; nothing is cut and nothing is removed for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from thehum.core import names
from thehum.core.base import Base
from thehum.core.events import GENESIS, Head, read_event
from thehum.core.groups import Signing
from thehum.core.keys import KeyChain
from thehum.core.mending import Gap
from thehum.core.notes import BadNote
from thehum.core.offers import BatchName, batch_of
from thehum.core.pages import PageLimits
from thehum.core.recovery import Damaged, Scan, TornTail, scan_segment
from thehum.core.sealed import unpack
from thehum.core.trouble import Kind, Trouble
from thehum.core.verify import Damage, Flaw, Walk, start_of
from thehum.edge.directory import LogDirectory
from thehum.edge.disk import open_private
from thehum.edge.reader import Reader
from thehum.edge.remembered import HeadFile
from thehum.edge.sealed import read_segment
from thehum.edge.segment import Segment
from thehum.errors import DiskFull


@dataclass(frozen=True, slots=True)
class Torn:
    """Bytes of a write that did not finish, at `start` of the open segment."""

    start: int
    data: bytes


@dataclass(slots=True, kw_only=True)
class Found:
    """What is known of a log at its start."""

    keys: KeyChain
    """The keys up to the head."""
    head: Head = GENESIS
    last_batch: BatchName | None = None
    base: Base | None = None
    """What the log begins behind."""
    segment: Segment | None = None
    """The open one, when it can be written."""
    torn: Torn | None = None
    """What stands behind the head; nobody was told of it."""
    trouble: Trouble | None = None
    """Why nothing may be written."""


class Recovery:
    """One look at a folder. `look` once; it leaves marks in the reader."""

    def __init__(
        self,
        directory: LogDirectory,
        reader: Reader,
        *,
        author: str,
        known_keys: KeyChain,
        signing: Signing,
        remembered_seq: int,
        gaps: Sequence[Gap],
    ) -> None:
        """`known_keys` is what is known outside the segments of how the key was replaced."""
        self._directory, self._reader = directory, reader
        self._author, self._known_keys = author, known_keys
        self._signing = signing
        self._remembered_seq = remembered_seq
        self._gaps = gaps
        self.found = Found(keys=known_keys)

    def look(self, *, epoch: int, head_file: HeadFile | None, is_restored: bool) -> Found:
        """Verify the end of the log and compare it with what remembers it.

        With `is_restored` another history is right. Raises `WriteFailed`. Damage raises nothing.
        """
        self._verify_end()
        if self.found.trouble is None and not is_restored:
            self._check_keys()
        if self.found.trouble is None:
            self._find_base()
        if self.found.trouble is None and not is_restored and head_file is not None:
            self._check_head_file(head_file, epoch)
        return self.found

    # --- the newest two segments

    def _verify_end(self) -> None:
        firsts = self._directory.segments()
        if len(firsts) > 1 and not self._verify_sealed(firsts[-2], firsts[-1]):
            return
        if firsts and self._directory.segment(firsts[-1]).exists():
            self._verify_open(firsts[-1], is_first=len(firsts) == 1)
        elif not firsts or self._verify_sealed(firsts[-1], None):  # compressed, so not the open one
            self._is_long_enough()

    def _verify_open(self, first_seq: int, *, is_first: bool) -> None:
        found = self.found
        data = read_segment(self._directory.root, first_seq)
        is_near = not is_first and found.head.seq + 1 == first_seq
        scan = scan_segment(
            data,
            self._walk(found.head, found.keys) if is_near else self._walk_from(first_seq),
            is_each_signed=self._signing is Signing.EVERY,
            remembered_seq=self._remembered_seq,
        )
        self._accept(first_seq, scan)
        if isinstance(scan.finding, Damaged):
            self._refuse_damaged(first_seq, scan.finding, data)
        elif self._is_long_enough():
            path = self._directory.segment(first_seq)
            handle = open_private(path, write=True)
            found.segment = Segment(path, handle, first_seq=first_seq, end=scan.end)
            if isinstance(scan.finding, TornTail):
                start, end = scan.finding.start, scan.finding.end
                found.torn = Torn(start, data[start:end])

    def _verify_sealed(self, first_seq: int, next_first: int | None) -> bool:
        """Verify a sealed segment; False when something is wrong with it."""
        stored = read_segment(self._directory.root, first_seq)
        data, is_whole = unpack(stored)
        scan = scan_segment(data, self._walk_from(first_seq), is_sealed=True)
        self._accept(first_seq, scan)
        after = self.found.head.seq + 1
        if isinstance(scan.finding, Damaged):
            self._refuse_damaged(first_seq, scan.finding, data)
        elif not is_whole:
            flaw = Damage(after, Flaw.STORAGE, after)
            self._refuse_damaged(first_seq, Damaged(0, len(stored), flaw), stored)
        elif next_first in (None, after) or self._is_known_gap(after, next_first - 1):
            return True
        else:
            reason = (
                f"events {after} to {next_first - 1} are missing: the segment before "
                f"{self._directory.segment(next_first).name} ends too early"
            )
            self._refuse(Kind.MISSING, reason, after)
        return False

    def _walk_from(self, first_seq: int) -> Walk:
        return self._walk(start_of(first_seq), self._known_keys)

    def _walk(self, head: Head, known: KeyChain) -> Walk:
        return Walk(self._author, known.first, head, later=known.events)

    def _accept(self, first_seq: int, scan: Scan) -> None:
        self.found.head, self.found.keys = scan.head, scan.keys
        self._reader.remember(first_seq, scan.marks)
        if scan.last_line:
            self.found.last_batch = batch_of(read_event(scan.last_line).body)

    # --- what remembers it

    def _is_long_enough(self) -> bool:
        """Whether the log is as long as it was."""
        head = self.found.head
        if head.seq < self._remembered_seq:
            reason = (
                f"the log ends at event {head.seq}, but {self._remembered_seq} was acknowledged: "
                "it was cut short, or an older copy was put back"
            )
            self._refuse(Kind.ROLLED_BACK, reason, head.seq + 1)
        return self.found.trouble is None

    def _check_keys(self) -> None:
        """See that no change of key that is known was lost with the end of the log."""
        if self.found.keys.continues(self._known_keys):
            return
        known = self._known_keys.events[-1].seq
        reason = (
            f"{names.KEYS} has a change of key at event {known}, and the log ends at event "
            f"{self.found.head.seq} without it: an older copy was put back"
        )
        self._refuse(Kind.ROLLED_BACK, reason, known)

    def _find_base(self) -> None:
        """See where the log begins, and that nothing in front is missing."""
        try:
            base = self._directory.base(self.found.keys)
        except BadNote as problem:
            self._refuse(Kind.RECORDS, f"{names.BASE}: {problem.message}", 1)
            return
        self.found.base = base
        firsts = self._reader.firsts
        begin = base.seq + 1 if base else 1
        if not firsts:
            missing = base is not None
        else:
            missing = firsts[0] > begin or begin not in firsts
            missing = missing and not self._is_known_gap(begin, firsts[0] - 1)
        if missing and firsts and firsts[0] > begin:
            reason = f"events {begin} to {firsts[0] - 1} are missing"
            self._refuse(Kind.MISSING, reason, begin)
        elif missing:
            reason = f"the log begins with event {begin}, and no segment does"
            self._refuse(Kind.MISSING, reason, begin)

    def _check_head_file(self, head_file: HeadFile, epoch: int) -> None:
        """See that this is the log whose head is remembered outside its folder."""
        remembered, head, place = head_file.read(), self.found.head, head_file.path.name
        if remembered is None or remembered.author != self._author:
            return  # another log was here before, under another key
        seq = remembered.seq
        if remembered.epoch > epoch or seq > head.seq:
            reason = (
                f"the log ends at event {head.seq}, and {place} remembers {seq} of life "
                f"{remembered.epoch}: the folder was cut short, or an older copy was put back"
            )
            self._refuse(Kind.ROLLED_BACK, reason, head.seq + 1)
        elif remembered.epoch == epoch and self._hash_of(seq) not in (None, remembered.hash):
            reason = f"event {seq} is not the one that {place} remembers: it is another log"
            self._refuse(Kind.ROLLED_BACK, reason, seq)

    def _hash_of(self, seq: int) -> str | None:
        """The hash of an event; None when neither it nor the one behind it is there."""
        head = self.found.head
        if seq == head.seq:
            return head.hash
        limits = PageLimits(events_max=1, bytes_max=1)
        page = self._reader.page(seq + 1, upto_seq=head.seq, limits=limits)
        if page.next_seq != seq + 2 or not page.lines:
            return None
        return read_event(page.lines[0]).prev_hash

    def _is_known_gap(self, first_seq: int, last_seq: int) -> bool:
        """Whether a repair said that just these events are lost."""
        return any((gap.first_seq, gap.last_seq) == (first_seq, last_seq) for gap in self._gaps)

    # --- what is wrong

    def _refuse_damaged(self, first_seq: int, finding: Damaged, data: bytes) -> None:
        name = self._directory.segment(first_seq).name
        damaged = data[finding.start : finding.end]
        try:
            copy = self._directory.quarantine("damaged", self.found.head.seq, damaged)
            kept = f"a copy is in {copy}"
        except DiskFull:
            kept = "there is no room for a copy"
        self.found.trouble = Trouble(
            kind=Kind.DAMAGED,
            reason=(
                f"{name} is damaged at bytes {finding.start} to {finding.end}: {finding.damage} "
                f"({kept})"
            ),
            seq=finding.damage.seq,
            flaw=finding.damage.flaw.name.lower(),
            segment=name,
        )

    def _refuse(self, kind: Kind, reason: str, seq: int) -> None:
        self.found.trouble = Trouble(kind=kind, reason=reason, seq=seq)
