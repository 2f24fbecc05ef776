"""Batches that humd offers: each is taken exactly once, however often it is offered.

A batch is named (epoch, number): the start of humd that made it, and 1, 2, 3, ... within. The name
is written into the events (`@via.batch`), so the last one taken is known after a crash too. A batch
is never split over two commit groups, so it is on disk whole or not at all; only when every event
is signed can a crash leave its beginning, and then the same offer brings the rest.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import orjson

from thehum.core.bodies import VIA, Note, Via
from thrum.errors import MalformedTone

BATCH_MAX = 2**53


@dataclass(frozen=True, slots=True)
class BatchName:
    """Names a batch. Within one epoch numbers only grow."""

    epoch: str
    number: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.number}"


@dataclass(frozen=True, slots=True)
class Section:
    """A run of parcels that came the same way, end to end as received."""

    client: str | None
    peer: str | None
    parcels: bytes
    notes: dict[int, Note] = field(default_factory=dict)
    """What humd says of a parcel, by its place in the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One batch as humd offers it."""

    name: BatchName
    first_seq: int
    """The seq that humd expects its first event to get."""
    at_ms: int
    """humd's wall clock; the events get it, or the last event's time when that is later."""
    count: int
    """Parcels in all sections."""
    sections: tuple[Section, ...]

    def via(self, section: Section) -> Via:
        """How the tones of `section` came."""
        return Via(str(self.name), section.client, section.peer, section.notes)


@dataclass(frozen=True, slots=True)
class Append:
    """Take the offer, but for the first `skip` events, which a crash left on disk."""

    skip: int = 0


class Answer(Enum):
    """What becomes of an offer that is not taken."""

    ALREADY_DURABLE = "already durable"
    OUT_OF_STEP = "out of step"
    """humd counts differently: it must read the log again."""


def read_offer(body: dict[str, Any]) -> Offer:
    """The offer in an `append` body (docs/wire.md, 1.5); raises `MalformedTone`."""
    try:
        sections = tuple(_section(*section) for section in body["sections"])
        offer = Offer(
            name=BatchName(str(body["epoch"]), int(body["batch"])),
            first_seq=int(body["first_seq"]),
            at_ms=int(body["at_ms"]),
            count=sum(int(section[2]) for section in body["sections"]),
            sections=sections,
        )
    except (KeyError, TypeError, ValueError, IndexError) as problem:
        raise MalformedTone(f"not an append: {problem!r}") from problem
    if not (offer.name.epoch and 0 < offer.name.number < BATCH_MAX and offer.at_ms >= 0):
        raise MalformedTone(f"not an append: batch {offer.name}")
    return offer


def _section(
    client: object, peer: object, _: object, parcels: object, notes: object = None
) -> Section:
    if (
        type(parcels) is bytes
        and (client is None or type(client) is str)
        and (peer is None or type(peer) is str)
        and (notes is None or type(notes) is dict)
    ):
        said = notes.items() if type(notes) is dict else ()
        read = {int(place): Note(str(why), fan is True) for place, (why, fan) in said}
        return Section(client, peer, parcels, read)
    raise TypeError("a section is [client, peer, count, parcels, notes]")


def judge(offer: Offer, *, last: BatchName | None, next_seq: int) -> Append | Answer:
    """What to do with an offer: `last` was taken last, the next event gets `next_seq`."""
    on_disk = next_seq - offer.first_seq
    if last == offer.name and 0 < on_disk < offer.count:
        return Append(skip=on_disk)
    if last is not None and last.epoch == offer.name.epoch and offer.name.number <= last.number:
        return Answer.ALREADY_DURABLE
    return Append() if on_disk == 0 else Answer.OUT_OF_STEP


def batch_of(body: bytes) -> BatchName | None:
    """The batch that carried an event, from its body; None when it names none."""
    via = orjson.loads(body).get(VIA)
    name = via.get("batch") if type(via) is dict else None
    epoch, dot, number = name.rpartition(".") if type(name) is str else ("", "", "")
    return BatchName(epoch, int(number)) if dot and number.isdecimal() else None
