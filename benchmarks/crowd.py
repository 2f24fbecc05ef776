"""What a crowd costs everybody else: their p99 with it, against without it.

    python -m benchmarks.crowd [--long]

One client of the door says something that is logged, waits for its echo, and says the next thing:
without a crowd, then beside it. A ratio is its p99 with the crowd over its p99 without; for the
stopped reader, without means that all 50 read. Crowds: connections that said hello and stay
(1,000; 4,000 with --long), 500 connections that began a line, 50 listeners of a stream of which one
never reads, and a client that sends lines which are no tones (1 M; 20 M with --long). Growth is of
the service that grew most.
"""

import argparse
import os
import statistics
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "services")]

from tests.support import crowd  # noqa: E402
from tests.support.ndjson import Client  # noqa: E402
from tests.support.stack import Stack  # noqa: E402

SAYINGS = 200
"""What is said for one p99."""
ROUNDS = 7
HALF_OPEN = 500
WATCHERS = 50
CHUNK = "x" * 20_000
CHUNK_SECONDS = 0.1
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


def p99(one: crowd.Healthy) -> float:
    """The median over rounds, so that a busy moment of the machine is not the figure."""
    rounds = [sorted(one.say(SAYINGS))[SAYINGS * 99 // 100] for _ in range(ROUNDS)]
    return statistics.median(rounds)


def measured(stack: Stack, lines: int, count: int) -> Iterator[tuple[str, float, float]]:
    """Of each crowd: its name, the p99 without it and the p99 with it."""
    with crowd.healthy(stack) as one:
        p99(one)
        alone = p99(one)
        with crowd.connections(stack, count):
            yield "connections", alone, p99(one)
        alone = p99(one)
        with crowd.half_open(stack, HALF_OPEN):
            yield "half_open", alone, p99(one)
        with listeners(stack, stopped=0):
            alone = p99(one)
        with listeners(stack, stopped=1):
            yield "stopped_reader", alone, p99(one)
        alone = p99(one)
        with crowd.garbage(stack, lines) as sender:
            beside = p99(one)
            while sender.poll() is None:
                one.say(SAYINGS)
            if sender.returncode:
                raise SystemExit("the client that sends garbage was not served to its end")
            yield "garbage", alone, beside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="4,000 connections, 20 M lines")
    is_long = parser.parse_args().long
    count, lines = (4_000, 20_000_000) if is_long else (1_000, 1_000_000)
    if not crowd.may_open(count):
        raise SystemExit(f"a process may not have {count} descriptors here: ulimit -n")
    figures: list[tuple[str, float, str, float]] = []
    with Stack(services=("thehum", "humd")) as stack:
        stack.start("thrumd", "--accepts-per-second", "100000")
        stack.wait_ready()
        before = crowd.rss(stack)
        largest = dict(before)
        for name, alone, beside in measured(stack, lines, count):
            now = crowd.rss(stack)
            largest = {each: max(size, now[each]) for each, size in largest.items()}
            print(f"{name}: {alone:.2f} ms without, {beside:.2f} ms with", file=sys.stderr)
            figures.append((f"crowd.p99_ratio_{name}", beside / alone, "x", GOAL_RATIO))
        growth = max(largest[name] - size for name, size in before.items()) / 1e6
        figures.append(("crowd.rss_growth_mb", growth, "MB", GOAL_GROWTH_MB))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    for figure, value, unit, goal in figures:
        line = {"figure": figure, "value": round(value, 2), "unit": unit, "goal": f"<= {goal}"}
        print(orjson.dumps(line).decode())


if __name__ == "__main__":
    main()
