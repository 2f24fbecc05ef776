"""What the whole stack adds to a model call: requests a second, and milliseconds for one.

    python -m benchmarks.front [--long]

It starts thehum, humd, the openai worker and the front under a home of their own, and a stub of a
model service that only answers. Then it asks through hum and directly, in rounds that take turns,
so that both see the same machine. On a busy one the CPU time of a request says more than its speed.
The client is made of plain sockets, so that it costs little.

Prints `front.req_per_s_32` (32 connections at once) and `front.overhead_ms_p50` (one request at a
time, through hum minus direct) as the last lines, each as one JSON object; more about the same runs
goes before them.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import orjson
import psutil
import uvloop

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "services")]

from tests.support.stack import QUIET_SETTINGS, Stack  # noqa: E402

CONNECTIONS = 32
SERVICES = ("thehum", "humd", "front")
STUB = ROOT / "benchmarks" / "stub_upstream.py"
MODEL = "stub"
ROUNDS, ROUNDS_LONG = 5, 30
LOAD_SECONDS = 3.0
SINGLES = 300
WARM_REQUESTS = 500
ANSWER_SECONDS = 30.0
"""After how long without an answer the run is given up."""
GOAL_REQUESTS_PER_S = 800
GOAL_OVERHEAD_MS = 2.5


@dataclass(frozen=True, slots=True)
class Target:
    """Where to ask."""

    name: str
    host: str
    port: int
    path: str

    def request(self, *, is_stream: bool) -> bytes:
        """One request, complete with its headers."""
        body = orjson.dumps(
            {
                "model": MODEL,
                "messages": [{"role": "user", "content": "ping"}],
                "stream": is_stream,
            }
        )
        head = (
            f"POST {self.path}/chat/completions HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class Asker(asyncio.Protocol):
    """One connection that asks the same thing again as soon as it has the answer."""

    def __init__(self, request: bytes, until: float, count: int | None) -> None:
        self.seconds: list[float] = []
        self.failures = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._until = until
        self._count = count
        self._buffer = b""
        self._asked = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if not _is_complete(self._buffer):
            return
        now = time.perf_counter()
        self.seconds.append(now - self._asked)
        if not self._buffer.startswith(b"HTTP/1.1 200"):
            self.failures += 1
        self._buffer = b""
        if now >= self._until or (self._count is not None and len(self.seconds) >= self._count):
            self._transport.close()
        else:
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(self._request)


def _is_complete(answer: bytes) -> bool:
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = answer[:end].lower()
    if (at := head.find(b"content-length:")) >= 0:
        return len(answer) - end - 4 >= int(head[at + 15 :].split(b"\r\n", 1)[0])
    return answer.endswith(b"\r\n0\r\n\r\n")


async def ask(
    target: Target,
    *,
    connections: int,
    seconds: float = 60.0,
    count: int | None = None,
    is_stream: bool = False,
) -> tuple[float, list[float]]:
    """Ask over `connections` for `seconds`, or `count` times each: requests a second, and times."""
    loop = asyncio.get_running_loop()
    request = target.request(is_stream=is_stream)
    began = time.perf_counter()
    askers: list[Asker] = []
    for _ in range(connections):
        _, asker = await loop.create_connection(
            lambda: Asker(request, began + seconds, count), target.host, target.port
        )
        askers.append(asker)
    try:
        async with asyncio.timeout(seconds + ANSWER_SECONDS):
            await asyncio.gather(*(asker.done for asker in askers))
    except TimeoutError:
        raise SystemExit(f"{target.name}: no answer in {ANSWER_SECONDS:.0f} s") from None
    took = time.perf_counter() - began
    times = [one for asker in askers for one in asker.seconds]
    failures = sum(asker.failures for asker in askers)
    if failures or not times:
        raise SystemExit(f"{target.name}: {failures} of {len(times)} requests failed")
    return len(times) / took, times


class Meter:
    """CPU time of the services; unlike the clock, it does not see who else is running."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._before = self._read()
        self._requests = 0

    def count(self, requests: int) -> None:
        """So many requests were served since the meter was made."""
        self._requests += requests

    def microseconds(self) -> dict[str, float]:
        """CPU time of one request, by service."""
        now = self._read()
        return {
            name: (now[name] - before) * 1e6 / self._requests
            for name, before in self._before.items()
        }

    def _read(self) -> dict[str, float]:
        times = {name: process.cpu_times() for name, process in self._processes.items()}
        return {name: spent.user + spent.system for name, spent in times.items()}


@dataclass(slots=True)
class Figures:
    """What was measured, by round."""

    through_rate: list[float] = field(default_factory=list)
    stream_rate: list[float] = field(default_factory=list)
    direct_rate: list[float] = field(default_factory=list)
    through_ms: list[float] = field(default_factory=list)
    direct_ms: list[float] = field(default_factory=list)
    stream_ms: list[float] = field(default_factory=list)
    loaded_ms: list[float] = field(default_factory=list)


async def measure(
    hum: Target, direct: Target, rounds: int, pids: Mapping[str, int]
) -> tuple[Figures, dict[str, float]]:
    """Ask both, taking turns; what was measured, and the CPU time of one request by service."""
    figures = Figures()
    await ask(hum, connections=CONNECTIONS, count=WARM_REQUESTS // CONNECTIONS)
    await ask(direct, connections=CONNECTIONS, count=WARM_REQUESTS // CONNECTIONS)
    meter = Meter(pids)
    for number in range(rounds):
        _, times = await ask(hum, connections=1, count=SINGLES)
        figures.through_ms += _milliseconds(times)
        meter.count(len(times))
        _, times = await ask(direct, connections=1, count=SINGLES)
        figures.direct_ms += _milliseconds(times)
        _, times = await ask(hum, connections=1, count=SINGLES // 3, is_stream=True)
        figures.stream_ms += _milliseconds(times)
        meter.count(len(times))
        rate, times = await ask(hum, connections=CONNECTIONS, seconds=LOAD_SECONDS)
        figures.through_rate.append(rate)
        figures.loaded_ms += _milliseconds(times)
        meter.count(len(times))
        rate, times = await ask(hum, connections=CONNECTIONS, seconds=LOAD_SECONDS, is_stream=True)
        meter.count(len(times))
        figures.stream_rate.append(rate)
        rate, _ = await ask(direct, connections=CONNECTIONS, seconds=LOAD_SECONDS / 3)
        figures.direct_rate.append(rate)
        _note(
            f"round {number + 1} of {rounds}: {figures.through_rate[-1]:.0f} requests/s "
            f"({figures.stream_rate[-1]:.0f} streamed, {rate:.0f} direct)"
        )
    return figures, meter.microseconds()


@contextmanager
def stub() -> Iterator[str]:
    """A model service that only answers; its base URL."""
    process = subprocess.Popen([sys.executable, str(STUB)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@contextmanager
def stack(base_url: str) -> Iterator[tuple[Target, dict[str, int]]]:
    """The whole stack in front of `base_url`; where to ask it, and its processes."""
    settings: dict[str, Any] = {
        **QUIET_SETTINGS,
        "workers": {"openai": {"baseUrl": base_url, "models": [MODEL]}},
    }
    with Stack(None, (*SERVICES, "openai"), settings=settings) as running:
        running.wait_bee("openai")
        running.wait_bee("front")
        pids = {name: running.pid(name) for name in (*SERVICES, "openai")}
        yield Target("hum", "127.0.0.1", _port(running), "/v1"), pids


def _port(running: Stack) -> int:
    for line in running.log("front").splitlines():
        entry = orjson.loads(line)
        if entry.get("event") == "front.listening":
            return int(entry["port"])
    raise SystemExit("the front does not listen")


def _milliseconds(times: Sequence[float]) -> list[float]:
    return [one * 1_000 for one in times]


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _figure(name: str, value: float, unit: str, goal: str = "") -> None:
    line: dict[str, object] = {"figure": name, "value": round(value, 3), "unit": unit}
    if goal:
        line["goal"] = goal
    print(orjson.dumps(line).decode(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--long", action="store_true", help="six times as many rounds")
    rounds = ROUNDS_LONG if parser.parse_args().long else ROUNDS
    _note(
        f"conditions: {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}, "
        f"Python {sys.version.split()[0]}, log under {tempfile.gettempdir()}, {rounds} rounds"
    )
    with stub() as base_url, stack(base_url) as (hum, pids):
        parts = urlsplit(base_url)
        direct = Target("direct", str(parts.hostname), int(parts.port or 0), parts.path)
        figures, spent = uvloop.run(measure(hum, direct, rounds, pids))
    through, streamed, straight = (
        statistics.median(times)
        for times in (figures.through_ms, figures.stream_ms, figures.direct_ms)
    )
    loaded = statistics.quantiles(figures.loaded_ms, n=100)
    for name, microseconds in spent.items():
        _figure(f"front.cpu_us_per_request.{name}", microseconds, "us")
    _figure("front.direct_req_per_s_32", statistics.median(figures.direct_rate), "requests/s")
    _figure("front.stream_req_per_s_32", statistics.median(figures.stream_rate), "requests/s")
    _figure("front.stream_overhead_ms_p50", streamed - straight, "ms")
    _figure("front.loaded_ms_p50", loaded[49], "ms")
    _figure("front.loaded_ms_p99", loaded[98], "ms")
    _figure(
        "front.req_per_s_32",
        statistics.median(figures.through_rate),
        "requests/s",
        f">= {GOAL_REQUESTS_PER_S}",
    )
    _figure("front.overhead_ms_p50", through - straight, "ms", f"<= {GOAL_OVERHEAD_MS}")


if __name__ == "__main__":
    main()
