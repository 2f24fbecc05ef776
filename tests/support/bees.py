"""Bees for tests with real processes: on the bus through `nest.bee`, at the door through a socket.

A stream of numbered chunks is served by `serve_stream` and read by `read_stream`; the reader hands
the worker a permit for each chunk it got, so that a kill always finds the stream in the middle.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import orjson
from anyio.streams.buffered import BufferedByteReceiveStream
from tests.support.stack import Stack

from nest.bee import Bee, Hello
from nest.identity import Identity
from nest.metrics import Registry
from thrum.ids import hid_of
from thrum.keys import SigningKey
from thrum.tones import Tone

CHUNKS = 200
AHEAD = 20
"""Chunks a worker may be ahead of its reader."""
MODEL = "count"
LINE_BYTES_MAX = 1024 * 1024


def identity_named(name: str, *, prefix: str = "wbee") -> Identity:
    """An identity that depends on nothing but `name`."""
    key = SigningKey.from_seed(hashlib.sha256(name.encode()).digest())
    return Identity(hid_of(prefix, key.public), key)


def bee_named(stack: Stack, name: str, *roles: str, **hello: Any) -> Bee:
    """A bee of its own identity on the bus of `stack`."""
    about = Hello(roles=roles, hive=name, **hello)
    return Bee(identity_named(name), about, stack.paths.bus_endpoint, Registry())


async def serve_stream(worker: Bee, permits: anyio.Semaphore, *, filler: str = "") -> None:
    """Answer one prompt with `CHUNKS` numbered chunks and a finish, as permits come in."""
    async for tone in worker.inbox:
        if tone.chi == "prompt":
            break
    for number in range(CHUNKS):
        await permits.acquire()
        await worker.send(Tone(chi="chunk", sid=tone.sid, body={"n": number, "delta": filler}))
    await worker.send(Tone(chi="finish", sid=tone.sid, body={"finishReason": "stop"}))
    await worker.settled()


async def read_stream(
    asker: Bee,
    permits: anyio.Semaphore,
    *,
    sid: str = "stream",
    at: dict[int, Callable[[], Awaitable[None]]] | None = None,
) -> list[int]:
    """Prompt, and return the numbers of all chunks up to the finish; do `at[n]` after chunk n."""
    numbers: list[int] = []
    with asker.stream(sid) as tones:
        await asker.send(Tone(chi="prompt", sid=sid, body={"modelId": MODEL}))
        async for tone in tones:
            if tone.chi == "finish":
                break
            assert tone.chi == "chunk", tone
            numbers.append(tone.body["n"])
            permits.release()
            if at and tone.body["n"] in at:
                await at[tone.body["n"]]()
    return numbers


class DoorWorker:
    """A worker in any language: one line per tone, its own rids, the same hid on each connection.

    It keeps each tone until its echo, and offers what has none again after a reconnect.
    """

    def __init__(self, stack: Stack, name: str) -> None:
        self._path = str(stack.paths.thrum_socket)
        self._hello = {
            "chi": "hello",
            "rid": f"hello-{name}",
            "from": name,
            "hive": name,
            "hid": str(identity_named(name).hid),
            "bee": ["worker"],
            "models": [MODEL],
            "chis": ["chunk", "finish"],
            "protoVersion": "0.7.0",
        }
        self.unsettled: dict[str, bytes] = {}
        self.refusals: list[str] = []
        self.connections = 0
        self.registered = anyio.Event()
        self.settled = anyio.Event()
        self._stream: anyio.abc.SocketStream | None = None
        self.prompted = anyio.Event()
        self.sid = ""
        """Of the last prompt."""

    async def run(self) -> None:
        """Connect, and connect again, for ever."""
        while True:
            try:
                stream = await anyio.connect_unix(self._path)
            except OSError:
                await anyio.sleep(0.02)
                continue
            async with stream:
                try:
                    await self._converse(stream)
                except (anyio.BrokenResourceError, anyio.EndOfStream, anyio.IncompleteRead):
                    self._stream = None

    async def say(self, rid: str, **tone: Any) -> None:
        """Send a tone now if there is a connection; it is offered until it has its echo."""
        line = orjson.dumps({"rid": rid, **tone}) + b"\n"
        self.unsettled[rid] = line
        self.settled = anyio.Event()
        if self._stream is not None:
            try:
                await self._stream.send(line)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                self._stream = None

    async def _converse(self, stream: anyio.abc.SocketStream) -> None:
        self.connections += 1
        await stream.send(orjson.dumps(self._hello) + b"\n" + b"".join(self.unsettled.values()))
        self._stream = stream
        lines = BufferedByteReceiveStream(stream)
        while True:
            tone = orjson.loads(await lines.receive_until(b"\n", LINE_BYTES_MAX))
            if tone["chi"] == "prompt":
                self.sid = tone["sid"]
                self.prompted.set()
            elif tone["chi"] == "echo":
                if not tone["ok"]:
                    self.refusals.append(tone["error"])
                if tone["rid"] == self._hello["rid"]:
                    self.registered.set()
                self.unsettled.pop(tone["rid"], None)
                if not self.unsettled:
                    self.settled.set()
