"""Orders to forget: what a `forget` event asks for, and the note that it is not done with yet.

A `forget` event with a sid orders that every body of that sid beside the log, of events before it,
be erased. The order is in the log before anything is erased, so the log says what was forgotten,
when and by whom. A note of it is on disk before the event is, so that no crash forgets to forget.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from thehum.core.bodies import Draft
from thehum.core.events import MalformedEvent, read_event
from thrum.canonical import dumps
from thrum.chi import Chi
from thrum.errors import LocalError

_TAIL = b',"chi":' + dumps(Chi.FORGET) + b',"prev_hash":"'
_SID = b',"sid":'


class NotAnOrder(LocalError):
    """A note that does not say what to forget."""


@dataclass(frozen=True, slots=True)
class Order:
    """Event `seq` asks to erase the bodies of `sid` before it."""

    seq: int
    sid: str


@dataclass(frozen=True, slots=True)
class Done:
    """What came of an order."""

    bodies: int
    bytes: int
    is_whole: bool = True
    """False when a file of bodies could not be read to its end."""


def report_of(order: Order, done: Done) -> dict[str, object]:
    """The body of the `forgotten` event that says what came of an order."""
    return {
        "order": order.seq,
        "bodies": done.bodies,
        "bytes": done.bytes,
        "whole": done.is_whole,
    }


def may_order(parcels: bytes) -> bool:
    """Whether a run of parcels can hold an order. Cheap, and never misses one."""
    return Chi.FORGET.encode() in parcels


def orders_in(drafts: Iterable[Draft], first_seq: int) -> list[Order]:
    """The orders among drafts that get the numbers from `first_seq` on."""
    found: list[Order] = []
    for seq, (before_hash, _, after_seq) in enumerate(drafts, first_seq):
        if before_hash.endswith(_TAIL):
            sid = orjson.loads(after_seq[len(_SID) :])
            if sid is not None:
                found.append(Order(seq, sid))
    return found


def order_in(line: bytes) -> Order | None:
    """The order that a stored line holds."""
    try:
        event = read_event(line)
    except MalformedEvent:
        return None
    is_order = event.chi == Chi.FORGET and event.sid is not None
    return Order(event.seq, event.sid or "") if is_order else None


def dump_note(order: Order, done: Done | None) -> bytes:
    """The note about an order."""
    fields: dict[str, object] = {"seq": order.seq, "sid": order.sid}
    if done is not None:
        fields |= {"bodies": done.bodies, "bytes": done.bytes, "whole": done.is_whole}
    return dumps(fields) + b"\n"


def read_note(data: bytes) -> tuple[Order, Done | None]:
    """An order, and what came of it when that is known; raises `NotAnOrder`."""
    try:
        fields = orjson.loads(data)
        order = Order(int(fields["seq"]), str(fields["sid"]))
        if "bodies" not in fields:
            return order, None
        done = Done(int(fields["bodies"]), int(fields["bytes"]), fields["whole"] is True)
    except (KeyError, TypeError, ValueError) as problem:
        raise NotAnOrder(f"not a note about an order to forget: {problem!r}") from problem
    return order, done
