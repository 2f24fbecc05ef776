"""A workload for the log, and the one check of what it left.

Batch `n` is the same bytes in every run, so a batch that was cut off is offered again as it was,
and what the log must hold at the end is known without asking it.

As a program, `python -m tests.faults.rigs.writer FOLDER [BATCHES]` writes into a log and prints the
number of each batch once it is durable.
"""

import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import orjson
from tests.unit.thehum.chains import AUTHOR, KEY, START_MS, identity, keep

from thehum.core.audit import Author, audit
from thehum.core.bodies import Draft, read_drafts
from thehum.core.groups import Signing
from thehum.core.keeping import Aside, Place, place_of
from thehum.core.offers import Answer, Offer, Section, judge, read_offer
from thehum.core.pages import PageLimits
from thehum.edge.bodies import DamagedBody
from thehum.edge.directory import segments_in
from thehum.edge.log import Log
from thehum.edge.sealed import read_segment
from thehum.errors import DiskFull
from thrum import frames
from thrum.chi import Chi
from thrum.frames import Header

T = TypeVar("T")
EPOCH = "e"
PRODUCERS = 3
SEGMENT_BYTES = 16 * 1024
REMEMBER_EVERY = 4
"""Groups between two times that the head is written down."""
REFUSALS_MAX = 100
EVERYTHING = PageLimits(events_max=10_000_000, bytes_max=1 << 31)

Acknowledge = Callable[[int], None]
"""Hears the number of the last batch that is durable."""
Commit = Callable[[Log, list[Offer], Acknowledge], None]
"""Puts offers into the log as one group, then says so."""


def count_of(number: int) -> int:
    """Events in a batch: 2, 3, 1, 2, 3, 1, ..."""
    return 1 + number % 3


def first_seq_of(number: int) -> int:
    """The seq of a batch's first event, when batches are numbered from 1."""
    before = number - 1
    return 1 + 2 * before + (before % 3 == 2)


def rids_of(number: int) -> list[str]:
    return [f"b{number}-{index}" for index in range(count_of(number))]


def _chi_of(number: int) -> str:
    """Every fourth batch has its bodies beside the log."""
    return Chi.CHUNK if number % 4 else Chi.PROMPT


def offer_of(number: int) -> Offer:
    """Batch `number` as humd offers it."""
    producer = f"D/{number % PRODUCERS}"
    parcels = b"".join(
        frames.pack(
            Header(_chi_of(number), rid, "hum-X", "wbee_x", seq=index + 1),
            {"delta": f"token {number}.{index} " + "x" * (number * 37 % 400)},
        )
        for index, rid in enumerate(rids_of(number))
    )
    return read_offer(
        {
            "epoch": EPOCH,
            "batch": number,
            "first_seq": first_seq_of(number),
            "at_ms": START_MS + number,
            "sections": [[producer, None, count_of(number), parcels]],
        }
    )


def commit(log: Log, offers: list[Offer], acknowledge: Acknowledge) -> None:
    """As thehum does: judge, chain and sign, write, sync; and only then acknowledge."""
    builder, last = log.builder(), log.last_batch
    asides: list[Aside] = []
    for offer in offers:
        verdict = judge(offer, last=last, next_seq=builder.next_seq)
        if verdict is Answer.ALREADY_DURABLE:
            continue
        assert not isinstance(verdict, Answer), f"{offer.name} is {verdict}"
        (section,) = offer.sections
        drafts, beside = _drafts(offer, section)
        asides += [aside for aside in beside if aside.seq >= builder.next_seq]
        builder.add(drafts[verdict.skip :], offer.at_ms)
        last = offer.name
    if builder.size:
        log.append(builder.seal(), last, asides)
    acknowledge(offers[-1].name.number)


def _drafts(
    offer: Offer, section: Section, first_seq: int | None = None
) -> tuple[list[Draft], list[Aside]]:
    """The drafts of the one section of an offer, and what goes beside the log."""
    return read_drafts(
        section.parcels,
        via=offer.via(section),
        mint=_no_mint,
        keep=keep(sensitive=frozenset({Chi.PROMPT})),
        first_seq=offer.first_seq if first_seq is None else first_seq,
    )


def commit_without_asking(log: Log, offers: list[Offer], acknowledge: Acknowledge) -> None:
    """A control: what is offered again is written again."""
    builder, asides = log.builder(), list[Aside]()
    for offer in offers:
        drafts, beside = _drafts(offer, offer.sections[0], first_seq=builder.next_seq)
        builder.add(drafts, offer.at_ms)
        asides += beside
    log.append(builder.seal(), offers[-1].name, asides)


def commit_after_acknowledging(log: Log, offers: list[Offer], acknowledge: Acknowledge) -> None:
    """A control: says so first, because the bytes are in a buffer of its own."""
    acknowledge(offers[-1].name.number)
    commit(log, offers, lambda _: None)


def commit_with_bodies_last(log: Log, offers: list[Offer], acknowledge: Acknowledge) -> None:
    """A control: what goes beside the log goes there once its event is acknowledged."""
    builder, asides = log.builder(), list[Aside]()
    for offer in offers:
        drafts, beside = _drafts(offer, offer.sections[0])
        builder.add(drafts, offer.at_ms)
        asides += beside
    log.append(builder.seal(), offers[-1].name)
    acknowledge(offers[-1].name.number)
    if asides:
        log.bodies.write(asides, segment_first_seq=1)
        log.bodies.settle()


def groups_of(first: int, upto: int | None = None) -> Iterator[list[int]]:
    """Numbers of batches, one to four to a group."""
    number = first
    while upto is None or number <= upto:
        size = 1 + number * (number + 1) // 2 % 4
        end = number + size if upto is None else min(number + size, upto + 1)
        yield list(range(number, end))
        number = end


def open_log(root: Path, **options: Any) -> Log:
    return Log(root, identity(), **{"segment_bytes": SEGMENT_BYTES, **options})


def write(
    root: Path,
    first: int,
    upto: int | None,
    acknowledge: Acknowledge,
    *,
    commit: Commit = commit,
    refused: Callable[[], None] = lambda: None,
    packs: int = 0,
    **options: Any,
) -> None:
    """Offer the batches from `first` to `upto`, for ever when None; again when there is no room.

    At the end, `packs` of the segments that are full are compressed.

    Raises whatever the log raises but `DiskFull`.
    """
    log = _persistently(lambda: open_log(root, **options), refused)
    try:
        for turn, numbers in enumerate(groups_of(first, upto), start=1):
            offers = [offer_of(number) for number in numbers]
            _persistently(partial(commit, log, offers, acknowledge), refused)
            _persistently(partial(_tidy, log, turn), refused)
        while len(list(root.glob("*.packed"))) < packs:
            _persistently(log.compress, refused)
    finally:
        log.close()


def _tidy(log: Log, turn: int) -> None:
    if log.is_half_full:
        log.prepare()
    if turn % REMEMBER_EVERY == 0:
        log.remember()


def _persistently(work: Callable[[], T], refused: Callable[[], None]) -> T:
    for _ in range(REFUSALS_MAX):
        try:
            return work()
        except DiskFull:
            refused()
    return work()


@dataclass(frozen=True, slots=True)
class Left:
    """What a workload left behind."""

    batches: int
    """Whole batches from the first on."""
    torn_bytes: int
    wrong: str | None
    """The first thing that is not as promised."""


def left_in(root: Path, acknowledged: int, **options: Any) -> Left:
    """Open the log as a start does and look whether it kept its promises.

    They are: it is not read-only, every signature and the whole chain verify, it holds the batches
    1, 2, 3, ... each once and whole, and everything that was acknowledged.
    """
    log = open_log(root, **options)
    try:
        lines = log.page(1, EVERYTHING).lines
        lost = lost_bodies(log, lines)
        torn, read_only, remembered = log.recovered_bytes, log.read_only, log.head.seq
    finally:
        log.close()
    rids = [orjson.loads(line)["rid"] for line in lines]
    batches = _batches_in(len(rids))
    if read_only is not None:
        return Left(batches, torn, f"read-only: {read_only}")
    report = audit(
        segments_in(root),
        lambda first: read_segment(root, first),
        Author(hid=AUTHOR, public=KEY.public),
        every=True,
        remembered_seq=remembered,
    )
    if report.damage is not None:
        return Left(batches, torn, f"does not verify: {report.damage}")
    expected = [rid for number in range(1, batches + 1) for rid in rids_of(number)]
    is_every = options.get("signing") is Signing.EVERY  # then a crash may split a batch
    if rids[: len(expected)] != expected or (len(rids) != len(expected) and not is_every):
        return Left(batches, torn, f"not each batch once and whole: {rids[-8:]}")
    if batches < acknowledged:
        return Left(batches, torn, f"{batches} batches, but {acknowledged} were acknowledged")
    if lost:
        return Left(batches, torn, f"no bodies beside the events {lost[:8]}")
    return Left(batches, torn, None)


def lost_bodies(log: Log, lines: list[bytes]) -> list[int]:
    """The events whose body ought to be beside the log, and is not."""
    places = {seq: place_of(line) for seq, line in enumerate(lines, 1)}
    return [seq for seq, place in places.items() if place and not _has_body(log, seq, place)]


def _has_body(log: Log, seq: int, place: Place) -> bool:
    try:
        return log.bodies.read(seq, place) is not None
    except DamagedBody:
        return False


def _batches_in(events: int) -> int:
    return next(number for number in itertools.count(events // 2 - 1) if number >= 0
                and first_seq_of(number + 2) > events + 1)  # fmt: skip


def _no_mint() -> str:
    raise AssertionError("every tone of the workload has a rid")


def main() -> None:
    root, upto = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None
    write(root, 1, upto, lambda number: _say(str(number)))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
