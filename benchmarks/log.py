"""What the log costs: batches acknowledged a second, how long one waits, how fast a log verifies.

    python -m benchmarks.log [--long]

64 producers in this process, each with one batch of one event outstanding. As in thehum everything
that waits becomes one group: judged, chained, signed, written and synced, then acknowledged, and
the head and the next segment are looked after in between.

Prints, last, one JSON object a line: `log.acked_per_s_64` and `log.ack_ms_p99_64` (from a batch's
offer to its acknowledgement), `log.verify_per_s` (events of a whole log, walked as `hum thehum
verify` does), and with --long `log.verify_1m_s`, a log of 1,000,000 events.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import orjson

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "services")]

from nest.identity import Identity, load_or_mint_identity  # noqa: E402
from thehum.core.audit import Author, audit  # noqa: E402
from thehum.core.bodies import read_drafts  # noqa: E402
from thehum.core.keeping import SALT_BYTES, Keep  # noqa: E402
from thehum.core.names import segment_name  # noqa: E402
from thehum.core.offers import Append, judge, read_offer  # noqa: E402
from thehum.edge.directory import segments_in  # noqa: E402
from thehum.edge.log import Log  # noqa: E402
from thrum import frames  # noqa: E402
from thrum.frames import Header  # noqa: E402
from thrum.tones import Body  # noqa: E402

PRODUCERS = 64
SECONDS, SECONDS_LONG = 4.0, 20.0
ROUNDS, ROUNDS_LONG = 3, 5
WARM_GROUPS = 200
PARCELS = 4_096
"""Different parcels, made before the clock runs; producers take them in turn."""
VERIFY_EVENTS, VERIFY_EVENTS_LONG = 200_000, 1_000_000
VERIFY_GROUP = 256
"""Events in a group of the log that is verified."""
REMEMBER_SECONDS = 1.0
EPOCH = "bench"
KEEP = Keep(mint_salt=lambda: os.urandom(SALT_BYTES))


class Figure(NamedTuple):
    figure: str
    value: float
    unit: str
    goal: str


def parcels() -> list[bytes]:
    """Chunks of a stream, as workers send them."""
    return [
        frames.pack(
            Header("chunk", f"r{index}", f"hum-{index % PRODUCERS}", "wbee_bench", seq=index + 1),
            {"chunkType": "text_delta", "blockIdx": 0, "delta": f"token {index} "},
        )
        for index in range(PARCELS)
    ]


def offers(waiting: list[bytes], first: int) -> Iterator[Body]:
    """Bodies of `append`, one for each parcel; batch `n` begins with event `n`."""
    at_ms = time.time_ns() // 1_000_000
    for number, parcel in enumerate(waiting, start=first):
        sections = [[f"D/{number % PRODUCERS}", None, 1, parcel]]
        yield {
            "epoch": EPOCH, "batch": number, "first_seq": number, "at_ms": at_ms,
            "sections": sections,
        }  # fmt: skip


def commit(log: Log, bodies: list[Body]) -> None:
    """What thehum does with the offers that wait: one group, on disk when this returns."""
    builder, last = log.builder(), log.last_batch
    for body in bodies:
        offer = read_offer(body)
        if not isinstance(judge(offer, last=last, next_seq=builder.next_seq), Append):
            raise SystemExit(f"{offer.name} was not taken")
        for section in offer.sections:
            drafts, _ = read_drafts(
                section.parcels,
                via=offer.via(section),
                mint=str,
                keep=KEEP,
                first_seq=builder.next_seq,
            )
            builder.add(drafts, offer.at_ms)
        last = offer.name
    log.append(builder.seal(), last)


def crowd(root: Path, identity: Identity, seconds: float) -> tuple[float, list[float]]:
    """Batches acknowledged a second, and the ms that each waited."""
    log, pool = Log(root, identity), parcels()
    waited: list[float] = []
    try:
        turn, began, remembered = 0, time.perf_counter(), time.perf_counter()
        while True:
            offered = time.perf_counter()
            if turn == WARM_GROUPS:
                began = offered
                waited.clear()
            if turn > WARM_GROUPS and offered - began > seconds:
                break
            at = turn * PRODUCERS % PARCELS
            commit(log, list(offers(pool[at : at + PRODUCERS], log.head.seq + 1)))
            took = (time.perf_counter() - offered) * 1e3
            waited += [took] * PRODUCERS  # all of a group are told at once
            if offered - remembered > REMEMBER_SECONDS:
                remembered = offered
                log.remember()
            if log.is_half_full:
                log.prepare()
            turn += 1
        return len(waited) / (time.perf_counter() - began), sorted(waited)
    finally:
        log.close()


def fill(root: Path, identity: Identity, events: int) -> None:
    """A log of so many events."""
    log, pool = Log(root, identity), parcels()
    while log.head.seq < events:
        at = log.head.seq % PARCELS
        size = min(VERIFY_GROUP, events - log.head.seq)
        commit(log, list(offers(pool[at : at + size], log.head.seq + 1)))
    log.close()


def verify(root: Path, identity: Identity, events: int) -> float:
    """Seconds to verify the whole log."""
    began = time.perf_counter()
    report = audit(
        segments_in(root),
        lambda first: (root / segment_name(first)).read_bytes(),
        Author(hid=str(identity.hid), public=identity.key.public),
        remembered_seq=events,
    )
    took = time.perf_counter() - began
    if report.damage is not None or report.events != events:
        raise SystemExit(f"{report.events} of {events} events: {report.damage}")
    return took


def measure(home: Path, *, is_long: bool) -> Iterator[Figure]:
    identity = load_or_mint_identity(home / "key" / "humd.key", prefix="humd")
    rates, tails = [], []
    for number in range(ROUNDS_LONG if is_long else ROUNDS):
        seconds = SECONDS_LONG if is_long else SECONDS
        rate, waited = crowd(home / f"crowd-{number}", identity, seconds)
        rates.append(rate)
        tails.append(waited[len(waited) * 99 // 100])
        print(f"round {number}: {rate:,.0f}/s, p50 {waited[len(waited) // 2]:.2f} ms, "
              f"p99 {tails[-1]:.2f} ms, longest {waited[-1]:.1f} ms", file=sys.stderr)  # fmt: skip
    yield Figure("log.acked_per_s_64", statistics.median(rates), "batches/s", ">= 50000")
    yield Figure("log.ack_ms_p99_64", statistics.median(tails), "ms", "<= 5")
    events = VERIFY_EVENTS_LONG if is_long else VERIFY_EVENTS
    fill(home / "verify", identity, events)
    took = statistics.median(verify(home / "verify", identity, events) for _ in range(3))
    yield Figure("log.verify_per_s", events / took, "events/s", ">= 500000")
    if is_long:
        yield Figure("log.verify_1m_s", took, "s", "<= 4")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="longer rounds, and 1 M events")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="h-") as home:
        os.environ["HOME"] = home
        figures = list(measure(Path(home), is_long=options.long))
    print(f"load {os.getloadavg()[0]:.1f} after", file=sys.stderr)
    for figure in figures:
        line = {**figure._asdict(), "value": round(figure.value, 3)}
        print(orjson.dumps(line).decode())


if __name__ == "__main__":
    main()
