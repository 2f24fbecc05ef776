"""What the whole stack adds to a model call: requests a second, milliseconds, and memory.

    python -m benchmarks.front [--long]

It starts thehum, humd, the openai worker and the front under a home of their own, and a stub of a
model service that only answers. Then it asks through hum and directly with the client of `hum
bench`, in rounds that take turns, so that both see the same machine. On a busy one the CPU time of
a request says more than its speed.

Prints the figures as the last lines, each as one JSON object: `front.req_per_s_32` (32 connections
at once), `front.overhead_ms_p50` (one request at a time, through hum minus direct),
`front.first_byte_ms` and `front.event_ms` (the same for a stream of many events),
`front.image_ms` (a picture of 10 MB, through hum minus direct), `front.image_log_bytes` (by how
much more the log grows with it than with a word; `front.turn_log_bytes` is the growth by the whole
turn), and `front.rss_mb_1000_streams` (memory of the four services then).
"""

import argparse
import asyncio
import base64
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import orjson
import psutil
import uvloop

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "services")]

from benchmarks.stub_upstream import MANY, MODEL, OPEN  # noqa: E402
from tests.support.stack import QUIET_SETTINGS, Stack  # noqa: E402

from hum.bench.figures import Times, event_ms, quantile  # noqa: E402
from hum.bench.probe import Run, Sample, Target, ask  # noqa: E402

CONNECTIONS = 32
STREAMS = 1_000
SERVICES = ("thehum", "humd", "front")
STUB = ROOT / "benchmarks" / "stub_upstream.py"
ROUNDS, ROUNDS_LONG = 5, 30
LOAD_SECONDS = 3.0
SINGLES = 300
MANY_STREAMS = 20
IMAGES = 4
PART_BYTES = 10_000_000
"""Of a picture as it is sent, in base64."""
OPEN_SECONDS = 60.0
WARM_REQUESTS = 500


@dataclass(slots=True)
class Figures:
    """What was measured at one address, over all rounds."""

    times: Times = field(default_factory=Times)
    stream_rates: list[float] = field(default_factory=list)
    image_ms: list[float] = field(default_factory=list)


class Meter:
    """CPU time of the services; unlike the clock, it does not see who else is running."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._before = self._read()
        self._requests = 0

    def count(self, run: Run) -> Run:
        """So many requests were served since the meter was made."""
        self._requests += len(run.samples)
        return run

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


async def measure(
    hum: Target, direct: Target, rounds: int, pids: Mapping[str, int]
) -> tuple[Figures, Figures, dict[str, float]]:
    """Ask both, taking turns; what was measured, and the CPU time of one request by service."""
    found = {hum: Figures(), direct: Figures()}
    for target in found:
        whole = target.request(MODEL, is_stream=False)
        await ask(target, whole, connections=CONNECTIONS, count=WARM_REQUESTS // CONNECTIONS)
    meter = Meter(pids)
    for number in range(rounds):
        for target, figures in found.items():
            whole = target.request(MODEL, is_stream=False)
            run = await ask(target, whole, connections=1, count=SINGLES)
            figures.times.single += run.samples
            load = await ask(target, whole, connections=CONNECTIONS, seconds=LOAD_SECONDS)
            figures.times.add_load(load)
            stream = target.request(MODEL, is_stream=True)
            streams = await ask(target, stream, connections=CONNECTIONS, seconds=LOAD_SECONDS)
            figures.stream_rates.append(streams.per_second)
            if target is hum:
                for counted in (run, load, streams):
                    meter.count(counted)
        _note(f"round {number + 1} of {rounds}: {found[hum].times.rates[-1]:.0f} requests/s")
    spent = meter.microseconds()
    for _ in range(rounds):
        for target, figures in found.items():
            many = target.request(MANY, is_stream=True)
            run = await ask(target, many, connections=1, count=MANY_STREAMS)
            figures.times.streamed += run.samples
    return found[hum], found[direct], spent


async def measure_words(hum: Target, log_dir: Path) -> float:
    """The bytes that the log's own files grow by with a turn of one word."""
    before = _log_bytes(log_dir)
    await ask(hum, hum.request(MODEL, is_stream=False), connections=1, count=IMAGES)
    return (_log_bytes(log_dir) - before) / IMAGES


async def measure_images(targets: Mapping[Target, Figures], log_dir: Path) -> float:
    """Send pictures to both; the bytes that the log's own files grow by with each, seen at hum."""
    data = base64.b64encode(random.Random(7).randbytes(PART_BYTES * 3 // 4)).decode()
    content = [
        {"type": "text", "text": "ping"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
    ]
    grown = 0.0
    for target, figures in targets.items():
        request = target.request(MODEL, is_stream=False, content=content)
        before = _log_bytes(log_dir)
        run = await ask(target, request, connections=1, count=IMAGES)
        figures.image_ms += [sample.seconds * 1_000 for sample in run.samples]
        grown = max(grown, (_log_bytes(log_dir) - before) / IMAGES)
    return grown


async def open_streams(hum: Target, pids: Mapping[str, int]) -> dict[str, float]:
    """MB of each service while so many streams are open that have begun and do not end."""
    loop = asyncio.get_running_loop()
    request = hum.request(OPEN, is_stream=True)
    held = []
    for _ in range(STREAMS):
        _, stream = await loop.create_connection(lambda: _Held(request), hum.host, hum.port)
        held.append(stream)
    async with asyncio.timeout(OPEN_SECONDS):
        await asyncio.gather(*(stream.begun for stream in held))
    memory = {name: psutil.Process(pid).memory_info().rss / 1e6 for name, pid in pids.items()}
    for stream in held:
        stream.close()
    return memory


class _Held(asyncio.Protocol):
    """A stream that is open."""

    def __init__(self, request: bytes) -> None:
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self.begun.done() and b"data:" in data:
            self.begun.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.begun.done():
            self.begun.set_exception(SystemExit(f"a stream ended before it began: {exc}"))

    def close(self) -> None:
        self._transport.abort()


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
def stack(base_url: str) -> Iterator[tuple[Target, dict[str, int], Path]]:
    """The whole stack in front of `base_url`; where to ask it, its processes, and its log."""
    settings: dict[str, Any] = {
        **QUIET_SETTINGS,
        "workers": {"openai": {"baseUrl": base_url, "models": [MODEL, MANY, OPEN]}},
    }
    with Stack(None, (*SERVICES, "openai"), settings=settings) as running:
        running.wait_bee("openai")
        running.wait_bee("front")
        pids = {name: running.pid(name) for name in (*SERVICES, "openai")}
        url = f"http://127.0.0.1:{front_port(running)}"
        yield Target.parse("hum", url), pids, running.paths.thehum


def front_port(running: Stack) -> int:
    """The port that the front listens on."""
    for line in running.log("front").splitlines():
        entry = orjson.loads(line)
        if entry.get("event") == "front.listening":
            return int(entry["port"])
    raise SystemExit("the front does not listen")


def _log_bytes(log_dir: Path) -> int:
    """Bytes of the events in the log, without the room that segments are given ahead."""
    return sum(len(path.read_bytes().rstrip(b"\0")) for path in log_dir.glob("0*"))


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _figure(name: str, value: float, unit: str, goal: str = "") -> None:
    line: dict[str, object] = {"figure": f"front.{name}", "value": round(value, 3), "unit": unit}
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
    with stub() as base_url, stack(base_url) as (hum, pids, log_dir):
        direct = Target.parse("direct", base_url)
        ours, theirs, spent = uvloop.run(measure(hum, direct, rounds, pids))
        words = uvloop.run(measure_words(hum, log_dir))
        grown = uvloop.run(measure_images({hum: ours, direct: theirs}, log_dir))
        memory = uvloop.run(open_streams(hum, pids))
    report(ours, theirs, spent)
    _figure("image_ms", _added(ours, theirs), "ms", "<= 30")
    _figure("image_log_bytes", grown - words, "B", "< 2000")
    _figure("turn_log_bytes", grown, "B")
    for name, megabytes in memory.items():
        _figure(f"rss_mb_1000_streams.{name}", megabytes, "MB")
    _figure("rss_mb_1000_streams", sum(memory.values()), "MB", "<= 300")


def _added(ours: Figures, theirs: Figures) -> float:
    """What hum adds to a picture."""
    return statistics.median(ours.image_ms) - statistics.median(theirs.image_ms)


def _p50(samples: Iterable[Sample], key: str) -> float:
    return quantile((getattr(sample, key) * 1_000 for sample in samples), 0.5)


def report(ours: Figures, theirs: Figures, spent: Mapping[str, float]) -> None:
    """Print what requests and streams took."""
    for name, microseconds in spent.items():
        _figure(f"cpu_us_per_request.{name}", microseconds, "us")
    _figure("direct_req_per_s_32", statistics.median(theirs.times.rates), "requests/s")
    _figure("stream_req_per_s_32", statistics.median(ours.stream_rates), "requests/s")
    loaded = [sample.seconds * 1_000 for sample in ours.times.loaded]
    _figure("loaded_ms_p50", quantile(loaded, 0.5), "ms")
    _figure("loaded_ms_p99", quantile(loaded, 0.99), "ms")
    _figure("req_per_s_32", statistics.median(ours.times.rates), "requests/s", ">= 1500")
    single = _p50(ours.times.single, "seconds") - _p50(theirs.times.single, "seconds")
    _figure("overhead_ms_p50", single, "ms", "<= 1.5")
    first = "first_seconds"
    added = _p50(ours.times.streamed, first) - _p50(theirs.times.streamed, first)
    _figure("first_byte_ms", added, "ms", "<= 3")
    cost = event_ms(ours.times.streamed) - event_ms(theirs.times.streamed)
    _figure("event_ms", cost, "ms", "<= 0.15")


if __name__ == "__main__":
    main()
