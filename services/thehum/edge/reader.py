"""Reads pages of events out of the segments, while the writer goes on or without any writer.

A seq is found by the names of the segments and, within one, from the nearest mark: a (seq, offset)
left every `MARK_EVERY_BYTES` by whoever read past it before. A compressed segment has an index
instead. Nothing is kept but marks and indexes, each for at most `MARKED_SEGMENTS_MAX` segments.
"""

import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path

from thehum.core.pages import Page, PageLimits
from thehum.core.recovery import MARK_EVERY_BYTES
from thehum.core.sealed import BrokenSegment, Frame
from thehum.edge.directory import segments_in
from thehum.edge.sealed import frames_in, open_segment, packed_lines

CHUNK_BYTES = 256 * 1024
"""Read at a time."""
MARKED_SEGMENTS_MAX = 64
Mark = tuple[int, int]
"""A seq and the offset of its line."""


class Reader:
    """See the module. Call `refresh` when segments may have come or gone."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.firsts: list[int] = []
        """First seqs of the segments, ascending."""
        self._marks: OrderedDict[int, list[Mark]] = OrderedDict()
        self._frames: OrderedDict[int, tuple[Frame, ...]] = OrderedDict()
        self.refresh()

    def refresh(self) -> None:
        """Look which segments there are now."""
        self.firsts = segments_in(self._root)

    @property
    def first_seq(self) -> int:
        """The oldest seq that is still here; 1 for an empty log."""
        return self.firsts[0] if self.firsts else 1

    def remember(self, first_seq: int, marks: Iterable[Mark]) -> None:
        """Take over marks that somebody else found in a segment."""
        for seq, offset in marks:
            self._mark(first_seq, seq, offset)

    def page(
        self, from_seq: int, *, upto_seq: int, limits: PageLimits, sid: str | None = None
    ) -> Page:
        """Events from `from_seq` on, none behind `upto_seq`, as many as the limits allow.

        `next_seq` of the page is where to go on, behind `upto_seq` when there is no more. Raises
        `BrokenSegment` for a compressed segment that cannot be read.
        """
        page = Page(limits, sid=sid, next_seq=max(from_seq, self.first_seq))
        while page.next_seq <= upto_seq:
            before = page.next_seq
            if not self._fill(page, upto_seq):
                break
            if page.next_seq == before:  # events are lost here; what is behind them is not
                behind = [first for first in self.firsts if first > before]
                if not behind or behind[0] > upto_seq or page.seen_bytes:
                    break  # a page has no gap within
                page.next_seq = behind[0]
        return page

    def _fill(self, page: Page, upto_seq: int) -> bool:
        """Take lines of the segment that holds `next_seq`; False when the page is full."""
        index = bisect_right(self.firsts, page.next_seq) - 1
        if index < 0:
            return False
        first_seq = self.firsts[index]
        for seq, line in self._lines(first_seq, page.next_seq):
            if seq > upto_seq:
                return False
            if seq >= page.next_seq and not page.take(line, seq):
                return False
        return True

    def _lines(self, first_seq: int, from_seq: int) -> Iterator[tuple[int, bytes]]:
        """Lines of one segment with their seqs, from a little before `from_seq` on."""
        try:
            handle, is_compressed = open_segment(self._root, first_seq)
        except FileNotFoundError as problem:
            raise BrokenSegment(f"the segment of event {first_seq} is gone") from problem
        try:
            if is_compressed:
                yield from packed_lines(handle, self._frames_of(first_seq, handle), from_seq)
                return
            seq, offset = self._nearest(first_seq, from_seq)
            rest = b""
            while chunk := os.pread(handle, CHUNK_BYTES, offset + len(rest)):
                lines = (rest + chunk).split(b"\n")
                rest = lines.pop()
                for line in lines:
                    if line[:1] == b"\0":
                        return
                    self._mark(first_seq, seq, offset)
                    yield seq, line
                    offset += len(line) + 1
                    seq += 1
                if rest[:1] == b"\0":
                    return
        finally:
            os.close(handle)

    def _frames_of(self, first_seq: int, handle: int) -> tuple[Frame, ...]:
        frames = self._frames.get(first_seq)
        if frames is None:
            frames = self._frames[first_seq] = frames_in(handle)
            if len(self._frames) > MARKED_SEGMENTS_MAX:
                self._frames.popitem(last=False)
        return frames

    def _nearest(self, first_seq: int, from_seq: int) -> Mark:
        marks = self._marks.get(first_seq)
        if not marks:
            return first_seq, 0
        self._marks.move_to_end(first_seq)
        index = bisect_right(marks, from_seq, key=lambda mark: mark[0]) - 1
        return marks[index] if index >= 0 else (first_seq, 0)

    def _mark(self, first_seq: int, seq: int, offset: int) -> None:
        marks = self._marks.get(first_seq)
        if marks is None:
            marks = self._marks[first_seq] = []
            if len(self._marks) > MARKED_SEGMENTS_MAX:
                self._marks.popitem(last=False)
        if not marks or offset - marks[-1][1] >= MARK_EVERY_BYTES:
            marks.append((seq, offset))
