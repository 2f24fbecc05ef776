"""The bus client of every process that waits on many things.

`nest.link` decides; this is its shell on asyncio. It drains the socket itself when the descriptor
says so and writes whatever is queued at that moment as one frame, so a burst of sends in one turn
of the loop becomes one message, without a timer.

    bee = Bee(identity, Hello(roles=("worker",), hive="scout"), endpoint, metrics)
    async with anyio.create_task_group() as tasks:
        await tasks.start(bee.run)
        async for tone in bee.inbox:
            ...

When humd goes away the bee reconnects for ever, with jitter; what was not settled is offered
again, and what humd still owes arrives once. A process that is told `HelloRefused` should exit:
nobody will talk to it.
"""

import asyncio
import logging
import os
import random
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import anyio
from anyio.abc import TaskStatus

from nest.identity import Identity
from nest.link import Joined, Link, Reset, Settled
from nest.metrics import Registry
from nest.sockets import DealerSocket
from thrum import ids
from thrum.chi import THRUM_VERSION, LinkChi
from thrum.errors import HumError, LocalError, MalformedTone
from thrum.tones import Body, Tone

HELLO_SECONDS = 2.0
"""How long humd may take to answer a hello before we try again."""
RECONNECT_SECONDS_MIN = 0.05
RECONNECT_SECONDS_MAX = 0.5
"""Waits between two tries, doubled from the first to the last, each jittered by half."""
CREDIT_SECONDS = 0.05
"""How long humd keeps parcels that we have when nothing else goes to it: what it keeps, it would
give to the clients of a door again if the door died."""
STREAM_TONES_MAX = 16_384
"""Tones of one sid that wait to be read; then the stream breaks with `StreamOverflow`."""
INBOX_TONES_MAX = 4_096
"""Tones nobody claimed that wait to be read; then humd gets no more credit."""
INBOX_SPARE_TONES = 20_480
"""What may still come then: a window, and one event for every client of a door."""

log = logging.getLogger(__name__)


class StreamBroken(LocalError):
    """Tones of a stream are missing: the turn cannot be followed any more. Cancel it."""


class StreamOverflow(StreamBroken):
    """The reader of the stream was too slow."""


class StreamLost(StreamBroken):
    """humd no longer knows us: it wound up what we drove while we were away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What a bee says of itself. Field names as on the wire (docs/wire.md, section 2.2)."""

    roles: tuple[str, ...]
    hive: str
    version: str = ""
    models: tuple[str, ...] = ()
    tools: tuple[Body, ...] = ()
    provides: tuple[str, ...] = ()
    chis: tuple[str, ...] = ()
    propensity: Body = field(default_factory=dict)
    bind: Body | None = None
    files: Body | None = None

    def body(self, hid: str) -> Body:
        """The hello's body."""
        body: Body = {
            "bee": list(self.roles),
            "hive": self.hive,
            "from": hid,
            "version": self.version,
            "protoVersion": THRUM_VERSION,
            "propensity": self.propensity,
            "chis": list(self.chis),
        }
        if self.models:
            body["models"] = list(self.models)
        if self.tools:
            body["tools"] = list(self.tools)
            body["toolNames"] = [tool["name"] for tool in self.tools]
        if self.provides:
            body["provides"] = list(self.provides)
        if self.bind:
            body["bind"] = self.bind
        if self.files:
            body["files"] = self.files
        return body


class Watcher(Protocol):
    """Who wants to know what became of link numbers (a door does)."""

    def joined(self, event: Joined) -> None: ...

    def settled(self, event: Settled) -> None: ...


class Tones:
    """A bounded queue of tones with one reader."""

    def __init__(self, tones_max: int) -> None:
        self._waiting: deque[Tone] = deque()
        self._arrived = asyncio.Event()
        self._tones_max = tones_max
        self._broken: StreamBroken | None = None
        self._on_room: Callable[[], None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, tone: Tone) -> None:
        """Queue a tone; past the bound the reader gets `StreamOverflow` after what is queued."""
        if len(self._waiting) >= self._tones_max:
            self.fail(StreamOverflow(f"more than {self._tones_max} tones waited to be read"))
        elif self._broken is None:
            self._waiting.append(tone)
            self._arrived.set()

    def fail(self, problem: StreamBroken) -> None:
        """Break the stream: its reader gets `problem` after what is queued."""
        self._broken = problem
        self._arrived.set()

    async def take(self) -> list[Tone]:
        """Take everything that waits, at least one tone.

        Raises `StreamBroken` when some are missing.
        """
        await self._some()
        taken = list(self._waiting)
        self._waiting.clear()
        if self._on_room:
            self._on_room()
        return taken

    async def __aiter__(self) -> AsyncIterator[Tone]:
        while True:
            await self._some()
            tone = self._waiting.popleft()
            if self._on_room:
                self._on_room()
            yield tone

    async def _some(self) -> None:
        """Return once something waits. Raises `StreamBroken` when nothing will."""
        while not self._waiting:
            if self._broken is not None:
                raise self._broken
            self._arrived.clear()
            await self._arrived.wait()


class Bee:
    """See the module. One reader per stream and one for `inbox`; all calls from one event loop."""

    def __init__(
        self,
        identity: Identity,
        hello: Hello | Callable[[], Body],
        endpoint: str,
        metrics: Registry,
        *,
        watcher: Watcher | None = None,
        credits_handled: bool = False,
    ) -> None:
        hid = str(identity.hid)
        self.hid = hid
        self.inbox = Tones(INBOX_TONES_MAX + INBOX_SPARE_TONES)
        self.inbox._on_room = self._resume
        self._endpoint = endpoint
        self._metrics = metrics
        self._watcher = watcher
        self._hive = hello.hive if isinstance(hello, Hello) else ""
        body = (lambda: hello.body(hid)) if isinstance(hello, Hello) else hello
        instance = ids.mint_humid(_now_ms(), secrets.token_bytes(ids.HUMID_RANDOM_BYTES))
        self._link = Link(identity.hid, identity.key, instance, body)
        self._link.credits_handled = credits_handled
        self._streams: dict[str, Tones] = {}
        self._socket: DealerSocket | None = None
        self._ended = asyncio.Event()
        self._joined = asyncio.Event()
        self._settled = asyncio.Event()
        self._flush_due = False
        self._credit_due: asyncio.TimerHandle | None = None
        self._refusal: HumError | None = None
        self.reset_reason = ""
        """Why humd ended the last connection; empty once it answered a hello again."""
        self._started, self._counter = ids.base36(_now_ms()), 0
        """The two halves of the rids that are minted here (`thrum.ids.rid`)."""
        self._joins = metrics.counter("hum_bee_joins_total", "Hellos that humd accepted.")

    @property
    def is_connected(self) -> bool:
        """Whether humd has answered the hello of the present connection."""
        return self._link.is_joined

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Join, and rejoin for ever; started once humd has answered the first hello.

        Raises `HelloRefused` when humd does not accept our identity.
        """
        started = False
        wait = RECONNECT_SECONDS_MIN
        while True:
            joined = await self._connection(None if started else task_status)
            started = started or joined
            wait = RECONNECT_SECONDS_MIN if joined else min(wait * 2, RECONNECT_SECONDS_MAX)
            await anyio.sleep(wait * random.uniform(0.5, 1.5))

    async def joined(self) -> None:
        """Return once connected."""
        while not self.is_connected:
            self._joined.clear()
            await self._joined.wait()

    async def send(self, tone: Tone) -> int:
        """Queue a tone for humd; wait while too many are unsettled. Returns its link number.

        A tone without a rid gets one. It is on disk once `settled` returns, and is offered again
        until then.
        """
        while not self._link.has_room:
            self._settled.clear()
            await self._settled.wait()
        return self.post(tone)

    def post(self, tone: Tone) -> int:
        """As `send`, without waiting; raises `LocalError` when too many are unsettled."""
        if not self._link.has_room:
            raise LocalError("humd has not settled what was sent", hint="use send, which waits")
        if tone.rid is None:
            self._counter += 1
            tone.rid = f"{self._started}-{ids.base36(self._counter)}"
        number = self._link.offer(tone)
        self._flush_soon()
        return number

    @property
    def has_room(self) -> bool:
        """Whether `post` would take a tone."""
        return self._link.has_room

    @property
    def mark(self) -> tuple[int, int]:
        """What has come so far, read or not, for `handled`."""
        return self._link.mark

    def handled(self, mark: tuple[int, int]) -> None:
        """What had come at `mark` is done with: humd need not keep it (`credits_handled`)."""
        self._link.handled(mark)
        if self._link.owes_credit:
            self._flush_soon()

    async def settled(self) -> None:
        """Return once everything that was sent is on disk or refused."""
        while self._link.unsettled:
            self._settled.clear()
            await self._settled.wait()

    @contextmanager
    def stream(self, sid: str) -> Iterator[Tones]:
        """Claim the tones of one sid, from now until the block ends."""
        if sid in self._streams:
            raise LocalError(f"the stream of {sid!r} has a reader already")
        tones = self._streams[sid] = Tones(STREAM_TONES_MAX)
        try:
            yield tones
        finally:
            del self._streams[sid]

    async def _connection(self, task_status: TaskStatus[None] | None) -> bool:
        """One connection, from opening to its end. Returns whether humd answered the hello."""
        loop = asyncio.get_running_loop()
        if not self._is_bound():
            return False
        socket = self._socket = DealerSocket(self._endpoint)
        watched = {socket.descriptor: self._drain, socket.monitor_descriptor: self._look}
        self._ended.clear()
        self._link.opened()
        for descriptor, callback in watched.items():
            loop.add_reader(descriptor, callback)
        try:
            self._flush()
            with anyio.move_on_after(HELLO_SECONDS):
                while not self._link.is_joined and not self._ended.is_set():
                    self._joined.clear()
                    await _first_of(self._joined, self._ended)
            if not self._link.is_joined:
                return False
            if task_status is not None:
                task_status.started()
            await self._ended.wait()
            return True
        finally:
            for descriptor in watched:
                loop.remove_reader(descriptor)
            self._socket = None
            if self._credit_due is not None:
                self._credit_due.cancel()
                self._credit_due = None
            self._link.closed()
            socket.close()
            if self._refusal:
                raise self._refusal

    def _is_bound(self) -> bool:
        """Whether there is anything to connect to; libzmq would not tell."""
        return os.path.exists(self._endpoint.removeprefix("ipc://"))

    def _drain(self) -> None:
        """Take every frame that waits, then say whatever that made us say."""
        socket = self._socket
        if socket is None:
            return
        try:
            while (frame := socket.receive()) is not None:
                for event in self._link.receive(frame):
                    self._on_event(event)
        except MalformedTone as problem:
            log.error("bus.malformed_frame", extra={"reason": str(problem)})
            self._end()
        except HumError as problem:
            self._refusal = problem
            self._end()
        self._flush()

    def _look(self) -> None:
        """The monitor has something to say; what had arrived before is taken first."""
        if self._socket is not None:
            self._socket.notice()
            self._drain()
            if self._socket.disconnects():
                self._end()

    def _on_event(self, event: Joined | Settled | Reset | Tone) -> None:
        if isinstance(event, Tone):
            self._on_tone(event)
        elif isinstance(event, Settled):
            self._settled.set()
            if self._watcher:
                self._watcher.settled(event)
        elif isinstance(event, Joined):
            if self._joins.value and not event.is_resumed:
                for stream in self._streams.values():
                    stream.fail(StreamLost("humd wound up what this process drove"))
            self._joins.inc()
            self.reset_reason = ""
            self._joined.set()
            self._settled.set()
            if self._watcher:
                self._watcher.joined(event)
        else:
            log.info("bus.reset", extra={"reason": event.reason})
            self.reset_reason = event.reason
            self._end()

    def _on_tone(self, tone: Tone) -> None:
        if tone.chi == LinkChi.VITALS and not tone.body:
            self.post(Tone(chi=LinkChi.VITALS, rid=tone.rid, to=tone.sender, body=self._vitals()))
            return
        stream = (
            self._streams.get(tone.sid) if tone.sid is not None and tone.client is None else None
        )
        (self.inbox if stream is None else stream).put(tone)

    def _vitals(self) -> Body:
        return {"pid": os.getpid(), "hive": self._hive, "metrics": self._metrics.snapshot()}

    def _resume(self) -> None:
        """The inbox was read: humd gets the credit that was held back."""
        if not self._link.takes_more and len(self.inbox) < INBOX_TONES_MAX:
            self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _credit(self) -> None:
        self._credit_due = None
        self._flush(is_late=True)

    def _flush(self, *, is_late: bool = False) -> None:
        self._flush_due = False
        socket = self._socket
        if socket is None:
            return
        self._link.takes_more = len(self.inbox) < INBOX_TONES_MAX
        has_sent = False
        while (frame := self._link.take(is_late=is_late)) is not None:
            has_sent = True
            if not socket.send(frame):
                self._end()
                return
        if self._link.owes_credit and self._credit_due is None:
            self._credit_due = asyncio.get_running_loop().call_later(CREDIT_SECONDS, self._credit)
        if has_sent and socket.is_readable:  # edge-triggered, and a send may swallow the edge
            asyncio.get_running_loop().call_soon(self._drain)

    def _end(self) -> None:
        self._ended.set()


async def _first_of(*events: asyncio.Event) -> None:
    """Return once any of them is set."""
    async with anyio.create_task_group() as tasks:

        async def watch(event: asyncio.Event) -> None:
            await event.wait()
            tasks.cancel_scope.cancel()

        for event in events:
            tasks.start_soon(watch, event)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
