"""Compare what events say of bodies beside the log with what is there."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum

from thehum.core.forgetting import order_in
from thehum.core.keeping import Place, place_of
from thehum.core.pages import sid_of

WRONG_MAX = 100
"""Events that a report names; the rest is counted."""
_ORDER = b',"chi":"forget","prev_hash":"'


class There(Enum):
    """What is found of one body."""

    WHOLE = "whole"
    GONE = "gone"
    CHANGED = "changed"


@dataclass(slots=True)
class BodiesReport:
    """What an audit of bodies found."""

    kept: int = 0
    kept_bytes: int = 0
    forgotten: int = 0
    """Gone, and a later event orders it."""
    changed: list[int] = field(default_factory=list)
    """Events whose body is not the one that was hashed, or is filed under another sid, where an
    order to forget would not find it; at most `WRONG_MAX`."""
    lost: list[int] = field(default_factory=list)
    """Events whose body is gone though nothing ordered it, at most `WRONG_MAX`."""

    @property
    def is_good(self) -> bool:
        return not self.changed and not self.lost


def audit_bodies(
    lines: Iterable[tuple[int, bytes]],
    look: Callable[[int, Place, str | None], There],
    *,
    upto_seq: int,
) -> BodiesReport:
    """Look for the body of every event up to `upto_seq` that has one beside the log.

    `lines` are ascending, and read after a body was looked for: who erased it meanwhile said so in
    one of those that follow.
    """
    report, orders = BodiesReport(), dict[str, int]()
    gone: list[tuple[int, str | None]] = []
    for seq, line in lines:
        place = place_of(line)
        if place is not None and seq <= upto_seq:
            there = look(seq, place, sid_of(line))
            if there is There.WHOLE:
                report.kept += 1
                report.kept_bytes += place.size
            elif there is There.GONE:
                gone.append((seq, sid_of(line)))
            elif len(report.changed) < WRONG_MAX:
                report.changed.append(seq)
        elif _ORDER in line and (order := order_in(line)) is not None:
            orders[order.sid] = order.seq
    for seq, sid in gone:
        if sid is not None and orders.get(sid, 0) > seq:
            report.forgotten += 1
        elif len(report.lost) < WRONG_MAX:
            report.lost.append(seq)
    return report
