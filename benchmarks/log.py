"""What the log costs: batches acknowledged a second, how long one waits, how fast a log verifies.

    python -m benchmarks.log [--long]

64 producers in this process, each with one batch of one event outstanding. As in thehum everything
that waits becomes one group: judged, chained, signed, written and synced, then acknowledged, and
the head and the next segment are looked after in between.

Prints, last, one JSON object a line:

- `log.acked_per_s_64` and `log.ack_ms_p99_64`, from a batch's offer to its acknowledgement;
- `log.verify_per_s`, events of a plain log, walked as `hum thehum verify` does, and
  `log.verify_1m_s`, a log of 1,000,000, plain or compressed, whichever takes longer;
- `log.bytes_per_token_event`: a token that came alone and is signed, in full segments, with its
  hash and its part of every other file; `log.range_100_ms_p99`: 100 of them anywhere;
- `log.proofs_per_s`, inclusion proofs of events anywhere in that log;
- `log.start_10m_s`: opening a log of 10,000,000 events.
"""

import argparse
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import orjson

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "services")]

import thrum.merkle as merkle  # noqa: E402
from hum.vouching import vouchers  # noqa: E402
from nest.identity import Identity, load_or_mint_identity  # noqa: E402
from thehum.core.audit import Author, audit  # noqa: E402
from thehum.core.bodies import Draft, Via, read_drafts  # noqa: E402
from thehum.core.events import GENESIS  # noqa: E402
from thehum.core.groups import Group, GroupBuilder  # noqa: E402
from thehum.core.keeping import SALT_BYTES, Keep  # noqa: E402
from thehum.core.names import SPARE, segment_name  # noqa: E402
from thehum.core.offers import Append, judge, read_offer  # noqa: E402
from thehum.core.pages import PageLimits  # noqa: E402
from thehum.core.tiles import TileNodes, whole  # noqa: E402
from thehum.edge.checkpoints import Checkpoints  # noqa: E402
from thehum.edge.directory import segments_in  # noqa: E402
from thehum.edge.log import Log  # noqa: E402
from thehum.edge.reader import Reader  # noqa: E402
from thehum.edge.sealed import read_segment  # noqa: E402
from thehum.edge.tiles import Tiles  # noqa: E402
from thrum import frames  # noqa: E402
from thrum.frames import Header  # noqa: E402
from thrum.tones import Body  # noqa: E402

PRODUCERS = 64
SECONDS, SECONDS_LONG = 4.0, 20.0
ROUNDS, ROUNDS_LONG = 3, 5
WARM_GROUPS = 200
PARCELS = 4_096
"""Different parcels, made before the clock runs; producers take them in turn."""
VERIFY_GROUP = 256
"""Events that are written at once."""
PAGES = 200
PROOFS = 40_000
TOKEN_MS = 64
"""Between two tokens of one stream."""
WORDS = re.findall(r"\s*\S{1,6}", "".join(
    path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))
))  # fmt: skip
"""What the tokens say: pieces of our own pages."""
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
    """A log of so many events, in groups, as fast as they can be made."""
    log = Log(root, identity)
    drafts = tokens(PARCELS, PRODUCERS)
    while log.head.seq < events:
        builder = log.builder()
        builder.add(drafts[: events - log.head.seq], time.time_ns() // 1_000_000)
        log.append(builder.seal(), None)
    log.close()


def tokens(count: int, streams: int, *, first: int = 0) -> list[Draft]:
    """Events of tokens, one batch each, out of so many streams that run at a time."""
    made: list[Draft] = []
    for number in range(first, first + count):
        stream, at = number % streams, number // streams
        text = WORDS[(at * 7919 + stream * 104_729) % len(WORDS)]
        header = Header("chunk", f"mw{stream:04x}-{at:x}", f"ask-{stream:050d}", seq=at + 9)
        body = {
            "blockIdx": 0, "chunkType": "text_delta", "delta": text,
            "part": {"text": text, "type": "text"},
        }  # fmt: skip
        via = Via(f"{EPOCH}.{number + 1}", f"{stream:052d}", None)
        drafts, _ = read_drafts(
            frames.pack(header, body), via=via, mint=str, keep=KEEP, first_seq=number + 1
        )
        made += drafts
    return made


def stream(root: Path, identity: Identity, events: int, streams: int) -> Log:
    """A log of tokens that came one at a time: each is a group, and signed. Nothing to do is left.

    What is written at once here would have been as many writes; the bytes are the same.
    """
    log = Log(root, identity)
    heads = Checkpoints(log, root, now=0)
    at_ms = time.time_ns() // 1_000_000
    while log.head.seq < events:
        head, lines, first_seq = log.head, list[bytes](), log.head.seq + 1
        for one in tokens(min(VERIFY_GROUP, events - head.seq), streams, first=head.seq):
            builder = GroupBuilder(log.author, identity.key, head)
            at_ms += TOKEN_MS // streams
            builder.add([one], at_ms)
            group = builder.seal()
            lines.append(group.data)
            head = group.head
        log.append(Group(b"".join(lines), first_seq, head), None)
    while log.prepare() or heads.advance() or log.compress():
        pass
    heads.finish()
    return log


def disk_bytes(root: Path) -> int:
    """What everything in the folder takes, but for the segment that is open, and its spare."""
    newest = root / segment_name(segments_in(root)[-1])
    skip = {newest, root / SPARE}
    found = [path for path in root.rglob("*") if path.is_file() and path not in skip]
    return sum(path.stat().st_blocks * 512 for path in found)


def seek(root: Path, events: int) -> list[float]:
    """The ms that pages of 100 events anywhere take, by somebody who was never there."""
    took = []
    for at in range(PAGES):
        reader = Reader(root)
        began = time.perf_counter()
        seq = 1 + at * 7919 % (events - 100)
        page = reader.page(
            seq, upto_seq=events, limits=PageLimits(events_max=100, bytes_max=1 << 24)
        )
        took.append((time.perf_counter() - began) * 1e3)
        if len(page.lines) != 100:
            raise SystemExit(f"{len(page.lines)} events behind {seq}")
    return sorted(took)


def prove(root: Path, events: int) -> float:
    """Inclusion proofs of events anywhere, a second; every hundredth is checked."""
    tiles = Tiles(root)
    tiles.open(events)
    with tiles.reading() as read:
        return prove_from(TileNodes(read, whole(events), []), whole(events))


def prove_from(node: TileNodes, stored: int) -> float:
    """As `prove`, out of a tree of `stored` leaves."""
    goal = merkle.root(stored, node)
    indices = [at * 7919 % stored for at in range(PROOFS)]
    began = time.perf_counter()
    for index in indices:
        merkle.inclusion(index, stored, node)
    took = time.perf_counter() - began
    for at in range(0, stored, stored // 100):
        proof = merkle.inclusion(at, stored, node)
        if not merkle.verify_inclusion(node(0, at), proof, goal, index=at, size=stored):
            raise SystemExit(f"the proof of event {at + 1} does not verify")
    return PROOFS / took


def start(root: Path, identity: Identity, events: int) -> float:
    """Seconds until a log can be written to again."""
    began = time.perf_counter()
    log = Log(root, identity)
    Checkpoints(log, root, now=0)
    took = time.perf_counter() - began
    if log.head.seq != events or log.read_only is not None:
        raise SystemExit(f"{log.head.seq} of {events} events: {log.read_only}")
    log.close()
    return took


def verify(root: Path, identity: Identity, events: int) -> float:
    """Seconds to verify the whole log."""
    began = time.perf_counter()
    firsts, author = segments_in(root), Author(hid=str(identity.hid), public=identity.key.public)
    read = partial(read_segment, root)
    with vouchers(firsts, read, author) as vouched:
        report = audit(firsts, read, author, remembered_seq=events, base=GENESIS, vouched=vouched)
    took = time.perf_counter() - began
    if report.damage is not None or report.events != events:
        raise SystemExit(f"{report.events} of {events} events: {report.damage}")
    return took


def measure(home: Path, *, is_long: bool) -> Iterator[Figure]:
    identity = load_or_mint_identity(home / "key" / "humd.key", prefix="humd")
    yield from measure_acknowledgements(home, identity, is_long=is_long)
    yield from measure_verification(home / "plain", identity)
    yield from measure_tokens(home / "tokens", identity, 1_000_000 if is_long else 200_000)
    fill(home / "large", identity, 10_000_000)
    took = statistics.median(start(home / "large", identity, 10_000_000) for _ in range(3))
    yield Figure("log.start_10m_s", took, "s", "<= 2")


def measure_acknowledgements(home: Path, identity: Identity, *, is_long: bool) -> Iterator[Figure]:
    rates, tails = [], []
    for number in range(ROUNDS_LONG if is_long else ROUNDS):
        seconds = SECONDS_LONG if is_long else SECONDS
        rate, waited = crowd(home / f"crowd-{number}", identity, seconds)
        rates.append(rate)
        tails.append(waited[len(waited) * 99 // 100])
        say(f"round {number}: {rate:,.0f}/s, p50 {waited[len(waited) // 2]:.2f} ms, "
            f"p99 {tails[-1]:.2f} ms, longest {waited[-1]:.1f} ms")  # fmt: skip
        shutil.rmtree(home / f"crowd-{number}")
    yield Figure("log.acked_per_s_64", statistics.median(rates), "batches/s", ">= 50000")
    yield Figure("log.ack_ms_p99_64", statistics.median(tails), "ms", "<= 5")


def measure_verification(root: Path, identity: Identity) -> Iterator[Figure]:
    fill(root, identity, 1_000_000)
    took = statistics.median(verify(root, identity, 1_000_000) for _ in range(3))
    yield Figure("log.verify_per_s", 1_000_000 / took, "events/s", ">= 500000")
    log = Log(root, identity)
    while log.compress():
        pass
    log.close()
    took = max(took, statistics.median(verify(root, identity, 1_000_000) for _ in range(3)))
    yield Figure("log.verify_1m_s", took, "s", "<= 4")
    shutil.rmtree(root)


def measure_tokens(root: Path, identity: Identity, events: int) -> Iterator[Figure]:
    for streams in (64, 1):
        shutil.rmtree(root, ignore_errors=True)
        log = stream(root, identity, events, streams)
        each = disk_bytes(root) / log.sealed_seq
        say(f"{streams} streams at a time: {each:.1f} bytes each")
        if streams > 1:
            most = each
            pages = seek(root, log.sealed_seq)
            rate = prove(root, events)
        log.close()
    yield Figure("log.bytes_per_token_event", most, "bytes", "<= 120")
    yield Figure("log.range_100_ms_p99", pages[len(pages) * 99 // 100], "ms", "<= 10")
    yield Figure("log.proofs_per_s", rate, "proofs/s", ">= 20000")
    shutil.rmtree(root)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="longer rounds, more tokens")
    options = parser.parse_args()
    say(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before")
    with tempfile.TemporaryDirectory(prefix="h-") as home:
        os.environ["HOME"] = home
        figures = list(measure(Path(home), is_long=options.long))
    say(f"load {os.getloadavg()[0]:.1f} after")
    for figure in figures:
        line = {**figure._asdict(), "value": round(figure.value, 3)}
        print(orjson.dumps(line).decode())


if __name__ == "__main__":
    main()
