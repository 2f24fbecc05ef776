"""What routing costs: tones a second through humd and the durable log, and what it adds to a tone.

    python -m benchmarks.route [--long]

It starts thehum and humd under a home of their own and a worker that streams as fast as it may, and
asks it from this process. Every tone is chained, signed and on disk before it is delivered.

Prints, last, one JSON object a line. With the durable log, from the worker's send to the asker's
receipt:

- `route.tones_per_s_64`: 64 streams at once, as fast as they go;
- `route.tone_ms_p99_64`: 64 streams that together say 20,000 tones a second;
- `route.added_ms_p50_1`, `route.added_ms_p99_1`: one stream with one tone in flight, each sent when
  the one before has arrived;
- `route.paced_ms_p50_1`: with a pause of 3 ms between them, in which the machine falls asleep.

With a log in memory (`tests.support.memory_log`, a bee of the tests: no program of hum has such a
mode) and bees that cost next to nothing (`benchmarks._flood`), so that humd is what is measured:

- `route.memory_tones_per_s`: 64 streams of four workers;
- `route.humd_us_per_tone`: processor time of humd meanwhile;
- `route.cost_ratio_1000_sids`, `route.cost_ratio_200_bees`: the same with 1,000 sids, with 200 bees
  that all take part, against 1 sid and 2 bees.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import orjson

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "services")]

from benchmarks._flood import Flood, cpu_seconds  # noqa: E402
from tests.support.stack import Stack  # noqa: E402

from nest.bee import Bee, Hello  # noqa: E402
from nest.identity import load_or_mint_identity  # noqa: E402
from nest.metrics import Registry  # noqa: E402
from nest.paths import Paths  # noqa: E402
from thrum.tones import Tone  # noqa: E402

MODEL = "bench"
STREAMS = 64
CHUNKS, CHUNKS_LONG = 1_000, 5_000
ROUNDS, ROUNDS_LONG = 3, 10
PACED_CHUNKS, PACED_CHUNKS_LONG = 1_000, 10_000
PACE_SECONDS = 0.003
OFFERED_TONES_PER_S = 20_000
FLOOD_TONES, FLOOD_TONES_LONG = 200_000, 1_000_000
FLOOD_ROUNDS = 3
BURST = 16
"""Tones a stream sends before another has its turn."""
GOAL_TONES_PER_S = 20_000
GOAL_ADDED_MS = 1.5
GOAL_TONE_MS_P99_64 = 25
GOAL_MEMORY_TONES_PER_S = 100_000
GOAL_COST_RATIO = 1.25
"""Flat, as far as two runs of one shape agree on a busy machine."""


def bee_of(paths: Paths, kind: str, hello: Hello) -> Bee:
    identity = load_or_mint_identity(paths.bee_key(kind), prefix="wbee")
    return Bee(identity, hello, paths.bus_endpoint, Registry())


def chunk(sid: str | None, index: int) -> Tone:
    delta = f"tok{index} "
    body = {
        "chunkType": "text_delta",
        "blockIdx": 0,
        "delta": delta,
        "part": {"type": "text", "text": delta},
        "sentNs": time.monotonic_ns(),
    }
    return Tone(chi="chunk", sid=sid, body=body)


async def worker() -> None:
    """Answer every prompt with as many chunks as it asks for."""
    paths = Paths.from_environment(os.environ)
    bee = bee_of(paths, "bench", Hello(roles=("worker",), hive="bench", models=(MODEL,)))

    async def answer(prompt: Tone) -> None:
        pace = prompt.body["pace"]
        for index in range(prompt.body["chunks"]):
            await bee.send(chunk(prompt.sid, index))
            if pace == "lockstep":
                await anyio.wait_readable(sys.stdin)
                os.read(sys.stdin.fileno(), 1)
            elif pace == "paced":
                await anyio.sleep(PACE_SECONDS)
            elif index % BURST == BURST - 1:
                await anyio.lowlevel.checkpoint()
        await bee.send(Tone(chi="finish", sid=prompt.sid, body={"finishReason": "end_turn"}))

    async def answer_together(prompts: list[Tone]) -> None:
        """One chunk for each of them, again and again, at the pace that all have together."""
        started, chunks = time.monotonic(), prompts[0].body["chunks"]
        for index in range(chunks):
            due = started + index * len(prompts) / OFFERED_TONES_PER_S
            await anyio.sleep(max(0.0, due - time.monotonic()))
            for prompt in prompts:
                await bee.send(chunk(prompt.sid, index))
        for prompt in prompts:
            await bee.send(Tone(chi="finish", sid=prompt.sid, body={"finishReason": "end_turn"}))

    together: list[Tone] = []
    async with anyio.create_task_group() as tasks:
        await tasks.start(bee.run)
        async for tone in bee.inbox:
            if tone.chi == "prompt" and tone.body["pace"] == "together":
                together.append(tone)
                if len(together) == STREAMS:
                    tasks.start_soon(answer_together, together)
            elif tone.chi == "prompt":
                tasks.start_soon(answer, tone)


async def ask(
    bee: Bee,
    sid: str,
    chunks: int,
    *,
    pace: str = "",
    arrived: Callable[[], object] = lambda: None,
) -> list[float]:
    """One turn; the ms each chunk took. Fails when a chunk is lost, doubled or out of order."""
    took: list[float] = []
    with bee.stream(sid) as tones:
        body = {"content": "go", "modelId": MODEL, "chunks": chunks, "pace": pace}
        await bee.send(Tone(chi="prompt", sid=sid, body=body))
        async for tone in tones:
            if tone.chi == "chunk":
                if tone.body["delta"] != f"tok{len(took)} ":
                    raise SystemExit(f"{sid}: chunk {len(took)} is {tone.body['delta']!r}")
                took.append((time.monotonic_ns() - tone.body["sentNs"]) / 1e6)
                arrived()
            elif tone.chi == "finish":
                break
            else:
                raise SystemExit(f"{sid}: {tone.chi} {tone.body}")
    if len(took) != chunks:
        raise SystemExit(f"{sid}: {len(took)} of {chunks} chunks")
    return took


async def measure(paths: Paths, release: int, *, is_long: bool) -> dict[str, float]:
    chunks = CHUNKS_LONG if is_long else CHUNKS
    rates: list[float] = []
    bee = bee_of(paths, "asker", Hello(roles=("asker",), hive="asker"))
    async with anyio.create_task_group() as tasks:
        await tasks.start(bee.run)
        for round_number in range(ROUNDS_LONG if is_long else ROUNDS):
            started = time.monotonic()
            async with anyio.create_task_group() as turns:
                for stream in range(STREAMS):
                    turn = lambda sid: ask(bee, sid, chunks)  # noqa: E731
                    turns.start_soon(turn, f"r{round_number}-{stream}")
            rates.append(STREAMS * (chunks + 2) / (time.monotonic() - started))
            print(f"round {round_number}: {rates[-1]:,.0f} tones/s", file=sys.stderr)
        spread: list[float] = []

        async def ask_together(sid: str) -> None:
            spread.extend(await ask(bee, sid, chunks, pace="together"))

        async with anyio.create_task_group() as turns:
            for stream in range(STREAMS):
                turns.start_soon(ask_together, f"together-{stream}")
        spread.sort()
        count = PACED_CHUNKS_LONG if is_long else PACED_CHUNKS
        next_one = lambda: os.write(release, b"x")  # noqa: E731
        took = sorted(await ask(bee, "lockstep", count, pace="lockstep", arrived=next_one))
        paced = await ask(bee, "paced", count, pace="paced")
        tasks.cancel_scope.cancel()
    return {
        "route.tones_per_s_64": statistics.median(rates),
        "route.tone_ms_p99_64": spread[len(spread) * 99 // 100],
        "route.added_ms_p50_1": took[len(took) // 2],
        "route.added_ms_p99_1": took[len(took) * 99 // 100],
        "route.paced_ms_p50_1": statistics.median(paced),
    }


class FloodedStack:
    """humd over a log in memory, with a flood of its own."""

    def __init__(self, *, pairs: int, sids: int) -> None:
        self._stack = Stack(services=("memory_log", "humd"))
        self._stack.__enter__()
        self._flood = Flood(self._stack.paths.bus_endpoint, pairs=pairs, sids=sids)
        self.rates: list[float] = []
        self.costs: list[float] = []
        """Microseconds of humd for each tone."""

    def round(self, tones: int) -> None:
        humd, heard = self._stack.pid("humd"), self._flood.heard
        spent = cpu_seconds(humd)
        seconds = self._flood.run(tones)
        heard = self._flood.heard - heard
        self.rates.append(heard / seconds)
        self.costs.append((cpu_seconds(humd) - spent) / heard * 1e6)

    def close(self) -> None:
        self._flood.close()
        self._stack.close()


def measure_humd(*, is_long: bool) -> dict[str, float]:
    """What humd alone costs; the shapes take turns, so that a busy machine hurts all alike."""
    tones = FLOOD_TONES_LONG if is_long else FLOOD_TONES
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    shapes = {
        "streams": FloodedStack(pairs=4, sids=STREAMS // 4),
        "one": FloodedStack(pairs=1, sids=1),
        "sids": FloodedStack(pairs=1, sids=1_000),
        "bees": FloodedStack(pairs=100, sids=1),
    }
    try:
        for shape in shapes.values():
            shape.round(tones)  # once to warm up
        for _ in range(FLOOD_ROUNDS):
            for shape in shapes.values():
                shape.round(tones)
    finally:
        for shape in shapes.values():
            shape.close()
    cost = {name: statistics.median(shape.costs[1:]) for name, shape in shapes.items()}
    return {
        "route.memory_tones_per_s": statistics.median(shapes["streams"].rates[1:]),
        "route.humd_us_per_tone": cost["streams"],
        "route.cost_ratio_1000_sids": cost["sids"] / cost["one"],
        "route.cost_ratio_200_bees": cost["bees"] / cost["one"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="more rounds, longer ones")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        anyio.run(worker, backend_options={"use_uvloop": True})
        return
    goals = {
        "route.tones_per_s_64": ("tones/s", f">= {GOAL_TONES_PER_S}"),
        "route.tone_ms_p99_64": ("ms", f"<= {GOAL_TONE_MS_P99_64}"),
        "route.memory_tones_per_s": ("tones/s", f">= {GOAL_MEMORY_TONES_PER_S}"),
        "route.humd_us_per_tone": ("us", ""),
        "route.cost_ratio_1000_sids": ("x", f"<= {GOAL_COST_RATIO}"),
        "route.cost_ratio_200_bees": ("x", f"<= {GOAL_COST_RATIO}"),
        "route.added_ms_p50_1": ("ms", f"<= {GOAL_ADDED_MS}"),
        "route.added_ms_p99_1": ("ms", ""),
        "route.paced_ms_p50_1": ("ms", ""),
    }
    with Stack(services=("thehum", "humd")) as stack:
        command = [sys.executable, __file__, "--worker"]
        with subprocess.Popen(command, env=stack.env, stdin=subprocess.PIPE) as process:
            try:
                assert process.stdin is not None
                release = process.stdin.fileno()
                stack.wait_bee("bench")
                figures = anyio.run(
                    lambda: measure(stack.paths, release, is_long=options.long),
                    backend_options={"use_uvloop": True},
                )
            finally:
                process.terminate()
    figures |= measure_humd(is_long=options.long)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    for figure, value in figures.items():
        unit, goal = goals[figure]
        line = {"figure": figure, "value": round(value, 3), "unit": unit, "goal": goal}
        print(orjson.dumps(line).decode())


if __name__ == "__main__":
    main()
