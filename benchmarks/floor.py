"""What a request must cost whatever hum does: the same hops and syncs, with nothing between them.

    python -m benchmarks.floor [--long]

Four processes hand a message on as the front, the router, the log and a worker do, over the same
sockets, and decide nothing: HTTP in, eight times over the bus, twice written and synced, once to
the stub of a model service and back. What it takes, minus the stub asked directly, is the floor on
this machine; the rest of `front.overhead_ms_p50` is hum's own work.

Prints `floor.overhead_ms_p50` and `floor.sync_ms_p50` as JSON.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import orjson

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "services")]

from benchmarks.front import stub  # noqa: E402
from benchmarks.stub_upstream import MODEL  # noqa: E402

from hum.bench.probe import Target  # noqa: E402
from nest.sockets import DealerSocket, Poll, RouterSocket  # noqa: E402

REQUESTS, REQUESTS_LONG = 2_000, 20_000
WARM = 200
LOG_BYTES = 16 * 1024 * 1024
EVENT_BYTES = 700
"""Of a turn's events in the log, at each of its two syncs."""
LOOKS_MAX, LOOK_SECONDS = 500, 0.01
"""For who is about to listen."""
PARTS = ("router", "log", "worker", "front")


def router(endpoint: str, _: str) -> None:
    """Whatever comes from one goes to the log; what the log has goes to the other."""
    bus = RouterSocket(endpoint)
    poll = Poll()
    poll.watch(bus)
    places: dict[bytes, bytes] = {}
    print("ready", flush=True)
    while True:
        poll.wait(1_000)
        while (received := bus.receive()) is not None:
            place, frame = received
            name = frame[:1]
            if len(frame) == 1:
                places[name] = place
            elif name == b"L":  # durable: to whom it is for
                bus.send(places[frame[1:2]], frame)
            else:
                to = b"W" if name == b"F" else b"F"
                bus.send(places[b"L"], name + to + frame)


def log(endpoint: str, folder: str) -> None:
    """Write, sync, say so."""
    handle = os.open(Path(folder) / "log", os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(handle, bytes(LOG_BYTES), 0)
    os.fsync(handle)
    bus, poll = _joined(endpoint, b"L")
    at, syncs = 0, list[float]()
    event = bytes(EVENT_BYTES)
    while True:
        poll.wait(1_000)
        while (frame := bus.receive()) is not None:
            begun = time.perf_counter()
            os.pwrite(handle, event, at)
            os.fdatasync(handle)
            syncs.append(time.perf_counter() - begun)
            at = (at + EVENT_BYTES) % (LOG_BYTES - EVENT_BYTES)
            bus.send(b"L" + frame[1:])
            if len(syncs) % 1_000 == 0:
                (Path(folder) / "syncs").write_text(str(statistics.median(syncs) * 1e3))


def worker(endpoint: str, base_url: str) -> None:
    """Ask the stub."""
    target = Target.parse("stub", base_url)
    request = target.request(MODEL, is_stream=True)
    upstream = _connected(target.host, target.port)
    bus, poll = _joined(endpoint, b"W")
    while True:
        poll.wait(1_000)
        while bus.receive() is not None:
            upstream.sendall(request)
            bus.send(b"W" + _whole(upstream))


def front(endpoint: str, port: str) -> None:
    """Answer one client."""
    bus, poll = _joined(endpoint, b"F")
    with socket.create_server(("127.0.0.1", int(port))) as server:
        client, _ = server.accept()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while request := client.recv(1 << 16):
        bus.send(b"F" + request)
        while (frame := bus.receive()) is None:
            poll.wait(1_000)
        client.sendall(frame[frame.index(b"HTTP/") :])


def _joined(endpoint: str, name: bytes) -> tuple[DealerSocket, Poll]:
    bus = DealerSocket(endpoint)
    poll = Poll()
    poll.watch(bus)
    bus.send(name)
    print("ready", flush=True)
    return bus, poll


def _connected(host: str, port: int) -> socket.socket:
    for _ in range(LOOKS_MAX):
        try:
            made = socket.create_connection((host, port))
        except ConnectionRefusedError:
            time.sleep(LOOK_SECONDS)
        else:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return made
    raise SystemExit(f"nobody listens at {host}:{port}")


def _whole(connection: socket.socket) -> bytes:
    answer = connection.recv(1 << 16)
    while b"\r\n\r\n" not in answer or len(answer) < _length(answer):
        answer += connection.recv(1 << 16)
    return answer


def _length(answer: bytes) -> int:
    head, _, _ = answer.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
    return len(head) + 4 + int(length)


def ask(host: str, port: int, request: bytes, count: int) -> float:
    """Ask one at a time; the median in ms."""
    with _connected(host, port) as connection:
        took: list[float] = []
        for _ in range(WARM + count):
            begun = time.perf_counter()
            connection.sendall(request)
            _whole(connection)
            took.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(took[WARM:])


def measure(count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="hum-floor-") as folder, stub() as base_url:
        endpoint = f"ipc://{folder}/bus"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = str(probe.getsockname()[1])
        argument = {"router": "", "log": folder, "worker": base_url, "front": port}
        parts: list[subprocess.Popen[bytes]] = []
        try:
            for part in PARTS:
                command = [sys.executable, "-m", "benchmarks.floor", part, endpoint, argument[part]]
                parts.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE))
                assert parts[-1].stdout is not None
                parts[-1].stdout.readline()
            direct = Target.parse("stub", base_url)
            request = direct.request(MODEL, is_stream=True)
            through = ask("127.0.0.1", int(port), request, count)
            alone = ask(direct.host, direct.port, request, count)
            syncs = float((Path(folder) / "syncs").read_text())
        finally:
            for process in parts:
                process.kill()
                process.communicate()
    parts_of = urlsplit(base_url)
    print(f"the stub itself, at {parts_of.netloc}: {alone:.3f} ms", file=sys.stderr)
    _figure("floor.overhead_ms_p50", through - alone)
    _figure("floor.sync_ms_p50", syncs)


def _figure(name: str, value: float) -> None:
    print(orjson.dumps({"figure": name, "value": round(value, 3), "unit": "ms"}).decode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--long", action="store_true", help="ten times as many requests")
    parser.add_argument("part", nargs="?", choices=PARTS, help="for its own use")
    parser.add_argument("rest", nargs="*")
    options = parser.parse_args()
    if options.part is None:
        measure(REQUESTS_LONG if options.long else REQUESTS)
    else:
        {"router": router, "log": log, "worker": worker, "front": front}[options.part](
            *options.rest
        )


if __name__ == "__main__":
    main()
