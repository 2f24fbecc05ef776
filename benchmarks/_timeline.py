"""Where the milliseconds of one request go: a timeline through all processes.

    python -m benchmarks._timeline [--stream] [--image] [--count 300]

It starts the stack of `benchmarks.front` with notes on every message, sync and socket
(`benchmarks._traced`), asks one request at a time, and joins the notes by the clock that all
processes share. Printed is the most frequent course of a request, each step with its median time
since the one before and since the beginning, in microseconds. Notes cost a little: the sum is a few
hundredths of a millisecond above what `benchmarks.front` sees.
"""

import argparse
import base64
import random
import signal
import socket
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "services")]

from benchmarks._traced import WHERE  # noqa: E402
from benchmarks.front import PART_BYTES, front_port, stub  # noqa: E402
from benchmarks.stub_upstream import MANY, MODEL  # noqa: E402
from tests.support.stack import MODULES, QUIET_SETTINGS, Stack  # noqa: E402

from hum.bench.probe import Target  # noqa: E402

SERVICES = ("thehum", "humd", "openai", "front")
WARM_REQUESTS = 200
Note = tuple[int, str]


class Traced(Stack):
    """The stack, each service with its notes."""

    def start(self, name: str, *args: str, **options: Any) -> None:
        """Start a service with notes."""
        super().start(
            "benchmarks._traced", MODULES.get(name, name), *args,
            env={WHERE: str(self.notes(name))}, instance=name,
        )  # fmt: skip

    def notes(self, name: str) -> Path:
        """Where the notes of a service go."""
        return self.home / f"{name}.trace"


def ask(connection: socket.socket, request: bytes, *, is_stream: bool) -> tuple[int, int]:
    """Ask once; when it was asked, and when all of the answer, or its first event, was here."""
    began = time.perf_counter_ns()
    connection.sendall(request)
    answer = b""
    first = 0
    while True:
        answer += connection.recv(1 << 16)
        head, _, body = answer.partition(b"\r\n\r\n")
        if body and not first:
            first = time.perf_counter_ns()
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        if len(body) >= int(length) if length else answer.endswith(b"\r\n0\r\n\r\n"):
            return began, first if is_stream else time.perf_counter_ns()


def join(notes: list[Note], spans: list[tuple[int, int]]) -> list[list[Note]]:
    """The notes of each request, in the order of time."""
    notes.sort()
    runs: list[list[Note]] = []
    at = 0
    for began, ended in spans:
        while at < len(notes) and notes[at][0] < began:
            at += 1
        run = [(began, "client asks")]
        while at < len(notes) and notes[at][0] <= ended:
            run.append(notes[at])
            at += 1
        runs.append([*run, (ended, "client has it")])
    return runs


def show(runs: list[list[Note]]) -> None:
    """Print the most frequent course."""
    courses = Counter(tuple(what for _, what in run) for run in runs)
    course, count = courses.most_common(1)[0]
    same = [run for run in runs if tuple(what for _, what in run) == course]
    print(f"{count} of {len(runs)} requests went so; us since the step before, and in all")
    for place, what in enumerate(course):
        since = statistics.median(run[place][0] - run[max(place - 1, 0)][0] for run in same) / 1e3
        total = statistics.median(run[place][0] - run[0][0] for run in same) / 1e3
        print(f"{since:8.0f} {total:8.0f}  {what}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stream", action="store_true", help="until the first of many events")
    parser.add_argument("--image", action="store_true", help="with a picture of 10 MB")
    parser.add_argument("--count", type=int, default=300)
    options = parser.parse_args()
    content: object = "ping"
    if options.image:
        data = base64.b64encode(random.Random(7).randbytes(PART_BYTES * 3 // 4)).decode()
        url = {"url": f"data:image/png;base64,{data}"}
        content = [{"type": "image_url", "image_url": url}]
    with stub() as base_url:
        workers = {"openai": {"baseUrl": base_url, "models": [MODEL, MANY]}}
        with Traced(None, SERVICES, settings={**QUIET_SETTINGS, "workers": workers}) as stack:
            stack.wait_bee("openai")
            stack.wait_bee("front")
            target = Target.parse("hum", f"http://127.0.0.1:{front_port(stack)}")
            model = MANY if options.stream else MODEL
            request = target.request(model, is_stream=options.stream, content=content)
            count = max(options.count // 10, 10) if options.image else options.count
            warm = 5 if options.image else WARM_REQUESTS
            with socket.create_connection((target.host, target.port)) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                spans = [
                    ask(connection, request, is_stream=options.stream) for _ in range(warm + count)
                ]
            notes: list[Note] = []
            for name in SERVICES:
                stack.kill(name, signal.SIGTERM)
                read = orjson.loads(stack.notes(name).read_bytes())
                notes += [(at, f"{name:7} {what}") for at, what in read]
    runs = join(notes, spans[warm:])
    whole = [(ended - began) / 1e6 for began, ended in spans[warm:]]
    print(f"p50 {statistics.median(whole):.3f} ms, {count} requests")
    show(runs)


if __name__ == "__main__":
    main()
