"""Carries out orders to forget, a file of bodies at a time, and survives every crash between.

A note is written before the order's event, updated when its bodies are erased, and removed once the
log has the report. So at a start a note means: erase (again, which finds what is left), or report
(again). A note whose event never came to be is removed.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from nest.private import read_private, replace_private
from thehum.core import names
from thehum.core.forgetting import Done, NotAnOrder, Order, dump_note, order_in, read_note
from thehum.core.pages import PageLimits
from thehum.core.records import BrokenRecord
from thehum.edge.bodies import Bodies, Erased
from thehum.edge.disk import sync_folder, told_apart
from thehum.edge.log import Log

log = logging.getLogger(__name__)


class Forgetting:
    """See the module. Call `note` before orders are appended, then `advance` until it says no."""

    def __init__(self, opened: Log, root: Path) -> None:
        self._log = opened
        self._root = root
        self._notes: dict[Order, Done | None] = {}
        self._files: list[int] | None = None
        """Files of bodies still to be gone through for the first order."""
        self._erased, self._is_whole = Erased(), True
        if opened.read_only is None:
            self._resume()

    @property
    def bodies(self) -> Bodies:
        return self._log.bodies

    @property
    def pending(self) -> int:
        """Orders that are not done with."""
        return len(self._notes)

    def note(self, orders: Sequence[Order]) -> None:
        """Put notes about `orders` on disk. Raises `DiskFull`, `WriteFailed`."""
        for order in orders:
            self._write(order, None)

    def ordered(self, orders: Sequence[Order]) -> None:
        """The events of `orders` are on disk: carry them out."""
        self._notes |= dict.fromkeys(orders)

    def withdraw(self, orders: Sequence[Order]) -> None:
        """The events of `orders` were not appended after all."""
        for order in orders:
            self._path(order).unlink(missing_ok=True)

    def advance(self) -> tuple[Order, Done] | None:
        """Go through one file for the oldest order; the order and what came of it, once done.

        Raises `DiskFull`, after which a later call tries again.
        """
        order = next((order for order, done in self._notes.items() if done is None), None)
        if order is None:
            return None
        if self._files is None:
            self._files = [first for first in self.bodies.firsts if first < order.seq]
            self._erased, self._is_whole = Erased(), True
        if self._files:
            first_seq = self._files.pop(0)
            if first_seq in self.bodies.firsts:  # otherwise its segment was dropped meanwhile
                self._erase(order, first_seq)
            return None
        done = Done(self._erased.bodies, self._erased.bytes, self._is_whole)
        self._write(order, done)
        self._notes[order], self._files = done, None
        log.info("log.forgotten", extra={"order": order.seq, "bodies": done.bodies})
        return order, done

    @property
    def has_work(self) -> bool:
        """Whether `advance` has something to do."""
        return any(done is None for done in self._notes.values())

    @property
    def unreported(self) -> list[tuple[Order, Done]]:
        """What was done and is not in the log yet, as far as is known."""
        return [(order, done) for order, done in self._notes.items() if done is not None]

    def reported(self, order: Order) -> None:
        """The log has the report about `order`."""
        self._path(order).unlink(missing_ok=True)
        self._notes.pop(order, None)

    def _erase(self, order: Order, first_seq: int) -> None:
        try:
            self._erased += self.bodies.forget(order.sid, before_seq=order.seq, first_seq=first_seq)
        except FileNotFoundError:
            pass  # retention was faster
        except BrokenRecord as problem:
            self._is_whole = False
            extra = {"file": first_seq, "reason": problem.message}
            log.error("log.not_all_forgotten", extra=extra)

    def _resume(self) -> None:
        """Take up the notes that a crash left."""
        for name in sorted(os.listdir(self._root)):
            if names.forget_seq(name) is None:
                continue
            path = self._root / name
            try:
                order, done = read_note(read_private(path))
            except NotAnOrder as problem:
                log.error("log.bad_note", extra={"file": name, "reason": problem.message})
                continue
            if self._is_in_log(order):
                self._notes[order] = done
            else:
                path.unlink()

    def _is_in_log(self, order: Order) -> bool:
        if order.seq > self._log.head.seq:
            return False
        if order.seq < self._log.first_seq:
            return True  # its event went with its segment; what it asked for still counts
        lines = self._log.page(order.seq, PageLimits(events_max=1)).lines
        return bool(lines) and order_in(lines[0]) == order

    def _write(self, order: Order, done: Done | None) -> None:
        with told_apart("writing a note of what to forget"):
            replace_private(self._path(order), dump_note(order, done))
        sync_folder(self._root)

    def _path(self, order: Order) -> Path:
        return self._root / names.forget_name(order.seq)
