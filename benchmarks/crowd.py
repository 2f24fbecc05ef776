"""What a crowd costs everybody else: their p99 with it, against without it.

    python -m benchmarks.crowd [--long] [--only CROWD] [--lines N]

One client of the door says something that is logged, waits for its echo, and says the next thing:
without a crowd, then beside it. A ratio is its p99 with the crowd over its p99 without; for the
stopped reader, without means that all 50 read. Crowds: connections that said hello and stay
(1,000; 4,000 with --long), 500 connections that began a line, 50 listeners of a stream of which one
never reads, and a client that sends lines which are no tones (1 M; 20 M with --long). Growth is of
the service that grew most.

A client that floods could slow the others by what it takes of the processors alone, whatever the
door does; what it took while the others were measured is printed beside. The control is the same
flood at a door that is not fair: a run in which that one keeps the goal shows nothing, and fails.
"""

import argparse
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import orjson
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "services")]

from tests.support import crowd  # noqa: E402
from tests.support.ndjson import Client  # noqa: E402
from tests.support.stack import Stack  # noqa: E402

SAYINGS = 200
"""What is said for one p99."""
WARM = 50
"""What is said before it counts, after a pause."""
ROUNDS = 15
DRAINED_SECONDS = 0.5
"""After so long the door has read what a sender that stands still had sent."""
HALF_OPEN = 500
WATCHERS = 50
CHUNK = "x" * 20_000
CHUNK_SECONDS = 0.1
CONTROL_LINES = 20_000_000
"""More than it reads while the control is measured."""
CROWDS = ("connections", "half_open", "stopped_reader", "garbage")
GOAL_RATIO = 1.5
GOAL_GROWTH_MB = 64


@contextmanager
def listeners(stack: Stack, *, stopped: int) -> Iterator[None]:
    """A stream with 50 listeners, of whom so many never read; it lasts as long as the context."""
    is_over = threading.Event()
    with (
        crowd.connections(stack, WATCHERS) as watchers,
        stack.client() as asker,
        stack.client(reply_seconds=60) as worker,
    ):
        sid, model = f"stream-{stopped}", f"model-{stopped}"
        worker.send(chi="hello", rid="h", hive=model, bee=["worker"], models=[model])
        worker.read_until("echo", rid="h")
        for client in watchers:
            client.send(chi="attach", rid="a", sid=sid, hearOnly=True)
            client.read_until("echo", rid="a")
        asker.send(chi="prompt", rid="p", sid=sid, modelId=model)
        worker.read_until("prompt")
        readers = [
            threading.Thread(target=drain, args=(client,), daemon=True)
            for client in (*watchers[stopped:], asker)
        ]
        talker = threading.Thread(target=talk, args=(worker, sid, is_over), daemon=True)
        for thread in (*readers, talker):
            thread.start()
        try:
            yield
        finally:
            is_over.set()
            talker.join()
            worker.send(chi="finish", sid=sid, finishReason="stop")
            for reader in readers:
                reader.join()


def drain(client: Client) -> None:
    while client.read()["chi"] != "finish":
        pass


def talk(worker: Client, sid: str, is_over: threading.Event) -> None:
    """A few chunks a second, long ones: what is measured is humd's patience, not these threads."""
    while not is_over.wait(CHUNK_SECONDS):
        worker.send(chi="chunk", sid=sid, chunkType="text_delta", delta=CHUNK)


def p99(one: crowd.Healthy, rounds: int = ROUNDS) -> float:
    """The median over rounds, so that a busy moment of the machine is not the figure."""
    each = [sorted(one.say(SAYINGS))[SAYINGS * 99 // 100] for _ in range(rounds)]
    return statistics.median(each)


def beside_connections(stack: Stack, one: crowd.Healthy, count: int) -> tuple[float, float]:
    alone = p99(one)
    with crowd.connections(stack, count):
        return alone, p99(one)


def beside_half_open(stack: Stack, one: crowd.Healthy) -> tuple[float, float]:
    alone = p99(one)
    with crowd.half_open(stack, HALF_OPEN):
        return alone, p99(one)


def beside_stopped_reader(stack: Stack, one: crowd.Healthy) -> tuple[float, float]:
    with listeners(stack, stopped=0):
        alone = p99(one)
    with listeners(stack, stopped=1):
        return alone, p99(one)


def beside_garbage(stack: Stack, one: crowd.Healthy, lines: int) -> tuple[float, float]:
    """Round about: the sender sends, and stands still."""
    alone: list[float] = []
    beside: list[float] = []
    share = 0.0
    with crowd.garbage(stack, lines) as sender:
        process = psutil.Process(sender.pid)
        for _ in range(ROUNDS):
            process.suspend()
            time.sleep(DRAINED_SECONDS)
            one.say(WARM)
            alone.append(p99(one, rounds=1))
            process.resume()
            one.say(WARM)
            began, used = time.monotonic(), sum(process.cpu_times()[:2])
            beside.append(p99(one, rounds=1))
            share += (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - began)
        print(f"the sender of garbage took {share / ROUNDS:.0%} of a processor", file=sys.stderr)
        if sender.poll() is not None:
            raise SystemExit("the garbage ended before the others were measured: more --lines")
        if sender.wait():
            raise SystemExit("the client that sends garbage was not served to its end")
    return statistics.median(alone), statistics.median(beside)


def unfair_ratio() -> float:
    """The control: what the garbage costs the others at a door that is not fair."""
    with Stack(services=("thehum", "humd")) as stack:
        stack.start("unfair_door", instance="thrumd")
        stack.wait_ready()
        with crowd.healthy(stack) as one:
            p99(one)
            alone = p99(one)
            with crowd.garbage(stack, CONTROL_LINES) as sender:
                beside = p99(one, rounds=1)
                assert sender.poll() is None
                return beside / alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="4,000 connections, 20 M lines")
    parser.add_argument("--only", choices=CROWDS, action="append", help="this crowd, not all")
    parser.add_argument("--lines", type=int, help="of garbage: a piece of the long form")
    options = parser.parse_args()
    count, lines = (4_000, 20_000_000) if options.long else (1_000, 1_000_000)
    crowds = {
        "connections": partial(beside_connections, count=count),
        "half_open": beside_half_open,
        "stopped_reader": beside_stopped_reader,
        "garbage": partial(beside_garbage, lines=options.lines or lines),
    }
    wanted = options.only or CROWDS
    if not crowd.may_open(count):
        raise SystemExit(f"a process may not have {count} descriptors here: ulimit -n")
    figures: list[tuple[str, float, str, float]] = []
    with Stack(services=("thehum", "humd")) as stack:
        stack.start("thrumd", "--accepts-per-second", "100000")
        stack.wait_ready()
        with crowd.healthy(stack) as one:
            p99(one)
            before = crowd.rss(stack)
            largest = dict(before)
            for name in wanted:
                alone, beside = crowds[name](stack, one)
                now = crowd.rss(stack)
                largest = {each: max(size, now[each]) for each, size in largest.items()}
                print(f"{name}: {alone:.2f} ms without, {beside:.2f} ms with", file=sys.stderr)
                figures.append((f"crowd.p99_ratio_{name}", beside / alone, "x", GOAL_RATIO))
        growth = max(largest[name] - size for name, size in before.items()) / 1e6
        figures.append(("crowd.rss_growth_mb", growth, "MB", GOAL_GROWTH_MB))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    if "garbage" in wanted:
        control = unfair_ratio()
        print(f"the control, an unfair door: {control:.1f}", file=sys.stderr)
        if control <= GOAL_RATIO:
            raise SystemExit(
                "an unfair door keeps the goal here: the ratio of garbage says nothing"
            )
    for figure, value, unit, goal in figures:
        line = {"figure": figure, "value": round(value, 2), "unit": unit, "goal": f"<= {goal}"}
        print(orjson.dumps(line).decode())


if __name__ == "__main__":
    main()
